"""Types for command-line arguments; their errors do not repeat what was typed."""

from argparse import ArgumentTypeError

from hhtoken.authorization.port import DEFAULT_LISTEN
from hhtoken.console.language import _, translated
from hhtoken.text import N_

LONGEST_SECONDS = 10 * 365 * 24 * 3600


def seconds(value, least=0):
    """Given the text of an argument, return whole seconds from ``least`` up; raise ArgumentTypeError."""
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and least <= int(value) <= LONGEST_SECONDS):
        takes = N_("takes a whole number of seconds from {least} to {most}", least=least, most=LONGEST_SECONDS)
        raise ArgumentTypeError(translated(takes))
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
            raise ArgumentTypeError(translated(N_("takes one of: {choices}", choices=", ".join(choices))))
        return value

    return choice


def add_authorization_options(parser):
    """Add the options of the authorize page to an ArgumentParser."""
    parser.add_argument("--force-login", action="store_true", help=_("show the login form even when logged in"))
    parser.add_argument("--skip-choose-account", action="store_true", help=_("skip the choice between accounts"))
    parser.add_argument(
        "--role",
        type=one_of("applicant", "employer"),
        metavar="applicant|employer",
        help=_("which kind of account to log in with"),
    )


def authorization_options(arguments):
    """Given the parsed options, return them as parameters of the authorize page, e.g. ``("force_login", "true")``."""
    chosen = []
    if arguments.force_login:
        chosen.append(("force_login", "true"))
    if arguments.skip_choose_account:
        chosen.append(("skip_choose_account", "true"))
    if arguments.role:
        chosen.append(("role", arguments.role))
    return chosen


DEFAULT_TIMEOUT_SECONDS = 600


def add_listener_options(parser):
    """Add ``--listen`` and ``--timeout`` to an ArgumentParser."""
    parser.add_argument(
        "--listen",
        metavar=_("HOST:PORT"),
        help=_("where to listen; default {default}, or what a redirect URI on this machine says").format(
            default=DEFAULT_LISTEN
        ),
    )
    parser.add_argument(
        "--timeout",
        metavar=_("SECONDS"),
        type=positive_seconds,
        default=DEFAULT_TIMEOUT_SECONDS,
        help=_("how long to wait; default {default}").format(default=DEFAULT_TIMEOUT_SECONDS),
    )
