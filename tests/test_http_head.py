"""The head of an HTTP request, read strictly."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hhtoken import http_head
from hhtoken.http_head import Bad

SLOW = [HealthCheck.too_slow]  # says more about the machine than about the code
QUICK = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW)
LINE_MOST, HEAD_MOST = 8 * 1024, 16 * 1024


def head(target="/callback?code=C&state=S", method="GET", version="HTTP/1.1", headers=("Host: h",)):
    return "\r\n".join((f"{method} {target} {version}", *headers, "", "")).encode("latin-1")


def status_of(function, data):
    """The status that the bytes are refused with, or None."""
    try:
        function(data)
    except Bad as bad:
        assert str(bad) == str(bad.status)
        return bad.status
    return None


def padded(size):
    """A whole head of just this many bytes, in lines that are not long."""
    data = b"GET / HTTP/1.1\r\n"
    while size - len(data) > 1000 + 4:
        data += b"X: " + b"x" * 495 + b"\r\n"
    return data + b"X: " + b"x" * (size - len(data) - 7) + b"\r\n\r\n"


# -- where it ends --


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"])
def test_a_head_ends_at_its_first_empty_line(end):
    data = b"GET / HTTP/1.1" + end
    assert http_head.end_of(data) == len(data)
    assert http_head.end_of(data + b"body\r\n\r\nGET /again HTTP/1.1\n\n") == len(data)
    assert [http_head.end_of(data[:cut]) for cut in range(len(data))] == [None] * len(data)


def test_the_earlier_of_two_ends_counts():
    assert http_head.end_of(b"A\n\nB\r\n\r\n") == 3
    assert http_head.end_of(b"A\r\n\r\nB\n\n") == 5


@pytest.mark.parametrize(
    "data, status",
    [
        (b"x" * (LINE_MOST - 1), None),
        (b"x" * LINE_MOST, 414),
        (b"x" * (LINE_MOST - 1) + b"\n", None),
        (b"x" * LINE_MOST + b"\n", 414),
        (b"x" * LINE_MOST + b"\r\n\r\n", 414),
        (b"x" * (LINE_MOST - 2) + b"\r\n\r\n", None),
        (b"x" * 100_000, 414),
        (b"\0" * LINE_MOST, 414),
    ],
)
def test_a_request_line_of_8_kib_is_too_long(data, status):
    assert status_of(http_head.end_of, data) == status


@pytest.mark.parametrize(
    "data, status",
    [
        (padded(HEAD_MOST), None),
        (padded(HEAD_MOST + 1), 431),
        (padded(HEAD_MOST) + b"x" * 100_000, None),
        (padded(HEAD_MOST)[:-4] + b"xxxx", None),
        (padded(HEAD_MOST)[:-4] + b"xxxxx", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
        (b"\n" + b"x" * HEAD_MOST, 431),
    ],
)
def test_a_head_over_16_kib_is_too_large_and_a_body_behind_it_does_not_count(data, status):
    assert status_of(http_head.end_of, data) == status


def test_the_padding_of_these_tests_is_right():
    assert [len(padded(size)) for size in (HEAD_MOST, HEAD_MOST + 1)] == [HEAD_MOST, HEAD_MOST + 1]
    assert http_head.end_of(padded(HEAD_MOST)) == HEAD_MOST
    assert http_head.parse(padded(HEAD_MOST)).path == "/"


# -- the request line --


def test_a_request_is_taken_apart():
    request = http_head.parse(head())
    assert (request.method, request.path, request.query) == ("GET", "/callback", "code=C&state=S")
    assert request.version == "HTTP/1.1"


@pytest.mark.parametrize(
    "target, path, query",
    [
        ("/", "/", ""),
        ("/callback?", "/callback", ""),
        ("/callback?a=1?b=2", "/callback", "a=1?b=2"),
        ("//callback?x", "//callback", "x"),
        ("/%63allback", "/%63allback", ""),
        ("/x/%2e%2e/callback", "/x/%2e%2e/callback", ""),
        ("/x/../callback", "/x/../callback", ""),
        ("/callback%00", "/callback%00", ""),
        ("http://evil.example/callback?x", "http://evil.example/callback", "x"),
        ("*", "*", ""),
        ("/callback;a?b", "/callback;a", "b"),
        ("/callback#f", "/callback#f", ""),
        ("/~!?~!", "/~!", "~!"),
    ],
)
def test_the_path_stays_raw(target, path, query):
    request = http_head.parse(head(target))
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "TRACE", "get", "X"])
def test_any_word_is_a_method(method):
    assert http_head.parse(head(method=method)).method == method


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET",
        "GET /callback",
        "GET  /callback HTTP/1.1",
        "GET /callback  HTTP/1.1",
        " GET /callback HTTP/1.1",
        "GET /callback HTTP/1.1 ",
        "GET /call back HTTP/1.1",
        "GET\t/callback\tHTTP/1.1",
        "GET /callback HTTP/0.9",
        "GET /callback HTTP/2.0",
        "PRI * HTTP/2.0",
        "GET /callback PRI/9.9",
        "GET /callback http/1.1",
        "GET /callback HTTP/11",
        "GET  HTTP/1.1",
        " /callback HTTP/1.1",
        "G3T /callback HTTP/1.1",
        "GET\x00 /callback HTTP/1.1",
        "<b> /callback HTTP/1.1",
        "GET /callback\x00 HTTP/1.1",
        "GET /callback\x1b[31m HTTP/1.1",
        "GET /callback\x7f HTTP/1.1",
        "GET /callback\x0b HTTP/1.1",
        "GET /callback\xff HTTP/1.1",
        "GET /caf\xe9 HTTP/1.1",
        "GET /callback\rX HTTP/1.1",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=ascii,
)
def test_a_line_that_is_no_request_is_bad(line):
    assert status_of(http_head.parse, f"{line}\r\nHost: h\r\n\r\n".encode("latin-1")) == 400
    assert status_of(http_head.parse, f"{line}\r\n\r\n".encode("latin-1")) == 400


@pytest.mark.parametrize(
    "version", ["HTTP/1.", "HTTP/1.1x", "HTTP/1.junk", "HTTP/1.1\r", "HTTP/1.1\x00", "HTTP/1.\xb2"]
)
def test_a_version_that_is_none_is_bad(version):
    assert status_of(http_head.parse, head(version=version)) == 400


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_http_1_is_read(version):
    assert http_head.parse(head(version=version)).version == version


def test_bare_line_feeds_are_read():
    request = http_head.parse(b"GET /callback HTTP/1.1\nHost: h\nX: y\n\n")
    assert (request.path, request.header("host"), request.header("x")) == ("/callback", "h", "y")


# -- headers --


def test_headers_are_found_by_their_lower_case_name():
    request = http_head.parse(head(headers=["HOST: One", "X-Empty:", "x-colons:a:b", "X-Space: \t a b \t"]))
    assert [request.header(name) for name in ("host", "x-empty", "x-colons", "x-space", "absent")] == [
        "One",
        "",
        "a:b",
        "a b",
        None,
    ]


def test_repeated_headers_are_joined():
    assert http_head.parse(head(headers=["Host: a", "X: y", "host: b"])).header("host") == "a, b"


@pytest.mark.parametrize("count, status", [(0, None), (49, None), (50, None), (51, 431), (200, 431)])
def test_more_than_50_headers_are_too_many(count, status):
    assert status_of(http_head.parse, head(headers=[f"X{n}: y" for n in range(count)])) == status


@pytest.mark.parametrize(
    "line", ["no colon", " folded: x", "\tfolded", ": x", "Host : h", "Host\t: h", "Host\x0b: h", " : x"], ids=ascii
)
def test_a_header_that_is_none_is_bad(line):
    assert status_of(http_head.parse, head(headers=["Host: h", line])) == 400
    assert status_of(http_head.parse, head(headers=[line, "Host: h"])) == 400


# -- arbitrary bytes --


@QUICK
@given(
    st.binary(max_size=80)
    | st.lists(
        st.sampled_from([b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b":", b"a", b"\0", b"\xff", b"?"]),
        max_size=20,
    ).map(b"".join)
)
def test_arbitrary_bytes_are_a_request_or_bad(data):
    for whole in (data, data + b"\r\n\r\n"):
        try:
            end = http_head.end_of(whole)
            assert end is None or whole[:end].endswith((b"\r\n\r\n", b"\n\n"))
            request = http_head.parse(whole[:end])
        except Bad as bad:
            assert bad.status in (400, 414, 431)
            continue
        assert request.path and request.method.isalpha()
        assert (request.path + request.query).isascii() and (request.path + request.query).isprintable()
