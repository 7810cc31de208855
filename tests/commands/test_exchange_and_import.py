"""``hhtoken exchange``: a pasted code or address; ``hhtoken import``: a pair from a file."""

import errno
import json
import os
import pty
import subprocess
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import requests
from conftest import (
    AGENT,
    PROGRAM,
    code_of,
    come_back,
    exchanges,
    obtain_pair,
    program_with,
    refreshes,
)

from hhtoken import errors
from hhtoken.commands import import_pair
from hhtoken.provider.answer import Answer
from hhtoken.store import journal
from hhtoken.store.token_store import fingerprint


@pytest.mark.parametrize(
    "paste",
    [
        lambda address: address,
        lambda address: f"  '{address}'\r\n",
        lambda address: address + "#fragment\n",
        lambda address: urlsplit(address).query,
        lambda address: "?" + urlsplit(address).query,
        code_of,
        lambda address: "\n" + code_of(address) + "\n",
    ],
)
def test_a_pasted_address_or_code_is_exchanged(operator, paste):
    operator.run("exchange", input=paste(come_back(operator)))
    assert operator.run("show", "--field", "access_token").stdout.strip() == operator.stored()["access_token"]


def test_an_authorization_is_used_once(operator, sandbox):
    address = come_back(operator)
    operator.run("exchange", input=address)
    operator.run("exchange", input=address, expect=77)
    operator.run("exchange", input=code_of(address), expect=77)
    assert exchanges(sandbox) == 1


def test_a_wrong_state_sends_nothing_and_uses_nothing_up(operator, sandbox):
    address = come_back(operator)
    wrong = address.replace("state=", "state=x")
    operator.run("exchange", input=wrong, expect=77)
    operator.run("exchange", input=f"http://127.0.0.1/callback?code={code_of(address)}", expect=2)
    assert exchanges(sandbox) == 0
    operator.run("exchange", input=address)


def test_a_denied_access_is_77(operator, sandbox):
    sandbox.auto = "deny"
    assert "denied" in operator.run("exchange", input=come_back(operator), expect=77).stderr
    assert exchanges(sandbox) == 0


@pytest.mark.parametrize("junk", ["", "\n\n", "two words", "код", "x" * 20000, "\0", "https://example.org/"])
def test_junk_is_wrong_usage(operator, junk):
    operator.run("authorize-url")
    run = operator.run("exchange", input=junk, expect=2)
    assert run.stdout == "" and "hint" in run.stderr


def test_a_state_lives_for_an_hour(operator, sandbox):
    address = come_back(operator)
    pending = json.loads((operator.state / "pending.json").read_text())
    pending["authorizations"][0]["uptime"] -= 3601
    (operator.state / "pending.json").write_text(json.dumps(pending))
    operator.run("exchange", input=address, expect=77)
    assert exchanges(sandbox) == 0


def test_a_code_that_lost_its_answer_asks_for_a_new_authorization(operator, sandbox):
    sandbox.weather.add("reset_after")
    run = operator.run("exchange", input=come_back(operator), expect=75)
    assert "outcome unknown" in run.stderr and "hhtoken login" in run.stderr
    operator.run("exchange", input=come_back(operator))


@pytest.mark.parametrize("fault, code", [("bad_redirect_url", 78), ("account_not_found", 78), ("code_expired", 77)])
def test_a_refused_code_has_its_exit_code(operator, sandbox, fault, code):
    sandbox.weather.add(fault)
    operator.run("exchange", input=come_back(operator), expect=code)
    assert "token.json" not in operator.files() and "journal" not in operator.files()


def test_not_yet_is_no_answer_to_a_code(operator, sandbox):
    before = operator.store(obtain_pair(sandbox))
    sandbox.weather.add("token_not_expired")
    run = operator.run("exchange", input=come_back(operator), expect=77)
    assert "authorized" not in run.stderr
    assert operator.token_file.read_bytes() == before


def write_file(path, text, age=0):
    path.write_text(text)
    path.chmod(0o600)
    then = int(time.time()) - age
    os.utime(path, (then, then))
    return then


