"""The sandbox's addresses over real sockets: authorize page, token, invalidation, user agents, HTTP manners."""

import re
import socket

import pytest
import requests
from conftest import AGENT, obtain_pair

from hhtoken.sandbox.server import start
from hhtoken.sandbox.settings import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def lines():
    return []


@pytest.fixture
def sandbox(lines):
    with start(auto="allow", log=lines.append) as running:
        yield running


@pytest.fixture
def asking():
    with start() as running:
        yield running


def send(sandbox, method, path, body=None, **headers):
    headers = {**AGENT, **headers}
    return requests.request(method, sandbox.url + path, data=body, headers=headers, timeout=5, allow_redirects=False)


def authorize(sandbox, headers=AGENT, **query):
    query = {"response_type": "code", "client_id": CLIENT_ID, **query}
    address = sandbox.url + "/oauth/authorize"
    return requests.get(address, query, headers=headers, timeout=5, allow_redirects=False)


def raw(sandbox, data):
    """Send bytes and return all that comes back until the end of the connection."""
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# -- the authorize page --


@pytest.mark.parametrize("answer, back", [("allow", r"code=[0-9A-F]{64}"), ("deny", "error=access_denied")])
def test_the_user_is_asked_once_and_sent_back_with_the_answer(asking, answer, back):
    page = authorize(asking, state="st")
    assert page.status_code == 200 and page.headers["Cache-Control"] == "no-store"
    form = {"ticket": re.search(r'name="ticket" value="([^"]+)"', page.text)[1], "answer": answer}
    first, second = (send(asking, "POST", "/oauth/authorize", form) for _ in range(2))
    assert re.fullmatch(re.escape(REDIRECT_URI) + rf"\?{back}&state=st", first.headers["Location"])
    assert (first.status_code, second.status_code) == (302, 400)


@pytest.mark.parametrize("form", [{"answer": "allow"}, {"ticket": "x", "answer": "allow"}, {"ticket": "x"}, {}])
def test_no_code_without_a_ticket_and_an_answer(asking, form):
    answer = send(asking, "POST", "/oauth/authorize", form)
    assert answer.status_code == 400 and "Location" not in answer.headers


@pytest.mark.parametrize(
    "accept, word",
    [
        (None, "Allow"),
        ("ru", "Разрешить"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "Разрешить"),
        ("en-US,ru;q=0.5", "Allow"),
        ("de", "Allow"),
        ("de,ru;q=0.1", "Разрешить"),
    ],
)
def test_the_page_speaks_the_language_asked_for(asking, accept, word):
    assert f">{word}</button>" in authorize(asking, headers={"Accept-Language": accept}).text


@pytest.mark.parametrize(
    "query",
    [
        {"client_id": "<script>other"},
        {"redirect_uri": "http://evil.example/<script>"},
        {"redirect_uri": "\r\nX: y"},
        {"state": ["evil", "twice"]},
    ],
)
def test_a_trap_gets_a_page_that_repeats_nothing(sandbox, query):
    answer = authorize(sandbox, **query)
    assert answer.status_code == 400 and not {"Location", "X"} & set(answer.headers)
    assert "script" not in answer.text and "evil" not in answer.text


def test_the_page_escapes_the_request_runs_no_script_and_cannot_be_framed(asking):
    page = authorize(asking, redirect_uri=REDIRECT_URI + "?a='b'&c=1")
    assert "a=&#x27;b&#x27;&amp;c=1" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy


def test_a_header_cannot_be_smuggled_through_the_state(sandbox):
    headers = authorize(sandbox, state="x\r\nX-Evil: 1").headers
    assert "X-Evil" not in headers and headers["Location"].endswith("state=x%0D%0AX-Evil%3A+1")


# -- the token endpoint --


def test_every_answer_carries_a_request_id_and_every_error_repeats_it(sandbox):
    refused = send(sandbox, "POST", "/token", {"grant_type": "x"})
    assert refused.status_code == 400 and refused.json()["request_id"] == refused.headers["X-Request-Id"]
    ids = {send(sandbox, "GET", path).headers["X-Request-Id"] for path in ("/me", "/oauth/nowhere", "/sandbox/state")}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "content_type, body, described",
    [
        ("application/json", '{"grant_type": "refresh_token"}', "unsupported grant_type"),
        ("text/plain", "grant_type=refresh_token", "unsupported grant_type"),
        (None, "grant_type=refresh_token", "unsupported grant_type"),
        (FORM["Content-Type"], "", "unsupported grant_type"),
        (FORM["Content-Type"] + "; charset=utf-8", "grant_type=refresh_token", "token is empty"),
        (FORM["Content-Type"], "grant_type=refresh_token&grant_type=x", "repeated parameter"),
        (FORM["Content-Type"], "a=%ff", None),
        (FORM["Content-Type"], "&".join(f"p{n}=1" for n in range(200)), None),
    ],
)
def test_parameters_count_in_a_form_body_alone(sandbox, content_type, body, described):
    answer = send(sandbox, "POST", "/oauth/token?grant_type=refresh_token", body, **{"Content-Type": content_type})
    assert (answer.status_code, answer.json().get("error_description")) == (400, described)


# -- the API --


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nonsense", "Basic eDp5", "nonsense"])
def test_me_refuses_what_is_no_token(sandbox, authorization):
    answer = send(sandbox, "GET", "/me", Authorization=authorization)
    assert answer.status_code == 403 and answer.json()["errors"] == [{"type": "oauth", "value": "bad_authorization"}]


