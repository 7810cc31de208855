"""The sandbox's addresses over real sockets: authorize page, token, /me, invalidation, user agents, HTTP manners."""

import http.client
import json
import re
import socket
import threading
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from hhtoken.sandbox.server import start
from hhtoken.sandbox.settings import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI

AGENT = {"User-Agent": "App/1.0 (contact@example.com)"}
FORM = {**AGENT, "Content-Type": "application/x-www-form-urlencoded"}
CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


class Client:
    """A sandbox and the plainest of clients for it."""

    def __init__(self, **changes):
        self.lines = []
        self.sandbox = start(log=self.lines.append, **changes)

    def send(self, method, path, body=None, headers=AGENT):
        host, port = urlsplit(self.sandbox.url).netloc.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def token(self, path="/oauth/token", headers=FORM, **form):
        status, headers, body = self.send("POST", path, urlencode(form), headers)
        return status, json.loads(body)

    def authorize(self, **query):
        query = {"response_type": "code", "client_id": CLIENT_ID, **query}
        return self.send("GET", "/oauth/authorize?" + urlencode(query))

    def pair(self):
        code = dict(parse_qsl(urlsplit(self.authorize()[1]["Location"]).query))["code"]
        return self.token(grant_type="authorization_code", code=code, **CLIENT)[1]

    def me(self, access_token, method="GET", path="/me"):
        status, _headers, body = self.send(method, path, headers={**AGENT, "Authorization": f"Bearer {access_token}"})
        return status, json.loads(body) if body else None

    def raw(self, data):
        """Send bytes and return all that comes back until the end of the connection."""
        host, port = urlsplit(self.sandbox.url).netloc.split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def client():
    client = Client(auto="allow")
    with client.sandbox:
        yield client


@pytest.fixture
def asking():
    client = Client()
    with client.sandbox:
        yield client


# -- the authorize page --


def ticket_of(page):
    return re.search(r'name="ticket" value="([^"]+)"', page)[1]


def answer_page(asking, ticket, answer):
    return asking.send("POST", "/oauth/authorize", urlencode({"ticket": ticket, "answer": answer}), FORM)


@pytest.mark.parametrize("answer, back", [("allow", r"code=[0-9A-F]{64}"), ("deny", "error=access_denied")])
def test_the_user_is_asked_once_and_sent_back_with_the_answer(asking, answer, back):
    status, headers, page = asking.authorize(state="st")
    assert status == 200 and headers["Cache-Control"] == "no-store"
    status, headers, _body = answer_page(asking, ticket_of(page), answer)
    assert status == 302 and re.fullmatch(re.escape(REDIRECT_URI) + rf"\?{back}&state=st", headers["Location"])
    assert answer_page(asking, ticket_of(page), answer)[0] == 400


@pytest.mark.parametrize("form", [{"answer": "allow"}, {"ticket": "x", "answer": "allow"}, {"ticket": "x"}, {}])
def test_no_code_without_a_ticket_and_an_answer(asking, form):
    status, headers, _body = asking.send("POST", "/oauth/authorize", urlencode(form), FORM)
    assert status == 400 and "Location" not in headers


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
    headers = {**AGENT, **({"Accept-Language": accept} if accept else {})}
    page = asking.send("GET", f"/oauth/authorize?response_type=code&client_id={CLIENT_ID}", headers=headers)[2]
    assert f">{word}</button>" in page


@pytest.mark.parametrize(
    "query",
    [
        {"client_id": "<script>other"},
        {"redirect_uri": "http://evil.example/<script>"},
        {"redirect_uri": "\r\nX: y"},
    ],
)
def test_a_trap_gets_a_page_that_repeats_nothing(client, query):
    status, headers, page = client.authorize(**query)
    assert status == 400 and "Location" not in headers
    assert "script" not in page and "evil" not in page and "X" not in headers


def test_a_repeated_parameter_gets_a_page(client):
    path = f"/oauth/authorize?response_type=code&client_id={CLIENT_ID}&state=a&state=b"
    assert client.send("GET", path)[0] == 400


def test_the_page_escapes_the_request_runs_no_script_and_cannot_be_framed(asking):
    _status, headers, page = asking.authorize(redirect_uri=REDIRECT_URI + "?a='b'&c=1")
    assert "a=&#x27;b&#x27;&amp;c=1" in page
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy


