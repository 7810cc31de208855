"""The journal of a request in flight: what reads back, and what a disk that fails leaves of it. Real files."""

import errno
import json
import os

import pytest

from hhtoken.errors import StorageError
from hhtoken.provider.answer import Answer
from hhtoken.store import journal
from hhtoken.store.private_directory import open_directory

INTENT = {"kind": "refresh", "refresh_token_sha256": "ab" * 32, "started_at": 1700000000}
DETAILS = {
    "received_at": 1700000003,
    "retry_after": "120",
    "date": "Tue, 14 Nov 2023 22:13:23 GMT",
    "request_id": "id-1",
    "location_host": "example.org",
    "failure": "the connection broke",
}
BODY = b'{"access_token": "A", "refresh_token": "R"}'


@pytest.fixture
def directory(tmp_path):
    return open_directory(str(tmp_path / "state"), create=True)


def path_in(directory):
    return os.path.join(directory.path, "journal")


def as_it_was(answer):
    return {name: getattr(answer, name) for name in Answer.__slots__}


def broken(monkeypatch, name, is_hit=lambda *_given, **_more: True):
    """Let an os function fail for the calls that are hit."""
    original = getattr(os, name)

    def fail(*given, **more):
        if is_hit(*given, **more):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*given, **more)

    monkeypatch.setattr(os, name, fail)


def test_room_for_the_largest_answer_is_reserved(directory):
    journal.begin(directory, "journal", INTENT).close()
    status = os.stat(path_in(directory))
    assert status.st_size == 4096 + 64 * 1024
    assert status.st_blocks * 512 >= status.st_size
    assert status.st_mode & 0o777 == 0o600


def test_an_answer_in_pieces_reads_back_whole(directory):
    written = journal.begin(directory, "journal", INTENT)
    for piece in (BODY[:1], BODY[1:20], BODY[20:]):
        written.append(piece)
    answer = Answer(200, BODY, True, **DETAILS)
    written.finish(answer)
    assert written.durable
    written.close()
    intent, found = journal.read(directory, "journal")
    assert intent == INTENT
    assert as_it_was(found) == as_it_was(answer)


def test_a_body_whose_head_never_came_speaks_for_itself(directory):
    written = journal.begin(directory, "journal", INTENT)
    written.append(BODY)
    written.close()
    intent, found = journal.read(directory, "journal")
    assert intent == INTENT
    assert as_it_was(found) == as_it_was(Answer(0, BODY, False))


def test_of_two_addresses_only_the_second_answer_is_kept(directory):
    written = journal.begin(directory, "journal", INTENT)
    written.append(b"<html>a long page of an address that is gone</html>")
    written.restart()
    written.append(BODY)
    assert written.durable
    written.close()
    assert journal.read(directory, "journal")[1].body == BODY


@pytest.mark.parametrize("offset", [4096, 2048])
def test_a_disk_that_refuses_a_piece_is_remembered_and_the_rest_stands_in_its_place(directory, monkeypatch, offset):
    written = journal.begin(directory, "journal", INTENT)
    broken(monkeypatch, "pwrite", lambda _descriptor, _data, at: at == offset)
    written.append(b"0123")
    written.append(b"4567")
    written.finish(Answer(200, b"01234567", True))
    assert not written.durable
    written.close()
    monkeypatch.undo()
    with open(path_in(directory), "rb") as file:
        assert file.read()[4096:4104] == (b"\0\0\0\0" if offset == 4096 else b"0123") + b"4567"


def test_a_first_answer_that_cannot_be_cleared_makes_the_journal_untrustworthy(directory, monkeypatch):
    written = journal.begin(directory, "journal", INTENT)
    written.append(b"<html>a long page of an address that is gone</html>")
    broken(monkeypatch, "pwrite")
    written.restart()
    assert not written.durable
    monkeypatch.undo()
    written.append(BODY)
    written.finish(Answer(200, BODY, True))
    assert not written.durable
    written.close()
    assert journal.read(directory, "journal")[1].body == BODY


