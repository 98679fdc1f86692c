#!/usr/bin/env python3
"""The host keys' agent as its unit runs it, as a user that is not root: root's sshd is served."""

import os
import signal
import unittest

from agent import ours
from hierarchy import KINDS, host_sshd, know, login, read_public
from lab import AS_NOBODY, NOBODY, Scenario, needs_root, read
from manager import Activated, Manager, Unit, load_credentials
from softkey import SoftKey
from swtpm import Swtpm

ALGORITHMS = {'ecdsa-sha2-nistp256': 'ecdsa', 'rsa-sha2-256': 'rsa', 'rsa-sha2-512': 'rsa'}


@ours
@needs_root
class HostAgentUnit(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.open_to_all()
        self.user = SoftKey(self.lab, self.lab.path('user'))
        self.root = self.lab.make_folder('root')
        self.lab.run(self.lab.program_in(self.root), 'hostkeys', '--install-system-units', env={'DESTDIR': self.root}, status=0)
        self.manager = Manager(self.lab.path('notify'))
        os.chmod(self.lab.path('notify'), 0o666)
        self.addCleanup(self.manager.close)

    def unit(self, name, instance=''):
        return Unit(f'{self.root}/etc/systemd/system/{name}', instance)

    def start(self, unit):
        """The service of a unit, with what systemd would give it."""
        state, credentials = self.lab.make_folder('var-lib'), self.lab.make_folder('credentials')
        os.makedirs(os.path.join(state, unit.one('StateDirectory')), mode=0o700)
        os.chown(os.path.join(state, unit.one('StateDirectory')), NOBODY, NOBODY)
        os.chmod(state, 0o755)
        load_credentials(unit, self.root, credentials, NOBODY)
        environment = dict(word.split('=', 1) for word in unit.one('Environment').split())
        env = {'PATH': self.lab.env['PATH'], 'SSH_TPM_TCTI': self.tpm.tcti, 'CREDENTIALS_DIRECTORY': credentials,
               'NOTIFY_SOCKET': self.lab.path('notify'),
               'WATCHDOG_USEC': str(int(unit.one('WatchdogSec')) * 1000000),
               **{name: value.replace('/var/lib', state) for name, value in environment.items()}}
        program, *words = unit.command(d=credentials)
        self.agent = Activated(self.lab, self.root + program, *words, as_nobody=True,
                               env={**dict.fromkeys(self.lab.env), **env})

    def assert_serves(self, *kinds):
        keys = {kind: read_public(self.root, kind) for kind in kinds}
        server = host_sshd(self.lab, self.agent, self.user, *keys.values())
        known = know(self.lab, server, *keys.values())
        for algorithm in (name for name, kind in ALGORITHMS.items() if kind in kinds):
            result = login(self.lab, server, self.user, known, '-v', '-o', f'HostKeyAlgorithms={algorithm}')
            self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
            self.assertIn(f'kex: host key algorithm: {algorithm}', result.stderr)
        count = len(kinds)
        self.manager.wait_for(f'READY=1\nSTATUS=Serving {count} key{"s" if count > 1 else ""}')
        status = read(f'/proc/{self.agent.process.pid}/status')
        self.assertRegex(status, rf'(?m)^Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}')
        self.assertRegex(status, r'(?m)^CapEff:\t0+$')
        self.assertNotIn('error', self.agent.log())

    def stop(self):
        self.agent.process.popen.send_signal(signal.SIGTERM)
        self.assertEqual(self.agent.process.wait(), 0, self.agent.log())
        self.manager.wait_for('STOPPING=1\nSTATUS=Ending')
        self.tpm.assert_no_handles()

    def test_keys_in_files_that_are_roots_alone(self):
        self.lab.keygen('-q', '-A', '-f', self.root)
        self.start(self.unit('ssh-tpm-hostkeys.service'))
        self.assert_serves(*KINDS)
        self.stop()

    def test_one_key_alone_is_served_when_the_tpm_made_one_alone(self):
        self.lab.keygen('-q', '-A', '-f', self.root)
        for kind in KINDS:
            if kind != 'ecdsa':
                os.unlink(f'{self.root}/etc/ssh/ssh_tpm_host_{kind}_key.tpm')
        self.start(self.unit('ssh-tpm-hostkeys.service'))
        self.assert_serves('ecdsa')
        self.stop()

    def test_keys_of_a_hierarchy(self):
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', 'endorsement')
        self.start(self.unit('ssh-tpm-hostkeys@.service', 'endorsement'))
        self.assert_serves(*KINDS)
        self.stop()

    def test_nobody_but_root_reaches_the_socket(self):
        self.lab.keygen('-q', '-A', '-f', self.root)
        self.start(self.unit('ssh-tpm-hostkeys.service'))
        self.assertEqual(len(self.agent.listed()), len(KINDS))
        refused = self.agent.ssh_add('-L', **AS_NOBODY)
        self.assertEqual((refused.returncode, refused.stdout), (2, ''))
        self.stop()


if __name__ == '__main__':
    unittest.main()
