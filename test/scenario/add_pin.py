#!/usr/bin/env python3
"""ssh-tpm-add --pin: the TPM tries the PIN before the key counts as added."""

import unittest

from add_recorder import (EXTENSION, EXTENSION_FAILURE, EXTENSION_RESPONSE, AddScenario, Recorder, SUCCESS,
                          extensions, identities)
from agent import Agent, Askpass, certify
from protocol import string, take_string, u32
from swtpm import Swtpm
from terminal import Terminal

PIN, WRONG = 'a good pin', 'another one'
KEPT, BAD, LOCKOUT, NOT_KEPT, NOT_TRIED = range(5)
NAME = 'tpm-try-pin@ssh-tpm'


class FromOurAgent(AddScenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.key = self.lab.make_key('x', pin=PIN)
        self.dialogues = 0

    def start(self, *options, **more):
        self.agent = Agent(self.lab, '--no-load', *options, **more)
        self.socket = self.agent.socket

    def add_with(self, *answers, options=()):
        """ssh-tpm-add --pin with what a person answers; the completed process, and the questions."""
        self.dialogues += 1
        askpass = Askpass(self.lab, *answers, name=f'askpass{self.dialogues}')
        result = self.add('--pin', *options, self.key.tpm, env=askpass.env)
        return result, askpass.questions()

    def test_the_right_pin_is_asked_for_once_and_the_agent_never_asks(self):
        self.start()
        result, questions = self.add_with(PIN)
        self.assertEqual((result.returncode, result.stderr), (0, f'Identity added: {self.key.tpm} (x)\n'))
        self.assertEqual(questions, [f'Enter PIN for {self.key.tpm} (x): '])
        self.agent.sign_and_check(self.key)  # nobody could be asked
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_a_wrong_pin_is_asked_for_again_with_what_is_left(self):
        self.start()
        result, questions = self.add_with(WRONG, PIN)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(questions[1], r'^Wrong PIN\. \d+ tries left\. Enter PIN for ')
        self.agent.sign_and_check(self.key)
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_the_last_try_is_announced_and_after_it_nobody_is_asked(self):
        self.start()
        result, questions = self.add_with(*[WRONG] * 5)
        self.assert_refused(result, 'Could not add identity', 'lockout')
        self.assertIn('LAST TRY: ', questions[-1])
        self.assertEqual(sum('LAST' in question for question in questions), 1)
        self.assertEqual(self.agent.listed(), [])
        result, _ = self.add_with(PIN)
        self.assert_refused(result, 'lockout')
        self.assertEqual(self.agent.listed(), [])

    def test_giving_up_leaves_the_agent_as_it_was(self):
        self.start()
        for answers in ((), ('',), ('x' * 33,), (WRONG,)):
            with self.subTest(answers=answers):
                result, _ = self.add_with(*answers)
                self.assert_refused(result, 'Could not add identity')
                self.assertEqual(self.agent.listed(), [])
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_a_key_that_was_there_stays(self):
        self.start()
        self.add(self.key.tpm, status=0)
        self.assert_refused(self.add_with(WRONG)[0], 'no PIN')
        self.assertEqual(self.agent.listed(), [self.key.line])

    def test_the_certificate_comes_along_and_the_pin_stays_known(self):
        certify(self.lab, self.key)
        self.start()
        result, _ = self.add_with(PIN)
        self.assertIn('Certificate added', result.stderr)
        self.assertEqual(len(self.agent.listed()), 2)
        self.agent.sign_and_check(self.key)

    def test_a_key_without_a_pin_asks_nothing(self):
        self.key = self.lab.make_key('free')
        self.start()
        result, questions = self.add_with()
        self.assertEqual((result.returncode, questions), (0, []), result.stderr)

    def test_on_a_terminal_nothing_is_echoed(self):
        self.start()
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-add', '--pin', self.key.path,
                      env=self.environment()) as terminal:
            self.assertFalse(terminal.answer('Enter PIN for ', WRONG))
            self.assertFalse(terminal.answer('Wrong PIN', PIN))
            self.assertEqual(terminal.finish(), 0)
            self.assertIn('Identity added', terminal.transcript)
            for secret in (PIN, WRONG):
                self.assertNotIn(secret, terminal.transcript)
        self.agent.sign_and_check(self.key)

    def test_tries_that_others_spend_while_a_person_types_are_seen_before_the_last_one(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        self.start()
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-add', '--pin', self.key.path,
                      env=self.environment()) as terminal:
            terminal.read_until('Enter PIN for ')
            self.lab.keygen('-p', '-f', self.key.tpm, '-P', WRONG, '-N', '', status=1)
            terminal.type(WRONG + '\n')
            terminal.answer('LAST TRY: ', PIN)
            self.assertEqual(terminal.finish(), 0, terminal.transcript)
            self.assertNotIn('Wrong PIN', terminal.transcript)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.agent.sign_and_check(self.key)

    def test_ctrl_c_at_the_question_leaves_the_agent_as_it_was(self):
        self.start()
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-add', '--pin', self.key.path,
                      env=self.environment()) as terminal:
            terminal.answer('Enter PIN for ', WRONG)
            terminal.read_until('Enter PIN for ')
            terminal.interrupt()
            self.assertNotEqual(terminal.finish(), 0)
        self.assertEqual(self.agent.listed(), [])


