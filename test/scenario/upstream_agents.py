#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real upstream agents, of OpenSSH and GnuPG: one socket for all keys, ours first, and they come and go."""

import os
import unittest

from agent import Agent, Askpass, certify
from lab import read, read_key, wait_until
from protocol import (ADD_ID_CONSTRAINED, ADD_IDENTITY, CONFIRM, FAILURE, REMOVE_ALL, SESSION_BIND, SIGN_RESPONSE,
                      SUCCESS, add_identity, extension, frame, lifetime, lock, readable, sign_request, string, unlock)
from resources import cpu, descriptors, descriptors_at_rest
from softkey import SoftKey
from sshd import USER, Sshd
from swtpm import Probe
from upstream import LIST, FakeAgent, Peer, SshAgent, TwoBehind, WithAKey, identities

# Speaks for a person to gpg-agent (the Assuan protocol): the same passphrase, whatever it is asked.
PINENTRY = '''#!/bin/sh
echo "OK"
while read -r command rest; do
    echo "$command $rest" >> "{folder}/asked"
    [ "$command" != GETPIN ] || echo "D a passphrase"
    echo "OK"
    [ "$command" != BYE ] || exit 0
done
'''


class Keys(TwoBehind):
    def test_own_keys_come_first_then_the_others_in_their_order_and_certificates_last(self):
        a, b, c = self.soft('a'), self.soft('b'), self.soft('c')
        _, certificate = certify(self.lab, c, '-n', USER)
        self.give(self.second, c)
        self.give(self.first, a, b)
        self.start()
        self.assert_lists(self.own, a, b, c, certificate)
        self.start(others=(self.second, self.first), name='swapped')
        self.assert_lists(self.own, c, a, b, certificate)
        with self.agent.connect() as client:
            self.assertIsNotNone(client.sign(certificate.blob, b'data'))

    def test_a_key_in_two_agents_is_listed_once_with_its_first_name(self):
        a, b = self.soft('a'), self.soft('b')
        self.give(self.first, a)
        self.give(self.second, b)
        other_name = self.lab.path('other-name')
        self.lab.write('other-name', read(a.path), mode=0o600)
        self.lab.ssh_keygen('-q', '-c', '-C', 'another name', '-f', other_name)
        self.second.ssh_add('-q', other_name, status=0)
        self.assertEqual(len(self.second.listed()), 2)
        self.start()
        self.assert_lists(self.own, a, b)
        self.first.ssh_add('-q', '-d', a.pub, status=0)
        self.assertEqual(len(self.agent.listed()), 3)  # now under its name in the second agent
        self.assertIn('another name', '\n'.join(self.agent.listed()))

    def test_keys_of_the_others_sign_files_and_logins(self):
        keys = [self.soft('a'), self.soft('b', 'rsa', 2048), self.soft('c', 'ecdsa', 384)]
        self.give(self.first, *keys[:2])
        self.give(self.second, keys[2])
        self.start()
        for key in (self.own, *keys):
            self.agent.sign_and_check(key)
        server = Sshd(self.lab, authorized=[keys[1].pub])
        result = server.login(self.agent)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        with self.agent.connect() as client:  # and without having seen a list
            self.assertIsNotNone(client.sign(keys[2].blob, b'data'))
            self.assertEqual(client.sign(keys[1].blob, b'data', 4)[0], 'rsa-sha2-512')
            self.assertIsNone(client.sign(self.soft('stranger').blob, b'data'))

    def test_our_key_wins_over_the_same_key_of_another_agent(self):
        soft = self.soft('twice', 'ecdsa', 256)
        probe = Probe(self.tpm)
        self.start(tcti=probe.tcti)
        self.give(self.first, soft)
        self.give(self.agent, soft)
        self.assert_lists(self.own, soft)
        probe.take()
        self.agent.sign_and_check(soft)
        self.assertEqual(probe.take().count('TPM2_Sign'), 1)
        self.agent.ssh_add('-q', '-d', soft.pub, status=0)
        self.assert_lists(agent=self.first)
        self.assert_lists(self.own)
        self.assertNotEqual(self.agent.ssh_add('-q', '-d', soft.pub).returncode, 0)


