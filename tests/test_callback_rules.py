"""Which requests are the browser's return, and which are not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hhtoken import callback_page, http_head
from hhtoken.callback_rules import CallbackRules
from hhtoken.language import said_in

SLOW = [HealthCheck.too_slow]  # says more about the machine than about the code
QUICK = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW)
PUBLIC = "https://hh.example.org/callback"
LOCAL = "http://127.0.0.1:8000/callback"
PROXIED = ("Host: hh.example.org", "X-Forwarded-Proto: https")


def refusal(redirect_uri=PUBLIC, target="/callback?code=C&state=S", method="GET", version="HTTP/1.1", headers=PROXIED):
    head = "\r\n".join((f"{method} {target} {version}", *headers, "", ""))
    return CallbackRules(redirect_uri).refusal(http_head.parse(head.encode("latin-1")))


# -- path and method --


@pytest.mark.parametrize("target", ["/callback", "/callback?", "/callback?code=C&state=S", "/callback?//x"])
def test_get_on_the_very_path_is_a_return(target):
    assert refusal(target=target) is None


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/callback/",
        "//callback",
        "//evil.example/callback",
        "/callback/x",
        "/Callback",
        "/callbac",
        "/callbackx",
        "/%63allback",
        "/callback%2f",
        "/callback%00",
        "/callback;x",
        "/callback#x",
        "/./callback",
        "/%2e/callback",
        "/x/../callback",
        "/%2e%2e/etc/passwd",
        "http://hh.example.org/callback",
        "https://hh.example.org/callback?code=C&state=S",
        "*",
        "callback",
        "?code=C&state=S",
        "/favicon.ico",
    ],
)
def test_any_other_path_is_not_found(target):
    assert refusal(target=target) == 404
    assert refusal(target=target, method="POST") == 404


@pytest.mark.parametrize(
    "method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "PATCH", "CONNECT", "get", "X"]
)
def test_any_other_method_is_not_allowed(method):
    assert refusal(method=method) == 405


@pytest.mark.parametrize(
    "redirect_uri, path",
    [
        ("https://hh.example.org", "/"),
        ("https://hh.example.org/", "/"),
        ("https://hh.example.org?x=1", "/"),
        ("https://hh.example.org/a/b/", "/a/b/"),
        ("https://hh.example.org/a?lang=ru", "/a"),
        ("https://hh.example.org/a%20b", "/a%20b"),
        ("https://hh.example.org/a;b", "/a;b"),
        ("https://HH.Example.Org:443/Callback", "/Callback"),
    ],
)
def test_the_path_is_the_redirect_uris_own(redirect_uri, path):
    assert CallbackRules(redirect_uri).path == path
    assert refusal(redirect_uri, target=path + "?code=C") is None
    assert refusal(redirect_uri, target=path + "x") == 404


# -- bodies --


@pytest.mark.parametrize(
    "header, expected",
    [
        ("Content-Length: 0", None),
        ("Content-Length:", None),
        ("Content-Length: 5", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: 00", 400),
        ("Content-Length: 0, 5", 400),
        ("Content-Length: x", 400),
        ("Transfer-Encoding: chunked", 400),
        ("Transfer-Encoding:", 400),
        ("transfer-ENCODING: identity", 400),
    ],
)
def test_a_request_with_a_body_is_refused(header, expected):
    assert refusal(headers=(*PROXIED, header)) == expected


def test_a_second_content_length_cannot_hide_a_body():
    assert refusal(headers=(*PROXIED, "Content-Length: 0", "Content-Length: 5")) == 400


# -- Host --


@pytest.mark.parametrize(
    "host",
    [
        "hh.example.org",
        "HH.EXAMPLE.ORG",
        "hh.example.org:443",
        "hh.example.org:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "localhost:8000",
        "[::1]:8000",
        "192.0.2.7",
    ],
)
def test_our_own_host_is_served(host):
    assert refusal(headers=(f"Host: {host}", "X-Forwarded-Proto: https")) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:443",
        "hh.example.org.evil.example",
        "xhh.example.org",
        "example.org",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.1",
        "[::1",
        "hh.example.org:80a",
        "hh.example.org:",
        "hh.example.org, evil.example",
        "hh.example.org@evil.example",
        "evil.example/hh.example.org",
        "evil.example#hh.example.org",
        "\xa0",
        "\xe9.example",
    ],
    ids=ascii,
)
def test_another_host_is_misdirected(host):
    assert refusal(headers=(f"Host: {host}", "X-Forwarded-Proto: https")) == 421


@pytest.mark.parametrize(
    "host", ["evil.example@hh.example.org", "hh.example.org/x", "hh.example.org?x", "hh.exa\tmple.org"]
)
def test_a_host_that_only_contains_ours_is_misdirected(host):
    assert refusal(headers=(f"Host: {host}", "X-Forwarded-Proto: https")) == 421


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
        (["X-Forwarded-Proto: https"], None),
        (["x-forwarded-proto:HTTPS"], None),
        (["X-Forwarded-Proto: http"], 400),
        (["X-Forwarded-Proto:"], 400),
        (["X-Forwarded-Proto: https, http"], 400),
        (["X-Forwarded-Proto: http, https"], 400),
        (["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"], 400),
        (["X-Forwarded-Proto: httpsx"], 400),
        (["Forwarded: proto=https"], 400),
    ],
)
def test_an_https_redirect_uri_needs_nginx_to_vouch_for_https(lines, expected):
    assert refusal(headers=("Host: hh.example.org", *lines)) == expected


@pytest.mark.parametrize("lines", [[], ["X-Forwarded-Proto: http"], ["X-Forwarded-Proto: https"]])
def test_an_http_redirect_uri_needs_nobody_to_vouch(lines):
    assert refusal(LOCAL, headers=("Host: 127.0.0.1:8000", *lines)) is None


# -- always --


@QUICK
@given(
    st.sampled_from([PUBLIC, LOCAL]),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(["/callback", "/", "/callback?x"]),
    st.lists(
        st.tuples(
            st.sampled_from(["Host", "X-Forwarded-Proto", "Content-Length", "Transfer-Encoding"]),
            st.sampled_from(["hh.example.org", "https", "[", "[::1", "//", "0", "\xe9", "\x00", "a]b", "[v1.x]", "%"]),
        ),
        max_size=4,
    ),
)
def test_every_request_is_a_return_or_has_a_page(redirect_uri, method, target, headers):
    status = refusal(redirect_uri, target, method, headers=[f"{name}: {value}" for name, value in headers])
    assert status is None or callback_page.response(status, "en", said_in).startswith(b"HTTP/1.0 %d " % status)
