#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What happens to a key, or to the agent, while a person types or the TPM works counts: the request is not
served on the terms of before, no PIN is remembered for it, and its question is taken back."""

import contextlib
import os
import signal
import unittest

from agent import Agent, Askpass, add_request, ours
from keys_once import KeysOnce
from lab import read, wait_until
from protocol import (CONFIRM, Connection, destination, frame, hop, lifetime, lock, read_explanation, readable,
                      remove_identity, restrict_destination, sign_request, try_pin, unlock)

PIN = 'correct horse 42'
FAILURE, SUCCESS, SIGN_RESPONSE = b'\x05', b'\x06', 14
PASSWORD = b'open sesame'
LIMIT = 4  # questions at a time


class WithKeys(KeysOnce):
    KEYS = {'x': {'pin': PIN}, 'y': {'pin': PIN}, 'z': {'pin': PIN}, 'u': {'pin': PIN}, 'free': {}, 'other': {}}
    SOFT = ('host',)


@ours
class Meanwhile(WithKeys):
    def setUp(self):
        super().setUp()
        self.only_there = restrict_destination(destination(hop(), hop(b'there', self.soft('host').key.blob)))
        self.key = self.take('x')
        self.askpass = Askpass(self.lab)
        self.fifo = self.askpass.answer_later(1)  # to the second question there is no answer
        self.agent = Agent(self.lab, env=self.askpass.env)
        self.client, self.other = self.agent.connect(), self.agent.connect()
        for connection in (self.client, self.other):
            self.addCleanup(connection.socket.close)

    def does(self, request):
        self.assertEqual(self.other.request(request), SUCCESS)

    def add(self, constraints=b'', key=None):
        self.does(add_request(key or self.key, constraints))

    def lock(self):
        self.does(lock(PASSWORD))

    def remove(self):
        self.does(remove_identity(self.key.blob))

    def come_back(self):
        """From the folder, with all the agent still knows of it: a client that adds a key makes it forget."""
        self.agent.process.popen.send_signal(signal.SIGHUP)
        wait_until(self.other.list, 'the key of the folder')

    @contextlib.contextmanager
    def question(self, text, key=None):
        """A client's request for a signature is open meanwhile, and then a person answers."""
        asked = len(self.askpass.questions())
        self.client.send(frame(sign_request((key or self.key).blob, b'data')))
        wait_until(lambda: len(self.askpass.questions()) > asked, 'the question')
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

    def test_the_same_key_on_the_same_terms_is_served(self):
        for terms in (b'', lifetime(1000)):
            with self.subTest(terms=terms):
                self.add(terms)
                with self.question(PIN):
                    self.add(terms)
                self.assertEqual(self.client.read_frame()[0], SIGN_RESPONSE)
                self.remove()
                self.fifo = self.askpass.answer_later(len(self.askpass.questions()) + 1)

    def test_a_key_that_has_other_terms_now_is_refused(self):
        for number, after in enumerate((CONFIRM, self.only_there, lifetime(1000)), 1):
            with self.subTest(after):
                self.add()
                with self.question(PIN):
                    self.add(after)
                self.assert_refused()
                if number < 3:
                    self.fifo = self.askpass.answer_later(len(self.askpass.questions()) + 1)
        self.assert_forgotten()

    def test_a_yes_is_for_the_terms_of_the_question(self):
        free = self.stocked('free')
        self.add(CONFIRM, free)
        with self.question('yes', free):
            self.add(CONFIRM + self.only_there, free)
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
            self.agent.settle()
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
        self.sign_while(self.lock)
        self.does(unlock(PASSWORD))
        self.assert_forgotten()

    def try_pin_while(self, change):
        os.unlink(self.fifo)  # no question is to be answered
        with self.tpm.stopped():
            self.client.send(frame(try_pin(self.key.blob, PIN.encode())))
            self.agent.settle()
            change()
        self.assertIn('meanwhile', read_explanation(self.client.read_frame())[0])

    def test_a_pin_is_not_kept_for_a_key_that_was_removed(self):
        self.try_pin_while(self.remove)
        self.come_back()
        self.assert_forgotten()

    def test_a_pin_is_not_kept_by_an_agent_that_was_locked(self):
        self.try_pin_while(self.lock)
        self.does(unlock(PASSWORD))
        self.assert_forgotten()


