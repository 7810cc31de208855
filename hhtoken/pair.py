"""The pair as a record: from the provider's answer, to and from the text of ``token.json``. Pure.

On the path of every ``hhtoken show``, so it imports nothing that costs: no dataclasses, no typing, and ``json``, which
brings ``re`` with it, only where an answer is read or a file is written.
"""

from hhtoken.text import N_

ASSUMED_LIFE_SECONDS = 14 * 24 * 3600  # what HeadHunter gives; used where an answer names no sane life
LONGEST_SANE_LIFE_SECONDS = 366 * 24 * 3600
LONGEST_TOKEN_CHARACTERS = 8192  # what HTTP servers take as a header line
LARGEST_FILE_BYTES = 64 * 1024
LONGEST_NUMBER_DIGITS = 40  # int() refuses over 4300 digits with a ValueError, which would cost the whole answer

OUR_FIELDS = ("obtained_at", "expires_at")
ESSENTIAL_FIELDS = ("access_token", "token_type", "expires_in", "refresh_token", "scope", "hhtoken_shared")
MARK_FIELD = "hhtoken_shared"  # ours, too, where hosts share the pair; see hhtoken.store.etcd.comparison
TOKEN_FIELDS = ("access_token", "refresh_token", MARK_FIELD)


class Pair:
    """Access token and refresh token that the provider issued together.

    ``fields``: every field of the provider's answer, unchanged. ``obtained_at``, ``expires_at``: Unix seconds.
    ``assumed``: what was assumed of these, a Text, or None. ``refresh_token`` is None where there is none.
    """

    __slots__ = ("fields", "obtained_at", "expires_at", "assumed")

    def __init__(self, fields, obtained_at, expires_at, assumed=None):
        self.fields = fields
        self.obtained_at = obtained_at
        self.expires_at = expires_at
        self.assumed = assumed

    @property
    def access_token(self):
        return self.fields["access_token"]

    @property
    def refresh_token(self):
        return self.fields.get("refresh_token")

    @property
    def is_shared(self):
        """Whether this is a copy of the pair that hosts share through etcd."""
        return MARK_FIELD in self.fields

    @property
    def provider_expires_at(self):
        """When the access token expires by the provider's clock, where hosts share the pair and know; else 0."""
        mark = self.fields.get(MARK_FIELD)
        moment = mark.get("provider_expires_at") if isinstance(mark, dict) else None
        return moment if type(moment) is int else 0

    def seconds_left(self, now):
        """Given the time in Unix seconds, return the whole seconds that the access token is still valid; never below 0,
        nor above its whole life, should the clock be set back."""
        return max(0, int(self.expires_at - max(now, self.obtained_at)))

    def all_fields(self):
        """Return the fields as ``token.json`` holds them, in their order."""
        return {**self.fields, "obtained_at": self.obtained_at, "expires_at": self.expires_at}


def hand_on_mark(spent, pair):
    """Given the Pair that was spent for another one, put its mark on that: what was made from a shared pair belongs to
    all hosts, also where this run knows of none."""
    if not spent.is_shared or pair.is_shared:
        return
    mark = spent.fields[MARK_FIELD]
    if isinstance(mark, dict) and type(mark.get("generation")) is int:
        mark = {**mark, "generation": mark["generation"] + 1, "provider_expires_at": 0, "is_in_etcd": False}
    pair.fields[MARK_FIELD] = mark


def parse_object(data):
    """Given the bytes of a JSON object, return it as a dict; raise ValueError, without the text, for anything else.

    Numbers that JSON cannot write back (NaN, 1e999, 5000 digits) become None: one odd field must not cost a pair.
    """
    import json

    try:
        value = json.loads(data, parse_constant=_drop, parse_float=_finite_float, parse_int=_bounded_int)
    except (ValueError, RecursionError):
        raise ValueError(N_("not JSON")) from None
    if not isinstance(value, dict):
        raise ValueError(N_("not a JSON object"))
    return value


def parse_first_object(data):
    """Given bytes that begin with a JSON object and go on with anything, return the object if it holds both tokens,
    else None."""
    import json

    try:
        decoder = json.JSONDecoder(parse_constant=_drop, parse_float=_finite_float, parse_int=_bounded_int)
        value, _end = decoder.raw_decode(data.decode("utf-8", "replace").lstrip("\ufeff \t\r\n"))
    except (ValueError, RecursionError):
        return None
    is_pair = isinstance(value, dict) and is_token(value.get("access_token")) and is_token(value.get("refresh_token"))
    return value if is_pair else None


