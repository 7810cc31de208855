"""What a disk may hold after a power cut: everything that was synced, and any choice of what was not.

The model is as unkind as POSIX allows. Each write to a file that was not followed by a sync of that file, and each
change of a name that was not followed by a sync of the directory, may be there or not, on its own; and a write may be
there by half.
"""

import itertools
import os

UNIMPORTANT = ".lock"  # its text is for people
WRITE, LINK, RENAME, UNLINK, SYNC_FILE, SYNC_NAMES, MARK = "write link rename unlink sync_file sync_names mark".split()


class Recorder:
    """Records, through the functions of ``os``, what this process does to one directory: ``steps`` is a list of
    (kind, what it needs). Files are known by a number of ours, for a name may mean one file and then another."""

    def __init__(self, monkeypatch, path):
        self._path = str(path)
        self._files = {}  # inode -> its first name, or a number of ours
        self._offsets = {}  # descriptor -> where write() goes on
        self.steps = []
        self.start = {name: (path / name).read_bytes() for name in os.listdir(path)}
        for name in set(self.start) - {UNIMPORTANT}:
            self._files[os.stat(path / name).st_ino] = name
        for name in ("open", "write", "pwrite", "posix_fallocate", "rename", "unlink", "fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._recorded(getattr(os, name), getattr(self, "_" + name)))

    def mark(self, what):
        self.steps.append((MARK, what))

    def _recorded(self, original, note):
        def recorded(*given, **more):
            is_new = original.__name__ != "open" or not self._exists(given[0])
            result = original(*given, **more)
            note(result, is_new, *given)
            return result

        return recorded

    def _exists(self, name):
        return os.path.lexists(os.path.join(self._path, name))

    def _number(self, descriptor):
        """Return our number of a file in the directory; None for any other."""
        return self._files.get(os.fstat(descriptor).st_ino)

    def _open(self, descriptor, is_new, name, flags, *_mode):
        if flags & os.O_CREAT and is_new and os.path.dirname(os.readlink(f"/proc/self/fd/{descriptor}")) == self._path:
            number = len(self.steps)
            self._files[os.fstat(descriptor).st_ino] = number  # which an earlier file may have had
            self.steps.append((LINK, name, number))
        self._offsets[descriptor] = 0

    def _write(self, count, _is_new, descriptor, data):
        self._pwrite(count, _is_new, descriptor, data, self._offsets.get(descriptor, 0))
        self._offsets[descriptor] = self._offsets.get(descriptor, 0) + count

    def _pwrite(self, count, _is_new, descriptor, data, offset):
        number = self._number(descriptor)
        if number is not None:
            self.steps.append((WRITE, number, offset, bytes(data)[:count]))

    def _posix_fallocate(self, _result, _is_new, descriptor, offset, length):
        self._pwrite(length, _is_new, descriptor, bytes(length), offset)

    def _rename(self, _result, _is_new, old, new):
        self.steps.append((RENAME, old, new))

    def _unlink(self, _result, _is_new, name):
        self.steps.append((UNLINK, name))

    def _fsync(self, _result, _is_new, descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}") == self._path:
            self.steps.append((SYNC_NAMES,))
        elif self._number(descriptor) is not None:
            self.steps.append((SYNC_FILE, self._number(descriptor)))

    _fdatasync = _fsync


class Disk:
    """A directory of which some is durable, and some is not yet."""

    def __init__(self, start):
        self._names = {name: name for name in start}  # what is durable: name -> file
        self._contents = {name: [(0, data)] for name, data in start.items()}  # file -> writes
        self._seen = dict(self._names)  # what the running program sees
        self._name_changes = []  # not durable yet: (name, file or None), ... of one change
        self._writes = []  # not durable yet: (file, offset, data)

    def apply(self, step):
        kind, *rest = step
        if kind == WRITE:
            self._writes.append(tuple(rest))
        elif kind == LINK:
            self._change((rest[0], rest[1]))
        elif kind == RENAME:
            self._change((rest[1], self._seen[rest[0]]), (rest[0], None))
        elif kind == UNLINK:
            self._change((rest[0], None))
        elif kind == SYNC_FILE:
            self._keep([write for write in self._writes if write[0] == rest[0]])
            self._writes = [write for write in self._writes if write[0] != rest[0]]
        elif kind == SYNC_NAMES:
            self._names = self._with(self._names, self._name_changes)
            self._name_changes = []

    def states(self, torn):
        """Return each directory that a power cut may leave now, as a frozenset of (name, bytes)."""
        found = set()
        for changes in _subsets(self._name_changes):
            names = self._with(self._names, changes)
            for writes in _choices([write for write in self._writes if write[0] in names.values()], torn):
                found.add(frozenset((name, self._content(file, writes)) for name, file in names.items()))
        return found

    def _change(self, *pairs):
        self._name_changes.append(pairs)
        self._seen = self._with(self._seen, [pairs])

    def _keep(self, writes):
        for file, offset, data in writes:
            self._contents.setdefault(file, []).append((offset, data))

    def _content(self, file, unsynced):
        content = bytearray()
        for offset, data in self._contents.get(file, []) + [write[1:] for write in unsynced if write[0] == file]:
            content.extend(bytes(max(0, offset + len(data) - len(content))))
            content[offset : offset + len(data)] = data
        return bytes(content)

    @staticmethod
    def _with(names, changes):
        names = dict(names)
        for change in changes:
            for name, file in change:
                names[name] = file
                if file is None:
                    del names[name]
        return names


def _subsets(items):
    for size in range(len(items) + 1):
        yield from itertools.combinations(items, size)


def _choices(writes, torn):
    """Yield every choice of writes that are there, were lost, or, if ``torn``, are there by half."""
    for kept in itertools.product((0, 1, 2) if torn else (0, 2), repeat=len(writes)):
        yield [(file, at, data[: len(data) * halves // 2]) for halves, (file, at, data) in zip(kept, writes) if halves]


def cuts(start, steps, without=()):
    """Yield (number of steps done, marks so far, directory) for each legal state after each step.

    ``without``: kinds of steps that are left out, as a program would that never does them; writes are not torn then,
    for there would be too many states.
    """
    disk, marks = Disk(start), ()
    for number, step in enumerate([(MARK, "start"), *steps]):
        if step[0] == MARK:
            marks += (step[1],)
        elif step[0] not in without:
            disk.apply(step)
        for state in disk.states(torn=not without):
            yield number, marks, state
