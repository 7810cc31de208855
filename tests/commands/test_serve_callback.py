"""``hhtoken serve-callback``: one browser comes back, strangers change nothing, the state comes first."""

import errno
import json
import os
import re
import signal
import socket
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from conftest import (
    AGENT,
    Operator,
    Reader,
    authorize,
    free_port,
    has_open,
    obtain_pair,
    token_requests,
    wait_for,
)
from rough_provider import answering

from hhtoken.authorization.browser_return import ReturnHandler
from hhtoken.console import signals
from hhtoken.errors import StorageError
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.sandbox.server import start
from hhtoken.settings.settings import Settings
from hhtoken.store.token_store import open_store

HTTPS = {"X-Forwarded-Proto": "https"}


def test_the_browser_comes_back_and_the_pair_is_stored(operator, listening):
    listener = listening()
    page = listener.get(**authorize(operator))
    assert page.status_code == 200 and "Authorized" in page.text
    assert listener.end() == 0
    assert listener.stdout == ""
    assert operator.run("show", "--field", "access_token").stdout.strip() == operator.stored()["access_token"]
    assert operator.files() == [".lock", "last-refresh.json", "pending.json", "token.json"]


def test_strangers_get_400_404_405_and_the_wait_goes_on(operator, sandbox, listening):
    listener = listening()
    fields = authorize(operator)
    right, code = fields["state"], fields["code"]
    wrong = [
        {},
        {"code": code},
        {"code": code, "state": "x" * 43},
        {"code": code, "state": right[:-1] + ("A" if right[-1] != "A" else "B")},
        {"code": [code, code], "state": right},
        {"error": "access_denied", "state": "x" * 43},
        {"state": right},
    ]
    for query in wrong:
        assert listener.get(**query).status_code == 400, query
    assert listener.get("/callback/", **fields).status_code == 404
    answer = listener.get(method="HEAD", **fields)
    assert answer.status_code == 405 and answer.headers["Allow"] == "GET"
    assert listener.get(headers={"Sec-Purpose": "prefetch"}, **fields).status_code == 204
    assert listener.get(headers={"Host": "evil.example"}, **fields).status_code == 421
    assert token_requests(sandbox) == 0
    assert listener.is_alive
    assert listener.get(**fields).status_code == 200
    assert listener.end() == 0
    assert token_requests(sandbox) == 1


def test_a_refused_code_keeps_the_pair_that_is_stored(operator, sandbox, listening):
    before = operator.store(obtain_pair(sandbox))
    listener = listening()
    fields = authorize(operator)
    sandbox.weather.add("code_expired")
    assert listener.get(**fields).status_code == 502
    assert listener.end() == 77
    assert operator.token_file.read_bytes() == before