class Changes(TwoBehind):
    def test_a_key_that_no_tpm_holds_goes_to_the_first_that_takes_it(self):
        a, b, c = self.soft('a'), self.soft('b'), self.soft('c')
        self.start()
        self.give(self.agent, a)
        self.assert_lists(a, agent=self.first)
        self.assert_lists(agent=self.second)
        with self.first.connect() as client:
            self.assertEqual(client.request(lock(b'word')), bytes([SUCCESS]))
        self.give(self.agent, b)  # the first refuses
        self.assert_lists(b, agent=self.second)
        self.assert_lists(self.own, b)
        self.agent.sign_and_check(b)
        self.first.kill()
        self.second.kill()
        self.assertNotEqual(self.agent.ssh_add('-q', c.path).returncode, 0)
        self.assert_lists(self.own)

    def test_the_lifetime_of_this_agents_keys_goes_along(self):
        given = []

        def behave(peer):
            for request in peer.requests():
                if request[0] in (ADD_IDENTITY, ADD_ID_CONSTRAINED):
                    given.append(request)
                peer.send(frame(identities() if request == LIST else bytes([SUCCESS])))
        self.start('-t', '1000', '--no-seal', others=[FakeAgent(self, behave)])
        soft = SoftKey(self.lab, self.lab.path('plain'))
        key, rsa, certified = self.soft('key'), self.soft('rsa', 'rsa', 2048), self.soft('certified')
        certify(self.lab, certified, '-n', 'root')
        with self.agent.connect() as client:
            plain = add_identity(soft.agent_fields())
            self.assertEqual(client.request(plain), bytes([SUCCESS]))
            self.assertEqual(given, [bytes([ADD_ID_CONSTRAINED]) + plain[1:] + lifetime(1000)])
        given.clear()
        self.agent.ssh_add('-q', rsa.path, certified.path, status=0)
        self.agent.ssh_add('-q', '-c', key.path, status=0)
        self.agent.ssh_add('-q', '-t', '1h', key.path, status=0)
        ends = [lifetime(1000)] * 3 + [CONFIRM + lifetime(1000), lifetime(3600)]
        self.assertEqual([request[-len(end):] for request, end in zip(given, ends, strict=True)], ends)

    def test_keys_are_removed_where_they_are(self):
        a, b, c = self.soft('a'), self.soft('b'), self.soft('c')
        self.give(self.first, a, b)
        self.give(self.second, c)
        self.start()
        self.agent.ssh_add('-q', '-d', c.pub, status=0)
        self.assert_lists(agent=self.second)
        self.agent.ssh_add('-q', '-d', a.pub, status=0)
        self.assert_lists(b, agent=self.first)
        self.assert_lists(self.own, b)
        self.assertNotEqual(self.agent.ssh_add('-q', '-d', a.pub).returncode, 0)
        self.give(self.second, c)
        self.agent.ssh_add('-q', '-D', status=0)
        for agent in (self.agent, self.first, self.second):
            self.assert_lists(agent=agent)

    def test_all_keys_are_removed_there_though_the_client_hangs_up_at_once(self):
        told = []

        def behave(peer):
            for request in peer.requests():
                if request == bytes([REMOVE_ALL]):
                    told.append(peer)
                peer.send(frame(identities() if request == LIST else bytes([SUCCESS])))
        self.start(others=[FakeAgent(self, behave)])
        for before in (), (extension(SESSION_BIND),):  # which is told there first
            for _ in range(5):
                told.clear()
                with self.agent.connect() as client:
                    for request in before:
                        client.request(request)
                    with self.agent.stopped():
                        client.send(frame(bytes([REMOVE_ALL])))
                        client.socket.close()
                wait_until(lambda: told, 'the request there')

    def test_while_locked_nothing_of_the_others_is_to_be_had(self):
        a = self.soft('a')
        self.give(self.first, a)
        self.start()
        with self.agent.connect() as before:
            self.assertEqual(len(before.list()), 2)
            self.assertEqual(before.request(lock(b'word')), bytes([SUCCESS]))
            self.assert_lists()
            self.assertEqual(before.list(), [])
            self.assertIsNone(before.sign(a.blob, b'data'))
            self.assertEqual(before.request(extension(b'unknown@example.com')), bytes([FAILURE]))
            self.assertNotEqual(self.agent.ssh_add('-q', self.soft('b').path).returncode, 0)
            self.assertNotEqual(self.agent.ssh_add('-q', '-d', a.pub).returncode, 0)
            self.agent.ssh_add('-D')
            self.assert_lists(a, agent=self.first)  # which is not locked, nor touched
            self.assertEqual(before.request(unlock(b'word')), bytes([SUCCESS]))
        self.assert_lists(self.own, a)
        self.agent.sign_and_check(a)


