#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A secret that is typed is never shown, however the shell and signals stop the program that asks for it; and an agent
on a terminal ends when the terminal hangs up, and not on SIGHUP alone, which reads the key folder."""

import os
import shutil
import signal
import termios
import unittest

from agent import Agent, Askpass
from keys_once import KeysOnce
from lab import DEADLINE, read, wait_until
from protocol import FAILURE, SIGN_RESPONSE, Connection, frame, sign_request
from terminal import SHELLS, Shell, Terminal, foreground, has_ended, is_stopped

PIN, OTHER, HALF = 'correct horse 42', 'another pin', 'battery sta'
PROMPT, AGAIN = '(empty for no passphrase): ', 'Enter same passphrase again: '
CTRL_C, CTRL_Z, CTRL_BACKSLASH = '\x03', '\x1a', '\x1c'


class OnTerminal(KeysOnce):
    KEYS = {'x': {'pin': PIN}, 'y': {}}

    def setUp(self):
        super().setUp()
        self.socket = self.lab.path('a.sock')

    def connection(self):
        """Once the agent answers."""
        def connect():
            try:
                return Connection(self.socket)
            except OSError:
                return None
        return wait_until(connect, 'the agent')


class JobControl(OnTerminal):
    def setUp(self):
        super().setUp()
        self.new = self.lab.path('keys/new')
        self.keygen = f'ssh-tpm-keygen -q -f {self.new}'

    def in_each_shell(self, body):
        for name, argv in SHELLS.items():
            with self.subTest(name), Shell(self.lab, *argv) as shell:
                body(shell)
                for secret in (PIN, HALF):
                    self.assertNotIn(secret, shell.transcript)

    @staticmethod
    def shared(shell, *shares):
        """What is this shell's of what each is to do."""
        return shares[next(number for number, argv in enumerate(SHELLS.values()) if shell.popen.args[2:] == list(argv))]

    def some(self, shell, *signals):
        """All of them in one shell; in the others the first and the last, and by turns those between."""
        first, *between, last = signals
        return self.shared(shell, signals, (first, *between[::2], last), (first, *between[1::2], last))

    def answer(self, shell, *prompts):
        for prompt in prompts:
            self.assertFalse(shell.answer(prompt, PIN), 'the terminal echoes')

    def finish_keygen(self, shell):
        self.answer(shell, PROMPT, AGAIN)
        shell.look()
        self.remove_key(shell)

    def remove_key(self, shell):
        self.assertTrue(os.path.exists(self.new + '.tpm'), shell.transcript)
        for suffix in ('.tpm', '.pub'):
            os.unlink(self.new + suffix)

    def stop_and_go_on(self, shell, pid, how, between=lambda: None):
        """At a prompt, with half of a secret typed."""
        self.assertFalse(shell.echoes())
        if how != signal.SIGSTOP:
            shell.type(HALF)
        if how == CTRL_Z:
            shell.type(CTRL_Z)
        else:
            os.kill(pid, how)
        shell.wait_stopped(pid)
        shell.look(echo=how != signal.SIGSTOP)  # which no program can prepare for
        between()
        shell.run('fg')

    def test_a_stopped_tool_asks_anew(self):
        def body(shell):
            for how in self.some(shell, CTRL_Z, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGSTOP):
                with self.subTest(how):
                    shell.run(self.keygen)
                    shell.read_until(PROMPT)
                    self.stop_and_go_on(shell, shell.child(), how)
                    self.answer(shell, PROMPT)
                    shell.read_until(AGAIN)
                    self.stop_and_go_on(shell, shell.child(), how)
                    self.answer(shell, AGAIN)
                    shell.look()
                    self.remove_key(shell)
        self.in_each_shell(body)

    def test_a_tool_in_the_background_is_stopped_until_it_may_ask(self):
        def background(shell, pid):
            shell.run('bg')
            shell.look()
            shell.wait_stopped(pid)
            shell.look()

        def body(shell):
            shell.run(self.keygen)
            shell.read_until(PROMPT)
            pid = shell.child()
            self.stop_and_go_on(shell, pid, CTRL_Z, lambda: background(shell, pid))
            self.finish_keygen(shell)
        self.in_each_shell(body)

    def test_a_tool_that_starts_in_the_background_is_stopped_until_it_may_ask(self):
        def body(shell):
            shell.run(self.keygen + ' &')
            pid = shell.child()
            shell.wait_stopped(pid)
            shell.look()
            self.assertNotIn(PROMPT, shell.transcript)
            shell.run('fg')
            self.finish_keygen(shell)
        self.in_each_shell(body)

    def test_a_tool_in_a_script_stops_and_goes_on_with_it(self):
        script = self.lab.write('script', f'#!/bin/sh\n{self.keygen}\ntrue\n', mode=0o755)

        def body(shell):
            for line in (script, script + ' &'):
                with self.subTest(line):
                    shell.run(line)
                    pid = shell.child(shell.child())
                    if line.endswith('&'):
                        shell.wait_stopped(pid)
                        shell.look()
                        shell.run('fg')
                    shell.read_until(PROMPT)
                    self.stop_and_go_on(shell, pid, CTRL_Z)
                    self.finish_keygen(shell)
        self.in_each_shell(body)

    def test_a_signal_that_ends_a_tool_leaves_the_echo_on(self):
        def body(shell):
            for number in self.some(shell, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGALRM,
                                    signal.SIGHUP):
                for suffix in ('', ' &'):
                    with self.subTest(f'{number}{suffix}'):
                        shell.run(self.keygen + suffix)
                        pid = shell.child()
                        if suffix:
                            shell.wait_stopped(pid)
                        else:
                            shell.read_until(PROMPT)
                            shell.type(HALF)
                        os.kill(pid, number)
                        if suffix:
                            os.kill(pid, signal.SIGCONT)
                        wait_until(lambda pid=pid: has_ended(pid), 'the end')
                        shell.look()
        self.in_each_shell(body)

    def test_a_tool_without_a_controlling_terminal_turns_the_echo_of_its_input_off(self):
        with Shell(self.lab, *SHELLS['dash']) as shell:
            shell.run('setsid --wait ' + self.keygen)
            self.finish_keygen(shell)
            self.assertNotIn(PIN, shell.transcript)

    def test_all_secrets_are_asked_for_in_this_way(self):
        key = self.stocked('x')

        def body(shell):
            agent = Agent(self.lab)
            add = f'SSH_TPM_AUTH_SOCK={agent.socket} ssh-tpm-add'
            pin = f'{add} --pin {key.tpm}', ['Enter passphrase for ']
            locks = ((f'{add} -x', ['Enter lock password: ', 'Again: ']), (f'{add} -X', ['Enter lock password: ']))
            owner = f'ssh-tpm-keygen -q -o -N "" -f {self.new}', ['Enter owner password: ']
            for line, prompts in self.shared(shell, (pin, *locks, owner), (pin, owner), locks):
                with self.subTest(line):
                    if line == owner[0]:
                        agent.stop()  # it has keys in the TPM, which has room for three
                        self.tpm.tool('tpm2_changeauth', '-c', 'owner', PIN)
                    shell.run(line)
                    shell.read_until(prompts[0])
                    self.stop_and_go_on(shell, shell.child(), CTRL_Z)
                    self.answer(shell, *prompts)
                    shell.look()
                    if line == owner[0]:
                        self.remove_key(shell)
                        self.tpm.tool('tpm2_changeauth', '-c', 'owner', '-p', PIN)
        self.in_each_shell(body)

    def start_agent(self, shell, suffix=''):
        shell.run(f'ssh-tpm-agent -l {self.socket} --key-dir {self.lab.keys} --no-cache{suffix}')
        self.connection().socket.close()
        return shell.child()

    def request(self, client, key):
        client.send(frame(sign_request(key.blob, b'data')))

    def assert_asks(self, shell, client, key):
        self.request(client, key)
        self.answer(shell, "Enter PIN for key 'x': ")
        self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)

    def assert_silent(self, shell, pid, client):
        """In the background it does not ask there, and goes on."""
        shell.look()
        modes = termios.tcgetattr(shell.slave)
        self.assertEqual(client.read_frame()[0], FAILURE)
        self.assertEqual(len(client.list()), 1)
        shell.look()
        if not shell.edits:
            self.assertEqual(termios.tcgetattr(shell.slave), modes)
        self.assertFalse(is_stopped(pid))

    def test_an_agent_on_its_terminal_asks_anew_too(self):
        key = self.take('x')

        def body(shell):
            pid = self.start_agent(shell)
            for how in self.some(shell, CTRL_Z, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGSTOP):
                with self.subTest(how), Connection(self.socket) as client:
                    self.request(client, key)
                    shell.read_until("Enter PIN for key 'x': ")
                    self.stop_and_go_on(shell, pid, how)
                    self.answer(shell, "Enter PIN for key 'x': ")
                    self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
            self.end(shell, pid, CTRL_C)
        self.in_each_shell(body)

    def test_an_agent_in_the_background_leaves_the_terminal_alone(self):
        key = self.take('x')

        def body(shell):
            for suffix in ('', ' &'):
                with self.subTest(suffix):
                    pid = self.start_agent(shell, suffix)
                    with Connection(self.socket) as client:
                        self.request(client, key)
                        if suffix:
                            self.assert_silent(shell, pid, client)
                            shell.run('fg')
                        else:
                            def background():
                                shell.run('bg')
                                self.assert_silent(shell, pid, client)
                            shell.read_until("Enter PIN for key 'x': ")
                            self.stop_and_go_on(shell, pid, CTRL_Z, background)
                        wait_until(lambda: foreground(pid) == pid, 'the foreground')
                        self.assert_asks(shell, client, key)
                    self.end(shell, pid, CTRL_C)
        self.in_each_shell(body)

    def test_its_log_does_not_stop_an_agent_in_the_background(self):
        """On a terminal that stops programs which write to it from there."""
        def body(shell):
            shell.run('stty tostop')
            pid = self.start_agent(shell, ' &')
            with Connection(self.socket) as client:  # it has said that it listens
                self.assertEqual(client.list(), [])
            shell.run('stty -tostop')
            self.end(shell, pid, signal.SIGTERM)
            self.assertIn('listening on', shell.transcript)
        self.in_each_shell(body)

    def test_the_end_of_an_agent_leaves_the_echo_on(self):
        key = self.take('x')

        def body(shell):
            for how in self.some(shell, CTRL_C, CTRL_BACKSLASH, signal.SIGALRM, signal.SIGTERM):
                with self.subTest(how):
                    pid = self.start_agent(shell)
                    with Connection(self.socket) as client:
                        self.request(client, key)
                        shell.read_until("Enter PIN for key 'x': ")
                        self.assertFalse(shell.echoes())
                        shell.type(HALF)
                        self.end(shell, pid, how)
        self.in_each_shell(body)

    def end(self, shell, pid, how):
        if isinstance(how, str):
            shell.type(how)
        else:
            os.kill(pid, how)
        wait_until(lambda pid=pid: has_ended(pid), 'the end')
        self.assertFalse(os.path.exists(self.socket))
        shell.look()


