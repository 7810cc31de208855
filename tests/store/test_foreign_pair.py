"""A pair that another tool has written: read in its names and forms, and never called valid where that is not known."""

import json
import os
import time
from datetime import datetime, timedelta, timezone
from email.utils import formatdate

import pytest
from conftest import obtain_pair, refreshes
from hypothesis import given
from hypothesis import strategies as st
from support import NOW, PAIR, QUICK

from hhtoken.pair import is_token
from hhtoken.store import foreign_pair

LIFE = 1209600
MOSCOW = timezone(timedelta(hours=3))


def at(moment, zone=timezone.utc):
    return datetime.fromtimestamp(moment, zone)


# Form -> what a tool writes for a moment in Unix seconds.
FORMS = {
    "seconds": int,
    "a fraction": lambda moment: moment + 0.25,
    "text": lambda moment: f" {moment} ",
    "text with a fraction": lambda moment: f"{moment}.75",
    "milliseconds": lambda moment: moment * 1000,
    "milliseconds as text": lambda moment: str(moment * 1000),
    "nanoseconds": lambda moment: moment * 10**9 + 1,
    "ISO, Z": lambda moment: at(moment).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "ISO, a blank": lambda moment: str(at(moment)),
    "ISO, an offset": lambda moment: at(moment, MOSCOW).isoformat(),
    "ISO, milliseconds": lambda moment: at(moment, MOSCOW).isoformat(timespec="milliseconds").replace(":00", "00", 1),
    "ISO, Go": lambda moment: at(moment).strftime("%Y-%m-%dT%H:%M:%S.123456789+00:00"),
    "ISO, no zone": lambda moment: at(moment).strftime("%Y-%m-%d %H:%M:%S.%f"),
    "ISO, compact": lambda moment: at(moment).strftime("%Y%m%dT%H%M%SZ"),
    "mail": lambda moment: formatdate(moment, usegmt=True),
}


# Layout -> what a tool writes around a pair (access token, refresh token) and the moment of its expiry, in a form.
LAYOUTS = {
    "expires_at": lambda a, r, end: {**oauth(a, r), "expires_at": end},
    "expiry": lambda a, r, end: {**oauth(a, r), "token_type": "bearer", "expiry": end},
    "access_expires_at": lambda a, r, end: {"token": {**oauth(a, r), "access_expires_at": end}},
    "expires": lambda a, r, end: {"oauth": {"tokens": [{**oauth(a, r), "expires": end}]}},
    "expiresAt": lambda a, r, end: {"accessToken": a, "refreshToken": r, "expiresAt": end},
    "expiry_date": lambda a, r, end: {"web": 1, "credentials": {**oauth(a, r), "expiry_date": end}},
    "expires_on": lambda a, r, end: {**oauth(a, r), "expires_on": end, "ext_expires_in": 10**7},
    "token_expiry": lambda a, r, end: {"token": a, "refresh_token": r, "token_expiry": end},
    "accessTokenExpiresAt": lambda a, r, end: {
        "auth": {"accessToken": a, "refreshToken": r, "accessTokenExpiresAt": end, "refreshTokenExpiresAt": end}
    },
    "exp": lambda a, r, end: {"access": a, "refresh": r, "exp": end},
    "around": lambda a, r, end: {"expires_at": end, "tokens": oauth(a, r)},
    "prefixes": lambda a, r, end: {"hh": {"HH_ACCESS_TOKEN": a, "HH_REFRESH_TOKEN": r, "HH_TOKEN_EXPIRES": end}},
    "configuration": lambda a, r, end: {
        "client_secret": "CANARY-SECRET",
        "updated": True,
        "profiles": {"default": {"password": "CANARY", "token": {**oauth(a, r), "access_expires_at": end}}},
    },
}


def oauth(access, refresh):
    return {"access_token": access, "refresh_token": refresh}


def write(path, document, age=0):
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_tells_the_expiry_in_each_form(layout, form):
    for end in (NOW - 5000, NOW + 5000):
        document = json.loads(json.dumps(LAYOUTS[layout]("ACCESS", "REFRESH", FORMS[form](end))))
        pair = foreign_pair.read(document, NOW, NOW)
        assert (pair.access_token, pair.refresh_token, pair.expires_at, pair.assumed) == (
            "ACCESS",
            "REFRESH",
            end,
            None,
        )
        assert "CANARY" not in str(pair.fields)


@pytest.mark.parametrize("issued", ["created_at", "obtained_at", "issued_at", "createdAt", "iat", "token_obtained_at",
                                    "lastRefresh", "timestamp", "updated_at"])  # fmt: skip
