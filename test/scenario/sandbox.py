#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an agent that was taken over can do: its own process tries it (test/support/sandbox_tries.cpp)."""

import contextlib
import os
import re
import shutil
import signal
import socket
import unittest

from agent import Agent, children_of, companion
from keys_once import KeysOnce
from lab import DEADLINE, read, wait_until
from resources import is_sanitized
from terminal import has_ended
from terminal_tpm import TerminalTpm

REFUSED = ('Operation not permitted', 'Permission denied')
NO_ORDER = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
whole_sandbox = unittest.skipIf(is_sanitized(os.environ['SSH_TPM_BUILD']),
                                'sanitizers need ptrace, clone and /proc, and their sandbox has them')
ENDS_WITH = {'exec', 'trace', 'peek'}  # these are no mistakes, so the kernel ends the process


def go_on(stopped):
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def rights_of(pid):
    """NoNewPrivs and Seccomp of each thread."""
    return {re.search(r'NoNewPrivs:\t(\d)', status)[1] + re.search(r'Seccomp:\t(\d)', status)[1]
            for task in os.listdir(f'/proc/{pid}/task') for status in [read(f'/proc/{pid}/task/{task}/status')]}


def trying(*tries):
    """The environment of an agent that makes these tries."""
    return {'LD_PRELOAD': os.environ['SSH_TPM_SANDBOX_TRIES'], 'SSH_TPM_TEST_TRIES': '\n'.join(tries),
            'ASAN_OPTIONS': NO_ORDER}


def outcome(process, line):
    return process.wait_line(f'tried {line}: ').rpartition(': ')[2]


