"""``hhtoken revoke``: HeadHunter first, then here; nothing is removed where HeadHunter was not heard."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import threading

import pytest
from conftest import PROGRAM, obtain_pair, wait_for
from rough_provider import answering, http

from hhtoken import errors
from hhtoken.provider.endpoints import api_endpoint_of
from hhtoken.renewal import revocation
from hhtoken.settings.settings import Settings
from hhtoken.store.token_store import TokenStore, open_store

LEFT = [".lock"]


@pytest.fixture
def pair(operator, sandbox):
    obtained = obtain_pair(sandbox)
    operator.store(obtained, left=60, life=60)
    return obtained


def refused(value):
    return http(json.dumps({"errors": [{"type": "oauth", "value": value}]}), "403 Forbidden")


def base(provider):
    return provider.url.replace("/oauth/token", "")


def holds(operator, pair):
    """Tell which files of the state directory hold one of the tokens."""
    tokens = [pair["access_token"].encode(), pair["refresh_token"].encode()]
    return [path.name for path in operator.state.iterdir() if any(one in path.read_bytes() for one in tokens)]


def test_the_pair_ends_at_headhunter_and_here(operator, sandbox, pair):
    run = operator.run("revoke", "--yes")
    assert "revoked: HeadHunter has ended the pair" in run.stderr and run.stdout == ""
    assert sandbox.provider.pairs() == {"token_was_revoked": 1}
    assert operator.files() == LEFT
    assert "not logged in" in operator.run("show", expect=77).stderr


def test_every_file_that_may_hold_a_token_goes(operator, pair):
    held = ["token.json.prev", "token.json.damaged-1", "token.json.unclaimed-2", "answer.kept", ".token.json.1.ab.tmp"]
    for name in held:
        (operator.state / name).write_text(json.dumps(pair))
    (operator.state / "last-refresh.json").write_text("{}")
    (operator.state / "mine.txt").write_text("not hhtoken's")
    operator.run("revoke", "--yes")
    assert operator.files() == [*LEFT, "mine.txt"] and holds(operator, pair) == []


def test_a_revocation_that_was_killed_is_no_refresh(operator, pair):
    may_answer = threading.Event()
    with answering(lambda _connection: may_answer.wait(60)) as provider:
        process = operator.start("revoke", "--yes", HH_API_URL=base(provider))
        wait_for(lambda: provider.requests)
        meanwhile = operator.run("status").stdout
        process.kill()
        process.communicate(timeout=30)
        after = operator.run("status").stdout
        may_answer.set()
    for said in (meanwhile, after):
        assert "in flight: a revocation is under way, or was interrupted" in said and "a refresh is" not in said
        assert "to do:        type 'hhtoken revoke' to end it, or 'hhtoken whoami'" in said


def test_the_published_token_goes_too(operator, pair, tmp_path):
    readers = tmp_path / "readers"
    readers.mkdir(mode=0o710)
    published = {"HHTOKEN_PUBLISH": readers / "access_token"}
    (readers / "access_token").write_text(pair["access_token"])
    operator.run("revoke", "--yes", **published)
    assert list(readers.iterdir()) == []


@pytest.mark.parametrize(
    "value, said",
    [("token_revoked", "revoked"), ("bad_authorization", "does not know"), ("application_not_found", "removed")],
)
def test_a_pair_that_is_dead_already_goes_after_a_word(operator, pair, value, said):
    with answering(refused(value)) as provider:
        run = operator.run("revoke", "--yes", HH_API_URL=base(provider))
    head, _form = provider.requests[0]
    assert head.startswith("DELETE /oauth/token HTTP/1.1\r\n")
    assert said in run.stderr and "nothing to end" in run.stderr and operator.files() == LEFT


@pytest.mark.parametrize(
    "answer, code",
    [
        (http("<html>wait</html>", "403 Forbidden"), 75),
        (http("", "503 Service Unavailable"), 75),
        (http("", "429 Too Many Requests", ["Retry-After: 3"]), 75),
        (http("", "404 Not Found"), 78),
        (http("", "302 Found", ["Location: http://127.0.0.1:9/"]), 75),
        (refused("user_auth_expected"), 77),
        (refused("something_new"), 77),
        (b"", 75),
    ],
)
def test_nothing_is_removed_where_headhunter_was_not_heard(operator, pair, answer, code):
    before = operator.token_file.read_bytes()
    with answering(answer) as provider:
        run = operator.run("revoke", "--yes", expect=code, HH_API_URL=base(provider))
    assert "nothing was removed" in run.stderr and "--local-only" in run.stderr
    assert operator.token_file.read_bytes() == before and operator.files() == [*LEFT, "token.json"]


def test_nothing_is_removed_where_headhunter_is_out_of_reach(operator, pair):
    run = operator.run("revoke", "--yes", expect=75, HH_API_URL="http://127.0.0.1:9")
    assert "nothing was sent" in run.stderr and "nothing was removed" in run.stderr
    assert "and the firewall; then try again; or type" in run.stderr and "next run" not in run.stderr
    assert operator.files() == [*LEFT, "token.json"]


def make_append_only(directory, is_append_only):
    """As chattr(1) does, which may be missing. Raise OSError where the file system, or our rights, do not allow it."""
    get_flags, set_flags, append_only = 0x80086601, 0x40086602, 0x20  # FS_IOC_GETFLAGS, _SETFLAGS, FS_APPEND_FL
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        (flags,) = struct.unpack("i", fcntl.ioctl(descriptor, get_flags, bytes(4)))
        flags = flags | append_only if is_append_only else flags & ~append_only
        fcntl.ioctl(descriptor, set_flags, struct.pack("i", flags))
    finally:
        os.close(descriptor)


def test_nothing_is_sent_where_nothing_could_be_removed(operator, sandbox, pair):
    operator.state.chmod(0o700)
    try:
        make_append_only(operator.state, True)
    except OSError:
        pytest.skip("needs root, and a file system with append-only directories")
    try:
        operator.run("revoke", "--yes", expect=74)
        assert sandbox.provider.pairs() == {"living": 1}
    finally:
        make_append_only(operator.state, False)


def test_an_expired_pair_cannot_be_ended_and_stays_until_it_can(operator, sandbox, expired):
    run = operator.run("revoke", "--yes", expect=69)
    assert "stays good at HeadHunter" in run.stderr and "'hhtoken refresh'" in run.stderr
    assert "--local-only" in run.stderr and operator.token_file.read_bytes() == expired
    operator.run("refresh")
    operator.run("revoke", "--yes")
    assert operator.files() == LEFT and "living" not in sandbox.provider.pairs()


def test_an_expired_pair_that_is_known_to_be_dead_goes(operator, sandbox, expired):
    sandbox.provider.revoke()
    operator.run("refresh", expect=77)
    with answering(refused("token_expired")) as provider:
        run = operator.run("revoke", "--yes", HH_API_URL=base(provider))
    assert "removed the pair" in run.stderr and operator.files() == LEFT


def test_local_only_sends_nothing_and_takes_a_damaged_pair(operator, sandbox, pair):
    operator.token_file.write_text("{")
    operator.run("revoke", "--yes", expect=65)
    operator.run("revoke", "--yes", "--local-only", HH_API_URL="http://127.0.0.1:9")
    assert operator.files() == LEFT and sandbox.provider.pairs() == {"living": 1}


def test_without_a_terminal_and_without_yes_nothing_happens(operator, sandbox, pair):
    for arguments in ((), ("--local-only",)):
        run = operator.run("revoke", *arguments, expect=2, input="yes\n")
        assert "--yes" in run.stderr
    assert sandbox.provider.pairs() == {"living": 1} and operator.token_file.exists()


def at_terminal(operator, *answers):
    """Run revoke at a terminal, and type an answer to each question; return the exit code and what it said."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "revoke"], stdin=slave, stderr=slave, stdout=subprocess.DEVNULL, env=operator.environment
    )
    os.close(slave)
    said = []

    def read():
        try:
            while piece := os.read(master, 4096):
                said.append(piece.decode(errors="replace"))
        except OSError:
            pass

    thread = threading.Thread(target=read)
    thread.start()
    for count, answer in enumerate(answers, start=1):
        wait_for(lambda count=count: "".join(said).count("to continue") == count)
        os.write(master, answer)
    code = process.wait(20)
    thread.join(5)
    os.close(master)
    return code, "".join(said)


