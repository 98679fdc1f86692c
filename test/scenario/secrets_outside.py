#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No PIN, owner password or private number passes the bus, and no session could be opened by who listens; none is in
what the programs and tpm2-tss say; and a crash leaves no core."""

import os
import resource
import signal
import unittest

import bus
import memory
from agent import Agent, Askpass
from lab import needs_root, read_key, wait_until
from resources import is_sanitized
from softkey import SoftKey
from stock import Probed, WithTpm
from swtpm import Probe

# Runs a program that may leave cores, tells its id, and how it ended.
RUN = ('import os, resource, sys\n'
       'resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)\n'
       'pid = os.fork()\n'
       'if pid == 0:\n'
       '    os.execvp(sys.argv[1], sys.argv[1:])\n'
       'print("runs as", pid, flush=True)\n'
       'status = os.waitpid(pid, 0)[1]\n'
       'print("ended:", os.waitstatus_to_exitcode(status), "core" if os.WCOREDUMP(status) else "no core")\n')
VARIABLE = 'SSH_TPM_AGENT_OWNER_PASSWORD'


class SecretsOnTheBus(bus.Hidden, Probed):
    def setUp(self):
        super().setUp()
        self.pin = memory.random_pin()

    @memory.wiping_builds  # tpm2-tools cannot load a TCTI with sanitizers
    def test_the_rules_find_what_breaks_them(self):
        """tpm2-tools do it the plain way."""
        self.tpm.lab.env['TPM2TOOLS_TCTI'] = self.probe.tcti
        context = self.lab.path('primary.ctx')
        for options in (('tpm2_createprimary', '-C', 'o', '-c', context),
                        ('tpm2_create', '-C', context, '-p', self.pin, '-u', self.lab.path('u'), '-r',
                         self.lab.path('r')),
                        ('tpm2_startauthsession', '-S', self.lab.path('session'), '--hmac-session')):
            self.lab.run(*options, status=0)
        with self.assertRaises(AssertionError):
            self.assert_nowhere(self.pin)
        with self.assertRaisesRegex(AssertionError, 'unsalted'):
            self.assert_sessions()

    def test_a_password_in_the_clear_is_found(self):
        header = '8002' '0000001f' '0000015d' '80000000' '0000000d' '40000009' '0000' '01' '0004'
        command = bus.parse(bytes.fromhex(header) + b'1234')
        self.assertEqual((command.name, command.handles), ('Sign', [0x80000000]))
        self.assertEqual(command.sessions, [bus.Session(bus.PASSWORD_SESSION, b'', 1, b'1234')])

    def test_keys_are_made_and_sign_and_wrong_pins_pass_as_hidden(self):
        wrong = memory.random_pin()
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            self.lab.make_key(kind, kind, bits, pin=self.pin)
        askpass = Askpass(self.lab, wrong, *[self.pin] * 3)
        agent = Agent(self.lab, env=askpass.env)
        for name in ('ecdsa', 'rsa', 'ecdsa'):
            agent.sign_and_check(read_key(self.lab.path('keys', name)))
        agent.stop()
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assert_nowhere(self.pin, wrong)
        self.assert_sessions('Create', 'Sign', secrets={'Create'})

    def test_keys_under_every_parent_are_made_and_sign_as_hidden(self):
        self.tpm.make_persistent()
        other, parents = self.lab.path('other.ctx'), ('owner', 'endorsement', 'platform', 'null', '0x81000055')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'rsa2048:aes128cfb', '-g', 'sha256', '-c', other)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', other, '0x81000055')
        for parent in parents:
            self.lab.keygen('-q', '-N', self.pin, '-f', self.lab.path('keys', parent), '--parent-handle', parent)
        agent = Agent(self.lab, env=Askpass(self.lab, *[self.pin] * len(parents)).env)
        for parent in parents:
            agent.sign_and_check(read_key(self.lab.path('keys', parent)))
        self.assert_nowhere(self.pin)
        self.assert_sessions('Create', 'Sign', secrets={'Create'})

    @memory.wiping_builds  # a sanitizer wants to be loaded before all others
    def test_deliberate_leaks_are_found(self):
        for leak, complaint in (('bus', None), ('password', 'a password in the clear: Sign'), ('unsalted', 'unsalted')):
            with self.subTest(leak):
                self.probe = Probe(self.tpm, name=leak)
                key = self.lab.make_key(leak, pin=self.pin)
                asked = Askpass(self.lab, self.pin, name='askpass ' + leak)
                agent = Agent(self.lab, tcti=self.probe.tcti, env={**asked.env, **memory.leaking(leak)}, name=leak)
                agent.sign_and_check(key)
                agent.stop()
                if complaint:
                    with self.assertRaisesRegex(AssertionError, complaint):
                        self.assert_sessions()
                else:
                    self.assert_sessions('Sign')
                if leak != 'unsalted':
                    with self.assertRaisesRegex(AssertionError, 'raw'):
                        self.assert_nowhere(self.pin)

    def test_a_pin_changes(self):
        new = memory.random_pin()
        key = self.lab.make_key('x', pin=self.pin)
        self.lab.keygen('-q', '-p', '-P', self.pin, '-N', new, '-f', key.path)
        Agent(self.lab, env=Askpass(self.lab, new).env).sign_and_check(key)
        self.assert_nowhere(self.pin, new)
        self.assert_sessions('ObjectChangeAuth', 'Sign', secrets={'Create', 'ObjectChangeAuth'})

    def test_a_key_comes_in_with_a_pin(self):
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            soft = SoftKey(self.lab, self.lab.path('soft' + kind), kind, bits)
            self.lab.keygen('-q', '--import', soft.path, '-N', self.pin, '-f', self.lab.path('keys', kind))
            numbers = soft.numbers()
            self.assert_nowhere(self.pin, *numbers, *(number[:24] for number in numbers))
        agent = Agent(self.lab, env=Askpass(self.lab, self.pin, self.pin).env)
        for kind in ('ecdsa', 'rsa'):
            agent.sign_and_check(read_key(self.lab.path('keys', kind)))
        self.assert_nowhere(self.pin)
        self.assertIn('Import', [command.name for command, _ in self.commands()])
        self.assert_sessions('Sign')

    def test_a_key_from_ssh_add_is_sealed(self):
        agent = Agent(self.lab)
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            soft = SoftKey(self.lab, self.lab.path('soft' + kind), kind, bits)
            agent.ssh_add(soft.path, status=0)
            agent.sign_and_check(soft.key)
            numbers = soft.numbers()
            self.assert_nowhere(*numbers, *(number[:24] for number in numbers))
        self.assertIn('Import', [command.name for command, _ in self.commands()])
        self.assert_sessions()

    def test_the_owner_password_is_hidden_the_right_one_and_a_wrong_one(self):
        password, wrong = memory.random_pin(), memory.random_pin()
        self.tpm.craft('tpm2_changeauth', '-c', 'o', password)
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'), env={VARIABLE: wrong}, status=1)
        self.lab.keygen('-q', '-N', self.pin, '-f', self.lab.path('keys/x'), env={VARIABLE: password})
        Agent(self.lab, env={VARIABLE: password, **Askpass(self.lab, self.pin).env}).sign_and_check(
            read_key(self.lab.path('keys/x')))
        path = self.lab.write('owner', password + '\n', mode=0o600)
        self.lab.keygen('-q', '-N', self.pin, '-f', self.lab.path('keys/y'), '--owner-password-file', path)
        self.assert_nowhere(password, wrong, self.pin)
        self.assert_sessions('CreatePrimary', 'Create', 'Sign', secrets={'Create'})


class Logs(WithTpm):
    def setUp(self):
        super().setUp()
        self.pin, self.wrong, self.password = (memory.random_pin() for _ in range(3))
        self.log_file = self.lab.path('tss.log')
        self.chatty = {'TSS2_LOG': 'all+trace', 'TSS2_LOGFILE': self.log_file}
        self.said = []

    def keygen(self, *options, **more):
        result = self.lab.keygen(*options, env=self.chatty, **more)
        self.said += [result.stdout, result.stderr]

    def assert_silent(self, *secrets):
        text = '\n'.join(self.said).encode()
        for secret in secrets:
            self.assertEqual(memory.count(text, secret), {})
        self.assertFalse(os.path.exists(self.log_file))

    def test_tpm2_tss_would_write_a_log(self):
        """Unless it is told not to: with these variables, others do."""
        self.lab.run('tpm2_changeauth', '-T', self.tpm.tcti, '-c', 'o', self.pin, env=self.chatty, status=0)
        self.assertGreater(os.path.getsize(self.log_file), 1000)

    def test_the_agent_says_no_secret(self):
        path = self.lab.path('keys/x')
        self.keygen('-q', '-N', self.pin, '-f', path)
        askpass = Askpass(self.lab, self.wrong, self.pin)
        agent = Agent(self.lab, '-d', env={**self.chatty, **askpass.env})
        agent.sign_and_check(read_key(path))
        softs = (SoftKey(self.lab, self.lab.path('soft')),
                 SoftKey.ready_made(self.lab, self.lab.path('rsa'), 'rsa', 2048))
        for soft in softs:
            agent.ssh_add(soft.path, status=0)
            agent.sign_and_check(soft.key)
        passwords = Askpass(self.lab, self.password, self.password, self.wrong, name='passwords')
        for option in ('-x', '-X'):
            self.lab.run('ssh-add', option, env={**passwords.env, 'SSH_AUTH_SOCK': agent.socket})
        agent.stop()
        self.said.append(agent.log())
        self.assertIn('the TPM refused the PIN', agent.log())
        self.assert_silent(self.pin, self.wrong, self.password,
                           *(number[:24] for soft in softs for number in soft.numbers()))

    def test_keygen_and_add_say_no_secret(self):
        path = self.lab.path('elsewhere')
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '9', '-t', '600', '-l', '600')
        self.keygen('-N', self.pin, '-f', path)
        self.keygen('-p', '-P', self.wrong, '-N', self.password, '-f', path, status=None)
        self.keygen('-p', '-P', self.pin, '-N', self.password, '-f', path)
        files = {secret: self.lab.write(f'file{number}', secret + '\n', mode=0o600)
                 for number, secret in enumerate((self.pin, self.wrong, self.password))}
        self.keygen('-p', '--old-pin-file', files[self.wrong], '--pin-file', files[self.pin], '-f', path, status=None)
        self.keygen('-p', '--old-pin-file', files[self.password], '--pin-file', files[self.pin], '-f', path)
        self.keygen('-p', '--old-pin-file', '-', '--pin-file', files[self.password], '-f', path, stdin=self.pin)
        self.lab.write('long', self.pin * 9, mode=0o600)
        self.keygen('-f', path + 'x', '--pin-file', self.lab.path('long'), status=1)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.keygen('--import', soft.path, '-N', self.pin, '-f', self.lab.path('imported'))
        agent = Agent(self.lab, '-d', env=self.chatty)
        for secret in self.wrong, self.password:
            given = agent.add('--pin-file', files[secret], path + '.tpm', env=self.chatty)
            self.said += [given.stdout, given.stderr]
        self.assertEqual(given.returncode, 0)
        agent.ssh_add('-D', status=0)
        asked = Askpass(self.lab, self.wrong, self.password)
        added = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', path + '.tpm', status=0,
                             env={**self.chatty, **asked.env, 'SSH_AUTH_SOCK': None,
                                  'SSH_TPM_AUTH_SOCK': agent.socket})
        agent.stop()
        self.said += [agent.log(), added.stdout, added.stderr]
        self.assert_silent(self.pin, self.wrong, self.password, *soft.numbers())

    @memory.wiping_builds  # a sanitizer wants to be loaded before all others
    def test_a_deliberate_leak_is_found(self):
        key = self.lab.make_key('x', pin=self.pin)
        agent = Agent(self.lab, '-d', env={**Askpass(self.lab, self.pin).env, **memory.leaking('log')})
        agent.sign_and_check(key)
        agent.stop()
        self.said.append(agent.log())
        with self.assertRaisesRegex(AssertionError, 'raw'):
            self.assert_silent(self.pin)


@needs_root
class Cores(WithTpm):
    def setUp(self):
        super().setUp()
        self.signals, self.questions = [signal.SIGABRT], []
        if not is_sanitized(os.environ['SSH_TPM_BUILD']):  # which have a handler for it
            self.signals.append(signal.SIGSEGV)

    def crash(self, number, ready, *argv, env=None):
        """Ends a program by a signal, with a core allowed once more after it has started; the last words."""
        runner = self.lab.start('/usr/bin/python3', '-c', RUN, *argv, env=env)
        pid = int(runner.wait_line('runs as').split()[-1])
        ready(runner)
        resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        os.kill(pid, number)
        return runner.wait_line('ended:')

    def test_an_ordinary_program_leaves_one(self):
        last = self.crash(signal.SIGABRT, lambda runner: runner.wait_line('ready'), 'sh', '-c',
                          'echo ready; while :; do sleep 1; done')
        if 'no core' in last:
            self.skipTest('this system keeps no cores')

    def check(self, *argv, ready, env=None):
        for number in self.signals:
            with self.subTest(number.name):
                self.assertEqual(self.crash(number, ready, *argv, env=env), f'ended: {-number} no core')
        self.assertEqual([name for name in os.listdir(self.lab.folder) if name.startswith('core')], [])
        for path in self.questions:  # who waits for the answer still has the pipe of the program that asked
            with open(path, 'w', encoding='ascii'):
                pass

    def test_the_agent_leaves_none(self):
        self.check(f'{self.lab.bin}/ssh-tpm-agent', '-l', self.lab.path('s'), '--key-dir', self.lab.keys,
                   ready=lambda runner: runner.wait_line('listening on'))

    def asked(self, count):
        """An askpass that lets its user wait, and what waits until it was called."""
        askpass = Askpass(self.lab)
        self.questions = [askpass.answer_later(number) for number in range(1, count + 1)]
        calls = iter(range(1, count + 1))
        return askpass.env, lambda runner: wait_until(
            lambda number=next(calls): len(askpass.questions()) >= number, 'the question')

    def test_keygen_leaves_none(self):
        env, ready = self.asked(len(self.signals))
        self.check(f'{self.lab.bin}/ssh-tpm-keygen', '-q', '-f', self.lab.path('keys/x'), env=env, ready=ready)

    def test_add_leaves_none(self):
        key = self.lab.make_key('x', pin='a pin')
        agent = Agent(self.lab, '--no-load')
        env, ready = self.asked(len(self.signals))
        self.check(f'{self.lab.bin}/ssh-tpm-add', '--pin', key.tpm, ready=ready,
                   env={**env, 'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': agent.socket})


if __name__ == '__main__':
    unittest.main()
