"""Showing an address to the person in front of this machine: in their browser, or as a QR code for their phone."""

import io
import os
import shutil
import subprocess

from hhtoken import errors
from hhtoken.console import hints
from hhtoken.text import N_

OPENER = "xdg-open"
OURS = ("HH_", "HHTOKEN_", "CREDENTIALS_DIRECTORY")  # of the environment, which no browser needs
QUIET_ZONE_MODULES = 2  # around a QR code; the standard says 4, phones read 2


def has_browser(environment=None):
    """Tell whether a browser can be opened: on a desktop, not from afar, and never as root."""
    environment = os.environ if environment is None else environment
    is_desktop = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    is_here = not environment.get("SSH_CONNECTION") and os.geteuid() != 0
    return bool(is_desktop and is_here and shutil.which(OPENER, path=environment.get("PATH")))


def open_browser(address):
    """Open an address in the browser; it stands in `ps` from then on. Tell whether that could be begun."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.Popen([OPENER, address], env=environment, start_new_session=True, **silent)
    except OSError:
        return False
    return True


def qr_code(address):
    """Given an address, return its QR code as lines of text; raise ConfigError where the library is missing."""
    try:
        import segno
    except ImportError:
        raise errors.ConfigError(
            N_("the Python library 'segno', which draws QR codes, is missing"),
            hints.to_install("segno"),
        ) from None
    drawn = io.StringIO()
    segno.make(address, error="l", micro=False).terminal(drawn, border=QUIET_ZONE_MODULES, compact=True)
    return drawn.getvalue().rstrip("\n")
