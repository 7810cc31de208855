"""``hhtoken status``: what state the token is in and why, who renews it, and what to do next."""

import os
import sys
import time

from hhtoken import config, errors, reporting, token_status
from hhtoken.language import _
from hhtoken.token_store import open_store
from hhtoken.wording import text

SUMMARY = text("tell what state the token is in and why, who renews it, and what to do next")

LOGS_FAILURES = False


def add_arguments(parser):
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help=_("as JSON, for programs"))
    form.add_argument("--prometheus", action="store_true", help=_("for node_exporter's textfile collector"))


def run(arguments):
    directory = config.load(arguments).state_directory()
    report = _look(directory)
    if arguments.json:
        reporting.result(token_status.to_json(report, directory))
    elif arguments.prometheus:
        reporting.result(token_status.to_prometheus(report))
    else:
        reporting.result(_screen(report, directory))
    return report.exit_code


def _look(directory):
    try:
        return token_status.look(open_store(directory), time.time())
    except errors.AuthorizationNeededError as error:
        return token_status.of_error(error, None, time.time())


def _screen(report, directory):
    from hhtoken import language, renewers, status_screen, terminal  # not for --json, which runs each minute

    program = os.path.abspath(sys.argv[0])
    table = status_screen.rows(report, directory, renewers.look(directory), program, terminal.has_unicode())
    return status_screen.laid_out(table, language.said, terminal.columns(), terminal.has_colour())
