"""Ending a pair: at HeadHunter first, then here, so that a failure on the way leaves the means to try again."""

import time

from hhtoken import errors
from hhtoken.console import reporting, signals
from hhtoken.provider import api_errors
from hhtoken.provider.transfer import NotSent
from hhtoken.renewal.record_keeping import heed, settle_quietly
from hhtoken.renewal.recovery import recover
from hhtoken.store.record import REVOKE
from hhtoken.store.token_store import fingerprint
from hhtoken.text import N_

# What HeadHunter says of a pair that cannot be used any more, by anybody.
ENDED = (api_errors.ACCEPTED, api_errors.REVOKED, api_errors.UNKNOWN_TOKEN, api_errors.APPLICATION_GONE)


def revoke(store, endpoint, clock=time.time):
    """Have HeadHunter end the stored pair, and remove it here once it is one of ``ENDED``; return the Verdict.

    ``endpoint``: an ApiEndpoint. Raise AuthorizationNeededError where there is no pair, DataError where it is damaged,
    StorageError where it could not be removed, TryLaterError where the lock is busy.
    """
    with store.lock():
        recover(store, clock)
        pair = store.load().pair
        endpoint.prepare()
        with signals.deferred():
            verdict = _revoke(store, pair, endpoint, clock)
    if verdict.kind not in ENDED:
        heed(store, pair, verdict.kind)
    return verdict


def remove(store, pair=None):
    """Remove the pair here alone. Raise TryLaterError where it is not this Pair any more; StorageError."""
    with store.lock():
        if pair and fingerprint(store.load().pair.refresh_token) != fingerprint(pair.refresh_token):
            raise errors.TryLaterError(
                N_("the pair was replaced meanwhile; nothing was removed"), N_("type 'hhtoken revoke' again")
            )
        store.forget()
    reporting.event("the pair was removed here, and not ended at HeadHunter", reporting.NOTICE)


def _revoke(store, pair, endpoint, clock):
    intent = {
        "kind": REVOKE,
        "refresh_token_sha256": fingerprint(pair.refresh_token),
        "started_at": int(clock()),
    }
    store.begin(intent).close()  # a crash from here on is explained by the next run
    try:
        answer = endpoint.invalidate(pair.access_token)
    except NotSent as error:
        settle_quietly(store)
        return api_errors.unreachable(error)
    verdict = api_errors.judge(answer, (pair.access_token, pair.refresh_token))
    if verdict.kind not in ENDED:
        settle_quietly(store)
        return verdict
    try:
        store.forget()
    except errors.Error as error:
        raise errors.with_exit_code(
            error.exit_code,
            N_("HeadHunter has ended the pair, but {reason}", reason=error.message),
            N_("{hint}; then type 'hhtoken revoke' again", hint=error.hint),
        ) from None
    reporting.event("the pair was ended at HeadHunter, and removed here", reporting.NOTICE)
    return verdict
