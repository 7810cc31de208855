"""The listener by itself: real sockets, and a handler that says what a return leads to."""

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

from hhtoken import callback_page, callback_server, listening
from hhtoken.callback_rules import CallbackRules
from hhtoken.callback_server import CallbackServer, Reply
from hhtoken.errors import ConfigError

RETURN = b"GET /callback?code=C HTTP/1.0\r\n\r\n"
ELSEWHERE = b"GET /favicon.ico HTTP/1.0\r\n\r\n"


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
    """A CallbackServer in a thread; its clients, ``crowd`` of whom are there before it."""

    def __init__(self, handle_return, crowd):
        self.listener = Listener(fileno=callback_server.listen("127.0.0.1", 0).detach())
        server = CallbackServer(self.listener, CallbackRules("http://127.0.0.1/callback"), handle_return)
        server.send_on("/ticket", "https://hh.example.org/oauth/authorize?state=S")
        self.thread = threading.Thread(target=server.serve, args=(20, lambda left: left), daemon=True)
        self._clients = [self.listener]
        self.crowd = [self.client() for _ in range(crowd)]
        self.thread.start()

    def client(self):
        self._clients.append(socket.create_connection(self.listener.getsockname(), timeout=10))
        return self._clients[-1]

    def get(self, request=RETURN):
        client = self.client()
        client.sendall(request)
        return told(client)

    def close(self):
        for client in self._clients:
            client.close()


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

    def serve(handle_return=lambda _query: Reply(callback_page.AUTHORIZED, is_final=True), crowd=0):
        started.append(Running(handle_return, crowd))
        return started[-1]

    yield serve
    for running in started:
        while running.thread.is_alive():
            with (
                contextlib.suppress(OSError),
                running.client() as last,
            ):  # it may be past its farewell, and end by itself
                last.settimeout(0.5)
                last.sendall(RETURN)  # which ends the wait
                last.recv(1)
        running.thread.join(10)
        running.close()
        assert not running.thread.is_alive()


def test_a_stranger_that_resets_its_connection_changes_nothing(serving):
    running = serving()
    client = running.client()
    client.sendall(b"GET /callb")
    reset(client)
    client.close()
    assert running.get() == 200


def test_a_browser_that_is_gone_before_its_page_does_not_stop_the_listener(serving):
    def handle(_query):
        if first.fileno() >= 0:
            reset(first)
            first.close()
            return Reply(callback_page.TRY_LATER)
        return Reply(callback_page.AUTHORIZED, is_final=True)

    running = serving(handle)
    first = running.client()
    first.sendall(RETURN)
    wait_for(lambda: first.fileno() < 0)
    assert running.get() == 200


def test_what_a_client_says_behind_its_request_is_not_read(serving):
    running = serving()
    client = running.client()
    client.sendall(ELSEWHERE)
    assert told(client) == 404
    client.sendall(RETURN)
    assert client.recv(1) == b""
    assert running.thread.is_alive()


def test_the_first_visitor_with_the_ticket_is_sent_on_and_for_the_next_it_is_not_there(serving):
    running = serving()
    client = running.client()
    client.sendall(b"GET /ticket HTTP/1.0\r\n\r\n")
    head = client.recv(65536)
    assert head.startswith(b"HTTP/1.0 302 Found\r\nLocation: https://hh.example.org/oauth/authorize?state=S\r\n")
    assert b"Cache-Control: no-store" in head and head.endswith(b"Content-Length: 0\r\n\r\n")
    assert running.get(b"GET /ticket HTTP/1.0\r\n\r\n") == 404


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


def test_without_descriptors_the_oldest_client_makes_room(serving, descriptors):
    running = serving()
    oldest, newest = running.client(), running.client()
    oldest.sendall(b"GET")
    newest.sendall(ELSEWHERE)
    assert told(newest) == 404, "both are accepted by now"
    descriptors(more=1)
    assert running.get(ELSEWHERE) == 404
    assert told(oldest) == 0


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
    assert tries <= seconds / callback_server.NO_ROOM_PAUSE_SECONDS + 1, "it spins"
    descriptors.lift()
    with client:
        assert told(client) == 200


def test_the_oldest_client_makes_room_even_where_it_speaks_at_that_very_moment(serving, monkeypatch):
    is_asked, may_go_on = threading.Event(), threading.Event()

    def handle(_query):
        if is_asked.is_set():
            return Reply(callback_page.AUTHORIZED, is_final=True)
        is_asked.set()
        may_go_on.wait(10)
        return Reply(callback_page.REFUSED)

    monkeypatch.setattr(callback_server, "MOST_CONNECTIONS", 2)
    running = serving(handle)
    oldest, asking = running.client(), running.client()
    asking.sendall(RETURN)
    assert is_asked.wait(10)
    newcomer = running.client()
    newcomer.sendall(ELSEWHERE)
    oldest.sendall(b"GET /")
    may_go_on.set()
    assert [told(client) for client in (asking, newcomer, oldest)] == [400, 404, 0]


def test_a_crowd_that_fills_the_queue_is_served_to_the_last(serving):
    running = serving(crowd=callback_server.BACKLOG)
    for client in running.crowd:
        client.sendall(ELSEWHERE)
    assert {told(client) for client in running.crowd} == {404}
    assert running.get() == 200


def test_an_address_of_another_machine_is_said_to_be_that():
    with pytest.raises(ConfigError, match="cannot listen on 192.0.2.1 port 8000: cannot assign requested address"):
        callback_server.listen("192.0.2.1", 8000)


def test_behind_nginx_the_listener_waits_on_loopback_port_8000():
    try:
        with listening.open_listener(None, "https://hh.example.org/callback") as listener:
            assert listener.getsockname() == ("127.0.0.1", 8000)
    except ConfigError as taken:
        assert "cannot listen on 127.0.0.1 port 8000" in taken.message
