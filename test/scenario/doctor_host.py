#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-doctor as root, on a host whose keys are in the TPM, or are on the way there."""

import os
import shutil
import unittest

from findings import read_findings
from lab import NOBODY, NO_LEAK_CHECK, contents, needs_root, read
from live_system import PROGRAMS, LiveSystem
from protocol import FAILURE
from upstream import FakeAgent, always

KNOWN = '/etc/ssh/ssh_tpm_known_tpms'


@needs_root
class Host(LiveSystem):
    def setUp(self):
        super().setUp()
        self.tools = self.lab.make_folder('tools')
        self.lab.env['PATH'] = f'{self.tools}:{self.lab.env["PATH"]}'
        self.tool('systemctl', 'exit 1')
        shutil.copy('/etc/group', self.etc)
        self.lab.env['SSH_AUTH_SOCK'] = ''

    def tool(self, name, script):
        self.lab.write(f'tools/{name}', f'#!/bin/sh\n{script}\n', mode=0o755)

    def doctor(self):
        return read_findings(self.run_there(PROGRAMS + '/ssh-tpm', 'doctor', '--json'))['checks']

    def found(self, name, subject=''):
        [check] = [check for check in self.doctor() if (check['check'], check['subject']) == (name, subject)]
        return check


class StorageKey(Host):
    def known(self):
        shutil.copy(self.lab.path('stock' + KNOWN), self.etc + '/ssh')

    def test_a_host_without_the_file_has_nothing_to_compare(self):
        self.assertNotIn(KNOWN, [check['subject'] for check in self.doctor()])

    def test_the_storage_key_is_compared_with_that_of_the_host_keys_and_renewed_by_the_hint(self):
        self.make_keys()
        self.known()
        before = contents(self.etc)
        self.assertIn('its Name is known', self.found('tpm-storage-key', KNOWN)['text'])
        shutil.rmtree(self.lab.path('state'))  # of root, who has used no key of this TPM
        self.tpm.tool('tpm2_clear', '-c', 'p')
        self.assertIn('its Name is not known yet', self.found('tpm-storage-key')['text'])
        found = self.found('tpm-storage-key', KNOWN)
        self.assertEqual(found['status'], 'fail')
        self.assertIn('is not the known one', found['text'])
        self.assertIn('use ssh-tpm hostkeys --renew to accept', found['hint'])
        self.assertEqual(contents(self.etc), before)
        self.tpm.assert_no_handles()
        self.hostkeys('--renew', '--yes')
        self.assertIn('its Name is known', self.found('tpm-storage-key', KNOWN)['text'])

    def test_a_file_that_is_malformed(self):
        self.lab.write('root' + KNOWN, 'nonsense\n')
        self.assertIn('mend or delete that line', self.found('tpm-storage-key', KNOWN)['hint'])
        self.assertEqual(read(self.lab.path('root' + KNOWN)), 'nonsense\n')


SHOW = '''case "$*" in *--user*) exit 1 ;; esac
while read -r id load active enabled file; do
    printf 'Result=success\\nId=%s\\nLoadState=%s\\nActiveState=%s\\nUnitFileState=%s\\nFragmentPath=%s\\n\\n' \\
        "$id" "$load" "$active" "$enabled" "$file"
done <<END
{}
END'''
GENKEYS, SOCKET = 'ssh-tpm-genkeys.service', 'ssh-tpm-hostkeys.socket'
LIB = '/usr/lib/systemd/system/'
MISSING = f'{GENKEYS} not-found inactive\n{SOCKET} not-found inactive'


def units(active, enabled, folder=LIB):
    return f'{GENKEYS} loaded {active} {enabled} {folder}{GENKEYS}\n{SOCKET} loaded {active} {enabled} {folder}{SOCKET}'


DISABLED, ENABLED = units('inactive', 'disabled'), units('active', 'enabled')


