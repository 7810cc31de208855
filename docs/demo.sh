#!/bin/sh
# The main job from consent to renewal, against the sandbox: what an operator types, and what comes back.
# PYTHON names the interpreter; everything is in a temporary directory, which is removed at the end.
set -eu

# Whatever the caller works with stays out of this.
# shellcheck disable=SC2046
unset $(env | sed -n 's/^\(HH_[A-Z_]*\)=.*/\1/p; s/^\(HHTOKEN_[A-Z_]*\)=.*/\1/p')

life=5
here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-/usr/bin/python3}
work=$(mktemp -d)
sandbox=
login=

hhtoken() { "$python" -I "$here/bin/hhtoken" "$@"; }
become_hhtoken() { exec "$python" -I "$here/bin/hhtoken" "$@"; } # for &: $! is then the program
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
case $(hhtoken --help) in usage:*) english=yes ;; *) english= ;; esac # what the reader reads, the program knows
tell() { if [ -n "$english" ]; then printf '%s\n' "$1"; else printf '%s\n' "$2"; fi; } # ENGLISH RUSSIAN
say() { printf '\n%s%s%s\n' "$bold" "$(tell "$@")" "$plain"; }
typed() { printf '  $ %s\n' "$*"; }
shown() { sed 's/^/    /'; }
shorten() { sed -E 's/(USER.{6})[0-9A-Z]*/\1…/'; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
finish() {
    for process in $login $sandbox; do
        kill "$process" 2>/dev/null || continue
        wait "$process" 2>/dev/null || :
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Wait until a file has a line that begins so; both are output of our own children, for programs and in no language.
await() {
    for _ in $(seq 200); do grep -qs "^$1" "$2" && return; sleep 0.1; done
    fail "no '$1' from: $(cat "$2" "$2.log")"
}

tell 'hhtoken demo: HeadHunter is played by the sandbox, the browser by a few lines of Python.' \
    'Демонстрация hhtoken: вместо HeadHunter отвечает песочница, вместо браузера — несколько строк на Python.'
tell "An access token expires after $life seconds here instead of 14 days." \
    "Токен доступа истекает здесь через $life секунд, а не через 14 дней."

say '1. A local HeadHunter' '1. Локальный HeadHunter'
typed "hhtoken sandbox --listen 127.0.0.1:0 --expires-in $life --auto-approve >hh-token.env &"
port=$("$python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
become_hhtoken sandbox --listen 127.0.0.1:0 --expires-in "$life" --auto-approve --quiet \
    --redirect-uri "http://127.0.0.1:$port/callback" >"$work/hh-token.env" 2>"$work/hh-token.env.log" &
sandbox=$!
await HH_API_URL "$work/hh-token.env"
chmod 600 "$work/hh-token.env"
export HHTOKEN_ENV_FILE="$work/hh-token.env" HHTOKEN_STATE_DIR="$work/state"

say '2. Log in: open the address, allow the access' '2. Вход: открыть адрес, разрешить доступ'
typed 'hhtoken login --no-browser'
become_hhtoken login --no-browser --timeout 60 >"$work/address" 2>"$work/address.log" &
login=$!
await http "$work/address"
cut -c 1-96 "$work/address" | sed 's/$/…/' | shown
"$python" -I - "$work/address" "${english:+en}" >"$work/page" <<'BROWSER'
import re, sys, urllib.request
address = open(sys.argv[1]).read().strip()
headers = {"User-Agent": "demo-browser/1.0", "Accept-Language": sys.argv[2] or "ru"}
request = urllib.request.Request(address, headers=headers)
page = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).read().decode()
sys.stdout.buffer.write(re.search("<h1>(.*)</h1><p>(.*?)</p>", page).expand(r"\1. \2\n").encode())
BROWSER
wait "$login" || fail "the login failed: $(cat "$work/address.log")"
login=
{ tell 'the browser shows:' 'в браузере:'; cat "$work/page"; } | tr '\n' ' ' | sed 's/ $/\n/' | shown
shown <"$work/address.log"

say '3. How things stand' '3. Как обстоят дела'
typed 'hhtoken status'
hhtoken status | shown

say '4. The token, for scripts; nothing is due yet, so HeadHunter is not asked' \
    '4. Токен для скриптов; обновлять ещё рано, поэтому HeadHunter никто не спрашивает'
typed 'hhtoken show --field access_token'
first=$(hhtoken show --field access_token)
printf '%s\n' "$first" | shorten | shown
typed 'hhtoken refresh'
hhtoken refresh

say '5. The token expires. A refresh token works once, and only now' \
    '5. Токен истекает. Токен обновления действует один раз, и только теперь'
typed 'hhtoken refresh --wait 30'
hhtoken refresh --wait 30 2>&1 | shorten | shown
typed 'hhtoken show --field access_token'
second=$(hhtoken show --field access_token)
printf '%s\n' "$second" | shorten | shown
[ "$first" != "$second" ] || fail 'the token did not change'

say 'That is the whole job. README.md has the set-up for the real HeadHunter.' \
    'Это вся работа. Как настроить настоящий HeadHunter, рассказано в README.ru.md.'
