"""Spending a one-time credential: a refresh token, or the code of an authorization, and never losing what comes back.

Both go the same way, under the store's lock: settle what an interrupted run left, look again, prove that a new pair
can be saved, put down the intent, send, put down the raw answer, and only then judge it and save. A signal in
between waits. The order is the product; ``docs/reliability.md`` has the reasons.
"""

import time

from hhtoken import errors, outcomes, provider_errors, record, refresh_policy, reporting, signals
from hhtoken.answer import Answer, pair_in
from hhtoken.token_endpoint import NotSent
from hhtoken.token_store import fingerprint

REFRESH, CODE = "refresh", "code"  # the kinds of intent

SEND_TRIES, SEND_PAUSE_SECONDS = 3, 2  # for a code that certainly did not leave: it lives for minutes only
RESCUE_SECONDS = 180  # how long the only copy of a pair is held in memory while no place takes it
RESCUE_REPORT_SECONDS = 30

HINT_AUTHORIZE = provider_errors.HINT_AUTHORIZE


def renew(store, endpoint, force=False, clock=time.time):
    """Renew the pair if it is due, and return the Record of what it came to.

    ``endpoint``: a TokenEndpoint. Raise AuthorizationNeededError where there is no pair, DataError where it is
    damaged, StorageError where a new one could not be saved, TryLaterError where the lock is busy.
    """
    if not store.is_unsettled():
        # Without the lock, since a run with nothing to do must write nothing.
        standing = _standing(store, force, clock())
        if standing:
            return standing
    with store.lock():
        recovered = recover(store, clock)
        if recovered:
            return recovered
        standing = _standing(store, force, clock())  # a peer may have renewed it while we waited for the lock
        if standing:
            return standing
        endpoint.prepare()
        time.sleep(refresh_policy.margin_left(store.load().pair, clock()))
        with signals.deferred():
            return _refresh(store, endpoint, clock)


def redeem(store, pending, entry, code, application, endpoint, clock=time.time):
    """Exchange the code of an authorization for a pair, save it, and return the Record of what it came to.

    ``pending``: the PendingAuthorizations; ``entry``: the one that the code belongs to, forgotten before the code is
    sent. ``application``: (client id, client secret). Raise StorageError and TryLaterError while nothing is spent.
    """
    with store.lock():
        recover(store, clock)
        if pending.find(entry["state"]) is None:
            raise errors.AuthorizationNeededError("this authorization was used already", HINT_AUTHORIZE)
        endpoint.prepare()
        with signals.deferred():
            return _exchange(store, pending, entry, code, application, endpoint, clock)


def recover(store, clock=time.time):
    """Deal with what an interrupted run left; return a Record if a pair came out of it, else None. Under the lock."""
    recovered = None
    for intent, answer in store.leftovers():
        if answer is not None and pair_in(answer, _received_at(intent, answer)):
            recovered = _promote(store, intent, answer) or recovered
        elif intent.get("kind") == REFRESH:
            outcome = outcomes.judge(answer or Answer(), intent, _stored_record(store, intent), clock())
            store.remember(outcome)  # or this run ends here: without it, nobody would know of the lost answer
            _keep_evidence(store, answer)
            reporting.event(f"an interrupted refresh: {outcome.message}", reporting.WARNING)
        else:
            reporting.event("an exchange was interrupted before its answer came", reporting.WARNING)
    store.settle()
    return recovered


def _standing(store, force, now):
    """Return the Record to report as things stand, or None where a refresh is due."""
    stored = store.load()
    return outcomes.standing(stored.pair, store.record_of(stored.pair), now, force)


def _refresh(store, endpoint, clock):
    stored = store.load()
    last = store.record_of(stored.pair)
    intent = {
        "kind": REFRESH,
        "refresh_token_sha256": fingerprint(stored.pair.refresh_token),
        "started_at": int(clock()),
    }
    form = {"grant_type": "refresh_token", "refresh_token": stored.pair.refresh_token}
    journal = store.begin(intent)
    try:
        answer = endpoint.post(form, journal)
    except NotSent as error:
        store.settle()
        outcome = outcomes.not_sent(error, intent, last, clock())
        _remember(store, outcome)
        return outcome
    finally:
        journal.close()
    pair = pair_in(answer, _received_at(intent, answer), stored.pair.refresh_token)
    if pair:
        return _save(store, pair, intent, answer, journal.durable, record.RENEWED, "renewed the pair")
    outcome = outcomes.judge(answer, intent, last, clock(), (stored.pair.refresh_token, stored.pair.access_token))
    _settle_without_pair(store, outcome, answer)
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
        store.settle()
        raise
    finally:
        journal.close()
    pair = pair_in(answer, _received_at(intent, answer))
    if pair:
        return _save(store, pair, intent, answer, journal.durable, record.AUTHORIZED, "stored a new pair")
    outcome = outcomes.judge(answer, intent, None, clock(), (code, client_secret, entry["verifier"]))
    outcome.hint = outcome.hint if outcome.exit_code == errors.CONFIG else HINT_AUTHORIZE
    _keep_evidence(store, answer)
    store.settle()
    reporting.event(f"the exchange of a code failed: {outcome.message}", reporting.ERROR)
    return outcome


