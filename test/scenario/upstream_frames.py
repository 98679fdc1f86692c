#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Between clients and upstream agents: what goes on as it came, what is told first, what is left out of lists."""

import hashlib
import struct
import unittest

from agent import Agent
from hostkey import HostKey
from protocol import (EXTENSION, EXTENSION_FAILURE, EXTENSION_RESPONSE, FAILURE, SESSION_BIND, SIGN_RESPONSE, SUCCESS,
                      add_identity, extension, frame, mpint, session_bind, sign_request, string, u32)
from upstream import LIST, FakeAgent, WithAKey, always, identities, lists


def certificate(key, authority_blob, sign):
    """Of an Ed25519 key, for ever (PROTOCOL.certkeys)."""
    body = (string(b'ssh-ed25519-cert-v01@openssh.com') + string(b'nonce') + string(key) +
            struct.pack('>QI', 1, 1) + string(b'id') + string(string(b'root')) +
            struct.pack('>QQ', 0, 2**64 - 1) + 3 * string(b'') + string(authority_blob))
    return body + string(sign(body))


def token_key(authority):
    """The same key as if a token had it."""
    name = authority.blob[4:4 + authority.blob[3]]
    return string(b'sk-' + name + b'@openssh.com') + authority.blob[4 + len(name):] + string(b'ssh:')


def token_signature(authority, body):
    """As a token makes it (PROTOCOL.u2f)."""
    state = b'\1' + u32(7)
    plain = authority.sign(hashlib.sha256(b'ssh:').digest() + state + hashlib.sha256(body).digest())
    name, rest = plain[4:4 + plain[3]], plain[4 + plain[3]:]
    return string(b'sk-' + name + b'@openssh.com') + rest + state


class Frames(WithAKey):
    def setUp(self):
        super().setUp()
        self.requests = []
        self.answers = {}
        refusing = FakeAgent(self, always(bytes([FAILURE])), 'first')
        other = FakeAgent(self, self.behave)
        self.agent = Agent(self.lab, '-A', refusing.socket, '-A', other.socket)

    def behave(self, peer):
        for request in peer.requests():
            self.requests.append(request)
            peer.send(frame(identities() if request == LIST else self.answers.get(request, b'\x05')))

    def assert_passed(self, request, answer):
        self.answers[request] = answer
        with self.agent.connect() as client:
            self.assertEqual(client.request(request), answer)
        self.assertEqual(self.requests.pop(), request)

    def test_what_we_do_not_know_goes_on_as_it_came_and_so_does_the_answer(self):
        hello = extension(b'hello@example.com', b'any \0 bytes')
        for answer in (bytes([SUCCESS]), bytes([FAILURE]), bytes([EXTENSION_FAILURE]),
                       bytes([EXTENSION_RESPONSE]) + string(b'hello@example.com') + b'anything',
                       bytes([EXTENSION_RESPONSE]) * 262144):
            self.assert_passed(hello, answer)
        self.assert_passed(extension(b'big@example.com', bytes(262144 - 20)), bytes([SUCCESS]))
        token = (string(b'sk-ssh-ed25519@openssh.com') + string(bytes(32)) + string(b'ssh:') + b'\1' +
                 string(bytes(64)) + string(b''))
        provider = b'\xff' + string(b'sk-provider@openssh.com') + string(b'internal')
        self.assert_passed(add_identity(token, constraints=provider), bytes([SUCCESS]))
        unknown = string(b'new@example.com') + mpint(7)
        self.assert_passed(add_identity(unknown), bytes([SUCCESS]))
        answer = bytes([SIGN_RESPONSE]) + string(string(b'new@example.com') + bytes(100))
        self.assert_passed(sign_request(unknown, b'data', 0x8000_0007), answer)

    def test_what_is_ours_is_not_passed_on(self):
        with self.agent.connect() as client:
            self.assertEqual(client.request(extension(b'query'))[0], EXTENSION_RESPONSE)
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))
            for number in (1, 200):
                self.assertEqual(client.request(bytes([number]) + string(b'provider') + string(b'PIN')),
                                 bytes([FAILURE]))
        self.assertEqual(self.requests, [])

    def test_requests_sent_together_are_answered_in_their_order(self):
        names = [b'extension-%d@example.com' % number for number in range(50)]
        for name in names:
            self.answers[extension(name)] = bytes([EXTENSION_RESPONSE]) + string(name)
        with self.agent.connect() as client:
            client.send(b''.join(frame(extension(name)) for name in names))
            for name in names:
                self.assertEqual(client.read_frame(), bytes([EXTENSION_RESPONSE]) + string(name))
        passed = [request for request in self.requests if request != LIST]
        self.assertEqual(passed, [extension(name) for name in names])


