"""An answer of the token endpoint as it came off the wire, and what can be read out of it. Pure."""

import zlib

from hhtoken.pair import is_token, pair_from_answer, parse_first_object, parse_object

LARGEST_BODY_BYTES = 64 * 1024
RETRY_AFTER_LEAST_SECONDS, RETRY_AFTER_MOST_SECONDS = 1, 3600


class Answer:
    """``status``: int, 0 where no status line came. ``body``: the bytes that arrived, at most 64 KiB.
    ``complete``: nothing more is to come. ``received_at``: Unix seconds, or None. ``retry_after``, ``date``,
    ``request_id``, ``location_host``: from the headers, at most 200 characters, or None. ``failure``: what broke
    the transfer, or None. ``ask_first``: the token address for the next attempt, or None."""

    __slots__ = (
        "status",
        "body",
        "complete",
        "received_at",
        "retry_after",
        "date",
        "request_id",
        "location_host",
        "failure",
        "ask_first",
    )

    def __init__(self, status=0, body=b"", complete=False, **details):
        self.status = status
        self.body = body
        self.complete = complete
        for name in self.__slots__[3:]:
            setattr(self, name, details.get(name))

    def __repr__(self):
        return f"<Answer {self.status}, {len(self.body)} bytes, complete={self.complete}>"


def object_in(body):
    """Given the bytes of a body, return its JSON object, or None.

    A BOM, UTF-16, unasked gzip, and rubbish behind a pair of tokens do not matter.
    """
    if body[:2] == b"\x1f\x8b":
        try:
            body = zlib.decompressobj(wbits=31).decompress(body, LARGEST_BODY_BYTES)
        except zlib.error:
            return None
    try:
        return parse_object(body.lstrip())
    except ValueError:
        return parse_first_object(body)


def request_id_of(answer):
    """Given an Answer, return the request id, which HeadHunter's support asks for: from its headers, else its body."""
    return answer.request_id or (object_in(answer.body) or {}).get("request_id")


def holds_pair(body):
    """Given the bytes that have come so far, tell whether a full pair is among them, so that no more is needed."""
    if b"}" not in body and body[:2] != b"\x1f\x8b":
        return False
    return _is_full(object_in(body))


def pair_in(answer, received_at, kept_refresh_token=None):
    """Given an Answer, return the Pair in it, or None.

    A full pair counts whatever the status and the framing say: it is the provider's only copy for us. An access
    token alone counts in a good answer only; ``kept_refresh_token`` then stays.
    """
    fields = object_in(answer.body)
    if fields is None or "error" in fields and "access_token" not in fields:
        return None
    if not 200 <= answer.status < 300 and not _is_full(fields):
        return None
    try:
        return pair_from_answer(fields, received_at, kept_refresh_token)
    except ValueError:
        return None


def _is_full(fields):
    return bool(fields) and is_token(fields.get("access_token")) and is_token(fields.get("refresh_token"))


def wait_seconds(retry_after, now):
    """Given a Retry-After header (seconds or a date) and the time, return 1..3600 seconds, or None."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        seconds = int(text[:10])
    else:
        at = http_date(text)
        if at is None:
            return None
        seconds = int(at - now)
    return min(max(seconds, RETRY_AFTER_LEAST_SECONDS), RETRY_AFTER_MOST_SECONDS)


def http_date(text):
    """Given an HTTP date, return it in Unix seconds, or None."""
    from datetime import timezone
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
