"""What systemd knows about units, asked with a deadline; nothing where no systemd runs, or it does not answer."""

import calendar
import os
import subprocess
import time

RUNNING = "/run/systemd/system"  # sd_booted(3)
ANSWER_SECONDS = 3
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


def is_running():
    return os.path.isdir(RUNNING)


def show(units, properties):
    """Given names of units and of properties, return ``{unit: {property: text}}``, also for units that do not exist
    (``LoadState`` is then "not-found"); None where systemd cannot be asked."""
    if not is_running():
        return None
    command = ["systemctl", "show", "--property=" + ",".join(["Id", *properties]), *units]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # so that ``moment`` can read what is printed
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ANSWER_SECONDS,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = parse(done.stdout.decode("utf-8", "replace"))
    return found if set(units) <= set(found) else None


def parse(output):
    """Given what ``systemctl show`` prints about several units, return ``{unit: {property: text}}``."""
    found = {}
    for block in output.split("\n\n"):
        lines = (line.partition("=") for line in block.splitlines())
        properties = {name: value for name, equals, value in lines if equals}
        if properties.get("Id"):
            found[properties["Id"]] = properties
    return found


def moment(shown):
    """Given a time as systemd shows it in UTC, e.g. "Mon 2026-11-23 12:01:00 UTC", return Unix seconds, or None."""
    try:
        return calendar.timegm(time.strptime(" ".join(shown.split()[1:3]), DATE_FORMAT))
    except ValueError:
        return None
