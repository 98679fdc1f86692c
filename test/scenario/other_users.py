#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent serves its own user and root; ssh-tpm-add gives secrets to an agent of its own user and of root."""

import contextlib
import os
import stat
import unittest

from add_recorder import EXTENSION, SUCCESS, AddScenario, Recorder, extensions, identities
from agent import REFERENCE, Agent, Askpass, ours
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, Scenario, needs_root
from protocol import REQUEST_IDENTITIES, frame
from swtpm import Swtpm

SOMEBODY_ELSE = 61234  # a number that no account has
PIN = 'a good pin'
REQUESTS = (('--pin',), (), ('-c',), ('-t', '60'))


class OtherUsers:
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.open_to_all()
        os.chmod(self.lab.folder, 0o777)

    def agent_of_nobody(self, *options):
        folder = self.lab.program_for_others()
        os.chown(self.lab.keys, NOBODY, NOBODY)
        return Agent(self.lab, *options, program=f'{folder}/ssh-tpm-agent', env=NO_LEAK_CHECK, **AS_NOBODY)


@needs_root
class Serving(OtherUsers, Scenario):
    """Whatever the modes of the socket and its folder say."""

    def try_as(self, agent, user):
        """What a process of this user finds: 'answered', 'closed', or 'shut out' by the socket's mode."""
        outcomes = 'answered', 'closed', 'shut out'
        child = os.fork()
        if child == 0:
            status = len(outcomes)
            try:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
                with agent.connect() as connection:
                    with contextlib.suppress(BrokenPipeError):
                        connection.send(frame(bytes([REQUEST_IDENTITIES])))
                    status = 1 if connection.read_frame() is None else 0
            except PermissionError:
                status = 2
            finally:
                os._exit(status)
        return outcomes[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]

    def test_a_key_file_is_read_as_soon_as_the_user_may_read_it(self):
        key = self.lab.make_key('x')
        agent = self.agent_of_nobody()
        agent.process.wait_line(key.tpm)
        self.assertIn('Permission denied', agent.log())
        self.assertEqual(agent.listed(), [])
        os.chown(key.tpm, NOBODY, NOBODY)
        agent.wait_until_listed([key.line])

    def test_another_user_is_refused_without_a_word(self):
        agent = Agent(self.lab)
        self.assertEqual(stat.S_IMODE(os.stat(agent.socket).st_mode), 0o600)
        for mode, others in ((0o600, 'shut out'), (0o644, 'shut out'), (0o666, 'closed'), (0o777, 'closed')):
            os.chmod(agent.socket, mode)
            for user in NOBODY, SOMEBODY_ELSE:
                self.assertEqual(self.try_as(agent, user), others)
            self.assertEqual(self.try_as(agent, os.geteuid()), 'answered')
        if not REFERENCE:
            agent.process.wait_line(f'refused user {NOBODY}')
        self.assertEqual(agent.ssh_add('-l').stdout, 'The agent has no identities.\n')
        refused = agent.ssh_add('-l', **AS_NOBODY)  # SIGPIPE may end it
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(refused.stdout, '')

    def test_root_may_use_anybodys_agent_and_others_may_not(self):
        agent = self.agent_of_nobody(*(() if REFERENCE else ('--no-load',)))
        os.chmod(agent.socket, 0o666)
        self.assertEqual([self.try_as(agent, user) for user in (NOBODY, 0, SOMEBODY_ELSE)],
                         ['answered', 'answered', 'closed'])


@ours
@needs_root
class Adding(OtherUsers, AddScenario):
    def setUp(self):
        super().setUp()
        self.key = self.lab.make_key('x', pin=PIN)
        self.plain = self.lab.make_key('y')
        self.askpass = Askpass(self.lab, *[PIN] * 20)

    def start_agent(self, *options):
        """Of another user."""
        os.chmod(self.key.tpm, 0o644)
        self.agent = self.agent_of_nobody(*options)
        self.socket = self.agent.socket

    @contextlib.contextmanager
    def as_nobody(self):
        """A peer is who it was when it began to listen."""
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    def assert_nothing_is_sent(self):
        for keys, requests in ((self.key.tpm,), REQUESTS), ((self.plain.tpm,), REQUESTS), ((), (('-x',), ('-X',))):
            for options in requests:
                with self.subTest(options=options, keys=keys):
                    result = self.add(*options, *keys, env=self.askpass.env)
                    self.assert_refused(result, f'another user (uid {NOBODY})', 'hint: ', 'SSH_TPM_AUTH_SOCK')
                    self.assertEqual(self.askpass.questions(), [])

    def test_root_gives_no_key_pin_or_password_to_the_agent_of_a_user(self):
        self.start_agent('--no-load')
        self.assert_nothing_is_sent()
        self.assertEqual(self.agent.listed(), [])

    def test_nothing_but_harmless_requests_arrives(self):
        answers = {REQUEST_IDENTITIES: identities((self.key.blob, b'x')), EXTENSION: extensions('tpm-try-pin@ssh-tpm')}
        with self.as_nobody():
            recorder = Recorder(self.lab, lambda request: answers.get(request[0], SUCCESS))
        self.socket = recorder.path
        self.assert_nothing_is_sent()
        self.assertEqual([request for request in recorder.requests if request[0] != REQUEST_IDENTITIES], [])

    def test_what_carries_no_secret_goes_to_the_agent_of_a_user(self):
        self.start_agent()
        self.assertEqual(self.add('-L', status=0).stdout.splitlines(), [self.key.line])
        self.assertIn(self.lab.fingerprint(self.key), self.add('-l', status=0).stdout)
        self.add('-Q', status=0)
        self.add('-d', self.key.pub, status=0)
        self.add('-D', status=0)

    def test_a_user_trusts_the_agent_of_root(self):
        recorder = Recorder(self.lab)
        os.chmod(recorder.path, 0o666)
        os.chmod(self.lab.keys, 0o755)
        os.chmod(self.plain.tpm, 0o644)
        program = os.path.join(self.lab.program_for_others(), 'ssh-tpm')
        self.lab.run(program, 'add', self.plain.tpm, status=0, **AS_NOBODY,
                     env={'SSH_TPM_AUTH_SOCK': recorder.path, **NO_LEAK_CHECK})
        self.assertEqual(len(recorder.added()), 1)


if __name__ == '__main__':
    unittest.main()
