"""What a bot meets below the API: each kind of user, the refusals, CORS, and weather on any path."""

import contextlib
import re
import socket

import pytest
import requests
from conftest import AGENT, obtain_pair

from hhtoken.sandbox.faults import API_FAULTS, FAULTS
from hhtoken.sandbox.server import start
from hhtoken.sandbox.settings import CLIENT_ID, CLIENT_SECRET
from hhtoken.sandbox.users import ROLES

FLAGS = ("is_applicant", "is_employer", "is_admin", "is_application", "is_employer_integration")
# role -> (auth_type, the flags that are set, has a person)
USERS = {
    "applicant": ("applicant", ["is_applicant"], True),
    "employer": ("employer", ["is_employer"], True),
    "admin": ("employer", ["is_employer", "is_admin"], True),
    "integration": ("employer_integration", ["is_employer_integration"], False),
    "application": ("application", ["is_application"], False),
}


@pytest.fixture
def sandbox():
    with start(auto="allow") as running:
        yield running


def lever(sandbox, control, **parameters):
    return requests.post(f"{sandbox.url}/sandbox/{control}", params=parameters, timeout=5)


def ask(sandbox, token, path="/me", method="GET", **headers):
    headers = {**AGENT, "Authorization": f"Bearer {token}", **headers}
    return requests.request(method, sandbox.url + path, headers=headers, timeout=5, allow_redirects=False)


def grant(sandbox, **form):
    form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **form}
    return requests.post(sandbox.url + "/token", form, headers=AGENT, timeout=5).json()


def access_token(sandbox, role="applicant"):
    if role != "application":
        lever(sandbox, "user", role=role).raise_for_status()
        return obtain_pair(sandbox)["access_token"]
    return grant(sandbox, grant_type="client_credentials")["access_token"]


# -- users --


@pytest.mark.parametrize("role", USERS)
def test_each_kind_of_token_is_accepted_with_its_flags_and_its_person(sandbox, role):
    answer = ask(sandbox, access_token(sandbox, role))
    user = answer.json()
    auth_type, flags, has_person = USERS[role]
    assert answer.status_code == 200 and user["auth_type"] == auth_type
    assert {name: user[name] for name in FLAGS} == {name: name in flags for name in FLAGS}
    assert all((name in user) == has_person for name in ("id", "first_name", "last_name", "middle_name", "email"))
    assert ("counters" in user) == (role == "applicant")
    if auth_type == "employer":
        assert set(user["employer"]) == {"id", "name"} and user["manager"]["id"]


def test_an_applicant_is_led_to_paths_that_answer(sandbox):
    token = access_token(sandbox)
    user = ask(sandbox, token).json()
    assert user["is_in_search"] is True and user["counters"]["resumes_count"] == 1
    for address in (user["resumes_url"], user["negotiations_url"]):
        assert ask(sandbox, token, address.removeprefix(sandbox.url)).status_code == 200


def test_a_token_keeps_its_user_through_a_renewal(sandbox):
    lever(sandbox, "user", role="employer")
    pair = obtain_pair(sandbox)
    lever(sandbox, "user", role="applicant")
    sandbox.provider.expire()
    new = grant(sandbox, grant_type="refresh_token", refresh_token=pair["refresh_token"])
    assert ask(sandbox, new["access_token"]).json()["auth_type"] == "employer"


@pytest.mark.parametrize(
    "started, asked, answers",
    [
        ("applicant", "employer", "employer"),
        ("employer", "applicant", "applicant"),
        ("admin", "employer", "admin"),  # a kind of employer
        ("employer", "nonsense", "employer"),
    ],
)
def test_the_request_may_name_the_user(started, asked, answers):
    with start(role=started) as sandbox:
        query = {"response_type": "code", "client_id": sandbox.settings.client_id, "role": asked}
        assert sandbox.provider.read_authorization(query).role == answers


@pytest.mark.parametrize("role", ROLES)
def test_the_page_offers_each_user_and_hands_on_the_choice(role):
    with start() as sandbox:
        address = sandbox.url + "/oauth/authorize"
        page = requests.get(address, {"response_type": "code", "client_id": CLIENT_ID}, timeout=5).text
        assert f'<option value="{role}"' in page and '<option value="applicant" selected>' in page
        ticket = re.search(r'name="ticket" value="([^"]+)"', page)[1]
        form = {"ticket": ticket, "answer": "allow", "role": role}
        back = requests.post(address, form, timeout=5, allow_redirects=False).headers["Location"]
        token = grant(sandbox, grant_type="authorization_code", code=back.partition("code=")[2])["access_token"]
        assert ask(sandbox, token).json()["auth_type"] == USERS[role][0]


# -- any path --


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", ["/vacancies", "/resumes/mine?page=2", "/negotiations/1/messages"])
def test_any_path_answers_a_good_token_and_no_other(sandbox, method, path):
    good = ask(sandbox, access_token(sandbox), path, method)
    assert good.status_code == 200 and (method == "HEAD" or isinstance(good.json(), dict))
    assert ask(sandbox, "nonsense", path, method).status_code == 403
    assert ask(sandbox, access_token(sandbox), path, method, **{"User-Agent": "python-requests/2"}).status_code == 400


