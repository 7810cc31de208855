"""Where the pair lives: the only module that knows. A narrow seam: lock, load, journal, save."""

import os
import time

from hhtoken import errors
from hhtoken.pair import LARGEST_FILE_BYTES, hand_on_mark, is_ours, pair_from_stored, pair_to_text, parse_stored
from hhtoken.store.private_directory import open_directory, storage_error
from hhtoken.text import N_

TOKEN_FILE = "token.json"
PREVIOUS_FILE = "token.json.prev"
DAMAGED_FILE = "token.json.damaged-{at}"
UNCLAIMED_FILE = "token.json.unclaimed-{at}"
RECORD_FILE = "last-refresh.json"
REFUSED_FILE = "last-refresh.json.refused"  # while the record says so of the access token: readers need one look
KEPT_ANSWER_FILE = "answer.kept"
KEPT_ANSWER_WITH_TOKEN_FILE = "answer.kept.token"
TOKEN_MARK = b'"refresh_token"'  # in an answer
KEPT_FILES = (PREVIOUS_FILE, "token.json.damaged-", "token.json.unclaimed-", KEPT_ANSWER_FILE)  # or begin like these
LOCK_FILE = ".lock"
REHEARSAL_FILE = ".rehearsal"
JOURNAL_FILE = "journal"
RESCUED_FILE = "journal.rescued"
RESERVE_FILE = ".reserve.tmp"
NEW_GRANT = "a new grant"
RESERVE_BYTES = 128 * 1024  # for the new pair and the record of it, each as large as they can be

RUNTIME_DIRECTORY = "/run/hh-token"


class StoredPair:
    """``pair``: the Pair. ``data``, ``modified_ns``: the file that it was read from."""

    __slots__ = ("pair", "data", "modified_ns")

    def __init__(self, pair, data, modified_ns):
        self.pair = pair
        self.data = data
        self.modified_ns = modified_ns


