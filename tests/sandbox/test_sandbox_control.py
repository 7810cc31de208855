"""The levers under /sandbox/, and who may pull them."""

import json

import pytest
import requests
from conftest import AGENT, obtain_pair

from hhtoken.sandbox import control
from hhtoken.sandbox.faults import ALL_FAULTS
from hhtoken.sandbox.messages import Request
from hhtoken.sandbox.server import start
from hhtoken.sandbox.settings import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI


@pytest.fixture
def sandbox():
    with start(auto="allow") as sandbox:
        yield sandbox


def pull(sandbox, path, **more):
    return requests.post(sandbox.url + "/sandbox/" + path, timeout=5, **more)


def state(sandbox):
    return requests.get(sandbox.url + "/sandbox/state", timeout=5).json()


def token(sandbox, **form):
    return requests.post(sandbox.url + "/oauth/token", form, headers=AGENT, timeout=5)


def refresh(sandbox, pair):
    return token(sandbox, grant_type="refresh_token", refresh_token=pair["refresh_token"]).json()


def test_faults_come_in_their_order_as_often_as_told_or_until_cleared(sandbox):
    pull(sandbox, "fault?name=html_503&times=2")
    pull(sandbox, "fault?name=rate_limit")
    pull(sandbox, "fault", data={"name": "html_502", "times": "always"})
    assert [token(sandbox).status_code for _ in range(6)] == [503, 503, 429, 502, 502, 502]
    pull(sandbox, "clear")
    assert token(sandbox).status_code == 400


@pytest.mark.parametrize(
    "path, told",
    [
        ("expires-in?seconds=60", "token not expired"),
        ("expire", None),
        ("advance?seconds=60", None),
        ("password-change", "token deactivated"),
        ("revoke", "token was revoked"),
        ("account?state=locked", "account is locked"),
        ("application?state=removed", "client_id or client_secret not found"),
    ],
)
def test_what_happens_shows_in_the_next_refresh(sandbox, path, told):
    old = obtain_pair(sandbox)
    assert pull(sandbox, path).status_code == 200
    assert refresh(sandbox, old).get("error_description") == told


def test_expires_in_counts_for_new_pairs(sandbox):
    pull(sandbox, "expires-in?seconds=0")
    old = obtain_pair(sandbox)
    assert old["expires_in"] == 0 and "access_token" in refresh(sandbox, old)


def test_the_manner_of_consent_can_be_switched(sandbox):
    address = f"{sandbox.url}/oauth/authorize?response_type=code&client_id={CLIENT_ID}"

    def authorize():
        return requests.get(address, timeout=5, allow_redirects=False)

    assert "code=" in authorize().headers["Location"]
    pull(sandbox, "auto-deny?on=1")
    assert authorize().headers["Location"] == REDIRECT_URI + "?error=access_denied"
    pull(sandbox, "auto-approve?on=0")
    assert authorize().status_code == 302  # switching off what is not on changes nothing
    pull(sandbox, "auto-deny?on=0")
    assert authorize().status_code == 200
    pull(sandbox, "auto-approve?on=1")
    assert "code=" in authorize().headers["Location"]


def test_reset_forgets_everything(sandbox):
    begun, old = state(sandbox), obtain_pair(sandbox)
    for path in (
        "fault?name=html_503&path=/me",
        "expires-in?seconds=5",
        "auto-deny",
        "account?state=locked",
        "user?role=employer",
        "advance?seconds=9",
        "reset",
    ):
        assert pull(sandbox, path).status_code == 200
    assert {**state(sandbox), "now": 0} == {**begun, "now": 0}
    assert refresh(sandbox, old)["error_description"] == "token not found"


@pytest.mark.parametrize(
    "path",
    [
        "fault",
        "fault?name=nonsense",
        "fault?name=html_503&times=0",
        "fault?name=html_503&times=-1",
        "fault?name=html_503&path=me",
        "expires-in",
        "expires-in?seconds=-1",
        "expires-in?seconds=1e3",
        "expires-in?seconds=999999999",
        "advance?seconds=x",
        "account?state=nonsense",
        "application",
        "user?role=nonsense",
        "auto-approve?on=2",
    ],
)
def test_a_wrong_parameter_changes_nothing(sandbox, path):
    before = state(sandbox)
    answer = pull(sandbox, path)
    assert answer.status_code == 400 and answer.json()["error"] == "bad_control"
    assert {**state(sandbox), "now": 0} == {**before, "now": 0}


