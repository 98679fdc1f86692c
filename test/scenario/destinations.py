#!/usr/bin/env python3
"""A key with destinations signs on the way to them and nowhere else, over two and three hops too."""

import unittest

from agent import ours
from giving import SshAdd, SshTpmAdd, start_agent
from lab import Scenario
from protocol import FAILURE, remove_identity
from sshd import USER, Forwarded, Hosts

HOST_KEYS = {'ecdsa': ('ecdsa', 256), 'ecdsa384': ('ecdsa', 384), 'ecdsa521': ('ecdsa', 521),
             'rsa': ('rsa', 2048)}


class Destinations:
    def start(self, *names, kinds=None, **more):
        """An agent, a key that every host of these accepts, and the hosts, with host keys of three types."""
        self.agent = self.start_agent()
        self.key = self.make_key('id')
        kinds = {'b': ('ecdsa', 256), 'c': ('rsa', 2048)} if kinds is None else kinds
        self.hosts = Hosts(self.lab, *names, authorized=[self.key.pub], kinds=kinds, **more)

    def start_agent(self):
        return start_agent(self.lab)

    def give(self, *destinations, key=None, status=0):
        options = [word for destination in destinations for word in ('-h', destination)]
        if options:
            options += '-H', self.hosts.known_hosts
        return self.add(self.agent, key or self.key, *options, status=status)

    def forward(self, *route, **more):
        there = Forwarded(self.hosts, self.agent, *route, **more)
        self.addCleanup(there.end)
        return there

    def assert_login(self, *route, **more):
        result = self.hosts.login(self.agent, *route, **more)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        self.hosts.accepted(route[-1], self.key)

    def assert_refused(self, *route, **more):
        result = self.hosts.login(self.agent, *route, **more)
        self.assertEqual((result.returncode, result.stdout), (255, ''), result.stderr)
        self.assertIn('Permission denied (publickey)', result.stderr)
        return result.stderr

    def assert_lists(self, agent, *keys):
        self.assertEqual(agent.listed(), [key.line for key in keys])

    def test_one_host_is_permitted_and_another_refused(self):
        self.start('a', 'b')
        self.give('b')
        self.assert_login('b')
        self.assert_refused('a')

    def test_without_destinations_all_hosts_are_permitted(self):
        self.start('a', 'b')
        self.give()
        for route in (('a',), ('b',), ('a', 'b'), ('b', 'a')):
            self.assert_login(*route)

    def test_adding_again_replaces_the_destinations(self):
        self.start('a', 'b')
        self.give('a')
        self.give('b')
        self.assert_login('b')
        self.assert_refused('a')
        self.give()
        self.assert_login('a')
        self.give('b')
        self.assert_refused('a')

    def test_a_host_proves_itself_with_a_key_of_any_type(self):
        self.start(*HOST_KEYS, 'ed25519', 'other', kinds=HOST_KEYS)
        self.give(*HOST_KEYS, 'ed25519')
        for name in (*HOST_KEYS, 'ed25519'):
            with self.subTest(name):
                self.assert_login(name)
        self.assert_refused('other')

    def test_a_user_is_permitted_and_another_refused(self):
        self.start('a')
        for pattern in (USER, '*', USER[:1] + '*', '?' * len(USER)):
            with self.subTest(pattern):
                self.give(f'{pattern}@a')
                self.assert_login('a')
        for pattern in ('not-' + USER, USER + '?', USER[:-1]):
            with self.subTest(pattern):
                self.give(f'{pattern}@a')
                self.assertIn('agent refused operation', self.assert_refused('a'))

    def test_the_second_host_is_permitted_by_way_of_the_first_alone(self):
        self.start('a', 'b', 'c')
        self.give('a', 'c', 'a>b')
        self.assert_login('a', 'b')
        self.assert_login('c')
        self.assert_refused('b')
        self.assert_refused('c', 'b')
        self.assert_refused('a', 'c')

    def test_a_way_that_begins_nowhere_leads_nowhere(self):
        self.start('a', 'b')
        self.give('a>b')
        self.assert_refused('a')
        self.assert_refused('b')

    def test_three_hops(self):
        self.start('a', 'b', 'c')
        self.give('a', 'a>b', 'b>c')
        self.assert_login('a', 'b', 'c')
        for route in (('c',), ('b',), ('a', 'c'), ('a', 'b', 'a'), ('a', 'a'), ('a', 'b', 'b')):
            with self.subTest(route):
                self.assert_refused(*route)

    def test_the_third_hop_is_refused_when_only_two_are_permitted(self):
        self.start('a', 'b', 'c')
        self.give('a', 'a>b', 'a>c')
        self.assert_login('a', 'b')
        self.assert_refused('a', 'b', 'c')

    def test_the_way_may_go_in_circles_if_each_step_is_permitted(self):
        self.start('a', 'b')
        self.give('a', 'a>b', 'b>a')
        self.assert_login('a', 'b', 'a', 'b')
        self.assert_refused('a', 'b', 'b')

    def test_the_user_counts_at_each_hop(self):
        self.start('a', 'b')
        self.give('a', f'a>{USER}@b')
        self.assert_login('a', 'b')
        self.give('a', f'a>not-{USER}@b')
        self.assertIn('agent refused operation', self.assert_refused('a', 'b'))
        # A user's name is in the request to sign alone: of the hops before, the agent knows the host only.
        self.give(f'not-{USER}@a', 'a>b')
        self.assertIn('agent refused operation', self.assert_refused('a'))

    def test_a_key_is_listed_at_the_hops_from_which_it_may_go_on(self):
        self.start('a', 'b', 'c')
        free = self.make_key('free', 'rsa', 2048)
        self.give('a', 'a>b')
        self.give(key=free)
        self.assert_lists(self.agent, self.key, free)
        self.assert_lists(self.forward('a'), self.key, free)
        self.assert_lists(self.forward('a', 'b'), free)
        self.give('a')
        self.assert_lists(self.forward('a'), free)

    def test_what_is_hidden_at_a_hop_can_be_neither_used_nor_removed_there(self):
        self.start('a')
        free = self.make_key('free')
        self.give('a')
        self.give(key=free)
        there = self.forward('a')
        for key, permitted in ((free, True), (self.key, False)):
            with self.subTest(key.comment), there.connect() as connection:
                self.assertEqual(connection.sign(key.blob, b'data') is not None, permitted)
                reply = connection.request(remove_identity(key.blob))
                self.assertEqual(reply[0] != FAILURE, permitted)
        self.assert_lists(self.agent, self.key)
        self.assert_login('a')

    def test_here_it_is_listed_but_signs_no_file(self):
        self.start('a')
        self.give('a')
        self.assert_lists(self.agent, self.key)
        self.assertNotEqual(self.agent.ssh_keygen_sign(self.key).returncode, 0)
        with self.agent.connect() as connection:
            self.assertIsNone(connection.sign(self.key.blob, b'data'))
        self.assert_login('a')
        self.give()
        self.agent.sign_and_check(self.key)

    def test_where_it_is_listed_on_the_way_it_signs_no_file_either(self):
        self.start('a', 'b')
        self.give('a', 'a>b')
        there = self.forward('a')
        self.assert_lists(there, self.key)
        self.assertNotEqual(there.ssh_keygen_sign(self.key).returncode, 0)
        self.give()
        there.sign_and_check(self.key)

    def test_a_socket_brought_to_a_host_by_other_means_than_agent_forwarding(self):
        """`ssh -R` moves bytes: nothing tells the agent of host a, so what is permitted from there is not."""
        self.start('a', 'b')
        self.give('a', 'a>b')
        brought = self.lab.path('brought.sock')
        there = self.forward('a', options=('-o', 'ForwardAgent=no', '-R', f'{brought}:{self.agent.socket}'))
        self.assertEqual(there.socket, '')
        there.socket = brought
        self.assertNotEqual(there.ssh_keygen_sign(self.key).returncode, 0)
        self.assertEqual(self.hosts.login(there, 'b').returncode, 255)
        self.give()
        self.assertEqual(self.hosts.login(there, 'b').returncode, 0)

    def test_a_host_is_known_by_the_authority_that_certified_it(self):
        self.start('a', 'b', 'c', certified=('a', 'b'))
        self.give('a')
        self.assert_login('a')
        self.assert_refused('b')  # certified by the same authority, but as b
        self.assert_refused('c')
        self.give('a', 'a>b', 'b>c')
        self.assert_login('a', 'b', 'c')
        self.assert_refused('b')
        self.assert_refused('a', 'c')

    def test_a_key_of_which_no_host_is_known_is_not_added(self):
        self.start('a')
        for destination in ('stranger', 'a>stranger', 'stranger>a'):
            with self.subTest(destination):
                result = self.give('a', destination, status=None)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn('stranger', result.stderr)
                self.assert_lists(self.agent)

    def test_any_of_a_hosts_keys_will_do(self):
        self.start('a', 'b')
        with open(self.hosts.known_hosts, encoding='utf-8') as file:
            lines = file.read().splitlines()
        both = self.lab.write('both', ''.join('a ' + line.split(' ', 1)[1] + '\n' for line in lines))
        self.add(self.agent, self.key, '-h', 'a', '-H', both, status=0)
        self.assert_login('a')
        self.assert_login('b')  # shows a key that goes by the name of a


class WithSshAdd(Destinations, SshAdd, Scenario):
    pass


@ours
class WithSshTpmAdd(Destinations, SshTpmAdd, Scenario):
    def test_no_key_is_taken_over_a_forwarded_connection(self):
        self.start('a', 'b')
        self.give()
        there, other = self.forward('a'), self.make_key('other')
        result = self.add(there, other)
        self.assertNotEqual(result.returncode, 0)
        self.give('b')
        self.assertNotEqual(self.add(there, self.key).returncode, 0)  # and no destination is lost that way
        self.assert_lists(self.agent, self.key)
        self.assert_refused('a')


if __name__ == '__main__':
    unittest.main()
