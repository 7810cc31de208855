"""What a refresh came to, judged from the answer and from how things stood before. Pure.

The question "temporary, or a matter for a human?" is decided here and in ``token_errors``, and nowhere else.
"""

from hhtoken import errors
from hhtoken.console import durations
from hhtoken.provider import token_errors
from hhtoken.provider.answer import http_date, object_in, request_id_of, wait_seconds
from hhtoken.provider.verdict import (
    HINT_APPLICATION,
    MISADDRESSED,
    REFUSED,
    TRY_LATER,
    UNCLEAR,
    printable,
    quoted,
)
from hhtoken.renewal import policy
from hhtoken.store import record
from hhtoken.store.record import Record, is_the_providers_word
from hhtoken.text import N_, joined

OUTCOME_OF = {  # any other kind needs an authorization
    token_errors.NOT_YET: record.NOT_YET,
    TRY_LATER: record.TRY_LATER,
    UNCLEAR: record.UNCLEAR,
    MISADDRESSED: record.MISCONFIGURED,
    token_errors.MISCONFIGURED: record.MISCONFIGURED,
}

FIXED_FIRST = (token_errors.ACCOUNT, token_errors.MISCONFIGURED, MISADDRESSED, REFUSED)  # before a login is of any use

PAUSES_OF = {
    UNCLEAR: policy.UNCLEAR_PAUSES_SECONDS,
    REFUSED: policy.REFUSED_PAUSES_SECONDS,
}


def saved(outcome, message, pair, answer, refresh_token_sha256, spent_sha256=None):
    """Given a Pair that has been saved, the Answer that it came in, its fingerprint, and that of the refresh token
    which was spent for it (None: none, or not known), return the Record of it."""
    request_id = printable(answer.request_id, (pair.access_token, pair.refresh_token))
    return Record(
        outcome=outcome,
        at=answer.received_at if isinstance(answer.received_at, int) else pair.obtained_at,
        message=message + quoted(request_id),
        http_status=answer.status or None,
        request_id=request_id,
        refresh_token_sha256=refresh_token_sha256,
        provider_ahead=_provider_ahead(answer, pair.obtained_at),
        lives_until=pair.expires_at,
        spent_sha256=spent_sha256,
        ask_first=answer.ask_first,
    )


def not_sent(error, intent, last, now):
    """Given the Error that kept a request from leaving, return the Record: nothing is spent."""
    hint = N_("{fix}; then type 'hhtoken refresh'", fix=error.hint)
    outcome = _continue(last, now, record.TRY_LATER, errors.TEMPFAIL, error.message, hint)
    outcome.refresh_token_sha256 = intent.get("refresh_token_sha256")
    return outcome


def error_of(outcome):
    """Given a Record, return the Error that a command ends with, or None where all is well."""
    return errors.with_exit_code(outcome.exit_code, outcome.message, outcome.hint) if outcome.exit_code else None


def sentence_of(outcome):
    """Given the Record of a refresh, return what it came to, in one sentence."""
    if outcome.exit_code:
        return outcome.message
    if outcome.outcome in (record.RENEWED, record.AUTHORIZED):
        until = durations.local(outcome.lives_until)
        return N_("{outcome}; the new access token is valid until {moment}", outcome=outcome.message, moment=until)
    if outcome.outcome == record.NOT_YET and outcome.lives_until in (0, outcome.not_before):  # HeadHunter gave no time
        moment = durations.local(outcome.not_before)
        return outcome.message + N_("; no new attempt before {moment}", moment=moment)
    until = outcome.lives_until if outcome.outcome == record.NOT_YET else outcome.not_before
    return outcome.message + N_(" until {moment}", moment=durations.local(until)) if until else outcome.message


def judge(answer, intent, last, now, secrets=(), pair=None):
    """Given an Answer without a pair, the intent, the Record before it (or None) and the time, return the Record.

    ``secrets``: values that may not be repeated, should the provider echo them. ``pair``: the Pair that was to be
    renewed, where it is known.
    """
    if answer.status and not 200 <= answer.status < 300:
        outcome = _refused(answer, last, now, secrets, intent.get("kind"))
    elif answer.status and answer.complete:
        outcome = _nonsense(answer, last, now)
    else:
        why = answer.failure or N_("the run was interrupted")
        lost = N_("outcome unknown: the request was sent, but its answer was lost ({why})", why=why)
        hint = N_("type 'hhtoken refresh --force': it tries once more")
        outcome = _continue(last, now, record.OUTCOME_UNKNOWN, errors.TEMPFAIL, lost, hint)
    if intent.get("kind") == record.CODE:
        outcome.exit_code = outcome.exit_code or errors.NOPERM  # "not yet" is no answer to a code
        if outcome.outcome in (record.OUTCOME_UNKNOWN, record.NONSENSE):
            outcome.hint = token_errors.HINT_AUTHORIZE
    outcome.refresh_token_sha256 = intent.get("refresh_token_sha256")
    outcome.http_status = answer.status or None
    outcome.ask_first = answer.ask_first or outcome.ask_first
    if not is_the_providers_word(outcome):
        outcome.perhaps_spent_at = outcome.perhaps_spent_at or intent.get("started_at") or int(now)
    outcome.request_id = printable(request_id_of(answer), secrets)
    outcome.message += quoted(outcome.request_id)
    if outcome.outcome == record.NOT_YET:
        left = _seconds_left(pair, answer, outcome, now)
        outcome.not_before = int(now) + policy.not_yet_pause(None if outcome.is_refused else left, outcome.failures)
        if pair and outcome.is_refused and pair.expires_at > now:  # the API has refused it, so that may be wrong
            outcome.lives_until = pair.expires_at
        elif pair:
            outcome.lives_until = outcome.not_before if left is None else int(now) + left
    return outcome


