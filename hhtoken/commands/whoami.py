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
from hhtoken.provider.verdict import Verdict
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
    verdict, owner = _ask(endpoint, pair)
    if not owner:
        renewed = store.load().pair
        if renewed.access_token != pair.access_token:  # a refresh was under way
            pair = renewed
            verdict, owner = _ask(endpoint, pair)
    record_keeping.heed(store, pair, verdict.kind)
    now = time.time()
    left = pair.seconds_left(now)
    if verdict.kind == api_errors.EXPIRED:
        stands = report.look(store, now)
        if stands.exit_code == errors.NOPERM:  # it cannot be renewed
            verdict = Verdict(verdict.kind, stands.exit_code, stands.reason, stands.next_step)
    if arguments.json:
        reporting.result(_as_json(pair, verdict, owner, arguments.email))
    elif owner:
        reporting.result(
            language.translated(N_("accepted: {who}", who=api_errors.introduction(owner, arguments.email)))
        )
    if owner and not left:
        reporting.warning(N_("by this machine's clock the access token has expired; see 'date'"))
    if verdict.kind == api_errors.EXPIRED and left:
        reporting.warning(N_("by this machine's clock the access token is still valid; see 'date'"))
    if verdict.exit_code:
        raise verdict.failure()
    return 0


def _ask(endpoint, pair):
    """Return the Verdict, and whose the token is, or None."""
    try:
        answer = endpoint.me(pair.access_token)
    except NotSent as error:
        return api_errors.unreachable(error), None
    return api_errors.identify(answer, (pair.access_token, pair.refresh_token))


def _as_json(pair, verdict, owner, with_email):
    fields = {
        "schema": SCHEMA,
        "accepted": owner is not None,
        "verdict": verdict.kind,
        "reason": verdict.meaning,
        "next_step": verdict.hint,
        "exit_code": verdict.exit_code,
        "expires_at": pair.expires_at,
        **(owner or dict.fromkeys(api_errors.OWNER_FIELDS)),
    }
    if not with_email:
        del fields["email"]
    return json.dumps(fields, indent=2, ensure_ascii=False)
