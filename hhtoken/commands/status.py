"""``hhtoken status``: what state the token is in and why, and what to do next."""

import time

from hhtoken import config, errors, reporting, token_status
from hhtoken.token_store import open_store

SUMMARY = "tell what state the token is in and why, and what to do next"

LOGS_FAILURES = False


def add_arguments(parser):
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON, for programs")
    form.add_argument("--prometheus", action="store_true", help="for node_exporter's textfile collector")


def run(arguments):
    directory = config.load(arguments).state_directory()
    report = _look(directory)
    if arguments.json:
        reporting.result(token_status.to_json(report, directory))
    elif arguments.prometheus:
        reporting.result(token_status.to_prometheus(report))
    else:
        reporting.result(token_status.to_lines(report, directory))
    return report.exit_code


def _look(directory):
    try:
        return token_status.look(open_store(directory), time.time())
    except errors.AuthorizationNeededError as error:
        return token_status.of_error(error, None, time.time())
