#!/usr/bin/env python3
"""Key files of ssh-tpm-agent 0.1 and 0.2, put together from keys that tpm2-tools made, still sign."""

import base64
import os
import unittest

from agent import Agent, Askpass, verify
from lab import Scenario, contents, mode, read, read_key
from protocol import RSA_SHA2_256, RSA_SHA2_512
from swtpm import STORAGE_KEY, Swtpm

# The storage keys of those releases: the templates of the TCG, their unique fields full of zero bytes. For
# tpm2_createprimary -u they are laid out as TPMU_PUBLIC_ID lies in memory: size, then the whole buffer.
COORDINATE = bytes.fromhex('2000') + bytes(128)
PARENTS = {'ecdsa': ('ecc256:aes128cfb', COORDINATE * 2),
           'rsa': ('rsa2048:aes128cfb', bytes.fromhex('0001') + bytes(256))}
SIGNING = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
SCHEMES = {'ecdsa': 'ecc256:ecdsa-sha256', 'rsa': 'rsa2048:rsassa-sha256:null'}
ALGORITHMS = {'ecdsa': 0x0018, 'rsa': 0x0001}  # TPM_ALG_ECDSA, TPM_ALG_RSA
BLOCKS = {1: 'TPM EC PRIVATE KEY', 2: 'TPM PRIVATE KEY'}
PIN, OTHER = 'an old pin 5', 'a newer pin 6'
MOVE = 'fixed'


def block(release, body):
    """A PEM block of one of the releases."""
    text = base64.b64encode(body).decode()
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    return '\n'.join([f'-----BEGIN {BLOCKS[release]}-----', *lines, f'-----END {BLOCKS[release]}-----', ''])


