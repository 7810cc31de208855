"""The state of the token on one screen: is it alive, until when, who renews it, what to do; and the command itself."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time

import pytest
from conftest import PROGRAM
from reports import DEAD, LOST, NOW, REPORTS, UNCLEAR_FOR_DAYS
from support import cron_lists

from hhtoken.commands import status_screen
from hhtoken.console import terminal
from hhtoken.provider import token_errors
from hhtoken.renewal import timers
from hhtoken.renewal.timers import Renewers

EVERY_REPORT = pytest.mark.parametrize("name", REPORTS)
BOTH = Renewers({"hh-token-due.timer": NOW + 60, "hh-token-refresh.timer": NOW + 3600})
CRON_LINE = status_screen.cron_line(["/bin/hhtoken", "--state-dir", "/state"])
ENABLE = status_screen.ENABLE.format(instance="")
ADD_LINE, ENABLE_THEM = ("add the line:", CRON_LINE), ("type:", ENABLE)


@pytest.fixture(autouse=True)
def moscow(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "Europe/Moscow")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def screen(name, seen=BOTH, columns=None, has_colour=False, has_unicode=False, say=str):
    help_wanted = None if seen.names else ENABLE_THEM if seen.can_be_enabled else ADD_LINE
    table = status_screen.rows(REPORTS[name][0], "/state", seen, help_wanted, has_unicode)
    return status_screen.laid_out(table, say, columns, has_colour)


def answers(name, seen=BOTH):
    return dict(re.split(r": +", line, maxsplit=1) for line in screen(name, seen).split("\n"))


@EVERY_REPORT
def test_the_screen_tells_the_state_the_place_and_what_to_do(name):
    report, state, _exit_code = REPORTS[name]
    found = answers(name)
    word = {"authorization_needed": "login needed"}.get(state, state.replace("_", " "))
    assert found["state"] == {"valid": "valid", "outcome_unknown": report.reason, "no_pair": report.reason}.get(
        state, f"{word}: {report.reason}"
    )
    assert found["stored in"] == "/state"
    assert report.next_step is None or found["to do"] == report.next_step
    assert {"access token", "refresh", "renewed by"} & set(found) == (
        {"access token", "refresh", "renewed by"} if report.pair else set()
    )
    assert ("last attempt" in found) == (report.last is not None)
    assert "None" not in screen(name)


@pytest.mark.parametrize(
    "name, label, said",
    [
        ("fresh", "access token", "[########--------] 8 minutes 20 seconds left of 16 minutes 40 seconds, until "
                                  "2023-11-15 01:21:40 +0300"),
        ("last second", "access token", "[#---------------] 1 second left of 16 minutes 40 seconds, until "
                                        "2023-11-15 01:13:21 +0300"),
        ("expired", "access token", "[----------------] expired since 2023-11-15 01:13:20 +0300"),
        ("fresh", "refresh", "possible from 2023-11-15 01:21:40 +0300"),
        ("expired", "refresh", "due now"),
        ("guard", "refresh", "possible from 2023-11-15 01:14:30 +0300"),
        ("dead", "refresh", "not possible"),
        ("dead", "renewed by", "nothing: it cannot be renewed"),
        ("dead", "last attempt", f"2023-11-15 01:12:30 +0300: {DEAD.message}"),
        ("unclear for days", "last attempt", f"2023-11-15 01:12:30 +0300: {UNCLEAR_FOR_DAYS.message}; 2 times in a row "
                                             "since 2023-11-12 01:13:20 +0300"),
        ("no refresh token", "refresh", "not possible"),
        ("no refresh token, valid", "refresh", "not possible"),
        ("no refresh token, valid", "to do", token_errors.HINT_AUTHORIZE),
        ("refused", "refresh", "not possible"),
        ("refused", "renewed by", "nothing: it cannot be renewed"),
        ("lost", "state", LOST.message),
        ("fresh", "to do", "nothing"),
        ("fresh", "renewed by", "hh-token-due.timer (next run 2023-11-15 01:14:20 +0300), "
                                "hh-token-refresh.timer (next run 2023-11-15 02:13:20 +0300)"),
    ],
)  # fmt: skip
def test_the_screen_tells_when_and_who_and_what(name, label, said):
    assert answers(name)[label] == said


def test_a_pair_that_nothing_is_seen_to_renew_is_something_to_do():
    unseen = answers("fresh", Renewers())
    assert unseen["renewed by"] == "nothing (no timer, no cron job found)"
    assert unseen["to do"] == f"add the line: {CRON_LINE}"
    assert answers("fresh", Renewers(can_be_enabled=True))["to do"] == f"type: {ENABLE}"
    assert answers("expired", Renewers())["to do"] == f"type 'hhtoken refresh'; and add the line: {CRON_LINE}"
    by_cron = answers("fresh", Renewers(cron="/etc/cron.d/hh-token"))
    assert (by_cron["renewed by"], by_cron["to do"]) == ("cron (/etc/cron.d/hh-token)", "nothing")
    unfit = answers("fresh", Renewers(unfit=("crontab -l", "it sleeps")))
    assert unfit["renewed by"] == "nothing; cron is meant to (crontab -l), but it sleeps"
    late = answers("fresh", Renewers({"hh-token-refresh.timer": None}))
    assert late["renewed by"] == "hh-token-refresh.timer" and ENABLE in late["to do"]
    assert answers("dead", Renewers())["to do"] == DEAD.hint


def test_what_the_api_or_the_clock_speaks_against_shows_no_life_left():
    for name in ("API says expired", "refused", "clock in 1970"):
        assert " left" not in screen(name) and "\033[32m" not in screen(name, has_colour=True)


@pytest.mark.parametrize(
    "left, life, cells", [(0, 100, 0), (1, 100, 1), (50, 100, 8), (51, 100, 9), (99, 100, 16), (100, 100, 16),
                          (200, 100, 16), (5, 0, 0), (5, -1, 0), (-5, 100, 0)]
)  # fmt: skip
def test_the_bar_is_full_at_first_and_empty_only_at_the_end(left, life, cells):
    assert status_screen.bar(left, life, False) == "[" + "#" * cells + "-" * (16 - cells) + "]"
    assert status_screen.bar(left, life, True) == "[" + "█" * cells + "░" * (16 - cells) + "]"


@EVERY_REPORT
@pytest.mark.parametrize("columns", [30, 60, 80, 100])
def test_no_line_is_wider_than_the_terminal(name, columns):
    lines = screen(name, Renewers(), columns).split("\n")
    assert all(len(line) <= columns or " " not in line.strip() or line == CRON_LINE for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_in_a_narrow_window_the_labels_stand_above_what_they_are_about():
    assert screen("fresh", columns=45).startswith("state:\n  valid\n")
    assert screen("fresh", columns=60).startswith("state:        valid\n")


@pytest.mark.parametrize("columns", [30, 80, 100])
def test_a_command_to_type_stands_on_a_line_of_its_own_unwrapped(columns):
    assert screen("fresh", Renewers(), columns).endswith(f":\n{CRON_LINE}")
    assert screen("fresh", Renewers({"hh-token-refresh.timer": None}), columns).endswith(f" type:\n{ENABLE}")


def test_a_command_for_cron_is_quoted_for_the_shell_and_for_cron_and_tells_each_trouble_once():
    program = """'/a b/hhtoken' --state-dir '/100\\%/it'"'"'s'"""
    line = status_screen.cron_line(["/a b/hhtoken", "--state-dir", "/100%/it's"])
    assert line == f"* * * * * {program} refresh 2>/dev/null || {program} notice --failed-with $?"


@EVERY_REPORT
def test_colour_changes_nothing_but_the_colour(name):
    coloured = screen(name, columns=80, has_colour=True)
    assert "\033[" in coloured
    assert re.sub(r"\033\[\d*m", "", coloured) == screen(name, columns=80)
    assert "\033" not in screen(name)


def test_green_yellow_and_red_are_the_three_kinds_of_news():
    def colour(name):
        return screen(name, has_colour=True).partition("\033[")[2][:3]

    assert [colour("fresh"), colour("expired"), colour("guard"), colour("dead"), colour("damaged")] == [
        "32m", "33m", "33m", "31m", "31m"
    ]  # fmt: skip


def test_every_sentence_goes_through_the_readers_language():
    def foreign(sentence):
        return "x" * len(str(sentence))

    shown = screen("unclear for days", Renewers(), say=foreign)
    assert set(shown.replace(CRON_LINE, "")) == set("x: \n")


def test_whoever_forgot_sudo_is_told_of_the_services_pair_where_there_is_no_other():
    def lines(name, others):
        table = status_screen.rows(REPORTS[name][0], "/home/me/s", BOTH, others=others)
        return status_screen.laid_out(table, str).split("\n")

    told = "but:       the service's pair is in /var/lib/hh-token: type 'sudo hhtoken status'"
    assert lines("no pair", "/var/lib/hh-token")[-1] == told
    assert told not in lines("no pair", None) + lines("fresh", "/var/lib/hh-token")


@EVERY_REPORT
def test_no_screen_holds_a_token(name):
    assert "canary" not in screen(name)


# -- the terminal --


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "ru_RU.utf8"}, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # Python's doing
        ({"LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "en_US", "LC_CTYPE": "en_US.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "ru_RU.KOI8-R"}, False),
        ({"LANG": "ru_RU.KOI8-R", "LC_CTYPE": "C.UTF-8"}, False),  # Python's doing, where that is not installed
        ({"LANG": "ru_RU.UTF-8", "LC_CTYPE": "C.UTF-8"}, True),  # the same
        ({"LANG": "ru_RU.KOI8-R", "LC_CTYPE": "ru_RU.UTF-8"}, True),
        ({}, False),
    ],
)
def test_the_locale_tells_whether_a_terminal_shows_more_than_ascii(environment, expected):
    assert terminal.has_unicode(environment) is expected


def test_a_pipe_has_no_width_and_no_colour(capfd):
    assert terminal.columns() is None
    assert not terminal.has_colour({"TERM": "xterm"})


# -- who renews --

ON_THE_BOX = """\
Id=hh-token-due.timer
LoadState=loaded
ActiveState=active
NextElapseUSecRealtime=Mon 2026-11-23 12:01:00 UTC

