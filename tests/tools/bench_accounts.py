"""Measure many accounts at once: `make bench`. Prints Markdown, judges nothing. Arguments: how many, else 1 to 10,000.

All are due at once; the sandbox, which stands in for HeadHunter on the same machine, is measured alone first, since it
takes its share of the processors.
"""

import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hhtoken.sandbox.server import start  # noqa: E402

HHTOKEN = str(ROOT / "bin" / "hhtoken")
NUMBERS = (1, 10, 100, 1000, 10_000)
ALONE_REQUESTS, ALONE_CLIENTS = 1000, 8
SAMPLE_SECONDS = 0.05


class Watch(threading.Thread):
    """Watches a process. ``peak``: all that it held, in KiB."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid = pid
        self.peak = 0
        self.start()

    def run(self):
        while True:
            try:
                self.peak = max(self.peak, memory(self._pid))
            except OSError:
                return
            time.sleep(SAMPLE_SECONDS)


def memory(pid):
    """Return the memory that a process has, in KiB; raise OSError once it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def run(words, environment):
    """Run hhtoken; return its lines, seconds, CPU seconds, and peak in MiB."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([HHTOKEN, *words], env=environment, stdout=out)
        watch = Watch(process.pid)
        code = process.wait()
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        out.seek(0)
        lines = sum(1 for _line in out)
    assert code == 0, code
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return lines, seconds, cpu, watch.peak / 1024


def new_pairs(sandbox, number):
    pairs = [sandbox.provider._new_pair() for _ in range(number)]
    sandbox.provider.expire()
    return pairs


def write_accounts(folder, pairs):
    (folder / "accounts").mkdir(parents=True)
    now = int(time.time())
    for number, pair in enumerate(pairs):
        account = folder / "accounts" / f"account-{number:05}"
        account.mkdir(mode=0o700)
        file = account / "token.json"
        file.write_text(json.dumps({**pair, "obtained_at": now - 1000, "expires_at": now - 2}))
        file.chmod(0o600)
    folder.chmod(0o700)
    (folder / "accounts").chmod(0o700)


def alone(sandbox):
    """Return how many refreshes the sandbox answers in a second when nothing else is done."""
    pairs = new_pairs(sandbox, ALONE_REQUESTS)
    address = urlsplit(sandbox.environment()["HH_TOKEN_URL"])
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "bench/1.0", "Connection": "close"}
    began = time.perf_counter()
    clients = []
    for client in range(ALONE_CLIENTS):
        pid = os.fork()
        if pid == 0:
            for pair in pairs[client::ALONE_CLIENTS]:
                form = urlencode({"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]})
                connection = http.client.HTTPConnection(address.hostname, address.port)
                connection.request("POST", address.path, form, headers)
                connection.getresponse().read()
                connection.close()
            os._exit(0)
        clients.append(pid)
    for pid in clients:
        os.waitpid(pid, 0)
    return ALONE_REQUESTS / (time.perf_counter() - began)


def main(numbers):
    with start(auto="allow", expires_in=86400) as sandbox:
        rate = alone(sandbox)
        sandbox.provider.reset()
        print(
            "| accounts | `refresh --all`, all due: s | ms each | CPU ms each | requests a second | peak MiB "
            "| nothing due: s | `status --all`: s | peak MiB |"
        )
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for number in numbers:
            with tempfile.TemporaryDirectory() as name:
                write_accounts(Path(name, "state"), new_pairs(sandbox, number))
                sandbox.requests.clear()
                environment = {"PATH": os.environ["PATH"], "HHTOKEN_STATE_DIR": f"{name}/state"}
                environment.update(sandbox.environment())
                lines, seconds, cpu, peak = run(["refresh", "--all"], environment)
                rested, rest_seconds, _cpu, _peak = run(["refresh", "--all"], environment)
                looked, look_seconds, _cpu, look_peak = run(["status", "--all"], environment)
                sent = sandbox.requests.summary()["token_requests"]["refresh_token"]
                assert lines == rested == looked == sent == number, (lines, rested, looked, sent, number)
            print(
                f"| {number:,} | {seconds:.2f} | {seconds / number * 1000:.1f} | {cpu / number * 1000:.1f} "
                f"| {number / seconds:.0f} | {peak:.0f} | {rest_seconds:.2f} | {look_seconds:.2f} | {look_peak:.0f} |",
                flush=True,
            )
            sandbox.provider.reset()
    print(
        f"\nThe sandbox alone answers {rate:.0f} refreshes a second to {ALONE_CLIENTS} bare clients on this machine, "
        "and shares its processors with hhtoken. "
        f"What else ran: the load average was {os.getloadavg()[1]:.0f} on {os.cpu_count()} processors in the end; CPU "
        "time tells what a quiet machine would take."
    )


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or NUMBERS)
