"""``hhtoken serve-callback``: wait for one browser, exchange its code, store the pair, end."""

from hhtoken import errors
from hhtoken.authorization import port as authorization_port
from hhtoken.authorization.browser_return import ReturnHandler, conclude
from hhtoken.authorization.callback_rules import CallbackRules
from hhtoken.authorization.listener import CallbackServer
from hhtoken.commands.options import add_listener_options
from hhtoken.console import progress, reporting
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.settings.settings import load_settings
from hhtoken.store import accounts, opening
from hhtoken.text import N_, counted

SUMMARY = N_("wait for the browser to come back, then store the pair")

STRAY_VISIT_SECONDS = 5  # started by systemd for a visitor while no authorization is under way


def add_arguments(parser):
    add_listener_options(parser)


def run(arguments):
    settings = load_settings(arguments)
    redirect_uri = settings.redirect_uri()
    authorization_port.require_listener(redirect_uri)
    application = settings.client_id(), settings.client_secret()
    endpoint = token_endpoint_of(settings)
    store = opening.of_settings(settings, create=True)
    arrival = ReturnHandler(store, application, endpoint, None if settings.account() else settings)
    is_expected = (
        bool(arrival.pending.newest())
        or not settings.account()
        and accounts.is_any_authorization_under_way(settings.main_directory())
    )
    rules = CallbackRules(redirect_uri)
    inherited = authorization_port.inherited()
    timeout = arguments.timeout if not inherited or is_expected else STRAY_VISIT_SECONDS
    listeners = inherited or authorization_port.open_listeners(arguments.listen, redirect_uri)
    endpoint.prepare()  # the port is open already: whoever comes meanwhile waits in line
    if not inherited:
        authorization_port.announce(listeners, rules.path, timeout)
        if not is_expected:
            hint = N_("no authorization is under way yet; type 'hhtoken authorize-url' in another terminal")
            reporting.message(hint, "hint: ")
    with progress.waiting(N_("waiting for the browser")) as tick:
        came = CallbackServer(listeners, rules, arrival.by_browser).serve(timeout, tick)
    if not came and inherited:
        return 0  # systemd keeps the port; whoever comes next starts us again
    if not came:
        raise errors.TryLaterError(
            counted(
                "no browser came back within {count} second",
                "no browser came back within {count} seconds",
                arguments.timeout,
            ),
            N_("type 'hhtoken serve-callback' again, then open the address that 'hhtoken authorize-url' printed"),
        )
    conclude(arrival)
    return 0
