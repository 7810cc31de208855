"""``hhtoken app-token``: print the token of the application itself, asking for one where there is none."""

from hhtoken.console import reporting
from hhtoken.console.language import _
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.renewal import application_token
from hhtoken.settings.settings import load_settings
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

SUMMARY = N_("print the application's own token, which does not expire; ask for one where there is none")


def add_arguments(parser):
    parser.add_argument("--renew", action="store_true", help=_("ask for a new one; HeadHunter revokes the earlier one"))


def run(arguments):
    settings = load_settings(arguments)
    client_id = settings.client_id()
    endpoint = token_endpoint_of(settings)
    # All accounts share it: one of their own would revoke that of the others.
    store = open_store(settings.main_directory(), create=True)
    kept = None if arguments.renew else application_token.usable(store.directory, client_id)
    if kept:
        reporting.result(kept)
        return 0
    application = client_id, settings.client_secret()
    reporting.result(application_token.obtain(store, application, endpoint, arguments.renew))
    return 0
