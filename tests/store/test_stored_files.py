"""A damaged, exposed or planted file in the state directory: the contract's exit code, one clear line, nothing lost."""

import json
import os

import pytest
from conftest import copy_for_all
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


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
def test_a_directory_with_other_peoples_files_is_refused_and_left_as_it_is(operator, tmp_path, mode):
    folder = tmp_path / "website"
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    folder.chmod(mode)
    assert "chmod 700" in operator.run("authorize-url", "--state-dir", folder, expect=74).stderr
    assert folder.stat().st_mode & 0o777 == mode
    assert [path.name for path in folder.iterdir()] == ["index.html"]


def test_a_directory_for_everybody_is_not_to_be_closed(operator, tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    for command in ("status", "authorize-url"):
        refused = operator.run(command, "--state-dir", folder, expect=74).stderr
        assert "name a directory of its own with --state-dir" in refused and "chmod" not in refused


def test_an_empty_directory_and_one_with_a_pair_are_made_private(operator, expired, tmp_path):
    (tmp_path / "empty").mkdir(mode=0o755)
    operator.run("authorize-url", "--state-dir", tmp_path / "empty")
    operator.state.chmod(0o755)
    operator.run("refresh")
    assert (tmp_path / "empty").stat().st_mode & 0o777 == operator.state.stat().st_mode & 0o777 == 0o700


@AS_ROOT
def test_the_owner_of_the_directory_owns_every_file_whoever_runs_it(operator, sandbox, expired):
    os.chown(operator.state, 12345, 12346)
    os.chown(operator.token_file, 12345, 12346)
    operator.run("authorize-url")
    operator.run("refresh")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in operator.state.iterdir()} == {(12345, 12346)}


@AS_ROOT
def test_a_stranger_is_told_whose_directory_it_is(lonely, tmp_path):
    import shutil

    lonely.store(PAIR)
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv here")
    home = tmp_path
    while home != home.parent:  # let the stranger come as far as the state directory itself
        home.chmod(home.stat().st_mode | 0o055)
        home = home.parent
        if str(home) == "/tmp":
            break
    stranger = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    run = lonely.run("refresh", expect=74, program=[*stranger, *["/usr/bin/python3", "-I", copy_for_all(tmp_path)]])
    assert str(lonely.state) in run.stderr


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


def test_a_new_grant_in_the_journal_replaces_an_older_pair_and_no_newer_one(operator, sandbox, expired):
    import time

    leave_journal(operator, {"kind": "code", "started_at": int(time.time()) - 10**6}, NEW)
    operator.run("refresh")
    assert len(list(operator.state.glob("token.json.unclaimed-*"))) == 1
    leave_journal(operator, {"kind": "code", "started_at": int(time.time())}, NEW)
    operator.run("refresh")
    assert operator.stored()["refresh_token"] == "NEW-R"


def test_the_same_access_token_with_a_new_refresh_token_is_a_new_pair(operator, expired):
    import hashlib
    import time

    old = json.loads(expired)
    intent = {
        "kind": "refresh",
        "refresh_token_sha256": hashlib.sha256(old["refresh_token"].encode()).hexdigest(),
        "started_at": int(time.time()),
    }
    leave_journal(operator, intent, {**NEW, "access_token": old["access_token"]})
    operator.run("refresh")
    assert operator.stored()["refresh_token"] == "NEW-R"


def test_what_an_interrupted_refusal_echoed_is_not_repeated(operator, sandbox, expired):
    import hashlib

    from hhtoken.provider.answer import Answer
    from hhtoken.store import journal
    from hhtoken.store.private_directory import open_directory

    secret = json.loads(expired)["refresh_token"]
    intent = {"kind": "refresh", "refresh_token_sha256": hashlib.sha256(secret.encode()).hexdigest(), "started_at": 1}
    body = json.dumps({"error": "weird", "error_description": secret}).encode()
    written = journal.text_of(intent, Answer(400, body, True, request_id=secret))
    open_directory(str(operator.state)).replace("journal", written)
    sandbox.weather.add("html_503")
    run = operator.run("refresh", expect=75)
    assert secret not in run.stderr + (operator.state / "last-refresh.json").read_text()


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


def test_a_journal_of_a_pair_that_was_replaced_meanwhile_is_kept_aside(operator, sandbox, expired):
    from hhtoken.provider.answer import Answer
    from hhtoken.store import journal
    from hhtoken.store.private_directory import open_directory

    theirs = {"access_token": "OTHER-A", "refresh_token": "OTHER-R", "expires_in": 60}
    intent = {"kind": "refresh", "refresh_token_sha256": "of another pair", "started_at": 1}
    written = journal.text_of(intent, Answer(200, json.dumps(theirs).encode(), True))
    open_directory(str(operator.state)).replace("journal", written)
    run = operator.run("refresh")
    assert "warning" in run.stderr
    (kept,) = operator.state.glob("token.json.unclaimed-*")
    assert json.loads(kept.read_text())["refresh_token"] == "OTHER-R"
    assert operator.stored()["refresh_token"] not in ("OTHER-R", json.loads(expired)["refresh_token"])
