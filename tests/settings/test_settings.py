"""Settings as operators write them: env files with quotes and CRLF, placeholders, secrets in the wrong place."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM, come_back
from rough_provider import answering, http

from hhtoken import errors
from hhtoken.provider.endpoints import TokenEndpoint
from hhtoken.renewal import exchange
from hhtoken.settings import sources
from hhtoken.settings.settings import Settings
from hhtoken.store import journal
from hhtoken.store.private_directory import open_directory
from hhtoken.store.token_store import open_store

GOOD = {
    "HH_CLIENT_ID": "CLIENT",
    "HH_CLIENT_SECRET": "SECRET-CANARY",
    "HH_REDIRECT_URI": "https://hh.example.org/callback",
}


def env_file(tmp_path, text, mode=0o600):
    path = tmp_path / "hh.env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def lines(**changes):
    return "".join(f"{name}={value}\n" for name, value in {**GOOD, **changes}.items() if value is not None)


@pytest.mark.parametrize(
    "text",
    [
        lines(),
        lines().replace("\n", "\r\n"),
        "\ufeff" + lines(),
        lines().replace("=", '="').replace("\n", '"\n'),
        lines().replace("=", "='").replace("\n", "'\n"),
        "# comment\n\n; comment\n" + lines().replace("HH_", "export HH_"),
        lines().replace("\n", "   # comment\n"),
        "BOT_KEY='several\nlines'\n" + lines(),
        "HH_CLIENT_ID=overruled\n" + lines(),
    ],
)
def test_an_env_file_is_read_as_systemd_and_a_shell_read_it(lonely, tmp_path, text):
    address = lonely.run("authorize-url", "--env-file", env_file(tmp_path, text)).stdout
    assert "client_id=CLIENT&" in address
    assert "redirect_uri=https%3A%2F%2Fhh.example.org%2Fcallback&" in address


def test_flag_beats_environment_beats_env_file_beats_default(lonely, tmp_path):
    file = env_file(tmp_path, lines() + f"HHTOKEN_STATE_DIR={tmp_path}/from-file\n")
    del lonely.environment["HHTOKEN_STATE_DIR"]
    here = {"HOME": tmp_path, "XDG_STATE_HOME": tmp_path}
    assert f"{tmp_path}/from-file" in lonely.run("show", "--env-file", file, expect=77, **here).stderr
    here["HHTOKEN_ENV_FILE"] = file
    assert f"{tmp_path}/from-file" in lonely.run("show", expect=77, **here).stderr
    assert "/from-env\n" in lonely.run("show", expect=77, HHTOKEN_STATE_DIR="/from-env", **here).stderr
    for arguments in (("--state-dir", "/from-flag", "show"), ("show", "--state-dir", "/from-flag")):
        assert "/from-flag\n" in lonely.run(*arguments, expect=77, HHTOKEN_STATE_DIR="/from-env", **here).stderr
    del here["HHTOKEN_ENV_FILE"]
    assert "/from-systemd\n" in lonely.run("show", expect=77, STATE_DIRECTORY="/from-systemd:/b", **here).stderr
    default = "/var/lib/hh-token" if os.geteuid() == 0 else f"{tmp_path}/hh-token"
    run = lonely.run("status", "--json", expect=(0, 65, 69, 75, 77, 78), **here)
    assert f'"state_directory": "{default}"' in run.stdout


@pytest.mark.parametrize("command, missing", [
    ("authorize-url", "HH_CLIENT_ID"), ("authorize-url", "HH_REDIRECT_URI"), ("serve-callback", "HH_REDIRECT_URI"),
    ("serve-callback", "HH_CLIENT_SECRET"), ("exchange", "HH_CLIENT_SECRET"),
])  # fmt: skip
def test_a_missing_setting_is_78_and_named_before_anything_happens(lonely, tmp_path, command, missing):
    run = lonely.run(command, "--env-file", env_file(tmp_path, lines(**{missing: None})), expect=78, input="x")
    assert f"not configured: {missing}" in run.stderr
    assert lonely.files() == []


ASK = {
    "HH_CLIENT_ID": Settings.client_id,
    "HH_CLIENT_SECRET": Settings.client_secret,
    "HH_CLIENT_SECRET_FILE": Settings.client_secret,
    "HH_REDIRECT_URI": Settings.redirect_uri,
    "HH_AUTHORIZE_URL": Settings.authorize_url,
    "HH_TOKEN_URL": Settings.token_urls,
    "HH_USER_AGENT": Settings.user_agent,
    "HHTOKEN_DEADLINE": Settings.deadline_seconds,
    "HHTOKEN_PUBLISH": Settings.published_file,
    "HH_CA_FILE": Settings.route,
    "HH_PROXY": Settings.route,
    "HHTOKEN_STORE_KEY_FILE": lambda settings: settings.secret_in_file("HHTOKEN_STORE_KEY_FILE", "key"),
    "HHTOKEN_STORE_CA_FILE": lambda settings: settings.optional("HHTOKEN_STORE_CA_FILE"),
    "HHTOKEN_STATE_DIR": Settings.main_directory,
}
PLACEHOLDER, CLIPPED, RELATIVE = "still holds a placeholder", "has control characters in it", "is not an absolute path"
WRONG = [
    ("HH_CLIENT_ID", "your_client_id_here", PLACEHOLDER),
    ("HH_CLIENT_ID", "<client id>", PLACEHOLDER),
    ("HH_CLIENT_ID", "CANARY\x01", CLIPPED),
    ("HH_CLIENT_SECRET", "changeme", PLACEHOLDER),
    ("HH_REDIRECT_URI", "https://your-domain.keenetic.pro/callback", PLACEHOLDER),
    ("HH_REDIRECT_URI", "https://user:CANARY@hh.example.org/callback", "has a user name or password in it"),
    ("HH_REDIRECT_URI", "http://hh.example.org/callback", "must be https, since it carries a secret"),
    ("HH_REDIRECT_URI", "https://бот.рф/callback",
     "has an international domain: write it in punycode, as xn--90a0am.xn--p1ai"),
    ("HH_AUTHORIZE_URL", "http://hh.ru/oauth/authorize", "must be https, since it carries a secret"),
    ("HH_TOKEN_URL", "http://hh.ru/oauth/token", "must be https, since it carries a secret"),
    ("HH_USER_AGENT", "Бот/1.0", "has characters that no header may have"),
    ("HH_USER_AGENT", "your-app/1", PLACEHOLDER),
    ("HHTOKEN_DEADLINE", "soon", "is no number of seconds from 1 to 180"),
    ("HHTOKEN_DEADLINE", "181", "is no number of seconds from 1 to 180"),
    ("HHTOKEN_PUBLISH", "state", "is not the absolute path of a file"),
    ("HHTOKEN_PUBLISH", "/state/", "is not the absolute path of a file"),
    ("HHTOKEN_STATE_DIR", "./state", RELATIVE),
    ("HHTOKEN_STATE_DIR", "~", RELATIVE),
    ("HHTOKEN_STATE_DIR", "~root/state", RELATIVE),
    ("HH_CA_FILE", "ca.pem", RELATIVE),
    ("HH_CLIENT_SECRET_FILE", "../secret", RELATIVE),
    ("HHTOKEN_STORE_KEY_FILE", "$HOME/key", RELATIVE),
    ("HHTOKEN_STORE_CA_FILE", "ca.pem", RELATIVE),
    *(("HH_PROXY", address, "is not the address of an http proxy") for address in (
        "proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://", "http://:3128", "http://proxy:port",
        "http:proxy", "http://proxy:3128/path", "http://proxy:3128?x", "http://CANARY:a/b@proxy:1",
        "http://u:CANARY#@proxy:1", "http://u:п@proxy:1", "http://pro xy:3128", "http://proxy:99999")),
]  # fmt: skip


@pytest.mark.parametrize("name, value, problem", WRONG)
def test_what_is_wrong_with_a_setting_is_said_with_its_place(tmp_path, name, value, problem):
    file = env_file(tmp_path, f"\n{name}={value}\n")
    for settings, place in ((Settings({name: value}), "environment"), (Settings({}, str(file)), f"{file}:2")):
        with pytest.raises(errors.ConfigError) as caught:
            ASK[name](settings)
        assert caught.value.message == f"{name} ({place}) {problem}" and caught.value.hint
        assert "CANARY" not in caught.value.hint


@pytest.mark.parametrize("name", ["STATE_DIRECTORY", "HHTOKEN_ENV_FILE"])
def test_nor_may_a_path_depend_on_the_working_directory_where_no_file_names_it(name):
    with pytest.raises(errors.ConfigError, match=f"{name} .environment. {RELATIVE}"):
        Settings({name: "state"}).main_directory()


@pytest.mark.parametrize("text, place", [("A=1\nno equals sign CANARY\n", ":2 "), ("A='no end CANARY\n", ":1 "),
                                         (b"\xff\xfe\x00", ""), (b"A" * 70000, "")])  # fmt: skip
def test_a_malformed_file_is_78_with_the_line_and_without_its_text(lonely, tmp_path, text, place):
    file = env_file(tmp_path, text)
    run = lonely.run("authorize-url", "--env-file", file, expect=78)
    assert f"{file}{place}" in run.stderr and "CANARY" not in run.stderr


def test_an_env_file_that_was_named_must_be_there(lonely, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        lonely.run("show", "--env-file", path, expect=78)
        lonely.run("show", expect=78, HHTOKEN_ENV_FILE=path)
    assert "--env-file takes a file" in lonely.run("status", "--env-file", "", expect=2).stderr


def test_a_secret_that_everybody_can_read_is_refused_with_the_command(lonely, tmp_path):
    file = env_file(tmp_path, lines(), mode=0o644)
    run = lonely.run("serve-callback", "--env-file", file, expect=78)
    assert f"chmod o= {file}" in run.stderr and "CANARY" not in run.stderr
    lonely.run("authorize-url", "--env-file", file)


def test_the_secret_is_found_in_each_of_its_places(operator, tmp_path, sandbox):
    secret = operator.environment.pop("HH_CLIENT_SECRET")
    file, with_mark = tmp_path / "secret", tmp_path / "with-a-byte-order-mark"
    credential = tmp_path / "credentials" / "hh_client_secret"
    credential.parent.mkdir()
    for path, content in ((file, secret + "\n"), (with_mark, f"\ufeff{secret}\r\n"), (credential, secret)):
        path.write_text(content)
        path.chmod(0o600)
    env = env_file(tmp_path, f"HH_CLIENT_SECRET={secret}\n")
    for place in (
        {"HH_CLIENT_SECRET": secret},
        {"HH_CLIENT_SECRET_FILE": file},
        {"HH_CLIENT_SECRET_FILE": with_mark},
        {"CREDENTIALS_DIRECTORY": credential.parent},
        {"HHTOKEN_ENV_FILE": env},
    ):
        operator.run("exchange", input=come_back(operator), **place)
    run = operator.run("exchange", input=come_back(operator), expect=78, HH_CLIENT_SECRET_FILE=tmp_path / "none")
    assert f"cannot read {tmp_path}/none, which HH_CLIENT_SECRET_FILE names: no such file" in run.stderr
    file.chmod(0o644)
    operator.run("exchange", input=come_back(operator), expect=78, HH_CLIENT_SECRET_FILE=file)


@pytest.mark.parametrize("content, problem", [("CANARY-one\nCANARY-two\n", "has control characters in it"),
                                              ("\n", "holds no secret"), (b"\xff", "holds no secret")])  # fmt: skip
def test_a_secret_that_is_none_is_looked_for_in_its_file(tmp_path, content, problem):
    file = env_file(tmp_path, content)
    with pytest.raises(errors.ConfigError) as caught:
        Settings({"HH_CLIENT_SECRET_FILE": str(file)}).client_secret()
    assert caught.value.message == f"the file that HH_CLIENT_SECRET_FILE names {problem}"


@pytest.mark.parametrize("command", ["refresh", "show", "status"])
def test_renewing_and_reading_need_neither_id_nor_secret(lonely, command):
    lonely.store({"access_token": "A", "refresh_token": "R"}, left=1000, life=1000)
    lonely.run(command)


def test_a_secret_is_never_taken_from_the_command_line_nor_repeated(lonely):
    for arguments in (
        ["authorize-url", "--client-secret", "CANARY"],
        ["exchange", "CANARY"],
        ["exchange", "--code=CANARY"],
        ["CANARY"],
        ["show", "--field", "access_token", "--min-seconds", "CANARY"],
        ["authorize-url", "--role", "CANARY"],
        ["serve-callback", "--timeout", "CANARY"],
        ["show", "--json=CANARY"],
    ):
        run = lonely.run(*arguments, expect=2)
        assert "CANARY" not in run.stderr + run.stdout, arguments
    run = lonely.run("serve-callback", "--listen", "CANARY", expect=2, **GOOD)
    assert "CANARY" not in run.stderr


def test_the_default_token_address_gives_way_to_its_successor_where_it_is_gone(tmp_path, requests_mock):
    newer = requests_mock.post("https://api.hh.ru/token", text='{"access_token": "A"}')
    directory = open_directory(str(tmp_path / "state"), create=True)
    gone = (404, 405, 410, 300, 301, 302, 303, 307, 308)
    for status, expected in (*zip(gone, range(1, 10)), (400, 9), (200, 9), (403, 9), (503, 9)):
        requests_mock.post("https://hh.ru/oauth/token", status_code=status, text="gone and long " * 9)
        written = journal.begin(directory, "journal", {})
        addresses = Settings({"HHTOKEN_ENV_FILE": ""}).token_urls()
        answer = TokenEndpoint(addresses, "a/1 (b)", 5).post({"grant_type": "refresh_token"}, written)
        written.close()
        assert newer.call_count == expected, status
        _intent, kept = journal.read(directory, "journal")
        assert kept.body == answer.body and kept.status == answer.status
    configured = Settings({"HH_TOKEN_URL": "https://hh.ru/oauth/token"}).token_urls()
    assert configured == ["https://hh.ru/oauth/token"], "a configured address is never second-guessed"


@pytest.mark.parametrize("answer, is_own", [
    (http("<html>", "403 Forbidden"), False), (http("<html>"), False), (http("", "500 Oops"), False),
    (http("{}"), False), (http('{"error": "x"}', "400 Bad"), True), (http('{"errors": []}', "403 No"), True),
    (http('{"access_token"', length=99), True), (b"", True),
])  # fmt: skip
def test_after_a_page_the_other_address_is_to_be_asked_first(answer, is_own):
    with answering(answer) as provider:
        endpoint = TokenEndpoint([provider.url, "http://127.0.0.1:9/"], "a/1 (b)", 10)
        asked = endpoint.post({"grant_type": "x"}, journal.NoJournal())
    assert asked.ask_first == (provider.url if is_own else "http://127.0.0.1:9/")


def test_which_address_is_to_be_asked_first_is_remembered(operator, sandbox, expired):
    store, there = open_store(str(operator.state)), operator.environment["HH_TOKEN_URL"]
    with answering(http("<html>", "403 Forbidden")) as guarded:
        endpoint = TokenEndpoint([guarded.url, there], "a/1 (b)", 10)
        assert exchange.renew(store, endpoint).ask_first == there
        for _ in range(2):  # and where it was right it is asked again
            assert exchange.renew(store, endpoint, force=True).outcome == "renewed"
            sandbox.provider.expire()
        assert len(guarded.requests) == 1
        sandbox.weather.add("html_503")
        assert exchange.renew(store, endpoint, force=True).ask_first == guarded.url
        assert exchange.renew(store, endpoint, force=True).ask_first == there
        assert len(guarded.requests) == 2


def test_a_command_in_a_hint_has_the_settings_of_the_command_line(lonely, tmp_path):
    file, state = env_file(tmp_path, lines()), f"{tmp_path}/a state"
    typed = f"(hhtoken --state-dir {tmp_path}/a\\ state --env-file {file} login)"  # a shell takes it as it stands
    for flags in (("status",), ("--account", "alice", "status", "--json"), ("show",), ("doctor",)):
        finished = lonely.run("--state-dir", state, "--env-file", file, *flags, expect=(77, 78))
        wanted = typed.replace("hhtoken ", "hhtoken --account alice ") if "alice" in flags else typed
        said = finished.stdout.replace("\\\\", "\\") + finished.stderr  # JSON has its own escapes
        assert wanted in said, flags
    assert "'hhtoken login'" in lonely.run("show", expect=77, HHTOKEN_STATE_DIR=state).stderr


def test_who_is_not_root_has_an_env_file_of_their_own_that_needs_no_name(monkeypatch, tmp_path):
    service, own = tmp_path / "etc" / "hh-token.env", tmp_path / "config" / "hh-token" / "hh-token.env"
    monkeypatch.setattr(sources, "DEFAULT_ENV_FILE", str(service))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() or 1000)

    def client_id(**environment):
        return Settings(environment).client_id()

    with pytest.raises(errors.ConfigError) as caught:
        client_id(XDG_CONFIG_HOME=f"{tmp_path}/config", HH_CLIENT_ID="\udcff")
    assert f"put it into {own} " in caught.value.hint
    for path in (service, own, tmp_path / ".config" / "hh-token" / "hh-token.env"):
        path.parent.mkdir(parents=True)
        path.write_text(f"HH_CLIENT_ID={path}\n")
    assert client_id(XDG_CONFIG_HOME=f"{tmp_path}/config") == str(own)
    assert client_id(XDG_CONFIG_HOME="config") == client_id() == f"{tmp_path}/.config/hh-token/hh-token.env"
    assert client_id(XDG_CONFIG_HOME="/nonexistent") == str(service), "so the service account reads it"
    assert client_id(XDG_CONFIG_HOME=f"{tmp_path}/config", HHTOKEN_ENV_FILE=str(service)) == str(service)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert client_id(XDG_CONFIG_HOME=f"{tmp_path}/config", SUDO_UID=str(os.getuid())) == str(service)


def test_a_home_directory_is_written_with_a_tilde(lonely, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings({"HHTOKEN_STATE_DIR": "~/state"}).main_directory() == f"{tmp_path}/state"
    assert Settings({}, None, "~/state").main_directory() == f"{tmp_path}/state"
    assert Settings({"HHTOKEN_PUBLISH": "~/token"}).published_file() == f"{tmp_path}/token"
    file = env_file(tmp_path, "HH_CLIENT_ID=mine\nHHTOKEN_STATE_DIR='~/a state'\n")
    assert Settings({"HHTOKEN_ENV_FILE": "~/hh.env"}).client_id() == Settings({}, "~/hh.env").client_id() == "mine"
    del lonely.environment["HHTOKEN_STATE_DIR"]
    for folder in (tmp_path, Path("/")):
        monkeypatch.chdir(folder)
        lonely.run("show", "--env-file", file, HOME=tmp_path, expect=77)
        assert f"{tmp_path}/a state" in lonely.run("status", "--env-file", file, HOME=tmp_path, expect=77).stdout


@pytest.mark.parametrize(
    "redirect_uri, is_for_nginx", [("http://127.0.0.1:{port}/callback", False), ("https://hh.example.org/c", True)]
)
def test_where_the_port_is_taken_another_is_proposed_only_behind_nginx(lonely, tmp_path, redirect_uri, is_for_nginx):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        file = env_file(tmp_path, lines(HH_REDIRECT_URI=redirect_uri.format(port=port)))
        typed = ("--listen", f"127.0.0.1:{port}") if is_for_nginx else ()
        hint = lonely.run("serve-callback", "--env-file", file, *typed, expect=78).stderr
    assert "another hhtoken" in hint and f"ss -ltnp sport = :{port}" in hint
    assert ("--listen" in hint) is ("nginx" in hint) is is_for_nginx


@pytest.mark.parametrize("command", [("status",), ("status", "--all"), ("doctor",), ("notice",)])
def test_results_for_people_print_no_control_characters_of_a_path(lonely, tmp_path, command):
    finished = lonely.run("--state-dir", f"{tmp_path}/a\nb\x1b[31m", *command, expect=(0, 69, 77, 78))
    assert "\x1b" not in finished.stdout and "\nb" not in finished.stdout
    assert command[-1] in ("--all", "notice") or "a?b?[31m" in finished.stdout


@pytest.mark.parametrize("name, command", [("HH_CLIENT_ID", "login"), ("HH_CLIENT_SECRET", "app-token"),
                                           ("HH_REDIRECT_URI", "doctor")])  # fmt: skip
def test_bytes_that_are_no_text_are_78_with_the_setting(operator, name, command):
    run = operator.run(command, expect=78, **{name: os.fsdecode(b"a\xff")})
    assert f"{name} (environment) is not UTF-8 text" in run.stdout + run.stderr


def test_a_hint_fits_what_is_wrong(lonely, tmp_path):
    def hint(*command, expect, **environment):
        return lonely.run(*command, expect=expect, **environment).stderr.partition("hint: ")[2]

    good = {**GOOD, "HHTOKEN_STATE_DIR": str(tmp_path)}
    assert "write it again" in hint("authorize-url", expect=78, **{**good, "HH_CLIENT_ID": "a\x01b"})
    assert "unset for https://api.hh.ru" in hint("whoami", expect=78, **{**good, "HH_API_URL": "ftp://x"})
    assert "shorter path" in hint("status", "--state-dir", f"/tmp/{'a' * 300}", expect=(74, 78))
    refused = lonely.run("app-token", expect=75, HH_TOKEN_URL="http://127.0.0.1:9/token", **GOOD).stderr
    assert "127.0.0.1 (connection refused)" in refused and "name server" not in refused
    for jobs in ("0", "00", "x"):
        lonely.run("refresh", "--all", "--jobs", jobs, expect=2)


def test_a_command_in_a_hint_calls_the_program_as_it_was_called_where_its_name_alone_would_not_do(lonely, tmp_path):
    checkout = Path(PROGRAM[-1]).parent.parent

    def said(program, path):
        run = subprocess.run(
            [program, "refresh"], cwd=checkout, env={**lonely.environment, "PATH": path}, capture_output=True, text=True
        )
        assert run.returncode == 77
        return run.stderr.splitlines()[1]

    system = "/usr/bin:/bin"
    assert "type 'bin/hhtoken login'" in said("bin/hhtoken", system)
    other, link, plain = tmp_path / "other", tmp_path / "a link", tmp_path / "link"
    for folder in (other, link, plain):
        folder.mkdir()
    (other / "hhtoken").write_text("")
    (link / "hhtoken").symlink_to(PROGRAM[-1])
    (plain / "hhtoken").symlink_to(PROGRAM[-1])
    assert f"type '{plain}/hhtoken login'" in said(str(plain / "hhtoken"), system)
    assert "type 'bin/hhtoken login'" in said("bin/hhtoken", f"{other}:{checkout}/bin"), "another program's name"
    assert f"type ({tmp_path}/a\\ link/hhtoken login)" in said(str(link / "hhtoken"), system)
    for path in (f"{link}:{system}", f"{system}:{checkout}/bin"):
        assert "type 'hhtoken login'" in said("bin/hhtoken", path)
