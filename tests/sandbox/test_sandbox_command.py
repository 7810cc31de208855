"""``hhtoken sandbox`` as a program: what it prints, how it ends, what it refuses."""

import argparse
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests
from support import ROOT

from hhtoken import errors
from hhtoken.commands import sandbox
from hhtoken.sandbox.faults import ALL_FAULTS

PROGRAM = """
import argparse, sys
from hhtoken import errors
from hhtoken.commands import sandbox
parser = argparse.ArgumentParser()
sandbox.add_arguments(parser)
sys.exit(sandbox.run(parser.parse_args()))
"""
NAMES = ["HH_CLIENT_ID", "HH_CLIENT_SECRET", "HH_REDIRECT_URI", "HH_AUTHORIZE_URL", "HH_TOKEN_URL", "HH_API_URL"]


@contextlib.contextmanager
def running(*arguments):
    """Run the command on a free port; yield ``(process, first line, settings)``."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--listen", "127.0.0.1:0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        first = process.stdout.readline()
        settings = dict(line.rstrip("\n").split("=", 1) for line in (process.stdout.readline() for _name in NAMES))
        yield process, first, settings
    finally:
        process.kill()
        process.communicate()


def arguments(*words):
    parser = argparse.ArgumentParser()
    sandbox.add_arguments(parser)
    return parser.parse_args(words)


def test_the_settings_are_printed_as_an_env_file():
    with running() as (_process, first, settings):
        url = first.removeprefix("# hhtoken sandbox: ").strip()
        assert list(settings) == NAMES and settings["HH_API_URL"] == url
        assert settings["HH_TOKEN_URL"] == url + "/oauth/token"
        assert settings["HH_AUTHORIZE_URL"] == url + "/oauth/authorize"
        assert requests.get(url + "/sandbox/state", timeout=5).status_code == 200


def test_a_value_for_the_shell_is_quoted():
    uri = "http://127.0.0.1:8000/callback?a=1&b=$(id)"
    with running("--redirect-uri", uri) as (_process, _first, settings):
        assert shlex.split(settings["HH_REDIRECT_URI"]) == [uri] and settings["HH_REDIRECT_URI"].startswith("'")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_no_traceback(number):
    with running("--fault", "hang_before") as (process, _first, settings):
        with socket.create_connection(("127.0.0.1", int(settings["HH_API_URL"].rpartition(":")[2]))) as client:
            client.sendall(b"POST /token HTTP/1.1\r\nUser-Agent: a\r\nContent-Length: 0\r\n\r\n")
            time.sleep(0.1)
            process.send_signal(number)
            _out, err = process.communicate(timeout=5)
    assert process.returncode == 0
    assert err == "hhtoken: sandbox: POST /token (none) -> no answer [hang_before]\n"


def test_quiet_is_quiet():
    with running("--quiet") as (process, _first, settings):
        requests.get(settings["HH_API_URL"] + "/me", timeout=5)
        process.terminate()
        assert process.communicate(timeout=5) == ("", "")


def test_flags_reach_the_provider():
    with running(
        "--expires-in",
        "7",
        "--deny",
        "--fault",
        "bom=2",
        "--fault",
        "html_503=always",
        "--fault",
        "rate_limit@/vacancies=3",
        "--fault",
        "no_scope",
        "--role",
        "employer",
    ) as (_process, _first, settings):
        now = requests.get(settings["HH_API_URL"] + "/sandbox/state", timeout=5).json()
    assert (now["expires_in"], now["auto"], now["user"]) == (7, "deny", "employer")
    assert [tuple(fault.values()) for fault in now["faults"]] == [
        ("bom", 2, "/oauth/token"),
        ("html_503", None, "/oauth/token"),
        ("rate_limit", 3, "/vacancies"),
        ("no_scope", 1, "/"),
    ]


def test_a_busy_port_is_for_later():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(errors.TryLaterError) as caught:
            sandbox.run(arguments("--listen", f"127.0.0.1:{taken.getsockname()[1]}"))
    assert "--listen" in caught.value.hint


def test_an_address_of_another_machine_is_a_matter_of_settings():
    with pytest.raises(errors.ConfigError):
        sandbox.run(arguments("--listen", "192.0.2.1:0"))


@pytest.mark.parametrize(
    "flag, value",
    [
        ("--listen", "canary"),
        ("--listen", "127.0.0.1:99999"),
        ("--expires-in", "canary"),
        ("--expires-in", "0.5"),
        ("--redirect-uri", "canary"),
        ("--fault", "canary"),
        ("--fault", "bom=canary"),
        ("--fault", "bom@canary"),
    ],
)
def test_a_bad_value_is_wrong_usage_and_not_repeated(capsys, flag, value):
    with pytest.raises(SystemExit) as caught:
        arguments(f"{flag}={value}")
    err = capsys.readouterr().err
    assert caught.value.code == errors.USAGE and f"{flag}: " in err and value not in err


def test_listening_beyond_this_machine_comes_with_a_warning():
    with running("--listen", "0.0.0.0:0") as (process, first, _settings):
        process.terminate()
        assert "warning" in process.communicate(timeout=5)[1] and "//127.0.0.1:" in first


def test_the_list_of_faults_names_them_all(capfd):
    assert sandbox.run(arguments("--list-faults")) == errors.OK
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines()] == list(ALL_FAULTS)


def test_adding_arguments_does_not_pay_for_a_server():
    code = (
        "import argparse, sys; from hhtoken.commands import sandbox; "
        "sandbox.add_arguments(argparse.ArgumentParser()); print('http.server' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout == "False\n"
