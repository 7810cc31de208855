"""What an answer of the token endpoint means for us: the provider's table, as data. Pure.

Source: ``docs/errors.md`` of hhru/api and its issue tracker (numbers in comments). The rule behind the table: no
error answer ever costs the pair; the question is only whether to try again later, mend a setting, or ask a human.
"""

from hhtoken import errors
from hhtoken.text import N_

# Kinds of verdict.
NOT_YET = "not_yet"  # the access token still lives; a quiet "later"
TRY_LATER = "try_later"  # weather
UNCLEAR = "unclear"  # an answer that nobody documented: later, with growing waits, and a human after a day
DEAD = "dead"  # the provider has called this refresh token dead: it is never sent again
AUTHORIZE = "authorize"  # this grant is no good; a human must authorize
REFUSED = "refused"  # the same, in words that nobody documented: asked again, with growing waits, just in case
ACCOUNT = "account"  # a human must mend the account on hh.ru; the pair may live on after that
MISCONFIGURED = "misconfigured"

EXIT_CODES = {
    NOT_YET: errors.OK,
    TRY_LATER: errors.TEMPFAIL,
    UNCLEAR: errors.TEMPFAIL,
    DEAD: errors.NOPERM,
    AUTHORIZE: errors.NOPERM,
    REFUSED: errors.NOPERM,
    ACCOUNT: errors.NOPERM,
    MISCONFIGURED: errors.CONFIG,
}

HINT_AUTHORIZE = errors.HINT_AUTHORIZE
HINT_WAIT = N_("the stored pair is kept; type 'hhtoken refresh' later")
HINT_CREDENTIALS = N_("compare HH_CLIENT_ID and HH_CLIENT_SECRET with the application's page on dev.hh.ru")
HINT_APPLICATION = N_(
    "look at dev.hh.ru/admin; with a new application, set HH_CLIENT_ID and HH_CLIENT_SECRET, then authorize"
)
HINT_ADDRESS = N_("check HH_TOKEN_URL if it is set, or remove it; else type 'hhtoken doctor'")
HINT_SUPPORT = N_("write to HeadHunter's support and quote the request id")
HINT_USER_AGENT = N_("set HH_USER_AGENT to the form 'App/1.0 (you@example.com)'")

ALREADY_REFRESHED = "token has already been refreshed"

# error_description -> (kind, what happened, what to do). The descriptions are the provider's own spelling.
DOCUMENTED = {
    "account not found": (MISCONFIGURED, N_("the client id and secret do not belong together"), HINT_CREDENTIALS),
    "account is locked": (ACCOUNT, N_("the user's account is locked"), HINT_SUPPORT),
    "password invalidated": (
        ACCOUNT,
        N_("the password of the user's account was invalidated"),
        N_("restore the password on hh.ru"),
    ),
    "login not verified": (ACCOUNT, N_("the user's account is not confirmed"), HINT_SUPPORT),
    "bad redirect url": (
        MISCONFIGURED,
        N_("HeadHunter refuses the redirect address"),
        N_("make HH_REDIRECT_URI the very address that is registered on dev.hh.ru"),
    ),
    "token is empty": (AUTHORIZE, N_("HeadHunter received no refresh token"), HINT_AUTHORIZE),
    "token not found": (DEAD, N_("HeadHunter does not know this refresh token"), HINT_AUTHORIZE),
    "code not found": (AUTHORIZE, N_("HeadHunter does not know this code"), HINT_AUTHORIZE),
    "client_id or client_secret not found": (
        MISCONFIGURED,
        N_("the application was removed, or its secret is wrong"),
        HINT_CREDENTIALS,
    ),
    ALREADY_REFRESHED: (
        DEAD,
        N_("somebody else has used this refresh token: another host, a copy of the file, or a thief"),
        N_("find who else holds a copy of token.json, stop it, then {authorize}", authorize=HINT_AUTHORIZE),
    ),
    "token not expired": (NOT_YET, N_("the access token still lives, so HeadHunter does not renew it yet"), None),
    "token was revoked": (DEAD, N_("the pair was revoked"), HINT_AUTHORIZE),
    "bad token": (DEAD, N_("HeadHunter calls the refresh token malformed"), HINT_AUTHORIZE),
    "code has already been used": (AUTHORIZE, N_("the code was used before"), HINT_AUTHORIZE),
    "code expired": (AUTHORIZE, N_("the code came too late"), HINT_AUTHORIZE),
    "code was revoke": (AUTHORIZE, N_("the code was revoked"), HINT_AUTHORIZE),
    "token deactivated": (DEAD, N_("the user changed the password, which ends the pair"), HINT_AUTHORIZE),
    "unsupported grant_type": (MISCONFIGURED, N_("the token address does not know what hhtoken asks"), HINT_ADDRESS),
    "app token refresh too early": (
        TRY_LATER,
        N_("an application token was asked for less than 5 minutes ago"),
        HINT_WAIT,
    ),
}

