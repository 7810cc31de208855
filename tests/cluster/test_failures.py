"""What can go wrong on the way between three hosts, etcd and HeadHunter: no pair is lost that could have been saved,
and no refresh token is sent by two hosts."""

import os
import signal
import time

import pytest

from tests.cluster.checks import every_pair_follows_from_the_one_before
from tests.cluster.conftest import LIFE_SECONDS, SHORT_DEADLINE_SECONDS, SHORT_SILENCE_SECONDS, until
from tests.cluster.front_door import fingerprint


@pytest.fixture
def shared(cluster):
    """The cluster with a pair that all hosts have, and that expires in a moment; the next one lives."""
    first, *others = cluster.hosts
    cluster.authorize(first)
    cluster.lever("expires-in", seconds=600)
    for host in others:
        host.run("sync", "--once")
    yield cluster
    every_pair_follows_from_the_one_before(cluster)


def in_flight(cluster, host):
    """Start a refresh on a host; return its process, once HeadHunter has its request, which is not answered yet."""
    expire(cluster)
    cluster.hold_answers()
    before, process = len(cluster.asked()), host.start("refresh")
    until(lambda: len(cluster.asked()) > before)
    return process


def killed_with_the_answer(cluster, host):
    """Kill a host when it has the answer of HeadHunter, of which etcd does not know."""
    process = in_flight(cluster, host)
    host.machine.block(*cluster.etcd.machines)
    cluster.release_answers()
    until(lambda: b'"status": 200' in (host.state / "journal").read_bytes())
    process.kill()
    process.wait()


def expire(cluster):
    host = cluster.hosts[0]
    until(lambda: time.time() > host.stored()["expires_at"] + 1)


def intent(cluster):
    """Return etcd's revision of what the hosts have put down there of who renews, None where there is nothing."""
    machine = next(one for one in cluster.etcd.machines if one.name in cluster.etcd.running)
    prefix = cluster.hosts[0].prefix
    return cluster.etcd.control(machine, "get", f"{prefix}/-/intent", "--keys-only").strip() or None


def refreshed(host):
    """Refresh on a host that may have to wait for another one; return what it says."""
    return host.run("refresh", expect=(0, 75))[1]


def soon_missed(cluster, **changed):
    for host in cluster.hosts:
        host.environment(HHTOKEN_STORE_SILENCE=SHORT_SILENCE_SECONDS, HHTOKEN_DEADLINE=SHORT_DEADLINE_SECONDS)
        host.environment(**changed)


def all_have_the_newest(cluster):
    """Every host shows what HeadHunter has issued last."""

    def same():
        for host in cluster.hosts:
            host.run("sync", "--once")
        newest = cluster.issued()[-1]
        return {fingerprint(host.stored()["refresh_token"]) for host in cluster.hosts} == {newest}

    until(same)


def lives(host):
    return host.start("show", "--field", "access_token").wait(300) == 0


@pytest.mark.parametrize("which", ["follower", "leader"])
def test_a_member_of_etcd_that_dies_is_done_without(shared, which):
    leader = shared.etcd.leader()
    victim = leader if which == "leader" else next(one for one in shared.etcd.machines if one is not leader)
    expire(shared)
    processes = [(host, host.start("refresh")) for host in shared.hosts]
    shared.etcd.kill(victim)
    try:
        for host, process in processes:
            host.finish(process, (0, 75))
        until(lambda: all(refreshed(host) is not None and lives(host) for host in shared.hosts))
        all_have_the_newest(shared)
        assert len(shared.asked()) == 1
    finally:
        shared.etcd.restart(victim)


def test_without_a_majority_nothing_is_sent(shared):
    expire(shared)
    victims = shared.etcd.machines[:2]
    for victim in victims:
        shared.etcd.kill(victim)
    try:
        for host in shared.hosts:
            _, said = host.run("refresh", expect=75)
            assert "etcd" in said
        assert shared.asked() == []
    finally:
        for victim in victims:
            shared.etcd.start(victim)
    until(lambda: "renewed" in refreshed(shared.hosts[0]))
    all_have_the_newest(shared)


def test_a_host_cut_off_before_the_request_leaves_it_to_the_others(shared):
    lonely, other, _ = shared.hosts
    expire(shared)
    lonely.machine.cut_off()
    lonely.run("refresh", expect=75)
    other.run("refresh")
    lonely.machine.join()
    lonely.run("refresh")
    all_have_the_newest(shared)
    assert [host for host, _token in shared.asked()][0] == other.machine.address


def test_a_host_cut_off_from_etcd_during_the_request_keeps_the_pair_and_hands_it_on(shared):
    cut, other, _ = shared.hosts
    process = in_flight(shared, cut)
    cut.machine.block(*shared.etcd.machines)
    before = cut.stored()["access_token"]
    shared.release_answers()
    released_at = time.time()
    until(lambda: cut.stored()["access_token"] != before)
    assert (cut.state / "token.json").stat().st_mtime - released_at < 3, "one second, on a machine that is idle"
    _, said = cut.finish(process)
    assert "goes to etcd once that takes it" in said
    new = cut.token()
    other.run("refresh", expect=75)
    assert other.token() != new
    cut.machine.unblock(*shared.etcd.machines)
    cut.run("refresh")
    other.run("sync", "--once")
    assert other.token() == new and len(shared.asked()) == 1


