#!/usr/bin/env python3
"""What we do not know goes on to the agents behind ours as it came, and so does the answer."""

import unittest

from agent import Agent
from lab import Scenario
from protocol import (EXTENSION_FAILURE, EXTENSION_RESPONSE, FAILURE, SUCCESS, add_identity, extension, frame,
                      mpint, sign_request, string)
from swtpm import Swtpm
from upstream import LIST, FakeAgent, always, identities


class Frames(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.own = self.lab.make_key('own')
        self.requests = []
        self.answers = {}

    def behave(self, peer):
        for request in peer.requests():
            self.requests.append(request)
            peer.send(frame(identities() if request == LIST else self.answers.get(request, b'\x05')))

    def start(self):
        refusing = FakeAgent(self, always(bytes([FAILURE])), 'first')
        other = FakeAgent(self, self.behave)
        self.agent = Agent(self.lab, '-A', refusing.socket, '-A', other.socket)

    def assert_passed(self, request, answer):
        self.answers[request] = answer
        with self.agent.connect() as client:
            self.assertEqual(client.request(request), answer)
        self.assertEqual(self.requests.pop(), request)

    def test_an_unknown_extension_and_its_answer(self):
        self.start()
        hello = extension(b'hello@example.com', b'any \0 bytes')
        for answer in (bytes([SUCCESS]), bytes([EXTENSION_FAILURE]),
                       bytes([EXTENSION_RESPONSE]) + string(b'hello@example.com') + b'anything',
                       bytes([EXTENSION_RESPONSE]) * 262144):
            self.assert_passed(hello, answer)
        self.assert_passed(extension(b'big@example.com', bytes(262144 - 20)), bytes([SUCCESS]))

    def test_an_extension_that_nobody_knows(self):
        self.start()
        self.assert_passed(extension(b'hello@example.com'), bytes([FAILURE]))

    def test_keys_of_types_that_we_do_not_know_with_all_that_follows(self):
        self.start()
        fields = (string(b'sk-ssh-ed25519@openssh.com') + string(bytes(32)) + string(b'ssh:') + b'\1' +
                  string(bytes(64)) + string(b''))
        provider = b'\xff' + string(b'sk-provider@openssh.com') + string(b'internal')
        self.assert_passed(add_identity(fields, constraints=provider), bytes([SUCCESS]))
        self.assert_passed(add_identity(string(b'new@example.com') + mpint(7)), bytes([SUCCESS]))

    def test_a_signature_with_all_flags(self):
        self.start()
        blob = string(b'new@example.com') + mpint(7)
        answer = bytes([14]) + string(string(b'new@example.com') + bytes(100))
        self.assert_passed(sign_request(blob, b'data', 0x8000_0007), answer)

    def test_what_is_ours_is_not_passed_on(self):
        self.start()
        with self.agent.connect() as client:
            self.assertEqual(client.request(extension(b'query'))[0], EXTENSION_RESPONSE)
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))
            for number in (20, 26, 21, 1, 200):  # smartcards are never passed on
                self.assertEqual(client.request(bytes([number]) + string(b'provider') + string(b'PIN')),
                                 bytes([FAILURE]))
        self.assertEqual(self.requests, [])

    def test_requests_sent_together_are_answered_in_their_order(self):
        self.start()
        names = [b'extension-%d@example.com' % number for number in range(50)]
        for name in names:
            self.answers[extension(name)] = bytes([EXTENSION_RESPONSE]) + string(name)
        with self.agent.connect() as client:
            client.send(b''.join(frame(extension(name)) for name in names))
            for name in names:
                self.assertEqual(client.read_frame(), bytes([EXTENSION_RESPONSE]) + string(name))
        passed = [request for request in self.requests if request != LIST]
        self.assertEqual(passed, [extension(name) for name in names])


if __name__ == '__main__':
    unittest.main()
