#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an agent that was taken over can do: its own process tries it (test/support/sandbox_tries.cpp)."""

import contextlib
import os
import re
import signal
import socket
import unittest

from agent import Agent, children_of, companion
from lab import DEADLINE, read, wait_until
from stock import WithTpm
from terminal import has_ended
from terminal_tpm import TerminalTpm

REFUSED = ('Operation not permitted', 'Permission denied')
NO_ORDER = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
ENDS_WITH = {'exec', 'trace', 'peek'}  # these are no mistakes, so the kernel ends the process


def go_on(stopped):
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def rights_of(pid):
    """NoNewPrivs and Seccomp of each thread."""
    return {re.search(r'NoNewPrivs:\t(\d)', status)[1] + re.search(r'Seccomp:\t(\d)', status)[1]
            for task in os.listdir(f'/proc/{pid}/task') for status in [read(f'/proc/{pid}/task/{task}/status')]}


class Sandbox(WithTpm):
    def setUp(self):
        super().setUp()
        self.lab.env['SSH_TPM_TCTI'] = self.tpm.tcti
        self.key = self.lab.make_key('x')

    def tries(self):
        """What is tried: a name and an argument."""
        sibling = self.lab.start('sleep', '1000')
        self.listening = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self.listening.close)
        return {'read': self.lab.write('home/.bashrc', 'secret\n', 0o600),
                'write': self.lab.path('keys/new.tpm'),
                'remove': self.lab.write('beside-the-sockets', '', 0o600),
                'tcp': self.listening.getsockname()[1], 'exec': '/bin/true', 'fork': '', 'trace': sibling.pid,
                'peek': sibling.pid, 'signal': sibling.pid}

    def attempt(self, name, word, *options, thread=False):
        """The agent after its attempt, which may have ended it."""
        agent = Agent.__new__(Agent)
        agent.lab, agent.socket = self.lab, self.lab.path(f'{name}.sock')
        agent.process = self.lab.start(
            self.lab.bin + '/ssh-tpm-agent', '-l', agent.socket, '--key-dir', self.lab.keys, *options,
            env={'LD_PRELOAD': os.environ['SSH_TPM_SANDBOX_TRIES'],
                 'SSH_TPM_TEST_TRY': f'{"thread-" if thread else ""}{name}:{word}', 'ASAN_OPTIONS': NO_ORDER})
        return agent

    def assert_refused(self, name, word, **more):
        agent = self.attempt(name, word, **more)
        if name in ENDS_WITH:
            self.assertEqual(agent.process.wait(), -signal.SIGSYS)
            return
        line = agent.process.wait_line(f'tried {name}: ')
        self.assertIn(line.rpartition(': ')[2], REFUSED)
        self.assertTrue(agent.signs(self.key))  # and it goes on
        agent.stop()

    def test_each_is_refused_on_both_threads(self):
        for name, word in self.tries().items():
            for thread in False, True:
                with self.subTest(name, thread=thread):
                    self.assert_refused(name, word, thread=thread)

    def test_other_files_are_out_of_reach(self):
        """Though root may read them all."""
        sibling = self.lab.start('sleep', '1000')
        for path in (self.lab.write('keys/id_rsa', 'secret\n', 0o600), '/etc/shadow', '/root', '/dev/tty',
                     f'/proc/{sibling.pid}/mem', f'/proc/{sibling.pid}/environ', '/proc/self/mem'):
            with self.subTest(path):
                self.assert_refused('read', path)

    def test_without_the_sandbox_all_of_it_is_done(self):
        for name, word in self.tries().items():
            with self.subTest(name):
                agent = self.attempt(name, word, '--no-sandbox')
                if name == 'exec':
                    self.assertEqual(agent.process.wait(), 0)
                    continue
                agent.process.wait_line(f'tried {name}: done')
                self.assertIn('no sandbox: ', agent.log())
                agent.process.end()

    def test_with_a_device_no_socket_is_made_and_upstream_agents_are_reached_all_the_same(self):
        device = TerminalTpm(self.tpm)
        upstream = Agent(self.lab, name='upstream', key_dir=self.lab.make_folder('others'))
        other = self.lab.make_key('other', folder=self.lab.path('others'))
        upstream.wait_until_listed([other.line])
        agent = self.attempt('unix', upstream.socket, '--tcti', device.tcti, '-A', upstream.socket)
        self.assertIn(agent.process.wait_line('tried unix: ').rpartition(': ')[2], REFUSED)
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

    def test_a_kernel_without_landlock_is_told_and_the_rest_is_in_force(self):
        bashrc = self.lab.write('home/.bashrc', 'secret\n', 0o600)
        for name, word, outcome in (('read', bashrc, 'done'), ('fork', '', REFUSED[0])):
            path = self.lab.path(name + '.sock')
            process = self.lab.start(
                'strace', '-D', '-f', '-o', '/dev/null', '-e', 'trace=landlock_create_ruleset', '-e',
                'inject=landlock_create_ruleset:error=ENOSYS', '-E',
                'LD_PRELOAD=' + os.environ['SSH_TPM_SANDBOX_TRIES'],
                '-E', f'SSH_TPM_TEST_TRY={name}:{word}', self.lab.bin + '/ssh-tpm-agent', '-l', path,
                '--key-dir', self.lab.keys)
            process.wait_line('this kernel has no Landlock')
            self.assertTrue(process.wait_line(f'tried {name}: ').endswith(outcome))
            process.wait_line('listening on')
            process.end()

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
        self.assertTrue(other.signs(self.key))  # nobody has removed its socket
        other.stop()

    def test_an_opener_that_was_killed_is_told_once_and_keys_that_are_there_sign(self):
        agent = Agent(self.lab)
        os.kill(companion(agent.process.pid, 'opener'), signal.SIGKILL)
        for name in 'y', 'z':
            self.lab.make_key(name)
        agent.process.wait_line('the process that opens files for this agent has ended')
        self.assertTrue(agent.signs(self.key))
        self.assertEqual(agent.log().count('the process that opens files'), 1)
        agent.process.end()
        self.assertTrue(Agent(self.lab).signs(self.key))  # it replaces the socket that was left


if __name__ == '__main__':
    unittest.main()
