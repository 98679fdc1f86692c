#!/usr/bin/env python3
"""An agent behind ours that is slow, full or stopped for a while: its keys come back and nobody waits."""

import os
import signal
import time
import unittest

from agent import Agent
from hostkey import HostKey
from lab import Scenario, wait_until
from protocol import (FAILURE, IDENTITIES_ANSWER, REMOVE_ALL, REMOVE_ALL_RSA, SUCCESS, extension, frame, lock,
                      remove_identity, session_bind, sign_request, string, u32, unlock)
from resources import is_sanitized, rss
from softkey import SoftKey
from swtpm import Swtpm
from upstream import LIST, FakeAgent, SshAgent, always, identities, lists

SANITIZED = is_sanitized(os.environ['SSH_TPM_BUILD'])
BLOB = string(b'ssh-ed25519') + string(bytes(32))
STRANGER = string(b'ssh-ed25519') + string(b'stranger' * 4)


def hang(peer):
    peer.wait_until_closed()


class UpstreamLimits(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.own = self.lab.make_key('own')
        self.soft = SoftKey(self.lab, self.lab.path('soft'), 'ed25519', 256, 'soft').key

    def before(self, *others):
        return Agent(self.lab, *[word for other in others for word in ('-A', other.socket)])

    def ssh_agent(self, *limits):
        """OpenSSH's, with a key."""
        other = SshAgent.__new__(SshAgent)
        other.lab, other.socket = self.lab, self.lab.path('other.sock')
        other.process = self.lab.start(*limits, 'ssh-agent', '-D', '-a', other.socket)
        other.process.wait_line('Agent pid')
        other.ssh_add('-q', self.soft.path, status=0)
        return other

    def connect(self, agent, count):
        clients = [agent.connect() for _ in range(count)]
        for client in clients:
            self.addCleanup(client.socket.close)
        return clients

    def counts(self, clients):
        """How many keys each is shown, when all ask at once."""
        for client in clients:
            client.send(frame(LIST))
        replies = [client.read_frame() for client in clients]
        self.assertTrue(all(reply[0] == IDENTITIES_ANSWER for reply in replies))
        return [int.from_bytes(reply[1:5], 'big') for reply in replies]

    def test_one_whose_queue_of_connections_is_full_for_a_moment(self):
        other = self.ssh_agent()
        agent = self.before(other)
        clients = self.connect(agent, 300)
        with Paused(other.process.pid):
            for client in clients:
                client.send(frame(LIST))
            with agent.connect() as witness:  # these have been read
                witness.request(extension(b'query'))
        for client in clients:
            self.assertEqual(client.read_frame()[1:5], u32(2))
        self.assertNotIn('another user', agent.log())

    def test_more_clients_than_it_is_asked_for_at_a_time(self):
        agent = self.before(self.ssh_agent())
        self.assertEqual(self.counts(self.connect(agent, 600)), [2] * 600)

    def test_a_good_one_behind_one_that_hangs(self):
        hung, good = FakeAgent(self, hang), self.ssh_agent()
        agent = self.before(hung, good)
        other = SoftKey(self.lab, self.lab.path('another'), 'ed25519', 256, 'another').key
        begun = time.monotonic()
        agent.ssh_add('-q', other.path, status=0)
        self.assertEqual(len(agent.listed()), 3)
        with agent.connect() as client:
            for request in (extension(b'hello@example.com'), sign_request(STRANGER, b'data'),
                            remove_identity(STRANGER)):
                self.assertEqual(client.request(request), bytes([FAILURE]))
            wait_until(lambda: client.list() and hung.connections >= 3, 'the rest to be over')
            for request in (extension(b'hello@example.com'), sign_request(STRANGER, b'data')):
                self.assertEqual(client.request(request), bytes([FAILURE]))
        self.assertLess(time.monotonic() - begun, 60 if SANITIZED else 12)
        agent.ssh_add('-q', '-d', other.pub, status=0)
        self.assertEqual(len(agent.listed()), 2)

    def test_many_that_wait_for_the_same_bad_second_make_it_rest_once(self):
        sick = FakeAgent(self, hang)
        agent = self.before(sick)
        self.assertEqual(self.counts(self.connect(agent, 20)), [1] * 20)
        sick.behaviour = lists((BLOB, b'back'))
        begun = time.monotonic()
        with agent.connect() as client:
            wait_until(lambda: len(client.list()) == 2, 'its key')
        self.assertLess(time.monotonic() - begun, 30 if SANITIZED else 4)

    def test_one_that_closes_late_is_left_to_rest(self):
        def late(peer):
            peer.read_frame()
            time.sleep(0.5)
        agent = self.before(FakeAgent(self, late))
        with agent.connect() as client:
            client.list()
            begun = time.monotonic()
            for _ in range(20):
                client.list()
            self.assertLess(time.monotonic() - begun, 2)

    def test_one_at_its_limit_serves_those_that_it_has(self):
        other = self.ssh_agent('prlimit', '--nofile=40:40')
        agent = self.before(other)
        clients = self.connect(agent, 45)
        shown = [len(client.list()) for client in clients]
        first = [client for client, count in zip(clients, shown) if count == 2][:10]
        self.assertEqual(len(first), 10)
        self.assertIn(1, shown)  # it takes no more
        for client in first:
            self.assertEqual(len(client.list()), 2)
        # And what nobody uses is closed, for others.
        wait_until(lambda: len(clients[-1].list()) == 2, 'a place there', 100)

    def test_remove_all_reaches_one_that_rests(self):
        other = self.ssh_agent()
        agent = self.before(other)
        with Paused(other.process.pid), agent.connect() as client:
            client.list()
        self.assertEqual(len(other.listed()), 1)
        agent.ssh_add('-q', '-D', status=0)
        self.assertEqual(other.listed(), [])

    def test_remove_all_reaches_them_without_the_client(self):
        other = self.ssh_agent()
        agent = self.before(other)
        with Paused(other.process.pid):
            with agent.connect() as client:
                client.send(frame(bytes([REMOVE_ALL])))
                with agent.connect() as witness:
                    wait_until(lambda: witness.request(sign_request(self.own.blob, b'x')) == b'\x05', 'own keys')
        wait_until(lambda: not other.listed(), 'its keys to go')

    def test_one_without_protocol_1_is_not_complained_of(self):
        def behave(peer):
            for request in peer.requests():
                peer.send(frame(bytes([FAILURE if request[0] == REMOVE_ALL_RSA else SUCCESS])))
        agent = self.before(FakeAgent(self, behave))
        agent.ssh_add('-q', '-D', status=0)
        agent.stop()
        self.assertNotIn('told', agent.log())

    def test_an_answer_that_nobody_asked_for_is_no_later_ones(self):
        wrong = identities((STRANGER, b'wrong'))

        def behave(peer):
            for _ in peer.requests():
                peer.send(frame(identities((BLOB, b'right'))))
                time.sleep(0.1)
                peer.send(frame(wrong))
        agent = self.before(FakeAgent(self, behave))
        with agent.connect() as client:
            for _ in range(3):
                self.assertEqual([comment for _, comment in client.list()], ['own', 'right'])
                time.sleep(0.3)  # nothing tells that the second one has come

    def test_what_is_not_its_own_is_done_while_one_hangs(self):
        def hang_when_signing(peer):
            for request in peer.requests():
                if request != LIST:
                    peer.wait_until_closed()
                peer.send(frame(identities((BLOB, b'there'))))
        agent = self.before(FakeAgent(self, hang_when_signing))
        with agent.connect() as waiting, agent.connect() as other:
            waiting.list()
            waiting.send(frame(sign_request(BLOB, b'data')))
            begun = time.monotonic()
            self.assertEqual(other.request(remove_identity(self.own.blob))[0], SUCCESS)
            agent.ssh_add('-q', SoftKey(self.lab, self.lab.path('ecdsa')).path, status=0)
            self.assertEqual(len(other.list()), 2)
            self.assertEqual(other.request(lock(b'a word'))[0], SUCCESS)
            self.assertEqual(other.list(), [])
            self.assertEqual(other.request(unlock(b'a word'))[0], SUCCESS)
            self.assertEqual(len(other.list()), 2)
            self.assertLess(time.monotonic() - begun, 20 if SANITIZED else 5)

    @unittest.skipIf(SANITIZED, 'a sanitizer keeps memory')
    def test_a_long_list_leaves_nothing_behind(self):
        pairs = [(string(b'ssh-ed25519') + string(u32(number) * 8), b'x' * 80) for number in range(1800)]
        agent = self.before(FakeAgent(self, lists(*pairs)))
        clients = self.connect(agent, 60)
        for client in clients[:10]:
            client.list()
        before = rss(agent.process.pid)
        for client in clients[10:]:
            client.list()
        self.assertLess(rss(agent.process.pid) - before, 50 * 32)  # KiB

    @unittest.skipIf(SANITIZED, 'a sanitizer keeps memory')
    def test_what_stands_behind_a_session_bind_is_not_kept(self):
        host = HostKey(self.lab, 'host')
        agent = self.before(FakeAgent(self, always(bytes([SUCCESS]))))
        before = rss(agent.process.pid)
        for client in self.connect(agent, 5):
            for number in range(16):
                request = session_bind(host, b'id%d' % number, True)
                self.assertEqual(client.request(request + bytes(262144 - len(request)))[0], SUCCESS)
        self.assertLess(rss(agent.process.pid) - before, 5 * 512)  # KiB


class Paused:
    """A process that does nothing meanwhile."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


if __name__ == '__main__':
    unittest.main()
