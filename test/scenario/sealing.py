# SPDX-License-Identifier: MIT
"""What the CA seals to a TPM, opened and made without one: TPM2_MakeCredential and what undoes it in software (TPM 2.0
Part 1, 24, B.10.4 and C.6.4), XChaCha20-Poly1305 and the receipt."""

import base64
import hashlib
import hmac
import json
import os
import struct

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import tpm_objects as tpm
from attestation import CURVES, HASHES, b64, public_key, written
from protocol import string
from tpm_objects import RSA, Reader, sized, u32

FORMAT = 'ssh-tpm-sealed-1'
MAGIC = u32(0xbadcc0de) + u32(1)  # of the file of tpm2_makecredential
IDENTITY = b'IDENTITY\0'


class NotOpened(Exception):
    pass


def kdfa(hash_alg, key, label, context_u, context_v, bits):
    """Part 1, 11.4.10.2."""
    out, counter = b'', 0
    while len(out) * 8 < bits:
        counter += 1
        out += hmac.digest(key, u32(counter) + label + context_u + context_v + u32(bits), tpm.HASHES[hash_alg])
    return out[:bits // 8]


def kdfe(hash_alg, z, label, party_u, party_v, bits):
    """Part 1, 11.4.10.3."""
    out, counter = b'', 0
    while len(out) * 8 < bits:
        counter += 1
        out += tpm.digest(hash_alg, u32(counter) + z + label + party_u + party_v)
    return out[:bits // 8]


def aes_cfb(key, data, encrypt):
    """With an IV of zeros."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    out, previous = b'', bytes(16)
    for start in range(0, len(data), 16):
        piece = data[start:start + 16]
        done = bytes(a ^ b for a, b in zip(piece, block.update(previous)))
        out, previous = out + done, done if encrypt else piece
    return out


def _oaep(ek):
    algorithm = HASHES[ek.name_alg]
    return padding.OAEP(mgf=padding.MGF1(algorithm()), algorithm=algorithm(), label=IDENTITY)


def _shared(ek, private, peer, ephemeral):
    """The seed of both sides: `ephemeral` is the public key of the sender's, in every case."""
    size, bits = tpm.FIELD_SIZES[ek.curve], len(tpm.digest(ek.name_alg, b'')) * 8
    x, recipient = (number.to_bytes(size, 'big') for number in (ephemeral.public_numbers().x, ek.numbers()[0]))
    return kdfe(ek.name_alg, private.exchange(ec.ECDH(), peer), IDENTITY, x, recipient, bits)


def _keys(ek, seed, name):
    storage = kdfa(ek.name_alg, seed, b'STORAGE\0', name, b'', ek.symmetric[1])
    integrity = kdfa(ek.name_alg, seed, b'INTEGRITY\0', b'', b'', len(tpm.digest(ek.name_alg, b'')) * 8)
    return storage, integrity


def make_credential(ek, name, secret):
    """The file of tpm2_makecredential: `secret` for the TPM that has the EK and a key of this Name."""
    if ek.kind == RSA:
        seed = os.urandom(len(tpm.digest(ek.name_alg, b'')))
        encrypted = public_key(ek).encrypt(seed, _oaep(ek))
    else:
        ephemeral, size = ec.generate_private_key(CURVES[ek.curve][1]()), tpm.FIELD_SIZES[ek.curve]
        seed = _shared(ek, ephemeral, public_key(ek), ephemeral.public_key())
        point = ephemeral.public_key().public_numbers()
        encrypted = sized(point.x.to_bytes(size, 'big')) + sized(point.y.to_bytes(size, 'big'))
    storage, integrity = _keys(ek, seed, name)
    identity = aes_cfb(storage, sized(secret), encrypt=True)
    outer = hmac.digest(integrity, identity + name, tpm.HASHES[ek.name_alg])
    return MAGIC + sized(sized(outer) + identity) + sized(encrypted)


def activate(credential, ek, ek_key, name):
    """What TPM2_ActivateCredential does: the secret. @raises NotOpened"""
    reader = Reader(credential)
    if reader.take(8) != MAGIC:
        raise NotOpened('no file of tpm2_makecredential')
    identity, encrypted = Reader(reader.sized()), reader.sized()
    reader.end()
    outer, identity = identity.sized(), identity.data
    if ek.kind == RSA:
        seed = ek_key.decrypt(encrypted, _oaep(ek))
    else:
        point = Reader(encrypted)
        x, y = (int.from_bytes(point.sized(), 'big') for _ in range(2))
        point.end()
        peer = ec.EllipticCurvePublicNumbers(x, y, CURVES[ek.curve][1]()).public_key()
        seed = _shared(ek, ek_key, peer, peer)
    storage, integrity = _keys(ek, seed, name)
    if not hmac.compare_digest(outer, hmac.digest(integrity, identity + name, tpm.HASHES[ek.name_alg])):
        raise NotOpened('not for this TPM')
    plain = Reader(aes_cfb(storage, identity, encrypt=False))
    secret = plain.sized()
    plain.end()
    return secret


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha, 2.2."""
    state = list(struct.unpack('<16I', b'expand 32-byte k' + key + nonce))

    def quarter(a, b, c, d):
        for first, second, third, turn in (a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7):
            state[first] = (state[first] + state[second]) & 0xffffffff
            mixed = state[third] ^ state[first]
            state[third] = (mixed << turn | mixed >> (32 - turn)) & 0xffffffff

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for row in range(4):
            quarter(row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4)
    return struct.pack('<8I', *state[:4], *state[12:])


def _xchacha(key, nonce):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


def xchacha_encrypt(key, nonce, plain, associated):
    cipher, rest = _xchacha(key, nonce)
    return cipher.encrypt(rest, plain, associated)


def xchacha_decrypt(key, nonce, data, associated):
    """@raises cryptography.exceptions.InvalidTag"""
    cipher, rest = _xchacha(key, nonce)
    return cipher.decrypt(rest, data, associated)


def seal_key(secret):
    return HKDF(HASHES[tpm.SHA256](), 32, salt=None, info=b'ssh-tpm seal 1').derive(secret)


def associated_data(request_digest, ek_name, ak_name, credential):
    return b''.join(map(string, (FORMAT.encode(), request_digest, ek_name, ak_name, credential)))


def receipt(key, request_digest):
    return hmac.digest(key, b'ssh-tpm attestation receipt 1' + request_digest, 'sha256').hex()


def seal(request, certificates, ek, ak, secret=None, about=None, credential=None):
    """A response in place of the CA's: the document and its receipt. `certificates` are lines without their ends;
    `about` changes what the box is bound to (the arguments of associated_data); `credential` is another one."""
    secret, digest, nonce = secret or os.urandom(32), hashlib.sha256(request).digest(), os.urandom(24)
    credential = credential or make_credential(ek, ak.name(), secret)
    key, plain = seal_key(secret), ''.join(line + '\n' for line in certificates).encode()
    bound = associated_data(**{'request_digest': digest, 'ek_name': ek.name(), 'ak_name': ak.name(),
                               'credential': credential, **(about or {})})
    document = written({'format': FORMAT, 'request': digest.hex(), 'credential': b64(credential),
                        'box': b64(nonce + xchacha_encrypt(key, nonce, plain, bound))})
    return document, receipt(key, digest)


def open_sealed(document, request, ek, ak, opener):
    """The certificates' lines and the receipt in a response to `request`, whose bytes it must name.
    @param ek, ak tpm_objects.Public
    @param opener the EK's private key, or a function that makes the secret of the credential
    @raises NotOpened, or what the library raises at a wrong tag"""
    members, digest = json.loads(document), hashlib.sha256(request).digest()
    if written(members) != document or list(members) != ['format', 'request', 'credential', 'box']:
        raise NotOpened('not canonical')
    if (members['format'], members['request']) != (FORMAT, digest.hex()):
        raise NotOpened('the answer to another request')
    credential, box = (base64.b64decode(members[name], validate=True) for name in ('credential', 'box'))
    secret = opener(credential) if callable(opener) else activate(credential, ek, opener, ak.name())
    if len(secret) != 32:
        raise NotOpened(f'a secret of {len(secret)} bytes')
    key = seal_key(secret)
    plain = xchacha_decrypt(key, box[:24], box[24:], associated_data(digest, ek.name(), ak.name(), credential))
    if not plain.endswith(b'\n'):
        raise NotOpened('the last line has no end')
    return plain.decode().splitlines(), receipt(key, digest)
