"""The order of effects, and what happens when one of them fails: the operating system is watched, or made to fail."""

import contextlib
import errno
import json
import os
import time

import pytest
from conftest import obtain_pair, refreshes

from hhtoken.errors import AuthorizationNeededError, StorageError
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.renewal import exchange
from hhtoken.settings.settings import Settings
from hhtoken.store import record
from hhtoken.store.token_store import open_store


@pytest.fixture
def keeper(operator, sandbox, expired):
    """The store and the endpoint of an expired pair, for a refresh inside this process."""
    store = open_store(str(operator.state))
    return store, token_endpoint_of(Settings(operator.environment))


def name_of(descriptor):
    return os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))


def short(name):
    """Temporary files have random names: .token.json.123.abc.tmp -> token.json.tmp."""
    return ".".join(name.lstrip(".").split(".")[:2]) + ".tmp" if name.startswith(".") and name.count(".") > 3 else name


@pytest.fixture
def effects(monkeypatch, keeper):
    """What a refresh does to the disk and the network, in order, as words."""
    seen = []

    def watch(owner, name, describe):
        original = getattr(owner, name)

        def watched(*given, **more):
            seen.append(describe(*given, **more))
            return original(*given, **more)

        monkeypatch.setattr(owner, name, watched)

    watch(os, "fsync", lambda descriptor: f"fsync {short(name_of(descriptor))}")
    watch(os, "fdatasync", lambda descriptor: f"fdatasync {name_of(descriptor)}")
    watch(os, "rename", lambda old, new, **_more: f"rename {short(old)} {new}")
    watch(os, "pwrite", lambda descriptor, data, offset: f"pwrite {name_of(descriptor)} {offset}")
    watch(os, "posix_fallocate", lambda descriptor, *_range: f"fallocate {name_of(descriptor)}")
    watch(os, "unlink", lambda name, **_more: f"unlink {short(name)}")
    import requests

    watch(requests.Session, "send", lambda _session, request, **_more: request.method)
    return seen


def test_a_refresh_proves_reserves_notes_sends_notes_and_only_then_replaces(keeper, effects):
    store, endpoint = keeper
    exchange.renew(store, endpoint)
    wanted = [
        "fsync token.json.tmp",  # the rehearsal, on the very path that the new pair will take
        "rename token.json.tmp token.json",
        "fsync state",
        "fallocate .reserve.tmp",
        "fallocate journal",
        "pwrite journal 0",  # the intent
        "fsync journal",
        "fsync state",
        "POST",
        "pwrite journal 4096",  # the raw answer
        "pwrite journal 2048",
        "fdatasync journal",
        "unlink .reserve.tmp",
        "fsync token.json.tmp",
        "rename token.json.tmp token.json",
        "fsync state",
        "unlink journal",
        "fsync state",
    ]
    rest = iter(effects)
    missing = [effect for effect in wanted if effect not in rest]
    assert not missing, effects


def failing(monkeypatch, name, when, code=errno.EIO):
    """Let an os function fail for calls that ``when`` picks; return the list of those calls."""
    original, hit = getattr(os, name), []

    def fail(*given, **more):
        if when(*given, **more):
            hit.append(given)
            raise OSError(code, os.strerror(code))
        return original(*given, **more)

    monkeypatch.setattr(os, name, fail)
    return hit


