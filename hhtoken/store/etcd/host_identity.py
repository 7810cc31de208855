"""Which host this is: a random number in its state directory, made anew where the directory was copied from another."""

import hashlib
import json
import os

from hhtoken import errors

IDENTITY_FILE = "host.json"
MACHINE_ID_FILE = "/etc/machine-id"


def host_identity(directory):
    """Given the state directory, return ``{"id", "name"}`` of this host; raise StorageError. Under the store's lock."""
    name, home = os.uname().nodename, _home(directory)
    stored = _stored(directory)
    if stored.get("home") != home or not isinstance(stored.get("id"), str):
        stored = {"id": os.urandom(16).hex(), "home": home}
        directory.replace(IDENTITY_FILE, json.dumps(stored).encode())
    return {"id": stored["id"], "name": name}


def _stored(directory):
    try:
        found = directory.read(IDENTITY_FILE)
        fields = json.loads(found[0]) if found else {}
    except (ValueError, RecursionError, errors.DataError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _home(directory):
    """Return what differs between two hosts, of which one may be made from a copy of the other."""
    try:
        with open(MACHINE_ID_FILE, encoding="ascii", errors="replace") as file:
            machine = file.read().strip()
    except OSError:
        machine = ""
    place = os.path.realpath(directory.path)  # by whatever links it was reached
    return hashlib.sha256(repr((machine, os.uname().nodename, place)).encode()).hexdigest()