class TokenStore:
    """Given the state directory as a PrivateDirectory; made by ``open_store``.

    ``published``: the path where the access token of each new pair is published, or None.
    """

    def __init__(self, directory, published=None):
        self.directory = directory
        self.published = published
        self._runtimes = None
        self._loaded = None

    def close(self):
        """Free the descriptors: for those who open many."""
        for directory in (self.directory, *(self._runtimes or ())):
            directory.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    # -- for readers: one open, one read, no lock; a rename makes it the old pair or the new, never a mix --

    def load(self):
        """Return the StoredPair. Raise AuthorizationNeededError where there is none, DataError where it is damaged."""
        try:
            stored = self.directory.read(TOKEN_FILE, LARGEST_FILE_BYTES)
        except errors.DataError:
            raise self._damaged(N_("larger than {size} KiB", size=LARGEST_FILE_BYTES // 1024)) from None
        if stored is None:
            raise no_pair(self.directory.path)
        data, modified_ns = stored
        if not self._loaded or (self._loaded.data, self._loaded.modified_ns) != stored:  # parsed once for each content
            try:
                pair = _pair_from(parse_stored(data), modified_ns // 10**9)
            except ValueError as error:
                raise self._damaged(error.args[0]) from None
            self._loaded = StoredPair(pair, data, modified_ns)
        return self._loaded

    def pair_in_place(self):
        """Return the stored Pair; raise like ``load``, and UnavailableError where one is on its way into its place."""
        try:
            return self.load().pair
        except errors.AuthorizationNeededError:
            if not self.has_journal():
                raise
            raise errors.UnavailableError(
                N_("a run was interrupted before it had put its pair in place"), N_("type 'hhtoken refresh'")
            ) from None

    def record(self):
        """Return the Record of the last refresh, or None; damage counts as none, since it is only a memory aid."""
        from hhtoken.store import record

        try:
            stored = self.directory.read(RECORD_FILE)
        except (errors.DataError, errors.StorageError):
            return None
        return record.from_text(stored[0]) if stored else None

    def record_of(self, pair):
        """Return the Record if it is about this very Pair, or None."""
        found = self.record()
        if not found or found.refresh_token_sha256 != fingerprint(pair.refresh_token):
            return None
        if found.refused and found.refused_sha256 not in (None, fingerprint(pair.access_token)):
            found.refused = None  # an answer may bring a new access token alone
        return found

    def refusal_of(self, pair):
        """Return the Record of this Pair if the API has refused its access token, else None."""
        last = self.record_of(pair) if self.directory.exists(REFUSED_FILE) else None
        return last if last and last.is_refused else None

    def record_version(self):
        """Return what tells the Record of now from the next one, whatever the clock says; None where there is none."""
        return self.directory.version(RECORD_FILE)

    def has_journal(self):
        """Tell whether a request is in flight, or was interrupted."""
        return any(directory.exists(name) for directory, name in self._journal_places())

    def is_unsettled(self):
        """Tell whether there is something to put in order, under the lock, before anything new is begun."""
        return self.has_journal()

    def why_no_room(self):
        """Return the StorageError for which ``begin`` would fail, as far as can be seen without writing, or None."""
        from hhtoken.store import journal

        return self.why_fixed() or self.directory.why_no_room(RESERVE_BYTES + journal.SIZE)

    def why_fixed(self):
        """Return the StorageError for which no new pair can ever take its place here, or None."""
        return self.directory.why_fixed(TOKEN_FILE)

    # -- for writers, under the lock --

    def lock(self, replacing=None):
        """Return a context in which the lock is held; entering raises TryLaterError where another holds it for long.

        ``replacing``: NEW_GRANT, or a Pair from a file, which is about to be put in place of whatever is there."""
        from hhtoken.store import file_lock

        self.directory.close_to_others()
        return file_lock.held(self.directory, LOCK_FILE)

    def claim(self, _force, _clock):
        """Return a context in which this host may spend the refresh token; entering gives None, or else the Record to
        report. Here the lock is all there is to it; ``hhtoken.store.etcd`` knows of other hosts."""
        import contextlib

        if self.load().pair.is_shared:  # renewed from here, it is lost for the other hosts
            raise shared_elsewhere(self.directory.path)
        return contextlib.nullcontext()

    def begin(self, intent):
        """Prove that a new pair can be saved, put down the intent (a dict), and return the open Journal; raise
        StorageError."""
        from hhtoken.store import journal

        try:
            stored = self.directory.read(TOKEN_FILE, LARGEST_FILE_BYTES)
        except errors.DataError:
            stored = None
        try:
            self.rehearse(TOKEN_FILE, stored)
        except errors.StorageError as error:
            self._remember_fixed(intent.get("refresh_token_sha256"), error)
            raise
        return journal.begin(self.directory, JOURNAL_FILE, intent)

    def _remember_fixed(self, token, error):
        """Write down that no run can renew the pair before someone has changed its place."""
        from hhtoken.store import record

        if not (token and self.why_fixed()):
            return
        last = self.record()
        failed = record.after(
            last if last and last.refresh_token_sha256 == token else None,
            outcome=record.MISCONFIGURED,
            at=int(time.time()),
            message=error.message,
            hint=error.hint,
            exit_code=error.exit_code,
            refresh_token_sha256=token,
        )
        self.remember(failed)

    def rehearse(self, name, stored):
        """Prove that a file can be replaced: write the very file again, unchanged (``stored``: its bytes and its
        modification time in ns, or None), on the very path that a new one will take, and hold room for that. Nothing
        less finds an immutable file or an append-only directory. Raise StorageError."""
        if stored:
            self.directory.replace(name, *stored)
        else:
            self.directory.replace(REHEARSAL_FILE, b"")
            self.directory.remove(REHEARSAL_FILE)
        self._reserve()

    def save(self, pair, replaces=None):
        """Put this Pair in place of the stored one, and return it; raise StorageError.

        ``replaces``: the fingerprint of the refresh token that was spent for it. A stored pair with another one, be it
        of an earlier authorization or put there meanwhile, is kept aside first; and so is a damaged file. One that
        HeadHunter has called dead takes no place from another that is kept.
        """
        self.directory.discard(RESERVE_FILE)
        try:
            stored = self.load()
        except errors.DataError:
            self.directory.keep_aside(TOKEN_FILE, DAMAGED_FILE.format(at=int(time.time())))
        except errors.AuthorizationNeededError:
            pass
        else:
            if stored.pair.refresh_token != pair.refresh_token and fingerprint(stored.pair.refresh_token) != replaces:
                self._keep_previous(stored)
            if replaces and fingerprint(stored.pair.refresh_token) == replaces:
                hand_on_mark(stored.pair, pair)
        self.directory.replace(TOKEN_FILE, pair_to_text(pair))
        self.publish(is_new=True)
        return pair

    def publish(self, is_new=False):
        """Put the stored access token where it is to be published, unless it is there. Needs no lock.

        Trouble is a warning, never a failure of what was asked for: the pair is safe, and the next refresh tries again.
        """
        if not self.published:
            return
        from hhtoken.store import published_file

        try:
            stored, done = self.load(), None
            if not is_new and published_file.is_current(self.published, stored.modified_ns):
                return
            while stored.pair.access_token != done:  # a peer may have stored and published a newer one meanwhile
                done = stored.pair.access_token
                published_file.publish(self.published, done, stored.modified_ns, self.directory.owner)
                stored = self.load()
        except (errors.StorageError, errors.ConfigError) as error:
            _warn(N_("the access token is not published: {reason}", reason=error.message), error.hint)
        except errors.Error:
            pass  # there is none

    def unpublish(self):
        """Remove the published file: there is no pair any more. Trouble is a warning."""
        if not self.published:
            return
        from hhtoken.store import published_file

        try:
            published_file.withdraw(self.published, self.directory.owner)
        except (errors.StorageError, errors.ConfigError) as error:
            _warn(N_("the access token is still published: {reason}", reason=error.message), error.hint)

    def forget(self):
        """Remove the pair, and whatever else may hold a refresh token; the journal goes last, so that an interrupted
        removal can be explained. Raise StorageError."""
        self.unpublish()
        for name in self.directory.names():
            if name.startswith(KEPT_FILES):
                self.directory.remove(name)
        self.directory.remove(TOKEN_FILE)
        self.directory.remove(RECORD_FILE)
        self.directory.discard(REFUSED_FILE)
        self.settle()

    def _reserve(self):
        """Hold room on the disk until ``save``, or ``release``; raise StorageError."""
        try:
            self.directory.discard(RESERVE_FILE)
            descriptor = self.directory.create(RESERVE_FILE)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.directory.discard(RESERVE_FILE)
            raise storage_error(N_("reserve room in"), self.directory.path, error) from None

    def release(self):
        """Give the room back that ``rehearse`` holds, if it does."""
        self.directory.discard(RESERVE_FILE)

    def _keep_previous(self, stored):
        last = self.record_of(stored.pair)
        is_another_kept = last and self.directory.exists(PREVIOUS_FILE)
        if is_another_kept and last.dead:
            return  # the one that is kept may live
        try:
            if is_another_kept and not last.spent_sha256:  # never renewed since it took that one's place
                self.put_previous_aside()
            self.directory.replace(PREVIOUS_FILE, stored.data, stored.modified_ns)
        except errors.StorageError:
            pass  # a courtesy; it must not stand in the way of the new pair

    def put_previous_aside(self):
        """Give token.json.prev a name under which nothing overwrites it; return that. Raise StorageError."""
        name = self._unclaimed_name()
        self.directory.keep_aside(PREVIOUS_FILE, name)
        return name

    def remember(self, record):
        """Write down what the last refresh came to; raise StorageError."""
        from hhtoken.store.record import to_text

        if record.is_refused:
            self.directory.replace(REFUSED_FILE, b"")
        self.directory.replace(RECORD_FILE, to_text(record))
        if not record.is_refused and self.directory.exists(REFUSED_FILE):
            self.directory.discard(REFUSED_FILE)

    def leftovers(self):
        """Return ``[(intent, Answer or None)]`` of the requests that are not settled."""
        from hhtoken.store import journal

        found = [journal.read(directory, name) for directory, name in self._journal_places()]
        return [leftover for leftover in found if leftover is not None]

    def keep_answer(self, body):
        """Keep the body of an answer that could not be used, apart from those without a token if there is one in it.
        Raise StorageError."""
        self.directory.replace(KEPT_ANSWER_WITH_TOKEN_FILE if TOKEN_MARK in body else KEPT_ANSWER_FILE, body)

    def keep_pair(self, pair):
        """Keep a pair that has no claim to the place of the stored one; returns its path. Raise StorageError."""
        name = self._unclaimed_name()
        self.directory.replace(name, pair_to_text(pair))
        return self.directory.path_of(name)

    def _unclaimed_name(self):
        at = int(time.time())
        while self.directory.exists(UNCLAIMED_FILE.format(at=at)):
            at += 1
        return UNCLAIMED_FILE.format(at=at)

    def rescue(self, intent, answer):
        """Write an answer to any place that takes it, for the next run to find; return the path, or None."""
        from hhtoken.store import journal

        for directory, name in self._journal_places()[1:]:
            try:
                directory.replace(name, journal.text_of(intent, answer))
            except errors.StorageError:
                continue
            return directory.path_of(name)
        return None

    def settle(self):
        """Remove the journals: what they held is dealt with. Raise StorageError."""
        self.directory.discard(RESERVE_FILE)
        for directory, name in self._journal_places():
            if directory.exists(name):
                directory.remove(name)

    def _damaged(self, why):
        path = self.directory.path_of(TOKEN_FILE)
        return errors.DataError(
            N_("{path} makes no sense: {why}", path=path, why=why),
            N_(
                "it is left as it is; restore a copy with 'hhtoken import FILE', or {authorize}",
                authorize=errors.HINT_AUTHORIZE,
            ),
        )

    def _journal_places(self):
        """Return where a journal can lie, as ``(directory, name)``: its own place, then those that ``rescue`` tries."""
        own = os.fstat(self.directory.descriptor)  # which stays the same by whatever path another run comes
        name = f"{RESCUED_FILE}-{own.st_dev:x}-{own.st_ino:x}"
        if self._runtimes is None:
            self._runtimes = _runtime_directories()
        elsewhere = [(runtime, name) for runtime in self._runtimes]
        return [(self.directory, JOURNAL_FILE), (self.directory, RESCUED_FILE), *elsewhere]


def _pair_from(fields, modified_at):
    if is_ours(fields):
        return pair_from_stored(fields)
    from hhtoken.store import foreign_pair  # on the first use of another program's file alone

    return foreign_pair.read(fields, modified_at, time.time())


def _runtime_directories():
    """The one that every run looks into comes first: the unit's own may be a bot's, and end with it."""
    found = []
    named = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or RUNTIME_DIRECTORY
    for path in dict.fromkeys((RUNTIME_DIRECTORY, named)):
        try:
            directory = open_directory(path)
        except errors.StorageError:
            continue  # someone else's
        if directory:
            found.append(directory)
    return found


def _warn(sentence, hint):
    from hhtoken.console import reporting

    reporting.announce(sentence, hint)


def open_store(path, create=False, published=None):
    """Open the store in a state directory; raise AuthorizationNeededError where there is none, and none is made.

    ``published``: of ``Settings.published_file()``, for whoever may save a pair.
    """
    directory = open_directory(path, create)
    if directory is None:
        raise no_pair(path)
    return TokenStore(directory, published)


def no_pair(path):
    return errors.NoPairError(N_("not logged in: no token in {path}", path=path), errors.HINT_AUTHORIZE)


def shared_elsewhere(path):
    return errors.ConfigError(
        N_("the pair in {path} is shared with other hosts, but HHTOKEN_STORE is not set", path=path),
        N_(
            "set HHTOKEN_STORE as on the other hosts; or, to use the pair on this host alone, "
            "type 'hhtoken export FILE' where it is set, and 'hhtoken import FILE' here"
        ),
    )


def fingerprint(value):
    """Return the SHA-256 of a text in hexadecimal, or None of None: tells tokens apart without keeping them."""
    from hashlib import sha256

    return sha256(value.encode("utf-8", "surrogateescape")).hexdigest() if value is not None else None
