#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One client's greed, or a shortage, is not felt by the others, who have the TPM in turn; and an agent that has served
for long is as it was at first. test/bench/load has the figures."""

import contextlib
import os
import resource
import signal
import time
import unittest

from agent import Agent, Askpass, add_request
from bus import signatures
from lab import ALL, Scenario, slow, wait_until
from protocol import (EXTENSION_FAILURE, FAILURE, IDENTITIES_ANSWER, MAX_FRAME, REQUEST_IDENTITIES, RSA_SHA2_256,
                      SIGN_REQUEST, SIGN_RESPONSE, SUCCESS, Connection, extension, frame, lock, read_signature,
                      readable, remove_identity, sign_request, u32, unlock)
from resources import cpu, descriptors, descriptors_at_rest, is_sanitized, rss
from softkey import SoftKey
from swtpm import Probe, Swtpm

LIST = frame(bytes([REQUEST_IDENTITIES]))
PIN = 'correct horse 42'
MIB = 1024  # in KiB
QUEUED = 1000  # signatures that a greedy client asks for
LARGE = 150  # bytes of a reply: of a signature with P-521, not with P-256
SANITIZED = is_sanitized(os.environ['SSH_TPM_BUILD'])


class Limits(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.key = self.lab.make_key('x')

    def growth(self, agent, before):
        """By how many KiB the agent's memory has grown; a sanitizer's is not the agent's."""
        return 0 if SANITIZED else rss(agent.process.pid) - before

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
        agent = Agent(self.lab, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (32, 64)))
        clients = self.connect(agent, 120)
        for client in clients:
            client.send(LIST)
        served = self.served(clients)
        self.assertGreaterEqual(len(served), 45)  # the soft limit alone would allow for fewer
        self.assertLess(len(served), 64)
        waiting = [client for client in clients if client not in served]
        before = cpu(agent.process.pid)
        self.assertEqual(readable(waiting, 1), [])
        self.assertLess(cpu(agent.process.pid) - before, 0.3)
        for client in served[:3]:
            client.socket.close()
            ready = readable(waiting, 60)
            self.assertEqual(len(ready), 1)
            self.assertEqual(ready[0].read_frame()[0], IDENTITIES_ANSWER)
            waiting.remove(ready[0])
        for client in served[3:6]:  # those that are in stay in, and the TPM works for them
            client.send(LIST)
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
            self.assertIsNotNone(client.sign(self.key.blob, b'data'))

    @unittest.skipIf(SANITIZED, 'UBSan looks at objects through a pipe of its own, which needs descriptors')
    def test_descriptors_that_run_out_meanwhile_are_waited_for(self):
        agent = Agent(self.lab)
        agent.sign_and_check(self.key)  # it has opened the TPM, which takes a descriptor for each command
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
        self.assertLess(cpu(pid) - spent, 0.3)
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
            for _ in range(2000):  # a pipe has room for a thousand
                self.assertEqual(client.request(bad)[0], EXTENSION_FAILURE)
            self.assertEqual(len(other.list()), 1)
            self.assertIsNotNone(other.sign(self.key.blob, b'data'))

    def test_memory_follows_the_bytes_that_have_come_and_not_the_length_they_claim(self):
        agent = Agent(self.lab)
        clients = self.connect(agent, 100)
        for client in clients:
            self.assertEqual(len(client.list()), 1)
        before = rss(agent.process.pid)
        for client in clients:
            client.send(u32(MAX_FRAME) + bytes([SIGN_REQUEST]) * 100)
        self.assertEqual(len(agent.listed()), 1)
        self.assertLess(self.growth(agent, before), MIB)

    def test_a_frame_that_is_begun_must_be_whole_in_time(self):
        """Who has begun none may be idle for ever."""
        limit = self.lab.limit('frame', 0.5, real=30)
        agent = Agent(self.lab)
        idle, *begun = self.connect(agent, 5)
        start = time.monotonic()
        for client in begun:
            client.send(LIST * 2 + LIST[:3])
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
        for client in begun:
            self.assertIsNone(client.read_frame())
            if ALL:
                self.assertGreater(time.monotonic() - start, 0.9 * limit)
        self.assertEqual(len(idle.list()), 1)

    def test_a_frame_that_is_begun_may_come_in_pieces_while_others_are_served(self):
        agent = Agent(self.lab)
        other, *begun = self.connect(agent, 5)
        for size in range(1, len(LIST)):
            for client in begun:
                client.send(LIST[:size])
            for _ in range(3):  # the agent has read that, and been at rest since
                self.assertEqual(len(other.list()), 1)
            self.assertEqual(readable(begun, 0), [])
            for client in begun:
                client.send(LIST[size:])
                self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)

    def test_a_client_that_floods_and_does_not_read_is_read_no_more_and_costs_little_and_others_are_served(self):
        agent = Agent(self.lab)
        agent.listed()
        before, sent, blocked = rss(agent.process.pid), 0, 0
        (greedy,) = self.connect(agent, 1)
        greedy.socket.setblocking(False)
        with agent.connect() as other:
            while blocked < 100:
                try:
                    sent += greedy.socket.send(LIST * 1000)
                    self.assertLess(sent, 16 << 20)
                except BlockingIOError:
                    blocked += 1
                self.assertEqual(len(other.list()), 1)
        self.assertLess(self.growth(agent, before), 2 * MIB)

    def assert_others_are_served(self, agent, listed):
        """List, add, remove, lock and unlock answer."""
        with agent.connect() as other:
            self.assertEqual(len(other.list()), listed)
            for request, left in ((remove_identity(self.key.blob), listed - 1), (add_request(self.key), listed),
                                  (lock(b'a word'), 0), (unlock(b'a word'), listed)):
                self.assertEqual(other.request(request)[0], SUCCESS)
                self.assertEqual(len(other.list()), left)
            self.assertEqual(other.request(b'\xc8')[0], FAILURE)

    def test_all_but_its_own_request_is_answered_while_a_prompt_is_open(self):
        key = self.lab.make_key('pin', pin=PIN)
        askpass = Askpass(self.lab)
        askpass.answer_later(1)
        agent = Agent(self.lab, env=askpass.env)
        (asking,) = self.connect(agent, 1)
        asking.send(frame(sign_request(key.blob, b'data')))
        wait_until(askpass.questions, 'the question')
        with agent.connect() as other:
            self.assertIsNotNone(other.sign(self.key.blob, b'data'))
        self.assertEqual(readable([asking], 0), [])
        self.assert_others_are_served(agent, 2)
        self.assertEqual(asking.read_frame()[0], FAILURE)  # the lock has taken the question back

    def test_all_but_the_tpms_work_is_done_while_the_tpm_hangs(self):
        agent = Agent(self.lab)
        (waiting,) = self.connect(agent, 1)
        with self.tpm.stopped():
            waiting.send(frame(sign_request(self.key.blob, b'data')))
            self.assert_others_are_served(agent, 1)
            self.assertNotIn('did not answer', agent.log())  # they need not wait until it is given up
        self.assertEqual(waiting.read_frame()[0], FAILURE)  # its key was removed meanwhile


