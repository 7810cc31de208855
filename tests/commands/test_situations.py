"""Every situation that people reported, and what each command says in it: nowhere is a dead token called valid."""

import contextlib
import json
import shlex
import subprocess

import pytest
from conftest import obtain_pair, program_with
from support import PAIR, ROOT, cron_lists

from hhtoken.renewal import record_keeping
from hhtoken.store.token_store import open_store

BOOTED = program_with("hhtoken.renewal.systemd_units.RUNNING = '/'")
TIMERS = """#!/bin/sh
for unit in hh-token-due hh-token-refresh; do
    printf '%s\\n' Id=$unit.timer LoadState=loaded ActiveState=active UnitFileState=enabled ''
    printf '%s\\n' Id=$unit.service LoadState=loaded Result=success Environment=HHTOKEN_STATE_DIR={state} ''
done
"""


class Scene:
    """An operator whose pair HeadHunter has issued, and cron renews; the functions below change that."""

    def __init__(self, operator, sandbox, tmp_path, cleanup):
        self.operator, self.sandbox, self.tmp_path, self.cleanup = operator, sandbox, tmp_path, cleanup
        operator.environment.update(HH_USER_AGENT="my-bot/1.0 (me@example.com)", HHTOKEN_DEADLINE="2")
        self.program, self.line = None, f"{shlex.quote(f'{ROOT}/bin/hhtoken')} --state-dir {operator.state} refresh"
        self.cron(f"* * * * * {self.line}")
        self.pair()

    def cron(self, line):
        cron_lists(self.operator, self.tmp_path / "cron", line)

    def pair(self, left=1000):
        self.operator.store(obtain_pair(self.sandbox), left=left, life=2000)

    def expire(self, fault=None, code=75):
        self.pair(left=-10)
        self.sandbox.provider.expire()
        if fault:
            self.sandbox.weather.add(fault)
            self.operator.run("refresh", expect=code)


def renewed_by_timers(scene):
    scene.cron("* * * * * true")
    (scene.tmp_path / "cron" / "systemctl").write_text(TIMERS.format(state=scene.operator.state))
    (scene.tmp_path / "cron" / "systemctl").chmod(0o755)
    scene.program = BOOTED


def expired_and_renewed_by_nothing(scene):
    scene.expire()
    scene.cron("* * * * * true")


def the_api_said(kind):
    """Whoever heard it has written it down."""

    def setup(scene):
        with open_store(str(scene.operator.state)) as store:
            record_keeping.heed(store, store.load().pair, kind)
        (scene.sandbox.provider.expire if kind == "token_expired" else scene.sandbox.provider.revoke)()

    return setup


def whoami_heard_expired(scene):
    scene.sandbox.provider.expire()
    scene.operator.run("whoami", expect=69)


def whoami_heard_revoked(scene):
    scene.sandbox.provider.revoke()
    scene.operator.run("whoami", expect=77)


def imported_without_expiry(scene):
    bare = scene.tmp_path / "bare.json"
    bare.write_text(json.dumps({name: scene.operator.stored()[name] for name in PAIR}))
    scene.operator.token_file.unlink()
    scene.operator.run("import", bare)


def a_mount_point(scene):
    place = str(scene.operator.token_file)
    if subprocess.run(["mount", "--bind", place, place], capture_output=True).returncode:
        pytest.skip("needs root, and a mount namespace")
    scene.cleanup.callback(subprocess.run, ["umount", place], check=True)


