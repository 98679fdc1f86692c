#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An agent that is restarted breaks no request: at SIGTERM it serves the open connections for a while, and those that
wait in a socket of systemd's are served by the next agent. sshd's host keys are in it, and each login needs it."""

import os
import signal
import socket
import threading
import unittest

from agent import Agent, Askpass, ours
from hierarchy import KINDS, login, read_public
from keys_once import KeysOnce
from lab import slow, wait_until
from protocol import frame, sign_request
from softkey import SoftKey
from sshd import Sshd
from stock import HostKeyStock


class Supervisor(threading.Thread):
    """Restarts an agent without pause, and gives it the same socket each time, as systemd does."""

    def __init__(self, lab, *command):
        super().__init__(daemon=True)
        self.lab, self.command = lab, command
        self.socket = lab.path('supervised.sock')
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.socket)
        self._listening.listen()
        self.ending, self.restarts, self.failure = False, 0, None
        self.status = []

    def run(self):
        try:
            while not self.ending:
                number = self._listening.fileno()
                agent = self.lab.start('bash', '-c', f'exec 3<&{number}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', 'bash',
                                       *self.command, pass_fds=(number,))
                agent.wait_line('listening on')
                agent.popen.send_signal(signal.SIGTERM)
                self.status.append(agent.wait())
                self.restarts += 1
        except Exception as error:  # told by the test's own thread
            self.failure = error

    def end(self):
        self.ending = True
        self.join(60)
        self._listening.close()
        return self.status


@ours
class Logins(HostKeyStock):
    FOLDERS = ('stock', 'state')

    def test_no_login_fails_while_the_agent_is_restarted_again_and_again(self, logins=30):
        self.lab.limit('finish', 30, real=2)  # a machine under load takes its time for a login
        keys = [read_public(self.lab.path('stock'), kind) for kind in KINDS]
        agent = Supervisor(self.lab, f'{self.lab.bin}/ssh-tpm-agent', '--key-dir', self.lab.path('stock/etc/ssh'),
                           '--no-seal', '--no-cache')
        agent.start()
        user = SoftKey(self.lab, self.lab.path('user'))
        server = Sshd(self.lab, f'HostKeyAgent {agent.socket}', authorized=[user.pub],
                      host_keys=[key.path + '.pub' for key in keys])
        known = self.lab.write('known_hosts', ''.join(f'[127.0.0.1]:{server.port} {key.line}\n' for key in keys))
        failed = []
        for number in range(logins):
            algorithm = 'rsa-sha2-512' if number % 4 == 0 else 'ecdsa-sha2-nistp256'
            result = login(self.lab, server, user, known, '-o', f'HostKeyAlgorithms={algorithm}')
            if (result.returncode, result.stdout) != (0, 'in\n'):
                failed.append(result.stderr)
        status = agent.end()
        self.assertIsNone(agent.failure)
        print(f'{logins} logins during {agent.restarts} restarts, {len(failed)} failed')
        self.assertEqual(failed, [])
        self.assertEqual(set(status), {0})
        self.assertGreater(agent.restarts, 1)

    @slow
    def test_no_login_of_two_hundred_fails(self):
        self.test_no_login_fails_while_the_agent_is_restarted_again_and_again(200)


@ours
class Ending(KeysOnce):
    KEYS = {'guarded': {'pin': '1234'}}

    def setUp(self):
        super().setUp()
        self.key = self.take('guarded')
        self.askpass = Askpass(self.lab)
        self.answer = self.askpass.answer_later(1)
        self.finish = self.lab.limit('finish', 60, real=2)
        self.agent = Agent(self.lab, env=self.askpass.env)

    def ask(self):
        """A client whose request waits for a person."""
        (client,) = self.connect(self.agent, 1)
        client.send(frame(sign_request(self.key.blob, b'data')))
        wait_until(self.askpass.questions, 'the question')
        return client

    def end(self, *signals):
        for number in signals:
            self.agent.process.popen.send_signal(number)
            if number == signal.SIGTERM:
                self.agent.process.wait_line('when the open connections are served')

    def assert_ended(self):
        self.assertEqual(self.agent.process.wait(), 0, self.agent.log())
        self.assertFalse(os.path.lexists(self.agent.socket))

    def test_the_last_connection_is_the_end_and_the_file_of_the_socket_goes_at_once(self):
        idle, = self.connect(self.agent, 1)
        idle.list()
        client = self.ask()
        self.end(signal.SIGTERM)
        wait_until(lambda: not os.path.lexists(self.agent.socket), 'the end of the socket')
        with open(self.answer, 'w', encoding='ascii') as answer:
            answer.write('1234\n')
        self.assertEqual(client.read_frame()[0], 14)  # SSH_AGENT_SIGN_RESPONSE
        client.socket.close()
        self.assertIsNone(self.agent.process.popen.poll())
        idle.list()
        idle.socket.close()
        self.assert_ended()

    def test_without_a_connection_it_ends_at_once(self):
        self.end(signal.SIGTERM)
        self.assert_ended()

    def test_a_second_signal_and_an_interrupt_end_it_at_once(self):
        for signals in (signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT), (signal.SIGINT,):
            with self.subTest(signals=signals):
                (client,) = self.connect(self.agent, 1)
                client.list()
                self.end(*signals)
                self.assert_ended()
                self.agent = Agent(self.lab, env=self.askpass.env)

    def test_a_connection_that_stays_open_does_not_keep_it(self):
        self.agent.stop()
        self.lab.limit('finish', 0.2, real=2)
        self.agent = Agent(self.lab, env=self.askpass.env)
        client = self.ask()
        self.end(signal.SIGTERM)
        self.assert_ended()
        self.assertEqual(client.socket.recv(1), b'')


if __name__ == '__main__':
    unittest.main()
