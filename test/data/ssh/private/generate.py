#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the private keys of this folder anew, with ssh-keygen and openssl; see README.md."""

import base64
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
PASSPHRASE = "correct horse"
CURVES = {256: "P-256", 384: "P-384", 521: "P-521"}


def run(*command, stdin=b""):
    return subprocess.run(command, input=stdin, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def keygen(*arguments):
    run("ssh-keygen", "-q", *arguments)


def again(source, target, *arguments):
    """A copy of an unencrypted key in another container."""
    shutil.copy(source, target)
    os.chmod(target, 0o600)
    keygen("-p", "-P", "", "-f", target, *arguments)


def containers(name):
    """NAME.openssh is there; all others are made of it."""
    source = f"{name}.openssh"
    again(source, f"{name}.openssh-encrypted", "-N", PASSPHRASE, "-a", "2")
    again(source, f"{name}.pem", "-N", "", "-m", "PEM")
    again(source, f"{name}.pem-encrypted", "-N", PASSPHRASE, "-m", "PEM")
    again(source, f"{name}.pkcs8", "-N", "", "-m", "PKCS8")
    run("openssl", "pkcs8", "-topk8", "-in", f"{name}.pkcs8", "-out", f"{name}.pkcs8-encrypted", "-v2", "aes-256-cbc",
        "-iter", "2048", "-passout", f"pass:{PASSPHRASE}")


def usual_keys():
    for kind, sizes in (("ecdsa", (256, 384, 521)), ("rsa", (2048, 3072, 4096))):
        for bits in sizes:
            name = f"{kind}-{bits}"
            keygen("-t", kind, "-b", str(bits), "-N", "", "-C", f"{kind} of {bits} bits", "-f", name)
            shutil.move(name, f"{name}.openssh")
            containers(name)


def ciphers():
    for cipher in ("aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-ctr", "aes192-ctr", "3des-cbc",
                   "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"):
        again("ecdsa-256.openssh", f"ecdsa-256.{cipher.split('@')[0]}", "-N", PASSPHRASE, "-a", "2", "-Z", cipher)
    source = "ecdsa-256.pem"
    out = f"pass:{PASSPHRASE}"
    run("openssl", "ec", "-in", source, "-out", "ecdsa-256.pem-des3", "-des3", "-passout", out)
    run("openssl", "ec", "-provider", "legacy", "-provider", "default", "-in", source, "-out", "ecdsa-256.pem-des",
        "-des", "-passout", out)
    run("openssl", "pkcs8", "-topk8", "-in", source, "-out", "ecdsa-256.pkcs8-scrypt", "-scrypt", "-passout", out)
    run("openssl", "pkcs8", "-topk8", "-in", source, "-out", "ecdsa-256.pkcs8-3des", "-v1", "PBE-SHA1-3DES", "-passout",
        out)
    run("openssl", "pkcs8", "-provider", "legacy", "-provider", "default", "-topk8", "-in", source, "-out",
        "ecdsa-256.pkcs8-des", "-v1", "PBE-MD5-DES", "-passout", out)


def numbers(pem, width):
    text = run("openssl", "pkey", "-noout", "-text", stdin=pem).decode()
    field = lambda name: bytes.fromhex(re.sub(r"[^0-9a-f]", "", re.search(name + r":\n((?:    .*\n)+)", text)[1]))
    point = field("pub")[1:]
    return int.from_bytes(field("priv"), "big").to_bytes(width, "big"), point[:width], point[width:]


def short_numbers():
    """On each curve a key with a short scalar, one with a short x, one with a short y."""
    for bits, curve in CURVES.items():
        width = (bits + 7) // 8
        zeros = bytes(2 if bits == 521 else 1)
        wanted = {"scalar", "x", "y"}
        while wanted:
            pem = run("openssl", "ecparam", "-name", {256: "prime256v1", 384: "secp384r1", 521: "secp521r1"}[bits],
                      "-genkey", "-noout")
            for what, value in zip(("scalar", "x", "y"), numbers(pem, width)):
                if what in wanted and value.startswith(zeros):
                    wanted.remove(what)
                    name = f"short-{what}-{bits}"
                    Path(f"{name}.pem").write_bytes(pem)
                    os.chmod(f"{name}.pem", 0o600)
                    again(f"{name}.pem", f"{name}.openssh", "-N", "")
                    Path(f"{name}.pub").write_bytes(run("ssh-keygen", "-y", "-f", f"{name}.pem"))
        print(curve)


def sensitive_numbers():
    """What openssl says the scalar is, or the first prime, in hexadecimal and full width."""
    with Path("numbers.txt").open("w") as out:
        for path in sorted(Path(".").glob("*.pem")):
            if path.name.startswith("refused"):
                continue
            text = run("openssl", "pkey", "-noout", "-text", "-in", path).decode()
            digits = re.search(r"(?:priv|prime1):\n((?:    .*\n)+)", text)[1]
            value = int(re.sub(r"[^0-9a-f]", "", digits), 16)
            bits = int(path.stem.rsplit("-", 1)[1])
            width = bits // 16 if path.name.startswith("rsa") else (bits + 7) // 8
            out.write(f"{path.stem} {value.to_bytes(width, 'big').hex()}\n")


def other_forms():
    Path("ecdsa-256.ecparam").write_bytes(
        run("openssl", "ecparam", "-name", "prime256v1") + Path("ecdsa-256.pem").read_bytes())
    run("openssl", "ec", "-in", "ecdsa-256.pem", "-out", "ecdsa-256.no-public", "-no_public")
    run("openssl", "ec", "-in", "ecdsa-256.pem", "-out", "ecdsa-256.explicit", "-param_enc", "explicit")
    run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3",
        "-out", "rsa-2048-e3.pkcs8")
    run("openssl", "pkey", "-in", "ecdsa-256.pem", "-outform", "DER", "-out", "refused-der")


