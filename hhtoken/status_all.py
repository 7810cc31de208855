"""The state of all accounts, in the forms of ``status --all``. Each account is looked at, told about, and forgotten."""

import contextlib
import time
from functools import partial
from json import dumps

from hhtoken import account_lines, accounts, errors, language, ready_commands, reporting, stores, token_status
from hhtoken.token_store import open_store

SCHEMA = 1  # of the JSON form around the reports


def lines(settings):
    """Given the Settings, print a line for each account; return the exit code."""
    listed = accounts.listed(settings.main_directory())
    widths = account_lines.widths(listed, language.said)
    worst = errors.OK
    for name, report, _path in _reports(settings, listed):
        say = partial(ready_commands.said, account=accounts.named(name))
        reporting.result(account_lines.of_report(name, report, widths, say))
        worst = account_lines.worst((worst, report.exit_code))
    return worst


def json(settings):
    """The same as JSON; ``docs/reference.md`` describes its fields."""
    listed = accounts.listed(settings.main_directory())
    worst, comma = errors.OK, ""
    reporting.result(f'{{"schema": {SCHEMA}, "accounts": [')
    for name, report, path in _reports(settings, listed):
        ready = partial(ready_commands.addressed, account=accounts.named(name))
        status = token_status.to_fields(report, path, ready)
        reporting.result(comma + dumps({"account": name, "status": status}))
        worst, comma = account_lines.worst((worst, report.exit_code)), ","
    reporting.result(f'], "exit_code": {worst}}}')
    return worst


def prometheus(settings):
    """The same for node_exporter's textfile collector, which wants the samples of a metric in one block."""
    seen = set()

    def named_reports():
        for name, report, _path in _reports(settings, accounts.listed(settings.main_directory())):
            seen.add(report.exit_code)
            yield name, report

    reporting.result(token_status.to_prometheus(named_reports()))
    return account_lines.worst(seen)


def _reports(settings, listed):
    for name in listed:
        path = accounts.directory_of(settings.main_directory(), name)
        try:
            with contextlib.closing(open_store(path)) as store:
                report = token_status.look(store, time.time())
        except errors.Error as error:
            report = token_status.of_error(error, None, time.time())
        yield name, stores.in_view_of_hosts(report, settings, path), path
