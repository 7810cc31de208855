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


SENSELESS = (
    b"", b"[]", b"{", b'{"header": {}}', b'{"header": {"revision": "x"}}', b'{"header": {"revision": Infinity}}',
    b'{"header": {"revision": NaN}}', b'{"header": {"revision": 1e999}}', b"[" * 100_000,
)  # fmt: skip


@pytest.mark.parametrize("body", SENSELESS)
def test_an_answer_that_makes_no_sense_is_as_good_as_none(body):
    with answering(http(body, headers=CLOSE)) as member, pytest.raises(Unreachable, match="makes no sense"):
        Etcd([address(member)]).read(b"/p/")


def test_only_what_etcd_says_has_succeeded_has():
    with answering(http(b'{"header": {"revision": "5"}, "succeeded": NaN}', headers=CLOSE)) as member:
        assert Etcd([address(member)]).transact({b"/p/i": 0}) == 0


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


NO_LEADER = http(json.dumps({"code": 14, "message": "etcdserver: no leader"}), "503 Service Unavailable", headers=CLOSE)
NO_PAGE = http("404 page not found", "404 Not Found", headers=CLOSE)


def lines(*results):
    """The answer to a watch: an endless body, so that the connection ends it."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"".join(
        json.dumps(one).encode() + b"\n" for one in results
    )


LEADER_LOST = lines(
    {"result": {"header": {"revision": "3"}, "created": True}}, {"error": {"grpc_code": 14, "http_code": 503}}
)
CHANGE = lines({"result": {"events": [{"kv": {"key": "L3AvaQ==", "mod_revision": "4"}}]}})


@pytest.mark.parametrize("answer", [NO_LEADER, LEADER_LOST, NO_PAGE], ids=["no leader", "leader lost", "no etcd"])
def test_a_watch_passes_over_a_member_that_knows_nothing_of_changes(answer):
    with answering(answer) as blind, answering(CHANGE) as good:
        assert Etcd([address(blind), address(good)]).changes(b"/p/", 3, 1) == ([b"/p/i"], 4)
        assert "grpc-metadata-hasleader: true" in str(blind.requests[0]).lower()


def test_a_history_that_went_back_is_to_be_looked_at_anew():
    with answering(lines({"result": {"header": {"revision": "2"}, "created": True}})) as restored:
        assert Etcd([address(restored)]).changes(b"/p/", 3, 1) == (None, 3)


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_no_member_is_passed_over_and_named_where_it_is_alone(order):
    with answering(NO_PAGE) as stranger, answering(GOOD) as member, answering(NO_LEADER) as blind:
        assert Etcd([address(one) for one in (stranger, member)][::order]).read(b"/p/") == ({}, 5)
        with pytest.raises(Unreachable):
            Etcd([address(one) for one in (stranger, blind)][::order]).read(b"/p/")
        with pytest.raises(errors.ConfigError, match="does not speak etcd"):
            Etcd([address(stranger)]).read(b"/p/")


def test_a_lease_that_is_gone_is_no_fault_of_the_settings():
    gone = {"code": 5, "message": "etcdserver: requested lease not found"}
    with answering(http(json.dumps(gone), "404 Not Found", headers=CLOSE)) as member, pytest.raises(Unreachable):
        Etcd([address(member)]).transact({b"/p/i": 0})
