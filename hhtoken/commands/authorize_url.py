"""``hhtoken authorize-url``: remember a fresh state and verifier, print the address to open."""

from hhtoken.authorization.start import invite
from hhtoken.commands.options import add_authorization_options, authorization_options
from hhtoken.console import reporting
from hhtoken.settings.settings import load_settings
from hhtoken.store.pending import LIFE_SECONDS
from hhtoken.text import N_

SUMMARY = N_("print the address to open in a browser, to authorize")


def add_arguments(parser):
    add_authorization_options(parser)


def run(arguments):
    reporting.result(invite(load_settings(arguments), authorization_options(arguments)))
    reporting.message(
        N_(
            "open this address in a browser within {minutes} minutes, while 'hhtoken serve-callback', or "
            "hh-token-callback.socket, waits for it; or paste the address that it ends up on into 'hhtoken exchange'",
            minutes=LIFE_SECONDS // 60,
        )
    )
    reporting.event("an authorization was started")
    return 0
