#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest verify: what makes a request worth nothing, and what it says of one that holds."""

import base64
import json
import os
import unittest

import tpm_objects as tpm
from attestation import P256_ORDER, SoftTpm, Subject, b64, negated, new_key, now, written
from cryptography.hazmat.primitives.asymmetric import rsa
from lab import read
from tpm_objects import ECC, NULL, RSA
from verifying import SANITIZED, Verifying, key_facts, with_member

OTHER_POLICY = bytes(32)
NOT_OURS = 'template'
NOT_SIGNED = 'signature'
OTHER_DATA = 'qualifying data'
MAGIC = 'magic number|TPM_GENERATED'
FLEET = 1000 if SANITIZED else 10000
TURN = 2 ** 64 / 1e9 / 3600  # hours: 584 years


def every_bit(public):
    """The same key with each of its attributes another one."""
    return {f'attribute {bit}': public.replace(attributes=public.attributes ^ 1 << bit) for bit in range(32)}


def other_shapes(public):
    """The same key with each part of its template another one, but for the attributes."""
    shapes = {
        'SHA-384': public.replace(name_alg=tpm.SHA384), 'SHA-1': public.replace(name_alg=tpm.SHA1),
        'no policy': public.replace(policy=b'' if public.policy else OTHER_POLICY),
        'another policy': public.replace(policy=bytes(32 if len(public.policy) != 32 else 48)),
        'symmetric': public.replace(symmetric=(tpm.AES, 192, tpm.CFB)),
        'scheme': public.replace(scheme=(tpm.RSAPSS if public.kind == RSA else 0x1a, tpm.SHA256)),
        'hash of the scheme': public.replace(scheme=(tpm.RSASSA if public.kind == RSA else tpm.ECDSA, tpm.SHA384)),
        **({'exponent 65537': public.replace(exponent=65537), 'exponent 3': public.replace(exponent=3),
            'bits': public.replace(bits=1024)} if public.kind == RSA else
           {'curve': public.replace(curve=tpm.P521), 'KDF': public.replace(kdf=(0x20, tpm.SHA256))})}
    return {name: shape for name, shape in shapes.items() if shape != public}


class Other:
    """An object that is no key of ours, in place of tpm_objects.Public."""

    def __init__(self, area):
        self.area = area

    def marshalled(self):
        return tpm.sized(self.area)

    def name(self):
        return tpm.u16s(tpm.SHA256) + tpm.digest(tpm.SHA256, self.area)


