#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent keeps to the framing of RFC 9987, and hostile bodies of the extension tpm-add-key do no harm."""

import unittest

import keyfile
from agent import Agent, add_request, ours
from hostkey import HostKey
from keys_once import KeysOnce
from lab import read, read_key
from protocol import (CONFIRM, EXTENSION_FAILURE, FAILURE, IDENTITIES_ANSWER, MAX_FRAME, REQUEST_IDENTITIES,
                      SIGN_REQUEST, SIGN_RESPONSE, SUCCESS, constraint_extension, extension, frame, lifetime, lock,
                      session_bind, sign_request, string, tpm_add_key, u32, unlock)

LIST = frame(bytes([REQUEST_IDENTITIES]))
REFUSED, DONE = bytes([FAILURE]), bytes([SUCCESS])


@ours
class Framing(KeysOnce):
    KEYS = {'x': {}}

    def setUp(self):
        super().setUp()
        self.key = self.take('x')
        self.agent = Agent(self.lab)

    def assert_lives(self, connection):
        self.assertEqual([blob for blob, _ in connection.list()], [self.key.blob])

    def test_what_was_sent_before_the_client_stopped_sending_is_answered(self):
        with self.agent.connect() as connection:
            connection.send(LIST + frame(sign_request(self.key.blob, b'data')))
            connection.socket.shutdown(1)
            self.assertEqual(connection.read_frame()[0], IDENTITIES_ANSWER)
            self.assertEqual(connection.read_frame()[0], SIGN_RESPONSE)
            self.assertIsNone(connection.read_frame())

    def test_an_empty_frame_or_one_beyond_the_ceiling_closes_the_connection_at_its_header_and_no_other(self):
        with self.agent.connect() as other:
            for length in (0, MAX_FRAME + 1, 0xffffffff):
                with self.subTest(length=length), self.agent.connect() as connection:
                    connection.send(u32(length))
                    self.assertIsNone(connection.read_frame())
            self.assert_lives(other)

    def test_a_frame_at_the_ceiling_is_served(self):
        request = sign_request(self.key.blob, bytes(MAX_FRAME - len(sign_request(self.key.blob, b''))))
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


@ours
class TpmAddKey(KeysOnce):
    """The Go program ssh-tpm-add speaks it, and so does ours."""

    KEYS = {'x': {}, 'y': {}}
    CERTIFIED = ('x', 'y')

    def setUp(self):
        super().setUp()
        self.key = self.stocked('x')
        self.agent = Agent(self.lab)

    def test_hostile_bodies_add_nothing_and_harm_nobody(self):
        content, parts = read(self.key.tpm).encode(), keyfile.fields(self.key.tpm)
        certificate, foreign = (read_key(self.lab.path(f'stock/{name}-cert')).blob for name in 'xy')
        bodies = [tpm_add_key(hostile) for hostile in (
            b'', b'\0', b'no key', content[:100], content[:-30], content.replace(b'TSS2', b'TSS3'),
            b'-----BEGIN TSS2 PRIVATE KEY-----\n-----END TSS2 PRIVATE KEY-----\n', content * 100,
            b'\xff' * 200000, keyfile.pem(b'').encode(), keyfile.pem(b'\x30\x80').encode(),
            keyfile.pem(b'\x30' * 5000).encode(),
            *(keyfile.build(keyfile.with_public(parts, change)).encode()
              for change in (lambda public: b'', lambda public: b'\xff\xff' + public[2:],
                             keyfile.with_unknown_curve, keyfile.without_signing)),
            keyfile.build(parts[:-1]).encode(), keyfile.build(parts[:-1] + [(keyfile.OCTETS, b'')]).encode())]
        bodies += [tpm_add_key(content, wrong) for wrong in (
            foreign, self.key.blob, b'no certificate', certificate[:-1], certificate + b'x')]
        bodies += [tpm_add_key(content, constraints=wrong) for wrong in (
            b'\x03', lifetime(1) * 2, CONFIRM * 2, lifetime(1)[:-1], constraint_extension(b'x', b''))]
        bodies += [extension(b'tpm-add-key', body) for body in (
            b'', b'\x11', b'\x11' + string(b''), b'\x11' + string(b'TPMKEY'), b'\x11' + string(b'TPMKEY') * 2,
            b'\x11' + string(b'tpmkey') + string(content) + string(b''), string(b'TPMKEY') + string(content),
            b'\x11' + string(b'TPMKEY') + u32(0xffffffff) + content,
            b'\x11' + string(b'TPMKEY') + string(b'') + string(b''),
            b'\x11' + string(b'TPMKEY') + string(content) + u32(0xffffffff))]
        whole = tpm_add_key(content)
        bodies += [whole[:length] for length in range(len(extension(b'tpm-add-key')), len(whole), 7)]
        with self.agent.connect() as connection:
            for body in bodies:
                with self.subTest(body=body[:200]):
                    self.assertEqual(connection.request(body), REFUSED)
                    self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(whole), DONE)
            self.assertEqual(len(connection.list()), 1)

    def test_a_key_is_not_added_to_a_locked_agent_nor_on_a_connection_with_a_good_or_failed_bind(self):
        host, request = HostKey(self.lab), add_request(self.key)
        for signature in (None, b''):
            with self.agent.connect() as connection:
                connection.request(session_bind(host, b'session', True, signature=signature))
                self.assertIn(connection.request(request), (REFUSED, bytes([EXTENSION_FAILURE])))
                self.assertEqual(connection.list(), [])
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(lock(b'x')), DONE)
            self.assertEqual(connection.request(request), REFUSED)
            self.assertEqual(connection.request(unlock(b'x')), DONE)
            self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(request), DONE)


if __name__ == '__main__':
    unittest.main()
