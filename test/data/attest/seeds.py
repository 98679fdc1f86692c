#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the seeds of the fuzz target ek_certificate from the certificates here."""

import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / "fuzz" / "corpus" / "ek_certificate"


def seed(name, kind, *files):
    certificates = [(HERE / f"{file}.der").read_bytes() for file in files]
    parts = [struct.pack(">H", len(certificate)) + certificate for certificate in certificates]
    (CORPUS / name).write_bytes(kind + b"".join(parts))


for name in "rsa-2048 p256 p521 one-rdn odd-letters by-pss no-subject".split():
    seed(name, b"R", f"good/{name}")
for name in "explicit-curve rsa-pss damaged-extension v1 two-models".split():
    seed(name, b"R", f"bad/{name}")
seed("no-eku", b"O", "good/no-eku")
seed("with-chain", b"R", "good/p256", "maker/issuer", "above/middle")
seed("off-path", b"R", "good/p256", "maker/aside")
seed("half-ca", b"R", "above/ek-half-ca", "above/half-ca")
(CORPUS / "file-pem").write_bytes(b"F" + (HERE / "maker/root.pem").read_bytes())
(CORPUS / "file-der").write_bytes(b"F" + (HERE / "above/false-root.der").read_bytes())
(CORPUS / "file-key").write_bytes(b"F-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n")
