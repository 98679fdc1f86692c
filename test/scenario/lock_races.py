#!/usr/bin/env python3
"""Clients that lock and unlock at the same time: the agent is locked or not as if they had come in turn."""

import unittest

from agent import Agent, ours
from lab import Scenario
from protocol import frame, lock, readable, unlock
from swtpm import Swtpm

YES, NO = b'\x06', b'\x05'
OLD, NEW = b'the old password', b'the new password'


@ours
class LockRaces(Scenario):
    def setUp(self):
        super().setUp()
        Swtpm(self.lab)
        self.key = self.lab.make_key('x')
        self.agent = Agent(self.lab)

    def clients(self, count):
        connections = [self.agent.connect() for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.socket.close)
        return connections

    def answers(self, connection, count):
        return [connection.read_frame() for _ in range(count)]

    def test_a_password_checked_before_a_new_lock_does_not_undo_it(self):
        """Each check takes its time, and those of the others are under way when the first one's is over."""
        clients = self.clients(6)
        old, new = OLD, NEW
        for _ in range(5):  # whether a check ends just then is chance
            self.assertEqual(clients[0].request(lock(old)), YES)
            for client in clients:
                client.send(frame(unlock(old)) + frame(lock(new)))
            unlocked, locked = zip(*(self.answers(client, 2) for client in clients))
            for replies in (unlocked, locked):
                self.assertEqual(sorted(replies), [NO] * (len(clients) - 1) + [YES])
            for client in clients:
                self.assertEqual(client.list(), [])
            self.assertEqual(clients[1].request(unlock(old)), NO)
            self.assertEqual(clients[2].request(unlock(new)), YES)
            self.assertEqual(len(clients[0].list()), 1)
            old, new = new, old

    def test_of_two_who_lock_one_has_locked(self):
        one, other = self.clients(2)
        one.send(frame(lock(OLD)))
        other.send(frame(lock(NEW)))
        replies = [one.read_frame(), other.read_frame()]
        self.assertEqual(sorted(replies), [NO, YES])
        chosen, refused = (OLD, NEW) if replies[0] == YES else (NEW, OLD)
        self.assertEqual(one.request(unlock(refused)), NO)
        self.assertEqual(one.list(), [])
        self.assertEqual(other.request(unlock(chosen)), YES)

    def test_of_two_who_unlock_one_has_unlocked(self):
        one, other = self.clients(2)
        self.assertEqual(one.request(lock(OLD)), YES)
        for client in (one, other):
            client.send(frame(unlock(OLD)))
        self.assertEqual(sorted([one.read_frame(), other.read_frame()]), [NO, YES])
        self.assertEqual(len(one.list()), 1)

    def test_it_is_locked_from_when_that_was_asked_for(self):
        """And not only when the password's hash is made."""
        one, other = self.clients(2)
        earlier = 0
        for _ in range(5):
            one.send(frame(lock(OLD)))
            while other.list():
                pass
            earlier += not readable([one], 0)
            self.assertEqual(one.read_frame(), YES)
            self.assertEqual(other.request(unlock(OLD)), YES)
        self.assertGreater(earlier, 0)


if __name__ == '__main__':
    unittest.main()
