"""The command line: the argparse tree, of which only the part that is asked for is built and imported."""

import argparse
from importlib import import_module

from hhtoken import __version__, errors
from hhtoken.console import language, reporting
from hhtoken.console.language import _
from hhtoken.text import N_, counted

# In the order in which an operator meets them. Only the module of the command asked for is imported.
COMMANDS = {
    "init": "init",
    "login": "login",
    "authorize-url": "authorize_url",
    "serve-callback": "serve_callback",
    "exchange": "exchange",
    "refresh": "refresh",
    "show": "show",
    "exec": "exec_command",
    "status": "status",
    "whoami": "whoami",
    "doctor": "doctor",
    "revoke": "revoke",
    "app-token": "app_token",
    "notice": "notice",
    "import": "import_pair",
    "export": "export",
    "sync": "sync",
    "sandbox": "sandbox",
}

EPILOG = N_(
    """\
first time:   hhtoken login             prints the address to open in a browser, waits for it, stores the pair
every day:    hhtoken refresh           renews the pair once it is due; let a timer do it
in scripts:   hhtoken show --field access_token
              hhtoken exec -- COMMAND   runs it with HH_ACCESS_TOKEN in its environment
try it out:   hhtoken sandbox           a local HeadHunter with short-lived tokens
"""
)


def parse_command_line(argv):
    """Given a command line without the program's name, return the command's module and its arguments.

    Raise UsageError."""
    language.set_up_argparse()
    parser = build_parser([name for name in COMMANDS if name in argv] or list(COMMANDS))
    arguments, surplus = parser.parse_known_args(argv)
    if surplus:  # not repeated: people paste codes and secrets
        raise errors.UsageError(
            counted(
                "{count} argument that this command does not take",
                "{count} arguments that this command does not take",
                len(surplus),
            ),
            _help_hint(arguments.command),
        )
    if not arguments.command:
        raise errors.UsageError(N_("no command given"), _help_hint(None))
    return _module(arguments.command), arguments


def build_parser(names=tuple(COMMANDS)):
    """Return the parser with these commands in it."""
    parser = _Parser(
        prog=reporting.NAME,
        description=_("Keeps a HeadHunter (hh.ru) OAuth 2.0 token alive."),
        epilog=language.translated(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{reporting.NAME} {__version__}",
        help=_("show program's version number and exit"),
    )
    _add_common_arguments(parser)
    subparsers = parser.add_subparsers(dest="command", metavar=_("COMMAND"), title=_("commands"))
    for name in names:
        command = _module(name)
        summary = language.translated(command.SUMMARY)
        subparser = subparsers.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        _add_common_arguments(subparser)
        command.add_arguments(subparser)
    return parser


def _module(name):
    return import_module(f"hhtoken.commands.{COMMANDS[name]}")


def _add_common_arguments(parser):
    # SUPPRESS: the flag may stand before or behind the command, and the absence of one must not undo the other.
    parser.add_argument(
        "--account",
        metavar=_("NAME"),
        default=argparse.SUPPRESS,
        help=_("which account, where there are several (HHTOKEN_ACCOUNT)"),
    )
    parser.add_argument(
        "--state-dir", metavar=_("DIR"), default=argparse.SUPPRESS, help=_("where the pair lives (HHTOKEN_STATE_DIR)")
    )
    parser.add_argument(
        "--env-file",
        metavar=_("FILE"),
        default=argparse.SUPPRESS,
        help=_("settings as KEY=VALUE lines (HHTOKEN_ENV_FILE)"),
    )


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser with errors in the house's style, which never repeat what was typed."""

    def _print_message(self, message, file=None):
        """Print a help text, or the version: a result like any other, and nothing for standard error."""
        reporting.result(message.rstrip("\n"))

    def error(self, message):
        head, argument, rest = message.partition("argument ")
        if argument and not head:  # Python 3.9 and 3.10 say this in English, whatever the language of the rest
            name, _colon, rest = rest.partition(": ")
            message = _("argument %(argument_name)s: %(message)s") % {"argument_name": name, "message": rest}
        if _beginning("invalid choice: %(value)r (choose from %(choices)s)") in message:  # only commands are chosen so
            message = N_("there is no such command")
        head, is_ignored, _value = message.partition(_beginning("ignored explicit argument %r"))
        if is_ignored:
            message = head + _("takes no value")
        raise errors.UsageError(message, _help_hint(None, self.prog))


def _beginning(phrase):
    """Given a phrase of argparse, return how it begins in the reader's language, in which argparse has said it."""
    return _(phrase).partition("%")[0]


def _help_hint(command, program=None):
    return N_("type '{program} --help'", program=program or " ".join(filter(None, (reporting.NAME, command))))
