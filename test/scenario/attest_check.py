#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest check, ssh and serve: a host in a TPM tells which boot it is in, to OpenSSH's own client."""

import base64
import contextlib
import hashlib
import json
import os
import re
import signal
import struct
import unittest

from attested import USUAL, TpmHost, User, subsystem
from event_logs import Event, event_log
from lab import Scenario, read, wait_until
from sshd import make_host_key
from swtpm import Swtpm
from terminal import Terminal, is_running


def without_comment(key):
    return ' '.join(key.line.split()[:2])


class Checks(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm, self.user = Swtpm(self.lab), User(self.lab)

    def serve(self, *options, name='web1', alias=True, more='', **changes):
        self.host = TpmHost(self.lab, self.tpm, *options, name=f'host{len(self.user.hosts)}',
                            authorized=[self.user.key.pub], **changes)
        self.user.knows(name, self.host.server, *map(without_comment, self.host.keys.values()), alias=alias, more=more)

    def extend(self, number, word='x'):
        self.tpm.tool('tpm2_pcrextend', f'{number}:sha256={hashlib.sha256(word.encode()).hexdigest()}')

    def assert_status(self, result, status, *words):
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        for word in words:
            self.assertRegex(result.stderr, word)
        return result


class Check(Checks):
    def test_a_boot_is_accepted_once_and_then_compared(self):
        self.serve()
        self.assert_status(self.user.check(), 1, 'no terminal to ask at')
        self.assertEqual(self.user.recorded(), [])
        status, shown = self.user.talk(answers=[('(yes/no)? ', 'no')])
        self.assertEqual((status, self.user.recorded()), (1, []), shown)
        status, shown = self.user.talk(answers=[('(yes/no)? ', 'yes')])
        self.assertEqual(status, 0, shown)
        ak, = re.findall('attestation key ([0-9a-f]{68})', shown)
        for words in ('nothing but this connection', self.lab.fingerprint(self.host.keys['ecdsa']), 'Secure Boot'):
            self.assertIn(words, shown)
        record = json.loads(self.user.recorded()[0])
        self.assertEqual((record['host'], record['ak'], len(record['values'])), ('web1', ak, len(USUAL)))
        said = self.assert_status(self.user.check(), 0, 'the boot is an accepted one')
        self.assertEqual(said.stdout, '')

    def test_a_pcr_that_changed_is_named_and_accepted_on_demand(self):
        self.serve()
        self.assert_status(self.user.check('--yes'), 0)
        before = self.user.recorded()
        self.extend(4)
        self.extend(14)  # which is not asked for
        said = self.assert_status(self.user.check(), 3, r'PCR 4 differs \(boot loader\)')
        self.assertEqual(re.findall('PCR [0-9]+', said.stderr), ['PCR 4'])
        self.assert_status(self.user.check('--yes'), 3)
        for others in '0-8', 'sha256:4,20':  # a part of them was accepted
            self.assert_status(self.user.check('--yes', '--pcrs', others), 3, 'PCR 4 differs')
        self.assert_status(self.user.check('--accept'), 1, 'no terminal to ask at')
        self.assertEqual(self.user.recorded(), before)
        status, shown = self.user.talk('--accept', answers=[('(yes/no)? ', 'y')])
        self.assertEqual(status, 0, shown)
        self.assertEqual(len(self.user.recorded()), 1)
        self.assert_status(self.user.check(), 0)

    def test_a_host_key_with_a_pin_costs_no_try(self):
        folder = self.lab.make_folder('guarded')
        self.lab.make_key('ssh_tpm_host_ecdsa_key', pin='1234', folder=folder)
        question = f'ssh-tpm-attest-1 {base64.b64encode(bytes(32)).decode()} sha256:0\n'
        said = self.lab.run(f'{self.lab.bin}/ssh-tpm', 'attest', 'serve', '--key-dir', folder, stdin=question)
        self.assert_status(said, 1, 'it has a PIN', 'no host keys')
        self.assertRegex(self.tpm.tool('tpm2_getcap', 'properties-variable'), 'TPM2_PT_LOCKOUT_COUNTER: 0x0')

    def test_each_selection_of_pcrs_has_a_record(self):
        self.serve()
        self.assert_status(self.user.check('--yes', '--pcrs', '0-7'), 0)
        self.assert_status(self.user.check('--yes', '--pcrs', 'sha384:16,23'), 0)
        self.assertEqual([json.loads(line)['pcrs'] for line in self.user.recorded()],
                         ['sha256:0,1,2,3,4,5,6,7', 'sha384:16,23'])
        self.extend(8)
        self.assert_status(self.user.check('--pcrs', '0-7'), 0)
        self.assert_status(self.user.check('--pcrs', 'sha256:8'), 1, 'no terminal to ask at')
        for wrong in '', '24', 'x', '7-0', 'sha1:0', '0,,1', '-1', '0-':
            self.assert_status(self.user.check('--pcrs', wrong), 2)

    def test_boots_are_counted(self):
        self.serve(hierarchy='endorsement')
        self.assert_status(self.user.check('--yes'), 0)
        count = json.loads(self.user.recorded()[0])['resets']
        self.tpm.reset()
        self.assert_status(self.user.check(), 0)
        self.assertGreater(json.loads(self.user.recorded()[0])['resets'], count)
        self.tpm.tool('tpm2_clear', '-c', 'p')
        self.assert_status(self.user.check(), 3, 'counts fewer boots')

    def test_a_bank_that_the_tpm_does_not_have(self):
        self.tpm.tool('tpm2_pcrallocate', 'sha256:all+sha384:none')
        self.tpm.reset()
        self.serve()
        self.assert_status(self.user.check('--yes', '--pcrs', 'sha384:0-7'), 1, 'about other PCRs')
        self.assertEqual(self.user.recorded(), [])
        self.assert_status(self.user.check('--yes'), 0)

    def test_a_host_without_the_service(self):
        relay = subsystem(self.lab, f'attest serve --socket {self.lab.path("nobody")}')
        for name, line, reason in (
                ('none', '', 'checks\n'), ('fails', 'Subsystem ssh-tpm-attest /bin/false', 'checks\n'),
                ('forced', 'ForceCommand echo welcome', 'checks\n'),
                ('banner', 'Subsystem ssh-tpm-attest printf welcome', r'checks \(welcome\)'),
                ('red', r'Subsystem ssh-tpm-attest printf \033[31mred', r'checks \(.*31mred\)'),
                ('unserved', relay, r'checks \(.*the attestation service does not answer\)')):
            with self.subTest(name):
                self.serve(name=name, subsystem_line=line)
                self.assert_status(self.user.check('--yes', host=name), 4, 'does not answer ' + reason)
                said = self.user.ssh('--yes', host=name)
                self.assertEqual((said.stdout, '\x1b' in said.stderr), ('', False))
        self.assertEqual(self.user.recorded(), [])

    def test_a_host_whose_key_is_not_in_the_tpm(self):
        self.serve()
        key = make_host_key(self.lab, 'in_a_file')
        self.host.server.process.end()
        self.serve(name='web2', subsystem_line=f'HostKey {key}\n' + subsystem(self.lab, self.host.command))
        self.user.known = [f'web2 {read(key + ".pub")}']
        self.user.write()
        self.assert_status(self.user.check('--yes', host='web2'), 1, 'host key of this connection')


class OfTheClient(Checks):
    def test_the_session_follows_over_the_same_connection(self):
        self.serve()
        self.assert_status(self.user.ssh(), 1, 'no terminal to ask at')
        said = self.assert_status(self.user.ssh('--yes', command=['echo in; exit 7']), 7)
        self.assertEqual(said.stdout, 'in\n')
        said = self.user.ssh(command=['cat'], stdin='through\n')
        self.assertEqual((said.returncode, said.stdout), (0, 'through\n'), said.stderr)
        self.assertEqual(len([line for line in self.host.server.process.lines if 'Accepted publickey' in line]), 3)
        self.extend(0)
        said = self.assert_status(self.user.ssh(), 3, 'PCR 0')
        self.assertEqual(said.stdout, '')
        wait_until(lambda: not os.listdir(self.lab.env['XDG_RUNTIME_DIR']), 'an empty folder')

    def test_nothing_is_left_when_the_client_ends(self):
        self.serve()
        folder = self.lab.env['XDG_RUNTIME_DIR']
        argv = self.user.argv('check', '-F', self.user.config)

        def interrupt_again_and_again(terminal):
            with contextlib.suppress(ProcessLookupError):
                while os.listdir(folder):
                    os.killpg(terminal.popen.pid, signal.SIGINT)
        for end in (Terminal.interrupt, interrupt_again_and_again,
                    lambda terminal: os.kill(terminal.popen.pid, signal.SIGKILL)):
            with Terminal(self.lab, *argv, 'web1') as terminal:
                terminal.read_until('(yes/no)? ')
                name, = os.listdir(folder)
                said = self.lab.run('ssh', '-o', f'ControlPath={folder}/{name}/master', '-O', 'check', 'web1', status=0)
                master = int(re.search(r'pid=(\d+)', said.stderr).group(1))
                end(terminal)
                self.assertNotEqual(terminal.finish(), 0)
            wait_until(lambda: not os.listdir(folder) and not is_running(master), 'the end of the master')
        for number in signal.SIGTERM, signal.SIGKILL:  # ssh cannot connect yet
            seen = self.lab.path('seen')
            process = self.lab.start(*argv, '-o', f"ProxyCommand=sh -c 'echo $PPID >{seen}; exec cat >/dev/null'",
                                     'web1')
            wait_until(lambda: os.path.exists(seen) and read(seen), 'the call of ssh')
            process.popen.send_signal(number)
            self.assertNotEqual(process.wait(), 0)
            wait_until(lambda: not os.listdir(folder) and not is_running(read(seen).strip()), 'the end of ssh')
            os.unlink(seen)

    def test_a_session_under_nohup_lives_on(self):
        self.serve()
        started, enough = self.lab.path('started'), self.lab.path('enough')
        self.assert_status(self.user.check('--yes'), 0)
        process = self.lab.start('nohup', *self.user.argv('ssh', '-F', self.user.config), 'web1',
                                 f'touch {started}; until [ -e {enough} ]; do sleep 0.1; done; echo all')
        wait_until(lambda: os.path.exists(started), 'the session')
        process.popen.send_signal(signal.SIGHUP)
        self.lab.write('enough', '')
        self.assertEqual(process.wait(), 0)
        self.assertTrue(process.log().endswith('all'))

    def test_a_connection_that_is_lost_is_not_made_again(self):
        self.serve()
        argv = self.user.argv('ssh', '-F', self.user.config, 'web1', 'touch', self.lab.path('executed'))
        for order in 'exit', 'stop':
            with self.subTest(order), Terminal(self.lab, *argv) as terminal:
                terminal.read_until('(yes/no)? ')
                folder, = os.listdir(self.lab.env['XDG_RUNTIME_DIR'])
                control = self.lab.path('run', folder, 'master')
                self.lab.run('ssh', '-F', 'none', '-o', f'ControlPath={control}', '-O', order, 'web1')
                wait_until(lambda: not os.path.exists(control), 'the end of the master')
                terminal.type('yes\n')
                self.assertEqual(terminal.finish(), 1, terminal.transcript)
                self.assertIn('the connection has ended', terminal.transcript)
                self.assertFalse(os.path.exists(self.lab.path('executed')))
                self.assertFalse(os.path.exists(self.user.record))

    def test_options_of_ssh_before_and_behind_the_host(self):
        self.serve(name='host1')
        for words in (['-F', self.user.config, '-4', 'host1', '-q'], ['-4qF', self.user.config, '--', 'host1'],
                      [f'-F{self.user.config}', '-o', 'Compression=yes', '-v', 'host1', '-p',
                       str(self.host.server.port)]):
            said = self.lab.run(*self.user.argv('ssh', '--yes', *words, 'echo', 'in'))
            self.assertEqual((said.returncode, said.stdout), (0, 'in\n'), said.stderr)
        for words in (['-f'], ['-N'], ['-s'], ['-M'], ['-S', 'x'], ['-O', 'check'], ['-W', 'x:1'], ['-qG'], ['-V'],
                      ['-Q', 'key'], ['-w', '0']):
            self.assert_status(self.user.check(*words), 2, 'this option of ssh has no use here')
        said = self.lab.run(*self.user.argv('check', '-F', self.user.config, '--accept', 'web1'))
        self.assert_status(said, 2, 'the options of check come first')
        self.assert_status(self.user.check('-o', 'NoSuchOption=yes', host='host1'), 2, '(?i)nosuchoption')
        self.assert_status(self.lab.run(*self.user.argv('check', '--yes')), 2, 'no host was named')
        self.assert_status(self.lab.run(*self.user.argv('check', '-F', 'none', 'host1', 'ls')), 2, 'runs no command')
        self.assert_status(self.lab.run(*self.user.argv('check', '--no-such', 'host1')), 2)
        self.assert_status(self.lab.run(*self.user.argv('check', 'host1', '-p')), 2, 'argument is missing')

    def test_a_host_is_called_as_in_known_hosts(self):
        self.serve(alias=False)
        self.assert_status(self.user.check('--yes'), 0)
        self.assertEqual(json.loads(self.user.recorded()[0])['host'], f'[127.0.0.1]:{self.host.server.port}')

    def test_what_the_user_has_set_for_ssh(self):
        """A KnownHostsCommand of the user's own, a master, a command for each login, forwardings."""
        key_line = self.lab.path('lines')
        script = f'#!/bin/sh\necho "$@" >>{self.lab.path("asked")}\ncat {key_line}\n'
        own = self.lab.write('known "hosts" command', script, mode=0o755)
        quoted = own.replace('"', '\\"')
        control = self.lab.path('own-master')
        self.serve(more=f'  KnownHostsCommand "{quoted}" %I %H\n  ControlMaster auto\n  ControlPath {control}\n'
                        '  ControlPersist 60\n  StdinNull yes\n  RequestTTY force\n')
        self.lab.write('lines', f'web1 {without_comment(self.host.keys["ecdsa"])}\n')
        self.user.known = []
        self.user.write()
        self.lab.run('ssh', '-F', self.user.config, '-fN', 'web1', status=0)
        asked = len(read(self.lab.path('asked')).splitlines())
        self.assert_status(self.user.check('--yes'), 0)
        self.assertIn('HOSTNAME web1', read(self.lab.path('asked')).splitlines()[asked:])
        self.lab.write('lines', f'web1 {without_comment(self.host.keys["rsa"])}\n')
        self.assert_status(self.user.check('--yes', '-o', 'HostKeyAlgorithms=ecdsa-sha2-nistp256'), 1,
                           'could not connect')

    def test_through_another_host(self):
        self.serve()
        self.serve(name='jump', subsystem_line=' ')
        for more in ('-J', 'jump'), ('-Jjump',), ('-o', 'ProxyJump=jump'):
            said = self.user.ssh('--yes', *more)
            self.assertEqual((said.returncode, said.stdout), (0, 'in\n'), said.stderr)


class OfTheAttestationKey(Checks):
    def test_it_stands_in_a_file_of_enrolled_keys(self):
        self.serve()
        self.assert_status(self.user.check('--yes'), 0)
        ak = json.loads(self.user.recorded()[0])['ak']
        other, receipt = '000b' + '2' * 64, '0' * 64
        right = self.lab.write('right', f'# hosts\n\n{other} {ak} web1\n{ak} {other} web1\n')
        wrong = self.lab.write('wrong', f'{other} {ak} web1\n{ak[:-4]}0000 {other} web1\n{ak} {other} web2\n')
        receipts = self.lab.write('receipts', f'{receipt} {ak} {other} web1\n')
        os.unlink(self.user.record)
        self.assert_status(self.user.check('--yes', '--enrolled', right), 0, f'enrolled in {right}')
        self.assert_status(self.user.check('--enrolled', right), 0)
        for file in wrong, self.lab.write('empty', ''), self.lab.path('missing'):
            self.assert_status(self.user.check('--yes', '--enrolled', file), 1)
        self.assert_status(self.user.check('--yes', '--enrolled', receipts), 1, 'receipts: line 1: not the Names')
        for line in f'{ak} web2', f'{ak}  web1', 'z' * 68 + f' {other}', ak:
            broken = self.lab.write('broken', f'{other} {other} web1\n{line}\n')
            self.assert_status(self.user.check('--yes', '--enrolled', broken), 1, 'broken: line 2: not the Names')

    def test_the_host_certificate_names_it(self):
        self.serve()
        self.assert_status(self.user.check('--yes'), 0)
        ak = json.loads(self.user.recorded()[0])['ak']
        authority = make_host_key(self.lab, 'authority')
        ours = 'extension:attestation-key@ssh-tpm='
        for extension, status, words in ((ours + ak, 0, 'named in the host certificate'),
                                         ('extension:other@ssh-tpm=x', 0, 'does not name it'),
                                         (ours + ak[:-2] + '00', 1, 'names another')):
            with self.subTest(words):
                key = self.host.keys['ecdsa'].path
                self.lab.ssh_keygen('-q', '-h', '-s', authority, '-I', 'x', '-n', 'web1', '-O', extension, key + '.pub')
                self.host.start('certified', [self.user.key.pub], f'HostCertificate {key}-cert.pub')
                self.user.known, self.user.hosts = [f'@cert-authority web1 {read(authority + ".pub")}'], []
                self.user.knows('web1', self.host.server)
                if os.path.exists(self.user.record):
                    os.unlink(self.user.record)
                self.assert_status(self.user.check('--yes'), status, words)


class OfTheBoot(Checks):
    def boot(self, *events):
        """The events in the log, and in the TPM."""
        for event in events:
            self.tpm.tool('tpm2_pcrextend', f'{event.pcr}:sha256={event.digest().hex()}')
        self.lab.write('log', event_log(*events))

    def test_events_that_differ_are_shown(self):
        shim, old, new = (Event(4, 0x80000003, name) for name in ('shim.efi', 'grub-2.06.efi', 'grub-2.12.efi'))
        evil = Event(4, 0x80000003, '\x1b[31mred', )
        self.boot(shim, old)
        self.serve(serve=f'--event-log {self.lab.path("log")}')
        self.assert_status(self.user.check('--yes'), 0)
        self.tpm.reset()
        self.boot(shim, new, evil)
        said = self.assert_status(self.user.check(), 3, 'before: boot services application [0-9a-f]{16}: grub-2.06.efi',
                                  'now: +boot services application [0-9a-f]{16}: grub-2.12.efi', 'PCR 4')
        self.assertNotIn('shim', said.stderr)
        self.assertNotIn('\x1b', said.stderr)
        self.lab.write('log', event_log(shim, Event(4, 0x80000003, 'a lie'), evil))
        said = self.assert_status(self.user.check(), 3, 'PCR 4 differs')
        self.assertNotIn('grub', said.stderr)
        self.assertNotIn('lie', said.stderr)

    def test_variables_and_tags_are_named(self):
        def variable(value, length=10):
            name = 'SecureBoot'.encode('utf-16-le')
            return Event(7, 0x80000001, bytes(16) + struct.pack('<QQ', length, 1) + name + value)

        def tag(text):
            return Event(9, 6, struct.pack('<II', 0x8f3b22ed, len(text)) + text)
        self.boot(variable(b'\1'), tag(b'before'))
        self.serve(serve=f'--event-log {self.lab.path("log")}')
        self.assert_status(self.user.check('--yes'), 0)
        self.tpm.reset()
        self.boot(variable(b'\0'), variable(b'', 2 ** 32 - 1), Event(7, 0x80000002, bytes(31)), Event(9, 6, b'short'),
                  tag(b'after'))
        said = self.assert_status(self.user.check(), 3)
        for words in ('before: EFI variable (driver configuration) H: SecureBoot', 'before: tagged event H: before',
                      'now:    EFI variable (driver configuration) H: SecureBoot', 'now:    tagged event H: after',
                      'now:    tagged event H', 'now:    EFI variable (boot) H'):
            self.assertRegex(said.stderr, f'(?m)^    {re.escape(words).replace("H", "[0-9a-f]{16}")}$')

    def test_without_a_log_and_with_rubbish(self):
        self.serve(serve=f'--event-log {self.lab.path("log")}')
        self.assert_status(self.user.check('--yes'), 0)
        self.extend(0)
        for content in b'', b'rubbish' * 999, event_log()[:-3], bytes(700000):
            self.lab.write('log', content)
            said = self.assert_status(self.user.check(), 3, 'PCR 0 differs')
            self.assertNotRegex(said.stderr, 'before:|now:')


if __name__ == '__main__':
    unittest.main()
