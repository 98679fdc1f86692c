#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-keygen -p gives a key another PIN, in the dialogue of ssh-keygen. A file that it changes, as -c does too,
stays in its place, its owner's and of its mode; no file is ever half changed."""

import os
import re
import unittest

import openssh
from agent import Agent, Askpass
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, contents, mode, needs_root, read, read_key
from stock import WithTpm
from swtpm import Probe
from terminal import Terminal, talk

OLD, NEW, WRONG = 'the old pin 7', 'another pin 8', 'a guess 9'
FILE = 'Enter file in which the key is ('
ASK_OLD, FIRST = 'Enter old passphrase: ', 'Enter new passphrase (empty for no passphrase): '
SECOND = 'Enter same passphrase again: '
SAVED = 'Your identification has been saved with the new passphrase.'
GROUP = 12345
# Dialogues and options. Whoever names the file in the dialogue answers `None`.
TALKS = ((((FILE, None), (ASK_OLD, OLD), (FIRST, NEW), (SECOND, NEW)), ()),
         (((ASK_OLD, OLD), (FIRST, NEW), (SECOND, NEW)), ('-f', None)),
         (((ASK_OLD, OLD), (FIRST, ''), (SECOND, '')), ('-f', None)),
         (((ASK_OLD, OLD),), ('-f', None, '-N', NEW)),
         (((FIRST, NEW), (SECOND, NEW)), ('-f', None, '-P', OLD)),
         ((), ('-f', None, '-P', OLD, '-N', NEW)),
         (((ASK_OLD, OLD), (FIRST, NEW), (SECOND, WRONG)), ('-f', None)))  # they differ: exit 1


class Changes(WithTpm):
    def setUp(self):
        super().setUp()
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'


