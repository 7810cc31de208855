"""The listener that waits for one browser: hands its query to a function and shows the page; knows no OAuth.

http.server gives each connection a thread, which reads one request within limits, and refuses what is no return. A
return is handed to the main thread, which alone deals with it, since only there signals can be deferred.
"""

import contextlib
import io
import queue
import select
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hhtoken.authorization import callback_rules, pages
from hhtoken.console import language, reporting
from hhtoken.text import counted

MOST_CONNECTIONS = 400  # beyond it the oldest make room
STACK_BYTES = 256 * 1024  # of the thread of a connection
READ_SECONDS = 5  # of silence
CONNECTION_SECONDS = 8  # for a whole request, however it drips
DRAIN_SECONDS = 1  # closing at once, with input unread, would reset the connection and lose the page
FAREWELL_SECONDS = 1  # after the end, for a second tab or a reload to see the same page
FAREWELL_LOOK_SECONDS = 0.02
REPORT_SECONDS = 10
NO_ROOM_PAUSE_SECONDS = 0.1  # without a descriptor for whoever waits in line, who stays there
RECEIVE_BYTES = 4096


class _Handler(BaseHTTPRequestHandler):
    """One connection, in a thread of its own: one request is answered with one of our pages."""

    timeout = READ_SECONDS
    headers = {}  # until there are any

    def handle(self):
        """Read one head, within its limits of size and time; http.server sees nothing that comes behind it."""
        data, until = b"", time.monotonic() + CONNECTION_SECONDS
        while (fault := callback_rules.fault_in(data)) is None:
            chunk = self.connection.recv(RECEIVE_BYTES)
            if not chunk or time.monotonic() > until:
                return
            data += chunk
        if fault:
            self.send_error(fault)
            return
        self.rfile.close()
        self.rfile = io.BytesIO(data)
        super().handle()

    def do_GET(self):
        _method, target, version = self.requestline.split(" ")  # raw: in self.path, http.server folds a leading //
        path, _mark, query = target.partition("?")
        if callback_rules.is_prefetch(self.headers):
            self._send(pages.NO_CONTENT)
            return
        address = self.server.addresses.pop(path, None)
        if address:
            self._send(pages.redirect(address))
            return
        self.server.connections[self.connection] = False
        self._send_page(self.server.rules.refusal(path, version, self.headers) or self.server.page_for(query))

    def send_error(self, code, message=None, explain=None):
        """Answer with a page of ours, which repeats nothing. http.server's own code for another method is 501."""
        self._send_page(code if code in pages.PAGES else 405)

    def log_message(self, *_arguments):
        """Nothing: a query holds a code, and strangers must not fill the log."""

    def _send_page(self, name):
        if pages.PAGES[name][0] // 100 == 4:
            self.server.refusals.append(name)
        tongue = pages.language(self.headers.get("Accept-Language"))
        self._send(pages.response(name, tongue, language.translated_into))

    def _send(self, response):
        until = time.monotonic() + DRAIN_SECONDS
        self.connection.settimeout(DRAIN_SECONDS)
        self.wfile.write(response)
        self.server.connections[self.connection] = True
        self.connection.shutdown(socket.SHUT_WR)
        while time.monotonic() < until and self.connection.recv(RECEIVE_BYTES):
            pass


