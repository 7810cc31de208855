"""What doctor makes of what it has seen: facts in, findings out; no file, no network."""

import json
import stat
import time
from types import SimpleNamespace as Facts

import pytest
from reports import REPORTS
from support import ROOT

from hhtoken import errors
from hhtoken.authorization import pages
from hhtoken.commands import doctor
from hhtoken.commands.doctor import (
    findings,
    provider,
    whose_page,
)
from hhtoken.commands.doctor.visit import (
    BROKEN,
    CERTIFICATE_FAILURES,
    NO_NAME_SERVER,
    NO_ROUTE,
    NO_TLS,
    REFUSED,
    RESET,
    SENTENCES,
    SILENT,
    UNKNOWN_NAME,
    Visit,
)
from hhtoken.console import language
from hhtoken.renewal import timers
from hhtoken.renewal.timers import Renewers
from hhtoken.settings.settings import Settings
from hhtoken.store import places

DAY = 86400
URI = "https://hh-test.keenetic.pro/callback"
LOCAL_URI = "http://127.0.0.1:8000/callback"


def page(name, tongue="en"):
    """A page of the listener's: its status and its HTML."""
    whole = pages.response(name, tongue, language.translated_into).decode()
    return int(whole.split()[1]), whole.partition("\r\n\r\n")[2]


OUR_PAGE = page(pages.REFUSED)[1]
NO_HTTPS_PAGE, OTHER_HOST_PAGE = page(400)[1], page(421)[1]
NGINX = ROOT / "nginx"
DOWN_PAGE, SITE = (NGINX / "hh-token-down.html").read_text(), (NGINX / "hh-token").read_text()
GOOD_SITE = SITE.replace("your-domain.keenetic.pro", "hh-test.keenetic.pro")
NGINX_404 = "<html><head><title>404 Not Found</title></head><body><center>nginx</center></body></html>"


def brief(found):
    """Findings as ``[(kind, what to type or None)]``."""
    return [(finding.kind, finding.command) for finding in found]


def kinds(found):
    return [finding.kind for finding in found]


def said(found):
    return " | ".join(str(finding.says) for finding in found)


# -- findings --

FOUND = [
    findings.ok("a", "is well"),
    findings.note("b", "is so", advice="think"),
    findings.problem("c", "is ill", "cure it", exit_code=errors.TEMPFAIL),
]


def test_each_finding_is_a_line_and_a_problem_says_what_to_type():
    shown = [
        "ok       a: is well",
        "note     b: is so",
        "         do: think",
        "problem  c: is ill",
        "         type: cure it",
        "",
        "1 problem",
    ]
    assert findings.to_lines(FOUND, str).split("\n") == shown
    coloured = findings.to_lines(FOUND, str, has_colour=True)
    assert coloured.startswith("\033[32mok      \033[0m a") and "\033[31mproblem" in coloured


def test_nothing_that_was_seen_breaks_a_line_or_reaches_the_terminal_as_a_command():
    shown = findings.to_lines([findings.note("a", "one\ntwo\x9b31m")], str)
    assert shown.split("\n")[0] == "note     a: one?two?31m"


@pytest.mark.parametrize(
    "codes, expected",
    [([], 0), ([75], 75), ([75, 77], 77), ([69, 75], 75), ([65, 77], 65), ([74, 65], 74), ([74, 78, 65], 78)],
)
def test_the_exit_code_is_that_of_the_worst_problem(codes, expected):
    found = [findings.note("a", "b"), *(findings.problem("a", "b", exit_code=code) for code in codes)]
    assert findings.exit_code(found) == expected


def test_the_json_holds_everything_and_its_own_exit_code():
    fields = json.loads(findings.to_json(FOUND))
    assert (fields["schema"], fields["exit_code"]) == (1, 75)
    assert fields["findings"][2] == {
        "kind": "problem", "about": "c", "says": "is ill", "command": "cure it", "advice": None, "exit_code": 75
    }  # fmt: skip
    assert [one["kind"] for one in fields["findings"]] == ["ok", "note", "problem"]


def test_an_errors_hint_that_is_a_command_becomes_one():
    typed = findings.of_error("a", errors.ConfigError("m", "type: chmod o= /x"))
    assert (typed.command, typed.advice, typed.exit_code) == ("chmod o= /x", None, 78)
    advised = findings.of_error("a", errors.StorageError("m", "look around"))
    assert (advised.command, advised.advice, advised.exit_code) == (None, "look around", 74)


