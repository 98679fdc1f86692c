#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No signature leaves once a lock or the removal of its key was answered, whatever had been asked for before."""

import contextlib
import fcntl
import os
import signal
import struct
import termios
import unittest

from agent import Agent, add_request, ours
from bus import signatures
from keys_once import KeysOnce
from lab import wait_until
from protocol import (CONFIRM, FAILURE, REMOVE_ALL, SIGN_REQUEST, SIGN_RESPONSE, SUCCESS, frame, lifetime, lock,
                      remove_identity, sign_request, unlock)
from swtpm import Probe
from upstream import LIST, FakeAgent, identities

CLIENTS = 40
ALL = bytes([REMOVE_ALL])


def waiting(client, direction):
    """How many bytes the agent (TIOCOUTQ) or the client (FIONREAD) has not read."""
    return struct.unpack('i', fcntl.ioctl(client.socket, direction, bytes(4)))[0]


@ours
class NoSignatureAfter(KeysOnce):
    KEYS = {'x': {'kind': 'rsa', 'bits': 2048}}
    SOFT = ('theirs',)

    def setUp(self):
        super().setUp()
        self.probe = Probe(self.tpm)
        self.key = self.take('x')
        self.agent = Agent(self.lab, tcti=self.probe.tcti)
        (self.other,) = self.connect(self.agent, 1)

    def does(self, request):
        self.assertEqual(self.other.request(request), bytes([SUCCESS]))

    def add(self, constraints):
        self.does(add_request(self.key, constraints))

    def ask(self, client):
        client.send(frame(sign_request(self.key.blob, b'data', 2)))

    def wait_for_refusals(self, count):
        wait_until(lambda: self.agent.log().count('sign: refused: meanwhile') >= count, 'a word about each')

    def none_after(self, event):
        """The TPM rests from before the event until it is over: all requests are in its queue, and the first of
        them is on its way."""
        self.assertIsNotNone(self.other.sign(self.key.blob, b'data', 2))
        before = len(signatures(self.probe.bytes()))
        clients = self.connect(self.agent, CLIENTS)
        with self.tpm.stopped():
            for client in clients:
                self.ask(client)
            wait_until(lambda: not any(waiting(client, termios.TIOCOUTQ) for client in clients),
                       'an agent that has read all requests')
            self.other.list()  # and dealt with them
            event()
            # All but the one that the TPM has: their refusal is on its way before the TPM goes on.
            self.wait_for_refusals(CLIENTS - 1)
        for client in clients:
            self.assertEqual(client.read_frame(), bytes([FAILURE]))
            client.socket.close()
        self.wait_for_refusals(CLIENTS)
        # What waited for the TPM never reached it.
        self.assertLessEqual(len(signatures(self.probe.bytes())), before + 1)

    def test_none_after_a_lock_that_is_over_already(self):
        def lock_and_unlock():
            self.does(lock(b'word'))
            self.does(unlock(b'word'))
        self.none_after(lock_and_unlock)
        self.assertIsNotNone(self.other.sign(self.key.blob, b'data', 2))

    def test_none_after_the_removal_of_the_key(self):
        self.none_after(lambda: self.does(remove_identity(self.key.blob)))

    def test_none_after_the_removal_of_all_keys(self):
        self.none_after(lambda: self.does(ALL))

    def test_none_after_a_signal_that_drops_all_keys(self):
        def drop():
            os.kill(self.agent.process.pid, signal.SIGUSR1)
            wait_until(lambda: not self.other.list(), 'an empty list')
        self.none_after(drop)

    def test_none_after_the_end_of_the_keys_lifetime(self):
        self.add(lifetime(6))
        self.none_after(lambda: wait_until(lambda: not self.other.list(), 'the end of the key'))

    def test_none_after_other_terms(self):
        self.none_after(lambda: self.add(CONFIRM))

    def test_the_same_terms_change_nothing(self):
        self.add(b'')
        clients = self.connect(self.agent, 3)
        with self.tpm.stopped():
            for client in clients:
                self.ask(client)
            self.add(b'')
        for client in clients:
            self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)

    def test_a_signature_that_a_client_has_not_read_is_not_sent(self):
        """Its socket is full. What the kernel has is gone, and the one signature that the agent has is not."""
        (client,) = self.connect(self.agent, 1)
        size = len(frame(self.other.request(sign_request(self.key.blob, b'data', 2))))
        before = len(signatures(self.probe.bytes()))
        client.send(frame(sign_request(self.key.blob, b'data', 2)) * 600)  # which the kernel takes

        def state():
            unread = waiting(client, termios.FIONREAD)
            self.other.list()  # a signature on its way has got to the socket, if it can
            self.other.list()
            return unread, len(signatures(self.probe.bytes())) - before

        states = []

        def is_stuck():
            states.append(state())
            return states[-10:] == states[-1:] * 10 and states[-1][1] * size > states[-1][0]
        wait_until(is_stuck, 'a full socket')
        made = state()[1]
        self.does(lock(b'word'))
        answers = [answer[0] for answer in iter(client.read_frame, None)]
        self.assertEqual(answers, [SIGN_RESPONSE] * (made - 1))

    def test_a_signature_of_an_upstream_agent(self):
        blob = self.soft('theirs').key.blob
        for event in (lock(b'word'), ALL, remove_identity(blob)):
            with self.subTest(event[0]):
                asked, keys = [], [(blob, b'theirs')]

                def sign_when_told(peer):
                    for request in peer.requests():
                        if request == LIST:
                            peer.send(frame(identities(*keys)))
                        elif request[0] == SIGN_REQUEST:
                            asked.append(peer)
                        else:
                            keys.clear()
                            peer.send(frame(bytes([SUCCESS])))
                fake = FakeAgent(self, sign_when_told, name=f'fake{event[0]}')
                agent = Agent(self.lab, '-A', fake.socket, name=f'front{event[0]}')
                with agent.connect() as client, agent.connect() as other:
                    client.send(frame(sign_request(blob, b'data')))
                    wait_until(lambda: asked, 'the request')
                    self.assertEqual(other.request(event), bytes([SUCCESS]))
                    with contextlib.suppress(OSError):  # the agent has hung up
                        asked[0].send(frame(bytes([SIGN_RESPONSE]) + bytes(8)))
                    self.assertEqual(client.read_frame(), bytes([FAILURE]))
                agent.stop()


if __name__ == '__main__':
    unittest.main()
