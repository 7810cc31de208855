"""The public redirect URI, from outside in: what a browser would get, as far as this machine can see itself so."""

from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.commands.doctor import findings, provider_check, visit, whose_page
from hhtoken.console import durations
from hhtoken.text import N_

ABOUT = N_("public address")
ROUTER_ADVICE = N_(
    "on the router: is the name published (KeenDNS, web applications), for this machine, HTTP, port 80, with https?"
)
LOOK_OUTSIDE = N_(
    "open the address in a browser elsewhere: if hhtoken's page is there, this machine merely cannot see itself from "
    "outside"
)


def look(redirect_uri, authorities):
    """Given the redirect URI and the path of the certificate authorities, visit it without parameters, which uses
    nothing up, and return the Visit."""
    return visit.visit_callback(redirect_uri, {"User-Agent": "hhtoken-doctor"}, authorities=authorities)


def judge(redirect_uri, seen):
    """Given the redirect URI and the Visit, return the Findings."""
    if seen.failure:
        return [_unreached(seen)]
    whose = whose_page.whose(seen.status, seen.headers, seen.body)
    status = seen.status
    if whose == whose_page.OURS:
        return _reached(redirect_uri, seen)
    if whose in (whose_page.NOT_HTTPS, whose_page.OTHER_HOST):
        says = N_("{uri} comes to hhtoken, which refuses it ({status})", uri=redirect_uri, status=status)
        return [_problem(says, N_("mend nginx, above, or whatever is in its place"))]
    if whose == whose_page.BUSY:
        return [findings.note(ABOUT, N_("{uri} is held off just now (429)", uri=redirect_uri))]
    if whose == whose_page.DOWN_PAGE:
        says = N_("{uri} comes as far as nginx, which finds nobody on the listener's port", uri=redirect_uri)
        return [_problem(says, N_("mend the listener, above"), errors.UNAVAILABLE)]
    if whose == whose_page.ROUTER:
        says = N_("the router or KeenDNS itself answers {uri} ({status})", uri=redirect_uri, status=status)
        return [_problem(says, ROUTER_ADVICE)]
    if whose == whose_page.GATEWAY:
        says = N_("{uri}: what is in front of this machine reaches nobody behind it ({status})", uri=redirect_uri,
                    status=status)  # fmt: skip
        return [_problem(says, ROUTER_ADVICE)]
    if whose == whose_page.WELCOME:
        says = N_("{uri} ends at nginx's default site", uri=redirect_uri)
        return [_problem(says, N_("mend nginx, above: the domain in its site, and the link in sites-enabled"))]
    if whose == whose_page.REDIRECT:
        host = urlsplit(seen.headers.get("location", "")).hostname or "?"
        says = N_("{uri} is redirected ({status}, to {host})", uri=redirect_uri, status=status, host=host)
        return [_problem(says, N_("the address must be answered, not redirected: mend what ends TLS"))]
    if whose == whose_page.NOT_FOUND:
        says = N_("{uri} is not found (404): somebody answers who does not know the path", uri=redirect_uri)
        return [_problem(says, N_("domain and path of the redirect URI and of nginx's site must agree"))]
    says = N_("{uri}: somebody else answers ({status})", uri=redirect_uri, status=status)
    return [_problem(says, ROUTER_ADVICE)]


def _reached(redirect_uri, seen):
    good = findings.ok(ABOUT, N_("{uri} comes through to hhtoken", uri=redirect_uri))
    if not provider_check.expires_soon(seen):
        return [good]
    until = durations.local(seen.certificate_until)
    says = N_("its certificate ends soon, on {until}", until=until)
    return [good, findings.note(ABOUT, says, advice=N_("see to its renewal, where TLS ends"))]


def _unreached(seen):
    says = N_("{host}: {why}", host=seen.host, why=seen.why)
    if seen.failure == visit.UNKNOWN_NAME:
        return findings.problem(ABOUT, says, f"getent hosts {seen.host}", ROUTER_ADVICE)
    if seen.failure == visit.NO_NAME_SERVER:
        advice = N_("check the network, and the name server in /etc/resolv.conf")
        return _problem(says, advice, errors.TEMPFAIL)
    if seen.failure in visit.CERTIFICATE_FAILURES or seen.failure == visit.NO_TLS:
        advice = N_("on the router (KeenDNS), or whatever ends TLS: have a certificate made for this name")
        return _problem(says, advice)
    return _problem(says, LOOK_OUTSIDE, errors.TEMPFAIL)


def _problem(says, advice, exit_code=errors.CONFIG):
    return findings.problem(ABOUT, says, advice=advice, exit_code=exit_code)