# -- settings --


def settings_facts(environment=None, **changes):
    """The facts about good settings, with these changes in the environment."""
    environment = {
        "HH_CLIENT_ID": "ID", "HH_CLIENT_SECRET": "canary-secret", "HH_REDIRECT_URI": URI,
        "HH_USER_AGENT": "my-bot/1.0 (me@example.com)", **(environment or {})
    }  # fmt: skip
    seen = doctor.settings.look(Settings({name: value for name, value in environment.items() if value is not None}))
    clean = {"path": "/etc/x", "file": None, "is_out_of_sight": False, "has_credential": False, "service": None}
    for name, value in {**clean, **changes}.items():
        setattr(seen, name, value)
    return seen


def test_settings_that_are_all_there_are_one_good_line():
    found = doctor.settings.judge(settings_facts(), False)
    assert brief(found) == [("ok", None)]
    assert said(found) == "set: HH_CLIENT_ID, HH_CLIENT_SECRET, HH_REDIRECT_URI"


@pytest.mark.parametrize("name", doctor.settings.NEEDED_TO_AUTHORIZE)
def test_a_setting_that_is_missing_matters_until_there_is_a_pair(name):
    missing = settings_facts(environment={name: None})
    [problem] = [one for one in doctor.settings.judge(missing, False) if one.kind == "problem"]
    assert problem.says == f"not configured: {name} not set" and problem.advice and problem.exit_code == 78
    assert kinds(doctor.settings.judge(missing, True)) == ["ok", "note"]


@pytest.mark.parametrize(
    "environment, word",
    [
        ({"HH_REDIRECT_URI": "https://your-domain.keenetic.pro/callback"}, "placeholder"),
        ({"HH_CLIENT_ID": "your_client_id"}, "placeholder"),
        ({"HH_REDIRECT_URI": "http://example.com/callback"}, "must be https"),
        ({"HH_API_URL": "ftp://x"}, "not an http or https address"),
        ({"HHTOKEN_DEADLINE": "soon"}, "HHTOKEN_DEADLINE"),
        ({"HH_USER_AGENT": "bot"}, "bad_user_agent"),
        ({"HH_USER_AGENT": "my-bot/1.0"}, "bad_user_agent"),
    ],
)
def test_a_setting_that_is_wrong_is_a_problem_even_with_a_pair(environment, word):
    found = doctor.settings.judge(settings_facts(environment=environment), True)
    [problem] = [one for one in found if one.kind == "problem"]
    assert word in problem.says and problem.advice and problem.exit_code == 78


def test_hhtokens_own_user_agent_is_worth_a_note():
    assert kinds(doctor.settings.judge(settings_facts(environment={"HH_USER_AGENT": None}), True)) == ["ok", "note"]


def test_a_secret_that_systemd_hands_over_is_not_missing():
    seen = settings_facts(environment={"HH_CLIENT_SECRET": None}, has_credential=True)
    assert kinds(doctor.settings.judge(seen, False)) == ["ok", "ok"]


def test_settings_that_are_not_for_us_to_read_are_not_called_missing():
    seen = settings_facts(environment={"HH_CLIENT_ID": None, "HH_REDIRECT_URI": None}, is_out_of_sight=True)
    assert brief(doctor.settings.judge(seen, False))[1:] == [("note", "sudo hhtoken doctor")]


@pytest.mark.parametrize(
    "path, file, service, expected",
    [
        ("/etc/hh-token/hh-token.env", (0o640, 0, 990), (990, 990), ("ok", None)),
        ("/etc/hh-token/hh-token.env", (0o600, 990, 0), (990, 990), ("ok", None)),
        ("/etc/hh-token/hh-token.env", (0o600, 0, 0), (990, 990),
         ("problem", "chgrp hh-token /etc/hh-token/hh-token.env && chmod 640 /etc/hh-token/hh-token.env")),
        ("/etc/hh-token/hh-token.env", (0o600, 0, 0), None, ("ok", None)),
        ("/home/me/my env", (0o600, 1000, 1000), (990, 990), ("ok", None)),
        ("/home/me/my env", (0o666, 1000, 1000), None, ("problem", "chmod go-w '/home/me/my env'")),
        ("/home/me/env", (0o644, 1000, 1000), None, ("note", "chmod o= /home/me/env")),
    ],
)  # fmt: skip
def test_the_settings_file_is_the_services_to_read_and_nobody_elses_to_change(path, file, service, expected):
    file = Facts(**dict(zip(("st_mode", "st_uid", "st_gid"), file)))
    assert brief(doctor.settings.judge(settings_facts(path=path, file=file, service=service), True))[-1] == expected


