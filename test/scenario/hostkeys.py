#!/usr/bin/env python3
"""ssh-tpm-hostkeys: what is installed, what it finds wrong, and logins in a tree that was empty before."""

import os
import shutil
import unittest

from agent import Agent
from lab import Scenario, contents, mode, needs_root, read, read_key
from softkey import SoftKey
from sshd import USER, Sshd
from swtpm import Swtpm

DROP_IN = 'etc/ssh/sshd_config.d/70-ssh-tpm.conf'
ALGORITHMS = (('ecdsa', 'ecdsa-sha2-nistp256'), ('rsa', 'rsa-sha2-256'), ('rsa', 'rsa-sha2-512'))


class HostKeys(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.root = self.lab.make_folder('root')

    def hostkeys(self, *options, env=None, **more):
        return self.lab.run(self.lab.bin + '/ssh-tpm-hostkeys', *options, env=env, **more)

    def install(self, *options, status=0):
        return self.hostkeys('--install-system-units', '--install-sshd-config', *options, status=status,
                             env={'DESTDIR': self.root})

    def assert_problem(self, result, *words):
        self.assert_error(result, *words, tool='ssh-tpm-hostkeys')
        self.assertEqual(result.stderr.count('error: '), result.stderr.count('hint: '), result.stderr)

    def provision(self):
        """A fresh tree with keys and configuration, and the agent that its unit would start."""
        self.lab.keygen('-A', '-f', self.root)
        self.install()
        self.keys = {kind: read_key(f'{self.root}/etc/ssh/ssh_tpm_host_{kind}_key') for kind in ('ecdsa', 'rsa')}
        self.agent = Agent(self.lab, '--no-seal', '--no-cache', key_dir=self.root + '/etc/ssh')

    def drop_in(self):
        """The lines of the tree's sshd_config.d, as seen from outside of it."""
        return (read(os.path.join(self.root, DROP_IN)).replace('/etc/ssh', self.root + '/etc/ssh')
                .replace('/run/ssh-tpm-agent/agent.sock', self.agent.socket))

    def test_a_fresh_tree_serves_logins_with_both_host_keys(self):
        self.provision()
        user = SoftKey(self.lab, self.lab.path('user'))
        server = Sshd(self.lab, *self.drop_in().splitlines(), authorized=[user.pub], host_keys=[])
        known = self.lab.write('known_hosts', ''.join(
            f'[127.0.0.1]:{server.port} {key.line}\n' for key in self.keys.values()))
        for kind, algorithm in ALGORITHMS:
            result = self.lab.run(
                'ssh', '-F', 'none', '-v', '-p', str(server.port), '-i', user.path, '-o', 'IdentityAgent=none', '-o',
                'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', f'UserKnownHostsFile={known}', '-o',
                'GlobalKnownHostsFile=/dev/null', '-o', f'HostKeyAlgorithms={algorithm}', f'{USER}@127.0.0.1',
                'echo in')
            self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
            self.assertIn(self.lab.fingerprint(self.keys[kind]), result.stderr)

    def test_the_list_is_that_of_the_agent(self):
        self.provision()
        printed = self.hostkeys('--socket', self.agent.socket, status=0).stdout
        self.assertEqual(printed, self.agent.ssh_add('-l', status=0).stdout)
        self.assert_error(self.hostkeys('--socket', self.lab.path('none')), tool='ssh-tpm-hostkeys')

    def check(self, config, *options):
        """--check with an sshd whose configuration is `config`."""
        self.lab.make_folder('tools')
        self.lab.write('check.config', config + '\nUsePAM no\n')
        self.lab.write('tools/sshd', f'#!/bin/sh\nexec /usr/sbin/sshd -f {self.lab.path("check.config")} "$@"\n',
                       mode=0o755)
        return self.hostkeys('--check', '--socket', self.agent.socket, *options,
                             env={'PATH': self.lab.path('tools') + ':' + self.lab.env['PATH']})

    def test_a_configuration_that_works_passes(self):
        self.provision()
        result = self.check(self.drop_in())
        self.assertEqual((result.returncode, result.stdout.count('its signature verifies')), (0, 2), result.stderr)

    def test_each_problem_is_found(self):
        self.provision()
        good = self.drop_in()
        lines = good.splitlines()
        without_agent = '\n'.join(line for line in lines if not line.startswith('HostKeyAgent'))
        plain = SoftKey(self.lab, self.lab.path('plain'))
        self.assert_problem(self.check(without_agent + f'\nHostKey {plain.path}'), 'there is no HostKeyAgent')
        self.assert_problem(self.check(good.replace(self.agent.socket, '/elsewhere') + f'HostKey {plain.path}'),
                            'HostKeyAgent is /elsewhere')
        self.assert_problem(self.check(good + f'HostKey {plain.path}'), plain.path, 'does not serve this key')
        self.agent.ssh_add('-d', self.keys['rsa'].pub, status=0)
        result = self.check(good)
        self.assert_problem(result, self.keys['rsa'].pub, 'does not serve this key')
        self.assertNotIn(f"error: {self.keys['ecdsa'].pub}", result.stderr)  # sshd speaks of it too
        self.agent.ssh_add('-D', status=0)
        self.assertEqual(self.check(good).stderr.count('hint: '), 2)
        self.agent.stop()
        self.assert_problem(self.check(good + f'HostKey {plain.path}'), self.agent.socket)
        result = self.check(good)  # sshd has no host key left, and says nothing
        self.assert_problem(result, 'sshd -T fails', self.agent.socket)

    def test_installing_twice_changes_nothing(self):
        self.install()
        times = {path: os.stat(path).st_mtime_ns for path in contents(self.root)}
        self.assertNotIn('wrote', self.install().stdout)
        self.assertEqual({path: os.stat(path).st_mtime_ns for path in contents(self.root)}, times)

    def test_a_changed_file_is_kept_unless_forced(self):
        self.install()
        mine = contents(self.root)
        path = os.path.join(self.root, DROP_IN)
        with open(path, 'a', encoding='ascii') as file:
            file.write('# mine\n')
        changed = contents(self.root)
        self.assert_problem(self.install(status=None), path, '--force')
        self.assert_problem(self.hostkeys('--uninstall', env={'DESTDIR': self.root}), path, '--force')
        self.assertEqual(contents(self.root), changed)
        self.install('--force')
        self.assertEqual(contents(self.root), mine)

    def test_uninstalling_leaves_no_file(self):
        self.install()
        other = self.lab.write('root/etc/ssh/sshd_config', 'Port 22\n')
        self.hostkeys('--uninstall', env={'DESTDIR': self.root}, status=0)
        self.assertEqual([path for path in contents(self.root) if os.path.isfile(path)], [other])
        self.assertEqual(self.hostkeys('--uninstall', env={'DESTDIR': self.root}, status=0).stdout, '')

    def test_a_prefix_is_honoured(self):
        self.hostkeys('--install-system-units', env={'DESTDIR': self.root, 'PREFIX': '/usr'}, status=0)
        self.assertTrue(os.path.exists(self.root + '/usr/lib/systemd/system/ssh-tpm-hostkeys.service'))
        self.assertFalse(os.path.exists(self.root + '/etc'))
        self.assert_error(self.hostkeys('--install-system-units', env={'DESTDIR': self.root, 'PREFIX': 'usr'}),
                          'PREFIX=usr is no absolute path', tool='ssh-tpm-hostkeys', status=2)

    def on_this_system(self, *options):
        """Without DESTDIR, with folders of the lab in the place of /etc/ssh: in a mount namespace of its own."""
        return self.lab.run('unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc/ssh && exec "$@"',
                            self.lab.path('etc-ssh'), self.lab.bin + '/ssh-tpm-hostkeys', *options)

    @needs_root
    def test_a_missing_folder_is_an_error(self):
        self.lab.make_folder('etc-ssh')
        self.assert_problem(self.on_this_system('--install-sshd-config'), '/etc/ssh/sshd_config.d: no such folder')
        self.assertEqual(contents(self.lab.path('etc-ssh')), {})

    @needs_root
    def test_what_sshd_refuses_is_taken_back(self):
        self.lab.make_folder('etc-ssh', 'sshd_config.d')
        self.lab.write('etc-ssh/sshd_config', 'Include /etc/ssh/sshd_config.d/*.conf\n')
        before = contents(self.lab.path('etc-ssh'))
        self.assert_problem(self.on_this_system('--install-sshd-config'), 'sshd -t refuses')
        self.assertEqual(contents(self.lab.path('etc-ssh')), before)
        drop_in = self.lab.write('etc-ssh/sshd_config.d/70-ssh-tpm.conf', '# mine\n', mode=0o640)
        self.assert_problem(self.on_this_system('--install-sshd-config', '--force'), 'sshd -t refuses')
        self.assertEqual((read(drop_in), mode(drop_in)), ('# mine\n', 0o640))
        os.rename(drop_in, drop_in + '.elsewhere')
        os.symlink('70-ssh-tpm.conf.elsewhere', drop_in)
        self.assert_problem(self.on_this_system('--install-sshd-config', '--force'), 'sshd -t refuses')
        self.assertEqual((read(drop_in), os.readlink(drop_in)), ('# mine\n', '70-ssh-tpm.conf.elsewhere'))
        os.unlink(drop_in)
        plain = SoftKey(self.lab, self.lab.path('etc-ssh', 'plain'))
        self.assertTrue(os.path.exists(plain.path))
        self.lab.write('etc-ssh/sshd_config', 'Include /etc/ssh/sshd_config.d/*.conf\nHostKey /etc/ssh/plain\n')
        self.assertEqual(self.on_this_system('--install-sshd-config').returncode, 0)
        self.assertTrue(os.path.exists(self.lab.path('etc-ssh', 'sshd_config.d', '70-ssh-tpm.conf')))

    @needs_root
    def test_units_stay_when_sshd_waits_for_their_agent(self):
        """On a stock system, where /etc has no sysusers.d; in one call with the configuration of sshd."""
        etc = self.lab.make_folder('etc')
        os.makedirs(etc + '/systemd/system')
        os.makedirs(etc + '/ssh/sshd_config.d')
        shutil.copy('/etc/passwd', etc)
        self.lab.write('etc/ssh/sshd_config', 'Include /etc/ssh/sshd_config.d/*.conf\n')
        options = ('unshare', '-m', 'sh', '-c', 'mount --bind "$0" /etc && exec "$@"', etc,
                   self.lab.bin + '/ssh-tpm-hostkeys', '--install-system-units', '--install-sshd-config')
        result = self.lab.run(*options)
        self.assert_problem(result, 'sshd -t refuses', 'systemctl enable --now ssh-tpm-hostkeys.socket')
        self.assertIn('To start: ', result.stdout)
        self.assertEqual(os.listdir(etc + '/ssh/sshd_config.d'), [])
        self.assertTrue(os.path.exists(etc + '/systemd/system/ssh-tpm-hostkeys.service'))
        self.assertEqual(mode(etc + '/sysusers.d'), 0o755)
        self.assertIn('wrote /etc/sysusers.d/ssh-tpm.conf', result.stdout)
        SoftKey(self.lab, self.lab.path('etc', 'ssh', 'plain'))
        self.lab.write('etc/ssh/sshd_config', 'Include /etc/ssh/sshd_config.d/*.conf\nHostKey /etc/ssh/plain\n')
        result = self.lab.run(*options, status=0)
        self.assertEqual([line for line in result.stdout.splitlines() if line.startswith('wrote ')],
                         ['wrote /etc/ssh/sshd_config.d/70-ssh-tpm.conf'])

    @needs_root
    def test_what_sshd_does_not_read_is_taken_back(self):
        self.lab.make_folder('etc-ssh', 'sshd_config.d')
        SoftKey(self.lab, self.lab.path('etc-ssh', 'plain'))
        for config in ('HostKey /etc/ssh/plain\n',
                       'HostKeyAgent /elsewhere\nInclude /etc/ssh/sshd_config.d/*.conf\nHostKey /etc/ssh/plain\n'):
            self.lab.write('etc-ssh/sshd_config', config)
            before = contents(self.lab.path('etc-ssh'))
            self.assert_problem(self.on_this_system('--install-sshd-config'), 'does not read what was written',
                                '/elsewhere' if 'elsewhere' in config else 'none', 'Include')
            self.assertEqual(contents(self.lab.path('etc-ssh')), before)

    def test_a_tree_in_which_one_file_cannot_be_written_is_left_as_it_was(self):
        os.makedirs(os.path.join(self.root, 'etc/ssh'))
        self.lab.write('root/etc/ssh/sshd_config.d', 'a file in the place of the last folder\n')
        before = contents(self.root)
        self.assert_error(self.install(status=None), 'sshd_config.d', tool='ssh-tpm-hostkeys')
        self.assertEqual(contents(self.root), before)


if __name__ == '__main__':
    unittest.main()
