"""``hhtoken sync``: bring what other hosts put into the shared store to this one, within a second; for a service."""

import contextlib
import time
from functools import partial

from hhtoken import errors
from hhtoken.console import reporting, signals
from hhtoken.renewal import recovery
from hhtoken.settings.settings import load_settings
from hhtoken.store import opening
from hhtoken.text import N_

SUMMARY = N_("take over new pairs from the shared store as they come, until it is ended")

LOOK_SECONDS = 3  # at a connection to etcd, which may have died silently: hosts agree again in 5 s
SWEEP_SECONDS = 300  # between two looks at all that is followed, should a change have been missed
PAUSE_SECONDS = 1  # while etcd is out of reach


def add_arguments(parser):
    from hhtoken.console.language import _

    parser.add_argument("--once", action="store_true", help=_("look once, and end"))
    parser.add_argument("--all", action="store_true", help=_("for all accounts"))


def run(arguments):
    settings = load_settings(arguments)
    if not opening.is_shared(settings):
        raise errors.ConfigError(
            N_("HHTOKEN_STORE is not set, so there is nothing to keep in step with"),
            N_("a host on its own needs no 'hhtoken sync'"),
        )
    changes = opening.following(settings, arguments.all)
    bring = partial(_bring_one_of_many, changes.OutOfReach) if arguments.all else _bring_in_step
    if arguments.once:
        for name in changes.accounts():
            bring(settings, name)
        return 0
    signals.end_on_signals()
    try:
        _follow(changes, partial(bring, settings))
    except errors.Interrupted:
        return 0  # it has no other end


def _follow(changes, bring_in_step):
    is_out_of_step, sweep_at = False, 0.0
    while True:
        try:
            names = changes.changed(LOOK_SECONDS) if time.monotonic() < sweep_at else None
            if names is None:
                names, sweep_at = changes.accounts(), time.monotonic() + SWEEP_SECONDS
            for name in names:
                bring_in_step(name)
            if is_out_of_step:
                reporting.event("in step with etcd again", reporting.NOTICE)
            is_out_of_step = False
        except errors.TryLaterError as error:
            if not is_out_of_step:  # once for each outage
                reporting.failure(error)
                reporting.event(error.message, reporting.WARNING)
            time.sleep(PAUSE_SECONDS)
            is_out_of_step, sweep_at = True, 0.0


def _bring_in_step(settings, account):
    with contextlib.closing(opening.joined(settings, account)) as store:
        if not store.is_in_step():
            with store.lock():
                recovery.recover(store)


def _bring_one_of_many(out_of_reach, settings, account):
    """The trouble of one account must not keep the others from being brought in step."""
    reporting.speak_for(account)
    try:
        _bring_in_step(settings, account)
    except out_of_reach:
        raise
    except (errors.AuthorizationNeededError, errors.TryLaterError):
        pass  # there is no pair, or a refresh is under way, and what it comes to will be seen
    except errors.Error as error:
        reporting.failure(error)
        reporting.event(error.message, reporting.ERROR)
    finally:
        reporting.speak_for(None)
