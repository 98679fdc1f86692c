#!/usr/bin/env python3
"""Signatures of every key type fit, whoever asks and whatever the flags."""

import unittest

import keyfile
from agent import Agent, certify, verify
from lab import KINDS, Scenario
from protocol import RSA_SHA2_256, RSA_SHA2_512, frame, read_signature, sign_request
from swtpm import Swtpm

class Signatures(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def verify(self, key, algorithm, signature, data):
        verify(self.lab, key, algorithm, signature, data)

    def test_ssh_keygen_signs_and_verifies_with_every_type(self):
        keys = [self.lab.make_key(f'{kind}{bits}', kind, bits) for kind, bits in KINDS]
        agent = Agent(self.lab)
        for key in keys:
            with self.subTest(key=key.comment):
                agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_flags_choose_the_hash_of_an_rsa_signature(self):
        key = self.lab.make_key('rsa', 'rsa', 2048)
        agent = Agent(self.lab)
        with agent.connect() as connection:
            for flags in (RSA_SHA2_256, RSA_SHA2_512, RSA_SHA2_256 | RSA_SHA2_512, 0x80000000 | RSA_SHA2_256):
                expected = 'rsa-sha2-512' if flags == RSA_SHA2_512 else 'rsa-sha2-256'
                algorithm, signature = connection.sign(key.blob, b'data', flags)
                self.assertEqual(algorithm, expected)
                self.assertEqual(len(signature), 256)
                self.verify(key, algorithm, signature, b'data')

    def test_sha1_with_rsa_is_refused(self):
        key = self.lab.make_key('rsa', 'rsa', 2048)
        with Agent(self.lab).connect() as connection:
            for flags in (0, 1, 8, 0xfffffff9):
                self.assertIsNone(connection.sign(key.blob, b'data', flags))
            self.assertIsNotNone(connection.sign(key.blob, b'data', RSA_SHA2_512))

    def test_flags_do_not_matter_for_ecdsa(self):
        keys = [self.lab.make_key(f'ecdsa{bits}', 'ecdsa', bits) for bits in (256, 384, 521)]
        with Agent(self.lab).connect() as connection:
            for key in keys:
                for flags in (0, RSA_SHA2_256, RSA_SHA2_512, 0xffffffff):
                    algorithm, signature = connection.sign(key.blob, b'data', flags)
                    self.assertEqual(algorithm, key.algorithm)
                    self.verify(key, algorithm, signature, b'data')

    def test_numbers_of_ecdsa_signatures_have_their_shortest_form(self):
        key = self.lab.make_key('x')
        seen_short = seen_padded = False
        with Agent(self.lab).connect() as connection:
            # A top bit is set in every second number, a leading byte is zero in one of 256.
            for turn in range(5000):
                data = b'%d' % turn
                algorithm, signature = connection.sign(key.blob, data)
                for number in keyfile.mpints(signature):
                    self.assertFalse(number[0] & 0x80, 'a negative number')
                    self.assertFalse(number[0] == 0 and not number[1] & 0x80, 'a needless zero')
                    seen_padded = seen_padded or len(number) == 33
                    if int.from_bytes(number, 'big') < 1 << 248:
                        seen_short = True
                        self.verify(key, algorithm, signature, data)
                if seen_short and seen_padded:
                    break
        self.assertTrue(seen_short and seen_padded)

    def test_a_certificate_finds_its_key_and_signs_as_the_key_would(self):
        for kind, bits, flags, expected in (('ecdsa', 256, 0, 'ecdsa-sha2-nistp256'),
                                            ('rsa', 2048, RSA_SHA2_512, 'rsa-sha2-512')):
            key = self.lab.make_key(kind, kind, bits)
            certificate = certify(self.lab, key, '-n', 'someone')[1]
            agent = Agent(self.lab, name=kind)
            with agent.connect() as connection:
                algorithm, signature = connection.sign(certificate.blob, b'data', flags)
                self.assertEqual(algorithm, expected)
                self.verify(key, algorithm, signature, b'data')

    def test_a_key_that_nobody_has_is_refused(self):
        key = self.lab.make_key('x')
        other = self.lab.make_key('y', folder=self.lab.make_folder('elsewhere'))
        with Agent(self.lab).connect() as connection:
            self.assertIsNone(connection.sign(other.blob, b'data'))
            self.assertIsNone(connection.sign(key.blob[:-1], b'data'))
            self.assertIsNone(connection.sign(key.blob + b'\0', b'data'))
            self.assertIsNone(connection.sign(b'', b'data'))
            self.assertIsNotNone(connection.sign(key.blob, b'data'))

    def test_data_of_any_size_is_signed(self):
        key = self.lab.make_key('x')
        with Agent(self.lab).connect() as connection:
            for size in (0, 1, 1023, 1024, 1025, 4096, 65536, 200000):
                data = bytes(size)
                algorithm, signature = connection.sign(key.blob, data)
                self.verify(key, algorithm, signature, data)

    def test_eight_clients_at_once_each_get_their_own_signature(self):
        keys = [self.lab.make_key(f'{kind}{bits}', kind, bits) for kind, bits in KINDS[:4]]
        agent = Agent(self.lab)
        clients = [agent.connect() for _ in range(8)]
        for turn in range(3):
            work = [(client, keys[(number + turn) % 4], b'client %d, turn %d' % (number, turn))
                    for number, client in enumerate(clients)]
            for client, key, data in work:
                client.send(frame(sign_request(key.blob, data, RSA_SHA2_256)))
            for client, key, data in work:
                algorithm, signature = read_signature(client.read_frame())
                self.verify(key, algorithm, signature, data)
        for client in clients:
            client.socket.close()
        agent.stop()
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
