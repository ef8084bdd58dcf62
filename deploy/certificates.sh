#!/usr/bin/env bash
# Makes a CA and certificates for tests: ./certificates.sh FOLDER [SERVER…]
#
# For each server (n1 n2 n3 unless others are named) SERVER.pem and SERVER.key, good for that name
# and for this machine, to serve and to connect to other servers; client.pem and client.key for
# programs and agents. For real use have your own CA make them: this one keeps its key beside them.
set -euo pipefail

if [ $# -lt 1 ]; then
    echo "usage: $0 FOLDER [SERVER…]" >&2
    exit 2
fi
mkdir -p "$1"
cd "$1"
shift
[ $# -gt 0 ] || set -- n1 n2 n3
umask 077
days=30

key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

# certificate NAME EXTENSION…: signed by the CA.
certificate() {
    local name=$1
    shift
    key "$name.key"
    openssl req -new -key "$name.key" -subj "/CN=$name" -out request.tmp
    printf '%s\n' "basicConstraints = critical, CA:FALSE" "keyUsage = digitalSignature" \
        "authorityKeyIdentifier = keyid" "$@" >extensions.tmp
    openssl x509 -req -in request.tmp -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" \
        -days "$days" -sha256 -extfile extensions.tmp -out "$name.pem" 2>/dev/null
    rm request.tmp extensions.tmp
}

key ca.key
openssl req -x509 -new -key ca.key -subj "/CN=pool test CA" -days "$days" -sha256 -out ca.pem \
    -addext "keyUsage = critical, keyCertSign, cRLSign"
for server; do
    certificate "$server" "extendedKeyUsage = serverAuth, clientAuth" \
        "subjectAltName = DNS:$server, DNS:localhost, IP:127.0.0.1"
done
certificate client "extendedKeyUsage = clientAuth"
