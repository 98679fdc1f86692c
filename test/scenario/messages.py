#!/usr/bin/env python3
"""The agent keeps to the framing of RFC 9987, and takes the extensions query and tpm-add-key, whose hostile bodies do
no harm."""

import os
import unittest

import keyfile
from agent import Agent, Askpass, ours
from hostkey import HostKey
from keys_once import KeysOnce
from lab import read, read_key, wait_until
from protocol import (CONFIRM, EXTENSION_FAILURE, EXTENSION_RESPONSE, EXTENSIONS, FAILURE, IDENTITIES_ANSWER,
                      MAX_FRAME, REQUEST_IDENTITIES, SIGN_REQUEST, SIGN_RESPONSE, SUCCESS, constraint_extension,
                      extension, frame, lifetime, lock, session_bind, sign_request, string, take_string, tpm_add_key,
                      u32, unlock)
from swtpm import Swtpm

PIN = 'correct horse'
LIST = frame(bytes([REQUEST_IDENTITIES]))
REFUSED, DONE = bytes([FAILURE]), bytes([SUCCESS])


@ours
class Framing(KeysOnce):
    KEYS = {'x': {}}

    def setUp(self):
        super().setUp()
        self.key = self.take('x')
        self.agent = Agent(self.lab)

    def assert_lives(self, connection=None):
        """The connection, or a new one, still lists the key."""
        with connection or self.agent.connect() as alive:
            self.assertEqual([blob for blob, _ in alive.list()], [self.key.blob])

    def test_requests_may_come_byte_by_byte(self):
        with self.agent.connect() as connection:
            for request, answer in ((LIST, IDENTITIES_ANSWER),
                                    (frame(sign_request(self.key.blob, b'data')), SIGN_RESPONSE)):
                for byte in request:
                    connection.send(bytes([byte]))
                self.assertEqual(connection.read_frame()[0], answer)

    def test_what_was_sent_before_the_client_stopped_sending_is_answered(self):
        with self.agent.connect() as connection:
            connection.send(LIST + frame(sign_request(self.key.blob, b'data')))
            connection.socket.shutdown(1)
            self.assertEqual(connection.read_frame()[0], IDENTITIES_ANSWER)
            self.assertEqual(connection.read_frame()[0], SIGN_RESPONSE)
            self.assertIsNone(connection.read_frame())

    def test_an_empty_frame_closes_the_connection_and_no_other(self):
        with self.agent.connect() as other, self.agent.connect() as connection:
            connection.send(u32(0))
            self.assertIsNone(connection.read_frame())
            self.assert_lives(other)

    def test_a_frame_beyond_the_ceiling_closes_the_connection_at_its_header(self):
        for length in (MAX_FRAME + 1, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff):
            with self.subTest(length=length), self.agent.connect() as connection:
                connection.send(u32(length))
                self.assertIsNone(connection.read_frame())
        self.assert_lives()

    def test_a_frame_at_the_ceiling_is_served(self):
        overhead = len(sign_request(self.key.blob, b''))
        request = sign_request(self.key.blob, bytes(MAX_FRAME - overhead))
        self.assertEqual(len(request), MAX_FRAME)
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(request)[0], SIGN_RESPONSE)
            self.assertEqual(connection.request(bytes([REQUEST_IDENTITIES]) + bytes(MAX_FRAME - 1))[0],
                             IDENTITIES_ANSWER)
            self.assert_lives(connection)

    def test_lengths_that_lie_are_answered_with_failure(self):
        with self.agent.connect() as connection:
            for lie in (len(self.key.blob) + 100, 0x7fffffff, 0xfffffffb, 0xffffffff):
                body = bytes([SIGN_REQUEST]) + u32(lie) + self.key.blob + string(b'data') + u32(0)
                self.assertEqual(connection.request(body), REFUSED)
                body = bytes([SIGN_REQUEST]) + string(self.key.blob) + u32(lie) + b'data' + u32(0)
                self.assertEqual(connection.request(body), REFUSED)
            self.assert_lives(connection)

    def test_a_client_that_leaves_inside_a_frame_disturbs_nobody(self):
        request = frame(sign_request(self.key.blob, b'data'))
        for length in range(0, len(request) + 1, 7):
            with self.agent.connect() as connection:
                connection.send(request[:length])
        self.assert_lives()

    def test_a_client_that_does_not_read_is_no_longer_read(self):
        with self.agent.connect() as greedy:
            greedy.socket.setblocking(False)
            sent = 0
            with self.assertRaises(BlockingIOError):
                while sent < 64 << 20:
                    sent += greedy.socket.send(LIST * 1000)
            self.assert_lives()

    def test_sixty_four_clients_stay_connected_and_are_served(self):
        clients = [self.agent.connect() for _ in range(64)]
        for client in clients:
            client.send(LIST)
        for client in clients:
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
            client.socket.close()

    def test_an_idle_client_is_not_dropped_while_others_come_and_go(self):
        with self.agent.connect() as idle:
            for _ in range(50):
                self.assert_lives()
            self.assert_lives(idle)


