"""``init``: what it asks, what it refuses, and what the env file holds afterwards."""

import os
import pty
import stat
import subprocess

import pytest
from conftest import PROGRAM, take_signals

ANSWERS = "ID1\nsec$ret #1\n\nme@example.com\n"
WRITTEN = {
    "HH_CLIENT_ID": "ID1",
    "HH_CLIENT_SECRET": "sec$ret #1",
    "HH_REDIRECT_URI": "http://127.0.0.1:8000/callback",
    "HH_USER_AGENT": "hhtoken/1.0.0 (me@example.com)",
}


@pytest.fixture
def newcomer(lonely, tmp_path):
    """Someone without any setting, and the file that is to hold them."""
    lonely.file = tmp_path / "config" / "hh-token.env"
    return lonely


def init(newcomer, answers, *flags, **more):
    return newcomer.run("init", "--env-file", newcomer.file, *flags, input=answers, **more)


def as_shell_reads(path):
    names = " ".join(f'"${name}"' for name in WRITTEN)
    script = f"set -eu; . '{path}'; printf '%s\\n' {names}"
    values = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(zip(WRITTEN, values))


def test_answers_come_from_standard_input_one_a_line(newcomer):
    finished = init(newcomer, ANSWERS)
    assert finished.stdout == "" and finished.stderr.endswith(f"--env-file {newcomer.file} login'\n")
    assert stat.S_IMODE(newcomer.file.stat().st_mode) == 0o600
    assert as_shell_reads(newcomer.file) == WRITTEN


def test_what_flags_give_is_not_asked_and_the_commands_then_find_everything(newcomer):
    flags = ("--client-id", "ID1", "--redirect-uri", "bot.example.org", "--email", "me@example.com")
    init(newcomer, "secret\n", *flags)
    address = newcomer.run("authorize-url", "--env-file", newcomer.file).stdout
    assert "client_id=ID1" in address and "redirect_uri=https%3A%2F%2Fbot.example.org%2Fcallback" in address


def test_the_secret_is_never_taken_from_an_argument(newcomer):
    init(newcomer, ANSWERS, "--client-secret", "secret", expect=2)
    assert not newcomer.file.exists()


def test_every_other_line_of_a_file_stays_and_an_empty_answer_keeps_the_old_value(newcomer):
    newcomer.file.parent.mkdir()
    newcomer.file.write_text(
        "# mine\nexport HH_CLIENT_ID = old\nHH_CLIENT_SECRET=\nOTHER='a b'\nHH_CLIENT_ID=older\n# end"
    )
    newcomer.file.chmod(0o646)
    init(newcomer, "\nnew\n\nme@example.com\n")
    assert newcomer.file.read_text().splitlines() == [
        "# mine",
        "HH_CLIENT_ID=older",
        "HH_CLIENT_SECRET=new",
        "OTHER='a b'",
        "# end",
        "HH_REDIRECT_URI=http://127.0.0.1:8000/callback",
        'HH_USER_AGENT="hhtoken/1.0.0 (me@example.com)"',
    ]
    assert stat.S_IMODE(newcomer.file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "answers, said",
    [
        ("", "no answer"),
        ("ID\n", "no answer"),
        ("your_client_id\n", "placeholder"),
        ("ID\nsecret\nhttp://bot.example.org/callback\n", "https"),
        ("ID\nsecret\n\nnobody\n", "e-mail"),
        ("ID\nsecret\n\n\n", "e-mail"),
    ],
)
def test_a_wrong_answer_writes_nothing(newcomer, answers, said):
    assert said in init(newcomer, answers, expect=(2, 78)).stderr
    assert not newcomer.file.exists()


@pytest.mark.parametrize("content", ["no assignment\n", "HH_CLIENT_ID='two\nlines'\n"])
def test_a_file_that_cannot_be_rewritten_stays_as_it_is(newcomer, content):
    newcomer.file.parent.mkdir()
    newcomer.file.write_text(content)
    init(newcomer, ANSWERS, expect=78)
    assert newcomer.file.read_text() == content
    assert list(newcomer.file.parent.iterdir()) == [newcomer.file]


def test_a_place_that_cannot_be_written_is_named(newcomer):
    newcomer.file = type(newcomer.file)("/proc/hhtoken/hh-token.env")
    assert "/proc/hhtoken" in init(newcomer, ANSWERS, expect=74).stderr


def at_terminal(newcomer, typed):
    """Type the answers at a terminal of its own, each once it is asked for; return what stood on the screen."""
    pid, terminal = pty.fork()
    if not pid:
        take_signals()
        os.execve(PROGRAM[0], [*PROGRAM, "init", "--env-file", str(newcomer.file)], newcomer.environment)
    screen = b""
    for asked, answer in typed:
        while asked.encode() not in screen.rpartition(b"\n")[2]:
            screen += os.read(terminal, 1000)
        os.write(terminal, answer)
    try:
        while piece := os.read(terminal, 1000):
            screen += piece
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.decode()


def test_at_a_terminal_the_secret_is_not_shown_and_a_wrong_answer_is_asked_for_again(newcomer):
    code, screen = at_terminal(
        newcomer,
        [
            ("client ID: ", b"ID1\n"),
            ("client secret: ", b"sec$ret #1\n"),
            ("callback]: ", b"ftp://bot.example.org\n"),
            ("callback]: ", b"\n"),
            ("User-Agent: ", b"me@example.com\n"),
        ],
    )
    assert code == 0, screen
    assert "sec$ret" not in screen
    assert "hhtoken: error: " in screen and "login" in screen
    assert as_shell_reads(newcomer.file) == WRITTEN


def test_ctrl_c_ends_with_130_and_writes_nothing(newcomer):
    code, screen = at_terminal(newcomer, [("client ID: ", b"ID1\n"), ("client secret: ", b"\x03")])
    assert code == 130, screen
    assert not newcomer.file.exists()
