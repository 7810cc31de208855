"""One request under one deadline: what counts as not sent, that a misframed answer is read, and that nothing counts
which comes too late."""

import contextlib
import errno
import json
import signal
import socket
import ssl
import threading
import time

import pytest
import trustme
from conftest import wait_for
from rough_provider import answering, http, reset

from hhtoken.provider import transfer as provider_transfer
from hhtoken.provider.transfer import NotSent, Transfer

BODY = json.dumps({"access_token": "ACCESS", "refresh_token": "REFRESH"}).encode()


def transfer(url, seconds=10, **more):
    return Transfer("POST", url, {"User-Agent": "a/1 (b)"}, {"grant_type": "x"}, **more).run(seconds)


def workers():
    return [thread for thread in threading.enumerate() if "(run)" in thread.name]


def ask(url, method="DELETE", seconds=10):
    """As ``transfer``, without a form."""
    return Transfer(method, url, {"User-Agent": "a/1 (b)"}).run(seconds)


@pytest.fixture
def no_last_look(monkeypatch):
    monkeypatch.setattr(provider_transfer, "LAST_LOOK_SECONDS", 0.1)


@pytest.mark.parametrize("sent_before", [b"", http(b"", length=len(BODY)), http(BODY[:9], length=len(BODY))],
                         ids=["nothing", "the head", "a piece"])  # fmt: skip
def test_what_comes_after_the_deadline_reaches_neither_the_answer_nor_the_disk(no_last_look, sent_before):
    is_over, kept = threading.Event(), []

    def late(connection):
        connection.sendall(sent_before)
        is_over.wait(10)
        connection.sendall(http(BODY)[len(sent_before) :])

    with answering(late) as provider:
        answer = transfer(provider.url, seconds=0.5, keep=kept.append)
        in_time = list(kept)
        is_over.set()
        wait_for(lambda: not workers())
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
            transfer(provider.url, send_before=lambda: time.clock_gettime(time.CLOCK_BOOTTIME) - 1)
        assert not [head for head, _form in provider.requests if head]


def test_a_worker_that_finds_the_deadline_over_before_anybody_else_sends_nothing(monkeypatch):
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: time.sleep(0.5) or look_up(*given, **more))
    monkeypatch.setattr(Transfer, "_await", lambda _transfer, thread: thread.join())
    with answering(http(BODY)) as provider:
        with pytest.raises(NotSent, match="127.0.0.1 .no answer in time.; nothing was sent"):
            transfer(provider.url, seconds=0.3)
        assert not [head for head, _form in provider.requests if head]


def test_a_host_that_no_name_server_knows_has_been_sent_nothing(monkeypatch):
    def unknown(*_given, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NotSent, match="cannot reach hh.example.org .*; nothing was sent"):
        transfer("http://hh.example.org/")


def test_a_server_that_speaks_no_tls_has_been_sent_nothing():
    def greet():
        connection, _address = listener.accept()
        with connection:
            connection.sendall(b"220 mail.example.org ESMTP\r\n")
            connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(NotSent, match="127.0.0.1 .what answers does not speak TLS.; nothing was sent"):
            transfer(f"https://127.0.0.1:{listener.getsockname()[1]}/")


@pytest.mark.parametrize("request_of", [transfer, ask], ids=["with a form", "without"])
def test_a_certificate_that_is_not_trusted_is_sent_nothing(request_of):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with answering(http(BODY), context) as provider:
        with pytest.raises(NotSent, match="127.0.0.1 .its certificate is not trusted.; nothing was sent"):
            request_of(provider.url)
        assert provider.requests == []


def test_a_worker_that_outlives_the_last_look_changes_nothing_any_more(no_last_look):
    is_over, looks, kept = threading.Event(), threading.Event(), []

    def look(_body):
        looks.set()
        is_over.wait(10)
        return False

    def in_two_pieces(connection):
        connection.sendall(http(first, length=len(first) + len(BODY)))
        looks.wait(10)
        connection.sendall(BODY)

    first = b'{"limits": {}'
    with answering(in_two_pieces) as provider:
        answer = transfer(provider.url, seconds=1, keep=kept.append, is_enough=look)
        is_over.set()
        wait_for(lambda: not workers())
    assert answer.failure == "no complete answer came in time" and not answer.complete
    assert kept == [answer.body] == [first]


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


def test_a_host_that_takes_no_connection_is_given_three_seconds_and_sent_nothing():
    begun = time.monotonic()
    with (
        deaf() as port,
        pytest.raises(NotSent, match="127.0.0.1 .(no answer in time|connection timed out).; nothing was sent"),
    ):
        transfer(f"http://127.0.0.1:{port}/")
    assert time.monotonic() - begun < 5


