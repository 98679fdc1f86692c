#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent that runs already: -s and -c lead a shell to it, -k ends it and no other program, and a socket without an
agent stands in nobody's way."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import unittest

from agent import Agent, ours
from lab import NOBODY, needs_root, wait_until
from manager import Activated
from protocol import Connection
from stock import WithTpm
from terminal import Terminal, has_ended, is_stopped

# For each shell: how it starts without its files, how it evaluates what a command prints, and how it prints variables.
POSIX = 'eval "$({})"', 'printf "%s|%s\\n" "${{SSH_AUTH_SOCK-none}}" "${{SSH_AGENT_PID-none}}"'
READING = {
    'bash': (('bash', '-c'), '-s', *POSIX),
    'dash': (('dash', '-c'), '-s', *POSIX),
    'zsh': (('zsh', '-fc'), '-s', *POSIX),
    'fish': (('fish', '--no-config', '-c'), '-c', 'eval ({})',
             'set -q SSH_AUTH_SOCK; or set SSH_AUTH_SOCK none; set -q SSH_AGENT_PID; or set SSH_AGENT_PID none; '
             'echo "$SSH_AUTH_SOCK|$SSH_AGENT_PID"'),
    'fish with source': (('fish', '--no-config', '-c'), '-c', '{} | source',
                         'set -q SSH_AUTH_SOCK; or set SSH_AUTH_SOCK none; set -q SSH_AGENT_PID; '
                         'or set SSH_AGENT_PID none; echo "$SSH_AUTH_SOCK|$SSH_AGENT_PID"'),
    'tcsh': (('tcsh', '-fc'), '-c', 'eval `{}`',
             '( printenv SSH_AUTH_SOCK || echo none ) | tr "\\n" "|"; printenv SSH_AGENT_PID || echo none'),
}

# Listens as systemd does, by its name too, and has the agent serve each socket that gets a client.
SYSTEMD = '''
import os, select, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o600)
listening.listen()
print('listening', file=sys.stderr, flush=True)
while True:
    select.select([listening], [], [])
    child = os.fork()
    if child == 0:
        os.dup2(listening.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
        os.execv(sys.argv[2], sys.argv[2:])
    if os.waitpid(child, 0)[1] != 0:
        sys.exit('the agent has failed')
'''


@ours
class RunningAgent(WithTpm):
    def setUp(self):
        super().setUp()
        self.program = f'{self.lab.bin}/ssh-tpm-agent'
        self.folder = '--key-dir', self.lab.keys
        self.usual = self.lab.path('run', 'ssh-tpm-agent.sock')

    def call(self, *options, **more):
        return self.lab.run(self.program, *options, **more)

    def background(self, *options, **more):
        """The id of an agent in the background."""
        return int(re.search(r'Agent pid (\d+)', self.call('-s', *self.folder, *options, status=0, **more).stdout)[1])

    def systemd(self, path):
        os.symlink(sys.executable, self.lab.path('systemd'))
        process = self.lab.start(self.lab.path('systemd'), '-c', SYSTEMD, path, self.program, *self.folder)
        process.wait_line('listening')
        return process

    def ends(self, pid):
        wait_until(lambda: has_ended(pid), 'the end of the agent')


