"""What hints tell to type is typed here, in a shell, where paths have spaces and quotes in them."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import Operator, copy_for_all
from support import PAIR

from hhtoken.console import hints
from hhtoken.text import N_, escaped

ODD = "it's a place"


def type_into_shell(command, operator):
    subprocess.run(["sh", "-c", command], check=True, env=operator.environment, capture_output=True, timeout=60)


def ways_to_copy(enclosed):
    """Given a command with what encloses it in a sentence, return what a person may copy of it."""
    return [enclosed[1:-1]] if enclosed[0] == "'" else [enclosed[1:-1], enclosed]


@pytest.mark.parametrize(
    "name, encloses",
    [("plain", "'"), ("Мой-дом", "'"), ("Мой дом", "("), ("it's", "("), ("$HOME", "("), ("a\\b", "("), ('"a"', "("),
     ("`a`", "("), ("(a)", "("), ("a;b&c|d", "("), ("*?[a]", "("), ("~", "("), ("# a", "("), ("'a' 'b", "(")],
)  # fmt: skip
def test_a_command_works_as_it_is_copied_wherever_program_state_and_file_are(tmp_path, monkeypatch, name, encloses):
    place = tmp_path / name / "hhtoken"
    place.parent.mkdir()
    place.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    place.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(place)])
    monkeypatch.setattr(hints, "_flags", {"--state-dir": name})
    path = str(place.parent)
    sentence = N_("{path} is lost: type 'hhtoken import {typed}', or 'hhtoken login'", path=path, typed=escaped(path))
    said = hints.with_flags(sentence, None)
    first, second = said.removeprefix(f"{path} is lost: type ").split(", or ")
    for enclosed, words in ((first, ["import", path]), (second, ["login"])):
        assert enclosed[0] == encloses, said
        for command in ways_to_copy(enclosed):
            run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
            assert run.stdout.splitlines() == ["--state-dir", name, *words], command


@pytest.mark.parametrize("program", ["ls -ld", "lsattr"])
def test_a_command_of_another_program_is_enclosed_in_the_same_way(program):
    sentence = f"look at '{program} {{path}}' (chattr -i)"
    assert hints.with_flags(sentence.format(path=escaped("/a")), None) == f"look at '{program} /a' (chattr -i)"
    said = hints.with_flags(sentence.format(path=escaped("/a 'b'")), None)
    assert said == rf"look at ({program} /a\ \'b\') (chattr -i)"


def told(pattern, run):
    """Return the command that a hint tells to type: what the group of this pattern finds on standard error."""
    found = re.search(pattern, run.stderr)
    assert found, run
    return found.group(1)


@pytest.fixture
def odd(tmp_path):
    """An operator whose state directory lies where a shell takes nothing as it stands."""
    (tmp_path / ODD).mkdir()
    return Operator(tmp_path / ODD / "state", {"HH_TOKEN_URL": "http://127.0.0.1:9/oauth/token"})


def test_an_exported_pair_is_imported_as_the_command_says(odd, tmp_path):
    odd.store(PAIR, left=1000, life=1000)
    run = odd.run("export", tmp_path / ODD / "pair.json")
    assert f"moved the pair into {tmp_path}/{ODD}/pair.json;" in run.stderr and not odd.token_file.exists()
    type_into_shell(told(r"type (\(.+\))$", run), odd)
    assert odd.stored()["refresh_token"] == "REFRESH"


def test_settings_and_a_state_directory_that_are_open_are_closed_as_the_commands_say(odd, tmp_path):
    odd.store(PAIR, left=1000, life=1000)
    odd.state.chmod(0o777)
    type_into_shell(told(r"hint: type: (.+)", odd.run("show", expect=74)), odd)
    assert odd.state.stat().st_mode & 0o777 == 0o700
    settings = tmp_path / ODD / "env"
    settings.write_text("HH_CLIENT_SECRET=CANARY\nHH_CLIENT_ID=ID\nHH_REDIRECT_URI=http://127.0.0.1:9/callback\n")
    settings.chmod(0o644)
    type_into_shell(told(r"hint: type: (.+)", odd.run("app-token", "--env-file", settings, expect=78)), odd)
    assert settings.stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_none_is_looked_at_as_the_command_says(odd):
    odd.store(PAIR, left=1000, life=1000)
    (odd.state / ".lock").symlink_to("/")
    type_into_shell(told(r"look at it with (\(ls .+\)), move", odd.run("refresh", "--force", expect=74)), odd)
    os.link(odd.token_file, odd.state / "second")
    type_into_shell(told(r"type: (cp .+)", odd.run("show", expect=74)), odd)
    assert odd.run("show", "--field", "access_token").stdout == "ACCESS\n"


def test_a_directory_for_the_published_file_is_made_as_the_command_says(odd, tmp_path):
    odd.store(PAIR, left=1000, life=1000)
    published = tmp_path / ODD / "run" / "access_token"
    run = odd.run("refresh", HHTOKEN_PUBLISH=published)
    command = told(r"(install -d .+)", run).replace("OWNER", str(os.geteuid())).replace("GROUP", str(os.getegid()))
    type_into_shell(command, odd)
    assert published.parent.is_dir()


def test_damaged_authorizations_are_removed_as_the_command_says(odd):
    odd.store(PAIR, left=1000, life=1000)
    pending = odd.state / "pending.json"
    pending.write_text(json.dumps({"authorizations": 1}))
    pending.chmod(0o600)
    settings = {"HH_CLIENT_ID": "ID", "HH_CLIENT_SECRET": "S", "HH_REDIRECT_URI": "http://127.0.0.1:9/callback"}
    run = odd.run("authorize-url", expect=65, **settings)
    type_into_shell(told(r"type: (rm .+), then", run), odd)
    assert not pending.exists()


NOBODY = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


def test_what_root_is_to_type_calls_the_program_as_it_was_called():
    """A directory that only root can look into; and a checkout, of which no PATH knows."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(state := os.path.join(folder, "state"), 0o000)
        program = copy_for_all(Path(folder))
        words = [program, "doctor", "--state-dir", state]
        environment = {"PATH": "/usr/bin:/bin", "HH_API_URL": "http://127.0.0.1:9", "HH_TOKEN_URL": "http://127.0.0.1:9",
                       "HH_AUTHORIZE_URL": "http://127.0.0.1:9"}  # fmt: skip
        for more in ([], ["--json"]):
            run = subprocess.run([*words, *more], env=environment, capture_output=True, text=True, timeout=60, **NOBODY)
            assert f"sudo {program} doctor --state-dir {state}" in run.stdout, run
            assert "sudo hhtoken" not in run.stdout and "'hhtoken " not in run.stdout, run


@pytest.mark.parametrize(
    "command, ready",
    [
        ("sudo hhtoken doctor", "sudo /a\\ b/hhtoken doctor"),
        ("hhtoken sync --once", "/a\\ b/hhtoken sync --once"),
        ("journalctl -t hhtoken -n 5", "journalctl -t hhtoken -n 5"),
        ("ls -l /x/hhtoken /y", "ls -l /x/hhtoken /y"),
        (None, None),
    ],
)
def test_a_command_that_stands_alone_gets_no_flag(monkeypatch, command, ready):
    monkeypatch.setattr(sys, "argv", ["/a b/hhtoken"])
    monkeypatch.setattr(hints, "_flags", {"--state-dir": "/s"})
    assert hints.called(command) == ready


def test_a_command_for_root_in_a_sentence_gets_no_flag(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/co/bin/hhtoken"])
    monkeypatch.setattr(hints, "_flags", {"--state-dir": "/s"})
    said = hints.with_flags("type 'sudo hhtoken status', or 'hhtoken login'", "alice")
    assert said == "type 'sudo /co/bin/hhtoken status', or '/co/bin/hhtoken --account alice --state-dir /s login'"
