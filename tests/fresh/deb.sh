#!/bin/bash
# In a minimal root of Debian, as root. `deb.sh build`: `make deb` from /srv/hhtoken.git as docs/install.md says, and lintian.
# `deb.sh try`, also offline and under a booted systemd: a new box; a box with `make install`; upgrade, remove, purge. A token
# that was stored before is renewed after each.
set -euo pipefail
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
checkout=/srv/hhtoken
state=/var/lib/hh-token
settings=/etc/hh-token/hh-token.env
site=/etc/nginx/sites-available/hh-token
enable=$(grep -hs '^systemctl enable' "$checkout/docs/install.md" || :)

die() { echo "deb.sh: $*"; exit 1; }
booted() { [ -d /run/systemd/system ]; }
apt() { apt-get -qq -o Dpkg::Options::=--force-confold "$@" </dev/null >/srv/said 2>&1 || { cat /srv/said; die "apt-get $*"; }; }
documented() { sed -n "s/^# \($1\)/\1/p" docs/install.md; }

build() {
    printf '%s localhost\n' 127.0.0.1 ::1 >/etc/hosts
    printf '%s;\n' 'APT::Get::Assume-Yes "true"' 'APT::Install-Recommends "false"' >/etc/apt/apt.conf.d/99unattended
    apt update
    apt install git lintian make man-db bash-completion nginx systemd
    git clone -q /srv/hhtoken.git "$checkout"
    cd "$checkout"
    eval "$(documented 'apt install .*debhelper')" >/dev/null 2>&1
    SECONDS=0
    make deb >/srv/said 2>&1 || { cat /srv/said; die 'make deb'; }
    echo "# make deb took $SECONDS s; $(dpkg-query -W -f '${Package} ${Version}, ' debhelper lintian)"
    lintian --allow-root --fail-on error,warning build/deb/*.changes >/srv/said 2>&1 || :
    [ ! -s /srv/said ] || { cat /srv/said; die 'lintian has something to say'; }
}

# -- what is there --

token() { python3 -c "import json; print(json.load(open('$state/token.json'))['access_token'])"; }
of_operator() { md5sum "$settings" "$site"; stat -c '%a %U:%G' "$settings"; }
everything() { # but what apt, dpkg, systemd and this test write
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /srv -o -path /tmp -o -path /var/cache -o -path /var/lib/apt \
        -o -path /var/lib/dpkg -o -path /var/log/apt -o -path /var/log/journal \
        -o -path '/var/lib/systemd/timers/stamp-[!h]*' \) -prune -o -print | sort
    find /run -name '*hh-token*'
}
no_unit_failed() { ! booted || [ -z "$(systemctl --failed --no-legend)" ] || { systemctl --failed; die "$1"; }; }
active() { ! booted || systemctl list-units --all --plain --no-legend "$@" 'hh-token*' | awk '$3 == "active" {print $1}' | xargs; }

# -- what is done --

sandbox() { # HeadHunter, whose tokens last for three seconds
    local port=8000
    booted || port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
    "$checkout/bin/hhtoken" sandbox --listen 127.0.0.1:0 --expires-in 3 --auto-approve --quiet \
        --redirect-uri "http://127.0.0.1:$port/callback" >/srv/sandbox 2>/srv/sandbox.log &
    sandbox=$!
    trap 'kill "$sandbox"' EXIT
    for _ in $(seq 200); do ! grep -qs ^HH_API_URL /srv/sandbox || return 0; sleep 0.1; done
    die "no sandbox: $(cat /srv/sandbox.log)"
}

login() {
    hhtoken login --no-browser --timeout 60 >/srv/address 2>/srv/login.log &
    local login=$!
    for _ in $(seq 200); do ! grep -qs ^http /srv/address || break; sleep 0.1; done
    grep -qs ^http /srv/address || { cat /srv/login.log; die 'no address'; }
    python3 -c 'import urllib.request; urllib.request.urlopen(open("/srv/address").read().strip(), timeout=20).read()'
    wait "$login" || { cat /srv/login.log; die 'login'; }
}

renewed() { # WHEN: by the timers; where there is no systemd, as cron does it
    local old
    old=$(token)
    if booted; then
        for _ in $(seq 800); do [ "$(token)" = "$old" ] || break; sleep 0.1; done
    else
        runuser -u hh-token -- env HHTOKEN_STATE_DIR=$state HH_TOKEN_WAIT=5 hh-token-refresh.sh
    fi
    [ "$(token)" != "$old" ] || die "not renewed $1"
    no_unit_failed "$1"
}

start() { ! booted || $enable 2>/dev/null; }

newer() { # the package, as a next version that has another site
    dpkg-deb -R "$package" /srv/newer
    sed -i 's/^Version: .*/Version: 1.0.1/' /srv/newer/DEBIAN/control
    echo '# of the next version' >>"/srv/newer$site"
    dpkg-deb --root-owner-group -b /srv/newer /srv/newer.deb >/dev/null
    rm -r /srv/newer
}

