"""What a refresh came to, judged from the answer and from how things stood before."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import NOW, QUICK

from hhtoken import errors
from hhtoken.pair import Pair
from hhtoken.provider.answer import Answer
from hhtoken.renewal import judgement, report
from hhtoken.store import record
from hhtoken.store.record import Record

DAY = 24 * 3600
INTENT = {"kind": "refresh", "refresh_token_sha256": "f" * 64, "started_at": NOW - 5}
LOST = Answer(failure="the connection broke")
GARBAGE = Answer(200, b"<html>", True)
CANARY = "canary-0123456789"


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def refusal(description, error="invalid_grant", status=400, **details):
    body = json.dumps({"error": error, "error_description": description}).encode()
    return Answer(status, body, True, **details)


def weather(status=503, **details):
    return Answer(status, b"<html>", True, **details)


NOT_YET = refusal("token not expired")
ALREADY = refusal("token has already been refreshed")
UNCLEAR = refusal("something new", "invalid_request")
UNKNOWN_GRANT = refusal("something new")
API_403 = '{"errors": [{"type": "%s", "value": "%s", "captcha_url": "https://hh.ru/c"}]}'


def series(*answers, pause=60, last=None, now=NOW):
    """Judge answers that came one after the other; return the Records."""
    found = []
    for answer in answers:
        last = judgement.judge(answer, INTENT, last, now)
        found.append(last)
        now += pause
    return found


# -- what an answer comes to --


@pytest.mark.parametrize(
    "answer, outcome, exit_code, dead",
    [
        (Answer(), record.OUTCOME_UNKNOWN, 75, False),
        (LOST, record.OUTCOME_UNKNOWN, 75, False),
        (Answer(0, b'{"access_tok'), record.OUTCOME_UNKNOWN, 75, False),
        (Answer(200, b""), record.OUTCOME_UNKNOWN, 75, False),
        (Answer(200, b'{"access_token": "A'), record.OUTCOME_UNKNOWN, 75, False),
        (Answer(299, b"x"), record.OUTCOME_UNKNOWN, 75, False),
        (Answer(200, b"", True), record.NONSENSE, 65, False),
        (GARBAGE, record.NONSENSE, 65, False),
        (Answer(204, b"", True), record.NONSENSE, 65, False),
        (Answer(200, b'{"access_token": "a\\nb"}', True), record.NONSENSE, 65, False),
        (NOT_YET, record.NOT_YET, 0, False),
        (ALREADY, record.AUTHORIZATION_NEEDED, 77, True),
        (Answer(403, (API_403 % ("oauth", "token_revoked")).encode(), True), record.AUTHORIZATION_NEEDED, 77, True),
        (Answer(403, (API_403 % ("oauth", "no_scope")).encode(), True), record.AUTHORIZATION_NEEDED, 77, False),
        (Answer(403, (API_403 % ("oauth", "application_not_found")).encode(), True), record.MISCONFIGURED, 78, False),
        (refusal("code expired"), record.AUTHORIZATION_NEEDED, 77, False),
        (refusal("account is locked", "invalid_request"), record.AUTHORIZATION_NEEDED, 77, False),
        (refusal("account not found", "invalid_request"), record.MISCONFIGURED, 78, False),
        (UNKNOWN_GRANT, record.AUTHORIZATION_NEEDED, 77, False),
        (UNCLEAR, record.UNCLEAR, 75, False),
        (weather(403), record.TRY_LATER, 75, False),
        (weather(429), record.TRY_LATER, 75, False),
        (weather(503), record.TRY_LATER, 75, False),
        (refusal("token not found", status=503), record.TRY_LATER, 75, False),
        (Answer(503, b'{"err'), record.TRY_LATER, 75, False),
        (Answer(300, b""), record.TRY_LATER, 75, False),
        (Answer(302, b"", True), record.TRY_LATER, 75, False),
        (Answer(199, b"", True), record.UNCLEAR, 75, False),
        (Answer(404, b"", True), record.MISCONFIGURED, 78, False),
    ],
)
def test_an_answer_without_a_pair_comes_to(answer, outcome, exit_code, dead):
    found = judgement.judge(answer, INTENT, None, NOW)
    assert (found.outcome, found.exit_code, found.dead) == (outcome, exit_code, dead)
    assert (found.at, found.failing_since, found.failures) == (NOW, NOW, 1)
    assert (found.http_status, found.refresh_token_sha256) == (answer.status or None, "f" * 64)
    assert bool(found.hint) == (outcome != record.NOT_YET)


def test_a_lost_answer_is_called_an_unknown_outcome_and_says_why():
    found = judgement.judge(LOST, INTENT, None, NOW)
    assert found.message.startswith("outcome unknown: ")
    assert "(the connection broke)" in found.message
    assert "hhtoken refresh" in found.hint
    assert "the run was interrupted" in judgement.judge(Answer(), INTENT, None, NOW).message


def test_nonsense_says_that_it_is_kept_aside():
    assert "kept aside" in judgement.judge(GARBAGE, INTENT, None, NOW).message
    too_large = Answer(200, b"x", True, failure="larger than 64 KiB")
    assert "larger than 64 KiB" in judgement.judge(too_large, INTENT, None, NOW).message


@pytest.mark.parametrize(
    "answer, ending",
    [
        (refusal("token deactivated", request_id="abc-1"), " [invalid_grant: token deactivated] (request id abc-1)"),
        (refusal(None, "x"), " [x]"),
        (Answer(400, b'{"error": "x", "request_id": "in-body"}', True), " [x] (request id in-body)"),
        (weather(503), " answered 503"),
        (NOT_YET, "does not renew it yet"),
        (Answer(302, b"", True, location_host="evil.example"), ", to evil.example"),
    ],
)
def test_the_providers_own_words_stand_in_the_message_where_there_are_any(answer, ending):
    assert judgement.judge(answer, INTENT, None, NOW).message.endswith(ending)


@pytest.mark.parametrize(
    "answer, kind, hint",
    [
        (
            refusal("client_id or client_secret not found", "invalid_client"),
            "refresh",
            "check the application on dev.hh",
        ),
        (refusal("new", "invalid_client"), "refresh", "check the application on dev.hh"),
        (refusal("account not found", "invalid_request"), "code", "compare HH_CLIENT_ID and HH_CLIENT_SECRET"),
        (Answer(404, b"", True), "code", "check HH_TOKEN_URL"),
        (weather(429), "refresh", "wait"),
        (weather(503), "refresh", "hhtoken refresh"),
        (Answer(403, (API_403 % ("captcha_required", "x")).encode(), True), "refresh", "open https://hh.ru/c in"),
        (Answer(403, (API_403 % ("captcha_required", "x")).encode(), True), "code", "open https://hh.ru/c in"),
        (refusal("something new"), "code", "type 'hhtoken login'"),
    ],
)
def test_the_hint_helps_against_this_refusal_of_this_request(answer, kind, hint):
    found = judgement.judge(answer, {**INTENT, "kind": kind}, None, NOW)
    assert hint in found.hint and (kind != "code" or found.hint.endswith(errors.HINT_AUTHORIZE))
    if kind == "refresh":  # which sends neither of them
        assert "HH_CLIENT" not in found.hint and "secret" not in found.message.partition(" [")[0]
    if answer.status == 429:
        paused = report.standing(PAIR, judgement.judge(weather(429, retry_after="9"), INTENT, None, NOW), NOW + 1)
        assert "--force" not in found.hint + paused.hint


# -- may it have been spent? --


@pytest.mark.parametrize(
    "answer, is_own_word",
    [
        *((answer, False) for answer in (Answer(), LOST, Answer(200, b"{"), GARBAGE)),
        *((weather(status), False) for status in (403, 500, 502, 599)),
        (refusal("x", "server_error", 503), False),
        *((answer, True) for answer in (NOT_YET, UNCLEAR, UNKNOWN_GRANT, ALREADY)),
        *((refusal("x", error, status), True) for error, status in (("forbidden", 403), ("slow_down", 429))),
    ],
)
@pytest.mark.parametrize("earlier", [0, NOW - 500])
def test_the_token_may_be_spent_unless_the_provider_itself_says_no(answer, is_own_word, earlier):
    found = judgement.judge(answer, INTENT, None, NOW)
    assert found.perhaps_spent_at == (0 if is_own_word else NOW - 5)
    assert is_own_word or judgement.judge(answer, {}, None, NOW + 0.5).perhaps_spent_at == NOW
    found.perhaps_spent_at = earlier
    assert record.may_have_spent(found) == (not is_own_word or answer is ALREADY), "whatever an earlier one did"


def test_a_request_that_did_not_leave_has_spent_nothing():
    offline = judgement.not_sent(errors.TryLaterError("no connection", "hint"), INTENT, None, NOW)
    assert not record.may_have_spent(offline) and record.may_have_spent(Record(outcome=record.RENEWED))


def test_the_first_lost_answer_is_the_one_that_counts():
    first, second = series(LOST, LOST)
    assert second.perhaps_spent_at == first.perhaps_spent_at == NOW - 5
    later = judgement.judge(LOST, {**INTENT, "started_at": NOW + 500}, second, NOW + 505)
    assert later.perhaps_spent_at == NOW - 5


@pytest.mark.parametrize(
    "before",
    [[LOST], [Answer()], [GARBAGE], [weather(502)], [LOST, weather(429)], [LOST, UNCLEAR], [LOST, LOST, weather(403)]],
)
def test_already_refreshed_after_a_lost_answer_is_our_own_doing(before):
    found = series(*before, ALREADY)[-1]
    assert found.message.startswith("the answer to the refresh of 2023-11-14 22:13:15 +0000 was lost on the way")
    assert "someone else" not in found.message
    assert "who else" not in found.hint and "hhtoken login" in found.hint
    assert (found.outcome, found.exit_code, found.dead) == (record.AUTHORIZATION_NEEDED, 77, True)


@pytest.mark.parametrize("before", [[], [NOT_YET], [UNKNOWN_GRANT], [UNCLEAR], [refusal("x", "slow_down", 429)]])
def test_already_refreshed_without_a_lost_answer_is_somebody_elses(before):
    found = series(*before, ALREADY)[-1]
    assert found.message.startswith("someone else has used this refresh token")
    assert "lost" not in found.message
    assert "find who else" in found.hint and "hhtoken login" in found.hint
    assert (found.outcome, found.exit_code, found.dead) == (record.AUTHORIZATION_NEEDED, 77, True)


@pytest.mark.parametrize("words", ["token deactivated", "token not found", "something new"])
def test_another_refusal_after_a_lost_answer_speaks_for_itself(words):
    assert series(LOST, refusal(words))[-1].message == series(refusal(words))[-1].message


def test_a_network_failure_in_between_does_not_forget_the_lost_answer():
    lost = series(LOST)[0]
    offline = judgement.not_sent(errors.TryLaterError("cannot reach hh.ru"), INTENT, lost, NOW + 60)
    assert "was lost on the way" in judgement.judge(ALREADY, INTENT, offline, NOW + 120).message


def test_not_yet_proves_that_the_lost_request_did_not_spend_the_token():
    assert "someone else" in series(LOST, NOT_YET, ALREADY)[-1].message


# -- pauses --


def waits(*answers, **options):
    return [found.not_before and found.not_before - found.at for found in series(*answers, **options)]


OUTAGE = [0] * 10 + [60, 120, 300, 600, 900, 900]


@pytest.mark.parametrize(
    "answers, expected",
    [
        ([NOT_YET] * 5, [5, 60, 1800, 1800, 1800]),
        ([UNCLEAR] * 6, [0, 60, 300, 900, 3600, 3600]),
        ([UNKNOWN_GRANT] * 5, [60, 300, 900, 3600, 3600]),
        ([weather(), weather(), weather(429), weather(403), LOST, GARBAGE], [0] * 6),
        ([weather()] * 16, OUTAGE),
        ([LOST] * 16, OUTAGE),
        ([NOT_YET, NOT_YET, UNCLEAR, UNCLEAR, NOT_YET], [5, 60, 0, 60, 5]),
        ([weather()] * 5 + [UNCLEAR], [0] * 6),
    ],
)
def test_pauses_grow_in_a_row_of_the_same_outcome_and_start_afresh_with_another(answers, expected):
    assert waits(*answers) == expected


@pytest.mark.parametrize(
    "answer, seconds",
    [
        (weather(503, retry_after="120"), 120),
        (weather(429, retry_after="120"), 120),
        (weather(429, retry_after="0"), 1),
        (weather(429, retry_after="99999999"), 3600),
        (weather(429, retry_after="Tue, 14 Nov 2023 22:15:20 GMT"), 120),
        (weather(429, retry_after="soon"), 0),
        (refusal("something new", "invalid_request", retry_after="7"), 7),
        (refusal("token not expired", retry_after="3000"), 5),
    ],
)
def test_retry_after_is_honoured_except_by_a_quiet_not_yet(answer, seconds):
    assert waits(answer) == [seconds]


def test_a_fraction_of_a_second_does_not_get_into_the_record():
    found = judgement.judge(UNCLEAR, INTENT, series(UNCLEAR)[0], NOW + 60.75)
    assert [type(getattr(found, name)) for name in ("at", "not_before", "failing_since", "perhaps_spent_at")] == [
        int
    ] * 4
    assert record.from_text(record.to_text(found)).as_dict() == found.as_dict()


# -- patience --


@pytest.mark.parametrize(
    "seconds, exit_code, words",
    [
        (60, 75, "hhtoken refresh"),
        (DAY, 75, "hhtoken refresh"),
        (DAY + 1, 77, "hhtoken login"),
        (9 * DAY, 77, "hhtoken login"),
    ],
)
def test_an_unclear_answer_becomes_a_humans_matter_after_a_day(seconds, exit_code, words):
    found = series(UNCLEAR, UNCLEAR, pause=seconds)[-1]
    assert (found.exit_code, found.dead) == (exit_code, False)
    assert words in found.hint


@pytest.mark.parametrize("answer", [weather(503), weather(429), weather(403), LOST], ids=["503", "429", "403", "lost"])
def test_weather_stays_weather_however_long_it_lasts(answer):
    assert series(*[answer] * 10, pause=DAY)[-1].exit_code == 75


def test_one_unclear_answer_after_days_of_anything_else_is_no_humans_matter():
    assert series(weather(), weather(), weather(), UNCLEAR, pause=DAY)[-1].exit_code == 75
    last = None
    for day in range(3):
        last = judgement.not_sent(errors.TryLaterError("cannot reach hh.ru"), INTENT, last, NOW + day * DAY)
    assert judgement.judge(UNCLEAR, INTENT, last, NOW + 3 * DAY).exit_code == 75
    assert judgement.judge(UNCLEAR, INTENT, series(UNCLEAR)[0], NOW - 10 * DAY).exit_code == 75, "a clock leapt back"


def test_failures_alike_are_counted_in_a_row():
    found = series(LOST, LOST, weather(), weather(), weather(), NOT_YET)
    assert [one.failures for one in found] == [1, 2, 1, 2, 3, 1]
    assert [one.failing_since - NOW for one in found] == [0, 0, 120, 120, 120, 300]


# -- secrets --


@pytest.mark.parametrize(
    "answer",
    [
        refusal(f"token {CANARY} not found"),
        refusal("new", f"bad_{CANARY}"),
        refusal("token not expired", request_id=CANARY),
        weather(503, request_id=f"id-{CANARY}-id"),
        Answer(302, b"", True, location_host=f"{CANARY}.example"),
        Answer(400, json.dumps({"errors": [{"type": CANARY}]}).encode(), True),
        Answer(200, CANARY.encode(), True),
    ],
    ids=["description", "error", "request id", "request id of weather", "redirect", "API form", "body"],
)
def test_no_record_repeats_a_secret_that_the_provider_echoes(answer):
    found = judgement.judge(answer, INTENT, None, NOW, secrets=(CANARY,))
    assert CANARY not in record.to_text(found).decode()


def test_a_host_name_hides_a_secret_in_small_letters_too():
    answer = Answer(302, b"", True, location_host="canary-0123456789.example")
    found = judgement.judge(answer, INTENT, None, NOW, secrets=("Canary-0123456789",))
    assert found.message.endswith(", to [hidden].example")


def test_not_even_the_record_of_a_success_repeats_a_token():
    pair = Pair({"access_token": CANARY, "refresh_token": CANARY[::-1]}, NOW, NOW + 60)
    found = judgement.saved(record.RENEWED, "renewed", pair, Answer(200, b"", True, request_id=CANARY), "f")
    assert CANARY not in record.to_text(found).decode()


@QUICK
@given(
    st.integers(0, 999),
    st.booleans(),
    st.binary(max_size=20)
    | st.dictionaries(
        st.sampled_from(["error", "error_description", "errors"]), st.text(max_size=20) | st.just(CANARY), max_size=3
    ).map(lambda fields: json.dumps(fields).encode()),
    st.none() | st.text(max_size=20) | st.just(CANARY),
)
def test_any_answer_gets_a_record_of_one_printable_line(status, complete, body, request_id):
    answer = Answer(status, body, complete, request_id=request_id, retry_after=request_id)
    found = judgement.judge(answer, INTENT, series(LOST)[0], NOW, (CANARY,))
    assert found.exit_code in (0, 65, 75, 77, 78)
    assert found.message.isascii() and found.message.isprintable()
    assert CANARY not in record.to_text(found).decode()
    assert not found.dead or found.error_description


# -- before and besides an answer --


PAIR = Pair({"access_token": "ACCESS", "refresh_token": "REFRESH"}, NOW - 1000, NOW)


def test_a_due_refresh_has_no_standing():
    assert report.standing(PAIR, None, NOW) is None
    assert report.standing(PAIR, None, NOW - 10, force=True) is None
    assert report.standing(PAIR, series(LOST)[0], NOW + 1) is None
    assert report.standing(PAIR, series(NOT_YET)[0], NOW + 5) is None


def test_nothing_is_due_before_expiry_and_that_is_no_failure():
    found = report.standing(PAIR, None, NOW - 10)
    assert (found.outcome, found.exit_code, found.not_before) == (record.NOT_DUE, 0, NOW)


def test_an_expired_token_without_refresh_token_needs_a_human():
    found = report.standing(Pair({"access_token": "ACCESS"}, NOW - 1000, NOW), None, NOW)
    assert (found.outcome, found.exit_code) == (record.AUTHORIZATION_NEEDED, 77)
    assert "hhtoken login" in found.hint


@pytest.mark.parametrize("answer", [ALREADY, NOT_YET])
def test_what_nobody_can_hasten_stands_as_it_was(answer):
    last = series(answer)[0]
    assert report.standing(PAIR, last, NOW + 1) is last


def test_during_a_pause_the_last_outcome_stands_and_says_until_when():
    last = series(UNKNOWN_GRANT)[0]
    before = last.as_dict()
    found = report.standing(PAIR, last, NOW + 1)
    assert (found.outcome, found.exit_code, found.not_before) == (last.outcome, last.exit_code, NOW + 60)
    assert found.message.startswith(last.message) and "2023-11-14 22:14:20" in found.message
    assert "--force" in found.hint and last.hint in found.hint
    assert last.as_dict() == before


def test_a_pause_under_an_implausible_clock_says_until_when_too():
    last = judgement.judge(weather(503, retry_after="900"), INTENT, None, NOW - 30 * DAY)
    found = report.standing(PAIR, last, NOW - 30 * DAY + 1)
    assert (found.outcome, found.exit_code) == (last.outcome, last.exit_code)
    assert "1970" not in found.message and "2023-10-15 22:28:20" in found.message


def test_a_pair_that_never_left_is_not_spent():
    found = judgement.not_sent(errors.TryLaterError("cannot reach hh.ru", "check the network"), INTENT, None, NOW)
    assert (found.outcome, found.exit_code, found.perhaps_spent_at, found.dead) == (record.TRY_LATER, 75, 0, False)
    assert (found.message, found.hint, found.refresh_token_sha256) == (
        "cannot reach hh.ru",
        "check the network; then type 'hhtoken refresh'",
        "f" * 64,
    )


def test_a_saved_pair_is_remembered_with_the_request_id():
    answer = Answer(200, b"", True, request_id="abc\n1")
    found = judgement.saved(record.RENEWED, "renewed the pair", PAIR, answer, "f" * 64)
    assert (found.outcome, found.exit_code, found.at) == (record.RENEWED, 0, NOW - 1000)
    assert (found.message, found.request_id) == ("renewed the pair (request id abc?1)", "abc?1")
    assert (found.http_status, found.refresh_token_sha256, found.perhaps_spent_at) == (200, "f" * 64, 0)
    assert judgement.saved(record.AUTHORIZED, "imported", PAIR, Answer(), "f").http_status is None


@pytest.mark.parametrize("received_at, at", [(NOW, NOW), (None, NOW - 1000), ("today", NOW - 1000)])
def test_a_saved_pair_is_remembered_at_the_time_of_its_answer(received_at, at):
    found = judgement.saved(record.AUTHORIZED, "imported", PAIR, Answer(received_at=received_at), "f")
    assert (found.at, found.lives_until) == (at, PAIR.expires_at)


# -- how long does it live, if our clock was set in between? --

CLOCK_OF_THE_PROVIDER = "Tue, 14 Nov 2023 22:13:20 GMT"  # NOW


def dated(description, date, now):
    """The Record of a refusal with a Date header, for a pair that was issued with the provider's clock 500 s ahead."""
    life = Pair({"access_token": "ACCESS", "refresh_token": "REFRESH"}, NOW - 1500, NOW - 500)
    issued = judgement.saved(
        record.RENEWED, "renewed", life, Answer(200, b"", True, date="Tue, 14 Nov 2023 21:56:40 GMT"), "f"
    )
    return judgement.judge(refusal(description, date=date), INTENT, issued, now, (), life)


