#!/usr/bin/env python3
"""A warm key costs one TPM command per signature, a cold one what it must; an idle agent holds nothing."""

import time
import unittest

from agent import Agent, Askpass
from lab import KINDS, Scenario, wait_until
from swtpm import Probe, Swtpm

LOAD, SIGN, FLUSH = 'TPM2_Load', 'TPM2_Sign', 'TPM2_FlushContext'
SESSION, PRIMARY = 'TPM2_StartAuthSession', 'TPM2_CreatePrimary'
TRIES = 'TPM2_GetCapability'  # how many tries the TPM still allows: read for a question, and before its answer is tried
PROOF = 'TPM2_GetRandom'  # of a new session, before a PIN is used in it
IDLE = 5  # seconds without a signature after which the agent gives its handles back


class OneCommandWhenWarm(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)

    def agent(self, **more):
        agent = Agent(self.lab, tcti=self.probe.tcti, **more)
        self.probe.take()  # before any client, it may look whether there is a persistent storage key
        return agent

    def commands_of_a_signature(self, agent, key):
        agent.sign_and_check(key)
        return self.probe.take()

    def check_warm(self, pin):
        askpass = Askpass(self.lab, *[pin] * len(KINDS))
        keys = [self.lab.make_key(f'{kind}{bits}', kind, bits, pin=pin) for kind, bits in KINDS]
        agent = self.agent(env=askpass.env)
        for key in keys:
            with self.subTest(key=key.comment):
                self.assertIn(LOAD, self.commands_of_a_signature(agent, key))
                for _ in range(5):
                    self.assertEqual(self.commands_of_a_signature(agent, key), [SIGN])
        self.assertEqual(len(askpass.questions()), len(KINDS) if pin else 0)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_warm_signature_of_every_type_is_one_command(self):
        self.check_warm(pin='')

    def test_a_warm_signature_of_every_type_with_a_pin_is_one_command(self):
        self.check_warm(pin='1234')

    def test_both_rsa_hashes_are_one_command_with_the_same_warm_key(self):
        key = self.lab.make_key('x', 'rsa', 2048)
        agent = self.agent()
        with agent.connect() as connection:
            connection.sign(key.blob, b'data', 2)
            self.probe.take()
            for flags in (4, 2, 4):
                self.assertIsNotNone(connection.sign(key.blob, b'data', flags))
                self.assertEqual(self.probe.take(), [SIGN])

    def test_the_first_use_under_the_persistent_storage_key_is_a_load_and_a_signature(self):
        self.tpm.make_persistent()
        key = self.lab.make_key('x')
        agent = self.agent()
        self.assertEqual(self.commands_of_a_signature(agent, key), [LOAD, SIGN])
        self.assertEqual(self.commands_of_a_signature(agent, key), [SIGN])

    def test_a_second_key_under_the_persistent_storage_key_is_a_load_and_a_signature_too(self):
        self.tpm.make_persistent()
        keys = [self.lab.make_key(name) for name in 'ab']
        agent = self.agent()
        self.assertEqual(self.commands_of_a_signature(agent, keys[0]), [LOAD, SIGN])
        self.assertEqual(self.commands_of_a_signature(agent, keys[1]), [LOAD, SIGN])

    def test_a_pin_adds_one_session_to_the_first_use(self):
        self.tpm.make_persistent()
        key = self.lab.make_key('x', pin='1234')
        agent = self.agent(env=Askpass(self.lab, '1234').env)
        first = self.commands_of_a_signature(agent, key)
        self.assertEqual(sorted(first), sorted([TRIES, LOAD, TRIES, SESSION, PROOF, SIGN]))
        self.assertEqual(first[-1], SIGN)
        self.assertEqual(self.commands_of_a_signature(agent, key), [SIGN])

    def check_primary_in_front(self, pin):
        """A first use without a fitting persistent key: what it creates it flushes, nothing else."""
        key = self.lab.make_key('x', pin=pin)
        agent = self.agent(env=Askpass(self.lab, pin).env)
        first = [name for name in self.commands_of_a_signature(agent, key) if name != FLUSH]
        self.assertEqual(first.pop(0), TRIES if pin else PRIMARY)
        self.assertEqual(sorted(first), sorted([LOAD, *([PRIMARY, TRIES, SESSION, PROOF] if pin else []), SIGN]))
        self.assertEqual([name for name in self.commands_of_a_signature(agent, key) if name != FLUSH], [SIGN])
        self.assertEqual(self.commands_of_a_signature(agent, key), [SIGN])
        agent.stop()
        self.tpm.assert_no_handles()

    def test_without_a_persistent_key_the_first_use_creates_the_storage_key(self):
        self.check_primary_in_front(pin='')

    def test_without_a_persistent_key_the_first_use_with_a_pin_adds_one_session(self):
        self.check_primary_in_front(pin='1234')

    def test_a_persistent_rsa_key_is_not_taken_for_the_storage_key(self):
        self.tpm.make_persistent('-C', 'o', '-G', 'rsa2048:aes128cfb')
        self.check_primary_in_front(pin='')

    def test_an_impostor_of_the_storage_key_is_found_out_once(self):
        # Only the public point differs: no key loads under it, and no PIN may be entrusted to it.
        self.tpm.make_persistent('-C', 'e', '-G', 'ecc256:aes128cfb')
        keys = [self.lab.make_key(name, pin='1234') for name in 'ab']
        agent = self.agent(env=Askpass(self.lab, '1234', '1234').env)
        agent.sign_and_check(keys[0])
        first = [name for name in self.probe.take(refused=('TPM2_Load 0x000001df',)) if name != FLUSH]
        self.assertEqual(first, [TRIES, LOAD, PRIMARY, LOAD, SESSION, PROOF, TRIES, SIGN])
        self.assertEqual(self.commands_of_a_signature(agent, keys[0]), [SIGN])
        second = [name for name in self.commands_of_a_signature(agent, keys[1]) if name != FLUSH]
        self.assertEqual(second, [TRIES, PRIMARY, LOAD, TRIES, SIGN])

    def test_keys_made_under_the_persistent_key_sign_without_it_and_the_other_way_round(self):
        before = self.lab.make_key('before')
        self.tpm.make_persistent()
        after = self.lab.make_key('after')
        agent = self.agent()
        for key in (before, after):
            agent.sign_and_check(key)
        agent.stop()
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        agent = self.agent()
        for key in (before, after):
            agent.sign_and_check(key)

    def check_idle(self, pin):
        key = self.lab.make_key('x', pin=pin)
        agent = self.agent(env=Askpass(self.lab, pin).env)
        agent.sign_and_check(key)
        start = time.monotonic()  # before the last use
        agent.sign_and_check(key)
        self.assertNotEqual(self.tpm.handles(), [])
        self.probe.take()
        self.probe.wait_for(FLUSH, deadline=IDLE + 5)
        waited = time.monotonic() - start
        self.assertGreater(waited, IDLE - 0.1)
        wait_until(lambda: not self.tpm.handles(), 'the idle agent to give back its handles')
        self.assertEqual(set(self.probe.take()), {FLUSH})
        again = self.commands_of_a_signature(agent, key)
        self.assertEqual(again[-1], SIGN)
        self.assertIn(LOAD, again)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_after_five_idle_seconds_the_agent_holds_no_handle(self):
        self.check_idle(pin='')

    def test_after_five_idle_seconds_the_agent_holds_no_session_either(self):
        self.check_idle(pin='1234')

    def test_the_end_of_the_agent_gives_back_what_it_holds(self):
        key = self.lab.make_key('x', pin='1234')
        agent = self.agent(env=Askpass(self.lab, '1234').env)
        agent.sign_and_check(key)
        self.probe.take()
        agent.stop()
        self.assertEqual(set(self.probe.take()), {FLUSH})
        self.tpm.assert_no_handles()

    def test_listing_costs_no_command(self):
        key = self.lab.make_key('x')
        agent = self.agent()
        self.assertEqual(len(agent.listed()), 1)
        self.assertEqual(self.probe.take(), [])
        agent.sign_and_check(key)
        self.probe.take()
        agent.listed()
        self.assertEqual(self.probe.take(), [])


if __name__ == '__main__':
    unittest.main()
