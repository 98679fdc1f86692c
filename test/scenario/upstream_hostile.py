#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whatever an upstream agent does, our keys are listed and sign as if it were not there."""

import os
import socket
import threading
import time
import unittest

from agent import Agent
from hostkey import HostKey
from lab import ALL, slow, wait_until
from protocol import (FAILURE, IDENTITIES_ANSWER, REMOVE_ALL, REMOVE_ALL_RSA, SIGN_RESPONSE, SUCCESS, extension,
                      frame, lock, readable, remove_identity, session_bind, sign_request, string, u32, unlock)
from resources import descriptors, is_sanitized, rss
from softkey import SoftKey
from upstream import LIST, FakeAgent, SshAgent, WithAKey, always, identities, lists

SANITIZED = is_sanitized(os.environ['SSH_TPM_BUILD'])
MIB = 1024  # in KiB
BLOB = string(b'ssh-ed25519') + string(bytes(32))
STRANGER = string(b'ssh-ed25519') + string(b'stranger' * 4)
WELL = string(b'ssh-ed25519') + string(b'well' * 8)
GOOD = identities((BLOB, b'of the sick one'))
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


def hang_when_signing(peer):
    for request in peer.requests():
        if request != LIST:
            peer.wait_until_closed()
        peer.send(frame(GOOD))


def close(_):
    pass


def read_and_close(peer):
    peer.read_frame()


def close_late(peer):
    """Not at once, as one that is not there would."""
    peer.read_frame()
    time.sleep(0.2)


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
    'never answers': hang,
    'does not accept': None,
    'stops within the header': hang_after(frame(GOOD)[:2]),
    'stops within the body': hang_after(frame(GOOD)[:20]),
    'stops within a long body': hang_after(u32(262144) + bytes([IDENTITIES_ANSWER]) * 100_000),
    'sends a byte a second': one_byte_a_second,
}
RUBBISH = {
    'sends a frame of no bytes': raw(u32(0)),
    'sends a frame of 4 gigabytes': raw(u32(0xFFFFFFFF) + b'x' * 1000),
    'answers a list request with success': always(bytes([SUCCESS])),
    'answers a list request with failure': always(bytes([FAILURE])),
    'answers a list request with a signature': always(bytes([SIGN_RESPONSE]) + string(b'signature')),
    'claims 4 billion keys': always(identities(count=0xFFFFFFFF)),
    'claims 2049 keys': always(identities(*[(string(b'x'), b'')] * 2049)),
    'has a blob that ends too early': always(bytes([IDENTITIES_ANSWER]) + u32(1) + u32(100) + b'x' * 50),
    'has a blob without a type': always(identities((b'\0\0\0\xffssh', b''))),
    'answers twice': always(GOOD, GOOD),
    'floods': flood,
    'closes late': close_late,
}
CLOSES = {'closes at once': close, 'closes instead of an answer': read_and_close}
BEHAVIOURS = {**HANGS, **RUBBISH, **CLOSES}


class Sick(WithAKey):
    """Behind our agent stands a fake one, `well`, with a key; `shown` is what a client is shown of both."""

    def setUp(self):
        super().setUp()
        self.shown = [(self.own.blob, 'own'), (WELL, 'of the well one')]
        self.well = FakeAgent(self, lists((WELL, b'of the well one')), name='well')
        self.agents = 0

    def agent_before(self, *others):
        """The well one comes last: whatever is wrong with those in front of it."""
        options = [word for other in (*others, self.well) for word in ('-A', other.socket)]
        self.agents += 1
        return Agent(self.lab, *options, name=f'agent{self.agents}')

    def sick(self, behaviour, **more):
        self.agents += 1
        return FakeAgent(self, behaviour, f'sick{self.agents}', **more)

    def counts(self, clients):
        """How many keys each is shown, when all ask at once."""
        for client in clients:
            client.send(frame(LIST))
        replies = [client.read_frame() for client in clients]
        self.assertTrue(all(reply[0] == IDENTITIES_ANSWER for reply in replies))
        return [int.from_bytes(reply[1:5], 'big') for reply in replies]

    def lines_about(self, agent, other):
        return [line for line in agent.log().splitlines() if other.socket in line]

    def assert_logged_once(self, agent, *others):
        agent.stop()
        for other in others:
            self.assertEqual(len(self.lines_about(agent, other)), 1, agent.log())


