"""The last lines of the log, where we may read it."""

import os
import subprocess
from types import SimpleNamespace

from hhtoken.commands.doctor import findings
from hhtoken.provider.verdict import printable
from hhtoken.text import N_

ABOUT = N_("log")
LINES = 5
ASKED_LINES = 50  # of which those about strangers, and about doctor's own visits, are left out
LEFT_OUT = "request(s)"
TAGS = ("hhtoken", "hh-token-refresh")
ANSWER_SECONDS = 4
COMMAND = ["journalctl", "-q", "--no-pager", "-o", "short-iso", "-n", str(ASKED_LINES)]


def look():
    """Return the facts: ``lines``, or None where there is no journal, and whether we may not read it."""
    command = COMMAND + [word for tag in TAGS for word in ("-t", tag)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return SimpleNamespace(lines=None, is_closed=False)
    lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if LEFT_OUT not in line]
    return SimpleNamespace(lines=lines[-LINES:], is_closed=b"permission" in done.stderr.lower())


def judge(seen, has_systemd):
    """Given the facts, and whether systemd runs here, return the Findings."""
    if seen.is_closed and not seen.lines:
        return [findings.note(ABOUT, N_("the journal is not for you to read"), "sudo hhtoken doctor")]
    if seen.lines is None or not has_systemd:
        first, second = TAGS
        says = N_("there is no journal here; look where your syslog writes, for lines of {first} and {second}",
                    first=first, second=second)  # fmt: skip
        return [findings.note(ABOUT, says)]
    if not seen.lines:
        return [findings.ok(ABOUT, N_("the journal has no line of hhtoken's"))]
    return [findings.note(ABOUT, N_("{line}", line=printable(line))) for line in seen.lines]
