"""The end of an authorization: its code arrives, by a browser or by paste, and becomes a pair."""

from typing import NamedTuple

from hhtoken import errors
from hhtoken.authorization import pages
from hhtoken.authorization.request import BrowserReturn, Refused, denial, read_return
from hhtoken.console import durations, reporting, signals
from hhtoken.renewal import exchange, judgement
from hhtoken.store import account_names, accounts, opening
from hhtoken.store.pending import PendingAuthorizations
from hhtoken.text import N_

MOST_TOLD = 5  # of what strangers run into, each once: they must not fill the log

ADDRESS_MARKS = ("://", "code=", "state=", "error=")  # what stands in an address, and in no bare code


class Reply(NamedTuple):
    """``page``: a name of pages. ``is_final``: the listener has done its work."""

    page: str
    is_final: bool = False


class ReturnHandler:
    """``store``: a TokenStore. ``application``: (client id, client secret). ``endpoint``: a TokenEndpoint.
    ``settings``: the Settings, where what arrives may belong to any account; None: only to that of the store.

    ``failure``: the Error that the command ends with; ``outcome``: the Record of the exchange; both None until an
    authorization is used up.
    """

    def __init__(self, store, application, endpoint, settings=None):
        self._own_store = self._store = store
        self._application = application
        self._endpoint = endpoint
        self._settings = settings
        self.pending = PendingAuthorizations(store.directory)
        self.failure = self.outcome = None
        self._told = set()

    def by_browser(self, query):
        """Given the query of a request on the callback path, return a Reply. Nothing is sent before the state fits."""
        try:
            came = read_return(query)
            entry = self._find(came.state)
        except Refused:
            entry = None
        except errors.Error as error:
            return self._not_now(error, is_worth_telling=self._is_new(error))
        if entry is None:
            return Reply(pages.REFUSED)
        try:
            if came.error:
                self._deny(entry, came.error)
                return Reply(pages.DENIED, is_final=True)
            self._redeem(entry, came.code)
        except errors.Error as error:
            if self._is_pending(came.state):
                return self._not_now(error)
            self.failure = error
        return Reply(pages.FAILED if self.failure else pages.AUTHORIZED, is_final=True)

    def by_paste(self, pasted):
        """Given what was pasted, a code or the whole address that the browser ended up on, use it.

        Raise Error where no authorization is used up by it, so that another paste may do.
        """
        entry, came = self._read(pasted)
        if came.error:
            self._deny(entry, came.error)
            return
        try:
            self._redeem(entry, came.code)
        except errors.Error as error:
            if self._is_pending(entry["state"]):
                raise
            self.failure = error

    def _read(self, pasted):
        if not is_address(pasted):
            entry = self.pending.newest()  # a bare code has no state; verifier and redirect URI still have to fit
            hint = None if entry or not self._settings else accounts.hint_for_bare_code(self._settings.main_directory())
            return _require(entry, N_("no authorization is under way"), hint), BrowserReturn(None, pasted, None)
        try:
            came = read_return(pasted.partition("#")[0].partition("?")[2] or pasted)
        except Refused as refused:
            raise errors.UsageError(
                refused.args[0], N_("paste the whole address that the browser ended up on")
            ) from None
        return _require(self._find(came.state), N_("this address has expired, or was already used")), came

    def _find(self, state):
        """Return the living entry with this state, or None. Once there is one, all is about the account that it
        belongs to; a stranger, who has none, turns nothing."""
        account = account_names.of_state(state) if self._settings else None
        store = accounts.store_named(self._settings, account) if account else self._own_store
        if store is None:
            return None
        pending = PendingAuthorizations(store.directory)
        entry = None
        try:
            entry = pending.find(state)
        finally:
            if entry is None and store is not self._own_store:
                store.close()
        if entry and self._settings:
            self._store = opening.shared(store, self._settings, account) if account else store
            self.pending = pending
            reporting.speak_for(account)
        return entry

    def _redeem(self, entry, code):
        self.outcome = exchange.redeem(self._store, self.pending, entry, code, self._application, self._endpoint)
        self.failure = judgement.error_of(self.outcome)

    def _deny(self, entry, error):
        with self._store.lock():
            self.pending.remove(entry)
        self.failure = denial(error)

    def _is_pending(self, state):
        try:
            return self.pending.find(state) is not None
        except errors.Error:
            return False

    def _is_new(self, error):
        """Tell whether this has not been told yet, and remember it: before the state is known, it may be anybody."""
        is_new = error.message not in self._told and len(self._told) < MOST_TOLD
        if is_new:
            self._told.add(error.message)
        return is_new

    def _not_now(self, error, is_worth_telling=True):
        """The authorization is not used up: say why, and go on waiting for a reload."""
        if signals.end_was_asked():
            self.failure = error
            return Reply(pages.TRY_LATER, is_final=True)
        if is_worth_telling:
            reporting.failure(error)
            reporting.event(f"callback: {error.message}", reporting.ERROR)
        return Reply(pages.TRY_LATER)


def is_address(pasted):
    """Tell an address from a bare code, and from any other word."""
    return any(mark in pasted for mark in ADDRESS_MARKS)


def conclude(arrival):
    """Given a ReturnHandler that is over, say until when the new access token lives; raise the Error that it ended
    with."""
    if arrival.failure:
        raise arrival.failure
    reporting.message(
        N_(
            "authorized: {what}; the access token lives until {until}",
            what=arrival.outcome.message,
            until=durations.local(arrival.outcome.lives_until),
        )
    )


def _require(entry, message, hint=None):
    if entry is None:
        raise errors.AuthorizationNeededError(message, hint or errors.HINT_AUTHORIZE)
    return entry
