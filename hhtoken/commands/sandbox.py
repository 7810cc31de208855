"""``hhtoken sandbox``: run a local HeadHunter until a signal ends it."""

import argparse

from hhtoken import errors
from hhtoken.commands import options
from hhtoken.console import reporting
from hhtoken.console.language import _, translated
from hhtoken.provider import addresses
from hhtoken.sandbox.settings import ALLOW, DENY, Settings
from hhtoken.sandbox.users import ROLES
from hhtoken.text import N_

SUMMARY = N_("run a local HeadHunter to test a client against")

DEFAULTS = Settings()


def add_arguments(parser):
    parser.add_argument(
        "--listen",
        type=_listen,
        default="127.0.0.1:8900",
        metavar=_("HOST:PORT"),
        help=_("where to listen; port 0 takes a free one (default: %(default)s)"),
    )
    parser.add_argument(
        "--expires-in",
        type=options.seconds,
        default=DEFAULTS.expires_in,
        metavar=_("SECONDS"),
        help=_("life of an access token (default: %(default)s)"),
    )
    parser.add_argument(
        "--redirect-uri",
        type=_redirect_uri,
        default=DEFAULTS.redirect_uri,
        metavar=_("URI"),
        help=_("redirect URI of the registered application (default: %(default)s)"),
    )
    parser.add_argument(
        "--role",
        type=options.one_of(*ROLES),
        default=DEFAULTS.role,
        metavar="|".join(ROLES),
        help=_("who signs in (default: %(default)s)"),
    )
    _add_answers(parser.add_mutually_exclusive_group())
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar=_("NAME[@PATH][=TIMES|=always]"),
        help=_("what the next requests meet, to the token endpoint or to PATH of the API (repeatable, in this order)"),
    )
    parser.add_argument("--list-faults", action="store_true", help=_("list the faults and end"))
    parser.add_argument("--quiet", action="store_true", help=_("do not log requests"))


def _add_answers(group):
    allow = _("allow every authorization at once, without a page")
    deny = _("refuse every authorization at once, without a page")
    group.add_argument("--auto-approve", dest="auto", action="store_const", const=ALLOW, help=allow)
    group.add_argument("--deny", dest="auto", action="store_const", const=DENY, help=deny)


def run(arguments):
    """Serve until SIGINT, SIGTERM or SIGHUP.

    Raise TryLaterError where the port is taken, ConfigError where it cannot be."""
    import signal

    if arguments.list_faults:
        reporting.result(_fault_table())
        return errors.OK
    # Blocked before the first thread exists, so that every thread inherits it and only sigwait gets the signal.
    endings = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    try:
        with _start(arguments) as sandbox:
            for fault in arguments.fault:
                sandbox.weather.add(*fault)
            _announce(sandbox, arguments.listen[0])
            signal.sigwait(endings)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    return errors.OK


def _start(arguments):
    import errno

    from hhtoken.sandbox.server import start

    changes = {name: getattr(arguments, name) for name in ("redirect_uri", "expires_in", "role", "auto")}
    hint = N_("type 'hhtoken sandbox --listen 127.0.0.1:0', which takes a free port")
    try:
        return start(*arguments.listen, log=None if arguments.quiet else reporting.message, **changes)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise errors.TryLaterError(N_("another program listens on this port"), hint) from None
        raise errors.ConfigError(N_("cannot listen there: {reason}", reason=errors.reason(error)), hint) from None


def _announce(sandbox, host):
    import shlex

    if not addresses.is_loopback(host):
        reporting.warning(N_("the sandbox listens beyond this machine; whoever reaches it can get tokens from it"))
    settings = (f"{name}={shlex.quote(value)}" for name, value in sandbox.environment().items())
    reporting.result("\n".join([f"# hhtoken sandbox: {sandbox.url}", *settings]))


def _fault_table():
    from hhtoken.sandbox.faults import ALL_FAULTS

    width = max(map(len, ALL_FAULTS))
    return "\n".join(
        f"{name:{width}}  {'commits' if fault.commits else '-':7}  {fault.says}" for name, fault in ALL_FAULTS.items()
    )


# The errors below never repeat the value: a mistyped command line may hold anything.


def _listen(value):
    try:
        return addresses.parse_listen(value)
    except errors.UsageError:
        raise argparse.ArgumentTypeError(_("takes HOST:PORT, as in 127.0.0.1:8900")) from None


def _redirect_uri(value):
    from hhtoken.sandbox.authorization import is_registrable

    if not is_registrable(value):
        raise argparse.ArgumentTypeError(_("takes an address, as in http://127.0.0.1:8000/callback"))
    return value


def _fault(value):
    from hhtoken.sandbox import control

    fault, _sign, times = value.partition("=")
    name, _sign, path = fault.partition("@")
    try:
        return control.read_fault(name, times or "1", path)
    except control.BadControl as error:
        raise argparse.ArgumentTypeError(translated(error.args[0])) from None
