"""Where the browser may be sent: HeadHunter's rules for a ``redirect_uri`` that differs from the registered one.

Source: ``hhru/api``, ``docs/authorization_for_user.md``, "Правила формирования специального redirect_uri". Allowed:
a sub-domain, a deeper path, an extra query parameter. Refused: another scheme, domain or path, and an explicit port
that the registered address lacks.
"""

import ipaddress
import re
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from hhtoken.text import N_

_ADDRESS_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]+")  # visible ASCII without " < > \ ^ ` { | }


def problem_with(address):
    """Given an address to register, return what is wrong with it, or None."""
    if not _ADDRESS_CHARACTERS.fullmatch(address):
        return N_("characters that no address has")
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  the property raises on a port that is no number
    except ValueError:
        return N_("not an address")
    if not parts.scheme or not parts.hostname:
        return N_("scheme or host missing")
    if parts.fragment or "#" in address:
        return N_("a fragment is not allowed")
    if "@" in parts.netloc:
        return N_("a user name is not allowed")
    if ".." in unquote(parts.path).split("/"):
        return N_("a path that climbs is not allowed")
    return None


def is_allowed(given, registered):
    """Given the address of a request and the registered one, tell whether HeadHunter would send a browser there."""
    if problem_with(given):
        return False
    mine, theirs = urlsplit(registered), urlsplit(given)
    return (
        theirs.scheme == mine.scheme
        and theirs.port == mine.port  # as written: ":80" is refused where none is registered
        and _same_or_subdomain(theirs.hostname, mine.hostname)
        and _same_or_deeper(theirs.path, mine.path)
        and set(_pairs(mine.query)) <= set(_pairs(theirs.query))
    )


def with_parameters(address, **parameters):
    """Given an address, return it with the parameters that are not None added to its query."""
    parts = urlsplit(address)
    added = urlencode({name: value for name, value in parameters.items() if value is not None})
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added)))))


def _pairs(query):
    return parse_qsl(query, keep_blank_values=True)


def _same_or_subdomain(host, registered):
    return host == registered or (not _is_ip_address(registered) and host.endswith("." + registered))


def _same_or_deeper(path, registered):
    path, registered = path or "/", registered or "/"
    return path == registered or path.startswith(registered.rstrip("/") + "/")  # so /oauths is not below /oauth


def _is_ip_address(host):
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
