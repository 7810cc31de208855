"""A clock that is wrong: no human is called in vain, the provider is not flooded, and setting it right is enough.

First hours of it inside this process, then the program itself.
"""

import json
import os
import subprocess
import time
from email.utils import formatdate

import pytest
from conftest import Operator, obtain_pair, refreshes, wait_for

from faults.strace import HHTOKEN, PROGRAM, PYTHON
from hhtoken import errors
from hhtoken.pair import pair_from_answer
from hhtoken.provider.answer import Answer
from hhtoken.renewal import exchange, judgement
from hhtoken.sandbox.provider import Provider
from hhtoken.sandbox.refusals import Refused
from hhtoken.sandbox.settings import Settings
from hhtoken.store import record
from hhtoken.store.token_store import fingerprint, open_store

NOW = 1_800_000_000
LIFE_SECONDS = 14 * 24 * 3600
TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600
MOST_AN_HOUR = 4

# By how many seconds our clock is off.
WRONG = {
    "in 1970": -NOW + 60,
    "ten years ahead": TEN_YEARS_SECONDS,
    "an hour back": -3600,
    "an hour ahead": 3600,
    "a minute back": -60,
    "a day ahead": 24 * 3600,
}


class World:
    """The provider with its right clock, a store with a pair, and our clock, which is off by ``error`` seconds.

    ``issued_off``: by how many seconds it was off when the pair was issued, and known to be so from the Date of that
    answer; None: nothing is known. ``has_date``: the provider's answers say what time it is.
    """

    def __init__(self, path, monkeypatch, issued_off=None, has_date=True):
        self.now = float(NOW)
        self.error = 0
        self._has_date = has_date
        self.requests = []  # when, by the right clock
        self.provider = Provider(Settings(expires_in=LIFE_SECONDS), lambda: self.now)
        request = self.provider.read_authorization({"response_type": "code", "client_id": Settings().client_id})
        code = self.provider.answer(request, True).partition("code=")[2]
        form = {"grant_type": "authorization_code", "code": code, "client_id": Settings().client_id}
        pair = self.provider.token({**form, "client_secret": Settings().client_secret})
        self.store = open_store(str(path), create=True)
        monkeypatch.setattr(time, "sleep", lambda _seconds: None)
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, lambda _descriptor: None)
        issued = pair_from_answer(pair, NOW + (issued_off or 0))
        self.store.save(issued)
        if issued_off is not None:
            date = formatdate(NOW, usegmt=True) if has_date else None
            answer, token = Answer(200, b"", True, date=date), fingerprint(issued.refresh_token)
            self.store.remember(judgement.saved(record.AUTHORIZED, "stored a new pair", issued, answer, token))

    def end(self):
        os.close(self.store.directory.descriptor)

    def prepare(self):
        pass

    def post(self, form, journal):
        self.requests.append(self.now)
        try:
            status, document = 200, self.provider.token(form)
        except Refused as refused:
            status, document = refused.refusal.status, refused.refusal.document
        moment = int(self.now + self.error)
        date = formatdate(self.now, usegmt=True) if self._has_date else None
        answer = Answer(status, json.dumps(document).encode(), True, received_at=moment, date=date)
        journal.append(answer.body)
        journal.finish(answer)
        return answer

    def run(self):
        """Let the timer fire; return the exit code."""
        return exchange.renew(self.store, self, clock=lambda: self.now + self.error).exit_code

    def pass_time(self, seconds, step=60):
        """Let the timer fire every minute for so long; return the exit codes."""
        codes = []
        until = self.now + seconds
        while self.now < until:
            codes.append(self.run())
            self.now += step
        return codes

    def is_alive(self):
        pair = self.store.load().pair
        try:
            self.provider.check_user_token(pair.access_token)
        except Exception:
            return False
        return True


def most_in_an_hour(moments):
    return max((sum(1 for other in moments if moment <= other < moment + 3600) for moment in moments), default=0)


AGES = {"fresh": 3600, "expires meanwhile": LIFE_SECONDS - 3600, "expired": LIFE_SECONDS + 60}
OFF = {"right": 0, **WRONG}
LATE = ("an hour ahead", "a day ahead")  # a pair issued under such a clock seems to live so much longer


