#!/usr/bin/env python3
"""accept(2) fails for a while, by strace's doing: whoever has connected is served all the same."""

import os
import unittest

from agent import Agent
from lab import NO_LEAK_CHECK, Scenario
from protocol import IDENTITIES_ANSWER, REQUEST_IDENTITIES, frame
from resources import cpu
from swtpm import Swtpm

SHORTAGES = ('EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM')  # of the process and of the system: these are logged
HARMLESS = ('ECONNABORTED', 'EINTR')  # a client that has gone again, or a signal


class AcceptFailures(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.lab.make_key('x')

    def agent_that_fails(self, error, when):
        """An agent whose calls of accept fail as told: the first to come to that are those numbered `when`."""
        self.trace = self.lab.path(error + '.trace')
        # -D: the agent itself is the child, and strace its grandchild.
        program = self.lab.write(error, '#!/bin/sh\n' + ' '.join([
            'exec strace -D -f -qq -o', self.trace, '-e signal=none -e trace=accept,accept4',
            f'-e inject=accept,accept4:error={error}:when={when}', f'{self.lab.bin}/ssh-tpm-agent', '"$@"']) + '\n',
            mode=0o755)
        return Agent(self.lab, name=error, program=program, env=NO_LEAK_CHECK)

    def injected(self):
        with open(self.trace, encoding='utf-8') as file:
            return file.read().count('(INJECTED)')

    def assert_all_are_served(self, agent):
        """Several at once: nobody waits for the next one to come."""
        clients = [agent.connect() for _ in range(5)]
        for client in clients:
            self.addCleanup(client.socket.close)
            client.send(frame(bytes([REQUEST_IDENTITIES])))
        for client in clients:
            self.assertEqual(client.read_frame()[0], IDENTITIES_ANSWER)

    def test_a_shortage_is_waited_for_and_told_once(self):
        for error in SHORTAGES:
            with self.subTest(error):
                agent = self.agent_that_fails(error, '2..6')
                before = cpu(agent.process.pid)
                self.assert_all_are_served(agent)
                self.assertEqual(self.injected(), 5)
                self.assertEqual(agent.log().count('accepting a client'), 1)
                self.assertLess(cpu(agent.process.pid) - before, 0.25)  # it did not try again and again
                agent.stop()

    def test_what_is_no_shortage_is_nobodys_concern(self):
        for error in HARMLESS:
            with self.subTest(error):
                agent = self.agent_that_fails(error, '2..6')
                self.assert_all_are_served(agent)
                self.assertNotIn('accepting a client', agent.log())
                agent.stop()


if __name__ == '__main__':
    unittest.main()
