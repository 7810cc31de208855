"""Bad weather on demand: what can happen to a request, as two tables, and the queue of what happens next.

A name that ends in ``_before`` or ``_after`` says whether the provider has done its part (a refresh token is spent, a
pair issued) before things go wrong; for the other names the column ``commits`` says it. The documented refusals can
be demanded by their slugs, and then nothing is committed.
"""

import gzip
import json
import threading
import time
from email.utils import formatdate
from typing import Any, Callable, NamedTuple, Optional

from hhtoken.sandbox.messages import error_document
from hhtoken.sandbox.refusals import DOCUMENTED


def without(name):
    """Return a shape that leaves one member out."""
    return lambda body: _dump({key: value for key, value in json.loads(body).items() if key != name})


def with_value(name, value):
    """Return a shape that replaces the value of one member."""
    return lambda body: _changed(body, name, lambda _old: value)


def with_number(name, literal):
    """Return a shape that replaces one member by a number as written, however absurd."""
    mark = "\N{SNOWMAN}"
    return lambda body: _changed(body, name, lambda _old: mark).replace(json.dumps(mark).encode(), literal.encode())


def with_token(change):
    """Return a shape that applies a function to the access token."""
    return lambda body: _changed(body, "access_token", change)


def with_member(literal):
    """Return a shape that adds a member with this value, as written, behind all others."""
    return lambda body: body[:-1] + b', "more": ' + literal + b"}"


def _changed(body, name, change):
    document = json.loads(body)
    return _dump({**document, name: change(document[name])} if name in document else document)


def _dump(document):
    return json.dumps(document).encode()


RETRY_SECONDS = 2
ELSEWHERE = "/elsewhere"  # where the redirects lead; the sandbox counts who follows


class Fault(NamedTuple):
    """What happens to one request; each member that is set replaces that part of the natural answer."""

    says: str
    commits: bool = False
    status: Optional[int] = None
    document: Optional[dict] = None
    html: Optional[str] = None
    headers: tuple[tuple[str, Any], ...] = ()  # a value may be a function without arguments
    reshape: Optional[Callable[[bytes], bytes]] = None
    framing: str = "whole"  # a name in delivery.FRAMINGS


def _html(status, title, says, commits=False):
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Fault(says, commits, status, html=page)


def _token_error(error, description, says):
    return Fault(says, False, 400, {"error": error, "error_description": description})


def _shaped(says, reshape, **more):
    return Fault(says, True, reshape=reshape, **more)


def _date(ahead):
    return lambda: formatdate(time.time() + ahead, usegmt=True)


def _retry_after(value, says):
    return Fault(says, False, 429, _TOO_MANY, headers=(("Retry-After", value),))


_UNAVAILABLE = error_document(503, "service_unavailable")
_TOO_MANY = error_document(429, "too_many_requests")
_LONG = "line one\nline two \x1b[31m red \u202e" + "x" * 100_000

# The provider's front answers; the provider never sees the request.
_FRONT = {
    "service_unavailable": Fault("503 with HeadHunter's JSON", False, 503, _UNAVAILABLE),
    "json_500": Fault("500 with JSON", False, 500, error_document(500, "internal_error")),
    "html_500": _html(500, "Internal Server Error", "500 with HTML"),
    "html_502": _html(502, "Bad Gateway", "502 with HTML"),
    "html_503": _html(503, "Service Unavailable", "503 with HTML"),
    "html_504": _html(504, "Gateway Timeout", "504 with HTML"),
    "guard_page": _html(403, "Checking your browser", "403 with the HTML page of a DDoS guard [575]"),
    "bare_403": Fault("403 without a body, as for an unwelcome User-Agent [846]", False, 403, html=""),
    "blacklisted": Fault("400 bad_user_agent", False, 400, error_document(400, "bad_user_agent", "blacklisted")),
    "rate_limit": _retry_after(str(RETRY_SECONDS), f"429 with Retry-After: {RETRY_SECONDS}"),
    "rate_limit_date": _retry_after(_date(RETRY_SECONDS), "429 with Retry-After as a date"),
    "rate_limit_absurd": _retry_after("9" * 30, "429 with Retry-After far beyond all sense"),
    "rate_limit_bare": Fault("429 without Retry-After", False, 429, _TOO_MANY),
    "not_found": Fault("404 as for an unknown address", False, 404, error_document(404, "not_found")),
    "gone": Fault("410 as for an address given up", False, 410, error_document(410, "gone")),
    "not_allowed": Fault("405 as for an address that takes no POST", False, 405, html="", headers=(("Allow", "GET"),)),
    "redirect": Fault(
        "307 to another path, where no secret may follow", False, 307, headers=(("Location", ELSEWHERE),)
    ),
    "unknown_error": _token_error("weather_error", "nobody knows", "400 with an error that no document knows"),
    "long_error": _token_error("invalid_grant", _LONG, "400 with 100 kB of description, control characters in it"),
    "empty_200_before": Fault("200 without a body", False, 200, html=""),
    "html_200_before": _html(200, "Welcome", "200 with HTML, as from a hotel's Wi-Fi"),
    "close_before": Fault("the connection is closed without an answer", framing="close"),
    "reset_before": Fault("the connection is reset without an answer", framing="reset"),
    "hang_before": Fault("no answer, and the connection stays open", framing="hang"),
}

