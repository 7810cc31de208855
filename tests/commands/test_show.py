"""``hhtoken show``: a token that lives, or nothing and an exit code that says why."""

import fcntl
import json
import os
import pwd
import subprocess
import sys
import time

import pytest
from conftest import PROGRAM, Operator, obtain_pair, program_with, refreshes
from hypothesis import given
from hypothesis import strategies as st

from hhtoken import errors
from hhtoken.commands import show
from hhtoken.commands.parser import build_parser
from hhtoken.main import plain_arguments

PAIR = {"access_token": "ACCESS", "refresh_token": "REFRESH", "scope": "a b", "n": 1}


PRINTED = {  # words -> what is printed while the token lives, and after
    "--field access_token": ("ACCESS", None),
    "--header": ("Authorization: Bearer ACCESS", None),
    "--header --allow-expired": ("Authorization: Bearer ACCESS", "Authorization: Bearer ACCESS"),
    "--field access_token --min-seconds 50": ("ACCESS", None),
    "--field access_token --min-seconds 2000": (None, None),
    "--field refresh_token": ("REFRESH", "REFRESH"),
    "--field scope": ("a b", "a b"),
    "--field n": ("1", "1"),
}


@pytest.mark.parametrize("words", PRINTED)
def test_a_living_token_is_printed_alone_and_a_dead_one_only_if_allowed(lonely, words):
    for left, text in zip((1000, -2), PRINTED[words]):  # noqa: B905 (Python 3.9)
        lonely.store(PAIR, left=left, life=1000)
        run = lonely.run("show", *words.split(), expect=0 if text else 69)
        assert run.stdout == (text + "\n" if text else "") and ("hint: " in run.stderr) == (not text)
    assert plain_arguments(words.split(), show.PLAIN, show.FORMS), "the short way in"


def test_the_seconds_left_are_whole_and_never_negative_and_an_unknown_field_names_the_known_ones(lonely):
    lonely.store(PAIR, left=100, life=1000)
    assert 90 <= int(lonely.run("show", "--field", "seconds_left").stdout) <= 100
    lonely.store(PAIR)
    assert lonely.run("show", "--field", "seconds_left").stdout == "0\n"
    run = lonely.run("show", "--field", "acces_token", expect=2)
    assert run.stdout == "" and "access_token" in run.stderr


def test_each_way_to_ask_knows_of_a_not_yet(operator, sandbox):
    operator.store(obtain_pair(sandbox))
    operator.run("refresh")
    last = operator.state / "last-refresh.json"
    later = int(time.time()) + 1000  # the first "not yet" of a provider without a Date counts for seconds
    last.write_text(json.dumps({**json.loads(last.read_text()), "lives_until": later}))
    left = int(operator.run("show", "--field", "seconds_left").stdout)
    status = json.loads(operator.run("status", "--json").stdout)
    summary = json.loads(operator.run("show", "--json").stdout)
    assert left - 30 < summary["seconds_left"] <= left and summary["expires_at"] == status["expires_at"]
    assert summary["usable"] and status["usable"] and "usable, " in operator.run("show").stdout
    operator.run("show", "--field", "access_token")


def test_refresh_renews_what_is_due_or_says_why_not_and_leaves_what_is_not(operator, sandbox, expired):
    words = ("show", "--refresh", "--field", "access_token")
    sandbox.weather.add("html_503")
    run = operator.run(*words, expect=75)
    assert run.stdout == "" and "503" in run.stderr
    assert operator.run(*words).stdout == operator.run(*words).stdout
    assert refreshes(sandbox) == 2, "of which one was refused"


@pytest.mark.parametrize("left, code, usable", [(1000, 0, True), (-5, 69, False)])
def test_the_summary_has_no_secret_and_tells_whether_the_token_is_usable(lonely, left, code, usable):
    lonely.store(PAIR, left=left, life=1000)
    text = lonely.run("show", expect=code).stdout
    summary = lonely.run("show", "--json", expect=code).stdout
    assert json.loads(summary)["usable"] is usable
    assert "ACCESS" not in text + summary and "REFRESH" not in text + summary


@pytest.mark.parametrize("expires_at", [-5, 0, 5])
def test_show_and_status_agree_on_an_expiry_that_was_edited_by_hand(operator, sandbox, expired, expires_at):
    operator.run("refresh")
    operator.token_file.write_text(json.dumps({**operator.stored(), "expires_at": expires_at}))
    status = json.loads(operator.run("status", "--json", expect=69).stdout)
    summary = json.loads(operator.run("show", "--json", expect=69).stdout)
    for said in (status, summary):
        assert (said["usable"], said["seconds_left"], said["expires_at"]) == (False, 0, expires_at)
    operator.run("show", "--field", "access_token", expect=69)
    assert "expired" in operator.run("show", expect=69).stdout


