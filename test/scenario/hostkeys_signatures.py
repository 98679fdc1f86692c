#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-hostkeys --check: the signatures of the agent that sshd asks."""

import os
import unittest

from agent import Agent, ours
from hierarchy import KINDS, HierarchyAgent, base_of, login, read_public
from hostkey import HostKey
from hostkeys_check import BY, IN_A_FILE, NOT_SERVED, Check
from lab import read_key
from protocol import FAILURE, RSA_SHA2_512, SIGN_RESPONSE, frame, string
from softkey import SoftKey
from sshd import Sshd
from swtpm import SHA512, Probe
from upstream import LIST, FakeAgent, identities, signs


class Signatures(Check):
    def pretended(self, kind, message_of=lambda data: data, signer=None):
        """An agent with one key, which signs what `message_of` makes of the data, with `signer`'s key."""
        key = HostKey(self.lab, kind=kind)

        def answer(data, flags):
            bits = 512 if flags == RSA_SHA2_512 else 256
            return bytes([SIGN_RESPONSE]) + string((signer or key).sign(message_of(data), bits))
        agent = FakeAgent(self, signs(answer, key.blob),
                          name=kind + '-' + str(len(os.listdir(self.lab.folder))))
        return agent, self.public(kind, key)

    def public(self, name, key):
        """The path of a host key, as HostKey names it; its .pub file is there."""
        return self.lab.write(name + '.pub', f'{key.line}\n').removesuffix('.pub')

    def check_keys(self, agent, *host_keys):
        return self.results(self.config_of(agent, *(f'HostKey "{key}"' for key in host_keys)), socket=agent.socket)

    def test_a_key_that_cannot_sign_what_openssh_prefers_is_found(self):
        """A client's ssh that prefers that algorithm gets no login."""
        self.take_keys(self.root + '/etc/ssh', '.pub')
        self.keys = {kind: read_key(base_of(self.root, kind)) for kind in KINDS}
        self.agent = Agent(self.lab, key_dir=self.root + '/etc/ssh', tcti=Probe(self.tpm, lacks=[SHA512]).tcti)
        rsa = self.keys['rsa'].path
        _, (problem,) = self.check_keys(self.agent, *(key.path for key in self.keys.values()))
        self.assertEqual((problem['status'], problem['check'], problem['subject']), ('fail', 'host-key', rsa))
        self.assertRegex(problem['text'], '^rsa-sha2-512: .*; it signs with rsa-sha2-256$')
        user = SoftKey(self.lab, self.lab.path('user'))
        for options, status in ((), 255), (('HostKeyAlgorithms -rsa-sha2-512',), 0):
            server = Sshd(self.lab, f'HostKeyAgent {self.agent.socket}', *options, authorized=[user.pub],
                          host_keys=[rsa])
            known = self.lab.write('known', f'[127.0.0.1]:{server.port} {self.keys["rsa"].line}\n')
            self.assertEqual(login(self.lab, server, user, known).returncode, status)
            self.assertEqual(self.results(self.config_of(self.agent, *options, f'HostKey {rsa}'))[1] == [],
                             status == 0)

    def test_an_algorithm_with_which_the_agent_does_not_sign_is_to_be_excluded(self):
        """With a certificate, too."""
        key = HostKey(self.lab, kind='rsa')

        def answer(data, flags):
            return bytes([FAILURE]) if flags == RSA_SHA2_512 else bytes([SIGN_RESPONSE]) + string(key.sign(data, 256))
        agent, path = FakeAgent(self, signs(answer, key.blob)), self.public('rsa', key)
        _, (problem,) = self.check_keys(agent, path)
        self.assertIn('it signs with rsa-sha2-256', problem['text'])
        line = 'HostKeyAlgorithms -rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com'
        self.assertIn(line, problem['hint'])
        self.assertEqual(self.results(self.config_of(agent, f'HostKey {path}', line), socket=agent.socket)[1], [])

    def test_a_signature_that_is_not_the_keys_is_found(self):
        for kind in 'ecdsa', 'rsa':
            with self.subTest(kind):
                agent, path = self.pretended(kind)
                oks, problems = self.check_keys(agent, path)
                self.assertEqual((oks[-1], problems), (('host-key', path, BY[kind]), []))
                for options in ({'message_of': lambda data: data + b'!'},
                                {'signer': HostKey(self.lab, 'other', kind, 3072)}):
                    agent, path = self.pretended(kind, **options)
                    _, (problem,) = self.check_keys(agent, path)
                    self.assertEqual((problem['status'], problem['subject']), ('fail', path))
                    self.assertIn("the agent's signature is not this key's", problem['text'])
                    self.assertIn('not to be trusted', problem['hint'])

    def test_an_answer_that_is_no_signature_is_found(self):
        key = SoftKey(self.lab, self.lab.path('host')).key
        path = self.public('alone', key)
        for number, answer in enumerate((bytes([5]), bytes([SIGN_RESPONSE]), bytes([SIGN_RESPONSE]) + string(b''),
                                         bytes([SIGN_RESPONSE]) + string(os.urandom(80)))):
            agent = FakeAgent(self, signs(lambda *_, answer=answer: answer, key.blob), name=f'rude{number}')
            _, (problem,) = self.check_keys(agent, path)
            self.assertEqual((problem['status'], problem['check'], problem['subject']), ('fail', 'host-key', path))

    def test_an_agent_that_stops_answering_is_one_problem(self):
        """At its list, and at the first of its signatures."""
        self.lab.limit('host_agent', 1, 5)
        keys = [HostKey(self.lab, name, 'ecdsa') for name in ('one', 'two')]
        paths = [self.public(key.file.split('/')[-1].split('.')[0], key) for key in keys]

        def behave(peer):
            for request in peer.requests():
                if request == LIST and lists:
                    peer.send(frame(identities(*((key.blob, b'host') for key in keys))))
        for lists in False, True:
            with self.subTest(lists=lists):
                agent = FakeAgent(self, behave, name=f'hangs{lists}')
                oks, problems = self.check_keys(agent, *paths)
                self.assertEqual([each['text'] for each in problems if each['check'] == 'agent'],
                                 ['the agent does not answer'])
                self.assertEqual({each['check'] for each in problems}, {'agent', 'host-key-order'})
                self.assertNotIn('host-key', [check for check, _, _ in oks])

    @ours
    def test_a_hierarchys_key_that_a_clear_has_ended_is_found(self):
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', 'owner')
        keys = [read_public(self.root, kind) for kind in KINDS]
        agent = HierarchyAgent(self.lab, 'owner')
        plain = SoftKey(self.lab, self.lab.path('plain'), 'ed25519')  # with it sshd starts in any case
        paths = [key.path for key in keys]
        self.assertEqual(self.check_keys(agent, *paths)[1], [])
        self.tpm.tool('tpm2_clear')
        _, problems = self.check_keys(agent, *paths)  # the agent has not noticed yet
        self.assertEqual([(each['status'], each['subject']) for each in problems], [('fail', path) for path in paths])
        agent.stop()
        agent = HierarchyAgent(self.lab, 'owner')
        _, problems = self.check_keys(agent, *paths, plain.path)
        self.assertEqual([(each['status'], each['subject'], each['text']) for each in problems],
                         [*(('fail', path, NOT_SERVED) for path in paths), ('warn', plain.path, IN_A_FILE)])
        self.assertIn('tpm2_clear, ssh-tpm hostkeys --renew --hierarchy HIERARCHY', problems[0]['hint'])
        self.lab.run(f'{self.lab.bin}/ssh-tpm-hostkeys', '--renew', '--yes', '--hierarchy', 'owner',
                     env={'DESTDIR': self.root}, status=0)
        self.assertEqual(self.check_keys(agent, *paths)[1], [])
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_path_with_blanks_is_one_path(self):
        agent, path = self.pretended('ecdsa')
        odd = self.lab.path('a key of the host')
        os.rename(path + '.pub', odd + '.pub')
        self.assertEqual(self.check_keys(agent, odd)[0][-1], ('host-key', odd, BY['ecdsa']))


if __name__ == '__main__':
    unittest.main()
