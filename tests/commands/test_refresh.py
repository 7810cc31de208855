"""``hhtoken refresh`` against a HeadHunter with real sockets: what is sent, when, and what becomes of the pair."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests
from conftest import AGENT, PROGRAM, obtain_pair, refreshes, wait_for
from rough_provider import answering, http

from hhtoken.console import durations
from hhtoken.provider import token_errors
from hhtoken.provider.answer import Answer
from hhtoken.provider.token_errors import DOCUMENTED, EXIT_CODES
from hhtoken.sandbox.faults import FAULTS
from hhtoken.store import journal
from hhtoken.store.token_store import fingerprint

PAIR = {"access_token": "ACCESS-NEW", "token_type": "bearer", "expires_in": 1209600, "refresh_token": "REFRESH-NEW"}
OLD = {"access_token": "ACCESS-OLD", "refresh_token": "REFRESH-OLD"}

# tests/provider/test_token_errors.py fixes them, one by one
CODES = {description: EXIT_CODES[kind] for description, (kind, *_rest) in DOCUMENTED.items()}
DEAD = [description for description, (kind, *_rest) in DOCUMENTED.items() if kind == token_errors.DEAD]


def test_an_expired_pair_is_renewed(operator, sandbox, expired):
    run = operator.run("refresh")
    stored = operator.stored()
    assert stored["access_token"] != json.loads(expired)["access_token"]
    assert stored["expires_at"] == stored["obtained_at"] + stored["expires_in"]
    assert run.stdout == ""
    assert operator.run("show", "--field", "access_token").stdout == stored["access_token"] + "\n"
    assert operator.files() == [".lock", "last-refresh.json", "token.json"]
    assert {path.stat().st_mode & 0o777 for path in operator.state.iterdir()} == {0o600}
    assert operator.state.stat().st_mode & 0o777 == 0o700


def test_a_living_pair_costs_no_request_and_no_write(lonely):
    before = lonely.store(OLD, left=1000, life=1000)
    changed = lonely.state.stat().st_mtime_ns
    lonely.run("refresh")
    assert lonely.token_file.read_bytes() == before
    assert lonely.files() == ["token.json"]
    assert lonely.state.stat().st_mtime_ns == changed


def at_a_terminal(operator, *arguments):
    """Run hhtoken with a terminal as its standard error; return what a person reads there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*PROGRAM, *arguments], env=operator.environment, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # EIO: the terminal's other end is closed
            while piece := os.read(ours, 4096):
                said += piece
        os.close(ours)
        assert process.wait(30) == 0, said
    return said.decode()


def test_a_person_at_a_terminal_is_told_that_nothing_is_due_and_a_timer_is_not(lonely):
    lonely.store(OLD, left=1000, life=1000)
    assert "nothing is due until 20" in at_a_terminal(lonely, "refresh")
    assert lonely.run("refresh").stderr == ""


def test_a_person_at_a_terminal_is_told_of_a_not_yet_and_until_when_the_token_is_valid(operator, sandbox):
    operator.store(obtain_pair(sandbox), left=2400, life=2400)
    expires_at = durations.local(operator.stored()["expires_at"])[:16]  # our own pause ends long before
    assert f" until {expires_at}" in at_a_terminal(operator, "refresh", "--force")


def test_force_asks_even_before_expiry_and_not_yet_is_quiet(operator, sandbox):
    operator.store(obtain_pair(sandbox), left=1000, life=1000)
    before = operator.token_file.read_bytes()
    run = operator.run("refresh", "--force")
    assert refreshes(sandbox) == 1
    assert operator.token_file.read_bytes() == before
    assert "error" not in run.stderr


def test_the_request_carries_exactly_grant_type_and_refresh_token(lonely):
    lonely.store(OLD)
    with answering(http(json.dumps(PAIR))) as provider:
        lonely.run("refresh", HH_TOKEN_URL=provider.url, HH_CLIENT_ID="id", HH_CLIENT_SECRET="secret")
    head, form = provider.requests[0]
    assert form == {"grant_type": ["refresh_token"], "refresh_token": ["REFRESH-OLD"]}
    assert head.startswith("POST /oauth/token HTTP/1.1\r\n")
    assert "User-Agent: hhtoken/" in head and "Accept-Encoding: identity" in head
    assert "Content-Type: application/x-www-form-urlencoded" in head
    assert "Authorization" not in head and "Cookie" not in head