class Fairness(Scenario):
    """Who asks for a thousand signatures delays another's single one by one of them."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)
        self.greedy_key = self.lab.make_key('greedy')
        self.key = self.lab.make_key('modest', bits=521)
        self.agent = Agent(self.lab, tcti=self.probe.tcti)
        with self.agent.connect() as client:  # both keys are loaded, and known by their answers
            client.sign(self.greedy_key.blob, b'data')
            client.sign(self.key.blob, b'data')
        small, large = signatures(self.probe.bytes())
        self.assertLess(small, LARGE)
        self.assertGreater(large, LARGE)

    @contextlib.contextmanager
    def greedy(self, count):
        """Clients that have each queued a thousand signatures, and have had one of them."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.agent.connect()) for _ in range(count)]
            for client in clients:
                client.send(frame(sign_request(self.greedy_key.blob, b'mine')) * QUEUED)
            for client in clients:
                self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
            yield clients

    def sent_behind(self, client):
        """Sends the single request while the TPM rests, so that it is certain what was before it: the
        signatures on the bus so far."""
        with self.tpm.stopped():
            client.send(frame(sign_request(self.key.blob, b'yours')))
            self.agent.settle()  # it has read that
            return len(signatures(self.probe.bytes()))

    def delay(self, clients):
        """How many signatures of others come between the request and its answer."""
        with self.agent.connect() as client:
            before = self.sent_behind(client)
            self.assertEqual(read_signature(client.read_frame())[0], 'ecdsa-sha2-nistp521')
        after = signatures(self.probe.bytes())[before:]
        self.assertEqual(len([size for size in after if size > LARGE]), 1)
        self.assertEqual(readable(clients, 60), clients)  # their turn comes, too
        return next(place for place, size in enumerate(after) if size > LARGE)

    def test_each_client_with_a_thousand_signatures_queued_delays_another_by_one(self):
        """With one such client it is the signature that the TPM is making already."""
        for count, rounds in ((1, 10), (5, 5)):
            with self.greedy(count) as clients:
                for _ in range(rounds):
                    self.assertLessEqual(self.delay(clients), count)

    def test_clients_that_have_left_delay_nobody(self):
        idle = descriptors_at_rest(self.agent)
        with self.tpm.stopped():
            before = len(signatures(self.probe.bytes()))
            for _ in range(200):
                with self.agent.connect() as client:
                    client.send(frame(sign_request(self.greedy_key.blob, b'mine')) * 5)
            # One may be under way, which keeps its client's descriptor and has one to the TPM.
            wait_until(lambda: descriptors_at_rest(self.agent) <= idle + 2, 'all that have left to go')
            with self.agent.connect() as client:
                client.send(frame(sign_request(self.key.blob, b'yours')))
                self.agent.settle()
                os.kill(self.tpm.process.pid, signal.SIGCONT)
                self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
        after = signatures(self.probe.bytes())[before:]
        self.assertLessEqual(len([size for size in after if size < LARGE]), 1)

    def test_two_greedy_clients_have_turns(self):
        with self.agent.connect() as one, self.agent.connect() as other:
            with self.tpm.stopped():
                before = len(signatures(self.probe.bytes()))
                one.send(frame(sign_request(self.greedy_key.blob, b'mine')) * 100)
                other.send(frame(sign_request(self.key.blob, b'yours')) * 100)
                self.agent.settle()
            for _ in range(50):
                self.assertEqual(other.read_frame()[0], SIGN_RESPONSE)
            share = [size > LARGE for size in signatures(self.probe.bytes())[before:before + 100]]
            # Not always in turn: who has had an answer must be quick with the next one.
            self.assertIn(sum(share), range(20, 81))

    def test_all_that_was_queued_is_signed_in_its_order(self):
        with self.agent.connect() as client:
            keys = [self.greedy_key, self.key] * 20
            client.send(b''.join(frame(sign_request(key.blob, b'data')) for key in keys))
            algorithms = [read_signature(client.read_frame())[0] for _ in keys]
        self.assertEqual(algorithms, ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp521'] * 20)

class Soak(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.keys = [self.lab.make_key('a'), self.lab.make_key('b', 'rsa', 2048), self.lab.make_key('c', pin=PIN)]
        self.soft = SoftKey(self.lab, self.lab.path('soft'))
        self.askpass = Askpass(self.lab, PIN)
        self.agent = Agent(self.lab, env=self.askpass.env)

    def serve(self, rounds):
        """Clients come, list, sign, leave in the middle, add a key and take it out again."""
        with self.agent.connect() as stays:
            for number in range(rounds):
                key = self.keys[number % len(self.keys)]
                with self.agent.connect() as client:
                    for _ in range(20):
                        client.list()
                    self.assertIsNotNone(client.sign(key.blob, b'data %d' % number, RSA_SHA2_256))
                with self.agent.connect() as hasty:  # goes before it is answered
                    hasty.send(frame(sign_request(key.blob, b'data')))
                with self.agent.connect() as breaks_off:  # and anywhere inside a frame
                    breaks_off.send(frame(sign_request(key.blob, b'data'))[:3 * number + 1])
                if number % 20 == 0:
                    self.agent.ssh_add('-q', self.soft.path, status=0)
                    self.agent.ssh_add('-q', '-d', self.soft.path, status=0)
                self.assertEqual(len(stays.list()), len(self.keys))

    def test_memory_descriptors_and_the_tpm_are_as_before(self, rounds=50):
        pid = self.agent.process.pid
        self.serve(rounds // 2)
        memory, open_files = rss(pid), descriptors(pid)
        self.serve(rounds)
        wait_until(lambda: descriptors(pid) <= open_files, 'the end of all connections')
        if not SANITIZED:
            self.assertLess(rss(pid) - memory, MIB // 2)
        self.assertEqual(len(self.askpass.questions()), 1)
        self.agent.stop()
        self.tpm.assert_no_handles()

    @slow
    def test_so_they_are_after_more_of_it(self):
        self.test_memory_descriptors_and_the_tpm_are_as_before(300)


if __name__ == '__main__':
    unittest.main()
