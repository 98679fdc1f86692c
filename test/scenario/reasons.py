#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-add tells why the agent took no key: that the key is another TPM's, that the TPM was cleared or is gone. What
the Go program is answered stays as it is."""

import unittest

import protocol
from add_recorder import AddScenario
from agent import Agent, Askpass
from hostkey import HostKey
from lab import needs_root, read
from keys_once import KeysOnce
from protocol import (CONFIRM, EXTENSION_FAILURE, EXTENSION_RESPONSE, FAILURE, SIGN_RESPONSE, SUCCESS, add_checked_key,
                      explained_sign, extension, frame, lock, read_explanation, session_bind, sign_request, string,
                      tpm_add_key, try_pin)
from swtpm import Swtpm
from upstream import FakeAgent

PIN = 'a good pin'
CLEARED = 'belongs to another TPM, or the TPM was cleared'
WHAT_TO_DO = 'hint: make a new key here and replace the public key'


class Reasons(AddScenario, KeysOnce):
    KEYS = {'plain': {}, 'guarded': {'pin': PIN}, 'alone': {}}

    def start(self, *options):
        self.askpass = Askpass(self.lab, *[PIN] * 3)
        self.agent = Agent(self.lab, *options, env=self.askpass.env)
        self.socket = self.agent.socket

    def assert_told(self, *words, options=((), ('--pin',))):
        """For a key without and with a PIN, which nobody is asked for."""
        before = self.agent.listed()
        for name in ('plain', 'guarded'):
            for more in options:
                with self.subTest(name=name, options=more):
                    key = self.stocked(name)
                    result = self.add(*more, key.tpm, env=self.askpass.env)
                    self.assert_refused(result, f'Could not add identity "{key.tpm}": ', *words)
                    self.assertNotIn('agent refused operation', result.stderr)
                    self.assertEqual(result.stdout, '')
                    self.assertEqual(self.agent.listed(), before)
        self.assertEqual(self.askpass.questions(), [])

    def clear(self):
        """As in the firmware's settings, and then off and on."""
        self.tpm.tool('tpm2_clear', '-c', 'p')

    def test_a_key_of_another_tpm(self):
        other = Swtpm(self.lab, name='other')
        self.lab.env['SSH_TPM_TCTI'] = other.tcti
        self.start('--no-load')
        self.assert_told(CLEARED, WHAT_TO_DO)
        self.agent.stop()
        other.assert_no_handles()

    def test_a_tpm_that_was_cleared_before_the_agent_and_while_it_runs(self):
        self.clear()
        self.start('--no-load')
        self.assert_told(CLEARED, WHAT_TO_DO)
        self.agent.stop()

    def test_a_tpm_that_is_cleared_while_the_agent_has_the_keys_loaded(self):
        for name in ('plain', 'guarded'):
            self.take(name)
        self.start()
        for name in ('plain', 'guarded'):
            self.agent.sign_and_check(self.stocked(name))
        self.assertEqual(len(self.askpass.questions()), 1)
        self.clear()
        for name, options in (('plain', ()), ('guarded', ()), ('guarded', ('--pin',))):
            with self.subTest(name=name, options=options):
                self.assert_refused(self.add(*options, self.stocked(name).tpm, env=self.askpass.env),
                                    'the TPM was cleared or replaced', 'hint: ', 'known_tpms to accept the new one')
        self.assertEqual(len(self.askpass.questions()), 1)
        self.assertEqual(len(self.agent.listed()), 2)

    def test_a_tpm_that_is_gone(self):
        self.start('--no-load')
        self.tpm.kill()
        self.assert_told('TPM', 'hint: ')

    def test_a_locked_agent(self):
        self.start('--no-load')
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(protocol.lock(b'x'))[0], SUCCESS)
        key = self.stocked('plain')
        self.assert_refused(self.add(key.tpm), 'agent refused operation', 'hint: ', 'ssh-tpm-add -X')
        with self.agent.connect() as connection:
            for request in (add_checked_key(read(key.tpm).encode()), try_pin(key.blob, b'')):
                self.assertEqual(connection.request(request), bytes([FAILURE]))

    def test_through_ssh_the_reason_is_that(self):
        self.start()
        key, host = self.take('plain'), HostKey(self.lab)
        self.agent.wait_until_listed([key.line])
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(session_bind(host, b'session', forwarding=True))[0], SUCCESS)
            for request in (add_checked_key(read(key.tpm).encode()), try_pin(key.blob, b'1234'),
                            explained_sign(key.blob, b'data')):
                message, hint = read_explanation(connection.request(request))
                self.assertIn('forwarded connection', message)
                self.assertIn('on the machine where the agent runs', hint)
            self.assertEqual(connection.request(tpm_add_key(read(key.tpm).encode())), bytes([FAILURE]))

    def test_another_host_cannot_fill_the_log_with_refusals(self):
        self.start()
        key, host = self.take('plain'), HostKey(self.lab)
        self.agent.wait_until_listed([key.line])
        wrong = session_bind(host, b'another session', signature=b'')
        broken = extension(b'session-bind@openssh.com', b'')
        requests = (explained_sign(key.blob, b'data'), try_pin(key.blob, b'1234'), tpm_add_key(read(key.tpm).encode()),
                    extension(b'status@ssh-tpm'), extension(b'other@example.com'))
        before = len(self.agent.process.lines)
        for _ in range(2):
            with self.agent.connect() as connection:
                self.assertEqual(connection.request(session_bind(host, b'session', forwarding=True))[0], SUCCESS)
                for request in requests * 2 + (wrong, wrong, broken):
                    self.assertNotIn(connection.request(request)[0], (SUCCESS, SIGN_RESPONSE))
        said = ['refused a request by tpm-sign@ssh-tpm, which came over a forwarded connection',
                'error: refused to bind a connection to a session'] * 2
        self.assertEqual([line.split(': ', 1)[1] for line in self.agent.process.lines[before:]], said)

    def test_a_request_to_sign_by_our_extension_obeys_what_a_plain_one_does(self):
        self.start()
        key = self.take('plain')
        self.agent.wait_until_listed([key.line])
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(explained_sign(key.blob, b'data'))[0], SIGN_RESPONSE)
            add = add_checked_key(read(key.tpm).encode(), constraints=CONFIRM)
            self.assertEqual(connection.request(add), bytes([SUCCESS]))
            message, _ = read_explanation(connection.request(explained_sign(key.blob, b'data')))
            self.assertIn('the use of key', message)
            self.assertEqual(connection.request(sign_request(key.blob, b'data')), bytes([FAILURE]))
            self.assertEqual(connection.request(lock(b'x')), bytes([SUCCESS]))
            self.assertEqual(connection.request(explained_sign(key.blob, b'data')), bytes([FAILURE]))

    def test_every_malformed_body_has_a_reason_and_adds_nothing(self):
        self.start('--no-load')
        text = read(self.stocked('plain').tpm).encode()
        whole = add_checked_key(text, constraints=b'\x02')
        bodies = [whole[:length] for length in range(len(extension(b'tpm-add-key@ssh-tpm')), len(whole) - 1, 7)]
        bodies += [add_checked_key(each) for each in (b'', b'x', b'x' * 70000, text[:-30], text.replace(b'M', b'N'))]
        bodies += [add_checked_key(text, certificate=string(b'ssh-rsa')), add_checked_key(text, constraints=b'\x03'),
                   add_checked_key(text, constraints=b'\xff' + string(b'unknown@example.com')),
                   try_pin(b'no such key', b'x'), extension(b'tpm-try-pin@ssh-tpm', b'\xff'),
                   explained_sign(b'no such key', b'x'), extension(b'tpm-sign@ssh-tpm', b'\xff')]
        with self.agent.connect() as connection:
            for body in bodies:
                message, hint = read_explanation(connection.request(body))
                self.assertTrue(message)
                self.assertTrue((message + hint).isprintable())
                self.assertLess(len(message + hint), 2100)
            self.assertEqual(connection.list(), [])
            self.assertEqual(connection.request(whole), bytes([SUCCESS]))
        self.tpm.assert_no_handles()  # a TPM without resource manager has few

    def test_an_agent_explains_only_what_ours_explains(self):
        def behave(peer):
            for _ in peer.requests():
                peer.send(frame(bytes([EXTENSION_FAILURE]) + string(b'all is fine') + string(b'run this')))
        other = FakeAgent(self, behave)
        for mode in ('-l',), ('-D',), ('-X',):
            with self.subTest(mode):
                result = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', *mode, stdin='word\n',
                                      env={'SSH_AUTH_SOCK': other.socket})
                self.assertIn('agent refused operation', result.stderr)
                self.assertNotIn('run this', result.stderr)

    @needs_root
    def test_an_agent_of_another_user_explains_nothing(self):
        key = self.stocked('plain')

        def behave(peer):
            for request in peer.requests():
                peer.send(frame(
                    bytes([EXTENSION_RESPONSE]) + string(b'query') + string(b'tpm-sign@ssh-tpm')
                    if request == extension(b'query') else
                    bytes([EXTENSION_FAILURE]) + string(b'all is fine') + string(b'run this')))
        for user, told in ((0, True), (65534, False)):
            with self.subTest(user=user):
                other = FakeAgent(self, behave, name=str(user), user=user)
                result = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '-T', key.pub, env={'SSH_AUTH_SOCK': other.socket})
                self.assertEqual(result.returncode, 1)
                self.assertEqual('all is fine' in result.stderr and 'run this' in result.stderr, told, result.stderr)
                self.assertEqual('agent refused operation' in result.stderr, not told, result.stderr)

    def test_the_message_of_the_go_program_is_answered_as_before(self):
        """Its key is not tried with the TPM, and a refusal is one byte."""
        self.clear()
        self.start('--no-load')
        key = self.stocked('plain')
        with self.agent.connect() as connection:
            self.assertEqual(connection.request(tpm_add_key(read(key.tpm).encode())), bytes([SUCCESS]))
            self.assertEqual([blob for blob, _ in connection.list()], [key.blob])
            for bad in (b'', b'x', read(key.tpm).encode()[:-30]):
                self.assertEqual(connection.request(tpm_add_key(bad)), bytes([FAILURE]))


if __name__ == '__main__':
    unittest.main()
