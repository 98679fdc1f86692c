#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What goes on to upstream agents: removals, keys of new types, PKCS#11 providers, and requests that hang."""

import base64
import os
import shutil
import unittest

from agent import Agent, certify
from hostkey import HostKey
from lab import ROOT, read, wait_until
from openssh import generations
from protocol import (ADD_ID_CONSTRAINED, ADD_SMARTCARD, ADD_SMARTCARD_CONSTRAINED, CONFIRM, EXTENSION_FAILURE,
                      EXTENSION_RESPONSE, FAILURE, REMOVE_ALL, REMOVE_ALL_RSA, REMOVE_SMARTCARD, SESSION_BIND,
                      SIGN_REQUEST, SIGN_RESPONSE, SUCCESS, add_identity, destination, extension, frame,
                      hop, lifetime, lock, remove_identity, restrict_destination, session_bind, sign_request, string,
                      take_string, unlock)
from softkey import SoftKey
from upstream import LIST, FakeAgent, SshAgent, TwoBehind, WithAKey, always, identities

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'ssh')
TOKEN_MODULE = '/usr/lib/softhsm/libsofthsm2.so'


class Recorder:
    """An upstream agent that has these keys, and records the other requests. `answers` are by message number."""

    def __init__(self, test, *keys, name='recorder', **answers):
        self.requests, self.keys = [], list(keys)
        self.answers = {int(number[1:]): answer for number, answer in answers.items()}
        self.socket = FakeAgent(test, self._behave, name).socket

    def _behave(self, peer):
        for request in peer.requests():
            if request == LIST:
                peer.send(frame(identities(*self.keys)))
                continue
            self.requests.append(request)
            peer.send(frame(self.answers.get(request[0], bytes([SUCCESS]))))


