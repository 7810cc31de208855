"""``hhtoken exec``: a command with a valid token in its environment, and nothing of hhtoken left around it."""

import json
import signal
import subprocess
import sys

import pytest
from conftest import PROGRAM, refreshes, wait_for
from support import PAIR

TOKEN = ("sh", "-c", 'echo "$HH_ACCESS_TOKEN"')


@pytest.fixture
def holder(lonely):
    """An operator with a pair that lives."""
    lonely.store(PAIR, left=1000, life=1000)
    return lonely


def test_the_command_has_the_token_in_its_environment(holder):
    run = holder.run("exec", "--", *TOKEN)
    assert (run.stdout, run.stderr) == ("ACCESS\n", "")


@pytest.mark.parametrize("dashes", [["--"], []])
def test_what_stands_behind_belongs_to_the_command(holder, dashes):
    words = ["printf", "%s\n", "--help", "--min-seconds", "-x", "--", "refresh", "--state-dir", "/nowhere"]
    assert holder.run("exec", *dashes, *words).stdout.split("\n")[:-1] == words[2:]


def test_a_pair_that_is_due_is_renewed_first(operator, sandbox, expired):
    token = operator.run("exec", "--", *TOKEN).stdout.strip()
    assert refreshes(sandbox) == 1 and token == operator.stored()["access_token"]
    sandbox.provider.check_user_token(token)
    assert operator.run("exec", "--", *TOKEN).stdout.strip() == token
    assert refreshes(sandbox) == 1


@pytest.mark.parametrize("code", [0, 3, 75, 255])
def test_the_exit_code_is_the_commands_own(holder, code):
    run = holder.run("exec", "--", "sh", "-c", f"exit {code}", expect=code)
    assert run.stderr == ""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGKILL"])
def test_the_command_gets_its_signals_itself_and_its_death_is_seen(holder, name):
    process = holder.start("exec", "--", "sh", "-c", "echo ready; exec sleep 30")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    _out, err = process.communicate(timeout=10)
    assert process.returncode == -getattr(signal, name) and err == ""


LOOK = (
    "import json, os\n"
    "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
    "environment = dict(word.split('=', 1) for word in open('/proc/self/environ').read().split('\\0')[:-1])\n"
    "names = ('SigIgn', 'SigBlk', 'Umask')\n"
    "print(json.dumps([os.getpid(), sorted(os.listdir('/proc/self/fd')), environment,\n"
    "    {name: status[name].strip() for name in names}]))\n"
)
LOOKING = [sys.executable, "-IS", "-c", LOOK]


def surroundings(environment, *words, **options):
    """Run a command that tells of its surroundings, beneath a program that sets them up, and return what it tells."""
    finished = subprocess.run(
        [*(["sh", "-c", options["closing"] + 'exec "$@"', "sh"] if "closing" in options else []), *words, *LOOKING],
        env=environment, capture_output=True, text=True, umask=0o027, timeout=30, check=True,
        restore_signals=True, preexec_fn=options.get("beforehand"),
    )  # fmt: skip
    return finished, json.loads(finished.stdout)[1:]


def ignore_term_and_hangup():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.mark.parametrize("options", [{}, {"beforehand": ignore_term_and_hangup}, {"closing": "exec 0<&-;"}])
def test_descriptors_umask_signals_and_environment_are_the_callers(holder, options):
    environment = {**holder.environment, "SSLKEYLOGFILE": "/nowhere/keys", "OTHER": "1", "HOME": "/nowhere"}
    without = surroundings(environment, **options)[1]
    within = surroundings(environment, *PROGRAM, "exec", "--", **options)[1]
    assert within[1].pop("HH_ACCESS_TOKEN") == "ACCESS"
    assert within == without


def test_nothing_but_the_access_token_is_handed_on(holder):
    run = holder.run(
        "exec", "--", "env",
        HH_CLIENT_SECRET="CANARY-SECRET", HH_CLIENT_SECRET_FILE="/canary/file", CREDENTIALS_DIRECTORY="/canary",
        HH_ACCESS_TOKEN="STALE", MINE="kept",
    )  # fmt: skip
    assert "HH_ACCESS_TOKEN=ACCESS\n" in run.stdout and "MINE=kept\n" in run.stdout
    for word in ("CANARY", "canary", "HH_CLIENT_SECRET", "REFRESH", "STALE"):
        assert word not in run.stdout


def test_the_token_stands_in_no_command_line(holder):
    process = holder.start("exec", "--", "sleep", "30")
    wait_for(lambda: b"sleep" in command_line(process.pid)[:6])
    assert command_line(process.pid) == b"sleep\0" + b"30\0"
    process.kill()
    process.communicate()


def command_line(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def test_no_command_is_wrong_usage(holder):
    for words in (["exec"], ["exec", "--"], ["exec", "--", ""], ["exec", "--min-seconds", "5", "--"]):
        run = holder.run(*words, expect=2)
        assert "no command to run" in run.stderr and "hhtoken exec -- " in run.stderr


@pytest.mark.parametrize("command", ["no-such-command", "./no-such-command", "/no/such/command"])
def test_a_command_that_is_not_there_is_127(holder, command):
    run = holder.run("exec", "--", command, expect=127)
    assert f"error: {command}: there is no such command" in run.stderr and "hint: " in run.stderr


def test_a_command_that_cannot_be_run_is_126(holder, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("echo hello\n")
    assert "permission denied" in holder.run("exec", "--", plain, expect=126).stderr
    plain.chmod(0o755)
    assert "exec format error" in holder.run("exec", "--", plain, expect=126).stderr
    assert "permission denied" in holder.run("exec", "--", tmp_path, expect=126).stderr
    plain.write_text("#!/no/such/interpreter\n")
    assert "first line" in holder.run("exec", "--", plain, expect=127).stderr


def test_without_a_usable_token_the_command_does_not_run_and_the_exit_code_says_why(lonely, operator, sandbox):
    touch = ("exec", "--", "touch", lonely.state.parent / "ran")
    lonely.run(*touch, expect=77)
    lonely.store(PAIR, left=100, life=1000)
    lonely.run("exec", "--min-seconds", "200", *touch[1:], expect=69)
    lonely.store(PAIR)
    lonely.run(*touch, expect=75)  # due, but nobody answers
    lonely.token_file.write_text("{")
    lonely.run(*touch, expect=65)
    lonely.run(*touch, expect=78, HHTOKEN_ENV_FILE="/no/such/file")
    assert not (lonely.state.parent / "ran").exists()


def test_an_interrupt_while_it_renews_saves_the_pair_and_runs_nothing_new(operator, sandbox, expired):
    sandbox.weather.add("slow")
    process = operator.start("exec", "--", "sleep", "30")
    wait_for(lambda: refreshes(sandbox) == 1)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert operator.stored()["refresh_token"] != json.loads(expired)["refresh_token"]
