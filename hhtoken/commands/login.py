"""``hhtoken login``: authorize-url, serve-callback and exchange in one, and a word about who came of it."""

import contextlib
from secrets import token_urlsafe

from hhtoken import errors
from hhtoken.authorization import pasting, systemd_socket
from hhtoken.authorization.browser_return import ReturnHandler, conclude, is_address
from hhtoken.authorization.callback_rules import CallbackRules
from hhtoken.authorization.listener import CallbackServer
from hhtoken.authorization.port import address_of, announce, open_listener
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
from hhtoken.store import account_names, opening
from hhtoken.text import N_, counted, joined

SUMMARY = N_("authorize: print the address to open, wait for the browser or a paste, store the pair")

TICKET_BYTES = 16

HINT_PASTE = N_("paste the whole address that the browser ended up on")


def add_arguments(parser):
    add_authorization_options(parser)
    add_listener_options(parser)
    parser.add_argument("--qr", action="store_true", help=_("also draw the address as a QR code, for a phone"))
    parser.add_argument("--no-browser", action="store_true", help=_("do not open a browser, even on a desktop"))


def run(arguments):
    settings = load_settings(arguments)
    redirect_uri = settings.redirect_uri()
    application = settings.client_id(), settings.client_secret()
    endpoint, api = token_endpoint_of(settings), api_endpoint_of(settings)
    store = opening.of_settings(settings, create=True)
    arrival = ReturnHandler(store, application, endpoint)
    with _listener(arguments.listen, redirect_uri, settings.main_directory()) as listener:
        endpoint.prepare()
        version = store.record_version()
        address = invite(settings, authorization_options(arguments))
        reporting.result(address)
        reporting.event("an authorization was started")
        if arguments.qr:
            _draw(address, redirect_uri)
        on_input = _paste_reader(arrival) if pasting.is_ours() else None
        if listener:
            to_open = None if arguments.no_browser else address
            came = _wait_at_port(listener, CallbackRules(redirect_uri), arrival, on_input, arguments.timeout, to_open)
        else:
            came = _wait_for_systemd(store, version, arrival, address, on_input, arguments.timeout)
    if not came:
        raise errors.TryLaterError(
            counted(
                "nobody came back within {count} second",
                "nobody came back within {count} seconds",
                arguments.timeout,
            ),
            N_("type 'hhtoken login' again, and open the address that it prints"),
        )
    conclude(arrival)
    with contextlib.suppress(errors.Error, errors.Interrupted):  # the pair is stored; the rest is courtesy
        pair = store.load().pair
        _introduce(store, pair, api)
        _say_who_renews(pair, settings)
    return 0


def _listener(chosen, redirect_uri, directory):
    """Return a context with the listening socket; with None where systemd listens in our place."""
    try:
        return open_listener(chosen, redirect_uri)
    except errors.ConfigError:
        if chosen or not systemd_socket.serves(directory):
            raise
        return contextlib.nullcontext()


def _wait_at_port(listener, rules, arrival, on_input, timeout, to_open):
    server = CallbackServer(listener, rules, arrival.by_browser)
    announce(listener, rules.path, timeout)
    _offer_pasting(on_input)
    if to_open and desktop.has_browser():
        # The state stands in the address, and everybody can read what stands in `ps`, for as long as the browser runs.
        # So it is told a ticket of our listener instead, which is good for one visitor, and sends that one on.
        ticket = f"/{token_urlsafe(TICKET_BYTES)}"
        server.addresses[ticket] = to_open
        if desktop.open_browser(address_of(listener) + ticket):
            reporting.message(N_("opening the address in your browser"))
    with _telling(on_input) as tick:
        return server.serve(timeout, tick, on_input)


def _telling(on_input):
    """Say how long still, but not to who may be typing: a line that counts seconds would wipe that away."""
    silence = contextlib.nullcontext(lambda left: max(0.0, left))
    return silence if on_input else progress.waiting(N_("waiting for the browser"))


def _wait_for_systemd(store, version, arrival, address, on_input, timeout):
    span = durations.span(timeout)
    reporting.message(N_("{unit} waits for the browser, for {span}", unit=systemd_socket.SOCKET, span=span))
    _offer_pasting(on_input)
    state = state_in(address)
    with _telling(on_input) as tick:
        came = systemd_socket.wait(store, arrival.pending, state, on_input, timeout, tick)
    if came and not (arrival.failure or arrival.outcome):
        arrival.outcome = systemd_socket.new_authorization(store, version)
        if arrival.outcome is None:
            arrival.failure = errors.AuthorizationNeededError(
                N_("a browser came back, but no pair was stored"),
                N_("see 'journalctl -t hhtoken -n 20', then type 'hhtoken login' again"),
            )
    return came


def _offer_pasting(on_input):
    if on_input and reporting.is_watched():
        reporting.message(N_("or paste the address that the browser ends up on here, and press enter"))


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
                if error.exit_code in (errors.USAGE, errors.NOPERM):  # the line is to blame
                    error.hint = HINT_PASTE
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
    if width and not terminal.has_unicode():
        reporting.warning(N_("no QR code is drawn: by its locale, this terminal is not UTF-8"))
        return
    if width and width < needed:
        reporting.warning(N_("no QR code is drawn: it needs a terminal of {count} columns", count=needed))
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
        moment = durations.local(pair.expires_at)
        hint = N_("before {moment}, {authorize}", moment=moment, authorize=errors.HINT_AUTHORIZE)
        reporting.message(hint, "hint: ")
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
        reporting.message(N_("who renews it? type 'hhtoken status' to see what to do"), "hint: ")
