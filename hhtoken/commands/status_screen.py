"""The report as one screen for a person: is the token alive, until when, who renews it, what is to do. Pure."""

import shlex
import textwrap

from hhtoken import errors
from hhtoken.console import durations
from hhtoken.renewal.report import STATES
from hhtoken.text import N_, counted, joined, printable

BAR_CELLS = 16
FULL_CELLS = {True: "█░", False: "#-"}  # by whether the reader's terminal shows more than ASCII
FEWEST_COLUMNS_BESIDE_LABELS = 36  # narrower than that, a label stands above its text

GOOD, POOR, BAD = "good", "poor", "bad"
COLOURS = {GOOD: "\033[32m", POOR: "\033[33m", BAD: "\033[31m"}
COLOUR_END = "\033[0m"

ENABLE = "systemctl enable --now hh-token-refresh{instance}.timer hh-token-due{instance}.timer"
REFRESH_TIMER = "hh-token-refresh{instance}.timer"
EACH_MINUTE = "* * * * * "


class Row:
    """``label`` and ``lines``: Texts. ``tone``: GOOD, POOR, BAD or None. ``command``: what to type, as it stands, after
    them, or None."""

    __slots__ = ("label", "lines", "tone", "command")

    def __init__(self, label, *lines, tone=None, command=None):
        self.label = label
        self.lines = lines
        self.tone = tone
        self.command = command


class Hidden:
    """Settings that another program, started by cron, would not see: their ``names``, and the ``place`` for them, the
    path of an env file."""

    __slots__ = ("names", "place")

    def __init__(self, names, place):
        self.names = names
        self.place = place


def rows(
    report,
    directory,
    renewers,
    refresh=("hhtoken", "refresh"),
    has_unicode=True,
    instance="",
    others=None,
    published=None,
    hidden=None,
):
    """Given the Report, the state directory, the Renewers, the words of the command that renews this pair from
    anywhere, whether the reader's terminal shows more than ASCII, what stands behind the names of an account's units,
    where the service keeps its pair if that is elsewhere (or None), where the access token is published, or the
    Error for which it cannot be (or None), and the Hidden settings (or None), return the Rows."""
    tone = _tone(report)
    found = [Row(N_("state"), _state(report), tone=tone)]
    if report.pair:
        found.append(Row(N_("access token"), *_life(report, has_unicode), tone=tone))
        found.append(Row(N_("refresh"), _plan(report)))
        found.append(Row(N_("renewed by"), _who(report, renewers)))
    if report.last:
        found.append(Row(N_("last attempt"), _attempt(report.last)))
    found.append(Row(N_("stored in"), directory))
    if published:
        found.append(_published(published))
    needed, command = _to_do(report, renewers, refresh, instance, hidden)
    found.append(Row(N_("to do"), needed, command=command))
    if others and not report.pair:  # sudo was forgotten, perhaps
        found.append(Row(N_("but"), N_("the service's pair is in {path}: type 'sudo hhtoken status'", path=others)))
    return found


def laid_out(table, say, columns=None, has_colour=False):
    """Given Rows, what says a Text in the reader's language, the width of the terminal (None: one line for each of
    theirs, however long) and whether to colour, return the screen."""
    indent = max(len(say(row.label)) for row in table) + 2
    is_narrow = columns is not None and columns - indent < FEWEST_COLUMNS_BESIDE_LABELS
    indent = 2 if is_narrow else indent
    screen = []
    for row in table:
        label = say(row.label) + ":"
        lines = _wrapped([printable(say(line)) for line in row.lines], columns, indent)
        if has_colour and row.tone:
            lines = [COLOURS[row.tone] + line + COLOUR_END for line in lines]
        if is_narrow:
            screen.append(label)
            label = ""
        screen += [f"{label:{indent}}{lines[0]}", *(" " * indent + line for line in lines[1:])]
        if row.command and columns is None:
            screen[-1] += f" {row.command}"
        elif row.command:  # a line of its own, from the edge, however long: wrapped, its copy would be two commands
            screen.append(row.command)
    return "\n".join(screen)


def cron_line(words):
    """Given the words of a command, return the line of a crontab that runs it each minute."""
    return EACH_MINUTE + shlex.join(words).replace("%", "\\%")  # to cron a bare % is the end of the line


