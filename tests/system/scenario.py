"""The whole chain under a booted systemd: make install, nginx, a TLS terminator, Chromium, the sandbox as HeadHunter.

scenario.py first|after-boot; run by in_box.sh, outside of the box but in its network.
"""

import functools
import http.server
import json
import os
import re
import socket
import sys
import threading
import time
import traceback
import urllib.parse
from contextlib import contextmanager

from box_tools import (
    HOST,
    RESULTS,
    Browser,
    BrowserError,
    Expiries,
    Secrets,
    begin,
    check,
    equal,
    fetch,
    journal,
    lever,
    note,
    run,
    sandbox_state,
    sh,
    start,
    unit_property,
    until,
    write,
)

CHECKOUT = "/usr/src/checkout"
STATE = "/var/lib/hh-token"
CALLBACK = f"https://{HOST}/callback"
CLIENT_SECRET = "SANDBOX-CLIENT-SECRET-THAT-IS-NO-SECRET"
ENV_FILE = "/etc/hh-token/hh-token.env"
PUBLISHED = "/run/hh-token/access_token"
SETTINGS = f"""
HH_CLIENT_ID=SANDBOX-CLIENT-ID
HH_CLIENT_SECRET={CLIENT_SECRET}
HH_REDIRECT_URI={CALLBACK}
HH_AUTHORIZE_URL=http://127.0.0.1:8900/oauth/authorize
HH_TOKEN_URL=http://127.0.0.1:8900/oauth/token
HH_API_URL=http://127.0.0.1:8900
"""
UNITS = ("hh-token-refresh.timer", "hh-token-due.timer", "hh-token-callback.socket")
INSTANCES = [f"/var/lib/hh-token-{k}" for k in range(10)]
CRON = "/var/lib/hh-token-cron"
ACCOUNTS = {name: f"{STATE}/accounts/{name}" for name in ("alice", "bob")}
SAME_MINUTE = 40  # in seconds: on a busy machine a run starts late, but not as late as the next tick of the timer
INSTANCE_LIFE = 61  # seconds: above a minute, so that each expiry falls to a tick of the timer as shipped

ONLY = os.environ.get("ONLY", "").split()  # for work on a part: words in the names of those to run

secrets = Secrets()
expiries = Expiries([*INSTANCES, CRON, *ACCOUNTS.values()])


def main(stage):
    secrets.add("client secret", CLIENT_SECRET)
    secrets.start()
    expiries.start()
    for part in {"first": FIRST, "after-boot": AFTER_BOOT}[stage]:
        if ONLY and not any(word in part.__name__ for word in ONLY):
            continue
        try:
            part()
        except Exception:
            traceback.print_exc()
            check(f"{part.__name__} runs to its end", False)
    secrets.stop()
    expiries.stop()


# -- helpers --


def hhtoken(*arguments, stdin=b""):
    return run("/usr/local/bin/hhtoken", *arguments, stdin=stdin)


def stored():
    """Return the pair as the box has it."""
    return json.loads(run("cat", f"{STATE}/token.json").out)


def commands_of(page):
    """Return the commands of a page of the docs: the lines of its ```sh blocks, without what is optional."""
    text = open(f"{os.path.dirname(__file__)}/../../docs/{page}").read()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines() if line.strip()]


def authorization_address():
    address = hhtoken("authorize-url").out.strip()
    secrets.add_from_url(address)
    return address


def authorize(browser, address, button="button.yes"):
    """Open an address, answer HeadHunter's page, and return the title of where the browser ends up."""
    browser.open(address)
    browser.click(button)
    until(lambda: browser.url.startswith(CALLBACK), 60)
    secrets.add_from_url(browser.url)
    return browser.title


def grant(state_dir=STATE, port=8900, life=None, account=""):
    """Authorize without a browser: a pair that lives for ``life`` seconds, straight from the sandbox."""
    if life is not None:
        lever(f"expires-in?seconds={life}", port)
    lever("auto-approve?on=1", port)
    settings = f"HHTOKEN_ACCOUNT={account} HH_AUTHORIZE_URL=http://127.0.0.1:{port}/oauth/authorize HH_TOKEN_URL=http://127.0.0.1:{port}/oauth/token"
    address = sh(f"{settings} hhtoken --state-dir {state_dir} authorize-url").out.strip()
    back = fetch(address)[1]["Location"]
    secrets.add_from_url(back)
    done = sh(f"{settings} hhtoken --state-dir {state_dir} exchange", stdin=back.encode() + b"\n")
    lever("auto-approve?on=0", port)
    if done.code:
        raise RuntimeError(done.text)


def by_hand(part):
    """For a part that starts the refresh itself: a timer's (minutely, 30 s after boot, at 18:00) would be first."""
    timers = ("hh-token-due.timer", "hh-token-refresh.timer")

    @functools.wraps(part)
    def alone():
        run("systemctl", "stop", *timers)
        at_rest("hh-token-due.service")  # which may have found work, and then starts the refresh
        run("systemctl", "stop", "hh-token-refresh.service", timeout=120)
        try:
            part()
        finally:
            run("systemctl", "start", *timers)

    return alone


def expired_pair():
    """Make the stored pair expire now, and its successors live for an hour."""
    grant(life=1)
    lever("expires-in?seconds=3600")
    time.sleep(2.1)


def at_rest(unit, seconds=30):
    """Wait until a unit does nothing, and return whether it failed."""
    return until(lambda: unit_property(unit, "ActiveState") in ("inactive", "failed"), seconds)


def refresh():
    """Start the refresh and wait for it and for the failure hook; return its exit code."""
    start("hh-token-refresh.service")
    code = int(unit_property("hh-token-refresh.service", "ExecMainStatus"))
    time.sleep(0.2)
    at_rest("hh-token-notify.service", 60)
    return code


def setting(name, value):
    """Set a line of the settings, or remove it (None); return the old text."""
    old = run("cat", ENV_FILE).out
    lines = [line for line in old.splitlines() if not line.startswith(name + "=")]
    write(ENV_FILE, "\n".join(lines + ([f"{name}={value}"] if value else [])) + "\n", "0640", "root:hh-token")
    return old


def refreshes():
    return sandbox_state()["committed_refreshes"]


@contextmanager
def untouched(what):
    """Check that the stored pair is the same before and after."""
    before = stored()
    yield
    equal(f"{what}: the stored pair is untouched", stored(), before)


# -- installation --


