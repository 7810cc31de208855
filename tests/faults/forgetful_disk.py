"""A file system that forgets what was not synced, by mfusepy and libfuse2: ``forgetful_disk.py MOUNTPOINT``.

One directory of files, all in memory. It numbers each operation that changes something. At the one that it was told
of (``setxattr(mountpoint, "user.cut", b"NUMBER SEED")``, which also makes all durable that is there) the power fails:
the process that asked is killed, the operation does not happen, and of what was not synced each write and each change
of a name is there or not, as the seed's dice have it (seed 0: nothing; 1: everything). It then goes on as the disk of
a machine that was started again. ``getxattr(mountpoint, "user.steps")`` returns the operations since, one a line.
"""

import errno
import os
import random
import signal
import stat
import sys
import time

import mfusepy as fuse

NEVER = 10**9


class File:
    """``durable``: its bytes after a power cut; ``live``: as programs see it; ``pending``: (offset, bytes) between the
    two, or (None, length) for a cut to that length."""

    def __init__(self, mode, uid, gid):
        self.mode, self.uid, self.gid = mode, uid, gid
        self.durable = self.live = b""
        self.pending = []
        self.modified_ns = time.time_ns()

    def change(self, offset, data):
        self.live = changed(self.live, offset, data)
        self.pending.append((offset, data))
        self.modified_ns = time.time_ns()

    def sync(self):
        self.durable, self.pending = self.live, []


def changed(content, offset, data):
    if offset is None:
        return content[:data].ljust(data, b"\0")
    return content[:offset].ljust(offset, b"\0") + data + content[offset + len(data) :]


class Disk(fuse.Operations):
    use_ns = True

    def __init__(self):
        self.names, self.durable_names, self.name_changes = {}, {}, []
        self.opened = []  # by number, for ever: it is a short life
        self.mode, self.steps, self.cut_at, self.seed = 0o700, [], NEVER, 0

    def step(self, what):
        """Number an operation that changes something; at the cut, fail the power instead."""
        self.steps.append(what)
        if len(self.steps) == self.cut_at:
            os.kill(fuse.fuse_get_context()[2], signal.SIGKILL)
            self.cut_at = NEVER
            self.fail_power()
            raise OSError(errno.EIO, "the power has failed")

    def fail_power(self):
        dice = random.Random(self.seed)
        is_kept = {0: lambda: False, 1: lambda: True}.get(self.seed, lambda: dice.random() < 0.5)
        for change in self.name_changes:
            if is_kept():
                self.durable_names = with_change(self.durable_names, change)
        self.names, self.name_changes = dict(self.durable_names), []
        for file in {id(file): file for file in self.names.values()}.values():
            content = file.durable
            for offset, data in file.pending:
                if is_kept():
                    content = changed(content, offset, data)
            file.live = file.durable = content
            file.pending = []

    def change_names(self, change):
        self.names = with_change(self.names, change)
        self.name_changes.append(change)

    def file(self, path):
        try:
            return self.names[path[1:]]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, path) from None

    # -- what the kernel asks --

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | self.mode, "st_nlink": 2, "st_uid": 0, "st_gid": 0, "st_ino": 1}
        file = self.file(path)
        return {
            "st_mode": stat.S_IFREG | file.mode, "st_nlink": 1, "st_uid": file.uid, "st_gid": file.gid,
            "st_size": len(file.live), "st_mtime": file.modified_ns, "st_ino": id(file),
        }  # fmt: skip

    def readdir(self, path, fh):
        return [".", "..", *self.names]

    def create(self, path, mode, fi=None):
        self.step(f"create {path[1:]}")
        uid, gid, _pid = fuse.fuse_get_context()
        self.change_names([(path[1:], File(mode & 0o777, uid, gid))])
        return self.open(path, 0)

    def open(self, path, flags):
        self.opened.append(self.file(path))
        return len(self.opened) - 1

    def read(self, path, size, offset, fh):
        return self.opened[fh].live[offset : offset + size]

    def write(self, path, data, offset, fh):
        self.step(f"write {path[1:]} {offset}")
        self.opened[fh].change(offset, bytes(data))
        return len(data)

    def truncate(self, path, length, fh=None):
        self.step(f"truncate {path[1:]}")
        self.file(path).change(None, length)
        return 0

    def rename(self, old, new, flags=0):
        self.step(f"rename {new[1:]}")
        self.change_names([(new[1:], self.file(old)), (old[1:], None)])
        return 0

    def unlink(self, path):
        self.step(f"unlink {path[1:]}")
        self.file(path)
        self.change_names([(path[1:], None)])
        return 0

    def fsync(self, path, datasync, fh):
        self.step(f"fsync {path[1:]}")
        self.opened[fh].sync()
        return 0

    def fsyncdir(self, path, datasync, fh):
        self.step("fsync of the directory")
        self.durable_names, self.name_changes = dict(self.names), []
        return 0

    def chmod(self, path, mode):
        if path == "/":
            self.mode = mode & 0o777
        else:
            self.file(path).mode = mode & 0o777
        return 0

    def chown(self, path, uid, gid):
        self.file(path).uid, self.file(path).gid = uid, gid
        return 0

    def utimens(self, path, times=None):
        self.file(path).modified_ns = times[1] if times else time.time_ns()
        return 0

    def statfs(self, path):
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 4096, "f_bfree": 4096, "f_bavail": 4096}

    # -- what the test asks --

    def setxattr(self, path, name, value, options, position=0):
        self.cut_at, self.seed = (int(word) for word in bytes(value).split())
        self.steps = []
        self.durable_names, self.name_changes = dict(self.names), []
        for file in self.names.values():
            file.sync()
        return 0

    def getxattr(self, path, name, position=0):
        if name != "user.steps":
            raise OSError(errno.ENODATA, name)
        return "\n".join(self.steps).encode()


def with_change(names, change):
    names = dict(names)
    for name, file in change:
        names[name] = file
        if file is None:
            del names[name]
    return names


if __name__ == "__main__":
    fuse.FUSE(Disk(), sys.argv[1], foreground=True, nothreads=True, attr_timeout=0, entry_timeout=0)
