"""``hhtoken refresh``: renew the pair if it is due."""

from hhtoken import config, durations, grants, outcomes, record, reporting, token_endpoint
from hhtoken.token_store import open_store

SUMMARY = "renew the pair if it is due; safe to run at any time"


def add_arguments(parser):
    parser.add_argument("--force", action="store_true", help="ask even before expiry, or during a pause")


def run(arguments):
    settings = config.load(arguments)
    endpoint = token_endpoint.from_settings(settings)
    store = open_store(settings.state_directory())
    outcome = grants.renew(store, endpoint, arguments.force)
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
