"""nginx in front of the listener: does it run, does it know our name and path, does a request come through."""

import os
import re
import shlex
from types import SimpleNamespace
from urllib.parse import urlsplit

from hhtoken.commands.doctor import findings, sockets, whose_page
from hhtoken.commands.doctor.visit import visit_callback
from hhtoken.text import N_

ABOUT = N_("nginx")
FOLDER = "/etc/nginx"
ENABLED = ("sites-enabled", "conf.d")
AVAILABLE = "sites-available/hh-token"
PORT = 80
PLACEHOLDER = "your-domain.keenetic.pro"
LARGEST_FILE_BYTES = 256 * 1024
MARK = "hh_token"  # in each file that came from nginx/hh-token
RELOAD = "nginx -t && systemctl reload-or-restart nginx"


def look(redirect_uri, folder=FOLDER, port=PORT):
    """Given the redirect URI, nginx's folder and the port that it listens on, return the facts."""
    path = urlsplit(redirect_uri).path or "/"
    listeners = sockets.listeners(port)
    visit = None
    if listeners:
        asked = {"Host": urlsplit(redirect_uri).hostname, "User-Agent": "hhtoken-doctor"}
        visit = visit_callback(f"http://127.0.0.1{path}", asked, ("127.0.0.1", port))
    sites, unreadable = _sites(folder, path)
    available = os.path.join(folder, AVAILABLE)
    return SimpleNamespace(
        redirect_uri=redirect_uri,
        is_installed=os.path.isdir(folder),
        listeners=listeners,
        visit=visit,
        sites=sites,
        unreadable=unreadable,
        available=available if os.path.isfile(available) else None,
        folder=folder,
        port=port,
    )


def judge(seen, listener):
    """Given the facts, and those of the listener, return the Findings."""
    if not seen.is_installed and not seen.listeners:
        where = f"{listener.host}:{listener.port}"
        says = N_("is not on this machine; whatever ends TLS must pass the callback on to {where}", where=where)
        return [findings.note(ABOUT, says)]
    host = urlsplit(seen.redirect_uri).hostname
    wrong = _wrong_in_sites(seen, listener)
    if not seen.listeners and not wrong:
        says = N_("nobody listens on port {port}", port=seen.port)
        return [findings.problem(ABOUT, says, "systemctl enable --now nginx", _config_advice())]
    if not seen.listeners:
        return wrong
    whose = whose_page.whose(seen.visit.status, seen.visit.headers, seen.visit.body)
    if not seen.visit.failure and whose == whose_page.OURS:
        path = urlsplit(seen.redirect_uri).path
        good = findings.ok(ABOUT, N_("brings {name} to hhtoken", name=f"{host}{path}"))
        return [good, *(_tolerated(finding) for finding in wrong)]
    if wrong:
        return wrong
    return [_of_answer(seen, whose)]


def _tolerated(finding):
    """A request came through: nginx takes its first site where no name fits. The next site may change that."""
    return findings.note(ABOUT, finding.says, finding.command, finding.advice)


def _of_answer(seen, whose):
    """Nothing is wrong in the files that we can read: what does the answer say?"""
    visit = seen.visit
    who = next((one.program for one in seen.listeners if one.program), None)
    if visit.failure:
        says = N_("port {port}: {why}", port=seen.port, why=visit.why)
        return findings.problem(ABOUT, says, "systemctl restart nginx")
    if whose in (whose_page.NOT_HTTPS, whose_page.OTHER_HOST):
        return _wrong_header("X-Forwarded-Proto https" if whose == whose_page.NOT_HTTPS else "Host $host")
    if whose == whose_page.BUSY:
        return findings.note(ABOUT, N_("holds off visits just now (429); try again in some seconds"))
    if whose in (whose_page.DOWN_PAGE, whose_page.GATEWAY):
        says = N_("reaches nobody behind it ({status})", status=visit.status)
        return findings.problem(ABOUT, says, RELOAD, N_("the listener above must answer first"))
    if who and who != "nginx":
        says = N_("{program} listens on port {port}, and does not bring the callback to hhtoken", program=who,
                    port=seen.port)  # fmt: skip
        return findings.problem(ABOUT, says, f"ss -ltnp sport = :{seen.port}")
    says = N_("answers {status} for the redirect URI, not with hhtoken's page", status=visit.status)
    if seen.unreadable:
        return findings.problem(ABOUT, says, "sudo hhtoken doctor", N_("its files are not for you to read"))
    advice = N_("compare the site with the newest one: {path}", path="/usr/local/share/hhtoken/nginx/hh-token")
    return findings.problem(ABOUT, says, RELOAD, advice)


