"""Pair, what the last refresh came to, and now: is a refresh due, and if not, until when and why. Pure.

HeadHunter accepts a refresh token only after the access token has expired [130, 869]; waiting costs nothing, since an
unused refresh token does not age [838].
"""

from hhtoken import errors
from hhtoken.text import N_

MARGIN_SECONDS = 1  # between expiry and the request, for the rounding of both clocks
CLOCK_SLACK_SECONDS = 60
LONGEST_PAUSE_SECONDS = 3600  # what a stored wait may be at most; a longer one comes from a clock that leapt

# At most four requests an hour, whatever is wrong with our clock. The table is for a provider that does not say what
# time it is; where it does, the moment of expiry is known.
NOT_YET_PAUSES_SECONDS = (5, 60, 1800)
NOT_YET_LONGEST_PAUSE_SECONDS = 1200
NOT_YET_MARGIN_SECONDS = 2  # both Dates are cut to whole seconds

UNCLEAR_PAUSES_SECONDS = (0, 60, 300, 900, 3600)  # the first unclear answer may be a hiccup: the next run tries
# An outage of minutes is asked through each minute; a longer one not, but its end must not be missed for long either.
WEATHER_PAUSES_SECONDS = (0,) * 10 + (60, 120, 300, 600, 900)
REFUSED_PAUSES_SECONDS = (60, 300, 900, 3600)

UNCLEAR_PATIENCE_SECONDS = 24 * 3600

# What decide() returns.
DUE = "due"
NOT_DUE = "not_due"
WAITING = "waiting"
DEAD = "dead"
IMPOSSIBLE = "impossible"


class Decision:
    """``kind``: one of the constants above. ``until``: Unix seconds when it changes by itself, or None."""

    __slots__ = ("kind", "until")

    def __init__(self, kind, until=None):
        self.kind = kind
        self.until = until


def decide(pair, record, now, force=False):
    """Given the Pair, the Record of its last refresh (or None) and the Unix time, return the Decision.

    ``force`` asks the provider even before expiry and during a pause; a refresh token that the provider has called
    dead is not sent even then.
    """
    is_refused = record is not None and record.is_refused  # whatever we have computed: the API knows better
    if not is_clock_wrong(pair, now) and now < pair.expires_at and not force and not is_refused:
        return Decision(NOT_DUE, pair.expires_at)
    if not pair.refresh_token:
        is_over = force or is_refused or now >= pair.expires_at
        return Decision(IMPOSSIBLE) if is_over else Decision(NOT_DUE, pair.expires_at)
    if record and record.dead:
        return Decision(DEAD)
    if force:
        return Decision(DUE)
    # With an implausible clock (1970, or set back) the provider decides. A pause of a time that is still to come, or
    # longer than any of ours, was measured by a clock that has been set since.
    if record and record.at <= now < record.not_before <= now + LONGEST_PAUSE_SECONDS:
        return Decision(WAITING, record.not_before)
    return Decision(DUE)


def is_clock_wrong(pair, now):
    """Tell whether the Pair comes from the future: the clock is in 1970, or was set back."""
    return now < pair.obtained_at - CLOCK_SLACK_SECONDS


def resting_until(store, now):
    """Given a TokenStore, return until when there is nothing to do with its pair, in Unix seconds; None where there is.
    Raise what ``load`` raises."""
    if store.is_unsettled():
        return None
    pair = store.load().pair
    decision = decide(pair, store.refusal_of(pair), now)
    return decision.until if decision.kind == NOT_DUE else None


def next_refresh_at(pair, record, now):
    """Given the same, return the Unix seconds of the earliest refresh, or None where none is possible."""
    if not pair.refresh_token or record and record.dead:
        return None
    decision = decide(pair, record, now)
    return int(now) if decision.kind == DUE else decision.until


def margin_left(pair, now):
    """Given the Pair and the time, return how many seconds a due refresh still waits, from 0 to MARGIN_SECONDS."""
    left = pair.expires_at + MARGIN_SECONDS - now
    return left if 0 < left <= MARGIN_SECONDS else 0


def not_yet_pause(seconds_left, failures):
    """Given how long the access token is still valid by the provider's clock (None: unknown), and how often in a row it
    has said "not yet", return the seconds to wait."""
    if seconds_left is None:
        return pause(NOT_YET_PAUSES_SECONDS, failures)
    return min(seconds_left + NOT_YET_MARGIN_SECONDS, NOT_YET_LONGEST_PAUSE_SECONDS)


def pause(pauses, failures):
    """Given a table of pauses and how often in a row it has failed (1 or more), return the seconds to wait."""
    return pauses[min(failures, len(pauses)) - 1]


def why_unusable(store, pair, now, min_seconds=0):
    """Given the TokenStore, its Pair, the Unix time, and for how many more seconds its access token has to live, return
    the Error that says why it is not to be used, or None."""
    left, last = _life(store, pair, now)
    if left > 0 and left >= min_seconds:
        return None
    if left > 0:
        return errors.UnavailableError(
            N_(
                "the access token is valid for only {left} more seconds, fewer than the {wanted} asked for",
                left=left,
                wanted=min_seconds,
            ),
            N_("HeadHunter renews it only after it has expired; ask for fewer, or wait"),
        )
    if last and last.dead or not pair.refresh_token:
        return errors.AuthorizationNeededError(
            N_("the access token has expired, and it cannot be renewed any more"), errors.HINT_AUTHORIZE
        )
    if last and last.is_refused and pair.seconds_left(now):
        from hhtoken.provider import api_errors

        return errors.with_exit_code(*api_errors.REFUSALS[last.refused])
    return errors.UnavailableError(
        N_("the access token has expired"), N_("type 'hhtoken refresh', or use 'hhtoken show --refresh'")
    )


def seconds_left(store, pair, now):
    """Given the same, return for how many more seconds its access token is to be used."""
    return _life(store, pair, now)[0]


def _life(store, pair, now):
    left = pair.seconds_left(now)
    last = store.refusal_of(pair) if left else store.record_of(pair)
    if last and (last.is_refused or last.lives_on_until > now):
        left = max(0, int(last.lives_on_until - now))  # HeadHunter has said "not yet": our clock was wrong once
    return left, last
