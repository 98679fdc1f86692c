#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An agent of systemd serves without a TPM: it lists its keys, refuses at once to sign, says why, and signs when the
TPM is there. Clients of an agent that cannot start are turned away, and no client of ours waits for ever."""

import os
import signal
import socket
import unittest

from agent import Agent, ours
from hierarchy import KINDS, read_public
from keys_once import KeysOnce
from lab import Scenario, read
from manager import Activated, Manager
from neighbour import flush_all
from softkey import SoftKey
from sshd import Sshd
from stock import WithTpm
from swtpm import Probe

NO_TPM = 'no TPM answers at'
AWAY = f'error: {NO_TPM}'


@ours
class Away(KeysOnce):
    """The socket of the emulator is gone, as the device of a driver that was unbound."""

    KEYS = {'x': {}}

    def setUp(self):
        super().setUp()
        self.key = self.take('x')
        self.lab.limit('tpm_retry', 0.1, real=5)
        self.manager = Manager(self.lab.path('notify'))
        self.addCleanup(self.manager.close)
        self.env = {'NOTIFY_SOCKET': self.lab.path('notify')}

    def hide(self):
        for name in (self.tpm.path, self.tpm.path + '.ctrl'):
            os.rename(name, name + '.away')

    def show(self):
        for name in (self.tpm.path, self.tpm.path + '.ctrl'):
            os.rename(name + '.away', name)

    def start(self, *options, env=None):
        agent = Activated(self.lab, f'{self.lab.bin}/ssh-tpm-agent', *(options or ('--key-dir', self.lab.keys)),
                          env={**self.env, **(env or {})})
        agent.listed()  # the first client starts it
        return agent

    def told(self, text):
        """Waits for a message with `text`."""
        while text not in (message := self.manager.take()):
            pass
        return message

    def assert_away(self, agent, status=None):
        self.assertRegex(status or self.told(NO_TPM), rf'STATUS=Serving 1 key; error: {NO_TPM}')
        self.assertEqual(agent.listed(), [self.key.line])
        result = agent.ssh_keygen_sign(self.key)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('agent refused operation', result.stderr)
        self.assertIn(f'{self.key.tpm}: {NO_TPM}', agent.add('-T', self.key.pub, status=1).stderr)

    def assert_back(self, agent):
        self.assertEqual(self.told('STATUS='), 'STATUS=Serving 1 key')
        flush_all(self.tpm)  # the emulator has no resource manager that does so
        agent.sign_and_check(self.key)
        agent.process.wait_line('the TPM is there again')

    def test_it_starts_without_a_tpm_and_signs_when_it_comes(self):
        self.hide()
        agent = self.start()
        self.assertEqual(self.told('READY=1'), 'READY=1\nSTATUS=Serving 1 key')
        self.assert_away(agent)
        self.show()
        self.assert_back(agent)
        self.assertEqual(agent.log().count('; trying again'), 1)  # however often it has tried

    def test_a_tpm_that_goes_is_told_once_and_found_again(self):
        agent = self.start()
        agent.sign_and_check(self.key)
        self.told('READY=1')
        for number in (1, 2):
            self.hide()
            agent.ssh_keygen_sign(self.key)  # by which the agent notices it
            self.assert_away(agent)
            self.show()
            self.assert_back(agent)
            self.assertEqual(agent.log().count('; trying again'), number)
        agent.process.popen.send_signal(signal.SIGTERM)
        self.assertEqual(agent.process.wait(), 0)
        self.tpm.assert_no_handles()

    def test_its_trouble_is_an_error_in_the_journal(self):
        self.hide()
        journal = self.lab.write('journal', '')
        status = os.stat(journal)
        agent = Activated(self.lab, 'sh', '-c', 'exec "$@" 2>"$0"', journal, f'{self.lab.bin}/ssh-tpm-agent',
                          '--key-dir', self.lab.keys,
                          env={**self.env, 'JOURNAL_STREAM': f'{status.st_dev}:{status.st_ino}'})
        self.assertEqual(agent.listed(), [self.key.line])
        self.told(NO_TPM)
        self.assertRegex(read(journal), rf'(?m)^<3>ssh-tpm-agent: error: {NO_TPM}.*; trying again$')
        self.assertRegex(read(journal), '(?m)^<3>ssh-tpm-agent: hint: ')
        self.show()
        self.told('STATUS=Serving 1 key')
        self.assertRegex(read(journal), '(?m)^<6>ssh-tpm-agent: the TPM is there again$')

    def test_from_a_shell_it_ends_at_once_with_the_hint(self):
        self.hide()
        for options in ((), ('-s',), ('true',)):
            result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-a', self.lab.path('shell.sock'), '--key-dir',
                                  self.lab.keys, *options)
            self.assert_error(result, NO_TPM, 'hint: ', tool='ssh-tpm-agent')

    def test_keys_of_upstream_agents_are_listed_and_sign(self):
        self.hide()
        upstream = self.lab.path('upstream.sock')
        self.lab.start('ssh-agent', '-D', '-a', upstream).wait_line('Agent pid')
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.lab.run('ssh-add', '-q', soft.path, env={'SSH_AUTH_SOCK': upstream}, status=0)
        agent = self.start('--key-dir', self.lab.keys, '-A', upstream)
        self.assertEqual(len(agent.listed()), 2)
        self.lab.run('ssh-add', '-T', soft.pub, env={'SSH_AUTH_SOCK': agent.socket}, status=0)

    def test_keys_of_a_hierarchy_come_with_the_tpm(self):
        root = self.lab.path('root')
        self.lab.keygen('-q', '-A', '-f', root, '--hierarchy', 'owner')
        keys = [read_public(root, kind) for kind in KINDS]
        self.hide()
        agent = self.start('--hierarchy', 'owner', '--no-load')
        self.told('Serving 0 keys; error: ' + NO_TPM)
        self.assertEqual(agent.listed(), [])
        self.show()
        self.told(f'STATUS=Serving {len(keys)} keys')
        for key in keys:
            agent.sign_and_check(key)

    def test_the_first_client_finds_the_keys_of_a_hierarchy(self):
        """systemd starts the agent for it; the agent is ready before the TPM has made the keys."""
        agent = Activated(self.lab, f'{self.lab.bin}/ssh-tpm-agent', '--hierarchy', 'owner', '--no-load', env=self.env)
        self.assertEqual(len(agent.listed()), len(KINDS))

    def test_a_device_that_the_service_may_not_open_is_a_reason_to_start_anew_if_it_came_later(self):
        """systemd chooses the allowed devices when the service starts; one that is denied then stays so."""
        device = self.lab.path('device')
        env = {**self.env, 'SSH_TPM_TCTI': f'device:{device}', 'LD_PRELOAD': os.environ['SSH_TPM_FILE_FAULTS'],
               'SSH_TPM_TEST_FILES': 'denied_device'}
        agent = self.start(env=env)
        self.told('error: no TPM at ' + device)
        self.lab.write('device', '')
        self.assertEqual(agent.process.wait(), 1)
        self.assertIn('the device policy of this service denies the TPM at ' + device, agent.log())
        agent = self.start(env=env | {'NOTIFY_SOCKET': self.lab.path('notify')})
        self.assertRegex(self.told('error:'), 'Serving 1 key; error: the device policy of this service denies')
        self.assertEqual(agent.listed(), [self.key.line])


@ours
class Queue(Scenario):
    """Of a socket that systemd has made: clients whose agent cannot start go on to something else."""

    def setUp(self):
        super().setUp()
        self.lab.write('keys/file', '')
        self.errors = {('--no-such-option',): 'unknown option', ('--no-load', '--key-dir', 'x'): '--no-load',
                       ('-s',): 'goes to the background', ('--owner-password-file', 'absent'): 'absent'}

    def test_it_is_closed_by_an_agent_that_cannot_start(self):
        for options in self.errors:
            with self.subTest(options=options):
                listening = socket.socket(socket.AF_UNIX)
                self.addCleanup(listening.close)
                path = self.lab.path(f'{len(os.listdir(self.lab.folder))}.sock')
                listening.bind(path)
                listening.listen()
                clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
                for client in clients:
                    self.addCleanup(client.close)
                    client.connect(path)
                    client.settimeout(60)
                result = self.lab.run(
                    'bash', '-c', 'fd=$1; shift; eval "exec 3<&$fd"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', 'sh',
                    str(listening.fileno()), f'{self.lab.bin}/ssh-tpm-agent', *options,
                    pass_fds=(listening.fileno(),))
                self.assertNotEqual(result.returncode, 0, result.stderr)
                for client in clients:
                    self.assertEqual(client.recv(1), b'')

    def test_a_login_goes_on_to_the_key_files(self):
        user = SoftKey(self.lab, self.lab.path('user'))
        server = Sshd(self.lab, authorized=[user.pub])
        agent = Activated(self.lab, f'{self.lab.bin}/ssh-tpm-agent', '--no-such-option')
        result = server.login(agent, '-i', user.path)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        self.assertEqual(agent.process.wait(), 2)  # it was asked


@ours
class Deadlines(WithTpm):
    """For an agent that never answers, and for a queue that no agent serves."""

    def setUp(self):
        super().setUp()
        self.key = self.lab.make_key('x')
        self.guarded = self.lab.make_key('guarded', pin='1234')
        self.lab.limit('agent_answer', 0.5, real=5)
        self.pin = self.lab.write('pin', '1234\n', mode=0o600)

    def calls(self, path):
        """Each program and mode of ours that speaks to an agent."""
        add = {'SSH_TPM_AUTH_SOCK': path}
        for options in ((self.key.tpm,), ('--pin-file', self.pin, self.guarded.tpm), ('-d', self.key.pub), ('-D',),
                        ('-l',), ('-L',), ('-Q',), ('-T', self.key.pub)):
            yield ('ssh-tpm-add', *options), add
        for options in ('-x',), ('-X',):
            askpass = self.lab.write('askpass', '#!/bin/sh\necho word\n', mode=0o755)
            yield ('ssh-tpm-add', *options), {**add, 'SSH_ASKPASS': askpass, 'SSH_ASKPASS_REQUIRE': 'force'}
        yield ('ssh-tpm-hostkeys', '--socket', path), {}
        yield ('ssh-tpm-hostkeys', '--check', '--socket', path), {}
        yield ('ssh-tpm-agent', '-s', '-a', path), {}

    def assert_none_waits(self, path, *words):
        for (program, *options), env in self.calls(path):
            with self.subTest(program=program, options=options):
                result = self.lab.run(f'{self.lab.bin}/{program}', *options, env=env)
                self.assertEqual(result.returncode, 1, result.stderr)
                if '--check' in options:  # it has a hint of its own
                    self.assertRegex(result.stdout, '(?m)^fail  .*the agent does not answer')
                    continue
                self.assertRegex(result.stderr, '(?m)^' + program + ': error: .*the agent does not answer')
                for word in words:
                    self.assertIn(word, result.stderr)

    def test_a_queue_that_no_agent_serves(self):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path := self.lab.path('queue.sock'))
            listening.listen()
            self.assert_none_waits(path, f'hint: see the process that listens: ps -fp {os.getpid()}')

    def test_an_agent_that_hangs(self):
        agent = Agent(self.lab)
        with agent.stopped():
            self.assert_none_waits(agent.socket, f'hint: see the process that listens: ps -fp {agent.process.pid}')
        agent.add(self.key.tpm, status=0)

    def test_an_answer_that_takes_its_time_is_awaited(self):
        """The TPM takes longer than an agent may be silent."""
        probe = Probe(self.tpm)
        agent = Agent(self.lab, tcti=probe.tcti)
        with probe.failing('* slow 700'):
            agent.add('-T', self.key.pub, status=0)
            agent.add(self.guarded.tpm, status=0)


if __name__ == '__main__':
    unittest.main()
