#!/usr/bin/env python3
"""As many signatures as a TPM counts session contexts, beside a neighbour's session: the agent signs through it all.

A TPM numbers saved sessions with 16 bits: when the oldest is that far behind, it answers TPM_RC_CONTEXT_GAP until
its owner has loaded and saved it again."""

import os
import unittest

from agent import Agent, Askpass, verify
from lab import Scenario
from neighbour import CONTEXT_GAP, Neighbour, Refused
from protocol import SIGN_RESPONSE, frame, sign_request, take_string
from resources import is_sanitized
from swtpm import Probe, Swtpm

PIN = '1234'
NUMBERS = 65536
SLOW = is_sanitized(os.environ['SSH_TPM_BUILD'])
BATCH = 64  # requests under way


class ContextGap(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.make_persistent()
        self.session = self.lab.path('session.ctx')
        self.plain, self.guarded = self.lab.make_key('plain'), self.lab.make_key('guarded', pin=PIN)

    def agent(self, tcti=None):
        return Agent(self.lab, tcti=tcti, env=Askpass(self.lab, PIN, PIN).env)

    def hold_session(self):
        self.tpm.tool('tpm2_startauthsession', '-S', self.session, '--hmac-session')

    def use_session(self):
        """Loads and saves it (TPM2_ContextLoad, TPM2_ContextSave)."""
        self.tpm.tool('tpm2_sessionconfig', self.session)

    def end_session(self):
        self.tpm.tool('tpm2_flushcontext', self.session)

    def sign(self, connection, key, count):
        """All of them are answered with signatures; the last is checked."""
        for done in range(0, count, BATCH):
            now = min(BATCH, count - done)
            connection.send(frame(sign_request(key.blob, b'data')) * now)
            replies = [connection.read_frame() for _ in range(now)]
            self.assertEqual([reply[0] for reply in replies], [SIGN_RESPONSE] * now)
        algorithm, signature = take_string(take_string(replies[-1][1:])[0])
        verify(self.lab, key, algorithm.decode(), take_string(signature)[0], b'data')

    def test_65536_signatures_in_a_row_beside_a_held_session(self):
        self.hold_session()
        agent = self.agent()
        with agent.connect() as connection:
            self.sign(connection, self.guarded, NUMBERS // (256 if SLOW else 64))
            self.sign(connection, self.plain, NUMBERS // (32 if SLOW else 1))
            self.sign(connection, self.guarded, 1)
        self.use_session()  # it is as good as before
        agent.stop()
        self.end_session()
        self.tpm.assert_no_handles()

    def test_a_gap_in_every_thousandth_signature_is_mended_within_the_request(self):
        probe = Probe(self.tpm)
        self.hold_session()
        agent = self.agent(probe.tcti)
        with agent.connect() as connection:
            for key in (self.plain, self.guarded) * (1 if SLOW else 3):
                probe.fail(f'TPM2_Sign answer {CONTEXT_GAP:#x} after=500 times=1')
                self.sign(connection, key, 1000)
                self.assertEqual(probe.reached(), [1001])
                self.use_session()
        refused = [line for line in probe.lines() if line.startswith('TPM2_Sign') and not line.endswith(' 0x00000000')]
        self.assertEqual(refused, ['TPM2_Sign 0x00000901'] * (2 if SLOW else 6))
        agent.stop()
        self.end_session()
        self.tpm.assert_no_handles()

    def age(self, neighbour, session, connection):
        """The neighbour saves and loads a session until the TPM will not have it, while the agent signs."""
        saved = 0
        with self.assertRaises(Refused) as refused:
            while True:
                with neighbour:  # swtpm serves one connection at a time: the agent has its turn in between
                    for _ in range(NUMBERS // 16):
                        context = neighbour.save(session)
                        saved += 1
                        self.assertEqual(neighbour.load(context), session)
                self.sign(connection, self.plain, BATCH)
        self.assertEqual(refused.exception.code, CONTEXT_GAP)
        self.assertGreater(saved, NUMBERS - 100)

    def test_a_gap_that_only_the_neighbour_can_mend_stops_new_sessions_alone_and_is_outlived(self):
        agent, neighbour = self.agent(), Neighbour(self.tpm)
        with agent.connect() as connection:
            with neighbour:
                oldest = neighbour.save(neighbour.start_session())
                session = neighbour.start_session()
                neighbour.start_session()  # the last slot is not given away while there is a gap
            self.age(neighbour, session, connection)
            self.sign(connection, self.plain, 1)
            # A PIN is kept once it has signed: it will be asked for again.
            self.assertIsNone(connection.sign(self.guarded.blob, b'data'))
            agent.process.wait_line('another program has kept a session for too long')
            self.sign(connection, self.plain, 1)
            with neighbour:
                neighbour.flush(neighbour.load(oldest))
                neighbour.sessions.pop(0)
            self.sign(connection, self.guarded, 1)
            with neighbour:
                neighbour.leave()
        agent.stop()
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
