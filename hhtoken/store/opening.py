"""The store that the settings name: the state directory alone, or one that hosts share through etcd."""

import os

from hhtoken import errors
from hhtoken.store import account_names
from hhtoken.store.private_directory import Nested
from hhtoken.store.token_store import TOKEN_FILE, open_store
from hhtoken.text import N_

SHARED_SETTING = "HHTOKEN_STORE"
OWN_DIRECTORY = "~{user}/.local/state/hh-token"  # of someone who has typed sudo
HINT_ELSEWHERE = N_(
    "type 'hhtoken sync --once', since another host may have it; if none has, {authorize}",
    authorize=errors.HINT_AUTHORIZE,
)
CLOCK_SECONDS = 5  # for the provider's answer with its Date


def is_shared(settings):
    """Given the Settings, tell whether the pair is shared with other hosts."""
    return settings.optional(SHARED_SETTING) is not None


def check(settings):
    """Given the Settings, return the address of the shared store, or None; raise the ConfigError that a renewal would
    end with. Nothing is sent."""
    address = settings.optional(SHARED_SETTING)
    if address is not None:
        from hhtoken.store.etcd import settings as shared_settings

        shared_settings.check(settings)
    return address


def where_else(settings, is_from_etcd=False):
    """Given the Settings of a state directory without a pair, return the Text that tells how to get at one that there
    is elsewhere, or None. ``is_from_etcd``: as in NoPairError. Raise ConfigError, StorageError."""
    from hhtoken.store import accounts

    return (
        accounts.hint_where_none_is_named(settings)
        or (HINT_ELSEWHERE if is_shared(settings) and not is_from_etcd else None)
        or _of_who_typed_sudo()
    )


def _of_who_typed_sudo():
    user = os.environ.get("SUDO_USER", "")
    path = os.path.expanduser(OWN_DIRECTORY.format(user=user))
    if os.geteuid() != 0 or not user or not os.path.exists(os.path.join(path, TOKEN_FILE)):
        return None
    return N_(
        "{user} has a token in {path}: to use it, type this without sudo; for another one, {authorize}",
        user=user,
        path=path,
        authorize=errors.HINT_AUTHORIZE,
    )


def of_settings(settings, create=False):
    """Given the Settings, return the store that they name; raise like ``open_store``, and ConfigError.

    For whoever renews or replaces a pair: readers need only what lies in the state directory."""
    store = open_store(settings.state_directory(), create, published=settings.published_file())
    return shared(store, settings, settings.account())


def shared(store, settings, account):
    """Given the TokenStore of an account, its name (or None), and the Settings, return it, or the SharedStore over it
    where ``HHTOKEN_STORE`` is set; raise ConfigError."""
    if not is_shared(settings):
        return store
    from hhtoken.store.etcd.settings import open_vault
    from hhtoken.store.etcd.shared_store import SharedStore

    return SharedStore(store, open_vault(settings, account), _clock_of_provider(settings))


def joined(settings, account):
    """Given the Settings and the name of any account (or None), return its store, which is made where other hosts have
    a pair of that account; raise as above."""
    main, published = settings.main_directory(), settings.published_file_of(account)
    path = Nested(main, account_names.DIRECTORY, account) if account else main
    try:
        store = open_store(path, published=published)
    except errors.NoPairError as error:
        from hhtoken.store.etcd.settings import open_vault

        if not (is_shared(settings) and open_vault(settings, account).read().pair):
            error.is_from_etcd = is_shared(settings)
            raise
        store = open_store(path, create=True, published=published)
    return shared(store, settings, account)


def following(settings, is_of_all):
    """Given the Settings, return the Following of their account, or of all; raise ConfigError."""
    from hhtoken.store.etcd import vault
    from hhtoken.store.etcd.settings import open_etcd

    return vault.Following(*open_etcd(settings), vault.ALL if is_of_all else settings.account())


def _clock_of_provider(settings):
    """Return a function that returns the provider's time in Unix seconds, or None; a request without a token."""
    from hhtoken.provider.answer import http_date
    from hhtoken.provider.transfer import NotSent, Transfer

    address, headers, route = settings.api_url(), {"User-Agent": settings.user_agent()}, settings.route()

    def ask():
        try:
            return http_date(Transfer("HEAD", address, headers, route=route).run(CLOCK_SECONDS).date)
        except NotSent:
            return None

    return ask
