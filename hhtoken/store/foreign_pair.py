"""A pair that another program has written, with the times in the names and forms that OAuth tools use. Pure.

An expiry is never invented: a token that is taken for valid too long is an outage that reports green, while a refresh
that comes too early is only answered "token not expired". Where nothing tells, the pair is due.
"""

import re
from datetime import datetime, timedelta, timezone

from hhtoken.console import durations
from hhtoken.pair import (
    LONGEST_SANE_LIFE_SECONDS,
    MARK_FIELD,
    OUR_FIELDS,
    Pair,
    is_ours,
    is_token,
    require_tokens,
    sane_life,
)
from hhtoken.provider.answer import http_date
from hhtoken.text import N_

DEEPEST = 3  # levels below the top: {"profiles": {"default": {"token": {…}}}}
SAME_SECONDS = 60  # two tools read their clocks, or round, so far apart
EARLIEST_SECONDS = 10**9  # of 2001: a smaller number is no moment
LARGEST_SECONDS = 10**11  # of the year 5138; larger numbers count milliseconds, microseconds, …

# Names, in lower case and of letters and digits alone; each may have a prefix: hh_access_token, hhRefreshToken.
TOKENS = (("accesstoken", "refreshtoken"), ("token", "refreshtoken"), ("access", "refresh"))
OF_ANOTHER_TOKEN = re.compile(r"^ext|^id|idtoken|refreshtoken|refresh.*exp")
LIFE = re.compile(r"expir\w*in(sec(ond)?s?)?$|^ttl$|lifetime$")
EXPIRY = re.compile(r"expir|^(access|token)*exp$|^valid(until|to)$|^notafter$")
ISSUE = re.compile(
    r"^(hh|access|token|last|first)*(obtain|creat|issu|grant|receiv|acquir|fetch|retriev|generat|refresh|renew|updat|sav"
    r"|stor|authoriz|request)(ed|e|ion|al)?(at|on|time|date|timestamp|ts|ms)+$"
    r"|^(created|issued|obtained|iat|timestamp|lastrefresh)$"
)
KNOWN = re.compile("|".join(one.pattern for one in (LIFE, EXPIRY, ISSUE)) + "|token$|^access$|^refresh$")
NUMBER = re.compile(r"\d{1,25}(\.\d*)?")
MAIL_ZONE = re.compile(r"(GMT|UTC|[+-]\d{4})$")  # without a zone, such a date is read as of UTC
ISO_8601 = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ] *(\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?)?"
    r" *(?:(Z|UTC|GMT)|([+-])(\d\d):?(\d\d)?(?: +[A-Z]{3,5})?)?",
    re.IGNORECASE,
)


def read(fields, written_at, now):
    """Given the fields of a file, when it was written, and the time, both in Unix seconds, return the Pair in it;
    raise ValueError, without secrets, where there is none, or more than one."""
    (access_token, refresh_token), objects = _find(fields)
    kept = {"access_token": access_token, "refresh_token": refresh_token}
    if refresh_token is None:
        del kept["refresh_token"]
    times = _Times(objects, now)
    if is_ours(fields):
        kept = {name: value for name, value in fields.items() if name not in OUR_FIELDS}
    else:  # the rest is of the other program, perhaps with secrets of its own
        known = {_plain(name): value for name, value in objects[-1].items()}
        others = {name: known.get(_plain(name)) for name in ("token_type", "scope", MARK_FIELD)}
        kept.update({name: value for name, value in others.items() if value is not None})
        kept.update({"expires_in": times.life} if times.life else {})
    return Pair(kept, *times.judged(min(int(written_at), int(now))))


def _find(fields):
    """Return the two tokens, and the objects that may tell their times: the one that holds them, the last, and those
    around it."""
    found = {}
    for path in _paths(fields):
        for tokens in _tokens(path[-1]):
            found.setdefault(tokens, path)
    at_top = _tokens(fields)
    found = {tokens: found[tokens] for tokens in at_top} or found
    if len(found) > 1:
        raise ValueError(N_("it holds more than one pair"))
    if found:
        return found.popitem()
    alone = {name: fields[name] for name in ("access_token", "refresh_token") if fields.get(name) not in (None, "")}
    require_tokens(alone)
    return (alone["access_token"], alone.get("refresh_token")), (fields,)


