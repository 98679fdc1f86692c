#!/usr/bin/env python3
"""tpm-try-pin@ssh-tpm: the agent has the TPM try a PIN, and remembers it for no other key than it was for."""

import os
import unittest

from agent import Agent, Askpass, ours
from lab import Scenario
from protocol import KEPT, NOT_KEPT, SESSION_BIND, WRONG, extension, lock, read_pin_outcome, try_pin, unlock
from softkey import SoftKey
from swtpm import Probe, Swtpm

PIN, OTHER = 'correct horse 42', b'another one'


@ours
class TryPin(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.askpass = Askpass(self.lab)  # which has no answer

    def agent(self, *options, **more):
        return Agent(self.lab, *options, env=self.askpass.env, **more)

    def outcome(self, connection, key, pin):
        return read_pin_outcome(connection.request(try_pin(key.blob, pin)))

    def test_a_key_without_a_pin_takes_any_and_never_asks_for_one(self):
        key = self.lab.make_key('x')
        agent = self.agent()
        with agent.connect() as connection:
            for pin in (OTHER, b''):
                self.assertEqual(self.outcome(connection, key, pin), KEPT)
                self.assertIsNotNone(connection.sign(key.blob, b'data'))
        agent.sign_and_check(key)
        self.assertEqual(self.askpass.questions(), [])
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_nor_does_a_key_that_ssh_add_gave(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        agent = self.agent()
        agent.ssh_add(soft.path, status=0)
        with agent.connect() as connection:
            self.assertEqual(self.outcome(connection, soft.key, OTHER), KEPT)
        agent.sign_and_check(soft.key)
        self.assertEqual(self.askpass.questions(), [])

    def test_a_key_without_a_pin_does_not_trouble_the_tpm(self):
        key = self.lab.make_key('x')
        probe = Probe(self.tpm)
        agent = self.agent(tcti=probe.tcti)
        probe.take()
        with agent.connect() as connection:
            self.assertEqual(self.outcome(connection, key, OTHER), KEPT)
        self.assertEqual(probe.take(), [])

    def test_the_right_pin_is_known_from_then_on(self):
        key, second = self.lab.make_key('x', pin=PIN), self.lab.make_key('y', pin=PIN)
        agent = self.agent()
        with agent.connect() as connection:
            self.assertEqual(self.outcome(connection, key, PIN.encode()), KEPT)
            self.assertIsNotNone(connection.sign(key.blob, b'data'))
            self.assertEqual(self.askpass.questions(), [])
            self.assertIsNone(connection.sign(second.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_a_wrong_pin_is_not_kept_and_one_that_was_known_is_forgotten(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent()
        with agent.connect() as connection:
            self.assertEqual(self.outcome(connection, key, PIN.encode()), KEPT)
            self.assertEqual(self.outcome(connection, key, OTHER), WRONG)
            told = agent.process.wait_line("a wrong PIN for key 'x'")
            self.assertIn(f'(pid {os.getpid()})', told)
            self.assertIsNone(connection.sign(key.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), 1)
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_without_a_cache_the_right_pin_is_not_kept(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent('--no-cache')
        with agent.connect() as connection:
            self.assertEqual(self.outcome(connection, key, PIN.encode()), NOT_KEPT)
            self.assertIsNone(connection.sign(key.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_it_is_refused_where_others_could_guess(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent()
        stranger = SoftKey(self.lab, self.lab.path('soft'))
        with agent.connect() as owner, agent.connect() as bound:
            self.assertIsNone(self.outcome(owner, stranger.key, PIN.encode()))  # not a key of the agent
            self.assertEqual(bound.request(extension(SESSION_BIND)), b'\x1c')   # from afar, or so it tried
            self.assertIsNone(self.outcome(bound, key, PIN.encode()))
            self.assertEqual(owner.request(lock(b'x')), b'\x06')
            self.assertNotEqual(owner.request(try_pin(key.blob, PIN.encode()))[0], 29)
            self.assertEqual(owner.request(unlock(b'x')), b'\x06')
            self.assertIsNone(owner.sign(key.blob, b'data'))
        self.assertEqual(self.tpm.wrong_tries(), 0)


if __name__ == '__main__':
    unittest.main()
