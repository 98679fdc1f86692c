#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A key that was added with -c is used only when a person says yes; whatever else happens is a no."""

import os
import signal
import unittest

from agent import REFERENCE, Agent, Askpass, ours
from keys_once import KeysOnce
from lab import read
from protocol import frame, sign_request

NO, NOBODY = 'a person did not allow', 'nobody is there to allow'
FAILED = 'the askpass program could not ask about'


class Confirm(KeysOnce):
    KEYS = {'x': {}, 'y': {}, 'guarded': {'pin': 'correct horse'}}
    SOFT = ('my soft key', 'other')

    def setUp(self):
        super().setUp()
        self.key = self.soft('my soft key')

    def agent_that_asks(self, askpass, *options, env=None, **more):
        """Its one key wants to be confirmed."""
        agent = Agent(self.lab, *options, env={**askpass.env, **(env or {})}, **more)
        result = agent.ssh_add('-c', self.key.path, status=0)
        self.assertIn('confirm', result.stderr)
        return agent

    def script(self, text):
        """An askpass of one's own making; what it is asked lies in `asked`."""
        class Script:
            program = self.lab.write('script', f'#!/bin/sh\necho "$1" >> {self.lab.folder}/asked\n{text}\n',
                                     mode=0o755)
            env = {'SSH_ASKPASS': program, 'SSH_ASKPASS_REQUIRE': 'force'}
        return Script

    def assert_refused(self, agent, reason, *more):
        before = len(agent.log())
        self.assertFalse(agent.signs(self.key.key))
        if REFERENCE:
            return
        new = agent.log()[before:]
        said = [each for each in (NO, NOBODY, FAILED) if f'sign: {each} the use of key' in new]
        self.assertEqual(said, [reason], new)
        for text in more:
            self.assertIn(text, new)

    def test_each_use_is_asked_about_with_the_keys_name_and_fingerprint(self):
        askpass = Askpass(self.lab, '', 'yes')
        agent = self.agent_that_asks(askpass, env={'SSH_ASKPASS_PROMPT': 'none'})
        self.assertEqual(agent.listed(), [self.key.key.line])  # which does not ask
        for _ in range(2):
            agent.sign_and_check(self.key.key)
        self.assertEqual(len(askpass.questions()), 2)
        for number, question in enumerate(askpass.questions(), 1):
            self.assertRegex(question, "^Allow use of key '?my soft key")
            self.assertIn('?', question)
            self.assertIn(self.lab.fingerprint(self.key.key), question)
            self.assertEqual(askpass.environment(number)['SSH_ASKPASS_PROMPT'], 'confirm')
        self.assertNotEqual(agent.ssh_keygen_sign(self.key.key).returncode, 0)  # there is no third answer
        self.assertEqual(len(askpass.questions()), 3)
        other = self.soft('other')  # a key without the constraint
        agent.ssh_add(other.path, status=0)
        agent.sign_and_check(other.key)
        self.assertEqual(len(askpass.questions()), 3)

    def test_nothing_and_yes_are_a_yes_and_all_else_is_a_no(self):
        agent = self.agent_that_asks(self.script(''))
        for text in ('exit 0', 'echo', 'echo YES', 'printf yes'):
            with self.subTest(text):
                self.script(text)
                self.assertTrue(agent.signs(self.key.key))
        for text, reason in (('echo no', NO), ('echo y', NO), ('echo "yes please"', NO), ('echo " yes"', NO),
                             ('exit 1', NO), ('echo yes; exit 1', NO), ('exit 255', NO),
                             ('head -c 5000 /dev/zero | tr "\\0" y', FAILED), ('kill -9 $$', FAILED),
                             ('echo yes; kill -9 $$', FAILED), ('echo yes; kill -15 $$', FAILED)):
            with self.subTest(text):
                self.script(text)
                os.unlink(self.lab.path('asked'))
                self.assert_refused(agent, reason)
                self.assertTrue(os.path.exists(self.lab.path('asked')))
        self.assertEqual(len(agent.listed()), 1)

    def test_without_an_askpass_it_is_a_no(self):
        program = self.lab.path('askpass program')
        agent = self.agent_that_asks(Askpass(self.lab), env={'SSH_ASKPASS': program})
        self.assert_refused(agent, FAILED, f'error: askpass: {program}')
        os.mkdir(program)
        self.assert_refused(agent, FAILED, f'error: askpass: {program}')
        os.rmdir(program)
        for text, mode in (('exit 0', 0o644), ('exec /nonexistent/askpass', 0o755)):
            self.lab.write('askpass program', f'#!/bin/sh\n{text}\n', mode=mode)
            self.assert_refused(agent, FAILED, f'error: askpass: {program}')

    @ours
    def test_a_no_stays_one_whatever_the_parent_has_done_to_the_signals(self):
        """With SIGCHLD ignored, the system keeps no child's exit status."""
        def spoil():
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        askpass = self.script(f'grep -E "Sig(Blk|Ign)" /proc/self/status > {self.lab.folder}/signals; exit 1')
        agent = self.agent_that_asks(askpass, preexec_fn=spoil)
        self.assert_refused(agent, NO)
        blocked, ignored = (int(line.split()[1], 16) for line in read(self.lab.path('signals')).splitlines())
        glibc_own = 0x180000000  # posix_spawn has them ignored
        self.assertEqual((blocked, ignored & ~glibc_own), (0, 0))
        agent.stop()

    def test_where_nobody_may_be_asked_it_is_a_no(self):
        askpass = Askpass(self.lab, '', '')
        for number, (require, display, wayland) in enumerate((
                (None, None, None), ('prefer', None, None), ('never', ':0', None))):
            with self.subTest(require):
                env = {'SSH_ASKPASS_REQUIRE': require, 'DISPLAY': display, 'WAYLAND_DISPLAY': wayland}
                agent = self.agent_that_asks(askpass, env=env, name=f'agent{number}')
                self.assert_refused(agent, NOBODY, '' if display else 'error: nobody can be asked')
                self.assertEqual(askpass.questions(), [])
                agent.stop()
        for number, name in enumerate(('DISPLAY', 'WAYLAND_DISPLAY'), 1):
            env = {'SSH_ASKPASS_REQUIRE': None, 'DISPLAY': None, 'WAYLAND_DISPLAY': None, name: ':0'}
            agent = self.agent_that_asks(askpass, env=env, name=name)
            self.assertTrue(agent.signs(self.key.key))
            self.assertEqual(len(askpass.questions()), number)
            agent.stop()

    @ours
    def test_one_yes_is_for_one_request(self):
        """Unlike a PIN, an answer is not shared."""
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        agent = self.agent_that_asks(askpass)
        with agent.connect() as one, agent.connect() as two:
            for client in (one, two):
                client.send(frame(sign_request(self.key.key.blob, b'data')))
            with open(fifo, 'w', encoding='utf-8') as answer:
                answer.write('yes\n')
            replies = sorted(client.read_frame()[0] for client in (one, two))
        self.assertEqual(replies, [5, 14])
        self.assertEqual(len(askpass.questions()), 2)

    @ours
    def test_the_agent_may_ask_about_every_key_of_its_folder(self):
        key, guarded = self.take('x'), self.take('guarded')
        askpass = Askpass(self.lab, '', 'no', 'no', 'correct horse')
        agent = Agent(self.lab, '--confirm', env=askpass.env)
        agent.sign_and_check(key)
        self.assertFalse(agent.signs(key))
        self.assertIn("'x'", askpass.questions()[0])
        self.assertEqual(askpass.environment(1)['SSH_ASKPASS_PROMPT'], 'confirm')
        self.assertFalse(agent.signs(guarded))  # and who is refused is not asked for the PIN
        self.assertEqual((len(askpass.questions()), self.tpm.wrong_tries()), (3, 0))
        agent.ssh_add(self.key.path, status=0)  # which is not from the folder
        agent.sign_and_check(self.key.key)

    @ours
    def test_whoever_adds_a_key_of_the_folder_does_not_take_that_off(self):
        key, other = self.take('x'), self.stocked('y')
        self.lab.keygen('-q', '-N', '', '-I', self.key.path, '-f', self.lab.path('keys/sealed'))
        askpass = Askpass(self.lab)  # says no
        agent = Agent(self.lab, '--confirm', env=askpass.env)
        for removed in (False, True):
            if removed:
                agent.ssh_add('-D', status=0)
            for file in (key.tpm, other.tpm, key.tpm):
                agent.add('-q', file, status=0)
            agent.ssh_add(self.key.path, status=0)
            self.assertEqual(len(agent.listed()), 3)
            for refused in (key, self.key.key):
                self.assertFalse(agent.signs(refused))
            self.assertTrue(agent.signs(other))
        self.assertEqual(len(askpass.questions()), 4)


if __name__ == '__main__':
    unittest.main()
