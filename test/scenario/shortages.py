#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An agent that is short of something: where memory cannot be locked, PINs are not kept, the log says why, and all else
works; when accept(2) fails for a while, by strace's doing, whoever has connected is served all the same; without
watches for its subfolders, the key folder itself is followed."""

import ctypes
import os
import resource
import signal
import time
import unittest

from agent import Agent, Askpass
from lab import NO_LEAK_CHECK, ROOT, needs_root, read
from protocol import IDENTITIES_ANSWER, REQUEST_IDENTITIES, frame
from resources import is_sanitized
from softkey import SoftKey
from stock import WithTpm

PIN = 'correct horse 42'
PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14  # prctl(2), capabilities(7)
locking_builds = unittest.skipIf(is_sanitized(os.environ['SSH_TPM_BUILD']), 'sanitizers make mlock() do nothing')
WHY = 'PINs are not kept: their memory cannot be locked'

SHORTAGES = ('EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM')  # of the process and of the system: these are logged
HARMLESS = ('ECONNABORTED', 'EINTR')  # a client that has gone again, or a signal
PAUSE = 0.1  # seconds after each shortage
CLIENTS = 3


def without_locked_memory():
    """For a child: no locked memory and, after exec, no capability to have it in spite of that."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    if ROOT and ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) != 0:
        os._exit(99)


class LockedMemory(WithTpm):
    def setUp(self):
        super().setUp()
        self.key = self.lab.make_key('x', pin=PIN)
        self.askpass = Askpass(self.lab, *[PIN] * 5)

    @locking_builds
    def test_with_locked_memory_a_pin_is_kept_and_without_it_each_signature_asks_and_the_log_says_why_once(self):
        asked = 0
        for name, preexec, questions, told in (('with', None, 1, 0), ('without', without_locked_memory, 3, 1)):
            agent = Agent(self.lab, env=self.askpass.env, name=name, preexec_fn=preexec)
            for _ in range(3):
                agent.sign_and_check(self.key)
            self.assertEqual(len(self.askpass.questions()) - asked, questions)
            asked += questions
            self.assertEqual((agent.log().count(WHY), agent.log().count('ulimit -l')), (told, told), agent.log())
            agent.stop()

    def test_all_else_works_without_it(self):
        free = self.lab.make_key('free', preexec_fn=without_locked_memory)
        other = self.lab.make_key('other', pin=PIN, preexec_fn=without_locked_memory)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        agent = Agent(self.lab, env=self.askpass.env, preexec_fn=without_locked_memory)
        agent.ssh_add(soft.path, status=0)
        self.assertEqual(len(agent.listed()), 4)
        for key in (free, other, soft.key):
            agent.sign_and_check(key)
        passwords = Askpass(self.lab, *['a password'] * 3, name='passwords')
        for option in ('-x', '-X'):
            self.lab.run('ssh-add', option, env={**passwords.env, 'SSH_AUTH_SOCK': agent.socket}, status=0)
        self.assertEqual(len(agent.listed()), 4)

    @locking_builds
    def test_ssh_tpm_add_says_that_the_pin_is_right_and_not_kept(self):
        agent = Agent(self.lab, '--no-load', preexec_fn=without_locked_memory)
        added = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', self.key.tpm, status=0,
                             env={**self.askpass.env, 'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': agent.socket})
        self.assertIn('keeps none', added.stderr)
        self.assertEqual(agent.listed(), [self.key.line])


def traced_agent(lab, error, calls, which):
    """An agent whose system calls fail with the error, by strace's doing: those that these options of strace name."""
    # -D: the agent itself is our child, and strace our grandchild.
    program = lab.write(error, '#!/bin/sh\n'
                        f'exec strace -D -f -qq -o {lab.path(error + ".trace")} -e signal=none -e trace={calls} '
                        f'-e inject={calls}:error={error}{which} {lab.bin}/ssh-tpm-agent "$@"\n', mode=0o755)
    return Agent(lab, name=error, program=program, env=NO_LEAK_CHECK)


class AcceptFailures(WithTpm):
    def setUp(self):
        super().setUp()
        self.lab.make_key('x')

    def agent_that_fails(self, error):
        """An agent that finds nobody at its first call of accept and then fails as often as clients come, so that
        no later one wakes it."""
        self.trace = self.lab.path(error + '.trace')
        return traced_agent(self.lab, error, 'accept,accept4', f':when=2..{CLIENTS + 1}')

    def assert_all_are_served(self, agent):
        """Several at once: nobody waits for the next one to come."""
        clients = [agent.connect() for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.socket.close)
            client.send(frame(bytes([REQUEST_IDENTITIES])))
        for client in clients:
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
        self.assertEqual(read(self.trace).count('(INJECTED)'), CLIENTS)

    def test_a_shortage_is_waited_for_and_logged_once_and_harmless_errors_are_not_logged(self):
        for error in SHORTAGES + HARMLESS:
            with self.subTest(error):
                agent = self.agent_that_fails(error)
                begun = time.monotonic()
                self.assert_all_are_served(agent)
                if error in SHORTAGES:
                    self.assertGreaterEqual(time.monotonic() - begun, CLIENTS * PAUSE)  # it did not try again at once
                self.assertEqual(agent.log().count('accepting a client'), int(error in SHORTAGES))
                agent.stop()


class NoMoreWatches(WithTpm):
    @needs_root  # strace reads no paths of a hardened process for others
    def test_without_watches_for_subfolders_the_folder_is_followed_and_sighup_reads_the_others(self):
        key, other = self.lab.make_key('x'), self.lab.make_key('y', folder=self.lab.make_folder('elsewhere'))
        one = self.lab.make_folder('keys', 'one')
        self.lab.make_folder('keys', 'two')
        agent = traced_agent(self.lab, 'ENOSPC', 'inotify_add_watch', f' -P {one}')
        self.assertEqual(agent.listed(), [key.line])
        self.assertIn(f'watching {one} (inotify): No space left on device', agent.log())
        os.rename(other.tpm, os.path.join(one, 'y.tpm'))  # nobody tells the agent
        self.assertEqual(agent.listed(), [key.line])
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.wait_until_listed([key.line, other.line])
        self.lab.make_folder('keys', 'three')  # the watches are set anew
        os.unlink(key.tpm)
        agent.wait_until_listed([other.line])
        self.assertEqual(agent.log().count('seen only after SIGHUP'), 1, agent.log())


if __name__ == '__main__':
    unittest.main()
