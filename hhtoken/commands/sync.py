"""``hhtoken sync``: bring what other hosts put into the shared store to this one, within a second; for a service."""

import time

from hhtoken import config, errors, recovery, reporting, signals, stores
from hhtoken.wording import text

SUMMARY = text("take over new pairs from the shared store as they come, until it is ended")

LOOK_SECONDS = 10  # between two looks, should the connection to etcd die silently
PAUSES_SECONDS = (1, 2, 5, 10, 30)  # while etcd is out of reach


def add_arguments(parser):
    from hhtoken.language import _

    parser.add_argument("--once", action="store_true", help=_("look once, and end"))


def run(arguments):
    settings = config.load(arguments)
    if not stores.is_shared(settings):
        raise errors.ConfigError(
            text("HHTOKEN_STORE is not set, so there is nothing to keep in step with"),
            text("a host on its own needs no 'hhtoken sync'"),
        )
    store = stores.of_settings(settings, create=True)
    if arguments.once:
        _bring_in_step(store)
        return 0
    signals.end_on_signals()
    _follow(store)
    return 0


def _bring_in_step(store):
    if not store.is_in_step():
        with store.lock():
            recovery.recover(store)


def _follow(store):
    failures = 0
    while True:
        try:
            _bring_in_step(store)
            if failures:
                reporting.event("in step with etcd again", reporting.NOTICE)
            failures = 0
            store.wait_for_change(LOOK_SECONDS)
        except errors.TryLaterError as error:
            if not failures:  # once for each outage
                reporting.failure(error)
                reporting.event(error.message, reporting.WARNING)
            time.sleep(PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS) - 1)])
            failures += 1
