"""``hhtoken login``: authorize-url, serve-callback and exchange in one, and a word about who came of it."""

import contextlib
from secrets import token_urlsafe

from hhtoken import errors
from hhtoken.authorization import pasting, systemd_socket
from hhtoken.authorization.browser_return import ReturnHandler, is_address
from hhtoken.authorization.callback_rules import CallbackRules
from hhtoken.authorization.listener import CallbackServer
from hhtoken.authorization.port import address_of, announce, open_listeners
from hhtoken.authorization.request import state_in
from hhtoken.authorization.start import invite
from hhtoken.commands import status_screen
from hhtoken.commands.options import add_authorization_options, add_listener_options, authorization_options
from hhtoken.console import desktop, durations, language, progress, reporting, terminal
from hhtoken.console.language import _
from hhtoken.provider import addresses, api_errors
from hhtoken.provider.endpoints import api_endpoint_of, token_endpoint_of
from hhtoken.renewal import record_keeping, timers
from hhtoken.settings.settings import load_settings
from hhtoken.store import account_names, opening, record
from hhtoken.text import N_, joined

SUMMARY = N_("authorize: print the address to open, wait for the browser or a paste, store the pair")

TICKET_BYTES = 16

HINT_PASTE = N_("paste the whole address the browser ended up on")
HINT_STALE = N_("open the address above, and paste the one that the browser ends up on then")
HINT_JOURNAL = N_("see 'journalctl -t hhtoken -n 20', then type 'hhtoken login' again")


def add_arguments(parser):
    add_authorization_options(parser)
    add_listener_options(parser)
    parser.add_argument("--qr", action="store_true", help=_("also draw the address as a QR code, for a phone"))
    parser.add_argument("--no-browser", action="store_true", help=_("do not open a browser, even on a desktop"))


def run(arguments):
    settings = load_settings(arguments)
    redirect_uri, client_id = settings.redirect_uri(), settings.client_id()
    is_of_an_app = addresses.is_of_an_app(redirect_uri)
    secret = systemd_socket.client_secret(settings, may_wait=not (is_of_an_app or arguments.listen))
    endpoint, api = token_endpoint_of(settings), api_endpoint_of(settings)
    store = opening.of_settings(settings, create=True)
    arrival = ReturnHandler(store, (client_id, secret), endpoint)
    listeners = []
    if secret and (arguments.listen or not is_of_an_app):
        listeners = _listeners(arguments.listen, redirect_uri, settings.main_directory())
    endpoint.prepare()
    version = store.record_version()
    address = invite(settings, authorization_options(arguments))
    reporting.result(address)
    reporting.event("an authorization was started")
    if arguments.qr:
        _draw(address, redirect_uri)
    on_input = _paste_reader(arrival) if secret and pasting.is_ours() else None
    if listeners:
        to_open = None if arguments.no_browser else address
        came = _wait_at_port(listeners, CallbackRules(redirect_uri), arrival, on_input, arguments.timeout, to_open)
    else:
        _say_who_waits(redirect_uri if is_of_an_app else None, on_input, arguments.timeout)
        came = _look_on(store, version, arrival, address, on_input, arguments.timeout)
    if not came:
        late = N_("no browser came back within {span}", span=durations.span(arguments.timeout))
        again = N_("type 'hhtoken login' again, and open the address that it prints")
        raise errors.TryLaterError(late, again if secret else HINT_JOURNAL)
    arrival.conclude()
    with contextlib.suppress(errors.Error, errors.Interrupted):  # the pair is stored; the rest is courtesy
        pair = store.load().pair
        _introduce(store, pair, api)
        _say_who_renews(pair, settings)
    return 0


def _listeners(chosen, redirect_uri, directory):
    """Return the listening sockets; none where systemd listens in our place."""
    try:
        return open_listeners(chosen, redirect_uri)
    except errors.ConfigError:
        if chosen or systemd_socket.state(directory) != "active":
            raise
        return []


def _wait_at_port(listeners, rules, arrival, on_input, timeout, to_open):
    server = CallbackServer(listeners, rules, arrival.by_browser)
    announce(listeners, rules.path, timeout)
    _offer_pasting(on_input)
    if to_open and desktop.has_browser():
        # The state stands in the address, and everybody can read what stands in `ps`, for as long as the browser runs.
        # So it is told a ticket of our listener instead, which is good for one visitor, and sends that one on.
        ticket = f"/{token_urlsafe(TICKET_BYTES)}"
        server.addresses[ticket] = to_open
        if desktop.open_browser(address_of(listeners[0]) + ticket):
            reporting.message(N_("opening the address in your browser"))
    with _telling(on_input) as tick:
        return server.serve(timeout, tick, on_input)


