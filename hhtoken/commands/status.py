"""``hhtoken status``: what state the token is in and why, who renews it, and what to do next."""

import json
import os
import sys
import time
from functools import partial

from hhtoken import errors
from hhtoken.commands import status_screen
from hhtoken.console import hints, reporting
from hhtoken.console.language import _
from hhtoken.renewal import report, timers
from hhtoken.settings.settings import DEFAULT_STATE_DIRECTORY, Settings, load_settings
from hhtoken.settings.sources import DEFAULT_ENV_FILE
from hhtoken.store import account_names, opening
from hhtoken.text import N_

SUMMARY = N_("show the state of the token, what renews it, and what to do next")

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
    seen, account = report.of_settings(settings, time.time()), settings.account()
    renewers = timers.look(settings.main_directory(), account, default_directory()) if seen.pair else timers.Renewers()
    seen.renewed_by = renewers.names
    if arguments.json:
        fields = report.to_fields(seen, settings.state_directory(), partial(hints.with_flags, account=account))
        reporting.result(json.dumps(fields, indent=2))
    elif arguments.prometheus:
        reporting.result(report.to_prometheus([(account, seen)]))
    else:
        reporting.result(_screen(seen, settings, renewers))
    return seen.exit_code


def _run_for_all(settings, arguments):
    from hhtoken.commands import all_accounts

    if getattr(arguments, "account", None) is not None:
        raise errors.UsageError(N_("--all goes with no --account"), N_("name one account, or all of them"))
    reporting.speak_for(None)
    opening.check(settings)
    return all_accounts.status(settings, default_directory(), arguments.json, arguments.prometheus)


def default_directory():
    """Return the state directory of a command that names none, in an environment as empty as cron's; None where it has
    none."""
    try:
        return Settings({}).main_directory()
    except errors.ConfigError:
        return None


def _screen(seen, settings, renewers):
    from hhtoken.console import terminal

    place = settings.state_directory()
    if opening.is_shared(settings) and seen.state != report.MISCONFIGURED:
        store = settings.optional(opening.SHARED_SETTING)
        place = N_("{directory}; shared with other hosts through {store}", directory=place, store=store)
    help_wanted = None if renewers.names else to_have_it_renewed(renewers, settings)
    table = status_screen.rows(seen, place, renewers, help_wanted, terminal.has_unicode(), _service_directory(settings),
                               _published(settings))  # fmt: skip
    say = partial(hints.translated, account=settings.account())
    return status_screen.laid_out(table, say, terminal.columns(), terminal.has_colour())


def to_have_it_renewed(renewers, settings):
    """Given Renewers that renew nothing, and the Settings, return what to do about it, and the command at its end or
    None. Cron knows neither our PATH nor our settings."""
    if renewers.can_be_enabled:
        instance = account_names.instance(settings.account())
        return N_("to have it renewed, type:"), status_screen.ENABLE.format(instance=instance)
    hidden = settings.of_refresh_in_environment_alone()
    if hidden:
        return N_(
            "cron does not see what is set in this environment alone: {names}; put that "
            "into a file, e.g. {path}, as lines NAME=VALUE, name the file by HHTOKEN_ENV_FILE, and type "
            "'hhtoken status' for the line of the crontab",
            names=", ".join(hidden),
            path=settings.env_file_to_write(),
        ), None
    words = [os.path.abspath(sys.argv[0]), "--state-dir", settings.main_directory()]
    if settings.account():
        words += ["--account", settings.account()]
    if settings.env_file_path() != DEFAULT_ENV_FILE and os.path.exists(settings.env_file_path()):
        words += ["--env-file", os.path.abspath(settings.env_file_path())]
    return N_("type 'crontab -e' and add the line:"), status_screen.cron_line(words)


def _published(settings):
    from hhtoken.store import published_file

    try:
        path = settings.published_file()
        if path:
            published_file.check(path, settings.state_directory())
        return path
    except errors.Error as error:
        return error


def _service_directory(settings):
    """Return where the service keeps its pair, if that is elsewhere and only root may look at it; else None."""
    service = DEFAULT_STATE_DIRECTORY
    is_other = os.geteuid() != 0 and settings.state_directory() != service
    return service if is_other and os.path.isdir(service) else None
