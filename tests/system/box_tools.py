"""What the scenario is written with: the box, checks, HTTP, a browser over WebDriver, and watchers."""

import base64
import glob
import http.client
import json
import os
import re
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


def note(text):
    """Print a measured figure."""
    print(f"# {text}", flush=True)


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
    if scheme == "https":
        context = ssl.create_default_context(cafile=f"{ROOT}/etc/hhtest-tls/ca.pem")
        connection = _Tls(place, context, timeout)
    else:
        connection = http.client.HTTPConnection(place, timeout=timeout)
    try:
        connection.request(method, slash + path, body=data, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, {}, repr(error)
    finally:
        connection.close()


class _Tls(http.client.HTTPSConnection):
    """To 127.0.0.1 whatever the name, as the box's /etc/hosts says."""

    def __init__(self, host, context, timeout):
        super().__init__(host, 443, context=context, timeout=timeout)
        self._create_connection = lambda _address, *rest: __import__("socket").create_connection(
            ("127.0.0.1", 443), *rest
        )


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

    def __init__(self, language="ru-RU,ru", extra=()):
        self._driver = subprocess.Popen(
            [
                os.environ["BOX"],
                "run",
                "runuser",
                "-u",
                "browser",
                "--",
                "env",
                "HOME=/var/tmp/browser",
                "chromedriver",
                f"--port={self.PORT}",
                "--silent",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._session = ""
        until(self._is_up, 20)
        arguments = [
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=900,700",
            f"--accept-lang={language}",
            *extra,
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

    def new_tab(self):
        handle = self._call("POST", "/window/new", {"type": "tab"})["handle"]
        self._call("POST", "/window", {"handle": handle})

    def screenshot(self, name):
        with open(f"{RESULTS}/{name}.png", "wb") as file:
            file.write(base64.b64decode(self._call("GET", "/screenshot")))

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


class Expiries(Watcher):
    """How long after the expiry of each pair its successor was saved. ``delays``: seconds, by state directory."""

    def __init__(self, directories):
        super().__init__(0.02)
        self._seen = dict.fromkeys(directories)
        self.delays = {directory: [] for directory in directories}

    def look(self):
        for directory, last in self._seen.items():
            try:
                saved_at = os.stat(f"{ROOT}{directory}/token.json").st_mtime_ns
                if last and saved_at == last[0]:
                    continue
                with open(f"{ROOT}{directory}/token.json") as file:
                    pair = json.load(file)
            except (OSError, ValueError):
                continue
            if last and pair["access_token"] != last[2]:
                self.delays[directory].append(saved_at / 1e9 - last[1])
            self._seen[directory] = (saved_at, pair["expires_at"], pair["access_token"])

    def all(self, *directories):
        return [delay for directory in directories or self.delays for delay in self.delays[directory]]


class Secrets(Watcher):
    """Collects every secret that the box ever had on disk, and every command line and environment of its processes."""

    NAMES = ("access_token", "refresh_token", "state", "verifier")

    def __init__(self):
        super().__init__(0.01)
        self.values = {}  # secret -> what it is
        self.command_lines = set()
        self.environments = set()
        self._files = {}
        self._turn = 0

    def add(self, kind, value):
        if value:
            self.values[value] = kind

    def add_from_url(self, url):
        for name, value in re.findall(r"[?&](code|state)=([^&#\s]+)", url):
            self.add(name, value)

    def look(self):
        self._look_at_processes()
        self._turn += 1
        if self._turn % 5 == 0:
            self._look_at_files()

    def _look_at_processes(self):
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    self.command_lines.add(file.read())
                if self._turn % 5 == 0:
                    with open(f"/proc/{name}/environ", "rb") as file:
                        self.environments.add(file.read())
            except OSError:
                continue

    def _look_at_files(self):
        for place in ("hh-token*", "hh-token/accounts/*"):
            for name in ("token.json", "pending.json"):
                for path in glob.glob(f"{ROOT}/var/lib/{place}/{name}"):
                    self._look_at_file(path)

    def _look_at_file(self, path):
        try:
            stamp = os.stat(path).st_mtime_ns
            if self._files.get(path) == stamp:
                return
            self._files[path] = stamp
            with open(path) as file:
                self._take(json.load(file))
        except (OSError, ValueError):
            pass

    def _take(self, document):
        if isinstance(document, list):
            for item in document:
                self._take(item)
        elif isinstance(document, dict):
            for name, value in document.items():
                if name in self.NAMES and isinstance(value, str):
                    self.add(name, value)
                self._take(value)

    def hits(self, data):
        """Return which kinds of secrets stand in some bytes."""
        return sorted({kind for value, kind in self.values.items() if value.encode() in data})