on_a_new_box() {
    apt install "$package"
    [ "$(cd / && runuser -u nobody -- hhtoken --version)" = "hhtoken $version" ] || die 'hhtoken --version'
    man -w hhtoken >/dev/null && man -w hh-token-refresh.sh >/dev/null
    man -L ru -w hhtoken | grep -q /ru/ || die 'no Russian manual'
    bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader hhtoken; complete -p hhtoken' >/dev/null ||
        die 'no completion in bash'
    [ -e /usr/share/zsh/vendor-completions/_hhtoken ] && [ -e /usr/share/fish/vendor_completions.d/hhtoken.fish ]
    [ -d /usr/lib/hhtoken/hhtoken/__pycache__ ] || die 'not compiled'
    [ "$(stat -c '%a %U:%G' $settings $state | xargs)" = '640 root:hh-token 700 hh-token:hh-token' ] || die 'modes'
    [ -z "$(find /etc/systemd -name 'hh-token*')$(active)" ] || die 'something is enabled'
    no_unit_failed 'after the installation'
    apt purge hhtoken
}

from_make_install() {
    make -s install >/dev/null
    cat /srv/sandbox >"$settings"
    sed -i s/your-domain.keenetic.pro/example.org/ "$site"
    ln -s ../sites-available/hh-token /etc/nginx/sites-enabled/
    start
    login
    kept=$(of_operator)
    apt install "$package"
    grep -q "warning: what 'make install'" /srv/said || die 'no word about /usr/local'
    make -s uninstall >/dev/null
    hash -r
    [ "$(command -v hhtoken)" = /usr/bin/hhtoken ]
    start
    renewed 'after make install'
}

upgraded_and_removed() {
    local running
    running=$(active --type=timer,socket)
    newer
    apt install /srv/newer.deb
    [ "$(of_operator)" = "$kept" ] || die 'an edit is lost'
    [ "$(active --type=timer,socket)" = "$running" ] || die "active: $(active), before: $running"
    nginx -t -q
    renewed 'after the upgrade'

    apt remove hhtoken
    [ -z "$(find /usr/lib /usr/bin /usr/share -name 'hh*token*')" ] || die 'the removal leaves some of the program'
    [ "$(of_operator)" = "$kept" ] || die 'an edit is lost by the removal'
    [ -z "$(active)" ] || die "after the removal: $(active)"
    no_unit_failed 'after the removal'
    apt install "$package"
    [ "$(of_operator)" = "$kept" ] || die 'an edit is lost by the new installation'
    start
    renewed 'after the removal'
}

purged() {
    echo HHTOKEN_PUBLISH=/var/spool/access_token >>"$settings"
    touch /var/spool/access_token /var/log/nginx/oauth_callback.log.2.gz
    ! booted || systemctl enable --now hh-token-due@alice.timer hh-token-refresh@alice.timer 2>/dev/null
    apt purge hhtoken
    nginx -t -q
    [ -z "$(active)" ] || die "after the purge: $(active)"
    no_unit_failed 'after the purge'
}

try() {
    cd "$checkout"
    package=$(echo "$PWD"/hhtoken_*_all.deb)
    version=$(dpkg-deb -f "$package" Version)
    nginx -t -q
    on_a_new_box
    mkdir -p /etc/systemd/system/timers.target.wants /var/lib/systemd/timers # systemd's own
    everything >/srv/before
    sandbox
    from_make_install
    upgraded_and_removed
    purged
    everything >/srv/after
    left=$(comm -13 /srv/before /srv/after | grep -vE '^(/usr/local/|/etc/fish)' || :) # folders of make install
    [ -z "$left" ] || die "left after the purge: $left"
    echo "# package tried $(booted && systemctl --version | head -n 1 || echo without systemd) in $SECONDS s"
}

"$1"
