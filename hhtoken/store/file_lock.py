"""An exclusive lock on a file, with a deadline. The kernel frees it when its holder dies, so none is ever stale."""

import contextlib
import errno
import fcntl
import os
import time

from hhtoken import errors
from hhtoken.console import progress
from hhtoken.store.private_directory import storage_error
from hhtoken.text import N_, escaped

LOCK_WAIT_SECONDS = 10
POLL_SECONDS = 0.02
LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def held(directory, name):
    """Hold the lock file of a PrivateDirectory inside the ``with``; raise TryLaterError that names the holder.

    The file is never removed: whoever waits for it would then wait for a lock that nobody can see. And it is
    flock(), not lockf(): the latter is lost when any other descriptor of the file is closed.
    """
    descriptor = directory.open(name, LOCK_FLAGS)
    try:
        if directory.owner != os.geteuid():
            os.fchown(descriptor, directory.owner, directory.group)
        with progress.waiting(N_("waiting for another run of hhtoken to end")) as tick:
            _wait(descriptor, directory.path_of(name), tick)
        _leave_note(descriptor, b"%d\n" % os.getpid())
        directory.remove_leftovers()
        yield
        _leave_note(descriptor, b"")
    finally:
        os.close(descriptor)


def _wait(descriptor, path, tick):
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                error.errno = errno.ENOLCK if error.errno in (errno.EINVAL, errno.EOPNOTSUPP) else error.errno
                raise storage_error(N_("lock"), path, error) from None
        if time.monotonic() >= deadline:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            who = N_("process {pid}", pid=holder) if holder.isdigit() else N_("another process")
            look = f"ps -fp {holder}" if holder.isdigit() else f"fuser -v {escaped(path)}"
            raise errors.TryLaterError(
                N_(
                    "{process} has held the lock {path} for over {seconds:g} seconds",
                    process=who,
                    path=path,
                    seconds=LOCK_WAIT_SECONDS,
                ),
                N_("let it finish, then try again; to see it, type: {command}", command=look),
            )
        tick(deadline - time.monotonic())
        time.sleep(POLL_SECONDS)


def _leave_note(descriptor, note):
    """Write who holds the lock; a help for people, so a full disk does not matter."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note, 0)