def test_a_header_cannot_be_smuggled_through_the_state(client):
    _status, headers, _body = client.authorize(state="x\r\nX-Evil: 1")
    assert "X-Evil" not in headers and headers["Location"].endswith("state=x%0D%0AX-Evil%3A+1")


# -- the token endpoint --


def test_every_answer_carries_a_request_id_and_every_error_repeats_it(client):
    status, headers, body = client.send("POST", "/token", "grant_type=x", FORM)
    assert status == 400 and json.loads(body)["request_id"] == headers["X-Request-Id"]
    ids = {client.send("GET", path)[1]["X-Request-Id"] for path in ("/me", "/oauth/nowhere", "/sandbox/state")}
    assert len(ids) == 3 and None not in ids


@pytest.mark.parametrize(
    "headers, body",
    [
        ({**AGENT, "Content-Type": "application/json"}, '{"grant_type": "refresh_token"}'),
        ({**AGENT, "Content-Type": "text/plain"}, "grant_type=refresh_token"),
        (AGENT, "grant_type=refresh_token"),
        (FORM, ""),
    ],
)
def test_parameters_outside_the_form_body_are_not_seen(client, headers, body):
    status, _headers, text = client.send("POST", "/oauth/token?grant_type=refresh_token", body, headers)
    assert (status, json.loads(text)["error"]) == (400, "unsupported_grant_type")


def test_a_repeated_parameter_is_refused(client):
    status, _headers, text = client.send("POST", "/token", "grant_type=refresh_token&grant_type=x", FORM)
    assert (status, json.loads(text)["error_description"]) == (400, "repeated parameter")


