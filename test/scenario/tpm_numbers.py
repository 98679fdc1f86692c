#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A TPM without a resource manager gives the numbers of what it has lost to others: to a neighbour's key, or to his
session. The agent neither signs with them, nor flushes them, nor spends a try on them."""

import unittest

from agent import Agent, Askpass
from neighbour import Neighbour
from stock import WithTpm

PIN = '1234 is a PIN'
SIGNING_KEY = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
FIRST_SESSION = '0x2000000'


class TpmNumbers(WithTpm):
    def setUp(self):
        super().setUp()
        self.tpm.make_persistent()
        # A TPM that ends without TPM2_Shutdown counts that as a wrong try, too (Part 1, 19.8.4).
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '100', '-t', '600', '-l', '600')

    def handles(self):
        return [handle for _, handle in self.tpm.handles()]

    def sign(self, agent, *keys):
        with agent.connect() as connection:
            for key in keys:
                self.assertIsNotNone(connection.sign(key.blob, b'data'))

    def test_a_neighbours_key_at_the_number_of_ours_is_not_signed_with_and_stays(self):
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        agent.sign_and_check(key)
        ours = self.handles()
        self.tpm.tool('tpm2_flushcontext', '-t')
        for _ in range(2):  # ours was the second: the persistent storage key takes a place while it is used
            self.tpm.tool('tpm2_createprimary', '-C', 'n', '-G', 'ecc256:ecdsa', '-a', SIGNING_KEY, '-c',
                          self.lab.path('neighbour.ctx'))
        for handle in set(self.handles()) - set(ours):
            self.tpm.tool('tpm2_flushcontext', handle)  # there are three places in all
        his = self.handles()
        self.assertEqual(his, ours)
        agent.sign_and_check(key)
        agent.sign_and_check(key)
        agent.stop()
        self.assertEqual(self.handles(), his)

    def test_after_a_reset_a_neighbours_session_at_the_number_of_ours_costs_no_try_and_stays(self):
        keys = [self.lab.make_key('x', pin=PIN), self.lab.make_key('y', pin=PIN), self.lab.make_key('z')]
        orders = (keys, keys[1:] + keys[:1], keys[2:] + keys[:2], keys[::-1])
        askpass = Askpass(self.lab, *[PIN] * 2 * len(orders))
        for order in orders:
            with self.subTest(order=[key.comment for key in order]):
                agent = Agent(self.lab, env=askpass.env)
                self.sign(agent, *keys)
                asked = len(askpass.questions())
                self.tpm.kill()
                self.tpm.start()
                before = self.tpm.wrong_tries()
                with Neighbour(self.tpm) as neighbour:
                    neighbour.start_session()
                self.sign(agent, *order)
                for key in order:
                    agent.sign_and_check(key)
                self.assertEqual(self.tpm.wrong_tries(), before)
                self.assertEqual(len(askpass.questions()), asked)
                self.assertIn(FIRST_SESSION, self.handles())
                agent.stop()
                self.assertEqual(self.handles(), [FIRST_SESSION])
                with neighbour:
                    neighbour.leave()


if __name__ == '__main__':
    unittest.main()
