"""The TokenStore of a host that shares its pair with others. ``docs/scale.md`` has the protocol and its reasons."""

import contextlib
import json
import math
import os
import time

from hhtoken import errors
from hhtoken.console import reporting, signals
from hhtoken.pair import Pair
from hhtoken.store import record
from hhtoken.store.etcd import comparison
from hhtoken.store.etcd.claim import Claim, host_identity
from hhtoken.store.etcd.client import Unreachable
from hhtoken.store.etcd.comparison import mark_of, marked
from hhtoken.store.record import Record
from hhtoken.store.token_store import TOKEN_FILE, TokenStore, fingerprint
from hhtoken.text import N_, escaped

CLAIM_WAIT_SECONDS = 10  # for a host that is renewing at this moment; as long as the wait for the lock of this host
CLAIM_LOOK_SECONDS = 1.0  # between two looks, should no change be seen
FURTHEST_CLOCK_SECONDS = 2 * 3600
DATE_SECONDS = 3  # what two Dates, each of whole seconds, leave open
PATIENCE_SECONDS = 5  # with etcd, once there is no way back
TOO_MANY_REQUESTS = 429


class SharedStore(TokenStore):
    """``store``: the TokenStore of this host. ``vault``: a Vault. ``provider_clock``: returns the provider's time in
    Unix seconds, or None where it cannot be had."""

    def __init__(self, store, vault, provider_clock):
        super().__init__(store.directory, store.published)
        self._vault = vault
        self._provider_clock = provider_clock
        self._provider_ahead = None
        self._seen = self._claimed = self._replacing = None

    def has_journal(self):
        """Tell whether a request is in flight, or was interrupted: not where ``settle`` has left a journal."""
        return super().has_journal() and not self._has_to_be_handed_on()

    def is_unsettled(self):
        """Tell whether there is something to put in order first; a host without a pair, or with a dead one, may find
        another in etcd."""
        last = self.record()
        return super().has_journal() or not self.directory.exists(TOKEN_FILE) or bool(last and last.dead)

    def load(self):
        try:
            return super().load()
        except errors.NoPairError as error:
            error.is_from_etcd = self._seen is not None
            raise

    # -- under the lock --

    @contextlib.contextmanager
    def lock(self, replacing=None):
        """Hold the lock of this host, with its copy in step with etcd. Raise ConfigError where the two have nothing to
        do with each other, Unreachable: then nothing may be sent.

        ``replacing``: NEW_GRANT, or a Pair from a file, where such a one is about to be put in place of what is
        there."""
        with super().lock():
            self._provider_ahead = None  # the clock may have been set meanwhile
            self._seen, self._replacing = self._vault.read(), replacing
            self._reconcile(self._seen)
            if isinstance(replacing, Pair):
                self._require_place(self._seen, replacing)
            yield

    def _require_place(self, contents, pair):
        """One from a file may be a backup, whose refresh token is spent, so it takes no place but an empty one, that of
        an earlier one of its line, and that of a dead one, if it does not come before that."""
        allowed = (comparison.PROMOTE, *((comparison.CONFLICT, comparison.FOREIGN) if _is_dead(contents) else ()))
        if contents.pair and self._relation(pair, contents) not in allowed:
            raise errors.UsageError(
                N_("etcd holds a pair at {place} already", place=self._vault.name),
                N_("to put another one there, move that one out first, by 'hhtoken export FILE'"),
            )

    @contextlib.contextmanager
    def claim(self, force, clock):
        """Inside the ``with``, this host alone may spend the refresh token; entering gives None, or else the Record to
        report. What nothing was spent under is given back at its end, so that another host need not wait."""
        try:
            yield self._claim(force, clock)
        finally:
            claim, self._claimed = self._claimed, None
            if claim:
                with contextlib.suppress(errors.Error), signals.deferred():
                    claim.give_back()

    def _claim(self, force, clock):
        pair = self.load().pair
        left = None if force else self._seconds_left(pair, clock())
        if left is not None and left > DATE_SECONDS:  # this host's clock has been set since
            return record.not_due(self._save_here(pair).expires_at)
        time.sleep(max(0, left or 0))
        self._claimed = Claim(self._vault, host_identity(self.directory))
        deadline = time.monotonic() + CLAIM_WAIT_SECONDS
        while True:
            contents = self._vault.read()
            if contents.pair is None or not comparison.is_same(contents.pair, pair):
                self._reconcile(contents)
                now_here = self.load().pair
                if not comparison.is_same(now_here, pair):
                    message = N_("another host has renewed the pair")
                    return Record(outcome=record.RENEWED, message=message, lives_until=now_here.expires_at)
                continue  # ours is in etcd again, which had an older one
            if contents.verdict and not (force and not _is_dead(contents)):
                self._adopt(contents.verdict, clock())
                return self.record_of(pair) or _busy(contents, pair, clock())
            last = self.record_of(pair)
            if self._claimed.take(contents, bool(last and last.perhaps_spent_at), clock()):
                if self._claimed.in_place_of:
                    self._take_up(self._claimed.in_place_of, pair, last)
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                return _busy(contents, pair, clock())
            self._vault.wait_for_change(contents.revision, min(left, CLAIM_LOOK_SECONDS))

    def begin(self, intent):
        journal = super().begin(intent)
        if self._claimed:
            journal.send_before = self._claimed.hold
        return journal

    def save(self, pair, replaces=None):
        """Put the Pair in place of this host's, at once, and into etcd, now or as soon as that takes it. Return the
        Pair that is in place then: another host's may have been faster. Raise StorageError, and UsageError where a
        pair from a file has come too late."""
        pair = self._marked_as_next(pair)
        if not isinstance(self._replacing, Pair):  # which may still be refused
            with contextlib.suppress(errors.StorageError):  # the other hosts can use it; the next ``save`` raises it
                super().save(pair, replaces)
        try:
            pair = _patiently(lambda: self._put(pair, replaces, self._vault.read()))
        except errors.UsageError:
            raise
        except Exception as error:  # whatever it is: a pair that a token was spent for does not hang on etcd
            defect = N_("a defect of hhtoken: {kind}", kind=type(error).__name__)
            reason = error.message if isinstance(error, errors.Error) else defect
            safe = N_("{reason}; the new pair is safe here, and goes to etcd once that takes it", reason=reason)
            reporting.announce(safe, getattr(error, "hint", None))
        return self._save_here(pair, replaces)

    def remember(self, outcome):
        if self._claimed:
            self._claimed.conclude(outcome)
        super().remember(outcome)
        is_pause = outcome.http_status == TOO_MANY_REQUESTS and outcome.not_before > outcome.at
        if outcome.dead or is_pause:
            with contextlib.suppress(errors.Error):
                self._put_verdict(self._vault.read(), outcome)

    def _put_verdict(self, contents, outcome):
        if contents.pair is None or fingerprint(contents.pair.refresh_token) != outcome.refresh_token_sha256:
            return
        seconds = None if outcome.dead else max(1, outcome.not_before - int(time.time()))
        self._vault.put_verdict(contents, outcome.as_dict(), seconds)

    def settle(self):
        """Remove the journals, except of a pair that etcd does not have: each minute looks at what is unsettled."""
        if not self._has_to_be_handed_on():
            super().settle()

    def _has_to_be_handed_on(self):
        mark = mark_of(self._local_pair())
        return bool(mark) and not mark.is_in_etcd

    def forget(self):
        """Remove the pair from etcd, then here; raise TryLaterError where another host has set out to renew it, or has
        put a newer one there. The other hosts learn of it, and put their copies aside."""
        mine = self._local_pair()
        _patiently(lambda: self._remove(mine))
        super().forget()

    def _remove(self, mine):
        """Tell whether etcd has no pair any more; where that was refused, another look tells why."""
        contents = self._vault.read()
        if contents.pair is None:
            return True
        if contents.owner and contents.owner.get("id") != host_identity(self.directory)["id"]:
            raise errors.TryLaterError(N_("another host is renewing the pair"), N_("try again in a moment"))
        if mine is None or not comparison.is_same(mine, contents.pair):
            raise errors.TryLaterError(N_("another host has put a newer pair into etcd"), N_("try again"))
        return bool(self._vault.remove(contents, mark_of(contents.pair)._asdict()))

    # -- what stands in etcd, and what stands here --

    def _reconcile(self, contents):
        """Bring this host's copy and etcd's in step, whichever is newer; raise ConfigError where nothing tells."""
        local = self._local_pair()
        relation = self._relation(local, contents)
        if relation == comparison.TAKE_OVER:
            self._take_over(contents.pair)
        elif relation == comparison.ENDED:
            self._give_up(local)
        elif relation == comparison.IN_STEP:
            self._exchange_verdicts(local, contents)
        elif relation == comparison.PROMOTE:
            promoted = self._put(local, None, contents)
            if promoted:
                super().save(promoted)
                reporting.event("etcd has the new pair now", reporting.NOTICE)
            else:
                self._reconcile(self._vault.read())
        elif relation == comparison.CONFLICT:
            self._keep_aside(local)
            self._take_over(contents.pair)
        elif relation == comparison.FOREIGN:
            raise self._foreign()
        elif relation in (comparison.UNSHARED, comparison.VANISHED) and not self._replacing:
            path = self.directory.path_of(TOKEN_FILE)
            raise errors.ConfigError(
                N_("etcd holds no pair at {place}, but there is one in {path}", place=self._vault.name, path=path),
                N_("to put this one there, type 'hhtoken import {path}'", path=escaped(path)),
            )

    def _foreign(self):
        return errors.ConfigError(
            N_(
                "the pair in {path} and the one in etcd at {place} have nothing to do with each other",
                path=self.directory.path,
                place=self._vault.name,
            ),
            N_("give each installation a prefix of its own in HHTOKEN_STORE, or begin with an empty state directory"),
        )

    def _exchange_verdicts(self, local, contents):
        last = self.record_of(local)
        if mark_of(local) != mark_of(contents.pair):  # with another one the next pair would seem foreign
            self._save_here(contents.pair)
        if contents.verdict:
            self._adopt(contents.verdict, time.time())
        elif last and last.dead:  # etcd was out of reach when HeadHunter said so
            self._put_verdict(contents, last)

    def is_in_step(self):
        """Tell whether this host knows all that etcd does, and nothing is unsettled; without the lock."""
        contents, local = self._vault.read(), self._local_pair()
        relation = self._relation(local, contents)
        if relation == comparison.NOTHING:
            return True
        if relation != comparison.IN_STEP or super().has_journal():
            return False
        last = self.record_of(local)
        is_told = bool(last) and (last.dead or last.http_status == TOO_MANY_REQUESTS)
        return bool(contents.verdict) == is_told and mark_of(local) == mark_of(contents.pair)

    def _take_over(self, pair):
        local = self._local_pair()
        saved = self._save_here(pair, replaces=fingerprint(local.refresh_token) if local else None)
        reporting.event(f"took over a newer pair from etcd; expires_at={saved.expires_at}", reporting.NOTICE)

    def _keep_aside(self, pair):
        kept = N_("another host's pair takes the place of this one's, which is in {path}", path=self.keep_pair(pair))
        reporting.announce(kept, priority=reporting.ERROR)

    def _give_up(self, pair):
        path = self.keep_pair(pair)
        reporting.announce(N_("another host has revoked the pair, or moved it; the copy here is now {path}", path=path))
        self.directory.remove(TOKEN_FILE)
        self.unpublish()

    def _put(self, pair, replaces, contents):
        """Put a Pair with a Mark in place of what the Contents tell of; return what is there now, or None where they
        are out of date. A renewed one (``replaces``) goes behind none but those of its line that came before it."""
        relation = self._relation(pair, contents)
        if relation == comparison.IN_STEP:
            return contents.pair
        if replaces and relation in (comparison.TAKE_OVER, comparison.CONFLICT):
            self._keep_aside(pair)
            return contents.pair
        if replaces and relation == comparison.FOREIGN:
            raise self._foreign()
        if isinstance(self._replacing, Pair):
            self._require_place(contents, pair)
        mark = comparison.mark_after(pair, _marks_in(contents))
        if not mark.provider_expires_at and self._ahead() is not None:
            mark = mark._replace(provider_expires_at=pair.expires_at + self._ahead() + 1)
        published = marked(pair, mark._replace(is_in_etcd=True))
        return published if self._vault.put_pair(contents, published) else None

    def _marked_as_next(self, pair):
        """Return the Pair with the Mark of what comes after all that this host knows of; it is not in etcd yet."""
        here = () if mark_of(pair) else (mark_of(self._local_pair()),)  # a file may be of the same pair
        mark = comparison.mark_after(pair, (*_marks_in(self._seen), *here), new_line=os.urandom(16).hex())
        return marked(pair, mark._replace(provider_expires_at=0, is_in_etcd=False))

    def _relation(self, local, contents):
        return comparison.compare(local, contents.pair, comparison.from_dict(contents.end))

    def _local_pair(self):
        try:
            return self.load().pair
        except (errors.AuthorizationNeededError, errors.DataError):  # a damaged copy is kept aside by ``save``
            return None

    # -- whose clock --

    def _save_here(self, pair, replaces=None):
        """Put the Pair in place and return it, with its times as this host's clock will show them: what compares them
        with that need not know of other hosts. They stay as they are where the provider does not tell the time."""
        now = time.time()
        left = self._seconds_left(pair, now)
        shift = round(now + left) - pair.expires_at if left is not None else 0
        if abs(shift) > DATE_SECONDS:
            times = pair.obtained_at + shift, pair.expires_at + shift
            pair = Pair(pair.fields, *times, pair.assumed)
        return super().save(pair, replaces)

    def _seconds_left(self, pair, now):
        """Return how long the access token is valid by the provider's clock; None where that is not known."""
        if not pair.provider_expires_at or self._ahead() is None:
            return None
        left = pair.provider_expires_at - (now + self._ahead())
        return left if left <= pair.expires_at - pair.obtained_at + DATE_SECONDS else None

    def _ahead(self):
        """Return by how many seconds the provider's clock is ahead of this host's, at least (a Date has whole seconds,
        so it may be one more), or None; asked once. One that is further off than clocks are by mistakes with their hour
        is not believed: one odd Date must not keep a pair from being renewed."""
        if self._provider_ahead is None:
            moment = self._provider_clock()
            if moment and abs(moment - time.time()) <= FURTHEST_CLOCK_SECONDS:
                self._provider_ahead = math.floor(moment - time.time())
        return self._provider_ahead

    def _take_up(self, intent, pair, last):
        """Another host has set out to spend this refresh token, and fallen silent: remember when that was, should
        HeadHunter say that it is spent."""
        name, set_out_at = intent.get("name"), intent.get("at", 0)
        unknown = record.after(
            last,
            outcome=record.OUTCOME_UNKNOWN,
            at=set_out_at,
            message=N_("outcome unknown: host {name} does not say what came of it", name=name),
            perhaps_spent_at=last and last.perhaps_spent_at or set_out_at,
            refresh_token_sha256=fingerprint(pair.refresh_token),
        )
        super().remember(unknown)
        reporting.event(f"trying in place of host {name}, which fell silent", reporting.WARNING)

    def _adopt(self, verdict, now):
        """Take over what HeadHunter has told another host about this very pair, for good or for a while."""
        told, last = record.from_text(json.dumps(verdict).encode()), self.record()
        is_of_it = told and last and last.refresh_token_sha256 == told.refresh_token_sha256
        if told is None or is_of_it and (last.dead or _event(last) == _event(told)):
            return
        if not told.dead:  # hosts' clocks differ, but not how long it is to be waited
            times = {"at": int(now), "not_before": int(now) + told.not_before - told.at}
            told = record.after(last if is_of_it else None, **_event(told), **times)
        super().remember(told)


def _event(told):
    """Return what is the same in the Record of the host that was told something, and in those of the others."""
    own = *record.LASTING, "at", "not_before"
    return {name: value for name, value in told.as_dict().items() if name not in own}


def _marks_in(contents):
    return comparison.from_dict(contents.end), mark_of(contents.pair)


def _is_dead(contents):
    return bool(contents.verdict) and contents.verdict.get("dead") is True


def _busy(contents, pair, now):
    name = (contents.intent or {}).get("name", "?")
    return Record(
        outcome=record.TRY_LATER,
        exit_code=errors.TEMPFAIL,
        at=int(now),
        message=N_("host {name} has set out to renew this pair, and has not said what came of it", name=name),
        hint=N_("look at 'hhtoken status' there; should it stay silent, another host tries after a while"),
        refresh_token_sha256=fingerprint(pair.refresh_token),
    )


def _patiently(step):
    """Return what the step returns, which is done again while that is nothing (it was overtaken), and for some seconds
    while it raises Unreachable: the members may be choosing a leader. It has to look first, since a change whose answer
    was lost may have taken effect."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if done := step():
                return done
        except Unreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