def parse_stored(data):
    """Like ``parse_object``, for a file that we wrote: by the scanner of CPython's ``json`` alone, 7 ms sooner.

    Where that is not to be had, or finds anything odd, ``parse_object`` has the word.
    """
    try:
        from _json import make_scanner

        text = data.decode().strip(" \t\r\n")
        value, end = make_scanner(_Hooks)(text, 0)
    except Exception:  # whatever it is (a SystemError, where json.decoder is not loaded): the real parser will say
        return parse_object(data)
    return value if end == len(text) and isinstance(value, dict) else parse_object(data)


def pair_from_answer(fields, received_at, kept_refresh_token=None):
    """Given the fields of a provider's answer and the Unix time of its arrival, return the Pair.

    ``kept_refresh_token`` stands in where the answer has none (RFC 6749 section 6: the old one then stays valid).
    Raise ValueError, without secrets, where the answer holds no usable token.
    """
    fields = {name: value for name, value in fields.items() if name not in (*OUR_FIELDS, MARK_FIELD)}
    if fields.get("refresh_token") in (None, ""):
        fields.pop("refresh_token", None)
        if kept_refresh_token:
            fields["refresh_token"] = kept_refresh_token
    require_tokens(fields)
    life = sane_life(fields.get("expires_in"))
    assumed = None if life else N_("the answer names no expiry, so 14 days are assumed")
    return Pair(fields, int(received_at), int(received_at) + (life or ASSUMED_LIFE_SECONDS), assumed)


def is_ours(fields):
    """Given the fields of a file, tell whether hhtoken has written it; ``hhtoken.store.foreign_pair`` reads others."""
    obtained_at, expires_at = (fields.get(name) for name in OUR_FIELDS)
    is_timed = type(obtained_at) is type(expires_at) is int and expires_at - obtained_at <= LONGEST_SANE_LIFE_SECONDS
    return is_timed and "access_token" in fields


def pair_from_stored(fields):
    """Given the fields of a ``token.json`` that hhtoken has written, return the Pair; raise ValueError as above."""
    if not is_ours(fields):
        raise ValueError(N_("no usable access_token in it, or no times"))
    kept = {name: value for name, value in fields.items() if name not in OUR_FIELDS}
    if kept.get("refresh_token") in (None, ""):  # as in an answer: absent, however it is written
        kept.pop("refresh_token", None)
    require_tokens(kept)
    return Pair(kept, fields["obtained_at"], fields["expires_at"])


def pair_to_text(pair):
    """Given a Pair, return the bytes of its ``token.json``: at most 64 KiB, whatever the provider sent beside it."""
    for names in (pair.fields, ESSENTIAL_FIELDS):
        try:
            data = _dump(_only(pair, names))
        except RecursionError:  # a nest that can be read but not written; the tokens are what counts
            continue
        if len(data) <= LARGEST_FILE_BYTES:
            return data
    return _dump(_only(pair, TOKEN_FIELDS))


def is_token(value):
    """Given any value, tell whether it can stand in a header: RFC 6749 A.12 (VSCHAR), without the space."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_TOKEN_CHARACTERS
        and value.isascii()
        and all("!" <= character <= "~" for character in value)
    )


def sane_life(value):
    """Given an ``expires_in`` of any type, return whole seconds from 1 to a year, or None."""
    seconds = _whole(value)
    return seconds if seconds is not None and 0 < seconds <= LONGEST_SANE_LIFE_SECONDS else None


def require_tokens(fields):
    """Given fields, raise ValueError, without secrets, unless their tokens can be used."""
    if not is_token(fields.get("access_token")):
        raise ValueError(N_("no usable access_token in it"))
    if "refresh_token" in fields and not is_token(fields["refresh_token"]):
        raise ValueError(N_("no usable refresh_token in it"))


def _whole(value):
    """Return a number, or a text of digits, as an int; None for a bool and for all else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER_DIGITS:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if abs(value) < 10**LONGEST_NUMBER_DIGITS else None  # also for NaN


def _only(pair, names):
    kept = {name: pair.fields[name] for name in names if name in pair.fields}
    return Pair(kept, pair.obtained_at, pair.expires_at).all_fields()


def _dump(fields):
    import json

    try:
        return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # a lone surrogate in some field
        return (json.dumps(fields, indent=2) + "\n").encode()


def _drop(_constant):
    return None


def _finite_float(text):
    value = float(text)
    return value if abs(value) != float("inf") else None


def _bounded_int(text):
    return int(text) if len(text) <= LONGEST_NUMBER_DIGITS else None


class _Hooks:
    """What the scanner asks for; the same as ``parse_object`` passes to ``json.loads``."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_constant = staticmethod(_drop)
    parse_float = staticmethod(_finite_float)
    parse_int = staticmethod(_bounded_int)
