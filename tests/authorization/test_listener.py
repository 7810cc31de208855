"""The listener by itself: real sockets, and a function that says what a return leads to."""

import contextlib
import errno
import os
import resource
import socket
import threading
import time

import pytest
from conftest import wait_for
from rough_provider import reset

from hhtoken.authorization import listener as callback_listener
from hhtoken.authorization import pages
from hhtoken.authorization.callback_rules import CallbackRules
from hhtoken.authorization.listener import CallbackServer
from hhtoken.authorization.port import BACKLOG, open_listeners
from hhtoken.console.language import translated_into
from hhtoken.errors import ConfigError

RETURN = b"GET /callback?code=C HTTP/1.0\r\n\r\n"
ELSEWHERE = b"GET /favicon.ico HTTP/1.0\r\n\r\n"
DONE, GO_ON, REFUSED = (
    (pages.AUTHORIZED, True),
    (pages.TRY_LATER, False),
    (pages.REFUSED, False),
)


class Listener(socket.socket):
    """A listening socket that tells when it has no descriptor for a client."""

    def __init__(self, **how):
        super().__init__(**how)
        self.is_out = threading.Event()
        self.times_out = 0

    def accept(self):
        try:
            return super().accept()
        except OSError as error:
            if error.errno == errno.EMFILE:
                self.times_out += 1
                self.is_out.set()
            raise


class Running:
    """A CallbackServer whose main thread is one of the test's; its clients, ``crowd`` of whom are there before it."""

    def __init__(self, handle_return, crowd=0, redirect_uri="http://127.0.0.1/callback"):
        plain = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.listener = Listener(fileno=plain.detach())
        self.server = CallbackServer([self.listener], CallbackRules(redirect_uri), handle_return)
        self.server.addresses["/ticket"] = "https://hh.example.org/oauth/authorize?state=S"
        self.thread = threading.Thread(target=self.server.serve, args=(60, lambda left: left), daemon=True)
        self._clients = [self.listener]
        self.crowd = [self.client() for _ in range(crowd)]
        self.thread.start()

    def client(self, request=b""):
        self._clients.append(socket.create_connection(self.listener.getsockname(), timeout=10))
        self._clients[-1].sendall(request)
        return self._clients[-1]

    def get(self, request=RETURN):
        return told(self.client(request))

    def whole_answer(self, request):
        client, answer = self.client(request), b""
        while piece := client.recv(65536):
            answer += piece
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, "a reset may cost a browser its page"
        client.close()
        return answer

    def end(self):
        self.server.rules = CallbackRules("http://127.0.0.1/the-end")
        self.server._handle_return = lambda _query: DONE
        while self.thread.is_alive():
            with contextlib.suppress(OSError):
                self.get(b"GET /the-end HTTP/1.0\r\n\r\n")
            for client in self._clients[1:]:
                client.close()
            self.thread.join(0.1)
        self.listener.close()


def told(client):
    """Return the status that a client is answered with; 0 where its connection was closed without an answer."""
    try:
        answer = client.recv(65536)
    except ConnectionResetError:
        return 0
    return int(answer.split(b" ")[1]) if answer else 0


@pytest.fixture
def serving():
    started = []

    def serve(handle_return=lambda _query: DONE, **how):
        started.append(Running(handle_return, **how))
        return started[-1]

    yield serve
    for running in started:
        running.end()


# -- what is refused --


@pytest.fixture(scope="module")
def strict():
    """A listener that lets through to ``queries``, and says 503 of it."""
    queries = []
    running = Running(lambda query: queries.append(query) or GO_ON)
    running.queries = queries
    yield running
    running.end()


def request(line="GET /callback?code=C HTTP/1.1", *headers, host="Host: 127.0.0.1"):
    return "\r\n".join((line, host, *headers, "", "")).encode("latin-1")


