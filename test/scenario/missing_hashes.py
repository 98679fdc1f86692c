#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""On a TPM without SHA-512 RSA keys sign rsa-sha2-512, which OpenSSH prefers, by TPM2_RSA_Decrypt; what cannot sign is
not offered, and is an error that says why. Host keys on such a TPM are in host_key_logins."""

import os
import unittest

import bus
import keyfile
from agent import Agent, Askpass, verify
from lab import contents, read_key
from protocol import RSA_SHA2_256, RSA_SHA2_512
from softkey import SoftKey
from sshd import Sshd
from stock import WithTpm
from swtpm import SHA384, SHA512, STORAGE_KEY, Probe

PIN, OTHER = 'a pin of an rsa key', 'another pin of it'
SIGN, DECRYPT = 'TPM2_Sign', 'TPM2_RSA_Decrypt'
RSA = {'rsa-sha2-256': RSA_SHA2_256, 'rsa-sha2-512': RSA_SHA2_512}


def decrypts(key):
    return bool(keyfile.attributes(keyfile.public_area(keyfile.fields(key.tpm))[1]) & keyfile.DECRYPT)


class MissingHashes(bus.Hidden, WithTpm):
    """`full` is the environment of a program for which the same TPM has all hashes."""

    def setUp(self):
        super().setUp()
        self.full = {'SSH_TPM_TCTI': self.tpm.tcti}
        self.use(SHA512)

    def use(self, *lacks):
        self.probe = Probe(self.tpm, name=f'probe{len(lacks)}', lacks=lacks)
        self.lab.env['SSH_TPM_TCTI'] = self.probe.tcti

    def agent(self, *answers, **more):
        name = f'agent{len(self.lab.processes)}'
        self.askpass = Askpass(self.lab, *answers, name=name + '.askpass')
        return Agent(self.lab, name=name, env=self.askpass.env, **more)

    def assert_signs(self, agent, key, algorithms=tuple(RSA)):
        with agent.connect() as connection:
            for algorithm in algorithms:
                signed = connection.sign(key.blob, b'data', RSA[algorithm])
                self.assertEqual(signed[0], algorithm)
                verify(self.lab, key, *signed, b'data')

    def assert_refused(self, result, *words, tool='ssh-tpm-keygen'):
        self.assert_error(result, *words, 'hint: ', tool=tool)

    def soft(self, kind, bits):
        return SoftKey.ready_made(self.lab, self.lab.path(f'soft-{kind}'), kind, bits)

    def test_rsa_keys_log_in_with_what_openssh_prefers_with_and_without_a_pin(self):
        for name, pin in (('open', ''), ('guarded', PIN)):
            with self.subTest(pin=pin):
                key = self.lab.make_key(name, 'rsa', 2048, pin=pin)
                self.assertTrue(decrypts(key))
                agent = self.agent(*([pin] if pin else []))
                server = Sshd(self.lab, 'PubkeyAcceptedAlgorithms rsa-sha2-512', authorized=[key.pub], name=name)
                self.assertEqual(server.login(agent).stdout, 'in\n')
                server.accepted(key)
                agent.add('-T', key.pub, status=0)
                self.probe.take(refused=(f'{DECRYPT} 0x00000922',))  # TPM_RC_RETRY, at the first use of a guarded key
                self.assert_signs(agent, key)
                self.assertEqual(self.probe.take(), [DECRYPT] * 2)
                self.assertEqual(len(self.askpass.questions()), 1 if pin else 0)
                agent.stop()
                self.tpm.assert_no_handles()
        self.assert_nowhere(PIN.encode())
        self.assert_sessions('RSA_Decrypt')

    def test_a_wrong_pin_costs_a_try_and_the_right_one_signs_and_changes(self):
        key = self.lab.make_key('x', 'rsa', 2048, pin=PIN)
        agent = self.agent(OTHER, PIN)
        self.assert_signs(agent, key)
        self.assertEqual((self.tpm.wrong_tries(), len(self.askpass.questions())), (1, 2))
        agent.stop()
        self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
        self.assert_signs(self.agent(OTHER), key)

    def test_a_handle_that_is_lost_is_loaded_again(self):
        key, agent = self.lab.make_key('x', 'rsa', 2048), self.agent()
        self.assert_signs(agent, key)
        self.tpm.reset()
        self.assert_signs(agent, key)

    def test_ecdsa_keys_of_other_sizes_are_sign_only_and_sign_as_ever(self):
        keys = [self.lab.make_key(f'ecdsa{bits}', 'ecdsa', bits) for bits in (256, 384)]
        self.assertFalse(any(map(decrypts, keys)))
        agent = self.agent()
        self.probe.take()
        for key in keys:
            agent.sign_and_check(key)
        commands = self.probe.take()
        self.assertEqual((commands.count(SIGN), commands.count(DECRYPT)), (2, 0))

    def test_where_the_tpm_has_all_hashes_new_rsa_keys_only_sign(self):
        soft = self.soft('rsa', 2048)
        self.lab.make_key('x', 'rsa', 2048, env=self.full)
        self.lab.keygen('-q', '--import', soft.path, '-N', '', '-f', self.lab.path('keys/y'), env=self.full)
        for name in 'xy':
            self.assertFalse(decrypts(read_key(self.lab.path('keys', name))))

    def test_imported_keys_sign_and_so_do_keys_given_by_ssh_add_and_keys_that_were_wrapped_without_a_tpm(self):
        soft = self.soft('rsa', 2048)
        self.lab.keygen('-q', '--import', soft.path, '-N', '', '-f', self.lab.path('keys/imported'))
        imported = read_key(self.lab.path('keys/imported'))
        self.assertTrue(decrypts(imported))
        self.assert_signs(self.agent(), imported)

        given = self.agent(key_dir=self.lab.make_folder('none'))
        given.ssh_add(soft.path, status=0)
        self.assert_signs(given, imported)

        parent, wrapped = self.lab.path('parent.pem'), self.lab.path('wrapped')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY,
                       '-f', 'pem', '-o', parent, '-c', self.lab.path('parent.ctx'))
        self.lab.keygen('-q', '--wrap', soft.path, '--wrap-with', parent, '-N', '', '-f', wrapped,
                        env=self.lab.no_tpm)
        self.assertTrue(decrypts(read_key(wrapped)))
        self.lab.keygen('-q', '--import', wrapped + '.tpm', '-f', self.lab.path('keys/unwrapped'))
        self.assert_signs(self.agent(), read_key(self.lab.path('keys/unwrapped')))

    def test_an_rsa_key_that_only_signs_is_tested_refused_and_told_how_to_mend(self):
        key = self.lab.make_key('old', 'rsa', 2048, pin=PIN, env=self.full)
        agent = self.agent(PIN)
        self.assert_signs(agent, key, ['rsa-sha2-256'])
        with agent.connect() as connection:
            self.assertIsNone(connection.sign(key.blob, b'data', RSA_SHA2_512))
        agent.process.wait_line('this TPM does not have the hash SHA-512')
        agent.process.wait_line('hint: make or import the key again')
        self.assert_error(agent.add('-T', key.pub), f'Agent signature failed for {key.pub}: rsa-sha2-512: ',
                          tool='ssh-tpm-add')
        self.assert_signs(agent, key, ['rsa-sha2-256'])
        self.assertEqual((self.tpm.wrong_tries(), len(self.askpass.questions())), (0, 1))
        agent.stop()
        self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)  # it is of use with rsa-sha2-256
        self.assert_signs(self.agent(OTHER), key, ['rsa-sha2-256'])

    def test_chips_that_refuse_a_digest_for_its_size_are_understood(self):
        key = self.lab.make_key('old', 'rsa', 2048, env=self.full)
        agent = self.agent()
        with self.probe.failing(f'{SIGN} answer 0x1d5'):  # TPM_RC_SIZE, parameter 1
            self.assertFalse(agent.signs(key))
            with agent.connect() as connection:
                self.assertIsNone(connection.sign(key.blob, b'data', RSA_SHA2_512))
        agent.process.wait_line('this TPM does not have the hash SHA-512')

    def test_curves_whose_hash_is_missing_are_not_offered(self):
        for lacks, sizes in (((), '256 384 521'), ((SHA512,), '256 384'), ((SHA384, SHA512), '256')):
            with self.subTest(lacks=lacks):
                self.use(*lacks)
                lines = self.lab.keygen('--supported').stdout.splitlines()
                self.assertEqual(lines[0], f'ecdsa bit lengths: {sizes}')
                self.assertTrue(lines[1].startswith('rsa bit lengths: 2048'))
        before = contents(self.lab.keys)
        for bits in (384, 521):
            result = self.lab.keygen('-t', 'ecdsa', '-b', str(bits), '-N', '', '-f', self.lab.path('keys/x'),
                                     status=None)
            self.assert_refused(result, f'this TPM cannot make ECDSA {bits} keys', 'it has ECDSA 256, RSA 2048')
            result = self.lab.keygen('--import', self.soft('ecdsa', bits).path, '-N', '', '-f',
                                     self.lab.path('keys/x'), status=None)
            self.assert_refused(result, f'this TPM cannot make ECDSA {bits} keys')
        self.assertEqual(contents(self.lab.keys), before)

    def test_a_key_on_a_curve_whose_hash_is_missing_is_refused_by_name(self):
        self.use(SHA384, SHA512)
        for bits, algorithm in ((384, 'SHA-384'), (521, 'SHA-512')):
            key = self.lab.make_key(f'ecdsa{bits}', 'ecdsa', bits, env=self.full)
            agent = self.agent()
            self.assertFalse(agent.signs(key))
            agent.process.wait_line(f'does not have the hash {algorithm}, which keys on NIST P-{bits} sign with')
            agent.stop()
            self.assert_refused(self.lab.keygen('-p', '-f', key.tpm, '-N', PIN, status=None), algorithm, '--supported')
            os.unlink(key.tpm)


if __name__ == '__main__':
    unittest.main()
