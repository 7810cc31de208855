"""The sandbox's provider, rule by rule, with a clock that only the test moves. Pure."""

import base64
import hashlib
import threading
import time
from urllib.parse import urlsplit

import pytest

from hhtoken.sandbox.authorization import BadAuthorizationRequest
from hhtoken.sandbox.provider import APP_TOKEN_PAUSE_SECONDS, TICKET_LIFE_SECONDS, Provider
from hhtoken.sandbox.refusals import DOCUMENTED, BadAccess, Refused
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

    def refresh(self, refresh_token, **form):
        return self.provider.token({"grant_type": "refresh_token", "refresh_token": refresh_token, **form})

    def app_token(self, **form):
        return self.provider.token({"grant_type": "client_credentials", **CLIENT, **form})


@pytest.fixture
def bench():
    return Bench()


def parameters(address):
    return dict(item.split("=", 1) for item in urlsplit(address).query.split("&"))


def refusal(act, *arguments, **named):
    with pytest.raises(Refused) as caught:
        act(*arguments, **named)
    return caught.value.refusal.description


def bad_access(bench, token):
    with pytest.raises(BadAccess) as caught:
        bench.provider.check_user_token(token)
    return caught.value.value


# -- each of the 19 documented errors arises by itself --


def wrong_secret(bench):
    bench.exchange(bench.code(), client_secret="wrong")


def account(state):
    def act(bench):
        pair = bench.expired_pair()
        bench.provider.account = state
        bench.refresh(pair["refresh_token"])

    return act


def another_redirect_uri(bench):
    bench.exchange(bench.code(redirect_uri=REDIRECT_URI), redirect_uri=REDIRECT_URI + "/other")


def used_code(bench):
    code = bench.code()
    bench.exchange(code)
    bench.exchange(code)


def old_code(bench):
    code = bench.code()
    bench.time += 300
    bench.exchange(code)


def code_before(event):
    def act(bench):
        code = bench.code()
        getattr(bench.provider, event)()
        bench.exchange(code)

    return act


def used_refresh_token(bench):
    pair = bench.expired_pair()
    bench.refresh(pair["refresh_token"])
    bench.refresh(pair["refresh_token"])


def pair_before(event):
    def act(bench):
        pair = bench.expired_pair()
        getattr(bench.provider, event)()
        bench.refresh(pair["refresh_token"])

    return act


def two_app_tokens(bench):
    bench.app_token()
    bench.time += APP_TOKEN_PAUSE_SECONDS - 1
    bench.app_token()


ARISES = {
    "account not found": wrong_secret,
    "account is locked": account("locked"),
    "password invalidated": account("password_invalidated"),
    "login not verified": account("login_not_verified"),
    "bad redirect url": another_redirect_uri,
    "token is empty": lambda bench: bench.refresh(""),
    "token not found": lambda bench: bench.refresh("USER" + "0" * 60),
    "code not found": lambda bench: bench.exchange("0" * 64),
    "client_id or client_secret not found": lambda bench: bench.exchange(bench.code(), client_id="other"),
    "token has already been refreshed": used_refresh_token,
    "token not expired": lambda bench: bench.refresh(bench.pair()["refresh_token"]),
    "token was revoked": pair_before("revoke"),
    "bad token": lambda bench: bench.refresh("not a token"),
    "code has already been used": used_code,
    "code expired": old_code,
    "code was revoke": code_before("revoke"),
    "token deactivated": pair_before("change_password"),
    "unsupported grant_type": lambda bench: bench.provider.token({"grant_type": "password"}),
    "app token refresh too early": two_app_tokens,
}


@pytest.mark.parametrize("row", DOCUMENTED, ids=lambda row: row.slug)
def test_every_documented_error_arises_by_itself(bench, row):
    assert refusal(ARISES[row.description], bench) == row.description


def test_there_are_nineteen_documented_errors():
    assert len(DOCUMENTED) == len({row.description for row in DOCUMENTED}) == 19


# -- the authorization request --


def test_a_code_comes_back_with_the_state(bench):
    address = bench.provider.answer(bench.ask(state="s t"), True)
    assert address.startswith(REDIRECT_URI + "?code=") and address.endswith("&state=s+t")


def test_no_state_comes_back_where_none_was_sent(bench):
    assert set(parameters(bench.provider.answer(bench.ask(), True))) == {"code"}


def test_a_user_who_refuses_is_told_to_the_client(bench):
    address = bench.provider.answer(bench.ask(state="s"), False)
    assert address == REDIRECT_URI + "?error=access_denied&state=s"


