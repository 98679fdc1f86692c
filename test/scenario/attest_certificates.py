#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest verify: which certificates of endorsement keys count, and which folders of roots."""

import datetime
import os
import unittest

import tpm_maker
from attestation import SoftTpm, new_key
from keyfile import OCTETS, pem, tlv
from tpm_maker import (AGREEMENT, BASIC, CERT_SIGN, DAY, EK_USAGE, ENCIPHERMENT, EXTENDED, KEY_USAGE, MANUFACTURER,
                       MODEL, SAN, TPM_FACTS, VERSION, Authority, Issuer, basic_constraints, common_name,
                       extended_usage, extension, key_usage, tpm_name)
from tpm_objects import RSA
from verifying import Verifying

NOW = datetime.datetime.now(datetime.timezone.utc)
SUBJECT = common_name('a TPM')
ANY_USAGE = '2.5.29.37.0'
UNKNOWN = '1.3.6.1.4.1.99999.1'
CA = [key_usage(CERT_SIGN), basic_constraints(True)]


class Certificates(Verifying):
    def certified(self, soft=None, authority=None, chain=None, **faults):
        """A good request with such a certificate."""
        soft, authority = soft or self.tpm, authority or self.authority
        return self.request(tpm=soft, certificate=authority.ek_certificate(soft.ek_key.public_key(), **faults),
                            chain=authority.chain if chain is None else chain).text()

    def below(self, issuer, *chain, **faults):
        """With a certificate by this CA, the certificates of the CAs above it included."""
        return self.certified(issuer=issuer, chain=[issuer.certificate, *chain], **faults)

    def test_good_ones(self):
        attributes = extension('2.5.29.9', tpm_maker.sequence(tpm_maker.sequence(
            tpm_maker.oid('2.23.133.2.16'), tlv(0x31, tpm_maker.sequence(tlv(0x0c, b'2.0'))))))
        self.assert_verified({
            'usual': self.certified(), 'with a subject': self.certified(subject=SUBJECT),
            'with a subject and a SAN that is not critical':
                self.certified(subject=SUBJECT, changes={SAN: tpm_name(critical=False)}),
            'all facts in one set': self.certified(changes={SAN: tpm_name(multi_valued=True)}),
            'more facts': self.certified(facts=(('2.5.4.5', '0123'), *TPM_FACTS)),
            'a critical purpose': self.certified(changes={EXTENDED: extended_usage(EK_USAGE, critical=True)}),
            'two purposes': self.certified(changes={EXTENDED: extended_usage('1.3.6.1.5.5.7.3.2', EK_USAGE)}),
            'directory attributes': self.certified(more=[attributes]),
            'an extension that nobody knows': self.certified(more=[extension(UNKNOWN, b'\x05\x00')]),
            'valid forever': self.certified(end=datetime.datetime(9999, 12, 31, 23, 59, 59)),
            'the root sent along': self.certified(chain=[*self.authority.chain, self.authority.root.certificate]),
            'the chain from above': self.certified(chain=[self.authority.root.certificate, *self.authority.chain]),
            'SHA-384': self.certified(hash_name='sha384'),
            'by the root itself': self.certified(issuer=self.authority.root, chain=[])})

    def test_good_ones_of_rsa(self):
        authority, soft = Authority(kind='rsa2048'), SoftTpm(0x01c00002, RSA)
        self.roots = authority.write_roots(self.lab.path('rsa'))
        self.assert_verified({'RSA by RSA': self.certified(soft, authority),
                              'ECC by RSA': self.certified(authority=authority)})
        self.assert_refused({'keyAgreement': (self.certified(soft, authority, changes={
            KEY_USAGE: key_usage(AGREEMENT)}), 'key usage'), 'a weak hash': (self.certified(
                soft, authority, hash_name='sha1'), 'weak a hash')})

    def test_bad_ones(self):
        stranger = Authority('Stranger')
        namesake = Authority()  # the same names, other keys
        ours = self.authority.intermediate
        alone = Issuer('a TPM')
        wanted = {MANUFACTURER: 'manufacturer', MODEL: 'model', VERSION: 'version'}
        table = {
            'expired': (self.certified(begin=NOW - 9 * DAY, end=NOW - DAY / 24), 'expired'),
            'expired long ago': (self.certified(begin=datetime.datetime(1990, 1, 1), end=datetime.datetime(1999, 1, 1)),
                                 'expired'),
            'not yet valid': (self.certified(begin=NOW + DAY / 24), 'not valid before'),
            'by a stranger': (self.certified(authority=stranger), 'root|issuer'),
            'by a stranger, who sends the root': (
                self.certified(authority=stranger, chain=[*stranger.chain, stranger.root.certificate]), 'root|issuer'),
            'by a namesake': (self.certified(authority=namesake), 'issuer'),
            'by a namesake, our chain': (self.certified(authority=namesake, chain=self.authority.chain), 'issuer'),
            'a stranger in our name': (self.certified(authority=stranger, issuer_name=ours.name,
                                                      chain=self.authority.chain), 'issuer'),
            'a stranger in our name, and our key identifier': (self.certified(
                issuer=ours, signer=stranger.intermediate.key), 'not signed by its issuer'),
            'signed by itself': (self.certified(signer=self.tpm.ek_key, issuer_name=SUBJECT, subject=SUBJECT, chain=[]),
                                 'itself'),
            'signed by itself, a chain beside it': (
                self.certified(signer=self.tpm.ek_key, issuer_name=SUBJECT, subject=SUBJECT), 'itself'),
            'signed by a key of no CA': (self.certified(issuer=alone, chain=[]), 'root|issuer'),
            'a CA': (self.certified(changes={BASIC: basic_constraints(True)}), 'authority'),
            'signs certificates': (self.certified(changes={BASIC: None, KEY_USAGE: key_usage(AGREEMENT, CERT_SIGN)}),
                                   'authority'),
            'no purpose': (self.certified(changes={EXTENDED: None}), 'extended key usage'),
            'another purpose': (self.certified(changes={EXTENDED: extended_usage('2.23.133.8.2')}),
                                'extended key usage'),
            'any purpose': (self.certified(changes={EXTENDED: extended_usage(ANY_USAGE)}), 'extended key usage'),
            'no SAN': (self.certified(changes={SAN: None}), 'alternative name'),
            'no SAN, with a subject': (self.certified(changes={SAN: None}, subject=SUBJECT), 'alternative name'),
            'a SAN that is not critical': (self.certified(changes={SAN: tpm_name(critical=False)}), 'critical'),
            'a DNS name': (self.certified(changes={SAN: extension(SAN, tpm_maker.sequence(tlv(0x82, b'web1')), True)}),
                           'manufacturer'),
            'encipherment': (self.certified(changes={KEY_USAGE: key_usage(ENCIPHERMENT)}), 'key usage'),
            'signatures': (self.certified(changes={KEY_USAGE: key_usage(tpm_maker.SIGNATURE)}), 'key usage'),
            'no key usage': (self.certified(changes={KEY_USAGE: None}), 'key usage'),
            'version 1': (self.certified(version=1, subject=SUBJECT), 'version'),
            'a critical extension that nobody knows': (
                self.certified(more=[extension(UNKNOWN, b'\x05\x00', critical=True)]), 'critical'),
            'a purpose twice': (self.certified(more=[extended_usage(EK_USAGE)]), 'extension'),
            'a damaged purpose': (self.certified(changes={EXTENDED: extension(EXTENDED, b'\x30\x05')}),
                                  'extension'),
            'SHA-1': (self.certified(hash_name='sha1'), 'weak a hash'),
            **{f'no {word}': (self.certified(facts=[fact for fact in TPM_FACTS if fact[0] != kind]), word)
               for kind, word in wanted.items()},
            **{f'two of {word}': (self.certified(facts=[*TPM_FACTS, (kind, 'id:00000000')]), word)
               for kind, word in wanted.items()}}
        self.assert_refused(table)
        without = {'no purpose': self.certified(changes={EXTENDED: None})}
        self.assert_verified(without, '--allow-no-eku')
        self.assert_refused({name: table[name] for name in ('another purpose', 'any purpose', 'no SAN', 'a CA')},
                            '--allow-no-eku')

    def test_bytes_that_are_no_certificate(self):
        good = self.authority.ek_certificate(self.tpm.ek_key.public_key())
        for name, content in (('one byte more', good + b'\0'), ('padded as in the TPM', good + b'\xff' * 100),
                              ('cut', good[:-1]), ('twice', good * 2), ('zeros', bytes(500)), ('one byte', b'0'),
                              ('PEM', pem(good, 'CERTIFICATE').encode()), ('a key', tpm_maker.spki(
                                  self.tpm.ek_key.public_key()))):
            self.assert_refused({
                name: (self.request(certificate=content).text(), 'certificate'),
                f'{name}, in the chain': (self.request(chain=[content]).text(), 'chain|certificate')})
        self.assert_refused({'none': (self.request(certificate=b'', chain=[]).text(), 'certificate|known'),
                             'none, but a chain': (self.request(certificate=b'').text(), 'certificate|known')})

    def test_issuers(self):
        root, intermediate = self.authority.root, self.authority.intermediate
        good = intermediate.certificate
        cases = {
            'no CA': [key_usage(CERT_SIGN), basic_constraints(False)], 'no word of a CA': [key_usage(CERT_SIGN)],
            'no certificates': [key_usage(tpm_maker.SIGNATURE), basic_constraints(True)], 'nothing': [],
            'a critical extension that nobody knows': [*CA, extension(UNKNOWN, b'\x05\x00', critical=True)]}
        table = {name: (self.below(Issuer('Another', issuer=root, extensions=extensions)), 'authority|critical')
                 for name, extensions in cases.items()}
        table['version 1'] = (self.below(Issuer('Another', issuer=root, extensions=[], version=1)), 'authority')
        table['expired'] = (self.below(Issuer('Another', issuer=root, begin=NOW - 9 * DAY, end=NOW - DAY)), 'expired')
        table['not yet valid'] = (self.below(Issuer('Another', issuer=root, begin=NOW + DAY)), 'not valid before')
        table['not signed'] = (self.below(Issuer('Another', issuer=root, signer=new_key('p256'))), 'sign')
        table['a small key'] = (self.below(Issuer('Another', 'rsa1024', issuer=root)), 'weak')
        table['SHA-1'] = (self.below(Issuer('Another', issuer=root, hash_name='sha1')), 'weak a hash')
        table['an endorsement key'] = (self.below_an_endorsement_key(), 'authority')
        short = Issuer('Short', issuer=root, extensions=[key_usage(CERT_SIGN), basic_constraints(True, 0)])
        table['a path too long'] = (self.below(Issuer('Below', issuer=short), short.certificate), 'path')
        self.assert_refused(table)
        self.assert_verified({'at the end of a path': self.below(short),
                              'three': self.below(Issuer('Third', issuer=intermediate), good)})

    def below_an_endorsement_key(self):
        """A TPM's owner makes a certificate with his own endorsement key's, as if that were a CA's."""
        fellow = SoftTpm()
        issuer = Issuer('Fellow', key=fellow.ek_key)
        issuer.certificate = self.authority.ek_certificate(fellow.ek_key.public_key(), subject=issuer.name)
        return self.below(issuer, *self.authority.chain)

    def test_certificates_beside_the_path(self):
        stranger, unused = Authority('Stranger'), Issuer('Unused', issuer=self.authority.root)
        for name, more in (('of a stranger', stranger.chain), ("a stranger's root", [stranger.root.certificate]),
                           ('of another of its CAs', [unused.certificate]), ('its own', [self.certificate]),
                           ('of another TPM', [self.authority.ek_certificate(SoftTpm().ek_key.public_key())])):
            self.assert_refused({
                name: (self.certified(chain=[*self.authority.chain, *more]), 'path'),
                f'{name}, in front': (self.certified(chain=[*more, *self.authority.chain]), 'path')})

    def test_eight_certificates(self):
        issuers = [self.authority.intermediate]
        for number in range(6):
            issuers.insert(0, Issuer(f'CA {number}', issuer=issuers[0]))
        chain = [issuer.certificate for issuer in issuers]
        self.assert_verified({'eight': self.certified(issuer=issuers[0], chain=chain)})
        nine = Issuer('CA 9', issuer=issuers[0])
        self.assert_refused({
            'nine': (self.below(nine, *chain), 'certificates'),
            'nine, the root with them': (self.certified(issuer=issuers[0], chain=[
                *chain, self.authority.root.certificate]), 'certificates')})

    def test_folders_of_roots(self):
        """A root signs itself; what else is there stands between. All are read, PEM and DER."""
        bare, intermediate = self.certified(chain=[]), self.authority.intermediate.certificate
        self.assert_refused({'no intermediate': (bare, 'issuer|root')})
        stranger = Authority('Stranger')
        with_both = self.authority.write_roots(self.lab.path('both'), intermediate)
        with_strangers = self.authority.write_roots(self.lab.path('more'), intermediate, stranger.root.certificate,
                                                    *stranger.chain)
        together = self.lab.make_folder('together')
        self.lab.write('together/all.pem', ''.join(pem(der, 'CERTIFICATE') for der in (
            stranger.root.certificate, intermediate, self.authority.root.certificate)))
        for folder in with_both, with_strangers, together:
            for documents in {'bare': bare, 'whole': self.certified()}, {'again': bare}:
                self.assert_verified(documents, '--ek-roots', folder)
        self.assert_verified({'of the other': self.certified(authority=stranger)}, '--ek-roots', with_strangers)

    def test_an_intermediate_is_no_root(self):
        """Though it lies in the folder, beside another maker's root."""
        folder = Authority('Stranger').write_roots(self.lab.path('others'), self.authority.intermediate.certificate)
        for chain in [], self.authority.chain, [*self.authority.chain, self.authority.root.certificate]:
            self.assert_refused({'not to a root': (self.certified(chain=chain), 'root|issuer')}, '--ek-roots', folder)

    def test_an_endorsement_certificate_is_no_root(self):
        """A TPM's own certificate, signed by itself, that somebody has put there by mistake."""
        itself = Issuer('Maker of one', extensions=[], key=self.tpm.ek_key)
        certificate = itself.certify(self.tpm.ek_key.public_key(), [
            key_usage(AGREEMENT), basic_constraints(False), extended_usage(EK_USAGE), tpm_name()], subject=itself.name)
        folder = self.authority.write_roots(self.lab.path('mistaken'), certificate)
        request = self.request(certificate=certificate, chain=[])
        self.assert_refused({'itself': (request.text(), 'itself')}, '--ek-roots', folder)

    def test_folders_that_are_none(self):
        path = self.lab.write('one.json', self.certified())
        empty, damaged, only = (self.lab.make_folder(name) for name in ('empty', 'damaged', 'only'))
        self.authority.write_roots(damaged)
        self.lab.write('damaged/other.der', tlv(OCTETS, b'no certificate'))
        self.lab.write('only/intermediate.der', self.authority.intermediate.certificate)
        for folder, word in ((empty, 'root'), (only, 'root'), (damaged, 'other.der'),
                             (self.lab.path('missing'), 'missing')):
            with self.subTest(os.path.basename(folder)):
                said = self.verify('--ek-roots', folder, path)
                self.assert_error(said, word, tool='ssh-tpm.*', status=said.returncode or 1)
                self.assertEqual(said.stdout, '')


if __name__ == '__main__':
    unittest.main()
