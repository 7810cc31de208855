"""Which requests are the browser's return, and which are not. Pure."""

from urllib.parse import urlsplit

from hhtoken import addresses


class CallbackRules:
    """Given the redirect URI: its path, raw; its host; and whether nginx must vouch that the browser came by https."""

    def __init__(self, redirect_uri):
        parts = urlsplit(redirect_uri)
        self.path = parts.path or "/"
        self.host = (parts.hostname or "").lower()
        self.needs_https = parts.scheme == "https"

    def refusal(self, request):
        """Given an http_head.Request, return the HTTP status that refuses it, or None for a browser's return."""
        if request.path != self.path:
            return 404
        if request.method != "GET":
            return 405
        if request.header("transfer-encoding") is not None or (request.header("content-length") or "0") != "0":
            return 400  # a body is never read
        if not self._is_ours(request.header("host"), request.version):
            return 421
        if self.needs_https and (request.header("x-forwarded-proto") or "").lower() != "https":
            return 400
        return None

    def _is_ours(self, host, version):
        """The redirect URI's host, or this machine by number: never another name, which could be rebound to us."""
        if host is None:
            return version == "HTTP/1.0"
        name = _host_name(host)
        return name == self.host or addresses.is_loopback(name) or addresses.is_literal(name)


def _host_name(host):
    """Given a Host header, return its name or address in lower case, "" for anything that is no host and port."""
    name, colon, port = ("", "", "") if host.endswith("]") else host.lower().rpartition(":")
    if not colon:
        name = host.lower()
    elif not (port.isascii() and port.isdigit()):
        return ""
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    return name if all(character.isalnum() or character in "-._" for character in name) else ""
