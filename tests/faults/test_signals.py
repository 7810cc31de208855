"""SIGTERM at every tenth of a second of a slow request: each run ends by itself, with the pair saved."""

import signal
import threading

import pytest
from conftest import Operator, obtain_pair, wait_for

from hhtoken.sandbox.server import start

STEP_SECONDS = 0.1
STEPS = 50
ANSWER_BYTES = 200  # or a few more: an answer takes a little longer than all the steps
DRIP_SECONDS = STEPS * STEP_SECONDS / ANSWER_BYTES


@pytest.fixture
def slow_sandbox(redirect_uri):
    with start(auto="allow", drip_seconds=DRIP_SECONDS, redirect_uri=redirect_uri, expires_in=600) as running:
        yield running


@pytest.mark.parametrize("half", range(2))
def test_a_signal_at_any_moment_of_a_slow_request_costs_nothing(half, slow_sandbox, tmp_path, note):
    """All at once: each run has a pair of its own, and a moment of its own at which it is told to end."""
    operators = [Operator(tmp_path / f"state-{step}", slow_sandbox.environment()) for step in range(half, STEPS, 2)]
    for operator in operators:
        operator.store(obtain_pair(slow_sandbox))
    slow_sandbox.provider.expire()
    slow_sandbox.weather.add("slow", times=None)
    results = {}

    def run(number, operator):
        process = operator.start("refresh")
        wait_for(lambda: "journal" in operator.files())
        timer = threading.Timer((2 * number + half) * STEP_SECONDS, process.send_signal, [signal.SIGTERM])
        timer.start()
        _out, err = process.communicate(timeout=60)
        timer.join()
        results[number] = process.returncode, err

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(operators)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number][0] for number in range(len(operators))] == [0] * len(operators), results
    for operator in operators:
        slow_sandbox.provider.check_user_token(operator.stored()["access_token"])
    title = "SIGTERM at each tenth of a second of a request that takes five"
    note(title, "refresh", {"signals": len(operators), "saved": len(operators)})
