"""README.md and README.ru.md say the same, and what they say is so: commands, flags, exit codes, links, examples."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections import Counter

import pytest
import requests
from conftest import AGENT, PROGRAM, Operator
from support import ROOT
from test_manual import EXIT_CODES, OF_COMMANDS

from hhtoken.commands.parser import parse_command_line
from hhtoken.sandbox.server import start

LANGUAGES = {"README.md": "C.UTF-8", "README.ru.md": "ru_RU.UTF-8"}
ENGLISH, RUSSIAN = LANGUAGES

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S)
PLACEHOLDER = re.compile(r"\b(?:[A-Z]+|[А-ЯЁ]+)\b")  # FILE, ФАЙЛ; a setting has an underscore in it
TWO_WEEKS = 14 * 24 * 3600
COLUMNS = 120


def text_of(name):
    return (ROOT / name).read_text()


def prose_of(name):
    return FENCE.sub("", text_of(name))


def blocks(name):
    """Return the code blocks, each as its kind and its lines without the indent of the list that it stands in."""
    found = FENCE.findall(text_of(name))
    return [(kind, [line.removeprefix(indent) for line in body.splitlines()]) for indent, kind, body in found]


def spans(name):
    return re.findall(r"`([^`]+)`", prose_of(name))


def first_cells(name):
    """Return the first cell of each row of each table."""
    return re.findall(r"^\| (.*?) \|", prose_of(name), re.M)


# -- the same in both languages --


def outline(name):
    """Return what the lines are: headings of some level, numbered steps, items, rows of tables."""
    return re.findall(r"^ *(#+ |\d+\. |- |\|)", text_of(name), re.M)


def test_both_have_the_same_headings_steps_items_and_rows():
    assert outline(ENGLISH) == outline(RUSSIAN)


def test_both_name_the_same_commands_flags_settings_and_files():
    english, russian = (Counter(PLACEHOLDER.sub("", span) for span in spans(name)) for name in LANGUAGES)
    assert english - russian == russian - english == Counter()


def typed(kind, lines):
    """Given a block, return what a person types, without comments; of a diagram, all but its words."""
    if kind == "mermaid":
        return [re.sub(r'"[^"]*"|\|[^|]*\|', "…", line) for line in lines]
    if kind == "console":
        return [line if line.startswith("$ ") else "…" for line in lines]
    return [re.sub(r" *# .*", "", line) for line in lines]


def test_both_have_the_same_blocks_of_code():
    english, russian = ([(kind, typed(kind, lines)) for kind, lines in blocks(name)] for name in LANGUAGES)
    assert english == russian


def links(name):
    return re.findall(r"\]\(([^)]+)\)|<(https?://[^>]+)>", prose_of(name))


def test_both_lead_to_the_same_places_and_to_each_other_first():
    english, russian = links(ENGLISH), links(RUSSIAN)
    assert (english[0][0], russian[0][0]) == (RUSSIAN, ENGLISH)
    assert english[1:] == russian[1:]


# -- and it is so --


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(name):
    for target, _address in links(name):
        path, _hash, anchor = target.partition("#")
        assert not path or (ROOT / path).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", (ROOT / path).read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("name", LANGUAGES)
def test_each_command_has_a_row_and_each_flag_is_one_that_it_takes(name):
    flags = dict(OF_COMMANDS)
    shown = [span for cell in first_cells(name) for span in re.findall(r"`([^`]+)`", cell) if span.split()[0] in flags]
    assert {span.split()[0] for span in shown} == set(flags)
    for span in shown:
        assert set(re.findall(r"--[\w-]+", span)) <= set(flags[span.split()[0]]), span


@pytest.mark.parametrize("name", LANGUAGES)
def test_each_command_line_is_what_the_parser_takes(name):
    lines = [span.partition(" >")[0].split()[1:] for span in spans(name) if span.startswith("hhtoken ")]
    lines = [words for words in lines if not words[-1].startswith("--help")]
    assert len(lines) >= 15
    for words in lines:
        parse_command_line(words)


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_exit_codes_are_all_there(name):
    codes = [cell for cell in first_cells(name) if re.fullmatch(r"[\d, ]+", cell)]
    assert [int(code) for cell in codes for code in cell.split(", ")] == sorted(EXIT_CODES)


# -- the examples --

WHAT_DIFFERS = (
    (r"^http\S+/authorize\?\S*", "ADDRESS"),
    (r"http://127\.0\.0\.1:\d+/", "http://127.0.0.1:8000/"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", "MOMENT"),
    (r"(request id|номер запроса)\s+\w+", r"\1 …"),
    (r"(authorized by|пользователь:) .* \((.*), id \d+\)", r"\1 NAME (\2, id 7)"),
    (r"^((?:stored in|хранится в): *)\S+", r"\1DIRECTORY"),
)


def without_what_differs(lines):
    shown = "\n".join(lines)
    for pattern, replacement in WHAT_DIFFERS:
        shown = re.sub(pattern, replacement, shown, flags=re.M)
    return shown.splitlines()


def on_a_terminal(arguments, environment, browse=False):
    """Run hhtoken on a terminal of its own, be its browser where asked to, and return the lines that a person sees."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [*PROGRAM[:-1], "bin/hhtoken", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    try:
        while data := _read(ours):
            seen += data
            if browse and re.search(b"press enter|Enter", seen):  # the last line before it waits
                browse = False
                requests.get(seen.split()[0].decode(), headers=AGENT, timeout=10).raise_for_status()
        assert process.wait(20) == 0, seen.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return seen.decode().splitlines()


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # what Linux says when the other end has gone
        return b""


def cron_says(directory, line):
    """Put a ``crontab`` into a directory that lists this line."""
    directory.mkdir(exist_ok=True)
    (directory / "crontab").write_text(f"#!/bin/sh\necho '{line}'\n")
    (directory / "crontab").chmod(0o755)


@pytest.mark.parametrize("name", LANGUAGES)
def test_login_and_status_print_what_the_examples_show(name, tmp_path, redirect_uri):
    told = without_what_differs(line for kind, lines in blocks(name) if kind == "console" for line in lines)
    with start(auto="allow", redirect_uri=redirect_uri, expires_in=TWO_WEEKS) as sandbox:
        operator = Operator(tmp_path / "state", sandbox.environment())
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        environment = {**operator.environment, "PATH": path, "LANG": LANGUAGES[name], "NO_COLOR": "1"}
        cron_says(tmp_path / "bin", "")
        shown = ["$ bin/hhtoken login", *on_a_terminal(["login"], environment, browse=True)]
        cron_says(tmp_path / "bin", "* * * * * hhtoken refresh")
        shown += ["$ bin/hhtoken status", *on_a_terminal(["status"], environment)]
    assert without_what_differs(shown) == told[:-1]  # the last one is curl
