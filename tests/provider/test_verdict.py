"""What both tables read alike: a status that needs no words, and HeadHunter's 403s in the form of its API."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.provider import api_errors, token_errors
from hhtoken.provider.answer import Answer
from hhtoken.provider.verdict import MISADDRESSED, REFUSED, TRY_LATER, UNCLEAR, printable


def by_api(status, fields=None, secrets=()):
    return api_errors.judge(Answer(status, json.dumps(fields).encode() if fields else b"<html>", True), secrets)


BOTH = pytest.mark.parametrize("judge", [token_errors.judge, by_api])


def refusal(kind, value=None, **more):
    return {"errors": [{"type": kind, **({"value": value} if value else {}), **more}]}


WORDS = [None, {"error": "invalid_grant", "error_description": "token not found"}, refusal("oauth", "token_revoked")]


@BOTH
@pytest.mark.parametrize("fields", WORDS)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599])
def test_of_bad_weather_only_the_status_counts(judge, status, fields):
    verdict = judge(status, fields)
    assert (verdict.kind, verdict.exit_code) == (TRY_LATER, 75) and str(status) in verdict.meaning
    assert status != 429 or "--force" not in verdict.hint, "that would prolong the limit"


@BOTH
@pytest.mark.parametrize("fields", WORDS)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_a_redirect_is_weather_and_points_at_the_address(judge, status, fields):
    verdict = judge(status, fields)
    assert (verdict.kind, verdict.exit_code) == (TRY_LATER, 75) and "redirect" in verdict.meaning
    assert "_URL" in verdict.hint


@BOTH
@pytest.mark.parametrize("fields", [None, {"errors": []}, {"errors": ["x", 5, {}, []]}, {"errors": {"type": "oauth"}}])
def test_a_403_without_words_of_headhunters_is_a_guard_and_hints_at_the_user_agent(judge, fields):
    verdict = judge(403, fields)
    assert (verdict.kind, verdict.exit_code) == (TRY_LATER, 75) and "guard" in verdict.meaning
    assert "HH_USER_AGENT" in verdict.hint


@BOTH
@pytest.mark.parametrize("status", [404, 405, 410])
def test_an_address_that_is_gone_is_a_matter_of_settings(judge, status):
    verdict = judge(status, refusal("not_found"))
    assert (verdict.kind, verdict.exit_code) == (MISADDRESSED, 78) and "_URL" in verdict.hint


@BOTH
@pytest.mark.parametrize("status", [100, 400, 401, 402, 406, 418, 422, 451, 499])
def test_an_answer_that_nobody_documented_is_unclear(judge, status):
    assert (judge(status, None).kind, judge(status, None).exit_code) == (UNCLEAR, 75)


# type, value, exit code, what of the meaning, what of the hint
FORBIDDEN = [
    ("manager_accounts", "used_manager_account_forbidden", 77, "manager account", "administrator"),
    ("manager_extra_accounts", "manager_extra_account_not_found", 77, "additional account", "X-Manager-Account-Id"),
    ("oauth", "application_auth_expected", 77, "the application's own", "app-token"),
    ("oauth", "no_scope", 77, "permission", "log in again"),
    ("oauth", "employer_on_additional_check_restricted", 77, "checking the employer", "manager at HeadHunter"),
    ("forbidden", "employer_on_additional_check_restricted", 77, "checking the employer", "manager at HeadHunter"),
    ("api_access_payment", "action_must_be_payed", 77, "not paid", "pay for it"),
    ("forbidden", None, 77, "forbids", "request id"),
    ("oauth", "user_auth_expected", 77, "application's", "hhtoken login"),
    ("oauth", "application_not_found", 78, "removed", "dev.hh.ru"),
    ("captcha_required", None, 77, "captcha", "browser"),
    ("bad_user_agent", "unset", 78, "saw no", "HH_USER_AGENT"),
    ("bad_user_agent", "blacklisted", 78, "blacklisted", "HH_USER_AGENT"),
    ("bad_user_agent", "new", 78, "refuses the User-Agent", "HH_USER_AGENT"),
    ("oauth", "something_new", 77, "refuses", "support"),
    ("something_new", None, 77, "refuses", "support"),
    ("vacancies", "view_limit_exceeded", 75, "limits the number", ""),
]


@BOTH
@pytest.mark.parametrize("kind, value, code, meaning, hint", FORBIDDEN)
def test_a_403_that_no_waiting_mends_says_so_in_its_own_words_and_never_kills_the_pair(
    judge, kind, value, code, meaning, hint
):
    for beside in ({}, {"description": "Forbidden", "oauth_error": "forbidden", "request_id": "1"}):
        verdict = judge(403, {**refusal(kind, value), **beside})
        assert verdict.exit_code == code and verdict.kind != token_errors.DEAD
        assert meaning in verdict.meaning and hint in verdict.hint and verdict.failure().exit_code == code
        assert (verdict.error, verdict.description) == (kind, value)
        assert verdict.words == f" [{kind}: {value}]" if value else f" [{kind}]"


@BOTH
def test_an_unknown_refusal_is_final_only_as_a_403_or_of_oauth(judge):
    assert judge(403, refusal("x", "y")).kind == judge(400, refusal("oauth", "y")).kind == REFUSED
    assert judge(400, refusal("x", "y")).kind == UNCLEAR


@BOTH
def test_one_known_error_among_others_decides(judge):
    fields = {"errors": [{"type": "odd", "value": 1}, 5, *refusal("oauth", "no_scope")["errors"]]}
    assert judge(403, fields).words == " [oauth: no_scope]"


@pytest.mark.parametrize(
    "fields",
    [
        {"oauth_error": "token-revoked"},
        {"oauth_error": "token-revoked", "description": "Forbidden"},
        {**refusal("oauth", "token_revoked"), "oauth_error": "token-revoked", "description": "Forbidden"},
    ],
)
def test_each_form_of_a_403_is_read(fields):
    assert (by_api(403, fields).kind, by_api(403, fields).exit_code) == ("token_revoked", 77)
    verdict = token_errors.judge(403, fields)
    assert (verdict.kind, verdict.exit_code, verdict.description) == (token_errors.DEAD, 77, "token_revoked")


@pytest.mark.parametrize("value", ["token_expired", "bad_authorization"])
def test_what_the_token_endpoint_says_of_an_access_token_does_not_kill_the_refresh_token(value):
    verdict = token_errors.judge(403, refusal("oauth", value))
    assert (verdict.kind, verdict.exit_code) == (REFUSED, 77) and "hhtoken login" in verdict.hint


@BOTH
def test_the_address_of_a_captcha_is_shown_whole_and_without_secrets(judge):
    address = "https://hh.ru/account/captcha?state=" + "x" * 400
    assert f"open {address} in a browser" in judge(403, refusal("captcha_required", captcha_url=address)).hint
    assert address in judge(403, refusal("captcha_required", "captcha_required", captcha_url=address)).hint
    odd = judge(403, refusal("captcha_required", captcha_url="\x1b[2J CANARY-0"), secrets=("CANARY-0",))
    assert odd.hint.isprintable() and "CANARY" not in odd.hint


# -- the provider's words, made safe --


@pytest.mark.parametrize(
    "text, shown",
    [
        (None, None),
        ("", None),
        (5, None),
        (["x"], None),
        ("plain words ~!", "plain words ~!"),
        ("a\nb\r\tc", "a?b??c"),
        ("\x1b[31mred\x7f", "?[31mred?"),
        ("\u043f\u0440\u0438\u0432\u0435\u0442\ud800", "???????"),
        ("x" * 201, "x" * 200),
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
    shown = printable("".join(pieces), [*secrets, None]) or ""
    assert len(shown) <= 200 and all(" " <= character <= "~" for character in shown)
    assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize("before", [0, 180, 192, 199])
def test_a_secret_is_hidden_each_time_and_not_cut_open_at_the_end(before):
    assert "CAN" not in printable("x" * before + "CANARY-CANARY and CANARY-CANARY", ["CANARY-CANARY"])


@BOTH
def test_a_verdict_repeats_no_secret_that_the_provider_echoes(judge):
    for fields in (refusal("CANARY-0", "x CANARY-0"), {"error": "bad CANARY-0", "error_description": "CANARY-0"}):
        verdict = judge(403, fields, ("CANARY-0",))
        assert "CANARY-0" not in verdict.meaning + verdict.hint + verdict.error + verdict.description
        assert "[hidden]" in verdict.error


ODD = st.none() | st.integers() | st.text(max_size=300) | st.lists(st.text(max_size=5), max_size=2)
ODD = ODD | st.lists(st.dictionaries(st.sampled_from(["type", "value", "captcha_url"]), ODD, max_size=3), max_size=2)
NAMES = st.sampled_from(["error", "error_description", "errors", "oauth_error", "x"])


@QUICK
@given(st.integers(100, 199) | st.integers(300, 999), st.dictionaries(NAMES, ODD, max_size=4))
def test_any_answer_gets_a_verdict_with_printable_words(status, fields):
    for judge in (token_errors.judge, by_api):
        verdict = judge(status, fields)
        assert verdict.exit_code in (0, 69, 75, 77, 78)
        assert verdict.exit_code == 0 or verdict.hint
        for words in (verdict.error, verdict.description):
            assert words is None or (len(words) <= 200 and words.isascii() and words.isprintable())
