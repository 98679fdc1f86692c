#!/usr/bin/env python3
"""ssh-tpm-agent --install-user-units: the units of a person's own agent, in the folder of that person."""

import os
import re
import unittest

from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, Scenario, contents, mode, read

UNITS = ('ssh-tpm-agent.service', 'ssh-tpm-agent.socket')


class UserUnits(Scenario):
    """By somebody who is not root: root's are for all users."""

    def setUp(self):
        super().setUp()
        self.root = os.geteuid() == 0
        self.program = os.path.join(self.lab.program_for_others(), 'ssh-tpm')
        self.home = self.own('person')

    def own(self, name):
        folder = self.lab.make_folder(name)
        if self.root:
            os.chown(folder, NOBODY, NOBODY)
        return folder

    def install(self, *options, env=None, **more):
        env = {'HOME': self.home, 'XDG_CONFIG_HOME': None, **NO_LEAK_CHECK, **(env or {})}
        return self.lab.run(self.program, 'agent', '--install-user-units', *options, env=env,
                            **(AS_NOBODY if self.root else {}), **more)

    def assert_installed(self, folder):
        self.assertEqual(sorted(os.listdir(folder)), list(UNITS))
        for name in UNITS:
            self.assertEqual(mode(os.path.join(folder, name)), 0o644)
        (line,) = re.findall('(?m)^ExecStart=(.*)$', read(os.path.join(folder, UNITS[0])))
        self.assertEqual(line, f':"{self.program}" agent')
        result = self.lab.run('sh', '-c', 'cd "$0" && exec "$@"', folder, 'systemd-analyze', '--user', '--man=no',
                              'verify', *(f'./{name}' for name in UNITS))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))

    def test_the_folder_is_made(self):
        folder = os.path.join(self.home, '.config/systemd/user')
        result = self.install(status=0)
        self.assertIn('systemctl --user enable --now ssh-tpm-agent.socket', result.stdout)
        self.assertEqual([line for line in result.stdout.splitlines() if line.startswith('wrote ')],
                         [f'wrote {folder}/{name}' for name in UNITS])
        self.assert_installed(folder)

    def test_the_folder_of_configuration_may_be_another(self):
        config = self.own('config')
        self.install(env={'XDG_CONFIG_HOME': config}, status=0)
        self.assert_installed(config + '/systemd/user')
        self.assertEqual(os.listdir(self.home), [])

    def test_a_folder_of_configuration_that_is_relative_is_passed_over(self):
        """As the XDG Base Directory Specification has it."""
        self.install(env={'XDG_CONFIG_HOME': 'config'}, status=0)
        self.assert_installed(os.path.join(self.home, '.config/systemd/user'))

    def test_twice_changes_nothing(self):
        self.install(status=0)
        before = contents(self.home)
        times = {path: os.stat(path).st_mtime_ns for path in before}
        self.assertNotIn('wrote', self.install(status=0).stdout)
        self.assertEqual(contents(self.home), before)
        self.assertEqual({path: os.stat(path).st_mtime_ns for path in before}, times)

    def test_a_changed_unit_is_kept_unless_forced(self):
        self.install(status=0)
        mine = contents(self.home)
        for name in UNITS:
            path = os.path.join(self.home, '.config/systemd/user', name)
            with open(path, 'a', encoding='ascii') as file:
                file.write('# mine\n')
            changed = contents(self.home)
            self.assert_error(self.install(), path, '--force', tool='ssh-tpm-agent')
            self.assertEqual(contents(self.home), changed)
            self.install('--force', status=0)
            self.assertEqual(contents(self.home), mine)

    def test_a_home_that_is_somebody_elses_is_an_error(self):
        if not self.root:
            self.skipTest('only root has a home that another one cannot write')
        os.chown(self.home, 0, 0)
        os.chmod(self.home, 0o755)
        self.assert_error(self.install(), self.home, 'Permission denied', tool='ssh-tpm-agent')
        self.assertEqual(os.listdir(self.home), [])


if __name__ == '__main__':
    unittest.main()
