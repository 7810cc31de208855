"""How an answer travels: whole, or in one of the ways in which networks and front servers spoil it.

A framing is a function of a ``Wire``, the head of the answer (status line and headers, without the header that says
where the body ends), and the body. Most
leave the connection of no further use.
"""

import select
import socket
import struct
from http import HTTPStatus

MISSING_BYTES = 40  # how much more a cut answer promises than it keeps
BLANKS = b" " * 65536  # JSON may be followed by blanks, so an endless answer is good JSON at every moment
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST instead of FIN
_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class Wire:
    """One connection to a client; ``closing`` is set when the sandbox ends. Raises OSError when the client is gone."""

    def __init__(self, connection, closing, drip_seconds, hang_seconds):
        self._connection = connection
        self._closing = closing
        self._drip_seconds = drip_seconds
        self._hang_seconds = hang_seconds

    def send(self, data):
        self._connection.sendall(data)

    def drip(self, data):
        """Send byte by byte, until the sandbox ends."""
        for byte in data:
            self.send(bytes((byte,)))
            if self._closing.wait(self._drip_seconds):
                return

    def flood(self, block):
        """Send the same block again and again, until the client or the sandbox has had enough."""
        while not self._closing.is_set():
            self.send(block)

    def hang(self):
        """Send nothing, until the client goes, the sandbox ends (it shuts its connections) or time is up."""
        poll = select.poll()  # not select(2), which ends at descriptor 1023
        poll.register(self._connection, _GONE)
        poll.poll(self._hang_seconds * 1000)

    def reset_on_close(self):
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def head(status, headers):
    """Given a status and header pairs, return the head of an answer, still open for more headers."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return "".join(line + "\r\n" for line in lines).encode("latin-1")


def will_reset(connection):
    """Tell whether closing this connection sends a reset; then it must not be shut down first, which sends FIN."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_ON_CLOSE)) == RESET_ON_CLOSE


def _length(count):
    return b"Content-Length: %d\r\n\r\n" % count


def _chunk(data):
    return b"%X\r\n%s\r\n" % (len(data), data)


def _half(body):
    return body[: len(body) // 2]


_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def _whole(wire, start, body):
    wire.send(start + _length(len(body)) + body)


def _head_only(wire, start, body):
    wire.send(start + _length(len(body)))


def _bodiless(wire, start, _body):
    wire.send(start + b"\r\n")  # a 204 has no body and must not say a length, RFC 9110 §8.6


def _close(_wire, _start, _body):
    pass


def _reset(wire, _start, _body):
    wire.reset_on_close()


def _hang(wire, _start, _body):
    wire.hang()


def _stall(wire, start, body):
    wire.send(start + _length(len(body)) + _half(body))
    wire.hang()


def _cut(wire, start, body):
    wire.send(start + _length(len(body) + MISSING_BYTES) + body)


def _cut_reset(wire, start, body):
    _cut(wire, start, body)
    wire.reset_on_close()


def _cut_inside(wire, start, body):
    wire.send(start + _length(len(body)) + _half(body))


def _in_chunks(wire, start, body):
    first, rest = _half(body), body[len(_half(body)) :]
    wire.send(start + _CHUNKED + _chunk(first) + _chunk(rest) + b"0\r\n\r\n")


def _chunked_cut(wire, start, body):
    wire.send(start + _CHUNKED + _chunk(body))


def _chunked_garbage(wire, start, body):
    wire.send(start + _CHUNKED + _chunk(body) + b"this is no chunk\r\n\r\n")


def _chunked_inside(wire, start, body):
    wire.send(start + _CHUNKED + _chunk(body)[: len(body) // 2])


def _until_close(wire, start, body):
    wire.send(start + b"\r\n" + body)


def _endless(wire, start, body):
    wire.send(start + b"\r\n" + body)
    wire.flood(BLANKS)


def _drip(wire, start, body):
    wire.send(start + _length(len(body)))
    wire.drip(body)


FRAMINGS = {
    "whole": _whole,
    "head_only": _head_only,
    "bodiless": _bodiless,
    "chunked": _in_chunks,
    "close": _close,
    "reset": _reset,
    "hang": _hang,
    "stall": _stall,
    "cut": _cut,
    "cut_reset": _cut_reset,
    "cut_inside": _cut_inside,
    "chunked_cut": _chunked_cut,
    "chunked_garbage": _chunked_garbage,
    "chunked_inside": _chunked_inside,
    "until_close": _until_close,
    "endless": _endless,
    "drip": _drip,
}
KEEPS_CONNECTION = ("whole", "head_only", "bodiless", "chunked", "drip")
SENDS_NOTHING = ("close", "reset", "hang")
