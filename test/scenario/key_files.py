#!/usr/bin/env python3
"""Key files go both ways between ssh-tpm and tpm2-openssl."""

import unittest

from agent import Agent
from lab import KINDS, Scenario, read_key
from swtpm import Swtpm

PROVIDERS = ('-provider', 'tpm2', '-provider', 'default')
# Names for `openssl genpkey -provider tpm2`: algorithm and option.
FOREIGN = {'p256': ('EC', 'group:P-256'), 'p384': ('EC', 'group:P-384'), 'rsa2048': ('RSA', 'bits:2048')}


class KeyFiles(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def openssl(self, *arguments):
        return self.lab.run('openssl', *arguments, status=0,
                            env={'TPM2OPENSSL_TCTI': self.tpm.tcti, 'TSS2_LOG': 'all+none'}).stdout

    def test_tpm2_openssl_reads_our_files_and_finds_the_same_public_key(self):
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                key = self.lab.make_key(f'{kind}{bits}', kind, bits)
                found = self.openssl('pkey', *PROVIDERS, '-in', key.tpm, '-pubout')
                self.assertEqual(found, self.lab.public_pem(key))

    def test_tpm2_openssl_signs_with_our_key(self):
        key = self.lab.make_key('x')
        data, signature = self.lab.write('data', 'a message'), self.lab.path('signature')
        public = self.lab.write('public.pem', self.openssl('pkey', *PROVIDERS, '-in', key.tpm, '-pubout'))
        self.openssl('pkeyutl', *PROVIDERS, '-sign', '-inkey', key.tpm, '-rawin', '-digest', 'sha256',
                     '-in', data, '-out', signature)
        self.openssl('dgst', '-sha256', '-verify', public, '-signature', signature, data)

    def make_foreign_key(self, name):
        """A key made by tpm2-openssl in the agent's folder, and its public file beside it."""
        algorithm, option = FOREIGN[name]
        path, file = self.lab.path('keys', name), self.lab.path('keys', name + '.tpm')
        self.openssl('genpkey', *PROVIDERS, '-algorithm', algorithm, '-pkeyopt', option, '-out', file)
        self.lab.write(f'keys/{name}.pub', self.lab.keygen('-y', '-f', file).stdout)
        return read_key(path)

    def test_keys_made_by_tpm2_openssl_are_served_and_sign(self):
        keys = [self.make_foreign_key(name) for name in FOREIGN]
        agent = Agent(self.lab)
        self.assertEqual({line.split()[1] for line in agent.listed()}, {key.line.split()[1] for key in keys})
        for key in keys:
            with self.subTest(key=key.path):
                agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_the_public_key_of_a_foreign_file_is_the_one_openssl_finds(self):
        for name in FOREIGN:
            key = self.make_foreign_key(name)
            expected = self.openssl('pkey', *PROVIDERS, '-in', key.tpm, '-pubout')
            self.assertEqual(self.lab.public_pem(key), expected)


if __name__ == '__main__':
    unittest.main()
