"""Which requests are the browser's return, and which are not."""

import http.client
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.authorization import pages
from hhtoken.authorization.callback_rules import CallbackRules, fault_in
from hhtoken.console.language import translated_into

PUBLIC = "https://hh.example.org/callback"
LOCAL = "http://127.0.0.1:8000/callback"
PROXIED = ("Host: hh.example.org", "X-Forwarded-Proto: https")


LINE_MOST, HEAD_MOST = 8 * 1024, 16 * 1024


def refusal(redirect_uri=PUBLIC, target="/callback?code=C&state=S", version="HTTP/1.1", headers=PROXIED):
    lines = "\r\n".join((*headers, "", "")).encode("latin-1")
    message = http.client.parse_headers(io.BytesIO(lines))
    return CallbackRules(redirect_uri).refusal(target.partition("?")[0], version, message)


def padded(size):
    """A whole head of just this many bytes, in lines that are not long."""
    data = b"GET / HTTP/1.1\r\n"
    while size - len(data) > 1000 + 4:
        data += b"X: " + b"x" * 495 + b"\r\n"
    return data + b"X: " + b"x" * (size - len(data) - 7) + b"\r\n\r\n"


# -- the head --


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"])
def test_a_head_ends_at_its_first_empty_line(end):
    data = b"GET / HTTP/1.1" + end
    assert fault_in(data) == fault_in(data + b"body\r\n\r\n\0") == 0
    assert [fault_in(data[:cut]) for cut in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize(
    "data, status",
    [
        (b"x" * (LINE_MOST - 1), None),
        (b"x" * LINE_MOST, 414),
        (b"x" * (LINE_MOST - 1) + b"\n", None),
        (b"x" * (LINE_MOST - 2) + b"\r\n\r\n", 400),
        (b"x" * LINE_MOST + b"\r\n\r\n", 414),
        (padded(HEAD_MOST), 0),
        (padded(HEAD_MOST + 1), 431),
        (padded(HEAD_MOST) + b"x" * 100_000, 0),
        (padded(HEAD_MOST)[:-4] + b"xxxx", None),
        (padded(HEAD_MOST)[:-4] + b"xxxxx", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50 + b"\r\n", 0),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 51 + b"\r\n", 431),
    ],
)
def test_a_head_has_8_kib_of_request_line_16_kib_in_all_and_50_headers_at_most(data, status):
    assert len(padded(HEAD_MOST)) == HEAD_MOST
    assert fault_in(data) == status


@QUICK
@given(
    st.binary(max_size=80)
    | st.lists(
        st.sampled_from([b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b":", b"a", b"\0", b"\xff", b"?"]),
        max_size=20,
    ).map(b"".join)
)
def test_of_any_bytes_only_a_head_that_can_be_read_in_one_way_comes_through(data):
    data += b"\r\n\r\n"
    if fault_in(data):
        assert fault_in(data) == 400
        return
    head = data[: re.search(rb"\n\r?\n", data).end()]
    line, *fields = head.replace(b"\r\n", b"\n").decode("latin-1").split("\n")
    method, target, version = line.split(" ")
    assert method.isalpha() and target.isascii() and target.isprintable() and version in ("HTTP/1.0", "HTTP/1.1")
    message = http.client.parse_headers(io.BytesIO(head.partition(b"\n")[2]))
    assert not message.defects and len(message) == len(fields) - 2


# -- path --


@pytest.mark.parametrize("target", ["/callback", "/callback?", "/callback?code=C&state=S", "/callback?//x"])
def test_the_very_path_is_a_return(target):
    assert refusal(target=target) is None


OTHER_PATHS = """/ /callback/ //callback //evil.example/callback /callback/x /Callback /callbac /callbackx /%63allback
/callback%2f /callback%00 /callback;x /callback#x /./callback /%2e/callback /x/../callback /%2e%2e/etc/passwd * callback
?code=C&state=S http://hh.example.org/callback https://hh.example.org/callback?code=C&state=S /favicon.ico"""


@pytest.mark.parametrize("target", OTHER_PATHS.split())
def test_any_other_path_is_not_found(target):
    assert refusal(target=target) == 404


@pytest.mark.parametrize(
    "redirect_uri, path",
    [
        ("https://hh.example.org", "/"),
        ("https://hh.example.org?x=1", "/"),
        ("https://hh.example.org/a/b/", "/a/b/"),
        ("https://hh.example.org/a%20b;c?lang=ru", "/a%20b;c"),
        ("https://HH.Example.Org:443/Callback", "/Callback"),
    ],
)
def test_the_path_is_the_redirect_uris_own(redirect_uri, path):
    assert CallbackRules(redirect_uri).path == path
    assert refusal(redirect_uri, target=path + "?code=C") is None
    assert refusal(redirect_uri, target=path + "x") == 404