def part_installation():
    checks = sh(
        f"cd {CHECKOUT} && shellcheck bin/*.sh systemd/install.sh docs/examples/*.sh tests/system/*.sh tests/system/run"
        " tests/system/box"
    )
    equal("shellcheck is content", checks.text, "")
    run("systemctl", "start", "nginx", "rsyslog", "cron")
    sh(
        f"mv /usr/lib/python3/dist-packages/requests /root/; make -C {CHECKOUT} install >/root/out 2>&1; echo $?"
        " >>/root/out; mv /root/requests /usr/lib/python3/dist-packages/"
    )
    missing = run("cat", "/root/out").out
    check("make install without requests names the package", "apt install python3-requests" in missing, missing)
    destdir = sh(
        f"cp -r {CHECKOUT} /var/tmp/src && cd /var/tmp/src && chown -R nobody . && runuser -u nobody -- "
        "env -i PATH=/usr/bin:/bin make install DESTDIR=/var/tmp/src/d PREFIX=/usr && grep -rlI /usr/local d"
    )
    check(
        "make install DESTDIR= PREFIX=/usr needs no root and leaves no other prefix",
        destdir.out.count("\n") <= 1,
        destdir.text,
    )
    equal(
        "what DESTDIR= has installed runs", sh("/var/tmp/src/d/usr/bin/hhtoken --version; rm -r /var/tmp/src").code, 0
    )

    nobody = f"runuser -u nobody -- env CI={{}} {CHECKOUT}/tests/system/run"
    skipped, failed = sh(nobody.format("")), sh(nobody.format("true"))
    check(
        "make test-system without root is skipped with a reason",
        skipped.code == 0 and "needs root" in skipped.out,
        skipped.text,
    )
    check("... and fails under CI", failed.code == 1 and failed.out.endswith("0 passed, 1 failed\n"), failed.text)

    commands = commands_of("install.md")
    check(f"docs/install.md: {len(commands)} commands from bare to renewing", len(commands) <= 10, commands)
    for command in commands:
        follow(command)
    equal("make install once more succeeds", sh(f"make -C {CHECKOUT} install").code, 0)
    check("... and keeps the settings", CLIENT_SECRET in run("cat", ENV_FILE).out)
    equal(
        "settings: root writes, the service reads",
        run("stat", "-c", "%a %U:%G", ENV_FILE).out.strip(),
        "640 root:hh-token",
    )
    equal("state directory", run("stat", "-c", "%a %U:%G", STATE).out.strip(), "700 hh-token:hh-token")
    verify = sh("cd /usr/local/lib/systemd/system && systemd-analyze verify ./hh-token-*.service ./*.timer ./*.socket")
    equal("systemd-analyze verify is clean", (verify.code, verify.text), (0, ""))
    for unit, threshold in (
        ("refresh", 11), ("callback", 11), ("sync", 11), ("due", 2), ("notify", 13),
        ("refresh@", 11), ("due@", 2), ("notify@", 13),
    ):  # fmt: skip
        gate = sh(
            f"systemd-analyze security --offline=yes --threshold={threshold}"
            f" /usr/local/lib/systemd/system/hh-token-{unit}.service"
        )
        exposure = re.search(r"hh-token-[\w@]+\.service: ([\d.]+)", gate.out)
        check(
            f"exposure of hh-token-{unit}.service is {exposure and exposure[1]}, at most {threshold / 10}",
            gate.code == 0,
        )
    live = re.search(r": ([\d.]+)", run("systemd-analyze", "security", "hh-token-refresh.service").out.splitlines()[-1])
    check(f"exposure of the refresh as the running systemd sees it: {live[1]}", float(live[1]) <= 1.1)


def part_manual():
    # -L, not LANG: the box has no Russian locale.
    for tongue, page in (("C.UTF-8", "man/man1/hhtoken.1"), ("ru", "man/ru/man1/hhtoken.1")):
        found = sh(f"man -L {tongue} -w hhtoken")
        equal(f"man hhtoken finds the page of {tongue}", found.out.strip(), f"/usr/local/share/{page}")
        shown = sh(f"man -L {tongue} hhtoken")
        check("... and shows it", shown.code == 0 and "hhtoken authorize-url" in shown.out, shown.text)
    tab = sh(
        "bash --norc -c '. /usr/share/bash-completion/bash_completion; _completion_loader hhtoken;"
        ' COMP_WORDS=(hhtoken sh); COMP_CWORD=1; _shtab_hhtoken; echo "${COMPREPLY[*]}"\''
    )
    equal("bash completes `hhtoken sh` as installed", tab.out.strip(), "show")


def follow(command):
    """Run one command of the docs as an operator would."""
    if command.startswith("git clone"):  # no network here: the checkout stands in for the clone
        run("cp", "-a", CHECKOUT, command.split()[-1])
    elif command.startswith("nano "):
        write(ENV_FILE, run("cat", ENV_FILE).out + SETTINGS, "0640", "root:hh-token")
    elif command == "hhtoken login":
        with Browser() as browser, begin(command) as login:
            first_authorization(browser, login.stdout.readline().strip())
            said = login.stdout.read()
        check("login says who authorized", "\nauthorized by Песочница" in said and login.returncode == 0, said)
        check("... and what renews it", "renewed by hh-token-due.timer, hh-token-refresh.timer" in said, said)
    else:
        type_command("install.md", command)


def type_command(page, command):
    """Run a command of the docs in the box, and keep what it prints."""
    done = sh(command.replace("YOUR-DOMAIN", HOST))
    with open(f"{RESULTS}/commands", "a") as file:
        file.write(f"# {command}\n{done.text}\n\n")
    check(f"docs/{page}: {command}", done.code == 0, done.text)


def first_authorization(browser, address):
    secrets.add_from_url(address)
    browser.open(address)
    check("the consent page of HeadHunter", "HeadHunter" in browser.text, browser.text)
    browser.screenshot("1-consent")
    browser.click("button.yes")
    until(lambda: browser.url.startswith(CALLBACK), 60)
    secrets.add_from_url(browser.url)
    equal("consent, callback, exchange: the page", browser.title, "Доступ получен")
    browser.screenshot("2-authorized")
    equal(
        "token.json is the service's own",
        run("stat", "-c", "%a %U:%G", f"{STATE}/token.json").out.strip(),
        "600 hh-token:hh-token",
    )
    with untouched("the callback in a second tab"):
        callback = browser.url
        browser.new_tab()
        browser.open(callback)
        until(lambda: unit_property("hh-token-callback.service", "ActiveState") == "inactive", 60)
        browser.open(callback)
        check("... shows that it is used up", "недействителен" in browser.title, browser.title)
        browser.screenshot("3-second-tab")
    equal("one exchange was made", sandbox_state()["token_requests"].get("authorization_code"), 1)


# -- the chain --


def part_chain():
    with Browser(language="en-US,en") as browser:
        address = authorization_address()
        with untouched("junk on the callback"):
            junk()
        browser.open(f"{CALLBACK}?code=abc&state=wrong")
        equal("a wrong state: the page", browser.title, "This address is not valid")
        browser.screenshot("4-wrong-state")
        equal("... and status", fetch(f"{CALLBACK}?code=abc&state=wrong")[0], 400)
        with untouched("a refusal by the user"):
            equal("a refusal: the page", authorize(browser, address, "button:not(.yes)"), "Access was denied")
            browser.screenshot("5-denied")
        exchanges = sandbox_state()["token_requests"]["authorization_code"]
        before = stored()["access_token"]
        equal("the next authorization goes through", authorize(browser, authorization_address()), "Authorized")
        equal("... with one exchange", sandbox_state()["token_requests"]["authorization_code"], exchanges + 1)
        check("... and replaces the pair", stored()["access_token"] != before)

        until(lambda: unit_property("hh-token-callback.service", "ActiveState") == "inactive", 60)
        for socket_state in ("stop", "start"):
            run("systemctl", socket_state, "hh-token-callback.socket")
            if socket_state == "stop":
                browser.open(f"{CALLBACK}?code=abc&state=lost-{'x' * 32}")
                equal("listener down: the page", browser.title, "Не сейчас · Not just now")
                browser.screenshot("6-listener-down")
                equal("... and status", fetch(CALLBACK)[0], 502)
    secrets.add("state", "lost-" + "x" * 32)
    log = sh("cat /var/log/nginx/oauth_callback.log").out
    check("nginx logs callbacks", " 200 " in log and '"GET /callback"' in log and " 502 " in log, log[-600:])


