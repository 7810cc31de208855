"""The journal of a request in flight: first the intent, then the raw answer as it arrives, then nothing.

One file, written in three steps, each durable before the next thing happens:

  bytes 0..2047      the intent: a line of JSON, written and flushed before anything is sent
  bytes 2048..4095   the head of the answer: a line of JSON with its status and whether it is complete
  bytes 4096..       the body, room for 64 KiB reserved beforehand, so that a full disk cannot refuse it

A file that exists is a request whose outcome is not settled yet.
"""

import json
import os

from hhtoken.provider.answer import LARGEST_BODY_BYTES, Answer
from hhtoken.store.private_directory import storage_error, write_all
from hhtoken.text import N_, from_data, to_data

HEAD_AT, BODY_AT = 2048, 4096
SIZE = BODY_AT + LARGEST_BODY_BYTES
DETAILS = {"received_at": int, "retry_after": str, "date": str, "request_id": str, "location_host": str, "failure": str}


class Journal:
    """A journal open for writing. ``durable``: all that was put down has reached the disk. ``send_before``: as in
    ``provider.transfer``, for what it is for. ``ask_first``: one of several addresses, or None."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._body_end = BODY_AT
        self.durable = True
        self.send_before = self.ask_first = None

    def append(self, chunk):
        """Put down bytes of the body. A disk that refuses them is remembered, not raised: reading must go on."""
        try:
            write_all(self._descriptor, chunk, self._body_end)
        except OSError:
            self.durable = False
        self._body_end += len(chunk)

    def finish(self, answer):
        """Put down the head of the Answer and flush everything."""
        try:
            write_all(self._descriptor, _head_line(answer), HEAD_AT)
            os.fdatasync(self._descriptor)
        except OSError:
            self.durable = False

    def restart(self):
        """Forget the body so far: another address is asked, since nothing was spent at the first."""
        try:
            write_all(self._descriptor, bytes(self._body_end - BODY_AT), BODY_AT)
        except OSError:
            self.durable = False
        self._body_end = BODY_AT

    def close(self):
        os.close(self._descriptor)


class NoJournal:
    """Stands in for a Journal where the answer can be asked for again."""

    durable, send_before, ask_first = False, None, None

    def append(self, _chunk=None):
        pass

    finish = restart = append


def begin(directory, name, intent):
    """Write and flush a new journal with this intent (a dict), room reserved; return it. Raise StorageError."""
    descriptor = None
    try:
        directory.remove(name)
        descriptor = directory.create(name)
        os.posix_fallocate(descriptor, 0, SIZE)
        write_all(descriptor, _line(intent), 0)
        os.fsync(descriptor)
        directory.sync()
    except OSError as error:
        if descriptor is not None:
            os.close(descriptor)
            directory.remove(name)
        raise storage_error(N_("reserve room in"), directory.path_of(name), error) from None
    return Journal(descriptor)


def read(directory, name):
    """Return ``(intent, Answer or None)`` of what an interrupted run left, or None where there is nothing.

    Damage is no error: an unreadable intent is ``{}``, an unreadable head leaves the body to speak for itself. A power
    cut may keep the head and lose the body, or parts of it: what was reserved then reads as zeros, and the answer is
    not complete.
    """
    stored = directory.read(name)
    if stored is None:
        return None
    data = stored[0]
    intent, head = _parse(data[:HEAD_AT]), _parse(data[HEAD_AT:BODY_AT])
    length = head.get("length")
    body = data[BODY_AT:][:length] if isinstance(length, int) else data[BODY_AT:].rstrip(b"\0")
    is_whole = b"\0" not in body
    if not body.strip(b"\0"):
        body = b""
    if not head and not body:
        return intent, None
    status = head.get("status") if isinstance(head.get("status"), int) else 0
    head["failure"] = from_data(head.get("failure"))
    details = {name: head[name] if isinstance(head.get(name), kind) else None for name, kind in DETAILS.items()}
    return intent, Answer(status, body, is_whole and head.get("complete") is True, **details)


def text_of(intent, answer):
    """Return the bytes of a whole journal, for the places that are tried when its own cannot be written."""
    return _line(intent).ljust(HEAD_AT, b"\0") + _head_line(answer).ljust(BODY_AT - HEAD_AT, b"\0") + answer.body


def _head_line(answer):
    known = {name: getattr(answer, name) for name in ("status", "complete", "received_at")}
    head = {**known, "length": len(answer.body)}
    line = _line({**head, **{name: to_data(getattr(answer, name)) for name in DETAILS}})
    return line if len(line) <= BODY_AT - HEAD_AT else _line(head)  # the body behind it counts for more than headers


def _line(fields):
    return json.dumps(fields).encode() + b"\n"


def _parse(block):
    try:
        fields = json.loads(block.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
