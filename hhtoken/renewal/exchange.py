"""Spending a one-time credential: a refresh token, or the code of an authorization, and never losing what comes back.

Both go the same way, under the store's lock: settle what an interrupted run left, look again, prove that a new pair
can be saved, put down the intent, send, put down the raw answer, and only then judge it and save. A signal in
between waits. The order is the product; ``docs/reliability.md`` has the reasons.
"""

import time

from hhtoken import errors
from hhtoken.console import progress, reporting, signals
from hhtoken.provider.answer import pair_in
from hhtoken.provider.transfer import NotSent
from hhtoken.renewal import judgement, policy, report
from hhtoken.renewal.record_keeping import keep_evidence, received_at, remember, report_saved, settle_quietly
from hhtoken.renewal.recovery import recover
from hhtoken.store import record
from hhtoken.store.record import CODE, REFRESH
from hhtoken.store.token_store import NEW_GRANT, fingerprint
from hhtoken.text import N_

SEND_TRIES, SEND_PAUSE_SECONDS = 3, 2  # for a code that certainly did not leave: it lives for minutes only
RESCUE_SECONDS = 90  # with the deadline of an answer below the unit's TimeoutStopSec=
RESCUE_REPORT_SECONDS = 30


def renew(store, endpoint, force=False, clock=time.time):
    """Renew the pair if it is due, and return the Record of what it came to.

    ``endpoint``: a TokenEndpoint. Raise AuthorizationNeededError where there is no pair, DataError where it is
    damaged, StorageError where a new one could not be saved, TryLaterError where the lock is busy.
    """
    version = store.record_version()
    if not store.is_unsettled():
        # Without the lock, since a run with nothing to do must write nothing.
        pair, _last, standing = _look(store, force, clock())
        if standing and not (standing.exit_code and pair.is_shared):  # else look what other hosts have
            return standing
    with store.lock():
        is_unsettled = store.is_unsettled()
        recovered = recover(store, clock) if is_unsettled else None
        pair, last, standing = _look(store, force and not recovered, clock())
        if recovered and standing and standing.outcome == record.NOT_DUE:
            return recovered  # else it has expired since it came
        # A peer may have been at it while we waited for the lock: what it came to is our outcome, too.
        if standing is None and not is_unsettled and last and store.record_version() != version:
            standing = last if last.outcome != record.NOT_DUE else None
        if standing:
            return standing
        endpoint.prepare()
        time.sleep(policy.margin_left(pair, clock()))
        with store.claim(force or last is not None and last.is_refused, clock) as elsewhere:
            if elsewhere:
                return elsewhere
            signals.end_if_asked()
            with signals.deferred():
                return _refresh(store, pair, store.record_of(pair) if pair.is_shared else last, endpoint, clock)


def renew_for(user, store, endpoint):
    """Renew the pair if it is due, for a command that needs it valid; ``user`` names that in the log.

    Raise what ``renew`` raises, and the Error of a renewal that failed.
    """
    try:
        failure = judgement.error_of(renew(store, endpoint))
    except errors.TryLaterError as error:
        failure = error
    if isinstance(failure, errors.TryLaterError) and _is_usable(store):
        return  # nothing is due; what else there is to do is for a timer
    if failure:
        reporting.event(f"{user}: {failure.message}; {failure.hint or 'no hint'}", reporting.ERROR)
        raise failure


def _is_usable(store):
    try:
        return policy.why_unusable(store, store.load().pair, time.time()) is None
    except errors.Error:
        return False


def redeem(store, pending, entry, code, application, endpoint, clock=time.time):
    """Exchange the code of an authorization for a pair, save it, and return the Record of what it came to.

    ``pending``: the PendingAuthorizations; ``entry``: the one that the code belongs to, forgotten before the code is
    sent. ``application``: (client id, client secret). Raise StorageError and TryLaterError while nothing is spent.
    """
    with store.lock(replacing=NEW_GRANT):
        if store.is_unsettled():
            recover(store, clock)
        if pending.find(entry["state"]) is None:
            raise errors.AuthorizationNeededError(N_("this authorization was used already"), errors.HINT_AUTHORIZE)
        endpoint.prepare()
        with signals.deferred():
            return _exchange(store, pending, entry, code, application, endpoint, clock)


def _look(store, force, now):
    """Return the Pair, the Record of it (or None), and the Record to report as things stand; None where a refresh is
    due."""
    pair = store.load().pair
    last = store.record_of(pair)
    return pair, last, report.standing(pair, last, now, force)


