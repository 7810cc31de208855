"""Where the pair lives: what is loaded, saved, kept aside, rescued and swept away. Real files."""

import errno
import hashlib
import json
import os
import time

import pytest
from support import NOW

from hhtoken.errors import AuthorizationNeededError, ConfigError, DataError, StorageError, UnavailableError
from hhtoken.pair import Pair
from hhtoken.provider.answer import Answer
from hhtoken.renewal import policy
from hhtoken.store import record, token_store
from hhtoken.store.token_store import fingerprint, open_store

INTENT = {"kind": "refresh", "refresh_token_sha256": fingerprint("OLD-R"), "started_at": NOW}
BODY = b'{"access_token": "NEW-A", "refresh_token": "NEW-R"}'


def pair_of(name, **more):
    return Pair({"access_token": f"{name}-A", "refresh_token": f"{name}-R", **more}, NOW, NOW + 60)


OLD, NEW = pair_of("OLD"), pair_of("NEW")


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch, tmp_path):
    """A machine without a runtime directory; tests that want one make it."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(token_store, "RUNTIME_DIRECTORY", str(tmp_path / "run"))


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def store(state):
    return open_store(str(state), create=True)


def files(state):
    return sorted(path.name for path in state.iterdir())


def access_token_in(path):
    return json.loads(path.read_text())["access_token"]


def refuses(monkeypatch, *names):
    """Let the disk refuse to put files with these names in place."""
    rename = os.rename

    def fail(old, new, **more):
        if new in names:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(old, new, **more)

    monkeypatch.setattr(os, "rename", fail)


# -- opening --


def test_a_fingerprint_is_the_sha_256_and_none_of_none():
    assert fingerprint("OLD-R") == hashlib.sha256(b"OLD-R").hexdigest()
    assert fingerprint("/\udcff") == hashlib.sha256(b"/\xff").hexdigest()
    assert fingerprint(None) is None


# -- loading --


def put(path, data):
    path.write_bytes(data)
    path.chmod(0o600)


@pytest.mark.parametrize(
    "data, why",
    [
        (b"{", "not JSON"),
        (b"{}", "no usable access_token in it"),
        (b"x" * (64 * 1024 + 1), "larger than 64 KiB"),
        (b"x" * 300_000, "larger than 64 KiB"),
    ],
)
def test_a_damaged_pair_is_said_to_be_damaged_and_left(store, state, data, why):
    put(state / "token.json", data)
    with pytest.raises(DataError, match=f"token.json makes no sense: {why}") as raised:
        store.load()
    assert "hhtoken import FILE" in raised.value.hint
    assert (state / "token.json").read_bytes() == data


# -- the record --


def test_a_record_is_remembered_and_belongs_to_its_pair(store):
    assert store.record() is None and store.record_version() is None
    store.remember(record.Record(outcome=record.UNCLEAR, at=NOW, refresh_token_sha256=fingerprint("OLD-R")))
    assert (store.record().outcome, store.record().at) == (record.UNCLEAR, NOW)
    assert store.record_of(OLD).at == NOW
    assert store.record_of(NEW) is store.record_of(pair_of("THIRD")) is None
    first = store.record_version()
    store.remember(record.Record(outcome=record.UNCLEAR, at=NOW))
    assert store.record_version() not in (None, first)


@pytest.mark.parametrize("spoil", [
    lambda path: put(path, b"{"),
    lambda path: put(path, b"x" * 300_000),
    lambda path: path.symlink_to("/etc/passwd"),
    lambda path: path.mkdir(),
], ids=["no json", "too large", "a link", "a folder"])  # fmt: skip
def test_a_record_that_cannot_be_read_counts_as_none(store, state, spoil):
    spoil(state / "last-refresh.json")
    assert store.record() is None
    assert store.record_of(OLD) is None


# -- saving --


def test_the_pair_that_was_spent_for_the_new_one_is_not_kept(store, state):
    store.save(OLD)
    store.save(NEW, replaces=fingerprint("OLD-R"))
    assert files(state) == ["token.json"]
    assert access_token_in(state / "token.json") == "NEW-A"


@pytest.mark.parametrize("replaces", [None, fingerprint("THIRD-R")])
def test_another_pair_is_kept_aside_with_its_time(store, state, replaces):
    store.save(OLD)
    os.utime(state / "token.json", ns=(5, 5))
    before = (state / "token.json").read_bytes()
    store.save(NEW, replaces=replaces)
    assert files(state) == ["token.json", "token.json.prev"]
    assert (state / "token.json.prev").read_bytes() == before
    assert (state / "token.json.prev").stat().st_mtime_ns == 5


@pytest.mark.parametrize("is_dead", [True, False])
def test_a_dead_pair_takes_no_place_from_another_that_is_kept(store, state, is_dead):
    store.save(OLD)
    store.save(NEW)
    store.remember(record.Record(outcome="renewed", refresh_token_sha256=fingerprint("NEW-R"), dead=is_dead))
    store.save(pair_of("THIRD"))
    assert access_token_in(state / "token.json.prev") == ("OLD-A" if is_dead else "NEW-A")
    assert access_token_in(state / "token.json") == "THIRD-A"


def test_neither_a_pair_too_large_to_read_nor_one_that_cannot_be_kept_aside_stands_in_the_way_of_a_new_one(
    store, state
):
    put(state / "token.json", b"x" * 70_000)
    store.begin(INTENT).close()
    assert (state / "token.json").read_bytes() == b"x" * 70_000
    store.save(OLD)
    (state / "token.json.prev").mkdir()
    store.save(NEW)
    assert access_token_in(state / "token.json") == "NEW-A"


def test_a_damaged_pair_is_kept_aside_under_the_time_of_day(store, state):
    put(state / "token.json", b"{damaged")
    before = int(time.time())
    store.save(NEW)
    kept, _token_file = sorted(files(state), key=len, reverse=True)
    assert before <= int(kept.removeprefix("token.json.damaged-")) <= time.time()
    assert (state / kept).read_bytes() == b"{damaged"
    assert access_token_in(state / "token.json") == "NEW-A"


def test_a_damaged_pair_that_cannot_be_kept_aside_is_not_overwritten(store, state):
    put(state / "token.json", b"{damaged")
    for moment in range(int(time.time()), int(time.time()) + 30):
        (state / f"token.json.damaged-{moment}").mkdir()
    with pytest.raises(StorageError, match="cannot rename .*token.json: is a directory"):
        store.save(NEW)
    assert (state / "token.json").read_bytes() == b"{damaged"


def test_an_answer_of_no_use_with_a_token_in_it_is_not_overwritten_by_one_without(store, state):
    for body in (b"a", BODY, b"b"):
        store.keep_answer(body)
    assert (state / "answer.kept").read_bytes() == b"b"
    assert (state / "answer.kept.token").read_bytes() == BODY


def test_what_other_hosts_have_too_is_not_spent_here_alone(store):
    store.save(OLD)
    with store.claim(False, time.time) as elsewhere:
        assert elsewhere is None
    store.save(pair_of("OLD", hhtoken_shared=7))
    with pytest.raises(ConfigError, match="is shared with other hosts"):
        store.claim(False, time.time)


def test_seconds_are_counted_from_now(store):
    store.save(NEW)
    assert (policy.seconds_left(store, NEW, NOW + 10), policy.seconds_left(store, NEW, NOW + 60)) == (50, 0)


def test_what_was_made_from_a_shared_pair_is_shared(store, state):
    mark = {"store": "s", "generation": 4, "provider_expires_at": 9, "is_in_etcd": True}
    for given, handed_on in ((mark, {**mark, "generation": 5, "provider_expires_at": 0, "is_in_etcd": False}), (7, 7)):
        store.save(pair_of("OLD", hhtoken_shared=given))
        made = pair_of("NEW")
        store.save(made, replaces=fingerprint("OLD-R"))
        assert store.load().pair.fields["hhtoken_shared"] == handed_on
        (state / "token.json").unlink()
    store.save(pair_of("OLD", hhtoken_shared=mark))
    store.save(pair_of("LOGIN"))
    assert not store.load().pair.is_shared


def test_a_pair_without_a_claim_is_kept_under_a_name_of_its_own(store, state):
    store.save(OLD)
    path = store.keep_pair(NEW)
    assert path.startswith(str(state / "token.json.unclaimed-"))
    assert abs(int(path.rpartition("-")[2]) - time.time()) < 10
    assert store.keep_pair(OLD) != path
    with open(path) as kept:
        assert json.load(kept) == NEW.all_fields()
    assert access_token_in(state / "token.json") == "OLD-A"


# -- a request in flight --


def test_a_request_is_begun_with_room_held_for_the_new_pair_and_the_old_one_untouched(store, state):
    store.save(OLD)
    os.utime(state / "token.json", ns=(5, 5))
    before = store.load()
    inode = (state / "token.json").stat().st_ino
    store.begin(INTENT).close()
    after = store.load()
    assert (after.data, after.modified_ns) == (before.data, 5)
    assert (state / "token.json").stat().st_ino != inode, "rehearsed: written again"
    assert files(state) == [".reserve.tmp", "journal", "token.json"]
    assert (state / ".reserve.tmp").stat().st_size == 128 * 1024
    store.release()
    assert files(state) == ["journal", "token.json"]
    assert store.is_unsettled()
    assert store.leftovers() == [(INTENT, None)]


def test_a_first_request_is_rehearsed_without_a_token_file(store, state, monkeypatch):
    names, rename = [], os.rename
    monkeypatch.setattr(os, "rename", lambda old, new, **more: names.append(new) or rename(old, new, **more))
    store.begin(INTENT).close()
    assert names == [".rehearsal"]
    assert files(state) == [".reserve.tmp", "journal"]


def test_the_room_is_given_back_when_it_is_needed(store, state):
    store.begin(INTENT).close()
    store.save(NEW)
    assert files(state) == ["journal", "token.json"]
    store.begin(INTENT).close()
    store.settle()
    assert files(state) == ["token.json"]
    assert not store.is_unsettled() and store.leftovers() == []


def test_room_that_cannot_be_reserved_is_not_held_in_part(store, state, monkeypatch):
    def full(*_given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match=f"cannot reserve room in {state}: no space left on device"):
        store.begin(INTENT)
    assert files(state) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


# -- an answer that its journal and the token file both refuse --

ANSWER = Answer(200, BODY, True, received_at=NOW)


def is_the_answer(leftovers):
    ((intent, answer),) = leftovers
    return intent == INTENT and (answer.status, answer.body, answer.received_at) == (200, BODY, NOW)


@pytest.fixture
def runtime(tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path / "run"


def rescued_name(state):
    return f"journal.rescued-{state.stat().st_dev:x}-{state.stat().st_ino:x}"


def test_an_answer_is_rescued_beside_its_journal_first(store, state, runtime):
    assert store.rescue(INTENT, ANSWER) == str(state / "journal.rescued")
    assert store.is_unsettled() and is_the_answer(store.leftovers())
    assert files(runtime) == []


@pytest.mark.parametrize("named_mode, is_ours", [(0o700, True), (0o777, True), (0o777, False)])
def test_an_answer_that_the_state_directory_refuses_is_rescued_into_a_runtime_directory(
    state, runtime, tmp_path, monkeypatch, named_mode, is_ours
):
    """Into the one that each run looks into, where that is ours: what systemd names may be a bot's, and end with it."""
    (tmp_path / "named").mkdir()
    (tmp_path / "named").chmod(named_mode)
    runtime.chmod(0o700 if is_ours else 0o777)
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path / 'named'}:{tmp_path / 'second'}")
    (tmp_path / "link").symlink_to(tmp_path)
    store, linked = open_store(str(state), create=True), open_store(str(tmp_path / "link" / "state"), create=True)
    other = open_store(str(tmp_path / "other"), create=True)
    with monkeypatch.context() as broken:
        refuses(broken, "journal.rescued")
        path = store.rescue(INTENT, ANSWER)
    named = str(tmp_path / "named" / rescued_name(state)) if named_mode == 0o700 else None
    assert path == (str(runtime / rescued_name(state)) if is_ours else named)
    assert store.is_unsettled() == linked.is_unsettled() == is_ours and not other.is_unsettled()
    if is_ours:
        assert is_the_answer(linked.leftovers())
        linked.settle()
    assert files(runtime) == [] and not store.is_unsettled()


