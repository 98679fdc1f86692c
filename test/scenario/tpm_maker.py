# SPDX-License-Identifier: MIT
"""A manufacturer of TPMs, with the certificates of a good one and of every bad one: X.509 written by hand, since a
library refuses to make most of the faults."""

import datetime
import hashlib
import itertools
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyfile import BOOLEAN, INTEGER, OCTETS, OID, SEQUENCE, UTF8, pem, tlv

SET, BIT_STRING, UTC_TIME, GENERALIZED_TIME = 0x31, 0x03, 0x17, 0x18
DAY = datetime.timedelta(days=1)
EK_USAGE = '2.23.133.8.1'  # tcg-kp-EKCertificate
MANUFACTURER, MODEL, VERSION = '2.23.133.2.1', '2.23.133.2.2', '2.23.133.2.3'
SUBJECT_KEY, KEY_USAGE, SAN, BASIC, AUTHORITY_KEY, EXTENDED = (f'2.5.29.{arc}' for arc in (14, 15, 17, 19, 35, 37))
ENCIPHERMENT, AGREEMENT, CERT_SIGN, SIGNATURE = 2, 4, 5, 0  # bits of KeyUsage
TPM_FACTS = ((MANUFACTURER, 'id:4D414B45'), (MODEL, 'Model 7'), (VERSION, 'id:00070002'))

_numbers = itertools.count(1000)


def oid(text):
    first, second, *rest = map(int, text.split('.'))
    content = b''
    for arc in [40 * first + second, *rest]:
        groups = [arc & 0x7f]
        while arc := arc >> 7:
            groups.insert(0, 0x80 | arc & 0x7f)
        content += bytes(groups)
    return tlv(OID, content)


def integer(number):
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, 'big', signed=True))


def sequence(*parts):
    return tlv(SEQUENCE, b''.join(parts))


def name(*facts, multi_valued=False):
    """A Name of pairs of OID and text: one set for each, or all in one."""
    pairs = [sequence(oid(kind), tlv(UTF8, text.encode())) for kind, text in facts]
    if multi_valued:
        return sequence(tlv(SET, b''.join(sorted(pairs))))
    return sequence(*(tlv(SET, pair) for pair in pairs))


def common_name(text):
    return name(('2.5.4.3', text))


def time(moment):
    """RFC 5280, 4.1.2.5: two digits of the year until 2049."""
    if moment.year < 2050:
        return tlv(UTC_TIME, moment.strftime('%y%m%d%H%M%SZ').encode())
    return tlv(GENERALIZED_TIME, moment.strftime('%Y%m%d%H%M%SZ').encode())


def extension(kind, content, critical=False):
    return sequence(oid(kind), tlv(BOOLEAN, b'\xff') if critical else b'', tlv(OCTETS, content))


def key_usage(*bits, critical=True):
    value = sum(0x80 >> bit for bit in bits)
    unused = (value & -value).bit_length() - 1
    return extension(KEY_USAGE, tlv(BIT_STRING, bytes([unused, value])), critical)


def basic_constraints(is_ca, path_length=None, critical=True):
    content = tlv(BOOLEAN, b'\xff') if is_ca else b''
    return extension(BASIC, sequence(content, b'' if path_length is None else integer(path_length)), critical)


def extended_usage(*usages, critical=False):
    return extension(EXTENDED, sequence(*map(oid, usages)), critical)


def tpm_name(facts=TPM_FACTS, critical=True, multi_valued=False):
    """The SAN of an EK certificate: a directoryName (EK Credential Profile, 3.2.9)."""
    return extension(SAN, sequence(tlv(0xa4, name(*facts, multi_valued=multi_valued))), critical)


def spki(public_key):
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(public_key):
    return hashlib.sha1(spki(public_key)).digest()


def new_key(kind):
    """A private key: 'p256', 'p384', 'p521', or 'rsa2048' and the like."""
    if kind.startswith('rsa'):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({'p256': ec.SECP256R1, 'p384': ec.SECP384R1, 'p521': ec.SECP521R1}[kind]())


