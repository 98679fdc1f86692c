#!/usr/bin/env python3
"""Real ssh-agents behind ours: one socket for all their keys, and ours first."""

import unittest

from agent import Agent, Askpass, certify
from lab import Scenario, wait_until
from protocol import FAILURE, SIGN_RESPONSE, SUCCESS, extension, frame, lock, readable, sign_request, string, unlock
from softkey import SoftKey
from sshd import Sshd
from swtpm import Probe, Swtpm
from upstream import SshAgent, TwoBehind


class Keys(TwoBehind):
    def assert_login(self, key, *sshd_options):
        server = Sshd(self.lab, *sshd_options, authorized=() if sshd_options else [key.pub])
        result = server.login(self.agent)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        return server

    def test_own_keys_come_first_then_the_others_in_their_order(self):
        a, b, c = self.soft('a'), self.soft('b', 'rsa', 2048), self.soft('c', 'ecdsa', 521)
        self.give(self.second, c)
        self.give(self.first, a, b)
        self.start()
        self.assert_lists(self.own, a, b, c)
        self.start(others=(self.second, self.first), name='swapped')
        self.assert_lists(self.own, c, a, b)

    def test_a_key_in_two_agents_is_listed_once_with_its_first_name(self):
        a, b = self.soft('a'), self.soft('b')
        self.give(self.first, a)
        self.give(self.second, b)
        other_name = self.lab.path('other-name')
        with open(a.path, 'rb') as file:
            self.lab.write('other-name', file.read(), mode=0o600)
        self.lab.ssh_keygen('-q', '-c', '-C', 'another name', '-f', other_name)
        self.second.ssh_add('-q', other_name, status=0)
        self.assertEqual(len(self.second.listed()), 2)
        self.start()
        self.assert_lists(self.own, a, b)
        self.agent.ssh_add('-q', '-d', a.pub, status=0)
        self.assertEqual(len(self.agent.listed()), 3)  # now under its name in the second agent
        self.assertIn('another name', '\n'.join(self.agent.listed()))

    def test_keys_of_the_others_sign_files_and_logins(self):
        keys = [self.soft('a'), self.soft('b', 'rsa', 2048), self.soft('c', 'ecdsa', 384)]
        self.give(self.first, *keys[:2])
        self.give(self.second, keys[2])
        self.start()
        for key in (self.own, *keys):
            with self.subTest(key.comment):
                self.agent.sign_and_check(key)
                self.assert_login(key).accepted(key)
        with self.agent.connect() as client:  # and without having seen a list
            self.assertIsNotNone(client.sign(keys[2].blob, b'data'))
            self.assertEqual(client.sign(keys[1].blob, b'data', 4)[0], 'rsa-sha2-512')
            self.assertIsNone(client.sign(self.soft('stranger').blob, b'data'))

    def test_a_certificate_of_another_agent_logs_in(self):
        key = self.soft('a')
        authority, certificate = certify(self.lab, key, '-n', 'root,tester')
        self.give(self.second, key)
        self.start()
        self.assert_lists(self.own, key, certificate)
        user = self.lab.run('id', '-un', status=0).stdout.strip()
        principals = self.lab.write('principals', f'root\ntester\n{user}\n')
        server = self.assert_login(certificate, f'TrustedUserCAKeys {authority}',
                                   f'AuthorizedPrincipalsFile {principals}')
        server.process.wait_line('Accepted publickey')
        self.assertIn('ED25519-CERT', server.process.wait_line('Accepted publickey'))

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
        self.agent.ssh_add('-q', '-d', soft.pub, status=0)  # ours; that of the other shows behind it
        self.assert_lists(soft, agent=self.first)
        self.assert_lists(self.own, soft)
        self.agent.sign_and_check(soft)
        self.assertEqual(probe.take().count('TPM2_Sign'), 0)
        self.agent.ssh_add('-q', '-d', soft.pub, status=0)
        self.assert_lists(self.own)
        self.assertNotEqual(self.agent.ssh_add('-q', '-d', soft.pub).returncode, 0)


