"""The two requests to the API that are about the token itself: who am I, and end it."""

from hhtoken.provider import transfer
from hhtoken.provider.transfer import Transfer

LONGEST_SECONDS = 30  # nothing is at stake that would be worth more of an operator's time


class ApiEndpoint:
    """``base``: the address in front of the paths. ``deadline_seconds``: for a whole answer, however it drips."""

    def __init__(self, base, user_agent, deadline_seconds):
        self._base = base
        self._user_agent = user_agent
        self._deadline_seconds = deadline_seconds

    def prepare(self):
        """Load what a request needs, so that a broken installation shows before anything is changed."""
        transfer.load()

    def me(self, access_token):
        """Return the Answer to "who am I"; raise NotSent where nothing has left."""
        return self._send("GET", "/me", access_token)

    def invalidate(self, access_token):
        """Return the Answer to "end the pair of this access token"; raise NotSent where nothing has left."""
        return self._send("DELETE", "/oauth/token", access_token)

    def _send(self, method, path, access_token):
        headers = {"User-Agent": self._user_agent, "Authorization": f"Bearer {access_token}"}
        return Transfer(method, self._base + path, headers).run(self._deadline_seconds)


def api_endpoint_of(settings):
    """Given the Settings, return the ApiEndpoint that they name; raise ConfigError."""
    seconds = min(settings.deadline_seconds(), LONGEST_SECONDS)
    return ApiEndpoint(settings.api_url(), settings.user_agent(), seconds)
