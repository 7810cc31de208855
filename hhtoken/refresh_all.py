"""Renew the pairs of all accounts, several at once; what befalls one account stops no other."""

import contextlib
import signal
from functools import partial

from hhtoken import (
    account_lines,
    accounts,
    errors,
    grants,
    language,
    outcomes,
    ready_commands,
    reporting,
    signals,
    stores,
    wording,
    worker_pool,
)
from hhtoken.token_store import open_store
from hhtoken.wording import N_

DEFAULT_JOBS = 8  # at once: few enough not to be a crowd at HeadHunter's door, enough to wait for answers side by side
MOST_JOBS = 64

HINT_AGAIN = N_("the next run, or 'hhtoken refresh', clears up")

HINT_BEGUN = N_("what came of the accounts that were begun stands above; for the others, start it again")


def run(settings, endpoint, force, jobs):
    """Given the Settings, a TokenEndpoint, whether to ask even before expiry, and how many to renew at once
    (0: as many as is good), print a line for each account, in the order of their names; return the exit code."""
    if jobs > MOST_JOBS:
        hint = N_("so many at once would be too much for HeadHunter; leave it out for {count}", count=DEFAULT_JOBS)
        raise errors.UsageError(N_("--jobs takes at most {count}", count=MOST_JOBS), hint)
    signals.end_on_signals()
    listed = accounts.listed(settings.main_directory())
    widths = account_lines.widths(listed, language.said)
    endpoint.prepare()  # once, before the workers part
    found = worker_pool.results(
        lambda name: _renew(name, settings, endpoint, force), listed, jobs or DEFAULT_JOBS, _result_of_the_dead
    )
    worst, told = errors.OK, 0
    with signals.deferred(signals.ENDING), contextlib.closing(found):
        for name, (exit_code, sentence, hint) in zip(listed, found):
            sentence, hint = wording.from_data(sentence), wording.from_data(hint)
            say = partial(ready_commands.said, account=accounts.named(name))
            reporting.result(account_lines.of_outcome(name, exit_code, sentence, hint, widths, say))
            worst = account_lines.worst((worst, exit_code))
            told += 1
    if told < len(listed):
        signals.end_if_asked(HINT_BEGUN)
    return worst


def _renew(name, settings, endpoint, force):
    """In a worker: renew the pair of one account, and return its exit code, a sentence and a hint as data."""
    account = accounts.named(name)
    reporting.speak_for(account)
    try:
        path = accounts.directory_of(settings.main_directory(), name)
        plain = open_store(path, published=settings.published_file_of(account))
        with contextlib.closing(stores.shared(plain, settings, account)) as store:
            outcome = grants.renew(store, endpoint, force)
            store.publish()  # what an earlier run could not, or a boot has cleared away
        failure = outcomes.error_of(outcome)
        if failure:
            raise failure
    except errors.Error as error:
        reporting.event(f"{error.message}; {error.hint or 'no hint'}", reporting.ERROR)
        return _result(error.exit_code, error.message, error.hint)
    return _result(errors.OK, outcomes.sentence_of(outcome), None)


def _result_of_the_dead(_name, exit_code):
    if exit_code == errors.DEFECT:
        return _result(errors.DEFECT, N_("a defect of hhtoken, described above"), HINT_AGAIN)
    if exit_code < 0:
        killer = signal.Signals(-exit_code).name
        return _result(errors.TEMPFAIL, N_("its process was killed by {signal}", signal=killer), HINT_AGAIN)
    return _result(errors.TEMPFAIL, N_("its process was interrupted"), HINT_AGAIN)


def _result(exit_code, sentence, hint):
    return exit_code, wording.to_data(sentence), wording.to_data(hint)
