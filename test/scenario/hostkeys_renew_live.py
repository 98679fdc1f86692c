#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-hostkeys --renew on a system that runs: its agents and sshd get the new keys."""

import os
import shutil
import unittest

from agent import Agent
from hierarchy import KINDS, HierarchyAgent, base_of, read_public
from lab import WITH_MOUNTS, contents, needs_mounts, needs_root, read
from renewal import NOTHING, RenewalStock

ENTER = ('mount -t tmpfs tmpfs /run && mount --bind "$0" /etc/ssh && '
         'mkdir /run/ssh-tpm-agent && mount --bind "$0/../../sockets" /run/ssh-tpm-agent && '
         'if [ "$1" = booted ]; then mkdir -p /run/systemd/system; fi && shift && exec "$@"')
# A page is free: for one new file at a time.
FULL = ('cp -a /etc/ssh /run/copy && mount -t tmpfs -o size=128k tmpfs /etc/ssh && cp -a /run/copy/. /etc/ssh && '
        'dd if=/dev/zero of=/etc/ssh/fill bs=4k 2>/dev/null; truncate -s -4096 /etc/ssh/fill; "$@"; status=$?; '
        'rm /etc/ssh/fill && cp -a /etc/ssh/. "$0" && exit $status')
SYSTEMCTL = '''#!/bin/sh
echo "$@" >>{folder}/calls
case "$*" in {failing}) exit 3 ;; {killing}) kill -9 $PPID ;; esac
'''


