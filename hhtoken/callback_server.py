"""The listener that waits for one browser: hands its query to a function and shows the page; knows no OAuth.

One thread and a selector instead of a thread for each connection: a slow or silent client then costs one descriptor
and at most 16 KiB, junk costs a parse, and neither can stand in the way of the browser.
"""

import contextlib
import errno
import functools
import os
import resource
import selectors
import socket
import time

from hhtoken import callback_page, errors, http_head, language, reporting
from hhtoken.wording import N_, counted

BACKLOG = 128
FIRST_INHERITED_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
MOST_CONNECTIONS = 400  # beyond it the oldest make room
DESCRIPTORS_KEPT_FREE = 30  # for the exchange itself: lock, journal, connection, and Python's own modules
READ_SECONDS = 5  # of silence
CONNECTION_SECONDS = 8  # for a whole request, however it drips
DRAIN_SECONDS = 1  # closing at once, with input unread, would reset the connection and lose the page
FAREWELL_SECONDS = 1  # after the end, for a second tab or a reload to see the same page
REPORT_SECONDS = 10
NO_ROOM_PAUSE_SECONDS = 0.1  # without a descriptor for whoever waits in line, who stays there
RECEIVE_BYTES = 4096


class Reply:
    """``page``: a name of callback_page. ``is_final``: the listener has done its work."""

    __slots__ = ("page", "is_final")

    def __init__(self, page, is_final=False):
        self.page = page
        self.is_final = is_final


class _Connection:
    __slots__ = ("socket", "data", "started", "touched", "answered")

    def __init__(self, sock, now):
        self.socket = sock
        self.data = b""
        self.started = self.touched = now
        self.answered = False

    def is_late(self, now):
        if self.answered:
            return now - self.touched > DRAIN_SECONDS
        return now - self.touched > READ_SECONDS or now - self.started > CONNECTION_SECONDS


def listen(host, port, is_for_browser=False):
    """Return a socket that listens there; raise ConfigError where it cannot. ``is_for_browser``: the browser comes to
    this very port, without nginx between."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        is_known = error.errno and error.errno > 0
        why = errors.reason(OSError(error.errno, os.strerror(error.errno))) if is_known else N_("not an address")
        hint = N_("choose another address with --listen HOST:PORT")
        if error.errno == errno.EADDRINUSE:
            hint = N_(
                "if it is hh-token-callback.socket or another hhtoken (login, serve-callback), the browser is waited "
                "for already; see who listens with 'ss -ltnp sport = :{port}'",
                port=port,
            )
            hint += "" if is_for_browser else N_("; or choose another address with --listen, and point nginx there")
        failure = N_("cannot listen on {host} port {port}: {reason}", host=host, port=port, reason=why)
        raise errors.ConfigError(failure, hint) from None


@functools.cache  # a dozen pages in two languages: junk must not cost a look into a catalog
def _page(name, tongue):
    return callback_page.response(name, tongue, language.said_in)


def inherited():
    """Return the listening socket that systemd has passed to this very process (sd_listen_fds(3)), or None."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS", "0") == "0":
        return None
    listener = socket.socket(fileno=FIRST_INHERITED_DESCRIPTOR)
    listener.set_inheritable(False)
    return listener


