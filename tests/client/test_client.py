"""``hhtoken.client``: a bot that knows nothing of tokens, and sees no failed request at an expiry."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from conftest import AGENT, Reader, obtain_pair, refreshes, wait_for
from rough_provider import HeldUp, answering, http
from support import PAIR, ROOT

from hhtoken import errors
from hhtoken.client import HeadHunterAuth, access_token
from hhtoken.pair import Pair, pair_from_answer
from hhtoken.store import published_file
from hhtoken.store.token_store import fingerprint, open_store


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """The settings of an operator in the environment of this process, which is the bot's."""

    def settle(operator, **more):
        for name, value in {**operator.environment, **more}.items():
            monkeypatch.setenv(name, str(value))

    for name in list(os.environ):
        if name.startswith("HH"):
            monkeypatch.delenv(name)
    return settle


@pytest.fixture
def bot(surroundings, operator, sandbox):
    """The operator of a pair that lives for a minute, in whose surroundings this process is."""
    operator.store(obtain_pair(sandbox), left=60, life=60)
    surroundings(operator)
    return operator


def save(operator, token):
    """Store a pair as a peer does, whole."""
    fields = {**PAIR, "access_token": token, "expires_in": 1000}
    open_store(str(operator.state)).save(pair_from_answer(fields, time.time()))


# -- access_token --


def test_the_token_comes_from_the_state_directory(surroundings, lonely):
    lonely.store(PAIR, left=1000, life=1000)
    assert access_token(state_dir=str(lonely.state)) == "ACCESS"
    surroundings(lonely)
    assert access_token() == access_token(min_seconds=900) == "ACCESS"


def test_an_accounts_token_comes_from_its_own(surroundings, operator, sandbox, tmp_path):
    surroundings(operator)
    backup = tmp_path / "backup.json"
    backup.write_text(json.dumps(obtain_pair(sandbox)))
    backup.chmod(0o600)
    operator.run("import", backup, "--account", "second")
    assert access_token(account="second") == json.loads(backup.read_text())["access_token"]
    with pytest.raises(errors.AuthorizationNeededError):
        access_token()


def test_or_from_the_published_file(surroundings, lonely, tmp_path):
    path = tmp_path / "access_token"
    path.write_text("PUBLISHED\n")
    assert access_token(published=str(path)) == "PUBLISHED"
    surroundings(lonely, HHTOKEN_PUBLISH=path)
    assert access_token() == "PUBLISHED", "there is no state directory that this process may read"
    lonely.store(PAIR, left=1000, life=1000)
    assert access_token() == "ACCESS"


def test_what_a_published_file_cannot_tell_is_wrong_usage(tmp_path):
    for options in ({"min_seconds": 1}, {"renew": True}):
        with pytest.raises(errors.UsageError):
            access_token(published=str(tmp_path / "access_token"), **options)


def raised(seconds, **options):
    """Return the Error that access_token raises, within so many seconds."""
    started = time.monotonic()
    with pytest.raises(errors.Error) as caught:
        access_token(**options)
    assert time.monotonic() - started < seconds
    assert caught.value.hint
    return caught.value


def test_what_waiting_does_not_mend_is_raised_at_once(surroundings, lonely, tmp_path):
    state = str(lonely.state)
    assert raised(3, state_dir=state).exit_code == errors.NOPERM
    lonely.store(PAIR, left=100, life=1000)
    assert raised(3, state_dir=state, min_seconds=200).exit_code == errors.UNAVAILABLE
    assert raised(3, state_dir=state, instead_of="ACCESS", wait_seconds=0).exit_code == errors.UNAVAILABLE
    lonely.token_file.write_text("{")
    assert raised(3, state_dir=state).exit_code == errors.DATAERR
    lonely.store({"access_token": "ACCESS"})
    assert raised(3, state_dir=state).exit_code == errors.NOPERM
    (tmp_path / "empty").write_text("")
    assert raised(3, published=str(tmp_path / "empty")).exit_code == errors.DATAERR
    assert raised(3, published=str(tmp_path)).exit_code == errors.DATAERR


