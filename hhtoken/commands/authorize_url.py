"""``hhtoken authorize-url``: remember a fresh state and verifier, print the address to open."""

from hhtoken.authorization.start import invite
from hhtoken.commands.options import add_authorization_options, authorization_options
from hhtoken.console import reporting
from hhtoken.provider import addresses
from hhtoken.settings.settings import load_settings
from hhtoken.store.pending import LIFE_SECONDS
from hhtoken.text import N_

SUMMARY = N_("print the address to open in a browser, to authorize")


def add_arguments(parser):
    add_authorization_options(parser)


def run(arguments):
    settings = load_settings(arguments)
    reporting.result(invite(settings, authorization_options(arguments)))
    way = N_("paste the address that it ends up on into 'hhtoken exchange'")
    if not addresses.is_of_an_app(settings.redirect_uri()):
        way = N_("let 'hhtoken serve-callback', or hh-token-callback.socket, wait for it; or {paste}", paste=way)
    minutes = LIFE_SECONDS // 60
    reporting.message(N_("open this address in a browser within {minutes} minutes; {way}", minutes=minutes, way=way))
    reporting.event("an authorization was started")
    return 0
