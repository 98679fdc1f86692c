#!/usr/bin/env python3
"""The dialogue of ssh-tpm-keygen on a terminal is that of ssh-keygen, line by line."""

import os
import re
import signal
import unittest

from lab import Scenario, read, read_key
from swtpm import Swtpm
from terminal import Terminal, talk

FILE = 'Enter file in which to save the key ('
FIRST, SECOND = 'Enter passphrase (empty for no passphrase): ', 'Enter same passphrase again: '
DIFFER = 'Passphrases do not match.  Try again.'
OVERWRITE = 'Overwrite (y/n)? '


def comparable(transcript):
    """A transcript without what differs from key to key: the fingerprint, and the inside of the randomart."""
    transcript = re.sub(r'SHA256:[A-Za-z0-9+/]{43}', 'SHA256:…', transcript)
    return re.sub(r'(?m)^\|.{17}\|$', '|…|', transcript).split('\n')


class KeygenDialogue(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'

    def default_file(self, kind='ecdsa'):
        return os.path.join(self.lab.home, '.ssh', 'id_' + kind)

    def talk(self, *argv, answers):
        return talk(self.lab, *argv, answers=answers)

    def compare(self, options, passphrases):
        """Plays the same dialogue with both programs and compares what they show."""
        ours, theirs = self.lab.path('keys/ours'), self.lab.path('keys/theirs')
        status, transcript = self.talk(self.ours, *options, answers=[(FILE, ours), *passphrases])
        expected_status, expected = self.talk('ssh-keygen', *options, answers=[(FILE, theirs), *passphrases])
        self.assertEqual((status, expected_status), (0, 0), transcript + expected)
        expected = re.sub(r'\(/[^)]*/\.ssh/id_', f'({self.lab.home}/.ssh/id_', expected)
        transcript = transcript.replace(ours + '.tpm', ours).replace(ours, theirs)
        self.assertEqual(comparable(transcript), comparable(expected))

    def test_the_dialogue_for_an_ecdsa_key_is_the_one_of_ssh_keygen(self):
        self.compare(['-t', 'ecdsa', '-C', 'a comment'], [(FIRST, ''), (SECOND, '')])

    def test_the_dialogue_for_an_rsa_key_is_the_one_of_ssh_keygen(self):
        self.compare(['-t', 'rsa', '-b', '2048', '-C', 'a comment'], [(FIRST, ''), (SECOND, '')])

    def test_the_dialogue_with_a_passphrase_mistyped_once_is_the_one_of_ssh_keygen(self):
        self.compare(['-t', 'ecdsa', '-C', 'c'], [(FIRST, 'one two'), (SECOND, 'one'), (FIRST, 'one two'),
                                                  (SECOND, 'one two')])

    def test_options_that_answer_a_question_leave_it_out(self):
        for name, options in (('a', ['-N', '']), ('b', ['-N', 'secret'])):
            ours, theirs = self.lab.path('keys', name), self.lab.path('keys', name + '.theirs')
            options = ['-t', 'ecdsa', '-C', 'c', *options]
            status, shown = self.talk(self.ours, *options, '-f', ours, answers=[])
            expected = self.talk('ssh-keygen', *options, '-f', theirs, answers=[])[1]
            self.assertEqual(status, 0)
            shown = shown.replace(ours + '.tpm', ours).replace(ours, theirs)
            self.assertEqual(comparable(shown), comparable(expected))

    def test_the_whole_dialogue_for_the_default_file(self):
        path = self.default_file()
        answers = [(path + '): ', ''), (FIRST, ''), (SECOND, '')]
        status, shown = self.talk(self.ours, '-C', 'me', answers=answers)
        self.assertEqual(status, 0, shown)
        line, *art = self.lab.ssh_keygen('-lv', '-f', path + '.pub').split('\n')
        self.assertEqual(shown.split('\n'), [
            'Generating public/private ecdsa key pair.',
            f'{FILE}{path}): ',
            f"Created directory '{os.path.dirname(path)}'.",
            FIRST, SECOND,
            f'Your identification has been saved in {path}.tpm',
            f'Your public key has been saved in {path}.pub',
            'The key fingerprint is:',
            f'{line.split()[1]} me',
            "The key's randomart image is:",
            *art])
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)

    def test_the_default_file_is_named_after_the_type(self):
        path = self.default_file('rsa')
        status, _ = self.talk(self.ours, '-t', 'rsa', '-N', '', answers=[(path + '): ', '')])
        self.assertEqual(status, 0)
        self.assertTrue(os.path.exists(path + '.tpm'))

    def test_passphrases_are_not_shown_and_echo_comes_back(self):
        with Terminal(self.lab, self.ours, '-f', self.lab.path('keys/x')) as terminal:
            self.assertTrue(terminal.echoes())
            self.assertFalse(terminal.answer(FIRST, 'unseen'))
            self.assertFalse(terminal.answer(SECOND, 'unseen'))
            self.assertEqual(terminal.finish(), 0)
            self.assertTrue(terminal.echoes())
            self.assertNotIn('unseen', terminal.transcript)

    def test_passphrases_that_differ_are_asked_for_again(self):
        status, shown = self.talk(self.ours, '-f', self.lab.path('keys/x'), answers=[
            (FIRST, 'one'), (SECOND, 'two'), (DIFFER + '\n' + FIRST, 'one'), (SECOND, 'one')])
        self.assertEqual(status, 0)
        self.assertEqual(shown.count(DIFFER), 1)

    def test_no_to_overwriting_leaves_all_unchanged(self):
        key = self.lab.make_key('x')
        before = [read(path) for path in (key.tpm, key.pub)]
        for answer in ('n', '', 'no', 'x'):
            with self.subTest(answer=answer):
                status, shown = self.talk(self.ours, '-N', '', '-f', key.path, answers=[(OVERWRITE, answer)])
                self.assertEqual(status, 1)
                self.assertIn(f'{key.tpm} already exists.\n{OVERWRITE}', shown)
                self.assertEqual([read(path) for path in (key.tpm, key.pub)], before)

    def test_end_of_file_instead_of_a_yes_leaves_all_unchanged(self):
        key = self.lab.make_key('x')
        with Terminal(self.lab, self.ours, '-N', '', '-f', key.path) as terminal:
            terminal.read_until(OVERWRITE)
            terminal.type('\x04')
            self.assertEqual(terminal.finish(), 1)
        self.assertEqual(read_key(key.path), key)

    def test_yes_to_overwriting_makes_a_new_key(self):
        for answer in ('y', 'yes', 'Y'):
            key = self.lab.make_key('x' + answer)
            options = ('-N', '', '-C', 'new', '-f', key.path)
            status, _ = self.talk(self.ours, *options, answers=[(OVERWRITE, answer)])
            self.assertEqual((status, read_key(key.path).comment), (0, 'new'))
            self.assertNotEqual(read_key(key.path).blob, key.blob)

    def test_the_question_of_ssh_keygen_about_an_existing_file_is_ours(self):
        ours, theirs = self.lab.make_key('x'), self.lab.path('keys/theirs')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', theirs)
        shown = self.talk(self.ours, '-N', '', '-f', ours.path, answers=[(OVERWRITE, 'n')])
        expected = self.talk('ssh-keygen', '-t', 'ecdsa', '-N', '', '-f', theirs, answers=[(OVERWRITE, 'n')])
        self.assertEqual((shown[0], shown[1].replace(ours.tpm, theirs)), expected)

    def test_control_c_at_the_passphrase_brings_echo_back_and_makes_no_key(self):
        for prompts in ((FIRST,), (FIRST, SECOND)):
            with Terminal(self.lab, self.ours, '-f', self.lab.path('keys/x')) as terminal:
                for prompt in prompts[:-1]:
                    terminal.answer(prompt, 'secret')
                terminal.read_until(prompts[-1])
                self.assertFalse(terminal.echoes())
                terminal.interrupt()
                self.assertIn(terminal.finish(), (1, 128 + signal.SIGINT, -signal.SIGINT))
                self.assertTrue(terminal.echoes())
            self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()

    def test_a_pin_that_is_too_long_is_refused_and_makes_no_key(self):
        with Terminal(self.lab, self.ours, '-f', self.lab.path('keys/x')) as terminal:
            terminal.answer(FIRST, 'x' * 33)
            if SECOND in terminal.read_until(SECOND, '32 bytes'):  # it may refuse after either of them
                terminal.type('x' * 33 + '\n')
                terminal.read_until('32 bytes')
            self.assertFalse(os.listdir(self.lab.keys))


if __name__ == '__main__':
    unittest.main()