@pytest.mark.parametrize("answer", [b"yes\n", b"Y\n", "да\n".encode()])
def test_at_a_terminal_yes_is_taken(operator, sandbox, pair, answer):
    code, said = at_terminal(operator, answer)
    assert code == 0 and operator.files() == LEFT, said


@pytest.mark.parametrize("answer", [b"\n", b"no\n", b"\x04", b"\xff\xfe\n"])
def test_at_a_terminal_all_else_is_a_no(operator, sandbox, pair, answer):
    code, said = at_terminal(operator, answer)
    assert code == 2 and "not confirmed" in said and operator.files() == ["token.json"]
    assert sandbox.provider.pairs() == {"living": 1}


def test_a_crash_after_the_request_is_explained_by_the_next_command(operator, sandbox, pair):
    processes = []

    def kill(_connection):
        wait_for(lambda: processes)
        processes[0].send_signal(signal.SIGKILL)

    with answering(kill) as provider:
        processes.append(operator.start("revoke", "--yes", HH_API_URL=base(provider)))
        assert processes[0].wait(20) == -signal.SIGKILL
        processes[0].communicate()
    assert operator.token_file.exists() and "journal" in operator.files()
    run = operator.run("refresh")
    assert "a revocation was interrupted" in run.stderr and "hhtoken revoke" in run.stderr
    assert "a revocation was interrupted" in operator.run("status").stdout
    assert "a revocation" not in operator.run("refresh").stderr  # said once
    operator.run("revoke", "--yes")
    assert operator.files() == LEFT and sandbox.provider.pairs() == {"token_was_revoked": 1}


