"""A valid access token for a program in Python, which may have to wait for it for a moment."""

import contextlib
import math
import os
import subprocess
import sys
import threading
import time

from hhtoken import errors
from hhtoken.console import hints
from hhtoken.provider import api_errors
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
    "from hhtoken.main import main; print(main())\n"  # not as its exit code, of which a bot may hear nothing (SIGCHLD)
)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_renewing = {}  # of each state directory, the lock of the thread that renews


class _Later(Exception):
    """There is no such token now. ``error``: what to raise in the end; ``changes_at``: Unix seconds before which
    nothing will change; ``is_due``: a renewal may bring one."""

    def __init__(self, error, changes_at=0, is_due=False):
        super().__init__()
        self.error = error
        self.changes_at = changes_at
        self.is_due = is_due


def access_token(
    min_seconds=0,
    state_dir=None,
    published=None,
    *,
    account=None,
    renew=False,
    wait_seconds=WAIT_SECONDS,
    instead_of=None,
    refused_as=api_errors.EXPIRED,
):
    """Return an access token that is valid for at least ``min_seconds`` more seconds; docs/client.md has the rest.

    It comes from ``state_dir``, or from the ``published`` file; from neither given, from the state directory of the
    settings, and where this process may not read that, from the file that HHTOKEN_PUBLISH names. Where the token has
    expired, or is ``instead_of``, which HeadHunter has refused, wait for its successor; with ``renew`` make that.
    Raise an ``hhtoken.errors.Error``.
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

    if instead_of and not published:
        _heed(settings, instead_of, refused_as)
    return _found(look, settings, renew, time.monotonic() + wait_seconds)


def _heed(settings, token, kind):
    """Remember how the API has refused the stored access token, if this process may."""
    from hhtoken.renewal import record_keeping

    with contextlib.suppress(errors.Error), open_store(settings.state_directory()) as store:
        pair = store.load().pair
        if pair.access_token == token:
            record_keeping.heed(store, pair, kind)


def _found(look, settings, may_renew, deadline):
    """Return what ``look`` returns in the end; wait for it, or once make it."""
    while True:
        try:
            return look()
        except _Later as later:
            error, changes_at, is_due = later.error, later.changes_at, later.is_due
        if may_renew and is_due:
            may_renew = False  # once
            with contextlib.suppress(_Later):
                return _renewed(look, settings, deadline)
        elif max(0, changes_at - time.time()) >= deadline - time.monotonic():
            raise error from None
        else:
            time.sleep(POLL_SECONDS)


def _renewed(look, settings, deadline):
    """Return what another thread has got meanwhile, or what a renewal brings. Raise _Later, also where the lock is not
    to be had before the deadline (of ``time.monotonic``), and the Error that the renewal ended with."""
    lock = _renewing.setdefault(settings.state_directory(), threading.Lock())
    if not lock.acquire(timeout=max(0, deadline - time.monotonic())):
        return look()
    try:
        with contextlib.suppress(_Later):
            return look()
        _refresh(settings)
        return look()
    finally:
        lock.release()


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
    """Return the access token of the stored pair; raise _Later, or the Error that no waiting changes."""
    try:
        store = open_store(settings.state_directory())
    except (errors.AuthorizationNeededError, errors.StorageError):
        if fallback is None:
            raise
        return _in_file(fallback, refused)
    with contextlib.closing(store):
        pair = store.pair_in_place()
        now, refusal = time.time(), store.refusal_of(pair)
        error = policy.why_unusable(store, pair, now, min_seconds)
        if error is None and pair.access_token != refused:
            return pair.access_token
        if isinstance(error, errors.AuthorizationNeededError) and (not refusal or refusal.dead):
            raise error
        if refusal is None:
            raise _Later(error or _refusal(), pair.expires_at, pair.expires_at <= now)
        may_wait = refusal.refused in (api_errors.EXPIRED, api_errors.UNKNOWN_TOKEN)  # for a timer, or another host
        raise _Later(error or _refusal(), refusal.not_before if may_wait else math.inf, is_due=True)


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


def _refresh(settings):
    """Run ``hhtoken refresh``; raise the Error that it ended with."""
    command = [sys.executable, "-c", REFRESH, ROOT, "refresh", "--state-dir", settings.main_directory()]
    command += ["--account", settings.account()] if settings.account() else []
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C", "LANGUAGE": ""},
    )
    with process:  # not subprocess.run(), which kills it on an interrupt
        result, said = process.communicate()
    code = int(result) if result.strip().isdigit() else process.returncode
    if code in errors.CODES:
        raise errors.with_exit_code(code, _line(said, "error: "), _line(said, "hint: "))
    if code:
        raise errors.TryLaterError(N_("hhtoken refresh ended with {code}", code=code))


def _line(said, kind):
    start = f"hhtoken: {kind}"
    return next((line[len(start) :] for line in said.splitlines() if line.startswith(start)), "")
