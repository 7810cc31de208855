"""The token of the application itself (client_credentials). It does not expire, and asking again revokes the earlier
one. So it is kept, and only asked for where there is none, or by the operator's wish.
"""

import contextlib
import json
import time

from hhtoken import errors
from hhtoken.console import reporting, signals
from hhtoken.pair import LARGEST_FILE_BYTES, is_token, parse_object
from hhtoken.provider import token_errors
from hhtoken.provider.answer import object_in, request_id_of
from hhtoken.provider.transfer import NotSent
from hhtoken.provider.verdict import TRY_LATER, UNCLEAR, printable, quoted
from hhtoken.store.journal import NoJournal
from hhtoken.text import N_, counted

FILE = "app-token.json"
DOUBT = "perhaps_revoked_at"  # Unix seconds of the request for another one whose answer has not come
OUR_FIELDS = ("obtained_at", "client_id", DOUBT)
PAUSE_SECONDS = 300  # HeadHunter refuses a second one within five minutes

HINT_LATER = N_("type 'hhtoken app-token --renew' in five minutes")


def usable(directory, client_id):
    """Given the state directory as a PrivateDirectory, return the stored access token of this application; None where
    there is none, or one that HeadHunter may have revoked. Raise StorageError."""
    fields = _stored(directory, client_id)
    return fields["access_token"] if fields and not fields.get(DOUBT) else None


def obtain(store, application, endpoint, is_renewal, clock=time.time):
    """Return the access token of the application: the stored one, or a new one where that is not usable, or for a
    renewal.

    ``application``: (client id, client secret). ``endpoint``: a TokenEndpoint. Raise ConfigError, DataError,
    StorageError, TryLaterError.
    """
    client_id, _client_secret = application
    with store.lock():  # or two runs would ask, and the second revoke what the first has got
        earlier = _stored(store.directory, client_id)
        if earlier and not (is_renewal or earlier.get(DOUBT)):
            return earlier["access_token"]
        if earlier:
            _require_pause(earlier, clock())
        endpoint.prepare()
        with signals.deferred():
            return _renew(store, earlier, application, endpoint, clock)


def _stored(directory, client_id):
    """Return the fields of the stored token of this application, or None; damage counts as none, with a warning."""
    try:
        found = directory.read(FILE, LARGEST_FILE_BYTES)
        fields = parse_object(found[0]) if found else None
        if found and not (is_token(fields.get("access_token")) and type(fields.get("obtained_at")) is int):
            raise ValueError
        if found and type(fields.get(DOUBT, 0)) is not int:
            raise ValueError
    except (ValueError, errors.DataError):
        reporting.warning(N_("{path} makes no sense; a new token takes its place", path=directory.path_of(FILE)))
        return None
    return fields if fields and fields.get("client_id") == client_id else None


def _require_pause(fields, now):
    asked_at = fields.get(DOUBT) or fields["obtained_at"]
    left = asked_at + PAUSE_SECONDS - int(now)
    if not 0 < left <= PAUSE_SECONDS:
        return
    if fields.get(DOUBT):
        why = N_("an answer that may have held a new application token was lost less than 5 minutes ago")
    else:
        why = N_(
            "the stored application token is less than 5 minutes old; HeadHunter issues one at most every 5 minutes"
        )
    again = counted("type it again in {count} second", "type it again in {count} seconds", left)
    raise errors.TryLaterError(why, again)


def _renew(store, earlier, application, endpoint, clock):
    """Ask for a token, store it, and return it. ``earlier``: the fields of the one that is revoked by that, or None;
    until it is known to live on it is marked, so that nobody uses it."""
    client_id, client_secret = application
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    before = store.directory.read(FILE)
    store.rehearse(FILE, before)
    try:
        if earlier:
            store.directory.replace(FILE, _to_text({**earlier, DOUBT: int(clock())}))
        answer = endpoint.post(form, NoJournal())
    except (NotSent, errors.StorageError):
        _restore(store.directory, before)
        raise
    finally:
        store.release()
    fields = _fields_in(answer)
    if fields is None:
        verdict = token_errors.judge(answer.status, object_in(answer.body), (client_secret,))
        if verdict.error and 300 <= answer.status < 500:  # HeadHunter's own word that it gives none
            _restore(store.directory, before)
        raise _failure(answer, verdict, client_secret)
    _keep(store.directory, {**fields, "obtained_at": int(clock()), "client_id": client_id})
    return fields["access_token"]


def _restore(directory, before):
    if before:
        with contextlib.suppress(errors.StorageError):  # the mark costs a request, no more
            directory.replace(FILE, *before)


def _keep(directory, fields):
    """Store a token that has come; where that fails, warn, since it is the result, and the only copy of it."""
    reporting.event("obtained an application token", reporting.NOTICE)
    try:
        directory.replace(FILE, _to_text(fields))
    except errors.StorageError as error:
        directory.discard(FILE)  # the earlier one, which is revoked
        sentence = N_("the application token is not stored, so keep it yourself: {reason}", reason=error.message)
        reporting.announce(sentence, error.hint)


def _to_text(fields):
    return (json.dumps(fields, indent=2) + "\n").encode()


def _fields_in(answer):
    fields = object_in(answer.body) or {}
    if 200 <= answer.status < 300 and is_token(fields.get("access_token")):
        return {name: value for name, value in fields.items() if name not in OUR_FIELDS}
    return None


def _failure(answer, verdict, client_secret):
    """Given an Answer without a token, and the Verdict on it, return the Error."""
    if answer.status == 0 or 200 <= answer.status < 300 and not answer.complete:
        why = answer.failure or N_("nothing came")
        lost = N_("the answer was lost ({why}); it may have held a new token, which revokes the stored one", why=why)
        return errors.TryLaterError(lost, HINT_LATER)
    if 200 <= answer.status < 300:
        nonsense = N_("HeadHunter's answer makes no sense: there is no token in it")
        return errors.DataError(nonsense, token_errors.HINT_ADDRESS)
    hint = HINT_LATER if verdict.kind in (TRY_LATER, UNCLEAR) else verdict.hint
    meaning = verdict.meaning + verdict.words + quoted(printable(request_id_of(answer), (client_secret,)))
    return errors.with_exit_code(verdict.exit_code or errors.TEMPFAIL, meaning, hint)
