"""The requests to HeadHunter. The answer of the token endpoint may be the only copy of a pair: so its bytes go to the
journal as they arrive."""

import time

from hhtoken.provider import transfer
from hhtoken.provider.answer import holds_pair
from hhtoken.provider.transfer import Transfer, load

GONE = (404, 405, 410)


class TokenEndpoint:
    """``addresses``: the token addresses to try in turn; a later one only where an earlier one is gone.
    ``deadline_seconds``: for a whole answer, however it drips."""

    def __init__(self, addresses, user_agent, deadline_seconds):
        self._addresses = addresses
        self._headers = {"User-Agent": user_agent}
        self._deadline_seconds = deadline_seconds

    def prepare(self):
        """Load what a request needs, so that a broken installation shows before anything is spent."""
        load()

    def post(self, form, journal):
        """Send a form (a dict), put the raw answer into the journal, flushed, and return it as an Answer.

        Raise NotSent where nothing has left.
        """
        answer, deadline = None, time.monotonic() + self._deadline_seconds
        for address in self._addresses:
            if answer is not None:
                journal.restart()
            transfer = Transfer("POST", address, self._headers, form, journal.append, holds_pair, journal.send_before)
            answer = transfer.run(deadline - time.monotonic())
            if answer.status not in GONE or holds_pair(answer.body):
                break
        journal.finish(answer)
        return answer


def token_endpoint_of(settings):
    """Given the Settings, return the TokenEndpoint that they name; raise ConfigError."""
    return TokenEndpoint(settings.token_urls(), settings.user_agent(), settings.deadline_seconds())


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
