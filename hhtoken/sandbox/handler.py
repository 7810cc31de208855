"""One connection: read requests, find who answers, send the answer in its framing, log one line.

``self.server.sandbox`` is the Sandbox. Whatever a client sends, it gets a 4xx of a few bytes and no traceback.
"""

import re
import secrets
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from hhtoken.sandbox import control, delivery, endpoints
from hhtoken.sandbox.faults import ELSEWHERE
from hhtoken.sandbox.messages import BadForm, Request, api_error, json_answer

IDLE_SECONDS = 10  # a client that says nothing for so long frees its thread
LARGEST_BODY = 1024 * 1024
LONGEST_LOGGED_ERROR = 100
WITH_BODY = ("POST", "PUT", "PATCH")
METHODS = ("GET", "HEAD", "DELETE", "OPTIONS", *WITH_BODY)

API = {**dict.fromkeys(METHODS, endpoints.anything), "OPTIONS": endpoints.preflight}
NOT_THE_API = ("/sandbox/", "/oauth/")  # below these, what is not listed is not found
ROUTES = {
    "/": {"GET": control.listing},
    "/sandbox": {"GET": control.listing},
    "/oauth/authorize": {"GET": endpoints.authorize, "POST": endpoints.decide},
    "/oauth/token": {"POST": endpoints.token, "DELETE": endpoints.invalidate, "OPTIONS": endpoints.preflight},
    "/token": {"POST": endpoints.token, "OPTIONS": endpoints.preflight},
    "/me": {**API, "GET": endpoints.me},
    ELSEWHERE: {"GET": endpoints.elsewhere, "POST": endpoints.elsewhere},
    "/sandbox/": {"GET": control.listing},
    "/sandbox/state": {"GET": control.state},
    **{f"/sandbox/{name}": {"POST": control.pull} for name in control.CONTROLS},
}


class _BadRequest(Exception):
    """A request that cannot be read; the status says why, and the connection is of no further use."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def _serve(self):
        request_id = secrets.token_hex(16)
        try:
            answer = _answer(self.server.sandbox, self._read(request_id))
        except _BadRequest as error:
            self.close_connection = True
            answer = api_error(error.status, "bad_request", request_id)
        except BadForm:
            answer = api_error(400, "bad_argument", request_id)
        self._deliver(answer, request_id)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _read(self, request_id):
        body = self._read_body()
        try:
            parts = urlsplit(self.path)
        except ValueError:
            raise _BadRequest(400) from None
        return Request(self.command, parts.path, parts.query, self.headers, body, self.client_address[0], request_id)

    def _read_body(self):
        if "Transfer-Encoding" in self.headers:
            raise _BadRequest(411)
        length = ",".join(self.headers.get_all("Content-Length", []))
        if not length and self.command in WITH_BODY:
            self.close_connection = True  # what a client may send all the same must not be taken for its next request
        if not re.fullmatch("[0-9]{0,18}", length):
            raise _BadRequest(400)
        if int(length or 0) > LARGEST_BODY:
            raise _BadRequest(413)
        body = self.rfile.read(int(length or 0))
        if len(body) < int(length or 0):
            raise _BadRequest(400)
        return body

    def _deliver(self, answer, request_id):
        sandbox = self.server.sandbox
        if self.command == "HEAD":
            answer = answer._replace(framing="head_only")
        elif answer.status == 204 and answer.framing == "whole":
            answer = answer._replace(framing="bodiless")
        self.close_connection = self.close_connection or not delivery.keeps_connection(answer.framing)
        sandbox.log(_access_line(self.command, getattr(self, "path", ""), answer))
        head = delivery.head_of(answer.status, self._headers(answer, request_id).items())
        try:
            delivery.send(self.connection, answer.framing, head, answer.body, sandbox)
        except OSError:
            self.close_connection = True  # the client went away, which is its right

    def _headers(self, answer, request_id):
        return {
            "Server": "hhtoken-sandbox",
            "Date": formatdate(time.time(), usegmt=True),
            "X-Request-Id": request_id,
            "Cache-Control": "no-store",
            **({"Content-Type": answer.content_type} if answer.content_type else {}),
            **({"Connection": "close"} if self.close_connection else {}),
            **dict(answer.headers),
        }

    def send_error(self, code, message=None, explain=None):
        """Answer what http.server found unreadable in our own words: its page repeats what the client sent."""
        self.close_connection = True
        request_id = secrets.token_hex(16)
        self._deliver(api_error(int(code), "bad_request", request_id), request_id)

    def log_message(self, *_arguments):
        """Nothing: the access line is written by ``_deliver``, without the query that http.server would show."""


def _answer(sandbox, request):
    methods = ROUTES.get(request.path, {} if request.path.startswith(NOT_THE_API) else API)
    if not methods:
        return api_error(404, "not_found", request.request_id)
    if request.method not in methods:
        allow = (("Allow", ", ".join(methods)),)
        return api_error(405, "method_not_allowed", request.request_id, headers=allow)
    if request.path.startswith("/sandbox/") and not control.is_allowed(request):
        return json_answer(403, {"error": "forbidden", "error_description": "controls are for this machine only"})
    return methods[request.method](sandbox, request)


def _access_line(method, target, answer):
    """Return the line for the log: only our own names for things, never what a client made up."""
    path = target.partition("?")[0]
    words = ["sandbox:", method if method in METHODS else "?"]
    words += [path if path in ROUTES else "(another path)", answer.note, "->"]
    words.append("no answer" if delivery.says_nothing(answer.framing) else str(answer.status))
    error, description = (text and re.sub(r"[^ -~]", "?", str(text))[:LONGEST_LOGGED_ERROR] for text in answer.error)
    words += [error or "", f"({description})" if description else "", f"[{answer.fault}]" if answer.fault else ""]
    return " ".join(word for word in words if word)