def _nonsense(answer, last, now):
    why = answer.failure or (N_("no token in it") if answer.body else N_("empty"))
    kept_aside = N_("it is kept aside in the state directory") if answer.body else ""
    message = joined("; ", [N_("the provider's answer makes no sense ({why})", why=why), kept_aside])
    hint = N_("{wait}; if it stays, {check}", wait=token_errors.HINT_WAIT, check=token_errors.HINT_ADDRESS)
    return _continue(last, now, record.NONSENSE, errors.DATAERR, message, hint)


def _refused(answer, last, now, secrets, kind):
    verdict = token_errors.judge(answer.status, object_in(answer.body), secrets)
    hint, meaning = _next_step(verdict, kind), verdict.meaning
    if kind != record.CODE and verdict.hint is token_errors.HINT_CREDENTIALS:  # of which a refresh sends none
        hint, meaning = HINT_APPLICATION, N_("HeadHunter does not accept the application of this token")
    name = OUTCOME_OF.get(verdict.kind, record.AUTHORIZATION_NEEDED)
    outcome = _continue(last, now, name, verdict.exit_code, meaning, hint)
    outcome.error, outcome.error_description = verdict.error, verdict.description
    outcome.dead = verdict.kind == token_errors.DEAD
    if token_errors.is_already_refreshed(verdict) and outcome.perhaps_spent_at:
        lost_at = durations.local(outcome.perhaps_spent_at)
        outcome.message = N_(
            "the answer to the refresh of {moment} was lost on the way, and with it the new pair", moment=lost_at
        )
        outcome.hint = token_errors.HINT_AUTHORIZE
    if verdict.kind != token_errors.NOT_YET:
        outcome.message += verdict.words
    if answer.location_host:
        lowered = [secret.lower() for secret in secrets if secret]
        host = printable(answer.location_host, [*secrets, *lowered])
        outcome.message += N_(", to {host}", host=host)
    pause = wait_seconds(answer.retry_after, now)
    if pause is None and verdict.kind in PAUSES_OF:
        pause = policy.pause(PAUSES_OF[verdict.kind], outcome.failures)
    if pause:
        outcome.not_before = int(now) + pause
    if verdict.kind == token_errors.NOT_YET:
        outcome.perhaps_spent_at = 0  # the access token is valid, so whatever got lost has spent nothing
    if verdict.kind == UNCLEAR and now - outcome.failing_since > policy.UNCLEAR_PATIENCE_SECONDS:
        outcome.exit_code, outcome.hint = errors.NOPERM, token_errors.HINT_AUTHORIZE
    return outcome


def _next_step(verdict, kind):
    """Given the Verdict on a refusal, and what kind of request was refused, return what to do, or None."""
    authorize = token_errors.HINT_AUTHORIZE
    if kind == record.CODE:  # which is used up
        is_fixed_first = verdict.kind in FIXED_FIRST and verdict.hint is not authorize
        return N_("{fix}; then {authorize}", fix=verdict.hint, authorize=authorize) if is_fixed_first else authorize
    if verdict.kind == token_errors.ACCOUNT:
        return N_("{fix}; then type 'hhtoken refresh'", fix=verdict.hint)
    return verdict.hint


def _continue(last, now, outcome, exit_code, message, hint):
    """Return a Record that continues the series of the one before it."""
    again = last is not None and last.outcome == outcome
    failures = last.failures + 1 if again else 1
    is_weather = outcome in (record.TRY_LATER, record.OUTCOME_UNKNOWN, record.NONSENSE)
    pause = policy.pause(policy.WEATHER_PAUSES_SECONDS, failures) if is_weather else 0
    return record.after(
        last,
        outcome=outcome,
        at=int(now),
        message=message,
        hint=hint,
        exit_code=exit_code,
        not_before=int(now) + pause if pause else 0,
        failures=failures,
        failing_since=last.failing_since if again else int(now),
    )


def _provider_ahead(answer, now):
    """Return by how many seconds the provider's clock is ahead of ours, 0 where it does not say."""
    moment = http_date(answer.date) if answer.date else None
    return int(moment - now) if moment else 0


def _seconds_left(pair, answer, outcome, now):
    """Given that the provider says "not yet", return how long the access token is still valid, or None.

    Our own estimate was wrong, since our clock has been set between the issue and now. The provider's clock was not:
    its Date then and its Date now tell how much of the life is left.
    """
    if not pair or not answer.date:
        return None
    expires_at = pair.provider_expires_at or pair.expires_at + outcome.provider_ahead
    left = int(expires_at - (now + _provider_ahead(answer, now)))
    return left if 0 < left <= pair.expires_at - pair.obtained_at else None
