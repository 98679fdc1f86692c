#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes all certificates here with swtpm_setup and openssl, and the fuzzer's seeds. README.md says what they are.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
rm -rf "$out/swtpm" "$out/maker" "$out/good" "$out/bad" "$out/above"
mkdir -p "$out/swtpm/roots" "$out/maker" "$out/good" "$out/bad" "$out/above"

# swtpm's own authority, and the certificates of a new TPM: RSA 2048 and P-384.
mkdir state ca certs
printf '%s\n' "statedir = $folder/ca" "signingkey = $folder/ca/signkey.pem" "issuercert = $folder/ca/issuercert.pem" \
    "certserial = $folder/ca/certserial" >localca.conf
printf '%s\n' '--platform-manufacturer Example' '--platform-version 1' '--platform-model Example' >localca.options
printf '%s\n' "create_certs_tool = $(command -v swtpm_localca)" "create_certs_tool_config = $folder/localca.conf" \
    "create_certs_tool_options = $folder/localca.options" 'active_pcr_banks = sha256' >setup.conf
swtpm_setup --tpm2 --runas "$(id -un)" --tpmstate state --create-ek-cert --config setup.conf --vmid test \
    --write-ek-cert-files certs >swtpm.log || { cat swtpm.log >&2 && exit 1; }
install -m 644 certs/ek-rsa2048.crt "$out/swtpm/rsa-2048.der"
install -m 644 certs/ek-secp384r1.crt "$out/swtpm/p384.der"
sed -n 's/.* --ek \([^ ]*\) .*/\1/p' swtpm.log >"$out/swtpm/keys.txt"
cp ca/swtpm-localca-rootca-cert.pem "$out/swtpm/roots/root.pem"
cp ca/issuercert.pem "$out/swtpm/roots/issuer.pem"

key() { # NAME OPTIONS… of genpkey
    name=$1
    shift
    openssl genpkey "$@" -out "$name.key" 2>/dev/null
    openssl pkey -in "$name.key" -pubout -out "$name.pub"
}
ec() { # NAME CURVE
    key "$1" -algorithm EC -pkeyopt "ec_paramgen_curve:$2"
}

serial=1
# A certificate that is valid until 9966.
certify() { # FILE SUBJECT PUBLIC-KEY EXTENSIONS ISSUER OPTIONS…
    file=$1 subject=$2 public_key=$3 extensions=$4 issuer=$5
    shift 5
    serial=$((serial + 1))
    openssl x509 -new -force_pubkey "$public_key.pub" -subj "$subject" -CA "$issuer.pem" -CAkey "$issuer.key" \
        -set_serial "$serial" -days 2900000 -extfile profiles.cnf -extensions "$extensions" -out "$file" "$@"
}
authority() { # NAME SUBJECT ISSUER OPTIONS… ; its key is NAME.key
    name=$1 subject=$2 issuer=$3
    shift 3
    certify "$name.pem" "$subject" "$name" ca "$issuer" "$@"
}
root() { # NAME SUBJECT OPTIONS…
    name=$1 subject=$2
    shift 2
    openssl req -x509 -new -key "$name.key" -subj "$subject" -set_serial 1 -days 2900000 -config profiles.cnf \
        -extensions ca -out "$name.pem" "$@"
}
keep() { # FOLDER NAME…: as DER
    where=$out/$1
    shift
    for name; do
        openssl x509 -in "$name.pem" -outform der -out "$where/$name.der"
    done
}

# A model that would steer a terminal: ESC and, read as Latin-1, the control sequence introducer (C1).
sed "s/^\(2.2.23.133.2.2 = \)MODEL$/\1$(printf 'Model\033[2J\302\233x')/" "$out/profiles.cnf" >profiles.cnf
printf '[req]\ndistinguished_name = none\nutf8 = yes\n[none]\n' >>profiles.cnf

# The maker: a root, an authority below it, and one below that.
ec root P-256
root root '/O=Maker/CN=Maker TPM Root'
key middle -algorithm RSA -pkeyopt rsa_keygen_bits:2048
authority middle '/O=Maker/CN=Maker TPM Middle' root
ec issuer P-256
authority issuer '/O=Maker/CN=Maker TPM Issuer' middle
ec aside P-256
authority aside '/O=Maker/CN=Maker Aside' root
cp root.pem middle.pem "$out/maker/"
keep maker issuer aside

