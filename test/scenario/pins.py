#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A person who is asked for a PIN is told for what, by whom and how many tries are left, and asked no more than need
be: a PIN is kept once the TPM has taken it."""

import ctypes
import itertools
import os
import re
import time
import unittest

from agent import Agent, Askpass, add_request, certify, ours
from keys_once import KeysOnce
from lab import slow, wait_until
from protocol import (CONFIRM, KEPT, SUCCESS, add_identity, destination, hop, lifetime, read_pin_outcome,
                      remove_identity, restrict_destination, try_pin)

PIN, WRONG, LONGEST = 'correct horse 42', 'wrong horse', 'ä' * 16
PR_SET_NAME = 15  # prctl(2)
HOSTILE = 'a\x1b[31m\x07\x9b\u202eb\u2066\u200b\nc'
IN_FRONT = {'SSH_ASKPASS_REQUIRE': None, 'DISPLAY': None, 'WAYLAND_DISPLAY': None}


def set_name(name):
    ctypes.CDLL(None).prctl(PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)


class WithPins(KeysOnce):
    KEYS = {'x': {'pin': PIN, 'comment': 'my work key'}, 'free': {}, 'longest': {'pin': LONGEST}}
    SOFT = ('soft', 'host')

    def agent(self, *answers, options=(), env=None, name='agent'):
        self.askpass = Askpass(self.lab, *answers, name=name + '.askpass')
        return Agent(self.lab, *options, env={**self.askpass.env, **(env or {})}, name=name)

    def tries(self, number):
        """How many wrong PINs lock the TPM."""
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', str(number), '-t', '600', '-l', '600')


class Pins(WithPins):
    def test_a_pin_is_asked_for_once_with_the_keys_name_and_kept(self):
        key, free = self.take('x'), self.take('free')
        agent = self.agent(PIN, env={'SSH_ASKPASS_PROMPT': 'confirm'})
        agent.sign_and_check(free)
        self.assertEqual(self.askpass.questions(), [])
        for _ in range(2):
            agent.sign_and_check(key)
        question, = self.askpass.questions()
        self.assertIn('my work key', question)
        self.assertIn(self.lab.fingerprint(key), question)
        self.assertIn('ssh-keygen', question)
        self.assertNotIn('SSH_ASKPASS_PROMPT', self.askpass.environment(1))  # which would hide the input
        self.assertNotIn(PIN, str(self.askpass.environment(1)))
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_pin_of_32_bytes_works_and_33_are_refused(self):
        key = self.take('longest')
        self.assertTrue(self.agent(LONGEST).signs(key))
        for pin in ('x' * 33, 'ä' * 17):
            result = self.lab.keygen('-N', pin, '-f', self.lab.path('keys/y'), status=None)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn('32', result.stderr)
            self.assertNotIn(pin, result.stderr)
            self.assertFalse(os.path.exists(self.lab.path('keys/y.tpm')))

    def test_whom_the_environment_has_asked(self):
        """What comes of it, how many questions there were, and no try is spent."""
        key = self.take('x')
        for number, (answers, env, signs, asked) in enumerate((
                ((PIN,), {**IN_FRONT, 'DISPLAY': ':0'}, True, 1),
                ((PIN,), IN_FRONT, False, 0),  # neither a display nor a terminal
                ((PIN,), {'SSH_ASKPASS_REQUIRE': 'never', 'DISPLAY': ':0'}, False, 0),
                ((PIN,), {'SSH_ASKPASS': self.lab.path('absent')}, False, 0),
                (('x' * 5000,), {}, False, 1),
                ((), {}, False, 1))):  # it fails
            with self.subTest(env=env, asked=asked):
                agent = self.agent(*answers, env=env, name=f'agent{number}')
                self.assertEqual((agent.signs(key), len(self.askpass.questions())), (signs, asked))
                with agent.connect() as connection:
                    self.assertEqual(len(connection.list()), 1)
                agent.stop()
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_each_prompt_tells_how_many_tries_are_left(self):
        self.tries(7)
        key = self.take('x')
        agent = self.agent(WRONG, WRONG + '2', PIN)
        for _ in range(2):
            self.assertTrue(agent.signs(key))
        questions = self.askpass.questions()
        self.assertEqual([int(re.search(r'\b(\d+) tries', question)[1]) for question in questions], [7, 6, 5])
        self.assertNotRegex(questions[0], '(?i)wrong')
        for question in questions[1:]:
            self.assertRegex(question, '(?i)wrong')

    def test_a_wrong_pin_asks_again_three_times_in_all(self):
        self.tries(32)
        key, free = self.take('x'), self.take('free')
        agent = self.agent(WRONG, WRONG + '2', WRONG, WRONG)  # from the fifth question on, askpass fails
        self.assertFalse(agent.signs(key))
        self.assertEqual((len(self.askpass.questions()), self.tpm.wrong_tries()), (3, 3))
        self.assertFalse(agent.signs(key))  # who gives up is not asked again
        self.assertEqual((len(self.askpass.questions()), self.tpm.wrong_tries()), (5, 4))
        self.assertTrue(agent.signs(free))
        agent.stop()
        self.tpm.assert_no_handles()

    def test_the_same_wrong_pin_is_one_try_of_a_request_and_one_line_of_the_log(self):
        self.tries(32)
        key = self.take('x')
        agent = self.agent(WRONG, WRONG, PIN)
        self.assertTrue(agent.signs(key))
        self.assertEqual(self.tpm.wrong_tries(), 1)
        questions = self.askpass.questions()
        self.assertEqual(len(questions), 3)
        self.assertEqual(questions[1], questions[2])
        self.assertEqual(agent.log().count('the TPM refused the PIN'), 1, agent.log())
        self.assertEqual(agent.log().count('was not tried again'), 1, agent.log())

    def test_the_last_try_is_told_and_not_spent_on_the_way(self):
        self.tries(3)
        key = self.take('x')
        agent = self.agent(WRONG, WRONG + '2', '', PIN)
        self.assertFalse(agent.signs(key))  # it stopped before the last one
        self.assertEqual(self.tpm.wrong_tries(), 2)
        self.assertFalse(agent.signs(key))  # who only presses enter spends nothing
        self.assertEqual(self.tpm.wrong_tries(), 2)
        self.assertTrue(agent.signs(key))
        self.assertEqual([bool(re.search('(?i)last try', question)) for question in self.askpass.questions()],
                         [False, False, True, True])

    def test_without_a_cache_each_use_asks(self):
        key = self.take('x')
        agent = self.agent(PIN, PIN, options=('--no-cache',))
        for number in range(1, 3):
            self.assertTrue(agent.signs(key))
            self.assertEqual(len(self.askpass.questions()), number)

    def test_a_lifetime_that_is_none_is_a_usage_error(self):
        for text in ('', 'soon', '-1', '1x', '99999999999999999999'):
            result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', self.lab.path('a.sock'),
                                  '--pin-lifetime', text)
            self.assert_error(result, status=2, tool='ssh-tpm-agent')

    def test_a_pin_is_forgotten_some_time_after_its_last_use(self):
        key = self.take('x')
        agent = self.agent(PIN, PIN, options=('-d', '--pin-lifetime', '3'))
        self.assertTrue(agent.signs(key) and agent.signs(key))
        self.assertEqual(len(self.askpass.questions()), 1)
        agent.process.wait_line('a PIN has reached the end of its time')
        self.assertTrue(agent.signs(key))
        self.assertEqual(len(self.askpass.questions()), 2)

    @slow
    def test_use_keeps_a_pin(self):
        key = self.take('x')
        agent = self.agent(PIN, PIN, options=('--pin-lifetime', '4'))
        end = time.monotonic() + 6
        wait_until(lambda: not agent.signs(key) or time.monotonic() > end, 'the end', pace=0.2)
        self.assertEqual(len(self.askpass.questions()), 1)


@ours
class Terms(WithPins):
    """Who adds a key that is held already does not get around what was demanded for it."""

    def setUp(self):
        super().setUp()
        self.key = self.stocked('x')

    def add(self, agent, constraints, certificate=b''):
        with agent.connect() as connection:
            self.assertEqual(connection.request(add_request(self.key, constraints, certificate)), bytes([SUCCESS]))

    def run_pin(self, agent):
        """Has the agent know the PIN, and nobody asked."""
        with agent.connect() as connection:
            reply = connection.request(try_pin(self.key.blob, PIN.encode()))
            self.assertEqual(read_pin_outcome(reply), KEPT)

    def test_looser_constraints_are_not_to_be_had_without_the_pin(self):
        certificate = certify(self.lab, self.key)[1]
        elsewhere = restrict_destination(destination(hop(), hop(b'there', self.soft('host').key.blob)))
        agent, asked = self.agent(), 0
        for looser in ((b'',), (elsewhere,), (b'', certificate.blob)):
            self.add(agent, CONFIRM)
            self.run_pin(agent)
            self.add(agent, *looser)
            self.assertFalse(agent.signs(certificate if len(looser) > 1 else self.key))
            if looser[0] != elsewhere:  # else nothing is asked on this connection at all
                asked += 1
                self.assertIn('Enter PIN', self.askpass.questions()[asked - 1])
            self.assertEqual(len(self.askpass.questions()), asked)
            agent.ssh_add('-D', status=0)

    def test_a_longer_lifetime_is_not_to_be_had_without_the_pin(self):
        agent = self.agent(options=('-d',))
        self.add(agent, lifetime(5))
        self.run_pin(agent)
        self.add(agent, b'')
        self.assertTrue(agent.signs(self.key))
        agent.process.wait_line('a PIN has reached the end of its time')
        self.assertFalse(agent.signs(self.key))
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_who_removes_a_key_or_its_certificate_has_the_other_ask_again(self):
        """Whichever of both the PIN was typed for."""
        certificate = certify(self.lab, self.key)[1]
        for number, (typed_for, gone) in enumerate(itertools.product((self.key, certificate), repeat=2)):
            left = certificate if gone is self.key else self.key
            with self.subTest(typed_for=typed_for.algorithm, gone=gone.algorithm):
                agent = self.agent(PIN, PIN, name=f'agent{number}')
                self.add(agent, b'')
                self.add(agent, b'', certificate.blob)
                with agent.connect() as connection:
                    for blob in (typed_for.blob, left.blob):
                        self.assertIsNotNone(connection.sign(blob, b'data'))
                    self.assertEqual(len(self.askpass.questions()), 1)
                    self.assertEqual(connection.request(remove_identity(gone.blob)), bytes([SUCCESS]))
                    self.assertIsNotNone(connection.sign(left.blob, b'data'))
                agent.stop()
                self.assertEqual(len(self.askpass.questions()), 2)

    def test_a_certificate_asks_again_when_the_time_of_its_key_is_over(self):
        certificate = certify(self.lab, self.key)[1]
        agent = self.agent(PIN, PIN)
        self.add(agent, b'', certificate.blob)
        self.assertTrue(agent.signs(certificate))
        self.add(agent, lifetime(1))
        agent.wait_until_listed([certificate.line])
        self.assertTrue(agent.signs(certificate))
        self.assertEqual(len(self.askpass.questions()), 2)


@ours
class Words(WithPins):
    """What a question shows of names that somebody else has chosen."""

    def ask_as(self, agent, key, *names):
        """Has a chain of processes with these names ask for a signature, the last one itself; their ids."""
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for number, name in enumerate(names):
                    set_name(name.encode())
                    os.write(write_end, b'%d ' % os.getpid())
                    if number < len(names) - 1:
                        below = os.fork()
                        if below:
                            os._exit(os.waitstatus_to_exitcode(os.waitpid(below, 0)[1]))
                with agent.connect() as connection:
                    status = 0 if connection.sign(key.blob, b'data') else 3
            finally:
                os._exit(status)
        os.close(write_end)
        with os.fdopen(read_end, encoding='ascii') as ids:
            found = [int(pid) for pid in ids.read().split()]  # until all of them have ended
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        return found

    def assert_tame(self, text):
        for mark in '\x1b\x07\x9b\u202e\u2066\u200b':
            self.assertNotIn(mark, text)
        for line in text.split('\n'):
            self.assertFalse(line.startswith('c'), 'a newline came through')

    def test_the_prompt_names_who_asks_and_up_to_three_parents(self):
        key = self.take('x')
        agent = self.agent(PIN)
        names = ['topmost', 'oldest', 'older', 'old', 'youngest']
        ids = self.ask_as(agent, key, *names)
        question, = self.askpass.questions()
        places = []
        for name, pid in list(zip(names, ids))[1:]:
            self.assertRegex(question, rf'{name}\b[^,\n]*\b{pid}\b')
            places.append(question.index(str(pid)))
        self.assertEqual(places, sorted(places, reverse=True))
        self.assertNotIn('topmost', question)

    def test_hostile_process_names_do_not_reach_the_prompt(self):
        key = self.take('x')
        agent = self.agent(PIN)
        ids = self.ask_as(agent, key, 'b\n\x1b[2Jp', 'a\u202e) \nc')
        question, = self.askpass.questions()
        self.assert_tame(question)
        self.assertNotIn('[2J\n', question)
        for pid in ids:
            self.assertIn(str(pid), question)
        self.assertNotIn('\x1b', agent.log())

    def test_comments_of_added_keys_are_cut_and_tame_in_the_question_and_in_the_log(self):
        soft = self.soft('soft')
        agent = self.agent('yes', 'yes', options=('-d',))
        with agent.connect() as connection:
            for comment in (HOSTILE.encode() + b'\xff', b'z' * 900):
                request = add_identity(soft.agent_fields(), comment, CONFIRM)
                self.assertEqual(connection.request(request), b'\x06')
                self.assertIsNotNone(connection.sign(soft.key.blob, b'data'))
            self.assertEqual(connection.list()[0][1], 'z' * 900)
        agent.ssh_add('-d', soft.pub, status=0)
        agent.process.wait_line('removed key')
        for text in (agent.log(), self.askpass.questions()[1]):
            self.assertIn('z' * 100, text)
            self.assertNotIn('z' * 201, text)
        self.assert_tame(self.askpass.questions()[0])
        for mark in '\x1b\x9b\u202e':
            self.assertNotIn(mark, agent.log())


if __name__ == '__main__':
    unittest.main()
