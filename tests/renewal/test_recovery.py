"""What an interrupted run left in the journal, and what the next run makes of it. Real files."""

import json

import pytest
from support import NOW

from hhtoken.errors import StorageError
from hhtoken.pair import Pair
from hhtoken.provider.answer import Answer
from hhtoken.renewal.recovery import recover
from hhtoken.store import journal, record
from hhtoken.store.token_store import fingerprint, open_store

OTHERS = pytest.mark.parametrize("other", ["C", "THIRD"])  # their tokens and fingerprints sort before NEW's, and behind
REFRESH_OF_OLD = {"kind": "refresh", "refresh_token_sha256": fingerprint("OLD-R"), "started_at": NOW - 50}
EXCHANGE = {"kind": "code", "started_at": NOW - 50}


def pair_of(name, obtained_at=NOW - 1000, **more):
    fields = {"access_token": f"{name}-A", "refresh_token": f"{name}-R", **more}
    return Pair({name: value for name, value in fields.items() if value}, obtained_at, obtained_at + 60)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def store(state):
    """A store with a pair that is due."""
    made = open_store(str(state), create=True)
    made.save(pair_of("OLD"))
    return made


def answer_with(fields, status=200, complete=True, **details):
    return Answer(status, json.dumps(fields).encode(), complete, **{"received_at": NOW - 40, **details})


def new_pair(**more):
    return {"access_token": "NEW-A", "refresh_token": "NEW-R", "expires_in": 60, **more}


def leave(store, intent, answer=None, name="journal"):
    """Leave what a run leaves that was killed: before its answer, or behind it."""
    if answer is None:
        journal.begin(store.directory, name, intent).close()
    else:
        store.directory.replace(name, journal.text_of(intent, answer))


def recovered(store):
    found = recover(store, clock=lambda: NOW)
    assert not store.is_unsettled()
    return found


def test_where_nothing_is_left_nothing_is_done(store, state):
    before = sorted(state.iterdir())
    assert recovered(store) is None
    assert sorted(state.iterdir()) == before


def test_a_renewed_pair_takes_the_place_of_the_one_that_was_spent_for_it(store, state):
    leave(store, REFRESH_OF_OLD, answer_with(new_pair(), request_id="id-1"))
    found = recovered(store)
    assert (found.outcome, found.exit_code, found.request_id) == (record.RENEWED, 0, "id-1")
    assert "recovered the pair" in found.message
    pair = store.load().pair
    assert (pair.access_token, pair.refresh_token) == ("NEW-A", "NEW-R")
    assert (pair.obtained_at, pair.expires_at) == (NOW - 40, NOW + 20)
    last = store.record_of(pair)
    assert (last.outcome, last.spent_sha256) == (record.RENEWED, fingerprint("OLD-R"))
    assert "token.json.prev" not in [path.name for path in state.iterdir()]


def test_a_renewed_pair_whose_refresh_token_stays_is_complete_and_no_older_than_its_request(store):
    leave(store, REFRESH_OF_OLD, answer_with({"access_token": "NEW-A", "expires_in": 60}, received_at=None))
    assert recovered(store).outcome == record.RENEWED
    pair = store.load().pair
    assert (pair.refresh_token, pair.obtained_at) == ("OLD-R", NOW - 50)


@pytest.mark.parametrize("intent", [REFRESH_OF_OLD, EXCHANGE], ids=["refresh", "exchange"])
def test_a_pair_that_is_in_place_already_is_not_reported_again(store, state, intent):
    store.save(pair_of("NEW"), replaces=fingerprint("OLD-R"))
    before = store.load()
    leave(store, intent, answer_with(new_pair()))
    assert recovered(store) is None
    assert (store.load().data, store.load().modified_ns) == (before.data, before.modified_ns)
    last = store.record_of(store.load().pair)
    assert last.outcome == (record.RENEWED if intent is REFRESH_OF_OLD else record.AUTHORIZED)
    assert last.spent_sha256 == intent.get("refresh_token_sha256")


def test_what_is_remembered_of_a_pair_in_place_stays(store):
    store.save(pair_of("NEW"), replaces=fingerprint("OLD-R"))
    store.remember(record.Record(outcome=record.TRY_LATER, message="kept", refresh_token_sha256=fingerprint("NEW-R")))
    leave(store, REFRESH_OF_OLD, answer_with(new_pair()))
    assert recovered(store) is None
    assert store.record().message == "kept"