def test_the_commands_in_a_hint_are_about_that_account_and_that_state_directory(surroundings, lonely, tmp_path):
    surroundings(lonely)
    assert "'hhtoken login'" in raised(3).hint
    assert "'hhtoken --account nobody login'" in raised(3, account="nobody", wait_seconds=0).hint
    state = f"{tmp_path}/a state"
    flags = f"--state-dir {tmp_path}/a\\ state"
    assert f"(hhtoken {flags} login)" in raised(3, state_dir=state).hint
    assert f"(hhtoken --account nobody {flags} login)" in raised(3, state_dir=state, account="nobody").hint
    assert f"(hhtoken --account nobody {flags} login)" in raised(20, state_dir=state, account="nobody", renew=True).hint
    surroundings(lonely, HHTOKEN_ACCOUNT="alice")
    with pytest.raises(errors.Error) as caught:
        HeadHunterAuth()(requests.Request("GET", "https://api.hh.ru/me").prepare())
    assert "'hhtoken --account alice login'" in caught.value.hint
    surroundings(lonely, HHTOKEN_ACCOUNT="")
    lonely.store(PAIR)
    late = raised(5, state_dir=str(lonely.state), wait_seconds=0.1).hint
    flags = f"--state-dir {lonely.state}"
    assert late == f"type 'hhtoken {flags} refresh', or use 'hhtoken {flags} show --refresh'"


def test_what_does_not_come_in_time_is_unavailable(lonely, tmp_path):
    lonely.store(PAIR)
    assert "expired" in raised(5, state_dir=str(lonely.state), wait_seconds=0.2).message
    assert "published" in raised(5, published=str(tmp_path / "absent"), wait_seconds=0.2).message


def test_it_waits_for_the_renewal_that_just_happens(lonely):
    lonely.store(PAIR, left=1)
    threading.Timer(0.5, save, [lonely, "NEWER"]).start()
    assert access_token(state_dir=str(lonely.state), min_seconds=5) == "NEWER"


def test_it_waits_for_a_published_file_that_comes(tmp_path):
    path = tmp_path / "access_token"
    threading.Timer(0.5, published_file.publish, [str(path), "NEWER", 1, 0]).start()
    assert access_token(published=str(path)) == "NEWER"
    threading.Timer(0.5, published_file.publish, [str(path), "NEWEST", 2, 0]).start()
    assert access_token(published=str(path), instead_of="NEWER") == "NEWEST"


def test_renew_makes_what_is_due(surroundings, operator, sandbox, expired):
    surroundings(operator)
    token = access_token(renew=True)
    assert refreshes(sandbox) == 1 and token == operator.stored()["access_token"] == access_token(renew=True)
    sandbox.provider.check_user_token(token)
    assert refreshes(sandbox) == 1


