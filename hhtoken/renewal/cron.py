"""Cron's tables: does a line renew the pair, can cron run it, and does it run at least hourly?

As Debian's cron reads them: a table with one wrong line is ignored whole, and so is one without a newline at its end.
"""

import os
import pwd
import re
import shlex
import shutil
import subprocess
from functools import lru_cache
from string import Template

from hhtoken.text import N_

SYSTEM_TABLE, SYSTEM_TABLES = "/etc/crontab", "/etc/cron.d"
TABLE_NAME = re.compile(r"[A-Za-z0-9_-]+")  # cron passes over other files in /etc/cron.d, as those of dpkg
LARGEST_TABLE_BYTES = 64 * 1024
ANSWER_SECONDS = 2
PATH = "/usr/bin:/bin"  # cron's own, whatever the PATH of our shell is
SETTING = re.compile(r"""["']?([^\s=]+?)["']?\s*=\s*(.*)""")
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
NUMBERS = {name: str(at) for names, first in ((MONTHS, 1), (DAYS, 0)) for at, name in enumerate(names, first)}
BUILT_IN = ("exec", "command", "if", "!", "{", "time")  # into the shell
PROGRAM, SCRIPT = "hhtoken", "hh-token-refresh.sh"

REFUSED = N_("cron refuses it for a line that it cannot read")
SELDOM = N_("its line runs less often than hourly")
NOT_FOUND = N_("cron does not find the program in its line; write its absolute path")


def look(directory, account=None, default=None):
    """Given the main state directory, the account (or None), and the state directory of a command that names none
    (None: not known), return ``(table, None)`` of the first table that renews that pair; else ``(table, reason)`` of
    the first that is only meant to, or ``(None, None)``. Tables that we may not read do not count."""
    unfit = (None, None)
    for table, text, has_user in _tables(directory):
        is_good, why_not = judge(text, has_user, directory, account, default)
        if is_good:
            return table, None
        if why_not and not unfit[0]:
            unfit = table, why_not
    return unfit


def judge(text, has_user, directory, account=None, default=None):
    """Given the text of a table, whether its lines name a user, and the same, tell whether the table renews that pair;
    and the reason, where it is only meant to."""
    reasons, environment, is_refused = [], {"PATH": PATH}, bool(text) and not text.endswith("\n")
    lines = [line.strip(" \t") for line in text.split("\n")]  # a carriage return belongs to the command
    lines = [line for line in lines if line and not line.startswith("#")]
    for line in lines:
        setting = SETTING.fullmatch(line)
        if setting:
            environment[setting[1]] = setting[2].strip().strip("\"'")
            continue
        try:
            is_hourly, home, command = _entry(line, has_user)
        except (ValueError, KeyError):
            is_refused = True
            continue
        programs, words, settings = _renewal(command, {"HOME": home, **environment})
        if programs and _is_about(words, settings, directory, account, default):
            are_found = all(_is_found(program, settings) for program in programs)
            reasons.append(NOT_FOUND if not are_found else None if is_hourly else SELDOM)
    if is_refused:
        return False, REFUSED if any(name in line for line in lines for name in (PROGRAM, SCRIPT)) else None
    return None in reasons, reasons[0] if reasons else None


def _entry(line, has_user):
    """Return whether a line runs at least hourly, the home directory that it starts in, and its command for the shell;
    raise ValueError or KeyError where cron refuses it."""
    count = 1 if line.startswith("@") else len(BOUNDS)
    *fields, command = line.split(None, count + has_user)
    if len(fields) != count + has_user:
        raise ValueError(line)
    home = pwd.getpwnam(fields.pop()).pw_dir if has_user else os.path.expanduser("~")
    command = re.split(r"(?<!\\)%", command)[0].replace("\\%", "%")  # what follows a % is the command's input
    return _is_hourly(fields), home, command


def _is_hourly(fields):
    if len(fields) == 1:
        return fields[0] == "@hourly"
    _minutes, hours, days, months, weekdays = (_values(*field) for field in zip(fields, BOUNDS))
    is_each = len(days) == 31, len({day % 7 for day in weekdays}) == 7
    both_count = fields[2].startswith("*") or fields[4].startswith("*")  # crontab(5): else one of them is enough
    return len(hours) == 24 and len(months) == 12 and (all if both_count else any)(is_each)