def check_refused(running, data, status):
    """It is answered with our page, the same whatever came, and nobody dealt with it."""
    running.queries.clear()
    assert running.whole_answer(data) == pages.response(status, "en", translated_into)
    assert running.queries == []


@pytest.mark.parametrize(
    "line", ["", "GET", " GET / HTTP/1.1", "GET / HTTP/2.0", "GET /call back HTTP/1.1", "G3T / HTTP/1.1"]
)
def test_what_is_no_request_of_http_1_gets_400(strict, line):
    check_refused(strict, request(line), 400)
    check_refused(strict, f"{line}\n\n".encode("latin-1"), 400)


@pytest.mark.parametrize("method", "HEAD OPTIONS POST PUT DELETE TRACE CONNECT PRI get X GETS".split())
@pytest.mark.parametrize("path", ["/callback?code=C", "/elsewhere", "/ticket"])
def test_no_method_but_get_touches_anything(strict, method, path):
    check_refused(strict, request(f"{method} {path} HTTP/1.1"), 405)
    assert "/ticket" in strict.server.addresses


@pytest.mark.parametrize(
    "data, status",
    [
        (request("GET //callback?code=C HTTP/1.1"), 404),
        (request("GET //ticket HTTP/1.1"), 404),
        (request("GET /callback HTTP/1.1", " folded: x"), 400),
        (request("GET /callback HTTP/1.1", "Content-Length: 5") + b"hello", 400),
        (request(host="Host: evil.example"), 421),
        (request("GET /callback HTTP/1.1", "Host: evil.example"), 421),
        (b"x" * 1_000_000, 414),
        (request("GET /callback HTTP/1.1", *["A: b"] * 50), 431),
        (request("GET /callback HTTP/1.1", "A: " + "b" * 1_000_000), 431),
    ],
    ids=range(9),
)
def test_what_is_no_return_is_refused_with_a_page_of_ours(strict, data, status):
    check_refused(strict, data, status)


@pytest.mark.parametrize(
    "header",
    [
        "Sec-Purpose: prefetch",
        "Sec-Purpose: prefetch;prerender",
        "sec-purpose:Prefetch; anonymous-client-ip",
        "Purpose: prefetch",
        "Purpose: preview",
        "X-Moz: prefetch",
        "X-Purpose: preview",
        "X-Purpose: instant",
    ],
)
def test_a_prefetch_gets_204_and_uses_nothing_up(strict, header):
    strict.queries.clear()
    for path in ("/callback?code=C", "/ticket"):
        assert strict.whole_answer(request(f"GET {path} HTTP/1.1", header)) == pages.NO_CONTENT
    assert strict.queries == [] and "/ticket" in strict.server.addresses


@pytest.mark.parametrize("header", ["Purpose: work", "Sec-Purpose:", "X-Purpose: prefetcher", "X-Other: prefetch"])
def test_any_other_purpose_is_a_visit(strict, header):
    assert strict.whole_answer(request("GET /callback?code=C HTTP/1.1", header)).startswith(b"HTTP/1.0 503 ")


@pytest.mark.parametrize(
    "data",
    [
        request(),
        request("GET /callback?code=C HTTP/1.0"),
        request().replace(b"\r\n", b"\n"),
        request("GET /callback?code=C HTTP/1.1", "Connection: keep-alive", "Expect: 100-continue", "Content-Length: 0"),
        request("GET /callback?code=C HTTP/1.1", *["A: b"] * 49) + b"x" * 1_000_000,
    ],
    ids=range(5),
)
def test_a_return_comes_through_and_is_answered_once(strict, data):
    strict.queries.clear()
    assert strict.whole_answer(data) == pages.response(pages.TRY_LATER, "en", translated_into)
    assert strict.queries == ["code=C"]


def test_the_page_is_in_the_browsers_language(strict):
    for line, page in (("GET /callback HTTP/1.1", pages.TRY_LATER), ("GET / HTTP/1.1", 404)):
        asked = request(line, "Accept-Language: ru,en;q=0.5")
        assert strict.whole_answer(asked) == pages.response(page, "ru", translated_into)


