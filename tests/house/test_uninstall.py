"""`make uninstall` names what it keeps; PURGE=1 keeps nothing of hhtoken's. Failed units and nginx: a booted system in
tests/system/scenario.py."""

import os
import shutil
import subprocess
import sys

import pytest
from support import ROOT

SETTINGS = "etc/hh-token/hh-token.env"
KEPT = (  # by `make uninstall`: what an operator has written, or would miss
    "etc/hh-token",
    "etc/systemd/system/hh-token-refresh@alice.service.d",
    "etc/systemd/system/hh-token-refresh.service.d",
    "etc/systemd/system/hh-token-due.timer",  # systemctl edit --full
    "etc/nginx/sites-available/hh-token",
    "etc/nginx/sites-enabled/hh-token",
    "srv/my bots/access_token",
    "srv/my bots/access_token-alice",
    "run/hh-token",
    "var/lib/hh-token",
    "var/log/nginx/oauth_callback.log",
    "var/log/nginx/oauth_callback.log.2.gz",
)
OF_OTHERS = (
    "etc/nginx/sites-available/default",
    "etc/systemd/system/hh-token-bot.service",
    "etc/systemd/system/hh-token-bot.service.d/limits.conf",
    "etc/systemd/system/multi-user.target.wants/hh-token-bot.service",
    "srv/my bots/access_token-of-another-program",
    "var/lib/systemd/timers/stamp-hh-token-bot.timer",
    "var/log/nginx/access.log",
)


@pytest.fixture
def machine(tmp_path):
    """A tree with hhtoken installed, in use, and things of others beside it."""
    for name in OF_OTHERS:
        put(tmp_path / name)
    make("install", tmp_path)
    (tmp_path / SETTINGS).write_text("#HHTOKEN_PUBLISH=/no\nexport HHTOKEN_PUBLISH='/srv/my bots/access_token'\n")
    for name in (
        "etc/systemd/system/hh-token-due.timer",
        "etc/systemd/system/hh-token-refresh.service.d/override.conf",
        "etc/systemd/system/hh-token-refresh@alice.service.d/override.conf",
        "etc/systemd/system/sockets.target.wants/hh-token-callback.socket",
        "etc/systemd/system/timers.target.wants/hh-token-refresh@alice.timer",
        "run/hh-token/access_token",
        "run/hh-token-notify/told",
        "run/hh-token-notify@alice/told",
        "srv/my bots/access_token",
        "srv/my bots/access_token-alice",
        "var/lib/hh-token/token.json",
        "var/lib/hh-token/accounts/alice/token.json",
        "var/lib/systemd/timers/stamp-hh-token-refresh.timer",
        "var/lib/systemd/timers/stamp-hh-token-refresh@alice.timer",
        "var/log/nginx/oauth_callback.log",
        "var/log/nginx/oauth_callback.log.2.gz",
    ):
        put(tmp_path / name)
    (tmp_path / "etc/nginx/sites-enabled").mkdir()
    (tmp_path / "etc/nginx/sites-enabled/hh-token").symlink_to("../sites-available/hh-token")
    return tmp_path


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def make(goal, root, **settings):
    settings = {"DESTDIR": root, "PYTHON": sys.executable, **settings}
    words = ["make", "-s", "-C", ROOT, goal, *(f"{name}={value}" for name, value in settings.items())]
    clean = {"PATH": os.environ["PATH"]}  # the paths of the `make` that runs this are not to be inherited
    return subprocess.run(words, check=True, timeout=60, stdout=subprocess.PIPE, text=True, env=clean).stdout


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make here")


def test_uninstall_keeps_what_it_names_and_nothing_else(machine):
    told = make("uninstall", machine).splitlines()
    assert {line.strip() for line in told if line.startswith("  /")} == {f"/{name}" for name in KEPT}
    left = files(machine) - set(OF_OTHERS)
    assert {name for name in left if not name.startswith(KEPT)} == set()
    assert {name for name in KEPT if not any(found.startswith(name) for found in left)} == set()


def test_purge_leaves_nothing_but_what_others_have(machine):
    make("uninstall", machine, PURGE=1)
    assert files(machine) == set(OF_OTHERS)


def test_a_published_file_that_is_a_directory_is_not_touched(machine):
    (machine / SETTINGS).write_text("HHTOKEN_PUBLISH=/srv\n")
    make("uninstall", machine, PURGE=1)
    assert (machine / "srv/my bots/access_token").exists()


def test_what_was_removed_already_is_not_called_kept(machine):
    make("uninstall", machine, PURGE=1)
    assert "kept" not in make("uninstall", machine)
