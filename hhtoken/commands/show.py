"""``hhtoken show``: read the pair. In front of every API call of a script, so it imports little."""

import time

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.settings.settings import load_settings
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

# In step with add_arguments(), for hhtoken.main, which knows these without argparse.
FORMS = ("--field", "--header", "--json")
PLAIN = {
    "--field": None,
    "--min-seconds": 0,
    "--header": False,
    "--json": False,
    "--refresh": False,
    "--allow-expired": False,
    "--account": None,
    "--state-dir": None,
    "--env-file": None,
}

SUMMARY = N_("print the access token, another field, the header, or a summary without secrets")

LOGS_FAILURES = False  # a bot asks every second; its log is its own

CLOCK_SLACK_SECONDS = 60


def add_arguments(parser):
    from hhtoken.commands import options
    from hhtoken.console.language import _

    form = parser.add_mutually_exclusive_group()
    form.add_argument("--field", metavar=_("NAME"), help=_("any field of token.json, or seconds_left"))
    form.add_argument("--header", action="store_true", help=_("the Authorization header"))
    form.add_argument("--json", action="store_true", help=_("the summary as JSON"))
    parser.add_argument(
        "--min-seconds",
        metavar="N",
        type=options.seconds,
        default=0,
        help=_("only a token that is valid for at least N more seconds"),
    )
    parser.add_argument("--refresh", action="store_true", help=_("renew the pair first, if it is due"))
    parser.add_argument("--allow-expired", action="store_true", help=_("print even an expired token"))


def run(arguments):
    settings = load_settings(arguments)
    published = settings.published_file() if arguments.refresh else None
    store = open_store(settings.state_directory(), published=published)
    if arguments.refresh:
        _renew(store, settings)
    pair = store.pair_in_place()
    now = time.time()
    if now < pair.obtained_at - CLOCK_SLACK_SECONDS:
        reporting.warning(N_("the clock is before the time at which this token was obtained; see 'date'"))
    unusable = None if arguments.allow_expired else _why_unusable(store, pair, now, arguments.min_seconds)
    if arguments.field == "access_token" or arguments.header:
        if unusable:
            raise unusable
        reporting.result(f"Authorization: Bearer {pair.access_token}" if arguments.header else pair.access_token)
        return 0
    if arguments.field is not None:
        reporting.result(_field(store, pair, arguments.field, now))
        return 0
    reporting.result(_summary(_report(store, pair, now), arguments.json))
    if unusable:
        raise unusable
    return 0


def _why_unusable(store, pair, now, min_seconds):
    if pair.seconds_left(now) >= max(1, min_seconds) and store.refusal_of(pair) is None:
        return None
    from hhtoken.renewal import policy

    return policy.why_unusable(store, pair, now, min_seconds)


def _report(store, pair, now):
    from hhtoken.renewal import report

    return report.of_pair(pair, store.record_of(pair), now)


def _renew(store, settings):
    from hhtoken.console import signals
    from hhtoken.provider.endpoints import token_endpoint_of
    from hhtoken.renewal import exchange
    from hhtoken.store import opening

    signals.end_on_signals()
    shared = opening.shared(store, settings, settings.account())
    exchange.renew_for("show --refresh", shared, token_endpoint_of(settings))


def _field(store, pair, name, now):
    if name == "seconds_left":
        from hhtoken.renewal import policy

        return str(policy.seconds_left(store, pair, now))
    fields = pair.all_fields()
    if name not in fields:
        known = ", ".join([*fields, "seconds_left"])
        raise errors.UsageError(N_("token.json has no such field"), N_("it has: {fields}", fields=known))
    value = fields[name]
    if type(value) in (str, int):
        return str(value)
    import json

    return json.dumps(value)


def _summary(report, as_json):
    pair = report.pair
    if as_json:
        import json

        summary = {
            "usable": report.is_usable,
            "seconds_left": report.seconds_left,
            "obtained_at": pair.obtained_at,
            "expires_at": report.expires_at,
            "has_refresh_token": bool(pair.refresh_token),
        }
        return json.dumps(summary, indent=2)
    from hhtoken.console import durations, language

    return language.table(
        (
            (N_("access token"), _life(report)),
            (N_("expires"), durations.local(report.expires_at)),
            (N_("obtained"), durations.local(pair.obtained_at)),
            (N_("refresh token"), N_("stored") if pair.refresh_token else N_("none")),
        )
    )


def _life(report):
    from hhtoken.console import durations

    if report.is_usable:
        return N_("usable, {span} left", span=durations.span(report.seconds_left))
    is_expired = not (report.is_refused or report.is_clock_wrong)
    return N_("expired") if is_expired else N_("not usable: {reason}", reason=report.reason)
