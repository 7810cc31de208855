"""The installed program under strace: which system calls it makes, in which thread, and a fault at any one of them.

strace counts calls by thread. The main thread is traced from its start. The worker that sends the request and reads
the answer is stopped by a seam, before its first line, until a strace of its own hangs on it: so its calls are
counted from one, whatever the main thread has done before.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import pytest

PYTHON = "/usr/bin/python3"
HHTOKEN = str(Path(__file__).parents[2] / "bin" / "hhtoken")
PROGRAM = [PYTHON, "-IS", HHTOKEN]  # as its first line has it
MAIN, WORKER = "main", "worker"
PATIENCE_SECONDS = 60
IS_LONG = bool(os.environ.get("HHTOKEN_FAULTS_LONG"))  # make test-faults-long

_CALL = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)")

# The program, whose first worker waits to be traced: it says its number, and goes on when something comes.
_HELD = """\
import os, runpy, sys, threading
ready, go, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
run = threading.Thread.run
def held(self):
    threading.Thread.run = run
    os.write(ready, b"%d\\n" % threading.get_native_id())
    os.read(go, 1)
    run(self)
threading.Thread.run = held
sys.argv = sys.argv[3:]
runpy.run_path(program, run_name="__main__")
"""


class Call(NamedTuple):
    """A system call of one thread: the ``nth`` of its name there. ``what``: the file or the data, for people;
    ``text``: all of strace's line."""

    thread: str
    name: str
    nth: int
    what: str
    text: str

    def __str__(self):
        return f"{self.thread} {self.name} #{self.nth} {self.what}"

    def lot(self):
        """Return a number that is this call's own in every run, to share the calls out by."""
        return zlib.crc32(f"{self.thread} {self.name} {self.nth}".encode())


class Ended(NamedTuple):
    """A traced run: ``code`` is None where it was killed; ``hits``: how many calls were tampered with or killed at."""

    code: object
    stderr: str
    hits: int


def require_strace():
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")


def traces(episode, log):
    """Given an Episode and where to write, return the Calls of its main thread and of its worker, undisturbed."""
    episode.begin()
    main = trace_main(episode.operator, episode.arguments, episode.input, log)
    episode.begin()
    return main, trace_worker(episode.operator, episode.arguments, episode.input, log)


def trace_main(operator, arguments, input, log):
    """Run the program; return the Calls of its main thread."""
    run = subprocess.run(
        ["strace", "-q", "-y", "-s", "60", "-o", str(log), *PROGRAM, *arguments],
        input=input, env=operator.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return _calls(log, MAIN)


def trace_worker(operator, arguments, input, log):
    """Run the program; return the Calls of its worker thread."""
    ended = _run_worker(operator, arguments, input, log, ["-y", "-s", "60"])
    assert ended.code == 0, ended.stderr
    return _calls(log, WORKER)[1:]  # the first is the seam's read()


def share(calls, part, parts):
    """Return one part of the Calls. By lot, not by position, since some calls are not the same in each trace, and
    those around them must not fall between two parts."""
    return [call for call in calls if call.lot() % parts == part]


def run_with(operator, arguments, input, log, call, fault, everafter=False, worker=()):
    """Run the program with a fault, in strace's words, at a Call (``everafter``: and at all later ones of its name);
    return an Ended.

    ``worker``: the Calls of the worker, where they are known. A call that the worker does not make so often is found
    twice as fast, by a filter in the kernel, which strace has for all threads or for none, and not for signals.
    """
    options = _injection(call, fault, everafter)
    if call.thread == WORKER:
        return _run_worker(operator, arguments, input, log, options)
    if worker and not fault.startswith("signal") and call.nth > sum(other.name == call.name for other in worker):
        options += ["-f", "--seccomp-bpf"]
    run = subprocess.run(
        ["strace", "-q", *options, "-o", str(log), *PROGRAM, *arguments],
        input=input, env=operator.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    return Ended(run.returncode if run.returncode >= 0 else None, run.stderr, _hits(log))


def _injection(call, fault, everafter=False):
    return ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{fault}:when={call.nth}{'+' * everafter}"]


def _run_worker(operator, arguments, input, log, options):
    ready, say_ready = os.pipe()
    wait, go = os.pipe()
    with contextlib.ExitStack() as cleanup:
        for descriptor in (ready, go):
            cleanup.callback(os.close, descriptor)
        program = subprocess.Popen(
            [PYTHON, "-IS", "-c", _HELD, str(say_ready), str(wait), HHTOKEN, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=operator.environment, pass_fds=(say_ready, wait),
        )  # fmt: skip
        cleanup.callback(program.kill)
        os.close(say_ready)
        os.close(wait)
        program.stdin.write(input)
        program.stdin.close()
        program.stdin = None
        thread = os.read(ready, 20).decode().strip()
        assert thread, program.communicate(timeout=PATIENCE_SECONDS)[1]
        with _attached(thread, log, options):
            os.write(go, b"g")
            _out, err = program.communicate(timeout=PATIENCE_SECONDS)
    return Ended(program.returncode if program.returncode >= 0 else None, err, _hits(log))


def wait_until_it_listens(program):
    """Return once a ``serve-callback`` has said so, and rests."""
    line = program.stderr.readline()
    assert "waiting for the browser" in line, line + program.communicate(timeout=PATIENCE_SECONDS)[1]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextlib.contextmanager
def _attached(thread, log, options):
    """Hang strace on a thread, and let go when that has ended."""
    tracer = subprocess.Popen(["strace", *options, "-o", str(log), "-p", thread], stderr=subprocess.PIPE, text=True)
    try:
        line = tracer.stderr.readline()
        assert "attached" in line, line
        yield
        tracer.communicate(timeout=PATIENCE_SECONDS)
    finally:
        tracer.kill()


def _calls(log, thread):
    seen, calls = {}, []
    for line in Path(log).read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match:
            name = match[2]
            seen[name] = seen.get(name, 0) + 1
            calls.append(Call(thread, name, seen[name], _what(name, match[3]), match[3]))
    return calls


def _what(name, text):
    """Given a call's name and arguments, return what file it is about, without the random part of a name."""
    pattern = r'"([^"]*)"' if name.endswith("at") or name == "connect" else r"-?\d+<([^>]*)>"
    match = re.search(pattern, text)
    file = os.path.basename(match[1]) if match else ""
    file = re.sub(r"^socket:.*", "socket", file)
    return re.sub(r"^\.([a-z.-]+?)\.\d+\.[0-9a-f]+\.tmp$", r"\1.tmp", file)


def _hits(log):
    text = Path(log).read_text(errors="replace")
    return text.count("(INJECTED)") + text.count("+++ killed by SIGKILL +++")


def have_requests():
    return subprocess.run([PYTHON, "-I", "-c", "import requests"], capture_output=True).returncode == 0


if not have_requests():
    PROGRAM[0] = PYTHON = sys.executable