class Questions(WithAKey):
    """A key of the other agent that wants to be confirmed."""

    def setUp(self):
        super().setUp()
        self.asked, self.not_asked = Askpass(self.lab, name='theirs'), Askpass(self.lab, name='ours')
        self.key = self.soft('confirmed')
        self.other = SshAgent(self.lab, env=self.asked.env)
        self.agent = Agent(self.lab, '-A', self.other.socket, env=self.not_asked.env)
        self.agent.ssh_add('-q', '-c', self.key.path, status=0)

    def ask(self, client):
        client.send(frame(sign_request(self.key.blob, b'data')))
        wait_until(self.asked.questions, 'the question')

    def answer(self, fifo):
        with open(fifo, 'w', encoding='ascii') as answer:
            answer.write('\n')

    def test_the_other_agent_asks_and_takes_a_yes_and_a_no(self):
        self.lab.write('theirs/answer.1', '\n')
        self.agent.sign_and_check(self.key)
        self.assertNotEqual(self.agent.ssh_keygen_sign(self.key).returncode, 0)  # askpass fails: a no
        self.assertEqual(len(self.asked.questions()), 2)
        self.assertEqual(self.not_asked.questions(), [])

    def test_its_question_holds_up_nobody_but_those_who_want_a_signature_there(self):
        """Nor is that agent given up: it does one thing at a time, so it hangs until it has its answer."""
        fifo = self.asked.answer_later(1)
        self.lab.write('theirs/answer.2', '\n')
        with self.agent.connect() as asking, self.agent.connect() as next_one, self.agent.connect() as client:
            next_one.list()  # as ssh does first
            self.ask(asking)
            for _ in range(3):
                self.assert_has(client, self.own)
                self.assertIsNotNone(client.sign(self.own.blob, b'data'))
            next_one.send(frame(sign_request(self.key.blob, b'more')))
            self.assert_has(client, self.own)
            self.assertEqual(readable([asking, next_one], 0), [])
            self.answer(fifo)
            self.assertEqual(asking.read_frame()[0], SIGN_RESPONSE)
            self.assertEqual(next_one.read_frame()[0], SIGN_RESPONSE)
            self.assert_has(client, self.own, self.key)

    def test_one_that_is_killed_while_it_asks(self):
        fifo = self.asked.answer_later(1)
        with self.agent.connect() as client:
            self.ask(client)
            self.other.kill()
            self.answer(fifo)
            self.assertEqual(client.read_frame(), bytes([FAILURE]))
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))


