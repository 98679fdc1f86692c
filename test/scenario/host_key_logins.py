#!/usr/bin/env python3
"""What clients see of a host whose keys are in the TPM, as files or as a hierarchy's: certificates, scans, crowds."""

import os
import unittest

from agent import Agent
from hierarchy import KINDS, HierarchyAgent, login, login_argv, read_public
from lab import Scenario, read
from softkey import SoftKey
from sshd import Sshd
from swtpm import Swtpm

ALGORITHMS = {'ecdsa-sha2-nistp256': 'ecdsa', 'rsa-sha2-256': 'rsa', 'rsa-sha2-512': 'rsa'}
CROWD = 50


class HostKeyLogins:
    """`keygen -A` has made the keys, and sshd has public files alone; its agent is `start_agent`'s."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.user = SoftKey(self.lab, self.lab.path('user'))
        self.root = self.lab.path('root')
        self.make_keys()
        self.keys = {kind: read_public(self.root, kind) for kind in KINDS}
        self.agent = self.start_agent()

    def start(self, *options):
        self.server = Sshd(self.lab, f'HostKeyAgent {self.agent.socket}', *options, authorized=[self.user.pub],
                           host_keys=[key.pub for key in self.keys.values()])

    def know(self, *lines):
        """A known_hosts file: as the host is called in it, and a key."""
        self.known = self.lab.write('known_hosts', ''.join(
            line.replace('HOST', f'[127.0.0.1]:{self.server.port}').rstrip('\n') + '\n' for line in lines))

    def know_keys(self, *kinds):
        self.know(*('HOST ' + self.keys[kind].line for kind in kinds or KINDS))

    def login(self, algorithm, *options):
        return login(self.lab, self.server, self.user, self.known, '-v',
                     '-o', f'HostKeyAlgorithms={algorithm}', *options)

    def assert_login(self, algorithm):
        result = self.login(algorithm)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        self.assertIn(f'kex: host key algorithm: {algorithm}', result.stderr)
        return result

    def assert_logins(self):
        for algorithm, kind in ALGORITHMS.items():
            self.assertIn(self.lab.fingerprint(self.keys[kind]), self.assert_login(algorithm).stderr)

    def certify(self, name):
        """Certificates of both keys for the host `name`; the lines of sshd_config, and of known_hosts."""
        authority = SoftKey(self.lab, self.lab.path('authority'))
        for key in self.keys.values():
            self.lab.ssh_keygen('-q', '-h', '-s', authority.path, '-I', 'a host', '-n', name, key.pub)
        return ([f'HostCertificate {key.path}-cert.pub' for key in self.keys.values()],
                '@cert-authority * ' + read(authority.pub))

    def test_a_login_with_each_algorithm_after_restarts_and_resets(self):
        self.start()
        self.know_keys()
        self.assert_logins()
        for reset in (False, True):
            self.agent.stop()
            self.tpm.assert_no_handles()
            if reset:
                self.tpm.reset()
            self.agent = self.start_agent()
            self.assert_logins()
        self.tpm.reset()  # beneath the agent
        self.assert_logins()

    def test_a_certificate_of_each_key_is_believed_by_who_knows_the_authority_alone(self):
        lines, authority = self.certify('127.0.0.1')
        self.start(*lines)
        self.know(authority)
        for plain in ALGORITHMS:
            result = self.assert_login(plain + '-cert-v01@openssh.com')
            self.assertIn('Server host certificate', result.stderr)
            self.assertIn("is known and matches the", result.stderr)

    def test_a_certificate_for_another_host_is_not_believed(self):
        lines, authority = self.certify('elsewhere')
        self.start(*lines)
        self.know(authority)
        for plain in ALGORITHMS:
            result = self.login(plain + '-cert-v01@openssh.com')
            self.assertEqual((result.returncode, result.stdout), (255, ''))
            self.assertIn('Host key verification failed', result.stderr)

    def test_a_scan_finds_both_keys(self):
        self.start()
        printed = self.lab.run('ssh-keyscan', '-p', str(self.server.port), '-t', 'ecdsa,rsa,ed25519', '127.0.0.1',
                               status=0).stdout
        self.assertEqual({line.split(' ', 1)[1] for line in printed.splitlines()},
                         {' '.join(key.line.split()[:2]) for key in self.keys.values()})

    def test_a_scan_finds_nothing_of_an_agent_that_is_gone(self):
        self.start()
        self.agent.stop()
        printed = self.lab.run('ssh-keyscan', '-p', str(self.server.port), '-t', 'ecdsa,rsa', '127.0.0.1').stdout
        self.assertEqual(printed, '')

    def test_a_client_that_knows_one_key_learns_the_other(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.start()
                self.know_keys(kind)
                # The command ends when the file is complete, or at its own deadline.
                learnt = f'for i in $(seq 300); do [ $(wc -l < {self.known}) = 2 ] && break; sleep 0.1; done'
                result = login(self.lab, self.server, self.user, self.known, '-o', 'UpdateHostKeys=yes',
                               command=learnt)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual({line.split()[2] for line in read(self.known).splitlines()},
                                 {key.line.split()[1] for key in self.keys.values()})
                self.server.process.end()

    def test_a_crowd_is_let_in_at_once(self):
        self.start(f'MaxStartups {2 * CROWD}')
        self.know_keys()
        clients = [self.lab.start(*login_argv(self.server, self.user, self.known, '-o',
                                              f'HostKeyAlgorithms={list(ALGORITHMS)[n % len(ALGORITHMS)]}'))
                   for n in range(CROWD)]
        for client in clients:
            # Above it stands what the user's shell may have said at its start.
            self.assertEqual((client.wait(), client.lines[-1:]), (0, ['in']), client.log())
        self.agent.stop()
        self.tpm.assert_no_handles()


class OfFiles(HostKeyLogins, Scenario):
    def make_keys(self):
        self.lab.keygen('-q', '-A', '-f', self.root)

    def start_agent(self):
        return Agent(self.lab, '--no-seal', '--no-cache', key_dir=os.path.join(self.root, 'etc/ssh'))


class OfAHierarchy(HostKeyLogins, Scenario):
    def make_keys(self):
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', 'endorsement')

    def start_agent(self):
        return HierarchyAgent(self.lab, 'endorsement', '--no-load', '--no-seal', '--no-cache')


if __name__ == '__main__':
    unittest.main()
