"""``refresh --all`` and ``status --all``: many accounts, several at once, none in the way of another."""

import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time

import jsonschema
import pytest
from conftest import Reader, account, obtain_pair, place, refreshes, wait_for
from prometheus_client.parser import text_string_to_metric_families
from rough_provider import answering, http
from support import PAIR, ROOT

from hhtoken import errors
from hhtoken.commands import all_accounts

SCHEMA = json.loads((ROOT / "docs" / "status.schema.json").read_text())


# -- which exit code is the worst --


def test_the_worst_exit_code_is_of_whom_most_must_act():
    assert set(all_accounts.SEVERITY) == {errors.OK, errors.DEFECT, *errors.CODES} - {errors.USAGE}
    for better, worse in itertools.combinations(all_accounts.SEVERITY, 2):
        assert all_accounts.worst([better, worse]) == all_accounts.worst([worse, better]) == worse
    assert all_accounts.worst([]) == 0
    assert all_accounts.worst([0, 75, 0]) == 75
    assert all_accounts.worst([75, 77]) == 77 and all_accounts.worst([77, 78]) == 78


# -- refresh --all --


@pytest.fixture
def three(operator, sandbox):
    """Three accounts whose access tokens have expired."""
    named = [place(operator, name) for name in ("alice", "bob", "carol")]
    for one in named:
        one.store(obtain_pair(sandbox))
    sandbox.provider.expire()
    return named


def lines_of(run):
    """Return ``{name: rest of its line}``."""
    return {line.split()[0]: line.split(None, 1)[1] for line in run.stdout.splitlines()}


def test_all_are_renewed_with_a_line_and_a_request_each(operator, sandbox, three):
    operator.store(obtain_pair(sandbox))
    sandbox.provider.expire()
    lines = lines_of(operator.run("refresh", "--all"))
    assert list(lines) == ["-", "alice", "bob", "carol"]
    assert all(line.startswith("0  renewed the pair") for line in lines.values())
    assert refreshes(sandbox) == 4
    again = lines_of(operator.run("refresh", "--all", "--jobs", "1"))
    assert all(line.startswith("0  nothing is due until ") for line in again.values())
    assert refreshes(sandbox) == 4
    for one in (operator, *three):
        assert one.stored()["expires_at"] > time.time()


@pytest.mark.parametrize("jobs", ["1", "8"])
def test_what_befalls_one_account_stops_no_other(operator, sandbox, three, jobs):
    alice, bob, carol = three
    bob.store({**obtain_pair(sandbox), "refresh_token": "DEAD"})
    place(operator, "dave").store(PAIR)
    (operator.state / "accounts" / "dave" / "token.json").write_text("{")
    (operator.state / "accounts" / "erin").symlink_to("alice")
    (operator.state / "accounts" / "frank").mkdir(mode=0o700)
    (operator.state / "accounts" / "frank" / "last-refresh.json").touch(mode=0o600)
    done = operator.run("refresh", "--all", "--jobs", jobs, expect=74)
    lines = lines_of(done)
    assert [line.split()[0] for line in lines.values()] == ["0", "77", "0", "65", "74", "77"]
    assert "is not a directory of its own" in lines["erin"] and "no token in" in lines["frank"]
    assert "'hhtoken --account bob login'" in lines["bob"]
    assert "USER" not in done.stdout and "DEAD" not in done.stdout
    assert alice.stored()["expires_at"] > time.time() and carol.stored()["expires_at"] > time.time()


def started(*arguments, operator, patch):
    """Start hhtoken with a patch, in Python, that a test needs to make it fail as a machine could."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{patch}\nfrom hhtoken.main import main\nsys.exit(main())"
    command = [sys.executable, "-IS", "-c", program, *arguments]
    return subprocess.run(command, env=operator.environment, capture_output=True, text=True, timeout=60)


def test_a_defect_costs_its_account_and_no_other(operator, sandbox, three):
    done = started("refresh", "--all", operator=operator, patch="""
from hhtoken.renewal import exchange
renew = exchange.renew
def broken(store, *rest):
    if store.directory.path.endswith("bob"):
        raise RuntimeError("SECRET")
    return renew(store, *rest)