class Removal(TwoBehind):
    """A key is removed when no agent has it any more."""

    def setUp(self):
        super().setUp()
        self.key = self.soft('key', 'ecdsa')

    def assert_refused(self, client, request, *logged):
        self.assertEqual(client.request(request), bytes([FAILURE]))
        for words in logged:
            self.agent.process.wait_line(words)

    def test_a_key_that_several_agents_have_is_removed_from_all(self):
        for tools in generations():
            with self.subTest(openssh=tools.name):
                self.start(name='agent-' + tools.name)
                _, certificate = certify(self.lab, self.key, '-n', 'root')
                for agent in (self.agent, self.first, self.second):
                    agent.ssh_add('-q', self.key.path, status=0)
                self.assert_lists(self.own, self.key, certificate)
                result = self.lab.run(tools.path('ssh-add'), '-d', self.key.path,
                                      env={'SSH_AUTH_SOCK': self.agent.socket}, status=0)
                self.assertEqual(result.stderr.count('Identity removed'), 2)
                self.assert_lists(self.own)
                for other in (self.first, self.second):
                    self.assert_lists(agent=other)
                self.assertEqual(self.agent.ssh_add('-d', self.key.path).returncode, 1)

    def test_a_locked_agent_that_has_the_key_has_not_removed_it(self):
        self.start()
        self.give(self.agent, self.key)
        self.give(self.first, self.key)
        self.assert_lists(self.own, self.key)
        with self.first.connect() as client:
            self.assertEqual(client.request(lock(b'word')), bytes([SUCCESS]))
        with self.agent.connect() as client:
            self.assert_refused(client, remove_identity(self.key.blob), 'did not confirm a removal')
        with self.first.connect() as client:
            self.assertEqual(client.request(unlock(b'word')), bytes([SUCCESS]))
        self.assert_lists(self.own, self.key)

    def test_ours_removes_them_likewise(self):
        self.start()
        _, certificate = certify(self.lab, self.key, '-n', 'root')
        self.give(self.agent, self.key)
        self.give(self.second, self.key)
        self.assert_lists(self.own, self.key, certificate)
        self.agent.add('-d', self.key.pub, status=0)
        self.assert_lists(self.own)
        self.assert_lists(agent=self.second)

    def test_one_that_keeps_the_key_or_does_not_answer_makes_it_a_failure(self):
        pair = (self.key.blob, b'key')
        liar, silent = Recorder(self, pair, name='liar'), FakeAgent(self, None, 'silent')
        for other, words in (liar, 'still has'), (silent, 'did not confirm'):
            with self.subTest(other.socket):
                self.start(others=[self.first, other], name=os.path.basename(other.socket) + '-agent')
                self.give(self.first, self.key)
                with self.agent.connect() as client:
                    self.assert_refused(client, remove_identity(self.key.blob), f'{other.socket} {words}')
                self.assert_lists(agent=self.first)
        self.assertEqual(liar.requests, [remove_identity(self.key.blob)])
        self.assertNotEqual(self.agent.add('-d', self.key.pub).returncode, 0)

    def test_our_own_key_goes_though_another_agent_hangs(self):
        self.start(others=[FakeAgent(self, None)])
        with self.agent.connect() as client:
            self.assert_refused(client, remove_identity(self.own.blob), 'did not confirm')
            self.assert_has(client)

    def test_one_whose_socket_is_gone_has_no_key(self):
        self.start()
        self.give(self.first, self.key)
        self.give(self.second, self.key)
        self.first.kill()
        self.agent.ssh_add('-d', self.key.pub, status=0)
        self.give(self.second, self.key)
        os.unlink(self.first.socket)
        self.agent.ssh_add('-d', self.key.pub, status=0)
        self.give(self.second, self.key)
        self.agent.ssh_add('-D', status=0)
        self.assert_lists(agent=self.second)

    def test_remove_all_is_a_failure_unless_every_agent_that_is_there_confirms(self):
        refusing = Recorder(self, m19=bytes([FAILURE]), m9=bytes([FAILURE]), name='refusing')
        for other in refusing, FakeAgent(self, None, 'silent'):
            with self.subTest(other.socket):
                self.start(others=[self.first, other], name=os.path.basename(other.socket) + '-agent')
                self.give(self.first, self.key)
                result = self.agent.ssh_add('-D')
                self.assertEqual((result.returncode, result.stderr), (1, 'Failed to remove all identities.\n'))
                self.assert_lists(agent=self.first)
                self.agent.process.wait_line(other.socket + ' did not confirm')
        self.assertEqual(refusing.requests, [bytes([REMOVE_ALL]), bytes([REMOVE_ALL_RSA])])

    def test_what_a_connection_may_not_see_it_does_not_remove_elsewhere_either(self):
        recorder = Recorder(self, (self.key.blob, b'key'))
        self.start(others=[recorder])
        host, stranger = HostKey(self.lab, 'host'), HostKey(self.lab, 'stranger')
        fields = SoftKey(self.lab, self.key.path).agent_fields()
        only = restrict_destination(destination(hop(), hop(b'host', host.blob)))
        with self.agent.connect() as local, self.agent.connect() as bound:
            self.assertEqual(local.request(add_identity(fields, constraints=only)), bytes([SUCCESS]))
            self.assertEqual(bound.request(session_bind(stranger, b'id', True)), bytes([SUCCESS]))
            self.assert_refused(bound, remove_identity(self.key.blob))
            self.assertEqual(recorder.requests, [])
            recorder.keys.clear()
            self.assertEqual(local.request(remove_identity(self.key.blob)), bytes([SUCCESS]))


