"""The access token alone, in a file for programs that must not have the rest of the pair.

The directory decides who reads: nobody but its owner may write in it, and the file gets its owner and its group. The
file has the modification time of the ``token.json`` that it was made from: one stat tells whether it is current.
"""

import contextlib
import errno
import os
import stat

from hhtoken import errors
from hhtoken.pair import LONGEST_TOKEN_CHARACTERS, is_token
from hhtoken.store.private_directory import open_directory, read_regular
from hhtoken.text import N_, escaped

MODE = 0o640


def is_current(path, modified_ns):
    """Given where it is published and the modification time of ``token.json``, tell whether it is that token."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_mtime_ns == modified_ns


def check(path, state):
    """Given where to publish the token of a state directory, raise the ConfigError or StorageError with which that
    would fail, as far as can be told; change nothing."""
    owner = os.stat(state).st_uid if os.path.exists(state) else os.geteuid()
    with contextlib.closing(_open_directory(path, owner)) as directory:
        _require_group(directory)
        fixed = directory.why_fixed(os.path.basename(path))
    if fixed:
        raise fixed


def publish(path, access_token, modified_ns, owner):
    """Put an access token into the published file, whole or not at all; raise ConfigError, StorageError.

    ``owner``: of the state directory. For anyone else's directory not even root publishes."""
    with contextlib.closing(_open_directory(path, owner)) as directory:
        _require_group(directory)
        directory.replace(os.path.basename(path), f"{access_token}\n".encode(), modified_ns, MODE)


def withdraw(path, owner):
    """Remove the published file; one that is not there is no error. Raise ConfigError, StorageError."""
    if os.path.lexists(path):
        with contextlib.closing(_open_directory(path, owner)) as directory:
            directory.remove(os.path.basename(path))


def read(path):
    """Return the published access token; raise UnavailableError where there is none, StorageError where it is not for
    this process, DataError where it makes no sense."""
    try:
        data, _status = read_regular(path, LONGEST_TOKEN_CHARACTERS + 2)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise errors.UnavailableError(
                N_("no access token is published in {path}", path=path),
                N_("'hhtoken refresh' publishes it, where HHTOKEN_PUBLISH names that file; see 'hhtoken status'"),
            ) from None
        raise errors.StorageError(
            N_("cannot read {path}: {reason}", path=path, reason=errors.reason(error)),
            N_(
                "it is for the group of its directory: see 'ls -ld {directory}'",
                directory=escaped(os.path.dirname(path)),
            ),
        ) from None
    token = (data or b"").decode("ascii", "replace").rstrip("\n")
    if not is_token(token):
        raise errors.DataError(N_("{path} holds no access token", path=path), N_("type 'hhtoken refresh'"))
    return token


def _open_directory(path, owner):
    where = os.path.dirname(path)
    try:
        directory = open_directory(where)
    except errors.StorageError as error:
        raise errors.ConfigError(error.message, _how_to_make(where)) from None
    if directory is None:
        raise errors.ConfigError(N_("there is no directory {path}", path=where), _how_to_make(where))
    if directory.owner not in (0, owner, os.geteuid()):
        directory.close()
        says = N_("{path} belongs to user {user}, who does not own the pair", path=where, user=directory.owner)
        raise errors.ConfigError(says, _how_to_make(where))
    return directory


def _how_to_make(where):
    """Return what to type: nothing that changes a directory that others use, too."""
    place = "/run/hh-token" if os.path.lexists(where) else where
    return N_(
        "name a file in a directory of its own; to make one, type: install -d -m 2710 -o OWNER -g GROUP {path}",
        path=escaped(place),
    )


def _require_group(directory):
    """Raise StorageError where a file in this PrivateDirectory cannot get the directory's group."""
    if os.fstat(directory.descriptor).st_mode & stat.S_ISGID or os.geteuid() == 0:
        return
    if directory.group not in (os.getegid(), *os.getgroups()):
        raise errors.StorageError(
            N_("files in {path} do not get its group", path=directory.path),
            N_("type: chmod g+s {path}", path=escaped(directory.path)),
        )
