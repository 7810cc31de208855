"""Writes the manual pages and the shells' completions, from the parser and ``manual_text``: ``make manual``.

write_manual.py DIRECTORY: man/hhtoken.1, man/ru/hhtoken.1, completions/… below it. Their bytes depend on the sources
alone: on no date, terminal or locale. argparse-manpage writes the commands, shtab the completions.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

sys.path.insert(0, str(Path(__file__).parent.parent))

import manual_text as manual  # noqa: E402

from hhtoken.commands.parser import build_parser  # noqa: E402
from hhtoken.console import language  # noqa: E402
from hhtoken.console.language import translated  # noqa: E402
from hhtoken.pair import ESSENTIAL_FIELDS, OUR_FIELDS  # noqa: E402
from hhtoken.sandbox.faults import ALL_FAULTS  # noqa: E402

PAGES = {"man/hhtoken.1": "C", "man/ru/hhtoken.1": "ru_RU.UTF-8"}
COMPLETIONS = {"completions/hhtoken": "bash", "completions/_hhtoken": "zsh", "completions/hhtoken.fish": "fish"}

FIELDS = (*ESSENTIAL_FIELDS, *OUR_FIELDS, "seconds_left")
COMMAND = {
    "bash": "_hhtoken_files_and_commands",
    "zsh": "_hhtoken_command",
    "fish": "(__fish_complete_subcommand --fcs-skip=2)",
    "preamble": {
        "bash": '_hhtoken_files_and_commands() { compgen -c -f -- "$1" | sort -u; }',
        "zsh": "_hhtoken_command() { [[ $words[1] == -- ]] && { shift words; (( CURRENT-- )) }; _normal }",
    },
}
BY_METAVAR = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "COMMAND…": COMMAND}
BY_FLAG = {"--field": FIELDS, "--fault": tuple(ALL_FAULTS)}


def main(directory):
    speak("C")
    for path, shell in COMPLETIONS.items():
        write(directory / path, completion(shell))
    for path, locale in PAGES.items():
        speak(locale)
        write(directory / path, page())


def speak(locale):
    os.environ.update(LC_ALL=locale, LANGUAGE="")
    language.set_up_argparse()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def completion(shell):
    """Return the script that completes hhtoken in this shell."""
    parser = build_parser()
    for command in [parser, *commands_of(parser).values()]:
        for action in command._actions:
            if action.metavar in BY_METAVAR:
                action.complete = BY_METAVAR[action.metavar]
            elif not action.choices:
                action.choices = choices_of(action)
    return shtab.complete(parser, shell=shell)


def choices_of(action):
    """Return the words that a flag takes, where they are known: a metavar may be a list of them."""
    listed = next((BY_FLAG[flag] for flag in action.option_strings if flag in BY_FLAG), None)
    return listed or (action.metavar.split("|") if re.fullmatch(r"[a-z]+(\|[a-z]+)+", action.metavar or "") else None)


# -- the page --


class Unwrapped(argparse.HelpFormatter):
    """Usage in one line, without the word "usage", as man wants it."""

    def __init__(self, prog):
        super().__init__(prog, width=10_000)

    def add_usage(self, usage, actions, groups, prefix=None):
        super().add_usage(usage, actions, groups, prefix="")


def page():
    """Return the page in the language of the environment."""
    parser = build_parser()
    parser.formatter_class = Unwrapped
    parser.description = parser.epilog = None
    parser.usage = f"%(prog)s {translated(manual.USAGE)}"
    for command in commands_of(parser).values():
        command.formatter_class = Unwrapped
        command.description = None
        without_common_options(command, parser)
        for group in command._action_groups:
            group.title = None
    made = Manpage(parser, {"description": translated(manual.NAME)}, format="single-commands-section")
    made.date = ""
    made.manual = translated(manual.TITLE)
    made.add_section("DESCRIPTION", "=", rendered(manual.DESCRIPTION))
    for heading, items in manual.SECTIONS:
        made.add_section(translated(heading), "=", rendered(items))
    return with_translated_headings(str(made))


def commands_of(parser):
    subparsers = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return subparsers.choices


def without_common_options(command, parser):
    """They are told once, at the top."""
    common = {flag for action in parser._actions for flag in action.option_strings}
    kept = [action for action in command._actions if not common.intersection(action.option_strings)]
    command._actions[:] = kept
    for group in command._action_groups:
        group._group_actions[:] = [action for action in group._group_actions if action in kept]


def with_translated_headings(made):
    """argparse-manpage has these in English only."""
    for heading in manual.GIVEN_HEADINGS:
        made = re.sub(
            rf"^\.SH {heading}$", lambda _match, heading=heading: f".SH {translated(heading)}", made, flags=re.M
        )
    return made


def rendered(items):
    """Given the items of a section, as ``manual_text`` has them, return its roff."""
    return "\n".join(map(rendered_item, items)).removeprefix(".PP\n")


def rendered_item(item):
    if isinstance(item, str):
        return f".PP\n{roff(translated(item))}"
    first, second = item
    if isinstance(second, str):
        return f".TP\n.B {roff(str(first))}\n{roff(translated(second))}"
    lines = "\n".join(map(roff, second))
    return f".PP\n{roff(translated(first))}\n.PP\n.in +4n\n.EX\n{lines}\n.EE\n.in"


def roff(words):
    words = words.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + words if words[:1] in ("'", ".") else words


if __name__ == "__main__":
    main(Path(sys.argv[1]))
