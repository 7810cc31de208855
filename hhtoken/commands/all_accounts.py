"""``refresh --all`` and ``status --all``: a line for each account, in the order of their names, and one exit code.

Each minute most accounts, or all, are at rest, so what a renewal needs is imported only once one is due.
"""

import time

from hhtoken import errors
from hhtoken.console import durations, hints, language, reporting
from hhtoken.renewal import policy
from hhtoken.store import accounts
from hhtoken.store.token_store import open_store
from hhtoken.text import N_, printable

DEFAULT_JOBS = 8  # at once: few enough not to be a crowd at HeadHunter's door, enough to wait for answers side by side
MOST_JOBS = 64
LOOK_SECONDS = 1.0  # at the signals, while all wait for answers
SCHEMA = 1  # of the JSON form around the reports

# From best to worst, by who has to act, and for how many accounts.
SEVERITY = (
    errors.OK,
    errors.UNAVAILABLE,  # nobody: the next refresh renews it
    errors.TEMPFAIL,  # nobody: the next run tries again
    errors.NOPERM,  # a human with a browser, for one account
    errors.DATAERR,  # an operator, for one account
    errors.IOERR,  # an operator; what ails one directory may ail the disk that they all lie on
    errors.CONFIG,  # an operator; the settings belong to all accounts
    errors.DEFECT,  # the authors; nobody knows what else is wrong
)

HINT_AGAIN = N_("'hhtoken refresh' clears up")
HINT_BEGUN = N_("what came of the accounts that were begun stands above; for the others, start it again")


def worst(exit_codes):
    """Given the exit codes of the accounts, return the one to end with."""
    return max(exit_codes, key=SEVERITY.index, default=errors.OK)


def refresh(settings, force, jobs):
    """Given the Settings, whether to ask even before expiry, and how many to renew at once (0: as many as is good),
    renew what is due, and tell what came of each account; return the exit code."""
    if jobs > MOST_JOBS:
        hint = N_("so many at once would be too much for HeadHunter; leave it out for {count}", count=DEFAULT_JOBS)
        raise errors.UsageError(N_("--jobs takes at most {count}", count=MOST_JOBS), hint)
    listed = accounts.listed(settings.main_directory())
    settings.published_file()  # reads the settings, before threads share them; and a mistake in them is told once
    at_rest = {} if force else {name: result for name in listed for result in [_at_rest(name, settings)] if result}
    renewed = _renewed([name for name in listed if name not in at_rest], settings, force, jobs or DEFAULT_JOBS)
    width, codes, are_all_told = max(map(len, listed)), [], True
    try:
        for name in listed:
            result = at_rest.get(name) or next(renewed)
            if result:
                exit_code, sentence, hint = result
                codes.append(exit_code)
                reporting.result(f"{name:{width}}  {exit_code:2}  {_with_step(name, sentence, hint)}")
            else:
                are_all_told = False
    finally:
        renewed.close()
    if not are_all_told:
        from hhtoken.console import signals

        signals.end_if_asked(HINT_BEGUN)
    return worst(codes)


def _with_step(name, sentence, step):
    line = N_("{sentence}; to do: {step}", sentence=sentence, step=step) if step else sentence
    return printable(hints.translated(line, accounts.named(name)))


def _open(name, settings):
    path = accounts.directory_of(settings.main_directory(), name)
    return open_store(path, published=settings.published_file_of(accounts.named(name)))


def _at_rest(name, settings):
    """Return the result, as of ``_renew``, where there is nothing to do; else None."""
    try:
        with _open(name, settings) as store:
            until = policy.resting_until(store, time.time())
            if until is None:
                return None
            store.publish()  # what an earlier run could not, or a boot has cleared away
            return errors.OK, N_("nothing is due until {moment}", moment=durations.local(until)), None
    except errors.Error:
        return None  # a renewal says what is wrong


