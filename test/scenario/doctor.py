#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-doctor finds what is wrong with the TPM, changes nothing, and ends though the TPM hangs."""

import os
import shutil
import unittest

from doctor_lab import PIN, DoctorLab
from findings import read_findings
from lab import (AS_NOBODY, NOBODY, NO_LEAK_CHECK, WITH_MOUNTS, children, needs_mounts, needs_root, read,
                 wait_until)
from swtpm import STORAGE_KEY, Swtpm
from terminal import is_running

# A self-test that comes first (TPM_RC_RETRY), and RSA 4096, which swtpm lacks (TPM_RC_VALUE).
REFUSED = ('TPM2_Sign 0x00000922', 'TPM2_TestParms 0x000001c4')
# What a person has who needs no help.
HEALTHY = ('version', 'openssh', 'system', 'tpm-device', 'tpm-chip', 'tpm-algorithms', 'tpm-hash', 'tpm-lockout',
           'tpm-storage-key', 'tpm-signature', 'key-loads', 'key-loads', 'agent', 'ssh-agent-used', 'agent-keys',
           'agent-askpass', 'agent-memory', 'ssh-folder', 'key-file', 'key-file')
DEVICES = ('mount -t tmpfs tmpfs /sys/class && mount -t tmpfs -o dev tmpfs /dev && mknod -m 666 /dev/null c 1 3 && '
           'mknod -m 600 /dev/tpm0 c 1 3')


class Healthy(DoctorLab):
    def setUp(self):
        super().setUp()
        self.fill()

    def files(self):
        """Without the probe's, which writes down each command."""
        return {path: content for path, content in self.tpm.everything_else().items() if 'probe' not in path}

    def persistent(self):
        return self.tpm.tool('tpm2_getcap', 'handles-persistent')

    def test_all_is_well_and_each_check_is_a_line(self):
        found = self.doctor()
        names = [check['check'] for check in found['checks'] if check['check'] not in ('unit', 'host-keys')]
        self.assertEqual((tuple(names), found['status']), (HEALTHY, 'ok'), found)
        shown = self.lab.run(*self.program, status=0)
        self.assertEqual(shown.stderr, '')
        lines = shown.stdout.splitlines()
        self.assertEqual(len(lines), len(found['checks']))
        for line, check in zip(lines, found['checks']):
            self.assertTrue(line.startswith('ok    ' + (check['subject'] and check['subject'] + ': ')), line)

    def test_it_changes_no_file_leaves_nothing_in_the_tpm_and_spends_no_try(self):
        for known in True, False:
            with self.subTest(known=known):
                state = self.lab.path('state', 'ssh-tpm')
                if not known:
                    shutil.rmtree(state)
                self.agent.settle()
                before, persistent = self.files(), self.persistent()
                self.probe.take(REFUSED)
                self.assertEqual(self.doctor()['status'], 'ok')
                commands = set(self.probe.take(REFUSED))
                self.assertEqual((self.files(), self.persistent()), (before, persistent))
                self.assertEqual(self.tpm.wrong_tries(), 0)
                self.tpm.assert_no_handles()
                self.assertLessEqual(commands, {
                    'TPM2_GetCapability', 'TPM2_TestParms', 'TPM2_ReadPublic', 'TPM2_CreatePrimary', 'TPM2_Sign',
                    'TPM2_Load', 'TPM2_FlushContext'})

    def test_the_known_storage_key_and_the_persistent_one_are_told(self):
        def text():
            return next(check['text'] for check in self.doctor()['checks'] if check['check'] == 'tpm-storage-key')
        self.assertEqual(text(), 'the storage key owner-ecc is made again for each use; its Name is known')
        self.tpm.make_persistent()
        self.assertEqual(text(), 'the storage key owner-ecc is persistent at 0x81000001; its Name is known')
        shutil.rmtree(self.lab.path('state', 'ssh-tpm'))
        self.assertIn('is not known yet', text())


@needs_root
class Others(DoctorLab):
    """Root's machine may serve host keys alone; a user has keys and an agent."""

    def test_a_home_without_keys_and_without_an_agent(self):
        self.assertEqual(self.trouble(), {})
        self.tpm.open_to_all()
        for folder in 'home', 'run', 'state', 'tools':
            os.chmod(self.lab.path(folder), 0o777)
        os.chown(self.ssh, NOBODY, NOBODY)
        self.program = (os.path.join(self.lab.program_for_others(), 'ssh-tpm'), 'doctor')
        trouble = self.trouble(env={'SSH_TPM_TCTI': self.tpm.tcti, **NO_LEAK_CHECK}, **AS_NOBODY)
        self.assertEqual({name: found['status'] for name, found in trouble.items()},
                         {'agent': 'fail', 'key-file': 'warn'})
        self.assertIn('systemctl --user enable --now ssh-tpm-agent.socket', trouble['agent']['hint'])
        self.assertIn('ssh-tpm keygen', trouble['key-file']['hint'])