class Issuer:
    """One CA. `issuer` is the one above it; none for a root. `faults` are for `certify`."""

    def __init__(self, text, kind='p256', issuer=None, extensions=None, key=None, **faults):
        self.key = key or new_key(kind)
        self.name = common_name(text)
        faults.setdefault('subject', self.name)
        self.certificate = (issuer or self).certify(
            self.key.public_key(), extensions if extensions is not None else
            [key_usage(CERT_SIGN), basic_constraints(True),
             extension(SUBJECT_KEY, tlv(OCTETS, key_id(self.key.public_key()))),
             *([issuer.authority_key()] if issuer else [])], **faults)

    def authority_key(self):
        """The extension of what it signs."""
        return extension(AUTHORITY_KEY, sequence(tlv(0x80, key_id(self.key.public_key()))))

    def certify(self, public_key, extensions, subject=sequence(), version=3, begin=None, end=None, issuer_name=None,
                serial=None, signer=None, hash_name='sha256'):
        """A certificate in DER; `signer` is another key to sign it with. The times are UTC."""
        now = datetime.datetime.now(datetime.timezone.utc)
        algorithm = self._algorithm(signer or self.key, hash_name)
        body = sequence(
            tlv(0xa0, integer(version - 1)) if version > 1 else b'', integer(serial or next(_numbers)), algorithm,
            issuer_name or self.name, sequence(time(begin or now - 30 * DAY), time(end or now + 3650 * DAY)), subject,
            spki(public_key), tlv(0xa3, sequence(*extensions)) if extensions else b'')
        return sequence(body, algorithm, tlv(BIT_STRING, b'\0' + self._sign(signer or self.key, hash_name, body)))

    @staticmethod
    def _algorithm(key, hash_name):
        if isinstance(key, rsa.RSAPrivateKey):
            arc = {'sha1': 5, 'sha256': 11, 'sha384': 12}[hash_name]
            return sequence(oid(f'1.2.840.113549.1.1.{arc}'), tlv(0x05, b''))
        return sequence(oid({'sha1': '1.2.840.10045.4.1', 'sha256': '1.2.840.10045.4.3.2',
                             'sha384': '1.2.840.10045.4.3.3'}[hash_name]))

    @staticmethod
    def _sign(key, hash_name, body):
        algorithm = {'sha1': hashes.SHA1, 'sha256': hashes.SHA256, 'sha384': hashes.SHA384}[hash_name]()
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(body, padding.PKCS1v15(), algorithm)
        return key.sign(body, ec.ECDSA(algorithm))


class Authority:
    """A root, which signs an intermediate, which signs the certificates of endorsement keys."""

    def __init__(self, text='Maker', kind='p256'):
        self.root = Issuer(text + ' root', kind)
        self.intermediate = Issuer(text + ' TPMs', kind, self.root)

    @property
    def chain(self):
        return [self.intermediate.certificate]

    def ek_certificate(self, public_key, issuer=None, changes=None, more=(), facts=TPM_FACTS, **faults):
        """A good one but for what is told: `changes` has other extensions by their OID, None for one that is missing,
        `more` is added to them; `faults` are for Issuer.certify."""
        issuer = issuer or self.intermediate
        is_rsa = isinstance(public_key, rsa.RSAPublicKey)
        extensions = {
            AUTHORITY_KEY: issuer.authority_key(), BASIC: basic_constraints(False),
            KEY_USAGE: key_usage(ENCIPHERMENT if is_rsa else AGREEMENT),
            EXTENDED: extended_usage(EK_USAGE), SAN: tpm_name(facts), **(changes or {})}
        if faults.get('version') == 1:
            extensions, more = {}, ()
        return issuer.certify(public_key, [content for content in extensions.values() if content] + list(more),
                              **faults)

    def write_roots(self, folder, *certificates):
        """A folder for --ek-roots: the root as PEM, and more certificates in DER."""
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, 'root.pem'), 'w', encoding='ascii') as file:
            file.write(pem(self.root.certificate, 'CERTIFICATE'))
        for number, certificate in enumerate(certificates):
            with open(os.path.join(folder, f'{number}.der'), 'wb') as file:
                file.write(certificate)
        return folder