@pytest.mark.parametrize("description", DOCUMENTED)
def test_a_documented_error_has_its_exit_code_and_leaves_the_pair_for_the_next_run(
    operator, sandbox, expired, description
):
    sandbox.weather.add(description.replace(" ", "_"))
    run = operator.run("refresh", expect=CODES[description])
    assert operator.token_file.read_bytes() == expired
    assert refreshes(sandbox) == 1
    if CODES[description]:
        error, hint = run.stderr.splitlines()
        assert error.startswith("hhtoken: error: ") and hint.startswith("hhtoken: hint: ")
        assert "request id" in error
    if description not in (*DEAD, "token not expired"):
        operator.run("refresh")
        assert operator.stored()["access_token"] != json.loads(expired)["access_token"]


@pytest.mark.parametrize("description", DEAD)
@pytest.mark.parametrize("flags", [(), ("--force",)])
def test_a_refresh_token_called_dead_is_not_sent_again(operator, sandbox, expired, description, flags):
    sandbox.weather.add(description.replace(" ", "_"))
    operator.run("refresh", expect=77)
    again = operator.run("refresh", *flags, expect=77)
    assert refreshes(sandbox) == 1
    assert "hhtoken login" in again.stderr
    assert operator.run("show", "--field", "access_token", expect=77).stdout == ""


# What the answer of a fault leads to: (exit code, the pair is replaced).
SAVED = (0, True)
SAVED_FAULTS = (
    "cut_after cut_reset_after chunked_cut_after chunked_garbage_after slow chunked until_close endless pair_in_503 "
    "html_type late_date gzip bom utf_16 repeated_members extra_member no_refresh_token no_token_type "
    "no_expires_in expires_in_null expires_in_text expires_in_true expires_in_zero expires_in_negative "
    "expires_in_fraction expires_in_exponent expires_in_overflow expires_in_nan expires_in_long"
).split()
NONSENSE_FAULTS = (
    "empty_200_before html_200_before empty_200_after html_200_after padding nesting list no_access_token "
    "newline_token nul_token space_token non_ascii_token surrogate_token long_token empty_token number_token"
).split()
FAULT_RESULTS = {
    **dict.fromkeys(SAVED_FAULTS, SAVED),
    **dict.fromkeys(NONSENSE_FAULTS, (65, False)),
    **dict.fromkeys(("blacklisted", "not_found", "gone", "not_allowed"), (78, False)),
}
WEATHER = sorted(set(FAULTS) - {description.replace(" ", "_") for description in DOCUMENTED})


@pytest.mark.parametrize("name", WEATHER)
def test_bad_weather_never_costs_a_pair_that_arrived_and_never_changes_one_that_did_not(
    operator, sandbox, expired, name
):
    code, is_replaced = FAULT_RESULTS.get(name, (75, False))
    sandbox.weather.add(name)
    is_endless = name in ("hang_before", "hang_after", "stall_after")
    run = operator.run("refresh", expect=code, HHTOKEN_DEADLINE=2 if is_endless else 60)
    assert (operator.token_file.read_bytes() != expired) == is_replaced
    assert "journal" not in operator.files()
    assert sandbox.requests.summary()["followed_redirects"] == 0
    if name == "no_refresh_token":
        assert operator.stored()["refresh_token"] == json.loads(expired)["refresh_token"]
    elif is_replaced:
        sandbox.provider.expire()
        stored = operator.stored()
        operator.store({**stored, "expires_in": 1})
        operator.run("refresh")  # the stored refresh token is the one that the provider now waits for
    elif not FAULTS[name].commits:
        wait = 2.1 if name.startswith("rate_limit") and name != "rate_limit_bare" else 0
        if name == "rate_limit_absurd" or name == "long_error":
            return
        time.sleep(wait)
        operator.run("refresh")
        assert operator.token_file.read_bytes() != expired
    else:
        assert len(run.stderr.splitlines()) == 2
        gone = operator.run("refresh", expect=77)
        assert "lost" in gone.stderr
        before = refreshes(sandbox)
        operator.run("refresh", expect=77)
        assert refreshes(sandbox) == before == 2


def test_not_yet_is_remembered_with_a_growing_wait(operator, sandbox, expired):
    sandbox.weather.add("token_not_expired", times=2)
    operator.run("refresh")
    first = json.loads((operator.state / "last-refresh.json").read_text())
    operator.run("refresh")
    assert refreshes(sandbox) == 1, "the second run came too early to ask"
    operator.run("refresh", "--force")
    second = json.loads((operator.state / "last-refresh.json").read_text())
    assert refreshes(sandbox) == 2
    assert first["not_before"] - first["at"] == 5
    assert second["not_before"] - second["at"] == 60