@pytest.mark.parametrize("mode", [0o644, 0o641])
@pytest.mark.parametrize("line", ["HH_CLIENT_SECRET=canary-secret", "HH_CLIENT_ID=ID"])
def test_a_settings_file_that_is_open_to_others_is_not_called_closed(tmp_path, mode, line):
    path = tmp_path / "env"
    path.write_text(f"{line}\n")
    path.chmod(mode)
    found = doctor.settings.judge(doctor.settings.look(Settings({}, str(path))), True)
    assert "closed to others" not in said(found)
    commands = [one.command for one in found if one.kind == "problem"]
    assert commands == ([f"chmod o= {path}"] if "SECRET" in line else []), "and the problem is said once"


def test_one_mistake_in_the_file_is_said_once():
    error = errors.ConfigError("/x:3 is not KEY=VALUE", "fix the line")
    seen = settings_facts()
    seen.values, seen.problems = {}, dict.fromkeys(("HH_CLIENT_ID", "HH_API_URL", "HH_CLIENT_SECRET"), error)
    assert kinds(doctor.settings.judge(seen, True)) == ["problem"]


def test_no_finding_about_settings_repeats_the_secret():
    for environment in ({}, {"HH_CLIENT_SECRET": "canary-secret\x01"}, {"HH_CLIENT_SECRET": "your_canary-secret"}):
        seen = settings_facts(environment=environment)
        assert "canary" not in findings.to_json(doctor.settings.judge(seen, False)) + repr(vars(seen))


# -- the state directory --


def status(mode=0o600, uid=990, nlink=1, kind=stat.S_IFREG):
    return Facts(st_mode=kind | mode, st_uid=uid, st_nlink=nlink)


def store_facts(*files, **changes):
    facts = {
        "path": "/var/lib/hh-token", "exists": True, "error": None, "status": status(0o700, kind=stat.S_IFDIR),
        "files": [("token.json", status()), *files], "free": 10**9, "mount": ("/", "ext4", False), "me": 0,
        "service": (990, 990), "has_service_pair": True, "trouble": None,
    }  # fmt: skip
    return Facts(**{**facts, **changes})


def test_a_state_directory_as_it_should_be_has_only_good_lines():
    assert brief(doctor.state_directory.judge(store_facts())) == [("ok", None), ("ok", None)]


