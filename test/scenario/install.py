#!/usr/bin/env python3
"""One program under five names: what is installed, and how the name or the first word chooses the applet."""

import os
import re
import shutil
import unittest

from lab import Scenario, read

APPLETS = ('keygen', 'agent', 'add', 'hostkeys')


class Install(Scenario):
    def ssh_tpm(self, *arguments, **more):
        return self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), *arguments, **more)

    @unittest.skipUnless(shutil.which('meson') and 'SSH_TPM_BUILD' in os.environ, 'no meson, no build folder')
    def test_meson_installs_the_program_and_its_links_and_they_run_from_there(self):
        root = self.lab.make_folder('root')
        self.lab.run('meson', 'install', '--no-rebuild', '-C', os.environ['SSH_TPM_BUILD'], '--destdir', root,
                     status=0, env={'PATH': os.environ['PATH']})
        (folder,) = [path for path, _, files in os.walk(root) if 'ssh-tpm' in files and path.endswith('bin')]
        for applet in APPLETS:
            link = os.path.join(folder, 'ssh-tpm-' + applet)
            self.assertTrue(os.path.islink(link), link)
            self.assertEqual(os.readlink(link), 'ssh-tpm')
            result = self.lab.run(link, '--help', status=0)
            self.assertIn('ssh-tpm-' + applet, result.stdout)
        version = self.lab.run(os.path.join(folder, 'ssh-tpm'), '--version', status=0)
        self.assertRegex(version.stdout, r'\d+\.\d+\.\d+')

    def test_the_name_and_the_first_word_choose_the_same_applet(self):
        for applet in APPLETS:
            by_word = self.ssh_tpm(applet, '--help', status=0)
            by_name = self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm-' + applet), '--help', status=0)
            self.assertEqual((by_word.stdout, by_word.stderr), (by_name.stdout, by_name.stderr))
            self.assertNotEqual(by_word.stdout, '')

    def test_help_is_there_in_each_spelling(self):
        for option in ('-h', '--help', '-help'):
            for applet in ('keygen', 'agent'):
                self.assertIn('usage', self.ssh_tpm(applet, option, status=0).stdout.lower())

    def test_alone_and_with_help_it_lists_the_applets(self):
        for arguments in ((), ('help',), ('--help',), ('-h',)):
            result = self.ssh_tpm(*arguments)
            for applet in APPLETS:
                self.assertRegex(result.stdout + result.stderr, rf'\b{applet}\b')
        self.assertEqual(self.ssh_tpm('help').returncode, 0)

    def test_version_prints_the_version(self):
        self.assertTrue(re.fullmatch(r'ssh-tpm \d+\.\d+\.\d+\n', self.ssh_tpm('--version', status=0).stdout))

    def test_an_unknown_applet_is_a_usage_error_that_names_the_nearest(self):
        for word, nearest in (('keygne', 'keygen'), ('agnet', 'agent'), ('ad', 'add'), ('hosts', 'hostkeys')):
            with self.subTest(word=word):
                result = self.ssh_tpm(word)
                self.assertEqual((result.returncode, result.stdout), (2, ''))
                self.assertIn(word, result.stderr)
                self.assertRegex(result.stderr, rf'\b{nearest}\b')

    def test_an_unknown_name_is_a_usage_error_too(self):
        link = self.lab.path('ssh-tpm-kegen')
        os.symlink(os.path.join(self.lab.bin, 'ssh-tpm'), link)
        result = self.lab.run(link)
        self.assertEqual(result.returncode, 2)
        self.assertIn('keygen', result.stderr)

    def test_control_characters_in_an_unknown_applet_are_not_printed(self):
        result = self.ssh_tpm('\x1b[2Jkeygen')
        self.assertEqual(result.returncode, 2)
        self.assertNotIn('\x1b', result.stderr)

    def test_an_error_names_the_applet_however_it_was_called(self):
        for argv in ((os.path.join(self.lab.bin, 'ssh-tpm'), 'keygen'),
                     (os.path.join(self.lab.bin, 'ssh-tpm-keygen'),)):
            result = self.lab.run(*argv, '-l', '-f', self.lab.path('absent'))
            self.assertTrue(result.stderr.startswith('ssh-tpm-keygen: error: '), result.stderr)

    def test_standard_descriptors_that_are_closed_do_no_harm(self):
        victim = self.lab.write('victim', 'precious')
        program = os.path.join(self.lab.bin, 'ssh-tpm-keygen')
        self.lab.run('sh', '-c', f'exec 0<&- 1>&- 2>&-; "{program}" -l -f "{victim}"; true', status=0)
        self.assertEqual(read(victim), 'precious')


if __name__ == '__main__':
    unittest.main()