class Recorded(AddScenario):
    """With agents that say what is hard to bring about."""

    def setUp(self):
        super().setUp()
        Swtpm(self.lab)
        self.key = self.lab.make_key('x', pin=PIN)
        self.listed, self.known, self.tried = [], [NAME], []
        self.result = (KEPT, 5, b'')
        self.recorder = Recorder(self.lab, self.serve)
        self.socket = self.recorder.path

    def serve(self, request):
        if request[0] == 11:
            return identities(*self.listed)
        if request[0] != EXTENSION:
            return SUCCESS
        name, body = take_string(request[1:])
        if name == b'query':
            return extensions(*self.known) if self.known is not None else bytes([5])
        if name.decode() != NAME:
            return SUCCESS
        blob, body = take_string(body)
        pin, rest = take_string(body)
        self.assertEqual((blob, rest), (self.key.blob, b''))
        if self.result is None:
            return bytes([EXTENSION_FAILURE])
        outcome, left, text = self.result
        if pin:
            self.tried.append(pin.decode())
        elif outcome != LOCKOUT:
            outcome, left = NOT_TRIED, left or 1  # only the tries that are left are asked for
        return bytes([EXTENSION_RESPONSE]) + string(NAME.encode()) + bytes([outcome]) + u32(left) + string(text)

    def add_pin(self, *answers):
        self.askpass = Askpass(self.lab, *answers)
        return self.add('--pin', self.key.tpm, env=self.askpass.env)

    def removed(self):
        return [request for request in self.recorder.requests if request[0] == 18]

    def test_three_wrong_pins_are_enough(self):
        self.result = (BAD, 0xFFFFFFFF, b'\x1b[1mno')
        result = self.add_pin(*'12345')
        self.assert_refused(result, 'the PIN is wrong')
        self.assertEqual(self.tried, ['1', '2', '3'])
        self.assertTrue(self.askpass.questions()[2].startswith('Wrong PIN. Enter PIN'))
        self.assertEqual(self.removed()[-1], bytes([18]) + string(self.key.blob))
        self.assertEqual(len(self.removed()), 4, 'while a person thinks, the key is not there')
        self.assertNotIn('\x1b', result.stderr)

    def test_a_pin_that_is_not_kept_is_said(self):
        self.result = (NOT_KEPT, 5, b'no cache here')
        result = self.add_pin(PIN)
        self.assertEqual(result.returncode, 0)
        self.assertIn('no cache here', result.stderr)
        self.assertIn('Identity added', result.stderr)
        self.assertEqual(len(self.removed()), 1, 'while a person thinks, the key is not there')

    def test_an_agent_that_tries_none_of_the_pins_is_a_failure(self):
        self.result = (NOT_TRIED, 1, b'later')
        self.assert_refused(self.add_pin('1', '2', '3', '4'), 'did not try the PIN', 'later')
        self.assertEqual(len(self.askpass.questions()), 3)
        self.assertNotIn('Wrong', ''.join(self.askpass.questions()))

    def test_lockout_is_not_asked_about_twice(self):
        self.result = (LOCKOUT, 0, b'in ten minutes')
        self.assert_refused(self.add_pin(PIN, PIN), 'lockout', 'in ten minutes')
        self.assertEqual(self.askpass.questions(), [])
        self.assertEqual(len(self.removed()), 1)

    def test_no_try_is_spent_when_none_is_left(self):
        self.result = (BAD, 0, b'')
        self.assert_refused(self.add_pin('1', '2'), 'lockout')
        self.assertEqual(self.tried, ['1'])

    def test_an_agent_that_fails_is_left_as_it_was(self):
        self.result = None
        self.assert_refused(self.add_pin(PIN), 'agent refused operation')
        self.assertEqual(len(self.removed()), 1)

    def test_a_key_that_was_there_is_not_removed(self):
        self.listed = [(self.key.blob, b'')]
        self.result = (BAD, 9, b'')
        self.assert_refused(self.add_pin('1', '2', '3'), 'wrong')
        self.assertEqual(self.removed(), [])

    def test_an_agent_that_tries_no_pins_does_not_see_one(self):
        askpass = Askpass(self.lab, PIN)
        for known in (None, [], ['query']):
            self.known = known
            self.assert_refused(self.add('--pin', self.key.tpm, env=askpass.env), 'tries no PINs')
        self.assertEqual((askpass.questions(), self.recorder.added(), self.tried), ([], [], []))


if __name__ == '__main__':
    unittest.main()