REVOKED = "the access was revoked"
NOT_REFRESHABLE = "the access token has expired, and there is no refresh token"
OTHERS = "others may write in"
NOTHING = "renewal: nothing renews the token"
# name: what happens; then the state; exit code and first line of `status`, of `doctor` (its first problem), of `show`,
# and of `exec`; and whether `notice` tells of it.
SITUATIONS = {
    "healthy, by cron": (lambda scene: None, "valid", (0, "valid"), (0, ""), (0, "usable"), (0, ""), False),
    "healthy, by timers": (renewed_by_timers, "valid", (0, "valid"), (0, ""), (0, "usable"), (0, ""), False),
    "nothing renews it": (lambda scene: scene.cron("* * * * * true"),
        "valid", (0, "valid"), (78, NOTHING), (0, "usable"), (0, ""), False),
    "cron does not find the program": (lambda scene: scene.cron(
        f"* * * * * hhtoken{scene.line[scene.line.index(' --state-dir'):]}"),
        "valid", (0, "valid"), (78, "does not find"), (0, "usable"), (0, ""), False),
    "cron runs once a day": (lambda scene: scene.cron(f"0 4 * * * {scene.line}"),
        "valid", (0, "valid"), (78, "less often than hourly"), (0, "usable"), (0, ""), False),
    "cron refuses the table": (lambda scene: scene.cron(f"61 * * * * {scene.line}"),
        "valid", (0, "valid"), (78, "cron refuses"), (0, "usable"), (0, ""), False),
    "expired": (Scene.expire, "due", (69, "expired"), (69, "expired"), (69, "expired"), (0, ""), False),
    "expired, nothing renews it": (expired_and_renewed_by_nothing,
        "due", (69, "expired"), (78, "expired"), (69, "expired"), (0, ""), False),
    "the API said expired": (the_api_said("token_expired"),
        "due", (69, "HeadHunter"), (69, "HeadHunter"), (69, "HeadHunter"), (0, ""), False),
    "the API said revoked": (the_api_said("token_revoked"),
        "authorization_needed", (77, REVOKED), (77, REVOKED), (77, REVOKED), (77, "revoked"), True),
    "whoami heard expired": (whoami_heard_expired,
        "due", (69, "HeadHunter"), (69, "HeadHunter"), (69, "HeadHunter"), (0, ""), False),
    "whoami heard revoked": (whoami_heard_revoked,
        "authorization_needed", (77, REVOKED), (77, REVOKED), (77, REVOKED), (77, "revoked"), True),
    "dead": (lambda scene: scene.expire("token_deactivated", 77),
        "authorization_needed", (77, "password"), (77, "password"), (77, "expired"), (77, "password"), True),
    "no refresh token": (lambda scene: scene.operator.store({"access_token": "ACCESS"}, left=-10),
        "authorization_needed", (77, NOT_REFRESHABLE), (77, NOT_REFRESHABLE), (77, "expired"), (77, NOT_REFRESHABLE),
        True),
    "rate limit": (lambda scene: scene.expire("rate_limit_absurd"),
        "try_later", (75, "429"), (75, "429"), (69, "expired"), (75, "429"), False),
    "outcome unknown": (lambda scene: scene.expire("hang_after"),
        "outcome_unknown", (75, "was lost"), (75, "was lost"), (69, "expired"), (77, "was lost on the way"), False),
    "no pair": (lambda scene: scene.operator.token_file.unlink(),
        "no_pair", (77, "not logged in"), (77, "not logged in"), (77, "not logged in"), (77, "not logged in"), True),
    "damaged": (lambda scene: scene.operator.token_file.write_text('{"access_token": '),
        "damaged", (65, "not JSON"), (65, "not JSON"), (65, "not JSON"), (65, "not JSON"), True),
    "the clock is before the issue": (lambda scene: scene.pair(left=20784 * 86400),
        "due", (69, "clock"), (69, "clock"), (0, "clock"), (0, ""), False),
    "others may write in the directory": (lambda scene: scene.operator.state.chmod(0o777),
        None, (74, OTHERS), (74, "open to others"), (74, OTHERS), (74, OTHERS), True),
    "imported without expiry": (imported_without_expiry,
        "due", (69, "expired"), (69, "expired"), (69, "expired"), (0, ""), False),
    "a mount point": (a_mount_point,
        "valid", (74, "valid"), (74, "no new pair could be stored"), (0, "usable"), (0, ""), True),
}  # fmt: skip


@pytest.fixture
def scene(operator, sandbox, tmp_path):
    with contextlib.ExitStack() as cleanup:
        yield Scene(operator, sandbox, tmp_path, cleanup)


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_command_says_what_is_true(scene, name):
    setup, state, status, doctor, show, execute, is_told = SITUATIONS[name]
    setup(scene)

    def first(expected, *words, of="", stream="stdout"):
        code, word = expected
        run = scene.operator.run(*words, expect=code, program=scene.program)
        lines = [line for line in (run.stdout + run.stderr).splitlines() if line.startswith(of)]
        assert word in (lines or [""])[0], run
        return run

    screen = first(status, "status").stdout
    if state:
        fields = json.loads(scene.operator.run("status", "--json", expect=status[0], program=scene.program).stdout)
        assert fields["state"] == state and fields["usable"] == (state == "valid")
        assert (doctor[0] == 78) <= (fields["renewed_by"] == [])
    first(doctor, "doctor", of="problem")
    notice = scene.operator.run("notice", program=scene.program).stdout
    assert bool(notice) == is_told and status[1] in (notice or status[1])
    first(show, "show")
    first(execute, "exec", "--", "true")
    if state != "valid":
        assert not screen.startswith("state:        valid")
