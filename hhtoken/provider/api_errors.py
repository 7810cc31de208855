"""What an answer of the API means: the token is accepted, or why not; and whose it is. Pure.

Source: ``docs/errors.md`` of hhru/api and its OpenAPI text. Nothing here ever costs the pair: a refusal is told and
remembered, and the refresh finds out what it means for the pair.
"""

from hhtoken import errors
from hhtoken.provider.answer import object_in, request_id_of, wait_seconds
from hhtoken.provider.verdict import HINT_APPLICATION, HINT_USER_AGENT, TRY_LATER, Verdict, quoted
from hhtoken.provider.verdict import judge as judge_by
from hhtoken.provider.verdict import printable as shown
from hhtoken.text import N_, counted, joined, printable

# Kinds of verdict, beside those of ``verdict`` and the keys of REFUSALS.
ACCEPTED = "accepted"
NONSENSE = "nonsense"
EXPIRED = "token_expired"
REVOKED = "token_revoked"
UNKNOWN_TOKEN = "bad_authorization"
APPLICATION_GONE = "application_not_found"
BAD_USER_AGENT = "bad_user_agent"

HINT_LATER = N_("type it again later; the stored pair is kept")
HINT_ADDRESS = N_("check HH_API_URL, or leave it unset")
ADDRESS = N_("the address of the API"), HINT_ADDRESS

# The value of an error, or its type where that says it all -> (exit code, what it means, what to do).
REFUSALS = {
    UNKNOWN_TOKEN: (
        errors.NOPERM,
        N_("HeadHunter does not know this access token"),
        N_("type 'hhtoken refresh'; if that fails, {authorize}", authorize=errors.HINT_AUTHORIZE),
    ),
    EXPIRED: (
        errors.UNAVAILABLE,
        N_("HeadHunter says that the access token has expired"),
        N_("type 'hhtoken refresh'"),
    ),
    REVOKED: (errors.NOPERM, N_("the access was revoked"), errors.HINT_AUTHORIZE),
    APPLICATION_GONE: (errors.CONFIG, N_("the application was removed from HeadHunter"), HINT_APPLICATION),
    "user_auth_expected": (
        errors.NOPERM,
        N_("the token is an application's, and HeadHunter expects a user's"),
        errors.HINT_AUTHORIZE,
    ),
    "application_auth_expected": (
        errors.NOPERM,
        N_("the token is a user's, and HeadHunter expects the application's own"),
        N_("'hhtoken app-token' prints that one"),
    ),
    "no_scope": (
        errors.NOPERM,
        N_("the token has no permission for this (scope)"),
        N_("check the permissions of the application on dev.hh.ru/admin, then log in again"),
    ),
    "used_manager_account_forbidden": (
        errors.NOPERM,
        N_("the manager account of this token is blocked, or not available any more"),
        N_("choose another manager account on hh.ru, or ask the employer's administrator"),
    ),
    "manager_extra_account_not_found": (
        errors.NOPERM,
        N_("the manager has no such additional account"),
        N_("check the manager's accounts on hh.ru, and X-Manager-Account-Id if your program sends it"),
    ),
    "employer_on_additional_check_restricted": (
        errors.NOPERM,
        N_("HeadHunter is checking the employer, and restricts the API until that is done"),
        N_("ask the employer's manager at HeadHunter"),
    ),
    "action_must_be_payed": (
        errors.NOPERM,
        N_("the employer has not paid for access to the API"),
        N_("pay for it on hh.ru, or ask the employer's manager at HeadHunter"),
    ),
    "captcha_required": (errors.NOPERM, N_("HeadHunter asks for a captcha"), N_("log in on hh.ru in a browser")),
    "forbidden": (
        errors.NOPERM,
        N_("HeadHunter forbids this to the user of the token"),
        N_("check on hh.ru what this user may do, or ask HeadHunter's support and quote the request id"),
    ),
    BAD_USER_AGENT: (errors.CONFIG, N_("HeadHunter refuses the User-Agent"), HINT_USER_AGENT),
}
USER_AGENT = {
    "unset": N_("HeadHunter saw no User-Agent"),
    "blacklisted": N_("HeadHunter has blacklisted this User-Agent"),
}
OF_TOKEN = (EXPIRED, REVOKED, UNKNOWN_TOKEN)  # a newer token may be accepted