def test_many_threads_renew_once(surroundings, operator, sandbox, expired):
    surroundings(operator)
    got = []
    threads = [threading.Thread(target=lambda: got.append(access_token(renew=True))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(got) == {operator.stored()["access_token"]} and len(got) == 20
    assert refreshes(sandbox) == 1


@pytest.fixture
def two(surroundings, operator):
    """The names of two accounts of this bot, for which it may renew."""

    def place(left):
        for name in ("alice", "bob"):
            directory = operator.state / "accounts" / name
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            operator.store({"access_token": f"{name}-ACCESS", "refresh_token": f"{name}-REFRESH"}, left, life=60)
            operator.token_file.rename(directory / "token.json")
        surroundings(operator)
        return "alice", "bob"

    return place


def test_for_each_accounts_refused_token_headhunter_is_asked_and_not_hammered(two, sandbox):
    """An answer that settles nothing is no reason to ask again and again: there are the pauses of a refresh."""
    with answering(http('{"error": "weird"}', "400 Bad Request")) as provider:
        names = two(left=60)
        os.environ["HH_TOKEN_URL"] = provider.url
        for _ in range(4):
            for name in names:
                with pytest.raises(errors.Error):
                    access_token(account=name, renew=True, instead_of=f"{name}-ACCESS", wait_seconds=0)
    asked = [form["refresh_token"][0] for _head, form in provider.requests]
    assert sorted(asked) == ["alice-REFRESH"] * 2 + ["bob-REFRESH"] * 2


def test_a_slow_renewal_of_one_account_keeps_no_other_and_nobody_for_longer_than_they_wait(two):
    held_up = HeldUp(*(http(json.dumps({**PAIR, "access_token": one, "expires_in": 60})) for one in ("NEW-A", "NEW-B")))
    with answering(held_up) as provider:
        two(left=-2)
        os.environ["HH_TOKEN_URL"] = provider.url
        got = []
        slow = threading.Thread(target=lambda: got.append(access_token(account="alice", renew=True)))
        slow.start()
        assert held_up.was_asked.wait(30)
        assert access_token(account="bob", renew=True) == "NEW-B"
        with pytest.raises(errors.UnavailableError):
            access_token(account="alice", renew=True, wait_seconds=0.1)
        assert slow.is_alive() and got == []
        held_up.may_answer.set()
        slow.join()
    assert got == ["NEW-A"]


@pytest.mark.parametrize("fault, kind", [("html_503", errors.TryLaterError),
                                         ("token_deactivated", errors.AuthorizationNeededError)])  # fmt: skip
def test_a_renewal_that_fails_says_why(surroundings, operator, sandbox, expired, fault, kind, monkeypatch):
    surroundings(operator, LANG="ru_RU.UTF-8", LC_ALL="ru_RU.UTF-8")
    sandbox.weather.add(fault)
    with pytest.raises(kind) as caught:
        access_token(renew=True)
    assert caught.value.message.isascii() and caught.value.hint
    assert f"'hhtoken --state-dir {operator.state} " in caught.value.hint
    assert caught.value.hint.count("--state-dir") == 1, "the renewal has made it ready already"
    assert operator.token_file.read_bytes() == expired


def test_an_interrupt_of_the_bot_does_not_cost_the_pair(operator, sandbox, expired):
    sandbox.weather.add("slow")
    program = "from hhtoken.client import access_token; access_token(renew=True)"
    bot = subprocess.Popen(
        [sys.executable, "-c", program], env={**operator.environment, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )
    wait_for(lambda: refreshes(sandbox) == 1)
    bot.kill()
    bot.communicate()
    wait_for(lambda: operator.token_file.read_bytes() != expired, 30)
    sandbox.provider.check_user_token(operator.stored()["access_token"])


def test_it_leaves_no_descriptor_open(lonely):
    lonely.store(PAIR, left=1000, life=1000)
    access_token(state_dir=str(lonely.state))
    before = os.listdir("/proc/self/fd")
    for _ in range(10):
        access_token(state_dir=str(lonely.state))
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_reading_needs_no_requests(lonely):
    lonely.store(PAIR, left=1000, life=1000)
    program = (
        "import sys; from hhtoken.client import access_token; print(access_token(), 'requests' in sys.modules)\n"
        "from hhtoken.client import HeadHunterAuth; print('requests' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={**lonely.environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert finished.stdout == "ACCESS False\nTrue\n"


# -- HeadHunterAuth --


@contextmanager
def session(**options):
    with requests.Session() as made:
        made.trust_env = False
        made.auth = HeadHunterAuth(**options)
        made.headers.update(AGENT)
        yield made


def renew_soon(operator, sandbox, seconds=0.5):
    """Expire the token, and let someone else refresh it a moment later."""
    sandbox.provider.expire()
    threading.Timer(seconds, lambda: operator.run("refresh", "--force")).start()


def test_the_published_file_is_read_again_until_it_changes(bot, sandbox, tmp_path):
    place = tmp_path / "run"
    place.mkdir(mode=0o710)
    published = place / "access_token"
    bot.environment["HHTOKEN_PUBLISH"] = str(published)
    bot.run("refresh")
    renew_soon(bot, sandbox)
    with session(published=str(published)) as headhunter:
        assert headhunter.get(headhunter.auth.api_url + "/me").status_code == 200


def test_renew_asks_even_before_our_clock_says_so_and_once_only(bot, sandbox):
    with session(renew=True) as headhunter:
        sandbox.provider.expire()
        assert headhunter.get(headhunter.auth.api_url + "/me").status_code == 200
        assert refreshes(sandbox) == 1
        sandbox.provider.revoke()
        assert headhunter.get(headhunter.auth.api_url + "/me").status_code == 403
        for _ in range(2):
            with pytest.raises(errors.AuthorizationNeededError):
                headhunter.get(headhunter.auth.api_url + "/me")
        assert refreshes(sandbox) == 2


def test_a_refusal_without_a_newer_token_is_returned_as_it_is(bot, sandbox):
    sandbox.provider.expire()
    with session(wait_seconds=0.1) as headhunter:
        answer = headhunter.get(headhunter.auth.api_url + "/me")
        assert answer.status_code == 403 and answer.json()["errors"][0]["type"] == "oauth" and answer.history == []


def test_without_a_token_nothing_is_sent(surroundings, operator, sandbox):
    surroundings(operator)
    with session() as headhunter, pytest.raises(errors.AuthorizationNeededError):
        headhunter.get(headhunter.auth.api_url + "/me")


def test_an_api_address_must_be_safe(surroundings):
    with pytest.raises(errors.ConfigError):
        HeadHunterAuth(api_url="http://api.hh.ru")
    assert HeadHunterAuth().api_url == "https://api.hh.ru"


class Api:
    """An API that records each request, and answers those with ``refused`` tokens with ``refusal``."""

    def __init__(self):
        self.seen = []
        self.refusal = (403, "application/json", {"errors": [{"type": "oauth", "value": "token_expired"}]})
        self.refused = ("ACCESS",)
        self.redirects = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    body = b"".join(iter(self.read_chunk, b""))
                token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                outer.seen.append((self.path, token, body))
                if self.path in outer.redirects:
                    self.send_response(307)
                    self.send_header("Location", outer.redirects[self.path])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                status, kind, answer = outer.refusal if token in outer.refused else (200, "application/json", {})
                answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST

            def read_chunk(self):
                data = self.rfile.read(int(self.rfile.readline(), 16))
                self.rfile.readline()
                return data

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def make_api():
    made = []

    def make():
        made.append(Api())
        return made[-1]

    yield make
    for api in made:
        api.server.shutdown()
        api.server.server_close()


@pytest.fixture
def stale(make_api, lonely, tmp_path):
    """A session whose first token is refused and whose second, a moment later, is taken; and the API it is for."""
    published = tmp_path / "access_token"
    published.write_text("ACCESS\n")
    api = make_api()
    with session(published=str(published), api_url=api.url) as headhunter:
        send = headhunter.get_adapter(api.url).send

        def renewed_meanwhile(request, **options):
            answer = send(request, **options)
            published.write_text("NEWER\n")
            return answer

        headhunter.get_adapter(api.url).send = renewed_meanwhile
        yield headhunter, api


@pytest.mark.parametrize("value", ["token_expired", "bad_authorization", "token_revoked"])
def test_each_refusal_of_the_token_is_worth_a_second_attempt(stale, value):
    headhunter, api = stale
    api.refusal = (403, "application/json; charset=utf-8", {"errors": [{"type": "oauth", "value": value}]})
    assert headhunter.get(api.url + "/me").status_code == 200
    assert [token for _path, token, _body in api.seen] == ["ACCESS", "NEWER"]


@pytest.mark.parametrize(
    "refusal",
    [
        (403, "application/json", {"errors": [{"type": "oauth", "value": "application_not_found"}]}),
        (403, "application/json", {"errors": [{"type": "negotiations", "value": "limit_exceeded"}]}),
        (403, "application/json", b"{"),
        (403, "application/json", []),
        (403, "text/html", b"<html>token_expired</html>"),
        (401, "application/json", {"errors": [{"type": "oauth", "value": "token_expired"}]}),
        (500, "application/json", {"errors": [{"type": "oauth", "value": "token_expired"}]}),
    ],
)
def test_any_other_answer_is_not_and_is_returned_untouched(stale, refusal):
    headhunter, api = stale
    api.refusal = refusal
    answer = headhunter.get(api.url + "/me", stream=True)
    assert answer.status_code == refusal[0] and len(api.seen) == 1
    assert answer.content == (refusal[2] if isinstance(refusal[2], bytes) else json.dumps(refusal[2]).encode())


def test_the_second_refusal_is_final(make_api, lonely, tmp_path):
    lonely.store(PAIR, left=3, life=1000)
    api = make_api()
    api.refused = ("ACCESS", "NEWER", "NEWEST")
    for seconds, name in ((1, "NEWER"), (2, "NEWEST")):
        threading.Timer(seconds, save, [lonely, name]).start()
    with session(state_dir=str(lonely.state), api_url=api.url) as headhunter:
        assert headhunter.get(api.url + "/me").status_code == 403
    assert [token for _path, token, _body in api.seen] == ["ACCESS", "NEWER"]


def pieces():
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    "make, is_sent_again",
    [(lambda: b"onetwo", True), (lambda: "onetwo", True), (lambda: io.BytesIO(b"onetwo"), True), (pieces, False)],
)
def test_a_body_is_sent_again_from_its_start_where_that_can_be_had(stale, make, is_sent_again):
    headhunter, api = stale
    assert headhunter.post(api.url + "/x", data=make()).status_code == (200 if is_sent_again else 403)
    assert [body for _path, _token, body in api.seen] == [b"onetwo"] * (1 + is_sent_again)


def test_a_file_is_sent_again_from_where_it_stood(stale, tmp_path):
    headhunter, api = stale
    (tmp_path / "file").write_bytes(b"skippedonetwo")
    with open(tmp_path / "file", "rb") as file:
        file.seek(7)
        assert headhunter.put(api.url + "/x", data=file).status_code == 200
    assert [body for _path, _token, body in api.seen] == [b"onetwo", b"onetwo"]


def test_a_streamed_answer_to_the_second_attempt_can_be_read(stale):
    headhunter, api = stale
    with headhunter.get(api.url + "/me", stream=True) as answer:
        assert b"".join(answer.iter_content(1)) == b"{}"


@pytest.mark.parametrize(
    "form", ["http://{other}", "http://{api}@{other}", "http://{api}%5c@{other}", "http://{api}\\@{other}"]
)
def test_no_other_place_gets_the_token(make_api, lonely, form):
    lonely.store(PAIR, left=1000, life=1000)
    api, other = make_api(), make_api()
    with session(state_dir=str(lonely.state), api_url=api.url) as headhunter:
        try:
            headhunter.get(form.format(api=api.url[7:], other=other.url[7:]) + "/me")
        except requests.RequestException:
            pass
    assert not any("ACCESS" in token for _path, token, _body in other.seen)
    assert other.seen or "\\" in form


def test_a_redirect_to_another_place_does_not_take_the_token_along(stale, make_api):
    headhunter, api = stale
    other = make_api()
    api.redirects["/me"] = other.url + "/me"
    headhunter.get(api.url + "/me")
    assert [token for _path, token, _body in api.seen] == ["ACCESS"]
    assert [token for _path, token, _body in other.seen] == [""]


def test_a_redirect_within_the_api_is_followed_with_the_newer_token(stale):
    headhunter, api = stale
    api.redirects["/old"] = api.url + "/new"
    answer = headhunter.post(api.url + "/old", data=b"body")
    assert answer.status_code == 200
    assert api.seen == [("/old", "ACCESS", b"body"), ("/new", "ACCESS", b"body"), ("/new", "NEWER", b"body")]


def test_many_threads_share_one(bot, sandbox):
    bot.store({name: bot.stored()[name] for name in PAIR}, left=5, life=60)
    with session() as headhunter:
        codes = []

        def ask():
            for _ in range(5):
                codes.append(headhunter.get(headhunter.auth.api_url + "/me").status_code)

        renew_soon(bot, sandbox)
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert codes == [200] * 40


def test_a_token_is_in_no_message_and_no_repr(bot, sandbox):
    token = bot.stored()["access_token"]
    with pytest.raises(errors.Error) as caught:
        access_token(instead_of=token)
    assert token not in f"{caught.value!r} {caught.value} {caught.value.hint} {HeadHunterAuth()!r}"


# -- the example --


# It waits for a new token for longer than it would, for the sake of a busy machine.
BOT = (
    "import runpy, sys; from hhtoken.client import token_source; token_source.WAIT_SECONDS = 60\n"
    "sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')\n"
)


def test_the_example_bot_sees_no_failed_request_through_three_expiries(operator, sandbox, tmp_path):
    """A process of its own renews the pair, as the timers do. One bot reads the state directory, another the published
    file."""
    place = tmp_path / "run"
    place.mkdir(mode=0o710)
    operator.environment["HHTOKEN_PUBLISH"] = str(place / "access_token")
    sandbox.provider.expires_in = 600
    operator.store(obtain_pair(sandbox), left=600, life=600)
    operator.run("refresh")
    bots = [
        subprocess.Popen(
            [sys.executable, "-c", BOT, ROOT / "docs/examples/bot.py", "0.02"],
            env={**operator.environment, "HHTOKEN_STATE_DIR": str(state), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for state in (operator.state, tmp_path / "not-for-the-bot")
    ]  # fmt: skip
    try:
        said, complained = [Reader(bot.stdout) for bot in bots], [Reader(bot.stderr) for bot in bots]

        def go_on():
            """Wait until each of the bots has done two more requests, the second of which has begun since now."""
            lines = [one.text.count("\n") for one in said]
            wait_for(lambda: ends() or all(one.text.count("\n") > done + 1 for one, done in zip(said, lines)))
            assert not ends(), [one.text for one in complained]

        def ends():
            return any(bot.poll() is not None for bot in bots)

        for _ in range(3):
            go_on()
            expire(operator, sandbox)
            time.sleep(0.1)  # so that they run into it
            operator.run("refresh")
        go_on()
    finally:
        for bot in bots:
            bot.kill()
            bot.wait()
            bot.stdout.close(), bot.stderr.close()
    assert refreshes(sandbox) == 3
    for one in said:
        assert set(one.text.splitlines()) == {"I am Песочница"}


def expire(operator, sandbox):
    """Let the stored pair expire, by our clock, then by the provider's."""
    store = open_store(str(operator.state))
    with store.lock():
        pair = store.load().pair
        store.save(Pair(pair.fields, pair.obtained_at, int(time.time()) - 2), fingerprint(pair.refresh_token))
    sandbox.provider.expire()
