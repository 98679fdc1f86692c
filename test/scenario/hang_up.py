#!/usr/bin/env python3
"""An agent on a terminal ends when the terminal hangs up, and not on SIGHUP alone, which reads the key folder."""

import os
import shutil
import signal
import unittest

from agent import Askpass
from lab import DEADLINE, Scenario, read, wait_until
from protocol import Connection, frame, sign_request
from subprocess_mode import runs
from swtpm import Swtpm
from terminal import Terminal

PIN, OTHER = 'a good pin', 'another pin'


class HangUp(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.key = self.lab.make_key('x', pin=PIN)
        self.socket = self.lab.path('agent.sock')
        self.command = f'{self.lab.bin}/ssh-tpm-agent', '-a', self.socket, '--key-dir', self.lab.keys

    def start(self, *around, env=None):
        terminal = Terminal(self.lab, *around, *self.command, env=env)
        self.addCleanup(terminal.__exit__)
        return terminal

    def serving(self, *around, **more):
        terminal = self.start(*around, **more)
        terminal.read_until('Agent pid')
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
        wait_until(lambda: ') T ' in read(f'/proc/{pid}/stat'), 'a stopped agent')

    def pid_of_agent(self, terminal):
        """Of one that a shell runs."""
        terminal.read_until('echo Agent pid ')
        return int(terminal.read_until(';').rstrip(';'))

    def assert_gone(self, pid):
        wait_until(lambda: not runs(pid), 'the end of the agent')
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
        wait_until(lambda: os.path.lexists(self.socket), 'the agent')
        self.list()
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
        second = self.lab.make_key('y')
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
        added = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', self.key.tpm,
                             env={'SSH_TPM_AUTH_SOCK': self.socket, **askpass.env})
        self.assertEqual(added.returncode, 0, added.stderr)
        os.kill(terminal.popen.pid, signal.SIGHUP)
        terminal.read_until('SIGHUP')
        self.assertIsNotNone(self.sign())
        self.assertEqual(len(askpass.questions()), 1)


if __name__ == '__main__':
    unittest.main()
