#!/bin/sh
# What the timers, or cron, start: one `hhtoken refresh`, its outcome in syslog under the tag hh-token-refresh, and its
# exit code. Arguments go to `hhtoken refresh`. HH_TOKEN_WAIT=SECONDS: if the pair becomes due within so many seconds,
# wait for it. A refresh with nothing to do says nothing and logs nothing.

# Its output goes to a log, which is in English.
unset LANGUAGE
export LC_ALL=C.UTF-8

# A handler, not '': the child must get its signals as usual. It finishes a request that is under way, and this script
# waits for it, so that neither a stop nor a shutdown costs the pair.
stopped=
trap 'stopped=yes' TERM INT HUP

report() { # PRIORITY TEXT: to syslog, or to standard error where there is no syslog; a person sees it in any case
    if [ -S /dev/log ] && printf '%s\n' "$2" | logger -t hh-token-refresh -p "$1" 2>/dev/null && [ ! -t 2 ]; then
        return
    fi
    printf '%s\n' "$2" >&2
}

self=$(readlink -f -- "$0")
output=$(exec "${self%/*}/hhtoken" refresh --wait "${HH_TOKEN_WAIT:-0}" "$@" 2>&1)
code=$?

if [ "$code" -eq 0 ]; then
    # notice, not info: the unit's LogLevelMax= drops info, since systemd itself has so much of it to say.
    [ -z "$output" ] || report user.notice "$output"
elif [ -n "$stopped" ] && [ "$code" -gt 128 ]; then
    exit 143 # 128 + SIGTERM: stopped on purpose while it waited, with nothing sent
else
    report user.err "${output:+$output
}hhtoken refresh ended with exit code $code${HHTOKEN_ACCOUNT:+ for the account $HHTOKEN_ACCOUNT}"
fi
exit "$code"