def _telling(on_input):
    """Say how long still, but not to who may be typing: a line that counts seconds would wipe that away."""
    silence = contextlib.nullcontext(lambda left: max(0.0, left))
    return silence if on_input else progress.waiting(N_("waiting for the browser"))


def _say_who_waits(of_an_app, on_input, timeout):
    if of_an_app:
        how = N_(
            "copy the address that begins with {start} from the browser, paste it here, and press enter; or type "
            "'hhtoken exchange' in another terminal, and paste it there",
            start=of_an_app.partition(":")[0] + ":",
        )
        reporting.message(how)
        return
    span = durations.span(timeout)
    reporting.message(N_("{unit} waits for the browser, for {span}", unit=systemd_socket.SOCKET, span=span))
    _offer_pasting(on_input)


def _look_on(store, version, arrival, address, on_input, timeout):
    """Wait while another process, or a paste, uses the authorization up; tell whether that came in time."""
    with _telling(on_input) as tick:
        came = systemd_socket.wait(store, arrival.pending, state_in(address), on_input, timeout, tick)
    if came and not (arrival.failure or arrival.outcome):
        last = store.record()
        if last and last.outcome == record.AUTHORIZED and store.record_version() != version:
            arrival.outcome = last
        else:
            no_pair = N_("a browser came back, but no pair was stored")
            arrival.failure = errors.AuthorizationNeededError(no_pair, HINT_JOURNAL)
    return came


def _offer_pasting(on_input):
    if on_input and reporting.is_watched():
        reporting.message(N_("or paste here the address the browser ends up on, and press Enter"))


def _paste_reader(arrival):
    """Return a function that tries what was pasted, and tells whether the authorization is over by it."""
    lines = pasting.Lines()

    def on_input():
        for line in lines.read():
            try:
                pasted = pasting.clean(line)
                if not is_address(pasted):  # any word could be a code, and sending it would use the authorization up
                    raise errors.UsageError(N_("what was pasted is no address"))
                arrival.by_paste(pasted)
            except errors.Error as error:  # not used up: the browser, or another paste, may do better
                error.hint = {errors.USAGE: HINT_PASTE, errors.NOPERM: HINT_STALE}.get(error.exit_code, error.hint)
                reporting.failure(error)
            else:
                return True
        return False

    return on_input


def _draw(address, redirect_uri):
    try:
        drawn = desktop.qr_code(address)
    except errors.ConfigError as error:  # the address is there all the same
        reporting.warning(error.message)
        reporting.message(error.hint, "hint: ")
        return
    needed, width = max(map(len, drawn.splitlines())), terminal.columns()
    if width and not (terminal.has_unicode() and width >= needed):
        reporting.warning(N_("no QR code is drawn: it needs a UTF-8 terminal of {count} columns", count=needed))
        return
    reporting.result(drawn)
    if addresses.is_loopback(CallbackRules(redirect_uri).host):
        reporting.message(N_("a phone cannot come back to this machine; paste the address that it ends up on here"))


def _introduce(store, pair, api):
    """Say who authorized, on standard output alone; a failure of that is a warning."""
    try:
        verdict, person = api_errors.identify(api.me(pair.access_token), (pair.access_token, pair.refresh_token))
        record_keeping.heed(store, pair, verdict.kind)
    except errors.Error as error:
        verdict, person = api_errors.unreachable(error), None
    if person:
        reporting.result(language.translated(N_("authorized by {who}", who=api_errors.introduction(person))))
    else:
        reporting.warning(N_("who authorized is not known: {reason}", reason=verdict.meaning))


def _say_who_renews(pair, settings):
    if not pair.refresh_token:
        until = durations.local(pair.expires_at)
        reporting.message(N_("before {moment}, {authorize}", moment=until, authorize=errors.HINT_AUTHORIZE), "hint: ")
        return
    account = settings.account()
    found = timers.look(settings.main_directory(), account)
    if found.timers:
        reporting.message(N_("renewed by {who}", who=joined(", ", list(found.timers))))
    elif found.cron:
        reporting.message(N_("renewed by cron ({table})", table=found.cron))
    elif found.can_be_enabled:
        command = status_screen.ENABLE.format(instance=account_names.instance(account))
        reporting.message(N_("to have it renewed, type '{command}'", command=command), "hint: ")
    else:
        reporting.message(N_("to keep it valid, type 'hhtoken status' and see what to do"), "hint: ")
