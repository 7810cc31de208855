"""Read what a client asks of ``GET /oauth/authorize``: allowed, wrong in a way to tell the client, or a trap.

A wrong client or redirect URI must never end in a redirect: that would make the provider an open door to anywhere
(RFC 6749 §4.1.2.1). Every other fault travels back to the client in the redirect.
"""

import base64
import hashlib
import re
from typing import NamedTuple, Optional
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from hhtoken.sandbox import users

_ADDRESS_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]+")  # visible ASCII without " < > \ ^ ` { | }
_IP_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.2
CHALLENGE_METHODS = ("plain", "S256")

UNKNOWN_CLIENT = "unknown_client"
BAD_REDIRECT_URI = "bad_redirect_uri"
REPEATED_PARAMETER = "repeated_parameter"


def is_registrable(address):
    """Tell whether an address can be registered: absolute, without user name, fragment, or a path that climbs."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  the property raises on a port that is no number
    except ValueError:
        return False
    return bool(
        _ADDRESS_CHARACTERS.fullmatch(address)
        and parts.scheme
        and parts.hostname
        and "#" not in address
        and "@" not in parts.netloc
        and ".." not in unquote(parts.path).split("/")
    )


def is_allowed(given, registered):
    """Given the address of a request and the registered one, tell whether HeadHunter would send a browser there."""
    if not is_registrable(given):
        return False
    mine, theirs = urlsplit(registered), urlsplit(given)
    return (
        theirs.scheme == mine.scheme
        and theirs.port == mine.port  # as written: ":80" is refused where none is registered
        and _is_same_or_subdomain(theirs.hostname, mine.hostname)
        and _is_same_or_deeper(theirs.path or "/", mine.path or "/")
        and set(parse_qsl(mine.query)) <= set(parse_qsl(theirs.query))
    )


def _is_same_or_subdomain(host, registered):
    return host == registered or (not _IP_ADDRESS.fullmatch(registered) and host.endswith("." + registered))


def _is_same_or_deeper(path, registered):
    return path == registered or path.startswith(registered.rstrip("/") + "/")  # so /oauths is not below /oauth


def with_parameters(address, **parameters):
    """Given an address, return it with the parameters that are not None added to its query."""
    parts = urlsplit(address)
    added = urlencode({name: value for name, value in parameters.items() if value is not None})
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, added)))))


class BadAuthorizationRequest(Exception):
    """A request to answer with a page and never with a redirect; ``reason`` is one of the constants above."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


class AuthorizationRequest(NamedTuple):
    """A request from a known client for an allowed address; ``error`` is what the client must be told, or None."""

    destination: str
    given_redirect_uri: Optional[str]  # None where the registered one was used by default
    state: Optional[str]
    challenge: Optional[str]
    challenge_method: str
    role: str  # of the user who signs in
    error: Optional[str]

    def address(self, **parameters):
        """Return where the browser goes with these parameters, and with the state when there was one."""
        return with_parameters(self.destination, **parameters, state=self.state)

    def is_repeated_by(self, form):
        """Tell whether the exchange names the redirect URI as this request did: the same, or none [839]."""
        given = form.get("redirect_uri")
        return given == self.destination or not (given or self.given_redirect_uri)

    def is_proved_by(self, form):
        """Tell whether the exchange proves the challenge; PKCE is undocumented, so only one that was sent counts."""
        if self.challenge is None:
            return True
        verifier = form.get("code_verifier", "")
        if self.challenge_method == "S256":
            digest = hashlib.sha256(verifier.encode()).digest()
            verifier = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return verifier == self.challenge


def read(parameters, client_id, registered_uri, user):
    """Given the query as a dictionary, and the role of the sandbox's user, return an AuthorizationRequest.

    Raise BadAuthorizationRequest."""
    if parameters.get("client_id") != client_id:
        raise BadAuthorizationRequest(UNKNOWN_CLIENT)
    given = parameters.get("redirect_uri") or None
    if given and not is_allowed(given, registered_uri):
        raise BadAuthorizationRequest(BAD_REDIRECT_URI)
    return AuthorizationRequest(
        destination=given or registered_uri,
        given_redirect_uri=given,
        state=parameters.get("state"),
        challenge=parameters.get("code_challenge"),
        challenge_method=parameters.get("code_challenge_method") or "plain",  # the default of RFC 7636 §4.3
        role=users.wanted(parameters.get("role"), user),
        error=_error(parameters),
    )


def _error(parameters):
    response_type = parameters.get("response_type")
    if response_type != "code":
        return "unsupported_response_type" if response_type else "invalid_request"
    if "code_challenge" not in parameters:
        return "invalid_request" if "code_challenge_method" in parameters else None
    known_method = parameters.get("code_challenge_method", "plain") in CHALLENGE_METHODS
    return None if known_method and _CODE_CHALLENGE.fullmatch(parameters["code_challenge"]) else "invalid_request"
