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
from hhtoken.renewal import judgement, token_status
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


@pytest.mark.parametrize(
    "name, value, read",
    [
        ("at", 0, 0),
        ("at", -1, 0),
        ("at", 2**40 - 1, 2**40 - 1),
        ("at", 2**40, 0),
        ("provider_ahead", -5, -5),
        ("provider_ahead", -(2**40), -(2**40)),
        ("provider_ahead", -(2**40) - 1, 0),
        ("provider_ahead", 2**40, 0),
    ],
)
def test_a_moment_that_no_clock_can_say_counts_as_absent(name, value, read):
    found = record.from_text(json.dumps({"outcome": record.NOT_DUE, name: value}))
    assert getattr(found, name) == read


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


@pytest.mark.parametrize(
    "name, literal",
    [
        ("at", '"7"'),
        ("at", "7.5"),
        ("at", "null"),
        ("at", "true"),
        ("at", "NaN"),
        ("exit_code", '"75"'),
        ("exit_code", "[]"),
        ("dead", "1"),
        ("dead", '"yes"'),
        ("dead", "null"),
        ("not_before", "1e3"),
        ("failures", "{}"),
        ("failing_since", "Infinity"),
        ("perhaps_spent_at", "false"),
        ("at", "-1"),
        ("at", str(10**30)),
        ("exit_code", "42"),
        ("exit_code", "1"),
        ("exit_code", "true"),
        ("exit_code", "false"),
        ("exit_code", "75.0"),
        ("failures", "-100"),
        ("http_status", '"400"'),
        ("http_status", "true"),
        ("message", "[]"),
        ("message", "5"),
        ("hint", "[]"),
        ("error", "5"),
        ("request_id", "[1]"),
        ("refresh_token_sha256", "1.5"),
    ],
)
def test_a_value_of_the_wrong_type_counts_as_absent(name, literal):
    one = record.from_text(f'{{"outcome": "try_later", "{name}": {literal}}}'.encode())
    assert getattr(one, name) == record.DEFAULTS[name] and type(getattr(one, name)) is type(record.DEFAULTS[name])
    assert one.outcome == "try_later"


def use(last):
    """Do with a stored Record all that the next runs would do."""
    now = 1_700_000_000
    expired = Pair({"access_token": "ACCESS", "refresh_token": "REFRESH"}, now - 200, now - 100)
    standing = judgement.standing(expired, last, now)
    if standing:
        judgement.error_of(standing)
    refused = b'{"error": "invalid_grant", "error_description": "%s"}'
    for description in (b"token has already been refreshed", b"token not expired", b"new"):
        judgement.error_of(judgement.judge(Answer(400, refused % description, True), {}, last, now))
    judgement.error_of(judgement.not_sent(errors.TryLaterError("no network"), {}, last, now))
    for report in (
        token_status.of_pair(expired, last, now),
        token_status.of_error(errors.DataError("damaged"), last, now),
    ):
        status_screen.laid_out(status_screen.rows(report, "/state", Renewers()), str)
        token_status.to_json(report, "/state")
        token_status.to_prometheus([(None, report)])


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"outcome": None, "message": "m"},
        {"outcome": 5, "message": "m"},
        {"outcome": "no such outcome", "message": "m"},
        {"outcome": "try_later"},
        {"outcome": "try_later", "message": 5, "hint": 5},
        {"outcome": "authorization_needed", "message": "m", "exit_code": 42, "not_before": 1_700_000_100},
        {"outcome": "authorization_needed", "message": "m", "exit_code": 1, "dead": True},
        {"outcome": "try_later", "message": "m", "failures": -100},
        {"outcome": "not_yet", "message": "m", "failures": -100},
        {"outcome": "outcome_unknown", "message": "m", "perhaps_spent_at": 10**30},
        {"outcome": "outcome_unknown", "message": "m", "perhaps_spent_at": -(10**18)},
        {"outcome": "try_later", "message": "m", "at": 10**30, "failing_since": 10**30, "not_before": 10**30},
        FULL.as_dict(),
    ],
    ids=lambda stored: json.dumps(stored)[:60],
)
def test_whatever_a_damaged_record_says_the_next_run_goes_on(stored):
    use(record.from_text(json.dumps(stored).encode()))
