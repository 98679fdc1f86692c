#!/usr/bin/env python3
"""A TPM that hangs costs one deadline: lists go on, who queues behind fails with it, and it is used again at once."""

import os
import threading
import time
import unittest

import raw_tpm
from agent import Agent
from lab import Scenario, wait_until
from protocol import FAILURE, frame, sign_request
from resources import descriptors_at_rest, is_sanitized, rss
from swtpm import Probe, Swtpm

DEADLINE = 10  # seconds, of a command that makes no key but the ECC storage key
MUCH_LESS_THAN_TWO = 2 * DEADLINE - 1
CYCLES = 12  # of a deadline each
GROWTH = 512  # KiB


class TpmHangs(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)

    def agent_that_has_signed(self, key, **more):
        agent = Agent(self.lab, **more)
        agent.sign_and_check(key)
        return agent

    def refused_after(self, agent, key, count):
        """Has so many clients ask at once for what the TPM does not answer; how long each waited."""
        took = [None] * count

        def sign(number):
            begun = time.monotonic()
            with agent.connect() as client:
                if client.request(sign_request(key.blob, b'data %d' % number)) == bytes([FAILURE]):
                    took[number] = time.monotonic() - begun

        threads = [threading.Thread(target=sign, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        with agent.connect() as other:
            self.assertEqual(len(other.list()), 1)
            self.assertEqual(took, [None] * count)  # before any of them was refused
        for thread in threads:
            thread.join()
        self.assertNotIn(None, took)
        return took

    def assert_heals(self, agent, key):
        begun = time.monotonic()
        with agent.connect() as client:
            self.assertIsNotNone(client.sign(key.blob, b'healed'))
        self.assertLess(time.monotonic() - begun, DEADLINE - 1)  # it did not cost another one
        agent.sign_and_check(key)

    def assert_one_deadline(self, took):
        self.assertGreater(max(took), DEADLINE - 0.1)
        self.assertLess(max(took), MUCH_LESS_THAN_TWO)

    def test_an_emulator_that_is_stopped_costs_one_deadline_for_all_who_wait(self):
        key = self.lab.make_key('x')
        agent = self.agent_that_has_signed(key)
        with self.tpm.stopped():
            self.assert_one_deadline(self.refused_after(agent, key, 5))
        self.assert_heals(agent, key)
        agent.process.wait_line('did not answer within 10 s (TPM2_Sign)')
        agent.stop()

    def test_so_does_a_tcti_that_stays_silent(self):
        key = self.lab.make_key('x')
        agent = self.agent_that_has_signed(key, tcti=self.probe.tcti)
        with self.probe.failing('TPM2_Sign hang'):
            self.assert_one_deadline(self.refused_after(agent, key, 5))
            self.assertEqual(self.probe.reached(), [1])  # who queued behind did not ask it again
        self.assert_heals(agent, key)
        agent.stop()

    def test_who_asks_after_a_missed_deadline_waits_for_one_of_its_own(self):
        key = self.lab.make_key('x')
        agent = self.agent_that_has_signed(key, tcti=self.probe.tcti)
        with self.probe.failing('* hang'):
            for _ in range(2):
                self.assert_one_deadline(self.refused_after(agent, key, 1))
        self.assert_heals(agent, key)

    def test_deadlines_that_are_missed_leave_nothing(self):
        key = self.lab.make_key('x')
        agent = self.agent_that_has_signed(key, tcti=self.probe.tcti)
        pid, before = agent.process.pid, None
        for _ in range(CYCLES):
            with self.probe.failing('TPM2_Sign hang'):
                self.refused_after(agent, key, 1)
            raw_tpm.flush_all(self.tpm)  # the emulator has no resource manager that does so
            self.assert_heals(agent, key)
            before = before or (rss(pid), descriptors_at_rest(agent))  # of the first one, when all is in place
        self.assertEqual(descriptors_at_rest(agent), before[1])
        if not is_sanitized(os.environ['SSH_TPM_BUILD']):
            self.assertLess(rss(pid) - before[0], GROWTH)
        agent.stop()

    def test_a_storage_key_that_is_not_made_costs_a_signature_no_more(self):
        key = self.lab.make_key('x')  # there is no persistent one
        agent = Agent(self.lab, tcti=self.probe.tcti)
        with self.probe.failing('TPM2_CreatePrimary hang'):
            self.assert_one_deadline(self.refused_after(agent, key, 2))
            self.assertEqual(self.probe.reached(), [1])
        agent.process.wait_line('did not answer within 10 s (TPM2_CreatePrimary)')
        self.assert_heals(agent, key)

    def test_keygen_says_that_the_tpm_does_not_answer_and_leaves_no_file(self):
        for command in ('TPM2_TestParms', 'TPM2_StartAuthSession'):
            with self.subTest(command), self.probe.failing(f'{command} hang'):
                begun = time.monotonic()
                result = self.lab.keygen('-q', '-N', '1234', '-f', self.lab.path('keys/x'), '--tcti',
                                         self.probe.tcti, status=None)
                took = time.monotonic() - begun
                self.assert_error(result, f'the TPM did not answer within {DEADLINE} s ({command})')
                self.assertIn('hint: ', result.stderr)
                self.assert_one_deadline([took])
                self.assertEqual(os.listdir(self.lab.keys), [])

    def test_an_agent_ends_soon_while_the_tpm_hangs(self):
        key = self.lab.make_key('x')
        agent = self.agent_that_has_signed(key, tcti=self.probe.tcti)
        with self.probe.failing('TPM2_Sign hang'), agent.connect() as client:
            client.send(frame(sign_request(key.blob, b'data')))
            wait_until(lambda: self.probe.reached() == [1], 'the command that hangs')
            begun = time.monotonic()
            agent.stop()
            self.assertLess(time.monotonic() - begun, DEADLINE - 1)


if __name__ == '__main__':
    unittest.main()