class TakenBack(WithKeys):
    """At once, with its key; and no other question is."""

    def setUp(self):
        super().setUp()
        self.guarded, self.confirmed, self.other = (self.take(name) for name in ('x', 'free', 'other'))
        self.askpass = Askpass(self.lab)
        self.fifos = [self.askpass.answer_later(number) for number in range(1, 4)]
        self.agent = Agent(self.lab, env=self.askpass.env)

    def add(self, key, constraints=b''):
        with self.agent.connect() as client:
            self.assertEqual(client.request(add_request(key, constraints)), SUCCESS)

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
            self.assertEqual(client.read_frame(), FAILURE)
        wait_until(lambda: len(self.agent.children()) == 2 - len(clients), 'the end of askpass')

    def test_by_locking(self):
        self.add(self.confirmed, CONFIRM)
        with self.both_questions() as (first, second, third):
            self.assertEqual(third.request(lock(b'word')), SUCCESS)
            self.assert_taken_back(first, second)

    def test_by_removing_the_key(self):
        self.add(self.confirmed, CONFIRM)
        with self.both_questions() as (first, second, third):
            for key, client in ((self.guarded, first), (self.confirmed, second)):
                self.assertEqual(third.request(remove_identity(self.other.blob)), SUCCESS)
                self.assertEqual(readable([second], 0), [])
                self.assertEqual(third.request(remove_identity(key.blob)), SUCCESS)
                self.assertEqual(client.read_frame(), FAILURE)
                self.add(self.other)
            wait_until(lambda: not self.agent.children(), 'the end of askpass')

    def test_by_removing_all_keys(self):
        for number, remove in enumerate((lambda: self.agent.ssh_add('-D', status=0),
                                         lambda: os.kill(self.agent.process.pid, signal.SIGUSR1)), 1):
            with self.subTest(number), self.agent.connect() as client:
                self.add(self.confirmed, CONFIRM)
                client.send(frame(sign_request(self.confirmed.blob, b'data')))
                wait_until(lambda count=number: len(self.askpass.questions()) == count, 'the question')
                remove()
                self.assertEqual(client.read_frame(), FAILURE)
                wait_until(lambda: not self.agent.children(), 'the end of askpass')

    def test_by_the_end_of_the_key(self):
        self.add(self.confirmed, lifetime(3) + CONFIRM)
        with self.both_questions() as (first, second, _):
            self.assert_taken_back(second)
            self.assertEqual(readable([first], 0), [])
            with open(self.fifos[0], 'w', encoding='utf-8') as window:
                window.write(PIN + '\n')
            self.assertNotEqual(first.read_frame(), FAILURE)


class Wrapped(WithKeys):
    """An askpass that is a shell, which has started the program with the window."""

    SCRIPT = '''#!/bin/sh
echo $$ >> "{folder}/groups"
cat "{folder}/window"
exit 1
'''

    def setUp(self):
        super().setUp()
        self.keys = [self.take(name) for name in 'xyzu']
        os.mkfifo(self.lab.path('window'))
        askpass = self.lab.write('askpass', self.SCRIPT.format(folder=self.lab.folder), mode=0o755)
        self.lab.write('groups', '')
        self.env = {'SSH_ASKPASS': askpass, 'SSH_ASKPASS_REQUIRE': 'force'}

    def running(self):
        """The processes of all questions up to now that have not ended."""
        groups = read(self.lab.path('groups')).split()
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                state, _, group = read(f'/proc/{pid}/stat').rpartition(') ')[2].split()[:3]
                if group in groups and state != 'Z':
                    found.append(pid)
        return found

    def ask(self, stack, agent, keys):
        """Each in a connection of its own, until the window is there."""
        clients = []
        for key in keys:
            clients.append(stack.enter_context(Connection.of_another_process(agent.socket)))
            before = len(self.running())
            clients[-1].send(frame(sign_request(key.blob, b'data')))
            wait_until(lambda count=before: len(self.running()) == count + 2, 'the shell and its program')
        return clients

    def assert_all_gone(self):
        wait_until(lambda: not self.running(), 'the end of the shell and of its program')

    def test_it_goes_when_the_question_does(self):
        agent = Agent(self.lab, env=self.env)
        for take_back in (lambda client: client.socket.close(), lambda _: agent.ssh_add('-D', status=0)):
            with contextlib.ExitStack() as stack:
                client, = self.ask(stack, agent, self.keys[:1])
                take_back(client)
                self.assert_all_gone()
        self.assertNotIn('error: multiple exceptions', agent.log())

    def test_it_goes_with_the_agent(self):
        for how in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM):
            with self.subTest(how), contextlib.ExitStack() as stack:
                agent = Agent(self.lab, env=self.env)
                self.ask(stack, agent, self.keys[:1])
                agent.stop(how)
                self.assert_all_gone()

    def test_a_question_taken_back_leaves_room_for_the_next(self):
        agent = Agent(self.lab, env=self.env)
        for _ in range(2):
            with contextlib.ExitStack() as stack:
                self.ask(stack, agent, self.keys)
                self.assertEqual(len(self.running()), 2 * LIMIT)
            self.assert_all_gone()


if __name__ == '__main__':
    unittest.main()
