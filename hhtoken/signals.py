"""Signals: an end at once while nothing is at stake, and a later one while a pair is in flight."""

import contextlib
import signal

from hhtoken import errors

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
DEFERRED = (*ENDING, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)

_noted = None  # the first ending signal that came while it was deferred
_is_untold = True
_before = {}
_deferred = []  # the handlers from before each of the deferrals that are under way


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
def deferred(numbers=DEFERRED):
    """Inside the ``with``, note signals and go on: the answer in flight is worth more than a prompt end."""
    previous = {number: signal.signal(number, _note) for number in numbers}
    _deferred.append(previous)
    try:
        yield
    finally:
        _deferred.remove(previous)
        for number, handler in previous.items():
            signal.signal(number, handler)


def are_deferred():
    """Tell whether signals are only noted now."""
    return bool(_deferred)


def in_child():
    """In a forked child, for which something else is at stake than for its parent: take the signals as the parent did
    before it deferred them. What is noted here is not told, since the parent tells it."""
    global _noted, _is_untold
    _noted, _is_untold = None, False
    if _deferred:
        for number, handler in _deferred[0].items():
            signal.signal(number, _end_once if handler is _end else handler)
    _deferred.clear()


def untold():
    """Return the name of the ending signal that was noted, once, for whoever tells the operator; else None."""
    global _is_untold
    if _noted is None or not _is_untold:
        return None
    _is_untold = False
    return signal.Signals(_noted).name


def _end(number, _frame):
    raise errors.Interrupted(signal.Signals(number).name)


def _end_once(number, frame):
    """A child hears of the end twice: from the terminal, and from its parent; it is at its end by then."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    _end(number, frame)


def end_was_asked():
    """Tell whether an ending signal came while it was deferred: what has been done counts, but nothing new begins."""
    return _noted is not None


def end_if_asked(hint=None):
    """Raise Interrupted where an ending signal came while it was deferred. ``hint``: where something was at stake."""
    if _noted is not None:
        end = errors.Interrupted(signal.Signals(_noted).name)
        end.hint = hint or end.hint
        raise end


def _note(number, _frame):
    global _noted
    if _noted is None and number in ENDING:
        _noted = number
