#!/bin/sh
# Installs a wheel with pipx as whoever runs this, in their HOME, as docs/install.md says, and tries the program, the
# manual and a Tab in bash. Needs what Debian calls pipx, man-db and bash-completion; a wheel: make dist.
#   pipx.sh WHEEL
set -eu
wheel=$(readlink -f -- "$1")
here=$(dirname "$(readlink -f -- "$0")")
PATH=$HOME/.local/bin:$PATH
export PATH

die() {
    echo "pipx.sh: $1" >&2
    exit 1
}

page() { # LOCALE FOLDER
    man -L "$1" -w hhtoken 2>/dev/null | grep "^$HOME/.*/$2/hhtoken.1" || echo none
}

# What a person sees who types it: a terminal, and readline. Ends with 1 where the Tab lists nothing.
tab() {
    python3 - <<'END'
import os, pty, select, sys, time

pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="$ ")
    os.execvp("bash", ["bash", "--norc", "-i"])


def typed(keys, *expected):
    os.write(terminal, keys.encode())
    seen, end = "", time.monotonic() + 20
    while not all(word in seen for word in expected):
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(1)
        seen += os.read(terminal, 4096).decode(errors="replace")


typed(". /usr/share/bash-completion/bash_completion; echo rea''dy\n", "ready")
typed("hhtoken re\t\t", "refresh", "revoke")
END
}

tell() {
    echo "man hhtoken: $(page C man/man1)"
    echo "man hhtoken, in Russian: $(page ru man/ru/man1)"
    echo "Tab in bash: $(tab && echo yes || echo none)"
}

completion=$(dpkg-query -W -f '${Version}' bash-completion)
echo "pipx $(pipx --version), bash-completion $completion"
case $HOME:$completion in
    *' '*:1:2.11-*)
        echo 'bash-completion 2.11 does not look below a HOME with blanks; XDG_DATA_DIRS leads it there'
        export XDG_DATA_DIRS="$HOME/.local/share:/usr/local/share:/usr/share"
        ;;
esac
pipx install --force "$wheel"
said=$(hhtoken --version)
[ "$said" = "hhtoken $(basename "$wheel" | cut -d- -f2)" ] || die "hhtoken --version says $said"
tell

link=$(sed -n 's/^\$ \(cp .*PIPX_LOCAL_VENVS.*\)/\1/p' "$here/../../docs/install.md")
[ -n "$link" ] || die 'docs/install.md has no command that links what pipx does not'
echo "$link"
eval "$link"
told=$(tell)
echo "$told"
case $told in *none*) die 'and yet something is missing' ;; esac
