"""How the bytes of an answer are read: until a moment, and after it what is here already. Real sockets."""

import io
import socket
import time

import pytest

from hhtoken import http_session

NEVER, OVER = float("inf"), 0.0


@pytest.fixture
def ends():
    """Two ends of a connection; reads at the second one wait for at most 0.2 s."""
    one, other = socket.socketpair()
    other.settimeout(0.2)
    with one, other:
        yield one, other


def reading(sock, until):
    return http_session._ReaderInTime(sock.makefile("rb", buffering=0), sock, until)


def test_once_the_time_is_over_what_is_here_is_read_and_nothing_is_waited_for(ends):
    one, other = ends
    other.settimeout(1000)
    with reading(other, OVER) as received:
        one.sendall(b"here")
        assert received.read(100) == b"here"
        with pytest.raises(socket.timeout):
            received.read(100)
        one.sendall(b"here")
        assert received.read(100) == b"here"


def test_once_the_time_is_over_an_answer_that_never_pauses_ends(ends):
    one, other = ends
    one.sendall(b"x" * 1000)
    with reading(other, OVER) as received:
        for _ in range(http_session.MOST_LATE_READS):
            assert received.read(1) == b"x"
        with pytest.raises(socket.timeout):
            received.read(1)


def test_after_a_late_read_the_largest_answer_still_fits(ends):
    one, other = ends
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    one.sendall(b"x" * 70_000)
    one.shutdown(socket.SHUT_WR)
    with io.BufferedReader(reading(other, OVER)) as received:
        assert len(received.read()) == 70_000


def test_before_that_a_silence_ends_the_wait_and_a_short_rest_of_time_does_so_sooner(ends):
    one, other = ends
    with reading(other, NEVER) as received, pytest.raises(socket.timeout):
        received.read(1)
    other.settimeout(1000)
    with reading(other, time.monotonic() + 0.1) as received, pytest.raises(socket.timeout):
        received.read(1)
    one.sendall(b"x")


class CutShort:
    """Stands in for a socket whose wait a signal cuts short, at the very moment when something comes."""

    def __init__(self, sock):
        self.socket, self.is_cut = sock, False

    def recv_into(self, buffer):
        if self.is_cut:
            return self.socket.recv_into(buffer)
        self.is_cut = True
        raise socket.timeout

    def gettimeout(self):
        return self.socket.gettimeout()

    def settimeout(self, seconds):
        self.socket.settimeout(seconds)


def test_a_wait_that_was_cut_short_is_followed_by_a_look(ends):
    one, other = ends
    one.sendall(b"here")
    received = http_session._ReaderInTime(other.makefile("rb", buffering=0), CutShort(other), NEVER)
    with received:
        assert received.read(100) == b"here"
        one.sendall(b"more")
        assert received.read(100) == b"more" and other.gettimeout() == 0.2, "and is patient again"
