"""Times and spans for people."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.console import durations

SPANS = {0.9: "0 seconds", 1: "1 second", 59.9: "59 seconds", 61: "1 minute 1 second", 3600: "1 hour", 7200: "2 hours",
         90000: "1 day 1 hour", 1209600: "14 days", 1209599: "13 days 23 hours"}  # fmt: skip
MOMENTS = {"UTC": "14 22:13:20 +0000", "Europe/Moscow": "15 01:13:20 +0300", "America/New_York": "14 17:13:20 -0500"}


@pytest.mark.parametrize("seconds, text", SPANS.items())
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


@pytest.mark.parametrize("name, text", MOMENTS.items())
def test_a_moment_is_said_in_local_time_with_its_offset(monkeypatch, name, text):
    monkeypatch.setitem(os.environ, "TZ", name)
    time.tzset()
    try:
        assert durations.local(1_700_000_000.9) == f"2023-11-{text}"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("moment", [10**12, 10**18, 10**30, -(10**18), float("inf"), float("nan")])
def test_a_moment_beyond_every_calendar_is_said_all_the_same(moment):
    assert durations.local(moment)
