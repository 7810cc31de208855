"""The state of the token, why, and what to do next: a report as data, and its forms for programs. Pure."""

import json

from hhtoken import __version__, errors
from hhtoken.provider import api_errors, token_errors
from hhtoken.renewal import judgement, policy
from hhtoken.store import record
from hhtoken.store.opening import is_shared, where_else
from hhtoken.store.token_store import shared_elsewhere
from hhtoken.text import N_

SCHEMA = 1  # of the JSON form; grows only when a field changes its meaning or goes

# States, each with its sentence and what there is to do.
VALID = "valid"
DUE = "due"
IN_FLIGHT = "in_flight"
NOT_YET = "not_yet"
TRY_LATER = "try_later"
OUTCOME_UNKNOWN = "outcome_unknown"
AUTHORIZATION_NEEDED = "authorization_needed"
MISCONFIGURED = "misconfigured"
NO_PAIR = "no_pair"
DAMAGED = "damaged"
STATES = (
    VALID,
    DUE,
    IN_FLIGHT,
    NOT_YET,
    TRY_LATER,
    OUTCOME_UNKNOWN,
    AUTHORIZATION_NEEDED,
    MISCONFIGURED,
    NO_PAIR,
    DAMAGED,
)

STATE_AFTER = {
    record.NOT_YET: NOT_YET,
    record.TRY_LATER: TRY_LATER,
    record.UNCLEAR: TRY_LATER,
    record.NONSENSE: TRY_LATER,
    record.OUTCOME_UNKNOWN: OUTCOME_UNKNOWN,
    record.AUTHORIZATION_NEEDED: AUTHORIZATION_NEEDED,
    record.MISCONFIGURED: MISCONFIGURED,
}

HINT_REFRESH = N_("type 'hhtoken refresh', or let the timer do it")

# What is in flight, by the kind of its intent, and what to do about it.
UNSETTLED = {
    record.REFRESH: (
        N_("a refresh is under way, or was interrupted"),
        N_("type 'hhtoken refresh'; it waits, or clears up"),
    ),
    record.CODE: (
        N_("an authorization is under way, or was interrupted"),
        N_("type 'hhtoken refresh'; it waits, or clears up"),
    ),
    record.REVOKE: (
        N_("a revocation is under way, or was interrupted, so HeadHunter may have ended this pair"),
        N_("type 'hhtoken revoke' to end it, or 'hhtoken whoami' to see whether it lives"),
    ),
}


class Report:
    """``state``, ``reason``, ``next_step`` (or None), ``exit_code``; ``pair`` and ``last`` (a Record) or None."""

    __slots__ = ("state", "reason", "next_step", "exit_code", "pair", "last", "now")

    def __init__(self, state, reason, next_step, exit_code, pair, last, now):
        self.state = state
        self.reason = reason
        self.next_step = next_step
        self.exit_code = exit_code
        self.pair = pair
        self.last = last
        self.now = now

    @property
    def expires_at(self):
        """When the access token expires, in Unix seconds; later than computed where HeadHunter has said "not yet"."""
        if not self.pair:
            return 0
        told = self.last.lives_on_until if self.last else 0
        return max(self.pair.expires_at, told) if told > self.now else self.pair.expires_at

    @property
    def seconds_left(self):
        return max(0, int(self.expires_at - self.now))

    @property
    def is_usable(self):
        return self.seconds_left > 0 and not self.is_refused

    @property
    def is_refused(self):
        """Whether the access token lives, but HeadHunter is known to refuse it, and any other of this grant."""
        return self.seconds_left > 0 and self.last is not None and self.last.refused in api_errors.FOR_GOOD

    def why_refused(self):
        """Return the Error where ``is_refused``, else None."""
        return errors.with_exit_code(*api_errors.OAUTH[self.last.refused]) if self.is_refused else None


