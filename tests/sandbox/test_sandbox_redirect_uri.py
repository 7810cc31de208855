"""Which redirect URIs the sandbox accepts: HeadHunter's own examples, and what attackers try. Pure."""

import pytest

from hhtoken.sandbox.authorization import is_allowed, with_parameters

OAUTH = "http://example.com/oauth"
LOOPBACK = "http://127.0.0.1:8000/callback"


@pytest.mark.parametrize(
    "given, registered",
    [
        (OAUTH, OAUTH),
        ("http://www.example.com/oauth", OAUTH),
        ("http://www.example.com/oauth/sub/path", OAUTH),
        ("http://example.com/oauth?lang=RU", OAUTH),
        ("http://www.example.com/oauth/sub/path?lang=RU", OAUTH),
        ("HTTP://Example.COM/oauth", OAUTH),
        ("http://example.com/oauth/", OAUTH),
        (LOOPBACK, LOOPBACK),
        (LOOPBACK + "/deeper?x=1", LOOPBACK),
        ("http://[::1]:8000/callback", "http://[::1]:8000/callback"),
        ("http://app.localhost/cb", "http://localhost/cb"),
        ("https://example.com/any/path", "https://example.com"),
        ("https://example.com/cb?a=1&b=2", "https://example.com/cb?a=1"),
        ("hhapp://back/here", "hhapp://back/here"),
    ],
)
def test_the_same_or_a_closer_address_is_allowed(given, registered):
    assert is_allowed(given, registered)


@pytest.mark.parametrize(
    "given, registered",
    [
        ("https://example.com/oauth", OAUTH),
        ("http://wwwexample.com/oauth", OAUTH),
        ("http://example.com/", OAUTH),
        ("http://example.com/oauths", OAUTH),
        ("http://example.com:80/oauth", OAUTH),
        ("http://example.com.evil.org/oauth", OAUTH),
        ("http://example.com@evil.org/oauth", OAUTH),
        ("http://evil@example.com/oauth", OAUTH),
        ("http://example.com/oauth/../admin", OAUTH),
        ("http://example.com/oauth/%2e%2E/admin", OAUTH),
        ("http://example.com/oauth#fragment", OAUTH),
        ("http://example.com/oauth#", OAUTH),
        ("http://evil.org\\@example.com/oauth", OAUTH),
        ("http://example.com/oauth\n", OAUTH),
        ("http://example.com/o auth", OAUTH),
        ("http://exämple.com/oauth", OAUTH),
        ("http://example.com:port/oauth", OAUTH),
        ("http://[example.com/oauth", OAUTH),
        ("//example.com/oauth", OAUTH),
        ("/oauth", OAUTH),
        ("", OAUTH),
        ("javascript:alert(1)", OAUTH),
        ("http://127.0.0.1/callback", LOOPBACK),
        ("http://127.0.0.1:8001/callback", LOOPBACK),
        ("http://localhost:8000/callback", LOOPBACK),
        ("http://1.127.0.0.1:8000/callback", LOOPBACK),
        ("https://example.com/cb?b=2", "https://example.com/cb?a=1"),
    ],
)
def test_any_other_address_is_refused(given, registered):
    assert not is_allowed(given, registered)


def test_parameters_join_those_that_the_address_has():
    address = with_parameters("http://h/cb?lang=RU", code="a b", state=None, error="x&y")
    assert address == "http://h/cb?lang=RU&code=a+b&error=x%26y"
