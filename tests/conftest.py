"""A HeadHunter to talk to, the program as operators run it, and a state directory of its own for each test."""

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from hhtoken.sandbox.server import start

# Whatever the language of the person who runs the tests; one that is about a language sets it for its own process.
os.environ["LC_ALL"] = "C.UTF-8"
os.environ.pop("LANGUAGE", None)
os.umask(0o022)  # theirs is no matter either; how hhtoken holds against others has tests of its own

ROOT = str(Path(__file__).parent.parent)
PROGRAM = [sys.executable, "-I", f"{ROOT}/bin/hhtoken"]
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_PROCESS")}  # make coverage
UNMEASURED = dict.fromkeys(MEASURED)  # for a run in which no file may grow, where coverage has none to write to either
AGENT = {"User-Agent": "tests/1.0 (tests@example.com)"}


def children_of(pid):
    """Return the process ids of a process's children, without the help of ps, which may be missing."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            parent = place.read_text(errors="replace").rpartition(")")[2].split()[1]
            found += [int(place.parent.name)] if int(parent) == pid else []
    return found


def is_running(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _own_children():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there is none, as around most tests
        return set()
    return set(children_of(os.getpid()))


def pytest_exception_interact(node):
    node.has_failed = True


@pytest.fixture(autouse=True)
def no_process_stays(request):
    """What a test that fails has started ends with it: neither a process nor a warning may fail the next ones."""
    before = _own_children()
    yield
    if not getattr(request.node, "has_failed", False):
        return
    left = _own_children() - before
    for pid in left:
        with contextlib.suppress(ProcessLookupError):  # a thread has seen to its end
            os.kill(pid, signal.SIGKILL)
    for process in gc.get_objects():
        if type(process) is subprocess.Popen and process.pid in left:
            process.__exit__(None, None, None)  # closes its pipes, and waits


def take_signals():
    """A shell starts background jobs with SIGINT ignored, nohup with SIGHUP, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def program_with(*changes):
    """Return the program, changed as by ``hhtoken.store.file_lock.LOCK_WAIT_SECONDS = 1``: nobody can set what is a
    promise, and no test has to wait for it."""
    lines = ["import sys", f"sys.path.insert(0, {ROOT!r})"]
    for change in changes:
        name = change.partition(" = ")[0]
        lines += [f"import {name.rpartition('.')[0]}", name, change]  # the name alone: fails where there is no such one
    lines += ["from hhtoken.main import main", "sys.exit(main())"]
    return [sys.executable, "-I", "-c", "\n".join(lines)]


class Finished:
    """A run of the program that has ended."""

    def __init__(self, process):
        self.code, self.stdout, self.stderr = process.returncode, process.stdout, process.stderr

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.stdout}\nstderr: {self.stderr}"