def look(store, now):
    """Given a TokenStore and the time, return the Report; raise StorageError where the store cannot be read."""
    last, in_flight = store.record(), _in_flight(store)
    try:
        pair = store.load().pair
    except errors.AuthorizationNeededError as error:
        if in_flight in (None, record.REVOKE):  # a revocation removes the pair first, its intent last
            return of_error(error, last, now)
        reason = N_("a run was interrupted before it had put its pair in place")
        return Report(IN_FLIGHT, reason, N_("type 'hhtoken refresh'"), errors.UNAVAILABLE, None, last, now)
    except errors.DataError as error:
        return of_error(error, last, now)
    report = of_pair(pair, store.record_of(pair), now, in_flight)
    if pair.assumed and report.state in (VALID, DUE):
        report.reason = N_("{state}; {assumed}", state=report.reason, assumed=pair.assumed)
    trouble = store.why_fixed() or (store.why_no_room() if _is_for_the_next_refresh(report) else None)
    return _in_want_of_room(report, trouble) if trouble else report


def _in_flight(store):
    """Return the kind of the request that is in flight, or was interrupted: a refresh, where that cannot be told; None
    where there is none."""
    if not store.has_journal():
        return None
    try:
        kinds = {intent.get("kind") for intent, _answer in store.leftovers()}
    except errors.Error:
        return record.REFRESH
    return kinds.pop() if len(kinds) == 1 and kinds <= set(UNSETTLED) else record.REFRESH


def _is_for_the_next_refresh(report):
    return not report.seconds_left and report.state in (DUE, NOT_YET, TRY_LATER, OUTCOME_UNKNOWN)


def _in_want_of_room(report, trouble):
    """Return the Report that says why the next refresh will not dare to ask for a new pair."""
    reason = N_("{state}; no new pair could be stored: {reason}", state=report.reason, reason=trouble.message)
    hint = N_("{mend}; the next run, or 'hhtoken refresh', then renews the pair", mend=trouble.hint)
    return Report(report.state, reason, hint, trouble.exit_code, report.pair, report.last, report.now)


def of_pair(pair, last, now, in_flight=None):
    """Given the Pair, the Record of its last refresh (or None), the time, and of which kind the request is that is in
    flight or was interrupted (or None), return the Report."""

    def report(state, reason, hint, exit_code):
        return Report(state, reason, hint, exit_code, pair, last, now)

    lives = report(VALID, N_("the access token lives"), None, errors.OK)
    if last and last.dead:
        return report(AUTHORIZATION_NEEDED, last.message, last.hint or token_errors.HINT_AUTHORIZE, errors.NOPERM)
    if in_flight:
        return report(IN_FLIGHT, *UNSETTLED[in_flight], errors.OK if lives.is_usable else errors.UNAVAILABLE)
    if lives.is_refused:  # after expiry the refresh has the word
        exit_code, reason, hint = api_errors.OAUTH[last.refused]
        state = AUTHORIZATION_NEEDED if exit_code == errors.NOPERM else MISCONFIGURED
        return report(state, reason, hint, exit_code)
    if not pair.refresh_token:
        reason = judgement.why_impossible(pair, now)
        return report(AUTHORIZATION_NEEDED, reason, token_errors.HINT_AUTHORIZE, errors.NOPERM)
    if lives.seconds_left:
        return lives
    if last and last.outcome in STATE_AFTER:
        state = STATE_AFTER[last.outcome] if last.exit_code != errors.NOPERM else AUTHORIZATION_NEEDED
        is_paused = policy.decide(pair, last, now).kind == policy.WAITING
        hint = last.hint or (judgement.HINT_PAUSE if is_paused else HINT_REFRESH)
        return report(state, last.message, hint, last.exit_code or errors.UNAVAILABLE)
    return report(DUE, N_("the access token has expired"), HINT_REFRESH, errors.UNAVAILABLE)


def of_error(error, last, now):
    """Given the Error that kept the pair from being read, return the Report."""
    state = NO_PAIR if error.exit_code == errors.NOPERM else DAMAGED
    return Report(state, error.message, error.hint, error.exit_code, None, last, now)


def misconfigured(report, error):
    """Given the Report of a pair, and the ConfigError that any renewal ends with, return the Report that says so."""
    return Report(MISCONFIGURED, error.message, error.hint, error.exit_code, report.pair, report.last, report.now)


def to_json(report, directory, ready=str):
    """Given the Report, the state directory, and what makes the commands in a sentence ready to be typed, return the
    JSON form; ``docs/reference.md`` describes its fields."""
    return json.dumps(to_fields(report, directory, ready), indent=2)


