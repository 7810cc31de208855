"""The authorizations that a browser was sent out with and has not come back from: state, verifier, redirect URI."""

import hmac
import json
import os
import time

from hhtoken import errors
from hhtoken.text import N_, escaped

NAME = "pending.json"
BOOT_ID = "/proc/sys/kernel/random/boot_id"  # not to be seen by the units (ProcSubset=pid), for which the clock counts
LIFE_SECONDS = 3600
MOST_KEPT = 20  # the newest; a loop around authorize-url must not fill the file


def may_be_living(path):
    """Given a state directory, tell whether anything in it was written so late that it can be living; one look, for
    those who have many to look into."""
    try:
        return time.time() - os.stat(os.path.join(path, NAME)).st_mtime < LIFE_SECONDS
    except OSError:
        return False


class PendingAuthorizations:
    """Given the state directory as a PrivateDirectory. All changes are made under the store's lock."""

    def __init__(self, directory, clock=time.time):
        self._directory = directory
        self._clock = clock

    def add(self, state, verifier, redirect_uri):
        """Remember an authorization, durably; raise StorageError."""
        boot, uptime = _uptime()
        entry = {"state": state, "verifier": verifier, "redirect_uri": redirect_uri}
        entry.update(created_at=int(self._clock()), boot=boot, uptime=uptime)
        self._write([*self._living(), entry][-MOST_KEPT:])

    def find(self, state):
        """Return the living entry (a dict) with this state, compared in constant time, or None."""
        found = None
        for entry in self._living():
            if same_state(entry["state"], state):
                found = entry
        return found

    def newest(self):
        """Return the entry that was added last, or None."""
        living = self._living()
        return living[-1] if living else None

    def remove(self, entry):
        """Forget an entry, durably: it is single use. Raise StorageError."""
        self._write([other for other in self._living() if other["state"] != entry["state"]])

    def _living(self):
        stored = self._directory.read(NAME)
        if stored is None:
            return []
        try:
            entries = json.loads(stored[0])["authorizations"]
            now, uptime = self._clock(), _uptime()
            values = [entry[name] for entry in entries for name in ("state", "verifier", "redirect_uri")]
            if not all(isinstance(value, str) for value in values):
                raise ValueError
            return [entry for entry in entries if -LIFE_SECONDS < _age(entry, now, *uptime) < LIFE_SECONDS]
        except (ValueError, TypeError, KeyError, RecursionError):
            path = self._directory.path_of(NAME)
            raise errors.DataError(
                N_("{path} is damaged", path=path),
                N_("no pair is lost by it; type: rm {path}, then type 'hhtoken login'", path=escaped(path)),
            ) from None

    def _write(self, entries):
        self._directory.replace(NAME, (json.dumps({"authorizations": entries}, indent=2) + "\n").encode())


def _age(entry, now, boot, uptime):
    return uptime - entry["uptime"] if boot and entry.get("boot") == boot else now - entry["created_at"]


def _uptime():
    """Return which boot this is (None: not known) and the seconds since: they go on while the clock is set."""
    try:
        with open(BOOT_ID) as file:
            return file.read().strip(), int(time.clock_gettime(time.CLOCK_BOOTTIME))
    except OSError:
        return None, 0


def same_state(one, other):
    """Compare two states in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
