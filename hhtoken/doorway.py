"""The way in: runs a command line, and turns errors into a message, a hint and an exit code.

``show`` stands in front of every API call of a shell script. Its plain forms are understood here at a glance, without
argparse, which would cost more than all the rest; everything else, and everything odd, is for ``hhtoken.cli``.
"""

import os
import sys

from hhtoken import errors, reporting


def main(argv=None):
    """Run a command line (``sys.argv`` without the program's name) and return the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    _occupy_standard_descriptors()
    os.umask(0o077)
    try:
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
    if argv[:1] == ["show"]:
        from hhtoken.commands import show

        arguments = plain_show(argv[1:], show.FLAGS, show.VALUES)
        if arguments:
            return show.run(arguments)
    from hhtoken import cli

    return cli.run(argv)


class PlainArguments:
    """What argparse would have returned for a plain ``show``."""

    field = None
    header = json = refresh = allow_expired = False
    min_seconds = 0


def plain_show(words, flags, values):
    """Given the words behind ``show``, return them as PlainArguments; None where argparse has to look at them."""
    arguments = PlainArguments()
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in flags and not equals:
            value = True
        elif name in values:
            value = value if equals else next(rest, "-")
            if value[:1] in ("-", ""):  # not for us to say what that means
                return None
        else:
            return None
        setattr(arguments, name[2:].replace("-", "_"), value)
    if arguments.min_seconds:
        if not (arguments.min_seconds.isascii() and arguments.min_seconds.isdigit() and len(arguments.min_seconds) < 9):
            return None
        arguments.min_seconds = int(arguments.min_seconds)
    forms = bool(arguments.field) + arguments.header + arguments.json
    return arguments if forms <= 1 else None


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
