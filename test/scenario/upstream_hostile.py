#!/usr/bin/env python3
"""Whatever an agent behind ours does: our keys are listed and sign as if it were not there."""

import os
import socket
import time
import unittest

from agent import Agent
from lab import Scenario, wait_until
from protocol import (FAILURE, IDENTITIES_ANSWER, SIGN_RESPONSE, SUCCESS, frame, readable, sign_request,
                      string, u32)
from resources import descriptors, is_sanitized, rss
from swtpm import Swtpm
from upstream import LIST, FakeAgent, always, identities, lists

SANITIZED = is_sanitized(os.environ['SSH_TPM_BUILD'])
MIB = 1024  # in KiB
# In seconds. An upstream has one second for its first list; what is answered at once takes a millisecond.
FIRST, PROMPT = (5, 2) if SANITIZED else (2, 0.5)
WATCHED = 5
GOOD = identities((string(b'ssh-ed25519') + string(bytes(32)), b'of the sick one'))
ESCAPES = 'a\x1b[2Jb\rc\x07d\x9be\u202ef\u200bg\nh\x7f'


def hang(peer):
    peer.wait_until_closed()


def hang_after(beginning):
    """In its answer to the first request."""
    def behave(peer):
        peer.read_frame()
        peer.send(beginning)
        peer.wait_until_closed()
    return behave


def close(_):
    pass


def read_and_close(peer):
    peer.read_frame()


def one_byte_a_second(peer):
    for _ in peer.requests():
        for byte in frame(GOOD):
            peer.send(bytes([byte]))
            time.sleep(1)


def raw(answer):
    """Bytes that need not be a frame."""
    def behave(peer):
        for _ in peer.requests():
            peer.send(answer)
    return behave


def flood(peer):
    peer.read_frame()
    while True:
        peer.send(frame(GOOD) * 100)


HANGS = {
    'never_answers': hang,
    'stops_within_the_header': hang_after(frame(GOOD)[:2]),
    'stops_within_the_body': hang_after(frame(GOOD)[:20]),
    'stops_within_a_long_body': hang_after(u32(262144) + bytes([IDENTITIES_ANSWER]) * 100_000),
    'sends_a_byte_a_second': one_byte_a_second,
}
RUBBISH = {
    'sends_a_frame_of_no_bytes': raw(u32(0)),
    'sends_a_frame_of_4_gigabytes': raw(u32(0xFFFFFFFF) + b'x' * 1000),
    'answers_a_list_request_with_success': always(bytes([SUCCESS])),
    'answers_a_list_request_with_failure': always(bytes([FAILURE])),
    'answers_a_list_request_with_a_signature': always(bytes([SIGN_RESPONSE]) + string(b'signature')),
    'claims_4_billion_keys': always(identities(count=0xFFFFFFFF)),
    'claims_2049_keys': always(identities(*[(string(b'x'), b'')] * 2049)),
    'has_a_blob_that_ends_too_early': always(bytes([IDENTITIES_ANSWER]) + u32(1) + u32(100) + b'x' * 50),
    'has_a_blob_without_a_type': always(identities((b'\0\0\0\xffssh', b''))),
    'answers_twice': always(GOOD, GOOD),
    'floods': flood,
}
CLOSES = {
    'closes_at_once': close,
    'closes_instead_of_an_answer': read_and_close,
}


