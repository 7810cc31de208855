#!/bin/sh
# In the box: a TLS terminator with a certificate authority of its own in KeenDNS's place, and a browser that trusts it.
set -eu
umask 077
host=$1 folder=/etc/hhtest-tls home=/var/tmp/browser

mkdir -p "$folder"
cd "$folder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=test CA' \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
    -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$host" \
    -keyout key.pem -out csr.pem 2>/dev/null
printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' "$host" >extensions
openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -days 2 -extfile extensions -out certificate.pem 2>/dev/null
cat key.pem certificate.pem ca.pem >stunnel.pem
cat >/etc/stunnel/keendns.conf <<EOS
foreground = yes
syslog = no
[https]
accept = 127.0.0.1:443
connect = 127.0.0.1:80
cert = $folder/stunnel.pem
EOS
echo "127.0.0.1 $host" >>/etc/hosts
systemctl start stunnel@keendns

# Chromium takes further authorities from ~/.pki/nssdb.
useradd --create-home --home-dir "$home" browser
mkdir -p "$home/.pki/nssdb"
certutil -d "sql:$home/.pki/nssdb" -N --empty-password
certutil -d "sql:$home/.pki/nssdb" -A -t C,, -n test-ca -i ca.pem
chown -R browser: "$home"