def test_the_providers_clock_tells_how_much_of_the_life_is_left():
    """Issued at NOW - 1000 by the provider's clock, for 1000 seconds; it is NOW - 100 there, and NOW + 10 here."""
    found = dated("token not expired", "Tue, 14 Nov 2023 22:11:40 GMT", NOW + 10)
    assert found.provider_ahead == 500
    assert found.lives_until == NOW + 10 + 100
    assert found.not_before == NOW + 10 + 102


def test_a_long_life_is_not_waited_out_in_one_go_since_our_clock_may_be_set_again():
    found = dated("token not expired", "Tue, 14 Nov 2023 21:56:41 GMT", NOW + 10)
    assert found.lives_until == NOW + 10 + 999
    last = Record(outcome=record.RENEWED, provider_ahead=0)
    pair = Pair({"access_token": "ACCESS", "refresh_token": "REFRESH"}, NOW, NOW + 14 * DAY)
    soon = judgement.judge(refusal("token not expired", date=CLOCK_OF_THE_PROVIDER), INTENT, last, NOW, (), pair)
    assert (soon.lives_until, soon.not_before) == (NOW + 14 * DAY, NOW + 1200)


@pytest.mark.parametrize("date", [None, "yesterday", "Fri, 31 Dec 9999 23:59:59 GMT", CLOCK_OF_THE_PROVIDER])
def test_without_a_usable_date_the_token_lives_for_the_pause(date):
    found = dated("token not expired", date, NOW + 10)
    assert found.lives_until == found.not_before == NOW + 10 + 5


