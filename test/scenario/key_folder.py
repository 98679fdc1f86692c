#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What changes in the key folder shows in the agent without a restart; and on what terms a key of the folder is held
that a client has added: the files change, the key is the client's."""

import os
import shutil
import signal
import statistics
import time
import unittest

from agent import Agent, Askpass, add_request, certify, ours
from keys_once import KeysOnce
from lab import read, read_key, slow, wait_until
from protocol import CONFIRM, SUCCESS, destination, hop, remove_identity, restrict_destination

PIN, OTHER = 'correct horse 42', 'another horse'


class WithKeys(KeysOnce):
    KEYS = {'a': {}, 'b': {}, 'c': {}, 'guarded': {'pin': PIN}}
    SOFT = ('soft', 'host')


@ours
class KeyFolder(WithKeys):
    @slow
    def test_a_change_shows_within_a_second(self):
        key = self.stocked('a')
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

    def test_a_new_key_shows_a_deleted_one_goes_and_signs_no_more(self):
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [])
        key = self.take('b')
        agent.wait_until_listed([key.line], deadline=10)
        agent.sign_and_check(key)
        first, last = self.take('a'), self.take('c')
        agent.wait_until_listed([first.line, key.line, last.line], deadline=10)
        os.unlink(key.tpm)
        agent.wait_until_listed([first.line, last.line], deadline=10)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)

    def test_a_replaced_key_shows_the_new_one_and_a_renamed_key_stays_one_key(self):
        key, new = self.take('a'), self.stocked('b')
        agent = Agent(self.lab)
        agent.sign_and_check(key)
        os.replace(new.tpm, key.tpm)
        agent.wait_until_listed([new.line])
        agent.sign_and_check(new)
        os.rename(key.tpm, self.lab.path('keys/z.tpm'))
        mark = self.take('c')
        agent.wait_until_listed([mark.line, new.line])

    def test_a_file_that_is_written_in_place_shows_once_it_is_whole(self):
        key = self.stocked('a')
        agent = Agent(self.lab)
        content = read(key.tpm)
        with open(self.lab.path('keys/a.tpm'), 'w', encoding='ascii') as file:
            for piece in range(0, len(content), 50):
                file.write(content[piece:piece + 50])
                file.flush()
                self.assertEqual(agent.listed(), [])
        agent.wait_until_listed([key.line])

    def test_a_certificate_comes_changes_and_goes(self):
        key = self.take('a')
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 1)
        for name in ('one', 'two'):  # it comes, and changes
            certificate = certify(self.lab, key, '-n', name)[1]
            agent.wait_until_listed([key.line, certificate.line])
        os.unlink(key.path + '-cert.pub')
        agent.wait_until_listed([key.line])

    def test_a_certificate_may_come_before_its_key(self):
        made = self.stocked('a')
        certificate = certify(self.lab, made, '-n', 'root')[1]
        agent = Agent(self.lab)
        shutil.copy(made.path + '-cert.pub', self.lab.path('keys/a-cert.pub'))
        shutil.copy(made.tpm, self.lab.path('keys/a.tpm'))
        agent.wait_until_listed([made.line, certificate.line])

    def test_a_new_comment_shows(self):
        key = self.take('a')
        agent = Agent(self.lab)
        self.lab.keygen('-q', '-c', '-C', 'a new comment', '-f', key.tpm)
        agent.wait_until_listed([' '.join(key.line.split()[:2] + ['a new comment'])])

    def test_a_pin_that_keygen_changed_is_the_one_that_counts(self):
        key = self.take('guarded')
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
        key = self.take('a', folder)
        agent.wait_until_listed([key.line])
        other = self.take('b', folder)
        agent.wait_until_listed([key.line, other.line])

    def test_a_folder_that_is_replaced_is_watched_on(self):
        key = self.take('a')
        new = self.take('b', self.lab.make_folder('elsewhere'))
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [key.line])
        shutil.rmtree(self.lab.keys)
        agent.wait_until_listed([])
        os.rename(self.lab.path('elsewhere'), self.lab.keys)
        agent.wait_until_listed([new.line])
        third = self.take('c')
        agent.wait_until_listed([new.line, third.line])

    def test_subfolders_are_read_to_the_second_level_without_hidden_and_linked_ones(self):
        work, client = self.lab.make_folder('keys', 'work'), self.lab.make_folder('keys', 'work', 'client')
        first, second = self.take('a', work), self.take('b', client)
        for names in (('work', 'client', 'deeper'), ('.git',), ('work', '.git')):
            self.take('c', self.lab.make_folder('keys', *names))
        self.take('c', self.lab.make_folder('elsewhere'))
        os.symlink(self.lab.path('elsewhere'), self.lab.path('keys', 'link'))
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [first.line, second.line])
        for key in (first, second):
            agent.sign_and_check(key)
        certificate = certify(self.lab, second, '-n', 'root')[1]
        agent.wait_until_listed([first.line, second.line, certificate.line])

    def test_a_subfolder_that_comes_is_renamed_and_goes_is_followed(self):
        agent = Agent(self.lab)
        key = self.take('a', self.lab.make_folder('keys', 'one', 'two'))
        agent.wait_until_listed([key.line])
        os.rename(self.lab.path('keys', 'one'), self.lab.path('keys', 'other'))
        mark = self.take('b', self.lab.path('keys', 'other'))  # when it shows, the new name has been seen
        agent.wait_until_listed([key.line, mark.line])
        agent.sign_and_check(read_key(self.lab.path('keys', 'other', 'two', 'a')))
        os.rename(self.lab.path('keys', 'other'), self.lab.path('away'))
        agent.wait_until_listed([])
        os.rename(self.lab.path('away'), self.lab.path('keys', 'back'))
        agent.wait_until_listed([key.line, mark.line])
        shutil.rmtree(self.lab.path('keys', 'back', 'two'))
        agent.wait_until_listed([mark.line])

    def test_a_file_that_is_written_as_soon_as_its_subfolder_is_there_is_seen(self):
        agent = Agent(self.lab)
        for round_ in range(50):
            key = self.take('ab'[round_ % 2], self.lab.make_folder('keys', 'one', str(round_)))
            agent.wait_until_listed([key.line])
            shutil.rmtree(self.lab.path('keys', 'one'))

    def test_the_same_key_in_two_folders_is_one_and_the_upper_file_serves(self):
        lower = self.take('a', self.lab.make_folder('keys', 'A-backup'))
        certify(self.lab, lower, '-n', 'old')
        key = self.take('a')
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [key.line])
        said = f"{lower.tpm}: the same key as another file's; skipped"
        self.assertIn(said, agent.log())
        other = self.take('b')
        agent.wait_until_listed([key.line, other.line])
        self.assertEqual(agent.log().count(said), 1)
        agent.process.lines.clear()
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.process.wait_line(said)

    def test_of_too_many_subfolders_256_are_read_and_the_log_says_so(self):
        for number in range(257):
            self.lab.make_folder('keys', f'{number:03}')
        last, lost = self.take('a', self.lab.path('keys', '254')), self.take('b', self.lab.path('keys', '255'))
        agent = Agent(self.lab)
        agent.process.wait_line(f'{self.lab.keys}: has too many subfolders: {self.lab.keys}/255 and those after it')
        self.assertEqual(agent.listed(), [last.line])
        os.rmdir(self.lab.path('keys', '000'))
        agent.wait_until_listed([last.line, lost.line])
        self.assertEqual(agent.log().count('too many subfolders'), 2)  # another folder is the first that is left out

    def test_a_broken_file_disturbs_no_other(self):
        key = self.take('a')
        agent = Agent(self.lab)
        self.lab.write('keys/b.tpm', 'no key')
        self.lab.write('keys/e.tpm', b'\0' * 100000)
        os.mkfifo(self.lab.path('keys/d.tpm'))
        os.symlink(self.lab.path('keys/f.tpm'), self.lab.path('keys/f.tpm'))
        last = self.take('c')
        agent.wait_until_listed([key.line, last.line])
        agent.process.wait_line('b.tpm')

    def test_many_changes_are_followed_to_the_last(self):
        key = self.stocked('a')
        agent = Agent(self.lab)
        for _ in range(300):
            shutil.copy(key.tpm, self.lab.path('keys/a.tpm'))
            os.unlink(self.lab.path('keys/a.tpm'))
        shutil.copy(key.tpm, self.lab.path('keys/b.tpm'))
        agent.wait_until_listed([key.line])

    def test_what_ssh_add_brought_stays_when_the_folder_changes(self):
        soft = self.soft('soft')
        agent = Agent(self.lab)
        agent.ssh_add(soft.path, status=0)
        key = self.take('a')
        agent.wait_until_listed([key.line, soft.key.line])
        os.unlink(key.tpm)
        agent.wait_until_listed([soft.key.line])

    def test_a_signal_at_the_first_moment_finds_the_agent_ready(self):
        """What says that it listens has its signals in hand."""
        for how in (signal.SIGHUP, signal.SIGUSR1) * 4:
            agent = Agent(self.lab)
            agent.process.popen.send_signal(how)
            with agent.connect() as connection:
                connection.list()
            agent.stop()

    def test_sigusr1_drops_all_keys_and_pins(self):
        key = self.take('guarded')
        soft = self.soft('soft')
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
        self.take('a')
        agent.process.popen.send_signal(signal.SIGHUP)
        soft = self.soft('soft')
        agent.ssh_add(soft.path, status=0)
        self.assertEqual(agent.listed(), [soft.key.line])