def _post_persistently(endpoint, form, journal):
    for tries_left in reversed(range(SEND_TRIES)):
        try:
            return endpoint.post(form, journal)
        except NotSent as error:
            if not tries_left:
                error.hint = f"mend that first; the code is given up, so then {HINT_AUTHORIZE}"
                raise
            time.sleep(SEND_PAUSE_SECONDS)
    raise AssertionError("unreachable")


def _save(store, pair, intent, answer, journal_is_durable, outcome, message):
    """Save a new pair, whatever it takes, and return the Record. Raise StorageError once it is safe elsewhere."""
    _save_or_rescue(store, pair, intent, answer, journal_is_durable)
    saved = _report_saved(store, pair, answer, outcome, message)
    _settle_quietly(store)
    return saved


def _report_saved(store, pair, answer, outcome, message):
    saved = outcomes.saved(outcome, message, pair, answer, fingerprint(pair.refresh_token))
    _remember(store, saved)
    assumed = "; the answer named no life, 14 days are assumed" if pair.life_is_assumed else ""
    reporting.event(f"{saved.message}; expires_at={pair.expires_at}{assumed}", reporting.NOTICE)
    return saved


def _save_or_rescue(store, pair, intent, answer, journal_is_durable):
    deadline = time.monotonic() + RESCUE_SECONDS
    report_at = 0.0
    while True:
        try:
            store.save(pair, is_new_grant=intent.get("kind") == CODE)
            return
        except errors.StorageError as error:
            failure = error
        where = "the journal" if journal_is_durable else store.rescue(intent, answer)
        if where or time.monotonic() > deadline:
            break
        if time.monotonic() >= report_at:
            reporting.event(f"holding a new pair in memory: {failure.message}", reporting.ERROR)
            reporting.message(f"holding a new pair in memory, trying again: {failure.message}")
            report_at = time.monotonic() + RESCUE_REPORT_SECONDS
        time.sleep(1)
    if where is None:
        raise errors.StorageError(f"a new pair is lost, no place took it: {failure.message}", failure.hint)
    raise errors.StorageError(
        f"a new pair came but {failure.message}; it is safe in {where}",
        f"{failure.hint}; the next run, or 'hhtoken refresh', puts it in place",
    )


def _promote(store, intent, answer):
    """Save a pair that an interrupted run received, unless it is in place already; return the Record or None."""
    try:
        stored = store.load()
    except (errors.DataError, errors.AuthorizationNeededError):
        stored = None
    kept = stored.pair.refresh_token if stored else None
    pair = pair_in(answer, _received_at(intent, answer), kept)
    if stored and stored.pair.access_token == pair.access_token:
        return None
    if stored and intent.get("kind") == REFRESH and intent.get("refresh_token_sha256") != fingerprint(kept):
        path = store.keep_pair(pair)
        text = f"the stored pair was replaced while a refresh was in flight; what that refresh received is in {path}"
        reporting.event(text, reporting.ERROR)
        reporting.warning(text)
        return None
    is_new_grant = intent.get("kind") == CODE
    store.save(pair, is_new_grant)
    outcome = record.AUTHORIZED if is_new_grant else record.RENEWED
    return _report_saved(store, pair, answer, outcome, "recovered the pair that an interrupted run had received")


def _settle_without_pair(store, outcome, answer):
    """Put down what an answer without a pair came to, then clear the journal: it frees the room that it reserved."""
    if not _remember(store, outcome):
        _settle_quietly(store)
        _remember(store, outcome)
    if outcome.outcome in (record.OUTCOME_UNKNOWN, record.NONSENSE):
        _keep_evidence(store, answer)
    _settle_quietly(store)
    if outcome.outcome == record.NOT_YET:
        reporting.event(f"not yet: {outcome.message}", reporting.INFO)


def _remember(store, outcome):
    """Write the Record down; tell whether that worked. It is a memory aid, never worth an error."""
    try:
        store.remember(outcome)
    except errors.StorageError as error:
        reporting.event(f"{error.message}; what this refresh came to is not remembered", reporting.WARNING)
        return False
    return True


def _keep_evidence(store, answer):
    if answer is None or not answer.body:
        return
    try:
        store.keep_answer(answer.body)
    except errors.StorageError as error:
        reporting.event(f"{error.message}; an answer that could not be used is not kept", reporting.WARNING)


def _settle_quietly(store):
    """Clear the journal; where that fails, the next run finds that its pair is in place, and clears it then."""
    try:
        store.settle()
    except errors.StorageError as error:
        reporting.event(error.message, reporting.WARNING)


def _stored_record(store, intent):
    last = store.record()
    return last if last and last.refresh_token_sha256 == intent.get("refresh_token_sha256") else None


def _received_at(intent, answer):
    for moment in (answer.received_at, intent.get("started_at")):
        if isinstance(moment, int):
            return moment
    return int(time.time())
