"""What the scenario is written with: the box, checks, HTTP, a browser over WebDriver, and watchers."""

import glob
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

RESULTS = os.environ["RESULTS"]
ROOT = os.environ["BOX_ROOT"]  # the box's files, but for its /tmp and /run
HOST = "hh-test.keenetic.pro"
STARTED = time.monotonic()


# -- checks --


def check(name, passed, detail=""):
    """Print and count one check; ``detail`` is shown where it failed."""
    line = f"{'ok' if passed else 'not ok'} - {name}" + ("" if passed or detail == "" else f": {str(detail)[:1500]!r}")
    print(f"{line}  [{time.monotonic() - STARTED:.0f} s]", flush=True)
    with open(f"{RESULTS}/checks", "a") as file:
        file.write(line + "\n")
    return passed


def equal(name, got, wanted):
    return check(name, got == wanted, f"got {got!r}, wanted {wanted!r}")


def until(condition, seconds=10, pause=0.05):
    """Call ``condition`` until it returns something true, and return that; else its last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause)


# -- the box --


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")
        self.text = (self.out + self.err).strip()


def run(*command, stdin=b"", timeout=120):
    """Run a command in the box as root and return its Result."""
    done = subprocess.run(
        [os.environ["BOX"], "run", *command],
        input=stdin,
        capture_output=True,
        timeout=timeout,
    )
    return Result(done)


def sh(script, **options):
    return run("sh", "-c", script, **options)


def begin(command, seconds=120):
    """Start a command in the box, which is ended after so many seconds; return the process, with all that it prints."""
    return subprocess.Popen(
        [os.environ["BOX"], "run", "timeout", str(seconds), *command.split()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def write(path, text, mode="0644", owner="root:root"):
    sh(f"umask 077; cat > {path}; chown {owner} {path}; chmod {mode} {path}", stdin=text.encode())


def journal(*options):
    """Return the messages of the box's journal that match."""
    run("journalctl", "--sync")
    return run("journalctl", "-q", "-o", "cat", "--no-pager", *options).out


def unit_property(unit, name):
    return run("systemctl", "show", "-P", name, unit).out.strip()


def start(unit, *options):
    return run("systemctl", "start", *options, unit, timeout=200)


# -- HTTP --


def fetch(url, method="GET", headers=(), data=None, timeout=20):
    """Return (status, headers, text) of a request that follows no redirect; over TLS with the test's authority."""
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    connection = (_Tls if scheme == "https" else http.client.HTTPConnection)(place, timeout=timeout)
    try:
        connection.request(method, slash + path, body=data, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, repr(error)
    finally:
        connection.close()


class _Tls(http.client.HTTPConnection):
    """To 127.0.0.1 whatever the name, as the box's /etc/hosts says."""

    def connect(self):
        context = ssl.create_default_context(cafile=f"{ROOT}/etc/hhtest-tls/ca.pem")
        plain = socket.create_connection(("127.0.0.1", 443), self.timeout)
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


def lever(name, port=8900, method="POST"):
    """Move a lever of the sandbox and return its answer."""
    return fetch(
        f"http://127.0.0.1:{port}/sandbox/{name}", method, {"Content-Length": "0"} if method == "POST" else {}
    )[2]


def sandbox_state(port=8900):
    return json.loads(lever("state", port, "GET"))


# -- the browser --


class Browser:
    """Chromium in the box, as a user of its own, driven by the W3C WebDriver protocol."""

    PORT = 9515

    def __init__(self, language="ru-RU,ru"):
        self._driver = subprocess.Popen(
            [
                *(os.environ["BOX"], "run", "runuser", "-u", "browser", "--", "env", "HOME=/var/tmp/browser"),
                *("chromedriver", f"--port={self.PORT}", "--silent"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._session = ""
        until(self._is_up, 20)
        arguments = [
            *("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
            *("--disable-component-update", "--disable-dev-shm-usage", f"--accept-lang={language}"),
        ]
        options = {"binary": "/usr/bin/chromium", "args": arguments, "prefs": {"intl.accept_languages": language}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self._session = "/session/" + made["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self._call("DELETE", "")
        self._driver.terminate()
        sh("pkill -x -U browser chromedriver; true")
        self._driver.wait()

    def open(self, url):
        """Load a page; return the error of the network, or None."""
        try:
            self._call("POST", "/url", {"url": url})
        except BrowserError as error:
            return str(error)

    def click(self, selector):
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        self._call("POST", f"/element/{next(iter(found.values()))}/click", {})

    @property
    def title(self):
        return self._call("GET", "/title")

    @property
    def url(self):
        return self._call("GET", "/url")

    @property
    def text(self):
        return self._call("POST", "/execute/sync", {"script": "return document.body.innerText", "args": []})

    def _is_up(self):
        try:
            self._call("GET", "/status")
            return True
        except OSError:
            return False

    def _call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.PORT}{self._session}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"].splitlines()[0]) from None


class BrowserError(Exception):
    pass


# -- watchers --


class Watcher(threading.Thread):
    """Calls ``look`` all the time, until stopped."""

    def __init__(self, pause):
        super().__init__(daemon=True)
        self._pause = pause
        self._end = threading.Event()

    def run(self):
        while not self._end.wait(self._pause):
            self.look()

    def stop(self):
        self._end.set()
        self.join()


def text_of(path):
    """Return the text of a file that others replace and remove; "" where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


class Expiries(Watcher):
    """How long after the expiry of each pair its successor was saved. ``delays``: seconds, by state directory."""

    def __init__(self, directories):
        super().__init__(0.02)
        self._seen = dict.fromkeys(directories, "")
        self.delays = {directory: [] for directory in directories}

    def look(self):
        for directory, last in self._seen.items():
            text = text_of(f"{ROOT}{directory}/token.json")
            if text and text != last:
                self._seen[directory] = text
                if last:
                    self.delays[directory].append(time.time() - json.loads(last)["expires_at"])


class Secrets(Watcher):
    """Collects every secret that the box ever had on disk, and every command line and environment of its processes."""

    def __init__(self):
        super().__init__(0.01)
        self.values = {}  # secret -> what it is
        self.command_lines = set()
        self.environments = set()
        self._turn = 0

    def add(self, kind, value):
        self.values[value] = kind

    def add_from_url(self, url):
        for name, value in re.findall(r"[?&](code|state)=([^&#\s]+)", url):
            self.add(name, value)

    def look(self):
        self._turn += 1
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
        self.command_lines |= {text_of(f"/proc/{name}/cmdline") for name in processes}
        if self._turn % 5 == 0:
            self.environments |= {text_of(f"/proc/{name}/environ") for name in processes}
            for place in ("hh-token*", "hh-token/accounts/*"):
                for path in glob.glob(f"{ROOT}/var/lib/{place}/[tp]*.json"):
                    named = re.findall(r'"(access_token|refresh_token|state|verifier)": *"([^"]+)"', text_of(path))
                    self.values.update({value: name for name, value in named})

    def hits(self, text):
        """Return which kinds of secrets stand in some text."""
        return sorted({kind for value, kind in self.values.items() if value in text})
