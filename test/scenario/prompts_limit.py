#!/usr/bin/env python3
"""Four questions are on a person's screen at most, PINs and confirmations together; the fifth waits."""

import unittest

from agent import Agent, Askpass, ours
from lab import Scenario, wait_until
from protocol import CONFIRM, FAILURE, SIGN_RESPONSE, add_identity, frame, sign_request
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
        keys = []
        with self.agent.connect() as connection:
            for number in range(count):
                soft = SoftKey(self.lab, self.lab.path(f'soft{number}'))
                request = add_identity(soft.agent_fields(), f'<{number}>'.encode(), CONFIRM)
                self.assertEqual(connection.request(request), b'\x06')
                keys.append(soft.key)
        return keys

    def ask_for(self, *keys):
        """A connection for each key, which waits for a signature; they have come in this order."""
        clients = []
        for key in keys:
            clients.append(self.agent.connect())
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

    def test_while_all_places_are_taken_others_are_served(self):
        free = self.lab.make_key('free')
        self.ask_for(*self.keys_to_confirm(LIMIT + 1))
        with self.agent.connect() as connection:
            wait_until(lambda: len(connection.list()) == LIMIT + 2, 'the key of the folder')
            self.assertIsNotNone(connection.sign(free.blob, b'data'))
        self.assert_open(LIMIT, LIMIT)


if __name__ == '__main__':
    unittest.main()
