#!/usr/bin/env python3
"""session-bind@openssh.com: what a connection tells of the sessions behind it, and which keys it then has."""

import itertools
import unittest

from agent import REFERENCE, Agent, ours
from hostkey import HostKey
from lab import Scenario
from protocol import (CONFIRM, EXTENSION_FAILURE, FAILURE, SUCCESS, add_identity, constraint_extension,
                      destination, extension, hop, lifetime, lock, remove_identity, restrict_destination,
                      session_bind, string, unlock, userauth)
from softkey import SoftKey
from swtpm import Swtpm

REFUSED, DONE = bytes([FAILURE]), bytes([SUCCESS])
# OpenSSH 9.2 has one number for every failure; it does not remember failed binds either, as newer ones do.
NOT_BOUND = REFUSED if REFERENCE else bytes([EXTENSION_FAILURE])
ALGORITHM = 'ecdsa-sha2-nistp256'


class SessionBind(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.host, self.other = HostKey(self.lab, 'host'), HostKey(self.lab, 'other')
        self.soft = SoftKey(self.lab, self.lab.path('soft'))
        self.blob = self.soft.key.blob
        self.agent = Agent(self.lab)
        to_host = restrict_destination(destination(hop(), hop(b'host.example', self.host.blob)))
        with self.agent.connect() as connection:
            request = add_identity(self.soft.agent_fields(), constraints=to_host)
            self.assertEqual(connection.request(request), DONE)

    def bind(self, connection, host=None, session=b'session', forwarding=False, expected=DONE, **more):
        reply = connection.request(session_bind(host or self.host, session, forwarding, **more))
        self.assertEqual(reply, expected)

    def may_sign(self, connection, session=b'session', **more):
        """Whether the constrained key signs a login."""
        return connection.sign(self.blob, userauth(session, self.blob, ALGORITHM, **more)) is not None

    def test_host_keys_of_each_kind_bind(self):
        for kind in ('ed25519', 'ecdsa', 'rsa'):
            host = HostKey(self.lab, kind, kind)
            with self.agent.connect() as connection:
                self.bind(connection, host)
                self.assertEqual(connection.list(), [])  # bound to another host than the key is for
            with self.agent.connect() as connection:
                wrong = session_bind(host, b'session', signature=host.sign(b'another session'))
                self.assertEqual(connection.request(wrong), NOT_BOUND)

    def test_a_constrained_key_signs_a_login_to_its_host_and_nothing_else(self):
        with self.agent.connect() as connection:
            self.assertFalse(self.may_sign(connection))
            self.assertEqual(len(connection.list()), 1)  # it is shown where nothing is bound
            self.bind(connection)
            self.assertEqual(len(connection.list()), 1)
            self.assertTrue(self.may_sign(connection))
            self.assertTrue(self.may_sign(connection, host_key=self.host.blob))
            self.assertFalse(self.may_sign(connection, host_key=self.other.blob))
            self.assertFalse(self.may_sign(connection, session=b'another'))
            self.assertIsNone(connection.sign(self.blob, b'data'))
            self.assertIsNone(connection.sign(self.blob, userauth(b'session', self.blob, ALGORITHM) + b'\0'))

    @ours
    def test_a_wrong_signature_is_refused_and_remembered(self):
        good = self.host.sign(b'session')
        for signature in (b'', good[:-1], good + b'\0', good[:-1] + bytes([good[-1] ^ 1]),
                          self.other.sign(b'session'), self.host.sign(b'another'),
                          string(b'ssh-rsa') + good[15:]):
            with self.subTest(signature=signature), self.agent.connect() as connection:
                self.assertEqual(len(connection.list()), 1)
                self.bind(connection, signature=signature, expected=NOT_BOUND)
                self.assertEqual(connection.list(), [])
                self.assertFalse(self.may_sign(connection))
                self.assertEqual(connection.request(remove_identity(self.blob)), REFUSED)

    @ours
    def test_a_bind_that_does_not_parse_is_refused_and_remembered(self):
        whole = session_bind(self.host, b'session')
        start = len(extension(b'session-bind@openssh.com'))
        for length in range(start, len(whole)):
            with self.subTest(length=length), self.agent.connect() as connection:
                self.assertEqual(connection.request(whole[:length]), NOT_BOUND)
                self.assertEqual(connection.list(), [])

    @ours
    def test_a_bind_after_a_failed_one_does_not_bring_the_keys_back(self):
        with self.agent.connect() as connection:
            self.bind(connection, signature=b'', expected=NOT_BOUND)
            connection.request(session_bind(self.host, b'session'))
            self.assertEqual(connection.list(), [])
            self.assertFalse(self.may_sign(connection))
        with self.agent.connect() as connection:
            self.bind(connection, forwarding=True)
            self.bind(connection, session=b'another', signature=b'', expected=NOT_BOUND)
            self.assertEqual(connection.list(), [])

    def test_keys_without_constraints_do_not_care(self):
        free = SoftKey(self.lab, self.lab.path('free'))
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(add_identity(free.agent_fields())), DONE)
            self.bind(connection, signature=b'', expected=NOT_BOUND)
            self.assertEqual([blob for blob, _ in connection.list()],
                             [self.blob] * REFERENCE + [free.key.blob])
            self.assertIsNotNone(connection.sign(free.key.blob, b'data'))

    def test_one_connections_binds_are_no_others(self):
        with self.agent.connect() as bound, self.agent.connect() as plain:
            self.bind(bound, self.other)
            self.assertEqual(bound.list(), [])
            self.assertEqual(len(plain.list()), 1)

    def test_sixteen_sessions_bind_and_the_seventeenth_does_not(self):
        with self.agent.connect() as connection:
            for number in range(16):
                self.bind(connection, session=b'session %d' % number, forwarding=True)
            self.bind(connection, session=b'session 16', forwarding=True, expected=NOT_BOUND)
            self.bind(connection, session=b'session 3', forwarding=True)  # is known

    def test_the_same_session_of_another_host_is_refused(self):
        with self.agent.connect() as connection:
            self.bind(connection, forwarding=True)
            self.bind(connection, forwarding=True)
            self.bind(connection, self.other, forwarding=True, expected=NOT_BOUND)
            self.bind(connection, self.other, session=b'another', forwarding=True)

    def test_nothing_binds_behind_a_session_that_is_not_forwarded(self):
        with self.agent.connect() as connection:
            self.bind(connection)
            for host, session, forwarding in itertools.product((self.host, self.other), (b'session', b'x'),
                                                               (False, True)):
                self.bind(connection, host, session, forwarding, expected=NOT_BOUND)

    @ours
    def test_a_session_id_has_at_most_128_bytes(self):
        with self.agent.connect() as connection:
            self.bind(connection, session=b'x' * 129, forwarding=True, expected=NOT_BOUND)
        with self.agent.connect() as connection:
            self.bind(connection, session=b'x' * 128, forwarding=True)

    def test_no_key_signs_on_a_forwarding_hop(self):
        with self.agent.connect() as connection:
            self.bind(connection, forwarding=True)
            self.assertFalse(self.may_sign(connection))
            self.assertFalse(self.may_sign(connection, host_key=self.host.blob))

    @ours
    def test_a_locked_agent_binds(self):
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(lock(b'x')), DONE)
            self.bind(connection, self.other)
            self.bind(connection, self.other, session=b'x', expected=NOT_BOUND)
            self.assertEqual(connection.request(unlock(b'x')), DONE)
            self.assertEqual(connection.list(), [])

    def test_constraints_that_are_not_well_formed_add_no_key(self):
        fields = SoftKey(self.lab, self.lab.path('new')).agent_fields()
        host, to = self.host.blob, hop(b'host.example', self.host.blob)
        good = destination(hop(), to)
        wrong = {
            'twice': restrict_destination(good) + restrict_destination(good),
            'a user where it comes from': restrict_destination(destination(hop(user=b'me'), to)),
            'a host without keys where it comes from': restrict_destination(destination(hop(b'from'), to)),
            'keys without a host where it comes from': restrict_destination(destination(hop(b'', host), to)),
            'no host to go to': restrict_destination(destination(hop(), hop(b'', host))),
            'no keys to go to': restrict_destination(destination(hop(), hop(b'host.example'))),
            'nowhere to go': restrict_destination(destination(hop(), hop())),
            'something reserved': restrict_destination(destination(hop(), to, b'x')),
            'something reserved in a hop': restrict_destination(
                destination(hop(), hop(b'host.example', host, reserved=b'x'))),
            'a user of 257 bytes': restrict_destination(
                destination(hop(), hop(b'host.example', host, user=b'x' * 257))),
            'a key that is none': restrict_destination(destination(hop(), hop(b'host.example', b'no key'))),
            'half a key': restrict_destination(destination(hop(), to[:-1])),
            '1025 of them': restrict_destination(*[good] * 1025),
            'an unknown version': constraint_extension(b'restrict-destination-v01@openssh.com', string(good)),
        }
        if REFERENCE:  # whose newer releases have this limit
            del wrong['a user of 257 bytes']
        with self.agent.connect() as connection:
            for what, constraints in wrong.items():
                with self.subTest(what):
                    request = add_identity(fields, constraints=constraints)
                    self.assertEqual(connection.request(request), REFUSED)
                    self.assertEqual(len(connection.list()), 1)
            right = (restrict_destination(destination(hop(), hop(b'host.example', host, user=b'x' * 256))),
                     restrict_destination(*[good] * 1024),
                     restrict_destination(destination(hop(b'from', host, (host, True)), to)),
                     lifetime(100) + restrict_destination(good) + CONFIRM)
            for constraints in right:
                self.assertEqual(connection.request(add_identity(fields, constraints=constraints)), DONE)
                self.assertEqual(len(connection.list()), 2)


if __name__ == '__main__':
    unittest.main()
