# SPDX-License-Identifier: MIT
"""ssh-tpm-add, and an agent that writes down what it is sent and says what it was told to say."""

import os
import socket
import struct
import threading

from lab import Scenario
from protocol import MAX_FRAME, frame, string, take_string, u32

EXTENSION, EXTENSION_FAILURE, EXTENSION_RESPONSE = 27, 28, 29
SUCCESS = bytes([6])


class Recorder:
    """`requests` are the messages so far. `answer` takes a message and gives the reply's bytes; None closes."""

    def __init__(self, lab, answer=lambda request: SUCCESS, name='recorder'):
        self.path = lab.path(name + '.sock')
        self.requests = []
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self.listener.accept()
            with client, client.makefile('rb') as stream:
                while header := stream.read(4):
                    (length,) = struct.unpack('>I', header)
                    assert length <= MAX_FRAME
                    self.requests.append(stream.read(length))
                    reply = self.answer(self.requests[-1])
                    if reply is None:
                        break
                    client.sendall(frame(reply))

    def added(self):
        """(key file, certificate, constraints) of each tpm-add-key so far."""
        found = []
        for request in self.requests:
            if request[0] == EXTENSION:
                name, body = take_string(request[1:])
                if name == b'tpm-add-key':
                    found.append(self._tpm_add_key(body))
        return found

    @staticmethod
    def _tpm_add_key(body):
        # As the Go program writes it: the number of ADD_IDENTITY, a word for the type, then the fields.
        if body[0] != 17:
            raise AssertionError(f'tpm-add-key begins with {body[:5]}')
        word, rest = take_string(body[1:])
        if word != b'TPMKEY':
            raise AssertionError(f'a key of type {word}')
        text, rest = take_string(rest)
        certificate, constraints = take_string(rest)
        return text.decode(), certificate, constraints


def identities(*pairs):
    """The answer to a request for the list."""
    return bytes([12]) + u32(len(pairs)) + b''.join(string(part) for pair in pairs for part in pair)


def extensions(*names):
    """The answer to `query`."""
    return bytes([EXTENSION_RESPONSE]) + string(b'query') + b''.join(string(name.encode()) for name in names)


class AddScenario(Scenario):
    """The tool is pointed to `self.socket`."""

    TOOL = 'ssh-tpm-add'

    def setUp(self):
        super().setUp()
        self.socket = None

    def environment(self, env=None):
        return {'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': self.socket, **(env or {})}

    def add(self, *options, env=None, **more):
        """Runs ssh-tpm-add: the completed process."""
        return self.lab.run(f'{self.lab.bin}/{self.TOOL}', *options, env=self.environment(env), **more)

    def ssh_add(self, *options, **more):
        """Runs OpenSSH's ssh-add with the same agent."""
        return self.lab.run('ssh-add', *options, env={'SSH_AUTH_SOCK': self.socket}, **more)

    def assert_refused(self, result, *words, status=1):
        self.assert_error(result, *words, status=status, tool=self.TOOL)

    def assert_like_ssh_add(self, *options, **more):
        """Both tools print the same and end the same; returns what they print."""
        ours, theirs = self.add(*options, **more), self.ssh_add(*options, **more)
        self.assertEqual((ours.returncode, ours.stdout, ours.stderr), (theirs.returncode, theirs.stdout, theirs.stderr))
        return ours.stdout

    def start_ssh_agent(self):
        """OpenSSH's own agent."""
        self.socket = self.lab.path('ssh-agent.sock')
        process = self.lab.start('ssh-agent', '-D', '-a', self.socket)
        process.wait_line('Agent pid')

    def soft_key(self, name, *options):
        """An ordinary key by ssh-keygen; its path."""
        path = os.path.join(self.lab.keys, name)
        self.lab.ssh_keygen('-q', '-N', '', '-C', name, *(options or ('-t', 'ed25519')), '-f', path)
        return path