def test_retry_after_is_kept_and_force_overrides_it_but_is_never_offered(operator, sandbox, expired):
    sandbox.weather.add("rate_limit_absurd")
    first = operator.run("refresh", expect=75).stderr
    record = json.loads((operator.state / "last-refresh.json").read_text())
    assert record["not_before"] - record["at"] == 3600
    second = operator.run("refresh", expect=75).stderr
    assert refreshes(sandbox) == 1
    status = operator.run("status", "--json", expect=75).stdout
    for hint in (first, second, json.loads(status)["next_step"]):
        assert "--force" not in hint, "that would prolong the limit"
    operator.run("refresh", "--force")
    assert refreshes(sandbox) == 2


def test_an_answer_without_a_refresh_token_keeps_the_old_one(lonely):
    lonely.store(OLD)
    with answering(http('{"access_token": "ACCESS-NEW", "expires_in": 3600}')) as provider:
        lonely.run("refresh", HH_TOKEN_URL=provider.url)
    assert lonely.stored()["refresh_token"] == "REFRESH-OLD"
    assert lonely.stored()["access_token"] == "ACCESS-NEW"


def test_every_field_of_the_answer_is_kept(lonely):
    lonely.store(OLD)
    with answering(http(json.dumps({**PAIR, "scope": "a b", "имя": ["ключ", {"x": None}]}))) as provider:
        lonely.run("refresh", HH_TOKEN_URL=provider.url)
    stored = lonely.stored()
    assert {key: stored[key] for key in PAIR} == PAIR
    assert stored["scope"] == "a b" and stored["имя"] == ["ключ", {"x": None}]


def test_an_answer_that_drips_its_headers_is_ended_by_the_deadline(lonely):
    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(400):
            connection.sendall(b"a")
            time.sleep(0.1)

    before = lonely.store(OLD)
    with answering(drip) as provider:
        started = time.monotonic()
        lonely.run("refresh", expect=75, HH_TOKEN_URL=provider.url, HHTOKEN_DEADLINE=1)
        assert time.monotonic() - started < 30, "the drip lasts for 40 s"
    assert lonely.token_file.read_bytes() == before


def test_an_answer_that_came_while_the_run_was_stopped_past_its_deadline_is_saved(lonely):
    """By a freezer, or a SIGSTOP, or for want of memory: the answer lies in the socket's buffer."""
    runs, is_over = [], threading.Event()

    def answer_a_stopped_run(connection):
        wait_for(lambda: runs)
        runs[0].send_signal(signal.SIGSTOP)
        wait_for(lambda: _state_of(runs[0].pid) == "T")
        connection.sendall(http(json.dumps(PAIR)))
        time.sleep(2.5)
        runs[0].send_signal(signal.SIGCONT)
        is_over.wait(20)

    lonely.store(OLD)
    with answering(answer_a_stopped_run) as provider:
        runs.append(lonely.start("refresh", HH_TOKEN_URL=provider.url, HHTOKEN_DEADLINE=2))
        _out, err = runs[0].communicate(timeout=60)
        is_over.set()
    assert runs[0].returncode == 0, err
    assert lonely.stored()["refresh_token"] == "REFRESH-NEW"


def _state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


@pytest.mark.parametrize(
    "answer",
    [
        http(json.dumps(PAIR) + "<!-- proxy -->"),
        http(json.dumps(PAIR), status="404 Not Found"),
        http(json.dumps(PAIR), status="307 Temporary Redirect", headers=["Location: http://127.0.0.1:9/"]),
        http(json.dumps(PAIR), status="302 Found", headers=["Location: http://["]),
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(json.dumps(PAIR)), json.dumps(PAIR).encode()),
    ],
)
def test_a_pair_in_odd_clothes_is_saved(lonely, answer):
    lonely.store(OLD)
    with answering(answer) as provider:
        lonely.run("refresh", HH_TOKEN_URL=provider.url)
    assert lonely.stored()["refresh_token"] == "REFRESH-NEW"


def test_the_endless_body_of_a_redirect_is_not_read(lonely):
    def redirect(connection):
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n")
        for _ in range(3000):
            connection.sendall(b"x" * 65536)

    lonely.store(OLD)
    with answering(redirect) as provider:
        lonely.run("refresh", expect=75, HH_TOKEN_URL=provider.url, HHTOKEN_DEADLINE=20)


