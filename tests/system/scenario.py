"""The whole chain under a booted systemd: make install, nginx, a TLS terminator, Chromium, the sandbox as HeadHunter.

scenario.py first|after-boot; run by in_box.sh, outside of the box but in its network.
"""

import functools
import http.server
import json
import os
import re
import socket
import socketserver
import sys
import threading
import time
import traceback
import urllib.parse
from contextlib import contextmanager

from box_tools import (
    HOST,
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
CRON = "/var/lib/hh-token-cron"
ACCOUNTS = {name: f"{STATE}/accounts/{name}" for name in ("alice", "bob", "dave", "erin", "frank")}
SAME_MINUTE = 40  # in seconds: on a busy machine a run starts late, but not as late as the next tick of the timer
SHORT_LIFE = 61  # seconds: above a minute, so that each expiry falls to a tick of the timer as shipped

secrets = Secrets()
expiries = Expiries([CRON, *ACCOUNTS.values()])


def main(stage):
    secrets.add("client secret", CLIENT_SECRET)
    secrets.start()
    expiries.start()
    for part in {"first": FIRST, "after-boot": AFTER_BOOT}[stage]:
        try:
            part()
        except Exception:
            traceback.print_exc()
            check(f"{part.__name__} runs to its end", False)
    secrets.stop()
    expiries.stop()


# -- helpers --


def hhtoken(*arguments):
    return run("/usr/local/bin/hhtoken", *arguments)


def stat_of(path):
    return run("stat", "-c", "%a %U:%G", path).out.strip()


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
    oauth = f"http://127.0.0.1:{port}/oauth"
    command = f"HHTOKEN_ACCOUNT={account} HH_AUTHORIZE_URL={oauth}/authorize HH_TOKEN_URL={oauth}/token hhtoken"
    address = sh(f"{command} --state-dir {state_dir} authorize-url").out.strip()
    back = fetch(address)[1]["Location"]
    secrets.add_from_url(back)
    done = sh(f"{command} --state-dir {state_dir} exchange", stdin=back.encode() + b"\n")
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
        at_rest("hh-token-notify.service", 60)  # of the run that was stopped
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
    run("systemctl", "start", "nginx", "rsyslog", "cron")
    sh(
        f"mv /usr/lib/python3/dist-packages/requests /root/; make -C {CHECKOUT} install >/root/out 2>&1; echo $?"
        " >>/root/out; mv /root/requests /usr/lib/python3/dist-packages/"
    )
    missing = run("cat", "/root/out").out
    check("make install without requests names the package", "apt install python3-requests" in missing, missing)
    commands = commands_of("install.md")
    check(f"docs/install.md: {len(commands)} commands from bare to renewing", len(commands) <= 10, commands)
    for command in commands:
        follow(command)
    equal("make install once more succeeds", sh(f"make -C {CHECKOUT} install").code, 0)
    check("... and keeps the settings", CLIENT_SECRET in run("cat", ENV_FILE).out)
    equal("settings: root writes, the service reads", stat_of(ENV_FILE), "640 root:hh-token")
    equal("state directory", stat_of(STATE), "700 hh-token:hh-token")
    verify = sh("cd /usr/local/lib/systemd/system && systemd-analyze verify ./hh-token-*.service ./*.timer ./*.socket")
    equal("systemd-analyze verify is clean", (verify.code, verify.text), (0, ""))
    live = re.search(r": ([\d.]+)", run("systemd-analyze", "security", "hh-token-refresh.service").out.splitlines()[-1])
    check(f"exposure of the refresh as the running systemd sees it: {live[1]}", float(live[1]) <= 1.1)


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
    """Run a command of the docs in the box."""
    done = sh(command.replace("YOUR-DOMAIN", HOST))
    check(f"docs/{page}: {command}", done.code == 0, done.text)


def first_authorization(browser, address):
    secrets.add_from_url(address)
    equal("consent, callback, exchange: the page", authorize(browser, address), "Доступ получен")
    equal("token.json is the service's own", stat_of(f"{STATE}/token.json"), "600 hh-token:hh-token")
    with untouched("the callback once more"):
        callback = browser.url
        browser.open(callback)
        at_rest("hh-token-callback.service", 60)
        browser.open(callback)
        check("... shows that it is used up", "недействителен" in browser.title, browser.title)
    equal("one exchange was made", sandbox_state()["token_requests"].get("authorization_code"), 1)


# -- the chain --


def part_chain():
    with Browser(language="en-US,en") as browser:
        address = authorization_address()
        with untouched("junk on the callback"):
            junk()
        browser.open(f"{CALLBACK}?code=abc&state=wrong")
        equal("a wrong state: the page", browser.title, "This address is not valid")
        equal("... and status", fetch(f"{CALLBACK}?code=abc&state=wrong")[0], 400)
        with untouched("a refusal by the user"):
            equal("a refusal: the page", authorize(browser, address, "button:not(.yes)"), "Access was denied")
        exchanges = sandbox_state()["token_requests"]["authorization_code"]
        before = stored()["access_token"]
        equal("the next authorization goes through", authorize(browser, authorization_address()), "Authorized")
        equal("... with one exchange", sandbox_state()["token_requests"]["authorization_code"], exchanges + 1)
        check("... and replaces the pair", stored()["access_token"] != before)

        at_rest("hh-token-callback.service", 60)
        run("systemctl", "stop", "hh-token-callback.socket")
        browser.open(f"{CALLBACK}?code=abc&state=lost-{'x' * 32}")
        equal("listener down: the page", browser.title, "Не сейчас · Temporarily unavailable")
        equal("... and status", fetch(CALLBACK)[0], 502)
        run("systemctl", "start", "hh-token-callback.socket")
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
    time.sleep(2.5)  # what nginx counts has to run off before the browser comes


def part_timers():
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
    other = sh(f"runuser -u nobody -- env HHTOKEN_STATE_DIR={STATE} {show}")
    check(f"... but of nobody else's (exit {other.code})", other.code != 0 and token not in other.text, other.text)
    asked = hhtoken("whoami")
    check("the token is good for an API call", "Песочница" in asked.out, asked.text)


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
    equal("a user who is not in the group gets nothing", run("runuser", "-u", "nobody", "--", "cat", PUBLISHED).out, "")

    expired_pair()
    old = as_bot("cat", PUBLISHED).out
    equal("an authorization by root publishes, too", old, stored()["access_token"] + "\n")
    equal("... and the file is the service's", stat_of(PUBLISHED), "640 hh-token:hh-token-readers")
    equal("at an expiry", refresh(), 0)
    new = as_bot("cat", PUBLISHED).out
    check("... the new token is published", old != new == stored()["access_token"] + "\n")

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


# -- doctor: what it says to type fixes what was broken --

SITE = "/etc/nginx/sites-available/hh-token"
BREAKAGES = (  # what is broken, how, a word of the problem that says so, the exit code
    ("nginx is stopped", "systemctl stop nginx", "nginx: nothing listens on port 80", 78),
    ("a timer is off", "systemctl disable --now hh-token-due.timer", "hh-token-due.timer does not run", 78),
    ("a timer is not enabled", "systemctl disable hh-token-refresh.timer", "the next boot does not start it", 78),
    ("the socket is off", "systemctl disable --now hh-token-callback.socket", "listener: nothing listens", 78),
    ("everybody may read the pair", f"chmod 644 {STATE}/token.json", "token.json is open to others", 74),
    ("the service may not read its settings", f"chown root:root {ENV_FILE}", "cannot be read by the account", 78),
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
    sick = doctor()
    check("doctor: a certificate that this machine does not trust is named", "not signed by" in sick.out, sick.text)
    trusted = "/usr/local/share/ca-certificates"
    sh(f"mkdir -p {trusted}; cp /etc/hhtest-tls/ca.pem {trusted}/hhtest.crt && update-ca-certificates")
    well = doctor()
    check("doctor on the finished box finds no problem", well.code == 0, well.text)
    for word in ("callback comes through to hhtoken", "nginx: passes", "hh-token-due.timer runs, next at"):
        check(f"... and says: {word}", word in well.out, well.text)
    with untouched("doctor"):
        for what, how, word, code in BREAKAGES:
            broken_and_mended(what, how, word, code)
    for what, how, word, code in SITE_BREAKAGES:
        sh(f"cp {SITE} /root/site; {how}; systemctl reload nginx")
        until(lambda: _place_of("nginx", doctor()) is not None, 30, 0.3)
        sick = doctor()
        check(f"doctor: nginx's site: {what}: it names the remedy", sick.code == code and word in sick.out, sick.text)
        back = f"cp /root/site {SITE}; ln -sf ../sites-available/hh-token /etc/nginx/sites-enabled/"
        sh(f"{back}; systemctl reload nginx")
        until(lambda: doctor().code == 0, 30, 0.3)
    sh("rm -f /etc/nginx/sites-enabled/default; systemctl reload nginx")
    at_rest("hh-token-callback.service")
    old = setting("HH_CLIENT_SECRET", None)
    sick = doctor()
    check("doctor: a listener that ends at once", sick.code == 78 and ", exit code 78" in sick.out, sick.text)
    write(ENV_FILE, old, "0640", "root:hh-token")
    equal("... is well again", until(lambda: doctor().code == 0, 60, 1), True)
    stranger = sh("cd / && runuser -u nobody -- env HOME=/nonexistent hhtoken doctor")
    check("doctor runs without root, and says what it could not see", "sudo hhtoken doctor" in stranger.out)
    screen = hhtoken("status")
    check("status: who renews", "hh-token-due.timer (next run 20" in screen.out, screen.text)
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
    fixed = sh(typed)
    well = until(lambda: healthy(doctor(), word), 30, 0.3)
    check(f"... and what it says to type fixes it: {typed}", bool(typed) and well, fixed.text + doctor().text)


def _place_of(word, done):
    """Return the number of the line in which doctor names a trouble, or None."""
    lines = enumerate(done.out.splitlines())
    return next((at for at, line in lines if not line.startswith("ok") and word in line), None)


def healthy(done, word):
    return done.code == 0 and word not in done.out


# -- renewal at expiry --


def part_start_of_expiries():
    """Several accounts, with the template units as shipped but for the sandbox that they ask, whose pairs live for a
    minute, so that many expiries pass in minutes; and one more pair with cron."""
    before = stored()
    start_headhunter("headhunter-2", 8901)
    with Browser(language="en-US,en") as browser:
        address = hhtoken("--account", "alice", "authorize-url").out.strip()
        secrets.add_from_url(address)
        equal("alice authorizes through the socket unit", authorize(browser, address), "Authorized")
    equal("... her pair is the service's own", stat_of(f"{ACCOUNTS['alice']}/token.json"), "600 hh-token:hh-token")
    equal("... and the main one is untouched", stored(), before)
    run("mkdir", "-p", "/etc/systemd/system/hh-token-refresh@.service.d")
    write(
        "/etc/systemd/system/hh-token-refresh@.service.d/sandbox.conf",
        "[Service]\nEnvironment=HH_TOKEN_URL=http://127.0.0.1:8901/oauth/token\n",
    )
    run("systemctl", "daemon-reload")
    for number, account in enumerate(ACCOUNTS):
        grant(STATE, 8901, 2 * SHORT_LIFE + 5 * number, account)
    run("install", "-d", "-m", "700", "-o", "hh-token", "-g", "hh-token", CRON)
    grant(CRON, 8901, SHORT_LIFE + 10)
    lever(f"expires-in?seconds={SHORT_LIFE}", 8901)
    timers = " ".join(f"hh-token-refresh@{account}.timer hh-token-due@{account}.timer" for account in ACCOUNTS)
    equal("the timers of the accounts are enabled", sh(f"systemctl enable --now {timers}").code, 0)
    said = hhtoken("--account", "alice", "status").text
    check("status knows who renews alice's pair", "hh-token-due@alice.timer" in said, said)
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
    def met(*directories):  # below 0: authorized again before
        return sorted(delay for directory in directories for delay in expiries.delays[directory] if delay > 0)

    until(lambda: len(met(*ACCOUNTS.values())) >= 20 and met(CRON), 480, 1)
    delays = met(*ACCOUNTS.values())
    check(f"{len(delays)} expiries under the shipped timers were met", len(delays) >= 20)
    middle = delays[len(delays) // 2]
    check(
        f"a new pair was saved within 5 s of expiry: {middle:.2f} s in the middle, {delays[-1]:.2f} s at worst",
        middle <= 5 and delays[-1] <= SAME_MINUTE,
        delays,
    )
    cron = met(CRON) or [99]
    check(f"cron met {len(cron)} expiries, at worst {cron[-1]:.2f} s after", cron[-1] <= SAME_MINUTE, cron)
    run("rm", "/etc/cron.d/hh-token")
    lines = journal("-u", "hh-token-due.service").splitlines()
    minutes = int((time.time() - BOOTED_AT) // 60)
    check(f"the minutely look wrote {len(lines)} lines in {minutes} minutes", len(lines) <= 2, lines)
    for account, other in (("alice", "bob"), ("bob", "alice")):
        check(f"the log names {account}", f"account {account}: renewed the pair" in journal("-t", "hhtoken"))
        unit = journal("-u", f"hh-token-refresh@{account}.service")
        check(f"... and the journal of {account}'s unit is not {other}'s", f"account {other}" not in unit, unit)
    said = hhtoken("status", "--all")
    check("status --all tells of every pair", len(said.out.splitlines()) == 1 + len(ACCOUNTS), said.text)
    secrets.add_from_url(hhtoken("--account", "carol", "authorize-url").out)
    start("hh-token-refresh@carol.service")
    equal("carol has no pair: exit code", unit_property("hh-token-refresh@carol.service", "ExecMainStatus"), "77")
    at_rest("hh-token-notify@carol.service", 60)
    told = journal("-t", "hh-token-notify", "-n", "5")
    check("... and the operator is told, of carol", "account carol: " in told, told)
    run("rm", "-r", f"{STATE}/accounts/carol")
    run("systemctl", "stop", "hh-token-*@*.timer", "hh-token-refresh@*.service")


# -- stop and kill --


@by_hand
def part_stop_and_kill():
    for how in ("stop", "kill"):
        expired_pair()
        before, count = stored()["access_token"], refreshes()
        lever("fault?name=slow")
        start("hh-token-refresh.service", "--no-block")
        until(lambda count=count: refreshes() > count, 60)
        run("systemctl", how, "hh-token-refresh.service", timeout=60)
        at_rest("hh-token-refresh.service")
        check(f"systemctl {how} in the middle of a refresh: the new pair is saved", stored()["access_token"] != before)
        equal("... result", unit_property("hh-token-refresh.service", "Result"), "success")

    expired_pair()
    lever("fault?name=hang_before")
    start("hh-token-refresh.service", "--no-block")
    until(lambda: sandbox_state()["requests"][-1].get("fault") == "hang_before", 60)
    time.sleep(0.3)
    run("systemctl", "kill", "-s", "KILL", "hh-token-refresh.service")
    at_rest("hh-token-refresh.service")
    equal("kill -KILL before the answer: result", unit_property("hh-token-refresh.service", "Result"), "signal")
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
    write(NOTIFY, "#!/bin/sh\ncat >> /run/hh-token-notify/sent\n", "0750", "root:hh-token")
    expired_pair()
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
    equal("... and no other secret", set(secrets.hits(message)), {"state"})
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
    with serving(http.server.ThreadingHTTPServer, Telegram) as port:
        run("install", "-m", "750", "-g", "hh-token", f"{share}/notify-telegram.sh", NOTIFY)
        settings = f"TELEGRAM_BOT_TOKEN={token}\nTELEGRAM_CHAT_ID=42\nTELEGRAM_API=http://127.0.0.1:{port}\n"
        write("/etc/hh-token/notify.env", settings, "0640", "root:hh-token")
        equal("Telegram: the message is sent", tell_again(), "success")
    equal("... at the second attempt", len(Telegram.requests), 2)
    path, form = Telegram.requests[-1]
    secrets.add_from_url(form.get("text", ""))
    check("... to the right place", path == f"/bot{token}/sendMessage" and form["chat_id"] == "42", path)
    check("... with its lines", form["text"].startswith("hhtoken on hhbox: ") and form["text"].count("\n") >= 2, form)
    seen = any(token in line for line in secrets.command_lines)
    check("... and the bot token was not seen in ps", not seen)
    with serving(socketserver.ThreadingTCPServer, Mail) as port:
        run("install", "-m", "750", "-g", "hh-token", f"{share}/notify-mail.sh", NOTIFY)
        write("/etc/hh-token/notify.env", "MAIL_TO=you@example.com\n", "0640", "root:hh-token")
        write("/etc/msmtprc", f"account default\nhost 127.0.0.1\nport {port}\nfrom hhtoken@example.com\n")
        equal("mail: the message is sent", tell_again(), "success")
    mail = b"".join(Mail.lines).decode()
    secrets.add_from_url(mail)
    check("... and arrives", "To: you@example.com" in mail and "hhtoken on hhbox: " in mail, mail)
    run("rm", NOTIFY, "/etc/hh-token/notify.env")
    tell_again()
    log = journal("-t", "hh-token-notify")
    check("without a program of the operator's, the message goes to syslog", "hhtoken on hhbox: " in log, log)
    check("... and its address does not", "hhtoken login" in log and "state=" not in log, log)
    grant(life=3600)


@contextmanager
def serving(server, handler):
    with server(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


class Telegram(http.server.BaseHTTPRequestHandler):
    """Answers 500 once, then 200; slow enough for `ps` to see who asks."""

    requests = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.requests.append((self.path, dict(urllib.parse.parse_qsl(body))))
        time.sleep(0.3)
        self.send_response(500 if len(self.requests) == 1 else 200)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


class Mail(socketserver.StreamRequestHandler):
    """Takes one mail and keeps its lines, and what was said around it."""

    lines = []

    def handle(self):
        self.wfile.write(b"220 test\r\n")
        is_text = False
        for line in self.rfile:
            self.lines.append(line)
            if is_text and line != b".\r\n":
                continue
            is_text = line.startswith(b"DATA")
            self.wfile.write(b"354 go on\r\n" if is_text else b"250 ok\r\n")


# -- bad conditions --


@by_hand
def part_bad_settings():
    at_rest("hh-token-callback.service")  # it reads its settings when it starts
    old = setting("HH_CLIENT_SECRET", None)
    with Browser(language="en-US,en") as browser, untouched("no client secret"):
        title, callback = authorize(browser, authorization_address()), browser.url
        equal("no client secret: the page", title, "Не сейчас · Temporarily unavailable")
        equal("... the exit code", unit_property("hh-token-callback.service", "ExecMainStatus"), "78")
        log = journal("-u", "hh-token-callback.service")
        check("... the line", "HH_CLIENT_SECRET" in log, log[-600:])
        for _ in range(50):
            fetch("http://127.0.0.1:8000/callback", timeout=2)
        still = unit_property("hh-token-callback.socket", "ActiveState")
        equal("... 50 visits later the socket still listens", still, "active")
    write("/etc/hh-token/client_secret", CLIENT_SECRET + "\n", "0600")
    with Browser(language="en-US,en") as browser:
        browser.open(callback)
        equal("the secret as a systemd credential: a reload of that page goes through", browser.title, "Authorized")
    run("rm", "/etc/hh-token/client_secret")

    drop_in, secret = "/etc/systemd/system/hh-token-callback.service.d", "/etc/hh-token/client_secret.cred"
    encrypt = f"systemd-creds encrypt --with-key=host --name=hh_client_secret - {secret}; mkdir {drop_in}"
    done = sh(encrypt, stdin=CLIENT_SECRET.encode())
    check("systemd-creds encrypts the secret", CLIENT_SECRET not in run("cat", secret).out, done.text)
    encrypted = f"LoadCredential=\nSetCredential=\nLoadCredentialEncrypted=hh_client_secret:{secret}"
    write(f"{drop_in}/secret.conf", f"[Service]\n{encrypted}\n")
    run("systemctl", "daemon-reload")
    at_rest("hh-token-callback.service")
    with Browser(language="en-US,en") as browser:
        title = authorize(browser, authorization_address())
    equal("the encrypted credential: an authorization goes through", title, "Authorized")
    at_rest("hh-token-callback.service")
    sh(f"rm -r {drop_in} {secret}; systemctl daemon-reload")
    write(ENV_FILE, old, "0640", "root:hh-token")


def part_bad_network():
    at_rest("hh-token-callback.service")
    run("systemctl", "stop", "hh-token-callback.socket")
    with socket.create_server(("127.0.0.1", 8000)):
        taken = start("hh-token-callback.socket")
        check("the port is taken: the socket unit does not start", taken.code != 0)
        log = journal("-n", "50")  # not -u: systemd's helper may be gone before the journal knows whose it is
        check("... and says why", "Address already in use" in log, log[-500:])
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
        equal("nginx down: the browser gets no answer", fetch(CALLBACK)[0], 0)
        run("systemctl", "start", "nginx")
        browser.open(callback)
        equal("... nginx up: the same address goes through", browser.title, "Доступ получен")
    with Browser(language="en-US,en") as browser:
        lever("fault?name=html_502")
        address = authorization_address()
        title = authorize(browser, address)
        equal("HeadHunter refuses the exchange: hhtoken's own 502 page comes through", title, "No token was obtained")
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
    equal("all fixed: the pair is renewed", (refresh(), refreshes() > 0, hhtoken("status").code), (0, True, 0))


# -- what must not be seen --


def part_leaks():
    run("journalctl", "--sync")
    time.sleep(0.5)
    places = {
        "the journal": run("journalctl", "-q", "-o", "export", "--no-pager").out,
        "rsyslog's files": sh("cat /var/log/syslog /var/log/*.log /var/log/messages 2>/dev/null").out,
        "nginx's logs": sh("cat /var/log/nginx/*").out,
        "other files in /var/log": sh("find /var/log -type f ! -path '*/journal/*' -exec cat {} +").out,
        "command lines": "\n".join(secrets.command_lines),
        "environments": "\n".join(secrets.environments),
        "unit environments": sh("systemctl show -p Environment -p ExecStart '*'").out,
        "nginx's and the units' files": sh("cat /etc/nginx/sites-available/* /usr/local/lib/systemd/system/*").out,
        "files that anybody may read": sh(
            "find /etc /run /tmp /var /usr/local -xdev -type f -perm -o+r ! -path '/var/log/journal/*'"
            " ! -path '/usr/local/lib/hhtoken/*' -newer /etc/hostname -exec cat {} + 2>/dev/null"
        ).out,
    }
    kinds = {"access_token", "refresh_token", "client secret", "code", "state", "verifier", "bot token"}
    equal("secrets of every kind were made", set(secrets.values.values()), kinds)
    for place, text in places.items():
        equal(f"no secret in {place} ({len(text) // 1024} KiB)", secrets.hits(text), [])
    sh(f"logger {stored()['access_token']}")
    run("journalctl", "--sync")
    found = secrets.hits(run("journalctl", "-q", "-n", "20").out)
    equal("(the search finds one that is put there)", found, ["access_token"])
    check(
        "rsyslog has hhtoken's lines", all(tag in places["rsyslog's files"] for tag in ("hhtoken[", "hh-token-refresh"))
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
    token = hhtoken("--account", "carol", "show", "--field", "access_token").out.strip()
    equal(f"what is valid is published again, {time.time() - BOOTED_AT:.0f} s after the boot", carols, token)
    run("systemctl", "disable", "--now", "hh-token-refresh@carol.timer")
    run("systemctl", "start", "nginx", "stunnel@keendns")
    grant(life=3600)


def part_uninstall():
    sh(f"rm -rf {CRON}")
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
    named = tuple(re.findall("^  (/.*)", done.out, re.M))
    equal("... nothing but what it names", [path for path in remains() if not path.startswith(named)], [])
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
    unit = "/etc/systemd/system/hh-token-refresh"
    write(f"{unit}.service", "[Service]\nType=oneshot\nExecStart=/root/scripts/hh-token-refresh.sh\n")
    write(f"{unit}.timer", "[Timer]\nOnCalendar=*-*-* 17:00\n[Install]\nWantedBy=timers.target\n")
    run("cp", "/etc/nginx/nginx.conf", "/etc/nginx/nginx.conf.backup")
    site = "server { listen 80; location / { proxy_pass http://127.0.0.1:8000; } }"
    write("/etc/nginx/nginx.conf", f"events {{}}\nhttp {{ {site} }}\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", "hh-token-refresh.timer")
    run("systemctl", "restart", "nginx")
    warned = sh(f"make -C {CHECKOUT} install UNITDIR=/run/systemd/system DESTDIR=").out
    check("make install warns of old units in front", warned.count("stands in front of the new one") == 2, warned)
    sh(f"make -C {CHECKOUT} uninstall UNITDIR=/run/systemd/system; systemctl enable --now hh-token-refresh.timer")
    for command in commands_of("upgrade.md"):
        if not command.startswith("git clone"):
            type_command("upgrade.md", command)
    equal("the pair is taken over", stored()["access_token"], old["access_token"])
    equal("... and the service's own", stat_of(f"{STATE}/token.json"), "600 hh-token:hh-token")
    runs = unit_property("hh-token-refresh.service", "FragmentPath")
    equal("... and the new unit runs", runs, "/usr/local/lib/systemd/system/hh-token-refresh.service")
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
    part_start_of_expiries,
    part_timers,
    part_chain,
    part_reading,
    part_published,
    part_doctor,
    part_stop_and_kill,
    part_failure_hook,
    part_notify_examples,
    part_bad_settings,
    part_bad_network,
    part_end_of_expiries,  # before the state directories of the accounts go with that of the main pair
    part_bad_machine,
    part_leaks,
    part_before_boot,
]
AFTER_BOOT = [part_boot, part_uninstall, part_upgrade]
BOOTED_AT = time.time()


def start_headhunter(unit="headhunter", port=8900):
    """The sandbox in HeadHunter's place. Its standard output, settings with a secret, is not the box's affair."""
    serve = f"/usr/bin/python3 -B {CHECKOUT}/bin/hhtoken sandbox --listen 127.0.0.1:{port} --redirect-uri {CALLBACK}"
    options = ("--quiet", f"--unit={unit}", "--property=StandardOutput=null")
    run("systemd-run", *options, *serve.split(), "--expires-in", "3600")
    until(lambda: "pairs" in lever("state", port, "GET"))


if __name__ == "__main__":
    if sys.argv[1] == "first":
        run(f"{CHECKOUT}/tests/system/chain.sh", HOST)
    start_headhunter()
    main(sys.argv[1])
