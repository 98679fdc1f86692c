#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-doctor finds what is wrong, names a command for it, changes nothing, and ends whatever hangs."""

import glob
import json
import os
import re
import shutil
import time
import unittest

from agent import Agent, certify
from applet_options import SOURCE
from hostkey import HostKey
from lab import WITH_MOUNTS, children, needs_mounts, read, slow, wait_until
from protocol import (EXTENSION_FAILURE, EXTENSION_RESPONSE, FAILURE, extension, lock, session_bind, string,
                      take_string)
from stock import Probed
from swtpm import STORAGE_KEY, Swtpm

STATUS = b'status@ssh-tpm'
PIN = '1234 is a PIN'
# A self-test that comes first (TPM_RC_RETRY), and RSA 4096, which swtpm lacks (TPM_RC_VALUE).
REFUSED = ('TPM2_Sign 0x00000922', 'TPM2_TestParms 0x000001c4')
CHECK = re.compile(r'"([a-z0-9-]+)"')
# What a person has who needs no help.
HEALTHY = ('version', 'openssh', 'system', 'tpm-device', 'tpm-chip', 'tpm-algorithms', 'tpm-hash', 'tpm-lockout',
           'tpm-storage-key', 'tpm-signature', 'key-loads', 'key-loads', 'agent', 'ssh-agent-used', 'agent-keys',
           'agent-askpass', 'agent-memory', 'ssh-folder', 'key-file', 'key-file')
DEVICES = ('mount -t tmpfs tmpfs /sys/class && mount -t tmpfs -o dev tmpfs /dev && mknod -m 666 /dev/null c 1 3 && '
           'mknod -m 600 /dev/tpm0 c 1 3')


def is_running(pid):
    try:
        return read(f'/proc/{pid}/stat').rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


class DoctorLab(Probed):
    """A home with two keys, whose agent listens on the usual socket; no systemd, unless a test has one."""

    def setUp(self):
        super().setUp()
        self.program = f'{self.lab.bin}/ssh-tpm-doctor'
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
        result = self.lab.run(self.program, '--json', *options, **more)
        self.assertEqual(result.stderr, '')
        found = json.loads(result.stdout)
        self.assertEqual(set(found), {'version', 'status', 'checks'})
        self.assertEqual(found['version'], 1)
        self.assertEqual(result.returncode, {'ok': 0, 'warn': 3, 'fail': 1}[found['status']])
        for check in found['checks']:
            self.assertEqual(set(check), {'check', 'subject', 'status', 'text', 'hint'})
            self.assertIn(check['check'], documented_checks())
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


def documented_checks():
    """The names in the manual's list."""
    page = read(os.path.join(SOURCE, 'data', 'man', 'ssh-tpm-doctor.1'))
    section = re.search(r'^\.Ss Checks\n(.*?)^\.S[sh] ', page, re.S | re.M).group(1)
    return re.findall(r'(?m)^\.It Cm ([a-z0-9-]+)$', section)


class Healthy(DoctorLab):
    def setUp(self):
        super().setUp()
        self.fill()

    def persistent(self):
        return self.tpm.tool('tpm2_getcap', 'handles-persistent')

    def test_all_is_well_and_each_check_is_a_line(self):
        found = self.doctor()
        names = [check['check'] for check in found['checks'] if check['check'] not in ('unit', 'host-keys')]
        self.assertEqual((tuple(names), found['status']), (HEALTHY, 'ok'), found)
        shown = self.lab.run(self.program, status=0)
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
                # The probe writes down each command.
                before = {path: content for path, content in self.tpm.everything_else().items() if 'probe' not in path}
                persistent = self.persistent()
                self.probe.take(REFUSED)
                self.assertEqual(self.doctor()['status'], 'ok')
                commands = set(self.probe.take(REFUSED))
                after = {path: content for path, content in self.tpm.everything_else().items() if 'probe' not in path}
                self.assertEqual(after, before)
                self.assertEqual(self.persistent(), persistent)
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

    def test_a_tpm_that_never_answers_ends_its_section_and_no_other(self):
        self.lab.limit('doctor', 2, 12)
        with self.probe.failing('* hang'):
            found = self.trouble()
        self.assertEqual(list(found), ['unfinished'])
        self.assertEqual(found['unfinished']['subject'], 'TPM')
        self.assertIn('did not end within', found['unfinished']['text'])
        # A copy that is killed stays until this process collects it.
        known = {process.pid for process in self.lab.processes}
        wait_until(lambda: not any(is_running(pid) for pid in children() if pid not in known), 'the copies to end')

    def test_a_command_without_an_answer_is_named(self):
        self.lab.limit('tpm_command', 0.5, 10)
        with self.probe.failing('TPM2_TestParms hang'):
            found = self.trouble()
        self.assertEqual(list(found), ['tpm-algorithms'])
        self.assertIn('the TPM did not answer', found['tpm-algorithms']['text'])
        self.assertIn('TPM2_TestParms', found['tpm-algorithms']['text'])

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
        self.assertIn('is not the one that is known', found['tpm-storage-key']['text'])

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
        checks = json.loads(result.stdout)['checks']
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


