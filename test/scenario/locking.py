#!/usr/bin/env python3
"""ssh-add -x locks the agent until -X brings the same password; guessing slows down the guesser alone."""

import statistics
import threading
import time
import unittest

from agent import REFERENCE, Agent, Askpass, ours
from lab import Scenario
from protocol import CONFIRM, add_identity, frame, lock, remove_identity, sign_request, unlock
from softkey import SoftKey
from swtpm import Swtpm

PASSWORD, PIN = 'open sesame', 'correct horse 42'


class Locking(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.soft = SoftKey(self.lab, self.lab.path('soft'))

    def ssh_add(self, agent, option, *passwords, **more):
        """ssh-add -x and -X ask for a password: -x twice."""
        askpass = Askpass(self.lab, *passwords, name=f'askpass{len(self.lab.processes)}{time.monotonic_ns()}')
        return self.lab.run('ssh-add', option, env={**askpass.env, 'SSH_AUTH_SOCK': agent.socket}, **more)

    def test_ssh_add_locks_and_unlocks(self):
        agent = Agent(self.lab)
        agent.ssh_add(self.soft.path, status=0)
        result = self.ssh_add(agent, '-x', PASSWORD, PASSWORD, status=0)
        self.assertIn('Agent locked.', result.stderr)
        self.assertEqual(agent.ssh_add('-l').stdout, 'The agent has no identities.\n')
        self.assertNotEqual(agent.ssh_keygen_sign(self.soft.key).returncode, 0)
        self.assertEqual(agent.ssh_add(self.soft.path).returncode, 1)
        self.assertEqual(agent.ssh_add('-d', self.soft.path).returncode, 1)
        self.assertEqual(self.ssh_add(agent, '-x', PASSWORD, PASSWORD).returncode, 1)
        self.assertEqual(self.ssh_add(agent, '-X', 'wrong').returncode, 1)
        self.assertEqual(agent.ssh_add('-l').stdout, 'The agent has no identities.\n')
        result = self.ssh_add(agent, '-X', PASSWORD, status=0)
        self.assertIn('Agent unlocked.', result.stderr)
        self.assertEqual(agent.listed(), [self.soft.key.line])
        agent.sign_and_check(self.soft.key)
        self.assertEqual(self.ssh_add(agent, '-X', PASSWORD).returncode, 1)

    def test_it_can_be_locked_again_with_another_password(self):
        agent = Agent(self.lab)
        with agent.connect() as connection:
            for password in (b'one', b'two', 'ä'.encode() * 100, b'x' * 4000):
                self.assertEqual(connection.request(lock(password)), b'\x06')
                self.assertEqual(connection.request(unlock(password + b' ')), b'\x05')
                self.assertEqual(connection.request(unlock(password)), b'\x06')

    def test_all_connections_are_locked_those_of_before_too(self):
        agent = Agent(self.lab)
        agent.ssh_add(self.soft.path, status=0)
        with agent.connect() as one, agent.connect() as two:
            self.assertEqual(len(two.list()), 1)
            self.assertEqual(one.request(lock(b'x')), b'\x06')
            with agent.connect() as three:
                for connection in (one, two, three):
                    self.assertEqual(connection.list(), [])
                    self.assertIsNone(connection.sign(self.soft.key.blob, b'data'))
                    for request in (add_identity(self.soft.agent_fields()),
                                    remove_identity(self.soft.key.blob), b'\x13', b'\x09',
                                    lock(b'x'), unlock(b'')):
                        self.assertEqual(connection.request(request), b'\x05')
                self.assertEqual(three.request(unlock(b'x')), b'\x06')
            for connection in (one, two):
                self.assertEqual(len(connection.list()), 1)

    def test_what_ends_while_locked_has_ended(self):
        agent = Agent(self.lab)
        lasting = SoftKey(self.lab, self.lab.path('lasting'))
        agent.ssh_add('-t', '1', self.soft.path, status=0)
        agent.ssh_add(lasting.path, status=0)
        with agent.connect() as connection:
            self.assertEqual(connection.request(lock(b'x')), b'\x06')
            if REFERENCE:
                time.sleep(2.1)  # it does not tell
            else:
                agent.process.wait_line('has reached the end of its lifetime')
            self.assertEqual(connection.request(unlock(b'x')), b'\x06')
            self.assertEqual([blob for blob, _ in connection.list()], [lasting.key.blob])

    @ours
    def test_a_wrong_password_delays_its_own_connection_alone(self):
        agent = Agent(self.lab)
        with agent.connect() as guesser, agent.connect() as other:
            self.assertEqual(other.request(lock(PASSWORD.encode())), b'\x06')
            guesses = 8
            start = time.monotonic()
            guesser.send(frame(unlock(b'a guess')) * guesses)
            answers = []

            def read():
                for _ in range(guesses):
                    answers.append((guesser.read_frame(), time.monotonic()))
            reader = threading.Thread(target=read)
            reader.start()
            took = []
            while reader.is_alive():
                asked = time.monotonic()
                self.assertEqual(other.list(), [])
                took.append(time.monotonic() - asked)
            reader.join()
            self.assertEqual([reply for reply, _ in answers], [b'\x05'] * guesses)
            # A tenth of a second more for each guess, and the hash of each.
            self.assertGreater(answers[-1][1] - start, 0.1 * sum(range(1, guesses + 1)))
            # The hash of a password takes its time, which is the same for right ones; the delays are longer.
            self.assertLess(statistics.median(took), 0.1)

    @ours
    def test_the_delay_grows_with_the_guesses_of_its_own_connection_alone(self):
        agent = Agent(self.lab)
        with agent.connect() as owner:
            self.assertEqual(owner.request(lock(PASSWORD.encode())), b'\x06')

        def guess():
            with agent.connect() as guesser:
                start = time.monotonic()
                self.assertEqual(guesser.request(unlock(b'a guess')), b'\x05')
                return time.monotonic() - start
        shortest = min(guess() for _ in range(5))
        for _ in range(5):
            guess()
        # An eleventh of all would take a second longer than a first one.
        self.assertLess(min(guess() for _ in range(3)), shortest + 0.5)

    @ours
    def test_the_right_password_works_on_another_connection_while_the_guesser_waits(self):
        agent = Agent(self.lab)
        with agent.connect() as guesser, agent.connect() as other:
            self.assertEqual(other.request(lock(PASSWORD.encode())), b'\x06')
            guesser.send(frame(unlock(b'a guess')) * 50)
            start = time.monotonic()
            self.assertEqual(other.request(unlock(PASSWORD.encode())), b'\x06')
            self.assertLess(time.monotonic() - start, 5)
            self.assertEqual(other.request(b'\x0b')[0], 12)

    @ours
    def test_a_guesser_who_hangs_up_disturbs_nobody(self):
        agent = Agent(self.lab)
        with agent.connect() as owner:
            self.assertEqual(owner.request(lock(PASSWORD.encode())), b'\x06')
            for _ in range(20):
                with agent.connect() as guesser:
                    guesser.send(frame(unlock(b'a guess')) * 3)
            self.assertEqual(owner.request(unlock(PASSWORD.encode())), b'\x06')

    @ours
    def test_locking_wipes_the_pins(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab, PIN, PIN)
        agent = Agent(self.lab, env=askpass.env)
        agent.sign_and_check(key)
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)
        with agent.connect() as connection:
            self.assertEqual(connection.request(lock(b'x')), b'\x06')
            self.assertIsNone(connection.sign(key.blob, b'data'))
            self.assertEqual(len(askpass.questions()), 1)
            self.assertEqual(connection.request(unlock(b'x')), b'\x06')
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 2)

    @ours
    def test_an_answer_that_comes_after_the_lock_is_too_late(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        agent = Agent(self.lab, env=askpass.env)
        with agent.connect() as waiting, agent.connect() as other:
            waiting.send(frame(sign_request(key.blob, b'data')))
            with open(fifo, 'wb', 0) as answer:
                self.assertEqual(other.request(lock(b'x')), b'\x06')
                try:
                    answer.write(PIN.encode() + b'\n')
                except BrokenPipeError:
                    pass  # the lock took the question back
            self.assertEqual(waiting.read_frame(), b'\x05')
            self.assertEqual(other.request(unlock(b'x')), b'\x06')
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)  # asks again: nothing was kept
        self.assertEqual(len(askpass.questions()), 2)

    def test_a_key_added_before_the_lock_keeps_its_constraints(self):
        askpass = Askpass(self.lab)
        agent = Agent(self.lab, env=askpass.env)
        with agent.connect() as connection:
            request = add_identity(self.soft.agent_fields(), constraints=CONFIRM)
            self.assertEqual(connection.request(request), b'\x06')
            self.assertEqual(connection.request(lock(b'x')), b'\x06')
            self.assertEqual(connection.request(unlock(b'x')), b'\x06')
            self.assertIsNone(connection.sign(self.soft.key.blob, b'data'))
        self.assertEqual(len(askpass.questions()), 1)

    def test_the_password_is_not_in_the_log(self):
        agent = Agent(self.lab, *(() if REFERENCE else ('-d',)))
        with agent.connect() as connection:
            connection.request(lock(PASSWORD.encode()))
            connection.request(unlock(b'a wrong one'))
            connection.request(unlock(PASSWORD.encode()))
        for secret in (PASSWORD, 'a wrong one'):
            self.assertNotIn(secret, agent.log())


if __name__ == '__main__':
    unittest.main()