def test_where_an_address_is_gone_the_next_is_asked_and_only_its_answer_stays_in_the_journal(tmp_path):
    from hhtoken.provider.endpoints import TokenEndpoint
    from hhtoken.store import journal
    from hhtoken.store.private_directory import open_directory

    directory = open_directory(str(tmp_path / "state"), create=True)
    written = journal.begin(directory, "journal", {})
    with answering(http("<html>" * 99, "404 Not Found")) as gone, answering(http(json.dumps(PAIR))) as there:
        answer = TokenEndpoint([gone.url, there.url], "a/1 (b)", 10).post({"grant_type": "refresh_token"}, written)
        assert len(gone.requests) == len(there.requests) == 1
        again = TokenEndpoint([gone.url, there.url], "a/1 (b)", 10).post({"grant_type": "x"}, journal.NoJournal())
        assert again.body == answer.body
    written.close()
    assert (answer.status, answer.body) == (200, json.dumps(PAIR).encode())
    assert journal.read(directory, "journal")[1].body == answer.body


@pytest.mark.parametrize("token", ["token", "has", "refresh", "r", "expired"])
@pytest.mark.parametrize(
    "description, code", [("token not expired", 0), ("token has already been refreshed", 77), ("token not found", 77)]
)
def test_a_short_token_does_not_hide_the_providers_words_from_us(lonely, token, description, code):
    lonely.store({"access_token": "A", "refresh_token": token})
    body = json.dumps({"error": "invalid_grant", "error_description": description})
    with answering(http(body, "400 Bad Request")) as provider:
        lonely.run("refresh", expect=code, HH_TOKEN_URL=provider.url)
        lonely.run("refresh", expect=code, HH_TOKEN_URL=provider.url)
    assert len(provider.requests) == 1


def test_not_yet_lets_show_print_a_token_that_our_clock_had_given_up(operator, sandbox):
    """The pair was obtained while our clock was days behind, so by our reckoning it has expired."""
    pair = obtain_pair(sandbox)
    operator.store(pair, left=-5 * 86400, life=60)
    operator.run("show", "--field", "access_token", expect=69)
    operator.run("refresh")
    assert operator.run("show", "--field", "access_token").stdout.strip() == pair["access_token"]
    status = json.loads(operator.run("status", "--json").stdout)
    assert status["state"] == "valid" and status["usable"] and status["expires_at"] > time.time()


def test_the_providers_own_clock_tells_how_long_the_token_lives_on(operator, sandbox, expired):
    """Obtained while our clock was 1000 s behind the provider's; since then it has been set right."""
    record = {"outcome": "renewed", "refresh_token_sha256": fingerprint(json.loads(expired)["refresh_token"])}
    (operator.state / "last-refresh.json").write_text(json.dumps({**record, "provider_ahead": 1000}))
    fields = {**json.loads(expired), "expires_in": 1500}
    operator.store(fields, left=-10, life=1500)
    sandbox.weather.add("token_not_expired")
    operator.run("refresh")
    assert 980 < int(json.loads(operator.run("status", "--json").stdout)["seconds_left"]) <= 990


def test_the_environment_does_not_reach_the_request(lonely, tmp_path):
    keys, home = tmp_path / "keys", tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login someone password NETRC-CANARY\n")
    (tmp_path / "json.py").write_text("raise SystemExit('planted')")
    lonely.store(OLD)
    with answering(http("", "500 no")) as proxy, answering(http(json.dumps(PAIR))) as provider:
        proxy_url = proxy.url.replace("/oauth/token", "")
        lonely.run(
            "refresh",
            HH_TOKEN_URL=provider.url,
            HTTP_PROXY=proxy_url,
            http_proxy=proxy_url,
            ALL_PROXY=proxy_url,
            HOME=home,
            REQUESTS_CA_BUNDLE="/nonexistent",
            SSLKEYLOGFILE=keys,
            PYTHONPATH=tmp_path,
        )
        assert proxy.requests == []
        assert "NETRC-CANARY" not in provider.requests[0][0] and "Authorization" not in provider.requests[0][0]
    assert not keys.exists()


def test_without_a_pair_a_human_is_asked_and_nothing_is_created(lonely):
    assert "hhtoken login" in lonely.run("refresh", expect=77).stderr and lonely.files() == []
    lonely.state.mkdir(mode=0o700)
    assert "not logged in" in lonely.run("refresh", expect=77).stderr and lonely.files() == []