class NewTypes(WithAKey):
    """Keys of types that this program does not know, and of OpenSSH 10.6's."""

    def setUp(self):
        super().setUp()
        invented = string(b'ssh-new@example.com') + string(bytes(1000))
        with open(os.path.join(DATA, 'mldsa44-ed25519.pub'), encoding='ascii') as file:
            recorded = [line.split() for line in file]
        self.blobs = [invented, *[base64.b64decode(words[1]) for words in recorded]]
        self.lines = [f'{take_string(blob)[0].decode()} {base64.b64encode(blob).decode()} a key' for blob in self.blobs]
        self.files = [self.lab.write(f'new{number}.pub', line + '\n') for number, line in enumerate(self.lines)]
        self.other = Recorder(self, *[(blob, b'a key') for blob in self.blobs])
        self.other.answers[SIGN_REQUEST] = bytes([SIGN_RESPONSE]) + string(string(b'ssh-new') + string(bytes(64)))
        self.agent = Agent(self.lab, '-t', '1000', '-A', self.other.socket)

    def test_they_are_listed(self):
        self.assertEqual(self.agent.add('-L', status=0).stdout.splitlines(), [self.own.line, *self.lines])
        labels = ['0 (NEW)', '512 (MLDSA44-ED25519)', '512 (MLDSA44-ED25519-CERT)']
        shown = [line.split() for line in self.agent.add('-l', status=0).stdout.splitlines()[1:]]
        self.assertEqual([f'{words[0]} {words[-1]}' for words in shown], labels)
        self.assertEqual(shown[1][1], shown[2][1])  # a certificate has the fingerprint of its key
        for file, words in zip(self.files, shown):
            line = self.lab.run(f'{self.lab.bin}/ssh-tpm-keygen', '-l', '-f', file, status=0).stdout
            self.assertEqual(line.split(), words)

    def test_they_sign_and_are_tested_and_removed(self):
        with self.agent.connect() as client:
            for blob in self.blobs:
                request = sign_request(blob, b'data', 0x8000_0007)
                self.assertEqual(client.request(request), self.other.answers[SIGN_REQUEST])
                self.assertEqual(self.other.requests.pop(), request)
        for file in self.files:
            result = self.agent.add('-T', file, status=0)
            self.assertIn('not checked', result.stderr)
        self.other.answers[SIGN_REQUEST] = bytes([FAILURE])
        self.assertEqual(self.agent.add('-T', self.files[0]).returncode, 1)
        self.other.requests.clear()
        self.other.keys.clear()
        for file in self.files:
            self.assertIn('Identity removed', self.agent.add('-d', file, status=0).stderr)
        self.assertEqual(self.other.requests, [remove_identity(blob) for blob in self.blobs])

    def test_they_are_added_with_the_lifetime_of_the_agents_keys_or_their_own(self):
        fields = string(b'ssh-new@example.com') + string(bytes(1000)) + string(bytes(64))
        cases = ((add_identity(fields), lifetime(1000)), (add_identity(fields, constraints=CONFIRM), lifetime(1000)),
                 (add_identity(fields, constraints=lifetime(60)), b''),
                 (add_identity(fields, constraints=lifetime(60) + CONFIRM), b''))
        with self.agent.connect() as client:
            for request, appended in cases:
                self.assertEqual(client.request(request), bytes([SUCCESS]))
                self.assertEqual(self.other.requests.pop(), bytes([ADD_ID_CONSTRAINED]) + request[1:] + appended)


