#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-hostkeys: the files that it installs and removes."""

import itertools
import os
import re
import shutil
import unittest

from agent import Agent
from hierarchy import KINDS, base_of
from lab import NOBODY, contents, link_program, read, read_key
from softkey import SoftKey
from sshd import sshd_of_version
from stock import HostKeyStock

DROP_IN = 'etc/ssh/sshd_config.d/70-ssh-tpm.conf'


class HostKeys(HostKeyStock):
    def setUp(self):
        super().setUp()
        self.plant(self.lab.path('root'))
        self.lab.limit('sshd', 60, 3)  # on a busy machine
        self.lab.limit('host_agent', 60, 5)

    def plant(self, root):
        """A tree in which there is nothing but the program."""
        self.root = root
        self.program = self.lab.program_in(root)

    def hostkeys(self, *options, env=None, **more):
        return self.lab.run(self.program, 'hostkeys', *options, env=env, **more)

    def install(self, *options, status=0):
        return self.hostkeys('--install-system-units', '--install-sshd-config', *options, status=status,
                             env={'DESTDIR': self.root})

    def uninstall(self, *options, **more):
        return self.hostkeys('--uninstall', *options, env={'DESTDIR': self.root}, **more)

    def assert_problem(self, result, *words):
        self.assert_error(result, *words, tool='ssh-tpm-hostkeys')
        self.assertEqual(result.stderr.count('error: '), result.stderr.count('hint: '), result.stderr)

    def take_keys(self, etc_ssh, *endings):
        """The host keys' files, without their public halves unless these are among the endings."""
        os.makedirs(etc_ssh, exist_ok=True)
        for kind in KINDS:
            for ending in ('.tpm', *endings):
                shutil.copy(base_of(self.lab.path('stock'), kind) + ending, etc_ssh)

    def start_agent(self):
        self.keys = {kind: read_key(base_of(self.root, kind)) for kind in KINDS}
        self.agent = Agent(self.lab, '--no-seal', '--no-cache', key_dir=self.root + '/etc/ssh')

    def drop_in(self):
        """The lines of the tree's sshd_config.d, as seen from outside of it."""
        return (read(os.path.join(self.root, DROP_IN)).replace('/etc/ssh', self.root + '/etc/ssh')
                .replace('/run/ssh-tpm-agent/agent.sock', self.agent.socket))

    def check(self, config, *options, socket=None, version='10.0'):
        """--check with an sshd of this version of OpenSSH, whose configuration is `config`."""
        file = self.lab.write('check.config', config + '\nUsePAM no\nPidFile none\n')
        return self.hostkeys('--check', '--socket', socket or self.agent.socket, *options,
                             env=sshd_of_version(self.lab, version, '-f', file))


