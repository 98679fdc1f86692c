#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which bytes answer which: every message number, locked and unlocked, bound to a session and not; also to clients who
lock and unlock at the same time, and for keys that were added for a time."""

import collections
import unittest

from agent import REFERENCE, Agent, ours
from hostkey import HostKey
from lab import Scenario, wait_until
from protocol import (ADD_IDENTITY, ADD_SMARTCARD, ADD_SMARTCARD_CONSTRAINED, CONFIRM, EXTENSION,
                      EXTENSION_FAILURE, EXTENSION_RESPONSE, EXTENSIONS, FAILURE, IDENTITIES_ANSWER, LOCK,
                      REMOVE_ALL, REMOVE_ALL_RSA, REMOVE_SMARTCARD, REQUEST_IDENTITIES, RSA_SHA2_256, RSA_SHA2_512,
                      SIGN_RESPONSE, SUCCESS, UNLOCK, add_identity, constraint_extension, extension, frame, lifetime,
                      lock, readable, remove_identity, session_bind, sign_request, string, tpm_add_key, u32, unlock)
from softkey import SoftKey
from swtpm import Swtpm

PASSWORD, NEW = b'open sesame', b'another sesame'
REFUSED, DONE, NO_KEYS = bytes([FAILURE]), bytes([SUCCESS]), bytes([IDENTITIES_ANSWER]) + u32(0)
# OpenSSH 9.2 has one number for every failure.
BIND_REFUSED = REFUSED if REFERENCE else bytes([EXTENSION_FAILURE])
THREE_STRINGS = string(b'x') * 3
BODIES = (b'', b'\0', THREE_STRINGS, bytes(100), b'\xff' * 100, string(b'ecdsa-sha2-nistp256') + b'\xff' * 20)

State = collections.namedtuple('State', 'locked bound')
STATES = [State(locked, bound) for locked in (False, True) for bound in (False, True)]

Row = collections.namedtuple('Row', 'what request reply locked', defaults=(REFUSED,))  # the reply when locked


class Conversation(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.use(SoftKey(self.lab, self.lab.path('soft')))
        self.host = HostKey(self.lab)
        self.agent = Agent(self.lab)

    def use(self, soft):
        """The key that the agent holds."""
        self.soft, self.blob, self.fields = soft, soft.key.blob, soft.agent_fields()
        self.listing = bytes([IDENTITIES_ANSWER]) + u32(1) + string(self.blob) + string(b'a soft key')

    def enter(self, state):
        """A connection in this state to an agent that holds one key."""
        connection = self.agent.connect()
        self.addCleanup(connection.socket.close)
        if state.bound:
            self.assertEqual(connection.request(session_bind(self.host, b'session', True)), DONE)
        self.assertEqual(connection.request(bytes([REMOVE_ALL])), DONE)
        self.assertEqual(connection.request(add_identity(self.fields)), DONE)
        if state.locked:
            self.assertEqual(connection.request(lock(PASSWORD)), DONE)
        return connection

    def leave(self, connection):
        """Nothing stays locked."""
        connection.request(unlock(PASSWORD))
        connection.socket.close()

    def signature(self, digest, name):
        """The reply to a sign request, computed by openssl: RSA signatures have no random part."""
        private = self.soft.copy(self.lab.path('plain'), 'pem')
        raw = self.lab.run('openssl', 'dgst', '-' + digest, '-sign', private, self.lab.write('data', b'data'),
                           status=0, text=False).stdout
        return bytes([SIGN_RESPONSE]) + string(string(name) + string(raw))

    def swept(self, state, number, body):
        """What the sweep over all numbers is answered."""
        if number == REQUEST_IDENTITIES:
            return NO_KEYS if state.locked else self.listing
        if number in (REMOVE_ALL, REMOVE_ALL_RSA) and not state.locked:
            return DONE
        if REFERENCE and number == LOCK and body == THREE_STRINGS and not state.locked:
            return DONE  # it ignores what follows the password
        return REFUSED

    def test_every_number_has_its_answer_in_every_state(self):
        for state in STATES:
            connection = self.enter(state)
            for number in range(256):
                for body in BODIES:
                    if REFERENCE and (number in (LOCK, UNLOCK) and body in (b'', b'\0', b'\xff' * 100)):
                        continue  # it ends on these
                    with self.subTest(state=state, number=number, body=body):
                        reply = connection.request(bytes([number]) + body)
                        self.assertEqual(reply, self.swept(state, number, body))
                    if reply == DONE and number == LOCK:
                        self.assertEqual(connection.request(unlock(b'x')), DONE)
                    elif reply == DONE:
                        self.assertEqual(connection.request(add_identity(self.fields)), DONE)
            if state.locked:
                self.assertEqual(connection.request(unlock(PASSWORD)), DONE)
            self.assertEqual(connection.request(bytes([REQUEST_IDENTITIES])), self.listing)

    def rows(self):
        """The requests that mean something."""
        blob = self.blob
        added = SoftKey(self.lab, self.lab.path('more')).agent_fields()
        unknown = SoftKey(self.lab, self.lab.path('unknown')).key.blob
        remove_all = bytes([REMOVE_ALL])
        yield Row('list', bytes([REQUEST_IDENTITIES]), self.listing, NO_KEYS)
        yield Row('list and more', bytes([REQUEST_IDENTITIES]) + b'more', self.listing, NO_KEYS)

        yield Row('sign with an unknown key', sign_request(unknown, b'data'), REFUSED)
        yield Row('sign with no key', sign_request(b'', b'data'), REFUSED)
        yield Row('sign without flags', sign_request(blob, b'data')[:-4], REFUSED)

        yield Row('add', add_identity(added), DONE)
        yield Row('add again', add_identity(self.fields, b'another comment'), DONE)
        yield Row('add for a time', add_identity(added, constraints=lifetime(1000)), DONE)
        yield Row('add to be confirmed', add_identity(added, constraints=CONFIRM + lifetime(1)), DONE)
        yield Row('add with a constraint by the plain number',
                  bytes([ADD_IDENTITY]) + add_identity(added, constraints=CONFIRM)[1:], DONE)
        for what, constraints in (('two lifetimes', lifetime(1) + lifetime(1)), ('an unknown number', b'\x03'),
                                  ('a FIDO provider',
                                   constraint_extension(b'sk-provider@openssh.com', string(b'internal')))):
            yield Row('add with ' + what, add_identity(added, constraints=constraints), REFUSED)

        yield Row('remove', remove_identity(blob), DONE)
        yield Row('remove and more', remove_identity(blob) + b'more', DONE)
        yield Row('remove an unknown key', remove_identity(unknown), REFUSED)
        yield Row('remove nothing', remove_identity(b''), REFUSED)
        yield Row('remove all', remove_all, DONE)
        yield Row('remove all and more', remove_all + b'more', DONE)
        yield Row('remove all of protocol 1', bytes([REMOVE_ALL_RSA]), DONE)

        for number in (ADD_SMARTCARD, ADD_SMARTCARD_CONSTRAINED, REMOVE_SMARTCARD):
            yield Row(f'smartcard {number}', bytes([number]) + string(b'/usr/lib/none.so') + string(b'1234'), REFUSED)
        yield Row('lock', lock(PASSWORD), DONE)
        yield Row('lock with nothing', lock(b''), REFUSED)
        yield Row('unlock', unlock(PASSWORD), REFUSED, DONE)
        yield Row('unlock wrongly', unlock(PASSWORD + b'!'), REFUSED)
        yield Row('unlock with less', unlock(PASSWORD[:-1]), REFUSED)
        yield Row('unlock with nothing', unlock(b''), REFUSED)
        if not REFERENCE:  # which ends on it
            yield Row('lock with a length that lies', bytes([LOCK]) + u32(99) + b'x', REFUSED)
            yield Row('unlock with a length that lies', bytes([UNLOCK]) + u32(99) + b'x', REFUSED)

        yield from self.extension_rows()

    def signature_rows(self):
        blob, rsa256 = self.blob, self.signature('sha256', b'rsa-sha2-256')
        rsa512 = self.signature('sha512', b'rsa-sha2-512')
        for flags, reply in ((RSA_SHA2_256, rsa256), (RSA_SHA2_512, rsa512), (6, rsa256), (0xf8 | 4, rsa512)):
            yield Row(f'sign with flags {flags}', sign_request(blob, b'data', flags), reply)
        yield Row('sign and more', sign_request(blob, b'data', RSA_SHA2_256) + b'more', rsa256)
        for flags in () if REFERENCE else (0, 1, 0x80):
            yield Row(f'sign with SHA-1, flags {flags}', sign_request(blob, b'data', flags), REFUSED)

    def extension_rows(self):
        bind = session_bind(self.host, b'next session')
        wrong = session_bind(self.host, b'next session', signature=self.host.sign(b'another'))
        if not REFERENCE:  # 9.2 has no query, and binds nothing while locked
            names = b''.join(map(string, EXTENSIONS))
            for more in (b'', b' and more'):
                yield Row(f'query{more}', extension(b'query', more),
                          bytes([EXTENSION_RESPONSE]) + string(b'query') + names)
            yield Row('bind a session', bind, DONE, DONE)
            yield Row('bind a session wrongly', wrong, BIND_REFUSED, BIND_REFUSED)
        for name in (b'unknown@example.com', b'', b'Query', b'session-bind', b'x' * 100000):
            yield Row(f'an unknown extension {name[:20]}', extension(name, b'body'), REFUSED)
        yield Row('an extension whose name lies', bytes([EXTENSION]) + u32(99) + b'x', REFUSED)
        yield Row('a TPM key that is none', tpm_add_key(b'no key'), REFUSED)

    def test_every_request_has_its_answer_in_every_state(self):
        self.check(list(self.rows()))

    def test_every_request_for_a_signature_has_its_answer_in_every_state(self):
        self.use(SoftKey(self.lab, self.lab.path('rsa'), 'rsa', 2048))
        self.check(list(self.signature_rows()))

    def check(self, rows):
        for state in STATES:
            connection = self.enter(state)
            before = NO_KEYS if state.locked else self.listing
            for row in rows:
                expected = row.locked if state.locked else row.reply
                with self.subTest(state=state, row=row.what):
                    self.assertEqual(connection.request(row.request), expected)
                    after = connection.request(bytes([REQUEST_IDENTITIES]))  # it lives
                    if expected != DONE:
                        self.assertEqual(after, before)
                if expected == DONE:  # the next one is not to see what this one did
                    self.leave(connection)
                    connection = self.enter(state)
            self.leave(connection)

    def test_requests_sent_together_are_answered_in_their_order_and_see_each_other(self):
        listing = bytes([REQUEST_IDENTITIES])
        steps = ((listing, self.listing), (lock(PASSWORD), DONE), (listing, NO_KEYS), (unlock(PASSWORD), DONE),
                 (listing, self.listing), (bytes([REMOVE_ALL]), DONE), (bytes([REMOVE_ALL_RSA]), DONE),
                 (listing, NO_KEYS), (add_identity(self.fields), DONE), (listing, self.listing),
                 (remove_identity(self.blob), DONE), (remove_identity(self.blob), REFUSED), (listing, NO_KEYS))
        with self.enter(State(False, False)) as connection:
            connection.send(b''.join(string(request) for request, _ in steps))
            for number, (_, reply) in enumerate(steps):
                self.assertEqual(connection.read_frame(), reply, number)


@ours
class LockRaces(Scenario):
    """Clients that lock and unlock at the same time: the agent is locked or not as if they had come in turn."""

    def setUp(self):
        super().setUp()
        Swtpm(self.lab)
        self.key = self.lab.make_key('x')
        self.agent = Agent(self.lab)
        self.clients = [self.agent.connect() for _ in range(3)]
        for client in self.clients:
            self.addCleanup(client.socket.close)

    def at_once(self, requests):
        """Pairs of a client and what it sends; all is there before the agent reads any of it."""
        with self.agent.stopped():
            for client, request in requests:
                client.send(request)

    def test_a_password_checked_before_a_new_lock_does_not_undo_it(self):
        """Each check takes its time, and those of the others are under way when the first one's is over."""
        old, new = PASSWORD, NEW
        for _ in range(2):
            self.assertEqual(self.clients[0].request(lock(old)), DONE)
            self.at_once((client, frame(unlock(old)) + frame(lock(new))) for client in self.clients)
            unlocked, locked = zip(*([client.read_frame(), client.read_frame()] for client in self.clients))
            for replies in (unlocked, locked):
                self.assertEqual(sorted(replies), [REFUSED] * (len(self.clients) - 1) + [DONE])
            for client in self.clients:
                self.assertEqual(client.list(), [])
            self.assertEqual(self.clients[1].request(unlock(old)), REFUSED)
            self.assertEqual(self.clients[2].request(unlock(new)), DONE)
            self.assertEqual(len(self.clients[0].list()), 1)
            old, new = new, old

    def test_of_two_who_lock_one_has_locked_and_of_two_who_unlock_one_has_unlocked(self):
        one, other, *_ = self.clients
        self.at_once(((one, frame(lock(PASSWORD))), (other, frame(lock(NEW)))))
        replies = [one.read_frame(), other.read_frame()]
        self.assertEqual(sorted(replies), [REFUSED, DONE])
        chosen, refused = (PASSWORD, NEW) if replies[0] == DONE else (NEW, PASSWORD)
        self.assertEqual(one.request(unlock(refused)), REFUSED)
        self.assertEqual(one.list(), [])
        self.at_once((client, frame(unlock(chosen))) for client in (one, other))
        self.assertEqual(sorted([one.read_frame(), other.read_frame()]), [REFUSED, DONE])
        self.assertEqual(len(one.list()), 1)

    def test_it_is_locked_from_when_that_was_asked_for(self):
        """And not only when the password's hash is made."""
        one, other, *_ = self.clients

        def locked_before_the_answer():
            one.send(frame(lock(PASSWORD)))
            while other.list():
                pass
            earlier = not readable([one], 0)
            self.assertEqual(one.read_frame(), DONE)
            self.assertEqual(other.request(unlock(PASSWORD)), DONE)
            return earlier
        wait_until(locked_before_the_answer, 'a list without keys before the answer to the lock')


