#!/usr/bin/env python3
"""The agent outlives a TPM that dies, hangs or changes, and clients that do not wait."""

import fcntl
import os
import signal
import socket
import threading
import unittest

from agent import Agent, Askpass
from lab import Scenario, wait_until
from protocol import frame, sign_request
from swtpm import Swtpm

PIN = 'correct horse 42'


class AgentBadDays(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def test_a_tpm_that_dies_within_a_command_serves_the_request_after_its_return(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        agent.sign_and_check(key)
        for _ in range(3):
            os.kill(self.tpm.process.popen.pid, signal.SIGSTOP)
            with agent.connect() as client:
                client.send(frame(sign_request(key.blob, b'lost')))
                self.tpm.kill()
                self.assertEqual(client.read_frame(), b'\x05')
            self.tpm.start()
            agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_pin_is_not_asked_for_again_after_the_tpm_came_back(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        agent.sign_and_check(key)
        self.tpm.kill()
        agent.ssh_keygen_sign(key)  # may fail: there is no TPM
        self.tpm.start()
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_the_persistent_storage_key_may_go_while_the_agent_runs(self):
        self.tpm.make_persistent()
        keys = [self.lab.make_key(name) for name in 'ab']
        agent = Agent(self.lab)
        agent.sign_and_check(keys[0])
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        agent.ssh_keygen_sign(keys[1])  # may fail: it finds the parent gone
        agent.sign_and_check(keys[1])

    def test_lists_are_answered_while_the_tpm_hangs_and_the_agent_ends_all_the_same(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        agent.sign_and_check(key)
        os.kill(self.tpm.process.popen.pid, signal.SIGSTOP)
        try:
            with agent.connect() as hanging, agent.connect() as other:
                hanging.send(frame(sign_request(key.blob, b'data')))
                self.assertEqual(len(other.list()), 1)
                agent.stop()
        finally:
            os.kill(self.tpm.process.popen.pid, signal.SIGCONT)

    def test_requests_for_one_key_share_one_question(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        agent = Agent(self.lab, env=askpass.env)
        results = [None] * 5

        def sign(number):
            with agent.connect() as client:
                results[number] = client.sign(key.blob, b'data %d' % number)

        threads = [threading.Thread(target=sign, args=(number,)) for number in range(len(results))]
        for thread in threads:
            thread.start()
        wait_until(askpass.questions, 'the question')
        with open(fifo, 'w') as answer:
            answer.write(PIN + '\n')
        for thread in threads:
            thread.join()
        self.assertNotIn(None, results)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_client_that_hangs_up_takes_its_question_back(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab, '', PIN)
        os.unlink(os.path.join(askpass.folder, 'answer.1'))
        askpass.answer_later(1)
        agent = Agent(self.lab, env=askpass.env)
        with agent.connect() as client:
            client.send(frame(sign_request(key.blob, b'data')))
            wait_until(askpass.questions, 'the question')
        agent.sign_and_check(key)  # its question is the second, answered at once
        self.assertEqual(len(askpass.questions()), 2)

    def test_clients_that_hang_up_at_once_leave_nothing_behind(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab)
        agent = Agent(self.lab, env=askpass.env)
        descriptors = f'/proc/{agent.process.popen.pid}/fd'
        before = len(os.listdir(descriptors))
        for _ in range(200):
            with agent.connect() as client:
                client.send(frame(sign_request(key.blob, b'data')))
        wait_until(lambda: len(os.listdir(descriptors)) <= before, 'the end of all connections')

    def test_the_socket_of_another_kind_is_never_removed(self):
        path = self.lab.path('datagram.sock')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(path)
            result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--no-load')
            self.assert_error(result, path, tool='ssh-tpm-agent')
            self.assertTrue(os.path.lexists(path))

    def test_who_locks_the_folder_of_the_socket_does_not_hold_an_agent_up_for_ever(self):
        folder = self.lab.make_folder('shared')
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_SH)
        result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-a', f'{folder}/agent.sock', '--no-load',
                              deadline=30)
        self.assert_error(result, f'{folder}: another process has locked', 'hint:', tool='ssh-tpm-agent')
        self.assertEqual(os.listdir(folder), [])

    def test_of_agents_that_start_at_once_on_a_stale_socket_one_lives(self):
        path = self.lab.path('stale.sock')
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        agents = [self.lab.start(f'{self.lab.bin}/ssh-tpm-agent', '-l', path, '--no-load') for _ in range(6)]
        wait_until(lambda: sum(agent.popen.poll() is None for agent in agents) == 1, 'one agent left')
        survivor, = (agent for agent in agents if agent.popen.poll() is None)
        survivor.wait_line(f'listening on {path}')
        listed = self.lab.run('ssh-add', '-l', env={'SSH_AUTH_SOCK': path})
        self.assertIn('no identities', listed.stdout + listed.stderr)


if __name__ == '__main__':
    unittest.main()
