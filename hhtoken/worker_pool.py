"""A fixed number of forked workers that share a list of items, so that the crash of one costs one item.

Processes, not threads: each has a main thread, where signals are deferred while a pair is in flight, and what dies in
one of them does not die in the others. The parent hands out one item at a time, so it knows what a dead worker had.
"""

import collections
import gc
import json
import os
import selectors
import signal
import socket

from hhtoken import errors, reporting, signals
from hhtoken.wording import N_

LOOK_SECONDS = 1.0  # for a signal that was noted while nothing came from the workers


class _Worker:
    """``pid``; ``channel``: the socket to it; ``answers``: the same, for reading lines; ``number``: of its item."""

    def __init__(self, pid, channel):
        self.pid = pid
        self.channel = channel
        self.answers = channel.makefile("rb")
        self.number = None

    def close(self):
        self.answers.close()
        self.channel.close()


def results(work, items, jobs, of_the_dead):
    """Call ``work`` for each of the items, ``jobs`` at once, and yield what each call returns, in the items' order.

    ``work`` runs in a worker, and returns what JSON can hold. ``of_the_dead``: given an item, and the exit code of the
    worker that died of it (negative: the signal that killed it), returns what is yielded for it. Where the system has
    no room for so many workers, fewer do the work; raise OSError where it has none for a single one. Where an ending
    signal is noted, the workers get it, too, nothing new begins, and what came of all that had begun is yielded; where
    the caller stops, they end as well, and are waited for: each saves the pair that it has in flight.
    """
    waiting = collections.deque(range(len(items)))
    ready, following = {}, 0
    gc.freeze()  # pages of the parent's objects stay shared
    with selectors.DefaultSelector() as crew:
        try:
            while waiting or crew.get_map():
                _pass_on_the_end(crew, waiting)
                _staff(crew, waiting, jobs, work, items)
                for key, _events in crew.select(LOOK_SECONDS):
                    _pass_on_the_end(crew, waiting)
                    worker = key.data
                    line = worker.answers.readline()
                    if line.endswith(b"\n"):
                        ready[worker.number] = json.loads(line)
                        _continue(crew, worker, waiting)
                    else:
                        ready[worker.number] = of_the_dead(items[worker.number], _dismiss(crew, worker))
                while following in ready:
                    yield ready.pop(following)
                    following += 1
        finally:
            with signals.deferred():
                _end(crew)
                for key in list(crew.get_map().values()):
                    _dismiss(crew, key.data)


def _pass_on_the_end(crew, waiting):
    """Where an ending signal was noted, let nothing new begin, say so once, and let the workers end with what they have
    in flight."""
    if signals.end_was_asked():
        waiting.clear()
    name = signals.untold()
    if name:
        reporting.message(N_("{signal} is noted; waiting for what is in flight", signal=name))
        _end(crew)


def _end(crew):
    for key in list(crew.get_map().values()):
        os.kill(key.data.pid, signal.SIGTERM)


def _staff(crew, waiting, jobs, work, items):
    """Hire workers up to the number of jobs, each for an item that waits. Raise OSError where there is none."""
    while waiting and len(crew.get_map()) < jobs:
        try:
            worker = _hire(crew, work, items)
        except OSError:  # no room for another process, at this moment
            if not crew.get_map():
                raise
            return
        _hand_over(worker, waiting.popleft())


def _continue(crew, worker, waiting):
    """Give a worker its next item, or let it go where there is none."""
    if waiting:
        _hand_over(worker, waiting.popleft())
    else:
        _dismiss(crew, worker)


def _hand_over(worker, number):
    worker.number = number
    try:
        worker.channel.sendall(b"%d\n" % number)
    except OSError:
        pass  # it has died; reading its answer tells


def _hire(crew, work, items):
    ours, theirs = socket.socketpair()
    # No signal may end the child before it is in its ``try``: it would go up the parent's stack.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)
    try:
        pid = os.fork()
        if pid == 0:
            _be_worker(crew, ours, theirs, before, work, items)
        worker = _Worker(pid, ours)
        crew.register(ours, selectors.EVENT_READ, worker)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return worker


def _be_worker(crew, ours, theirs, signal_mask, work, items):
    """Be the child, to the end: this does not return."""
    code = errors.TEMPFAIL  # wherever a signal ends it
    try:
        signals.in_child()
        signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
        for key in crew.get_map().values():  # else their workers would not hear that the parent has gone
            key.data.close()
        ours.close()
        _serve(theirs, work, items)
        code = errors.OK
    except errors.Interrupted:
        pass
    except Exception as defect:
        code = errors.DEFECT
        reporting.defect(defect)
    finally:
        os._exit(code)  # nothing of the parent's may run in the child


def _serve(channel, work, items):
    for line in channel.makefile("rb"):
        answer = json.dumps(work(items[int(line)])).encode() + b"\n"
        try:
            channel.sendall(answer)
        except OSError:
            return  # nobody listens any more
        if signals.end_was_asked():
            return


def _dismiss(crew, worker):
    """Let a worker end, and return its exit code; negative: the signal that killed it."""
    crew.unregister(worker.channel)
    worker.close()
    return os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
