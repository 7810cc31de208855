"""The requests to HeadHunter. The answer of the token endpoint may be the only copy of a pair: so its bytes go to the
journal as they arrive."""

import time

from hhtoken.provider import transfer
from hhtoken.provider.answer import holds_pair, object_in
from hhtoken.provider.transfer import DIRECT, Transfer

LONGEST_API_SECONDS = 30  # nothing is at stake that would be worth more of an operator's time
GONE = (*range(300, 400), 404, 405, 410)  # nothing is spent
OWN_FIELDS = {"access_token", "error", "errors", "oauth_error"}  # one is in every answer of the token endpoint's own


class Endpoint:
    """``place``: an address in front of paths, or several. ``deadline_seconds``: for a whole answer, however it drips.
    ``route``: see Route."""

    def __init__(self, place, user_agent, deadline_seconds, route=DIRECT):
        self._place = place
        self._headers = {"User-Agent": user_agent}
        self._deadline_seconds = deadline_seconds
        self._route = route

    def prepare(self):
        """Load what a request needs, so that a broken installation shows before anything is spent or changed."""
        transfer.load()


class TokenEndpoint(Endpoint):
    """Its place: the token addresses to try in turn; a later one only where an earlier one is gone."""

    def post(self, form, journal):
        """Send a form (a dict), put the raw answer into the journal, flushed, and return it as an Answer, with the
        address that the next attempt should ask first.

        Raise NotSent where nothing has left.
        """
        answer, deadline = None, time.monotonic() + self._deadline_seconds
        addresses = sorted(self._place, key=lambda address: address != journal.ask_first)
        for address in addresses:
            if answer is not None:
                journal.restart()
            keep = (journal.append, holds_pair, journal.send_before, self._route)
            answer = Transfer("POST", address, self._headers, form, *keep).run(deadline - time.monotonic())
            if answer.status not in GONE or holds_pair(answer.body):
                break
        is_own = OWN_FIELDS & set(object_in(answer.body) or ())
        if answer.status and answer.complete and not is_own:
            address = next((other for other in addresses if other != address), address)
        answer.ask_first = address if len(addresses) > 1 else None
        journal.finish(answer)
        return answer


def token_endpoint_of(settings):
    """Given the Settings, return the TokenEndpoint that they name; raise ConfigError."""
    return TokenEndpoint(settings.token_urls(), settings.user_agent(), settings.deadline_seconds(), settings.route())


class ApiEndpoint(Endpoint):
    def me(self, access_token):
        """Return the Answer to "who am I"; raise NotSent where nothing has left."""
        return self._send("GET", "/me", access_token)

    def invalidate(self, access_token):
        """Return the Answer to "end the pair of this access token"; raise NotSent where nothing has left."""
        return self._send("DELETE", "/oauth/token", access_token)

    def _send(self, method, path, access_token):
        headers = {**self._headers, "Authorization": f"Bearer {access_token}"}
        return Transfer(method, self._place + path, headers, route=self._route).run(self._deadline_seconds)


def api_endpoint_of(settings):
    """Given the Settings, return the ApiEndpoint that they name; raise ConfigError."""
    seconds = min(settings.deadline_seconds(), LONGEST_API_SECONDS)
    return ApiEndpoint(settings.api_url(), settings.user_agent(), seconds, settings.route())