@pytest.mark.parametrize(
    "query, reason",
    [
        ({"client_id": "other"}, "unknown_client"),
        ({"redirect_uri": "http://evil.example/callback"}, "bad_redirect_uri"),
    ],
)
def test_a_wrong_client_or_redirect_uri_is_no_redirect(bench, query, reason):
    with pytest.raises(BadAuthorizationRequest) as caught:
        bench.ask(**query)
    assert caught.value.reason == reason


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


def test_unknown_parameters_are_ignored(bench):
    assert bench.code(role="employer", force_role="true", nonsense="1")


def test_a_removed_application_is_unknown(bench):
    bench.provider.application = "removed"
    with pytest.raises(BadAuthorizationRequest):
        bench.ask()


def test_a_ticket_is_good_once(bench):
    request = bench.ask()
    ticket = bench.provider.keep(request)
    assert [bench.provider.take(ticket), bench.provider.take(ticket)] == [request, None]


def test_a_ticket_does_not_live_for_ever(bench):
    ticket = bench.provider.keep(bench.ask())
    bench.time += TICKET_LIFE_SECONDS
    assert bench.provider.take(ticket) is None


def test_consent_is_skipped_only_after_a_first_one_and_not_with_force_login(bench):
    eager = {"skip_choose_account": "true"}
    assert not bench.provider.may_skip_consent(bench.ask(**eager))
    bench.code()
    assert bench.provider.may_skip_consent(bench.ask(**eager))
    assert not bench.provider.may_skip_consent(bench.ask())
    assert not bench.provider.may_skip_consent(bench.ask(**eager, force_login="true"))


# -- the exchange --


def test_a_pair_has_the_documented_members(bench):
    pair = bench.pair()
    assert set(pair) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", LIFE)


@pytest.mark.parametrize(
    "asked, sent, good",
    [
        ({}, {}, True),
        ({}, {"redirect_uri": REDIRECT_URI}, True),
        ({}, {"redirect_uri": REDIRECT_URI + "/deeper"}, False),
        ({"redirect_uri": REDIRECT_URI}, {"redirect_uri": REDIRECT_URI}, True),
        ({"redirect_uri": REDIRECT_URI}, {}, False),
        ({"redirect_uri": REDIRECT_URI}, {"redirect_uri": ""}, False),
        ({"redirect_uri": REDIRECT_URI + "/a"}, {"redirect_uri": REDIRECT_URI + "/a"}, True),
        ({"redirect_uri": REDIRECT_URI + "/a"}, {"redirect_uri": REDIRECT_URI}, False),
    ],
)
def test_the_exchange_repeats_the_redirect_uri_whenever_it_was_given(bench, asked, sent, good):
    code = bench.code(**asked)
    if good:
        assert bench.exchange(code, **sent)
    else:
        assert refusal(bench.exchange, code, **sent) == "bad redirect url"


@pytest.mark.parametrize(
    "asked, sent, good",
    [
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {"code_verifier": VERIFIER}, True),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {"code_verifier": CHALLENGE}, False),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {}, False),
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, {"code_verifier": VERIFIER}, True),
        ({"code_challenge": VERIFIER}, {"code_verifier": VERIFIER}, True),
        ({"code_challenge": VERIFIER}, {"code_verifier": VERIFIER + "x"}, False),
        ({}, {"code_verifier": VERIFIER}, True),
    ],
)
def test_pkce_is_verified_where_a_challenge_was_sent(bench, asked, sent, good):
    code = bench.code(**asked)
    if good:
        assert bench.exchange(code, **sent)
    else:
        assert refusal(bench.exchange, code, **sent) == "bad code verifier"


@pytest.mark.parametrize("mistake", [{"client_secret": "x"}, {"client_id": "x"}, {"redirect_uri": "http://x/"}])
def test_a_refused_exchange_does_not_use_up_the_code(bench, mistake):
    code = bench.code()
    refusal(bench.exchange, code, **mistake)
    assert bench.exchange(code)


def test_a_second_authorization_leaves_the_first_pair_alone(bench):
    first, second = bench.pair(), bench.pair()
    bench.provider.check_user_token(first["access_token"])
    bench.provider.check_user_token(second["access_token"])


def test_a_password_change_revokes_an_open_code(bench):
    assert refusal(code_before("change_password"), bench) == "code was revoke"


# -- the refresh --


def test_a_refresh_needs_no_client_and_gives_a_new_pair(bench):
    old = bench.expired_pair()
    new = bench.refresh(old["refresh_token"])
    assert new["access_token"] != old["access_token"] and new["refresh_token"] != old["refresh_token"]
    bench.provider.check_user_token(new["access_token"])


def test_a_refresh_ignores_a_wrong_client(bench):
    assert bench.refresh(bench.expired_pair()["refresh_token"], client_id="x", client_secret="y")


