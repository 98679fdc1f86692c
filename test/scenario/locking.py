#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-add -x locks the agent until -X brings the same password; guessing slows down the guesser alone."""

import time
import unittest

from agent import REFERENCE, Agent, Askpass, ours
from keys_once import KeysOnce
from lab import DEADLINE, wait_until
from protocol import CONFIRM, add_identity, frame, lifetime, lock, readable, unlock

PASSWORD, PIN = 'open sesame', 'correct horse 42'


class Locking(KeysOnce):
    KEYS = {} if REFERENCE else {'x': {'pin': PIN}}
    SOFT = ('soft', 'confirmed', 'short-lived')

    def setUp(self):
        super().setUp()
        self.dialogues = 0

    def ssh_add(self, agent, option, *passwords, **more):
        """ssh-add -x and -X ask for a password: -x twice."""
        self.dialogues += 1
        askpass = Askpass(self.lab, *passwords, name=f'askpass{self.dialogues}')
        return self.lab.run('ssh-add', option, env={**askpass.env, 'SSH_AUTH_SOCK': agent.socket}, **more)

    def test_ssh_add_locks_and_unlocks(self):
        agent, soft = Agent(self.lab), self.soft('soft')
        agent.ssh_add(soft.path, status=0)
        self.assertIn('Agent locked.', self.ssh_add(agent, '-x', PASSWORD, PASSWORD, status=0).stderr)
        self.assertEqual(agent.ssh_add('-l').stdout, 'The agent has no identities.\n')
        self.assertNotEqual(agent.ssh_keygen_sign(soft.key).returncode, 0)
        self.assertEqual(agent.ssh_add(soft.path).returncode, 1)
        self.assertEqual(agent.ssh_add('-d', soft.path).returncode, 1)
        self.assertEqual(self.ssh_add(agent, '-x', PASSWORD, PASSWORD).returncode, 1)
        self.assertEqual(self.ssh_add(agent, '-X', 'wrong').returncode, 1)
        self.assertEqual(agent.ssh_add('-l').stdout, 'The agent has no identities.\n')
        self.assertIn('Agent unlocked.', self.ssh_add(agent, '-X', PASSWORD, status=0).stderr)
        self.assertEqual(agent.listed(), [soft.key.line])
        agent.sign_and_check(soft.key)
        self.assertEqual(self.ssh_add(agent, '-X', PASSWORD).returncode, 1)

    def test_it_can_be_locked_again_with_another_password(self):
        with Agent(self.lab).connect() as connection:
            for password, wrong in (('ä'.encode() * 100, ()), (b'x' * 4000, (b'x' * 4000 + b' ',))):
                self.assertEqual(connection.request(lock(password)), b'\x06')
                for each in wrong:
                    self.assertEqual(connection.request(unlock(each)), b'\x05')
                self.assertEqual(connection.request(unlock(password)), b'\x06')

    def test_all_connections_are_locked_those_of_before_too(self):
        agent, soft = Agent(self.lab), self.soft('soft')
        with agent.connect() as one, agent.connect() as two:
            self.assertEqual(one.request(add_identity(soft.agent_fields())), b'\x06')
            self.assertEqual(len(two.list()), 1)
            self.assertEqual(one.request(lock(b'x')), b'\x06')
            with agent.connect() as three:
                for connection in (one, two, three):
                    self.assertEqual(connection.list(), [])
                    self.assertIsNone(connection.sign(soft.key.blob, b'data'))
                    self.assertEqual(connection.request(add_identity(soft.agent_fields())), b'\x05')
                self.assertEqual(three.request(unlock(b'x')), b'\x06')
            for connection in (one, two):
                self.assertEqual(len(connection.list()), 1)

    def test_a_lock_ends_pins_and_no_terms_and_its_password_is_not_in_the_log(self):
        """A lifetime goes on meanwhile, and who had to be asked is asked."""
        key, askpass = None if REFERENCE else self.take('x'), Askpass(self.lab, *([] if REFERENCE else [PIN, PIN]))
        agent = Agent(self.lab, *(() if REFERENCE else ('-d',)), env=askpass.env)
        confirmed, ending = self.soft('confirmed'), self.soft('short-lived')
        with agent.connect() as connection:
            if key:
                for _ in range(2):
                    self.assertIsNotNone(connection.sign(key.blob, b'data'))
                self.assertEqual(len(askpass.questions()), 1)
            for soft, constraints in ((confirmed, CONFIRM), (ending, lifetime(1))):
                request = add_identity(soft.agent_fields(), constraints=constraints)
                self.assertEqual(connection.request(request), b'\x06')
            self.assertEqual(connection.request(lock(PASSWORD.encode())), b'\x06')
            self.assertEqual(connection.request(unlock(b'a wrong one')), b'\x05')
            if key:
                self.assertIsNone(connection.sign(key.blob, b'data'))
                self.assertEqual(len(askpass.questions()), 1)
                agent.process.wait_line('has reached the end of its lifetime')
            else:
                time.sleep(2.1)  # it does not tell
            self.assertEqual(connection.request(unlock(PASSWORD.encode())), b'\x06')
            self.assertEqual([blob for blob, _ in connection.list()],
                             [each.blob for each in (key, confirmed.key) if each])
            if key:
                self.assertIsNotNone(connection.sign(key.blob, b'data'))
                self.assertEqual(len(askpass.questions()), 2)
            asked = len(askpass.questions())
            self.assertIsNone(connection.sign(confirmed.key.blob, b'data'))
            self.assertEqual(len(askpass.questions()), asked + 1)
        for secret in (PASSWORD, 'a wrong one'):
            self.assertNotIn(secret, agent.log())

    @ours
    def test_who_guesses_waits_longer_each_time_and_nobody_else_does(self):
        """The guesser's next try is checked before those of newcomers: they are first because they wait less."""
        agent, guesses = Agent(self.lab), 50
        with agent.connect() as guesser, agent.connect() as other:
            self.assertEqual(other.request(lock(PASSWORD.encode())), b'\x06')
            guesser.send(frame(unlock(b'a guess')) * guesses)

            def two_newcomers_are_first():
                nonlocal guesses
                self.assertEqual(guesser.read_frame(), b'\x05')
                guesses -= 1
                self.assertGreater(guesses, 0)
                for _ in range(2):
                    with agent.connect() as newcomer:
                        self.assertEqual(newcomer.request(unlock(b'a guess')), b'\x05')
                        self.assertEqual(newcomer.list(), [])
                    if readable([guesser], 0):
                        return False
                return True
            # On a busy machine, where a password takes a second, the delays have to grow for long.
            wait_until(two_newcomers_are_first, 'a delay with room for two short ones', 3 * DEADLINE)
            for _ in range(2):  # two guessers who hang up
                with agent.connect() as leaving:
                    leaving.send(frame(unlock(b'a guess')) * 3)
            self.assertEqual(other.request(unlock(PASSWORD.encode())), b'\x06')
            self.assertEqual(other.request(b'\x0b')[0], 12)
            while readable([guesser], 0):
                guesser.read_frame()
                guesses -= 1
            self.assertGreater(guesses, 0)


if __name__ == '__main__':
    unittest.main()