def _renewed(names, settings, force, jobs):
    """Renew these accounts, so many at once as there are jobs, and yield the result of each in their order; None for
    those that an ending signal kept from being begun. A caller that stops waits for what is in flight, too."""
    from concurrent.futures import ThreadPoolExecutor

    from hhtoken.console import signals
    from hhtoken.provider.endpoints import token_endpoint_of

    endpoint = token_endpoint_of(settings)
    endpoint.prepare()  # once, before threads would import it at the same time
    signals.end_on_signals()
    pool, begun = ThreadPoolExecutor(jobs), []
    with signals.deferred():
        try:
            begun.extend(pool.submit(_renew, name, settings, endpoint, force) for name in names)
            yield from map(_result_of, begun)
        except RuntimeError as error:
            raise errors.TryLaterError(
                N_("no room for a thread"), N_("look at 'ulimit -u', or lower --jobs")
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _result_of(future):
    """Wait for the result of a Future; say once that this is what the end is waiting for."""
    from concurrent.futures import TimeoutError

    from hhtoken.console import signals

    while True:
        try:
            return future.result(LOOK_SECONDS)
        except TimeoutError:
            name = signals.untold()
            if name:
                reporting.message(N_("{signal} is noted; waiting for what is in flight", signal=name))


def _renew(name, settings, endpoint, force):
    """In a thread: renew the pair of one account, and return the exit code, a sentence, and what to do, or None."""
    from hhtoken.console import signals
    from hhtoken.renewal import exchange, judgement
    from hhtoken.store import opening

    if signals.end_was_asked():
        return None
    account = accounts.named(name)
    reporting.speak_for(account)
    try:
        with opening.shared(_open(name, settings), settings, account) as store:
            outcome = exchange.renew(store, endpoint, force)
            store.publish()  # what an earlier run could not, or a boot has cleared away
        if outcome.exit_code:
            raise judgement.error_of(outcome)
        return errors.OK, judgement.sentence_of(outcome), None
    except errors.Interrupted as end:
        return errors.TEMPFAIL, end.message, HINT_AGAIN
    except errors.Error as error:
        reporting.event(f"{error.message}; {error.hint or 'no hint'}", reporting.ERROR)
        return error.exit_code, error.message, error.hint
    except Exception as defect:
        reporting.defect(defect)
        return errors.DEFECT, N_("a defect of hhtoken, described above"), HINT_AGAIN


def status(settings, default, as_json, as_prometheus):
    """Given the Settings, the state directory of a command that names none (or None), and the form, print how things
    stand with each account; return the exit code."""
    from hhtoken.renewal import report

    codes, listed = [], accounts.listed(settings.main_directory())
    seen = _reports(settings, listed, default, codes)
    if as_prometheus:  # which wants the samples of a metric in one block
        reporting.result(report.to_prometheus((name, one) for name, one, _path in seen))
    elif as_json:
        _print_json(seen, codes)
    else:
        _print_lines(seen, max(map(len, listed)))
    return worst(codes)


def _print_lines(seen, width):
    from hhtoken.renewal.report import STATES

    states = {state: language.translated(word) for state, word in STATES.items()}
    widest = max(map(len, states.values()))
    for name, one, _path in seen:
        when = _with_step(name, _how_long(one), one.next_step)
        reporting.result(f"{name:{width}}  {states[one.state]:{widest}}  {when}")


def _how_long(seen):
    if seen.pair is None or seen.is_clock_wrong or seen.is_refused:
        return seen.reason
    moment = durations.local(seen.expires_at)
    if seen.seconds_left:
        return N_("{left} left, until {moment}", left=durations.span(seen.seconds_left), moment=moment)
    return N_("expired since {moment}", moment=moment)


def _print_json(seen, codes):
    """One object; ``docs/reference.md`` describes its fields."""
    from functools import partial
    from json import dumps

    from hhtoken.renewal import report

    reporting.result(f'{{"schema": {SCHEMA}, "accounts": [')
    for name, one, path in seen:
        ready = partial(hints.with_flags, account=accounts.named(name))
        fields = {"account": name, "status": report.to_fields(one, path, ready)}
        reporting.result(("," if len(codes) > 1 else "") + dumps(fields))
    reporting.result(f'], "exit_code": {worst(codes)}}}')


def _reports(settings, listed, default, codes):
    """Yield the name, the Report and the path of each account, and add its exit code to ``codes``: looked at, told
    about, and forgotten."""
    from hhtoken.renewal import report, timers

    main = settings.main_directory()
    renewers = timers.look_at_all(main, [accounts.named(name) for name in listed], default)
    for name in listed:
        path = accounts.directory_of(main, name)
        try:
            with open_store(path) as store:
                seen = report.look(store, time.time())
        except errors.Error as error:
            seen = report.of_error(error, None, time.time())
        seen = report.in_view_of(seen, settings, path)
        seen.renewed_by = renewers[accounts.named(name)].names if seen.pair else []
        codes.append(seen.exit_code)
        yield name, seen, path
