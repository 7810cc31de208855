"""A session of ``requests``, of which this is the only user, that takes nothing from its environment and tells how far
a connection has come: what fails before it stands has sent nothing."""

import errno
import io
import os
import socket
import sys
import time

from hhtoken import errors
from hhtoken.wording import N_

NEW, CONNECTING, CONNECTED = range(3)  # the stages of a connection; TLS belongs to connecting
CONTINUE = 100
GLANCE_SECONDS = 0.001  # for what is here already
MOST_LATE_READS = 64  # of up to 8 KiB and more each: the largest answer, and an end for one that never pauses
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


def load():
    """Return the module ``requests``; raise ConfigError where it is not installed."""
    os.environ.pop("SSLKEYLOGFILE", None)  # urllib3 would write the TLS keys of our secrets into that file
    find_libraries()
    try:
        import requests
    except ImportError:
        raise errors.ConfigError(
            N_("the Python library 'requests' is missing"),
            N_("type: apt install python3-requests (or: pip install requests)"),
        ) from None
    return requests


def find_libraries():
    """Make installed libraries importable: bin/hhtoken starts without them, for the sake of ``show``."""
    if "site" not in sys.modules:  # pragma: no cover (without it coverage does not start either)
        import site

        site.main()


def authorities():
    """Return the path of the certificate authorities that every session trusts; raise ConfigError as ``load`` does."""
    return load().certs.where()


def session(headers, note, until):
    """Return a session that sends these headers (a dict), and calls ``note`` with each stage of its connection.

    ``until``: given the read timeout, which is for one silence, returns the moment of CLOCK_MONOTONIC that ends the
    whole answer, head and body, however it drips. What is here by then is still read.
    """
    requests = load()
    made = requests.Session()
    made.trust_env = False  # no proxy, no .netrc, no CA bundle from the environment
    made.get_redirect_target = lambda _response: None  # else requests reads the body of a redirect, all of it
    made.headers.clear()
    made.headers.update({"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close", **headers})
    made.mount("http://", _noting_adapter(note, until))
    made.mount("https://", _noting_adapter(note, until))
    return made


def failures():
    """Return the exceptions that a session raises where no answer comes."""
    return (load().RequestException,)


def kind_of(error):
    """Given what a session raised, return "timeout", "read timeout", "certificate", "tls", "refused",
    "unreachable" or "connection"."""
    exceptions = load().exceptions
    if isinstance(error, exceptions.SSLError):
        return "certificate" if "CERTIFICATE_VERIFY_FAILED" in str(error) else "tls"
    if isinstance(error, exceptions.ReadTimeout):
        return "read timeout"
    if isinstance(error, exceptions.Timeout):
        return "timeout"
    code = getattr(_of_system(error), "errno", None)
    if code in NO_ROUTE:
        return "unreachable"
    return "refused" if code == errno.ECONNREFUSED else "connection"


def reason_of(error):
    """Given what a session raised, return the Text of what the system says of it, or None."""
    found = _of_system(error)
    return errors.reason(found) if found else None


def _of_system(error):
    """Return the OSError of the system that is wrapped in an exception, several times; or None."""
    while error and not (isinstance(error, OSError) and error.errno and error.strerror):
        error = error.__cause__ or error.__context__
    return error


def _noting_adapter(note, until):
    """Return an adapter whose connections tell when they stand, and whose answers end in time."""
    from requests.adapters import HTTPAdapter

    class NotingAdapter(HTTPAdapter):
        def init_poolmanager(self, *arguments, **options):
            super().init_poolmanager(*arguments, **options)
            pools = self.poolmanager.pool_classes_by_scheme
            self.poolmanager.pool_classes_by_scheme = {
                scheme: _noting_pool(pool, note, until) for scheme, pool in pools.items()
            }

    return NotingAdapter(max_retries=0)


def _noting_pool(pool, note, until):
    class FinalResponse(pool.ConnectionCls.response_class):
        def __init__(self, sock, *arguments, **options):
            super().__init__(sock, *arguments, **options)
            self.fp = io.BufferedReader(_ReaderInTime(self.fp.detach(), sock, until(sock.gettimeout())))

        def begin(self):
            """Of lengths that contradict each other none is believed; urllib3 would give the whole answer up."""
            super().begin()
            named = ",".join(self.headers.get_all("Content-Length", ())).split(",")
            if len({length.strip() for length in named}) > 1:
                del self.headers["Content-Length"]
                self.length = None

        def _read_status(self):
            """http.client skips 100 Continue, but takes 103 Early Hints for the answer itself."""
            version, status, reason = super()._read_status()
            return version, CONTINUE if CONTINUE < status < 200 else status, reason

    class NotingConnection(pool.ConnectionCls):
        response_class = FinalResponse

        def connect(self):
            note(CONNECTING)
            result = super().connect()
            note(CONNECTED)
            return result

    return type(pool.__name__, (pool,), {"ConnectionCls": NotingConnection})


class _ReaderInTime(io.RawIOBase):
    """``received``: the SocketIO of ``sock``. ``until``: the moment of CLOCK_MONOTONIC after which nothing is waited
    for; what is here by then is read all the same, since this process may have been stopped while it came."""

    def __init__(self, received, sock, until):
        self._received = received
        self._socket = sock
        self._patience = sock.gettimeout()
        self._until = until
        self._late_reads = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        """Read what has come, as RawIOBase has it; raise ``socket.timeout``."""
        left = self._until - time.monotonic()
        if left <= 0:
            self._late_reads += 1
            if self._late_reads > MOST_LATE_READS:
                raise socket.timeout
        wait = max(min(left, self._patience), GLANCE_SECONDS)
        if wait != self._socket.gettimeout():  # mostly it is: then this makes no system call more than without us
            self._socket.settimeout(wait)
        try:
            return self._socket.recv_into(buffer)
        except socket.timeout:
            # Python does not look once more where a signal came, and then the time was over.
            self._socket.settimeout(GLANCE_SECONDS)
            return self._socket.recv_into(buffer)

    def close(self):
        self._received.close()  # which lets go of the socket
        super().close()
