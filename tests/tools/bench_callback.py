"""Measure the callback listener under attack: `make bench`. Not a test: it prints figures and judges nothing.

While 200 slow clients hold a connection each and 10,000 junk requests come in, the real browser's return is sent;
what counts is the time from its arrival to the page, exchange with the sandbox included.
"""

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
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from hhtoken.sandbox.server import start  # noqa: E402

PROGRAM = [sys.executable, "-I", str(ROOT / "bin" / "hhtoken")]
ROUNDS = 5
JUNK_REQUESTS = 10_000
JUNK_CLIENTS = 4
SLOW_CLIENTS = 200
JUNK = [
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /callback?code=a&state=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /callback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\n\n",
]


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_arguments):
        return None


def browser_fields(address):
    """Open the address at the sandbox; return what the browser is sent back with."""
    opener = build_opener(ProxyHandler({}), _Stay())
    try:
        opener.open(Request(address, headers={"User-Agent": "bench/1.0"}), timeout=10)
    except OSError as redirect:  # a 302 that is not followed
        query = parse_qs(urlsplit(redirect.headers["Location"]).query)
        return {name: values[0] for name, values in query.items()}
    raise SystemExit("the sandbox did not redirect")


def wait_for_port(port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except ConnectionRefusedError:
            time.sleep(0.001)
        else:
            return


def send_junk(port, count):
    for number in range(count):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(JUNK[number % len(JUNK)])
                connection.recv(65536)
        except OSError:
            pass


def ask(port, query):
    """Send the real callback; return the milliseconds to the first byte of the page, and whether it was good."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        started = time.perf_counter()
        connection.sendall(f"GET /callback?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        first = connection.recv(65536)
        return (time.perf_counter() - started) * 1000, first.startswith(b"HTTP/1.0 200")


def status_of(pid, field):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(field)).split()[1])


def one_round(folder, number, attacked):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    redirect_uri = f"http://127.0.0.1:{port}/callback"
    with start(auto="allow", redirect_uri=redirect_uri) as sandbox:
        environment = {
            **sandbox.environment(),
            "PATH": os.environ["PATH"],
            "HHTOKEN_STATE_DIR": f"{folder}/state-{number}-{attacked}",
        }
        started = time.perf_counter()
        listener = subprocess.Popen([*PROGRAM, "serve-callback"], env=environment, stderr=subprocess.PIPE, text=True)
        wait_for_port(port)
        ready = (time.perf_counter() - started) * 1000
        listener.stderr.readline()  # that it waits
        listener.stderr.readline()  # the hint that no authorization is under way yet
        address = subprocess.run([*PROGRAM, "authorize-url"], env=environment, capture_output=True, text=True).stdout
        query = urlencode(browser_fields(address.strip()))
        slow, junk_seconds = [], 0.0
        if attacked:
            for _ in range(SLOW_CLIENTS):
                slow.append(socket.create_connection(("127.0.0.1", port), timeout=10))
                slow[-1].send(b"GET /callback?code=")
            clients = [
                threading.Thread(target=send_junk, args=(port, JUNK_REQUESTS // JUNK_CLIENTS))
                for _ in range(JUNK_CLIENTS)
            ]
            began = time.perf_counter()
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            junk_seconds = time.perf_counter() - began
            for connection in slow:
                connection.close()
            slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(SLOW_CLIENTS)]
            before = sandbox.requests.summary()["token_requests"]
            assert not before, "junk led to a token request"
            noise = threading.Thread(target=send_junk, args=(port, 300))
            noise.start()
        peak = status_of(listener.pid, "VmHWM")
        milliseconds, good = ask(port, query)
        if attacked:
            noise.join()
        code = listener.wait(60)
        lines = len(listener.stderr.read().splitlines())
        listener.stderr.close()
        for connection in slow:
            connection.close()
        assert good and code == 0, (good, code)
        return {"ready": ready, "callback": milliseconds, "junk": junk_seconds, "peak": peak, "lines": lines}


def main():
    with tempfile.TemporaryDirectory() as folder:
        rounds = [(one_round(folder, number, False), one_round(folder, number, True)) for number in range(ROUNDS)]

    def median(index, name):
        return statistics.median(pair[index][name] for pair in rounds)

    ratio = statistics.median(attacked["callback"] / quiet["callback"] for quiet, attacked in rounds)
    print(f"medians of {ROUNDS} rounds; the time of the exchange with the sandbox is part of a callback")
    print(f"time to first listen                      {median(0, 'ready'):8.0f} ms")
    print(f"callback to page, alone                   {median(0, 'callback'):8.0f} ms")
    print(f"callback to page, under attack            {median(1, 'callback'):8.0f} ms   ratio {ratio:.2f}")
    print(f"{JUNK_REQUESTS} junk requests, {SLOW_CLIENTS} slow clients  {median(1, 'junk'):8.1f} s")
    print(f"peak memory of the listener, alone        {median(0, 'peak') / 1024:8.1f} MiB")
    print(f"peak memory of the listener, attacked     {median(1, 'peak') / 1024:8.1f} MiB")
    print(f"lines on standard error, attacked         {median(1, 'lines'):8.0f}")


if __name__ == "__main__":
    main()
