"""What of a request is refused, and with which status: nothing but the browser's return comes through. Pure.

http.server alone would take HTTP/0.9, fold ``//callback`` into ``/callback``, and allow 100 headers of 64 KiB each.
"""

import re
from urllib.parse import urlsplit

from hhtoken.provider import addresses

LONGEST_REQUEST_LINE_BYTES = 8 * 1024
LONGEST_HEAD_BYTES = 16 * 1024
MOST_HEADERS = 50
HEAD = re.compile(rb"[A-Za-z]+ [!-~]+ HTTP/1\.[01]\r?\n([!-9;-~]+:[\t -~\x80-\xff]*\r?\n)*\r?\n")
END_OF_HEAD = re.compile(rb"\n\r?\n")
PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
AHEAD = re.compile(r"\b(prefetch|prerender|preview|instant)\b", re.IGNORECASE)
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]+)?")


def fault_in(data):
    """Given the bytes so far, return the HTTP status that refuses them, 0 for a whole head that can be read in one way
    only, or None while its end is missing."""
    if len(data) >= LONGEST_REQUEST_LINE_BYTES and b"\n" not in data[:LONGEST_REQUEST_LINE_BYTES]:
        return 414
    end = END_OF_HEAD.search(data)
    size = end.end() if end else len(data)
    if size > LONGEST_HEAD_BYTES or data.count(b"\n", 0, size) - 2 > MOST_HEADERS:
        return 431
    if not end:
        return None
    return 0 if HEAD.fullmatch(data, 0, size) else 400


def is_prefetch(headers):
    """Tell from the headers (a Message) whether a browser only looks ahead: nobody may ever see what comes of that."""
    return any(AHEAD.search(_value(headers, name) or "") for name in PURPOSES)


class CallbackRules:
    """Given the redirect URI: its path, raw; its host; and whether nginx must vouch that the browser came by https."""

    def __init__(self, redirect_uri):
        parts = urlsplit(redirect_uri)
        self.path = parts.path or "/"
        self.host = (parts.hostname or "").lower()
        self.needs_https = parts.scheme == "https"

    def refusal(self, path, version, headers):
        """Given the raw path, the HTTP version and the headers (a Message) of a GET without a fault,
        return the HTTP status that refuses it, or None for the browser's return."""
        if path != self.path:
            return 404
        if "Transfer-Encoding" in headers or (_value(headers, "Content-Length") or "0") != "0":
            return 400  # a body is never read
        if not self._is_ours(_value(headers, "Host"), version):
            return 421
        if self.needs_https and (_value(headers, "X-Forwarded-Proto") or "").lower() != "https":
            return 400
        return None

    def _is_ours(self, host, version):
        """The redirect URI's host, or this machine by number: never another name, which could be rebound to us."""
        if host is None:
            return version == "HTTP/1.0"
        found = HOST.fullmatch(host.lower())
        name = found[1].strip("[]") if found else ""
        return name == self.host or addresses.is_loopback(name) or addresses.is_literal(name)


def _value(headers, name):
    """Return the value of a header, None where it is absent. Repeated ones are joined, so that none hides another."""
    values = [value.strip() for value in headers.get_all(name, [])]
    return ", ".join(values) if values else None
