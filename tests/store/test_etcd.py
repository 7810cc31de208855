"""The client of etcd against members that misbehave; real ones are asked in `make test-cluster`."""

import contextlib
import json
import threading

import pytest
from rough_provider import answering, http

from hhtoken import errors
from hhtoken.store.etcd import client
from hhtoken.store.etcd.client import Etcd, Unreachable

CLOSE = ["Connection: close"]
GOOD = http(json.dumps({"header": {"revision": "5"}}), headers=CLOSE)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS_LINE = CHUNKED + b"7fffffff\r\n{"


def address(provider):
    return f"http://{provider.host}:{provider.port}"


class Dripping:
    """Sends these bytes, then a blank now and then, for 20 s."""

    def __init__(self, start):
        self._start = start
        self.is_over = threading.Event()
        self.has_ended = False

    def __call__(self, connection):
        with contextlib.suppress(OSError):
            connection.sendall(self._start)
            for _ in range(400):
                connection.sendall(b" ")
                if self.is_over.wait(0.05):
                    return
        self.has_ended = not self.is_over.is_set()


@pytest.fixture
def dripping(monkeypatch):
    """A function that makes an Etcd of one member that drips after these bytes."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.2)
    with contextlib.ExitStack() as running:
        drips = []

        def member(start):
            drips.append(Dripping(start))
            return Etcd([address(running.enter_context(answering(drips[-1])))])

        yield member
        assert not any(drip.has_ended for drip in drips), "the call outlasted the drip"
        for drip in drips:
            drip.is_over.set()


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nX-Slow:", http(b"", length=99), http(b"", "503 Busy", length=99), CHUNKED, ENDLESS_LINE],
    ids=["head", "body", "refusal", "size of a chunk", "chunk"],
)
def test_a_member_that_drips_holds_nobody_up(dripping, start):
    with pytest.raises(Unreachable):
        dripping(start).read(b"/p/")


def test_a_watch_that_drips_has_an_end(dripping):
    with pytest.raises(Unreachable):
        dripping(ENDLESS_LINE).changes(b"/p/", 3, 1)


def test_where_a_member_breaks_off_the_next_one_is_asked_and_from_then_on_first():
    with answering(http(b'{"header":', headers=CLOSE, length=99)) as broken, answering(GOOD) as good:
        members = Etcd([address(broken), address(good)])
        assert members.read(b"/p/") == members.read(b"/p/") == ({}, 5)
        assert len(broken.requests) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"header": {}}', b'{"header": {"revision": "x"}}'])
def test_an_answer_that_makes_no_sense_is_as_good_as_none(body):
    with answering(http(body, headers=CLOSE)) as member, pytest.raises(Unreachable, match="makes no sense"):
        Etcd([address(member)]).read(b"/p/")


def test_an_answer_larger_than_any_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(client, "LARGEST_ANSWER_BYTES", 99)
    with answering(http(b" " * 100, headers=CLOSE)) as member, pytest.raises(Unreachable, match="makes no sense"):
        Etcd([address(member)]).read(b"/p/")


def test_a_wrong_password_is_the_users_fault():
    wrong = http(
        json.dumps({"code": 3, "message": "etcdserver: authentication failed"}), "400 Bad Request", headers=CLOSE
    )
    with answering(wrong) as member, pytest.raises(errors.ConfigError, match="refuses this user"):
        Etcd([address(member)], user="writer", password="wrong").read(b"/p/")
    with answering(wrong) as member, pytest.raises(errors.ConfigError, match="wants a user and a password, or none"):
        Etcd([address(member)]).read(b"/p/")
