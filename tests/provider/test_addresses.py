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
        "https://hh.ru",
        "HTTPS://HH.RU/x",
        "https://hh.ru:8443/x?a=b&c=%20",
        f"https://{'x' * 63}.ru./",
        "https://192.0.2.1/x",
        "https://[2001:db8::1]/x",
        "http://127.0.0.1:8000/callback",
        "http://127.1.2.3/callback",
        "http://localhost/callback",
        "http://LOCALHOST:9/",
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
        ("http://192.0.2.1/", "must be https"),
        ("http://0.0.0.0/", "must be https"),
        ("http://127.0.0.1.evil.example/", "must be https"),
        ("http://localhost.evil.example/", "must be https"),
        ("http://evil-localhost/", "must be https"),
        ("http://[2001:db8::1]/", "must be https"),
        ("http://[::]/", "must be https"),
        ("http://2130706433/", "must be https"),
        ("", "not an http or https address"),
        ("hh.ru", "not an http or https address"),
        ("//hh.ru/x", "not an http or https address"),
        ("/oauth", "not an http or https address"),
        ("https://", "not an http or https address"),
        ("https:///x", "not an http or https address"),
        ("https://:443/x", "not an http or https address"),
        ("https://hh..ru/", "no name server knows"),
        ("https://.hh.ru/", "no name server knows"),
        (f"https://{'x' * 64}.ru/", "no name server knows"),
        ("https:hh.ru", "not an http or https address"),
        ("ftp://hh.ru/", "not an http or https address"),
        ("file:///etc/passwd", "not an http or https address"),
        ("javascript:alert(1)", "not an http or https address"),
        ("https://user@hh.ru/", "user name"),
        ("https://user:canary@hh.ru/", "user name"),
        ("https://@hh.ru/", "user name"),
        ("http://127.0.0.1@evil.example/", "user name"),
        ("http://127.0.0.1:80@evil.example/", "user name"),
        ("https://hh.ru/x#canary", "fragment"),
        ("https://hh.ru/x#", "fragment"),
        ("https://hh.ru:99999/", "is not an address"),
        ("https://hh.ru:port/", "is not an address"),
        ("https://hh.ru:-1/", "is not an address"),
        ("https://[::1/", "is not an address"),
        ("https://hh.ru/a b", "characters"),
        (" https://hh.ru/", "characters"),
        ("https://hh.ru/\n", "characters"),
        ("https://hh.ru/\r\nX: y", "characters"),
        ("https://hh\t.ru/", "characters"),
        ("https://hh.ru/\x00", "characters"),
        ("https://hh.ru/\x7f", "characters"),
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


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.255.254", "::1", "localhost", "LocalHost", "localhost."])
def test_this_machine_is_loopback(host):
    assert addresses.is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "128.0.0.1", "10.0.0.1", "::", "::2", "hh.ru", "127.1", "0x7f000001", "[::1]", "localhost.x"],
)
def test_any_other_host_is_not_loopback(host):
    assert not addresses.is_loopback(host)


@pytest.mark.parametrize(
    "host, expected",
    [
        ("127.0.0.1", True),
        ("192.0.2.1", True),
        ("::", True),
        ("hh.ru", False),
        ("", False),
        ("1.2.3", False),
        ("1", False),
    ],
)
def test_an_address_is_told_from_a_name(host, expected):
    assert addresses.is_literal(host) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("8000", ("127.0.0.1", 8000)),
        (":8000", ("127.0.0.1", 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8000", ("::1", 8000)),
        ("[::]:8000", ("::", 8000)),
        ("localhost:0", ("localhost", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_a_place_to_listen_is_read(text, expected):
    assert addresses.parse_listen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "canary",
        "127.0.0.1",
        "127.0.0.1:",
        "h:65536",
        "h:-1",
        "h:+1",
        "h: 1",
        "h:1.5",
        "h:999999999",
        "h:\u0661",
    ]
    + ["[::1]", "::1"],
    ids=ascii,
)
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
