"""Every kind of weather on a real socket: what bytes a client sees, and whether the provider has committed."""

import gzip
import json
import re
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import pytest
import requests
from conftest import AGENT, obtain_pair, wait_for
from support import ROOT

from hhtoken.sandbox import delivery
from hhtoken.sandbox.faults import ALL_FAULTS, FAULTS, Weather
from hhtoken.sandbox.refusals import DOCUMENTED
from hhtoken.sandbox.server import start

RESET = "reset"  # stands for a connection reset at the end of what came
SILENCE = "silence"  # stands for a connection that stays open and says nothing
PAIR = ("access_token", "token_type", "expires_in", "refresh_token")
WEATHER = {name: fault for name, fault in ALL_FAULTS.items() if name not in {row.slug for row in DOCUMENTED}}
REPLACED = [name for name, fault in FAULTS.items() if fault.status and name != "pair_in_503"]


@pytest.fixture(scope="module")
def running():
    with start(auto="allow", drip_seconds=0.0005, hang_seconds=30) as running:
        yield running


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


def connect(sandbox, refresh_token):
    """Send a refresh over a socket of our own and return the socket."""
    body = urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token})
    connection = socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5)
    head = (
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nUser-Agent: App/1.0\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body.encode())
    return connection


def refresh(sandbox, name, most=1_000_000):
    """Meet a fault; return ``(head, body, end)`` as they came, end being "", RESET or SILENCE."""
    refresh_token = obtain_pair(sandbox)["refresh_token"]
    sandbox.provider.expire()
    sandbox.weather.add(name)
    data, end = b"", ""
    with connect(sandbox, refresh_token) as connection:
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
    found = re.search(rf"^{name}: (.*?)\r?$", head, re.MULTILINE | re.IGNORECASE)
    return found and found[1]


# -- the table --


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_commits_as_the_table_says_and_befalls_one_request(sandbox, name):
    refresh(sandbox, name, most=1000)
    assert sandbox.provider.committed["refresh_token"] == (1 if FAULTS[name].commits else 0)
    assert not name.endswith("_after") or FAULTS[name].commits
    assert not name.endswith("_before") or not FAULTS[name].commits
    with connect(sandbox, "") as connection:
        assert b"token is empty" in connection.makefile("rb").read()


def test_the_document_names_every_fault():
    text = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    assert [name for name in WEATHER if f"`{name}`" not in text] == []


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
    values = {
        name: header(refresh(sandbox, name)[0], "Retry-After") for name in FAULTS if name.startswith("rate_limit")
    }
    assert values["rate_limit"] == "2" and values["rate_limit_bare"] is None
    assert 0 <= parsedate_to_datetime(values["rate_limit_date"]).timestamp() - time.time() <= 2.1
    assert int(values["rate_limit_absurd"]) > 10**20


def test_who_follows_a_redirect_is_counted(sandbox):
    sandbox.weather.add("redirect", 2)
    for follow in (False, True):
        requests.post(sandbox.url + "/token", {"a": "b"}, headers=AGENT, allow_redirects=follow, timeout=5)
    assert sandbox.requests.summary()["followed_redirects"] == 1


# -- damaged framing, and odd contents --


def length(head):
    return int(header(head, "Content-Length"))


def chunks(body):
    """Read chunks as far as they go; return ``(data, rest)``."""
    data = b""
    while True:
        size, _line, rest = body.partition(b"\r\n")
        if not re.fullmatch(rb"[0-9A-F]+", size) or len(rest) < int(size, 16) + 2:
            return data, body
        data += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]


def is_pair(text):
    return set(json.loads(text)) >= {*PAIR} and json.loads(text)["access_token"].startswith("USER")


def is_pair_in_chunks(head, body, rest=b""):
    data, left = chunks(body)
    is_chunked = header(head, "Transfer-Encoding") == "chunked" and "Content-Length" not in head
    return is_chunked and is_pair(data) and left == rest


def has_no_length(head):
    return "Content-Length" not in head and "Transfer-Encoding" not in head


def late(head):
    return time.time() - parsedate_to_datetime(header(head, "Date")).timestamp()