def test_a_provider_that_echoes_the_token_does_not_make_us_print_it(lonely):
    lonely.store({"access_token": "ACCESS-OLD", "refresh_token": "CANARY-REFRESH"})
    body = json.dumps({"error": "weird", "error_description": "we do not like CANARY-REFRESH\n\x1b[31m"})
    with answering(http(body, "400 Bad Request", ["X-Request-Id: id-CANARY-REFRESH"])) as provider:
        run = lonely.run("refresh", expect=75, HH_TOKEN_URL=provider.url)
    record = (lonely.state / "last-refresh.json").read_text()
    assert "CANARY" not in run.stderr + record
    assert "\x1b" not in run.stderr


def test_a_run_killed_in_flight_is_an_unknown_outcome_for_the_next(operator, sandbox, expired):
    sandbox.weather.add("hang_after")
    process = operator.start("refresh")
    wait_for(lambda: refreshes(sandbox) == 1)
    process.kill()
    process.wait()
    assert operator.token_file.read_bytes() == expired
    assert json.loads(operator.run("status", "--json", expect=69).stdout)["state"] == "in_flight"
    assert "lost on the way" in operator.run("refresh", expect=77).stderr
    process.stdout.close(), process.stderr.close()


def test_a_run_killed_with_the_answer_on_disk_is_completed_by_the_next(lonely):
    half, is_over = b'{"limits": {}, "access_token": "', threading.Event()

    def stall(connection):
        connection.sendall(http(half, length=999))
        is_over.wait(20)

    lonely.store(OLD)
    with answering(stall) as provider:
        process = lonely.start("refresh", HH_TOKEN_URL=provider.url)
        wait_for(lambda: b"limits" in _bytes_of(lonely.state / "journal"))
        process.kill()
        process.communicate()
        is_over.set()
        journal = bytearray((lonely.state / "journal").read_bytes())
        rest = json.dumps(PAIR).encode()
        journal[4096 : 4096 + len(rest)] = rest
        (lonely.state / "journal").write_bytes(journal)  # as if the other half had arrived before the kill
        run = lonely.run("refresh", HH_TOKEN_URL=provider.url)
    assert "recovered" in run.stderr and len(provider.requests) == 1
    assert lonely.stored()["refresh_token"] == "REFRESH-NEW"
    assert "journal" not in lonely.files()


def leave_answer(operator, fields, seconds_ago, spent=None):
    """Leave what a run leaves that was killed so long ago, behind the answer with these fields; ``spent``: the pair
    that it was to renew."""
    intent = {"kind": "code", "started_at": int(time.time()) - seconds_ago}
    if spent:
        intent.update(kind="refresh", refresh_token_sha256=fingerprint(spent["refresh_token"]))
    answer = Answer(200, json.dumps(fields).encode(), True, received_at=intent["started_at"])
    (operator.state / "journal").write_bytes(journal.text_of(intent, answer))
    (operator.state / "journal").chmod(0o600)


def renewed_elsewhere(operator, sandbox, pair):
    """Return the pair that a bare client gets for this one."""
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    return requests.post(operator.environment["HH_TOKEN_URL"], data=form, headers=AGENT, timeout=10).json()


@pytest.mark.parametrize("flags", [(), ("--force",)])
def test_a_recovered_pair_that_has_expired_meanwhile_is_renewed_in_the_same_run(operator, sandbox, expired, flags):
    found = renewed_elsewhere(operator, sandbox, operator.stored())
    sandbox.provider.expire()
    leave_answer(operator, {**found, "expires_in": 60}, seconds_ago=600, spent=operator.stored())
    run = operator.run("refresh", *flags)
    assert "renewed the pair" in run.stderr and refreshes(sandbox) == 2
    assert operator.stored()["refresh_token"] != found["refresh_token"]
    assert operator.run("show", "--field", "access_token").stdout.strip() == operator.stored()["access_token"]


@pytest.mark.parametrize("flags", [(), ("--force",)])
def test_a_recovered_pair_that_lives_is_the_outcome(operator, sandbox, expired, flags):
    found = renewed_elsewhere(operator, sandbox, operator.stored())
    leave_answer(operator, found, seconds_ago=5, spent=operator.stored())
    run = operator.run("refresh", *flags)
    assert "recovered" in run.stderr and refreshes(sandbox) == 1
    assert operator.stored()["refresh_token"] == found["refresh_token"]


def _bytes_of(path):
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