@pytest.mark.parametrize(
    "facts, command, exit_code",
    [
        (store_facts(status=status(0o755, kind=stat.S_IFDIR)), "chmod 700 /var/lib/hh-token", 74),
        (store_facts(("journal", status(0o644)), path="/a b"), "chmod 600 '/a b/journal'", 74),
        (store_facts(("journal", status(uid=0))), "chown --reference=/var/lib/hh-token /var/lib/hh-token/journal", 74),
        (store_facts(("journal", status(0o200))), "chmod 600 /var/lib/hh-token/journal", 74),
        (store_facts((".lock", status(nlink=2)), path="/s"), "cp -p /s/.lock /s/.lock.own && mv /s/.lock.own /s/.lock",
         74),
        (store_facts((".lock", status(kind=stat.S_IFLNK))), "ls -l /var/lib/hh-token/.lock", 74),
        (store_facts((".lock", status(kind=stat.S_IFDIR))), "ls -l /var/lib/hh-token/.lock", 74),
        (store_facts(status=status(0o700, 0, kind=stat.S_IFDIR), files=[]),
         "chown -R hh-token:hh-token /var/lib/hh-token", 74),
        (store_facts(mount=("/var", "ext4", True)), "mount -o remount,rw /var", 74),
        (store_facts(trouble=errors.StorageError("cannot write", "make room")), None, 74),
        (store_facts(trouble=errors.StorageError("cannot write", "make it so"), mount=("/var", "ext4", True)),
         "mount -o remount,rw /var", 74),
        (store_facts(error=PermissionError(13, "Permission denied"), status=None), "sudo hhtoken doctor", 74),
        (store_facts(error=PermissionError(13, "Permission denied"), status=None, path="/s"),
         "sudo hhtoken doctor --state-dir /s", 74),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_state_directory_is_named_with_its_remedy(facts, command, exit_code):
    [problem] = [one for one in doctor.state_directory.judge(facts) if one.kind == "problem"]
    assert (problem.command, problem.exit_code) == (command, exit_code)


@pytest.mark.parametrize("mode", [0o1777, 0o755])
@pytest.mark.parametrize("name", ["other", "other.json", ".other.tmp", "lock"])
def test_nothing_is_typed_that_would_close_a_directory_that_others_use(mode, name):
    foreign = (name, status(0o644, uid=1))
    facts = store_facts(path="/tmp", status=status(mode, kind=stat.S_IFDIR), files=[foreign])
    [problem] = [one for one in doctor.state_directory.judge(facts) if one.kind == "problem"]
    assert (problem.command, problem.exit_code) == (None, 74)
    assert "name a directory of its own with --state-dir" in problem.advice
    assert ("chmod 700 /tmp" in problem.advice) == (mode == 0o755), "where it is certain, not even perhaps"


def test_a_sticky_directory_is_everybodys_whatever_lies_in_it():
    facts = store_facts((".lock", status(0o644)), path="/tmp", status=status(0o1777, kind=stat.S_IFDIR))
    directory, lock = [one for one in doctor.state_directory.judge(facts) if one.kind == "problem"]
    assert (directory.command, lock.command) == (None, "chmod 600 /tmp/.lock")


@pytest.mark.parametrize(
    "facts, word",
    [
        (store_facts(exists=False), "first login"),
        (store_facts(mount=("/run", "tmpfs", False)), "next boot"),
        (store_facts(mount=("/mnt", "nfs4", False)), "network file system"),
        (store_facts(("answer.kept", status())), "kept aside"),
        (store_facts(("token.json.unclaimed-5", status())), "may be good"),
        (store_facts(("accounts", status(0o700, kind=stat.S_IFDIR)), ("answer.kept", status())), "kept aside"),
        (store_facts(free=4096000), "3.9 MiB are free"),
        (store_facts(me=1000, path="/home/me/s", error=PermissionError(13, "x")), "may not look into"),
        (store_facts(me=1000, path="/home/me/s"), "another one, in /var/lib/hh-token"),
    ],
)
def test_what_is_odd_in_the_state_directory_is_a_note_and_no_problem(facts, word):
    found = doctor.state_directory.judge(facts)
    assert "problem" not in kinds(found)
    assert any(word in one.says for one in found if one.kind == "note")


@pytest.mark.parametrize(
    "facts",
    [
        store_facts((".token.json.7.ab.tmp", status())),
        store_facts(path="/home/me/s", status=status(0o700, 1000, kind=stat.S_IFDIR), files=[]),
        store_facts(("sub", status(0o755, uid=0, kind=stat.S_IFDIR)), ("notes", status(0o644, uid=0))),
    ],
)
def test_what_is_others_or_passes_is_nothing_to_speak_of(facts):
    assert kinds(doctor.state_directory.judge(facts)) == ["ok", "ok"]


MOUNTS = r"""
22 1 0:20 / / rw,relatime - ext4 /dev/sda1 rw
23 22 0:21 / /var/lib rw - tmpfs tmpfs rw
24 22 0:22 / /my\040disk ro - nfs4 host:/x rw
25 22 0:23 / /full rw - ext4 /dev/sdb1 ro,errors=remount-ro
garbage
"""


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/", ("/", "ext4", False)),
        ("/var", ("/", "ext4", False)),
        ("/var/lib/hh-token", ("/var/lib", "tmpfs", False)),
        ("/var/library", ("/", "ext4", False)),
        ("/my disk/x", ("/my disk", "nfs4", True)),
        ("/full", ("/full", "ext4", True)),
    ],
)
def test_the_file_system_of_a_path_is_the_mount_nearest_to_it(path, expected):
    assert places.mount_of(path, MOUNTS) == expected


