#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Destinations, message by message: what ssh-tpm-add says of them, and session-bind@openssh.com."""

import os
import unittest

from add_recorder import AddScenario, Recorder
from agent import REFERENCE, Agent, ours
from hostkey import HostKey
from lab import Scenario, read
from protocol import (CONFIRM, EXTENSION_FAILURE, FAILURE, SESSION_BIND, SUCCESS, add_identity, constraint_extension,
                      destination, extension, hop, lifetime, lock, remove_identity, restrict_destination,
                      session_bind, string, take_string, unlock, userauth)
from softkey import SoftKey
from swtpm import Swtpm

REFUSED, DONE = bytes([FAILURE]), bytes([SUCCESS])
# OpenSSH 9.2 has one number for every failure; it does not remember failed binds either, as newer ones do.
NOT_BOUND = REFUSED if REFERENCE else bytes([EXTENSION_FAILURE])
ALGORITHM = 'ecdsa-sha2-nistp256'
BROKEN = extension(SESSION_BIND)  # without a body


def constraints_of_ssh_add(request):
    """What follows an Ed25519 key in ADD_ID_CONSTRAINED: type, two halves, comment."""
    if request[0] != 25:
        raise AssertionError(f'ssh-add sent {request[0]}')
    rest = request[1:]
    for _ in range(4):
        _, rest = take_string(rest)
    return rest


class Adding(AddScenario):
    """ssh-tpm-add -h and -H send the constraints, byte for byte, that ssh-add sends."""

    def setUp(self):
        super().setUp()
        Swtpm(self.lab)
        self.recorder = Recorder(self.lab)
        self.socket = self.recorder.path
        self.key, self.soft = self.lab.make_key('x'), self.soft_key('soft')
        self.hosts = {}
        lines = []
        for name in ('gateway', 'inner', '[inner]:2222', 'ca.example', 'gone'):
            path = self.soft_key('host-' + name.strip('[]').replace(']', ''))
            self.hosts[name] = ' '.join(read(path + '.pub').split()[:2])
            marker = {'ca.example': '@cert-authority *.', 'gone': '@revoked '}.get(name, '')
            lines.append(f'{marker}{name} {self.hosts[name]}\n')
        lines.append(f'gateway,second {self.hosts["inner"]}\n')
        self.known = self.lab.write('known', '# a comment\n\nbroken\n' + ''.join(lines))

    def compare(self, *options):
        """Gives the agent a key with each tool; returns the constraints, which must be the same."""
        self.add(*options, self.key.tpm, status=0)
        self.ssh_add(*options, self.soft, status=0)
        ours = self.recorder.added()[-1][2]
        self.assertEqual(ours, constraints_of_ssh_add(self.recorder.requests[-1]))
        return ours

    def refused_by_both(self, *options, status=1):
        before = len(self.recorder.requests)
        result = self.add(*options, self.key.tpm)
        self.assertNotEqual(self.ssh_add(*options, self.soft).returncode, 0)
        self.assertEqual(len(self.recorder.requests), before, 'nothing is sent')
        self.assert_refused(result, status=status)
        return result

    def test_hosts_users_and_hops(self):
        for destinations in (('gateway',), ('me@gateway',), ('gateway>inner',), ('gateway>me@inner',),
                             ('gateway', 'gateway>inner', 'me@second'), ('[inner]:2222',), ('me@[inner]:2222',),
                             ('a.ca.example',), ('gateway', 'gateway')):
            with self.subTest(destinations=destinations):
                options = [word for each in destinations for word in ('-h', each)]
                self.assertIn(b'restrict-destination-v00@openssh.com', self.compare('-H', self.known, *options))

    def test_all_keys_of_a_host_from_several_files_go_along_with_other_constraints(self):
        sent = self.compare('-H', self.known, '-h', 'gateway', '-c', '-t', '60')
        self.assertEqual((sent[:6], sent.count(b'ssh-ed25519')), (b'\x01\x00\x00\x00\x3c\x02', 2))
        hashed = self.lab.write('hashed', f'inner {self.hosts["gateway"]}\n')
        self.lab.run('ssh-keygen', '-H', '-f', hashed, status=0)
        sent = self.compare('-H', self.known, '-H', hashed, '-h', 'inner')
        self.assertEqual(sent.count(b'ssh-ed25519'), 2)

    def test_users_with_an_at_sign_and_hosts_in_brackets_as_later_releases_of_ssh_add_have_them(self):
        for text, user, host in (('me@x@gateway', b'me@x', b'gateway'), ('[gateway]', b'', b'gateway')):
            self.add('-H', self.known, '-h', text, self.key.tpm, status=0)
            self.assertIn(string(user) + string(host), self.recorder.added()[-1][2])

    def test_the_usual_files_without_an_option(self):
        folder = self.lab.make_folder('home', '.ssh')
        for name, host in (('known_hosts', 'gateway'), ('known_hosts2', 'inner')):
            self.lab.write(f'home/.ssh/{name}', f'usual-{host}.test {self.hosts[host]}\n')
        for host in ('gateway', 'inner'):
            self.add('-h', f'usual-{host}.test', self.key.tpm, status=0)
            self.assertEqual(self.recorder.added()[-1][2].count(b'ssh-ed25519'), 1)
        self.add('-H', '~/.ssh/known_hosts2', '-h', 'usual-inner.test', self.key.tpm, status=0)
        self.assert_refused(self.add('-H', os.path.join(folder, 'known_hosts2'), '-h', 'usual-gateway.test',
                                     self.key.tpm), 'usual-gateway.test')

    def test_a_host_that_nobody_knows_is_refused(self):
        for destination in ('unknown', 'unknown>gateway', 'gateway>unknown', 'gone'):
            result = self.refused_by_both('-H', self.known, '-h', 'gateway', '-h', destination)
            self.assertIn('No host keys found for destination', result.stderr)
            self.assertIn(self.known, result.stderr)
        self.refused_by_both('-H', self.lab.path('absent'), '-h', 'gateway')

    def test_what_is_no_destination_is_refused(self):
        for destination in ('me@gateway>inner', '>inner', 'gateway>', ''):
            with self.subTest(destination=destination):
                self.refused_by_both('-H', self.known, '-h', destination, status=2)
        for destination in ('me@', 'gateway>me@', 'x' * 257 + '@gateway'):  # of which agents would not take the key
            with self.subTest(destination=destination):
                result = self.add('-H', self.known, '-h', destination, self.key.tpm)
                self.assert_refused(result, '-h', status=2)
        self.assertEqual(self.recorder.requests, [])


