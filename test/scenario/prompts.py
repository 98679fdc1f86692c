#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Several questions at once: each is answered for its own key, nobody else waits for them, and four are on a person's
screen at most, two of one process and one of all that comes from other hosts."""

import contextlib
import os
import re
import unittest

from agent import Agent, Askpass, add_request, ours, verify
from hostkey import HostKey
from keys_once import KeysOnce
from lab import wait_until
from protocol import (CONFIRM, FAILURE, SIGN_RESPONSE, SUCCESS, Connection, frame, read_signature, readable,
                      session_bind, sign_request)

PIN = 'correct horse 42'
LIMIT = 4


class WithQuestions(KeysOnce):
    """No question ends by itself."""

    def setUp(self):
        super().setUp()
        self.askpass = Askpass(self.lab)
        self.fifos = {number: self.askpass.answer_later(number) for number in range(1, 3 * LIMIT)}

    def wait_questions(self, count):
        return wait_until(lambda: len(self.askpass.questions()) >= count and self.askpass.questions(),
                          f'{count} questions')

    def answer(self, number, text):
        """To the question with this number, counted from 1."""
        self.wait_questions(number)
        with open(self.fifos[number], 'w', encoding='utf-8') as file:
            file.write(text + '\n')


class TwoPrompts(WithQuestions):
    KEYS = {'one': {'pin': 'pin of one'}, 'two': {'pin': 'pin of two'}}

    def setUp(self):
        super().setUp()
        self.keys = {name: self.take(name) for name in self.KEYS}
        self.agent = Agent(self.lab, env=self.askpass.env)

    @contextlib.contextmanager
    def asking(self, *names):
        """A client for each, which has asked for a signature."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.agent.connect()) for _ in names]
            for name, client in zip(names, clients):
                client.send(frame(sign_request(self.keys[name].blob, b'data for ' + name.encode())))
            yield clients

    def windows(self, count):
        """The numbers of so many questions, by the name of the key."""
        def whole():  # and not about to be written down
            questions = self.askpass.questions()
            return len(questions) == count and all('key ' in each for each in questions) and questions
        return {re.search("key '(.*)'", question)[1]: number
                for number, question in enumerate(wait_until(whole, f'{count} questions'), 1)}

    def assert_signed(self, client, name):
        verify(self.lab, self.keys[name], *read_signature(client.read_frame()), b'data for ' + name.encode())

    def test_both_windows_are_open_and_each_answer_is_for_its_own_key(self):
        with self.asking('one', 'two') as (one, two):
            windows = self.windows(2)
            self.assertEqual(sorted(windows), ['one', 'two'])
            self.assertEqual(readable([one, two], 0), [])
            self.answer(windows['one'], 'pin of one')
            self.assert_signed(one, 'one')
            self.assertEqual(readable([two], 0), [])
            self.answer(windows['two'], 'pin of two')
            self.assert_signed(two, 'two')
        with self.asking('two', 'one') as (two, one):  # both are known now
            self.assert_signed(two, 'two')
            self.assert_signed(one, 'one')
        self.assertEqual(len(self.askpass.questions()), 2)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_answers_in_the_wrong_windows_open_nothing(self):
        with self.asking('one', 'two') as (one, two):
            windows = self.windows(2)
            self.answer(windows['one'], 'pin of two')
            again = self.windows(3)  # asked again, of the key that it was wrong for
            self.assertEqual(again['one'], 3)
            self.assertIn('wrong', self.askpass.questions()[2])
            self.assertEqual(readable([one, two], 0), [])
            self.answer(windows['two'], 'pin of two')
            self.assert_signed(two, 'two')
            self.answer(3, 'pin of one')
            self.assert_signed(one, 'one')
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_two_clients_of_one_key_share_a_window(self):
        with self.asking('one', 'one', 'two') as (first, second, other):
            windows = self.windows(2)
            self.agent.settle()
            self.assertEqual(len(self.askpass.questions()), 2)
            self.answer(windows['one'], 'pin of one')
            for client in (first, second):
                self.assert_signed(client, 'one')
            self.assertEqual(readable([other], 0), [])
        self.assertEqual(len(self.askpass.questions()), 2)

    def test_a_client_that_leaves_takes_its_own_window_along_and_no_other(self):
        with self.asking('one') as (one,):
            self.windows(1)
            with self.asking('two'):
                self.windows(2)
                self.assertEqual(len(self.agent.children()), 2)
            wait_until(lambda: len(self.agent.children()) == 1, 'the end of the window')
            self.answer(1, 'pin of one')
            self.assert_signed(one, 'one')

    def test_a_client_that_shares_a_window_has_it_when_the_first_one_leaves(self):
        with self.asking('one') as (leaving,):
            self.windows(1)
            with self.asking('one') as (staying,):
                self.agent.settle()
                leaving.socket.close()
                self.answer(2, 'pin of one')
                self.assert_signed(staying, 'one')

    def test_a_window_has_nothing_open_of_the_agents(self):
        """Neither other clients' connections, through which it could sign, nor the TPM's: while somebody else
        has it open, an emulator serves nobody."""
        with self.agent.connect() as idle, self.asking('one', 'two'):
            idle.list()
            self.windows(2)
            for pid in self.agent.children():
                for name in os.listdir(f'/proc/{pid}/fd'):
                    with contextlib.suppress(FileNotFoundError):  # the shell has closed it meanwhile
                        self.assertNotIn('socket:', os.readlink(f'/proc/{pid}/fd/{name}'))

