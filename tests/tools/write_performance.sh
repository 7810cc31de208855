#!/bin/sh
# Put the measured tables into docs/performance.md and docs/scale.md, at their markers: `make bench`. $1: a Python with
# requests.
set -eu
cd "$(dirname "$0")/../.."
page=docs/performance.md
marker='<!-- measured: below this line everything is written by make bench -->'
new=$(mktemp)
trap 'rm -f "$new"' EXIT
# shellcheck source=/dev/null
system=$(. /etc/os-release && echo "$PRETTY_NAME")
{
    sed "/^$marker\$/q" "$page"
    printf '\n%s, %s processors, Python %s, kernel %s.\n\n' "$system" "$(nproc)" \
        "$(/usr/bin/python3 -c 'import platform; print(platform.python_version())')" "$(uname -r | cut -d- -f1)"
    "$1" tests/tools/bench_performance.py
    printf '\n## The callback listener under attack\n\n```\n'
    "$1" tests/tools/bench_callback.py
    printf '```\n'
} >"$new"
cat "$new" >"$page"
sed "1,/^$marker\$/d" "$page"

page=docs/scale.md
{
    sed '/^<!-- measured: /q' "$page"
    printf '\n%s, %s processors.\n\n' "$system" "$(nproc)"
    "$1" tests/tools/bench_accounts.py
    echo
    sed -n '/^<!-- end of the measured part -->$/,$p' "$page"
} >"$new"
cat "$new" >"$page"
sed -n '/^<!-- measured: /,/^<!-- end of/p' "$page"
