"""The table of the token endpoint: every documented error, and the unknown ones by their class."""

import pytest

from hhtoken.provider import token_errors
from hhtoken.provider.token_errors import ACCOUNT, AUTHORIZE, DEAD, MISCONFIGURED, NOT_YET, judge
from hhtoken.provider.verdict import TRY_LATER, UNCLEAR

# headhunter-oauth.md, "Errors of the token endpoint": HTTP, error, error_description -> kind, exit code.
DOCUMENTED = [
    (400, "invalid_request", "account not found", MISCONFIGURED, 78),
    (400, "invalid_request", "account is locked", ACCOUNT, 77),
    (400, "invalid_request", "password invalidated", ACCOUNT, 77),
    (400, "invalid_request", "login not verified", ACCOUNT, 77),
    (400, "invalid_request", "bad redirect url", MISCONFIGURED, 78),
    (400, "invalid_request", "token is empty", AUTHORIZE, 77),
    (400, "invalid_request", "token not found", DEAD, 77),
    (400, "invalid_request", "code not found", AUTHORIZE, 77),
    (400, "invalid_client", "client_id or client_secret not found", MISCONFIGURED, 78),
    (400, "invalid_grant", "token has already been refreshed", DEAD, 77),
    (400, "invalid_grant", "token not expired", NOT_YET, 0),
    (400, "invalid_grant", "token was revoked", DEAD, 77),
    (400, "invalid_grant", "bad token", DEAD, 77),
    (400, "invalid_grant", "code has already been used", AUTHORIZE, 77),
    (400, "invalid_grant", "code expired", AUTHORIZE, 77),
    (400, "invalid_grant", "code was revoke", AUTHORIZE, 77),
    (400, "invalid_grant", "token deactivated", DEAD, 77),
    (400, "unsupported_grant_type", "unsupported grant_type", MISCONFIGURED, 78),
    (403, "forbidden", "app token refresh too early", TRY_LATER, 75),
]
BY_DESCRIPTION = pytest.mark.parametrize(
    "status, error, description, kind, exit_code", DOCUMENTED, ids=[row[2] for row in DOCUMENTED]
)


def refusal(error, description=None):
    return {"error": error, "error_description": description, "request_id": "1"}


# -- the nineteen --


@BY_DESCRIPTION
def test_every_documented_error_has_its_kind_and_exit_code(status, error, description, kind, exit_code):
    verdict = judge(status, refusal(error, description))
    assert (verdict.kind, verdict.exit_code) == (kind, exit_code)
    assert (verdict.error, verdict.description) == (error, description)


def test_the_table_holds_the_nineteen_documented_errors_and_no_other():
    assert len(DOCUMENTED) == 19
    assert {row[2] for row in DOCUMENTED} == set(token_errors.DOCUMENTED)


@BY_DESCRIPTION
def test_a_documented_error_is_known_in_other_letters_and_spacing(status, error, description, kind, exit_code):
    assert judge(status, refusal(error.upper(), f" {description.capitalize()} ")).kind == kind


@BY_DESCRIPTION
def test_every_documented_error_says_what_happened_and_what_to_do(status, error, description, kind, exit_code):
    verdict = judge(status, refusal(error, description))
    for text in (verdict.meaning, verdict.hint or "nothing"):
        assert text and "\n" not in text and not text.endswith(".")
    assert (verdict.hint is None) == (kind == NOT_YET)


@pytest.mark.parametrize(
    "description, words",
    [
        ("token not found", "hhtoken login"),
        ("token has already been refreshed", "hhtoken login"),
        ("token was revoked", "hhtoken login"),
        ("token deactivated", "hhtoken login"),
        ("code expired", "hhtoken login"),
        ("account is locked", "request id"),
        ("password invalidated", "hh.ru"),
        ("account not found", "HH_CLIENT_SECRET"),
        ("bad redirect url", "HH_REDIRECT_URI"),
        ("unsupported grant_type", "HH_TOKEN_URL"),
        ("app token refresh too early", "hhtoken refresh"),
    ],
)
def test_the_hint_names_the_next_step(description, words):
    assert words in judge(400, refusal("invalid_request", description)).hint


def test_a_description_without_an_error_class_kills_nothing():
    assert judge(400, {"error_description": "token not found"}).exit_code == 75


# -- unknown ones, by class --


@pytest.mark.parametrize("description", [None, "", "something new", "token not found?"])
@pytest.mark.parametrize(
    "error, exit_code",
    [
        ("invalid_grant", 77),
        ("invalid_client", 78),
        ("unauthorized_client", 78),
        ("unsupported_grant_type", 78),
        ("bad_user_agent", 78),
        ("server_error", 75),
        ("temporarily_unavailable", 75),
        ("invalid_request", 75),
        ("forbidden", 75),
        ("never_heard_of", 75),
        ("INVALID_CLIENT", 78),
    ],
)
def test_an_unknown_description_is_judged_by_its_class_and_never_dead(error, exit_code, description):
    verdict = judge(400, refusal(error, description))
    assert verdict.exit_code == exit_code
    assert verdict.kind not in (DEAD, NOT_YET)
    assert verdict.hint


@pytest.mark.parametrize(
    "fields, exit_code",
    [
        ({"errors": [{"type": "invalid_client"}]}, 78),
        ({"errors": [{"type": ["bad_user_agent"]}]}, 75),
        ({"error": 5}, 75),
        ({"error": ["invalid_grant"], "error_description": "token not found"}, 75),
        ({"error": "invalid_grant", "error_description": ["token not found"]}, 77),
    ],
)
def test_odd_types_kill_nothing(fields, exit_code):
    verdict = judge(400, fields)
    assert verdict.exit_code == exit_code and verdict.kind != DEAD


def test_a_403_of_oauth_in_words_that_nobody_documented_is_unclear_and_no_guard():
    assert judge(403, refusal("forbidden", "something new")).kind == UNCLEAR


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
def test_a_fault_that_the_provider_admits_is_weather(error):
    assert judge(400, refusal(error)).kind == TRY_LATER


def test_a_deactivated_token_names_the_usual_cause_as_no_more_than_that():
    assert "usually" in judge(400, refusal("invalid_grant", "token deactivated")).meaning
