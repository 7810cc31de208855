"""Short of processes or of memory, or under an answer without an end: nothing is spent that cannot be saved, and the
program stays small."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import Operator, obtain_pair, refreshes
from rough_provider import answering, http

from faults.strace import HHTOKEN, PROGRAM, PYTHON

MOST_RESIDENT_KIB = 64 * 1024
SOMEBODY = 61_000 + os.getpid() % 4_000  # a user who has no other process
MANY = 64 * 1024 * 1024  # bytes; what is "endless" here, beyond what sockets hold

PAIR = b'{"access_token": "NEW-ACCESS", "refresh_token": "NEW-REFRESH", "expires_in": 60}'
OLD = {"access_token": "OLD-ACCESS", "refresh_token": "OLD-REFRESH"}


def pour(connection, piece):
    for _ in range(MANY // len(piece)):
        connection.sendall(piece)


def endless(head, piece, beginning=b""):
    return lambda connection: (connection.sendall(head + beginning), pour(connection, piece))


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK = b" " * 65536
# Name -> (what the provider does, whether a full pair is in it).
ANSWERS = {
    "blanks": (endless(HEAD + b"\r\n", BLOCK), False),
    "blanks behind a pair": (endless(HEAD + b"\r\n", BLOCK, PAIR), True),
    "a string without an end": (endless(HEAD + b"\r\n", b"x" * 65536, b'{"access_token": "'), False),
    "nests": (endless(HEAD + b"\r\n", b"[" * 65536), False),
    "chunks": (endless(CHUNKED, b"10000\r\n" + BLOCK + b"\r\n"), False),
    "tiny chunks": (endless(CHUNKED, b"1\r\n \r\n" * 8192), False),
    "a chunk length without an end": (endless(CHUNKED, b"0" * 65536), False),
    "ten gigabytes promised": (endless(HEAD + b"Content-Length: 10737418240\r\n\r\n", BLOCK), False),
    "headers": (endless(HEAD, b"X-Y: z\r\n" * 8192), False),
    "a header without an end": (endless(HEAD, b"x" * 65536, b"X-Y: "), False),
    "a status line without an end": (endless(HEAD[:-2], b"x" * 65536), False),
    "early hints": (endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2048), False),
    "a bomb of gzip": (
        lambda connection: connection.sendall(http(bomb(), headers=["Content-Encoding: gzip"])),
        False,
    ),
}


def bomb():
    import gzip

    return gzip.compress(b" " * (50 * 1024 * 1024))


# A small parent: the peak of a process counts what it was forked from.
_MEASURE = """\
import os, sys
_pid, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(operator, *arguments):
    """Run the program; return (exit code, standard error, peak of its resident memory in KiB)."""
    run = subprocess.run(
        [PYTHON, "-IS", "-c", _MEASURE, *PROGRAM, *arguments],
        stdin=subprocess.DEVNULL, env=operator.environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return run.returncode, run.stderr, int(run.stdout)


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_however_long_takes_memory(name, tmp_path, note):
    send, has_pair = ANSWERS[name]
    with answering(send) as provider:
        operator = Operator(tmp_path / "state", {"HH_TOKEN_URL": provider.url, "HHTOKEN_DEADLINE": "20"})
        before = operator.store(OLD)
        code, err, peak = measured(operator, "refresh")
    assert "Traceback" not in err and code in ((0,) if has_pair else (65, 75)), err
    stored = operator.token_file.read_bytes()
    assert json.loads(stored)["access_token"] == "NEW-ACCESS" if has_pair else stored == before
    assert peak < MOST_RESIDENT_KIB
    within = f"within {MOST_RESIDENT_KIB // 1024} MiB"
    note("Resident memory under an answer without an end", "kinds of answers", {"runs": 1, within: 1})


@pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to run as another user, whose processes can be limited")
def test_no_room_for_a_thread_is_found_before_the_request(sandbox):
    """As another user, who has no other process: root has no such limit."""
    operator = Operator(Path(tempfile.mkdtemp()) / "state", sandbox.environment())
    place = operator.state.parent
    try:
        shutil.copytree(Path(HHTOKEN).parents[1] / "hhtoken", place / "hhtoken")
        shutil.copytree(Path(HHTOKEN).parent, place / "bin")
        stored = operator.store(obtain_pair(sandbox))
        sandbox.provider.expire()
        place.chmod(0o755)
        for path in (operator.state, operator.token_file):
            os.chown(path, SOMEBODY, SOMEBODY)

        def limit():
            os.setgroups([])
            os.setgid(SOMEBODY)
            resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
            os.setuid(SOMEBODY)

        words = [PYTHON, "-IS", str(place / "bin" / "hhtoken"), "refresh"]
        run = subprocess.run(words, env=operator.environment, preexec_fn=limit, capture_output=True, text=True)
        assert run.returncode == 75 and "no room for a thread; nothing was sent" in run.stderr, run
        assert refreshes(sandbox) == 0 and operator.token_file.read_bytes() == stored
        operator.run("refresh", program=PROGRAM)
        sandbox.provider.check_user_token(operator.stored()["access_token"])
    finally:
        shutil.rmtree(place)
