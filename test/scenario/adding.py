#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-add gives the agent ordinary keys, of which the TPM takes what it can hold, and takes keys away again; a key
of the folder that was taken away stays away until its file changes."""

import contextlib
import os
import re
import shutil
import signal
import unittest

from agent import REFERENCE, Agent, Askpass, certify, ours
from keys_once import KeysOnce
from lab import KINDS, wait_until
from openssh import generations
from protocol import ADD_IDENTITY, RSA_SHA2_256, RSA_SHA2_512, add_identity, frame, mpint, remove_identity, string
from resources import cpu
from softkey import DATA, SoftKey

PASSPHRASE, PIN = 'a long passphrase', 'correct horse 42'
DONE, REFUSED = b'\x06', b'\x05'


class WithSoftKeys(KeysOnce):
    SOFT = ('a', 'b', 'c')

    def ready_made(self, kind, bits):
        return SoftKey.ready_made(self.lab, self.lab.path(f'{kind}{bits}'), kind, bits)

    def three(self, agent):
        softs = [self.soft(name) for name in 'abc']
        agent.ssh_add(*(soft.path for soft in softs), status=0)
        return softs


class Adding(WithSoftKeys):
    def test_keys_of_every_kind_are_listed_and_sign(self):
        agent = Agent(self.lab)
        lines = []
        for kind, bits in KINDS:
            soft = self.ready_made(kind, bits)
            result = agent.ssh_add(soft.path, status=0)
            self.assertIn(f'Identity added: {soft.path}', result.stderr)
            lines.append(soft.key.line)
            self.assertEqual(agent.listed(), lines)
            agent.sign_and_check(soft.key)
            for tools in generations():  # ssh-add of 9.2 asks for RSA without a SHA-2 flag
                self.lab.run(tools.path('ssh-add'), '-T', soft.pub, env={'SSH_AUTH_SOCK': agent.socket}, status=0)
        self.assertEqual(os.listdir(self.lab.keys), [])

    def test_a_key_that_comes_again_replaces_itself(self):
        askpass = Askpass(self.lab)  # says no
        agent, soft = Agent(self.lab, env=askpass.env), self.soft('a')
        for options, signs in (((), True), (('-c',), False), (('-t', '1000'), True)):
            agent.ssh_add(*options, soft.path, status=0)
            self.assertEqual(agent.listed(), [soft.key.line])
            self.assertEqual(agent.ssh_keygen_sign(soft.key).returncode == 0, signs)
        self.assertEqual(len(askpass.questions()), 1)
        with agent.connect() as connection:
            for comment in ('one', 'two'):
                self.assertEqual(connection.request(add_identity(soft.agent_fields(), comment.encode())), DONE)
                self.assertEqual(connection.list(), [(soft.key.blob, comment)])

    @ours
    def test_what_the_tpm_cannot_hold_is_refused_and_not_listed(self):
        """The emulator has RSA keys up to 3072 bits."""
        agent, held = Agent(self.lab), self.soft('a')
        agent.ssh_add(held.path, status=0)
        for name in ('refused-ed25519', 'refused-rsa-1024', 'rsa-4096'):
            with self.subTest(name):
                path = shutil.copy(os.path.join(DATA, name + '.openssh'), self.lab.path(name))
                os.chmod(path, 0o600)
                result = agent.ssh_add(path)
                self.assertEqual(result.returncode, 1)
                self.assertIn(f'Could not add identity "{path}"', result.stderr)
                self.assertEqual(agent.listed(), [held.key.line])
        with open(os.path.join(DATA, '../agent/added.txt'), encoding='ascii') as file:
            sent_by_9 = re.search('^refused-dsa key (.*)$', file.read(), re.M)[1]  # ssh-add 10 does not read DSA keys
        with agent.connect() as connection:
            self.assertEqual(connection.request(bytes([ADD_IDENTITY]) + bytes.fromhex(sent_by_9)), REFUSED)
        self.assertEqual(agent.listed(), [held.key.line])

    @ours
    def test_a_key_whose_halves_do_not_belong_together_is_refused(self):
        one, other, rsa = self.soft('a'), self.soft('b'), self.ready_made('rsa', 2048)
        with Agent(self.lab).connect() as connection:
            right, number = (int.from_bytes(soft.numbers()[0], 'big') for soft in (one, other))
            fields = one.agent_fields()[:-len(mpint(right))]
            for wrong in (number, 0, 1 << 300):
                self.assertEqual(connection.request(add_identity(fields + mpint(wrong))), REFUSED)
            p, q = (int.from_bytes(part, 'big') for part in rsa.numbers()[1:])
            fields = rsa.agent_fields()[:-len(mpint(p) + mpint(q))]
            self.assertEqual(connection.request(add_identity(fields + mpint(p) + mpint(q + 2))), REFUSED)
            self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(add_identity(fields + mpint(p) + mpint(q))), DONE)

    @ours
    def test_rsa_keys_that_come_do_not_keep_others_waiting(self):
        """What the agent does with them itself is short; the rest is the TPM's, which hangs meanwhile."""
        agent = Agent(self.lab)
        request = frame(add_identity(self.ready_made('rsa', 3072).agent_fields()))
        with agent.connect() as other, contextlib.ExitStack() as connections:
            self.assertEqual(other.list(), [])
            clients = [connections.enter_context(agent.connect()) for _ in range(5)]
            with self.tpm.stopped():
                before = cpu(agent.process.pid)
                for client in clients:
                    client.send(request)
                for _ in range(5):  # until all of them have been looked at
                    self.assertEqual(other.list(), [])
                self.assertLess(cpu(agent.process.pid) - before, 0.5)
            for client in clients:
                self.assertEqual(client.read_frame(), DONE)
            self.assertEqual(len(other.list()), 1)

    def test_an_encrypted_key_is_opened_by_ssh_add(self):
        soft = SoftKey(self.lab, self.lab.path('soft'), passphrase=PASSPHRASE)
        askpass, agent = Askpass(self.lab, PASSPHRASE), Agent(self.lab)
        self.lab.run('ssh-add', soft.path, env={**askpass.env, 'SSH_AUTH_SOCK': agent.socket}, status=0)
        agent.sign_and_check(soft.key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_certificate_comes_with_its_key_or_beside_one_that_is_there_and_signs_when_it_has_expired(self):
        agent = Agent(self.lab)
        for soft, word in ((self.soft('a'), '(ECDSA-CERT)'), (self.ready_made('rsa', 2048), '(RSA-CERT)')):
            if word == '(ECDSA-CERT)':
                agent.ssh_add(soft.path, status=0)
            expired = certify(self.lab, soft.key, '-n', 'root', '-V', '20200101:20200102')[1]
            result = agent.ssh_add(soft.path, status=0)
            if 'has already expired; ignored' in result.stderr:  # OpenSSH 10.1 and later, without -N
                result = agent.ssh_add('-N', soft.path, status=0)
            self.assertIn('Certificate added', result.stderr)
            certificate = certify(self.lab, soft.key, '-n', 'root')[1]
            self.assertIn('Certificate added', agent.ssh_add(soft.path, status=0).stderr)
            with agent.connect() as connection:
                self.assertEqual([blob for blob, _ in connection.list()],
                                 [soft.key.blob, *([expired.blob] if REFERENCE else []), certificate.blob])
                for blob in (soft.key.blob, certificate.blob, expired.blob):
                    self.assertIsNotNone(connection.sign(blob, b'data', RSA_SHA2_512))
            self.assertIn(word, agent.ssh_add('-l', status=0).stdout)
            agent.ssh_add('-D', status=0)

    def test_a_foreign_certificate_is_refused_with_its_key(self):
        one, other = self.soft('a'), self.soft('b')
        certificate = certify(self.lab, other.key, '-n', 'root')[1]
        name = string(certificate.algorithm.encode()) + string(certificate.blob)
        wrong, right = (name + mpint(int.from_bytes(each.numbers()[0], 'big')) for each in (one, other))
        with Agent(self.lab).connect() as connection:
            if not REFERENCE:  # which looks at a certificate's key no closer
                self.assertEqual(connection.request(add_identity(wrong)), REFUSED)
                self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(add_identity(right)), DONE)

    @ours
    def test_no_seal_refuses_every_key_and_so_does_an_agent_without_a_tpm(self):
        agents = Agent(self.lab, '--no-seal'), Agent(self.lab, name='lonely')
        for soft in (self.soft('a'), self.ready_made('rsa', 2048)):
            self.assertEqual(agents[0].ssh_add(soft.path).returncode, 1)
        self.tpm.kill()
        self.assertEqual(agents[1].ssh_add(self.soft('a').path).returncode, 1)
        for agent in agents:
            self.assertEqual(agent.listed(), [])

    @ours
    def test_a_key_from_a_file_is_not_lost_when_the_same_comes_from_ssh_add(self):
        soft = self.soft('a')
        self.lab.keygen('-q', '-N', '', '-I', soft.path, '-f', self.lab.path('keys/sealed'))
        agent = Agent(self.lab)
        agent.ssh_add(soft.path, status=0)
        self.assertEqual(len(agent.listed()), 1)
        agent.sign_and_check(soft.key)
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['sealed.pub', 'sealed.tpm'])
        agent.stop()
        self.tpm.assert_no_handles()


