"""``hhtoken status``: what state the token is in and why, who renews it, and what to do next."""

import os
import sys
import time
from functools import partial

from hhtoken import errors
from hhtoken.console import hints, reporting
from hhtoken.console.language import _
from hhtoken.renewal import token_status
from hhtoken.settings.settings import DEFAULT_ENV_FILE, DEFAULT_STATE_DIRECTORY, load_settings
from hhtoken.store import opening
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

SUMMARY = N_("tell what state the token is in and why, who renews it, and what to do next")

LOGS_FAILURES = False


def add_arguments(parser):
    parser.add_argument("--all", action="store_true", help=_("all accounts, a line for each"))
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help=_("as JSON, for programs"))
    form.add_argument("--prometheus", action="store_true", help=_("for node_exporter's textfile collector"))


def run(arguments):
    settings = load_settings(arguments)
    if arguments.all:
        return _run_for_all(settings, arguments)
    directory, account = settings.state_directory(), settings.account()
    report, shared = _look(directory), None
    try:
        shared = opening.check(settings)
        report = token_status.in_view_of(report, settings)
    except errors.ConfigError as error:  # no renewal gets past it
        report = token_status.misconfigured(report, error)
    if arguments.json:
        reporting.result(token_status.to_json(report, directory, partial(hints.with_flags, account=account)))
    elif arguments.prometheus:
        reporting.result(token_status.to_prometheus([(account, report)]))
    else:
        reporting.result(_screen(report, settings, shared))
    return report.exit_code


def _run_for_all(settings, arguments):
    from hhtoken.commands import all_accounts

    if getattr(arguments, "account", None) is not None:
        raise errors.UsageError(N_("--all goes with no --account"), N_("name one account, or all of them"))
    reporting.speak_for(None)
    opening.check(settings)
    if arguments.json:
        return all_accounts.status_json(settings)
    return all_accounts.status_prometheus(settings) if arguments.prometheus else all_accounts.status(settings)


def _look(directory):
    try:
        return token_status.look(open_store(directory), time.time())
    except errors.AuthorizationNeededError as error:
        return token_status.of_error(error, None, time.time())


def _screen(report, settings, shared):
    # Not for --json, which runs each minute.
    from hhtoken.commands import status_screen
    from hhtoken.console import terminal
    from hhtoken.renewal import timers
    from hhtoken.store import account_names

    directory, account = settings.state_directory(), settings.account()
    who = timers.look(settings.main_directory(), account)
    place = directory
    if shared:
        place = N_("{directory}; shared with other hosts through {store}", directory=directory, store=shared)
    table = status_screen.rows(
        report,
        place,
        who,
        _refresh_command(settings),
        terminal.has_unicode(),
        account_names.instance(account),
        _service_directory(directory),
        _published(settings),
        _hidden_from_cron(settings),
    )
    return status_screen.laid_out(
        table,
        partial(hints.translated, account=account),
        terminal.columns(),
        terminal.has_colour(),
    )


def _refresh_command(settings):
    """Return the words of the command that renews this pair: cron knows neither our PATH nor our settings."""
    words = [os.path.abspath(sys.argv[0]), "--state-dir", settings.main_directory()]
    if settings.account():
        words += ["--account", settings.account()]
    if settings.env_file_path() != DEFAULT_ENV_FILE:
        words += ["--env-file", os.path.abspath(settings.env_file_path())]
    return [*words, "refresh"]


def _hidden_from_cron(settings):
    """Return the Hidden settings without which that command would do something else, or None."""
    from hhtoken.commands.status_screen import Hidden

    names = settings.of_refresh_in_environment_alone()
    return Hidden(names, settings.env_file_to_write()) if names else None


def _published(settings):
    from hhtoken.store import published_file

    try:
        path = settings.published_file()
        if path:
            published_file.check(path, settings.state_directory())
        return path
    except errors.Error as error:
        return error


def _service_directory(directory):
    """Return where the service keeps its pair, if that is elsewhere and only root may look at it; else None."""
    service = DEFAULT_STATE_DIRECTORY
    return service if os.geteuid() != 0 and directory != service and os.path.isdir(service) else None