@pytest.mark.parametrize(
    "step, is_hit",
    [
        ("open", lambda _name, flags, *_more, **_names: flags & os.O_CREAT),
        ("posix_fallocate", lambda *_given: True),
        ("pwrite", lambda *_given: True),
        ("fsync", lambda descriptor: os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")) == "journal"),
        ("fsync", lambda descriptor: os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")) == "state"
                                     and os.listdir(descriptor)),
    ],
    ids=["create", "reserve", "write", "flush", "flush the name"],
)  # fmt: skip
def test_a_journal_that_cannot_be_begun_is_an_error_and_none_is_left(directory, monkeypatch, step, is_hit):
    descriptors = len(os.listdir("/proc/self/fd"))
    broken(monkeypatch, step, is_hit)
    with pytest.raises(StorageError, match="cannot reserve room in .*journal: no space left on device") as raised:
        journal.begin(directory, "journal", INTENT)
    assert "make room" in raised.value.hint
    assert os.listdir(directory.path) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_an_old_journal_is_replaced(directory):
    first = journal.begin(directory, "journal", {**INTENT, "kind": "code"})
    first.append(BODY)
    first.close()
    journal.begin(directory, "journal", INTENT).close()
    assert journal.read(directory, "journal") == (INTENT, None)


def test_a_journal_written_elsewhere_in_one_go_reads_back_the_same(directory):
    answer = Answer(200, BODY, True, **DETAILS)
    directory.replace("journal", journal.text_of(INTENT, answer))
    intent, found = journal.read(directory, "journal")
    assert intent == INTENT
    assert as_it_was(found) == as_it_was(answer)


@pytest.mark.parametrize("character", ["x", "\xe9", "\x01"])
def test_headers_of_any_length_do_not_reach_into_the_body(directory, character):
    """200 characters of each are kept; what is not ASCII takes six bytes in JSON."""
    names = ("retry_after", "date", "request_id", "location_host")
    answer = Answer(200, BODY, True, received_at=1700000003, **dict.fromkeys(names, character * 200))
    written = journal.begin(directory, "journal", INTENT)
    written.append(BODY)
    written.finish(answer)
    written.close()
    for _ in range(2):
        intent, found = journal.read(directory, "journal")
        assert intent == INTENT
        assert (found.status, found.body, found.complete, found.received_at) == (200, BODY, True, 1700000003)
        assert found.request_id == (character * 200 if character == "x" else None)
        directory.replace("journal", journal.text_of(INTENT, answer))


HEAD = json.dumps({"status": 200, "complete": True, "length": len(BODY)}).encode()


@pytest.mark.parametrize(
    "intent, head, expected",
    [
        (b"", HEAD, ({}, 200, BODY, True)),
        (b"{", HEAD, ({}, 200, BODY, True)),
        (b"[1]", HEAD, ({}, 200, BODY, True)),
        (b"\xff\xfe", HEAD, ({}, 200, BODY, True)),
        (b"[" * 2048, HEAD, ({}, 200, BODY, True)),
        (b"{}", b"[" * 2048, ({}, 0, BODY, False)),
        (b"{}", b"{", ({}, 0, BODY, False)),
        (b"{}", b'"text"', ({}, 0, BODY, False)),
        (b"{}", b'{"status": "200", "complete": "yes", "length": "5"}', ({}, 0, BODY, False)),
        (b"{}", b'{"status": 400, "complete": 1, "length": 3}', ({}, 400, BODY[:3], False)),
        (b"{}", b'{"status": 204, "complete": true, "length": 0}', ({}, 204, b"", True)),
    ],
)
def test_damage_costs_only_what_is_damaged(directory, intent, head, expected):
    directory.replace("journal", intent.ljust(2048, b"\0") + head.ljust(2048, b"\0") + BODY.ljust(64 * 1024, b"\0"))
    found, answer = journal.read(directory, "journal")
    assert (found, answer.status, answer.body, answer.complete) == expected


@pytest.mark.parametrize("odd", [5, True, 1.5, [], ["{", 5, None, None], {}])
def test_a_detail_of_another_kind_is_none(directory, odd):
    """Each is taken apart later as the text, or the number, that it should be."""
    head = json.dumps({**dict.fromkeys(DETAILS, odd), "status": 503, "received_at": "soon"}).encode()
    directory.replace("journal", b"{}".ljust(2048, b"\0") + head.ljust(2048, b"\0") + BODY)
    _intent, answer = journal.read(directory, "journal")
    assert {name: getattr(answer, name) for name in DETAILS} == dict.fromkeys(DETAILS)


def test_a_head_without_a_body_is_an_answer_and_nothing_at_all_is_none(directory):
    directory.replace("journal", b"{}".ljust(2048, b"\0") + b'{"failure": "reset"}'.ljust(2048, b"\0"))
    intent, answer = journal.read(directory, "journal")
    assert (intent, answer.status, answer.body, answer.failure) == ({}, 0, b"", "reset")
    directory.replace("journal", b"\0" * 8192)
    assert journal.read(directory, "journal") == ({}, None)
