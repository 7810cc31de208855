"""SIGKILL before every system call between lock and exit: the pair survives, or the program says that it was lost.

It may be lost only once the request has left and the answer has not been written down: the window that nobody can
close. Of the calls that importing ``requests`` makes, under the lock but long before anything is written, one in a
hundred is taken. An exchange, whoever starts it, goes the way of a refresh: outside the window, and outside
``make test-faults-long``, every other of its calls is taken.
"""

import pytest

from faults.episodes import EPISODES, LOST, NOT_ISSUED, SAVED
from faults.strace import (
    IS_LONG,
    MAIN,
    WORKER,
    require_strace,
    run_with,
    share,
    traces,
)
from hhtoken.store.token_store import JOURNAL_FILE

PARTS = 4
IMPORTS_TAKEN = 100  # one in so many
KILL = "signal=SIGKILL"
# How many of them there are differs between runs.
UNSTEADY = ("futex", "mmap", "munmap", "mremap", "brk", "madvise", "pselect6")
IMPORTING = (
    *("newfstatat", "read", "lseek", "openat", "close", "ioctl", "getdents64"),
    *("mmap", "munmap", "mremap", "mprotect", "brk"),
)
WINDOW = ("ioctl", "poll", "recvfrom", "close", "pwrite64")


def is_import(call):
    """Tell whether a call looks for a module, reads one, or makes room for it; the state directory is ours."""
    return call.name in IMPORTING and "/state" not in call.text


def main_points(calls):
    """Given the Calls of the main thread, return those to kill at."""
    lock = next(index for index, call in enumerate(calls) if call.name == "flock")
    first_write = next(i for i, call in enumerate(calls) if i > lock and "O_CREAT" in call.text and ".tmp" in call.what)
    first_import, last_import = lock + 20, first_write - 20
    imports = [
        call
        for call in calls[first_import:last_import]
        if not is_import(call) or call.lot() // PARTS % IMPORTS_TAKEN == 0
    ]
    return calls[lock:first_import] + imports + calls[last_import:]


def window(calls):
    """Given the Calls of the worker, return those between the request having left and the answer being written."""
    left = max(index for index, call in enumerate(calls) if call.name == "sendto")
    written = next(index for index, call in enumerate(calls) if call.name == "pwrite64")
    return calls[left + 1 : written + 1]


def waiting(calls):
    """Given the Calls of the main thread, return those from the start of the worker until it puts down the head of the
    answer itself."""
    start = max(index for index, call in enumerate(calls) if call.name.startswith("clone"))
    end = next(i for i, call in enumerate(calls) if i > start and call.name == "pwrite64" and call.what == JOURNAL_FILE)
    return calls[start:end]


class Tally:
    """Judges each kill of an episode, and adds it up in the table."""

    def __init__(self, episode, name, main, worker, note):
        self._episode, self._name, self._note = episode, name, note
        self._waiting = [(MAIN, call.name, call.nth) for call in waiting(main)]
        self._may_lose = [(WORKER, call.name, call.nth) for call in window(worker)]
        assert {name for _thread, name, _nth in self._may_lose} <= set(WINDOW), self._may_lose

    def is_wanted(self, call):
        """Tell whether to kill at this call."""
        is_taken = IS_LONG or self._name == "refresh" or call.lot() // PARTS % 2 == 0
        return is_taken or (call.thread, call.name, call.nth) in self._may_lose

    def add(self, call, ended):
        is_killed = ended.code is None
        here = (call.thread, call.name, call.nth)
        # How far the worker is for which the main thread waits differs: then the journal has to tell.
        is_waiting = (here in self._waiting or call.name == "futex") and not self._episode.has_answer()
        result = self._episode.end()
        is_in_window = here in self._may_lose or is_waiting and result == LOST
        assert result != LOST or is_in_window, f"lost by a kill before {call}"
        assert is_killed or call.name in UNSTEADY, f"not killed before {call}: {ended}"
        where = "in the window" if is_in_window else call.thread + " thread"
        figures = {"killed": is_killed, "not reached": not is_killed}
        figures.update({verdict: result == verdict for verdict in (SAVED, NOT_ISSUED, LOST)})
        title, row = f"Killed before each call: {self._name}", f"{where}: `{call.name}`"
        self._note(title, row, {column: int(figure) for column, figure in figures.items()})


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", EPISODES)
def test_a_kill_at_any_call_costs_no_pair_but_in_the_window(name, part, sandbox, tmp_path, note):
    require_strace()
    episode = EPISODES[name](sandbox, tmp_path / "state")
    log = tmp_path / "log"
    main, worker = traces(episode, log)
    tally = Tally(episode, name, main, worker, note)
    for call in filter(tally.is_wanted, share(main_points(main) + worker, part, PARTS)):
        episode.begin()
        tally.add(call, run_with(episode.operator, episode.arguments, episode.input, log, call, KILL))
