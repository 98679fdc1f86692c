#!/usr/bin/env python3
"""An agent that has served for long is as it was at first. test/bench/load does the same for ten minutes."""

import os
import unittest

from agent import Agent, Askpass
from lab import Scenario, wait_until
from protocol import RSA_SHA2_256, frame, sign_request
from resources import descriptors, is_sanitized, rss
from softkey import SoftKey
from swtpm import Swtpm

PIN = 'correct horse 42'
MIB = 1024  # in KiB


class Soak(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.keys = [self.lab.make_key('a'), self.lab.make_key('b', 'rsa', 2048),
                     self.lab.make_key('c', pin=PIN)]
        self.soft = SoftKey(self.lab, self.lab.path('soft'))
        self.askpass = Askpass(self.lab, PIN)
        self.agent = Agent(self.lab, env=self.askpass.env)

    def serve(self, rounds):
        """Clients come, list, sign, leave in the middle, add a key and take it out again."""
        with self.agent.connect() as stays:
            for number in range(rounds):
                key = self.keys[number % len(self.keys)]
                with self.agent.connect() as client:
                    for _ in range(20):
                        client.list()
                    self.assertIsNotNone(client.sign(key.blob, b'data %d' % number, RSA_SHA2_256))
                with self.agent.connect() as hasty:  # goes before it is answered
                    hasty.send(frame(sign_request(key.blob, b'data')))
                with self.agent.connect() as breaks_off:  # and inside a frame
                    breaks_off.send(frame(sign_request(key.blob, b'data'))[:-1])
                if number % 20 == 0:
                    self.agent.ssh_add('-q', self.soft.path, status=0)
                    self.agent.ssh_add('-q', '-d', self.soft.path, status=0)
                self.assertEqual(len(stays.list()), len(self.keys))

    def test_memory_descriptors_and_the_tpm_are_as_before(self):
        pid = self.agent.process.pid
        self.serve(40)
        memory, open_files = rss(pid), descriptors(pid)
        self.serve(200)
        wait_until(lambda: descriptors(pid) <= open_files, 'the end of all connections')
        if not is_sanitized(os.environ['SSH_TPM_BUILD']):
            self.assertLess(rss(pid) - memory, MIB)
        self.assertEqual(len(self.askpass.questions()), 1)
        self.agent.stop()
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
