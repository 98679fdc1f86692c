#!/usr/bin/env python3
"""Destinations of keys in an agent behind ours hold as if clients were connected to it themselves."""

import os
import unittest

import destinations
import giving
from agent import Agent
from hostkey import HostKey
from lab import Scenario
from protocol import (EXTENSION, EXTENSION_FAILURE, SESSION_BIND, SUCCESS, extension, frame, session_bind,
                      string)
from softkey import SoftKey
from sshd import Forwarded, Hosts
from swtpm import Swtpm
from upstream import LIST, FakeAgent, SshAgent, identities


class ThroughOurs(destinations.Destinations, giving.SshAdd, Scenario):
    """All that a user of ssh-agent knows, with keys that only the one behind ours can hold."""

    def make_key(self, name, *_):
        return super().make_key(name, 'ed25519', 256)

    def start_agent(self):
        self.other = SshAgent(self.lab)
        return Agent(self.lab, '--no-load', '-A', self.other.socket)

    def test_the_key_is_in_the_other_agent(self):
        self.start('a')
        self.give('a')
        self.assert_lists(self.other, self.key)

    def test_it_is_the_same_where_the_key_was_given_to_the_other_agent_itself(self):
        self.start('a', 'b', 'c')
        self.add(self.other, self.key, '-h', 'a', '-h', 'a>b', '-H', self.hosts.known_hosts, status=0)
        self.assert_login('a', 'b')
        self.assert_refused('b')
        self.assert_refused('a', 'c')
        self.assert_refused('a', 'b', 'c')

    def test_no_key_comes_to_an_agent_here_over_a_forwarded_connection_by_mistake(self):
        """ssh-agent takes new keys from afar; but they are subject to the same path as the others there."""
        self.start('a', 'b')
        self.give()
        there = self.forward('a')
        new = self.make_key('new')
        self.add(there, new, '-h', 'b', '-H', self.hosts.known_hosts)
        self.assertNotIn(new.line, there.listed())


