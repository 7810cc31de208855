"""A damaged, exposed or planted file in the state directory: the contract's exit code, one clear line, nothing lost."""

import json
import os

import pytest
from support import PAIR

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change owners")

READERS = [("show", "--field", "access_token"), ("refresh",), ("show", "--refresh", "--field", "access_token")]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"access_token": "A', b"null", b"[1]", b"\0" * 100, b"\xff\xfe\xfd", b"{}", b"[" * 60000,
     b'{"access_token": "a\\nb", "refresh_token": "R"}', b'{"access_token": "A", "pad": "' + b"x" * 70000 + b'"}'],
    ids=lambda content: str(content[:20]),
)  # fmt: skip
def test_a_damaged_pair_is_65_and_stays_as_it_is(lonely, command, content):
    lonely.store(PAIR)
    lonely.token_file.write_bytes(content)
    run = lonely.run(*command, expect=65)
    assert run.stdout == "" and len(run.stderr.splitlines()) == 2
    assert lonely.token_file.read_bytes() == content


def test_a_directory_for_everybody_is_not_to_be_closed(operator, tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    for command in ("status", "authorize-url"):
        refused = operator.run(command, "--state-dir", folder, expect=74).stderr
        assert "name a directory of its own with --state-dir" in refused and "chmod" not in refused


@AS_ROOT
def test_the_owner_of_the_directory_owns_every_file_whoever_runs_it(operator, sandbox, expired):
    os.chown(operator.state, 12345, 12346)
    os.chown(operator.token_file, 12345, 12346)
    operator.run("authorize-url")
    operator.run("refresh")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in operator.state.iterdir()} == {(12345, 12346)}


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_umask_changes_nothing(operator, sandbox, umask):
    from conftest import come_back

    previous = os.umask(umask)
    try:
        operator.run("exchange", input=come_back(operator))
    finally:
        os.umask(previous)
    assert operator.state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in operator.state.iterdir()} == {0o600}


@pytest.mark.parametrize("content", [b"", b"\0" * 69632, b"junk" * 20000])
def test_a_damaged_journal_is_settled_and_the_refresh_goes_on(operator, sandbox, expired, content):
    (operator.state / "journal").write_bytes(content)
    (operator.state / "journal").chmod(0o600)
    operator.run("refresh")
    assert operator.token_file.read_bytes() != expired
    assert "journal" not in operator.files()


def leave_journal(operator, intent, fields):
    from hhtoken.provider.answer import Answer
    from hhtoken.store import journal
    from hhtoken.store.private_directory import open_directory

    written = journal.text_of(intent, Answer(200, json.dumps(fields).encode(), True, received_at=intent["started_at"]))
    open_directory(str(operator.state), create=True).replace("journal", written)


NEW = {"access_token": "NEW-A", "refresh_token": "NEW-R", "expires_in": 1000}


def test_a_first_pair_in_the_journal_is_a_run_to_complete_not_a_missing_pair(operator):
    import time

    leave_journal(operator, {"kind": "code", "started_at": int(time.time())}, NEW)
    assert "hhtoken refresh" in operator.run("show", "--field", "access_token", expect=69).stderr
    assert json.loads(operator.run("status", "--json", expect=69).stdout)["state"] == "in_flight"
    operator.run("refresh")
    assert operator.run("show", "--field", "access_token").stdout == "NEW-A\n"


def test_an_answer_of_no_use_that_cannot_be_kept_is_still_said_to_be_of_no_use(operator, sandbox, expired):
    (operator.state / "answer.kept").mkdir()
    sandbox.weather.add("html_200_before")
    assert "makes no sense" in operator.run("refresh", expect=65).stderr
    assert operator.token_file.read_bytes() == expired
    operator.run("refresh")


NUMBERS = {"state": 5, "verifier": 6, "redirect_uri": 7, "created_at": 8}


@pytest.mark.parametrize("entry", [{}, {"state": 5}, NUMBERS, {"state": "s", "created_at": 1e12}, "x", None])
def test_a_damaged_list_of_authorizations_is_65_with_the_command(operator, entry):
    operator.state.mkdir(mode=0o700)
    (operator.state / "pending.json").write_text(json.dumps({"authorizations": [entry]}))
    (operator.state / "pending.json").chmod(0o600)
    assert "rm " in operator.run("exchange", input="code", expect=65).stderr
