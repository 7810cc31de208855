"""Many at once: one request an expiry, one winner, and readers that never see a pair torn or missing."""

import json
import os
import subprocess
import threading
import time

import requests
from conftest import AGENT, Operator, obtain_pair, program_with, refreshes

from faults.strace import PROGRAM, wait_until_it_listens
from hhtoken.pair import Pair
from hhtoken.store.token_store import fingerprint, open_store

PROCESSES = 100
EXPIRIES = int(os.environ.get("HHTOKEN_EXPIRIES", 3))
ROUNDS = 6  # of everything at once
PATIENT = program_with(
    "hhtoken.store.file_lock.LOCK_WAIT_SECONDS = 100"
)  # for the last in the queue, on a busy machine


def start(operator, *arguments):
    return subprocess.Popen(
        [*PATIENT, *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=operator.environment,
    )  # fmt: skip


def expire(operator, sandbox):
    """Let the stored pair expire, by our clock and by the provider's."""
    sandbox.provider.expire()
    store = open_store(str(operator.state))
    with store.lock():
        pair = store.load().pair
        store.save(Pair(pair.fields, pair.obtained_at, int(time.time()) - 2), fingerprint(pair.refresh_token))


def test_a_hundred_processes_send_one_request_an_expiry(sandbox, tmp_path, note):
    operator = Operator(tmp_path / "state", sandbox.environment())
    operator.store(obtain_pair(sandbox))
    for expiry in range(EXPIRIES):
        expire(operator, sandbox)
        processes = [start(operator, "refresh") for _ in range(PROCESSES)]
        for process in processes:
            _out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
        assert refreshes(sandbox) == expiry + 1
        sandbox.provider.check_user_token(operator.stored()["access_token"])
    doubles = sum(entry["status"] != 200 for entry in sandbox.requests.summary()["requests"])
    assert doubles == 0
    figures = {"processes": PROCESSES * EXPIRIES, "expiries": EXPIRIES, "requests": refreshes(sandbox)}
    note("A hundred processes an expiry", "refresh", {**figures, "spent twice": doubles})


class Reader(threading.Thread):
    """Reads token.json all the time, as any other program would; ``pairs``: the access tokens that it saw,
    in their order."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.pairs, self.reads, self.broken = [], 0, []
        self._path = path
        self._is_over = threading.Event()
        self.start()

    def run(self):
        while not self._is_over.is_set():
            data = self._path.read_bytes()
            self.reads += 1
            try:
                fields = json.loads(data)
                pair = fields["access_token"], fields["refresh_token"], fields["expires_at"]
            except (ValueError, KeyError):
                self.broken.append(data)
                continue
            if pair[0] not in self.pairs[-1:]:
                self.pairs.append(pair[0])

    def end(self):
        self._is_over.set()
        self.join()


class Round:
    """Everything at once: six refreshes of a pair that is due, an import, a browser's return, five looks."""

    def __init__(self, operator, sandbox, file):
        expire(operator, sandbox)
        file.touch(0o600)
        file.write_text(json.dumps(obtain_pair(sandbox)))
        address = operator.run("authorize-url", program=PROGRAM).stdout.strip()
        came = requests.get(address, allow_redirects=False, headers=AGENT, timeout=10).headers["Location"]
        listener = start(operator, "serve-callback")
        wait_until_it_listens(listener)
        refresh, show, take = ("refresh",), ("show", "--field", "access_token"), ("import", str(file))
        words = [refresh, show, refresh, show, refresh, take, show, refresh, show, refresh, show, refresh]
        runs = [start(operator, *one) for one in words]
        assert "Authorized" in requests.get(came, timeout=30).text
        self.renewals = 0
        for process in [listener, *runs]:
            out, err = process.communicate(timeout=60)
            is_look = process in runs and words[runs.index(process)] == show
            assert process.returncode in ((0, 69) if is_look else (0,)), err
            assert bool(out) == (is_look and process.returncode == 0), (out, err)
            assert "Traceback" not in err
            self.renewals += err.count("renewed the pair")


def test_refresh_callback_import_and_readers_at_once_leave_the_newest_pair(sandbox, tmp_path, note):
    operator = Operator(tmp_path / "state", sandbox.environment())
    operator.store(obtain_pair(sandbox))
    reader = Reader(operator.token_file)
    renewals = 0
    for number in range(ROUNDS):
        before = refreshes(sandbox)
        renewals += Round(operator, sandbox, tmp_path / f"import-{number}.json").renewals
        assert refreshes(sandbox) - before <= 1
        sandbox.provider.check_user_token(operator.stored()["access_token"])  # the last one, which nobody has spent
    reader.end()
    assert reader.reads > ROUNDS and not reader.broken, reader.broken[:1]
    assert ROUNDS < len(reader.pairs) == len(set(reader.pairs)), "a pair came back that had been replaced"
    assert reader.pairs[-1] == operator.stored()["access_token"]
    requests_seen = sandbox.requests.summary()
    sent = requests_seen["token_requests"]
    assert sent["authorization_code"] == 1 + 2 * ROUNDS and sent.get("refresh_token", 0) == renewals
    assert {entry["status"] for entry in requests_seen["requests"]} == {200}
    note("Refresh, callback, import and readers at once", "rounds", {"rounds": ROUNDS, "torn or empty reads": 0})
