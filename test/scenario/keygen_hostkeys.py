#!/usr/bin/env python3
"""ssh-tpm-keygen -A makes the host keys that are missing, and touches nothing that is there."""

import os
import shutil
import socket
import unittest

import keyfile
from agent import Agent
from lab import Scenario, contents, mode, read, read_key
from swtpm import Swtpm

TYPES = {'ecdsa': ('256', 'ECDSA'), 'rsa': ('2048', 'RSA')}


class KeygenHostKeys(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.prefix = self.lab.path('prefix')
        self.folder = os.path.join(self.prefix, 'etc/ssh')

    def make(self, *options, **more):
        return self.lab.keygen('-A', '-f', self.prefix, *options, **more)

    def base(self, kind):
        return os.path.join(self.folder, f'ssh_tpm_host_{kind}_key')

    def times(self):
        return {name: os.stat(os.path.join(self.folder, name)).st_mtime_ns
                for name in os.listdir(self.folder)}

    def test_both_keys_are_made_with_their_folders(self):
        self.make(umask=0o077)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(
            f'ssh_tpm_host_{kind}_key.{ending}' for kind in TYPES for ending in ('tpm', 'pub')))
        for kind, (bits, label) in TYPES.items():
            key = read_key(self.base(kind))
            self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))
            self.assertEqual(key.comment, 'root@' + socket.gethostname())
            words = self.lab.ssh_keygen('-l', '-f', key.pub).split()
            self.assertEqual((words[0], words[-1]), (bits, f'({label})'))
            fields = keyfile.fields(key.tpm)
            self.assertTrue(keyfile.attributes(keyfile.public_area(fields)[1]) & keyfile.NO_DA)
            self.assertNotEqual(dict(fields)[keyfile.EMPTY_AUTH][-1], 0)
        for folder in (self.prefix, os.path.join(self.prefix, 'etc'), self.folder):
            self.assertEqual(mode(folder), 0o755)
        agent = Agent(self.lab, key_dir=self.folder)
        for kind in TYPES:
            agent.sign_and_check(read_key(self.base(kind)))
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_second_run_changes_nothing_and_needs_no_tpm(self):
        self.make()
        before = contents(self.prefix), self.times()
        for env in ({}, self.lab.no_tpm):
            result = self.make(env=env)
            self.assertEqual((contents(self.prefix), self.times()), before)
            self.assertEqual(result.stderr, '')

    def test_the_key_that_is_missing_is_made_and_the_other_kept(self):
        self.make()
        for kind, other in (('ecdsa', 'rsa'), ('rsa', 'ecdsa')):
            kept, times = contents(self.prefix), self.times()
            for ending in ('.tpm', '.pub'):
                os.unlink(self.base(kind) + ending)
            self.make()
            for ending in ('.tpm', '.pub'):
                path = self.base(other) + ending
                self.assertEqual(contents(self.prefix)[path], kept[path])
                self.assertEqual(os.stat(path).st_mtime_ns, times[os.path.basename(path)])
                self.assertNotEqual(contents(self.prefix)[self.base(kind) + ending],
                                    kept[self.base(kind) + ending])
            self.assertEqual(self.lab.keygen('-y', '-f', self.base(kind) + '.tpm').stdout,
                             read(self.base(kind) + '.pub'))

    def test_host_keys_of_other_kinds_are_nobodys_business(self):
        os.makedirs(self.folder)
        others = {}
        for name in ('ssh_host_ecdsa_key', 'ssh_host_ecdsa_key.pub', 'sshd_config'):
            path = os.path.join(self.folder, name)
            others[path] = b'something else\n'
            with open(path, 'wb') as file:
                file.write(others[path])
        os.chmod(self.folder, 0o750)
        self.make()
        after = contents(self.folder)
        self.assertEqual({path: after[path] for path in others}, others)
        self.assertEqual(len(after), len(others) + 4)
        self.assertEqual(mode(self.folder), 0o750)

    def test_a_broken_key_is_kept_too(self):
        self.make()
        for content in ('', 'broken\n'):
            path = self.base('rsa') + '.tpm'
            with open(path, 'w', encoding='ascii') as file:
                file.write(content)
            before = contents(self.prefix)
            self.make(status=None)
            self.assertEqual(contents(self.prefix), before)

    def test_a_lost_public_half_comes_back(self):
        self.make()
        before = contents(self.prefix)
        os.unlink(self.base('ecdsa') + '.pub')
        self.make()
        self.assertEqual(contents(self.prefix), before)

    def test_it_says_what_it_makes_unless_it_is_to_be_quiet(self):
        said = self.make().stdout
        for label in ('ECDSA', 'RSA'):
            self.assertIn(label, said)
        self.assertEqual(self.make().stdout, '')
        shutil.rmtree(self.prefix)
        result = self.make('-q')
        self.assertEqual((result.stdout, result.stderr), ('', ''))

    def test_no_tpm_and_no_folder_are_errors_that_leave_no_key(self):
        self.assert_error(self.make(env=self.lab.no_tpm, status=None), 'hint: ')
        self.assertEqual(os.listdir(self.folder) if os.path.exists(self.folder) else [], [])
        shutil.rmtree(self.prefix, ignore_errors=True)
        self.lab.write('prefix', 'a file, no folder\n')
        self.assert_error(self.make(status=None), self.prefix)
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
