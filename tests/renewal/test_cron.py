"""Which line of which table of cron's renews a pair: as Debian's cron reads them."""

import os
from pathlib import Path

import pytest

from hhtoken.renewal import cron

HERE = "/var/lib/hh-token"


@pytest.fixture
def program(tmp_path):
    """The absolute path of a program called hhtoken, which is on nobody's PATH."""
    path = tmp_path / "bin" / "hhtoken"
    path.parent.mkdir()
    path.touch(0o755)
    return str(path)


def judged(program, *lines, has_user=False, **wanted):
    table = "".join(f"{line}\n" for line in lines).replace("PROGRAM", program).replace("BIN", os.path.dirname(program))
    return cron.judge(table, has_user, HERE, **wanted)


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "0 * * * *", "*/5 * * * *", "59 0-23 1-31 1-12 0-6", "7,37 */1 * jan-dec sun-sat", "@hourly",
     "0 0-11,12-23 * * 1-7", "0 * 1-31 * mon", "* * 1 * 0-7", "0\t*  * * *"],
)  # fmt: skip
def test_a_line_that_runs_at_least_hourly_renews(program, schedule):
    assert judged(program, f"{schedule} PROGRAM refresh") == (True, None)


@pytest.mark.parametrize(
    "schedule",
    ["0 */2 * * *", "0 9-17 * * *", "0 * * * 1-5", "0 * 1 * mon", "0 * */2 * *", "0 * * 1-11 *", "0 4 * * *",
     "@daily", "@reboot", "@weekly", "0 1-23 * * *", "0 * */2 * 0-6"],
)  # fmt: skip
def test_a_line_that_leaves_hours_out_does_not(program, schedule):
    assert judged(program, f"{schedule} PROGRAM refresh") == (False, cron.SELDOM)


@pytest.mark.parametrize(
    "schedule",
    ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "x * * * *",
     "* * * *", "1.5 * * * *", "-1 * * * *", ", * * * *", "* * * foo *", "~ * * * *"],
)  # fmt: skip
def test_for_a_line_that_cron_refuses_the_whole_table_does_not_count(program, schedule):
    assert judged(program, "* * * * * PROGRAM refresh", f"{schedule} PROGRAM refresh") == (False, cron.REFUSED)


def test_a_table_without_a_newline_at_its_end_does_not_count(program):
    line = f"* * * * * {program} refresh"
    assert cron.judge(f"{line}\n", False, HERE)[0] and not cron.judge(line, False, HERE)[0]
    assert cron.judge("", False, HERE) == (False, None)


@pytest.mark.parametrize(
    "lines, is_found",
    [
        (["* * * * * hhtoken refresh"], False),
        (["PATH=BIN:/usr/bin", "* * * * * hhtoken refresh"], True),
        (["* * * * * hhtoken refresh", "PATH=BIN"], False),
        (['PATH = "/usr/bin:BIN"', "* * * * * hhtoken refresh"], True),
        (["PATH=$PATH:~/bin", "* * * * * hhtoken refresh"], False),
        (["* * * * * PATH=BIN:$PATH hhtoken refresh"], True),
        (["* * * * * cd BIN && ./hhtoken refresh"], True),
        (["* * * * * ./hhtoken refresh"], False),
        (["HOME=BIN", "* * * * * ~/hhtoken refresh"], True),
        (["HOME=BIN", "* * * * * $HOME/hhtoken refresh"], True),
        (["* * * * * /usr/bin/env -m hhtoken refresh"], True),
        (["* * * * * root PROGRAM refresh"], False),
        (["* * * * * PROGRAM-gone/hhtoken refresh"], False),
    ],
)
def test_the_program_is_looked_for_as_cron_and_its_shell_do(program, lines, is_found):
    assert judged(program, *lines) == ((True, None) if is_found else (False, cron.NOT_FOUND))


