"""One request to an address, and how far it came: name, route, port, TLS, HTTP. Sends no secret and follows nothing.

Not ``requests``: what it says of a failure is one word, and here the reason is the point.
"""

import errno
import http.client
import socket
import ssl
import time
from urllib.parse import urlsplit

from hhtoken.provider.answer import http_date
from hhtoken.text import N_

SECONDS = 5
PAUSES_SECONDS = (0.3, 0.6, 0)  # until systemd listens again; nothing comes after the last
LARGEST_BODY_BYTES = 64 * 1024

# How far it came.
UNKNOWN_NAME, NO_NAME_SERVER, NO_ROUTE, REFUSED, SILENT, RESET, BROKEN = (
    "unknown_name", "no_name_server", "no_route", "refused", "silent", "reset", "broken"
)  # fmt: skip
EXPIRED, NOT_YET_VALID, WRONG_NAME, UNTRUSTED, NO_TLS = (
    "expired", "not_yet_valid", "wrong_name", "untrusted", "no_tls"
)  # fmt: skip
CERTIFICATE_FAILURES = (EXPIRED, NOT_YET_VALID, WRONG_NAME, UNTRUSTED)

VERIFY_CODES = {9: NOT_YET_VALID, 10: EXPIRED, 62: WRONG_NAME, 64: WRONG_NAME}  # X509_V_ERR_*
ERRNOS = {
    errno.ECONNREFUSED: REFUSED,
    errno.ENETUNREACH: NO_ROUTE,
    errno.EHOSTUNREACH: NO_ROUTE,
    errno.EADDRNOTAVAIL: NO_ROUTE,
    errno.ETIMEDOUT: SILENT,
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,
}
NO_NAME_SERVER_CODES = (socket.EAI_AGAIN, socket.EAI_FAIL)

SENTENCES = {
    UNKNOWN_NAME: N_("the name is unknown"),
    NO_NAME_SERVER: N_("no name server answers"),
    NO_ROUTE: N_("there is no route to it"),
    REFUSED: N_("the connection is refused: nobody listens there"),
    SILENT: N_("no answer in {seconds} seconds", seconds=SECONDS),
    RESET: N_("the connection was closed without an answer"),
    BROKEN: N_("what answers does not speak HTTP"),
    EXPIRED: N_("its certificate has expired, or the clock of this machine is ahead"),
    NOT_YET_VALID: N_("its certificate is not valid yet, or the clock of this machine is behind"),
    WRONG_NAME: N_("its certificate is for another name"),
    UNTRUSTED: N_("its certificate is not signed by an authority that this machine trusts"),
    NO_TLS: N_("what answers does not speak TLS"),
}


class Visit:
    """``host``. ``failure``: how far it came, None for an answer. ``status``, ``headers`` (names in lower case) and
    ``body`` of the answer; ``ahead``: seconds by which the answer's Date is ahead of our clock, or None.
    ``certificate_until``: Unix seconds, or None. ``asides``: Findings about the way there."""

    def __init__(self, host, failure=None, status=0, headers=None, body="", ahead=None, certificate_until=None):
        self.host = host
        self.failure = failure
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.ahead = ahead
        self.certificate_until = certificate_until
        self.asides = []

    @property
    def why(self):
        return SENTENCES[self.failure]


def visit(address, headers=None, place=None, authorities=None, seconds=SECONDS):
    """Given an http or https address, further headers, where to connect to instead of the address's own host and port
    (a pair, or None) and the path of the certificate authorities (None: OpenSSL's own), GET it and return the Visit."""
    parts = urlsplit(address)
    host = parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80)
    seen = Visit(host)
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.sock = socket.create_connection(place or (host, port), timeout=seconds)
        if parts.scheme == "https":
            connection.sock = _secure(connection.sock, host, authorities)
            seen.certificate_until = _valid_until(connection.sock)
        begun = time.time()
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        connection.request("GET", target, headers={"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        seen.status = answer.status
        seen.headers = {name.lower(): value for name, value in answer.getheaders()}
        seen.ahead = _ahead(seen.headers.get("date"), begun, time.time())
        seen.body = answer.read(LARGEST_BODY_BYTES).decode("utf-8", "replace")
    except http.client.RemoteDisconnected:
        seen.failure = RESET
    except http.client.HTTPException:
        seen.failure = seen.failure if seen.status else BROKEN
    except (OSError, UnicodeError) as error:
        seen.failure = None if seen.status else failure_of(error)
    finally:
        connection.close()
    return seen


def visit_callback(address, headers=None, place=None, authorities=None):
    """Visit the redirect URI, or what stands behind it, as ``visit`` does. The listener that systemd has started for an
    earlier visit may be ending in this very moment: then once or twice more."""
    for pause in PAUSES_SECONDS:
        seen = visit(address, headers, place, authorities)
        if seen.failure != RESET and seen.status not in (502, 504):
            break
        time.sleep(pause)
    return seen


def failure_of(error):
    """Given what a connection raised, return how far it came."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return VERIFY_CODES.get(error.verify_code, UNTRUSTED)
    if isinstance(error, socket.timeout):  # TimeoutError from Python 3.10 on
        return SILENT
    if isinstance(error, ssl.SSLError):
        return NO_TLS
    if isinstance(error, socket.gaierror):
        return NO_NAME_SERVER if error.errno in NO_NAME_SERVER_CODES else UNKNOWN_NAME
    if isinstance(error, UnicodeError):
        return UNKNOWN_NAME
    return ERRNOS.get(error.errno, BROKEN)


def _secure(sock, host, authorities):
    context = ssl.create_default_context(cafile=authorities)
    try:
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _valid_until(sock):
    try:
        return int(ssl.cert_time_to_seconds(sock.getpeercert()["notAfter"]))
    except (KeyError, ValueError):
        return None


def _ahead(date, begun, ended):
    """A Date is a whole second that has just passed: on the average, half a second ago."""
    moment = http_date(date) if date else None
    return moment + 0.5 - (begun + ended) / 2 if moment else None
