"""The language of the person who reads: help, messages and pages, from the catalogs in ``locale/``.

Exit codes, JSON, stored files and logs are the same in every language, and so are ``error:`` and ``hint:`` in front of
a message, by which scripts tell them apart.
"""

import os
import sys

from hhtoken import wording

DOMAIN = "hhtoken"
CATALOGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "locale")
LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides
FOREIGN = ("ru",)


def _(message):
    """Given an English literal, return it in the language of the environment; for help texts."""
    return _catalog().gettext(message) if _may_be_foreign() else message


def said(sentence):
    """Given a Text, or a str, which has no translation, return it in the language of the environment."""
    return wording.said(sentence, _catalog()) if _may_be_foreign() else str(sentence)


def table(rows):
    """Given rows of a name and a value (Texts or strs), return them as aligned lines in the language of the
    environment."""
    rows = [(f"{said(name)}:", said(value)) for name, value in rows]
    width = max(len(name) for name, _value in rows) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in rows)


def said_in(sentence, tongue):
    """Given a Text and a language such as "ru", return it in that."""
    return wording.said(sentence, _catalog([tongue]))


def set_up_argparse():
    """Let argparse, which asks the program's default domain, find its own phrases in our catalog, and print its help
    in UTF-8, as all else is."""
    if not _may_be_foreign():
        return
    import gettext

    gettext.bindtextdomain(DOMAIN, CATALOGS)
    gettext.textdomain(DOMAIN)
    if sys.stdout is not None:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _may_be_foreign():
    """Tell whether a catalog may have to be read: ``show`` has no time for gettext where English is wanted.

    As gettext has it, LANGUAGE is a list that goes before the locale, but not before the C locale. A terminal in
    another encoding than UTF-8 is spoken to in English, which every terminal can show.
    """
    locale = next(filter(None, map(os.environ.get, LOCALES)), "")
    name, _dot, encoding = locale.partition("@")[0].partition(".")
    if name in ("C", "POSIX") or encoding.lower().replace("-", "") not in ("", "utf8"):
        return False
    chosen = os.environ.get("LANGUAGE") or locale
    return any(tongue.startswith(FOREIGN) for tongue in chosen.split(":"))


def _catalog(languages=None):
    import gettext

    try:
        return gettext.translation(DOMAIN, CATALOGS, languages, fallback=True)
    except (OSError, ValueError):  # damaged, or not ours to read: the English sentence is better than none
        return gettext.NullTranslations()