def _paths(value, above=(), level=0):
    """Yield each object in a JSON value, as a tuple of those around it and itself."""
    if isinstance(value, dict):
        above = (*above, value)
        yield above
    if isinstance(value, (dict, list)) and level < DEEPEST:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _paths(inner, above, level + 1)


def _tokens(fields):
    """Return the pairs of tokens among the fields, as a set."""
    known = {_plain(name): value for name, value in fields.items() if is_token(value)}
    for access, refresh in TOKENS:
        partners = {name: name[: -len(access)] + refresh for name in known if name.endswith(access)}
        found = {(known[name], known[partner]) for name, partner in partners.items() if partner in known}
        if found:
            return found
    return set()


class _Times:
    """What objects tell of the times: ``issues`` and ``expiries``, each a list of moments that one field can mean;
    ``life`` in seconds, or None; ``is_unclear``: a field tells a time in a form, or by a name, that is not known."""

    def __init__(self, objects, now):
        told = [(_plain(name), value) for fields in objects for name, value in fields.items()]
        told = [one for one in told if one[1] not in (None, "") and not isinstance(one[1], bool)]
        told = [one for one in told if not OF_ANOTHER_TOKEN.search(one[0])]
        lives = [_life(value) for name, value in told if LIFE.search(name)]
        self.life = min(filter(None, lives), default=None)
        latest = now + (self.life or LONGEST_SANE_LIFE_SECONDS) + SAME_SECONDS
        expiries = [_moments(one, latest) for name, one in told if EXPIRY.search(name) and not LIFE.search(name)]
        issues = [_moments(one, now + SAME_SECONDS) for name, one in told if ISSUE.search(name)]
        others = [_moments(one, latest) for name, one in told if not KNOWN.search(name)]
        is_told_otherwise = any(moments and min(moments) > EARLIEST_SECONDS for moments in others)
        self.is_unclear = None in lives or [] in expiries + issues or is_told_otherwise
        self.issues, self.expiries = list(filter(None, issues)), list(filter(None, expiries))

    def judged(self, written_at):
        """Return ``obtained_at``, ``expires_at`` and what is assumed of them."""
        lived = [[moment + self.life for moment in moments] for moments in self.issues] if self.life else []
        readings = self.expiries + lived
        known = sorted(moment for moments in readings for moment in moments)
        agreed = [moment for moment in known if all(_has(moments, moment) for moments in readings)]
        obtained_at = int(min((min(moments) for moments in self.issues), default=written_at))
        if agreed:
            expires_at = int(agreed[0])
            if self.life and not self.issues:
                obtained_at = min(obtained_at, expires_at - self.life)
            return obtained_at, expires_at, None
        if known:
            earliest = min(int(known[0]), written_at)
            return obtained_at, earliest, N_("the times in the file contradict each other, so the pair is due now")
        if self.life and not self.is_unclear:
            moment = durations.local(written_at)
            assumed = N_("the file does not say when the token was issued; its own time, {at}, is assumed", at=moment)
            return obtained_at, obtained_at + self.life, assumed
        return obtained_at, written_at, N_("the file does not say when the token expires, so the pair is due now")


def _has(moments, wanted):
    return any(abs(moment - wanted) <= SAME_SECONDS for moment in moments)


def _life(value):
    """Return whole seconds, or None."""
    return sane_life(float(value) if isinstance(value, str) and NUMBER.fullmatch(value.strip()) else value)


def _moments(value, latest):
    """Return the Unix seconds that a value can mean: none, one, or two where it names no time zone."""
    found = ()
    if isinstance(value, str) and not NUMBER.fullmatch(value.strip()):
        found = _from_text(value.strip())
    elif isinstance(value, (str, int, float)):
        number = float(value)
        while number > LARGEST_SECONDS:
            number /= 1000
        found = (number,)
    return [moment for moment in found if 0 < moment <= latest]


def _from_text(text):
    match = ISO_8601.fullmatch(text)
    if not match:
        moment = http_date(text) if MAIL_ZONE.search(text) else None
        return (moment,) if moment else ()
    *numbers, utc, sign, hours, minutes = match.groups()
    try:
        moment = datetime(*(int(number or 0) for number in numbers))
        if utc or sign:
            offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
            return (moment.replace(tzinfo=timezone(offset)).timestamp(),)
        return moment.replace(tzinfo=timezone.utc).timestamp(), moment.timestamp()
    except (ValueError, OverflowError):
        return ()


def _plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())
