"""What hints tell to type is typed here, in a shell, where paths have spaces and quotes in them."""

import json
import os
import re
import subprocess

import pytest
from conftest import Operator

PAIR = {"access_token": "ACCESS", "refresh_token": "REFRESH"}
ODD = "it's a place"


def type_into_shell(command, operator):
    subprocess.run(["sh", "-c", command], check=True, env=operator.environment, capture_output=True, timeout=60)


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
    type_into_shell(told(r"type '(.+)'$", run), odd)
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
    os.link(odd.token_file, odd.state / "second")
    type_into_shell(told(r"look at it with '(ls .+)', move", odd.run("show", expect=74)), odd)


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
