"""``hhtoken login``: a browser, a paste or systemd's listener bring the code; then it says who, and what renews it."""

import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import termios
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from conftest import (
    AGENT,
    PROGRAM,
    Reader,
    activate,
    obtain_pair,
    program_with,
    take_signals,
    wait_for,
)
from rough_provider import answering, http
from support import ROOT

from hhtoken.text import escaped

NAME = "Песочница"


def send_out(address):
    """Open the address as a browser would; return where it is sent back to."""
    answer = requests.get(address, allow_redirects=False, headers=AGENT, timeout=10)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def _take_terminal():
    take_signals()
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Login:
    """A running login; with a terminal of its own, or nothing, on its standard input."""

    def __init__(self, operator, *arguments, stdin=subprocess.DEVNULL, program=PROGRAM, **environment):
        self.master = None
        if stdin == "terminal":
            self.master, stdin = pty.openpty()
        merged = {**operator.environment, **environment}
        self.process = subprocess.Popen(
            [*program, "login", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: str(value) for name, value in merged.items()},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        if self.master is not None:
            os.close(stdin)
        self.stdout, self.stderr = Reader(self.process.stdout), Reader(self.process.stderr)

    def address(self):
        wait_for(lambda: "\n" in self.stdout.text)
        return self.stdout.text.splitlines()[0]

    def type(self, line):
        os.write(self.master, line.encode() + b"\n")

    def end(self):
        code = self.process.wait(20)
        self.stdout.join(5)
        self.stderr.join(5)
        self.process.stdout.close(), self.process.stderr.close()
        if self.master is not None:
            os.close(self.master)
            self.master = None
        assert "Traceback" not in self.stderr.text and "defect" not in self.stderr.text, self.stderr.text
        return code


@pytest.fixture
def login(operator):
    started = []

    def start(*arguments, **more):
        started.append(Login(operator, *arguments, **more))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.end()


def test_the_browser_brings_the_code_and_the_user_is_named(operator, login):
    running = login()
    page = requests.get(send_out(running.address()), timeout=10)
    assert page.status_code == 200 and "Authorized" in page.text
    assert running.end() == 0
    address, who = running.stdout.text.splitlines()
    assert who == "authorized by Песочница Тестовая (applicant, id 1)"
    assert NAME not in running.stderr.text
    assert "the access token is valid until" in running.stderr.text
    assert "hhtoken status" in running.stderr.text  # nothing renews it here
    assert operator.run("show", "--field", "access_token").stdout.strip() == operator.stored()["access_token"]


def test_a_pasted_address_does_as_well(operator, login):
    running = login(stdin="terminal")
    running.type(send_out(running.address()))
    assert running.end() == 0
    assert operator.stored()["access_token"]


def test_a_wrong_paste_is_said_and_the_wait_goes_on(operator, sandbox, login):
    running = login(stdin="terminal")
    address = running.address()
    back = send_out(address)
    wrong = {
        "what is this": "neither a code nor an address",
        "hello": "no address",  # any word could be a code
        parse_qs(urlsplit(back).query)["code"][0]: "no address",
        "http://127.0.0.1/callback?code=CANARY&state=CANARY": "has expired, or was already used",
        "http://127.0.0.1/callback?state=CANARY": "has no code",
        address: "has no code",
    }
    for count, (line, said) in enumerate(wrong.items(), start=1):
        running.type(line)
        wait_for(lambda count=count: running.stderr.text.count("hint: ") == count)
        assert said in running.stderr.text.splitlines()[-2]
        hint = "open the address above, and" if "already used" in said else "paste the whole address"
        assert f"hint: {hint}" in running.stderr.text.splitlines()[-1]
    assert sandbox.requests.summary()["token_requests"] == {}
    assert "CANARY" not in running.stderr.text + running.stdout.text
    running.type("")
    assert requests.get(back, timeout=10).status_code == 200
    assert running.end() == 0


def test_the_end_of_input_does_not_end_the_wait(login):
    running = login(stdin="terminal")
    address = running.address()
    os.write(running.master, b"\x04")
    running.type("a wrong one")
    wait_for(lambda: "hint: " in running.stderr.text)
    os.write(running.master, b"\x04")
    running.type(send_out(address))
    assert running.end() == 0


def test_a_refusal_by_the_user_ends_it_however_it_comes_in(sandbox, login):
    sandbox.auto = "deny"
    running = login(stdin="terminal")
    running.type(send_out(running.address()))
    assert running.end() == 77 and "access was denied" in running.stderr.text
    running = login()
    assert requests.get(send_out(running.address()), timeout=10).status_code == 200
    assert running.end() == 77


def test_control_c_leaves_the_stored_pair_and_no_traceback(operator, sandbox, login):
    before = operator.store(obtain_pair(sandbox), left=60)
    running = login(stdin="terminal")
    running.address()
    os.write(running.master, b"\x03")
    assert running.end() == 130 and "nothing is lost" in running.stderr.text
    assert operator.token_file.read_bytes() == before


def test_a_user_who_cannot_be_named_is_a_warning(operator, sandbox, login):
    def refuse(connection):
        connection.sendall(http("<html>wait</html>", "403 Forbidden"))

    with answering(refuse) as api:
        running = login(HH_API_URL=api.url.replace("/oauth/token", ""))
        requests.get(send_out(running.address()), timeout=10)
        assert running.end() == 0
    assert "warning: who authorized is not known" in running.stderr.text
    assert operator.stored()["access_token"] not in running.stderr.text


def test_a_pair_that_nobody_can_renew_is_told_from_the_first_moment_on(operator, sandbox, login):
    sandbox.weather.add("no_refresh_token")
    running = login()
    requests.get(send_out(running.address()), timeout=10)
    assert running.end() == 0
    said = running.stderr.text
    assert "without a refresh token, so nobody can renew it" in said and "to keep it valid" not in said
    assert re.search("hint: before 20.*, type 'hhtoken login'", said)
    assert "no refresh token" in operator.run("status", expect=77).stdout + operator.run("notice").stdout
    operator.run("refresh")
    operator.run("show", "--field", "access_token")


def test_a_busy_port_is_said_before_an_address_is_printed(operator, login):
    running = login()
    running.address()
    second = operator.run("login", expect=78)
    assert "cannot listen" in second.stderr and second.stdout == ""
    assert len(json.loads((operator.state / "pending.json").read_text())["authorizations"]) == 1


# -- a desktop --


@pytest.fixture
def desktop(tmp_path):
    """A desktop whose browser writes down how it was started, for what, and with which environment."""
    tools = tmp_path / "tools"
    tools.mkdir()
    opener = tools / "xdg-open"
    opener.write_text(
        f'#!/bin/sh\nenv >"{tmp_path}/environ"\necho "$1" >"{tmp_path}/opened.new"\n'
        f'mv "{tmp_path}/opened.new" "{tmp_path}/opened"\n'
    )
    opener.chmod(0o755)
    return tmp_path, {"PATH": f"{tools}:{os.environ['PATH']}", "DISPLAY": ":0"}


needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="a browser is not opened as root")


