"""One HTTP request and its whole answer under one deadline: every request of hhtoken goes this way.

A broken transfer is an answer too, and only a request that certainly never left is called not sent. Only what
``requests`` and ``urllib3`` document is used, so that their next release breaks nothing here.
"""

import contextlib
import errno
import os
import re
import signal
import socket
import sys
import threading
import time
import warnings
from collections import namedtuple
from urllib.parse import urlencode, urlsplit

from hhtoken import errors
from hhtoken.console import hints, progress
from hhtoken.provider.answer import LARGEST_BODY_BYTES, Answer
from hhtoken.text import N_

CONNECT_SECONDS = 30  # for all addresses of the host, a proxy and TLS
# As urllib3 has it, the form leaves at once; and by tcp(7) a silent address is given up after 3 seconds.
SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)]
READ_SECONDS = 120  # long on purpose: the answer is worth more than the time
LAST_LOOK_SECONDS = 10  # after the deadline, for what is here already; see RESCUE_SECONDS of renewal/exchange
LONGEST_HEADER_CHARACTERS = 200
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)
FORM_TYPE = "application/x-www-form-urlencoded"
NO_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # http.client's words for the refusal of a proxy

HINT_LIMITS = N_("look at 'free -m' and at the limits of this shell (ulimit -a)")
HINT_NETWORK = N_("check the network and the name server")
HINT_REFUSED = N_("check the address and its port, and the firewall")
HINT_ROUTE = N_("the network is down, or has no route there: see 'ip route' and 'ip link'")
HINT_HELD_UP = N_("another host may try by now")
HINT_PROXY = N_("check HH_PROXY (http://HOST:PORT or http://USER:PASSWORD@HOST:PORT), and what the proxy permits")
HINT_OF = {errno.ECONNREFUSED: HINT_REFUSED, **dict.fromkeys(NO_ROUTE, HINT_ROUTE)}


class NotSent(errors.TryLaterError):
    """The request has certainly not left, or no more of it than its head, which holds no secret. The hint says what to
    fix; who tries again, and when, is for the caller to add."""


# How HeadHunter is reached. ``authorities``: the path of the certificates to trust, None for those that come with
# ``requests``. ``proxy``: the address of a proxy for https, perhaps with a password, or None. ``ignored``: the variable
# of the environment that names a proxy in vain, or None.
Route = namedtuple("Route", ("authorities", "proxy", "ignored"))
DIRECT = Route(None, None, None)


def load():
    """Return the module ``requests``; raise ConfigError where it is not installed."""
    os.environ.pop("SSLKEYLOGFILE", None)  # urllib3 would write the TLS keys of our secrets into that file
    find_libraries()
    warnings.filterwarnings("ignore", module="urllib3|requests")  # such as that about a clock in 1970
    try:
        import requests
    except ImportError:
        raise errors.ConfigError(
            N_("the Python library 'requests' is missing"),
            hints.to_install("requests"),
        ) from None
    return requests


def find_libraries():
    """Make installed libraries importable: bin/hhtoken starts without them, for the sake of ``show``."""
    if "site" not in sys.modules:  # pragma: no cover (without it coverage does not start either)
        import site

        site.main()


def session(headers, route=DIRECT):
    """Return a session of ``requests`` that sends these headers (a dict), takes nothing from its environment (proxies,
    .netrc, a CA bundle), and never follows a redirect."""
    requests = load()

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *arguments, **more):
            super().init_poolmanager(*arguments, socket_options=SOCKET_OPTIONS, **more)

        def proxy_manager_for(self, proxy, **more):
            return super().proxy_manager_for(proxy, socket_options=SOCKET_OPTIONS, **more)

    made = requests.Session()
    made.mount("https://", Adapter())
    made.mount("http://", Adapter())
    made.trust_env = False
    made.verify = route.authorities or True
    made.proxies = {"https": route.proxy}  # an http address is on this machine
    made.get_redirect_target = lambda _response: None  # else requests reads the body of a redirect, all of it
    made.headers.clear()
    made.headers.update({"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close", **headers})
    return made


def start_thread(work):
    """Call ``work`` in a thread that no signal interrupts and that no exit waits for; return the Thread. Raise NotSent
    where there is no room for one."""

    def run():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        work()

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError):  # "can't start new thread"
        raise NotSent(N_("there is no room for a thread; nothing was sent"), HINT_LIMITS) from None
    return thread


