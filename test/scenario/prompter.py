#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The process that asks for an agent: whatever an askpass program does, and however one of the two processes ends, a
question without an answer is a no, the terminal echoes again, and no process is left."""

import os
import re
import signal
import unittest

import memory
from agent import Agent, Askpass, children_of, companion
from keys_once import KeysOnce
from lab import needs_root, read, wait_until
from protocol import FAILURE, SIGN_RESPONSE, Connection, frame, sign_request
from terminal import SHELLS, Shell, has_ended

PIN = 'correct horse 42'
ENDED = 'the process that asks for PINs has ended; nobody can be asked until the agent is restarted'


class WithPrompter(KeysOnce):
    KEYS = {'guarded': {'pin': PIN}, 'free': {}}
    SOFT = ('soft',)

    def setUp(self):
        super().setUp()
        self.guarded, self.free = self.take('guarded'), self.take('free')

    def start(self, askpass, **more):
        agent = Agent(self.lab, '--no-cache', env=askpass.env, **more)
        agent.wait_until_listed([self.guarded.line, self.free.line])
        return agent

    def ask(self, client):
        client.send(frame(sign_request(self.guarded.blob, b'data')))


class Programs(WithPrompter):
    def script(self, text):
        askpass = Askpass(self.lab)
        self.lab.write('askpass/askpass', f'#!/bin/sh\n{text}\n', mode=0o755)
        return askpass

    def test_a_program_that_crashes_floods_or_closes_its_output_has_given_no_pin(self):
        agent = self.start(self.script(''))
        for text in ('kill -SEGV $$', f'echo "{PIN}"; kill -KILL $$', 'exec yes', 'exec cat /dev/zero',
                     f'echo "{PIN}"; exit 1', 'exec >&-', f'exec >&-; echo "{PIN}"', 'exec /nonexistent'):
            with self.subTest(text):
                self.script(text)
                self.assertFalse(agent.signs(self.guarded))
                self.assertTrue(agent.signs(self.free))
        self.assertEqual(agent.children(), [])
        self.script(f'echo "{PIN}"')
        self.assertTrue(agent.signs(self.guarded))
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assertNotIn(ENDED, agent.log())

    def test_a_program_that_hangs_ends_with_its_client_and_with_the_agent(self):
        self.lab.limit('finish', 0.1, 2)
        for text in ('exec sleep 600', 'exec >&-; exec sleep 600', 'trap "" TERM HUP INT; sleep 600; exit'):
            with self.subTest(text):
                agent = self.start(self.script(text))
                with agent.connect() as client:
                    self.ask(client)
                    wait_until(agent.children, 'the program')
                    self.assertTrue(agent.signs(self.free))
                wait_until(lambda: not agent.children(), 'the end of the program')
                with agent.connect() as client:
                    self.ask(client)
                    (program,) = wait_until(agent.children, 'the program')
                    prompter = agent.prompter()
                    agent.stop()
                for pid in (program, prompter):
                    wait_until(lambda pid=pid: has_ended(pid), 'the end')

    def test_a_hundred_questions_one_after_another(self):
        askpass = self.script(f'echo "{PIN}"')
        agent = self.start(askpass)
        with agent.connect() as client:
            for _ in range(100):
                self.assertIsNotNone(client.sign(self.guarded.blob, b'data'))
        self.assertEqual(agent.children(), [])

    def test_a_program_gets_no_socket_and_the_signals_defaults(self):
        """The prompter ignores signals, and has the agent's socket."""
        agent = self.start(self.script(f'grep SigIgn /proc/self/status >{self.lab.folder}/ignored\n'
                                       f'ls -l /proc/self/fd >{self.lab.folder}/open\necho "{PIN}"'))
        self.assertTrue(agent.signs(self.guarded))
        ignored = int(read(self.lab.path('ignored')).split()[1], 16)
        glibc_own = 0x180000000
        self.assertEqual(ignored & ~glibc_own, 0)
        self.assertNotIn('socket:', read(self.lab.path('open')))