# -- who is slow, gone, or one of many --


@pytest.mark.parametrize("said", [b"", b"GET /callback?code=C HTTP/1.1\r\nHo"])
def test_a_silent_client_is_let_go_without_an_answer(serving, monkeypatch, said):
    running = serving()
    assert running.server.RequestHandlerClass.timeout == callback_listener.READ_SECONDS
    monkeypatch.setattr(running.server.RequestHandlerClass, "timeout", 0.1)
    assert told(running.client(said)) == 0
    assert running.thread.is_alive()


def test_a_client_that_drips_is_cut_off(serving, monkeypatch):
    monkeypatch.setattr(callback_listener, "CONNECTION_SECONDS", 0.3)
    running = serving()
    client, began = running.client(), time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - began < 10:
            client.sendall(b"G")
            time.sleep(0.02)
    assert 0.3 <= time.monotonic() - began < 10


def test_a_stranger_that_resets_its_connection_changes_nothing(serving, capfd):
    running = serving()
    client = running.client(b"GET /callb")
    reset(client)
    client.close()
    assert running.get() == 200
    assert "defect" not in capfd.readouterr().err


def test_a_browser_that_is_gone_before_its_page_does_not_stop_the_listener(serving):
    def handle(_query):
        if first.fileno() >= 0:
            reset(first)
            first.close()
            return GO_ON
        return DONE

    running = serving(handle)
    first = running.client()
    first.sendall(RETURN)
    wait_for(lambda: first.fileno() < 0)
    assert running.get() == 200


def test_the_first_visitor_with_the_ticket_is_sent_on_and_for_the_next_it_is_not_there(serving):
    running = serving()
    head = running.whole_answer(b"GET /ticket HTTP/1.0\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 302 Found\r\nLocation: https://hh.example.org/oauth/authorize?state=S\r\n")
    assert b"Cache-Control: no-store" in head and head.endswith(b"Content-Length: 0\r\n\r\n")
    assert running.get(b"GET /ticket HTTP/1.0\r\n\r\n") == 404


def test_a_second_tab_sees_the_same_page_and_any_other_return_is_refused(serving):
    asked = []
    running = serving(lambda query: asked.append(query) or DONE)
    hanging = running.client(b"GET /")  # so the listener does not end at once
    other = b"GET /callback?code=D HTTP/1.0\r\n\r\n"
    assert [running.get(), running.get(), running.get(other)] == [200, 200, 400]
    assert asked == ["code=C"]
    hanging.close()


def test_strangers_fill_no_log(serving, capfd):
    running = serving(lambda _query: REFUSED)
    asked = [ELSEWHERE, RETURN, b"junk\n\n", b"POST / HTTP/1.0\r\n\r\n"]
    assert [running.get(one) for one in asked * 5] == [404, 400, 400, 405] * 5
    running.end()
    lines = capfd.readouterr().err.splitlines()
    told = [int(line.split("ignored ")[1].split(" ")[0]) for line in lines]
    assert len(lines) == 2 and sum(told) == 20, lines


def test_a_defect_is_told_of_and_the_wait_goes_on(serving, capfd):
    running = serving()
    rules, running.server.rules = running.server.rules, None
    assert running.get() == 0
    running.server.rules = rules
    assert running.get() == 200
    assert "a defect of hhtoken: AttributeError" in capfd.readouterr().err


