"""Where the browser is waited for: the options, the port, and what is said about it."""

import errno
import os
import socket
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.console import durations, reporting
from hhtoken.provider import addresses
from hhtoken.text import N_

DEFAULT_LISTEN = "127.0.0.1:8000"
BACKLOG = 128  # of connections that nobody has accepted yet
FIRST_INHERITED_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


def open_listener(chosen, redirect_uri):
    """Given the value of ``--listen``, or None, return a listening socket, with a warning where the browser comes to
    another port; raise UsageError or ConfigError."""
    host, port = addresses.parse_listen(chosen or default_address(redirect_uri))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    parts = urlsplit(redirect_uri)
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise _cannot_listen(host, port, error, addresses.is_loopback(parts.hostname)) from None
    named, ours = parts.port or 80, listener.getsockname()[1]
    if parts.scheme == "http" and named != ours:
        reporting.warning(
            N_(
                "the redirect URI sends the browser to port {named}, and not to {ours}; so something has to pass it "
                "on, as ssh -L does",
                named=named,
                ours=ours,
            )
        )
    return listener


def _cannot_listen(host, port, error, is_for_browser):
    """``is_for_browser``: the browser comes to this very port, without nginx between."""
    is_known = error.errno and error.errno > 0
    why = errors.reason(OSError(error.errno, os.strerror(error.errno))) if is_known else N_("not an address")
    hint = N_("choose another address with --listen HOST:PORT")
    if error.errno == errno.EADDRINUSE:
        hint = N_(
            "if it is hh-token-callback.socket or another hhtoken (login, serve-callback), the browser is waited "
            "for already; see who listens with 'ss -ltnp sport = :{port}'",
            port=port,
        )
        hint += "" if is_for_browser else N_("; or choose another address with --listen, and point nginx there")
    failure = N_("cannot listen on {host} port {port}: {reason}", host=host, port=port, reason=why)
    return errors.ConfigError(failure, hint)


def inherited():
    """Return the listening socket that systemd has passed to this very process (sd_listen_fds(3)), or None."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS", "0") == "0":
        return None
    listener = socket.socket(fileno=FIRST_INHERITED_DESCRIPTOR)
    listener.set_inheritable(False)
    return listener


def announce(listener, path, timeout_seconds):
    """Say on which address the browser is waited for, and for how long."""
    host = listener.getsockname()[0]
    if not addresses.is_loopback(host):
        reporting.warning(
            N_("{host} can be reached from other machines; nginx in front of 127.0.0.1 is safer", host=host)
        )
    reporting.message(
        N_(
            "waiting for the browser on {address}, for {span}",
            address=address_of(listener) + path,
            span=durations.span(timeout_seconds),
        )
    )


def address_of(listener):
    """Given a listening socket, return its address without a path."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def default_address(redirect_uri):
    """Given the redirect URI, return the ``HOST:PORT`` to listen on where none was chosen."""
    parts = urlsplit(redirect_uri)
    if parts.scheme == "http" and parts.port:  # a loopback host, or the settings would have refused it
        host = parts.hostname if addresses.is_literal(parts.hostname) else "127.0.0.1"
        return f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}"
    return DEFAULT_LISTEN
