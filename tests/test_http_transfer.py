"""One request under one deadline: what counts as not sent, and that nothing counts which comes too late."""

import contextlib
import errno
import json
import socket
import threading
import time

import pytest
from conftest import wait_for
from rough_provider import answering, http

from hhtoken import http_transfer
from hhtoken.http_transfer import NotSent, Transfer

BODY = json.dumps({"access_token": "ACCESS", "refresh_token": "REFRESH"}).encode()


def transfer(url, seconds=10, **more):
    return Transfer("POST", url, {"User-Agent": "a/1 (b)"}, {"grant_type": "x"}, **more).run(seconds)


@pytest.mark.parametrize("sent_before", [b"", http(b"", length=len(BODY)), http(BODY[:9], length=len(BODY))],
                         ids=["nothing", "the head", "a piece"])  # fmt: skip
def test_what_comes_after_the_deadline_reaches_neither_the_answer_nor_the_disk(sent_before):
    is_over, kept = threading.Event(), []

    def late(connection):
        connection.sendall(sent_before)
        is_over.wait(10)
        connection.sendall(http(BODY)[len(sent_before) :])

    before = set(threading.enumerate())
    with answering(late) as provider:
        answer = transfer(provider.url, seconds=0.5, keep=kept.append)
        in_time = list(kept)
        is_over.set()
        wait_for(lambda: not [thread for thread in set(threading.enumerate()) - before if "_work" in thread.name])
    assert answer.failure == "no complete answer came in time" and not answer.complete
    assert kept == in_time == ([BODY[:9]] if sent_before.endswith(BODY[:9]) else [])
    assert answer.body == b"".join(kept)


def test_where_no_thread_can_be_started_nothing_is_sent():
    with answering(http(BODY)) as provider:
        previous = threading.stack_size(1 << 47)  # more than there are addresses
        try:
            with pytest.raises(NotSent, match="no room for a thread; nothing was sent"):
                transfer(provider.url)
        finally:
            threading.stack_size(previous)
        assert provider.requests == []


def test_a_host_that_was_held_up_past_its_moment_sends_nothing():
    with answering(http(BODY)) as provider:
        with pytest.raises(NotSent, match="held up for too long; nothing was sent"):
            transfer(provider.url, send_before=time.clock_gettime(time.CLOCK_BOOTTIME) - 1)
        assert not [head for head, _form in provider.requests if head]


def test_a_worker_that_finds_the_deadline_over_before_anybody_else_sends_nothing(monkeypatch):
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: time.sleep(0.5) or look_up(*given, **more))
    monkeypatch.setattr(Transfer, "_await", lambda _transfer, thread: thread.join())
    with answering(http(BODY)) as provider:
        with pytest.raises(NotSent, match="no connection to 127.0.0.1 in time; nothing was sent"):
            transfer(provider.url, seconds=0.3)
        assert not [head for head, _form in provider.requests if head]


def test_a_host_that_no_name_server_knows_has_been_sent_nothing(monkeypatch):
    def unknown(*_given, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NotSent, match="cannot reach hh.example.org .*; nothing was sent"):
        transfer("http://hh.example.org/")


def test_a_server_that_speaks_no_tls_has_been_sent_nothing():
    def speak(listener):
        connection, _address = listener.accept()
        with connection:
            connection.sendall(b"220 mail.example.org ESMTP\r\n")
            connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=speak, args=(listener,), daemon=True).start()
        with pytest.raises(NotSent, match="no TLS with 127.0.0.1, so nothing was sent"):
            transfer(f"https://127.0.0.1:{listener.getsockname()[1]}/")


@pytest.mark.parametrize("pieces", [[BODY], [BODY[:9], BODY[9:]]], ids=["at once", "in pieces"])
def test_an_answer_that_is_here_when_the_deadline_is_over_is_read_though_nobody_had_come_to_that(monkeypatch, pieces):
    """As where the whole process was stopped, but with the worker certainly the last to wake up."""
    receive, held_up = socket.socket.recv_into, threading.Event()

    def receive_late(connection, *given):
        held_up.wait(1.5)
        return receive(connection, *given)

    def send(connection):
        connection.sendall(http(b"", length=len(BODY)))
        for piece in pieces:
            connection.sendall(piece)
        held_up.wait(10)

    monkeypatch.setattr(socket.socket, "recv_into", receive_late)
    with answering(send) as provider:
        answer = transfer(provider.url, seconds=1)
        held_up.set()
    assert (answer.status, answer.body, answer.complete, answer.failure) == (200, BODY, True, None)


def workers():
    return [thread for thread in threading.enumerate() if "_work" in thread.name]


