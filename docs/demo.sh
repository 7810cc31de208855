#!/bin/sh
# The main job from consent to renewal, against the sandbox: what an operator types, and what comes back.
# PYTHON names the interpreter; everything lives in a temporary directory that goes at the end.
set -eu

# Whatever the caller works with stays out of this.
# shellcheck disable=SC2046
unset $(env | sed -n 's/^\(HH_[A-Z_]*\)=.*/\1/p; s/^\(HHTOKEN_[A-Z_]*\)=.*/\1/p')

life=6
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
sandbox=
listener=

hhtoken() { "${PYTHON:-/usr/bin/python3}" -I "$here/bin/hhtoken" "$@"; }
become_hhtoken() { exec "${PYTHON:-/usr/bin/python3}" -I "$here/bin/hhtoken" "$@"; } # for &: $! is then the program
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
typed() { printf '  $ %s\n' "$*"; }
shown() { sed 's/^/    /'; }
shorten() { sed -E 's/(USER.{6})[0-9A-Z]*/\1…/'; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
finish() {
    for process in $listener $sandbox; do
        kill "$process" 2>/dev/null || continue
        wait "$process" 2>/dev/null || :
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Wait until a file matches a pattern; both are our own children's output.
await() {
    for _ in $(seq 100); do grep -qs "$1" "$2" && return; sleep 0.1; done
    fail "no '$1' from: $(cat "$2")"
}

printf 'hhtoken demo: HeadHunter is played by the sandbox, the browser by a few lines of Python.\n'
printf 'Access tokens live for %s seconds here instead of 14 days.\n' "$life"

say '1. A local HeadHunter'
typed "hhtoken sandbox --listen 127.0.0.1:0 --expires-in $life --auto-approve"
port=$("${PYTHON:-/usr/bin/python3}" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
become_hhtoken sandbox --listen 127.0.0.1:0 --expires-in "$life" --auto-approve --quiet \
    --redirect-uri "http://127.0.0.1:$port/callback" >"$work/hh-token.env" 2>"$work/sandbox.log" &
sandbox=$!
await HH_API_URL "$work/hh-token.env"
sed 's/^\(HH_CLIENT_SECRET=\).*/\1…/' "$work/hh-token.env" | shown
chmod 600 "$work/hh-token.env"
export HHTOKEN_ENV_FILE="$work/hh-token.env" HHTOKEN_STATE_DIR="$work/state"

say '2. Before the first authorization: status says what to do'
typed 'hhtoken status'
hhtoken status | shown || :

say '3. The listener waits for the browser'
typed 'hhtoken serve-callback &'
become_hhtoken serve-callback --timeout 30 2>"$work/listener.log" &
listener=$!
await waiting "$work/listener.log"
shown <"$work/listener.log"

say '4. The address to open; the browser opens it, HeadHunter sends it back to the listener'
typed 'hhtoken authorize-url'
hhtoken authorize-url 2>/dev/null >"$work/address"
cut -c 1-96 "$work/address" | sed 's/$/…/' | shown
"${PYTHON:-/usr/bin/python3}" -I - "$work/address" <<'BROWSER' | shown
import re, sys, urllib.request
address = open(sys.argv[1]).read().strip()
request = urllib.request.Request(address, headers={"User-Agent": "demo-browser/1.0", "Accept-Language": "en"})
page = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).read().decode()
print("the browser shows:", re.search("<h1>(.*)</h1><p>(.*?)</p>", page).expand(r"\1. \2"))
BROWSER
wait "$listener" || fail "the listener failed: $(cat "$work/listener.log")"
listener=
tail -n 1 "$work/listener.log" | shown

say '5. The token, as scripts read it'
typed 'hhtoken show --field access_token'
first=$(hhtoken show --field access_token)
printf '%s\n' "$first" | shorten | shown
typed 'hhtoken refresh    # nothing is due: HeadHunter would refuse'
hhtoken refresh
typed 'hhtoken show'
hhtoken show | shown

say "6. After $life seconds the token has expired; show prints nothing and says so"
sleep "$life"
typed 'hhtoken show --field access_token'
hhtoken show --field access_token 2>&1 | shown || :

say '7. Now the refresh is accepted, once'
typed 'hhtoken refresh'
hhtoken refresh 2>&1 | shorten | shown
typed 'hhtoken show --field access_token'
second=$(hhtoken show --field access_token)
printf '%s\n' "$second" | shorten | shown
[ "$first" != "$second" ] || fail 'the token did not change'

say '8. How things stand'
typed 'hhtoken status'
hhtoken status | shown

printf '\nThat is the whole job. README.md has the set-up for the real HeadHunter.\n'
