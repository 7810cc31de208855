"""The state directory: there, the right owner's, closed to others, on a disk with room that keeps what it is given."""

import contextlib
import os
import shlex
import stat
import time
from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import findings, settings_check
from hhtoken.console import durations
from hhtoken.settings.settings import DEFAULT_STATE_DIRECTORY
from hhtoken.store import account_names, places
from hhtoken.store.private_directory import TEMPORARY_SUFFIX
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

ABOUT = N_("state directory")
OWNERLESS_SECONDS = 600  # a temporary file that old belongs to nobody: no run takes so long
LITTLE_FREE_BYTES = 50 * 1024 * 1024  # a few hundred times what a refresh needs: somebody fills this disk
FEW_FREE_INODES = 16
NETWORKED = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "afs")
FORGETFUL = ("tmpfs", "ramfs")
OWN_FILES = (  # or begin like these
    ".lock", ".rehearsal", ".reserve", "answer.kept", "app-token.json", "host.json", "journal", "last-notice.json",
    "last-refresh.json", "pending.json", "token.json",
)  # fmt: skip
KEPT_ASIDE = {
    "answer.kept": N_("an answer of HeadHunter's that could not be used"),
    "token.json.damaged-": N_("a damaged token.json"),
    "token.json.unclaimed-": N_("a pair that may be good, and whose place another one has taken"),
}


def look(path):
    """Given the path of the state directory, return the facts."""
    seen = SimpleNamespace(
        path=path,
        exists=os.path.lexists(path),
        error=None,
        status=None,
        files=[],
        room=None,
        trouble=None,
        mount=None,
        me=os.geteuid(),
        service=settings_check.account(),
        has_service_pair=os.path.isdir(DEFAULT_STATE_DIRECTORY),
        now=time.time(),
    )
    try:
        seen.status = os.lstat(path)
        seen.mount = places.mount_of(os.path.realpath(path), places.mounts())
        seen.room = os.statvfs(path)
        seen.files = [(name, os.lstat(os.path.join(path, name))) for name in sorted(os.listdir(path))]
        seen.trouble = _trouble(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        seen.error = error
    return seen


def _trouble(path):
    """Return the StorageError with which a refresh would end before it sends anything, as far as can be seen without
    writing, or None; also where the directory is unsafe, which is said of its mode and its owner."""
    try:
        with contextlib.closing(open_store(path)) as store:
            return store.why_no_room()
    except errors.Error:
        return None


def judge(seen):
    """Given the facts, return the Findings."""
    if not seen.exists:
        found = [findings.note(ABOUT, N_("{path} is made with the first authorization", path=seen.path))]
        return found + _other_pair(seen)
    if seen.error and not seen.status:
        says = N_("{path} cannot be looked at: {reason}", path=seen.path, reason=errors.reason(seen.error))
        return [findings.problem(ABOUT, says, _as_root(seen), exit_code=errors.IOERR)]
    if not stat.S_ISDIR(seen.status.st_mode):
        says = N_("{path} is not a directory of its own", path=seen.path)
        advice = N_("name the real directory with --state-dir")
        return [findings.problem(ABOUT, says, advice=advice, exit_code=errors.IOERR)]
    names = [name for name, _status in seen.files]
    found = _of_directory(seen, names)
    if seen.error:
        says = N_("{path} is not yours to look into ({reason})", path=seen.path, reason=errors.reason(seen.error))
        return found + [findings.note(ABOUT, says, _as_root(seen))] + _other_pair(seen)
    for name, status in seen.files:
        found += _of_file(seen, name, status) if _is_own_file(name) else []
    if not found:
        says = N_("{path} and the files in it are their owner's alone", path=seen.path)
        found = [findings.ok(ABOUT, says)]
    return found + _of_strangers(seen, names) + _of_room(seen) + _of_mount(seen) + _kept_aside(seen) + _other_pair(seen)


def _of_directory(seen, names):
    path, found = shlex.quote(seen.path), []
    wanted = _wanted_owner(seen)
    if wanted is not None and seen.status.st_uid != wanted:
        says = N_("{path} belongs to user {user}, not to {owner}", path=seen.path, user=seen.status.st_uid,
                    owner=settings_check.SERVICE)  # fmt: skip
        name = settings_check.SERVICE
        found.append(findings.problem(ABOUT, says, f"chown -R {name}:{name} {path}", exit_code=errors.IOERR))
    if seen.status.st_mode & 0o077:
        mode = f"{stat.S_IMODE(seen.status.st_mode):o}"
        says = N_("{path} is open to others (mode {mode})", path=seen.path, mode=mode)
        how = places.how_to_close(seen.path, seen.status.st_mode, names)
        found.append(findings.of_error(ABOUT, errors.StorageError(says, how)))
    return found


def _as_root(seen):
    if seen.path == DEFAULT_STATE_DIRECTORY:
        return "sudo hhtoken doctor"
    return f"sudo hhtoken doctor --state-dir {shlex.quote(seen.path)}"


def _wanted_owner(seen):
    """The service's directory is the service's; any other may belong to anybody."""
    if seen.path == DEFAULT_STATE_DIRECTORY and seen.service:
        return seen.service[0]
    return None


def _is_own_file(name):
    """Tell whether a file is hhtoken's, by its name; a temporary one is named after the file that it is to become."""
    return name.startswith(OWN_FILES) or name.endswith(TEMPORARY_SUFFIX) and name[1:].startswith(OWN_FILES)


def _of_file(seen, name, status):
    path = os.path.join(seen.path, name)
    quoted = shlex.quote(path)
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        says = N_("{path} has a second name (a hard link)", path=path)
        command = f"cp -p {quoted} {quoted}.own && mv {quoted}.own {quoted}"
        return [findings.problem(ABOUT, says, command, exit_code=errors.IOERR)]
    if not stat.S_ISREG(status.st_mode):
        says = N_("{path} is not a plain file", path=path)
        return [findings.problem(ABOUT, says, f"ls -l {quoted}", N_("move it away"), errors.IOERR)]
    if status.st_uid != seen.status.st_uid:
        says = N_("{path} belongs to user {user}, not to the owner of the directory", path=path, user=status.st_uid)
        command = f"chown --reference={shlex.quote(seen.path)} {quoted}"
        return [findings.problem(ABOUT, says, command, exit_code=errors.IOERR)]
    if status.st_mode & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):o}"
        says = N_("{path} is open to others (mode {mode})", path=path, mode=mode)
        return [findings.problem(ABOUT, says, f"chmod 600 {quoted}", exit_code=errors.IOERR)]
    if not status.st_mode & 0o400:
        says = N_("{path} cannot be read by its owner", path=path)
        return [findings.problem(ABOUT, says, f"chmod 600 {quoted}", exit_code=errors.IOERR)]
    if name.startswith(".") and name.endswith(".tmp") and seen.now - status.st_mtime > OWNERLESS_SECONDS:
        since = durations.local(status.st_mtime)
        says = N_("{path} was left by a run that was killed ({since}); the next refresh removes it", path=path,
                    since=since)  # fmt: skip
        return [findings.note(ABOUT, says)]
    return []


