# SPDX-License-Identifier: MIT
"""Upstream agents: OpenSSH's own, and one that does what it is told, however rude."""

import os
import socket
import threading

from agent import Agent
from lab import Scenario, wait_until
from protocol import (EXTENSION, FAILURE, IDENTITIES_ANSWER, REQUEST_IDENTITIES, Connection, frame, string,
                      take_string, u32)
from softkey import SoftKey
from swtpm import Swtpm

LIST = bytes([REQUEST_IDENTITIES])


class SshAgent(Agent):
    """OpenSSH's ssh-agent. It can be killed, and another one started in its place."""

    def __init__(self, lab, name='other', env=None, limits=()):
        self.lab, self._env, self._limits = lab, env, limits
        self.socket = lab.path(name + '.sock')
        self.start()

    def start(self):
        self.process = self.lab.start(*self._limits, 'ssh-agent', '-D', '-a', self.socket, env=self._env)
        self.process.wait_line('Agent pid')

    def kill(self):
        """At once. It leaves its socket behind, and its askpass, which has all that it had open."""
        self.process.popen.kill()
        self.process.popen.wait()

    def restart(self):
        os.unlink(self.socket)
        self.start()


class Peer(Connection):
    """An accepted connection, seen from the agent's end."""

    def __init__(self, accepted):
        self.socket = accepted

    def requests(self):
        """The requests, as they come, until the client closes."""
        while (request := self.read_frame()) is not None:
            yield request

    def wait_until_closed(self):
        for _ in self.requests():
            pass


class FakeAgent:
    """Listens, and has `behaviour(peer)` deal with each connection, in a thread of its own; what has
    returned is closed. Without a behaviour, nothing is ever accepted; else all, or the first `accepts`. Clients
    see it as a process of `user`."""

    def __init__(self, test, behaviour, name='fake', backlog=1000, accepts=None, user=None):
        self.socket = test.lab.path(name + '.sock')
        self.behaviour = behaviour  # of the connections to come
        self.connections = 0
        self._accepts = accepts
        self._ended = False
        self._peers, self._threads = [], []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket)
        os.seteuid(user if user is not None else os.getuid())
        try:
            self._listener.listen(backlog)
        finally:
            os.seteuid(os.getuid())
        if behaviour is not None:
            self._run(self._accept)
        test.addCleanup(self.end)

    def _run(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._ended and self.connections != self._accepts:
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # by `end`
                return
            self.connections += 1
            self._peers.append(accepted)
            self._run(self._behave, accepted)

    def _behave(self, accepted):
        try:
            self.behaviour(Peer(accepted))
        except (OSError, AssertionError):
            pass  # the client has gone
        finally:
            accepted.close()
            self._peers.remove(accepted)

    def wait_until_left(self):
        """Until all connections are closed."""
        wait_until(lambda: not self._peers, 'the end of all connections')

    def end(self):
        self._ended = True
        self._listener.shutdown(socket.SHUT_RDWR)
        for accepted in list(self._peers):
            try:
                accepted.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has closed by itself meanwhile
        for thread in self._threads:
            thread.join(10)
        self._listener.close()


def identities(*pairs, count=None):
    """The answer to a list request: pairs of blob and comment."""
    body = b''.join(string(blob) + string(comment) for blob, comment in pairs)
    return bytes([IDENTITIES_ANSWER]) + u32(len(pairs) if count is None else count) + body


def always(*replies):
    """Behaviour: these frames, in one piece, in answer to each request."""
    def behave(peer):
        for _ in peer.requests():
            peer.send(b''.join(map(frame, replies)))
    return behave


def lists(*pairs):
    """Behaviour: an agent with these keys."""
    return always(identities(*pairs))


def signs(answer, blob):
    """Behaviour: an agent with this key, whose answer to a request to sign is what `answer` makes of the data and the
    flags."""
    def behave(peer):
        for request in peer.requests():
            if request == LIST:
                peer.send(frame(identities((blob, b'host'))))
            elif request[0] == EXTENSION:
                peer.send(frame(bytes([FAILURE])))
            else:
                data, flags = take_string(take_string(request[1:])[1])
                peer.send(frame(answer(data, int.from_bytes(flags, 'big'))))
    return behave


class WithAKey(Scenario):
    """A key of the TPM, `own`, for an agent that has upstream agents."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.own = self.lab.make_key('own')

    def soft(self, name, kind='ed25519', bits=256):
        return SoftKey(self.lab, os.path.join(self.lab.make_folder('soft'), name), kind, bits, name).key

    def assert_has(self, client, *keys):
        self.assertEqual([blob for blob, _ in client.list()], [key.blob for key in keys])


class TwoBehind(WithAKey):
    """Ours, with a key of the TPM, in front of two of OpenSSH."""

    def setUp(self):
        super().setUp()
        self.first, self.second = SshAgent(self.lab, 'first'), SshAgent(self.lab, 'second')

    def start(self, *options, others=None, **more):
        others = (self.first, self.second) if others is None else others
        self.agent = Agent(self.lab, *[word for other in others for word in ('-A', other.socket)], *options, **more)

    def give(self, agent, *keys):
        for key in keys:
            agent.ssh_add('-q', key.path, status=0)

    def assert_lists(self, *keys, agent=None):
        self.assertEqual((agent or self.agent).listed(), [key.line for key in keys])
