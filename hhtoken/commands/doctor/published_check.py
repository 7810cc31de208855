"""The published file: whether an access token could be put there, for the readers that it is meant for."""

from hhtoken import errors
from hhtoken.commands.doctor import findings
from hhtoken.store import published_file
from hhtoken.text import N_

ABOUT = N_("published file")


def findings_of(settings):
    """Given the Settings, return the Findings: none where they name no such file."""
    try:
        path = settings.published_file()
        if path is None:
            return []
        published_file.check(path, settings.state_directory())
    except errors.Error as error:
        return [findings.of_error(ABOUT, error)]
    return [findings.ok(ABOUT, N_("the access token can be put into {path}", path=path))]