class ComingAndGoing(TwoBehind):
    def test_one_that_is_not_there_at_the_start_may_come(self):
        a = self.soft('a')
        self.first.kill()
        self.start()
        with self.agent.connect() as client:
            for _ in range(3):
                self.assert_has(client, self.own)
            self.first.restart()
            self.give(self.first, a)
            self.assert_has(client, self.own, a)
            self.assertIsNotNone(client.sign(a.blob, b'data'))
        about = [line for line in self.agent.log().splitlines() if self.first.socket in line]
        self.assertEqual(len(about), 2)  # that it is not there, and that it is

    def test_a_path_where_nothing_is_at_all(self):
        self.lab.make_folder('folder')
        self.lab.write('file', '')
        paths = [self.lab.path(path) for path in ('absent', 'no/such/folder', 'folder', 'file')]
        self.start(*[word for path in paths for word in ('-A', path)])
        for _ in range(3):
            self.assert_lists(self.own)
        self.agent.sign_and_check(self.own)
        self.agent.stop()
        for path in paths:
            self.assertEqual(self.agent.log().count(path + ':'), 1, self.agent.log())

    def test_one_that_is_killed_and_started_anew_goes_on_over_the_same_connection(self):
        a, b = self.soft('a'), self.soft('b')
        self.give(self.first, a)
        self.start()
        with self.agent.connect() as client:
            self.assert_has(client, self.own, a)
            self.first.kill()
            self.assert_has(client, self.own)
            self.assertIsNone(client.sign(a.blob, b'data'))
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))
            self.first.restart()
            self.give(self.first, b)
            self.assert_has(client, self.own, b)
            self.assertIsNotNone(client.sign(b.blob, b'data'))
            self.first.kill()  # and anew between two requests
            self.first.restart()
            self.give(self.first, b)
            self.assertIsNotNone(client.sign(b.blob, b'data'))

    def test_one_that_comes_back_and_hangs_is_not_waited_for_where_another_has_the_key(self):
        a = self.soft('a')
        for other in (self.first, self.second):
            self.give(other, a)
        self.start()
        with self.agent.connect() as client:
            self.assert_has(client, self.own, a)
            self.first.kill()
            self.assert_has(client, self.own, a)
            os.unlink(self.first.socket)
            back = FakeAgent(self, Peer.wait_until_closed, name='first')
            self.assertIsNotNone(client.sign(a.blob, b'data'))
            self.assertEqual(back.connections, 0)

    def test_each_client_has_a_connection_of_its_own_there_which_ends_with_it(self):
        self.start(others=(self.first,))
        idle = descriptors_at_rest(self.first)
        clients = self.connect(self.agent, 5)
        for client in clients:
            self.assertIsNotNone(client.sign(self.own.blob, b'data'))
        self.assertEqual(descriptors_at_rest(self.first), idle)  # none before it is needed
        for client in (*clients, clients[0]):
            client.list()
        self.assertEqual(descriptors_at_rest(self.first), idle + 5)
        for client in clients:
            client.socket.close()
        wait_until(lambda: descriptors_at_rest(self.first) == idle, 'the end of the connections')


class Circles(WithAKey):
    """An agent that is its own upstream agent."""

    def check(self, *agents):
        agent = agents[0]
        for _ in range(3):
            self.assertEqual(agent.listed(), [self.own.line])
            agent.sign_and_check(self.own)
        with agent.connect() as client:
            self.assertIsNone(client.sign(string(b'ssh-ed25519') + string(bytes(32)), b'data'))
        wait_until(lambda: max(descriptors(each.process.pid) for each in agents) < 100, 'the circle to end')
        before = [cpu(each.process.pid) for each in agents]
        self.assertEqual(agent.listed(), [self.own.line])
        for each, spent in zip(agents, before):
            self.assertLess(cpu(each.process.pid) - spent, 0.5)
        # Two wait for each other's confirmation.
        self.assertEqual(agent.ssh_add('-q', '-D').returncode, len(agents) - 1)
        self.assertEqual(agent.listed(), [])
        for each in agents:
            each.stop()

    def test_its_own_socket(self):
        self.check(Agent(self.lab, '-A', self.lab.path('agent.sock')))

    def test_two_that_are_upstream_of_each_other(self):
        self.check(Agent(self.lab, '-A', self.lab.path('b.sock'), name='a'),
                   Agent(self.lab, '-A', self.lab.path('a.sock'), name='b'))