def test_a_refusal_has_every_form_that_headhunter_gives_it(sandbox):
    answer = ask(sandbox, "nonsense", "/vacancies")
    assert answer.status_code == 403 and answer.json() == {
        "errors": [{"type": "oauth", "value": "bad_authorization"}],
        "description": "Forbidden",
        "oauth_error": "bad-authorization",
        "request_id": answer.headers["X-Request-Id"],
    }


@pytest.mark.parametrize("path", ["/me", "/vacancies/1", "/oauth/token", "/token"])
def test_a_browser_may_ask_from_anywhere(sandbox, path):
    headers = {"Origin": "https://bot.example", "Access-Control-Request-Method": "PUT"}
    asked = requests.options(sandbox.url + path, headers=headers, timeout=5)
    assert asked.ok and asked.headers["Access-Control-Allow-Origin"] == "*" and not asked.content
    assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
    assert "authorization" in asked.headers["Access-Control-Allow-Headers"].lower()
    assert ask(sandbox, "nonsense", "/me").headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/sandbox/revoke", "/sandbox/state", "/oauth/authorize"])
def test_no_browser_may_ask_from_elsewhere_for_what_is_not_the_api(sandbox, path):
    asked = requests.options(sandbox.url + path, headers={"Origin": "https://bot.example"}, timeout=5)
    assert asked.status_code == 405 and "Access-Control-Allow-Origin" not in asked.headers


# -- weather --


@pytest.mark.parametrize("name", API_FAULTS)
@pytest.mark.parametrize("path", ["/me", "/vacancies/1"])
def test_each_refusal_of_the_api_can_be_demanded_on_any_path(sandbox, name, path):
    token = access_token(sandbox)
    assert lever(sandbox, "fault", name=name).status_code == 200
    answer = ask(sandbox, token, path)
    document = answer.json()
    assert answer.status_code == API_FAULTS[name].status in (403, 429)
    assert name in str(document) or name == "oauth_error_alone"
    assert answer.headers["X-Request-Id"] == document["request_id"]
    assert ask(sandbox, token, path).status_code == 200


def test_a_captcha_has_an_address(sandbox):
    sandbox.weather.add("captcha_required")
    assert ask(sandbox, access_token(sandbox), "/vacancies").json()["errors"][0]["captcha_url"].startswith("https://")


@pytest.mark.parametrize("name", ["html_502", "json_500", "service_unavailable", "rate_limit", "guard_page", "gone"])
def test_trouble_in_front_can_be_demanded_below_a_path_alone(sandbox, name):
    token = access_token(sandbox)
    lever(sandbox, "fault", name=name, path="/vacancies", times="2")
    assert ask(sandbox, token).status_code == 200 and ask(sandbox, token, "/vacanciesx").status_code == 200
    first, second, third = (ask(sandbox, token, path) for path in ("/vacancies", "/vacancies/7", "/vacancies"))
    assert first.status_code == second.status_code == FAULTS[name].status and third.status_code == 200
    assert ("Retry-After" in first.headers) == (name == "rate_limit")


def test_weather_for_the_api_leaves_the_token_endpoint_alone_and_the_other_way_round(sandbox):
    token = access_token(sandbox)
    lever(sandbox, "fault", name="html_502", path="/", times="always")
    lever(sandbox, "fault", name="html_503")
    form = {"grant_type": "x"}
    answers = [requests.post(sandbox.url + "/token", form, headers=AGENT, timeout=5).status_code for _ in range(2)]
    assert answers == [503, 400] and ask(sandbox, token).status_code == 502
    assert ask(sandbox, token, "/oauth/token", "DELETE").status_code == 502
    lever(sandbox, "clear")
    assert ask(sandbox, token).status_code == 200


@pytest.mark.parametrize("path", ["/oauth/token", "/token"])
def test_the_token_endpoint_refuses_in_the_form_of_the_api(sandbox, path):
    lever(sandbox, "fault", name="token_revoked", path=path)
    answer = requests.post(sandbox.url + "/oauth/token", {"grant_type": "x"}, headers=AGENT, timeout=5)
    assert answer.status_code == 403 and answer.json()["errors"] == [{"type": "oauth", "value": "token_revoked"}]
    assert answer.json()["oauth_error"] == "token-revoked"


def test_an_answer_of_the_api_may_be_lost_after_it_took_effect(sandbox):
    token = access_token(sandbox)
    sandbox.weather.add("reset_after", path="/")
    with pytest.raises(requests.ConnectionError):
        ask(sandbox, token, "/oauth/token", "DELETE")
    assert ask(sandbox, token).json()["errors"][0]["value"] == "token_revoked"


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.reshape or not fault.status])
def test_no_weather_of_the_token_endpoint_is_a_defect_on_another_path(name):
    lines = []
    with start(auto="allow", log=lines.append, drip_seconds=0, hang_seconds=0.1) as sandbox:
        token = access_token(sandbox)
        for request in ("GET /me", "DELETE /oauth/token"):
            sandbox.weather.add(name, path="/")
            with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as connection:
                head = f"{request} HTTP/1.1\r\nUser-Agent: a\r\nAuthorization: Bearer {token}\r\n\r\n"
                connection.sendall(head.encode())
                with contextlib.suppress(ConnectionResetError):
                    connection.recv(1000)
    assert len(lines) >= 2 and not [line for line in lines if "defect" in line]
