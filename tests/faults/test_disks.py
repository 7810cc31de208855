"""Real disks that are full, frozen or short of everything, and a process short of what it may use.

Found out before the request, whatever it is: nothing is sent, and the stored pair is the same, byte for byte. Or it
comes about during the request: then what was reserved beforehand has to do.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess

import pytest
from conftest import Operator, obtain_pair, refreshes, wait_for

from faults.disks import FILE_SYSTEMS, attribute, do, ext4, fill, tmpfs
from faults.strace import PROGRAM

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


def due(sandbox, path):
    """Return an Operator whose state directory holds a pair that is due, and the bytes of that pair."""
    operator = Operator(path, sandbox.environment())
    pair = obtain_pair(sandbox)
    sandbox.provider.expire()
    return operator, operator.store(pair)


def refuses(operator, sandbox, stored):
    """Assert that a refresh finds out that it could not save, and sends nothing."""
    run = operator.run("refresh", expect=74, program=PROGRAM)
    assert "hint: " in run.stderr and refreshes(sandbox) == 0, run
    assert operator.token_file.read_bytes() == stored


def status_tells(operator, why):
    """Assert that ``status`` finds out the same, without an attempt."""
    run = operator.run("status", expect=74, program=PROGRAM)
    assert f"no new pair could be stored: cannot write in {operator.state}: {why}" in run.stdout, run


def succeeds(operator, sandbox):
    operator.run("refresh", program=PROGRAM)
    assert refreshes(sandbox) == 1
    sandbox.provider.check_user_token(operator.stored()["access_token"])


def freeze(disk):
    return attribute(disk / "state", "i")


def doctor_tells(operator):
    """Return what ``doctor`` says of room in the state directory, as ``[(kind, sentence)]``."""
    found = json.loads(operator.run("doctor", "--json", expect=(0, 69, 74, 78), program=PROGRAM).stdout)["findings"]
    words = ("free on its disk", "could be stored", "read-only")
    return [
        (one["kind"], one["says"])
        for one in found
        if one["about"] == "state directory" and any(word in one["says"] for word in words)
    ]


def test_doctor_finds_room_a_problem_only_where_the_refresh_does(sandbox, tmp_path):
    with tmpfs(tmp_path / "disk", "size=1m") as disk:
        operator, stored = due(sandbox, disk / "state")
        [(kind, says)] = doctor_tells(operator)
        assert kind == "note" and says == "1.0 MiB are free on its disk"
        succeeds(operator, sandbox)
        stored = operator.token_file.read_bytes()
        fill(disk)
        before = sorted(operator.files())
        says = f"no new pair could be stored: cannot write in {operator.state}: no space left on device"
        assert doctor_tells(operator) == [("problem", says)]
        assert (sorted(operator.files()), operator.token_file.read_bytes()) == (before, stored)
        do("mount", "-o", "remount,ro", disk)
        assert doctor_tells(operator) == [("problem", f"its file system, {disk}, is read-only")]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_nearly_no_room_is_enough_or_nothing_is_sent(kind, sandbox, tmp_path, note):
    """With any amount of room: either all is refused, or the pair is saved."""
    with FILE_SYSTEMS[kind](tmp_path / "disk") as disk:
        for free in (1, 4, 8, 16, 32, 64, 68, 72, 96, 128, 192, 196, 200, 204, 208, 256):
            sandbox.reset()
            operator, stored = due(sandbox, disk / "state")
            (disk / "room").write_bytes(bytes(free * 1024))
            fill(disk)
            (disk / "room").unlink()
            before = operator.run("status", expect=(69, 74), program=PROGRAM)
            run = operator.run("refresh", expect=(0, 74), program=PROGRAM)
            if run.code:
                assert refreshes(sandbox) == 0 and operator.token_file.read_bytes() == stored, (free, run)
            else:
                assert before.code == 69, "status gives no false alarm"
                sandbox.provider.check_user_token(operator.stored()["access_token"])
            figures = {"saved": int(not run.code), "refused": int(run.code > 0)}
            note(f"Little room on a disk: {kind}", f"{free:3} KiB free", figures)
            do("rm", "-r", disk / "state", disk / "filling")


@pytest.mark.parametrize("kind, trouble, code", [("tmpfs", fill, 0), ("ext4", fill, 0), ("ext4", freeze, 74)])
def test_a_disk_that_fails_during_the_request_costs_nothing_that_reached_it(kind, trouble, code, sandbox, tmp_path):
    with FILE_SYSTEMS[kind](tmp_path / "disk") as disk:
        operator, stored = due(sandbox, disk / "state")
        sandbox.weather.add("slow")
        process = operator.start("refresh")
        wait_for(lambda: refreshes(sandbox) == 1)
        process.send_signal(signal.SIGSTOP)
        with trouble(disk) or contextlib.nullcontext():
            process.send_signal(signal.SIGCONT)
            _out, err = process.communicate(timeout=60)
            assert process.returncode == code, err
        assert code or operator.token_file.read_bytes() != stored
        operator.run("refresh", program=PROGRAM)
        assert refreshes(sandbox) == 1 and operator.token_file.read_bytes() != stored
        sandbox.provider.check_user_token(operator.stored()["access_token"])


@pytest.mark.parametrize("left", range(5))
def test_few_inodes_are_enough_or_nothing_is_sent(sandbox, tmp_path, left):
    with tmpfs(tmp_path / "disk", "size=1m", "nr_inodes=20") as disk:
        operator, stored = due(sandbox, disk / "state")
        made = []
        for number in range(20):
            try:
                (disk / f"file-{number}").touch()
                made.append(disk / f"file-{number}")
            except OSError:
                break
        for file in made[:left]:
            file.unlink()
        before = operator.run("status", expect=(69, 74), program=PROGRAM)
        run = operator.run("refresh", expect=(0, 74), program=PROGRAM)
        if run.code:
            assert refreshes(sandbox) == 0 and operator.token_file.read_bytes() == stored
        else:
            assert before.code == 69, "status gives no false alarm"
            sandbox.provider.check_user_token(operator.stored()["access_token"])


TROUBLES = {
    "no space left on device": (fill, lambda disk: (disk / "filling").unlink()),
    "read-only file system": (
        lambda disk: do("mount", "-o", "remount,ro", disk),
        lambda disk: do("mount", "-o", "remount,rw", disk),
    ),
}


@pytest.mark.parametrize("why", TROUBLES)
@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_a_full_disk_and_a_read_only_one_are_found_before_the_request(kind, why, sandbox, tmp_path):
    with FILE_SYSTEMS[kind](tmp_path / "disk") as disk:
        operator, stored = due(sandbox, disk / "state")
        begin, end = TROUBLES[why]
        begin(disk)
        status_tells(operator, why)
        refuses(operator, sandbox, stored)
        status_tells(operator, why)
        end(disk)
        operator.run("status", expect=69, program=PROGRAM)
        succeeds(operator, sandbox)


@pytest.mark.parametrize("name, letter", [("token.json", "i"), (".", "i"), (".", "a"), ("token.json", "a")])
def test_an_immutable_file_or_directory_is_found_before_the_request(name, letter, sandbox, tmp_path):
    with ext4(tmp_path / "disk") as disk:
        operator, stored = due(sandbox, disk / "state")
        with attribute(operator.state / name, letter):
            refuses(operator, sandbox, stored)
        succeeds(operator, sandbox)


def limited(operator, kind, most):
    """Run a refresh with a limit; return the finished process."""
    return subprocess.run(
        [*PROGRAM, "refresh"],
        env=operator.environment,
        preexec_fn=lambda: resource.setrlimit(kind, (most, most)),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("most", [0, 1, 100, 4096, 65536, 69631, 69632, 131071, 131072])
def test_a_limit_on_the_size_of_files_is_found_before_the_request(sandbox, tmp_path, most):
    operator, stored = due(sandbox, tmp_path / "state")
    run = limited(operator, resource.RLIMIT_FSIZE, most)
    assert "Traceback" not in run.stderr
    if run.returncode:
        assert run.returncode == 74 and refreshes(sandbox) == 0 and operator.token_file.read_bytes() == stored
        succeeds(operator, sandbox)
    sandbox.provider.check_user_token(operator.stored()["access_token"])


LIMITS = [(resource.RLIMIT_NOFILE, most) for most in range(3, 16)]
LIMITS += [(resource.RLIMIT_AS, most * 1024 * 1024) for most in range(12, 130, 4)]


@pytest.mark.parametrize("kind, most", LIMITS)
def test_a_limit_on_descriptors_or_memory_costs_no_pair(sandbox, tmp_path, kind, most):
    """Without what it needs, Python itself may not start; but what begins must end without a loss."""
    operator, stored = due(sandbox, tmp_path / "state")
    run = limited(operator, kind, most)
    is_issued = sandbox.provider.committed["refresh_token"] > 0
    if not is_issued:
        assert operator.token_file.read_bytes() == stored
    operator.run("refresh", program=PROGRAM)
    sandbox.provider.check_user_token(operator.stored()["access_token"])
    if "Traceback" in run.stderr or run.returncode not in (0, 65, 74, 75, 77, 78):
        assert not is_issued, run.stderr
        is_pythons = "SystemError" in run.stderr  # without memory CPython has defects of its own
        assert is_pythons or "hhtoken/" not in run.stderr and "defect" not in run.stderr, run.stderr
