"""``hhtoken exchange``: the same as serve-callback, for a code or an address pasted on standard input."""

from hhtoken.authorization import pasting
from hhtoken.authorization.browser_return import ReturnHandler, conclude
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.settings.settings import load_settings
from hhtoken.store import opening
from hhtoken.text import N_

SUMMARY = N_("store the pair for a code, or a whole redirect address, read from standard input")


def add_arguments(parser):
    """It takes none: a code on a command line would stand in `ps` and in the shell's history."""


def run(arguments):
    settings = load_settings(arguments)
    application = settings.client_id(), settings.client_secret()
    endpoint = token_endpoint_of(settings)
    pasted = pasting.read()
    store = opening.of_settings(settings, create=True)
    arrival = ReturnHandler(store, application, endpoint, None if settings.account() else settings)
    arrival.by_paste(pasted)
    conclude(arrival)
    return 0
