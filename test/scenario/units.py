#!/usr/bin/env python3
"""systemd takes the units that the program writes, and holds their sandboxes for tight."""

import os
import re
import shlex
import shutil
import unittest

from lab import Scenario, read

ODD = ('plain', 'with a space', 'per%cent%d', 'dol$lar ${HOME} $$', 'ümläut', 'quo"te', "apo'strophe", 'back\\slash',
       'tab\there', 'semi;colon', '-dash', '#hash', os.fsdecode(b'not utf-8 \xff'))


class Units(Scenario):
    def setUp(self):
        super().setUp()
        self.root = self.lab.make_folder('root')
        self.env = {'DESTDIR': self.root}
        self.program = self.lab.bin + '/ssh-tpm'

    def write_all(self, program=None):
        program = program or self.program
        # The build folder is no place for the system's programs, but systemd-analyze looks whether it is there.
        self.lab.run(program, 'hostkeys', '--install-system-units', '--force', env=self.env, status=0)
        self.lab.run(program, 'agent', '--install-system', env=self.env, status=0)

    def folder(self, kind):
        return os.path.join(self.root, 'etc/systemd', kind)

    def units(self, kind):
        return sorted(os.listdir(self.folder(kind)))

    def analyze(self, kind, *arguments):
        """As Lab.run, in the folder of the units."""
        return self.lab.run('sh', '-c', 'cd "$0" && exec "$@"', self.folder(kind), 'systemd-analyze', f'--{kind}',
                            '--man=no', *arguments, errors='backslashreplace')

    def verify(self, kind):
        names = [f'./{name.replace("@.", "@endorsement.")}' for name in self.units(kind)]
        for name in self.units(kind):
            if '@.' in name and not os.path.exists(self.folder(kind) + '/' + name.replace('@.', '@endorsement.')):
                os.symlink(name, self.folder(kind) + '/' + name.replace('@.', '@endorsement.'))
        return self.analyze(kind, 'verify', *names)

    def test_they_are_correct(self):
        self.write_all()
        for kind in ('system', 'user'):
            result = self.verify(kind)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))

    def test_a_program_that_is_not_there_is_noticed(self):
        """So that the sentence above can fail."""
        self.write_all()
        for kind in ('system', 'user'):
            for name in self.units(kind):
                path = os.path.join(self.folder(kind), name)
                self.lab.write(os.path.relpath(path, self.lab.folder),
                               read(path).replace(self.program, '/no/such/program'))
            self.assertNotEqual(self.verify(kind).returncode, 0)

    def test_the_sandboxes_are_tight(self):
        self.write_all()
        for kind, name, most in (('system', 'ssh-tpm-hostkeys.service', 1.5),
                                 ('system', 'ssh-tpm-hostkeys@.service', 1.5),
                                 ('system', 'ssh-tpm-genkeys.service', 1.5),
                                 ('user', 'ssh-tpm-agent.service', 2.5)):
            printed = self.analyze(kind, 'security', '--offline=true', '--no-pager', './' + name).stdout
            self.assertLessEqual(float(re.search(r'exposure level for \S+: ([0-9.]+)', printed)[1]), most, printed)

    def test_the_agent_of_the_host_keys_is_not_root(self):
        self.write_all()
        for name in ('ssh-tpm-hostkeys.service', 'ssh-tpm-hostkeys@.service'):
            self.assertRegex(read(os.path.join(self.folder('system'), name)), r'(?m)^User=ssh-tpm$')

    def test_each_user_has_a_state_folder_of_its_own_and_the_program_is_told_of_it(self):
        """systemd gives a folder to User= of the unit that starts, and to nobody when there is none, which is root."""
        self.write_all()
        owners = {}
        for unit in ('ssh-tpm-genkeys.service', 'ssh-tpm-hostkeys.service', 'ssh-tpm-hostkeys@.service'):
            text = read(os.path.join(self.folder('system'), unit))
            (state,) = re.findall('(?m)^StateDirectory=(.*)$', text)
            (variables,) = re.findall('(?m)^Environment=(.*)$', text)
            home = dict(word.split('=', 1) for word in variables.split())['XDG_STATE_HOME']
            self.assertIn(f'/var/lib/{state}', (home, home + '/ssh-tpm'))
            self.assertRegex(text, '(?m)^StateDirectoryMode=0700$')
            owners.setdefault(state, set()).add(''.join(re.findall('(?m)^User=(.*)$', text)))
        self.assertEqual([len(users) for users in owners.values()], [1, 1], owners)

    def test_new_keys_are_read_when_they_are_made_by_hand(self):
        self.write_all()
        self.assertRegex(read(self.folder('system') + '/ssh-tpm-hostkeys.service'),
                         '(?m)^PartOf=ssh-tpm-genkeys.service$')

    def test_a_key_generation_that_fails_is_tried_again_for_a_while(self):
        """A TPM's driver may load late; but each try restarts the agent."""
        self.write_all()
        text = read(self.folder('system') + '/ssh-tpm-genkeys.service')
        number = {name: int(re.search(f'(?m)^{name}=([0-9]+)$', text)[1])
                  for name in ('RestartSec', 'StartLimitIntervalSec', 'StartLimitBurst')}
        self.assertRegex(text, '(?m)^Restart=on-failure$')
        self.assertLess((number['RestartSec'] + 10) * number['StartLimitBurst'], number['StartLimitIntervalSec'])

    def test_an_agent_that_fails_is_started_anew_without_end(self):
        """A service that is given up takes its socket with it."""
        self.write_all()
        agents = [('user', 'ssh-tpm-agent.service'), ('system', 'ssh-tpm-hostkeys.service'),
                  ('system', 'ssh-tpm-hostkeys@.service')]
        for kind, name in agents:
            text = read(os.path.join(self.folder(kind), name))
            for line in 'Restart=on-failure', 'RestartSec=5', 'StartLimitIntervalSec=0', 'WatchdogSec=60':
                self.assertRegex(text, f'(?m)^{line}$')

    def test_every_option_of_theirs_is_one_of_the_program(self):
        self.write_all()
        for kind in ('system', 'user'):
            for name in self.units(kind):
                for line in re.findall('(?m)^ExecStart=(.*)', read(os.path.join(self.folder(kind), name))):
                    program, applet, *words = shlex.split(line)
                    self.assertEqual(program, ':' + self.program)
                    printed = self.lab.run(self.program, applet, '--help', status=0).stdout
                    for word in (word for word in words if word.startswith('-')):
                        self.assertRegex(printed, rf'(?m)^ .*{word}\b')

    def test_each_spelling_of_the_tree_names_the_program_as_the_tree_does(self):
        program = self.lab.program_in(self.root)
        os.symlink(self.root, self.lab.path('link'))
        self.lab.make_folder('beside')
        for tree in ('root', './root', 'root/', 'beside/../root', self.root + '//', self.lab.path('link'), 'link/',
                     self.lab.path('beside/../link'), '//' + self.root.lstrip('/')):
            with self.subTest(tree):
                shutil.rmtree(self.root + '/etc', ignore_errors=True)
                self.env = {'DESTDIR': tree}
                self.write_all(program)
                for kind in ('system', 'user'):
                    texts = ''.join(read(os.path.join(self.folder(kind), name)) for name in self.units(kind))
                    self.assertEqual(set(re.findall('(?m)^ExecStart=(\\S+)', texts)), {':"/usr/bin/ssh-tpm"'})

    def test_systemd_finds_the_program_whatever_the_path_has(self):
        for name in ODD:
            with self.subTest(name):
                folder = self.lab.make_folder('odd', name)
                program = os.path.join(folder, 'ssh-tpm')
                shutil.copy(self.program, program)
                shutil.rmtree(self.folder('user'), ignore_errors=True)
                self.lab.run(program, 'agent', '--install-system', env=self.env, status=0)
                result = self.verify('user')
                self.assertEqual((result.returncode, result.stderr), (0, ''))
                os.unlink(program)
                if not set(name) & set('"\'\\\t'):  # else the shell is systemd's program, and this one its argument
                    self.assertNotEqual(self.verify('user').returncode, 0)

    def test_a_shell_is_given_what_systemd_takes_for_no_program(self):
        for name in ('quo"te', "apo'strophe", 'back\\slash'):
            program = os.path.join(self.lab.make_folder('odd', name), 'ssh-tpm')
            shutil.copy(self.program, program)
            shutil.rmtree(self.folder('user'), ignore_errors=True)
            self.lab.run(program, 'agent', '--install-system', env=self.env, status=0)
            (line,) = re.findall('(?m)^ExecStart=:(.*)', read(self.folder('user') + '/ssh-tpm-agent.service'))
            result = self.lab.run(*shlex.split(line), '--print-socket', status=0)
            self.assertTrue(result.stdout.endswith('ssh-tpm-agent.sock\n'))


if __name__ == '__main__':
    unittest.main()