@pytest.mark.parametrize("life", ["expires_in", "expiresIn", "access_token_expires_in"])
def test_an_issue_and_a_life_tell_the_expiry(issued, life):
    for form in FORMS.values():
        pair = foreign_pair.read({**PAIR, issued: form(NOW - 100), life: "600.0"}, NOW, NOW)
        assert (pair.obtained_at, pair.expires_at, pair.assumed) == (NOW - 100, NOW + 500, None)
        assert pair.fields == {**PAIR, "expires_in": 600}


@pytest.mark.parametrize("zone", ["Europe/Moscow", "America/New_York", "UTC"])
def test_of_a_moment_without_a_zone_the_earlier_reading_counts(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    for zoned in (timezone.utc, None):
        written = at(NOW, zoned).strftime("%Y-%m-%dT%H:%M:%S")
        assert foreign_pair.read({**PAIR, "expires_at": written}, NOW, NOW).expires_at <= NOW
        both = {**PAIR, "expires_at": written, "expires": NOW + 30}
        assert foreign_pair.read(both, NOW, NOW).assumed is None, "the other field tells the zone"
    monkeypatch.undo()
    time.tzset()


CONTRADICTING = [
    {"expires_at": NOW + 1000, "expiry": NOW + 1061},
    {"expires_at": NOW + 1000, "expires": at(NOW - 1000).isoformat()},
    {"expires_at": NOW + 1000, "created_at": NOW - 2000, "expires_in": 2000},
    {"created_at": NOW - 1000, "updated_at": NOW - 100, "expires_in": 1500},
    {"obtained_at": NOW - 2 * LIFE, "expires_in": LIFE, "expires_at": NOW + 1000},
]
UNTOLD = [
    {},
    {"expires_at": None},
    {"expires_at": "soon"},
    {"expiry": "14.11.2023 22:13:20", "expires_in": LIFE},
    {"expiry": "0001-01-01T00:00:00Z", "expires_in": LIFE},
    {"expires_at": 0, "expires_in": LIFE},
    {"created_at": "yesterday", "expires_in": LIFE},
    {"since": NOW - 5, "expires_in": LIFE},
    {"when": "2023-11-01T00:00:00Z", "expires_in": LIFE},
    {"expires_in": 0},
    {"expires_in": NOW + 1000},
    {"expires_at": NOW + 2 * LIFE, "expires_in": LIFE},
    {"expires_at": NOW + 40_000_000},
    {"expires_at": {"seconds": NOW + 5}, "expires_in": LIFE},
    {"refresh_expires_in": LIFE, "refresh_token_expires_at": NOW + 1000, "id_token_expires_at": NOW + 1000},
    {"expires_at": True, "expired": False},
    {"expires_at": "2023-99-99T00:00:00Z"},
    {"expires_at": "2023-11-14T22:13:20+99:00"},
]


@pytest.mark.parametrize(
    "why, times", [("contradict", one) for one in CONTRADICTING] + [("does not say", one) for one in UNTOLD]
)
def test_where_nothing_tells_for_certain_the_pair_is_due_and_that_is_said(why, times):
    pair = foreign_pair.read({**PAIR, **times}, NOW, NOW)
    assert pair.expires_at <= NOW and why in pair.assumed


@pytest.mark.parametrize("written, seconds_left", [(NOW - 400, 600), (NOW - 2000, 0), (NOW + 10**6, 1000)])
def test_a_life_alone_counts_from_the_time_of_the_file_and_that_is_said(written, seconds_left):
    pair = foreign_pair.read({**PAIR, "expires_in": 1000}, written, NOW)
    assert (pair.obtained_at, pair.seconds_left(NOW)) == (min(written, NOW), seconds_left)
    assert "its own time" in pair.assumed


@pytest.mark.parametrize("other", [{"access_token": "OTHER"}, {"refresh_token": "OTHER"}])
def test_of_two_different_pairs_none_is_taken_but_one_at_the_top(other):
    document = {"old": {**PAIR, **other}, "new": PAIR}
    with pytest.raises(ValueError, match="more than one pair"):
        foreign_pair.read(document, NOW, NOW)
    assert foreign_pair.read({**document, **PAIR}, NOW, NOW).fields == PAIR
    assert foreign_pair.read({"old": {"x": PAIR}, "new": PAIR}, NOW, NOW).fields == PAIR


def test_our_own_file_keeps_every_field_and_another_tools_the_oauth_fields_alone():
    ours = {**PAIR, "x": [1], "obtained_at": NOW, "expires_at": NOW + 60}
    assert foreign_pair.read(ours, NOW, NOW).all_fields() == ours
    theirs = {"x": [1], "token": {**PAIR, "y": 2, "tokenType": "bearer", "scope": "a", "expiry": NOW}}
    assert foreign_pair.read(theirs, NOW, NOW).fields == {**PAIR, "token_type": "bearer", "scope": "a"}


NAMES = st.sampled_from([*PAIR, "expires_at", "created_at", "expires_in", "token", "exp", "expiresIn"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(["A", NOW]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=4),
    max_leaves=12,
)


@QUICK
@given(st.dictionaries(NAMES, JSON_VALUES, max_size=7))
def test_arbitrary_fields_give_a_pair_or_a_value_error(fields):
    try:
        pair = foreign_pair.read(fields, NOW, NOW)
    except ValueError:
        return
    assert is_token(pair.access_token) and (pair.refresh_token is None or is_token(pair.refresh_token))
    assert type(pair.obtained_at) is int and type(pair.expires_at) is int


# -- the program --

DEAD = [(layout, list(FORMS)[number % len(FORMS)]) for number, layout in enumerate([*LAYOUTS, *LAYOUTS])]


@pytest.mark.parametrize("layout, form", DEAD)
def test_a_dead_token_is_never_called_valid_and_is_renewed(operator, sandbox, tmp_path, layout, form):
    tokens = [obtain_pair(sandbox)[name] for name in PAIR]
    sandbox.provider.expire()
    operator.run("import", write(tmp_path / "tool.json", LAYOUTS[layout](*tokens, FORMS[form](int(time.time()) - 90))))
    is_due_until_renewed(operator, sandbox)
    assert "CANARY" not in operator.token_file.read_text()


@pytest.mark.parametrize("place", ["import", "in place"])
@pytest.mark.parametrize("times", [{}, {"expires_at": "soon", "expires_in": LIFE}, {"expires_in": 60},
                                   {"expires_at": 2 * NOW}, {"created_at": 0, "expires_in": LIFE}])  # fmt: skip
def test_nor_is_one_of_which_nothing_is_known(operator, sandbox, tmp_path, times, place):
    pair = {"token": {**{name: obtain_pair(sandbox)[name] for name in PAIR}, **times}}
    sandbox.provider.expire()
    if place == "import":
        said = operator.run("import", write(tmp_path / "tool.json", pair, age=100)).stderr
        last = json.loads(operator.run("status", "--json", expect=69).stdout)["last_refresh"]["message"]
    else:
        operator.state.mkdir(mode=0o700)
        write(operator.token_file, pair, age=100)
        said = last = json.loads(operator.run("status", "--json", expect=69).stdout)["reason"]
    why = "its own time" if times == {"expires_in": 60} else "so the pair is due now"
    assert why in said and why in last
    is_due_until_renewed(operator, sandbox)


def is_due_until_renewed(operator, sandbox):
    status = json.loads(operator.run("status", "--json", expect=69).stdout)
    assert (status["state"], status["usable"], status["seconds_left"]) == ("due", False, 0)
    assert operator.run("show", "--field", "access_token", expect=69).stdout == ""
    operator.run("refresh")
    assert refreshes(sandbox) == 1
    sandbox.provider.check_user_token(operator.run("show", "--field", "access_token").stdout.strip())


def test_a_living_token_that_is_due_by_no_word_of_its_file_stays_in_use(operator, sandbox, tmp_path):
    operator.run("import", write(tmp_path / "tool.json", {"a": {name: obtain_pair(sandbox)[name] for name in PAIR}}))
    assert "renewed" not in operator.run("refresh").stderr
    assert json.loads(operator.run("status", "--json").stdout)["usable"]


@pytest.mark.parametrize("layout", ["expires_at", "configuration"])
def test_a_living_token_is_valid_as_long_as_its_file_says(operator, sandbox, tmp_path, layout):
    tokens = [obtain_pair(sandbox)[name] for name in PAIR]
    end = int(time.time()) + 1000
    operator.run("import", write(tmp_path / "tool.json", LAYOUTS[layout](*tokens, FORMS["ISO, an offset"](end))))
    status = json.loads(operator.run("status", "--json").stdout)
    assert (status["state"], status["expires_at"]) == ("valid", end)
    operator.run("refresh")
    assert refreshes(sandbox) == 0


def test_two_pairs_in_a_file_are_65(operator, tmp_path):
    file = write(tmp_path / "tool.json", {"a": PAIR, "b": {**PAIR, "access_token": "OTHER"}})
    assert "more than one pair" in operator.run("import", file, expect=65).stderr
