"""``hhtoken whoami``: whether HeadHunter accepts the token, and as whom; it changes nothing."""

import contextlib
import json
import sys
import time

import pytest
from conftest import ROOT, obtain_pair, refreshes
from rough_provider import answering, http

from hhtoken.pair import Pair
from hhtoken.provider import api_errors
from hhtoken.renewal import record_keeping
from hhtoken.store.token_store import open_store

NAME = "Песочница"


def base(provider):
    return provider.url.replace("/oauth/token", "")


@pytest.fixture
def living(operator, sandbox):
    return operator.store(obtain_pair(sandbox), left=60, life=60)


def test_the_user_is_named_on_stdout_alone_and_nothing_changes(operator, sandbox, living):
    run = operator.run("whoami")
    assert run.stdout == "accepted: Песочница Тестовая (applicant, id 1)\n" and run.stderr == ""
    assert operator.token_file.read_bytes() == living and operator.files() == ["token.json"]
    assert refreshes(sandbox) == 0


def test_the_email_is_told_only_if_wanted(operator, living):
    assert "sandbox@example.com" in operator.run("whoami", "--email").stdout
    assert "sandbox@example.com" not in operator.run("whoami", "--json").stdout
    assert json.loads(operator.run("whoami", "--json", "--email").stdout)["email"] == "sandbox@example.com"


def test_programs_get_json_for_yes_and_no(operator, sandbox, living):
    yes = json.loads(operator.run("whoami", "--json").stdout)
    assert yes["accepted"] and yes["schema"] == 1 and yes["first_name"] == NAME and yes["is_applicant"]
    sandbox.provider.revoke()
    no = json.loads(operator.run("whoami", "--json", expect=77).stdout)
    assert not no["accepted"] and no["verdict"] == "token_revoked" and no["exit_code"] == 77
    assert no["first_name"] is None and no["next_step"]


def test_an_expired_token_is_asked_about_all_the_same_and_never_renewed(operator, sandbox, expired):
    run = operator.run("whoami", expect=69)
    assert "has expired" in run.stderr and "type 'hhtoken refresh'\n" in run.stderr and run.stdout == ""
    assert operator.token_file.read_bytes() == expired and refreshes(sandbox) == 0


def test_a_wrong_clock_is_noticed_in_both_directions(operator, sandbox):
    pair = obtain_pair(sandbox)
    operator.store(pair, left=-5, life=60)
    run = operator.run("whoami")
    assert NAME in run.stdout and "warning: by this machine's clock" in run.stderr
    operator.store(pair, left=3600, life=7200)
    sandbox.provider.expire()
    run = operator.run("whoami", expect=69)
    assert "warning: by this machine's clock" in run.stderr and "type 'hhtoken refresh'\n" in run.stderr


def _remove(sandbox):
    sandbox.provider.application = "removed"


@pytest.mark.parametrize(
    "befall, code, said",
    [
        (lambda sandbox: sandbox.provider.revoke(), 77, "revoked"),
        (lambda sandbox: sandbox.provider.change_password(), 77, "revoked"),
        (_remove, 78, "application was removed"),
        (lambda sandbox: sandbox.provider.reset(), 77, "does not know"),
        (lambda sandbox: sandbox.close(), 75, "nothing was sent"),
    ],
)
def test_what_befell_the_token_is_told_apart(operator, sandbox, living, befall, code, said):
    befall(sandbox)
    run = operator.run("whoami", expect=code)
    assert said in run.stderr and "hhtoken: hint: " in run.stderr and run.stdout == ""
    assert operator.token_file.read_bytes() == living


def test_who_asks_without_a_network_is_told_to_ask_again(operator, living):
    run = operator.run("whoami", expect=75, HH_API_URL="http://127.0.0.1:9")
    assert "hint: check the address and its port, and the firewall; then try again\n" in run.stderr


def refused(value):
    body = {"errors": [{"type": "oauth", "value": value}], "oauth_error": value.replace("_", "-"), "description": "no"}
    return http(json.dumps(body), "403 Forbidden", ["Content-Type: application/json"])


def hears_in_whoami(operator, url, code):
    operator.run("whoami", expect=code, HH_API_URL=url)


def hears_in_revoke(operator, url, code):
    operator.run("revoke", "--yes", expect=code, HH_API_URL=url)


