# SPDX-License-Identifier: MIT
"""Attestation requests without a TPM: a TPM in software whose private keys are at hand, so that each of its statements
can be forged, and the request document, written and checked on its own."""

import base64
import datetime
import hashlib
import json

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

import tpm_objects as tpm
from protocol import mpint, string, take_string
from tpm_maker import new_key
from tpm_objects import ECC, RSA, Attest, Public

FORMAT = 'ssh-tpm-attestation-1'
QUALIFYING_LABEL = b'ssh-tpm attestation request 1'
CURVES = {tpm.P256: ('nistp256', ec.SECP256R1, 'p256'), tpm.P384: ('nistp384', ec.SECP384R1, 'p384'),
          tpm.P521: ('nistp521', ec.SECP521R1, 'p521')}
HASHES = {tpm.SHA1: hashes.SHA1, tpm.SHA256: hashes.SHA256, tpm.SHA384: hashes.SHA384, tpm.SHA512: hashes.SHA512}
P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
GOOD_SIGNATURES = {ECC: (tpm.ECDSA, tpm.SHA256), RSA: (tpm.RSASSA, tpm.SHA256)}


class Refused(Exception):
    """A request does not hold."""


def b64(data):
    return base64.b64encode(data).decode()


def now(hours=0):
    """The time in a request, or another one."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


def kind_of(public):
    return f'rsa{public.bits}' if public.kind == RSA else CURVES[public.curve][2]


def with_key(public, key):
    """The template `public` with the public half of a private key."""
    numbers = key.public_key().public_numbers()
    if public.kind == RSA:
        return public.replace(unique=(numbers.n.to_bytes(key.key_size // 8, 'big'),))
    size = tpm.FIELD_SIZES[public.curve]
    return public.replace(unique=tuple(number.to_bytes(size, 'big') for number in (numbers.x, numbers.y)))


def ssh_blob(public):
    """The same key as SSH has it (RFC 4253 6.6, RFC 5656 3.1)."""
    if public.kind == RSA:
        modulus, exponent = public.numbers()
        return string(b'ssh-rsa') + mpint(exponent) + mpint(modulus)
    curve, size = CURVES[public.curve][0].encode(), tpm.FIELD_SIZES[public.curve]
    point = b'\x04' + b''.join(number.to_bytes(size, 'big') for number in public.numbers())
    return string(b'ecdsa-sha2-' + curve) + string(curve) + string(point)


def ssh_line(blob):
    return f'{take_string(blob)[0].decode()} {b64(blob)}'


def public_key(public):
    """For the library."""
    if public.kind == RSA:
        modulus, exponent = public.numbers()
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    return ec.EllipticCurvePublicNumbers(*public.numbers(), CURVES[public.curve][1]()).public_key()


def qualifying_data(made, host, nonce, ek_name, blob):
    return hashlib.sha256(string(QUALIFYING_LABEL) + b''.join(
        string(field if isinstance(field, bytes) else field.encode())
        for field in (made, host, nonce, ek_name, blob))).digest()


class Subject:
    """A key that is certified, the program's own sort unless `changes` (to tpm_objects.Public) say otherwise."""

    def __init__(self, kind='p256', key=None, **changes):
        self.key = key or new_key(kind)
        if kind.startswith('rsa'):
            template = Public(RSA, (b'',), tpm.SUBJECT, bits=int(kind[3:]))
        else:
            template = Public(ECC, (b'', b''), tpm.SUBJECT, curve=getattr(tpm, kind.upper()))
        self.public = with_key(template, self.key).replace(**changes)
        self.blob = ssh_blob(self.public)

    @property
    def line(self):
        return ssh_line(self.blob)


