# SPDX-License-Identifier: MIT
"""Key files taken apart and put together wrongly on purpose: PEM, DER and the TPM's own structures."""

import base64
import struct

from lab import read
from protocol import take_string

BEGIN, END = '-----BEGIN TSS2 PRIVATE KEY-----', '-----END TSS2 PRIVATE KEY-----'
SEQUENCE, INTEGER, BOOLEAN, OCTETS, OID, UTF8 = 0x30, 0x02, 0x01, 0x04, 0x06, 0x0c
# Explicit tags of draft-bottomley-tpm2-keys.
EMPTY_AUTH, SECRET, DESCRIPTION, RSA_PARENT = 0xa0, 0xa2, 0xa4, 0xa5
SIGN_ENCRYPT, DECRYPT, NO_DA = 0x00040000, 0x00020000, 0x00000400  # TPMA_OBJECT
NIST_P256, NO_SUCH_CURVE = 0x0003, 0x7777


def tlv(tag, content):
    """One DER element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, 'big')
    return bytes([tag, 0x80 | len(length)]) + length + content


def elements(data):
    """The elements of a DER sequence's content: pairs of tag and content."""
    found = []
    while data:
        tag, size, start = data[0], data[1], 2
        if size & 0x80:
            start = 2 + (size & 0x7f)
            size = int.from_bytes(data[2:start], 'big')
        found.append((tag, data[start:start + size]))
        data = data[start + size:]
    return found


def read_der(path):
    """The DER of a PEM key file."""
    preamble, begin, rest = read(path).partition(BEGIN + '\n')
    body, end, trailer = rest.partition('\n' + END + '\n')
    if not begin or not end or trailer or (preamble and not preamble.startswith('Comment: ')):
        raise AssertionError(f'{path} is no TSS2 PRIVATE KEY')
    return base64.b64decode(body)


def pem(der, label='TSS2 PRIVATE KEY'):
    text = base64.b64encode(der).decode()
    lines = (text[i:i + 64] for i in range(0, len(text), 64))
    return '\n'.join([f'-----BEGIN {label}-----', *lines, f'-----END {label}-----', ''])


def fields(path):
    """The elements of a key file, in order."""
    ((tag, content),) = elements(read_der(path))
    if tag != SEQUENCE:
        raise AssertionError('no sequence')
    return elements(content)


def build(parts):
    """The key file made of these elements."""
    return pem(tlv(SEQUENCE, b''.join(tlv(tag, content) for tag, content in parts)))


def with_field(parts, tag, content):
    """The same elements, the one with this tag replaced, or put where the draft wants it."""
    kept = [part for part in parts if part[0] != tag]
    tags_before = [OID] + [other for other in range(EMPTY_AUTH, tag)]
    at = max(index for index, part in enumerate(kept) if part[0] in tags_before) + 1
    return kept[:at] + [(tag, content)] + kept[at:]


def public_area(parts):
    """The index of the public area among the elements, and its bytes with their length in front."""
    index = next(index for index, part in enumerate(parts) if part[0] == OCTETS)
    return index, parts[index][1]


def with_public(parts, change):
    """The same elements, the public area changed by a function from bytes to bytes."""
    index, public = public_area(parts)
    changed = change(public)
    return parts[:index] + [(OCTETS, changed)] + parts[index + 1:]


def attributes(public):
    """TPMA_OBJECT, behind the length, the type and the name algorithm of TPM2B_PUBLIC."""
    return struct.unpack('>I', public[6:10])[0]


def without_signing(public):
    return public[:6] + struct.pack('>I', attributes(public) & ~SIGN_ENCRYPT) + public[10:]


def with_unknown_curve(public):
    """Any two bytes that name P-256 in front of a null KDF (0x0010) are the curve of an ECC key."""
    old, new = (struct.pack('>HH', curve, 0x0010) for curve in (NIST_P256, NO_SUCH_CURVE))
    if public.count(old) != 1:
        raise AssertionError('no P-256 key')
    return public.replace(old, new)


def mpints(data):
    """The SSH numbers of which `data` consists, as bytes."""
    numbers = []
    while data:
        number, data = take_string(data)
        numbers.append(number)
    return numbers


def ecdsa_der(signature):
    """An SSH ECDSA signature (mpint r, mpint s) as the DER that OpenSSL takes."""
    return tlv(SEQUENCE, b''.join(tlv(INTEGER, number) for number in mpints(signature)))
