#!/usr/bin/env python3
"""One program under five names: what is installed, and how the name or the first word chooses the applet."""

import os
import re
import shutil
import unittest

from lab import Scenario, read

APPLETS = ('keygen', 'agent', 'add', 'hostkeys')
HAS_MESON = shutil.which('meson') is not None and 'SSH_TPM_BUILD' in os.environ
SOURCE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))


def links(folder, ending=''):
    return {f'{folder}/ssh-tpm-{applet}{ending}' for applet in APPLETS}


def expected(prefix, units='lib/systemd/system', zsh='site-functions'):
    """What is installed below a prefix; units alone may lie outside, in systemd's own folder."""
    system = ('ssh-tpm-genkeys.service', 'ssh-tpm-hostkeys.service', 'ssh-tpm-hostkeys.socket',
              'ssh-tpm-hostkeys@.service', 'ssh-tpm-hostkeys@.socket')
    completions, fish = 'share/bash-completion/completions', 'share/fish/vendor_completions.d'
    names = links('bin') | links(completions) | links(fish, '.fish') | {
        'bin/ssh-tpm', f'{completions}/ssh-tpm', f'{fish}/ssh-tpm.fish', f'share/zsh/{zsh}/_ssh-tpm',
        'share/man/man1/ssh-tpm.1', 'share/man/man1/ssh-tpm-keygen.1', 'share/man/man1/ssh-tpm-agent.1',
        'share/man/man1/ssh-tpm-add.1', 'share/man/man7/ssh-tpm.7', 'share/man/man8/ssh-tpm-hostkeys.8',
        'lib/systemd/user/ssh-tpm-agent.service', 'lib/systemd/user/ssh-tpm-agent.socket',
        'lib/sysusers.d/ssh-tpm.conf', 'lib/tmpfiles.d/ssh-tpm.conf', 'lib/environment.d/60-ssh-tpm.conf',
        'share/ssh-tpm/sshd_config.d/70-ssh-tpm.conf'}
    return {f'{prefix}/{name}' for name in names} | {os.path.join(prefix, units, unit) for unit in system}


class Install(Scenario):
    def ssh_tpm(self, *arguments, **more):
        return self.lab.run(os.path.join(self.lab.bin, 'ssh-tpm'), *arguments, **more)

    def install(self, build):
        """@returns the folder that stands for the root, and what lies in it, as absolute paths."""
        root = self.lab.make_folder('root')
        self.lab.run('meson', 'install', '--no-rebuild', '-C', build, '--destdir', root, status=0,
                     env={'PATH': os.environ['PATH']})
        return root, {os.path.join(path, name).removeprefix(root) for path, _, files in os.walk(root) for name in files}

    def read_what_is_installed(self, root, found, prefix):
        """Links lead to what is there, and units start the program where it is."""
        for path in found:
            self.assertTrue(os.path.exists(root + path), path)
            if path.endswith('.service'):
                self.assertIn(f'\nExecStart=:"{prefix}/bin/ssh-tpm" ', read(root + path))
                self.assertNotIn('@PROGRAM@', read(root + path))
        for name in ('environment.d/60-ssh-tpm.conf', 'sysusers.d/ssh-tpm.conf', 'tmpfiles.d/ssh-tpm.conf'):
            self.assertNotEqual(read(f'{root}{prefix}/lib/{name}'), '')

    @unittest.skipUnless(HAS_MESON, 'no meson, no build folder')
    def test_everything_is_in_its_place(self):
        root, found = self.install(os.environ['SSH_TPM_BUILD'])
        (binary,) = [path for path in found if path.endswith('/bin/ssh-tpm')]
        prefix = binary.removesuffix('/bin/ssh-tpm')
        if prefix == '/usr':
            self.skipTest('this build is for /usr, as that of the next test')
        self.assertEqual(found, expected(prefix))
        self.read_what_is_installed(root, found, prefix)

    @unittest.skipUnless(HAS_MESON, 'no meson, no build folder')
    def test_below_usr_everything_is_where_debian_s_programs_look(self):
        build = self.lab.path('build')
        self.lab.run('meson', 'setup', '--prefix=/usr', '-Dtests=false', build, SOURCE, status=0,
                     env={name: os.environ[name] for name in ('PATH', 'CXX') if name in os.environ})
        shutil.copy(os.path.join(self.lab.bin, 'ssh-tpm'), os.path.join(build, 'applets'))  # not to build it again
        root, found = self.install(build)
        (socket,) = [path for path in found if path.endswith('/ssh-tpm-hostkeys.socket')]
        self.assertIn(os.path.dirname(socket), ('/lib/systemd/system', '/usr/lib/systemd/system'))
        zsh = 'vendor-completions' if os.path.isdir('/usr/share/zsh/vendor-completions') else 'site-functions'
        self.assertEqual(found, expected('/usr', os.path.dirname(socket), zsh))
        self.read_what_is_installed(root, found, '/usr')

    @unittest.skipUnless(HAS_MESON and shutil.which('bash'), 'no meson, no build folder, or no bash')
    def test_bash_completion_finds_the_installed_file_by_the_name_of_each_link(self):
        loader = '/usr/share/bash-completion/bash_completion'
        if not os.path.exists(loader):
            self.skipTest('no bash-completion')
        root, found = self.install(os.environ['SSH_TPM_BUILD'])
        (folder,) = {os.path.dirname(path) for path in found if path.endswith('completions/ssh-tpm')}
        for name in ('ssh-tpm', *('ssh-tpm-' + applet for applet in APPLETS)):
            self.lab.run('bash', '--norc', '-c', f'source {loader}; _completion_loader "$1"; complete -p "$1"', 'bash',
                         name, status=0, env={'XDG_DATA_DIRS': os.path.dirname(os.path.dirname(root + folder))})

    @unittest.skipUnless(HAS_MESON, 'no meson, no build folder')
    def test_meson_installs_the_program_and_its_links_and_they_run_from_there(self):
        root, found = self.install(os.environ['SSH_TPM_BUILD'])
        (folder,) = [os.path.dirname(root + path) for path in found if path.endswith('/bin/ssh-tpm')]
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
