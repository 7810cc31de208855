"""How do things stand: the state of the token, why, and what to do next, as data; and its forms for programs."""

import contextlib

from hhtoken import __version__, errors
from hhtoken.console import durations
from hhtoken.provider import api_errors, token_errors
from hhtoken.provider.verdict import RATE_LIMIT
from hhtoken.renewal import policy
from hhtoken.store import record
from hhtoken.store.opening import check, is_shared, where_else
from hhtoken.store.record import Record
from hhtoken.store.token_store import open_store, shared_elsewhere
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
STATES = {  # and the word for it
    VALID: N_("valid"),
    DUE: N_("due"),
    IN_FLIGHT: N_("in flight"),
    NOT_YET: N_("not yet"),
    TRY_LATER: N_("try later"),
    OUTCOME_UNKNOWN: N_("outcome unknown"),
    AUTHORIZATION_NEEDED: N_("login needed"),
    MISCONFIGURED: N_("misconfigured"),
    NO_PAIR: N_("not logged in"),
    DAMAGED: N_("damaged"),
}

# What the last refresh came to has the same names, but for two.
STATE_AFTER = {one: one for one in (NOT_YET, TRY_LATER, OUTCOME_UNKNOWN, AUTHORIZATION_NEEDED, MISCONFIGURED)}
STATE_AFTER.update({record.UNCLEAR: TRY_LATER, record.NONSENSE: TRY_LATER})

WAITS = (None, token_errors.HINT_WAIT, token_errors.HINT_RATE)  # of a record, where the moment is worth more

HINT_REFRESH = N_("type 'hhtoken refresh'")
HINT_CLEAR_UP = N_("type 'hhtoken refresh'; it waits, or clears up")

# What is in flight, by the kind of its intent, and what to do about it.
UNSETTLED = {
    record.REFRESH: (N_("a refresh is under way, or was interrupted"), HINT_CLEAR_UP),
    record.CODE: (N_("an authorization is under way, or was interrupted"), HINT_CLEAR_UP),
    record.REVOKE: (
        N_("a revocation is under way, or was interrupted, so HeadHunter may have ended this pair"),
        N_("type 'hhtoken revoke' to end it, or 'hhtoken whoami' to see whether it is still valid"),
    ),
}


def standing(pair, last, now, force=False):
    """Given the Pair, the Record of its last refresh (or None) and the time, return the Record to report as things
    stand, or None where a refresh is due."""
    decision = policy.decide(pair, last, now, force)
    if decision.kind == policy.DUE:
        return None
    if decision.kind == policy.NOT_DUE:
        return record.not_due(decision.until)
    if decision.kind == policy.IMPOSSIBLE:
        return Record(
            outcome=record.AUTHORIZATION_NEEDED,
            exit_code=errors.NOPERM,
            message=_why_impossible(pair.seconds_left(now) and not (last and last.is_refused)),
            hint=token_errors.HINT_AUTHORIZE,
        )
    if decision.kind == policy.WAITING and last.exit_code:
        waiting = Record(**last.as_dict())
        waiting.message += N_("; no new attempt before {moment}", moment=durations.local(decision.until))
        if last.exit_code == errors.NOPERM and last.hint:
            waiting.hint = N_("{hint}; to ask again at once, type 'hhtoken refresh --force'", hint=last.hint)
        else:
            waiting.hint = _hint_of_pause(last, decision.until)
        return waiting
    return last


def _hint_of_pause(last, until):
    hint = N_("type 'hhtoken refresh' after {moment}", moment=durations.local(until))
    if last.http_status == RATE_LIMIT:  # whoever asks at once gets the same, and a longer pause
        return hint
    return N_("{hint}, or 'hhtoken refresh --force' now", hint=hint)


def _why_impossible(is_valid):
    if is_valid:
        return N_("the access token is valid, but there is no refresh token to renew it")
    return N_("the access token has expired, and there is no refresh token to renew it")


