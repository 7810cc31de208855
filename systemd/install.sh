#!/bin/sh
# Puts hhtoken in place, or removes it. Called by the Makefile, which sets the paths: install.sh install|uninstall
set -eu
umask 022
cd "$(dirname "$0")/.."

units='hh-token-refresh.timer hh-token-due.timer hh-token-callback.socket'
hardening=hh-token-.service.d/10-hardening.conf
programs='hhtoken hh-token-refresh.sh hh-token-notify.sh'

die() {
    printf 'make: %s\n' "$1" >&2
    exit 1
}

# Without DESTDIR this is the machine that it will run on.
is_live() { [ -z "$DESTDIR" ]; }
has_systemd() { is_live && [ -d /run/systemd/system ]; }

# The files in the checkout name the default paths, so that they can be read, checked and run as they are.
put() { # MODE SOURCE TARGET
    mkdir -p "$DESTDIR$(dirname "$3")"
    sed -e "s|/usr/local/lib/hhtoken|$LIBDIR|g" -e "s|/usr/local/share/hhtoken|$SHAREDIR|g" \
        -e "s|/etc/hh-token|$SYSCONFDIR/hh-token|g" -e "s|/etc/hh\\\\-token|$SYSCONFDIR/hh\\\\-token|g" \
        -e "s|/usr/bin/python3|$PYTHON|g" "$2" >"$DESTDIR$3.new"
    chmod "$1" "$DESTDIR$3.new"
    mv -f "$DESTDIR$3.new" "$DESTDIR$3"
}

put_as_is() { # MODE SOURCE TARGET
    mkdir -p "$DESTDIR$(dirname "$3")"
    cp "$2" "$DESTDIR$3"
    chmod "$1" "$DESTDIR$3"
}

put_if_absent() { [ -e "$DESTDIR$3" ] || put "$@"; }

# Beside the old program, then in its place: a refresh that runs meanwhile finds one of the two, whole.
install_program() {
    new=$LIBDIR.new
    rm -rf "$DESTDIR$new"
    for module in hhtoken/*.py hhtoken/*/*.py hhtoken/*/*/*.py; do put 644 "$module" "$new/$module"; done
    for catalog in hhtoken/console/locale/*/*/*.mo; do put_as_is 644 "$catalog" "$new/$catalog"; done
    for program in $programs; do put 755 "bin/$program" "$new/bin/$program"; done
    # At install, since the units may not write here: without it, each run would compile everything again.
    "$PYTHON" -m compileall -q -f -s "$DESTDIR$new" -p "$LIBDIR" "$DESTDIR$new/hhtoken" >/dev/null
    rm -rf "$DESTDIR$LIBDIR.old"
    [ ! -d "$DESTDIR$LIBDIR" ] || mv "$DESTDIR$LIBDIR" "$DESTDIR$LIBDIR.old"
    mv "$DESTDIR$new" "$DESTDIR$LIBDIR"
    rm -rf "$DESTDIR$LIBDIR.old"

    mkdir -p "$DESTDIR$PREFIX/bin"
    target=../${LIBDIR#"$PREFIX"/}
    [ "$target" != "../$LIBDIR" ] || target=$LIBDIR # outside of PREFIX
    for program in $programs; do ln -sfn "$target/bin/$program" "$DESTDIR$PREFIX/bin/$program"; done
}

install_manual() {
    put 644 man/hhtoken.1 "$MANDIR/man1/hhtoken.1"
    put 644 man/ru/hhtoken.1 "$MANDIR/ru/man1/hhtoken.1"
    put 644 completions/hhtoken "$BASHCOMPDIR/hhtoken"
    put 644 completions/_hhtoken "$ZSHCOMPDIR/_hhtoken"
    put 644 completions/hhtoken.fish "$FISHCOMPDIR/hhtoken.fish"
}

install_configuration() {
    for unit in systemd/*.service systemd/*.timer systemd/*.socket; do put 644 "$unit" "$UNITDIR/${unit#*/}"; done
    put 644 "systemd/$hardening" "$UNITDIR/$hardening"
    put 644 systemd/hh-token.sysusers.conf "$SYSUSERSDIR/hh-token.conf"
    put 644 systemd/hh-token.tmpfiles.conf "$TMPFILESDIR/hh-token.conf"
    put 644 nginx/hh-token "$SHAREDIR/nginx/hh-token"
    put 644 nginx/hh-token-down.html "$SHAREDIR/nginx/hh-token-down.html"
    for example in docs/examples/*.sh docs/examples/*.py; do put 755 "$example" "$SHAREDIR/examples/${example##*/}"; done
    put 644 docs/examples/alerts.yml "$SHAREDIR/examples/alerts.yml"
    mkdir -p "$DESTDIR$SYSCONFDIR/hh-token"
    chmod 750 "$DESTDIR$SYSCONFDIR/hh-token"
    put_if_absent 640 docs/examples/hh-token.env "$SYSCONFDIR/hh-token/hh-token.env"
    put_if_absent 644 nginx/hh-token "$NGINXDIR/sites-available/hh-token"
}

