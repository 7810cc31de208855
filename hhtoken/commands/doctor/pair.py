"""The pair: what ``hhtoken status`` says of it, whether its access token can be published, and whether it is in step
with the hosts that share it."""

import os
import time

from hhtoken import errors
from hhtoken.commands.doctor import findings
from hhtoken.console import durations
from hhtoken.renewal import report
from hhtoken.store import opening, published_file
from hhtoken.store.private_directory import PrivateDirectory, open_directory
from hhtoken.store.token_store import TokenStore, no_pair, open_store
from hhtoken.text import N_

ABOUT, ABOUT_PUBLISHED, ABOUT_SHARED = N_("pair"), N_("published file"), N_("shared store")
SYNC = "hhtoken sync --once; systemctl enable --now hh-token-sync.service"


class _Untouched(PrivateDirectory):
    """Whoever only looks fixes nothing, not even the mode of a file."""

    def _close_to_others(self, name, descriptor):
        pass


def look(settings):
    """Given the Settings, return the Report, or the Error that stood in its way."""
    path, now = settings.state_directory(), time.time()
    try:
        directory = open_directory(path)
        if directory is None:
            return report.in_view_of(report.of_error(no_pair(path), None, now), settings, path)
        untouched = _Untouched(path, directory.descriptor, os.fstat(directory.descriptor))
        return report.in_view_of(report.look(TokenStore(untouched), now), settings, path)
    except errors.Error as error:
        return error


def judge(seen):
    """Given the Report or the Error, return the Findings."""
    if isinstance(seen, errors.Error):
        return [findings.of_error(ABOUT, seen)]
    if seen.exit_code:
        return [findings.problem(ABOUT, seen.reason, advice=seen.next_step, exit_code=seen.exit_code)]
    until = durations.local(seen.expires_at)
    return [findings.ok(ABOUT, N_("the access token is valid until {moment}", moment=until))]


def published(settings):
    """Given the Settings, return the Findings about the published file: none where they name no such file."""
    try:
        path = settings.published_file()
        if path is None:
            return []
        published_file.check(path, settings.state_directory())
    except errors.Error as error:
        return [findings.of_error(ABOUT_PUBLISHED, error)]
    return [findings.ok(ABOUT_PUBLISHED, N_("the access token can be put into {path}", path=path))]


def is_shared(settings):
    """Tell whether the settings name a shared store; one that is malformed is named where it is read."""
    try:
        return opening.is_shared(settings)
    except errors.ConfigError:
        return True


def shared(settings):
    """Does etcd answer, and is this host's copy of the pair in step with it?"""
    from hhtoken.store.etcd import comparison
    from hhtoken.store.etcd.settings import open_vault

    try:
        vault = open_vault(settings, settings.account())
        contents = vault.read()
        vault.require_write_access()
        try:
            local = open_store(settings.state_directory()).load().pair
        except (errors.AuthorizationNeededError, errors.DataError):
            local = None
    except errors.Error as error:
        return [findings.of_error(ABOUT_SHARED, error)]
    relation = comparison.compare(local, contents.pair, comparison.from_dict(contents.end))
    is_dead = bool(contents.verdict) and contents.verdict.get("dead") is True
    return [judge_shared(relation, vault.name, is_dead)]


def judge_shared(relation, place, is_dead=False):
    """Given how the two copies relate, where the other one is, and whether that is dead, return the Finding."""
    from hhtoken.store.etcd import comparison

    if relation == comparison.NOTHING:
        return findings.note(ABOUT_SHARED, N_("etcd answers; there is no pair at {place} yet", place=place))
    if relation == comparison.IN_STEP and not is_dead:
        return findings.ok(ABOUT_SHARED, N_("etcd answers; this host has the pair that is at {place}", place=place))
    if relation in (comparison.TAKE_OVER, comparison.PROMOTE, comparison.CONFLICT):
        says = N_("etcd answers; this host is not in step with {place}", place=place)
        return findings.note(ABOUT_SHARED, says, SYNC)
    if relation == comparison.IN_STEP:
        says = N_("etcd answers; the refresh token at {place} is no longer accepted", place=place)
        return findings.problem(ABOUT_SHARED, says, advice=errors.HINT_AUTHORIZE, exit_code=errors.NOPERM)
    if relation == comparison.ENDED:
        says = N_("another host has revoked the pair at {place}, or moved it", place=place)
        return findings.problem(ABOUT_SHARED, says, advice=errors.HINT_AUTHORIZE, exit_code=errors.NOPERM)
    if relation == comparison.FOREIGN:
        says = N_("this host's pair and the one at {place} have nothing to do with each other", place=place)
        return findings.problem(ABOUT_SHARED, says, advice=N_("see docs/scale.md: one prefix for each installation"))
    says = N_("this host has a pair, and there is none at {place}", place=place)
    return findings.problem(ABOUT_SHARED, says, advice=N_("put it there by 'hhtoken import FILE'"))
