"""Three members of etcd, three hosts and HeadHunter, each on a machine of its own, and the program as it is installed.

Run by ``make test-cluster``, which sees to the packages; needs root, for the namespaces.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import trustme

from tests.cluster.checks import no_token_was_sent_by_two_hosts
from tests.cluster.etcd_members import WRITER_PASSWORD, Members
from tests.cluster.network import Network

ROOT = Path(__file__).parent.parent.parent
PROGRAM = ROOT / "bin" / "hhtoken"
SILENCE_SECONDS = 300  # longer than any test, but for those that are about it
SHORT_SILENCE_SECONDS, SHORT_DEADLINE_SECONDS = 20, 10
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
HEADHUNTER = 2
LIFE_SECONDS = 6


class Host:
    """One host with the program: ``machine``, ``state`` (its state directory), ``prefix`` (in etcd), ``settings`` (its
    environment)."""

    def __init__(self, machine, state, prefix, environment, authority):
        self.machine, self.state, self.prefix = machine, state, prefix
        self.settings = {"PATH": os.environ["PATH"], "HHTOKEN_STATE_DIR": str(state), **environment}
        self._authority = authority
        self._started = []

    def __repr__(self):
        return self.machine.name

    def start(self, *words, **environment):
        """Start the program; return the process."""
        script = f'mount --bind {self._authority} {TRUSTED} && exec "$@"'
        merged = {**self.settings, **environment}
        process = subprocess.Popen(
            self.machine.command("sh", "-c", script, "sh", PROGRAM, *words),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={name: str(value) for name, value in merged.items() if value is not None},
        )  # fmt: skip
        self._started.append(process)
        return process

    def run(self, *words, expect=0, input="", **environment):
        """Run the program to its end; return ``(stdout, stderr)``. An exit code that was not expected fails."""
        return self.finish(self.start(*words, **environment), expect, input)

    def finish(self, process, expect=0, input=""):
        stdout, stderr = process.communicate(input if process.stdin else None, timeout=300)
        expected = expect if isinstance(expect, tuple) else (expect,)
        assert process.returncode in expected and "Traceback" not in stderr, (self, process.returncode, stdout, stderr)
        return stdout.strip(), stderr

    def token(self, account=None):
        """Return the access token that ``show`` gives, alive or not; "" where there is none."""
        words = ("show", "--field", "access_token", "--allow-expired")
        return self.run(*words, expect=(0, 77), HHTOKEN_ACCOUNT=account)[0]

    def stored(self):
        return json.loads((self.state / "token.json").read_text())

    def environment(self, **changes):
        self.settings.update({name: str(value) for name, value in changes.items()})

    def end_all(self):
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


class Cluster:
    """``hosts``: three; ``etcd``: Members; ``headhunter``: its Machine; ``door``: the directory of front_door.py."""

    def __init__(self, directory):
        self.directory = directory
        self.network = Network()
        self.headhunter = self.network.machine("hh", HEADHUNTER)
        members = [self.network.machine(f"etcd{number}", 10 + number) for number in (1, 2, 3)]
        machines = [self.network.machine(f"host{number}", 20 + number) for number in (1, 2, 3)]
        self._make_certificates(members)
        self.etcd = Members(members, self.directory, self.directory)
        self.door = self.directory
        self._headhunter = subprocess.Popen(
            self.headhunter.command(
                sys.executable, "-m", "tests.cluster.front_door", self.headhunter.address, self.door
            ),
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        until(lambda: (self.door / "ready").exists())
        self._machines = machines
        self.hosts = []

    def fresh_hosts(self, prefix):
        """Return three hosts with empty state directories and this prefix in etcd."""
        self.hosts = []
        for machine in self._machines:
            state = self.directory / prefix / machine.name
            state.mkdir(parents=True, mode=0o700)
            self.hosts.append(Host(machine, state, f"/{prefix}", self._settings(prefix), self.directory / "ca.pem"))
        return self.hosts

    def authorize(self, host, account=None):
        """Authorize on a host, as an operator without a browser on it does."""
        host.run("exchange", input=self.browser_return(host, account) + "\n", HHTOKEN_ACCOUNT=account)

    def browser_return(self, host, account=None):
        """Begin an authorization on a host, and return the address that the browser ends up on."""
        address, _ = host.run("authorize-url", HHTOKEN_ACCOUNT=account)
        seen = subprocess.run(
            host.machine.command(
                "curl", "-s", "-o", "/dev/null", "-w", "%{redirect_url}", "--cacert", self.directory / "ca.pem", address
            ),
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return seen.stdout

    def lever(self, which, /, **parameters):
        """Pull a lever of the sandbox."""
        data = [word for key, value in parameters.items() for word in ("-d", f"{key}={value}")]
        address = f"http://127.0.0.1:8900/sandbox/{which}"
        command = self.headhunter.command("curl", "-sf", "-X", "POST", *data, address)
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def hold_answers(self):
        (self.door / "hold-answer").touch()

    def release_answers(self):
        (self.door / "hold-answer").unlink()

    def drop_answer(self):
        (self.door / "drop-answer").touch()

    def history(self):
        """Return what HeadHunter has seen of refreshes, as a list of dicts, the oldest first."""
        path = self.door / "history"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def asked(self):
        """Return the refresh requests so far, as ``(host's address, part of the token's hash)``."""
        return [(one["host"], one["spent"]) for one in self.history() if one["event"] == "asked" and one["spent"]]

    def issued(self):
        """Return parts of the hashes of the refresh tokens that were issued, the newest last."""
        return [one["issued"] for one in self.history() if one["event"] == "answered" and one["issued"]]

    @property
    def flight_seconds(self):
        """After so many seconds another host may send what one has sent already, and has not said what came of it."""
        settings = self.hosts[0].settings
        return max(int(settings["HHTOKEN_STORE_SILENCE"]), int(settings.get("HHTOKEN_DEADLINE", 180)) + 30)

    def heal(self):
        """Take back whatever a test has done to the machines."""
        for name in ("hold-answer", "drop-answer"):
            (self.door / name).unlink(missing_ok=True)
        for host in self.hosts:
            host.end_all()
        everybody = [*self.etcd.machines, *self._machines, self.headhunter]
        for machine in everybody:
            machine.join()
            machine.unblock(*everybody)
        self.etcd.wait()  # they may be choosing a leader
        self.lever("clear")
        self.lever("expires-in", seconds=LIFE_SECONDS)

    def close(self):
        self._headhunter.kill()
        self._headhunter.wait()
        self.etcd.close()
        self.network.close()

    def _settings(self, prefix):
        headhunter = f"https://{self.headhunter.address}"
        return {
            "HH_CLIENT_ID": "SANDBOX-CLIENT-ID",
            "HH_CLIENT_SECRET": "SANDBOX-CLIENT-SECRET-THAT-IS-NO-SECRET",
            "HH_REDIRECT_URI": "http://127.0.0.1:8000/callback",
            "HH_AUTHORIZE_URL": f"{headhunter}/oauth/authorize",
            "HH_TOKEN_URL": f"{headhunter}/oauth/token",
            "HH_API_URL": headhunter,
            "HHTOKEN_STORE": f"etcd://{self.etcd.endpoints}/{prefix}",
            "HHTOKEN_STORE_SILENCE": SILENCE_SECONDS,
            "HHTOKEN_STORE_KEY_FILE": self.directory / "key",
            "HHTOKEN_STORE_CA_FILE": self.directory / "ca.pem",
            "HHTOKEN_STORE_CERT_FILE": self.directory / "client.pem",
            "HHTOKEN_STORE_USER": "writer",
            "HHTOKEN_STORE_PASSWORD_FILE": self.directory / "password",
        }

    def _make_certificates(self, members):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.directory / "ca.pem")
        names = [*((machine.address, f"{machine.address}.pem") for machine in members)]
        names += [(self.headhunter.address, "server.pem"), ("client.example", "client.pem")]
        for name, file in names:
            authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(self.directory / file)
        stranger = trustme.CA()
        stranger.cert_pem.write_to_path(self.directory / "strange-ca.pem")
        stranger.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(
            self.directory / "stranger.pem"
        )
        for name, content in (("key", os.urandom(32)), ("other-key", os.urandom(32))):
            secret_file(self.directory / name, base64.b64encode(content))
        secret_file(self.directory / "password", WRITER_PASSWORD.encode())


def secret_file(path, content):
    path.touch(mode=0o600)
    path.write_bytes(content)


def until(condition, seconds=120):
    """Wait until a condition holds, and return its value; fail where it does not in time, on a busy machine either."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)
    return value


def pytest_terminal_summary(terminalreporter):
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def whole_cluster():
    assert os.geteuid() == 0, "make test-cluster needs root, for its namespaces"
    directory = Path(tempfile.mkdtemp(prefix="hhtoken-cluster-", dir="/dev/shm"))
    cluster = Cluster(directory)
    yield cluster
    cluster.close()
    shutil.rmtree(directory)


@pytest.fixture
def cluster(whole_cluster, request):
    """The cluster with three fresh hosts, none of which has a pair; whatever is done there, one rule holds."""
    whole_cluster.fresh_hosts(re.sub("[^a-z0-9]+", "-", request.node.name))
    (whole_cluster.door / "history").unlink(missing_ok=True)
    yield whole_cluster
    whole_cluster.heal()
    no_token_was_sent_by_two_hosts(whole_cluster)
