"""What a person pastes on standard input: a code, or the address that the browser ended up on."""

import os
import sys

from hhtoken import authorization, errors, os_reasons, reporting
from hhtoken.wording import text

LONGEST_INPUT_BYTES = 16 * 1024
HINT_PASTE = text("type: hhtoken exchange, then paste the address")


def read():
    """Wait for a line that is not empty, and return it as ``clean`` does; raise UsageError."""
    if sys.stdin is None:
        raise errors.UsageError(text("standard input is closed"), HINT_PASTE)
    if os.isatty(0):
        reporting.message(text("paste the address that the browser ended up on, or its code, and press enter"))
    data = b""
    while b"\n" not in data.lstrip() and len(data) <= LONGEST_INPUT_BYTES:
        try:
            piece = os.read(0, LONGEST_INPUT_BYTES)
        except OSError as error:
            reason = os_reasons.reason(error)
            raise errors.UsageError(text("cannot read standard input: {reason}", reason=reason)) from None
        if not piece:
            break
        data += piece
    return clean(data)


def clean(data):
    """Given the bytes that were pasted, return their first line without what surrounds it; raise UsageError."""
    pasted = data.strip().split(b"\n")[0].strip().decode("ascii", "replace").strip("'\"")
    if not authorization.is_printable(pasted) or " " in pasted or len(data) > LONGEST_INPUT_BYTES:
        raise errors.UsageError(text("standard input holds neither a code nor an address"), HINT_PASTE)
    return pasted
