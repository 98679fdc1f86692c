#!/usr/bin/env python3
"""ssh-tpm-keygen -p gives a key another PIN, in the dialogue of ssh-keygen; no file is ever half changed."""

import os
import re
import unittest

from agent import Agent, Askpass
from lab import Scenario, contents, mode, read
from swtpm import Probe, Swtpm
from terminal import Terminal, talk

OLD, NEW, WRONG = 'the old pin 7', 'another pin 8', 'a guess 9'
FILE = 'Enter file in which the key is ('
ASK_OLD, FIRST = 'Enter old passphrase: ', 'Enter new passphrase (empty for no passphrase): '
SECOND = 'Enter same passphrase again: '
SAVED = 'Your identification has been saved with the new passphrase.'
PROVIDERS = ('-provider', 'tpm2', '-provider', 'default')


class KeygenPinChange(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'
        self.agents = 0

    def change(self, key, old, new, **more):
        return self.lab.keygen('-p', '-f', key.tpm, '-P', old, '-N', new, **more)

    def assert_signs(self, key, *answers, questions=None):
        """A new agent signs with the key when askpass gives these answers, and asks no more than them."""
        self.agents += 1
        askpass = Askpass(self.lab, *answers, name=f'askpass{self.agents}')
        agent = Agent(self.lab, name=f'agent{self.agents}', env=askpass.env)
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), len(answers) if questions is None else questions)
        agent.stop()

    def assert_unchanged(self, key, before):
        self.assertEqual(contents(os.path.dirname(key.tpm)), before)

    def test_the_new_pin_signs_and_the_old_one_does_not(self):
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            key = self.lab.make_key(kind, kind, bits, pin=OLD, comment='two words')
            before = read(key.tpm), read(key.pub)
            self.assertIn(SAVED, self.change(key, OLD, NEW).stdout)
            self.assertNotEqual(read(key.tpm), before[0])
            self.assertEqual(read(key.pub), before[1])
            self.assertEqual(mode(key.tpm), 0o600)
            self.assert_signs(key, NEW)
            self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assert_error(self.change(key, OLD, 'a third', status=None))
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['ecdsa.pub', 'ecdsa.tpm', 'rsa.pub', 'rsa.tpm'])
        self.tpm.assert_no_handles()

    def test_the_name_may_be_given_without_its_ending(self):
        key = self.lab.make_key('x', pin=OLD)
        self.lab.keygen('-p', '-f', key.path, '-P', OLD, '-N', NEW)
        self.assert_signs(key, NEW)

    def dialogues(self, answers, *options):
        """The same talk with both programs about keys with the PIN OLD: (status, transcript), comparable."""
        number = len(os.listdir(self.lab.keys))
        theirs = self.lab.path(f'keys/{number}theirs')
        key = self.lab.make_key(f'{number}ours', pin=OLD, comment='a comment')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', OLD, '-C', 'a comment', '-f', theirs)
        # Whoever names the file in the dialogue answers `None`.
        status, shown = talk(self.lab, self.ours, '-p', *[key.tpm if o is None else o for o in options],
                             answers=[(prompt, key.tpm if text is None else text)
                                      for prompt, text in answers])
        expected = talk(self.lab, 'ssh-keygen', '-p', *[theirs if o is None else o for o in options],
                        answers=[(prompt, theirs if text is None else text) for prompt, text in answers])
        shown = re.sub(r'\(/[^)]*/id_[\w.]+\)', '(default)', shown.replace(key.tpm, theirs))
        shown = re.sub(r'(?m)^ssh-tpm-keygen: .*\n', '', shown)  # remarks that only a TPM gives reason for
        return (status, shown), (expected[0], re.sub(r'\(/[^)]*/id_\w+\)', '(default)', expected[1]))

    def test_the_dialogue_is_the_one_of_ssh_keygen(self):
        talks = ((((FILE, None), (ASK_OLD, OLD), (FIRST, NEW), (SECOND, NEW)), ()),
                 (((ASK_OLD, OLD), (FIRST, NEW), (SECOND, NEW)), ('-f', None)),
                 (((ASK_OLD, OLD), (FIRST, ''), (SECOND, '')), ('-f', None)),
                 (((ASK_OLD, OLD),), ('-f', None, '-N', NEW)),
                 (((FIRST, NEW), (SECOND, NEW)), ('-f', None, '-P', OLD)),
                 ((), ('-f', None, '-P', OLD, '-N', NEW)),
                 (((ASK_OLD, OLD), (FIRST, NEW), (SECOND, WRONG)), ('-f', None)))  # they differ: exit 1
        for answers, options in talks:
            with self.subTest(answers=answers, options=options):
                self.assertEqual(*self.dialogues(answers, *options))

    def test_pins_are_not_shown(self):
        key = self.lab.make_key('x', pin=OLD)
        with Terminal(self.lab, self.ours, '-p', '-f', key.tpm) as terminal:
            for prompt, answer in ((ASK_OLD, OLD), (FIRST, NEW), (SECOND, NEW)):
                self.assertFalse(terminal.answer(prompt, answer))
            self.assertEqual(terminal.finish(), 0)
            self.assertTrue(terminal.echoes())
            for secret in (OLD, NEW):
                self.assertNotIn(secret, terminal.transcript)

    def test_new_pins_that_differ_change_nothing(self):
        key = self.lab.make_key('x', pin=OLD)
        before = contents(self.lab.keys)
        status, _ = talk(self.lab, self.ours, '-p', '-f', key.tpm,
                         answers=[(ASK_OLD, OLD), (FIRST, NEW), (SECOND, WRONG)])
        self.assertEqual(status, 1)
        self.assert_unchanged(key, before)

    def test_a_wrong_old_pin_changes_nothing_and_says_how_many_tries_are_left(self):
        key = self.lab.make_key('x', pin=OLD)
        before = contents(self.lab.keys)
        for left in (2, 1):
            result = self.change(key, WRONG, NEW, status=None)
            self.assert_error(result)
            self.assertRegex(result.stderr, rf'\b{left}\b.* left')
            self.assertNotIn(WRONG, result.stderr + result.stdout)
            self.assert_unchanged(key, before)
            self.assertEqual(self.tpm.wrong_tries(), 3 - left)
        self.tpm.assert_no_handles()
        self.tpm.tool('tpm2_dictionarylockout', '-c')  # the last one is lockout.py's
        self.change(key, OLD, NEW)
        self.assert_signs(key, NEW)

    def test_a_wrong_old_pin_typed_on_the_terminal_says_it_too(self):
        key = self.lab.make_key('x', pin=OLD)
        before = contents(self.lab.keys)
        status, shown = talk(self.lab, self.ours, '-p', '-f', key.tpm, '-N', NEW, answers=[(ASK_OLD, WRONG)])
        self.assertEqual(status, 1)
        self.assertRegex(shown, r'\b2\b.* left')
        self.assert_unchanged(key, before)

    def test_a_pin_for_a_key_without_one_works_with_a_warning_that_tries_are_not_counted(self):
        key = self.lab.make_key('x')
        result = self.lab.keygen('-p', '-f', key.tpm, '-N', NEW)
        self.assertIn(SAVED, result.stdout)
        self.assertRegex(result.stderr, r'(?i)warning|does not count|without limit|dictionary')
        self.assertRegex(result.stderr, r'(?i)tries|guess|dictionary')
        self.assert_signs(key, NEW)
        result = self.change(key, WRONG, OLD, status=None)
        self.assert_error(result)
        self.assertNotRegex(result.stderr, r'\b\d\b.* left')
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assert_signs(key, NEW)

    def test_a_key_without_a_pin_is_not_asked_for_one(self):
        key = self.lab.make_key('x', comment='a comment')
        status, shown = talk(self.lab, self.ours, '-p', '-f', key.tpm, answers=[(FIRST, NEW), (SECOND, NEW)])
        self.assertEqual(status, 0, shown)
        self.assertNotIn(ASK_OLD, shown)
        self.assertTrue(shown.startswith("Key has comment 'a comment'\n"), shown)
        self.assert_signs(key, NEW)

    def test_a_pin_taken_away_is_asked_for_no_more(self):
        key = self.lab.make_key('x', pin=OLD)
        self.change(key, OLD, '')
        self.assert_signs(key)
        self.change(key, '', NEW)
        self.assert_signs(key, NEW)

    def test_an_agent_that_knows_the_old_pin_asks_for_the_new_one(self):
        key = self.lab.make_key('x', pin=OLD)
        askpass = Askpass(self.lab, OLD, NEW)
        agent = Agent(self.lab, env=askpass.env)
        agent.sign_and_check(key)
        self.change(key, OLD, NEW)
        agent.sign_and_check(key)
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 2)
        self.assertEqual(self.tpm.wrong_tries(), 0)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_an_agent_that_knows_a_pin_asks_nothing_once_it_is_taken_away(self):
        key = self.lab.make_key('x', pin=OLD)
        askpass = Askpass(self.lab, OLD)
        agent = Agent(self.lab, env=askpass.env)
        agent.sign_and_check(key)
        self.change(key, OLD, '')
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_tpm2_openssl_still_reads_the_file(self):
        key = self.lab.make_key('x', 'ecdsa', 384, pin=OLD)
        self.change(key, OLD, NEW)
        found = self.lab.run('openssl', 'pkey', *PROVIDERS, '-in', key.tpm, '-passin', 'pass:' + NEW,
                             '-pubout', status=0,
                             env={'TPM2OPENSSL_TCTI': self.tpm.tcti, 'TSS2_LOG': 'all+none'})
        self.assertEqual(found.stdout, self.lab.public_pem(key))
        data, signature = self.lab.write('data', 'a message'), self.lab.path('signature')
        self.lab.run('openssl', 'pkeyutl', *PROVIDERS, '-sign', '-inkey', key.tpm, '-passin', 'pass:' + NEW,
                     '-rawin', '-digest', 'sha384', '-in', data, '-out', signature, status=0,
                     env={'TPM2OPENSSL_TCTI': self.tpm.tcti, 'TSS2_LOG': 'all+none'})

    def test_neither_pin_is_on_the_bus(self):
        key = self.lab.make_key('x', 'rsa', 2048, pin=OLD)
        probe = Probe(self.tpm)
        self.change(key, OLD, NEW, env={'SSH_TPM_TCTI': probe.tcti})
        self.change(key, WRONG, NEW, env={'SSH_TPM_TCTI': probe.tcti}, status=1)
        commands, traffic = [line.split()[0] for line in read(probe.file).splitlines()], probe.bytes()
        self.assertIn('TPM2_ObjectChangeAuth', commands)
        self.assertIn('TPM2_Sign', commands[commands.index('TPM2_ObjectChangeAuth'):], 'not tried')
        self.assertIn(key.blob[-256:], traffic)
        for secret in (OLD, NEW, WRONG):
            self.assertNotIn(secret.encode(), traffic)

    def test_a_new_pin_of_more_than_32_bytes_is_refused(self):
        key = self.lab.make_key('x', pin=OLD)
        before = contents(self.lab.keys)
        result = self.change(key, OLD, 'x' * 33, status=None)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('32', result.stderr)
        self.assert_unchanged(key, before)

    def test_without_a_terminal_no_pin_is_taken_for_granted(self):
        locked, free = self.lab.make_key('x', pin=OLD), self.lab.make_key('y')
        before = contents(self.lab.keys)
        for options in (('-f', locked.tpm), ('-f', locked.tpm, '-N', NEW), ('-f', locked.tpm, '-P', OLD),
                        ('-f', free.tpm)):
            with self.subTest(options=options):
                result = self.lab.keygen('-p', *options, status=1)
                self.assertIn('ssh-tpm-keygen: error: no passphrase', result.stderr)
                self.assert_unchanged(free, before)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_without_a_terminal_the_pins_come_from_standard_input(self):
        for name, options, lines, expected in (('a', (), (OLD, NEW, NEW), NEW),
                                               ('b', ('-N', NEW), (OLD,), NEW),
                                               ('c', ('-P', OLD), ('', ''), '')):
            key = self.lab.make_key(name, pin=OLD)
            self.lab.keygen('-p', '-f', key.tpm, *options, stdin='\n'.join(lines) + '\n')
            self.assert_signs(key, *filter(None, [expected]))

    def test_askpass_is_asked_where_ssh_keygen_would_ask_it(self):
        key = self.lab.make_key('x', pin=OLD)
        askpass = Askpass(self.lab, OLD, NEW, NEW)
        self.lab.keygen('-p', '-f', key.tpm, env=askpass.env)
        self.assertEqual(askpass.questions(), [ASK_OLD, FIRST, SECOND])
        self.assert_signs(key, NEW)


if __name__ == '__main__':
    unittest.main()