class Agents(DoctorLab):
    def setUp(self):
        super().setUp()
        self.fill()

    def test_an_agent_that_is_stopped_does_not_answer(self):
        self.lab.limit('doctor_agent', 0.3, 2)
        with self.agent.stopped():
            found = self.trouble()
        self.assertEqual(list(found), ['agent'])
        self.assertEqual(found['agent']['status'], 'fail')
        self.assertIn('the agent does not answer', found['agent']['text'])
        self.assertIn(f'kill {self.agent.process.pid}', found['agent']['hint'])

    def test_a_socket_without_an_agent(self):
        self.lab.env['SSH_AUTH_SOCK'] = self.lab.path('nobody.sock')
        found = self.trouble()
        self.assertEqual(list(found), ['agent', 'ssh-agent-used'])
        self.assertEqual((found['agent']['subject'], found['agent']['text']),
                         (self.lab.path('nobody.sock'), 'no agent listens there'))

    def test_another_agent_is_named_and_is_the_one_that_ssh_asks(self):
        other = self.lab.path('other.sock')
        process = self.lab.start('ssh-agent', '-D', '-a', other)
        wait_until(lambda: os.path.exists(other), 'ssh-agent')
        checks = {(check['check'], check['subject']): check
                  for check in self.doctor(env={'SSH_AUTH_SOCK': other})['checks']}
        self.assertEqual(checks['agent', other]['text'], f'another agent: ssh-agent (pid {process.pid})')
        used = checks['ssh-agent-used', self.agent.socket]
        self.assertEqual(used['status'], 'warn')
        self.assertIn(other, used['text'])
        self.assertIn(f'export SSH_AUTH_SOCK={self.agent.socket}', used['hint'])

    def test_identity_agent_decides_for_ssh(self):
        self.tool('ssh', f'case $1 in -V) echo OpenSSH_0 >&2 ;; *) echo "user x"; echo "identityagent $ANSWER" ;; esac')
        for answer, text in (('none', 'ssh asks no agent'), ('/elsewhere', 'that at /elsewhere')):
            self.lab.env['ANSWER'] = answer
            self.assert_only('ssh-agent-used', 'warn', text)
        for answer in self.agent.socket, '$SSH_AUTH_SOCK', 'SSH_AUTH_SOCK', '$XYZ':
            self.lab.env.update({'ANSWER': answer, 'XYZ': self.agent.socket})
            self.assertEqual(self.trouble(), {})

    def test_a_locked_agent(self):
        with self.agent.connect() as connection:
            connection.request(lock(b'a password'))
        self.assert_only('agent-keys', 'warn', 'locked', 'ssh-add -X')

    def test_an_agent_without_keys(self):
        self.agent.ssh_add('-D', status=0)
        self.assert_only('agent-keys', 'warn', 'no keys', 'ssh-tpm keygen')

    def test_an_askpass_program_that_is_missing_and_nobody_to_ask(self):
        for env, text in (({'SSH_ASKPASS': '/no/such', 'SSH_ASKPASS_REQUIRE': 'force'}, '/no/such, which cannot be run'),
                          ({'SSH_ASKPASS_REQUIRE': 'never'}, 'can ask nobody')):
            agent = Agent(self.lab, name='asking', key_dir=self.ssh, env=env)
            self.assert_only('agent-askpass', 'warn', text, env={'SSH_TPM_AUTH_SOCK': agent.socket,
                                                                 'SSH_AUTH_SOCK': agent.socket})
            agent.stop()

    def test_a_memory_limit_of_nothing(self):
        program = self.lab.write('limited', f'#!/bin/sh\nulimit -l 0\nexec setpriv --bounding-set -all --inh-caps -all '
                                 f'{self.lab.bin}/ssh-tpm-agent "$@"\n', mode=0o755)
        agent = Agent(self.lab, name='limited-agent', key_dir=self.ssh, program=program,
                      env={'SSH_ASKPASS': f'{self.tools}/askpass', 'SSH_ASKPASS_REQUIRE': 'force'})
        self.assert_only('agent-memory', 'warn', 'cannot be locked', 'ulimit -l',
                         env={'SSH_TPM_AUTH_SOCK': agent.socket, 'SSH_AUTH_SOCK': agent.socket})

    def status(self, reply):
        self.assertEqual(reply[0], EXTENSION_RESPONSE)
        name, rest = take_string(reply[1:])
        self.assertEqual(name, STATUS)
        found = {}
        while rest:
            name, rest = take_string(rest)
            value, rest = take_string(rest)
            self.assertNotIn(name, found)
            found[name.decode()] = value.decode()
        return found

    def test_the_status_is_numbers_and_words_and_no_more_than_is_documented(self):
        with self.agent.connect() as connection:
            found = self.status(connection.request(extension(STATUS)))
            self.assertEqual(found['pid'], str(self.agent.process.pid))
            self.assertEqual([found[name] for name in ('keys', 'keys-with-pin', 'pins', 'certificates', 'locked')],
                             ['2', '1', '0', '0', 'no'])
            self.assertEqual(connection.request(extension(STATUS, b'\0')), bytes([FAILURE]))
            connection.request(lock(b'a password'))
            locked = self.status(connection.request(extension(STATUS)))
            self.assertEqual(locked, {name: value for name, value in {**found, 'locked': 'yes'}.items()
                                      if name not in ('keys', 'keys-with-pin', 'pins', 'certificates')})
        page = read(os.path.join(SOURCE, 'docs', 'agent.md'))
        for name in found:
            self.assertIn(f'`{name}`', page)

    def test_a_forwarded_connection_gets_no_status(self):
        host = HostKey(self.lab)
        for bind in session_bind(host, b'a session'), session_bind(host, b'a session', signature=string(b'wrong')):
            with self.agent.connect() as connection:
                connection.request(bind)
                self.assertEqual(connection.request(extension(STATUS)), bytes([EXTENSION_FAILURE]))


