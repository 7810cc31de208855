"""Every kind of weather on a real socket: what bytes a client sees, and whether the provider has committed."""

import gzip
import json
import re
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from support import ROOT

from hhtoken.sandbox import delivery
from hhtoken.sandbox.faults import API_FAULTS, FAULTS, Weather
from hhtoken.sandbox.refusals import DOCUMENTED
from hhtoken.sandbox.server import start
from hhtoken.sandbox.settings import CLIENT_ID, CLIENT_SECRET

RESET = "reset"  # stands for a connection reset at the end of what came
SILENCE = "silence"  # stands for a connection that stays open and says nothing
PAIR = {"access_token", "token_type", "expires_in", "refresh_token"}
WEATHER = {name: fault for name, fault in FAULTS.items() if name not in {row.slug for row in DOCUMENTED}}
REPLACED = [name for name, fault in WEATHER.items() if fault.status and fault.framing == "whole"]
TOKEN_CHANGED = [
    "newline_token",
    "nul_token",
    "space_token",
    "non_ascii_token",
    "surrogate_token",
    "long_token",
    "empty_token",
    "number_token",
]


@pytest.fixture(scope="module")
def sandbox():
    with start(drip_seconds=0.0005, hang_seconds=30) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def fresh(sandbox):
    sandbox.reset()


def expired_refresh_token(sandbox):
    provider = sandbox.provider
    asked = provider.read_authorization({"response_type": "code", "client_id": CLIENT_ID})
    code = urlsplit(provider.answer(asked, True)).query.partition("=")[2]
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    pair = provider.token({"grant_type": "authorization_code", "code": code, **client})
    provider.expire()
    return pair["refresh_token"]


