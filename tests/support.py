"""What many tests need: where things are, a pair, a moment, how hard hypothesis tries."""

import shlex
from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

PAIR = {"access_token": "ACCESS", "refresh_token": "REFRESH"}
NOW = 1_700_000_000

SLOW = [HealthCheck.too_slow]  # says more about the machine than about the code
QUICK = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW)


def cron_lists(operator, folder, *lines):
    """Let ``crontab -l`` list these lines to an Operator's program; none: one that renews the operator's pair."""
    program, state = shlex.quote(f"{ROOT}/bin/hhtoken"), operator.environment["HHTOKEN_STATE_DIR"]
    lines = lines or (f"* * * * * {program} --state-dir {state} refresh",)
    folder.mkdir(exist_ok=True)
    listed = "".join(f"{line}\n" for line in lines)
    (folder / "crontab").write_text(f"#!/bin/sh\n[ \"$1\" != -l ] || cat <<'END'\n{listed}END\n")
    (folder / "crontab").chmod(0o755)
    operator.environment["PATH"] = f"{folder}:{operator.environment['PATH']}"
