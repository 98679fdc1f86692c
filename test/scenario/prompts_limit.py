#!/usr/bin/env python3
"""Four questions are on a person's screen at most, PINs and confirmations together; the fifth waits. Two of them are
one process's at most, and one is for all that comes from other hosts."""

import os
import signal
import unittest

from agent import Agent, Askpass, ours
from hostkey import HostKey
from lab import Scenario, wait_until
from protocol import CONFIRM, FAILURE, SIGN_RESPONSE, Connection, add_identity, frame, session_bind, sign_request
from softkey import SoftKey
from swtpm import Swtpm

PIN = 'correct horse 42'
LIMIT = 4


@ours
class PromptsLimit(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.askpass = Askpass(self.lab)
        self.agent = Agent(self.lab, env=self.askpass.env)
        self.fifos = {number: self.askpass.answer_later(number) for number in range(1, 3 * LIMIT)}

    def keys_to_confirm(self, count):
        """So many keys of which each use has to be confirmed, with their numbers for names."""
        return self.keys_to_confirm_of(*map(str, range(count)))

    def keys_to_confirm_of(self, *names):
        keys = []
        with self.agent.connect() as connection:
            for name in names:
                soft = SoftKey(self.lab, self.lab.path(f'soft{name}'))
                request = add_identity(soft.agent_fields(), f'<{name}>'.encode(), CONFIRM)
                self.assertEqual(connection.request(request), b'\x06')
                keys.append(soft.key)
        return keys

    def ask_for(self, *keys, connect=Connection.of_another_process):
        """A connection for each key, which waits for a signature; they have come in this order."""
        clients = []
        for key in keys:
            clients.append(connect(self.agent.socket))
            self.addCleanup(clients[-1].socket.close)
            clients[-1].send(frame(sign_request(key.blob, b'data')))
            self.settle()
        return clients

    def settle(self):
        """The agent has seen all that was sent until now, and started what it starts for that."""
        with self.agent.connect() as other:
            for _ in range(3):
                other.list()

    def answer(self, number, text):
        """To the question with this number, counted from 1."""
        self.wait_questions(number)
        with open(self.fifos[number], 'w', encoding='ascii') as file:
            file.write(text + '\n')

    def wait_questions(self, count):
        return wait_until(lambda: len(self.askpass.questions()) >= count and self.askpass.questions(),
                          f'{count} questions')

    def assert_open(self, count, asked):
        """So many are open, and so many were asked in all."""
        self.wait_questions(asked)
        self.settle()
        self.assertEqual(len(self.agent.children()), count)
        self.assertEqual(len(self.askpass.questions()), asked)

    def test_the_fifth_waits_and_is_asked_when_one_is_answered(self):
        keys = self.keys_to_confirm(LIMIT + 2)
        clients = self.ask_for(*keys)
        self.assert_open(LIMIT, LIMIT)
        # Each question is one client's; which of the four was asked first is not said.
        for number in range(1, LIMIT + 3):
            self.answer(number, 'yes')
            still_open = min(LIMIT, LIMIT + 2 - number)
            wait_until(lambda: len(self.agent.children()) == still_open, f'{still_open} questions')
            self.assert_open(still_open, min(LIMIT + number, LIMIT + 2))
        for client in clients:
            self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
        asked = self.askpass.questions()
        self.assertEqual(len(asked), LIMIT + 2)
        for number in (LIMIT, LIMIT + 1):  # they are served in their order
            self.assertIn(f"'<{number}>'", asked[number])

    def test_a_no_makes_room_too(self):
        clients = self.ask_for(*self.keys_to_confirm(LIMIT + 1))
        self.assert_open(LIMIT, LIMIT)
        for number in range(1, LIMIT + 2):
            self.answer(number, 'no')
        for client in clients:
            self.assertEqual(client.read_frame()[0], FAILURE)
        self.assert_open(0, LIMIT + 1)

    def test_pins_and_confirmations_count_together(self):
        guarded = [self.lab.make_key(f'pin{number}', pin=PIN) for number in range(3)]
        with self.agent.connect() as connection:
            wait_until(lambda: len(connection.list()) == len(guarded), 'the keys of the folder')
        clients = self.ask_for(*self.keys_to_confirm(3), *guarded)
        self.assert_open(LIMIT, LIMIT)
        for number in range(1, 7):
            question = self.wait_questions(number)[number - 1]
            self.answer(number, PIN if 'Enter PIN' in question else 'yes')
        for client in clients:
            self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_who_waits_for_another_ones_prompt_takes_no_place(self):
        guarded = self.lab.make_key('pin', pin=PIN)
        with self.agent.connect() as connection:
            wait_until(connection.list, 'the key of the folder')
        waiting = self.ask_for(*[guarded] * LIMIT)
        others = self.ask_for(*self.keys_to_confirm(LIMIT - 1))
        self.assert_open(LIMIT, LIMIT)
        for number in range(1, LIMIT + 1):
            question = self.wait_questions(number)[number - 1]
            self.answer(number, PIN if 'Enter PIN' in question else 'yes')
        for client in waiting + others:
            self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
        self.assert_open(0, LIMIT)

    def test_a_client_that_hangs_up_frees_its_place(self):
        clients = self.ask_for(*self.keys_to_confirm(LIMIT + 1))
        self.assert_open(LIMIT, LIMIT)
        clients[0].socket.close()
        self.assertIn(f"'<{LIMIT}>'", self.wait_questions(LIMIT + 1)[-1])
        self.assert_open(LIMIT, LIMIT + 1)
        self.answer(LIMIT + 1, 'yes')
        self.assertEqual(clients[LIMIT].read_frame()[0], SIGN_RESPONSE)

    def test_a_client_that_hangs_up_while_it_waits_is_passed_over(self):
        keys = self.keys_to_confirm(LIMIT + 2)
        clients = self.ask_for(*keys)
        self.assert_open(LIMIT, LIMIT)
        clients[LIMIT].socket.close()
        self.settle()
        clients[0].socket.close()
        self.assertIn(f"'<{LIMIT + 1}>'", self.wait_questions(LIMIT + 1)[-1])
        self.assert_open(LIMIT, LIMIT + 1)
        self.answer(LIMIT + 1, 'yes')
        self.assertEqual(clients[LIMIT + 1].read_frame()[0], SIGN_RESPONSE)

    def test_places_do_not_get_lost(self):
        """Many clients come and hang up, with a question on the screen or in the queue."""
        rounds, (key,) = 5, self.keys_to_confirm(1)
        for number in range(len(self.fifos) + 1, (rounds + 1) * (LIMIT + 3)):
            self.askpass.answer_later(number)  # no question ends by itself
        for _ in range(rounds):
            for client in self.ask_for(*[key] * (LIMIT + 3)):
                client.socket.close()
            wait_until(lambda: not self.agent.children(), 'the end of all questions')
        self.ask_for(*[key] * (LIMIT + 1))
        self.assertEqual(len(self.agent.children()), LIMIT)

    def test_one_process_has_two_questions_open_and_the_next_is_another_ones(self):
        *keys, last = self.keys_to_confirm(5)
        many = self.ask_for(*(keys * 15), connect=Connection)
        self.assert_open(2, 2)
        (other,) = self.ask_for(last)
        self.assert_open(3, 3)
        self.assertIn("'<4>'", self.askpass.questions()[2])
        self.answer(3, 'yes')
        self.assertEqual(other.read_frame()[0], SIGN_RESPONSE)
        for client in many:
            client.socket.close()

    def test_processes_that_wait_take_turns(self):
        keys = self.keys_to_confirm(LIMIT)
        self.ask_for(*keys)
        self.assert_open(LIMIT, LIMIT)
        one, two = self.keys_to_confirm_of('one', 'two')
        self.ask_for(*[one] * 20, connect=Connection)
        self.ask_for(two)
        for number, name in enumerate(('one', 'two', 'one'), 1):
            self.answer(number, 'no')
            self.assertIn(f"'<{name}>'", self.wait_questions(LIMIT + number)[-1])

    def test_the_pin_of_one_key_is_asked_for_by_turns(self):
        """Else a process that asks without end keeps the others from a key that all of them use."""
        key = self.lab.make_key('shared', pin=PIN)
        with self.agent.connect() as connection:
            wait_until(connection.list, 'the key of the folder')
        many = self.ask_for(*[key] * 20, connect=Connection)
        (other,) = self.ask_for(key)
        self.assert_open(1, 1)
        self.fail_question(1)
        self.assertIn(f'pid {os.getpid()}', self.askpass.questions()[0])
        self.assertNotIn(f'pid {os.getpid()}', self.wait_questions(2)[1])
        self.answer(2, PIN)
        for client in (other, *many[1:]):  # the PIN is known to all of them
            self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
        self.assertEqual(len(self.askpass.questions()), 2)

    def fail_question(self, number):
        self.wait_questions(number)
        os.kill(self.agent.children()[0], signal.SIGKILL)

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

    def test_while_all_places_are_taken_others_are_served(self):
        free = self.lab.make_key('free')
        self.ask_for(*self.keys_to_confirm(LIMIT + 1))
        with self.agent.connect() as connection:
            wait_until(lambda: len(connection.list()) == LIMIT + 2, 'the key of the folder')
            self.assertIsNotNone(connection.sign(free.blob, b'data'))
        self.assert_open(LIMIT, LIMIT)


if __name__ == '__main__':
    unittest.main()
