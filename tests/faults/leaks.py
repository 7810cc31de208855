"""Whether a secret got out: looked for after each test of the fault suite, in all that its programs left behind.

Secrets are whatever the sandbox has issued, or was sent: client secret, codes, states, verifiers, tokens. They are
looked for in the arguments and the environment of each process, in what it printed, in the lines that came to syslog,
and in files that others can read or that lie outside the state directory.
"""

import os
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

SYSLOG_SOCKET = "/dev/log"
SYSLOG_FILE = "HHTOKEN_FAULTS_SYSLOG"  # environment variable: where the stand-in for syslog puts what comes
RESULTS = (["show", "--field"], ["show", "--header"], ["authorize-url"])  # whose standard output is a secret
CARRIERS = {"HH_CLIENT_SECRET"}  # variables that operators put a secret into themselves
TELLING = ("client_secret", "code", "code_verifier", "refresh_token", "state", "access_token")
SHORTEST_SECRET = 16  # characters; the tests' own made-up codes are shorter


class Watch:
    """What is known of one test: ``secrets``, and what its programs left. ``scratch``: an empty directory of its own,
    which is their TMPDIR and their home."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.secrets = set()
        self._states = set()
        self._found = []  # (where, text)

    def learn(self, fields):
        """Given names and values that the sandbox has seen or issued, keep the secrets among them."""
        self.secrets.update(
            value for name, value in fields.items() if name in TELLING and len(str(value)) >= SHORTEST_SECRET
        )

    def began(self, arguments, environment):
        self._found.append((f"arguments of {arguments[-1]}", " ".join(map(str, arguments))))
        values = [value for name, value in (environment or {}).items() if name not in CARRIERS]
        self._found.append(("environment", "\n".join(values)))
        if environment and "HHTOKEN_STATE_DIR" in environment:
            self._states.add(environment["HHTOKEN_STATE_DIR"])

    def ended(self, arguments, out, err):
        words = list(map(str, arguments))
        if not any(words[at : at + len(result)] == result for result in RESULTS for at in range(len(words))):
            self._found.append(("standard output", as_text(out)))
        self._found.append(("standard error", as_text(err)))

    def hits(self):
        """Return where a secret was found, and files that others can read: a list of sentences."""
        found = [*self._found, ("syslog", syslog_lines())]
        found += [(f"a file in {self.scratch}", as_text(path.read_bytes())) for path in files_in(self.scratch)]
        hits = {where for where, text in found for secret in self.secrets if secret in text}
        for state in self._states:
            hits.update(f"others may read {path}" for path in files_in(state) if path.lstat().st_mode & 0o077)
        return sorted(hits)


def as_text(data):
    return data.decode(errors="replace") if isinstance(data, bytes) else data or ""


def files_in(path):
    """Return the regular files of a directory, except locks without a word in them."""
    found = Path(path).rglob("*") if os.path.isdir(path) else []
    return [file for file in found if stat.S_ISREG(file.lstat().st_mode)]


def watch_processes(monkeypatch, watch):
    """Tell a Watch of each process that a test starts and of what it prints."""
    original = subprocess.Popen

    class Watched(original):
        def __init__(self, arguments, *given, env=None, **more):
            self._words = arguments if isinstance(arguments, (list, tuple)) else [arguments]
            if env and "HHTOKEN_STATE_DIR" in env:
                env = {"TMPDIR": str(watch.scratch), "HOME": str(watch.scratch), **env}
            watch.began(self._words, env)
            super().__init__(arguments, *given, env=env, **more)

        def communicate(self, *given, **more):
            out, err = super().communicate(*given, **more)
            watch.ended(self._words, out, err)
            return out, err

    monkeypatch.setattr(subprocess, "Popen", Watched)


def watch_provider(monkeypatch, watch):
    """Tell a Watch of all that the sandbox sees and issues."""
    from hhtoken.sandbox.provider import Provider

    watch.learn({"client_secret": Provider()._settings.client_secret})
    token, read_authorization, answer = Provider.token, Provider.read_authorization, Provider.answer

    def told_token(self, form):
        watch.learn(form)
        document = token(self, form)
        watch.learn(document)
        return document

    def told_authorization(self, parameters):
        watch.learn(parameters)
        return read_authorization(self, parameters)

    def told_answer(self, request, allowed):
        address = answer(self, request, allowed)
        watch.learn({"code": address.partition("code=")[2].partition("&")[0]})
        return address

    monkeypatch.setattr(Provider, "token", told_token)
    monkeypatch.setattr(Provider, "read_authorization", told_authorization)
    monkeypatch.setattr(Provider, "answer", told_answer)


# -- a stand-in for syslog --


def stand_in_for_syslog(path):
    """Listen on /dev/log, and append what comes to a file, until the process ends; tell whether that is possible."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(SYSLOG_SOCKET)
                raise OSError("one listens")
            except FileNotFoundError:
                pass
            except ConnectionRefusedError:
                os.unlink(SYSLOG_SOCKET)
        listener.bind(SYSLOG_SOCKET)
    except OSError:
        listener.close()
        return False
    os.environ[SYSLOG_FILE] = str(path)

    def receive():
        with open(path, "ab", buffering=0) as file:
            while True:
                file.write(listener.recv(65536) + b"\n")

    threading.Thread(target=receive, daemon=True).start()
    return True


def end_of_syslog():
    if os.environ.pop(SYSLOG_FILE, None):
        os.unlink(SYSLOG_SOCKET)


def syslog_lines():
    """Return all that has come to the stand-in so far, from whatever test; "" where there is none."""
    path = os.environ.get(SYSLOG_FILE)
    if not path:
        return ""
    mark = os.urandom(8).hex()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect(SYSLOG_SOCKET)
        log.send(mark.encode())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = Path(path).read_text(errors="replace")
        if mark in lines:
            return lines
    raise AssertionError("the stand-in for syslog does not answer")