def test_only_not_yet_prolongs_a_life():
    assert dated("something new", "Tue, 14 Nov 2023 22:11:40 GMT", NOW + 10).lives_until == 0


@pytest.mark.parametrize("left", [14 * DAY, 60])
def test_not_yet_for_a_token_that_the_api_refuses_asks_again_soon_and_hands_it_out_meanwhile(left):
    """What we had computed is wrong, and so is what the Date makes of it."""
    pair = Pair({"access_token": "ACCESS", "refresh_token": "REFRESH"}, NOW, NOW + left)
    last = Record(outcome=record.NOT_DUE, refused="token_expired")
    for pause in (5, 60, 1800):
        last = judgement.judge(refusal("token not expired", date=CLOCK_OF_THE_PROVIDER), INTENT, last, NOW, (), pair)
        assert (last.not_before, last.lives_until, last.refused) == (NOW + pause, NOW + left, "token_expired")
    assert report.standing(pair, last, NOW + 1800) is None, "due again"


# -- in one sentence --


@pytest.mark.parametrize(
    "one, sentence",
    [
        (Record(outcome=record.TRY_LATER, message="no luck", exit_code=75, not_before=NOW), "no luck"),
        (Record(outcome=record.NOT_DUE, message="nothing is due", not_before=NOW), "nothing is due until 2023-11-14 "),
        (Record(outcome=record.NOT_YET, message="not yet"), "not yet"),
        (Record(outcome=record.RENEWED, message="renewed", lives_until=NOW), "is valid until 2023-11-14 "),
    ],
)
def test_what_a_refresh_came_to_is_one_sentence_with_the_time_that_counts(one, sentence):
    said = judgement.sentence_of(one)
    assert sentence in said and said.startswith(one.message)
    assert ("2023" in said) == ("2023" in sentence)