Id=hh-token-refresh.timer
LoadState=loaded
ActiveState=inactive
NextElapseUSecRealtime=

Id=hh-token-due.service
LoadState=loaded
Environment=A=b HHTOKEN_STATE_DIR=/var/lib/hh-token
StateDirectory=

Id=hh-token-refresh.service
LoadState=loaded
Environment=HH_TOKEN_WAIT=65
StateDirectory=hh-token
"""


def test_timers_count_only_where_they_run_for_this_very_pair():
    units = timers.systemd_units.parse(ON_THE_BOX)
    seen = timers.of_units(units, "/var/lib/hh-token")
    assert (seen.timers, seen.can_be_enabled) == ({"hh-token-due.timer": 1795435260}, True)
    absent = timers.systemd_units.parse(ON_THE_BOX.replace("LoadState=loaded", "LoadState=not-found"))
    for known, place in (
        (units, "/home/me/.local/state/hh-token"),
        ({}, "/var/lib/hh-token"),
        (absent, "/var/lib/hh-token"),
    ):
        seen = timers.of_units(known, place)
        assert (seen.timers, seen.can_be_enabled) == ({}, False)


@pytest.mark.parametrize("shown", ["", "n/a", "infinity", "0", "Mon 2026-99-23 12:01:00 UTC"])
def test_a_time_that_systemd_does_not_know_is_none(shown):
    assert timers.systemd_units.moment(shown) is None


# -- the command --


def on_terminal(operator, *arguments, columns=80, **environment):
    """Run hhtoken with standard output on a terminal of so many columns; return its exit code and what it shows."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*PROGRAM, *arguments], stdout=follower, stdin=subprocess.DEVNULL, env={**operator.environment, **environment}
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    return process.wait(20), shown.decode().replace("\r\n", "\n")