class Pins(Changes):
    def change(self, key, old, new, **more):
        return self.lab.keygen('-p', '-f', key.tpm, '-P', old, '-N', new, **more)

    def test_the_new_pin_signs_and_the_old_one_does_not_and_neither_is_on_the_bus(self):
        probe = Probe(self.tpm)
        env = {'SSH_TPM_TCTI': probe.tcti}
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            key = self.lab.make_key(kind, kind, bits, pin=OLD, comment='two words')
            before = read(key.tpm), read(key.pub)
            self.assertIn(SAVED, self.change(key, OLD, NEW, env=env).stdout)
            commands = probe.take()
            self.assertIn('TPM2_ObjectChangeAuth', commands)
            self.assertIn('TPM2_Sign', commands[commands.index('TPM2_ObjectChangeAuth'):], 'not tried')
            self.assertNotEqual(read(key.tpm), before[0])
            self.assertEqual(read(key.pub), before[1])
            self.assertEqual(mode(key.tpm), 0o600)
            self.assert_new_agent_signs(key, answers=[NEW])
            self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assert_error(self.change(key, OLD, WRONG, status=None, env=env))
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['ecdsa.pub', 'ecdsa.tpm', 'rsa.pub', 'rsa.tpm'])
        self.assertIn(key.blob[-256:], probe.bytes())
        for secret in (OLD, NEW, WRONG):
            self.assertNotIn(secret.encode(), probe.bytes())
        self.tpm.assert_no_handles()

    def test_the_dialogue_is_the_one_of_ssh_keygen(self):
        theirs = self.lab.path('theirs')
        key = self.lab.make_key('ours', pin=OLD, comment='a comment')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', OLD, '-a', '1', '-C', 'a comment', '-f', theirs)
        fresh = {path: read(path) for path in (key.tpm, theirs)}
        for answers, options in TALKS:
            with self.subTest(answers=answers, options=options):
                played = []
                for program, path in (((self.ours,), key.tpm), *(((tools.path('ssh-keygen'), '-a', '1'), theirs)
                                                                 for tools in openssh.generations())):
                    os.unlink(path)
                    self.lab.write(path, fresh[path], mode=0o600)
                    status, shown = talk(self.lab, *program, '-p', *[path if o is None else o for o in options],
                                         answers=[(prompt, path if text is None else text) for prompt, text in answers])
                    shown = re.sub(r'\(/[^)]*/id_[\w.]+\)', '(default)', shown.replace(path, 'PATH'))
                    # Without remarks that only a TPM gives reason for.
                    played.append((status, re.sub(r'(?m)^ssh-tpm-keygen: .*\n', '', shown)))
                    self.assertFalse([text for _, text in answers if text and text in shown], 'a PIN on the screen')
                self.assertEqual(played[1:], played[:1] * (len(played) - 1))
                self.assertEqual(read(key.tpm) == fresh[key.tpm], status != 0)

    def test_a_wrong_old_pin_changes_nothing_and_says_how_many_tries_are_left(self):
        key = self.lab.make_key('x', pin=OLD)
        before = contents(self.lab.keys)
        status, shown = talk(self.lab, self.ours, '-p', '-f', key.tpm, '-N', NEW, answers=[(ASK_OLD, WRONG)])
        self.assertEqual(status, 1)
        self.assertRegex(shown, r'\b2\b.* left')
        result = self.change(key, WRONG, NEW, status=None)
        self.assert_error(result)
        self.assertRegex(result.stderr, r'\b1\b.* left')
        self.assertNotIn(WRONG, result.stderr + result.stdout)
        self.assertEqual(contents(self.lab.keys), before)
        self.assertEqual(self.tpm.wrong_tries(), 2)
        self.tpm.assert_no_handles()
        self.tpm.tool('tpm2_dictionarylockout', '-c')  # the last one is lockout.py's
        self.change(key, OLD, NEW)
        self.assert_new_agent_signs(key, answers=[NEW])

    def test_a_key_without_a_pin_gets_one_with_a_warning_that_tries_are_not_counted(self):
        key = self.lab.make_key('x', comment='a comment')
        status, shown = talk(self.lab, self.ours, '-p', '-f', key.tpm, answers=[(FIRST, NEW), (SECOND, NEW)])
        self.assertEqual(status, 0, shown)
        self.assertNotIn(ASK_OLD, shown)
        self.assertTrue(shown.startswith("Key has comment 'a comment'\n"), shown)
        self.assertIn(SAVED, shown)
        self.assertRegex(shown, r'(?i)warning|does not count|without limit|dictionary')
        self.assertRegex(shown, r'(?i)tries|guess|dictionary')
        result = self.change(key, WRONG, OLD, status=None)
        self.assert_error(result)
        self.assertNotRegex(result.stderr, r'\b\d\b.* left')
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assert_new_agent_signs(key, answers=[NEW])

    def test_an_agent_that_knows_a_pin_asks_for_a_new_one_and_nothing_when_there_is_none(self):
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
        agent = Agent(self.lab, env=Askpass(self.lab, NEW, name='other').env)
        agent.sign_and_check(key)
        self.change(key, NEW, '')
        agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_tpm2_openssl_still_reads_the_file(self):
        key = self.lab.make_key('x', 'ecdsa', 384, pin=OLD)
        self.change(key, OLD, NEW)
        self.tpm.assert_openssl_signs(key, NEW)

    def test_without_a_terminal_no_pin_is_taken_for_granted(self):
        locked, free = self.lab.make_key('x', pin=OLD), self.lab.make_key('y')
        before = contents(self.lab.keys)
        for options in (('-f', locked.tpm), ('-f', locked.tpm, '-N', NEW), ('-f', locked.tpm, '-P', OLD),
                        ('-f', free.tpm)):
            with self.subTest(options=options):
                result = self.lab.keygen('-p', *options, status=1)
                self.assertRegex(result.stderr, 'ssh-tpm-keygen: error: .*no passphrase')
                self.assertEqual(contents(self.lab.keys), before)
        result = self.change(locked, OLD, 'x' * 33, status=None)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('32', result.stderr)
        self.assertEqual(contents(self.lab.keys), before)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_without_a_terminal_the_pins_come_from_standard_input_or_askpass(self):
        key = self.lab.make_key('x', pin=OLD)
        askpass = Askpass(self.lab, OLD, NEW, NEW)
        self.lab.keygen('-p', '-f', key.path, env=askpass.env)  # without its ending
        self.assertEqual(askpass.questions(), [ASK_OLD, FIRST, SECOND])
        self.assert_new_agent_signs(key, answers=[NEW])
        for options, lines in (((), (NEW, OLD, OLD)), (('-N', NEW), (OLD,)), (('-P', NEW), ('', ''))):
            self.lab.keygen('-p', '-f', key.tpm, *options, stdin='\n'.join(lines) + '\n')
        self.assert_new_agent_signs(key)


