"""How an answer travels: whole, or in one of the ways in which networks and front servers spoil it.

Most framings leave the connection of no further use.
"""

import select
import socket
import struct
from http import HTTPStatus
from typing import Callable, NamedTuple, Optional

MISSING_BYTES = 40  # how much more a cut answer promises than it keeps
BLANKS = b" " * 65536  # JSON may be followed by blanks, so an endless answer is good JSON at every moment
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST instead of FIN
_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)

# What happens once all is said.
KEEP, CLOSE, RESET, HANG, FLOOD, DRIP = "keep", "close", "reset", "hang", "flood", "drip"


class Framing(NamedTuple):
    """``text``: from the body to what follows the status line and the headers, the header that says where the body
    ends first; None where nothing is said at all. ``end``: one of the constants above."""

    text: Optional[Callable[[bytes], bytes]]
    end: str = CLOSE


def _length(body, more=0):
    return b"Content-Length: %d\r\n\r\n" % (len(body) + more)


def _chunks(*pieces):
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def _half(body):
    return body[: len(body) // 2]


FRAMINGS = {
    "whole": Framing(lambda body: _length(body) + body, KEEP),
    "head_only": Framing(_length, KEEP),
    "bodiless": Framing(lambda body: b"\r\n", KEEP),  # a 204 must not say a length, RFC 9110 §8.6
    "chunked": Framing(lambda body: _chunks(_half(body), body[len(_half(body)) :], b""), KEEP),
    "drip": Framing(lambda body: _length(body) + body, DRIP),
    "close": Framing(None),
    "reset": Framing(None, RESET),
    "hang": Framing(None, HANG),
    "stall": Framing(lambda body: _length(body) + _half(body), HANG),
    "cut": Framing(lambda body: _length(body, MISSING_BYTES) + body),
    "cut_reset": Framing(lambda body: _length(body, MISSING_BYTES) + body, RESET),
    "cut_inside": Framing(lambda body: _length(body) + _half(body)),
    "chunked_cut": Framing(lambda body: _chunks(body)),
    "chunked_garbage": Framing(lambda body: _chunks(body) + b"this is no chunk\r\n\r\n"),
    "chunked_inside": Framing(lambda body: _chunks(body)[: -len(body) // 2]),
    "until_close": Framing(lambda body: b"\r\n" + body),
    "endless": Framing(lambda body: b"\r\n" + body, FLOOD),
}


def keeps_connection(framing):
    """Tell whether another request may follow."""
    return FRAMINGS[framing].end in (KEEP, DRIP)


def says_nothing(framing):
    """Tell whether not even a status line goes out."""
    return FRAMINGS[framing].text is None


def send(connection, framing, head, body, sandbox):
    """Send an answer with this head; return when it has ended. Raise OSError when the client is gone."""
    text, end = FRAMINGS[framing]
    data = head + text(body) if text else b""
    at_once = len(data) - len(body) if end == DRIP else len(data)
    connection.sendall(data[:at_once])
    for byte in data[at_once:]:
        if sandbox.closing.wait(sandbox.settings.drip_seconds):
            return
        connection.sendall(bytes((byte,)))
    while end == FLOOD and not sandbox.closing.is_set():
        connection.sendall(BLANKS)
    if end == HANG:  # until the client goes, the sandbox ends (it shuts its connections) or time is up
        poll = select.poll()  # not select(2), which ends at descriptor 1023
        poll.register(connection, _GONE)
        poll.poll(sandbox.settings.hang_seconds * 1000)
    if end == RESET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def head_of(status, headers):
    """Given a status and header pairs, return the head of an answer, still open for more headers."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "".join(line + "\r\n" for line in lines).encode("latin-1")


def will_reset(connection):
    """Tell whether closing this connection sends a reset; then it must not be shut down first, which sends FIN."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_ON_CLOSE)) == RESET_ON_CLOSE