@pytest.fixture
def descriptors():
    """A function that limits the descriptors of this process to so many more than are open, or to no limit of ours."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling = []

    def limit(more):
        highest = max(map(int, os.listdir("/proc/self/fd")))
        while (new := os.dup(0)) < highest:  # close the gaps below
            filling.append(new)
        os.close(new)
        resource.setrlimit(resource.RLIMIT_NOFILE, (new + more, before[1]))

    limit.lift = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, before)
    yield limit
    limit.lift()
    for descriptor in filling:
        os.close(descriptor)


def test_without_descriptors_the_oldest_client_makes_room(serving, descriptors, monkeypatch):
    running = serving()
    monkeypatch.setattr(running.server.RequestHandlerClass, "timeout", 60)
    oldest, newest = running.client(b"GET"), running.client(b"GET")
    wait_for(lambda: len(running.server.connections) == 2)
    descriptors(more=1)
    assert running.get(ELSEWHERE) == 404
    assert told(oldest) == 0
    newest.sendall(b" / HTTP/1.0\r\n\r\n")
    assert told(newest) == 404


def test_without_descriptors_and_clients_the_browser_is_served_as_soon_as_there_are_any(serving, descriptors):
    running = serving()
    client = socket.socket()
    descriptors(more=0)
    client.connect(running.listener.getsockname())
    client.sendall(RETURN)
    assert running.listener.is_out.wait(10)
    began, before = time.monotonic(), running.listener.times_out
    time.sleep(0.5)
    tries, seconds = running.listener.times_out - before, time.monotonic() - began
    assert tries <= seconds / callback_listener.NO_ROOM_PAUSE_SECONDS + 1, "it spins"
    descriptors.lift()
    with client:
        assert told(client) == 200


def test_a_browser_whose_return_is_being_dealt_with_makes_no_room(serving, monkeypatch):
    def handle(_query):
        newcomers.extend(running.client() for _ in range(5))
        for _newcomer in newcomers:
            running.server.handle_request()
        return DONE

    newcomers = []
    monkeypatch.setattr(callback_listener, "MOST_CONNECTIONS", 2)
    running = serving(handle)
    assert running.get() == 200
    assert [told(client) for client in newcomers[:4]] == [0] * 4


def test_a_crowd_that_fills_the_queue_is_served_to_the_last(serving):
    running = serving(crowd=BACKLOG)
    for client in running.crowd:
        client.sendall(ELSEWHERE)
    assert {told(client) for client in running.crowd} == {404}
    assert running.get() == 200


# -- the port --


def test_an_address_of_another_machine_is_said_to_be_that():
    with pytest.raises(ConfigError, match="cannot listen on 192.0.2.1 port 8000: cannot assign requested address"):
        open_listeners("192.0.2.1:8000", "https://hh.example.org/callback")


def test_behind_nginx_the_listener_waits_on_loopback_port_8000():
    try:
        [listener] = open_listeners(None, "https://hh.example.org/callback")
    except ConfigError as taken:
        assert "cannot listen on 127.0.0.1 port 8000" in taken.message
        return
    with listener:
        assert listener.getsockname() == ("127.0.0.1", 8000)


@pytest.mark.parametrize(
    "uri, port", [("http://127.0.0.1:81/c", 81), ("http://127.0.0.1/c", 80), ("https://h.example/c", 0)]
)
def test_a_port_that_the_redirect_uri_does_not_name_is_warned_of_unless_nginx_may_bring_it(capfd, uri, port):
    [listener] = open_listeners("127.0.0.1:0", uri)
    listener.close()
    said = capfd.readouterr().err
    assert f"warning: the redirect URI sends the browser to port {port}, and not to" in said if port else said == ""


@pytest.mark.parametrize("chosen, which", [("[::1]:0", 0), ("localhost:0", 0), ("LOCALHOST:0", 1)])
def test_a_browser_of_either_family_is_served(chosen, which):
    listeners = open_listeners(chosen, "https://hh.example.org/callback")
    assert len({listener.getsockname()[1] for listener in listeners}) == 1
    server = CallbackServer(listeners, CallbackRules("http://localhost/callback"), lambda _query: DONE)
    with socket.create_connection(listeners[which].getsockname()[:2], timeout=10) as browser:
        browser.sendall(RETURN)
        assert server.serve(10, lambda left: left)
        assert told(browser) == 200
