#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keys of ssh-tpm-agent 0.1 and 0.2, put together from keys that tpm2-tools made, sign and change their PINs."""

import base64
import os
import unittest

import bus
import keyfile
from agent import Agent, Askpass, verify
from foreign_files import OTHER, OWN, PIN, SIGNING, create
from lab import contents, mode, read, read_key
from protocol import RSA_SHA2_256, RSA_SHA2_512
from stock import Stocked
from swtpm import STORAGE_KEY, Probe

# The storage keys of ssh-tpm-agent 0.1 and 0.2: the templates of the TCG, their unique fields full of zero bytes. For
# tpm2_createprimary -u they are laid out as TPMU_PUBLIC_ID lies in memory: size, then the whole buffer.
COORDINATE = bytes.fromhex('2000') + bytes(128)
OLD_PARENTS = {'ecdsa': ('ecc256:aes128cfb', COORDINATE * 2),
               'rsa': ('rsa2048:aes128cfb', bytes.fromhex('0001') + bytes(256))}
SCHEMES = {'ecdsa': 'ecc256:ecdsa-sha256', 'rsa': 'rsa2048:rsassa-sha256:null'}
ALGORITHMS = {'ecdsa': 0x0018, 'rsa': 0x0001}  # TPM_ALG_ECDSA, TPM_ALG_RSA
BLOCKS = {1: 'TPM EC PRIVATE KEY', 2: 'TPM PRIVATE KEY'}
RELEASES, COMMENT, MOVE = ((1, 'ecdsa'), (2, 'ecdsa'), (2, 'rsa')), 'an old key', 'fixed'


