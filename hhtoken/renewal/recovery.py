"""Settling what an interrupted run left in the journal, before anything new is begun. Under the store's lock."""

import time

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.provider.answer import Answer, pair_in
from hhtoken.renewal import judgement
from hhtoken.renewal.record_keeping import keep_evidence, received_at, report_saved
from hhtoken.store import record
from hhtoken.store.record import CODE, REFRESH, REVOKE
from hhtoken.store.token_store import fingerprint
from hhtoken.text import N_


def recover(store, clock=time.time):
    """Deal with every leftover; return a Record if a pair came out of it, else None. Raise StorageError."""
    recovered = None
    for intent, answer in store.leftovers():
        if answer is not None and pair_in(answer, received_at(intent, answer)):
            recovered = _promote(store, intent, answer) or recovered
        elif intent.get("kind") == REFRESH:
            _judge(store, intent, answer, clock())
        elif intent.get("kind") == REVOKE:
            _explain_revocation(store, intent, clock())
        else:
            keep_evidence(store, answer)
            reporting.trouble(N_("an exchange was interrupted before its whole answer came"))
    store.settle()
    return recovered


def _judge(store, intent, answer, now):
    """Write down what an interrupted refresh without a pair came to."""
    pair = _stored_pair(store)
    secrets = (pair.refresh_token, pair.access_token) if pair else ()
    last = store.record()
    if last and last.refresh_token_sha256 != intent.get("refresh_token_sha256"):
        last = None
    outcome = judgement.judge(answer or Answer(), intent, last, now, secrets)
    store.remember(outcome)  # or this run ends here: without it, nobody would know of the lost answer
    keep_evidence(store, answer)
    reporting.trouble(N_("an interrupted refresh: {outcome}", outcome=outcome.message))


def _explain_revocation(store, intent, now):
    """Write down, and say, that a revocation was interrupted: HeadHunter may have ended the pair that is still here."""
    pair = _stored_pair(store)
    if pair is None or fingerprint(pair.refresh_token) != intent.get("refresh_token_sha256"):
        return
    outcome = record.after(
        store.record_of(pair),
        outcome=record.OUTCOME_UNKNOWN,
        at=int(now),
        exit_code=errors.TEMPFAIL,
        message=N_("a revocation was interrupted, so HeadHunter may have ended this pair"),
        hint=N_("type 'hhtoken revoke' to end it, or 'hhtoken whoami' to see whether it is still valid"),
        refresh_token_sha256=intent["refresh_token_sha256"],
    )
    if not outcome.dead:  # else HeadHunter has said all that there is to say of it
        store.remember(outcome)
    reporting.event(outcome.message, reporting.WARNING)
    reporting.warning(outcome.message)
    reporting.message(outcome.hint, "hint: ")


def _promote(store, intent, answer):
    """Save a pair that an interrupted run received, unless it is in place already; return the Record or None."""
    stored = _stored_pair(store)
    pair = pair_in(answer, received_at(intent, answer), stored.refresh_token if stored else None)
    outcome = record.AUTHORIZED if intent.get("kind") == CODE else record.RENEWED
    recovered = N_("recovered the pair that an interrupted run had received")
    came = answer, outcome, recovered, intent.get("refresh_token_sha256")
    if stored and (stored.access_token, stored.refresh_token) == (pair.access_token, pair.refresh_token):
        if store.record_of(stored) is None:  # that run ended in between
            report_saved(store, stored, *came, is_news=False)
        store.publish()  # the run may have been killed before it had
        return None
    if stored and not _may_replace(stored, intent, pair):
        path = store.keep_pair(pair)
        sentence = N_(
            "the stored pair was replaced while a request was in flight; what that request received is in {path}",
            path=path,
        )
        reporting.event(sentence, reporting.ERROR)
        reporting.warning(sentence)
        return None
    in_place = store.save(pair, replaces=intent.get("refresh_token_sha256"))
    return report_saved(store, in_place, *came)


def _may_replace(stored, intent, pair):
    """A renewed pair takes the place of the one that was spent for it; a new grant, of anything older."""
    if intent.get("kind") == REFRESH:
        return intent.get("refresh_token_sha256") == fingerprint(stored.refresh_token)
    return stored.obtained_at <= pair.obtained_at


def _stored_pair(store):
    try:
        return store.load().pair
    except (errors.DataError, errors.AuthorizationNeededError):
        return None