def test_a_host_killed_after_the_answer_promotes_it_when_it_is_back(shared):
    killed, other, _ = shared.hosts
    killed_with_the_answer(shared, killed)
    other.run("refresh", expect=75)
    killed.machine.unblock(*shared.etcd.machines)
    killed.run("refresh")
    all_have_the_newest(shared)
    assert len(shared.asked()) == 1


def test_a_verdict_does_not_outlive_its_pair(shared):
    """A host that was silent for longer than any answer takes comes back with the new pair in its journal."""
    lost, other, third = shared.hosts
    soon_missed(shared)
    killed_with_the_answer(shared, lost)
    until(lambda: other.start("refresh").wait(300) == 77)
    third.run("refresh", expect=77)
    lost.machine.unblock(*shared.etcd.machines)
    lost.run("refresh")
    other.run("refresh")
    third.run("show", "--refresh", "--field", "access_token")
    assert other.token() == third.token() == lost.token()


def in_etcd(cluster, name="pair"):
    key = f"{cluster.hosts[0].prefix}/-/{name}"
    return cluster.etcd.control(cluster.etcd.machines[0], "get", key, "--print-value-only").rstrip("\n")


def put_into_etcd(cluster, value, name="pair"):
    cluster.etcd.control(cluster.etcd.machines[0], "put", f"{cluster.hosts[0].prefix}/-/{name}", value)


def test_etcd_restored_to_an_older_pair_while_a_refresh_is_in_flight_gets_the_new_one(shared):
    first, other, third = shared.hosts
    older = in_etcd(shared)
    expire(shared)
    shared.lever("expires-in", seconds=LIFE_SECONDS)
    first.run("refresh")
    other.run("sync", "--once")
    shared.lever("expires-in", seconds=600)
    process = in_flight(shared, first)
    put_into_etcd(shared, older)
    third.run("sync", "--once")
    shared.release_answers()
    first.finish(process)
    assert lives(first) and not list(first.state.glob("token.json.unclaimed-*"))
    for host in (other, third):
        host.run("refresh")
    all_have_the_newest(shared)
    assert len(shared.asked()) == 2


def test_a_pair_that_lies_aside_is_put_back_by_import_and_a_spent_one_is_not(shared):
    """As a restore left it before; whoever spends the older pair meanwhile learns that it is dead."""
    first, other, _ = shared.hosts
    older = in_etcd(shared)
    spent = shared.directory / "spent.json"
    spent.write_bytes((first.state / "token.json").read_bytes())
    expire(shared)
    first.run("refresh")
    aside = first.state / "token.json.unclaimed-1"
    os.rename(first.state / "token.json", aside)
    put_into_etcd(shared, older)
    first.run("refresh", expect=77)
    first.run("import", spent, expect=2)
    first.run("import", aside)
    all_have_the_newest(shared)
    assert lives(other)


def test_a_follower_behind_a_member_that_is_cut_from_the_others_asks_another_one(shared):
    first, follower, _ = shared.hosts
    members = shared.etcd.machines
    blind = next(one for one in members if one is not shared.etcd.leader())
    seeing = [one for one in members if one is not blind]
    addresses = ",".join(f"{one.address}:2379" for one in (blind, *seeing))
    follower.environment(HHTOKEN_STORE=f"etcd://{addresses}{follower.prefix}")
    service = follower.start("sync")
    time.sleep(2)  # so that it watches
    blind.block(*seeing)
    for one in seeing:
        one.block(blind)
    expire(shared)
    time.sleep(3)  # in which the member notices
    first.environment(HHTOKEN_STORE=f"etcd://{','.join(f'{one.address}:2379' for one in seeing)}{first.prefix}")
    first.run("refresh")
    new, since = first.stored()["access_token"], time.time()
    until(lambda: follower.stored()["access_token"] == new)
    assert time.time() - since < 20, "five seconds, on a machine that has nothing else to do"
    assert service.poll() is None


def test_for_how_long_headhunter_wants_to_hear_nothing_is_known_to_all(shared):
    first, other, _ = shared.hosts
    expire(shared)
    shared.lever("fault", name="rate_limit_absurd")
    _, said = first.run("refresh", expect=75)
    before = len(shared.asked())
    for host in (other, first):
        host.run("refresh", expect=75)
    assert len(shared.asked()) == before
    assert "is dead" not in other.run("doctor", expect=(0, 69, 75, 78))[0]


def test_a_host_that_dies_before_it_sends_is_replaced_after_the_silence(shared):
    """Which is 60 seconds by default, however long its answer might have taken."""
    first, other, third = shared.hosts
    soon_missed(shared, HHTOKEN_DEADLINE=180)
    expire(shared)
    shared.headhunter.block(first.machine)  # its request waits for a connection
    process = first.start("refresh")
    until(lambda: intent(shared))
    claimed_at = time.time()
    process.kill()
    process.wait()
    first.machine.cut_off()
    other.run("refresh", expect=75)
    until(lambda: "renewed the pair" in refreshed(other))
    assert time.time() - claimed_at < 60
    third.run("sync", "--once")
    assert third.token() == other.token()