class Operator:
    """Runs hhtoken with an environment and a state directory; an exit code that was not expected fails the test."""

    def __init__(self, state, environment):
        self.state = state
        path = f"{os.path.dirname(PROGRAM[-1])}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HHTOKEN_STATE_DIR": str(state), **MEASURED, **environment}

    def run(self, *arguments, expect=0, input="", program=None, **environment):
        finished = Finished(
            subprocess.run(
                [*(program or PROGRAM), *map(str, arguments)],
                input=input,
                capture_output=True,
                text=True,
                env=self._environment(environment),
                timeout=60,
            )
        )
        assert "Traceback" not in finished.stderr, finished
        expected = expect if isinstance(expect, tuple) else (expect,)
        assert finished.code in expected, finished
        for line in finished.stderr.splitlines():
            assert line.startswith("hhtoken: "), finished
        return finished

    def start(self, *arguments, program=None, **environment):
        return subprocess.Popen(
            [*(program or PROGRAM), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(environment),
            preexec_fn=take_signals,
        )

    def _environment(self, changes):
        merged = {**self.environment, **changes}
        return {name: str(value) for name, value in merged.items() if value is not None}

    @property
    def token_file(self):
        return self.state / "token.json"

    def stored(self):
        return json.loads(self.token_file.read_text())

    def store(self, pair, left=-2, life=1):
        """Write a pair as hhtoken does, with so many seconds left to live; by default one that has just expired."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        expires_at = int(time.time()) + left
        fields = {"token_type": "bearer", **pair, "expires_in": life}
        fields.update(obtained_at=expires_at - life, expires_at=expires_at)
        self.token_file.write_text(json.dumps(fields))
        self.token_file.chmod(0o600)
        return self.token_file.read_bytes()

    def files(self):
        return sorted(path.name for path in self.state.iterdir()) if self.state.exists() else []


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def redirect_uri(request):
    return f"http://{getattr(request, 'param', '127.0.0.1')}:{free_port()}/callback"


@pytest.fixture
def sandbox(redirect_uri):
    with start(auto="allow", drip_seconds=0.004, redirect_uri=redirect_uri) as running:
        yield running


@pytest.fixture
def operator(tmp_path, sandbox):
    """An operator whose settings point at the sandbox."""
    return Operator(tmp_path / "state", sandbox.environment())


@pytest.fixture
def lonely(tmp_path):
    """An operator with no settings but a state directory; nothing listens where its token address points."""
    return Operator(tmp_path / "state", {"HH_TOKEN_URL": "http://127.0.0.1:9/oauth/token"})


def obtain_pair(sandbox):
    """Authorize at the sandbox as a bare client would, and return the answer's fields."""
    settings = sandbox.environment()
    asked = requests.get(
        settings["HH_AUTHORIZE_URL"],
        params={"response_type": "code", "client_id": settings["HH_CLIENT_ID"]},
        allow_redirects=False,
        headers=AGENT,
        timeout=10,
    )
    code = parse_qs(urlsplit(asked.headers["Location"]).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "client_id": settings["HH_CLIENT_ID"],
        "client_secret": settings["HH_CLIENT_SECRET"],
        "code": code,
    }
    return requests.post(settings["HH_TOKEN_URL"], data=form, headers=AGENT, timeout=10).json()


@pytest.fixture
def expired(operator, sandbox):
    """The bytes of a token.json whose access token has expired, at the provider too."""
    pair = obtain_pair(sandbox)
    sandbox.provider.expire()
    return operator.store(pair)


def refreshes(sandbox):
    """How many refresh requests the sandbox has seen."""
    return sandbox.requests.summary()["token_requests"].get("refresh_token", 0)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def has_open(process, path):
    """Tell whether a process that we have started has this file open."""
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it is closed meanwhile
            if os.readlink(descriptor) == str(path):
                return True
    return False


def catches(process, number):
    """Tell whether a process that we have started does not simply die of this signal any more."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> number - 1 & 1)


class Reader(threading.Thread):
    """Reads a stream to its end in the background, so that a test can look at what has come so far."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.text = ""
        self._stream = stream
        self.start()

    def run(self):
        for line in self._stream:
            self.text += line


def run_with_syslog(operator, path, *arguments):
    command = [*program_with(f"hhtoken.console.reporting.SYSLOG_SOCKET = {str(path)!r}"), *arguments]
    return subprocess.run(command, env=operator.environment, capture_output=True, text=True, timeout=30)


def received(log):
    log.settimeout(0.2)
    lines = []
    try:
        while True:
            lines.append(log.recv(65536).decode())
    except TimeoutError:
        return lines


class Listening:
    """A running serve-callback; the browser's side of it."""

    def __init__(self, operator, program=None):
        self.port = urlsplit(operator.environment["HH_REDIRECT_URI"]).port or free_port()
        words = ("serve-callback", "--listen", f"127.0.0.1:{self.port}", "--timeout", "20")
        self.process = operator.start(*words, program=program)
        self.stderr = Reader(self.process.stderr)
        wait_for(lambda: "waiting for the browser" in self.stderr.text or self.process.poll() is not None)

    def get(self, path="/callback", headers=(), method="GET", **query):
        address = f"http://127.0.0.1:{self.port}{path}"
        return requests.request(method, address, params=query, headers=dict(headers), timeout=10)

    def end(self):
        code = self.process.wait(20)
        self.stderr.join(5)
        self.stdout = self.process.stdout.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    @property
    def is_alive(self):
        return self.process.poll() is None


@pytest.fixture
def listening(operator, sandbox):
    started = []

    def listen(program=None):
        started.append(Listening(operator, program))
        return started[-1]

    yield listen
    for listener in started:
        if listener.is_alive:
            listener.process.terminate()
            listener.end()


def authorize(operator):
    """Type authorize-url, open the address; return the fields that the browser is sent back with."""
    address = operator.run("authorize-url").stdout.strip()
    answer = requests.get(address, allow_redirects=False, headers=AGENT, timeout=10)
    assert answer.status_code == 302, answer.text
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {name: values[0] for name, values in query.items()}


def token_requests(sandbox):
    return sum(sandbox.requests.summary()["token_requests"].values())


def account(operator, name):
    """An operator for one account, who sees its files; names it in the environment."""
    named = Operator(operator.state / "accounts" / name, {**operator.environment, "HHTOKEN_ACCOUNT": name})
    named.environment["HHTOKEN_STATE_DIR"] = str(operator.state)
    return named


def place(operator, name):
    """The same, with a directory for the account."""
    (operator.state / "accounts").mkdir(mode=0o700, parents=True, exist_ok=True)
    operator.state.chmod(0o700)
    return account(operator, name)


ACTIVATE = (
    "import os, socket, sys\n"
    "os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True)\n"
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


def activate(operator, listener, *arguments, program=PROGRAM):
    """Start hhtoken as systemd does for a socket unit."""
    return subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, str(listener.fileno()), *program, *arguments],
        pass_fds=[listener.fileno()],
        env=operator.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def come_back(operator):
    """Authorize; return the whole address that the browser ends up on."""
    address = operator.run("authorize-url").stdout.strip()
    return requests.get(address, allow_redirects=False, headers=AGENT, timeout=10).headers["Location"]


def exchanges(sandbox):
    """How many exchanges of a code the sandbox has seen."""
    return sandbox.requests.summary()["token_requests"].get("authorization_code", 0)


def code_of(address):
    return parse_qs(urlsplit(address).query)["code"][0]


def copy_for_all(tmp_path):
    """Copy the program into a directory, where a stranger may read it; return the path of bin/hhtoken."""
    target = tmp_path / "copy"
    shutil.copytree(f"{ROOT}/hhtoken", target / "hhtoken", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(f"{ROOT}/bin", target / "bin")
    subprocess.run(["chmod", "-R", "a+rX", str(target)], check=True)
    return str(target / "bin" / "hhtoken")
