#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sshd keeps its host keys in this agent (HostKeyAgent), of files, of a hierarchy, or added: what clients see."""

import os
import re
import unittest

from agent import Agent, ours
from giving import SshAdd, SshTpmAdd, start_agent
from hierarchy import KINDS, HierarchyAgent, login, primary_of_tools, read_public
from lab import Scenario, read, slow
from openssh import INSTALLED, generations
from softkey import SoftKey
from sshd import Sshd
from swtpm import SHA512, Probe, Swtpm

# By the kind of key; ecdsa and rsa are those that keygen makes for hosts.
ALGORITHMS = {'ecdsa': ('ecdsa-sha2-nistp256',), 'ecdsa384': ('ecdsa-sha2-nistp384',),
              'ecdsa521': ('ecdsa-sha2-nistp521',), 'rsa': ('rsa-sha2-256', 'rsa-sha2-512')}
BITS = {'ecdsa': 256, 'ecdsa384': 384, 'ecdsa521': 521, 'rsa': 2048}


class HostKeys:
    """`agent` has `keys`, by their kind; sshd has public files alone."""

    ENDING = '.pub'  # of the files that HostKey names

    def serve(self, *options, tools=INSTALLED):
        self.user = SoftKey(self.lab, self.lab.path('user'))
        self.server = Sshd(self.lab, f'HostKeyAgent {self.agent.socket}', *options, authorized=[self.user.pub],
                           host_keys=[key.path + self.ENDING for key in self.keys.values()], tools=tools)

    def know(self, *lines):
        """A known_hosts file: as the host is called in it, and a key."""
        self.known = self.lab.write('known_hosts', ''.join(
            line.replace('HOST', f'[127.0.0.1]:{self.server.port}').rstrip('\n') + '\n' for line in lines))

    def know_keys(self, *kinds):
        self.know(*('HOST ' + self.keys[kind].line for kind in kinds or self.keys))

    def login(self, algorithm, *options):
        return login(self.lab, self.server, self.user, self.known, '-v',
                     '-o', f'HostKeyAlgorithms={algorithm}', *options)

    def assert_login(self, algorithm):
        result = self.login(algorithm)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        self.assertIn(f'kex: host key algorithm: {algorithm}', result.stderr)
        return result.stderr

    def assert_refused(self, algorithm):
        result = self.login(algorithm)
        self.assertEqual((result.returncode, result.stdout), (255, ''))

    def algorithms(self):
        return [algorithm for kind in self.keys for algorithm in ALGORITHMS[kind]]

    def assert_logins(self):
        for kind, key in self.keys.items():
            for algorithm in ALGORITHMS[kind]:
                self.assertIn(self.lab.fingerprint(key), self.assert_login(algorithm))

    def assert_learns(self, first):
        """UpdateHostKeys: the server answers hostkeys-prove-00@openssh.com with a signature of each key."""
        if self.server.tools.cuts_logins_that_learn and any(kind != first and kind != 'rsa' for kind in self.keys):
            self.skipTest('this sshd ends the sessions of all but root that learn an ECDSA key of its agent')
        self.know_keys(first)
        # The command ends when the file is complete, or at its own deadline.
        learnt = f'for i in $(seq 600); do [ $(wc -l < {self.known}) = {len(self.keys)} ] && break; sleep 0.1; done'
        result = login(self.lab, self.server, self.user, self.known, '-o', 'UpdateHostKeys=yes', command=learnt)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual({line.split()[2] for line in read(self.known).splitlines()},
                         {key.line.split()[1] for key in self.keys.values()})

    def restart_agent(self):
        self.agent.stop()
        self.tpm.assert_no_handles()
        self.agent = self.start_agent()


class Made(HostKeys):
    """`keygen -A` has made the keys, in a TPM without the hashes in LACKS."""

    LACKS = ()
    ENDING = ''  # as in our file for sshd: there is no file of this name, and sshd finds the .pub beside it

    def make(self, *options):
        self.tpm = Swtpm(self.lab)
        self.lab.env['SSH_TPM_TCTI'] = Probe(self.tpm, lacks=self.LACKS).tcti
        self.root = self.lab.path('root')
        self.lab.keygen('-q', '-A', '-f', self.root, *options)
        self.keys = {kind: read_public(self.root, kind) for kind in KINDS}
        self.agent = self.start_agent()


