"""The pair as a record: from the provider's answer, to and from the text of token.json."""

import json
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NOW, SLOW

from hhtoken.pair import (
    Pair,
    is_token,
    pair_from_answer,
    pair_from_stored,
    pair_to_text,
    parse_first_object,
    parse_object,
    parse_stored,
)
from hhtoken.store import foreign_pair

DAY = 24 * 3600
FOURTEEN_DAYS = 14 * DAY
FULL = {"access_token": "ACCESS", "token_type": "bearer", "expires_in": 1209600, "refresh_token": "REFRESH"}
MOST_BYTES = 64 * 1024

QUICK = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=SLOW)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def body(expires_in):
    """The bytes of an answer with this literal JSON as its expires_in."""
    return f'{{"access_token": "ACCESS", "expires_in": {expires_in}, "refresh_token": "REFRESH"}}'.encode()


def strictly(data):
    """Read JSON as a reader does that has never heard of NaN."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(data, parse_constant=refuse)


def nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


# -- expires_in --


@pytest.mark.parametrize(
    "literal, life",
    [
        ("1209600", 1209600),
        ("1", 1),
        ("60", 60),
        ('"1209600"', 1209600),
        ("1e6", 1000000),
        ("1209600.9", 1209600),
        (str(366 * DAY), 366 * DAY),
    ],
)
def test_a_sane_life_is_believed(literal, life):
    pair = pair_from_answer(parse_object(body(literal)), NOW)
    assert (pair.obtained_at, pair.expires_at, pair.assumed) == (NOW, NOW + life, None)


ODD_LIVES = [
    *("null", "true", "false", "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-1", "0", "0.5", "-0.5"),
    *(str(366 * DAY + 1), str(10**30), "1" + "0" * 4999, "-" + "9" * 5000, '"' + "9" * 5000 + '"'),
    *('""', '"soon"', '"-1"', '"1e6"', '"\uff11\uff12"', '"\u00b2"', "[1209600]", '{"seconds": 1}'),
]


@pytest.mark.parametrize("literal", ODD_LIVES, ids=lambda literal: literal[:12])
def test_an_odd_life_costs_nothing_but_itself(literal):
    pair = pair_from_answer(parse_object(body(literal)), NOW)
    assert (pair.access_token, pair.refresh_token) == ("ACCESS", "REFRESH")
    assert pair.expires_at == NOW + FOURTEEN_DAYS and "14 days are assumed" in pair.assumed
    stored = strictly(pair_to_text(pair))
    assert (stored["obtained_at"], stored["expires_at"]) == (NOW, NOW + FOURTEEN_DAYS)


# -- tokens --


NO_TOKENS = [None, "", " ", "a b", " a", "a\n", "a\r\nX: y", "a\x00", "a\x7f", "токен", "aé", "a\ud800", "x" * 8193]
NO_TOKENS += [5, True, ["a"], {"a": "b"}, b"a"]


def from_stored(fields, _now):
    return pair_from_stored({**fields, "obtained_at": NOW, "expires_at": NOW})


@pytest.mark.parametrize("value", NO_TOKENS, ids=lambda value: ascii(value)[:16])
@pytest.mark.parametrize("read", [pair_from_answer, from_stored, lambda *given: foreign_pair.read(*given, NOW)])
def test_no_pair_is_made_of_an_unusable_token(read, value):
    for name in ("access_token", "refresh_token"):
        if name == "refresh_token" and value in (None, ""):
            assert read({**FULL, name: value}, NOW).refresh_token is None
            continue
        with pytest.raises(ValueError, match=f"^no usable {name} in it$"):
            read({**FULL, name: value}, NOW)


# -- from an answer --


@pytest.mark.parametrize(
    "absent", [{}, {"refresh_token": None}, {"refresh_token": ""}], ids=["missing", "null", "empty"]
)
def test_the_old_refresh_token_stays_where_the_answer_has_none(absent):
    pair = pair_from_answer({"access_token": "NEW", **absent}, NOW, kept_refresh_token="OLD")
    assert (pair.access_token, pair.refresh_token) == ("NEW", "OLD")
    assert strictly(pair_to_text(pair))["refresh_token"] == "OLD"


def test_the_times_are_ours_whatever_the_answer_claims():
    pair = pair_from_answer({**FULL, "obtained_at": 1, "expires_at": 2}, NOW + 0.9)
    assert (pair.obtained_at, pair.expires_at) == (NOW, NOW + 1209600)
    stored = strictly(pair_to_text(pair))
    assert (stored["obtained_at"], stored["expires_at"]) == (NOW, NOW + 1209600)


def test_every_field_of_the_answer_is_kept_in_its_order():
    fields = {"x": [1, {"y": None}], **FULL, "имя": "Вася", "null": None, "flag": True, "n": 1.5}
    stored = strictly(pair_to_text(pair_from_answer(fields, NOW)))
    assert stored == {**fields, "obtained_at": NOW, "expires_at": NOW + 1209600}
    assert list(stored) == [*fields, "obtained_at", "expires_at"]


# -- from token.json --


@pytest.mark.parametrize("odd", [None, True, "1", 1.5, NOW + 366 * DAY + 1])
def test_only_a_file_with_both_times_is_ours(odd):
    ours = {**FULL, "obtained_at": NOW, "expires_at": NOW + 366 * DAY}
    pair = pair_from_stored(ours)
    assert (pair.obtained_at, pair.expires_at, pair.assumed) == (NOW, NOW + 366 * DAY, None)
    with pytest.raises(ValueError):
        pair_from_stored({**ours, "expires_at": odd})


# -- to token.json --


@QUICK
@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4), st.integers(0, 2**40))
def test_what_is_written_reads_back_the_same(others, received_at):
    fields = parse_object(json.dumps({**others, **FULL}).encode())
    written = pair_from_answer(fields, received_at)
    read = pair_from_stored(parse_object(pair_to_text(written)))
    assert read.fields == {name: value for name, value in fields.items() if name not in ("obtained_at", "expires_at")}
    assert (read.obtained_at, read.expires_at) == (received_at, received_at + 1209600)
    assert pair_to_text(read) == pair_to_text(written)


def test_a_file_of_up_to_64_kib_keeps_every_field():
    empty = len(pair_to_text(pair_from_answer({**FULL, "x": ""}, NOW)))
    data = pair_to_text(pair_from_answer({**FULL, "x": "y" * (MOST_BYTES - empty)}, NOW))
    assert len(data) == MOST_BYTES
    assert "x" in strictly(data)
    assert "x" not in strictly(pair_to_text(pair_from_answer({**FULL, "x": "y" * (MOST_BYTES - empty + 1)}, NOW)))


@pytest.mark.parametrize(
    "bulk", ["x" * MOST_BYTES, "я" * 33000, [0] * 20000, {str(n): n for n in range(9000)}, ["\ud800", "я" * 20000]]
)
def test_a_file_that_grew_too_large_keeps_what_is_essential(bulk):
    data = pair_to_text(pair_from_answer({"bulk": bulk, **FULL, "scope": "all"}, NOW))
    assert strictly(data) == {**FULL, "scope": "all", "obtained_at": NOW, "expires_at": NOW + 1209600}


@pytest.mark.parametrize("name, kept", [("x", tuple(FULL)), ("scope", ("access_token", "refresh_token"))])
def test_a_nest_too_deep_to_write_costs_only_itself(name, kept):
    stored = strictly(pair_to_text(pair_from_answer({**FULL, name: nest(5000)}, NOW)))
    assert [stored.get(one) for one in kept] == [FULL[one] for one in kept]


# -- reading JSON --


def read_by(parse, data):
    """What a parser makes of the bytes, in a form that tells 1 from true and from 1.0."""
    try:
        return repr(parse(data))
    except ValueError as error:
        return f"ValueError: {error}"


@QUICK
@given(
    JSON_VALUES.map(lambda value: json.dumps({"x": value}).encode())
    | JSON_VALUES.map(lambda value: json.dumps({"x": value}, ensure_ascii=False, indent=2).encode() + b"\n")
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.lists(
        st.sampled_from(
            [b"{", b"}", b"[", b"]", b'"', b"a", b":", b",", b"1", b"-", b".5", b"e9", b"true", b"NaN", b"\\", b"\n"]
            + [b" ", b"\0", b"\xff", b"\xef\xbb\xbf", b'"a":', b"\\ud800", b"\x0b", b"\xc2\xa0"]
        ),
        max_size=12,
    ).map(b"".join)
    | st.binary(max_size=20)
)
def test_the_fast_parser_reads_as_the_real_one_does(data):
    assert read_by(parse_stored, data) == read_by(parse_object, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}",
        b" {} \n",
        b"{} x",
        b"{}{}",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": true, "b": null, "c": "\\ud83d\\ude00", "d": "\\ud800"}',
        b'{"a": "\n"}',
        b'{"a": "\x00"}',
        '{"a": "я"}'.encode(),
        '{"a": "я"}'.encode("utf-8-sig"),
        '{"a": "я"}'.encode("utf-16"),
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b"[]",
        b'"a"',
        b"null",
        b'{"a":' * 100000,
        b"[" * 60000 + b"]" * 60000,
        *[body(literal) for literal in ODD_LIVES],
    ],
    ids=lambda data: ascii(data[-24:]),
)
def test_the_fast_parser_agrees_about_every_oddity(data):
    assert read_by(parse_stored, data) == read_by(parse_object, data)


@QUICK
@given(st.dictionaries(st.sampled_from([*FULL, "obtained_at", "expires_at", "x"]), JSON_VALUES, max_size=7))
def test_arbitrary_fields_give_a_pair_or_a_value_error(fields):
    for read in (pair_from_answer, from_stored):
        try:
            pair = read(fields, NOW)
        except ValueError:
            continue
        assert is_token(pair.access_token)
        assert pair.refresh_token is None or is_token(pair.refresh_token)
        assert type(pair.obtained_at) is int and type(pair.expires_at) is int


def test_the_error_about_a_broken_text_does_not_repeat_it():
    with pytest.raises(ValueError) as caught:
        parse_object(bytes.fromhex("7b22") + b"can" + b"ary")
    assert "canary" not in "".join(traceback.format_exception(None, caught.value, caught.tb))


# -- the record --


@pytest.mark.parametrize(
    "now, left", [(1000, 100), (1000.9, 99), (1099, 1), (1099.1, 0), (1100, 0), (1101, 0), (10**12, 0), (900, 100)]
)
def test_seconds_left_are_whole_and_never_below_zero(now, left):
    assert Pair({"access_token": "A"}, 1000, 1100).seconds_left(now) == left


FIRST = b'{"access_token": "A", "refresh_token": "R"}'


@pytest.mark.parametrize("behind", [b"", b"<!-- proxy -->", b"{", b"\xff"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \t\r\n"])
def test_a_pair_with_rubbish_behind_it_is_found(before, behind):
    assert parse_first_object(before + FIRST + behind) == {"access_token": "A", "refresh_token": "R"}


@pytest.mark.parametrize("other", ["é", "\udcff"])
def test_each_field_stands_on_a_line_of_its_own_indented_by_two(other):
    lines = pair_to_text(Pair({**FULL, "x": other}, 1, 2)).splitlines()
    assert lines[0] == b"{" and lines[-1] == b"}"
    assert all(line.startswith(b'  "') for line in lines[1:-1])