class Emulator(DoctorLab):
    def test_the_emulator_is_told_as_such(self):
        self.lab.keygen('-q', '-N', '', '--swtpm', '-f', os.path.join(self.ssh, 'id_ecdsa'))
        checks = {check['check']: check for check in self.doctor('--swtpm')['checks']}
        self.assertIn('an emulator, which protects nothing', checks['tpm-device']['text'])
        self.assertIn('persistent at 0x81000001; its Name is known', checks['tpm-storage-key']['text'])
        self.assertEqual(checks['key-loads']['text'], 'the TPM loads it')


class Tpm(DoctorLab):
    def setUp(self):
        super().setUp()
        self.fill()

    def test_without_a_tpm_it_names_the_firmware_setup_and_the_emulator(self):
        device = self.lab.path('no-such-device')
        found = self.trouble('--tcti', 'device:' + device)
        self.assertEqual(list(found), ['tpm-device'])
        self.assertEqual((found['tpm-device']['subject'], found['tpm-device']['text']), (device, 'no TPM'))
        self.assertIn('BIOS/UEFI', found['tpm-device']['hint'])
        self.assertIn('--swtpm', found['tpm-device']['hint'])

    def test_an_emulator_that_was_not_used_is_not_started(self):
        found = self.trouble('--swtpm')
        self.assertEqual(list(found), ['tpm-device'])
        self.assertFalse(os.path.exists(self.lab.path('state', 'ssh-tpm', 'swtpm')))

    def test_a_tpm_that_takes_too_long_ends_its_section_and_no_other(self):
        self.lab.limit('doctor', 5, 12)
        with self.probe.failing('* slow 4000'):
            found = self.trouble()
        self.assertEqual(list(found), ['unfinished'])
        self.assertEqual(found['unfinished']['subject'], 'TPM')
        self.assertIn('did not end within', found['unfinished']['text'])
        # A copy that is killed stays until this process collects it.
        known = {process.pid for process in self.lab.processes}
        wait_until(lambda: not any(is_running(pid) for pid in children() if pid not in known), 'the copies to end')

    def test_a_tpm_that_never_answers_is_asked_once_and_the_command_is_named(self):
        self.lab.limit('tpm_command', 2, 10)
        with self.probe.failing('TPM2_TestParms hang'):
            found = self.trouble()
        self.assertEqual(list(found), ['tpm-algorithms'])
        self.assertIn('the TPM did not answer', found['tpm-algorithms']['text'])
        self.assertIn('TPM2_TestParms', found['tpm-algorithms']['text'])

    def test_a_tpm_that_cannot_be_opened_is_one_line(self):
        self.lab.limit('tpm_command', 2, 10)
        self.assert_tcti('no TPM answers at', 'swtpm:path=' + self.lab.path('no-such-socket'))
        with self.probe.failing('* hang'):
            self.assert_tcti('the TPM did not answer', self.probe.tcti)

    def assert_tcti(self, text, tcti):
        found = self.trouble('--tcti', tcti)
        self.assertEqual(list(found), ['tpm-chip'])
        self.assertIn(text, found['tpm-chip']['text'])

    def test_one_command_that_fails_leaves_the_others_to_be_tried(self):
        with self.probe.failing('TPM2_Sign answer 0x101'):
            self.assert_only('tpm-signature', 'fail', '')

    def test_a_signature_that_is_wrong_is_found(self):
        with self.probe.failing('TPM2_Sign corrupt'):
            self.assert_only('tpm-signature', 'fail', 'does not verify')

    def test_a_lockout_and_the_try_before_it(self):
        def limit(tries):
            self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', str(tries), '-t', '600', '-l', '600')
        limit(3)
        for _ in range(2):
            self.lab.keygen('-p', '-f', self.guarded.tpm, '-P', 'wrong', '-N', 'new', status=1)
        self.assert_only('tpm-lockout', 'warn', '2 of 3 wrong PINs', 'the next wrong PIN locks the TPM')
        self.assertEqual(self.tpm.wrong_tries(), 2)
        limit(2)
        self.assert_only('tpm-lockout', 'fail', 'the TPM is locked', 'tpm2_dictionarylockout --clear-lockout')

    def test_a_storage_key_that_is_not_the_known_one(self):
        self.tpm.tool('tpm2_clear', '-c', 'l')
        found = self.trouble()
        self.assertEqual(list(found), ['tpm-storage-key', 'key-loads'])
        self.assertIn('is not the known one', found['tpm-storage-key']['text'])

    def test_a_key_of_another_tpm(self):
        other = Swtpm(self.lab, 'tpm-other')
        foreign = self.lab.make_key('foreign', folder=self.ssh, pin=PIN, env={'SSH_TPM_TCTI': other.tcti})
        self.assert_only('key-loads', 'warn', 'another TPM', subject=foreign.tpm)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_a_parent_whose_password_the_tpm_would_count_is_not_used(self):
        context = self.lab.path('parent.ctx')
        self.tpm.tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a',
                      STORAGE_KEY.replace('|noda', ''), '-c', context)
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', context, '0x81000005')
        self.tpm.tool('tpm2_flushcontext', '-t')
        self.lab.keygen('-q', '-N', '', '-f', os.path.join(self.ssh, 'child'), '--parent-handle', '0x81000005')
        self.probe.take(REFUSED)
        checks = [check for check in self.doctor()['checks'] if check['subject'].endswith('/child.tpm')]
        self.assertIn('not tried', next(check['text'] for check in checks if check['check'] == 'key-loads'))
        self.assertEqual(self.probe.take(REFUSED).count('TPM2_Load'), 2)  # the other two keys


