"""``hhtoken app-token``: asked for once, kept, and renewed only by the operator's wish and at HeadHunter's pace."""

import contextlib
import json
import signal
import subprocess

import pytest
from conftest import PROGRAM, UNMEASURED
from rough_provider import HeldUp, answering, http

# No file may be larger than this many bytes: a disk on which empty files still find a place, and no token does.
WITHOUT_ROOM = ["prlimit", "--fsize=64", "--"]


def asked(sandbox):
    return sandbox.requests.summary()["token_requests"].get("client_credentials", 0)


def kept(operator):
    return json.loads((operator.state / "app-token.json").read_text())


def age(operator, seconds, field="obtained_at"):
    fields = kept(operator)
    fields[field] -= seconds
    (operator.state / "app-token.json").write_text(json.dumps(fields))


def test_the_first_is_asked_for_and_kept_and_the_next_runs_read_it(operator, sandbox):
    first = operator.run("app-token")
    token = first.stdout.strip()
    assert token.startswith("APPL") and first.stderr == ""
    assert kept(operator)["access_token"] == token
    assert operator.environment["HH_CLIENT_SECRET"] not in (operator.state / "app-token.json").read_text()
    assert (operator.state / "app-token.json").stat().st_mode & 0o777 == 0o600
    assert operator.run("app-token", HH_CLIENT_SECRET=None).stdout.strip() == token
    assert asked(sandbox) == 1


def test_a_renewal_within_five_minutes_sends_nothing(operator, sandbox):
    token = operator.run("app-token").stdout
    run = operator.run("app-token", "--renew", expect=75)
    assert "5 minutes" in run.stderr and "again in" in run.stderr and run.stdout == ""
    assert asked(sandbox) == 1 and operator.run("app-token").stdout == token


def test_a_renewal_after_five_minutes_replaces_it(operator, sandbox):
    first = operator.run("app-token").stdout
    age(operator, 301)
    sandbox.provider.advance(301)
    second = operator.run("app-token", "--renew").stdout
    assert second != first and operator.run("app-token").stdout == second and asked(sandbox) == 2


def test_headhunters_own_too_early_keeps_the_stored_one(operator, sandbox):
    token = operator.run("app-token").stdout
    age(operator, 301)  # by our clock it is time
    run = operator.run("app-token", "--renew", expect=75)
    assert "less than 5 minutes ago" in run.stderr and "in five minutes" in run.stderr and "request id" in run.stderr
    assert operator.run("app-token").stdout == token


def test_another_application_gets_a_token_of_its_own(operator, sandbox):
    operator.run("app-token")
    run = operator.run("app-token", expect=78, HH_CLIENT_ID="another")
    assert "removed, or its secret is wrong" in run.stderr and asked(sandbox) == 2


def test_a_wrong_secret_is_told_and_not_repeated(operator):
    run = operator.run("app-token", expect=78, HH_CLIENT_SECRET="CANARY-SECRET")
    assert "do not belong together" in run.stderr and "CANARY" not in run.stderr


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"access_token": "A"}', '{"access_token": "a b", "obtained_at": 1}',
     '{"access_token": "A", "obtained_at": 1, "perhaps_revoked_at": "x"}'],
)  # fmt: skip
def test_a_damaged_file_is_replaced_with_a_warning(operator, sandbox, content):
    operator.state.mkdir(mode=0o700)
    (operator.state / "app-token.json").write_text(content)
    (operator.state / "app-token.json").chmod(0o600)
    run = operator.run("app-token")
    assert run.stdout.startswith("APPL") and "warning" in run.stderr
    assert operator.run("app-token").stdout == run.stdout


@pytest.mark.parametrize(
    "fault, code",
    [("account_not_found", 78), ("unknown_error", 75), ("rate_limit_bare", 75), ("not_found", 78)],
)
def test_a_refusal_in_headhunters_own_words_costs_nothing_that_is_stored(operator, sandbox, fault, code):
    token = operator.run("app-token").stdout
    age(operator, 301)
    before = kept(operator)
    sandbox.weather.add(fault)
    run = operator.run("app-token", "--renew", expect=code)
    assert run.stdout == "" and "hint: " in run.stderr
    assert kept(operator) == before and operator.run("app-token").stdout == token


def test_a_request_that_did_not_leave_costs_nothing_that_is_stored(operator):
    token = operator.run("app-token").stdout
    age(operator, 301)
    before = kept(operator)
    run = operator.run("app-token", "--renew", expect=75, HH_TOKEN_URL="http://127.0.0.1:9/token")
    assert "check the address" in run.stderr and "next run" not in run.stderr, "nobody runs that again by itself"
    assert kept(operator) == before and operator.run("app-token").stdout == token


