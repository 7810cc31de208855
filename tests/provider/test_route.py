"""The way to HeadHunter: whom to trust, through which proxy, past which dead addresses."""

import gc
import json
import os
import shutil
import ssl
import subprocess
import sys
import warnings

import pytest
import trustme
from conftest import PROGRAM, program_with
from rough_provider import Proxy, answering, http
from support import PAIR, ROOT

from hhtoken.provider.transfer import DIRECT, NotSent, Transfer
from hhtoken.settings.settings import SYSTEM_AUTHORITIES, Settings

NEW = {"access_token": "NEW-ACCESS", "refresh_token": "NEW-REFRESH", "token_type": "bearer", "expires_in": 9}
EXPIRED = {"left": -60, "life": 60}


@pytest.fixture
def authority(tmp_path):
    """A CA of our own, and the path of its certificate."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made, tmp_path / "ca.pem"


@pytest.fixture
def provider(authority):
    """A token endpoint that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    with answering(http(json.dumps(NEW)), context) as running:
        yield running


@pytest.fixture
def proxy():
    running = Proxy()
    yield running
    running.close()


def test_a_certificate_of_an_own_authority_is_trusted_once_it_is_named(lonely, authority, provider):
    lonely.store(PAIR, **EXPIRED)
    said = lonely.run("refresh", expect=75, HH_TOKEN_URL=provider.url).stderr
    assert "127.0.0.1 (its certificate is not trusted)" in said and "nothing was sent" in said and "HH_CA_FILE" in said
    trusted = SYSTEM_AUTHORITIES if os.path.exists(SYSTEM_AUTHORITIES) else "cacert.pem"
    assert trusted in said and provider.requests == []
    lonely.run("refresh", HH_TOKEN_URL=provider.url, HH_CA_FILE=authority[1])
    assert lonely.stored()["access_token"] == "NEW-ACCESS"


def test_without_a_choice_the_system_is_trusted(monkeypatch):
    monkeypatch.setattr("hhtoken.settings.settings.SYSTEM_AUTHORITIES", __file__)
    assert Settings({}).authorities() == __file__
    monkeypatch.setattr("hhtoken.settings.settings.SYSTEM_AUTHORITIES", "/nonexistent")
    assert Settings({}).authorities() is None


