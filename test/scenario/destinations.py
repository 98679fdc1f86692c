#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keys where the agent is forwarded: without constraints everywhere, with destinations on the way to them alone."""

import unittest

from agent import Agent, ours
from giving import SshAdd, SshTpmAdd, start_agent
from lab import Scenario, read, slow
from protocol import FAILURE, remove_identity
from sshd import USER, Forwarded, Hosts
from upstream import SshAgent

ROUTE = ('a', 'b', 'c')
HOST_KEYS = {'a': ('ed25519', 256), 'b': ('ecdsa', 384), 'c': ('rsa', 2048)}


class OverHosts:
    """An agent, and `hosts` that its connections are forwarded to."""

    def forward(self, *route):
        there = Forwarded(self.hosts, self.agent, *route)
        self.addCleanup(there.end)
        return there

    def assert_logs_in(self, agent, *route):
        result = self.hosts.login(agent, *route)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)

    def assert_refused(self, *route, agent=None):
        result = self.hosts.login(agent or self.agent, *route)
        self.assertEqual((result.returncode, result.stdout), (255, ''), result.stderr)
        self.assertIn('Permission denied (publickey)', result.stderr)
        return result.stderr


class Forwarding(OverHosts):
    """Keys without constraints are seen and used wherever the agent is forwarded."""

    KINDS = ('ecdsa', 256), ('ecdsa', 521), ('rsa', 2048)

    def test_the_last_hop_sees_the_same_list_and_signs_files_and_removes(self):
        self.agent = start_agent(self.lab)
        keys = [self.make_key(f'{kind}{bits}', kind, bits) for kind, bits in self.KINDS]
        for key in keys:
            self.add(self.agent, key, status=0)
        self.hosts = Hosts(self.lab, *ROUTE, authorized=[keys[0].pub])
        for hops in (1, 3):
            there = self.forward(*ROUTE[:hops])
            self.assertEqual(there.listed(), [key.line for key in keys])
        for key in keys:
            there.sign_and_check(key)
        there.ssh_add('-d', keys[1].pub, status=0)
        self.assertEqual(self.agent.listed(), [keys[0].line, keys[2].line])
        there.ssh_add('-D', status=0)
        self.assertEqual(self.agent.listed(), [])


class Basics(OverHosts):
    """A key with destinations, whichever agent holds it and however it came there."""

    def start(self, *names, **more):
        """An agent, a key that every host of these accepts, and the hosts."""
        self.agent = self.start_agent()
        self.key = self.make_key('id')
        self.hosts = Hosts(self.lab, *names, authorized=[self.key.pub], kinds=HOST_KEYS, **more)

    def start_agent(self):
        return start_agent(self.lab)

    def give(self, *destinations, key=None):
        options = [word for destination in destinations for word in ('-h', destination)]
        if options:
            options += '-H', self.hosts.known_hosts
        self.add(self.agent, key or self.key, *options, status=0)

    def assert_login(self, *route, agent=None):
        self.assert_logs_in(agent or self.agent, *route)
        self.hosts.accepted(route[-1], self.key)

    def assert_lists(self, agent, *keys):
        self.assertEqual(agent.listed(), [key.line for key in keys])

    def test_one_host_is_permitted_and_another_refused_as_it_was_added_last(self):
        self.start('a', 'b')
        self.give('a')
        self.assert_refused('b')
        self.give('b')
        self.assert_login('b')
        self.assert_refused('a')
        self.give()
        self.assert_login('a')
        self.give('b')
        self.assert_refused('a')

    def test_what_is_hidden_at_a_hop_can_be_neither_used_nor_removed_there(self):
        self.start('a', 'b')
        free = self.make_key('free')
        self.give('a')
        self.give(key=free)
        there = self.forward('a')
        self.assert_lists(there, free)
        for key, permitted in ((free, True), (self.key, False)):
            with self.subTest(key.comment), there.connect() as connection:
                self.assertEqual(connection.sign(key.blob, b'data') is not None, permitted)
                reply = connection.request(remove_identity(key.blob))
                self.assertEqual(reply[0] != FAILURE, permitted)
        self.assert_lists(self.agent, self.key)
        self.assert_login('a')


