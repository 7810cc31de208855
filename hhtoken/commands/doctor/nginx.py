"""nginx in front of the listener: does it run, and does a request come through? If not, what its site lacks."""

import contextlib
import glob
import os
from types import SimpleNamespace
from urllib.parse import urlsplit

from hhtoken.commands.doctor import findings, listener, whose_page
from hhtoken.commands.doctor.visit import REFUSED, visit_callback
from hhtoken.text import N_, joined

ABOUT = N_("nginx")
FOLDER = "/etc/nginx"
ENABLED = ("sites-enabled", "conf.d")
AVAILABLE = "sites-available/hh-token"
PORT = 80
LARGEST_FILE_CHARACTERS = 256 * 1024
SHIPPED = "/usr/local/share/hhtoken/nginx/hh-token"
MARK = "hh_token"  # in each file that came from nginx/hh-token
RELOAD = "nginx -t && systemctl reload-or-restart nginx"
HEADERS = {
    whose_page.NOT_HTTPS: "proxy_set_header X-Forwarded-Proto https;",
    whose_page.OTHER_HOST: "proxy_set_header Host $host;",
}


def look(redirect_uri, folder=FOLDER, port=PORT):
    """Given the redirect URI, nginx's folder and the port that it listens on, return the facts."""
    parts = urlsplit(redirect_uri)
    headers = {"Host": parts.hostname, "User-Agent": "hhtoken-doctor"}
    return SimpleNamespace(
        host=parts.hostname,
        path=parts.path or "/",
        is_installed=os.path.isdir(folder),
        visit=visit_callback(f"http://127.0.0.1{parts.path or '/'}", headers, ("127.0.0.1", port)),
        site=_site(folder, parts.path or "/"),
        available=os.path.isfile(os.path.join(folder, AVAILABLE)),
        port=port,
        place=listener.bracketed(*listener.place(redirect_uri)),
    )


def judge(seen):
    """Given the facts, return the Findings."""
    visit, lacking = seen.visit, _lacking(seen)
    if visit.failure == REFUSED and not seen.is_installed:
        says = N_(
            "not on this machine; the proxy where TLS ends must pass the callback on to {where}", where=seen.place
        )
        return [findings.note(ABOUT, says)]
    if visit.failure == REFUSED and not lacking:
        says = N_("nothing listens on port {port}", port=seen.port)
        return [findings.problem(ABOUT, says, "systemctl enable --now nginx", N_("if it fails, 'nginx -t' says why"))]
    whose = None if visit.failure else whose_page.whose(visit.status, visit.headers, visit.body)
    if whose == whose_page.OURS:  # nginx takes its first site where no name fits; the next site may change that
        good = findings.ok(ABOUT, N_("passes {name} on to hhtoken", name=f"{seen.host}{seen.path}"))
        return [good, *(findings.note(ABOUT, says, advice=advice) for says, advice in lacking)]
    if lacking:
        return [findings.problem(ABOUT, says, advice=advice) for says, advice in lacking]
    return [_of_answer(seen, whose)]


def _of_answer(seen, whose):
    """Nothing is missing in the site that we can read: what does the answer say?"""
    visit, site = seen.visit, seen.site[0] if seen.site else N_("its site")
    if visit.failure:
        says = N_("port {port}: {why}", port=seen.port, why=visit.why)
        return findings.problem(ABOUT, says, "systemctl restart nginx")
    if whose in HEADERS:
        says = N_("hhtoken refuses what it passes on ({status})", status=visit.status)
        return findings.problem(ABOUT, says, advice=_add(site, HEADERS[whose]))
    if whose == whose_page.BUSY:
        return findings.note(ABOUT, N_("too many requests just now (429); try again in some seconds"))
    if whose in (whose_page.DOWN_PAGE, whose_page.GATEWAY):
        says = N_("does not reach the listener ({status})", status=visit.status)
        return findings.problem(ABOUT, says, RELOAD, N_("fix the listener, above, first"))
    says = N_("answers {status} for the redirect URI, not with hhtoken's page", status=visit.status)
    advice = N_("compare the site with {path}; 'ss -ltnp sport = :80' shows who answers", path=SHIPPED)
    return findings.problem(ABOUT, says, RELOAD, advice)


def _lacking(seen):
    """Return ``[(what is wrong, what to do)]`` with the site, by plain words in it: only nginx can read it properly."""
    if not seen.site:
        says = N_("the site {path} is not enabled", path=AVAILABLE)
        link = f"ln -s ../{AVAILABLE} {FOLDER}/sites-enabled/ && {RELOAD}"
        return [(says, N_("type: {command}", command=link))] if seen.available else []
    file, content = seen.site
    if MARK not in content:  # the operator's own, which may say it in other words
        return []
    has_pattern = any(word in content for word in ("server_name *", "server_name _", "server_name ~"))
    wanted = [("" if has_pattern else seen.host, f"server_name {seen.host};")]
    wanted.append((f"location = {seen.path} ", f"location = {seen.path} {{"))
    wanted.append((seen.place, f"server {seen.place};"))
    lines = [directive for word, directive in wanted if word not in content]
    return [(N_("{file} does not fit the settings", file=file), _add(file, joined(", ", lines)))] if lines else []


def _add(file, directive):
    return N_("in {file}, write '{directive}', then type: {reload}", file=file, directive=directive, reload=RELOAD)


def _site(folder, path):
    """Return ``(file, content without comments)`` of nginx's file about the callback, if we may read one, or None."""
    for file in sorted(file for part in ENABLED for file in glob.glob(os.path.join(folder, part, "*"))):
        with contextlib.suppress(OSError), open(file, encoding="utf-8", errors="replace") as stream:
            content = stream.read(LARGEST_FILE_CHARACTERS)
            if MARK in content or f"location = {path}" in content:
                return file, "\n".join(line for line in content.splitlines() if not line.lstrip().startswith("#"))
    return None
