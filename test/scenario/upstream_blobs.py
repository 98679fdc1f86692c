#!/usr/bin/env python3
"""OpenSSH gives up a whole list for one key that it cannot read: such keys of others are left out."""

import hashlib
import struct
import unittest

from agent import Agent
from hostkey import HostKey
from lab import Scenario
from protocol import mpint, string, u32
from softkey import SoftKey
from swtpm import Swtpm
from upstream import FakeAgent, lists

ED25519 = string(b'ssh-ed25519')
BAD = {
    'an_ed25519_key_of_ten_bytes': ED25519 + string(b'x' * 10),
    'an_ed25519_key_with_a_byte_behind_it': ED25519 + string(b'x' * 32) + b'x',
    'a_point_that_is_not_on_the_curve':
        string(b'ecdsa-sha2-nistp256') + string(b'nistp256') + string(b'\x04' + b'x' * 64),
    'an_rsa_key_of_768_bits': string(b'ssh-rsa') + mpint(65537) + mpint(1 << 767 | 1),
    'an_rsa_key_of_nothing': string(b'ssh-rsa'),
    'a_type_with_a_nul': string(b'ssh-ed25519\0') + string(b'x' * 32),
    'a_short_name_of_a_type': string(b'Ed25519') + string(b'x' * 10),
    'the_name_of_an_algorithm': string(b'rsa-sha2-256') + string(b'x' * 10),
    'a_token_without_its_application': string(b'sk-ssh-ed25519@openssh.com') + string(b'x' * 32),
}


def certificate(key, authority_blob, sign):
    """Of an Ed25519 key, for ever (PROTOCOL.certkeys)."""
    body = (string(b'ssh-ed25519-cert-v01@openssh.com') + string(b'nonce') + string(key) +
            struct.pack('>QI', 1, 1) + string(b'id') + string(string(b'root')) +
            struct.pack('>QQ', 0, 2**64 - 1) + 3 * string(b'') + string(authority_blob))
    return body + string(sign(body))


class Blobs(Scenario):
    def setUp(self):
        super().setUp()
        self.count = 0
        self.tpm = Swtpm(self.lab)
        self.own = self.lab.make_key('own')
        self.well = SoftKey(self.lab, self.lab.path('well'), 'ed25519', 256, 'well').key

    def start(self, blob):
        other = FakeAgent(self, lists((blob, b'odd'), (self.well.blob, b'well')), f'other{self.count}')
        self.agent = Agent(self.lab, '-A', other.socket, name=f'agent{self.count}')
        self.count += 1
        return other

    def check_left_out(self, blob):
        other = self.start(blob)
        for _ in range(2):
            self.assertEqual(self.agent.listed(), [self.own.line, self.well.line])
            self.agent.ssh_add('-l', status=0)
        self.agent.sign_and_check(self.own)
        self.agent.stop()
        about = [line for line in self.agent.log().splitlines() if other.socket in line]
        self.assertEqual(len(about), 1, self.agent.log())
        self.assertIn('left out', about[0])

    def check_listed(self, blob):
        """And OpenSSH takes the list."""
        self.start(blob)
        with self.agent.connect() as client:
            self.assertEqual([listed for listed, _ in client.list()], [self.own.blob, blob, self.well.blob])
        self.assertIn(self.own.line, self.agent.listed())
        self.assertIn(self.well.line, self.agent.listed())
        self.agent.sign_and_check(self.own)
        self.agent.stop()

    def test_a_type_that_nobody_knows_is_listed(self):
        self.check_listed(string(b'new@example.com') + b'any bytes')

    def test_a_certificate_that_its_authority_has_signed_is_listed(self):
        authority = HostKey(self.lab, 'ca')
        self.check_listed(certificate(b'x' * 32, authority.blob, authority.sign))

    def test_a_certificate_that_its_authority_has_not_signed_is_left_out(self):
        authority = HostKey(self.lab, 'ca')
        self.check_left_out(certificate(b'x' * 32, authority.blob, lambda body: authority.sign(body + b'x')))

    def token_signature(self, authority, body):
        """As a token makes it (PROTOCOL.u2f)."""
        state = b'\1' + u32(7)
        data = hashlib.sha256(b'ssh:').digest() + state + hashlib.sha256(body).digest()
        plain = authority.sign(data)
        name, rest = plain[4:4 + plain[3]], plain[4 + plain[3]:]
        suffix = b'@openssh.com'
        return string(b'sk-' + (b'ssh-ed25519' if name == b'ssh-ed25519' else name) + suffix) + rest + state

    def test_certificates_by_a_token(self):
        for kind in 'ed25519', 'ecdsa':
            authority = HostKey(self.lab, kind, kind)
            name = authority.blob[4:4 + authority.blob[3]]
            blob = string(b'sk-' + name + b'@openssh.com') + authority.blob[4 + len(name):] + string(b'ssh:')
            with self.subTest(kind):
                self.check_listed(certificate(b'x' * 32, blob,
                                              lambda body: self.token_signature(authority, body)))
                self.check_left_out(certificate(b'x' * 32, blob,
                                                lambda body: self.token_signature(authority, body + b'x')))


def add_tests():
    for name, blob in BAD.items():
        setattr(Blobs, f'test_{name}_is_left_out', lambda self, blob=blob: self.check_left_out(blob))


add_tests()

if __name__ == '__main__':
    unittest.main()
