#!/usr/bin/env python3
"""Draws what `hhtoken status` prints after a login on the sandbox, as docs/status.svg and docs/status.ru.svg.

What it draws is what the program prints; only the home directory is another.
"""

import fcntl
import html
import os
import pty
import re
import shlex
import struct
import sys
import tempfile
import termios
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, run

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import requests  # noqa: E402

from hhtoken.sandbox.server import start  # noqa: E402

PICTURES = {"status.svg": "en_US.UTF-8", "status.ru.svg": "ru_RU.UTF-8"}
PROGRAM = [sys.executable, "-I", str(ROOT / "bin" / "hhtoken")]
HOME = "/home/me"
TWO_WEEKS = 14 * 24 * 3600
COLUMNS = 80
CELL_WIDTH, LINE_HEIGHT, MARGIN = 8.4, 20, 16  # pixels, at the font size below
STYLE = """\
text{font:14px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#24292f}
rect{fill:#f6f8fa}.good{fill:#116329}.prompt{fill:#6e7781}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#161b22}.good{fill:#7ee787}.prompt{fill:#8b949e}}"""


def main():
    for name, locale in PICTURES.items():
        (ROOT / "docs" / name).write_text(drawn(screen(locale)), encoding="utf-8")


def screen(locale):
    """Return the lines of the screen in a language, with the terminal's colours in them."""
    with tempfile.TemporaryDirectory() as home, start(auto="allow", expires_in=TWO_WEEKS) as sandbox:
        environment = {**sandbox.environment(), "HOME": home, "PATH": f"{home}:{os.environ['PATH']}", "LC_ALL": locale}
        environment.update(TERM="xterm-256color", HHTOKEN_STATE_DIR=f"{home}/.local/state/hh-token")
        line = f"* * * * * {shlex.quote(PROGRAM[-1])} --state-dir {environment['HHTOKEN_STATE_DIR']} refresh"
        listed = f"#!/bin/sh\ncat <<'END'\n{line}\nEND\n"  # instead of the crontab of whoever draws
        Path(home, "crontab").write_text(listed)
        Path(home, "crontab").chmod(0o755)
        log_in(environment)
        shown = on_terminal([*PROGRAM, "status"], environment)
        return shown.replace(os.path.realpath(home), HOME).replace(home, HOME).splitlines()


def log_in(environment):
    address = run([*PROGRAM, "authorize-url"], env=environment, stdout=PIPE, stderr=DEVNULL, check=True).stdout
    agent = {"User-Agent": "picture/1.0 (docs@example.com)"}
    back = requests.get(address.decode().strip(), headers=agent, allow_redirects=False, timeout=10).headers["Location"]
    run([*PROGRAM, "exchange"], env=environment, input=back.encode(), stderr=DEVNULL, check=True)


def on_terminal(words, environment):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, COLUMNS, 0, 0))
    process = Popen(words, env=environment, stdin=DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # what Linux says when the other end has gone
        pass
    os.close(ours)
    process.wait()
    return seen.decode()


def drawn(lines):
    """Given lines of a terminal, return the SVG."""
    rows = ['<tspan class="prompt">$</tspan> hhtoken status', *map(coloured, lines)]
    texts = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE_HEIGHT * number}">{row}</text>' for number, row in enumerate(rows, 1)
    )
    width, height = int(COLUMNS * CELL_WIDTH) + 2 * MARGIN, LINE_HEIGHT * len(rows) + 3 * MARGIN // 2 + MARGIN // 2
    head = f'xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return (
        f'<svg {head} xml:space="preserve">\n<style>{STYLE}</style>\n'
        f'<rect width="100%" height="100%" rx="8"/>\n{texts}\n</svg>\n'
    )


def coloured(line):
    marked = html.escape(line, quote=False).replace("\033[32m", '<tspan class="good">').replace("\033[0m", "</tspan>")
    assert "\033" not in marked, line
    return re.sub(r"\s+$", "", marked)


if __name__ == "__main__":
    sys.exit(main())