set_up_machine() {
    if command -v systemd-sysusers >/dev/null && command -v systemd-tmpfiles >/dev/null; then
        systemd-sysusers "$SYSUSERSDIR/hh-token.conf"
        systemd-tmpfiles --create "$TMPFILESDIR/hh-token.conf"
    else
        echo 'no systemd here: docs/systemd.md has the account and the directories, under "cron"'
    fi
    has_systemd || return 0
    systemctl daemon-reload
    systemctl try-restart hh-token-refresh.timer hh-token-due.timer 'hh-token-*@*.timer'
    for unit in hh-token-refresh.service hh-token-refresh.timer; do
        if [ "$UNITDIR" != /etc/systemd/system ] && [ -f "/etc/systemd/system/$unit" ]; then
            echo "warning: the old /etc/systemd/system/$unit stands in front of the new one; see docs/upgrade.md"
        fi
    done
}

do_install() {
    if is_live; then
        [ "$(id -u)" = 0 ] || die 'install: this needs root; or set DESTDIR'
        "$PYTHON" -I -c 'import requests' 2>/dev/null || die 'install: missing: apt install python3-requests'
    fi
    install_program
    install_manual
    install_configuration
    ! is_live || set_up_machine
    echo "installed in $DESTDIR$LIBDIR; the settings are in $DESTDIR$SYSCONFDIR/hh-token/hh-token.env"
    ! has_systemd || echo "to start: systemctl enable --now $units"
}

# Our units, as systemctl and the shell know them: hh-token-refresh@*.timer stands for every account's.
all_units=$(printf '%s\n' systemd/*.timer systemd/*.socket systemd/*.service | sed 's|^systemd/||; s|@\.|@*.|')

published() { # the path that HHTOKEN_PUBLISH names
    sed -n "s|^[[:space:]]*\(export[[:space:]]*\)\{0,1\}HHTOKEN_PUBLISH=[\"']*\(/[^\"']*\).*|\2|p" \
        "$DESTDIR$SYSCONFDIR/hh-token/hh-token.env" 2>/dev/null | tail -n 1
}

# shellcheck disable=SC2086 # patterns
each_kept() { # COMMAND... PATH, for all that only PURGE=1 removes
    file=$(published)
    for account in '' "$DESTDIR/var/lib/hh-token/accounts"/*; do
        path=$DESTDIR$file${account:+-${account##*/}}
        { [ -z "$file" ] || [ ! -f "$path" ]; } || "$@" "$path"
    done
    for unit in $all_units; do
        for path in "$DESTDIR/etc/systemd/system"/$unit "$DESTDIR/etc/systemd/system"/$unit.d; do
            [ ! -e "$path" ] || "$@" "$path"
        done
    done
    for path in "$DESTDIR$NGINXDIR/sites-enabled/hh-token" "$DESTDIR$NGINXDIR/sites-available/hh-token" \
        "$DESTDIR/var/log/nginx/oauth_callback.log"* "$DESTDIR/run/hh-token" "$DESTDIR/var/lib/hh-token" \
        "$DESTDIR$SYSCONFDIR/hh-token"; do
        { [ ! -e "$path" ] && [ ! -L "$path" ]; } || "$@" "$path"
    done
}

