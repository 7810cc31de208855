"""``hhtoken doctor``: look at the whole chain, from the settings to the public address, and say what to type."""

import os
from functools import partial

from hhtoken import errors
from hhtoken.commands.doctor import examination, findings
from hhtoken.console import hints, reporting, terminal
from hhtoken.console.language import _
from hhtoken.settings.settings import Settings, load_settings
from hhtoken.text import N_

SUMMARY = N_("check the whole chain, from the settings to the public address, and say what to type")

LOGS_FAILURES = False


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help=_("as JSON, for programs"))


def run(arguments):
    broken = None
    try:
        settings = load_settings(arguments)
    except errors.ConfigError as error:  # the file that was named cannot be read: go on without it
        settings, broken = _without_env_file(arguments), error
    found = examination.examine(settings, broken)
    found = [finding._replace(command=hints.called(finding.command)) for finding in found]
    if arguments.json:
        ready = partial(hints.with_flags, account=settings.account())
        reporting.result(findings.to_json(found, ready))
    else:
        say = partial(hints.translated, account=settings.account())
        reporting.result(findings.to_lines(found, say, terminal.has_colour()))
    return findings.exit_code(found)


def _without_env_file(arguments):
    environment = {name: value for name, value in os.environ.items() if name != "HHTOKEN_ENV_FILE"}
    return Settings(environment, None, getattr(arguments, "state_dir", None), getattr(arguments, "account", None))
