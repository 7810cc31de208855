"""Signals: an end at once while nothing is at stake, and a later one while a pair is in flight."""

import contextlib
import signal

from hhtoken import errors

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
DEFERRED = (*ENDING, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)

_noted = False


def end_on_signals():
    """Turn the ending signals into an Interrupted in the main thread, so that locks, ports and files are closed."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGTERM:  # nohup ignores SIGHUP
            signal.signal(number, _end)


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
    return _noted


def _note(number, _frame):
    global _noted
    _noted = _noted or number in ENDING