BEFORE = {
    "the rehearsal's write": ("write", lambda descriptor, _data: short(name_of(descriptor)) == "token.json.tmp"),
    "the rehearsal's fsync": ("fsync", lambda descriptor: short(name_of(descriptor)) == "token.json.tmp"),
    "the rehearsal's rename": ("rename", lambda _old, new, **_more: new == "token.json"),
    "the directory's fsync": ("fsync", lambda descriptor: name_of(descriptor) == "state"),
    "the reserve": ("posix_fallocate", lambda descriptor, *_range: name_of(descriptor) == ".reserve.tmp"),
    "the journal's room": ("posix_fallocate", lambda descriptor, *_range: name_of(descriptor) == "journal"),
    "the intent": ("pwrite", lambda descriptor, _data, offset: name_of(descriptor) == "journal" and offset == 0),
    "the journal's fsync": ("fsync", lambda descriptor: name_of(descriptor) == "journal"),
}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EPERM])
@pytest.mark.parametrize("point", BEFORE)
def test_a_fault_before_the_request_keeps_it_from_leaving(keeper, operator, sandbox, expired, monkeypatch, point, code):
    store, endpoint = keeper
    hit = failing(monkeypatch, *BEFORE[point], code)
    with pytest.raises(StorageError) as raised:
        exchange.renew(store, endpoint)
    assert hit and raised.value.hint
    monkeypatch.undo()
    assert refreshes(sandbox) == 0
    assert operator.token_file.read_bytes() == expired
    operator.run("refresh")


def sent(sandbox):
    return refreshes(sandbox) > 0


AFTER = {
    "the answer's pwrite": ("pwrite", lambda descriptor, _data, offset: offset == 4096),
    "the head's pwrite": ("pwrite", lambda descriptor, _data, offset: offset == 2048),
    "the answer's fdatasync": ("fdatasync", lambda _descriptor: True),
    "the pair's write": ("write", lambda descriptor, _data: short(name_of(descriptor)) == "token.json.tmp"),
    "the pair's fsync": ("fsync", lambda descriptor: short(name_of(descriptor)) == "token.json.tmp"),
    "the pair's rename": ("rename", lambda _old, new, **_more: new == "token.json"),
    "the directory's fsync": ("fsync", lambda descriptor: name_of(descriptor) == "state"),
    "the record": ("rename", lambda _old, new, **_more: new == "last-refresh.json"),
    "the journal's end": ("unlink", lambda name, **_more: name == "journal"),
}


@pytest.mark.parametrize("point", AFTER)
def test_a_fault_after_the_request_does_not_cost_the_pair(keeper, operator, sandbox, expired, monkeypatch, point):
    store, endpoint = keeper
    name, when = AFTER[point]
    hit = failing(monkeypatch, name, lambda *given, **more: sent(sandbox) and when(*given, **more))
    try:
        exchange.renew(store, endpoint)
    except StorageError as error:
        assert "safe in the journal" in error.message
    assert hit, "the fault did not happen"
    monkeypatch.undo()
    operator.run("refresh")
    assert refreshes(sandbox) == 1
    stored = operator.stored()
    assert stored["refresh_token"] != json.loads(expired)["refresh_token"]
    sandbox.provider.check_user_token(stored["access_token"])


def test_an_answer_that_neither_journal_nor_store_takes_is_rescued_elsewhere(
    keeper, operator, sandbox, expired, monkeypatch
):
    store, endpoint = keeper
    failing(monkeypatch, "pwrite", lambda _descriptor, _data, offset: offset == 4096)
    failing(monkeypatch, "rename", lambda _old, new, **_more: sent(sandbox) and new == "token.json")
    with pytest.raises(StorageError) as raised:
        exchange.renew(store, endpoint)
    assert "journal.rescued" in raised.value.message
    monkeypatch.undo()
    assert "recovered" in operator.run("refresh").stderr
    assert refreshes(sandbox) == 1
    assert not [name for name in operator.files() if name.startswith("journal")]


def test_short_writes_are_continued(keeper, operator, sandbox, expired, monkeypatch):
    store, endpoint = keeper
    write, pwrite = os.write, os.pwrite
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, bytes(data)[:7], offset))
    exchange.renew(store, endpoint)
    monkeypatch.undo()
    sandbox.provider.check_user_token(operator.stored()["access_token"])