class HangUp(OnTerminal):
    def setUp(self):
        super().setUp()
        self.key = self.take('x')
        self.command = f'{self.lab.bin}/ssh-tpm-agent', '-a', self.socket, '--key-dir', self.lab.keys

    def start(self, *around, env=None):
        terminal = Terminal(self.lab, *around, *self.command, env=env)
        self.addCleanup(terminal.__exit__)
        return terminal

    def serving(self, *around, **more):
        terminal = self.start(*around, **more)
        terminal.read_until('other shells find it')
        return terminal

    def sign(self):
        with Connection(self.socket) as connection:
            return connection.sign(self.key.blob, b'data')

    def list(self):
        with Connection(self.socket) as connection:
            return connection.list()

    def assert_ended(self, terminal):
        self.assertEqual(terminal.popen.wait(DEADLINE), 0)
        self.assertFalse(os.path.lexists(self.socket))
        self.tpm.assert_no_handles()

    def stop(self, pid):
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(pid), 'a stopped agent')

    def pid_of_agent(self, terminal):
        """Of one that a shell runs."""
        terminal.read_until('other shells find it')
        return int(read(f'/proc/{terminal.popen.pid}/task/{terminal.popen.pid}/children'))

    def assert_gone(self, pid):
        wait_until(lambda: has_ended(pid), 'the end of the agent')
        self.assertFalse(os.path.lexists(self.socket))

    def test_its_end_ends_the_agent_and_gives_back_what_the_tpm_holds(self):
        terminal = self.serving(env=Askpass(self.lab, PIN).env)
        self.assertIsNotNone(self.sign())
        self.assertTrue(self.tpm.handles())
        terminal.hang_up()
        self.assert_ended(terminal)

    def test_it_ends_while_it_asks_there_too(self):
        terminal = self.serving()
        with Connection(self.socket) as connection:
            connection.send(frame(sign_request(self.key.blob, b'data')))
            terminal.read_until('PIN')
            terminal.hang_up()
            self.assert_ended(terminal)

    def test_it_ends_while_it_is_stopped_too(self):
        terminal = self.serving()
        self.stop(terminal.popen.pid)
        terminal.hang_up()
        self.assert_ended(terminal)

    def test_an_agent_in_the_background_of_a_shell_ends_with_the_terminal(self):
        for stopped, shell_ends_first in ((False, False), (False, True), (True, False)):
            with self.subTest(stopped=stopped, shell_ends_first=shell_ends_first):
                terminal = self.start('sh', '-m', '-c', '"$@" & read line', 'sh')
                pid = self.pid_of_agent(terminal)
                if stopped:
                    self.stop(pid)
                if shell_ends_first:  # and sends its jobs no signal
                    terminal.type('\n')
                    terminal.popen.wait(DEADLINE)
                terminal.hang_up()
                self.assert_gone(pid)

    def test_under_nohup_it_lives_on(self):
        terminal = self.start('nohup')
        self.connection().socket.close()
        terminal.hang_up()
        for _ in range(2):  # the second comes behind what the agent has heard of the terminal
            self.assertEqual(len(self.list()), 1)
        os.kill(terminal.popen.pid, signal.SIGTERM)
        self.assert_ended(terminal)

    def test_sighup_alone_reads_the_folder_and_keeps_the_pins_of_files_that_are_the_same(self):
        changed = shutil.copy(self.key.tpm, self.lab.folder)
        self.lab.keygen('-p', '-f', changed, '-P', PIN, '-N', OTHER)
        askpass = Askpass(self.lab, PIN, OTHER)
        terminal = self.serving(env=askpass.env)
        self.assertIsNotNone(self.sign())
        second = self.take('y')
        for _ in range(2):
            os.kill(terminal.popen.pid, signal.SIGHUP)
            terminal.read_until('SIGHUP')
            self.assertIn(second.blob, [blob for blob, _ in self.list()])
            self.assertIsNotNone(self.sign())
        self.assertEqual(len(askpass.questions()), 1)
        os.replace(changed, self.key.tpm)
        os.kill(terminal.popen.pid, signal.SIGHUP)
        terminal.read_until('SIGHUP')
        self.assertIsNotNone(self.sign())
        self.assertEqual(len(askpass.questions()), 2)

    def test_sighup_keeps_the_pin_of_a_key_that_was_added_by_hand(self):
        askpass = Askpass(self.lab, PIN)
        terminal = self.serving(env=askpass.env)
        self.lab.run('ssh-tpm-add', '--pin', self.key.tpm, status=0,
                     env={'SSH_TPM_AUTH_SOCK': self.socket, **askpass.env})
        os.kill(terminal.popen.pid, signal.SIGHUP)
        terminal.read_until('SIGHUP')
        self.assertIsNotNone(self.sign())
        self.assertEqual(len(askpass.questions()), 1)


if __name__ == '__main__':
    unittest.main()
