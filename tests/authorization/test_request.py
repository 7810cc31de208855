"""The authorization request and what comes back from it."""

import traceback
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import QUICK

from hhtoken.authorization.request import (
    Refused,
    code_challenge,
    denial,
    is_printable,
    read_return,
    request_url,
    state_in,
)
from hhtoken.store.pending import same_state

# RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
AUTHORIZE = "https://hh.ru/oauth/authorize"
VSCHAR = st.text([chr(code) for code in range(0x20, 0x7F)], min_size=1, max_size=60)


def url(authorize_url=AUTHORIZE, options=()):
    return request_url(authorize_url, "CLIENT", "https://me.example/cb?a=1&b=2", "STATE", VERIFIER, options)


# -- the request --


def test_the_state_of_an_address_can_be_told():
    for authorize_url in (AUTHORIZE, AUTHORIZE + "?x=1"):
        assert state_in(url(authorize_url)) == "STATE"


def test_the_challenge_is_the_one_of_rfc_7636():
    assert code_challenge(VERIFIER) == CHALLENGE


def test_the_address_asks_for_a_code_with_state_redirect_uri_and_challenge():
    assert url().startswith(AUTHORIZE + "?")
    assert parse_qsl(urlsplit(url()).query, strict_parsing=True) == [
        ("response_type", "code"),
        ("client_id", "CLIENT"),
        ("redirect_uri", "https://me.example/cb?a=1&b=2"),
        ("state", "STATE"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]


@pytest.mark.parametrize("base", [AUTHORIZE + "?x=1", AUTHORIZE + "?x=1&y=%20", AUTHORIZE + "?"])
def test_an_authorize_address_with_a_query_keeps_it(base):
    fields = dict(parse_qsl(urlsplit(url(base)).query, strict_parsing=True))
    assert fields.items() >= dict(parse_qsl(urlsplit(base).query)).items()
    assert fields["response_type"] == "code" and fields["state"] == "STATE"
    assert url(base).count("?") == 1


@QUICK
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_client_id_and_state_arrive_unchanged(client_id, state):
    address = request_url(AUTHORIZE, client_id, "https://me.example/cb", state, VERIFIER)
    fields = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
    assert (fields["client_id"], fields["state"]) == (client_id, state)
    assert address.isascii() and address.isprintable() and " " not in address


# -- the return --


@pytest.mark.parametrize(
    "query, state, code, error",
    [
        ("code=C&state=S", "S", "C", None),
        ("state=S&code=C", "S", "C", None),
        ("error=access_denied&state=S", "S", None, "access_denied"),
        ("lang=ru&code=C&state=S&x=1&x=2", "S", "C", None),
        ("code=a%2Bb%2F%3D&state=S", "S", "a+b/=", None),
        ("code=C&state=a+b", "a b", "C", None),
        ("code=C&state=S&Code=D&STATE=T", "S", "C", None),
        ("code=C&state=S&x=%D1%8F", "S", "C", None),
        ("&&code=C&state=S&", "S", "C", None),
        ("code=C&state=S&" + "&".join(f"x{n}=1" for n in range(18)), "S", "C", None),
    ],
)
def test_a_browsers_return_is_read(query, state, code, error):
    assert read_return(query) == (state, code, error)


REFUSED_QUERIES = """canary code=canary state=canary error=canary code=canary&state= code=&state=canary
error=&state=canary state=canary&code=C&error=E state=canary&code=C&code=C state=canary&state=T&code=C
state=canary&error=E&error=E state=canary&code=C&code= state=canary&code=C%0A state=canary&code=C%00
state=canary%0D%0A&code=C state=canary&code=%D1%8F state=%D1%8F&code=canary state=canary&code=\u044f
state=canary&code=%FF state=canary&code=C&x=%FF state=canary&code=%7F state=canary&code=C;x=1%09""".split()
REFUSED_QUERIES += ["", "state=canary&code=" + "C" * 8192, "&" * 8193]
REFUSED_QUERIES += ["state=canary&code=C&" + "&".join(f"x{n}=1" for n in range(19))]


@pytest.mark.parametrize("query", REFUSED_QUERIES, ids=lambda query: ascii(query[:36]))
def test_what_is_no_return_is_refused_and_not_repeated(query):
    with pytest.raises(Refused) as caught:
        read_return(query)
    assert str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert traceback.format_exception_only(Refused, caught.value) == [
        f"hhtoken.authorization.request.Refused: {caught.value}\n"
    ]


def test_a_query_of_just_8192_characters_is_read():
    query = "state=S&code="
    assert read_return(query + "C" * (8192 - len(query)))[0] == "S"
    with pytest.raises(Refused, match="too long"):
        read_return(query + "C" * (8193 - len(query)))


@QUICK
@given(VSCHAR, VSCHAR, st.sampled_from(["code", "error"]))
def test_any_printable_code_or_error_comes_back_unchanged(state, value, name):
    came = read_return(urlencode({name: value, "state": state}))
    assert came == ((state, value, None) if name == "code" else (state, None, value))


@QUICK
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["code=", "state=", "error=", "&", ";", "%", "%00", "%FF", "+", "a", "=", "\u044f", "#"]),
        max_size=12,
    ).map("".join)
)
def test_arbitrary_text_is_a_return_or_refused(query):
    try:
        state, code, error = read_return(query)
    except Refused:
        return
    assert is_printable(state)
    assert (code is None) != (error is None)
    assert is_printable(code or error)


# -- errors and states --


@pytest.mark.parametrize(
    "error, exit_code",
    [
        ("access_denied", 77),
        ("server_error", 75),
        ("temporarily_unavailable", 75),
        ("canary", 77),
        ("ACCESS_DENIED", 77),
    ],
)
def test_a_denial_says_what_to_do_and_repeats_nothing(error, exit_code):
    denied = denial(error)
    assert denied.exit_code == exit_code and "hhtoken login" in denied.hint
    assert "canary" not in denied.message + denied.hint
    assert ("denied in the browser" in denied.message) == (error == "access_denied")


@QUICK
@given(st.text(max_size=10), st.text(max_size=10))
def test_two_states_are_the_same_only_when_they_are_equal(one, other):
    assert same_state(one, other) == (one == other)
    assert same_state(one, one)
