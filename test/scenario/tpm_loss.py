#!/usr/bin/env python3
"""A reply that is lost, cut, garbled or a lie costs that request, and nothing else: the next one is served within
two seconds, no PIN is asked for again, no try is spent, and no wrong signature leaves the agent."""

import itertools
import os
import statistics
import time
import unittest

import raw_tpm
from agent import Agent, Askpass
from lab import Scenario
from libcrypto import Verifier
from protocol import RSA_SHA2_256
from resources import descriptors_at_rest, is_sanitized, rss
from swtpm import Probe, Swtpm

PIN = 'correct horse 42'
LOST = ('eof', 'eof receive', 'lose')
SHORT = tuple(f'cut {size}' for size in (0, 5, 9, 10, 11, 40))
LIES = ('lie 4', 'lie -4', 'lie 1', 'lie 100000', 'garbage')
HEADER = tuple(f'corrupt {offset}' for offset in range(10))
BODY = ('corrupt', 'corrupt 11', 'corrupt 13', 'corrupt 15', 'corrupt -1')
CODES = ('answer 0x100', 'answer 0x101', 'answer 0x1fe', 'answer 0x97f', 'answer 0xffffffff')
FAULTS = LOST + SHORT + LIES + HEADER + BODY + CODES
CYCLES, WARM_UP = 1000, 200
RESTARTS, WARM_UP_RESTARTS = 60, 20
GROWTH = 1024  # KiB that memory may differ by: less than two for each cycle
SOON, DEADLINE = 2, 10  # seconds


