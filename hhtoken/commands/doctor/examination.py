"""All checks, from inside to outside: what waits for a network or for systemd goes on at the same time."""

import contextlib
import threading
import time
from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import (
    findings,
    listener_check,
    log_check,
    nginx_check,
    pair_check,
    provider_check,
    public_check,
    published_check,
    settings_check,
    shared_check,
    store_check,
    units_check,
)
from hhtoken.provider import addresses, transfer
from hhtoken.renewal import systemd_units, token_status
from hhtoken.store import account_names
from hhtoken.text import N_

SECONDS = 12  # for all that waits, together


class _Late:
    """Stands for what has not come in time."""


LATE = _Late()


def examine(settings, broken=None):
    """Given the Settings, and the ConfigError for which their file could not be read (or None), return all Findings."""
    directory = settings.state_directory()
    known = settings_check.look(settings)
    store = store_check.look(directory)
    pair = pair_check.look(directory)
    if not isinstance(pair, errors.Error):
        with contextlib.suppress(errors.Error):  # of which another finding tells
            pair = token_status.in_view_of(pair, settings)
    is_usable = not isinstance(pair, errors.Error) and pair.exit_code == errors.OK
    found = [findings.of_error(settings_check.ABOUT, broken)] if broken else settings_check.judge(known, is_usable)
    found += store_check.judge(store)
    found += pair_check.judge(pair)
    found += published_check.findings_of(settings)
    route, authorities, missing = _route(settings)
    if missing:
        found.append(findings.of_error(provider_check.ABOUT, missing))
    instance = account_names.instance(settings.account())
    tasks = {"units": lambda: units_check.look(settings.main_directory(), instance)}
    if shared_check.is_wanted(settings):
        tasks["shared"] = lambda: shared_check.look(settings)
    return found + _outside(known.values, tasks, route, authorities)


def together(tasks, seconds=SECONDS):
    """Given ``{name: function}``, call all at the same time and return ``{name: result}``, with LATE for what takes
    longer than so many seconds; raise what one of them raised."""
    came, deadline = {}, time.monotonic() + seconds
    threads = [(name, threading.Thread(target=_call, args=(came, name, task), daemon=True)) for name, task in
               tasks.items()]  # fmt: skip
    for _name, thread in threads:
        thread.start()
    results = {}
    for name, thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        result = came.get(name, SimpleNamespace(value=LATE, error=None))
        if result.error:
            raise result.error
        results[name] = result.value
    return results


def _call(came, name, task):
    try:
        came[name] = SimpleNamespace(value=task(), error=None)
    except BaseException as error:
        came[name] = SimpleNamespace(value=None, error=error)


def _outside(values, tasks, route, authorities):
    redirect_uri = values.get("HH_REDIRECT_URI")
    if redirect_uri and addresses.is_of_an_app(redirect_uri):
        redirect_uri = None  # nobody listens for it
    is_public = bool(redirect_uri) and not listener_check.is_local(redirect_uri)
    agent = values.get("HH_USER_AGENT", "hhtoken-doctor")
    providers = provider_check.addresses_of(values)
    for name, address in providers.items():
        tasks[name] = lambda address=address: provider_check.look(address, agent, route, authorities)
    tasks["log"] = log_check.look
    if redirect_uri:
        tasks["listener"] = lambda: listener_check.look(redirect_uri)
    if is_public:
        tasks["nginx"] = lambda: nginx_check.look(redirect_uri)
        tasks["public"] = lambda: public_check.look(redirect_uri, authorities)
    seen = together(tasks)
    has_systemd = systemd_units.is_running()
    judges = [(provider_check.ABOUT, name, lambda it, name=name: provider_check.judge(name, it, has_systemd))
              for name in providers]  # fmt: skip
    judges += [
        (shared_check.ABOUT, "shared", shared_check.judge),
        (listener_check.ABOUT, "listener", listener_check.judge),
        (nginx_check.ABOUT, "nginx", lambda it: nginx_check.judge(it, seen["listener"])),
        (public_check.ABOUT, "public", lambda it: public_check.judge(redirect_uri, it)),
        (units_check.ABOUT, "units", units_check.judge),
        (log_check.ABOUT, "log", lambda it: log_check.judge(it, has_systemd)),
    ]
    found = []
    for about, name, judge in judges:
        if name not in seen:
            continue
        if seen[name] is LATE or name == "nginx" and seen["listener"] is LATE:
            says = N_("no answer within {seconds} seconds", seconds=SECONDS)
            found.append(findings.problem(about, says, exit_code=errors.TEMPFAIL))
        else:
            found += judge(seen[name])
    return found


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
