"""Which accounts there are, and where they are kept."""

import os

from hhtoken import errors
from hhtoken.store import account_names
from hhtoken.store.private_directory import Nested, open_directory, storage_error
from hhtoken.store.token_store import (
    JOURNAL_FILE,
    KEPT_ANSWER_FILE,
    RECORD_FILE,
    TOKEN_FILE,
    TokenStore,
    no_pair,
    open_store,
)
from hhtoken.text import N_

WHAT_COUNTS = (TOKEN_FILE, JOURNAL_FILE, KEPT_ANSWER_FILE, RECORD_FILE)  # and what begins like these
MOST_NAMED = 5  # in a sentence


def listed(main):
    """Given the main state directory, return the names of the accounts in their order, after ``account_names.MAIN`` if
    there is a main pair. Names alone: there may be very many, and each worker touches them. A directory that an account
    has left behind, or that a mistyped name has made, is none.

    Raise AuthorizationNeededError where there are none, StorageError where they cannot be listed.
    """
    found = [account_names.MAIN] if _has_pair(main) else []
    found += _counted(main)
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


def hint_where_none_is_named(settings):
    """Given the Settings of a command that has found no pair: where it names no account, return the Text that names
    those that there are, so that nobody authorizes a pair that is not wanted; else None. Raise StorageError."""
    names = _counted(settings.main_directory()) if settings.account() is None else []
    if not names:
        return None
    return N_(
        "there are accounts: {names}; name one with --account, or type 'hhtoken status --all'",
        names=_enumerated(names),
    )


def is_any_authorization_under_way(main):
    """Tell whether a browser may come back for any of the accounts; raise StorageError."""
    return any(_are_authorizing(main))


def hint_for_bare_code(main):
    """Given the main state directory, return what to type where accounts are being authorized, and a code has come
    without its address, or None; raise StorageError."""
    names = list(_are_authorizing(main))
    if len(names) == 1:
        return N_("it is under way for an account: type 'hhtoken --account {name} exchange'", name=names[0])
    if names:
        return N_(
            "it is under way for accounts: type 'hhtoken --account NAME exchange', where NAME is one of: {names}",
            names=_enumerated(names),
        )
    return None


def _are_authorizing(main):
    return (name for name in _names(main) if _is_authorization_under_way(directory_of(main, name)))


def _enumerated(names):
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")


def _is_authorization_under_way(path):
    from hhtoken.store.pending import PendingAuthorizations, may_be_living  # not for those who have a pair each

    if not may_be_living(path):
        return False
    try:
        with open_store(path) as store:
            return PendingAuthorizations(store.directory).newest() is not None
    except errors.Error:  # damaged or unreadable, so not to be known; no reason not to listen
        return True


def _has_pair(main):
    directory = open_directory(main)
    if directory is None:
        return False
    with TokenStore(directory) as store:
        return directory.exists(TOKEN_FILE) or store.has_journal()


def _counted(main):
    return [name for name in _names(main) if _counts(directory_of(main, name))]


def _counts(path):
    try:
        found = os.listdir(path)
    except OSError:  # whoever opens it says what is wrong
        return True
    return any(name.startswith(WHAT_COUNTS) for name in found) or _is_authorization_under_way(path)


def _names(main):
    directory = open_directory(Nested(main, account_names.DIRECTORY))
    if directory is None:
        return []
    try:
        return sorted(filter(account_names.is_name, os.listdir(directory.descriptor)))
    except OSError as error:
        raise storage_error(N_("list"), directory.path, error) from None
    finally:
        directory.close()