def test_a_pair_that_is_in_place_already_is_published_if_it_is_not_yet(state, tmp_path):
    (tmp_path / "public").mkdir(mode=0o700)
    published = tmp_path / "public" / "token"
    store = open_store(str(state), create=True, published=str(published))
    store.save(pair_of("OLD"))
    open_store(str(state)).save(pair_of("NEW"), replaces=fingerprint("OLD-R"))
    leave(store, REFRESH_OF_OLD, answer_with(new_pair()))
    assert published.read_text() == "OLD-A\n"
    assert recovered(store) is None
    assert published.read_text() == "NEW-A\n"


@pytest.mark.parametrize("more", [{"access_token": "OLD-A"}, {"refresh_token": "OLD-R"}], ids=list)
def test_a_pair_that_differs_in_one_token_is_another_pair(store, more):
    leave(store, REFRESH_OF_OLD, answer_with(new_pair(**more)))
    assert recovered(store).outcome == record.RENEWED
    pair = store.load().pair
    assert (pair.access_token, pair.refresh_token) == tuple({**new_pair(), **more}.values())[:2]


def unclaimed(state):
    return [json.loads(path.read_text())["refresh_token"] for path in state.glob("token.json.unclaimed-*")]


@OTHERS
def test_a_renewed_pair_does_not_replace_one_that_was_not_spent_for_it(store, state, capfd, other):
    store.save(pair_of(other), replaces=fingerprint("OLD-R"))
    leave(store, REFRESH_OF_OLD, answer_with(new_pair()))
    assert recovered(store) is None
    assert store.load().pair.refresh_token == f"{other}-R"
    assert unclaimed(state) == ["NEW-R"]
    assert "the stored pair was replaced while a request was in flight" in capfd.readouterr().err


@OTHERS
@pytest.mark.parametrize(
    "obtained_at, is_replaced", [(NOW - 1000, True), (NOW - 40, True), (NOW - 39, False), (NOW, False)]
)
def test_a_new_grant_replaces_what_is_not_newer_and_the_other_is_kept(store, state, obtained_at, is_replaced, other):
    store.save(pair_of(other, obtained_at))
    leave(store, EXCHANGE, answer_with(new_pair()))
    found = recovered(store)
    assert store.load().pair.refresh_token == ("NEW-R" if is_replaced else f"{other}-R")
    assert (found.outcome if found else None) == (record.AUTHORIZED if is_replaced else None)
    if is_replaced:
        assert json.loads((state / "token.json.prev").read_text())["refresh_token"] == f"{other}-R"
    else:
        assert unclaimed(state) == ["NEW-R"]


@pytest.mark.parametrize("data", [None, b"{damaged"])
@pytest.mark.parametrize("intent", [REFRESH_OF_OLD, EXCHANGE], ids=["refresh", "exchange"])
def test_where_no_pair_is_or_a_damaged_one_whatever_came_is_saved(store, state, data, intent):
    (state / "token.json").unlink()
    if data:
        (state / "token.json").write_bytes(data)
        (state / "token.json").chmod(0o600)
    leave(store, intent, answer_with(new_pair()))
    assert recovered(store) is not None
    assert store.load().pair.refresh_token == "NEW-R"
    kept = [path.read_bytes() for path in state.glob("token.json.damaged-*")]
    assert kept == ([data] if data else [])


def test_a_refresh_whose_answer_was_lost_is_remembered_as_lost_since_it_began(store):
    leave(store, REFRESH_OF_OLD)
    assert recovered(store) is None
    last = store.record_of(store.load().pair)
    assert (last.outcome, last.exit_code) == (record.OUTCOME_UNKNOWN, 75)
    assert (last.perhaps_spent_at, last.at, last.failures) == (NOW - 50, NOW, 1)
    assert "the run was interrupted" in last.message


@pytest.mark.parametrize(
    "token, failures, since", [("OLD-R", 8, NOW - 999), ("C-R", 1, NOW), ("THIRD-R", 1, NOW), (None, 1, NOW)]
)
def test_only_a_series_of_the_same_refresh_token_is_continued(store, token, failures, since):
    store.remember(record.Record(
        outcome=record.OUTCOME_UNKNOWN, failures=7, failing_since=NOW - 999, perhaps_spent_at=NOW - 999,
        refresh_token_sha256=fingerprint(token),
    ))  # fmt: skip
    leave(store, REFRESH_OF_OLD)
    recovered(store)
    last = store.record()
    assert (last.failures, last.failing_since) == (failures, since)
    assert last.perhaps_spent_at == (NOW - 999 if token == "OLD-R" else NOW - 50)