class LegacyFiles(bus.Hidden, Stocked):
    """Of each kind of file, one without a PIN and one with it."""

    FOLDERS = ('free', 'guarded')

    @classmethod
    def fill(cls, lab):
        for folder, pin in (('free', ''), ('guarded', PIN)):
            lab.make_folder(folder)
            for release, kind in RELEASES:
                cls.make(lab, release, kind, pin, os.path.join(folder, f'{kind}{release}'))

    @classmethod
    def halves(cls, lab, kind, pin):
        """The two halves of a new key under the storage key of that release."""
        algorithm, unique = OLD_PARENTS[kind]
        parent, pin = lab.path(f'{kind}.ctx'), ('-p', pin) if pin else ()
        if not os.path.exists(parent):
            cls.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', algorithm, '-g', 'sha256', '-a', STORAGE_KEY,
                          '-u', lab.write('unique', unique), '-c', parent)
        for path in create(cls.tpm, parent, '-G', SCHEMES[kind], '-g', 'sha256', '-a', f'{OWN}|{SIGNING}', *pin):
            with open(path, 'rb') as file:
                yield file.read()

    @classmethod
    def make(cls, lab, release, kind, pin, name):
        """The file of that release, and its public half beside it as that release wrote it."""
        public, private = cls.halves(lab, kind, pin)
        body = bytes([1, 1 if pin else 0])  # both releases wrote version 1; PIN status 1: has one
        if release == 2:
            body += ALGORITHMS[kind].to_bytes(2, 'big')
        body += public + private + (COMMENT.encode() if release == 2 else b'')
        path = lab.write(name + '.tpm', keyfile.pem(body, BLOCKS[release]), mode=0o600)
        printed = lab.keygen('-y', '-f', path).stdout
        lab.write(name + '.pub', ' '.join(printed.split()[:2] + [COMMENT]) + '\n')

    def keys(self, folder):
        return [read_key(self.lab.path(folder, f'{kind}{release}')) for release, kind in RELEASES]

    def sign(self, agent, key):
        """An RSA key of 0.2 is fixed to SHA-256, and ssh-keygen -Y wants SHA-512."""
        if key.algorithm != 'ssh-rsa':
            agent.sign_and_check(key)
            return
        with agent.connect() as connection:
            algorithm, signature = connection.sign(key.blob, b'data', RSA_SHA2_256)
            self.assertEqual(algorithm, 'rsa-sha2-256')
            verify(self.lab, key, algorithm, signature, b'data')
            self.assertIsNone(connection.sign(key.blob, b'data', RSA_SHA2_512))

    def test_the_agent_signs_with_them_beside_the_standard_storage_key_too(self):
        keys = self.keys('free')
        agent = Agent(self.lab, key_dir=self.lab.path('free'))
        self.assertEqual(len(agent.listed()), 3)
        for key in keys:
            with self.subTest(key=key.path):
                self.sign(agent, key)
        agent.stop()
        self.tpm.assert_no_handles()
        self.tpm.make_persistent()
        new = self.lab.make_key('new', folder=self.lab.path('free'))
        agent = Agent(self.lab, key_dir=self.lab.path('free'))
        for key in (*keys, new, keys[0]):
            self.sign(agent, key)

    def test_fingerprints_and_public_keys_are_those_of_the_public_file(self):
        for key in self.keys('free'):
            with self.subTest(key=key.path):
                printed = self.lab.keygen('-y', '-f', key.tpm).stdout
                self.assertEqual(printed.split()[:2], key.line.split()[:2])
                shown = self.lab.keygen('-l', '-f', key.tpm).stdout
                expected = self.lab.ssh_keygen('-l', '-f', key.pub)
                for part in (0, 1, -1):
                    self.assertEqual(shown.split()[part], expected.split()[part])
                if key.path.endswith('2'):  # 0.1 has no comment inside
                    self.assertEqual((printed, shown), (key.line + '\n', expected))

    def check_pin(self, pin):
        """Each key signs with the PIN, and the PIN is nowhere on the bus."""
        askpass = Askpass(self.lab, *[pin] * 3, name=pin)
        self.probe = Probe(self.tpm, name='probe ' + pin)
        agent = Agent(self.lab, key_dir=self.lab.path('guarded'), name=pin, env=askpass.env, tcti=self.probe.tcti)
        for key in self.keys('guarded'):
            self.sign(agent, key)
        self.assertEqual(len(askpass.questions()), 3)
        agent.stop()  # which gives its slots back
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assert_nowhere(pin.encode())
        self.assert_sessions('Sign')

    def test_the_pin_signs_and_changes_and_the_file_stays_what_it_was(self):
        self.check_pin(PIN)
        for key, (release, kind) in zip(self.keys('guarded'), RELEASES):
            with self.subTest(release=release, kind=kind):
                folder = os.path.dirname(key.tpm)
                before = contents(folder)
                result = self.lab.keygen('-p', '-f', key.tpm, '-P', 'wrong', '-N', OTHER, status=None)
                self.assert_error(result)
                self.assertEqual(contents(folder), before)
                self.assertEqual(self.tpm.wrong_tries(), 1)
                self.tpm.tool('tpm2_dictionarylockout', '-c')
                result = self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
                notes = [line for line in result.stderr.splitlines() if MOVE in line.lower()]
                self.assertEqual(len(notes), 1, result.stderr)
                self.assertRegex(notes[0], 'new key')
                self.assertNotIn(MOVE, result.stdout.lower())
                self.assertTrue(read(key.tpm).startswith(f'-----BEGIN {BLOCKS[release]}-----\n'))
                self.assertEqual((mode(key.tpm), read(key.pub)), (0o600, before[key.pub].decode()))
        self.check_pin(OTHER)

    def test_the_comment_inside_a_file_of_0_2_changes(self):
        key = self.keys('free')[1]
        self.lab.keygen('-c', '-f', key.tpm, '-C', 'a new comment')
        self.assertTrue(read(key.tpm).startswith(f'-----BEGIN {BLOCKS[2]}-----\n'))
        printed = self.lab.keygen('-y', '-f', key.tpm).stdout
        self.assertEqual(printed.rstrip('\n').split(' ', 2)[2], 'a new comment')
        Agent(self.lab, key_dir=self.lab.path('free')).sign_and_check(key)

    def test_broken_ones_are_refused_and_do_not_stop_the_agent(self):
        key = self.keys('free')[1]
        body = base64.b64decode(''.join(read(key.tpm).splitlines()[1:-1]))
        broken = (body[:40], bytes([3]) + body[1:])  # test/keyfile/legacy.cpp has all that can be wrong
        folder = self.lab.make_folder('broken')
        for number, content in enumerate(broken):
            path = self.lab.write(f'broken/{number}.tpm', keyfile.pem(content, BLOCKS[2]), mode=0o600)
            self.assert_error(self.lab.keygen('-y', '-f', path, status=None), path)
        self.lab.write('broken/good.tpm', read(key.tpm), mode=0o600)
        agent = Agent(self.lab, key_dir=folder)
        self.assertEqual(len(agent.listed()), 1)
        agent.sign_and_check(key)


if __name__ == '__main__':
    unittest.main()
