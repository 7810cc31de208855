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


# -- without a record --


@pytest.mark.parametrize(
    "now, expected",
    [
        (OBTAINED, (NOT_DUE, EXPIRES)),
        (EXPIRES - 86400, (NOT_DUE, EXPIRES)),
        (EXPIRES - 1, (NOT_DUE, EXPIRES)),
        (EXPIRES - 0.001, (NOT_DUE, EXPIRES)),
        (EXPIRES, (DUE, None)),
        (EXPIRES + 0.5, (DUE, None)),
        (EXPIRES + 400 * 86400, (DUE, None)),
        (EXPIRES * 1000, (DUE, None)),
    ],
)
def test_a_refresh_is_due_from_expiry_on_and_not_a_moment_before(now, expected):
    assert decided(now) == expected


@pytest.mark.parametrize("now", [0, OBTAINED, EXPIRES - 1, EXPIRES])
def test_force_asks_even_before_expiry(now):
    assert decided(now, force=True) == (DUE, None)


@pytest.mark.parametrize("missing", [None, ""])
@pytest.mark.parametrize(
    "now, force, expected",
    [
        (EXPIRES - 1, False, (NOT_DUE, EXPIRES)),
        (EXPIRES - 1, True, (IMPOSSIBLE, None)),
        (EXPIRES, False, (IMPOSSIBLE, None)),
        (EXPIRES, True, (IMPOSSIBLE, None)),
        (0, True, (IMPOSSIBLE, None)),
    ],
)
def test_without_a_refresh_token_nothing_is_ever_due(now, force, expected, missing):
    assert decided(now, None, force, missing) == expected


def test_a_clock_at_1970_does_not_call_a_pair_without_refresh_token_expired():
    assert decided(0, None, refresh_token=None)[0] != IMPOSSIBLE


# -- after a refusal --


@pytest.mark.parametrize(
    "now, force, expected",
    [
        (0, False, DEAD),
        (OBTAINED - 61, False, DEAD),
        (OBTAINED, False, NOT_DUE),
        (OBTAINED, True, DEAD),
        (EXPIRES - 1, False, NOT_DUE),
        (EXPIRES - 1, True, DEAD),
        (EXPIRES, False, DEAD),
        (EXPIRES, True, DEAD),
        (EXPIRES + 10**9, False, DEAD),
        (EXPIRES + 10**9, True, DEAD),
    ],
)
def test_a_dead_refresh_token_is_never_sent_again(now, force, expected):
    assert decided(now, Record(dead=True, at=now, not_before=now + 5), force)[0] == expected


@pytest.mark.parametrize(
    "seconds_to_wait, kind",
    [(-1, DUE), (0, DUE), (1, WAITING), (60, WAITING), (3600, WAITING), (3601, DUE), (10**9, DUE)],
)
def test_a_pause_is_kept_unless_it_comes_from_a_clock_that_leapt(seconds_to_wait, kind):
    now = EXPIRES + 10
    until = now + seconds_to_wait
    assert decided(now, Record(not_before=until)) == (kind, until if kind == WAITING else None)


def test_force_ends_a_pause():
    assert decided(EXPIRES + 10, Record(not_before=EXPIRES + 20), force=True) == (DUE, None)


def test_a_pause_does_not_make_an_early_refresh_possible():
    assert decided(EXPIRES - 10, Record(not_before=EXPIRES - 5)) == (NOT_DUE, EXPIRES)


# -- implausible clocks --


@pytest.mark.parametrize("now", [0, 1000, OBTAINED - 61])
def test_a_clock_before_the_pair_lets_the_provider_decide(now):
    assert decided(now) == (DUE, None)


@pytest.mark.parametrize("now", [OBTAINED - 60, OBTAINED - 1])
def test_a_clock_that_is_a_minute_behind_is_plausible(now):
    assert decided(now) == (NOT_DUE, EXPIRES)


@pytest.mark.parametrize(
    "since, kind", [(0, WAITING), (1, WAITING), (59, WAITING), (60, DUE), (-1, DUE), (-(10**6), DUE)]
)
def test_a_pause_is_kept_until_its_end_or_until_the_clock_is_set_back(since, kind):
    for at in (5000, EXPIRES + 5000):
        last = Record(at=at, not_before=at + 60)
        assert decided(at + since, last) == (kind, at + 60 if kind == WAITING else None)


def test_force_asks_at_once_under_an_implausible_clock():
    assert decided(5001, Record(at=5000, not_before=5060), force=True) == (DUE, None)


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


@pytest.mark.parametrize("refused, kind", [("token_expired", DUE), ("token_revoked", NOT_DUE), (None, NOT_DUE)])
def test_what_the_api_calls_expired_is_due_whatever_we_had_computed(refused, kind):
    assert decided(EXPIRES - 10, Record(refused=refused))[0] == kind
    assert decided(EXPIRES - 10, Record(refused="token_expired", not_before=EXPIRES - 5)) == (WAITING, EXPIRES - 5)