@pytest.mark.parametrize("content", ["", "none", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_certificates_is_78_and_named(lonely, tmp_path, content):
    lonely.store(PAIR, **EXPIRED)
    file = tmp_path / "ca.pem"
    file.write_text(content)
    for path in (file, tmp_path, tmp_path / "absent"):
        assert f"{path}, which HH_CA_FILE names" in lonely.run("refresh", expect=78, HH_CA_FILE=path).stderr
    assert f"{file}, which HH_CA_FILE names" in lonely.run("doctor", expect=78, HH_CA_FILE=file).stdout


@pytest.mark.parametrize("login", ["", "me:CANARY%40@"])
def test_a_proxy_is_asked_for_a_tunnel_and_sees_no_secret(lonely, authority, provider, proxy, login):
    lonely.store(PAIR, **EXPIRED)
    settings = {"HH_TOKEN_URL": provider.url, "HH_CA_FILE": authority[1]}
    lonely.run("refresh", HH_PROXY=f"HTTP://{login}127.0.0.1:{proxy.port}/", **settings)
    [(head, _form)] = proxy.requests
    assert head.startswith(f"CONNECT 127.0.0.1:{provider.port} HTTP/1") and "REFRESH" not in head
    assert ("Proxy-Authorization: Basic bWU6Q0FOQVJZQA==" in head) is bool(login)
    assert lonely.stored()["access_token"] == "NEW-ACCESS" and len(provider.requests) == 1


def test_an_address_on_this_machine_without_tls_is_asked_without_the_proxy(lonely, proxy):
    lonely.store(PAIR, **EXPIRED)
    with answering(http(json.dumps(NEW))) as provider:
        lonely.run("refresh", HH_TOKEN_URL=provider.url, HH_PROXY=f"http://127.0.0.1:{proxy.port}")
    assert len(provider.requests) == 1 and proxy.requests == []


@pytest.mark.parametrize("refusal, says", [
    (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it answered 407"),
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!!", "it answered 403"),
    (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "it answered 502"),
    (b"", "no connection"),
    (b"SSH-2.0-OpenSSH\r\n", "no connection"),
    (None, "connection refused"),
])  # fmt: skip
def test_a_proxy_that_opens_no_tunnel_has_been_sent_nothing(lonely, provider, refusal, says):
    before, running = lonely.store(PAIR, **EXPIRED), Proxy(refusal or b"")
    place = "127.0.0.1:9" if refusal is None else f"127.0.0.1:{running.port}"
    said = lonely.run("refresh", expect=75, HH_TOKEN_URL=provider.url, HH_PROXY=f"http://me:CANARY@{place}").stderr
    assert f"cannot reach 127.0.0.1 (the proxy {place}: {says}); nothing was sent" in said and "check HH_PROXY" in said
    kept = b"".join(path.read_bytes() for path in lonely.state.iterdir())
    assert "CANARY" not in said and b"CANARY" not in kept and lonely.token_file.read_bytes() == before
    route = DIRECT._replace(proxy=f"http://{place}")
    if says != "no connection":  # of which, without a form, a doubt remains
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # an old urllib3 leaves that socket to the collector
            with pytest.raises(NotSent, match=says):
                Transfer("DELETE", provider.url, {}, route=route).run(10)
            gc.collect()
    assert provider.requests == [] and not any("REFRESH" in head for head, _form in running.requests)
    running.close()


def test_what_breaks_behind_the_tunnel_may_have_been_sent(authority, proxy):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    route = DIRECT._replace(authorities=str(authority[1]), proxy=f"http://127.0.0.1:{proxy.port}")
    with answering(b"", context) as provider:
        for form in ({"grant_type": "x"}, None):
            assert "the connection broke" in Transfer("POST", provider.url, {}, form, route=route).run(10).failure
    assert len(provider.requests) == 2


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "http_proxy"])
def test_who_cannot_connect_is_told_of_a_proxy_that_has_no_effect(lonely, proxy, name):
    lonely.store(PAIR, **EXPIRED)
    ignored = {name: f"http://me:CANARY@127.0.0.1:{proxy.port}"}
    said = lonely.run("refresh", expect=75, HH_TOKEN_URL="https://127.0.0.1:9/token", **ignored).stderr
    assert f"{name} has no effect: name the proxy in HH_PROXY" in said and "CANARY" not in said
    assert proxy.requests == []


def test_doctor_asks_through_the_proxy_too(lonely, authority, provider, proxy):
    lonely.store(PAIR, left=1000, life=1000)
    addresses = dict.fromkeys(("HH_TOKEN_URL", "HH_API_URL", "HH_AUTHORIZE_URL"), provider.url)
    settings = {**addresses, "HH_CA_FILE": authority[1]}
    there = f"http://me:CANARY@127.0.0.1:{proxy.port}"
    found = lonely.run("doctor", HH_PROXY=there, expect=(0, 78), **settings).stdout
    assert "ok       provider: 127.0.0.1 answers" in found and len(proxy.requests) == 1 and "CANARY" not in found
    found = lonely.run("doctor", HH_PROXY="http://127.0.0.1:9", expect=(75, 78), **settings).stdout
    assert "(the proxy 127.0.0.1:9: connection refused)" in found


def test_a_clock_in_1970_lets_no_library_warn(lonely, authority, provider):
    """Of urllib3's own moment before which no clock can be right, since a test cannot set the clock."""
    lonely.store(PAIR, **EXPIRED)
    program = program_with("urllib3.connection.RECENT_DATE = __import__('datetime').date(2999, 1, 1)")
    settings = {"HH_TOKEN_URL": provider.url, "HH_CA_FILE": authority[1]}
    assert "Warning" not in lonely.run("refresh", program=program, **settings).stderr


# A network of its own: what is sent to these two addresses vanishes, and 127.0.0.1 is the third.
BLACK_HOLES = """
set -e
ip link set lo up
ip link add name hole type veth peer name bottom
ip link set bottom up
ip link set hole up arp off
ip -6 addr add 2001:db8:1::1/128 dev hole nodad
ip -6 route add 2001:db8::/32 dev hole
printf '2001:db8::1 localhost\\n2001:db8::2 localhost\\n127.0.0.1 localhost\\n' >"$1/hosts"
mount --bind "$1/hosts" /etc/hosts
printf 'hosts: files\\n' >"$1/nsswitch.conf"
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
shift
exec "$@"
"""
SERVED = """
import json, os, subprocess, sys, time
from rough_provider import answering, http
with answering(http(json.dumps({"access_token": "NEW-ACCESS", "refresh_token": "NEW", "expires_in": 9}))) as provider:
    url = f"http://localhost:{provider.port}/token"
    settings = {**os.environ, "HH_TOKEN_URL": url, "HH_API_URL": url, "HH_AUTHORIZE_URL": url}
    for command in ("doctor", "refresh"):
        begun = time.monotonic()
        done = subprocess.run([*sys.argv[1:], command], env=settings, capture_output=True, text=True)
        print(done.stdout + done.stderr, command, done.returncode, int(time.monotonic() - begun), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root, and iproute2")
def test_two_black_holes_in_front_of_a_host_cost_six_seconds_and_are_named(lonely, tmp_path):
    lonely.store(PAIR, **EXPIRED)
    words = [
        "unshare",
        "--net",
        "--mount",
        "sh",
        "-c",
        BLACK_HOLES,
        "sh",
        tmp_path,
        sys.executable,
        "-c",
        SERVED,
        *PROGRAM,
    ]
    environment = {**lonely.environment, "PYTHONPATH": f"{ROOT}/tests:{ROOT}"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=100)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no network of its own to be had here")
    assert "localhost does not answer at 2001:db8::1, 2001:db8::2" in done.stdout, done
    assert "refresh 0 " in done.stdout, done
    assert 5 <= int(done.stdout.split()[-1]) <= 12, done
    assert lonely.stored()["access_token"] == "NEW-ACCESS"
