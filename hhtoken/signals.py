"""Signals: an end at once while nothing is at stake, and a later one while a pair is in flight."""

import contextlib
import signal

from hhtoken import errors

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
DEFERRED = (*ENDING, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)

_noted = None  # the first ending signal that came while it was deferred
_before = {}


def end_on_signals():
    """Turn the ending signals into an Interrupted in the main thread, so that locks, ports and files are closed."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGTERM:  # nohup ignores SIGHUP
            _before.setdefault(number, signal.signal(number, _end))


def give_back():
    """Set every signal as the caller had it, for a program that takes our place."""
    for number, handler in _before.items():
        signal.signal(number, handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores from its start
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def deferred():
    """Inside the ``with``, note signals and go on: the answer in flight is worth more than a prompt end."""
    previous = {number: signal.signal(number, _note) for number in DEFERRED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(number, _frame):
    raise errors.Interrupted(signal.Signals(number).name)


def end_was_asked():
    """Tell whether an ending signal came while it was deferred: what has been done counts, but nothing new begins."""
    return _noted is not None


def end_if_asked():
    """Raise Interrupted where an ending signal came while it was deferred."""
    if _noted is not None:
        _end(_noted, None)


def _note(number, _frame):
    global _noted
    if _noted is None and number in ENDING:
        _noted = number
