"""Sending a browser out to authorize: a fresh state and verifier, remembered before the address is shown."""

from secrets import token_urlsafe

from hhtoken.authorization.request import request_url
from hhtoken.store import account_names
from hhtoken.store.pending import PendingAuthorizations
from hhtoken.store.token_store import open_store

SECRET_BYTES = 32  # 256 bits, for the state and for the verifier (43 characters, as RFC 7636 asks)


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
    return request_url(authorize_url, client_id, redirect_uri, state, verifier, options)
