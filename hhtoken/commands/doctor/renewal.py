"""What renews the pair: the units, running and enabled, and how their last run ended; or cron."""

from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import findings
from hhtoken.commands.status import default_directory, to_have_it_renewed
from hhtoken.console import durations
from hhtoken.renewal import systemd_units, timers
from hhtoken.store import account_names
from hhtoken.text import N_

ABOUT = N_("renewal")
PROPERTIES = (*timers.PROPERTIES, "UnitFileState", "FragmentPath", "Result", "ExecMainStatus")
PREDECESSOR = "/etc/systemd/system/hh-token-refresh.service"


def look(settings):
    """Given the Settings, return the facts: ``units`` with their properties (None where systemd does not answer),
    ``names`` of those that matter, and the ``renewers``."""
    names = timers.names_of(account_names.instance(settings.account()))
    units = systemd_units.show(names, PROPERTIES)
    main = settings.main_directory()
    renewers = timers.of_units(units or {}, main, settings.account(), default_directory())
    return SimpleNamespace(names=names, units=units, renewers=renewers, has_systemd=systemd_units.is_running())


def judge(seen, pair, settings):
    """Given the facts, the Report of the pair (or an Error), and the Settings, return the Findings."""
    units, renewers, found = seen.units or {}, seen.renewers, []
    if renewers.timers or renewers.can_be_enabled:
        for name in seen.names:
            found += _of_timer(name, units[name]) if name.endswith(".timer") else []
        found += _of_last_run(seen.names[-1], units[seen.names[-1]])
    if renewers.cron:
        return [*found, findings.ok(ABOUT, N_("cron does it ({table})", table=renewers.cron))]
    return found or [_without_any(seen, pair, settings)]


def _without_any(seen, pair, settings):
    says = N_("nothing renews the token: no timer and no cron job was found")
    if seen.renewers.unfit:
        table, reason = seen.renewers.unfit
        says = N_("nothing renews the token: {table} is meant to, but {reason}", table=table, reason=reason)
    if seen.has_systemd and seen.units is None:
        return findings.note(ABOUT, N_("systemd does not answer, so its timers were not looked at"))
    if isinstance(pair, errors.Error) or pair.next_refresh_at is None or pair.exit_code == errors.NOPERM:
        return findings.note(ABOUT, says)
    if pair.pair.is_shared:
        return findings.note(ABOUT, N_("no timer and no cron job of this host renews the token; another host has to"))
    advice, line = to_have_it_renewed(seen.renewers, settings)
    advice = N_("{advice} {line}", advice=advice, line=line) if line else advice
    return findings.problem(ABOUT, says, advice=advice)


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