class SoftTpm:
    """A TPM that lies when told to. `index` is where its EK certificate lies; `ak_kind` is ECC or RSA."""

    def __init__(self, index=0x01c0000a, ak_kind=ECC):
        self.ek_key = new_key(kind_of(tpm.EK_TEMPLATES[index]))
        self.ek = with_key(tpm.EK_TEMPLATES[index], self.ek_key)
        self.ak_key = new_key(kind_of(tpm.AK_TEMPLATES[ak_kind]))
        self.ak = with_key(tpm.AK_TEMPLATES[ak_kind], self.ak_key)

    def sign(self, data, hash_alg=tpm.SHA256, key=None):
        """TPMT_SIGNATURE."""
        key, algorithm = key or self.ak_key, HASHES[hash_alg]()
        if isinstance(key, rsa.RSAPrivateKey):
            return tpm.signature(tpm.RSASSA, hash_alg, key.sign(data, padding.PKCS1v15(), algorithm))
        pair = decode_dss_signature(key.sign(data, ec.ECDSA(algorithm)))
        size = (key.key_size + 7) // 8
        return tpm.signature(tpm.ECDSA, hash_alg, *(number.to_bytes(size, 'big') for number in pair))

    def statement(self, public, data, ak=None, **changes):
        """What TPM2_Certify says of a key; `changes` are to Attest."""
        name, ak = public.name(), ak or self.ak
        parent = tpm.qualified_name(tpm.u32(0x40000001), b'a storage key')
        return Attest(**{'signer': tpm.signer_name(ak), 'extra': data, 'name': name,
                         'qualified': tpm.qualified_name(parent, name), **changes}).marshalled()

    def request(self, *subjects, certificate=b'', chain=(), made=None, host='web1', nonce='', ek=None, ak=None,
                key=None, hash_alg=tpm.SHA256, statement=None, bound=None, blob=None):
        """A good request but for what is told: `statement` has changes to Attest, `bound` changes to what the
        qualifying data is made of, `blob` another SSH key for all subjects, and `key` signs in place of the AK's."""
        request = Request(made or now(), host, nonce, certificate, chain, ek or self.ek, ak or self.ak)
        for subject in subjects:
            bound_to = {'made': request.made, 'host': host, 'nonce': nonce, 'ek_name': request.ek.name(),
                        'blob': blob or subject.blob, **(bound or {})}
            attest = self.statement(subject.public, qualifying_data(**bound_to), ak, **(statement or {}))
            request.add(blob or subject.blob, subject.public, attest, self.sign(attest, hash_alg, key))
        return request


def negated(signed):
    """The other signature, (r, n - s), that ECDSA takes for the same data; of P-256."""
    scheme, hash_alg, (r, s) = tpm.read_signature(signed)
    return tpm.signature(scheme, hash_alg, r, (P256_ORDER - int.from_bytes(s, 'big')).to_bytes(32, 'big'))


class Request:
    """The document. `ek` and `ak` are tpm_objects.Public; `keys` has the members as they are written."""

    def __init__(self, made, host, nonce, certificate, chain, ek, ak):
        self.made, self.host, self.nonce, self.certificate, self.chain = made, host, nonce, certificate, list(chain)
        self.ek, self.ak, self.keys = ek, ak, []

    def add(self, blob, public, attest, signed):
        self.keys.append({'ssh': ssh_line(blob), 'public': b64(public.marshalled()), 'certInfo': b64(attest),
                          'sig': b64(signed)})

    def members(self):
        return {'format': FORMAT, 'made': self.made, 'host': self.host, 'nonce': self.nonce,
                'ek': {'certificate': b64(self.certificate), 'chain': list(map(b64, self.chain)),
                       'public': b64(self.ek.marshalled())},
                'ak': {'public': b64(self.ak.marshalled())}, 'keys': [dict(key) for key in self.keys]}

    def text(self):
        return written(self.members())


def written(members):
    """The one way to write a document."""
    return json.dumps(members, ensure_ascii=False, separators=(',', ':')).encode() + b'\n'


def must(condition, what):
    if not condition:
        raise Refused(what)


