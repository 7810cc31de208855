"""``hhtoken notice``: what an operator must be told, once; for a hook that sends it by mail or to a phone."""

import json
import os
import time

from hhtoken import errors
from hhtoken.authorization.start import invite
from hhtoken.commands import options
from hhtoken.console import hints, reporting
from hhtoken.console.language import _
from hhtoken.renewal import report
from hhtoken.settings.settings import load_settings
from hhtoken.store.pending import LIFE_SECONDS
from hhtoken.store.private_directory import open_directory
from hhtoken.store.token_store import open_store
from hhtoken.text import N_, joined, printable

REPEAT_SECONDS = 24 * 3600
PATIENCE_SECONDS = 3600  # temporary trouble is not worth a message before

NAMES = {
    errors.DEFECT: N_("a defect of hhtoken"),
    errors.USAGE: N_("wrong usage"),
    errors.DATAERR: N_("a file or an answer makes no sense"),
    errors.IOERR: N_("the state directory cannot be read or written"),
    errors.NOPERM: N_("a human must authorize"),
    errors.CONFIG: N_("a setting is missing, malformed or unsafe"),
}


class Trouble:
    """``key`` tells one trouble from another; ``reason`` and ``next_step`` are for people."""

    __slots__ = ("key", "reason", "next_step", "needs_authorization")

    def __init__(self, key, reason, next_step=None, needs_authorization=False):
        self.key = key
        self.reason = reason
        self.next_step = next_step
        self.needs_authorization = needs_authorization


def trouble_in(seen, failed_with=0):
    """Given a Report and the exit code of the run that failed (0: not known), return the Trouble or None.

    Temporary trouble counts once it has lasted.
    """
    key = f"{seen.state} {seen.pair.obtained_at if seen.pair else 0}"  # another pair, another trouble
    if seen.exit_code == errors.NOPERM:
        return Trouble(key, seen.reason, seen.next_step, errors.HINT_AUTHORIZE in (seen.next_step or ""))
    if seen.exit_code in (errors.DATAERR, errors.IOERR, errors.CONFIG):
        return Trouble(key, seen.reason, seen.next_step)
    if failed_with in NAMES:
        hint = N_("type 'hhtoken refresh' to see it, or 'journalctl -t hhtoken -t hh-token-refresh'")
        reason = N_("a refresh ended with exit code {code}: {name}", code=failed_with, name=NAMES[failed_with])
        return Trouble(f"exit {failed_with}", reason, hint)
    if seen.exit_code and seen.pair and seen.now - seen.pair.expires_at > PATIENCE_SECONDS:
        reason = N_("no access token for over an hour: {reason}", reason=seen.reason)
        return Trouble(key, reason, seen.next_step)
    return None


def is_new(trouble, told, now):
    """Given a Trouble and what was told last (``{"key", "at"}`` or None), tell whether to tell it now."""
    return not told or told.get("key") != trouble.key or not 0 <= now - told.get("at", 0) < REPEAT_SECONDS


def sentences(trouble, host, account=None, address=None, minutes=0):
    """Given a Trouble, the host's name, the account (None where none is named) and an address to open (or None), return
    the lines of the message."""
    reason = N_("account {name}: {sentence}", name=account, sentence=trouble.reason) if account else trouble.reason
    lines = [N_("hhtoken on {host}: {reason}", host=host, reason=reason)]
    if trouble.next_step and not (address and trouble.next_step == errors.HINT_AUTHORIZE):
        lines.append(N_("to do: {step}", step=trouble.next_step))
    if address:
        lines.append(
            N_("open this address in a browser within {minutes} minutes, and allow the access:", minutes=minutes)
        )
        lines.append(address)
        lines.append(N_("if that is too late, 'hhtoken notice --again' prints a fresh one"))
    return lines


SUMMARY = N_("print what an operator must be told, or nothing where there is nothing new")

MEMORY_FILE = "last-notice.json"


def add_arguments(parser):
    parser.add_argument("--again", action="store_true", help=_("even if it was told before"))
    parser.add_argument(
        "--failed-with",
        metavar=_("CODE"),
        type=options.exit_code,
        default=0,
        help=_("the exit code of the run that failed (systemd: $MONITOR_EXIT_STATUS)"),
    )


def run(arguments):
    settings = load_settings(arguments)
    path = settings.state_directory()
    trouble = trouble_in(_look(settings, path), arguments.failed_with)
    memory = _open_memory(path)
    told = _recall(memory)
    if trouble is None:
        if told:
            _write(memory, None)
        return 0
    now = time.time()
    if not (arguments.again or is_new(trouble, told, now)):
        return 0
    address = _invite(settings, trouble) if trouble.needs_authorization else None
    account = settings.account()
    lines = sentences(trouble, os.uname().nodename, account, address, LIFE_SECONDS // 60)
    lines = (printable(hints.translated(sentence, account)) for sentence in lines)
    reporting.result("\n".join(lines))
    _write(memory, {"key": trouble.key, "at": int(now)})
    return 0


def _look(settings, path):
    try:
        seen = report.look(open_store(path), time.time())
    except errors.Error as error:
        seen = report.of_error(error, None, time.time())
    try:
        return report.in_view_of(seen, settings)
    except errors.ConfigError as error:
        return report.misconfigured(seen, error)
    except errors.StorageError:  # of the accounts, which are not what this is about
        return seen


def _invite(settings, trouble):
    try:
        return invite(settings)
    except errors.Error as error:
        first = trouble.next_step if trouble.next_step != errors.HINT_AUTHORIZE else None
        trouble.next_step = joined("; ", [first, error.message, error.hint])
        return None


def _open_memory(path):
    """Return the directory that remembers what was told: systemd's runtime directory, so that a full disk does not
    make the same trouble new at every run; else the state directory; None where neither can be had."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    for place in filter(None, (runtime, path)):
        try:
            directory = open_directory(place)
        except errors.StorageError:
            continue
        if directory:
            return directory
    return None


def _recall(memory):
    try:
        stored = memory.read(MEMORY_FILE) if memory else None
        told = json.loads(stored[0]) if stored else None
    except (ValueError, RecursionError, errors.Error):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("at"), int) else None


def _write(memory, told):
    """Remember what was told, or that all is well; a disk that fails must not keep the message back."""
    try:
        if memory and told:
            memory.replace(MEMORY_FILE, json.dumps(told).encode())
        elif memory:
            memory.remove(MEMORY_FILE)
    except errors.StorageError as error:
        reporting.warning(N_("{reason}; the same may be told again", reason=error.message))