class TpmLoss(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.make_persistent()
        self.probe = Probe(self.tpm)
        self.keys = [self.lab.make_key('guarded', pin=PIN), self.lab.make_key('free'),
                     self.lab.make_key('rsa', 'rsa', 2048)]
        self.guarded, self.free, self.rsa = self.keys
        self.verifiers = {key: Verifier(self.lab, key) for key in self.keys}
        self.askpass = Askpass(self.lab, PIN)
        self.agent = Agent(self.lab, tcti=self.probe.tcti, env=self.askpass.env)
        self.client = self.agent.connect()
        self.addCleanup(self.client.socket.close)
        self.counter, self.healing = itertools.count(), []
        for key in self.keys:
            self.assertTrue(self.signs(key))
        self.assertEqual(raw_tpm.wrong_tries(self.tpm), 0)

    def signs(self, key):
        """False for a refusal. A signature must be good."""
        data = b'data %d' % next(self.counter)
        signed = self.client.sign(key.blob, data, RSA_SHA2_256)
        self.assertTrue(signed is None or self.verifiers[key].is_good(signed, data), signed)
        return signed is not None

    def assert_heals(self, key):
        raw_tpm.flush_all(self.tpm)  # the emulator has no resource manager that does so
        begun = time.monotonic()
        self.assertTrue(self.signs(key))
        self.healing.append(time.monotonic() - begun)

    def assert_healed_soon(self):
        """Each within the time that a hanging command has, and most of them soon."""
        self.assertLess(statistics.median(self.healing), SOON)
        self.assertLess(max(self.healing), DEADLINE)

    def make_cold(self):
        """The connection is lost; the next request finds nothing loaded, and no session."""
        with self.probe.failing('* lose'):
            self.assertFalse(self.signs(self.free))
        raw_tpm.flush_all(self.tpm)

    def assert_nothing_spent(self):
        self.assertEqual(raw_tpm.wrong_tries(self.tpm), 0)
        self.assertEqual(len(self.askpass.questions()), 1)

    def survive(self, key, command, faults=FAULTS):
        """Every fault, once, in this command. What is refused and what is served all the same."""
        refused = []
        for fault in faults:
            with self.subTest(key=key.comment, command=command, fault=fault):
                if command == 'TPM2_Sign':
                    self.signs(key)  # warm
                else:
                    self.make_cold()
                with self.probe.failing(f'{command} {fault} times=1'):
                    if not self.signs(key):
                        refused.append(fault)
                    self.assertGreaterEqual(self.probe.reached()[0], 1)
                self.assert_heals(key)
                self.assert_nothing_spent()
        self.assert_healed_soon()
        return refused

    def test_signatures(self):
        for key in self.keys:
            refused = self.survive(key, 'TPM2_Sign')
            # Nothing that is no reply of the TPM's is taken for one. Where no session's HMAC shows it, a
            # signature that was garbled is made once more.
            served = [fault for fault in FAULTS if fault not in refused]
            self.assertLessEqual(set(served), set() if key is self.guarded else set(BODY))

    def test_signatures_that_are_wrong_each_time(self):
        for key in (self.free, self.rsa):
            self.signs(key)
            with self.probe.failing('TPM2_Sign corrupt 30'):
                self.assertFalse(self.signs(key))
                self.assertEqual(self.probe.reached(), [2])
            self.agent.process.wait_line('signature is wrong; it was not sent')
            self.agent.process.wait_line('hint: ')
            self.assert_heals(key)
            self.agent.process.lines.clear()

    def test_keys_that_are_loaded(self):
        for key in self.keys:
            refused = self.survive(key, 'TPM2_Load')
            self.assertTrue(set(LOST + SHORT[:4] + LIES + CODES) <= set(refused), refused)

    def test_the_first_look_at_the_tpm(self):
        for key in self.keys:
            refused = self.survive(key, 'TPM2_ReadPublic')
            self.assertTrue(set(LOST + SHORT[:4] + LIES + CODES) <= set(refused), refused)

    def test_the_start_of_a_session(self):
        # Its reply is under no HMAC; the command behind it shows that its number or its nonce was garbled, before
        # a PIN is used.
        self.assertEqual(self.survive(self.guarded, 'TPM2_StartAuthSession'), list(FAULTS))

    def test_the_proof_of_a_session(self):
        self.assertEqual(self.survive(self.guarded, 'TPM2_GetRandom'), list(FAULTS))

    def test_a_thousand_times_without_growth(self):
        pid, memory, open_files = self.agent.process.pid, 0, 0
        for number in range(CYCLES + WARM_UP):
            if number == WARM_UP:
                memory, open_files = rss(pid), descriptors_at_rest(self.agent)
            key = self.keys[number % len(self.keys)]
            fault = FAULTS[number % len(FAULTS)]
            with self.probe.failing(f'TPM2_Sign {fault} times=1'):
                if self.signs(key):  # once more, within the request
                    self.assertIn(fault, BODY)
                    self.assertIsNot(key, self.guarded)
            self.assert_heals(key)
        self.assert_healed_soon()
        self.assertEqual(descriptors_at_rest(self.agent), open_files)
        grown = rss(pid) - memory
        print(f'{CYCLES} losses: {grown:+} KiB of {memory}, {open_files} descriptors before and after')
        if not is_sanitized(os.environ['SSH_TPM_BUILD']):
            self.assertLess(grown, GROWTH)
        self.assert_nothing_spent()
        self.client.socket.close()
        self.agent.stop()

    def test_an_emulators_socket_that_closes_leaves_nothing(self):
        agent = Agent(self.lab, name='direct', tcti=self.tpm.tcti)
        pid, memory, open_files = agent.process.pid, 0, 0
        with agent.connect() as client:
            for number in range(RESTARTS + WARM_UP_RESTARTS):
                if number == WARM_UP_RESTARTS:
                    memory, open_files = rss(pid), descriptors_at_rest(agent)
                self.tpm.kill()
                self.tpm.start()
                if client.sign(self.free.blob, b'data') is None:
                    self.assertIsNotNone(client.sign(self.free.blob, b'data'))
            self.assertEqual(descriptors_at_rest(agent), open_files)
            if not is_sanitized(os.environ['SSH_TPM_BUILD']):
                self.assertLess(rss(pid) - memory, GROWTH)
        agent.stop()


if __name__ == '__main__':
    unittest.main()