# The provider has done its part, and the answer is lost or damaged on its way.
_LOST = {
    "service_unavailable_after": Fault("503 with HeadHunter's JSON", True, 503, _UNAVAILABLE),
    "html_500_after": _html(500, "Internal Server Error", "500 with HTML", True),
    "html_502_after": _html(502, "Bad Gateway", "502 with HTML", True),
    "html_504_after": _html(504, "Gateway Timeout", "504 with HTML", True),
    "guard_page_after": _html(403, "Checking your browser", "403 with the page of a DDoS guard", True),
    "empty_200_after": Fault("200 without a body", True, 200, html=""),
    "html_200_after": _html(200, "Welcome", "200 with HTML", True),
    "close_after": Fault("the connection is closed without an answer", True, framing="close"),
    "reset_after": Fault("the connection is reset without an answer", True, framing="reset"),
    "hang_after": Fault("no answer, and the connection stays open", True, framing="hang"),
    "stall_after": Fault("half of the JSON, and then silence", True, framing="stall"),
    "cut_after": Fault("all of the JSON, but fewer bytes than Content-Length says", True, framing="cut"),
    "cut_reset_after": Fault("as cut_after, but with a reset at the end", True, framing="cut_reset"),
    "cut_inside_after": Fault("half of the JSON, then the end", True, framing="cut_inside"),
    "chunked_cut_after": Fault("all of the JSON in chunks, the last chunk missing", True, framing="chunked_cut"),
    "chunked_garbage_after": Fault("all of the JSON in a chunk, then rubbish", True, framing="chunked_garbage"),
    "chunked_inside_after": Fault("half of the JSON in a chunk, then the end", True, framing="chunked_inside"),
}

# The provider has done its part, and the whole answer arrives, in a manner of its own.
_ODD = {
    "slow": Fault("the answer byte by byte", True, framing="drip"),
    "chunked": Fault("a good answer in chunks", True, framing="chunked"),
    "until_close": Fault("a good answer without Content-Length, ended by the end", True, framing="until_close"),
    "endless": Fault("all of the JSON, then blanks for ever", True, framing="endless"),
    "pair_in_503": Fault("503 around a good pair", True, 503),
    "html_type": Fault("a good pair called text/html", True, headers=(("Content-Type", "text/html"),)),
    "late_date": Fault("a good pair whose Date is an hour behind", True, headers=(("Date", _date(-3600)),)),
    "gzip": _shaped("gzip, asked for or not", gzip.compress, headers=(("Content-Encoding", "gzip"),)),
    "bom": _shaped("a byte order mark before the JSON", lambda body: b"\xef\xbb\xbf" + body),
    "padding": _shaped("128 KiB of padding behind the pair", with_member(b'"%s"' % (b"x" * 128 * 1024))),
    "extra_member": _shaped("one member that no document knows", with_member(b"1")),
    "no_access_token": _shaped("no access_token", without("access_token")),
    "no_refresh_token": _shaped("no refresh_token", without("refresh_token")),
    "no_token_type": _shaped("no token_type", without("token_type")),
    "no_expires_in": _shaped("no expires_in", without("expires_in")),
    "expires_in_null": _shaped("expires_in null", with_value("expires_in", None)),
    "expires_in_text": _shaped('expires_in "1209600", a string', with_value("expires_in", "1209600")),
    "expires_in_negative": _shaped("expires_in -1", with_value("expires_in", -1)),
    "expires_in_nan": _shaped("expires_in NaN, which is no JSON", with_number("expires_in", "NaN")),
    "newline_token": _shaped("a line break inside the access token", with_token(lambda old: old + "\nX: y")),
    "space_token": _shaped("a blank inside the access token", with_token(lambda old: old[:9] + " " + old[9:])),
    "non_ascii_token": _shaped("a Cyrillic letter in the access token", with_token(lambda old: old + "я")),
    "long_token": _shaped("an access token of 20 kB", with_token(lambda old: old * 320)),
    "empty_token": _shaped("an empty access token", with_token(lambda old: "")),
}

