"""``hhtoken import``: take over a pair from a file, for example the predecessor's."""

import os
import stat
import time

from hhtoken import bookkeeping, config, durations, errors, outcomes, record, recovery, reporting, tokens
from hhtoken.answer import Answer
from hhtoken.token_store import fingerprint, open_store

SUMMARY = "take over a pair from a file (token.json of another tool, or a backup)"


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE", help="JSON with access_token and refresh_token")


def run(arguments):
    settings = config.load(arguments)
    pair, has_expiry = _read(arguments.file)
    store = open_store(settings.state_directory(), create=True)
    with store.lock():
        recovery.recover(store)
        if _is_stored(store, pair) and not has_expiry:
            pair = store.load().pair  # its own times are better than those of a copy
        store.save(pair)
        last = store.record_of(pair)
        if not (last and last.dead):  # a pair that HeadHunter has called dead stays so, wherever it comes from
            token = fingerprint(pair.refresh_token)
            bookkeeping.remember(store, outcomes.saved(record.AUTHORIZED, "imported a pair", pair, Answer(), token))
    reporting.event(f"imported a pair; expires_at={pair.expires_at}", reporting.NOTICE)
    left = pair.seconds_left(time.time())
    state = f"lives until {durations.local(pair.expires_at)}" if left else "has expired; type 'hhtoken refresh'"
    reporting.message(f"imported: the access token {state}")
    return 0


def _is_stored(store, pair):
    try:
        return store.load().pair.access_token == pair.access_token
    except (errors.AuthorizationNeededError, errors.DataError):
        return False


def _read(path):
    """Return the Pair in a file, and whether the file says when it expires; raise UsageError or DataError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise errors.UsageError(f"cannot read {path}: {error.strerror.lower()}", "check the path") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise errors.UsageError(f"{path} is not a regular file", "check the path")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(tokens.LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise errors.UsageError(f"cannot read {path}: {error.strerror.lower()}", "check the path") from None
    finally:
        os.close(descriptor)
    if status.st_mode & 0o077:
        reporting.warning(f"others may be able to read {path}; remove it once the pair is taken over")
    try:
        if len(data) > tokens.LARGEST_FILE_BYTES:
            raise ValueError("larger than 64 KiB")
        fields = tokens.parse_object(data)
        pair = tokens.from_stored(fields, status.st_mtime)
        if not pair.refresh_token:
            raise ValueError("no refresh_token in it")
    except ValueError as error:
        raise errors.DataError(f"{path} makes no sense: {error}", "it needs access_token and refresh_token") from None
    return pair, "expires_at" in fields
