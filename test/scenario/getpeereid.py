#!/usr/bin/env python3
"""The agent serves its own user and root, whatever the modes of its socket and its folder say."""

import os
import socket
import stat
import unittest

from agent import REFERENCE, Agent
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, Scenario, needs_root
from protocol import REQUEST_IDENTITIES, frame
from swtpm import Swtpm

SOMEBODY_ELSE = 61234  # a number that no account has


@needs_root
class GetPeerEid(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.open_to_all()
        os.chmod(self.lab.folder, 0o777)

    def is_answered(self, agent, user):
        """Whether a process of this user gets a reply."""
        child = os.fork()
        if child == 0:
            status = 2
            try:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
                with agent.connect() as connection:
                    try:
                        connection.send(frame(bytes([REQUEST_IDENTITIES])))
                    except BrokenPipeError:
                        pass
                    status = 0 if connection.read_frame() is None else 1
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.assertIn(status, (0, 1), 'the client could not connect')
        return status == 1

    def test_another_user_is_refused_without_a_word(self):
        agent = Agent(self.lab)
        for mode in (0o644, 0o666, 0o777):
            os.chmod(agent.socket, mode)
            if mode != 0o644:  # whom the mode itself keeps out
                self.assertFalse(self.is_answered(agent, NOBODY))
                self.assertFalse(self.is_answered(agent, SOMEBODY_ELSE))
            self.assertTrue(self.is_answered(agent, os.geteuid()))
        if not REFERENCE:
            self.assertIn(f'refused user {NOBODY}', agent.log())

    def test_a_user_is_refused_by_the_mode_alone_too(self):
        agent = Agent(self.lab)
        self.assertEqual(stat.S_IMODE(os.stat(agent.socket).st_mode), 0o600)
        child = os.fork()
        if child == 0:
            status = 2
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(agent.socket)
            except PermissionError:
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_root_may_use_anybodys_agent_and_others_may_not(self):
        folder = self.lab.program_for_others()
        os.chown(self.lab.keys, NOBODY, NOBODY)
        agent = Agent(self.lab, *(() if REFERENCE else ('--no-load',)), program=f'{folder}/ssh-tpm-agent',
                      env=NO_LEAK_CHECK, **AS_NOBODY)
        os.chmod(agent.socket, 0o666)
        self.assertTrue(self.is_answered(agent, NOBODY))
        self.assertTrue(self.is_answered(agent, 0))
        self.assertFalse(self.is_answered(agent, SOMEBODY_ELSE))

    def test_ssh_add_of_another_user_fails(self):
        agent = Agent(self.lab)
        os.chmod(agent.socket, 0o666)
        self.assertEqual(agent.ssh_add('-l').stdout, 'The agent has no identities.\n')
        refused = agent.ssh_add('-l', **AS_NOBODY)  # SIGPIPE may end it
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(refused.stdout, '')


if __name__ == '__main__':
    unittest.main()