def test_pkce_and_the_redirect_uri_are_the_same_in_both_steps(operator, listening, lonely):
    with answering(b"HTTP/1.1 400 no\r\nContent-Length: 0\r\n\r\n") as provider:
        listener = listening()
        operator.environment["HH_TOKEN_URL"] = provider.url
        address = operator.run("authorize-url", "--force-login", "--skip-choose-account", "--role", "applicant").stdout
        listener.process.kill(), listener.end()
        listener = listening()
        asked = {name: value for name, (value,) in parse_qs(urlsplit(address.strip()).query).items()}
        assert listener.get(code="CODE", state=asked["state"]).status_code == 502
        assert listener.end() == 75
        _head, form = provider.requests[0]
    assert asked["force_login"] == asked["skip_choose_account"] == "true" and asked["role"] == "applicant"
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert re.fullmatch("[A-Za-z0-9_-]{43,}", asked["state"])
    assert form["redirect_uri"] == [asked["redirect_uri"]] == [operator.environment["HH_REDIRECT_URI"]]
    assert form["grant_type"] == ["authorization_code"] and form["code"] == ["CODE"]
    assert sorted(form) == ["client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri"]
    from hhtoken.authorization.request import code_challenge

    assert code_challenge(form["code_verifier"][0]) == asked["code_challenge"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_wait_with_one_line_and_frees_the_port(listening, number):
    listener = listening()
    listener.process.send_signal(number)
    assert listener.end() == 128 + number
    assert "Traceback" not in listener.stderr.text
    socket.create_server(("127.0.0.1", listener.port)).close()


def test_a_signal_during_the_exchange_waits_until_the_pair_is_stored(operator, sandbox, listening):
    import threading

    listener = listening()
    fields = authorize(operator)
    sandbox.weather.add("slow")
    browser = threading.Thread(target=lambda: listener.get(**fields))
    browser.start()
    wait_for(lambda: "journal" in operator.files())
    listener.process.send_signal(signal.SIGTERM)
    assert listener.end() == 0
    browser.join()
    assert operator.run("show", "--field", "access_token").stdout


def test_a_signal_while_a_return_waits_for_the_lock_ends_the_listener(operator, listening):
    import threading

    listener = listening()
    fields = authorize(operator)

    def browse():
        try:
            listener.get(**fields)
        except requests.RequestException:
            pass  # the listener went away

    with open_store(str(operator.state)).lock():
        browser = threading.Thread(target=browse)
        browser.start()
        wait_for(lambda: has_open(listener.process, operator.state / ".lock"))
        listener.process.send_signal(signal.SIGTERM)
        assert listener.end() == 143
    browser.join()
    operator.run("authorize-url")


def test_the_whole_cycle_of_a_newcomer(tmp_path):
    port = free_port()
    with start(auto="allow", redirect_uri=f"http://127.0.0.1:{port}/callback") as sandbox:
        operator = Operator(tmp_path / "state", sandbox.environment())
        process = operator.start("serve-callback")  # listens where the redirect URI says
        stderr = Reader(process.stderr)
        wait_for(lambda: "waiting" in stderr.text)
        assert f"127.0.0.1:{port}/callback" in stderr.text
        page = requests.get(operator.run("authorize-url").stdout.strip(), headers=AGENT, timeout=10)
        assert page.status_code == 200
        assert process.wait(10) == 0
        process.stdout.close(), stderr.join(5), process.stderr.close()
        first = operator.run("show", "--field", "access_token").stdout.strip()
        operator.run("refresh")
        assert operator.stored()["access_token"] == first, "nothing was due yet"
        sandbox.provider.expire()
        operator.store(operator.stored())
        operator.run("show", "--field", "access_token", expect=69)
        second = operator.run("show", "--refresh", "--field", "access_token").stdout.strip()
        assert second != first
        me = requests.get(sandbox.url + "/me", headers={**AGENT, "Authorization": f"Bearer {second}"}, timeout=10)
        assert me.status_code == 200
        assert json.loads(operator.run("status", "--json").stdout)["state"] == "valid"


def test_a_return_that_cannot_be_dealt_with_just_now_may_be_reloaded(operator, listening):
    listener = listening()
    fields = authorize(operator)
    pending, lock = operator.state / "pending.json", operator.state / ".lock"
    entries = pending.read_bytes()
    pending.write_bytes(b"{damaged")
    assert listener.get(**fields).status_code == 503
    pending.write_bytes(entries)
    lock.unlink()
    lock.mkdir()
    assert listener.get(**fields).status_code == 503
    lock.rmdir()
    assert listener.get(**fields).status_code == 200
    assert listener.end() == 0
    assert "pending.json is damaged" in listener.stderr.text and "cannot open" in listener.stderr.text


@pytest.fixture
def arrival(operator, sandbox):
    """The end of an authorization inside this process, and the query that the browser brings."""
    fields = authorize(operator)
    settings = Settings(operator.environment)
    application = settings.client_id(), settings.client_secret()
    made = ReturnHandler(open_store(str(operator.state)), application, token_endpoint_of(settings))
    return made, f"code={fields['code']}&state={fields['state']}"


def test_a_signal_while_the_disk_refuses_the_journal_ends_the_wait_for_a_reload(
    operator, sandbox, arrival, monkeypatch
):
    arrival, query = arrival

    def refuse(*_given):
        os.kill(os.getpid(), signal.SIGTERM)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(signals, "_noted", False)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    reply = arrival.by_browser(query)
    assert (reply.page, reply.is_final) == ("try_later", True)
    assert isinstance(arrival.failure, StorageError)
    monkeypatch.undo()
    operator.run("exchange", input=query)


def test_a_listener_that_other_machines_can_reach_is_warned_of(operator):
    run = operator.run("serve-callback", "--listen", f"0.0.0.0:{free_port()}", "--timeout", "1", expect=75)
    assert "warning: 0.0.0.0 can be reached from other machines" in run.stderr
