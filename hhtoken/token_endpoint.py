"""One POST to the token endpoint: the only user of ``requests``, and of the network.

The rules here come from one fact: once the request has left, its answer may be the only copy of the pair. So the
bytes go to the journal as they arrive, a broken transfer is an answer too, and only a request that certainly never
left is called not sent.
"""

import os
import sys
import threading
import time
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.answer import LARGEST_BODY_BYTES, Answer, holds_pair

CONNECT_SECONDS = 10  # for each address of the host
READ_SECONDS = 120  # long on purpose: the answer is worth more than the time
LONGEST_HEADER_CHARACTERS = 200

GONE = (404, 405, 410)


class NotSent(errors.TryLaterError):
    """The request has certainly not left this machine."""


class TokenEndpoint:
    """``addresses``: the token addresses to try in turn; a later one only where an earlier one is gone.
    ``deadline_seconds``: for a whole answer, however it drips."""

    def __init__(self, addresses, user_agent, deadline_seconds):
        self._addresses = addresses
        self._user_agent = user_agent
        self._deadline_seconds = deadline_seconds

    def prepare(self):
        """Load what a request needs, so that a broken installation shows before anything is spent."""
        _load_requests()

    def post(self, form, journal):
        """Send a form (a dict), put the raw answer into the journal, flushed, and return it as an Answer.

        Raise NotSent where nothing has left. Never follows a redirect; reads no proxy, netrc or CA setting from
        the environment.
        """
        answer, deadline = None, time.monotonic() + self._deadline_seconds
        for address in self._addresses:
            if answer is not None:
                journal.restart()
            answer = _Transfer(address, form, self._user_agent, journal).run(deadline - time.monotonic())
            if answer.status not in GONE or holds_pair(answer.body):
                break
        journal.finish(answer)
        return answer


class _TooLate(Exception):
    """The deadline is over: nothing may be sent, or put into the journal, any more."""