def test_a_lost_answer_is_made_good_by_trying_again(operator, sandbox, pair):
    sandbox.provider.invalidate(pair["access_token"])  # HeadHunter has done it
    with answering(b"") as provider:  # and its answer was lost
        operator.run("revoke", "--yes", expect=75, HH_API_URL=base(provider))
    assert operator.token_file.exists()
    assert "nothing to end" in operator.run("revoke", "--yes").stderr and operator.files() == LEFT


def test_a_pair_that_has_ended_but_cannot_be_removed_is_said_to_have_ended(operator, sandbox, pair, monkeypatch):
    def refuse(store):
        raise errors.StorageError("cannot remove it", "fix that")

    monkeypatch.setattr(TokenStore, "forget", refuse)
    endpoint = api_endpoint_of(Settings(operator.environment))
    with pytest.raises(errors.StorageError, match="HeadHunter has ended the pair, but cannot remove it") as caught:
        revocation.revoke(open_store(str(operator.state)), endpoint)
    assert caught.value.hint == "fix that; then type 'hhtoken revoke' again"
    assert sandbox.provider.pairs() == {"token_was_revoked": 1} and "journal" in operator.files()
    monkeypatch.undo()
    operator.run("revoke", "--yes")
    assert operator.files() == LEFT


def test_a_pair_that_was_replaced_meanwhile_is_not_removed(operator, sandbox, pair):
    store = open_store(str(operator.state))
    asked_about = store.load().pair
    operator.store(obtain_pair(sandbox), left=60, life=60)
    with pytest.raises(errors.TryLaterError, match="the pair was replaced meanwhile; nothing was removed"):
        revocation.remove(store, asked_about)
    assert operator.token_file.exists()


def test_a_signal_waits_for_the_answer(operator, pair):
    processes = []

    def interrupt(connection):
        wait_for(lambda: processes)
        processes[0].send_signal(signal.SIGTERM)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with answering(interrupt) as provider:
        processes.append(operator.start("revoke", "--yes", HH_API_URL=base(provider)))
        assert processes[0].wait(20) == 0
        processes[0].communicate()
    assert operator.files() == LEFT
