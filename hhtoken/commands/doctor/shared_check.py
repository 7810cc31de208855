"""The shared store: does etcd answer, and is this host's copy of the pair in step with it?"""

from types import SimpleNamespace

from hhtoken import errors
from hhtoken.commands.doctor import findings
from hhtoken.store import opening
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

ABOUT = N_("shared store")
SYNC = "hhtoken sync --once"


def look(settings):
    """Given the Settings, return the facts: ``relation`` of the two copies, where, or the ``error`` that came."""
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
        relation = comparison.compare(local, contents.pair, comparison.from_dict(contents.end))
        is_dead = bool(contents.verdict) and contents.verdict.get("dead") is True
        return SimpleNamespace(relation=relation, place=vault.name, is_dead=is_dead, error=None)
    except errors.Error as error:
        return SimpleNamespace(error=error)


def judge(seen):
    """Given the facts, return the Findings."""
    from hhtoken.store.etcd import comparison

    if seen.error:
        return [findings.of_error(ABOUT, seen.error)]
    place = seen.place
    if seen.relation == comparison.NOTHING:
        return [findings.note(ABOUT, N_("etcd answers; there is no pair at {place} yet", place=place))]
    if seen.relation == comparison.IN_STEP and seen.is_dead:
        says = N_("etcd answers; the pair at {place} is dead", place=place)
        return [findings.problem(ABOUT, says, advice=errors.HINT_AUTHORIZE, exit_code=errors.NOPERM)]
    if seen.relation == comparison.IN_STEP:
        return [findings.ok(ABOUT, N_("etcd answers; this host has the pair that is at {place}", place=place))]
    if seen.relation in (comparison.TAKE_OVER, comparison.PROMOTE, comparison.CONFLICT):
        says = N_("etcd answers; this host is not in step with {place}", place=place)
        return [findings.note(ABOUT, says, f"{SYNC}; systemctl enable --now hh-token-sync.service")]
    if seen.relation == comparison.FOREIGN:
        says = N_("this host's pair and the one at {place} have nothing to do with each other", place=place)
        return [findings.problem(ABOUT, says, advice=N_("see docs/scale.md: give each installation its own prefix"))]
    says = N_("this host has a pair, and there is none at {place}", place=place)
    if seen.relation == comparison.ENDED:
        says = N_("another host has revoked the pair at {place}, or moved it", place=place)
        return [findings.problem(ABOUT, says, advice=errors.HINT_AUTHORIZE, exit_code=errors.NOPERM)]
    return [findings.problem(ABOUT, says, advice=N_("put it there by 'hhtoken import FILE'"))]


def is_wanted(settings):
    """Tell whether the settings name a shared store; one that is malformed is named where it is read."""
    try:
        return opening.is_shared(settings)
    except errors.ConfigError:
        return True