class Destinations(Basics):
    def test_three_hops(self):
        self.start('a', 'b', 'c')
        self.give('a', 'a>b', 'b>c')
        self.assert_login('a', 'b', 'c')
        for route in (('b',), ('a', 'c'), ('a', 'b', 'a')):
            with self.subTest(route):
                self.assert_refused(*route)

    def test_the_user_counts_at_each_hop(self):
        self.start('a', 'b')
        self.give(f'{USER[:1]}*@a', f'a>{USER}@b')
        self.assert_login('a', 'b')
        # A user's name is in the request to sign alone: of the hops before, the agent knows the host only.
        self.give(f'not-{USER}@a', 'a>b')
        self.assertIn('agent refused operation', self.assert_refused('a'))

    def test_a_key_is_listed_at_the_hops_from_which_it_may_go_on_and_signs_no_file_there(self):
        self.start('a', 'b')
        free = self.make_key('free')
        self.give('a', 'a>b')
        self.give(key=free)
        at_a = self.forward('a')
        self.assert_lists(self.forward('a', 'b'), free)
        for agent in self.agent, at_a:
            self.assert_lists(agent, self.key, free)
            self.assertNotEqual(agent.ssh_keygen_sign(self.key).returncode, 0)
            with agent.connect() as connection:
                self.assertIsNone(connection.sign(self.key.blob, b'data'))
        self.give()
        for agent in self.agent, at_a:
            agent.sign_and_check(self.key)

    def test_a_host_is_known_by_the_authority_that_certified_it(self):
        self.start('a', 'b', 'c', certified={'a': 'a', 'b': 'b'})
        self.give('a')
        self.assert_login('a')
        self.assert_refused('b')  # certified by the same authority, but as b
        self.give('a', 'a>b', 'b>c')
        self.assert_login('a', 'b', 'c')
        self.assert_refused('a', 'c')

    def test_any_of_a_hosts_keys_will_do(self):
        self.start('a', 'b')
        both = self.lab.write('both', ''.join('a ' + line.split(' ', 1)[1] + '\n'
                                              for line in read(self.hosts.known_hosts).splitlines()))
        self.add(self.agent, self.key, '-h', 'a', '-H', both, status=0)
        self.assert_login('a')
        self.assert_login('b')  # shows a key that goes by the name of a


@ours
class ForwardingOfTpmKeys(Forwarding, SshTpmAdd, Scenario):
    pass


@slow
class ForwardingOfOrdinaryKeys(Forwarding, SshAdd, Scenario):
    pass


@ours
class OfTpmKeys(Destinations, SshTpmAdd, Scenario):
    def test_no_key_is_taken_over_a_forwarded_connection(self):
        self.start('a', 'b')
        self.give()
        there, other = self.forward('a'), self.make_key('other')
        self.assertNotEqual(self.add(there, other).returncode, 0)
        self.give('b')
        self.assertNotEqual(self.add(there, self.key).returncode, 0)  # and no destination is lost that way
        self.assert_lists(self.agent, self.key)
        self.assert_refused('a')


class OfOrdinaryKeys(Basics, SshAdd, Scenario):
    pass


@slow
class AllOfOrdinaryKeys(Destinations, SshAdd, Scenario):
    pass


class InAnotherAgent(SshAdd):
    """Keys that only an upstream agent can hold. It decides, by what ours tells it of the connection."""

    def make_key(self, name, *_):
        return super().make_key(name, 'ed25519', 256)

    def start_agent(self):
        self.other = SshAgent(self.lab)
        return Agent(self.lab, '--no-load', '-A', self.other.socket)


@slow
class AllThroughOurs(InAnotherAgent, Destinations, Scenario):
    pass


@ours
class ThroughOurs(InAnotherAgent, Basics, Scenario):
    def test_it_is_the_same_where_the_key_was_given_to_the_other_agent_itself(self):
        self.start('a', 'b', 'c')
        self.give('a')
        self.assert_lists(self.other, self.key)
        self.add(self.other, self.key, '-h', 'a', '-h', 'a>b', '-h', 'b>c', '-H', self.hosts.known_hosts, status=0)
        self.assert_login('a', 'b', 'c')
        self.assert_refused('b')
        self.assert_refused('a', 'c')

    def test_an_agent_that_comes_anew_is_told_where_a_connection_from_before_leads(self):
        self.start('a')
        free = self.make_key('free')
        self.give('a')
        there = self.forward('a')
        with there.connect() as connection, self.agent.connect() as here:
            for _ in range(2):
                self.other.kill()
                self.assertEqual(connection.list(), [])
                self.other.restart()
                self.give('a')
                self.give(key=free)
                self.assertEqual([blob for blob, _ in connection.list()], [free.blob])
                self.assertIsNone(connection.sign(self.key.blob, b'data'))
                self.assertEqual(len(here.list()), 2)  # this connection is not forwarded, so it sees both keys
        self.assert_login('a')

    def test_no_key_comes_to_an_agent_here_over_a_forwarded_connection_by_mistake(self):
        """ssh-agent takes new keys from afar; but they are subject to the same path as the others there."""
        self.start('a', 'b')
        self.give()
        there = self.forward('a')
        new = self.make_key('new')
        self.add(there, new, '-h', 'b', '-H', self.hosts.known_hosts)
        self.assertNotIn(new.line, there.listed())



if __name__ == '__main__':
    unittest.main()
