"""The pair: what ``hhtoken status`` says of it."""

import os
import time

from hhtoken import errors
from hhtoken.commands.doctor import findings
from hhtoken.console import durations
from hhtoken.renewal import token_status
from hhtoken.store.private_directory import PrivateDirectory, open_directory
from hhtoken.store.token_store import TokenStore, no_pair
from hhtoken.text import N_

ABOUT = N_("pair")


class _Untouched(PrivateDirectory):
    """Whoever only looks mends nothing, not even the mode of a file."""

    def _close_to_others(self, name, descriptor):
        pass


def look(path):
    """Given the path of the state directory, return the Report, or the Error that stood in its way."""
    now = time.time()
    try:
        directory = open_directory(path)
        if directory is None:
            return token_status.of_error(no_pair(path), None, now)
        untouched = _Untouched(path, directory.descriptor, os.fstat(directory.descriptor))
        return token_status.look(TokenStore(untouched), now)
    except errors.Error as error:
        return error


def judge(seen):
    """Given the Report or the Error, return the Findings."""
    if isinstance(seen, errors.Error):
        return [findings.of_error(ABOUT, seen)]
    if seen.exit_code:
        return [findings.problem(ABOUT, seen.reason, advice=seen.next_step, exit_code=seen.exit_code)]
    until = durations.local(seen.expires_at)
    return [findings.ok(ABOUT, N_("the access token lives until {moment}", moment=until))]
