"""Is a refresh due, and if not, until when and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.pair import Pair
from hhtoken.renewal import policy
from hhtoken.renewal.policy import DEAD, DUE, IMPOSSIBLE, NOT_DUE, WAITING, decide
from hhtoken.store.record import Record

OBTAINED, EXPIRES = 100_000, 200_000


def pair(refresh_token="REFRESH"):
    fields = {"access_token": "ACCESS"}
    if refresh_token is not None:
        fields["refresh_token"] = refresh_token
    return Pair(fields, OBTAINED, EXPIRES)


def decided(now, last=None, force=False, refresh_token="REFRESH"):
    decision = decide(pair(refresh_token), last, now, force)
    return decision.kind, decision.until


EXPIRED = Record(refused="token_expired")


def pause(until, at=0):
    return Record(at=at, not_before=until)


@pytest.mark.parametrize(
    "now, last, force, expected",
    [
        # due from expiry on, and not a moment before
        *[(now, None, False, (NOT_DUE, EXPIRES)) for now in (OBTAINED, EXPIRES - 86400, EXPIRES - 1, EXPIRES - 0.001)],
        *[(now, None, False, (DUE, None)) for now in (EXPIRES, EXPIRES + 0.5, EXPIRES + 400 * 86400, EXPIRES * 1000)],
        *[(now, None, True, (DUE, None)) for now in (0, OBTAINED, EXPIRES - 1, EXPIRES)],
        # a pause is kept until its end, unless it comes from a clock that leapt, or was set back since
        *[(EXPIRES + 10, pause(EXPIRES + 10 + left), False, (WAITING, EXPIRES + 10 + left)) for left in (1, 60, 3600)],
        *[(EXPIRES + 10, pause(EXPIRES + 10 + left), False, (DUE, None)) for left in (-1, 0, 3601, 10**9)],
        *[(5000 + since, pause(5060, 5000), False, (WAITING, 5060)) for since in (0, 1, 59)],
        *[(5000 + since, pause(5060, 5000), False, (DUE, None)) for since in (60, -1, -5000)],
        (EXPIRES + 10, pause(EXPIRES + 20), True, (DUE, None)),
        (5001, pause(5060, 5000), True, (DUE, None)),
        (EXPIRES - 10, pause(EXPIRES - 5), False, (NOT_DUE, EXPIRES)),
        # a clock before the pair lets the provider decide; one that is a minute behind is plausible
        *[(now, None, False, (DUE, None)) for now in (0, 1000, OBTAINED - 61)],
        *[(now, None, False, (NOT_DUE, EXPIRES)) for now in (OBTAINED - 60, OBTAINED - 1)],
        # what the API calls expired is due, whatever we had computed
        (EXPIRES - 10, EXPIRED, False, (DUE, None)),
        (EXPIRES - 10, Record(refused="token_expired", not_before=EXPIRES - 5), False, (WAITING, EXPIRES - 5)),
        (EXPIRES - 10, Record(refused="token_revoked"), False, (DUE, None)),
    ],
)
def test_a_refresh_is_due_at_expiry_by_force_or_when_a_pause_is_over(now, last, force, expected):
    assert decided(now, last, force) == expected


@pytest.mark.parametrize("missing", [None, ""])
@pytest.mark.parametrize(
    "now, force, expected",
    [(EXPIRES - 1, False, NOT_DUE), (EXPIRES - 1, True, IMPOSSIBLE), (EXPIRES, False, IMPOSSIBLE),
     (0, True, IMPOSSIBLE), (0, False, NOT_DUE)],
)  # fmt: skip
def test_without_a_refresh_token_nothing_is_ever_due(now, force, expected, missing):
    assert decided(now, None, force, missing)[0] == expected


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("now", [0, OBTAINED - 61, OBTAINED, EXPIRES - 1, EXPIRES, EXPIRES + 10**9])
def test_a_dead_refresh_token_is_never_sent_again(now, force):
    is_fine_yet = not force and OBTAINED <= now < EXPIRES
    assert decided(now, Record(dead=True, at=now, not_before=now + 5), force)[0] == (NOT_DUE if is_fine_yet else DEAD)


@pytest.mark.parametrize(
    "seconds_left, failures, seconds",
    [
        (None, 1, 5),
        (None, 2, 60),
        (None, 3, 1800),
        (None, 9, 1800),
        (1, 5, 3),
        (60, 1, 62),
        (1199, 1, 1200),
        (10**6, 9, 1200),
    ],
)
def test_after_a_not_yet_the_wait_is_for_the_expiry_where_that_is_known(seconds_left, failures, seconds):
    assert policy.not_yet_pause(seconds_left, failures) == seconds


# -- always --


@QUICK
@given(
    st.floats(0, 400_000),
    st.none() | st.builds(Record, at=st.integers(0, 400_000), not_before=st.integers(0, 400_000), dead=st.booleans()),
    st.booleans(),
    st.sampled_from(["REFRESH", None]),
)
def test_a_decision_that_changes_by_itself_does_so_in_the_future(now, last, force, refresh_token):
    kind, until = decided(now, last, force, refresh_token)
    assert (until is not None) == (kind in (NOT_DUE, WAITING))
    assert until is None or now < until
    assert kind != WAITING or until - now <= 3600
    assert not (kind == DUE and refresh_token is None)


# -- the small arithmetic --


@pytest.mark.parametrize(
    "now, seconds",
    [
        (EXPIRES - 1000, 0),
        (EXPIRES - 0.5, 0),
        (EXPIRES, 1),
        (EXPIRES + 0.25, 0.75),
        (EXPIRES + 1, 0),
        (EXPIRES + 5, 0),
    ],
)
def test_a_due_refresh_waits_out_the_rounding_of_both_clocks(now, seconds):
    assert policy.margin_left(pair(), now) == seconds


@pytest.mark.parametrize("failures, seconds", [(1, 5), (2, 15), (3, 60), (4, 60), (1000, 60)])
def test_a_pause_grows_along_its_table_and_stays_at_the_last(failures, seconds):
    assert policy.pause((5, 15, 60), failures) == seconds


def test_every_table_of_pauses_grows_to_at_most_an_hour():
    for pauses in (policy.NOT_YET_PAUSES_SECONDS, policy.UNCLEAR_PAUSES_SECONDS, policy.REFUSED_PAUSES_SECONDS):
        assert list(pauses) == sorted(pauses)
        assert 0 <= pauses[0] and pauses[-1] <= policy.LONGEST_PAUSE_SECONDS == 3600
