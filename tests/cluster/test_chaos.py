"""Chance against three hosts and etcd for some minutes, and then a look at what HeadHunter and etcd have seen.

CHAOS_SECONDS: for how long; CHAOS_SEED: which chance. The hosts do what their units do: ``sync``, and ``refresh`` again
and again. All faults are taken back now and then: within seconds all hosts must have the same pair.
"""

import base64
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from statistics import median, quantiles

import pytest

from hhtoken.store.etcd.sealing import Sealer, key_of
from tests.cluster.checks import reads_never_go_back
from tests.cluster.conftest import LIFE_SECONDS, until

SECONDS = int(os.environ.get("CHAOS_SECONDS", "300"))
SEED = os.environ.get("CHAOS_SEED") or str(time.time_ns())
ROUND_SECONDS = 30  # of faults, until all is healed
AGREEMENT_SECONDS = 5
SILENCE_SECONDS, DEADLINE_SECONDS = 10, 6
EXITS = (0, 75, 77, -signal.SIGKILL, -signal.SIGTERM, 143)  # the last two at its end
WINDOW_SECONDS = 3  # around a request, in which a kill or a cut may cost its answer


class Life:
    """What goes on on the hosts: ``running``: {(host, command): process}; ``ended``: [(host, exit code, stderr, when)];
    ``reads``: {host: [generation]}; ``gaps``: seconds without a valid token."""

    def __init__(self, cluster):
        self.hosts = cluster.hosts
        self.running, self.ended, self.gaps = {}, [], []
        self.reads = {host: [] for host in self.hosts}
        self.is_over = threading.Event()
        work = [(self._repeat, host, command) for host in self.hosts for command in (("sync",), ("refresh",))]
        work += [(self._read, host) for host in self.hosts]
        self._threads = [threading.Thread(target=one[0], args=one[1:], daemon=True) for one in work]
        for thread in self._threads:
            thread.start()

    def _repeat(self, host, command):
        while not self.is_over.wait(0.5):
            process = self.running[host, command] = host.start(*command)
            _, said = process.communicate()
            self.ended.append((host, process.returncode, said, time.time()))

    def _read(self, host):
        valid_until = None
        while not self.is_over.wait(0.1):
            with contextlib.suppress(FileNotFoundError, KeyError):
                stored = host.stored()
                mark = stored["hhtoken_shared"]
                self.reads[host].append(mark["generation"])
                if valid_until and stored["expires_at"] > valid_until:
                    self.gaps.append(max(0, time.time() - valid_until))
                valid_until = max(stored["expires_at"], valid_until or 0)

    def needs_a_human(self, since):
        return any(code == 77 and at > since for _host, code, _said, at in self.ended)

    def end(self):
        self.is_over.set()
        for process in list(self.running.values()):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for thread in self._threads:
            thread.join(120)


class Nemesis:
    """``log``: [(from, until, what, {names of machines})]."""

    def __init__(self, cluster, life, chance):
        self._cluster, self._life, self._chance = cluster, life, chance
        self._standing = []  # (when it ends, how, place in the log)
        self._strikes = [
            self._kill, self._freeze, self._kill_member, self._freeze_member, self._cut, self._drop, self._drop,
            self._no_space, self._compact,
        ]  # fmt: skip
        self.log = []

    def rage(self, seconds):
        """At the end, one host at least has missed a pair."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._take_back(time.monotonic())
            if len(self._standing) < 2:
                self._strike(self._chance.choice(self._strikes), self._chance.uniform(1, 9))
            time.sleep(self._chance.uniform(0.2, 1.5))
        self._strike(self._cut, seconds)
        time.sleep(LIFE_SECONDS + 2)

    def heal(self):
        self._take_back(float("inf"))

    def _take_back(self, now):
        for one in [one for one in self._standing if one[0] <= now]:
            self._standing.remove(one)
            one[1]()
            self.log[one[2]][1] = time.time()

    def _strike(self, strike, seconds):
        at = time.time()
        names, undo = strike()
        self.log.append([at, time.time() if undo is None else float("inf"), strike.__name__, names])
        if undo:
            self._standing.append((time.monotonic() + seconds, undo, len(self.log) - 1))

    def _process(self):
        (host, _command), process = self._chance.choice(sorted(self._life.running.items(), key=str))
        return host, process

    def _kill(self):
        host, process = self._process()
        process.kill()
        return {str(host)}, None

    def _freeze(self):
        host, process = self._process()
        process.send_signal(signal.SIGSTOP)
        return {str(host)}, lambda: process.send_signal(signal.SIGCONT)

    def _member(self):
        return self._chance.choice(
            [one for one in self._cluster.etcd.machines if one.name in self._cluster.etcd.running]
        )

    def _kill_member(self):
        member = self._member()
        self._cluster.etcd.kill(member)
        return {member.name}, lambda: self._cluster.etcd.start(member)

    def _freeze_member(self):
        member = self._member()
        process = self._cluster.etcd.process(member)
        process.send_signal(signal.SIGSTOP)
        return {member.name}, lambda: process.send_signal(signal.SIGCONT)

    def _cut(self):
        machine = self._chance.choice([host.machine for host in self._life.hosts])
        machine.cut_off()
        return {machine.name, self._cluster.headhunter.name}, machine.join

    def _drop(self):
        """What one machine sends to another is lost, and not the other way round."""
        machines = [host.machine for host in self._life.hosts]
        one, other = self._chance.sample([*machines, *self._cluster.etcd.machines, self._cluster.headhunter], 2)
        one.block(other)
        return {one.name, other.name}, lambda: one.unblock(other)

    def _no_space(self):
        with contextlib.suppress(subprocess.SubprocessError):
            self._cluster.etcd.raise_alarm(self._member())
        return set(), self._cluster.etcd.disarm

    def _compact(self):
        with contextlib.suppress(subprocess.SubprocessError, IndexError):
            self._cluster.etcd.compact(self._member())
        return set(), None


class Revisions:
    """What etcd's pair was at each of its revisions, as a watcher on HeadHunter's machine sees it."""

    def __init__(self, cluster, key):
        self._sealer = Sealer(key_of((cluster.directory / "key").read_bytes()))
        self._key = key.encode()
        self._file = cluster.directory / "revisions"
        self._process = cluster.etcd.watch(cluster.headhunter, key, self._file)

    def generations(self):
        """Return ``[(revision, generation)]``; the watcher ends."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        found = []
        for line in self._file.read_text().splitlines():
            for event in json.loads(line)["Events"] or ():
                if "value" in event["kv"]:
                    fields = self._sealer.open(self._key, base64.b64decode(event["kv"]["value"]))
                    found.append((event["kv"]["mod_revision"], fields["hhtoken_shared"]["generation"]))
        return found