class Providers(WithAKey):
    """PKCS#11 providers and unknown extensions, which are for upstream agents."""

    HELLO = extension(b'hello@example.com', b'body')

    def messages(self):
        body = string(b'/usr/lib/provider.so') + string(b'1234')
        return (bytes([ADD_SMARTCARD]) + body, bytes([ADD_SMARTCARD_CONSTRAINED]) + body + lifetime(60),
                bytes([REMOVE_SMARTCARD]) + body, self.HELLO)

    def test_they_arrive_as_they_came_unless_the_connection_is_of_a_session(self):
        other = Recorder(self)
        agent = Agent(self.lab, '-A', other.socket)
        with agent.connect() as client:
            for request in self.messages():
                self.assertEqual(client.request(request), bytes([SUCCESS]))
                self.assertEqual(other.requests.pop(), request)
        host = HostKey(self.lab, 'host')
        refused = extension(SESSION_BIND, b'broken')
        for bind, reply in (session_bind(host, b'id'), SUCCESS), (refused, EXTENSION_FAILURE):
            with agent.connect() as client:
                self.assertEqual(client.request(bind), bytes([reply]))
                for request in self.messages():
                    self.assertEqual(client.request(request), bytes([FAILURE]))
        self.assertEqual(other.requests, [])

    def test_a_provider_comes_with_the_lifetime_of_the_agents_keys(self):
        other = Recorder(self)
        agent = Agent(self.lab, '-t', '1000', '-A', other.socket)
        with agent.connect() as client:
            for request in self.messages()[:2]:
                client.request(request)
        plain, limited = self.messages()[:2]
        self.assertEqual(other.requests,
                         [bytes([ADD_SMARTCARD_CONSTRAINED]) + plain[1:] + lifetime(1000), limited])

    def test_a_provider_is_unloaded_everywhere(self):
        others = [Recorder(self, name='first', m21=bytes([FAILURE])), Recorder(self, name='second'),
                  Recorder(self, name='third')]
        agent = Agent(self.lab, *[word for other in others for word in ('-A', other.socket)])
        remove = self.messages()[2]
        with agent.connect() as client:
            self.assertEqual(client.request(remove), bytes([SUCCESS]))
            self.assertEqual([other.requests for other in others], [[remove]] * 3)
            for other in others:
                other.answers[REMOVE_SMARTCARD] = bytes([FAILURE])
            self.assertEqual(client.request(remove), bytes([FAILURE]))

    def test_of_several_answers_to_an_extension_the_first_that_is_no_failure_counts(self):
        failure, failed = bytes([FAILURE]), bytes([EXTENSION_FAILURE])
        done = bytes([EXTENSION_RESPONSE]) + string(b'hello@example.com')
        others = [Recorder(self, name=name) for name in ('first', 'second')]
        agent = Agent(self.lab, *[word for other in others for word in ('-A', other.socket)])
        cases = (((failed, done), done), ((failure, done), done), ((failed, failure), failed),
                 ((failure, failed), failed), ((failure, failure), failure), ((done, failed), done))
        for answers, expected in cases:
            with self.subTest(answers), agent.connect() as client:
                for other, answer in zip(others, answers):
                    other.answers[self.HELLO[0]] = answer
                self.assertEqual(client.request(self.HELLO), expected)

    @unittest.skipUnless(shutil.which('softhsm2-util') and os.path.exists(TOKEN_MODULE), 'no softhsm2 here')
    def test_ssh_add_loads_and_unloads_a_real_provider(self):
        tokens = self.lab.make_folder('tokens')
        self.lab.env['SOFTHSM2_CONF'] = self.lab.write('softhsm2.conf', f'directories.tokendir = {tokens}\n')
        self.lab.run('softhsm2-util', '--init-token', '--free', '--label', 'test', '--pin', '1234', '--so-pin', '1234',
                     status=0)
        soft = SoftKey.ready_made(self.lab, self.lab.path('in-token'))
        self.lab.run('softhsm2-util', '--import', soft.copy(self.lab.path('plain'), 'pkcs8'), '--token', 'test',
                     '--label', 'key', '--id', '01', '--pin', '1234', status=0)
        askpass = self.lab.write('askpass', '#!/bin/sh\necho 1234\n', mode=0o755)
        env = {'SSH_ASKPASS': askpass, 'SSH_ASKPASS_REQUIRE': 'force'}
        other = SshAgent(self.lab)
        agent = Agent(self.lab, '-A', other.socket)
        for tools in generations():
            with self.subTest(openssh=tools.name):
                def ssh_add(*options):
                    return self.lab.run(tools.path('ssh-add'), *options, status=0,
                                        env={**env, 'SSH_AUTH_SOCK': agent.socket})
                ssh_add('-s', TOKEN_MODULE)
                self.assertEqual([line.split()[1] for line in agent.listed()],
                                 [key.line.split()[1] for key in (self.own, soft.key)])
                agent.sign_and_check(soft.key)
                ssh_add('-e', TOKEN_MODULE)
                self.assertEqual(agent.listed(), [self.own.line])
        if ROOT:  # the agent hides it from others
            self.assertNotIn('libsofthsm2', read(f'/proc/{agent.process.pid}/maps'))


class Hangs(WithAKey):
    def setUp(self):
        super().setUp()
        self.lab.limit('upstream_slow', 0.05, 5)
        self.blob = string(b'ssh-ed25519') + string(bytes(32))
        self.waiting = []
        self.other = FakeAgent(self, self.behave)
        self.agent = Agent(self.lab, '-A', self.other.socket)

    def behave(self, peer):
        for request in peer.requests():
            if request != LIST:
                self.waiting.append(peer)
                peer.wait_until_closed()
                self.waiting.remove(peer)
                return
            peer.send(frame(identities((self.blob, b'hangs'))))

    def test_a_signature_that_hangs_is_logged_and_ends_with_its_client(self):
        """In three times as many connections as there are permits."""
        for _ in range(8):
            clients = self.connect(self.agent, 200)
            for client in clients:
                client.send(frame(sign_request(self.blob, b'data')))
            wait_until(lambda: len(self.waiting) == 200, 'the requests there')
            self.agent.process.wait_line(f'the agent at {self.other.socket} has not answered')
            for client in clients:
                client.socket.close()
            wait_until(lambda: not self.waiting, 'the end of the requests there')

    def test_an_answer_in_time_is_not_logged(self):
        self.other.behaviour = always(identities((self.blob, b'well')))
        with self.agent.connect() as client:
            client.list()
            client.request(sign_request(self.blob, b'data'))
        self.agent.stop()
        self.assertNotIn('has not answered', self.agent.log())


if __name__ == '__main__':
    unittest.main()
