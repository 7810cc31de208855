"""The end of an authorization: its code arrives, by a browser or by paste, and becomes a pair."""

from typing import NamedTuple

from hhtoken import errors
from hhtoken.authorization import pages, systemd_socket
from hhtoken.authorization.request import Refused, denial, read_return
from hhtoken.console import durations, reporting, signals
from hhtoken.provider.endpoints import token_endpoint_of
from hhtoken.renewal import exchange, judgement
from hhtoken.store import account_names, accounts, opening
from hhtoken.store.pending import PendingAuthorizations
from hhtoken.text import N_

ADDRESS_MARKS = ("://", "code=", "state=", "error=")  # what stands in an address, and in no bare code


class Reply(NamedTuple):
    """``page``: a name of pages. ``is_final``: the listener has done its work."""

    page: str
    is_final: bool = False


def handler_of(settings):
    """Given the Settings, return the ReturnHandler for their account, or where they name none, for all; raise Error."""
    application = settings.client_id(), systemd_socket.client_secret(settings)
    endpoint = token_endpoint_of(settings)
    store = opening.of_settings(settings, create=True)
    return ReturnHandler(store, application, endpoint, None if settings.account() else settings)


class ReturnHandler:
    """``store``: a TokenStore. ``application``: (client id, client secret). ``endpoint``: a TokenEndpoint.
    ``settings``: the Settings, where what arrives may belong to any account; None: only to that of the store.

    ``failure``: the Error that the command ends with; ``outcome``: the Record of the exchange; both None until an
    authorization is used up.
    """

    def __init__(self, store, application, endpoint, settings=None):
        self._own_store = self._store = store
        self._application = application
        self.endpoint = endpoint
        self._settings = settings
        self.pending = PendingAuthorizations(store.directory)
        self.failure = self.outcome = None
        self._has_told = False

    def is_expected(self):
        """Tell whether an authorization is under way that may come back."""
        if self.pending.newest():
            return True
        return bool(self._settings) and accounts.is_any_authorization_under_way(self._settings.main_directory())

    def by_browser(self, query):
        """Given the query of a request on the callback path, return a Reply. Nothing is sent before the state fits."""
        try:
            state, code, error = read_return(query)
            entry = self._find(state)
        except Refused:
            entry = None
        except errors.Error as trouble:
            is_first, self._has_told = not self._has_told, True
            return self._not_now(trouble, is_worth_telling=is_first)  # strangers must not fill the log
        if entry is None:
            return Reply(pages.REFUSED)
        try:
            self._use(entry, code, error)
        except errors.Error as trouble:
            return self._not_now(trouble)
        page = pages.DENIED if error else pages.FAILED if self.failure else pages.AUTHORIZED
        return Reply(page, is_final=True)

    def by_paste(self, pasted):
        """Given what was pasted, a code or the whole address that the browser ended up on, use it.

        Raise Error where no authorization is used up by it, so that another paste may do.
        """
        if is_address(pasted):
            try:
                state, code, error = read_return(pasted.partition("#")[0].partition("?")[2] or pasted)
            except Refused as refused:
                hint = N_("paste the whole address the browser ended up on")
                raise errors.UsageError(refused.args[0], hint) from None
            entry, why_none, hint = self._find(state), N_("this address has expired, or was already used"), None
        else:  # a bare code has no state; verifier and redirect URI still have to fit
            entry, code, error = self.pending.newest(), pasted, None
            why_none = N_("no authorization is under way")
            hint = None if entry or not self._settings else accounts.hint_for_bare_code(self._settings.main_directory())
        if entry is None:
            raise errors.AuthorizationNeededError(why_none, hint or errors.HINT_AUTHORIZE)
        self._use(entry, code, error)

    def _find(self, state):
        """Return the living entry with this state, or None. A match switches store and messages to its account; an
        unknown state changes nothing."""
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

    def _use(self, entry, code, error):
        """Use an authorization up; raise Error where it is not."""
        try:
            if error:
                with self._store.lock():
                    self.pending.remove(entry)
                self.failure = denial(error)
            else:
                self.outcome = exchange.redeem(self._store, self.pending, entry, code, self._application, self.endpoint)
                self.failure = judgement.error_of(self.outcome)
        except errors.Error as failure:
            if self._is_pending(entry["state"]):
                raise
            self.failure = failure

    def _is_pending(self, state):
        try:
            return self.pending.find(state) is not None
        except errors.Error:
            return False

    def _not_now(self, error, is_worth_telling=True):
        """The authorization is not used up: say why, and go on waiting for a reload."""
        if signals.end_was_asked():
            self.failure = error
            return Reply(pages.TRY_LATER, is_final=True)
        if is_worth_telling:
            reporting.failure(error)
            reporting.event(f"callback: {error.message}", reporting.ERROR)
        return Reply(pages.TRY_LATER)

    def conclude(self):
        """Say until when the new access token is valid; raise the Error that it ended with."""
        if self.failure:
            raise self.failure
        until = durations.local(self.outcome.lives_until)
        reporting.message(
            N_("authorized: {what}; the access token is valid until {until}", what=self.outcome.message, until=until)
        )


def is_address(pasted):
    """Tell an address from a bare code, and from any other word."""
    return any(mark in pasted for mark in ADDRESS_MARKS)