def test_a_users_valid_token_alone_can_be_invalidated_and_once(sandbox):
    def invalidate(access_token):
        answer = send(sandbox, "DELETE", "/oauth/token", Authorization=f"Bearer {access_token}")
        return answer.json()["errors"][0]["value"] if answer.content else answer.status_code

    expired = obtain_pair(sandbox)["access_token"]
    sandbox.provider.expire()
    valid = obtain_pair(sandbox)["access_token"]
    assert [invalidate(token) for token in (valid, valid, expired)] == [204, "token_revoked", "token_expired"]
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert invalidate(send(sandbox, "POST", "/token", form).json()["access_token"]) == "user_auth_expected"


@pytest.mark.parametrize(
    "method, path", [("POST", "/token"), ("GET", "/me"), ("PUT", "/resumes/1"), ("DELETE", "/oauth/token")]
)
@pytest.mark.parametrize(
    "headers, value",
    [
        ("", "unset"),
        ("User-Agent: \r\n", "unset"),
        ("User-Agent: python-requests/2.32.4\r\n", "blacklisted"),
        ("User-Agent: MyApp/1.0 (my-app-feedback@example.com)\r\n", "blacklisted"),
        ("User-Agent: App/1.0\r\nHH-User-Agent: python-requests/2\r\n", "blacklisted"),
        ("User-Agent: python-requests/2.32.4\r\nHH-User-Agent: App/1.0 (c@example.com)\r\n", None),
        ("HH-User-Agent: App/1.0 (c@example.com)\r\n", None),
    ],
)
def test_a_user_agent_is_wanted(sandbox, method, path, headers, value):
    answer = raw(sandbox, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
    problem = b'"errors": [{"type": "bad_user_agent", "value": "%s"}]' % (value or "").encode()
    assert (problem in answer and answer.startswith(b"HTTP/1.1 400 ")) if value else b"bad_user_agent" not in answer


# -- HTTP manners --


@pytest.mark.parametrize(
    "data, status",
    [
        (b"POST /token HTTP/1.1\r\nContent-Length: 9999999999999999\r\n\r\n", 413),
        (b"POST /token HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST /token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /token HTTP/1.1\r\nUser-Agent: a\r\n\r\nDELETE /oauth/token HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET http://[bad HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"<script> / HTTP/1.1\r\n\r\n", 501),
        (b"GET //evil.example/ HTTP/1.1\r\nUser-Agent: a\r\nConnection: close\r\n\r\n", 403),
        (b"GET /sandbox/nothing HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"PUT /token HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 405),
    ],
)
def test_bad_input_gets_one_small_answer_and_no_traceback(sandbox, capfd, data, status):
    answer = raw(sandbox, data)
    assert answer.startswith(b"HTTP/1.1 %d " % status) and len(answer) < 1000 and answer.count(b"HTTP/1.1") == 1
    assert b"<script" not in answer and capfd.readouterr().err == ""
    assert send(sandbox, "GET", "/sandbox/state").ok


@pytest.mark.parametrize("path, status", [("/oauth/authorize", 405), ("/oauth/nowhere", 404), ("http://[bad", 400)])
def test_head_never_gets_a_body(sandbox, path, status):
    answer = raw(sandbox, f"HEAD {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status) and answer.endswith(b"\r\n\r\n")
    assert (b"\r\nAllow: GET, POST\r\n" in answer) == (status == 405)


def test_a_204_says_no_length_and_the_connection_goes_on(sandbox):
    token = obtain_pair(sandbox)["access_token"]
    delete = f"DELETE /oauth/token HTTP/1.1\r\nUser-Agent: a\r\nAuthorization: Bearer {token}"
    answer = raw(sandbox, f"{delete}\r\n\r\n{delete}\r\nConnection: close\r\n\r\n".encode())
    first, second, _body = answer.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 204 ") and b"Content-Length" not in first
    assert second.startswith(b"HTTP/1.1 403 ")


# -- the access line --


def test_the_access_line_tells_the_outcome_and_no_secret(sandbox, lines):
    pair = obtain_pair(sandbox)
    send(sandbox, "POST", "/token", {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]})
    send(sandbox, "POST", "/token", {"grant_type": pair["access_token"], "code": pair["access_token"]})
    send(sandbox, "GET", "/" + pair["access_token"] + "?q=1")
    assert lines == [
        "sandbox: GET /oauth/authorize -> 302",
        "sandbox: POST /oauth/token authorization_code -> 200",
        "sandbox: POST /token refresh_token -> 400 invalid_grant (token not expired)",
        "sandbox: POST /token (other) -> 400 unsupported_grant_type (unsupported grant_type)",
        "sandbox: GET (another path) -> 403 oauth (bad_authorization)",
    ]


def test_a_defect_is_one_line_without_a_traceback(sandbox, lines, capfd, monkeypatch):
    monkeypatch.setattr(sandbox.provider, "token", lambda form: 1 / 0)
    with pytest.raises(requests.ConnectionError):
        send(sandbox, "POST", "/token", {"grant_type": "x"})
    assert lines[-1].startswith("defect: ZeroDivisionError in <lambda>, line ")
    assert capfd.readouterr().err == ""
