"""Which redirect URIs the sandbox accepts: HeadHunter's own examples, and what attackers try. Pure."""

import pytest

from hhtoken.sandbox.authorization import is_allowed, with_parameters

OAUTH = "http://example.com/oauth"
LOOPBACK = "http://127.0.0.1:8000/callback"


@pytest.mark.parametrize(
    "given, registered",
    [
        (OAUTH, OAUTH),
        ("http://www.example.com/oauth/sub/path?lang=RU", OAUTH),
        ("HTTP://Example.COM/oauth/", OAUTH),
        (LOOPBACK + "/deeper?x=1", LOOPBACK),
        ("http://[::1]:8000/callback", "http://[::1]:8000/callback"),
        ("https://example.com/any/path", "https://example.com"),
        ("https://example.com/cb?a=1&b=2", "https://example.com/cb?a=1"),
        ("hhapp://back/here", "hhapp://back/here"),
    ],
)
def test_the_same_or_a_closer_address_is_allowed(given, registered):
    assert is_allowed(given, registered)


@pytest.mark.parametrize(
    "given",
    [
        "https://example.com/oauth",
        "http://wwwexample.com/oauth",
        "http://example.com/",
        "http://example.com/oauths",
        "http://example.com:80/oauth",
        "http://example.com.evil.org/oauth",
        "http://example.com@evil.org/oauth",
        "http://example.com/oauth/../admin",
        "http://example.com/oauth/%2e%2E/admin",
        "http://example.com/oauth#",
        "http://evil.org\\@example.com/oauth",
        "http://example.com/oauth\n",
        "http://exämple.com/oauth",
        "http://example.com:port/oauth",
        "http://[example.com/oauth",
        "//example.com/oauth",
        "",
        "javascript:alert(1)",
    ],
)
def test_any_other_address_is_refused(given):
    assert not is_allowed(given, OAUTH)


@pytest.mark.parametrize("given", ["http://127.0.0.1:8001/callback", "http://1.127.0.0.1:8000/callback"])
def test_an_address_of_digits_has_no_subdomain_and_its_port_counts(given):
    assert not is_allowed(given, LOOPBACK)


def test_a_parameter_that_is_registered_may_not_be_missing():
    assert not is_allowed("https://example.com/cb?b=2", "https://example.com/cb?a=1")


def test_parameters_join_those_that_the_address_has():
    address = with_parameters("http://h/cb?lang=RU", code="a b", state=None, error="x&y")
    assert address == "http://h/cb?lang=RU&code=a+b&error=x%26y"
