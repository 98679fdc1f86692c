#!/usr/bin/env python3
"""ssh-tpm-add -d takes keys and their certificates out of the agent."""

import os
import unittest

from add_recorder import AddScenario, Recorder, identities
from agent import Agent, certify
from lab import read, read_key
from protocol import string
from swtpm import Swtpm


class FromOurAgent(AddScenario):
    def setUp(self):
        super().setUp()
        Swtpm(self.lab)
        self.agent = Agent(self.lab, '--no-load')
        self.socket = self.agent.socket

    def certified_key(self, name='x'):
        key = self.lab.make_key(name)
        return key, certify(self.lab, key)[1]

    def test_key_and_certificate_go_whichever_file_is_named(self):
        key, certificate = self.certified_key()
        for name in (key.tpm, key.pub, key.path):
            with self.subTest(name=name):
                self.add(key.tpm, status=0)
                self.assertEqual(len(self.agent.listed()), 2)
                shown = key.pub if name == key.pub else key.tpm
                self.assertEqual(self.add('-d', name, status=0).stderr.splitlines(),
                                 [f'Identity removed: {shown} ECDSA (x)',
                                  f'Identity removed: {certificate.pub} ECDSA-CERT (x)'])
                self.assertEqual(self.agent.listed(), [])

    def test_the_public_file_is_enough(self):
        key, _ = self.certified_key()
        self.add(key.tpm, status=0)
        os.unlink(key.tpm)
        self.add('-dq', key.tpm, status=0)
        self.assertEqual(self.agent.listed(), [])

    def test_other_keys_stay(self):
        key, other = self.lab.make_key('x'), self.lab.make_key('y')
        self.add(key.tpm, other.tpm, status=0)
        self.add('-d', key.tpm, status=0)
        self.assertEqual(self.agent.listed(), [other.line])

    def test_the_default_files(self):
        folder = self.lab.make_folder('home', '.ssh')
        ecdsa, rsa = (self.lab.make_key(f'id_{kind}', kind, bits, folder=folder)
                      for kind, bits in (('ecdsa', 256), ('rsa', 2048)))
        self.add(status=0)
        self.assertEqual(self.agent.listed(), [ecdsa.line, rsa.line])
        self.add('-d', status=0)
        self.assertEqual(self.agent.listed(), [])

    def test_what_the_agent_does_not_have(self):
        key, other = self.lab.make_key('x'), self.lab.make_key('y')
        self.add(other.tpm, status=0)
        result = self.add('-d', key.tpm, self.lab.path('absent'), other.tpm)
        self.assert_refused(result, f'Could not remove identity "{key.tpm}": agent refused operation', 'absent')
        self.assertIn(f'Identity removed: {other.tpm}', result.stderr)
        self.assertEqual(self.agent.listed(), [])

    def test_public_keys_from_standard_input(self):
        keys = [self.lab.make_key(name) for name in 'abc']
        self.add(*(key.tpm for key in keys), status=0)
        text = f'# two of them\n\n{read(keys[0].pub)}nonsense\n  {read(keys[2].pub)}'
        result = self.add('-d', '-', stdin=text, status=0)
        self.assertIn('(stdin):4: invalid key', result.stderr)
        self.assertEqual(self.agent.listed(), [keys[1].line])
        self.assertEqual(self.add('-d', '-', stdin=text).returncode, 1)


class FromOthers(AddScenario):
    def test_ssh_agent_gives_up_ordinary_keys_in_the_words_of_ssh_add(self):
        self.start_ssh_agent()
        soft, authority = self.soft_key('soft'), self.soft_key('ca')
        self.lab.ssh_keygen('-q', '-s', authority, '-I', 'someone', soft + '.pub')
        for options, left in ((('-d',), 0), (('-d', '-k'), 1)):
            with self.subTest(options=options):
                self.ssh_add('-q', soft, status=0)
                theirs = self.ssh_add(*options, soft, status=0)
                self.ssh_add('-D')
                self.ssh_add('-q', soft, status=0)
                ours = self.add(*options, soft, status=0)
                self.assertEqual(ours.stderr.replace(soft + '.pub', soft), theirs.stderr)
                listed = self.ssh_add('-l').stdout
                self.assertEqual(listed.count('ED25519'), left)
                self.ssh_add('-D')

    def test_certificates_alone(self):
        self.start_ssh_agent()
        soft, authority = self.soft_key('soft'), self.soft_key('ca')
        self.assert_refused(self.add('-d', '-C', soft), 'no certificate')
        self.lab.ssh_keygen('-q', '-s', authority, '-I', 'someone', soft + '.pub')
        self.ssh_add('-q', soft, status=0)
        for name in (soft, soft + '-cert.pub'):
            with self.subTest(name=name):
                self.ssh_add('-q', soft, status=0)
                self.assertEqual(self.ssh_add('-l').stdout.count('ED25519-CERT'), 1)
                self.add('-d', '-C', name, status=0)
                self.assertRegex(self.ssh_add('-l').stdout, r'\A.* soft \(ED25519\)\n\Z')

    def test_an_agent_that_takes_the_certificate_out_with_its_key(self):
        soft, authority = self.soft_key('soft'), self.soft_key('ca')
        self.lab.ssh_keygen('-q', '-s', authority, '-I', 'someone', soft + '.pub')
        key, certificate = read_key(soft), read_key(soft + '-cert')
        held = [(key.blob, b''), (certificate.blob, b'')]

        def serve(request):
            if request[0] == 11:
                return identities(*held)
            if request != bytes([18]) + string(key.blob) or not held:
                return bytes([5])
            held.clear()
            return bytes([6])
        self.socket = Recorder(self.lab, serve).path
        result = self.add('-d', soft, status=0)
        self.assertEqual(result.stderr.count('Identity removed'), 2)
        self.assert_refused(self.add('-d', soft), 'agent refused operation')


if __name__ == '__main__':
    unittest.main()