def test_the_runtime_directory_that_systemd_names_takes_an_answer_where_there_is_no_other(state, tmp_path, monkeypatch):
    (tmp_path / "named").mkdir(mode=0o700)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "named"))
    store = open_store(str(state), create=True)
    refuses(monkeypatch, "journal.rescued")
    assert store.rescue(INTENT, ANSWER) == str(tmp_path / "named" / rescued_name(state))
    assert is_the_answer(store.leftovers())


def test_where_no_place_takes_an_answer_there_is_none_to_name(store, state, runtime, monkeypatch):
    refuses(monkeypatch, "journal.rescued", rescued_name(state))
    assert store.rescue(INTENT, ANSWER) is None
    assert files(state) == files(runtime) == []


# -- the lock --


def test_the_lock_closes_the_directory_to_others_and_sweeps_what_a_killed_run_left(store, state):
    put(state / ".token.json.1.aa.tmp", b"half")
    put(state / "token.json", BODY)
    state.chmod(0o755)
    with store.lock():
        assert state.stat().st_mode & 0o777 == 0o700
        assert files(state) == [".lock", "token.json"]


# -- whether the access token is of use --


@pytest.mark.parametrize("left, min_seconds, is_usable", [
    (60, 0, True), (60, 60, True), (60, 61, False), (1, 0, True), (1, 2, False), (0, 0, False), (-5, 0, False),
])  # fmt: skip
def test_an_access_token_is_of_use_while_it_lives_for_as_long_as_asked(store, left, min_seconds, is_usable):
    why = policy.why_unusable(store, NEW, NOW + 60 - left, min_seconds)
    assert (why is None) == is_usable
    if not is_usable:
        assert isinstance(why, UnavailableError)
        assert why.message == (
            f"the access token is valid for only {left} more seconds, fewer than the {min_seconds} asked for"
            if left > 0
            else "the access token has expired"
        )


