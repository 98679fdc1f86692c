# SPDX-License-Identifier: MIT
"""What a process holds: every page of its memory and the registers of its threads, searched for secrets by
test/support/memory_scan.cpp. Root alone may do that: the processes are not dumpable.
"""

import base64
import os
import secrets
import string
import subprocess
import unittest

from resources import is_sanitized

wiping_builds = unittest.skipIf(is_sanitized(os.environ['SSH_TPM_BUILD']), 'sanitizers keep what was freed')

SMALL = 8  # bytes of a secret that are too many


def random_pin():
    """24 characters that nothing else in a process resembles, and no program takes for an option."""
    return ''.join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


def spellings(secret):
    """A secret's bytes as they may lie somewhere: by name."""
    raw = secret.encode() if isinstance(secret, str) else secret
    found = {'raw': raw, 'reversed': raw[::-1], 'hex': raw.hex().encode(), 'HEX': raw.hex().upper().encode(),
             'UTF-16-LE': b''.join(bytes((byte, 0)) for byte in raw),
             'UTF-16-BE': b''.join(bytes((0, byte)) for byte in raw)}
    for shift in range(3):  # base64 of a text that has it in the middle: what does not depend on its neighbours
        coded = base64.b64encode(bytes(shift) + raw)
        first, last = (0, 2, 3)[shift], -4 if (shift + len(raw)) % 3 else None
        found[f'base64 at {shift}'] = coded[first:last]
    return found


def leaking(kind):
    """The environment of a program that leaks deliberately, as test/support/leak.cpp says."""
    return {'LD_PRELOAD': os.environ['SSH_TPM_LEAK'], 'SSH_TPM_TEST_LEAK': kind}


def count(memory, secret):
    """How often each spelling of `secret` occurs in `memory`; what does not occur is left out."""
    counts = {name: memory.count(bytes_) for name, bytes_ in spellings(secret).items()}
    return {name: number for name, number in counts.items() if number}


def find(pid, *secrets_, thorough=False):
    """Where a process has these: a list of (place, spelling), one entry for each occurrence; with `thorough` also where
    it has pieces of them, in its registers too."""
    known, patterns = [], []
    for secret in secrets_:
        raw = secret.encode() if isinstance(secret, str) else secret
        pieces = [('a piece of 8', at, raw[at:at + SMALL]) for at in range(len(raw) - SMALL + 1)] if thorough else []
        for spelling, at, pattern in [(name, 0, spelled) for name, spelled in spellings(raw).items()] + pieces:
            known.append((raw, spelling, at))
            patterns.append(pattern.hex() + '\n')
    done = subprocess.run([os.environ['SSH_TPM_MEMORY_SCAN'], str(pid), *(['registers'] if thorough else [])],
                          input=''.join(patterns), capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    lines = [line.split(' ', 2) for line in done.stdout.splitlines()]
    hits = [(*known[int(number)], int(address), place) for number, address, place in lines]
    whole = {(raw, address) for raw, spelling, _, address, _ in hits if spelling == 'raw'}
    found = [(place, spelling) for _, spelling, _, _, place in hits if spelling != 'a piece of 8']
    # A piece counts without the rest of the secret around it, and once in each place.
    return found + sorted({(place, spelling) for raw, spelling, at, address, place in hits
                           if spelling == 'a piece of 8' and (raw, address - at) not in whole})
