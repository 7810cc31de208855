"""Several accounts, each with a state directory of its own inside the main one."""

import json
import os
import socket
import stat
import subprocess

import pytest
from conftest import PROGRAM, account, authorize, obtain_pair, place, received, refreshes, run_with_syslog
from support import PAIR

from hhtoken import errors
from hhtoken.store import account_names, accounts
from hhtoken.store.pending import LIFE_SECONDS
from hhtoken.store.private_directory import Nested, open_directory

NAMES = ["a", "7", "_", "alice", "my-bot", "ivan.petrov", "a..b", "A_1-b.c", "a" * 64]
NO_NAMES = ["", ".", "..", "-", "-a", ".a", "a/b", "../a", "/a", "é", "٣", "a" * 65, *(f"a{c}b" for c in " :@%\n\0")]


def test_what_a_path_a_unit_or_a_shell_could_take_otherwise_is_no_name():
    assert [name for name in NAMES if not account_names.is_name(name)] == []
    assert [name for name in NO_NAMES if account_names.is_name(name)] == []


@pytest.mark.parametrize("command", ["show", "refresh", "status", "authorize-url", "notice"])
@pytest.mark.parametrize("name", ["../alice", "", ".a"])
def test_a_wrong_name_is_wrong_usage_as_a_flag_and_78_as_a_setting(lonely, command, name):
    wrong = lonely.run(command, f"--account={name}", expect=2)
    assert "invalid account name" in wrong.stderr and "hint: use up to 64 letters" in wrong.stderr
    if name:
        wrong = lonely.run(command, HHTOKEN_ACCOUNT=name, expect=78)
        assert (
            "HHTOKEN_ACCOUNT is not a valid account name" in wrong.stderr
            and "hint: use up to 64 letters" in wrong.stderr
        )
    assert lonely.files() == []


def test_each_account_has_its_own_pair_and_none_named_is_the_main_one(lonely):
    alice, bob = place(lonely, "alice"), place(lonely, "bob")
    lonely.store({**PAIR, "access_token": "MAIN"}, left=1000, life=1000)
    alice.store({**PAIR, "access_token": "ALICE"}, left=1000, life=1000)
    bob.store({**PAIR, "access_token": "BOB"}, left=1000, life=1000)
    show = ("show", "--field", "access_token")
    assert lonely.run(*show).stdout == "MAIN\n"
    assert lonely.run(*show, HHTOKEN_ACCOUNT="").stdout == "MAIN\n"
    assert alice.run(*show).stdout == "ALICE\n"
    for words in (["--account", "bob", *show], [*show, "--account=bob"], [*show, "--account", "bob"]):
        assert alice.run(*words).stdout == "BOB\n"  # the flag beats the environment


def test_the_env_file_names_no_account(lonely, tmp_path):
    lonely.store({**PAIR, "access_token": "MAIN"}, left=1000, life=1000)
    shared = tmp_path / "env"
    shared.write_text("HHTOKEN_ACCOUNT=alice\n")
    refused = lonely.run("show", "--env-file", shared, expect=78)
    assert "HHTOKEN_ACCOUNT" in refused.stderr and "--account" in refused.stderr


def test_an_authorization_makes_the_directory_of_its_account_and_touches_nothing_of_the_main_one(operator):
    alice = account(operator, "alice")
    alice.run("authorize-url")
    assert operator.files() == ["accounts"]
    assert set(alice.files()) == {".lock", "pending.json"}
    for directory in (operator.state / "accounts", alice.state):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_reading_makes_no_directory(lonely):
    for command in ("show", "refresh", "status"):
        account(lonely, "alice").run(command, expect=77)
    assert lonely.files() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_makes_belongs_to_the_owner_of_the_main_directory(lonely):
    lonely.state.mkdir(mode=0o700)
    os.chown(lonely.state, 65534, 65534)
    made = open_directory(Nested(str(lonely.state), "accounts", "alice"), create=True)
    made.replace("token.json", b"{}")
    for path in ("accounts", "accounts/alice", "accounts/alice/token.json"):
        assert (lonely.state / path).stat().st_uid == 65534


