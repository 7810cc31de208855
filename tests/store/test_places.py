"""Places where a pair cannot be kept, or not safely: each is found before it matters, and the hint names the cause."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import PROGRAM, Operator, obtain_pair, refreshes
from support import PAIR

from hhtoken.errors import StorageError
from hhtoken.store import places
from hhtoken.store.private_directory import open_directory

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount and to change owners")
STRANGER = 4242


# -- a file that is mounted by itself, as into a container --


def with_mount(source, target):
    """Return the program, in a world of its own where one file is mounted over another."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(source), str(target), *PROGRAM]


@pytest.fixture
def mounted(operator, tmp_path):
    """The operator's token.json, with a blank and a letter in its path, is a file of the host."""
    operator.state = tmp_path / "my état"
    operator.environment["HHTOKEN_STATE_DIR"] = str(operator.state)

    def mount(left):
        (tmp_path / "host.json").write_bytes(operator.store({**operator.pair, "token_type": "bearer"}, left, 2000))
        (tmp_path / "host.json").chmod(0o600)
        return with_mount(tmp_path / "host.json", operator.token_file)

    return mount


CANNOT = "cannot write {path}: device or resource busy"
HOW = "{path} is a mount point, so it cannot be replaced: mount the directory that holds it"


@AS_ROOT
def test_a_mounted_pair_is_told_of_before_it_is_due_and_nothing_is_spent_when_it_is(operator, sandbox, mounted):
    operator.pair = obtain_pair(sandbox)
    cannot, how = CANNOT.format(path=operator.token_file), HOW.format(path=operator.token_file)
    for left, state in ((1000, "valid"), (-5, "misconfigured")):
        program = mounted(left)
        operator.run("refresh", program=program, expect=0 if left > 0 else 74)
        status = json.loads(operator.run("status", "--json", program=program, expect=74).stdout)
        assert (status["state"], status["usable"], status["exit_code"]) == (state, left > 0, 74)
        assert cannot in status["reason"] and how in status["next_step"]
        found = json.loads(operator.run("doctor", "--json", program=program, expect=(69, 74, 78)).stdout)["findings"]
        assert [one["advice"] for one in found if one["kind"] == "problem" and cannot in one["says"]][:1] == [how]
        assert operator.run("show", "--field", "access_token", program=program, expect=0 if left > 0 else 69)
    assert (status["last_refresh"]["message"], status["last_refresh"]["hint"]) == (cannot, how)
    assert refreshes(sandbox) == 0
    operator.run("refresh")
    assert json.loads(operator.run("status", "--json").stdout)["state"] == "valid"


@AS_ROOT
def test_a_published_file_that_is_mounted_is_told_of(lonely, tmp_path):
    (tmp_path / "run").mkdir(mode=0o710)
    published, host = tmp_path / "run" / "token", tmp_path / "host"
    for path in (published, host):
        path.write_text("OLD\n")
    lonely.environment["HHTOKEN_PUBLISH"] = str(published)
    lonely.store(PAIR, left=1000, life=2000)
    program = with_mount(host, published)
    how = HOW.format(path=published)
    assert f"hhtoken: hint: {how}" in lonely.run("refresh", program=program).stderr
    assert CANNOT.format(path=published) in lonely.run("status", program=program).stdout
    assert how in lonely.run("doctor", program=program, expect=(69, 74, 75, 78)).stdout


def test_a_mount_is_known_by_its_path_whatever_is_in_it(monkeypatch):
    text = "24 22 0:22 / /my\\040d\\134isk/état rw - ext4 /dev/sda1 rw\n"
    monkeypatch.setattr(places, "mounts", lambda: text)
    assert places.is_mount_point("/my d\\isk/état") and not places.is_mount_point("/my d\\isk")
    monkeypatch.undo()
    monkeypatch.setattr("builtins.open", lambda *_given, **_more: (_ for _ in ()).throw(FileNotFoundError()))
    assert places.mounts() == ""


# -- file systems that lack something --