def _of_strangers(seen, names):
    """Their modes and owners are none of our business."""
    if all(name == account_names.DIRECTORY or _is_own_file(name) for name in names):
        return []
    return [findings.note(ABOUT, N_("{path} holds files that are not hhtoken's", path=seen.path))]


def _of_room(seen):
    if seen.room is None or _is_read_only(seen):  # which is said of the mount
        return []
    if seen.trouble:
        says = N_("no new pair could be stored: {reason}", reason=seen.trouble.message)
        return [findings.problem(ABOUT, says, advice=seen.trouble.hint, exit_code=seen.trouble.exit_code)]
    free = seen.room.f_bavail * seen.room.f_frsize
    place = shlex.quote(seen.path)
    if seen.room.f_files and seen.room.f_favail < FEW_FREE_INODES:
        says = N_("only {free} inodes are free on its disk", free=seen.room.f_favail)
        return [findings.note(ABOUT, says, f"df -i {place}")]
    megabytes = free // (1024 * 1024)
    if not megabytes:
        return [findings.note(ABOUT, N_("only {free} KiB are free on its disk", free=free // 1024), f"df -h {place}")]
    if free < LITTLE_FREE_BYTES:
        says = N_("only {free} MiB are free on its disk", free=megabytes)
        return [findings.note(ABOUT, says, f"df -h {place}")]
    return [findings.ok(ABOUT, N_("{free} MiB are free on its disk", free=megabytes))]


def _is_read_only(seen):
    return seen.mount is not None and seen.mount[2]


def _of_mount(seen):
    if seen.mount is None:
        return []
    point, kind, _read_only = seen.mount
    if _is_read_only(seen):
        says = N_("its file system, {point}, is read-only", point=point)
        command = f"mount -o remount,rw {shlex.quote(point)}"
        advice = N_("look at 'dmesg' first: a disk with errors goes read-only")
        return [findings.problem(ABOUT, says, command, advice, errors.IOERR)]
    if kind in FORGETFUL:
        says = N_("it lies in memory ({kind}): the next boot forgets the pair", kind=kind)
        return [findings.note(ABOUT, says, advice=N_("name a directory on a disk with --state-dir"))]
    if kind in NETWORKED:
        says = N_("it lies on a network file system ({kind}), where locks and flushes may not hold", kind=kind)
        return [findings.note(ABOUT, says, advice=N_("name a directory on a disk of this machine with --state-dir"))]
    return []


def _kept_aside(seen):
    found = []
    for name, _status in seen.files:
        what = next((what for start, what in KEPT_ASIDE.items() if name.startswith(start)), None)
        if what:
            path = os.path.join(seen.path, name)
            says = N_("{path} was kept aside: {what}", path=path, what=what)
            found.append(findings.note(ABOUT, says, advice=N_("remove it once it is of no use")))
    return found


def _other_pair(seen):
    """Whoever forgets sudo on the box looks at a directory of his own."""
    if seen.me == 0 or not seen.has_service_pair or seen.path == DEFAULT_STATE_DIRECTORY:
        return []
    says = N_("the service's pair is another one, in {path}", path=DEFAULT_STATE_DIRECTORY)
    return [findings.note(ABOUT, says, "sudo hhtoken doctor")]
