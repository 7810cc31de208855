"""All checks, from inside to outside: what waits for a network or for systemd goes on at the same time."""

import contextlib
import threading
import time
from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import (
    findings,
    listener,
    nginx,
    pair,
    provider_check,
    public_address,
    renewal,
    settings,
    state_directory,
)
from hhtoken.provider import transfer
from hhtoken.renewal import report, systemd_units
from hhtoken.store import account_names
from hhtoken.text import N_

SECONDS = 12  # for all that waits, together


class _Late:
    """Stands for what has not come in time."""


LATE = _Late()


def examine(given, broken=None):
    """Given the Settings, and the ConfigError for which their file could not be read (or None), return all Findings."""
    directory = given.state_directory()
    known = settings.look(given)
    store = state_directory.look(directory)
    stands = pair.look(directory)
    if not isinstance(stands, errors.Error):
        with contextlib.suppress(errors.Error):  # of which another finding tells
            stands = report.in_view_of(stands, given)
    is_usable = not isinstance(stands, errors.Error) and stands.exit_code == errors.OK
    found = [findings.of_error(settings.ABOUT, broken)] if broken else settings.judge(known, is_usable)
    found += state_directory.judge(store)
    found += pair.judge(stands)
    found += pair.published(given)
    authorities, missing = _authorities()
    if missing:
        found.append(findings.of_error(provider_check.ABOUT, missing))
    instance = account_names.instance(given.account())
    tasks = {"units": lambda: renewal.look(given.main_directory(), instance)}
    if pair.is_wanted(given):
        tasks["shared"] = lambda: pair.look_at_shared(given)
    return found + _outside(known.values, tasks, authorities)


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


def _outside(values, tasks, authorities):
    redirect_uri = values.get("HH_REDIRECT_URI")
    is_public = bool(redirect_uri) and not listener.is_local(redirect_uri)
    agent = values.get("HH_USER_AGENT", "hhtoken-doctor")
    providers = provider_check.addresses_of(values)
    for name, address in providers.items():
        tasks[name] = lambda address=address: provider_check.look(address, agent, authorities)
    tasks["log"] = renewal.look_at_log
    if redirect_uri:
        tasks["listener"] = lambda: listener.look(redirect_uri)
    if is_public:
        tasks["nginx"] = lambda: nginx.look(redirect_uri)
        tasks["public"] = lambda: public_address.look(redirect_uri, authorities)
    seen = together(tasks)
    has_systemd = systemd_units.is_running()
    judges = [(provider_check.ABOUT, name, lambda it, name=name: provider_check.judge(name, it, has_systemd))
              for name in providers]  # fmt: skip
    judges += [
        (pair.ABOUT_SHARED, "shared", pair.judge_shared),
        (listener.ABOUT, "listener", listener.judge),
        (nginx.ABOUT, "nginx", lambda it: nginx.judge(it, seen["listener"])),
        (public_address.ABOUT, "public", lambda it: public_address.judge(redirect_uri, it)),
        (renewal.ABOUT, "units", renewal.judge),
        (renewal.ABOUT_LOG, "log", lambda it: renewal.judge_log(it, has_systemd)),
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


def _authorities():
    try:
        return transfer.load().certs.where(), None
    except errors.ConfigError as error:
        return None, error
