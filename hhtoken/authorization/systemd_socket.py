"""Where systemd holds the port: hh-token-callback.service takes the browser in, and we look on until it has."""

import select
import time

from hhtoken.renewal import systemd_units
from hhtoken.store import record

SOCKET, SERVICE = "hh-token-callback.socket", "hh-token-callback.service"
LOOK_SECONDS = 0.5


def serves(directory):
    """Tell whether that socket is open, for this state directory."""
    units = systemd_units.show((SOCKET, SERVICE), ("ActiveState", "StateDirectory")) or {}
    names = units.get(SERVICE, {}).get("StateDirectory", "").split()
    return units.get(SOCKET, {}).get("ActiveState") == "active" and directory in [f"/var/lib/{name}" for name in names]


def wait(store, pending, state, on_input, timeout_seconds, tick):
    """Wait until the authorization with this state is used up, or ``on_input`` (or None), which is called when there
    is something on standard input, returns True; tell whether that came in time. EOFError from it: nothing more comes.
    ``tick``: of ``progress.waiting``.
    """
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if pending.find(state) is None and not store.has_journal():  # the journal goes last
            return True
        tick(deadline - time.monotonic())
        if on_input is None:
            time.sleep(LOOK_SECONDS)
            continue
        try:
            if select.select([0], [], [], LOOK_SECONDS)[0] and on_input():
                return True
        except EOFError:
            on_input = None
    return False


def new_authorization(store, version):
    """Given what ``record_version`` said before, return the Record of an authorization since then, or None."""
    last = store.record()
    is_new = store.record_version() != version and last is not None and last.outcome == record.AUTHORIZED
    return last if is_new else None
