"""``hhtoken refresh``: renew the pair if it is due."""

import time

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.renewal import policy
from hhtoken.settings.settings import load_settings
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

SUMMARY = N_("renew the pair if it is due; safe to run at any time")


NAP_SECONDS = 5  # the clock may be set, or the pair be replaced, while we sleep


# In step with add_arguments(), for hhtoken.main, which knows these without argparse.
FORMS = ("--force", "--is-due")
PLAIN = {
    "--force": False,
    "--is-due": False,
    "--wait": 0,
    "--all": False,
    "--jobs": 0,
    "--account": None,
    "--state-dir": None,
    "--env-file": None,
}


def add_arguments(parser):
    from hhtoken.commands import options
    from hhtoken.console.language import _

    form = parser.add_mutually_exclusive_group()
    form.add_argument("--force", action="store_true", help=_("ask even before expiry, or during a pause"))
    form.add_argument(
        "--is-due",
        action="store_true",
        help=_("say nothing; exit with 0 if a refresh is due, now or within --wait SECONDS, else with 75"),
    )
    parser.add_argument(
        "--wait",
        metavar=_("SECONDS"),
        type=options.seconds,
        default=0,
        help=_("wait up to so long for a pair that is about to expire; for timers"),
    )
    parser.add_argument("--all", action="store_true", help=_("the pairs of all accounts, a line for each"))
    parser.add_argument(
        "--jobs",
        metavar=_("N"),
        type=options.positive_number,
        default=0,
        help=_("with --all: so many at once; default 8"),
    )


def run(arguments):
    settings = load_settings(arguments)
    if arguments.all or arguments.jobs:
        return _renew_all(settings, arguments)
    if arguments.is_due:
        return errors.OK if _is_work_ahead(settings, time.time() + arguments.wait) else errors.TEMPFAIL
    try:
        store = open_store(settings.state_directory(), published=settings.published_file())
        if not arguments.force and _is_at_rest(store, arguments.wait):
            return 0
        from hhtoken.store import opening

        store = opening.shared(store, settings, settings.account())
    except errors.NoPairError:
        from hhtoken.store import opening

        if not opening.is_shared(settings):  # other hosts may have a pair
            raise
        store = opening.joined(settings, settings.account())
    return _renew(store, settings, arguments)


def _renew_all(settings, arguments):
    from hhtoken.commands import all_accounts

    if not arguments.all:
        raise errors.UsageError(N_("--jobs goes with --all"), N_("type 'hhtoken refresh --help'"))
    if getattr(arguments, "account", None) is not None:
        raise errors.UsageError(N_("--all goes with no --account"), N_("name one account, or all of them"))
    if arguments.wait:
        hint = N_("let hh-token-due@NAME.timer look after each account")
        raise errors.UsageError(N_("--all goes with no --wait"), hint)
    if arguments.is_due:
        hint = N_("'hhtoken status --all --json' tells of each account when it is due")
        raise errors.UsageError(N_("--all goes with no --is-due"), hint)
    reporting.speak_for(None)
    return all_accounts.refresh(settings, arguments.force, arguments.jobs)


def _is_work_ahead(settings, until):
    """Tell whether a refresh can get somewhere before that moment: the minutely look of the units. Not without a pair,
    not with one that HeadHunter refuses for good, not in the pause after a failure: one failure is told once."""
    try:
        store = open_store(settings.state_directory())
        if store.has_journal():
            from hhtoken.renewal import report

            if report.look(store, time.time()).state == report.IN_FLIGHT:
                return True
        pair, now = store.load().pair, time.time()
        rest = policy.resting_until(store, now)
        if rest is not None and rest > until:
            return False
        at = policy.next_refresh_at(pair, store.record_of(pair), now)
        return at is not None and at <= until
    except errors.Error:
        return False  # a refresh that is not asked for so often says what is wrong


def _is_at_rest(store, patience):
    """Tell whether there is nothing to do, nor within so many seconds: what a timer hears nearly every time."""
    until = policy.resting_until(store, time.time())
    if until is None:
        return False
    store.publish()  # what an earlier run could not, or a boot has cleared away
    if until <= time.time() + patience:
        return False
    if reporting.is_watched():
        from hhtoken.console import durations

        reporting.message(N_("nothing is due until {moment}", moment=durations.local(until)))
    return True


def _renew(store, settings, arguments):
    from hhtoken.console import signals
    from hhtoken.provider.endpoints import token_endpoint_of
    from hhtoken.renewal import judgement
    from hhtoken.store import record

    signals.end_on_signals()
    endpoint = token_endpoint_of(settings)
    outcome = _renew_in_time(store, endpoint, arguments.force, arguments.wait)
    failure = judgement.error_of(outcome)
    if failure:
        raise failure
    if outcome.outcome in (record.RENEWED, record.AUTHORIZED) or reporting.is_watched():
        reporting.message(judgement.sentence_of(outcome))
    return 0


def _renew_in_time(store, endpoint, force, patience):
    """Renew, waiting for what becomes due within ``patience`` seconds; without the lock, which others may want."""
    from hhtoken.console import progress, signals
    from hhtoken.renewal import exchange
    from hhtoken.store import record

    patient_until = time.monotonic() + patience
    outcome = exchange.renew(store, endpoint, force)
    if not patience or outcome.outcome not in (record.NOT_DUE, record.NOT_YET):
        return outcome
    awaited = store.load().pair.refresh_token
    with progress.waiting(N_("waiting for the access token to expire")) as tick:
        while outcome.outcome in (record.NOT_DUE, record.NOT_YET):
            pause = outcome.not_before - time.time()
            if pause > patient_until - time.monotonic() or signals.end_was_asked():
                break
            time.sleep(min(tick(pause), NAP_SECONDS))
            outcome = exchange.renew(store, endpoint)
            if store.load().pair.refresh_token != awaited:  # by another run; its pair expires later
                break
    return outcome
