"""The token of the application itself (client_credentials). It does not expire, and asking again revokes the earlier
one. So it is kept, and only asked for where there is none, or by the operator's wish.
"""

import json
import time

from hhtoken import errors, provider_errors, reporting, tokens
from hhtoken.answer import object_in
from hhtoken.journal import NoJournal
from hhtoken.wording import counted, text

FILE = "app-token.json"
OUR_FIELDS = ("obtained_at", "client_id")
PAUSE_SECONDS = 300  # HeadHunter refuses a second one within five minutes

HINT_LATER = text("type 'hhtoken app-token --renew' in five minutes")


def stored(directory, client_id):
    """Given the state directory as a PrivateDirectory, return the fields of the stored token of this application, or
    None; damage counts as none, with a warning. Raise StorageError."""
    try:
        found = directory.read(FILE, tokens.LARGEST_FILE_BYTES)
        fields = tokens.parse_object(found[0]) if found else None
        if found and not (tokens.is_token(fields.get("access_token")) and type(fields.get("obtained_at")) is int):
            raise ValueError
    except (ValueError, errors.DataError):
        reporting.warning(text("{path} makes no sense; a new token takes its place", path=directory.path_of(FILE)))
        return None
    return fields if fields and fields.get("client_id") == client_id else None


def obtain(store, application, endpoint, is_renewal, clock=time.time):
    """Return the access token of the application: the stored one, or a new one where there is none, or for a renewal.

    ``application``: (client id, client secret). ``endpoint``: a TokenEndpoint. Raise ConfigError, DataError,
    StorageError, TryLaterError.
    """
    client_id, client_secret = application
    with store.lock():  # or two runs would ask, and the second revoke what the first has got
        fields = stored(store.directory, client_id)
        if fields and not is_renewal:
            return fields["access_token"]
        if fields:
            _require_pause(fields["obtained_at"], clock())
        endpoint.prepare()
        store.rehearse(FILE, store.directory.read(FILE))  # before the earlier one is revoked
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        try:
            answer = endpoint.post(form, NoJournal())
        finally:
            store.release()
        fields = _token_in(answer, client_secret)
        reporting.event("obtained an application token", reporting.NOTICE)
        _keep(store.directory, {**fields, "obtained_at": int(clock()), "client_id": client_id})
    return fields["access_token"]


def _require_pause(obtained_at, now):
    left = obtained_at + PAUSE_SECONDS - int(now)
    if 0 < left <= PAUSE_SECONDS:
        raise errors.TryLaterError(
            text("the stored application token is less than 5 minutes old, and HeadHunter gives no other so soon"),
            counted("type it again in {count} second", "type it again in {count} seconds", left),
        )


def _keep(directory, fields):
    """Store a token that has come; where that fails, warn, since it is the result, and the only copy of it."""
    try:
        directory.replace(FILE, (json.dumps(fields, indent=2) + "\n").encode())
    except errors.StorageError as error:
        directory.discard(FILE)  # the earlier one, which is revoked
        sentence = text("the application token is not stored, so keep it yourself: {reason}", reason=error.message)
        reporting.warning(sentence)
        reporting.message(error.hint, "hint: ")
        reporting.event(f"{sentence}; {error.hint}", reporting.WARNING)


def _token_in(answer, client_secret):
    fields = object_in(answer.body) or {}
    if 200 <= answer.status < 300 and tokens.is_token(fields.get("access_token")):
        return {name: value for name, value in fields.items() if name not in OUR_FIELDS}
    if answer.status == 0 or 200 <= answer.status < 300 and not answer.complete:
        why = answer.failure or text("nothing came")
        raise errors.TryLaterError(
            text("the answer was lost ({why}); it may have held a new token, which revokes the stored one", why=why),
            HINT_LATER,
        )
    if 200 <= answer.status < 300:
        raise errors.DataError(
            text("HeadHunter's answer makes no sense: there is no token in it"), provider_errors.HINT_ADDRESS
        )
    verdict = provider_errors.judge(answer.status, fields, (client_secret,))
    is_weather = verdict.kind in (provider_errors.TRY_LATER, provider_errors.UNCLEAR)
    hint = HINT_LATER if is_weather else verdict.hint
    request_id = provider_errors.printable(answer.request_id, (client_secret,))
    meaning = verdict.meaning
    if request_id:
        meaning = text("{meaning} (request id {request_id})", meaning=meaning, request_id=request_id)
    raise errors.with_exit_code(verdict.exit_code or errors.TEMPFAIL, meaning, hint)
