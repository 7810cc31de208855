"""What an answer without a result means: one Verdict, and one reading of its status, for the tables of the token
endpoint and of the API. Pure."""

from hhtoken import errors
from hhtoken.text import N_

# Kinds of verdict that both tables have.
TRY_LATER = "try_later"  # an outage, a guard, a rate limit
UNCLEAR = "unclear"  # an answer that is not documented
REFUSED = "refused"  # HeadHunter's own refusal, which no waiting changes
MISADDRESSED = "misaddressed"

RATE_LIMIT = 429

HINT_USER_AGENT = N_("set HH_USER_AGENT to the form 'App/1.0 (you@example.com)'")
HINT_APPLICATION = N_("check the application on dev.hh.ru/admin; for a new one, change the settings and log in again")
HINT_QUOTE = N_("see https://api.hh.ru/openapi, or ask HeadHunter's support and quote these words")

SHORTEST_SECRET_CHARACTERS = 8  # a shorter one is a word of its own: hiding it would garble what is said
LONGEST_WORDS_CHARACTERS, LONGEST_ADDRESS_CHARACTERS = 200, 2000


class Verdict:
    """``kind``: a constant of this module or of a table. ``exit_code``, ``meaning``, ``hint`` (or None): for the
    operator. ``error``, ``description``: HeadHunter's own words, filtered to what is safe to print, or None."""

    __slots__ = ("kind", "exit_code", "meaning", "hint", "error", "description")

    def __init__(self, kind, exit_code, meaning, hint=None):
        self.kind = kind
        self.exit_code = exit_code
        self.meaning = meaning
        self.hint = hint
        self.error = self.description = None

    @property
    def words(self):
        """HeadHunter's words as they stand behind the meaning of a refusal."""
        return f" [{': '.join(filter(None, (self.error, self.description)))}]" if self.error else ""

    def failure(self):
        """Return the Error that a command ends with."""
        return errors.with_exit_code(self.exit_code, self.meaning, self.hint)


def judge(status, fields, finders, address, later, secrets=()):
    """Return the Verdict on an answer that is no success, from its HTTP status and its JSON object (or None).

    ``finders``: given a class and a word of HeadHunter's OAuth form, and of the form of its API, return the Verdict
    that a table has on them, or None. ``address``: the address that answered, in words, and the hint on it. ``later``:
    the hint to wait. ``secrets``: values that may not be repeated, should the provider echo them.
    """
    oauth_words, api_words, captcha = _words_in(fields or {})
    said = [(find, one) for find, words in zip(finders, (oauth_words, api_words)) for one in words]
    found = [(one, known) for find, one in said for known in [find(*one)] if known] or [(("", ""), None)]
    (words, known), has_words = found[0], bool(said)
    if has_words and not known:
        words, known = said[0][1], _of_class(status, api_words, later)
    verdict = _of_status(status, has_words, known, address, later)
    if captcha and verdict is known:
        url = printable(captcha, secrets, LONGEST_ADDRESS_CHARACTERS)
        verdict.hint = N_("open {url} in a browser and solve the captcha, then try again", url=url)
    verdict.error, verdict.description = (printable(word, secrets) for word in words)
    return verdict


def _of_status(status, has_words, known, address, later):
    name, hint = address
    # "ориентироваться только на код": of a 5xx only the status counts.
    if status >= 500 or status in (408, 425, RATE_LIMIT):
        return Verdict(TRY_LATER, errors.TEMPFAIL, N_("HeadHunter answered {status}", status=status), later)
    if 300 <= status < 400:
        redirect = N_("{address} answered {status}, a redirect, which is not followed", address=name, status=status)
        return Verdict(TRY_LATER, errors.TEMPFAIL, redirect, hint)
    if known:
        return known
    if status == 403 and not has_words:  # the DDoS guard's page [575], or a bad User-Agent [846]
        later = N_("{later}; if it stays, set HH_USER_AGENT", later=later)
        return Verdict(TRY_LATER, errors.TEMPFAIL, N_("a guard in front of HeadHunter answered 403"), later)
    if status in (404, 405, 410):
        meaning = N_("{address} answered {status}", address=name, status=status)
        return Verdict(MISADDRESSED, errors.CONFIG, meaning, hint)
    return Verdict(UNCLEAR, errors.TEMPFAIL, N_("an answer that is not documented ({status})", status=status), later)


def _of_class(status, api_words, later):
    """Return the Verdict on a refusal in the API's form whose words no table has, or None."""
    if not api_words or status != 403 and all(kind != "oauth" for kind, _value in api_words):
        return None
    if any("limit" in word or "too_many" in word for one in api_words for word in one):
        return Verdict(TRY_LATER, errors.TEMPFAIL, N_("HeadHunter limits the number of requests"), later)
    return Verdict(REFUSED, errors.NOPERM, N_("HeadHunter refuses this"), HINT_QUOTE)


def _words_in(fields):
    """Return HeadHunter's words as ``(class, word)``, those of its OAuth form and those of the API's, and the address
    of a captcha, or None. The API has ``oauth_error`` beside ``errors``, which says more, or alone in an older form."""
    listed = fields.get("errors")
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    oauth_words = [(_text(fields.get("error")), _text(fields.get("error_description")))]
    api_words = [(_text(one.get("type")), _text(one.get("value"))) for one in found]
    older = _text(fields.get("oauth_error")).replace("-", "_")
    api_words = [one for one in api_words if one[0]] or ([("oauth", older)] if older else [])
    captchas = [_text(one.get("captcha_url")) for one in (*found, fields)]
    return [one for one in oauth_words if one[0]], api_words, next(filter(None, captchas), None)


def _text(value):
    return value if isinstance(value, str) else ""


def quoted(request_id):
    """Given a printable request id, or None, return it as it stands behind a sentence."""
    return N_(" (request id {request_id})", request_id=request_id) if request_id else ""


def printable(value, secrets=(), longest=LONGEST_WORDS_CHARACTERS):
    """Given text of the provider, return so many printable ASCII characters of it at most, without secrets; or None."""
    if not isinstance(value, str) or not value:
        return None
    for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may begin with another
        if len(secret) >= SHORTEST_SECRET_CHARACTERS:
            value = value.replace(secret, "[hidden]")
    return "".join(character if " " <= character <= "~" else "?" for character in value[:longest])