def lacking(operator, call, fault, *path):
    """Return the program on a file system where a system call, on a path, does something else."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    only = [word for one in path for word in ("-P", str(one))]
    return ["strace", "-f", "-q", "-o", os.devnull, *only, "-e", f"trace={call}", "-e", f"inject={call}:{fault}",
            *PROGRAM]  # fmt: skip


LACKING = {
    "flush": ("fsync", "error=EINVAL", "cannot flush a directory"),
    "locks": ("flock", "error=ENOLCK", "has no locks"),
    "locks of FUSE": ("flock", "error=ENOSYS", "has no locks"),
    "locks of others": ("flock", "error=EOPNOTSUPP", "has no locks"),
    "one device": ("renameat", "error=EXDEV", "is put together from several"),
    "modes": ("fchmod", "error=EPERM", "keeps no modes"),
    "a place": ("renameat", "error=EBUSY", "mount the directory"),
}


@pytest.mark.parametrize("lack", LACKING)
def test_what_a_file_system_lacks_is_found_before_the_request_and_named(operator, sandbox, expired, lack):
    call, fault, says = LACKING[lack]
    path = [operator.state] if lack == "flush" else []
    run = operator.run("refresh", program=lacking(operator, call, fault, *path), expect=74)
    assert says in run.stderr.splitlines()[-1] and run.stderr.splitlines()[-1].startswith("hhtoken: hint: ")
    assert refreshes(sandbox) == 0 and operator.token_file.read_bytes() == expired


@pytest.mark.parametrize("opened", ["token.json", "."])
def test_a_mode_that_is_set_in_vain_is_no_mode(operator, sandbox, expired, opened):
    (operator.state / opened).chmod(0o644 if opened == "token.json" else 0o755)
    said = operator.run("refresh", program=lacking(operator, "fchmod", "retval=0"), expect=74).stderr
    assert "keeps no modes" in said and "its mode is 600 again" not in said and refreshes(sandbox) == 0


def test_where_everybody_may_do_all_nobody_is_told_to_change_a_mode(tmp_path, monkeypatch):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    for kind, says in (("drvfs", "keeps no modes"), ("9p", "keeps no modes"), ("ext4", "chmod 700")):
        monkeypatch.setattr(places, "mounts", lambda kind=kind: f"24 22 0:22 / {tmp_path} rw - {kind} C: rw\n")
        with pytest.raises(StorageError, match="others may write in") as raised:
            open_directory(str(tmp_path / "state"))
        assert says in raised.value.hint


def test_the_hint_about_a_second_name_keeps_the_pair_in_place(operator, sandbox, expired, tmp_path):
    os.link(operator.token_file, tmp_path / "second")
    for command, code in (("refresh", 74), ("doctor", (69, 74, 78))):
        told = operator.run(command, expect=code)
        line, *_ = [one for one in (told.stdout + told.stderr).splitlines() if "type: cp" in one]
    subprocess.run(["sh", "-c", line.partition("type: ")[2]], check=True)
    assert operator.token_file.read_bytes() == (tmp_path / "second").read_bytes() == expired
    operator.run("refresh")


# -- root in directories of strangers --


@pytest.fixture
def everybodys():
    """A directory like /tmp: everybody may make something in it."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o1777)
        yield Path(path)


def of_stranger(path, mode=0o700):
    path.mkdir(parents=True)
    path.chmod(mode)
    os.chown(path, STRANGER, STRANGER)
    return path


RUN_AS = "sudo -u '#4242' hhtoken"
STRANGE = {  # what is done in a directory like /tmp; the state directory; the hint
    "made first": ("mkdir state; chown 4242 state", "state", RUN_AS),
    "below a step": ("mkdir -p step/state; chown 4242 step", "step/state", RUN_AS),
    "still to be made": ("mkdir step; chown 4242 step", "step/a/state", RUN_AS),
    "through a link": ("mkdir -p real/state; ln -s real link; chown -h 4242 link", "link/state", RUN_AS),
    "a link into a step": ("mkdir -p step/state; chown 4242 step; ln -s step link", "link/state", RUN_AS),
    "where all may rename": ("mkdir -p open/state; chmod 777 open", "open/state", "chmod o-w "),
}


