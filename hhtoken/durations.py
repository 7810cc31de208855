"""Times and spans for people. Pure."""

import time


def span(seconds):
    """Given seconds, return them in words with at most two units, e.g. "13 days 4 hours"."""
    seconds = int(seconds)
    parts = []
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}{'s' if count != 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"


def local(moment):
    """Given Unix seconds, return them as local time with the offset, e.g. "2026-12-07 12:00:00 +0300"."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return str(moment)
