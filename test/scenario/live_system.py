# SPDX-License-Identifier: MIT
"""A system whose /etc and /run are the lab's, for ssh-tpm-hostkeys without DESTDIR."""

import os
import shutil

from agent import Agent
from hierarchy import KINDS, base_of
from lab import WITH_MOUNTS, contents
from softkey import SoftKey
from stock import HostKeyStock

INCLUDE = 'Include /etc/ssh/sshd_config.d/*.conf\n'
UNITS = 'ssh-tpm-genkeys.service ssh-tpm-hostkeys.socket'
PROGRAMS = '/usr/local/sbin'  # there the program lies where units may start it from
ENTER = ('mount -t tmpfs tmpfs /run && mkdir /run/sshd /run/ssh-tpm-agent && '
         'ln -s "$1" /run/ssh-tpm-agent/$2.sock && mount --bind "$3" ' + PROGRAMS + ' && '
         'mount --bind "$0" /etc && shift 3 && exec "$@"')


class LiveSystem(HostKeyStock):
    """A mount namespace with an /etc and a /run of its own, and no DESTDIR."""

    def setUp(self):
        super().setUp()
        self.lab.limit('sshd', 60, 3)  # on a busy machine
        self.lab.limit('host_agent', 60, 5)
        self.root = self.lab.make_folder('root')
        self.etc = self.lab.make_folder('root', 'etc')
        for name in 'ssh/sshd_config.d', 'systemd/system':
            os.makedirs(os.path.join(self.etc, name))
        shutil.copy('/etc/passwd', self.etc)
        self.socket, self.socket_name = self.lab.path('nobody-listens'), 'agent'
        self.config()

    def config(self, *lines):
        self.lab.write('root/etc/ssh/sshd_config', INCLUDE + ''.join(line + '\n' for line in lines))

    def make_keys(self):
        for kind in KINDS:
            for ending in '.tpm', '.pub':
                shutil.copy(base_of(self.lab.path('stock'), kind) + ending, self.etc + '/ssh')

    def plain_key(self, name='plain'):
        """A host key that the file system keeps; its line for sshd."""
        SoftKey(self.lab, os.path.join(self.etc, 'ssh', name))
        return f'HostKey /etc/ssh/{name}'

    def run_there(self, *argv, **more):
        """A program, with `self.socket` in the place of the agent's."""
        return self.lab.run(*WITH_MOUNTS, ENTER, self.etc, self.socket, self.socket_name,
                            self.lab.program_for_others(), *argv, **more)

    def hostkeys(self, *options, fault=None, **more):
        """With a fault of test/support/file_faults.cpp."""
        faults = ('env', 'LD_PRELOAD=' + os.environ['SSH_TPM_FILE_FAULTS'], f'SSH_TPM_TEST_FILES={fault}')
        return self.run_there(*(faults if fault else ()), PROGRAMS + '/ssh-tpm', 'hostkeys', *options, **more)

    def drop_in(self):
        return os.path.join(self.etc, 'ssh/sshd_config.d/70-ssh-tpm.conf')

    def assert_problem(self, result, *words):
        self.assert_error(result, *words, tool='ssh-tpm-hostkeys')
        self.assertEqual(result.stderr.count('error: '), result.stderr.count('hint: '), result.stderr)

    def assert_refused(self, *words, options=('--install-sshd-config',), **more):
        """And nothing has changed."""
        before = contents(self.etc)
        result = self.hostkeys(*options, **more)
        self.assert_problem(result, *words)
        self.assertEqual(contents(self.etc), before)
        return result

    def start_agent(self, key_dir=None, **more):
        self.agent = Agent(self.lab, '--no-seal', '--no-cache', key_dir=key_dir or self.etc + '/ssh', **more)
        self.socket = self.agent.socket
