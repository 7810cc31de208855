"""A token endpoint made of bytes: answers each connection with what a test says, and keeps what it was sent."""

import contextlib
import socket
import struct
import threading
from urllib.parse import parse_qs

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends a reset


class RoughProvider:
    def __init__(self, handle, context=None):
        self.requests = []  # (head text, form dict)
        self._handle = handle
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.host = "127.0.0.1"
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    @property
    def url(self):
        return f"{'https' if self._context else 'http'}://{self.host}:{self.port}/oauth/token"

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with contextlib.suppress(OSError), connection:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            connection.settimeout(20)
            self.requests.append(read_request(connection))
            self._handle(connection)
            connection.close()

    def close(self):
        """Closing alone would leave the thread in accept(), and the port open, for one client more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._server.join(10)
        self._listener.close()


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data.decode("latin-1"), {}
        data += piece
    head, _blank, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return "", {}
        body += piece
    return head.decode("latin-1"), parse_qs(body.decode(), keep_blank_values=True)


class HeldUp:
    """Answers the first connection once ``may_answer`` is set, which is ``was_asked`` then; each other at once."""

    def __init__(self, *answers):
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        self._answers = iter(answers)

    def __call__(self, connection):
        answer, is_first = next(self._answers), not self.was_asked.is_set()
        self.was_asked.set()
        if is_first:
            self.may_answer.wait(60)
        connection.sendall(answer)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def http(body, status="200 OK", headers=(), length=None):
    """Return the bytes of an answer; ``length`` may lie, and False leaves the header out."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not False:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.contextmanager
def answering(answer, context=None):
    """Run a RoughProvider that sends these bytes, or calls this function with the connection."""
    handle = answer if callable(answer) else lambda connection: connection.sendall(answer)
    provider = RoughProvider(handle, context)
    try:
        yield provider
    finally:
        provider.close()


class Proxy(RoughProvider):
    """An http proxy that takes CONNECT alone; ``refusal``: what it answers in place of a tunnel."""

    def __init__(self, refusal=None):
        self._refusal = refusal
        super().__init__(self._tunnel)

    def _tunnel(self, connection):
        if self._refusal is not None:
            connection.sendall(self._refusal)
            return
        host, _colon, port = self.requests[-1][0].split()[1].rpartition(":")
        with socket.create_connection((host, int(port))) as target:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=_pump, args=(connection, target), daemon=True).start()
            _pump(target, connection)


def _pump(source, target):
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
