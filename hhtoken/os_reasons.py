"""What the system says of an operation that failed. Pure."""

from hhtoken.wording import text


def reason(error):
    """Given an OSError, return the Text of what the system says of it, in lower case.

    ``tests/catalog.py`` lists the usual ones for the catalog, since they stand in the C library, not here.
    """
    return text((error.strerror or type(error).__name__).lower())