def junk():
    """What scanners send, through the whole chain and straight to nginx."""
    exchanges = sandbox_state()["token_requests"].get("authorization_code")
    for path in ("/", "/wp-login.php", "/.env", "/callback/", "/callback/../token.json", "//callback", "/callback%00"):
        status = fetch(f"https://{HOST}{path}?code=a&state=b")[0]
        check(f"GET {path}: {status}", status in (400, 404))
    for method in ("POST", "HEAD", "PUT", "OPTIONS", "TRACE"):
        status = fetch(CALLBACK, method, data=b"code=a&state=b" if method in ("POST", "PUT") else None)[0]
        check(f"{method} on the callback: {status}", status == 405)
    equal("a header of 9 KiB", fetch(CALLBACK, headers={"X-Junk": "j" * 9000})[0] // 100, 4)
    equal("a query of 9 KiB", fetch(f"{CALLBACK}?state={'s' * 9000}")[0], 414)
    statuses = [fetch(f"http://127.0.0.1/callback?code={n}&state={n}", headers={"Host": HOST})[0] for n in range(100)]
    check("100 wrong states in a row get 400 or 429", set(statuses) <= {400, 429}, set(statuses))
    equal("no junk led to an exchange", sandbox_state()["token_requests"].get("authorization_code"), exchanges)
    note(f"100 wrong states: {statuses.count(400)} answered by hhtoken, {statuses.count(429)} held off by nginx")
    time.sleep(2.5)  # what nginx counts has to run off before the browser comes


def part_timers():
    calendar = unit_property("hh-token-refresh.timer", "TimersCalendar")
    check("the timer: every six hours, and at 17:00", "00/6:00:00" in calendar and "17:00:00" in calendar, calendar)
    for name, value in (("Persistent", "yes"), ("OnClockChange", "yes")):
        equal(f"the timer: {name}=", unit_property("hh-token-refresh.timer", name), value)
    check("the timer: soon after boot", "OnBootUSec=30s" in unit_property("hh-token-refresh.timer", "TimersMonotonic"))
    run("journalctl", "--sync")
    before = len(journal("-u", "hh-token-refresh.service", "-t", "hh-token-refresh").splitlines())
    codes = {refresh() for _ in range(5)}
    equal("five runs with nothing due: exit codes", codes, {0})
    lines = journal("-u", "hh-token-refresh.service", "-t", "hh-token-refresh").splitlines()[before:]
    equal("... lines in the journal", lines, [])
    requests = sandbox_state()["token_requests"].get("refresh_token")
    equal("... requests", requests, None)


def part_reading():
    token = stored()["access_token"]
    show = "hhtoken show --field access_token"
    equal("hhtoken show in a script of root's", sh(f'token=$({show}) && echo "$token"').out.strip(), token)
    equal(
        "... and of the service account's",
        sh(f"runuser -u hh-token -- env -i HHTOKEN_STATE_DIR={STATE} PATH=/usr/local/bin:/usr/bin {show}").out.strip(),
        token,
    )
    other = sh(f"runuser -u nobody -- env HHTOKEN_STATE_DIR={STATE} {show}")
    check(f"... but of nobody else's (exit {other.code})", other.code != 0 and token not in other.text, other.text)
    header = sh("hhtoken show --header").out.strip()
    equal(
        "the token is good for an API call",
        fetch(
            "http://127.0.0.1:8900/me",
            headers={"Authorization": header.partition(": ")[2], "User-Agent": "test/1.0 (a@b.c)"},
        )[0],
        200,
    )


# -- the published file --


@by_hand
def part_published():
    run("useradd", "--system", "--groups", "hh-token-readers", "bot")
    grant(life=3600)
    setting("HHTOKEN_PUBLISH", PUBLISHED)
    equal("published: a refresh with nothing due", refresh(), 0)
    equal("... publishes the access token for the group", as_bot("cat", PUBLISHED).out, stored()["access_token"] + "\n")
    equal("... and no one else", stat_of(PUBLISHED), "640 hh-token:hh-token-readers")
    equal("... in a directory that they cannot list", stat_of("/run/hh-token"), "2710 hh-token:hh-token-readers")
    places = (STATE, f"{STATE}/token.json", ENV_FILE, "/run/hh-token", f"{STATE}/last-refresh.json")
    for place in places:
        check(f"... and gets nothing of {place}", as_bot("sh", "-c", f"cat {place}; ls {place}/").out == "")
    check("... nor writes", as_bot("sh", "-c", f"echo x > {PUBLISHED} || rm -f {PUBLISHED}").code != 0)
    check(
        "a user who is not in the group gets nothing", run("runuser", "-u", "nobody", "--", "cat", PUBLISHED).out == ""
    )

    expired_pair()
    old = as_bot("cat", PUBLISHED).out
    equal("an authorization by root publishes, too", old, stored()["access_token"] + "\n")
    equal("... and the file is the service's", stat_of(PUBLISHED), "640 hh-token:hh-token-readers")
    equal("at an expiry", refresh(), 0)
    new = as_bot("cat", PUBLISHED).out
    equal("... the published token", new, stored()["access_token"] + "\n")
    check("... is the new one", new != old)

    run("chmod", "777", "/run/hh-token")
    expired_pair()
    equal("a directory that is not safe: the refresh succeeds", refresh(), 0)
    log = journal("-t", "hhtoken", "-n", "6")
    check("... with a line in the log", "is not published: others may write" in log, log)
    run("systemd-tmpfiles", "--create", "hh-token.conf")
    equal("... and once it is mended, the next one publishes", (refresh(), as_bot("cat", PUBLISHED).out),
          (0, stored()["access_token"] + "\n"))  # fmt: skip

    bot = run(
        "systemd-run", "--quiet", "--pipe", "--wait", "--property=DynamicUser=yes",
        "--property=SupplementaryGroups=hh-token-readers", "--setenv=PYTHONPATH=/usr/local/lib/hhtoken",
        f"--setenv=HHTOKEN_PUBLISH={PUBLISHED}", "--setenv=HH_API_URL=http://127.0.0.1:8900",
        "timeout", "10", "/usr/local/share/hhtoken/examples/bot.py", "0.2",
    )  # fmt: skip
    check("the example bot runs as docs/client.md says", set(bot.out.splitlines()) == {"I am Песочница"}, bot.text)
    setting("HHTOKEN_PUBLISH", None)
    run("rm", PUBLISHED)


def as_bot(*command):
    return run("runuser", "-u", "bot", "--", *command)


def stat_of(path):
    return run("stat", "-c", "%a %U:%G", path).out.strip()


# -- doctor: what it says to type mends what was broken --

SITE = "/etc/nginx/sites-available/hh-token"
BREAKAGES = (  # what is broken, how, a word of the problem that says so, the exit code
    ("nginx is stopped", "systemctl stop nginx", "nginx: nothing listens on port 80", 78),
    ("a timer is off", "systemctl disable --now hh-token-due.timer", "hh-token-due.timer does not run", 78),
    ("a timer is not enabled", "systemctl disable hh-token-refresh.timer", "the next boot does not start it", 78),
    ("the socket is off", "systemctl disable --now hh-token-callback.socket", "listener: nothing listens", 78),
    ("everybody may read the pair", f"chmod 644 {STATE}/token.json", "token.json is open to others", 74),
    ("everybody may read the secret", f"chmod 644 {ENV_FILE}", "can be read by everybody", 78),
    ("the service may not read its settings", f"chown root:root {ENV_FILE}", "cannot be read by the account", 78),
    ("root has left a file of its own", f"install -m 600 /dev/null {STATE}/answer.kept", "belongs to user 0", 74),
)


SITE_BREAKAGES = (  # the same of nginx's site, where doctor names the directive, and a person writes it
    # nginx takes its first site where no name fits: with no other site that works, and is worth a note
    ("the placeholder is in it", f"sed -i s/{HOST}/your-domain.keenetic.pro/ {SITE}", f"server_name {HOST};", 0),
    (
        "the placeholder is in it, and Debian's default site is back",
        "ln -s ../sites-available/default /etc/nginx/sites-enabled/default;"
        f" sed -i s/{HOST}/your-domain.keenetic.pro/ {SITE}",
        f"server_name {HOST};",
        78,
    ),
    ("another path", f"sed -i 's|location = /callback|location = /back|' {SITE}", "location = /callback {", 78),
    ("another port", f"sed -i 's/127.0.0.1:8000;/127.0.0.1:8001;/' {SITE}", "server 127.0.0.1:8000;", 78),
    ("it is not enabled", "rm /etc/nginx/sites-enabled/hh-token", "ln -s ../sites-available/hh-token", 78),
)


def part_doctor():
    grant(life=3600)
    distrustful = doctor()
    check("doctor: a certificate that this machine does not trust is named", "not signed by" in distrustful.out,
          distrustful.text)  # fmt: skip
    sh(
        "mkdir -p /usr/local/share/ca-certificates; cp /etc/hhtest-tls/ca.pem /usr/local/share/ca-certificates/hhtest.crt && update-ca-certificates"
    )
    begun = time.monotonic()
    well = doctor()
    check(
        f"doctor on the finished box finds no problem, in {time.monotonic() - begun:.1f} s", well.code == 0, well.text
    )
    for word in (
        "callback comes through to hhtoken",
        "nginx: passes",
        "hh-token-due.timer runs, next at",
        "clock: agrees",
    ):
        check(f"... and says: {word}", word in well.out, well.text)
    with untouched("doctor"):
        for what, how, word, code in BREAKAGES:
            broken_and_mended(what, how, word, code)
    for what, how, word, code in SITE_BREAKAGES:
        sh(f"cp {SITE} /root/site; {how}; systemctl reload nginx")
        until(lambda: _place_of("nginx", doctor()) is not None, 30, 0.3)
        sick = doctor()
        check(f"doctor: nginx's site: {what}: it names the remedy", sick.code == code and word in sick.out, sick.text)
        sh(
            f"cp /root/site {SITE}; ln -sf ../sites-available/hh-token /etc/nginx/sites-enabled/; systemctl reload nginx"
        )
        until(lambda: doctor().code == 0, 30, 0.3)
    sh(f"rm -f {STATE}/answer.kept /etc/nginx/sites-enabled/default; systemctl reload nginx")
    with FakeClock(-3600) as port:
        late = sh(f"HH_API_URL=http://127.0.0.1:{port} hhtoken doctor")
        check(
            "doctor: a clock that is an hour off",
            late.code == 78 and "type: timedatectl set-ntp" in late.out,
            late.text,
        )
    at_rest("hh-token-callback.service")
    old = setting("HH_CLIENT_SECRET", None)
    failing = doctor()
    check("doctor: a listener that ends at once", failing.code == 78 and ", exit code 78" in failing.out, failing.text)
    write(ENV_FILE, old, "0640", "root:hh-token")
    equal("... is well again", until(lambda: doctor().code == 0, 60, 1), True)
    stranger = sh("cd / && runuser -u nobody -- env HOME=/nonexistent hhtoken doctor")
    check("doctor runs without root, and says what it could not see", "sudo hhtoken doctor" in stranger.out
          and "Traceback" not in stranger.text, stranger.text)  # fmt: skip
    screen = hhtoken("status")
    check("status: who renews", "hh-token-due.timer (next look 20" in screen.out, screen.text)
    equal("... and that nothing is to do", screen.out.splitlines()[-1].split(), ["to", "do:", "nothing"])


def doctor():
    return hhtoken("doctor")


def broken_and_mended(what, how, word, code):
    """Break something, let doctor name it, type what it says, and let it find nothing any more."""
    sh(how + ("; systemctl reload nginx" if "nginx/" in how else ""))
    until(lambda: _place_of(word, doctor()) is not None, 30, 0.3)  # nginx reloads after systemctl has returned
    sick = doctor()
    lines, named = sick.out.splitlines(), _place_of(word, sick)
    check(f"doctor: {what}: it says so", sick.code == code and named is not None, sick.text)
    typed = lines[named + 1].partition("type: ")[2] if named is not None else ""
    mended = sh(typed)
    well = until(lambda: healthy(doctor(), word), 30, 0.3)
    check(f"... and what it says to type mends it: {typed}", bool(typed) and well, mended.text + doctor().text)


def _place_of(word, done):
    """Return the number of the line in which doctor names a trouble, or None."""
    lines = enumerate(done.out.splitlines())
    return next((at for at, line in lines if not line.startswith("ok") and word in line), None)


def healthy(done, word):
    return done.code == 0 and word not in done.out


class FakeClock:
    """An API whose Date is so many seconds off."""

    def __init__(self, seconds):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(403)
                self.end_headers()

            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() + seconds)

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self._server.server_address[1]

    def __exit__(self, *_exception):
        self._server.shutdown()
        self._server.server_close()


