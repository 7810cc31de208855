"""The levers under /sandbox/: what a test can make happen while the sandbox runs, as one table.

Only for programs and people on the same machine: a page from elsewhere that a browser happens to have open must
not get through, neither by a form (its Origin) nor by a name that it points at this machine (its Host).
"""

import re
from typing import Callable, NamedTuple

from hhtoken.sandbox import messages
from hhtoken.sandbox.faults import ALL_FAULTS
from hhtoken.sandbox.messages import json_answer
from hhtoken.sandbox.provider import ACCOUNT_STATES, APPLICATION_STATES
from hhtoken.sandbox.settings import ALLOW, DENY, LONGEST_LIFE_SECONDS
from hhtoken.sandbox.users import ROLES
from hhtoken.text import N_

THIS_MACHINE = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost")
UNTIL_CLEARED = "always"
_NUMBER = re.compile(r"[0-9]{1,9}")
_PATH = re.compile(r"/[!-~]{0,200}")


class BadControl(Exception):
    """A lever was pulled with a parameter that it does not take; the text says what it takes."""


class Control(NamedTuple):
    """One lever: what it does to the sandbox, the parameters it takes, and what it is for."""

    act: Callable
    parameters: tuple[str, ...]
    says: str


def listing(_sandbox, _request):
    """GET /sandbox/: what can be done here, as JSON."""
    faults = {name: {"commits": fault.commits, "says": fault.says} for name, fault in ALL_FAULTS.items()}
    levers = {f"POST /sandbox/{name}": [*control.parameters, control.says] for name, control in CONTROLS.items()}
    return json_answer(200, {"GET /sandbox/state": "what has happened so far", **levers, "faults": faults})


def state(sandbox, _request=None):
    """GET /sandbox/state: counters, the state of everything, and the last token requests; never a secret."""
    provider = sandbox.provider
    return json_answer(
        200,
        {
            "now": round(provider.now(), 3),
            "expires_in": provider.expires_in,
            "auto": sandbox.auto,
            "user": provider.role,
            "account": provider.account,
            "application": provider.application,
            "pairs": provider.pairs(),
            "committed": dict(provider.committed),
            "committed_refreshes": provider.committed["refresh_token"],
            "faults": sandbox.weather.coming(),
            **sandbox.requests.summary(),
        },
    )


def pull(sandbox, request):
    """POST /sandbox/NAME: pull a lever, and answer with the state afterwards, without the list of requests."""
    form = messages.parameters(request.body) if request.has_form else []
    given = {name: value for name, value in [*messages.parameters(request.query), *form] if value}
    control = CONTROLS[request.path[len("/sandbox/") :]]
    try:
        control.act(sandbox, given)
    except BadControl as error:
        return json_answer(400, {"error": "bad_control", "error_description": str(error)})
    now = dict(state(sandbox).document)
    del now["requests"]
    return json_answer(200, now)


def is_allowed(request):
    """Tell whether a request may touch the levers: from this machine, to it by name, and by no foreign page."""
    host = request.headers.get("Host", "")
    name = re.sub(r":[0-9]*$", "", host).strip("[]").lower()
    is_ours = request.headers.get("Origin") in (None, f"http://{host}")
    return is_ours and request.client_host in THIS_MACHINE and name in THIS_MACHINE


def read_fault(name, times="1", path=None):
    """Given all as text, return ``(name, times, path)`` for ``Weather.add``; raise BadControl."""
    if name not in ALL_FAULTS:
        raise BadControl(N_("there is no such fault; GET /sandbox/ and --list-faults list them"))
    if path and not _PATH.fullmatch(path):
        raise BadControl(N_("path is a path of HeadHunter, as in {example}", example="/vacancies"))
    if times == UNTIL_CLEARED:
        return name, None, path
    if not _NUMBER.fullmatch(times) or not int(times):
        raise BadControl(N_("times is a number from 1, or {forever}", forever=UNTIL_CLEARED))
    return name, int(times), path


def _fault(sandbox, given):
    sandbox.weather.add(*read_fault(given.get("name"), given.get("times", "1"), given.get("path")))


def _seconds(given):
    text = given.get("seconds", "")
    if not _NUMBER.fullmatch(text) or int(text) > LONGEST_LIFE_SECONDS:
        raise BadControl(f"seconds is a number up to {LONGEST_LIFE_SECONDS}")
    return int(text)


def _expires_in(sandbox, given):
    sandbox.provider.expires_in = _seconds(given)


def _choice(name, choices, parameter="state"):
    def act(sandbox, given):
        if given.get(parameter) not in choices:
            raise BadControl(f"{parameter} is one of " + ", ".join(choices))
        setattr(sandbox.provider, name, given[parameter])

    return act


def _auto(answer):
    def act(sandbox, given):
        on = given.get("on", "1")
        if on not in ("0", "1"):
            raise BadControl("on is 0 or 1")
        if on == "1" or sandbox.auto == answer:
            sandbox.auto = answer if on == "1" else None

    return act


CONTROLS = {
    "fault": Control(
        _fault,
        ("name", "times", "path"),
        "the next requests (1, or times=N, or times=always) to the token endpoint, or to this path of the API, meet it",
    ),
    "clear": Control(lambda sandbox, _given: sandbox.weather.clear(), (), "no faults any more"),
    "password-change": Control(
        lambda sandbox, _given: sandbox.provider.change_password(),
        (),
        "the user changes the password: every pair is deactivated",
    ),
    "revoke": Control(lambda sandbox, _given: sandbox.provider.revoke(), (), "the user takes the access back"),
    "expire": Control(lambda sandbox, _given: sandbox.provider.expire(), (), "every access token expires now"),
    "expires-in": Control(_expires_in, ("seconds",), "access tokens issued from now on live this long"),
    "advance": Control(
        lambda sandbox, given: sandbox.provider.advance(_seconds(given)),
        ("seconds",),
        "the provider's clock goes ahead",
    ),
    "user": Control(_choice("role", ROLES, "role"), ("role",), "who signs in from now on"),
    "account": Control(_choice("account", tuple(ACCOUNT_STATES)), ("state",), "the state of the user's account"),
    "application": Control(
        _choice("application", APPLICATION_STATES), ("state",), "whether the application is still registered"
    ),
    "auto-approve": Control(_auto(ALLOW), ("on",), "allow every authorization at once, without a page"),
    "auto-deny": Control(_auto(DENY), ("on",), "refuse every authorization at once, without a page"),
    "reset": Control(lambda sandbox, _given: sandbox.reset(), (), "everything as at the start"),
}
