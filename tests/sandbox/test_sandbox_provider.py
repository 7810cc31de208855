"""The sandbox's provider, rule by rule, with a clock that only the test moves. Pure."""

import base64
import hashlib
import threading
import time
from urllib.parse import parse_qsl, urlsplit

import pytest

from hhtoken.sandbox.authorization import BadAuthorizationRequest
from hhtoken.sandbox.provider import APP_TOKEN_PAUSE_SECONDS, Provider
from hhtoken.sandbox.refusals import DOCUMENTED, REFUSALS, UNDOCUMENTED, BadAccess, Refused
from hhtoken.sandbox.settings import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI

LIFE = 60
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


class Bench:
    """A provider, and the few moves that every test makes."""

    def __init__(self):
        self.time = 1_700_000_000.0
        self.provider = Provider(clock=lambda: self.time)

    def ask(self, **query):
        return self.provider.read_authorization({"response_type": "code", "client_id": CLIENT_ID, **query})

    def code(self, **query):
        return parameters(self.provider.answer(self.ask(**query), True))["code"]

    def exchange(self, code, **form):
        return self.provider.token({"grant_type": "authorization_code", **CLIENT, "code": code, **form})

    def pair(self):
        return self.exchange(self.code())

    def expired_pair(self):
        pair = self.pair()
        self.time += LIFE
        return pair

    def refresh(self, pair, **form):
        return self.provider.token({"grant_type": "refresh_token", "refresh_token": pair["refresh_token"], **form})

    def app_token(self, **form):
        return self.provider.token({"grant_type": "client_credentials", **CLIENT, **form})


@pytest.fixture
def bench():
    return Bench()


def parameters(address):
    return dict(parse_qsl(urlsplit(address).query))


def refusal(act, *arguments, **named):
    with pytest.raises(Refused) as caught:
        act(*arguments, **named)
    return caught.value.refusal.description


def bad_access(bench, token):
    with pytest.raises(BadAccess) as caught:
        bench.provider.check_user_token(token)
    return caught.value.value


# -- each of the 19 documented errors arises by itself --


def twice(get, use):
    def act(bench):
        thing = get(bench)
        use(bench, thing)
        use(bench, thing)

    return act


def account(state):
    def act(bench):
        pair = bench.expired_pair()
        bench.provider.account = state
        bench.refresh(pair)

    return act


def after(befalls, get, use):
    def act(bench):
        thing = get(bench)
        befalls(bench)
        use(bench, thing)

    return act


def wait(seconds):
    return lambda bench: setattr(bench, "time", bench.time + seconds)


ARISES = {
    "account not found": lambda bench: bench.exchange(bench.code(), client_secret="wrong"),
    "account is locked": account("locked"),
    "password invalidated": account("password_invalidated"),
    "login not verified": account("login_not_verified"),
    "bad redirect url": lambda bench: bench.exchange(bench.code(redirect_uri=REDIRECT_URI), redirect_uri="http://x/"),
    "token is empty": lambda bench: bench.refresh({"refresh_token": ""}),
    "token not found": lambda bench: bench.refresh({"refresh_token": "USER" + "0" * 60}),
    "code not found": lambda bench: bench.exchange("0" * 64),
    "client_id or client_secret not found": lambda bench: bench.exchange(bench.code(), client_id="other"),
    "token has already been refreshed": twice(Bench.expired_pair, Bench.refresh),
    "token not expired": lambda bench: bench.refresh(bench.pair()),
    "token was revoked": after(lambda bench: bench.provider.revoke(), Bench.expired_pair, Bench.refresh),
    "bad token": lambda bench: bench.refresh({"refresh_token": "not a token"}),
    "code has already been used": twice(Bench.code, Bench.exchange),
    "code expired": after(wait(300), Bench.code, Bench.exchange),
    "code was revoke": after(lambda bench: bench.provider.change_password(), Bench.code, Bench.exchange),
    "token deactivated": after(lambda bench: bench.provider.change_password(), Bench.expired_pair, Bench.refresh),
    "unsupported grant_type": lambda bench: bench.provider.token({"grant_type": "password"}),
    "app token refresh too early": after(
        wait(APP_TOKEN_PAUSE_SECONDS - 1), Bench.app_token, lambda bench, _token: bench.app_token()
    ),
}