# -- renewal at expiry --


def part_start_of_expiries():
    """Copies of the shipped units with a state directory each, so that 20 expiries pass in minutes, not in hours."""
    run(
        "systemd-run",
        "--quiet",
        "--unit=headhunter-2",
        "--property=StandardOutput=null",
        "/usr/local/bin/hhtoken",
        "sandbox",
        "--quiet",
        "--listen",
        "127.0.0.1:8901",
        "--redirect-uri",
        CALLBACK,
    )
    until(lambda: "pairs" in lever("state", 8901, "GET"))
    for directory in (*INSTANCES, CRON):
        run("install", "-d", "-m", "700", "-o", "hh-token", "-g", "hh-token", directory)
    for number, directory in enumerate(INSTANCES):
        grant(directory, 8901, INSTANCE_LIFE + 1 + 5 * number)
    grant(CRON, 8901, INSTANCE_LIFE + 10)
    lever(f"expires-in?seconds={INSTANCE_LIFE}", 8901)
    sh(f"""cd /usr/local/lib/systemd/system
    for k in $(seq 0 {len(INSTANCES) - 1}); do
        for unit in refresh.service due.service due.timer; do
            sed -e "s/hh-token-\\(refresh\\|due\\)\\.service/hh-token-\\1-$k.service/; /^OnFailure=/d" \
                -e "s|/var/lib/hh-token|/var/lib/hh-token-$k|; s/^\\(State\\|Runtime\\)Directory=.*/&-$k/" \
                -e "s|^User=|Environment=HH_TOKEN_URL=http://127.0.0.1:8901/oauth/token HHTOKEN_PUBLISH={PUBLISHED}.$k\\n&|" \
                hh-token-$unit > /etc/systemd/system/hh-token-${{unit%.*}}-$k.${{unit#*.}}
        done
        sed -i "/^AccuracySec/a Unit=hh-token-due-$k.service" /etc/systemd/system/hh-token-due-$k.timer
    done
    systemctl daemon-reload
    systemctl start $(seq -f hh-token-due-%g.timer 0 {len(INSTANCES) - 1})""")
    equal(
        "timers are listed",
        run("systemctl", "list-timers", "hh-token-*").out.count("hh-token-due"),
        2 * len(INSTANCES) + 2,
    )
    write(
        "/etc/cron.d/hh-token",
        f"""PATH=/usr/local/bin:/usr/bin:/bin
HHTOKEN_STATE_DIR={CRON}
HHTOKEN_PUBLISH={PUBLISHED}.cron
HH_TOKEN_URL=http://127.0.0.1:8901/oauth/token
HH_TOKEN_WAIT=65
* * * * * hh-token hhtoken refresh --is-due --wait 63 && hh-token-refresh.sh
""",
    )