@pytest.mark.parametrize("tongue", ["en_US.UTF-8", "ru_RU.UTF-8"])
def test_show_imports_neither_requests_nor_http_server_nor_ssl(lonely, tongue):
    lonely.store(PAIR, left=1000, life=1000)
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from hhtoken.main import main\n"
        "code = main()\n"
        "print(code, *sorted(sys.modules), file=sys.stderr)\n"
    )
    root = PROGRAM[-1].replace("/bin/hhtoken", "")
    finished = subprocess.run(
        [sys.executable, "-IS", "-c", program, root, "show", "--field", "access_token"],
        env={**lonely.environment, "LANG": tongue},
        capture_output=True,
        text=True,
        timeout=20,
    )
    code, *modules = finished.stderr.split()
    assert (code, finished.stdout) == ("0", "ACCESS\n")
    loaded = set(modules)
    assert not loaded & {"requests", "urllib3", "http.server", "http.client", "ssl", "socket", "hashlib", "logging"}
    assert not loaded & {"argparse", "json", "re", "enum", "signal", "dataclasses", "typing", "contextlib", "gettext"}
    assert {name for name in loaded if name.startswith("hhtoken.")} == {
        f"hhtoken.{name}"
        for name in (
            "commands commands.show console console.reporting errors main pair settings settings.settings "
            "settings.sources store store.private_directory store.token_store text"
        ).split()
    } | ({"hhtoken.settings.env_file"} & loaded)


@pytest.mark.parametrize(
    "command, files",
    [
        ("show --field access_token", ["{state}", "token.json"]),
        # The settings tell whether a token is to be published; an interrupted run may have left a journal in /run.
        ("refresh", ["{settings}", "{state}", "/run/hh-token", "token.json"]),
    ],
)
def test_a_plain_run_opens_the_directory_and_the_pair_and_touches_nothing_else(lonely, command, files):
    """Counted, not timed: what a run opens, lists, connects or starts, by the interpreter's own audit events."""
    lonely.store(PAIR, left=1000, life=1000)
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); seen = []\n"
        "sys.addaudithook(lambda event, values: seen.append((event, str(values[0]) if values else '')))\n"
        "from hhtoken.main import main\n"
        "code = main()\n"
        "quiet = ('import', 'marshal', 'compile', 'exec', 'object.', 'code.', 'sys.', 'builtins.')\n"
        "told = [f'{event} {what}' for event, what in seen if not event.startswith(quiet)\n"
        "        and not what.endswith(('.py', '.pyc')) and 'hhtoken' not in what.replace(sys.argv[-1], '')]\n"
        "print(code, *told, sep='\\n', file=sys.stderr)\n"
    )
    root = PROGRAM[-1].replace("/bin/hhtoken", "")
    state = lonely.environment.pop("HHTOKEN_STATE_DIR")
    own = f"{pwd.getpwuid(os.geteuid()).pw_dir}/.config/hh-token/hh-token.env"
    settings = own if os.geteuid() else "/etc/hh-token/hh-token.env"
    finished = subprocess.run(
        [sys.executable, "-IS", "-c", program, root, *command.split(), "--state-dir", state],
        env=lonely.environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    code, *events = finished.stderr.splitlines()
    assert code == "0"
    assert [event for event in events if event.startswith("open ")] == [
        f"open {file.format(state=state, settings=settings)}" for file in files
    ]
    assert not [event for event in events if event.startswith(("socket", "subprocess", "os.rename", "os.remove"))]


WORDS = ["show", "--field", "access_token", "--field=expires_in", "--header", "--json", "--allow-expired", "--refresh",
         "--min-seconds", "5", "--min-seconds=0", "--state-dir", "--state-dir=/x", "--env-file=/y", "--account",
         "--account=a", "", "-h", "x", "--"]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS[1:]), max_size=5))
def test_the_short_way_in_reads_a_command_line_as_argparse_does(words):
    plain = plain_arguments(words, show.PLAIN, show.FORMS)
    if plain is None:
        return  # argparse has the word
    try:
        parsed = vars(build_parser(["show"]).parse_args(["show", *words]))
    except errors.UsageError:
        raise AssertionError("argparse refuses what the short way takes") from None
    parsed = {"account": None, "state_dir": None, "env_file": None, **parsed}
    del parsed["command"]
    assert vars(plain) == parsed


def test_a_token_that_lives_is_shown_although_a_lock_keeps_an_old_journal_from_being_settled(lonely, tmp_path):
    """Nothing is due here. Where the token has expired, or there is none, the lock counts."""
    states = {"living": 1000, "expired": -5, "none": None}
    locks, runs = [], {}
    for name, left in states.items():
        one = Operator(tmp_path / name, {**lonely.environment, "HHTOKEN_STATE_DIR": str(tmp_path / name)})
        one.state.mkdir(mode=0o700)
        if left is not None:
            one.store(PAIR, left=left, life=1000)
        (one.state / "journal").write_text("{}\n")
        locks.append(open(one.state / ".lock", "w"))
        fcntl.flock(locks[-1], fcntl.LOCK_EX)
        impatient = program_with("hhtoken.store.file_lock.LOCK_WAIT_SECONDS = 0.5")
        runs[name] = one.start("show", "--refresh", "--field", "access_token", program=impatient)
    said = {name: (*run.communicate(timeout=60), run.returncode) for name, run in runs.items()}
    for lock in locks:
        lock.close()
    assert (said["living"][0], said["living"][2]) == (PAIR["access_token"] + "\n", 0)
    for name in ("expired", "none"):
        assert said[name][0] == "" and said[name][2] == 75 and "has held the lock" in said[name][1]
