"""The command line: finds the command, runs it, and turns errors into a message, a hint and an exit code."""

import argparse
import os
import sys
from importlib import import_module

from hhtoken import __version__, errors, reporting, signals

# In the order in which an operator meets them. Only the module of the command asked for is imported.
COMMANDS = {
    "authorize-url": "authorize_url",
    "serve-callback": "serve_callback",
    "exchange": "exchange",
    "refresh": "refresh",
    "show": "show",
    "status": "status",
    "notice": "notice",
    "import": "import_pair",
    "sandbox": "sandbox",
}

EPILOG = """\
first time:   hhtoken authorize-url     prints the address to open in a browser
              hhtoken serve-callback    waits for the browser, stores the pair
every day:    hhtoken refresh           renews the pair once it is due; let a timer do it
in scripts:   hhtoken show --field access_token
try it out:   hhtoken sandbox           a local HeadHunter with short-lived tokens
"""


def main(argv=None):
    """Run a command line (``sys.argv`` without the program's name) and return the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    _occupy_standard_descriptors()
    os.umask(0o077)
    try:
        signals.end_on_signals()
        return _run(argv)
    except errors.Error as error:
        reporting.failure(error)
        return error.exit_code
    except KeyboardInterrupt:
        reporting.message("error: interrupted")
        return errors.TEMPFAIL
    except Exception as defect:
        _report_defect(defect)
        return errors.DEFECT


def _run(argv):
    arguments = _parse(argv)
    command = import_module(f"hhtoken.commands.{COMMANDS[arguments.command]}")
    try:
        return command.run(arguments)
    except errors.Error as error:
        if getattr(command, "LOGS_FAILURES", True) and not isinstance(error, errors.UsageError):
            reporting.event(f"{arguments.command}: {error.message}; {error.hint or 'no hint'}", reporting.ERROR)
        raise


def _parse(argv):
    parser = build_parser([name for name in COMMANDS if name in argv] or list(COMMANDS))
    arguments, surplus = parser.parse_known_args(argv)
    if surplus:  # not repeated: people paste codes and secrets
        raise errors.UsageError(
            f"{len(surplus)} argument(s) that this command does not take", _help_hint(arguments.command)
        )
    if not arguments.command:
        raise errors.UsageError("no command given", _help_hint(None))
    return arguments


def build_parser(names=tuple(COMMANDS)):
    """Return the parser with these commands in it."""
    parser = _Parser(
        prog=reporting.NAME,
        description="Keeps a HeadHunter (hh.ru) OAuth 2.0 token alive.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{reporting.NAME} {__version__}")
    _add_common_arguments(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in names:
        command = import_module(f"hhtoken.commands.{COMMANDS[name]}")
        subparser = subparsers.add_parser(
            name, help=command.SUMMARY, description=command.SUMMARY, allow_abbrev=False
        )
        _add_common_arguments(subparser)
        command.add_arguments(subparser)
    return parser


def _add_common_arguments(parser):
    # SUPPRESS: the flag may stand before or behind the command, and the absence of one must not undo the other.
    parser.add_argument(
        "--state-dir", metavar="DIR", default=argparse.SUPPRESS, help="where the pair lives (HHTOKEN_STATE_DIR)"
    )
    parser.add_argument(
        "--env-file", metavar="FILE", default=argparse.SUPPRESS, help="settings as KEY=VALUE lines (HHTOKEN_ENV_FILE)"
    )


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser with errors in the house's style, which never repeat what was typed."""

    def error(self, message):
        if message.startswith("argument COMMAND: invalid choice"):
            message = "there is no such command"
        message = message.partition(": ignored explicit argument")
        message = f"{message[0]}: takes no value" if message[1] else message[0]
        raise errors.UsageError(message, _help_hint(None, self.prog))


def _help_hint(command, program=None):
    return f"type '{program or ' '.join(filter(None, (reporting.NAME, command)))} --help'"


def _occupy_standard_descriptors():
    """Open /dev/null where descriptors 0 to 2 are closed: else the next file that is opened becomes stdout."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _report_defect(defect):
    """Write where it happened and of which type it is; never its text, which may hold a secret."""
    frame, places = defect.__traceback__, []
    while frame:
        code = frame.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{frame.tb_lineno} in {code.co_name}")
        frame = frame.tb_next
    reporting.message(f"error: a defect of hhtoken: {type(defect).__name__}")
    for place in places[-8:]:
        reporting.message(f"  at {place}")
    reporting.message("hint: nothing stored was changed; please report these lines")
    reporting.event(f"a defect: {type(defect).__name__} at {places[-1] if places else '?'}", reporting.ERROR)
