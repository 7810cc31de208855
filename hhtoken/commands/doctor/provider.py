"""HeadHunter: name, route, port, TLS and a plain request for each of its hosts; and our clock against its Date."""

import shlex
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.commands.doctor import findings, visit
from hhtoken.console import durations
from hhtoken.provider.answer import http_date
from hhtoken.provider.transfer import NotSent, Transfer
from hhtoken.text import N_

ABOUT = N_("provider")
ABOUT_CLOCK = N_("clock")
MOST_SKEW_SECONDS = 30
CERTIFICATE_DAYS = 7  # of our own certificate: nobody has renewed it as late as that
SET_CLOCK = "timedatectl set-ntp true"

CLOCK_ADVICE = N_("look at the clock with 'date' first; then at the package ca-certificates")
ADVICE = {
    visit.UNKNOWN_NAME: N_("check the network ('getent hosts debian.org'), then the address in the settings"),
    visit.NO_NAME_SERVER: N_("check the network, and the name server in /etc/resolv.conf"),
    visit.NO_ROUTE: N_("check the network: 'ip route' should have a line that begins with default"),
    visit.REFUSED: N_("check the port in the address, and the firewall"),
    visit.SILENT: N_("check the firewall; HeadHunter may hold off the addresses of some networks"),
    visit.RESET: N_("something on the way cuts the connection: a firewall, or a filter"),
    visit.BROKEN: N_("check the address in the settings"),
    visit.NO_TLS: N_("check the address in the settings; a filter on the way may answer instead"),
    **dict.fromkeys(visit.CERTIFICATE_FAILURES, CLOCK_ADVICE),
}


def addresses_of(values):
    """Given the settings (``{name: value}``), return ``{name of a setting: address}``, one for each host: HH_API_URL
    first, whose answer is read."""
    found, hosts = {}, set()
    for name in ("HH_API_URL", "HH_TOKEN_URL", "HH_AUTHORIZE_URL"):
        address = values.get(name)
        if address and urlsplit(address).netloc not in hosts:
            hosts.add(urlsplit(address).netloc)
            found[name] = address.rstrip("/") + "/me" if name == "HH_API_URL" else _origin(address)
    return found


def look(address, user_agent, route, authorities):
    """Given an address, the User-Agent, the Route and the path of the authorities where that names none, return the
    Visit; the NotSent where the proxy lets nothing through."""
    headers = {"User-Agent": user_agent, "Accept": "application/json"}
    if route.proxy and urlsplit(address).scheme == "https":
        return _through_proxy(address, headers, route)
    reached = _addresses(address)
    living, silent = list(filter(reached.get, reached)), [place[0] for place in reached if not reached[place]]
    place = (living + list(reached))[0] if silent else None
    seen = visit.visit(address, headers, place, route.authorities or authorities)
    if silent and living:
        says = N_("{host} does not answer at {addresses}", host=seen.host, addresses=", ".join(silent))
        advice = N_("each connection waits 3 seconds for such an address, then tries the next one")
        seen.asides.append(findings.note(ABOUT, says, advice=advice))
    if seen.failure and route.ignored:
        says = N_("{name} has no effect: name the proxy in HH_PROXY", name=route.ignored)
        seen.asides.append(findings.note(ABOUT, says))
    return seen


def _through_proxy(address, headers, route):
    try:
        answer = Transfer("GET", address, headers, route=route).run(visit.SECONDS)
    except NotSent as error:
        return error
    date, body = http_date(answer.date) if answer.date else None, answer.body.decode("utf-8", "replace")
    failure, ahead = None if answer.status else visit.BROKEN, date and date + 0.5 - time.time()
    return visit.Visit(urlsplit(address).hostname, failure, answer.status, body=body, ahead=ahead)


def _addresses(address):
    """Return for each (IP address, port) of the host whether it takes a connection."""
    parts = urlsplit(address)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return {}
    places = list(dict.fromkeys(info[4][:2] for info in found))
    with ThreadPoolExecutor(len(places)) as pool:
        return dict(zip(places, pool.map(_takes_connections, places)))


def _takes_connections(place):
    try:
        socket.create_connection(place, 3).close()  # as provider/transfer gives each
    except OSError:
        return False
    return True


def judge(name, seen, has_systemd):
    """Given the setting that names the address, what ``look`` returned, and whether systemd runs here, return the
    Findings."""
    if isinstance(seen, NotSent):
        return [findings.of_error(ABOUT, seen)]
    return _judge(name, seen, has_systemd) + seen.asides


def _judge(name, seen, has_systemd):
    if seen.failure:
        says = N_("{host}: {why}", host=seen.host, why=seen.why)
        command = f"getent hosts {shlex.quote(seen.host)}" if seen.failure == visit.UNKNOWN_NAME else None
        return [findings.problem(ABOUT, says, command, ADVICE[seen.failure], errors.TEMPFAIL)]
    if seen.status == 400 and "bad_user_agent" in seen.body:
        says = N_("{host} does not like the User-Agent (bad_user_agent)", host=seen.host)
        advice = N_("set HH_USER_AGENT to the form my-bot/1.0 (you@example.com)")
        return [findings.problem(ABOUT, says, advice=advice), *_of_clock(seen, has_systemd)]
    if seen.status >= 500 or seen.status == 429:
        says = N_("{host} answers {status}: it has trouble of its own", host=seen.host, status=seen.status)
        return [
            findings.problem(ABOUT, says, advice=N_("wait; hhtoken tries again by itself"), exit_code=errors.TEMPFAIL)
        ] + _of_clock(seen, has_systemd)
    says = N_("{host} answers", host=seen.host)
    if seen.certificate_until:
        until = durations.local(seen.certificate_until)
        says = N_("{host} answers, its certificate is good until {until}", host=seen.host, until=until)
    return [findings.ok(ABOUT, says), *(_of_clock(seen, has_systemd) if name == "HH_API_URL" else [])]


def expires_soon(seen):
    """Given a Visit, tell whether its certificate ends within days."""
    return bool(seen.certificate_until) and seen.certificate_until - time.time() < CERTIFICATE_DAYS * 86400


def _of_clock(seen, has_systemd):
    if seen.ahead is None:
        return [findings.note(ABOUT_CLOCK, N_("{host} does not say what time it is", host=seen.host))]
    skew = durations.span(abs(seen.ahead))
    if abs(seen.ahead) <= MOST_SKEW_SECONDS:
        return [findings.ok(ABOUT_CLOCK, N_("agrees with that of {host}", host=seen.host))]
    if seen.ahead > 0:
        says = N_("is {skew} behind that of {host}", skew=skew, host=seen.host)
    else:
        says = N_("is {skew} ahead of that of {host}", skew=skew, host=seen.host)
    advice = N_("let a time service set it (chrony, systemd-timesyncd, ntpd)")
    return [findings.problem(ABOUT_CLOCK, says, SET_CLOCK if has_systemd else None, None if has_systemd else advice)]


def _origin(address):
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}/"
