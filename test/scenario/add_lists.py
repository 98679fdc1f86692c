#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-add lists, tests, locks and empties any agent, and removes keys from it, in the words of ssh-add."""

import os
import subprocess
import unittest

from add_recorder import AddScenario, Recorder, extensions, identities
from agent import Askpass
from lab import read_key
from process import DEADLINE
from protocol import Connection, string
from softkey import SoftKey


class WithSshAgent(AddScenario):
    def setUp(self):
        super().setUp()
        self.start_ssh_agent()

    def add_soft_keys(self):
        paths = [self.soft_key('a key of ed25519'), self.soft_key('a key of ecdsa', '-t', 'ecdsa', '-b', '384'),
                 SoftKey.ready_made(self.lab, self.lab.path('keys/rsa')).path]
        self.certify(paths[1])
        self.ssh_add(*paths, status=0)
        return paths

    def certify(self, path):
        if not os.path.exists(self.lab.path('keys/ca')):
            self.soft_key('ca')
        self.lab.ssh_keygen('-q', '-s', self.lab.path('keys/ca'), '-I', 'someone', path + '.pub')

    def test_fingerprints_and_public_keys(self):
        for option in ('-l', '-L'):
            self.assertIn('no identities', self.assert_like_ssh_add(option))
        self.add_soft_keys()
        for option in ('-l', '-L'):
            self.assertEqual(len(self.assert_like_ssh_add(option).splitlines()), 4)
        self.assertIn('MD5:', self.assert_like_ssh_add('-l', '-E', 'md5'))
        self.assert_like_ssh_add('-l', '-E', 'sha256')
        path = os.path.join(self.lab.keys, 'bare')
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path)
        self.ssh_add('-q', path, status=0)
        for option in ('-l', '-L'):
            self.assert_like_ssh_add(option)
        self.assertEqual(self.add('-D', status=0).stderr, 'All identities removed.\n')
        self.assertEqual(self.ssh_add('-l').returncode, 1)
        self.assertEqual(self.add('-Dq', status=0).stderr, '')

    def test_lock_and_unlock(self):
        self.ssh_add(self.soft_key('a'), status=0)
        locked = self.add('-x', stdin='a word\r\na word\r\n', status=0)
        self.assertIn('Agent locked.\n', locked.stderr)
        self.assertEqual(self.add('-l').returncode, 1)
        askpass = Askpass(self.lab, 'b', 'b', 'wrong')
        self.assert_refused(self.add('-x', env=askpass.env), 'Failed to lock agent: agent refused operation')
        self.assert_refused(self.add('-X', env=askpass.env), 'Failed to unlock agent: agent refused operation')
        self.assertIn('Agent unlocked.\n', self.add('-X', stdin='a word\n', status=0).stderr)
        self.assertEqual(self.add('-l').returncode, 0)

    def test_half_a_password_is_not_sent(self):
        """Some parents leave their child a pipe that does not block."""
        self.add('-x', stdin='a wo\na wo\n', status=0)
        pipe, writer = os.pipe()
        os.set_blocking(pipe, False)
        os.write(writer, b'a wo')
        result = subprocess.run([f'{self.lab.bin}/ssh-tpm-add', '-X'], stdin=pipe, capture_output=True, text=True,
                                start_new_session=True, timeout=DEADLINE,
                                env=self.lab.merged(self.environment()))
        os.close(pipe)
        os.close(writer)
        self.assertEqual(result.returncode, 1)
        self.assertIn('error: no password was given', result.stderr)
        self.add('-X', stdin='a wo\n', status=0)

    def test_two_passwords_that_differ_lock_nothing(self):
        askpass = Askpass(self.lab, 'a', 'b')
        self.assert_refused(self.add('-x', env=askpass.env), 'Passwords do not match.')
        self.assert_refused(self.add('-x', env=askpass.env), 'no password')
        self.ssh_add(self.soft_key('a'), status=0)
        self.assertEqual(self.add('-l').returncode, 0)

    def test_keys_are_tested(self):
        paths = self.add_soft_keys()
        tested = self.add('-T', *(path + '.pub' for path in paths), paths[1] + '-cert.pub', status=0)
        self.assertEqual((tested.stdout, tested.stderr), ('', ''))
        self.add('-T', paths[0], status=0)  # the private key's name stands for FILE.pub
        self.ssh_add('-d', paths[0], status=0)
        refused = self.add('-T', paths[0] + '.pub', paths[2] + '.pub')
        self.assert_refused(refused, f'Agent signature failed for {paths[0]}.pub: agent refused operation')
        self.assertNotIn(paths[2], refused.stderr)
        self.assert_refused(self.add('-T', self.lab.path('absent')), 'absent')
        self.assert_refused(self.add('-T'), 'no keys to test', status=2)

    def test_the_extensions_of_ssh_agent_are_listed_if_it_knows_the_query(self):
        result = self.add('-Q')
        if result.returncode == 0:  # OpenSSH 10.6
            self.assertIn('session-bind@openssh.com\n', result.stdout)
        else:  # up to 10.0
            self.assert_refused(result, 'agent refused operation')

    def test_ssh_agent_gives_up_ordinary_keys_in_the_words_of_ssh_add(self):
        soft = self.soft_key('soft')
        self.certify(soft)
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
        soft = self.soft_key('soft')
        self.assert_refused(self.add('-d', '-C', soft), 'no certificate')
        self.certify(soft)
        self.ssh_add('-q', soft, status=0)
        for name in (soft, soft + '-cert.pub'):
            with self.subTest(name=name):
                self.ssh_add('-q', soft, status=0)
                self.assertEqual(self.ssh_add('-l').stdout.count('ED25519-CERT'), 1)
                self.add('-d', '-C', name, status=0)
                self.assertRegex(self.ssh_add('-l').stdout, r'\A.* soft \(ED25519\)\n\Z')


