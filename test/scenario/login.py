#!/usr/bin/env python3
"""An unmodified ssh logs in to an unmodified sshd with a key of the TPM."""

import os
import pwd
import unittest

from agent import Agent, Askpass, certify
from lab import KINDS, Scenario
from sshd import USER, Sshd
from swtpm import Swtpm


@unittest.skipIf(pwd.getpwuid(os.geteuid()).pw_shell.endswith(('nologin', 'false')), 'this user may not log in')
class Login(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def assert_login(self, result, server, key, method='publickey'):
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        accepted = server.process.wait_line(f'Accepted {method} for {USER}')
        self.assertIn(self.lab.fingerprint(key), accepted)

    def test_login_with_a_key_of_every_type(self):
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                name = f'{kind}{bits}'
                key = self.lab.make_key('id', kind, bits, folder=self.lab.make_folder(name))
                server = Sshd(self.lab, authorized=[key.pub], name=name + '.sshd')
                agent = Agent(self.lab, name=name, key_dir=self.lab.path(name))
                self.assert_login(server.login(agent), server, key)
                agent.stop()
                server.process.end()
        self.tpm.assert_no_handles()

    def test_login_with_each_hash_of_rsa(self):
        key = self.lab.make_key('rsa', 'rsa', 2048)
        agent = Agent(self.lab)
        for algorithm in ('rsa-sha2-256', 'rsa-sha2-512'):
            with self.subTest(algorithm=algorithm):
                option = f'PubkeyAcceptedAlgorithms={algorithm}'
                server = Sshd(self.lab, option.replace('=', ' '), authorized=[key.pub], name=algorithm)
                self.assert_login(server.login(agent, '-o', option), server, key)
                server.process.end()

    def test_a_server_that_accepts_sha1_alone_gets_nothing(self):
        key = self.lab.make_key('rsa', 'rsa', 2048)
        agent = Agent(self.lab)
        server = Sshd(self.lab, 'PubkeyAcceptedAlgorithms ssh-rsa', authorized=[key.pub])
        result = server.login(agent, '-o', 'PubkeyAcceptedAlgorithms=ssh-rsa')
        self.assertEqual(result.returncode, 255)

    def test_login_with_a_certificate(self):
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            with self.subTest(kind=kind):
                key = self.lab.make_key('id', kind, bits, folder=self.lab.make_folder(kind))
                authority, _ = certify(self.lab, key, '-n', USER)
                agent = Agent(self.lab, name=kind + '.agent', key_dir=self.lab.path(kind))
                server = Sshd(self.lab, f'TrustedUserCAKeys {authority}', name=kind + '.sshd')
                self.assert_login(server.login(agent), server, key)
                self.assertIn('ID a person', server.process.wait_line('Accepted publickey'))
                server.process.end()

    def test_a_certificate_for_someone_else_does_not_log_in(self):
        key = self.lab.make_key('id')
        authority, _ = certify(self.lab, key, '-n', 'somebody-else')
        server = Sshd(self.lab, f'TrustedUserCAKeys {authority}')
        self.assertEqual(server.login(Agent(self.lab)).returncode, 255)

    def test_login_with_a_pin_through_askpass(self):
        key = self.lab.make_key('id', pin='1234')
        askpass = Askpass(self.lab, '1234')
        agent = Agent(self.lab, env=askpass.env)
        server = Sshd(self.lab, authorized=[key.pub])
        for _ in range(2):
            self.assert_login(server.login(agent), server, key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_wrong_pin_does_not_log_in(self):
        key = self.lab.make_key('id', pin='1234')
        agent = Agent(self.lab, env=Askpass(self.lab, '4321').env)
        server = Sshd(self.lab, authorized=[key.pub])
        self.assertEqual(server.login(agent).returncode, 255)

    def test_a_key_that_the_server_does_not_know_does_not_log_in(self):
        self.lab.make_key('id')
        other = self.lab.make_key('other', folder=self.lab.make_folder('elsewhere'))
        server = Sshd(self.lab, authorized=[other.pub])
        self.assertEqual(server.login(Agent(self.lab)).returncode, 255)

    def test_among_several_keys_the_one_that_fits_is_found(self):
        keys = [self.lab.make_key(name) for name in ('a', 'b', 'c')]
        server = Sshd(self.lab, authorized=[keys[2].pub])
        self.assert_login(server.login(Agent(self.lab)), server, keys[2])


if __name__ == '__main__':
    unittest.main()
