"""What can be read out of an answer as it came off the wire."""

import gzip
import json
import os
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.provider import answer
from hhtoken.provider.answer import Answer

NOW = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110
FULL = {"access_token": "ACCESS", "token_type": "bearer", "expires_in": 1209600, "refresh_token": "REFRESH"}
ACCESS_ONLY = {"access_token": "ACCESS", "expires_in": 1209600}
REFUSAL = {"error": "invalid_grant", "error_description": "token not found"}
TEXT = json.dumps(FULL)
STATUSES = [0, 100, 199, 200, 201, 204, 299, 300, 302, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504, 599]


def zipped(data):
    return gzip.compress(data, mtime=0)  # with the time in it, a test's name would change each second


@pytest.fixture
def in_moscow(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "Europe/Moscow")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def dumped(fields):
    return json.dumps(fields).encode()


def tokens_in(status, body, complete=True, kept="OLD"):
    pair = answer.pair_in(Answer(status, body, complete), NOW, kept)
    return pair and (pair.access_token, pair.refresh_token)


# -- is there a pair in it? --


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_a_full_pair_wins_whatever_the_status_and_the_framing(status, complete):
    assert tokens_in(status, dumped(FULL), complete) == ("ACCESS", "REFRESH")


def test_a_full_pair_wins_over_an_error_beside_it():
    assert tokens_in(400, dumped({**REFUSAL, **FULL})) == ("ACCESS", "REFRESH")


@pytest.mark.parametrize("status", STATUSES)
def test_an_access_token_alone_counts_in_a_good_answer_only(status):
    expected = ("ACCESS", "OLD") if 200 <= status < 300 else None
    assert tokens_in(status, dumped(ACCESS_ONLY)) == expected


@pytest.mark.parametrize("status", STATUSES)
def test_an_error_is_never_a_pair(status):
    assert tokens_in(status, dumped(REFUSAL)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"<html>guard</html>",
        dumped(FULL)[:-1],
        dumped(FULL)[:30],
        dumped({"refresh_token": "REFRESH"}),
        dumped({**FULL, "access_token": "a\nb"}),
        dumped({**FULL, "access_token": ""}),
        dumped({**FULL, "access_token": 5}),
        dumped({**FULL, "refresh_token": "a b"}),
        dumped({**FULL, "refresh_token": "x" * 20000}),
        b'{"access_token": "A", "refresh_token": "\\ud800"}',
        b"[" * 60000,
        dumped(ACCESS_ONLY) + b"<!-- 1 -->",
        b"<!-- 1 -->" + dumped(FULL),
    ],
    ids=lambda body: ascii(body[:24]),
)
def test_no_pair_is_seen_where_none_is(body):
    assert tokens_in(200, body) is None
    assert not answer.holds_pair(body)


def test_the_pair_is_dated_by_its_arrival():
    pair = answer.pair_in(Answer(200, dumped(FULL), True), NOW + 0.5)
    assert (pair.obtained_at, pair.expires_at) == (NOW, NOW + 1209600)


