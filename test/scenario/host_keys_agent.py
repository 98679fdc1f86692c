#!/usr/bin/env python3
"""sshd keeps its host keys in this agent (HostKeyAgent) and proves new ones to clients that ask."""

import unittest

from agent import ours
from giving import SshAdd, SshTpmAdd, start_agent
from lab import Scenario, read
from softkey import SoftKey
from sshd import USER, Sshd

KINDS = (('ecdsa', 256), ('ecdsa', 384), ('ecdsa', 521), ('rsa', 2048))
ALGORITHMS = (('ecdsa', 256, 'ecdsa-sha2-nistp256'), ('ecdsa', 384, 'ecdsa-sha2-nistp384'),
              ('ecdsa', 521, 'ecdsa-sha2-nistp521'), ('rsa', 2048, 'rsa-sha2-256'),
              ('rsa', 2048, 'rsa-sha2-512'))


class HostKeysAgent:
    def setUp(self):
        super().setUp()
        self.agent = start_agent(self.lab)
        self.keys = {(kind, bits): self.make_key(f'{kind}{bits}', kind, bits) for kind, bits in KINDS}
        for key in self.keys.values():
            self.add(self.agent, key, status=0)
        self.user = SoftKey(self.lab, self.lab.path('user'))

    def sshd(self, *keys):
        return Sshd(self.lab, f'HostKeyAgent {self.agent.socket}', authorized=[self.user.pub],
                    host_keys=[key.pub for key in keys])

    def know(self, server, *keys):
        """A known_hosts file in which the server has these keys."""
        return self.lab.write('known_hosts', ''.join(
            f'[127.0.0.1]:{server.port} {key.line}\n' for key in keys))

    def argv(self, server, known, *options, command='echo in'):
        """A client that has its own key in a file."""
        return ('ssh', '-F', 'none', '-p', str(server.port), '-i', self.user.path, '-o', 'IdentityAgent=none',
                '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', f'UserKnownHostsFile={known}',
                '-o', 'GlobalKnownHostsFile=/dev/null', '-o', 'ControlPath=none', *options,
                f'{USER}@127.0.0.1', command)

    def login(self, *arguments, **more):
        return self.lab.run(*self.argv(*arguments, **more))

    def test_a_login_with_each_host_key_algorithm(self):
        server = self.sshd(*self.keys.values())
        known = self.know(server, *self.keys.values())
        for kind, bits, algorithm in ALGORITHMS:
            with self.subTest(algorithm):
                result = self.login(server, known, '-v', '-o', f'HostKeyAlgorithms={algorithm}')
                self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
                self.assertIn(f'kex: host key algorithm: {algorithm}', result.stderr)
                self.assertIn(self.lab.fingerprint(self.keys[kind, bits]), result.stderr)

    def test_a_host_with_another_key_is_not_believed(self):
        one, other = self.keys['ecdsa', 256], self.make_key('other')
        server = self.sshd(one)
        result = self.login(server, self.know(server, other))
        self.assertEqual((result.returncode, result.stdout), (255, ''))
        self.assertIn('Host key verification failed', result.stderr)

    def test_a_key_that_the_agent_lost_is_the_end_of_that_login_and_no_other(self):
        one, other = self.keys['ecdsa', 256], self.keys['rsa', 2048]
        server = self.sshd(one, other)
        known = self.know(server, one, other)
        self.agent.ssh_add('-d', one.pub, status=0)
        lost = self.login(server, known, '-o', 'HostKeyAlgorithms=ecdsa-sha2-nistp256')
        self.assertEqual((lost.returncode, lost.stdout), (255, ''))
        kept = self.login(server, known, '-o', 'HostKeyAlgorithms=rsa-sha2-512')
        self.assertEqual((kept.returncode, kept.stdout), (0, 'in\n'), kept.stderr)

    def test_many_logins_at_once(self):
        server = self.sshd(*self.keys.values())
        known = self.know(server, *self.keys.values())
        clients = [self.lab.start(*self.argv(server, known, '-o', f'HostKeyAlgorithms={algorithm}'))
                   for _, _, algorithm in ALGORITHMS]
        for client in clients:
            self.assertEqual((client.wait(), client.log()), (0, 'in'))

    def test_a_client_that_knows_one_key_learns_the_others(self):
        """UpdateHostKeys: the server answers hostkeys-prove-00@openssh.com with a signature of each key."""
        for (kind, bits), first in self.keys.items():
            with self.subTest(kind=kind, bits=bits):
                server = self.sshd(*self.keys.values())
                known = self.know(server, first)
                # The command ends when the file is complete, or at its own deadline.
                learnt = (f'for i in $(seq 300); do [ $(wc -l < {known}) = {len(self.keys)} ] && break; '
                          'sleep 0.1; done')
                result = self.login(server, known, '-o', 'UpdateHostKeys=yes', command=learnt)
                self.assertEqual(result.returncode, 0, result.stderr)
                blobs = {line.split()[2] for line in read(known).splitlines()}
                self.assertEqual(blobs, {key.line.split()[1] for key in self.keys.values()})
                server.process.end()

    def test_a_key_that_the_agent_lost_is_not_learnt(self):
        first, lost = self.keys['ecdsa', 256], self.keys['rsa', 2048]
        server = self.sshd(first, lost)
        known = self.know(server, first)
        before = read(known)
        self.agent.ssh_add('-d', lost.pub, status=0)
        # sshd's monitor takes a refusal as fatal: the session ends, and at the latest with its command.
        client = self.lab.start(
            *self.argv(server, known, '-o', 'UpdateHostKeys=yes', command='exec sleep 600'))
        self.assertEqual(client.wait(), 255, client.log())
        server.process.wait_line('agent refused operation')
        self.assertEqual(read(known), before)


class WithSshAdd(HostKeysAgent, SshAdd, Scenario):
    pass


@ours
class WithSshTpmAdd(HostKeysAgent, SshTpmAdd, Scenario):
    pass


if __name__ == '__main__':
    unittest.main()
