"""A power cut after every step, in every state that it may leave on the disk: the pair survives it.

Only an answer that is being written down as the power fails may be lost. That the check has teeth is shown by leaving
out each kind of sync in turn.
"""

import contextlib
import json
import os
import shutil
import time

import pytest

from faults.crash_model import SYNC_FILE, SYNC_NAMES, Recorder, cuts
from hhtoken import errors
from hhtoken.provider.answer import Answer
from hhtoken.renewal import recovery
from hhtoken.renewal.exchange import redeem, renew
from hhtoken.store import journal, record
from hhtoken.store.pending import PendingAuthorizations
from hhtoken.store.token_store import JOURNAL_FILE, KEPT_ANSWER_FILE, LOCK_FILE, TOKEN_FILE, fingerprint, open_store

OLD = {"access_token": "OLD-ACCESS", "refresh_token": "OLD-REFRESH", "expires_in": 60, "token_type": "bearer"}
NEW = {"access_token": "NEW-ACCESS", "refresh_token": "NEW-REFRESH", "expires_in": 1209600, "token_type": "bearer"}
STORED = json.dumps({**OLD, "obtained_at": 1_600_000_000, "expires_at": 1_600_000_060}).encode()
USED = {"error": "invalid_grant", "error_description": "token has already been refreshed"}

SENT, SAFE = "sent", "safe"  # marks: the provider has spent the old token; the answer is on the disk
UNREADABLE, SAVED, LOST, LOST_UNSAID = "unreadable", "saved", "lost", "lost unsaid"


class Provider:
    """An endpoint without a network: what it is sent is good once. ``is_spent``: by an earlier run."""

    def __init__(self, is_spent=False, mark=lambda _what: None):
        self._is_spent = is_spent
        self._mark = mark

    def prepare(self):
        pass

    def post(self, form, journal):
        is_good = not self._is_spent and (form.get("code") or form["refresh_token"] == OLD["refresh_token"])
        answer = Answer(200 if is_good else 400, json.dumps(NEW if is_good else USED).encode(), True)
        answer.received_at = int(time.time())
        self._is_spent = True
        self._mark(SENT)
        for start in range(0, len(answer.body), 100):
            journal.append(answer.body[start : start + 100])
        journal.finish(answer)
        self._mark(SAFE)
        return answer


def put(path, files):
    path.mkdir(mode=0o700)
    for name, data in files:
        (path / name).write_bytes(data)
        (path / name).chmod(0o600)
    return path


@contextlib.contextmanager
def opened(path):
    store = open_store(str(path))
    try:
        yield store
    finally:
        os.close(store.directory.descriptor)


def refresh(path, provider):
    with opened(path) as store:
        return renew(store, provider)


def exchange(path, provider):
    with opened(path) as store:
        pending = PendingAuthorizations(store.directory)
        with store.lock():
            pending.add("STATE", "VERIFIER", "http://127.0.0.1/callback")
        return redeem(store, pending, pending.newest(), "CODE", ("ID", "SECRET"), provider)


def interrupted():
    """Return the journal of a refresh that was killed with its answer put down."""
    intent = {"kind": "refresh", "refresh_token_sha256": fingerprint("OLD-REFRESH"), "started_at": 1_700_000_000}
    return journal.text_of(intent, Answer(200, json.dumps(NEW).encode(), True, received_at=int(time.time())))


# What is run -> (what the directory holds before, the run, whether the answer is on the disk already).
RUNS = {
    "a refresh": ({TOKEN_FILE: STORED, LOCK_FILE: b""}, refresh, False),
    "an exchange": ({LOCK_FILE: b""}, exchange, False),
    "an exchange that replaces a pair": ({TOKEN_FILE: STORED, LOCK_FILE: b""}, exchange, False),
    "the recovery after a kill": ({TOKEN_FILE: STORED, LOCK_FILE: b"", JOURNAL_FILE: interrupted()}, refresh, True),
}


