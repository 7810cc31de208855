"""What doctor looks at with: real sockets, certificates, files; and the command itself against the sandbox."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest
import trustme
from conftest import free_port, obtain_pair, wait_for
from support import ROOT, cron_lists

from hhtoken.commands import doctor
from hhtoken.commands.doctor import (
    examination,
    findings,
    visit,
)
from hhtoken.settings.settings import Settings

NOW = datetime.now(timezone.utc)


@contextmanager
def peer(answer, context=None):
    """Someone who answers each connection with these bytes (None: holds it without a word); yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def serve():
        while True:
            try:
                sock, _address = listener.accept()
            except OSError:
                return
            held.append(sock)
            if answer is None:
                continue
            try:
                stream = context.wrap_socket(sock, server_side=True) if context else sock
                held.append(stream)
                stream.recv(65536)
                stream.sendall(answer)
                stream.close()
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    for sock in held:
        sock.close()


def kinds(found):
    return [finding.kind for finding in found]


def http(status="200 OK", body="", **headers):
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "", body]
    return "\r\n".join(lines).encode()


# -- visits --


def test_an_answer_is_brought_back_with_its_date_and_page():
    date = (datetime.now(timezone.utc) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    with peer(http("418 Tea", "the page", Date=date)) as port:
        seen = visit.visit(f"http://127.0.0.1:{port}/x?y=z", {"User-Agent": "a"})
    assert (seen.failure, seen.status, seen.body) == (None, 418, "the page")
    assert abs(seen.ahead - 3600) < 60


@pytest.mark.parametrize(
    "answer, failure",
    [(b"", visit.RESET), (b"junk\r\n\r\n", visit.BROKEN), (None, visit.SILENT),
     (http(Date="tomorrow"), None)],
)  # fmt: skip
def test_what_is_no_answer_is_told_apart(answer, failure):
    with peer(answer) as port:
        seen = visit.visit(f"http://127.0.0.1:{port}/", seconds=0.3)
    assert (seen.failure, seen.ahead) == (failure, None)
    assert failure is None or seen.why


def test_a_port_where_nobody_listens_is_refused():
    assert visit.visit(f"http://127.0.0.1:{free_port()}/").failure == visit.REFUSED


def test_a_name_that_there_is_not_is_unknown_or_cannot_be_asked_for():
    failure = visit.visit("https://no-such-host.invalid/").failure
    assert failure in (visit.UNKNOWN_NAME, visit.NO_NAME_SERVER)
    assert visit.visit(f"https://{'a' * 70}.example/").failure == visit.UNKNOWN_NAME


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    made.path = str(path)
    return made


@pytest.mark.parametrize(
    "name, days, trusted, failure",
    [
        ("localhost", (-1, 30), True, None),
        ("localhost", (-30, -1), True, visit.EXPIRED),
        ("localhost", (5, 30), True, visit.NOT_YET_VALID),
        ("other.example", (-1, 30), True, visit.WRONG_NAME),
        ("localhost", (-1, 30), False, visit.UNTRUSTED),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told_apart_over_tls(authority, name, days, trusted, failure):
    begins, ends = (NOW + timedelta(days=day) for day in days)
    certificate = authority.issue_cert(name, not_before=begins, not_after=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with peer(http("200 OK", "page"), context) as port:
        seen = visit.visit(f"https://localhost:{port}/", authorities=authority.path if trusted else None)
    assert seen.failure == failure
    if failure is None:
        assert (seen.status, seen.body) == (200, "page")
        assert abs(seen.certificate_until - ends.timestamp()) < 2


def test_what_does_not_speak_tls_is_told_from_a_bad_certificate():
    with peer(http("400 Bad Request")) as port:
        assert visit.visit(f"https://localhost:{port}/").failure == visit.NO_TLS


def test_a_listener_that_is_just_ending_is_visited_once_more(monkeypatch):
    answers = [visit.Visit("h", visit.RESET), visit.Visit("h", None, 502), visit.Visit("h", None, 400)]
    coming = iter(answers)
    monkeypatch.setattr(visit, "PAUSES_SECONDS", (0, 0, 0))
    monkeypatch.setattr(visit, "visit", lambda *_arguments: next(coming))
    assert visit.visit_callback("http://h/callback") is answers[2]
    coming = iter([answers[1]] * 4)
    assert visit.visit_callback("http://h/callback").status == 502
    assert len(list(coming)) == 1


def test_a_visit_can_go_to_another_place_than_its_address_says():
    with peer(http("200 OK", "here")) as port:
        seen = visit.visit("http://hh-test.keenetic.pro/callback", {"Host": "h"}, ("127.0.0.1", port))
    assert (seen.status, seen.body) == (200, "here")


# -- the listener, nginx's place and the public address, with the real listener behind them --


@pytest.fixture
def waiting(operator, redirect_uri):
    """`hhtoken serve-callback`, as if nginx stood in front of it."""
    operator.run("authorize-url")
    process = operator.start("serve-callback")
    port = int(redirect_uri.rpartition(":")[2].partition("/")[0])
    wait_for(lambda: visit.visit(redirect_uri).failure != visit.REFUSED)
    yield port
    process.terminate()
    process.communicate(timeout=10)


def test_our_own_listener_is_known_at_each_step_of_the_way_and_goes_on_waiting(waiting, redirect_uri, tmp_path):
    for _twice in range(2):
        assert kinds(doctor.listener.judge(doctor.listener.look(redirect_uri))) == ["ok"]
    assert kinds(doctor.nginx.judge(doctor.nginx.look(redirect_uri, str(tmp_path), waiting))) == ["ok"]
    assert kinds(doctor.public_address.check(redirect_uri, None)) == ["ok"]


def test_a_stranger_on_the_listeners_port_is_told():
    with peer(http("200 OK", "hello")) as port:
        [finding] = doctor.listener.judge(doctor.listener.look(f"http://127.0.0.1:{port}/callback"))
    assert finding.kind == "problem" and f"something other than hhtoken listens on 127.0.0.1:{port}" in finding.says


def test_nginxs_files_are_read_where_they_are_and_the_others_left_alone(tmp_path):
    for folder in ("sites-enabled", "sites-available", "conf.d"):
        (tmp_path / folder).mkdir()
    (tmp_path / "sites-available" / "hh-token").write_text("# mine\nupstream hh_token {}")
    (tmp_path / "sites-enabled" / "default").write_text("server_name _;")
    uri, port = "https://a.example/callback", free_port()
    seen = doctor.nginx.look(uri, str(tmp_path), port)
    assert (seen.site, seen.available, seen.visit.failure) == (None, True, visit.REFUSED)
    (tmp_path / "conf.d" / "dangling").symlink_to("nowhere")
    site = tmp_path / "sites-enabled" / "hh-token"
    site.symlink_to("../sites-available/hh-token")
    assert doctor.nginx.look(uri, str(tmp_path), port).site == (str(site), "upstream hh_token {}")


# -- files --


def test_the_state_directory_is_looked_at_as_it_stands_and_nothing_is_mended(tmp_path, lonely):
    lonely.store({"access_token": "A", "refresh_token": "R"}, left=1000, life=1000)
    assert "problem" not in [
        one.kind for one in doctor.state_directory.judge(doctor.state_directory.look(str(lonely.state)))
    ]
    lonely.token_file.chmod(0o644)
    os.chmod(lonely.state, 0o750)
    seen = doctor.state_directory.judge(doctor.state_directory.look(str(lonely.state)))
    commands = [one.command for one in seen if one.kind == "problem"]
    assert commands == [f"chmod 700 {lonely.state}", f"chmod 600 {lonely.token_file}"]
    assert doctor.pair.look(Settings(lonely.environment)).state == "valid"
    assert lonely.token_file.stat().st_mode & 0o777 == 0o644
    for command in commands:
        subprocess.run(command, shell=True, check=True)
    assert "problem" not in [
        one.kind for one in doctor.state_directory.judge(doctor.state_directory.look(str(lonely.state)))
    ]


def test_a_state_directory_that_is_none_is_no_accident(tmp_path):
    (tmp_path / "file").write_text("")
    [finding] = doctor.state_directory.judge(doctor.state_directory.look(str(tmp_path / "file")))
    assert (finding.kind, finding.exit_code) == ("problem", 74)
    assert kinds(doctor.state_directory.judge(doctor.state_directory.look(str(tmp_path / "none"))))[0] == "note"


# -- all at once --


def test_what_waits_waits_at_the_same_time_and_what_is_late_is_a_problem_of_its_own():
    gate, fine = threading.Event(), findings.ok("a", "fine")
    began = time.monotonic()
    found = examination.together([("a", lambda: [fine]), ("b", gate.wait), ("c", gate.wait), ("d", list)], 0.2)
    assert time.monotonic() - began < 2
    gate.set()
    assert [(one.about, one.kind, one.exit_code) for one in found] == [
        ("a", "ok", 0), ("b", "problem", 75), ("c", "problem", 75)
    ]  # fmt: skip
    assert visit.SECONDS <= 5 and examination.SECONDS < 15


def test_a_check_that_never_ends_does_not_hold_up_the_end_of_the_program():
    program = (
        "import sys, threading; sys.path.insert(0, sys.argv[1])\n"
        "from hhtoken.commands.doctor import examination\n"
        "examination.together([('never', threading.Event().wait)], 0.1)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(ROOT)], timeout=20).returncode == 0


def test_a_defect_in_a_check_is_not_hushed_up():
    with pytest.raises(ZeroDivisionError):
        examination.together([("a", lambda: 1 / 0)], 5)


# -- the command --

LINE = re.compile(r"(ok|note|problem) +(settings|state directory|pair|provider|clock|listener|renewal): .+")


def problems(finished):
    return [line for line in finished.stdout.splitlines() if line.startswith("problem")]


@pytest.fixture
def renewed(operator, sandbox, tmp_path):
    """An operator with a pair that cron renews."""
    cron_lists(operator, tmp_path / "cron")
    operator.store(obtain_pair(sandbox), left=1000, life=1000)
    return operator


def test_a_desktop_with_a_pair_has_no_problem(renewed):
    done = renewed.run("doctor", HH_USER_AGENT="my-bot/1.0 (me@example.com)")
    assert done.stdout.endswith("\nno problem was found\n") and problems(done) == []
    for line in done.stdout.splitlines()[:-2]:
        assert LINE.fullmatch(line) or line.startswith("         ")
    for about in ("settings", "state directory", "pair", "provider", "clock", "listener", "renewal"):
        assert re.search(rf"(?m)^\w+ +{about}: ", done.stdout), about


def test_doctor_changes_nothing_and_prints_no_secret(operator, sandbox, expired, tmp_path):
    cron_lists(operator, tmp_path / "cron")
    before = operator.files(), operator.token_file.read_bytes(), len(sandbox.requests.summary()["token_requests"])
    done = operator.run("doctor", expect=69)
    assert before == (
        operator.files(), operator.token_file.read_bytes(), len(sandbox.requests.summary()["token_requests"])
    )  # fmt: skip
    pair = json.loads(before[1])
    for secret in (pair["access_token"], pair["refresh_token"], operator.environment["HH_CLIENT_SECRET"]):
        assert secret not in done.stdout + done.stderr


def test_the_json_tells_the_same_with_the_same_exit_code(renewed):
    renewed.token_file.chmod(0o640)
    done = renewed.run("doctor", "--json", expect=74)
    fields = json.loads(done.stdout)
    assert fields["exit_code"] == 74
    [problem] = [one for one in fields["findings"] if one["kind"] == "problem"]
    assert problem["command"] == f"chmod 600 {renewed.token_file}"


@pytest.mark.parametrize(
    "changes, code, said",
    [
        ({"HH_CLIENT_ID": ""}, 78, "not configured: HH_CLIENT_ID"),
        ({"HH_REDIRECT_URI": "https://your-domain.keenetic.pro/callback"}, 78, "placeholder"),
        ({"HHTOKEN_ENV_FILE": "/nowhere/at/all"}, 78, "cannot read /nowhere/at/all"),
        ({"HH_API_URL": "http://127.0.0.1:9"}, 77, "nobody listens there"),
    ],
)
def test_what_is_wrong_before_the_first_authorization_is_said(operator, changes, code, said):
    done = operator.run("doctor", expect=code, **changes)
    assert said in done.stdout


def test_a_provider_that_cannot_be_reached_is_temporary_for_whoever_has_a_pair(renewed):
    nobody = f"http://127.0.0.1:{free_port()}"
    done = renewed.run("doctor", expect=75, HH_API_URL=nobody)
    assert len(problems(done)) == 1 and "the connection is refused" in problems(done)[0]


def test_a_clock_that_is_off_is_found_against_headhunters_date(renewed):
    late = (datetime.now(timezone.utc) - timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    with peer(http("403 Forbidden", "{}", Date=late)) as port:
        done = renewed.run("doctor", expect=78, HH_API_URL=f"http://127.0.0.1:{port}")
    [line] = problems(done)
    assert re.match(r"problem  clock: is (59 minutes|1 hour).* ahead of that of 127\.0\.0\.1", line)


def test_without_requests_doctor_still_runs_and_names_the_package(operator, sandbox, tmp_path):
    operator.store(obtain_pair(sandbox), left=1000, life=1000)
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['requests'] = None\n"
        "from hhtoken.main import main\nsys.exit(main())\n"
    )
    done = operator.run("doctor", program=[sys.executable, "-c", program], expect=78)
    assert (
        re.search("(apt install python3-|-m pip install )requests\n", done.stdout)
        and "ok       provider" in done.stdout
    )


@pytest.mark.parametrize(
    "place, mode, code, says, advice",
    [
        ("run/access_token", 0o710, 0, "ok       published file: the access token can be put into ", ""),
        ("run/access_token", 0o777, 78, "others may write in ", "install -d -m 2710 -o OWNER -g GROUP "),
        ("run/access_token", 0o1777, 78, "others may write in ", "name a file in a directory of its own"),
        ("run/none/access_token", 0o710, 78, "there is no directory ", "install -d -m 2710 -o OWNER -g GROUP "),
        ("", 0o710, 78, "is not the absolute path of a file", "for example /run/hh-token/access_token"),
        ("state/token.json", 0o710, 78, "is among hhtoken's own files", "name a file in a directory of its own"),
    ],
)
def test_a_published_file_that_cannot_be_is_found(renewed, tmp_path, place, mode, code, says, advice):
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    path = str(tmp_path / place) if place else "access_token"
    shown = renewed.run("doctor", expect=code, HHTOKEN_PUBLISH=path).stdout
    assert says in shown and advice in shown and "published file: " in shown
    assert os.listdir(tmp_path / "run") == [], "nothing was changed"
    assert "published file" not in renewed.run("doctor").stdout
