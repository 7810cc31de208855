"""A living access token for a program in Python, which may have to wait for it for a moment."""

import contextlib
import os
import subprocess
import sys
import threading
import time

from hhtoken import errors
from hhtoken.console import hints
from hhtoken.renewal import policy
from hhtoken.settings.settings import Settings
from hhtoken.store import published_file
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

WAIT_SECONDS = 10  # a renewal at expiry takes one or two, and HeadHunter is slow at times
POLL_SECONDS = 0.05

HINT_PUBLISHED = N_("leave that out, or read the state directory")

# A process of its own, since a bot's may be killed, or interrupted in any thread, with the only copy of a new pair.
REFRESH = (
    "import sys; root = sys.argv.pop(1); sys.path[:] = [root, *filter(None, sys.path)]\n"
    "from hhtoken.main import main; sys.exit(main())\n"
)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_renewals = {}  # the _Renewal of each state directory


class _Renewal:
    """What the threads of this process share about one state directory. ``lock``: held by the one that renews.
    ``forced_for``: the last refused token for which HeadHunter was asked before expiry: once is enough."""

    def __init__(self):
        self.lock = threading.Lock()
        self.forced_for = None

    def run(self, look, settings, refused, deadline):
        """Return what another thread has got meanwhile, or what a renewal brings. Raise _Later, also where the lock is
        not to be had before the deadline (of ``time.monotonic``), and the Error that the renewal ended with."""
        if not self.lock.acquire(timeout=max(0, deadline - time.monotonic())):
            return look()
        try:
            with contextlib.suppress(_Later):
                return look()
            is_forced = refused not in (None, self.forced_for)
            self.forced_for = refused or self.forced_for
            _refresh(settings, is_forced)
            return look()
        finally:
            self.lock.release()


class _Later(Exception):
    """There is no such token now. ``error``: what to raise in the end; ``due_at``: Unix seconds before which nothing
    will change."""

    def __init__(self, error, due_at=0):
        super().__init__()
        self.error = error
        self.due_at = due_at


def access_token(
    min_seconds=0,
    state_dir=None,
    published=None,
    *,
    account=None,
    renew=False,
    wait_seconds=WAIT_SECONDS,
    instead_of=None,
):
    """Return an access token that lives for at least ``min_seconds`` more seconds.

    It comes from ``state_dir``, or from the ``published`` file; from neither given, from the state directory that
    hhtoken's settings name, and where this process may not read that, from the file that HHTOKEN_PUBLISH names.

    Where the token has expired, or is the refused one that was named as ``instead_of``, wait up to ``wait_seconds`` for
    its successor. With ``renew`` make that: run ``hhtoken refresh``.

    Raise an ``hhtoken.errors.Error``: UnavailableError where there is none, AuthorizationNeededError where only a human
    can go on, TryLaterError where a renewal did not succeed, StorageError, DataError, ConfigError, UsageError.
    """
    if published and (min_seconds or renew):
        what = N_("min_seconds") if min_seconds else N_("renew")
        raise errors.UsageError(N_("a published file goes with no {option}", option=what), HINT_PUBLISHED)
    settings = Settings(os.environ, None, state_dir, account)
    fallback = None if state_dir or renew or min_seconds else settings.published_file()
    flags = {"--state-dir": settings.main_directory()} if state_dir else {}

    def look():
        with _hints_made_ready(settings.account(), flags):
            if published:
                return _in_file(published, instead_of)
            return _in_store(settings, fallback, min_seconds, instead_of)

    return _found(look, settings, renew, instead_of, time.monotonic() + wait_seconds)


def _found(look, settings, may_renew, instead_of, deadline):
    """Return what ``look`` returns in the end; wait for it, or once make it."""
    while True:
        try:
            return look()
        except _Later as later:
            error, due_at = later.error, later.due_at
        if may_renew and (instead_of or due_at <= time.time()):
            may_renew = False  # once
            renewal = _renewals.setdefault(settings.state_directory(), _Renewal())
            with contextlib.suppress(_Later):
                return renewal.run(look, settings, instead_of, deadline)
        elif max(0, due_at - time.time()) >= deadline - time.monotonic():
            raise error from None
        else:
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _hints_made_ready(account, flags):
    """Let hints name the account and the flags; not around a renewal, whose hints do so already."""
    try:
        yield
    except (_Later, errors.Error) as raised:
        error = raised.error if isinstance(raised, _Later) else raised
        error.hint = hints.with_flags(error.hint, account, flags)
        raise


def _in_store(settings, fallback, min_seconds, refused):
    """Return the access token of the stored pair; raise _Later, or the Error that waiting does not mend."""
    try:
        store = open_store(settings.state_directory())
    except (errors.AuthorizationNeededError, errors.StorageError):
        if fallback is None:
            raise
        return _in_file(fallback, refused)
    with contextlib.closing(store):
        pair = store.pair_in_place()
        error = policy.why_unusable(store, pair, time.time(), min_seconds)
        if isinstance(error, errors.AuthorizationNeededError):
            raise error
        if error is None and pair.access_token != refused:
            return pair.access_token
        raise _Later(error or _refusal(), pair.expires_at)


def _in_file(path, refused):
    try:
        token = published_file.read(path)
    except errors.UnavailableError as error:
        raise _Later(error) from None
    if token == refused:
        raise _Later(_refusal())
    return token


def _refusal():
    return errors.UnavailableError(N_("HeadHunter refuses the access token"), N_("type 'hhtoken whoami'"))


def _refresh(settings, is_forced):
    """Run ``hhtoken refresh``; raise the Error that it ended with."""
    command = [sys.executable, "-c", REFRESH, ROOT, "refresh", "--state-dir", settings.main_directory()]
    command += ["--force"] if is_forced else []
    command += ["--account", settings.account()] if settings.account() else []
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C", "LANGUAGE": ""},
    )
    with process:  # not subprocess.run(), which kills it on an interrupt
        _nothing, said = process.communicate()
    if process.returncode in errors.CODES:
        raise errors.with_exit_code(process.returncode, _line(said, "error: "), _line(said, "hint: "))
    if process.returncode:
        raise errors.TryLaterError(N_("hhtoken refresh ended with {code}", code=process.returncode))


def _line(said, kind):
    start = f"hhtoken: {kind}"
    return next((line[len(start) :] for line in said.splitlines() if line.startswith(start)), "")
