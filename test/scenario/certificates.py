#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A certificate is found, listed, used and removed with its key, whichever way and whenever it comes."""

import contextlib
import os
import re
import shutil
import unittest

from agent import Agent, certify, ours, verify
from giving import SshAdd, SshTpmAdd, start_agent
from lab import Scenario, read, slow, wait_until
from protocol import FAILURE, RSA_SHA2_512, SUCCESS, remove_identity
from sshd import USER, Sshd
from swtpm import Swtpm

KINDS = (('ecdsa', 256), ('rsa', 2048))
PAST = '20200101:20200102'


class Basics:
    """What holds for any key, however the agent got it and its certificate."""

    def assert_lists(self, *keys):
        self.assertEqual([line.split()[:2] for line in self.agent.listed()], [key.line.split()[:2] for key in keys])

    def assert_signs(self, key, by):
        """A signature asked for by the blob of `by` is one of `key`."""
        flags = RSA_SHA2_512 if key.algorithm == 'ssh-rsa' else 0
        with self.agent.connect() as connection:
            signature = connection.sign(by.blob, b'data', flags)
        self.assertIsNotNone(signature)
        verify(self.lab, key, *signature, b'data')

    def assert_login(self, key, authority):
        """To a server that knows the authority and no key."""
        server = Sshd(self.lab, f'TrustedUserCAKeys {authority}', name=key.comment + '.sshd')
        result = server.login(self.agent)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        self.assertIn('ID a person', server.accepted(key))
        server.process.end()

    def test_the_key_and_its_certificate_are_listed_and_both_find_the_key(self):
        for key in [self.make_key(f'{kind}{bits}', kind, bits) for kind, bits in KINDS]:
            with self.subTest(key.comment):
                certificate, authority = self.certify(key)
                self.assert_lists(key, certificate)
                self.assert_signs(key, by=key)
                self.assert_signs(key, by=certificate)
                self.assert_login(key, authority)
                signature = self.lab.write('signature', self.agent.ssh_keygen_sign(certificate, status=0).stdout)
                self.lab.run('ssh-keygen', '-Y', 'check-novalidate', '-n', 'file', '-s', signature,
                             stdin='a message', status=0)
                self.agent.ssh_add('-D', status=0)

    def test_a_key_of_which_one_name_is_removed_keeps_the_other(self):
        keys = [self.make_key(name) for name in ('one', 'other')]
        with self.agent.connect() as connection:
            for key, first in zip(keys, ('key', 'certificate')):
                with self.subTest(removed=first):
                    certificate, _ = self.certify(key)
                    gone, left = (key, certificate) if first == 'key' else (certificate, key)
                    self.assertEqual(connection.request(remove_identity(gone.blob))[0], SUCCESS)
                    self.assertEqual(connection.request(remove_identity(gone.blob))[0], FAILURE)
                    self.assert_lists(left)
                    if gone is certificate:  # while a certificate is there, so is the key that it is of
                        self.assertIsNone(connection.sign(gone.blob, b'data'))
                    self.assert_signs(key, by=left)
                    self.assertEqual(connection.request(remove_identity(left.blob))[0], SUCCESS)
                    self.assert_lists()
                    for blob in (key.blob, certificate.blob):
                        self.assertIsNone(connection.sign(blob, b'data'))


class Certificates(Basics):
    def test_ssh_add_removes_both(self):
        key = self.make_key('id')
        self.certify(key)
        self.agent.ssh_add('-d', key.path, status=0)
        self.assert_lists()

    @ours
    def test_an_expired_certificate_is_not_listed(self):
        key, expired = self.make_key('id'), self.lab.path('expired')
        certify(self.lab, key, '-n', USER, '-V', PAST)
        os.rename(key.path + '-cert.pub', expired)
        self.give(key, expired)
        self.assert_lists(key)
        self.assert_signs(key, by=key)

    def test_a_certificate_of_another_key_is_ignored(self):
        other, certificate = self.make_key('other'), self.lab.path('other-cert.pub')
        certify(self.lab, other, '-n', USER)
        os.rename(other.path + '-cert.pub', certificate)
        key = self.make_key('id')
        self.give(key, certificate)
        self.assert_lists(key)
        self.assert_signs(key, by=key)

    def test_what_is_no_certificate_is_ignored(self):
        for number, content in enumerate((b'', b'ssh-rsa', b'\xff\n' * 100,
                                          b'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA comment\n')):
            with self.subTest(content[:50]):
                key = self.make_key(f'id{number}')
                self.give(key, self.lab.write('broken', content))
                self.assert_lists(key)
                self.agent.ssh_add('-D', status=0)


class Adding:
    """Key and certificate are given to the agent together."""

    def setUp(self):
        super().setUp()
        self.agent = start_agent(self.lab)

    def certify(self, key, *options):
        """Certifies a key and gives both to the agent; the certificate and its authority."""
        authority, certificate = certify(self.lab, key, '-n', USER, *options)
        self.add(self.agent, key, status=0)
        return certificate, authority

    def give(self, key, certificate):
        """Gives the agent a key with this file as its certificate, which may count as a failure or not."""
        shutil.copy(certificate, key.path + '-cert.pub')
        self.add(self.agent, key)


class Added(Adding, Certificates):
    def test_a_certificate_made_later_comes_with_the_next_adding_beside_the_old_one(self):
        key = self.make_key('id')
        self.add(self.agent, key, status=0)
        self.assert_lists(key)
        first, _ = self.certify(key)
        self.assert_lists(key, first)
        _, second = certify(self.lab, key, '-n', USER)
        result = self.add(self.agent, key, status=0)
        self.assert_lists(key, first, second)
        said = result.stdout + result.stderr
        self.assertIn('Identity added: ' + key.path, said)
        self.assertIn('Certificate added: ' + key.path, said)


