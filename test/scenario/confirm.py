#!/usr/bin/env python3
"""A key that was added with -c is used only when a person says yes; whatever else happens is a no."""

import os
import signal
import threading
import unittest

from agent import REFERENCE, Agent, Askpass, ours
from lab import Scenario, read, wait_until
from protocol import CONFIRM, add_identity, frame, sign_request
from softkey import SoftKey
from swtpm import Swtpm

NO, NOBODY = 'a person did not allow', 'nobody is there to allow'
FAILED = 'the askpass program could not ask about'


class Confirm(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.soft = SoftKey(self.lab, self.lab.path('soft'), comment='my soft key')

    def agent_that_asks(self, askpass, *options, env=None, **more):
        """Its one key wants to be confirmed."""
        agent = Agent(self.lab, *options, env={**askpass.env, **(env or {})}, **more)
        result = agent.ssh_add('-c', self.soft.path, status=0)
        self.assertIn('confirm', result.stderr)
        return agent

    def script(self, text):
        """An askpass of one's own making; what it is asked lies in `asked`."""
        class Script:
            program = self.lab.write('script', f'#!/bin/sh\necho "$1" >> {self.lab.folder}/asked\n{text}\n',
                                     mode=0o755)
            env = {'SSH_ASKPASS': program, 'SSH_ASKPASS_REQUIRE': 'force'}
        return Script

    def signs(self, agent):
        return agent.ssh_keygen_sign(self.soft.key).returncode == 0

    def assert_refused(self, agent, reason, *more):
        self.assertFalse(self.signs(agent))
        if REFERENCE:
            return
        said = [each for each in (NO, NOBODY, FAILED) if f'sign: {each} the use of key' in agent.log()]
        self.assertEqual(said, [reason], agent.log())
        for text in more:
            self.assertIn(text, agent.log())

    def test_each_use_is_asked_about_with_the_keys_name_and_fingerprint(self):
        askpass = Askpass(self.lab, '', 'yes')
        agent = self.agent_that_asks(askpass)
        for _ in range(2):
            self.assertTrue(self.signs(agent))
        self.assertEqual(len(askpass.questions()), 2)
        for number, question in enumerate(askpass.questions(), 1):
            self.assertRegex(question, "^Allow use of key '?my soft key")
            self.assertIn('?', question)
            self.assertIn(self.lab.fingerprint(self.soft.key), question)
            self.assertEqual(askpass.environment(number)['SSH_ASKPASS_PROMPT'], 'confirm')
        self.assertFalse(self.signs(agent))  # there is no third answer
        self.assertEqual(len(askpass.questions()), 3)

    def test_listing_does_not_ask(self):
        askpass = Askpass(self.lab)
        agent = self.agent_that_asks(askpass)
        self.assertEqual(agent.listed(), [self.soft.key.line])
        self.assertEqual(askpass.questions(), [])

    def test_nothing_and_yes_are_a_yes(self):
        for text in ('exit 0', 'echo', 'echo yes', 'echo YES', 'printf yes', 'printf "\\n"'):
            with self.subTest(text):
                agent = self.agent_that_asks(self.script(text))
                self.assertTrue(self.signs(agent))
                agent.process.end()

    def test_all_else_is_a_no(self):
        for text, reason in (('echo no', NO), ('echo y', NO), ('echo "yes please"', NO), ('echo " yes"', NO),
                             ('exit 1', NO), ('echo yes; exit 1', NO), ('exit 255', NO),
                             ('head -c 5000 /dev/zero | tr "\\0" y', FAILED), ('kill -9 $$', FAILED),
                             ('echo yes; kill -9 $$', FAILED), ('echo yes; kill -15 $$', FAILED)):
            with self.subTest(text):
                agent = self.agent_that_asks(self.script(text))
                self.assert_refused(agent, reason)
                self.assertEqual(len(agent.listed()), 1)
                self.assertTrue(os.path.exists(self.lab.path('asked')))
                os.unlink(self.lab.path('asked'))
                agent.process.end()

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

    def test_without_an_askpass_it_is_a_no(self):
        not_executable = self.lab.write('plain', '#!/bin/sh\nexit 0\n', mode=0o644)
        nothing_inside = self.lab.write('wrapper', '#!/bin/sh\nexec /nonexistent/askpass\n', mode=0o755)
        for program in (self.lab.path('absent'), not_executable, self.lab.folder, nothing_inside):
            with self.subTest(program):
                agent = self.agent_that_asks(Askpass(self.lab), env={'SSH_ASKPASS': program})
                self.assert_refused(agent, FAILED, f'error: askpass: {program}')
                agent.process.end()

    def test_without_a_display_it_is_a_no(self):
        askpass = Askpass(self.lab, '')
        agent = self.agent_that_asks(askpass, env={'SSH_ASKPASS_REQUIRE': None, 'DISPLAY': None,
                                                         'WAYLAND_DISPLAY': None})
        self.assert_refused(agent, NOBODY, 'error: nobody can be asked')
        self.assertEqual(askpass.questions(), [])

    def test_never_is_a_no(self):
        askpass = Askpass(self.lab, '')
        agent = self.agent_that_asks(askpass, env={'SSH_ASKPASS_REQUIRE': 'never', 'DISPLAY': ':0'})
        self.assertFalse(self.signs(agent))
        self.assertEqual(askpass.questions(), [])

    def test_a_key_without_the_constraint_does_not_ask(self):
        askpass = Askpass(self.lab)
        agent = self.agent_that_asks(askpass)
        other = SoftKey(self.lab, self.lab.path('other'))
        agent.ssh_add(other.path, status=0)
        agent.sign_and_check(other.key)
        self.assertEqual(askpass.questions(), [])

    @ours
    def test_others_are_served_while_a_person_thinks(self):
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        agent = self.agent_that_asks(askpass)
        other = SoftKey(self.lab, self.lab.path('other'))
        agent.ssh_add(other.path, status=0)
        results = []
        waiting = threading.Thread(target=lambda: results.append(self.signs(agent)))
        waiting.start()
        with open(fifo, 'w', encoding='utf-8') as answer:
            self.assertEqual(len(agent.listed()), 2)
            agent.sign_and_check(other.key)
            answer.write('\n')
        waiting.join(60)
        self.assertEqual(results, [True])

    @ours
    def test_one_yes_is_for_one_request(self):
        """Unlike a PIN, an answer is not shared."""
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        agent = self.agent_that_asks(askpass)
        with agent.connect() as one, agent.connect() as two:
            for client in (one, two):
                client.send(frame(sign_request(self.soft.key.blob, b'data')))
            with open(fifo, 'w', encoding='utf-8') as answer:
                answer.write('yes\n')
            replies = sorted(client.read_frame()[0] for client in (one, two))
        self.assertEqual(replies, [5, 14])
        self.assertEqual(len(askpass.questions()), 2)

    @ours
    def test_a_client_that_hangs_up_takes_its_question_back(self):
        askpass = Askpass(self.lab)
        askpass.answer_later(1)
        agent = self.agent_that_asks(askpass)
        with agent.connect() as client:
            client.send(frame(sign_request(self.soft.key.blob, b'data')))
            wait_until(askpass.questions, 'the question')
        wait_until(lambda: not agent.children(), 'the end of askpass')

    @ours
    def test_a_killed_askpass_is_a_no(self):
        askpass = Askpass(self.lab)
        askpass.answer_later(1)
        agent = self.agent_that_asks(askpass)
        with agent.connect() as client:
            client.send(frame(sign_request(self.soft.key.blob, b'data')))
            wait_until(askpass.questions, 'the question')
            os.kill(agent.children()[0], signal.SIGKILL)
            self.assertEqual(client.read_frame(), b'\x05')

    @ours
    def test_the_agent_may_ask_about_every_key_of_its_folder(self):
        key = self.lab.make_key('from the folder')
        askpass = Askpass(self.lab, '', 'no')
        agent = Agent(self.lab, '--confirm', env=askpass.env)
        agent.sign_and_check(key)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertIn('from the folder', askpass.questions()[0])
        self.assertEqual(askpass.environment(1)['SSH_ASKPASS_PROMPT'], 'confirm')
        agent.ssh_add(self.soft.path, status=0)  # which is not from the folder
        agent.sign_and_check(self.soft.key)

    @ours
    def test_whoever_adds_a_key_of_the_folder_does_not_take_that_off(self):
        key, other = self.lab.make_key('a'), self.lab.make_key('b', folder=self.lab.make_folder('elsewhere'))
        self.lab.keygen('-q', '-N', '', '-I', self.soft.path, '-f', self.lab.path('keys/sealed'))
        askpass = Askpass(self.lab)  # says no
        agent = Agent(self.lab, '--confirm', env=askpass.env)
        add = f'{self.lab.bin}/ssh-tpm-add', '-q'
        for removed in (False, True):
            if removed:
                agent.ssh_add('-D', status=0)
            for file in (key.tpm, other.tpm, key.tpm):
                self.lab.run(*add, file, env={'SSH_TPM_AUTH_SOCK': agent.socket}, status=0)
            agent.ssh_add(self.soft.path, status=0)
            self.assertEqual(len(agent.listed()), 3)
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assertFalse(self.signs(agent))
            agent.sign_and_check(other)
        self.assertEqual(len(askpass.questions()), 4)

    @ours
    def test_a_long_name_is_cut_in_the_question_and_in_the_log(self):
        askpass = Askpass(self.lab, 'yes')
        agent = Agent(self.lab, '-d', env=askpass.env)
        with agent.connect() as client:
            request = add_identity(self.soft.agent_fields(), b'z' * 900, CONFIRM)
            self.assertEqual(client.request(request), b'\x06')
            self.assertIsNotNone(client.sign(self.soft.key.blob, b'data'))
            self.assertEqual(client.list()[0][1], 'z' * 900)
        agent.ssh_add('-d', self.soft.pub, status=0)
        self.assertIn('z' * 100, agent.process.wait_line('removed key'))
        self.assertNotIn('z' * 201, agent.log())
        self.assertNotIn('z' * 201, askpass.questions()[0])

    @ours
    def test_who_is_refused_is_not_asked_for_the_pin(self):
        key = self.lab.make_key('x', pin='correct horse')
        askpass = Askpass(self.lab, 'no', 'correct horse')
        agent = Agent(self.lab, '--confirm', env=askpass.env)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(len(askpass.questions()), 1)
        self.assertEqual(self.tpm.wrong_tries(), 0)


if __name__ == '__main__':
    unittest.main()
