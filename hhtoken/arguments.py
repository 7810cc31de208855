"""Types for command-line arguments; their errors do not repeat what was typed."""

from argparse import ArgumentTypeError

from hhtoken.language import _, said
from hhtoken.wording import N_

LONGEST_SECONDS = 10 * 365 * 24 * 3600


def seconds(value, least=0):
    """Given the text of an argument, return whole seconds from ``least`` up; raise ArgumentTypeError."""
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and least <= int(value) <= LONGEST_SECONDS):
        takes = N_("takes a whole number of seconds from {least} to {most}", least=least, most=LONGEST_SECONDS)
        raise ArgumentTypeError(said(takes))
    return int(value)


def positive_number(value):
    """Given the text of an argument, return a whole number from 1 up; raise ArgumentTypeError."""
    if not (value.isascii() and value.isdigit() and len(value) < 9 and int(value)):
        raise ArgumentTypeError(_("takes a whole number, 1 or more"))
    return int(value)


def positive_seconds(value):
    """Like ``seconds``, from 1 up."""
    return seconds(value, 1)


def exit_code(value):
    """Given the text of an argument, return an exit code from 0 to 255, or 0 for any other text (a signal's name)."""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 3 and int(value) <= 255 else 0


def one_of(*choices):
    """Return a type that takes one of these words."""

    def choice(value):
        if value not in choices:
            raise ArgumentTypeError(said(N_("takes one of: {choices}", choices=", ".join(choices))))
        return value

    return choice
