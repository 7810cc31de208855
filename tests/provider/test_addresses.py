"""Rules for the addresses in the settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken import errors
from hhtoken.provider import addresses


@pytest.mark.parametrize(
    "address",
    [
        "https://hh.ru/oauth/token",
        "HTTPS://HH.RU/x",
        "https://hh.ru:8443/x?a=b&c=%20",
        f"https://{'x' * 63}.ru./",
        "https://[2001:db8::1]/x",
        "http://127.0.0.1:8000/callback",
        "http://localhost/callback",
        "http://localhost./",
        "http://[::1]:8000/callback",
        "https://xn--e1afmkfd.xn--p1ai/callback",
    ],
)
def test_an_https_address_or_one_of_this_machine_may_carry_a_secret(address):
    assert addresses.problem(address) is None


@pytest.mark.parametrize(
    "address, words",
    [
        ("http://hh.ru/oauth/token", "must be https"),
        ("http://0.0.0.0/", "must be https"),
        ("http://127.0.0.1.evil.example/", "must be https"),
        ("http://[2001:db8::1]/", "must be https"),
        ("http://2130706433/", "must be https"),
        ("", "not an http or https address"),
        ("hh.ru", "not an http or https address"),
        ("//hh.ru/x", "not an http or https address"),
        ("https://", "not an http or https address"),
        ("https://:443/x", "not an http or https address"),
        ("https://hh..ru/", "no name server knows"),
        (f"https://{'x' * 64}.ru/", "no name server knows"),
        ("ftp://hh.ru/", "not an http or https address"),
        ("myapp://callback", "not an http or https address"),
        ("file:///etc/passwd", "not an http or https address"),
        ("javascript:alert(1)", "not an http or https address"),
        ("https://user:canary@hh.ru/", "user name"),
        ("https://@hh.ru/", "user name"),
        ("http://127.0.0.1@evil.example/", "user name"),
        ("https://hh.ru/x#canary", "fragment"),
        ("https://hh.ru:99999/", "is not an address"),
        ("https://[::1/", "is not an address"),
        ("https://hh.ru/a b", "characters"),
        (" https://hh.ru/", "characters"),
        ("https://hh.ru/\r\nX: y", "characters"),
        ("https://hh.ru/\x00", "characters"),
        ("https://hh.ru/ответ", "characters"),
        ("https://хх.рф/", "write it in punycode, as xn--u1aa.xn--p1ai"),
        ("https://BÜCHER.example:8443/canary", "write it in punycode, as xn--bcher-kva.example"),
        ("https://hh\u3002ru/", "write it in punycode, as hh.ru"),
        ("https://\u0445..рф/", "characters"),
    ],
    ids=ascii,
)
def test_any_other_address_is_refused_with_its_reason(address, words):
    assert words in addresses.problem(address)
    assert "canary" not in addresses.problem(address)


@QUICK
@given(st.text(max_size=40) | st.text("htps:/[].@#1%?a ", max_size=20).map("http://".__add__))
def test_arbitrary_text_is_an_address_or_has_a_problem(address):
    problem = addresses.problem(address)
    assert problem is None or (isinstance(problem, str) and problem)
    assert problem or address.lower().startswith(("https://", "http://"))


def test_only_this_machine_is_loopback():
    for host in ("127.0.0.1", "127.255.255.254", "::1", "LocalHost", "localhost."):
        assert addresses.is_loopback(host)
    for host in ("", "0.0.0.0", "128.0.0.1", "::", "hh.ru", "127.1", "0x7f000001", "[::1]", "localhost.x"):
        assert not addresses.is_loopback(host)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("8000", ("127.0.0.1", 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8000", ("::1", 8000)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_a_place_to_listen_is_read(text, expected):
    assert addresses.parse_listen(text) == expected


NO_PLACES = ["", ":", "canary", "127.0.0.1:", "h:65536", "h:-1", "h: 1", "h:1.5", "h:\u0661", "[::1]", "::1"]


@pytest.mark.parametrize("text", NO_PLACES, ids=ascii)
def test_what_is_no_place_to_listen_is_wrong_usage(text):
    with pytest.raises(errors.UsageError) as caught:
        addresses.parse_listen(text)
    assert caught.value.exit_code == 2 and "--listen 127.0.0.1:8000" in caught.value.hint
    assert "canary" not in caught.value.message


@QUICK
@given(st.text(max_size=20) | st.text("0123456789:[].a", max_size=12))
def test_arbitrary_text_is_a_place_to_listen_or_wrong_usage(text):
    try:
        host, port = addresses.parse_listen(text)
    except errors.UsageError:
        return
    assert host and 0 <= port <= 65535


@pytest.mark.parametrize(
    "uri, expected",
    [("myapp://callback", True), ("hhandroid://oauthresponse", True), ("com.example.app:/back", True)]
    + [(uri, False) for uri in ("https://h/c", "http://h/c", "HTTP://h/c", "htps://h/c", "hhtp://h/c", "ttps://h/c")]
    + [(uri, False) for uri in ("localhost:8000/c", "h.example:443/c", "h/c", "/c", "", "file:///c", "javascript://c")],
)
def test_the_address_of_an_app_is_told_from_a_slip_of_the_finger(uri, expected):
    assert addresses.is_of_an_app(uri) is expected
    assert (addresses.problem(uri, may_be_of_an_app=True) is None) is (expected or uri.startswith("https:"))
    assert addresses.problem("myapp://callback#x", may_be_of_an_app=True)