@pytest.mark.parametrize("in_place", [True, False])
def test_a_predecessors_file_is_taken_over_with_its_modification_time(operator, sandbox, tmp_path, in_place):
    pair = obtain_pair(sandbox)
    operator.state.mkdir(mode=0o700)
    file = operator.token_file if in_place else tmp_path / "old.json"
    then = write_file(file, json.dumps({**pair, "expires_in": 1000}), age=400)
    run = operator.run("import", file)
    hint = f"hint: a pair in two places is lost at the first refresh: remove {file}, or the pair in it\n"
    assert run.stdout == "" and file.exists() and run.stderr.endswith(hint) != in_place
    assert "token.json.prev" not in operator.files()
    stored = operator.stored()
    assert (stored["obtained_at"], stored["expires_at"]) == (then, then + 1000)
    assert stored["refresh_token"] == pair["refresh_token"]
    last = json.loads((operator.state / "last-refresh.json").read_text())
    assert last["message"].startswith("imported a pair; ") and last["at"] > then + 300, "the time of the import"
    assert "600" not in operator.run("show", "--json").stderr


def test_an_import_over_another_pair_keeps_that_one_aside(operator, sandbox, tmp_path):
    before = operator.store(obtain_pair(sandbox))
    write_file(tmp_path / "new.json", json.dumps(obtain_pair(sandbox)))
    operator.run("import", tmp_path / "new.json")
    assert (operator.state / "token.json.prev").read_bytes() == before
    assert operator.token_file.read_bytes() != before


def test_a_pair_from_which_the_stored_one_was_made_is_not_imported(operator, sandbox, expired, tmp_path):
    write_file(tmp_path / "old.json", expired.decode())
    operator.run("refresh")
    renewed = operator.token_file.read_bytes()
    said = operator.run("import", tmp_path / "old.json", expect=2).stderr
    assert "is spent: the stored one was made from it" in said and f"remove {tmp_path / 'old.json'}" in said
    assert operator.token_file.read_bytes() == renewed and "token.json.prev" not in operator.files()


def outlive(operator, sandbox, path):
    """Leave a copy of the stored pair at the path, as it is once it has expired, and renew it."""
    sandbox.provider.expire()
    write_file(path, operator.store(operator.stored()).decode())
    operator.run("refresh")


@pytest.fixture
def backups(operator, sandbox, tmp_path):
    """Copies of two pairs that are spent; from neither the stored one, which lives, was made."""
    operator.store(obtain_pair(sandbox))
    paths = [tmp_path / "A.json", tmp_path / "B.json"]
    for path in [*paths, tmp_path / "spent.json"]:
        outlive(operator, sandbox, path)
    return paths


def changed(file, **fields):
    """Write other values into the JSON of a file; None takes a field away."""
    known = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({name: value for name, value in known.items() if value is not None}))


TIMES = [
    ({}, 0),
    ({"obtained_at": None}, 0),  # of an OAuth library, and copied just now
    ({"obtained_at": None, "expires_at": None}, 100),
    ({"obtained_at": None, "expires_at": None, "expires_in": None}, 100),
]


@pytest.mark.parametrize("times, age", TIMES)
def test_an_expired_pair_does_not_take_the_place_of_a_newer_one_that_lives(operator, backups, times, age):
    before = operator.token_file.read_bytes()
    for path in backups:
        changed(path, **times)
        write_file(path, path.read_text(), age=age)
        said = operator.run("import", path, expect=2).stderr
        assert f"the pair in {path} has expired, and the stored one is newer and valid" in said
        assert f"remove {path}; or move the stored pair out first: 'hhtoken export FILE'" in said
        assert operator.token_file.read_bytes() == before and "token.json.prev" not in operator.files()


WHERE_IT_MAY = {
    "the newer one is moved out": lambda one, path: one.run("export", path.with_name("newer.json")),
    "that has expired": lambda one, path: one.store(one.stored(), left=-1),
    "that was obtained earlier": lambda one, path: one.store(one.stored(), left=1000, life=2000),
    "nobody can renew that": lambda one, path: changed(one.token_file, refresh_token=None),
    "HeadHunter has ended that": lambda one, path: changed(one.state / "last-refresh.json", dead=True),
    "HeadHunter refuses that": lambda one, path: changed(one.state / "last-refresh.json", refused="token_revoked"),
    "it lives itself": lambda one, path: changed(
        path, expires_at=int(time.time()) + 1000, obtained_at=None, expires_in=None
    ),
}


@pytest.mark.parametrize("why", WHERE_IT_MAY)
def test_an_old_pair_takes_the_place_of_another_one_where(operator, backups, why):
    WHERE_IT_MAY[why](operator, backups[0])
    operator.run("import", backups[0])