def bar(left, life, has_unicode):
    """Given the seconds that are left of a life of so many, return e.g. "[####------------]". Only a whole life fills
    it, and only the end empties it."""
    cells = min(BAR_CELLS, -(-left * BAR_CELLS // life)) if left > 0 and life > 0 else 0
    full, empty = FULL_CELLS[has_unicode]
    return f"[{full * cells}{empty * (BAR_CELLS - cells)}]"


def _wrapped(lines, columns, indent):
    if columns is None:
        return [", ".join(lines)]
    width = columns - indent
    return [
        piece for line in lines for piece in textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
    ]


def _tone(report):
    if report.exit_code == errors.OK:
        return GOOD
    return BAD if report.exit_code in (errors.NOPERM, errors.CONFIG, errors.DATAERR) else POOR


def _state(report):
    word = STATES[report.state]
    if report.reason.startswith(f"{word}: "):  # which then is the beginning of the translation, too
        return report.reason
    return N_("{state}: {reason}", state=word, reason=report.reason)


def _life(report, has_unicode):
    left, life = report.seconds_left, int(report.expires_at - report.pair.obtained_at)
    drawn, moment = bar(left, life, has_unicode), durations.local(report.expires_at)
    if not left:
        return (N_("{bar} expired since {moment}", bar=drawn, moment=moment),)
    if life < left:  # the clock was set back
        return N_("{bar} {left} left", bar=drawn, left=durations.span(left)), N_("until {moment}", moment=moment)
    left, life = durations.span(left), durations.span(life)
    return N_("{bar} {left} left of {life}", bar=drawn, left=left, life=life), N_("until {moment}", moment=moment)


def _plan(report):
    at = report.next_refresh_at
    if _is_last(report):
        return N_("not possible")
    return N_("due now") if at <= report.now else N_("possible from {moment}", moment=durations.local(at))


def _who(report, renewers):
    if _is_last(report):
        return N_("nobody: it cannot be renewed")
    if renewers.timers:
        return joined(", ", [_timer(name, at) for name, at in renewers.timers.items()])
    if renewers.cron:
        return N_("cron ({table})", table=renewers.cron)
    return N_("nobody that this command can see")


def _is_last(report):
    """Of a pair that is refused, the refresh will hear so from HeadHunter; until then it is only known."""
    return report.is_refused or report.next_refresh_at is None


def _timer(name, at):
    if at is None:
        return N_("{name}", name=name)
    return N_("{name} (next look {moment})", name=name, moment=durations.local(at))


def _published(where):
    if isinstance(where, errors.Error):
        nowhere = N_("nowhere: {reason}; type 'hhtoken doctor'", reason=where.message)
        return Row(N_("published in"), nowhere, tone=POOR)
    return Row(N_("published in"), where)


def _attempt(last):
    said = N_("{moment}: {message}", moment=durations.local(last.at), message=last.message)
    if last.exit_code and last.failures > 1:
        times = counted("{count} time in a row", "{count} times in a row", last.failures)
        said = N_("{said}; {times} since {since}", said=said, times=times, since=durations.local(last.failing_since))
    return said


def _to_do(report, renewers, refresh, instance, hidden):
    """Return what to do, a Text, and the command at its end, or None."""
    needed = report.next_step
    if report.pair and not renewers.timers and not renewers.cron and report.exit_code != errors.NOPERM:
        help_wanted, command = _help(renewers, refresh, instance, hidden)
        return N_("{first}; and {then}", first=needed, then=help_wanted) if needed else help_wanted, command
    if list(renewers.timers) == [REFRESH_TIMER.format(instance=instance)] and not needed:
        return N_("for a renewal at expiry, not hours later, type:"), ENABLE.format(instance=instance)
    return needed or N_("nothing"), None


def _help(renewers, refresh, instance, hidden):
    if renewers.can_be_enabled:
        return N_("to have it renewed, type:"), ENABLE.format(instance=instance)
    if hidden:
        return N_(
            "unless you know who runs 'hhtoken refresh' after expiry, let cron do it; but it does not see what is set "
            "in this environment alone: {names}; so put that into a file, e.g. {path}, as lines NAME=VALUE, name the "
            "file by HHTOKEN_ENV_FILE, and type 'hhtoken status' again for the line of the crontab",
            names=", ".join(hidden.names),
            path=hidden.place,
        ), None
    return N_(
        "unless you know who runs 'hhtoken refresh' after expiry, type 'crontab -e' and add the line:"
    ), cron_line(refresh)
