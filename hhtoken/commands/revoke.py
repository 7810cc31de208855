"""``hhtoken revoke``: end the pair at HeadHunter, then remove it here."""

import contextlib
import time

from hhtoken import errors
from hhtoken.console import reporting
from hhtoken.console.language import _
from hhtoken.console.terminal import require_confirmation
from hhtoken.provider import api_errors
from hhtoken.provider.endpoints import api_endpoint_of
from hhtoken.renewal import policy, revocation, timers
from hhtoken.settings.settings import load_settings
from hhtoken.store import opening
from hhtoken.store.token_store import open_store
from hhtoken.text import N_

SUMMARY = N_("revoke the token at HeadHunter, and delete it here")


def add_arguments(parser):
    parser.add_argument("--yes", action="store_true", help=_("do not ask; for scripts"))
    parser.add_argument(
        "--local-only", action="store_true", help=_("remove the pair here, but leave it valid at HeadHunter")
    )


def run(arguments):
    settings = load_settings(arguments)
    if arguments.local_only:
        store = open_store(settings.state_directory(), published=settings.published_file())
        comes_back = opening.is_shared(settings) and _is_in_etcd(store)
        _remove_here(store, arguments.yes)
        if comes_back:
            hint = N_("etcd still holds it, and it comes back here; to move it out, type 'hhtoken export FILE'")
            reporting.message(hint, "hint: ")
    else:
        _revoke(opening.of_settings(settings), api_endpoint_of(settings), arguments.yes)
    timer_units = timers.look(settings.main_directory(), settings.account()).timers
    if timer_units:
        command = "systemctl disable --now " + " ".join(timer_units)
        hint = N_("the timers go on, and find no pair; to stop them, type '{command}'", command=command)
        reporting.message(hint, "hint: ")
    return 0


def _is_in_etcd(store):
    """Tell whether etcd has the stored pair, too; raise TryLaterError where it has its predecessor, which is spent."""
    from hhtoken.store.etcd.comparison import mark_of

    try:
        mark = mark_of(store.load().pair)
    except errors.DataError:
        return True
    if store.has_journal() or mark and not mark.is_in_etcd:
        raise errors.TryLaterError(
            N_("etcd may not have the newest pair yet, which would be lost; nothing was removed"),
            N_("type 'hhtoken sync --once' first"),
        )
    return mark is not None


def _remove_here(store, is_confirmed):
    path = store.directory.path
    with contextlib.suppress(errors.DataError):  # a damaged pair can go, too
        store.load()
    if not is_confirmed:
        require_confirmation(
            N_("the pair in {path} is removed, but stays valid at HeadHunter for whoever has a copy", path=path)
        )
    revocation.remove(store)
    reporting.message(N_("removed the pair from {path}; HeadHunter was not told", path=path))


def _revoke(store, endpoint, is_confirmed):
    path, pair = store.directory.path, store.load().pair
    if not is_confirmed:
        require_confirmation(
            N_("this revokes the token at HeadHunter and removes it from {path}; then a login is needed", path=path)
        )
    verdict = revocation.revoke(store, endpoint)
    if verdict.kind == api_errors.ACCEPTED:
        reporting.message(N_("revoked: HeadHunter has ended the pair, and it is removed from {path}", path=path))
    elif verdict.kind in revocation.ENDED:
        gone = N_(
            "{meaning}, so there is nothing to end; the pair is removed from {path}", meaning=verdict.meaning, path=path
        )
        reporting.message(gone)
    elif verdict.kind == api_errors.EXPIRED:
        _give_up_expired(store, pair, verdict)
    else:
        hint = N_(
            "nothing was removed; {hint}; or type 'hhtoken revoke --local-only' to remove it here alone",
            hint=verdict.hint,
        )
        raise errors.with_exit_code(verdict.exit_code, verdict.meaning, hint)


def _give_up_expired(store, pair, verdict):
    """HeadHunter ends a pair only while its access token is valid; the refresh token then stays good there."""
    if isinstance(policy.why_unusable(store, pair, time.time()), errors.AuthorizationNeededError):
        revocation.remove(store, pair)  # it cannot be renewed, so there is nothing to end
        reporting.message(N_("removed the pair from {path}", path=store.directory.path))
        return
    reason = N_(
        "{meaning}, so it cannot be ended; the refresh token stays good at HeadHunter until the user changes the "
        "password, or removes the application in the settings of hh.ru",
        meaning=verdict.meaning,
    )
    hint = N_(
        "nothing was removed; type 'hhtoken refresh', then 'hhtoken revoke' again; or type "
        "'hhtoken revoke --local-only' to remove it here alone"
    )
    raise errors.UnavailableError(reason, hint)
