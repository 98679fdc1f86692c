"""A system of a scenario's own for `ssh-tpm hostkeys` without DESTDIR: a mount namespace with an /etc and a /run."""

import os
import shutil

from hierarchy import KINDS, base_of
from lab import Scenario, contents, read_key
from softkey import SoftKey
from swtpm import Swtpm

INCLUDE = 'Include /etc/ssh/sshd_config.d/*.conf\n'
PROGRAMS = '/usr/local/sbin'  # there the program lies where units may start it from
ENTER = ('mount -t tmpfs tmpfs /run && mkdir /run/sshd /run/ssh-tpm-agent && '
         'ln -s "$1" /run/ssh-tpm-agent/agent.sock && mount --bind "$2" ' + PROGRAMS + ' && '
         'mount --bind "$0" /etc && shift 2 && exec "$@"')


class LiveSystem(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.root = self.lab.make_folder('root')
        self.etc = self.lab.make_folder('root', 'etc')
        for name in 'ssh/sshd_config.d', 'systemd/system':
            os.makedirs(os.path.join(self.etc, name))
        shutil.copy('/etc/passwd', self.etc)
        self.socket = self.lab.path('nobody-listens')
        self.config()

    def config(self, *lines):
        self.lab.write('root/etc/ssh/sshd_config', INCLUDE + ''.join(line + '\n' for line in lines))

    def make_keys(self, *options):
        self.lab.keygen('-q', '-A', '-f', self.root, *options)

    def keys(self):
        return [read_key(base_of(self.root, kind)) for kind in KINDS]

    def plain_key(self):
        """A host key that the file system keeps; its line for sshd."""
        SoftKey(self.lab, os.path.join(self.etc, 'ssh/plain'))
        return 'HostKey /etc/ssh/plain'

    def run_there(self, *argv, **more):
        """A program, with `self.socket` in the place of the agent's."""
        return self.lab.run('unshare', '-m', 'sh', '-c', ENTER, self.etc, self.socket,
                            self.lab.program_for_others(), *argv, **more)

    def hostkeys(self, *options, **more):
        return self.run_there(PROGRAMS + '/ssh-tpm', 'hostkeys', *options, **more)

    def drop_in(self):
        return os.path.join(self.etc, 'ssh/sshd_config.d/70-ssh-tpm.conf')

    def assert_problem(self, result, *words):
        self.assert_error(result, *words, tool='ssh-tpm-hostkeys')
        self.assertEqual(result.stderr.count('error: '), result.stderr.count('hint: '), result.stderr)

    def assert_refused(self, *words, options=('--install-sshd-config',)):
        """And nothing has changed."""
        before = contents(self.etc)
        result = self.hostkeys(*options)
        self.assert_problem(result, *words)
        self.assertEqual(contents(self.etc), before)
        return result
