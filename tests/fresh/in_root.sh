#!/bin/bash
# In a minimal root of Debian: in_root.sh root|user. Types what stands in /srv/commands: apt as root, all else as the reader.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

printf '%s localhost\n' 127.0.0.1 ::1 >/etc/hosts # as Debian's installer does
printf '%s;\n' 'APT::Get::Assume-Yes "true"' 'APT::Install-Recommends "false"' >/etc/apt/apt.conf.d/99unattended
apt-get update -qq
sed -n 's/^sudo apt install/apt-get install -qq/p' /srv/commands >/srv/as_root
sed '/^sudo apt install/d; s/^make /time &/; s|<[^>]*>|/srv/hhtoken.git|' /srv/commands >/srv/as_reader
for one in /srv/as_root /srv/as_reader; do
    [ -s "$one" ] || { echo "no commands for $one in the README"; exit 1; }
done
bash -e /srv/as_root >/dev/null

become=()
cd /root
if [ "$1" = user ]; then
    useradd --create-home --home-dir '/home/Мой дом' --shell /bin/bash newcomer
    chown -R newcomer /srv/hhtoken.git # git clones nothing of another user's
    become=(setpriv --reuid=newcomer --regid=newcomer --init-groups
        env HOME='/home/Мой дом' USER=newcomer LOGNAME=newcomer LANG=ru_RU.UTF-8)
    umask 002
    cd '/home/Мой дом'
fi
echo "# $(python3 --version), $(git --version), umask $(umask), $1"
TIMEFORMAT='# took %R s' "${become[@]}" bash -e /srv/as_reader

apt-get install -qq pipx man-db bash-completion >/dev/null
cd hhtoken
"${become[@]}" make dist
"${become[@]}" tests/fresh/pipx.sh dist/*.whl | sed 's/^/# /'
