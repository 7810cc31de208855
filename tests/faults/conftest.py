"""What all sweeps share: a look for leaks after each test, a bound on the disk that it takes, and the tables that it
measures, which are printed at the end."""

import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from faults import leaks
from hhtoken.sandbox.server import start

TABLE = "fault table"
MAXIMA = ("Requests in the worst hour", "Seconds without")  # tables whose rows have no sum
MOST_SCRATCH_BYTES = 32 * 1024 * 1024  # of one test; two run at a time
SYSLOG = pytest.StashKey()


@pytest.fixture
def sandbox(redirect_uri):
    """As everywhere, but with a client secret that occurs nowhere else."""
    with start(auto="allow", drip_seconds=0.004, redirect_uri=redirect_uri, client_secret=secrets.token_hex(32)) as one:
        yield one


@pytest.fixture(autouse=True)
def watch(monkeypatch):
    """Look on, and find no secret where none may be."""
    with tempfile.TemporaryDirectory() as scratch:
        watch = leaks.Watch(Path(scratch))
        with monkeypatch.context() as patch:
            leaks.watch_processes(patch, watch)
            leaks.watch_provider(patch, watch)
            yield watch
        assert watch.hits() == []


@pytest.fixture(autouse=True)
def scratch_disk(tmp_path):
    yield
    taken = sum(file.lstat().st_blocks for file in tmp_path.rglob("*")) * 512
    shutil.rmtree(tmp_path, ignore_errors=True)  # pytest would keep it
    assert taken < MOST_SCRATCH_BYTES


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.stash[SYSLOG] = tempfile.TemporaryDirectory()
        leaks.stand_in_for_syslog(Path(config.stash[SYSLOG].name) / "syslog")


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        leaks.end_of_syslog()
        config.stash[SYSLOG].cleanup()


@pytest.fixture
def note(record_property):
    """A function that adds up figures in a table: ``note(title, row name, {column: number})``."""

    def add(title, row, figures):
        record_property(TABLE, [title, row, figures])

    return add


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    for text in _tables(terminalreporter):
        terminalreporter.write_line("")
        terminalreporter.write_line(text)
    terminalreporter.write_line(f"{len(skipped)} skipped")
    for report in skipped:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"  {report.nodeid}: {reason}")


def _tables(terminalreporter):
    """Return the tables of all tests as Markdown, rows of the same name added up."""
    found = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                if name == TABLE:
                    title, row, figures = value
                    _add(found.setdefault(title, {}).setdefault(row, {}), figures)
    return [_markdown(title, rows) for title, rows in sorted(found.items())]


def _add(total, figures):
    for column, number in figures.items():
        total[column] = total.get(column, 0) + number


def _markdown(title, rows):
    columns = []
    for figures in rows.values():
        columns += [column for column in figures if column not in columns]
    lines = [f"## {title}", "", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    everything = {}
    for row, figures in sorted(rows.items()):
        lines.append(f"| {row} | " + " | ".join(str(figures.get(column, 0)) for column in columns) + " |")
        _add(everything, figures)
    if len(rows) > 1 and not title.startswith(MAXIMA):
        lines.append("| **all** | " + " | ".join(f"**{everything[column]}**" for column in columns) + " |")
    return "\n".join(lines)


@pytest.fixture(scope="session", autouse=True)
def byte_code():
    """In a fresh clone the first run writes byte code, and so makes more system calls than those that follow it."""
    package = Path(__file__).parents[2] / "hhtoken"
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", str(package)], check=True)