class Transfer:
    """``method``, ``address``, ``headers`` (a dict), ``form`` (a dict, or None): what to send. ``keep``: is called
    with each piece of the body as it arrives. ``is_enough``: told the body so far, says whether to read no further.
    ``send_before``: asked before the form is sent, returns the latest moment, of CLOCK_BOOTTIME, to do so; or None.
    ``route``: see Route.

    It runs in a thread of its own: the deadline then holds for a slow resolver, a header that drips and a body that
    never ends alike, and signals reach the main thread meanwhile. After the deadline no form is sent; what has come by
    then of an answer to one is still read: the whole process may have been stopped while it came.

    What the threads share the worker changes under the lock, and only until ``_is_over``: then it stands, as one.
    """

    def __init__(self, method, address, headers, form=None, keep=None, is_enough=None, send_before=None, route=DIRECT):
        self._headers = headers
        self._has_form = form is not None
        self._request = {"method": method, "url": address}
        if self._has_form:
            self._request.update(data=_Form(form, self._before_form), headers={"Content-Type": FORM_TYPE})
        self._host, self._route = urlsplit(address).hostname, route
        is_by_proxy = route.proxy and urlsplit(address).scheme == "https"
        self._proxy = urlsplit(route.proxy).netloc.rpartition("@")[2] if is_by_proxy else None
        self._keep = keep or (lambda _piece: None)
        self._is_enough = is_enough or (lambda _body: False)
        self._send_before = send_before
        self._connect_until = self._deadline = None  # of CLOCK_MONOTONIC, once it runs
        self._lock = threading.Lock()
        self._is_over = False
        self._is_sent = False  # the form
        self._answer = Answer()
        self._body = bytearray()
        self._kept = 0  # bytes of it
        self._failure = _TooLate()  # until the worker ends otherwise

    def run(self, seconds):
        """Return the Answer that has come within so many seconds; raise NotSent where nothing has left."""
        self._deadline = time.monotonic() + seconds
        self._connect_until = time.monotonic() + min(seconds, CONNECT_SECONDS)
        self._await(start_thread(self._work))
        with self._lock:
            self._is_over = True
        answer = self._answer
        answer.body = bytes(self._body)
        self._hand_over()
        answer.received_at = answer.received_at or int(time.time())
        if self._failure and not answer.complete:
            answer.failure = self._judge(self._failure)
        return answer

    def _await(self, thread):
        with progress.waiting(N_("waiting for the answer of {host}", host=self._host)) as tick:
            while thread.is_alive() and (left := self._until() - time.monotonic()) > 0:
                thread.join(tick(left))
        with self._lock:
            self._is_over = not self._is_sent
        if self._is_sent:
            thread.join(LAST_LOOK_SECONDS)

    def _until(self):
        return self._connect_until if self._has_form and not self._is_sent else self._deadline

    def _work(self):
        failure = None
        patience = max(1, min(READ_SECONDS, self._deadline - time.monotonic()))
        try:
            with session(self._headers, self._route) as one:
                with one.request(**self._request, stream=True, timeout=(CONNECT_SECONDS, patience)) as response:
                    self._read(response)
        except Exception as error:  # judged in run(): any failure after the request has left is an outcome
            failure = error if time.monotonic() < self._until() else _TooLate()
        with contextlib.suppress(_TooLate), self._noting():
            self._failure = failure

    def _before_form(self):
        latest = self._send_before() if self._send_before else None  # it may ask etcd, so not under the lock
        with self._noting():
            if time.monotonic() >= self._connect_until:
                raise _TooLate
            if latest is not None and time.clock_gettime(time.CLOCK_BOOTTIME) > latest:
                raise NotSent(N_("this host was held up for too long; nothing was sent"), HINT_HELD_UP)
            self._is_sent = True

    def _read(self, response):
        if response.status_code < 200:  # early hints, behind which http.client does not look for the answer
            raise EOFError
        with self._noting():
            self._answer.status = response.status_code
            self._answer.received_at = int(time.time())
            self._answer.retry_after = _short(response.headers.get("Retry-After"))
            self._answer.date = _short(response.headers.get("Date"))
            self._answer.request_id = _short(response.headers.get("X-Request-Id"))
            self._answer.location_host = _host(response.headers.get("Location"))
        while len(self._body) < LARGEST_BODY_BYTES:
            # Byte by byte: a longer read waits until it is full, and loses all of it when the connection breaks.
            byte = response.raw.read(1, decode_content=False)
            if not byte:
                if response.raw.length_remaining:
                    raise EOFError
                break
            with self._noting():
                self._body += byte
                if byte == b"}":
                    self._hand_over()
            if byte == b"}" and self._is_enough(self._body):
                break  # whatever the framing still promises
        with self._noting():
            self._answer.complete = True
            if len(self._body) >= LARGEST_BODY_BYTES:
                self._answer.failure = N_("larger than {size} KiB", size=LARGEST_BODY_BYTES // 1024)

    def _hand_over(self):
        """Keep in one write what may end the JSON: one for each byte would be many moments at which a kill loses it."""
        if self._kept < len(self._body):
            self._keep(bytes(self._body[self._kept :]))
            self._kept = len(self._body)

    @contextlib.contextmanager
    def _noting(self):
        with self._lock:
            if self._is_over:
                raise _TooLate
            yield

    def _judge(self, error):
        """Return the Text of what broke the answer; raise NotSent where nothing had left.

        A form is asked for once the connection stands, so of that there is no doubt. Of a request without one the
        exception must tell.
        """
        from urllib3 import exceptions

        failed = getattr(next(iter(error.args), None), "reason", None)  # as requests wraps it
        failed = getattr(failed, "original_error", failed)  # as urllib3 wraps what befalls it at a proxy
        is_distrust = "CERTIFICATE_VERIFY_FAILED" in str(error)
        no_tunnel = self._proxy and NO_TUNNEL.search(str(error))
        is_no_connection = isinstance(failed, (exceptions.NewConnectionError, exceptions.ConnectTimeoutError))
        if not (self._is_sent if self._has_form else not (is_no_connection or is_distrust or no_tunnel)):
            raise error if isinstance(error, NotSent) else self._not_sent(error, is_distrust, no_tunnel)
        if isinstance(error, _TooLate):
            return N_("no complete answer came in time")
        is_late = isinstance(error, (load().Timeout, exceptions.TimeoutError))
        reason = N_("no answer in time") if is_late else N_("the answer was cut short, or is no HTTP")
        found = _of_system(error)
        return N_("the connection broke ({error})", error=errors.reason(found) if found else reason)

    def _not_sent(self, error, is_distrust, no_tunnel):
        found, requests = _of_system(error), load()
        reason = errors.reason(found) if found else N_("no connection")
        hint = HINT_PROXY if self._proxy else HINT_OF.get(getattr(found, "errno", None), HINT_NETWORK)
        is_tls = is_distrust or isinstance(error, requests.exceptions.SSLError)
        if is_tls:
            reason = N_("its certificate is not trusted") if is_distrust else N_("what answers does not speak TLS")
            hint = N_(
                "check the clock with 'date'; someone may be in the middle; hhtoken trusts the authorities in {file}, "
                "or in the file that HH_CA_FILE names",
                file=self._route.authorities or requests.certs.where(),
            )
        elif isinstance(error, (_TooLate, requests.Timeout)):
            reason = N_("no answer in time")
        elif no_tunnel:
            reason = N_("it answered {status}", status=no_tunnel.group(1))
        if hint is HINT_PROXY:
            reason = N_("the proxy {proxy}: {reason}", proxy=self._proxy, reason=reason)
        elif self._route.ignored and not is_tls:
            name = self._route.ignored
            hint = N_("{hint}; {name} has no effect: name the proxy in HH_PROXY", hint=hint, name=name)
        return NotSent(N_("cannot reach {host} ({error}); nothing was sent", host=self._host, error=reason), hint)


class _Form:
    """A form as a body that is streamed: ``requests`` asks for its bytes once the connection stands. ``before``: is
    called then, and may raise."""

    def __init__(self, fields, before):
        self._data = urlencode(fields).encode()
        self._before = before

    def __len__(self):
        return len(self._data)

    def __iter__(self):
        self._before()
        yield self._data


class _TooLate(Exception):
    """The deadline is over: nothing may be sent, or kept, any more."""


def _of_system(error):
    """Return the OSError of the system that is wrapped in an exception, several times; or None."""
    while error and not (isinstance(error, OSError) and error.errno and error.strerror):
        error = error.__cause__ or error.__context__
    return error


def _short(value):
    return value[:LONGEST_HEADER_CHARACTERS] if value else None


def _host(location):
    try:
        return _short(urlsplit(location).hostname) if location else None
    except ValueError:
        return None
