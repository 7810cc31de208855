"""Measure what hhtoken costs, and write the table of docs/performance.md: `make bench`. Judges nothing.

Commands that are compared take turns (A B C A B C …), and a ratio is the median of the ratios within each turn: a busy
machine, or one whose speed drifts, favours nobody.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from hhtoken.sandbox.server import start

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
MARKER = "<!-- below this line everything is written by make bench -->\n"
HHTOKEN = str(ROOT / "bin" / "hhtoken")
BARE = ["/usr/bin/python3", "-I", "-S", "-c", "pass"]
TURNS = 41
MANY = 1500  # accounts
ROUNDS = 5  # of the listener
JUNK_REQUESTS, JUNK_CLIENTS, SLOW_CLIENTS = 10_000, 4, 200
JUNK = [
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /callback?code=a&state=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /callback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\n\n",
]


class Cost:
    """What one run took: ``wall`` and ``cpu`` in seconds; ``peak`` in MiB if it is watched, which costs a little."""

    def __init__(self, command, environment, is_watched=False):
        quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        began = time.perf_counter()
        pid = os.posix_spawn(command[0], command, environment, file_actions=quiet)
        watch = Watch(pid) if is_watched else None
        _pid, self.status, usage = os.wait4(pid, 0)
        self.wall = time.perf_counter() - began
        self.cpu = usage.ru_utime + usage.ru_stime
        self.peak = watch.peak / 1024 if watch else None


class Watch(threading.Thread):
    """Looks at the peak memory of a process, in KiB: a child of ours would else start with our own peak."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.peak = 0
        self.start()

    def run(self):
        while True:
            try:
                self.peak = max(self.peak, high_water(self._status))
            except (OSError, StopIteration):
                return
            time.sleep(0.05)


def high_water(status):
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])


def take_turns(commands, environment, before=lambda: None):
    """Given commands by name, return ``{name: [Cost of each turn]}``, after one turn that is not counted."""
    costs = {name: [] for name in commands}
    for turn in range(TURNS + 1):
        for name, command in commands.items():
            before()
            cost = Cost(command, environment)
            if turn:
                costs[name].append(cost)
    return costs


def ratio(costs, others, figure):
    return statistics.median(getattr(cost, figure) / getattr(other, figure) for cost, other in zip(costs, others))


def write_pair(folder, pair, left):
    """Write a pair that is valid for so many seconds more as hhtoken stores it."""
    folder.mkdir(mode=0o700, parents=True)
    now = int(time.time())
    file = folder / "token.json"
    file.write_text(json.dumps({**pair, "obtained_at": now - 60, "expires_at": now + left}))
    file.chmod(0o600)
    return file


def environment_of(state, **settings):
    return {"PATH": os.environ["PATH"], "HHTOKEN_STATE_DIR": str(state), **settings}


def reading(folder):
    """Yield rows about commands that only read."""
    pair = {"access_token": "A" * 64, "token_type": "bearer", "expires_in": 1209600, "refresh_token": "R" * 64}
    file = write_pair(folder / "one", pair, 1209600)
    for name in ("alice", "bob", "carol"):
        write_pair(folder / "three" / "accounts" / name, pair, 1209600)
    costs = take_turns(
        {
            "bare": BARE,
            "jq": ["/usr/bin/jq", "-r", ".access_token", str(file)],
            "show": [HHTOKEN, "show", "--field", "access_token"],
            "idle": [HHTOKEN, "refresh"],
            "look": [HHTOKEN, "refresh", "--is-due", "--wait", "63"],
            "all": [HHTOKEN, "refresh", "--all", "--state-dir", str(folder / "three")],
        },
        environment_of(folder / "one"),
    )
    wall = {name: statistics.median(cost.wall for cost in costs[name]) * 1000 for name in costs}
    show = costs["show"]
    yield f"`show --field access_token` ({wall['show']:.1f} ms) / bare Python", ratio(show, costs["bare"], "wall"), 1.45
    yield f"the same / `jq` ({wall['jq']:.1f} ms)", ratio(show, costs["jq"], "wall"), 0.56
    yield "idle `refresh` / `show`, CPU", ratio(costs["idle"], show, "cpu"), 1.1
    yield "the minutely look of the units / `show`, CPU", ratio(costs["look"], show, "cpu"), 1.3
    yield "`refresh --all`, 3 accounts, nothing due / `show`, CPU", ratio(costs["all"], show, "cpu"), 2


