"""Times and spans for people."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.console import durations


@pytest.fixture
def zone(monkeypatch):
    def set_zone(name):
        monkeypatch.setitem(os.environ, "TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 seconds"),
        (0.9, "0 seconds"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (61, "1 minute 1 second"),
        (3599, "59 minutes 59 seconds"),
        (3600, "1 hour"),
        (3661, "1 hour 1 minute"),
        (7200, "2 hours"),
        (86400, "1 day"),
        (90000, "1 day 1 hour"),
        (1209600, "14 days"),
        (1209599, "13 days 23 hours"),
    ],
)
def test_a_span_is_said_in_at_most_two_units(seconds, text):
    assert durations.span(seconds) == text


@QUICK
@given(st.integers(0, 10**12))
def test_the_larger_unit_comes_first_and_none_is_zero(seconds):
    words = durations.span(seconds).split()
    units = [word.rstrip("s") for word in words[1::2]]
    assert len(words) in (2, 4)
    assert units == sorted(units, key=["day", "hour", "minute", "second"].index)
    assert seconds == 0 or "0" not in words[::2]
    assert all((count == "1") != unit.endswith("s") for count, unit in zip(words[::2], words[1::2]))


@pytest.mark.parametrize(
    "name, text",
    [
        ("UTC", "2023-11-14 22:13:20 +0000"),
        ("Europe/Moscow", "2023-11-15 01:13:20 +0300"),
        ("America/New_York", "2023-11-14 17:13:20 -0500"),
    ],
)
def test_a_moment_is_said_in_local_time_with_its_offset(zone, name, text):
    zone(name)
    assert durations.local(1_700_000_000) == text
    assert durations.local(1_700_000_000.9) == text


@pytest.mark.parametrize("moment", [10**12, 10**18, 10**30, -(10**18), float("inf"), float("nan")])
def test_a_moment_beyond_every_calendar_is_said_all_the_same(moment):
    assert durations.local(moment)
