#!/usr/bin/env python3
"""Keys without constraints are seen and used wherever the agent is forwarded."""

import unittest

from agent import ours
from giving import SshAdd, SshTpmAdd, start_agent
from lab import Scenario
from sshd import Forwarded, Hosts

ROUTE = ('a', 'b', 'c')


class Forwarding:
    def setUp(self):
        super().setUp()
        self.agent = start_agent(self.lab)
        kinds = (('ecdsa', 256), ('ecdsa', 521), ('rsa', 2048))
        self.keys = [self.make_key(f'{kind}{bits}', kind, bits) for kind, bits in kinds]
        for key in self.keys:
            self.add(self.agent, key, status=0)

    def hosts(self, *authorized):
        return Hosts(self.lab, *ROUTE, authorized=[key.pub for key in authorized])

    def forward(self, hosts, *route):
        there = Forwarded(hosts, self.agent, *route)
        self.addCleanup(there.end)
        return there

    def test_a_login_through_two_hops_with_a_key_of_each_type(self):
        for key in self.keys:
            with self.subTest(key.comment):
                hosts = self.hosts(key)
                result = hosts.login(self.agent, *ROUTE)
                self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
                for name in ROUTE:
                    hosts.accepted(name, key)
                    hosts[name].process.end()

    def test_without_forwarding_there_is_no_agent_at_the_first_host(self):
        hosts = self.hosts(*self.keys)
        result = hosts.login(self.agent, 'a', 'b', options=('-o', 'ForwardAgent=no'))
        self.assertEqual((result.returncode, result.stdout), (255, ''))
        hosts.accepted('a', self.keys[0])

    def test_every_hop_sees_the_same_list(self):
        hosts = self.hosts(*self.keys)
        expected = [key.line for key in self.keys]
        for hops in range(1, len(ROUTE) + 1):
            with self.subTest(ROUTE[:hops]):
                self.assertEqual(self.forward(hosts, *ROUTE[:hops]).listed(), expected)

    def test_every_hop_signs_files(self):
        hosts = self.hosts(*self.keys)
        for hops in range(1, len(ROUTE) + 1):
            there = self.forward(hosts, *ROUTE[:hops])
            for key in self.keys:
                with self.subTest(route=ROUTE[:hops], key=key.comment):
                    there.sign_and_check(key)

    def test_a_key_removed_at_the_last_hop_is_gone_here(self):
        hosts = self.hosts(*self.keys)
        there = self.forward(hosts, *ROUTE)
        there.ssh_add('-d', self.keys[1].pub, status=0)
        self.assertEqual(self.agent.listed(), [self.keys[0].line, self.keys[2].line])
        there.ssh_add('-D', status=0)
        self.assertEqual(self.agent.listed(), [])

    def test_one_forwarded_connection_that_ends_leaves_the_other_alone(self):
        hosts = self.hosts(*self.keys)
        one, other = self.forward(hosts, 'a'), self.forward(hosts, 'a', 'b')
        with one.connect() as idle:
            self.assertEqual(len(idle.list()), len(self.keys))
            one.end()
            self.assertIsNone(idle.read_frame())
        other.sign_and_check(self.keys[0])
        self.agent.sign_and_check(self.keys[0])

    def test_connections_over_one_forwarding_are_served_side_by_side(self):
        hosts = self.hosts(*self.keys)
        there = self.forward(hosts, 'a', 'b')
        connections = [there.connect() for _ in range(8)]
        for connection in connections:
            self.addCleanup(connection.socket.close)
        for connection in reversed(connections):
            self.assertEqual(len(connection.list()), len(self.keys))
        for connection in connections:
            self.assertIsNotNone(connection.sign(self.keys[0].blob, b'data'))


class WithSshAdd(Forwarding, SshAdd, Scenario):
    pass


@ours
class WithSshTpmAdd(Forwarding, SshTpmAdd, Scenario):
    pass


if __name__ == '__main__':
    unittest.main()