def _values(field, bounds):
    found = set()
    for part in field.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        ends = bounds if span == "*" else (_number(first), _number(last if dash else first))
        step = _number(step) if slash else 1
        if not bounds[0] <= ends[0] <= ends[1] <= bounds[1] or step < 1:
            raise ValueError(field)
        found.update(range(ends[0], ends[1] + 1, step))
    return found


def _number(text):
    text = NUMBERS.get(text, text)
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _renewal(command, environment):
    """Return the programs that a command renews a pair with (hhtoken, and what starts it), the words behind them, and
    the environment that they have; no programs where it renews none."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.whitespace, lexer.commenters = True, " \t", ""
        words = list(lexer)
    except ValueError:  # a quote without its end
        words = []
    first = None
    for at, word in enumerate(words):
        first = None if _is_end(word) else first
        word = Template(word).safe_substitute(environment)
        word = environment["HOME"] + word[1:] if word.startswith("~/") else word
        name, equals, value = word.partition("=")
        if word.startswith("#"):
            break
        if at and re.fullmatch("-[a-z]*c", words[at - 1]) and " " in word:  # sh -c '…', su -c '…'
            return _renewal(word, environment)
        if equals and name.isidentifier():
            environment = {**environment, name: value}
        elif word == "cd" and words[at + 1 :]:
            environment = {**environment, "HOME": os.path.join(environment["HOME"], words[at + 1])}
        elif os.path.basename(word) in (PROGRAM, SCRIPT):
            rest = _up_to_the_next_command(words[at + 1 :])
            is_renewal = {"refresh", "--refresh"} & set(rest) and "--is-due" not in rest
            if is_renewal or os.path.basename(word) == SCRIPT:
                is_module = words[at - 1] == "-m"  # of Python's
                return [first or word] if is_module else [first or word, word], rest, environment
        first = first or (None if _is_end(word) or equals else word)
    return [], [], environment


def _is_end(word):
    """Tell whether a word ends a command, or begins a comment."""
    return word[:1] in tuple(";|&()#")


def _up_to_the_next_command(words):
    return words[: next((at for at, word in enumerate(words) if _is_end(word)), len(words))]


def _is_found(program, environment):
    path = os.path.join(environment["HOME"], program) if "/" in program else program
    return program in BUILT_IN or shutil.which(path, path=environment["PATH"]) is not None


def _is_about(words, environment, directory, account, default):
    named = _value_of("--state-dir", words) or environment.get("HHTOKEN_STATE_DIR")
    if not named and not (_value_of("--env-file", words) or environment.get("HHTOKEN_ENV_FILE")):  # which may name it
        named = default
    named_account = _value_of("--account", words) or environment.get("HHTOKEN_ACCOUNT") or None
    if named_account != account and "--all" not in words:
        return False
    return not named or os.path.realpath(named) == os.path.realpath(directory)


def _value_of(flag, words):
    for word, following in zip(words, [*words[1:], ""]):
        if word == flag or word.startswith(f"{flag}="):
            return following if word == flag else word[len(flag) + 1 :]
    return None


@lru_cache(maxsize=1)  # for many accounts
def _tables(directory):
    """Return the name, the text, and whether its lines name a user, of each table that cron reads."""
    try:
        names = sorted(filter(TABLE_NAME.fullmatch, os.listdir(SYSTEM_TABLES)))
    except OSError:
        names = []
    paths = [SYSTEM_TABLE, *(os.path.join(SYSTEM_TABLES, name) for name in names)]
    found = [(path, _system_table(path), True) for path in paths]
    found.append(("crontab -l", _users_table(), False))
    try:
        owner = os.stat(directory).st_uid
        if owner != os.geteuid():  # of a service, at which root looks
            name = pwd.getpwuid(owner).pw_name
            found.append((f"crontab -u {name} -l", _users_table("-u", name), False))
    except (OSError, KeyError):
        pass
    return found


def _system_table(path):
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            is_trusted = status.st_uid == 0 and not status.st_mode & 0o022  # else cron does not read it
            return file.read(LARGEST_TABLE_BYTES).decode("utf-8", "replace") if is_trusted else ""
    except OSError:
        return ""


def _users_table(*whose):
    try:
        done = subprocess.run(["crontab", *whose, "-l"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=ANSWER_SECONDS)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")
