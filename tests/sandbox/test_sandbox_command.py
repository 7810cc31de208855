"""``hhtoken sandbox`` as a program: what it prints, how it ends, what it refuses."""

import contextlib
import shlex
import signal
import socket
import subprocess
import time

import pytest
import requests
from conftest import PROGRAM

from hhtoken.sandbox.faults import ALL_FAULTS

NAMES = ["HH_CLIENT_ID", "HH_CLIENT_SECRET", "HH_REDIRECT_URI", "HH_AUTHORIZE_URL", "HH_TOKEN_URL", "HH_API_URL"]


@contextlib.contextmanager
def running(*arguments):
    """Run the command on a free port; yield ``(process, first line, settings)``."""
    command = [*PROGRAM, "sandbox", "--listen", "127.0.0.1:0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = process.stdout.readline()
        settings = dict(line.rstrip("\n").split("=", 1) for line in (process.stdout.readline() for _name in NAMES))
        yield process, first, settings
    finally:
        process.kill()
        process.communicate()


def test_the_settings_are_printed_as_an_env_file_for_a_shell():
    uri = "http://127.0.0.1:8000/callback?a=1&b=$(id)"
    with running("--redirect-uri", uri) as (_process, first, settings):
        url = first.removeprefix("# hhtoken sandbox: ").strip()
        assert list(settings) == NAMES and settings["HH_API_URL"] == url
        assert settings["HH_TOKEN_URL"] == url + "/oauth/token"
        assert settings["HH_AUTHORIZE_URL"] == url + "/oauth/authorize"
        assert shlex.split(settings["HH_REDIRECT_URI"]) == [uri] and settings["HH_REDIRECT_URI"].startswith("'")
        assert requests.get(url + "/sandbox/state", timeout=5).status_code == 200


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


def test_flags_reach_the_provider_and_quiet_is_quiet():
    faults = "--fault bom=2 --fault html_503=always --fault rate_limit@/vacancies=3 --fault no_scope".split()
    with running("--quiet", "--deny", "--expires-in", "7", "--role", "employer", *faults) as (
        process,
        _first,
        settings,
    ):
        now = requests.get(settings["HH_API_URL"] + "/sandbox/state", timeout=5).json()
        process.terminate()
        assert process.communicate(timeout=5) == ("", "")
    assert (now["expires_in"], now["auto"], now["user"]) == (7, "deny", "employer")
    assert [tuple(fault.values()) for fault in now["faults"]] == [
        ("bom", 2, "/oauth/token"),
        ("html_503", None, "/oauth/token"),
        ("rate_limit", 3, "/vacancies"),
        ("no_scope", 1, "/"),
    ]


def test_an_address_that_is_taken_is_for_later_and_one_of_another_machine_a_matter_of_settings(lonely):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = lonely.run("sandbox", "--listen", f"127.0.0.1:{taken.getsockname()[1]}", expect=75)
    assert "--listen" in run.stderr
    lonely.run("sandbox", "--listen", "192.0.2.1:0", expect=78)


@pytest.mark.parametrize(
    "flag, value",
    [
        ("--listen", "canary"),
        ("--listen", "127.0.0.1:99999"),
        ("--expires-in", "canary"),
        ("--expires-in", "0.5"),
        ("--role", "canary"),
        ("--redirect-uri", "canary"),
        ("--fault", "canary"),
        ("--fault", "bom=canary"),
        ("--fault", "bom@canary"),
    ],
)
def test_a_bad_value_is_wrong_usage_and_not_repeated(lonely, flag, value):
    run = lonely.run("sandbox", f"{flag}={value}", expect=2)
    assert flag in run.stderr and value not in run.stderr


def test_listening_beyond_this_machine_comes_with_a_warning():
    with running("--listen", "0.0.0.0:0") as (process, first, _settings):
        process.terminate()
        assert "warning" in process.communicate(timeout=5)[1] and "//127.0.0.1:" in first


def test_the_list_of_faults_names_them_all(lonely):
    assert [line.split()[0] for line in lonely.run("sandbox", "--list-faults").stdout.splitlines()] == list(ALL_FAULTS)