@pytest.mark.parametrize("row", DOCUMENTED, ids=lambda row: row.slug)
def test_every_documented_error_arises_by_itself(bench, row):
    assert refusal(ARISES[row.description], bench) == row.description


def test_the_table_has_nothing_twice():
    assert len(DOCUMENTED) == len(REFUSALS) - len(UNDOCUMENTED) == 19


# -- the authorization request --


@pytest.mark.parametrize("state", [{}, {"state": "s t"}])
def test_the_answer_of_the_user_comes_back_with_the_state(bench, state):
    granted = bench.provider.answer(bench.ask(**state), True)
    assert granted.startswith(REDIRECT_URI + "?code=")
    assert {name: value for name, value in parameters(granted).items() if name != "code"} == state
    assert parameters(bench.provider.answer(bench.ask(**state), False)) == {"error": "access_denied", **state}


def test_a_wrong_client_a_wrong_redirect_uri_or_a_removed_application_is_no_redirect(bench):
    for query, reason in (
        ({"client_id": "other"}, "unknown_client"),
        ({"redirect_uri": "http://evil.example/callback"}, "bad_redirect_uri"),
    ):
        with pytest.raises(BadAuthorizationRequest, match=reason):
            bench.ask(**query)
    bench.provider.application = "removed"
    with pytest.raises(BadAuthorizationRequest, match="unknown_client"):
        bench.ask()


@pytest.mark.parametrize(
    "query, error",
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
    ],
)
def test_other_mistakes_travel_back_even_if_the_user_allows(bench, query, error):
    answer = parameters(bench.provider.answer(bench.ask(state="s", **query), True))
    assert answer == {"error": error, "state": "s"}


def test_unknown_parameters_are_ignored_and_each_authorization_has_a_pair_of_its_own(bench):
    pairs = [bench.exchange(bench.code(**query)) for query in ({}, {"skip_choose_account": "true", "nonsense": "1"})]
    for pair in pairs:
        bench.provider.check_user_token(pair["access_token"])


# -- the exchange --


def test_a_pair_has_the_documented_members(bench):
    pair = bench.pair()
    assert set(pair) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", LIFE)


HERE, DEEPER = {"redirect_uri": REDIRECT_URI}, {"redirect_uri": REDIRECT_URI + "/deeper"}
S256 = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
PROOF = {"code_verifier": VERIFIER}


@pytest.mark.parametrize(
    "asked, sent, refused",
    [
        ({}, {}, None),
        ({}, HERE, None),
        ({}, DEEPER, "bad redirect url"),
        (HERE, HERE, None),
        (HERE, {}, "bad redirect url"),
        (HERE, {"redirect_uri": ""}, "bad redirect url"),
        (DEEPER, DEEPER, None),
        (DEEPER, HERE, "bad redirect url"),
        (S256, PROOF, None),
        (S256, {"code_verifier": CHALLENGE}, "bad code verifier"),
        (S256, {}, "bad code verifier"),
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, PROOF, None),
        ({"code_challenge": VERIFIER}, PROOF, None),
        ({"code_challenge": VERIFIER}, {"code_verifier": VERIFIER + "x"}, "bad code verifier"),
        ({}, PROOF, None),
    ],
)
def test_the_exchange_repeats_the_redirect_uri_and_proves_the_challenge_where_they_were_given(
    bench, asked, sent, refused
):
    code = bench.code(**asked)
    if refused:
        assert refusal(bench.exchange, code, **sent) == refused
    else:
        assert bench.exchange(code, **sent)


@pytest.mark.parametrize("mistake", [{"client_secret": "x"}, {"client_id": "x"}, {"redirect_uri": "http://x/"}])
def test_a_refused_exchange_does_not_use_up_the_code(bench, mistake):
    code = bench.code()
    refusal(bench.exchange, code, **mistake)
    assert bench.exchange(code)


# -- the refresh --


def test_a_refresh_needs_no_client_and_its_new_pair_ends_the_old_one(bench):
    old = bench.expired_pair()
    new = bench.refresh(old, client_id="x", client_secret="y")
    assert new["access_token"] != old["access_token"] and new["refresh_token"] != old["refresh_token"]
    bench.provider.check_user_token(new["access_token"])
    assert bad_access(bench, old["access_token"]) == "token_expired"


