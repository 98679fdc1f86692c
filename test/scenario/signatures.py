#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Signatures of every key type fit, whoever asks and whatever the flags. A warm key costs one TPM command for each, a
cold one what it must; an idle agent holds nothing. test/bench/chip has the times of a chip."""

import os
import re
import signal
import threading
import time
import unittest

import keyfile
from agent import Agent, Askpass, certify
from chip import FLUSH, LOAD, PRIMARY, SESSION, SIGN, SIGNATURE, chip_time, demands, rules
from lab import KINDS, Scenario, slow, wait_until
from libcrypto import Verifier
from openssh import generations
from protocol import RSA_SHA2_256, RSA_SHA2_512, frame, read_signature, sign_request
from softkey import SoftKey
from sshd import Sshd
from swtpm import Probe, Swtpm
from upstream import SshAgent

TRIES = 'TPM2_GetCapability'  # how many tries the TPM still allows: read for a question, and before its answer is tried
PROOF = 'TPM2_GetRandom'  # of a new session, before a PIN is used in it
PIN = '1234'
FIRST, FIRST_WITH_PIN = [LOAD, SIGN], [TRIES, LOAD, TRIES, SESSION, PROOF, SIGN]  # under a persistent storage key
BURST = 4
LEGACY_PROVIDER = """openssl_conf = start
[start]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
"""


class WithTpm(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)

    def agent(self, pin='', options=(), **more):
        self.askpass = Askpass(self.lab, *[pin] * (1 if options else len(KINDS)), name='askpass' + pin)
        agent = Agent(self.lab, *options, tcti=self.probe.tcti, env=self.askpass.env, **more)
        self.probe.take()  # before any client, it may look whether there is a persistent storage key
        return agent

    def commands_of_a_signature(self, agent, key, flags=RSA_SHA2_512):
        with agent.connect() as connection:
            self.assertIsNotNone(connection.sign(key.blob, b'data', flags))
        return self.probe.take()

    def without_flushes(self, agent, key):
        return [name for name in self.commands_of_a_signature(agent, key) if name != FLUSH]


class Signatures(WithTpm):
    def assert_good(self, key, signed, data=b'data'):
        self.assertTrue(Verifier(self.lab, key).is_good(signed, data))

    def check_every_type(self, kinds, pin):
        keys = [self.lab.make_key(f'{kind}{bits}', kind, bits, pin=pin) for kind, bits in kinds]
        agent = self.agent(pin)
        for number, key in enumerate(keys, 1):
            with self.subTest(key=key.comment):
                agent.sign_and_check(key)
                self.assertIn(LOAD, self.probe.take())
                for _ in range(3):
                    self.assertEqual(self.commands_of_a_signature(agent, key), [SIGN])
                self.assertEqual(len(self.askpass.questions()), number if pin else 0)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_every_type_signs_and_verifies_and_is_one_command_when_warm(self):
        self.check_every_type(KINDS, pin='')

    def test_so_it_is_with_a_pin(self):
        self.check_every_type(KINDS[:4], pin=PIN)

    def test_a_signature_with_a_pin_makes_no_openssl_library_context(self):
        """Each would cost more than the signature. A provider that makes one for itself has it for itself."""
        key, made = self.lab.make_key('x', pin=PIN), self.lab.write('contexts', '')
        config = self.lab.write('openssl.cnf', LEGACY_PROVIDER)
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, tcti=self.probe.tcti, env={
            **askpass.env, 'LD_PRELOAD': os.environ['SSH_TPM_COUNT_CONTEXTS'], 'SSH_TPM_TEST_CONTEXTS': made,
            'OPENSSL_CONF': config})
        agent.sign_and_check(key)
        before = os.path.getsize(made)
        self.assertIn(before, (1, 2))  # ESYS's, and the provider's where there is one
        for _ in range(5):
            agent.sign_and_check(key)
        self.assertEqual(os.path.getsize(made), before)
        agent.stop()

    def test_flags_choose_the_hash_of_an_rsa_signature_sha1_is_refused_and_a_certificate_signs_as_its_key(self):
        key = self.lab.make_key('rsa', 'rsa', 2048)
        certificate = certify(self.lab, key, '-n', 'someone')[1]
        agent = self.agent()
        with agent.connect() as connection:
            self.assertIsNotNone(connection.sign(key.blob, b'data', RSA_SHA2_256))
            self.probe.take()
            for blob in (key.blob, certificate.blob):
                for flags in (RSA_SHA2_256, RSA_SHA2_512, RSA_SHA2_256 | RSA_SHA2_512, 0x80000000 | RSA_SHA2_256):
                    expected = 'rsa-sha2-512' if flags == RSA_SHA2_512 else 'rsa-sha2-256'
                    algorithm, signature = connection.sign(blob, b'data', flags)
                    self.assertEqual((algorithm, len(signature)), (expected, 256))
                    self.assert_good(key, (algorithm, signature))
                    self.assertEqual(self.probe.take(), [SIGN])
            for flags in (0, 1, 8, 0xfffffff9):
                self.assertIsNone(connection.sign(key.blob, b'data', flags))

    def test_only_the_test_of_ssh_add_gets_an_rsa_signature_without_a_flag_and_the_log_names_the_program(self):
        """1024 random bytes. All else that is signed begins with a string, whose length is far less."""
        key = self.lab.make_key('rsa', 'rsa', 2048)
        agent = self.agent()
        for tools in generations():
            self.lab.run(tools.path('ssh-add'), '-T', key.pub, env={'SSH_AUTH_SOCK': agent.socket}, status=0)
        refused = (b'\xff' * 1023, b'\xff' * 1025, bytes(1024), b'\0\0\x03\xfc' + bytes(1020))
        with agent.connect() as connection:
            for data in refused:
                self.assertIsNone(connection.sign(key.blob, data, 0))
            data = b'\0\0\x03\xfd' + bytes(1020)
            self.assert_good(key, connection.sign(key.blob, data, 0), data)
        said = f'error: refused a signature with SHA-1 (ssh-rsa): python3 (pid {os.getpid()})'
        self.assertEqual(agent.log().count(said), len(refused))
        self.assertEqual(agent.log().count('hint: a newer version of that program'), len(refused))

    def assert_logged(self, agent, key, algorithm, outcome):
        """And no other line about a signature."""
        line = wait_until(lambda: [line for line in agent.log().splitlines() if ': sign: ' in line][self.logged:],
                          'a line in the log')
        self.logged += len(line)
        self.assertEqual(len(line), 1)
        self.assertRegex(line[0], f'^ssh-tpm-agent: sign: {re.escape(key)}, {algorithm}, for python3 '
                                  rf'\(pid {os.getpid()}\).*: {outcome}$')

    def test_d_logs_one_line_for_each_signature(self):
        key, guarded = self.lab.make_key('rsa', 'rsa', 2048), self.lab.make_key('guarded', pin=PIN)
        soft, absent = (SoftKey(self.lab, self.lab.path(name), 'ed25519').key for name in ('soft', 'absent'))
        other = SshAgent(self.lab)
        other.ssh_add(soft.path, status=0)
        self.logged = 0
        agent = self.agent(PIN, options=('-d', '-A', other.socket))
        fifo = self.askpass.answer_later(2)
        with agent.connect() as connection:
            for blob, flags, name, algorithm, outcome in (
                    (key.blob, RSA_SHA2_512, key.tpm, 'rsa-sha2-512', 'signed'),
                    (key.blob, 0, key.tpm, 'ssh-rsa', 'refused'),
                    (guarded.blob, 0, guarded.tpm, guarded.algorithm, 'signed'),
                    (soft.blob, 0, f'key {self.lab.fingerprint(soft)} (ED25519)', 'ssh-ed25519',
                     'answered by an upstream agent'),
                    (absent.blob, 0, f'key {self.lab.fingerprint(absent)} (ED25519)', 'ssh-ed25519', 'refused')):
                connection.sign(blob, b'data', flags)
                self.assert_logged(agent, name, algorithm, outcome)
            connection.sign(b'\0\0\0\x04\x1b[2J', b'data')
            self.assertIn(', ?[2J, for python3', agent.process.wait_line('[2J'))
            self.logged += 1
        agent.add('-D', status=0)
        wait_until(lambda: agent.ssh_add('-l').returncode == 1, 'an empty list')
        agent.process.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: guarded.line.split()[1] in agent.ssh_add('-L').stdout, 'the keys')
        connection = agent.connect()
        connection.send(frame(sign_request(guarded.blob, b'data')))
        wait_until(lambda: len(self.askpass.questions()) == 2, 'the question')
        connection.socket.close()
        self.assert_logged(agent, guarded.tpm, guarded.algorithm, 'given up: the client has gone')
        os.unlink(fifo)

    def test_flags_do_not_matter_for_ecdsa_and_a_certificate_signs_as_its_key(self):
        keys = [self.lab.make_key(f'ecdsa{bits}', 'ecdsa', bits) for bits in (256, 384, 521)]
        certificate = certify(self.lab, keys[0], '-n', 'someone')[1]
        with self.agent().connect() as connection:
            for key, blob in [(key, key.blob) for key in keys] + [(keys[0], certificate.blob)]:
                for flags in (0, RSA_SHA2_256, RSA_SHA2_512, 0xffffffff):
                    signed = connection.sign(blob, b'data', flags)
                    self.assertEqual(signed[0], key.algorithm)
                    self.assert_good(key, signed)

    def test_numbers_of_ecdsa_signatures_have_their_shortest_form(self):
        key = self.lab.make_key('x')
        seen_short = seen_padded = False
        with self.agent().connect() as connection:
            # A top bit is set in every second number, a leading byte is zero in one of 256.
            for turn in range(5000):
                data = b'%d' % turn
                algorithm, signature = connection.sign(key.blob, data)
                for number in keyfile.mpints(signature):
                    self.assertFalse(number[0] & 0x80, 'a negative number')
                    self.assertFalse(number[0] == 0 and not number[1] & 0x80, 'a needless zero')
                    seen_padded = seen_padded or len(number) == 33
                    if int.from_bytes(number, 'big') < 1 << 248:
                        seen_short = True
                        self.assert_good(key, (algorithm, signature), data)
                if seen_short and seen_padded:
                    break
        self.assertTrue(seen_short and seen_padded)

    def test_a_key_that_nobody_has_is_refused_and_data_of_any_size_is_signed(self):
        key = self.lab.make_key('x')
        other = self.lab.make_key('y', folder=self.lab.make_folder('elsewhere'))
        with self.agent().connect() as connection:
            for blob in (other.blob, key.blob[:-1], key.blob + b'\0', b''):
                self.assertIsNone(connection.sign(blob, b'data'))
            for size in (0, 1, 1023, 1024, 1025, 4096, 65536, 200000):
                self.assert_good(key, connection.sign(key.blob, bytes(size)), bytes(size))

    def test_eight_clients_at_once_each_get_their_own_signature(self):
        keys = [self.lab.make_key(f'{kind}{bits}', kind, bits) for kind, bits in KINDS[:4]]
        verifiers = {key: Verifier(self.lab, key) for key in keys}
        agent = self.agent()
        clients = [agent.connect() for _ in range(8)]
        for turn in range(3):
            work = [(client, keys[(number + turn) % len(keys)], b'client %d, turn %d' % (number, turn))
                    for number, client in enumerate(clients)]
            for client, key, data in work:
                client.send(frame(sign_request(key.blob, data, RSA_SHA2_256)))
            for client, key, data in work:
                self.assertTrue(verifiers[key].is_good(read_signature(client.read_frame()), data))
        for client in clients:
            client.socket.close()
        agent.stop()
        self.tpm.assert_no_handles()


class Commands(WithTpm):
    def test_the_first_use_of_a_key_under_the_persistent_storage_key_is_a_load_and_a_signature(self):
        """And one session with a PIN; a third key has the agent give back the first. Lists cost nothing."""
        self.tpm.make_persistent()
        keys, guarded = [self.lab.make_key(name) for name in 'abc'], self.lab.make_key('x', pin=PIN)
        agent = self.agent()
        for key, expected in zip(keys, (FIRST, FIRST, [FLUSH, *FIRST])):
            self.assertEqual(len(agent.listed()), 4)
            self.assertEqual(self.commands_of_a_signature(agent, key), expected)
            self.assertEqual(self.commands_of_a_signature(agent, key), [SIGN])
        agent.stop()
        agent = self.agent(PIN)
        first = self.commands_of_a_signature(agent, guarded)
        self.assertEqual(sorted(first), sorted(FIRST_WITH_PIN))
        self.assertEqual(first[-1], SIGN)
        self.assertEqual(self.commands_of_a_signature(agent, guarded), [SIGN])

    def test_without_a_fitting_persistent_key_the_first_use_creates_the_storage_key(self):
        """What it creates it flushes, nothing else."""
        for other, pin in (((), ''), ((), PIN), (('-C', 'o', '-G', 'rsa2048:aes128cfb'), '')):
            with self.subTest(other=other, pin=pin):
                if other:
                    self.tpm.make_persistent(*other)
                key = self.lab.make_key(f'x{len(other)}{pin}', pin=pin)
                agent = self.agent(pin)
                first = self.without_flushes(agent, key)
                self.assertEqual(first.pop(0), TRIES if pin else PRIMARY)
                with_pin = [PRIMARY, TRIES, SESSION, PROOF] if pin else []
                self.assertEqual(sorted(first), sorted([LOAD, *with_pin, SIGN]))
                self.assertEqual(self.without_flushes(agent, key), [SIGN])
                self.assertEqual(self.commands_of_a_signature(agent, key), [SIGN])
                agent.stop()
                self.tpm.assert_no_handles()

    def test_an_impostor_of_the_storage_key_is_found_out_once(self):
        # Only the public point differs: no key loads under it, and no PIN may be entrusted to it.
        self.tpm.make_persistent('-C', 'e', '-G', 'ecc256:aes128cfb')
        keys = [self.lab.make_key(name, pin=PIN) for name in 'ab']
        agent = self.agent(PIN)
        agent.ssh_keygen_sign(keys[0], status=0)
        first = [name for name in self.probe.take(refused=('TPM2_Load 0x000001df',)) if name != FLUSH]
        self.assertEqual(first, [TRIES, LOAD, PRIMARY, LOAD, SESSION, PROOF, TRIES, SIGN])
        self.assertEqual(self.commands_of_a_signature(agent, keys[0]), [SIGN])
        self.assertEqual(self.without_flushes(agent, keys[1]), [TRIES, PRIMARY, LOAD, TRIES, SIGN])

    def test_keys_made_under_the_persistent_key_sign_without_it_and_the_other_way_round(self):
        before = self.lab.make_key('before')
        self.tpm.make_persistent()
        after = self.lab.make_key('after')

        def both_sign():
            agent = self.agent()
            for key in (before, after):
                self.commands_of_a_signature(agent, key)
            agent.stop()
        both_sign()
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        both_sign()

    def test_an_idle_agent_gives_back_what_it_holds(self):
        idle = self.lab.limit('tpm_idle', 1, real=5)
        for pin in ('', PIN):
            with self.subTest(pin=pin):
                key = self.lab.make_key('x' + pin, pin=pin)
                agent = self.agent(pin)
                begun = time.monotonic()
                self.commands_of_a_signature(agent, key)
                for _ in range(20):  # long enough for one that gives back at once
                    held = self.tpm.handles()
                self.assertTrue(held or time.monotonic() - begun > idle, 'given back too early')
                wait_until(lambda: not self.tpm.handles(), 'the idle agent to give back its handles')
                self.assertIn(set(self.probe.take()), [{FLUSH}] if held else [{FLUSH}, set()])
                again = self.commands_of_a_signature(agent, key)
                self.assertIn(LOAD, again)
                self.assertIn(SIGN, again)
                agent.stop()

    def test_one_command_more_would_not_meet_the_demands_on_a_chip(self):
        for kind in SIGNATURE:
            for name, first in (('first use', FIRST), ('first use with a PIN', FIRST_WITH_PIN)):
                self.assertLessEqual(chip_time(kind, first), demands(kind)[name])
                for more in (LOAD, SESSION, SIGN, PRIMARY):
                    self.assertGreater(chip_time(kind, [*first, more]), demands(kind)[name])
            self.assertGreater(chip_time(kind, [SIGN, TRIES, FLUSH]), demands(kind)['warm'])


class Logins(WithTpm):
    def setUp(self):
        super().setUp()
        self.tpm.make_persistent()
        self.key = self.lab.make_key('x', pin=PIN)
        self.server = Sshd(self.lab, authorized=[self.key.pub])
        self.our_agent = self.agent(PIN)

    def burst(self):
        """Logins at once."""
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.server.login(self.our_agent).stdout))
                   for _ in range(BURST)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, ['in\n'] * BURST)
        return self.probe.take()

    def test_a_login_is_the_commands_of_one_signature_and_logins_at_once_do_nothing_but_sign(self):
        self.assertEqual(self.server.login(self.our_agent).stdout, 'in\n')
        self.assertEqual(sorted(self.probe.take()), sorted(FIRST_WITH_PIN))
        # Within five seconds, or the idle agent has given back what it has in the TPM.
        wait_until(lambda: self.burst() == [SIGN] * BURST, 'logins that find the agent warm')
        self.our_agent.stop()
        self.tpm.assert_no_handles()

    @slow
    def test_with_the_times_of_a_chip_it_takes_little_more_than_the_chip(self):
        agents_own = 0.04  # seconds that the fastest warm signature may take beside the TPM: less than a Load
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            with self.subTest(kind):
                key = self.lab.make_key(kind, kind, bits)
                agent = self.agent(name=kind)
                with agent.connect() as connection, self.probe.failing(*rules(kind)):
                    taken = []
                    for _ in range(10):
                        begun = time.monotonic()
                        self.assertIsNotNone(connection.sign(key.blob, b'data', RSA_SHA2_512))
                        taken.append(time.monotonic() - begun)
                        self.probe.take()
                    self.assertGreaterEqual(min(taken), chip_time(kind, [SIGN]) / 1000)  # the model was at work
                    self.assertLess(min(taken), demands(kind)['warm'] / 1000 + agents_own)
                agent.stop()
        self.server.login(self.our_agent)
        with self.probe.failing(*rules('ecdsa')):
            begun = time.monotonic()
            self.burst()
            self.assertLess(time.monotonic() - begun, BURST * SIGNATURE['ecdsa'] / 1000 + 10)


if __name__ == '__main__':
    unittest.main()
