#!/usr/bin/env python3
"""A person who is asked for a PIN is told for what, by whom and how many tries are left, and asked no more
than need be."""

import ctypes
import os
import re
import signal
import threading
import time
import unittest

import keyfile
from agent import Agent, Askpass, ours
from lab import Scenario, wait_until
from protocol import CONFIRM, add_identity, frame, sign_request
from softkey import SoftKey
from swtpm import Swtpm

PIN, WRONG = 'correct horse 42', 'wrong horse'
PR_SET_NAME = 15  # prctl(2)
HOSTILE = 'a\x1b[31m\x07\x9b\u202eb\u2066\u200b\nc'


def set_name(name):
    ctypes.CDLL(None).prctl(PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)


@ours
class PinDialogue(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '32', '-t', '600', '-l', '600')

    def agent(self, *answers, options=(), **more):
        self.askpass = Askpass(self.lab, *answers)
        return Agent(self.lab, *options, env=self.askpass.env, **more)

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

    def signs(self, agent, key):
        return agent.ssh_keygen_sign(key).returncode == 0

    def test_the_prompt_names_the_key_and_its_fingerprint(self):
        key = self.lab.make_key('x', pin=PIN, comment='my work key')
        agent = self.agent(PIN)
        agent.sign_and_check(key)
        question, = self.askpass.questions()
        self.assertIn('my work key', question)
        self.assertIn(self.lab.fingerprint(key), question)
        self.assertIn('ssh-keygen', question)
        self.assertNotIn('SSH_ASKPASS_PROMPT', self.askpass.environment(1))  # which would hide the input

    def test_the_prompt_names_who_asks_and_up_to_three_parents(self):
        key = self.lab.make_key('x', pin=PIN)
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

    def test_each_prompt_tells_how_many_tries_are_left(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '7', '-t', '600', '-l', '600')
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(WRONG, WRONG, PIN)
        agent.sign_and_check(key)
        questions = self.askpass.questions()
        self.assertEqual([int(re.search(r'\b(\d+) tries', question)[1]) for question in questions], [7, 6, 5])
        self.assertNotRegex(questions[0], '(?i)wrong')
        for question in questions[1:]:
            self.assertRegex(question, '(?i)wrong')

    def test_a_wrong_pin_asks_again_three_times_in_all(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(WRONG, WRONG, WRONG, PIN)
        self.assertFalse(self.signs(agent, key))
        self.assertEqual(len(self.askpass.questions()), 3)
        self.assertEqual(self.tpm.wrong_tries(), 3)
        agent.sign_and_check(key)  # the fourth answer is for the next request
        self.assertEqual(len(self.askpass.questions()), 4)

    def test_who_gives_up_is_not_asked_again(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(WRONG)  # from the second question on, askpass fails
        self.assertFalse(self.signs(agent, key))
        self.assertEqual(len(self.askpass.questions()), 2)
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_the_last_try_is_told_and_not_spent_on_the_way(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '3', '-t', '600', '-l', '600')
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(WRONG, WRONG, PIN, PIN)
        self.assertFalse(self.signs(agent, key))  # it stopped before the last one
        self.assertEqual(self.tpm.wrong_tries(), 2)
        self.assertTrue(self.signs(agent, key))
        self.assertRegex(self.askpass.questions()[2], '(?i)last try')
        for question in self.askpass.questions()[:2]:
            self.assertNotRegex(question, '(?i)last try')

    def test_in_lockout_nobody_is_asked_and_the_log_says_when_it_ends(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        key, free = self.lab.make_key('x', pin=PIN), self.lab.make_key('free')
        agent = self.agent(WRONG, WRONG, PIN)
        while self.tpm.wrong_tries() < 2:
            self.assertFalse(self.signs(agent, key))
        asked = len(self.askpass.questions())
        self.assertFalse(self.signs(agent, key))
        self.assertEqual(len(self.askpass.questions()), asked)
        self.assertRegex(agent.process.wait_line('lock'), r'lock(out|ed|s)')
        self.assertRegex(agent.log(), r'(?i)lock.*\b(10 minutes|600 s|600 seconds|[0-9]+:[0-9]+|9 minutes)')
        agent.sign_and_check(free)
        self.tpm.tool('tpm2_dictionarylockout', '-c')
        agent.sign_and_check(key)

    def test_a_pin_is_forgotten_some_time_after_its_last_use(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(PIN, PIN, options=('-d', '--pin-lifetime', '3'))
        with agent.connect() as connection:
            self.assertNotIn(None, [connection.sign(key.blob, b'data') for _ in range(2)])
        self.assertEqual(len(self.askpass.questions()), 1)
        agent.process.wait_line('a PIN has reached the end of its time')
        agent.sign_and_check(key)
        self.assertEqual(len(self.askpass.questions()), 2)

    def test_use_keeps_a_pin(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(PIN, PIN, options=('--pin-lifetime', '4'))
        end = time.monotonic() + 6
        with agent.connect() as connection:
            while time.monotonic() < end:
                self.assertIsNotNone(connection.sign(key.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_without_a_cache_each_use_asks(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(PIN, PIN, PIN, options=('--no-cache',))
        for number in range(1, 4):
            self.assertTrue(self.signs(agent, key))
            self.assertEqual(len(self.askpass.questions()), number)

    def test_a_lifetime_that_is_none_is_a_usage_error(self):
        for text in ('', 'soon', '-1', '1x', '99999999999999999999'):
            result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', self.lab.path('a.sock'),
                                  '--pin-lifetime', text)
            self.assert_error(result, status=2, tool='ssh-tpm-agent')

    def test_requests_for_one_key_share_one_prompt(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent()
        fifo = self.askpass.answer_later(1)
        replies = [None] * 3

        def sign(number):
            with agent.connect() as client:
                replies[number] = client.sign(key.blob, b'data')
        threads = [threading.Thread(target=sign, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        with open(fifo, 'w', encoding='utf-8') as answer:
            answer.write(PIN + '\n')
        for thread in threads:
            thread.join()
        self.assertNotIn(None, replies)
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_a_client_that_hangs_up_ends_its_prompt(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent()
        self.askpass.answer_later(1)
        with agent.connect() as client:
            client.send(frame(sign_request(key.blob, b'data')))
            wait_until(self.askpass.questions, 'the question')
            self.assertEqual(len(agent.children()), 1)
        wait_until(lambda: not agent.children(), 'the end of askpass')

    def test_the_prompt_stays_while_another_client_waits_for_it(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent('', PIN)
        os.unlink(os.path.join(self.askpass.folder, 'answer.1'))
        fifo = self.askpass.answer_later(1)
        with agent.connect() as patient:
            with agent.connect() as hasty:
                hasty.send(frame(sign_request(key.blob, b'data')))
                wait_until(self.askpass.questions, 'the question')
                patient.send(frame(sign_request(key.blob, b'data')))
                with agent.connect() as third:
                    self.assertEqual(len(third.list()), 1)  # the loop has seen both by now
            # Whether the first prompt goes on or a second takes its place: the patient one is served.
            wait_until(lambda: len(self.askpass.questions()) == 2 or agent.children(), 'a prompt')
            if len(self.askpass.questions()) == 1:
                try:
                    descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
                    os.write(descriptor, PIN.encode() + b'\n')
                    os.close(descriptor)
                except OSError:
                    pass  # it has just ended
            self.assertEqual(patient.read_frame()[0], 14)

    def test_the_agents_end_ends_the_prompt(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent()
        self.askpass.answer_later(1)
        with agent.connect() as client:
            client.send(frame(sign_request(key.blob, b'data')))
            wait_until(self.askpass.questions, 'the question')
            askpass, = agent.children()
            agent.stop(signal.SIGTERM)
        wait_until(lambda: self.has_ended(askpass), 'the end of askpass')

    @staticmethod
    def has_ended(pid):
        """A process that the lab inherits is a zombie then."""
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
                return file.read().rpartition(')')[2].split()[0] == 'Z'
        except FileNotFoundError:
            return True

    def test_a_file_with_a_hostile_comment_is_skipped_with_tame_words(self):
        key = self.lab.make_key('x', pin=PIN)
        self.put_comment(key, HOSTILE)
        agent = self.agent(PIN)
        self.assertEqual(agent.listed(), [])
        self.assert_tame(agent.process.wait_line('x.tpm'))

    def test_a_long_comment_is_cut(self):
        key = self.lab.make_key('x', pin=PIN)
        self.put_comment(key, 'z' * 900)
        agent = self.agent(PIN)
        agent.sign_and_check(key)
        question, = self.askpass.questions()
        self.assertIn('z' * 100, question)
        self.assertNotIn('z' * 201, question)
        self.assertIn(self.lab.fingerprint(key), question)

    def put_comment(self, key, comment):
        """A key file with a comment that keygen would not write."""
        parts = keyfile.with_field(keyfile.fields(key.tpm), keyfile.DESCRIPTION,
                                   keyfile.tlv(keyfile.UTF8, comment.encode()))
        self.lab.write(key.tpm, keyfile.build(parts), mode=0o600)

    def assert_tame(self, text):
        for mark in '\x1b\x07\x9b\u202e\u2066\u200b':
            self.assertNotIn(mark, text)
        for line in text.split('\n'):
            self.assertFalse(line.startswith('c'), 'a newline came through')

    def test_hostile_process_names_do_not_reach_the_prompt(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(PIN)
        ids = self.ask_as(agent, key, 'b\n\x1b[2Jp', 'a\u202e) \nc')
        question, = self.askpass.questions()
        self.assert_tame(question)
        self.assertNotIn('[2J\n', question)
        for pid in ids:
            self.assertIn(str(pid), question)
        self.assertNotIn('\x1b', agent.log())

    def test_hostile_comments_of_added_keys_do_not_reach_the_question_or_the_log(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        agent = self.agent('yes', options=('-d',))
        with agent.connect() as connection:
            request = add_identity(soft.agent_fields(), HOSTILE.encode() + b'\xff', CONFIRM)
            self.assertEqual(connection.request(request), b'\x06')
            self.assertIsNotNone(connection.sign(soft.key.blob, b'data'))
        self.assert_tame(self.askpass.questions()[0])
        for mark in '\x1b\x9b\u202e':
            self.assertNotIn(mark, agent.log())


if __name__ == '__main__':
    unittest.main()
