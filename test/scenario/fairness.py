#!/usr/bin/env python3
"""Clients have the TPM in turn: who asks for a thousand signatures delays another's single one by one."""

import contextlib
import os
import signal
import unittest

from agent import Agent
from bus import signatures
from lab import Scenario, wait_until
from protocol import SIGN_RESPONSE, frame, read_signature, readable, sign_request
from resources import descriptors_at_rest
from swtpm import Probe, Swtpm

QUEUED = 1000


class Fairness(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)
        self.greedy_key = self.lab.make_key('greedy')
        self.key = self.lab.make_key('modest', 'rsa', 2048)
        self.agent = Agent(self.lab, tcti=self.probe.tcti)
        with self.agent.connect() as client:  # both keys are loaded, and known by their answers
            client.sign(self.greedy_key.blob, b'data')
            client.sign(self.key.blob, b'data', 2)
        small, large = signatures(self.probe.bytes())
        self.assertLess(small, 150)
        self.assertGreater(large, 256)

    @contextlib.contextmanager
    def greedy(self, count=1):
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
            client.send(frame(sign_request(self.key.blob, b'yours', 2)))
            with self.agent.connect() as witness:  # that the agent has read it
                witness.list()
                witness.list()
            return len(signatures(self.probe.bytes()))

    def delay(self, clients):
        """How many signatures of others come between the request and its answer."""
        with self.agent.connect() as client:
            before = self.sent_behind(client)
            self.assertEqual(read_signature(client.read_frame())[0], 'rsa-sha2-256')
        after = signatures(self.probe.bytes())[before:]
        self.assertEqual(len([size for size in after if size > 256]), 1)
        self.assertEqual(readable(clients, 60), clients)  # their turn comes, too
        return next(place for place, size in enumerate(after) if size > 256)

    def test_one_client_with_a_thousand_delays_another_by_one(self):
        with self.greedy() as clients:
            for _ in range(10):
                # That which the TPM works on, which no agent can take back.
                self.assertLessEqual(self.delay(clients), 1)

    def test_each_of_several_delays_it_by_one(self):
        with self.greedy(5) as clients:
            for _ in range(5):
                self.assertLessEqual(self.delay(clients), 5)

    def test_clients_that_have_left_delay_nobody(self):
        idle = descriptors_at_rest(self.agent)
        with self.tpm.stopped():
            before = len(signatures(self.probe.bytes()))
            for _ in range(200):
                with self.agent.connect() as client:
                    client.send(frame(sign_request(self.greedy_key.blob, b'mine')))
            # One may be under way, which keeps its client's descriptor and has one to the TPM.
            wait_until(lambda: descriptors_at_rest(self.agent) <= idle + 2, 'all that have left to go')
            with self.agent.connect() as client:
                client.send(frame(sign_request(self.key.blob, b'yours', 2)))
                with self.agent.connect() as witness:
                    witness.list()
                    witness.list()
                os.kill(self.tpm.process.pid, signal.SIGCONT)
                self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
        after = signatures(self.probe.bytes())[before:]
        self.assertLessEqual(len([size for size in after if size < 256]), 1)

    def test_two_greedy_clients_have_turns(self):
        with self.agent.connect() as one, self.agent.connect() as other:
            with self.tpm.stopped():
                before = len(signatures(self.probe.bytes()))
                one.send(frame(sign_request(self.greedy_key.blob, b'mine')) * 100)
                other.send(frame(sign_request(self.key.blob, b'yours', 2)) * 100)
                with self.agent.connect() as witness:
                    witness.list()
                    witness.list()
            for _ in range(50):
                self.assertEqual(other.read_frame()[0], SIGN_RESPONSE)
            share = [size > 256 for size in signatures(self.probe.bytes())[before:before + 100]]
            # Not always in turn: who has had an answer must be quick with the next one.
            self.assertIn(sum(share), range(30, 71))

    def test_all_that_was_queued_is_signed_in_its_order(self):
        with self.agent.connect() as client:
            keys = [self.greedy_key, self.key] * 20
            client.send(b''.join(frame(sign_request(key.blob, b'data', 2)) for key in keys))
            algorithms = [read_signature(client.read_frame())[0] for _ in keys]
        self.assertEqual(algorithms, ['ecdsa-sha2-nistp256', 'rsa-sha2-256'] * 20)

    def test_a_greedy_client_that_leaves_takes_its_queue_along(self):
        with self.greedy():
            pass
        with self.agent.connect() as client:
            before = self.sent_behind(client)
            client.read_frame()
            for _ in range(20):
                self.assertIsNotNone(client.sign(self.key.blob, b'yours', 2))
        after = signatures(self.probe.bytes())[before:]
        self.assertLessEqual(len([size for size in after if size < 256]), 1)


if __name__ == '__main__':
    unittest.main()