def test_without_mounts_nothing_is_said_of_them():
    assert places.mount_of("/", "") is None
    assert kinds(doctor.state_directory.judge(store_facts(mount=None, free=None))) == ["ok"]


# -- the pair --


def test_the_pair_is_judged_as_status_does():
    for name, (seen, _state, exit_code) in REPORTS.items():
        [finding] = doctor.pair.judge(seen)
        assert finding.exit_code == exit_code, name
        assert (finding.kind == "problem") == (exit_code != 0), name
        assert finding.kind != "problem" or finding.advice, name


def test_an_error_in_front_of_the_pair_is_the_finding():
    [finding] = doctor.pair.judge(errors.StorageError("others may write in /s", "type: chmod 700 /s"))
    assert (finding.command, finding.exit_code) == ("chmod 700 /s", 74)


# -- HeadHunter and the clock --


def test_each_host_is_visited_once_and_the_api_first():
    values = {"HH_API_URL": "https://api.hh.ru", "HH_TOKEN_URL": "https://hh.ru/oauth/token",
              "HH_AUTHORIZE_URL": "https://hh.ru/oauth/authorize"}  # fmt: skip
    assert provider.addresses_of(values) == {
        "HH_API_URL": "https://api.hh.ru/me", "HH_TOKEN_URL": "https://hh.ru/"
    }  # fmt: skip
    assert provider.addresses_of({}) == {}


@pytest.mark.parametrize("failure", SENTENCES)
def test_every_way_not_to_reach_headhunter_has_its_sentence_and_its_advice(failure):
    [finding] = provider.judge("HH_API_URL", Visit("api.hh.ru", failure), True)
    assert (finding.kind, finding.exit_code) == ("problem", 75)
    assert finding.says == f"api.hh.ru: {SENTENCES[failure]}" and finding.advice
    assert (finding.command == "getent hosts api.hh.ru") == (failure == UNKNOWN_NAME)


def answer(status=403, ahead=0.0, body="{}", until=None):
    return Visit("api.hh.ru", None, status, {}, body, ahead, until)


@pytest.mark.parametrize(
    "ahead, kind, word",
    [(0, "ok", "agrees"), (29, "ok", "agrees"), (-30, "ok", "agrees"), (31, "problem", "31 seconds behind"),
     (-3600, "problem", "1 hour ahead"), (None, "note", "does not say")],
)  # fmt: skip
def test_a_clock_that_is_off_by_more_than_half_a_minute_is_a_problem(ahead, kind, word):
    _host, clock = provider.judge("HH_API_URL", answer(ahead=ahead), True)
    assert clock.kind == kind and word in clock.says and clock.about == "clock"
    assert clock.command == ("timedatectl set-ntp true" if kind == "problem" else None)
    without = provider.judge("HH_API_URL", answer(ahead=ahead), False)[1]
    assert without.command is None and bool(without.advice) == (kind == "problem")


def test_only_the_api_is_asked_for_the_time():
    assert kinds(provider.judge("HH_TOKEN_URL", answer(200), True)) == ["ok"]


@pytest.mark.parametrize("status, exit_code", [(500, 75), (503, 75), (429, 75), (200, 0), (403, 0), (404, 0)])
def test_headhunters_own_trouble_is_temporary(status, exit_code):
    assert findings.exit_code(provider.judge("HH_API_URL", answer(status), True)) == exit_code


def test_a_user_agent_that_headhunter_refuses_is_a_problem():
    bad = answer(400, body='{"errors":[{"type":"bad_user_agent","value":"blacklisted"}]}')
    found = provider.judge("HH_API_URL", bad, True)
    assert found[0].exit_code == 78 and "HH_USER_AGENT" in found[0].advice


# -- whose page --


@pytest.mark.parametrize("name", [*pages.PAGES])
def test_each_page_of_ours_is_known_as_ours(name):
    status, body = page(name)
    assert whose_page.whose(status, {}, body) in (whose_page.OURS, whose_page.NOT_HTTPS, whose_page.OTHER_HOST)


# -- the listener --

ACTIVE = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled",
          "Listen": "127.0.0.1:8000 (Stream)"}  # fmt: skip
OURS = Visit("h", None, 400, {}, OUR_PAGE)
NOBODY, FOREIGN = Visit("h", REFUSED), Visit("h", None, 404, {}, "no")
NO_UNIT = {"LoadState": "not-found"}


