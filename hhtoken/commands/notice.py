"""``hhtoken notice``: what an operator must be told, once; for a hook that sends it by mail or to a phone."""

import json
import os
import time

from hhtoken import errors
from hhtoken.authorization import systemd_socket
from hhtoken.authorization.start import invite
from hhtoken.commands import options
from hhtoken.console import hints, reporting
from hhtoken.console.language import _
from hhtoken.renewal import report
from hhtoken.settings.settings import load_settings
from hhtoken.store.pending import LIFE_SECONDS
from hhtoken.store.private_directory import open_directory
from hhtoken.text import N_, printable

REPEAT_SECONDS = 24 * 3600
PATIENCE_SECONDS = 3600  # temporary trouble is not worth a message before

GRAVE = (errors.DATAERR, errors.IOERR, errors.NOPERM, errors.CONFIG)


def trouble_in(seen, failed_with=0):
    """Given a Report and the exit code of the run that failed (0: not known), return what to tell: a key that tells one
    trouble from another, the reason, and the next step or None; None where there is nothing to tell.

    Temporary trouble counts once it has lasted.
    """
    key = f"{seen.state} {seen.pair.obtained_at if seen.pair else 0}"  # another pair, another trouble
    if seen.exit_code in GRAVE:
        return key, seen.reason, seen.next_step
    if failed_with in (errors.DEFECT, errors.USAGE, *GRAVE):
        hint = N_("type 'hhtoken refresh' to see it, or 'journalctl -t hhtoken -t hh-token-refresh'")
        return f"exit {failed_with}", N_("a refresh ended with exit code {code}", code=failed_with), hint
    if seen.exit_code and seen.pair and seen.now - _dead_since(seen) > PATIENCE_SECONDS:
        return key, N_("no access token for over an hour: {reason}", reason=seen.reason), seen.next_step
    return None


def _dead_since(seen):
    return seen.last.failing_since or seen.now if seen.is_refused else seen.pair.expires_at


def is_new(key, told, now):
    """Given the key of a trouble and what was told last (``{"key", "at"}`` or None), tell whether to tell it now."""
    return not told or told.get("key") != key or not 0 <= now - told.get("at", 0) < REPEAT_SECONDS


def sentences(host, account, reason, next_step, address):
    """Given the host's name, the account (None where none is named), the reason, the next step and an address to open
    (or None), return the lines of the message."""
    reason = N_("account {name}: {sentence}", name=account, sentence=reason) if account else reason
    lines = [N_("hhtoken on {host}: {reason}", host=host, reason=reason)]
    if not address:
        return [*lines, N_("to do: {step}", step=next_step)] if next_step else lines
    minutes = LIFE_SECONDS // 60
    opening = N_("open this address in a browser within {minutes} minutes, and allow the access:", minutes=minutes)
    later = N_("if that is too late, 'hhtoken notice --again' prints a fresh one")
    return [*lines, opening, address, later]


SUMMARY = N_("print what an operator must know, or nothing if there is nothing new")

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
    settings, now = load_settings(arguments), time.time()
    try:
        seen = report.of_settings(settings, now)
    except errors.StorageError as error:
        seen = report.of_error(error, None, now)
    trouble = trouble_in(seen, arguments.failed_with)
    memory = _open_memory(settings.state_directory())
    told = _recall(memory)
    if trouble is None:
        if told:
            _write(memory, None)
        return 0
    key, reason, next_step = trouble
    if not (arguments.again or is_new(key, told, now)):
        return 0
    account = settings.account()
    address = _address(settings) if next_step == errors.HINT_AUTHORIZE else None
    lines = sentences(os.uname().nodename, account, reason, next_step, address)
    reporting.result("\n".join(printable(hints.translated(sentence, account)) for sentence in lines))
    _write(memory, {"key": key, "at": int(now)})
    return 0


def _address(settings):
    """Return an address to authorize at, where the socket of systemd waits for the browser; else `login` has to."""
    try:
        return invite(settings) if systemd_socket.state(settings.main_directory()) == "active" else None
    except errors.Error:
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