@pytest.mark.parametrize("token", ["OLD-ACCESS", "OLD-REFRESH"])
def test_a_refusal_that_echoes_a_token_is_remembered_without_it(store, state, token):
    store.save(Pair({"access_token": "OLD-ACCESS", "refresh_token": "OLD-REFRESH"}, NOW - 1000, NOW - 940))
    echo = {"error": "weird", "error_description": f"what is {token}?"}
    leave(store, {**REFRESH_OF_OLD, "refresh_token_sha256": fingerprint("OLD-REFRESH")}, answer_with(echo, status=400))
    assert recovered(store) is None
    remembered = (state / "last-refresh.json").read_text()
    assert token not in remembered and "[hidden]" in remembered


def test_a_refusal_is_kept_as_evidence_also_where_no_pair_is_left(store, state):
    (state / "token.json").unlink()
    leave(store, REFRESH_OF_OLD, answer_with({"error": "weird"}, status=400))
    assert recovered(store) is None
    assert store.record().outcome == record.UNCLEAR
    assert (state / "answer.kept").read_bytes() == b'{"error": "weird"}'


@pytest.mark.parametrize("answer", [None, answer_with({"error": "invalid_grant"}, status=400)])
def test_an_exchange_without_a_pair_says_nothing_about_the_stored_one(store, state, answer):
    leave(store, EXCHANGE, answer)
    assert recovered(store) is None
    assert store.record() is None
    assert (state / "answer.kept").exists() == (answer is not None)
    assert store.load().pair.refresh_token == "OLD-R"


def test_a_lost_answer_that_cannot_be_remembered_ends_the_run_with_the_journal_in_place(store, state):
    (state / "last-refresh.json").mkdir()
    leave(store, REFRESH_OF_OLD)
    with pytest.raises(StorageError):
        recover(store, clock=lambda: NOW)
    assert store.is_unsettled()


@pytest.mark.parametrize("answer, is_saved", [(None, False), (answer_with(new_pair()), True)])
def test_a_journal_whose_intent_is_damaged_is_settled_as_a_new_grant(store, answer, is_saved):
    leave(store, {}, answer)
    assert (recovered(store) is not None) == is_saved
    assert store.load().pair.refresh_token == ("NEW-R" if is_saved else "OLD-R")


@pytest.mark.parametrize("first, second", [("journal", "journal.rescued"), ("journal.rescued", "journal")])
def test_of_two_leftovers_the_pair_is_reported_wherever_it_lay(store, state, first, second):
    leave(store, REFRESH_OF_OLD, answer_with(new_pair()), first)
    leave(store, REFRESH_OF_OLD, Answer(), second)
    assert recovered(store).outcome == record.RENEWED
    assert store.load().pair.refresh_token == "NEW-R"
    assert not list(state.glob("journal*"))


REVOCATION = {**REFRESH_OF_OLD, "kind": "revoke"}


@pytest.mark.parametrize("token, is_said", [("OLD-R", True), ("C-R", False), ("THIRD-R", False), (None, False)])
def test_an_interrupted_revocation_is_said_of_the_pair_that_it_was_for(store, state, capfd, token, is_said):
    if token is None:
        (state / "token.json").unlink()
    leave(store, {**REVOCATION, "refresh_token_sha256": fingerprint(token)})
    assert recovered(store) is None
    said = capfd.readouterr().err
    assert ("warning: a revocation was interrupted" in said) == ("hhtoken revoke" in said) == is_said
    last = store.record()
    assert (last is not None) == is_said
    if is_said:
        assert (last.outcome, last.exit_code, last.at) == (record.OUTCOME_UNKNOWN, 75, NOW)
        assert last.refresh_token_sha256 == fingerprint("OLD-R")


KNOWN = {"perhaps_spent_at": NOW - 300, "refused": "token_revoked", "provider_ahead": 7}


def test_an_interrupted_revocation_makes_nobody_forget_what_is_known_of_the_pair(store):
    """Were a lost answer forgotten, "already refreshed" would be called someone else's doing."""
    token = fingerprint("OLD-R")
    store.remember(record.Record(outcome=record.TRY_LATER, exit_code=75, refresh_token_sha256=token, **KNOWN))
    leave(store, REVOCATION)
    recovered(store)
    last = store.record()
    assert last.outcome == record.OUTCOME_UNKNOWN and "a revocation was interrupted" in last.message
    assert {name: getattr(last, name) for name in KNOWN} == KNOWN


@pytest.mark.parametrize("intent", [REVOCATION, REFRESH_OF_OLD], ids=["revocation", "damaged journal of a refusal"])
def test_nothing_interrupted_brings_a_dead_refresh_token_back_to_life(store, intent):
    """One that HeadHunter has called dead is not sent again."""
    dead = {"outcome": record.AUTHORIZATION_NEEDED, "exit_code": 77, "dead": True}
    store.remember(record.Record(**dead, refresh_token_sha256=fingerprint("OLD-R")))
    leave(store, intent)
    recovered(store)
    assert store.record().dead
