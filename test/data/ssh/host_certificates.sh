#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes host_certificates.txt with ssh-keygen: lines of a name and a public key. README.md says what they are.
set -eu
out=$(cd "$(dirname "$0")" && pwd)/host_certificates.txt
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"

keep() { # NAME FILE
    printf '%s %s\n' "$1" "$(cut -d' ' -f1,2 "$2")" >>"$out"
}
certify() { # NAME CA OPTIONS…
    name=$1 ca=$2
    shift 2
    ssh-keygen -q -s "$ca" -I "$name" "$@" host.pub
    keep "$name" host-cert.pub
}

: >"$out"
ssh-keygen -q -N '' -t ed25519 -f ca
ssh-keygen -q -N '' -t ed25519 -f other-ca
ssh-keygen -q -N '' -t ecdsa -b 384 -f ecdsa-ca
ssh-keygen -q -N '' -t rsa -b 2048 -f rsa-ca
ssh-keygen -q -N '' -t ed25519 -f host
for name in ca other-ca ecdsa-ca rsa-ca host; do
    keep "$name" "$name.pub"
done
certify host-cert ca -h -n alpha,b?ta*
certify by-ecdsa ecdsa-ca -h -n alpha
certify by-rsa-sha2 rsa-ca -t rsa-sha2-512 -h -n alpha
certify by-rsa-sha1 rsa-ca -t ssh-rsa -h -n alpha
certify until-2030 ca -h -n alpha -V 20200102030405Z:20300102030405Z
certify no-principals ca -h
certify of-a-user ca -n alpha
certify critical-option ca -h -n alpha -O critical:option@example.com=1
