#!/usr/bin/env python3
"""accept(2) fails for a while, by strace's doing: whoever has connected is served all the same."""

import time
import unittest

from agent import Agent
from lab import NO_LEAK_CHECK, Scenario
from protocol import IDENTITIES_ANSWER, REQUEST_IDENTITIES, frame
from swtpm import Swtpm

SHORTAGES = ('EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM')  # of the process and of the system: these are logged
HARMLESS = ('ECONNABORTED', 'EINTR')  # a client that has gone again, or a signal
PAUSE = 0.1  # seconds after each shortage
CLIENTS = 5


class AcceptFailures(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.lab.make_key('x')

    def agent_that_fails(self, error):
        """An agent that finds nobody at its first call of accept and then fails as often as clients come, so that
        no later one wakes it."""
        self.trace = self.lab.path(error + '.trace')
        # -D: the agent itself is our child, and strace our grandchild.
        program = self.lab.write(error, '#!/bin/sh\n' + ' '.join([
            'exec strace -D -f -qq -o', self.trace, '-e signal=none -e trace=accept,accept4',
            f'-e inject=accept,accept4:error={error}:when=2..{CLIENTS + 1}',
            f'{self.lab.bin}/ssh-tpm-agent', '"$@"']) + '\n', mode=0o755)
        return Agent(self.lab, name=error, program=program, env=NO_LEAK_CHECK)

    def injected(self):
        with open(self.trace, encoding='utf-8') as file:
            return file.read().count('(INJECTED)')

    def assert_all_are_served(self, agent):
        """Several at once: nobody waits for the next one to come."""
        clients = [agent.connect() for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.socket.close)
            client.send(frame(bytes([REQUEST_IDENTITIES])))
        for client in clients:
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)
        self.assertEqual(self.injected(), CLIENTS)

    def test_a_shortage_is_waited_for_and_told_once(self):
        for error in SHORTAGES:
            with self.subTest(error):
                agent = self.agent_that_fails(error)
                begun = time.monotonic()
                self.assert_all_are_served(agent)
                self.assertGreaterEqual(time.monotonic() - begun, CLIENTS * PAUSE)  # it did not try again at once
                self.assertEqual(agent.log().count('accepting a client'), 1)
                agent.stop()

    def test_what_is_no_shortage_is_nobodys_concern(self):
        for error in HARMLESS:
            with self.subTest(error):
                agent = self.agent_that_fails(error)
                self.assert_all_are_served(agent)
                self.assertNotIn('accepting a client', agent.log())
                agent.stop()


if __name__ == '__main__':
    unittest.main()