@AS_ROOT
@pytest.mark.parametrize("how", STRANGE)
def test_root_keeps_no_pair_where_a_stranger_may_take_it(lonely, everybodys, tmp_path, how):
    commands, state, hint = STRANGE[how]
    subprocess.run(["sh", "-c", f"umask 022; {commands}"], cwd=everybodys, check=True)
    (tmp_path / "pair.json").write_text(json.dumps({**PAIR, "expires_in": 1000}))
    before = sorted(everybodys.rglob("*"))
    for command in (["import", tmp_path / "pair.json"], ["refresh"], ["status"], ["show"]):
        assert hint in lonely.run(*command, "--state-dir", everybodys / state, expect=74).stderr
    assert sorted(everybodys.rglob("*")) == before, "nothing is made there"


@AS_ROOT
def test_root_may_use_what_root_has_made_for_a_user(lonely, everybodys):
    home = everybodys / "home"
    home.mkdir(mode=0o755)
    one = Operator(of_stranger(of_stranger(home / "alice") / "state"), lonely.environment)
    one.environment["HHTOKEN_STATE_DIR"] = str(one.state)
    one.store(PAIR, left=1000, life=1000)
    os.chown(one.token_file, STRANGER, STRANGER)
    one.run("refresh")


@AS_ROOT
@pytest.mark.parametrize("due", [True, False])
@pytest.mark.parametrize("owner, mode", [(STRANGER, 0o755), (0, 0o777), (0, 0o1777), (0, 0o775)])
def test_root_publishes_nothing_into_a_strangers_directory(operator, sandbox, tmp_path, owner, mode, due):
    place = tmp_path / "run"
    place.mkdir()
    place.chmod(mode)
    os.chown(place, owner, owner)
    operator.environment["HHTOKEN_PUBLISH"] = str(place / "token")
    operator.store(obtain_pair(sandbox), left=-5 if due else 1000, life=2000)
    if due:
        sandbox.provider.expire()
    said = operator.run("refresh").stderr
    assert "the access token is not published" in said and "hhtoken: hint: " in said
    assert list(place.iterdir()) == [] and refreshes(sandbox) == due
    found = json.loads(operator.run("doctor", "--json", expect=(69, 74, 78)).stdout)["findings"]
    assert [(one["kind"], one["exit_code"]) for one in found if one["about"] == "published file"] == [("problem", 78)]


@AS_ROOT
def test_root_publishes_for_the_owner_of_the_pair(lonely, tmp_path):
    lonely.store(PAIR, left=1000, life=1000)
    for path in (lonely.state, lonely.token_file, of_stranger(tmp_path / "run", 0o750)):
        os.chown(path, STRANGER, STRANGER)
    lonely.run("refresh", HHTOKEN_PUBLISH=tmp_path / "run" / "token")
    status = (tmp_path / "run" / "token").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (STRANGER, 0o640)


# -- settings that a stranger may write --


@AS_ROOT
@pytest.mark.parametrize("owner, group, mode, hint", [
    (STRANGER, 0, 0o600, "sudo chown 0 "), (0, 0, 0o602, "chmod go-w "), (0, STRANGER, 0o660, "chmod go-w "),
    (0, 0, 0o660, None), (0, STRANGER, 0o640, None),
])  # fmt: skip
def test_settings_that_a_stranger_may_write_are_refused(lonely, tmp_path, owner, group, mode, hint):
    file = tmp_path / "hh.env"
    file.write_text("HH_TOKEN_URL=http://127.0.0.1:9/token\n")
    file.chmod(mode)
    os.chown(file, owner, group)
    lonely.store(PAIR, left=1000, life=1000)
    run = lonely.run("show", "--field", "access_token", "--env-file", file, expect=78 if hint else 0)
    assert (f"type: {hint}{file}" in run.stderr) if hint else run.stderr == ""
    if owner:
        lonely.run("show", "--env-file", file, SUDO_UID=owner)
