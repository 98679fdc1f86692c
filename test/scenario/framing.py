#!/usr/bin/env python3
"""The agent keeps to the framing of RFC 9987, whatever is sent to it and however it is cut up."""

import unittest

from agent import Agent, ours
from keys_once import KeysOnce
from protocol import (FAILURE, IDENTITIES_ANSWER, MAX_FRAME, REQUEST_IDENTITIES, SIGN_REQUEST, SIGN_RESPONSE,
                      frame, sign_request, string, u32)

LIST = frame(bytes([REQUEST_IDENTITIES]))
REFUSED = bytes([FAILURE])


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

    def test_requests_may_come_many_at_once_and_are_answered_in_order(self):
        sign = frame(sign_request(self.key.blob, b'data'))
        unknown = frame(b'\xc8')
        with self.agent.connect() as connection:
            connection.send((LIST + sign + unknown) * 20)
            kinds = [connection.read_frame()[0] for _ in range(60)]
            self.assertEqual(kinds, [IDENTITIES_ANSWER, SIGN_RESPONSE, FAILURE] * 20)

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

    def test_bytes_after_a_request_are_ignored(self):
        with self.agent.connect() as connection:
            for request, answer in ((bytes([REQUEST_IDENTITIES]), IDENTITIES_ANSWER),
                                    (sign_request(self.key.blob, b'data'), SIGN_RESPONSE)):
                self.assertEqual(connection.request(request + b'more')[0], answer)

    def test_a_sign_request_cut_off_anywhere_is_answered_with_failure(self):
        request = sign_request(self.key.blob, b'data')
        with self.agent.connect() as connection:
            for length in range(1, len(request)):
                self.assertEqual(connection.request(request[:length]), REFUSED, length)
            self.assertEqual(connection.request(request)[0], SIGN_RESPONSE)

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


if __name__ == '__main__':
    unittest.main()
