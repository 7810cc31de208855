"""Three hosts, one pair: each expiry is one request, and every host has the new token within seconds."""

import os
import subprocess
import time
from statistics import median

from tests.cluster.checks import each_expiry_is_one_request, reads_never_go_back
from tests.cluster.conftest import until

EXPIRIES = int(os.environ.get("EXPIRIES", "50"))
SECONDS = 5
MOMENT = 300  # far longer than a pair of these tests lives, and far shorter than an hour


def refresh_everywhere(cluster, expect=0, **environment):
    """Refresh on all hosts at once, each waiting for the expiry; return what they say."""
    processes = [(host, host.start("refresh", "--wait", "30", **environment)) for host in cluster.hosts]
    return [host.finish(process, expect) for host, process in processes]


def all_have_the_same(cluster):
    """Wait until every host shows the same token; return after how many seconds the last one had stored it."""
    until(lambda: len({host.token() for host in cluster.hosts}) == 1)
    issued_at = [one["at"] for one in cluster.history() if one["event"] == "answered" and one["issued"]][-1]
    return max((host.state / "token.json").stat().st_mtime for host in cluster.hosts) - issued_at


def test_fifty_expiries_are_fifty_requests(cluster):
    """A host that starts too late for one expiry meets the next one, which is then one request, too."""
    cluster.authorize(cluster.hosts[0])
    services = [host.start("sync") for host in cluster.hosts]
    until(lambda: all((host.state / "token.json").exists() for host in cluster.hosts))
    reads = {host: [] for host in cluster.hosts}
    delays = []
    for _ in range(EXPIRIES):
        refresh_everywhere(cluster)
        for host in cluster.hosts:
            reads[host].append(host.stored()["hhtoken_shared"]["generation"])
        delays.append(all_have_the_same(cluster))
        each_expiry_is_one_request(cluster)
    assert median(delays) < SECONDS, delays
    assert all(process.poll() is None for process in services)
    reads_never_go_back(reads)


def test_hosts_that_only_follow_have_the_new_token_within_seconds(cluster):
    """``refresh`` takes a new pair over by itself, so here it runs on one host alone."""
    cluster.authorize(cluster.hosts[0])
    for host in cluster.hosts[1:]:
        host.start("sync")
    until(lambda: all((host.state / "token.json").exists() for host in cluster.hosts))
    delays = []
    for _ in range(3):
        cluster.hosts[0].run("refresh", "--wait", "30")
        delays.append(all_have_the_same(cluster))
    assert len(cluster.asked()) == 3
    assert median(delays) < SECONDS, delays


def test_clocks_an_hour_apart_change_nothing(cluster):
    cluster.authorize(cluster.hosts[0])
    for host, offset in zip(cluster.hosts[1:], ("+3600", "-3600")):
        host.environment(LD_PRELOAD="/usr/$LIB/faketime/libfaketime.so.1", FAKETIME=offset)
        environment = {name: str(value) for name, value in host.settings.items()}
        clock = subprocess.run(["date", "+%s"], env=environment, capture_output=True, text=True, check=True).stdout
        assert abs(int(clock) - time.time() - int(offset)) < 60
    for host in cluster.hosts:
        host.start("sync")
    for _ in range(5):
        refresh_everywhere(cluster)
        all_have_the_same(cluster)
        each_expiry_is_one_request(cluster)
    for host in cluster.hosts:
        now = time.time() + int(host.settings.get("FAKETIME") or "0")
        assert 0 < host.stored()["expires_at"] - now + MOMENT < 2 * MOMENT, host
