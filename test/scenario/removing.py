#!/usr/bin/env python3
"""Keys are removed one by one and all at once; one of the folder stays away until its file changes."""

import os
import shutil
import signal
import unittest

from agent import Agent, Askpass, certify, ours
from lab import Scenario, wait_until
from protocol import RSA_SHA2_256, add_identity, remove_identity
from softkey import SoftKey
from swtpm import Swtpm

PIN = 'correct horse 42'


class Removing(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def three(self, agent):
        softs = [SoftKey(self.lab, self.lab.path(name), comment=name) for name in 'abc']
        agent.ssh_add(*(soft.path for soft in softs), status=0)
        return softs

    def test_one_key_is_removed_and_the_others_stay_in_their_order(self):
        agent = Agent(self.lab)
        softs = self.three(agent)
        with agent.connect() as connection, agent.connect() as other:
            self.assertEqual(connection.request(remove_identity(softs[1].key.blob)), b'\x06')
            for client in (connection, other):
                self.assertEqual([comment for _, comment in client.list()], ['a', 'c'])
                self.assertIsNone(client.sign(softs[1].key.blob, b'data'))
                self.assertIsNotNone(client.sign(softs[2].key.blob, b'data'))
            self.assertEqual(other.request(remove_identity(softs[1].key.blob)), b'\x05')
            self.assertEqual(other.request(add_identity(softs[1].agent_fields(), b'b')), b'\x06')
            self.assertEqual([comment for _, comment in connection.list()], ['a', 'c', 'b'])

    def test_both_ways_remove_all_and_may_be_repeated(self):
        agent = Agent(self.lab)
        for request in (b'\x13', b'\x09'):
            self.three(agent)
            with agent.connect() as connection:
                self.assertEqual(len(connection.list()), 3)
                for _ in range(2):
                    self.assertEqual(connection.request(request), b'\x06')
                    self.assertEqual(connection.list(), [])
            for name in 'abc':
                os.unlink(self.lab.path(name))
                os.unlink(self.lab.path(name + '.pub'))

    def test_a_key_and_its_certificate_are_removed_each_for_itself(self):
        agent = Agent(self.lab)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        certificate = certify(self.lab, soft.key, '-n', 'root')[1]
        agent.ssh_add(soft.path, status=0)
        with agent.connect() as connection:
            self.assertEqual(connection.request(remove_identity(soft.key.blob)), b'\x06')
            self.assertEqual([blob for blob, _ in connection.list()], [certificate.blob])
            self.assertIsNotNone(connection.sign(certificate.blob, b'data', RSA_SHA2_256))
            self.assertEqual(connection.request(remove_identity(certificate.blob)), b'\x06')
            self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(remove_identity(certificate.blob)), b'\x05')

    def test_ssh_add_d_removes_a_key_with_its_certificate(self):
        agent = Agent(self.lab)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        certify(self.lab, soft.key, '-n', 'root')
        agent.ssh_add(soft.path, status=0)
        self.assertEqual(len(agent.listed()), 2)
        agent.ssh_add('-d', soft.path, status=0)
        self.assertEqual(agent.listed(), [])

    @ours
    def test_keys_of_the_folder_are_removed_by_ssh_add(self):
        keys = [self.lab.make_key(name) for name in 'abc']
        agent = Agent(self.lab)
        agent.sign_and_check(keys[1])
        agent.ssh_add('-d', keys[1].path, status=0)
        self.assertEqual(agent.listed(), [keys[0].line, keys[2].line])
        self.assertNotEqual(agent.ssh_keygen_sign(keys[1]).returncode, 0)
        self.assertTrue(os.path.exists(keys[1].tpm))
        agent.ssh_add('-D', status=0)
        self.assertEqual(agent.listed(), [])
        for key in keys:
            self.assertTrue(os.path.exists(key.tpm))

    @ours
    def test_what_is_removed_stays_away_while_other_files_change(self):
        key, touched = self.lab.make_key('a'), self.lab.make_key('b')
        agent = Agent(self.lab)
        agent.ssh_add('-d', key.path, status=0)
        new = self.lab.make_key('c')
        wait_until(lambda: new.line in agent.listed(), 'the new key')
        os.unlink(touched.tpm)
        wait_until(lambda: touched.line not in agent.listed(), 'the end of the other')
        self.assertEqual(agent.listed(), [new.line])

    @ours
    def test_what_is_removed_comes_back_when_its_file_changes(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        agent.ssh_add('-d', key.path, status=0)
        self.assertEqual(agent.listed(), [])
        self.lab.keygen('-q', '-c', '-C', 'changed', '-f', key.tpm)
        wait_until(lambda: [line.split(' ', 2)[2] for line in agent.listed()] == ['changed'], 'the key', 5)
        agent.sign_and_check(key)

    @ours
    def test_what_is_removed_comes_back_when_its_file_is_written_again_as_it_was(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        agent.ssh_add('-D', status=0)
        shutil.copy(key.tpm, self.lab.path('copy'))
        os.rename(self.lab.path('copy'), key.tpm)
        wait_until(lambda: agent.listed() == [key.line], 'the key', 5)

    @ours
    def test_what_is_removed_comes_back_on_sighup(self):
        keys = [self.lab.make_key(name) for name in 'ab']
        agent = Agent(self.lab)
        for option in (('-d', keys[0].path), ('-D',)):
            agent.ssh_add(*option, status=0)
            self.assertNotIn(keys[0].line, agent.listed())
            agent.process.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: len(agent.listed()) == 2, 'the keys', 5)
        self.assertEqual(agent.listed(), [key.line for key in keys])

    @ours
    def test_the_pin_goes_with_the_key(self):
        for number, option in enumerate(('-d', '-D')):
            key, other = (self.lab.make_key(f'{name}{number}', pin=PIN) for name in 'ab')
            askpass = Askpass(self.lab, PIN, PIN, PIN, name=f'askpass{number}')
            agent = Agent(self.lab, name=f'agent{number}', env=askpass.env)
            agent.sign_and_check(key)
            agent.sign_and_check(other)
            agent.ssh_add(option, *((key.path,) if option == '-d' else ()), status=0)
            agent.process.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: key.line in agent.listed(), 'the key', 5)
            self.assertEqual(len(askpass.questions()), 2)
            agent.sign_and_check(key)
            self.assertEqual(len(askpass.questions()), 3)
            if option == '-d':
                agent.sign_and_check(other)  # whose PIN has stayed
                self.assertEqual(len(askpass.questions()), 3)
            agent.stop()
            self.tpm.assert_no_handles()

    @ours
    def test_a_sealed_key_that_is_removed_is_gone_for_good(self):
        agent = Agent(self.lab)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        agent.ssh_add(soft.path, status=0)
        agent.ssh_add('-D', status=0)
        agent.process.popen.send_signal(signal.SIGHUP)
        mark = self.lab.make_key('mark')
        wait_until(lambda: mark.line in agent.listed(), 'the new key', 5)
        self.assertEqual(agent.listed(), [mark.line])


if __name__ == '__main__':
    unittest.main()
