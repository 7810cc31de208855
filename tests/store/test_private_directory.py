"""Files that are only ever replaced whole, in a directory that only its owner may enter: on a real disk."""

import contextlib
import errno
import os
import re
from types import SimpleNamespace

import pytest

from hhtoken.errors import DataError, StorageError
from hhtoken.store.private_directory import Nested, open_directory, storage_error, write_all

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change owners")


@pytest.fixture
def directory(tmp_path):
    return open_directory(str(tmp_path / "state"), create=True)


def path_in(directory, name="file"):
    return os.path.join(directory.path, name)


def content(directory, name="file"):
    with open(path_in(directory, name), "rb") as file:
        return file.read()


def put(directory, data=b"old", name="file", mode=0o600):
    with open(path_in(directory, name), "wb") as file:
        file.write(data)
    os.chmod(path_in(directory, name), mode)


def mode_of(path):
    return os.stat(path).st_mode & 0o777


@contextlib.contextmanager
def as_stranger():
    """Be an ordinary user for a moment; who is one already stays as he is."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(me)


def open_descriptors(directory):
    """Return how many descriptors of this process lead into the directory, its own among them."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself
            found += os.readlink(f"/proc/self/fd/{name}").startswith(directory.path)
    return found


def broken(monkeypatch, name, code=errno.EIO):
    """Let an os function fail always."""

    def fail(*_given, **_more):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, fail)


# -- the directory --


def test_a_directory_is_made_for_its_owner_alone(tmp_path):
    made = open_directory(str(tmp_path / "a" / "b"), create=True)
    assert mode_of(made.path) == 0o700
    assert (made.owner, made.group) == (os.geteuid(), os.stat(made.path).st_gid)


@pytest.mark.parametrize("create", [True, False])
def test_a_link_or_a_file_is_no_directory_of_its_own(tmp_path, directory, create):
    (tmp_path / "link").symlink_to(directory.path)
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(StorageError, match="is not a directory of its own"):
            open_directory(str(tmp_path / name), create)


@AS_ROOT
def test_root_may_use_the_directory_of_a_service_account(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    os.chown(tmp_path / "state", 12345, 12346)
    opened = open_directory(str(tmp_path / "state"))
    assert (opened.owner, opened.group) == (12345, 12346)


def test_a_directory_that_is_not_there_is_none_and_one_that_cannot_be_made_is_named(tmp_path):
    assert open_directory(str(tmp_path / "state")) is None and not (tmp_path / "state").exists()
    with pytest.raises(StorageError, match=r"^cannot create /proc/none: no such file"):
        open_directory("/proc/none", create=True)


@pytest.mark.parametrize("mode, is_safe", [(0o755, True), (0o720, False), (0o702, False), (0o777, False)])
def test_a_directory_where_others_may_write_is_refused(directory, mode, is_safe):
    held = open_descriptors(directory)
    os.chmod(directory.path, mode)
    with contextlib.nullcontext() if is_safe else pytest.raises(StorageError, match="others may write in"):
        open_directory(directory.path).close()
    assert open_descriptors(directory) == held and mode_of(directory.path) == mode


def test_a_stranger_is_told_whose_directory_it_is():
    with as_stranger(), pytest.raises(StorageError, match="belongs to user 0, not to you") as raised:
        open_directory("/usr")
    assert "sudo -u '#0' hhtoken" in raised.value.hint


# -- a directory below another one --


def test_a_nested_directory_is_made_with_all_on_the_way_and_found_again(tmp_path):
    path = Nested(str(tmp_path / "state"), "accounts", "one")
    assert path == str(tmp_path / "state" / "accounts" / "one")
    assert open_directory(path) is None
    assert not (tmp_path / "state").exists()
    for _ in range(2):
        directory = open_directory(path, create=True)
        assert directory.path == path and open_descriptors(directory) == 1
        directory.close()
    for folder in (tmp_path / "state" / "accounts", path):
        assert mode_of(folder) == 0o700
    assert open_directory(path).path == path


def test_no_step_on_the_way_to_a_nested_directory_may_be_a_link_and_none_stays_open(directory, tmp_path):
    (tmp_path / "elsewhere" / "one").mkdir(parents=True)
    os.symlink(tmp_path / "elsewhere", path_in(directory, "accounts"))
    held = open_descriptors(directory)
    for create in (True, False):
        with pytest.raises(StorageError, match="accounts is not a directory of its own"):
            open_directory(Nested(directory.path, "accounts", "one"), create)
    assert open_descriptors(directory) == held


@AS_ROOT
def test_what_root_makes_on_the_way_belongs_to_the_owner_of_the_base_and_what_was_there_stays(directory):
    os.chown(directory.path, 12345, 12346)
    os.mkdir(path_in(directory, "accounts"), 0o700)
    os.chown(path_in(directory, "accounts"), 12345, 12347)
    made = open_directory(Nested(directory.path, "accounts", "one"), create=True)
    assert (made.owner, made.group) == (12345, 12347)
    assert os.stat(path_in(directory, "accounts")).st_gid == 12347


# -- closing the directory to others, before the first write --


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701])
def test_an_open_directory_is_closed_where_it_is_ours_alone_and_else_left_as_it_is(directory, mode):
    for files in ((), ("token.json",), ("token.json", "else")):
        for name in files:
            put(directory, name=name)
        os.chmod(directory.path, mode)
        directory.close_to_others()
        assert mode_of(directory.path) == 0o700
    os.unlink(path_in(directory, "token.json"))
    os.chmod(directory.path, mode)
    with pytest.raises(StorageError, match="holds files that are not hhtoken's") as raised:
        directory.close_to_others()
    assert f"chmod 700 {directory.path}" in raised.value.hint and mode_of(directory.path) == mode


