"""The way in: runs a command line, and turns errors into a message, a hint and an exit code.

``show`` stands in front of every API call of a shell script, and ``refresh`` runs every minute for nothing. Their plain
forms are understood here at a glance, without argparse, which would cost more than all the rest; all other command
lines, and odd ones, are for ``hhtoken.commands.parser``.
"""

import os
import sys

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.text import N_

HINT_SURROUNDINGS = N_("look at the working directory, the disk and the limits of this shell (ulimit -a)")
OUT_OF_MEMORY = b"""\
hhtoken: error: out of memory
hhtoken: hint: look at 'free -m' and at the limits of this shell (ulimit -a), then try again
"""


def run():
    """Run this process's command line, and end with its exit code; at once, since all is written by then: to take the
    interpreter apart would cost a third of a `show`."""
    os._exit(main() or errors.OK)


def main(argv=None):
    """Run a command line (``sys.argv`` without the program's name) and return the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    _occupy_standard_descriptors()
    umask = os.umask(0o077)
    try:
        return _run(argv, umask)
    except SystemExit as end:  # argparse, after a help text
        return end.code
    except (errors.Error, errors.Interrupted) as error:
        reporting.failure(error)
        return error.exit_code
    except OSError as error:  # of the surroundings: no working directory, no standard output for a help text
        why = errors.reason(error)
        reporting.failure(errors.StorageError(N_("cannot go on: {reason}", reason=why), HINT_SURROUNDINGS))
        return errors.IOERR
    except KeyboardInterrupt:
        reporting.message(N_("interrupted"), "error: ")
        return errors.SIGNALLED + 2  # SIGINT
    except MemoryError:
        try:
            os.write(2, OUT_OF_MEMORY)  # there is none left to put it together, or for a line in the log
        except OSError:
            pass
        return errors.TEMPFAIL
    except Exception as defect:
        reporting.defect(defect)
        return errors.DEFECT


def _run(argv, umask):
    command, arguments = _plain(argv)
    if arguments is None:
        from hhtoken.commands.parser import parse_command_line
        from hhtoken.console import signals

        signals.end_on_signals()
        command, arguments = parse_command_line(argv)
        arguments.umask = umask  # the caller's, for `exec` to hand on
    try:
        return command.run(arguments)
    except errors.Error as error:
        if isinstance(error, errors.NoPairError):
            error.hint = _where_else(arguments, error.is_from_etcd) or error.hint
        if getattr(command, "LOGS_FAILURES", True) and not isinstance(error, errors.UsageError):
            reporting.event(f"{error.message}; {error.hint or 'no hint'}", reporting.ERROR)
        raise


def _where_else(arguments, is_from_etcd):
    from hhtoken.settings.settings import Settings
    from hhtoken.store import opening

    # Not load(), by which every sentence from now on would be about an account, also where all were asked for.
    flags = (getattr(arguments, name, None) for name in ("env_file", "state_dir", "account"))
    try:
        return opening.where_else(Settings(os.environ, *flags), is_from_etcd)
    except errors.Error:
        return None


def _plain(argv):
    """Return the command's module and its arguments, or None for them where argparse has to look at the words."""
    if argv[:1] == ["show"]:
        from hhtoken.commands import show as command
    elif argv[:1] == ["refresh"]:
        from hhtoken.commands import refresh as command
    else:
        return None, None
    return command, plain_arguments(argv[1:], command.PLAIN, command.FORMS)


class PlainArguments:
    """Has as attributes what argparse would have returned."""


def plain_arguments(words, defaults, forms):
    """Given the words behind a command, its plain flags with their defaults (False: a switch, 0: a number, None: a
    text), and those of them that exclude each other, return PlainArguments; None where anything is odd."""
    found, rest = dict(defaults), iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name not in defaults or equals and defaults[name] is False:
            return None
        if defaults[name] is False:
            found[name] = True
            continue
        value = value if equals else next(rest, "-")
        if value[:1] in ("-", ""):
            return None
        if defaults[name] == 0:
            if not (value.isascii() and value.isdigit() and len(value) < 9 and int(value)):  # not all flags take 0
                return None
            value = int(value)
        found[name] = value
    arguments = PlainArguments()
    for name, value in found.items():
        setattr(arguments, name[2:].replace("-", "_"), value)
    return arguments if sum(found[name] != defaults[name] for name in forms) < 2 else None


def _occupy_standard_descriptors():
    """Open /dev/null where descriptors 0 to 2 are closed: else the next file that is opened becomes stdout."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
