"""The provider's table of errors: every documented one, the unknown ones by their class, and the weather."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.provider import token_errors
from hhtoken.provider.token_errors import ACCOUNT, AUTHORIZE, DEAD, MISCONFIGURED, NOT_YET, judge
from hhtoken.provider.verdict import MISADDRESSED, TRY_LATER, UNCLEAR, printable

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
        ({"errors": [{"type": "bad_user_agent", "value": "unset"}]}, 78),
        ({"errors": [{"type": "bad_user_agent", "value": "blacklisted"}], "description": "x"}, 78),
        ({"errors": [{"type": "oauth", "value": "token_revoked"}]}, 75),
        ({"errors": []}, 75),
        ({"errors": ["bad_user_agent"]}, 75),
        ({"errors": {"type": "bad_user_agent"}}, 75),
        ({"errors": [{"type": ["bad_user_agent"]}]}, 75),
        ({"error": 5}, 75),
        ({"error": ["invalid_grant"], "error_description": "token not found"}, 75),
        ({"error": "invalid_grant", "error_description": ["token not found"]}, 77),
        ({}, 75),
        (None, 75),
    ],
)
def test_the_apis_own_form_and_odd_types_are_read(fields, exit_code):
    verdict = judge(400, fields)
    assert verdict.exit_code == exit_code
    assert verdict.kind != DEAD


@pytest.mark.parametrize("status", [100, 400, 401, 402, 406, 418, 422, 451, 499])
def test_an_answer_that_nobody_documented_is_unclear(status):
    assert judge(status, None).kind == UNCLEAR
    assert judge(status, None).exit_code == 75


def test_a_403_with_words_that_nobody_documented_is_unclear_and_no_guard():
    assert judge(403, refusal("forbidden", "something new")).kind == UNCLEAR


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
def test_a_fault_that_the_provider_admits_is_weather(error):
    assert judge(400, refusal(error)).kind == TRY_LATER


# -- weather --


@pytest.mark.parametrize("fields", [None, {}, *[refusal(row[1], row[2]) for row in DOCUMENTED]])
@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599])
def test_of_bad_weather_only_the_status_counts(status, fields):
    assert (judge(status, fields).kind, judge(status, fields).exit_code) == (TRY_LATER, 75)
    assert str(status) in judge(status, fields).meaning


@pytest.mark.parametrize("fields", [None, refusal("invalid_grant", "token not found")])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_a_redirect_is_weather_and_points_at_the_address(status, fields):
    verdict = judge(status, fields)
    assert (verdict.kind, verdict.exit_code) == (TRY_LATER, 75)
    assert "HH_TOKEN_URL" in verdict.hint


def test_the_guards_html_page_is_weather_and_hints_at_the_user_agent():
    verdict = judge(403, None)
    assert (verdict.kind, verdict.exit_code) == (TRY_LATER, 75)
    assert "HH_USER_AGENT" in verdict.hint


@pytest.mark.parametrize("status", [404, 405, 410])
def test_an_address_that_is_gone_is_a_matter_of_settings(status):
    verdict = judge(status, None)
    assert (verdict.kind, verdict.exit_code) == (MISADDRESSED, 78)
    assert "HH_TOKEN_URL" in verdict.hint


# -- the provider's words, made safe --


@pytest.mark.parametrize(
    "text, shown",
    [
        (None, None),
        ("", None),
        (5, None),
        (True, None),
        (["x"], None),
        ({"x": "y"}, None),
        ("plain words ~!", "plain words ~!"),
        ("a\nb\r\tc", "a?b??c"),
        ("\x1b[31mred\x7f", "?[31mred?"),
        ("\u043f\u0440\u0438\u0432\u0435\u0442\ud800", "???????"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200),
        ("x" * 1_000_000, "x" * 200),
    ],
    ids=lambda value: ascii(value)[:16],
)
def test_words_of_the_provider_are_cut_and_filtered(text, shown):
    assert printable(text) == shown


SECRETS = st.lists(st.text("abcdefghijkXYZ0123456789-_", min_size=8, max_size=80), min_size=1, max_size=3)


@QUICK
@given(st.data())
def test_printable_never_leaks_a_secret(data):
    secrets = data.draw(SECRETS)
    pieces = data.draw(st.lists(st.text(max_size=120) | st.sampled_from(secrets), max_size=6))
    shown = printable("".join(pieces), secrets) or ""
    assert len(shown) <= 200 and all(" " <= character <= "~" for character in shown)
    assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize("before", range(180, 200))
def test_a_secret_at_the_cut_does_not_leak_its_beginning(before):
    assert "CAN" not in printable("x" * before + "CANARY-CANARY", ["CANARY-CANARY"])


def test_a_secret_is_hidden_each_time_it_is_repeated():
    assert printable("CANARY-0 and CANARY-0", ["CANARY-0"]) == "[hidden] and [hidden]"


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_absent_secret_hides_nothing(nothing):
    assert printable("words", [nothing]) == "words"


def test_a_verdict_repeats_no_secret_that_the_provider_echoes():
    verdict = judge(400, {"error": "bad CANARY-0", "error_description": "token CANARY-0 not found"}, ["CANARY-0"])
    assert (verdict.error, verdict.description) == ("bad [hidden]", "token [hidden] not found")
    assert "CANARY-0" not in verdict.meaning + verdict.hint
    assert judge(400, {"errors": [{"type": "CANARY-0"}]}, ["CANARY-0"]).error == "[hidden]"


ODD_VALUES = st.none() | st.integers() | st.text(max_size=300) | st.lists(st.text(max_size=5), max_size=2)


@QUICK
@given(
    st.integers(100, 999),
    st.none() | st.dictionaries(st.sampled_from(["error", "error_description", "errors", "x"]), ODD_VALUES, max_size=4),
)
def test_any_answer_gets_a_verdict_with_printable_words(status, fields):
    verdict = judge(status, fields)
    assert verdict.exit_code in (0, 75, 77, 78)
    assert verdict.exit_code == 0 or verdict.hint
    for words in (verdict.error, verdict.description):
        assert words is None or (len(words) <= 200 and words.isascii() and words.isprintable())