@needs_root
@needs_mounts('mount -t tmpfs tmpfs /run')
class LiveRenewal(RenewalStock):
    """Of the system that runs, in a mount namespace; systemctl writes down its arguments."""

    def live(self, *options, booted=True, failing='nothing', killing='nothing', program=None, **more):
        tools = self.lab.make_folder('tools')
        self.lab.make_folder('root/sockets')
        self.lab.write('tools/systemctl', SYSTEMCTL.format(folder=tools, failing=failing, killing=killing), mode=0o755)
        self.lab.write('tools/calls', '')
        return self.lab.run(*WITH_MOUNTS, ENTER, self.folder, 'booted' if booted else 'chroot', *(program or ()),
                            f'{self.lab.bin}/ssh-tpm-hostkeys', '--renew', *options,
                            env={'PATH': tools + ':' + self.lab.env['PATH'], 'DESTDIR': None}, **more)

    def calls(self):
        return [line for line in read(self.lab.path('tools/calls')).splitlines() if not line.startswith('is-active')]

    def test_the_agent_is_restarted_and_sshd_reads_its_configuration(self):
        self.drop('rsa')
        for failing, sshd in ('nothing', 'ssh.service'), ('"is-active --quiet ssh.service"', 'sshd.service'):
            self.clear()
            printed = self.live('--yes', failing=failing, status=0).stdout
            self.assertEqual(self.calls(), ['restart ssh-tpm-hostkeys.service', 'reload ' + sshd])
            self.assertIn(f'restarted ssh-tpm-hostkeys.service\nreloaded {sshd}\n', printed)
        self.assertIn(NOTHING, self.live(status=0).stdout)
        self.assertEqual(self.calls(), [])
        self.assert_work('ecdsa')

    def test_an_agent_that_still_has_the_keys_of_before_is_restarted_even_after_a_run_that_was_killed(self):
        self.drop('rsa')
        self.lab.make_folder('root/sockets')
        copies = self.lab.make_folder('copies')  # as LoadCredential= has them
        shutil.copy(base_of(self.root, 'ecdsa') + '.tpm', copies)
        agent = Agent(self.lab, name='root/sockets/agent', key_dir=copies)
        self.assertNotIn('To publish', self.live(status=0).stdout)
        self.assertEqual(self.calls(), [])
        self.clear()
        self.assertEqual(self.live('--yes', killing='restart*').returncode, -9)
        printed = self.live(status=0).stdout
        self.assertIn(NOTHING, printed)
        self.assertEqual(self.calls(), ['restart ssh-tpm-hostkeys.service', 'reload ssh.service'])
        line = self.lab.ssh_keygen('-l', '-f', base_of(self.root, 'ecdsa') + '.pub')
        self.assertIn('To publish:\n  ' + line, printed)
        agent.stop()
        agent = Agent(self.lab, name='root/sockets/agent', key_dir=self.folder)
        self.assertNotIn('To publish', self.live(status=0).stdout)
        self.assertEqual(self.calls(), [])
        with agent.stopped():
            self.lab.limit('agent_answer', 0.3, 5)
            result = self.live(status=0)
        self.assertRegex(result.stderr, 'warning: /run/ssh-tpm-agent/agent.sock: .*\nhint: ssh-tpm hostkeys --check ')
        self.assertEqual(self.calls(), [])
        agent.stop()

    def test_after_a_trial_that_failed_an_agent_that_works_is_left_alone(self):
        self.drop(*KINDS)
        self.lab.make_folder('root/sockets')
        self.lab.keygen('-q', '-A', '-t', 'ecdsa', '--hierarchy', 'endorsement', '-f', self.root)
        agent = HierarchyAgent(self.lab, 'endorsement', name='root/sockets/endorsement')
        self.assertIn(NOTHING, self.live('--hierarchy', 'e', status=0).stdout)
        self.tpm.tool('tpm2_changeauth', '-c', 'e', 'secret')
        self.assert_error(self.live('--hierarchy', 'e'), 'has a password', tool='ssh-tpm-hostkeys')
        self.assertEqual(self.calls(), [])
        agent.stop()

    def test_keys_of_the_owner_hierarchy_come_back_by_the_hints(self):
        self.drop(*KINDS)
        hint = 'ssh-tpm hostkeys --renew --hierarchy owner'
        make = '-q', '-A', '-t', 'ecdsa', '--hierarchy', 'owner'
        self.lab.keygen(*make, '-f', self.root)
        before = contents(self.folder)
        self.assertIn(NOTHING, self.live('--hierarchy', 'owner', status=0).stdout)
        self.clear()
        refused = self.lab.run(*WITH_MOUNTS, ENTER, self.folder, 'booted', f'{self.lab.bin}/ssh-tpm-keygen',
                               *make, env={'DESTDIR': None})
        self.assert_error(refused, 'holds another key', 'hint: ' + hint)
        result = self.live('--yes', *hint.split()[3:], status=0)
        self.assertIn('no Name is known for the keys of a hierarchy', result.stderr)
        self.assertEqual(self.calls(), ['restart ssh-tpm-hostkeys@owner.service', 'reload ssh.service'])
        self.assertIn('ssh-tpm hostkeys --install-sshd-config --hierarchy owner', result.stdout)
        self.assert_kept(before)
        self.lab.keygen(*make, '-f', self.root)
        agent, key = HierarchyAgent(self.lab, 'owner'), read_public(self.root, 'ecdsa')
        agent.sign_and_check(key)
        self.clear()
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line(hint)
        agent.stop()
        self.lab.run(f'{self.lab.bin}/ssh-tpm-hostkeys', '--install-sshd-config', '--hierarchy', 'owner',
                     env={'DESTDIR': self.root}, status=0)
        self.live('--yes', status=0)  # which takes the hierarchy from the file of sshd
        self.assertEqual(self.calls(), ['restart ssh-tpm-hostkeys@owner.service', 'reload ssh.service'])
        self.lab.keygen(*make, '-f', self.root)
        old = HierarchyAgent(self.lab, 'owner', name='root/sockets/owner')
        self.clear()
        key = base_of(self.root, 'ecdsa') + '.pub'
        os.unlink(key)  # and somebody else writes it
        self.lab.keygen(*make, '-f', self.root)
        self.assertIn(NOTHING, self.live(status=0).stdout)
        self.assertEqual(self.calls(), ['restart ssh-tpm-hostkeys@owner.service', 'reload ssh.service'])
        old.stop()

    def test_units_that_do_not_run_are_left_alone_and_one_that_fails_is_a_warning(self):
        self.drop('rsa')
        self.clear()
        printed = self.live('--yes', failing='is-active*', status=0).stdout
        self.assertEqual(self.calls(), [])
        self.assertNotIn('restarted', printed)
        self.clear()
        result = self.live('--yes', failing='restart*', status=0)
        self.assertEqual(self.calls(), ['restart ssh-tpm-hostkeys.service'])  # without it, sshd could end
        self.assertIn('warning: `systemctl restart ssh-tpm-hostkeys.service` fails', result.stderr)
        self.assertIn('hint: systemctl restart ssh-tpm-hostkeys.service, then systemctl reload ssh', result.stderr)

    def test_without_systemd_it_is_said_what_to_restart(self):
        self.drop('rsa')
        self.clear()
        printed = self.live('--yes', booted=False, status=0).stdout
        self.assertEqual(self.calls(), [])
        self.assertIn('To finish: restart the agent of the host keys', printed)

    def test_where_only_one_file_has_room_nothing_is_replaced(self):
        self.drop('rsa')
        self.clear()
        before = contents(self.folder)
        result = self.live('--yes', program=('sh', '-c', FULL, self.folder), status=1)
        self.assertIn('is not renewed: ', result.stderr)
        self.assertIn('No space left on device', result.stderr)
        after = contents(self.folder)
        self.assertEqual({**after, self.known: None}, {**before, self.known: None})
        self.live('--yes', status=0)
        self.assert_work('ecdsa')

    def test_two_at_once_are_refused(self):
        self.lab.limit('host_agent', 0.2, 60)
        result = self.live('--yes', program=('flock', '/run/ssh-tpm-hostkeys.lock'), deadline=200)
        self.assert_error(result, 'another ssh-tpm-hostkeys', tool='ssh-tpm-hostkeys')


if __name__ == '__main__':
    unittest.main()