def renewing(folder):
    """Yield rows about a refresh that is due, of one account and of many."""
    with start(auto="allow", expires_in=86400) as sandbox:
        file = write_pair(folder / "due", sandbox.provider._new_pair(), -2)

        def expire():
            sandbox.provider.expire()
            pair = json.loads(file.read_text())
            file.write_text(
                json.dumps({**pair, "obtained_at": int(time.time()) - 60, "expires_at": int(time.time()) - 2})
            )

        commands = {"due": [HHTOKEN, "refresh"], "import": ["/usr/bin/python3", "-c", "import requests"]}
        settings = sandbox.environment()
        costs = take_turns(commands, environment_of(folder / "due", **settings), expire)
        yield "a due `refresh` / `import requests`", ratio(costs["due"], costs["import"], "wall"), None
        sandbox.provider.reset()
        for number in range(MANY):
            write_pair(folder / "many" / "accounts" / f"account-{number:05}", sandbox.provider._new_pair(), -2)
        sandbox.provider.expire()
        sandbox.requests.clear()
        environment = environment_of(folder / "many", **settings)
        many = Cost([HHTOKEN, "refresh", "--all"], environment, is_watched=True)
        sent = sandbox.requests.summary()["token_requests"]["refresh_token"]
        assert many.status == 0 and sent == MANY, (many.status, sent)
        bare = statistics.median(Cost(BARE, environment).cpu for _turn in range(TURNS))
        yield f"{MANY:,} accounts due at once: CPU each / bare Python", many.cpu / MANY / bare, 0.5
        yield "the same: peak, MiB", many.peak, 80


def send_junk(port, count):
    for number in range(count):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(JUNK[number % len(JUNK)])
                connection.recv(65536)
        except OSError:
            pass


def ask(port, query):
    """Send the real callback; return the milliseconds to the first byte of the page."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        began = time.perf_counter()
        connection.sendall(f"GET /callback?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.0 200")
        return (time.perf_counter() - began) * 1000


def attack(port):
    """Return the seconds that the junk took among slow clients, and what goes on: clients and a thread."""
    slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(SLOW_CLIENTS)]
    for connection in slow:
        connection.send(b"GET /callback?code=")
    share = (port, JUNK_REQUESTS // JUNK_CLIENTS)
    clients = [threading.Thread(target=send_junk, args=share) for _ in range(JUNK_CLIENTS)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = time.perf_counter() - began
    for connection in slow:
        connection.close()
    slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(SLOW_CLIENTS)]
    noise = threading.Thread(target=send_junk, args=(port, 300))
    noise.start()
    return seconds, slow, noise


def one_round(folder, is_attacked):
    """Return (milliseconds to the page, seconds for the junk, peak in MiB) of one listener."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with start(auto="allow", redirect_uri=f"http://127.0.0.1:{port}/callback") as sandbox:
        environment = environment_of(folder, **sandbox.environment())
        listener = subprocess.Popen([HHTOKEN, "serve-callback"], env=environment, stderr=subprocess.PIPE, text=True)
        listener.stderr.readline()  # that it waits
        asked = subprocess.run([HHTOKEN, "authorize-url"], env=environment, capture_output=True, text=True, check=True)
        agent = {"User-Agent": "bench/1.0"}
        back = requests.get(asked.stdout.strip(), headers=agent, allow_redirects=False, timeout=10).headers["Location"]
        seconds, slow, noise = attack(port) if is_attacked else (0, [], None)
        assert not sandbox.requests.summary()["token_requests"], "junk led to a token request"
        fields = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        milliseconds = ask(port, urlencode(fields))
        peak = high_water(Path(f"/proc/{listener.pid}/status")) / 1024
        for connection in slow:
            connection.close()
        if noise:
            noise.join()
        listener.communicate(timeout=60)
        assert listener.returncode == 0
        return milliseconds, seconds, peak


def listening(folder):
    """Yield rows about the callback, the exchange with the sandbox included."""
    rounds = [(one_round(folder / f"quiet-{n}", False), one_round(folder / f"loud-{n}", True)) for n in range(ROUNDS)]
    quiet, loud = ([statistics.median(column) for column in zip(*side)] for side in zip(*rounds))
    yield "callback to page, alone, ms", quiet[0], None
    yield f"the same among {SLOW_CLIENTS} slow clients and junk, ms", loud[0], 50
    yield f"{JUNK_REQUESTS:,} junk requests among {SLOW_CLIENTS} slow clients, s", loud[1], 10
    yield "peak of the listener under attack, MiB", loud[2], 40


def main():
    lines = ["", "| what | measured | goal |", "| --- | ---: | ---: |"]
    with tempfile.TemporaryDirectory() as name:
        for measure in (reading, renewing, listening):
            for what, figure, goal in measure(Path(name)):
                lines.append(f"| {what} | {figure:.{2 if figure < 10 else 0}f} | {goal or '–'} |")
                print(lines[-1], flush=True)
    version = subprocess.run([*BARE[:3], "-V"], capture_output=True, text=True, check=True).stdout.strip()
    load = f"{version}, {os.cpu_count()} processors, load average {os.getloadavg()[1]:.1f} in the end."
    PAGE.write_text(PAGE.read_text().partition(MARKER)[0] + MARKER + "\n".join([*lines, "", load, ""]))


if __name__ == "__main__":
    sys.exit(main())