def test_the_state_counts_and_shows_no_secret(sandbox):
    old = obtain_pair(sandbox)
    refresh(sandbox, old)
    pull(sandbox, "expire")
    pull(sandbox, "fault?name=reset_after")
    with pytest.raises(requests.ConnectionError):
        refresh(sandbox, old)
    token(sandbox, grant_type="my-secret", **{"my-secret-name": "my-secret"})
    now = state(sandbox)
    assert now["token_requests"] == {"authorization_code": 1, "refresh_token": 2, "(other)": 1}
    assert now["committed_refreshes"] == 1 and now["committed"]["authorization_code"] == 1
    told = ("grant_type", "status", "error_description", "fault")
    assert [tuple(entry[name] for name in told) for entry in now["requests"]] == [
        ("authorization_code", 200, None, None),
        ("refresh_token", 400, "token not expired", None),
        ("refresh_token", None, None, "reset_after"),
        ("(other)", 400, "unsupported grant_type", None),
    ]
    assert now["requests"][1]["parameters"] == ["grant_type", "refresh_token"]
    text = json.dumps(now)
    for secret in (old["access_token"], old["refresh_token"], CLIENT_SECRET, "my-secret"):
        assert secret not in text


@pytest.mark.parametrize("path", ["/sandbox/", "/sandbox", "/"])
def test_the_listing_names_every_lever_and_fault(sandbox, path):
    listing = requests.get(sandbox.url + path, timeout=5).json()
    assert set(listing["faults"]) == set(ALL_FAULTS)
    assert {f"POST /sandbox/{name}" for name in control.CONTROLS} <= set(listing)


# -- the guard --

HERE = "127.0.0.1"


@pytest.mark.parametrize(
    "client_host, headers, may_pull",
    [
        (HERE, {"Host": "127.0.0.1:8900"}, True),
        (HERE, {"Host": "localhost:8900"}, True),
        (HERE, {"Host": "LOCALHOST"}, True),
        ("::1", {"Host": "[::1]:8900"}, True),
        ("::ffff:127.0.0.1", {"Host": "[::1]"}, True),
        (HERE, {"Host": "127.0.0.1:8900", "Origin": "http://127.0.0.1:8900"}, True),
        ("192.0.2.7", {"Host": "127.0.0.1:8900"}, False),
        ("fe80::1%eth0", {"Host": "localhost"}, False),
        (HERE, {}, False),
        (HERE, {"Host": "evil.example:8900"}, False),
        (HERE, {"Host": "localhost.evil.example"}, False),
        (HERE, {"Host": "127.0.0.1:8900", "Origin": "http://evil.example"}, False),
        (HERE, {"Host": "127.0.0.1:8900", "Origin": "null"}, False),
        (HERE, {"Host": "127.0.0.1:8900", "Origin": "https://127.0.0.1:8900"}, False),
        (HERE, {"Host": "127.0.0.1:8900", "Origin": "http://127.0.0.1:9999"}, False),
    ],
)
def test_this_machine_may_pull_and_nobody_else(client_host, headers, may_pull):
    asked = Request("POST", "/sandbox/revoke", "", headers, b"", client_host, "id")
    assert control.is_allowed(asked) is may_pull


@pytest.mark.parametrize("headers", [{"Host": "rebound.example"}, {"Origin": "http://evil.example"}])
@pytest.mark.parametrize("method, path", [("POST", "revoke"), ("GET", "state"), ("GET", "")])
def test_a_foreign_page_gets_403_and_changes_nothing(sandbox, headers, method, path):
    old = obtain_pair(sandbox)
    answer = requests.request(method, f"{sandbox.url}/sandbox/{path}", headers=headers, timeout=5)
    assert answer.status_code == 403
    sandbox.provider.check_user_token(old["access_token"])


@pytest.mark.parametrize("method, path", [("GET", "revoke"), ("GET", "fault"), ("DELETE", "state"), ("PUT", "reset")])
def test_levers_are_pulled_by_post_alone(sandbox, method, path):
    assert requests.request(method, f"{sandbox.url}/sandbox/{path}", timeout=5).status_code == 405
