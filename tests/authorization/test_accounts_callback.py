"""One callback listener for all accounts: the state tells whose authorization comes back."""

import os
import socket
import time

import pytest
import requests
from conftest import AGENT, account, activate, authorize, program_with, token_requests, wait_for

from hhtoken.authorization import pages
from hhtoken.authorization.browser_return import ReturnHandler
from hhtoken.settings.settings import Settings
from hhtoken.store import account_names, accounts
from hhtoken.store.token_store import open_store


@pytest.mark.parametrize("name", [None, "alice", "ivan.petrov", "a..b", "-".join("abc")])
def test_a_state_tells_its_account(name):
    assert account_names.of_state(account_names.in_state(name, "secret-of_86")) == name


@pytest.mark.parametrize("state", ["", ".", "..x", "/etc.x", "../a.x", "-.x", ".a.x", "a b.x", "x", f"{'a' * 65}.x"])
def test_a_state_with_no_name_in_it_belongs_to_no_account(state):
    assert account_names.of_state(state) is None


def test_the_listener_of_all_stores_each_pair_with_its_account(operator, sandbox, listening):
    alice, bob = account(operator, "alice"), account(operator, "bob")
    back_of_alice, back_of_bob = authorize(alice), authorize(bob)
    assert back_of_alice["state"].startswith("alice.")
    for one, back in ((bob, back_of_bob), (alice, back_of_alice)):
        listener = listening()
        assert listener.get(**back).status_code == 200
        assert listener.end() == 0
        assert f"account {one.environment['HHTOKEN_ACCOUNT']}: authorized: stored a new pair" in listener.stderr.text
        one.run("show", "--field", "access_token")
    assert alice.stored()["access_token"] != bob.stored()["access_token"]
    assert "token.json" not in operator.files()
    listener = listening()
    assert listener.get(**back_of_alice).status_code == 400, "a state works once"
    assert listener.get(**authorize(operator)).status_code == 200
    assert listener.end() == 0 and "token.json" in operator.files()


def test_strangers_who_name_accounts_change_nothing_and_the_wait_goes_on(operator, sandbox, listening):
    alice = account(operator, "alice")
    back = authorize(alice)
    account(operator, "bob").run("authorize-url")
    listener = listening()
    secret = back["state"].partition(".")[2]
    for state in ("alice.x", "alice.", "carol.x", "../accounts/alice.x", f"bob.{secret}", secret, f"alice..{secret}"):
        assert listener.get(code=back["code"], state=state).status_code == 400
    assert token_requests(sandbox) == 0 and listener.is_alive
    assert sorted(path.name for path in (operator.state / "accounts").iterdir()) == ["alice", "bob"]
    assert listener.get(**back).status_code == 200
    assert listener.end() == 0


def test_the_listener_of_one_account_takes_no_other(operator, sandbox, listening):
    alice, bob = account(operator, "alice"), account(operator, "bob")
    back = authorize(bob)
    operator.environment["HHTOKEN_ACCOUNT"] = "alice"
    listener = listening()
    assert listener.get(**back).status_code == 400
    assert listener.get(**authorize(alice)).status_code == 200
    assert listener.end() == 0 and not bob.token_file.exists()


def test_a_pasted_address_finds_its_account_and_a_bare_code_belongs_to_none(operator, sandbox):
    alice = account(operator, "alice")
    back = authorize(alice)
    operator.run("exchange", input=back["code"], expect=77)
    done = operator.run("exchange", input=f"code={back['code']}&state={back['state']}")
    assert "account alice: authorized: stored a new pair" in done.stderr
    assert alice.token_file.exists() and "token.json" not in operator.files()
    alice.run("exchange", input=authorize(alice)["code"])


def test_the_socket_unit_waits_long_while_any_account_is_being_authorized(operator, sandbox):
    assert not accounts.is_any_authorization_under_way(str(operator.state))
    back = authorize(account(operator, "alice"))
    assert accounts.is_any_authorization_under_way(str(operator.state))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        impatient = program_with("hhtoken.commands.serve_callback.STRAY_VISIT_SECONDS = 0.3")
        process = activate(operator, listener, "serve-callback", program=impatient)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/callback"
        assert requests.get(address, params={"code": "a", "state": "b"}, headers=AGENT, timeout=10).status_code == 400
        time.sleep(1)  # longer than the listener stays for a stray visitor
        assert process.poll() is None
        assert requests.get(address, params=back, headers=AGENT, timeout=10).status_code == 200
        _out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    wait_for(lambda: not accounts.is_any_authorization_under_way(str(operator.state)))


def test_strangers_who_run_into_damage_are_told_of_once(operator, capfd):
    for number in range(50):
        home = operator.state / "accounts" / f"a{number}"
        home.mkdir(mode=0o700, parents=True)
        (home / "pending.json").write_text("{")
        (home / "pending.json").chmod(0o600)
    operator.state.chmod(0o700)
    main = str(operator.state)
    arrival = ReturnHandler(open_store(main), ("id", "secret"), None, Settings({"HHTOKEN_STATE_DIR": main}))
    for _ in range(3):
        assert arrival.by_browser("code=a&state=a7.x").page is pages.TRY_LATER
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2 and "a7/pending.json is damaged" in said[0] and "hint: " in said[1]
    for number in range(200):
        assert arrival.by_browser(f"code=a&state=a{number % 50}.x").page is pages.TRY_LATER
    assert capfd.readouterr().err == ""


def test_ten_thousand_strangers_at_a_thousand_accounts_cost_little(operator):
    main = str(operator.state)
    for number in range(1000):
        (operator.state / "accounts" / f"a{number}").mkdir(mode=0o700, parents=True)
        (operator.state / "accounts" / f"a{number}" / "pending.json").write_text('{"authorizations": []}')
    operator.state.chmod(0o700)
    arrival = ReturnHandler(open_store(main), ("id", "secret"), None, Settings({"HHTOKEN_STATE_DIR": main}))
    descriptors = open_descriptors()
    began = time.process_time()
    for number in range(10_000):
        reply = arrival.by_browser(f"code=a&state=a{number % 2000}.x")
        assert reply.page is pages.REFUSED
    assert time.process_time() - began < 10
    assert open_descriptors() == descriptors


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))