class WithOthers(AddScenario):
    def test_no_agent_is_exit_status_2(self):
        for self.socket in (self.lab.folder, 'x' * 200):
            self.assertEqual(self.add('-l').returncode, 2)
        self.socket = self.lab.path('nobody.sock')
        for options in ((), ('-l',), ('-D',), ('-T', 'x'), ('absent',)):
            self.assert_refused(self.add(*options), 'nobody.sock', 'ssh-tpm-agent', status=2)
        self.assertEqual(self.lab.run('ssh-add', '-l', env={'SSH_AUTH_SOCK': self.socket}).returncode, 2)

    def test_the_variable_of_this_agent_goes_first_then_that_of_ssh_then_the_usual_place(self):
        places = {name: Recorder(self.lab, lambda _: identities(), name) for name in ('ours', 'ssh')}
        usual = Recorder(self.lab, lambda _: identities(), 'run/ssh-tpm-agent')
        for ours, ssh, used in (('ours', 'ssh', places['ours']), (None, 'ssh', places['ssh']),
                                ('', 'ssh', places['ssh']), (None, None, usual), ('', '', usual)):
            before = len(used.requests)
            env = {'SSH_TPM_AUTH_SOCK': places[ours].path if ours else ours,
                   'SSH_AUTH_SOCK': places[ssh].path if ssh else ssh}
            self.assertEqual(self.add('-l', env=env).returncode, 1)
            self.assertEqual(len(used.requests), before + 1)

    def test_extensions(self):
        recorder = Recorder(self.lab, lambda _: extensions('a', 'b@example.com'))
        self.socket = recorder.path
        self.assertEqual(self.add('-Q', status=0).stdout, 'a\nb@example.com\n')

    def test_a_list_cannot_move_the_cursor(self):
        blob = string(b'ssh-ed25519') + string(bytes(32))
        recorder = Recorder(self.lab, lambda _: identities((blob, b'\x1b[2Jowned\r\xe2\x80\xae')))
        self.socket = recorder.path
        for option in ('-l', '-L'):
            printed = self.add(option, status=0).stdout
            self.assertIn('owned', printed)
            for bad in ('\x1b', '\r', '\u202e'):
                self.assertNotIn(bad, printed)

    def test_a_malformed_key_is_passed_over_and_one_of_an_unknown_type_shown(self):
        known = string(b'ssh-ed25519') + string(bytes(32))
        recorder = Recorder(self.lab, lambda _: identities((string(b'future@key'), b'new'), (known + b'x', b'broken'),
                                                           (known, b'old')))
        self.socket = recorder.path
        listed = self.add('-l', status=0)
        self.assertEqual([line.split()[2:] for line in listed.stdout.splitlines()],
                         [['new', '(FUTURE)'], ['old', '(ED25519)']])
        self.assertIn('not shown', listed.stderr)
        of_host = self.lab.run(f'{self.lab.bin}/ssh-tpm-hostkeys', '--socket', recorder.path, status=0)
        self.assertEqual(of_host.stdout, listed.stdout)

    def test_answers_that_cannot_be_are_refused(self):
        for answer in (None, bytes([6]), identities() + b'x'):
            with self.subTest(answer=answer):
                recorder = Recorder(self.lab, lambda _, it=answer: it, name=f'hostile{hash(answer)}')
                self.socket = recorder.path
                self.assert_refused(self.add('-l'), 'agent')

    def test_a_signature_by_another_key_is_no_signature(self):
        paths = [self.soft_key(name) for name in 'ab']
        self.start_ssh_agent()
        self.ssh_add(*paths, status=0)
        real, (a, b) = self.socket, (read_key(path).blob for path in paths)

        def lie(request):
            with Connection(real) as connection:
                return connection.request(request.replace(a, b))
        self.socket = Recorder(self.lab, lie).path
        self.add('-T', paths[1], status=0)
        self.assert_refused(self.add('-T', paths[0]), 'Signature verification failed', 'incorrect signature')

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

    def test_what_does_not_go_together_or_is_not_there(self):
        self.socket = Recorder(self.lab).path
        self.assert_refused(self.add('-l', '-D'), 'conflicting options', status=2)
        self.assert_refused(self.add('-t', 'soon'), 'soon', status=2)
        self.assert_refused(self.add('-E', 'sha1'), 'sha1', status=2)
        self.assert_refused(self.add('--nonsense'), 'nonsense', status=2)
        for options in (('-s', 'x.so'), ('-e', 'x.so'), ('-S', 'x.so'), ('-K',)):
            self.assert_refused(self.add(*options), 'ssh-add', status=2)

    def test_help(self):
        printed = self.add('--help', status=0).stdout
        for word in ('usage: ssh-tpm-add', '-h DESTINATION', '--pin', 'Exit status', 'SSH_TPM_AUTH_SOCK'):
            self.assertIn(word, printed)
        self.assertNotIn('-h, --help', printed)


if __name__ == '__main__':
    unittest.main()