def listener_facts(visit, unit=NO_UNIT, uri=URI, service=None):
    return Facts(host="127.0.0.1", port=8000, redirect_uri=uri, socket=unit, service=service or {}, visit=visit)


ENABLE = "systemctl enable --now hh-token-callback.socket"
INACTIVE = {**ACTIVE, "ActiveState": "inactive", "UnitFileState": "disabled"}


@pytest.mark.parametrize(
    "facts, expected",
    [
        (listener_facts(OURS), [("ok", None)]),
        (listener_facts(OURS, ACTIVE), [("ok", None)]),
        (listener_facts(OURS, {**ACTIVE, "UnitFileState": "disabled"}),
         [("ok", None), ("problem", "systemctl enable hh-token-callback.socket")]),
        (listener_facts(NOBODY, INACTIVE), [("problem", ENABLE)]),
        (listener_facts(NOBODY, {**ACTIVE, "ActiveState": "failed"}), [("problem", ENABLE)]),
        (listener_facts(NOBODY), [("note", None)]),
        (listener_facts(NOBODY, uri=LOCAL_URI), [("ok", None)]),
        (listener_facts(NOBODY, INACTIVE, LOCAL_URI), [("ok", None)]),
        (listener_facts(NOBODY, {**INACTIVE, "UnitFileState": "enabled"}, LOCAL_URI), [("problem", ENABLE)]),
        (listener_facts(NOBODY, uri="http://127.0.0.1/callback"), [("note", None)]),
        (listener_facts(FOREIGN), [("problem", "ss -ltnp sport = :8000")]),
        (listener_facts(Visit("h", BROKEN), INACTIVE), [("problem", "ss -ltnp sport = :8000")]),
    ],
)  # fmt: skip
def test_who_listens_is_told_from_who_should(facts, expected):
    assert brief(doctor.listener.judge(facts)) == expected


@pytest.mark.parametrize("status, code", [("78", 78), ("74", 74), ("1", 78), ("", 78)])
def test_a_listener_that_ends_at_once_has_its_own_exit_code(status, code):
    service = {"ExecMainStatus": status}
    [finding] = doctor.listener.judge(listener_facts(Visit("h", RESET), ACTIVE, service=service))
    assert (finding.kind, finding.exit_code) == ("problem", code) and finding.command.startswith("journalctl")


@pytest.mark.parametrize(
    "unit, uri, expected",
    [
        (ACTIVE, URI, ("127.0.0.1", 8000)),
        ({**ACTIVE, "Listen": "127.0.0.1:8001 (Stream)"}, URI, ("127.0.0.1", 8001)),
        ({**ACTIVE, "Listen": "[::1]:8001 (Stream)"}, URI, ("::1", 8001)),
        (NO_UNIT, URI, ("127.0.0.1", 8000)),
        (NO_UNIT, "http://127.0.0.1:9000/x", ("127.0.0.1", 9000)),
        (NO_UNIT, "http://[::1]:9000/x", ("::1", 9000)),
    ],
)
def test_the_listeners_place_is_the_sockets_or_the_redirect_uris(unit, uri, expected):
    assert doctor.listener.place(uri, unit) == expected


# -- nginx --

FILE = "/nowhere/hh-token"
BAD_ANSWER = Visit("h", None, 404, {"server": "nginx"}, NGINX_404)
RELOAD = "nginx -t && systemctl reload-or-restart nginx"


def nginx_facts(visit=BAD_ANSWER, site=GOOD_SITE, **changes):
    facts = {"host": "hh-test.keenetic.pro", "path": "/callback", "is_installed": True, "visit": visit, "port": 80,
             "site": (FILE, site) if site else None, "available": False,
             "place": "127.0.0.1:8000"}  # fmt: skip
    return Facts(**{**facts, **changes})