ROLES = {
    "applicant": N_("applicant"),
    "employer": N_("employer"),
    "admin": N_("administrator"),
    "application": N_("application"),
    "employer_integration": N_("employer's integration"),
}
FLAGS = tuple(f"is_{role}" for role in ROLES)
PERSON_FIELDS = ("id", "first_name", "middle_name", "last_name", "email")
OWNER_FIELDS = ("auth_type", *PERSON_FIELDS, *FLAGS, "employer", "manager")
LONGEST_NAME_CHARACTERS = 200


def introduction(owner, with_email=False):
    """Given what ``identify`` returned, return name, roles, ids and, if wanted, e-mail as one Text."""
    name = " ".join(filter(None, (owner["first_name"], owner["middle_name"], owner["last_name"])))
    details = [role for flag, role in ROLES.items() if owner[f"is_{flag}"]]
    details.append(N_("id {number}", number=owner["id"]) if owner["id"] else "")
    if owner["employer"]:
        details += [owner["employer"]["name"], N_("employer id {number}", number=owner["employer"]["id"])]
    details.append(N_("manager id {number}", number=owner["manager"]["id"]) if owner["manager"] else "")
    details = joined(", ", [*details, owner["email"] if with_email else ""])
    if name and details:
        return N_("{name} ({details})", name=name, details=details)
    return name or details or N_("nobody is named")


def judge(answer, secrets=()):
    """Given the Answer to a request with a token, return the Verdict; any 2xx is accepted, whatever is in it.

    ``secrets``: values that may not be repeated, should the provider echo them.
    """
    status, later = answer.status, _later(answer)
    if status == 0:
        return _no_answer(answer)
    if 200 <= status < 300:
        return Verdict(ACCEPTED, errors.OK, N_("HeadHunter accepts the access token"))
    verdict = judge_by(status, object_in(answer.body), (find, find), ADDRESS, later, secrets)
    verdict.meaning += verdict.words + quoted(shown(request_id_of(answer), secrets))
    return verdict


def find(kind, value):
    """Given the type and the value of an error, return the Verdict that the table has on them, or None."""
    name = value if value in REFUSALS else kind
    if name not in REFUSALS:
        return None
    exit_code, meaning, hint = REFUSALS[name]
    return Verdict(name, exit_code, USER_AGENT.get(value, meaning) if name == BAD_USER_AGENT else meaning, hint)


def unreachable(error):
    """Given the NotSent that kept a request from leaving, return the Verdict."""
    return Verdict(TRY_LATER, error.exit_code, error.message, N_("{fix}; then try again", fix=error.hint))


def identify(answer, secrets=()):
    """Given the Answer to "who am I", return the Verdict, and where the token is accepted whose it is, else None: a
    dict with OWNER_FIELDS, each a printable text, a flag, a dict (``employer``: id and name; ``manager``: id) or None.
    An application's token has no person."""
    verdict = judge(answer, secrets)
    if verdict.kind != ACCEPTED:
        return verdict, None
    fields = object_in(answer.body)
    if fields is not None:
        return verdict, _owner(fields, secrets)
    if not answer.complete:
        return _no_answer(answer), None
    meaning = N_("HeadHunter's answer makes no sense: it does not say whose token this is")
    return Verdict(NONSENSE, errors.DATAERR, meaning, HINT_ADDRESS), None


def _owner(fields, secrets):
    found = {name: _printable(fields.get(name), secrets) for name in ("auth_type", *PERSON_FIELDS)}
    for flag, role in zip(FLAGS, ROLES):
        found[flag] = fields[flag] is True if flag in fields else found["auth_type"] == role
    found["employer"] = _members(fields.get("employer"), ("id", "name"), secrets)
    found["manager"] = _members(fields.get("manager"), ("id",), secrets)
    return found


def _members(fields, names, secrets):
    found = {name: _printable(fields.get(name), secrets) for name in names} if isinstance(fields, dict) else {}
    return found if found.get("id") else None


def _no_answer(answer):
    why = answer.failure or N_("nothing came")
    return Verdict(TRY_LATER, errors.TEMPFAIL, N_("no whole answer from HeadHunter ({why})", why=why), HINT_LATER)


def _later(answer):
    seconds = wait_seconds(answer.retry_after, answer.received_at or 0)
    if not seconds:
        return HINT_LATER
    return counted("type it again in {count} second", "type it again in {count} seconds", seconds)


def _printable(value, secrets):
    """Return a name as one line of printable characters, in whatever alphabet, without secrets; None where there is
    none."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        return None
    for secret in filter(None, secrets):
        value = value.replace(secret, "[hidden]")
    return printable(value.strip()[:LONGEST_NAME_CHARACTERS])
