"""What hints tell to type is typed here, in a shell, where paths have spaces and quotes in them: each sentence that
quotes a command in the situation that prints it, unless it is marked as advice."""

import ast
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import Operator, account, authorize, come_back, copy_for_all, obtain_pair, place, program_with
from support import PAIR, ROOT

from hhtoken.console import hints
from hhtoken.text import N_, escaped

ODD = "it's a place"
PROGRAMS = "hhtoken|sudo|systemctl|journalctl|ss|ps|ls|lsattr|df|free|date|chmod|chown|rm|install|apt|make|crontab"
COMMAND = re.compile(
    rf"'((?:{PROGRAMS}) [^']+)'|\(((?:{PROGRAMS}) (?:\\.|[^\\)])+)\)|type: ((?:\\.|[^\\;(,])+)"
)  # as it is printed
QUOTED = re.compile(rf"'((?:{PROGRAMS}) [^']+|date|\{{(?:command|program)\}}[^']*)'|type: ([^();]+)")


def sentences():
    """Yield the template of each sentence that quotes a command; the sandbox prints none for an operator."""
    for path in sorted((ROOT / "hhtoken").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("N_", "counted"):
                for word in node.args:
                    if isinstance(getattr(word, "value", None), str) and QUOTED.search(word.value):
                        yield word.value


EXPIRED = -2

# -- situations: given an operator, the sandbox and a directory, return the run that prints the sentence --


def with_expired(operator, sandbox):
    operator.store(obtain_pair(sandbox))
    sandbox.provider.expire()


def run(*words, expect=0, left=None, fault=None, files=(), **more):
    """``left``: seconds that a stored pair has still, EXPIRED, or None for no pair. ``files``: to write beside it."""

    def situation(operator, sandbox, _tmp_path):
        if left:
            operator.store(obtain_pair(sandbox), left=left)
        if left == EXPIRED:
            sandbox.provider.expire()
        for name, content in files:
            (operator.state / name).write_text(content)
            (operator.state / name).chmod(0o600)
        if fault:
            sandbox.weather.add(fault)
        return operator.run(*words, expect=expect, **more)

    return situation


def a_login_by_paste(operator, _sandbox, _tmp_path):
    return operator.run("login", input=come_back(operator))


def a_closed_input(operator, _sandbox, _tmp_path):
    return operator.run("-c", "exec hhtoken exchange <&-", program=["sh"], expect=2)


def a_port_that_is_taken(operator, _sandbox, _tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/callback"
        return operator.run("serve-callback", expect=78, HH_REDIRECT_URI=uri)


def a_pair_moved_out(operator, sandbox, tmp_path):
    operator.store(obtain_pair(sandbox), left=60)
    return operator.run("export", tmp_path / "it's a pair")


def an_import_of_what_has_expired(operator, sandbox, tmp_path):
    with_expired(operator, sandbox)
    file = operator.token_file.rename(tmp_path / "pair.json")
    return operator.run("import", file)


def an_import_of_what_is_spent(operator, sandbox, tmp_path):
    with_expired(operator, sandbox)
    shutil.copy(operator.token_file, tmp_path / "old.json")
    operator.run("refresh")
    return operator.run("import", tmp_path / "old.json", expect=2)


def accounts_alone(operator, sandbox, _tmp_path):
    place(operator, "alice").store(obtain_pair(sandbox), left=60)
    return operator.run("refresh", expect=77)


def a_code_for_an_account(operator, _sandbox, _tmp_path):
    return operator.run("exchange", input=authorize(account(operator, "alice"))["code"], expect=77)


def a_lock_that_is_held(operator, sandbox, _tmp_path):
    with_expired(operator, sandbox)
    (operator.state / ".lock").touch(0o600)
    with (operator.state / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} ")
        lock.flush()
        program = program_with("hhtoken.store.file_lock.LOCK_WAIT_SECONDS = 0.5")
        return operator.run("refresh", expect=75, program=program)


def a_pair_that_nobody_knows(operator, _sandbox, _tmp_path):
    operator.store(PAIR, left=60)
    return operator.run("whoami", expect=77)


def a_sandbox_on_a_port_that_is_taken(operator, sandbox, _tmp_path):
    return operator.run("sandbox", "--listen", sandbox.url.partition("//")[2], expect=75)


def an_open_directory(operator, _sandbox, _tmp_path):
    operator.store(PAIR, left=60)
    operator.state.chmod(0o777)
    return operator.run("show", expect=74)


def open_settings(operator, _sandbox, tmp_path):
    (tmp_path / "env").write_text("HH_CLIENT_SECRET=CANARY\n")
    (tmp_path / "env").chmod(0o644)
    return operator.run("app-token", "--env-file", tmp_path / "env", expect=78, HH_CLIENT_SECRET="")


def a_lock_that_is_a_link(operator, _sandbox, _tmp_path):
    operator.store(PAIR, left=EXPIRED)
    (operator.state / ".lock").symlink_to("/")
    return operator.run("refresh", "--force", expect=74)


def a_second_link(operator, _sandbox, _tmp_path):
    operator.store(PAIR, left=60)
    os.link(operator.token_file, operator.state / "second")
    return operator.run("show", expect=74)


WAITS = 128 + signal.SIGTERM  # of login and the like, which print something, and wait until they are ended

# (beginning of the sentence, situation, exit code of each command in it)
TYPED = [
    ("type 'hhtoken login', and open the address", run("refresh", expect=77), [WAITS]),
    ("type 'hhtoken login' again, and open", run("login", "--timeout", "1", expect=75), [WAITS]),
    ("to keep it valid, type 'hhtoken status'", a_login_by_paste, [0]),
    ("type 'hhtoken exchange', then paste", a_closed_input, [0]),
    ("paste the address that it ends up on into 'hhtoken exchange'", run("authorize-url"), [0]),
    ("let 'hhtoken serve-callback', or hh-token", run("authorize-url"), [WAITS, 0]),
    ("no authorization is under way yet; type", run("serve-callback", "--timeout", "1", expect=75), [0]),
    ("type 'hhtoken serve-callback' again, then", run("serve-callback", "--timeout", "1", expect=75), [WAITS, 0]),
    ("see who listens with 'ss -ltnp sport", a_port_that_is_taken, [0, 0, 0]),
    ("or type 'hhtoken authorize-url', then", a_port_that_is_taken, [0, 0]),
    ("type '{program} --help'", run("statsu", expect=2), [0]),
    ("type 'hhtoken refresh --help'", run("refresh", "--jobs", "2", expect=2), [0]),
    ("'hhtoken status --all --json' tells", run("refresh", "--all", "--is-due", expect=2), [77]),
    ("moved the pair into {path}; to use it", a_pair_moved_out, [0]),
    ("imported: {expired}; type 'hhtoken refresh'", an_import_of_what_has_expired, [0]),
    ("remove {path}; to see the stored pair", an_import_of_what_is_spent, [0]),
    ("type 'hhtoken refresh', or use", run("show", "--field", "access_token", expect=69, left=EXPIRED), [0, 0]),
    ("type 'hhtoken refresh'", run("whoami", expect=69, left=EXPIRED), [0]),
    (
        "the stored pair is kept; type 'hhtoken refresh' later",
        run("refresh", expect=75, left=EXPIRED, fault="service_unavailable"),
        [0],
    ),
    (
        "type 'hhtoken refresh'; it waits",
        run("status", expect=69, left=EXPIRED, files=[("journal", '{"kind": "refresh"}')]),
        [0],
    ),
    (
        "type 'hhtoken revoke' to end it, or",
        run("status", expect=(0, 69, 75), left=60, files=[("journal", '{"kind": "revoke"}')]),
        [2, 0],
    ),  # it asks, at a terminal
    ("there are accounts: {names}; name one", accounts_alone, [0]),
    ("it is under way for an account: type", a_code_for_an_account, [0]),
    ("let it finish, then try again; to see it", a_lock_that_is_held, [0]),
    (
        "no pair is lost by it; type: rm",
        run("authorize-url", expect=65, left=60, files=[("pending.json", "{")]),
        [0, WAITS],
    ),
    ("type: chmod 700 {path}", an_open_directory, [0]),
    ("type: chmod o= {path}", open_settings, [0]),
    ("look at it with 'ls -l {path}', move", a_lock_that_is_a_link, [0]),
    ("to give it a file of its own, type: cp -p {path}", a_second_link, [0]),
    ("type 'hhtoken init'; what it asks for is on {page}", run("login", expect=78, HH_CLIENT_ID=""), [2]),
    ("see 'hhtoken init --help'", run("init", expect=2), [0]),
    ("type 'hhtoken app-token --renew' in five", run("app-token", expect=75, fault="service_unavailable"), [0]),
    (
        "copy the address that begins with {start}",
        run("login", "--timeout", "1", expect=75, HH_REDIRECT_URI="myapp://c"),
        [0],
    ),
    ("type 'hhtoken refresh'; if that fails, {authorize}", a_pair_that_nobody_knows, [77, WAITS]),
    (
        "type 'hhtoken refresh --force': it tries once more",
        run("refresh", expect=75, left=EXPIRED, fault="hang_after", HHTOKEN_DEADLINE=2),
        [77],
    ),
    ("type 'hhtoken sandbox --listen 127.0.0.1:0'", a_sandbox_on_a_port_that_is_taken, [0]),
    ("type 'hhtoken refresh' to see it, or", run("notice", "--failed-with", "74", left=60), [0, 0]),
]

# Not to be typed as it stands: it is for root, for systemd or for several hosts (tests/system and tests/cluster have
# those), has a file or a name to put in, is one of many ways to go on, or stands behind another hint.
ADVICE = """\
type 'hhtoken login', and paste the address that
type 'hhtoken whoami'
type: {command}
{where} is free for 'hhtoken login'
'hhtoken login' waits there while you authorize
look at the clock with 'date' first; then at the
put it there by 'hhtoken import FILE'
for example 'hhtoken exec -- python3 bot.py'
it has to be a program: see 'ls -l', 'chmod +x', and
remove {path}; or move the stored pair out first:
see 'journalctl -t hhtoken -n 20', then type
if {service} has it, type {start}'hhtoken login';
'systemctl enable --now {socket}', then
to have it renewed, type '{command}'
if that is too late, 'hhtoken notice --again'
nothing was removed; type 'hhtoken refresh', then
nothing was removed; {hint}; or type 'hhtoken revoke
the timers go on, and find no pair; to stop them,
etcd still holds it, and it comes back here;
type 'hhtoken sync --once' first
type 'hhtoken sync --once', since another host may have
the clock is before the time at which this token was
nowhere: {reason}; type 'hhtoken doctor'
the service's pair is in {path}: type 'sudo hhtoken
a host on its own needs no 'hhtoken sync'
by this machine's clock the access token
type: {python} -m pip install {library}
type: apt install python3-{library}
check HH_TOKEN_URL if it is set, or remove it;
look at 'free -m' and at the limits of this shell
{fix}; then type 'hhtoken refresh'
type 'hhtoken revoke' again
{hint}; then type 'hhtoken revoke' again
once etcd answers, type 'hhtoken sync --once'
it is under way for accounts: type 'hhtoken --account
nothing is overwritten; every host still has its copy
look at 'hhtoken status' there; should it stay silent
to put another one there, move that one out first,
to put this one there, type 'hhtoken import {path}'
name a directory of its own with --state-dir; or, if
make room on the file system of {path} (see 'df -h'
look at 'lsattr {path}' (chattr -i, -a) and at
if you trust it, type: chown --reference={owner}
type: chmod g+s {path}
it is for the group of its directory: see 'ls -ld
'hhtoken refresh' publishes it, where HHTOKEN_PUBLISH
set HHTOKEN_STORE as on the other hosts; or, to use
it is left as it is; restore a copy with 'hhtoken
'hhtoken app-token' prints that one
'hhtoken refresh' clears up
check the clock with 'date'; someone may be in
compare the site with {path}; 'ss -ltnp sport = :80'
cron does not see what is set in this environment alone
if you trust it, type: sudo chown {me} {path}
in {file}, write '{directive}', then type: {reload}
log in with 'hhtoken login --listen 127.0.0.1:80'
name a directory elsewhere, or type: chmod o-w {path}
name a file in a directory of its own; to make one,
set the clock: see 'date' and 'timedatectl'
type 'crontab -e' and add the line:
type 'hhtoken login'
type 'hhtoken refresh' after {moment}
type: chmod go-w {path}
{fix}; then 'hhtoken refresh' puts it in place
{hint}, or 'hhtoken refresh --force' now
{hint}; to ask again at once, type 'hhtoken refresh
""".splitlines()


def is_about(start, sentence):
    """A short one is the whole sentence: else it would stand for any new one that begins alike."""
    return sentence == start or len(start) > 28 and sentence.startswith(start)


def test_every_sentence_that_quotes_a_command_is_typed_or_advice():
    found = set(sentences())
    known = [start for start, _situation, _codes in TYPED] + ADVICE
    new = [sentence for sentence in found if not any(is_about(start, sentence) for start in known)]
    assert not new, "neither in TYPED nor in ADVICE"
    gone = [start for start in known if not any(is_about(start, sentence) for sentence in found)]
    assert not gone, "no sentence begins so any more"


@pytest.fixture
def odd(tmp_path, sandbox):
    """An operator whose state directory lies where a shell takes nothing as it stands."""
    (tmp_path / ODD).mkdir()
    return Operator(tmp_path / ODD / "state", sandbox.environment())


@pytest.mark.parametrize("start, situation, codes", TYPED, ids=[start for start, *_rest in TYPED])
def test_what_a_sentence_tells_to_type_works_as_it_stands(odd, sandbox, tmp_path, start, situation, codes):
    done = situation(odd, sandbox, tmp_path / ODD)
    pattern = ".+?".join(map(re.escape, re.split(r"\{\w+\}", start))).replace("'", "['()]")
    [sentence, *_more] = re.findall(f"{pattern}.*", done.stdout + done.stderr)
    commands = ["".join(found) for found in COMMAND.findall(sentence)]
    assert len(commands) >= len(codes), sentence  # another sentence may stand behind it
    for command, code in zip(commands, codes):
        if shutil.which(command.split()[0], path=odd.environment["PATH"]):
            assert typed(command, odd) == code, command


def typed(command, operator):
    """Type a command into a shell, with an address to paste where it wants one, and return its exit code."""
    who = account(operator, "alice") if "alice" in command else operator
    pasted = come_back(who) if "exchange" in command else ""
    with subprocess.Popen(
        ["sh", "-c", command if ";" in command else f"exec {command}"],
        env=operator.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        process.stdin.write(pasted)
        if any(f"hhtoken {verb}" in command for verb in ("login", "serve-callback", "sandbox")):
            process.stdout.readline()
            process.terminate()
        output, _none = process.communicate(timeout=60)
    assert "Traceback" not in output and "a defect" not in output, output
    return process.returncode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has typed sudo")
def test_who_types_sudo_and_has_a_token_of_their_own_is_told(odd, tmp_path):
    own = Operator(tmp_path / "nobody" / "state", {})
    own.state.parent.mkdir()
    program = program_with(f"hhtoken.store.opening.OWN_DIRECTORY = '{tmp_path}/{{user}}/state'")
    for told in (False, True):
        for words in (["show"], ["status"], ["refresh"]):
            run = odd.run(*words, expect=77, program=program, SUDO_USER="nobody")
            assert (f"nobody has a token in {own.state}: to use it, type this without sudo" in str(run)) is told
        own.store(PAIR)
    assert "nobody" not in str(odd.run("show", expect=77, program=program))


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the system has no Python")
def test_a_missing_library_is_installed_in_a_way_that_the_system_takes():
    """Debian's pip refuses, that of an environment of its own does not."""
    said = []
    for python in (sys.executable, "/usr/bin/python3"):
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from hhtoken.console.hints import to_install as how"
        code += "; print(how('x'))"
        said.append(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    is_managed = list(Path("/usr/lib").glob("python3*/EXTERNALLY-MANAGED"))
    assert said[0] == f"type: {escaped(sys.executable)} -m pip install x"
    assert said[1] == ("type: apt install python3-x" if is_managed else "type: /usr/bin/python3 -m pip install x")


def test_a_directory_for_the_published_file_is_made_as_the_command_says(odd, tmp_path):
    odd.store(PAIR, left=60)
    published = tmp_path / ODD / "run" / "access_token"
    run = odd.run("refresh", HHTOKEN_PUBLISH=published)
    command = (
        re.search(r"install -d .+", run.stderr)[0]
        .replace("OWNER", str(os.geteuid()))
        .replace("GROUP", str(os.getegid()))
    )
    assert typed(command, odd) == 0
    assert published.parent.is_dir()


def ways_to_copy(enclosed):
    """Given a command with what encloses it in a sentence, return what a person may copy of it."""
    return [enclosed[1:-1]] if enclosed[0] == "'" else [enclosed[1:-1], enclosed]


@pytest.mark.parametrize(
    "name, encloses",
    [("plain", "'"), ("Мой-дом", "'"), ("Мой дом", "("), ("it's", "("), ("$HOME", "("), ("a\\b", "("), ('"a"', "("),
     ("`a`", "("), ("(a)", "("), ("a;b&c|d", "("), ("*?[a]", "("), ("~", "("), ("# a", "("), ("'a' 'b", "(")],
)  # fmt: skip
def test_a_command_works_as_it_is_copied_wherever_program_state_and_file_are(tmp_path, monkeypatch, name, encloses):
    place = tmp_path / name / "hhtoken"
    place.parent.mkdir()
    place.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    place.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(place)])
    monkeypatch.setattr(hints, "_flags", {"--state-dir": name})
    path = str(place.parent)
    sentence = N_("{path} is lost: type 'hhtoken import {typed}', or 'hhtoken login'", path=path, typed=escaped(path))
    said = hints.with_flags(sentence, None)
    first, second = said.removeprefix(f"{path} is lost: type ").split(", or ")
    for enclosed, words in ((first, ["import", path]), (second, ["login"])):
        assert enclosed[0] == encloses, said
        for command in ways_to_copy(enclosed):
            run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
            assert run.stdout.splitlines() == ["--state-dir", name, *words], command


@pytest.mark.parametrize("program", ["ls -ld", "lsattr"])
def test_a_command_of_another_program_is_enclosed_in_the_same_way(program):
    sentence = f"look at '{program} {{path}}' (chattr -i)"
    assert hints.with_flags(sentence.format(path=escaped("/a")), None) == f"look at '{program} /a' (chattr -i)"
    said = hints.with_flags(sentence.format(path=escaped("/a 'b'")), None)
    assert said == rf"look at ({program} /a\ \'b\') (chattr -i)"


NOBODY = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


def test_what_root_is_to_type_calls_the_program_as_it_was_called():
    """A directory that only root can look into; and a checkout, of which no PATH knows."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(state := os.path.join(folder, "state"), 0o000)
        program = copy_for_all(Path(folder))
        words = [program, "doctor", "--state-dir", state]
        environment = {"PATH": "/usr/bin:/bin", "HH_API_URL": "http://127.0.0.1:9", "HH_TOKEN_URL": "http://127.0.0.1:9",
                       "HH_AUTHORIZE_URL": "http://127.0.0.1:9"}  # fmt: skip
        for more in ([], ["--json"]):
            run = subprocess.run([*words, *more], env=environment, capture_output=True, text=True, timeout=60, **NOBODY)
            assert f"sudo {program} doctor --state-dir {state}" in run.stdout, run
            assert "sudo hhtoken" not in run.stdout and "'hhtoken " not in run.stdout, run


@pytest.mark.parametrize(
    "command, ready",
    [
        ("sudo hhtoken doctor", "sudo /a\\ b/hhtoken doctor"),
        ("hhtoken sync --once", "/a\\ b/hhtoken sync --once"),
        ("journalctl -t hhtoken -n 5", "journalctl -t hhtoken -n 5"),
        ("ls -l /x/hhtoken /y", "ls -l /x/hhtoken /y"),
        (None, None),
    ],
)
def test_a_command_that_stands_alone_gets_no_flag(monkeypatch, command, ready):
    monkeypatch.setattr(sys, "argv", ["/a b/hhtoken"])
    monkeypatch.setattr(hints, "_flags", {"--state-dir": "/s"})
    assert hints.called(command) == ready


def test_a_command_for_root_in_a_sentence_gets_no_flag(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/co/bin/hhtoken"])
    monkeypatch.setattr(hints, "_flags", {"--state-dir": "/s"})
    said = hints.with_flags("type 'sudo hhtoken status', or 'hhtoken login'", "alice")
    assert said == "type 'sudo /co/bin/hhtoken status', or '/co/bin/hhtoken --account alice --state-dir /s login'"