def to_fields(report, directory, ready):
    """The same, as a dict."""
    pair = report.pair
    return {
        "schema": SCHEMA,
        "state": report.state,
        "reason": report.reason,
        "usable": report.is_usable,
        "seconds_left": report.seconds_left,
        "obtained_at": pair.obtained_at if pair else None,
        "expires_at": report.expires_at if pair else None,
        "next_refresh_at": next_refresh_at(report),
        "last_refresh": report.last.as_dict() if report.last else None,
        "next_step": report.next_step and ready(report.next_step),
        "exit_code": report.exit_code,
        "state_directory": directory,
    }


def to_prometheus(reports):
    """Given pairs of an account, which becomes a label (None where none is named), and its Report, return the form for
    node_exporter's textfile collector."""
    groups = {"build_info": _header("build_info", "The version of hhtoken.")}
    groups["build_info"].append(_sample("build_info", {"version": __version__}, 1))
    for account, report in reports:
        label = {} if account is None else {"account": account}
        for name, help_text, samples in _metrics(report):
            group = groups.get(name) or groups.setdefault(name, _header(name, help_text))
            group.append("\n".join(_sample(name, {**label, **labels}, value) for labels, value in samples))
    return "\n".join(line for group in groups.values() for line in group)


def _header(name, help_text):
    return [f"# HELP hhtoken_{name} {help_text}", f"# TYPE hhtoken_{name} gauge"]


def _sample(name, labels, value):
    labels = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"hhtoken_{name}{{{labels}}} {value}" if labels else f"hhtoken_{name} {value}"


def _metrics(report):
    last = report.last
    pair = report.pair
    return [
        ("token_usable", "Whether there is an access token that lives.", [({}, int(report.is_usable))]),
        ("authorization_needed", "Whether a human must authorize.", [({}, int(report.exit_code == errors.NOPERM))]),
        (
            "token_expiry_timestamp_seconds",
            "When the access token expires, in Unix seconds; 0 where there is none.",
            [({}, report.expires_at)],
        ),
        (
            "token_obtained_timestamp_seconds",
            "When the pair was obtained, in Unix seconds; 0 where there is none.",
            [({}, pair.obtained_at if pair else 0)],
        ),
        (
            "next_refresh_timestamp_seconds",
            "When a refresh is possible, in Unix seconds; 0 where none ever is.",
            [({}, next_refresh_at(report) or 0)],
        ),
        (
            "last_refresh_timestamp_seconds",
            "When the last attempt was made, in Unix seconds; 0 for never.",
            [({}, last.at if last else 0)],
        ),
        ("refresh_failures", "Attempts that failed alike in a row.", [({}, _failures(last))]),
        ("state", "1 for the state that the token is in.", _state_samples(report)),
    ]


def _failures(last):
    return last.failures if last and last.exit_code else 0  # "not yet" is none


def _state_samples(report):
    return [({"state": state}, int(state == report.state)) for state in STATES]


def next_refresh_at(report):
    """Given the Report, return the Unix seconds of the earliest refresh, or None where none is possible."""
    return policy.next_refresh_at(report.pair, report.last, report.now) if report.pair else None


def in_view_of(report, settings):
    """Given the Report of a state directory, and the Settings, return the Report that knows of accounts and of other
    hosts, too. Nothing is sent. Raise ConfigError."""

    if report.state == NO_PAIR:
        report.next_step = where_else(settings) or report.next_step
    return in_view_of_hosts(report, settings, settings.state_directory())


def in_view_of_hosts(report, settings, directory):
    """Given the Report of any state directory, its path, and the Settings, return the Report that knows of other hosts.
    Raise ConfigError."""

    pair = report.pair
    if pair and pair.is_shared and not is_shared(settings) and report.exit_code != errors.NOPERM:
        return misconfigured(report, shared_elsewhere(directory))
    if pair and pair.is_shared and report.state == IN_FLIGHT:
        from hhtoken.store.etcd.comparison import mark_of

        mark = mark_of(pair)
        if mark and not mark.is_in_etcd:
            report.reason = N_("the new pair is safe here, and goes to etcd once that takes it")
            report.next_step = N_("once etcd answers, type 'hhtoken sync --once'")
    return report