class Report:
    """``state``, ``reason``, ``next_step`` (or None), ``exit_code``; ``pair`` and ``last`` (a Record) or None.
    ``renewed_by``: names of timers and cron tables of this machine, None: not looked for."""

    __slots__ = ("state", "reason", "next_step", "exit_code", "pair", "last", "now", "renewed_by")

    def __init__(self, state, reason, next_step, exit_code, pair, last, now):
        self.state = state
        self.reason = reason
        self.next_step = next_step
        self.exit_code = exit_code
        self.pair = pair
        self.last = last
        self.now = now
        self.renewed_by = None

    @property
    def expires_at(self):
        """When the access token expires, in Unix seconds; later than computed where HeadHunter has said "not yet"."""
        if not self.pair:
            return 0
        told = self.last.lives_on_until if self.last else 0
        if told > self.now and policy.is_clock_wrong(self.pair, self.now):
            return told  # by the same clock
        return max(self.pair.expires_at, told) if told > self.now else self.pair.expires_at

    @property
    def seconds_left(self):
        start = self.pair.obtained_at if self.is_clock_wrong else self.now
        return 0 if self.is_refused else max(0, int(self.expires_at - start))

    @property
    def is_clock_wrong(self):
        """Whether the clock tells nothing about this pair, and HeadHunter has not either."""
        return self.pair and policy.is_clock_wrong(self.pair, self.now) and self.expires_at == self.pair.expires_at

    @property
    def is_usable(self):
        return self.seconds_left > 0 and not self.is_clock_wrong

    @property
    def is_refused(self):
        """Whether the access token is valid by our clock, but HeadHunter's API was the last to speak and refuses it."""
        last = self.last
        return self.expires_at > self.now and last is not None and last.is_refused and last.lives_on_until <= self.now

    @property
    def next_refresh_at(self):
        """The Unix seconds of the earliest refresh, or None where none is possible."""
        return policy.next_refresh_at(self.pair, self.last, self.now) if self.pair else None


def look(store, now):
    """Given a TokenStore and the time, return the Report; raise StorageError where the store cannot be read."""
    last, in_flight = store.record(), _in_flight(store)
    try:
        pair = store.load().pair
    except errors.AuthorizationNeededError as error:
        if in_flight in (None, record.REVOKE):  # a revocation removes the pair first, its intent last
            return of_error(error, last, now)
        reason = N_("a run was interrupted before it had put its pair in place")
        return Report(IN_FLIGHT, reason, HINT_REFRESH, errors.UNAVAILABLE, None, last, now)
    except errors.DataError as error:
        return of_error(error, last, now)
    report = of_pair(pair, store.record_of(pair), now, in_flight)
    if pair.assumed and report.state in (VALID, DUE):
        report.reason = N_("{state}; {assumed}", state=report.reason, assumed=pair.assumed)
    is_next_refresh_at_stake = not report.is_usable and report.state in (DUE, NOT_YET, TRY_LATER, OUTCOME_UNKNOWN)
    trouble = store.why_fixed() or (store.why_no_room() if is_next_refresh_at_stake else None)
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


def _in_want_of_room(report, trouble):
    """Return the Report that says why the next refresh will not dare to ask for a new pair."""
    reason = N_("{state}; no new pair could be stored: {reason}", state=report.reason, reason=trouble.message)
    hint = N_("{fix}; then type 'hhtoken refresh'", fix=trouble.hint)
    return Report(report.state, reason, hint, trouble.exit_code, report.pair, report.last, report.now)


def of_pair(pair, last, now, in_flight=None):
    """Given the Pair, the Record of its last refresh (or None), the time, and of which kind the request is that is in
    flight or was interrupted (or None), return the Report."""

    def report(state, reason, hint, exit_code):
        return Report(state, reason, hint, exit_code, pair, last, now)

    valid = report(VALID, N_("the access token is valid"), None, errors.OK)
    if last and last.dead:
        return report(AUTHORIZATION_NEEDED, last.message, last.hint or token_errors.HINT_AUTHORIZE, errors.NOPERM)
    if in_flight:
        return report(IN_FLIGHT, *UNSETTLED[in_flight], errors.OK if valid.is_usable else errors.UNAVAILABLE)
    exit_code, refusal, hint = api_errors.REFUSALS[last.refused] if valid.is_refused else (None, None, None)
    if exit_code in (errors.NOPERM, errors.CONFIG):  # after expiry the refresh has the word
        return report(AUTHORIZATION_NEEDED if exit_code == errors.NOPERM else MISCONFIGURED, refusal, hint, exit_code)
    if not pair.refresh_token:
        reason = _why_impossible(valid.seconds_left)
        return report(AUTHORIZATION_NEEDED, reason, token_errors.HINT_AUTHORIZE, errors.NOPERM)
    if valid.is_clock_wrong:
        reason = N_("the clock of this machine is wrong: it is before the time at which this token was obtained")
        return report(DUE, reason, N_("set the clock: see 'date' and 'timedatectl'"), errors.UNAVAILABLE)
    if valid.is_usable:  # a token that the API has refused is not called valid, even if the token endpoint does
        return report(NOT_YET, last.message, None, errors.OK) if last and last.is_refused else valid
    if last and last.outcome in STATE_AFTER:
        state = STATE_AFTER[last.outcome] if last.exit_code != errors.NOPERM else AUTHORIZATION_NEEDED
        decision = policy.decide(pair, last, now)
        is_all_to_wait = decision.kind == policy.WAITING and last.hint in WAITS
        hint = _hint_of_pause(last, decision.until) if is_all_to_wait else last.hint or HINT_REFRESH
        return report(state, last.message, hint, last.exit_code or errors.UNAVAILABLE)
    return report(DUE, refusal or N_("the access token has expired"), HINT_REFRESH, errors.UNAVAILABLE)


