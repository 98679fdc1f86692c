#!/usr/bin/env python3
"""A TPM that dies and returns at any moment, under load: each answer is a good signature or a refusal."""

import collections
import os
import random
import statistics
import threading
import time
import unittest

from agent import Agent, Askpass
from lab import Scenario, wait_until
from libcrypto import Verifier
from protocol import RSA_SHA2_256
from swtpm import Swtpm

DEATHS = 100
PIN = 'correct horse 42'
SOON, DEADLINE = 2, 10  # seconds: most clients, and all of them


class Client(threading.Thread):
    """Signs without pause, and counts what comes back."""

    def __init__(self, agent, key, verifier):
        super().__init__(daemon=True)
        self.agent, self.key, self.verifier = agent, key, verifier
        self.counts = collections.Counter()
        self.ending = False
        self.failure = None
        self.first_after = None  # when it was served first, after `watch_from`
        self.watch_from = None

    def run(self):
        try:
            with self.agent.connect() as connection:
                number = 0
                while not self.ending:
                    number += 1
                    self.sign(connection, b'%s %d' % (self.key.comment.encode(), number))
        except Exception as error:  # told by the test's own thread
            self.failure = error

    def sign(self, connection, data):
        watched = self.watch_from is not None
        signed = connection.sign(self.key.blob, data, RSA_SHA2_256)
        if signed is None:
            self.counts['refused'] += 1
            if self.first_after is not None:
                self.counts['refused after success'] += 1
        elif self.verifier.is_good(signed, data):
            self.counts['good'] += 1
            if watched and self.first_after is None:
                self.first_after = time.monotonic()
            elif watched:
                self.counts['good after success'] += 1
        else:
            self.counts['wrong'] += 1


class TpmKilled(Scenario):
    def test_a_tpm_that_is_killed_a_hundred_times_under_load_gives_no_wrong_answer(self):
        seed = int(os.environ.get('SSH_TPM_TEST_SEED') or random.randrange(1 << 32))
        print(f'SSH_TPM_TEST_SEED={seed}')
        chance = random.Random(seed)
        tpm = Swtpm(self.lab)
        tpm.make_persistent()
        # A TPM that goes without a shutdown after a guarded key was used counts a try by itself.
        tpm.tool('tpm2_dictionarylockout', '-s', '-n', '100000', '-t', '1000', '-l', '1000')
        keys = [self.lab.make_key('free'), self.lab.make_key('other', bits=384),
                self.lab.make_key('rsa', 'rsa', 2048), self.lab.make_key('guarded', pin=PIN)]
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        for key in keys:
            agent.sign_and_check(key)
        clients = [Client(agent, key, Verifier(self.lab, key)) for key in keys]
        for client in clients:
            client.start()
        deaths = 0
        while deaths < DEATHS or any(client.counts['good'] <= DEATHS and not client.failure for client in clients):
            time.sleep(chance.uniform(0, 0.2))
            tpm.kill()
            time.sleep(chance.uniform(0, 0.02))
            tpm.start()
            deaths += 1
        back = time.monotonic()
        for client in clients:
            client.watch_from = back
        wait_until(lambda: all(client.counts['good after success'] or client.failure for client in clients),
                   'two signatures for each client')
        for client in clients:
            client.ending = True
        for client in clients:
            client.join(60)
            print(client.key.comment, dict(client.counts))
            self.assertIsNone(client.failure)
            self.assertEqual(client.counts['wrong'], 0)
            self.assertIsNotNone(client.first_after, 'not served again')
            self.assertEqual(client.counts['refused after success'], 0)
            self.assertGreater(client.counts['good after success'], 0)
        waited = [client.first_after - back for client in clients]
        self.assertLess(statistics.median(waited), SOON)
        self.assertLess(max(waited), DEADLINE)
        self.assertGreater(sum(client.counts['refused'] for client in clients), 0)  # it was noticed at all
        self.assertEqual(len(askpass.questions()), 1)
        agent.stop()
        tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