# -- reading --


def test_a_file_is_read_with_its_modification_time(directory):
    put(directory, b"x" * 1000)
    os.utime(path_in(directory), ns=(1, 1234567890123456789))
    assert directory.read("file") == (b"x" * 1000, 1234567890123456789)


@pytest.mark.parametrize("size", [None, 0, 1, 2047, 2048, 2049])
def test_a_file_up_to_the_limit_is_read_whole_however_it_comes(directory, monkeypatch, size):
    if size is None:
        assert directory.read("file") is None and not directory.exists("file")
        return
    put(directory, b"x" * size)
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 300)))
    if size <= 2048:
        assert directory.read("file", 2048)[0] == b"x" * size
    else:
        with pytest.raises(DataError, match=re.escape(f"{path_in(directory)} is larger than 2 KiB")):
            directory.read("file", 2048)


def test_a_file_that_the_disk_cannot_read_is_an_error_and_not_damage(directory, monkeypatch):
    put(directory)
    held = open_descriptors(directory)
    broken(monkeypatch, "read")
    with pytest.raises(StorageError, match="cannot read .*file: input/output error") as raised:
        directory.read("file")
    assert "dmesg" in raised.value.hint
    assert open_descriptors(directory) == held


def test_what_is_no_regular_file_of_ours_alone_is_refused_and_no_descriptor_stays_open(directory, tmp_path):
    put(directory, name="real")
    os.symlink(path_in(directory, "real"), path_in(directory, "link"))
    os.mkfifo(path_in(directory, "fifo"))
    os.mkdir(path_in(directory, "folder"))
    held = open_descriptors(directory)
    for name in ("link", "fifo", "folder"):
        with pytest.raises(StorageError, match="is not a regular file") as raised:
            directory.read(name)
        assert f"ls -l {path_in(directory, name)}" in raised.value.hint
    os.link(path_in(directory, "real"), path_in(directory, "twin"))
    with pytest.raises(StorageError, match="has a second name"):
        directory.read("twin")
    assert open_descriptors(directory) == held


@AS_ROOT
def test_a_file_of_a_third_party_is_refused_and_one_of_the_owner_or_ours_is_read(directory):
    put(directory)
    os.chown(directory.path, 12345, 12345)
    directory = open_directory(directory.path)
    for owner in (0, 12345):
        os.chown(path_in(directory), owner, owner)
        assert directory.read("file")[0] == b"old"
    os.chown(path_in(directory), 12346, 12345)
    with pytest.raises(StorageError, match="belongs to user 12346, not to the owner of the directory") as raised:
        directory.read("file")
    assert f"chown --reference={directory.path}" in raised.value.hint


