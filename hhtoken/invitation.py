"""Sending a browser out to authorize: a fresh state and verifier, remembered before the address is shown."""

from secrets import token_urlsafe

from hhtoken import account_names, authorization
from hhtoken import arguments as argument_types
from hhtoken.language import _
from hhtoken.pending_state import PendingAuthorizations
from hhtoken.token_store import open_store

SECRET_BYTES = 32  # 256 bits, for the state and for the verifier (43 characters, as RFC 7636 asks)


def add_arguments(parser):
    """Add the options of the authorize page to an ArgumentParser."""
    parser.add_argument("--force-login", action="store_true", help=_("show the login form even when logged in"))
    parser.add_argument("--skip-choose-account", action="store_true", help=_("skip the choice between accounts"))
    parser.add_argument(
        "--role",
        type=argument_types.one_of("applicant", "employer"),
        metavar="applicant|employer",
        help=_("which kind of account to log in with"),
    )


def options(arguments):
    """Given the parsed options, return them as parameters of the authorize page, e.g. ``("force_login", "true")``."""
    chosen = []
    if arguments.force_login:
        chosen.append(("force_login", "true"))
    if arguments.skip_choose_account:
        chosen.append(("skip_choose_account", "true"))
    if arguments.role:
        chosen.append(("role", arguments.role))
    return chosen


def invite(settings, options=()):
    """Given the Settings, return the address to open in a browser; raise ConfigError, StorageError, TryLaterError.

    ``options``: further parameters as pairs, e.g. ``("force_login", "true")``.
    """
    client_id, redirect_uri, authorize_url = settings.client_id(), settings.redirect_uri(), settings.authorize_url()
    state = account_names.in_state(settings.account(), token_urlsafe(SECRET_BYTES))
    verifier = token_urlsafe(SECRET_BYTES)
    store = open_store(settings.state_directory(), create=True)
    with store.lock():
        PendingAuthorizations(store.directory).add(state, verifier, redirect_uri)
    return authorization.request_url(authorize_url, client_id, redirect_uri, state, verifier, options)
