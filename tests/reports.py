"""Reports of every situation that a token can be in."""

import json

from hhtoken import errors
from hhtoken.pair import Pair
from hhtoken.provider import token_errors
from hhtoken.provider.answer import Answer
from hhtoken.renewal import judgement, report
from hhtoken.store import record
from hhtoken.store.record import Record

NOW = 1_700_000_000
DAY = 24 * 3600
ACCESS, REFRESH = "canary-access-0123456789", "canary-refresh-0123456789"


def pair(left=-100, refresh_token=REFRESH):
    fields = {"access_token": ACCESS, "expires_in": 1000}
    if refresh_token:
        fields["refresh_token"] = refresh_token
    return Pair(fields, NOW + left - 1000, NOW + left)


def judged(status=400, error=None, description=None, last=None, at=NOW - 50, **details):
    body = json.dumps({"error": error, "error_description": description}).encode() if error else b"<html>"
    return judgement.judge(Answer(status, body, True, **details), {}, last, at)


RENEWED = Record(outcome=record.RENEWED, at=NOW - 900, message="renewed the pair", http_status=200)
NOT_YET = judged(400, "invalid_grant", "token not expired", at=NOW)
DEAD = judged(400, "invalid_grant", "token deactivated")
LOCKED = judged(400, "invalid_request", "account is locked")
WRONG_SECRET = judged(400, "invalid_client", "client_id or client_secret not found")
GUARD = judged(403, retry_after="120")
LOST = judgement.judge(Answer(failure="the connection broke"), {}, None, NOW - 50)
NONSENSE = judged(200)
UNCLEAR_FOR_DAYS = judged(400, "x", "y", judged(400, "x", "y", at=NOW - 3 * DAY))
ALIVE = Record(outcome=record.NOT_YET, at=NOW - 50, message="the access token is still valid", lives_until=NOW + 100)
REVOKED = Record(outcome=record.NOT_DUE, at=NOW - 50, message="nothing is due", refused="token_revoked")
EXPIRED = Record(outcome=record.NOT_DUE, at=NOW - 50, message="nothing is due", refused="token_expired")
ODD = Record(outcome=record.NOT_DUE, at=NOW - 50, message="nothing is due", refused="token_borrowed")
NOT_YET_AFTER_ALL = judged(400, "invalid_grant", "token not expired", EXPIRED, at=NOW)
NO_PAIR = errors.AuthorizationNeededError("not logged in: no token in /state yet", token_errors.HINT_AUTHORIZE)
DAMAGED = errors.DataError("token.json makes no sense", "restore a copy")


# name -> (Report, state, exit code)
REPORTS = {
    "fresh": (report.of_pair(pair(500), None, NOW), "valid", 0),
    "renewed": (report.of_pair(pair(500), RENEWED, NOW + 0.75), "valid", 0),
    "last second": (report.of_pair(pair(1), RENEWED, NOW), "valid", 0),
    "valid after weather": (report.of_pair(pair(500), GUARD, NOW), "valid", 0),
    "expired": (report.of_pair(pair(0), None, NOW), "due", 69),
    "expired long ago": (report.of_pair(pair(-90 * DAY), RENEWED, NOW), "due", 69),
    "in flight": (report.of_pair(pair(), None, NOW, record.REFRESH), "in_flight", 69),
    "in flight, still valid": (report.of_pair(pair(500), None, NOW, record.REFRESH), "in_flight", 0),
    "an authorization in flight": (report.of_pair(pair(500), None, NOW, record.CODE), "in_flight", 0),
    "a revocation in flight": (report.of_pair(pair(500), None, NOW, record.REVOKE), "in_flight", 0),
    "refused and in flight": (report.of_pair(pair(500), REVOKED, NOW, record.REFRESH), "in_flight", 69),
    "refused": (report.of_pair(pair(500), REVOKED, NOW), "authorization_needed", 77),
    "refused until it expired": (report.of_pair(pair(), REVOKED, NOW), "due", 69),
    "API says expired": (report.of_pair(pair(500), EXPIRED, NOW), "due", 69),
    "API says expired, and the token endpoint not yet": (
        report.of_pair(pair(500), NOT_YET_AFTER_ALL, NOW),
        "not_yet",
        69,
    ),
    "clock in 1970": (report.of_pair(pair(500), None, 0), "due", 69),
    "refused in a way that this version does not know": (report.of_pair(pair(500), ODD, NOW), "valid", 0),
    "not yet": (report.of_pair(pair(), NOT_YET, NOW), "not_yet", 69),
    "guard": (report.of_pair(pair(), GUARD, NOW), "try_later", 75),
    "nonsense": (report.of_pair(pair(), NONSENSE, NOW), "try_later", 65),
    "lost": (report.of_pair(pair(), LOST, NOW), "outcome_unknown", 75),
    "dead": (report.of_pair(pair(), DEAD, NOW), "authorization_needed", 77),
    "dead but valid": (report.of_pair(pair(500), DEAD, NOW), "authorization_needed", 77),
    "dead and in flight": (report.of_pair(pair(), DEAD, NOW, record.REFRESH), "authorization_needed", 77),
    "locked": (report.of_pair(pair(), LOCKED, NOW), "authorization_needed", 77),
    "unclear for days": (report.of_pair(pair(), UNCLEAR_FOR_DAYS, NOW), "authorization_needed", 77),
    "wrong secret": (report.of_pair(pair(), WRONG_SECRET, NOW), "misconfigured", 78),
    "no refresh token": (report.of_pair(pair(-1, None), None, NOW), "authorization_needed", 77),
    "no refresh token, valid": (report.of_pair(pair(500, None), None, NOW), "authorization_needed", 77),
    "no pair": (report.of_error(NO_PAIR, None, NOW), "no_pair", 77),
    "no pair any more": (report.of_error(NO_PAIR, DEAD, NOW), "no_pair", 77),
    "no pair, but it lived": (report.of_error(NO_PAIR, ALIVE, NOW), "no_pair", 77),
    "damaged": (report.of_error(DAMAGED, RENEWED, NOW), "damaged", 65),
}