class Hostile(Sick):
    def setUp(self):
        super().setUp()
        self.lab.limit('frame', 10, 30)

    def first_list(self, agent, hangs):
        """The list, while another client signs. It comes before the end of one whose frame is not whole in time."""
        with agent.connect() as client, agent.connect() as other, agent.connect() as ending:
            ending.send(frame(LIST)[:3])
            self.assertIsNotNone(other.sign(self.own.blob, b'warms the key'))
            begun = time.monotonic()
            client.send(frame(LIST))
            self.assertIsNotNone(other.sign(self.own.blob, b'data'))
            early = readable([client], 0)
            if hangs and time.monotonic() - begun < 0.9:  # its second is for this client alone to wait for
                self.assertEqual(early, [])
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
            self.assertEqual(readable([ending], 0), [])
            if ALL:
                self.assertLess(time.monotonic() - begun, 5 if SANITIZED else 2)

    def lists(self, agent, expected, rounds=10):
        """From one client that stays and many that come and go; how many lists these were."""
        with agent.connect() as client:
            for _ in range(rounds):
                self.assertEqual(client.list(), expected)
                with agent.connect() as another:
                    self.assertEqual(another.list(), expected)
                self.assertIsNotNone(client.sign(self.own.blob, b'data'))
        return 2 * rounds

    def watch(self, agent, expected, hangs=False):
        """What every upstream must not disturb; how many lists there were."""
        before = descriptors(agent.process.pid)
        self.first_list(agent, hangs)
        memory = rss(agent.process.pid)
        count = self.lists(agent, expected)
        if not SANITIZED:
            self.assertLess(rss(agent.process.pid) - memory, MIB)
        wait_until(lambda: descriptors(agent.process.pid) <= before, 'all connections to be closed')
        return count

    def check(self, sick, hangs=False, closes=False):
        agent = self.agent_before(sick)
        count = self.watch(agent, self.shown, hangs)
        # At the start, then after a rest of one second, of two, of four, …; each tried once, or found broken first.
        # One that closes is as good as absent: it costs nobody time, so every client asks it anew.
        self.assertLessEqual(sick.connections, count + 1 if closes else count // 2)
        self.assert_logged_once(agent, sick)

    def check_each(self, behaviours, **more):
        for what, behaviour in behaviours.items():
            with self.subTest(what):
                self.check(self.sick(behaviour), **more)

    def test_one_that_hangs(self):
        self.check_each(HANGS, hangs=True)

    def test_one_that_talks_rubbish(self):
        self.check_each(RUBBISH)

    def test_one_that_closes(self):
        self.check_each(CLOSES, closes=True)

    def test_one_whose_queue_of_connections_is_full(self):
        sick = self.sick(None, backlog=0)
        with self.assertRaises(BlockingIOError):
            while True:
                waiting = socket.socket(socket.AF_UNIX)
                self.addCleanup(waiting.close)
                waiting.setblocking(False)
                waiting.connect(sick.socket)
        self.check(sick, hangs=True)

    def test_all_of_them_at_once(self):
        sick = [self.sick(behaviour) for behaviour in BEHAVIOURS.values()]
        agent = self.agent_before(*sick)
        self.watch(agent, self.shown, hangs=True)
        self.assert_logged_once(agent, *sick)

    @slow
    def test_nobody_waits_for_any_of_them(self):
        """But for the first second: what is answered at once takes a millisecond."""
        prompt = 2 if SANITIZED else 0.5
        for what, behaviour in BEHAVIOURS.items():
            with self.subTest(what):
                sick = self.sick(behaviour)
                agent = self.agent_before(sick)
                self.first_list(agent, False)
                times, end = [], time.monotonic() + 5
                while (begun := time.monotonic()) < end:
                    self.lists(agent, self.shown, 1)
                    times.append(time.monotonic() - begun)
                # On a busy machine any answer may be late, and the made-up agents share one interpreter.
                late = [duration for duration in times if duration >= prompt]
                self.assertLessEqual(len(late), len(times) // 100, late)
                if what not in CLOSES:  # at the start, after a rest of one second, and of two
                    self.assertLessEqual(sick.connections, 4)
                agent.stop()

    def test_one_with_the_longest_lists_that_there_may_be(self):
        many = [(string(b'ssh-ed25519') + string(u32(number) * 8), b'%d' % number) for number in range(2048)]
        long = [(blob, b'x' * 80) for blob, _ in many[:1800]]
        long.append((string(b'ssh-ed25519') + string(b'last' * 8), b''))
        long[-1] = (long[-1][0], b'x' * (262144 - len(identities(*long))))
        for pairs, shown in (many, 2047), (long, 1799):
            agent = self.agent_before(self.sick(lists(*pairs)))
            with self.subTest(len(pairs)), agent.connect() as client:
                client.send(frame(LIST))
                self.assertLessEqual(len(client.read_frame()), 262144)
                listed = client.list()
                there = [(blob, comment.decode()) for blob, comment in pairs]
                self.assertEqual(listed[:1 + shown], [self.shown[0], *there[:shown]])
                self.assertEqual(len(agent.listed()), len(listed))  # ssh-add takes it

    def test_one_whose_comments_and_types_move_the_cursor(self):
        bad = self.sick(lists((BLOB, ESCAPES.encode() + b'\xff\xc3'), (string(b'\x1b[2J'), b'plain'),
                              (self.own.blob, b'not our comment')))
        agent = self.agent_before(bad)
        with agent.connect() as client:
            listed = client.list()
            self.assertEqual(listed[:2], [self.shown[0], (BLOB, 'a?[2Jb?c?d?e?f?g?h???')])
            self.assertIn(self.shown[1], listed)
        for option in '-l', '-L':
            result = agent.ssh_add(option, status=0)
            printed = result.stdout + result.stderr
            self.assertTrue(printed.replace('\n', '').isprintable(), repr(printed))
            self.assertEqual(result.stdout.count('\n'), 3, printed)

    def test_an_agent_that_hung_or_sent_rubbish_is_used_again_when_it_is_well(self):
        def one_bad_answer(peer):
            peer.read_frame()
            peer.send(frame(bytes([SUCCESS])))
            always(GOOD)(peer)
        for behaviour in hang, one_bad_answer:
            sick = self.sick(behaviour)
            agent = self.agent_before(sick)
            with self.subTest(behaviour.__name__), agent.connect() as client:
                self.assertEqual(client.list(), self.shown)
                sick.behaviour = always(GOOD)
                wait_until(lambda: len(client.list()) == 3, 'the key of the one that is well again')
                # An old connection that is good says nothing of new ones: a probe of one does.
                wait_until(lambda: client.list() and ' answers' in agent.log(), 'the end of its rest')
                self.assertEqual(len(self.lines_about(agent, sick)), 2)

    def test_many_that_wait_for_the_same_bad_second_make_it_rest_once(self):
        sick = self.sick(hang)
        agent = self.agent_before(sick)
        self.assertEqual(self.counts(self.connect(agent, 20)), [2] * 20)
        sick.behaviour = always(GOOD)
        with agent.connect() as client:  # after twenty bad seconds it would rest for a minute
            wait_until(lambda: len(client.list()) == 3, 'its key', 30)

    def test_a_client_that_waits_for_a_signature_waits_alone(self):
        agent = self.agent_before(self.sick(hang_when_signing))
        with agent.connect() as waiting, agent.connect() as other:
            waiting.list()
            waiting.send(frame(sign_request(BLOB, b'data')))
            self.watch(agent, [self.shown[0], (BLOB, 'of the sick one'), self.shown[1]])
            self.assertEqual(other.request(remove_identity(self.own.blob))[0], SUCCESS)
            agent.ssh_add('-q', SoftKey(self.lab, self.lab.path('ecdsa')).path, status=0)
            self.assertEqual(readable([waiting], 0), [])
            for request, shown in (lock(b'a word'), 0), (unlock(b'a word'), 3):
                self.assertEqual(other.request(request)[0], SUCCESS)
                self.assertEqual(len(other.list()), shown)
        agent.stop()

    def test_an_answer_that_nobody_asked_for_is_no_later_ones(self):
        answered, sent = threading.Event(), threading.Event()

        def behave(peer):
            for _ in peer.requests():
                peer.send(frame(GOOD))
                answered.wait(60)
                peer.send(frame(identities((STRANGER, b'wrong'))))
                sent.set()
        agent = self.agent_before(self.sick(behave))
        with agent.connect() as client:
            for _ in range(3):
                self.assertEqual(client.list(), [self.shown[0], (BLOB, 'of the sick one'), self.shown[1]])
                answered.set()
                sent.wait(60)
                answered.clear()
                sent.clear()

    @unittest.skipIf(SANITIZED, 'a sanitizer keeps memory')
    def test_a_long_list_leaves_nothing_behind(self):
        pairs = [(string(b'ssh-ed25519') + string(u32(number) * 8), b'x' * 80) for number in range(1800)]
        agent = self.agent_before(self.sick(lists(*pairs)))
        clients = self.connect(agent, 40)
        for client in clients[:10]:
            client.request(LIST)
        before = rss(agent.process.pid)
        for client in clients[10:]:
            client.request(LIST)
        self.assertLess(rss(agent.process.pid) - before, 30 * 32)  # KiB

    @unittest.skipIf(SANITIZED, 'a sanitizer keeps memory')
    def test_what_stands_behind_a_session_bind_is_not_kept(self):
        host = HostKey(self.lab, 'host')
        agent = self.agent_before(self.sick(always(bytes([SUCCESS]))))
        requests = [session_bind(host, b'id%d' % number, True) for number in range(16)]
        before = rss(agent.process.pid)
        for client in self.connect(agent, 5):
            for request in requests:
                self.assertEqual(client.request(request + bytes(262144 - len(request)))[0], SUCCESS)
        self.assertLess(rss(agent.process.pid) - before, 5 * 512)  # KiB

    def test_one_without_protocol_1_is_not_complained_of(self):
        def behave(peer):
            for request in peer.requests():
                peer.send(frame(bytes([FAILURE if request[0] == REMOVE_ALL_RSA else SUCCESS])))
        agent = self.agent_before(self.sick(behave))
        self.well.behaviour = behave
        agent.ssh_add('-q', '-D', status=0)
        agent.stop()
        self.assertNotIn('told', agent.log())


class Busy(Sick):
    """OpenSSH's own agent that is stopped for a while, has no place left, or follows one that hangs."""

    def setUp(self):
        super().setUp()
        self.given = self.soft('given')

    def agent_before(self, *others):
        return Agent(self.lab, *[word for other in others for word in ('-A', other.socket)])

    def before_ssh_agent(self, *limits, behind=()):
        """Our agent before one of OpenSSH, with a key, which is `self.other`."""
        self.other = SshAgent(self.lab, limits=limits)
        self.other.ssh_add('-q', self.given.path, status=0)
        return self.agent_before(*behind, self.other)

    def test_one_whose_queue_of_connections_is_full_for_a_moment(self):
        self.lab.limit('upstream_list', 20, 1)  # a busy machine lists late
        agent = self.before_ssh_agent()
        clients = self.connect(agent, 150)  # 128 find a place in it
        with self.other.stopped():
            for client in clients:
                client.send(frame(LIST))
            with agent.connect() as witness:  # these have been read
                witness.request(extension(b'query'))
        for client in clients:
            self.assertEqual(client.read_frame()[1:5], u32(2))
        self.assertNotIn('another user', agent.log())

    def test_more_clients_than_it_is_asked_for_at_a_time(self):
        self.lab.limit('upstream_list', 20, 1)
        agent = self.before_ssh_agent()
        self.assertEqual(self.counts(self.connect(agent, 600)), [2] * 600)  # 512 ask at a time

    def test_a_good_one_behind_one_that_hangs(self):
        self.lab.limit('upstream_rest', 0.5, 60)  # once it has rested for a second
        hung = self.sick(hang)
        agent = self.before_ssh_agent(behind=[hung])
        another = self.soft('another')
        agent.ssh_add('-q', another.path, status=0)
        self.assertEqual(len(agent.listed()), 3)
        with agent.connect() as client:
            for request in (extension(b'hello@example.com'), sign_request(STRANGER, b'data'),
                            remove_identity(STRANGER)):
                self.assertEqual(client.request(request), bytes([FAILURE]))
            for request in extension(b'hello@example.com'), sign_request(STRANGER, b'data'):
                self.assert_refused_when_it_has_rested(client, request, hung)
        self.assertEqual(agent.ssh_add('-q', '-d', another.pub).returncode, 1)  # the one that hangs may have it too
        self.assertEqual(len(agent.listed()), 2)

    def assert_refused_when_it_has_rested(self, client, request, hung):
        """Until it is one of these requests that finds out that the other one hangs still."""
        before = hung.connections

        def asked_anew():
            self.assertEqual(client.request(request), bytes([FAILURE]))
            return hung.connections > before
        wait_until(asked_anew, 'the end of its rest')

    def test_an_agent_without_free_descriptors_takes_new_clients_when_idle_connections_close(self):
        self.lab.limit('upstream_idle', 3, 30)
        agent = self.before_ssh_agent('prlimit', '--nofile=40:40')  # too few descriptors for all clients
        clients = self.connect(agent, 45)
        shown = [len(client.list()) for client in clients]
        self.assertGreaterEqual(shown.count(2), 10)
        self.assertIn(1, shown)  # it takes no more
        for client in [client for client, count in zip(clients, shown) if count == 2][:10]:
            self.assertEqual(len(client.list()), 2)
        wait_until(lambda: len(clients[-1].list()) == 2, 'a place there', 100)

    def test_one_that_serves_its_old_client_alone_rests_for_new_ones_as_long_as_one_that_hangs(self):
        self.lab.limit('upstream_list', 0.2, 1)
        self.lab.limit('upstream_quick', 10, 0.25)
        full, hung = self.sick(always(GOOD)), self.sick(hang)
        agent = self.agent_before(full, hung)
        with agent.connect() as old:
            wait_until(lambda: len(old.list()) == 2, 'its key')
            full.behaviour = hang

            def new_ones_are_shown_nothing():
                with agent.connect() as new:
                    self.assertEqual(len(new.list()), 1)
                self.assertEqual(len(old.list()), 2)
                return hung.connections >= 4  # at first, and after a rest of one second, of two, of four
            wait_until(new_ones_are_shown_nothing, 'three rests', pace=0.1)
        self.assertLessEqual(full.connections, hung.connections + 2)

    def test_requests_that_wait_for_a_person_keep_no_list_waiting(self):
        self.lab.limit('upstream_list', 20, 1)
        other = self.sick(always(GOOD), accepts=1)  # the others wait in its queue
        agent = self.agent_before(other)
        with agent.connect() as old:
            self.assertEqual(len(old.list()), 2)
            for client in self.connect(agent, 520):
                client.send(frame(sign_request(BLOB, b'data')))
            wait_until(lambda: descriptors(agent.process.pid) > 2 * 512, '512 requests there, which is the most')
            self.assertEqual(len(old.list()), 2)

    def test_remove_all_reaches_one_that_rests(self):
        agent = self.before_ssh_agent()
        with self.other.stopped(), agent.connect() as client:
            client.list()
        self.assertEqual(len(self.other.listed()), 1)
        agent.ssh_add('-q', '-D', status=0)
        self.assertEqual(self.other.listed(), [])

    def test_remove_all_reaches_them_without_the_client(self):
        agent = self.before_ssh_agent()
        with self.other.stopped():
            with agent.connect() as client, agent.connect() as witness:
                client.send(frame(bytes([REMOVE_ALL])))
                wait_until(lambda: witness.request(sign_request(self.own.blob, b'x')) == b'\x05', 'own keys')
        wait_until(lambda: not self.other.listed(), 'its keys to go')


if __name__ == '__main__':
    unittest.main()
