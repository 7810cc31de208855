"""Many processes, signals, closed descriptors, no syslog: what the surroundings do to a run."""

import ast
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import (
    PROGRAM,
    come_back,
    has_open,
    obtain_pair,
    program_with,
    received,
    refreshes,
    run_with_syslog,
    wait_for,
)
from rough_provider import HeldUp, answering, http
from support import PAIR, ROOT

from hhtoken.store.token_store import open_store


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_hundred_refreshes_at_once_send_one_request(operator, sandbox, expired):
    processes = [operator.start("refresh") for _ in range(100)]
    results = [finish(process) for process in processes]
    assert [code for code, _out, _err in results] == [0] * 100, {err for _code, _out, err in results}
    assert refreshes(sandbox) == 1
    operator.run("show", "--field", "access_token")


def test_who_waited_for_a_failure_takes_part_in_it(operator, expired):
    held_up = HeldUp(*[b""] * 10)
    with answering(held_up) as provider:
        processes = [operator.start("refresh", HH_TOKEN_URL=provider.url) for _ in range(10)]
        wait_for(lambda: all(has_open(process, operator.state / ".lock") for process in processes))
        held_up.may_answer.set()
        assert [finish(process)[0] for process in processes] == [75] * 10
        assert len(provider.requests) == 1


def test_a_file_size_limit_is_found_before_anything_is_sent(operator, sandbox, expired):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    finished = subprocess.run(
        [*PROGRAM, "refresh"], env=operator.environment, preexec_fn=limit, capture_output=True, text=True
    )
    assert finished.returncode == 74 and refreshes(sandbox) == 0
    assert operator.token_file.read_bytes() == expired


def test_a_missing_requests_is_said_before_the_listener_waits(operator, sandbox, expired):
    root = os.path.dirname(os.path.dirname(PROGRAM[-1]))
    program = (
        f"import sys; sys.path.insert(0, {root!r}); sys.modules['requests'] = None\n"
        "from hhtoken.main import main; sys.exit(main())"
    )
    for command in ("serve-callback", "refresh"):
        run = operator.run(command, expect=78, program=[sys.executable, "-I", "-c", program])
        assert run.stderr.rstrip().endswith(("apt install python3-requests", "-m pip install requests"))
    assert operator.token_file.read_bytes() == expired and "journal" not in operator.files()


def test_a_lock_held_for_long_is_temporary_and_names_its_holder(operator, expired):
    held_up = HeldUp(b"")
    with answering(held_up) as provider:
        holder = operator.start("refresh", HH_TOKEN_URL=provider.url)
        assert held_up.was_asked.wait(30)
        run = operator.run(
            "refresh", expect=75, program=program_with("hhtoken.store.file_lock.LOCK_WAIT_SECONDS = 0.5")
        )
        assert f"process {holder.pid} has held the lock" in run.stderr and "for over 0.5 seconds" in run.stderr
        held_up.may_answer.set()
        assert finish(holder)[0] == 75
    assert operator.token_file.read_bytes() == expired


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_waiting_for_the_lock_ends_at_once(operator, sandbox, expired, number):
    with open_store(str(operator.state)).lock():
        process = operator.start("refresh")
        wait_for(lambda: has_open(process, operator.state / ".lock"))
        process.send_signal(number)
        code, _out, err = finish(process)
    assert code == 128 + number and "interrupted" in err and "Traceback" not in err
    assert refreshes(sandbox) == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM", "SIGPIPE"])
def test_a_signal_during_the_request_waits_until_the_pair_is_saved(operator, sandbox, expired, name):
    sandbox.weather.add("slow")
    process = operator.start("refresh")
    wait_for(lambda: "journal" in operator.files())
    for _ in range(5):
        process.send_signal(getattr(signal, name))
        time.sleep(0.1)
    code, _out, err = finish(process)
    assert code == 0, err
    assert operator.token_file.read_bytes() != expired


