"""What timers, sockets and hooks use: ``refresh --wait``, a socket passed by systemd, ``notice``."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import requests
from conftest import AGENT, PROGRAM, activate, catches, obtain_pair, program_with, refreshes, wait_for
from support import PAIR

from hhtoken.commands.notice import is_new


def test_wait_renews_at_expiry(operator, sandbox):
    sandbox.provider.expires_in = 2
    operator.store(obtain_pair(sandbox), left=2, life=2)
    expires_at = operator.stored()["expires_at"]
    operator.run("refresh", "--wait", "50")
    assert refreshes(sandbox) == 1
    assert 0 <= operator.stored()["obtained_at"] - expires_at <= 30


def test_wait_does_not_wait_for_what_is_far_away(lonely):
    lonely.store(PAIR, left=1000, life=1000)
    started = time.monotonic()
    lonely.run("refresh", "--wait", "60")
    assert time.monotonic() - started < 40
    assert lonely.files() == ["token.json"]


def test_wait_holds_no_lock_and_ends_on_a_signal(operator, sandbox):
    operator.store(obtain_pair(sandbox), left=600, life=600)
    waiting = operator.start("refresh", "--wait", "1000")
    wait_for(lambda: catches(waiting, signal.SIGTERM), 60)
    operator.run("authorize-url")
    assert waiting.poll() is None
    waiting.terminate()
    _out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 143 and "SIGTERM" in err


def test_wait_asks_again_after_a_not_yet(operator, sandbox, expired):
    sandbox.weather.add("token_not_expired")
    started = time.monotonic()
    operator.run(
        "refresh", "--wait", "30", program=program_with("hhtoken.renewal.policy.NOT_YET_PAUSES_SECONDS = (2, 60)")
    )
    assert time.monotonic() - started > 1
    assert refreshes(sandbox) == 2 and operator.token_file.read_bytes() != expired


# -- refresh --is-due, which the minutely look is --


def looked(operator, *words, **environment):
    """Return the exit code of the minutely look, which says nothing and changes nothing."""
    before = [(path, path.stat().st_mtime_ns) for path in sorted(operator.state.rglob("*"))]
    done = subprocess.run(
        [*PROGRAM, "refresh", "--is-due", *words],
        env={**operator.environment, **environment},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert [(path, path.stat().st_mtime_ns) for path in sorted(operator.state.rglob("*"))] == before
    return done.returncode


@pytest.mark.parametrize("left, code", [(-2, 0), (30, 0), (62, 0), (70, 75), (1000, 75)])
def test_the_look_finds_a_pair_that_falls_due_in_time(lonely, left, code):
    lonely.store(PAIR, left=left, life=1000)
    assert looked(lonely, "--wait", "63") == code
    assert looked(lonely) == (0 if left < 0 else 75)


def test_the_look_finds_what_an_interrupted_refresh_left(lonely):
    lonely.store(PAIR, left=1000, life=1000)
    (lonely.state / "journal").write_text('{"kind": "refresh"}')
    (lonely.state / "journal").chmod(0o600)
    assert looked(lonely) == 0
    lonely.token_file.unlink()
    assert looked(lonely) == 0
    (lonely.state / "journal").write_text('{"kind": "revoke"}')
    assert looked(lonely) == 75, "no refresh gets anywhere with a pair that was revoked"


def test_the_look_finds_what_was_saved_in_a_runtime_directory(lonely, tmp_path):
    lonely.store(PAIR, left=1000, life=1000)
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    assert looked(lonely, RUNTIME_DIRECTORY=str(runtime)) == 75
    status = lonely.state.stat()
    rescued = runtime / f"journal.rescued-{status.st_dev:x}-{status.st_ino:x}"
    rescued.touch(0o600)
    assert looked(lonely, RUNTIME_DIRECTORY=str(runtime)) == 0
    rescued.rename(rescued.with_name("journal.rescued-of-another"))
    assert looked(lonely, RUNTIME_DIRECTORY=str(runtime)) == 75


def test_the_look_finds_nothing_to_do_where_no_refresh_gets_anywhere(operator, sandbox, expired):
    sandbox.weather.add("token_was_revoked")
    assert looked(operator, "--wait", "63") == 0
    operator.run("refresh", expect=77)
    assert looked(operator, "--wait", "63") == 75
    operator.store({"access_token": "ACCESS"}, left=30, life=60)
    assert looked(operator, "--wait", "63") == 75
    operator.token_file.write_text("{")
    assert looked(operator, "--wait", "63") == 75
    operator.token_file.unlink()
    assert looked(operator, "--wait", "63") == 75
    assert refreshes(sandbox) == 1


def test_the_look_waits_out_the_pause_after_a_failure(operator, sandbox, expired):
    sandbox.weather.add("rate_limit_absurd")
    operator.run("refresh", expect=75)
    not_before = json.loads((operator.state / "last-refresh.json").read_text())["not_before"]
    assert not_before > time.time() + 1, "the fault has a pause"
    assert looked(operator) == 75
    assert looked(operator, "--wait", str(int(not_before - time.time()) + 2)) == 0


def test_a_socket_from_systemd_is_used_and_stays_open_for_it(operator):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        address = operator.run("authorize-url").stdout.strip()
        back = requests.get(address, allow_redirects=False, headers=AGENT, timeout=60).headers["Location"]
        process = activate(operator, listener, "serve-callback")
        page = requests.get(f"http://127.0.0.1:{port}/callback?{back.partition('?')[2]}", timeout=60)
        assert page.status_code == 200
        _out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        operator.run("show", "--field", "access_token")
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_stray_visit_while_nothing_is_pending_changes_nothing_and_ends_soon(operator):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        impatient = program_with("hhtoken.commands.serve_callback.STRAY_VISIT_SECONDS = 0.5")
        process = activate(operator, listener, "serve-callback", program=impatient)
        started = time.monotonic()
        page = requests.get(f"http://127.0.0.1:{listener.getsockname()[1]}/callback?code=a&state=b", timeout=60)
        assert page.status_code == 400
        process.communicate(timeout=60)
        assert process.returncode == 0 and time.monotonic() - started < 40
        assert "token.json" not in operator.files()


def test_descriptors_meant_for_another_process_are_left_alone(operator):
    run = operator.run("serve-callback", "--timeout", "1", expect=75, LISTEN_PID="1", LISTEN_FDS="1")
    assert "waiting for the browser" in run.stderr


@pytest.fixture
def deactivated(operator, sandbox, expired):
    sandbox.weather.add("token_deactivated")
    operator.run("refresh", expect=77)
    return operator


def test_a_notice_tells_a_trouble_once_and_names_the_command_where_nothing_waits_for_the_browser(deactivated):
    notice = deactivated.run("notice", "--failed-with", "77").stdout
    assert "password" in notice and os.uname().nodename in notice
    assert "to do: type 'hhtoken login'" in notice and "http" not in notice
    assert deactivated.run("notice", "--failed-with", "77").stdout == ""
    assert "hhtoken login" in deactivated.run("notice", "--again").stdout
    assert "pending.json" not in deactivated.files(), "nobody was invited"


SYSTEMCTL = """#!/bin/sh
printf '%s\\n' Id=hh-token-callback.socket ActiveState={state} '' Id=hh-token-callback.service StateDirectory={name}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a directory where systemd would make one")
@pytest.mark.parametrize("state", ["active", "inactive"])
def test_a_notice_has_an_address_to_open_only_where_the_socket_of_systemd_is_open(deactivated, tmp_path, state):
    with tempfile.TemporaryDirectory(dir="/var/lib", prefix="hhtoken-test-") as place:
        shutil.copytree(deactivated.state, place, dirs_exist_ok=True)
        (tmp_path / "systemctl").write_text(SYSTEMCTL.format(state=state, name=os.path.basename(place)))
        (tmp_path / "systemctl").chmod(0o755)
        deactivated.environment.update(HHTOKEN_STATE_DIR=place, PATH=f"{tmp_path}:{os.environ['PATH']}")
        booted = program_with("hhtoken.renewal.systemd_units.RUNNING = '/'")
        notice = deactivated.run("notice", program=booted).stdout
        assert ("hhtoken login" in notice) == (state == "inactive")
        if state == "active":
            address = next(line for line in notice.splitlines() if line.startswith("http"))
            assert "notice --again" in notice
            back = requests.get(address, allow_redirects=False, headers=AGENT, timeout=60).headers["Location"]
            deactivated.run("exchange", input=back)
            assert deactivated.run("notice", program=booted).stdout == ""


