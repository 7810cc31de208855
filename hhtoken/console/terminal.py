"""What standard output is: how wide, in colour or not, and whether it shows more than ASCII."""

import os

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
