"""The parts of the shared store that need no etcd; the whole is tried on a cluster (`make test-cluster`)."""

import base64
import contextlib
import email.utils
import functools
import itertools
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import requests
from conftest import AGENT, obtain_pair, refreshes
from support import ROOT

from hhtoken import errors
from hhtoken.authorization import systemd_socket
from hhtoken.commands.refresh import _renew_in_time
from hhtoken.pair import LARGEST_FILE_BYTES, MARK_FIELD, pair_from_answer, pair_from_stored, pair_to_text
from hhtoken.provider.answer import Answer
from hhtoken.provider.transfer import NotSent
from hhtoken.renewal import exchange
from hhtoken.settings.settings import Settings
from hhtoken.store import record
from hhtoken.store.etcd import comparison, sealing
from hhtoken.store.etcd import settings as shared_settings
from hhtoken.store.etcd.claim import IDENTITY_FILE, host_identity
from hhtoken.store.etcd.client import Unreachable, Value
from hhtoken.store.etcd.comparison import Mark, compare, mark_of, marked
from hhtoken.store.etcd.shared_store import SharedStore
from hhtoken.store.etcd.vault import Vault
from hhtoken.store.pending import PendingAuthorizations
from hhtoken.store.private_directory import open_directory
from hhtoken.store.token_store import fingerprint, open_store

KEY = base64.b64encode(bytes(range(32)))
PLACE = b"/prefix/-/pair"


def pair(name, generation=None, store="store"):
    fields = {"access_token": f"ACCESS-{name}", "refresh_token": f"REFRESH-{name}", "expires_in": 60}
    made = pair_from_answer(fields, 1000)
    return marked(made, Mark(store, generation, 2000)) if generation else made


@pytest.mark.parametrize(
    "relation, local, remote, end",
    [
        (comparison.NOTHING, None, None, None),
        (comparison.TAKE_OVER, None, pair("a", 1), None),
        (comparison.UNSHARED, pair("a"), None, None),
        (comparison.VANISHED, pair("a", 1), None, None),
        (comparison.PROMOTE, marked(pair("a"), Mark("store", 1, 2000, is_in_etcd=False)), None, None),
        (comparison.IN_STEP, pair("a", 1), pair("a", 1), None),
        (comparison.IN_STEP, pair("a"), pair("a", 3), None),
        (comparison.FOREIGN, pair("a"), pair("b", 2), None),
        (comparison.FOREIGN, pair("a", 1, "mine"), pair("b", 2, "yours"), None),
        (comparison.FOREIGN, pair("a", 1), pair("b"), None),
        (comparison.ENDED, pair("a", 2), None, Mark("store", 2)),
        (comparison.ENDED, pair("a", 2), None, Mark("store", 3)),
        (comparison.VANISHED, pair("a", 2), None, Mark("store", 1)),
        (comparison.VANISHED, pair("a", 2), None, Mark("other", 2)),
        (comparison.TAKE_OVER, pair("a", 2), pair("b", 3), Mark("store", 2)),
    ],
)
def test_which_copy_counts(relation, local, remote, end):
    assert compare(local, remote, end) == relation


def test_of_two_hosts_that_differ_never_both_are_the_newer_one():
    copies = [pair(name, generation) for name, generation in itertools.product("abc", (1, 2, 3))]
    for one, other in itertools.permutations(copies, 2):
        if not comparison.is_same(one, other):
            assert {compare(one, other), compare(other, one)} in (
                {comparison.TAKE_OVER, comparison.PROMOTE},
                {comparison.CONFLICT},
            )


@pytest.mark.parametrize("mark", [None, 5, {}, {"store": 1, "generation": 1, "provider_expires_at": 1},
                                  {"store": "s", "generation": True, "provider_expires_at": 1},
                                  {"store": "s", "generation": "1", "provider_expires_at": 1}])  # fmt: skip
def test_a_mark_that_makes_no_sense_is_none(mark):
    made = pair("a")
    made.fields[MARK_FIELD] = mark
    assert mark_of(made) is None


def test_a_mark_outlives_a_file_that_is_cut_to_what_matters():
    """Without it, every other host would take the next pair for another installation's."""
    for odd in ("x" * 70_000, json.loads("[" * 900 + "]" * 900)):
        made = pair("a", 7)
        made.fields["odd"] = odd
        data = pair_to_text(made)
        assert len(data) <= LARGEST_FILE_BYTES
        assert mark_of(pair_from_stored(json.loads(data))) == Mark("store", 7, 2000)


def test_the_provider_cannot_set_a_mark():
    fields = {"access_token": "A", "refresh_token": "R", MARK_FIELD: Mark("forged", 99)._asdict()}
    assert mark_of(pair_from_answer(fields, 0)) is None


def test_what_is_sealed_opens_again_and_shows_nothing():
    sealer = sealing.Sealer(sealing.key_of(KEY))
    sealed = sealer.seal(PLACE, {"access_token": "SECRET-CANARY"})
    assert b"CANARY" not in sealed and b"CANARY" not in base64.b64decode(json.loads(sealed)["data"])
    assert sealer.open(PLACE, sealed) == {"access_token": "SECRET-CANARY"}
    assert sealer.seal(PLACE, {}) != sealer.seal(PLACE, {})


def test_neither_another_key_opens_it_nor_another_place():
    sealer = sealing.Sealer(sealing.key_of(KEY))
    with pytest.raises(errors.ConfigError, match="another key"):
        sealing.Sealer(bytes(32)).open(PLACE, sealer.seal(PLACE, {}))
    with pytest.raises(errors.DataError):
        sealer.open(b"/prefix/alice/pair", sealer.seal(PLACE, {}))


def test_no_changed_byte_opens():
    sealer = sealing.Sealer(sealing.key_of(KEY))
    envelope = json.loads(sealer.seal(PLACE, {"generation": 1}))
    data = base64.b64decode(envelope["data"])
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(errors.DataError):
            sealer.open(PLACE, json.dumps({**envelope, "data": base64.b64encode(changed).decode()}).encode())


@pytest.mark.parametrize(
    "sealed", [b"", b"{}", b"[]", b"null", b"\xff", b'{"v": 1, "key": "k", "data": 5}', b"[" * 100_000]
)
def test_what_was_never_sealed_makes_no_sense(sealed):
    with pytest.raises(errors.DataError):
        sealing.Sealer(bytes(32)).open(PLACE, sealed)


