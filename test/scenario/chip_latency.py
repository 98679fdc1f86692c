#!/usr/bin/env python3
"""With the times of a chip a signature and a login take little more than TPM2_Sign, and the first ones no more
than they must. test/bench/chip prints the figures."""

import threading
import time
import unittest

from agent import Agent, Askpass
from chip import FLUSH, LOAD, SESSION, SIGN, SIGNATURE, chip_time, demands, rules
from lab import Scenario
from protocol import RSA_SHA2_512
from sshd import Sshd
from swtpm import Probe, Swtpm

PIN = '1234'
TRIES = 'TPM2_GetCapability'  # told with the question for the PIN, and looked at before the answer is tried
PROOF = 'TPM2_GetRandom'  # that a new session is known to both ends
BITS = {'ecdsa': 256, 'rsa': 2048}
BURST = 10
SURELY_WARM = 4  # seconds; after five without a signature the agent gives back what it has in the TPM
ATTEMPTS = 6  # at being warm: a machine that stalls for five seconds makes an idle agent of it
AGENTS_OWN = 0.04  # seconds that the fastest warm signature may take beside the TPM: less than a Load
FEW, MANY = 5, 50  # signatures among which one is that fast, on a machine that rests and on one that does not
SLACK = 10  # seconds of a login that are not the TPM's, on a machine that has other things to do


class ChipLatency(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)
        self.tpm.make_persistent()
        self.begun = 0  # when the last action was

    def agent(self, kind, pin=''):
        agent = Agent(self.lab, tcti=self.probe.tcti, env=Askpass(self.lab, *[pin] * 4).env)
        self.probe.take()
        self.probe.fail(*rules(kind))
        return agent

    def timed(self, action):
        """The commands of it, its seconds, and whether the agent was warm from the one before to its end."""
        self.probe.take()
        before, self.begun = self.begun, time.monotonic()
        action()
        end = time.monotonic()
        return self.probe.take(), end - self.begun, end - before < SURELY_WARM

    def warm(self, action, *commands):
        for _ in range(ATTEMPTS):
            names, seconds, warm = self.timed(action)
            if warm or names == list(commands):
                break
        return names, seconds, warm

    def check(self, kind, name, action, *commands):
        names, seconds, _ = self.warm(action, *commands) if name == 'warm' else self.timed(action)
        self.assertEqual(sorted(names), sorted(commands))
        self.assertLessEqual(chip_time(kind, names), demands(kind)[name])
        self.assertGreaterEqual(seconds, chip_time(kind, names) / 1000)  # the model was at work
        self.assertLess(seconds, chip_time(kind, names) / 1000 + SLACK)
        return seconds

    def sign(self, connection, key):
        self.assertIsNotNone(connection.sign(key.blob, b'data', RSA_SHA2_512))

    def check_signatures(self, kind, pin, *first):
        key = self.lab.make_key('x', kind, BITS[kind], pin=pin)
        name = 'first use with a PIN' if pin else 'first use'
        agent = self.agent(kind, pin)
        with agent.connect() as connection:
            self.check(kind, name, lambda: self.sign(connection, key), *first)
            taken, fast = [], demands(kind)['warm'] / 1000 + AGENTS_OWN
            while len(taken) < FEW or min(taken) >= fast and len(taken) < MANY:
                taken.append(self.check(kind, 'warm', lambda: self.sign(connection, key), SIGN))
        self.assertLess(min(taken), fast)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_one_command_more_would_not_meet_the_demands(self):
        for kind in SIGNATURE:
            with_pin = [TRIES, LOAD, TRIES, SESSION, PROOF, SIGN]
            for name, first in (('first use', [LOAD, SIGN]), ('first use with a PIN', with_pin)):
                self.assertLessEqual(chip_time(kind, first), demands(kind)[name])
                for more in (LOAD, SESSION, SIGN, 'TPM2_CreatePrimary'):
                    self.assertGreater(chip_time(kind, [*first, more]), demands(kind)[name])
            self.assertGreater(chip_time(kind, [SIGN, TRIES, FLUSH]), demands(kind)['warm'])

    def test_an_ecdsa_signature(self):
        self.check_signatures('ecdsa', '', LOAD, SIGN)

    def test_an_ecdsa_signature_with_a_pin(self):
        self.check_signatures('ecdsa', PIN, TRIES, LOAD, TRIES, SESSION, PROOF, SIGN)

    def test_an_rsa_signature(self):
        self.check_signatures('rsa', '', LOAD, SIGN)

    def test_an_rsa_signature_with_a_pin(self):
        self.check_signatures('rsa', PIN, TRIES, LOAD, TRIES, SESSION, PROOF, SIGN)

    def test_a_third_key_gives_back_one_and_is_in_time(self):
        keys = [self.lab.make_key(name) for name in 'abc']
        agent = self.agent('ecdsa')
        with agent.connect() as connection:
            for key in keys[:2]:
                self.check('ecdsa', 'first use', lambda key=key: self.sign(connection, key), LOAD, SIGN)
            self.check('ecdsa', 'first use', lambda: self.sign(connection, keys[2]), FLUSH, LOAD, SIGN)
        agent.stop()

    def check_logins(self, kind, pin, *first):
        key = self.lab.make_key('x', kind, BITS[kind], pin=pin)
        server = Sshd(self.lab, authorized=[key.pub])
        agent = self.agent(kind, pin)

        def login():
            result = server.login(agent)
            self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)

        self.check(kind, 'first use with a PIN' if pin else 'first use', login, *first)
        self.check(kind, 'warm', login, SIGN)
        # Ten at once: the TPM does nothing but sign, one after the other.
        results = []

        def burst():
            results.clear()
            threads = [threading.Thread(target=lambda: results.append(server.login(agent).stdout))
                       for _ in range(BURST)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        names, seconds, warm = self.warm(burst, *[SIGN] * BURST)
        self.assertEqual(results, ['in\n'] * BURST)
        self.assertEqual(names.count(SIGN), BURST)
        if warm:
            self.assertEqual(names, [SIGN] * BURST)
        self.assertLess(seconds, BURST * SIGNATURE[kind] / 1000 + SLACK)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_login(self):
        self.check_logins('ecdsa', '', LOAD, SIGN)

    def test_a_login_with_a_pin(self):
        self.check_logins('ecdsa', PIN, TRIES, LOAD, TRIES, SESSION, PROOF, SIGN)


if __name__ == '__main__':
    unittest.main()
