"""``refresh --all`` and ``status --all``: many accounts, several at once, none in the way of another."""

import errno
import fcntl
import itertools
import json
import os
import signal
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest
from conftest import Reader, obtain_pair, refreshes, wait_for
from prometheus_client.parser import text_string_to_metric_families
from rough_provider import answering, http
from test_accounts import account, place

from hhtoken import account_lines, errors, worker_pool

PAIR = {"access_token": "ACCESS", "refresh_token": "REFRESH"}
SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "status.schema.json").read_text())


# -- which exit code is the worst --


def test_the_worst_exit_code_is_of_whom_most_must_act():
    assert set(account_lines.SEVERITY) == {errors.OK, errors.DEFECT, *errors.CODES} - {errors.USAGE}
    for better, worse in itertools.combinations(account_lines.SEVERITY, 2):
        assert account_lines.worst([better, worse]) == account_lines.worst([worse, better]) == worse
    assert account_lines.worst([]) == 0
    assert account_lines.worst([0, 75, 0]) == 75
    assert account_lines.worst([75, 77]) == 77 and account_lines.worst([77, 78]) == 78


# -- the workers --


def run_pool(work, count, jobs):
    with closing(worker_pool.results(work, list(range(count)), jobs, lambda item, code: [item, "died", code])) as found:
        return list(found)


@pytest.mark.parametrize("count, jobs", [(1, 1), (1, 8), (7, 3), (100, 8), (50, 1)])
def test_every_item_is_worked_on_once_and_the_results_come_in_order(tmp_path, count, jobs):
    def work(item):
        (tmp_path / str(item)).open("x").close()  # fails the second time
        return [item, os.getpid()]

    found = run_pool(work, count, jobs)
    assert [item for item, _pid in found] == list(range(count))
    workers = {pid for _item, pid in found}
    assert os.getpid() not in workers and len(workers) <= jobs


def test_a_slow_first_item_keeps_no_other_waiting_but_its_line_comes_first(tmp_path):
    def work(item):
        if item == 0:
            wait_for(lambda: (tmp_path / "9").exists())
        (tmp_path / str(item)).touch()
        return item

    assert run_pool(work, 10, 2) == list(range(10))


def test_no_more_are_at_work_than_jobs(tmp_path):
    def work(item):
        mine = tmp_path / str(item)
        mine.touch()
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline and len(list(tmp_path.iterdir())) <= 3:
            time.sleep(0.01)  # time for one too many to come
        crowd = len(list(tmp_path.iterdir()))
        mine.unlink()
        return crowd

    assert max(run_pool(work, 6, 3)) <= 3


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_a_crash_costs_its_item_and_no_other(jobs, capfd):
    def work(item):
        if item % 3 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if item % 3 == 1:
            raise RuntimeError("SECRET")
        return [item]

    found = run_pool(work, 30, jobs)
    assert found == [
        [item, "died", -signal.SIGKILL] if item % 3 == 0 else [item, "died", 1] if item % 3 == 1 else [item]
        for item in range(30)
    ]
    said = capfd.readouterr().err
    assert said.count("a defect of hhtoken: RuntimeError") == 10 and "SECRET" not in said


def without_room_from(monkeypatch, first):
    """Let the system have no room for the worker of this number, nor for any behind it."""
    fork, count = os.fork, itertools.count(1)

    def crowded():
        if next(count) >= first:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    monkeypatch.setattr(os, "fork", crowded)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_where_there_is_no_room_for_more_workers_those_that_are_there_do_the_work(monkeypatch):
    before = descriptors()
    without_room_from(monkeypatch, 3)
    found = run_pool(lambda item: [item, os.getpid()], 20, 8)
    assert [item for item, _pid in found] == list(range(20)) and len({pid for _item, pid in found}) <= 2
    assert descriptors() == before


def test_a_dead_worker_that_cannot_be_replaced_costs_its_item_and_no_other(monkeypatch):
    def work(item):
        if item == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return [item]

    without_room_from(monkeypatch, 3)
    assert run_pool(work, 20, 2) == [[0, "died", -signal.SIGKILL], *([item] for item in range(1, 20))]


def test_without_room_for_a_single_worker_the_reason_is_raised(monkeypatch):
    before = descriptors()
    without_room_from(monkeypatch, 1)
    with pytest.raises(BlockingIOError):
        run_pool(lambda item: item, 3, 8)
    assert descriptors() == before