@pytest.mark.parametrize("has_date", [True, False])
@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("wrong", OFF)
def test_a_wrong_clock_calls_no_human_and_floods_nobody(wrong, age, has_date, tmp_path, monkeypatch, note):
    """Wrong now, wrong when the pair was issued, or both, each in its own way."""
    date = "with Date" if has_date else "no Date"
    for number, issued in enumerate((None, *OFF)):
        world = World(tmp_path / str(number), monkeypatch, OFF.get(issued), has_date)
        world.now += AGES[age]
        world.error = OFF[wrong]
        codes = world.pass_time(3 * 3600)
        most = most_in_an_hour(world.requests)
        world.error = 0
        set_right_at = world.now
        while not world.is_alive() and world.now < set_right_at + 3600:
            world.run()
            world.now += 30
        seconds = int(world.now - set_right_at)
        title = f"Requests in the worst hour of three with a wrong clock, {date}"
        note(title, f"the clock is {wrong}; the pair {age}", {f"issued {issued or 'unknown'}": most})
        is_alive = world.is_alive()
        world.end()
        assert errors.NOPERM not in codes
        assert most <= MOST_AN_HOUR, (issued, world.requests)
        if issued not in LATE:
            assert is_alive and seconds <= 300, (issued, seconds)


@pytest.mark.parametrize("skew", [-30, -10, -1, 0, 1, 10, 30])
def test_a_clock_that_is_set_by_seconds_costs_no_gap(skew, tmp_path, monkeypatch, note):
    """Set between issue and expiry. By the provider's Date, its moment of expiry is known all the same."""
    gaps = []
    for fraction in range(10):
        world = World(tmp_path / str(fraction), monkeypatch, issued_off=0)
        world.now += LIFE_SECONDS - 120 + fraction / 10
        world.error = skew
        while world.store.load().pair.obtained_at < NOW + 100 or not world.is_alive():
            world.run()
            world.now += 0.25
        world.end()
        gaps.append(round(world.now - NOW - LIFE_SECONDS, 2))
    note("Seconds without a living pair where the clock is set meanwhile", f"by {skew:+} s", {"longest gap": max(gaps)})
    assert max(gaps) <= 5 + max(0, -skew), gaps


# The program with another time.time(): a file says by how many seconds it is off. Not libfaketime: Debian 12's lets
# time.sleep() of Python 3.11 fail with EINVAL where it leaves the monotonic clock alone, and lets timeouts expire at
# once where it does not.
_ELSEWHEN = """\
import runpy, sys, time
file, right = sys.argv[1], time.time
def off():
    with open(file) as opened:
        return int(opened.read())
time.time = lambda: right() + off()
time.time_ns = lambda: int(time.time() * 10**9)
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def elsewhen(path, off):
    """Return the program with a clock that is off; another text in the file at the path sets it again."""
    path.write_text(str(off))
    return [PYTHON, "-IS", "-c", _ELSEWHEN, str(path), HHTOKEN]


def off_by(wrong):
    return WRONG[wrong] if wrong != "in 1970" else 60 - int(time.time())


@pytest.mark.parametrize("wrong", WRONG)
def test_the_program_itself_with_a_wrong_clock(wrong, sandbox, tmp_path):
    wrongly = elsewhen(tmp_path / "off", off_by(wrong))
    operator = Operator(tmp_path / "state", sandbox.environment())
    sandbox.provider.expires_in = 600
    operator.store(obtain_pair(sandbox), left=600, life=660)
    for _ in range(5):
        operator.run("refresh", program=wrongly)
    assert refreshes(sandbox) <= 1
    for program in (wrongly, PROGRAM):
        sandbox.provider.expire()
        operator.run("refresh", "--force", program=program)
        sandbox.provider.check_user_token(operator.stored()["access_token"])
    operator.run("show", "--field", "access_token", program=PROGRAM)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("was_wrong_first", [False, True])
def test_a_clock_that_is_set_during_the_request_costs_nothing(wrong, was_wrong_first, sandbox, tmp_path):
    offs = (off_by(wrong), 0) if was_wrong_first else (0, off_by(wrong))
    file = tmp_path / "off"
    words = [*elsewhen(file, offs[0]), "refresh", "--force"]
    operator = Operator(tmp_path / "state", sandbox.environment())
    operator.store(obtain_pair(sandbox))
    sandbox.provider.expire()
    sandbox.provider.expires_in = 600
    sandbox.weather.add("slow")
    program = subprocess.Popen(words, env=operator.environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: refreshes(sandbox) == 1)
    (tmp_path / "new").write_text(str(offs[1]))
    (tmp_path / "new").rename(file)  # whole: the program reads it at any moment
    _out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    sandbox.provider.check_user_token(operator.stored()["access_token"])
    for _ in range(3):
        operator.run("refresh", program=PROGRAM)
    assert refreshes(sandbox) <= 2
    sandbox.provider.check_user_token(operator.stored()["access_token"])