def steps_of(run, path, monkeypatch):
    """Return (what the directory held, the steps) of one run."""
    files, act, is_safe = RUNS[run]
    put(path, files.items())
    with monkeypatch.context() as patch:
        recorder = Recorder(patch, path)
        if is_safe:
            recorder.mark(SENT)
            recorder.mark(SAFE)
        outcome = act(path, Provider(mark=recorder.mark))
    assert outcome.outcome in (record.RENEWED, record.AUTHORIZED)
    return recorder.start, recorder.steps


def after_power_cut(path, was_sent, needs_pair):
    """Given a directory and whether the provider has spent what it was sent, return what becomes of the pair.

    ``needs_pair``: there was one before, so a reader must find one in every state.
    """
    with opened(path) as store:
        return _after_power_cut(store, was_sent, needs_pair)


def _after_power_cut(store, was_sent, needs_pair):
    try:
        store.load()
    except errors.DataError:
        return UNREADABLE
    except errors.AuthorizationNeededError:
        if needs_pair:
            return UNREADABLE
    provider = Provider(was_sent)
    try:
        outcome = renew(store, provider)
        if outcome.outcome == record.OUTCOME_UNKNOWN:
            outcome = renew(store, provider)
    except errors.AuthorizationNeededError:
        return LOST if was_sent else SAVED
    if outcome.exit_code == 0:
        return SAVED if store.load().pair.access_token == NEW["access_token"] else LOST_UNSAID
    assert outcome.exit_code == errors.NOPERM, outcome.as_dict()
    return LOST if "lost" in outcome.message else LOST_UNSAID


def counted(run, path, monkeypatch, without=()):
    """Return how many states there are, how many are unreadable, and how many cost the pair."""
    start, steps = steps_of(run, path / "recorded", monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # of the recoveries; the disk is a model here
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)
    seen, figures = set(), {"states": 0, UNREADABLE: 0, "lost in the window": 0, "lost outside it": 0}
    for _number, marks, state in cuts(start, steps, without):
        if (state, marks) in seen:
            continue
        seen.add((state, marks))
        directory = put(path / "cut", state)
        result = after_power_cut(directory, SENT in marks, TOKEN_FILE in start)
        shutil.rmtree(directory)
        figures["states"] += 1
        if result == UNREADABLE:
            figures[UNREADABLE] += 1
        elif result in (LOST, LOST_UNSAID):
            is_allowed = SENT in marks and SAFE not in marks and (result == LOST or run != "a refresh")
            figures["lost in the window" if is_allowed else "lost outside it"] += 1
    return figures


@pytest.mark.parametrize("run", RUNS)
def test_no_power_cut_costs_the_pair_but_in_the_one_write(run, tmp_path, monkeypatch, note):
    figures = counted(run, tmp_path, monkeypatch)
    note("Power cut after each step", run, figures)
    assert figures["states"] > 10, figures
    assert figures[UNREADABLE] == figures["lost outside it"] == 0, figures


@pytest.mark.parametrize("without", [SYNC_FILE, SYNC_NAMES])
def test_the_check_fails_without_a_sync(without, tmp_path, monkeypatch, note):
    figures = counted("a refresh", tmp_path, monkeypatch, (without,))
    left_out = "fsync of files" if without == SYNC_FILE else "fsync of the directory"
    note("Power cut, and a sync is left out, to see the check fail", f"without {left_out}", figures)
    assert figures[UNREADABLE] + figures["lost outside it"] > 0, figures


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_a_body_that_the_power_cut_lost_while_its_head_was_kept_is_a_lost_answer(kept, tmp_path):
    """Both are flushed at once, so the disk may take the head first."""
    whole = interrupted()
    torn = whole[: journal.BODY_AT + kept].ljust(journal.SIZE, b"\0")
    with opened(put(tmp_path / "state", {TOKEN_FILE: STORED, JOURNAL_FILE: torn}.items())) as store:
        assert recovery.recover(store) is None
        found = store.record()
    assert (found.outcome, found.exit_code) == (record.OUTCOME_UNKNOWN, errors.TEMPFAIL), found.as_dict()
    assert "lost" in found.message
    assert (tmp_path / "state" / KEPT_ANSWER_FILE).exists() == (kept > 0)