@pytest.mark.parametrize(
    "facts, kinds_found, word",
    [
        (nginx_facts(OURS), ["ok"], "passes hh-test.keenetic.pro/callback on"),
        (nginx_facts(OURS, None), ["ok"], ""),
        (nginx_facts(OURS, SITE), ["ok", "note"], "server_name hh-test.keenetic.pro;"),
        (nginx_facts(NOBODY, None, is_installed=False), ["note"], "127.0.0.1:8000"),
        (nginx_facts(NOBODY), ["problem"], "systemctl enable --now nginx"),
        (nginx_facts(site=SITE), ["problem"], "in /nowhere/hh-token, write 'server_name hh-test.keenetic.pro;'"),
        (nginx_facts(path="/back"), ["problem"], "write 'location = /back {'"),
        (nginx_facts(site=GOOD_SITE.replace("127.0.0.1:8000", "127.0.0.1:8001")), ["problem"],
         "write 'server 127.0.0.1:8000;'"),
        (nginx_facts(site=GOOD_SITE.replace("hh-test", "*")), ["problem"], RELOAD),
        (nginx_facts(Visit("h", None, 400, {}, NO_HTTPS_PAGE)), ["problem"], "X-Forwarded-Proto https;"),
        (nginx_facts(Visit("h", None, 421, {}, OTHER_HOST_PAGE)), ["problem"], "proxy_set_header Host $host;"),
        (nginx_facts(site=None, available=True), ["problem"], "type: ln -s ../sites-available/hh-token /etc/nginx/"),
        (nginx_facts(NOBODY, None, available=True), ["problem"], "not enabled"),
        (nginx_facts(), ["problem"], "compare the site"),
        (nginx_facts(Visit("h", None, 502, {}, DOWN_PAGE)), ["problem"], "fix the listener"),
        (nginx_facts(Visit("h", None, 429)), ["note"], "429"),
        (nginx_facts(Visit("h", RESET)), ["problem"], "systemctl restart nginx"),
        (nginx_facts(OURS, "server { server_name *.keenetic.pro; location = /callback { } }"), ["ok"], ""),
    ],
)  # fmt: skip
def test_what_keeps_nginx_from_bringing_the_browser_is_named_with_its_remedy(facts, kinds_found, word):
    found = doctor.nginx.judge(facts)
    assert kinds(found) == kinds_found and word in findings.to_json(found, str)


# -- the public address --


@pytest.mark.parametrize(
    "visit, kind, exit_code, word",
    [
        (OURS, "ok", 0, "comes through to hhtoken"),
        (Visit("h", None, 400, {}, NO_HTTPS_PAGE), "problem", 78, "hhtoken refuses"),
        (Visit("h", None, 502, {}, DOWN_PAGE), "problem", 69, "finds nothing"),
        (Visit("h", None, 421, {}, OTHER_HOST_PAGE), "problem", 78, "hhtoken refuses"),
        (Visit("h", None, 502, {"server": "KeenDNS"}), "problem", 78, "router or KeenDNS"),
        (Visit("h", None, 200, {}, "<title>Keenetic Web</title>"), "problem", 78, "router or KeenDNS"),
        (Visit("h", None, 401), "problem", 78, "something other"),
        (Visit("h", None, 502), "problem", 78, "does not reach it"),
        (Visit("h", None, 200, {}, "Welcome to nginx!"), "problem", 78, "default site"),
        (Visit("h", None, 302, {"location": "https://login.example/?state=canary"}), "problem", 78, "login.example"),
        (Visit("h", None, 404), "problem", 78, "does not know the path"),
        (Visit("h", None, 200, {}, "hi"), "problem", 78, "something other"),
        (Visit("h", None, 429), "note", 0, "too many"),
        *[(Visit("h", failure), "problem", 78, "certificate") for failure in CERTIFICATE_FAILURES],
        (Visit("h", NO_TLS), "problem", 78, "TLS"),
        (Visit("h", UNKNOWN_NAME), "problem", 78, "unknown"),
        (Visit("h", NO_NAME_SERVER), "problem", 75, "name server"),
        *[(Visit("h", failure), "problem", 75, "h: ") for failure in
          (NO_ROUTE, REFUSED, SILENT, RESET, BROKEN)],
    ],
)  # fmt: skip
def test_who_answers_the_public_address_is_told(visit, kind, exit_code, word):
    [finding] = doctor.public_address.judge(URI, visit)
    assert (finding.kind, finding.exit_code) == (kind, exit_code) and word in finding.says
    assert finding.kind != "problem" or finding.advice
    assert "canary" not in findings.to_json([finding])