@pytest.mark.parametrize("link", ["accounts", "accounts/alice"])
def test_a_link_leads_no_account_elsewhere(lonely, tmp_path, link):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "alice").mkdir(mode=0o700, parents=True)
    alice = account(lonely, "alice")
    (lonely.state / link).parent.mkdir(mode=0o700, parents=True)
    (lonely.state / link).symlink_to(elsewhere)
    for create in (False, True):
        with pytest.raises(errors.StorageError):
            open_directory(Nested(str(lonely.state), "accounts", "alice"), create)
    refused = alice.run("refresh", expect=74)
    assert "is not a directory of its own" in refused.stderr
    assert sorted(elsewhere.rglob("*")) == [elsewhere / "alice"]


def test_messages_and_the_log_name_the_account_and_hints_are_for_it(operator, sandbox, tmp_path):
    failed = account(operator, "alice").run("refresh", expect=77)
    error, hint = failed.stderr.splitlines()
    assert error.startswith("hhtoken: error: account alice: not logged in: no token in ")
    assert hint.startswith("hhtoken: hint: type 'hhtoken --account alice login'")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        run_with_syslog(operator, tmp_path / "log", "--account", "alice", "refresh")
        (line,) = received(log)
        assert "]: account alice: not logged in: no token in " in line and "'hhtoken --account alice login'" in line


def test_an_account_is_renewed_for_itself(operator, sandbox):
    alice, bob = place(operator, "alice"), place(operator, "bob")
    old = alice.store(obtain_pair(sandbox))
    untouched = bob.store(obtain_pair(sandbox))
    sandbox.provider.expire()
    done = alice.run("refresh")
    assert "account alice: renewed the pair" in done.stderr
    assert refreshes(sandbox) == 1
    assert alice.token_file.read_bytes() != old and bob.token_file.read_bytes() == untouched
    assert operator.files() == ["accounts"]


def test_a_notice_names_the_account_and_its_command(operator, sandbox):
    alice = place(operator, "alice")
    alice.store(obtain_pair(sandbox))
    sandbox.weather.add("token_deactivated")
    alice.run("refresh", expect=77)
    notice = alice.run("notice", "--failed-with", "77").stdout
    assert f"hhtoken on {os.uname().nodename}: account alice: " in notice
    assert "'hhtoken --account alice login'" in notice
    assert alice.run("notice").stdout == ""
    operator.store(PAIR, left=500, life=1000)
    assert operator.run("notice").stdout == ""


