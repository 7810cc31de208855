"""Who renews the pair on this machine, as far as can be seen from here: systemd's timers, or cron."""

import os
import re
import subprocess

from hhtoken.renewal import systemd_units
from hhtoken.store import account_names

DUE, REFRESH = "hh-token-due", "hh-token-refresh"
PROPERTIES = ("LoadState", "ActiveState", "NextElapseUSecRealtime", "Environment", "StateDirectory")

CRON_PLACES = ("/etc/crontab", "/etc/cron.d")
CRON_COMMAND = re.compile(r"hh-token-refresh|\bhhtoken\b.*\brefresh\b")
LARGEST_CRON_BYTES = 64 * 1024
ANSWER_SECONDS = 2


class Renewers:
    """``timers``: ``{name: Unix seconds of its next look, or None}`` of those that run for this state directory.
    ``cron``: the table with a line for hhtoken, or None. ``can_be_enabled``: the timers are there, but do not run.
    """

    __slots__ = ("timers", "cron", "can_be_enabled")

    def __init__(self, timers=None, cron=None, can_be_enabled=False):
        self.timers = timers or {}
        self.cron = cron
        self.can_be_enabled = can_be_enabled


def look(directory, account=None):
    """Given the main state directory, and the account (None where none is named), return the Renewers."""
    instance = account_names.instance(account)
    units = systemd_units.show(names_of(instance), PROPERTIES) or {}
    timers, can_be_enabled = of_units(units, directory, instance)
    return Renewers(timers, None if timers else cron_table(), can_be_enabled)


def names_of(instance=""):
    """Given what stands behind the units' names ("" or "@account"), return the names of the two timers and their
    services."""
    return [f"{unit}{instance}.{kind}" for kind in ("timer", "service") for unit in (DUE, REFRESH)]


def of_units(units, directory, instance=""):
    """Given the properties of the units, the main state directory, and what stands behind the units' names, return the
    timers that run for it, with the time of their next look, and whether such timers are there but do not run."""
    running, idle = {}, False
    for unit in (DUE, REFRESH):
        timer, service = f"{unit}{instance}.timer", f"{unit}{instance}.service"
        properties = units.get(timer, {})
        if properties.get("LoadState") != "loaded" or directory not in _directories(units.get(service, {})):
            continue
        if properties.get("ActiveState") == "active":
            running[timer] = systemd_units.moment(properties.get("NextElapseUSecRealtime", ""))
        else:
            idle = True
    return running, idle


def directories_of(units):
    """Given the properties of units, return the state directories that they look after."""
    return {path for unit in units.values() for path in _directories(unit)}


def has_cron_line(table):
    """Given the text of a cron table, tell whether it starts hhtoken."""
    return any(CRON_COMMAND.search(line) for line in table.splitlines() if not line.lstrip().startswith("#"))


def _directories(service):
    named = [f"/var/lib/{name}" for name in service.get("StateDirectory", "").split()]
    for setting in service.get("Environment", "").split():
        name, _equals, value = setting.partition("=")
        if name == "HHTOKEN_STATE_DIR":
            named.append(value)
    return named


def cron_table():
    """Return the first of cron's tables that starts hhtoken, or None; those that we may not read do not count."""
    for place in CRON_PLACES:
        paths = [os.path.join(place, name) for name in _names(place)] or [place]
        for path in paths:
            if has_cron_line(_text(path)):
                return path
    return "crontab -l" if has_cron_line(_own_table()) else None


def _names(directory):
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _text(path):
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST_CRON_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _own_table():
    try:
        done = subprocess.run(
            ["crontab", "-l"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")
