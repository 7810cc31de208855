"""What an answer of the API means: the token is accepted, or why not; and whose it is. Pure.

Source: ``docs/errors.md`` of hhru/api. Nothing here ever costs the pair: what HeadHunter says of an access token is
told, and what to do about it is the operator's.
"""

from hhtoken import errors
from hhtoken.provider.answer import object_in, wait_seconds
from hhtoken.provider.verdict import HINT_APPLICATION, HINT_USER_AGENT, TRY_LATER, UNCLEAR, Verdict, of_status
from hhtoken.provider.verdict import printable as shown
from hhtoken.text import N_, counted, joined, printable

# Kinds of verdict, beside those of ``verdict``.
ACCEPTED = "accepted"
EXPIRED = "token_expired"
REVOKED = "token_revoked"
UNKNOWN_TOKEN = "bad_authorization"
APPLICATION_GONE = "application_not_found"
USER_EXPECTED = "user_auth_expected"
BAD_USER_AGENT = "bad_user_agent"
NONSENSE = "nonsense"

HINT_LATER = N_("type it again later; the stored pair is kept")
HINT_ADDRESS = N_("check HH_API_URL, or leave it unset")
ADDRESS = N_("the address of the API"), HINT_ADDRESS

# value of an error of type "oauth" -> (exit code, what it means, what to do). The values are the kinds of above.
OAUTH = {
    UNKNOWN_TOKEN: (
        errors.NOPERM,
        N_("HeadHunter does not know this access token"),
        N_(
            "type 'hhtoken refresh --force' to hear whether the refresh token is still good; if it is not, {authorize}",
            authorize=errors.HINT_AUTHORIZE,
        ),
    ),
    EXPIRED: (
        errors.UNAVAILABLE,
        N_("the access token has expired, says HeadHunter"),
        N_("type 'hhtoken refresh --force'"),  # by our own clock it may still live
    ),
    REVOKED: (errors.NOPERM, N_("the access was revoked"), errors.HINT_AUTHORIZE),
    APPLICATION_GONE: (
        errors.CONFIG,
        N_("the application was removed from HeadHunter"),
        HINT_APPLICATION,
    ),
    USER_EXPECTED: (
        errors.NOPERM,
        N_("the stored token is an application's, and a user's is needed"),
        errors.HINT_AUTHORIZE,
    ),
}
FOR_GOOD = (REVOKED, APPLICATION_GONE)  # no access token of this grant is accepted any more
USER_AGENT = {
    "unset": N_("HeadHunter saw no User-Agent"),
    "blacklisted": N_("HeadHunter has this User-Agent on its black list"),
}

ROLES = (
    ("is_applicant", N_("applicant")),
    ("is_employer", N_("employer")),
    ("is_admin", N_("administrator")),
    ("is_application", N_("application")),
)
PERSON_FIELDS = ("id", "first_name", "middle_name", "last_name", "email")
LONGEST_NAME_CHARACTERS = 200


NOBODY = Verdict(
    NONSENSE,
    errors.DATAERR,
    N_("HeadHunter's answer makes no sense: it does not say whose token this is"),
    HINT_ADDRESS,
)


class Person:
    """Whose token it is: ``id``, ``first_name``, ``middle_name``, ``last_name``, ``email``, each a printable text or
    None; ``is_applicant``, ``is_employer``, ``is_admin``, ``is_application``."""

    __slots__ = (*PERSON_FIELDS, *(flag for flag, _role in ROLES))

    def __repr__(self):
        return "<Person>"

    def introduction(self, with_email=False):
        """Return name, roles, id and, if wanted, e-mail as one Text."""
        name = " ".join(filter(None, (self.first_name, self.middle_name, self.last_name)))
        roles = joined(", ", [role for flag, role in ROLES if getattr(self, flag)])
        number = N_("id {number}", number=self.id) if self.id else ""
        details = joined(", ", [roles, number, self.email if with_email else ""])
        return N_("{name} ({details})", name=name, details=details) if name and details else name or details


def judge(answer, secrets=()):
    """Given the Answer to a request with a token, return the Verdict; any 2xx is accepted, whatever is in it.

    ``secrets``: values that may not be repeated, should the provider echo them.
    """
    verdict = _judge(answer, secrets)
    request_id = shown(answer.request_id, secrets)
    if verdict.kind != ACCEPTED and request_id:
        verdict.meaning = N_("{meaning} (request id {request_id})", meaning=verdict.meaning, request_id=request_id)
    return verdict


def unreachable(error):
    """Given the NotSent that kept a request from leaving, return the Verdict."""
    return Verdict(TRY_LATER, error.exit_code, error.message, N_("{mend}; then try again", mend=error.hint))


def identify(answer, secrets=()):
    """Given the Answer to "who am I", return the Verdict, and the Person where it is accepted, else None."""
    verdict = judge(answer, secrets)
    if verdict.kind != ACCEPTED:
        return verdict, None
    person = _person(object_in(answer.body), secrets)
    if person or answer.complete:
        return (verdict, person) if person else (NOBODY, None)
    return _no_answer(answer), None


def _person(fields, secrets):
    if not fields or not any(fields.get(flag) is True for flag, _role in ROLES):
        return None
    found = Person()
    for name in PERSON_FIELDS:
        setattr(found, name, _printable(fields.get(name), secrets))
    for flag, _role in ROLES:
        setattr(found, flag, fields.get(flag) is True)
    return found


def _no_answer(answer):
    why = answer.failure or N_("nothing came")
    return Verdict(TRY_LATER, errors.TEMPFAIL, N_("no whole answer from HeadHunter ({why})", why=why), HINT_LATER)


def _judge(answer, secrets):
    status = answer.status
    if status == 0:
        return _no_answer(answer)
    if 200 <= status < 300:
        return Verdict(ACCEPTED, errors.OK, N_("HeadHunter accepts the access token"))
    found = _errors_in(answer.body)
    verdict = of_status(status, bool(found), _documented(found), ADDRESS, _later(answer))
    if verdict.kind == UNCLEAR:
        words = shown(": ".join(filter(None, found[0])) if found else None, secrets)
        verdict.meaning = N_("HeadHunter refuses the token in a way that is not documented ({status})", status=status)
        verdict.meaning += f" [{words}]" if words else ""
    return verdict


def _documented(found):
    for kind, value in found:
        if kind == "oauth" and value in OAUTH:
            return Verdict(value, *OAUTH[value])
        if kind == BAD_USER_AGENT:
            meaning = USER_AGENT.get(value, N_("HeadHunter refuses the User-Agent"))
            return Verdict(BAD_USER_AGENT, errors.CONFIG, meaning, HINT_USER_AGENT)
    return None


def _later(answer):
    seconds = wait_seconds(answer.retry_after, answer.received_at or 0)
    if not seconds:
        return HINT_LATER
    return counted("type it again in {count} second", "type it again in {count} seconds", seconds)


def _errors_in(body):
    """Return the errors of the API's own form, ``{"errors": [{"type": …, "value": …}]}``, as ``[(type, value)]``."""
    listed = (object_in(body) or {}).get("errors")
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [(_word(one.get("type")), _word(one.get("value"))) for one in found]


def _word(value):
    return value if isinstance(value, str) else ""


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
