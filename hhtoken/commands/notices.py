"""What an operator who is not looking must be told, and when. Pure."""

from hhtoken import errors
from hhtoken.text import N_

REPEAT_SECONDS = 24 * 3600
PATIENCE_SECONDS = 3600  # temporary trouble is not worth a message before

NAMES = {
    errors.DEFECT: N_("a defect of hhtoken"),
    errors.USAGE: N_("wrong usage"),
    errors.DATAERR: N_("a file or an answer makes no sense"),
    errors.IOERR: N_("the state directory cannot be read or written"),
    errors.NOPERM: N_("a human must authorize"),
    errors.CONFIG: N_("a setting is missing, malformed or unsafe"),
}


class Trouble:
    """``key`` tells one trouble from another; ``reason`` and ``next_step`` are for people."""

    __slots__ = ("key", "reason", "next_step", "needs_authorization")

    def __init__(self, key, reason, next_step=None, needs_authorization=False):
        self.key = key
        self.reason = reason
        self.next_step = next_step
        self.needs_authorization = needs_authorization


def trouble_in(report, failed_with=0):
    """Given a token_status.Report and the exit code of the run that failed (0: not known), return the Trouble or None.

    Temporary trouble counts once it has lasted.
    """
    key = f"{report.state} {report.pair.obtained_at if report.pair else 0}"  # another pair, another trouble
    if report.exit_code == errors.NOPERM:
        return Trouble(key, report.reason, report.next_step, errors.HINT_AUTHORIZE in (report.next_step or ""))
    if report.exit_code in (errors.DATAERR, errors.IOERR, errors.CONFIG):
        return Trouble(key, report.reason, report.next_step)
    if failed_with in NAMES:
        hint = N_("type 'hhtoken refresh' to see it, or 'journalctl -t hhtoken -t hh-token-refresh'")
        reason = N_("a refresh ended with exit code {code}: {name}", code=failed_with, name=NAMES[failed_with])
        return Trouble(f"exit {failed_with}", reason, hint)
    if report.exit_code and report.pair and report.now - report.pair.expires_at > PATIENCE_SECONDS:
        reason = N_("no access token for over an hour: {reason}", reason=report.reason)
        return Trouble(key, reason, report.next_step)
    return None


def is_new(trouble, told, now):
    """Given a Trouble and what was told last (``{"key", "at"}`` or None), tell whether to tell it now."""
    return not told or told.get("key") != trouble.key or not 0 <= now - told.get("at", 0) < REPEAT_SECONDS


def sentences(trouble, host, account=None, address=None, minutes=0):
    """Given a Trouble, the host's name, the account (None where none is named) and an address to open (or None), return
    the lines of the message."""
    reason = N_("account {name}: {sentence}", name=account, sentence=trouble.reason) if account else trouble.reason
    lines = [N_("hhtoken on {host}: {reason}", host=host, reason=reason)]
    if trouble.next_step and not (address and trouble.next_step == errors.HINT_AUTHORIZE):
        lines.append(N_("to do: {step}", step=trouble.next_step))
    if address:
        lines.append(
            N_("open this address in a browser within {minutes} minutes, and allow the access:", minutes=minutes)
        )
        lines.append(address)
        lines.append(N_("if that is too late, 'hhtoken notice --again' prints a fresh one"))
    return lines