@needs_user
def test_on_a_desktop_the_browser_is_sent_by_a_ticket_that_is_good_once(login, desktop):
    place, environment = desktop
    running = login(**environment)
    address = running.address()
    wait_for((place / "opened").exists)
    opened = (place / "opened").read_text().strip()
    state = parse_qs(urlsplit(address).query)["state"][0]
    assert state not in opened and urlsplit(opened).hostname == "127.0.0.1"
    seen = (place / "environ").read_text()
    assert "HH_" not in seen and "DISPLAY=:0" in seen
    first = requests.get(opened, allow_redirects=False, timeout=10)
    assert first.status_code == 302 and first.headers["Location"] == address
    assert first.headers["Cache-Control"] == "no-store" and first.headers["Referrer-Policy"] == "no-referrer"
    assert requests.get(opened, allow_redirects=False, timeout=10).status_code == 404
    requests.get(send_out(address), timeout=10)
    assert running.end() == 0


@pytest.mark.parametrize("changes", [{"DISPLAY": ""}, {"SSH_CONNECTION": "1"}, {"PATH": "/nowhere"}])
def test_no_browser_is_opened_where_there_is_no_desktop(changes, desktop, monkeypatch):
    from hhtoken.console.desktop import has_browser

    _place, environment = desktop
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert has_browser(environment)
    assert not has_browser({**environment, **changes})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not has_browser(environment)


# -- a QR code --