class LegacyFiles(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def halves(self, kind, pin):
        """TPM2B_PUBLIC and TPM2B_PRIVATE of a new key under that release's storage key."""
        algorithm, unique = PARENTS[kind]
        parent, files = self.lab.path('parent.ctx'), (self.lab.path('half.pub'), self.lab.path('half.priv'))
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', algorithm, '-g', 'sha256', '-a', STORAGE_KEY,
                       '-u', self.lab.write('unique', unique), '-c', parent)
        self.tpm.craft('tpm2_create', '-C', parent, '-G', SCHEMES[kind], '-g', 'sha256', '-a', SIGNING, '-u',
                       files[0], '-r', files[1], *(('-p', pin) if pin else ()))
        found = []
        for path in files:
            with open(path, 'rb') as file:
                found.append(file.read())
            os.unlink(path)
        return found

    def make(self, release, kind='ecdsa', pin='', comment='an old key'):
        """The file of that release, and its public half beside it as that release wrote it."""
        public, private = self.halves(kind, pin)
        body = bytes([1, 1 if pin else 0])  # both releases wrote version 1; PIN status 1: has one
        if release == 2:
            body += ALGORITHMS[kind].to_bytes(2, 'big')
        body += public + private + (comment.encode() if release == 2 else b'')
        name = f'{kind}{release}{"pin" if pin else ""}'
        path = self.lab.write(f'keys/{name}.tpm', block(release, body), mode=0o600)
        printed = self.lab.keygen('-y', '-f', path).stdout
        self.lab.write(f'keys/{name}.pub', ' '.join(printed.split()[:2] + [comment]) + '\n')
        return read_key(self.lab.path('keys', name))

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

    def all_kinds(self, pin=''):
        return [self.make(1, 'ecdsa', pin), self.make(2, 'ecdsa', pin), self.make(2, 'rsa', pin)]

    def test_the_agent_signs_with_them(self):
        keys = self.all_kinds()
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 3)
        for key in keys:
            with self.subTest(key=key.path):
                self.sign(agent, key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_the_agent_asks_for_their_pins(self):
        keys = self.all_kinds(PIN)
        askpass = Askpass(self.lab, *[PIN] * 3)
        agent = Agent(self.lab, env=askpass.env)
        for key in keys:
            with self.subTest(key=key.path):
                self.sign(agent, key)
        self.assertEqual(len(askpass.questions()), 3)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_the_agent_signs_beside_the_standard_storage_key(self):
        keys = self.all_kinds()
        self.tpm.make_persistent()
        new = self.lab.make_key('new')
        agent = Agent(self.lab)
        for key in (*keys, new, *keys):
            self.sign(agent, key)

    def test_fingerprints_and_public_keys_are_those_of_the_public_file(self):
        for key in self.all_kinds():
            with self.subTest(key=key.path):
                printed = self.lab.keygen('-y', '-f', key.tpm).stdout
                self.assertEqual(printed.split()[:2], key.line.split()[:2])
                shown = self.lab.keygen('-l', '-f', key.tpm).stdout
                expected = self.lab.ssh_keygen('-l', '-f', key.pub)
                for part in (0, 1, -1):
                    self.assertEqual(shown.split()[part], expected.split()[part])
                if key.path.endswith('2'):  # 0.1 has no comment inside
                    self.assertEqual((printed, shown), (key.line + '\n', expected))

    def test_the_pin_changes_and_the_file_stays_what_it_was(self):
        for release, kind in ((1, 'ecdsa'), (2, 'ecdsa'), (2, 'rsa')):
            with self.subTest(release=release, kind=kind):
                key = self.make(release, kind, PIN)
                before = contents(self.lab.keys)
                result = self.lab.keygen('-p', '-f', key.tpm, '-P', 'wrong', '-N', OTHER, status=None)
                self.assert_error(result)
                self.assertEqual(contents(self.lab.keys), before)
                self.tpm.tool('tpm2_dictionarylockout', '-c')
                self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
                self.assertTrue(read(key.tpm).startswith(f'-----BEGIN {BLOCKS[release]}-----\n'))
                self.assertEqual((mode(key.tpm), read(key.pub)), (0o600, before[key.pub].decode()))
                askpass = Askpass(self.lab, OTHER, name=f'askpass.{release}{kind}')
                self.sign(Agent(self.lab, name=f'agent.{release}{kind}', env=askpass.env), key)
                self.assertEqual(len(askpass.questions()), 1)

    def test_the_comment_inside_a_file_of_0_2_changes(self):
        key = self.make(2)
        self.lab.keygen('-c', '-f', key.tpm, '-C', 'a new comment')
        self.assertTrue(read(key.tpm).startswith(f'-----BEGIN {BLOCKS[2]}-----\n'))
        printed = self.lab.keygen('-y', '-f', key.tpm).stdout
        self.assertEqual(printed.rstrip('\n').split(' ', 2)[2], 'a new comment')
        Agent(self.lab).sign_and_check(key)

    def test_keygen_says_once_that_they_cannot_be_moved(self):
        key = self.make(2, pin=PIN)
        result = self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
        notes = [line for line in result.stderr.splitlines() if MOVE in line.lower()]
        self.assertEqual(len(notes), 1, result.stderr)
        self.assertRegex(notes[0], 'new key')
        self.assertNotIn(MOVE, result.stdout.lower())

    def test_broken_ones_are_refused_at_every_length_and_do_not_stop_the_agent(self):
        key = self.make(2, 'ecdsa', comment='')
        body = base64.b64decode(''.join(read(key.tpm).splitlines()[1:-1]))
        broken = [body[:size] for size in range(0, len(body) - 1, 13)]
        broken += [bytes([3]) + body[1:],
                   *(body[:2] + algorithm + body[4:] for algorithm in (b'\x00\x99', b'\x00\x01'))]
        folder = self.lab.make_folder('broken')
        for number, content in enumerate(broken):
            self.lab.write(f'broken/{number}.tpm', block(2, content), mode=0o600)
        for number in (0, 3, len(broken) - 3, len(broken) - 2, len(broken) - 1):
            path = f'{folder}/{number}.tpm'
            self.assert_error(self.lab.keygen('-y', '-f', path, status=None), path)
        self.lab.write('broken/good.tpm', read(key.tpm), mode=0o600)
        agent = Agent(self.lab, key_dir=folder)
        self.assertEqual(len(agent.listed()), 1)
        agent.sign_and_check(key)


if __name__ == '__main__':
    unittest.main()
