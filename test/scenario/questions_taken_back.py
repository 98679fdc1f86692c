#!/usr/bin/env python3
"""A question whose key is locked away, removed or at its end is taken back at once, and no other is."""

import contextlib
import os
import signal
import unittest

from agent import Agent, Askpass
from lab import Scenario, read, wait_until
from protocol import (CONFIRM, FAILURE, SUCCESS, Connection, frame, lifetime, lock, readable, remove_identity,
                      sign_request, tpm_add_key)
from swtpm import Swtpm

PIN = 'correct horse 42'
LIMIT = 4  # questions at a time


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


class Wrapped(Scenario):
    """An askpass that is a shell, which has started the program with the window."""

    SCRIPT = '''#!/bin/sh
echo $$ >> "{folder}/groups"
cat "{folder}/window"
exit 1
'''

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.keys = [self.lab.make_key(f'guarded{number}', pin=PIN) for number in range(LIMIT)]
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
        for take_back in (lambda client: client.socket.close(),
                          lambda _: self.lab.run('ssh-add', '-D', env={'SSH_AUTH_SOCK': agent.socket}, status=0)):
            with contextlib.ExitStack() as stack:
                client, = self.ask(stack, agent, self.keys[:1])
                take_back(client)
                self.assert_all_gone()

    def test_it_goes_with_the_agent(self):
        for how in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM):
            with self.subTest(how), contextlib.ExitStack() as stack:
                agent = Agent(self.lab, env=self.env)
                self.ask(stack, agent, self.keys[:1])
                agent.stop(how)
                self.assert_all_gone()

    def test_a_question_taken_back_leaves_room_for_the_next(self):
        agent = Agent(self.lab, env=self.env)
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                self.ask(stack, agent, self.keys)
                self.assertEqual(len(self.running()), 2 * LIMIT)
            self.assert_all_gone()


if __name__ == '__main__':
    unittest.main()