class Hostile(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.key = self.lab.make_key('own')
        self.own = (self.key.blob, 'own')
        well_key = (string(b'ssh-ed25519') + string(b'well' * 8), b'of the well one')
        self.well = FakeAgent(self, lists(well_key), name='well')
        self.expected = [self.own, (well_key[0], well_key[1].decode())]

    def agent_before(self, *others):
        """The well one comes last: whatever is wrong with those in front of it."""
        options = [word for other in (*others, self.well) for word in ('-A', other.socket)]
        return Agent(self.lab, *options)

    def lines_about(self, agent, other):
        return [line for line in agent.log().splitlines() if other.socket in line]

    def assert_logged_once(self, agent, *others):
        agent.stop()
        for other in others:
            self.assertEqual(len(self.lines_about(agent, other)), 1, agent.log())

    def first_list(self, agent, hangs):
        """The list, while another client signs."""
        with agent.connect() as client, agent.connect() as other:
            self.assertIsNotNone(other.sign(self.key.blob, b'warms the key'))
            begun = time.monotonic()
            client.send(frame(LIST))
            self.assertIsNotNone(other.sign(self.key.blob, b'data'))
            early = readable([client], 0)
            if hangs and time.monotonic() - begun < 0.9:  # its second is for this client alone to wait for
                self.assertEqual(early, [])
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
            self.assertLess(time.monotonic() - begun, FIRST if hangs else PROMPT)

    def lists_for_a_while(self, agent, expected):
        """From one client that stays and many that come and go; how many lists these were."""
        times, signatures = [], []
        end = time.monotonic() + WATCHED
        with agent.connect() as client:
            while time.monotonic() < end:
                for connection in (client, agent.connect()):
                    begun = time.monotonic()
                    self.assertEqual(connection.list(), expected)
                    times.append(time.monotonic() - begun)
                connection.socket.close()
                begun = time.monotonic()
                self.assertIsNotNone(client.sign(self.key.blob, b'data'))
                signatures.append(time.monotonic() - begun)
        # On a busy machine any answer may be late, and the made-up agents share one interpreter.
        for durations in times, signatures:
            slow = [duration for duration in durations if duration >= PROMPT]
            self.assertLessEqual(len(slow), len(durations) // 100, slow)
        return len(times)

    def watch(self, agent, expected, hangs=False):
        """What every upstream must not disturb; how many lists there were."""
        before = descriptors(agent.process.pid)
        self.first_list(agent, hangs)
        memory = rss(agent.process.pid)
        count = self.lists_for_a_while(agent, expected)
        if not SANITIZED:
            self.assertLess(rss(agent.process.pid) - memory, MIB)
        wait_until(lambda: descriptors(agent.process.pid) <= before, 'all connections to be closed')
        return count

    def check(self, behaviour, hangs=False, closes=False):
        sick = FakeAgent(self, behaviour)
        agent = self.agent_before(sick)
        count = self.watch(agent, self.expected, hangs)
        # At the start, after one second of rest, and after two more; each tried once, or found broken first.
        # One that closes is as good as absent: it costs nobody time, so every client asks it anew.
        self.assertLessEqual(sick.connections, count + 1 if closes else 4)
        self.assert_logged_once(agent, sick)

    def test_one_that_does_not_accept(self):
        sick = FakeAgent(self, None)
        agent = self.agent_before(sick)
        self.watch(agent, self.expected, hangs=True)
        self.assert_logged_once(agent, sick)

    def test_one_whose_queue_of_connections_is_full(self):
        sick = FakeAgent(self, None, backlog=0)
        with self.assertRaises(BlockingIOError):
            while True:
                waiting = socket.socket(socket.AF_UNIX)
                self.addCleanup(waiting.close)
                waiting.setblocking(False)
                waiting.connect(sick.socket)
        agent = self.agent_before(sick)
        self.watch(agent, self.expected, hangs=True)
        self.assert_logged_once(agent, sick)

    def test_one_with_as_many_keys_as_a_list_may_have(self):
        pairs = [(string(b'ssh-ed25519') + string(u32(number) * 8), b'%d' % number) for number in range(2048)]
        agent = self.agent_before(FakeAgent(self, lists(*pairs)))
        there = [(blob, comment.decode()) for blob, comment in pairs]
        self.watch(agent, [self.own, *there[:2047]])
        self.assertEqual(len(agent.listed()), 1 + 2047)  # ssh-add takes it

    def test_one_whose_list_is_as_long_as_a_frame_may_be(self):
        pairs = [(string(b'ssh-ed25519') + string(u32(number) * 8), b'x' * 80) for number in range(1800)]
        pairs.append((string(b'ssh-ed25519') + string(b'last' * 8), b''))
        pairs[-1] = (pairs[-1][0], b'x' * (262144 - len(identities(*pairs))))
        agent = self.agent_before(FakeAgent(self, lists(*pairs)))
        with agent.connect() as client:
            client.send(frame(LIST))
            self.assertLessEqual(len(client.read_frame()), 262144)
            listed = client.list()
        self.assertEqual(listed[0], self.own)
        self.assertEqual(listed[1:1800], [(blob, comment.decode()) for blob, comment in pairs[:1799]])

    def test_one_whose_comments_move_the_cursor(self):
        blob = string(b'ssh-ed25519') + string(bytes(32))
        bad = FakeAgent(self, lists((blob, ESCAPES.encode() + b'\xff\xc3')))
        agent = self.agent_before(bad)
        shown = 'a?[2Jb?c?d?e?f?g?h???'
        self.watch(agent, [self.own, (blob, shown), self.expected[1]])
        for option in '-l', '-L':
            printed = agent.ssh_add(option, status=0).stdout
            self.assertTrue(printed.replace('\n', '').isprintable(), repr(printed))
            self.assertEqual(printed.count('\n'), 3)

    def test_one_with_a_key_of_an_unknown_type_that_moves_the_cursor(self):
        bad = FakeAgent(self, lists((string(b'\x1b[2J'), b'plain'), (self.key.blob, b'not our comment')))
        agent = self.agent_before(bad)
        listed = agent.ssh_add('-l')
        self.assertNotIn('\x1b', listed.stdout + listed.stderr)
        with agent.connect() as client:
            self.assertEqual(client.list()[0], self.own)

    def test_all_of_them_at_once(self):
        behaviours = {**HANGS, **RUBBISH, **CLOSES}
        sick = [FakeAgent(self, behaviour, name) for name, behaviour in behaviours.items()]
        agent = self.agent_before(*sick)
        self.watch(agent, self.expected, hangs=True)
        self.assert_logged_once(agent, *sick)

    def test_many_clients_wait_for_the_same_second(self):
        sick = FakeAgent(self, hang)
        agent = self.agent_before(sick)
        clients = [agent.connect() for _ in range(50)]
        begun = time.monotonic()
        for client in clients:
            self.addCleanup(client.socket.close)
            client.send(frame(LIST))
        for client in clients:
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
        self.assertLess(time.monotonic() - begun, FIRST)
        begun = time.monotonic()
        for client in clients:
            self.assertEqual(client.list(), self.expected)
        self.assertLess(time.monotonic() - begun, FIRST)
        self.assert_logged_once(agent, sick)

    def check_recovery(self, behaviour):
        sick = FakeAgent(self, behaviour)
        agent = self.agent_before(sick)
        with agent.connect() as client:
            self.assertEqual(client.list(), self.expected)
            sick.behaviour = always(GOOD)
            wait_until(lambda: len(client.list()) == 3, 'the key of the one that is well again', 10)
            # An old connection that is good says nothing of new ones: a probe of one does.
            wait_until(lambda: client.list() and ' answers' in agent.log(), 'the end of its rest', 10)
        self.assertEqual(len(self.lines_about(agent, sick)), 2)

    def test_one_that_hung_and_is_well_again(self):
        self.check_recovery(hang)

    def test_one_that_talked_rubbish_and_is_well_again(self):
        def one_bad_answer(peer):
            peer.read_frame()
            peer.send(frame(bytes([SUCCESS])))
            always(GOOD)(peer)
        self.check_recovery(one_bad_answer)

    def test_a_client_that_waits_for_a_signature_waits_alone(self):
        blob = string(b'ssh-ed25519') + string(bytes(32))

        def hang_on_signing(peer):
            for request in peer.requests():
                if request == LIST:
                    peer.send(frame(identities((blob, b'of the sick one'))))
                else:
                    peer.wait_until_closed()
        agent = self.agent_before(FakeAgent(self, hang_on_signing))
        with agent.connect() as waiting:
            waiting.list()
            waiting.send(frame(sign_request(blob, b'data')))
            self.watch(agent, [self.own, (blob, 'of the sick one'), self.expected[1]])
            self.assertEqual(readable([waiting], 0), [])
        agent.stop()


def add_tests():
    """A test for each row of the tables, by its name."""
    for rows, more in (HANGS, {'hangs': True}), (RUBBISH, {}), (CLOSES, {'closes': True}):
        for name, behaviour in rows.items():
            setattr(Hostile, f'test_one_that_{name}',
                    lambda self, behaviour=behaviour, more=more: self.check(behaviour, **more))


add_tests()

if __name__ == '__main__':
    unittest.main()