class Removing(WithSoftKeys):
    KEYS = {'x': {}, 'y': {}, 'z': {}, 'guarded': {'pin': PIN}, 'other': {'pin': PIN}}

    def test_one_key_is_removed_and_the_others_stay_in_their_order(self):
        agent = Agent(self.lab)
        softs = self.three(agent)
        with agent.connect() as connection, agent.connect() as other:
            self.assertEqual(connection.request(remove_identity(softs[1].key.blob)), DONE)
            for client in (connection, other):
                self.assertEqual([comment for _, comment in client.list()], ['a', 'c'])
                self.assertIsNone(client.sign(softs[1].key.blob, b'data'))
                self.assertIsNotNone(client.sign(softs[2].key.blob, b'data'))
            self.assertEqual(other.request(remove_identity(softs[1].key.blob)), REFUSED)
            for soft, comment in ((softs[1], b'b'), (softs[0], b'again')):  # one that is there keeps its place
                self.assertEqual(other.request(add_identity(soft.agent_fields(), comment)), DONE)
            self.assertEqual([comment for _, comment in connection.list()], ['again', 'c', 'b'])

    def test_all_ways_remove_all_and_may_be_repeated(self):
        agent = Agent(self.lab)
        with agent.connect() as connection:
            for remove in (lambda: self.assertEqual(connection.request(b'\x13'), DONE),
                           lambda: self.assertEqual(connection.request(b'\x09'), DONE),
                           lambda: agent.ssh_add('-D', status=0)):
                self.three(agent)
                self.assertEqual(len(connection.list()), 3)
                for _ in range(2):
                    remove()
                    self.assertEqual(connection.list(), [])

    def test_a_key_and_its_certificate_are_removed_each_for_itself_and_by_ssh_add_together(self):
        agent, soft = Agent(self.lab), self.soft('a')
        certificate = certify(self.lab, soft.key, '-n', 'root')[1]
        agent.ssh_add(soft.path, status=0)
        with agent.connect() as connection:
            self.assertEqual(connection.request(remove_identity(soft.key.blob)), DONE)
            self.assertEqual([blob for blob, _ in connection.list()], [certificate.blob])
            self.assertIsNotNone(connection.sign(certificate.blob, b'data', RSA_SHA2_256))
            self.assertEqual(connection.request(remove_identity(certificate.blob)), DONE)
            self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(remove_identity(certificate.blob)), REFUSED)
            agent.ssh_add(soft.path, status=0)
            self.assertEqual(len(connection.list()), 2)
            agent.ssh_add('-d', soft.path, status=0)
            self.assertEqual(connection.list(), [])
            self.assertEqual(agent.ssh_add('-d', soft.path).returncode, 1)

    @ours
    def test_keys_of_the_folder_are_removed_by_ssh_add_and_stay_away_while_other_files_change(self):
        key, touched = self.take('x'), self.take('y')
        agent = Agent(self.lab)
        agent.sign_and_check(key)
        agent.ssh_add('-d', key.path, status=0)
        self.assertEqual(agent.listed(), [touched.line])
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        new = self.take('z')
        agent.wait_until_listed([touched.line, new.line])
        os.unlink(touched.tpm)
        agent.wait_until_listed([new.line])
        agent.ssh_add('-D', status=0)
        self.assertEqual(agent.listed(), [])
        for each in (key, new):
            self.assertTrue(os.path.exists(each.tpm))

    @ours
    def test_what_is_removed_comes_back_when_its_file_changes_or_is_written_again_as_it_was(self):
        key = self.take('x')
        agent = Agent(self.lab)
        agent.ssh_add('-d', key.path, status=0)
        self.assertEqual(agent.listed(), [])
        shutil.copy(key.tpm, self.lab.path('copy'))
        os.rename(self.lab.path('copy'), key.tpm)
        agent.wait_until_listed([key.line])
        agent.ssh_add('-d', key.path, status=0)
        self.lab.keygen('-q', '-c', '-C', 'changed', '-f', key.tpm)
        agent.wait_until_listed([key.line.rpartition(' ')[0] + ' changed'])
        agent.sign_and_check(key)

    @ours
    def test_what_is_removed_comes_back_on_sighup_unless_it_was_sealed(self):
        keys = [self.take(name) for name in 'xy']
        agent, soft = Agent(self.lab), self.soft('a')
        agent.ssh_add(soft.path, status=0)
        for option in (('-d', keys[0].path), ('-D',)):
            agent.ssh_add(*option, status=0)
            self.assertNotIn(keys[0].line, agent.listed())
            agent.process.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: keys[0].line in agent.listed(), 'the keys')
        self.assertEqual(agent.listed(), [key.line for key in keys])

    @ours
    def test_the_pin_goes_with_the_key(self):
        for option in ('-d', '-D'):
            with self.subTest(option):
                key, other = self.take('guarded'), self.take('other')
                askpass = Askpass(self.lab, PIN, PIN, PIN, name='askpass' + option)
                agent = Agent(self.lab, name='agent' + option, env=askpass.env)
                with agent.connect() as connection:
                    for each in (key, other):
                        self.assertIsNotNone(connection.sign(each.blob, b'data'))
                    agent.ssh_add(option, *((key.path,) if option == '-d' else ()), status=0)
                    agent.process.popen.send_signal(signal.SIGHUP)
                    wait_until(lambda: key.blob in [blob for blob, _ in connection.list()], 'the key')
                    self.assertEqual(len(askpass.questions()), 2)
                    self.assertIsNotNone(connection.sign(key.blob, b'data'))
                    self.assertEqual(len(askpass.questions()), 3)
                    if option == '-d':
                        self.assertIsNotNone(connection.sign(other.blob, b'data'))  # whose PIN has stayed
                        self.assertEqual(len(askpass.questions()), 3)
                agent.stop()
                self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
