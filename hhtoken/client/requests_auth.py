"""For ``requests``: an access token in each request to HeadHunter's API, and once more with a newer one when HeadHunter
refuses it."""

import os

from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body
from urllib3.util import parse_url

from hhtoken import errors
from hhtoken.client.token_source import WAIT_SECONDS, access_token
from hhtoken.provider import api_errors
from hhtoken.provider.answer import Answer
from hhtoken.settings.settings import Settings
from hhtoken.store.record import REFUSAL_KINDS

BEARER = "Bearer "
PORTS = {"https": 443, "http": 80}


class HeadHunterAuth(AuthBase):
    """``session.auth = HeadHunterAuth()``. Takes what ``access_token`` takes, and ``api_url`` instead of HH_API_URL.

    A request to any other scheme, host or port gets no token. ``session.get()`` raises what ``access_token`` raises
    where there is no token to send; where HeadHunter refuses one and no newer comes in time, its 403 is returned.
    May be shared between threads and sessions.
    """

    def __init__(
        self, state_dir=None, published=None, *, account=None, renew=False, wait_seconds=WAIT_SECONDS, api_url=None
    ):
        environment = {**os.environ, "HH_API_URL": api_url} if api_url else os.environ
        self.api_url = Settings(environment, None, state_dir, account).api_url()
        self._source = {
            "state_dir": state_dir,
            "published": published,
            "account": account,
            "renew": renew,
            "wait_seconds": wait_seconds,
        }

    def __call__(self, request):
        if self._is_for_api(request):
            _put(request, access_token(**self._source))
            request.register_hook("response", self._on_response)
        return request

    def _is_for_api(self, request):
        return _origin(request.url) == _origin(self.api_url)

    def _on_response(self, response, **options):
        """Return the response, or that to a second attempt with a newer token. Called for each hop of a redirect."""
        sent = response.request.headers.get("Authorization", "")
        refused_as = _refusal_in(response) if sent.startswith(BEARER) and self._is_for_api(response.request) else None
        if not refused_as:
            return response
        again = response.request.copy()
        try:
            token = access_token(**self._source, instead_of=sent[len(BEARER) :], refused_as=refused_as)
        except errors.Error:
            return response
        if refused_as not in api_errors.OF_TOKEN or not _rewind(again):
            return response
        _put(again, token)
        response.close()
        again.prepare_cookies(response.cookies)
        answer = response.connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer


def _put(request, token):
    request.headers["Authorization"] = BEARER + token


def _origin(url):
    """Given an address, return scheme, host and port as urllib3, which will connect to it, understands them."""
    parts = parse_url(url)
    return parts.scheme, parts.host, parts.port or PORTS.get(parts.scheme)


def _refusal_in(response):
    """Return how HeadHunter says that it does not take this token, or no longer; None where it does not say so."""
    if response.status_code != 403 or "json" not in response.headers.get("Content-Type", ""):
        return None
    kind = api_errors.judge(Answer(403, response.content, True)).kind
    return kind if kind in REFUSAL_KINDS else None


def _rewind(request):
    """Bring the body of a request back to its start, and tell whether that can be done."""
    if request.body is None or isinstance(request.body, (str, bytes)):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True
