"""The authorization request and what comes back from it (RFC 6749 section 4.1, RFC 7636). Pure."""

import base64
import hashlib
from urllib.parse import parse_qsl, urlencode

from hhtoken import errors
from hhtoken.text import N_

LONGEST_QUERY_CHARACTERS = 8192
MOST_QUERY_FIELDS = 20


class Refused(Exception):
    """What came back is not a return of an authorization; the message says why and repeats nothing of it."""


def code_challenge(verifier):
    """Given a PKCE verifier, return its S256 challenge (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def request_url(authorize_url, client_id, redirect_uri, state, verifier, options=()):
    """Given the settings, a fresh state and verifier, return the address to open in the browser.

    ``options``: further parameters as pairs, e.g. ``("force_login", "true")``.
    """
    parameters = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("state", state),
        ("code_challenge", code_challenge(verifier)),
        ("code_challenge_method", "S256"),
        *options,
    ]
    joint = "" if authorize_url.endswith(("?", "&")) else "&" if "?" in authorize_url else "?"
    return authorize_url + joint + urlencode(parameters)


def state_in(address):
    """Given the address that ``request_url`` returned, return the state in it."""
    return dict(parse_qsl(address.partition("?")[2]))["state"]


def read_return(query):
    """Given the query of the address that the browser came back to, return its state, code and error, of which one of
    the last two is None; raise Refused.

    A repeated ``code``, ``state`` or ``error`` is refused: which one counts would be anybody's guess.
    """
    if len(query) > LONGEST_QUERY_CHARACTERS:
        raise Refused(N_("the address is too long"))
    try:
        fields = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST_QUERY_FIELDS)
    except ValueError:
        raise Refused(N_("the address cannot be read")) from None
    found = {}
    for name, value in fields:
        if name in ("code", "state", "error"):
            if name in found:
                raise Refused(N_("'{name}' stands in the address twice", name=name))
            found[name] = value
    if not is_printable(found.get("state")):
        raise Refused(N_("the address has no state"))
    if ("code" in found) == ("error" in found):
        raise Refused(N_("the address has no code"))
    if not is_printable(found.get("code", found.get("error"))):
        raise Refused(N_("the code cannot be read"))
    return found["state"], found.get("code"), found.get("error")


def denial(error):
    """Given the ``error`` of a browser's return (RFC 6749 section 4.1.2.1), return the Error for the operator."""
    hint = errors.HINT_AUTHORIZE
    if error in ("server_error", "temporarily_unavailable"):
        return errors.TryLaterError(N_("HeadHunter could not answer the authorization just now"), hint)
    if error == "access_denied":
        return errors.AuthorizationNeededError(N_("access was denied in the browser"), hint)
    return errors.AuthorizationNeededError(N_("HeadHunter refused the authorization"), hint)


def is_printable(value):
    """Tell whether a text is one or more of RFC 6749's VSCHAR, as codes, states and errors are."""
    return bool(value) and all(" " <= character <= "~" for character in value)
