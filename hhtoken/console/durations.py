"""Times and spans for people. Pure."""

import time

from hhtoken.text import counted, joined


def span(seconds):
    """Given seconds, return them in words with at most two units, e.g. "13 days 4 hours"."""
    seconds = int(seconds)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = (
        counted("{count} day", "{count} days", days) if days else "",
        counted("{count} hour", "{count} hours", hours) if hours else "",
        counted("{count} minute", "{count} minutes", minutes) if minutes else "",
        counted("{count} second", "{count} seconds", seconds % 60) if seconds % 60 else "",
    )
    return joined(" ", list(filter(None, parts))[:2]) or counted("{count} second", "{count} seconds", 0)


def local(moment):
    """Given Unix seconds, return them as local time with the offset, e.g. "2026-12-07 12:00:00 +0300"."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return str(moment)
