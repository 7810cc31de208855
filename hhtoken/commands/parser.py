"""The command line: the argparse tree, of which only the part that is asked for is built and imported."""

import argparse
import re
import textwrap
from importlib import import_module

from hhtoken import __version__, errors
from hhtoken.console import language, reporting
from hhtoken.console.language import _
from hhtoken.text import N_

# In the order of the help text. Only the module of the command asked for is imported.
COMMANDS = {
    "login": "login",
    "status": "status",
    "whoami": "whoami",
    "refresh": "refresh",
    "revoke": "revoke",
    "init": "init",
    "doctor": "doctor",
    "import": "import_pair",
    "export": "export",
    "sandbox": "sandbox",
    "show": "show",
    "exec": "exec_command",
    "app-token": "app_token",
    "authorize-url": "authorize_url",
    "serve-callback": "serve_callback",
    "exchange": "exchange",
    "notice": "notice",
    "sync": "sync",
}
HEADINGS = {  # in the help text, by the command that comes first
    "login": N_("every day"),
    "init": N_("set-up"),
    "show": N_("scripts"),
    "authorize-url": N_("plumbing"),
}
ALIASES = {"logout": "revoke"}
HELP = "help"
TAKE_VALUES, ABOUT_ALL = ("--account", "--state-dir", "--env-file"), ("-h", "--help", "-V", "--version")
HELP_COLUMNS, HELP_INDENT = 79, 18
REPEATABLE = re.compile("-{0,2}[a-z][a-z-]{,20}")  # anything else may be a code or a secret, which people paste


def parse_command_line(argv):
    """Given a command line without the program's name, return the command's module and its arguments.

    Raise UsageError."""
    language.set_up_argparse()
    place = _place_of_command(argv)
    if place is not None and argv[place] == HELP:
        argv = [*argv[:place], *argv[place + 1 :], "--help"]
        place = _place_of_command(argv)
    if place is None:
        _overview().parse_args(argv)
        raise errors.UsageError(N_("no command given"), _help_hint(reporting.NAME))
    name = ALIASES.get(argv[place], argv[place])
    if name not in COMMANDS:
        raise _unknown(N_("unknown command"), name, (*COMMANDS, *ALIASES, HELP))
    parser = build_parser([name])
    arguments, surplus = parser.parse_known_args([*argv[:place], name, *argv[place + 1 :]])
    if surplus:
        known = re.findall("--[a-z-]+", parser.commands[name].format_help())
        what = N_("unknown option") if surplus[0].startswith("-") else N_("unexpected argument")
        raise _unknown(what, surplus[0].partition("=")[0], known, name)
    return _module(name), arguments


def _place_of_command(argv):
    """Return where the command stands in a command line, or None; raise UsageError."""
    words = iter(enumerate(argv))
    for place, word in words:
        name, equals, _value = word.partition("=")
        if not word.startswith("-"):
            return place
        if name in ABOUT_ALL:
            break
        if name not in TAKE_VALUES:
            raise _unknown(N_("unknown option"), name, (*TAKE_VALUES, *ABOUT_ALL))
        if not equals:
            next(words, None)
    return None


def _unknown(what, word, known, command=None):
    """Return the UsageError about a word, with the one that it is nearest to."""
    import difflib

    hint = _help_hint(f"{reporting.NAME} {command}" if command else reporting.NAME)
    if not REPEATABLE.fullmatch(word):
        return errors.UsageError(what, hint)
    nearest = difflib.get_close_matches(word, known, 1)
    question = N_("; did you mean {nearest}?", nearest=nearest[0]) if nearest else ""
    return errors.UsageError(N_("{what} {word}", what=what, word=word) + question, hint)


def _overview():
    """Return the parser whose help text is about all commands, in groups."""
    lines = [_("Keeps a HeadHunter (hh.ru) OAuth 2.0 token valid.")]
    for name in COMMANDS:
        if name in HEADINGS:
            lines.append(f"\n{language.translated(HEADINGS[name])}:")
        summary = textwrap.wrap(language.translated(_module(name).SUMMARY), HELP_COLUMNS - HELP_INDENT)
        lines += [f"  {first:{HELP_INDENT - 2}}{line}" for first, line in zip((name, *[""] * len(summary)), summary)]
    parser = _Parser(
        prog=reporting.NAME,
        usage=_("%(prog)s [OPTIONS] COMMAND ..."),
        description="\n".join(lines),
        epilog=_("More: '%(prog)s COMMAND --help', 'man %(prog)s'"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common_options()],
        allow_abbrev=False,
    )
    _add_version(parser)
    return parser


def build_parser(names=tuple(COMMANDS)):
    """Return the parser with these commands in it."""
    _ = language.of_help()
    common = _common_options()
    parser = _Parser(prog=reporting.NAME, parents=[common], allow_abbrev=False)
    _add_version(parser)
    subparsers = parser.add_subparsers(dest="command", metavar=_("COMMAND"), title=_("commands"))
    for name in names:
        command = _module(name)
        summary = language.translated(command.SUMMARY)
        subparser = subparsers.add_parser(name, help=summary, description=summary, parents=[common], allow_abbrev=False)
        command.add_arguments(subparser)
    parser.commands = subparsers.choices
    return parser


def _module(name):
    return import_module(f"hhtoken.commands.{COMMANDS[name]}")


def _add_version(parser):
    version = f"{reporting.NAME} {__version__}"
    said = _("show program's version number and exit")
    parser.add_argument("-V", "--version", action="version", version=version, help=said)


def _common_options():
    _ = language.of_help()
    # SUPPRESS: the flag may stand before or behind the command, and the absence of one must not undo the other.
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--account", metavar=_("NAME"), help=_("which account, where there are several (HHTOKEN_ACCOUNT)")
    )
    parser.add_argument("--state-dir", metavar=_("DIR"), help=_("where the token is stored (HHTOKEN_STATE_DIR)"))
    parser.add_argument("--env-file", metavar=_("FILE"), help=_("settings as KEY=VALUE lines (HHTOKEN_ENV_FILE)"))
    return parser


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser with errors in the house's style, which never repeat a value that was typed."""

    def _print_message(self, message, file=None):
        """Print a help text, or the version: a result like any other, and nothing for standard error."""
        reporting.result(message.rstrip("\n"))

    def error(self, message):
        head, argument, rest = message.partition("argument ")
        if argument and not head:  # Python 3.9 and 3.10 say this in English, whatever the language of the rest
            name, _colon, rest = rest.partition(": ")
            message = _("argument %(argument_name)s: %(message)s") % {"argument_name": name, "message": rest}
        head, is_ignored, _value = message.partition(_("ignored explicit argument %r").partition("%")[0])
        if is_ignored:
            message = head + _("takes no value")
        raise errors.UsageError(message, _help_hint(self.prog))


def _help_hint(program):
    return N_("type '{program} --help'", program=program)