def test_two_imports_of_old_backups_do_not_cost_the_pair_that_was_stored(operator, sandbox, backups):
    sandbox.provider.expire()
    living = operator.store(operator.stored())
    previous = operator.state / "token.json.prev"
    kept = f"the pair that was stored until now is kept in {previous}\n"
    assert kept in operator.run("import", backups[0]).stderr
    operator.run("refresh", expect=77)
    assert kept not in operator.run("import", backups[1]).stderr
    assert previous.read_bytes() == living
    operator.run("refresh", expect=77)
    operator.run("import", previous)
    assert previous.read_bytes() != living, "a pair in two places"
    operator.run("refresh")


def test_what_was_kept_aside_and_is_taken_back_changes_places_with_the_stored_pair(operator, sandbox, tmp_path):
    first = json.loads(operator.store(obtain_pair(sandbox), left=1000, life=2000))
    previous = operator.state / "token.json.prev"
    write_file(tmp_path / "new.json", json.dumps(obtain_pair(sandbox)))
    operator.run("import", tmp_path / "new.json")
    second = operator.stored()
    said = operator.run("import", previous).stderr
    assert (operator.stored(), json.loads(previous.read_text())) == (first, second)
    assert f"is kept in {previous}" in said and "remove" not in said


def test_an_import_of_the_same_pair_forgets_nothing_that_is_known_of_it(operator, sandbox, expired, tmp_path):
    sandbox.weather.add("reset_after")
    operator.run("refresh", expect=75)
    last = operator.state / "last-refresh.json"
    changed(last, provider_ahead=7, refused="token_revoked", spent_sha256="earlier")
    before = json.loads(last.read_text())
    write_file(tmp_path / "copy.json", expired.decode())
    operator.run("import", tmp_path / "copy.json")
    after = json.loads(last.read_text())
    lasting = ("perhaps_spent_at", "provider_ahead", "refused", "spent_sha256")
    assert [after[name] for name in lasting] == [before[name] for name in lasting]
    assert after["perhaps_spent_at"] and after["message"] == "imported a pair"
    said = operator.run("refresh", expect=77).stderr
    assert "was lost on the way" in said and "thief" not in said


def leave_received_pair(operator, sandbox):
    """Leave what a refresh leaves that was killed behind the answer; return the new refresh token."""
    spent = operator.stored()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": spent}
    body = requests.post(operator.environment["HH_TOKEN_URL"], data=form, headers=AGENT, timeout=10).content
    intent = {"kind": "refresh", "refresh_token_sha256": fingerprint(spent), "started_at": int(time.time())}
    write_file(operator.state / "journal", journal.text_of(intent, Answer(200, body, True)).decode())
    return json.loads(body)["refresh_token"]


def test_a_received_pair_that_an_import_finds_is_not_replaced_by_the_one_it_was_made_from(
    operator, sandbox, expired, tmp_path
):
    write_file(tmp_path / "copy.json", expired.decode())
    new = leave_received_pair(operator, sandbox)
    operator.run("import", tmp_path / "copy.json", expect=2)
    assert operator.stored()["refresh_token"] == new


def test_the_stored_file_is_taken_as_it_is_once_what_was_received_is_in_place(operator, sandbox, expired):
    new = leave_received_pair(operator, sandbox)
    operator.run("import", operator.token_file)
    assert operator.stored()["refresh_token"] == new
    assert "token.json.prev" not in operator.files() and "journal" not in operator.files()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"access_token": "A"}', '{"refresh_token": "R"}',
     '{"access_token": 1, "refresh_token": 2}', '{"access_token": "a b", "refresh_token": "R"}', "x" * 70000],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_65_and_changes_nothing(operator, tmp_path, text):
    before = operator.store({"access_token": "A", "refresh_token": "R"})
    write_file(tmp_path / "bad.json", text)
    operator.run("import", tmp_path / "bad.json", expect=65)
    assert operator.token_file.read_bytes() == before


def test_a_pair_that_is_taken_back_is_not_lost_where_that_fails_half_way(operator, sandbox, monkeypatch):
    kept = operator.store(obtain_pair(sandbox))
    previous = operator.state / "token.json.prev"
    previous.write_bytes(kept)
    previous.chmod(0o600)
    operator.store(obtain_pair(sandbox))
    rename = os.rename

    def refuse(old, new, **more):
        if new == "token.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(old, new, **more)

    with monkeypatch.context() as broken, pytest.raises(errors.StorageError):
        broken.setattr(os, "rename", refuse)
        broken.setenv("HHTOKEN_STATE_DIR", str(operator.state))
        import_pair.run(SimpleNamespace(file=str(previous)))
    access_token = json.loads(kept)["access_token"]
    holding = [path.name for path in operator.state.iterdir() if access_token in path.read_text()]
    assert len(holding) == 1 and holding[0].startswith("token.json.unclaimed-")
    operator.run("import", operator.state / holding[0])
    assert operator.stored()["access_token"] == access_token
    operator.run("import", previous)
    assert len([name for name in operator.files() if "unclaimed" in name]) == 1, "no copy is left behind"