_REFUSED = {
    refusal.slug: Fault(
        f"{refusal.status} {refusal.error} / {refusal.description}", False, refusal.status, refusal.document
    )
    for refusal in DOCUMENTED
}

FAULTS = {**_REFUSED, **_FRONT, **_LOST, **_ODD}


_ACCOUNTS = {"allowed_accounts": [{"id": "1", "employer": {"id": "1455", "name": "ООО «Песочница»"}}]}
_CAPTCHA = {name: f"https://hh.ru/account/{name}?state=sandbox" for name in ("captcha_url", "fallback_url")}

# Refusals of the API: (type, values, further members, status).
_OF_THE_API = (
    ("oauth", "bad_authorization token_expired token_revoked application_not_found", {}, 403),
    ("oauth", "user_auth_expected application_auth_expected no_scope", {}, 403),
    ("forbidden", "employer_on_additional_check_restricted", {}, 403),
    ("manager_accounts", "used_manager_account_forbidden", _ACCOUNTS, 403),
    ("manager_extra_accounts", "manager_extra_account_not_found", {}, 403),
    ("api_access_payment", "action_must_be_payed", {}, 403),
    ("captcha_required", "captcha_required", _CAPTCHA, 403),
    ("resumes", "view_limit_exceeded", {}, 429),
)
# By value. At the token endpoint they are that endpoint's own 403 in the API's form.
API_FAULTS = {
    value: Fault(f"{status} {kind} / {value}", False, status, error_document(status, kind, value, **more))
    for kind, values, more, status in _OF_THE_API
    for value in values.split()
}
API_FAULTS["forbidden"] = Fault("403 forbidden", False, 403, error_document(403, "forbidden"))
API_FAULTS["oauth_error_alone"] = Fault("403 in an older form", False, 403, {"oauth_error": "token-revoked"})
ALL_FAULTS = {**FAULTS, **API_FAULTS}
TOKEN_PATHS = ("/oauth/token", "/token")
API = "/"  # all paths but the token endpoint's


class Weather:
    """The faults to come, in order: each takes effect for a number of requests to its path, or until cleared."""

    def __init__(self):
        self._lock = threading.Lock()
        self._coming = []  # {"name", "times": how many more, None is for ever; "path"}

    def add(self, name, times=1, path=None):
        """Put a fault behind those that wait already; raise KeyError where there is no such fault.

        ``times`` None is until cleared. ``path``: a path of the API and what is below it, or the token endpoint's;
        None is the endpoint that the fault is usual at.
        """
        path = path or (API if name in API_FAULTS else TOKEN_PATHS[0])
        with self._lock:
            self._coming.append({"name": name, "times": ALL_FAULTS[name] and times, "path": path})

    def take(self, path, is_token_request=False):
        """Return the Fault that befalls a request to this path and its name; (None, "") in fair weather."""
        with self._lock:
            for one in self._coming:
                if _is_meant(one["path"], path, is_token_request):
                    if one["times"] is not None:
                        one["times"] -= 1
                        self._coming = [other for other in self._coming if other["times"] != 0]
                    return ALL_FAULTS[one["name"]], one["name"]
            return None, ""

    def clear(self):
        """Fair weather from now on."""
        with self._lock:
            self._coming.clear()

    def coming(self):
        """Return what waits, as ``{"name": …, "times": … or None, "path": …}``, the next first."""
        with self._lock:
            return [dict(one) for one in self._coming]


def _is_meant(where, path, is_token_request):
    if is_token_request or where in TOKEN_PATHS:
        return is_token_request and where in TOKEN_PATHS
    return path == where or path.startswith(where.rstrip("/") + "/")