class Gpg(WithAKey):
    """The ssh socket of gpg-agent as the upstream agent."""

    def setUp(self):
        super().setUp()
        self.home = self.lab.make_folder('gnupg')
        self.lab.env['GNUPGHOME'] = self.home
        pinentry = self.lab.write('pinentry', PINENTRY.format(folder=self.lab.folder), mode=0o755)
        # It finds out at length what s2k-count suits the machine unless it is told.
        self.lab.write('gnupg/gpg-agent.conf', f'enable-ssh-support\nmax-cache-ttl-ssh 0\ns2k-count 65536\n'
                                               f'pinentry-program {pinentry}\n')
        self.socket = self.lab.run('gpgconf', '--list-dirs', 'agent-ssh-socket', status=0).stdout.strip()
        self.addCleanup(self.lab.run, 'gpgconf', '--remove-socketdir')
        self.addCleanup(self.lab.run, 'gpgconf', '--kill', 'gpg-agent')  # it has forked
        self.lab.start('gpg-agent', '--no-detach', '--daemon').wait_line(' started')
        self.agent = Agent(self.lab, '-A', self.socket)

    def make_openpgp_key(self, algorithm):
        """A key of OpenPGP that may be used for logins, without a passphrase."""
        self.lab.run('gpg', '--batch', '--passphrase', '', '--quick-generate-key', f'{algorithm}@example.com',
                     algorithm, 'auth', 'never', status=0)
        listed = self.lab.run('gpg', '--batch', '--with-colons', '--with-keygrip', '--list-secret-keys',
                              f'{algorithm}@example.com', status=0).stdout.splitlines()
        grip = next(line.split(':')[9] for line in listed if line.startswith('grp:'))
        with open(os.path.join(self.home, 'sshcontrol'), 'a', encoding='ascii') as file:
            file.write(grip + '\n')
        fingerprint = next(line.split(':')[9] for line in listed if line.startswith('fpr:'))
        line = self.lab.run('gpg', '--batch', '--export-ssh-key', fingerprint + '!', status=0).stdout
        return line.split()[:2]

    def check_signs(self, line):
        self.lab.write('listed.pub', line + '\n')
        self.agent.sign_and_check(read_key(self.lab.path('listed')))

    def test_keys_of_openpgp_are_listed_and_sign(self):
        for place, algorithm in enumerate(('ed25519', 'nistp256', 'rsa2048'), 2):
            with self.subTest(algorithm):
                made = self.make_openpgp_key(algorithm)
                listed = self.agent.listed()
                self.assertEqual(listed[0], self.own.line)
                self.assertEqual(len(listed), place)
                self.check_signs(next(line for line in listed if line.split()[:2] == made))

    def test_a_key_that_was_added_through_ours_is_kept_there_and_asked_for_there(self):
        key = self.soft('soft')
        self.agent.ssh_add('-q', key.path, status=0)
        self.assertEqual(self.agent.listed(), [self.own.line, key.line])
        os.unlink(self.lab.path('asked'))  # a new passphrase
        # gpg-agent lets a passphrase of lifetime 0 live until the end of its second; a reload drops it at once.
        self.lab.run('gpg-connect-agent', 'reloadagent', '/bye', status=0)
        self.check_signs(key.line)
        self.assertIn('GETPIN', read(self.lab.path('asked')))

    def test_a_key_that_it_keeps_though_it_says_success_is_not_removed(self):
        key = self.soft('soft')
        self.agent.ssh_add('-q', key.path, status=0)
        self.assertEqual(self.agent.ssh_add('-d', key.pub).returncode, 1)
        self.agent.process.wait_line('still has a key')
        self.assertEqual(self.agent.listed(), [self.own.line, key.line])


if __name__ == '__main__':
    unittest.main()
