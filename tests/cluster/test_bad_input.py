"""Wrong settings: one clear line, the exit code of the contract, nothing overwritten."""

import base64
import json
import re
import time

import pytest

from tests.cluster.checks import every_pair_follows_from_the_one_before
from tests.cluster.conftest import secret_file
from tests.cluster.etcd_members import READER_PASSWORD
from tests.cluster.test_failures import all_have_the_newest, expire


@pytest.fixture
def due(cluster):
    """The cluster with a pair that is due on the first host; nothing of it may have changed at the end."""
    host = cluster.hosts[0]
    cluster.authorize(host)
    before = contents(cluster)
    expire(cluster)
    yield cluster
    assert contents(cluster) == before
    assert cluster.asked() == []


def contents(cluster):
    return cluster.etcd.control(cluster.etcd.machines[0], "get", "--prefix", f"{cluster.hosts[0].prefix}/")


def refused(host, code, *parts, command=("refresh",), **environment):
    stdout, said = host.run(*command, expect=code, **environment)
    errors = [line for line in said.splitlines() if line.startswith("hhtoken: error: ")]
    assert len(errors) == 1 and stdout == "" and all(part in said for part in parts), said
    assert "hhtoken: hint: " in said


def test_a_host_with_another_key_is_refused(due):
    for host in due.hosts[:2]:
        refused(host, 78, "sealed with another key", HHTOKEN_STORE_KEY_FILE=due.directory / "other-key")


@pytest.mark.parametrize(
    "code, part, changed",
    [
        ((75, 78), "etcd", {"HHTOKEN_STORE_CERT_FILE": "{directory}/stranger.pem"}),
        (78, "is not trusted", {"HHTOKEN_STORE_CA_FILE": "{directory}/strange-ca.pem"}),
        (
            78,
            "refuses this user",
            {"HHTOKEN_STORE_USER": "reader", "HHTOKEN_STORE_PASSWORD_FILE": "{directory}/reader"},
        ),
        (78, "refuses this user", {"HHTOKEN_STORE_PASSWORD_FILE": "{directory}/wrong"}),
        (78, "HHTOKEN_STORE is no address", {"HHTOKEN_STORE": "http://10.77.0.11:2379/t"}),
        (78, "HHTOKEN_STORE is no address", {"HHTOKEN_STORE": "etcd://a:b@c/t"}),
        (78, "refuses this user", {"HHTOKEN_STORE": "etcd://{headhunter}:443/t"}),  # and is no etcd: see test_etcd.py
        (78, "etcd holds no pair at /elsewhere/", {"HHTOKEN_STORE": "etcd://{members}/elsewhere"}),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_sent(due, code, part, changed):
    for name, password in (("reader", READER_PASSWORD), ("wrong", "wrong")):
        secret_file(due.directory / name, password.encode())
    known = {"directory": due.directory, "headhunter": due.headhunter.address, "members": due.etcd.endpoints}
    changed = {name: value.format(**known) for name, value in changed.items()}
    refused(due.hosts[0], code, part, **changed)
    if part == "refuses this user":
        assert part in due.hosts[0].run("doctor", expect=78, **changed)[0]
    assert due.etcd.control(due.etcd.machines[0], "get", "--prefix", "/elsewhere") == ""


def test_a_second_installation_on_the_same_prefix_overwrites_nothing(due):
    stranger = due.hosts[1]
    pair = {"access_token": "SECOND-ACCESS", "refresh_token": "SECOND-REFRESH", "expires_in": 60}
    file = due.directory / "second.json"
    secret_file(file, json.dumps(pair).encode())
    stranger.run("import", file, HHTOKEN_STORE=None)
    for command in (("refresh", "--force"), ("import", str(file)), ("sync", "--once")):
        refused(stranger, 78, "nothing to do with each other", command=command)
    assert stranger.stored()["access_token"] == "SECOND-ACCESS"
    refused(due.hosts[2], 2, "holds a pair", "hhtoken export", command=("import", str(file)))


def test_a_value_damaged_in_etcd_is_left_alone(cluster):
    host = cluster.hosts[0]
    cluster.authorize(host)
    expire(cluster)
    key, machine = f"{host.prefix}/-/pair", cluster.etcd.machines[0]
    good = cluster.etcd.control(machine, "get", key, "--print-value-only").strip()
    for damaged in (good[: len(good) // 2], "nonsense", "{}"):
        cluster.etcd.control(machine, "put", key, damaged)
        refused(host, 65, "makes no sense")
        assert cluster.etcd.control(machine, "get", key, "--print-value-only").strip() == damaged
    assert cluster.asked() == []
    cluster.etcd.control(machine, "put", key, good)
    host.run("refresh")


def test_no_token_can_be_read_in_etcd(cluster):
    cluster.authorize(cluster.hosts[0])
    stored = cluster.hosts[0].stored()
    everything = cluster.etcd.control(cluster.etcd.machines[0], "get", "--prefix", "/")
    assert f"{cluster.hosts[0].prefix}/-/pair" in everything
    plain = everything
    for value in re.findall(r'"data": "([^"]+)"', everything):
        plain += base64.b64decode(value).decode("latin-1")
    assert '"data"' in everything
    assert stored["access_token"] not in plain and stored["refresh_token"] not in plain


def test_a_pair_moves_into_etcd_and_out_again(cluster):
    first, second, third = cluster.hosts
    cluster.authorize(first)
    exported = cluster.directory / "exported.json"
    second.run("sync", "--once")
    first.run("export", exported)
    assert exported.stat().st_mode & 0o777 == 0o600
    assert not (first.state / "token.json").exists()
    _, said = second.run("sync", "--once")
    assert "another host has revoked the pair, or moved it" in said
    second.run("refresh", expect=77)
    assert not (second.state / "token.json").exists()
    third.run("import", exported, HHTOKEN_STORE=None)
    expire_file(exported)
    third.run("refresh", HHTOKEN_STORE=None)
    third.run("import", third.state / "token.json")
    all_have_the_newest(cluster)
    every_pair_follows_from_the_one_before(cluster)


def test_a_pair_that_is_removed_on_one_host_alone_comes_back_and_that_is_said(cluster):
    host = cluster.hosts[0]
    cluster.authorize(host)
    _, said = host.run("revoke", "--local-only", "--yes")
    assert "etcd still holds it" in said and "hhtoken export" in said
    host.run("sync", "--once")
    assert host.stored()


def expire_file(path):
    expires_at = json.loads(path.read_text())["expires_at"]
    time.sleep(max(0, expires_at + 1 - time.time()))