def of_error(error, last, now):
    """Given the Error that kept the pair from being read, return the Report."""
    state = NO_PAIR if error.exit_code == errors.NOPERM else DAMAGED
    return Report(state, error.message, error.hint, error.exit_code, None, last, now)


def misconfigured(report, error):
    """Given the Report of a pair, and the ConfigError that any renewal ends with, return the Report that says so."""
    return Report(MISCONFIGURED, error.message, error.hint, error.exit_code, report.pair, report.last, report.now)


def to_fields(report, directory, ready=str):
    """Given the Report, the state directory, and what makes the commands in a sentence ready to be typed, return the
    fields of the JSON form, which ``docs/reference.md`` describes."""
    pair = report.pair
    return {
        "schema": SCHEMA,
        "state": report.state,
        "reason": report.reason,
        "usable": report.is_usable,
        "seconds_left": report.seconds_left,
        "obtained_at": pair.obtained_at if pair else None,
        "expires_at": report.expires_at if pair else None,
        "next_refresh_at": report.next_refresh_at,
        "renewed_by": report.renewed_by or [],
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
        states = [_sample("state", {**label, "state": state}, int(state == report.state)) for state in STATES]
        for name, help_text, value in _metrics(report):
            group = groups.get(name) or groups.setdefault(name, _header(name, help_text))
            group += states if name == "state" else [_sample(name, label, value)]
    return "\n".join(line for group in groups.values() for line in group)


def _header(name, help_text):
    return [f"# HELP hhtoken_{name} {help_text}", f"# TYPE hhtoken_{name} gauge"]


def _sample(name, labels, value):
    labels = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"hhtoken_{name}{{{labels}}} {value}" if labels else f"hhtoken_{name} {value}"


def _metrics(report):
    """Return ``[(name, help, value)]``; times are Unix seconds, and 0 where there is none."""
    last, pair = report.last, report.pair
    failures = last.failures if last and last.exit_code else 0  # "not yet" is none
    return [
        ("token_usable", "Whether there is a valid access token.", int(report.is_usable)),
        ("authorization_needed", "Whether a login is needed.", int(report.exit_code == errors.NOPERM)),
        ("token_expiry_timestamp_seconds", "When the access token expires; 0 without one.", report.expires_at),
        (
            "token_obtained_timestamp_seconds",
            "When the pair was obtained; 0 without one.",
            pair.obtained_at if pair else 0,
        ),
        ("next_refresh_timestamp_seconds", "When a refresh is possible; 0 for never.", report.next_refresh_at or 0),
        ("last_refresh_timestamp_seconds", "When the last attempt was made; 0 for never.", last.at if last else 0),
        (
            "renewers",
            "The number of this machine's timers and cron tables that renew it.",
            len(report.renewed_by or []),
        ),
        ("refresh_failures", "Attempts that failed alike in a row.", failures),
        ("state", "1 for the state that the token is in.", None),
    ]


def of_settings(settings, now):
    """Given the Settings and the time, return the Report of their pair, which knows of accounts and of other hosts.
    Nothing is sent. Raise StorageError."""
    directory = settings.state_directory()
    try:
        report = look(open_store(directory), now)
    except errors.AuthorizationNeededError as error:
        report = of_error(error, None, now)
    return in_view_of(report, settings, directory)


def in_view_of(report, settings, directory):
    """Given the Report of a pair, the Settings, and its state directory, return the Report that knows of accounts and
    of other hosts. Nothing is sent."""
    try:
        check(settings)
        if report.state == NO_PAIR and directory == settings.state_directory():
            with contextlib.suppress(errors.StorageError):
                report.next_step = where_else(settings) or report.next_step
        return _in_view_of_hosts(report, settings, directory)
    except errors.ConfigError as error:  # no renewal gets past it
        return misconfigured(report, error)


def _in_view_of_hosts(report, settings, directory):
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