class Files(DoctorLab):
    def setUp(self):
        super().setUp()
        self.fill()

    def test_a_folder_that_others_may_write_to(self):
        os.chmod(self.ssh, 0o777)
        self.assert_only('ssh-folder', 'fail', 'other users may write', f"chmod go-w '{self.ssh}'", self.ssh)

    def test_a_key_file_that_others_may_read(self):
        os.chmod(self.guarded.tpm, 0o640)
        self.assert_only('key-file', 'warn', 'other users may use this file', 'chmod 600', self.guarded.tpm)
        os.chmod(self.guarded.tpm, 0o600)
        os.chmod(self.key.tpm, 0o644)
        self.assert_only('key-file', 'warn', 'has no PIN', 'chmod 600', self.key.tpm)

    def test_a_public_key_that_is_missing_or_of_another_key_and_the_command_that_writes_it(self):
        right = read(self.key.pub)
        os.unlink(self.key.pub)
        self.assert_only('public-key', 'warn', 'No such file', 'ssh-tpm keygen -y', self.key.pub)
        shutil.copy(self.guarded.pub, self.key.pub)
        trouble = self.trouble()
        self.assertEqual((list(trouble), trouble['public-key']['status']), (['public-key'], 'fail'))
        self.lab.run('sh', '-c', trouble['public-key']['hint'].removesuffix(' writes it'), status=0)
        self.assertEqual(read(self.key.pub), right)
        self.assertEqual(self.trouble(), {})

    def test_a_file_that_is_no_key(self):
        broken = self.lab.write('home/.ssh/broken.tpm', 'no key', mode=0o600)
        self.assert_only('key-file', 'fail', '', subject=broken)

    def test_certificates(self):
        certify(self.lab, self.key, '-n', 'root', '-V', '-2d:-1d')
        path = self.key.path + '-cert.pub'
        self.assert_only('certificate', 'fail', 'has expired', 'ssh-keygen -s CA', path)
        certify(self.lab, self.key, '-n', 'root', '-V', '-2d:+3d')
        self.assert_only('certificate', 'warn', 'expires in 2 days', 'ssh-keygen -s CA', path)
        certify(self.lab, self.key, '-n', 'root', '-V', '-2d:+30d')
        self.assertEqual(self.trouble(), {})
        shutil.move(path, self.guarded.path + '-cert.pub')
        self.assert_only('certificate', 'fail', 'another key', subject=self.guarded.path + '-cert.pub')