def hears_in_the_library(operator, url, code):
    program = "import requests; from hhtoken.client import HeadHunterAuth as A; auth = A(wait_seconds=0)\n"
    program += "print(requests.get(auth.api_url + '/vacancies', auth=auth).status_code)"
    run = operator.run("-c", program, program=[sys.executable], HH_API_URL=url, PYTHONPATH=ROOT)
    assert run.stdout == "403\n"


def hears_it_from_its_caller(operator, url, code):
    program = "import sys; from hhtoken.client import access_token; from hhtoken import errors\n"
    program += (
        "try: access_token(instead_of=sys.argv[1], wait_seconds=0)\nexcept errors.UnavailableError: print('none')"
    )
    token = operator.stored()["access_token"]
    assert operator.run("-c", program, token, program=[sys.executable], PYTHONPATH=ROOT).stdout == "none\n"


HEARD = [
    (hears_in_whoami, "token_expired", 69, "due"),
    (hears_in_revoke, "token_expired", 69, "due"),
    (hears_in_the_library, "token_expired", 69, "due"),
    (hears_it_from_its_caller, "token_expired", 69, "due"),
    (hears_in_whoami, "token_revoked", 77, "authorization_needed"),
    (hears_in_the_library, "token_revoked", 77, "authorization_needed"),
    (hears_in_whoami, "bad_authorization", 77, "authorization_needed"),
    (hears_in_the_library, "bad_authorization", 77, "authorization_needed"),
    (hears_in_whoami, "application_not_found", 78, "misconfigured"),
    (hears_in_the_library, "application_not_found", 78, "misconfigured"),
]


@pytest.mark.parametrize("hear, value, code, state", HEARD)
def test_what_the_api_says_counts_whoever_hears_it(operator, sandbox, living, hear, value, code, state):
    with answering(refused(value)) as provider:
        hear(operator, base(provider), code)
    known = json.loads(operator.run("status", "--json", expect=code).stdout)
    assert known["state"] == state and not known["usable"] and known["next_step"] and known["next_refresh_at"]
    assert known["seconds_left"] == 0
    reason = known["reason"]
    assert " left" not in operator.run("status", expect=code).stdout
    assert reason in operator.run("doctor", expect=(code, 78)).stdout
    assert "hhtoken_token_usable 0" in operator.run("status", "--prometheus", expect=code).stdout
    for words in (["show", "--field", "access_token"], ["show", "--header"]):
        run = operator.run(*words, expect=code)
        assert run.stdout == "" and reason in run.stderr and "hint: " in run.stderr
    assert reason in operator.run("show", expect=code).stderr
    assert not json.loads(operator.run("show", "--json", expect=code).stdout)["usable"]
    operator.run("show", "--header", "--allow-expired")
    operator.run("refresh", "--is-due")
    assert operator.token_file.read_bytes() == living and refreshes(sandbox) == 0
    sandbox.provider.expire()
    assert operator.run("exec", "--", "echo", "ran").stdout == "ran\n" and refreshes(sandbox) == 1
    assert json.loads(operator.run("status", "--json").stdout)["state"] == "valid"


def test_a_renewal_that_hears_not_yet_waits_and_the_newer_word_counts(operator, sandbox, living):
    """The token endpoint contradicts the API: the token is handed out again, but nobody calls it valid."""

    def look():
        return json.loads(operator.run("status", "--json", expect=(0, 69)).stdout)

    with answering(refused("token_expired")) as provider:
        url = base(provider)
        operator.run("whoami", expect=69, HH_API_URL=url)
        operator.run("refresh")
        assert refreshes(sandbox) == 1
        found = look()
        assert (found["state"], found["usable"]) == ("not_yet", True)
        assert found["next_refresh_at"] - found["last_refresh"]["at"] == 5, "not when we had computed that it expires"
        operator.run("show", "--field", "access_token")
        operator.run("whoami")
        assert look()["state"] == "valid", "now that the API accepts it"
        operator.run("whoami", expect=69, HH_API_URL=url)
        assert (look()["state"], look()["usable"], look()["exit_code"]) == ("not_yet", False, 69)
        operator.run("show", "--field", "access_token", expect=69)
        operator.run("refresh")
        assert refreshes(sandbox) == 1, "it waits"
    operator.run("whoami")
    assert look()["state"] == "valid"


