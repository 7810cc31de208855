"""A directory that only its owner may enter, and files in it that are only ever replaced whole.

Everything goes through the directory's descriptor with O_NOFOLLOW, so that no link can lead a write elsewhere. The
owner of the directory owns every file in it, whoever runs the command: root sets up, a service account renews.
"""

import errno
import os
import stat

from hhtoken import errors
from hhtoken.text import N_, escaped

LARGEST_FILE_BYTES = 256 * 1024
TEMPORARY_SUFFIX = ".tmp"
FEWEST_INODES = 2  # for what a refresh has at once: its journal, and beside it the reserve or the new pair

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a FIFO must not hang us
THROUGH_LINKS = READ_FLAGS & ~os.O_NOFOLLOW
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Nested(str):
    """The path of a directory below another one, ``base``, by ``steps`` of one name each.

    No step may be a link: the owner of ``base`` could have put it there, and root might be the one who follows. What is
    made on the way belongs to that owner.
    """

    def __new__(cls, base, *steps):
        path = super().__new__(cls, os.path.join(base, *steps))
        path.base, path.steps = base, steps
        return path


class PrivateDirectory:
    """An open directory: ``path``, ``descriptor``, ``owner`` and ``group`` (numbers). Made by ``open_directory``."""

    def __init__(self, path, descriptor, status):
        self.path = path
        self.descriptor = descriptor
        self.owner = status.st_uid
        self.group = status.st_gid

    def path_of(self, name):
        return os.path.join(self.path, name)

    def close(self):
        """Free the descriptor: for those who open many."""
        os.close(self.descriptor)

    def open(self, name, flags=READ_FLAGS):
        """Open a file that must be regular, ours and without a second name; return its descriptor.

        Raise FileNotFoundError, or StorageError with the command that fixes it. A file that others could read is
        closed to them on the spot, with a warning: refusing would add an outage and no secrecy.
        """
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=self.descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise self._unsafe(name, N_("is not a regular file")) from None
            raise storage_error(N_("open"), self.path_of(name), error) from None
        try:
            self._check_file(name, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read(self, name, limit=LARGEST_FILE_BYTES):
        """Return ``(bytes, modification time in ns)`` of a file, or None where there is none.

        Raise StorageError where it cannot be read, DataError where it is larger than the limit.
        """
        try:
            descriptor = self.open(name)
        except FileNotFoundError:
            return None
        try:
            modified_ns = os.fstat(descriptor).st_mtime_ns
            data = _read_all(descriptor, limit + 1)
        except OSError as error:
            raise storage_error(N_("read"), self.path_of(name), error) from None
        finally:
            os.close(descriptor)
        if len(data) > limit:
            raise errors.DataError(N_("{path} is larger than {size} KiB", path=self.path_of(name), size=limit // 1024))
        return data, modified_ns

    def replace(self, name, data, modified_ns=None, mode=0o600):
        """Put a file with these bytes in place of ``name``, durably or not at all; raise StorageError.

        ``modified_ns`` keeps a modification time; a ``mode`` for the group means the directory's group. Neither fsync
        is spared: without the first, a power cut leaves an empty file, without the second, perhaps the old one.
        """
        temporary = f".{name}.{os.getpid()}.{os.urandom(4).hex()}{TEMPORARY_SUFFIX}"
        try:
            descriptor = os.open(temporary, CREATE_FLAGS, 0o600, dir_fd=self.descriptor)
            try:
                self._give_to_owner(descriptor, mode)
                write_all(descriptor, data)
                if modified_ns is not None:
                    os.utime(descriptor, ns=(modified_ns, modified_ns))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            self.sync()
        except OSError as error:
            self.discard(temporary)
            raise storage_error(N_("write"), self.path_of(name), error) from None

    def create(self, name):
        """Create a new file, open for reading and writing, and return its descriptor; raise OSError.

        A name that ends in ``TEMPORARY_SUFFIX`` is swept away by ``remove_leftovers``.
        """
        flags = CREATE_FLAGS & ~os.O_WRONLY | os.O_RDWR
        descriptor = os.open(name, flags, 0o600, dir_fd=self.descriptor)
        try:
            self._give_to_owner(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def keep_aside(self, name, new_name):
        """Give a file another name, durably, so that nothing overwrites it; raise StorageError."""
        try:
            os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            self.sync()
        except OSError as error:
            raise storage_error(N_("rename"), self.path_of(name), error) from None

    def remove(self, name):
        """Remove a file, durably; one that is not there is no error. Raise StorageError."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
            self.sync()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise storage_error(N_("remove"), self.path_of(name), error) from None

    def version(self, name):
        """Return what changes with each replacement of a file, or None where there is none."""
        try:
            status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def exists(self, name):
        return self.version(name) is not None

    def names(self):
        """Return the names of the files in it; raise StorageError."""
        try:
            return os.listdir(self.descriptor)
        except OSError as error:
            raise storage_error(N_("read"), self.path, error) from None

    def why_no_room(self, size):
        """Return the StorageError that says why a few new files of so many bytes in all cannot be made here, or None
        where nothing that can be seen without writing stands against it."""
        try:
            disk = os.fstatvfs(self.descriptor)
        except OSError as error:
            return storage_error(N_("look at"), self.path, error)
        if disk.f_flag & os.ST_RDONLY:
            why = errno.EROFS
        elif not os.access(".", os.W_OK | os.X_OK, dir_fd=self.descriptor):
            why = errno.EACCES if os.geteuid() else errno.EPERM  # root may do all but that: see chattr(1)
        elif disk.f_bavail * disk.f_frsize < size or disk.f_files and disk.f_ffree < FEWEST_INODES:
            why = errno.ENOSPC
        else:
            return None
        return storage_error(N_("write in"), self.path, OSError(why, os.strerror(why)))

    def why_fixed(self, name):
        """Return the StorageError that says why a file cannot be replaced although it can be written, or None."""
        from hhtoken.store import places

        if not places.is_mount_point(self.path_of(name)):
            return None
        return storage_error(N_("write"), self.path_of(name), OSError(errno.EBUSY, os.strerror(errno.EBUSY)))

    def close_to_others(self):
        """Before the first write: give the directory mode 0700 if it is ours alone. Raise StorageError where it is
        someone else's: a mistyped path must not lock a machine out."""
        mode = os.fstat(self.descriptor).st_mode
        if not mode & 0o077:
            return
        from hhtoken.store import places

        names = os.listdir(self.descriptor)
        if not places.is_of_its_own(mode, names):
            raise errors.StorageError(
                N_("{path} is open to others and holds files that are not hhtoken's", path=self.path),
                places.how_to_close(self.path, mode, names),
            )
        try:
            _set_mode(self.descriptor, 0o700)
        except OSError as error:
            raise storage_error(N_("set the mode of"), self.path, error) from None

    def sync(self):
        """Make the names in the directory durable; raise OSError."""
        os.fsync(self.descriptor)

    def remove_leftovers(self):
        """Remove temporary files that a killed process left; only while the lock is held, for no one else writes."""
        for name in os.listdir(self.descriptor):
            if name.startswith(".") and name.endswith(TEMPORARY_SUFFIX):
                self.discard(name)

    def _check_file(self, name, descriptor):
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise self._unsafe(name, N_("is not a regular file"))
        path, typed = self.path_of(name), escaped(self.path_of(name))
        if status.st_nlink > 1:
            raise errors.StorageError(
                N_("{path} has a second name (a hard link)", path=path),
                N_("to give it a file of its own, type: cp -p {path} {path}.own && mv {path}.own {path}", path=typed),
            )
        if status.st_uid not in (self.owner, os.geteuid()):
            raise errors.StorageError(
                N_("{path} belongs to user {user}, not to the owner of the directory", path=path, user=status.st_uid),
                N_("if you trust it, type: chown --reference={owner} {path}", owner=escaped(self.path), path=typed),
            )
        if status.st_mode & 0o077:
            self._close_to_others(name, descriptor)

    def _close_to_others(self, name, descriptor):
        from hhtoken.console import reporting

        try:
            _set_mode(descriptor, 0o600)
        except OSError as error:
            raise storage_error(N_("set the mode of"), self.path_of(name), error) from None
        path = self.path_of(name)
        reporting.warning(N_("{path} could be read by others until now; its mode is 600 again", path=path))

    def _unsafe(self, name, why):
        path = self.path_of(name)
        return errors.StorageError(
            N_("{path} {why}", path=path, why=why),
            N_("look at it with 'ls -l {path}', move it away, and try again", path=escaped(path)),
        )

    def _give_to_owner(self, descriptor, mode=0o600):
        try:
            _set_mode(descriptor, mode)  # whatever the umask is
        except PermissionError:  # the file is new and ours, so this is its file system's word
            raise _has_no_modes() from None
        if self.owner != os.geteuid():
            os.fchown(descriptor, self.owner, self.group)
        elif mode & 0o070 and os.fstat(descriptor).st_gid != self.group:
            os.fchown(descriptor, -1, self.group)

    def discard(self, name):
        """Remove a file that does not matter; where that fails, leave it."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except OSError:
            pass


def open_directory(path, create=False):
    """Open a directory, made with mode 0700 if asked for, and return it as a PrivateDirectory.

    Return None where it does not exist. Raise StorageError where it is unsafe or cannot be opened.
    """
    if not isinstance(path, Nested):
        if os.geteuid() == 0:
            _require_way_of_root(path)
        return _open(path, None, path, create)
    directory = open_directory(path.base, create)
    for step in path.steps:
        if directory is None:
            break
        outer = directory
        try:
            directory = _open(step, outer, outer.path_of(step), create)
        finally:
            outer.close()
    return directory


def _require_way_of_root(path, is_real=False):
    """Raise StorageError where a stranger has made this directory, or could put another one in its place: what root
    writes there would be his. Its own owner may be any user who has got it from root."""
    way = _statuses(path)
    trusted = {0, way[0][1].st_uid}  # the owner of / is nobody where this root is one of a user's own
    users = trusted | {way[-1][1].st_uid} if way[-1][0] == path else trusted
    outer = above = None
    for step, status in way:
        is_for_all = above and stat.S_ISDIR(above.st_mode) and above.st_mode & stat.S_IWOTH
        if status.st_uid not in (trusted if is_for_all else users):
            from hhtoken.store import places

            raise places.why_not_yours(step, status.st_uid)
        if is_for_all and not above.st_mode & stat.S_ISVTX:
            from hhtoken.store import places

            raise places.why_step_open(outer)
        outer, above = step, status
    if not is_real and any(stat.S_ISLNK(status.st_mode) for _step, status in way):
        _require_way_of_root(os.path.realpath(path), True)


def _statuses(path):
    """Return ``[(step, os.stat_result)]`` from / down to an absolute path, as far as it exists."""
    found, step = [("/", os.lstat("/"))], ""
    for name in filter(None, path.split("/")):
        step = f"{step}/{name}"
        try:
            found.append((step, os.lstat(step)))
        except OSError:
            break
    return found


def _open(name, outer, path, create):
    """Open the directory ``name``, of the PrivateDirectory ``outer`` where there is one; ``path``: its whole path."""
    above = outer.descriptor if outer else None
    is_new = False
    try:
        if create and outer:
            try:
                os.mkdir(name, 0o700, dir_fd=above)
                is_new = True
            except FileExistsError:
                pass
        elif create:
            os.makedirs(path, mode=0o700, exist_ok=True)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        if is_new and outer.owner != os.geteuid():
            os.fchown(descriptor, outer.owner, outer.group)
    except FileNotFoundError as error:
        if create:
            raise storage_error(N_("create"), path, error) from None
        return None
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST):
            raise errors.StorageError(
                N_("{path} is not a directory of its own", path=path),
                N_("name the real directory with --state-dir"),
            ) from None
        raise storage_error(N_("open"), path, error) from None
    status = os.fstat(descriptor)
    if os.geteuid() in (0, status.st_uid) and not status.st_mode & 0o022:
        return PrivateDirectory(path, descriptor, status)
    from hhtoken.store import places

    names = os.listdir(descriptor)
    os.close(descriptor)
    if os.geteuid() not in (0, status.st_uid):
        raise places.why_not_yours(path, status.st_uid)
    raise places.why_open(path, status.st_mode, names)


def write_all(descriptor, data, offset=None):
    """Write all the bytes, however many each call takes; at an offset, or where the file stands. Raise OSError."""
    view = memoryview(data)
    while view:
        if offset is None:
            written = os.write(descriptor, view)
        else:
            written = os.pwrite(descriptor, view, offset)
            offset += written
        view = view[written:]


def _set_mode(descriptor, mode):
    os.fchmod(descriptor, mode)
    if os.fstat(descriptor).st_mode & 0o777 & ~mode:
        raise _has_no_modes()


def _has_no_modes():
    return OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def storage_error(doing, path, error):
    """Given what was being done to a path (a Text) and the OSError, return the StorageError that says so."""
    from hhtoken.store import places

    failure = N_("cannot {do} {path}: {reason}", do=doing, path=path, reason=errors.reason(error))
    return errors.StorageError(failure, places.hint(path, error.errno))


def read_regular(path, limit, flags=READ_FLAGS):
    """Return ``(bytes, os.stat_result)`` of a file anywhere, of which no more than ``limit`` bytes are read; the bytes
    are None where it is not a regular one. Raise OSError."""
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        return _read_all(descriptor, limit) if stat.S_ISREG(status.st_mode) else None, status
    finally:
        os.close(descriptor)


def _read_all(descriptor, limit):
    pieces, size = [], 0
    while size < limit:
        piece = os.read(descriptor, limit - size)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