MISSING = delivery.MISSING_BYTES
# name -> (how the connection ends, what holds of head and body)
WIRE = {
    **{f"{name}_{moment}": (end, lambda head, body: head == "" and body == b"")
       for name, end in (("close", ""), ("reset", RESET), ("hang", SILENCE)) for moment in ("before", "after")},
    "cut_after": ("", lambda head, body: is_pair(body) and length(head) == len(body) + MISSING),
    "cut_reset_after": (RESET, lambda head, body: is_pair(body) and length(head) == len(body) + MISSING),
    "cut_inside_after": ("", lambda head, body: len(body) == length(head) // 2),
    "stall_after": (SILENCE, lambda head, body: len(body) == length(head) // 2),
    "chunked": ("", lambda head, body: is_pair_in_chunks(head, body) and body.endswith(b"0\r\n\r\n")),
    "chunked_cut_after": ("", lambda head, body: is_pair_in_chunks(head, body) and not body.endswith(b"0\r\n\r\n")),
    "chunked_garbage_after": ("", lambda head, body: is_pair_in_chunks(head, body, b"this is no chunk\r\n\r\n")),
    "chunked_inside_after": ("", lambda head, body: chunks(body)[0] == b"" and len(body) > 50),
    "until_close": ("", lambda head, body: is_pair(body) and has_no_length(head)),
    "endless": ("", lambda head, body: is_pair(body) and has_no_length(head) and len(body) > 400_000),
    "pair_in_503": ("", lambda head, body: is_pair(body) and head.startswith("HTTP/1.1 503 ")),
    "html_type": ("", lambda head, body: is_pair(body) and header(head, "Content-Type") == "text/html"),
    "late_date": ("", lambda head, body: is_pair(body) and 3599 <= late(head) <= 3605 and head.count("Date: ") == 1),
    "gzip": ("", lambda head, body: is_pair(gzip.decompress(body)) and "Content-Encoding: gzip" in head),
    "bom": ("", lambda head, body: is_pair(body.decode("utf-8-sig")) and body.startswith(b"\xef\xbb\xbf")),
    "padding": ("", lambda head, body: is_pair(body) and len(body) > 65536),
    "extra_member": ("", lambda head, body: is_pair(body) and set(json.loads(body)) > {*PAIR}),
    **{f"no_{name}": ("", lambda head, body, name=name: set(json.loads(body)) == {*PAIR} - {name}) for name in PAIR},
    **{f"expires_in_{name}": ("", lambda head, body, written=written: b'"expires_in": ' + written + b"," in body)
       for name, written in (("null", b"null"), ("text", b'"1209600"'), ("negative", b"-1"), ("nan", b"NaN"))},
    **{f"{name}_token": ("", lambda head, body: not re.fullmatch(r"[!-~]{1,4096}", json.loads(body)["access_token"]))
       for name in ("newline", "space", "non_ascii", "long", "empty")},
}  # fmt: skip


@pytest.mark.parametrize("name", WIRE)
def test_what_comes_is_as_the_name_says(sandbox, name):
    end, holds = WIRE[name]
    head, body, ended = refresh(sandbox, name, most=500_000)
    assert ended == end and holds(head, body), (head, body[:500])


def test_each_way_to_spoil_an_answer_is_looked_at():
    assert {name for name, fault in FAULTS.items() if not fault.status} - WIRE.keys() == {"slow"}


def test_slow_comes_byte_by_byte_and_whole(sandbox):
    sandbox.weather.add("slow")
    with connect(sandbox, "") as connection:
        pieces = list(iter(lambda: connection.recv(65536), b""))
    assert len(pieces) > 20 and json.loads(b"".join(pieces).partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("name", ["slow", "chunked", "gzip", "html_503", "bom"])
def test_after_harmless_weather_the_connection_goes_on(sandbox, name):
    sandbox.weather.add(name)
    with requests.Session() as session:
        for _ in range(2):
            answer = session.post(sandbox.url + "/token", headers=AGENT, timeout=5)
            assert "Connection" not in answer.headers


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
    takers = [
        threading.Thread(target=lambda: taken.extend(weather.take("", True)[1] for _ in range(10))) for _ in range(20)
    ]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert taken.count("bom") == 100 and taken.count("") == 100


def test_an_unknown_fault_cannot_be_added():
    with pytest.raises(KeyError):
        Weather().add("nonsense")


@pytest.mark.parametrize("name", ["hang_before", "stall_after", "slow", "endless"])
def test_closing_the_sandbox_ends_endless_weather(name):
    with start(auto="allow", drip_seconds=20) as sandbox:
        threads = threading.active_count()
        sandbox.weather.add(name)
        connection = connect(sandbox, "")
        if name != "hang_before":
            connection.recv(1)
    with connection:
        try:
            while connection.recv(1_000_000):
                pass
        except ConnectionResetError:
            pass
    wait_for(lambda: threading.active_count() < threads, 2)
