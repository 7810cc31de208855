"""What a person pastes on standard input: a code, or the address that the browser ended up on."""

import os
import sys

from hhtoken import errors
from hhtoken.authorization.request import is_printable
from hhtoken.console import reporting
from hhtoken.text import N_

LONGEST_INPUT_BYTES = 16 * 1024
HINT_PASTE = N_("type 'hhtoken exchange', then paste the address")


def read():
    """Wait for a line that is not empty, and return it as ``clean`` does; raise UsageError."""
    if sys.stdin is None:
        raise errors.UsageError(N_("standard input is closed"), HINT_PASTE)
    if os.isatty(0):
        reporting.message(N_("paste the address the browser ended up on, or its code, and press Enter"))
    data = b""
    while b"\n" not in data.lstrip() and len(data) <= LONGEST_INPUT_BYTES:
        try:
            piece = os.read(0, LONGEST_INPUT_BYTES)
        except OSError as error:
            reason = errors.reason(error)
            raise errors.UsageError(N_("cannot read standard input: {reason}", reason=reason)) from None
        if not piece:
            break
        data += piece
    return clean(data)


class Lines:
    """What comes in on standard input line by line, for whoever waits for other things, too."""

    def __init__(self):
        self._data = b""

    def read(self):
        """Return the lines (bytes) that are whole now, without waiting where something has come; raise EOFError where
        nothing more will."""
        try:
            piece = os.read(0, LONGEST_INPUT_BYTES)
        except OSError:
            raise EOFError from None
        if not piece and not self._data:
            if os.isatty(0):  # Ctrl-D; a terminal that has gone is none any more
                return []
            raise EOFError
        *lines, self._data = (self._data + (piece or b"\n")).split(b"\n")
        if len(self._data) > LONGEST_INPUT_BYTES:
            lines, self._data = [*lines, self._data], b""  # too long for a code; ``clean`` says so
        return [line for line in lines if line.strip()]


def is_ours():
    """Tell whether standard input may be read: a job in the background would be stopped for it."""
    try:
        return not os.isatty(0) or os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # a terminal, but not the one that controls us
        return True


def clean(data):
    """Given the bytes that were pasted, return their first line without what surrounds it; raise UsageError."""
    pasted = data.strip().split(b"\n")[0].strip().decode("ascii", "replace").strip("'\"")
    if not is_printable(pasted) or " " in pasted or len(data) > LONGEST_INPUT_BYTES:
        raise errors.UsageError(
            N_("what was pasted is neither a code nor an address"),
            N_("paste the whole address the browser ended up on"),
        )
    return pasted