# -- bodies --


@pytest.mark.parametrize("header", ["Content-Length: 0", "Content-Length:"])
def test_an_empty_body_is_none(header):
    assert refusal(headers=(*PROXIED, header)) is None


BODIES = ["Content-Length: " + value for value in ("5", "-1", "00", "0, 5", "x")]
BODIES += ["Transfer-Encoding: chunked", "Transfer-Encoding:", "transfer-ENCODING: identity"]


@pytest.mark.parametrize("header", BODIES)
def test_a_request_with_a_body_is_refused(header):
    assert refusal(headers=(*PROXIED, header)) == 400
    assert refusal(headers=(*PROXIED, "Content-Length: 0", header)) == 400, "nothing hides it"


# -- Host --

OURS = "hh.example.org HH.EXAMPLE.ORG hh.example.org:8000 127.0.0.1 127.0.0.1:8000 localhost:8000 [::1]:8000 192.0.2.7"
OTHERS = """evil.example evil.example:443 hh.example.org.evil.example xhh.example.org example.org localhost.evil.example
127.0.0.1.evil.example 127.1 [::1 hh.example.org:80a hh.example.org: hh.example.org,evil.example
hh.example.org@evil.example
evil.example/hh.example.org evil.example#hh.example.org evil.example@hh.example.org hh.example.org/x hh.example.org?x"""


@pytest.mark.parametrize("host", OURS.split())
def test_our_own_host_is_served(host):
    assert refusal(headers=(f"Host: {host}", "X-Forwarded-Proto: https")) is None


@pytest.mark.parametrize("host", ["", "\xa0", "\xe9.example", "hh.exa\tmple.org", *OTHERS.split()], ids=ascii)
def test_another_host_is_misdirected(host):
    assert refusal(headers=(f"Host: {host}", "X-Forwarded-Proto: https")) == 421


def test_an_international_domain_is_compared_in_its_ascii_form():
    uri = "https://xn--80aswg.xn--p1ai/callback"
    for host, status in (("xn--80aswg.xn--p1ai", None), ("XN--80ASWG.xn--p1ai:443", None), ("xn--p1ai", 421)):
        assert refusal(uri, headers=(f"Host: {host}", "X-Forwarded-Proto: https")) == status


def test_two_hosts_are_misdirected():
    assert refusal(headers=("Host: hh.example.org", "Host: evil.example", "X-Forwarded-Proto: https")) == 421


@pytest.mark.parametrize("version, expected", [("HTTP/1.0", None), ("HTTP/1.1", 421)])
def test_only_http_1_0_may_do_without_a_host(version, expected):
    assert refusal(LOCAL, version=version, headers=()) == expected


# -- X-Forwarded-Proto --


@pytest.mark.parametrize(
    "lines, expected",
    [
        ([], 400),
        (["x-forwarded-proto:HTTPS"], None),
        (["X-Forwarded-Proto: http"], 400),
        (["X-Forwarded-Proto:"], 400),
        (["X-Forwarded-Proto: https, http"], 400),
        (["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"], 400),
        (["X-Forwarded-Proto: httpsx"], 400),
        (["Forwarded: proto=https"], 400),
    ],
)
def test_an_https_redirect_uri_needs_nginx_to_vouch_for_https(lines, expected):
    assert refusal(headers=("Host: hh.example.org", *lines)) == expected
    assert refusal(LOCAL, headers=("Host: 127.0.0.1:8000", *lines)) is None, "nobody has to vouch for http"


# -- always --


@QUICK
@given(
    st.sampled_from([PUBLIC, LOCAL]),
    st.sampled_from(["/callback", "/", "/callback?x"]),
    st.lists(
        st.tuples(
            st.sampled_from(["Host", "X-Forwarded-Proto", "Content-Length", "Transfer-Encoding"]),
            st.sampled_from(["hh.example.org", "https", "[", "[::1", "//", "0", "\xe9", "a]b", "[v1.x]", "%"]),
        ),
        max_size=4,
    ),
)
def test_every_request_is_a_return_or_has_a_page(redirect_uri, target, headers):
    status = refusal(redirect_uri, target, headers=[f"{name}: {value}" for name, value in headers])
    assert status is None or pages.response(status, "en", translated_into).startswith(b"HTTP/1.0 %d " % status)
