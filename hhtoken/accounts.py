"""Which accounts there are, and where they are kept."""

import contextlib
import os

from hhtoken import account_names, errors, pending_state
from hhtoken.pending_state import PendingAuthorizations
from hhtoken.private_directory import Nested, open_directory, storage_error
from hhtoken.token_store import TOKEN_FILE, TokenStore, no_pair, open_store
from hhtoken.wording import text


def listed(main):
    """Given the main state directory, return the names of the accounts in their order, after ``account_names.MAIN`` if
    there is a main pair. Names alone: there may be very many, and each worker touches them.

    Raise AuthorizationNeededError where there are none, StorageError where they cannot be listed.
    """
    found = [account_names.MAIN] if _has_pair(main) else []
    found += _names(main)
    if not found:
        raise no_pair(main)
    return found


def directory_of(main, listed_name):
    """Given the main state directory and a name as ``listed`` returns it, return the path of its state directory."""
    return main if listed_name == account_names.MAIN else Nested(main, account_names.DIRECTORY, listed_name)


def named(listed_name):
    """Given a name as ``listed`` returns it, return the account's name, or None for the main pair."""
    return None if listed_name == account_names.MAIN else listed_name


def store_named(settings, name):
    """Given the Settings and the name of an account, return its TokenStore, or None where it has no directory; raise
    StorageError."""
    directory = open_directory(Nested(settings.main_directory(), account_names.DIRECTORY, name))
    return directory and TokenStore(directory, settings.published_file_of(name))


def is_any_authorization_under_way(main):
    """Tell whether a browser may come back for any of the accounts; raise StorageError."""
    places = [Nested(main, account_names.DIRECTORY, name) for name in _names(main)]
    return any(_is_authorization_under_way(place) for place in places if pending_state.may_be_living(place))


def _is_authorization_under_way(path):
    try:
        store = open_store(path)
        with contextlib.closing(store):
            return PendingAuthorizations(store.directory).newest() is not None
    except errors.Error:  # damaged or unreadable, so not to be known; no reason not to listen
        return True


def _has_pair(main):
    directory = open_directory(main)
    if directory is None:
        return False
    with contextlib.closing(TokenStore(directory)) as store:
        return directory.exists(TOKEN_FILE) or store.has_journal()


def _names(main):
    directory = open_directory(Nested(main, account_names.DIRECTORY))
    if directory is None:
        return []
    with contextlib.closing(directory):
        try:
            return sorted(filter(account_names.is_name, os.listdir(directory.descriptor)))
        except OSError as error:
            raise storage_error(text("list"), directory.path, error) from None
