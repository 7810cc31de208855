#!/bin/sh
# Run by the box once it is up, outside of it: copies the checkout in, then runs the parts of scenario.py in the box's
# network (a boot has a new one), with a power cycle in between.
set -eu
here=$(dirname "$(readlink -f "$0")")
in_network() { nsenter -t "$(cat "$BOX_STATE/pid")" -n python3 -B "$here/scenario.py" "$@"; }

copy=$(mktemp -d -p /media)
tar -C "$here/../.." --exclude=.git --exclude='.venv*' --exclude=__pycache__ -cf - . | tar -C "$copy" --no-same-owner -xf -
"$BOX" run mkdir -p /usr/src/checkout
tar -C "$copy" -cf - . | "$BOX" run tar -C /usr/src/checkout -xf -

in_network first
"$BOX" run journalctl -q -o short-precise >"$RESULTS/journal"
"$BOX" poweroff
"$BOX" up
in_network after-boot
