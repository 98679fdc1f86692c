#!/usr/bin/env python3
"""sshd's host keys are a hierarchy's: logins with real ssh, through agent restarts and TPM resets."""

import unittest

from hierarchy import KINDS, HierarchyAgent, host_sshd, know, login, read_public
from lab import Scenario, read
from softkey import SoftKey
from swtpm import Swtpm

ALGORITHMS = {'ecdsa-sha2-nistp256': 'ecdsa', 'rsa-sha2-256': 'rsa', 'rsa-sha2-512': 'rsa'}


class HierarchyLogins(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.user = SoftKey(self.lab, self.lab.path('user'))

    def host(self, hierarchy):
        """Its keys, written by keygen, its agent and its sshd; and `known`, for those who have been there."""
        self.lab.keygen('-q', '-A', '-f', self.lab.path(hierarchy), '--hierarchy', hierarchy)
        self.keys = {kind: read_public(self.lab.path(hierarchy), kind) for kind in KINDS}
        self.hierarchy = hierarchy
        self.agent = HierarchyAgent(self.lab, hierarchy)
        self.server = host_sshd(self.lab, self.agent, self.user, *self.keys.values())
        self.known = know(self.lab, self.server, *self.keys.values())

    def login(self, algorithm, *options):
        return login(self.lab, self.server, self.user, self.known, '-v',
                     '-o', f'HostKeyAlgorithms={algorithm}', *options)

    def assert_logins(self):
        for algorithm, kind in ALGORITHMS.items():
            result = self.login(algorithm)
            self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
            self.assertIn(f'kex: host key algorithm: {algorithm}', result.stderr)
            self.assertIn(self.lab.fingerprint(self.keys[kind]), result.stderr)

    def restart_agent(self):
        self.agent.stop()
        self.tpm.assert_no_handles()
        self.agent = HierarchyAgent(self.lab, self.hierarchy)

    def check(self, hierarchy):
        self.host(hierarchy)
        self.assert_logins()
        self.restart_agent()
        self.assert_logins()
        self.tpm.reset()
        self.assert_logins()
        self.tpm.reset()
        self.restart_agent()
        self.assert_logins()
        self.agent.stop()
        self.tpm.assert_no_handles()

    def test_the_endorsement_hierarchys_keys_serve_logins(self):
        self.check('endorsement')

    def test_the_owner_hierarchys_keys_serve_logins(self):
        self.check('owner')

    def test_the_null_hierarchys_keys_serve_logins_until_a_reset(self):
        self.host('null')
        self.assert_logins()
        self.restart_agent()
        self.assert_logins()
        self.tpm.reset()
        for algorithm in ALGORITHMS:
            result = self.login(algorithm)
            self.assertEqual((result.returncode, result.stdout), (255, ''))
        self.restart_agent()  # which has other keys now than the files say
        self.assertEqual(self.login('rsa-sha2-256').returncode, 255)

    def test_another_hosts_keys_are_not_believed(self):
        self.host('endorsement')
        mine = read(self.known)
        self.lab.keygen('-q', '-A', '-f', self.lab.path('owner'), '--hierarchy', 'owner')
        know(self.lab, self.server, *(read_public(self.lab.path('owner'), kind) for kind in KINDS))
        self.assertNotEqual(read(self.known), mine)
        for algorithm in ALGORITHMS:
            result = self.login(algorithm)
            self.assertEqual((result.returncode, result.stdout), (255, ''))
            self.assertIn('Host key verification failed', result.stderr)

    def test_a_client_that_asks_learns_both_keys(self):
        self.host('endorsement')
        know(self.lab, self.server, self.keys['ecdsa'])
        # The command ends when the file is complete, or at its own deadline.
        learnt = f'for i in $(seq 300); do [ $(wc -l < {self.known}) = 2 ] && break; sleep 0.1; done'
        result = login(self.lab, self.server, self.user, self.known, '-o', 'UpdateHostKeys=yes',
                       command=learnt)
        self.assertEqual(result.returncode, 0, result.stderr)
        for key in self.keys.values():
            self.assertIn(' '.join(key.line.split()[:2]), read(self.known))


if __name__ == '__main__':
    unittest.main()