@ours
class Limit(WithQuestions):
    KEYS = {'guarded': {'pin': PIN}, 'free': {},
            **{str(number): {'comment': f'<{number}>'} for number in range(LIMIT + 2)}}

    def setUp(self):
        super().setUp()
        self.agent = Agent(self.lab, env=self.askpass.env)

    def keys_to_confirm(self, count):
        """So many keys of which each use has to be confirmed, with their numbers for names."""
        keys = [self.stocked(str(number)) for number in range(count)]
        with self.agent.connect() as connection:
            for key in keys:
                self.assertEqual(connection.request(add_request(key, CONFIRM)), bytes([SUCCESS]))
        return keys

    def ask_for(self, *keys, connect=Connection.of_another_process):
        """A connection for each key, which waits for a signature; they have come in this order."""
        clients = []
        for key in keys:
            clients.append(connect(self.agent.socket))
            self.addCleanup(clients[-1].socket.close)
            clients[-1].send(frame(sign_request(key.blob, b'data')))
            self.agent.settle()
        return clients

    def answer_with_yes_or_pin(self, number):
        question = self.wait_questions(number)[number - 1]
        self.answer(number, PIN if 'Enter PIN' in question else 'yes')

    def assert_open(self, count, asked):
        """So many are open, and so many were asked in all."""
        self.wait_questions(asked)
        self.agent.settle()
        self.assertEqual(len(self.agent.children()), count)
        self.assertEqual(len(self.askpass.questions()), asked)

    def test_the_fifth_waits_and_is_asked_when_one_is_answered_with_yes_or_no(self):
        clients = self.ask_for(*self.keys_to_confirm(LIMIT + 2))
        self.assert_open(LIMIT, LIMIT)
        # Each question is one client's; which of the four was asked first is not said.
        for number in range(1, LIMIT + 3):
            self.answer(number, 'no' if number % 2 else 'yes')
            still_open = min(LIMIT, LIMIT + 2 - number)
            wait_until(lambda: len(self.agent.children()) == still_open, f'{still_open} questions')
            self.assert_open(still_open, min(LIMIT + number, LIMIT + 2))
        replies = [client.read_frame()[0] for client in clients]
        self.assertEqual(sorted(replies), [FAILURE] * 3 + [SIGN_RESPONSE] * 3)
        asked = self.askpass.questions()
        for number in (LIMIT, LIMIT + 1):  # they are served in their order
            self.assertIn(f"'<{number}>'", asked[number])

    def test_who_waits_for_another_ones_prompt_takes_no_place(self):
        guarded, free = self.take('guarded'), self.take('free')
        self.agent.wait_until_listed([guarded.line, free.line])
        waiting = self.ask_for(*[guarded] * LIMIT)
        others = self.ask_for(*self.keys_to_confirm(LIMIT))
        self.assert_open(LIMIT, LIMIT)
        with self.agent.connect() as connection:  # while all places are taken, others are served
            self.assertIsNotNone(connection.sign(free.blob, b'data'))
        for number in range(1, LIMIT + 2):
            self.answer_with_yes_or_pin(number)
        for client in waiting + others:
            self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
        self.assert_open(0, LIMIT + 1)

    def test_a_client_that_hangs_up_frees_its_place_and_is_passed_over_while_it_waits(self):
        clients = self.ask_for(*self.keys_to_confirm(LIMIT + 2))
        self.assert_open(LIMIT, LIMIT)
        clients[LIMIT].socket.close()
        self.agent.settle()
        clients[0].socket.close()
        self.assertIn(f"'<{LIMIT + 1}>'", self.wait_questions(LIMIT + 1)[-1])
        self.assert_open(LIMIT, LIMIT + 1)
        self.answer(LIMIT + 1, 'yes')
        self.assertEqual(clients[LIMIT + 1].read_frame()[0], SIGN_RESPONSE)

    def test_one_process_has_two_questions_open_and_the_next_is_another_ones(self):
        """A PIN and a confirmation count alike."""
        guarded = self.take('guarded')
        self.agent.wait_until_listed([guarded.line])
        *keys, last = self.keys_to_confirm(5)
        many = self.ask_for(guarded, *(keys * 3), connect=Connection)
        self.assert_open(2, 2)
        (other,) = self.ask_for(last)
        self.assert_open(3, 3)
        self.assertIn("'<4>'", self.askpass.questions()[2])
        self.answer(3, 'yes')
        self.assertEqual(other.read_frame()[0], SIGN_RESPONSE)
        for client in many:
            client.socket.close()

    def test_all_that_comes_from_other_hosts_has_one_question_open(self):
        (key,) = self.keys_to_confirm(1)
        host = HostKey(self.lab)
        forwarded = []
        for number in range(3):
            client = Connection.of_another_process(self.agent.socket)
            self.addCleanup(client.socket.close)
            bind = session_bind(host, f'session {number}'.encode(), forwarding=True)
            self.assertEqual(client.request(bind), b'\x06')
            client.send(frame(sign_request(key.blob, b'data')))
            forwarded.append(client)
        self.assert_open(1, 1)
        (here,) = self.ask_for(key)
        self.assert_open(2, 2)
        self.assertIn('from another host', self.askpass.questions()[0])
        self.assertNotIn('from another host', self.askpass.questions()[1])
        self.answer(2, 'yes')
        self.assertEqual(here.read_frame()[0], SIGN_RESPONSE)
        for number in (1, 3, 4):
            self.answer(number, 'no')
        for client in forwarded:
            self.assertEqual(client.read_frame()[0], FAILURE)


if __name__ == '__main__':
    unittest.main()
