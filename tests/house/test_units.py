"""The units for accounts are those of the one pair, but for what names the account."""

import re
import shutil
import subprocess

import pytest
from support import ROOT

SYSTEMD = ROOT / "systemd"
EXPOSURE = {"refresh": 11, "callback": 11, "sync": 11, "due": 2, "notify": 13}  # tenths
OF_ACCOUNTS = ("refresh", "due", "notify")
HARDENING = SYSTEMD / "hh-token-.service.d" / "10-hardening.conf"

# What a unit of the one pair says otherwise in the unit of an account, or does not say at all.
ADDED = {"Environment=HHTOKEN_ACCOUNT=%i"}
SPREAD = {"RandomizedDelaySec=50s", "FixedRandomDelay=yes"}
CHANGED = [
    (r"^(Description=.*the HeadHunter token)", r"\1 of the account %i"),
    (r"^ConditionDirectoryNotEmpty=/var/lib/hh-token$", r"\g<0>/accounts/%i"),
    (r"^(OnFailure|OnSuccess)=(hh-token-\w+)\.service$", r"\1=\2@%i.service"),
    (r"^RuntimeDirectory=hh-token-notify$", r"\g<0>@%i"),
]


def settings(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("unit", ["refresh.service", "due.service", "notify.service", "refresh.timer", "due.timer"])
def test_the_unit_of_an_account_is_in_step_with_its_sibling(unit):
    kind, _dot, suffix = unit.partition(".")
    added = SPREAD if suffix == "timer" else ADDED
    template = settings(SYSTEMD / f"hh-token-{kind}@.{suffix}")
    assert added <= set(template)
    expected = []
    for line in settings(SYSTEMD / f"hh-token-{unit}"):
        for pattern, replacement in CHANGED:
            line = re.sub(pattern, replacement, line)
        expected.append(line)
    assert [line for line in template if line not in added] == expected


def test_what_the_units_share_stands_in_no_unit():
    """A drop-in wins over the unit, so the unit would say what does not hold."""
    shared = {line.partition("=")[0] for line in settings(HARDENING)} - {"[Service]"}
    assert len(shared) > 20
    for unit in SYSTEMD.glob("*.service"):
        assert not shared & {line.partition("=")[0] for line in settings(unit)}, unit.name


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize("unit", [*EXPOSURE, *(f"{kind}@" for kind in OF_ACCOUNTS)])
def test_no_unit_is_exposed_more_than_is_promised(unit):
    gate = ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE[unit.rstrip('@')]}"]
    done = subprocess.run([*gate, SYSTEMD / f"hh-token-{unit}.service"], capture_output=True, text=True)
    if "Unknown" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("an older systemd-analyze here, which cannot look at a file")
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
