#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Between requests the agent holds two keys and one session at the most, a session only while it is used, and it
lives with neighbours who take all that a TPM without a resource manager has."""

import contextlib
import threading
import time
import unittest

from agent import Agent, Askpass
from keys_once import KeysOnce
from lab import KINDS, wait_until
from neighbour import OBJECT_MEMORY, SESSION_MEMORY, Neighbour, held
from protocol import RSA_SHA2_256
from swtpm import Probe

PIN = '1234'
IDLE = 5  # seconds
LOAD, SESSION, FLUSH = 'TPM2_Load', 'TPM2_StartAuthSession', 'TPM2_FlushContext'
NO_OBJECT = 'the TPM has no room for another key', '/dev/tpmrm0'
NO_SESSION = 'the TPM has no room for another session', '/dev/tpmrm0'
FIRST_PIN = ('TPM2_Sign 0x00000922',)  # TPM_RC_RETRY: that PINs are used now has to be written down
SLOTS = 3  # for objects, in all; and as many for sessions


class Manners(KeysOnce):
    KEYS = {f'{kind}{bits}{pin}': {'kind': kind, 'bits': bits, 'pin': pin}
            for kind, bits in KINDS[:2] + KINDS[3:4] for pin in ('', PIN)}

    def agent(self, *options, pins=0, answers=(), **more):
        number = len(self.lab.processes)
        self.probe = Probe(self.tpm, name=f'probe{number}')
        self.askpass = Askpass(self.lab, *answers, *[PIN] * pins, name=f'askpass{number}')
        agent = Agent(self.lab, *options, tcti=self.probe.tcti, env=self.askpass.env, **more)
        self.probe.take()
        return agent

    def sign(self, connection, key):
        self.assertIsNotNone(connection.sign(key.blob, b'data', RSA_SHA2_256))

    def names(self):
        return [line.split()[0] for line in self.probe.lines()]

    def check_held(self, agent, keys):
        with agent.connect() as connection:
            for key in keys[::-1] + keys:
                self.sign(connection, key)
                objects, sessions = held(self.probe.bytes())[-1]
                self.assertLessEqual(objects, 2, 'after an answer')
                self.assertLessEqual(sessions, 1)
        counts = held(self.probe.bytes())
        # A key that is being loaded needs its parent, which is a third object until it is loaded.
        self.assertLessEqual(max(objects for objects, _ in counts), SLOTS)
        self.assertLessEqual(max(sessions for _, sessions in counts), 1)
        refused = [line for line in self.probe.lines() if ' 0x00000902' in line or ' 0x00000903' in line]
        self.assertEqual(refused, [])  # the slots were enough
        agent.stop()
        self.assertEqual(held(self.probe.bytes())[-1], (0, 0))
        self.tpm.assert_no_handles()

    def test_two_keys_and_one_session_are_all_that_many_keys_leave_in_the_tpm(self):
        keys = [self.take(name) for name in self.KEYS]
        self.check_held(self.agent(pins=3), keys)
        self.tpm.make_persistent()
        self.check_held(self.agent(pins=3), keys)
        self.assertLessEqual(max(objects for objects, _ in held(self.probe.bytes())), 2)  # no primary is loaded
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'boss')
        self.check_held(self.agent('-o', answers=['boss'], pins=3), keys)

    def test_a_session_that_is_not_needed_goes_while_keys_without_a_pin_sign_on(self):
        plain, guarded = self.take('ecdsa256'), self.take('ecdsa256' + PIN)
        agent = self.agent(pins=1)
        with agent.connect() as connection:
            self.sign(connection, plain)
            self.sign(connection, guarded)
            start = time.monotonic()
            self.probe.take(FIRST_PIN)
            wait_until(lambda: self.sign(connection, plain) or FLUSH in self.names(), 'the end of the session',
                       pace=0.2)
            self.assertGreater(time.monotonic() - start, IDLE - 1)
            self.assertEqual(self.probe.take().count(FLUSH), 1)
            self.assertEqual(held(self.probe.bytes())[-1], (2, 0))
            # Both keys are still there, and the PIN is.
            self.sign(connection, plain)
            self.assertNotIn(LOAD, self.probe.take())
            self.sign(connection, guarded)
            names = self.probe.take()
            self.assertIn(SESSION, names)
            self.assertNotIn(LOAD, names)
        self.assertEqual(len(self.askpass.questions()), 1)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_session_that_is_needed_stays(self):
        idle = self.lab.limit('tpm_idle', 1, IDLE)
        guarded = self.take('ecdsa256' + PIN)
        agent = self.agent(pins=1)
        with agent.connect() as connection:
            def sign_without_a_pause():
                """Whether no time between two signatures was so long that the session may have gone."""
                times, pauses = [time.monotonic()], []
                self.sign(connection, guarded)
                self.probe.take(FIRST_PIN)
                while times[-1] - times[0] < idle + 0.5:
                    self.sign(connection, guarded)
                    times.append(time.monotonic())
                    pauses.append(times[-1] - times[-3:][0])
                return max(pauses) < idle
            wait_until(sign_without_a_pause, 'signatures one after the other')
            self.assertEqual(set(self.probe.take()), {'TPM2_Sign'})
        wait_until(lambda: not self.tpm.handles(), 'the idle agent to give all back')
        agent.stop()

    @contextlib.contextmanager
    def neighbour(self, take, full):
        """Has all slots of one kind for a while."""
        neighbour = Neighbour(self.tpm)
        with neighbour:
            self.assertEqual(neighbour.take_all(getattr(neighbour, take), full), SLOTS)
        try:
            yield neighbour
        finally:
            with neighbour:
                neighbour.leave()

    def test_a_neighbour_with_all_slots_is_told_of_and_outlived(self):
        for take, full, words, pin in (('create_primary', OBJECT_MEMORY, NO_OBJECT, ''),
                                       ('start_session', SESSION_MEMORY, NO_SESSION, PIN)):
            with self.subTest(take=take):
                key = self.take('ecdsa256' + pin)
                agent = self.agent(pins=3)
                with agent.connect() as connection:
                    with self.neighbour(take, full):
                        self.assertIsNone(connection.sign(key.blob, b'data'))
                        for word in words:
                            agent.process.wait_line(word)
                        tries = [line for line in self.probe.lines() if line.endswith(f' {full:#010x}')]
                        self.assertEqual(len(tries), 4)  # once, and three times again
                        self.assertIsNone(connection.sign(key.blob, b'data'))
                    self.sign(connection, key)
                    # A warm one is used while somebody wants all that is left.
                    with Neighbour(self.tpm) as neighbour:
                        self.assertLess(neighbour.take_all(getattr(neighbour, take), full), SLOTS)
                    self.sign(connection, key)
                    with neighbour:
                        neighbour.leave()
                agent.stop()
                self.tpm.assert_no_handles()

    def test_a_neighbour_with_all_slots_who_goes_is_waited_for(self):
        for take, full, command, pin in (('create_primary', OBJECT_MEMORY, 'TPM2_CreatePrimary', ''),
                                         ('start_session', SESSION_MEMORY, SESSION, PIN)):
            with self.subTest(take=take):
                key = self.take('ecdsa256' + pin)
                agent = self.agent(pins=1)
                with agent.connect() as connection, self.probe.failing(f'{command} delay 700'):
                    with self.neighbour(take, full):
                        signer = threading.Thread(target=self.sign, args=(connection, key))
                        signer.start()
                        wait_until(lambda: any(line.endswith(f' {full:#010x}') for line in self.probe.lines()),
                                   'the first refusal')
                    signer.join()  # a failure in it would leave the next line without its signature
                    self.assertTrue(self.probe.lines()[-1].startswith('TPM2_Sign 0x00000000'))
                agent.stop()
                self.tpm.assert_no_handles()

    def test_a_key_without_a_pin_needs_no_session_slot(self):
        key = self.take('ecdsa256')
        agent = self.agent()
        with agent.connect() as connection, self.neighbour('start_session', SESSION_MEMORY):
            self.sign(connection, key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_keygen_tells_of_a_neighbour_with_all_object_slots(self):
        with self.neighbour('create_primary', OBJECT_MEMORY):
            self.assert_error(self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'), status=None), *NO_OBJECT)
        self.lab.make_key('x')


if __name__ == '__main__':
    unittest.main()