class LateLinks(Scenario):
    """The other agent comes, or comes back, when a connection has been bound to sessions long before."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.other = SshAgent(self.lab)
        self.agent = Agent(self.lab, '--no-load', '-A', self.other.socket)
        login, self.on, self.ends = (self.soft(name) for name in ('login', 'on', 'ends'))
        self.hosts = Hosts(self.lab, 'a', 'b', authorized=[login.pub, self.on.pub])
        self.login = login

    def soft(self, name):
        return SoftKey(self.lab, os.path.join(self.lab.make_folder('soft'), name), 'ed25519', 256, name).key

    def fill(self):
        """One key to log in with, one that may go on from a, one that ends there."""
        self.other.ssh_add('-q', self.login.path, status=0)
        for key, ways in ((self.on, ('a', 'a>b')), (self.ends, ('a',))):
            options = [word for way in ways for word in ('-h', way)]
            self.other.ssh_add('-q', *options, '-H', self.hosts.known_hosts, key.path, status=0)

    def forward(self):
        there = Forwarded(self.hosts, self.agent, 'a')
        self.addCleanup(there.end)
        return there

    def assert_bound(self, connection):
        """As is to be seen from host a."""
        self.assertEqual([blob for blob, _ in connection.list()], [self.login.blob, self.on.blob])
        self.assertIsNone(connection.sign(self.on.blob, b'no login'))
        self.assertIsNone(connection.sign(self.ends.blob, b'no login'))
        self.assertIsNotNone(connection.sign(self.login.blob, b'no login'))

    def test_a_link_made_late_knows_where_the_connection_leads(self):
        self.fill()
        there = self.forward()
        self.other.kill()
        with there.connect() as connection:
            self.assertEqual(connection.list(), [])
            self.other.restart()
            self.fill()
            self.assert_bound(connection)

    def test_so_does_one_made_anew_each_time(self):
        self.fill()
        there = self.forward()
        with there.connect() as connection:
            self.assert_bound(connection)
            for _ in range(3):
                self.other.kill()
                self.other.restart()
                self.fill()
                self.assert_bound(connection)
        result = self.hosts.login(there, 'b')
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        self.hosts.accepted('b', self.login)

    def test_each_connection_has_its_own_sessions(self):
        self.fill()
        with self.agent.connect() as here, self.forward().connect() as there:
            for _ in range(2):
                self.assertEqual([blob for blob, _ in here.list()],
                                 [self.login.blob, self.on.blob, self.ends.blob])
                self.assert_bound(there)

    def test_a_login_over_a_link_made_anew(self):
        """Of a key that is for the host alone: what ssh binds counts there, too."""
        self.fill()
        self.other.ssh_add('-q', '-d', self.login.pub, status=0)
        for _ in range(2):
            result = self.hosts.login(self.agent, 'a')
            self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
            result = self.hosts.login(self.agent, 'b')
            self.assertEqual(result.returncode, 255)
            self.other.kill()
            self.other.restart()
            self.fill()
            self.other.ssh_add('-q', '-d', self.login.pub, status=0)


class Replayed(Scenario):
    """What the other agent is told, message by message."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.links = []  # the requests on each connection
        self.other = FakeAgent(self, self.behave)
        self.agent = Agent(self.lab, '-A', self.other.socket)
        self.host, self.second = HostKey(self.lab, 'host'), HostKey(self.lab, 'second')
        self.ending = False

    def behave(self, peer):
        link = []
        self.links.append(link)
        for request in peer.requests():
            link.append(request)
            ending = self.ending  # before the answer, after which the test goes on
            peer.send(frame(identities() if request == LIST else bytes([SUCCESS])))
            if ending:
                return

    def bind(self, connection, *bind, expected=SUCCESS, **more):
        request = session_bind(*bind, **more)
        self.assertEqual(connection.request(request), bytes([expected]))
        return request

    def test_binds_come_first_as_they_were_and_in_their_order(self):
        with self.agent.connect() as connection:
            first = self.bind(connection, self.host, b'first', True)
            self.assertEqual(self.links, [])  # not before it is needed
            connection.list()
            second = self.bind(connection, self.second, b'second', False)
            connection.list()
            connection.list()
        self.assertEqual(self.links, [[first, LIST, second, LIST, LIST]])

    def test_they_come_again_on_a_link_made_anew(self):
        with self.agent.connect() as connection:
            binds = [self.bind(connection, self.host, b'first', True),
                     self.bind(connection, self.second, b'second', False)]
            connection.list()
            self.ending = True
            connection.list()
            self.ending = False
            connection.list()
        self.assertEqual(self.links, [[*binds, LIST, LIST], [*binds, LIST]])

    def test_the_same_bind_again_is_told_once(self):
        with self.agent.connect() as connection:
            bind = self.bind(connection, self.host, b'first', True)
            self.bind(connection, self.host, b'first', True)
            connection.list()
        self.assertEqual(self.links, [[bind, LIST]])

    def test_sixteen_binds_are_told_and_a_seventeenth_is_a_refusal(self):
        with self.agent.connect() as connection:
            binds = [self.bind(connection, self.host, b'session %d' % number, True) for number in range(16)]
            self.bind(connection, self.host, b'one more', True, expected=EXTENSION_FAILURE)
            connection.list()
        self.assertEqual(self.links, [[*binds, extension(SESSION_BIND), LIST]])

    def test_of_a_refused_bind_it_is_told_that_there_was_one(self):
        """A connection is suspect from then on; of what was wrong with it, nothing is passed on."""
        broken = bytes([EXTENSION]) + string(SESSION_BIND) + b'broken'
        for number, request in enumerate((session_bind(self.host, b'id', signature=bytes(80)), broken)):
            with self.subTest(number), self.agent.connect() as connection:
                for _ in range(2):
                    self.assertEqual(connection.request(request), bytes([EXTENSION_FAILURE]))
                connection.list()
                self.assertEqual(self.links.pop(), [extension(SESSION_BIND), LIST])

    def test_another_agents_refusal_of_a_bind_changes_nothing_here(self):
        def refuse(peer):
            for request in peer.requests():
                peer.send(frame(identities((string(b'x'), b'x')) if request == LIST else b'\x05'))
        self.other.behaviour = refuse
        with self.agent.connect() as connection:
            self.bind(connection, self.host, b'first', True)
            self.assertEqual(connection.list(), [(string(b'x'), 'x')])


if __name__ == '__main__':
    unittest.main()