class Binding(Scenario):
    """What a connection tells of the sessions behind it, and which keys it then has."""

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

    def test_a_constrained_key_signs_a_login_to_its_host_and_nothing_else(self):
        with self.agent.connect() as connection:
            self.bind(connection, forwarding=True)
            self.assertFalse(self.may_sign(connection))  # on the way
        with self.agent.connect() as connection:
            self.assertFalse(self.may_sign(connection))
            self.assertEqual(len(connection.list()), 1)  # it is shown where nothing is bound
            self.bind(connection)
            self.assertEqual(len(connection.list()), 1)
            self.assertTrue(self.may_sign(connection))
            self.assertFalse(self.may_sign(connection, host_key=self.other.blob))
            self.assertFalse(self.may_sign(connection, session=b'another'))
            self.assertIsNone(connection.sign(self.blob, b'data'))

    def test_keys_without_constraints_do_not_care(self):
        free = SoftKey(self.lab, self.lab.path('free'))
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(add_identity(free.agent_fields())), DONE)
            self.bind(connection, signature=b'', expected=NOT_BOUND)
            self.assertEqual([blob for blob, _ in connection.list()], [self.blob] * REFERENCE + [free.key.blob])
            self.assertIsNotNone(connection.sign(free.key.blob, b'data'))

    @ours
    def test_what_does_not_bind_is_refused_and_remembered(self):
        """A bind with a wrong signature, and one without a body."""
        for request in session_bind(self.host, b'session', signature=self.other.sign(b'session')), BROKEN:
            with self.subTest(request), self.agent.connect() as connection:
                self.assertEqual(len(connection.list()), 1)
                self.assertEqual(connection.request(request), NOT_BOUND)
                self.assertEqual(connection.list(), [])
                self.assertFalse(self.may_sign(connection))
                self.assertEqual(connection.request(remove_identity(self.blob)), REFUSED)
                self.bind(connection)  # which does not bring the keys back
                self.assertEqual(connection.list(), [])
                self.assertFalse(self.may_sign(connection))

    def test_one_connections_binds_are_no_others(self):
        with self.agent.connect() as bound, self.agent.connect() as plain:
            self.bind(bound, self.other)
            self.assertEqual(bound.list(), [])
            self.assertEqual(len(plain.list()), 1)

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
        to = hop(b'host.example', self.host.blob)
        good = destination(hop(), to)
        with self.agent.connect() as connection:
            for wrong in (restrict_destination(good) * 2, restrict_destination(destination(hop(), to, b'reserved')),
                          constraint_extension(b'restrict-destination-v01@openssh.com', string(good))):
                self.assertEqual(connection.request(add_identity(fields, constraints=wrong)), REFUSED)
                self.assertEqual(len(connection.list()), 1)
            for right in restrict_destination(*[good] * 1024), lifetime(100) + restrict_destination(good) + CONFIRM:
                self.assertEqual(connection.request(add_identity(fields, constraints=right)), DONE)
                self.assertEqual(len(connection.list()), 2)


if __name__ == '__main__':
    unittest.main()