class Query(KeysOnce):
    @ours
    def test_it_lists_exactly_what_is_served(self):
        agent = Agent(self.lab)
        with agent.connect() as connection:
            for body in (b'', b'more'):
                reply = connection.request(extension(b'query', body))
                self.assertEqual(reply[0], EXTENSION_RESPONSE)
                name, rest = take_string(reply[1:])
                self.assertEqual(name, b'query')
                names = []
                while rest:
                    name, rest = take_string(rest)
                    names.append(name)
                self.assertEqual(names, list(EXTENSIONS))
            for name in (b'Query', b'query\0', b'session-bind', b'tpm-add-key@openssh.com', b'x' * 100000):
                self.assertEqual(connection.request(extension(name)), REFUSED)
            self.assertEqual(connection.list(), [])  # one reply each


@ours
class TpmAddKey(KeysOnce):
    """The Go program ssh-tpm-add speaks it, and so does ours."""

    KEYS = {'x': {}, 'y': {}, 'p384': {'bits': 384}, 'rsa': {'kind': 'rsa', 'bits': 2048}, 'guarded': {'pin': PIN}}
    CERTIFIED = ('x', 'y')

    def test_keys_of_each_kind_are_added_and_sign(self):
        keys = [self.stocked(name) for name in ('x', 'p384', 'rsa')]
        agent = Agent(self.lab)
        with agent.connect() as connection:
            for key in keys:
                self.assertEqual(connection.request(tpm_add_key(read(key.tpm).encode())), DONE)
                agent.sign_and_check(key)
                self.assertEqual(agent.listed()[-1], key.line)
        self.assertEqual(len(agent.listed()), 3)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_message_number_25_in_it_is_one_too(self):
        agent = Agent(self.lab)
        request = tpm_add_key(read(self.stocked('x').tpm).encode())
        place = len(extension(b'tpm-add-key'))
        with agent.connect() as connection:
            self.assertEqual(connection.request(request[:place] + b'\x19' + request[place + 1:]), DONE)
            for number in (b'\0', b'\x12', b'\xff'):
                self.assertEqual(connection.request(request[:place] + number + request[place + 1:]), REFUSED)

    def test_a_pin_is_asked_for_at_the_first_use(self):
        key = self.stocked('guarded')
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        with agent.connect() as connection:
            self.assertEqual(connection.request(tpm_add_key(read(key.tpm).encode())), DONE)
        self.assertEqual(askpass.questions(), [])
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_constraints_count(self):
        key = self.stocked('x')
        content = read(key.tpm).encode()
        askpass = Askpass(self.lab)
        agent = Agent(self.lab, env=askpass.env)
        with agent.connect() as connection:
            self.assertEqual(connection.request(tpm_add_key(content, constraints=CONFIRM)), DONE)
            self.assertIsNone(connection.sign(key.blob, b'data'))
            self.assertEqual(len(askpass.questions()), 1)
            self.assertEqual(connection.request(tpm_add_key(content)), DONE)  # in its place, free of them
            self.assertIsNotNone(connection.sign(key.blob, b'data'))
            self.assertEqual(len(connection.list()), 1)
            self.assertEqual(connection.request(tpm_add_key(content, constraints=lifetime(1))), DONE)
            wait_until(lambda: connection.list() == [], 'its end', 5)
            for wrong in (b'\x03', lifetime(1) * 2, CONFIRM * 2, lifetime(1)[:-1],
                          constraint_extension(b'x', b'')):
                self.assertEqual(connection.request(tpm_add_key(content, constraints=wrong)), REFUSED)
                self.assertEqual(connection.list(), [])

    def test_a_certificate_comes_with_it(self):
        key = self.stocked('x')
        certificate, foreign = (read_key(self.lab.path(f'stock/{name}-cert')) for name in 'xy')
        agent = Agent(self.lab)
        content = read(key.tpm).encode()
        with agent.connect() as connection:
            for wrong in (foreign.blob, key.blob, b'no certificate', certificate.blob[:-1],
                          certificate.blob + b'x'):
                self.assertEqual(connection.request(tpm_add_key(content, wrong)), REFUSED)
                self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(tpm_add_key(content, certificate.blob)), DONE)
            self.assertIn(certificate.blob, [blob for blob, _ in connection.list()])
            for blob in (key.blob, certificate.blob):
                self.assertIsNotNone(connection.sign(blob, b'data'))

    def test_hostile_bodies_add_nothing_and_harm_nobody(self):
        key = self.stocked('x')
        content = read(key.tpm).encode()
        parts = keyfile.fields(key.tpm)
        agent = Agent(self.lab)
        bodies = [tpm_add_key(hostile) for hostile in (
            b'', b'\0', b'no key', content[:100], content[:-30], content.replace(b'TSS2', b'TSS3'),
            b'-----BEGIN TSS2 PRIVATE KEY-----\n-----END TSS2 PRIVATE KEY-----\n', content * 100,
            b'\xff' * 200000, keyfile.pem(b'').encode(), keyfile.pem(b'\x30\x80').encode(),
            keyfile.pem(b'\x30' * 5000).encode(),
            keyfile.build(keyfile.with_public(parts, lambda public: b'')).encode(),
            keyfile.build(keyfile.with_public(parts, lambda public: b'\xff\xff' + public[2:])).encode(),
            keyfile.build(keyfile.with_public(parts, keyfile.with_unknown_curve)).encode(),
            keyfile.build(keyfile.with_public(parts, keyfile.without_signing)).encode(),
            keyfile.build(parts[:-1]).encode(), keyfile.build(parts[:-1] + [(keyfile.OCTETS, b'')]).encode())]
        bodies += [extension(b'tpm-add-key', body) for body in (
            b'', b'\x11', b'\x11' + string(b''), b'\x11' + string(b'TPMKEY'), b'\x11' + string(b'TPMKEY') * 2,
            b'\x11' + string(b'tpmkey') + string(content) + string(b''), string(b'TPMKEY') + string(content),
            b'\x11' + string(b'TPMKEY') + u32(0xffffffff) + content,
            b'\x11' + string(b'TPMKEY') + string(b'') + string(b''),
            b'\x11' + string(b'TPMKEY') + string(content) + u32(0xffffffff))]
        with agent.connect() as connection:
            for body in bodies:
                with self.subTest(body=body[:200]):
                    self.assertEqual(connection.request(body), REFUSED)
                    self.assertEqual(connection.list(), [])
            whole = tpm_add_key(content)
            for length in range(len(extension(b'tpm-add-key')), len(whole)):
                self.assertEqual(connection.request(whole[:length]), REFUSED)
            self.assertEqual(connection.request(whole), DONE)
            self.assertEqual(len(connection.list()), 1)

    def test_it_is_refused_on_a_connection_that_is_or_should_be_bound(self):
        content = read(self.stocked('x').tpm).encode()
        host = HostKey(self.lab)
        agent = Agent(self.lab)
        for signature in (None, b''):
            with agent.connect() as connection:
                connection.request(session_bind(host, b'session', True, signature=signature))
                self.assertIn(connection.request(tpm_add_key(content)), (REFUSED, bytes([EXTENSION_FAILURE])))
                self.assertEqual(connection.list(), [])
        with agent.connect() as connection:
            self.assertEqual(connection.request(tpm_add_key(content)), DONE)

    def test_a_locked_agent_adds_nothing(self):
        agent = Agent(self.lab)
        with agent.connect() as connection:
            self.assertEqual(connection.request(lock(b'x')), DONE)
            self.assertEqual(connection.request(tpm_add_key(read(self.stocked('x').tpm).encode())), REFUSED)
            self.assertEqual(connection.request(unlock(b'x')), DONE)
            self.assertEqual(connection.list(), [])

    def test_a_key_of_another_tpm_is_added_and_does_not_sign(self):
        """Nothing asks the TPM before the first use."""
        other = Swtpm(self.lab, 'other-tpm')
        key = self.lab.make_key('foreign', folder=self.lab.make_folder('elsewhere'), env={'SSH_TPM_TCTI': other.tcti})
        agent = Agent(self.lab)
        with agent.connect() as connection:
            connection.request(tpm_add_key(read(key.tpm).encode()))
            self.assertIsNone(connection.sign(key.blob, b'data'))
        os.unlink(key.tpm)


if __name__ == '__main__':
    unittest.main()