def test_a_key_is_32_bytes_in_either_alphabet_of_base64():
    key = bytes([255] * 32)
    assert sealing.key_of(base64.b64encode(key) + b"\n") == key == sealing.key_of(base64.urlsafe_b64encode(key))
    for content in (b"", b"short", base64.b64encode(bytes(31)), base64.b64encode(bytes(33)), b"\xff" * 44):
        with pytest.raises(errors.ConfigError) as caught:
            sealing.key_of(content)
        assert "openssl rand -base64 32" in caught.value.hint


def settings(tmp_path, **changes):
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    named = {"HHTOKEN_STORE": "etcd://127.0.0.1/t", "HHTOKEN_STORE_KEY_FILE": str(key), **changes}
    return Settings({name: value for name, value in named.items() if value is not None})


@pytest.mark.parametrize(
    "address, members, prefix",
    [
        ("etcd://127.0.0.1:2379/t", ["http://127.0.0.1:2379"], "/t/-/"),
        ("etcd://localhost", ["http://localhost:2379"], "/hh-token/-/"),
        ("etcd://[::1]:1234/a/b/", ["http://[::1]:1234"], "/a/b/-/"),
        ("etcd://10.0.0.1:1,10.0.0.2:2/t", ["https://10.0.0.1:1", "https://10.0.0.2:2"], "/t/-/"),
        ("etcd://127.0.0.1:1,etcd.example:2/t", ["https://127.0.0.1:1", "https://etcd.example:2"], "/t/-/"),
    ],
)
def test_the_address_of_the_store(tmp_path, address, members, prefix):
    """Whoever is not on this machine is spoken to by TLS only."""
    vault = shared_settings.open_vault(settings(tmp_path, HHTOKEN_STORE=address), None)
    assert vault._etcd._members == members and vault.name == prefix
    assert shared_settings.open_vault(settings(tmp_path, HHTOKEN_STORE=address), "alice").name == prefix[:-2] + "alice/"


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"HHTOKEN_STORE": "http://127.0.0.1/t"}, "HHTOKEN_STORE is no address"),
        ({"HHTOKEN_STORE": "etcd:///t"}, "HHTOKEN_STORE is no address"),
        ({"HHTOKEN_STORE": "etcd://user:password@127.0.0.1/t"}, "HHTOKEN_STORE is no address"),
        ({"HHTOKEN_STORE": "etcd://127.0.0.1:99999/t"}, "HHTOKEN_STORE is no address"),
        ({"HHTOKEN_STORE": "etcd://127.0.0.1/a b"}, "HHTOKEN_STORE is no address"),
        ({"HHTOKEN_STORE_KEY_FILE": None}, "no key"),
        ({"HHTOKEN_STORE_KEY_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"HHTOKEN_STORE_CA_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"HHTOKEN_STORE_USER": "writer"}, "only one is set"),
        ({"HHTOKEN_STORE_SILENCE": "4"}, "HHTOKEN_STORE_SILENCE"),
        ({"HHTOKEN_STORE_SILENCE": "soon"}, "HHTOKEN_STORE_SILENCE"),
    ],
)
def test_a_wrong_setting_is_named_and_the_password_is_not(tmp_path, changes, part):
    with pytest.raises(errors.ConfigError) as caught:
        shared_settings.open_vault(settings(tmp_path, **changes), None)
    assert part in caught.value.message and caught.value.hint
    assert "password@" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "changes, part",
    [
        ({"HHTOKEN_STORE": "foo"}, "HHTOKEN_STORE is no address"),
        ({"HHTOKEN_STORE_PASSWORD_FILE": "/nowhere"}, "cannot read /nowhere"),
        ({"HHTOKEN_STORE_SILENCE": "soon"}, "HHTOKEN_STORE_SILENCE"),
    ],
)
def test_who_looks_is_told_of_a_setting_that_no_renewal_gets_past_and_show_does_not_look(lonely, changes, part):
    lonely.store({"access_token": "ACCESS", "refresh_token": "REFRESH"})
    shared = {"HHTOKEN_STORE": "etcd://127.0.0.1:9/t", **changes}
    shown = json.loads(lonely.run("status", "--json", expect=78, **shared).stdout)
    assert shown["state"] == "misconfigured" and part in shown["reason"] and shown["exit_code"] == 78
    assert shown["next_refresh_at"], "the minutely look still starts the refresh that fails aloud"
    assert "shared with" not in lonely.run("status", expect=78, **shared).stdout
    assert part in lonely.run("status", "--all", expect=78, **shared).stderr
    lonely.run("show", "--field", "access_token", expect=69, **shared)


def test_a_key_that_only_the_units_have_is_not_missed_by_status(lonely):
    lonely.store({"access_token": "ACCESS", "refresh_token": "REFRESH"}, left=1000, life=1000)
    shown = lonely.run("status", HHTOKEN_STORE="etcd://127.0.0.1:9/t").stdout
    assert "shared with other hosts through etcd://127.0.0.1:9/t" in shown


SHARED = {"HHTOKEN_STORE": "etcd://127.0.0.1:9/t"}
COPY = {"access_token": "ACCESS", "refresh_token": "REFRESH", MARK_FIELD: Mark("store", 2)._asdict()}


def test_a_shared_pair_is_not_renewed_where_the_other_hosts_are_not_known(operator, sandbox):
    before = operator.store({**obtain_pair(sandbox), MARK_FIELD: Mark("store", 2)._asdict()})
    for command in ("refresh", "refresh --force", "show --refresh", "exec true", "refresh --all"):
        run = operator.run(*command.split(), expect=78)
        assert "is shared with other hosts, but HHTOKEN_STORE is not set" in run.stderr + run.stdout
    assert "-  misconfigured" in operator.run("status", "--all", expect=78).stdout
    for command in ("status", "doctor", "notice"):
        assert "HHTOKEN_STORE is not set" in operator.run(command, expect=(0, 78)).stdout
    assert operator.token_file.read_bytes() == before and refreshes(sandbox) == 0
    store = open_store(str(operator.state))
    store.remember(record.Record(outcome=record.AUTHORIZATION_NEEDED, message="it is dead", exit_code=77, dead=True,
                                 refresh_token_sha256=fingerprint(operator.stored()["refresh_token"])))  # fmt: skip
    for command in ("refresh", "status"):
        operator.run(command, expect=77)


def test_a_pair_that_is_imported_without_the_store_is_this_hosts_alone(operator, sandbox, tmp_path):
    operator.store({**obtain_pair(sandbox), MARK_FIELD: Mark("store", 2)._asdict()})
    assert "HHTOKEN_STORE is not set" in operator.run("import", operator.token_file, expect=78).stderr
    assert MARK_FIELD in operator.stored()
    assert "the other hosts still hold this pair" in operator.run("export", tmp_path / "pair.json").stderr
    operator.run("import", tmp_path / "pair.json")
    operator.run("refresh")
    assert MARK_FIELD not in operator.stored() and refreshes(sandbox) == 1


