"""Who renews the pair on this machine, as far as can be seen from here: systemd's timers, or cron."""

from typing import NamedTuple, Optional

from hhtoken.renewal import cron, systemd_units
from hhtoken.store import account_names

DUE, REFRESH = "hh-token-due", "hh-token-refresh"
PROPERTIES = ("LoadState", "ActiveState", "NextElapseUSecRealtime", "Environment", "StateDirectory")


class Renewers(NamedTuple):
    """``timers``: ``{name: Unix seconds of its next look, or None}`` of those that run for this state directory.
    ``cron``: the table that renews it, or None. ``unfit``: ``(table, reason)`` of one that is meant to and cannot, or
    None. ``can_be_enabled``: the timers are there, but do not run.
    """

    timers: dict = {}
    cron: Optional[str] = None
    can_be_enabled: bool = False
    unfit: Optional[tuple] = None

    @property
    def names(self):
        return [*self.timers, *filter(None, [self.cron])]


def look(directory, account=None, default=None):
    """Given the main state directory, the account (None where none is named), and the state directory of a command that
    names none (None: not known), return the Renewers."""
    return look_at_all(directory, [account], default)[account]


def look_at_all(directory, accounts, default=None):
    """The same for many accounts at once: return ``{account: Renewers}``."""
    names = [name for account in accounts for name in names_of(account_names.instance(account))]
    units = systemd_units.show(names, PROPERTIES) or {}
    return {account: of_units(units, directory, account, default) for account in accounts}


def of_units(units, directory, account=None, default=None):
    """Given the properties of the units, and the same, return the Renewers; cron is asked where no timer runs."""
    running, idle = {}, False
    instance = account_names.instance(account)
    for unit in (DUE, REFRESH):
        timer, service = f"{unit}{instance}.timer", f"{unit}{instance}.service"
        properties = units.get(timer, {})
        if properties.get("LoadState") != "loaded" or directory not in _directories(units.get(service, {})):
            continue
        if properties.get("ActiveState") == "active":
            running[timer] = systemd_units.moment(properties.get("NextElapseUSecRealtime", ""))
        else:
            idle = True
    table, why_not = (None, None) if running else cron.look(directory, account, default)
    return Renewers(running, None if why_not else table, idle, (table, why_not) if why_not else None)


def names_of(instance=""):
    """Given what stands behind the units' names ("" or "@account"), return the names of the two timers and their
    services."""
    return [f"{unit}{instance}.{kind}" for kind in ("timer", "service") for unit in (DUE, REFRESH)]


def _directories(service):
    named = [f"/var/lib/{name}" for name in service.get("StateDirectory", "").split()]
    for setting in service.get("Environment", "").split():
        name, _equals, value = setting.partition("=")
        if name == "HHTOKEN_STATE_DIR":
            named.append(value)
    return named
