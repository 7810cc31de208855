"""Which accounts have changed in etcd, as it happens."""

from hhtoken.account_names import MAIN

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
        """Wait for a change, at most so many seconds; return the names of the accounts that it is about."""
        keys, self._revision = self._etcd.changes(self._prefix, self._revision, seconds)
        return self._names(keys)

    def _names(self, keys):
        found = {key[len(self._root) :].split(b"/")[0].decode("utf-8", "replace") for key in keys}
        return sorted((None if name == MAIN else name for name in found), key=lambda name: name or "")
