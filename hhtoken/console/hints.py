"""The commands that sentences tell to type, made ready for this very call: for the account that a sentence is about,
with the flags of this command line, and with the program called so that a shell finds it."""

import os
import sys
from contextvars import ContextVar

from hhtoken.console import language
from hhtoken.text import N_, escaped

NAME = "hhtoken"
COMMAND = f"'{NAME} "  # as it stands in sentences
AS_ROOT = f"'sudo {NAME} "  # about the service's own pair, whatever this command line names
QUOTED = rf"'((?:sudo |ls |lsattr |(?:\\.|[^\\' ])*{NAME} )(?:\\.|[^\\'])*)'"  # the commands with paths, once escaped

ACCOUNT = ContextVar("account", default=None)  # that sentences are about; None: the one pair that there is
_flags = {}  # of this command line, without which a command would have other settings, or look elsewhere


def repeat(flags):
    """Given flags and their values as they were typed, or None, let every command to type have those that were."""
    _flags.clear()
    _flags.update((flag, value) for flag, value in flags.items() if value)


def with_flags(sentence, account, flags=None):
    """Given a sentence (or None) and the name of the account that it is about (or None), return it with its commands
    ready to be typed. ``flags``: those to repeat, where they are not this command line's."""
    if not sentence:
        return sentence
    if COMMAND in sentence or AS_ROOT in sentence:
        flags = _flags if flags is None else flags
        flags = {"--account": account, **flags} if account else flags
        words = "".join(f"{flag} {escaped(value)} " for flag, value in flags.items())
        program = escaped(_program())
        sentence = sentence.replace(COMMAND, f"'{program} {words}").replace(AS_ROOT, f"'sudo {program} ")
    return _enclosed(sentence) if "\\" in sentence else sentence


def _enclosed(sentence):
    """Given a sentence, return it with parentheses in place of the quotes around commands with an escaped word.

    A shell runs ``(a\\ b)`` as it runs ``a\\ b``, however much of it a person copies; in quotes it is another word."""
    import re  # here, since few paths need it, and `show` does not load it

    return re.sub(QUOTED, lambda found: f"({found[1]})" if "\\" in found[1] else found[0], sentence)


def translated(sentence, account):
    """The same for a Text (or a str), in the language of the reader."""
    return with_flags(language.translated(sentence), account)


def called(command):
    """Given a command to type that stands alone (or None), with all the flags that it needs, return it with this
    program, if it is about that, called so that a shell finds it."""
    start, name, words = (command or "").partition(f"{NAME} ")
    return f"{start}{escaped(_program())} {words}" if name and start in ("", "sudo ") else command


def to_install(library):
    """Given a library of Python's, return what to type where it is missing. Debian's pip refuses (PEP 668), but not in
    an environment of its own, as pipx makes one."""
    import sysconfig

    is_apart = sys.prefix != sys.base_prefix
    if not is_apart and os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")):
        return N_("type: apt install python3-{library}", library=library)
    return N_("type: {python} -m pip install {library}", python=escaped(sys.executable), library=library)


def _program():
    """Return how to call this program: as it was called, where its name would not do, as in a checkout."""
    path = sys.argv[0] if sys.argv else ""  # a program may embed Python without any
    if os.path.basename(path) != NAME:  # a module of Python's, or some other program
        return NAME
    places = (os.path.join(folder, NAME) for folder in os.environ.get("PATH", "").split(":"))
    found = next(filter(os.path.isfile, places), None)
    return NAME if found and os.path.realpath(found) == os.path.realpath(path) else path
