"""Which of two copies of a pair counts, the one in this host's state directory or the one in etcd. Pure.

Each pair has a generation: the first one has 1, and whoever puts another in its place adds 1. A host's copy carries a
mark that says of which store it is a copy, and of which generation.
"""

from collections import namedtuple

from hhtoken.pair import MARK_FIELD, Pair

NOTHING = "nothing"  # no pair anywhere
IN_STEP = "in_step"
TAKE_OVER = "take_over"  # etcd has a newer one
PROMOTE = "promote"  # this host has a newer one, which did not get to etcd
CONFLICT = "conflict"  # both went on from the same pair: etcd's counts, ours is kept aside
UNSHARED = "unshared"  # this host has a pair, and etcd has none, and never had this one
VANISHED = "vanished"  # etcd has lost the pair that this is a copy of
ENDED = "ended"  # another host has revoked the pair that this is a copy of, or moved it out
FOREIGN = "foreign"  # both have one, and they have nothing to do with each other


FIELDS = ("store", "generation", "provider_expires_at", "is_in_etcd")


class Mark(namedtuple("Mark", FIELDS, defaults=(0, True))):
    """``store``: which installation's store (random text). ``generation``: 1 or more. ``provider_expires_at``: when the
    access token expires by the provider's clock, in Unix seconds, 0 where that is not known; hosts' clocks differ.
    ``is_in_etcd``: False while etcd has not got the pair yet."""

    __slots__ = ()


def mark_of(pair):
    """Given a Pair or None, return its Mark, or None where it has none that makes sense."""
    return from_dict(pair.fields.get(MARK_FIELD)) if pair else None


def from_dict(fields):
    """Given a Mark as a dict, return the Mark; None for what makes no sense."""
    mark = Mark(*(fields.get(name) for name in FIELDS)) if isinstance(fields, dict) else None
    if not mark or [type(one) for one in mark[:3]] != [str, int, int]:
        return None
    return mark._replace(is_in_etcd=mark.is_in_etcd is not False)


def marked(pair, mark):
    """Given a Pair and a Mark, return the same Pair with that Mark."""
    fields = {**pair.fields, MARK_FIELD: mark._asdict()}
    return Pair(fields, pair.obtained_at, pair.expires_at, pair.assumed)


def mark_after(pair, marks, new_line=None):
    """Given a Pair, and the Marks (or None) of those that it comes after, return its Mark: of their line, and of a
    higher generation than theirs: its own, where that is one. ``new_line``: the name of a line that begins with it."""
    own, before = mark_of(pair), [mark for mark in marks if mark]
    store = before[0].store if before else own.store if own else new_line
    if own is None or own.store != store:
        own = Mark(store, 1)
    return own._replace(
        generation=max([own.generation, *(mark.generation + 1 for mark in before if mark.store == store)])
    )


def is_same(one, other):
    """Tell whether two Pairs hold the same tokens."""
    return (one.access_token, one.refresh_token) == (other.access_token, other.refresh_token)


def compare(local, remote, end=None):
    """Given the Pair in the state directory and the one in etcd, each or both None, and the Mark of the last one that
    was taken out of etcd on purpose (or None), return one of the words above."""
    mark = mark_of(local)
    if remote is None:
        if mark and not mark.is_in_etcd:
            return PROMOTE
        if mark and end and mark.store == end.store and mark.generation <= end.generation:
            return ENDED
        return NOTHING if local is None else VANISHED if mark else UNSHARED
    if local is None:
        return TAKE_OVER
    if is_same(local, remote):
        return IN_STEP
    theirs = mark_of(remote)
    if not (mark and theirs and mark.store == theirs.store):
        return FOREIGN
    if mark.generation == theirs.generation:
        return CONFLICT
    return TAKE_OVER if mark.generation < theirs.generation else PROMOTE
