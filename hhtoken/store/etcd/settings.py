"""The settings of the shared store: where it is, and who we are there."""

import functools
import os
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.provider import addresses
from hhtoken.store.etcd.client import Etcd
from hhtoken.store.etcd.sealing import Sealer, key_of
from hhtoken.store.etcd.vault import Vault
from hhtoken.text import N_

DEFAULT_PORT = 2379
DEFAULT_PREFIX = "/hh-token"
KEY_CREDENTIAL, PASSWORD_CREDENTIAL = "hh_store_key", "hh_store_password"

# A host has to connect to HeadHunter within it, with one member of etcd that is silent; docs/scale.md has the reasons.
DEFAULT_SILENCE_SECONDS, SILENCE_LIMITS = 60, {"least": 10, "most": 24 * 3600}
FLIGHT_SECONDS = 30  # beyond the deadline of an answer: for the last look at what has come, and its way to etcd


def open_vault(settings, account):
    """Given the Settings, return the Vault of an account; raise ConfigError. Nothing is sent."""
    etcd, prefix = open_etcd(settings)
    silence = silence_seconds(settings)
    flight = max(silence, settings.deadline_seconds() + FLIGHT_SECONDS)
    return Vault(etcd, Sealer(_key(settings)), prefix, account, silence, flight)


def open_etcd(settings):
    """Given the Settings, return the Etcd and the prefix that they name; raise ConfigError. Nothing is sent."""
    hosts, prefix = _parts(settings.optional("HHTOKEN_STORE"))
    verify, certificate = _tls(settings)
    is_local = all(addresses.is_loopback(urlsplit(f"//{host}").hostname) for host in hosts)
    scheme = "http" if is_local and not (verify or certificate) else "https"
    members = tuple(f"{scheme}://{host}" for host in hosts)
    return _client(members, *_login(settings), verify or True, certificate), prefix


_client = functools.lru_cache(Etcd)  # each has connections, and a token of etcd's, which costs it a slow hash


def check(settings):
    """Raise the ConfigError that a renewal would end with, as far as whoever only looks can tell: where no file is
    named for the key, or for the password, systemd may have it for the units alone."""
    _parts(settings.optional("HHTOKEN_STORE"))
    _tls(settings)
    silence_seconds(settings)
    if settings.optional("HHTOKEN_STORE_KEY_FILE"):
        _key(settings)
    if settings.optional("HHTOKEN_STORE_PASSWORD_FILE"):
        _login(settings)


def silence_seconds(settings):
    """Return for how long a host that has set out to renew may be silent, before it sends, until another one tries."""
    value = settings.optional("HHTOKEN_STORE_SILENCE") or str(DEFAULT_SILENCE_SECONDS)
    is_number = value.isascii() and value.isdigit() and len(value) < 8
    if not (is_number and SILENCE_LIMITS["least"] <= int(value) <= SILENCE_LIMITS["most"]):
        raise errors.ConfigError(
            N_("HHTOKEN_STORE_SILENCE is no number of seconds from {least} to {most}", **SILENCE_LIMITS),
            N_("leave it unset for {seconds}", seconds=DEFAULT_SILENCE_SECONDS),
        )
    return int(value)


def _parts(address):
    """Given ``etcd://host:port[,host:port]/prefix``, return ``([host:port], prefix)``; raise ConfigError."""
    scheme, _separator, rest = address.partition("://")
    listed, _slash, prefix = rest.partition("/")
    hosts = [_host(host) for host in listed.split(",")]
    is_plain = prefix.isascii() and prefix.isprintable() and not set(prefix) & set(" ?#@")
    if scheme != "etcd" or None in hosts or not is_plain:
        form = N_("write it as etcd://HOST:PORT[,HOST:PORT]/PREFIX")
        raise errors.ConfigError(N_("HHTOKEN_STORE is no address of etcd"), form)
    return hosts, "/" + prefix.strip("/") if prefix.strip("/") else DEFAULT_PREFIX


def _host(listed):
    try:
        parts = urlsplit(f"//{listed}")
        port = parts.port or DEFAULT_PORT
    except ValueError:
        return None
    if not parts.hostname or parts.username is not None or addresses.problem(f"https://{listed}/"):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def _tls(settings):
    """Return what a requests session calls ``verify`` and ``cert``, each or None."""
    names = "HHTOKEN_STORE_CA_FILE", "HHTOKEN_STORE_CERT_FILE", "HHTOKEN_STORE_CERT_KEY_FILE"
    authorities, certificate, key = (_readable(settings, name) for name in names)
    return authorities, (certificate, key) if certificate and key else certificate


def _readable(settings, name):
    path = settings.optional(name)
    if path and not (os.access(path, os.R_OK) and os.path.isfile(path)):
        raise errors.ConfigError(
            N_("cannot read {path}, which {name} names", path=path, name=name),
            N_("check the path and who may read it"),
        )
    return path


def _login(settings):
    user = settings.optional("HHTOKEN_STORE_USER")
    password = settings.secret_in_file("HHTOKEN_STORE_PASSWORD_FILE", PASSWORD_CREDENTIAL)
    if bool(user) != bool(password):
        raise errors.ConfigError(
            N_("of HHTOKEN_STORE_USER and HHTOKEN_STORE_PASSWORD_FILE, only one is set"), N_("set both, or neither")
        )
    return user, password


def _key(settings):
    key = settings.secret_in_file("HHTOKEN_STORE_KEY_FILE", KEY_CREDENTIAL)
    if key is None:
        raise errors.ConfigError(
            N_("there is no key for the shared store"),
            N_(
                "make one with 'openssl rand -base64 32', put it into a file of mode 600, the same on every host, and "
                "name that file in HHTOKEN_STORE_KEY_FILE"
            ),
        )
    return key_of(key.encode())