@needs_mounts(DEVICES)
class Device(DoctorLab):
    """With a /dev and a /sys/class of its own; nothing answers at the devices there."""

    def device(self, script, *options, user=None):
        """What is found at the device after a script has changed it; for root, unless a user is named."""
        run = f'setpriv --reuid {user} --regid {user} --clear-groups' if user else ''
        arguments = ' '.join(('--json', *options))
        copy = self.lab.program_for_others()
        result = self.lab.run(*WITH_MOUNTS, f'{DEVICES} && {script} && exec {run} {copy}/ssh-tpm doctor {arguments}',
                              env={'SSH_TPM_TCTI': None})
        checks = read_findings(result)['checks']
        return next(check for check in checks
                    if check['status'] != 'ok' and check['check'] in ('tpm-device', 'tpm-permission'))

    def test_a_tpm_of_version_1_2(self):
        found = self.device('mkdir -p /sys/class/tpm/tpm0 && echo 1 >/sys/class/tpm/tpm0/tpm_version_major')
        self.assertEqual((found['check'], found['status']), ('tpm-device', 'fail'))
        self.assertIn('TPM 1.2', found['text'])

    def test_no_resource_manager(self):
        found = self.device('mkdir -p /sys/class/tpm/tpm0 && echo 2 >/sys/class/tpm/tpm0/tpm_version_major')
        self.assertIn('no resource manager', found['text'])
        self.assertIn('--tcti device:/dev/tpm0', found['hint'])

    def test_a_device_that_one_program_at_a_time_can_use(self):
        found = self.device('mkdir -p /sys/class/tpm/tpm0/device && ln -s /x/tpm_crb /sys/class/tpm/tpm0/device/driver',
                            '--tcti', 'device:/dev/tpm0')
        self.assertEqual((found['check'], found['status']), ('tpm-device', 'warn'))
        self.assertIn('driver tpm_crb, without the kernel\'s resource manager', found['text'])
        self.assertIn('/dev/tpmrm0', found['hint'])

    def test_no_device_file_of_a_tpm_that_the_kernel_has(self):
        found = self.device('rm /dev/tpm0 && mkdir -p /sys/class/tpm/tpm0')
        self.assertIn('no device file', found['text'])
        self.assertIn('udevadm trigger', found['hint'])

    @needs_mounts(DEVICES + ' && chown 0:1 /dev/tpm0 && setpriv --reuid 1 --regid 1 --clear-groups true')
    def test_a_user_who_may_not_use_the_device(self):
        make = 'mknod -m 660 /dev/tpmrm0 c 1 3 && chown 0:{} /dev/tpmrm0'
        found = self.device(make.format(12345), user=65534)
        self.assertEqual((found['check'], found['status']), ('tpm-permission', 'fail'))
        self.assertIn('not in the group 12345', found['text'])
        self.assertIn('sudo usermod -aG 12345 "$USER"', found['hint'])
        found = self.device(make.format(0), user=65534)
        self.assertIn('none that users can join', found['text'])
        groups = self.lab.write('group', 'root:x:0:\nchips:x:12345:nobody\n')
        found = self.device(make.format(12345) + f' && mount --bind {groups} /etc/group', user=65534)
        self.assertIn('in the group chips, but this login session is older', found['text'])
        self.assertIn('newgrp chips', found['hint'])


if __name__ == '__main__':
    unittest.main()