class Ends(WithPrompter):
    def refused_from_now_on(self, agent):
        for _ in range(2):
            self.assertFalse(agent.signs(self.guarded))
            self.assertTrue(agent.signs(self.free))
        self.assertEqual(agent.log().count(ENDED), 1)
        self.assertEqual(len(children_of(agent.process.pid)), 2)  # the other is the opener: it is not started again
        agent.stop()

    def kill(self, agent):
        prompter = agent.prompter()
        os.kill(prompter, signal.SIGKILL)
        wait_until(lambda: has_ended(prompter), 'the end of the prompter')

    def test_a_prompter_that_was_killed_before_a_question(self):
        agent = self.start(Askpass(self.lab, PIN))
        self.kill(agent)
        self.refused_from_now_on(agent)

    def test_a_prompter_that_is_killed_while_it_asks(self):
        askpass = Askpass(self.lab)
        fifos = [askpass.answer_later(number) for number in (1, 2)]
        agent = self.start(askpass)
        soft = self.soft('soft')
        agent.ssh_add('-c', soft.path, status=0)
        with agent.connect() as client, agent.connect() as other:
            self.ask(client)
            other.send(frame(sign_request(soft.key.blob, b'data')))
            wait_until(lambda: len(askpass.questions()) == 2, 'the questions')
            self.kill(agent)
            for each in (client, other):
                self.assertEqual(each.read_frame()[0], FAILURE)
        for fifo in fifos:  # a program that nobody waits for ends by itself
            with open(fifo, 'w', encoding='utf-8') as file:
                file.write(PIN)
        self.assertEqual(agent.listed()[-1].split()[1], soft.key.line.split()[1])
        self.assertFalse(agent.signs(soft.key))
        self.refused_from_now_on(agent)

    def test_doctor_says_that_nobody_can_be_asked(self):
        agent = self.start(Askpass(self.lab))
        self.assertIn('asks for PINs through', self.findings(agent))
        self.kill(agent)
        self.assertIn('the process that asks for PINs for the agent has ended', self.findings(agent))

    def findings(self, agent):
        return self.lab.run('ssh-tpm-doctor', env={'SSH_AUTH_SOCK': agent.socket}).stdout

    def test_an_agent_that_is_killed_while_it_asks_takes_the_prompter_along(self):
        askpass = Askpass(self.lab)
        askpass.answer_later(1)
        agent = self.start(askpass)
        with agent.connect() as client:
            self.ask(client)
            wait_until(askpass.questions, 'the question')
            pids = [agent.prompter(), *agent.children()]
            agent.process.popen.kill()
            for pid in pids:
                wait_until(lambda pid=pid: has_ended(pid), 'the end')

    def test_signals_that_end_an_agent_do_not_end_its_prompter(self):
        agent = self.start(Askpass(self.lab, PIN))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1,
                       signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            os.kill(agent.prompter(), number)
        self.assertTrue(agent.signs(self.guarded))

    def test_the_echo_is_on_after_an_agent_was_killed_at_its_question_on_the_terminal(self):
        socket = self.lab.path('a.sock')
        for name, argv in SHELLS.items():
            with self.subTest(name), Shell(self.lab, *argv) as shell:
                shell.run(f'ssh-tpm-agent -l {socket} --key-dir {self.lab.keys}')
                shell.read_until('other shells find it')
                pid = shell.child()
                prompter = companion(pid, 'prompt')
                with Connection(socket) as client:
                    self.ask(client)
                    shell.read_until("Enter PIN for key 'guarded': ")
                    self.assertFalse(shell.echoes())
                    os.kill(pid, signal.SIGKILL)
                    wait_until(lambda: has_ended(prompter), 'the end of the prompter')
                shell.look()
                self.tpm.tool('tpm2_flushcontext', '-t')  # the killed one has left its keys there

    def test_a_killed_prompter_on_a_terminal_is_a_no(self):
        socket = self.lab.path('a.sock')
        with Shell(self.lab, *SHELLS['dash']) as shell:
            shell.run(f'ssh-tpm-agent -l {socket} --key-dir {self.lab.keys}')
            shell.read_until('other shells find it')
            prompter = companion(shell.child(), 'prompt')
            with Connection(socket) as client:
                self.ask(client)
                shell.read_until("Enter PIN for key 'guarded': ")
                os.kill(prompter, signal.SIGKILL)
                self.assertEqual(client.read_frame()[0], FAILURE)
                client.send(frame(sign_request(self.free.blob, b'data')))
                self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
            shell.read_until(ENDED)