class Replayed(WithAKey):
    """What the other agent is told, message by message."""

    def setUp(self):
        super().setUp()
        self.links = []  # the requests on each connection
        self.other = FakeAgent(self, self.behave)
        self.agent = Agent(self.lab, '-A', self.other.socket)
        self.host, self.second = HostKey(self.lab, 'host'), HostKey(self.lab, 'second')
        self.ending = False

    def behave(self, peer):
        link = []
        self.links.append(link)
        for request in peer.requests():
            link.append(request)
            ending = self.ending  # before the answer, after which the test goes on
            peer.send(frame(identities() if request == LIST else bytes([SUCCESS])))
            if ending:
                return

    def bind(self, connection, *bind, expected=SUCCESS, **more):
        request = session_bind(*bind, **more)
        self.assertEqual(connection.request(request), bytes([expected]))
        return request

    def test_binds_come_first_as_they_were_and_in_their_order(self):
        with self.agent.connect() as connection:
            first = self.bind(connection, self.host, b'first', True)
            self.assertEqual(self.links, [])  # not before it is needed
            connection.list()
            second = self.bind(connection, self.second, b'second', False)
            connection.list()
            connection.list()
        self.assertEqual(self.links, [[first, LIST, second, LIST, LIST]])

    def test_they_come_again_on_a_link_made_anew(self):
        with self.agent.connect() as connection:
            binds = [self.bind(connection, self.host, b'first', True),
                     self.bind(connection, self.second, b'second', False)]
            connection.list()
            self.ending = True
            connection.list()
            self.other.wait_until_left()
            self.ending = False
            connection.list()
        self.assertEqual(self.links, [[*binds, LIST, LIST], [*binds, LIST]])

    def test_sixteen_binds_are_told_once_each_and_a_seventeenth_is_a_refusal(self):
        with self.agent.connect() as connection:
            binds = [self.bind(connection, self.host, b'session %d' % number, True) for number in range(16)]
            self.bind(connection, self.host, b'session 15', True)  # again
            self.bind(connection, self.host, b'one more', True, expected=EXTENSION_FAILURE)
            connection.list()
        self.assertEqual(self.links, [[*binds, extension(SESSION_BIND), LIST]])

    def test_of_a_refused_bind_it_is_told_that_there_was_one(self):
        """A connection is suspect from then on; of what was wrong with it, nothing is passed on."""
        broken = bytes([EXTENSION]) + string(SESSION_BIND) + b'broken'
        for number, request in enumerate((session_bind(self.host, b'id', signature=bytes(80)), broken)):
            with self.subTest(number), self.agent.connect() as connection:
                for _ in range(2):
                    self.assertEqual(connection.request(request), bytes([EXTENSION_FAILURE]))
                connection.list()
                self.assertEqual(self.links.pop(), [extension(SESSION_BIND), LIST])

    def test_another_agents_refusal_of_a_bind_changes_nothing_here(self):
        def refuse(peer):
            for request in peer.requests():
                peer.send(frame(identities((string(b'x'), b'x')) if request == LIST else b'\x05'))
        self.other.behaviour = refuse
        with self.agent.connect() as connection:
            self.bind(connection, self.host, b'first', True)
            self.assertEqual(connection.list()[1:], [(string(b'x'), 'x')])


class Blobs(WithAKey):
    """OpenSSH gives up a whole list for one key that it cannot read: such keys of others are left out."""

    def setUp(self):
        super().setUp()
        self.well = self.soft('well')
        self.agents = 0

    def check(self, blob, listed):
        """Whether a key is listed between two good ones. OpenSSH takes the list, and the log tells once of what
        is left out."""
        self.agents += 1
        other = FakeAgent(self, lists((blob, b'odd'), (self.well.blob, b'well')), f'other{self.agents}')
        agent = Agent(self.lab, '-A', other.socket, name=f'agent{self.agents}')
        with agent.connect() as client:
            shown = [each for each, _ in client.list()]
            self.assertEqual(shown[0], self.own.blob)
            self.assertEqual(sorted(shown[1:]), sorted([*[blob] * listed, self.well.blob]))
        shown = agent.listed()
        self.assertEqual([line for line in shown if line in (self.own.line, self.well.line)],
                         [self.own.line, self.well.line])
        agent.stop()
        about = [line for line in agent.log().splitlines() if other.socket in line]
        self.assertEqual(['left out' in line for line in about], [] if listed else [True], agent.log())

    def test_a_key_that_openssh_cannot_read_is_left_out_and_one_of_an_unknown_type_is_listed(self):
        self.check(string(b'ssh-ed25519') + string(b'x' * 10), False)
        self.check(string(b'new@example.com') + b'any bytes', True)

    def test_a_certificate_is_listed_if_its_authority_has_signed_it(self):
        for kind in 'ed25519', 'ecdsa':  # of a token: test/ssh/listed_key.cpp has the others
            with self.subTest(kind):
                authority = HostKey(self.lab, kind, kind)
                blob = token_key(authority)
                self.check(certificate(b'x' * 32, blob, lambda body: token_signature(authority, body)), True)
                self.check(certificate(b'x' * 32, blob, lambda body: token_signature(authority, body + b'x')), False)


if __name__ == '__main__':
    unittest.main()