def with_descriptors(operator, redirections, *arguments):
    """Run hhtoken through a shell with such redirections; return (exit code, stderr)."""
    line = " ".join(f"'{word}'" for word in (*PROGRAM, *arguments)) + " " + redirections
    finished = subprocess.run(
        ["bash", "-c", line], env=operator.environment, capture_output=True, text=True, timeout=30
    )
    return finished.returncode, finished.stderr


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "| (exec <&-; sleep 0.5); exit ${PIPESTATUS[0]}"])
@pytest.mark.parametrize("command", ["show --field access_token", "status", "--help", "--version"])
def test_a_result_that_nobody_can_have_is_one_line_and_not_success(lonely, redirection, command):
    lonely.store(PAIR, left=1000, life=1000)
    code, err = with_descriptors(lonely, redirection, *command.split())
    assert code == 74 and len(err.splitlines()) == 1 and "standard output" in err
    assert with_descriptors(lonely, f"{redirection.replace('|', '2>&- |')} 2>&-", *command.split())[0] == 74


def test_closed_descriptors_do_not_hit_the_files(operator, sandbox, expired):
    code, _err = with_descriptors(operator, "<&- >&- 2>&-", "refresh")
    assert code == 0
    assert operator.stored()["refresh_token"] != json.loads(expired)["refresh_token"]
    operator.run("show", "--field", "access_token")


@pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null"])
def test_a_standard_input_that_cannot_be_read_is_wrong_usage_for_exchange(operator, redirection):
    code, err = with_descriptors(operator, redirection, "exchange")
    assert code == 2 and "standard input" in err


def test_an_empty_environment_works(lonely):
    lonely.store(PAIR, left=1000, life=1000)
    finished = subprocess.run(
        [*PROGRAM, "show", "--field", "access_token", "--state-dir", str(lonely.state)],
        env={},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "ACCESS\n", "")