class Changes(TwoBehind):
    def test_a_key_that_no_tpm_holds_goes_to_the_first_that_takes_it(self):
        a, b = self.soft('a'), self.soft('b')
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

    def test_nobody_reports_success_for_a_key_that_nobody_took(self):
        self.first.kill()
        self.second.kill()
        self.start()
        key = self.soft('a')
        self.assertNotEqual(self.agent.ssh_add('-q', key.path).returncode, 0)
        self.assert_lists(self.own)

    def test_a_lifetime_holds_in_the_other_agent(self):
        key = self.soft('a')
        self.start()
        self.agent.ssh_add('-q', '-t', '1', key.path, status=0)
        wait_until(lambda: self.agent.listed() == [self.own.line], 'the end of the key')

    def test_the_lifetime_of_this_agents_keys_holds_there_too(self):
        certified, constrained, long = (self.soft(name) for name in ('certified', 'constrained', 'long'))
        certificate = certify(self.lab, certified, '-n', 'root')[1]
        others = self.soft('ecdsa', 'ecdsa', 256), self.soft('rsa', 'rsa', 2048)
        self.start('-t', '4', '--no-seal')
        self.agent.ssh_add('-q', '-t', '1h', long.path, status=0)
        self.agent.ssh_add('-q', '-c', constrained.path, status=0)
        self.give(self.agent, certified, *others)
        self.assert_lists(long, constrained, certified, certificate, *others, agent=self.first)
        wait_until(lambda: self.first.listed() == [long.line], 'the end of all but one')
        unknown = bytes([17]) + string(b'ssh-new') + string(b'key') + string(b'comment')
        with self.agent.connect() as client:
            self.assertEqual(client.request(unknown), bytes([FAILURE]))
        self.agent.process.wait_line('without the lifetime')

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

    def test_all_keys_are_removed_everywhere(self):
        self.give(self.first, self.soft('a'))
        self.give(self.second, self.soft('b'))
        self.start()
        self.agent.ssh_add('-q', '-D', status=0)
        for agent in (self.agent, self.first, self.second):
            self.assert_lists(agent=agent)

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


class Questions(Scenario):
    """A key of the other agent that wants to be confirmed."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.own = self.lab.make_key('own')
        self.asked, self.not_asked = Askpass(self.lab, name='theirs'), Askpass(self.lab, name='ours')
        self.key = SoftKey(self.lab, self.lab.path('confirmed'), 'ed25519', 256, 'confirmed').key
        self.other = SshAgent(self.lab, env=self.asked.env)
        self.agent = Agent(self.lab, '-A', self.other.socket, env=self.not_asked.env)
        self.agent.ssh_add('-q', '-c', self.key.path, status=0)

    def test_the_other_agent_asks_and_takes_a_yes_and_a_no(self):
        self.lab.write('theirs/answer.1', '\n')
        self.agent.sign_and_check(self.key)
        self.assertNotEqual(self.agent.ssh_keygen_sign(self.key).returncode, 0)  # askpass fails: a no
        self.assertEqual(len(self.asked.questions()), 2)
        self.assertEqual(self.not_asked.questions(), [])

    def test_its_question_holds_up_nobody_here(self):
        """Nor is that agent given up: it does one thing at a time, so it hangs until it has its answer."""
        fifo = self.asked.answer_later(1)
        with self.agent.connect() as asking, self.agent.connect() as client:
            asking.send(frame(sign_request(self.key.blob, b'data')))
            wait_until(self.asked.questions, 'the question')
            for _ in range(3):
                self.assertEqual([blob for blob, _ in client.list()], [self.own.blob])
                self.assertIsNotNone(client.sign(self.own.blob, b'data'))
            self.assertEqual(readable([asking], 0), [])
            with open(fifo, 'w', encoding='ascii') as answer:
                answer.write('\n')
            self.assertEqual(asking.read_frame()[0], SIGN_RESPONSE)
            self.assertEqual([blob for blob, _ in client.list()], [self.own.blob, self.key.blob])

    def test_a_second_signature_waits_for_the_first_ones_answer(self):
        fifo = self.asked.answer_later(1)
        self.lab.write('theirs/answer.2', '\n')
        with self.agent.connect() as asking, self.agent.connect() as next_one:
            next_one.list()  # as ssh does first
            asking.send(frame(sign_request(self.key.blob, b'data')))
            wait_until(self.asked.questions, 'the question')
            with self.agent.connect() as client:
                client.list()  # which cannot have this agent's keys now
            next_one.send(frame(sign_request(self.key.blob, b'more')))
            with self.agent.connect() as client:
                client.list()
            self.assertEqual(readable([asking, next_one], 0), [])
            with open(fifo, 'w', encoding='ascii') as answer:
                answer.write('\n')
            self.assertEqual(asking.read_frame()[0], SIGN_RESPONSE)
            self.assertEqual(next_one.read_frame()[0], SIGN_RESPONSE)


if __name__ == '__main__':
    unittest.main()
