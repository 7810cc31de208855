"""Types for command-line arguments, whose errors do not repeat what was typed; and options of several commands."""

from argparse import ArgumentTypeError

from hhtoken.authorization.port import DEFAULT_LISTEN
from hhtoken.console.language import _, of_help, translated
from hhtoken.text import N_

LONGEST_SECONDS = 10 * 365 * 24 * 3600
MOST_JOBS = 10**8
DEFAULT_TIMEOUT_SECONDS = 600
ROLES = ("applicant", "employer")


def _whole(value, least, most):
    is_number = value.isascii() and value.isdigit() and len(value) <= 12
    return int(value) if is_number and least <= int(value) <= most else None


def seconds(value, least=0):
    """Given the text of an argument, return whole seconds from ``least`` up; raise ArgumentTypeError."""
    number = _whole(value, least, LONGEST_SECONDS)
    if number is None:
        takes = N_("takes a whole number of seconds from {least} to {most}", least=least, most=LONGEST_SECONDS)
        raise ArgumentTypeError(translated(takes))
    return number


def positive_seconds(value):
    """Like ``seconds``, from 1 up."""
    return seconds(value, 1)


def positive_number(value):
    """Given the text of an argument, return a whole number from 1 up; raise ArgumentTypeError."""
    number = _whole(value, 1, MOST_JOBS)
    if number is None:
        raise ArgumentTypeError(_("takes a whole number, 1 or more"))
    return number


def exit_code(value):
    """Given the text of an argument, return an exit code from 0 to 255, or 0 for any other text (a signal's name)."""
    return _whole(value, 0, 255) or 0


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
    said = _("which kind of account to log in with")
    parser.add_argument("--role", type=one_of(*ROLES), metavar="|".join(ROLES), help=said)


def authorization_options(arguments):
    """Given the parsed options, return them as parameters of the authorize page, e.g. ``("force_login", "true")``."""
    chosen = [(name, "true") for name in ("force_login", "skip_choose_account") if getattr(arguments, name)]
    return chosen + ([("role", arguments.role)] if arguments.role else [])


def add_listener_options(parser):
    """Add ``--listen`` and ``--timeout`` to an ArgumentParser."""
    _ = of_help()
    where = _("where to listen; default {default}, or what a redirect URI on this machine says")
    parser.add_argument("--listen", metavar=_("HOST:PORT"), help=where.format(default=DEFAULT_LISTEN))
    parser.add_argument(
        "--timeout",
        metavar=_("SECONDS"),
        type=positive_seconds,
        default=DEFAULT_TIMEOUT_SECONDS,
        help=_("how long to wait; default {default}").format(default=DEFAULT_TIMEOUT_SECONDS),
    )