def test_all_addresses_together_are_given_half_a_minute(monkeypatch):
    assert provider_transfer.CONNECT_SECONDS == 30
    monkeypatch.setattr(provider_transfer, "CONNECT_SECONDS", 0.5)
    with deaf() as port:
        dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_given, **_more: [dead] * 8)
        begun = time.monotonic()
        with pytest.raises(NotSent, match="in time.; nothing was sent"):
            transfer("http://hh.example.org/", seconds=60)
        assert time.monotonic() - begun < 3


def test_a_server_that_falls_silent_after_the_request_may_have_spent_it(monkeypatch):
    monkeypatch.setattr(provider_transfer, "READ_SECONDS", 0.3)
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


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = "the connection broke (the answer was cut short, or is no HTTP)"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + http(BODY),
        http(BODY, headers=["Content-Length: 5"]),
        http(BODY[:-1], length=len(BODY)),
        CHUNKED + BODY,
        CHUNKED + b"%x\r\n%s" % (len(BODY), BODY[:-1]),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_broken_one_and_never_called_not_sent(answer):
    with answering(answer) as provider:
        for one in (transfer(provider.url), ask(provider.url)):
            assert (one.failure, one.complete) == (BROKEN, False)


def in_chunks(end):
    half = len(BODY) // 2
    return CHUNKED + b"%x\r\n%s\r\n%x\r\n%s" % (half, BODY[:half], len(BODY) - half, BODY[half:]) + end


@pytest.mark.parametrize(
    "answer",
    [
        http(BODY),
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(BODY),
        http(BODY, length=9999),
        http(BODY, headers=[f"Content-Length: {len(BODY)}"]),
        http(BODY + b"<!-- proxy -->"),
        http(BODY, length=False),
        in_chunks(b"\r\n0\r\n\r\n"),
        in_chunks(b""),
        in_chunks(b"\r"),
        in_chunks(b"\r\nzz\r\nno\r\n"),
        CHUNKED + b"ffff\r\n" + BODY,
        http(BODY, "302 Found", headers=["Location: http://127.0.0.1:9/"]),
    ],
)
@pytest.mark.parametrize("then", [lambda _connection: None, reset], ids=["the end", "a reset"])
def test_all_that_came_of_an_answer_is_read_and_kept_whatever_its_framing_says(answer, then):
    def send(connection):
        connection.sendall(answer)
        is_read.wait(10)  # a reset takes away what has not been read yet
        then(connection)

    kept, is_read = [], threading.Event()
    with answering(send) as provider:
        one = transfer(provider.url, keep=kept.append, is_enough=lambda _body: is_read.set())
    assert (one.status // 100, one.body[: len(BODY)]) in ((2, BODY), (3, BODY))
    assert b"".join(kept) == one.body


def test_an_answer_that_drips_is_kept_in_few_writes_and_read_no_further_than_is_enough():
    def send(connection):
        connection.sendall(http(b"", length=9999))
        for byte in BODY:
            connection.sendall(bytes([byte]))
        is_over.wait(10)

    kept, is_over = [], threading.Event()
    with answering(send) as provider:
        answer = transfer(provider.url, keep=kept.append, is_enough=lambda body: body.endswith(b"}"))
        is_over.set()
    assert answer.complete and kept == [BODY]


def test_no_signal_cuts_the_wait_for_an_answer_short():
    """Else Python gives up a wait whose time was over meanwhile, and does not look at what has come."""
    masks = []
    with answering(http(BODY)) as provider:
        transfer(provider.url, keep=lambda _piece: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    assert signal.SIGTERM in masks[0] and signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_no_more_is_read_than_there_is_room_for():
    with answering(http(b"x" * 70_000)) as provider:
        answer = transfer(provider.url, seconds=60)
    assert (len(answer.body), answer.failure) == (64 * 1024, "larger than 64 KiB")


def test_where_one_address_of_a_host_refuses_the_next_is_tried(monkeypatch):
    with answering(http(BODY)) as provider:
        there = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", provider.port))
        refused = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_given, **_more: [refused, there])
        assert transfer("http://hh.example.org/").body == BODY


def test_without_a_form_only_an_exception_that_leaves_no_doubt_says_that_nothing_was_sent(monkeypatch):
    with pytest.raises(NotSent, match="127.0.0.1 .connection refused.; nothing was sent"):
        ask("http://127.0.0.1:9/")
    monkeypatch.setattr(provider_transfer, "CONNECT_SECONDS", 0.3)
    with (
        deaf() as port,
        pytest.raises(NotSent, match="127.0.0.1 .(no answer in time|connection timed out).; nothing was sent"),
    ):
        ask(f"http://127.0.0.1:{port}/")
    with deaf() as port:
        assert ask(f"http://127.0.0.1:{port}/", seconds=0.1).failure == "no complete answer came in time"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = ask(f"https://127.0.0.1:{silent.getsockname()[1]}/")
    assert answer.failure == "the connection broke (no answer in time)"
