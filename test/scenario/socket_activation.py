#!/usr/bin/env python3
"""The user's agent as systemd runs it: its socket made beforehand, its state told to the manager."""

import os
import signal
import unittest

from agent import Agent
from lab import Scenario, read, wait_until
from manager import Activated, Manager, Unit
from swtpm import Swtpm


class SocketActivation(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.notify = self.lab.path('notify')
        self.manager = Manager(self.notify)
        self.addCleanup(self.manager.close)

    def test_the_units_command_serves_the_socket_that_it_is_given(self):
        env = {'HOME': self.lab.home}
        self.lab.make_folder('home', '.ssh')
        key = self.lab.make_key(folder=self.lab.path('home', '.ssh'))
        self.lab.run(self.lab.bin + '/ssh-tpm', 'agent', '--install-system', status=0,
                     env={'DESTDIR': self.lab.path('root')})
        unit = Unit(self.lab.path('root/etc/systemd/user/ssh-tpm-agent.service'))
        agent = Activated(self.lab, *unit.command(), env={**env, 'NOTIFY_SOCKET': self.notify})
        self.assertEqual(agent.listed(), [key.line])
        agent.sign_and_check(key)
        self.assertEqual(self.manager.take(), 'READY=1\nSTATUS=Serving 1 key')
        agent.process.popen.send_signal(signal.SIGTERM)
        self.assertEqual(agent.process.wait(), 0, agent.log())
        self.manager.wait_for('STOPPING=1\nSTATUS=Ending')
        self.assertTrue(os.path.exists(agent.socket), 'the socket is the manager\'s')

    def test_the_manager_hears_of_keys_as_they_come_and_go(self):
        key = self.lab.make_key()
        agent = Agent(self.lab, env={'NOTIFY_SOCKET': self.notify})
        self.assertEqual(self.manager.take(), 'READY=1\nSTATUS=Serving 1 key')
        agent.ssh_add('-d', key.pub, status=0)
        self.assertEqual(self.manager.take(), 'STATUS=Serving 0 keys')
        agent.stop()
        self.assertEqual(self.manager.take(), 'STOPPING=1\nSTATUS=Ending')

    def test_the_watchdog_is_fed_twice_in_its_time_and_starves_when_the_loop_hangs(self):
        agent = Agent(self.lab, env={'NOTIFY_SOCKET': self.notify, 'WATCHDOG_USEC': '400000'})
        for _ in range(3):
            self.manager.wait_for('WATCHDOG=1')
        os.kill(agent.process.pid, signal.SIGSTOP)
        wait_until(lambda: ') T ' in read(f'/proc/{agent.process.pid}/stat'), 'the agent to stand still')
        self.manager.patience(0)
        with self.assertRaises(BlockingIOError):
            while True:
                self.manager.take()
        self.manager.patience(1)
        with self.assertRaises(TimeoutError):
            self.manager.take()
        os.kill(agent.process.pid, signal.SIGCONT)
        self.manager.patience(60)
        self.manager.wait_for('WATCHDOG=1')
        agent.stop()

    def test_an_agent_in_the_background_does_not_speak_for_who_started_it(self):
        env = {'NOTIFY_SOCKET': self.notify}
        said = self.lab.run(self.lab.bin + '/ssh-tpm-agent', '-a', self.lab.path('x.sock'), 'sh', '-c',
                            'ssh-add -l >/dev/null; echo $NOTIFY_SOCKET', env=env, status=0).stdout
        self.assertEqual(said.strip(), self.notify)  # the command may have something to say
        self.manager.patience(0)
        with self.assertRaises(BlockingIOError):
            self.manager.take()


if __name__ == '__main__':
    unittest.main()
