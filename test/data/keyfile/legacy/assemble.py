#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts the areas that tpm2_create wrote into a key file of ssh-tpm-agent 0.1 or 0.2.

    assemble.py RELEASE ALGORITHM PIN-STATUS PUBLIC PRIVATE [COMMENT] > KEY.tpm

RELEASE is 0.1 or 0.2, ALGORITHM ecdsa or rsa (0.1 has ecdsa alone and no comment), PIN-STATUS 0 or 1; PUBLIC
and PRIVATE are what `tpm2_create -u PUBLIC -r PRIVATE` wrote: a TPM2B_PUBLIC and a TPM2B_PRIVATE.
"""

import base64
import pathlib
import struct
import sys

release, algorithm, pin_status, public, private = sys.argv[1:6]
comment = sys.argv[6] if len(sys.argv) > 6 else ""

content = struct.pack(">BB", 1, int(pin_status))
if release == "0.2":
    content += struct.pack(">H", {"ecdsa": 0x0018, "rsa": 0x0001}[algorithm])
content += pathlib.Path(public).read_bytes() + pathlib.Path(private).read_bytes() + comment.encode()

label = {"0.1": "TPM EC PRIVATE KEY", "0.2": "TPM PRIVATE KEY"}[release]
text = base64.b64encode(content).decode()
print(f"-----BEGIN {label}-----")
for at in range(0, len(text), 64):
    print(text[at:at + 64])
print(f"-----END {label}-----")
