"""``hhtoken exchange``: the same as serve-callback, for a code or an address pasted on standard input."""

from hhtoken import config, pasting, stores, token_endpoint
from hhtoken.arrival import Arrival, conclude
from hhtoken.wording import N_

SUMMARY = N_("store the pair for a code, or a whole redirect address, read from standard input")


def add_arguments(parser):
    """It takes none: a code on a command line would stand in `ps` and in the shell's history."""


def run(arguments):
    settings = config.load(arguments)
    application = settings.client_id(), settings.client_secret()
    endpoint = token_endpoint.from_settings(settings)
    pasted = pasting.read()
    store = stores.of_settings(settings, create=True)
    arrival = Arrival(store, application, endpoint, None if settings.account() else settings)
    arrival.by_paste(pasted)
    conclude(arrival)
    return 0
