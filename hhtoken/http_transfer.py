"""One HTTP request and its whole answer under one deadline: every request of hhtoken goes this way.

A broken transfer is an answer too, and only a request that certainly never left is called not sent.
"""

import contextlib
import threading
import time
from urllib.parse import urlsplit

from hhtoken import errors, http_session, progress
from hhtoken.answer import LARGEST_BODY_BYTES, Answer, object_in
from hhtoken.wording import N_

CONNECT_SECONDS = 10  # for each address of the host
READ_SECONDS = 120  # long on purpose: the answer is worth more than the time
LAST_LOOK_SECONDS = 10  # after the deadline at most, to read what is here already; see RESCUE_SECONDS of grants
LONGEST_HEADER_CHARACTERS = 200

HINT_LIMITS = N_("look at 'free -m' and at the limits of this shell (ulimit -a)")
HINT_NETWORK = N_("check the network and the name server")
HINT_REFUSED = N_("check the address and its port, and the firewall")
HINT_ROUTE = N_("the way there is down, or missing: see 'ip route' and 'ip link'")
HINT_HELD_UP = N_("another host may try by now")
HINT_TLS = N_("someone may be in the middle: check the clock with 'date', and the package ca-certificates")


class NotSent(errors.TryLaterError):
    """The request has certainly not left this machine. The hint says what to mend; who tries again, and when, is for
    the caller to add."""