def disk(**changes):
    facts = {"f_flag": 0, "f_bavail": 50, "f_frsize": 4096, "f_files": 1000, "f_ffree": 100}
    return lambda _descriptor: SimpleNamespace(**{**facts, **changes})


@pytest.mark.parametrize(
    "facts, said",
    [
        ({"f_flag": os.ST_RDONLY}, "read-only file system"),
        ({"f_bavail": 1}, "no space left on device"),
        ({"f_ffree": 1}, "no space left on device"),
        ({"f_files": 0, "f_ffree": 0}, None),  # a file system that makes them as they are needed
        ({"f_bavail": 2, "f_ffree": 2}, None),
    ],
)
def test_want_of_room_is_seen_without_writing(directory, monkeypatch, facts, said):
    monkeypatch.setattr(os, "fstatvfs", disk(**facts))
    trouble = directory.why_no_room(8192)
    assert str(trouble) == (f"cannot write in {directory.path}: {said}" if said else "None")
    assert trouble is None or trouble.hint


@pytest.mark.parametrize("me, said", [(0, "operation not permitted"), (1000, "permission denied")])
def test_a_directory_that_may_not_be_written_is_seen(directory, monkeypatch, me, said):
    monkeypatch.setattr(os, "geteuid", lambda: me)
    monkeypatch.setattr(os, "access", lambda *_words, **_options: False)
    assert str(directory.why_no_room(1)) == f"cannot write in {directory.path}: {said}"


def test_a_disk_that_fails_is_an_error_that_names_the_place_and_holds_no_descriptor(directory, monkeypatch):
    held = open_descriptors(directory)
    for name in ("fstatvfs", "listdir", "fchmod"):
        broken(monkeypatch, name)
    assert str(directory.why_no_room(1)) == f"cannot look at {directory.path}: input/output error"
    with pytest.raises(StorageError, match="cannot read .*state: input/output error"):
        directory.names()
    with pytest.raises(OSError, match="Input/output error"):
        directory.create("file")
    monkeypatch.undo()
    assert open_descriptors(directory) == held
    with pytest.raises(StorageError, match=r"^cannot open .*: file name too long$"):
        open_directory(os.path.join(directory.path, "x" * 300))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o601])
def test_a_file_that_others_could_read_is_closed_to_them_with_a_warning(directory, mode, capfd):
    put(directory, mode=mode)
    assert directory.read("file")[0] == b"old"
    assert mode_of(path_in(directory)) == 0o600
    assert "could be read by others until now" in capfd.readouterr().err
    assert directory.read("file")[0] == b"old"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("make", [
    lambda directory: os.close(directory.open("file", os.O_RDWR | os.O_CREAT)),
    lambda directory: os.close(directory.create("file")),
    lambda directory: directory.replace("file", b"new"),
], ids=["open", "create", "replace"])  # fmt: skip
def test_a_new_file_is_private_from_the_first_moment(directory, monkeypatch, make):
    modes, open_file = [], os.open

    def open_and_look(*given, **more):
        descriptor = open_file(*given, **more)
        modes.append(os.fstat(descriptor).st_mode & 0o777)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_look)
    before = os.umask(0)
    try:
        make(directory)
    finally:
        os.umask(before)
    assert modes == [0o600]


# -- writing --


@AS_ROOT
def test_a_file_for_the_group_goes_to_a_foreign_group_and_a_private_one_does_not(directory):
    os.chown(directory.path, 0, 12346)
    directory = open_directory(directory.path)
    for mode, group in ((0o640, 12346), (0o600, 0)):
        directory.replace("file", b"new", mode=mode)
        assert (os.stat(path_in(directory)).st_uid, os.stat(path_in(directory)).st_gid) == (0, group)


def test_a_file_is_replaced_whole_and_private_whatever_the_umask(directory):
    put(directory, b"a longer old text", mode=0o644)
    before = os.umask(0o777)
    try:
        directory.replace("file", b"new")
    finally:
        os.umask(before)
    assert content(directory) == b"new"
    assert mode_of(path_in(directory)) == 0o600
    assert os.listdir(directory.path) == ["file"]


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(directory, tmp_path):
    (tmp_path / "target").write_bytes(b"untouched")
    os.symlink(tmp_path / "target", path_in(directory))
    directory.replace("file", b"new")
    assert (tmp_path / "target").read_bytes() == b"untouched"
    assert not os.path.islink(path_in(directory)) and content(directory) == b"new"


