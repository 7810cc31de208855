"""Units and timers: installed, enabled, running, how the last run ended; and the last lines of the log."""

import os
import subprocess
from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import findings
from hhtoken.console import durations
from hhtoken.provider import token_errors
from hhtoken.renewal import systemd_units, timers
from hhtoken.text import N_

ABOUT = N_("renewal")
ABOUT_LOG = N_("log")
PROPERTIES = (*timers.PROPERTIES, "UnitFileState", "FragmentPath", "Result", "ExecMainStatus")
PREDECESSOR = "/etc/systemd/system/hh-token-refresh.service"

LINES = 5
ASKED_LINES = 50  # of which those about strangers, and about doctor's own visits, are left out
LEFT_OUT = "request(s)"
TAGS = ("hhtoken", "hh-token-refresh")
ANSWER_SECONDS = 4
COMMAND = ["journalctl", "-q", "--no-pager", "-o", "short-iso", "-n", str(ASKED_LINES)]


def look(directory, instance=""):
    """Given the main state directory, and what stands behind the units' names ("" or "@account"), return the facts."""
    return SimpleNamespace(
        has_systemd=systemd_units.is_running(),
        units=systemd_units.show(timers.names_of(instance), PROPERTIES),
        instance=instance,
        cron=timers.cron_table(),
        directory=directory,
    )


def judge(seen):
    """Given the facts, return the Findings."""
    timer_units = [name for name in timers.names_of(seen.instance) if name.endswith(".timer")]
    if seen.units is None or not any(seen.units[timer].get("LoadState") == "loaded" for timer in timer_units):
        return [_without_timers(seen)]
    if seen.directory not in timers.directories_of(seen.units):
        says = N_("the timers look after another pair, not the one in {path}", path=seen.directory)
        return [findings.note(ABOUT, says), *([_cron(seen)] if seen.cron else [])]
    found = []
    for timer in timer_units:
        found += _of_timer(timer, seen.units[timer])
    service = f"{timers.REFRESH}{seen.instance}.service"
    return found + _of_last_run(service, seen.units[service])


def _without_timers(seen):
    if seen.cron:
        return _cron(seen)
    if seen.has_systemd and seen.units is None:
        return findings.note(ABOUT, N_("systemd does not answer, so its timers were not looked at"))
    says = N_("neither systemd's timers nor cron renews the pair here, as far as can be seen")
    advice = N_("'make install' brings timers; or let cron, or your program, run 'hhtoken refresh'")
    return findings.note(ABOUT, says, advice=advice)


def _cron(seen):
    return findings.ok(ABOUT, N_("cron does it ({table})", table=seen.cron))


def _of_timer(timer, unit):
    if unit.get("ActiveState") != "active":
        says = N_("{timer} does not run", timer=timer)
        return [findings.problem(ABOUT, says, f"systemctl enable --now {timer}")]
    if unit.get("UnitFileState") == "disabled":
        says = N_("{timer} is not enabled: the next boot does not start it", timer=timer)
        return [findings.problem(ABOUT, says, f"systemctl enable {timer}")]
    at = systemd_units.moment(unit.get("NextElapseUSecRealtime", ""))
    if at is None:
        return [findings.ok(ABOUT, N_("{timer} runs", timer=timer))]
    return [findings.ok(ABOUT, N_("{timer} runs, next at {moment}", timer=timer, moment=durations.local(at)))]


def _of_last_run(name, service):
    if service.get("FragmentPath") == PREDECESSOR:
        says = N_("{path} stands in front of hhtoken's own unit", path=PREDECESSOR)
        return [findings.note(ABOUT, says, advice=N_("see docs/upgrade.md"))]
    result, code = service.get("Result", ""), service.get("ExecMainStatus", "")
    if result in ("", "success"):
        return []
    says = N_("the last refresh of the unit failed ({result}, exit code {code})", result=result, code=code)
    if code.isdigit() and int(code) in errors.CODES:  # hhtoken's own word, which the pair has, above
        return [findings.note(ABOUT, says, f"systemctl start {name}")]
    command = f"systemctl status --no-pager {name}"
    return [findings.problem(ABOUT, says, command, N_("see docs/troubleshooting.md"), errors.UNAVAILABLE)]


def look_at_log():
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


def judge_log(seen, has_systemd):
    """Given the facts, and whether systemd runs here, return the Findings."""
    if seen.is_closed and not seen.lines:
        return [findings.note(ABOUT_LOG, N_("the journal is not for you to read"), "sudo hhtoken doctor")]
    if seen.lines is None or not has_systemd:
        first, second = TAGS
        says = N_("there is no journal here; look where your syslog writes, for lines of {first} and {second}",
                    first=first, second=second)  # fmt: skip
        return [findings.note(ABOUT_LOG, says)]
    if not seen.lines:
        return [findings.ok(ABOUT_LOG, N_("the journal has no line of hhtoken's"))]
    return [findings.note(ABOUT_LOG, N_("{line}", line=token_errors.printable(line))) for line in seen.lines]