class Transfer:
    """``method``, ``address``, ``headers`` (a dict), ``form`` (a dict, or None): what to send. ``keep``: is called
    with each piece of the body as it arrives. ``is_enough``: told the body so far, says whether to read no further.
    ``send_before``: the latest moment, of CLOCK_BOOTTIME, at which to send, or None.

    It runs in a thread of its own: the deadline then holds for a slow resolver, a header that drips and a body that
    never ends alike, and signals reach the main thread meanwhile. After the deadline nothing is sent or waited for any
    more; but what has come by then is still read: the whole process may have been stopped while it came.

    What the threads share (``_stage``, ``_head``, ``_body``, ``_failure``, what ``keep`` writes to) the worker changes
    under the lock, and only until ``_is_over``: from then on it stands, and is judged as one.
    """

    def __init__(self, method, address, headers, form=None, keep=None, is_enough=None, send_before=None):
        self._request = {"method": method, "url": address, "data": form}
        self._host = urlsplit(address).hostname
        self._headers = headers
        self._keep = keep or (lambda _chunk: None)
        self._is_enough = is_enough or (lambda _body: False)
        self._send_before = send_before
        self._deadline = None  # of CLOCK_MONOTONIC, once it runs
        self._lock = threading.Lock()
        self._is_over = False
        self._stage = http_session.NEW
        self._head = {}
        self._body = bytearray()
        self._failure = _TooLate()  # until the worker ends otherwise

    def run(self, seconds):
        """Return the Answer that has come within so many seconds; raise NotSent where nothing has left.

        Never follows a redirect; reads no proxy, netrc or CA setting from the environment.
        """
        self._deadline = time.monotonic() + seconds
        thread = threading.Thread(target=self._work, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # "can't start new thread"
            raise NotSent(N_("there is no room for a thread; nothing was sent"), HINT_LIMITS) from None
        self._await(thread)
        with self._lock:
            self._is_over = True
        answer = Answer(body=bytes(self._body), received_at=int(time.time()))
        for name, value in self._head.items():
            setattr(answer, name, value)
        if self._failure and not answer.complete:
            answer.failure = self._judge_failure(self._failure)
        return answer

    def _await(self, thread):
        with progress.waiting(N_("waiting for the answer of {host}", host=self._host)) as tick:
            while thread.is_alive() and time.monotonic() < self._deadline:
                thread.join(tick(self._deadline - time.monotonic()))
        with self._lock:
            is_connected = self._stage == http_session.CONNECTED
        if is_connected:
            thread.join(LAST_LOOK_SECONDS)

    def _work(self):
        failure = None
        try:
            with http_session.session(self._headers, self._note_stage, lambda _patience: self._deadline) as session:
                response = session.request(
                    **self._request, stream=True, allow_redirects=False, timeout=(CONNECT_SECONDS, READ_SECONDS)
                )
                with response:  # which closes the connection also where reading breaks
                    self._read(response)
        except Exception as error:  # judged in run(): any failure after the request has left is an outcome
            failure = error if time.monotonic() < self._deadline else _TooLate()
        with contextlib.suppress(_TooLate), self._noting():
            self._failure = failure

    def _note_stage(self, stage):
        with self._noting():
            if time.monotonic() >= self._deadline:
                raise _TooLate
            if self._send_before and time.clock_gettime(time.CLOCK_BOOTTIME) > self._send_before:
                raise _HeldUp
            self._stage = stage

    def _note_head(self, **head):
        with self._noting():
            self._head.update(head)

    def _note_chunk(self, chunk):
        with self._noting():
            self._body += chunk
            self._keep(chunk)

    @contextlib.contextmanager
    def _noting(self):
        with self._lock:
            if self._is_over:
                raise _TooLate
            yield

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
        while expected is None or len(self._body) < expected or _is_cut_short(self._body):
            chunk = _read_some(response.raw, LARGEST_BODY_BYTES - len(self._body))
            if not chunk:
                if expected is not None and len(self._body) < expected:
                    self._note_head(failure=N_("the connection ended in the middle of the answer"))
                    return
                break
            self._note_chunk(chunk)
            if self._is_enough(self._body):
                break  # whatever the framing still promises
            if len(self._body) >= LARGEST_BODY_BYTES:
                self._note_head(failure=N_("larger than {size} KiB", size=LARGEST_BODY_BYTES // 1024))
                break
        self._note_head(complete=True)

    def _judge_failure(self, error):
        """Return a description of what broke the answer; raise NotSent where nothing had left."""
        is_connected = self._stage == http_session.CONNECTED
        if isinstance(error, _TooLate) and is_connected:
            return N_("no complete answer came in time")
        if isinstance(error, _TooLate):
            raise NotSent(N_("no connection to {host} in time; nothing was sent", host=self._host), HINT_NETWORK)
        if isinstance(error, _HeldUp):
            raise NotSent(N_("this host was held up for too long; nothing was sent"), HINT_HELD_UP)
        kind, reason = http_session.kind_of(error), http_session.reason_of(error)
        if is_connected or self._stage == http_session.NEW and kind == "read timeout":
            late = kind in ("timeout", "read timeout")
            reason = reason or (N_("no answer in time") if late else N_("the answer was cut short, or is no HTTP"))
            return N_("the connection broke ({error})", error=reason)
        if kind == "certificate":
            raise NotSent(N_("no trust in the certificate of {host}, so nothing was sent", host=self._host), HINT_TLS)
        if kind == "tls":
            raise NotSent(N_("no TLS with {host}, so nothing was sent", host=self._host), HINT_TLS)
        if kind in ("timeout", "read timeout"):
            raise NotSent(N_("{host} did not answer in time; nothing was sent", host=self._host), HINT_NETWORK)
        if kind == "refused":
            raise NotSent(N_("{host} refused the connection; nothing was sent", host=self._host), HINT_REFUSED)
        reason = reason or N_("no connection")
        raise NotSent(
            N_("cannot reach {host} ({error}); nothing was sent", host=self._host, error=reason),
            HINT_ROUTE if kind == "unreachable" else HINT_NETWORK,
        )


class _TooLate(Exception):
    """The deadline is over: nothing may be sent, or kept, any more."""


class _HeldUp(Exception):
    """The latest moment at which to send is over: another host may have sent meanwhile."""


def _read_some(raw, most):
    """Return what has arrived, b"" at the end; raise what the connection raises.

    Not ``raw.read()``: that waits for a full buffer and loses all of it when the connection breaks.
    """
    stream = getattr(raw, "_fp", None) or raw
    stream.length = None  # how long the body is we judge ourselves
    return stream.read1(most)


def _is_cut_short(body):
    """Tell whether a body that is as long as its header says ends within a JSON object: then that was a lie."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and object_in(body) is None


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