def test_no_worker_is_left_behind():
    found = worker_pool.results(lambda item: os.getpid(), list(range(50)), 4, None)
    pids = {next(found), next(found)}
    found.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


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
    assert "is not a directory of its own" in lines["erin"] and "there is no pair" in lines["frank"]
    assert "'hhtoken --account bob login'" in lines["bob"]
    assert "USER" not in done.stdout and "DEAD" not in done.stdout
    assert alice.stored()["expires_at"] > time.time() and carol.stored()["expires_at"] > time.time()


def test_a_worker_that_is_killed_costs_its_account_one_run(operator, sandbox, three):
    sandbox.weather.add("hang_after")
    running = operator.start("refresh", "--all", "--jobs", "1")
    wait_for(lambda: refreshes(sandbox) == 1)
    os.kill(child_of(running.pid), signal.SIGKILL)
    out, _err = running.communicate(timeout=30)
    first, *others = out.splitlines()
    assert running.returncode == 75
    assert first.startswith("alice  75  its process was killed by SIGKILL; to do: the next run, or 'hhtoken --account")
    assert [line.split()[:2] for line in others] == [["bob", "0"], ["carol", "0"]]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_waits_for_the_pair_in_flight_and_begins_no_other(operator, sandbox, three, name):
    alice, bob, carol = three
    before = alice.stored()
    sandbox.weather.add("slow")
    running = operator.start("refresh", "--all", "--jobs", "1")
    wait_for(lambda: refreshes(sandbox) == 1)
    running.send_signal(getattr(signal, name))
    _out, err = running.communicate(timeout=30)
    assert running.returncode == 75 and f"interrupted by {name}" in err
    assert refreshes(sandbox) == 1
    assert alice.stored()["refresh_token"] != before["refresh_token"]
    assert not (alice.state / "journal").exists()


@pytest.mark.parametrize("jobs, begun", [("1", ["alice"]), ("2", ["alice", "bob"])])
def test_what_came_of_each_account_that_was_begun_is_told_after_a_signal_too(operator, sandbox, three, jobs, begun):
    """Ctrl-C reaches the parent and its workers; then the answers are lost."""
    before = {one: one.token_file.read_bytes() for one in three}
    sandbox.weather.add("hang_after", times=None)
    running = operator.start("refresh", "--all", "--jobs", jobs, HHTOKEN_DEADLINE=5)
    wait_for(lambda: refreshes(sandbox) == len(begun))
    for pid in (*children_of(running.pid), running.pid):
        os.kill(pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert [line.split()[:4] for line in out.splitlines()] == [[name, "75", "outcome", "unknown:"] for name in begun]
    assert running.returncode == 75 and "interrupted by SIGINT" in err
    assert "nothing is lost" not in err and "for the others, start it again" in err
    assert err.count("is noted") <= 1, "the workers leave that to their parent"
    assert refreshes(sandbox) == len(begun)
    assert all(one.token_file.read_bytes() == before[one] for one in three)


def test_the_parent_alone_hears_of_the_end_says_so_and_passes_it_on(operator, three):
    answer, may_answer = http(json.dumps({**PAIR, "expires_in": 1000})), threading.Event()

    def handle(connection):
        may_answer.wait(60)
        connection.sendall(answer)

    with answering(handle) as provider, open(three[2].state / ".lock", "w") as lock:
        os.fchmod(lock.fileno(), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)  # carol's worker has nothing at stake yet
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
    assert "nothing is lost" not in err.text and len(err.text.splitlines()) == 1


def test_workers_end_when_their_parent_is_killed(operator, sandbox, three):
    sandbox.weather.add("slow")
    running = operator.start("refresh", "--all", "--jobs", "1")
    wait_for(lambda: refreshes(sandbox) == 1)
    worker = child_of(running.pid)
    running.kill()
    running.communicate(timeout=30)
    wait_for(lambda: not is_running(worker))
    assert refreshes(sandbox) == 1, "no other account was begun"
    assert three[0].stored()["expires_at"] > time.time(), "the pair in flight was saved"


def is_running(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def child_of(pid):
    (found,) = children_of(pid)
    return found


def children_of(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(one) for one in found]


def test_without_any_account_a_human_is_asked(lonely):
    for command in ("refresh", "status"):
        assert "there is no pair in" in lonely.run(command, "--all", expect=77).stderr
    assert lonely.files() == []


def test_an_account_in_the_environment_does_not_narrow_all(operator, three):
    lines = lines_of(three[0].run("status", "--all", expect=69, HHTOKEN_STATE_DIR=operator.state))
    assert list(lines) == ["alice", "bob", "carol"]


@pytest.mark.parametrize(
    "words",
    ["refresh --all --account alice", "refresh --all --wait 5", "refresh --all --dry-run", "refresh --jobs 2", "refresh --all --jobs 65",
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
    assert lines["bob"].startswith("authorization needed  expired since ")
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