# What an unknown description of a known error class means (RFC 6749 section 5.2, and HeadHunter's own classes).
BY_CLASS = {
    "invalid_grant": (REFUSED, N_("the provider refuses the grant"), HINT_AUTHORIZE),
    "invalid_client": (MISCONFIGURED, N_("the provider refuses the application"), HINT_CREDENTIALS),
    "unauthorized_client": (MISCONFIGURED, N_("the application may not do this"), HINT_CREDENTIALS),
    "unsupported_grant_type": (MISCONFIGURED, N_("the token address does not know what hhtoken asks"), HINT_ADDRESS),
    "bad_user_agent": (
        MISCONFIGURED,
        N_("HeadHunter refuses the User-Agent"),
        HINT_USER_AGENT,
    ),
    "access_denied": (AUTHORIZE, N_("the provider denies the access"), HINT_AUTHORIZE),
    "invalid_scope": (MISCONFIGURED, N_("the application may not have this scope"), HINT_CREDENTIALS),
    "server_error": (TRY_LATER, N_("the provider has a fault"), HINT_WAIT),
    "temporarily_unavailable": (TRY_LATER, N_("the provider is not available"), HINT_WAIT),
}


SHORTEST_SECRET_CHARACTERS = 8  # a shorter one is a word of its own: hiding it would garble what is said


class Verdict:
    """``kind`` is one of the constants above; ``meaning`` and ``hint`` are for people; ``error`` and
    ``description`` are the provider's own words, filtered to what is safe to print. ``is_already_refreshed``: the
    refresh token was used before, by us or by somebody else."""

    __slots__ = ("kind", "meaning", "hint", "error", "description", "is_already_refreshed")

    def __init__(self, kind, meaning, hint=None, error=None, description=None):
        self.kind = kind
        self.meaning = meaning
        self.hint = hint
        self.error = error
        self.description = description
        self.is_already_refreshed = False

    @property
    def exit_code(self):
        return EXIT_CODES[self.kind]


def judge(status, fields, secrets=()):
    """Given the HTTP status and the body's JSON object (or None), return the Verdict on an answer without a pair.

    ``secrets`` are values that may not be repeated, should the provider echo them.
    """
    fields = fields or {}
    error = _text(fields.get("error") or _api_error_type(fields))
    description = _text(fields.get("error_description"))
    kind, meaning, hint = _look_up(status, error, description)
    verdict = Verdict(kind, meaning, hint, printable(error, secrets), printable(description, secrets))
    verdict.is_already_refreshed = _normal(description) == ALREADY_REFRESHED
    return verdict


def printable(value, secrets=()):
    """Given text of the provider, return at most 200 printable ASCII characters without secrets, or None."""
    if not isinstance(value, str) or not value:
        return None
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may begin with another
        if len(secret) >= SHORTEST_SECRET_CHARACTERS:
            value = value.replace(secret, "[hidden]")
    return "".join(character if " " <= character <= "~" else "?" for character in value[:200])


def _look_up(status, error, description):
    # "ориентироваться только на код": of a 5xx only the status counts.
    if status >= 500 or status in (408, 425, 429):
        return TRY_LATER, N_("HeadHunter answered {status}", status=status), HINT_WAIT
    if 300 <= status < 400:
        redirect = N_("the token address answered {status}, a redirect, which is not followed", status=status)
        return TRY_LATER, redirect, HINT_ADDRESS
    documented = DOCUMENTED.get(_normal(description))
    if documented and error:
        return documented
    if error and error.lower() in BY_CLASS:
        return BY_CLASS[error.lower()]
    if status == 403 and not error:  # the DDoS guard's page [575], or a bad User-Agent [846]
        hint = N_("{wait}; if it stays, set HH_USER_AGENT", wait=HINT_WAIT)
        return TRY_LATER, N_("a guard in front of HeadHunter answered 403"), hint
    if status in (404, 405, 410):
        return MISCONFIGURED, N_("the token address answered {status}", status=status), HINT_ADDRESS
    return UNCLEAR, N_("an answer that is not documented ({status})", status=status), HINT_WAIT


def _normal(description):
    return description.strip().lower()


def _text(value):
    return value if isinstance(value, str) else ""


def _api_error_type(fields):
    """Return the type in the API's own form, ``{"errors": [{"type": …}]}``, or None."""
    listed = fields.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else None
    return first.get("type") if isinstance(first, dict) else None