def _refresh(store, pair, last, endpoint, clock):
    token = pair.refresh_token
    intent = {"kind": REFRESH, "refresh_token_sha256": fingerprint(token), "started_at": int(clock())}
    form = {"grant_type": "refresh_token", "refresh_token": token}
    journal = store.begin(intent)
    journal.ask_first = last and last.ask_first
    try:
        answer = endpoint.post(form, journal)
    except NotSent as error:
        settle_quietly(store)
        outcome = judgement.not_sent(error, intent, last, clock())
        remember(store, outcome)
        return outcome
    finally:
        journal.close()
    renewed = pair_in(answer, received_at(intent, answer), token)
    if renewed:
        return _save(store, renewed, intent, answer, journal.durable, record.RENEWED, N_("renewed the pair"))
    outcome = judgement.judge(answer, intent, last, clock(), (token, pair.access_token), pair)
    _close_without_pair(store, outcome, answer)
    return outcome


def _exchange(store, pending, entry, code, application, endpoint, clock):
    client_id, client_secret = application
    intent = {"kind": CODE, "started_at": int(clock())}
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "client_secret": client_secret,
        "code": code,
        "redirect_uri": entry["redirect_uri"],
        "code_verifier": entry["verifier"],
    }
    journal = store.begin(intent)
    try:
        pending.remove(entry)
        answer = _post_persistently(endpoint, form, journal)
    except errors.Error:
        settle_quietly(store)
        raise
    finally:
        journal.close()
    pair = pair_in(answer, received_at(intent, answer))
    if pair:
        return _save(store, pair, intent, answer, journal.durable, record.AUTHORIZED, N_("stored a new pair"))
    outcome = judgement.judge(answer, intent, None, clock(), (code, client_secret, entry["verifier"]))
    keep_evidence(store, answer)
    settle_quietly(store)
    return outcome


def _post_persistently(endpoint, form, journal):
    tries_left = SEND_TRIES
    while True:
        tries_left -= 1
        try:
            return endpoint.post(form, journal)
        except NotSent as error:
            if not tries_left:
                fix, authorize = error.hint, errors.HINT_AUTHORIZE
                error.hint = N_("{fix}; the code is given up, so then {authorize}", fix=fix, authorize=authorize)
                raise
        progress.sleep(N_("nothing was sent yet; waiting to try again"), SEND_PAUSE_SECONDS)


def _save(store, pair, intent, answer, journal_is_durable, outcome, message):
    """Save a new pair, whatever it takes, and return the Record. Raise StorageError once it is safe elsewhere."""
    spent = intent.get("refresh_token_sha256")
    try:
        in_place = store.save(pair, replaces=spent)
    except errors.StorageError as error:
        in_place = _save_or_rescue(store, pair, intent, answer, journal_is_durable, error)
    saved = report_saved(store, in_place, answer, outcome, message, spent)
    settle_quietly(store)
    return saved


def _save_or_rescue(store, pair, intent, answer, journal_is_durable, failure):
    deadline = time.monotonic() + RESCUE_SECONDS
    report_at = 0.0
    with progress.waiting(N_("waiting for a place that takes the new pair")) as tick:
        while True:
            where = N_("the journal") if journal_is_durable else store.rescue(intent, answer)
            if where or time.monotonic() > deadline:
                break
            if time.monotonic() >= report_at:
                holding = N_("holding a new pair in memory, trying again: {reason}", reason=failure.message)
                reporting.event(holding, reporting.ERROR)
                reporting.message(holding)
                report_at = time.monotonic() + RESCUE_REPORT_SECONDS
            time.sleep(min(1, tick(deadline - time.monotonic())))
            try:
                return store.save(pair, replaces=intent.get("refresh_token_sha256"))
            except errors.StorageError as error:
                failure = error
    if where is None:
        lost = N_("a new pair is lost, no place took it: {reason}", reason=failure.message)
        raise errors.StorageError(lost, failure.hint)
    raise errors.StorageError(
        N_("a new pair came but {reason}; it is safe in {place}", reason=failure.message, place=where),
        N_("{fix}; then 'hhtoken refresh' puts it in place", fix=failure.hint),
    )


def _close_without_pair(store, outcome, answer):
    """Put down what an answer without a pair came to, then clear the journal: it frees the room that it reserved."""
    if not remember(store, outcome):
        settle_quietly(store)
        remember(store, outcome)
    if outcome.outcome in (record.OUTCOME_UNKNOWN, record.NONSENSE):
        keep_evidence(store, answer)
    settle_quietly(store)
    if outcome.outcome == record.NOT_YET:
        reporting.event(f"not yet: {outcome.message}", reporting.INFO)
