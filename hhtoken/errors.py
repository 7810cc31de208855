"""Exit codes, and the exceptions that carry them.

Every foreseen failure is an ``Error`` with a message (what happened) and a hint (what to type next): lower case,
no full stop, no secret, each a ``text.Text``, so that it can be said in the reader's language. ``main`` prints
both and exits with the code; nothing else turns an error into an exit.
"""

from hhtoken.text import N_

HINT_AUTHORIZE = N_("type 'hhtoken login', and open the address that it prints")

# sysexits(3), which `systemctl status` prints by name. Plain integers: to import `enum` would cost `show` 3 ms.
OK = 0
DEFECT = 1
USAGE = 2
DATAERR = 65
UNAVAILABLE = 69
IOERR = 74
TEMPFAIL = 75
NOPERM = 77
CONFIG = 78
SIGNALLED = 128  # and the signal's number, as a shell has it: 130 is Ctrl-C


class Error(Exception):
    """A foreseen failure; ``message`` says what happened, ``hint`` what to type next (or is None)."""

    exit_code = DEFECT

    def __init__(self, message, hint=None):
        super().__init__(message)
        self.message = message
        self.hint = hint


class Interrupted(BaseException):
    """A signal asks for the end while nothing is at stake. Not an Error: nobody on the way may take it for a failure
    of their own and go on."""

    def __init__(self, signal_name, number):
        super().__init__(signal_name)
        self.exit_code = SIGNALLED + number
        self.message = N_("interrupted by {signal}", signal=signal_name)
        self.hint = N_("nothing is lost; start it again")


class UsageError(Error):
    """The command line or the standard input is not what the command takes."""

    exit_code = USAGE


class DataError(Error):
    """A stored file or the provider's answer makes no sense."""

    exit_code = DATAERR


class UnavailableError(Error):
    """There is a pair, but no usable access token at this moment."""

    exit_code = UNAVAILABLE


class StorageError(Error):
    """The state directory, or the standard output, cannot be read or written."""

    exit_code = IOERR


class TryLaterError(Error):
    """Temporary: the network, the provider's weather, a busy lock, a deadline, a signal."""

    exit_code = TEMPFAIL


class AuthorizationNeededError(Error):
    """Only a human with a browser can go on."""

    exit_code = NOPERM


class NoPairError(AuthorizationNeededError):
    """There is no pair in this state directory; there may be one elsewhere, of which ``opening.where_else`` knows.
    ``is_from_etcd``: the hosts' common store was looked into, and has none either."""

    is_from_etcd = False


class ConfigError(Error):
    """A setting is missing, malformed or unsafe."""

    exit_code = CONFIG


class NotConfiguredError(ConfigError):
    """What the application's page has is not in the settings."""


KINDS = (
    UsageError,
    DataError,
    UnavailableError,
    StorageError,
    TryLaterError,
    AuthorizationNeededError,
    ConfigError,
)
CODES = tuple(kind.exit_code for kind in KINDS)


def reason(error):
    """Given an OSError, return the Text of what the system says of it, in lower case.

    ``tests/tools/catalog.py`` lists the usual ones for the catalog, since they stand in the C library, not here.
    """
    return N_((error.strerror or type(error).__name__).lower())


def with_exit_code(exit_code, message, hint=None):
    """Given one of ``CODES``, return the exception that carries it."""
    return KINDS[CODES.index(exit_code)](message, hint)