@pytest.mark.parametrize("later, is_usable", [(0, False), (1, True)])
def test_an_expired_access_token_lives_as_long_as_headhunter_has_said_that_it_does(store, later, is_usable):
    now = NOW + 100
    store.remember(
        record.Record(outcome=record.NOT_YET, refresh_token_sha256=fingerprint("NEW-R"), lives_until=now + later)
    )
    assert (policy.why_unusable(store, NEW, now) is None) == is_usable
    assert policy.why_unusable(store, NEW, now, min_seconds=2) is not None
    assert policy.why_unusable(store, OLD, now) is not None, "that was said of another one"


def test_an_expired_pair_that_cannot_be_renewed_asks_for_a_human(store):
    store.remember(record.Record(outcome=record.UNCLEAR, refresh_token_sha256=fingerprint("NEW-R"), dead=True))
    for pair in (NEW, Pair({"access_token": "A"}, NOW, NOW + 60)):
        assert isinstance(policy.why_unusable(store, pair, NOW + 60), AuthorizationNeededError)
        assert policy.why_unusable(store, pair, NOW + 59) is None
    assert isinstance(policy.why_unusable(store, OLD, NOW + 60), UnavailableError)


def test_a_pair_on_its_way_into_its_place_is_a_run_to_complete(store):
    with pytest.raises(AuthorizationNeededError):
        store.pair_in_place()
    store.begin(INTENT).close()
    with pytest.raises(UnavailableError, match="a run was interrupted") as raised:
        store.pair_in_place()
    assert "hhtoken refresh" in raised.value.hint
    store.save(NEW)
    assert store.pair_in_place().access_token == "NEW-A"