def test_a_file_that_cannot_be_read_is_wrong_usage(operator, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "none", tmp_path, tmp_path / "fifo"):
        operator.run("import", path, expect=2)


@pytest.mark.parametrize("command", ["import", "export"])
def test_a_dash_is_no_file(operator, sandbox, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    before = operator.store(obtain_pair(sandbox))
    assert "name a " in operator.run(command, "-", expect=2, input=before.decode()).stderr
    assert operator.token_file.read_bytes() == before and not os.path.exists("-")


def test_an_export_moves_the_pair_into_a_new_file(operator, sandbox, tmp_path):
    before = operator.store(obtain_pair(sandbox))
    operator.run("export", tmp_path / "pair.json")
    assert json.loads((tmp_path / "pair.json").read_text()) == json.loads(before)
    assert "token.json" not in operator.files()
    operator.run("import", tmp_path / "pair.json")
    assert operator.stored() == json.loads(before)


def kept_beside(operator, tmp_path):
    return operator.state / "token.json.prev"


def among_another_accounts(operator, tmp_path):
    (operator.state / "accounts" / "alice").mkdir(parents=True, mode=0o700)
    return operator.state / "accounts" / "alice" / "token.json"


def through_a_link(operator, tmp_path):
    (tmp_path / "link").symlink_to(operator.state)
    return tmp_path / "link" / "token.json.prev"


def at_the_published_file(operator, tmp_path):
    (tmp_path / "run").mkdir(mode=0o710)
    return tmp_path / "run" / "access_token"


OWN = [kept_beside, among_another_accounts, through_a_link, at_the_published_file]


@pytest.mark.parametrize("place", OWN, ids=lambda place: place.__name__)
def test_a_file_that_would_go_with_the_pair_is_not_exported_to(operator, sandbox, tmp_path, monkeypatch, place):
    before = operator.store(obtain_pair(sandbox))
    monkeypatch.chdir(operator.state)
    path, files = place(operator, tmp_path), operator.files()
    said = operator.run("export", path, expect=2, HHTOKEN_PUBLISH=tmp_path / "run" / "access_token").stderr
    assert "is among hhtoken's own files" in said and not os.path.exists(path)
    assert operator.token_file.read_bytes() == before and operator.files() == files


def test_an_import_does_not_bring_a_dead_pair_back_to_life(operator, sandbox, expired, tmp_path):
    sandbox.weather.add("token_deactivated")
    operator.run("refresh", expect=77)
    write_file(tmp_path / "copy.json", expired.decode())
    operator.run("import", tmp_path / "copy.json")
    operator.run("refresh", expect=77)
    assert refreshes(sandbox) == 1


def test_an_exchange_that_cannot_begin_leaves_the_authorization_for_another_try(operator, sandbox):
    address = come_back(operator)
    (operator.state / ".lock").unlink()
    (operator.state / ".lock").mkdir()
    assert "cannot open" in operator.run("exchange", input=address, expect=74).stderr
    assert exchanges(sandbox) == 0
    (operator.state / ".lock").rmdir()
    operator.run("exchange", input=address)


def test_a_code_that_never_reached_the_provider_is_given_up(operator, sandbox):
    address = come_back(operator)
    brief = program_with("hhtoken.renewal.exchange.SEND_PAUSE_SECONDS = 0.1")
    run = operator.run("exchange", input=address, expect=75, program=brief, HH_TOKEN_URL="http://127.0.0.1:9/token")
    assert "nothing was sent" in run.stderr and "the code is given up" in run.stderr
    assert "has expired, or was already used" in operator.run("exchange", input=address, expect=77).stderr


def test_a_person_at_a_terminal_is_told_what_to_paste(operator):
    ours, theirs = pty.openpty()
    address = come_back(operator)
    program = [*PROGRAM, "exchange"]
    with subprocess.Popen(program, env=operator.environment, stdin=theirs, stderr=subprocess.PIPE) as run:
        os.close(theirs)
        assert b"paste the address the browser ended up on" in run.stderr.readline()
        os.write(ours, address.encode() + b"\n")
        assert b"stored a new pair" in run.stderr.read()
    os.close(ours)
    assert run.returncode == 0
