"""The manual pages and the completions are in step with the parser, well-formed, and work in real shells."""

import argparse
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time

import manual_text as manual
import pytest
from support import ROOT

from hhtoken import errors
from hhtoken.commands import exec_command
from hhtoken.commands.parser import build_parser, parse_command_line
from hhtoken.settings.settings import DEFAULTS

WRITER = ROOT / "man" / "write_manual.py"
PAGES = ("man/hhtoken.1", "man/ru/hhtoken.1")
COMPLETIONS = ("completions/hhtoken", "completions/_hhtoken", "completions/hhtoken.fish")
CTRL_U = b"\x15"  # forget the line

EXIT_CODES = [errors.OK, errors.DEFECT, *errors.CODES, exec_command.CANNOT_RUN, exec_command.NOT_FOUND]


def flags_of(parser):
    return {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}


def parsers():
    """Return each command's parser by its name; that of hhtoken itself is named ""."""
    parser = build_parser()
    subparsers = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {"": parser, **subparsers.choices}


COMMON = flags_of(parsers()[""])
OF_COMMANDS = [(name, sorted(flags_of(parser))) for name, parser in parsers().items() if name]


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program} here")


# -- in step --


def test_the_tools_write_the_very_bytes_that_are_committed(tmp_path):
    pytest.importorskip("shtab")
    pytest.importorskip("argparse_manpage")
    odd = {**os.environ, "COLUMNS": "40", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "SOURCE_DATE_EPOCH": "1"}
    subprocess.run([sys.executable, WRITER, tmp_path], env=odd, check=True, timeout=60)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.is_file()) == sorted(
        name for name in (*PAGES, *COMPLETIONS) if "." in name
    )
    for name in (*PAGES, *COMPLETIONS):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), f"{name} is out of step; type: make manual"


def test_every_setting_is_in_the_manual():
    sources = "".join(path.read_text() for path in (ROOT / "hhtoken").rglob("*.py"))
    told = " ".join(item[0] for item in manual.ENVIRONMENT[1:]).replace(",", "").split()
    assert set(re.findall(r"\bHH(?:TOKEN)?_[A-Z_]+\b", sources)) <= set(told)
    assert set(DEFAULTS) <= set(told)


def test_the_examples_are_what_the_parser_takes():
    commands = [line for _what, lines in manual.EXAMPLES for line in lines]
    typed = [words for line in commands for words in re.findall(r"hhtoken ([^)&\n]+)", line) if "systemctl" not in line]
    assert len(typed) >= 8
    for words in typed:
        parse_command_line(words.split())


def test_the_documents_have_every_command_flag_and_exit_code():
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    told = "".join(page.read_text() for page in pages)
    for name, flags in OF_COMMANDS:
        assert f"`{name}" in told, name
        for flag in flags:
            assert flag in told or flag == "--help", f"{name} {flag}"
    manuals = [(ROOT / page).read_text() for page in PAGES]
    for code in EXIT_CODES:
        assert re.search(rf"\b{code}\b", told), f"exit code {code}"
        assert all(re.search(rf"^\.B (\d+, )?{code}\b", page, re.M) for page in manuals), f"exit code {code}"


# -- well-formed --


@needs("mandoc")
@pytest.mark.parametrize("page", PAGES)
def test_mandoc_finds_no_fault_in_the_page(page):
    found = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", ROOT / page], capture_output=True, text=True)
    faults = [line for line in found.stdout.splitlines() if "missing date" not in line]
    assert faults == []


INSTALLED = {
    "/usr/local": [
        "etc/fish/completions/hhtoken.fish",
        "usr/local/share/bash-completion/completions/hhtoken",
        "usr/local/share/man/man1/hhtoken.1",
        "usr/local/share/man/ru/man1/hhtoken.1",
        "usr/local/share/zsh/site-functions/_hhtoken",
    ],
    "/usr": [
        "usr/share/bash-completion/completions/hhtoken",
        "usr/share/fish/vendor_completions.d/hhtoken.fish",
        "usr/share/man/man1/hhtoken.1",
        "usr/share/man/ru/man1/hhtoken.1",
        "usr/share/zsh/vendor-completions/_hhtoken",
    ],
}