def test_an_event_is_one_line_in_syslog_with_the_request_id_and_no_secret(operator, sandbox, expired, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        sandbox.weather.add("html_503")
        assert run_with_syslog(operator, tmp_path / "log", "refresh").returncode == 75
        (line,) = received(log)
        assert line.startswith("<11>") and " hhtoken[" in line and "503" in line and "request id" in line
        assert run_with_syslog(operator, tmp_path / "log", "refresh").returncode == 0
        (line,) = received(log)
        assert line.startswith("<13>") and "renewed the pair" in line and "request id" in line
        for secret in (*json.loads(expired).values(), *operator.stored().values()):
            if isinstance(secret, str) and secret.startswith("USER"):
                assert secret not in line
        run_with_syslog(operator, tmp_path / "log", "refresh")
        run_with_syslog(operator, tmp_path / "log", "show")
        assert received(log) == [], "nothing happened, so nothing is said"


def test_trouble_is_in_syslog_and_where_there_is_none_on_standard_error(operator, sandbox, expired, tmp_path):
    trouble = "last-refresh.json: is a directory; what this refresh came to is not remembered"
    (operator.state / "last-refresh.json").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        assert "not remembered" not in run_with_syslog(operator, tmp_path / "log", "refresh", "--force").stderr
        assert [trouble in line for line in received(log)] == [True, False], "the other: it was renewed"
    sandbox.provider.expire()
    said = run_with_syslog(operator, tmp_path / "no-log", "refresh", "--force").stderr.splitlines()
    assert [trouble in line for line in said] == [True, False] and said[0].startswith("hhtoken: warning: ")


def test_what_is_said_and_logged_is_said_once(operator, sandbox, expired, tmp_path):
    operator.environment["HHTOKEN_PUBLISH"] = str(tmp_path / "absent" / "access_token")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        said = run_with_syslog(operator, tmp_path / "log", "refresh").stderr
        logged = [line for line in received(log) if "is not published" in line]
        assert len(logged) == 1 and "there is no directory" in logged[0] and "install -d" in logged[0]
    for without_syslog in (said, run_with_syslog(operator, tmp_path / "no-log", "refresh").stderr):
        assert without_syslog.count("is not published") == without_syslog.count("install -d") == 1


def test_a_syslog_that_does_not_read_delays_nothing(operator, sandbox, expired, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as w:
        log.bind(str(tmp_path / "log"))
        w.setblocking(False)
        try:
            while True:
                w.sendto(b"x" * 1000, str(tmp_path / "log"))
        except BlockingIOError:
            pass
        assert run_with_syslog(operator, tmp_path / "log", "refresh").returncode == 0  # or the run's own timeout


def test_a_clock_before_the_token_lets_the_provider_decide(operator, sandbox):
    """1970, or set back: the pair looks as if it came from the future."""
    before = operator.store(obtain_pair(sandbox), left=10**6, life=60)
    operator.run("refresh")
    assert refreshes(sandbox) == 1, "not yet, says the provider"
    operator.run("refresh")
    assert refreshes(sandbox) == 1, "and is not asked again for a quarter of an hour"
    assert operator.token_file.read_bytes() == before
    assert "clock" in operator.run("show").stderr


# Whoever ignores it hears of no exit code of a child.
IGNORING = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"


def test_a_parent_that_ignores_its_children_changes_no_outcome(operator, sandbox, expired, tmp_path):
    ignoring = [sys.executable, "-c", IGNORING]
    notify = f"{ROOT}/bin/hh-token-refresh.sh"
    sandbox.weather.add("html_502", 2)
    operator.run("refresh", expect=75, program=[*ignoring, *PROGRAM])
    run = subprocess.run([*ignoring, notify], env=operator.environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 75 and "ended with exit code 75" in run.stderr
    asking = (
        "from hhtoken.client import access_token; from hhtoken import errors\n"
        "try: access_token(renew=True)\nexcept errors.Error as error: print(error)"
    )
    environment = {**operator.environment, "PYTHONPATH": str(ROOT)}
    bot = [*ignoring, sys.executable, "-c", asking]
    sandbox.provider.revoke()
    run = subprocess.run(bot, env=environment, capture_output=True, text=True, timeout=60)
    assert run.stdout.startswith("the pair was revoked")
    shown = "import signal; print(signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN)"
    sandbox.weather.clear()
    operator.store(obtain_pair(sandbox), left=60, life=60)
    run = operator.run("exec", "--", sys.executable, "-c", shown, program=[*ignoring, *PROGRAM])
    assert run.stdout == "True\n", "exec hands on what it got"


def test_an_old_python_is_told_which_one_is_needed(tmp_path):
    old = "import runpy, sys; sys.version_info = (3, 8, 19, 'final', 0); sys.path.insert(0, sys.argv[2])\n"
    for run in ("run_path(sys.argv[1] + '/bin/hhtoken', run_name='__main__')", "run_module('hhtoken')"):
        words = [sys.executable, "-I", "-c", f"{old}runpy.{run}", str(ROOT), str(ROOT)]
        done = subprocess.run(words, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (78, "") and len(done.stderr.splitlines()) == 1
        assert "hhtoken needs Python 3.9 or newer; this is Python 3.8" in done.stderr
    for file in ("bin/hhtoken", "hhtoken/__init__.py", "hhtoken/__main__.py"):
        ast.parse((ROOT / file).read_text(), feature_version=(3, 4))


def test_no_core_dump_holds_a_secret_and_a_command_gets_the_limit_of_its_caller(operator, expired):
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    if not limits[1]:
        pytest.skip("no core dumps here")
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
    try:
        held_up = HeldUp(http(json.dumps({**PAIR, "expires_in": 60})))
        with answering(held_up) as provider:
            process = operator.start("exec", "--", "sh", "-c", "ulimit -Sc", HH_TOKEN_URL=provider.url)
            assert held_up.was_asked.wait(30)
            with open(f"/proc/{process.pid}/limits") as file:
                assert [line.split()[4] for line in file if line.startswith("Max core file size")] == ["0"]
            held_up.may_answer.set()
            assert finish(process)[1].strip() != "0"
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)


@pytest.mark.parametrize("set_by", [10**9, -(10**9), 3601])
def test_an_authorization_goes_on_while_the_clock_is_set(operator, sandbox, set_by):
    """As on a router, which begins in 1970."""
    later = ["import time; right = time.time", f"time.time = lambda: right() + {set_by}"]
    elsewhen = [sys.executable, "-I", "-c", "\n".join([*later, *program_with()[-1].splitlines()])]
    operator.run("exchange", program=elsewhen, input=come_back(operator))
    unseen = program_with("hhtoken.store.pending.BOOT_ID = '/nonexistent'")
    operator.run("exchange", program=unseen, input=come_back(operator))
    assert operator.stored()["access_token"]