def test_a_failure_that_left_no_record_is_told_by_its_exit_code(lonely):
    lonely.store(PAIR)
    assert lonely.run("notice", "--failed-with", "75").stdout == ""
    assert "ended with exit code 74" in lonely.run("notice", "--failed-with", "74").stdout
    assert lonely.run("notice", "--failed-with", "74").stdout == ""
    assert lonely.run("notice", "--failed-with", "TERM").stdout == ""


def test_a_notice_remembers_in_the_runtime_directory_when_systemd_gives_one(lonely, tmp_path):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    assert lonely.run("notice", RUNTIME_DIRECTORY=runtime).stdout
    assert (runtime / "last-notice.json").exists()
    assert lonely.run("notice", RUNTIME_DIRECTORY=runtime).stdout == ""


@pytest.mark.parametrize("damage", ["", "{", "[" * 100_000, '{"at": "now"}'])
def test_a_damaged_memory_of_notices_makes_them_new(lonely, damage):
    lonely.store(PAIR)
    (lonely.state / "last-notice.json").write_text(damage)
    (lonely.state / "last-notice.json").chmod(0o600)
    assert lonely.run("notice", "--failed-with", "74").stdout
    assert lonely.run("notice", "--failed-with", "74").stdout == ""


@pytest.mark.parametrize("minutes, told", [(30, False), (90, True)])
def test_temporary_trouble_is_told_once_it_has_lasted(lonely, minutes, told):
    lonely.store(PAIR, left=-60 * minutes)
    lonely.run("refresh", expect=75)
    assert bool(lonely.run("notice", "--failed-with", "75").stdout) is told


def test_the_same_trouble_is_told_again_after_a_day():
    for key, at, is_told in (("key", 1000 + 86399, False), ("key", 1000 + 86400, True), ("other", 1001, True),
                             ("key", 999, True)):  # fmt: skip
        assert is_new(key, {"key": "key", "at": 1000}, at) is is_told
    assert is_new("key", None, 0)