@pytest.mark.parametrize("command", ["status", "show", "notice", "doctor"])
def test_where_another_host_may_have_the_pair_it_is_to_be_brought_here(lonely, command):
    run = lonely.run(command, expect=(0, 77, 78), **SHARED)
    assert "type 'hhtoken sync --once', since another host may have it" in run.stdout + run.stderr


def test_what_an_interrupted_refresh_received_stays_shared(operator, sandbox):
    operator.store({**obtain_pair(sandbox), MARK_FIELD: Mark("store", 4)._asdict()})
    before = operator.stored()
    sandbox.provider.advance(3601)
    issued = requests.post(
        sandbox.environment()["HH_TOKEN_URL"],
        data={"grant_type": "refresh_token", "refresh_token": before["refresh_token"]},
        headers=AGENT,
    )
    intent = {"kind": "refresh", "refresh_token_sha256": fingerprint(before["refresh_token"]), "started_at": 1}
    journal = open_store(str(operator.state)).begin(intent)
    journal.append(issued.content)
    journal.finish(Answer(status=200, body=issued.content, complete=True, received_at=int(time.time())))
    journal.close()
    operator.run("refresh", expect=(0, 78))
    mark = mark_of(pair_from_stored(operator.stored()))
    assert operator.stored()["access_token"] == issued.json()["access_token"]
    assert (mark.store, mark.generation, mark.is_in_etcd) == ("store", 5, False)
    operator.run("refresh", "--force", expect=78)


def test_who_has_looked_into_etcd_is_not_sent_there_again(hosts, etcd):
    etcd.values.clear()
    store = hosts("two")
    for has_looked in (False, True):
        with store.lock() if has_looked else contextlib.nullcontext():
            with pytest.raises(errors.NoPairError) as caught:
                store.load()
        assert caught.value.is_from_etcd == has_looked


def waiting_for_etcd(operator):
    """A new pair that is stored here, and not yet in etcd."""
    fields = {**COPY, MARK_FIELD: Mark("store", 2, is_in_etcd=False)._asdict()}
    operator.store(fields, left=1000, life=1000)
    open_store(str(operator.state)).begin({"kind": "refresh"}).close()


def test_status_says_that_a_new_pair_waits_for_etcd(lonely):
    waiting_for_etcd(lonely)
    said = json.loads(lonely.run("status", "--json", **SHARED).stdout)
    assert said["reason"] == "the new pair is safe here, and goes to etcd once that takes it"
    assert said["next_step"] == "once etcd answers, type 'hhtoken sync --once'"


def test_the_only_copy_of_a_new_pair_is_not_removed(lonely):
    waiting_for_etcd(lonely)
    before = lonely.token_file.read_bytes()
    run = lonely.run("revoke", "--local-only", "--yes", expect=75, **SHARED)
    assert "nothing was removed" in run.stderr and "hhtoken sync --once" in run.stderr
    (lonely.state / "journal").unlink()
    lonely.run("revoke", "--local-only", "--yes", expect=75, **SHARED)
    assert lonely.token_file.read_bytes() == before


@pytest.mark.parametrize("content, comes_back", [(COPY, True), ({**COPY, MARK_FIELD: None}, False), (None, True)])
def test_what_is_removed_here_comes_back_where_etcd_has_it(lonely, content, comes_back):
    lonely.store(content or {})
    said = lonely.run("revoke", "--local-only", "--yes", **SHARED).stderr
    assert ("etcd still holds it, and it comes back here" in said) == comes_back
    assert "token.json" not in lonely.files()


@pytest.mark.parametrize("name", ["HHTOKEN_STORE_KEY_FILE", "HHTOKEN_STORE_PASSWORD_FILE"])
def test_a_secret_of_the_store_is_not_called_the_client_secret(tmp_path, name):
    file = tmp_path / "secret"
    file.write_bytes(KEY)
    file.chmod(0o644)
    for content in (KEY, b""):
        file.write_bytes(content)
        with pytest.raises(errors.ConfigError) as caught:
            shared_settings.open_vault(settings(tmp_path, **{name: str(file)}), None)
        assert caught.value.message.startswith(f"the file that {name} names ")
        assert "client" not in caught.value.message + caught.value.hint
        file.chmod(0o600)


@pytest.mark.parametrize("damage", [None, b"", b"{", b"[" * 100_000, b"[]", b'{"home": 5}', b"x" * 300_000])
def test_a_host_stays_itself_by_whatever_path_and_a_copy_of_its_directory_is_another(tmp_path, damage):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    real, linked, copy = (open_directory(str(tmp_path / name), create=True) for name in ("real/a", "link/a", "copy"))
    if damage is not None:
        real.replace(IDENTITY_FILE, damage)
    first = host_identity(real)
    assert host_identity(linked) == host_identity(real) == first and first["name"] == os.uname().nodename
    copy.replace(IDENTITY_FILE, real.read(IDENTITY_FILE)[0])
    assert host_identity(copy)["id"] != first["id"]


def test_without_the_setting_nothing_of_it_is_imported(operator, expired):
    root = ROOT
    program = (
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "from hhtoken.main import main\n"
        "code = main()\n"
        "found = [name for name in sys.modules if name.startswith(('hhtoken.store.etcd', 'cryptography'))]\n"
        "print(code, *found, file=sys.stderr)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, "refresh"], env=operator.environment, capture_output=True, text=True, timeout=60
    )
    assert "renewed the pair" in finished.stderr and finished.stderr.splitlines()[-1] == "0", finished.stderr


def test_a_host_without_a_pair_asks_the_others_and_says_when_none_can_be_reached(lonely, tmp_path):
    """Not "a login is needed": the others may have a pair."""
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    shared = {"HHTOKEN_STORE": "etcd://127.0.0.1:9/t", "HHTOKEN_STORE_KEY_FILE": key, "HHTOKEN_DEADLINE": 2}
    assert "authorize" not in lonely.run("refresh", expect=75, **shared).stderr


