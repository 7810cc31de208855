"""The check that runs after every test of this suite can fail: a secret is put in each place where none may be."""

import os
import subprocess
import sys

import pytest
from conftest import Operator, obtain_pair, refreshes

from faults import leaks
from faults.strace import PROGRAM, require_strace

SECRET = "CANARY-" + "0123456789ABCDEF" * 2
HALVES = f"{SECRET[:9]!r} + {SECRET[9:]!r}"  # so that it is not found in the arguments


def python(program, *arguments, **environment):
    environment = {"PATH": os.environ["PATH"], **environment}
    subprocess.run([sys.executable, "-c", program, *arguments], env=environment, capture_output=True, check=True)


def into_a_file(path, mode):
    path.mkdir(exist_ok=True)
    (path / "file").touch(mode)


# Place -> what puts the secret there.
LEAKS = {
    "arguments": lambda path: python("pass", SECRET),
    "environment": lambda path: python("pass", TOKEN=SECRET),
    "standard output": lambda path: python(f"print({HALVES})"),
    "standard error": lambda path: python(f"import sys; print({HALVES}, file=sys.stderr)"),
    "a file in": lambda path: python(
        f"import tempfile as t; t.NamedTemporaryFile('w', delete=False).write({HALVES})",
        HHTOKEN_STATE_DIR=str(path),
    ),
    "others may read": lambda path: (into_a_file(path, 0o644), python("pass", HHTOKEN_STATE_DIR=str(path))),
}


def look(watch):
    """Return what is found, and forget it, lest the test fails for it."""
    found = watch.hits()
    watch.__init__(watch.scratch)
    for file in leaks.files_in(watch.scratch):
        file.unlink()
    return found


@pytest.mark.parametrize("place", LEAKS)
def test_a_secret_in_a_wrong_place_is_found(place, watch, tmp_path):
    watch.learn({"access_token": SECRET})
    LEAKS[place](tmp_path / "state")
    found = look(watch)
    assert [hit for hit in found if hit.startswith(place)] == found != []


def test_a_secret_in_syslog_is_found(watch):
    if not os.environ.get(leaks.SYSLOG_FILE):
        pytest.skip("no stand-in for syslog: not root, or a real one listens")
    from hhtoken.console import reporting

    secret = SECRET[::-1]  # of its own: all workers write into one log
    watch.learn({"access_token": secret})
    assert watch.hits() == []
    reporting.event(f"the token is {secret}")
    assert look(watch) == ["syslog"]


def test_what_a_refresh_says_is_looked_at(watch, sandbox, tmp_path):
    """The secrets are known, the log is read, and the program starts no other to which it could hand a secret on."""
    require_strace()
    operator = Operator(tmp_path / "state", sandbox.environment())
    pair = obtain_pair(sandbox)
    operator.store(pair)
    sandbox.provider.expire()
    tracer = ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-e", "signal=none", "-o", str(tmp_path / "log")]
    operator.run("refresh", program=[*tracer, *PROGRAM])
    assert refreshes(sandbox) == 1
    assert (tmp_path / "log").read_text().count("exec") == 1
    tokens = {found[name] for found in (pair, operator.stored()) for name in ("access_token", "refresh_token")}
    assert {*tokens, sandbox.settings.client_secret} <= watch.secrets
    assert "renewed the pair" in leaks.syslog_lines() or not os.environ.get(leaks.SYSLOG_FILE)