class Rewrites(Changes):
    def setUp(self):
        super().setUp()
        self.away = self.lab.make_folder('away')

    def linked(self, name='x', pin=OLD):
        """A key in one folder, and links to its two files, the second one relative, in another."""
        real = self.lab.make_key('real-' + name, pin=pin, comment='old', folder=self.away)
        link = self.lab.path('keys', name)
        os.symlink(real.tpm, link + '.tpm')
        os.symlink(os.path.relpath(real.pub, self.lab.keys), link + '.pub')
        return real, link

    def assert_changes_nothing(self, *argv, words=(), **more):
        before = self.tpm.everything_else()
        self.assert_error(self.lab.run(*argv, **more), 'hint: ', *words)
        self.assertEqual(self.tpm.everything_else(), before)

    def test_links_stay_and_the_files_that_they_lead_to_change_and_keep_their_modes(self):
        real, link = self.linked()
        os.chmod(real.tpm, 0o400)
        os.chmod(real.pub, 0o600)
        targets = [os.readlink(link + ending) for ending in ('.tpm', '.pub')]
        self.lab.keygen('-p', '-f', link + '.tpm', '-P', OLD, '-N', NEW)
        self.lab.keygen('-p', '-f', real.tpm, '-P', OLD, '-N', WRONG, status=1)
        self.lab.keygen('-p', '-f', real.tpm, '-P', NEW, '-N', '')
        self.lab.keygen('-c', '-f', link + '.tpm', '-C', 'new', umask=0)
        self.assertIn('Comment: new\n', read(real.tpm))
        self.assertEqual(read_key(real.path).comment, 'new')
        self.lab.keygen('-c', '-f', link + '.pub', '-C', 'newer')
        self.assertEqual(read_key(real.path).comment, 'newer')
        self.assertEqual([os.readlink(link + ending) for ending in ('.tpm', '.pub')], targets)
        self.assertEqual(sorted(os.listdir(self.away)), ['real-x.pub', 'real-x.tpm'])
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['x.pub', 'x.tpm'])
        self.assertEqual((mode(real.tpm), mode(real.pub)), (0o400, 0o600))

    def test_a_link_that_leads_elsewhere_by_the_time_of_writing_is_not_followed(self):
        real, link = self.linked()
        other = self.lab.make_key('other', folder=self.away)
        for options, prompt in ((('-c',), 'New comment: '), (('-p', '-P', OLD), SECOND)):
            with self.subTest(options=options):
                before = contents(self.away)
                with Terminal(self.lab, self.ours, *options, '-f', link + '.tpm') as terminal:
                    if prompt == SECOND:
                        terminal.answer(FIRST, NEW)
                    terminal.read_until(prompt)
                    os.unlink(link + '.tpm')
                    os.symlink(other.tpm, link + '.tpm')
                    terminal.type(NEW + '\n')
                    self.assertEqual(terminal.finish(), 1)
                    self.assertIn('another program has changed it', terminal.transcript)
                self.assertEqual(contents(self.away), before)
                os.unlink(link + '.tpm')
                os.symlink(real.tpm, link + '.tpm')

    def test_a_new_key_never_follows_a_link(self):
        real, link = self.linked(pin='')
        os.symlink(self.lab.path('away/nothing'), self.lab.path('keys/y.tpm'))
        before = contents(self.away)
        for name in ('x', 'y'):
            self.lab.keygen('-N', '', '-f', self.lab.path('keys', name), status=1)
            self.assertTrue(os.path.islink(self.lab.path('keys', name + '.tpm')))
            with Terminal(self.lab, self.ours, '-N', '', '-f', self.lab.path('keys', name)) as terminal:
                terminal.answer('Overwrite (y/n)? ', 'y')
                self.assertEqual(terminal.finish(), 0)
            self.assertFalse(os.path.islink(self.lab.path('keys', name + '.tpm')))
            self.assertNotEqual(read_key(self.lab.path('keys', name)).blob, real.blob)
        self.assertFalse(os.path.islink(link + '.pub'))
        self.assertEqual(contents(self.away), before)

    def test_a_file_of_several_names_is_refused_since_the_others_would_keep_the_old_pin(self):
        key = self.lab.make_key('x', pin=OLD, comment='old')
        second = self.lab.path('away/second')
        os.link(key.tpm, second)
        change = (self.ours, '-p', '-f', key.tpm, '-P', OLD, '-N', NEW)
        self.assert_changes_nothing(*change, words=(key.tpm, 'hard links'))
        self.assert_changes_nothing(self.ours, '-c', '-f', key.tpm, '-C', 'new', words=(key.tpm, 'hard links'))
        os.unlink(second)
        self.lab.run(*change, status=0)
        os.link(key.pub, second)
        for path in (key.tpm, key.pub):  # -c changes both files or neither
            self.assert_changes_nothing(self.ours, '-c', '-f', path, '-C', 'new', words=(key.pub, 'hard links'))

    @needs_root
    def test_roots_change_leaves_the_key_its_owners(self):
        key = self.lab.make_key('x', pin=OLD)
        os.chmod(self.lab.keys, 0o2755)  # new files get the folder's group
        for path, bits in ((key.tpm, 0o640), (key.pub, 0o604)):
            os.chown(path, NOBODY, GROUP)
            os.chmod(path, bits)
        self.lab.keygen('-p', '-f', key.tpm, '-P', OLD, '-N', '')
        self.lab.keygen('-c', '-f', key.tpm, '-C', 'new')
        self.lab.keygen('-c', '-f', key.pub, '-C', 'newer')
        for path, bits in ((key.tpm, 0o640), (key.pub, 0o604)):
            self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid, mode(path)), (NOBODY, GROUP, bits))
        program = self.lab.program_for_others() + '/ssh-tpm-keygen'
        shown = self.lab.run(program, '-y', '-f', key.tpm, env=NO_LEAK_CHECK, status=0, **AS_NOBODY).stdout
        self.assertEqual(shown.split(' ')[1], key.line.split(' ')[1])

    @needs_root
    def test_an_owner_or_group_that_cannot_be_kept_is_a_refusal(self):
        key = self.lab.make_key('x')
        program = self.lab.program_for_others() + '/ssh-tpm-keygen'
        self.tpm.open_to_all()
        os.chown(self.lab.keys, NOBODY, NOBODY)  # who may put another file in the place of anybody's
        as_nobody = {'env': {'HOME': self.lab.keys, 'XDG_STATE_HOME': self.lab.keys, **NO_LEAK_CHECK}, **AS_NOBODY}
        os.chown(self.lab.make_folder('keys/ssh-tpm'), NOBODY, NOBODY)
        self.lab.run(program, '-q', '-N', '', '-f', self.lab.path('keys/mine'), status=0, **as_nobody)
        for user, group in ((0, NOBODY), (NOBODY, GROUP)):
            for path in (key.tpm, key.pub):
                os.chown(path, user, group)
                os.chmod(path, 0o644)
            for options in (('-p', '-f', key.tpm, '-N', NEW), ('-c', '-f', key.tpm, '-C', 'new'),
                            ('-c', '-f', key.pub, '-C', 'new')):
                with self.subTest(user=user, options=options):
                    self.assert_changes_nothing(program, *options, words=('owner and group cannot be kept',),
                                                **as_nobody)
                    self.assertEqual((os.stat(key.tpm).st_uid, os.stat(key.tpm).st_gid), (user, group))


if __name__ == '__main__':
    unittest.main()
