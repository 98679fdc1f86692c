#!/usr/bin/env python3
"""Whatever a TPM answers, a person reads what happened and what to do about it; nothing is half done."""

import os
import re
import unittest

from agent import Agent, Askpass
from lab import Scenario
from swtpm import Probe, Swtpm

# Response code (TPM 2.0 part 2, 6.6.3; some with the number of a parameter or session), what the error says,
# what its hint says.
ROWS = (
    (0x98e, 'password', 'parent'),  # of a command under the parent: it is the parent's
    (0x921, 'lockout', 'wait'),
    (0x1df, 'another TPM', 'make a new key'),
    (0x2a5, 'do not belong together', 'backup'),
    (0x155, 'private half of this key is damaged', 'backup'),
    (0x09c, 'damaged', 'backup'),
    (0x2a7, 'no point of its curve', 'backup'),
    (0x152, 'cannot be a parent', '--parent-handle'),
    (0x124, 'not for use with a PIN', 'keygen'),
    (0x12f, 'under a policy only', 'keygen'),
    (0x99d, 'policy', 'keygen'),
    (0x2a6, 'curve', '--supported'),
    (0x2c7, 'no keys of this size', '--supported'),
    (0x2c1, 'no keys of this type', '--supported'),
    (0x2ca, 'no keys of this type', '--supported'),
    (0x2c3, 'hash', '--supported'),
    (0x2d2, 'does not sign in this way', '--supported'),
    (0x2d6, 'AES', 'firmware'),
    (0x2d5, 'size', '--supported'),
    (0x2c4, 'value', '--supported'),
    (0x2c2, 'attributes', 'new one'),
    (0x143, 'lacks a command', 'firmware'),
    (0x120, 'disabled', 'firmware settings'),
    (0x185, 'hierarchy of the TPM is disabled', 'firmware settings'),
    (0x907, 'locality', 'firmware'),
    (0x902, 'no room for another key', '/dev/tpmrm0'),
    (0x906, 'no handle left', 'restart'),
    (0x903, 'no room for another session', '/dev/tpmrm0'),
    (0x905, 'no session handle left', 'tpm2_flushcontext'),
    (0x904, 'no memory', 'try again'),
    (0x901, 'kept a session for too long', 'tpm2_flushcontext'),
    (0x14b, 'full', 'tpm2_evictcontrol'),
    (0x909, 'cancel', 'try again'),
    (0x920, 'rate of writes', 'minute'),
    (0x923, 'cannot write', 'minute'),
    (0x130, 'restarted', 'restart'),
    (0x12d, 'firmware is being updated', 'finish'),
    (0x101, 'failure mode', 'restart'),
    (0x153, 'not tested itself', 'tpm2_selftest'),
    (0x18b, 'no longer in the TPM', 'made anew'),
    (0x910, 'has lost', '/dev/tpmrm0'),
    (0x91a, 'has lost', '/dev/tpmrm0'),
    (0x97f, 'refused', 'report'),  # no code of the specification
    (0x1fe, 'refused', 'report'),
)


class TpmErrors(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.make_persistent()
        self.probe = Probe(self.tpm)

    def assert_told(self, result, words, hint):
        self.assert_error(result)
        error = re.search(r'(?m)^ssh-tpm-keygen: error: (.*)$', result.stderr)[1]
        self.assertIn(words, error)
        self.assertRegex(re.sub('0x[0-9a-f]+', '', error), '[a-z]{3,} [a-z]{2,}')  # not a number alone
        told = re.search(r'(?m)^hint: (.*)$', result.stderr)
        self.assertIsNotNone(told, result.stderr)
        self.assertIn(hint, told[1])

    def test_every_code_is_told_by_keygen_with_its_remedy_and_leaves_no_file(self):
        for code, words, hint in ROWS:
            with self.subTest(code=hex(code)), self.probe.failing(f'TPM2_Create answer {code:#x}'):
                result = self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'), '--tcti',
                                         self.probe.tcti, status=None)
                self.assert_told(result, words, hint)
                self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()

    def test_every_code_is_told_in_the_log_of_the_agent_and_the_next_signature_succeeds(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab, tcti=self.probe.tcti)
        for code, words, hint in ROWS:
            # A wrong PIN of a key without one is no error to explain, and of a lost handle more is known.
            if code in (0x98e, 0x18b):
                continue
            with self.subTest(code=hex(code)):
                agent.process.lines.clear()
                with self.probe.failing(f'TPM2_Sign answer {code:#x}'):
                    self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                agent.process.wait_line('hint: ')  # it comes after the reply, and the error before it
                log = agent.log()
                if code == 0x921:  # the TPM itself says how long
                    words, hint = 'the TPM is locked', 'lockout password'
                self.assertIn(words, log)
                self.assertIn(hint, log)
                agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_an_owner_password_is_asked_for_by_name(self):
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        self.tpm.tool('tpm2_changeauth', '-c', 'o', 'secret')
        result = self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'), status=None)
        self.assert_told(result, 'owner hierarchy has a password', '-o')

    def test_a_hierarchy_that_is_disabled_is_told(self):
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        self.tpm.tool('tpm2_hierarchycontrol', '-C', 'p', 'shEnable', 'clear')
        result = self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'), status=None)
        self.assert_told(result, 'hierarchy of the TPM is disabled', 'tpm2_hierarchycontrol')

    def test_a_key_of_another_tpm_fails_by_itself_with_one_load(self):
        own = self.lab.make_key('own')
        other_tpm = Swtpm(self.lab, 'other')
        foreign = self.lab.make_key('foreign', env={'SSH_TPM_TCTI': other_tpm.tcti})
        agent = Agent(self.lab, tcti=self.probe.tcti)
        self.probe.take()
        self.assertNotEqual(agent.ssh_keygen_sign(foreign).returncode, 0)
        names = self.probe.take(refused=('TPM2_Load 0x000001df',))
        self.assertEqual(names.count('TPM2_Load'), 1)
        self.assertNotIn('TPM2_Sign', names)
        agent.process.wait_line('belongs to another TPM, or the TPM was cleared')
        agent.sign_and_check(own)

    def test_a_failed_tpm_is_reported_once_and_not_asked_again(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab, tcti=self.probe.tcti)
        self.probe.take()
        with self.probe.failing('* answer 0x101'):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assertEqual(len(self.probe.lines()), 1)
        agent.process.wait_line('failure mode')
        agent.sign_and_check(key)
        agent.stop()  # all that it said is read
        self.assertEqual(agent.log().count('failure mode'), 1)

    def test_a_lost_key_is_loaded_again_within_the_same_request(self):
        key = self.lab.make_key('x', pin='1234')
        agent = Agent(self.lab, env=Askpass(self.lab, '1234').env, tcti=self.probe.tcti)
        agent.sign_and_check(key)
        self.probe.take()
        for code in (0x910, 0x918):
            with self.probe.failing(f'TPM2_Sign answer {code:#x} times=1'):
                agent.sign_and_check(key)
            names = self.probe.take(refused=(f'TPM2_Sign 0x{code:08x}',))
            looks = ('TPM2_FlushContext', 'TPM2_ReadPublic', 'TPM2_GetRandom')
            self.assertEqual([name for name in names if name not in looks],
                             ['TPM2_Sign', 'TPM2_Load', 'TPM2_StartAuthSession', 'TPM2_Sign'])


if __name__ == '__main__':
    unittest.main()
