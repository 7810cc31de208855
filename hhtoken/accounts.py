"""Which accounts there are, and where they are kept."""

import os

from hhtoken import account_names, errors
from hhtoken.private_directory import Nested, open_directory, storage_error
from hhtoken.token_store import TOKEN_FILE, TokenStore, no_pair
from hhtoken.wording import text


def listed(main):
    """Given the main state directory, return ``[(name, path of the state directory)]``: the main pair's, if there is
    one, under the name ``account_names.MAIN``, then those of the accounts by name.

    Raise AuthorizationNeededError where there are none, StorageError where they cannot be listed.
    """
    found = [(account_names.MAIN, main)] if _has_pair(main) else []
    found += [(name, Nested(main, account_names.DIRECTORY, name)) for name in _names(main)]
    if not found:
        raise no_pair(main)
    return found


def named(listed_name):
    """Given a name as ``listed`` returns it, return the account's name, or None for the main pair."""
    return None if listed_name == account_names.MAIN else listed_name


def _has_pair(main):
    directory = open_directory(main)
    if directory is None:
        return False
    store = TokenStore(directory)
    try:
        return directory.exists(TOKEN_FILE) or store.is_unsettled()
    finally:
        store.close()


def _names(main):
    directory = open_directory(Nested(main, account_names.DIRECTORY))
    if directory is None:
        return []
    try:
        return sorted(filter(account_names.is_name, os.listdir(directory.descriptor)))
    except OSError as error:
        raise storage_error(text("list"), directory.path, error) from None
    finally:
        directory.close()
