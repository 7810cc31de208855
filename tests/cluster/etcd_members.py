"""Three members of etcd, each on a machine of its own: TLS with client certificates, and users with passwords."""

import contextlib
import json
import os
import subprocess
import time

PORT = 2379
PEER_PORT = 2380
ROOT_PASSWORD, WRITER_PASSWORD, READER_PASSWORD = "of-root", "of-the-writer", "of-the-reader"
AS_ROOT = f"root:{ROOT_PASSWORD}"
START_SECONDS = 120
TOKEN_SECONDS = 15  # for which a token of etcd's may be idle
CLIENT_ENVIRONMENT = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}


class Members:
    """``machines``: of the members; ``certificates``: the directory with ``ca.pem`` and, for each address,
    ``ADDRESS.pem``; ``directory``: for their data."""

    def __init__(self, machines, certificates, directory):
        self.machines = machines
        self._certificates = certificates
        self._directory = directory
        self._processes = {}
        for machine in machines:
            self.start(machine)
        self.wait()
        self._enable_users()

    @property
    def endpoints(self):
        return ",".join(f"{machine.address}:{PORT}" for machine in self.machines)

    @property
    def running(self):
        """The names of the members that run."""
        return set(self._processes)

    def start(self, machine):
        pem = self._certificates / f"{machine.address}.pem"
        peers = ",".join(f"{one.name}=http://{one.address}:{PEER_PORT}" for one in self.machines)
        with open(self._directory / f"{machine.name}.log", "ab") as log:
            self._processes[machine.name] = self._popen(machine, pem, peers, log)

    def _popen(self, machine, pem, peers, log):
        address = machine.address
        return subprocess.Popen(
            machine.command(
                "etcd", "--name", machine.name, "--data-dir", self._directory / machine.name,
                "--listen-client-urls", f"https://{address}:{PORT}", "--advertise-client-urls", f"https://{address}:{PORT}",
                "--listen-peer-urls", f"http://{address}:{PEER_PORT}",
                "--initial-advertise-peer-urls", f"http://{address}:{PEER_PORT}", "--initial-cluster", peers,
                "--cert-file", pem, "--key-file", pem, "--client-cert-auth",
                "--trusted-ca-file", self._certificates / "ca.pem", "--log-level", "error",
                "--auth-token-ttl", TOKEN_SECONDS,
            ),
            stdout=log, stderr=log, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip

    def kill(self, machine):
        process = self._processes.pop(machine.name)
        process.kill()
        process.wait()

    def restart(self, machine):
        self.start(machine)
        self.wait()

    def leader(self):
        """Return the Machine that leads."""
        for machine in self.machines:
            with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
                status = json.loads(self.control(machine, "endpoint", "status", "-w", "json"))[0]["Status"]
                if status["leader"] == status["header"]["member_id"]:
                    return machine
        raise AssertionError("nobody leads")

    def control(self, machine, *words, user=AS_ROOT, input=None):
        """Run etcdctl against one member; return what it prints."""
        finished = subprocess.run(
            machine.command(*self._client([machine], user), *words),
            check=True, capture_output=True, text=True, timeout=60, env=CLIENT_ENVIRONMENT, input=input,
        )  # fmt: skip
        return finished.stdout

    def process(self, machine):
        return self._processes[machine.name]

    def raise_alarm(self, machine):
        """Let etcd take no more changes, as where its disk is full; ``disarm`` ends that."""
        token = json.loads(self._post(machine, "auth/authenticate", name="root", password=ROOT_PASSWORD))["token"]
        self._post(machine, "maintenance/alarm", token, action="ACTIVATE", alarm="NOSPACE")

    def disarm(self):
        for machine in self.machines:
            with contextlib.suppress(subprocess.SubprocessError):
                self.control(machine, "alarm", "disarm")
                return

    def compact(self, machine):
        """Let etcd forget all but what stands there now."""
        status = json.loads(self.control(machine, "endpoint", "status", "-w", "json"))[0]["Status"]
        self.control(machine, "compact", str(status["header"]["revision"]))

    def watch(self, machine, key, file):
        """Write changes of a key into a file, a line of JSON each, as seen from a machine; return the process, which
        leads a group. It goes on where etcd ends its watch."""
        words = *self._client(self.machines), "watch", "-w", "json", key
        with open(file, "wb") as output:
            return subprocess.Popen(
                machine.command("sh", "-c", 'while :; do "$@"; sleep 0.1; done', "sh", *words),
                stdout=output, stderr=subprocess.DEVNULL, env=CLIENT_ENVIRONMENT, start_new_session=True,
            )  # fmt: skip

    def _client(self, machines, user=AS_ROOT):
        pem, addresses = self._certificates / "client.pem", [f"https://{one.address}:{PORT}" for one in machines]
        return (
            "etcdctl", "--endpoints", ",".join(addresses), "--cacert", self._certificates / "ca.pem",
            "--cert", pem, "--key", pem, *(("--user", user) if user else ()),
        )  # fmt: skip

    def _post(self, machine, path, token="", **fields):
        pem = self._certificates / "client.pem"
        command = machine.command(
            "curl", "-sf", "-m", "9", "--cacert", self._certificates / "ca.pem", "--cert", pem,
            "-d", json.dumps(fields), "-H", f"Authorization: {token}", f"https://{machine.address}:{PORT}/v3/{path}",
        )  # fmt: skip
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def close(self):
        for process in self._processes.values():
            process.kill()
            process.wait()

    def wait(self):
        """Wait until all that run are healthy."""
        deadline = time.monotonic() + START_SECONDS
        healthy = 0
        while healthy < len(self._processes):
            assert time.monotonic() < deadline, f"only {healthy} members of etcd are healthy; see the logs"
            healthy = 0
            for machine in self.machines:
                with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
                    self.control(machine, "endpoint", "health")
                    healthy += 1
            time.sleep(0.2)

    def _enable_users(self):
        machine = self.machines[0]
        for user, password in (("root", ROOT_PASSWORD), ("writer", WRITER_PASSWORD), ("reader", READER_PASSWORD)):
            self.control(machine, "user", "add", f"{user}:{password}", user=None)
        for role, right in (("write", "readwrite"), ("read", "read")):
            self.control(machine, "role", "add", role, user=None)
            self.control(machine, "role", "grant-permission", role, right, "--prefix", "/", user=None)
        for user, role in (("root", "root"), ("writer", "write"), ("reader", "read")):
            self.control(machine, "user", "grant-role", user, role, user=None)
        self.control(machine, "auth", "enable", user=None)
