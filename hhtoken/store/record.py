"""What the last refresh came to: a record, to and from JSON. Pure; holds no secret, only a fingerprint."""

import json

from hhtoken import errors
from hhtoken.text import N_, Text, from_data, to_data

# What a refresh, or an authorization, came to.
RENEWED = "renewed"
AUTHORIZED = "authorized"
NOT_DUE = "not_due"
NOT_YET = "not_yet"
TRY_LATER = "try_later"
UNCLEAR = "unclear"  # try later, too, but a series of its own: it ends in asking a human
OUTCOME_UNKNOWN = "outcome_unknown"
AUTHORIZATION_NEEDED = "authorization_needed"
MISCONFIGURED = "misconfigured"
NONSENSE = "nonsense"

OUTCOMES = (
    RENEWED,
    AUTHORIZED,
    NOT_DUE,
    NOT_YET,
    TRY_LATER,
    UNCLEAR,
    OUTCOME_UNKNOWN,
    AUTHORIZATION_NEEDED,
    MISCONFIGURED,
    NONSENSE,
)
REFRESH, CODE, REVOKE = "refresh", "code", "revoke"  # the kinds of intent: what a request in flight is for
REFUSAL_KINDS = (
    "token_expired",
    "token_revoked",
    "bad_authorization",
    "application_not_found",
)  # keys of ``api_errors``
LATEST_SECONDS = 2**40  # far beyond any clock; what is later comes from damage

DEFAULTS = {
    "outcome": None,  # one of the above
    "at": 0,  # Unix seconds
    "message": N_("no details were kept"),
    "hint": None,
    "exit_code": 0,
    "error": None,  # the provider's own words, made printable
    "error_description": None,
    "http_status": None,
    "request_id": None,
    "refresh_token_sha256": None,  # which pair this is about
    "dead": False,  # the provider has called that refresh token dead
    "not_before": 0,  # Unix seconds; no earlier attempt
    "failures": 0,  # in a row, of the same outcome
    "failing_since": 0,  # Unix seconds
    "perhaps_spent_at": 0,  # Unix seconds of the first request whose answer did not come; 0: none
    "provider_ahead": 0,  # seconds by which the provider's clock was ahead of ours when the pair was issued
    "lives_until": 0,  # Unix seconds: as saved, or later, since "not yet" says that the access token is valid on
    "spent_sha256": None,  # the refresh token that this pair was made from, where that is known
    "ask_first": None,  # the token address for the next attempt; None: as configured
    "refused": None,  # how the API has refused the access token since: one of REFUSAL_KINDS
    "refused_sha256": None,  # which access token
}


class Record:
    """Attributes as in ``DEFAULTS``."""

    __slots__ = tuple(DEFAULTS)

    def __init__(self, **values):
        for name, default in DEFAULTS.items():
            setattr(self, name, values.get(name, default))

    @property
    def lives_on_until(self):
        """Until when the access token is valid by HeadHunter's "not yet", whatever we have computed; or 0."""
        return self.lives_until if self.outcome == NOT_YET else 0

    @property
    def is_refused(self):
        """Whether the API has refused the access token, so that a refresh is due whatever we have computed."""
        return self.refused in REFUSAL_KINDS

    def as_dict(self):
        return {name: getattr(self, name) for name in DEFAULTS}


# True of a pair, whatever else befalls it.
LASTING = ("dead", "perhaps_spent_at", "provider_ahead", "spent_sha256", "ask_first", "refused", "refused_sha256")


def after(last, **values):
    """Given the Record of a pair (or None) and the fields of what came next, return the Record of that: of ``LASTING``,
    what is not among the fields stays as it was."""
    known = {name: getattr(last, name) for name in LASTING} if last else {}
    return Record(**{**known, **values})


SENTENCES = ("message", "hint")


def to_text(record):
    """Given a Record, return the bytes of its file: the fields, and what the sentences in them were made of."""
    made_of = {name: to_data(getattr(record, name)) for name in SENTENCES}
    return (json.dumps({**record.as_dict(), "made_of": made_of}, indent=2) + "\n").encode()


def from_text(data):
    """Given the bytes of the file, return the Record; None for damage, since it is only a memory aid."""
    try:
        stored = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(stored, dict) or stored.get("outcome") not in OUTCOMES:
        return None
    values = {name: value for name, value in stored.items() if name in DEFAULTS and _fits(name, value)}
    made_of = stored.get("made_of")
    for name in SENTENCES:
        sentence = from_data(made_of.get(name)) if isinstance(made_of, dict) else None
        if isinstance(sentence, Text) and sentence == values.get(name):
            values[name] = sentence
    return Record(**values)


def _fits(name, value):
    default = DEFAULTS[name]
    if name == "exit_code":
        return type(value) is int and value in (errors.OK, *errors.CODES)
    if name == "http_status":
        return value is None or type(value) is int
    if default is None:
        return value is None or isinstance(value, str)
    if isinstance(default, str):
        return isinstance(value, str)
    if type(value) is not type(default) or isinstance(value, bool):
        return type(value) is type(default)
    return (-LATEST_SECONDS if name == "provider_ahead" else 0) <= value < LATEST_SECONDS


def may_have_spent(outcome):
    """Given the Record of a refresh, tell whether the request that it is of may have spent the refresh token, whatever
    an earlier one did: not where that did not leave, and not by a refusal that leaves the token alive."""
    if outcome.outcome == TRY_LATER and outcome.http_status is None:  # as of ``not_sent``
        return False
    return outcome.dead or not is_the_providers_word(outcome)


def is_the_providers_word(outcome):
    """Whatever stands in front of the provider can answer in place of an answer that got lost behind it."""
    return bool(outcome.error) and outcome.http_status < 500


def not_due(until):
    """Given Unix seconds, return the Record that says that nothing is due until then."""
    return Record(outcome=NOT_DUE, message=N_("nothing is due"), not_before=until)
