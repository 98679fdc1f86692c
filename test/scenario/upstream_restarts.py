#!/usr/bin/env python3
"""Agents behind ours come, go and come back, or lead back to ours: whoever is connected just goes on."""

import os
import unittest

from agent import Agent, Askpass
from lab import Scenario, wait_until
from protocol import FAILURE, frame, sign_request, string
from resources import cpu, descriptors, descriptors_at_rest
from swtpm import Swtpm
from upstream import SshAgent, TwoBehind


class ComingAndGoing(TwoBehind):
    def test_one_that_is_not_there_at_the_start_may_come(self):
        a = self.soft('a')
        self.first.kill()
        self.start()
        with self.agent.connect() as client:
            for _ in range(3):
                self.assertEqual([blob for blob, _ in client.list()], [self.own.blob])
            self.first.restart()
            self.give(self.first, a)
            self.assertEqual([blob for blob, _ in client.list()], [self.own.blob, a.blob])
            self.assertIsNotNone(client.sign(a.blob, b'data'))
        about = [line for line in self.agent.log().splitlines() if self.first.socket in line]
        self.assertEqual(len(about), 2)  # that it is not there, and that it is

    def test_a_path_where_nothing_is_at_all(self):
        os.makedirs(self.lab.path('folder'))
        self.lab.write('file', '')
        options = [word for path in ('absent', 'no/such/folder', 'folder', 'file')
                   for word in ('-A', self.lab.path(path))]
        self.start(*options)
        for _ in range(3):
            self.assert_lists(self.own)
        self.agent.sign_and_check(self.own)
        self.agent.stop()
        for path in ('absent', 'no/such/folder', 'folder', 'file'):
            self.assertEqual(self.agent.log().count(self.lab.path(path) + ':'), 1, self.agent.log())

    def test_one_that_is_killed_and_started_anew_goes_on_over_the_same_connection(self):
        a, b = self.soft('a'), self.soft('b')
        self.give(self.first, a)
        self.start()
        with self.agent.connect() as client:
            self.assertEqual([blob for blob, _ in client.list()], [self.own.blob, a.blob])
            self.first.kill()
            self.assertEqual([blob for blob, _ in client.list()], [self.own.blob])
            self.assertIsNone(client.sign(a.blob, b'data'))
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))
            self.first.restart()
            self.give(self.first, b)
            self.assertEqual([blob for blob, _ in client.list()], [self.own.blob, b.blob])
            self.assertIsNotNone(client.sign(b.blob, b'data'))

    def test_one_that_was_started_anew_between_two_requests_is_not_missed(self):
        a = self.soft('a')
        self.give(self.first, a)
        self.start()
        with self.agent.connect() as client:
            self.assertIsNotNone(client.sign(a.blob, b'data'))
            self.first.kill()
            self.first.restart()
            self.give(self.first, a)
            self.assertIsNotNone(client.sign(a.blob, b'data'))

    def test_one_that_is_killed_while_it_asks(self):
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        asking_agent = SshAgent(self.lab, 'asking', env=askpass.env)
        a = self.soft('a')
        asking_agent.ssh_add('-q', '-c', a.path, status=0)
        self.start(others=(asking_agent,))
        with self.agent.connect() as client:
            client.send(frame(sign_request(a.blob, b'data')))
            wait_until(askpass.questions, 'the question')
            asking_agent.kill()
            with open(fifo, 'w', encoding='ascii') as answer:
                answer.write('\n')
            self.assertEqual(client.read_frame(), bytes([FAILURE]))
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))

    def test_each_client_has_a_connection_of_its_own_there_which_ends_with_it(self):
        self.start(others=(self.first,))
        idle = descriptors_at_rest(self.first)
        clients = [self.agent.connect() for _ in range(5)]
        for client in clients:
            self.addCleanup(client.socket.close)
        for client in clients:
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))
        self.assertEqual(descriptors_at_rest(self.first), idle)  # none before it is needed
        for client in clients:
            client.list()
        self.assertEqual(descriptors_at_rest(self.first), idle + 5)
        clients[0].list()
        self.assertEqual(descriptors_at_rest(self.first), idle + 5)
        for client in clients:
            client.socket.close()
        wait_until(lambda: descriptors_at_rest(self.first) == idle, 'the end of the connections')


class Circles(Scenario):
    """An agent that is behind itself."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.own = self.lab.make_key('own')

    def check(self, *agents):
        agent = agents[0]
        for _ in range(3):
            self.assertEqual(agent.listed(), [self.own.line])
            agent.sign_and_check(self.own)
        with agent.connect() as client:
            client.socket.settimeout(20)
            self.assertIsNone(client.sign(string(b'ssh-ed25519') + string(bytes(32)), b'data'))
        wait_until(lambda: max(descriptors(each.process.pid) for each in agents) < 100, 'the circle to end')
        before = [cpu(each.process.pid) for each in agents]
        self.assertEqual(agent.listed(), [self.own.line])
        for each, spent in zip(agents, before):
            self.assertLess(cpu(each.process.pid) - spent, 0.5)
        agent.ssh_add('-q', '-D', status=0)
        self.assertEqual(agent.listed(), [])
        for each in agents:
            each.stop()

    def test_its_own_socket(self):
        self.check(Agent(self.lab, '-A', self.lab.path('agent.sock')))

    def test_two_that_are_behind_each_other(self):
        self.check(Agent(self.lab, '-A', self.lab.path('b.sock'), name='a'),
                   Agent(self.lab, '-A', self.lab.path('a.sock'), name='b'))


if __name__ == '__main__':
    unittest.main()
