"""Power cuts under the real program, on a real mount: a file system that forgets what was not synced.

The model of ``crash_model`` knows the calls that this process makes; here the kernel hands them to a file system, from
a program that is killed by the cut. The next run must find a store that it can read, and the pair in it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.episodes import EPISODES, LOST, SAVED
from faults.strace import PROGRAM

NEVER = 10**9
# What is kept of all that was not synced; the seeds of ``forgetful_disk``.
KEPT = {"nothing is kept": 0, "all is kept": 1, "dice": 2}
WINDOW = ["write journal 4096", "write journal 2048", "fsync journal"]

pytestmark = pytest.mark.skipif(
    not os.environ.get("HHTOKEN_FAULTS_LONG"), reason="a part of make test-faults-long (FUSE)"
)


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "state"
    path.mkdir()
    server = subprocess.Popen([sys.executable, Path(__file__).with_name("forgetful_disk.py"), path])
    deadline = time.monotonic() + 20
    while not os.path.ismount(path):
        assert server.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)
    server.kill()  # it may wait for a request for ever
    server.wait()


def run(episode, disk, cut_at, seed):
    """Run the episode on a disk whose power fails at an operation; return the finished process and the operations."""
    episode.begin()
    os.setxattr(disk, "user.cut", f"{cut_at} {seed}".encode())
    words = [*PROGRAM, *episode.arguments]
    ended = subprocess.run(
        words, input=episode.input, env=episode.operator.environment, capture_output=True, text=True, timeout=60
    )
    return ended, os.getxattr(disk, "user.steps").decode().splitlines()


def window(steps):
    """Given the operations of an undisturbed run, return the numbers of those at which a cut may cost the pair: from
    the first byte of the answer to the sync that makes it durable."""
    head = steps.index("write journal 2048")
    return range(head, head + 3)


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("name", EPISODES)
def test_no_power_cut_costs_the_pair_but_in_the_window(name, kept, disk, sandbox, note):
    episode = EPISODES[name](sandbox, disk)
    ended, steps = run(episode, disk, NEVER, 0)
    assert ended.returncode == 0, ended
    may_lose = window(steps)
    assert [steps[number - 1] for number in may_lose] == WINDOW
    for number in range(1, len(steps) + 1):
        ended, _steps = run(episode, disk, number, KEPT[kept])
        assert ended.returncode < 0, (number, steps[number - 1], ended)
        figures = {"cuts": 1, "unreadable": 0}
        if name == "refresh":
            assert episode.operator.stored()["refresh_token"]
        episode.operator.run("status", expect=(0, 69, 75, 77), program=PROGRAM)
        result = episode.end()
        is_lost = result == LOST or result != SAVED and episode.is_issued()
        assert not is_lost or number in may_lose, (number, steps[number - 1])
        figures["lost in the window"] = int(is_lost)
        figures["lost outside it"] = 0
        note("Power cut on a file system that forgets", f"{name}: {kept}", figures)