class Tree(HostKeys):
    def test_a_fresh_tree_has_keys_that_pass_the_check(self):
        """As an administrator types it."""
        self.lab.run('sh', '-c', f'export DESTDIR={self.root}; ssh-tpm keygen -A && '
                     'ssh-tpm hostkeys --install-system-units --install-sshd-config', status=0,
                     env={'PATH': os.path.dirname(self.program) + ':' + self.lab.env['PATH']})
        self.start_agent()
        printed = self.hostkeys('--socket', self.agent.socket, status=0).stdout
        self.assertEqual(printed, self.agent.ssh_add('-l', status=0).stdout)
        self.assert_error(self.hostkeys('--socket', self.lab.path('none')), tool='ssh-tpm-hostkeys')
        result = self.check(self.drop_in())
        self.assertEqual(result.stderr, '')  # nor a word of sshd's on the mode of public keys
        self.assertEqual(result.stdout, f'''\
ok    sshd accepts its configuration
ok    HostKeyAgent is {self.agent.socket}
ok    {self.agent.socket}: answers, and has 2 keys
ok    {self.keys['ecdsa'].path}: the agent signs with ecdsa-sha2-nistp256
ok    {self.keys['rsa'].path}: the agent signs with rsa-sha2-512,rsa-sha2-256
''')
        self.assertEqual(result.returncode, 0)

    def test_a_prefix_comes_before_the_tree(self):
        self.take_keys(self.lab.path('prefix/etc/ssh'))
        self.lab.keygen('-A', '-f', self.lab.path('prefix'), env={'DESTDIR': self.root})
        self.assertTrue(os.path.exists(self.lab.path('prefix/etc/ssh/ssh_tpm_host_rsa_key.pub')))
        self.assertFalse(os.path.exists(self.root + '/etc'))

    def test_installing_twice_changes_nothing_and_a_changed_file_is_kept_unless_forced(self):
        self.install()
        mine = contents(self.root)
        times = {path: os.stat(path).st_mtime_ns for path in mine}
        self.assertNotIn('wrote', self.install().stdout)
        self.assertEqual({path: os.stat(path).st_mtime_ns for path in contents(self.root)}, times)
        path = os.path.join(self.root, DROP_IN)
        with open(path, 'a', encoding='ascii') as file:
            file.write('# mine\n')
        changed = contents(self.root)
        self.assert_problem(self.install(status=None), path, '--force')
        self.assert_problem(self.uninstall(), path, '--force')
        self.assertEqual(contents(self.root), changed)
        self.install('--force')
        self.assertEqual(contents(self.root), mine)

    def install_drop_in(self, *options, **more):
        return self.hostkeys('--install-sshd-config', *options, env={'DESTDIR': self.root}, **more)

    def test_each_text_that_the_drop_in_can_have_is_recognized_and_no_edit_of_it(self):
        self.take_keys(self.root + '/etc/ssh', '.pub')
        path, ca = os.path.join(self.root, DROP_IN), self.lab.path('ca')
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-f', ca)
        publics = [base_of(self.root, kind) + '.pub' for kind in KINDS]
        self.lab.ssh_keygen('-q', '-s', ca, '-I', 'id', '-h', '-n', 'host', *publics)
        certificates = [base_of(self.root, kind) + '-cert.pub' for kind in KINDS]
        files = {name: read(name) for name in (*publics, *certificates)}
        texts = {}
        for hierarchy in ('', 'endorsement', 'owner', 'platform', 'null'):
            for there in itertools.product((True, False), repeat=len(files)):
                for (name, text), is_there in zip(files.items(), there):
                    if is_there:
                        self.lab.write(name, text)
                    elif os.path.exists(name):
                        os.unlink(name)
                options = ('--hierarchy', hierarchy) if hierarchy else ()
                self.install_drop_in(*options, status=0)  # in the place of the one before
                texts.setdefault(read(path), (hierarchy, there))
        # For each agent: both keys, each with a certificate or without; one; none is there, which gives both lines.
        self.assertEqual(len(texts), 5 * (4 + 2 + 2))
        # Without the subsystem, and with that of a program elsewhere.
        texts |= {re.sub(pattern, with_what, text): value for text, value in texts.items()
                  for pattern, with_what in (('Subsystem .*\n', ''), ('"/usr/bin/ssh-tpm"', '"/opt/x-1.0/bin/ssh-tpm"'))}
        self.assertEqual(len(texts), 3 * 5 * (4 + 2 + 2))
        for text in texts:
            lines = text.splitlines(keepends=True)
            for edited in (text + '# mine\n', '\n' + text, *(''.join(lines[:number] + lines[number + 1:])
                                                            for number in range(len(lines)))):
                if edited not in texts:  # without the line of a certificate
                    self.lab.write(path, edited)
                    self.assert_problem(self.uninstall(), path, '--force')
            self.lab.write(path, text)
            self.uninstall(status=0)
            self.assertFalse(os.path.exists(path))

    def test_a_subsystem_that_somebody_has_changed_is_an_edit(self):
        self.install_drop_in(status=0)
        path = os.path.join(self.root, DROP_IN)
        text = read(path)
        (line,) = re.findall('Subsystem .*\n', text)
        self.assertEqual(line, 'Subsystem ssh-tpm-attest "/usr/bin/ssh-tpm" attest serve '
                         '--socket /run/ssh-tpm-agent/attest.sock\n')
        for changed in (line.replace('"', ''), line.replace('/usr/bin/ssh-tpm', 'ssh-tpm'), line.replace('.sock', ''),
                        line.replace('/usr/bin', '/usr/my bin'), line.replace('/usr/bin', '/usr/$(id)'), line + line,
                        line.replace('serve', 'serve --key-dir /x'), line.replace('ssh-tpm-attest', 'sftp'),
                        line.replace('"/', '"'), 'Subsystem\n', line.replace('\n', ' "\n')):
            self.lab.write(path, text.replace(line, changed))
            self.assert_problem(self.install_drop_in(), path, '--force')
            self.assert_problem(self.uninstall(), path, '--force')
        self.lab.write(path, text)
        self.uninstall(status=0)

    def assert_left_out(self, *words):
        result = self.install_drop_in(status=0)
        self.assertIn('warning: sshd does not get the subsystem ssh-tpm-attest: ', result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual(result.stderr.count('hint: '), 1)
        self.assertNotIn('Subsystem', read(os.path.join(self.root, DROP_IN)))

    def test_a_program_that_others_could_replace_is_not_given_to_sshd(self):
        self.install_drop_in(status=0)
        self.assertIn('Subsystem', read(os.path.join(self.root, DROP_IN)))
        os.chmod(self.root + '/usr/bin', 0o777)
        self.assert_left_out('/usr/bin may be written by others', 'hint: install it where only root may write')
        os.chmod(self.root + '/usr/bin', 0o755)
        self.install_drop_in(status=0)
        self.assertIn('Subsystem', read(os.path.join(self.root, DROP_IN)))
        for folder in 'home/me/bin', 'tmp':
            os.makedirs(os.path.join(self.root, folder))
            self.program = link_program(os.path.join(self.root, folder, 'ssh-tpm'))
            self.assert_left_out('services cannot see /')
        self.program = link_program(os.path.join(self.lab.make_folder('elsewhere'), 'ssh-tpm'))  # not in the tree
        self.assert_left_out('services cannot see /tmp')

    def test_a_path_that_a_shell_would_not_take_is_not_given_to_sshd(self):
        for name in 'with space', 'dol$lar', "apo'strophe", 'ümläut', 'semi;colon':
            os.makedirs(os.path.join(self.root, 'opt', name))
            self.program = link_program(os.path.join(self.root, 'opt', name, 'ssh-tpm'))
            self.assert_left_out('sshd has no notation for this path')

    def test_a_certificate_that_clients_would_refuse_is_left_out_with_a_warning(self):
        self.take_keys(self.root + '/etc/ssh', '.pub')
        ca, base = self.lab.path('ca'), base_of(self.root, 'ecdsa')
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-f', ca)
        other = SoftKey(self.lab, self.lab.path('other')).pub
        for public, options, words in (
                (base + '.pub', ('-h', '-V', '20200101:20200102'), 'expired at 2020-01-02'),
                (base + '.pub', ('-h', '-V', '20990101:20990102'), 'not valid before 2099-01-01'),
                (base + '.pub', (), "a user's certificate, not a host's"),
                (other, ('-h',), 'of another key'),
                (None, (), ' ')):
            with self.subTest(words):
                if public:
                    self.lab.ssh_keygen('-q', '-s', ca, '-I', 'id', *options, public)
                    os.rename(public.removesuffix('.pub') + '-cert.pub', base + '-cert.pub')
                else:
                    self.lab.write(base + '-cert.pub', 'nonsense\n')
                result = self.install_drop_in(status=0)
                self.assertRegex(result.stderr, rf'(?m)^ssh-tpm-hostkeys: warning: {base}-cert.pub: .*{words}.*'
                                 '; sshd does not get it$')
                self.assertEqual('check the clock' in result.stderr, 'not valid before' in words)
                self.assertNotIn('HostCertificate', read(os.path.join(self.root, DROP_IN)))
        self.lab.ssh_keygen('-q', '-s', ca, '-I', 'id', '-h', '-n', 'host', base + '.pub')
        self.assertEqual(self.install_drop_in(status=0).stderr, '')
        self.assertIn('HostCertificate', read(os.path.join(self.root, DROP_IN)))

    def test_the_units_of_a_hierarchy_are_named(self):
        result = self.hostkeys('--install-system-units', '--hierarchy', 'e', env={'DESTDIR': self.root}, status=0)
        self.assertIn(' enable ssh-tpm-genkeys@endorsement.service ssh-tpm-hostkeys@endorsement.socket\n',
                      result.stdout)

    def test_uninstalling_leaves_no_file(self):
        self.install()
        other = self.lab.write('root/etc/ssh/sshd_config', 'Port 22\n')
        self.uninstall(status=0)
        self.assertEqual({path for path in contents(self.root) if os.path.isfile(path)}, {self.program, other})
        self.assertEqual(self.uninstall(status=0).stdout, '')

    def test_a_masked_unit_is_somebodys_wish(self):
        self.install()
        mine = contents(self.root)
        unit = os.path.join(self.root, 'etc/systemd/system/ssh-tpm-hostkeys.service')
        for target in ('/dev/null', 'nothing', self.lab.folder):
            with self.subTest(target):
                os.unlink(unit)
                os.symlink(target, unit)
                self.assert_problem(self.install(status=None), unit, target, 'systemctl mask', '--force')
                self.assertEqual(os.readlink(unit), target)
                self.install('--force')
                self.assertFalse(os.path.islink(unit))
                self.assertEqual(contents(self.root), mine)
        os.unlink(unit)
        os.symlink('/dev/null', unit)
        self.uninstall(status=0)
        self.assertEqual({path for path in contents(self.root) if not os.path.isdir(path)}, {self.program, unit})
        self.uninstall('--force', status=0)
        self.assertFalse(os.path.lexists(unit))

    def assert_unfit(self, *words):
        before = contents(self.root)
        self.assert_problem(self.install(status=None), 'system units should not start this program', '--force', *words)
        self.assertEqual(contents(self.root), before)

    def test_a_program_that_services_do_not_see_is_refused(self):
        for folder in 'home/me/bin', 'root', 'run/user/0', 'tmp', 'var/tmp/build':
            with self.subTest(folder):
                os.makedirs(os.path.join(self.root, folder))
                self.program = os.path.join(self.root, folder, 'ssh-tpm')
                link_program(self.program)
                self.assert_unfit('services cannot see /')
        self.install('--force')
        unit = read(self.root + '/etc/systemd/system/ssh-tpm-genkeys.service')
        self.assertIn('\nExecStart=:"/var/tmp/build/ssh-tpm" keygen -A\n', unit)

    def test_a_program_that_others_may_write_is_refused(self):
        for name in 'usr/bin/ssh-tpm', 'usr/bin', 'usr':
            path = os.path.join(self.root, name)
            for bits in 0o775, 0o757:
                with self.subTest(name, bits=oct(bits)):
                    os.chmod(path, bits)
                    self.assert_unfit(path, 'may be written by others')
                    os.chmod(path, 0o755)
            if os.geteuid() == 0:
                os.chown(path, NOBODY, 0)
                self.assert_unfit(path, 'does not belong to root')
                os.chown(path, 0, 0)
        self.install()

    def test_a_prefix_is_honoured(self):
        self.hostkeys('--install-system-units', env={'DESTDIR': self.root, 'PREFIX': '/usr'}, status=0)
        self.assertTrue(os.path.exists(self.root + '/usr/lib/systemd/system/ssh-tpm-hostkeys.service'))
        self.assertFalse(os.path.exists(self.root + '/etc'))
        self.assert_error(self.hostkeys('--install-system-units', env={'DESTDIR': self.root, 'PREFIX': 'usr'}),
                          'PREFIX=usr is not an absolute path', tool='ssh-tpm-hostkeys', status=2)

    def test_units_of_a_package_are_not_written_to_etc_again(self):
        env = {'DESTDIR': self.root}
        self.hostkeys('--install-system-units', env={**env, 'PREFIX': '/usr'}, status=0)
        packaged = contents(self.root)
        for options in ((), ('--force',)):
            self.hostkeys('--install-system-units', *options, env=env, status=0)
            self.assertEqual(contents(self.root), packaged)
        with open(self.root + '/usr/lib/systemd/system/ssh-tpm-hostkeys.service', 'a', encoding='ascii') as file:
            file.write('# of another version\n')
        self.hostkeys('--install-system-units', env=env, status=0)
        self.assertEqual(*(sorted(path.removeprefix(folder) for path in contents(folder))
                           for folder in (self.root + '/etc', self.root + '/usr/lib')))

    def test_no_link_leads_out_of_the_tree(self):
        outside = self.lab.make_folder('outside')
        os.makedirs(os.path.join(outside, 'ssh/sshd_config.d'))
        for link, target in (('etc', outside), ('etc/systemd', outside), ('etc/ssh', '../../outside')):
            with self.subTest(link):
                self.plant(self.lab.path('tree of ' + link.replace('/', ' ')))
                os.makedirs(os.path.dirname(os.path.join(self.root, link)), exist_ok=True)
                os.symlink(target, os.path.join(self.root, link))
                before = contents(outside), contents(self.root)
                self.assert_problem(self.install(status=None), 'leads out of', outside)
                self.assert_problem(self.uninstall(), 'leads out of')
                if link != 'etc/systemd':
                    self.assert_error(self.lab.keygen('-A', '-f', self.root, status=None), 'leads out of', 'hint: ')
                self.assertEqual((contents(outside), contents(self.root)), before)

    def test_links_within_the_tree_are_followed(self):
        os.mkdir(os.path.join(self.root, 'usr/etc'))
        os.symlink('usr/etc', os.path.join(self.root, 'etc'))
        self.take_keys(os.path.join(self.root, 'usr/etc/ssh'))
        self.lab.keygen('-A', '-f', self.root)
        self.install()
        self.assertTrue(os.path.exists(os.path.join(self.root, 'usr', DROP_IN)))
        self.assertTrue(os.path.exists(os.path.join(self.root, 'usr/etc/ssh/ssh_tpm_host_rsa_key.pub')))

    def test_a_tree_in_which_one_file_cannot_be_written_is_left_as_it_was(self):
        os.makedirs(os.path.join(self.root, 'etc/ssh'))
        self.lab.write('root/etc/ssh/sshd_config.d', 'a file in the place of the last folder\n')
        before = contents(self.root)
        self.assert_error(self.install(status=None), 'sshd_config.d', tool='ssh-tpm-hostkeys')
        self.assertEqual(contents(self.root), before)


if __name__ == '__main__':
    unittest.main()