class Lifetimes(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def soft(self, name):
        return SoftKey(self.lab, self.lab.path(name), comment=name)

    def add(self, connection, soft, constraints=b''):
        """It is there at once, however short its time."""
        request = add_identity(soft.agent_fields(), soft.key.comment.encode(), constraints)
        connection.send(frame(request) + frame(bytes([REQUEST_IDENTITIES])))
        self.assertEqual(connection.read_frame(), DONE)
        self.assertIn(string(soft.key.blob), connection.read_frame())

    def test_keys_end_with_their_time_and_those_that_others_were_given_count(self):
        agent = Agent(self.lab)
        long, lasting, short, back, made_permanent, made_short = (
            self.soft(name) for name in ('long', 'lasting', 'short', 'back', 'made permanent', 'made short'))
        result = agent.ssh_add('-t', '1h', long.path, status=0)
        self.assertRegex(result.stderr, 'Lifetime set to (3600 seconds|01:00:00)')  # OpenSSH 10.1 has the latter
        agent.ssh_add(lasting.path, status=0)
        with agent.connect() as connection:
            self.add(connection, made_short, lifetime(3600))
            for soft in (short, back, made_permanent, made_short):
                self.add(connection, soft, lifetime(1))
            connection.request(remove_identity(back.key.blob))
            for soft in (back, made_permanent):
                self.add(connection, soft)
            # Nobody asks for a list meanwhile, and being used makes none of them end later.
            wait_until(lambda: connection.sign(short.key.blob, b'data') is None, 'the end of the key')
            self.assertEqual(connection.request(remove_identity(short.key.blob)), REFUSED)
            wait_until(lambda: connection.sign(made_short.key.blob, b'data') is None, 'the end of the other key')
            mark = self.soft('mark')
            self.add(connection, mark, lifetime(1))  # ends after the first times of the others would have
            wait_until(lambda: mark.key.blob not in [blob for blob, _ in connection.list()], 'the end of the mark')
        self.assertEqual(sorted(agent.listed()),
                         sorted(soft.key.line for soft in (long, lasting, back, made_permanent)))
        agent.sign_and_check(long.key)

    def test_the_agent_may_have_a_time_for_keys_that_come_without_one_and_the_longest_is_one(self):
        agent = Agent(self.lab, '-t', '1')
        short, long = self.soft('short'), self.soft('long')
        with agent.connect() as connection:
            self.add(connection, long, lifetime(0xffffffff))
            self.add(connection, short)
        agent.wait_until_listed([long.key.line])
        agent.sign_and_check(long.key)


if __name__ == '__main__':
    unittest.main()