class EtcdInMemory:
    """What SharedStore needs of an Etcd. ``lose_answers``: how many of the next transactions take effect unheard.
    ``ask_twice``: of how many of them a second member is asked, too, since the first one's answer was lost."""

    def __init__(self):
        self.values, self.lasting = {}, {}
        self.lose_answers = self.ask_twice = 0
        self.is_broken = False
        self.revision = 1

    def read(self, prefix, keys_only=False):
        return {key: value for key, value in self.values.items() if key.startswith(prefix)}, self.revision

    def changes(self, _prefix, revision, _seconds):
        return [], revision

    def end_lease(self, key):
        """A host was silent for too long."""
        self.revision += 1
        del self.values[key]

    def transact(self, revisions, puts=None, deletes=(), lasting=None):
        if self.is_broken:
            raise KeyError("a defect")
        self.lasting.update(lasting or {})
        if self.ask_twice:
            self.ask_twice -= 1
            self._transact(revisions, puts, deletes)
        return self._transact(revisions, puts, deletes)

    def _transact(self, revisions, puts, deletes):
        if any(self.values.get(key, Value(b"", 0)).revision != revision for key, revision in revisions.items()):
            return 0
        self.revision += 1
        self.values.update({key: Value(data, self.revision) for key, data in (puts or {}).items()})
        for key in deletes:
            self.values.pop(key, None)
        if self.lose_answers:
            self.lose_answers -= 1
            raise Unreachable("its answer was lost", "try again")
        return self.revision