def test_a_pair_that_was_put_in_place_during_the_request_is_kept_aside(keeper, operator, sandbox, monkeypatch):
    from hhtoken.provider.endpoints import TokenEndpoint

    store, endpoint = keeper
    theirs = obtain_pair(sandbox)
    post = TokenEndpoint.post

    def post_and_meddle(self, form, journal):
        answer = post(self, form, journal)
        operator.store(theirs)
        return answer

    monkeypatch.setattr(TokenEndpoint, "post", post_and_meddle)
    exchange.renew(store, endpoint)
    kept = json.loads((operator.state / "token.json.prev").read_text())
    assert kept["refresh_token"] == theirs["refresh_token"] != operator.stored()["refresh_token"]


def holding(monkeypatch, sandbox, most):
    """Let every place refuse a new pair so many times: the journal, the store, and the places of rescue."""
    refused = []
    failing(monkeypatch, "pwrite", lambda _descriptor, _data, offset: offset == 4096)
    failing(
        monkeypatch,
        "rename",
        lambda _old, new, **_more: sent(sandbox) and len(refused) < most and not refused.append(new),
    )


def test_what_another_host_has_made_of_the_pair_is_reported_and_nothing_is_sent(keeper, sandbox, expired, monkeypatch):
    store, endpoint = keeper
    theirs = record.Record(outcome=record.TRY_LATER, message="another host is at it", exit_code=75)
    monkeypatch.setattr(store, "claim", lambda _force, _clock: contextlib.nullcontext(theirs))
    assert exchange.renew(store, endpoint) is theirs
    assert refreshes(sandbox) == 0


def test_a_pair_that_no_place_takes_is_held_in_memory_until_one_does(
    keeper, operator, sandbox, expired, monkeypatch, capfd
):
    store, endpoint = keeper
    holding(monkeypatch, sandbox, most=6)
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.05)))
    assert exchange.renew(store, endpoint).outcome == "renewed"
    monkeypatch.undo()
    assert capfd.readouterr().err.count("holding a new pair in memory") == 1, "said once, not with each try"
    sandbox.provider.check_user_token(operator.stored()["access_token"])
    assert refreshes(sandbox) == 1


def test_a_pair_that_no_place_takes_for_long_is_said_to_be_lost_and_is_by_the_next_run(
    keeper, operator, sandbox, expired, monkeypatch
):
    store, endpoint = keeper
    monkeypatch.setattr(exchange, "RESCUE_SECONDS", 0)
    holding(monkeypatch, sandbox, most=99)
    with pytest.raises(StorageError, match="a new pair is lost, no place took it: cannot write .*token.json") as raised:
        exchange.renew(store, endpoint)
    assert "dmesg" in raised.value.hint
    monkeypatch.undo()
    assert operator.token_file.read_bytes() == expired
    assert "lost" in operator.run("refresh", expect=77).stderr


def test_what_a_refresh_came_to_is_remembered_once_the_journal_has_given_its_room_back(
    keeper, operator, sandbox, expired, monkeypatch
):
    store, endpoint = keeper
    sandbox.weather.add("html_503")
    journal = operator.state / "journal"
    hit = failing(
        monkeypatch, "rename", lambda _old, new, **_more: new == "last-refresh.json" and journal.exists(), errno.ENOSPC
    )
    outcome = exchange.renew(store, endpoint)
    assert hit and outcome.outcome == "try_later"
    assert json.loads((operator.state / "last-refresh.json").read_text())["message"] == outcome.message
    assert not journal.exists()


def test_a_code_that_a_peer_has_used_meanwhile_is_not_sent_again(operator, sandbox):
    from conftest import code_of, come_back, exchanges

    from hhtoken.store.pending import PendingAuthorizations

    address = come_back(operator)
    store = open_store(str(operator.state))
    settings = Settings(operator.environment)
    endpoint = token_endpoint_of(settings)
    pending = PendingAuthorizations(store.directory)
    entry = pending.newest()
    both = [store, pending, entry, code_of(address), (settings.client_id(), settings.client_secret()), endpoint]
    exchange.redeem(*both)
    with pytest.raises(AuthorizationNeededError, match="used already"):
        exchange.redeem(*both)
    assert exchanges(sandbox) == 1
