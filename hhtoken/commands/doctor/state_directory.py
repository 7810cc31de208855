"""The state directory: there, the right owner's, closed to others, on a disk with room that keeps what it is given."""

import contextlib
import os
import shlex
import stat
from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import findings, settings
from hhtoken.settings.settings import DEFAULT_STATE_DIRECTORY
from hhtoken.store import places
from hhtoken.store.private_directory import TEMPORARY_SUFFIX
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

ABOUT = N_("state directory")
LITTLE_FREE_BYTES = 50 * 1024 * 1024  # a few hundred times what a refresh needs: someone fills this disk
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
ELSEWHERE = N_("name a directory on a disk of this machine with --state-dir")


def look(path):
    """Given the path of the state directory, return the facts."""
    seen = SimpleNamespace(path=path, exists=os.path.lexists(path), error=None, status=None, files=[], free=None,
                           trouble=None, mount=None, me=os.geteuid(), service=settings.account(),
                           has_service_pair=os.path.isdir(DEFAULT_STATE_DIRECTORY))  # fmt: skip
    try:
        seen.status = os.lstat(path)
        seen.mount = places.mount_of(os.path.realpath(path), places.mounts())
        disk = os.statvfs(path)
        seen.free = disk.f_bavail * disk.f_frsize
        seen.files = [(name, os.lstat(os.path.join(path, name))) for name in sorted(os.listdir(path))]
        # what is unsafe is said of its mode and its owner
        with contextlib.suppress(errors.Error), contextlib.closing(open_store(path)) as store:
            seen.trouble = store.why_no_room()
    except FileNotFoundError:
        pass
    except OSError as error:
        seen.error = error
    return seen


def judge(seen):
    """Given the facts, return the Findings."""
    if not seen.exists:
        found = [findings.note(ABOUT, N_("{path} is made by the first login", path=seen.path))]
        return found + _other_pair(seen)
    if seen.error and not seen.status:
        says = N_("{path} cannot be looked at: {reason}", path=seen.path, reason=errors.reason(seen.error))
        return [findings.problem(ABOUT, says, _as_root(seen), exit_code=errors.IOERR)]
    if not stat.S_ISDIR(seen.status.st_mode):
        says = N_("{path} is not a directory of its own", path=seen.path)
        advice = N_("name the real directory with --state-dir")
        return [findings.problem(ABOUT, says, advice=advice, exit_code=errors.IOERR)]
    found = _of_directory(seen)
    if seen.error:
        says = N_("you may not look into {path} ({reason})", path=seen.path, reason=errors.reason(seen.error))
        return found + [findings.note(ABOUT, says, _as_root(seen))] + _other_pair(seen)
    for name, status in seen.files:
        if name.startswith(OWN_FILES) or name.endswith(TEMPORARY_SUFFIX) and name[1:].startswith(OWN_FILES):
            found += _of_file(seen, name, status)
    if not found:
        says = N_("{path} and the files in it are their owner's alone", path=seen.path)
        found = [findings.ok(ABOUT, says)]
    return found + _of_disk(seen) + _kept_aside(seen) + _other_pair(seen)


def _of_directory(seen):
    """The service's directory is the service's; any other may belong to anybody."""
    path, found, mode, names = shlex.quote(seen.path), [], seen.status.st_mode, [name for name, _status in seen.files]
    if seen.path == DEFAULT_STATE_DIRECTORY and seen.service and seen.status.st_uid != seen.service[0]:
        owner = settings.SERVICE
        says = N_("{path} belongs to user {user}, not to {owner}", path=seen.path, user=seen.status.st_uid, owner=owner)
        found.append(findings.problem(ABOUT, says, f"chown -R {owner}:{owner} {path}", exit_code=errors.IOERR))
    if mode & 0o077:
        says = N_("{path} is open to others (mode {mode})", path=seen.path, mode=f"{stat.S_IMODE(mode):o}")
        found.append(findings.of_error(ABOUT, errors.StorageError(says, places.how_to_close(seen.path, mode, names))))
    return found


def _as_root(seen):
    if seen.path == DEFAULT_STATE_DIRECTORY:
        return "sudo hhtoken doctor"
    return f"sudo hhtoken doctor --state-dir {shlex.quote(seen.path)}"


def _of_file(seen, name, status):
    path = os.path.join(seen.path, name)
    quoted, mode = shlex.quote(path), f"{stat.S_IMODE(status.st_mode):o}"
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
        says = N_("{path} is open to others (mode {mode})", path=path, mode=mode)
        return [findings.problem(ABOUT, says, f"chmod 600 {quoted}", exit_code=errors.IOERR)]
    if not status.st_mode & 0o400:
        says = N_("{path} cannot be read by its owner", path=path)
        return [findings.problem(ABOUT, says, f"chmod 600 {quoted}", exit_code=errors.IOERR)]
    return []


def _of_disk(seen):
    point, kind, is_read_only = seen.mount or ("", "", False)
    if is_read_only:
        says = N_("its file system, {point}, is read-only", point=point)
        advice = N_("look at 'dmesg' first: a disk with errors goes read-only")
        return [findings.problem(ABOUT, says, f"mount -o remount,rw {shlex.quote(point)}", advice, errors.IOERR)]
    found = []
    if seen.trouble:
        says = N_("no new pair could be stored: {reason}", reason=seen.trouble.message)
        found.append(findings.problem(ABOUT, says, advice=seen.trouble.hint, exit_code=seen.trouble.exit_code))
    elif seen.free is not None:
        megabytes = seen.free / 2**20
        says = N_("{free} MiB are free on its disk", free=round(megabytes, 1 if megabytes < 10 else None))
        little = findings.note(ABOUT, says, f"df -h {shlex.quote(seen.path)}")
        found.append(little if seen.free < LITTLE_FREE_BYTES else findings.ok(ABOUT, says))
    if kind in FORGETFUL:
        says = N_("it is in memory ({kind}): the next boot forgets the pair", kind=kind)
        found.append(findings.note(ABOUT, says, advice=ELSEWHERE))
    if kind in NETWORKED:
        says = N_("it is on a network file system ({kind}), where locks and flushes may not hold", kind=kind)
        found.append(findings.note(ABOUT, says, advice=ELSEWHERE))
    return found


def _kept_aside(seen):
    found = []
    for name, _status in seen.files:
        what = next((what for start, what in KEPT_ASIDE.items() if name.startswith(start)), None)
        if what:
            says = N_("{path} was kept aside: {what}", path=os.path.join(seen.path, name), what=what)
            found.append(findings.note(ABOUT, says, advice=N_("safe to delete after the next successful refresh")))
    return found


def _other_pair(seen):
    """Whoever forgets sudo on the box looks at a directory of his own."""
    if seen.me == 0 or not seen.has_service_pair or seen.path == DEFAULT_STATE_DIRECTORY:
        return []
    says = N_("the service's pair is another one, in {path}", path=DEFAULT_STATE_DIRECTORY)
    return [findings.note(ABOUT, says, "sudo hhtoken doctor")]
