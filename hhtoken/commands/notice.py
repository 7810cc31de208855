"""``hhtoken notice``: what an operator must be told, once; for a hook that sends it by mail or to a phone."""

import json
import os
import time

from hhtoken import errors
from hhtoken.authorization.start import invite
from hhtoken.commands import notices, options
from hhtoken.console import hints, reporting
from hhtoken.console.language import _
from hhtoken.renewal import token_status
from hhtoken.settings.settings import load_settings
from hhtoken.store.pending import LIFE_SECONDS
from hhtoken.store.private_directory import open_directory
from hhtoken.store.token_store import open_store
from hhtoken.text import N_, joined, printable

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
    trouble = notices.trouble_in(_look(settings, path), arguments.failed_with)
    memory = _open_memory(path)
    told = _recall(memory)
    if trouble is None:
        if told:
            _write(memory, None)
        return 0
    now = time.time()
    if not (arguments.again or notices.is_new(trouble, told, now)):
        return 0
    address = _invite(settings, trouble) if trouble.needs_authorization else None
    account = settings.account()
    sentences = notices.sentences(trouble, os.uname().nodename, account, address, LIFE_SECONDS // 60)
    lines = (printable(hints.translated(sentence, account)) for sentence in sentences)
    reporting.result("\n".join(lines))
    _write(memory, {"key": trouble.key, "at": int(now)})
    return 0


def _look(settings, path):
    try:
        report = token_status.look(open_store(path), time.time())
    except errors.Error as error:
        report = token_status.of_error(error, None, time.time())
    try:
        return token_status.in_view_of(report, settings)
    except errors.ConfigError as error:
        return token_status.misconfigured(report, error)
    except errors.StorageError:  # of the accounts, which are not what this is about
        return report


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