# -- the access token alone, published --


@pytest.fixture
def publishing(state, tmp_path):
    (tmp_path / "public").mkdir(mode=0o700)
    return open_store(str(state), create=True, published=str(tmp_path / "public" / "token"))


def published(store):
    with open(store.published) as file:
        return file.read()


def test_each_saved_pair_is_published_and_stays_published_until_the_next(publishing, tmp_path):
    publishing.publish()
    assert files(tmp_path / "public") == [], "there is no pair yet"
    for pair in (OLD, NEW):
        publishing.save(pair)
        assert published(publishing) == pair.access_token + "\n"
    inode = os.stat(publishing.published).st_ino
    publishing.publish()
    assert os.stat(publishing.published).st_ino == inode, "nothing new, so nothing is written"
    os.unlink(publishing.published)
    publishing.publish()
    assert published(publishing) == "NEW-A\n"


def test_a_forgotten_pair_leaves_nothing_behind_that_could_be_one(publishing, state, tmp_path, monkeypatch):
    publishing.save(OLD)
    publishing.save(NEW)
    publishing.remember(record.Record(outcome=record.RENEWED))
    publishing.keep_answer(BODY)
    publishing.keep_pair(OLD)
    put(state / "token.json.damaged-1", b"{")
    put(state / "pending.json", b"{}")
    publishing.begin(INTENT).close()
    order, unlink = [], os.unlink
    monkeypatch.setattr(os, "unlink", lambda name, **more: order.append(name) or unlink(name, **more))
    publishing.forget()
    assert files(state) == ["pending.json"]
    assert files(tmp_path / "public") == []
    assert order[-1] == "journal", "the last, so that an interrupted removal can be explained"