def test_the_qr_code_holds_the_address(login):
    segno = pytest.importorskip("segno")
    running = login("--qr")
    address = running.address()
    wait_for(lambda: "a phone cannot come back" in running.stderr.text)
    wanted = [[bool(module) for module in row] for row in segno.make(address, error="l", micro=False).matrix]
    lines = running.stdout.text.splitlines()[1:]
    halves = {" ": (1, 1), "▀": (0, 1), "▄": (1, 0), "█": (0, 0)}  # drawn light on dark: a block is a light module
    rows = [[bool(halves[one][half]) for one in line] for line in lines for half in (0, 1)]
    assert [row[2:-2] for row in rows[2 : 2 + len(wanted)]] == wanted
    running.process.terminate()
    assert running.end() == 143


def test_a_login_goes_on_without_the_library_and_warns(operator, tmp_path):
    (tmp_path / "segno.py").write_text("raise ImportError\n")
    code = "import sys; from hhtoken.main import main; sys.exit(main())"
    root = ROOT
    done = subprocess.run(
        [PROGRAM[0], "-c", code, "login", "--qr", "--timeout", "1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**operator.environment, "PYTHONPATH": f"{tmp_path}:{root}"},
        timeout=20,
    )
    lines = done.stderr.splitlines()
    at = lines.index("hhtoken: warning: the Python library 'segno', which draws QR codes, is missing")
    assert lines[at + 1] == f"hhtoken: hint: type: {escaped(PROGRAM[0])} -m pip install segno", (
        "in an environment of its own"
    )
    assert done.returncode == 75 and [line for line in lines if "error: " in line] == [lines[-2]]


# -- where systemd holds the port --


@pytest.fixture
def systemd(operator, tmp_path):
    """A systemctl that tells of our units, of which ``active`` is the socket's state; and the program that asks it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    systemctl = tools / "systemctl"

    def tell(active):
        systemctl.write_text(
            f"#!/bin/sh\nprintf 'Id=hh-token-callback.socket\\nActiveState={active}\\n\\n"
            f"Id=hh-token-callback.service\\nStateDirectory={operator.state.name}\\n'\n"
        )
        systemctl.chmod(0o755)

    tell("active")
    operator.environment["PATH"] = f"{tools}:{operator.environment['PATH']}"
    tell.program = program_with(
        f"hhtoken.renewal.systemd_units.RUNNING = {str(tmp_path)!r}",
        f"hhtoken.authorization.systemd_socket.STATE_DIRECTORIES = {str(operator.state.parent)!r}",
    )
    return tell


@pytest.mark.parametrize("withheld", [{"HH_CLIENT_SECRET": ""}, {"HH_CLIENT_SECRET": "", "CREDENTIALS_DIRECTORY": ""}])
def test_a_secret_that_only_the_service_can_read_is_enough_to_log_in(operator, login, systemd, withheld):
    with socket.create_server(("127.0.0.1", urlsplit(operator.environment["HH_REDIRECT_URI"]).port)) as port:
        running = login(program=systemd.program, **withheld)
        wait_for(lambda: "hh-token-callback.socket waits for the browser" in running.stderr.text)
        back = send_out(running.address())
        service = activate(operator, port, "serve-callback")
        assert requests.get(back, timeout=10).status_code == 200
        assert running.end() == 0
        service.communicate(timeout=20)
    assert "authorized: stored a new pair" in running.stderr.text and "paste" not in running.stderr.text
    assert running.stdout.text.splitlines()[1].startswith("authorized by Песочница")


def test_without_the_secret_and_the_socket_the_hint_starts_the_socket(operator, login, systemd):
    systemd("inactive")
    started = "type 'systemctl enable --now hh-token-callback.socket', then 'hhtoken login'; else "
    for words in (["login"], ["login", "--listen", "127.0.0.1:0"], ["exchange"], ["serve-callback"]):
        run = operator.run(*words, expect=78, program=systemd.program, HH_CLIENT_SECRET="")
        assert "not configured: HH_CLIENT_SECRET" in run.stderr and run.stdout == "" and started in run.stderr
    systemd("active")
    for words in (["login", "--listen", "127.0.0.1:0"], ["exchange"], ["serve-callback"]):
        run = operator.run(*words, expect=78, program=systemd.program, HH_CLIENT_SECRET="")
        assert "if hh-token-callback.service has it, type 'hhtoken login'; else " in run.stderr
    run = operator.run("login", expect=78, HH_CLIENT_SECRET="")
    assert "systemctl" not in run.stderr, "nothing of the kind is installed"


@pytest.mark.parametrize("secret", [{"HH_CLIENT_SECRET": "your_secret"}, {"HH_CLIENT_SECRET_FILE": "/no/such/file"}])
def test_a_secret_that_is_wrong_is_said_though_the_socket_listens(operator, systemd, secret):
    words = ("login", "--timeout", "1")
    run = operator.run(*words, expect=78, program=systemd.program, **{"HH_CLIENT_SECRET": "", **secret})
    assert run.stdout == ""


def test_an_account_logs_in_for_itself(operator, login):
    running = login("--account", "alice")
    page = requests.get(send_out(running.address()), timeout=10)
    assert page.status_code == 200 and running.end() == 0
    assert "account alice: authorized" in running.stderr.text
    assert "'hhtoken --account alice status'" in running.stderr.text
    operator.run("--account", "alice", "show", "--field", "access_token")
    assert "token.json" not in operator.files()


def test_a_qr_code_that_the_terminal_cannot_show_is_not_drawn(operator):
    pytest.importorskip("segno")
    for columns, locale in ((40, "C.UTF-8"), (100, "C")):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        done = subprocess.run(
            [*PROGRAM, "login", "--qr", "--timeout", "1"],
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=subprocess.PIPE,
            text=True,
            env={**operator.environment, "LC_ALL": locale},
            timeout=20,
        )
        os.close(slave)
        assert done.returncode == 75 and "it needs a UTF-8 terminal of" in done.stderr
        assert "█" not in os.read(master, 65536).decode()
        os.close(master)


# -- where the browser goes --


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("redirect_uri", ["localhost"], indirect=True)
def test_localhost_is_waited_for_in_both_families(operator, login, redirect_uri, host):
    running = login()
    back = send_out(running.address())
    wait_for(lambda: "waiting for" in running.stderr.text)
    assert all(f"http://{one}:{urlsplit(back).port}/callback" in running.stderr.text for one in ("127.0.0.1", "[::1]"))
    asked = back.replace("localhost", host)
    assert requests.get(asked, headers={"Host": urlsplit(back).netloc}, timeout=10).status_code == 200
    assert running.end() == 0


@pytest.mark.parametrize("redirect_uri", ["localhost"], indirect=True)
def test_a_stranger_on_the_other_family_of_localhost_would_get_the_code(operator, redirect_uri):
    with socket.create_server(("::1", urlsplit(redirect_uri).port), family=socket.AF_INET6):
        run = operator.run("login", expect=78)
    assert "cannot listen on ::1 port" in run.stderr and run.stdout == ""


OF_APPS = ["myapp://callback", "hhandroid://oauthresponse", "com.example.app://back/here?x=1"]


@pytest.mark.parametrize("redirect_uri", OF_APPS)
def test_the_address_of_an_app_is_pasted(operator, login, redirect_uri):
    running = login(stdin="terminal")
    back = send_out(running.address())
    assert back.startswith(redirect_uri)
    wait_for(lambda: "paste" in running.stderr.text)
    assert f"begins with {redirect_uri.partition(':')[0]}:" in running.stderr.text
    running.type(back)
    assert running.end() == 0 and "waiting for the browser on" not in running.stderr.text
    asked = operator.run("authorize-url")
    assert "hhtoken exchange" in asked.stderr and "serve-callback" not in asked.stderr
    operator.run("exchange", input=send_out(asked.stdout.strip()))
    run = operator.run("serve-callback", expect=78)
    assert "no browser comes back to this machine" in run.stderr and "hhtoken login" in run.stderr
    run = operator.run("login", "--listen", "127.0.0.1:0", expect=78)
    assert run.stdout == ""


@pytest.mark.parametrize("redirect_uri", OF_APPS[:1])
def test_a_login_for_an_app_also_ends_by_an_exchange_in_another_terminal(operator, login, redirect_uri):
    running = login()
    operator.run("exchange", input=send_out(running.address()))
    assert running.end() == 0 and "authorized" in running.stderr.text
    assert "'hhtoken exchange'" in running.stderr.text
