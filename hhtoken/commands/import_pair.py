"""``hhtoken import``: take over a pair from a file, for example the predecessor's."""

import os
import time

from hhtoken import errors
from hhtoken.console import durations, reporting
from hhtoken.console.language import _
from hhtoken.pair import LARGEST_FILE_BYTES, MARK_FIELD, parse_object
from hhtoken.renewal import record_keeping, recovery, report
from hhtoken.settings.settings import load_settings
from hhtoken.store import foreign_pair, opening, record
from hhtoken.store.private_directory import THROUGH_LINKS, read_regular
from hhtoken.store.token_store import PREVIOUS_FILE, TOKEN_FILE, fingerprint, shared_elsewhere
from hhtoken.text import N_

SUMMARY = N_("take over a pair from a file (token.json of another tool, or a backup)")

HINT_PATH = N_("check the path")


def add_arguments(parser):
    parser.add_argument("file", metavar=_("FILE"), help=_("JSON with access_token and refresh_token"))


def run(arguments):
    if arguments.file == "-":
        raise errors.UsageError(
            N_("the pair does not come from standard input"),  # a file's time may be all that tells its age
            N_("name a file; one called '-' is './-'"),
        )
    settings = load_settings(arguments)
    pair = _read(arguments.file)
    if not opening.is_shared(settings):
        pair.fields.pop(MARK_FIELD, None)  # from here on it is this host's alone
    store = opening.of_settings(settings, create=True)
    with store.lock(replacing=pair):
        recovery.recover(store)
        pair = _chosen(store, arguments.file, pair)
        if pair.is_shared and not opening.is_shared(settings):  # the stored one; in place there is nothing to import
            raise shared_elsewhere(store.directory.path)
        previous = store.directory.version(PREVIOUS_FILE)
        # The pair that is stored now is about to take that file's place.
        aside = store.put_previous_aside() if _is_at(store, PREVIOUS_FILE, arguments.file) else None
        store.save(pair)
        if aside:
            store.directory.discard(aside)
        is_kept = store.directory.version(PREVIOUS_FILE) != previous
        _remember(store, pair)
    reporting.event(f"imported a pair; expires_at={pair.expires_at}", reporting.NOTICE)
    reporting.message(_told(pair))
    if is_kept:
        path = store.directory.path_of(PREVIOUS_FILE)
        reporting.message(N_("the pair that was stored until now is kept in {path}", path=path))
    if os.path.exists(arguments.file) and not _is_ours(store, arguments.file, is_kept):
        path = arguments.file
        hint = N_("a pair in two places is lost at the first refresh: remove {path}, or the pair in it", path=path)
        reporting.message(hint, "hint: ")
    return 0


def _told(pair):
    if pair.seconds_left(time.time()):
        moment = durations.local(pair.expires_at)
        lives = N_("imported: the access token is valid until {moment}", moment=moment)
        return N_("{imported}; {assumed}", imported=lives, assumed=pair.assumed) if pair.assumed else lives
    expired = pair.assumed or N_("the access token has expired")
    return N_("imported: {expired}; type 'hhtoken refresh'", expired=expired)


def _chosen(store, path, pair):
    """Given the Pair that was read from a file before the lock was held, return the one to save. Raise UsageError where
    it is spent, or a newer one lives."""
    try:
        stored = store.load().pair
    except (errors.AuthorizationNeededError, errors.DataError):
        return pair
    if _is_at(store, TOKEN_FILE, path):
        return stored  # a refresh may have replaced it meanwhile
    if stored.access_token == pair.access_token and pair.assumed:
        return stored  # its own times are better than those of a copy
    last = store.record_of(stored)
    if pair.refresh_token == stored.refresh_token:
        return pair
    if last and last.spent_sha256 == fingerprint(pair.refresh_token):
        raise errors.UsageError(
            N_("the pair in {path} is spent: the stored one was made from it", path=path),
            N_("remove {path}; to see the stored pair, type 'hhtoken status'", path=path),
        )
    if _is_outlived(pair, stored, last, time.time()):
        raise errors.UsageError(
            N_("the pair in {path} has expired, and the stored one is newer and valid", path=path),
            N_("remove {path}; or move the stored pair out first: 'hhtoken export FILE'", path=path),
        )
    return pair


def _is_outlived(pair, stored, last, now):
    """Given the Pair from a file, the stored one and its Record (or None), and the time, tell whether the former has
    expired, while the latter was obtained later, and is all right."""
    at_the_latest = min(pair.obtained_at, pair.expires_at)  # a file that was copied may seem newer than what is in it
    is_all_right = report.of_pair(stored, last, now).state == report.VALID
    return not pair.seconds_left(now) and at_the_latest < stored.obtained_at and is_all_right


def _remember(store, pair):
    """Write down that the Pair has been imported. What is known of it stays true, wherever it comes from."""
    last = store.record_of(pair)
    if last and last.dead:
        return
    imported = record.after(
        last,
        outcome=record.AUTHORIZED,
        at=int(time.time()),  # the pair may be older
        message=N_("imported a pair; {assumed}", assumed=pair.assumed) if pair.assumed else N_("imported a pair"),
        refresh_token_sha256=fingerprint(pair.refresh_token),
        lives_until=pair.expires_at,
    )
    record_keeping.remember(store, imported)


def _is_ours(store, path, is_kept):
    """Tell whether the path is that of the stored pair, or by now of the one that was stored before."""
    return _is_at(store, TOKEN_FILE, path) or is_kept and _is_at(store, PREVIOUS_FILE, path)


def _is_at(store, name, path):
    try:
        return os.path.samefile(path, store.directory.path_of(name))
    except OSError:
        return False


def _read(path):
    """Return the Pair in a file; raise UsageError or DataError."""
    try:
        data, status = read_regular(path, LARGEST_FILE_BYTES + 1, THROUGH_LINKS)
    except OSError as error:
        raise errors.UsageError(
            N_("cannot read {path}: {reason}", path=path, reason=errors.reason(error)), HINT_PATH
        ) from None
    if data is None:
        raise errors.UsageError(N_("{path} is not a regular file", path=path), HINT_PATH)
    if status.st_mode & 0o077:
        reporting.warning(N_("others may be able to read {path}", path=path))
    try:
        if len(data) > LARGEST_FILE_BYTES:
            raise ValueError(N_("larger than {size} KiB", size=LARGEST_FILE_BYTES // 1024))
        pair = foreign_pair.read(parse_object(data), status.st_mtime, time.time())
        if not pair.refresh_token:
            raise ValueError(N_("no refresh_token in it"))
    except ValueError as error:
        raise errors.DataError(
            N_("{path} makes no sense: {why}", path=path, why=error.args[0]),
            N_("it needs access_token and refresh_token"),
        ) from None
    return pair
