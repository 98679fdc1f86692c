#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-doctor finds what is wrong with agents, key files and units, and its manual has each of its checks."""

import glob
import os
import re
import shutil
import socket
import unittest

from agent import Agent, certify
from applet_options import SOURCE
from doctor_lab import DoctorLab
from findings import documented_checks
from hostkey import HostKey
from lab import needs_root, read, slow, wait_until
from protocol import (EXTENSION_FAILURE, EXTENSION_RESPONSE, FAILURE, extension, lock, session_bind, string,
                      take_string)

STATUS = b'status@ssh-tpm'


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
        self.assertEqual(found['agent']['hint'], f'see the process that listens: ps -fp {self.agent.process.pid}')

    def test_an_agent_that_accepts_no_connections(self):
        self.lab.limit('doctor_agent', 0.3, 2)
        path = self.lab.path('a full.sock')
        with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as waiting:
            full.bind(path)
            full.listen(0)
            waiting.connect(path)
            self.lab.env['SSH_AUTH_SOCK'] = path
            found = self.trouble()
        self.assertEqual((found['agent']['subject'], found['agent']['text'], found['agent']['hint']),
                         (path, 'the agent does not answer', f"see the process that listens: ss -xlp src '{path}'"))

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
        found = self.doctor(env={'SSH_AUTH_SOCK': other})['checks']
        checks = {(check['check'], check['subject']): check for check in found}
        self.assertEqual(checks['agent', other]['text'], f'another agent: ssh-agent (pid {process.pid})')
        used = checks['ssh-agent-used', self.agent.socket]
        self.assertEqual(used['status'], 'warn')
        self.assertIn(other, used['text'])
        self.assertIn(f'export SSH_AUTH_SOCK={self.agent.socket}', used['hint'])

    def test_an_agent_that_went_to_the_background_is_not_called_a_process_that_has_ended(self):
        other = self.lab.path('other.sock')
        self.lab.run('ssh-agent', '-a', other, status=0)  # the parent made the socket listen, and has ended
        checks = {check['subject']: check for check in self.doctor(env={'SSH_AUTH_SOCK': other})['checks']
                  if check['check'] == 'agent'}
        self.assertEqual(checks[other]['text'], 'another agent, such as ssh-agent')

    def test_a_socket_that_others_may_connect_to(self):
        os.chmod(self.agent.socket, 0o666)
        self.assert_only('agent-socket', 'warn', 'other users may connect', 'chmod 600 ' + self.agent.socket,
                         self.agent.socket)
        self.lab.run('sh', '-c', self.trouble()['agent-socket']['hint'], status=0)
        self.assertEqual(self.trouble(), {})

    def test_a_configuration_of_ssh_that_hangs_or_is_wrong_is_not_taken_for_checked(self):
        self.lab.limit('doctor_program', 0.5, 3)
        for script in 'exec sleep 1000', 'exit 255':
            self.tool('ssh', f'case $1 in -V) echo OpenSSH_0 >&2 ;; *) {script} ;; esac')
            self.assert_only('ssh-agent-used', 'warn', 'not checked: ssh -G localhost', 'ssh -vG')

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
        missing = {'SSH_ASKPASS': '/no/such', 'SSH_ASKPASS_REQUIRE': 'force'}
        for env, text in ((missing, '/no/such, which cannot be run'),
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
        self.assert_only('ssh-folder', 'fail', 'other users may write', f'chmod go-w {self.ssh}', self.ssh)

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

    def test_links_that_lead_nowhere_and_the_command_that_removes_them(self):
        certify(self.lab, self.key, '-n', 'root')
        for path, check, left in ((f"{self.ssh}/it's a link.tpm", 'key-file', []),
                                  (self.key.pub, 'public-key', ['public-key']),
                                  (self.key.path + '-cert.pub', 'certificate', [])):
            for target in 'no-such-file', os.path.basename(path), 'work.tpm/below-a-file':
                with self.subTest(path, target=target):
                    aside = self.lab.path('aside')
                    if os.path.exists(path):
                        os.rename(path, aside)
                    os.symlink(target, path)
                    self.assert_only(check, 'fail', 'a dangling symbolic link', subject=path)
                    self.lab.run('sh', '-c', self.trouble()[check]['hint'].partition('remove it: ')[2], status=0)
                    self.assertFalse(os.path.lexists(path))
                    self.assertEqual(list(self.trouble()), left)
                    if os.path.exists(aside):
                        os.rename(aside, path)

    def test_a_folder_that_is_a_link_that_leads_nowhere(self):
        os.rename(self.ssh, self.lab.path('aside'))
        os.symlink('no-such-folder', self.ssh)
        self.assertEqual(self.trouble()['ssh-folder']['text'], 'a dangling symbolic link')

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
    SHOW = '''show() { printf 'Result=success\\nId=%s\\nLoadState=%s\\nActiveState=%s\\nUnitFileState=%s\\n' "$@"
         echo "SubState=$STATE"; }
case "$*" in
*--user*) show ssh-tpm-agent.socket loaded "$SOCKET" enabled; echo
          show ssh-tpm-agent.service loaded "$SERVICE" static ;;
*) show ssh-tpm-hostkeys.socket not-found inactive ''; echo; show ssh-tpm-attest.service loaded "$ATTEST" static ;;
esac'''

    def setUp(self):
        super().setUp()
        self.fill()
        self.tool('systemctl', self.SHOW)
        self.lab.env.update({'SOCKET': 'active', 'SERVICE': 'inactive', 'ATTEST': 'inactive', 'STATE': ''})

    def test_units_that_are_well_or_not_installed(self):
        units = [(check['subject'], check['status'], check['text'])
                 for check in self.doctor()['checks'] if check['check'] == 'unit']
        self.assertEqual(units, [('ssh-tpm-attest.service', 'ok', 'static, inactive'),
                                 ('ssh-tpm-agent.socket', 'ok', 'enabled, active'),
                                 ('ssh-tpm-agent.service', 'ok', 'static, inactive')])

    def test_a_unit_that_has_failed_and_a_socket_that_is_not_started(self):
        self.lab.env['SERVICE'] = 'failed'
        self.assert_only('unit', 'fail', 'static, failed', 'journalctl --user -b -u ssh-tpm-agent.service')
        self.lab.env.update({'SERVICE': 'inactive', 'ATTEST': 'failed'})
        self.assert_only('unit', 'fail', 'static, failed', 'journalctl -b -u ssh-tpm-attest.service')
        self.lab.env.update({'SERVICE': 'activating', 'ATTEST': 'inactive', 'STATE': 'auto-restart'})
        self.assertEqual([check['text'] for check in self.doctor()['checks'] if check['status'] == 'fail'],
                         ['static, inactive (success)', 'enabled, active (success)', 'static, activating (success)'])
        self.lab.env.update({'SERVICE': 'inactive', 'SOCKET': 'inactive', 'STATE': ''})
        self.assert_only('unit', 'fail', 'enabled, inactive', 'systemctl --user start ssh-tpm-agent.socket')

    def test_a_systemctl_that_hangs_or_says_too_much_is_given_up(self):
        self.lab.limit('doctor_program', 0.5, 3)
        for script in 'exec sleep 1000', 'exec yes':
            self.tool('systemctl', script)
            checks = [check['check'] for check in self.doctor()['checks']]
            self.assertNotIn('unit', checks)
            self.assertNotIn('unfinished', checks)

    @needs_root
    def test_host_keys_are_checked_where_sshd_names_a_socket_of_the_units(self):
        socket = '/run/ssh-tpm-agent/no-such.sock'
        for name, is_checked in (('none', False), ('/run/other/agent.sock', False), (socket, True)):
            self.tool('sshd', f'echo "hostkeyagent {name}"')
            checks = self.doctor()['checks']
            self.assertEqual('host-key-agent' in (check['check'] for check in checks), is_checked)
        [found] = [check for check in checks if check['subject'] == socket]
        self.assertEqual((found['check'], found['status']), ('agent', 'fail'))

    @slow
    def test_only_a_slow_tpm_is_not_waited_for_and_what_else_hangs_is_reported(self):
        """The limits of what a section waits for, one after the other, are shorter than that of all sections."""
        for name in 'systemctl', 'ssh', 'sshd':
            self.tool(name, 'exec sleep 1000')
        with self.probe.failing('* slow 4000'), self.agent.stopped():
            checks = self.doctor()['checks']
        self.assertEqual([check['subject'] for check in checks if check['check'] == 'unfinished'], ['TPM'])
        self.assertLessEqual({'openssh', 'agent'}, {check['check'] for check in checks if check['status'] == 'fail'})


class Manual(unittest.TestCase):
    def test_the_manual_has_each_name_of_a_check_once_and_no_other(self):
        # The name follows the verdict, which may be chosen by a condition.
        used = set()
        for path in glob.glob(os.path.join(SOURCE, 'applets', 'doctor*.cpp')):
            text = read(path)
            used |= set(re.findall(r'(?:\{|: )(?:cli::)?Verdict::\w+,\s*"([a-z0-9-]+)"', text))
            used |= set(re.findall(r'\.check = "([a-z0-9-]+)"', text))
            used |= set(re.findall(r'finding_of_error\([^"]*"([a-z0-9-]+)"', text))
        documented = documented_checks()
        self.assertEqual(len(documented), len(set(documented)))
        self.assertEqual(set(documented), used)


if __name__ == '__main__':
    unittest.main()