def test_a_refresh_is_possible_from_the_second_of_expiry_on(bench):
    pair = bench.pair()
    bench.time += LIFE - 0.001
    assert refusal(bench.refresh, pair["refresh_token"]) == "token not expired"
    bench.time += 0.001
    assert bench.refresh(pair["refresh_token"])


def test_a_new_pair_kills_the_old_one(bench):
    old = bench.expired_pair()
    bench.refresh(old["refresh_token"])
    assert bad_access(bench, old["access_token"]) == "token_expired"
    assert refusal(bench.refresh, old["refresh_token"]) == "token has already been refreshed"


def test_an_unused_refresh_token_does_not_age(bench):
    pair = bench.pair()
    bench.time += 10 * 365 * 86400
    assert bench.refresh(pair["refresh_token"])


def test_a_locked_account_costs_no_refresh_token(bench):
    pair = bench.expired_pair()
    bench.provider.account = "locked"
    refusal(bench.refresh, pair["refresh_token"])
    bench.provider.account = "ok"
    assert bench.refresh(pair["refresh_token"])


def test_a_removed_application_gets_nothing(bench):
    pair, code = bench.expired_pair(), bench.code()
    bench.provider.application = "removed"
    for act in (lambda: bench.refresh(pair["refresh_token"]), lambda: bench.exchange(code), bench.app_token):
        assert refusal(act) == "client_id or client_secret not found"


def test_a_spent_token_stays_spent_whatever_the_user_does(bench):
    pair = bench.expired_pair()
    bench.refresh(pair["refresh_token"])
    bench.provider.change_password()
    assert refusal(bench.refresh, pair["refresh_token"]) == "token has already been refreshed"


def test_an_access_token_is_no_refresh_token(bench):
    assert refusal(bench.refresh, bench.expired_pair()["access_token"]) == "token not found"


def test_of_many_refreshes_at_once_one_succeeds(bench):
    refresh_token = bench.expired_pair()["refresh_token"]
    outcomes, now = [], bench.time
    bench.provider._clock = lambda: time.sleep(0.002) or now  # lets the others in between the check and the change

    def act():
        try:
            outcomes.append(bench.refresh(refresh_token)["token_type"])
        except Refused as error:
            outcomes.append(error.refusal.description)

    threads = [threading.Thread(target=act) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["bearer"] + ["token has already been refreshed"] * 19


# -- the application token --


def test_an_application_token_has_no_end_and_no_refresh_token(bench):
    assert set(bench.app_token()) == {"access_token", "token_type"}


def test_a_new_application_token_revokes_the_earlier_one(bench):
    first = bench.app_token()["access_token"]
    bench.time += APP_TOKEN_PAUSE_SECONDS
    second = bench.app_token()["access_token"]
    assert (bad_access(bench, first), bad_access(bench, second)) == ("token_revoked", "user_auth_expected")


def test_an_application_token_needs_the_right_client(bench):
    assert refusal(bench.app_token, client_secret="x") == "account not found"
    assert refusal(bench.app_token, client_id="x") == "client_id or client_secret not found"


# -- the API --


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
    assert refusal(bench.refresh, pair["refresh_token"]) == "token was revoked"


def test_only_a_living_access_token_can_be_invalidated(bench):
    pair = bench.expired_pair()
    with pytest.raises(BadAccess):
        bench.provider.invalidate(pair["access_token"])
    assert bench.refresh(pair["refresh_token"])


# -- what tests may wish for --


def test_expired_now_means_refreshable_now(bench):
    pair = bench.pair()
    bench.provider.expire()
    assert bench.refresh(pair["refresh_token"])


def test_the_clock_can_be_put_ahead(bench):
    pair = bench.pair()
    bench.provider.advance(LIFE)
    assert bench.refresh(pair["refresh_token"])


def test_the_state_counts_pairs_and_commits(bench):
    old = bench.expired_pair()
    bench.refresh(old["refresh_token"])
    bench.pair()
    bench.time += LIFE - 1
    assert bench.provider.pairs() == {"token_has_already_been_refreshed": 1, "living": 2}
    assert bench.provider.committed == {"authorization_code": 2, "refresh_token": 1}


def test_nothing_secret_shows_in_a_record(bench):
    pair = bench.pair()
    shown = repr(list(bench.provider._by_refresh.values())) + repr(list(bench.provider._codes.values()))
    assert pair["access_token"] not in shown and pair["refresh_token"] not in shown


def test_old_things_are_forgotten_beyond_the_limit(monkeypatch, bench):
    monkeypatch.setattr("hhtoken.sandbox.provider.REMEMBERED", 3)
    first = bench.expired_pair()
    for _ in range(3):
        bench.pair()
    assert refusal(bench.refresh, first["refresh_token"]) == "token not found"
