"""What a person at a terminal sees while hhtoken waits, and that nobody else sees any of it. On real terminals."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

import pytest
import requests
from conftest import program_with, take_signals, wait_for
from rough_provider import answering, http

CTRL_C, CTRL_S, CTRL_Q = b"\x03", b"\x13", b"\x11"
SECONDS_LEFT = re.compile(r"(\d+) seconds? left")
TELLS_AT_ONCE = "hhtoken.console.progress.UNTOLD_SECONDS = 0"
TALKATIVE = program_with(TELLS_AT_ONCE)


class Terminal:
    """A pseudo-terminal with a program on it. ``stream``: all that has come; ``screen()``: what one would see."""

    def __init__(self, operator, *arguments, program=TALKATIVE, shell=None, columns=120, **environment):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        around = ["bash", "-c", shell, "bash"] if shell else []
        self.process = subprocess.Popen(
            [*around, *program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
            env={**operator.environment, "TERM": "xterm", **environment},
            preexec_fn=lambda: self._take_over(slave),
        )
        os.close(slave)
        self.stream = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @staticmethod
    def _take_over(slave):
        take_signals()
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # nobody holds the other end any more
                return
            self.stream += data.decode()

    def type(self, keys):
        os.write(self._master, keys)

    def end(self, expect=0):
        """Wait for the end, and return the lines on the screen."""
        self.process.wait(timeout=30)
        self._thread.join(timeout=10)
        self.process.stdout.close()
        os.close(self._master)
        assert self.process.returncode == expect, self.stream
        return self.screen()

    def screen(self):
        lines, line, column = [], "", 0
        for piece in re.findall(r"\033\[K|\r|\n|[^\r\n\033]+|\033", self.stream):
            if piece == "\033[K":
                line = line[:column]
            elif piece == "\r":
                column = 0
            elif piece == "\n":
                lines.append(line)
                line, column = "", 0
            else:
                line = line[:column] + piece + line[column + len(piece) :]
                column += len(piece)
        return [*lines, line]


def counted_down(terminal):
    return [int(seconds) for seconds in SECONDS_LEFT.findall(terminal.stream)]


def test_the_listener_counts_down_and_leaves_no_trace(operator):
    terminal = Terminal(operator, "serve-callback", "--timeout", "2")
    screen = terminal.end(expect=75)
    assert counted_down(terminal) in ([2, 1], [2], [1]), "a busy machine may miss a second"
    assert re.search("hhtoken: waiting for the browser, [12] seconds? left", terminal.stream)
    assert "left" not in "".join(screen) and screen[-1] == ""
    assert any(line.startswith("hhtoken: error: no browser came back") for line in screen)


def test_a_pipe_and_a_dumb_terminal_hear_nothing_of_it(operator):
    words = ("serve-callback", "--timeout", "1")
    terminal = Terminal(operator, *words, TERM="dumb")
    terminal.end(expect=75)
    for said in (operator.run(*words, expect=75, program=TALKATIVE, TERM="xterm").stderr, terminal.stream):
        assert "left" not in said and "\033" not in said


def test_an_interrupt_leaves_whole_lines(operator):
    terminal = Terminal(operator, "serve-callback", "--timeout", "600")
    wait_for(lambda: counted_down(terminal))
    terminal.type(CTRL_C)
    screen = terminal.end(expect=130)
    assert "^C" in terminal.stream
    assert "left" not in "".join(screen) and "^C" not in "".join(screen)
    assert all(line.startswith("hhtoken: ") for line in screen[:-1]) and screen[-1] == ""


def test_another_message_meanwhile_has_a_line_of_its_own(operator, redirect_uri):
    terminal = Terminal(operator, "serve-callback", "--timeout", "600")
    wait_for(lambda: counted_down(terminal))
    requests.get(redirect_uri, timeout=10)
    wait_for(lambda: "ignored" in terminal.stream)
    told = len(counted_down(terminal))
    wait_for(lambda: len(counted_down(terminal)) > told)
    screen = terminal.screen()
    assert any(line.startswith("hhtoken: ignored 1 unrelated request") for line in screen)
    assert screen[-1].startswith("hhtoken: waiting for the browser, 9 minutes")
    terminal.process.terminate()
    terminal.end(expect=143)


def test_a_job_in_the_background_leaves_the_terminal_alone(operator):
    terminal = Terminal(operator, "serve-callback", "--timeout", "1", shell='set -m; "$@" & wait $!')
    screen = terminal.end(expect=75)
    assert counted_down(terminal) == [] and "\033" not in terminal.stream
    assert any("hhtoken: error: no browser came back" in line for line in screen)


def test_a_narrow_terminal_gets_a_line_that_does_not_wrap(operator):
    terminal = Terminal(operator, "serve-callback", "--timeout", "1", columns=30)
    terminal.end(expect=75)
    drawn = [part.partition("\r")[0] for part in terminal.stream.split("\033[K")]
    assert "hhtoken: waiti, 1 second left" in drawn and max(map(len, drawn[1:-1])) <= 29


def test_the_lock_of_another_run_is_waited_for_aloud(operator, expired):
    path = operator.state / ".lock"
    path.touch(mode=0o600)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        terminal = Terminal(operator, "show", "--refresh", "--header")
        wait_for(lambda: counted_down(terminal))
    assert terminal.end() == [""]
    assert re.search(r"hhtoken: waiting for another run of hhtoken to end, \d+ seconds? left", terminal.stream)


@contextlib.contextmanager
def slow_provider():
    """A provider, and the event that lets it answer."""
    answer, may_answer = (
        http('{"access_token": "NEW-A", "refresh_token": "NEW-R", "expires_in": 1000}'),
        threading.Event(),
    )

    def handle(connection):
        may_answer.wait(60)
        connection.sendall(answer)

    with answering(handle) as provider:
        try:
            yield provider, may_answer
        finally:
            may_answer.set()


def test_a_slow_answer_is_waited_for_aloud_without_a_secret(operator, expired):
    secrets = [operator.stored()[name] for name in ("access_token", "refresh_token")]
    with slow_provider() as (provider, may_answer):
        terminal = Terminal(operator, "refresh", HH_TOKEN_URL=provider.url)
        wait_for(lambda: "left" in terminal.stream)
        may_answer.set()
        terminal.end()
    assert re.search("hhtoken: waiting for the answer of 127.0.0.1, .* left", terminal.stream)
    assert not any(secret in terminal.stream for secret in (*secrets, "NEW-A", "NEW-R"))


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_an_interrupt_that_has_to_wait_is_answered_once(operator, expired, term):
    with slow_provider() as (provider, may_answer):
        terminal = Terminal(operator, "refresh", HH_TOKEN_URL=provider.url, TERM=term)
        wait_for(lambda: provider.requests)
        terminal.type(CTRL_C)
        wait_for(lambda: "is noted" in terminal.stream)
        terminal.type(CTRL_C)
        told = len(terminal.stream)
        wait_for(lambda: term == "dumb" or len(terminal.stream) > told)  # the next second is told, too
        may_answer.set()
        screen = terminal.end()
    noted = [line for line in screen if "is noted" in line]
    assert len(noted) == 1 and noted[0].endswith(
        "hhtoken: SIGINT is noted; waiting for the answer of 127.0.0.1, since a pair is at stake"
    )
    assert any("renewed the pair" in line for line in screen)
    assert operator.stored()["access_token"] == "NEW-A"


def test_a_stopped_terminal_keeps_no_answer_waiting(operator, expired):
    with slow_provider() as (provider, may_answer):
        terminal = Terminal(operator, "refresh", HH_TOKEN_URL=provider.url)
        terminal.type(CTRL_S)
        wait_for(lambda: provider.requests)
        time.sleep(0.5)
        may_answer.set()
        wait_for((operator.state / "last-refresh.json").exists)
        terminal.type(CTRL_Q)
        terminal.end()
    assert not counted_down(terminal)


def test_waiting_is_not_busy(operator):
    terminal = Terminal(operator, "serve-callback", "--timeout", "600")
    wait_for(lambda: counted_down(terminal))
    before = _switches(terminal.process.pid)
    time.sleep(1)
    assert _switches(terminal.process.pid) - before < 10
    terminal.process.terminate()
    terminal.end(expect=143)


def _switches(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M).group(1))
