"""For programs in Python: ``from hhtoken.client import HeadHunterAuth, access_token``. docs/client.md has more."""

from hhtoken.client.token_source import access_token

__all__ = ("HeadHunterAuth", "access_token")  # noqa: F822 (the first is imported only when it is used)


def __getattr__(name):
    if name == "HeadHunterAuth":  # not before it is asked for: it needs `requests`
        from hhtoken.client.requests_auth import HeadHunterAuth

        return HeadHunterAuth
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
