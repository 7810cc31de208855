"""One host's claim on the right to spend the refresh token, from the first try to get it until it is given back."""

import contextlib
import hashlib
import json
import os
import time

from hhtoken import errors
from hhtoken.pair import parse_object
from hhtoken.provider.transfer import NotSent
from hhtoken.store import record
from hhtoken.text import N_

IDENTITY_FILE = "host.json"
MACHINE_ID_FILE = "/etc/machine-id"

SEND_SECONDS = 20  # between the last look at the claim and the first byte of what is sent under it


def host_identity(directory):
    """Given the state directory, return ``{"id", "name"}`` of this host; raise StorageError. Under the store's lock."""
    name, machine, stored = os.uname().nodename, "", {}
    with contextlib.suppress(OSError), open(MACHINE_ID_FILE, encoding="ascii", errors="replace") as file:
        machine = file.read().strip()
    place = os.path.realpath(directory.path)  # by whatever links it was reached
    # What differs between two hosts, of which one may be made from a copy of the other.
    home = hashlib.sha256(repr((machine, name, place)).encode()).hexdigest()
    with contextlib.suppress(ValueError, TypeError, errors.DataError):  # a TypeError where there is none
        stored = parse_object(directory.read(IDENTITY_FILE)[0])
    if stored.get("home") != home or not isinstance(stored.get("id"), str):
        stored = {"id": os.urandom(16).hex(), "home": home}
        directory.replace(IDENTITY_FILE, json.dumps(stored).encode())
    return {"id": stored["id"], "name": name}


class Claim:
    """``vault``: a Vault. ``host``: of ``host_identity``. ``in_place_of``: the intent of the host that fell silent, in
    whose place this one tries, or None."""

    def __init__(self, vault, host):
        self._vault = vault
        self._host = host
        self._signature = {**host, "claim": os.urandom(8).hex()}  # tells it from an earlier claim of this host
        self._revision = None  # None before the first try; 0: lost
        self._may_have_spent = False  # by what was sent under this claim
        self._goes_on = False  # with a claim under which this host has sent the token, not knowing what came of it
        self.in_place_of = None

    def take(self, contents, is_unsure, now):
        """Try to get it, as things stand in the Contents; tell whether we have it. Raise what the Vault raises.

        ``is_unsure``: whether this token may have been spent before. ``now``: Unix seconds."""
        if self._is_in(contents):  # it took effect, and etcd's answer was lost
            self._revision = contents.revisions["owner"]
            return True
        if contents.owner and contents.owner.get("id") != self._host["id"]:
            return False
        is_ours = bool(contents.intent) and contents.intent.get("id") == self._host["id"]
        self.in_place_of = None if is_ours else contents.intent
        self._goes_on = is_ours and is_unsure
        self._revision = 0
        intent = {**self._signature, "at": int(now)}
        self._revision = self._vault.claim(contents, self._signature, intent, self._goes_on)
        return bool(self._revision)

    def hold(self):
        """Immediately before the token is sent: make sure in etcd that the claim is still ours, and hold it until what
        is sent is certainly over. Return the latest moment, of CLOCK_BOOTTIME, at which to send; raise NotSent."""
        latest = time.clock_gettime(time.CLOCK_BOOTTIME) + SEND_SECONDS  # that clock goes on while the host sleeps
        try:
            self._may_have_spent = True
            self._revision = self._revision and self._vault.hold(self._revision, self._signature)
        except errors.Error as error:
            raise NotSent(N_("{reason}; nothing was sent", reason=error.message), error.hint) from None
        return latest if self._revision else 0

    def conclude(self, outcome):
        """Take note of what came of that (a Record)."""
        self._may_have_spent = record.may_have_spent(outcome)
        if not outcome.perhaps_spent_at:  # so that an earlier request has not spent it either
            self._goes_on, self.in_place_of = False, None

    def give_back(self):
        """Let the others try at once, where nothing was spent under it. Raise what the Vault raises."""
        if self._revision is None or self._may_have_spent or self._goes_on:
            return
        contents = self._vault.read()
        if self._is_in(contents):
            self._vault.release(contents.revisions["owner"], self.in_place_of)

    def _is_in(self, contents):
        return bool(contents.owner) and contents.owner.get("claim") == self._signature["claim"]
