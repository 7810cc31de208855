"""The listener: does hhtoken answer on the port that the browser, or nginx, comes to?"""

import re
from types import SimpleNamespace
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.authorization.port import default_address
from hhtoken.authorization.systemd_socket import SERVICE, SOCKET
from hhtoken.commands.doctor import findings, whose_page
from hhtoken.commands.doctor.visit import REFUSED, visit_callback
from hhtoken.provider import addresses
from hhtoken.renewal import systemd_units
from hhtoken.text import N_

ABOUT = N_("listener")
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "Listen", "ExecMainStatus")


def place(redirect_uri, socket=None):
    """Given the redirect URI and the properties of the socket unit (None: to be asked for), return ``(host, port)`` of
    the listener."""
    socket = (systemd_units.show((SOCKET,), PROPERTIES) or {}).get(SOCKET, {}) if socket is None else socket
    shown = re.search(r"(\S+:\d+) \(Stream\)", socket.get("Listen", ""))
    is_loaded = shown and socket.get("LoadState") == "loaded"
    return addresses.parse_listen(shown[1] if is_loaded else default_address(redirect_uri))


def bracketed(host, port):
    """Given a host and a port, return them as an address has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_local(redirect_uri):
    """Tell whether the browser comes to this machine directly, without nginx."""
    return addresses.is_loopback(urlsplit(redirect_uri).hostname)


def look(redirect_uri):
    """Given the redirect URI, return the facts. A visit without parameters uses nothing up."""
    socket = (systemd_units.show((SOCKET,), PROPERTIES) or {}).get(SOCKET, {})
    parts, (host, port) = urlsplit(redirect_uri), place(redirect_uri, socket)
    headers = {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme, "User-Agent": "hhtoken-doctor"}  # as nginx does
    return SimpleNamespace(
        host=host,
        port=port,
        redirect_uri=redirect_uri,
        socket=socket,
        visit=visit_callback(f"http://{bracketed(host, port)}{parts.path or '/'}", headers),
        service=(systemd_units.show((SERVICE,), PROPERTIES) or {}).get(SERVICE, {}),  # as the visit has left it
    )


def judge(seen):
    """Given the facts, return the Findings."""
    where, visit = bracketed(seen.host, seen.port), seen.visit
    if visit.failure == REFUSED:
        has_unit = seen.socket.get("LoadState") == "loaded"
        if has_unit and not (is_local(seen.redirect_uri) and seen.socket.get("UnitFileState") != "enabled"):
            says = N_("nothing listens on {where}, where the browser comes to", where=where)
            return [findings.problem(ABOUT, says, f"systemctl enable --now {SOCKET}")]
        return [_free(seen, where)]
    if not visit.failure and whose_page.whose(visit.status, visit.headers, visit.body) == whose_page.OURS:
        return [findings.ok(ABOUT, N_("hhtoken answers on {where}", where=where)), *_about_start(seen)]
    if seen.socket.get("ActiveState") == "active":
        return [_failing(seen, where)]
    says = N_("something other than hhtoken listens on {where}", where=where)
    advice = N_("stop it, or choose another port (docs/systemd.md)")
    return [findings.problem(ABOUT, says, f"ss -ltnp sport = :{seen.port}", advice)]


def _free(seen, where):
    if not is_local(seen.redirect_uri):
        says = N_("nothing listens on {where} at this moment", where=where)
        return findings.note(ABOUT, says, advice=N_("'hhtoken login' waits there while you authorize"))
    if urlsplit(seen.redirect_uri).port is None:
        says = N_("the redirect URI names no port, so the browser comes to port 80, and hhtoken listens on {where}",
                  where=where)  # fmt: skip
        return findings.note(ABOUT, says, advice=N_("log in with 'hhtoken login --listen 127.0.0.1:80'"))
    return findings.ok(ABOUT, N_("{where} is free for 'hhtoken login'", where=where))


def _about_start(seen):
    """It answers now; will it after the next boot?"""
    if seen.socket.get("ActiveState") == "active" and seen.socket.get("UnitFileState") == "disabled":
        says = N_("{unit} is not enabled: the next boot does not start it", unit=SOCKET)
        return [findings.problem(ABOUT, says, f"systemctl enable {SOCKET}")]
    return []


def _failing(seen, where):
    code = seen.service.get("ExecMainStatus", "")
    code = int(code) if code.isdigit() else 0
    why = seen.visit.why if seen.visit.failure else N_("it answers {status}", status=seen.visit.status)
    says = N_("hhtoken does not answer on {where}: {why}, exit code {code}", where=where, why=why, code=code)
    command = f"journalctl -t hh-token-callback -t hhtoken -u {SERVICE} -n 5 --no-pager"
    exit_code = code if code in errors.CODES else errors.CONFIG
    return findings.problem(ABOUT, says, command, N_("fix what the log says"), exit_code)