class CallbackServer:
    """``listener``: a listening socket. ``rules``: a CallbackRules. ``handle_return``: given a query, returns a Reply."""

    def __init__(self, listener, rules, handle_return):
        self._listener = listener
        self._rules = rules
        self._handle_return = handle_return
        self._connections = {}  # socket -> _Connection, the oldest first
        self._selector = selectors.DefaultSelector()
        self._watched = {}  # descriptor -> function
        self._addresses = {}  # path -> address
        self._final = None  # (query, page) of the return that ended the wait
        self._refused = 0
        self._report_at = 0.0
        limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_connections = max(1, min(MOST_CONNECTIONS, limit - DESCRIPTORS_KEPT_FREE))

    def watch(self, descriptor, on_input):
        """While serving, also call this function whenever the descriptor has something to read.

        True from it ends the wait; EOFError says that nothing more will come. What cannot be waited for, such as a
        file or /dev/null, is left alone.
        """
        with contextlib.suppress(PermissionError):
            self._selector.register(descriptor, selectors.EVENT_READ)
            self._watched[descriptor] = on_input

    def send_on(self, path, address):
        """Send the first visitor of this path on to an address; to all others it is not there."""
        self._addresses[path] = address

    def serve(self, timeout_seconds, tick):
        """Answer requests until a Reply is final, and return True; at the deadline return False.

        ``tick``: of ``progress.waiting``."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        deadline = time.monotonic() + timeout_seconds
        try:
            while True:
                now = time.monotonic()
                if self._final and (not self._connections or now > deadline):
                    return True
                if not self._final and now > deadline:
                    return False
                was_final = bool(self._final)
                left = deadline - now if self._final else tick(deadline - now)
                for key, _events in self._selector.select(self._pause(left)):
                    self._on_ready(key.fileobj)
                self._drop_late()
                self._report()
                if self._final and not was_final:
                    deadline = time.monotonic() + FAREWELL_SECONDS
        finally:
            self._report(at_end=True)
            for sock in list(self._connections):
                self._drop(sock)
            self._selector.close()

    def _pause(self, left):
        return max(0.0, min(left, 0.25 if self._connections else 60.0))

    def _on_ready(self, sock):
        if sock is self._listener:
            self._accept()
        elif sock in self._watched:
            self._take_input(sock)
        elif sock in self._connections:
            self._receive(self._connections[sock])

    def _take_input(self, descriptor):
        try:
            if not self._final and self._watched[descriptor]():
                self._final = (None, callback_page.REFUSED)
        except EOFError:
            self._selector.unregister(descriptor)
            del self._watched[descriptor]

    def _accept(self):
        for _ in range(BACKLOG):
            try:
                sock, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # out of descriptors, or a client that is gone already: the oldest makes room
                self._make_room()
                return
            sock.setblocking(False)
            if len(self._connections) >= self._most_connections:
                self._drop_oldest()
            self._connections[sock] = _Connection(sock, time.monotonic())
            self._selector.register(sock, selectors.EVENT_READ)

    def _receive(self, connection):
        try:
            chunk = connection.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:  # pragma: no cover (a false alarm of the kernel: cannot be made)
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(connection.socket)
            return
        if connection.answered:
            return  # drained, not read
        connection.touched = time.monotonic()
        connection.data += chunk
        try:
            end = http_head.end_of(connection.data)
            request = http_head.parse(connection.data[:end]) if end else None
        except http_head.Bad as bad:
            self._refuse(connection, bad.status)
            return
        if request:
            connection.data = b""
            self._answer(connection, request)

    def _answer(self, connection, request):
        refusal = self._rules.refusal(request)
        accept_language = request.header("accept-language")
        if request.method == "GET" and request.path in self._addresses:
            self._send_bytes(connection, callback_page.redirect(self._addresses.pop(request.path)))
        elif refusal:
            self._refuse(connection, refusal, accept_language)
        elif self._final:
            query, page = self._final
            self._send(connection, page if request.query == query else callback_page.REFUSED, accept_language)
        else:
            started = time.monotonic()
            reply = self._handle_return(request.query)
            self._forgive(time.monotonic() - started)
            if reply.is_final:
                self._final = (request.query, reply.page)
            self._refused += reply.page == callback_page.REFUSED
            self._send(connection, reply.page, accept_language)

    def _forgive(self, seconds):
        """The others waited while the return was dealt with: that is not their slowness."""
        for connection in self._connections.values():
            connection.started += seconds
            connection.touched += seconds

    def _refuse(self, connection, status, accept_language=None):
        self._refused += 1
        self._send(connection, status, accept_language)

    def _send(self, connection, page, accept_language):
        self._send_bytes(connection, _page(page, callback_page.language(accept_language)))

    def _send_bytes(self, connection, response):
        connection.answered = True
        connection.touched = time.monotonic()
        try:
            connection.socket.send(response)  # 2 KiB: a new socket's buffer takes it whole
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(connection.socket)

    def _drop_late(self):
        now = time.monotonic()
        for connection in [one for one in self._connections.values() if one.is_late(now)]:
            self._drop(connection.socket)

    def _make_room(self):
        if self._connections:
            self._drop_oldest()
        else:
            time.sleep(NO_ROOM_PAUSE_SECONDS)

    def _drop_oldest(self):
        self._drop(next(iter(self._connections)))

    def _drop(self, sock):
        del self._connections[sock]
        self._selector.unregister(sock)
        sock.close()

    def _report(self, at_end=False):
        """At most one line in ten seconds, however much junk comes."""
        now = time.monotonic()
        if self._refused and (at_end or now >= self._report_at):
            reporting.event(f"callback listener: refused {self._refused} request(s)", reporting.NOTICE)
            reporting.message(
                counted(
                    "refused {count} request that is no return of this authorization",
                    "refused {count} requests that are no return of this authorization",
                    self._refused,
                )
            )
            self._refused = 0
            self._report_at = now + REPORT_SECONDS