name_it() { printf '  %s\n' "${1#"$DESTDIR"}"; }

# The links of `systemctl enable` by hand, since a chroot or DESTDIR has no systemd to ask.
# shellcheck disable=SC2086 # patterns
remove_units() {
    ! has_systemd || systemctl stop $all_units 2>/dev/null || :
    # Once more: a refresh that failed while it was stopped has started it.
    ! has_systemd || systemctl stop 'hh-token-notify*.service' || :
    for unit in systemd/*.service systemd/*.timer systemd/*.socket; do rm -f "$DESTDIR$UNITDIR/${unit#*/}"; done
    rm -f "$DESTDIR$UNITDIR/$hardening"
    rmdir "$DESTDIR$UNITDIR/${hardening%/*}" 2>/dev/null || : # another's file is in it
    for unit in $all_units; do
        rm -f "$DESTDIR/etc/systemd/system"/*.wants/$unit "$DESTDIR/var/lib/systemd/timers"/stamp-$unit
    done
    rm -rf "$DESTDIR/run/hh-token-notify" "$DESTDIR/run/hh-token-notify@"*
    ! has_systemd || systemctl daemon-reload
    ! has_systemd || systemctl reset-failed $all_units 2>/dev/null || :
}

# nginx goes on with a removed site until it is told.
reload_nginx() {
    command -v nginx >/dev/null || return 0
    if ! nginx -t -q; then
        echo "warning: 'nginx -t' fails, so nginx goes on with the removed site" >&2
    elif has_systemd; then
        systemctl try-reload-or-restart nginx || :
    else
        nginx -s reload 2>/dev/null || :
    fi
    [ -e "$NGINXDIR/sites-enabled/default" ] || [ ! -e "$NGINXDIR/sites-available/default" ] ||
        echo "nginx: Debian's default site is off; ln -s ../sites-available/default $NGINXDIR/sites-enabled/ turns it on"
}

do_uninstall() {
    remove_units
    for program in $programs; do rm -f "$DESTDIR$PREFIX/bin/$program"; done
    rm -rf "$DESTDIR$LIBDIR" "$DESTDIR$SHAREDIR"
    rm -f "$DESTDIR$MANDIR/man1/hhtoken.1" "$DESTDIR$MANDIR/ru/man1/hhtoken.1" "$DESTDIR$BASHCOMPDIR/hhtoken" \
        "$DESTDIR$ZSHCOMPDIR/_hhtoken" "$DESTDIR$FISHCOMPDIR/hhtoken.fish"
    rm -f "$DESTDIR$SYSUSERSDIR/hh-token.conf" "$DESTDIR$TMPFILESDIR/hh-token.conf"
    kept=$(each_kept name_it)
    if [ "${PURGE:-}" != 1 ]; then
        [ -z "$kept" ] || echo "kept, with the account hh-token and the group hh-token-readers; PURGE=1 removes these too:
$kept"
        return
    fi
    each_kept rm -rf
    case $kept in
        *"$NGINXDIR/sites-enabled/hh-token"*) ! is_live || reload_nginx ;;
    esac
    ! is_live || ! id hh-token >/dev/null 2>&1 || userdel hh-token
    ! is_live || ! grep -qs '^hh-token-readers:' /etc/group || groupdel hh-token-readers
    echo "removed everything, the token too; the journal and nginx's access.log keep their lines"
}

case ${1-} in
    install) do_install ;;
    uninstall) do_uninstall ;;
    *) die 'usage: install.sh install|uninstall' ;;
esac
