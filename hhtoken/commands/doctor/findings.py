"""A finding: what was looked at, what was seen, and, if it is a problem, what to type. Pure."""

import json
from typing import NamedTuple, Optional

from hhtoken import errors
from hhtoken.commands.all_accounts import worst
from hhtoken.text import N_, printable

OK, NOTE, PROBLEM = "ok", "note", "problem"  # the same in every language, as "error:" and "hint:" are
SCHEMA = 1  # of the JSON form; grows only when a field changes its meaning or goes

COLOURS = {OK: "\033[32m", NOTE: "\033[36m", PROBLEM: "\033[31m"}
COLOUR_END = "\033[0m"
INDENT = " " * 9
TYPE = "type: "


class Finding(NamedTuple):
    """``command``: what to type, as it stands, or None. ``advice``: what else to do, or None. ``exit_code``: of a
    PROBLEM, one of the contract's."""

    kind: str
    about: str
    says: str
    command: Optional[str] = None
    advice: Optional[str] = None
    exit_code: int = errors.OK


def ok(about, says):
    return Finding(OK, about, says)


def note(about, says, command=None, advice=None):
    return Finding(NOTE, about, says, command, advice)


def problem(about, says, command=None, advice=None, exit_code=errors.CONFIG):
    return Finding(PROBLEM, about, says, command, advice, exit_code)


def of_error(about, error):
    """Given an Error of hhtoken's, return the Finding; a hint that is nothing but a command becomes one."""
    hint = error.hint or ""
    command = str(hint)[len(TYPE) :] if hint.startswith(TYPE) else None
    return problem(about, error.message, command, None if command else error.hint, error.exit_code)


def exit_code(found):
    """Given Findings, return the exit code of the worst problem, or 0 where there is none."""
    return worst(finding.exit_code for finding in found if finding.kind == PROBLEM)


def _summary(found):
    problems = sum(finding.kind == PROBLEM for finding in found)
    if problems < 2:
        return N_("1 problem") if problems else N_("no problem was found")
    return N_("{count} problems; fix the first one first, it may cause the others", count=problems)


def to_lines(found, say, has_colour=False):
    """Given Findings, and what says a Text in the reader's language, return the text for people."""
    lines = []
    for finding in found:
        kind = f"{finding.kind:8}"
        if has_colour:
            kind = COLOURS[finding.kind] + kind + COLOUR_END
        lines.append(kind + printable(f" {say(finding.about)}: {say(finding.says)}"))
        if finding.command:
            lines.append(INDENT + printable(say(N_("type: {command}", command=finding.command))))
        if finding.advice:
            lines.append(INDENT + printable(say(N_("do: {advice}", advice=finding.advice))))
    return "\n".join([*lines, "", say(_summary(found))])


def to_json(found, ready=str):
    """Given Findings, and what makes the commands in a sentence ready to be typed, return the JSON form;
    ``docs/reference.md`` describes its fields."""
    listed = [{**one._asdict(), "says": ready(one.says), "advice": one.advice and ready(one.advice)} for one in found]
    return json.dumps({"schema": SCHEMA, "exit_code": exit_code(found), "findings": listed}, indent=2)
