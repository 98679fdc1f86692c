# SPDX-License-Identifier: MIT
"""A home with TPM keys and an agent, and ssh-tpm-doctor, which looks at them."""

from agent import Agent
from findings import read_findings
from stock import Probed

PIN = '1234 is a PIN'


class DoctorLab(Probed):
    """A home with two keys, whose agent listens on the usual socket; no systemd, unless a test has one."""

    def setUp(self):
        super().setUp()
        self.program = (f'{self.lab.bin}/ssh-tpm-doctor',)
        self.tools = self.lab.make_folder('tools')
        self.lab.env['PATH'] = f'{self.tools}:{self.lab.env["PATH"]}'
        self.tool('systemctl', 'exit 1')
        self.ssh = self.lab.make_folder('home', '.ssh')

    def tool(self, name, script):
        self.lab.write(f'tools/{name}', f'#!/bin/sh\n{script}\n', mode=0o755)

    def fill(self):
        self.key = self.lab.make_key('id_ecdsa', folder=self.ssh)
        self.guarded = self.lab.make_key('work', pin=PIN, folder=self.ssh)
        # Somebody can be asked, whether or not the tests have a terminal.
        self.tool('askpass', 'exit 1')
        asking = {'SSH_ASKPASS': f'{self.tools}/askpass', 'SSH_ASKPASS_REQUIRE': 'force'}
        self.agent = Agent(self.lab, name='run/ssh-tpm-agent', key_dir=self.ssh, env=asking)
        self.lab.env['SSH_AUTH_SOCK'] = self.agent.socket

    def doctor(self, *options, **more):
        """The object that --json prints."""
        return read_findings(self.lab.run(*self.program, '--json', *options, **more))

    def trouble(self, *options, **more):
        """The checks that are not ok, by name."""
        checks = self.doctor(*options, **more)['checks']
        return {check['check']: check for check in checks if check['status'] != 'ok'}

    def assert_only(self, name, status, text, hint='', subject=None, **more):
        """One check is not well, for this reason."""
        trouble = self.trouble(**more)
        self.assertEqual(list(trouble), [name])
        found = trouble[name]
        self.assertEqual(found['status'], status)
        self.assertIn(text, found['text'])
        self.assertIn(hint, found['hint'])
        if subject is not None:
            self.assertEqual(found['subject'], subject)
