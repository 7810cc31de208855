"""All checks, from inside to outside: what waits for a network or for systemd goes on at the same time."""

import contextlib
import threading
import time

from hhtoken import errors
from hhtoken.commands.doctor import (
    findings,
    listener,
    nginx,
    pair,
    provider,
    public_address,
    renewal,
    settings,
    state_directory,
)
from hhtoken.provider import addresses, transfer
from hhtoken.renewal import systemd_units
from hhtoken.text import N_

SECONDS = 12  # for all that waits, together


def examine(given, broken=None):
    """Given the Settings, and the ConfigError for which their file could not be read (or None), return all Findings."""
    known, stands = settings.look(given), pair.look(given)
    is_usable = not isinstance(stands, errors.Error) and stands.exit_code == errors.OK
    found = [findings.of_error(settings.ABOUT, broken)] if broken else settings.judge(known, is_usable)
    found += state_directory.judge(state_directory.look(given.state_directory()))
    found += pair.judge(stands) + pair.published(given)
    route, authorities, missing = _route(given)
    if missing:
        found.append(findings.of_error(provider.ABOUT, missing))
    checks = _of_provider(known.values, route, authorities)
    if pair.is_shared(given):
        checks.append((pair.ABOUT_SHARED, lambda: pair.shared(given)))
    checks += _of_callback(known.values.get("HH_REDIRECT_URI"), authorities)
    checks.append((renewal.ABOUT, lambda: renewal.judge(renewal.look(given), stands, given)))
    return found + together(checks)


def _route(settings):
    """Return the Route, as far as it is known, the path of the authorities that anybody trusts (for our own public
    address), and the ConfigError (or None)."""
    route = transfer.DIRECT
    with contextlib.suppress(errors.ConfigError):  # of which the check of the settings tells
        route = settings.route()
    try:
        return route, transfer.load().certs.where(), None
    except errors.ConfigError as error:
        return route, None, error


def _of_provider(values, route, authorities):
    agent, has_systemd = values.get("HH_USER_AGENT", "hhtoken-doctor"), systemd_units.is_running()

    def check(name, address):
        return provider.judge(name, provider.look(address, agent, route, authorities), has_systemd)

    return [(provider.ABOUT, lambda one=one: check(*one)) for one in provider.addresses_of(values).items()]


def _of_callback(redirect_uri, authorities):
    if not redirect_uri or addresses.is_of_an_app(redirect_uri):  # for which nobody listens
        return []
    checks = [(listener.ABOUT, lambda: listener.judge(listener.look(redirect_uri)))]
    if not listener.is_local(redirect_uri):
        checks.append((nginx.ABOUT, lambda: nginx.judge(nginx.look(redirect_uri))))
        checks.append((public_address.ABOUT, lambda: public_address.check(redirect_uri, authorities)))
    return checks


def together(checks, seconds=SECONDS):
    """Given ``[(what it is about, function)]``, call all functions at the same time and return their Findings in this
    order, with a problem in place of those that take longer than so many seconds; raise what one of them raised."""
    came, deadline = {}, time.monotonic() + seconds

    def call(at, check):
        try:
            came[at] = check(), None
        except BaseException as error:
            came[at] = None, error

    threads = [
        threading.Thread(target=call, args=(at, check), daemon=True) for at, (_about, check) in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    found = []
    for at, (about, _check) in enumerate(checks):
        threads[at].join(max(0.0, deadline - time.monotonic()))
        late = findings.problem(
            about, N_("no answer within {seconds} seconds", seconds=SECONDS), exit_code=errors.TEMPFAIL
        )
        result, error = came.get(at, ([late], None))
        if error:
            raise error
        found += result
    return found
