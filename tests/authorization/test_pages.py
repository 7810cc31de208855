"""The pages that the browser is shown: fixed, bilingual, loading nothing, repeating nothing."""

import base64
import hashlib
import re
from http import HTTPStatus

import pytest

from hhtoken.authorization import pages
from hhtoken.authorization.pages import language
from hhtoken.console.language import translated_into

NAMED = {
    pages.AUTHORIZED: 200,
    pages.DENIED: 200,
    pages.REFUSED: 400,
    pages.TRY_LATER: 503,
    pages.FAILED: 502,
}
REFUSALS = [400, 404, 405, 414, 421, 431]  # all that the listener refuses with
ALL = [*NAMED, *REFUSALS]
EVERY_PAGE = pytest.mark.parametrize("name", ALL)
BOTH = pytest.mark.parametrize("tongue", ["ru", "en"])


def response(name, accept_language):
    return pages.response(name, language(accept_language), translated_into)


def taken_apart(name, tongue):
    """The status line, the headers as a list of pairs, and the text of the page."""
    head, _empty, body = response(name, tongue).partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    return status_line, [tuple(line.split(": ", 1)) for line in lines], body.decode()


def words(html):
    names = "journalctl -t hhtoken|hhtoken( [a-z-]+)?|HeadHunter|HH_REDIRECT_URI|X-Forwarded-Proto|nginx|https|GET|Host"
    return re.sub(rf"<style>.*?</style>|<[^>]*>|{names}", " ", html)


def test_no_page_is_forgotten_here():
    assert {name for name in pages.PAGES if isinstance(name, str)} == set(NAMED)
    assert {status for status in pages.PAGES if isinstance(status, int)} == set(REFUSALS)


@pytest.mark.parametrize("name, status", [*NAMED.items(), *zip(REFUSALS, REFUSALS)])
def test_a_page_is_a_whole_http_response_with_its_status(name, status):
    status_line, headers, body = taken_apart(name, "en")
    assert status_line == f"HTTP/1.0 {status} {HTTPStatus(status).phrase}"
    assert int(dict(headers)["Content-Length"]) == len(body.encode())
    assert body.startswith("<!doctype html>") and body.endswith("</html>\n")


@BOTH
@EVERY_PAGE
def test_a_page_speaks_one_of_the_two_languages_throughout(name, tongue):
    body = taken_apart(name, tongue)[2]
    assert f'<html lang="{tongue}">' in body
    letters = [letter for letter in words(body) if letter.isalpha()]
    assert len(letters) > 20
    assert all(("а" <= letter.lower() <= "ё") == (tongue == "ru") for letter in letters)


@BOTH
@EVERY_PAGE
def test_a_page_says_what_happened_and_what_to_do_next(name, tongue):
    body = taken_apart(name, tongue)[2]
    title = re.search("<h1>(.+?)</h1>", body).group(1)
    assert f"<title>{title}</title>" in body
    assert len(re.findall("<p>.+?</p>", body)) == (1 if name == 404 else 2)
    if name not in (pages.AUTHORIZED, 404):
        assert "hhtoken" in body.partition("<footer>")[0]


@pytest.mark.parametrize("name", [name for name in NAMED if name != pages.AUTHORIZED] + REFUSALS)
def test_no_failure_looks_like_a_success(name):
    assert 'class="bad"' in taken_apart(name, "en")[2]
    assert 'class="good"' in taken_apart(pages.AUTHORIZED, "en")[2]
    assert taken_apart(name, "ru")[2] != taken_apart(pages.AUTHORIZED, "ru")[2]


@EVERY_PAGE
def test_a_page_is_never_cached_framed_sniffed_or_referred_to(name):
    headers = taken_apart(name, "ru")[1]
    assert len(dict(headers)) == len(headers)
    assert {
        key: value for key, value in headers if key not in ("Content-Length", "Content-Security-Policy", "Allow")
    } == {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
    }


@BOTH
@EVERY_PAGE
def test_the_only_style_is_allowed_by_its_hash_and_nothing_else_is(name, tongue):
    _status, headers, body = taken_apart(name, tongue)
    (style,) = re.findall("<style>(.*?)</style>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert dict(headers)["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
    )


@BOTH
@EVERY_PAGE
def test_a_page_loads_nothing_and_runs_nothing(name, tongue):
    body = taken_apart(name, tongue)[2].lower()
    for forbidden in ("<script", "<img", "<link", "<iframe", "<form", "<a ", "src=", "href=", "url(", "@import", "://"):
        assert forbidden not in body
    assert not re.search(r"\bon[a-z]+=|style=", body)


ENGLISH = [
    None,
    "",
    "*",
    "de",
    "uk,de;q=0.9",
    "rus",
    "en-US,en;q=0.9,ru;q=0.8",
    "en,ru",
    "ru;q=0",
    "ru;q=x",
    "ru;q=nan",
]
ENGLISH += ["ru;q=-1", "ru;q=0,en;q=0", "de," * 20 + "ru", "en;q=0.5," * 100_000 + "ru"]
RUSSIAN = [
    "ru",
    "RU",
    "ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7",
    "en;q=0.8, ru;q=0.9",
    "en;q=0.8,ru",
    "de,ru;q=0.1",
    "ru,en",
]
RUSSIAN += ["ru ; q=0.5 , en ; q=0.4", ";;;,,,ru", "de," * 19 + "ru"]


@pytest.mark.parametrize("header", ENGLISH + RUSSIAN, ids=lambda value: str(value)[:24])
def test_the_language_is_the_one_that_the_browser_prefers(header):
    assert language(header) == ("ru" if header in RUSSIAN else "en")
