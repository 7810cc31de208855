"""The one place that prints and logs: results to stdout, sentences to stderr, events to syslog; never a secret.

stderr lines are lower case without a full stop: ``hhtoken: …``, ``hhtoken: error: …``, ``hhtoken: hint: …``; in the
reader's language, while a Text that goes to syslog is the English sentence that it is.
"""

import os
import sys

from hhtoken import errors
from hhtoken.text import N_, printable

NAME = "hhtoken"
SYSLOG_SOCKET = "/dev/log"  # where logger(1) writes
FACILITY_USER = 1
ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6  # syslog priorities
ERASE_LINE = "\r\033[K"
ASSUMED_COLUMNS = 80

_is_passing = False  # a passing line stands on the terminal, and goes before the next line of any kind


def speak_for(account):
    """Given the name of an account, or None, let every message and event of this thread from now on name it."""
    from hhtoken.console import hints

    hints.ACCOUNT.set(account)


def result(output):
    """Write the result, and a newline, to standard output; raise StorageError where nobody can have it."""
    if sys.stdout is None:  # closed before we started
        raise errors.StorageError(N_("standard output is closed, so the result went nowhere"))
    data = memoryview((output + "\n").encode("utf-8", "backslashreplace"))
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError as error:
        why = errors.reason(error)
        raise errors.StorageError(N_("cannot write to standard output: {reason}", reason=why)) from None


def message(sentence, kind=""):
    """Write a sentence to standard error, as one line whatever is in it; where that is closed, nowhere.

    ``kind``: "error: ", "hint: " or "warning: ", which are the same in every language."""
    passing(None)
    _write(_line(sentence, kind) + "\n")


def prompt(question):
    """Write a question to standard error; the answer is typed behind it."""
    _write(_line(question) + ": ")


def passing(sentence, ending=""):
    """Write a sentence to the terminal that is standard error as a line that the next one replaces; None: take the
    last such line away. ``ending``: of the line, for which the sentence is cut short on a narrow terminal. Never waits
    for a terminal that is stopped (Ctrl-S): an answer may be under way. A job in the background leaves the terminal to
    the foreground."""
    global _is_passing
    if not (sentence or _is_passing) or not takes_more():
        return
    if not _is_in_foreground():
        _is_passing = False
        return
    _is_passing = True  # first, and at the end: a signal may raise in between, and one erasure too many does no harm
    _write(ERASE_LINE + (_fitted(_line(sentence), _line(ending)[len(_line("")) :]) if sentence else ""))
    _is_passing = bool(sentence)


def _addressed(sentence, is_named=True):
    """Return the sentence with its commands ready to be typed, and the account in front that it is about."""
    from hhtoken.console import hints

    account = hints.ACCOUNT.get()
    ready = hints.with_flags(sentence, account)
    return N_("account {name}: {sentence}", name=account, sentence=ready) if account and is_named else ready


def warning(sentence):
    message(sentence, "warning: ")


def failure(error):
    """Write an Error: what happened, then what to type next."""
    if isinstance(error, errors.Interrupted) and is_watched() and os.environ.get("TERM", "dumb") != "dumb":
        _write(ERASE_LINE)  # the terminal's own ^C
    message(error.message, "error: ")
    if error.hint:
        message(error.hint, "hint: ")


def defect(error):
    """Write where it happened and of which type it is; never its text, which may hold a secret."""
    from traceback import walk_tb

    codes = [(frame.f_code, number) for frame, number in walk_tb(error.__traceback__)]
    places = [f"{os.path.basename(code.co_filename)}:{number} in {code.co_name}" for code, number in codes]
    message(N_("a defect of hhtoken: {kind}", kind=type(error).__name__), "error: ")
    for place in places[-8:]:
        message(f"  at {place}")
    message(N_("what is stored is whole; please report these lines"), "hint: ")
    event(f"a defect: {type(error).__name__} at {places[-1] if places else '?'}", ERROR)


def is_watched():
    """Tell whether a person sees standard error, so that a word about nothing being due is not noise."""
    return os.isatty(2)


def _line(sentence, kind=""):
    try:
        from hhtoken.console import language

        sentence = language.translated(_addressed(language.translated(sentence), is_named=kind != "hint: "))
    except (OSError, MemoryError):  # it may be told that no file can be opened: no module, no catalog
        pass
    return printable(f"{NAME}: {kind}{sentence}")


def _write(characters):
    try:
        os.write(2, characters.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def takes_more():
    """Tell whether standard error takes a line at once: a terminal may be stopped (Ctrl-S), a pipe full."""
    import select

    return bool(select.select([], [2], [], 0)[1])


def _is_in_foreground():
    try:
        return os.tcgetpgrp(2) == os.getpgrp()
    except OSError:  # a terminal, but not the one that controls us
        return True


def _fitted(line, ending):
    try:
        width = (os.get_terminal_size(2).columns or ASSUMED_COLUMNS) - 1
    except OSError:
        width = ASSUMED_COLUMNS - 1
    return (line[: max(0, width - len(ending))] + ending)[:width]


def announce(sentence, hint=None, priority=WARNING):
    """Write a warning, with what to type next, to standard error and to syslog."""
    warning(sentence)
    if hint:
        message(hint, "hint: ")
    event(f"{sentence}; {hint}" if hint else sentence, priority)


def trouble(sentence):
    """Write a line about trouble that no command fails of to syslog; where there is none, to standard error."""
    if not event(sentence, WARNING):
        warning(sentence)


def event(sentence, priority=INFO):
    """Write one line to syslog, and tell whether it took it. Never waits and never fails: no log is worth delaying a
    refresh. What went wrong is said on standard error as well: by the caller, or use ``announce`` or ``trouble``.

    Not syslog(3), which blocks on a full socket.
    """
    try:
        import socket
        import time

        stamp = time.strftime("%b %e %H:%M:%S")
        line = f"<{FACILITY_USER * 8 + priority}>{stamp} {NAME}[{os.getpid()}]: {_addressed(sentence)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as log:
            log.connect(SYSLOG_SOCKET)
            log.send(line.encode("utf-8", "backslashreplace"))
    except (OSError, MemoryError):
        return False
    return True
