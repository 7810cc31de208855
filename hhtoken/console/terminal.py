"""The terminal: how wide, in colour or not, whether it shows more than ASCII; and asking the person at it."""

import os

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.text import N_

NARROWEST_COLUMNS = 30
WIDEST_COLUMNS = 100  # lines beyond it are hard to read
PYTHONS_OWN = ("C.UTF-8", "C.utf8", "UTF-8")  # what it may set LC_CTYPE to


def columns():
    """Return how many columns the terminal has, or None where standard output is none: what is read by a program or
    kept in a file has one line for each answer."""
    try:
        if not os.isatty(1):
            return None
        return min(max(os.get_terminal_size(1).columns or 80, NARROWEST_COLUMNS), WIDEST_COLUMNS)
    except OSError:
        return None


def has_colour(environment=None):
    """Tell whether to use colour: on a terminal that knows it, unless the reader has set NO_COLOR (no-color.org)."""
    environment = os.environ if environment is None else environment
    return columns() is not None and not environment.get("NO_COLOR") and (environment.get("TERM") or "dumb") != "dumb"


def has_unicode(environment=None):
    """Tell from the locale whether the reader's terminal is in UTF-8.

    Not from Python's own idea of it: in the C locale, and in one that is not installed, it takes to UTF-8 and sets
    LC_CTYPE (PEP 538), whatever the terminal can do. Who has set that to the same gets ASCII, which shows everywhere.
    """
    environment = os.environ if environment is None else environment
    overall, characters, language = (environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    chosen = overall or (characters if characters not in PYTHONS_OWN else "") or language
    return "utf8" in chosen.lower().replace("-", "")


def is_interactive():
    """Tell whether there is a person to ask."""
    return os.isatty(0) and os.isatty(2)


def ask(question, is_secret=False):
    """Ask for one line, a secret without echo, and return it; without a terminal, return the next line of standard
    input. Raise UsageError where there is none."""
    if is_secret and is_interactive():
        import getpass

        from hhtoken.console import language

        return getpass.getpass(f"{reporting.NAME}: {language.translated(question)}: ")
    if is_interactive():
        reporting.prompt(question)
    line = b""
    while not line.endswith(b"\n") and len(line) < LONGEST_ANSWER_BYTES:
        byte = os.read(0, 1)  # the lines behind it are for other questions
        if not byte:
            break
        line += byte
    if not line:
        raise errors.UsageError(N_("no answer: {question}", question=question), N_("see 'hhtoken init --help'"))
    return line.decode("utf-8", "surrogateescape").rstrip("\r\n")


YES = ("y", "yes", "д", "да")
LONGEST_ANSWER_BYTES = 1024


def require_confirmation(consequence):
    """Say what is about to happen, a Text, and return if the answer is yes; else, and without a terminal, raise
    UsageError."""
    if not is_interactive():
        raise errors.UsageError(N_("confirmation needed, but this is not a terminal"), N_("add --yes"))
    reporting.message(consequence)
    reporting.message(N_("type 'yes' to continue"))
    try:
        answer = os.read(0, LONGEST_ANSWER_BYTES)
    except OSError:
        answer = b""
    if answer.decode("utf-8", "replace").strip().lower() not in YES:
        hint = N_("to continue, type it again, and then 'yes'")
        raise errors.UsageError(N_("not confirmed; nothing was changed"), hint)