class Sandbox(KeysOnce):
    KEYS = {'x': {}}

    def setUp(self):
        super().setUp()
        self.key = self.take('x')

    def tries(self):
        sibling = self.lab.start('sleep', '1000')
        sibling.last_signal = signal.SIGKILL  # `trace` leaves it stopped
        listening = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listening.close)
        return [f'read:{self.lab.write("home/.bashrc", "secret", 0o600)}',
                f'write:{self.lab.keys}/new.tpm',
                f'remove:{self.lab.write("beside-the-sockets", "", 0o600)}',
                f'tcp:{listening.getsockname()[1]}', 'fork', f'signal:{sibling.pid}', f'trace:{sibling.pid}',
                f'peek:{sibling.pid}', 'exec:/bin/true']

    def start(self, *tries, options=()):
        """An agent that its tries may end before it is ready."""
        return self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', self.lab.path(f'{len(self.lab.processes)}.sock'),
                              '--key-dir', self.lab.keys, *options, env=trying(*tries))

    def assert_refused(self, *tries):
        agent = Agent(self.lab, env=trying(*tries))
        for line in tries:
            with self.subTest(line):
                self.assertIn(outcome(agent.process, line), REFUSED)
        self.assertTrue(agent.signs(self.key))  # and it goes on
        agent.stop()

    @whole_sandbox
    def test_each_is_refused_on_both_threads(self):
        tries = [thread + line for line in self.tries() for thread in ('', 'thread-')]
        ending = [line for line in tries if line.removeprefix('thread-').partition(':')[0] in ENDS_WITH]
        agents = [self.start(line) for line in ending]
        self.assert_refused(*(line for line in tries if line not in ending))
        for agent, line in zip(agents, ending, strict=True):
            with self.subTest(line):
                self.assertEqual(agent.wait(), -signal.SIGSYS)

    @whole_sandbox
    def test_other_files_are_out_of_reach(self):
        """Though root may read them all."""
        sibling = self.lab.start('sleep', '1000').pid
        self.assert_refused(*(f'read:{path}' for path in (
            self.lab.write('keys/id_rsa', 'secret\n', 0o600), '/etc/shadow', '/root', '/dev/tty',
            f'/proc/{sibling}/mem', f'/proc/{sibling}/environ', '/proc/self/mem')))

    @whole_sandbox
    def test_without_the_sandbox_all_of_it_is_done(self):
        tries = self.tries()
        agent = self.start(*tries, options=['--no-sandbox'])
        self.assertEqual(agent.wait(), 0)  # that of `exec`
        for line in tries[:-1]:
            with self.subTest(line):
                self.assertEqual(outcome(agent, line), 'done')
        self.assertIn('no sandbox: ', agent.log())

    def test_with_a_device_no_socket_is_made_and_upstream_agents_are_reached_all_the_same(self):
        device = TerminalTpm(self.tpm)
        upstream = Agent(self.lab, name='upstream', key_dir=self.lab.make_folder('others'))
        other = self.lab.make_key('other', folder=self.lab.path('others'))
        upstream.wait_until_listed([other.line])
        line = f'unix:{upstream.socket}'
        agent = Agent(self.lab, '-A', upstream.socket, tcti=device.tcti, env=trying(line))
        self.assertIn(outcome(agent.process, line), REFUSED)
        for key in self.key, other:
            self.assertTrue(agent.signs(key))
        agent.stop()

    def test_a_plain_agent_shows_it_in_proc(self):
        agent = Agent(self.lab)
        self.assertTrue(agent.signs(self.key))
        self.assertEqual(rights_of(agent.process.pid), {'12'})
        self.assertEqual(rights_of(companion(agent.process.pid, 'opener')), {'12'})
        self.assertEqual(len(children_of(agent.process.pid)), 2)
        agent.stop()
        self.assertEqual(rights_of(Agent(self.lab, '--no-sandbox').process.pid), {'10'})

    @whole_sandbox
    def test_a_kernel_without_landlock_is_told_and_the_rest_is_in_force(self):
        outcomes = {f'read:{self.lab.write("home/.bashrc", "secret", 0o600)}': 'done', 'fork': REFUSED[0]}
        env = [word for name, value in trying(*outcomes).items() for word in ('-E', f'{name}={value}')]
        process = self.lab.start(
            'strace', '-D', '-f', '-o', '/dev/null', '-e', 'trace=landlock_create_ruleset', '-e',
            'inject=landlock_create_ruleset:error=ENOSYS', *env, self.lab.bin + '/ssh-tpm-agent', '-l',
            self.lab.path('agent.sock'), '--key-dir', self.lab.keys)
        process.wait_line('this kernel has no Landlock')
        for line, expected in outcomes.items():
            self.assertEqual(outcome(process, line), expected)
        process.wait_line('listening on')

    def test_a_companion_that_is_stopped_keeps_neither_requests_nor_the_end(self):
        agent = Agent(self.lab)
        self.assertTrue(agent.signs(self.key))
        companions = children_of(agent.process.pid)
        self.addCleanup(go_on, companions)
        for pid in companions:
            os.kill(pid, signal.SIGTSTP)  # ^Z goes to all, and stops the agent alone
            self.assertNotIn('T (stopped)', read(f'/proc/{pid}/status'))
            os.kill(pid, signal.SIGSTOP)
        self.assertTrue(agent.signs(self.key))
        self.assertIn('has ended, or is stopped', self.lab.run(
            'ssh-tpm-doctor', env={'SSH_AUTH_SOCK': agent.socket}).stdout)
        agent.process.popen.terminate()
        self.assertEqual(agent.process.popen.wait(DEADLINE), 0)
        other = Agent(self.lab)  # replaces the socket that was left
        go_on(companions)
        for pid in companions:
            wait_until(lambda pid=pid: has_ended(pid), 'the end')
        self.assertTrue(other.signs(self.key))  # its socket is still there
        other.stop()

    def test_an_opener_that_was_killed_is_told_once_and_keys_that_are_there_sign(self):
        agent = Agent(self.lab)
        os.kill(companion(agent.process.pid, 'opener'), signal.SIGKILL)
        for name in 'y', 'z':
            shutil.copy(self.key.tpm, self.lab.path('keys', name + '.tpm'))
        agent.process.wait_line('the process that opens files for this agent has ended')
        self.assertTrue(agent.signs(self.key))
        self.assertEqual(agent.log().count('the process that opens files'), 1)
        agent.process.end()
        self.assertTrue(Agent(self.lab).signs(self.key))  # it replaces the socket that was left


if __name__ == '__main__':
    unittest.main()