class Variables(RunningAgent):
    """Of a shell."""

    def test_each_shell_is_led_to_one_agent_and_away_from_it_again(self):
        for name, (argv, option, evaluate, show) in READING.items():
            if not shutil.which(argv[0]):
                continue
            for path in ('a.sock', "it's a! \\ \\\\ $x *.sock"):
                with self.subTest(shell=name, path=path):
                    self.lead(argv, option, evaluate, show.format(), self.lab.path(path))

    def lead(self, argv, option, evaluate, show, path):
        """SHELL names another shell: it is the login shell."""
        words = f'{self.program} {option} --key-dir {self.lab.keys}'
        lines = [evaluate.format(words), show, evaluate.format(words), show, evaluate.format(f'{self.program} -k' + (
            ' -c' if argv[0] == 'tcsh' else '')), show]
        result = self.lab.run(*argv, '\n'.join(lines), status=0,
                              env={'SSH_TPM_AUTH_SOCK': path, 'SHELL': '/bin/bash', 'SSH_AUTH_SOCK': None})
        said = result.stdout.splitlines()
        pid = int(re.fullmatch(r'Agent pid (\d+)', said[0])[1])
        self.assertEqual(said[1:], [f'{path}|{pid}', f'Agent pid {pid} was running already', f'{path}|{pid}',
                                    f'Agent pid {pid} killed', 'none|none'], result.stderr)
        self.assertTrue(has_ended(pid))
        self.assertFalse(os.path.lexists(path))

    def test_shell_decides_about_fish_unless_another_shell_calls(self):
        pid = self.background()
        env = {'SSH_AGENT_PID': str(pid), 'SHELL': '/usr/bin/fish'}
        told = self.call('-c', env=env, status=0).stdout
        self.assertIn(f'set -gx SSH_AUTH_SOCK {self.usual};\n', told)
        self.assertIn('; export', self.call('-s', env=env, status=0).stdout)
        self.assertIn('; export', self.lab.run('bash', '-c', f'{self.program} -s; true', env=env, status=0).stdout)
        unset = self.lab.run('bash', '-c', f'{self.program} -k; true', env=env, status=0).stdout
        self.assertEqual(unset, f'unset SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\necho Agent pid {pid} killed;\n')
        pid = self.background()
        unset = self.call('-k', env={'SHELL': '/usr/bin/fish'}, status=0).stdout
        self.assertEqual(unset, 'set --erase SSH_AUTH_SOCK;\nset --erase SSH_AGENT_PID;\n'
                                f'echo Agent pid {pid} killed;\n')

    def test_shells_that_start_at_once_share_one_agent(self):
        calls = [subprocess.Popen([self.program, '-s', *self.folder], env=self.lab.merged({}), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
        told = [call.communicate() for call in calls]
        self.assertEqual([call.returncode for call in calls], [0] * len(calls), told)
        self.assertEqual(len({re.search(r'SSH_AGENT_PID=(\d+)', out)[1] for out, _ in told}), 1, told)
        self.assertEqual(len([out for out, _ in told if 'already' not in out]), 1, told)
        self.assertNotIn('error', ''.join(errors for _, errors in told))

    def test_a_shell_finds_an_agent_that_was_started_otherwise(self):
        agent = Agent(self.lab)
        for env in ({}, self.lab.no_tpm):  # it starts none, and needs no TPM
            told = self.call('-s', '-a', agent.socket, env=env, status=0)
            self.assertEqual(told.stderr, '')
            self.assertIn(f'SSH_AGENT_PID={agent.process.pid}; export', told.stdout)

    def test_an_agent_of_systemd_has_no_pid_for_a_shell(self):
        self.systemd(self.usual)
        told = self.call('-s', env={'SSH_AGENT_PID': '4711'}, status=0)
        self.assertEqual(told.stdout, f'SSH_AUTH_SOCK={self.usual}; export SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\n'
                                      'echo Agent was running already;\n')

    def test_other_agents_are_not_ours_and_are_named(self):
        path = self.lab.path('the other.sock')
        other = self.lab.start('ssh-agent', '-D', '-a', path)
        other.wait_line('Agent pid')
        for options in (('-s',), ('-c',), ('-D',), ('true',)):
            with self.subTest(options=options):
                result = self.call('-a', path, *options)
                self.assert_error(result, f'{path}: an agent listens here already: ssh-agent (pid {other.pid})',
                                  f"export SSH_AUTH_SOCK='{path}' uses it", tool='ssh-tpm-agent')
                self.assertEqual(result.stdout, '')

    def test_an_agent_that_is_to_stay_or_has_a_command_is_not_one_more(self):
        pid = self.background('-a', self.lab.path('a.sock'))
        for options in (('-D',), ('-D', '-s'), ('-d', '-c'), ('true',)):
            with self.subTest(options=options):
                result = self.call('-a', self.lab.path('a.sock'), *options)
                self.assert_error(result, f'an agent listens here already: ssh-tpm-agent (pid {pid})',
                                  tool='ssh-tpm-agent')


class Ending(RunningAgent):
    def assert_not_ended(self, result, *words):
        self.assert_error(result, *words, tool='ssh-tpm-agent')
        self.assertEqual(result.stdout, '')

    def test_without_a_pid_the_agent_on_the_socket_ends(self):
        for options, env, path in (((), {}, self.usual), ((), {'SSH_AGENT_PID': ''}, self.usual),
                                   (('-a', 'x.sock'), {}, self.lab.path('x.sock')),
                                   ((), {'SSH_TPM_AUTH_SOCK': self.lab.path('y.sock')}, self.lab.path('y.sock'))):
            with self.subTest(path=path, env=env):
                pid = self.background(*options, env=env)
                told = self.call('-k', *options, env=env, status=0).stdout
                self.assertIn('unset SSH_AUTH_SOCK;\n', told)
                self.assertTrue(told.endswith(f'echo Agent pid {pid} killed;\n'))
                self.assertTrue(has_ended(pid))
                self.assertFalse(os.path.lexists(path))

    def test_a_socket_comes_before_the_pid_and_variables_of_other_agents_stay(self):
        first, second = self.background(), self.background('-a', 'x.sock')
        told = self.call('-k', '-a', 'x.sock', status=0, env={'SSH_AUTH_SOCK': self.usual, 'SSH_AGENT_PID': str(first)})
        self.assertEqual(told.stdout, f'echo Agent pid {second} killed;\n')
        self.assertFalse(has_ended(first))

    def test_a_stopped_agent_ends_too(self):
        agent = Agent(self.lab)
        os.kill(agent.process.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(agent.process.pid), 'the stop')
        self.call('-k', '-a', agent.socket, status=0)
        self.assertEqual(agent.process.wait(), 0)

    def test_an_agent_that_systemd_has_started_ends_when_it_is_the_one_that_listens(self):
        agent = Activated(self.lab, self.program, *self.folder)
        with agent.connect() as connection:
            connection.list()
        self.call('-k', '-a', agent.socket, status=0)
        self.assertEqual(agent.process.wait(), 0)

    def test_systemd_is_not_ended(self):
        manager = self.systemd(self.usual)
        self.assert_not_ended(self.call('-k'), f'{self.usual}: systemd (pid {manager.pid}) is no ssh-tpm-agent',
                              'hint: systemctl --user stop ssh-tpm-agent.socket')
        self.assertIsNone(manager.popen.poll())

    def test_no_other_program_is_ended(self):
        path = self.lab.path('other.sock')
        other = self.lab.start('ssh-agent', '-D', '-a', path)
        other.wait_line('Agent pid')
        self.assert_not_ended(self.call('-k', '-a', path), f'ssh-agent (pid {other.pid}) is no ssh-tpm-agent')
        self.assert_not_ended(self.call('-k', env={'SSH_AGENT_PID': str(other.pid)}),
                              f'SSH_AGENT_PID: ssh-agent (pid {other.pid}) is no ssh-tpm-agent')
        gone = self.lab.start('true')
        gone.wait()
        self.assert_not_ended(self.call('-k', env={'SSH_AGENT_PID': str(gone.pid)}), 'has ended', 'hint: ')
        self.assertIsNone(other.popen.poll())

    def test_without_an_agent_nothing_ends(self):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.lab.path('dead.sock'))
        for options, words in (((), f'without SSH_AGENT_PID: {self.usual}: No such file'),
                               (('-a', 'dead.sock'), f"ending the agent: {self.lab.path('dead.sock')}: "),
                               (('-a', 'keys'), 'Connection refused')):
            with self.subTest(options=options):
                self.assert_not_ended(self.call('-k', *options), words)

    @needs_root
    def test_the_agent_of_another_user_is_not_ended(self):
        self.tpm.open_to_all()
        folder = self.lab.make_folder('theirs')
        os.chown(folder, NOBODY, NOBODY)
        path = self.lab.path('theirs', 'a.sock')
        theirs = self.lab.start('setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups',
                                f'{self.lab.program_for_others()}/ssh-tpm-agent', '--no-load', '-a', path)
        theirs.wait_line('listening on')
        self.assert_not_ended(self.call('-k', '-a', path), f'another user (uid {NOBODY})')
        self.assertIn('error', self.call('-s', '-a', path, status=1).stderr)
        self.assertIsNone(theirs.popen.poll())


class DeadSockets(RunningAgent):
    """What killed agents of commands leave behind."""

    def setUp(self):
        super().setUp()
        self.run_folder = self.lab.path('run')

    def leave(self, name, listen=False):
        """A socket, on which somebody listens or not."""
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(os.path.join(self.run_folder, name))
        if listen:
            listening.listen()
            self.addCleanup(listening.close)
        else:
            listening.close()

    def killed(self):
        """The socket of an agent that was killed beside its command."""
        path = self.call(*self.folder, 'sh', '-c', 'echo "$SSH_AUTH_SOCK"; kill -KILL "$SSH_AGENT_PID"',
                         status=0).stdout.strip()
        self.assertTrue(os.path.lexists(path))
        return path

    def test_the_next_agent_sweeps_them(self):
        for options in (('true',), ('-s',), ('-D',)):
            with self.subTest(options=options):
                dead = self.killed()
                if options == ('-D',):
                    Agent(self.lab, name='run/d')
                else:
                    self.call(*self.folder, *options, status=0)
                wait_until(lambda path=dead: not os.path.lexists(path), 'the sweep')

    def test_the_option_of_ssh_agent_leaves_them(self):
        dead = self.killed()
        self.call('-U', *self.folder, 'true', status=0)
        self.assertTrue(os.path.lexists(dead))

    def test_all_else_stays(self):
        for name in ('ssh-tpm-agent.1x.sock', 'ssh-tpm-agent..sock', 'ssh-agent.1.sock', 'ssh-tpm-agent.1.sock.old'):
            self.leave(name)
        self.leave('ssh-tpm-agent.1.sock', listen=True)
        self.lab.write('run/ssh-tpm-agent.2.sock', 'a file')
        self.lab.make_folder('run', 'ssh-tpm-agent.3.sock')
        self.leave('target')
        os.symlink('target', os.path.join(self.run_folder, 'ssh-tpm-agent.4.sock'))
        if os.geteuid() == 0:
            self.leave('ssh-tpm-agent.5.sock')
            os.chown(os.path.join(self.run_folder, 'ssh-tpm-agent.5.sock'), NOBODY, NOBODY)
        before = sorted(os.listdir(self.run_folder))
        self.leave('ssh-tpm-agent.6.sock')
        self.call('-a', os.path.join(self.run_folder, 'x.sock'), *self.folder, 'true', status=0)
        wait_until(lambda: not os.path.lexists(os.path.join(self.run_folder, 'x.sock')), 'the end of the agent')
        self.assertEqual(sorted(os.listdir(self.run_folder)), before)


class GivenSocket(RunningAgent):
    def test_a_socket_for_another_process_is_left_alone(self):
        """As a shell in a service has it, whose main process it was for."""
        agent = Agent(self.lab, env={'LISTEN_PID': '1', 'LISTEN_FDS': '1', 'LISTEN_FDNAMES': 'x'})
        self.assertEqual(agent.listed(), [])
        told = self.call(*self.folder, 'env', env={'LISTEN_PID': '1', 'LISTEN_FDS': '1'}, status=0).stdout
        self.assertNotIn('LISTEN_', told)

    def test_an_abstract_socket_is_logged_with_its_name(self):
        name = f'ssh-tpm-{os.getpid()}'
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind('\0' + name)
        listening.listen()
        agent = self.lab.start('sh', '-c', f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&{listening.fileno()}',
                               self.program, *self.folder, pass_fds=[listening.fileno()])
        agent.wait_line(f'listening on @{name}')
        with Connection('\0' + name) as connection:
            self.assertEqual(connection.list(), [])


class OnTerminal(RunningAgent):
    """Commands for a shell are printed where one reads them."""

    def said(self, *options):
        with Terminal(self.lab, self.program, '-a', self.lab.path('a.sock'), *self.folder, *options) as terminal:
            terminal.read_until('a.sock; export SSH_AUTH_SOCK;')
            with Connection(self.lab.path('a.sock')) as connection:
                connection.list()
            self.call('-k', '-a', 'a.sock', status=0)
            terminal.finish()
            return terminal.transcript

    def test_a_person_gets_a_line_to_copy(self):
        told = f"SSH_AUTH_SOCK={self.lab.path('a.sock')}; export SSH_AUTH_SOCK;\n"
        for options in ((), ('-D',), ('-d',)):
            with self.subTest(options=options):
                said = self.said(*options)
                self.assertIn('ssh-tpm-agent: other shells find it with: ' + told, said)
                self.assertNotIn('Agent pid', said)
        said = self.said('-D', '-s')
        self.assertIn('\n' + told + 'echo Agent pid ', said)
        self.assertNotIn('other shells', said)


if __name__ == '__main__':
    unittest.main()
