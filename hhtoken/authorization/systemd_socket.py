"""Where systemd holds the port: hh-token-callback.service takes the browser in, and we look on until it has."""

import select
import time

from hhtoken import errors
from hhtoken.renewal import systemd_units
from hhtoken.text import N_

SOCKET, SERVICE = "hh-token-callback.socket", "hh-token-callback.service"
STATE_DIRECTORIES = "/var/lib"  # systemd.exec(5), StateDirectory=
LOOK_SECONDS = 0.5


def state(directory):
    """Return the ActiveState of that socket, or None where its service is not there, or for another state directory."""
    units = systemd_units.show((SOCKET, SERVICE), ("ActiveState", "StateDirectory")) or {}
    names = units.get(SERVICE, {}).get("StateDirectory", "").split()
    is_ours = directory in [f"{STATE_DIRECTORIES}/{name}" for name in names]
    return units[SOCKET].get("ActiveState") if is_ours else None


def client_secret(settings, may_wait=False):
    """Given the Settings, return the client secret; None if only the socket's service may have it, and ``may_wait`` for
    that; else raise the ConfigError, with a hint that leads there: nobody shall make the secret easier to read."""
    try:
        return settings.client_secret()
    except errors.ConfigError as error:
        found = state(settings.main_directory()) if settings.is_secret_out_of_reach() else None
        if found == "active" and may_wait:
            return None
        if found:
            start = "" if found == "active" else N_("'systemctl enable --now {socket}', then ", socket=SOCKET)
            error.hint = N_(
                "if {service} has it, type {start}'hhtoken login'; else {fix}",
                service=SERVICE,
                start=start,
                fix=error.hint,
            )
        raise


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
