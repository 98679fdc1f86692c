#!/usr/bin/env python3
"""On what terms a key of the folder is held that a client has added: the files change, the terms stay."""

import os
import signal
import unittest

from agent import Agent, Askpass, certify, ours
from lab import Scenario, read_key
from protocol import CONFIRM, SUCCESS, destination, hop, restrict_destination, tpm_add_key
from softkey import SoftKey
from swtpm import Swtpm


@ours
class KeyFolderTerms(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def add(self, agent, key, *options):
        """By ssh-tpm-add, whose constraints hold for the certificate too."""
        self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '-q', *options, key.tpm, status=0,
                     env={'SSH_TPM_AUTH_SOCK': agent.socket})

    def change(self, key, comment):
        """A change of the file that leaves the key; its line."""
        self.lab.keygen('-q', '-c', '-C', comment, '-f', key.tpm)
        return read_key(key.path).line

    def test_a_key_whose_time_is_over_stays_away_until_sighup_and_is_confirmed_again(self):
        key, other = self.lab.make_key('a'), self.lab.make_key('b')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        askpass = Askpass(self.lab, 'yes')
        agent = Agent(self.lab, env=askpass.env)
        self.add(agent, key, '-c', '-t', '1')
        agent.wait_until_listed([other.line])
        line = self.change(key, 'new')
        certificate = certify(self.lab, read_key(key.path), '-n', 'other')[1]
        mark = self.change(other, 'mark')  # when this shows, the others have been looked at
        agent.wait_until_listed([mark])
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(askpass.questions(), [])
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.wait_until_listed([line, certificate.line, mark])
        agent.sign_and_check(key)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(len(askpass.questions()), 2)

    def test_a_key_that_was_added_and_removed_stays_away_until_it_is_added(self):
        key, other = self.lab.make_key('a'), self.lab.make_key('b')
        agent = Agent(self.lab)
        for removal in (('-d', key.pub), ('-D',)):
            self.add(agent, key, '-t', '1h')
            agent.ssh_add(*removal, status=0)
            self.change(key, f'changed after {removal}')
            mark = self.change(other, f'mark after {removal}')
            agent.wait_until_listed([mark])
        self.add(agent, key)
        agent.wait_until_listed([read_key(key.path).line, mark])

    def test_another_key_in_the_file_of_one_that_stays_away_shows(self):
        key = self.lab.make_key('a')
        new = self.lab.make_key('a', folder=self.lab.make_folder('elsewhere'), comment='the new one')
        agent = Agent(self.lab)
        self.add(agent, key, '-c')
        agent.ssh_add('-D', status=0)
        os.replace(new.tpm, key.tpm)
        agent.wait_until_listed([new.line])
        agent.sign_and_check(new)

    def test_the_folders_certificate_of_a_key_is_held_on_the_terms_of_the_key_from_the_first_moment(self):
        key = self.lab.make_key('a')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        host = SoftKey(self.lab, self.lab.path('host')).key
        elsewhere = restrict_destination(destination(hop(), hop(b'there', host.blob)))
        askpass = Askpass(self.lab)
        agent = Agent(self.lab, env=askpass.env)
        agent.wait_until_listed([key.line, certificate.line])
        with agent.connect() as connection, open(key.tpm, 'rb') as file:
            text = file.read()
            for constraints in (CONFIRM, elsewhere):
                self.assertEqual(connection.request(tpm_add_key(text, constraints=constraints)), bytes([SUCCESS]))
                for blob in (key.blob, certificate.blob):
                    self.assertIsNone(connection.sign(blob, b'data'))
                self.assertEqual(len(askpass.questions()), 2)  # for the first ones
            self.assertEqual(connection.request(tpm_add_key(text)), bytes([SUCCESS]))
            self.assertIsNotNone(connection.sign(certificate.blob, b'data'))
        self.add(agent, key, '-k', '-c')
        with agent.connect() as connection:
            self.assertIsNone(connection.sign(certificate.blob, b'data'))
        self.assertEqual(len(askpass.questions()), 3)
        self.add(agent, key, '-k', '-t', '1')
        agent.wait_until_listed([])

    def test_the_certificate_of_a_key_that_was_added_is_followed_on_its_terms(self):
        key = self.lab.make_key('a')
        certify(self.lab, key, '-n', 'one')
        askpass = Askpass(self.lab, 'yes')
        agent = Agent(self.lab, env=askpass.env)
        self.add(agent, key, '-c')
        certificate = certify(self.lab, key, '-n', 'two')[1]
        agent.wait_until_listed([key.line, certificate.line])
        with agent.connect() as connection:
            self.assertIsNotNone(connection.sign(certificate.blob, b'data'))
            self.assertIsNone(connection.sign(certificate.blob, b'data'))
        self.assertEqual(len(askpass.questions()), 2)
        os.unlink(key.path + '-cert.pub')
        agent.wait_until_listed([key.line])

    def test_a_certificate_that_comes_after_its_key_was_added_ends_with_it(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        self.add(agent, key, '-t', '3')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        agent.wait_until_listed([key.line, certificate.line])
        agent.wait_until_listed([])


if __name__ == '__main__':
    unittest.main()
