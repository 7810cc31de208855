"""Measure what commands cost, against what a user would type instead: `make bench`. Prints Markdown, judges nothing.

Every figure is the median of runs that take turns (A B C A B C …), so that a machine whose speed drifts does not favour
anybody; ratios are medians of the ratios within each turn.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hhtoken.sandbox.server import start
from hhtoken.store.token_store import open_store

PYTHON = "/usr/bin/python3"
TURNS = 41
HHTOKEN = str(ROOT / "bin" / "hhtoken")

# Like the predecessor's: the same checks that `show` makes, in a shell.
SCRIPT = """#!/bin/bash
set -euo pipefail
expires_in=$(jq -r '.expires_in // 0' "$1")
modified=$(stat -c %Y "$1")
left=$(( modified + expires_in - $(date +%s) ))
(( left > 0 )) || exit 69
jq -r .access_token "$1"
"""


class Cost:
    """What one run took: ``wall`` and ``cpu`` in ms."""

    def __init__(self, command, environment):
        quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        started = time.perf_counter()
        pid = os.posix_spawn(command[0], command, environment, file_actions=quiet)
        _pid, self.status, usage = os.wait4(pid, 0)
        self.wall = (time.perf_counter() - started) * 1000
        self.cpu = (usage.ru_utime + usage.ru_stime) * 1000


def take_turns(commands, environment, turns=TURNS, before=lambda: None):
    """Given commands by name, return ``{name: [Cost of each turn]}``, after one turn that is not counted."""
    costs = {name: [] for name in commands}
    for turn in range(turns + 1):
        for name, command in commands.items():
            before()
            cost = Cost(command, environment)
            if turn:
                costs[name].append(cost)
    return costs


def median(costs, figure):
    return statistics.median(getattr(cost, figure) for cost in costs)


def ratio(costs, others):
    return statistics.median(cost.wall / other.wall for cost, other in zip(costs, others))


def peak(command, environment):
    """Return the peak memory of one run in MiB, by time(1): a child of ours would start with our own peak."""
    timer = "/usr/bin/time"
    if not os.access(timer, os.X_OK):
        return "–"
    with tempfile.NamedTemporaryFile("r") as said:
        subprocess.run(
            [timer, "-q", "-f", "%M", "-o", said.name, *command], env=environment, capture_output=True, check=False
        )
        return f"{int(said.read().split()[-1]) / 1024:.1f}"


def counts(command, environment):
    """Return (system calls, files opened) of one run, by strace, or ("–", "–")."""
    if not shutil.which("strace"):
        return "–", "–"
    with tempfile.NamedTemporaryFile("r") as log:
        subprocess.run(
            ["strace", "-f", "-qq", "-o", log.name, *command], env=environment, capture_output=True, check=False
        )
        lines = [line for line in log if "resumed>" not in line and "+++" not in line]
    return len(lines), sum(bool(re.search(r"open(at)?\(", line)) and "ENOENT" not in line for line in lines)


def write_pair(folder, size=0):
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = int(time.time())
    fields = {"access_token": "A" * 64, "token_type": "bearer", "expires_in": 1209600, "refresh_token": "R" * 64}
    fields.update(obtained_at=now, expires_at=now + 1209600, **({"pad": "x" * size} if size else {}))
    file = folder / "token.json"
    file.write_text(json.dumps(fields))
    file.chmod(0o600)
    return file


def reading(folder):
    file = write_pair(folder / "state")
    script = folder / "script"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    gh = folder / "gh"
    gh.mkdir()
    (gh / "hosts.yml").write_text("github.com:\n    oauth_token: AAAA\n    user: a\n    git_protocol: https\n")
    environment = {"PATH": os.environ["PATH"], "HHTOKEN_STATE_DIR": str(folder / "state"), "GH_CONFIG_DIR": str(gh)}
    commands = {
        "`hhtoken show --field access_token`": [HHTOKEN, "show", "--field", "access_token"],
        "`hhtoken refresh`, nothing due": [HHTOKEN, "refresh"],
        "bare `python3 -I -S -c pass`": [PYTHON, "-I", "-S", "-c", "pass"],
        "`jq -r .access_token`": ["/usr/bin/jq", "-r", ".access_token", str(file)],
        "bash, jq and stat, expiry checked": [str(script), str(file)],
        "`gh auth token`": ["/usr/bin/gh", "auth", "token"],
        "`hhtoken status`": [HHTOKEN, "status"],
    }
    commands = {name: command for name, command in commands.items() if os.access(command[0], os.X_OK)}
    costs = take_turns(commands, environment)
    bare, jq = costs["bare `python3 -I -S -c pass`"], costs.get("`jq -r .access_token`")
    print("| command | wall ms | CPU ms | × bare Python | × jq | peak MiB | system calls | files opened |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, runs in costs.items():
        calls, files = counts(commands[name], environment)
        against_jq = f"{ratio(runs, jq):.2f}" if jq else "–"
        print(
            f"| {name} | {median(runs, 'wall'):.1f} | {median(runs, 'cpu'):.1f} | {ratio(runs, bare):.2f} "
            f"| {against_jq} | {peak(commands[name], environment)} | {calls} | {files} |"
        )


def renewing(folder):
    import requests

    with start(auto="allow") as sandbox:
        settings = sandbox.environment()
        environment = {"PATH": os.environ["PATH"], "HHTOKEN_STATE_DIR": str(folder / "due"), **settings}
        agent = {"User-Agent": "bench/1.0"}
        asked = requests.get(
            settings["HH_AUTHORIZE_URL"],
            params={"response_type": "code", "client_id": settings["HH_CLIENT_ID"]},
            allow_redirects=False,
            headers=agent,
        )
        code = asked.headers["Location"].partition("code=")[2].partition("&")[0]
        form = {"grant_type": "authorization_code", "code": code}
        form.update(client_id=settings["HH_CLIENT_ID"], client_secret=settings["HH_CLIENT_SECRET"])
        pair = requests.post(settings["HH_TOKEN_URL"], data=form, headers=agent).json()
        state = folder / "due"
        state.mkdir(mode=0o700)
        file = state / "token.json"
        file.write_text(json.dumps(pair))
        file.chmod(0o600)

        def expire():
            sandbox.provider.expire()
            fields = json.loads(file.read_text())
            fields.update(obtained_at=int(time.time()) - 60, expires_at=int(time.time()) - 2)
            open_store(str(state)).directory.replace("token.json", json.dumps(fields).encode())

        commands = {
            "`hhtoken refresh`, due": [HHTOKEN, "refresh"],
            "`python3 -c 'import requests'`": [PYTHON, "-c", "import requests"],
        }
        costs = take_turns(commands, environment, before=expire)
        began = time.perf_counter()
        sandbox.provider.expire()
        form = {"grant_type": "refresh_token", "refresh_token": json.loads(file.read_text())["refresh_token"]}
        requests.post(settings["HH_TOKEN_URL"], data=form, headers=agent)
        provider = (time.perf_counter() - began) * 1000
        expire()
        peaks = {name: peak(command, environment) for name, command in commands.items()}
    due, imported = costs.values()
    print("\n| command | wall ms | CPU ms | peak MiB |\n| --- | ---: | ---: | ---: |")
    for name, runs in costs.items():
        print(f"| {name} | {median(runs, 'wall'):.1f} | {median(runs, 'cpu'):.1f} | {peaks[name]} |")
    print(
        f"\nA due refresh takes {ratio(due, imported):.2f} × the import of `requests`; the answer of the sandbox and "
        f"the connection to it are {provider:.1f} ms of that; the rest is ours, with its `fsync`s."
    )


def growth(folder):
    environment = {"PATH": os.environ["PATH"]}
    print("\n| `token.json` of | wall ms |\n| ---: | ---: |")
    sizes = {size: folder / f"size-{size}" for size in (0, 4096, 16384, 60000)}
    commands = {}
    for size, state in sizes.items():
        file = write_pair(state, size)
        commands[f"{file.stat().st_size:,} bytes"] = [HHTOKEN, "show", "--header", "--state-dir", str(state)]
    for name, runs in take_turns(commands, environment, 21).items():
        print(f"| {name} | {median(runs, 'wall'):.1f} |")
    print("\n| state directories, one `show` each | seconds | ms each |\n| ---: | ---: | ---: |")
    for number in (1, 10, 100, 1000):
        for index in range(number):
            write_pair(folder / f"many-{index}")
        began = time.perf_counter()
        for index in range(number):
            Cost([HHTOKEN, "show", "--header", "--state-dir", str(folder / f"many-{index}")], environment)
        seconds = time.perf_counter() - began
        print(f"| {number:,} | {seconds:.2f} | {seconds / number * 1000:.1f} |")
    crowd(folder, environment)


def crowd(folder, environment):
    from hhtoken.pair import pair_from_answer, pair_to_text

    store = open_store(str(folder / "crowd"), create=True)
    now = time.time()
    ended = threading.Event()
    written = 0

    def write():
        nonlocal written
        while not ended.is_set():
            fields = {"access_token": f"A{written}", "refresh_token": f"R{written}", "expires_in": 60}
            store.directory.replace("token.json", pair_to_text(pair_from_answer(fields, now)))
            written += 1
            time.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.1)
    print("\n| readers at once, while a writer replaces the file | `show`s a second | failed |\n| ---: | ---: | ---: |")
    command = [HHTOKEN, "show", "--header", "--allow-expired", "--state-dir", str(folder / "crowd")]
    for readers in (1, 4, 16, 64):
        began, failed = time.perf_counter(), 0
        for _ in range(max(1, 128 // readers)):
            processes = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(readers)]
            failed += sum(process.wait() != 0 for process in processes)
        total = readers * max(1, 128 // readers)
        print(f"| {readers} | {total / (time.perf_counter() - began):.0f} | {failed} |")
    ended.set()
    writer.join()
    print(f"\n(The writer replaced the file {written:,} times meanwhile.)")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reading(folder)
        renewing(folder)
        growth(folder)


if __name__ == "__main__":
    main()
