"""Many accounts at a glance: one line for each, and one exit code for all. Pure."""

from hhtoken import durations, errors, status_screen
from hhtoken.wording import N_, printable

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


def worst(exit_codes):
    """Given the exit codes of the accounts, return the one to end with."""
    return max(exit_codes, key=SEVERITY.index, default=errors.OK)


def widths(names, say):
    """Given all names, and what says a Text in the reader's language, return how wide the columns of the names and of
    the states are."""
    return max(map(len, names)), max(len(say(word)) for word in status_screen.WORDS.values())


def of_report(name, report, widths, say):
    """Given a name, its token_status.Report, the ``widths`` and what says a Text in the reader's language, with its
    commands ready to be typed for this account, return the line of ``status --all``."""
    if report.pair is None:
        when = report.reason
    elif report.seconds_left:
        left, moment = durations.span(report.seconds_left), durations.local(report.expires_at)
        when = N_("{left} left, until {moment}", left=left, moment=moment)
    else:
        when = N_("expired since {moment}", moment=durations.local(report.expires_at))
    state = say(status_screen.WORDS[report.state])
    return f"{name:{widths[0]}}  {state:{widths[1]}}  {_with_step(when, report.next_step, say)}"


def of_outcome(name, exit_code, sentence, hint, widths, say):
    """Given a name, and what its refresh came to, return the line of ``refresh --all``."""
    return f"{name:{widths[0]}}  {exit_code:2}  {_with_step(sentence, hint, say)}"


def _with_step(sentence, step, say):
    return printable(say(N_("{sentence}; to do: {step}", sentence=sentence, step=step) if step else sentence))
