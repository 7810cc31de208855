"""Types for command-line arguments; their errors do not repeat what was typed. Pure."""

from argparse import ArgumentTypeError

LONGEST_SECONDS = 10 * 365 * 24 * 3600


def seconds(text):
    """Given the text of an argument, return whole seconds from 0 up; raise ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= LONGEST_SECONDS):
        raise ArgumentTypeError("takes a whole number of seconds")
    return int(text)


def positive_seconds(text):
    """Like ``seconds``, from 1 up."""
    if seconds(text) == 0:
        raise ArgumentTypeError("takes a whole number of seconds, 1 or more")
    return seconds(text)


def exit_code(text):
    """Given the text of an argument, return an exit code from 0 to 255, or 0 for any other text (a signal's name)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255 else 0


def one_of(*choices):
    """Return a type that takes one of these words."""

    def choice(text):
        if text not in choices:
            raise ArgumentTypeError(f"takes {' or '.join(choices)}")
        return text

    return choice
