"""What is written down around a request: what it came to, what could not be used, that it is settled."""

import time

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.provider import api_errors
from hhtoken.renewal import judgement
from hhtoken.store.record import NOT_DUE, REFUSAL_KINDS, Record
from hhtoken.store.token_store import fingerprint
from hhtoken.text import N_


def report_saved(store, pair, answer, outcome, message, spent_sha256=None, is_news=True):
    """Write down, and if it is news log, that a Pair has been saved; return the Record of it. ``spent_sha256``: as in
    the Record."""
    if not pair.refresh_token:
        message = N_("{message}, but without a refresh token, so nobody can renew it", message=message)
    saved = judgement.saved(outcome, message, pair, answer, fingerprint(pair.refresh_token), spent_sha256)
    remember(store, saved)
    if is_news:
        assumed = f"; {pair.assumed}" if pair.assumed else ""
        reporting.event(f"{saved.message}; expires_at={pair.expires_at}{assumed}", reporting.NOTICE)
    return saved


def remember(store, outcome):
    """Write the Record down; tell whether that worked. It is a memory aid, never worth an error."""
    try:
        store.remember(outcome)
    except errors.StorageError as error:
        reporting.trouble(N_("{reason}; what this refresh came to is not remembered", reason=error.message))
        return False
    return True


def heed(store, pair, kind):
    """Write down what the API says of the access token of this Pair (the kind of a Verdict): a refusal makes it due,
    and is forgotten once it is accepted, or with the next pair. A memory aid, too: trouble is logged alone."""
    refused, now = kind if kind in REFUSAL_KINDS else None, time.time()
    if not refused and kind != api_errors.ACCEPTED:
        return
    try:
        known = store.refusal_of(pair)
        if refused == (known and known.refused) and not (known and known.lives_on_until > now):
            return
        with store.lock():
            if store.load().pair.access_token != pair.access_token:  # renewed meanwhile
                return
            known = store.record_of(pair) or Record(
                outcome=NOT_DUE,
                at=int(now),
                message=N_("nothing is due"),
                refresh_token_sha256=fingerprint(pair.refresh_token),
            )
            known.refused, known.refused_sha256 = refused, fingerprint(pair.access_token) if refused else None
            known.lives_until = 0 if refused else known.lives_until  # of an earlier "not yet"
            store.remember(known)
    except errors.Error as error:
        reporting.trouble(
            N_("{reason}; what HeadHunter says of the access token is not remembered", reason=error.message)
        )


def keep_evidence(store, answer):
    """Keep the body of an Answer that could not be used, if there is one."""
    if answer is None or not answer.body:
        return
    try:
        store.keep_answer(answer.body)
    except errors.StorageError as error:
        reporting.trouble(N_("{reason}; an answer that could not be used is not kept", reason=error.message))


def settle_quietly(store):
    """Clear the journal; where that fails, the next run finds that its pair is in place, and clears it then."""
    try:
        store.settle()
    except errors.StorageError as error:
        reporting.trouble(error.message)


def received_at(intent, answer):
    """Return when an Answer came, in Unix seconds; at the earliest, when its request was begun."""
    for moment in (answer.received_at, intent.get("started_at")):
        if isinstance(moment, int):
            return moment
    return int(time.time())
