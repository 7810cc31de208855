"""What the provider remembers: codes, pairs and application tokens, and how long it remembers them.

``ended`` is None while the thing can be used, and otherwise the slug of the refusal that its use gets: the table of
refusals is the state of a token, so no second one is needed.
"""

import secrets
from dataclasses import dataclass, field
from typing import Optional

from hhtoken.sandbox.authorization_request import AuthorizationRequest

REMEMBERED = 100_000  # of each kind; the oldest is forgotten first, so that a long load test ends in no memory hole


@dataclass
class Code:
    """An authorization code, for the request that it answers."""

    request: AuthorizationRequest = field(repr=False)
    expires_at: float
    ended: Optional[str] = None


@dataclass
class Pair:
    """An access token and a refresh token issued together; times in Unix seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    ended: Optional[str] = None


@dataclass
class AppToken:
    """The token of an application, which has no end of its own."""

    issued_at: float
    ended: Optional[str] = None


def fresh(kind=""):
    """Return a new secret of 64 characters that begins with its kind."""
    return kind + secrets.token_hex(32).upper()[len(kind) :]


def remember(store, key, thing):
    """Put the thing into the store, forgetting the oldest beyond the limit."""
    store[key] = thing
    while len(store) > REMEMBERED:
        del store[next(iter(store))]
