"""The language of the person who reads: help, messages and pages, from the catalogs in ``locale/``.

Exit codes, JSON, stored files and logs are the same in every language, and so are ``error:`` and ``hint:`` in front of
a message, by which scripts tell them apart.
"""

import os
import sys

from hhtoken.text import printable, translated_by

DOMAIN = "hhtoken"
CATALOGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "locale")
LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides
ENGLISH = "en"  # what the source is written in; it has no catalog
TONGUES = (ENGLISH, "ru")


def _(message):
    """Given an English literal, return it in the language of the reader; for help texts."""
    return of_help()(message)


def of_help():
    """Return ``_``, for many literals at once."""
    tongue = reader()
    return str if tongue == ENGLISH else _catalog(tongue).gettext


def translated(sentence):
    """Given a Text, or a str, which has no translation, return it in the language of the reader."""
    return translated_into(sentence, reader())


def translated_into(sentence, tongue):
    """Given a Text and one of ``TONGUES``, return it in that, as a plain str."""
    return str(sentence) if tongue == ENGLISH else translated_by(sentence, _catalog(tongue))


def reader():
    """Return which of ``TONGUES`` the environment asks for; without gettext, for which ``show`` has no time.

    As gettext has it, LANGUAGE is a list that goes before the locale, but not before the C locale, which is also the
    locale of who has set none. Unlike there, a
    language further down the list never stands in for English. A terminal in another encoding than UTF-8 is spoken to
    in English, which every terminal can show.
    """
    locale = next(filter(None, map(os.environ.get, LOCALES)), "")
    name, _dot, encoding = locale.partition("@")[0].partition(".")
    if name in ("", "C", "POSIX") or encoding.lower().replace("-", "") not in ("", "utf8"):
        return ENGLISH
    wanted = (one.partition(".")[0].partition("_")[0] for one in (os.environ.get("LANGUAGE") or locale).split(":"))
    return next((tongue for tongue in wanted if tongue in TONGUES), ENGLISH)


def table(rows):
    """Given rows of a name and a value (Texts or strs), return them as aligned lines in the language of the
    environment."""
    rows = [(f"{translated(name)}:", printable(translated(value))) for name, value in rows]
    width = max(len(name) for name, _value in rows) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in rows)


def set_up_argparse():
    """Let argparse, which asks the program's default domain, find its own phrases in our catalog, and print its help
    in UTF-8, as all else is."""
    tongue = reader()
    if tongue == ENGLISH:
        return
    import gettext

    if isinstance(_catalog(tongue), gettext.GNUTranslations):
        gettext.bindtextdomain(DOMAIN, CATALOGS)
        gettext.textdomain(DOMAIN)
    if sys.stdout is not None:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _catalog(tongue):
    import gettext

    try:
        return gettext.translation(DOMAIN, CATALOGS, [tongue], fallback=True)
    except Exception:  # damaged, in whatever way: the English sentence is better than none
        return gettext.NullTranslations()
