"""What an answer of the token endpoint means for us: the provider's table, as data. Pure.

Source: ``docs/errors.md`` of hhru/api and its issue tracker (numbers in comments). The rule behind the table: no
error answer ever costs the pair; the question is only whether to try again later, fix a setting, or ask a human.
"""

from hhtoken import errors
from hhtoken.errors import HINT_AUTHORIZE
from hhtoken.provider import api_errors, verdict
from hhtoken.provider.verdict import HINT_USER_AGENT, RATE_LIMIT, REFUSED, TRY_LATER, Verdict
from hhtoken.text import N_

# Kinds of verdict, beside those of ``verdict``.
NOT_YET = "not_yet"  # the access token is still valid; a quiet "later"
DEAD = "dead"  # the provider has called this refresh token dead: it is never sent again
AUTHORIZE = "authorize"  # this grant is no good; a login is needed
ACCOUNT = "account"  # a human must fix the account on hh.ru; the pair may live on after that
MISCONFIGURED = "misconfigured"

EXIT_CODES = {
    NOT_YET: errors.OK,
    TRY_LATER: errors.TEMPFAIL,
    DEAD: errors.NOPERM,
    AUTHORIZE: errors.NOPERM,
    REFUSED: errors.NOPERM,
    ACCOUNT: errors.NOPERM,
    MISCONFIGURED: errors.CONFIG,
}
OF_API = {errors.NOPERM: REFUSED, errors.CONFIG: MISCONFIGURED}  # the kind of a refusal in the form of the API

HINT_WAIT = N_("the stored pair is kept; type 'hhtoken refresh' later")
HINT_RATE = N_("the stored pair is kept; wait, since more requests only prolong this")
HINT_CREDENTIALS = N_("compare HH_CLIENT_ID and HH_CLIENT_SECRET with the application's page on dev.hh.ru")
HINT_ADDRESS = N_("check HH_TOKEN_URL if it is set, or remove it; else type 'hhtoken doctor'")
HINT_SUPPORT = N_("write to HeadHunter's support and quote the request id")

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
        N_("someone else has used this refresh token: another host, a copy of the file, or a thief"),
        N_("find who else holds a copy of token.json, stop it, then {authorize}", authorize=HINT_AUTHORIZE),
    ),
    "token not expired": (NOT_YET, N_("the access token is still valid, so HeadHunter does not renew it yet"), None),
    "token was revoked": (DEAD, N_("the pair was revoked"), HINT_AUTHORIZE),
    "bad token": (DEAD, N_("HeadHunter calls the refresh token malformed"), HINT_AUTHORIZE),
    "code has already been used": (AUTHORIZE, N_("the code was used before"), HINT_AUTHORIZE),
    "code expired": (AUTHORIZE, N_("the code came too late"), HINT_AUTHORIZE),
    "code was revoke": (AUTHORIZE, N_("the code was revoked"), HINT_AUTHORIZE),
    "token deactivated": (
        DEAD,
        N_("the token was deactivated, usually because the user has changed the password"),
        HINT_AUTHORIZE,
    ),
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
    "bad_user_agent": (MISCONFIGURED, N_("HeadHunter refuses the User-Agent"), HINT_USER_AGENT),
    "access_denied": (AUTHORIZE, N_("the provider denies the access"), HINT_AUTHORIZE),
    "invalid_scope": (MISCONFIGURED, N_("the application may not have this scope"), HINT_CREDENTIALS),
    "server_error": (TRY_LATER, N_("the provider has a fault"), HINT_WAIT),
    "temporarily_unavailable": (TRY_LATER, N_("the provider is not available"), HINT_WAIT),
}


def judge(status, fields, secrets=()):
    """Given the HTTP status and the body's JSON object (or None), return the Verdict on an answer without a pair.

    ``secrets`` are values that may not be repeated, should the provider echo them.
    """
    later = HINT_RATE if status == RATE_LIMIT else HINT_WAIT
    return verdict.judge(status, fields, (_find, _find_of_api), (N_("the token address"), HINT_ADDRESS), later, secrets)


def is_already_refreshed(judged):
    """Given a Verdict, tell whether the refresh token was used before, by us or by someone else."""
    return _normal(judged.description or "") == ALREADY_REFRESHED


def _find(error, description):
    row = DOCUMENTED.get(_normal(description)) or BY_CLASS.get(error.lower())
    return Verdict(row[0], EXIT_CODES[row[0]], *row[1:]) if row else None


def _find_of_api(kind, value):
    found = api_errors.find(kind, value)
    if found is None:
        return _find(kind, "")
    if found.kind in api_errors.OF_TOKEN:
        found.hint, found.exit_code = HINT_AUTHORIZE, errors.NOPERM
    found.kind = DEAD if found.kind == api_errors.REVOKED else OF_API[found.exit_code]
    return found


def _normal(description):
    return description.strip().lower()
