"""``hhtoken refresh``: renew the pair if it is due."""

import time

from hhtoken import arguments as argument_types
from hhtoken import config, durations, grants, outcomes, record, reporting, signals, token_endpoint
from hhtoken.token_store import open_store

SUMMARY = "renew the pair if it is due; safe to run at any time"


NAP_SECONDS = 5  # the clock may be set, or the pair be replaced, while we sleep


def add_arguments(parser):
    parser.add_argument("--force", action="store_true", help="ask even before expiry, or during a pause")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=argument_types.seconds,
        default=0,
        help="wait up to so long for a pair that is about to fall due; for timers",
    )


def run(arguments):
    settings = config.load(arguments)
    endpoint = token_endpoint.from_settings(settings)
    store = open_store(settings.state_directory())
    outcome = _renew_in_time(store, endpoint, arguments.force, arguments.wait)
    failure = outcomes.error_of(outcome)
    if failure:
        raise failure
    if outcome.outcome == record.RENEWED or outcome.outcome == record.AUTHORIZED:
        expires_at = store.load().pair.expires_at
        reporting.message(f"{outcome.message}; the new access token lives until {durations.local(expires_at)}")
    elif reporting.is_watched():
        until = f" until {durations.local(outcome.not_before)}" if outcome.not_before else ""
        reporting.message(f"{outcome.message}{until}")
    return 0


def _renew_in_time(store, endpoint, force, patience):
    """Renew, waiting for what falls due within ``patience`` seconds. Without the lock, so that nobody waits for us."""
    patient_until = time.monotonic() + patience
    while True:
        outcome = grants.renew(store, endpoint, force)
        if outcome.outcome not in (record.NOT_DUE, record.NOT_YET):
            return outcome
        pause = outcome.not_before - time.time()
        if pause > patient_until - time.monotonic() or signals.end_was_asked():
            return outcome
        if pause > NAP_SECONDS and reporting.is_watched():
            reporting.message(f"waiting {durations.span(pause)} for the access token to expire")
        time.sleep(max(0.0, min(pause, NAP_SECONDS)))
