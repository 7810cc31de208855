"""``hhtoken serve-callback``: wait for one browser, exchange its code, store the pair, end."""

from urllib.parse import urlsplit

from hhtoken import (
    addresses,
    authorization,
    callback_page,
    callback_server,
    config,
    durations,
    errors,
    grants,
    outcomes,
    reporting,
    signals,
    token_endpoint,
)
from hhtoken import arguments as argument_types
from hhtoken.callback_rules import CallbackRules
from hhtoken.callback_server import Reply
from hhtoken.pending_state import PendingAuthorizations
from hhtoken.token_store import open_store

SUMMARY = "wait for the browser to come back, then store the pair"

DEFAULT_LISTEN = "127.0.0.1:8000"
DEFAULT_TIMEOUT_SECONDS = 600
STRAY_VISIT_SECONDS = 5  # started by systemd for a visitor while no authorization is under way


def add_arguments(parser):
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help=f"where to listen; default {DEFAULT_LISTEN}, or what a redirect URI on this machine says",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=argument_types.positive_seconds,
        default=DEFAULT_TIMEOUT_SECONDS,
        help=f"how long to wait; default {DEFAULT_TIMEOUT_SECONDS}",
    )


def run(arguments):
    settings = config.load(arguments)
    redirect_uri = settings.redirect_uri()
    application = settings.client_id(), settings.client_secret()
    endpoint = token_endpoint.from_settings(settings)
    store = open_store(settings.state_directory(), create=True)
    visit = _Visit(store, PendingAuthorizations(store.directory), application, endpoint)
    rules = CallbackRules(redirect_uri)
    inherited = callback_server.inherited()
    timeout = arguments.timeout if not inherited or visit.pending.newest() else STRAY_VISIT_SECONDS
    with inherited or _listen(arguments.listen or _default_listen(redirect_uri)) as listener:
        endpoint.prepare()  # the port is open already: whoever comes meanwhile waits in line
        if not inherited:
            _announce(listener, rules, visit, timeout)
        came = callback_server.CallbackServer(listener, rules, visit.on_return).serve(timeout)
    if not came and inherited:
        return 0  # systemd keeps the port; whoever comes next starts us again
    if not came:
        raise errors.TryLaterError(
            f"no browser came back within {arguments.timeout} seconds",
            "type 'hhtoken serve-callback' again, then open the address that 'hhtoken authorize-url' printed",
        )
    if visit.failure:
        raise visit.failure
    until = durations.local(visit.outcome.lives_until)
    reporting.message(f"authorized: {visit.outcome.message}; the access token lives until {until}")
    return 0


class _Visit:
    """What a browser's return leads to. ``failure``: the Error that the command ends with, once the page is out;
    ``outcome``: the Record of the exchange."""

    def __init__(self, store, pending, application, endpoint):
        self._store = store
        self._application = application
        self._endpoint = endpoint
        self.pending = pending
        self.failure = self.outcome = None

    def on_return(self, query):
        """Given the query of a request on the callback path, return the Reply. Nothing is sent before the state fits.
        """
        try:
            came = authorization.read_return(query)
            entry = self.pending.find(came.state)
        except authorization.Refused:
            entry = None
        except errors.Error as error:
            return self._not_now(error)
        if entry is None:
            return Reply(callback_page.REFUSED)
        try:
            if came.error:
                return self._denied(entry, came.error)
            self.outcome = grants.redeem(
                self._store, self.pending, entry, came.code, self._application, self._endpoint
            )
        except errors.Error as error:
            if self._is_pending(came.state):
                return self._not_now(error)
            self.failure = error
            return Reply(callback_page.FAILED, is_final=True)
        self.failure = outcomes.error_of(self.outcome)
        return Reply(callback_page.FAILED if self.failure else callback_page.AUTHORIZED, is_final=True)

    def _is_pending(self, state):
        try:
            return self.pending.find(state) is not None
        except errors.Error:
            return False

    def _denied(self, entry, error):
        with self._store.lock():
            self.pending.remove(entry)
        self.failure = authorization.denial(error)
        return Reply(callback_page.DENIED, is_final=True)

    def _not_now(self, error):
        """The authorization is not used up: say why, and go on waiting for a reload."""
        if signals.end_was_asked():
            self.failure = error
            return Reply(callback_page.TRY_LATER, is_final=True)
        reporting.failure(error)
        reporting.event(f"serve-callback: {error.message}", reporting.ERROR)
        return Reply(callback_page.TRY_LATER)


def _listen(text):
    return callback_server.listen(*addresses.parse_listen(text))


def _default_listen(redirect_uri):
    parts = urlsplit(redirect_uri)
    if parts.scheme == "http" and parts.port:  # a loopback host, or the settings would have refused it
        host = parts.hostname if addresses.is_literal(parts.hostname) else "127.0.0.1"
        return f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}"
    return DEFAULT_LISTEN


def _announce(listener, rules, visit, timeout):
    host, port = listener.getsockname()[:2]
    if not addresses.is_loopback(host):
        reporting.warning(f"{host} can be reached from other machines; nginx in front of 127.0.0.1 is safer")
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    reporting.message(f"waiting for the browser on {address}{rules.path}, for {durations.span(timeout)}")
    if visit.pending.newest() is None:
        reporting.message("hint: no authorization is under way yet; type 'hhtoken authorize-url' in another terminal")
