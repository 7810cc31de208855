"""What stands in etcd for one account, and the transactions that change it.

  PREFIX/ACCOUNT/pair     token.json of the newest pair
  PREFIX/ACCOUNT/intent   which host has set out to spend its refresh token, and when; stays until the next pair
  PREFIX/ACCOUNT/owner    the same host, bound to a lease: gone when that host has been silent for too long
  PREFIX/ACCOUNT/verdict  what HeadHunter has said to all: the refresh token is dead; or, for as long as they must wait
  PREFIX/ACCOUNT/end      which pair was the last, where it was revoked or moved out; stays until the next pair

The values are sealed, and every change compares revisions, so that of two hosts that try the same thing one succeeds.
"""

from types import SimpleNamespace

from hhtoken import errors
from hhtoken.pair import pair_from_stored
from hhtoken.store.account_names import MAIN, is_name
from hhtoken.store.etcd.client import Unreachable
from hhtoken.store.etcd.sealing import HINT_DAMAGED
from hhtoken.text import N_

NAMES = ("pair", "intent", "owner", "verdict", "end")
CLAIM = ("pair", "intent", "owner")  # what a claim is about
NEVER = 2**62  # a revision that no key has


class Vault:
    """``etcd``: an Etcd. ``sealer``: a Sealer. ``prefix``: text, e.g. "/hh-token". ``account``: its name, or None.
    ``silence_seconds``: after which another host may try in place of one that has set out to renew, and fell silent
    before it sent the token. ``flight_seconds``: the same, after it did."""

    def __init__(self, etcd, sealer, prefix, account, silence_seconds, flight_seconds):
        self._etcd = etcd
        self._sealer = sealer
        self._silence_seconds, self._flight_seconds = silence_seconds, flight_seconds
        self.name = f"{prefix.rstrip('/')}/{account or MAIN}/"
        self._prefix = self.name.encode()

    def read(self):
        """Return the Contents, as they were at once: ``pair`` (a Pair), ``intent``, ``owner``, ``verdict``, ``end``
        (dicts), each or all None; ``revisions``: {name: revision, 0 where it is absent}; ``revision``: of the whole
        store. Raise Unreachable, ConfigError (another key), DataError (damage)."""
        found, revision = self._etcd.read(self._prefix)
        contents = SimpleNamespace(**dict.fromkeys(NAMES), revisions=dict.fromkeys(NAMES, 0), revision=revision)
        for name in NAMES:
            value = found.get(self._key(name))
            if value is None:
                continue
            contents.revisions[name] = value.revision
            setattr(contents, name, self._sealer.open(self._key(name), value.data))
        try:
            contents.pair = contents.pair and pair_from_stored(contents.pair)
        except ValueError as error:
            what = N_("the pair in etcd makes no sense: {reason}", reason=error.args[0])
            raise errors.DataError(what, HINT_DAMAGED) from None
        return contents

    def claim(self, contents, owner, intent, may_be_spent):
        """Claim the right to spend the pair's refresh token, as things stood in the Contents; return the revision of
        the claim, or 0 where we do not have it.

        ``owner``: names the host; ``intent``: what the others should know; both dicts. ``may_be_spent``: by this host,
        which alone should try once more."""
        seconds = self._flight_seconds if may_be_spent else self._silence_seconds
        expected = {self._key(name): contents.revisions[name] for name in CLAIM}
        puts = self._sealed(owner=owner, intent=intent)
        return self._etcd.transact(expected, puts, lasting={self._key("owner"): seconds})

    def hold(self, revision, owner):
        """Hold a claim of this revision until what is sent now is over; return its new revision, 0 where it is lost."""
        key = self._key("owner")
        return self._etcd.transact({key: revision}, self._sealed(owner=owner), lasting={key: self._flight_seconds})

    def release(self, revision, intent):
        """Give back a claim of this revision that nothing was spent under; ``intent``: of an earlier host that fell
        silent, which then stands again, or None."""
        puts, ends = (self._sealed(intent=intent), ["owner"]) if intent else (None, ["owner", "intent"])
        return self._etcd.transact({self._key("owner"): revision}, puts, [self._key(name) for name in ends])

    def put_pair(self, contents, pair):
        """Put a Pair in place of the one in the Contents; tell whether that was still the one. Ends all claims."""
        expected = {self._key("pair"): contents.revisions["pair"]}
        others = [self._key(name) for name in ("intent", "owner", "verdict", "end")]
        return self._etcd.transact(expected, self._sealed(pair=pair.all_fields()), others)

    def put_verdict(self, contents, verdict, seconds=None):
        """Put down what HeadHunter has said about the pair in the Contents (a dict), unless another came meanwhile: for
        good, which ends all claims, or for so many seconds."""
        expected, sealed = {self._key("pair"): contents.revisions["pair"]}, self._sealed(verdict=verdict)
        ends = () if seconds else (self._key("intent"), self._key("owner"))
        return self._etcd.transact(expected, sealed, ends, {self._key("verdict"): seconds} if seconds else None)

    def remove(self, contents, end):
        """Remove the pair in the Contents, and all that belongs to it, and put down that this was on purpose (``end``:
        a dict); tell whether that was still the one, and nobody has set out to renew it meanwhile."""
        expected = {self._key(name): contents.revisions[name] for name in CLAIM}
        others = [self._key(name) for name in NAMES if name != "end"]
        return self._etcd.transact(expected, self._sealed(end=end), others)

    def require_write_access(self):
        """Raise ConfigError where this user may read the pair, but not replace it: a change that never comes to pass,
        because of a revision that no key has, is refused all the same."""
        self._etcd.transact({self._key("pair"): NEVER}, self._sealed(intent={}))

    def wait_for_change(self, revision, seconds):
        """Wait until something is changed after the revision, at most so many seconds."""
        self._etcd.changes(self._prefix, revision, seconds)

    def _sealed(self, **values):
        return {self._key(name): self._sealer.seal(self._key(name), fields) for name, fields in values.items()}

    def _key(self, name):
        return self._prefix + name.encode()


ALL = "all accounts"


class Following:
    """``etcd``: an Etcd. ``prefix``: text. ``account``: a name, None for the one without, or ``ALL``."""

    OutOfReach = Unreachable  # which it may raise

    def __init__(self, etcd, prefix, account):
        self._etcd = etcd
        self._root = f"{prefix.rstrip('/')}/".encode()
        self._account = account
        self._revision = 0
        self._prefix = self._root if account == ALL else self._root + (account or MAIN).encode() + b"/"

    def accounts(self):
        """Return the names of the accounts that are followed; changes from now on are seen."""
        keys, self._revision = self._etcd.read(self._prefix, keys_only=True)
        return self._names(keys) if self._account == ALL else [self._account]

    def changed(self, seconds):
        """Wait for a change, at most so many seconds; return the names of the accounts that it is about, or None where
        changes may have been missed."""
        keys, self._revision = self._etcd.changes(self._prefix, self._revision, seconds)
        return None if keys is None else self._names(keys)

    def _names(self, keys):
        """Whoever may write below the prefix chooses the keys, so only what is a name of an account counts."""
        parts = [key[len(self._root) :].decode("utf-8", "replace").split("/") for key in keys]
        found = {part[0] for part in parts if len(part) == 2 and part[1] in NAMES}
        names = [name for name in found if name == MAIN or is_name(name)]
        return [None if name == MAIN else name for name in sorted(names)]
