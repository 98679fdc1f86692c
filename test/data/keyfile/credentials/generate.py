#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes endorsement keys by the TCG's templates, whose private keys are those of ../../ssh/private, and a
credential for each by tpm2_makecredential, with a TPM if it can load the key.

    generate.py FOLDER

The TPM is the one of TPM2TOOLS_TCTI. Without a TPM, tpm2_makecredential 5.4 leaves out zero bytes in front of
coordinates, and the seed that it derives from these is not the TPM's.
"""

import pathlib
import struct
import subprocess
import sys

PRIVATE = pathlib.Path(__file__).resolve().parent.parent.parent / "ssh" / "private"
SECRET = b"the secret of a credential, 32 B"
NAME = "000b" + "a5" * 32

RSA, ECC, NULL, AES, CFB = 0x0001, 0x0023, 0x0010, 0x0006, 0x0043
SHA256, SHA384, SHA512 = 0x000B, 0x000C, 0x000D
LOW, HIGH = 0x000300B2, 0x000300F2  # attributes: only the latter has userWithAuth
POLICY_A = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
POLICY_B = {
    SHA384: "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12",
    SHA512: "b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4"
            "29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea",
}

# The file, the private key, type, nameAlg, bits of AES, curve or bits.
KEYS = [
    ("l1-rsa-2048", "rsa-2048.pem", RSA, SHA256, 128, 2048),
    ("l2-ecc-p256", "ecdsa-256.pem", ECC, SHA256, 128, 0x0003),
    ("h3-ecc-p384", "ecdsa-384.pem", ECC, SHA384, 256, 0x0004),
    ("h4-ecc-p521", "ecdsa-521.pem", ECC, SHA512, 256, 0x0005),
    ("h6-rsa-3072", "rsa-3072.pem", RSA, SHA384, 256, 3072),
    ("h7-rsa-4096", "rsa-4096.pem", RSA, SHA384, 256, 4096),
]


def tpm2b(content):
    return struct.pack(">H", len(content)) + content


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def unique(key_type, private):
    if key_type == RSA:
        text = openssl("rsa", "-in", private, "-modulus", "-noout").decode()
        return tpm2b(bytes.fromhex(text.strip().removeprefix("Modulus=")))
    # The key ends with its point: 04, x, y.
    width = {"ecdsa-256": 32, "ecdsa-384": 48, "ecdsa-521": 66}[private.stem]
    point = openssl("pkey", "-in", private, "-pubout", "-outform", "DER")[-2 * width:]
    return tpm2b(point[:width]) + tpm2b(point[width:])


def public_area(private, key_type, name_alg, aes_bits, size):
    area = struct.pack(">HHI", key_type, name_alg, LOW if name_alg == SHA256 else HIGH)
    area += tpm2b(bytes.fromhex(POLICY_A if name_alg == SHA256 else POLICY_B[name_alg]))
    area += struct.pack(">HHHH", AES, aes_bits, CFB, NULL)
    area += struct.pack(">HI", size, 0) if key_type == RSA else struct.pack(">HH", size, NULL)
    return tpm2b(area + unique(key_type, private))


def main(folder):
    for name, private, *template in KEYS:
        public = folder / f"{name}.pub"
        public.write_bytes(public_area(PRIVATE / private, *template))
        no_tpm = ["-T", "none"] if name == "h7-rsa-4096" else []
        subprocess.run(["tpm2_makecredential", "-Q", *no_tpm, "-u", public, "-s", "-", "-n", NAME,
                        "-o", folder / f"{name}.credential"], input=SECRET, check=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
