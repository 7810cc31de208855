"""A request as it came and an answer as it should go, and the few shapes that answers have. Pure."""

import json
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qsl

MOST_PARAMETERS = 100


class BadForm(Exception):
    """A query or form that cannot be read as parameters."""


class Request(NamedTuple):
    """One HTTP request: ``path`` without its query, ``headers`` as email.message.Message, ``body`` in bytes."""

    method: str
    path: str
    query: str
    headers: Any
    body: bytes
    client_host: str
    request_id: str

    @property
    def has_form(self):
        """Tell whether the body claims to be a form; HeadHunter looks for parameters nowhere else."""
        return self.headers.get_content_type() == "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    """One HTTP answer; ``framing`` names how it travels, ``document`` is the body before it became bytes."""

    status: int
    body: bytes = b""
    content_type: Optional[str] = None
    headers: tuple[tuple[str, str], ...] = ()
    document: Optional[dict] = None
    framing: str = "whole"
    note: str = ""  # for the access line: the grant type
    fault: str = ""  # the name of the fault that made the answer what it is

    @property
    def error(self):
        """Return ``(error, description)`` of either shape of an error, each None where there is none."""
        document = self.document or {}
        first = document.get("errors", [{}])[0]
        return document.get("error", first.get("type")), document.get("error_description", first.get("value"))


def parameters(text):
    """Given a query or form as text or bytes, return its parameters as pairs; raise BadForm."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise BadForm() from error


def json_answer(status, document, headers=()):
    body = json.dumps(document, ensure_ascii=False).encode()
    return Answer(status, body, "application/json; charset=utf-8", tuple(headers), document)


def html_answer(status, html, headers=()):
    return Answer(status, html.encode(), "text/html; charset=utf-8", tuple(headers))


def redirect_answer(address):
    return Answer(302, headers=(("Location", address),))


def error_document(status, kind, value=None, **more):
    """Return the API's shape of an error, without its request id; a 403 says the same once more in older words."""
    error = {"type": kind, **({"value": value} if value else {}), **more}
    older = {"description": "Forbidden", "oauth_error": (value or kind).replace("_", "-")} if status == 403 else {}
    return {"errors": [error], **older}


def api_error(status, kind, request_id, value=None, headers=()):
    return json_answer(status, {**error_document(status, kind, value), "request_id": request_id}, headers)


def token_error(refusal, request_id):
    """Return the token endpoint's shape of an error, from a row of the table of refusals."""
    return json_answer(refusal.status, {**refusal.document, "request_id": request_id})