@ours
class Terms(WithKeys):
    def add(self, agent, key, *options):
        """With its certificate, for which the constraints hold too."""
        agent.add('-q', *options, key.tpm, status=0)

    def change(self, key, comment):
        """A change of the file that leaves the key; its line."""
        self.lab.keygen('-q', '-c', '-C', comment, '-f', key.tpm)
        return read_key(key.path).line

    def test_a_key_whose_time_is_over_stays_away_until_sighup_and_is_the_folders_then(self):
        key, other = self.take('a'), self.take('b')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        askpass = Askpass(self.lab)
        agent = Agent(self.lab, env=askpass.env)
        self.add(agent, key, '-c', '-t', '1')
        agent.wait_until_listed([other.line])
        line = self.change(key, 'new')
        certificate = certify(self.lab, read_key(key.path), '-n', 'other')[1]
        mark = self.change(other, 'mark')  # when this shows, the others have been looked at
        agent.wait_until_listed([mark])
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.wait_until_listed([line, certificate.line, mark])
        agent.sign_and_check(key)
        self.assertEqual(askpass.questions(), [])

    def test_the_folders_certificate_of_a_key_is_held_on_the_terms_of_the_key_from_the_first_moment(self):
        key = self.take('a')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        host = self.soft('host').key
        elsewhere = restrict_destination(destination(hop(), hop(b'there', host.blob)))
        askpass = Askpass(self.lab)
        agent = Agent(self.lab, env=askpass.env)
        agent.wait_until_listed([key.line, certificate.line])
        with agent.connect() as connection:
            for constraints in (CONFIRM, elsewhere):
                self.assertEqual(connection.request(add_request(key, constraints)), bytes([SUCCESS]))
                for blob in (key.blob, certificate.blob):
                    self.assertIsNone(connection.sign(blob, b'data'))
                self.assertEqual(len(askpass.questions()), 2)  # for the first ones
            self.assertEqual(connection.request(add_request(key)), bytes([SUCCESS]))
            self.assertIsNotNone(connection.sign(certificate.blob, b'data'))
        self.add(agent, key, '-k', '-c')
        with agent.connect() as connection:
            self.assertIsNone(connection.sign(certificate.blob, b'data'))
        self.assertEqual(len(askpass.questions()), 3)
        self.add(agent, key, '-k', '-t', '1')
        agent.wait_until_listed([])

    def test_the_certificate_of_a_key_that_was_added_is_followed_on_its_terms(self):
        key = self.take('a')
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
        key = self.take('a')
        agent = Agent(self.lab)
        self.add(agent, key, '-t', '2')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        agent.wait_until_listed([key.line, certificate.line])
        agent.wait_until_listed([])

    def change_and_wait(self, agent, key):
        line = self.change(key, 'new')
        wait_until(lambda: line in agent.listed(), 'the new comment')
        return line

    def add_certificate(self, agent, key, *options):
        """Without the key, which the folder has too."""
        self.add(agent, key, '-C', *options)

    def assert_confirmed(self, agent, certificate):
        """For Askpass without an answer, which is a no."""
        asked = len(self.askpass.questions())
        with agent.connect() as connection:
            self.assertIsNone(connection.sign(certificate.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), asked + 1)

    def test_a_certificate_that_was_added_alone_stays_confirmed_when_its_file_changes_and_after_sighup(self):
        key = self.take('a')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        self.askpass = Askpass(self.lab)
        agent = Agent(self.lab, env=self.askpass.env)
        self.add_certificate(agent, key, '-c')
        self.assert_confirmed(agent, certificate)
        self.change_and_wait(agent, key)
        self.assert_confirmed(agent, certificate)
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.process.wait_line('SIGHUP: reading')
        self.assert_confirmed(agent, certificate)
        agent.sign_and_check(read_key(key.path))  # the key is the folder's, and is not asked about

    def test_a_certificate_that_was_added_alone_ends_in_its_time_though_its_file_changes(self):
        key = self.take('a')
        certify(self.lab, key, '-n', 'root')
        agent = Agent(self.lab)
        self.add_certificate(agent, key, '-t', '3')
        line = self.change_and_wait(agent, key)
        agent.wait_until_listed([line])

    def test_a_certificate_that_was_added_alone_goes_with_its_file(self):
        key = self.take('a')
        certificate = certify(self.lab, key, '-n', 'root')[1]
        agent = Agent(self.lab)
        self.add_certificate(agent, key, '-c')
        os.unlink(certificate.pub)
        agent.wait_until_listed([key.line])

    def test_a_key_that_was_added_while_its_file_was_away_and_removed_stays_away_until_sighup(self):
        key, given = self.take('a'), self.stocked('a')
        agent = Agent(self.lab)
        agent.wait_until_listed([key.line])
        os.unlink(key.tpm)
        agent.wait_until_listed([])
        with agent.connect() as connection:
            for request in (add_request(given, CONFIRM), remove_identity(key.blob)):
                self.assertEqual(connection.request(request), bytes([SUCCESS]))
        key, mark = self.take('a'), self.take('b')  # when the other shows, both have been looked at
        agent.wait_until_listed([mark.line])
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.wait_until_listed([key.line, mark.line])


if __name__ == '__main__':
    unittest.main()
