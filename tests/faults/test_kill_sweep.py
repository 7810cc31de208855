"""SIGKILL before every system call between lock and exit: the pair survives, or the program says that it was lost.

It may be lost only once the request has left and the answer has not been written down: the window that nobody can
close. Of the calls that importing ``requests`` makes, under the lock but long before anything is written, one in a
hundred is taken.
"""

import pytest

from faults.episodes import EPISODES, LOST, NOT_ISSUED, SAVED
from faults.strace import WORKER, require_strace, run_with, share, trace_main, trace_worker

PARTS = 4
IMPORTS_TAKEN = 100  # one in so many
KILL = "signal=SIGKILL"
UNSTEADY = ("futex", "mmap", "munmap", "mremap", "brk", "madvise")  # how many there are differs between runs
WINDOW = ("ioctl", "poll", "recvfrom", "pwrite64")


def main_points(calls):
    """Given the Calls of the main thread, return those to kill at."""
    lock = next(index for index, call in enumerate(calls) if call.name == "flock")
    first_write = next(i for i, call in enumerate(calls) if i > lock and "O_CREAT" in call.text and ".tmp" in call.what)
    first_import, last_import = lock + 20, first_write - 20
    imports = [call for call in calls[first_import:last_import] if call.lot() // PARTS % IMPORTS_TAKEN == 0]
    return calls[lock:first_import] + imports + calls[last_import:]


def window(calls):
    """Given the Calls of the worker, return those between the request having left and the answer being written."""
    left = max(index for index, call in enumerate(calls) if call.name == "sendto")
    written = next(index for index, call in enumerate(calls) if call.name == "pwrite64")
    return calls[left + 1 : written + 1]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", EPISODES)
def test_a_kill_at_any_call_costs_no_pair_but_in_the_window(name, part, sandbox, tmp_path, note):
    require_strace()
    episode = EPISODES[name](sandbox, tmp_path / "state")
    log = tmp_path / "log"
    episode.begin()
    main = trace_main(episode.operator, episode.arguments, episode.input, log)
    episode.begin()
    worker = trace_worker(episode.operator, episode.arguments, episode.input, log)
    may_lose = [(call.name, call.nth) for call in window(worker)]
    assert {call for call, _nth in may_lose} <= set(WINDOW), may_lose

    for call in share(main_points(main) + worker, part, PARTS):
        episode.begin()
        ended = run_with(episode.operator, episode.arguments, episode.input, log, call, KILL)
        is_killed = ended.code is None
        # The main thread waits for the worker, and how often it wakes meanwhile differs: then the journal has to tell.
        is_waiting = call.name == "futex" and episode.is_issued() and not episode.has_answer()
        result = episode.end()
        is_in_window = call.thread == WORKER and (call.name, call.nth) in may_lose or is_waiting
        assert result != LOST or is_in_window, f"lost by a kill before {call}"
        assert is_killed or call.name in UNSTEADY, f"not killed before {call}: {ended}"
        where = "in the window" if is_in_window else call.thread + " thread"
        figures = {"killed": is_killed, "not reached": not is_killed}
        figures.update({verdict: result == verdict for verdict in (SAVED, NOT_ISSUED, LOST)})
        note(f"Killed before each call: {name}", f"{where}: `{call.name}`", {n: int(f) for n, f in figures.items()})