@needs_root
class Descriptors(WithPrompter):
    def open(self, pid):
        """What a prompter has open, besides its epoll, its wake-up and its timer."""
        links = {number: os.readlink(f'/proc/{pid}/fd/{number}') for number in os.listdir(f'/proc/{pid}/fd')}
        return {int(number): target for number, target in links.items() if not target.startswith('anon_inode:')}

    def test_in_the_background_it_holds_nothing_of_the_shell(self):
        told = self.lab.run('ssh-tpm-agent', '-s', '-a', self.lab.path('a.sock'), '--key-dir', self.lab.keys, status=0)
        pid = int(re.search('SSH_AGENT_PID=([0-9]+)', told.stdout)[1])
        prompter = companion(pid, 'prompt')
        has = self.open(prompter)
        self.assertEqual([has.pop(number) for number in range(3)], ['/dev/null'] * 3)
        self.assertTrue(has.pop(3).startswith('socket:'))
        self.assertEqual(has, {})
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: has_ended(prompter) and has_ended(pid), 'the end')

    def test_beside_a_command_it_logs_where_the_agent_does_and_ends_with_the_command(self):
        command = self.lab.start('ssh-tpm-agent', '-a', self.lab.path('a.sock'), '--key-dir', self.lab.keys, 'sh', '-c',
                                 'echo "agent $SSH_AGENT_PID"; exec sleep 600')
        pid = int(command.wait_line('agent ').split()[1])
        prompter = companion(pid, 'prompt')
        has = self.open(prompter)
        self.assertEqual((has[0], has[1]), ('/dev/null', '/dev/null'))
        self.assertEqual(has[2], os.readlink(f'/proc/{pid}/fd/2'))
        self.assertEqual(sorted(has), [0, 1, 2, 3])
        command.popen.kill()
        wait_until(lambda: has_ended(prompter) and has_ended(pid), 'the end')


@needs_root
@memory.wiping_builds
class Secrets(WithPrompter):
    def test_no_pin_stays_in_the_prompter(self):
        askpass = Askpass(self.lab, PIN, PIN)
        agent = self.start(askpass)
        for _ in range(2):
            self.assertTrue(agent.signs(self.guarded))
        self.assertEqual(memory.find(agent.prompter(), PIN, thorough=True), [])
        self.assertRegex(read(f'/proc/{agent.prompter()}/limits'), 'Max core file size +0 ')

    def test_no_pin_that_was_typed_stays_in_the_prompter(self):
        socket = self.lab.path('a.sock')
        with Shell(self.lab, *SHELLS['dash']) as shell:
            shell.run(f'ssh-tpm-agent -l {socket} --key-dir {self.lab.keys}')
            shell.read_until('other shells find it')
            with Connection(socket) as client:
                self.ask(client)
                shell.answer("Enter PIN for key 'guarded': ", PIN)
                self.assertEqual(client.read_frame()[0], SIGN_RESPONSE)
            prompter = companion(shell.child(), 'prompt')
            self.assertEqual(memory.find(prompter, PIN, thorough=True), [])

    def test_the_owner_password_is_the_agents_alone(self):
        password = memory.random_pin()
        for options, env in (((), {'SSH_TPM_AGENT_OWNER_PASSWORD': password}),
                             (('--owner-password-file', self.lab.write('owner', password, mode=0o600)), {})):
            with self.subTest(options):
                agent = Agent(self.lab, *options, env=env)
                for pid in children_of(agent.process.pid):
                    self.assertEqual(memory.find(pid, password, thorough=True), [])
                agent.stop()


if __name__ == '__main__':
    unittest.main()