class _Transfer:
    """One request and its answer, in a thread of its own: the deadline then holds for a slow resolver, a header
    that drips and a body that never ends alike, and signals reach the main thread meanwhile.

    What the threads share (``_head``, ``_body``, ``_stage``, the journal) is touched under the lock, and by the worker
    only until the deadline is over.
    """

    NEW, CONNECTING, CONNECTED = range(3)

    def __init__(self, address, form, user_agent, journal):
        self._address = address
        self._form = form
        self._user_agent = user_agent
        self._journal = journal
        self._lock = threading.Lock()
        self._is_over = False
        self._stage = self.NEW
        self._head = {}
        self._body = bytearray()
        self._failure = None

    def run(self, seconds):
        """Return the Answer that has come within so many seconds; raise NotSent where nothing has left."""
        thread = threading.Thread(target=self._work, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # "can't start new thread"
            raise NotSent("there is no room for a thread; nothing was sent", _HINT_LIMITS) from None
        thread.join(max(0, seconds))
        with self._lock:
            self._is_over = True
        answer = Answer(body=bytes(self._body), received_at=int(time.time()))
        for name, value in self._head.items():
            setattr(answer, name, value)
        if thread.is_alive():
            self._require_connection()
            answer.failure = "no complete answer came in time"
        elif self._failure is not None:
            answer.failure = self._judge_failure(self._failure)
        return answer

    def _work(self):
        try:
            with _session(self._user_agent, self._note_stage) as session:
                response = session.post(
                    self._address,
                    data=self._form,
                    stream=True,
                    allow_redirects=False,
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                )
                self._read(response)
        except Exception as error:  # judged in run(): any failure after the request has left is an outcome
            self._failure = error

    def _note_stage(self, stage):
        with self._lock:
            if self._is_over:
                raise _TooLate
            self._stage = stage

    def _note_head(self, **head):
        with self._lock:
            if self._is_over:
                raise _TooLate
            self._head.update(head)

    def _note_chunk(self, chunk):
        with self._lock:
            if self._is_over:
                raise _TooLate
            self._body += chunk
            self._journal.append(chunk)

    def _read(self, response):
        headers = response.headers
        self._note_head(
            status=response.status_code,
            received_at=int(time.time()),
            retry_after=_short(headers.get("Retry-After")),
            date=_short(headers.get("Date")),
            request_id=_short(headers.get("X-Request-Id")),
            location_host=_host(headers.get("Location")),
        )
        expected = _expected_length(headers)
        while expected is None or len(self._body) < expected:
            chunk = _read_some(response.raw, LARGEST_BODY_BYTES - len(self._body), expected, len(self._body))
            if not chunk:
                if expected is not None:
                    self._note_head(failure="the connection ended in the middle of the answer")
                    return
                break
            self._note_chunk(chunk)
            if holds_pair(self._body):
                break  # whatever the framing still promises
            if len(self._body) >= LARGEST_BODY_BYTES:
                self._note_head(failure=f"larger than {LARGEST_BODY_BYTES // 1024} KiB")
                break
        self._note_head(complete=True)

    def _require_connection(self):
        if self._stage != self.CONNECTED:
            raise NotSent(f"no connection to {self._host()} in time; nothing was sent", _HINT_NETWORK)

    def _judge_failure(self, error):
        """Return a description of what broke the answer; raise NotSent where nothing had left."""
        from requests import exceptions

        if self._stage == self.CONNECTED or self._stage == self.NEW and isinstance(error, exceptions.ReadTimeout):
            return f"the connection broke ({type(error).__name__})"
        if isinstance(error, exceptions.SSLError):
            what = "no TLS with"
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                what = "no trust in the certificate of"
            raise NotSent(
                f"{what} {self._host()}, so nothing was sent",
                "check the clock with 'date' and the package ca-certificates; someone may be in the middle",
            )
        if isinstance(error, exceptions.Timeout):
            raise NotSent(f"{self._host()} did not answer in time; nothing was sent", _HINT_NETWORK)
        raise NotSent(f"cannot reach {self._host()} ({type(error).__name__}); nothing was sent", _HINT_NETWORK)

    def _host(self):
        return urlsplit(self._address).hostname


_HINT_LIMITS = "look at 'free -m' and at the limits of this shell (ulimit -a); the next run tries again"
_HINT_NETWORK = "check the network and the name server; the next run tries again"


def from_settings(settings):
    """Given the Settings, return the TokenEndpoint that they name; raise ConfigError."""
    return TokenEndpoint(settings.token_urls(), settings.user_agent(), settings.deadline_seconds())


def _load_requests():
    os.environ.pop("SSLKEYLOGFILE", None)  # urllib3 would write the TLS keys of our secrets into that file
    if "site" not in sys.modules:  # bin/hhtoken starts without it, for the sake of `show`
        import site

        site.main()
    try:
        import requests
    except ImportError:
        raise errors.ConfigError(
            "the Python library 'requests' is missing", "type: apt install python3-requests (or: pip install requests)"
        ) from None
    return requests


def _session(user_agent, note):
    """Return a requests session that takes nothing from its environment, and tells ``note`` the stage of its
    connection; TLS belongs to connecting."""
    requests = _load_requests()
    session = requests.Session()
    session.trust_env = False  # no proxy, no .netrc, no CA bundle from the environment
    session.get_redirect_target = lambda _response: None  # else requests reads the body of a redirect, all of it
    session.headers.clear()
    session.headers.update(
        {
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
    )
    session.mount("http://", _noting_adapter(note))
    session.mount("https://", _noting_adapter(note))
    return session


def _noting_adapter(note):
    """Return an adapter whose connections tell when they stand: a failure before that has sent nothing."""
    from requests.adapters import HTTPAdapter

    class NotingAdapter(HTTPAdapter):
        def init_poolmanager(self, *arguments, **options):
            super().init_poolmanager(*arguments, **options)
            pools = self.poolmanager.pool_classes_by_scheme
            self.poolmanager.pool_classes_by_scheme = {
                scheme: _noting_pool(pool, note) for scheme, pool in pools.items()
            }

    return NotingAdapter(max_retries=0)


def _noting_pool(pool, note):
    class NotingConnection(pool.ConnectionCls):
        def connect(self):
            note(_Transfer.CONNECTING)
            result = super().connect()
            note(_Transfer.CONNECTED)
            return result

    return type(pool.__name__, (pool,), {"ConnectionCls": NotingConnection})


def _read_some(raw, room, expected, received):
    """Return what has arrived, b"" at the end; raise what the connection raises.

    Not ``raw.read()``: that waits for a full buffer and loses all of it when the connection breaks.
    """
    wanted = room if expected is None else min(room, expected - received)
    stream = getattr(raw, "_fp", None) or raw
    return stream.read1(wanted)


def _expected_length(headers):
    """Return how many bytes of body are to come, or None where the framing does not say it beforehand."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():  # which then decides (RFC 9112 section 6.3)
        return None
    length = headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


def _short(value):
    return value[:LONGEST_HEADER_CHARACTERS] if value else None


def _host(location):
    try:
        return _short(urlsplit(location).hostname) if location else None
    except ValueError:
        return None