FRESH = {"access_token": "ACCESS", "refresh_token": "REFRESH"}


def test_on_a_terminal_the_screen_fits_in_80_columns_and_has_colour(lonely):
    lonely.store(FRESH, left=9 * 86400 + 4 * 3600 + 60, life=14 * 86400)
    code, shown = on_terminal(lonely, "status", LANG="C.UTF-8", TERM="xterm")
    assert code == 0 and "\033[32m[███████████░░░░░] 9 days 4 hours left of 14 days" in shown
    lines = re.sub(r"\033\[\d*m", "", shown.replace(str(lonely.state), "/state")).splitlines()
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
def test_who_wants_no_colour_gets_none(lonely, environment):
    lonely.store(FRESH, left=100, life=1000)
    assert "\033" not in on_terminal(lonely, "status", **{"TERM": "xterm", **environment})[1]


def test_a_terminal_without_utf_8_gets_ascii(lonely, tmp_path):
    lonely.store(FRESH, left=100, life=1000)
    cron_lists(lonely, tmp_path / "cron")  # else it offers a line with the path of this very program
    assert on_terminal(lonely, "status", LANG="C")[1].isascii()
    assert on_terminal(lonely, "status", LANG="xx_XX.KOI8-R")[1].isascii(), "nowhere installed"


def test_in_a_pipe_each_answer_is_one_line_without_colour(lonely):
    lonely.store(FRESH, left=1000, life=1000)
    shown = lonely.run("status", TERM="xterm", LANG="C.UTF-8").stdout
    labels = [line.partition(":")[0] for line in shown.splitlines()]
    assert labels == ["state", "access token", "refresh", "renewed by", "stored in", "to do"]
    assert "\033" not in shown and "ACCESS" not in shown and "REFRESH" not in shown