def test_a_refresh_is_possible_once_the_access_token_has_expired_and_for_ever(bench):
    first, second = bench.pair(), bench.pair()
    bench.time += LIFE - 0.001
    assert refusal(bench.refresh, first) == "token not expired"
    bench.time += 0.001
    assert bench.refresh(first)
    bench.time += 10 * 365 * 86400  # an unused refresh token does not age
    assert bench.refresh(second)


def test_a_locked_account_costs_no_refresh_token(bench):
    pair = bench.expired_pair()
    bench.provider.account = "locked"
    refusal(bench.refresh, pair)
    bench.provider.account = "ok"
    assert bench.refresh(pair)


def test_a_removed_application_gets_nothing(bench):
    pair, code = bench.expired_pair(), bench.code()
    bench.provider.application = "removed"
    for act in (lambda: bench.refresh(pair), lambda: bench.exchange(code), bench.app_token):
        assert refusal(act) == "client_id or client_secret not found"


def test_a_spent_token_stays_spent_whatever_the_user_does(bench):
    pair = bench.expired_pair()
    bench.refresh(pair)
    bench.provider.change_password()
    assert refusal(bench.refresh, pair) == "token has already been refreshed"


def test_an_access_token_is_no_refresh_token(bench):
    pair = bench.expired_pair()
    assert refusal(bench.refresh, {"refresh_token": pair["access_token"]}) == "token not found"


def test_of_many_refreshes_at_once_one_succeeds(bench):
    pair = bench.expired_pair()
    outcomes, now = [], bench.time
    bench.provider._clock = lambda: time.sleep(0.002) or now  # lets the others in between the check and the change

    def act():
        try:
            outcomes.append(bench.refresh(pair)["token_type"])
        except Refused as error:
            outcomes.append(error.refusal.description)

    threads = [threading.Thread(target=act) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["bearer"] + ["token has already been refreshed"] * 19


# -- the application token --


def test_a_new_application_token_has_no_end_and_revokes_the_earlier_one(bench):
    first = bench.app_token()
    bench.time += APP_TOKEN_PAUSE_SECONDS
    second = bench.app_token()
    assert set(first) == set(second) == {"access_token", "token_type"}
    bench.time += 10 * 365 * 86400
    assert bad_access(bench, first["access_token"]) == "token_revoked"
    assert bench.provider.role_of(second["access_token"]) == "application"
    assert bad_access(bench, second["access_token"]) == "user_auth_expected"


def test_an_application_token_needs_the_right_client(bench):
    assert refusal(bench.app_token, client_secret="x") == "account not found"
    assert refusal(bench.app_token, client_id="x") == "client_id or client_secret not found"


# -- the API, and what tests may wish for --


@pytest.mark.parametrize(
    "spoil, value",
    [
        (lambda bench, pair: setattr(bench, "time", bench.time + LIFE), "token_expired"),
        (lambda bench, pair: bench.provider.expire(), "token_expired"),
        (lambda bench, pair: bench.provider.revoke(), "token_revoked"),
        (lambda bench, pair: bench.provider.change_password(), "token_revoked"),
        (lambda bench, pair: bench.provider.invalidate(pair["access_token"]), "token_revoked"),
        (lambda bench, pair: setattr(bench.provider, "application", "removed"), "application_not_found"),
        (lambda bench, pair: bench.provider.reset(), "bad_authorization"),
    ],
)
def test_the_api_says_why_an_access_token_is_of_no_use(bench, spoil, value):
    pair = bench.pair()
    bench.provider.check_user_token(pair["access_token"])
    spoil(bench, pair)
    assert bad_access(bench, pair["access_token"]) == value


def test_an_invalidated_pair_cannot_be_refreshed(bench):
    pair = bench.pair()
    bench.provider.invalidate(pair["access_token"])
    bench.time += LIFE
    assert refusal(bench.refresh, pair) == "token was revoked"


def test_the_state_counts_pairs_and_commits(bench):
    bench.refresh(bench.expired_pair())
    bench.pair()
    bench.time += LIFE - 1
    assert bench.provider.pairs() == {"token_has_already_been_refreshed": 1, "living": 2}
    assert bench.provider.committed == {"authorization_code": 2, "refresh_token": 1}


def test_nothing_secret_shows_in_a_record(bench):
    pair = bench.pair()
    shown = repr(list(bench.provider._by_refresh.values())) + repr(list(bench.provider._codes.values()))
    assert pair["access_token"] not in shown and pair["refresh_token"] not in shown
