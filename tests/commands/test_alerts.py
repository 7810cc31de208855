"""docs/examples/alerts.yml, as Prometheus takes it, on what ``status --prometheus`` prints."""

import json
import shutil
import subprocess
import time

import pytest
from conftest import place
from support import PAIR, ROOT

RULES = ROOT / "docs" / "examples" / "alerts.yml"

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here (Debian's prometheus)")


def promtool(*words):
    done = subprocess.run(["promtool", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def series_of(printed):
    """What is printed now, as node_exporter goes on to show it for an hour; the clock of promtool starts at 0."""
    now = int(time.time())
    for line in printed.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            labels = name.partition("{")[2].rstrip("}")
            name = f'{name.partition("{")[0]}{{{labels}{labels and ","}instance="box"}}'
            value = int(value) - now if int(value) > 1e9 else int(value)
            yield {"series": name, "values": f"{value}+0x60"}


def firing(tmp_path, printed, alerts=("HHTokenLoginNeeded", "HHTokenUnusable"), severity="critical", **expected):
    """Check which minutes each alert begins to fire at (``None``: never within the hour), and what it tells to type."""
    checks = []
    for alert in alerts:
        first, labels, said = expected.get(alert, (None, {}, None))
        for minute in (0, 1, 5, 9, 10, 14, 15, 16, 17, 59):
            found = [{"exp_labels": {"severity": severity, "instance": "box", **labels}, "exp_annotations": said}]
            fires = first is not None and minute >= first
            checks.append({"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": found if fires else []})
    test = {"interval": "1m", "input_series": list(series_of(printed)), "alert_rule_test": checks}
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": [str(RULES)], "tests": [test]}))
    promtool("test", "rules", str(tmp_path / "test.yml"))


def login(command):
    return {
        "summary": "HeadHunter wants a human to authorize again.",
        "description": f"On box, type '{command}', and open the address that it prints.",
    }


def status(command):
    return {
        "summary": "There has been no usable access token for ten minutes.",
        "description": f"On box, type '{command}' to see why.",
    }


def test_promtool_finds_nothing_wrong_with_the_rules():
    promtool("check", "rules", str(RULES))


def test_nothing_fires_while_the_token_is_valid(operator, tmp_path):
    operator.store(PAIR, left=7200, life=7200)
    firing(tmp_path, operator.run("status", "--prometheus").stdout)


def test_a_token_that_is_not_renewed_fires_ten_minutes_later(operator, expired, tmp_path):
    printed = operator.run("status", "--prometheus", expect=69).stdout
    firing(tmp_path, printed, HHTokenUnusable=(10, {}, status("hhtoken status")))


def test_a_login_that_is_needed_fires_at_once_and_alone(operator, tmp_path):
    printed = operator.run("status", "--prometheus", expect=77).stdout
    firing(tmp_path, printed, HHTokenLoginNeeded=(0, {}, login("hhtoken login")))


def test_a_report_that_nobody_writes_any_more_fires_after_the_expiry(operator, tmp_path):
    operator.store(PAIR, left=330, life=1000)
    printed = operator.run("status", "--prometheus").stdout
    firing(tmp_path, printed, HHTokenUnusable=(16, {}, status("hhtoken status")))


@pytest.mark.parametrize("name, words", [("alice", "hhtoken --account alice status"), ("-", "hhtoken status")])
def test_an_account_of_several_is_named(operator, tmp_path, name, words):
    for one in ("-", "alice", "bob"):
        keeper = operator if one == "-" else place(operator, one)
        keeper.store(PAIR, left=-60 if one == name else 7200, life=9000)
    printed = operator.run("status", "--all", "--prometheus", expect=69).stdout
    firing(tmp_path, printed, HHTokenUnusable=(10, {"account": name}, status(words)))


@pytest.mark.parametrize("count", [0, 1])
def test_a_token_that_nothing_renews_fires_a_quarter_of_an_hour_later(operator, tmp_path, count):
    operator.store(PAIR, left=7200, life=7200)
    printed = operator.run("status", "--prometheus").stdout
    assert "\nhhtoken_renewers 0" in printed
    told = {
        "summary": "No timer and no cron job renews the token.",
        "description": "On box, type 'hhtoken status' for what to add.",
    }
    expected = {} if count else {"HHTokenNothingRenews": (15, {}, told)}
    printed = printed.replace("hhtoken_renewers 0", f"hhtoken_renewers {count}")
    firing(tmp_path, printed, ["HHTokenNothingRenews"], "warning", **expected)
