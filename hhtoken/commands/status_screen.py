"""The report as one screen for a person: is the token alive, until when, who renews it, what is to do. Pure."""

import shlex
import textwrap
from typing import NamedTuple, Optional

from hhtoken import errors
from hhtoken.console import durations
from hhtoken.renewal.report import STATES, VALID
from hhtoken.text import N_, counted, joined, printable

BAR_CELLS = 16
FULL_CELLS = {True: "█░", False: "#-"}  # by whether the reader's terminal shows more than ASCII
FEWEST_COLUMNS_BESIDE_LABELS = 36  # narrower than that, a label stands above its text

GOOD, POOR, BAD = "good", "poor", "bad"
COLOURS = {GOOD: "\033[32m", POOR: "\033[33m", BAD: "\033[31m"}
COLOUR_END = "\033[0m"

ENABLE = "systemctl enable --now hh-token-refresh{instance}.timer hh-token-due{instance}.timer"


class Row(NamedTuple):
    """``label`` and ``lines``: Texts. ``tone``: GOOD, POOR, BAD or None. ``command``: what to type, as it stands, after
    them, or None."""

    label: str
    lines: tuple
    tone: Optional[str] = None
    command: Optional[str] = None


def rows(report, place, renewers, help_wanted=None, has_unicode=True, others=None, published=None):
    """Given the Report, where the pair is stored, the Renewers, what to do where there are none, and the command at its
    end (or None), whether the reader's terminal shows more than ASCII, where the service keeps its pair if that is
    elsewhere (or None), and where the access token is published, or the Error for which it cannot be (or None), return
    the Rows."""
    tone = _tone(report)
    table = [Row(N_("state"), (_state(report),), tone)]
    if report.pair:
        table.append(Row(N_("access token"), _life(report, has_unicode), tone))
        table.append(Row(N_("refresh"), (_plan(report),)))
        table.append(Row(N_("renewed by"), (_who(report, renewers),)))
    if report.last:
        table.append(Row(N_("last attempt"), (_attempt(report.last),)))
    table.append(Row(N_("stored in"), (place,)))
    if isinstance(published, errors.Error):
        published = N_("nowhere: {reason}; type 'hhtoken doctor'", reason=published.message)
        table.append(Row(N_("published in"), (published,), POOR))
    elif published:
        table.append(Row(N_("published in"), (published,)))
    needed, command = _to_do(report, renewers, help_wanted)
    table.append(Row(N_("to do"), (needed,), None, command))
    if others and not report.pair:  # sudo was forgotten, perhaps
        table.append(Row(N_("but"), (N_("the service's pair is in {path}: type 'sudo hhtoken status'", path=others),)))
    return table


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
    """Given the words in front of a verb, return the line of a crontab that renews each minute. What cron mails is what
    `notice` prints: each trouble once, and not each minute."""
    program = shlex.join(words)
    line = f"* * * * * {program} refresh 2>/dev/null || {program} notice --failed-with $?"
    return line.replace("%", "\\%")  # to cron a bare % is the end of the line


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
    if report.state == VALID and report.exit_code == errors.OK:
        return word
    if report.reason.startswith(f"{word}: "):  # which then is the beginning of the translation, too
        return report.reason
    return N_("{state}: {reason}", state=word, reason=report.reason)


def _life(report, has_unicode):
    left, life = report.seconds_left, int(report.expires_at - report.pair.obtained_at)
    drawn, moment = bar(left, life, has_unicode), durations.local(report.expires_at)
    if report.is_clock_wrong:
        return (N_("until {moment}", moment=moment),)
    if report.is_refused:
        return (N_("refused by HeadHunter, whatever the clock says"),)
    if not left:
        return (N_("{bar} expired since {moment}", bar=drawn, moment=moment),)
    left, life = durations.span(left), durations.span(life)
    return N_("{bar} {left} left of {life}", bar=drawn, left=left, life=life), N_("until {moment}", moment=moment)


def _plan(report):
    at = report.next_refresh_at
    if _is_last(report):
        return N_("not possible")
    return N_("due now") if at <= report.now else N_("possible from {moment}", moment=durations.local(at))


def _who(report, renewers):
    if _is_last(report):
        return N_("nothing: it cannot be renewed")
    if renewers.timers:
        return joined(", ", [_timer(name, at) for name, at in renewers.timers.items()])
    if renewers.cron:
        return N_("cron ({table})", table=renewers.cron)
    if renewers.unfit:
        return N_(
            "nothing; cron is meant to ({table}), but {reason}", table=renewers.unfit[0], reason=renewers.unfit[1]
        )
    return N_("nothing (no timer, no cron job found)")


def _is_last(report):
    """Of a pair that is refused for good, the refresh will hear so from HeadHunter; until then it is only known."""
    return report.next_refresh_at is None or report.is_refused and report.exit_code != errors.UNAVAILABLE


def _timer(name, at):
    if at is None:
        return N_("{name}", name=name)
    return N_("{name} (next run {moment})", name=name, moment=durations.local(at))


def _attempt(last):
    said = N_("{moment}: {message}", moment=durations.local(last.at), message=last.message)
    if last.exit_code and last.failures > 1:
        times = counted("{count} time in a row", "{count} times in a row", last.failures)
        said = N_("{said}; {times} since {since}", said=said, times=times, since=durations.local(last.failing_since))
    return said


def _to_do(report, renewers, help_wanted):
    """Return what to do, a Text, and the command at its end, or None."""
    needed = report.next_step
    if report.pair and help_wanted and report.exit_code != errors.NOPERM:
        sentence, command = help_wanted
        return N_("{first}; and {then}", first=needed, then=sentence) if needed else sentence, command
    only = [name.partition(".")[0] for name in renewers.timers]
    if len(only) == 1 and only[0].startswith("hh-token-refresh") and not needed:
        instance = only[0][len("hh-token-refresh") :]
        return N_("for a renewal at expiry, not hours later, type:"), ENABLE.format(instance=instance)
    return needed or N_("nothing"), None
