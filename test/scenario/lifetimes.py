#!/usr/bin/env python3
"""A key that was added for a time is gone within a second of its end, and not before."""

import time
import unittest

from agent import Agent
from lab import Scenario, wait_until
from protocol import add_identity, lifetime, remove_identity
from softkey import SoftKey
from swtpm import Swtpm


class Lifetimes(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def soft(self, name='soft'):
        return SoftKey(self.lab, self.lab.path(name), comment=name)

    def add(self, connection, soft, constraints=b''):
        request = add_identity(soft.agent_fields(), soft.key.comment.encode(), constraints)
        self.assertEqual(connection.request(request), b'\x06')

    def time_of_end(self, agent, blob):
        """Waits until the key is no longer listed. When it was asked for a list that still had it, and when it was
        surely gone."""
        there = [0]
        with agent.connect() as connection:
            def has_gone():
                asked = time.monotonic()
                gone = blob not in [listed for listed, _ in connection.list()]
                if not gone:
                    there.append(asked)
                return gone
            wait_until(has_gone, 'the end of the key', 20)
            return there[-1], time.monotonic()

    def assert_ends_after(self, seconds, agent, blob, before, added):
        """`before` and `added` are when the key had surely not, and surely been added."""
        there, gone = self.time_of_end(agent, blob)
        self.assertGreater(gone - before, seconds - 1)  # OpenSSH's agent counts whole seconds of the clock
        self.assertLess(there - added, seconds + 1)

    def test_a_key_ends_with_its_time_and_others_stay(self):
        agent = Agent(self.lab)
        short, long, lasting = (self.soft(name) for name in ('short', 'long', 'lasting'))
        agent.ssh_add(lasting.path, status=0)
        result = agent.ssh_add('-t', '1h', long.path, status=0)
        self.assertIn('Lifetime set to 3600 seconds', result.stderr)
        before = time.monotonic()
        with agent.connect() as connection:  # a program would take some of the two seconds to start
            self.add(connection, short, lifetime(2))
            added = time.monotonic()
            self.assertEqual(len(connection.list()), 3)
        self.assert_ends_after(2, agent, short.key.blob, before, added)
        self.assertEqual(agent.listed(), [lasting.key.line, long.key.line])
        with agent.connect() as connection:
            self.assertIsNone(connection.sign(short.key.blob, b'data'))
            self.assertEqual(connection.request(b'\x12' + short.key.blob), b'\x05')
        agent.sign_and_check(long.key)

    def test_it_ends_unseen_too(self):
        """Nobody asks for a list meanwhile: a sign request is the first to come."""
        agent = Agent(self.lab)
        soft = self.soft()
        agent.ssh_add('-t', '1', soft.path, status=0)
        with agent.connect() as connection:
            wait_until(lambda: connection.sign(soft.key.blob, b'data') is None, 'the end of the key', 10)
            self.assertEqual(connection.list(), [])

    def test_a_key_removed_before_its_end_may_come_back_for_good(self):
        agent = Agent(self.lab)
        soft, mark = self.soft(), self.soft('mark')
        with agent.connect() as connection:  # before the key ends by itself
            self.add(connection, soft, lifetime(1))
            self.assertEqual(connection.request(remove_identity(soft.key.blob)), b'\x06')
            self.add(connection, soft)
        agent.ssh_add('-t', '2', mark.path, status=0)  # ends after the first would have
        self.time_of_end(agent, mark.key.blob)
        self.assertEqual(agent.listed(), [soft.key.line])

    def test_adding_without_a_time_makes_it_permanent(self):
        agent = Agent(self.lab)
        soft, mark = self.soft(), self.soft('mark')
        agent.ssh_add('-t', '1', soft.path, status=0)
        agent.ssh_add(soft.path, status=0)
        agent.ssh_add('-t', '2', mark.path, status=0)
        self.time_of_end(agent, mark.key.blob)
        self.assertEqual(agent.listed(), [soft.key.line])

    def test_adding_with_another_time_counts_from_then_on(self):
        agent = Agent(self.lab)
        soft = self.soft()
        agent.ssh_add('-t', '1h', soft.path, status=0)
        before = time.monotonic()
        agent.ssh_add('-t', '2', soft.path, status=0)
        self.assert_ends_after(2, agent, soft.key.blob, before, time.monotonic())

    def test_the_agent_may_have_a_time_for_keys_that_come_without_one(self):
        agent = Agent(self.lab, '-t', '2')
        soft, long = self.soft(), self.soft('long')
        agent.ssh_add('-t', '1h', long.path, status=0)
        before = time.monotonic()
        agent.ssh_add(soft.path, status=0)
        self.assert_ends_after(2, agent, soft.key.blob, before, time.monotonic())
        self.assertEqual(agent.listed(), [long.key.line])

    def test_the_longest_time_is_one(self):
        agent = Agent(self.lab)
        soft = self.soft()
        with agent.connect() as connection:
            request = add_identity(soft.agent_fields(), constraints=lifetime(0xffffffff))
            self.assertEqual(connection.request(request), b'\x06')
            self.assertEqual(len(connection.list()), 1)
            self.assertIsNotNone(connection.sign(soft.key.blob, b'data'))

    def test_a_key_does_not_end_later_because_it_is_used(self):
        agent = Agent(self.lab)
        soft = self.soft()
        before = time.monotonic()
        agent.ssh_add('-t', '2', soft.path, status=0)
        added = time.monotonic()
        with agent.connect() as connection:
            while connection.sign(soft.key.blob, b'data') is not None:
                self.assertLess(time.monotonic() - added, 5)
        self.assert_ends_after(2, agent, soft.key.blob, before, added)


if __name__ == '__main__':
    unittest.main()