class WithSshAdd(Adding, Basics, SshAdd, Scenario):
    pass


@slow
class AllWithSshAdd(Added, SshAdd, Scenario):
    pass


@ours
class WithSshTpmAdd(Added, SshTpmAdd, Scenario):
    pass


@ours
class InTheKeyFolder(Certificates, Scenario):
    """The agent watches its folder: what happens there shows in its list within a second."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.agent = Agent(self.lab)

    def make_key(self, name, kind='ecdsa', bits=256):
        return self.lab.make_key(name, kind, bits, folder=self.lab.make_folder('made'))

    def put(self, path, name):
        """Moves a copy of a file into the key folder."""
        shutil.copy(path, self.lab.path('new'))
        os.rename(self.lab.path('new'), os.path.join(self.lab.keys, name))

    def assert_soon_lists(self, *keys):
        expected = [key.blob for key in keys]
        with self.agent.connect() as connection:
            wait_until(lambda: [blob for blob, _ in connection.list()] == expected, 'the list')

    def certify(self, key, *options):
        authority, certificate = certify(self.lab, key, '-n', USER, *options)
        self.put(key.tpm, f'{key.comment}.tpm')
        self.put(certificate.pub, f'{key.comment}-cert.pub')
        self.assert_soon_lists(key, certificate)
        return certificate, authority

    def give(self, key, certificate):
        self.put(certificate, f'{key.comment}-cert.pub')
        self.put(key.tpm, f'{key.comment}.tpm')
        self.assert_soon_lists(key)

    def test_it_appears_beside_its_key_and_goes(self):
        key = self.make_key('id')
        _, first = certify(self.lab, key, '-n', USER)
        self.put(first.pub, 'id-cert.pub')  # it may be there before its key
        self.put(key.tpm, 'id.tpm')
        self.assert_soon_lists(key, first)
        _, second = certify(self.lab, key, '-n', USER)
        self.assertNotEqual(first.blob, second.blob)
        self.put(second.pub, 'id-cert.pub')
        self.assert_soon_lists(key, second)
        os.unlink(os.path.join(self.lab.keys, 'id-cert.pub'))
        self.assert_soon_lists(key)
        with self.agent.connect() as connection:
            self.assertIsNone(connection.sign(second.blob, b'data'))
        self.put(second.pub, 'id-cert.pub')
        self.assert_soon_lists(key, second)
        os.unlink(os.path.join(self.lab.keys, 'id.tpm'))  # with its key
        self.assert_soon_lists()
        self.put(key.tpm, 'id.tpm')
        self.assert_soon_lists(key, second)

    def test_an_expired_one_signs_and_the_next_one_is_listed(self):
        key = self.make_key('id')
        _, expired = certify(self.lab, key, '-n', USER, '-V', PAST)
        self.give(key, expired.pub)
        self.agent.process.wait_line('id-cert.pub: has expired; not listed')
        self.assert_signs(key, by=expired)
        _, later = certify(self.lab, key, '-n', USER, '-V', 'always:forever')
        self.put(later.pub, 'id-cert.pub')
        self.assert_soon_lists(key, later)
        _, not_yet = certify(self.lab, key, '-n', USER, '-V', '+10w:+20w')
        self.put(not_yet.pub, 'id-cert.pub')
        self.assert_soon_lists(key, not_yet)

    def wait_for_report(self, name):
        wait_until(lambda: re.search(f'error: .*/{name}: .*; skipped', self.agent.log()), 'the report of ' + name)

    def test_files_that_are_being_written_are_not_reported_until_they_are_closed(self):
        key, witness = self.make_key('id'), self.make_key('witness')
        _, certificate = certify(self.lab, key, '-n', USER)
        sources = {'id-cert.pub': certificate.pub, 'id.tpm': key.tpm}
        for broken in (False, True):
            with self.subTest(broken=broken), contextlib.ExitStack() as stack:
                rest = {}
                for name, path in sources.items():
                    content = read(path)
                    file = stack.enter_context(open(os.path.join(self.lab.keys, name), 'w', encoding='utf-8'))
                    file.write(content[:len(content) // 2])
                    file.flush()
                    rest[file] = content[len(content) // 2:]
                self.put(witness.tpm, 'witness.tpm')  # its event comes after theirs
                self.assert_soon_lists(witness)
                self.assertNotIn('skipped', self.agent.log())
                os.unlink(os.path.join(self.lab.keys, 'witness.tpm'))
                self.assert_soon_lists()
                for file, text in rest.items():
                    if not broken:
                        file.write(text)
                    file.close()
                if broken:
                    self.wait_for_report('id.tpm')
                else:
                    self.assert_soon_lists(key, certificate)
                    self.assertNotIn('skipped', self.agent.log())
                    for name in sources:
                        os.unlink(os.path.join(self.lab.keys, name))
                    self.assert_soon_lists()
        self.put(key.tpm, 'id.tpm')
        self.wait_for_report('id-cert.pub')

    def test_ssh_keygen_writes_it_in_place(self):
        """`ssh-keygen -s` does not rename: half a file is there for a moment, and must not stay."""
        key = self.make_key('id')
        for path in (key.tpm, key.pub):
            self.put(path, os.path.basename(path))
        self.assert_soon_lists(key)
        path = os.path.join(self.lab.keys, 'id')
        there = key._replace(path=path, pub=path + '.pub')
        _, certificate = certify(self.lab, there, '-n', USER)
        self.assert_soon_lists(key, certificate)


if __name__ == '__main__':
    unittest.main()
