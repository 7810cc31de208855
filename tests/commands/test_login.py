"""``hhtoken login``: a browser, a paste or systemd's listener bring the code; then it says who, and what renews it."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from conftest import AGENT, PROGRAM, Reader, obtain_pair, take_signals, wait_for
from rough_provider import answering, http
from support import ROOT

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
    """A running login; with a terminal of its own, a pipe, or nothing on its standard input."""

    def __init__(self, operator, *arguments, stdin=subprocess.DEVNULL, **environment):
        self.master = None
        if stdin == "terminal":
            self.master, stdin = pty.openpty()
        merged = {**operator.environment, **environment}
        self.process = subprocess.Popen(
            [*PROGRAM, "login", *arguments],
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
        wait_for(lambda: "waiting for the browser" in self.stderr.text or self.process.poll() is not None)
        wait_for(lambda: "\n" in self.stdout.text)
        return self.stdout.text.splitlines()[0]

    def type(self, line):
        data = line.encode() + b"\n"
        if self.master is not None:
            os.write(self.master, data)
        else:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def end(self):
        code = self.process.wait(20)
        self.stdout.join(5)
        self.stderr.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
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
    assert "the access token lives until" in running.stderr.text
    assert "hhtoken status" in running.stderr.text  # nothing renews it here
    assert operator.run("show", "--field", "access_token").stdout.strip() == operator.stored()["access_token"]


def test_it_listens_before_it_prints_the_address(login):
    running = login()
    wait_for(lambda: "\n" in running.stdout.text)
    page = requests.get(send_out(running.stdout.text.strip()), timeout=10)  # at once, whatever it has said so far
    assert page.status_code == 200 and running.end() == 0


@pytest.mark.parametrize("stdin", ["terminal", subprocess.PIPE])
def test_a_pasted_address_does_as_well(operator, login, stdin):
    running = login(stdin=stdin)
    running.type(send_out(running.address()))
    assert running.end() == 0
    assert operator.stored()["access_token"]


def test_a_bare_code_is_not_taken_since_any_word_could_be_one(sandbox, login):
    running = login(stdin="terminal")
    back = send_out(running.address())
    code = parse_qs(urlsplit(back).query)["code"][0]
    running.type(code)
    wait_for(lambda: "hint: " in running.stderr.text)
    assert "no address" in running.stderr.text and sandbox.requests.summary()["token_requests"] == {}
    assert code not in running.stderr.text + running.stdout.text
    assert requests.get(back, timeout=10).status_code == 200 and running.end() == 0


def test_a_paste_without_a_line_end_counts_when_the_pipe_is_closed(operator, login):
    running = login(stdin=subprocess.PIPE)
    running.process.stdin.write(send_out(running.address()))
    running.process.stdin.close()
    assert running.end() == 0


def test_a_wrong_paste_is_said_and_the_wait_goes_on(operator, sandbox, login):
    running = login(stdin="terminal")
    address = running.address()
    back = send_out(address)
    wrong = {
        "what is this": "neither a code nor an address",
        "hello": "no address",
        "http://127.0.0.1/callback?code=CANARY&state=CANARY": "no authorization is under way",
        "http://127.0.0.1/callback?state=CANARY": "has no code",
        address: "has no code",
    }
    for count, (line, said) in enumerate(wrong.items(), start=1):
        running.type(line)
        wait_for(lambda count=count: running.stderr.text.count("hint: ") == count)
        assert said in running.stderr.text.splitlines()[-2]
        assert running.stderr.text.endswith("hint: paste the whole address that the browser ended up on\n")
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


def test_the_end_of_a_pipe_does_not_end_the_wait(login):
    running = login(stdin=subprocess.PIPE)
    address = running.address()
    running.process.stdin.close()
    assert requests.get(send_out(address), timeout=10).status_code == 200
    assert running.end() == 0


def test_a_refusal_by_the_user_ends_it_however_it_comes_in(sandbox, login):
    sandbox.auto = "deny"
    running = login(stdin="terminal")
    running.type(send_out(running.address()))
    assert running.end() == 77 and "access was denied" in running.stderr.text
    running = login()
    assert requests.get(send_out(running.address()), timeout=10).status_code == 200
    assert running.end() == 77


def test_a_used_up_code_ends_it(sandbox, login):
    running = login(stdin="terminal")
    sandbox.weather.add("code_expired")
    running.type(send_out(running.address()))
    assert running.end() == 77 and "hhtoken login" in running.stderr.text


def test_control_c_leaves_the_stored_pair_and_no_traceback(operator, sandbox, login):
    before = operator.store(obtain_pair(sandbox), left=60)
    running = login(stdin="terminal")
    running.address()
    os.write(running.master, b"\x03")
    assert running.end() == 75 and "nothing is lost" in running.stderr.text
    assert operator.token_file.read_bytes() == before


def test_a_terminal_that_is_closed_ends_it(login):
    running = login(stdin="terminal")
    running.address()
    os.close(running.master)
    running.master = None
    assert running.end() == 75


def test_it_gives_up_in_time(operator):
    run = operator.run("login", "--timeout", "1", expect=75)
    assert "nobody came back within 1 second" in run.stderr and "hhtoken login" in run.stderr


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
    assert "without a refresh token, so nobody can renew it" in said and "who renews it" not in said
    assert re.search("hint: before 20.*, type 'hhtoken login'", said)
    status = json.loads(operator.run("status", "--json", expect=77).stdout)
    assert status["usable"] and status["state"] == "authorization_needed" and "hhtoken login" in status["next_step"]
    assert "the access token is valid, but there is no refresh token" in status["reason"]
    assert "hhtoken_authorization_needed 1" in operator.run("status", "--prometheus", expect=77).stdout
    assert (
        "the access token is valid, but there is no refresh token"
        in operator.run("refresh", "--force", expect=77).stderr
    )
    operator.run("refresh")
    operator.run("show", "--field", "access_token")
    assert "no refresh token" in operator.run("notice").stdout


def test_an_api_out_of_reach_is_a_warning(login):
    running = login(HH_API_URL="http://127.0.0.1:9")
    requests.get(send_out(running.address()), timeout=10)
    assert running.end() == 0 and "warning: who authorized is not known" in running.stderr.text


def test_a_reader_that_leaves_after_the_address_costs_nothing(operator, login):
    running = login()
    address = running.address()
    os.dup2(os.open(os.devnull, os.O_RDONLY), running.process.stdout.fileno())  # closes our end, as `| head -1` does
    assert requests.get(send_out(address), timeout=10).status_code == 200
    assert running.end() == 0 and operator.stored()["access_token"]


def test_without_settings_nothing_is_printed_or_remembered(lonely):
    run = lonely.run("login", expect=78)
    assert run.stdout == "" and lonely.files() == []


def test_a_busy_port_is_said_before_an_address_is_printed(operator, login):
    running = login()
    running.address()
    second = operator.run("login", expect=78)
    assert "cannot listen" in second.stderr and second.stdout == ""
    assert len(json.loads((operator.state / "pending.json").read_text())["authorizations"]) == 1


def test_options_of_the_authorize_page_are_passed_on(login):
    running = login("--force-login", "--role", "employer")
    fields = parse_qs(urlsplit(running.address()).query)
    assert fields["force_login"] == ["true"] and fields["role"] == ["employer"]


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


@needs_user
def test_no_browser_is_opened_if_it_is_not_wanted(login, desktop):
    place, environment = desktop
    running = login("--no-browser", **environment)
    requests.get(send_out(running.address()), timeout=10)
    assert running.end() == 0 and not (place / "opened").exists()


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
    assert running.end() == 75


def test_without_the_library_one_line_says_what_to_install(tmp_path):
    (tmp_path / "segno.py").write_text("raise ImportError\n")
    code = (
        "from hhtoken.console import desktop, reporting; from hhtoken import errors\n"
        "try:\n    desktop.qr_code('x')\n"
        "except errors.ConfigError as error:\n    reporting.failure(error)\n"
    )
    root = ROOT
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"}
    done = subprocess.run([PROGRAM[0], "-c", code], capture_output=True, text=True, env=environment, timeout=20)
    assert "python3-segno" in done.stderr and done.stderr.count("\n") == 2


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
    assert lines[at + 1] == "hhtoken: hint: type: apt install python3-segno (or: pip install segno)"
    assert done.returncode == 75 and [line for line in lines if "error: " in line] == [lines[-2]]


# -- where systemd holds the port --


def test_systemds_listener_is_looked_on_until_the_pair_is_stored(operator, sandbox, tmp_path):
    """The service is another process that uses up the authorization; here, exchange stands in for it."""
    from hhtoken.authorization import systemd_socket
    from hhtoken.store import record
    from hhtoken.store.pending import PendingAuthorizations
    from hhtoken.store.token_store import open_store

    address = operator.run("authorize-url").stdout.strip()
    store = open_store(str(operator.state))
    pending = PendingAuthorizations(store.directory)
    state = parse_qs(urlsplit(address).query)["state"][0]
    version = store.record_version()
    told = []
    assert not systemd_socket.wait(store, pending, state, None, 0.2, told.append)
    assert told and max(told) <= 0.2
    assert systemd_socket.new_authorization(store, version) is None
    operator.run("exchange", input=send_out(address))
    started = time.monotonic()
    assert systemd_socket.wait(store, pending, state, None, 20, told.append) and time.monotonic() - started < 5
    assert systemd_socket.new_authorization(store, version).outcome == record.AUTHORIZED
    assert systemd_socket.new_authorization(store, store.record_version()) is None


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
    for columns, locale, wanted in ((40, "C.UTF-8", "needs a terminal of"), (100, "C", "is not UTF-8")):
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
        assert done.returncode == 75 and wanted in done.stderr
        assert "█" not in os.read(master, 65536).decode()
        os.close(master)
