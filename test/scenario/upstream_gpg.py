#!/usr/bin/env python3
"""gpg-agent's ssh socket behind ours: its keys are listed and sign, and it takes those that no TPM holds."""

import os
import unittest

from agent import Agent
from lab import Scenario, read_key, wait_until
from softkey import SoftKey
from sshd import Sshd
from swtpm import Swtpm

# Speaks for a person to gpg-agent (the Assuan protocol): the same passphrase, whatever it is asked.
PINENTRY = '''#!/bin/sh
echo "OK"
while read -r command rest; do
    echo "$command $rest" >> "{folder}/asked"
    [ "$command" != GETPIN ] || echo "D a passphrase"
    echo "OK"
    [ "$command" != BYE ] || exit 0
done
'''


class Gpg(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.own = self.lab.make_key('own')
        self.home = self.lab.make_folder('gnupg')
        self.lab.env['GNUPGHOME'] = self.home
        pinentry = self.lab.write('pinentry', PINENTRY.format(folder=self.lab.folder), mode=0o755)
        self.lab.write('gnupg/gpg-agent.conf', f'enable-ssh-support\nmax-cache-ttl-ssh 0\n'
                                               f'pinentry-program {pinentry}\n')
        self.socket = self.lab.run('gpgconf', '--list-dirs', 'agent-ssh-socket', status=0).stdout.strip()
        self.addCleanup(self.lab.run, 'gpgconf', '--remove-socketdir')
        self.start_gpg_agent()
        self.agent = Agent(self.lab, '-A', self.socket)

    def start_gpg_agent(self):
        process = self.lab.start('gpg-agent', '--no-detach', '--daemon')
        wait_until(lambda: self.lab.run('ssh-add', '-l', env={'SSH_AUTH_SOCK': self.socket}).returncode == 1,
                   'gpg-agent without keys')
        return process

    def make_openpgp_key(self, algorithm):
        """A key of OpenPGP that may be used for logins, without a passphrase."""
        self.lab.run('gpg', '--batch', '--passphrase', '', '--quick-generate-key', f'{algorithm}@example.com',
                     algorithm, 'auth', 'never', status=0)
        listed = self.lab.run('gpg', '--batch', '--with-colons', '--with-keygrip', '--list-secret-keys',
                              f'{algorithm}@example.com', status=0).stdout.splitlines()
        grip = next(line.split(':')[9] for line in listed if line.startswith('grp:'))
        with open(os.path.join(self.home, 'sshcontrol'), 'a', encoding='ascii') as file:
            file.write(grip + '\n')
        fingerprint = next(line.split(':')[9] for line in listed if line.startswith('fpr:'))
        line = self.lab.run('gpg', '--batch', '--export-ssh-key', fingerprint + '!', status=0).stdout
        return line.split()

    def test_keys_of_openpgp_are_listed_and_sign(self):
        for place, algorithm in enumerate(('ed25519', 'nistp256', 'rsa2048'), 2):
            with self.subTest(algorithm):
                name, blob, *_ = self.make_openpgp_key(algorithm)
                listed = self.agent.listed()
                self.assertEqual(listed[0], self.own.line)
                self.assertEqual(len(listed), place)
                line = next(line for line in listed if line.split()[:2] == [name, blob])
                self.check_signs(line)

    def check_signs(self, line):
        self.lab.write('listed.pub', line + '\n')
        key = read_key(self.lab.path('listed'))
        self.agent.sign_and_check(key)
        server = Sshd(self.lab, authorized=[key.pub])
        result = server.login(self.agent)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        server.accepted(key)
        server.process.end()

    def test_a_key_that_was_added_through_ours_is_kept_there_and_asked_for_there(self):
        key = SoftKey(self.lab, self.lab.path('soft'), 'ed25519', 256, 'a soft key').key
        self.agent.ssh_add('-q', key.path, status=0)
        self.assertEqual(self.agent.listed(), [self.own.line, key.line])
        os.unlink(self.lab.path('asked'))  # a new passphrase
        # gpg-agent lets a passphrase of lifetime 0 live until the end of its second; a reload drops it at once.
        self.lab.run('gpg-connect-agent', 'reloadagent', '/bye', status=0)
        self.check_signs(key.line)
        with open(self.lab.path('asked'), encoding='utf-8') as file:
            self.assertIn('GETPIN', file.read())

    def test_our_key_signs_without_gpg_agent(self):
        self.agent.sign_and_check(self.own)
        self.lab.run('gpgconf', '--kill', 'gpg-agent', status=0)
        wait_until(lambda: not os.path.exists(self.socket), 'the end of gpg-agent')
        self.assertEqual(self.agent.listed(), [self.own.line])
        self.agent.sign_and_check(self.own)
        self.start_gpg_agent()
        name, blob, *_ = self.make_openpgp_key('ed25519')
        self.assertEqual([line.split()[:2] for line in self.agent.listed()][1:], [[name, blob]])


if __name__ == '__main__':
    unittest.main()
