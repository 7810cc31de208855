"""``hhtoken exchange``: the same as serve-callback, for a code or an address pasted on standard input."""

from hhtoken.authorization import pasting
from hhtoken.authorization.browser_return import handler_of
from hhtoken.settings.settings import load_settings
from hhtoken.text import N_

SUMMARY = N_("store the pair for a code, or a whole redirect address, read from standard input")


def add_arguments(parser):
    """It takes none: a code on a command line would stand in `ps` and in the shell's history."""


def run(arguments):
    handler = handler_of(load_settings(arguments))
    handler.by_paste(pasting.read())
    handler.conclude()
    return 0