def refused():
    keygen("-t", "ed25519", "-N", "", "-C", "", "-f", "refused-ed25519.openssh")
    keygen("-t", "ed25519", "-N", PASSPHRASE, "-a", "2", "-C", "", "-f", "refused-ed25519.openssh-encrypted")
    run("openssl", "genpkey", "-algorithm", "ED25519", "-out", "refused-ed25519.pkcs8")
    run("openssl", "genpkey", "-algorithm", "X25519", "-out", "refused-x25519.pkcs8")
    keygen("-t", "dsa", "-N", "", "-C", "", "-f", "refused-dsa.openssh")
    again("refused-dsa.openssh", "refused-dsa.pem", "-N", "", "-m", "PEM")
    again("refused-dsa.openssh", "refused-dsa.pkcs8", "-N", "", "-m", "PKCS8")
    for curve in ("secp224r1", "secp256k1", "brainpoolP256r1"):
        run("openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", f"refused-{curve}.pem")
    for bits in (1024, 2304, 8192):
        keygen("-t", "rsa", "-b", str(bits), "-N", "", "-C", "", "-f", f"refused-rsa-{bits}.openssh")
    rsa = ("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    run(*rsa, "-pkeyopt", "rsa_keygen_primes:3", "-out", "refused-rsa-three-primes.pkcs8")
    run(*rsa, "-pkeyopt", "rsa_keygen_pubexp:4294967311", "-out", "refused-rsa-wide-exponent.pkcs8")
    run("openssl", "genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
        "refused-rsa-pss.pkcs8")
    for path in Path(".").glob("refused-*.pub"):
        path.unlink()


def prime(bits):
    """One that 65537 does not divide the predecessor of."""
    while True:
        p = int(run("openssl", "prime", "-generate", "-bits", str(bits)))
        if (p - 1) % 65537:
            return p


def unequal_primes():
    """No program makes such a key: RSAPrivateKey of RFC 8017, by openssl asn1parse."""
    n = 0
    while n.bit_length() != 2048:
        p, q = prime(1030), prime(1018)
        n = p * q
    d = pow(65537, -1, (p - 1) * (q - 1))
    values = (0, n, 65537, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    conf = "asn1=SEQUENCE:key\n[key]\n" + "".join(f"{chr(97 + i)}=INTEGER:{v:#x}\n" for i, v in enumerate(values))
    Path("key.cnf").write_text(conf)
    run("openssl", "asn1parse", "-genconf", "key.cnf", "-out", "key.der", "-noout")
    Path("refused-rsa-unequal-primes.pem").write_bytes(pem("RSA PRIVATE KEY", Path("key.der").read_bytes()))
    for name in ("key.cnf", "key.der"):
        os.unlink(name)


def pem(label, content):
    body = base64.encodebytes(content).decode().replace("\n", "")
    lines = "\n".join(body[i:i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def content(name):
    lines = Path(name).read_text().splitlines()
    return lines[0][11:-5], base64.b64decode("".join(lines[1:-1]))


def point(name):
    return base64.b64decode(Path(name).read_text().split()[1])[-65:]


def altered():
    """What no program writes: halves of different keys, and the key of a token."""
    keygen("-t", "ecdsa", "-b", "256", "-N", "", "-C", "", "-f", "other")
    ours, others = point("ecdsa-256.pub"), point("other.pub")
    for kind in ("openssh", "pem", "pkcs8"):
        label, body = content(f"ecdsa-256.{kind}")
        Path(f"refused-halves.{kind}").write_bytes(pem(label, body.replace(ours, others)))
    label, body = content("ecdsa-256.openssh")
    Path("refused-outer-half.openssh").write_bytes(pem(label, body.replace(ours, others, 1)))
    string = lambda value: struct.pack(">I", len(value)) + value
    token = string(b"sk-ecdsa-sha2-nistp256@openssh.com") + string(b"nistp256") + string(ours) + string(b"ssh:")
    private = bytes(8) + token + b"\1" + string(bytes(32)) + string(b"") + string(b"")
    private += bytes(range(1, 1 + -len(private) % 8))
    Path("refused-token.openssh").write_bytes(pem(label, b"openssh-key-v1\0" + string(b"none") + string(b"none") +
                                                  string(b"") + struct.pack(">I", 1) + string(token) + string(private)))
    for name in ("other", "other.pub"):
        os.unlink(name)


def main():
    os.chdir(HERE)
    os.umask(0o077)
    for path in HERE.iterdir():
        if path.name not in ("README.md", "generate.py"):
            path.unlink()
    usual_keys()
    ciphers()
    short_numbers()
    sensitive_numbers()
    other_forms()
    refused()
    unequal_primes()
    altered()
    for path in HERE.iterdir():
        path.chmod(0o755 if path.suffix == ".py" else 0o644)


if __name__ == "__main__":
    main()