def test_a_lost_answer_is_asked_for_again_by_the_same_host_alone(shared):
    unlucky, *others = shared.hosts
    expire(shared)
    shared.drop_answer()
    _, said = unlucky.run("refresh", expect=75)
    assert "outcome unknown" in said
    for host in others:
        _, said = host.run("refresh", expect=75)
        assert "host" in said and "has set out" in said
    _, said = unlucky.run("refresh", expect=77)
    assert "was lost on the way" in said
    for host in others:
        host.run("refresh", expect=77)
    assert {host for host, _token in shared.asked()} == {unlucky.machine.address}
    shared.authorize(others[0])
    all_have_the_newest(shared)


def test_a_host_frozen_past_its_lease_sends_nothing_when_it_wakes(shared):
    frozen, other, _ = shared.hosts
    soon_missed(shared)
    expire(shared)
    shared.headhunter.block(frozen.machine)  # its request waits for a connection
    process = frozen.start("refresh")
    until(lambda: intent(shared))
    process.send_signal(signal.SIGSTOP)
    other.run("refresh", expect=75)
    until(lambda: "renewed the pair" in refreshed(other))
    shared.headhunter.unblock(frozen.machine)
    process.send_signal(signal.SIGCONT)
    frozen.finish(process, (0, 75))
    all_have_the_newest(shared)
    assert {host for host, _token in shared.asked()} == {other.machine.address}


def test_a_host_that_cannot_reach_headhunter_lets_the_others_renew(shared):
    """It has sent nothing, so it gives the claim back."""
    deaf, healthy, _ = shared.hosts
    expire(shared)
    deaf.machine.block(shared.headhunter)
    _, said = deaf.run("refresh", expect=75)
    assert "nothing was sent" in said and intent(shared) is None
    healthy.run("refresh")
    deaf.run("sync", "--once")
    assert deaf.token() == healthy.token()


def test_a_pair_that_etcd_refuses_is_used_here_and_handed_on_later(shared):
    host, other, _ = shared.hosts
    machine = shared.etcd.machines[0]
    process = in_flight(shared, host)
    shared.etcd.control(machine, "role", "revoke-permission", "write", "--prefix", "/")
    try:
        shared.release_answers()
        _, said = host.finish(process)
        assert "refuses this user" in said and "is safe here" in said
        assert lives(host)
    finally:
        shared.etcd.control(machine, "role", "grant-permission", "write", "readwrite", "--prefix", "/")
    host.run("refresh")
    other.run("sync", "--once")
    assert other.token() == host.token()
    assert len(shared.asked()) == 1


def test_a_first_login_without_etcd_is_handed_on_later(cluster):
    first, other, _ = cluster.hosts
    cluster.lever("expires-in", seconds=600)
    address = cluster.browser_return(first)
    cluster.hold_answers()
    process = first.start("exchange")
    process.stdin.write(address + "\n")
    process.stdin.close()
    process.stdin = None
    until(lambda: any(one["grant"] == "authorization_code" for one in cluster.history() if one["event"] == "asked"))
    first.machine.block(*cluster.etcd.machines)
    cluster.release_answers()
    first.finish(process)
    assert lives(first)
    assert first.run("show", "--refresh", "--field", "access_token")[0] == first.token()
    first.machine.unblock(*cluster.etcd.machines)
    first.run("refresh")
    other.run("sync", "--once")
    assert other.token() == first.token()


def test_a_verdict_that_etcd_missed_is_put_down_later(shared):
    first, other, _ = shared.hosts
    shared.lever("password-change")
    process = in_flight(shared, first)
    first.machine.block(*shared.etcd.machines)
    shared.release_answers()
    first.finish(process, 77)
    first.machine.unblock(*shared.etcd.machines)
    first.run("sync", "--once")
    other.run("refresh", expect=77)
    assert len(shared.asked()) == 1


def test_keys_that_name_no_account_are_left_alone(cluster):
    host = cluster.hosts[0]
    cluster.authorize(host)
    machine = cluster.etcd.machines[0]
    for name in ("..", "a b", "; rm", ".hidden", "-x", "a/b", "nosuch"):
        cluster.etcd.control(machine, "put", f"{host.prefix}/{name}/pair", "junk")
    before = sorted(path.name for path in host.state.rglob("*"))
    host.run("sync", "--all", "--once")
    assert sorted(path.name for path in host.state.rglob("*")) == before


def test_accounts_are_brought_in_step_each_for_itself(cluster):
    first, other, _ = cluster.hosts
    cluster.lever("expires-in", seconds=600)
    for account in ("alice", "bob"):
        cluster.authorize(first, account)
    service = other.start("sync", "--all")
    for account in ("alice", "bob"):
        until(lambda account=account: other.token(account) == first.token(account))
    service.terminate()
    other.finish(service, 0)