class Setup(Host):
    """The steps of docs/host-keys.md, each taken after the hint of the one before."""

    def step(self, shown):
        """The text and the command of the step that is missing; empty if there is none."""
        self.tool('systemctl', SHOW.format(shown))
        found = [check for check in self.doctor() if check['check'] == 'host-setup']
        return (found[0]['status'], found[0]['text'], found[0]['hint']) if found else ()

    def assert_step(self, shown, text, hint):
        self.assertEqual(self.step(shown), ('warn', text, hint))

    def test_where_nothing_was_begun_nothing_is_said(self):
        for shown in MISSING, DISABLED:
            self.assertEqual(self.step(shown), ())
            self.assertFalse([check for check in self.doctor() if check['check'].startswith('host-')])

    def test_keys_without_units(self):
        self.make_keys()
        self.assert_step(MISSING, 'the units that serve the host keys are not installed',
                         'ssh-tpm hostkeys --install-system-units')
        self.hostkeys('--install-system-units', status=0)
        self.assertTrue(os.path.exists(f'{self.etc}/systemd/system/{SOCKET}'))

    def test_units_that_are_not_enabled(self):
        expected = ('the units that serve the host keys are not enabled',
                    f'systemd-sysusers && systemctl daemon-reload && systemctl enable --now {GENKEYS} {SOCKET}')
        self.assert_step(units('inactive', 'disabled', '/etc/systemd/system/'), *expected)
        self.assert_step(units('active', 'disabled'), *expected)
        self.make_keys()
        self.assert_step(DISABLED, *expected)
        for name in os.listdir(self.etc + '/ssh'):
            if name.endswith('.tpm'):
                os.unlink(f'{self.etc}/ssh/{name}')
        self.assertIn(f'{SOCKET.replace(".", "@H.")}; H is the hierarchy', self.step(DISABLED)[2])

    def test_units_without_keys(self):
        self.assert_step(ENABLED, 'there are no public host keys of the TPM', f'systemctl restart {GENKEYS}')

        instance = f'{SOCKET} loaded inactive disabled\nssh-tpm-hostkeys@owner.socket loaded active {{}}'
        self.assert_step(instance.format('enabled'), 'there are no public host keys of the TPM',
                         'systemctl restart ssh-tpm-genkeys@owner.service')
        self.assertIn('enable --now ssh-tpm-genkeys@owner.service ssh-tpm-hostkeys@owner.socket',
                      self.step(instance.format('disabled'))[2])

    def test_the_name_of_an_instance_is_one_word_of_a_command(self):
        name = r'ssh-tpm-hostkeys@a\x20b.socket'
        step = self.step(f'{name} loaded active disabled'.replace('\\', r'\\'))
        self.assertIn(rf"enable --now 'ssh-tpm-genkeys@a\x20b.service' '{name}'", step[2])
        self.step(f'{name} loaded inactive enabled'.replace('\\', r'\\'))
        self.assertEqual(self.found('unit', name)['hint'], f"systemctl start '{name}'")

    def test_a_masked_unit_is_somebodys_wish(self):
        masked = units('inactive', 'masked', '/etc/systemd/system/')
        self.assertEqual(self.step(masked), ())
        self.make_keys()
        self.assertEqual(self.step(masked), ())
        self.start_agent()  # but sshd needs it
        self.hostkeys('--install-sshd-config', status=0)
        self.assert_step(masked, 'sshd needs the units that serve the host keys, and they are masked',
                         f'systemctl unmask {GENKEYS} {SOCKET} && systemctl enable --now {GENKEYS} {SOCKET}')

    def test_a_sshd_that_does_not_tell_its_agent_is_named(self):
        self.make_keys()
        self.lab.limit('sshd', 0.5, 3)
        for does, words in ('exec sleep 600', 'sshd does not answer'), ('echo >&2 Nonsense; exit 1', 'Nonsense'):
            self.tool('sshd', does)
            self.assertEqual(self.step(ENABLED), ())
            self.assertIn(words, self.found('sshd-config', '')['text'])

    def test_keys_and_units_without_a_line_for_sshd_and_the_command_that_writes_it(self):
        self.make_keys()
        self.start_agent()
        self.assert_step(ENABLED, 'sshd does not use the host keys of the TPM',
                         'ssh-tpm hostkeys --install-sshd-config, and then systemctl reload ssh (Fedora and Arch call '
                         'the service sshd)')
        owner = f'{SOCKET} loaded inactive disabled\nssh-tpm-hostkeys@owner.socket loaded active enabled'
        self.assertIn('--install-sshd-config --hierarchy owner, and', self.step(owner)[2])
        self.hostkeys('--install-sshd-config', status=0)
        self.assertEqual(self.step(ENABLED), ())
        checks = self.doctor()
        self.assertEqual([check for check in checks if check['check'].startswith('host-') and check['status'] != 'ok'],
                         [], checks)
        # The next boot would not start the agent.
        self.assertIn('are not enabled', self.step(units('active', 'disabled'))[1])
        self.assertIn('host-key', [check['check'] for check in self.doctor()])

    def test_another_agent_of_sshd_has_keys_of_the_same_names(self):
        self.make_keys()
        self.tool('sshd', 'echo "hostkeyagent /run/other/agent.sock"')
        self.assertEqual(self.step(MISSING), ())


