"""What is put into etcd is sealed: encrypted, and bound to its place, with a key that the hosts share.

AES-256-GCM of the library ``cryptography``. The name of the key is its associated data: a value that someone moves
elsewhere does not open there.
"""

import base64
import binascii
import hashlib
import json
import os

from hhtoken import errors
from hhtoken.console import hints
from hhtoken.pair import parse_object
from hhtoken.provider import transfer
from hhtoken.text import N_

KEY_BYTES = 32
NONCE_BYTES = 12  # random; safe for far more writes than a pair sees in its life (NIST SP 800-38D: 2^32)
VERSION = 1

HINT_DAMAGED = N_(
    "nothing is overwritten; every host still has its copy: remove what is below that prefix with etcdctl, "
    "then type 'hhtoken import' with the newest token.json"
)
HINT_KEY = N_("give every host the same key file (HHTOKEN_STORE_KEY_FILE)")


class Sealer:
    """``key``: 32 bytes."""

    def __init__(self, key):
        transfer.find_libraries()
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise errors.ConfigError(
                N_("the Python library 'cryptography' is missing, which HHTOKEN_STORE needs"),
                hints.to_install("cryptography"),
            ) from None
        self._cipher = AESGCM(key)
        self._invalid = InvalidTag
        self._key_name = hashlib.sha256(b"hhtoken key name" + key).hexdigest()[:16]

    def seal(self, place, fields):
        """Given the name of a key of etcd (bytes) and a dict, return the bytes to put there."""
        nonce = os.urandom(NONCE_BYTES)
        data = nonce + self._cipher.encrypt(nonce, json.dumps(fields).encode(), place)
        return json.dumps({"v": VERSION, "key": self._key_name, "data": base64.b64encode(data).decode()}).encode()

    def open(self, place, sealed):
        """Given the name of a key of etcd and what is there, return the dict.

        Raise ConfigError where it was sealed with another key, DataError where it is damaged."""
        damaged = errors.DataError(
            N_("what etcd holds at {place} makes no sense", place=place.decode("utf-8", "replace")), HINT_DAMAGED
        )
        try:
            envelope = parse_object(sealed)
            data = base64.b64decode(envelope["data"], validate=True)
            version, key_name = envelope["v"], envelope["key"]
        except (ValueError, LookupError, TypeError):
            raise damaged from None
        if version != VERSION:
            raise errors.ConfigError(
                N_("etcd holds values of a newer hhtoken"), N_("install the same version on every host")
            )
        if key_name != self._key_name:
            raise errors.ConfigError(N_("what etcd holds was sealed with another key"), HINT_KEY)
        try:
            return parse_object(self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place))
        except (self._invalid, ValueError):
            raise damaged from None


def key_of(content):
    """Given the bytes of a key file, return the key; raise ConfigError, which does not repeat it."""
    try:
        key = base64.b64decode(content.strip().translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise errors.ConfigError(
            N_("the key for the shared store is not 32 bytes in base64"),
            N_("make one with: openssl rand -base64 32"),
        )
    return key
