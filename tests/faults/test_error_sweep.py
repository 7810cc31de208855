"""Every call that changes something fails, once or from there on: nothing is sent unless all is well before it, and
nothing that came is lost.

What may fail without any harm is named here: the note in the lock file, and the removal of a reserve that is not
there.
"""

import errno
import itertools
import os

import pytest
from conftest import refreshes

from faults.episodes import EPISODES, LOST, SAVED, RefreshEpisode
from faults.strace import IS_LONG, PROGRAM, WORKER, require_strace, run_with, share, traces
from hhtoken import errors
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.renewal import exchange
from hhtoken.settings.settings import Settings
from hhtoken.store import token_store
from hhtoken.store.token_store import RESERVE_FILE, open_store

PARTS = 4
OTHERS = ("ENOSPC", "EDQUOT", "EROFS", "EPERM")  # which of them it is changes no more than the hint
CHANGING = (
    "write", "pwrite64", "fallocate", "ftruncate", "fchmod", "fchown", "utimensat", "fsync", "fdatasync", "renameat",
    "unlinkat",
)  # fmt: skip
NETWORK = ("socket", "connect", "sendto")


def is_changing(call):
    if call.name == "openat":
        return "O_CREAT" in call.text
    if call.name == "write":
        return not call.text.startswith("2")
    return call.name in CHANGING or call.name in NETWORK and call.thread == WORKER  # the main thread logs


def is_harmless(call):
    return call.what == ".lock" or call.name == "unlinkat" and call.what == RESERVE_FILE


def may_retry(name, call):
    """A code that has not left is sent again by the same run, after a pause; so one error does there. The head goes
    first, by a call of its own, and holds no code."""
    return name == "exchange" and call.name in NETWORK


def faults(name, call):
    """Return the errors to fail a call with, as ``[(error, whether for ever)]``. Outside ``make test-faults-long`` one
    of OTHERS, by lot, stands for all; and an exchange writes as a refresh does, so fewer do.

    EINTR for ever is left out: Python then tries for ever, as it has to; no kernel does that."""
    once, everafter = ("EIO", False), ("EIO", True)
    if may_retry(name, call):
        return [once, everafter]
    if IS_LONG:
        return [once, everafter, ("EINTR", False), *itertools.product(OTHERS, (False, True))]
    other = OTHERS[call.lot() // PARTS % len(OTHERS)]
    return [once, (other, True)] if name == "exchange" else [once, everafter, ("EINTR", False), (other, False)]


def points(main, worker):
    """Return the Calls to fail, as those before the request has left, and those after."""
    lock = next(index for index, call in enumerate(main) if call.name == "flock")
    start = next(index for index, call in enumerate(main) if index > lock and call.name.startswith("clone"))
    sent = max(index for index, call in enumerate(worker) if call.name == "sendto")
    before = [call for call in main[lock:start] + worker[: sent + 1] if is_changing(call)]
    return before, [call for call in worker[sent + 1 :] + main[start:] if is_changing(call)]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", EPISODES)
def test_an_error_at_any_call_neither_sends_too_early_nor_costs_a_pair(name, part, sandbox, tmp_path, note):
    require_strace()
    episode = EPISODES[name](sandbox, tmp_path / "state")
    log = tmp_path / "log"
    main, worker = traces(episode, log)
    before, after = points(main, worker)
    title = f"Failed at each changing call: {name}"
    for call in share(before + after, part, PARTS):
        for error, everafter in faults(name, call):
            is_fatal = not is_harmless(call) and not may_retry(name, call) and error != "EINTR"
            fail(episode, call, error, everafter, log, worker, call in before and is_fatal, call in after)
            moment = "before the request" if call in before else "after it"
            note(title, f"{moment}: `{call.name}` {call.what}", {"for ever" if everafter else "once": 1})


def fail(episode, call, error, everafter, log, worker, must_refuse, is_after):
    """Let a call fail, look at what came of it, then run undisturbed, and look again."""
    what = f"{error} {'from' if everafter else 'at'} {call}"
    episode.begin()
    ended = run_with(episode.operator, episode.arguments, episode.input, log, call, f"error={error}", everafter, worker)
    requests, is_issued = episode.requests(), episode.is_issued()
    assert ended.hits, f"no fault: {what}"
    assert ended.code in (errors.OK, *errors.CODES), f"{what}: {ended}"
    assert all(line.startswith("hhtoken: ") for line in ended.stderr.splitlines()), f"{what}: {ended}"
    if must_refuse:
        assert requests == 0 and ended.code in (errors.IOERR, errors.TEMPFAIL), f"{what}: {requests} sent, {ended}"
    if is_after:
        assert is_issued and ended.code in (errors.OK, errors.IOERR), f"{what}: {ended}"
    result = episode.end()
    assert result == SAVED or result != LOST and not is_issued, f"{result}: {what}"


def test_a_disk_that_refuses_everything_for_a_while_after_the_request_costs_no_pair(sandbox, tmp_path, monkeypatch):
    """Neither journal nor store takes the pair, so it is held in memory until some place does."""
    episode = RefreshEpisode(sandbox, tmp_path / "state")
    episode.begin()
    refused = []
    monkeypatch.setattr(token_store, "RUNTIME_DIRECTORY", str(tmp_path / "none"))

    def refuse_for_a_while(name):
        original = getattr(os, name)

        def refused_at_first(*given, **more):
            is_creation = name != "open" or len(given) > 1 and given[1] & os.O_CREAT
            if is_creation and refreshes(sandbox) and len(refused) < 20:
                refused.append(name)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return original(*given, **more)

        monkeypatch.setattr(os, name, refused_at_first)

    for name in ("open", "write", "pwrite", "rename", "unlink", "fsync", "fdatasync"):
        refuse_for_a_while(name)
    settings = Settings(episode.operator.environment)
    with pytest.raises(errors.StorageError) as raised:
        exchange.renew(open_store(str(episode.operator.state)), token_endpoint_of(settings))
    assert "it is safe in" in raised.value.message and len(refused) == 20
    monkeypatch.undo()
    episode.operator.run("refresh", program=PROGRAM)
    assert refreshes(sandbox) == 1
    sandbox.provider.check_user_token(episode.operator.stored()["access_token"])
