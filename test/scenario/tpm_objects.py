# SPDX-License-Identifier: MIT
"""Structures of the TPM marshalled by hand (TPM 2.0 Part 2), true ones and others: TPM2B_PUBLIC, TPMS_ATTEST,
TPMT_SIGNATURE, and the templates of endorsement and attestation keys."""

import dataclasses
import hashlib
import struct

# TPM_ALG_ID (6.3), TPM_ECC_CURVE (6.4), TPM_ST (6.9)
RSA, AES, SHA1, SHA256, SHA384, SHA512, NULL = 0x01, 0x06, 0x04, 0x0b, 0x0c, 0x0d, 0x10
RSASSA, RSAPSS, ECDSA, ECC, CFB = 0x14, 0x16, 0x18, 0x23, 0x43
P256, P384, P521 = 3, 4, 5
CERTIFY, QUOTE, CREATION = 0x8017, 0x8018, 0x801a
GENERATED = 0xff544347
RH_ENDORSEMENT = 0x4000000b
HASHES = {SHA1: 'sha1', SHA256: 'sha256', SHA384: 'sha384', SHA512: 'sha512'}
FIELD_SIZES = {P256: 32, P384: 48, P521: 66}  # bytes of a coordinate

# TPMA_OBJECT (8.3)
FIXED_TPM, FIXED_PARENT, DATA_ORIGIN = 1 << 1, 1 << 4, 1 << 5
USER_WITH_AUTH, ADMIN_WITH_POLICY, NO_DA = 1 << 6, 1 << 7, 1 << 10
RESTRICTED, DECRYPT, SIGN = 1 << 16, 1 << 17, 1 << 18
BORN_HERE = FIXED_TPM | FIXED_PARENT | DATA_ORIGIN
SUBJECT = BORN_HERE | USER_WITH_AUTH | NO_DA | SIGN
AK = BORN_HERE | USER_WITH_AUTH | NO_DA | RESTRICTED | SIGN
EK_LOW = BORN_HERE | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT
EK_HIGH = EK_LOW | USER_WITH_AUTH


def u16s(*numbers):
    return struct.pack(f'>{len(numbers)}H', *numbers)


def u32(number):
    return struct.pack('>I', number)


def sized(content):
    """A TPM2B."""
    return u16s(len(content)) + content


def digest(algorithm, data):
    return hashlib.new(HASHES[algorithm], data).digest()


class Reader:
    """Takes a structure apart. @raises ValueError where it ends too early, or too late"""

    def __init__(self, data):
        self.data = data

    def take(self, size):
        if len(self.data) < size:
            raise ValueError('a structure that ends too early')
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size):
        return int.from_bytes(self.take(size), 'big')

    def sized(self):
        return self.take(self.number(2))

    def numbers(self, count):
        return struct.unpack(f'>{count}H', self.take(2 * count))

    def end(self):
        if self.data:
            raise ValueError('bytes after a structure')


@dataclasses.dataclass(frozen=True)
class Public:
    """TPMT_PUBLIC; `dataclasses.replace` makes another one of it."""

    kind: int
    unique: tuple  # the modulus, or both coordinates: bytes
    attributes: int
    name_alg: int = SHA256
    policy: bytes = b''
    symmetric: tuple = (NULL,)
    scheme: tuple = (NULL,)
    curve: int = P256
    kdf: tuple = (NULL,)
    bits: int = 2048
    exponent: int = 0

    def area(self):
        shape = (u16s(self.curve, *self.kdf) if self.kind == ECC else u16s(self.bits) + u32(self.exponent))
        return (u16s(self.kind, self.name_alg) + u32(self.attributes) + sized(self.policy) +
                u16s(*self.symmetric, *self.scheme) + shape + b''.join(map(sized, self.unique)))

    def marshalled(self):
        """TPM2B_PUBLIC."""
        return sized(self.area())

    def name(self):
        return u16s(self.name_alg) + digest(self.name_alg, self.area())

    def replace(self, **changes):
        return dataclasses.replace(self, **changes)

    @classmethod
    def read(cls, data):
        """@param data TPM2B_PUBLIC"""
        outer = Reader(data)
        reader = Reader(outer.sized())
        outer.end()
        kind, name_alg = reader.numbers(2)
        attributes, policy = reader.number(4), reader.sized()
        symmetric, = reader.numbers(1)
        symmetric = (symmetric,) if symmetric == NULL else (symmetric, *reader.numbers(2))
        scheme, = reader.numbers(1)
        scheme = (scheme,) if scheme == NULL else (scheme, *reader.numbers(1))
        shape = {}
        if kind == ECC:
            shape['curve'], kdf = reader.numbers(2)
            shape['kdf'] = (kdf,) if kdf == NULL else (kdf, *reader.numbers(1))
        elif kind == RSA:
            shape['bits'], shape['exponent'] = reader.number(2), reader.number(4)
        else:
            raise ValueError(f'a key of kind {kind:#x}')
        unique = tuple(reader.sized() for _ in range(2 if kind == ECC else 1))
        reader.end()
        return cls(kind, unique, attributes, name_alg, policy, symmetric, scheme, **shape)

    def numbers(self):
        """The public key: modulus and exponent, or the coordinates."""
        values = tuple(int.from_bytes(value, 'big') for value in self.unique)
        return values if self.kind == ECC else (*values, self.exponent or 65537)