def test_a_certificate_that_ends_within_a_week_is_worth_a_note():
    soon = Visit("h", None, 400, {}, OUR_PAGE, certificate_until=time.time() + 3 * DAY)
    later = Visit("h", None, 400, {}, OUR_PAGE, certificate_until=time.time() + 30 * DAY)
    assert (kinds(doctor.public_address.judge(URI, soon)), kinds(doctor.public_address.judge(URI, later))) == (
        ["ok", "note"],
        ["ok"],
    )


# -- units --

TIMER = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled",
         "NextElapseUSecRealtime": "Mon 2026-11-23 12:01:00 UTC"}  # fmt: skip
REFRESH = {"LoadState": "loaded", "StateDirectory": "hh-token", "Result": "success", "ExecMainStatus": "0"}
DUE = {"LoadState": "loaded", "Environment": "HHTOKEN_STATE_DIR=/var/lib/hh-token"}


def units_facts(due=TIMER, refresh=TIMER, service=REFRESH, account=None, **changes):
    names = timers.names_of(f"@{account}" if account else "")
    units = dict(zip(names, (due, refresh, DUE, service)))
    renewers = timers.of_units(units, "/var/lib/hh-token", account)
    return Facts(**{"names": names, "units": units, "has_systemd": True, "renewers": renewers, **changes})


STOPPED = {**TIMER, "ActiveState": "inactive"}
ABSENT = {"LoadState": "not-found"}
NO_UNITS = {"due": ABSENT, "refresh": ABSENT}
SETTINGS = Settings({"HHTOKEN_STATE_DIR": "/var/lib/hh-token"})


@pytest.mark.parametrize(
    "facts, expected",
    [
        (units_facts(), [("ok", None)] * 2),
        (units_facts(due={**TIMER, "NextElapseUSecRealtime": ""}), [("ok", None)] * 2),
        (units_facts(due=STOPPED), [("problem", "systemctl enable --now hh-token-due.timer"), ("ok", None)]),
        (units_facts(refresh={**TIMER, "UnitFileState": "disabled"}),
         [("ok", None), ("problem", "systemctl enable hh-token-refresh.timer")]),
        (units_facts(due=STOPPED, account="alice"),
         [("problem", "systemctl enable --now hh-token-due@alice.timer"), ("ok", None)]),
        (units_facts(**NO_UNITS), [("problem", None)]),
        (units_facts(**NO_UNITS, renewers=Renewers(cron="/etc/cron.d/x")), [("ok", None)]),
        (units_facts(**NO_UNITS, renewers=Renewers(unfit=("crontab -l", "why not"))), [("problem", None)]),
        (units_facts(units=None, renewers=Renewers(), has_systemd=False), [("problem", None)]),
        (units_facts(units=None, renewers=Renewers()), [("note", None)]),
        (units_facts(service={**REFRESH, "Result": "exit-code", "ExecMainStatus": "75"}),
         [("ok", None)] * 2 + [("note", "systemctl start hh-token-refresh.service")]),
        (units_facts(service={**REFRESH, "Result": "exit-code", "ExecMainStatus": "217"}),
         [("ok", None)] * 2 + [("problem", "systemctl status --no-pager hh-token-refresh.service")]),
        (units_facts(service={**REFRESH, "FragmentPath": doctor.renewal.PREDECESSOR}),
         [("ok", None)] * 2 + [("note", None)]),
    ],
)  # fmt: skip
def test_what_renews_the_pair_is_looked_at(facts, expected):
    pair = REPORTS["fresh"][0]
    assert brief(doctor.renewal.judge(facts, pair, SETTINGS)) == expected


def test_a_pair_that_nothing_renews_is_a_problem_and_one_that_cannot_be_renewed_is_not():
    facts = units_facts(**NO_UNITS, renewers=Renewers(unfit=("crontab -l", "why not")))
    [finding] = doctor.renewal.judge(facts, REPORTS["fresh"][0], SETTINGS)
    assert finding.exit_code == 78 and "crontab -l is meant to, but why not" in finding.says
    assert "'crontab -e' and add the line: * * * * * " in finding.advice
    for name in ("no pair", "dead", "no refresh token", "damaged"):
        assert kinds(doctor.renewal.judge(facts, REPORTS[name][0], SETTINGS)) == ["note"]
    assert kinds(doctor.renewal.judge(facts, errors.StorageError("x"), SETTINGS)) == ["note"]