class Host(DoctorLab):
    SHOW = '''case "$*" in
*--user*) printf 'Result=success\\nId=ssh-tpm-agent.socket\\nLoadState=loaded\\nActiveState=%s\\nUnitFileState=enabled\\n\\n' "$SOCKET"
    printf 'Result=success\\nId=ssh-tpm-agent.service\\nLoadState=loaded\\nActiveState=%s\\nUnitFileState=static\\n' "$SERVICE" ;;
*) printf 'Id=ssh-tpm-hostkeys.socket\\nLoadState=not-found\\nActiveState=inactive\\nUnitFileState=\\n' ;;
esac'''

    def setUp(self):
        super().setUp()
        self.fill()
        self.tool('systemctl', self.SHOW)
        self.lab.env.update({'SOCKET': 'active', 'SERVICE': 'inactive'})

    def test_units_that_are_well_or_not_installed(self):
        units = [(check['subject'], check['status'], check['text'])
                 for check in self.doctor()['checks'] if check['check'] == 'unit']
        self.assertEqual(units, [('ssh-tpm-agent.socket', 'ok', 'enabled, active'),
                                 ('ssh-tpm-agent.service', 'ok', 'static, inactive')])

    def test_a_unit_that_has_failed_and_a_socket_that_is_not_started(self):
        self.lab.env['SERVICE'] = 'failed'
        self.assert_only('unit', 'fail', 'static, failed', 'journalctl --user -b -u ssh-tpm-agent.service')
        self.lab.env.update({'SERVICE': 'inactive', 'SOCKET': 'inactive'})
        self.assert_only('unit', 'fail', 'enabled, inactive', 'systemctl --user start ssh-tpm-agent.socket')

    def test_a_systemctl_that_hangs_or_says_too_much_is_given_up(self):
        self.lab.limit('doctor_program', 0.5, 3)
        for script in 'exec sleep 1000', 'exec yes':
            self.tool('systemctl', script)
            checks = [check['check'] for check in self.doctor()['checks']]
            self.assertNotIn('unit', checks)
            self.assertNotIn('unfinished', checks)

    @slow
    def test_it_ends_within_15_seconds_whatever_hangs(self):
        for name in 'systemctl', 'ssh':
            self.tool(name, 'exec sleep 1000')
        begin = time.monotonic()
        with self.probe.failing('* hang'), self.agent.stopped():
            found = self.doctor()
        self.assertLess(time.monotonic() - begin, 15)
        self.assertEqual(found['status'], 'fail')


class Manual(unittest.TestCase):
    def test_the_manual_has_each_name_of_a_check_once_and_no_other(self):
        # The name follows the verdict, which may be chosen by a condition.
        used = set()
        for path in glob.glob(os.path.join(SOURCE, 'applets', 'doctor*.cpp')):
            text = read(path)
            used |= set(re.findall(r'\{(?:cli::)?Verdict::\w+,\s*"([a-z0-9-]+)"', text))
            used |= set(re.findall(r'\? (?:cli::)?Verdict::\w+ : (?:cli::)?Verdict::\w+,\s*"([a-z0-9-]+)"', text))
            used |= set(re.findall(r'add_error\([^"]*"([a-z0-9-]+)"', text))
        documented = documented_checks()
        self.assertEqual(len(documented), len(set(documented)))
        self.assertEqual(set(documented), used)


if __name__ == '__main__':
    unittest.main()
