"""Unique canaries for every secret, looked for everywhere that a secret must not be."""

import json
import subprocess

import pytest
from conftest import PROGRAM, Operator
from rough_provider import answering, http

ACCESS, REFRESH = "CANARY-ACCESS", "CANARY-REFRESH"
PAIR = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 60, "token_type": "bearer"}


def operator_with(tmp_path, url):
    return Operator(
        tmp_path / "state",
        {
            "HH_CLIENT_ID": "client",
            "HH_CLIENT_SECRET": "CANARY-SECRET",
            "HH_REDIRECT_URI": "http://127.0.0.1:8000/callback",
            "HH_TOKEN_URL": url,
        },
    )


ANSWERS = {
    "good": http(json.dumps(PAIR)),
    "cut": http(json.dumps(PAIR)[:-9], length=999),
    "html": http(f"<html>{REFRESH}</html>"),
    "redirect": http("", "302 Found", [f"Location: http://127.0.0.1:9/{REFRESH}"]),
    "nothing": b"",
}


def echo(provider, connection):
    """Answer with an error that repeats all that was sent."""
    _head, form = provider.requests[-1]
    sent = " ".join(value for values in form.values() for value in values)
    body = json.dumps({"error": "invalid_grant", "error_description": sent})
    connection.sendall(http(body, "400 Bad Request", [f"X-Request-Id: {sent}"]))


def pending(operator):
    """Return state and verifier of the authorization that is under way."""
    entry = json.loads((operator.state / "pending.json").read_text())["authorizations"][0]
    return entry["state"], entry["verifier"]


@pytest.mark.parametrize("name", [*ANSWERS, "echo"])
def test_no_secret_is_printed_or_lies_about(tmp_path, name):
    answer = ANSWERS.get(name) or (lambda connection: echo(provider, connection) if name == "echo" else None)
    with answering(answer) as provider:
        operator = operator_with(tmp_path, provider.url)
        operator.store({"access_token": ACCESS, "refresh_token": REFRESH})
        address = operator.run("authorize-url")
        said = [address.stderr]
        state, verifier = pending(operator)
        assert verifier not in address.stdout
        back = f"http://x/?code=CANARY-CODE&state={state}"
        for words in ("refresh", "show", "show --json", "exec -- true", "status", "status --json",
                      "status --prometheus", "exchange", "exchange"):  # fmt: skip
            run = operator.run(*words.split(), input=back, expect=(0, 65, 69, 75, 77))
            said += [run.stdout, run.stderr]
    said.append((operator.state / "last-refresh.json").read_text())
    for secret in (ACCESS, REFRESH, "CANARY-CODE", "CANARY-SECRET", state, verifier):
        assert secret not in "\n".join(said), secret
    for path in operator.state.iterdir():
        assert path.stat().st_mode & 0o077 == 0


USER = {"id": "1", "first_name": "CANARY-NAME", "last_name": f"{ACCESS}{REFRESH}", "is_applicant": True}
API_ANSWERS = {
    "good": http(json.dumps(USER)),
    "html": http(f"<html>{ACCESS}</html>", "403 Forbidden"),
    "redirect": http("", "302 Found", [f"Location: http://127.0.0.1:9/{ACCESS}"]),
    "echo": http(
        json.dumps({"errors": [{"type": f"{ACCESS} odd", "value": REFRESH}]}),
        "403 Forbidden",
        [f"X-Request-Id: {ACCESS}"],
    ),
    "revoked": http(
        json.dumps({"errors": [{"type": "oauth", "value": "token_revoked"}]}), "403", [f"X-Request-Id: {REFRESH}"]
    ),
    "nothing": b"",
}


@pytest.mark.parametrize("name", API_ANSWERS)
def test_what_the_api_answers_betrays_nothing(tmp_path, name, monkeypatch):
    from hhtoken.console import reporting
    from hhtoken.main import main

    logged = []
    monkeypatch.setattr(reporting, "event", lambda line, _priority=0: logged.append(str(line)))
    with answering(API_ANSWERS[name]) as provider:
        operator = operator_with(tmp_path, provider.url)
        operator.environment["HH_API_URL"] = provider.url.replace("/oauth/token", "")
        operator.store({"access_token": ACCESS, "refresh_token": REFRESH}, left=60)
        codes = (0, 65, 69, 75, 77, 78)
        said = [operator.run("whoami", expect=codes), operator.run("whoami", "--json", "--email", expect=codes)]
        said.append(operator.run("revoke", "--yes", expect=codes))
        operator.store({"access_token": ACCESS, "refresh_token": REFRESH}, left=60)
        for key, value in operator.environment.items():
            monkeypatch.setenv(key, value)
        main(["whoami"])
        main(["revoke", "--yes"])
    for secret in (ACCESS, REFRESH, "CANARY-SECRET"):
        assert secret not in "".join(run.stdout + run.stderr for run in said) + "".join(logged), secret
    assert "CANARY-NAME" not in "".join(run.stderr for run in said) + "".join(logged)
    if name == "good":
        assert "CANARY-NAME" in said[0].stdout and logged


def test_a_paste_into_login_is_not_repeated(tmp_path):
    with answering(lambda connection: echo(provider, connection)) as provider:
        operator = operator_with(tmp_path, provider.url)
        operator.environment["HH_REDIRECT_URI"] = "http://127.0.0.1/callback"
        started = subprocess.Popen(
            [*PROGRAM, "login", "--listen", "127.0.0.1:0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=operator.environment,
        )
        started.stdout.readline()  # the address: what waits is stored
        state, verifier = pending(operator)
        pasted = f"http://x/?code=CANARY-CODE&state=CANARY-STATE\nhttp://x/?code=CANARY-CODE&state={state}\n"
        stdout, stderr = started.communicate(pasted, timeout=30)
    assert started.returncode == 77 and len(provider.requests) == 1
    for secret in ("CANARY-CODE", "CANARY-STATE", "CANARY-SECRET", state, verifier):
        assert secret not in stdout + stderr, secret


def test_a_defect_shows_its_type_and_place_and_no_text(tmp_path):
    root = PROGRAM[-1].replace("/bin/hhtoken", "")
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from hhtoken.settings import settings; from hhtoken import main\n"
        "def broken(arguments): raise KeyError('CANARY')\n"
        "settings.load_settings = broken\n"
        "sys.exit(main.main())\n"
    )
    finished = subprocess.run(
        [PROGRAM[0], "-I", "-c", program, root, "refresh"], capture_output=True, text=True, env={}, timeout=20
    )
    assert finished.returncode == 1
    assert "KeyError" in finished.stderr and "in broken" in finished.stderr
    assert "CANARY" not in finished.stderr and finished.stdout == ""


def test_records_do_not_show_their_secrets_when_printed():
    from hhtoken.pair import pair_from_answer
    from hhtoken.provider.answer import Answer

    shown = repr([pair_from_answer(PAIR, 0), Answer(200, b"CANARY", True)])
    assert "CANARY" not in shown
