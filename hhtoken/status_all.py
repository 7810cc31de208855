"""The state of all accounts, in the forms of ``status --all``. Each account is looked at, told about, and forgotten."""

import contextlib
import time
from functools import partial
from json import dumps

from hhtoken import account_lines, accounts, errors, language, ready_commands, reporting, token_status
from hhtoken.token_store import open_store

SCHEMA = 1  # of the JSON form around the reports


def lines(main):
    """Given the main state directory, print a line for each account; return the exit code."""
    listed = accounts.listed(main)
    widths = account_lines.widths(listed, language.said)
    worst = errors.OK
    for name, report, _path in _reports(main, listed):
        say = partial(ready_commands.said, account=accounts.named(name))
        reporting.result(account_lines.of_report(name, report, widths, say))
        worst = account_lines.worst((worst, report.exit_code))
    return worst


def json(main):
    """The same as JSON; ``docs/reference.md`` describes its fields."""
    listed = accounts.listed(main)
    worst, comma = errors.OK, ""
    reporting.result(f'{{"schema": {SCHEMA}, "accounts": [')
    for name, report, path in _reports(main, listed):
        ready = partial(ready_commands.addressed, account=accounts.named(name))
        status = token_status.to_fields(report, path, ready)
        reporting.result(comma + dumps({"account": name, "status": status}))
        worst, comma = account_lines.worst((worst, report.exit_code)), ","
    reporting.result(f'], "exit_code": {worst}}}')
    return worst


def prometheus(main):
    """The same for node_exporter's textfile collector, which wants the samples of a metric in one block."""
    seen = set()

    def named_reports():
        for name, report, _path in _reports(main, accounts.listed(main)):
            seen.add(report.exit_code)
            yield name, report

    reporting.result(token_status.to_prometheus(named_reports()))
    return account_lines.worst(seen)


def _reports(main, listed):
    for name in listed:
        path = accounts.directory_of(main, name)
        try:
            with contextlib.closing(open_store(path)) as store:
                report = token_status.look(store, time.time())
        except errors.Error as error:
            report = token_status.of_error(error, None, time.time())
        yield name, report, path
