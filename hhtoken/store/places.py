"""What can be wrong with a place for the pair, by its modes, its mount and its errors, and what to do about it.

Not on the way of a run that finds nothing wrong.
"""

import errno
import os
import re
import stat

from hhtoken import errors
from hhtoken.text import N_, escaped

STATE_FILES = ("token.json", ".lock")  # whichever directory has one of them is a state directory
WITHOUT_MODES = ("9p", "cifs", "drvfs", "exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "smb3", "vboxsf", "vfat")

# What a file system has to have, by the error that tells of one without.
LACKING = {
    errno.EINVAL: N_("cannot flush a directory (fsync)"),
    errno.ENOLCK: N_("has no locks (flock), as NFS without its lock daemon"),
    errno.ENOSYS: N_("has no locks (flock), as NFS without its lock daemon"),
    errno.EXDEV: N_("is put together from several, so a rename fails"),
    errno.ENOTSUP: N_("keeps no modes (chmod), as FAT, NTFS, or WSL's /mnt/c"),
}


def hint(path, code):
    """Given a path and an errno, return what to do."""
    if code in LACKING:
        return N_("its file system {lacks}; name a directory on a local disk with --state-dir", lacks=LACKING[code])
    room = N_("make room on the file system of {path} (see 'df -h' and 'df -i'), then try again", path=path)
    hints = {
        errno.ENOSPC: room,
        errno.EDQUOT: room,
        errno.EROFS: N_("make the file system writable again, or name another place with --state-dir"),
        errno.EACCES: N_("run it as the owner of {path}, or name a directory of your own with --state-dir", path=path),
        errno.EPERM: N_("look at 'lsattr {path}' (chattr -i, -a) and at 'ls -ld {path}'", path=escaped(path)),
        errno.EBUSY: N_(
            "{path} is a mount point, so it cannot be replaced: mount the directory that holds it", path=path
        ),
        errno.EFBIG: N_("raise the limit for the size of files (ulimit -f), then try again"),
        errno.EMFILE: N_("raise the limit for open files (ulimit -n), then try again"),
        errno.ENFILE: N_("raise the limit for open files (ulimit -n), then try again"),
        errno.EISDIR: N_("{path} is to be a file: move the directory in its place away, or name another", path=path),
        errno.ENAMETOOLONG: N_("name a shorter path with --state-dir"),
    }
    return hints.get(code) or N_("look at 'dmesg' for trouble with the disk, then try again")


def why_not_yours(path, user):
    """Given a path that belongs to a user who is not to be trusted here, return the StorageError."""
    return errors.StorageError(
        N_("{path} belongs to user {user}, not to you", path=path, user=user),
        N_("run it as that user (sudo -u '#{user}' hhtoken …), or name a directory of your own", user=user),
    )


def why_open(path, mode, names):
    """Given the path of a directory where others may write, its mode and the names in it, return the StorageError."""
    return errors.StorageError(N_("others may write in {path}", path=path), how_to_close(path, mode, names))


def why_step_open(path):
    """The same of a directory that ours lies in, where others could put another one in its place."""
    how = N_("name a directory elsewhere, or type: chmod o-w {path}", path=escaped(path))
    return errors.StorageError(N_("others may write in {path}", path=path), how)


def is_of_its_own(mode, names):
    """Given the mode of a directory and the names in it, tell whether it is a state directory, or may become one."""
    is_for_all = mode & stat.S_ISVTX  # /tmp, whatever lies there
    return not is_for_all and (not names or not set(STATE_FILES).isdisjoint(names))


def how_to_close(path, mode, names):
    """Given the path of a directory that is open to others, its mode and the names in it, return what to type: nothing
    that would lock others out of what is theirs, too."""
    if has_no_modes(path):
        return hint(path, errno.ENOTSUP)
    if is_of_its_own(mode, names):
        return N_("type: chmod 700 {path}", path=escaped(path))
    if mode & stat.S_ISVTX:
        return N_("name a directory of its own with --state-dir")
    return N_(
        "name a directory of its own with --state-dir; or, if it is one, type: chmod 700 {path}", path=escaped(path)
    )


def mounts():
    """Return the text of /proc/self/mountinfo; "" where there is none."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def mount_of(path, text):
    """Given a real path and that text, return ``(mount point, type, is read-only)`` of what it lies in, or None."""
    best = None
    for line in text.splitlines():
        left, _dash, right = line.partition(" - ")
        fields, more = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(more) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])  # a space is \040
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best[0])):
            is_read_only = "ro" in fields[5].split(",") or "ro" in more[2].split(",")
            best = (point, more[0], is_read_only)
    return best


def is_mount_point(path):
    """Tell whether a file, or a directory, is mounted there by itself."""
    real = os.path.realpath(path)
    mount = mount_of(real, mounts())
    return mount is not None and mount[0] == real


def has_no_modes(path):
    """Tell whether a path lies in a file system for which everybody may do all, as on WSL's /mnt/c."""
    mount = mount_of(os.path.realpath(path), mounts())
    return mount is not None and mount[1] in WITHOUT_MODES
