#!/usr/bin/env python3
"""What happens to a key, or to the agent, while a person types or the TPM works counts: the request is not
served on the terms of before, and no PIN is remembered for it."""

import contextlib
import os
import signal
import unittest

from agent import Agent, Askpass, ours
from lab import Scenario, wait_until
from protocol import (CONFIRM, destination, frame, hop, lifetime, lock,
                      readable, remove_identity, restrict_destination, sign_request, tpm_add_key, try_pin, unlock)
from softkey import SoftKey
from swtpm import Swtpm

PIN = 'correct horse 42'
FAILURE, SUCCESS, EXTENSION_FAILURE, SIGN_RESPONSE = b'\x05', b'\x06', b'\x1c', 14
PASSWORD = b'open sesame'


@ours
class Meanwhile(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        host = SoftKey(self.lab, self.lab.path('host'))
        self.only_there = restrict_destination(destination(hop(), hop(b'there', host.key.blob)))
        self.key = self.lab.make_key('x', pin=PIN)
        self.askpass = Askpass(self.lab)
        self.fifo = self.askpass.answer_later(1)  # to the second question there is no answer
        self.agent = Agent(self.lab, env=self.askpass.env)
        self.client, self.other = self.agent.connect(), self.agent.connect()
        for connection in (self.client, self.other):
            self.addCleanup(connection.socket.close)

    def settle(self):
        """The agent has seen all that has happened until now."""
        for _ in range(5):
            self.other.list()

    def does(self, request):
        self.assertEqual(self.other.request(request), SUCCESS)

    def add(self, constraints=b'', key=None):
        with open((key or self.key).tpm, 'rb') as file:
            self.does(tpm_add_key(file.read(), constraints=constraints))

    def remove(self):
        self.does(remove_identity(self.key.blob))

    def come_back(self):
        """From the folder, with all the agent still knows of it: a client that adds a key makes it forget."""
        self.agent.process.popen.send_signal(signal.SIGHUP)
        wait_until(self.other.list, 'the key of the folder')

    @contextlib.contextmanager
    def question(self, text, key=None):
        """A client's request for a signature is open meanwhile, and then a person answers."""
        self.client.send(frame(sign_request((key or self.key).blob, b'data')))
        wait_until(self.askpass.questions, 'the question')
        yield
        wait_until(lambda: readable([self.client], 0) or self.answer(text), 'somebody who takes the answer')

    def answer(self, text):
        """False while askpass does not read, or reads no more: what has happened may have taken it back."""
        try:
            window = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        with open(window, 'wb', 0) as file, contextlib.suppress(BrokenPipeError):
            file.write(text.encode() + b'\n')
        return True

    def assert_refused(self):
        self.assertEqual(self.client.read_frame(), FAILURE)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def assert_forgotten(self, key=None):
        """A person is asked again."""
        asked = len(self.askpass.questions())
        self.assertIsNone(self.other.sign((key or self.key).blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), asked + 1)

    def test_what_nothing_happens_to_is_served(self):
        with self.question(PIN):
            pass
        self.assertEqual(self.client.read_frame()[0], SIGN_RESPONSE)
        self.assertIsNotNone(self.other.sign(self.key.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_the_same_key_on_the_same_terms_is_served(self):
        for terms in (b'', lifetime(1000)):
            with self.subTest(terms=terms):
                self.add(terms)
                with self.question(PIN):
                    self.add(terms)
                self.assertEqual(self.client.read_frame()[0], SIGN_RESPONSE)
                self.remove()
                self.fifo = self.askpass.answer_later(len(self.askpass.questions()) + 1)

    def change_while_a_pin_is_typed(self, before, after):
        self.add(before)
        with self.question(PIN):
            self.add(after)
        self.assert_refused()

    def test_a_key_that_is_to_be_confirmed_now_is_refused(self):
        self.change_while_a_pin_is_typed(b'', CONFIRM)

    def test_a_key_that_has_destinations_now_is_refused(self):
        self.change_while_a_pin_is_typed(b'', self.only_there)

    def test_a_key_that_has_other_terms_now_is_refused(self):
        self.change_while_a_pin_is_typed(b'', lifetime(1000))
        self.assert_forgotten()

    def test_a_yes_is_for_the_terms_of_the_question(self):
        free = self.lab.make_key('free')
        self.add(CONFIRM, free)
        with self.question('yes', free):
            self.add(CONFIRM + self.only_there, free)
        self.assert_refused()

    def test_a_yes_for_a_key_that_was_removed_is_a_no(self):
        self.add(CONFIRM)
        with self.question('yes'):
            self.remove()
        self.assert_refused()
        self.assertEqual(len(self.askpass.questions()), 1)  # and not for the PIN either

    def test_a_yes_to_an_agent_that_was_locked_is_a_no(self):
        free = self.lab.make_key('free')
        self.add(CONFIRM, free)
        with self.question('yes', free):
            self.does(lock(PASSWORD))
        self.assert_refused()

    def test_a_pin_for_a_key_that_was_removed_is_not_remembered(self):
        with self.question(PIN):
            self.remove()
        self.assert_refused()
        self.come_back()
        self.assert_forgotten()

    def sign_while(self, change):
        """The person has typed the PIN, and the TPM signs."""
        with contextlib.ExitStack() as hanging:
            with self.question(PIN):
                hanging.enter_context(self.tpm.stopped())
            wait_until(lambda: not self.agent.children(), 'the end of askpass')
            self.settle()
            change()
        self.assert_refused()

    def test_the_removal_of_a_key_while_the_tpm_signs_counts(self):
        self.sign_while(self.remove)
        self.come_back()
        self.assert_forgotten()

    def test_other_terms_while_the_tpm_signs_count(self):
        self.sign_while(lambda: self.add(lifetime(1000)))
        self.assert_forgotten()

    def test_a_lock_while_the_tpm_signs_counts(self):
        self.sign_while(lambda: self.does(lock(PASSWORD)))
        self.does(unlock(PASSWORD))
        self.assert_forgotten()

    def try_pin_while(self, change):
        os.unlink(self.fifo)  # no question is to be answered
        with self.tpm.stopped():
            self.client.send(frame(try_pin(self.key.blob, PIN.encode())))
            self.settle()
            change()
        self.assertEqual(self.client.read_frame(), EXTENSION_FAILURE)

    def test_a_pin_is_not_kept_for_a_key_that_was_removed(self):
        self.try_pin_while(self.remove)
        self.come_back()
        self.assert_forgotten()

    def test_a_pin_is_not_kept_by_an_agent_that_was_locked(self):
        self.try_pin_while(lambda: self.does(lock(PASSWORD)))
        self.does(unlock(PASSWORD))
        self.assert_forgotten()


if __name__ == '__main__':
    unittest.main()
