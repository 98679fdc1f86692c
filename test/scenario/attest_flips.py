#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest verify: no bit of a request can be another one, wherever it stands."""

import base64
import copy
import itertools
import unittest

from attestation import SoftTpm, Subject, b64, now, written
from lab import ALL
from tpm_maker import Authority
from tpm_objects import ECC, RSA
from verifying import SANITIZED, Verifying

BATCH = 4000  # documents for one run of the program
# Sanitizers take their time. test_of_each_field tries every bit of every field, the others do so in `test/check all`.
STEP = 17 if SANITIZED else 1
FEWER = STEP if ALL else 7 * STEP


def leaves(members, path=()):
    """The strings of a document: pairs of the way to one and its text."""
    if isinstance(members, str):
        yield path, members
        return
    for key, value in members.items() if isinstance(members, dict) else enumerate(members):
        yield from leaves(value, (*path, key))


def replaced(members, path, text):
    members = copy.deepcopy(members)
    place = members
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = text
    return members


def flips(data):
    """`data` with one bit turned, for each bit."""
    for place in range(len(data)):
        for bit in range(8):
            yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1:]


def is_base64(text):
    try:
        return len(text) > 20 and b64(base64.b64decode(text, validate=True)) == text
    except ValueError:
        return False


def field_flips(members):
    """Pairs of a name and a document, in which one bit of one member is another one."""
    for path, text in leaves(members):
        front, _, last = text.rpartition(' ')
        if is_base64(last):  # "ssh" has the type of the key in front
            front = front and front + ' '
            variants = (front + b64(data) for data in flips(base64.b64decode(last)))
        else:
            variants = (data.decode('latin-1') for data in flips(text.encode()))
        for number, variant in enumerate(variants):
            yield f'bit {number} of {path}', written(replaced(members, path, variant))


def outside_of_certificates(name):
    """In a certificate the number of unused bits of its signature may mean nothing."""
    return "('ek', 'ce" not in name and "('ek', 'ch" not in name


class Flips(Verifying):
    def assert_all_refused(self, documents, *options, step=FEWER):
        """Or verified with the same result: then the bit means nothing. @returns how many were tried, and the names of
        those"""
        documents, tried, verified = itertools.islice(documents, 0, None, step), 0, []
        while batch := dict(itertools.islice(documents, BATCH)):
            results = self.results({'good': self.good, **batch}, *options)
            same = results.pop('good')
            self.assertEqual(same['status'], 'verified', same['error'])
            other = [(name, result) for name, result in results.items()
                     if result['status'] != 'refused' and result != same]
            self.assertEqual(other, [])
            tried += len(batch)
            verified += [name for name, result in results.items() if result == same]
        return tried, verified

    def make_good(self, *subjects, tpm=None, **changes):
        certificate = self.authority.ek_certificate((tpm or self.tpm).ek_key.public_key())
        request = self.request(*subjects, tpm=tpm, **{'certificate': certificate, **changes})
        self.good = request.text()
        return request

    def test_of_the_document(self):
        self.make_good(nonce='n0nce')
        documents = ((f'bit {number}', flipped) for number, flipped in enumerate(flips(self.good)))
        self.assertEqual(self.assert_all_refused(documents, '--nonce', 'n0nce'),
                         (len(range(0, 8 * len(self.good), FEWER)), []))

    def test_of_the_document_without_a_nonce(self):
        """The time counts then: it is the end of the day that is accepted."""
        self.make_good(made=now(-1))
        front = self.good.index(b'"ek"')
        documents = ((f'bit {number}', flipped) for number, flipped in
                     zip(range(8 * front), flips(self.good)))
        self.assertEqual(self.assert_all_refused(documents), (len(range(0, 8 * front, FEWER)), []))

    def test_of_each_field(self):
        request = self.make_good(self.subject, Subject('p521'), nonce='n0nce')
        tried, verified = self.assert_all_refused(field_flips(request.members()), '--nonce', 'n0nce', step=STEP)
        self.assertGreater(tried, 8 * len(self.good) // 2 // STEP)
        self.assertEqual(list(filter(outside_of_certificates, verified)), [])

    def test_of_each_field_with_rsa(self):
        authority, soft = Authority(kind='rsa2048'), SoftTpm(0x01c00002, RSA)
        authority.write_roots(self.roots)
        request = self.make_good(Subject('rsa2048'), tpm=soft, chain=[], certificate=authority.ek_certificate(
            soft.ek_key.public_key(), issuer=authority.root))
        tried, verified = self.assert_all_refused(field_flips(request.members()))
        self.assertGreater(tried, 8 * len(self.good) // 2 // FEWER)
        self.assertEqual(list(filter(outside_of_certificates, verified)), [])

    def test_of_each_field_of_a_known_tpm(self):
        """Its certificate proves nothing then."""
        for certificate, chain in (b'', []), (self.certificate, self.authority.chain):
            tpm = self.tpm if certificate else SoftTpm(0x01c00016, ECC)
            request = self.make_good(tpm=tpm, certificate=certificate, chain=chain)
            known = self.known(f'{tpm.ek.name().hex()} web1.example.org')
            tried, verified = self.assert_all_refused(field_flips(request.members()), *known)
            self.assertGreater(tried, 8 * len(self.good) // 3 // FEWER)
            self.assertEqual(list(filter(outside_of_certificates, verified)), [])

    def test_every_field_is_tried(self):
        """Those of the document as it is today, and no bit of them less."""
        request = self.make_good(self.subject, chain=[b'a certificate of 30 bytes here'])
        members = request.members()
        sizes = {}
        for name, text in field_flips(members):
            self.assertNotEqual(text, self.good)
            sizes[name.split(' of ')[1]] = sizes.get(name.split(' of ')[1], 0) + 1
        self.assertEqual(set(sizes) | {"('nonce',)"}, {str(path) for path, _ in leaves(members)} | {"('nonce',)"})
        self.assertEqual(sizes["('ek', 'certificate')"], 8 * len(request.certificate))
        self.assertEqual(sizes["('keys', 0, 'ssh')"], 8 * len(self.subject.blob))
        self.assertEqual(sizes["('host',)"], 8 * len('web1'))


if __name__ == '__main__':
    unittest.main()