def drip(connection):
    with contextlib.suppress(OSError):
        connection.sendall(http(b"", length=60_000))
        for _ in range(2000):
            connection.sendall(b" ")
            time.sleep(0.01)


def test_a_request_that_was_answered_in_part_is_never_called_not_sent(monkeypatch):
    """Nor where the worker gives up at the very moment when what it came to is looked at."""

    class Lock:
        def __init__(self):
            self._lock = threading.Lock()

        def __enter__(self):
            self._lock.acquire()

        def __exit__(self, *_error):
            self._lock.release()
            if threading.current_thread() is threading.main_thread() and one._is_over:
                wait_for(lambda: not workers())

    monkeypatch.setattr(http_transfer, "LAST_LOOK_SECONDS", 0, raising=False)
    with answering(drip) as provider:
        one = Transfer("POST", provider.url, {"User-Agent": "a/1 (b)"}, {"grant_type": "x"})
        one._lock = Lock()
        answer = one.run(1)
    assert (answer.status, answer.failure) == (200, "no complete answer came in time") and answer.body.strip() == b""


def test_a_worker_that_outlives_the_last_look_changes_nothing_any_more(monkeypatch):
    is_over, looks, kept = threading.Event(), threading.Event(), []

    def look(_body):
        looks.set()
        is_over.wait(10)
        return False

    def in_two_pieces(connection):
        connection.sendall(http(BODY[:9], length=len(BODY)))
        looks.wait(10)
        connection.sendall(BODY[9:])

    monkeypatch.setattr(http_transfer, "LAST_LOOK_SECONDS", 0)
    with answering(in_two_pieces) as provider:
        answer = transfer(provider.url, seconds=1, keep=kept.append, is_enough=look)
        is_over.set()
        wait_for(lambda: not workers())
    assert answer.failure == "no complete answer came in time" and not answer.complete
    assert kept == [answer.body] == [BODY[:9]]


@contextlib.contextmanager
def deaf():
    """A port whose queue is full: whoever connects hears nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as crowd:
        for _ in range(4):
            one = crowd.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield listener.getsockname()[1]


def test_a_host_that_does_not_take_the_connection_has_been_sent_nothing(monkeypatch):
    monkeypatch.setattr(http_transfer, "CONNECT_SECONDS", 0.3)
    with deaf() as port, pytest.raises(NotSent, match="127.0.0.1 did not answer in time; nothing was sent"):
        transfer(f"http://127.0.0.1:{port}/")


def test_a_server_that_falls_silent_after_the_request_may_have_spent_it(monkeypatch):
    monkeypatch.setattr(http_transfer, "READ_SECONDS", 0.3)
    is_over = threading.Event()
    with answering(lambda _connection: is_over.wait(10)) as provider:
        answer = transfer(provider.url)
        is_over.set()
    assert (answer.status, answer.failure) == (0, "the connection broke (no answer in time)")


@pytest.mark.parametrize(
    "error, said, hint",
    [
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "network is unreachable", "ip route"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host", "ip route"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name or service not known", "name server"),
        (OSError("odd"), "no connection", "name server"),
    ],
)
def test_why_there_is_no_way_is_said_in_words(monkeypatch, error, said, hint):
    def fail(*_given, **_more):
        raise error

    monkeypatch.setattr("urllib3.util.connection.create_connection", fail)
    with pytest.raises(NotSent) as caught:
        transfer("http://127.0.0.1:9/")
    assert caught.value.message == f"cannot reach 127.0.0.1 ({said}); nothing was sent"
    assert hint in caught.value.hint


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"])
def test_a_connection_that_ends_before_the_answer_broke_in_words(answer):
    with answering(lambda connection: connection.sendall(answer)) as provider:
        assert transfer(provider.url).failure == "the connection broke (the answer was cut short, or is no HTTP)"


def test_an_answer_without_a_length_ends_with_its_connection():
    with answering(http(b'{"error": "x"}', "400 Bad Request", length=False)) as provider:
        answer = transfer(provider.url)
    assert (answer.status, answer.body, answer.complete, answer.failure) == (400, b'{"error": "x"}', True, None)


@pytest.mark.parametrize(
    "lengths", [("{0}", "5"), ("5", "{0}"), ("{0}, 3",), ("3, {0}",), ("{0}, {0}",), ("{0}", "{0}")]
)
def test_lengths_that_contradict_each_other_cost_no_answer(lengths):
    headers = [f"Content-Length: {length.format(len(BODY))}" for length in lengths]
    with answering(http(BODY, headers=headers, length=False)) as provider:
        answer = transfer(provider.url)
    assert (answer.status, answer.body) == (200, BODY)