@pytest.mark.parametrize(
    "command, renews",
    [
        ("PROGRAM --account= refresh", True),
        ("PROGRAM show --refresh --field access_token", True),
        ("PROGRAM refresh >/dev/null 2>&1", True),
        ("PROGRAM refresh 2>/dev/null || PROGRAM notice --failed-with $?", True),
        ("[ -x PROGRAM ] && nice PROGRAM refresh", True),
        ("sh -c 'PROGRAM refresh'", True),
        ("PROGRAM refresh --is-due && PROGRAM refresh", True),
        ("PROGRAM refresh --is-due", False),
        ("PROGRAM %refresh", False),
        ("PROGRAM status; true refresh", False),
        ("PROGRAM # refresh", False),
        ("PROGRAM status", False),
        ("refresh-my-hhtoken", False),
        ("PROGRAM 'refresh", False),
        ("PROGRAM refresh\r", False),
    ],
)
def test_a_command_that_renews_is_known(program, command, renews):
    assert judged(program, "# * * * * * PROGRAM refresh", "", f"* * * * * {command}") == (renews, None)


@pytest.mark.parametrize(
    "words, wanted, is_ours",
    [
        ("refresh", {}, True),
        ("refresh", {"default": HERE}, True),
        ("refresh", {"default": "/home/me/.local/state/hh-token"}, False),
        (f"--state-dir {HERE}/ refresh", {"default": "/x"}, True),
        ("--state-dir=/x refresh", {}, False),
        ("--env-file /e refresh", {"default": "/x"}, True),
        ("refresh", {"account": "alice"}, False),
        ("--account alice refresh", {"account": "alice"}, True),
        ("refresh --account=bob", {"account": "alice"}, False),
        ("--account alice refresh", {}, False),
        ("refresh --all", {"account": "alice"}, True),
    ],
)
def test_only_a_line_for_this_very_pair_counts(program, words, wanted, is_ours):
    assert judged(program, f"* * * * * PROGRAM {words}", **wanted) == (is_ours, None)
    by_environment = ["HHTOKEN_STATE_DIR=/x", f"* * * * * PROGRAM {words}"]
    assert judged(program, *by_environment, **wanted)[0] == (is_ours and "--state-dir" in words)


def test_the_systems_tables_name_a_user_that_there_has_to_be(program):
    assert judged(program, "* * * * * root PROGRAM refresh", has_user=True) == (True, None)
    for line in ("* * * * * PROGRAM refresh", "* * * * * nobody-such PROGRAM refresh", "@hourly PROGRAM"):
        assert judged(program, line, has_user=True) == (False, cron.REFUSED)


def test_the_table_in_the_manual_renews(program):
    """As in docs/systemd.md, with the account and the programs of this machine."""
    script = Path(program).with_name("hh-token-refresh.sh")
    script.touch(0o755)
    lines = ["PATH=BIN:/usr/bin:/bin", f"HHTOKEN_STATE_DIR={HERE}", "HH_TOKEN_WAIT=65",
             "* * * * *   root hhtoken refresh --is-due --wait 63 && hh-token-refresh.sh",
             "0 */6 * * * root hh-token-refresh.sh || MONITOR_EXIT_STATUS=$? hh-token-notify.sh"]  # fmt: skip
    assert judged(program, *lines, has_user=True) == (True, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("name, mode, counts", [("hhtoken", 0o644, True), ("hhtoken.bak", 0o644, False),
                                                ("hhtoken", 0o666, False)])  # fmt: skip
def test_of_cron_d_only_what_cron_reads_counts(tmp_path, monkeypatch, program, name, mode, counts):
    (tmp_path / "cron.d").mkdir()
    table = tmp_path / "cron.d" / name
    table.write_text(f"* * * * * root {program} refresh\n")
    table.chmod(mode)
    monkeypatch.setattr(cron, "SYSTEM_TABLES", str(tmp_path / "cron.d"))
    monkeypatch.setattr(cron, "SYSTEM_TABLE", str(tmp_path / "crontab"))
    monkeypatch.setenv("PATH", str(tmp_path))
    cron._tables.cache_clear()
    assert cron.look(HERE) == ((str(table), None) if counts else (None, None))
    cron._tables.cache_clear()
