#!/usr/bin/env python3
"""Two questions at once: each window is answered for its own key, and nobody else waits for either."""

import contextlib
import os
import re
import statistics
import time
import unittest

from agent import Agent, Askpass, verify
from lab import Scenario, wait_until
from protocol import (FAILURE, IDENTITIES_ANSWER, SIGN_RESPONSE, SUCCESS, frame, lock, read_signature,
                      readable, remove_identity, sign_request, tpm_add_key, unlock)
from resources import is_sanitized
from swtpm import Swtpm
from upstream import LIST

# In seconds, more than without any prompt; half of the tries may take longer, on a busy machine.
AT_ONCE = 1 if is_sanitized(os.environ['SSH_TPM_BUILD']) else 0.1
TRIES = 7


class TwoPrompts(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.keys = {name: self.lab.make_key(name, pin='pin of ' + name) for name in ('one', 'two')}
        self.free = self.lab.make_key('free')
        self.askpass = Askpass(self.lab)
        self.windows = {}  # open ones: the key's name, and where its answer goes
        self.fifos = [self.askpass.answer_later(number) for number in range(1, 5)]
        self.agent = Agent(self.lab, env=self.askpass.env)

    @contextlib.contextmanager
    def asking(self, *names):
        """A client for each, which has asked for a signature."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.agent.connect()) for _ in names]
            for name, client in zip(names, clients):
                client.send(frame(sign_request(self.keys[name].blob, b'data for ' + name.encode())))
            yield clients

    def wait_for_windows(self, count):
        def whole():  # and not about to be written down
            questions = self.askpass.questions()
            return len(questions) == count and all('key ' in each for each in questions) and questions
        questions = wait_until(whole, f'{count} questions')
        names = [re.search("key '(.*)'", question)[1] for question in questions]
        self.windows = dict(zip(names, self.fifos))
        return names

    def answer(self, name, pin=None):
        with open(self.windows[name], 'w', encoding='utf-8') as window:
            window.write((pin or 'pin of ' + name) + '\n')

    def assert_signed(self, client, name):
        verify(self.lab, self.keys[name], *read_signature(client.read_frame()), b'data for ' + name.encode())

    def test_both_windows_are_open_and_each_answer_is_for_its_own_key(self):
        with self.asking('one', 'two') as (one, two):
            self.assertEqual(sorted(self.wait_for_windows(2)), ['one', 'two'])
            self.assertEqual(readable([one, two], 0), [])
            self.answer('one')
            self.assert_signed(one, 'one')
            self.assertEqual(readable([two], 0), [])
            self.answer('two')
            self.assert_signed(two, 'two')
        with self.asking('two', 'one') as (two, one):  # both are known now
            self.assert_signed(two, 'two')
            self.assert_signed(one, 'one')
        self.assertEqual(len(self.askpass.questions()), 2)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_the_window_that_opened_last_may_be_answered_first(self):
        with self.asking('one') as (one,):
            self.assertEqual(self.wait_for_windows(1), ['one'])
            with self.asking('two') as (two,):
                self.assertEqual(self.wait_for_windows(2), ['one', 'two'])
                self.answer('two')
                self.assert_signed(two, 'two')
            self.assertEqual(readable([one], 0), [])
            self.answer('one')
            self.assert_signed(one, 'one')
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_answers_in_the_wrong_windows_open_nothing(self):
        with self.asking('one', 'two') as (one, two):
            self.wait_for_windows(2)
            self.answer('one', 'pin of two')
            self.wait_for_windows(3)  # asked again, of the key that it was wrong for
            self.assertIn("key 'one'", self.askpass.questions()[2])
            self.assertIn('wrong', self.askpass.questions()[2])
            self.assertEqual(readable([one, two], 0), [])
            self.answer('two')
            self.assert_signed(two, 'two')
            self.answer('one')
            self.assert_signed(one, 'one')
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_the_last_try_is_told_before_either_window_spends_it(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        with self.asking('one', 'two') as (one, two):
            self.wait_for_windows(2)
            for question in self.askpass.questions():
                self.assertIn('2 tries', question)
            self.answer('one', 'nonsense')
            self.assertEqual(one.read_frame(), bytes([FAILURE]))
            self.answer('two', 'nonsense')  # typed for a question that knew of two tries
            self.wait_for_windows(3)
            self.assertIn("key 'two'", self.askpass.questions()[2])
            self.assertIn('LAST TRY', self.askpass.questions()[2])
            self.assertEqual(self.tpm.wrong_tries(), 1)
            self.windows['two'] = self.fifos[2]
            self.answer('two')
            self.assert_signed(two, 'two')

    def test_two_clients_of_one_key_share_a_window(self):
        with self.asking('one', 'one', 'two') as (first, second, other):
            self.wait_for_windows(2)
            with self.agent.connect() as client:  # so what had been sent before has been read
                client.list()
                client.list()
            self.assertEqual(len(self.askpass.questions()), 2)
            self.answer('one')
            self.assert_signed(first, 'one')
            self.assert_signed(second, 'one')
            self.assertEqual(readable([other], 0), [])
            self.answer('two')
            self.assert_signed(other, 'two')
        self.assertEqual(len(self.askpass.questions()), 2)

    def test_a_client_that_leaves_takes_its_own_window_along_and_no_other(self):
        with self.asking('one') as (one,):
            self.wait_for_windows(1)
            with self.asking('two'):
                self.wait_for_windows(2)
                self.assertEqual(len(self.agent.children()), 2)
            wait_until(lambda: len(self.agent.children()) == 1, 'the end of the window')
            self.answer('one')
            self.assert_signed(one, 'one')

    def test_a_client_that_shares_a_window_has_it_when_the_first_one_leaves(self):
        with self.asking('one') as (leaving,):
            self.wait_for_windows(1)
            with self.asking('one') as (staying,):
                with self.agent.connect() as client:
                    client.list()
                    client.list()
                leaving.socket.close()
                wait_until(lambda: len(self.askpass.questions()) == 2, 'the question for the other')
                self.windows = {'one': self.fifos[1]}
                self.answer('one')
                self.assert_signed(staying, 'one')

    def test_a_window_has_nothing_open_of_the_agents(self):
        """Neither other clients' connections, through which it could sign, nor the TPM's: while somebody else
        has it open, an emulator serves nobody."""
        with self.agent.connect() as idle, self.asking('one', 'two'):
            idle.list()
            self.wait_for_windows(2)
            for pid in self.agent.children():
                for name in os.listdir(f'/proc/{pid}/fd'):
                    self.assertNotIn('socket:', os.readlink(f'/proc/{pid}/fd/{name}'))

    def test_all_else_is_answered_at_once_meanwhile(self):
        with open(self.free.tpm, 'rb') as file:
            free = file.read()
        requests = [('add', tpm_add_key(free), SUCCESS), ('list', LIST, IDENTITIES_ANSWER),
                    ('sign', sign_request(self.free.blob, b'data'), SIGN_RESPONSE),
                    ('remove', remove_identity(self.free.blob), SUCCESS), ('unknown', b'\xc8', FAILURE)]
        with self.agent.connect() as other:
            usual = self.durations(other, requests)
            with self.asking('one', 'two') as clients:
                self.wait_for_windows(2)
                self.assert_as_fast(self.durations(other, requests), usual)
                self.assertEqual(readable(clients, 0), [])

    def test_locking_waits_for_no_window_and_takes_them_back(self):
        """How long it takes tells nothing: a password's hash is made to take its time."""
        with self.agent.connect() as other, self.asking('one', 'two') as clients:
            self.wait_for_windows(2)
            for request, expected in ((lock(b'word'), SUCCESS), (LIST, IDENTITIES_ANSWER), (unlock(b'word'), SUCCESS)):
                self.assertEqual(other.request(request)[0], expected)
            for client in clients:
                self.assertEqual(client.read_frame()[0], FAILURE)

    def durations(self, client, requests):
        """The median of each."""
        times = {name: [] for name, _, _ in requests}
        for _ in range(TRIES):
            for name, request, expected in requests:
                begun = time.monotonic()
                self.assertEqual(client.request(request)[0], expected, name)
                times[name].append(time.monotonic() - begun)
        return {name: statistics.median(each) for name, each in times.items()}

    def assert_as_fast(self, now, usual):
        for name, seconds in now.items():
            self.assertLess(seconds, usual[name] + AT_ONCE, name)


if __name__ == '__main__':
    unittest.main()
