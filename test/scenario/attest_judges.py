#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python side of the attestation tests against the makers of the standards: tpm2-tools, swtpm and published
numbers."""

import os
import unittest

import attestation
import sealing
import tpm_objects as tpm
from attestation import Refused, SoftTpm, Subject
from attesting import EKS, ByTools, contents_of
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from endorsed import P_256, P_384, RSA_2048, Endorsed
from keyfile import pem
from lab import Scenario
from tpm_maker import Authority
from tpm_objects import ECC, RSA, Attest, Public

# draft-irtf-cfrg-xchacha-03, A.3.1
KEY = bytes(range(0x80, 0xa0))
NONCE = bytes(range(0x40, 0x58))
PLAIN = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would "
         b'be it.')
ASSOCIATED = bytes.fromhex('50515253c0c1c2c3c4c5c6c7')
TAG = bytes.fromhex('c0875924c1c7987947deafd8780acf49')


class Judges(Scenario):
    def printed(self, kind, content):
        path = self.lab.write('structure', content)
        return self.lab.run('tpm2_print', '-t', kind, path, status=0, env={'TSS2_LOG': 'all+none'}).stdout

    def test_xchacha_has_the_published_tag(self):
        sealed = sealing.xchacha_encrypt(KEY, NONCE, PLAIN, ASSOCIATED)
        self.assertEqual(sealed[-16:], TAG)
        self.assertEqual(sealing.xchacha_decrypt(KEY, NONCE, sealed, ASSOCIATED), PLAIN)
        # 2.2.1
        self.assertEqual(sealing.hchacha20(bytes(range(32)), bytes.fromhex('000000090000004a0000000031415927')).hex(),
                         '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc')

    def test_policies_are_those_of_the_profile(self):
        self.assertEqual(tpm.policy_secret(tpm.SHA256).hex(),
                         '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa')
        self.assertEqual(tpm.policy_or(tpm.SHA256).hex(),
                         'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0')

    def test_tpm2_tools_read_the_structures_as_meant(self):
        for index in tpm.EK_TEMPLATES:
            soft = SoftTpm(index)
            with self.subTest(index=hex(index)):
                printed = self.printed('TPM2B_PUBLIC', soft.ek.marshalled())
                self.assertIn(f'authorization policy: {soft.ek.policy.hex()}', printed)
                self.assertIn(max(soft.ek.unique, key=len).hex(), printed)
                self.assertEqual(Public.read(soft.ek.marshalled()), soft.ek)
        for ak_kind in ECC, RSA:
            soft = SoftTpm(ak_kind=ak_kind)
            printed = self.printed('TPM2B_PUBLIC', soft.ak.marshalled())
            self.assertIn('fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign', printed)

    def test_openssl_accepts_the_certificates(self):
        for kind in 'p256', 'rsa2048':
            authority = Authority(kind=kind)
            root, intermediate = (self.lab.write(name, pem(issuer.certificate, 'CERTIFICATE')) for name, issuer in
                                  (('root', authority.root), ('intermediate', authority.intermediate)))
            for index in RSA_2048, P_256, P_384:
                certificate = authority.ek_certificate(SoftTpm(index).ek_key.public_key())
                path = self.lab.write('ek', pem(certificate, 'CERTIFICATE'))
                self.lab.run('openssl', 'verify', '-x509_strict', '-ignore_critical', '-CAfile', root, '-untrusted',
                             intermediate, path, status=0)

    def test_the_verifier_accepts_a_request_and_no_changed_one(self):
        authority = Authority()
        for index, ak_kind in (P_256, ECC), (RSA_2048, RSA):
            soft = SoftTpm(index, ak_kind)
            certificate = authority.ek_certificate(soft.ek_key.public_key())
            subjects = [Subject(), Subject('p521'), Subject('rsa2048')]

            def check(request, roots=authority):
                attestation.verify(request.text(), [roots.root.certificate])
            check(soft.request(*subjects, certificate=certificate, chain=authority.chain))
            for changes in ({'statement': {'kind': tpm.QUOTE}}, {'statement': {'signer': soft.ak.name()}},
                            {'bound': {'host': 'web2'}}, {'key': SoftTpm(ak_kind=ak_kind).ak_key}, {'chain': []},
                            {'ek': soft.ek.replace(attributes=soft.ek.attributes & ~tpm.FIXED_TPM)}):
                changed = soft.request(*subjects, **{'certificate': certificate, 'chain': authority.chain, **changes})
                with self.subTest(changes=changes), self.assertRaises(Refused):
                    check(changed)
            with self.assertRaises(Refused):
                check(soft.request(*subjects, certificate=certificate, chain=authority.chain), Authority('Other'))

    def test_what_is_sealed_opens_for_its_own_tpm_alone(self):
        line = Subject().line
        other = SoftTpm()
        for index in tpm.EK_TEMPLATES:
            soft = SoftTpm(index)
            document, receipt = sealing.seal(b'a request\n', [line], soft.ek, soft.ak)
            with self.subTest(index=hex(index)):
                opened = sealing.open_sealed(document, b'a request\n', soft.ek, soft.ak, soft.ek_key)
                self.assertEqual(opened, ([line], receipt))
                with self.assertRaises(sealing.NotOpened):
                    sealing.open_sealed(document, b'a request\n', soft.ek, other.ak, soft.ek_key)
                with self.assertRaises(sealing.NotOpened):
                    sealing.open_sealed(document, b'another\n', soft.ek, soft.ak, soft.ek_key)
                forged, _ = sealing.seal(b'a request\n', [line], soft.ek, soft.ak, about={'request_digest': bytes(32)})
                with self.assertRaises(InvalidTag):
                    sealing.open_sealed(forged, b'a request\n', soft.ek, soft.ak, soft.ek_key)

    def test_tpm2_makecredential_makes_what_opens(self):
        secret = self.lab.write('secret', bytes(range(32)))
        for index in RSA_2048, P_256, P_384:
            soft = SoftTpm(index)
            with self.subTest(index=hex(index)):
                public, credential = self.lab.write('ek.pub', soft.ek.marshalled()), self.lab.path('credential')
                self.lab.run('tpm2_makecredential', '-T', 'none', '-u', public, '-s', secret, '-n',
                             soft.ak.name().hex(), '-o', credential, status=0,
                             env={'TSS2_LOG': 'all+none'})
                self.assertEqual(sealing.activate(contents_of(credential), soft.ek, soft.ek_key, soft.ak.name()),
                                 bytes(range(32)))


class RealTpm(ByTools, Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Endorsed(self.lab, keep=(RSA_2048, P_256, P_384))

    def test_its_eks_are_of_the_templates_and_certified(self):
        self.assertEqual(sorted(EKS), [index for index in self.tpm.certificate_indices() if index in EKS])
        roots = self.lab.write('ca.pem', self.tpm.issuer())
        for index in EKS:
            _, public = self.made_ek(index)
            template = tpm.EK_TEMPLATES[index]
            with self.subTest(index=hex(index)):
                self.assertEqual(public.replace(unique=template.unique), template)
                path = self.lab.write('ek.pem', pem(self.tpm.certificate(index), 'CERTIFICATE'))
                certified = self.lab.run('openssl', 'x509', '-in', path, '-noout', '-pubkey', status=0).stdout
                numbers = self.lab.run('openssl', 'pkey', '-pubin', '-text', '-noout', stdin=certified, status=0).stdout
                self.assertIn(max(public.unique, key=len).hex(), ''.join(numbers.split()).replace(':', ''))
                self.lab.run('openssl', 'verify', '-partial_chain', '-ignore_critical', '-CAfile', roots, path,
                             status=0)

    def test_it_opens_what_was_made_without_a_tpm(self):
        """And nothing for another AK."""
        ak_context, ak = self.made_ak()
        self.assertEqual(ak.replace(unique=(b'', b'')), tpm.AK_TEMPLATES[ECC])
        for index in RSA_2048, P_256, P_384:
            ek_context, ek = self.made_ek(index)
            credential = self.lab.write('credential', sealing.make_credential(ek, ak.name(), bytes(range(32))))
            with self.subTest(index=hex(index)):
                self.assertEqual(self.activated(ek_context, ak_context, credential), bytes(range(32)))
                wrong = self.lab.write('credential', sealing.make_credential(ek, SoftTpm().ak.name(), bytes(32)))
                with self.assertRaisesRegex(AssertionError, r'Esys_ActivateCredential\(0x'):
                    self.activated(ek_context, ak_context, wrong, log='')

    def test_its_statements_are_read_as_meant(self):
        """tpm2_certify has no qualifying data."""
        context, ak = self.made_ak()
        attest, signed, public = (self.lab.path(name) for name in ('attest', 'signed', 'public'))
        self.tpm.make_persistent()
        self.tpm.tool('tpm2_certify', '-c', '0x81000001', '-C', context, '-g', 'sha256', '-o', attest, '-s', signed)
        self.tpm.craft('tpm2_readpublic', '-c', '0x81000001', '-o', public)
        statement, certified = Attest.read(contents_of(attest)), Public.read(contents_of(public))
        self.assertEqual(statement.marshalled(), contents_of(attest))
        self.assertEqual((statement.name, statement.signer, statement.extra),
                         (certified.name(), tpm.signer_name(ak), b'\x00\xff\x55\xaa'))
        scheme, hash_alg, numbers = tpm.read_signature(contents_of(signed))
        self.assertEqual((scheme, hash_alg), (tpm.ECDSA, tpm.SHA256))
        pair = encode_dss_signature(*(int.from_bytes(number, 'big') for number in numbers))
        attestation.public_key(ak).verify(pair, contents_of(attest), ec.ECDSA(hashes.SHA256()))

    def test_its_maker_leaves_nothing_behind(self):
        """swtpm_setup keeps files in the folder for temporary ones, and may keep its configuration at home."""
        made = self.tpm.factory.lab
        for folder in made.home, self.tpm.factory.env['TMPDIR']:
            self.assertEqual(os.listdir(folder), [])


if __name__ == '__main__':
    unittest.main()