@pytest.fixture
def etcd(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return EtcdInMemory()


def host(tmp_path, name, etcd):
    """Return the SharedStore of a host."""
    store = open_store(str(tmp_path / name), create=True)
    return SharedStore(store, Vault(etcd, sealing.Sealer(bytes(32)), "/t", None, 60, 210), lambda: None)


def save(store, one, after=None):
    """Save a pair on a host, instead of another one."""
    with store.lock():
        return store.save(one, replaces=after and fingerprint(after.refresh_token))


def look(store):
    """Bring a host in step with etcd; return its access token."""
    with store.lock():
        return store.load().pair.access_token


UNHEARD = pytest.mark.parametrize("what", ["lose_answers", "ask_twice"])


@UNHEARD
def test_a_pair_is_put_there_once_and_removed_here_too_where_etcds_answer_was_lost(tmp_path, etcd, what):
    """Or is that of a second member, which refuses what the first one has done."""
    store = host(tmp_path, "one", etcd)
    setattr(etcd, what, 1)
    in_place = save(store, pair("a"))
    assert mark_of(in_place) == mark_of(store.load().pair) and mark_of(in_place).generation == 1
    assert store.is_in_step()
    setattr(etcd, what, 1)
    with store.lock():
        store.forget()
    assert list(etcd.values) == [b"/t/-/end"] and not store.directory.exists("token.json")


def test_a_newer_pair_of_another_host_is_not_removed(tmp_path, etcd, monkeypatch):
    store, other = host(tmp_path, "one", etcd), host(tmp_path, "other", etcd)
    remove = store._vault.remove

    monkeypatch.setattr(store._vault, "remove", lambda *given: save(other, pair("b")) and remove(*given))
    with store.lock():
        store.save(pair("a"))
        with pytest.raises(errors.TryLaterError, match="another host has put a newer pair"):
            store.forget()
    assert store.load().pair.access_token == "ACCESS-a" and other.is_in_step()


def test_a_pair_that_follows_one_which_had_to_wait_for_etcd_has_the_next_generation(tmp_path, etcd):
    """Else the two would have the same one, and the dead one in etcd would take the place of the one that is valid."""
    store = host(tmp_path, "one", etcd)
    first = save(store, pair("a"))
    with store.lock():
        etcd.is_broken = True
        second = store.save(pair("b"), replaces=fingerprint(first.refresh_token))
    etcd.is_broken = False
    with store.lock():  # which puts that one there
        etcd.is_broken = True
        store.save(pair("c"), replaces=fingerprint(second.refresh_token))
    etcd.is_broken = False
    assert look(store) == "ACCESS-c" and store.is_in_step()


def test_a_pair_that_came_too_late_is_kept_aside_and_the_one_that_counts_is_returned(tmp_path, etcd, capfd):
    one, other = host(tmp_path, "one", etcd), host(tmp_path, "other", etcd)
    with one.lock():
        spent = one.save(pair("a"))
        save(other, pair("b"), spent)
        in_place = one.save(pair("c"), replaces=fingerprint(spent.refresh_token))
    assert in_place.access_token == one.load().pair.access_token == "ACCESS-b"
    (kept,) = (tmp_path / "one").glob("token.json.unclaimed-*")
    assert "ACCESS-c" in kept.read_text() and str(kept) in capfd.readouterr().err


@pytest.mark.parametrize("value", [b"[" * 100_000, b"{}", None], ids=["nest", "no envelope", "a defect of ours"])
def test_whatever_is_in_etcd_a_pair_that_was_paid_for_is_saved_here(tmp_path, etcd, capfd, value):
    store = host(tmp_path, "one", etcd)
    with store.lock():
        spent = store.save(pair("a"))
        etcd.values.update({b"/t/-/end": Value(value, 99)} if value else {})
        etcd.is_broken = value is None
        store.save(pair("b"), replaces=fingerprint(spent.refresh_token))
    said = "makes no sense" if value else "a defect of hhtoken: KeyError"
    assert f"{said}; the new pair is safe here" in capfd.readouterr().err
    assert store.load().pair.access_token == "ACCESS-b" and not mark_of(store.load().pair).is_in_etcd
    with pytest.raises((errors.DataError, KeyError)), store.lock():
        pass
    etcd.values.pop(b"/t/-/end", None)
    etcd.is_broken = False
    assert look(store) == "ACCESS-b" and store.is_in_step()


def came_back(store, pending, seconds=20):
    """Tell whether ``login`` sees that the authorization, which is used up, has come to its end."""
    return systemd_socket.wait(store, pending, "used-up", None, seconds, lambda left: left)


def test_login_sees_that_access_was_denied_also_where_no_host_has_a_pair_yet(tmp_path, etcd):
    store = host(tmp_path, "one", etcd)
    pending = PendingAuthorizations(store.directory)
    assert came_back(store, pending)
    journal = store.begin({"kind": "code"})
    journal.close()
    assert not came_back(store, pending, 0.1)


def test_login_sees_that_a_pair_came_also_while_etcd_does_not_take_it(tmp_path, etcd):
    store = host(tmp_path, "one", etcd)
    pending = PendingAuthorizations(store.directory)
    with store.lock():
        store.begin({"kind": "code"}).close()
        etcd.is_broken = True
        store.save(pair("a"))
        store.settle()
    assert came_back(store, pending)
    assert store.is_unsettled(), "so that the next run hands it on"
    etcd.is_broken = False
    with store.lock():
        store.settle()
    assert not store.is_unsettled() and store.is_in_step()


def test_a_host_without_a_pair_has_something_to_look_for_but_no_run_was_interrupted(tmp_path, etcd):
    store = host(tmp_path, "one", etcd)
    assert store.is_unsettled()
    with pytest.raises(errors.AuthorizationNeededError):
        store.pair_in_place()


# -- claims --

NO_NETWORK = NotSent("no connection; nothing was sent", "check the network")
LOST = Answer(0, failure="the connection broke")
NOT_YET = Answer(400, b'{"error": "invalid_grant", "error_description": "token not expired"}', True)
NO_APPLICATION = Answer(400, b'{"error": "invalid_client", "error_description": "client_id not found"}', True)
GUARD_PAGE = Answer(403, b"<html>", True)
REVOKED = Answer(400, b'{"error": "invalid_grant", "error_description": "token was revoked"}', True)
UNKNOWN_WORDS = Answer(400, b'{"error": "invalid_grant", "error_description": "new"}', True)
NEW_PAIR = Answer(200, b'{"access_token": "ACCESS-new", "refresh_token": "REFRESH-new", "expires_in": 60}', True)


class HeadHunter:
    """A TokenEndpoint that gives one answer, or raises it. ``is_asked``: whether it was."""

    def __init__(self, answer):
        self._answer = answer
        self.is_asked = False

    def prepare(self):
        pass

    def post(self, _form, journal):
        self.is_asked = True
        if isinstance(self._answer, NotSent):
            raise self._answer
        journal.send_before()
        if isinstance(self._answer, BaseException):
            raise self._answer
        journal.append(self._answer.body)
        journal.finish(self._answer)
        return self._answer


@pytest.fixture
def hosts(tmp_path, etcd, monkeypatch):
    """Return a function that gives a host's store as a new process has it; all have a pair that is due."""
    monkeypatch.setattr("hhtoken.store.etcd.shared_store.CLAIM_WAIT_SECONDS", 0)
    save(host(tmp_path, "one", etcd), pair("a"))
    return lambda name: host(tmp_path, name, etcd)


def claims(etcd):
    return sorted(key.decode().rpartition("/")[2] for key in etcd.values if key.endswith((b"owner", b"intent")))


def fall_silent(store, etcd):
    """Let a host claim, and never be heard of again."""
    with store.lock():
        assert store._claim(False, time.time) is None
    etcd.end_lease(b"/t/-/owner")


@pytest.mark.parametrize("answer", [NO_NETWORK, NOT_YET, NO_APPLICATION], ids=["no network", "not yet", "refused"])
def test_a_claim_under_which_nothing_was_spent_is_given_back(hosts, etcd, answer):
    exchange.renew(hosts("one"), HeadHunter(answer))
    assert claims(etcd) == []


@pytest.mark.parametrize("answer", [LOST, GUARD_PAGE, KeyError()], ids=["lost", "guard", "defect"])
def test_a_claim_under_which_the_token_may_be_spent_is_kept(hosts, etcd, answer):
    with contextlib.suppress(KeyError):
        exchange.renew(hosts("one"), HeadHunter(answer))
    assert claims(etcd) == ["intent", "owner"]
    headhunter = HeadHunter(NO_NETWORK)
    assert exchange.renew(hosts("other"), headhunter).exit_code in (75, 77) and not headhunter.is_asked


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("refusal", [REVOKED, UNKNOWN_WORDS], ids=["dead", "refused"])
def test_a_verdict_does_not_outlive_its_pair_where_another_host_has_a_newer_one(hosts, etcd, force, refusal):
    headhunter = HeadHunter(NEW_PAIR)
    assert exchange.renew(hosts("other"), HeadHunter(refusal)).exit_code == 77
    for key in [key for key in etcd.values if key.endswith((b"owner", b"intent"))]:
        del etcd.values[key]
    if not force:
        assert exchange.renew(hosts("other"), headhunter).exit_code == 77 and not headhunter.is_asked
    one = hosts("one")
    with one.lock():
        one.save(pair("b"), replaces=fingerprint("REFRESH-a"))
    assert exchange.renew(hosts("other"), headhunter, force).exit_code == 0 and headhunter.is_asked


def test_a_claim_is_given_back_where_the_store_is_found_unwritable_before_anything_is_sent(hosts, etcd, monkeypatch):
    full = errors.StorageError("no space left on device", "make room")
    monkeypatch.setattr("hhtoken.store.journal.begin", lambda *_given: (_ for _ in ()).throw(full))
    with pytest.raises(errors.StorageError):
        exchange.renew(hosts("one"), HeadHunter(NEW_PAIR))
    assert claims(etcd) == []


@pytest.mark.parametrize("answer, code, left", [(NEW_PAIR, 0, []), (REVOKED, 77, [b"/t/-/verdict"])])
def test_a_claim_is_over_with_a_new_pair_or_a_dead_one(hosts, etcd, answer, code, left):
    assert exchange.renew(hosts("one"), HeadHunter(answer)).exit_code == code
    assert list(etcd.values) == [b"/t/-/pair", *left]
    headhunter = HeadHunter(NO_NETWORK)
    assert exchange.renew(hosts("other"), headhunter).exit_code == code and not headhunter.is_asked


@pytest.mark.parametrize("answer", [NO_NETWORK, NO_APPLICATION], ids=["no network", "refused"])
def test_who_tries_in_place_of_a_silent_host_and_spends_nothing_lets_the_next_one_try(hosts, etcd, answer):
    fall_silent(hosts("one"), etcd)
    assert exchange.renew(hosts("other"), HeadHunter(answer)).outcome != record.OUTCOME_UNKNOWN
    assert claims(etcd) == ["intent"], "the silent host's, which the next one learns of"
    assert exchange.renew(hosts("third"), HeadHunter(NEW_PAIR)).outcome == record.RENEWED


@pytest.mark.parametrize("lost_at", [0, 5])
def test_who_tries_in_place_of_a_silent_host_knows_that_it_may_have_spent_the_token(hosts, etcd, lost_at):
    """And when an earlier answer was lost."""
    fall_silent(hosts("one"), etcd)
    other = hosts("other")
    known = {"perhaps_spent_at": lost_at, "refused": "token_revoked", "provider_ahead": 7}
    with other.lock():
        token = fingerprint(other.load().pair.refresh_token)
        other.remember(record.Record(outcome=record.NOT_DUE, refresh_token_sha256=token, **known))
    exchange.renew(other, HeadHunter(NO_NETWORK))
    last = other.record()
    assert (last.refused, last.provider_ahead) == ("token_revoked", 7)
    assert last.perhaps_spent_at == (lost_at or etcd_intent(other)["at"])
    used = Answer(400, b'{"error": "invalid_grant", "error_description": "token has already been refreshed"}', True)
    assert "was lost on the way" in exchange.renew(hosts("other"), HeadHunter(used)).message


def etcd_intent(store):
    return store._vault.read().intent


def test_a_host_whose_answer_was_lost_keeps_its_claim_also_where_it_then_has_no_network(hosts, etcd):
    """It tries alone: the others would only hear that the token is spent."""
    for answer in (LOST, NO_NETWORK, NO_NETWORK):
        exchange.renew(hosts("one"), HeadHunter(answer), force=True)
        assert claims(etcd) == ["intent", "owner"]


@pytest.mark.parametrize("silent", ["one", "other"])
def test_not_yet_means_that_no_earlier_request_has_spent_the_token(hosts, etcd, silent):
    fall_silent(hosts("one"), etcd)
    exchange.renew(hosts(silent), HeadHunter(LOST))
    if silent == "other":
        etcd.end_lease(b"/t/-/owner")
    exchange.renew(hosts("one"), HeadHunter(NOT_YET), force=True)
    assert claims(etcd) == []


def test_a_host_that_was_killed_before_it_sent_anything_gives_its_next_claim_back(hosts, etcd):
    store = hosts("one")
    with store.lock():
        assert store._claim(False, time.time) is None
    exchange.renew(hosts("one"), HeadHunter(NO_NETWORK))
    assert claims(etcd) == []


def test_a_claim_that_a_signal_ends_is_given_back(hosts, etcd):
    store = hosts("one")
    with pytest.raises(errors.Interrupted), store.lock(), store.claim(False, time.time):
        assert claims(etcd) == ["intent", "owner"]
        raise errors.Interrupted("SIGTERM", 15)
    assert claims(etcd) == []


def test_a_claim_that_was_not_heard_of_is_given_back(hosts, etcd):
    etcd.lose_answers = 1
    with pytest.raises(Unreachable):
        exchange.renew(hosts("one"), HeadHunter(NEW_PAIR))
    assert claims(etcd) == []


def test_a_claim_that_a_second_member_refuses_after_the_first_one_took_it_is_ours(hosts, etcd, monkeypatch):
    monkeypatch.setattr("hhtoken.store.etcd.shared_store.CLAIM_WAIT_SECONDS", 600)
    fall_silent(hosts("one"), etcd)
    silent = etcd.values[b"/t/-/intent"]
    etcd.ask_twice = 1
    other = hosts("other")
    assert "no connection" in exchange.renew(other, HeadHunter(NO_NETWORK)).message
    assert claims(etcd) == ["intent"] and etcd.values[b"/t/-/intent"].revision > silent.revision
    vault = other._vault.read()
    assert vault.intent["id"] == host_identity(hosts("one").directory)["id"], "not the one of the first try"
    assert other.record().perhaps_spent_at == vault.intent["at"]


def test_of_a_claim_that_another_host_has_nothing_is_given_back(hosts, etcd):
    owner = hosts("one")
    with owner.lock(), owner.claim(False, time.time) as elsewhere:
        assert elsewhere is None
        assert "has set out to renew" in exchange.renew(hosts("other"), HeadHunter(NEW_PAIR)).message
        assert claims(etcd) == ["intent", "owner"]


def test_a_claim_is_held_until_what_is_sent_is_over_or_nothing_is_sent(hosts, etcd):
    """One that others may have seen end is lost, however short the way to the first byte was."""
    store = hosts("one")
    with store.lock(), store.claim(False, time.time):
        journal = store.begin({"kind": "refresh"})
        journal.close()
        assert etcd.lasting == {b"/t/-/owner": 60}
        for _ in range(2):  # for a second address of HeadHunter
            left = journal.send_before() - time.clock_gettime(time.CLOCK_BOOTTIME)
            assert 0 < left <= 20 and etcd.lasting == {b"/t/-/owner": 210}
        etcd.end_lease(b"/t/-/owner")
        assert journal.send_before() == journal.send_before() == 0
    with store.lock(), store.claim(False, time.time):
        journal = store.begin({"kind": "refresh"})
        journal.close()
        etcd.lose_answers = 1
        with pytest.raises(NotSent, match="its answer was lost; nothing was sent"):
            journal.send_before()
    with store.lock():
        journal = store.begin({"kind": "revoke"})
        journal.close()
    assert journal.send_before is None


# -- what compares revisions --


@pytest.fixture
def two_vaults(hosts, etcd):
    """Two hosts' views of etcd, and what both have read."""
    vaults = [Vault(etcd, sealing.Sealer(bytes(32)), "/t", None, 60, 210) for _ in range(2)]
    return *vaults, vaults[0].read()


CLAIMS = {"id": "one"}, {"id": "one"}, False
PUTS, CLAIMED = ("put_pair", pair("b", 2)), ("claim", *CLAIMS)


@pytest.mark.parametrize("one", [PUTS, CLAIMED])
@pytest.mark.parametrize("other", [PUTS, CLAIMED, ("put_verdict", {"dead": True}), ("remove", {})])
def test_of_what_two_hosts_do_upon_what_both_have_seen_one_succeeds(two_vaults, one, other):
    """A claim alone stands in nobody's way who has a pair, or a verdict on it; in that of ``export``, it does."""
    first, second, seen = two_vaults
    assert getattr(first, one[0])(seen, *one[1:])
    succeeds = one == CLAIMED and other[0] in ("put_pair", "put_verdict")
    assert bool(getattr(second, other[0])(seen, *other[1:])) == succeeds
    assert second.read().pair.access_token == ("ACCESS-b" if PUTS in (one, succeeds and other) else "ACCESS-a")


def test_another_hosts_claim_is_not_given_back(two_vaults, etcd):
    first, second, seen = two_vaults
    assert first.claim(seen, *CLAIMS)
    earlier = first.read().revisions["owner"]
    etcd.end_lease(b"/t/-/owner")
    assert second.claim(second.read(), {"id": "two"}, {"id": "two"}, False)
    assert not first.release(earlier, None)
    assert first.read().owner == {"id": "two"}


# -- etcd restored from an older snapshot --


def restore(etcd, values):
    """Put back what etcd held earlier; its revisions go back, too."""
    etcd.values.clear()
    etcd.values.update(values)
    etcd.revision -= 1


@pytest.fixture
def renewed_twice(hosts, etcd):
    """Return what etcd held at the first of three pairs; both hosts have the second one."""
    snapshot = dict(etcd.values)
    save(hosts("one"), pair("b"), pair("a"))
    look(hosts("other"))
    return snapshot


def test_a_new_pair_takes_the_place_of_an_older_one_that_etcd_was_restored_to_meanwhile(
    hosts, etcd, renewed_twice, tmp_path
):
    first = hosts("one")
    with first.lock():
        restore(etcd, renewed_twice)
        in_place = first.save(pair("c"), replaces=fingerprint(pair("b").refresh_token))
    assert in_place.access_token == first.load().pair.access_token == "ACCESS-c" and first.is_in_step()
    assert not list(tmp_path.glob("one/token.json.unclaimed-*"))
    assert look(hosts("other")) == "ACCESS-c"


def test_a_claim_finds_that_etcd_was_restored_and_goes_on_with_the_newer_pair(hosts, etcd, renewed_twice, monkeypatch):
    first = hosts("one")
    monkeypatch.setattr(first, "_seconds_left", lambda *_given: restore(etcd, renewed_twice))
    with first.lock(), first.claim(False, time.time) as elsewhere:
        assert elsewhere is None and first._vault.read().pair.access_token == "ACCESS-b"


@pytest.mark.parametrize("is_dead", [True, False])
def test_a_pair_that_was_displaced_by_an_older_one_comes_back_by_import(hosts, etcd, renewed_twice, is_dead):
    """As 1.1 left it: in a file aside, without a mark (then only where etcd's is known to be dead), or with one."""
    first = hosts("one")
    displaced = pair("c") if is_dead else marked(pair("c"), Mark(mark_of(first.load().pair).store, 3))
    first.directory.remove("token.json")
    restore(etcd, renewed_twice)
    with first.lock():
        if is_dead:
            exchange.remember(first, dead(first))
    with first.lock(replacing=displaced):
        first.save(displaced)
    assert first.is_in_step() and first._vault.read().pair.access_token == "ACCESS-c"


def dead(store):
    token = fingerprint(store.load().pair.refresh_token)
    return record.Record(outcome=record.AUTHORIZATION_NEEDED, exit_code=77, dead=True, refresh_token_sha256=token)


def test_a_backup_takes_no_place_but_an_empty_one(hosts, etcd, renewed_twice):
    for backup in (pair("a"), pair("x"), pair("c", 9, "another line")):
        with pytest.raises(errors.UsageError, match="holds a pair"), hosts("one").lock(replacing=backup):
            pass


def test_a_dead_pair_that_another_host_had_claimed_can_be_exported(hosts, etcd):
    exchange.renew(hosts("other"), HeadHunter(REVOKED))
    first = hosts("one")
    with first.lock():
        first.forget()
    assert list(etcd.values) == [b"/t/-/end"]


def test_of_a_pair_imported_from_a_file_the_generation_stays(hosts, etcd, tmp_path):
    """Where etcd has lost it: else it would outrank the newer one of a host that comes later."""
    first, other = hosts("one"), hosts("other")
    save(other, pair("b"), pair("a"))
    etcd.values.clear()
    with first.lock(replacing=first.load().pair):
        first.save(first.load().pair)
    assert look(other) == "ACCESS-b" and other.is_in_step()


# -- what one host has heard, and all should know --


def test_a_dead_pair_is_looked_for_in_etcd_before_a_human_is_asked(hosts, etcd):
    """Another host may have come back with the new one in its journal."""
    first, other = hosts("one"), hosts("other")
    exchange.renew(other, HeadHunter(REVOKED))
    save(first, pair_that_lives("new"), pair("a"))
    for force in (False, True):
        headhunter = HeadHunter(NOT_YET)
        exchange.renew(hosts("other"), headhunter, force)
        assert hosts("other").load().pair.access_token == "ACCESS-new" and headhunter.is_asked == force


def pair_that_lives(name):
    return pair_from_answer({"access_token": f"ACCESS-{name}", "refresh_token": "R", "expires_in": 600}, time.time())


SLOW_DOWN = Answer(429, b"{}", True, retry_after="120")
SLOW_DOWN_IN_WORDS = Answer(429, b'{"error": "too_many_requests"}', True, retry_after="120")


@pytest.mark.parametrize("answer", [SLOW_DOWN, SLOW_DOWN_IN_WORDS])
def test_for_how_long_headhunter_wants_to_hear_nothing_is_known_to_all(hosts, etcd, answer):
    asked = exchange.renew(hosts("one"), HeadHunter(answer))
    assert 100 < etcd.lasting[b"/t/-/verdict"] <= 120
    etcd.values.pop(b"/t/-/owner", None)
    headhunter, other = HeadHunter(NEW_PAIR), hosts("other")
    told = exchange.renew(other, headhunter)
    assert (told.exit_code, told.message) == (75, asked.message) and not headhunter.is_asked
    assert 0 < other.record().not_before - time.time() <= 120 and other.is_in_step() and hosts("one").is_in_step()
    waits = other.record().not_before
    for again in (hosts("one"), other):
        version = again.record_version()
        exchange.renew(again, headhunter, clock=lambda: waits + 1)
        assert again.record_version() == version and not headhunter.is_asked, "it was told once"
    etcd.end_lease(b"/t/-/verdict")
    assert exchange.renew(hosts("third"), headhunter).outcome == record.RENEWED


def test_a_new_pair_is_in_place_before_etcd_is_asked(hosts, etcd, monkeypatch):
    """Which may take its time, as may HeadHunter to say what time it is."""
    first, shown = hosts("one"), []
    with first.lock(), monkeypatch.context() as slow:
        for name in ("read", "transact"):
            slow.setattr(etcd, name, lambda *_given, **_named: shown.append(hosts("one").load().pair.access_token))
        first._provider_clock = functools.partial(lambda read: read(b""), etcd.read)
        first.save(pair("new"), replaces=fingerprint(pair("a").refresh_token))
    assert set(shown) == {"ACCESS-new"}


def test_a_copy_takes_over_the_mark_that_the_same_pair_has_in_etcd(hosts, etcd):
    """It was put there again, from a file without a mark, after etcd had lost it."""
    etcd.values.clear()
    second = hosts("two")
    with second.lock(replacing=pair("a")):
        second.save(pair("a"))
    first = hosts("one")
    assert not first.is_in_step()
    assert look(first) == "ACCESS-a" and first.is_in_step()
    save(second, pair("b"), pair("a"))
    assert look(first) == "ACCESS-b"


# -- hosts whose clocks differ --

HOUR = 3600
LIFE = 14 * 24 * HOUR


class Clocks:
    """HeadHunter by its own clock (``now``), and hosts whose clocks are off by so many seconds.

    ``asked``: which refresh token came from which host when."""

    def __init__(self, tmp_path, etcd, monkeypatch):
        self.now = 1_800_000_000.7
        self.asked = []
        self._expires_at = self.now
        self._place = tmp_path, etcd
        self._monkeypatch = monkeypatch
        monkeypatch.setattr("time.sleep", lambda seconds: setattr(self, "now", self.now + seconds))

    def host(self, name, off):
        """Return the store of this host as a new process has it; from now on the clock is this host's."""
        self._off = off
        self._monkeypatch.setattr("time.time", lambda: self.now + off)
        store = host(self._place[0], name, self._place[1])
        store._provider_clock = lambda: int(self.now)
        self._host = name
        return store

    def refresh(self, name, off=0, force=False):
        return exchange.renew(self.host(name, off), self, force, clock=lambda: self.now + off)

    def left(self, name, off=0):
        """Return for how long this host takes the access token for valid."""
        return self.host(name, off).load().pair.expires_at - (self.now + off)

    def sync(self, name, off=0):
        with self.host(name, off).lock():
            pass

    # -- the TokenEndpoint --

    def prepare(self):
        pass

    def post(self, form, journal):
        self.asked.append((self._host, form["refresh_token"], self.now))
        date = email.utils.formatdate(self.now, usegmt=True)
        answer = Answer(400, NOT_YET.body, True, received_at=int(self.now + self._off), date=date)
        if self.now >= self._expires_at:
            number = len(self.asked)
            self._expires_at = self.now + LIFE
            fields = {"access_token": f"A{number}", "refresh_token": f"R{number}", "expires_in": LIFE}
            answer.status, answer.body = 200, json.dumps(fields).encode()
        journal.append(answer.body)
        journal.finish(answer)
        return answer


@pytest.fixture
def clocks(tmp_path, etcd, monkeypatch):
    """``Clocks`` in which host "one" has stored a pair that is due."""
    monkeypatch.setattr("hhtoken.store.etcd.shared_store.CLAIM_WAIT_SECONDS", 0)
    made = Clocks(tmp_path, etcd, monkeypatch)
    store = made.host("one", 0)
    with store.lock():
        store.save(pair_from_answer({"access_token": "A0", "refresh_token": "R0", "expires_in": 60}, made.now - 60))
    return made


OFF = [(0, HOUR), (0, -HOUR), (HOUR, 0), (-HOUR, 0), (HOUR, -HOUR), (-HOUR, HOUR)]


@pytest.mark.parametrize("one, other", OFF)
def test_clocks_an_hour_apart_change_nothing(clocks, one, other):
    """Not when a pair is due, nor until when its access token is shown; a follower has nothing to do meanwhile."""
    hosts = [("one", one), ("other", other)]
    for number in range(1, 4):
        clocks.refresh(*hosts[0])
        assert len(clocks.asked) == number
        for name, off in hosts:
            clocks.sync(name, off)
            assert clocks.left(name, off) == pytest.approx(LIFE, abs=4)
            for seconds in (0, 120, LIFE / 2):
                clocks.now += seconds
                assert clocks.refresh(name, off).outcome == record.NOT_DUE
                clocks.now -= seconds
        assert len(clocks.asked) == number
        clocks.now += LIFE + 4
        hosts.reverse()


@pytest.mark.parametrize("one, other", OFF)
def test_who_tries_in_place_of_a_silent_host_goes_by_the_providers_clock(clocks, etcd, one, other):
    clocks.refresh("one", one)
    clocks.sync("other", other)
    clocks.now += LIFE - 1000
    clocks.refresh("other", other)
    clocks.now += 1004
    silent = clocks.host("one", one)
    with silent.lock():
        assert silent._claim(False, time.time) is None
    etcd.end_lease(b"/t/-/owner")
    assert clocks.refresh("other", other).outcome == record.RENEWED
    assert [(name, token) for name, token, _at in clocks.asked] == [("one", "R0"), ("other", "R1")]
    assert clocks.refresh("one", one).outcome == record.NOT_DUE
    assert clocks.left("one", one) == pytest.approx(LIFE, abs=4)


def test_who_waits_for_a_pair_that_another_host_then_renews_does_not_wait_for_the_next_one(clocks, monkeypatch):
    clocks.refresh("one")
    clocks.sync("other")
    clocks.now += LIFE - 30

    def nap(_seconds):
        clocks.now += 34 if len(clocks.asked) == 1 else LIFE + 4
        clocks.refresh("one")
        clocks.sync("other")

    waiting = clocks.host("other", 0)
    watch = SimpleNamespace(time=lambda: clocks.now, monotonic=lambda: clocks.now, sleep=nap)
    monkeypatch.setattr("hhtoken.commands.refresh.time", watch)
    monkeypatch.setattr("hhtoken.renewal.exchange.renew", functools.partial(exchange.renew, clock=watch.time))
    assert _renew_in_time(waiting, clocks, False, 2 * LIFE).outcome == record.NOT_DUE
    assert len(clocks.asked) == 2


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_a_clock_that_is_set_while_a_copy_is_stored_is_seen_before_anything_is_sent(clocks, off):
    clocks.refresh("one")
    clocks.sync("other")
    clocks.now += LIFE - 1000 if off > 0 else 10
    assert clocks.refresh("other", off).outcome == record.NOT_DUE
    assert len(clocks.asked) == 1
    assert clocks.left("other", off) == pytest.approx(1000 if off > 0 else LIFE, abs=12)


def test_not_yet_is_understood_by_a_host_that_took_the_pair_over(clocks):
    clocks.refresh("one")
    clocks.sync("other", HOUR)
    clocks.now += 1000
    assert clocks.refresh("other", HOUR, force=True).lives_until == pytest.approx(
        clocks.now + HOUR + LIFE - 1000, abs=4
    )


def test_a_provider_that_tells_an_impossible_time_keeps_no_pair_from_being_renewed(clocks):
    clocks.refresh("one")
    clocks.now += LIFE + 4
    store = clocks.host("one", 0)
    for odd in (None, clocks.now - 30 * 24 * HOUR, clocks.now + 30 * 24 * HOUR):
        store._provider_clock = lambda odd=odd: odd
        with store.lock(), store.claim(False, time.time) as elsewhere:
            assert elsewhere is None