@pytest.mark.parametrize("step", ["write", "fsync", "rename", "fchmod", "utime"])
def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(directory, monkeypatch, step):
    put(directory)
    held = open_descriptors(directory)
    broken(monkeypatch, step, errno.ENOSPC)
    with pytest.raises(StorageError, match="cannot write .*file: no space left on device") as raised:
        directory.replace("file", b"new", 5)
    monkeypatch.undo()
    assert "df -h" in raised.value.hint
    assert content(directory) == b"old"
    assert os.listdir(directory.path) == ["file"]
    assert open_descriptors(directory) == held


def test_each_change_of_a_name_is_flushed_with_its_directory(directory, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
                        or fsync(descriptor))  # fmt: skip
    directory.replace("file", b"new")
    assert synced.pop() == directory.path and ".file." in synced.pop()
    directory.keep_aside("file", "other")
    assert synced.pop() == directory.path
    directory.remove("other")
    assert synced.pop() == directory.path
    assert not synced


@AS_ROOT
def test_the_owner_of_the_directory_gets_what_root_writes(directory):
    os.chown(directory.path, 12345, 12346)
    directory = open_directory(directory.path)
    directory.replace("file", b"new")
    os.close(directory.create("other"))
    for name in ("file", "other"):
        status = os.stat(path_in(directory, name))
        assert (status.st_uid, status.st_gid) == (12345, 12346)


def test_a_new_file_can_be_written_and_read_and_takes_the_place_of_none(directory):
    descriptor = directory.create("file")
    os.pwrite(descriptor, b"new", 0)
    assert os.pread(descriptor, 9, 0) == b"new"
    assert mode_of(path_in(directory)) == 0o600
    with pytest.raises(FileExistsError):
        directory.create("file")


def test_a_file_is_kept_aside_or_removed_and_one_that_cannot_be_stays_and_is_named(directory):
    put(directory)
    directory.keep_aside("file", "file.damaged")
    assert os.listdir(directory.path) == ["file.damaged"]
    os.mkdir(path_in(directory, "taken"))
    with pytest.raises(StorageError, match="cannot rename .*file.damaged: is a directory"):
        directory.keep_aside("file.damaged", "taken")
    assert content(directory, "file.damaged") == b"old"
    for _ in range(2):
        directory.remove("file.damaged")
    assert directory.names() == ["taken"]


def test_only_our_own_temporary_files_are_swept_away(directory):
    for name in (".a.tmp", ".b.c.tmp", "a.tmp", ".a.tmpx", ".lock", "tmp"):
        put(directory, name=name)
    directory.remove_leftovers()
    assert sorted(os.listdir(directory.path)) == [".a.tmpx", ".lock", "a.tmp", "tmp"]


@pytest.mark.parametrize("offset", [None, 0, 7])
def test_a_write_that_takes_less_than_all_is_continued(directory, monkeypatch, offset):
    put(directory, b"-" * 30)
    descriptor = directory.open("file", os.O_RDWR)
    write, pwrite = os.write, os.pwrite
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: pwrite(descriptor, bytes(data)[:3], at))
    write_all(descriptor, b"0123456789", offset)
    at = offset or 0
    assert content(directory) == b"-" * at + b"0123456789" + b"-" * (20 - at)


HINTS = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "ulimit -f",
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "ulimit -n",
    errno.EISDIR: "/a/b is to be a file: move the directory",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "as the owner",
    errno.EPERM: "lsattr",
    errno.EBUSY: "mount the directory",
    errno.EINVAL: "cannot flush",
    errno.ENOLCK: "no locks",
    errno.EXDEV: "several",
    errno.ENOTSUP: "no modes",
    errno.ENAMETOOLONG: "shorter",
    errno.EIO: "dmesg",
}


@pytest.mark.parametrize("code", HINTS, ids=errno.errorcode.get)
def test_each_failure_of_a_disk_has_its_own_hint(code):
    error = storage_error("write", "/a/b", OSError(code, os.strerror(code)))
    assert error.message == f"cannot write /a/b: {os.strerror(code).lower()}"
    assert HINTS[code] in error.hint
    assert [hint in error.hint for hint in set(HINTS.values())].count(True) == 1
