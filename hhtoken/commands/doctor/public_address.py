"""The public redirect URI, from outside in: what a browser would get, as far as this machine can see itself so."""

from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.commands.doctor import findings, provider, visit, whose_page
from hhtoken.console import durations
from hhtoken.text import N_

ABOUT = N_("public address")
ROUTER_ADVICE = N_(
    "on the router: is the name published (KeenDNS, web applications), for this machine, HTTP, port 80, with https?"
)
NGINX_ADVICE = N_("fix nginx, above, or the proxy in its place")
LOOK_OUTSIDE = N_(
    "open the address in a browser elsewhere: if hhtoken's page is there, this machine merely cannot see itself from "
    "outside"
)
OTHERS = {  # whose page came back -> what that means, what to do, and the exit code
    whose_page.NOT_HTTPS: (N_("hhtoken refuses what the proxy passes on"), NGINX_ADVICE, errors.CONFIG),
    whose_page.OTHER_HOST: (N_("hhtoken refuses what the proxy passes on"), NGINX_ADVICE, errors.CONFIG),
    whose_page.DOWN_PAGE: (
        N_("nginx finds nothing on the listener's port"), N_("fix the listener, above"), errors.UNAVAILABLE
    ),
    whose_page.ROUTER: (N_("the router or KeenDNS itself answers"), ROUTER_ADVICE, errors.CONFIG),
    whose_page.GATEWAY: (N_("what is in front of this machine does not reach it"), ROUTER_ADVICE, errors.CONFIG),
    whose_page.WELCOME: (N_("nginx's default site answers"), NGINX_ADVICE, errors.CONFIG),
    whose_page.NOT_FOUND: (
        N_("something answers that does not know the path"),
        N_("domain and path of the redirect URI and of nginx's site must agree"),
        errors.CONFIG,
    ),
    whose_page.STRANGER: (N_("something other than hhtoken answers"), ROUTER_ADVICE, errors.CONFIG),
}  # fmt: skip


def check(redirect_uri, authorities):
    """Given the redirect URI and the path of the certificate authorities, visit it without parameters, which uses
    nothing up, and return the Findings."""
    return judge(
        redirect_uri, visit.visit_callback(redirect_uri, {"User-Agent": "hhtoken-doctor"}, authorities=authorities)
    )


def judge(redirect_uri, seen):
    """Given the redirect URI and the Visit, return the Findings."""
    if seen.failure:
        return [_unreached(seen)]
    whose = whose_page.whose(seen.status, seen.headers, seen.body)
    if whose == whose_page.OURS:
        return _reached(redirect_uri, seen)
    if whose == whose_page.BUSY:
        return [findings.note(ABOUT, N_("too many requests to {uri} (429); try again later", uri=redirect_uri))]
    if whose == whose_page.REDIRECT:
        host = urlsplit(seen.headers.get("location", "")).hostname or "?"
        what, advice = N_("it is redirected to {host}", host=host), N_("the proxy must answer, not redirect")
        exit_code = errors.CONFIG
    else:
        what, advice, exit_code = OTHERS[whose]
    says = N_("{uri}: {what} ({status})", uri=redirect_uri, what=what, status=seen.status)
    return [findings.problem(ABOUT, says, advice=advice, exit_code=exit_code)]


def _reached(redirect_uri, seen):
    good = findings.ok(ABOUT, N_("{uri} comes through to hhtoken", uri=redirect_uri))
    if not provider.expires_soon(seen):
        return [good]
    says = N_("its certificate expires soon, on {until}", until=durations.local(seen.certificate_until))
    return [good, findings.note(ABOUT, says, advice=N_("renew it, where TLS ends"))]


def _unreached(seen):
    says = N_("{host}: {why}", host=seen.host, why=seen.why)
    if seen.failure == visit.UNKNOWN_NAME:
        return findings.problem(ABOUT, says, f"getent hosts {seen.host}", ROUTER_ADVICE)
    if seen.failure == visit.NO_NAME_SERVER:
        advice = N_("check the network, and the name server in /etc/resolv.conf")
        return findings.problem(ABOUT, says, advice=advice, exit_code=errors.TEMPFAIL)
    if seen.failure in visit.CERTIFICATE_FAILURES or seen.failure == visit.NO_TLS:
        advice = N_("on the router (KeenDNS), or the proxy where TLS ends: get a certificate for this name")
        return findings.problem(ABOUT, says, advice=advice)
    return findings.problem(ABOUT, says, advice=LOOK_OUTSIDE, exit_code=errors.TEMPFAIL)