class Files(Host):
    def bad(self):
        return [check for check in self.doctor() if check['check'] == 'host-file' and check['status'] != 'ok']

    def test_owners_and_permissions_and_the_commands_that_mend_them(self):
        self.make_keys()
        shutil.copy(self.lab.path('stock' + KNOWN), self.etc + '/ssh')
        self.assertEqual(self.found('host-file', '/etc/ssh')['status'], 'ok')
        private, public = '/etc/ssh/ssh_tpm_host_ecdsa_key.tpm', '/etc/ssh/ssh_tpm_host_ecdsa_key.pub'
        for path, mode, status, text in ((private, 0o640, 'warn', 'its key has no PIN'),
                                         (public, 0o664, 'fail', 'other users may write to it'),
                                         (KNOWN, 0o646, 'fail', 'other users may write to it'),
                                         ('/etc/ssh', 0o775, 'fail', 'other users may write to it'),
                                         (private, None, 'fail', 'belongs to another user'),
                                         (public, None, 'fail', 'belongs to another user')):
            with self.subTest(path, mode=mode):
                there = self.lab.path('root' + path)
                if mode is None:
                    os.chown(there, NOBODY, NOBODY)
                else:
                    os.chmod(there, mode)
                [found] = self.bad()
                self.assertEqual((found['subject'], found['status']), (path, status))
                self.assertIn(text, found['text'])
                self.run_there('sh', '-c', found['hint'], status=0)
                self.assertEqual(self.bad(), [])

    def test_the_socket_of_the_agent(self):
        self.make_keys()
        self.start_agent()
        os.chmod(self.agent.socket, 0o666)
        [found] = self.bad()
        self.assertEqual((found['subject'], found['hint']),
                         ('/run/ssh-tpm-agent/agent.sock', 'chmod 600 /run/ssh-tpm-agent/agent.sock'))
        self.run_there('sh', '-c', found['hint'], status=0)
        self.assertEqual(self.bad(), [])


    def agent_hints(self):
        """Of doctor and of --check, the hints about the socket of the agent."""
        path = '/run/ssh-tpm-agent/agent.sock'
        self.lab.env['SSH_AUTH_SOCK'] = path
        checked = read_findings(self.hostkeys('--check', '--json'))['checks']
        found = [check for check in self.doctor() + checked if check['subject'] == path and check['status'] != 'ok']
        return [check['check'] for check in found], {check['hint'] for check in found}

    def test_another_file_or_program_at_the_place_of_the_socket(self):
        self.make_keys()
        self.lab.write('root/etc/ssh/sshd_config.d/70-ssh-tpm.conf', 'HostKeyAgent /run/ssh-tpm-agent/agent.sock\n')
        path = '/run/ssh-tpm-agent/agent.sock'
        again = f'systemctl stop ssh-tpm-hostkeys.service {SOCKET} && systemctl enable --now {SOCKET}'
        moved = f'it is no socket: mv {path} {path}.old && {again}'
        for make in os.mknod, os.mkfifo, os.mkdir:  # os.mknod makes a file
            self.socket = self.lab.path('in-the-way')
            make(self.socket)
            self.assertEqual(self.agent_hints(), (['agent', 'agent', 'agent'], {moved}))
            os.rename(self.socket, self.lab.path(make.__name__))
        fake = FakeAgent(self, always(bytes([FAILURE]) + b'x'), name='rude', user=NOBODY)
        os.chown(fake.socket, NOBODY, NOBODY)
        os.chmod(fake.socket, 0o600)
        self.socket = fake.socket
        ended = f'ss -xlp src {path} shows the program that listens, and {again} puts the agent in its place'
        self.assertEqual(self.agent_hints(), (['agent', 'host-file', 'agent', 'agent'], {ended}))

    def test_links_that_lead_nowhere_and_the_command_that_removes_them(self):
        self.make_keys()
        shutil.copy(self.lab.path('stock' + KNOWN), self.etc + '/ssh')
        drop_in = '/etc/ssh/sshd_config.d/70-ssh-tpm.conf'
        for path in ('/etc/ssh/ssh_tpm_host_rsa_key.tpm', '/etc/ssh/ssh_tpm_host_rsa_key.pub',
                     '/etc/ssh/ssh_tpm_host_rsa_key-cert.pub', KNOWN, drop_in):
            for target in 'no-such-file', path:
                with self.subTest(path, target=target):
                    there, aside = self.lab.path('root' + path), self.lab.path('aside')
                    if os.path.exists(there):
                        os.rename(there, aside)
                    os.symlink(target, there)
                    [found] = self.bad()
                    self.assertEqual((found['subject'], found['status'], found['text']),
                                     (path, 'fail', 'a dangling symbolic link'))
                    if path == drop_in:
                        self.assertNotIn('host-setup', [check['check'] for check in self.doctor()])
                    self.run_there('sh', '-c', found['hint'].partition('remove it: ')[2], status=0)
                    self.assertEqual(self.bad(), [])
                    if os.path.exists(aside):
                        os.rename(aside, there)

    def test_key_files_that_were_lost_and_the_command_that_makes_others(self):
        self.make_keys()
        self.start_agent()
        self.hostkeys('--install-sshd-config', status=0)
        self.agent.stop()  # its key has the slot of the TPM
        names = [f'ssh_tpm_host_{kind}_key' for kind in ('ecdsa', 'rsa')]
        before = contents(self.etc)
        for lost in names[1:], names:
            for name in lost:
                os.unlink(f'{self.etc}/ssh/{name}.tpm')
            self.tool('systemctl', SHOW.format(units('active', 'disabled')))
            self.assertTrue(self.found('host-setup', '/etc/ssh')['hint'].endswith(f'enable --now {GENKEYS} {SOCKET}'))
            self.tool('systemctl', f'case "$*" in "restart {GENKEYS}") exec {PROGRAMS}/ssh-tpm keygen -A ;; '
                      'show*) exit 1 ;; esac')
            [found] = self.bad()
            self.assertEqual((found['subject'], found['text'], found['status']),
                             ('/etc/ssh', 'lost, and their .pub files are still there: ' +
                              ', '.join(f'{name}.tpm' for name in lost), 'fail'))
            command = found['hint'].partition(' (Fedora')[0]
            self.run_there('sh', '-c', command, status=0)
            self.assertEqual(self.bad(), [])
            for name in lost:
                for ending in '.tpm', '.pub':
                    path = f'{self.etc}/ssh/{name}{ending}'
                    self.assertNotEqual(contents(self.etc)[path], before[path])
        self.start_agent()
        self.assertEqual({check['status'] for check in self.doctor() if check['check'] == 'host-key'}, {'ok'})


class NotRoot(Host):
    def test_what_is_not_checked_is_named(self):
        self.make_keys()
        for place, _, _ in os.walk(self.root):
            os.chmod(place, 0o755)
        self.tpm.open_to_all()
        result = self.run_there('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups',
                                PROGRAMS + '/ssh-tpm', 'doctor', '--json', env=NO_LEAK_CHECK)
        [found] = [check for check in read_findings(result)['checks'] if check['check'] == 'host-keys']
        for word in 'configuration', 'host keys', 'certificates', 'sudo ssh-tpm doctor':
            self.assertIn(word, found['text'])


if __name__ == '__main__':
    unittest.main()
