"""Answers that are not what a client expects: functions from the body of an answer to another body.

A shape leaves a body without the member that it changes (a refusal, say) as it is. Bodies are JSON in UTF-8.
"""

import gzip
import json


def without(name):
    """Return a shape that leaves one member out."""
    return lambda body: _dump({key: value for key, value in json.loads(body).items() if key != name})


def with_value(name, value):
    """Return a shape that replaces the value of one member."""
    return lambda body: _changed(body, name, lambda _old: value)


def with_number(name, literal):
    """Return a shape that replaces one member by a number as written, however absurd."""
    mark = "\N{SNOWMAN}"
    return lambda body: _changed(body, name, lambda _old: mark).replace(json.dumps(mark).encode(), literal.encode())


def with_token(change):
    """Return a shape that applies a function to the access token."""
    return lambda body: _changed(body, "access_token", change)


def with_members(count):
    """Return a shape that puts the answer behind ``count`` arrays in one another, in a member of its own."""
    return lambda body: body[:-1] + b', "nested": ' + b"[" * count + b"]" * count + b"}"


def padded(size):
    """Return a shape that adds a member of ``size`` bytes behind all others."""
    return lambda body: body[:-1] + b', "padding": "' + b"x" * size + b'"}'


def repeated_members(body):
    """Every member stands there twice; the first ones are of no use, the last ones count as JSON parsers do."""
    decoys = _dump({key: "decoy" if isinstance(value, str) else 0 for key, value in json.loads(body).items()})
    return decoys[:-1] + b", " + body[1:]


def in_list(body):
    return b"[" + body + b"]"


def gzipped(body):
    return gzip.compress(body)


def after_bom(body):
    return b"\xef\xbb\xbf" + body


def in_utf_16(body):
    return body.decode().encode("utf-16")


def _changed(body, name, change):
    document = json.loads(body)
    if name in document:
        document[name] = change(document[name])
    return _dump(document)


def _dump(document):
    return json.dumps(document).encode()
