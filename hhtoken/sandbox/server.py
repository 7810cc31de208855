"""Serve the sandbox over HTTP in threads. ``start`` is the way in, for the command and for tests alike:

with start(expires_in=1) as sandbox:
    requests.post(sandbox.url + "/oauth/token", …)
    sandbox.weather.add("reset_after")
    sandbox.provider.change_password()
"""

import socket
import sys
import threading
import time
import traceback
from socketserver import TCPServer, ThreadingMixIn

from hhtoken.sandbox import delivery
from hhtoken.sandbox.faults import Weather
from hhtoken.sandbox.handler import Handler
from hhtoken.sandbox.provider import Provider
from hhtoken.sandbox.request_log import RequestLog
from hhtoken.sandbox.settings import Settings

STOP_POLL_SECONDS = 0.05  # how long ``close`` may wait for the accepting loop


def start(host="127.0.0.1", port=0, log=None, clock=time.time, **changes):
    """Given where to listen (port 0: a free one), return a running Sandbox; raise OSError if it cannot listen.

    ``changes`` are members of Settings by name. ``log`` gets one line of text a request, without secrets.
    ``clock`` returns Unix seconds. The Sandbox is a context manager; ``close`` ends it.
    """
    return Sandbox((host, port), Settings(**changes), log, clock)


class Sandbox:
    """A running sandbox: ``url``, ``provider``, ``weather``, ``requests`` (a RequestLog), ``settings``, ``auto``."""

    def __init__(self, address, settings, log, clock):
        self.settings = settings
        self.auto = settings.auto  # settings.ALLOW, settings.DENY, or None to ask on a page
        self.log = log or (lambda _line: None)
        self.provider = Provider(settings, clock)
        self.weather = Weather()
        self.requests = RequestLog()
        self.closing = threading.Event()
        self._server = _Server(address, self)
        self.url = _url(*self._server.server_address[:2])
        threading.Thread(target=self._server.serve_forever, args=(STOP_POLL_SECONDS,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def environment(self):
        """Return the settings of a client for this sandbox, by hhtoken's names for them."""
        return {
            "HH_CLIENT_ID": self.settings.client_id,
            "HH_CLIENT_SECRET": self.settings.client_secret,
            "HH_REDIRECT_URI": self.settings.redirect_uri,
            "HH_AUTHORIZE_URL": self.url + "/oauth/authorize",
            "HH_TOKEN_URL": self.url + "/oauth/token",
            "HH_API_URL": self.url,
        }

    def reset(self):
        """Forget all that was issued, all faults and all counters; everything as at the start."""
        self.provider.reset()
        self.weather.clear()
        self.requests.clear()
        self.auto = self.settings.auto

    def close(self):
        """Stop accepting, end what hangs or drips, close every connection and the port."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.drop_connections()


class _Server(ThreadingMixIn, TCPServer):
    # Not http.server's: it asks the name service for its own name before it serves.
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256  # bursts of clients that connect all at once

    def __init__(self, address, sandbox):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sandbox = sandbox
        self._open = set()
        self._open_lock = threading.Lock()
        super().__init__(address, Handler)

    def process_request(self, request, client_address):
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self._open_lock:
            self._open.discard(request)
        if delivery.will_reset(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def drop_connections(self):
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # gone already

    def handle_error(self, request, client_address):
        """A defect in the sandbox: one line, and no traceback, which would show what the client sent."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.sandbox.log(f"defect: {type(error).__name__} in {place.name}, line {place.lineno}")


def _url(host, port):
    # A client is not told to connect to "any address"; this machine is the one that can.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