def connect(sandbox, refresh_token):
    """Send a refresh over a socket of our own and return the socket."""
    host, port = urlsplit(sandbox.url).netloc.split(":")
    body = urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token})
    connection = socket.create_connection((host, int(port)), timeout=5)
    head = (
        f"POST /oauth/token HTTP/1.1\r\nHost: {host}\r\nUser-Agent: App/1.0\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body.encode())
    return connection


def refresh(sandbox, name, most=1_000_000):
    """Meet a fault; return ``(head, body, end)`` as they came, end being "", RESET or SILENCE."""
    sandbox.weather.add(name)
    data, end = b"", ""
    with connect(sandbox, expired_refresh_token(sandbox)) as connection:
        connection.settimeout(0.3)
        try:
            while len(data) < most:
                piece = connection.recv(65536)
                if not piece:
                    break
                data += piece
        except ConnectionResetError:
            end = RESET
        except socket.timeout:
            end = SILENCE
    head, _blank, body = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body, end


def header(head, name):
    return re.search(rf"^{name}: (.*?)\r?$", head, re.MULTILINE | re.IGNORECASE)[1]


def commits(sandbox):
    return sandbox.provider.committed["refresh_token"]


# -- the table --


@pytest.mark.parametrize("name", FAULTS)
def test_the_table_tells_the_truth_about_commits(sandbox, name):
    refresh(sandbox, name, most=1000)
    assert commits(sandbox) == (1 if FAULTS[name].commits else 0)


@pytest.mark.parametrize("name", FAULTS)
def test_names_and_entries_agree(name):
    fault = FAULTS[name]
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert fault.framing in delivery.FRAMINGS
    assert not name.endswith("_after") or fault.commits
    assert not name.endswith("_before") or not fault.commits


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_one_request_and_fair_weather_follows(sandbox, name):
    refresh(sandbox, name, most=1000)
    with connect(sandbox, "") as connection:
        assert b"token is empty" in connection.makefile("rb").read()


def test_the_document_names_every_fault():
    text = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert [name for name in {**WEATHER, **API_FAULTS} if f"`{name}`" not in text] == []


# -- replaced answers --


@pytest.mark.parametrize("name", REPLACED)
def test_a_replaced_answer_has_the_status_and_the_kind_that_it_says(sandbox, name):
    fault = FAULTS[name]
    head, body, end = refresh(sandbox, name)
    assert head.startswith(f"HTTP/1.1 {fault.status} ") and end == ""
    assert int(header(head, "Content-Length")) == len(body)
    if fault.html is not None:
        assert body.decode() == fault.html and header(head, "Content-Type").startswith("text/html")
    elif fault.document is not None:
        assert json.loads(body) == {**fault.document, "request_id": header(head, "X-Request-Id")}


def test_retry_after_comes_as_seconds_as_a_date_as_nonsense_and_not_at_all(sandbox):
    heads = {name: refresh(sandbox, name)[0] for name in FAULTS if name.startswith("rate_limit")}
    assert header(heads["rate_limit"], "Retry-After") == "2"
    ahead = parsedate_to_datetime(header(heads["rate_limit_date"], "Retry-After")).timestamp() - time.time()
    assert 0 <= ahead <= 2.1
    assert int(header(heads["rate_limit_absurd"], "Retry-After")) > 10**20
    assert "Retry-After" not in heads["rate_limit_bare"]


@pytest.mark.parametrize("name, followed", [("redirect", 1), ("redirect_302", 1)])
def test_who_follows_a_redirect_is_counted(sandbox, name, followed):
    sandbox.weather.add(name)
    sandbox.weather.add(name)
    agent = {"User-Agent": "A"}
    for follow in (False, True):
        requests.post(sandbox.url + "/token", {"a": "b"}, headers=agent, allow_redirects=follow, timeout=5)
    assert sandbox.requests.summary()["followed_redirects"] == followed


# -- damaged framing --


@pytest.mark.parametrize(
    "name, end",
    [
        ("close_before", ""),
        ("close_after", ""),
        ("reset_before", RESET),
        ("reset_after", RESET),
        ("hang_before", SILENCE),
        ("hang_after", SILENCE),
    ],
)
def test_nothing_is_said_and_the_end_is_as_told(sandbox, name, end):
    assert refresh(sandbox, name) == ("", b"", end)


def test_a_reset_is_one_also_for_a_client_that_names_no_length(sandbox):
    sandbox.weather.add("reset_before")
    host, port = urlsplit(sandbox.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /token HTTP/1.1\r\nUser-Agent: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_cut_after_has_all_of_the_json_and_promises_more(sandbox):
    head, body, end = refresh(sandbox, "cut_after")
    assert set(json.loads(body)) == PAIR and end == ""
    assert int(header(head, "Content-Length")) == len(body) + delivery.MISSING_BYTES


def test_cut_reset_after_ends_in_a_reset(sandbox):
    head, body, end = refresh(sandbox, "cut_reset_after")
    assert set(json.loads(body)) == PAIR and int(header(head, "Content-Length")) > len(body) and end == RESET


@pytest.mark.parametrize("name, end", [("cut_inside_after", ""), ("stall_after", SILENCE)])
def test_half_of_the_json_comes(sandbox, name, end):
    head, body, ended = refresh(sandbox, name)
    assert len(body) == int(header(head, "Content-Length")) // 2 and ended == end
    with pytest.raises(ValueError):
        json.loads(body)


def chunks(body):
    """Read chunks as far as they go; return ``(data, rest)``."""
    data = b""
    while True:
        size, _line, rest = body.partition(b"\r\n")
        if not re.fullmatch(rb"[0-9A-F]+", size) or len(rest) < int(size, 16) + 2:
            return data, body
        data += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]


@pytest.mark.parametrize(
    "name, rest",
    [
        ("chunked", b""),
        ("chunked_cut_after", b""),
        ("chunked_garbage_after", b"this is no chunk\r\n\r\n"),
    ],
)
def test_chunks_hold_all_of_the_json(sandbox, name, rest):
    head, body, end = refresh(sandbox, name)
    data, left = chunks(body)
    assert header(head, "Transfer-Encoding") == "chunked" and "Content-Length" not in head
    assert set(json.loads(data)) == PAIR and (left, end) == (rest, "")
    assert body.endswith(b"0\r\n\r\n") == (name == "chunked")


def test_chunked_inside_after_ends_within_a_chunk(sandbox):
    _head, body, _end = refresh(sandbox, "chunked_inside_after")
    data, left = chunks(body)
    assert data == b"" and len(left) < int(left.partition(b"\r\n")[0], 16)


def test_until_close_has_no_length(sandbox):
    head, body, end = refresh(sandbox, "until_close")
    assert set(json.loads(body)) == PAIR and end == ""
    assert "Content-Length" not in head and "Transfer-Encoding" not in head


def test_endless_never_ends_and_is_good_json_at_every_moment(sandbox):
    head, body, _end = refresh(sandbox, "endless", most=500_000)
    assert "Content-Length" not in head and len(body) > 400_000 and set(json.loads(body)) == PAIR


def test_slow_comes_byte_by_byte_and_whole(sandbox):
    sandbox.weather.add("slow")
    begin = time.monotonic()
    with connect(sandbox, expired_refresh_token(sandbox)) as connection:
        pieces = list(iter(lambda: connection.recv(65536), b""))
    assert len(pieces) > 20 and time.monotonic() - begin > 0.1
    assert set(json.loads(b"".join(pieces).partition(b"\r\n\r\n")[2])) == PAIR


@pytest.mark.parametrize("name", ["slow", "chunked", "gzip", "html_503", "bom"])
def test_after_harmless_weather_the_connection_goes_on(sandbox, name):
    with requests.Session() as session:
        for fault in (name, None):
            if fault:
                sandbox.weather.add(fault)
            answer = session.post(sandbox.url + "/token", headers={"User-Agent": "A"}, timeout=5)
            assert "Connection" not in answer.headers


# -- odd contents --


def test_a_pair_may_stand_in_a_503(sandbox):
    head, body, _end = refresh(sandbox, "pair_in_503")
    assert head.startswith("HTTP/1.1 503 ") and set(json.loads(body)) == PAIR


def test_a_pair_may_be_called_html(sandbox):
    head, body, _end = refresh(sandbox, "html_type")
    assert header(head, "Content-Type") == "text/html" and set(json.loads(body)) == PAIR


def test_the_date_may_be_late(sandbox):
    head, _body, _end = refresh(sandbox, "late_date")
    late = time.time() - parsedate_to_datetime(header(head, "Date")).timestamp()
    assert 3599 <= late <= 3605 and head.count("Date: ") == 1


@pytest.mark.parametrize(
    "name, read",
    [
        ("gzip", gzip.decompress),
        ("bom", lambda body: body.decode("utf-8-sig")),
        ("utf_16", lambda body: body.decode("utf-16")),
        ("padding", bytes.decode),
        ("repeated_members", bytes.decode),
        ("extra_member", bytes.decode),
    ],
)
def test_encodings_and_paddings_hold_a_good_pair(sandbox, name, read):
    head, body, _end = refresh(sandbox, name)
    document = json.loads(read(body))
    assert set(document) >= PAIR and document["access_token"].startswith("USER") and document["expires_in"] == 60
    assert ("Content-Encoding: gzip" in head) == (name == "gzip")


def test_padding_is_beyond_any_sane_limit(sandbox):
    assert len(refresh(sandbox, "padding")[1]) > 65536


def test_nesting_is_deeper_than_python_reads(sandbox):
    with pytest.raises(RecursionError):
        json.loads(refresh(sandbox, "nesting")[1])


def test_repeated_members_stand_twice_and_the_last_counts(sandbox):
    body = refresh(sandbox, "repeated_members")[1]
    pairs = json.loads(body, object_pairs_hook=list)
    assert [name for name, _value in pairs] == ["access_token", "token_type", "expires_in", "refresh_token"] * 2
    assert pairs[0][1] == "decoy"


def test_the_pair_may_stand_in_an_array(sandbox):
    assert set(json.loads(refresh(sandbox, "list")[1])[0]) == PAIR


@pytest.mark.parametrize("member", sorted(PAIR))
def test_a_member_may_be_missing(sandbox, member):
    assert set(json.loads(refresh(sandbox, "no_" + member)[1])) == PAIR - {member}


@pytest.mark.parametrize(
    "name, written",
    [
        ("expires_in_null", b"null"),
        ("expires_in_text", b'"1209600"'),
        ("expires_in_true", b"true"),
        ("expires_in_zero", b"0"),
        ("expires_in_negative", b"-1"),
        ("expires_in_fraction", b"59.5"),
        ("expires_in_exponent", b"1e6"),
        ("expires_in_overflow", b"1e999"),
        ("expires_in_nan", b"NaN"),
        ("expires_in_long", b"9" * 5000),
    ],
)
def test_expires_in_is_written_as_the_name_says(sandbox, name, written):
    assert b'"expires_in": ' + written + b"," in refresh(sandbox, name)[1]


@pytest.mark.parametrize("name", TOKEN_CHANGED)
def test_a_spoiled_token_is_no_token(sandbox, name):
    document = json.loads(refresh(sandbox, name)[1])
    assert set(document) == PAIR
    assert not re.fullmatch(r"[!-~]{1,4096}", str(document["access_token"])) or name == "number_token"


@pytest.mark.parametrize("name", ["bom", "newline_token", "no_expires_in", "cut_after"])
def test_a_refusal_in_bad_weather_stays_a_refusal(sandbox, name):
    sandbox.weather.add(name)
    with connect(sandbox, "") as connection:
        data = connection.makefile("rb").read()
    assert data.startswith(b"HTTP/1.1 400 ") and b'"token is empty"' in data


# -- the queue, and the end --


def test_of_many_takers_each_fault_is_met_once():
    weather, taken = Weather(), []
    weather.add("bom", 100)
    threads = [
        threading.Thread(target=lambda: taken.extend(weather.take("", True)[1] for _ in range(10))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count("bom") == 100 and taken.count("") == 100


def test_an_unknown_fault_cannot_be_added():
    with pytest.raises(KeyError):
        Weather().add("nonsense")


@pytest.mark.parametrize("name", ["hang_before", "stall_after", "slow", "endless"])
def test_closing_the_sandbox_ends_endless_weather(name):
    with start(drip_seconds=20) as sandbox:
        threads = threading.active_count()
        sandbox.weather.add(name)
        connection = connect(sandbox, expired_refresh_token(sandbox))
        if name != "hang_before":
            connection.recv(1)
        begin = time.monotonic()
    with connection:
        try:
            while connection.recv(1_000_000):
                pass
        except ConnectionResetError:
            pass
    while threading.active_count() >= threads and time.monotonic() < begin + 1:
        time.sleep(0.01)
    assert threading.active_count() < threads and time.monotonic() - begin < 1


def test_a_client_that_leaves_frees_its_hanging_thread(sandbox):
    threads = threading.active_count()
    sandbox.weather.add("hang_before")
    connect(sandbox, "").close()
    end = time.monotonic() + 1
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= threads