def test_a_refusal_is_forgotten_with_the_pair_that_it_was_about(operator, sandbox, living):
    sandbox.provider.revoke()
    operator.run("whoami", expect=77)
    operator.store(obtain_pair(sandbox), left=60, life=60)
    operator.run("status")
    operator.run("show", "--field", "access_token")


def test_after_expiry_the_refresh_has_the_word(operator, sandbox, living):
    sandbox.provider.revoke()
    operator.run("whoami", expect=77)
    operator.store(operator.stored())  # the same pair, expired
    operator.run("status", expect=69)
    operator.run("refresh", expect=77)
    operator.run("status", expect=77)


def test_a_refusal_that_cannot_be_remembered_is_told_all_the_same(operator, sandbox, living):
    sandbox.provider.revoke()
    (operator.state / ".lock").mkdir()
    assert "revoked" in operator.run("whoami", expect=77).stderr


def test_an_expired_token_that_cannot_be_renewed_needs_a_login_as_status_says(operator, sandbox, expired):
    sandbox.provider.revoke()
    operator.run("refresh", expect=77)
    status = json.loads(operator.run("status", "--json", expect=77).stdout)
    with answering(refused("token_expired")) as provider:
        run = operator.run("whoami", "--json", expect=77, HH_API_URL=base(provider))
    said = json.loads(run.stdout)
    assert (said["reason"], said["next_step"], said["exit_code"]) == (status["reason"], status["next_step"], 77)


def test_an_employers_manager_and_a_token_without_a_person_are_told(operator, living):
    manager = {"auth_type": "employer", "is_employer": True, "id": "1", "last_name": "Ли"}
    manager.update(employer={"id": "42", "name": "Рога"}, manager={"id": "5", "position": "x"})
    for fields, said in ((manager, "Ли (employer, id 1, Рога, employer id 42, manager id 5)"),
                         ({"auth_type": "application"}, "application")):  # fmt: skip
        with answering(http(json.dumps(fields))) as provider:
            url = base(provider)
            assert operator.run("whoami", HH_API_URL=url).stdout == f"accepted: {said}\n"
            told = json.loads(operator.run("whoami", "--json", HH_API_URL=url).stdout)
        assert told["accepted"] and told["auth_type"] == fields["auth_type"]
        assert told["employer"] == fields.get("employer") and told["manager"] == (fields.get("manager") and {"id": "5"})
        assert told["is_application"] != told["is_employer"] and told["is_employer_integration"] is False


def test_a_user_agent_on_the_black_list_is_told(operator, living):
    assert "blacklisted" in operator.run("whoami", expect=78, HH_USER_AGENT="python-requests/2").stderr


def test_without_a_pair_nothing_is_asked(operator):
    assert "not logged in" in operator.run("whoami", expect=77).stderr
    assert operator.files() == []


def test_a_pair_that_was_renewed_meanwhile_is_asked_about_again(operator):
    operator.store({"access_token": "OLD-TOKEN", "refresh_token": "R"}, left=60)

    def answer(connection):
        head, _form = provider.requests[-1]
        if "OLD-TOKEN" in head:
            operator.store({"access_token": "NEW-TOKEN", "refresh_token": "S"}, left=60)
            connection.sendall(refused("bad_authorization"))
        else:
            connection.sendall(http('{"is_applicant": true, "first_name": "Eve"}'))

    with answering(answer) as provider:
        run = operator.run("whoami", HH_API_URL=provider.url.replace("/oauth/token", "/"))
    assert "Eve" in run.stdout and len(provider.requests) == 2
    assert provider.requests[0][0].startswith("GET /me HTTP/1.1\r\n")


def test_a_refusal_that_comes_after_the_renewal_is_not_held_against_the_new_pair(operator):
    old = {"access_token": "OLD-TOKEN", "refresh_token": "R"}
    operator.store({"access_token": "NEW-TOKEN", "refresh_token": "S"}, left=60)
    asked_about = Pair(old, int(time.time()), int(time.time()) + 60)
    with contextlib.closing(open_store(str(operator.state))) as store:
        record_keeping.heed(store, asked_about, api_errors.REVOKED)
        assert store.record_of(store.load().pair) is None
    operator.run("status")


@pytest.mark.parametrize("address", ["http://api.example.org", "api.hh.ru", "https://user@api.hh.ru"])
def test_an_unsafe_address_of_the_api_gets_no_token(operator, living, address):
    run = operator.run("whoami", expect=78, HH_API_URL=address)
    assert "HH_API_URL" in run.stderr