class Verify(Verifying):
    def texts(self, tables, words):
        """A table for assert_refused of requests, all with the same words."""
        return {name: (request.text(), words) for name, request in tables.items()}

    def test_a_good_request_is_reported(self):
        subjects = [self.subject, Subject('p384'), Subject('p521'), Subject('rsa2048'),
                    Subject(attributes=tpm.SUBJECT & ~tpm.NO_DA),
                    Subject(attributes=tpm.SUBJECT & ~tpm.USER_WITH_AUTH, policy=OTHER_POLICY),
                    Subject('rsa2048', attributes=tpm.SUBJECT | tpm.DECRYPT)]
        for index, ak_kind in (0x01c0000a, ECC), (0x01c00002, RSA), (0x01c00016, ECC):
            soft = SoftTpm(index, ak_kind)
            request = self.request(*subjects, tpm=soft, nonce='n0nce', certificate=self.authority.ek_certificate(
                soft.ek_key.public_key()))
            result = self.verified(request, '--nonce', 'n0nce')
            keys = result.pop('keys')
            self.assertEqual(result, {
                'status': 'verified', 'error': '', 'host': 'web1', 'made': request.made, 'fresh': True,
                'ek': soft.ek.name().hex(), 'ak': soft.ak.name().hex(), 'manufacturer': 'id:4D414B45',
                'model': 'Model 7', 'version': 'id:00070002', 'root': 'CN = Maker root', 'known': False,
                'principals': []})
            for key, subject in zip(keys, subjects, strict=True):
                path = self.lab.write('key.pub', subject.line + '\n')
                self.assertEqual(key.pop('fingerprint'), self.lab.ssh_keygen('-l', '-f', path).split()[1])
                self.assertEqual(key, key_facts(subject))

    def test_the_keys_alone_are_on_stdout(self):
        good, bad = (self.lab.write(name, text) for name, text in (
            ('good.json', self.request(self.subject, Subject('p384')).text()),
            ('bad.json', self.request(host='other', bound={'host': 'web1'}).text())))
        said = self.verify('--ek-roots', self.roots, good, status=0)
        self.assertEqual(said.stdout, ''.join(
            key['ssh'] + '\n' for key in json.loads(read(good))['keys']))
        for part in 'web1', self.tpm.ek.name().hex(), self.tpm.ak.name().hex(), 'Model 7', 'not fresh':
            self.assertIn(part, said.stderr)
        said = self.verify('--ek-roots', self.roots, bad)
        self.assertEqual(said.stdout, '')
        self.assert_error(said, 'bad.json', OTHER_DATA, tool='ssh-tpm.*')
        both = self.verify('--ek-roots', self.roots, bad, good)
        self.assertEqual(both.returncode, 1)
        self.assertEqual(len(both.stdout.splitlines()), 2)

    def test_another_endorsement_key(self):
        other = SoftTpm()
        request = self.request(ek=other.ek)
        table = {'the public key of another TPM': (request.text(), 'certificate'),
                 'the certificate of another TPM': (self.request(certificate=self.authority.ek_certificate(
                     other.ek_key.public_key())).text(), 'certificate'),
                 'all of another TPM, put in later': (with_member(self.request(), lambda members: members.update(
                     ek=self.request(tpm=other, certificate=self.authority.ek_certificate(
                         other.ek_key.public_key())).members()['ek'])), OTHER_DATA)}
        self.assert_refused(table)

    def test_another_tpms_endorsement_key_is_for_sealing_to_find(self):
        """A program can name any TPM in its statements; that TPM alone can open the answer."""
        other = SoftTpm()
        self.verified(self.tpm.request(self.subject, ek=other.ek, chain=self.authority.chain, certificate=(
            self.authority.ek_certificate(other.ek_key.public_key()))))

    def test_an_endorsement_key_of_another_template(self):
        for soft in self.tpm, SoftTpm(0x01c00012), SoftTpm(0x01c00016):
            certificate = self.authority.ek_certificate(soft.ek_key.public_key())
            others = {**every_bit(soft.ek), **other_shapes(soft.ek)}
            if soft is self.tpm:  # userWithAuth makes the template of the high range, but for the policy
                others['of the high range'] = soft.ek.replace(attributes=tpm.EK_HIGH)
            self.assert_refused({name: (self.request(tpm=soft, ek=ek, certificate=certificate).text(),
                                        NOT_OURS + '|public') for name, ek in others.items()})

    def test_another_attestation_key(self):
        other = SoftTpm()
        self.assert_refused(self.texts({
            'the public key of another TPM': self.request(ak=other.ak),
            'a statement by another TPM': self.request(key=other.ak_key),
            'a statement by the endorsement key': self.request(key=self.tpm.ek_key),
            'a statement by the key itself': self.request(key=self.subject.key)}, NOT_SIGNED))

    def test_an_attestation_key_of_another_template(self):
        """Such a key may sign what is not true: it is not restricted, or not of the TPM."""
        for soft in self.tpm, SoftTpm(ak_kind=RSA):
            certificate = self.authority.ek_certificate(soft.ek_key.public_key())
            others = {**every_bit(soft.ak), **other_shapes(soft.ak)}
            self.assert_refused({name: (self.request(tpm=soft, ak=ak, certificate=certificate).text(),
                                        NOT_OURS + '|public') for name, ak in others.items()})

    def test_an_attestation_key_that_is_no_point(self):
        x, y = self.tpm.ak.unique
        for unique in (x, x), (y, x), (bytes(32), bytes(32)), (b'', b''), (x, b''), (x, y + b'\0'), (x + b'\1', y):
            request = self.request(ak=self.tpm.ak.replace(unique=unique))
            self.assert_refused({'no point': (request.text(), '^ak: ')})

    def test_false_statements(self):
        ours, subject = self.tpm, self.subject.public
        quote = tpm.u32(1) + tpm.u16s(tpm.SHA256) + b'\3\1\0\0' + tpm.sized(bytes(32))
        changes = {
            'no TPM_GENERATED': ({'magic': 0}, MAGIC),
            'TPM_GENERATED + 1': ({'magic': tpm.GENERATED + 1}, MAGIC),
            'a quote': ({'kind': tpm.QUOTE, 'attested': quote}, 'type'),
            'a quote by its type alone': ({'kind': tpm.QUOTE}, 'type|TPMS_ATTEST'),
            'a creation': ({'kind': tpm.CREATION}, 'type'),
            'no data': ({'extra': b''}, OTHER_DATA), 'data of zeros': ({'extra': bytes(32)}, OTHER_DATA),
            'the Name of the AK': ({'signer': ours.ak.name()}, 'qualifiedSigner'),
            'no signer': ({'signer': b''}, 'qualifiedSigner'),
            'a handle as the signer': ({'signer': tpm.u32(tpm.RH_ENDORSEMENT)}, 'qualifiedSigner'),
            'a signer of the owner': ({'signer': tpm.qualified_name(tpm.u32(0x40000001), ours.ak.name())},
                                      'qualifiedSigner'),
            'the signer of another TPM': ({'signer': tpm.signer_name(SoftTpm().ak)}, 'qualifiedSigner'),
            'another key': ({'name': Subject().public.name()}, 'Name'), 'no key': ({'name': b''}, 'Name'),
            'the qualified name': ({'name': tpm.qualified_name(tpm.u32(0x40000001), subject.name())}, 'Name'),
            'bytes after it': ({'attested': tpm.sized(subject.name()) + tpm.sized(b'') + b'\0'}, 'TPMS_ATTEST'),
            'too short': ({'attested': tpm.sized(subject.name()) + b'\0'}, 'TPMS_ATTEST'),
            'a long Name': ({'name': bytes(100)}, 'Name|TPMS_ATTEST'),
            'a clock that is neither safe nor unsafe': ({'clock': (1, 2, 3, 4)}, 'clock')}
        self.assert_refused({name: (self.request(statement=change).text(), words)
                             for name, (change, words) in changes.items()})

    def test_statements_for_something_else(self):
        bound = {'host': {'host': 'web2'}, 'no host': {'host': ''}, 'nonce': {'nonce': 'other'},
                 'made': {'made': now(-1)}, 'endorsement key': {'ek_name': SoftTpm().ek.name()},
                 'key': {'blob': Subject().blob}, 'host and nonce glued': {'host': 'web', 'nonce': '1n0nce'}}
        self.assert_refused({name: (self.request(nonce='n0nce', bound=change).text(), OTHER_DATA)
                             for name, change in bound.items()})
        text = self.request().text()
        members = json.loads(text)
        for name, value in ('host', 'web2'), ('nonce', 'fresh'), ('made', now(-2)):
            self.assert_refused({name: (written({**members, name: value}), OTHER_DATA)})
        first, second = (self.request(self.subject, Subject()) for _ in range(2))
        first.keys[0]['certInfo'], first.keys[1]['certInfo'] = first.keys[1]['certInfo'], first.keys[0]['certInfo']
        first.keys[0]['sig'], first.keys[1]['sig'] = first.keys[1]['sig'], first.keys[0]['sig']
        second.keys[0]['sig'] = second.keys[1]['sig']
        self.assert_refused({'statements of each other': (first.text(), OTHER_DATA),
                             'signatures of each other': (second.text(), NOT_SIGNED)})

    def with_signature(self, change, tpm_of=None):
        request = self.request(tpm=tpm_of)
        request.keys[0]['sig'] = b64(change(base64.b64decode(request.keys[0]['sig'])))
        return request

    def test_false_signatures(self):
        _, _, (r, s) = tpm.read_signature(self.tpm.sign(b'another text'))
        rsa_tpm = SoftTpm(0x01c00002, RSA)
        rsa_request = self.request(tpm=rsa_tpm, certificate=self.authority.ek_certificate(
            rsa_tpm.ek_key.public_key()))
        order = P256_ORDER.to_bytes(32, 'big')
        table = {'of another text': lambda _: tpm.signature(tpm.ECDSA, tpm.SHA256, r, s),
                 'zeros': lambda _: tpm.signature(tpm.ECDSA, tpm.SHA256, bytes(32), bytes(32)),
                 'empty': lambda _: tpm.signature(tpm.ECDSA, tpm.SHA256, b'', b''),
                 'r of zero': lambda _: tpm.signature(tpm.ECDSA, tpm.SHA256, bytes(32), s),
                 'the order': lambda _: tpm.signature(tpm.ECDSA, tpm.SHA256, order, order),
                 'RSASSA': lambda _: tpm.signature(tpm.RSASSA, tpm.SHA256, bytes(256)),
                 'ECDAA': lambda good: tpm.u16s(0x1a) + good[2:], 'Schnorr': lambda good: tpm.u16s(0x1c) + good[2:],
                 'null': lambda _: tpm.u16s(NULL), 'HMAC': lambda _: tpm.u16s(5, tpm.SHA256) + bytes(32),
                 'no hash': lambda good: good[:2] + tpm.u16s(NULL) + good[4:],
                 'a byte more': lambda good: good + b'\0', 'a byte less': lambda good: good[:-1],
                 'nothing': lambda _: b''}
        self.assert_refused(self.texts({name: self.with_signature(change) for name, change in table.items()},
                                       'sig'))
        self.assert_refused({tpm.HASHES[hash_alg]: (self.request(hash_alg=hash_alg).text(), NOT_SIGNED)
                             for hash_alg in (tpm.SHA1, tpm.SHA384, tpm.SHA512)})
        good = base64.b64decode(rsa_request.keys[0]['sig'])
        for name, sig in (('RSAPSS', tpm.u16s(tpm.RSAPSS) + good[2:]), ('SHA-1', good[:2] + tpm.u16s(4) + good[4:]),
                          ('ECDSA', tpm.signature(tpm.ECDSA, tpm.SHA256, r, s)),
                          ('one', tpm.signature(tpm.RSASSA, tpm.SHA256, bytes(255) + b'\1'))):
            rsa_request.keys[0]['sig'] = b64(sig)
            self.assert_refused({f'RSA, {name}': (rsa_request.text(), 'sig')})

    def test_the_other_signature_of_ecdsa_means_the_same(self):
        """So its bytes are never who made it."""
        request = self.request()
        first = self.verified(request)
        request.keys[0]['sig'] = b64(negated(base64.b64decode(request.keys[0]['sig'])))
        self.assertEqual(self.verified(request), first)

    def test_keys_that_are_not_the_tpms_own(self):
        """fixedTPM excludes what was imported; the rest, keys that sign anything for anybody."""
        for kind in 'p256', 'rsa2048':
            key = new_key(kind)
            own = Subject(kind, key)
            self.verified(self.request(own))
            clear = {'fixedTPM': tpm.FIXED_TPM, 'fixedParent': tpm.FIXED_PARENT,
                     'sensitiveDataOrigin': tpm.DATA_ORIGIN, 'sign': tpm.SIGN}
            table = {name: (self.request(Subject(kind, key, attributes=tpm.SUBJECT & ~bit)).text(), name)
                     for name, bit in clear.items()}
            table['restricted'] = (self.request(Subject(kind, key, attributes=tpm.SUBJECT | tpm.RESTRICTED)).text(),
                                   'restricted')
            table['imported'] = (self.request(Subject(kind, key, attributes=tpm.USER_WITH_AUTH | tpm.SIGN)).text(),
                                 'fixedTPM')
            table['decrypt alone'] = (self.request(Subject(
                kind, key, attributes=tpm.SUBJECT & ~tpm.SIGN | tpm.DECRYPT)).text(), 'sign')
            self.assert_refused(table)

    def test_attributes_changed_afterwards(self):
        """A key made in software, of which the TPM has told the truth."""
        forged = Subject(attributes=tpm.USER_WITH_AUTH | tpm.SIGN)
        request = self.request(forged)
        request.keys[0]['public'] = b64(forged.public.replace(attributes=tpm.SUBJECT).marshalled())
        self.assert_refused({'forged': (request.text(), 'Name')})

    def test_an_ssh_key_that_is_not_the_tpms(self):
        other = Subject()
        table = {'another key': self.request(blob=other.blob), 'another curve': self.request(blob=Subject('p384').blob),
                 'RSA': self.request(blob=Subject('rsa2048').blob)}
        self.assert_refused(self.texts(table, 'ssh key'))
        request = self.request()
        request.keys[0]['ssh'] = other.line
        self.assert_refused({'put in later': (request.text(), OTHER_DATA)})

    def test_numbers_of_rsa_are_compared_whole(self):
        """A modulus alone, or an exponent that is shown as another one, would be a weak key of somebody else's."""
        key = rsa.generate_private_key(3, 2048)
        modulus = key.public_key().public_numbers().n.to_bytes(256, 'big')
        three = Subject('rsa2048', key, exponent=3)
        usual = Subject('rsa2048', key)  # the TPM's default, 65537, for the same modulus
        self.assert_refused({'3 shown as 65537': (self.request(three, blob=usual.blob).text(), 'ssh key|exponent'),
                             '65537 shown as 3': (self.request(usual, blob=three.blob).text(), 'ssh key|exponent')})
        explicit = Subject('rsa2048', exponent=65537)
        self.verified(self.request(explicit))
        for name, unique in ('shorter', modulus[1:]), ('none', b''):
            forged = Subject('rsa2048', key)
            forged.public = forged.public.replace(unique=(unique,))
            self.assert_refused({name: (self.request(forged).text(), r'keys\[0\]')})

    def test_coordinates_are_numbers(self):
        """TPMs of some makers leave the zeros in front out."""
        subject = Subject()
        while subject.public.unique[0][0]:
            subject = Subject()
        short = Subject(key=subject.key, unique=(subject.public.unique[0].lstrip(b'\0'), subject.public.unique[1]))
        self.assertEqual(short.blob, subject.blob)
        self.assertNotEqual(short.public.name(), subject.public.name())
        self.assert_verified({'with': self.request(subject).text(), 'without': self.request(short).text()})

    def test_other_objects_than_rsa_and_ecc_keys(self):
        """Which an attestation key certifies as well."""
        parts = tpm.SHA256, tpm.u32(tpm.SUBJECT) + tpm.sized(b'')
        for name, area in (('HMAC key', tpm.u16s(8, parts[0]) + parts[1] + tpm.u16s(5, tpm.SHA256) +
                            tpm.sized(bytes(32))),
                           ('sealed data', tpm.u16s(8, parts[0]) + parts[1] + tpm.u16s(NULL) + tpm.sized(bytes(32))),
                           ('AES key', tpm.u16s(0x25, parts[0]) + parts[1] + tpm.u16s(6, 128, tpm.CFB) +
                            tpm.sized(bytes(32))), ('nothing', b'')):
            subject = Subject()
            subject.public = Other(area)
            self.assert_refused({name: (self.request(subject).text(), r'^keys\[0\]')})

    def test_structures_with_bytes_left_over(self):
        """Of each TPM2B_PUBLIC: within its size, behind it, and a size that is wrong."""
        for path in ('ek', 'public'), ('ak', 'public'), ('keys', 0, 'public'):
            for name, change in (('within', lambda data: tpm.sized(data[2:] + b'\0')),
                                 ('behind', lambda data: data + b'\0'), ('cut', lambda data: data[:-1]),
                                 ('long', lambda data: tpm.u16s(len(data)) + data[2:]),
                                 ('short', lambda data: tpm.u16s(len(data) - 3) + data[2:]), ('no', lambda _: b'')):
                members = self.request().members()
                place = members
                for step in path[:-1]:
                    place = place[step]
                place['public'] = b64(change(base64.b64decode(place['public'])))
                self.assert_refused({f'{name} {path}': (written(members), 'public')})

    def test_keys_twice(self):
        """In the same statement, in another one, and as another object of the TPM."""
        request = self.request(self.subject, self.subject)
        copied = self.request()
        copied.keys.append(copied.keys[0])
        again = self.request(self.subject, Subject(key=self.subject.key, policy=OTHER_POLICY))
        self.assert_refused(self.texts({'new': request, 'copied': copied, 'with a policy': again}, 'twice'))

    def test_time_and_nonce(self):
        with_nonce = self.request(nonce='n0nce', made=now(-100))
        self.assertTrue(self.verified(with_nonce, '--nonce', 'n0nce')['fresh'])
        recent = self.request(nonce='n0nce', made=now(-1))
        for options in ('--max-age', '2h'), ():
            self.assertFalse(self.verified(recent, *options)['fresh'])
        self.assert_refused({'old': (recent.text(), 'too old')}, '--max-age', '30m')
        self.assert_refused({'a day old': (self.request(made=now(-25)).text(), 'too old'),
                             'of tomorrow': (self.request(made=now(24)).text(), 'future'),
                             'in an hour': (self.request(made=now(1)).text(), 'future'),
                             'one turn of a 64-bit clock later': (self.request(made=now(TURN)).text(), 'future'),
                             'an hour less': (self.request(made=now(TURN - 1)).text(), 'future'),
                             'of 9999': (self.request(made='9999-12-31T23:59:59Z').text(), 'future'),
                             'of year 0': (self.request(made='0000-01-01T00:00:00Z').text(), 'too old')})
        self.assert_refused({'no nonce': (self.request().text(), 'nonce'),
                             'an answer to an earlier nonce': (with_nonce.text(), 'nonce'),
                             'a nonce with more': (self.request(nonce='fresh one').text(), 'nonce'),
                             'the beginning of it': (self.request(nonce='fres').text(), 'nonce')}, '--nonce', 'fresh')

    def test_an_endorsement_key_that_is_known(self):
        """Principals come from the list alone."""
        name = self.tpm.ek.name().hex()
        others = ['# a comment', '', f'{SoftTpm().ek.name().hex()} evil.example.org']
        bare = {'certificate': b'', 'chain': []}
        for line, principals in ((name, []), (f'{name} web1', ['web1']),
                                 (f'{name} web1.example.org,web1', ['web1.example.org', 'web1'])):
            known = self.known(*others, line)
            for certificate in bare, {}:
                result = self.verified(self.request(host='db1', **certificate), *known)
                self.assertEqual((result['known'], result['principals'], result['host']), (True, principals, 'db1'))
        self.assertEqual((result['manufacturer'], result['model'], result['version']), ('', '', ''))
        unknown = self.known(*others)
        self.assert_refused({'not known': (self.request(**bare).text(), 'known')}, *unknown)
        with_certificate = self.verified(self.request(), *unknown)
        self.assertEqual((with_certificate['known'], with_certificate['principals']), (False, []))
        false = self.request(ek=SoftTpm().ek, **bare)
        self.assert_refused({'another one': (false.text(), 'known'), 'not its template': (self.request(
            ek=self.tpm.ek.replace(attributes=tpm.EK_HIGH), **bare).text(), NOT_OURS)}, *self.known(name))

    def test_a_known_key_does_not_escape_its_line(self):
        """Its certificate says neither by which template the TPM makes it, nor how wide its coordinates are written."""
        for low, high in (0x01c0000a, 0x01c00014), (0x01c00002, 0x01c00012):
            soft = SoftTpm(low)
            other = tpm.EK_TEMPLATES[high].replace(unique=soft.ek.unique)
            certificate = self.authority.ek_certificate(soft.ek_key.public_key())
            request = self.request(tpm=soft, ek=other, certificate=certificate)
            self.assertFalse(self.verified(request)['known'])
            self.assert_refused({'another template': (request.text(), 'known by another template')},
                                *self.known(f'{soft.ek.name().hex()} web1'))
        x, y = self.tpm.ek.unique
        modulus, = SoftTpm(0x01c00002).ek.unique
        wide = {'a wider x': self.tpm.ek.replace(unique=(b'\0' + x, y)),
                'a wider y': self.tpm.ek.replace(unique=(x, b'\0' + y)),
                'a wider modulus': tpm.EK_TEMPLATES[0x01c00002].replace(unique=(b'\0' + modulus,))}
        self.assert_refused({name: (self.request(ek=ek).text(), NOT_OURS + '|public') for name, ek in wide.items()})

    def test_an_empty_nonce_is_none(self):
        path = self.lab.write('one.json', self.request(made=now(-100)).text())
        said = self.verify('--ek-roots', self.roots, '--nonce', '', path)
        self.assert_error(said, 'nonce', status=2, tool='ssh-tpm.*')

    def test_a_folder_without_requests(self):
        said = self.verify('--ek-roots', self.roots, self.lab.make_folder('empty'))
        self.assert_error(said, 'no files', tool='ssh-tpm.*')

    def test_a_known_key_needs_no_roots(self):
        path = self.lab.write('one.json', self.request(certificate=b'', chain=[]).text())
        self.verify(*self.known(self.tpm.ek.name().hex()), path, status=0)
        self.assert_error(self.verify(*self.known(SoftTpm().ek.name().hex()), path), 'known', tool='ssh-tpm.*')

    def test_a_list_of_known_keys_that_is_damaged_counts_for_nothing(self):
        name = self.tpm.ek.name().hex()
        path = self.lab.write('one.json', self.request().text())
        for line in name[:-1], name[:-2], 'ek', f'{name} a b', f'{name} a,,b', f'{name} ,', f'{name}\0', name:
            with self.subTest(line):
                said = self.verify('--ek-roots', self.roots, *self.known(name, line), path)
                self.assert_error(said, 'line 2', tool='ssh-tpm.*', status=said.returncode or 1)
                self.assertEqual(said.stdout, '')

    def test_a_fleet_at_once(self):
        softs = [SoftTpm() for _ in range(4)]
        certificates = [self.authority.ek_certificate(soft.ek_key.public_key()) for soft in softs]
        made, subjects = now(), [Subject() for _ in range(4)]
        false = {number for number in range(FLEET) if number % 100 == 7}
        documents = {number: self.request(
            subjects[number % 4], tpm=softs[number // 4 % 4], certificate=certificates[number // 4 % 4],
            host=f'host{number}', made=made, bound={'host': 'another'} if number in false else None).text()
            for number in range(FLEET)}
        results = self.results(documents)
        self.assertEqual({number for number, result in results.items() if result['status'] == 'refused'}, false)
        for number, result in results.items():
            if number not in false:
                self.assertEqual((result['host'], result['ek'], result['keys'][0]['ssh']),
                                 (f'host{number}', softs[number // 4 % 4].ek.name().hex(), subjects[number % 4].line))

    def test_files_of_a_folder(self):
        """Those that end in .json, by their names; what cannot be read is refused, and the others go on."""
        folder = self.lab.make_folder('mixed')
        for name, text in (('b.json', self.request().text()), ('a.json', b'{}\n'), ('c.txt', b'{}\n'),
                           ('d.json.old', b'{}\n'), ('z.json', self.request(host='last').text())):
            self.lab.write(f'mixed/{name}', text)
        os.mkdir(os.path.join(folder, 'e.json'))
        said = self.verify('--json', '--ek-roots', self.roots, folder)
        lines = [json.loads(line) for line in said.stdout.splitlines()]
        self.assertEqual([(os.path.basename(line['file']), line['status']) for line in lines if
                          not line['file'].endswith('e.json')],
                         [('a.json', 'refused'), ('b.json', 'verified'), ('z.json', 'verified')])
        self.assertEqual(said.returncode, 1)

    def test_wrong_usage(self):
        path = self.lab.write('one.json', self.request().text())
        for arguments in ((path, '--no-such-option'), ('--max-age', 'long', path), ('--nonce', 'ü', path),
                          ('--nonce', 'n' * 129, path)):
            with self.subTest(arguments):
                said = self.verify('--ek-roots', self.roots, *arguments)
                self.assertEqual((said.returncode, said.stdout), (2, ''), said.stderr)


if __name__ == '__main__':
    unittest.main()