# Another maker.
ec other-root P-384
root other-root '/O=Other Maker/CN=Other Root'
ec other-issuer P-256
authority other-issuer '/O=Other Maker/CN=Other Issuer' other-root
cp other-root.pem "$out/maker/"
keep above root middle other-issuer

# Certificates that must be taken. The endorsement keys:
key ek-rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048
ec ek P-256
ec ek-p384 P-384
ec ek-p521 P-521
for name in ek-rsa ek ek-p384 ek-p521; do
    openssl pkey -pubin -in "$name.pub" -outform der -out "$out/good/$name.pub"
done
ek() { # PATH PUBLIC-KEY EXTENSIONS ISSUER OPTIONS…
    path=$1 public_key=$2 extensions=$3 issuer=$4
    shift 4
    certify "$out/$path.der" '/CN=EK' "$public_key" "$extensions" "$issuer" -outform der "$@"
}
ek good/rsa-2048 ek-rsa rsa issuer
ek good/p256 ek ec issuer
ek good/p384 ek-p384 ec issuer
ek good/p521 ek-p521 ec middle
ek good/one-rdn ek one_rdn issuer
ek good/odd-letters ek odd_letters issuer
ek good/below-root ek ec root
ek good/by-pss ek ec middle -sigopt rsa_padding_mode:pss
certify "$out/good/no-subject.der" / ek ec issuer -outform der
ek good/no-eku ek no_eku issuer # with Eku::optional

# Certificates that must be refused, each for one thing.
for name in other_eku no_key_usage is_ca is_ca_by_constraints is_ca_by_usage no_san other_san no_manufacturer no_model \
    no_version two_models unknown_critical damaged_extension; do
    ek "bad/$(echo "$name" | tr _ -)" ek "$name" issuer
done
ek bad/rsa-with-key-agreement ek-rsa ec issuer
ek bad/ec-with-key-encipherment ek rsa issuer
certify "$out/bad/no-subject-plain-san.der" / ek plain_san issuer -outform der
ek bad/expired ek ec issuer -days 1
ek bad/by-sha1 ek ec issuer -sha1
ek bad/by-other-maker ek ec other-issuer
openssl x509 -new -force_pubkey ek.pub -subj /CN=EK -CA issuer.pem -CAkey issuer.key -set_serial 99 -days 2900000 \
    -outform der -out "$out/bad/v1.der"
key ek-rsa-1024 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
ek bad/rsa-1024 ek-rsa-1024 rsa issuer
key ek-rsa-pss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048
ek bad/rsa-pss ek-rsa-pss rsa issuer
key ek-ed25519 -algorithm ED25519
ek bad/ed25519 ek-ed25519 ec issuer
ec ek-k256 secp256k1
ek bad/secp256k1 ek-k256 ec issuer
key ek-explicit -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit
ek bad/explicit-curve ek-explicit ec issuer

# Authorities that must not stand between, each with an endorsement certificate EK-NAME that it signed.
ec self P-256
# An endorsement certificate that signs itself.
openssl x509 -new -key self.key -subj /CN=EK -set_serial 98 -days 2900000 -extfile profiles.cnf -extensions ec \
    -out self-signed.pem
above() { # NAME: an authority, as NAME.pem and NAME.key
    keep above "$1"
    ek "above/ek-$1" ek ec "$1"
}
ec half-ca P-256
certify half-ca.pem '/CN=No Constraints' half-ca half_ca root
above half-ca
ec no-ca P-256
certify no-ca.pem '/CN=No Authority' no-ca ec root
above no-ca
key small -algorithm RSA -pkeyopt rsa_keygen_bits:1024
authority small '/CN=Small' root
above small
ec by-sha1 P-256
authority by-sha1 '/CN=By SHA-1' middle -sha1
above by-sha1
ec short-lived P-256
authority short-lived '/CN=Short-lived' root -days 1
above short-lived
# The root's name and key, signed by another key: self-issued, not self-signed.
ec false-root P-256
openssl x509 -new -force_pubkey root.pub -key false-root.key -subj '/O=Maker/CN=Maker TPM Root' -set_serial 97 \
    -days 2900000 -extfile profiles.cnf -extensions ca_by_name -out false-root.pem
keep above false-root self-signed
"$out/seeds.py"
