"""Signals: an end at once while nothing is at stake, and a later one while a pair is in flight."""

import contextlib
import resource
import signal
import threading
from contextvars import ContextVar

from hhtoken import errors

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
DEFERRED = (*ENDING, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)

_noted = None  # the first ending signal that came while it was deferred
_is_untold = True
_before = {}
_core_limits = resource.getrlimit(resource.RLIMIT_CORE)
_is_deferred = ContextVar("is_deferred", default=False)  # by this thread: a pair is in flight


def end_on_signals():
    """Turn the ending signals into an Interrupted in the main thread, so that locks, ports and files are closed. Also:
    no secret gets into a core dump, and the exit codes of children are heard of, which a parent may have ignored."""
    _limit_cores(0)
    _before.setdefault(signal.SIGCHLD, signal.signal(signal.SIGCHLD, signal.SIG_DFL))
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGTERM:  # nohup ignores SIGHUP
            _before.setdefault(number, signal.signal(number, _end))


def _limit_cores(size):
    if _core_limits[0] != 0:  # as by the units
        with contextlib.suppress(OSError, ValueError):  # where a filter of system calls forbids it
            resource.setrlimit(resource.RLIMIT_CORE, (size, _core_limits[1]))


def give_back():
    """Set all that as the caller had it, for a program that takes our place."""
    _limit_cores(_core_limits[0])
    for number, handler in _before.items():
        signal.signal(number, handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores from its start
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def deferred(numbers=DEFERRED):
    """Inside the ``with``, note signals and go on: the answer in flight is worth more than a prompt end. In another
    thread than the main one, it is for that to note them."""
    previous = {number: signal.signal(number, _note) for number in numbers} if is_main_thread() else {}
    token = _is_deferred.set(True)
    try:
        yield
    finally:
        _is_deferred.reset(token)
        for number, handler in previous.items():
            signal.signal(number, handler)


def are_deferred():
    """Tell whether signals are only noted now, as far as this thread is concerned."""
    return _is_deferred.get()


def is_main_thread():
    """Tell whether signals come here; any other thread has to look whether one is noted."""
    return threading.current_thread() is threading.main_thread()


def untold():
    """Return the name of the ending signal that was noted, once, for whoever tells the operator; else None."""
    global _is_untold
    if _noted is None or not _is_untold:
        return None
    _is_untold = False
    return signal.Signals(_noted).name


def _end(number, _frame):
    raise errors.Interrupted(signal.Signals(number).name, number)


def end_was_asked():
    """Tell whether an ending signal came while it was deferred: what has been done counts, but nothing new begins."""
    return _noted is not None


def end_if_asked(hint=None):
    """Raise Interrupted where an ending signal came while it was deferred. ``hint``: where something was at stake."""
    if _noted is not None:
        end = errors.Interrupted(signal.Signals(_noted).name, _noted)
        end.hint = hint or end.hint
        raise end


def _note(number, _frame):
    global _noted
    if _noted is None and number in ENDING:
        _noted = number
