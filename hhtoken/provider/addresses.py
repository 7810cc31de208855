"""Rules for the addresses in the settings. Pure."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.text import N_

SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):/", re.IGNORECASE)
NO_APP = re.compile("[htps]+|wss?|s?ftp|file|data|javascript", re.IGNORECASE)  # the first: a mistyped https


def is_of_an_app(address):
    """Tell whether a redirect URI leads to an app on the browser's device, not to a listener (RFC 8252 7.1)."""
    found = SCHEME.match(address)
    return bool(found) and not NO_APP.fullmatch(found[1])


def problem(address, may_be_of_an_app=False):
    """Given an address that will carry a secret, return what is wrong with it (never repeating it), or None."""
    if any(character <= " " or character == "\x7f" for character in address):
        return N_("has characters that no address has")
    if may_be_of_an_app and is_of_an_app(address):
        return N_("has a fragment in it") if "#" in address else None
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return N_("is not an address")
    if not address.isascii():
        name = _in_punycode(host)
        if name:
            return N_("has an international domain: write it in punycode, as {name}", name=name)
        return N_("has characters that no address has")
    if parts.scheme not in ("http", "https") or not host:
        return N_("is not an http or https address")
    if not is_literal(host) and not all(0 < len(label) < 64 for label in host.rstrip(".").split(".")):
        return N_("has a host that no name server knows")
    if parts.username is not None or parts.password is not None:
        return N_("has a user name or password in it")
    if "#" in address:
        return N_("has a fragment in it")
    if parts.scheme == "http" and not is_loopback(host):
        return N_("must be https, since it carries a secret")
    return None


def _in_punycode(host):
    """Given the host of an address, or None, return its ASCII form; None where it has no other."""
    try:
        return None if (host or "").isascii() else host.encode("idna").decode()
    except UnicodeError:
        return None


def is_proxy(address):
    """Given an address, tell whether it is an http proxy's, perhaps with a user name and a password in it."""
    login, _at, place = address[7:].rpartition("@")
    is_odd = set(login + place.rstrip("/")) & set("/?#@") or not login.isascii() or problem(f"https://{place}")
    return address[:7].lower() == "http://" and not is_odd


def is_loopback(host):
    """Given a host name or address, tell whether it is this machine."""
    return host.lower().rstrip(".") == "localhost" or is_literal(host) and ip_address(host).is_loopback


def is_literal(host):
    """Given a host, tell whether it is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def parse_listen(value):
    """Given ``HOST:PORT``, ``[::1]:PORT`` or a bare port, return ``(host, port)``; raise UsageError."""
    host, _colon, port = value.rpartition(":")
    is_bare = ":" in host and not (host.startswith("[") and host.endswith("]"))  # an IPv6 address without its brackets
    host = host.strip("[]") or "127.0.0.1"
    if is_bare or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        raise errors.UsageError(N_("--listen takes HOST:PORT"), N_("for example --listen 127.0.0.1:8000"))
    return host, int(port)
