"""The provider as a state machine: what HeadHunter remembers, and what it answers. No socket, no sleep.

One registered application. All methods may be called from any thread. The rules and their issue numbers stand in
docs/sandbox.md; ``Refused`` is the token endpoint's no, ``BadAccess`` is the API's.
"""

import hmac
import re
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Optional

from hhtoken.sandbox import users
from hhtoken.sandbox.authorization import AuthorizationRequest, read
from hhtoken.sandbox.refusals import BadAccess, Refused
from hhtoken.sandbox.settings import Settings

APP_TOKEN_PAUSE_SECONDS = 300  # "more than once in five minutes"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,256}")  # anything else cannot be a token: "bad token"

# State of the user's account -> the refusal that every grant of the user gets.
ACCOUNT_STATES = {
    "ok": None,
    "locked": "account_is_locked",
    "password_invalidated": "password_invalidated",
    "login_not_verified": "login_not_verified",
}
APPLICATION_STATES = ("ok", "removed")


@dataclass
class Code:
    """An authorization code, for the request that it answers."""

    request: AuthorizationRequest = field(repr=False)
    expires_at: float
    ended: Optional[str] = None


@dataclass
class Pair:
    """An access token and a refresh token issued together, for a user of this role; times in Unix seconds. The token
    of an application comes alone, and does not expire. ``ended``: the slug of the refusal that it gets from now on."""

    role: str
    access_token: str = field(repr=False)
    refresh_token: Optional[str] = field(repr=False)
    issued_at: float
    expires_at: float
    ended: Optional[str] = None


def fresh(kind=""):
    """Return a new secret of 64 characters that begins with its kind."""
    return kind + secrets.token_hex(32).upper()[len(kind) :]