def part_end_of_expiries():
    until(lambda: len(expiries.all(*INSTANCES)) >= 20 and expiries.all(CRON), 480, 1)
    delays = sorted(expiries.all(*INSTANCES))
    check(f"{len(delays)} expiries under the shipped timer were met", len(delays) >= 20)
    check(
        f"a new pair was saved within 5 s of expiry: {delays[0]:.2f} s at best, {delays[len(delays) // 2]:.2f} s in "
        f"the middle, {delays[-1]:.2f} s at worst",
        delays and delays[len(delays) // 2] <= 5 and delays[-1] <= SAME_MINUTE,
        delays,
    )
    cron = expiries.all(CRON)
    check(
        f"cron met {len(cron)} expiries, at worst {max(cron, default=99):.2f} s after",
        cron and max(cron) <= SAME_MINUTE,
        cron,
    )
    run("rm", "/etc/cron.d/hh-token")
    sh(
        "systemctl stop 'hh-token-due-*.timer' 'hh-token-refresh-*.service'; rm /etc/systemd/system/hh-token-*-[0-9].*;"
        " systemctl daemon-reload"
    )
    lines = journal("-u", "hh-token-due.service").splitlines()
    minutes = int((time.time() - BOOTED_AT) // 60)
    check(f"the minutely look wrote {len(lines)} lines in {minutes} minutes", len(lines) <= 2, lines)


# -- several accounts --


def part_start_of_accounts():
    """The template units as shipped, but for the sandbox that they ask, whose pairs live for a minute."""
    before = stored()
    with Browser(language="en-US,en") as browser:
        address = hhtoken("--account", "alice", "authorize-url").out.strip()
        secrets.add_from_url(address)
        equal("alice authorizes through the socket unit", authorize(browser, address), "Authorized")
    equal(
        "... her pair is stored with her account, and is the service's own",
        run("stat", "-c", "%a %U:%G", f"{ACCOUNTS['alice']}/token.json", ACCOUNTS["alice"]).out.split("\n")[:2],
        ["600 hh-token:hh-token", "700 hh-token:hh-token"],
    )
    equal("... and the main one is untouched", stored(), before)
    sh(
        "mkdir -p /etc/systemd/system/hh-token-refresh@.service.d && printf"
        " '[Service]\nEnvironment=HH_TOKEN_URL=http://127.0.0.1:8901/oauth/token\n'"
        " > /etc/systemd/system/hh-token-refresh@.service.d/sandbox.conf && systemctl daemon-reload"
    )
    for number, account in enumerate(ACCOUNTS):
        grant(STATE, 8901, 2 * INSTANCE_LIFE + 5 * number, account)
    lever(f"expires-in?seconds={INSTANCE_LIFE}", 8901)
    timers = " ".join(f"hh-token-refresh@{account}.timer hh-token-due@{account}.timer" for account in ACCOUNTS)
    enabled = sh(f"systemctl enable --now {timers}")
    equal("the timers of alice and bob are enabled", enabled.code, 0)
    said = hhtoken("--account", "alice", "status").text
    check("status knows who renews alice's pair", "hh-token-due@alice.timer" in said, said)


def part_end_of_accounts():
    def met(account):
        return [delay for delay in expiries.all(ACCOUNTS[account]) if delay > 0]  # below: authorized again before

    until(lambda: all(met(account) for account in ACCOUNTS), 360, 1)
    for account in ACCOUNTS:
        delays = met(account)
        worst = max(delays, default=99)
        check(
            f"{len(delays)} expiries of {account} were met, at worst {worst:.2f} s after", worst <= SAME_MINUTE, delays
        )
    run("journalctl", "--sync")
    lines = journal("-t", "hhtoken").splitlines()
    for account, other in (("alice", "bob"), ("bob", "alice")):
        mine = [line for line in lines if f"account {account}: renewed the pair" in line]
        check(f"the log names {account} in {len(mine)} lines", mine)
        unit = journal("-u", f"hh-token-refresh@{account}.service")
        check(f"... and the journal of {account}'s unit is not {other}'s", f"account {other}" not in unit, unit)
    said = hhtoken("status", "--all")
    check("status --all tells of the main pair and both accounts", len(said.out.splitlines()) == 3, said.text)
    secrets.add_from_url(hhtoken("--account", "carol", "authorize-url").out)
    start("hh-token-refresh@carol.service")
    equal("carol has no pair: exit code", unit_property("hh-token-refresh@carol.service", "ExecMainStatus"), "77")
    at_rest("hh-token-notify@carol.service", 60)
    told = journal("-t", "hh-token-notify", "-n", "5")
    check("... and the operator is told, of carol", "account carol: there is no pair" in told, told)
    run("rm", "-r", f"{STATE}/accounts/carol")
    run("systemctl", "stop", "hh-token-*@*.timer", "hh-token-refresh@*.service")


# -- stop and kill --


@by_hand
def part_stop_and_kill():
    for how in (("stop",), ("kill",)):
        expired_pair()
        before, count = stored()["access_token"], refreshes()
        lever("fault?name=slow")
        start("hh-token-refresh.service", "--no-block")
        until(lambda count=count: refreshes() > count, 60)
        begun = time.monotonic()
        run("systemctl", *how, "hh-token-refresh.service", timeout=60)
        at_rest("hh-token-refresh.service")
        name = f"systemctl {how[0]} in the middle of a refresh"
        check(
            f"{name}: the new pair is saved, {time.monotonic() - begun:.1f} s later", stored()["access_token"] != before
        )
        equal(f"{name}: result", unit_property("hh-token-refresh.service", "Result"), "success")

    expired_pair()
    lever("fault?name=hang_before")
    start("hh-token-refresh.service", "--no-block")
    until(lambda: sandbox_state()["requests"][-1].get("fault") == "hang_before", 60)
    time.sleep(0.3)
    run("systemctl", "kill", "-s", "KILL", "hh-token-refresh.service")
    at_rest("hh-token-refresh.service")
    equal(
        "kill -KILL before HeadHunter has answered: the result",
        unit_property("hh-token-refresh.service", "Result"),
        "signal",
    )
    lever("clear")
    before = stored()["access_token"]
    for _ in range(3):
        if start("hh-token-refresh.service").code == 0 and stored()["access_token"] != before:
            break
    check("... and the next run renews the pair", stored()["access_token"] != before, hhtoken("status").text)

    grant(life=60)
    lever("expires-in?seconds=3600")
    start("hh-token-refresh.service", "--no-block")
    until(lambda: unit_property("hh-token-refresh.service", "ActiveState") == "activating", 30)
    time.sleep(1)
    begun = time.monotonic()
    run("systemctl", "stop", "hh-token-refresh.service")
    took = time.monotonic() - begun
    check(f"a stop while it waits for the expiry takes {took:.1f} s", took < 20)
    equal("... and is no failure", unit_property("hh-token-refresh.service", "Result"), "success")


# -- the failure hook, and authorizing again from a phone --


NOTIFY = "/etc/hh-token/notify"


@by_hand
def part_failure_hook():
    keep = "#!/bin/sh\ncat >> /run/hh-token-notify/../hh-token-notify/sent\n"
    write(NOTIFY, keep.replace("/../hh-token-notify", ""), "0750", "root:hh-token")
    grant(life=1)
    lever("expires-in?seconds=3600")
    time.sleep(2.1)
    lever("fault?name=service_unavailable")
    equal("temporary trouble: exit code of the unit", refresh(), 75)
    equal("... is not told", sent(), "")
    lever("clear")
    lever("password-change")
    equal("a dead refresh token: exit code of the unit", refresh(), 77)
    message = sent()
    check("... OnFailure= delivers a message", message.count("hhtoken on hhbox:") == 1, message)
    address = re.search(r"^http\S+$", message, re.M)
    check("... with an address to open", address, message)
    secrets.add_from_url(message)
    equal("... and no other secret", set(secrets.hits(message.encode())), {"state"})
    log = journal("-t", "hh-token-refresh")
    check("... and a line in the log", "exit code 77" in log, log)
    refresh()
    equal("the same failure again is not told again", sent().count("hhtoken on"), 1)
    equal("... and keeps the unit failed", unit_property("hh-token-refresh.service", "Result"), "exit-code")
    equal(
        "... and is nothing to do for the minutely look",
        sh("runuser -u hh-token -- env HHTOKEN_STATE_DIR=/var/lib/hh-token hhtoken refresh --is-due --wait 63").code,
        75,
    )

    equal("the listener is not running", unit_property("hh-token-callback.service", "ActiveState"), "inactive")
    with Browser() as phone:
        equal("the address, opened in a browser, is all it takes", authorize(phone, address[0]), "Доступ получен")
        phone.screenshot("7-authorized-from-a-phone")
    equal("... to be well again", (refresh(), hhtoken("status").code), (0, 0))

    grant(life=1)
    time.sleep(2.1)
    lever("password-change")
    refresh()
    equal("the death of the next pair on the same day is told too", sent().count("hhtoken on"), 2)


def sent():
    return sh("cat /run/hh-token-notify/sent 2>/dev/null").out


def tell_again():
    """Let the hook run as if the trouble, which is still there, were new; return what systemd made of it."""
    run("systemctl", "clean", "--what=runtime", "hh-token-notify.service")
    run("systemctl", "start", "hh-token-notify.service", timeout=200)
    return unit_property("hh-token-notify.service", "Result")


@by_hand
def part_notify_examples():
    if hhtoken("status").code != 77:
        grant(life=1)
        time.sleep(2.1)
        lever("password-change")
        refresh()
    token = "123456:BOT-TOKEN-canary"
    secrets.add("bot token", token)
    share = "/usr/local/share/hhtoken/examples"
    with FakeTelegram() as telegram:
        run("install", "-m", "750", "-g", "hh-token", f"{share}/notify-telegram.sh", NOTIFY)
        write(
            "/etc/hh-token/notify.env",
            f"TELEGRAM_BOT_TOKEN={token}\nTELEGRAM_CHAT_ID=42\nTELEGRAM_API=http://127.0.0.1:{telegram.port}\n",
            "0640",
            "root:hh-token",
        )
        equal(
            "Telegram: the message is sent, at the second attempt",
            (tell_again(), len(telegram.requests)),
            ("success", 2),
        )
        path, form = telegram.requests[-1]
        secrets.add_from_url(form.get("text", ""))
        check("... to the right place", path == f"/bot{token}/sendMessage" and form["chat_id"] == "42", path)
        check(
            "... with its lines", form["text"].startswith("hhtoken on hhbox: ") and form["text"].count("\n") >= 2, form
        )
        check(
            "... and the bot token was not seen in ps",
            not any(token.encode() in line for line in secrets.command_lines),
        )
    with FakeMailServer() as mail:
        run("install", "-m", "750", "-g", "hh-token", f"{share}/notify-mail.sh", NOTIFY)
        write("/etc/hh-token/notify.env", "MAIL_TO=you@example.com\n", "0640", "root:hh-token")
        write("/etc/msmtprc", f"account default\nhost 127.0.0.1\nport {mail.port}\nfrom hhtoken@example.com\n")
        equal("mail: the message is sent", tell_again(), "success")
        secrets.add_from_url(mail.text)
        check("... and arrives", "To: you@example.com" in mail.text and "hhtoken on hhbox: " in mail.text, mail.text)
    run("rm", NOTIFY, "/etc/hh-token/notify.env")
    tell_again()
    log = journal("-t", "hh-token-notify")
    check("without a program of the operator's, the message goes to syslog", "hhtoken on hhbox: " in log, log)
    check("... and its address does not", "hhtoken login" in log and "state=" not in log, log)
    grant(life=3600)


class FakeTelegram:
    """Answers 500 once, then 200; slow enough for `ps` to see who asks."""

    def __enter__(self):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.requests.append((self.path, dict(urllib.parse.parse_qsl(body))))
                time.sleep(0.3)
                self.send_response(500 if len(outer.requests) == 1 else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception):
        self._server.shutdown()
        self._server.server_close()


class FakeMailServer:
    """Takes one mail and keeps its text."""

    def __enter__(self):
        self.text = ""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._thread.join(5)
        self._socket.close()

    def _serve(self):
        connection = self._socket.accept()[0]
        with connection, connection.makefile("rw", newline="\r\n", encoding="utf-8") as stream:

            def say(text):
                stream.write(text + "\n")
                stream.flush()

            say("220 test")
            for line in stream:
                if line.startswith("DATA"):
                    say("354 go on")
                    for part in stream:
                        if part.strip() == ".":
                            break
                        self.text += part
                    say("250 ok")
                elif line.startswith("QUIT"):
                    say("221 bye")
                    return
                else:
                    say("250 ok")


# -- bad conditions --


@by_hand
def part_bad_settings():
    at_rest("hh-token-callback.service")  # it reads its settings when it starts
    old = setting("HH_CLIENT_SECRET", None)
    with Browser(language="en-US,en") as browser, untouched("no client secret"):
        address = authorization_address()
        browser.open(address)
        browser.click("button.yes")
        until(lambda: browser.url.startswith(CALLBACK), 60)
        callback = browser.url
        secrets.add_from_url(callback)
        equal("no client secret: the page", browser.title, "Не сейчас · Not just now")
        browser.screenshot("8-no-client-secret")
        equal("... the exit code", unit_property("hh-token-callback.service", "ExecMainStatus"), "78")
        log = journal("-u", "hh-token-callback.service")
        check("... the line", "HH_CLIENT_SECRET is not set" in log, log[-600:])
        for _ in range(50):
            fetch("http://127.0.0.1:8000/callback", timeout=2)
        equal(
            "... 50 visits later the socket still listens",
            unit_property("hh-token-callback.socket", "ActiveState"),
            "active",
        )
    write("/etc/hh-token/client_secret", CLIENT_SECRET + "\n", "0600")
    with Browser(language="en-US,en") as browser:
        browser.open(callback)
        equal("the secret as a systemd credential: a reload of that page goes through", browser.title, "Authorized")
    run("rm", "/etc/hh-token/client_secret")

    done = sh(
        "systemd-creds encrypt --with-key=host --name=hh_client_secret - /etc/hh-token/client_secret.cred && mkdir -p"
        " /etc/systemd/system/hh-token-callback.service.d && printf"
        " '[Service]\nLoadCredential=\nSetCredential=\nLoadCredentialEncrypted=hh_client_secret:/etc/hh-token/client_secret.cred\n'"
        " > /etc/systemd/system/hh-token-callback.service.d/secret.conf && systemctl daemon-reload",
        stdin=CLIENT_SECRET.encode(),
    )
    check("systemd-creds encrypts the secret", done.code == 0, done.text)
    check(
        "... which is not to be read in the file",
        CLIENT_SECRET not in run("cat", "/etc/hh-token/client_secret.cred").out,
    )
    at_rest("hh-token-callback.service")
    with Browser(language="en-US,en") as browser:
        equal(
            "the encrypted credential: an authorization goes through",
            authorize(browser, authorization_address()),
            "Authorized",
        )
    at_rest("hh-token-callback.service")
    sh(
        "rm -r /etc/systemd/system/hh-token-callback.service.d /etc/hh-token/client_secret.cred; systemctl"
        " daemon-reload"
    )
    write(ENV_FILE, old, "0640", "root:hh-token")

    old = setting("HH_REDIRECT_URI", f"https://{HOST}/elsewhere")
    with Browser() as browser:
        browser.open(authorization_address())
        check(
            "a redirect URI that is not the registered one: HeadHunter says so",
            "redirect_uri" in browser.text,
            browser.text,
        )
        browser.screenshot("9-wrong-redirect-uri")
    setting("HH_REDIRECT_URI", "http://hh-test.keenetic.pro/callback")
    wrong = hhtoken("authorize-url")
    check(
        "a redirect URI without https: exit 78, and why", wrong.code == 78 and "must be https" in wrong.text, wrong.text
    )
    write(ENV_FILE, old, "0640", "root:hh-token")


def part_bad_network():
    at_rest("hh-token-callback.service")
    run("systemctl", "stop", "hh-token-callback.socket")
    with socket.create_server(("127.0.0.1", 8000)):
        taken = start("hh-token-callback.socket")
        check("the port is taken: the socket unit does not start", taken.code != 0)
        log = journal("-n", "50")  # not -u: systemd's helper may be gone before the journal knows whose it is
        check("... and says why", "Address already in use" in log, log[-500:])
        by_hand = hhtoken("serve-callback")
        check(
            "... and so does hhtoken serve-callback, exit 78",
            by_hand.code == 78 and "address already in use" in by_hand.text,
            by_hand.text,
        )
    equal("the port is free again: the socket unit starts", start("hh-token-callback.socket").code, 0)

    with Browser() as browser:
        address = authorization_address()
        run("systemctl", "stop", "nginx")
        browser.open(address)
        try:
            browser.click("button.yes")
        except BrowserError:
            pass
        until(lambda: browser.url.startswith("https"), 60)
        callback = browser.url
        secrets.add_from_url(callback)
        browser.screenshot("10-nginx-down")
        equal("nginx down: the browser gets no answer", fetch(CALLBACK)[0], 0)
        run("systemctl", "start", "nginx")
        browser.open(callback)
        equal("... nginx up: the same address goes through", browser.title, "Доступ получен")
    with Browser(language="en-US,en") as browser:
        lever("fault?name=html_502")
        address = authorization_address()
        title = authorize(browser, address)
        equal("HeadHunter refuses the exchange: hhtoken's own 502 page comes through", title, "No token was obtained")
        browser.screenshot("11-exchange-failed")
    lever("clear")


@by_hand
def part_bad_machine():
    at_rest("hh-token-callback.service")
    expired_pair()
    count = sandbox_state()["token_requests"]["refresh_token"]
    before = run("cat", f"{STATE}/token.json").out

    sh(f"mount --bind {STATE} {STATE} && mount -o remount,bind,ro {STATE}")
    equal("read-only state directory: exit code", refresh(), 74)
    log = journal("-t", "hh-token-refresh", "-n", "3")
    check("... and the line", "read-only file system" in log, log)
    run("umount", "--lazy", STATE)

    sh(
        f"mkdir /var/tmp/kept && cp -a {STATE}/. /var/tmp/kept && mount -t tmpfs -o size=256k,mode=700 full {STATE} && "
        f"chown hh-token: {STATE} && cp -a /var/tmp/kept/. {STATE}"
    )
    small = sh(f"mountpoint -q {STATE} && [ $(stat -f -c '%b * %S' {STATE} | xargs expr) -lt 1000000 ]; echo $?").out
    if check("the state directory is a small tmpfs", small.strip() == "0", small):
        sh(f"head -c 1M /dev/zero > {STATE}/ballast")
        equal("full state directory: exit code", refresh(), 74)
        log = journal("-t", "hh-token-refresh", "-n", "3")
        check("... and the line", "no space left on device" in log, log)
        told = journal("-t", "hh-token-notify", "-n", "3")
        check("... and the operator was told, once", "no new pair could be stored" in told, told)
    run("umount", "--lazy", STATE)

    sh("cp -p /etc/passwd /etc/passwd.kept; sed -i /^hh-token:/d /etc/passwd")
    start("hh-token-refresh.service")
    equal("no service account: exit code", unit_property("hh-token-refresh.service", "ExecMainStatus"), "217")
    run("mv", "/etc/passwd.kept", "/etc/passwd")

    equal("none of these sent a request", sandbox_state()["token_requests"]["refresh_token"], count)
    equal("... or changed the pair", run("cat", f"{STATE}/token.json").out, before)
    equal("all mended: the pair is renewed", (refresh(), refreshes() > 0, hhtoken("status").code), (0, True, 0))


# -- what must not be seen --


def part_leaks():
    run("journalctl", "--sync")
    time.sleep(0.5)
    places = {
        "the journal": run("journalctl", "-q", "-o", "export", "--no-pager").out,
        "rsyslog's files": (
            sh("cat /var/log/syslog /var/log/auth.log /var/log/user.log /var/log/messages 2>/dev/null").out
        ),
        "nginx's logs": sh("cat /var/log/nginx/*").out,
        "other files in /var/log": sh("find /var/log -type f ! -path '*/journal/*' -exec cat {} +").out,
        "command lines": b"\n".join(secrets.command_lines).decode("utf-8", "replace"),
        "environments": b"\n".join(secrets.environments).decode("utf-8", "replace"),
        "unit environments": sh("systemctl show -p Environment -p ExecStart '*'").out,
        "nginx's and the units' files": sh("cat /etc/nginx/sites-available/* /usr/local/lib/systemd/system/*").out,
        "files that anybody may read": (
            sh(
                "find /etc /run /tmp /var /usr/local /usr/src -xdev -type f -perm -o+r ! -path '/usr/src/*' ! -path"
                " '/var/log/journal/*' ! -path '/usr/local/lib/hhtoken/*' -newer /etc/hostname -exec cat {} +"
                " 2>/dev/null"
            ).out
        ),
    }
    kinds = {kind: list(secrets.values.values()).count(kind) for kind in sorted(set(secrets.values.values()))}
    note(
        f"secrets looked for: {kinds}; {len(secrets.command_lines)} command lines, {len(secrets.environments)}"
        " environments"
    )
    check(
        "secrets of every kind were made",
        set(kinds) == {"access_token", "refresh_token", "client secret", "code", "state", "verifier", "bot token"},
        kinds,
    )
    for place, text in places.items():
        equal(f"no secret in {place} ({len(text) // 1024} KiB)", secrets.hits(text.encode()), [])
    sh(f"logger {stored()['access_token']}")
    run("journalctl", "--sync")
    equal(
        "(the search finds one that is put there)",
        secrets.hits(run("journalctl", "-q", "-n", "20").out.encode()),
        ["access_token"],
    )
    check(
        "rsyslog has hhtoken's lines",
        "hhtoken[" in places["rsyslog's files"] and "hh-token-refresh" in places["rsyslog's files"],
    )


# -- after a boot, and the end --


def part_boot():
    check("the pair has outlived the power cycle", stored()["access_token"])
    for unit in UNITS:
        equal(f"{unit} is back", unit_property(unit, "ActiveState"), "active")
    # The sandbox has forgotten everything, so this ends with "token not found"; that it was asked at all is the point.
    asked = until(lambda: sandbox_state()["token_requests"].get("refresh_token"), 180, 0.2)
    check(f"what expired while it was off is asked for, {time.time() - BOOTED_AT:.0f} s after the boot", asked)
    carols = until(lambda: as_bot("cat", f"{PUBLISHED}-carol").out, 180, 0.2).strip()
    equal(
        f"what lives on is published again, {time.time() - BOOTED_AT:.0f} s after the boot",
        carols,
        sh("hhtoken --account carol show --field access_token").out.strip(),
    )
    run("systemctl", "disable", "--now", "hh-token-refresh@carol.timer")
    run("systemctl", "start", "nginx", "stunnel@keendns")
    grant(life=3600)


def part_uninstall():
    sh(f"rm -rf {' '.join(INSTANCES)} {CRON}")
    sh("d=/etc/systemd/system/hh-token-refresh.service.d; mkdir $d; printf '[Service]\nNice=5\n' > $d/override.conf")
    run("systemctl", "stop", "hh-token-due.timer")
    expired_pair()
    old = setting("HH_TOKEN_URL", "http://127.0.0.1:1/oauth/token")
    equal("nobody listens at HH_TOKEN_URL: the refresh fails", refresh(), 75)
    write(ENV_FILE, old, "0640", "root:hh-token")
    check("... so the system is degraded", "hh-token-refresh" in failed_units(), failed_units())
    grant(life=3600)
    before = stored()
    done = sh(f"make -C {CHECKOUT} uninstall")
    equal("make uninstall succeeds", done.code, 0)
    equal("... and leaves no failed unit", failed_units(), "")
    named = re.findall("^  (/.*)", done.out, re.M)
    equal("... nothing but what it names", beyond(remains(), named), [])
    equal("... which is all there", sh(f"ls -d {' '.join(named)} >/dev/null").err, "")
    check("... the pair, the settings, the published token", {STATE, "/etc/hh-token", PUBLISHED} <= set(named), named)
    left = sh(
        "ls -d /usr/local/bin/hh* /usr/local/lib/hhtoken /usr/local/share/hhtoken /usr/local/lib/*/*/hh-token* "
        "/usr/local/lib/*/hh-token* /usr/local/share/man/man1/hh* /usr/local/share/*/*/hhtoken* /etc/fish/*/hhtoken*"
    ).out
    equal("... and leaves no program and no unit", left, "")
    equal("... and no timer enabled", sh("find /etc/systemd/system -path '*.wants/hh-token-*.timer'").out, "")
    equal("... and keeps the pair", stored(), before)
    check("... and the settings", CLIENT_SECRET in run("cat", ENV_FILE).out)


def failed_units():
    return run("systemctl", "list-units", "--failed", "--plain", "--no-legend").out


def remains():
    """Return every path of the box that bears hhtoken's name or that of its log, but for the checkouts."""
    names = " -o ".join(f"-name '*{name}*'" for name in ("hh-token", "hhtoken", "oauth_callback"))
    return sh(
        f"find / /run -xdev \\( -path /usr/src -o -path /root \\) -prune -o \\( {names} \\) -print"
    ).out.splitlines()


def beyond(paths, kept):
    """Return the paths that are neither kept nor lie in what is kept."""
    return [path for path in paths if not any(path == place or path.startswith(f"{place}/") for place in kept)]


def purge():
    run("systemctl", "start", "nginx")
    check("nginx has the site", until(lambda: fetch("http://127.0.0.1/callback")[0], 5))
    done = sh(f"make -C {CHECKOUT} uninstall PURGE=1")
    equal("PURGE=1 succeeds", done.code, 0)
    equal("... and leaves no file", remains(), [])
    equal("... no account and no group", sh("getent passwd hh-token; getent group hh-token hh-token-readers").out, "")
    equal("... no failed unit", failed_units(), "")
    check("... nginx has it no more", until(lambda: fetch("http://127.0.0.1/callback")[0] == 0, 5))
    check("... and the operator is told of Debian's default site", "sites-available/default" in done.out, done.text)


def part_upgrade():
    """What the predecessor leaves: units of the same names, a pair of root's without expires_at, an .env."""
    pair = stored()
    old = {name: pair[name] for name in ("access_token", "refresh_token", "token_type", "expires_in")}
    purge()
    run("mkdir", "-p", "/var/lib/hh-token", "/opt/job-search/telegram-bot", "/root/scripts")
    write("/var/lib/hh-token/token.json", json.dumps(old), "0600")
    write("/opt/job-search/telegram-bot/.env", "# настройки\n" + SETTINGS, "0600")
    write("/root/scripts/hh-token-refresh.sh", "#!/bin/bash\nexit 1\n", "0700")
    write(
        "/etc/systemd/system/hh-token-refresh.service",
        "[Service]\nType=oneshot\nExecStart=/root/scripts/hh-token-refresh.sh\n",
    )
    write(
        "/etc/systemd/system/hh-token-refresh.timer",
        "[Timer]\nOnCalendar=*-*-* 17:00\n[Install]\nWantedBy=timers.target\n",
    )
    run("cp", "/etc/nginx/nginx.conf", "/etc/nginx/nginx.conf.backup")
    write(
        "/etc/nginx/nginx.conf",
        "events {}\nhttp { server { listen 80; location / { proxy_pass http://127.0.0.1:8000; } } }\n",
    )
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", "hh-token-refresh.timer")
    run("systemctl", "restart", "nginx")
    warned = sh(f"make -C {CHECKOUT} install UNITDIR=/run/systemd/system DESTDIR=").out
    check(
        "make install warns of old units that stand in front",
        warned.count("stands in front of the new one") == 2,
        warned,
    )
    sh(f"make -C {CHECKOUT} uninstall UNITDIR=/run/systemd/system; systemctl enable --now hh-token-refresh.timer")
    for command in commands_of("upgrade.md"):
        if not command.startswith("git clone"):
            type_command("upgrade.md", command)
    equal("the pair is taken over", stored()["access_token"], old["access_token"])
    equal("... and the service's own", run("stat", "-c", "%U %a", f"{STATE}/token.json").out.strip(), "hh-token 600")
    equal(
        "... and the new unit runs",
        unit_property("hh-token-refresh.service", "FragmentPath"),
        "/usr/local/lib/systemd/system/hh-token-refresh.service",
    )
    equal("... the new timers, too", [unit_property(unit, "ActiveState") for unit in UNITS], ["active"] * 3)
    equal("... with success", refresh(), 0)
    equal("... and nginx leads to the new listener", fetch(CALLBACK, headers={"Accept-Language": "en"})[0], 400)


def part_before_boot():
    """Leaves a pair behind that expires while the machine is off."""
    grant(life=3600, account="carol")
    grant(life=1)
    lever("expires-in?seconds=3600")
    setting("HHTOKEN_PUBLISH", PUBLISHED)
    run("systemctl", "enable", "hh-token-refresh@carol.timer")


FIRST = [
    part_installation,
    part_manual,
    part_start_of_expiries,
    part_timers,
    part_start_of_accounts,
    part_chain,
    part_reading,
    part_published,
    part_doctor,
    part_stop_and_kill,
    part_failure_hook,
    part_notify_examples,
    part_bad_settings,
    part_bad_network,
    part_end_of_accounts,  # before their state directories go with that of the main pair
    part_bad_machine,
    part_end_of_expiries,
    part_leaks,
    part_before_boot,
]
AFTER_BOOT = [part_boot, part_uninstall, part_upgrade]
BOOTED_AT = time.time()


def start_headhunter():
    """The sandbox in HeadHunter's place. Its standard output, settings with a secret, is not the box's affair."""
    run(
        "systemd-run",
        "--quiet",
        "--unit=headhunter",
        "--property=StandardOutput=null",
        "/usr/bin/python3",
        "-B",
        f"{CHECKOUT}/bin/hhtoken",
        "sandbox",
        "--listen",
        "127.0.0.1:8900",
        "--redirect-uri",
        CALLBACK,
        "--expires-in",
        "3600",
    )
    until(lambda: "pairs" in lever("state", 8900, "GET"))


if __name__ == "__main__":
    if sys.argv[1] == "first":
        run(f"{CHECKOUT}/tests/system/chain.sh", HOST)
    start_headhunter()
    main(sys.argv[1])