def test_the_line_for_cron_renews_this_very_pair_with_these_very_settings(lonely, tmp_path):
    settings = tmp_path / "my settings"
    settings.write_text("HHTOKEN_DEADLINE=9\n")
    place = lonely.state / "accounts" / "alice"
    place.mkdir(parents=True, mode=0o700)
    lonely.store(FRESH, left=1000, life=1000)
    (place / "token.json").write_bytes(lonely.token_file.read_bytes())
    (place / "token.json").chmod(0o600)
    cron_lists(lonely, tmp_path / "cron", "* * * * * true")
    del lonely.environment["HH_TOKEN_URL"]
    assert f" --state-dir {lonely.state} refresh 2>/dev/null || " in lonely.run("status").stdout
    words = ("--account", "alice", "--env-file", os.path.relpath(settings))
    line = lonely.run(*words, "status").stdout.rstrip().partition("line: ")[2]
    assert f" --state-dir {lonely.state} --account alice --env-file '{settings}' refresh " in line
    assert (
        subprocess.run(["sh", "-c", line.partition("* * * * * ")[2]], env=lonely.environment, timeout=20).returncode
        == 0
    )
    by_environment = lonely.run("status", HHTOKEN_ENV_FILE=str(settings), HHTOKEN_ACCOUNT="alice").stdout.rstrip()
    assert by_environment.endswith(line)
    cron_lists(lonely, tmp_path / "cron", line)
    assert json.loads(lonely.run(*words, "status", "--json").stdout)["renewed_by"] == ["crontab -l"]
    assert json.loads(lonely.run("status", "--json").stdout)["renewed_by"] == [], "that is another account's"


def test_no_line_for_cron_is_offered_where_it_would_do_something_else(lonely, tmp_path):
    cron_lists(lonely, tmp_path / "cron", "* * * * * true")
    lonely.store(FRESH, left=1000, life=1000)
    settings = tmp_path / "settings.env"
    address = lonely.environment["HH_TOKEN_URL"]
    settings.write_text(f"HH_TOKEN_URL={address}\n")
    alone = {
        "HHTOKEN_STORE": "etcd://127.0.0.1:9/x",
        "HH_CLIENT_ID": "id",
        "HHTOKEN_DEADLINE": "",
        "HH_USER_AGENT": "a",
    }
    told = lonely.run("status", **alone).stdout
    assert "* * * * *" not in told and "crontab -e" not in told
    assert ": HHTOKEN_STORE, HH_TOKEN_URL, HH_USER_AGENT; put that into a file, e.g. " in told
    told = lonely.run("status", **alone, HHTOKEN_ENV_FILE=str(settings)).stdout
    assert f": HHTOKEN_STORE, HH_USER_AGENT; put that into a file, e.g. {settings}, " in told
    assert "* * * * *" in lonely.run("status", HHTOKEN_ENV_FILE=str(settings)).stdout


def test_where_the_token_is_published_is_told_and_why_it_cannot_be(lonely, tmp_path):
    lonely.store(FRESH, left=1000, life=1000)
    (tmp_path / "run").mkdir(mode=0o710)
    path = tmp_path / "run" / "access_token"
    assert f"published in: {path}\n" in lonely.run("status", HHTOKEN_PUBLISH=str(path)).stdout
    (tmp_path / "run").rmdir()
    told = f"published in: nowhere: there is no directory {path.parent}; type 'hhtoken doctor'\n"
    assert told in lonely.run("status", HHTOKEN_PUBLISH=str(path)).stdout
    assert "nowhere: " in lonely.run("status", HHTOKEN_PUBLISH=str(lonely.token_file)).stdout
    assert "published" not in lonely.run("status").stdout


def test_the_line_for_cron_mails_each_trouble_once(operator, sandbox, expired, tmp_path):
    settings = tmp_path / "env"
    settings.write_text(
        "".join(f"{name}={value}\n" for name, value in operator.environment.items() if name[:3] == "HH_")
    )
    settings.chmod(0o600)
    cron_lists(operator, tmp_path / "cron", "* * * * * true")
    for name in [name for name in operator.environment if name[:3] == "HH_"]:
        del operator.environment[name]
    line = operator.run("--env-file", settings, "status", expect=69).stdout.rstrip().partition("* * * * * ")[2]

    def mails(times):
        run = [
            subprocess.run(["sh", "-c", line], capture_output=True, env={"PATH": "/usr/bin:/bin"}) for _ in range(times)
        ]
        return [done.stdout.decode() + done.stderr.decode() for done in run]

    sandbox.weather.add("service_unavailable", times=None)
    assert mails(3) == [""] * 3, "an outage of minutes"
    sandbox.weather.clear()
    sandbox.weather.add("token_deactivated", times=None)
    first, *others = mails(4)
    assert "hhtoken on " in first and re.search(r" login[')]", first) and others == [""] * 3
