#!/usr/bin/env python3
"""One client's greed, or a shortage, is not felt by the others. test/bench/load has the figures."""

import os
import random
import resource
import time
import unittest

from agent import Agent, Askpass
from lab import Scenario, wait_until
from protocol import (EXTENSION_FAILURE, FAILURE, IDENTITIES_ANSWER, LOCK, MAX_FRAME, REMOVE_ALL, REMOVE_ALL_RSA,
                      REQUEST_IDENTITIES, SIGN_REQUEST, SIGN_RESPONSE, SUCCESS, UNLOCK, Connection, extension,
                      frame, lock, readable, remove_identity, sign_request, string, tpm_add_key, u32, unlock)
from resources import cpu, descriptors_at_rest, is_sanitized, rss
from swtpm import Swtpm

LIST = frame(bytes([REQUEST_IDENTITIES]))
PIN = 'correct horse 42'
MIB = 1024  # in KiB
SANITIZED = is_sanitized(os.environ['SSH_TPM_BUILD'])


class Limits(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.key = self.lab.make_key('x')

    def connect(self, agent, count):
        """Connections that are closed at the end of the test."""
        connections = [agent.connect() for _ in range(count)]
        for connection in connections:
            self.addCleanup(connection.socket.close)
        return connections

    def growth(self, agent, before):
        """By how many KiB the agent's memory has grown; a sanitizer's is not the agent's."""
        return 0 if SANITIZED else rss(agent.process.pid) - before

    def agent_with_descriptors(self, soft, hard):
        return Agent(self.lab, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))

    def served(self, clients):
        """Those that are answered, until one of them is answered once more and nobody else was."""
        served, waiting = [], clients
        while True:
            ready = readable(waiting, 1 if served else 60)
            if served and not ready:
                served[0].list()
                ready = readable(waiting, 0)
            if not ready:
                return served
            for client in ready:
                self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
            served = served + ready
            waiting = [client for client in waiting if client not in ready]

    def test_more_clients_than_descriptors_wait_and_cost_nothing_until_one_leaves(self):
        agent = self.agent_with_descriptors(32, 64)
        clients = self.connect(agent, 120)
        for client in clients:
            client.send(LIST)
        served = self.served(clients)
        self.assertGreaterEqual(len(served), 45)  # the soft limit alone would allow for fewer
        self.assertLess(len(served), 64)
        waiting = [client for client in clients if client not in served]
        before = cpu(agent.process.pid)
        self.assertEqual(readable(waiting, 1), [])
        self.assertLess(cpu(agent.process.pid) - before, 0.05)
        for client in served[:3]:
            client.socket.close()
            ready = readable(waiting, 60)
            self.assertEqual(len(ready), 1)
            self.assertEqual(ready[0].read_frame()[0], IDENTITIES_ANSWER)
            waiting.remove(ready[0])
        for client in served[3:6]:  # those that are in stay in
            client.send(LIST)
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)

    @unittest.skipIf(SANITIZED, 'UBSan looks at objects through a pipe of its own, which needs descriptors')
    def test_descriptors_that_run_out_meanwhile_are_waited_for(self):
        agent = Agent(self.lab)
        agent.listed()
        pid = agent.process.pid
        wait_until(lambda: len(self.connect(agent, 1)[0].list()) == 1, 'the key')
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors_at_rest(agent), before[1]))
        clients = self.connect(agent, 5)
        for client in clients:
            client.send(LIST)
        agent.process.wait_line('accepting a client')
        spent = cpu(pid)
        self.assertEqual(readable(clients, 2), [])
        self.assertLess(cpu(pid) - spent, 0.05)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        for client in clients:
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
        self.assertEqual(agent.log().count('accepting a client'), 1)

    def test_a_log_that_nobody_reads_stops_nobody(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        path = self.lab.path('unread.sock')
        process = self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--key-dir', self.lab.keys,
                                 preexec_fn=lambda: os.dup2(writing, 2))
        os.close(writing)
        process.wait_line('Agent pid')
        bad = extension(b'session-bind@openssh.com', b'x')  # each costs a line of the log
        with Connection(path) as client, Connection(path) as other:
            for _ in range(5000):
                self.assertEqual(client.request(bad)[0], EXTENSION_FAILURE)
            self.assertEqual(len(other.list()), 1)
            self.assertIsNotNone(other.sign(self.key.blob, b'data'))

    def test_a_signature_is_made_when_all_descriptors_are_in_use(self):
        agent = self.agent_with_descriptors(64, 64)
        clients = self.connect(agent, 120)
        for client in clients:
            client.send(LIST)
        served = self.served(clients)
        served[0].send(frame(sign_request(self.key.blob, b'data')))
        self.assertEqual(served[0].read_frame()[0], SIGN_RESPONSE)

    def assert_malformed_messages_are_refused(self, client, chance):
        good = string(b'ecdsa-sha2-nistp256')  # a body that is wrong only further on
        for number in set(range(256)) - {REQUEST_IDENTITIES, REMOVE_ALL, REMOVE_ALL_RSA}:
            lies = [u32(chance.randrange(1 << 31, 1 << 32)) + chance.randbytes(chance.randrange(300))
                    for _ in range(20)]
            bodies = [b'', b'\0', b'\0\0\0', *lies]
            if number not in (LOCK, UNLOCK):  # whose first string is all there is to them
                bodies += [good + lie for lie in lies]
            for body in bodies:
                self.assertIn(client.request(bytes([number]) + body), (b'\x05', b'\x1c'), (number, body))
        self.assertEqual([blob for blob, _ in client.list()], [self.key.blob])
        self.assertIsNotNone(client.sign(self.key.blob, b'data'))

    def test_malformed_messages_of_every_type_are_refused_and_change_nothing(self):
        chance = random.Random(5)
        agent = Agent(self.lab)
        with agent.connect() as client:
            self.assert_malformed_messages_are_refused(client, chance)
            before = rss(agent.process.pid)  # with the pages of the program that these messages need
            self.assert_malformed_messages_are_refused(client, chance)
        self.assertLess(self.growth(agent, before), MIB)

    def test_memory_follows_the_bytes_that_have_come_and_not_the_length_they_claim(self):
        agent = Agent(self.lab)
        clients = self.connect(agent, 100)
        agent.listed()
        before = rss(agent.process.pid)
        for client in clients:
            client.send(u32(MAX_FRAME) + bytes([SIGN_REQUEST]) * 100)
        self.assertEqual(len(agent.listed()), 1)
        self.assertLess(self.growth(agent, before), MIB)

    def test_a_frame_that_is_begun_must_be_whole_within_half_a_minute(self):
        agent = Agent(self.lab)
        idle, *slow = self.connect(agent, 5)
        begun = time.monotonic()
        for client in slow:
            client.send(LIST * 2 + LIST[:3])
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
        self.assertEqual(readable(slow, 25), [])
        for client in slow:
            self.assertIsNone(client.read_frame())
        self.assertLess(time.monotonic() - begun, 50)
        self.assertEqual(len(idle.list()), 1)

    def test_a_client_that_floods_and_does_not_read_delays_nobody_and_costs_little(self):
        agent = Agent(self.lab)
        agent.listed()
        before = rss(agent.process.pid)
        (greedy,) = self.connect(agent, 1)
        greedy.socket.setblocking(False)
        with agent.connect() as other:
            times = []
            for _ in range(300):
                try:
                    greedy.socket.send(LIST * 1000)
                except BlockingIOError:
                    pass
                start = time.monotonic()
                other.list()
                times.append(time.monotonic() - start)
        self.assertLess(sorted(times)[len(times) // 2], 0.05)
        self.assertLess(self.growth(agent, before), 2 * MIB)

    def assert_others_are_served(self, agent, listed):
        """List, add, remove, lock and unlock answer; the connection's deadline says when that is too late."""
        with agent.connect() as other:
            other.socket.settimeout(20)
            self.assertEqual(len(other.list()), listed)
            self.assertEqual(other.request(remove_identity(self.key.blob))[0], SUCCESS)
            self.assertEqual(len(other.list()), listed - 1)
            with open(self.key.tpm, 'rb') as file:
                self.assertEqual(other.request(tpm_add_key(file.read()))[0], SUCCESS)
            self.assertEqual(len(other.list()), listed)
            self.assertEqual(other.request(lock(b'a word'))[0], SUCCESS)
            self.assertEqual(other.list(), [])
            self.assertEqual(other.request(unlock(b'a word'))[0], SUCCESS)
            self.assertEqual(len(other.list()), listed)
            self.assertEqual(other.request(b'\xc8')[0], FAILURE)

    def test_all_but_its_own_request_is_answered_while_a_prompt_is_open(self):
        key = self.lab.make_key('pin', pin=PIN)
        askpass = Askpass(self.lab)
        askpass.answer_later(1)
        agent = Agent(self.lab, env=askpass.env)
        (asking,) = self.connect(agent, 1)
        asking.send(frame(sign_request(key.blob, b'data')))
        wait_until(askpass.questions, 'the question')
        self.assert_others_are_served(agent, 2)
        self.assertEqual(asking.read_frame()[0], FAILURE)  # the lock has taken the question back

    def test_all_but_the_tpms_work_is_done_while_the_tpm_hangs(self):
        agent = Agent(self.lab)
        (waiting,) = self.connect(agent, 1)
        with self.tpm.stopped():
            waiting.send(frame(sign_request(self.key.blob, b'data')))
            self.assert_others_are_served(agent, 1)
            self.assertEqual(readable([waiting], 0), [])
        self.assertEqual(waiting.read_frame()[0], FAILURE)  # the lock has ended the request


if __name__ == '__main__':
    unittest.main()
