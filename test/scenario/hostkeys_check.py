#!/usr/bin/env python3
"""ssh-tpm-hostkeys --check: what is wrong with sshd, with the agent and with the keys is found, and told."""

import os
import unittest

from agent import ours
from hierarchy import KINDS, HierarchyAgent, read_public
from hostkey import HostKey
from lab import Scenario
from protocol import REQUEST_IDENTITIES, SIGN_RESPONSE, frame, string, take_string
from softkey import SoftKey
from swtpm import Swtpm
from upstream import FakeAgent, identities

VERIFIES = 'its signature verifies'


class HostKeysCheck(Scenario):
    def setUp(self):
        super().setUp()
        self.root = self.lab.path('root')

    def check(self, socket, *host_keys, more=''):
        """With an sshd of these HostKey lines, whose HostKeyAgent is `socket`."""
        self.lab.make_folder('tools')
        config = self.lab.write('check.config', f'HostKeyAgent {socket}\nUsePAM no\n{more}\n' +
                                ''.join(f'HostKey {key}\n' for key in host_keys))
        self.lab.write('tools/sshd', f'#!/bin/sh\nexec /usr/sbin/sshd -f {config} "$@"\n', mode=0o755)
        return self.lab.run(self.lab.bin + '/ssh-tpm-hostkeys', '--check', '--socket', socket,
                            env={'PATH': self.lab.path('tools') + ':' + self.lab.env['PATH']})

    def assert_problem(self, result, *words):
        self.assert_error(result, *words, tool='ssh-tpm-hostkeys')
        self.assertEqual(result.stderr.count('error: '), result.stderr.count('hint: '), result.stderr)

    def pretended(self, kind, message_of=lambda data: data, signer=None):
        """An agent with one key, which signs what `message_of` makes of the data, with `signer`'s key."""
        key = HostKey(self.lab, kind=kind)

        def behave(peer):
            for request in peer.requests():
                if request[0] == REQUEST_IDENTITIES:
                    peer.send(frame(identities((key.blob, b'host'))))
                    continue
                _, rest = take_string(request[1:])
                data, _ = take_string(rest)
                peer.send(frame(bytes([SIGN_RESPONSE]) + string((signer or key).sign(message_of(data), 256))))

        public = self.lab.write(kind + '.pub', f'{key.line}\n', mode=0o600)
        return FakeAgent(self, behave, name=kind + '-' + str(len(os.listdir(self.lab.folder)))), public

    def test_a_signature_that_is_not_the_keys_is_found(self):
        for kind in 'ecdsa', 'rsa':
            with self.subTest(kind):
                agent, public = self.pretended(kind)
                good = self.check(agent.socket, public)
                self.assertEqual((good.returncode, good.stdout.count(VERIFIES)), (0, 1), good.stderr)
                for options in ({'message_of': lambda data: data + b'!'},
                                {'signer': HostKey(self.lab, 'other', kind)}):
                    agent, public = self.pretended(kind, **options)
                    self.assert_problem(self.check(agent.socket, public), public, "is not this key's",
                                        'not to be trusted')

    def test_an_answer_that_is_no_signature_is_found(self):
        key = SoftKey(self.lab, self.lab.path('host')).key

        def serve(answer):
            def behave(peer):
                for request in peer.requests():
                    listing = request[0] == REQUEST_IDENTITIES
                    peer.send(frame(identities((key.blob, b'host')) if listing else answer))
            return behave

        public = self.lab.write('alone.pub', key.line + '\n', mode=0o600)
        for number, answer in enumerate((bytes([5]), bytes([SIGN_RESPONSE]), bytes([SIGN_RESPONSE]) + string(b''),
                                         bytes([SIGN_RESPONSE]) + string(os.urandom(80)))):
            agent = FakeAgent(self, serve(answer), name=f'rude{number}')
            self.assert_problem(self.check(agent.socket, public), public)

    @ours
    def test_a_hierarchys_key_that_a_clear_has_ended_is_found(self):
        tpm = Swtpm(self.lab)
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', 'owner')
        keys = [read_public(self.root, kind) for kind in KINDS]
        agent = HierarchyAgent(self.lab, 'owner')
        plain = SoftKey(self.lab, self.lab.path('plain'))  # with it sshd starts in any case
        publics = [key.pub for key in keys]
        good = self.check(agent.socket, *publics)
        self.assertEqual((good.returncode, good.stdout.count(VERIFIES)), (0, len(KINDS)), good.stderr)
        tpm.tool('tpm2_clear')
        self.assert_problem(self.check(agent.socket, *publics), *publics)  # the agent has not noticed yet
        agent.stop()
        agent = HierarchyAgent(self.lab, 'owner')
        result = self.check(agent.socket, *publics, plain.path)
        self.assert_problem(result, *(f'{public}: the agent does not serve this key' for public in publics),
                            'tpm2_clear')
        self.assertNotIn(VERIFIES, result.stdout)
        for public in publics:
            os.unlink(public)
        self.lab.keygen('-q', '-A', '-f', self.root, '--hierarchy', 'owner')
        good = self.check(agent.socket, *publics)
        self.assertEqual((good.returncode, good.stdout.count(VERIFIES)), (0, len(KINDS)), good.stderr)
        agent.stop()
        tpm.assert_no_handles()

    def test_a_path_with_blanks_is_one_path(self):
        agent, public = self.pretended('ecdsa')
        odd = self.lab.path('a key of the host.pub')
        os.rename(public, odd)
        good = self.check(agent.socket, f'"{odd}"')
        self.assertEqual((good.returncode, good.stdout.count(VERIFIES)), (0, 1), good.stderr)


if __name__ == '__main__':
    unittest.main()