def policy_secret(hash_alg):
    """PolicyA of the TCG's EK Credential Profile: TPM2_PolicySecret with the endorsement hierarchy."""
    first = digest(hash_alg, bytes(len(digest(hash_alg, b''))) + u32(0x151) + u32(RH_ENDORSEMENT))
    return digest(hash_alg, first)


def policy_or(hash_alg):
    """PolicyB: PolicyA, or the policy in an NV index of the TPM's platform (PolicyC)."""
    empty = bytes(len(digest(hash_alg, b'')))
    index = {SHA256: 0x01c07f01, SHA384: 0x01c07f02, SHA512: 0x01c07f03}[hash_alg]
    nv_public = (u32(index) + u16s(hash_alg) + u32(0x220f1008) + sized(policy_secret(hash_alg)) +
                 u16s(len(empty) + 2))
    nv_name = u16s(hash_alg) + digest(hash_alg, nv_public)
    policy_c = digest(hash_alg, empty + u32(0x192) + nv_name)
    return digest(hash_alg, empty + u32(0x171) + policy_secret(hash_alg) + policy_c)


def _ek(kind, hash_alg, aes_bits, attributes=EK_HIGH, **shape):
    policy = policy_secret(hash_alg) if attributes == EK_LOW else policy_or(hash_alg)
    return Public(kind, (b'',) if kind == RSA else (b'', b''), attributes, hash_alg, policy, (AES, aes_bits, CFB),
                  **shape)


# The endorsement keys by the NV index of their certificate (TCG EK Credential Profile, B.3 and B.4); `unique` is the
# public key of one that is made.
EK_TEMPLATES = {
    0x01c00002: _ek(RSA, SHA256, 128, EK_LOW), 0x01c0000a: _ek(ECC, SHA256, 128, EK_LOW, curve=P256),
    0x01c00012: _ek(RSA, SHA256, 128), 0x01c00014: _ek(ECC, SHA256, 128, curve=P256),
    0x01c00016: _ek(ECC, SHA384, 256, curve=P384), 0x01c00018: _ek(ECC, SHA512, 256, curve=P521),
    0x01c0001c: _ek(RSA, SHA384, 256, bits=3072), 0x01c0001e: _ek(RSA, SHA384, 256, bits=4096),
}
AK_TEMPLATES = {ECC: Public(ECC, (b'', b''), AK, scheme=(ECDSA, SHA256)),
                RSA: Public(RSA, (b'',), AK, scheme=(RSASSA, SHA256))}


def qualified_name(parent, name, name_alg=SHA256):
    """Of an object under `parent`, a hierarchy's handle or a qualified name (Part 1, 16)."""
    return u16s(name_alg) + digest(name_alg, parent + name)


def signer_name(ak):
    """The qualified name of a primary of the endorsement hierarchy."""
    return qualified_name(u32(RH_ENDORSEMENT), ak.name(), ak.name_alg)


@dataclasses.dataclass(frozen=True)
class Attest:
    """TPMS_ATTEST (10.12.8) of TPM2_Certify: its `attested` is TPMS_CERTIFY_INFO."""

    signer: bytes
    extra: bytes
    name: bytes
    qualified: bytes
    magic: int = GENERATED
    kind: int = CERTIFY
    clock: tuple = (123456, 7, 2, 1)  # clock, resetCount, restartCount, safe
    firmware: int = 0x2019102300163636
    attested: bytes = None  # in place of both names

    def marshalled(self):
        attested = sized(self.name) + sized(self.qualified) if self.attested is None else self.attested
        return (u32(self.magic) + u16s(self.kind) + sized(self.signer) + sized(self.extra) +
                struct.pack('>QIIBQ', *self.clock, self.firmware) + attested)

    @classmethod
    def read(cls, data):
        """@raises ValueError unless it is TPM2_Certify's"""
        reader = Reader(data)
        magic, kind = reader.number(4), reader.number(2)
        if (magic, kind) != (GENERATED, CERTIFY):
            raise ValueError(f'no statement of TPM2_Certify: {magic:#x}, {kind:#x}')
        signer, extra = reader.sized(), reader.sized()
        *clock, firmware = struct.unpack('>QIIBQ', reader.take(25))
        if clock[3] > 1:
            raise ValueError('a clock that is neither safe nor unsafe')
        name, qualified = reader.sized(), reader.sized()
        reader.end()
        return cls(signer, extra, name, qualified, magic, kind, tuple(clock), firmware)


def read_signature(data):
    """TPMT_SIGNATURE: its scheme, hash and numbers as bytes (r and s, or RSA's one)."""
    reader = Reader(data)
    scheme, hash_alg = reader.numbers(2)
    if scheme not in (ECDSA, RSASSA):
        raise ValueError(f'a signature of scheme {scheme:#x}')
    numbers = tuple(reader.sized() for _ in range(2 if scheme == ECDSA else 1))
    reader.end()
    return scheme, hash_alg, numbers


def signature(scheme, hash_alg, *numbers):
    """TPMT_SIGNATURE."""
    return u16s(scheme, hash_alg) + b''.join(map(sized, numbers))