class Provider:
    """HeadHunter with one registered application; ``clock`` returns Unix seconds.

    A test may set ``expires_in``, ``account``, ``application``, and ``role``: of who signs in from now on.
    """

    def __init__(self, settings=None, clock=time.time):
        self._settings = settings or Settings()
        self._clock = clock
        self._lock = threading.RLock()
        self._grants = {
            "authorization_code": self._exchange,
            "refresh_token": self._refresh,
            "client_credentials": self._issue_app_token,
        }
        self.reset()

    def reset(self):
        """Forget everything that was issued, and go back to the settings."""
        with self._lock:
            self.expires_in = self._settings.expires_in
            self.role = self._settings.role
            self.account = self.application = "ok"
            self.committed = Counter()  # grant type -> how often something was issued
            self._ahead = 0
            self._tickets, self._codes, self._app_token = {}, {}, None
            self._by_access, self._by_refresh = {}, {}

    def now(self):
        """Return the time as the provider sees it, in Unix seconds."""
        return self._clock() + self._ahead

    # -- the authorize page --

    def read_authorization(self, parameters):
        """Given the query as a dictionary, return an AuthorizationRequest; raise BadAuthorizationRequest."""
        client_id = self._settings.client_id if self.application == "ok" else object()
        return read(parameters, client_id, self._settings.redirect_uri, self.role)

    def keep(self, request):
        """Given a request shown to the user, return the one-time ticket for the answer."""
        ticket = fresh()
        self._tickets[ticket] = request
        return ticket

    def take(self, ticket):
        """Given a ticket, return its request and forget it; None for one unknown or used."""
        return self._tickets.pop(ticket, None)

    def answer(self, request, allowed):
        """Given a request and the user's answer, return the address that the browser goes to."""
        if request.error or not allowed:
            return request.address(error=request.error or "access_denied")
        code = fresh()
        with self._lock:
            self._codes[code] = Code(request, self.now() + self._settings.code_expires_in)
        return request.address(code=code)

    # -- the token endpoint --

    def token(self, form):
        """Given the form as a dictionary, return the document of the answer; raise Refused."""
        grant_type = form.get("grant_type", "")
        grant = self._grants.get(grant_type)
        if grant is None:
            raise Refused("unsupported_grant_type")
        with self._lock:
            document = grant(form)
            self.committed[grant_type] += 1
            return document

    def _exchange(self, form):
        self._check_client(form)
        code = self._codes.get(form.get("code"))
        if code is None:
            raise Refused("code_not_found")
        if code.ended:
            raise Refused(code.ended)
        if self.now() >= code.expires_at:
            raise Refused("code_expired")
        if not code.request.is_repeated_by(form):
            raise Refused("bad_redirect_url")
        if not code.request.is_proved_by(form):
            raise Refused("bad_code_verifier")
        self._check_account()
        code.ended = "code_has_already_been_used"
        return self._new_pair(code.request.role)

    def _refresh(self, form):
        # Client id and secret are neither needed nor looked at; only a removed application is noticed.
        if self.application != "ok":
            raise Refused("client_id_or_client_secret_not_found")
        refresh_token = form.get("refresh_token", "")
        if not refresh_token:
            raise Refused("token_is_empty")
        if not _TOKEN.fullmatch(refresh_token):
            raise Refused("bad_token")
        pair = self._by_refresh.get(refresh_token)
        if pair is None:
            raise Refused("token_not_found")
        if pair.ended:
            raise Refused(pair.ended)
        self._check_account()
        if self.now() < pair.expires_at:
            raise Refused("token_not_expired")  # the rule that breaks ordinary clients [130, 869]
        pair.ended = "token_has_already_been_refreshed"
        return self._new_pair(pair.role)

    def _issue_app_token(self, form):
        self._check_client(form)
        if self._app_token:
            if self.now() < self._app_token.issued_at + APP_TOKEN_PAUSE_SECONDS:
                raise Refused("app_token_refresh_too_early")
            self._app_token.ended = "token_was_revoked"
        access_token = fresh("APPL")
        self._app_token = Pair(users.APPLICATION, access_token, None, self.now(), float("inf"))
        self._by_access[access_token] = self._app_token
        return {"access_token": access_token, "token_type": "bearer"}

    def _new_pair(self, role=users.APPLICANT):
        now = self.now()
        pair = Pair(role, fresh("USER"), fresh("USER"), now, now + self.expires_in)
        self._by_access[pair.access_token] = self._by_refresh[pair.refresh_token] = pair
        return {
            "access_token": pair.access_token,
            "token_type": "bearer",
            "expires_in": self.expires_in,
            "refresh_token": pair.refresh_token,
        }

    def _check_client(self, form):
        if self.application != "ok" or form.get("client_id") != self._settings.client_id:
            raise Refused("client_id_or_client_secret_not_found")
        given, expected = form.get("client_secret", ""), self._settings.client_secret
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise Refused("account_not_found")

    def _check_account(self):
        if ACCOUNT_STATES[self.account]:
            raise Refused(ACCOUNT_STATES[self.account])

    # -- the API --

    def role_of(self, access_token):
        """Given a valid access token, return the role of its user, or users.APPLICATION; raise BadAccess."""
        with self._lock:
            return self._valid(access_token).role

    def check_user_token(self, access_token):
        """Given an access token, return if it is a user's valid one; raise BadAccess."""
        with self._lock:
            self._valid_of_user(access_token)

    def invalidate(self, access_token):
        """Given a user's valid access token, end its pair; raise BadAccess."""
        with self._lock:
            self._valid_of_user(access_token).ended = "token_was_revoked"

    def _valid(self, access_token):
        if self.application != "ok":
            raise BadAccess("application_not_found")
        pair = self._by_access.get(access_token)
        if pair is None:
            raise BadAccess("bad_authorization")
        if pair.ended in ("token_was_revoked", "token_deactivated"):
            raise BadAccess("token_revoked")
        if pair.ended or self.now() >= pair.expires_at:
            raise BadAccess("token_expired")
        return pair

    def _valid_of_user(self, access_token):
        pair = self._valid(access_token)
        if pair.role == users.APPLICATION:
            raise BadAccess("user_auth_expected")
        return pair

    # -- what happens to the user, at the wish of a test --

    def change_password(self):
        """The user changes the password: every pair is deactivated [619], every open code revoked."""
        self._end_all("token_deactivated")

    def revoke(self):
        """The user takes the access back: every pair and every open code is revoked."""
        self._end_all("token_was_revoked")

    def _end_all(self, pair_end):
        with self._lock:
            for pair in self._by_refresh.values():
                pair.ended = pair.ended or pair_end
            for code in self._codes.values():
                code.ended = code.ended or "code_was_revoke"

    def expire(self):
        """Every access token expires now; the refresh tokens stay good."""
        with self._lock:
            for pair in self._by_refresh.values():
                pair.expires_at = min(pair.expires_at, self.now())

    def advance(self, seconds):
        """Move the provider's clock ahead."""
        with self._lock:
            self._ahead += seconds

    def pairs(self):
        """Return how many pairs there are in each state: living, expired, or the slug of the refusal they get."""
        with self._lock:
            ages = ("living", "expired")
            return dict(
                Counter(pair.ended or ages[self.now() >= pair.expires_at] for pair in self._by_refresh.values())
            )
