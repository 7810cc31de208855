"""``hhtoken exchange``: the same as serve-callback, for a code or an address pasted on standard input."""

import os
import sys

from hhtoken import authorization, config, durations, errors, grants, outcomes, reporting, token_endpoint
from hhtoken.pending_state import PendingAuthorizations
from hhtoken.token_store import open_store

SUMMARY = "store the pair for a code, or a whole redirect address, read from standard input"

LONGEST_INPUT_BYTES = 16 * 1024


def add_arguments(parser):
    """It takes none: a code on a command line would stand in `ps` and in the shell's history."""


def run(arguments):
    settings = config.load(arguments)
    application = settings.client_id(), settings.client_secret()
    endpoint = token_endpoint.from_settings(settings)
    pasted = _read_pasted()
    store = open_store(settings.state_directory(), create=True)
    pending = PendingAuthorizations(store.directory)
    code, entry = _code_and_authorization(pasted, store, pending)
    outcome = grants.redeem(store, pending, entry, code, application, endpoint)
    failure = outcomes.error_of(outcome)
    if failure:
        raise failure
    until = durations.local(outcome.lives_until)
    reporting.message(f"authorized: {outcome.message}; the access token lives until {until}")
    return 0


def _read_pasted():
    if sys.stdin is None:
        raise errors.UsageError("standard input is closed", "type: hhtoken exchange, then paste the address")
    if os.isatty(0):
        reporting.message("paste the address that the browser ended up on, or its code, and press enter")
    data = b""
    while b"\n" not in data.lstrip() and len(data) <= LONGEST_INPUT_BYTES:
        try:
            piece = os.read(0, LONGEST_INPUT_BYTES)
        except OSError as error:
            raise errors.UsageError(f"cannot read standard input: {error.strerror.lower()}") from None
        if not piece:
            break
        data += piece
    pasted = data.strip().split(b"\n")[0].strip().decode("ascii", "replace").strip("'\"")
    if not authorization.is_printable(pasted) or " " in pasted or len(data) > LONGEST_INPUT_BYTES:
        raise errors.UsageError(
            "standard input holds neither a code nor an address", "type: hhtoken exchange, then paste the address"
        )
    return pasted


def _code_and_authorization(pasted, store, pending):
    """Return the code and the pending entry that it belongs to; raise AuthorizationNeededError."""
    if not any(mark in pasted for mark in ("://", "code=", "state=", "error=")):
        entry = pending.newest()  # a bare code has no state; the verifier and the redirect URI still have to fit
        return pasted, _require(entry)
    try:
        came = authorization.read_return(pasted.partition("#")[0].partition("?")[2] or pasted)
    except authorization.Refused as refused:
        raise errors.UsageError(f"{refused}", "paste the whole address that the browser ended up on") from None
    entry = _require(pending.find(came.state))
    if came.error:
        with store.lock():
            pending.remove(entry)
        raise authorization.denial(came.error)
    return came.code, entry


def _require(entry):
    if entry is None:
        raise errors.AuthorizationNeededError(
            "no authorization is under way that this belongs to: it is too old, or was used",
            errors.HINT_AUTHORIZE,
        )
    return entry