def _wrong_in_sites(seen, listener):
    host, path = urlsplit(seen.redirect_uri).hostname, urlsplit(seen.redirect_uri).path or "/"
    if not seen.sites:
        if seen.unreadable or not seen.available:
            return []
        link = f"ln -s ../{AVAILABLE} {os.path.join(seen.folder, 'sites-enabled')}/"
        says = N_("the site {path} is not enabled", path=seen.available)
        return [findings.problem(ABOUT, says, f"{link} && {RELOAD}")]
    for file, content in seen.sites:
        content = re.sub(r"(?m)^\s*#.*$", "", content)
        names = [name for names in re.findall(r"(?m)\bserver_name\s+([^;]+);", content) for name in names.split()]
        if host not in names and names and not any(name.startswith(("*", ".", "~", "_")) for name in names):
            return [_wrong_name(file, names, host)]
        paths = re.findall(r"location\s+=\s+(\S+)", content)
        if MARK in content and path not in paths:
            return [_wrong_path(file, paths, path)]
        ports = re.findall(r"server\s+127\.0\.0\.1:(\d+)\s*;", content)
        if MARK in content and ports and str(listener.port) not in ports:
            return [_wrong_port(file, ports[0], listener.port)]
    return []


def _wrong_header(header):
    says = N_("hhtoken refuses what it brings: the header {name} is missing", name=header.partition(" ")[0])
    advice = N_("put 'proxy_set_header {header};' behind proxy_pass in its site, then type: {reload}", header=header,
                  reload=RELOAD)  # fmt: skip
    return findings.problem(ABOUT, says, advice=advice)


def _wrong_name(file, names, host):
    real = shlex.quote(os.path.realpath(file))
    if PLACEHOLDER in names:
        says = N_("{file} still has {placeholder} in it", file=file, placeholder=PLACEHOLDER)
        command = f"sed -i s/{PLACEHOLDER}/{host}/ {real} && {RELOAD}"
    else:
        says = N_("{file} is for {names}, the redirect URI for {host}", file=file, names=" ".join(names), host=host)
        command = f"sed -i 's/server_name .*;/server_name {host};/' {real} && {RELOAD}"
    return findings.problem(ABOUT, says, command)


def _wrong_path(file, paths, path):
    real = shlex.quote(os.path.realpath(file))
    says = N_("{file} has no 'location = {path}', the path of the redirect URI", file=file, path=path)
    ours = next((one for one in paths if one != "/hh-token-down.html"), "/callback")
    return findings.problem(ABOUT, says, f"sed -i 's|location = {ours} |location = {path} |' {real} && {RELOAD}")


def _wrong_port(file, port, wanted):
    real = shlex.quote(os.path.realpath(file))
    says = N_("{file} passes the callback on to port {port}, and the listener has {wanted}", file=file, port=port,
                wanted=wanted)  # fmt: skip
    command = f"sed -i 's/127.0.0.1:{port};/127.0.0.1:{wanted};/' {real} && {RELOAD}"
    return findings.problem(ABOUT, says, command)


def _config_advice():
    return N_("if it does not start: 'nginx -t' says why")


def _sites(folder, path):
    """Return ``[(file, content)]`` of nginx's files that seem to be about the callback, and whether some could not be
    read."""
    found, unreadable = [], False
    for part in ENABLED:
        place = os.path.join(folder, part)
        try:
            names = sorted(os.listdir(place))
        except FileNotFoundError:
            continue
        except OSError:
            unreadable = True
            continue
        for name in names:
            file = os.path.join(place, name)
            try:
                with open(file, "rb") as stream:
                    content = stream.read(LARGEST_FILE_BYTES).decode("utf-8", "replace")
            except OSError:
                unreadable = True
                continue
            if MARK in content or f"location = {path}" in content:
                found.append((file, content))
    return found, unreadable