@needs("make")
@pytest.mark.parametrize("prefix", INSTALLED)
def test_make_install_puts_them_where_man_and_the_shells_look(prefix, tmp_path):
    command = [
        "make",
        "-s",
        "-C",
        ROOT,
        "install",
        f"DESTDIR={tmp_path}",
        f"PREFIX={prefix}",
        f"PYTHON={sys.executable}",
    ]
    clean = {"PATH": os.environ["PATH"]}  # the paths of the `make` that runs this are not to be inherited
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL, env=clean)
    assert [name for name in INSTALLED[prefix] if not (tmp_path / name).is_file()] == []


# -- in real shells, where a Tab starts no program --


@pytest.fixture
def installed(tmp_path):
    """The environment of a shell that finds the completions where `make install` puts them, and a hhtoken that tells
    if it was started."""
    places = {"bash-completion/completions/hhtoken": 0, "zsh/_hhtoken": 1, "fish/vendor_completions.d/hhtoken.fish": 2}
    for place, index in places.items():
        (tmp_path / place).parent.mkdir(parents=True)
        shutil.copy(ROOT / COMPLETIONS[index], tmp_path / place)
    program = tmp_path / "bin" / "hhtoken"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\n")
    program.chmod(0o755)
    (tmp_path / "pair.json").touch()
    path = f"{tmp_path}/bin:/usr/local/bin:/usr/bin:/bin"
    yield {"PATH": path, "HOME": tmp_path, "XDG_DATA_HOME": tmp_path, "XDG_DATA_DIRS": tmp_path, "LC_ALL": "C.UTF-8"}
    assert not (tmp_path / "started").exists()


BASH = r"""
. /usr/share/bash-completion/bash_completion
_completion_loader hhtoken
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$(complete -p hhtoken | sed 's/.*-F \([^ ]*\).*/\1/')"
printf '%s\n' "${COMPREPLY[@]}"
"""


def by_bash(line, environment):
    words = ["bash", "--norc", "-c", BASH, "bash", *line.split(" ")]
    run = subprocess.run(words, env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=20)
    return set(run.stdout.split())


def by_fish(line, environment):
    words = ["fish", "--command", f"complete -C '{line}'"]
    run = subprocess.run(words, env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=20)
    return {found.split("\t")[0] for found in run.stdout.splitlines()}


SHELLS = [
    pytest.param(
        by_bash,
        id="bash",
        marks=pytest.mark.skipif(
            not os.path.exists("/usr/share/bash-completion/bash_completion"), reason="no bash-completion here"
        ),
    ),
    pytest.param(by_fish, id="fish", marks=needs("fish")),
]


@pytest.mark.parametrize("complete", SHELLS)
def test_a_tab_completes_commands_flags_files_and_names(complete, installed):
    assert complete("hhtoken sh", installed) == {"show"}
    assert complete("hhtoken ", installed) >= {name for name, _flags in OF_COMMANDS}
    assert complete("hhtoken --state-dir /tmp sh", installed) == {"show"}
    assert {name.rstrip("/") for name in complete("hhtoken --state-dir b", installed)} == {"bin", "bash-completion"}
    assert complete("hhtoken import p", installed) == {"pair.json"}
    assert complete("hhtoken --env-file p", installed) == {"pair.json"}
    assert complete("hhtoken show --field access", installed) == {"access_token"}
    assert complete("hhtoken authorize-url --role ", installed) >= {"applicant", "employer"}
    assert "grep" in complete("hhtoken exec -- gre", installed)
    assert complete("hhtoken refresh --wait ", installed) <= {""}
    assert complete("hhtoken refresh --", installed) == set(dict(OF_COMMANDS)["refresh"])


@needs("zsh")
def test_a_tab_completes_in_zsh(installed):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 500, 100, 0, 0))  # room for every list
    environment = {**installed, "TERM": "xterm"}
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)

    def types(keys, *expected):
        os.write(master, keys.encode())
        told, deadline = "", time.monotonic() + 20
        while not all(words in told for words in expected):
            assert select.select([master], [], [], deadline - time.monotonic())[0], (keys, told)
            told += os.read(master, 4096).decode(errors="replace")
        os.write(master, CTRL_U)

    try:
        types("cd; fpath=($PWD/zsh $fpath); autoload -Uz compinit; compinit -u -D; echo rea''dy\n", "ready")
        types("hhtoken sh\t", "show")
        types("hhtoken --state-dir /tmp sh\t", "show")
        types("hhtoken import p\t", "pair.json")
        types("hhtoken show --field access\t", "access_token")
        types("hhtoken exec -- gre\t", "grep")
        types("hhtoken refresh --\t", *dict(OF_COMMANDS)["refresh"])
    finally:
        shell.kill()
        shell.wait()
        os.close(master)
