"""Any status, header, body and framing: no exception but a foreseen one, no change of the store without a full pair,
and every full pair that arrives is saved.

Some hundreds of examples, the same in each run; HHTOKEN_EXAMPLES=100000 searches on, differently each time.
"""

import gc
import json
import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rough_provider import RoughProvider, reset

from hhtoken import errors
from hhtoken.provider.endpoints import TokenEndpoint
from hhtoken.renewal import exchange, judgement
from hhtoken.store.token_store import open_store

EXAMPLES = int(os.environ.get("HHTOKEN_EXAMPLES", 0))
IN_CI = 600

OLD = {"access_token": "OLD-ACCESS", "refresh_token": "OLD-REFRESH", "expires_in": 60}
NEW = {"access_token": "NEW-ACCESS", "refresh_token": "NEW-REFRESH", "expires_in": 1209600, "token_type": "bearer"}
STORED = json.dumps({**OLD, "obtained_at": 1_600_000_000, "expires_at": 1_600_000_060}).encode()

# -- bodies: (bytes, whether a full pair is in them) --

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
other_names = st.text(max_size=12).filter(lambda name: name not in NEW and name != "error")
members = st.dictionaries(other_names, anything, max_size=4)
lives = st.sampled_from(["1209600", "1e999", "NaN", "-1", "true", "null", '"60"', "9" * 5000, "[]", "0.5", "{}"])
behind = st.sampled_from([b"", b"\n", b" " * 5000, b"}", b"rubbish", b"\0", b"<html>", b'{"error": "x"}', b"\xff\xfe"])


@st.composite
def full_pairs(draw):
    document = {**draw(members), **NEW}
    document["expires_in"] = "LIFE"
    text = json.dumps(document, ensure_ascii=draw(st.booleans())).replace('"LIFE"', draw(lives), 1)
    data = text.encode("utf-8", "surrogatepass")
    mark = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return mark + draw(st.sampled_from([b"", b" ", b"\r\n\t"])) + data + draw(behind), True


@st.composite
def broken_pairs(draw):
    """A pair cut off, without a token, or with one that cannot be a token."""
    data = json.dumps(NEW).encode()
    odd_token = st.sampled_from(["", " ", "a b", "я", "a\n", "a\0", None, 1, [], "x" * 9000])
    how = draw(st.sampled_from(["cut", "token", "list", "error"]))
    if how == "cut":
        return data[: draw(st.integers(0, len(data) - 1))], False
    if how == "token":
        return json.dumps({**NEW, "access_token": draw(odd_token)}).encode(), False
    if how == "error":
        error = {"error": draw(st.text(max_size=30)), "error_description": draw(anything)}
        return json.dumps(error).encode("utf-8", "surrogatepass"), False
    return b"[" + data + b"]", False


rubbish = st.binary(max_size=400).map(lambda data: (data, False))
documents = anything.map(lambda value: (json.dumps(value).encode("utf-8", "surrogatepass"), False))
huge = st.integers(60_000, 200_000).map(lambda size: (b"x" * size, False))
bodies = st.one_of(full_pairs(), full_pairs(), broken_pairs(), rubbish, documents, huge)

# -- heads --

codes = st.sampled_from([200, 200, 200, 201, 206, 302, 307, 400, 401, 403, 408, 425, 429, 500, 502, 503, 599, 999])
names = st.sampled_from(["Date", "Retry-After", "Location", "X-Request-Id", "Content-Type", "Set-Cookie", "Server"])
odd_values = st.sampled_from(
    ["", "0", "-1", "9" * 400, "\xff\xfe", "http://[", "//evil/", "Thu, 99 Xxx 0000", "\t", "a" * 9000]
)
values = odd_values | st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40)
FRAMINGS = ["exact", "none", "longer", "shorter", "odd", "chunks", "no last chunk", "bad chunk", "raw"]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
INTERIM = [b"", b"", CONTINUE, CONTINUE + CONTINUE, EARLY_HINTS]
NO_HTTP = [b"", b"\r\n", b"HTTP/1.1 ", b"HTTP/1.1 abc OK\r\n\r\n", b"SSH-2.0\r\n"]
headers = st.lists(st.tuples(names, values).map(lambda pair: f"{pair[0]}: {pair[1]}".encode("latin-1")), max_size=4)


@st.composite
def answers(draw):
    """Return (bytes to send, whether a reset ends them, whether a full pair arrives for certain)."""
    body, is_pair = draw(bodies)
    framing = draw(st.sampled_from(FRAMINGS))
    if framing == "raw":
        return draw(st.sampled_from(NO_HTTP)) + body, False, False
    lines = [b"HTTP/1.%d %d OK" % (draw(st.integers(0, 1)), draw(codes)), *draw(headers)]
    length = {"exact": b"%d" % len(body), "longer": b"%d" % (len(body) + draw(st.integers(1, 10**6)))}.get(framing)
    if framing == "shorter":
        length = b"%d" % draw(st.integers(0, len(body)))
    if framing == "odd":
        length = draw(st.sampled_from([b"", b"x", b"-1", b"1e3", b"9" * 30, b"0x10", b" "]))
    if length is not None:
        lines.append(b"Content-Length: " + length)
    if "chunk" in framing:
        lines.append(b"Transfer-Encoding: chunked")
        body = chunked(draw, body) + {"chunks": b"0\r\n\r\n", "bad chunk": b"zz\r\nno\r\n"}.get(framing, b"")
    is_reset = draw(st.booleans())
    interim = draw(st.sampled_from(INTERIM))
    data = interim + b"\r\n".join(lines) + b"\r\n\r\n" + body
    is_heard = framing != "shorter" and interim != EARLY_HINTS and not is_reset
    return data, is_reset, is_pair and is_heard


def chunked(draw, body):
    size = draw(st.sampled_from([1, 7, 100, 4096, 10**6])) if len(body) < 2000 else 10**6
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


@pytest.fixture(scope="module")
def provider():
    rough = RoughProvider(lambda connection: None)
    yield rough
    rough.close()


@pytest.fixture
def fast_disk(monkeypatch):
    """What is looked at here is what is written, not when it is durable."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda _descriptor: None)
    yield
    gc.collect()  # so that a connection that was not closed is told of here


@settings(
    max_examples=EXAMPLES or IN_CI,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(answer=answers())
def test_any_answer_is_survived_and_any_full_pair_is_saved(provider, fast_disk, tmp_path, answer):
    data, is_reset, must_save = answer

    def send(connection):
        connection.sendall(data)
        if is_reset:
            reset(connection)

    provider._handle = send
    path = tmp_path / "state"
    path.mkdir(mode=0o700, exist_ok=True)
    for file in path.iterdir():
        file.unlink()
    (path / "token.json").write_bytes(STORED)
    (path / "token.json").chmod(0o600)
    store = open_store(str(path))
    try:
        outcome = exchange.renew(store, TokenEndpoint([provider.url], "tests/1.0", 10), force=True)
        failure = judgement.error_of(outcome)
    except errors.Error as error:
        failure = error
    os.close(store.directory.descriptor)
    stored = (path / "token.json").read_bytes()
    if stored != STORED:
        pair = json.loads(stored)
        assert (pair["access_token"], pair["refresh_token"]) == (NEW["access_token"], NEW["refresh_token"])
        assert pair["expires_at"] > time.time()
    assert stored != STORED or not must_save, failure
    assert not (path / "journal").exists()
    if failure:
        assert failure.exit_code in errors.CODES and failure.hint
        assert "NEW-" not in f"{failure.message} {failure.hint}" and "\n" not in failure.message
