"""Types for command-line arguments; their errors do not repeat what was typed."""

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.commands import options

TEN_YEARS = 10 * 365 * 24 * 3600


@pytest.mark.parametrize(
    "text, value", [("0", 0), ("1", 1), ("007", 7), ("1209600", 1209600), (str(TEN_YEARS), TEN_YEARS)]
)
def test_whole_seconds_are_taken(text, value):
    assert options.seconds(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "canary",
        "-1",
        "+1",
        "1.5",
        "1e3",
        " 1",
        "1 ",
        "1s",
        "\u0661",
        "\u00b2",
        "nan",
        str(TEN_YEARS + 1),
        "9" * 5000,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_anything_else_is_refused_and_not_repeated(text):
    for kind in (options.seconds, options.positive_seconds):
        with pytest.raises(ArgumentTypeError, match="^takes a whole number of seconds from [01] to 315360000$"):
            kind(text)


def test_a_timeout_of_zero_is_refused():
    assert options.positive_seconds("1") == 1
    for text in ("0", "000"):
        with pytest.raises(ArgumentTypeError, match="^takes a whole number of seconds from 1 to "):
            options.positive_seconds(text)


@pytest.mark.parametrize(
    "text, code",
    [("0", 0), ("1", 1), ("077", 77), ("77", 77), ("255", 255), ("256", 0), ("999", 0), ("0255", 0), ("9" * 5000, 0)]
    + [("", 0), ("TERM", 0), ("-1", 0), (" 1", 0), ("1.5", 0), ("\u0667", 0), ("\u00b2", 0)],
    ids=lambda value: ascii(value)[:12],
)
def test_an_exit_code_is_a_byte_and_any_other_text_is_0(text, code):
    assert options.exit_code(text) == code


@pytest.mark.parametrize("word", ["applicant", "employer"])
def test_a_choice_takes_its_words(word):
    assert options.one_of("applicant", "employer")(word) == word


@pytest.mark.parametrize("word", ["", "canary", "Applicant", "applicant ", "app", "applicant|employer"])
def test_a_choice_takes_no_other_word_and_does_not_repeat_it(word):
    with pytest.raises(ArgumentTypeError, match="^takes one of: applicant, employer$"):
        options.one_of("applicant", "employer")(word)


@QUICK
@given(st.text(max_size=15))
def test_arbitrary_text_is_seconds_or_refused(text):
    try:
        assert 0 <= options.seconds(text) <= TEN_YEARS
    except ArgumentTypeError:
        pass