def test_a_form_with_a_charset_is_a_form(client):
    headers = {**AGENT, "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert client.token(headers=headers, grant_type="refresh_token")[1]["error_description"] == "token is empty"


@pytest.mark.parametrize("body", ["a=%ff", "&".join(f"p{n}=1" for n in range(200))])
def test_a_form_that_is_none_gets_400(client, body):
    assert client.send("POST", "/token", body, FORM)[0] == 400


# -- the API --


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nonsense", "Basic eDp5", "nonsense"])
def test_me_refuses_what_is_no_token(client, authorization):
    headers = {**AGENT, **({} if authorization is None else {"Authorization": authorization})}
    status, _headers, body = client.send("GET", "/me", headers=headers)
    assert (status, json.loads(body)["errors"]) == (403, [{"type": "oauth", "value": "bad_authorization"}])


def test_a_users_valid_token_alone_can_be_invalidated_and_once(client):
    def refused(access_token):
        return client.me(access_token, "DELETE", "/oauth/token")[1]["errors"][0]["value"]

    expired = client.pair()["access_token"]
    client.sandbox.provider.expire()
    valid = client.pair()["access_token"]
    assert client.me(valid, "DELETE", "/oauth/token") == (204, None)
    assert (refused(valid), refused(expired)) == ("token_revoked", "token_expired")
    of_application = client.token(grant_type="client_credentials", **CLIENT)[1]["access_token"]
    assert refused(of_application) == "user_auth_expected"


@pytest.mark.parametrize(
    "method, path", [("POST", "/token"), ("GET", "/me"), ("PUT", "/resumes/1"), ("DELETE", "/oauth/token")]
)
@pytest.mark.parametrize(
    "headers, value",
    [
        ({}, "unset"),
        ({"User-Agent": " "}, "unset"),
        ({"User-Agent": "python-requests/2.32.4"}, "blacklisted"),
        ({"User-Agent": "MyApp/1.0 (my-app-feedback@example.com)"}, "blacklisted"),
        ({"User-Agent": "App/1.0", "HH-User-Agent": "python-requests/2"}, "blacklisted"),
        ({"User-Agent": "python-requests/2.32.4", "HH-User-Agent": "App/1.0 (c@example.com)"}, None),
        ({"HH-User-Agent": "App/1.0 (c@example.com)"}, None),
    ],
)
def test_a_user_agent_is_wanted(client, method, path, headers, value):
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    data = client.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
    document = json.loads(data.partition(b"\r\n\r\n")[2])
    problem = [{"type": "bad_user_agent", "value": value}]
    assert (document.get("errors") == problem) if value else (document.get("errors") != problem)
    assert not value or data.startswith(b"HTTP/1.1 400 ")


# -- HTTP manners --


@pytest.mark.parametrize(
    "data, status",
    [
        (b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999\r\n\r\n", 413),
        (b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET http://[bad HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"<script> / HTTP/1.1\r\n\r\n", 501),
        (b"GET //evil.example/ HTTP/1.1\r\nUser-Agent: a\r\nConnection: close\r\n\r\n", 403),
        (b"GET /%2e%2e/etc/passwd HTTP/1.1\r\nUser-Agent: a\r\nConnection: close\r\n\r\n", 403),
        (b"GET /sandbox/nothing HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"PUT /token HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 405),
        (b"DELETE /token HTTP/1.1\r\nConnection: close\r\n\r\n", 405),
    ],
)
def test_bad_input_gets_a_small_answer_and_no_traceback(client, capfd, data, status):
    answer = client.raw(data)
    assert answer.startswith(b"HTTP/1.1 %d " % status) and len(answer) < 1000
    assert b"<script" not in answer
    assert capfd.readouterr().err == ""
    assert client.send("GET", "/sandbox/state")[0] == 200


def test_a_body_that_ends_early_gets_400(client):
    host, port = urlsplit(client.sandbox.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /token HTTP/1.1\r\nContent-Length: 50\r\n\r\ngrant_type=x")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_body_without_length_is_not_taken_for_a_request(client):
    answer = client.raw(b"POST /token HTTP/1.1\r\nUser-Agent: a\r\n\r\nDELETE /oauth/token HTTP/1.1\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1 and b"unsupported_grant_type" in answer
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize(
    "path, status", [("/oauth/authorize", 405), ("/oauth/nowhere", 404), ("/nowhere", 400), ("http://[bad", 400)]
)
def test_head_never_gets_a_body(client, path, status):
    answer = client.raw(f"HEAD {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status) and answer.endswith(b"\r\n\r\n")
    assert (b"\r\nAllow: GET, POST\r\n" in answer) == (status == 405)


def test_a_204_says_no_length_and_the_connection_goes_on(client):
    delete = f"DELETE /oauth/token HTTP/1.1\r\nUser-Agent: a\r\nAuthorization: Bearer {client.pair()['access_token']}"
    answer = client.raw(f"{delete}\r\n\r\n{delete}\r\nConnection: close\r\n\r\n".encode())
    first, second, _body = answer.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 204 ") and b"Content-Length" not in first
    assert second.startswith(b"HTTP/1.1 403 ")


def test_two_hundred_connections_at_once_are_served(client):
    host, port = urlsplit(client.sandbox.url).netloc.split(":")
    idle = [socket.create_connection((host, int(port)), timeout=5) for _ in range(200)]
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(client.send("GET", "/me")[0])) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in idle:
        connection.close()
    assert statuses == [403] * 200


# -- the access line --


def test_the_access_line_tells_the_outcome_and_no_secret(client):
    pair = client.pair()
    client.token(grant_type="refresh_token", refresh_token=pair["refresh_token"])
    client.token(grant_type=pair["access_token"], code=pair["access_token"])
    client.send("GET", "/" + pair["access_token"] + "?q=1")
    assert client.lines == [
        "sandbox: GET /oauth/authorize -> 302",
        "sandbox: POST /oauth/token authorization_code -> 200",
        "sandbox: POST /oauth/token refresh_token -> 400 invalid_grant (token not expired)",
        "sandbox: POST /oauth/token (other) -> 400 unsupported_grant_type (unsupported grant_type)",
        "sandbox: GET (another path) -> 403 oauth (bad_authorization)",
    ]


def test_a_defect_is_one_line_without_a_traceback(client, capfd, monkeypatch):
    monkeypatch.setattr(client.sandbox.provider, "token", lambda form: 1 / 0)
    with pytest.raises((http.client.HTTPException, OSError)):
        client.token(grant_type="x")
    assert client.lines[-1].startswith("defect: ZeroDivisionError in <lambda>, line ")
    assert capfd.readouterr().err == ""
