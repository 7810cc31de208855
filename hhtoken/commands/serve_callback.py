"""``hhtoken serve-callback``: wait for one browser, exchange its code, store the pair, end."""

from hhtoken import errors
from hhtoken.authorization import port
from hhtoken.authorization.browser_return import handler_of
from hhtoken.authorization.callback_rules import CallbackRules
from hhtoken.authorization.listener import CallbackServer
from hhtoken.commands.options import add_listener_options
from hhtoken.console import durations, progress, reporting
from hhtoken.settings.settings import load_settings
from hhtoken.text import N_

SUMMARY = N_("wait for the browser to come back, then store the pair")

STRAY_VISIT_SECONDS = 5  # started by systemd for a visitor while no authorization is under way


def add_arguments(parser):
    add_listener_options(parser)


def run(arguments):
    settings = load_settings(arguments)
    redirect_uri = settings.redirect_uri()
    handler = handler_of(settings)
    is_expected = handler.is_expected()
    rules = CallbackRules(redirect_uri)
    inherited = port.inherited()
    timeout = arguments.timeout if not inherited or is_expected else STRAY_VISIT_SECONDS
    listeners = inherited or port.open_listeners(arguments.listen, redirect_uri)
    handler.endpoint.prepare()  # the port is open already: whoever comes meanwhile waits in line
    if not inherited:
        port.announce(listeners, rules.path, timeout)
        if not is_expected:
            hint = N_("no authorization is under way yet; type 'hhtoken authorize-url' in another terminal")
            reporting.message(hint, "hint: ")
    with progress.waiting(N_("waiting for the browser")) as tick:
        came = CallbackServer(listeners, rules, handler.by_browser).serve(timeout, tick)
    if not came and inherited:
        return 0  # systemd keeps the port; whoever comes next starts us again
    if not came:
        hint = N_("type 'hhtoken serve-callback' again, then open the address that 'hhtoken authorize-url' printed")
        raise errors.TryLaterError(N_("no browser came back within {span}", span=durations.span(timeout)), hint)
    handler.conclude()
    return 0
