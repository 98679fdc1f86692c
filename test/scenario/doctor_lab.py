# SPDX-License-Identifier: MIT
"""A home with TPM keys and an agent, and ssh-tpm-doctor, which looks at them."""

import json
import os
import re

from agent import Agent
from applet_options import SOURCE
from lab import read
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
        """The object that --json prints, after the exit status is checked against it."""
        result = self.lab.run(*self.program, '--json', *options, **more)
        self.assertEqual(result.stderr, '')
        found = json.loads(result.stdout)
        self.assertEqual(set(found), {'version', 'status', 'checks'})
        self.assertEqual(found['version'], 1)
        self.assertEqual(result.returncode, {'ok': 0, 'warn': 3, 'fail': 1}[found['status']])
        for check in found['checks']:
            self.assertEqual(set(check), {'check', 'subject', 'status', 'text', 'hint'})
            self.assertIn(check['check'], documented_checks() + documented_checks('ssh-tpm-hostkeys.8'))
        return found

    def trouble(self, *options, **more):
        """What is not well: for each name of a check, its status, subject, text and hint."""
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


def documented_checks(page='ssh-tpm-doctor.1'):
    """The names in a manual's list."""
    page = read(os.path.join(SOURCE, 'data', 'man', page))
    section = re.search(r'^\.Ss Checks\n(.*?)^\.S[sh] ', page, re.S | re.M).group(1)
    return re.findall(r'(?m)^\.It Cm ([a-z0-9-]+)$', section)
