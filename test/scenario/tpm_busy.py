#!/usr/bin/env python3
"""A busy TPM is waited for, a full one is given room, and neither is asked for ever."""

import time
import unittest

from agent import Agent, Askpass
from lab import Scenario
from swtpm import Probe, Swtpm

BUSY = {'RETRY': 0x922, 'TESTING': 0x90a, 'YIELDED': 0x908}
FULL = {'OBJECT_MEMORY': 0x902, 'SESSION_MEMORY': 0x903, 'CONTEXT_GAP': 0x901, 'NV_RATE': 0x920,
        'NV_UNAVAILABLE': 0x923}
PATIENCE = 30  # seconds
PIN = '1234'
SLACK = 15  # seconds, for a machine that has other things to do


class TpmBusy(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)

    def agent(self, **more):
        agent = Agent(self.lab, tcti=self.probe.tcti, **more)
        self.probe.take()
        return agent

    def keygen(self, *options, **more):
        return self.lab.keygen('-q', *options, '--tcti', self.probe.tcti, **more)

    def test_a_hundred_times_busy_in_a_row_still_signs(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(env=Askpass(self.lab, PIN).env)
        agent.sign_and_check(key)
        for name, code in BUSY.items():
            with self.subTest(name), self.probe.failing(f'* answer {code:#x} times=100'):
                start = time.monotonic()
                agent.ssh_keygen_sign(key, status=0)
                self.assertGreater(time.monotonic() - start, 2)  # not all at once
                self.assertLess(time.monotonic() - start, PATIENCE + SLACK)
                self.assertGreater(self.probe.reached()[0], 100)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_hundred_times_busy_in_a_row_still_makes_a_key(self):
        with self.probe.failing('* answer 0x922 times=100'):
            self.keygen('-N', PIN, '-f', self.lab.path('keys/x'))
            self.assertGreater(self.probe.reached()[0], 100)
        self.tpm.assert_no_handles()

    def test_every_command_of_keygen_is_tried_again_when_the_tpm_is_busy(self):
        self.tpm.make_persistent()
        key = self.lab.make_key('x', pin=PIN)
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', self.lab.path('soft'))
        runs = ((('-N', '', '-f', self.lab.path('keys/a')), {}), (('-N', PIN, '-f', self.lab.path('keys/b')), {}),
                (('-p', '-P', PIN, '-N', PIN, '-f', key.tpm), {}), (('--supported',), {}),
                (('-I', self.lab.path('soft'), '-N', PIN, '-f', self.lab.path('keys/c')), {}))
        for options, more in runs:
            # Each first command of a kind is refused as often as ESYS sends it again by itself, and more.
            names = ('GetCapability', 'ReadPublic', 'TestParms', 'CreatePrimary', 'StartAuthSession', 'Create', 'Load',
                     'Sign', 'ObjectChangeAuth', 'Import', 'FlushContext')
            with self.subTest(options=options[0]), \
                    self.probe.failing(*[f'TPM2_{name} answer 0x922 times=7' for name in names]):
                self.keygen(*options, **more)
        self.tpm.assert_no_handles()

    def test_a_tpm_that_stays_busy_is_given_up_after_half_a_minute(self):
        key = self.lab.make_key('x')
        agent = self.agent()
        agent.sign_and_check(key)
        with self.probe.failing('* answer 0x922'):
            start = time.monotonic()
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            taken = time.monotonic() - start
        self.assertGreater(taken, PATIENCE - 5)
        self.assertLess(taken, PATIENCE + SLACK)
        agent.process.wait_line('the TPM is busy')
        agent.sign_and_check(key)

    def test_a_full_tpm_is_tried_four_times_and_then_that_request_fails_and_the_next_succeeds(self):
        key = self.lab.make_key('x')
        agent = self.agent()
        for name, code in FULL.items():
            with self.subTest(name):
                agent.sign_and_check(key)
                with self.probe.failing(f'TPM2_Sign answer {code:#x}'):
                    start = time.monotonic()
                    self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                    self.assertLess(time.monotonic() - start, SLACK)
                    self.assertEqual(self.probe.reached(), [4])
                agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_full_tpm_that_finds_room_signs_within_the_same_request(self):
        key = self.lab.make_key('x')
        agent = self.agent()
        for name, code in FULL.items():
            with self.subTest(name), self.probe.failing(f'TPM2_Load answer {code:#x} times=3'):
                agent.sign_and_check(key)  # the first cold, the others given back by the row before
                self.probe.fail(f'TPM2_Sign answer {code:#x} times=3')
                agent.sign_and_check(key)

    def test_keygen_gives_up_on_a_full_tpm_after_four_tries(self):
        for name, code in FULL.items():
            with self.subTest(name), self.probe.failing(f'TPM2_Create answer {code:#x}'):
                self.assert_error(self.keygen('-N', '', '-f', self.lab.path('keys/x'), status=None))
                self.assertEqual(self.probe.reached(), [4])
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
