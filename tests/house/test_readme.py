"""README.md and README.ru.md say the same, and what they say is so: commands, flags, exit codes, links, examples."""

import re
import sys
from collections import Counter

import pytest
from support import ROOT
from test_manual import EXIT_CODES, OF_COMMANDS

from hhtoken.commands.parser import parse_command_line

LANGUAGES = {"README.md": "C.UTF-8", "README.ru.md": "ru_RU.UTF-8"}
ENGLISH, RUSSIAN = LANGUAGES
REFERENCE = "docs/reference.md"

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S)
PLACEHOLDER = re.compile(r"\b(?:[A-Z]+|[А-ЯЁ]+)\b")  # FILE, ФАЙЛ; a setting has an underscore in it


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
    assert english[1:] == [(path.replace(".ru.svg", ".svg"), address) for path, address in russian[1:]]


# -- and it is so --


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(name):
    for target, _address in links(name):
        path, _hash, anchor = target.partition("#")
        assert not path or (ROOT / path).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", (ROOT / path).read_text(), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, target


def test_the_reference_has_a_row_for_each_command_and_each_flag_in_it_is_one_that_it_takes():
    flags = dict(OF_COMMANDS)
    cells = [re.findall(r"`([^`]+)`", cell) for cell in first_cells(REFERENCE)]
    shown = [span for spans in cells for span in spans if span.split()[0] in flags]
    assert {span.split()[0] for span in shown} == set(flags)
    for span in shown:
        assert set(re.findall(r"--[\w-]+", span)) <= set(flags[span.split()[0]]), span


@pytest.mark.parametrize("name", LANGUAGES)
def test_each_command_line_is_what_the_parser_takes(name):
    lines = [span.partition(" >")[0].split()[1:] for span in spans(name) if span.startswith("hhtoken ")]
    lines = [words for words in lines if not words[-1].startswith("--help")]
    assert len(lines) >= 10
    for words in lines:
        parse_command_line(words)


def test_the_reference_has_all_exit_codes():
    codes = [cell for cell in first_cells(REFERENCE) if re.fullmatch(r"[\d, ]+", cell)]
    assert {int(code) for cell in codes for code in cell.split(", ")} >= set(EXIT_CODES)


# -- the pictures --


def test_the_pictures_show_what_status_prints():
    sys.path.insert(0, str(ROOT / "docs"))
    import picture

    for name, locale in picture.PICTURES.items():
        drawn, committed = picture.drawn(picture.screen(locale)), text_of(f"docs/{name}")
        without_figures = [re.sub(r"\b[0-9a-f]{32}\b|\d+", "0", svg.replace("\n", " ")) for svg in (drawn, committed)]
        assert without_figures[0] == without_figures[1], "type: python3 docs/picture.py"