LOST = [("reset_after", 75), ("html_200_after", 65), ("service_unavailable_after", 75), ("guard_page_after", 75)]


@pytest.mark.parametrize("fault, code", LOST)
def test_a_token_that_may_be_revoked_is_used_no_more_and_replaced_in_five_minutes(operator, sandbox, fault, code):
    revoked = operator.run("app-token").stdout
    age(operator, 301)
    sandbox.provider.advance(301)
    sandbox.weather.add(fault)
    run = operator.run("app-token", "--renew", expect=code)
    assert run.stdout == "" and "hint: " in run.stderr
    for again in (["app-token"], ["app-token", "--renew"]):
        run = operator.run(*again, expect=75)
        assert run.stdout == "" and "lost less than 5 minutes ago" in run.stderr and "again in" in run.stderr
    assert asked(sandbox) == 2
    age(operator, 301, "perhaps_revoked_at")
    run = operator.run("app-token", expect=75)
    assert "less than 5 minutes ago" in run.stderr and asked(sandbox) == 3, "by HeadHunter's clock it is too early"
    assert "perhaps_revoked_at" in kept(operator), "that says nothing of the earlier answer"
    sandbox.provider.advance(301)
    token = operator.run("app-token").stdout
    assert token not in ("", revoked) and operator.run("app-token").stdout == token and asked(sandbox) == 4
    assert set(kept(operator)) == {"access_token", "token_type", "obtained_at", "client_id"}


@contextlib.contextmanager
def renewal_in_flight(operator):
    """A running `app-token --renew` whose answer is held back, and what lets it go."""
    operator.run("app-token")
    age(operator, 301)
    held_up = HeldUp(http('{"access_token": "APPL-NEW"}'))
    with answering(held_up) as provider:
        running = operator.start("app-token", "--renew", HH_TOKEN_URL=provider.url)
        assert held_up.was_asked.wait(30)
        yield running, held_up.may_answer.set


def test_a_signal_waits_for_the_token_in_flight(operator):
    with renewal_in_flight(operator) as (running, answer):
        running.send_signal(signal.SIGINT)
        answer()
        assert running.communicate(timeout=30)[0] == "APPL-NEW\n"
    assert running.returncode == 0 and operator.run("app-token").stdout == "APPL-NEW\n"


def test_a_token_whose_renewal_was_killed_is_used_no_more(operator):
    with renewal_in_flight(operator) as (running, answer):
        running.kill()
        running.communicate()
        answer()
    assert "lost less than 5 minutes ago" in operator.run("app-token", expect=75).stderr


def test_nothing_is_asked_where_it_could_not_be_saved(operator, sandbox):
    operator.state.mkdir(mode=0o700)
    (operator.state / "app-token.json").mkdir()
    operator.run("app-token", expect=74)
    assert asked(sandbox) == 0 and "app-token.json" in operator.files()


def test_nothing_is_asked_where_there_is_no_room_for_it(operator, sandbox):
    operator.run("app-token", expect=74, program=[*WITHOUT_ROOM, *PROGRAM], **UNMEASURED)
    assert asked(sandbox) == 0 and operator.files() == [".lock"]


def test_a_token_that_cannot_be_stored_after_all_is_printed_with_a_warning(operator):
    def occupy(connection):
        (operator.state / "app-token.json").mkdir()
        connection.sendall(http('{"access_token": "APPL-NEW"}'))

    with answering(occupy) as provider:
        run = operator.run("app-token", HH_TOKEN_URL=provider.url)
    assert run.stdout == "APPL-NEW\n" and "warning: the application token is not stored" in run.stderr
    assert "hint: " in run.stderr and "APPL" not in run.stderr


def test_many_at_once_ask_once(operator, sandbox):
    runs = [
        subprocess.Popen([*PROGRAM, "app-token"], stdout=subprocess.PIPE, text=True, env=operator.environment)
        for _ in range(8)
    ]
    said = {run.communicate(timeout=30)[0] for run in runs}
    assert len(said) == 1 and asked(sandbox) == 1


def test_an_echo_of_the_secret_is_hidden(operator):
    def echo(connection):
        body = json.dumps({"error": "CANARY-SECRET", "error_description": "CANARY-SECRET"})
        connection.sendall(http(body, "400 Bad Request", ["X-Request-Id: CANARY-SECRET"]))

    with answering(echo) as provider:
        run = operator.run("app-token", expect=75, HH_TOKEN_URL=provider.url, HH_CLIENT_SECRET="CANARY-SECRET")
    assert "CANARY" not in run.stderr
