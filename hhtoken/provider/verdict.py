"""What an answer without a result means: one Verdict, and one reading of its status, for the tables of the token
endpoint and of the API. Pure."""

from hhtoken import errors
from hhtoken.text import N_

# Kinds of verdict that both tables have.
TRY_LATER = "try_later"  # an outage, a guard, a rate limit
UNCLEAR = "unclear"  # an answer that nobody documented
MISADDRESSED = "misaddressed"

HINT_USER_AGENT = N_("set HH_USER_AGENT to the form 'App/1.0 (you@example.com)'")
HINT_APPLICATION = N_(
    "look at dev.hh.ru/admin; with a new application, set HH_CLIENT_ID and HH_CLIENT_SECRET, then authorize"
)

SHORTEST_SECRET_CHARACTERS = 8  # a shorter one is a word of its own: hiding it would garble what is said


class Verdict:
    """``kind``: a constant of this module or of a table. ``exit_code``, ``meaning``, ``hint`` (or None): for the
    operator. ``error``, ``description``: the provider's own words, filtered to what is safe to print, or None."""

    __slots__ = ("kind", "exit_code", "meaning", "hint", "error", "description")

    def __init__(self, kind, exit_code, meaning, hint=None, error=None, description=None):
        self.kind = kind
        self.exit_code = exit_code
        self.meaning = meaning
        self.hint = hint
        self.error = error
        self.description = description

    def failure(self):
        """Return the Error that a command ends with."""
        return errors.with_exit_code(self.exit_code, self.meaning, self.hint)


def of_status(status, has_words, documented, address, later):
    """Return the Verdict on an answer that is no success.

    ``has_words``: the body says something in a form of HeadHunter's; ``documented``: the Verdict on that, or None.
    ``address``: the address that answered, in words, and the hint on it. ``later``: the hint to wait.
    """
    name, hint = address
    # "ориентироваться только на код": of a 5xx only the status counts.
    if status >= 500 or status in (408, 425, 429):
        return Verdict(TRY_LATER, errors.TEMPFAIL, N_("HeadHunter answered {status}", status=status), later)
    if 300 <= status < 400:
        redirect = N_("{address} answered {status}, a redirect, which is not followed", address=name, status=status)
        return Verdict(TRY_LATER, errors.TEMPFAIL, redirect, hint)
    if documented:
        return documented
    if status == 403 and not has_words:  # the DDoS guard's page [575], or a bad User-Agent [846]
        later = N_("{later}; if it stays, set HH_USER_AGENT", later=later)
        return Verdict(TRY_LATER, errors.TEMPFAIL, N_("a guard in front of HeadHunter answered 403"), later)
    if status in (404, 405, 410):
        meaning = N_("{address} answered {status}", address=name, status=status)
        return Verdict(MISADDRESSED, errors.CONFIG, meaning, hint)
    meaning = N_("an answer that is not documented ({status})", status=status)
    return Verdict(UNCLEAR, errors.TEMPFAIL, meaning, later)


def printable(value, secrets=()):
    """Given text of the provider, return at most 200 printable ASCII characters without secrets, or None."""
    if not isinstance(value, str) or not value:
        return None
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may begin with another
        if len(secret) >= SHORTEST_SECRET_CHARACTERS:
            value = value.replace(secret, "[hidden]")
    return "".join(character if " " <= character <= "~" else "?" for character in value[:200])
