#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tools give up rights that they do not need: new privileges always, and the network where no askpass program and
no TPM can need it."""

import os
import re
import socket
import stat
import unittest

from lab import Scenario, read
from swtpm import Probe
from stock import WithTpm
from terminal import Terminal

NO_ASKPASS = {'DISPLAY': None, 'WAYLAND_DISPLAY': None, 'SSH_ASKPASS_REQUIRE': None}


def rights(status):
    """@returns whether new privileges are given up, and the number of filters for system calls."""
    return tuple(int(re.search(rf'(?m)^{name}:\t(\d+)$', status)[1]) for name in ('NoNewPrivs', 'Seccomp_filters'))


OURS = rights(read('/proc/self/status'))[1]  # a container has a filter too
ALL_GIVEN_UP, NETWORK_KEPT = (1, OURS + 1), (1, OURS)


class AtQuestions(WithTpm):
    def rights_at(self, question, *command, env=None):
        with Terminal(self.lab, *command, env={**NO_ASKPASS, **(env or {})}) as terminal:
            terminal.read_until(question)
            return rights(read(f'/proc/{terminal.popen.pid}/status'))

    def test_keygen_on_a_terminal_gives_up_all_with_or_without_a_display(self):
        command = self.lab.bin + '/ssh-tpm-keygen', '-f', self.lab.path('key')
        for env in {}, {'DISPLAY': ':0'}:
            self.assertEqual(self.rights_at('Enter passphrase', *command, env=env), ALL_GIVEN_UP)

    def test_keygen_keeps_the_network_for_a_loader_module(self):
        env = {'SSH_TPM_TCTI': Probe(self.tpm).tcti}
        command = self.lab.bin + '/ssh-tpm-keygen', '-f', self.lab.path('key')
        self.assertEqual(self.rights_at('Enter passphrase', *command, env=env), NETWORK_KEPT)

    def test_keygen_keeps_the_network_for_an_emulator_across_it(self):
        with socket.create_server(('127.0.0.1', 0)) as listening:
            tool = self.lab.start(self.lab.bin + '/ssh-tpm-keygen', '-q', '-N', '', '-f', self.lab.path('key'),
                                  '--tcti', f'swtpm:host=127.0.0.1,port={listening.getsockname()[1]}')
            with listening.accept()[0]:
                self.assertEqual(rights(read(f'/proc/{tool.popen.pid}/status')), NETWORK_KEPT)
            tool.end()

    def test_keygen_keeps_the_network_for_askpass(self):
        """Its display may be on another machine."""
        askpass = self.lab.write('askpass', f'#!/bin/sh\ncat /proc/self/status >{self.lab.folder}/status\n')
        os.chmod(askpass, stat.S_IRWXU)
        for env in {'DISPLAY': 'localhost:10'}, {'SSH_ASKPASS_REQUIRE': 'force'}:
            self.lab.run(self.lab.bin + '/ssh-tpm-keygen', '-q', '-f', self.lab.path(*env), status=0,
                         env={**NO_ASKPASS, 'SSH_ASKPASS': askpass, **env})
            self.assertEqual(rights(read(self.lab.path('status'))), NETWORK_KEPT)
            os.unlink(self.lab.path('status'))


class AtAnAgent(Scenario):
    def test_tools_that_wait_for_an_agent_have_given_up_all(self):
        path = self.lab.path('agent')
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            for words in ('add', '-l'), ('add', '-D'), ('hostkeys', '--socket', path):
                tool = self.lab.start(self.lab.bin + '/ssh-tpm', *words, env={**NO_ASKPASS, 'SSH_TPM_AUTH_SOCK': path})
                with listening.accept()[0]:
                    self.assertEqual(rights(read(f'/proc/{tool.popen.pid}/status')), ALL_GIVEN_UP, words)
                tool.wait()


if __name__ == '__main__':
    unittest.main()
