"""A clock that is wrong: no human is called in vain, the provider is not flooded, and setting it right is enough.

First hours of it inside this process, then the program itself.
"""

import json
import os
import time

import pytest
from conftest import Operator, obtain_pair, refreshes

from faults.strace import HHTOKEN, PROGRAM, PYTHON
from hhtoken import errors, grants
from hhtoken.answer import Answer
from hhtoken.sandbox.provider import Provider
from hhtoken.sandbox.refusals import Refused
from hhtoken.sandbox.settings import Settings
from hhtoken.token_store import open_store

NOW = 1_800_000_000
LIFE_SECONDS = 14 * 24 * 3600
TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600
MOST_IN_FIRST_HOUR, MOST_AN_HOUR = 8, 4  # the pauses after "token not expired" grow from seconds to 15 minutes

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
    """The provider with its right clock, a store with a pair, and our clock, which is off by ``error`` seconds."""

    def __init__(self, path, monkeypatch):
        self.now = float(NOW)
        self.error = 0
        self.requests = []  # when, by the right clock
        self.provider = Provider(Settings(expires_in=LIFE_SECONDS), lambda: self.now)
        request = self.provider.read_authorization({"response_type": "code", "client_id": Settings().client_id})
        code = self.provider.answer(request, True).partition("code=")[2]
        form = {"grant_type": "authorization_code", "code": code, "client_id": Settings().client_id}
        pair = self.provider.token({**form, "client_secret": Settings().client_secret})
        path.mkdir(mode=0o700)
        fields = {**pair, "obtained_at": NOW, "expires_at": NOW + LIFE_SECONDS}
        (path / "token.json").write_text(json.dumps(fields))
        (path / "token.json").chmod(0o600)
        self.store = open_store(str(path))
        monkeypatch.setattr(time, "sleep", lambda _seconds: None)

    def prepare(self):
        pass

    def post(self, form, journal):
        from email.utils import formatdate

        self.requests.append(self.now)
        try:
            status, document = 200, self.provider.token(form)
        except Refused as refused:
            status, document = refused.refusal.status, refused.refusal.document
        moment = int(self.now + self.error)
        date = formatdate(self.now, usegmt=True)
        answer = Answer(status, json.dumps(document).encode(), True, received_at=moment, date=date)
        journal.append(answer.body)
        journal.finish(answer)
        return answer

    def run(self):
        """Let the timer fire; return the exit code."""
        return grants.renew(self.store, self, clock=lambda: self.now + self.error).exit_code

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


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path / "state", monkeypatch)


def most_in_an_hour(moments):
    return max((sum(1 for other in moments if moment <= other < moment + 3600) for moment in moments), default=0)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("age", ["fresh", "expires meanwhile", "expired"])
def test_a_wrong_clock_calls_no_human_and_floods_nobody(world, wrong, age, note):
    world.now += {"fresh": 3600, "expires meanwhile": LIFE_SECONDS - 3600, "expired": LIFE_SECONDS + 60}[age]
    world.error = WRONG[wrong]
    codes = world.pass_time(3 * 3600)
    assert errors.NOPERM not in codes
    most = most_in_an_hour(world.requests)
    title, row = "A wrong clock for three hours", f"{wrong}; the pair is: {age}"
    note(title, row, {"requests": len(world.requests), "most in one hour": most, "false 77": 0})
    world.error = 0
    set_right_at = world.now
    while not world.is_alive() and world.now < set_right_at + 3600:
        world.run()
        world.now += 30
    assert world.is_alive() and world.now - set_right_at <= 300
    later = [moment for moment in world.requests if moment >= world.requests[0] + 3600]
    assert most <= MOST_IN_FIRST_HOUR and most_in_an_hour(later) <= MOST_AN_HOUR, world.requests


# The program with another time.time(). Not libfaketime: Debian 12's lets time.sleep() of Python 3.11 fail with EINVAL
# where it leaves the monotonic clock alone, and lets timeouts expire at once where it does not.
_ELSEWHEN = """\
import runpy, sys, time
off, right = int(sys.argv[1]), time.time
time.time = lambda: right() + off
time.time_ns = lambda: int(time.time() * 10**9)
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("wrong", WRONG)
def test_the_program_itself_with_a_wrong_clock(wrong, sandbox, tmp_path):
    off = WRONG[wrong] if wrong != "in 1970" else 60 - int(time.time())
    elsewhen = [PYTHON, "-IS", "-c", _ELSEWHEN, str(off), HHTOKEN]
    operator = Operator(tmp_path / "state", sandbox.environment())
    operator.store(obtain_pair(sandbox), left=60, life=120)
    for _ in range(5):
        operator.run("refresh", program=elsewhen)
    assert refreshes(sandbox) <= 1
    for program in (elsewhen, PROGRAM):
        sandbox.provider.expire()
        operator.run("refresh", "--force", program=program)
        sandbox.provider.check_user_token(operator.stored()["access_token"])
    operator.run("show", "--field", "access_token", program=PROGRAM)


@pytest.mark.parametrize("days", [1 / 24, 1, 3650])
def test_a_record_of_the_time_when_the_clock_was_ahead_stops_no_refresh(days, sandbox, tmp_path):
    operator = Operator(tmp_path / "state", sandbox.environment())
    operator.store(obtain_pair(sandbox))
    sandbox.provider.expire()
    sandbox.weather.add("html_502")
    operator.run("refresh", expect=75, program=PROGRAM)
    ahead = time.time() + days * 24 * 3600
    os.utime(operator.state / "last-refresh.json", (ahead, ahead))
    operator.run("refresh", program=PROGRAM)
    sandbox.provider.check_user_token(operator.stored()["access_token"])
