"""Asking the person at the terminal before something is done that cannot be undone."""

import os

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.text import N_

YES = ("y", "yes", "д", "да")
LONGEST_ANSWER_BYTES = 1024


def require_confirmation(consequence):
    """Say what is about to happen, a Text, and return if the answer is yes; else, and without a terminal, raise
    UsageError."""
    if not (os.isatty(0) and os.isatty(2)):
        raise errors.UsageError(
            N_("this wants to be confirmed, and there is no terminal"), N_("type it at a terminal, or add --yes")
        )
    reporting.message(consequence)
    reporting.message(N_("type 'yes' to go on"))
    try:
        answer = os.read(0, LONGEST_ANSWER_BYTES)
    except OSError:
        answer = b""
    if answer.decode("utf-8", "replace").strip().lower() not in YES:
        hint = N_("to go on, type it again, and then 'yes'")
        raise errors.UsageError(N_("not confirmed, so nothing was changed"), hint)