ENCODINGS = {
    "plain": TEXT.encode(),
    "indented": json.dumps(FULL, indent=2).encode() + b"\n",
    "white space around": b"\r\n  " + TEXT.encode() + b"\r\n\t ",
    "BOM": TEXT.encode("utf-8-sig"),
    "BOM after white space": b"\n" + TEXT.encode("utf-8-sig"),
    "gzip": zipped(TEXT.encode()),
    "gzip without its trailer": zipped(TEXT.encode())[:-8],
    "UTF-16 with BOM": TEXT.encode("utf-16"),
    "UTF-16 LE": TEXT.encode("utf-16-le"),
    "UTF-16 BE": TEXT.encode("utf-16-be"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_pair_is_read_in_every_odd_encoding(name):
    assert answer.object_in(ENCODINGS[name]) == FULL and answer.holds_pair(ENCODINGS[name])
    for status, complete in ((200, True), (0, False), (502, True)):
        assert tokens_in(status, ENCODINGS[name], complete) == ("ACCESS", "REFRESH")


# -- has all of it arrived? --


def test_a_pair_is_held_from_its_last_byte_on_and_not_before():
    body = json.dumps({"user": {"id": 1}, **FULL, "more": {"id": 2}}).encode() + b"\r\n"
    held = [end for end in range(len(body) + 1) if answer.holds_pair(body[:end])]
    assert held == [len(body) - 2, len(body) - 1, len(body)]


def test_a_compressed_pair_is_held_once_it_can_be_read_and_stays_held():
    body = zipped(TEXT.encode())
    held = [answer.holds_pair(body[:end]) for end in range(len(body) + 1)]
    assert held == sorted(held) and 0 < held.count(True) < 20


@pytest.mark.parametrize(
    "rubbish", [b"x", b"<!-- 1 -->", b"\0", b"}", b"{", b"\xff", b'{"error": "x"}', dumped(ACCESS_ONLY)]
)
def test_rubbish_behind_a_full_pair_does_not_matter(rubbish):
    assert answer.holds_pair(dumped(FULL) + rubbish)
    assert tokens_in(502, dumped(FULL) + rubbish) == ("ACCESS", "REFRESH")


def test_rubbish_behind_anything_else_does():
    assert answer.object_in(dumped(REFUSAL) + b"x") is None
    assert answer.object_in(dumped(ACCESS_ONLY) + b"x") is None


# -- arbitrary and hostile bodies --


@QUICK
@given(
    st.integers(0, 999), st.binary(max_size=80), st.sampled_from([b"", b"\x1f\x8b", b"\xff\xfe", b'{"access_token":'])
)
def test_arbitrary_bytes_raise_nothing(status, tail, head):
    body = head + tail
    assert answer.object_in(body) is None or isinstance(answer.object_in(body), dict)
    assert answer.holds_pair(body) in (True, False)
    answer.pair_in(Answer(status, body), NOW)


def test_a_compressed_bomb_is_not_inflated():
    bomb = zipped(b" " * 50_000_000 + TEXT.encode())
    tracemalloc.start()
    try:
        assert answer.object_in(bomb) is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size, expected", [(64 * 1024, FULL), (64 * 1024 + 1, None)])
def test_a_compressed_body_is_read_up_to_64_kib(size, expected):
    assert answer.object_in(zipped(b" " * (size - len(TEXT)) + TEXT.encode())) == expected


@pytest.mark.parametrize("body", [b"\x1f\x8b", b"\x1f\x8b\x08\x00junk", zipped(b"<html>"), zipped(b"")])
def test_broken_gzip_holds_nothing(body):
    assert answer.object_in(body) is None


# -- Retry-After --


@pytest.mark.parametrize(
    "header, seconds",
    [
        (None, None),
        ("", None),
        ("   ", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("5, 5", None),
        ("\u0663", None),
        ("\u00b2", None),
        ("Mon, 99 Foo", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
        ("x" * 5000, None),
        ("0", 1),
        ("1", 1),
        ("120", 120),
        (" 120 ", 120),
        ("3600", 3600),
        ("3601", 3600),
        ("86400", 3600),
        ("99999999999999999999", 3600),
        ("9" * 5000, 3600),
        ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 1),
        ("Sun, 06 Nov 1994 07:49:37 GMT", 1),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
    ],
    ids=lambda value: str(value)[:20],
)
def test_retry_after_is_honoured_within_reason(header, seconds):
    assert answer.wait_seconds(header, NOW) == seconds


@QUICK
@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,6} \d\d:\d\d:\d\d [\w+-]{1,6}", fullmatch=True))
def test_any_retry_after_is_none_or_within_an_hour(header):
    seconds = answer.wait_seconds(header, NOW + 0.5)
    assert seconds is None or (type(seconds) is int and 1 <= seconds <= 3600)


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
    ids=["RFC 1123", "RFC 850", "asctime"],
)
def test_all_three_http_dates_mean_utc_wherever_we_live(text, in_moscow):
    assert answer.http_date(text) == NOW


def test_a_date_with_another_zone_is_read_as_it_says():
    assert answer.http_date("Sun, 06 Nov 1994 11:49:37 +0300") == NOW


@pytest.mark.parametrize("text", ["", "yesterday", "1994-11-06T08:49:37Z", "99 99 99", "\0", "Sun, 06 Nov 1994"])
def test_what_is_no_http_date_is_none_or_a_number(text):
    assert answer.http_date(text) is None or isinstance(answer.http_date(text), float)


# -- the record --


def test_the_repr_of_an_answer_hides_its_body():
    shown = repr(Answer(200, dumped(FULL), True, request_id="canary"))
    assert "200" in shown
    assert not any(word in shown for word in ("ACCESS", "REFRESH", "canary"))
