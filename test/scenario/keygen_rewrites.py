#!/usr/bin/env python3
"""A file that keygen changes stays in its place, its owner's and of its mode; or nothing changes at all."""

import os
import unittest

from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, Scenario, contents, mode, needs_root, read, read_key
from swtpm import Swtpm
from terminal import Terminal

OLD, NEW = 'the old pin 7', 'another pin 8'
GROUP = 12345


class KeygenRewrites(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'
        self.away = self.lab.make_folder('away')

    def linked(self, name='x', pin=OLD):
        """A key in one folder, and links to its two files, the second one relative, in another."""
        real = self.lab.make_key('real-' + name, pin=pin, comment='old', folder=self.away)
        link = self.lab.path('keys', name)
        os.symlink(real.tpm, link + '.tpm')
        os.symlink(os.path.relpath(real.pub, self.lab.keys), link + '.pub')
        return real, link

    def assert_changes_nothing(self, *argv, words=(), **more):
        before = self.everything()
        self.assert_error(self.lab.run(*argv, **more), 'hint: ', *words)
        self.assertEqual(self.everything(), before)

    def everything(self):
        return {path: content for path, content in contents(self.lab.folder).items()
                if not path.startswith(self.tpm.path)}

    def test_links_stay_and_the_files_that_they_lead_to_change(self):
        real, link = self.linked()
        targets = [os.readlink(link + ending) for ending in ('.tpm', '.pub')]
        self.lab.keygen('-p', '-f', link + '.tpm', '-P', OLD, '-N', NEW)
        self.lab.keygen('-p', '-f', real.tpm, '-P', OLD, '-N', 'a third', status=1)
        self.lab.keygen('-p', '-f', real.tpm, '-P', NEW, '-N', '')
        self.lab.keygen('-c', '-f', link + '.tpm', '-C', 'new')
        self.assertIn('Comment: new\n', read(real.tpm))
        self.assertEqual(read_key(real.path).comment, 'new')
        self.lab.keygen('-c', '-f', link + '.pub', '-C', 'newer')
        self.assertEqual(read_key(real.path).comment, 'newer')
        self.assertEqual([os.readlink(link + ending) for ending in ('.tpm', '.pub')], targets)
        self.assertEqual(sorted(os.listdir(self.away)), ['real-x.pub', 'real-x.tpm'])
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['x.pub', 'x.tpm'])

    def test_a_link_that_leads_elsewhere_by_the_time_of_writing_is_not_followed(self):
        real, link = self.linked()
        other = self.lab.make_key('other', folder=self.away)
        for options, prompt in ((('-c',), 'New comment: '),
                                (('-p', '-P', OLD), 'Enter same passphrase again: ')):
            with self.subTest(options=options):
                before = contents(self.away)
                with Terminal(self.lab, self.ours, *options, '-f', link + '.tpm') as terminal:
                    if prompt != 'New comment: ':
                        terminal.answer('Enter new passphrase (empty for no passphrase): ', NEW)
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
        os.link(key.tpm, self.lab.path('away/second.tpm'))
        change = (self.ours, '-p', '-f', key.tpm, '-P', OLD, '-N', NEW)
        self.assert_changes_nothing(*change, words=(key.tpm, 'hard links'))
        self.assert_changes_nothing(self.ours, '-c', '-f', key.tpm, '-C', 'new', words=(key.tpm, 'hard links'))
        os.unlink(self.lab.path('away/second.tpm'))
        self.lab.run(*change, status=0)
        os.link(key.pub, self.lab.path('away/second.pub'))
        for path in (key.tpm, key.pub):  # -c changes both files or neither
            self.assert_changes_nothing(self.ours, '-c', '-f', path, '-C', 'new', words=(key.pub, 'hard links'))

    def test_a_mode_stays(self):
        key = self.lab.make_key('x', pin=OLD)
        os.chmod(key.tpm, 0o400)
        os.chmod(key.pub, 0o600)
        self.lab.keygen('-p', '-f', key.tpm, '-P', OLD, '-N', '')
        self.lab.keygen('-c', '-f', key.tpm, '-C', 'new', umask=0)
        self.lab.keygen('-c', '-f', key.pub, '-C', 'newer')
        self.assertEqual((mode(key.tpm), mode(key.pub)), (0o400, 0o600))

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
        for path in (self.tpm.path, self.tpm.path + '.ctrl'):
            os.chown(path, NOBODY, NOBODY)
        os.chown(self.lab.keys, NOBODY, NOBODY)  # who may put another file in the place of anybody's
        as_nobody = {'env': {'HOME': self.lab.keys, 'XDG_STATE_HOME': self.lab.keys, **NO_LEAK_CHECK}, **AS_NOBODY}
        known = os.path.join(self.lab.keys, 'ssh-tpm')
        os.mkdir(known)
        os.chown(known, NOBODY, NOBODY)
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
