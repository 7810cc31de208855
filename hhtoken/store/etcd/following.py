"""Which accounts have changed in etcd, as it happens."""

from hhtoken.store import account_names
from hhtoken.store.account_names import MAIN
from hhtoken.store.etcd.vault import NAMES

ALL = "all accounts"


class Following:
    """``etcd``: an Etcd. ``prefix``: text. ``account``: a name, None for the one without, or ``ALL``."""

    def __init__(self, etcd, prefix, account):
        self._etcd = etcd
        self._root = f"{prefix.rstrip('/')}/".encode()
        self._account = account
        self._revision = 0
        self._prefix = self._root if account == ALL else self._root + (account or MAIN).encode() + b"/"

    def accounts(self):
        """Return the names of the accounts that are followed; changes from now on are seen."""
        keys, self._revision = self._etcd.keys(self._prefix)
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
        names = [name for name in found if name == MAIN or account_names.is_name(name)]
        return [None if name == MAIN else name for name in sorted(names)]
