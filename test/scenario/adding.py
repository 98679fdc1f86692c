#!/usr/bin/env python3
"""ssh-add gives the agent ordinary keys: what the TPM can hold is sealed into it, all else is refused."""

import contextlib
import os
import statistics
import time
import unittest

from agent import REFERENCE, Agent, Askpass, certify, ours
from lab import Scenario
from protocol import RSA_SHA2_512, add_identity, frame, mpint, string
from resources import cpu
from softkey import SoftKey
from swtpm import Probe, Swtpm

KINDS = (('ecdsa', 256), ('ecdsa', 384), ('ecdsa', 521), ('rsa', 2048), ('rsa', 3072))
PASSPHRASE = 'a long passphrase'


class Adding(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def soft(self, name='soft', kind='ecdsa', bits=256, **more):
        return SoftKey(self.lab, self.lab.path(name), kind, bits, comment=name, **more)

    def test_keys_of_every_kind_are_listed_and_sign(self):
        agent = Agent(self.lab)
        lines = []
        for kind, bits in KINDS:
            soft = self.soft(f'{kind}{bits}', kind, bits)
            result = agent.ssh_add(soft.path, status=0)
            self.assertIn(f'Identity added: {soft.path}', result.stderr)
            lines.append(soft.key.line)
            self.assertEqual(agent.listed(), lines)
            agent.sign_and_check(soft.key)
            if REFERENCE or kind != 'rsa':  # ssh-add 9.2 wants SHA-1 of these
                agent.ssh_add('-T', soft.pub, status=0)

    def test_keys_are_removed_one_by_one_and_all_at_once(self):
        agent = Agent(self.lab)
        keys = [self.soft(name) for name in 'abc']
        agent.ssh_add(*(key.path for key in keys), status=0)
        agent.ssh_add('-d', keys[1].path, status=0)
        self.assertEqual(agent.listed(), [keys[0].key.line, keys[2].key.line])
        self.assertEqual(agent.ssh_add('-d', keys[1].path).returncode, 1)
        self.assertNotEqual(agent.ssh_keygen_sign(keys[1].key).returncode, 0)
        agent.ssh_add('-D', status=0)
        self.assertEqual(agent.listed(), [])
        agent.ssh_add(keys[1].path, status=0)
        agent.sign_and_check(keys[1].key)

    def test_a_key_that_comes_again_replaces_itself(self):
        askpass = Askpass(self.lab)  # says no
        agent = Agent(self.lab, env=askpass.env)
        soft = self.soft()
        agent.ssh_add(soft.path, status=0)
        agent.sign_and_check(soft.key)
        agent.ssh_add('-c', soft.path, status=0)
        self.assertEqual(agent.listed(), [soft.key.line])
        self.assertNotEqual(agent.ssh_keygen_sign(soft.key).returncode, 0)
        self.assertEqual(len(askpass.questions()), 1)
        agent.ssh_add('-t', '1000', soft.path, status=0)
        self.assertEqual(agent.listed(), [soft.key.line])
        agent.sign_and_check(soft.key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_new_comment_replaces_the_old_one(self):
        agent = Agent(self.lab)
        soft = self.soft()
        with agent.connect() as connection:
            for comment in ('one', 'two'):
                request = add_identity(soft.agent_fields(), comment.encode())
                self.assertEqual(connection.request(request), b'\x06')
                self.assertEqual(connection.list(), [(soft.key.blob, comment)])

    @ours
    def test_what_the_tpm_cannot_hold_is_refused_and_not_listed(self):
        agent = Agent(self.lab)
        held = self.soft('held')
        agent.ssh_add(held.path, status=0)
        for name, options in (('ed25519', ('-t', 'ed25519')), ('dsa', ('-t', 'dsa')),
                              ('rsa1024', ('-t', 'rsa', '-b', '1024'))):
            with self.subTest(name):
                path = self.lab.path(name)
                self.lab.ssh_keygen('-q', *options, '-N', '', '-f', path)
                result = agent.ssh_add(path)
                self.assertEqual(result.returncode, 1)
                self.assertIn(f'Could not add identity "{path}"', result.stderr)
                self.assertEqual(agent.listed(), [held.key.line])

    @ours
    def test_a_size_that_this_tpm_lacks_is_refused(self):
        """The emulator has RSA keys up to 3072 bits."""
        agent = Agent(self.lab)
        soft = self.soft('rsa4096', 'rsa', 4096)
        self.assertEqual(agent.ssh_add(soft.path).returncode, 1)
        self.assertEqual(agent.listed(), [])

    @ours
    def test_a_key_whose_halves_do_not_belong_together_is_refused(self):
        agent = Agent(self.lab)
        one, other = self.soft('one'), self.soft('other')
        with agent.connect() as connection:
            number = int.from_bytes(other.numbers()[0], 'big')
            fields = one.agent_fields()[:-len(mpint(int.from_bytes(one.numbers()[0], 'big')))]
            self.assertEqual(connection.request(add_identity(fields + mpint(number))), b'\x05')
            for wrong in (0, 1 << 300):
                self.assertEqual(connection.request(add_identity(fields + mpint(wrong))), b'\x05')
            self.assertEqual(connection.list(), [])

    @ours
    def test_rsa_numbers_that_do_not_belong_together_are_refused(self):
        agent = Agent(self.lab)
        one, other = self.soft('one', 'rsa', 2048), self.soft('other', 'rsa', 2048)
        primes = b''.join(mpint(int.from_bytes(part, 'big')) for part in other.numbers()[1:])
        with agent.connect() as connection:
            request = add_identity(one.agent_fields()[:-len(primes)] + primes)
            self.assertEqual(connection.request(request), b'\x05')
            self.assertEqual(connection.list(), [])

    @ours
    def test_rsa_keys_that_come_do_not_keep_others_waiting(self):
        """What the agent does with them itself is short; the rest is the TPM's, which hangs meanwhile."""
        agent = Agent(self.lab)
        request = frame(add_identity(self.soft('large', 'rsa', 3072).agent_fields()))
        with agent.connect() as other, contextlib.ExitStack() as connections:
            self.assertEqual(other.list(), [])
            clients = [connections.enter_context(agent.connect()) for _ in range(10)]
            with self.tpm.stopped():
                before = cpu(agent.process.pid)
                for client in clients:
                    client.send(request)
                took = []
                for _ in range(5):  # until all of them have been looked at
                    start = time.monotonic()
                    self.assertEqual(other.list(), [])
                    took.append(time.monotonic() - start)
                self.assertLess(statistics.median(took), 0.5)
                self.assertLess(cpu(agent.process.pid) - before, 0.5)
            for client in clients:
                self.assertEqual(client.read_frame(), b'\x06')
            self.assertEqual(len(other.list()), 1)

    def test_an_encrypted_key_is_opened_by_ssh_add(self):
        soft = self.soft(passphrase=PASSPHRASE)
        askpass = Askpass(self.lab, PASSPHRASE)
        agent = Agent(self.lab)
        result = self.lab.run('ssh-add', soft.path, env={**askpass.env, 'SSH_AUTH_SOCK': agent.socket},
                              status=0)
        self.assertIn('Identity added', result.stderr)
        agent.sign_and_check(soft.key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_certificate_comes_with_its_key(self):
        agent = Agent(self.lab)
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            soft = self.soft('certified.' + kind, kind, bits)
            certificate = certify(self.lab, soft.key, '-n', 'root')[1]
            result = agent.ssh_add(soft.path, status=0)
            self.assertIn('Certificate added', result.stderr)
            with agent.connect() as connection:
                self.assertEqual([blob for blob, _ in connection.list()], [soft.key.blob, certificate.blob])
                for blob in (soft.key.blob, certificate.blob):
                    self.assertIsNotNone(connection.sign(blob, b'data', RSA_SHA2_512))
            agent.ssh_add('-D', status=0)

    def test_a_certificate_is_added_beside_a_key_that_is_there_already(self):
        agent = Agent(self.lab)
        soft = self.soft()
        agent.ssh_add(soft.path, status=0)
        certificate = certify(self.lab, soft.key, '-n', 'root')[1]
        agent.ssh_add(soft.path, status=0)
        with agent.connect() as connection:
            self.assertEqual(sorted(blob for blob, _ in connection.list()),
                             sorted((soft.key.blob, certificate.blob)))

    def test_an_expired_certificate_is_listed(self):
        agent = Agent(self.lab)
        soft = self.soft()
        certify(self.lab, soft.key, '-n', 'root', '-V', '20200101:20200102')
        agent.ssh_add(soft.path, status=0)
        self.assertIn('(ECDSA-CERT)', agent.ssh_add('-l', status=0).stdout)

    def test_a_foreign_certificate_is_refused_with_its_key(self):
        agent = Agent(self.lab)
        one, other = self.soft('one'), self.soft('other')
        certificate = certify(self.lab, other.key, '-n', 'root')[1]
        name = certificate.algorithm.encode()
        private = mpint(int.from_bytes(one.numbers()[0], 'big'))
        right = mpint(int.from_bytes(other.numbers()[0], 'big'))
        with agent.connect() as connection:
            if not REFERENCE:  # which looks at a certificate's key no closer
                wrong = string(name) + string(certificate.blob) + private
                self.assertEqual(connection.request(add_identity(wrong)), b'\x05')
                self.assertEqual(connection.list(), [])
            good = string(name) + string(certificate.blob) + right
            self.assertEqual(connection.request(add_identity(good)), b'\x06')

    @ours
    def test_no_seal_refuses_every_key(self):
        agent = Agent(self.lab, '--no-seal')
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            self.assertEqual(agent.ssh_add(self.soft(kind, kind, bits).path).returncode, 1)
        self.assertEqual(agent.listed(), [])

    @ours
    def test_without_a_tpm_a_key_is_refused(self):
        agent = Agent(self.lab)
        self.tpm.kill()
        self.assertEqual(agent.ssh_add(self.soft().path).returncode, 1)
        self.assertEqual(agent.listed(), [])

    @ours
    def test_a_key_from_a_file_is_not_lost_when_the_same_comes_from_ssh_add(self):
        soft = self.soft()
        self.lab.keygen('-q', '-N', '', '-I', soft.path, '-f', self.lab.path('keys/sealed'))
        agent = Agent(self.lab)
        agent.ssh_add(soft.path, status=0)
        self.assertEqual(len(agent.listed()), 1)
        agent.sign_and_check(soft.key)

    @ours
    def test_nothing_secret_is_on_the_bus_or_in_the_log_and_nothing_stays_in_the_tpm(self):
        probe = Probe(self.tpm)
        agent = Agent(self.lab, '-d', tcti=probe.tcti)
        softs = [self.soft(kind, kind, bits) for kind, bits in (('ecdsa', 256), ('rsa', 2048))]
        for soft in softs:
            agent.ssh_add(soft.path, status=0)
            agent.sign_and_check(soft.key)
        agent.stop()
        traffic = probe.bytes()
        self.assertIn(softs[1].key.blob[-256:], traffic)  # the record holds what passes by
        for soft in softs:
            for number in soft.numbers():
                self.assertNotIn(number, traffic)
                self.assertNotIn(number.hex(), agent.log())
        self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
