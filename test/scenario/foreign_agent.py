#!/usr/bin/env python3
"""ssh-tpm-add sends keys, PINs and passwords to an agent of its own user and of root alone."""

import contextlib
import os
import unittest

from add_recorder import EXTENSION, AddScenario, Recorder, SUCCESS, extensions, identities
from agent import Agent, Askpass
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, needs_root
from swtpm import Swtpm

PIN = 'a good pin'
REQUESTS = (('--pin',), (), ('-c',), ('-t', '60'))


@needs_root
class ForeignAgent(AddScenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.open_to_all()
        os.chmod(self.lab.folder, 0o777)
        self.key = self.lab.make_key('x', pin=PIN)
        self.plain = self.lab.make_key('y')
        self.askpass = Askpass(self.lab, *[PIN] * 20)

    def start_agent(self, *options, **more):
        """Of another user."""
        folder = self.lab.program_for_others()
        os.chown(self.lab.keys, NOBODY, NOBODY)
        os.chmod(self.key.tpm, 0o644)
        self.agent = Agent(self.lab, *options, program=f'{folder}/ssh-tpm-agent', env=NO_LEAK_CHECK,
                           **AS_NOBODY, **more)
        self.socket = self.agent.socket

    @contextlib.contextmanager
    def as_nobody(self):
        """A peer is who it was when it began to listen."""
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    def assert_not_sent(self, result):
        self.assert_refused(result, f'another user (uid {NOBODY})', 'hint: ', 'SSH_TPM_AUTH_SOCK')
        self.assertEqual(self.askpass.questions(), [])

    def test_root_gives_no_key_pin_or_password_to_the_agent_of_a_user(self):
        self.start_agent('--no-load')
        for options in REQUESTS:
            for key in (self.key, self.plain):
                with self.subTest(options=options, key=key.comment):
                    self.assert_not_sent(self.add(*options, key.tpm, env=self.askpass.env))
                    self.assertEqual(self.agent.listed(), [])
        for option in ('-x', '-X'):
            self.assert_not_sent(self.add(option, env=self.askpass.env))

    def test_what_carries_no_secret_goes_to_the_agent_of_a_user(self):
        self.start_agent()
        self.assertEqual(self.add('-L', status=0).stdout.splitlines(), [self.key.line])
        self.assertIn(self.lab.fingerprint(self.key), self.add('-l', status=0).stdout)
        self.add('-Q', status=0)
        self.add('-d', self.key.pub, status=0)
        self.add('-D', status=0)

    def test_nothing_but_harmless_requests_arrives(self):
        answers = {11: identities((self.key.blob, b'x')), EXTENSION: extensions('tpm-try-pin@ssh-tpm')}
        with self.as_nobody():
            recorder = Recorder(self.lab, lambda request: answers.get(request[0], SUCCESS))
        self.socket = recorder.path
        for options in (*REQUESTS, ('-x',), ('-X',)):
            keys = () if options[:1] in (('-x',), ('-X',)) else (self.key.tpm, self.plain.tpm)
            self.assert_not_sent(self.add(*options, *keys, env=self.askpass.env))
        self.assertEqual([request for request in recorder.requests if request[0] not in (11,)], [])

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
