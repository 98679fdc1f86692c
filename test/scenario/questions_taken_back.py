#!/usr/bin/env python3
"""A question whose key is locked away, removed or at its end is taken back at once, and no other is."""

import contextlib
import os
import signal
import unittest

from agent import Agent, Askpass
from lab import Scenario, wait_until
from protocol import (CONFIRM, FAILURE, SUCCESS, frame, lifetime, lock, readable, remove_identity,
                      sign_request, tpm_add_key)
from swtpm import Swtpm

PIN = 'correct horse 42'


class QuestionsTakenBack(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.guarded, self.confirmed = self.lab.make_key('guarded', pin=PIN), self.lab.make_key('confirmed')
        self.other = self.lab.make_key('other')
        self.askpass = Askpass(self.lab)
        self.fifos = [self.askpass.answer_later(number) for number in range(1, 4)]
        self.agent = Agent(self.lab, env=self.askpass.env)

    def add(self, key, constraints=b''):
        with open(key.tpm, 'rb') as file, self.agent.connect() as client:
            self.assertEqual(client.request(tpm_add_key(file.read(), constraints=constraints)), bytes([SUCCESS]))

    @contextlib.contextmanager
    def both_questions(self):
        """Two clients: one waits for a PIN, one for a confirmation; and a third, which may do something."""
        with self.agent.connect() as first, self.agent.connect() as second, self.agent.connect() as third:
            for number, (client, key) in enumerate(((first, self.guarded), (second, self.confirmed)), 1):
                client.send(frame(sign_request(key.blob, b'data')))
                wait_until(lambda count=number: len(self.askpass.questions()) == count, 'the question')
            yield first, second, third

    def assert_taken_back(self, *clients):
        for client in clients:
            self.assertEqual(client.read_frame(), bytes([FAILURE]))
        wait_until(lambda: len(self.agent.children()) == 2 - len(clients), 'the end of askpass')

    def test_by_locking(self):
        self.add(self.confirmed, CONFIRM)
        with self.both_questions() as (first, second, third):
            self.assertEqual(third.request(lock(b'word')), bytes([SUCCESS]))
            self.assert_taken_back(first, second)

    def test_by_removing_the_key(self):
        self.add(self.confirmed, CONFIRM)
        with self.both_questions() as (first, second, third):
            for key, client in ((self.guarded, first), (self.confirmed, second)):
                self.assertEqual(third.request(remove_identity(self.other.blob))[0], SUCCESS)
                self.assertEqual(readable([second], 0), [])
                self.assertEqual(third.request(remove_identity(key.blob)), bytes([SUCCESS]))
                self.assertEqual(client.read_frame(), bytes([FAILURE]))
                self.add(self.other)
            wait_until(lambda: not self.agent.children(), 'the end of askpass')

    def test_by_removing_all_keys(self):
        self.add(self.confirmed, CONFIRM)
        for number, remove in enumerate((lambda: self.agent.ssh_add('-D', status=0),
                                         lambda: os.kill(self.agent.process.pid, signal.SIGUSR1))):
            with self.subTest(number), self.agent.connect() as client:
                self.add(self.confirmed, CONFIRM)
                client.send(frame(sign_request(self.confirmed.blob, b'data')))
                wait_until(lambda count=number + 1: len(self.askpass.questions()) == count, 'the question')
                remove()
                self.assertEqual(client.read_frame(), bytes([FAILURE]))
                wait_until(lambda: not self.agent.children(), 'the end of askpass')

    def test_by_the_end_of_the_key(self):
        self.add(self.confirmed, lifetime(3) + CONFIRM)
        with self.both_questions() as (first, second, _):
            self.assert_taken_back(second)
            self.assertEqual(readable([first], 0), [])
            with open(self.fifos[0], 'w', encoding='utf-8') as window:
                window.write(PIN + '\n')
            self.assertNotEqual(first.read_frame(), bytes([FAILURE]))


if __name__ == '__main__':
    unittest.main()
