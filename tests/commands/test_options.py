"""Types for command-line arguments; their errors do not repeat what was typed."""

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.commands import options

TEN_YEARS = 10 * 365 * 24 * 3600
JUNK = [
    "",
    " ",
    "canary",
    "-1",
    "+1",
    "1.5",
    "1e3",
    " 1",
    "1s",
    "\u0661",
    "\u00b2",
    "nan",
    str(TEN_YEARS + 1),
    "9" * 5000,
]


@pytest.mark.parametrize("text, value", [("0", 0), ("007", 7), (str(TEN_YEARS), TEN_YEARS)])
def test_whole_seconds_are_taken(text, value):
    assert options.seconds(text) == value


@pytest.mark.parametrize("text", JUNK, ids=lambda text: ascii(text[:12]))
def test_anything_else_is_refused_and_not_repeated(text):
    for kind in (options.seconds, options.positive_seconds):
        with pytest.raises(ArgumentTypeError, match="^takes a whole number of seconds from [01] to 315360000$"):
            kind(text)
    assert options.exit_code(text) == 0


@pytest.mark.parametrize("kind", [options.positive_seconds, options.positive_number])
def test_zero_is_not_positive(kind):
    assert kind("1") == 1
    for text in ("0", "000"):
        with pytest.raises(ArgumentTypeError):
            kind(text)


@pytest.mark.parametrize("text, code", [("0", 0), ("077", 77), ("255", 255), ("256", 0), ("TERM", 0)])
def test_an_exit_code_is_taken_and_a_signals_name_is_none(text, code):
    assert options.exit_code(text) == code


@pytest.mark.parametrize("word", ["", "canary", "Applicant", "applicant ", "app", "applicant|employer"])
def test_a_role_takes_no_other_word_and_does_not_repeat_it(word):
    role = options.one_of("applicant", "employer")
    assert role("employer") == "employer"
    with pytest.raises(ArgumentTypeError, match="^takes one of: applicant, employer$"):
        role(word)


@QUICK
@given(st.text(max_size=15))
def test_arbitrary_text_is_seconds_or_refused(text):
    try:
        assert 0 <= options.seconds(text) <= TEN_YEARS
    except ArgumentTypeError:
        pass