class CallbackServer(ThreadingHTTPServer):
    """``listeners``: listening sockets, which it closes. ``rules``: a CallbackRules. ``handle_return``: given a query,
    returns a page's name, and whether that ends the wait.

    ``addresses``: the first visitor of a path in it is sent on to its address; to all others it is not there.
    """

    def __init__(self, listeners, rules, handle_return):
        super().__init__(listeners[0].getsockname()[:2], _Handler, bind_and_activate=False)
        self.server_close()  # the socket that it would bind
        self._listeners = listeners
        self.rules = rules
        self.addresses = {}
        self.connections = {}  # socket -> whether it may be dropped to make room; the oldest first
        self.refusals = []  # pages that were shown since the last report
        self._handle_return = handle_return
        self._returns = queue.SimpleQueue()  # of (query, queue for the name of a page)
        self._bell, self._rings = socket.socketpair()  # wakes the main thread for a return
        self._final = {}  # query of the return that ended the wait -> page
        self._report_at = 0.0

    def serve(self, timeout_seconds, tick, on_input=None):
        """Answer requests until a return ends the wait, and return True; at the deadline return False.

        ``tick``: of ``progress.waiting``. ``on_input``: called whenever standard input has something to read; True from
        it ends the wait, EOFError says that nothing more will come."""
        for listener in self._listeners:
            listener.setblocking(False)  # nor does handle_request wait
        until = time.monotonic() + timeout_seconds
        try:
            while not self._final and (left := until - time.monotonic()) > 0:
                if 0 not in self._look(min(tick(left), REPORT_SECONDS), [0] if on_input else []):
                    continue
                try:
                    if on_input():
                        self._final = {None: pages.REFUSED}
                except EOFError:
                    on_input = None
            ended = time.monotonic()
            while self._final and not self._is_late_for_a_page(time.monotonic() - ended):
                if not self._look(FAREWELL_LOOK_SECONDS) and not self.connections:
                    break
            return bool(self._final)
        finally:
            self._report_at = 0.0
            self._report()
            for connection in list(self.connections):
                self._drop(connection)
            for one in (*self._listeners, self._bell, self._rings):
                one.close()

    def _is_late_for_a_page(self, seconds):
        """One that is on its way has more time: on a busy machine the browser's own may not have left yet."""
        is_on_its_way = False in list(self.connections.values())
        return seconds > (CONNECTION_SECONDS if is_on_its_way else FAREWELL_SECONDS)

    def _look(self, seconds, inputs=()):
        """Wait up to so many seconds, deal with returns and connections, and return all that was ready."""
        ready = select.select([*self._listeners, self._rings, *inputs], [], [], seconds)[0]
        if self._rings in ready:
            self._rings.recv(RECEIVE_BYTES)
        while not self._returns.empty():
            self._deal_with(*self._returns.get())
        for listener in self._listeners:
            if listener in ready:
                self.socket = listener
                self.handle_request()
        self._report()
        return ready

    def _deal_with(self, query, answer):
        if self._final:
            answer.put(self._final.get(query, pages.REFUSED))
            return
        page, is_final = self._handle_return(query)
        if is_final:
            self._final = {query: page}
        answer.put(page)

    def _report(self):
        """At most one line in ten seconds, however much junk comes."""
        count = len(self.refusals)
        if count and time.monotonic() >= self._report_at:
            del self.refusals[:count]
            self._report_at = time.monotonic() + REPORT_SECONDS
            reporting.event(f"callback listener: refused {count} request(s)", reporting.NOTICE)
            reporting.message(counted("ignored {count} unrelated request", "ignored {count} unrelated requests", count))

    def get_request(self):
        try:
            return super().get_request()
        except OSError:  # out of descriptors, or a client that is gone already
            self._make_room()
            time.sleep(NO_ROOM_PAUSE_SECONDS)
            raise

    def process_request(self, request, client_address):
        if len(self.connections) >= MOST_CONNECTIONS:
            self._make_room()
        self.connections[request] = True
        threading.stack_size(STACK_BYTES)
        super().process_request(request, client_address)
        threading.stack_size(0)  # the exchange may need more

    def _make_room(self):
        """Drop the oldest that may be: never the newcomer, who may be the browser."""
        for connection, may_go in list(self.connections.items()):
            if may_go:
                self._drop(connection)
                return

    def _drop(self, connection):
        self.connections.pop(connection, None)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # its thread sees that, and closes it

    # -- in the threads of the connections --

    def page_for(self, query):
        """Let the main thread deal with a return, and return the name of the page that it leads to."""
        answer = queue.SimpleQueue()
        self._returns.put((query, answer))
        self._bell.send(b"!")
        return answer.get()

    def close_request(self, request):
        super().close_request(request)
        self.connections.pop(request, None)

    def handle_error(self, request, client_address):
        """A client that is late or gone is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            reporting.defect(error)
