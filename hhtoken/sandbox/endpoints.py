"""What HeadHunter's addresses answer: from a Request to an Answer, through the weather, by asking the provider.

``sandbox`` is the running server's bundle: ``provider``, ``weather``, ``requests``, ``settings``, ``auto``.
"""

from hhtoken.sandbox import delivery, messages, pages, users
from hhtoken.sandbox.authorization import REPEATED_PARAMETER, BadAuthorizationRequest
from hhtoken.sandbox.messages import Answer, api_error, html_answer, json_answer, redirect_answer
from hhtoken.sandbox.refusals import BadAccess, Refused
from hhtoken.sandbox.request_log import grant_name
from hhtoken.sandbox.settings import ALLOW, DENY

FROM_ANYWHERE = (("Access-Control-Allow-Origin", "*"),)
PREFLIGHT = (
    *FROM_ANYWHERE,
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, HH-User-Agent, User-Agent, X-Requested-With"),
    ("Access-Control-Max-Age", "86400"),
)
NOTHING_FOUND = {"items": [], "found": 0, "page": 0, "pages": 0, "per_page": 20}


def authorize(sandbox, request):
    """GET /oauth/authorize: ask the user, or answer in the user's place; a page for what must not be a redirect."""
    lang = pages.language(request.headers.get("Accept-Language"))
    pairs = messages.parameters(request.query)
    try:
        if len(pairs) != len(dict(pairs)):
            raise BadAuthorizationRequest(REPEATED_PARAMETER)
        asked = sandbox.provider.read_authorization(dict(pairs))
    except BadAuthorizationRequest as error:
        return _refused_page(lang, error.reason)
    if asked.error or sandbox.auto:
        return redirect_answer(sandbox.provider.answer(asked, sandbox.auto == ALLOW))
    return html_answer(200, pages.consent(lang, asked, sandbox.provider.keep(asked)), pages.HEADERS)


def decide(sandbox, request):
    """POST /oauth/authorize: the user's answer from the page, good once."""
    lang = pages.language(request.headers.get("Accept-Language"))
    form = dict(messages.parameters(request.body)) if request.has_form else {}
    if form.get("answer") not in (ALLOW, DENY):
        return _refused_page(lang, "no_answer")
    asked = sandbox.provider.take(form.get("ticket"))
    if asked is None:
        return _refused_page(lang, "used_ticket")
    asked = asked._replace(role=form["role"]) if form.get("role") in users.ROLES else asked
    return redirect_answer(sandbox.provider.answer(asked, form["answer"] == ALLOW))


def token(sandbox, request):
    """POST /oauth/token and /token: the provider's answer, through the weather of the moment."""
    pairs = messages.parameters(request.body) if request.has_form else []
    form = dict(pairs)
    answer = _in_weather(
        sandbox, request, lambda: _issued(sandbox.provider, form, len(pairs), request.request_id), is_token_request=True
    )
    answer = answer._replace(note=grant_name(form.get("grant_type")))
    sandbox.requests.add(form, sandbox.provider.now(), answer, not delivery.says_nothing(answer.framing))
    return answer


def elsewhere(sandbox, request):
    """Where the redirect faults lead: count the clients that follow, and give them nothing."""
    sandbox.requests.add_followed_redirect()
    return api_error(404, "not_found", request.request_id)


def preflight(_sandbox, _request):
    """OPTIONS of any path of the API: what a browser asks before it lets a page from elsewhere in."""
    return Answer(204, headers=PREFLIGHT)


def me(sandbox, request):
    """GET /me: the user of a valid access token."""
    return _with_access(
        sandbox, request, lambda token: json_answer(200, users.me(sandbox.provider.role_of(token), sandbox.url))
    )


def anything(sandbox, request):
    """Any other path of the API: nothing was found, which a valid access token is told."""
    return _with_access(
        sandbox, request, lambda token: json_answer(200, sandbox.provider.role_of(token) and NOTHING_FOUND)
    )


def invalidate(sandbox, request):
    """DELETE /oauth/token: the end of the pair of a user's valid access token."""
    return _with_access(sandbox, request, lambda token: Answer(sandbox.provider.invalidate(token) or 204))


def _in_weather(sandbox, request, natural, is_token_request=False):
    """Return the Answer of a function, as the weather leaves it; what does not commit is never called."""
    agent = request.headers.get("HH-User-Agent") or request.headers.get("User-Agent", "")
    if not agent.strip() or agent.startswith(sandbox.settings.blacklist):
        problem = "blacklisted" if agent.strip() else "unset"
        return api_error(400, "bad_user_agent", request.request_id, problem, FROM_ANYWHERE)
    fault, name = sandbox.weather.take(request.path, is_token_request)
    answer = natural() if fault is None or fault.commits else Answer(200)
    if fault:
        answer = _spoiled(answer, fault, request.request_id)._replace(fault=name)
    return answer._replace(headers=answer.headers + FROM_ANYWHERE)


def _issued(provider, form, count, request_id):
    try:
        if count != len(form):
            raise Refused("repeated_parameter")
        return json_answer(200, provider.token(form))
    except Refused as error:
        return messages.token_error(error.refusal, request_id)


def _spoiled(answer, fault, request_id):
    """Given the natural answer, return what the Fault leaves of it."""
    headers = tuple((key, value() if callable(value) else value) for key, value in fault.headers)
    if fault.document is not None:
        answer = json_answer(fault.status, {**fault.document, "request_id": request_id})
    if fault.html is not None:
        answer = html_answer(fault.status, fault.html)
    return answer._replace(
        status=fault.status or answer.status,
        body=fault.reshape(answer.body) if fault.reshape and answer.body else answer.body,
        headers=answer.headers + headers,
        framing=fault.framing,
    )


def _with_access(sandbox, request, use):
    scheme, _blank, access_token = request.headers.get("Authorization", "").strip().partition(" ")

    def natural():
        try:
            return use(access_token.strip() if scheme.lower() == "bearer" else "")
        except BadAccess as error:
            return api_error(403, "oauth", request.request_id, error.value)

    return _in_weather(sandbox, request, natural)


def _refused_page(lang, reason):
    return html_answer(400, pages.refused(lang, reason), pages.HEADERS)