exchange.renew = broken""")  # fmt: skip
    assert done.returncode == 1
    lines = lines_of(done)
    assert [line.split()[0] for line in lines.values()] == ["0", "1", "0"]
    assert "a defect of hhtoken, described above; to do: 'hhtoken --account bob refresh' clears up" in lines["bob"]
    assert "account bob: a defect of hhtoken: RuntimeError" in done.stderr and "SECRET" not in done.stderr


@pytest.mark.parametrize("room", [0, 1])
def test_without_room_for_more_threads_what_is_begun_is_finished_and_the_rest_is_left(operator, sandbox, three, room):
    done = started("refresh", "--all", operator=operator, patch=CROWDED.format(room=room))
    assert (done.returncode, refreshes(sandbox)) == (75, room)
    assert "no room for a thread" in done.stderr and not any((one.state / "journal").exists() for one in three)


# Lets so many threads of the pool be there at once; those of the requests it leaves alone.
CROWDED = """
import threading
start = threading.Thread.start
def crowded(thread):
    crew = [one for one in threading.enumerate() if one.name.startswith("ThreadPool")]
    if thread.name.startswith("ThreadPool") and len(crew) >= {room}:
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = crowded"""


def test_no_more_are_in_flight_than_jobs_and_a_slow_first_one_keeps_no_other_waiting(operator, three):
    answer, crowd, most, released = http(json.dumps({**PAIR, "expires_in": 1000})), [], [], threading.Event()

    def handle(connection):
        crowd.append(connection)
        most.append(len(crowd))
        if len(most) == 1:
            released.wait(60)  # until two others have come and gone by the second thread
        else:
            time.sleep(0.2)  # for one too many to come
        crowd.remove(connection)
        if len(most) == 3:
            released.set()
        connection.sendall(answer)

    with answering(handle) as provider:
        done = operator.run("refresh", "--all", "--jobs", "2", HH_TOKEN_URL=provider.url)
    assert list(lines_of(done)) == ["alice", "bob", "carol"]
    assert len(most) == 3 and max(most) == 2


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_waits_for_the_pair_in_flight_and_begins_no_other(operator, sandbox, three, name):
    alice, bob, carol = three
    before = alice.stored()
    sandbox.weather.add("slow")
    running = operator.start("refresh", "--all", "--jobs", "1")
    wait_for(lambda: refreshes(sandbox) == 1)
    running.send_signal(getattr(signal, name))
    _out, err = running.communicate(timeout=30)
    assert running.returncode == 128 + getattr(signal, name) and f"interrupted by {name}" in err
    assert refreshes(sandbox) == 1
    assert alice.stored()["refresh_token"] != before["refresh_token"]
    assert not (alice.state / "journal").exists()


@pytest.mark.parametrize("jobs, begun", [("1", ["alice"]), ("2", ["alice", "bob"])])
def test_what_came_of_each_account_that_was_begun_is_told_after_a_signal_too(operator, sandbox, three, jobs, begun):
    """After Ctrl-C the answers are lost."""
    before = {one: one.token_file.read_bytes() for one in three}
    sandbox.weather.add("hang_after", times=None)
    running = operator.start("refresh", "--all", "--jobs", jobs, HHTOKEN_DEADLINE=5)
    wait_for(lambda: refreshes(sandbox) == len(begun))
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert [line.split()[:4] for line in out.splitlines()] == [[name, "75", "outcome", "unknown:"] for name in begun]
    assert running.returncode == 130 and "interrupted by SIGINT" in err
    assert "nothing is lost" not in err and "for the others, start it again" in err
    assert err.count("is noted") == 1, "the threads leave that to the main one"
    assert refreshes(sandbox) == len(begun)
    assert all(one.token_file.read_bytes() == before[one] for one in three)


def test_the_end_is_noted_once_and_ends_a_wait_with_nothing_at_stake(operator, three):
    answer, may_answer = http(json.dumps({**PAIR, "expires_in": 1000})), threading.Event()

    def handle(connection):
        may_answer.wait(60)
        connection.sendall(answer)

    with answering(handle) as provider, open(three[2].state / ".lock", "w") as lock:
        os.fchmod(lock.fileno(), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)  # carol has nothing at stake yet
        running = operator.start("refresh", "--all", "--jobs", "3", HH_TOKEN_URL=provider.url)
        out, err = Reader(running.stdout), Reader(running.stderr)
        wait_for(lambda: len(provider.requests) == 2)
        running.terminate()
        wait_for(lambda: "SIGTERM is noted; waiting for what is in flight" in err.text)
        may_answer.set()
        assert running.wait(60) == 75
        out.join(10)
        err.join(10)
    running.stdout.close()
    running.stderr.close()
    told = [line.split(None, 2)[1:] for line in out.text.splitlines()]
    assert [code for code, _said in told] == ["0", "0", "75"]
    assert told[2][1].startswith("interrupted by SIGTERM")
    assert "nothing is lost" not in err.text and len(err.text.splitlines()) == 1


def test_without_any_account_a_human_is_asked(lonely):
    for command in ("refresh", "status"):
        assert "not logged in: no token in" in lonely.run(command, "--all", expect=77).stderr
    assert lonely.files() == []


def test_an_account_in_the_environment_does_not_narrow_all(operator, three):
    lines = lines_of(three[0].run("status", "--all", expect=69, HHTOKEN_STATE_DIR=operator.state))
    assert list(lines) == ["alice", "bob", "carol"]


@pytest.mark.parametrize(
    "words",
    ["refresh --all --account alice", "refresh --all --wait 5", "refresh --all --is-due",
     "refresh --jobs 2", "refresh --all --jobs 65",
     "refresh --all --jobs -1", "refresh --all --jobs x", "status --all --account alice"],
)  # fmt: skip
def test_what_does_not_go_together_is_wrong_usage(lonely, words):
    place(lonely, "alice").store(PAIR)
    assert "hhtoken: hint: " in lonely.run(*words.split(), expect=2).stderr


# -- status --all --


def test_status_tells_each_account_in_a_line_and_the_worst_in_the_exit_code(operator, sandbox, three):
    alice, bob, _carol = three
    alice.run("refresh")
    sandbox.weather.add("token_was_revoked")
    bob.run("refresh", expect=77)
    operator.store(PAIR, left=500, life=1000)
    lines = lines_of(operator.run("status", "--all", expect=77))
    assert list(lines) == ["-", "alice", "bob", "carol"]
    assert lines["-"].startswith("valid    ") and "left, until" in lines["-"] and "to do" not in lines["-"]
    assert lines["bob"].startswith("login needed ") and "expired since " in lines["bob"]
    assert "to do: type 'hhtoken --account bob login'" in lines["bob"]
    assert lines["carol"].startswith("due") and "'hhtoken --account carol refresh'" in lines["carol"]


def test_the_json_holds_the_status_of_each_account(operator, three):
    place(operator, "dave")
    (operator.state / "accounts" / "dave").mkdir(mode=0o700)
    (operator.state / "accounts" / "dave" / "last-refresh.json").touch(mode=0o600)
    said = json.loads(operator.run("status", "--all", "--json", expect=77).stdout)
    assert list(said) == ["schema", "accounts", "exit_code"]
    assert (said["schema"], said["exit_code"]) == (1, 77)
    assert [one["account"] for one in said["accounts"]] == ["alice", "bob", "carol", "dave"]
    for one in said["accounts"]:
        jsonschema.validate(one["status"], SCHEMA, jsonschema.Draft202012Validator)
    single = json.loads(three[0].run("status", "--json", expect=69, HHTOKEN_STATE_DIR=operator.state).stdout)
    moving = {"next_refresh_at": None}  # it is now
    assert {**said["accounts"][0]["status"], **moving} == {**single, **moving}
    assert "--account alice" in single["next_step"]


def test_prometheus_gets_one_block_for_each_metric_with_the_account_as_a_label(operator, three):
    operator.store(PAIR, left=500, life=1000)
    text = operator.run("status", "--all", "--prometheus", expect=69).stdout
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    usable = next(family for family in families if family.name == "hhtoken_token_usable")
    assert {sample.labels["account"]: sample.value for sample in usable.samples} == {
        "-": 1, "alice": 0, "bob": 0, "carol": 0
    }  # fmt: skip
    single = three[0].run("status", "--prometheus", expect=69, HHTOKEN_STATE_DIR=operator.state).stdout
    moving = "hhtoken_next_refresh_timestamp_seconds{"  # it is now
    assert {line for line in single.splitlines() if not line.startswith(moving)} <= set(text.splitlines())


def test_the_screen_of_one_account_has_commands_for_it(operator, three):
    said = three[0].run("status", expect=69, HHTOKEN_STATE_DIR=operator.state).stdout
    assert "'hhtoken --account alice refresh'" in said
    assert account(operator, "alice").run("status", expect=69).stdout == said
