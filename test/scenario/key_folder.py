#!/usr/bin/env python3
"""What changes in the key folder shows in the agent within a second, without a restart."""

import os
import shutil
import signal
import statistics
import time
import unittest

from agent import Agent, Askpass, certify, ours
from lab import Scenario, wait_until
from softkey import SoftKey
from swtpm import Swtpm

PIN, OTHER = 'correct horse 42', 'another horse'


@ours
class KeyFolder(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def test_a_change_shows_within_a_second(self):
        key = self.lab.make_key('a', folder=self.lab.make_folder('elsewhere'))
        agent, places, took = Agent(self.lab), [key.tpm, self.lab.path('keys/a.tpm')], []
        with agent.connect() as connection:
            for _ in range(10):
                before = connection.list()
                begun = time.monotonic()
                os.rename(*places)
                wait_until(lambda before=before: connection.list() != before, 'the change')
                took.append(time.monotonic() - begun)
                places.reverse()
        self.assertLess(statistics.median(took), 1)

    def test_a_new_key_shows(self):
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [])
        key = self.lab.make_key('b')
        agent.wait_until_listed([key.line])
        agent.sign_and_check(key)
        first = self.lab.make_key('a', 'rsa', 2048)
        agent.wait_until_listed([first.line, key.line])

    def test_a_deleted_key_goes_and_signs_no_more(self):
        keys = [self.lab.make_key(name) for name in 'ab']
        agent = Agent(self.lab)
        agent.sign_and_check(keys[0])
        os.unlink(keys[0].tpm)
        agent.wait_until_listed([keys[1].line])
        self.assertNotEqual(agent.ssh_keygen_sign(keys[0]).returncode, 0)

    def test_a_replaced_key_shows_the_new_one(self):
        key = self.lab.make_key('a')
        new = self.lab.make_key('a', folder=self.lab.make_folder('elsewhere'), comment='the new one')
        agent = Agent(self.lab)
        agent.sign_and_check(key)
        os.replace(new.tpm, key.tpm)
        agent.wait_until_listed([new.line])
        agent.sign_and_check(new)

    def test_a_file_that_is_written_in_place_shows_once_it_is_whole(self):
        key = self.lab.make_key('a', folder=self.lab.make_folder('elsewhere'))
        agent = Agent(self.lab)
        with open(key.tpm, encoding='ascii') as source, open(self.lab.path('keys/a.tpm'), 'w',
                                                             encoding='ascii') as file:
            content = source.read()
            for piece in range(0, len(content), 50):
                file.write(content[piece:piece + 50])
                file.flush()
                self.assertEqual(agent.listed(), [])
        agent.wait_until_listed([key.line])

    def test_a_renamed_key_stays_one_key(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        os.rename(key.tpm, self.lab.path('keys/z.tpm'))
        mark = self.lab.make_key('b')
        agent.wait_until_listed([mark.line, key.line])

    def test_a_key_moved_out_goes_and_moved_in_comes(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        os.rename(key.tpm, self.lab.path('a.tpm'))
        agent.wait_until_listed([])
        os.rename(self.lab.path('a.tpm'), key.tpm)
        agent.wait_until_listed([key.line])

    def test_a_certificate_comes_changes_and_goes(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 1)
        for name in ('one', 'two'):
            certificate = certify(self.lab, key, '-n', name)[1]
            agent.wait_until_listed([key.line, certificate.line])
        os.unlink(key.path + '-cert.pub')
        agent.wait_until_listed([key.line])

    def test_a_certificate_may_come_before_its_key(self):
        made = self.lab.make_key('a', folder=self.lab.make_folder('elsewhere'))
        certificate = certify(self.lab, made, '-n', 'root')[1]
        agent = Agent(self.lab)
        shutil.copy(made.path + '-cert.pub', self.lab.path('keys/a-cert.pub'))
        shutil.copy(made.tpm, self.lab.path('keys/a.tpm'))
        agent.wait_until_listed([made.line, certificate.line])

    def test_a_new_comment_shows(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        self.lab.keygen('-q', '-c', '-C', 'a new comment', '-f', key.tpm)
        agent.wait_until_listed([' '.join(key.line.split()[:2] + ['a new comment'])])

    def test_a_pin_that_keygen_changed_is_the_one_that_counts(self):
        key = self.lab.make_key('a', pin=PIN)
        askpass = Askpass(self.lab, PIN, OTHER)
        agent = Agent(self.lab, env=askpass.env)
        agent.sign_and_check(key)
        self.lab.keygen('-q', '-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 2)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_a_folder_that_comes_later_is_watched(self):
        folder = self.lab.path('later', 'keys')
        agent = Agent(self.lab, key_dir=folder)
        agent.process.wait_line(f'no key folder {folder} so far')
        self.assertEqual(agent.listed(), [])
        self.lab.make_folder('later', 'keys')
        key = self.lab.make_key('a', folder=folder)
        agent.wait_until_listed([key.line])
        other = self.lab.make_key('b', folder=folder)
        agent.wait_until_listed([key.line, other.line])

    def test_a_folder_that_is_replaced_is_watched_on(self):
        key = self.lab.make_key('a')
        new = self.lab.make_key('b', folder=self.lab.make_folder('elsewhere'))
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [key.line])
        shutil.rmtree(self.lab.keys)
        agent.wait_until_listed([])
        os.rename(self.lab.path('elsewhere'), self.lab.keys)
        agent.wait_until_listed([new.line])
        third = self.lab.make_key('c')
        agent.wait_until_listed([new.line, third.line])

    def test_a_broken_file_disturbs_no_other(self):
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        self.lab.write('keys/b.tpm', 'no key')
        self.lab.write('keys/c.tpm', b'\0' * 100000)
        os.mkfifo(self.lab.path('keys/d.tpm'))
        os.symlink(self.lab.path('keys/e.tpm'), self.lab.path('keys/e.tpm'))
        last = self.lab.make_key('z')
        agent.wait_until_listed([key.line, last.line])
        agent.process.wait_line('b.tpm')

    def test_a_thousand_changes_are_followed_to_the_last(self):
        key = self.lab.make_key('a', folder=self.lab.make_folder('elsewhere'))
        agent = Agent(self.lab)
        for _ in range(1000):
            shutil.copy(key.tpm, self.lab.path('keys/a.tpm'))
            os.unlink(self.lab.path('keys/a.tpm'))
        shutil.copy(key.tpm, self.lab.path('keys/b.tpm'))
        agent.wait_until_listed([key.line])

    def test_what_ssh_add_brought_stays_when_the_folder_changes(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        agent = Agent(self.lab)
        agent.ssh_add(soft.path, status=0)
        key = self.lab.make_key('a')
        agent.wait_until_listed([key.line, soft.key.line])
        os.unlink(key.tpm)
        agent.wait_until_listed([soft.key.line])

    def test_sighup_reads_the_folder_by_hand(self):
        """A folder on a network file system sends no notices; this is for those."""
        key = self.lab.make_key('a')
        agent = Agent(self.lab)
        agent.ssh_add('-d', key.pub, status=0)
        self.assertEqual(agent.listed(), [])
        for _ in range(3):
            agent.process.popen.send_signal(signal.SIGHUP)
        agent.wait_until_listed([key.line])
        agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_signal_at_the_first_moment_finds_the_agent_ready(self):
        """What says that it listens has its signals in hand."""
        for how in (signal.SIGHUP, signal.SIGUSR1) * 8:
            agent = Agent(self.lab)
            agent.process.popen.send_signal(how)
            with agent.connect() as connection:
                connection.list()
            agent.stop()

    def test_sigusr1_drops_all_keys_and_pins(self):
        key = self.lab.make_key('a', pin=PIN)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        askpass = Askpass(self.lab, PIN, PIN)
        agent = Agent(self.lab, env=askpass.env)
        agent.sign_and_check(key)
        agent.ssh_add(soft.path, status=0)
        agent.process.popen.send_signal(signal.SIGUSR1)
        agent.wait_until_listed([])
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(len(askpass.questions()), 1)
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.wait_until_listed([key.line])
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 2)

    def test_no_load_watches_nothing(self):
        agent = Agent(self.lab, '--no-load')
        self.lab.make_key('a')
        agent.process.popen.send_signal(signal.SIGHUP)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        agent.ssh_add(soft.path, status=0)
        self.assertEqual(agent.listed(), [soft.key.line])


if __name__ == '__main__':
    unittest.main()