def test_the_script_of_the_timers_names_the_account(operator, tmp_path):
    no_logger = tmp_path / "logger"  # so that it says on standard error what would go to syslog
    no_logger.write_text("#!/bin/sh\nexit 1\n")
    no_logger.chmod(0o755)
    script = os.path.join(os.path.dirname(PROGRAM[-1]), "hh-token-refresh.sh")
    environment = {**account(operator, "alice").environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 77
    assert "hhtoken: error: account alice: not logged in" in done.stderr
    assert "exit code 77 for the account alice" in done.stderr


# -- what counts as an account --


def lines_of(operator, expect):
    return [line.split()[0] for line in operator.run("status", "--all", expect=expect).stdout.splitlines()]


@pytest.mark.parametrize(
    "name",
    ["token.json", "token.json.prev", "token.json.damaged-1", "journal", "journal.rescued", "answer.kept",
     "last-refresh.json"],
)  # fmt: skip
def test_whoever_has_something_to_renew_to_tell_or_to_clear_up_is_an_account(lonely, name):
    for account_name in ("alice", "bob"):
        place(lonely, account_name).state.mkdir(mode=0o700)
    (lonely.state / "accounts" / "alice" / name).touch(mode=0o600)
    assert accounts.listed(str(lonely.state)) == ["alice"]


def test_a_directory_that_cannot_be_looked_into_is_not_passed_over(lonely):
    place(lonely, "alice")
    (lonely.state / "accounts" / "alice").write_text("")
    assert accounts.listed(str(lonely.state)) == ["alice"]
    assert lines_of(lonely, 74) == ["alice"]


def test_a_mistyped_account_counts_only_while_its_authorization_is_under_way(operator):
    alice, typo = place(operator, "alice"), account(operator, "typo")
    alice.store(PAIR, left=1000, life=1000)
    typo.run("authorize-url")
    assert lines_of(operator, 77) == ["alice", "typo"]
    pending = typo.state / "pending.json"
    fields = json.loads(pending.read_text())
    fields["authorizations"][0]["uptime"] -= LIFE_SECONDS
    pending.write_text(json.dumps(fields))
    assert lines_of(operator, 0) == ["alice"]
    assert operator.run("refresh", "--all").stdout.count("\n") == 1


@pytest.mark.parametrize("way", ["export", "revoke", "revoke --local-only"])
def test_an_account_whose_pair_has_gone_is_none(operator, sandbox, tmp_path, way):
    alice, bob = place(operator, "alice"), account(operator, "bob")
    alice.store(PAIR, left=1000, life=1000)
    back = authorize(bob)
    bob.run("exchange", input=back["code"])
    assert lines_of(operator, 0) == ["alice", "bob"]
    words = [tmp_path / "pair.json"] if way == "export" else ["--yes"]
    bob.run(*way.split(), *words)
    assert bob.state.is_dir() and lines_of(operator, 0) == ["alice"]
    assert "token.json" in alice.files()


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_where_there_are_only_accounts_they_are_named_and_no_login_proposed(lonely, command):
    for number in range(6):
        place(lonely, f"a{number}").store(PAIR, left=1000, life=1000)
    shown = lonely.run(command, "--json", expect=(77, 78)).stdout
    assert "there are accounts: a0, a1, a2, a3, a4, \\u2026; name one with --account, or type " in shown
    assert "'hhtoken status --all'" in shown and "'hhtoken login'" not in shown
    assert "there are accounts" not in lonely.run("--account", "other", command, expect=(77, 78)).stdout


@pytest.mark.parametrize("command", ["show", "refresh", "exec true", "whoami", "revoke --yes", "export new", "notice"])
def test_no_command_proposes_a_login_where_there_are_only_accounts(operator, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    place(operator, "alice").store(PAIR, left=1000, life=1000)
    run = operator.run(*command.split(), expect=(0, 77))
    said = run.stdout + run.stderr
    assert "there are accounts: alice; name one with --account" in said
    assert "'hhtoken login'" not in said and "http" not in said
    other = operator.run("--account", "other", *command.split(), expect=(0, 77))
    assert "there are accounts" not in other.stdout + other.stderr


@pytest.mark.parametrize("command", ["status", "refresh"])
def test_what_is_said_of_all_is_not_said_of_the_account_in_the_environment(lonely, command):
    said = lonely.run(command, "--all", expect=77, HHTOKEN_ACCOUNT="alice").stderr
    assert "not logged in" in said and "alice" not in said


def test_a_bare_code_for_an_account_is_told_whose_it_may_be(operator):
    alice, bob = account(operator, "alice"), account(operator, "bob")
    assert "type 'hhtoken login'" in operator.run("exchange", input="CODE", expect=77).stderr
    back = authorize(bob)
    told = operator.run("exchange", input=back["code"], expect=77).stderr
    assert "type 'hhtoken --account bob exchange'" in told
    alice.run("authorize-url")
    told = operator.run("exchange", input=back["code"], expect=77).stderr
    assert "'hhtoken --account NAME exchange', where NAME is one of: alice, bob" in told
    bob.run("exchange", input=back["code"])