class MadeToLast(Made):
    def setUp(self):
        super().setUp()
        self.make(*self.OPTIONS)

    def test_a_login_with_each_algorithm_after_restarts_and_resets(self):
        self.serve()
        self.know_keys()
        self.assert_logins()
        for reset in (False, True):
            self.restart_agent()
            if reset:
                self.tpm.reset()  # beneath the agent
            self.assert_logins()

    def test_sshd_logs_no_error_and_both_spellings_serve(self):
        for tools in generations():
            for self.ENDING in ('', '.pub'):
                with self.subTest(openssh=tools.name, ending=self.ENDING):
                    self.serve('LogLevel DEBUG1', tools=tools)
                    self.know_keys()
                    self.assert_logins()
                    self.assert_learns('ecdsa')
                    self.server.process.end()
                    bad = re.findall('(?i)UNPROTECTED.*|bad permissions|error: .*|could not load.*|unable to load.*',
                                     self.server.process.log())
                    self.assertEqual(bad == [], self.ENDING == '', bad)

    def test_a_certificate_of_each_key_is_believed_by_who_knows_the_authority_alone(self):
        authority = SoftKey(self.lab, self.lab.path('authority'))
        for key in self.keys.values():
            self.lab.ssh_keygen('-q', '-h', '-s', authority.path, '-I', 'a host', '-n', '127.0.0.1', key.pub)
        for tools in generations():
            self.serve(*(f'HostCertificate {key.path}-cert.pub' for key in self.keys.values()), tools=tools)
            self.know('@cert-authority * ' + read(authority.pub))
            for algorithm in self.algorithms():
                self.assertIn('Server host certificate', self.assert_login(algorithm + '-cert-v01@openssh.com'))

    def test_a_client_that_knows_one_key_learns_the_other(self):
        self.serve()
        for kind in self.keys:
            with self.subTest(kind):
                self.assert_learns(kind)


@ours
class OfFiles(MadeToLast, Scenario):
    OPTIONS = ()

    def start_agent(self):
        return Agent(self.lab, '--no-seal', '--no-cache', key_dir=os.path.join(self.root, 'etc/ssh'))


@ours
class OfTheEndorsementHierarchy(MadeToLast, Scenario):
    OPTIONS = '--hierarchy', 'endorsement'

    def start_agent(self):
        return HierarchyAgent(self.lab, 'endorsement', '--no-load', '--no-seal', '--no-cache')


@ours
class OfOtherHierarchies(Made, Scenario):
    def host(self, hierarchy):
        self.start_agent = lambda: HierarchyAgent(self.lab, hierarchy)
        self.make('--hierarchy', hierarchy)
        self.serve()
        self.know_keys()

    def test_the_owner_hierarchys_keys_serve_logins(self):
        self.host('owner')
        self.assert_logins()
        self.tpm.reset()
        self.assert_logins()
        self.agent.stop()
        self.tpm.assert_no_handles()

    def test_the_null_hierarchys_keys_serve_logins_until_a_reset(self):
        self.host('null')
        self.assert_logins()
        self.restart_agent()
        self.assert_logins()
        self.tpm.reset()
        for algorithm in self.algorithms():
            self.assert_refused(algorithm)
        self.restart_agent()  # which has other keys now than the files say
        self.assert_refused('rsa-sha2-256')


@ours
class OfATpmWithoutSha512(Made, Scenario):
    LACKS = SHA512,

    def assert_serves(self):
        self.serve()
        self.know_keys()
        self.assert_logins()
        self.restart_agent()
        self.tpm.reset()  # beneath the agent
        self.assert_logins()
        self.assert_learns('ecdsa')
        for key in self.keys.values():
            self.agent.add('-T', key.pub, status=0)

    def test_keys_of_files_serve_logins_and_are_learnt(self):
        self.start_agent = lambda: Agent(self.lab, key_dir=os.path.join(self.root, 'etc/ssh'))
        self.make()
        self.assert_serves()

    def test_keys_of_a_hierarchy_serve_logins_and_are_learnt(self):
        self.start_agent = lambda: HierarchyAgent(self.lab, 'endorsement')
        self.make('--hierarchy', 'endorsement')
        self.assertIn(primary_of_tools(self.tpm, 'e', 'rsa', '|decrypt'), self.keys['rsa'].blob)
        self.assertIn(primary_of_tools(self.tpm, 'e', 'ecdsa'), self.keys['ecdsa'].blob)
        self.assert_serves()


class Added(HostKeys):
    """Keys that were given to the agent."""

    def give(self, *kinds):
        self.agent = start_agent(self.lab)
        self.keys = {kind: self.make_key(kind, kind.strip('0123456789'), BITS[kind]) for kind in kinds}
        for key in self.keys.values():
            self.add(self.agent, key, status=0)
        self.serve()
        self.know_keys()

    def test_a_login_with_each_algorithm_and_each_key_is_learnt(self):
        self.give(*BITS)
        self.assert_logins()
        self.assert_learns('ecdsa')

    def test_a_key_that_the_agent_lost_is_the_end_of_that_login_and_no_other(self):
        self.give('ecdsa', 'ecdsa384')
        self.agent.ssh_add('-d', self.keys['ecdsa'].pub, status=0)
        self.assert_refused('ecdsa-sha2-nistp256')
        self.assert_login('ecdsa-sha2-nistp384')


@slow
class AddedOrdinaryKeys(Added, SshAdd, Scenario):
    pass


@ours
class AddedTpmKeys(Added, SshTpmAdd, Scenario):
    pass


if __name__ == '__main__':
    unittest.main()
