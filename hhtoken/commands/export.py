"""``hhtoken export``: move the pair out of the store, into a file, for ``hhtoken import`` elsewhere."""

import os

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.pair import pair_to_text
from hhtoken.renewal import recovery
from hhtoken.settings.settings import load_settings
from hhtoken.store import opening
from hhtoken.store.private_directory import write_all
from hhtoken.text import N_, escaped

SUMMARY = N_("move the pair into a file, for another machine or another store; it is not kept here")


def add_arguments(parser):
    from hhtoken.console.language import _

    parser.add_argument("file", metavar=_("FILE"), help=_("a new file, which only its owner may read"))


def run(arguments):
    if arguments.file == "-":
        raise errors.UsageError(
            N_("the pair does not go to standard output"), N_("name a new file; one called '-' is './-'")
        )
    settings = load_settings(arguments)
    if settings.is_own_file(arguments.file):
        raise errors.UsageError(
            N_("{path} is among hhtoken's own files, which go with the pair", path=arguments.file),
            N_("name a new file in another directory"),
        )
    store = opening.of_settings(settings)
    with store.lock():
        recovery.recover(store)
        pair = store.load().pair
        if pair.is_shared and not opening.is_shared(settings):
            reporting.warning(N_("HHTOKEN_STORE is not set: etcd and the other hosts still hold this pair"))
        _write(arguments.file, pair_to_text(pair))
        _forget(store, arguments.file)
    reporting.event("exported the pair; it is not kept here", reporting.NOTICE)
    path, typed = arguments.file, escaped(arguments.file)
    reporting.message(
        N_("moved the pair into {path}; to use it, type 'hhtoken import {typed}'", path=path, typed=typed)
    )
    return 0


def _forget(store, path):
    """A pair in two places is lost at the first refresh, as HeadHunter spends it once."""
    try:
        store.forget()
    except errors.Error as error:
        raise errors.with_exit_code(
            error.exit_code,
            N_("{reason}; the pair is in {path}, and perhaps in the store as well", reason=error.message, path=path),
            N_("{hint}; then export it to another file, and remove this one if that works", hint=error.hint),
        ) from None


def _write(path, data):
    """Write a new file, durably; raise UsageError where it exists, StorageError where it cannot be written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise errors.UsageError(N_("{path} exists", path=path), N_("name a new file")) from None
    except OSError as error:
        raise _failed(path, error) from None
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
        _sync_directory(path)
    except OSError as error:
        os.unlink(path)
        raise _failed(path, error) from None
    finally:
        os.close(descriptor)


def _sync_directory(path):
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path, error):
    return errors.StorageError(
        N_("cannot write {path}: {reason}", path=path, reason=errors.reason(error)),
        N_("name a file in a directory where you may write; the pair is where it was"),
    )
