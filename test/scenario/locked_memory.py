#!/usr/bin/env python3
"""Where memory cannot be locked, PINs are not kept, the log says why, and all else works."""

import ctypes
import os
import resource
import unittest

from agent import Agent, Askpass
from lab import Scenario, needs_root
from resources import is_sanitized
from softkey import SoftKey
from swtpm import Swtpm

PIN = 'correct horse 42'
PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14  # prctl(2), capabilities(7)
locking_builds = unittest.skipIf(is_sanitized(os.environ['SSH_TPM_BUILD']), 'sanitizers make mlock() do nothing')
WHY = 'PINs are not kept: their memory cannot be locked'


def without_locked_memory():
    """For a child: no locked memory and, after exec, no capability to have it in spite of that."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) != 0:
        os._exit(99)


@needs_root
class LockedMemory(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.key = self.lab.make_key('x', pin=PIN)
        self.askpass = Askpass(self.lab, *[PIN] * 5)

    def test_with_locked_memory_a_pin_is_kept(self):
        agent = Agent(self.lab, env=self.askpass.env)
        for _ in range(3):
            agent.sign_and_check(self.key)
        self.assertEqual(len(self.askpass.questions()), 1)
        self.assertNotIn(WHY, agent.log())

    @locking_builds
    def test_without_it_each_signature_asks_and_the_log_says_why_once(self):
        agent = Agent(self.lab, env=self.askpass.env, preexec_fn=without_locked_memory)
        for _ in range(3):
            agent.sign_and_check(self.key)
        self.assertEqual(len(self.askpass.questions()), 3)
        self.assertEqual(agent.log().count(WHY), 1, agent.log())
        self.assertIn('ulimit -l', agent.log())

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


if __name__ == '__main__':
    unittest.main()
