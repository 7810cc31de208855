"""Settings as operators write them: env files with quotes and CRLF, placeholders, secrets in the wrong place."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM
from rough_provider import answering, http

from hhtoken import errors
from hhtoken.settings import sources
from hhtoken.settings.settings import Settings

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
    assert "/from-env " in lonely.run("show", expect=77, HHTOKEN_STATE_DIR="/from-env", **here).stderr
    for arguments in (("--state-dir", "/from-flag", "show"), ("show", "--state-dir", "/from-flag")):
        assert "/from-flag " in lonely.run(*arguments, expect=77, HHTOKEN_STATE_DIR="/from-env", **here).stderr
    del here["HHTOKEN_ENV_FILE"]
    assert "/from-systemd " in lonely.run("show", expect=77, STATE_DIRECTORY="/from-systemd:/b", **here).stderr
    default = "/var/lib/hh-token" if os.geteuid() == 0 else f"{tmp_path}/hh-token"
    run = lonely.run("status", "--json", expect=(0, 65, 69, 75, 77, 78), **here)
    assert f'"state_directory": "{default}"' in run.stdout


@pytest.mark.parametrize("missing", ["HH_CLIENT_ID", "HH_REDIRECT_URI"])
@pytest.mark.parametrize("command", ["authorize-url", "serve-callback"])
def test_a_missing_setting_is_78_and_named(lonely, tmp_path, command, missing):
    run = lonely.run(command, "--env-file", env_file(tmp_path, lines(**{missing: None})), expect=78, input="x")
    assert f"{missing} is not set" in run.stderr
    assert lonely.files() == []


@pytest.mark.parametrize("command", ["serve-callback", "exchange"])
def test_a_missing_secret_is_said_before_anything_happens(lonely, tmp_path, command):
    file = env_file(tmp_path, lines(HH_CLIENT_SECRET=None))
    assert "HH_CLIENT_SECRET is not set" in lonely.run(command, "--env-file", file, expect=78, input="x").stderr


@pytest.mark.parametrize(
    "name, value",
    [
        ("HH_CLIENT_ID", "your_client_id_here"),
        ("HH_CLIENT_ID", "YOUR_ID"),
        ("HH_CLIENT_ID", "<client id>"),
        ("HH_CLIENT_SECRET", "your_client_secret_here"),
        ("HH_CLIENT_SECRET", "changeme"),
        ("HH_REDIRECT_URI", "https://your-domain.keenetic.pro/callback"),
    ],
)
def test_a_placeholder_is_78_with_its_line(lonely, tmp_path, name, value):
    file = env_file(tmp_path, lines(**{name: value}))
    run = lonely.run("serve-callback", "--env-file", file, expect=78)
    line = list(GOOD).index(name) + 1
    assert f"{name} ({file}:{line}) still holds a placeholder" in run.stderr


@pytest.mark.parametrize(
    "name, value",
    [
        ("HH_TOKEN_URL", "http://hh.ru/oauth/token"),
        ("HH_AUTHORIZE_URL", "http://hh.ru/oauth/authorize"),
        ("HH_REDIRECT_URI", "http://hh.example.org/callback"),
        ("HH_REDIRECT_URI", "hh.example.org/callback"),
        ("HH_REDIRECT_URI", "ftp://hh.example.org/callback"),
        ("HH_REDIRECT_URI", "https://user:pass@hh.example.org/callback"),
        ("HH_REDIRECT_URI", "https://hh.example.org/callback#top"),
        ("HH_REDIRECT_URI", "https:///callback"),
        ("HH_REDIRECT_URI", "https://hh.example.org:port/callback"),
        ("HH_REDIRECT_URI", "https://hh.example.org/call back"),
        ("HH_USER_AGENT", "Бот/1.0"),
        ("HHTOKEN_DEADLINE", "soon"),
    ],
)
def test_an_unsafe_or_malformed_setting_is_78(lonely, name, value):
    if name == "HH_AUTHORIZE_URL":
        run = lonely.run("authorize-url", expect=78, **{**GOOD, name: value})
    else:
        run = lonely.run("serve-callback", expect=78, **{**GOOD, "HH_TOKEN_URL": None, name: value})
    assert name in run.stderr and "user:" not in run.stderr


@pytest.mark.parametrize(
    "text, line",
    [("A=1\nno equals sign SECRET-CANARY\n", 2), ("A='no end SECRET-CANARY\n", 1), ("1A=2\n", 1), ("=x\n", 1)],
)
def test_a_malformed_line_is_78_with_its_number_and_without_its_text(lonely, tmp_path, text, line):
    file = env_file(tmp_path, text)
    run = lonely.run("authorize-url", "--env-file", file, expect=78)
    assert f"{file}:{line} " in run.stderr and "CANARY" not in run.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"A" * 70000])
def test_a_file_that_is_no_settings_file_is_78(lonely, tmp_path, content):
    lonely.run("authorize-url", "--env-file", env_file(tmp_path, content), expect=78)


def test_an_env_file_that_was_named_must_be_there(lonely, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        lonely.run("show", "--env-file", path, expect=78)
        lonely.run("show", expect=78, HHTOKEN_ENV_FILE=path)


def test_a_secret_that_everybody_can_read_is_refused_with_the_command(lonely, tmp_path):
    file = env_file(tmp_path, lines(), mode=0o644)
    run = lonely.run("serve-callback", "--env-file", file, expect=78)
    assert f"chmod o= {file}" in run.stderr and "CANARY" not in run.stderr
    lonely.run("authorize-url", "--env-file", file)


def test_the_secret_is_found_in_each_of_its_places(operator, tmp_path, sandbox):
    from conftest import come_back

    secret = operator.environment.pop("HH_CLIENT_SECRET")
    file = tmp_path / "secret"
    file.write_text(secret + "\n")
    file.chmod(0o600)
    with_mark = tmp_path / "with-a-byte-order-mark"
    with_mark.write_bytes(b"\xef\xbb\xbf" + secret.encode() + b"\r\n")
    with_mark.chmod(0o600)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "hh_client_secret").write_text(secret)
    (credentials / "hh_client_secret").chmod(0o400)
    env = env_file(tmp_path, f"HH_CLIENT_SECRET={secret}\n")
    for place in (
        {"HH_CLIENT_SECRET": secret},
        {"HH_CLIENT_SECRET_FILE": file},
        {"HH_CLIENT_SECRET_FILE": with_mark},
        {"CREDENTIALS_DIRECTORY": credentials},
        {"HHTOKEN_ENV_FILE": env},
    ):
        operator.run("exchange", input=come_back(operator), **place)
    run = operator.run("exchange", input=come_back(operator), expect=78, HH_CLIENT_SECRET_FILE=tmp_path / "none")
    assert f"cannot read {tmp_path}/none, which HH_CLIENT_SECRET_FILE names: no such file" in run.stderr
    file.chmod(0o644)
    operator.run("exchange", input=come_back(operator), expect=78, HH_CLIENT_SECRET_FILE=file)


def test_a_secret_of_two_lines_is_looked_for_in_its_file(lonely, tmp_path):
    file = tmp_path / "secret"
    file.write_text("CANARY-one\nCANARY-two\n")
    file.chmod(0o600)
    settings = {"HH_CLIENT_ID": "id", "HH_REDIRECT_URI": "https://example.org/callback", "HH_CLIENT_SECRET_FILE": file}
    run = lonely.run("serve-callback", "--timeout", "1", expect=78, **settings)
    assert "the file that HH_CLIENT_SECRET_FILE names has control characters in it" in run.stderr
    assert "CANARY" not in run.stderr


def test_a_user_agent_that_nobody_filled_in_is_told_its_form(lonely):
    lonely.store({"access_token": "A", "refresh_token": "R"})
    run = lonely.run("refresh", expect=78, HH_USER_AGENT="your-app/1")
    assert "HH_USER_AGENT (environment) still holds a placeholder" in run.stderr and "App/1.0 (" in run.stderr


def test_an_env_file_with_an_empty_name_is_none(lonely):
    assert "--env-file takes a file" in lonely.run("status", "--env-file", "", expect=2).stderr


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
    from hhtoken.provider.endpoints import TokenEndpoint
    from hhtoken.settings.settings import Settings
    from hhtoken.store import journal
    from hhtoken.store.private_directory import open_directory

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


@pytest.mark.parametrize(
    "page", [http("<html>", "403 Forbidden"), http("<html>"), http("", "500 Oops"), http("{}"), http("no", "502 Bad")]
)
def test_after_a_page_the_next_attempt_asks_the_other_address_first(operator, sandbox, expired, page):
    from hhtoken.provider.endpoints import TokenEndpoint
    from hhtoken.renewal import exchange
    from hhtoken.store.token_store import open_store

    store, there = open_store(str(operator.state)), operator.environment["HH_TOKEN_URL"]
    with answering(page) as guarded:
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


def test_the_token_endpoints_own_refusal_changes_no_order(operator, expired):
    from hhtoken.provider.endpoints import TokenEndpoint
    from hhtoken.renewal import exchange
    from hhtoken.store.token_store import open_store

    refusals = [http('{"error": "invalid_grant"}', "400 Bad"), http('{"errors": [{"type": "oauth"}]}', "403 No"), b""]
    for refusal in refusals:
        with answering(refusal) as provider:
            endpoint = TokenEndpoint([provider.url, "http://127.0.0.1:9/"], "a/1 (b)", 10)
            assert exchange.renew(open_store(str(operator.state)), endpoint, force=True).ask_first == provider.url


def test_a_command_in_a_hint_has_the_settings_of_the_command_line(lonely, tmp_path):
    file, state = env_file(tmp_path, lines()), f"{tmp_path}/a state"
    typed = f"(hhtoken --state-dir {tmp_path}/a\\ state --env-file {file} login)"  # a shell takes it as it stands
    for flags in (("status",), ("--account", "alice", "status", "--json"), ("show",), ("doctor",)):
        finished = lonely.run("--state-dir", state, "--env-file", file, *flags, expect=(77, 78))
        wanted = typed.replace("hhtoken ", "hhtoken --account alice ") if "alice" in flags else typed
        said = finished.stdout.replace("\\\\", "\\") + finished.stderr  # JSON has its own escapes
        assert wanted in said, flags
    assert "'hhtoken login'" in lonely.run("show", expect=77, HHTOKEN_STATE_DIR=state).stderr


def test_who_is_not_root_is_told_to_write_a_file_of_their_own(monkeypatch, tmp_path):
    from hhtoken.settings import settings as settings_module

    monkeypatch.setattr(sources, "DEFAULT_ENV_FILE", str(tmp_path / "hh-token.env"))
    monkeypatch.setenv("HOME", "/home/me")
    for user, wanted in ((1000, "/home/me/.config/hh-token/hh-token.env"), (0, f"{tmp_path}/hh-token.env")):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        with pytest.raises(errors.ConfigError) as caught:
            settings_module.Settings({}).client_id()
        assert f"put it into {wanted} " in caught.value.hint


def test_who_is_not_root_has_an_env_file_of_their_own_that_needs_no_name(monkeypatch, tmp_path):
    service, own = tmp_path / "etc" / "hh-token.env", tmp_path / "config" / "hh-token" / "hh-token.env"
    monkeypatch.setattr(sources, "DEFAULT_ENV_FILE", str(service))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def client_id(**environment):
        return Settings(environment).client_id()

    for path in (service, own, tmp_path / ".config" / "hh-token" / "hh-token.env"):
        path.parent.mkdir(parents=True)
        path.write_text(f"HH_CLIENT_ID={path}\n")
    assert client_id(XDG_CONFIG_HOME=f"{tmp_path}/config") == str(own)
    assert client_id(XDG_CONFIG_HOME="config") == client_id() == f"{tmp_path}/.config/hh-token/hh-token.env"
    assert client_id(XDG_CONFIG_HOME="/nonexistent") == str(service), "so the service account reads it"
    assert client_id(XDG_CONFIG_HOME=f"{tmp_path}/config", HHTOKEN_ENV_FILE=str(service)) == str(service)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert client_id(XDG_CONFIG_HOME=f"{tmp_path}/config") == str(service)


PATHS = ("HHTOKEN_STATE_DIR", "STATE_DIRECTORY", "HHTOKEN_ENV_FILE", "HHTOKEN_PUBLISH", "HH_CA_FILE",
         "HH_CLIENT_SECRET_FILE", "HHTOKEN_STORE_KEY_FILE", "HHTOKEN_STORE_CA_FILE")  # fmt: skip
ASK = {
    "HHTOKEN_PUBLISH": Settings.published_file,
    "HH_CA_FILE": Settings.authorities,
    "HH_CLIENT_SECRET_FILE": Settings.client_secret,
    "HHTOKEN_STORE_KEY_FILE": lambda it: it.optional("HHTOKEN_STORE_KEY_FILE"),
    "HHTOKEN_STORE_CA_FILE": lambda it: it.optional("HHTOKEN_STORE_CA_FILE"),
}


@pytest.mark.parametrize("path", ["state", "./state", "../state", "~", "~root/state", "$HOME/state"])
@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_depends_on_the_working_directory_is_78(tmp_path, name, path):
    with pytest.raises(errors.ConfigError, match=f"{name} .environment. is not (an|the) absolute path"):
        ASK.get(name, Settings.main_directory)(Settings({name: path}))
    if name not in ("STATE_DIRECTORY", "HHTOKEN_ENV_FILE"):
        file = env_file(tmp_path, f"\n{name}={path}\n")
        with pytest.raises(errors.ConfigError, match=f"{name} .{file}:2. is not (an|the) absolute path"):
            ASK.get(name, Settings.main_directory)(Settings({}, str(file)))


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
    assert "another hhtoken (login, serve-callback)" in hint and f"ss -ltnp sport = :{port}" in hint
    assert ("--listen" in hint) is ("nginx" in hint) is is_for_nginx


@pytest.mark.parametrize("command", [("status",), ("status", "--all"), ("doctor",), ("notice",)])
def test_results_for_people_print_no_control_characters_of_a_path(lonely, tmp_path, command):
    finished = lonely.run("--state-dir", f"{tmp_path}/a\nb\x1b[31m", *command, expect=(0, 69, 77, 78))
    assert "\x1b" not in finished.stdout and "\nb" not in finished.stdout
    assert command[-1] in ("--all", "notice") or "a?b?[31m" in finished.stdout


@pytest.mark.parametrize(
    "name, command",
    [
        ("HH_CLIENT_ID", "authorize-url"),
        ("HH_CLIENT_ID", "login"),
        ("HH_CLIENT_SECRET", "app-token"),
        ("HH_REDIRECT_URI", "authorize-url"),
        ("HH_CLIENT_ID", "doctor"),
    ],
)
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
