"""What the last refresh came to, to and from its file; damage must never stop the next run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken import errors
from hhtoken.commands import status_screen
from hhtoken.pair import Pair
from hhtoken.provider.answer import Answer
from hhtoken.renewal import judgement, report
from hhtoken.renewal.timers import Renewers
from hhtoken.store import record
from hhtoken.store.record import Record
from hhtoken.text import N_

WORDS = st.none() | st.text(max_size=30)
NUMBERS = st.integers(0, 2**40 - 1)
RECORDS = st.builds(
    Record,
    outcome=st.sampled_from(record.OUTCOMES),
    at=NUMBERS,
    message=st.text(min_size=1, max_size=30),
    hint=WORDS,
    exit_code=st.sampled_from([0, 65, 75, 77, 78]),
    error=WORDS,
    error_description=WORDS,
    http_status=st.none() | st.integers(100, 599),
    request_id=WORDS,
    refresh_token_sha256=WORDS,
    dead=st.booleans(),
    not_before=NUMBERS,
    failures=NUMBERS,
    failing_since=NUMBERS,
    perhaps_spent_at=NUMBERS,
    provider_ahead=st.integers(-1000, 1000),
    lives_until=NUMBERS,
)
SAMPLES = {bool: True, int: 7}
FULL = Record(
    **{
        **{name: SAMPLES.get(type(default), "words") for name, default in record.DEFAULTS.items()},
        "outcome": record.AUTHORIZATION_NEEDED,
        "exit_code": 77,
        "http_status": 400,
    }
)


@QUICK
@given(RECORDS)
def test_what_is_written_reads_back_the_same(one):
    assert record.from_text(record.to_text(one)).as_dict() == one.as_dict()


def test_a_sentence_that_is_read_back_can_still_be_said_in_another_language():
    sentence = N_("nothing is due until {until}", until="noon")
    found = record.from_text(record.to_text(Record(outcome=record.NOT_DUE, message=sentence, hint=sentence)))
    for one in (found.message, found.hint):
        assert (one, one.template, one.values) == (sentence, sentence.template, sentence.values)


@pytest.mark.parametrize("name, value", [("at", 0), ("at", 2**40 - 1), ("provider_ahead", -(2**40))])
def test_a_moment_that_some_clock_can_say_is_taken(name, value):
    assert getattr(record.from_text(json.dumps({"outcome": record.NOT_DUE, name: value})), name) == value


def test_the_file_is_one_json_object_with_every_field():
    data = record.to_text(FULL)
    assert data.endswith(b"}\n") and data.startswith(b'{\n  "outcome"')
    stored = json.loads(data)
    made_of = stored.pop("made_of")
    assert stored == FULL.as_dict()
    assert set(stored) == set(record.DEFAULTS)
    assert None not in stored.values() and 0 not in stored.values()
    assert set(made_of) == {"message", "hint"}


def test_the_names_of_the_outcomes_stay_since_they_lie_on_disks_and_in_scripts():
    assert set(record.OUTCOMES) == set(
        "renewed authorized not_due not_yet try_later unclear outcome_unknown "
        "authorization_needed misconfigured nonsense".split()
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 100, b"null", b"5", b"[]", b'"text"', b'{"outcome": "renewed"', b"\xff\xfe", b"[" * 100000],
    ids=lambda data: ascii(data[:12]),
)
def test_damage_is_no_record(data):
    assert record.from_text(data) is None


WRONG = {
    "at": ['"7"', "7.5", "null", "true", "NaN", "-1", str(10**30), str(2**40)],
    "exit_code": ['"75"', "[]", "42", "1", "true", "false", "75.0"],
    "dead": ["1", '"yes"', "null"],
    "not_before": ["1e3"],
    "failures": ["{}", "-100"],
    "failing_since": ["Infinity"],
    "perhaps_spent_at": ["false"],
    "provider_ahead": [str(2**40), str(-(2**40) - 1)],
    "http_status": ['"400"', "true"],
    "message": ["[]", "5"],
    "hint": ["[]"],
    "error": ["5"],
    "request_id": ["[1]"],
    "refresh_token_sha256": ["1.5"],
}


@pytest.mark.parametrize("name, literal", [(name, literal) for name, literals in WRONG.items() for literal in literals])
def test_a_value_of_the_wrong_type_counts_as_absent(name, literal):
    one = record.from_text(f'{{"outcome": "try_later", "{name}": {literal}}}'.encode())
    assert getattr(one, name) == record.DEFAULTS[name] and type(getattr(one, name)) is type(record.DEFAULTS[name])
    assert one.outcome == "try_later"


def use(last):
    """Do with a stored Record all that the next runs would do."""
    now = 1_700_000_000
    expired = Pair({"access_token": "ACCESS", "refresh_token": "REFRESH"}, now - 200, now - 100)
    standing = report.standing(expired, last, now)
    if standing:
        judgement.error_of(standing)
    refused = b'{"error": "invalid_grant", "error_description": "%s"}'
    for description in (b"token has already been refreshed", b"token not expired", b"new"):
        judgement.error_of(judgement.judge(Answer(400, refused % description, True), {}, last, now))
    judgement.error_of(judgement.not_sent(errors.TryLaterError("no network"), {}, last, now))
    for found in (
        report.of_pair(expired, last, now),
        report.of_error(errors.DataError("damaged"), last, now),
    ):
        status_screen.laid_out(status_screen.rows(found, "/state", Renewers()), str)
        json.dumps(report.to_fields(found, "/state"))
        report.to_prometheus([(None, found)])


LATER = {"outcome": "try_later", "message": "m"}


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {**LATER, "outcome": 5},
        {**LATER, "message": 5, "hint": 5},
        {**LATER, "outcome": "authorization_needed", "exit_code": 42, "not_before": 1_700_000_100, "dead": True},
        {**LATER, "failures": -100},
        {**LATER, "outcome": "not_yet", "failures": -100},
        {**LATER, "outcome": "outcome_unknown", "perhaps_spent_at": 10**30},
        {**LATER, "at": 10**30, "failing_since": 10**30, "not_before": 10**30},
        FULL.as_dict(),
    ],
    ids=lambda stored: json.dumps(stored)[:60],
)
def test_whatever_a_damaged_record_says_the_next_run_goes_on(stored):
    use(record.from_text(json.dumps(stored).encode()))
