"""``hhtoken whoami``: ask HeadHunter whether it accepts the access token now, and as whom. Spends nothing; what it
heard is remembered for ``status``."""

import json
import time

from hhtoken import errors
from hhtoken.console import language, reporting
from hhtoken.console.language import _
from hhtoken.provider import api_errors
from hhtoken.provider.endpoints import api_endpoint_of
from hhtoken.provider.transfer import NotSent
from hhtoken.renewal import record_keeping, report
from hhtoken.settings.settings import load_settings
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

SUMMARY = N_("ask HeadHunter whether it accepts the access token, and as whom")

SCHEMA = 1  # of the JSON form


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help=_("as JSON, for programs"))
    parser.add_argument("--email", action="store_true", help=_("also the user's e-mail address"))


def run(arguments):
    settings = load_settings(arguments)
    endpoint = api_endpoint_of(settings)
    store = open_store(settings.state_directory())
    pair = store.load().pair
    # Asked even where the access token has expired by our clock, since that may be wrong.
    verdict, person = _ask(endpoint, pair)
    if not person:
        renewed = store.load().pair
        if renewed.access_token != pair.access_token:  # a refresh was under way
            pair = renewed
            verdict, person = _ask(endpoint, pair)
    now = time.time()
    left = pair.seconds_left(now)
    if person or verdict.kind in api_errors.FOR_GOOD:
        record_keeping.remember_refusal(store, pair, None if person else verdict.kind, now)
    if verdict.kind == api_errors.EXPIRED and not left:
        verdict = _expired(report.look(store, now), verdict)
    if arguments.json:
        reporting.result(_as_json(pair, verdict, person, arguments.email))
    elif person:
        reporting.result(language.translated(N_("accepted: {who}", who=person.introduction(arguments.email))))
    if person and not left:
        reporting.warning(N_("by the clock of this machine the access token has expired; see 'date'"))
    if verdict.kind == api_errors.EXPIRED and left:
        reporting.warning(N_("by the clock of this machine the access token lives on; see 'date'"))
    if verdict.exit_code:
        raise verdict.error()
    return 0


def _ask(endpoint, pair):
    """Return the Verdict, and the Person or None."""
    try:
        answer = endpoint.me(pair.access_token)
    except NotSent as error:
        return api_errors.unreachable(error), None
    return api_errors.identify(answer, (pair.access_token, pair.refresh_token))


def _expired(report, verdict):
    """Given the Report of ``status`` and HeadHunter's Verdict, which agree about the expiry, return the Verdict with
    what is to do: renew it, or where that cannot be done, what ``status`` says."""
    if report.exit_code == errors.NOPERM:
        return api_errors.Verdict(verdict.kind, report.exit_code, report.reason, report.next_step)
    return api_errors.Verdict(verdict.kind, verdict.exit_code, verdict.meaning, N_("type 'hhtoken refresh'"))


def _as_json(pair, verdict, person, with_email):
    names = (*api_errors.PERSON_FIELDS, *(flag for flag, _role in api_errors.ROLES))
    named = {name: getattr(person, name, None) for name in names if with_email or name != "email"}
    fields = {
        "schema": SCHEMA,
        "accepted": person is not None,
        "verdict": verdict.kind,
        "reason": verdict.meaning,
        "next_step": verdict.hint,
        "exit_code": verdict.exit_code,
        "expires_at": pair.expires_at,
        **named,
    }
    return json.dumps(fields, indent=2, ensure_ascii=False)
