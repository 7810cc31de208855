"""What is swept: a refresh and the exchange of a code, each from a fresh start, and what became of the pair."""

import shutil

import requests
from conftest import AGENT, Operator, obtain_pair, refreshes

from faults.strace import PROGRAM
from hhtoken.authorization.start import invite
from hhtoken.settings.settings import Settings
from hhtoken.store.journal import BODY_AT
from hhtoken.store.token_store import JOURNAL_FILE

SAVED, LOST, NOT_ISSUED = "saved", "lost", "not issued"


class RefreshEpisode:
    """A stored pair that is due. ``arguments``, ``input``: of the run that is disturbed."""

    arguments, input = ("refresh",), ""
    grant = "refresh_token"

    def __init__(self, sandbox, path):
        self.sandbox = sandbox
        self.operator = Operator(path, sandbox.environment())

    def begin(self):
        """Forget all that was; store a pair that has expired."""
        shutil.rmtree(self.operator.state, ignore_errors=True)
        self.sandbox.reset()
        pair = obtain_pair(self.sandbox)
        self.sandbox.provider.expire()
        self.stored = self.operator.store(pair)

    def requests(self):
        """Return how many requests the provider has seen."""
        return refreshes(self.sandbox)

    def is_issued(self):
        """Tell whether the provider has issued a new pair."""
        return self.sandbox.provider.committed[self.grant] > 0

    def has_answer(self):
        """Tell whether the journal, if there is one, holds any of the answer."""
        path = self.operator.state / JOURNAL_FILE
        return not path.exists() or bool(path.read_bytes()[BODY_AT:].strip(b"\0"))

    def end(self):
        """Run the program undisturbed; return SAVED where there is a pair now that the provider accepts, LOST where
        the program says so."""
        run = self.operator.run("refresh", expect=(0, 77), program=PROGRAM)
        if run.code == 0:
            self.sandbox.provider.check_user_token(self.operator.stored()["access_token"])
            return SAVED
        assert "lost" in run.stderr, run
        return LOST


class ExchangeEpisode(RefreshEpisode):
    """An authorization of which the browser has come back."""

    arguments, grant = ("exchange",), "authorization_code"

    def begin(self):
        shutil.rmtree(self.operator.state, ignore_errors=True)
        self.sandbox.reset()
        self.operator.state.mkdir(mode=0o700, exist_ok=True)
        address = invite(Settings(self.operator.environment), [])
        asked = requests.get(address, allow_redirects=False, headers=AGENT, timeout=10)
        self.input = asked.headers["Location"] + "\n"

    def requests(self):
        return self.sandbox.requests.summary()["token_requests"].get(self.grant, 0)

    def end(self):
        run = self.operator.run("refresh", expect=(0, 77), program=PROGRAM)
        if run.code == 77 and not self.is_issued():
            run = self.operator.run("exchange", input=self.input, expect=(0, 77), program=PROGRAM)
            if run.code == 77:
                return NOT_ISSUED  # the code was given up before it was sent
        if run.code == 77:
            return LOST
        self.sandbox.provider.check_user_token(self.operator.stored()["access_token"])
        return SAVED


EPISODES = {"refresh": RefreshEpisode, "exchange": ExchangeEpisode}
