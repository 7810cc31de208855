"""Where the browser is waited for: the port, and what is said about it."""

import errno
import os
import socket
from urllib.parse import urlsplit

from hhtoken import errors
from hhtoken.console import durations, reporting
from hhtoken.provider import addresses
from hhtoken.text import N_

DEFAULT_LISTEN = "127.0.0.1:8000"
BOTH_FAMILIES = ("127.0.0.1", "::1")  # of localhost, which a browser may look up either way
NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)  # a machine without IPv6
BACKLOG = 128  # of connections that nobody has accepted yet
FIRST_INHERITED_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


def open_listeners(chosen, redirect_uri):
    """Given the value of ``--listen``, or None, return the listening sockets, with a warning where the browser comes to
    another port; raise UsageError or ConfigError."""
    if addresses.is_of_an_app(redirect_uri):
        raise errors.ConfigError(
            N_("HH_REDIRECT_URI is the address of an app, so no browser comes back to this machine"),
            N_("type 'hhtoken login', and paste the address that the browser ends up on"),
        )
    host, port = addresses.parse_listen(chosen or default_address(redirect_uri))
    parts = urlsplit(redirect_uri)
    listeners = []
    for one in BOTH_FAMILIES if host.lower() == "localhost" else (host,):
        family = socket.AF_INET6 if ":" in one else socket.AF_INET
        try:
            listeners.append(socket.create_server((one, port), family=family, backlog=BACKLOG))
        except OSError as error:
            if listeners and error.errno in NO_SUCH_FAMILY:
                break
            for listener in listeners:
                listener.close()
            raise _cannot_listen(one, port, error, addresses.is_loopback(parts.hostname)) from None
        port = listeners[0].getsockname()[1]
    named = parts.port or 80
    if parts.scheme == "http" and named != port:
        reporting.warning(
            N_(
                "the redirect URI sends the browser to port {named}, and not to {ours}; so something has to pass it "
                "on, as ssh -L does",
                named=named,
                ours=port,
            )
        )
    return listeners


def _cannot_listen(host, port, error, is_for_browser):
    """``is_for_browser``: the browser comes to this very port, without nginx between."""
    is_known = error.errno and error.errno > 0
    why = errors.reason(OSError(error.errno, os.strerror(error.errno))) if is_known else N_("not an address")
    hint = N_("choose another address with --listen HOST:PORT")
    if error.errno == errno.EADDRINUSE:
        hint = N_(
            "see who listens with 'ss -ltnp sport = :{port}'; hh-token-callback.socket, and another hhtoken, wait for "
            "the browser already; ",
            port=port,
        ) + (
            N_("or type 'hhtoken authorize-url', then 'hhtoken exchange', and paste the address")
            if is_for_browser
            else N_("or choose another address with --listen HOST:PORT, and point nginx there")
        )
    failure = N_("cannot listen on {host} port {port}: {reason}", host=host, port=port, reason=why)
    return errors.ConfigError(failure, hint)


def inherited():
    """Return the listening sockets that systemd has passed to this very process (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    listeners = [socket.socket(fileno=FIRST_INHERITED_DESCRIPTOR + number) for number in range(count)]
    for listener in listeners:
        listener.set_inheritable(False)
    return listeners


def announce(listeners, path, timeout_seconds):
    """Say on which addresses the browser is waited for, and for how long."""
    host = listeners[0].getsockname()[0]
    if not addresses.is_loopback(host):
        reporting.warning(
            N_("{host} can be reached from other machines; nginx in front of 127.0.0.1 is safer", host=host)
        )
    reporting.message(
        N_(
            "waiting for the browser on {address}, for {span}",
            address=", ".join(address_of(listener) + path for listener in listeners),
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
        host = parts.hostname.rstrip(".")
        return f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}"
    return DEFAULT_LISTEN
