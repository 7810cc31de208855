"""``hhtoken exec``: run a command with a fresh access token in its environment, and become that command."""

import argparse
import contextlib
import os
import time

from hhtoken import errors
from hhtoken.commands import options
from hhtoken.console import signals
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.renewal import exchange, policy
from hhtoken.settings.settings import load_settings
from hhtoken.store import opening
from hhtoken.text import N_

SUMMARY = N_("run a command with HH_ACCESS_TOKEN in its environment; renews the pair first, if it is due")

LOGS_FAILURES = False  # like show: a script may call it every second; a renewal that fails is logged all the same

VARIABLE = "HH_ACCESS_TOKEN"
# Not for the command, which needs no more than the token.
OURS_ALONE = ("HH_CLIENT_SECRET", "HH_CLIENT_SECRET_FILE", "CREDENTIALS_DIRECTORY")

# As env(1), nice(1) and the shells have it.
CANNOT_RUN, NOT_FOUND = 126, 127


class CannotRun(errors.Error):
    """The command that was asked for does not start."""

    def __init__(self, message, hint, exit_code):
        super().__init__(message, hint)
        self.exit_code = exit_code


def add_arguments(parser):
    from hhtoken.console.language import _

    parser.add_argument(
        "--min-seconds",
        metavar="N",
        type=options.seconds,
        default=0,
        help=_("only with a token that lives for at least N more seconds"),
    )
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar=_("COMMAND…"), help=_("the command to run"))
    parser.usage = _("%(prog)s [OPTIONS] -- COMMAND ...")


def run(arguments):
    environment = _inherited_environment()
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words or not words[0]:
        raise errors.UsageError(N_("no command to run"), N_("for example 'hhtoken exec -- python3 bot.py'"))
    settings = load_settings(arguments)
    store = opening.of_settings(settings)
    exchange.renew_for("exec", store, token_endpoint_of(settings))
    signals.end_if_asked()
    pair = store.pair_in_place()
    unusable = policy.why_unusable(store, pair, time.time(), arguments.min_seconds)
    if unusable:
        raise unusable
    _become(words, {**environment, VARIABLE: pair.access_token}, arguments.umask)


def _inherited_environment():
    """Return the environment for the command: ours, as it came, without our secrets."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
    with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
        if b"\0LC_CTYPE=" not in b"\0" + file.read():
            environment.pop("LC_CTYPE", None)  # Python's own, in the C locale
    return environment


def _become(words, environment, umask):
    """Put the command in place of this process: exit code, signals and terminal are then its own. Raise CannotRun."""
    signals.give_back()
    os.umask(umask)
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            what = N_("{command}: there is no such command", command=words[0])
            raise CannotRun(what, _hint_where(words[0]), NOT_FOUND) from None
        raise CannotRun(
            N_("cannot run {command}: {reason}", command=words[0], reason=errors.reason(error)),
            N_("it has to be a program: see 'ls -l', 'chmod +x', and its first line (#!/bin/sh)"),
            CANNOT_RUN,
        ) from None


def _hint_where(command):
    if "/" in command and os.path.exists(command):
        return N_("the program that its first line names (#!…) is not there")
    return N_("check how it is written, and PATH; options of hhtoken stand before --")
