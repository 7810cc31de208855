"""What a person at a terminal sees while something waits: what for, and how long still. Nobody else sees anything."""

import contextlib
import os
import time
from math import ceil

from hhtoken.console import durations, reporting, signals
from hhtoken.text import N_

UNTOLD_SECONDS = 1  # what is over sooner is not worth a line
LOOK_SECONDS = 1.0  # a signal that is only noted has to be answered while its sender still watches


@contextlib.contextmanager
def waiting(what):
    """Inside the ``with``, say what is waited for, a Text such as ``N_("waiting for the browser")``.

    Yield ``tick``, for the loop that waits to call whenever it wakes up: given the seconds left, it brings the line up
    to date, and returns how many of them the loop may sleep until the next time.
    """
    if not reporting.is_watched() or os.environ.get("TERM", "dumb") == "dumb":
        yield lambda left: _look_for_signals(what, max(0.0, left))
        return
    told_from = time.monotonic() + UNTOLD_SECONDS
    told = None  # the seconds that the line says

    def tick(left):
        nonlocal told
        whole = ceil(left)
        if time.monotonic() >= told_from and told != whole:
            with contextlib.suppress(Exception):  # no line is worth the answer that may be under way
                reporting.passing(what, N_(", {span} left", span=durations.span(max(0, whole))))
            told = whole
        return _look_for_signals(what, max(0.0, left - whole + 1 if left > 0 else 0.0))

    try:
        yield tick
    finally:
        reporting.passing(None)


def _look_for_signals(what, left):
    """Where signals are only noted, say once that one was, and why the wait goes on; return for how many of the seconds
    left the loop may sleep. A thread that has nothing at stake ends, as the main one would at once."""
    if not signals.is_main_thread():  # which has the word, since it waits for all
        if not signals.are_deferred():
            signals.end_if_asked()
        return min(LOOK_SECONDS, left)
    if not signals.are_deferred():
        return left
    with contextlib.suppress(Exception):  # as above
        name = signals.untold() if reporting.takes_more() else None
        if name:
            reporting.message(N_("{signal} is noted; {what}, since a pair is at stake", signal=name, what=what))
    return min(LOOK_SECONDS, left)


def sleep(what, seconds):
    """Sleep for so many seconds, saying why."""
    until = time.monotonic() + seconds
    with waiting(what) as tick:
        while time.monotonic() < until:
            time.sleep(tick(until - time.monotonic()))