def have_the_same(hosts):
    """Tell whether all hosts have one pair, which etcd has, too."""
    with contextlib.suppress(FileNotFoundError):
        stored = [host.stored() for host in hosts]
        is_in_etcd = all(one["hhtoken_shared"]["is_in_etcd"] for one in stored)
        return is_in_etcd and len({one["refresh_token"] for one in stored}) == 1


@pytest.mark.timeout(SECONDS + 900)
def test_under_any_weather_no_pair_is_lost_that_could_have_been_saved(cluster, record_property):
    for host in cluster.hosts:
        host.environment(HHTOKEN_STORE_SILENCE=SILENCE_SECONDS, HHTOKEN_DEADLINE=DEADLINE_SECONDS)
    cluster.authorize(cluster.hosts[0])
    revisions = Revisions(cluster, f"{cluster.hosts[0].prefix}/-/pair")
    life = Life(cluster)
    nemesis = Nemesis(cluster, life, random.Random(SEED))
    end, agreements, logins = time.monotonic() + SECONDS, [], []
    until(lambda: len(life.running) == 6)
    try:
        while time.monotonic() < end:
            nemesis.rage(ROUND_SECONDS)
            nemesis.heal()
            healed_at = time.monotonic()
            until(lambda: have_the_same(cluster.hosts))
            agreements.append(time.monotonic() - healed_at)
            since = time.time()
            time.sleep(2)
            if life.needs_a_human(since):
                logins.append(since)
                with contextlib.suppress(AssertionError):  # a refresh holds the lock; the next round tries again
                    cluster.authorize(cluster.hosts[len(logins) % 3])
    finally:
        life.end()
        nemesis.heal()
    tell(record_property, cluster, life, nemesis, agreements, logins)
    check(cluster, life, nemesis, agreements, revisions.generations())


def tell(record_property, cluster, life, nemesis, agreements, logins):
    gaps = sorted(life.gaps)
    gap = f"median {median(gaps):.1f} s, p90 {quantiles(gaps, n=10)[-1]:.1f} s, maximum {gaps[-1]:.1f} s"
    record_property(
        "chaos", f"seed {SEED}: {len(nemesis.log)} faults, {len(cluster.asked())} refreshes, {len(logins)} logins"
    )
    record_property("without a valid token on a host", gap)
    record_property("agreement after healing", f"median {median(agreements):.1f} s, maximum {max(agreements):.1f} s")


def check(cluster, life, nemesis, agreements, generations):
    for host, code, said, _at in life.ended:
        assert code in EXITS and "Traceback" not in said and "defect" not in said, (host, code, said)
    reads_never_go_back(life.reads)
    assert len(generations) > SECONDS / 60, "next to nothing was renewed"
    numbers = [generation for _revision, generation in generations]
    assert generations == sorted(generations) and numbers == sorted(numbers), "etcd's pair went back"
    assert max(agreements) <= AGREEMENT_SECONDS, agreements
    renewals = [one for one in cluster.history() if one["event"] == "answered" and one["spent"] and one["issued"]]
    assert len({one["spent"] for one in renewals}) == len(renewals), "a refresh token was renewed twice"
    spent = {token for _host, token in cluster.asked()}
    names = {host.machine.address: str(host) for host in cluster.hosts}
    for one in renewals[:-1]:
        assert one["issued"] in spent or in_the_window(nemesis.log, names[one["host"]], one["at"]), (one, nemesis.log)


def in_the_window(log, host, at):
    """Tell whether the answer that left HeadHunter at that moment may not have come to the host."""
    return any(
        begins - WINDOW_SECONDS < at < ends + WINDOW_SECONDS and host in names and what in ("_kill", "_cut", "_drop")
        for begins, ends, what, names in log
    )
