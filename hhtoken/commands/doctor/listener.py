"""The listener: who waits on the port that the browser, or nginx, comes to."""

import re
from types import SimpleNamespace
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.authorization.port import default_address
from hhtoken.commands.doctor import findings, sockets, whose_page
from hhtoken.commands.doctor.visit import SILENT, visit_callback
from hhtoken.provider import addresses
from hhtoken.renewal import systemd_units
from hhtoken.text import N_

ABOUT = N_("listener")
SOCKET, SERVICE = "hh-token-callback.socket", "hh-token-callback.service"
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "Listen", "Result", "ExecMainStatus")
INIT = 1  # the process that holds the sockets of systemd's units


def place(redirect_uri, units):
    """Given the redirect URI and the properties of the units, return ``(host, port)`` of the listener."""
    shown = re.search(r"(\S+:\d+) \(Stream\)", units.get(SOCKET, {}).get("Listen", ""))
    if shown and units[SOCKET].get("LoadState") == "loaded":
        return addresses.parse_listen(shown[1])
    return addresses.parse_listen(default_address(redirect_uri))


def is_local(redirect_uri):
    """Tell whether the browser comes to this machine directly, without nginx."""
    return addresses.is_loopback(urlsplit(redirect_uri).hostname)


def headers(redirect_uri):
    """Return the headers that nginx adds, for a visit without it."""
    parts = urlsplit(redirect_uri)
    return {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme, "User-Agent": "hhtoken-doctor"}


def look(redirect_uri):
    """Given the redirect URI, return the facts. A visit without parameters uses nothing up."""
    units = systemd_units.show((SOCKET, SERVICE), PROPERTIES) or {}
    host, port = place(redirect_uri, units)
    found = sockets.listeners(port)
    visit = None
    if found:
        address = f"http://{_bracketed(host)}:{port}{urlsplit(redirect_uri).path or '/'}"
        visit = visit_callback(address, headers(redirect_uri))
    after = systemd_units.show((SERVICE,), PROPERTIES) or {}
    return SimpleNamespace(
        host=host,
        port=port,
        redirect_uri=redirect_uri,
        socket=units.get(SOCKET, {}),
        service=after.get(SERVICE, {}),
        listeners=found,
        visit=visit,
    )


def judge(seen):
    """Given the facts, return the Findings."""
    where = f"{_bracketed(seen.host)}:{seen.port}"
    has_unit = seen.socket.get("LoadState") == "loaded"
    if not seen.listeners:
        if has_unit and not (is_local(seen.redirect_uri) and seen.socket.get("UnitFileState") != "enabled"):
            says = N_("nobody listens on {where}, where the browser is waited for", where=where)
            return [findings.problem(ABOUT, says, f"systemctl enable --now {SOCKET}")]
        return [_free(seen, where)]
    if seen.visit and not seen.visit.failure and _whose(seen.visit) == whose_page.OURS:
        says = N_("hhtoken answers on {where}", where=where)
        return [findings.ok(ABOUT, says), *_about_start(seen)]
    if _is_ours(seen):
        return [_failing(seen, where)]
    who = next((f"{one.program} ({one.pid})" for one in seen.listeners if one.program), None)
    if who:
        says = N_("{program} listens on {where}, and it is not hhtoken", program=who, where=where)
    else:
        says = N_("somebody else listens on {where}; root can see who", where=where)
    advice = N_("stop it, or choose another port (docs/systemd.md)")
    return [findings.problem(ABOUT, says, f"ss -ltnp sport = :{seen.port}", advice)]


def _free(seen, where):
    if not is_local(seen.redirect_uri):
        says = N_("nobody listens on {where} at this moment", where=where)
        return findings.note(ABOUT, says, advice=N_("'hhtoken login' waits there while you authorize"))
    if urlsplit(seen.redirect_uri).port is None:
        says = N_("the redirect URI names no port, so the browser comes to port 80, and hhtoken listens on {where}",
                    where=where)  # fmt: skip
        return findings.note(ABOUT, says, advice=N_("authorize with 'hhtoken login --listen 127.0.0.1:80'"))
    return findings.ok(ABOUT, N_("{where} is free for 'hhtoken login'", where=where))


def _about_start(seen):
    """It answers now; will it after the next boot?"""
    if seen.socket.get("ActiveState") == "active" and seen.socket.get("UnitFileState") == "disabled":
        says = N_("{unit} is not enabled: the next boot does not start it", unit=SOCKET)
        return [findings.problem(ABOUT, says, f"systemctl enable {SOCKET}")]
    return []


def _is_ours(seen):
    """Where we may not see who listens, systemd's word counts."""
    if seen.socket.get("ActiveState") not in ("active", "listening"):
        return False
    return any(one.pid in (INIT, None) for one in seen.listeners)


def _failing(seen, where):
    code = seen.service.get("ExecMainStatus", "")
    code = int(code) if code.isdigit() else 0
    if seen.visit and seen.visit.failure == SILENT:
        says = N_("hhtoken does not answer on {where}: {why}", where=where, why=seen.visit.why)
    else:
        says = N_("the listener on {where} ends at once, with exit code {code}", where=where, code=code)
    advice = N_("mend what the log says; the settings above may have it, too")
    command = f"journalctl -t hh-token-callback -t hhtoken -u {SERVICE} -n 5 --no-pager"
    return findings.problem(ABOUT, says, command, advice, code if code in errors.CODES else errors.CONFIG)


def _whose(visit):
    return whose_page.whose(visit.status, visit.headers, visit.body)


def _bracketed(host):
    return f"[{host}]" if ":" in host else host