def verify(text, roots=(), nonce=None, known=(), hours=24):
    """Checks a request as the contract has it: `roots` are certificates in DER, `known` Names of EKs.
    @returns the document. @raises Refused"""
    try:
        members = json.loads(text)
        must(written(members) == text, 'not canonical')
        must(list(members) == ['format', 'made', 'host', 'nonce', 'ek', 'ak', 'keys'], 'members')
        must((list(members['ek']), list(members['ak'])) == (['certificate', 'chain', 'public'], ['public']), 'members')
        must(members['format'] == FORMAT, 'format')
        must(len(text) <= 65536 and 1 <= len(members['keys']) <= 32, 'size')
        chain = [_decoded(member) for member in members['ek']['chain']]
        must(len(chain) <= 8, 'certificates')
        ek, ak = (Public.read(_decoded(members[key]['public'])) for key in ('ek', 'ak'))
        must(any(ek.replace(unique=template.unique) == template for template in tpm.EK_TEMPLATES.values()),
             'no template of an EK')
        must(ak.replace(unique=tpm.AK_TEMPLATES[ak.kind].unique) == tpm.AK_TEMPLATES[ak.kind], 'template of the AK')
        certificate = _decoded(members['ek']['certificate'])
        if ek.name() not in known:
            _check_certificate(certificate, chain, roots, ek)
        if nonce is None:
            must(now(-hours) <= members['made'] <= now(1), 'time')
        else:
            must(members['nonce'] == nonce, 'nonce')
        for key in members['keys']:
            _check_key(key, members, ek, ak)
        must(len({key['ssh'] for key in members['keys']}) == len(members['keys']), 'a key twice')
    except (ValueError, KeyError, InvalidSignature) as error:
        raise Refused(repr(error)) from error
    return members


def _decoded(text):
    data = base64.b64decode(text, validate=True)
    must(b64(data) == text, 'base64')
    return data


def _check_certificate(der, chain, roots, ek):
    certificate = x509.load_der_x509_certificate(der)
    must(certificate.public_key().public_numbers() == public_key(ek).public_numbers(), 'another EK')
    extensions = {extension.oid.dotted_string: extension for extension in certificate.extensions}
    must('2.23.133.8.1' in [usage.dotted_string for usage in extensions['2.5.29.37'].value], 'extended key usage')
    usage = extensions['2.5.29.15'].value
    must(usage.key_encipherment if ek.kind == RSA else usage.key_agreement, 'key usage')
    must('2.5.29.19' not in extensions or not extensions['2.5.29.19'].value.ca, 'a CA')
    facts = {fact.oid.dotted_string for directory in
             extensions['2.5.29.17'].value.get_values_for_type(x509.DirectoryName) for fact in directory}
    must({'2.23.133.2.1', '2.23.133.2.2', '2.23.133.2.3'} <= facts, 'the TPM of the certificate')
    unused, roots = list(chain), [x509.load_der_x509_certificate(root) for root in roots]
    above = [x509.load_der_x509_certificate(other) for other in chain] + roots
    for _ in range(9):
        found = [other for other in above if other.subject == certificate.issuer]
        must(found, 'no issuer')
        _check_issued(certificate, found[0])
        certificate = found[0]
        unused = [other for other in unused if x509.load_der_x509_certificate(other) != certificate]
        if certificate in roots and certificate.subject == certificate.issuer:
            must(not unused, 'a certificate beside the path')
            return
    raise Refused('no root')


def _check_issued(certificate, issuer):
    key, algorithm = issuer.public_key(), certificate.signature_hash_algorithm
    must(issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca, 'an issuer that is no CA')
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
    else:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))


def _check_key(key, members, ek, ak):
    must(list(key) == ['ssh', 'public', 'certInfo', 'sig'], 'members')
    public, info = Public.read(_decoded(key['public'])), _decoded(key['certInfo'])
    blob = ssh_blob(public)
    must(key['ssh'] == ssh_line(blob), 'the ssh line is of another key')
    attest = Attest.read(info)
    must(attest.extra == qualifying_data(members['made'], members['host'], members['nonce'], ek.name(), blob),
         'qualifying data')
    must(attest.signer == tpm.signer_name(ak), 'signer')
    must(attest.name == public.name(), 'name')
    must(public.attributes & tpm.BORN_HERE == tpm.BORN_HERE, 'not of a TPM')
    must(public.attributes & (tpm.SIGN | tpm.RESTRICTED) == tpm.SIGN, 'no plain signing key')
    scheme, hash_alg, numbers = tpm.read_signature(_decoded(key['sig']))
    must((scheme, hash_alg) == GOOD_SIGNATURES[ak.kind], 'scheme')
    if ak.kind == RSA:
        public_key(ak).verify(numbers[0], info, padding.PKCS1v15(), hashes.SHA256())
    else:
        pair = encode_dss_signature(*(int.from_bytes(number, 'big') for number in numbers))
        public_key(ak).verify(pair, info, ec.ECDSA(hashes.SHA256()))
