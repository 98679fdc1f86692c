#!/usr/bin/env python3
"""A TPM that was reset, or that hung, under a running agent: in the emulator, which is ours, what that leaves is
put right; a TPM is not started, which is the firmware's affair."""

import os
import signal
import unittest

from agent import Agent
from lab import Scenario, read, read_key
from swtpm import Probe, Swtpm


class TpmReset(Scenario):
    def reset(self, control):
        self.lab.run('swtpm_ioctl', '-i', '--unix', control, status=0)

    def test_the_emulator_is_started_again(self):
        state = self.lab.path('emulator')
        self.lab.env['SSH_TPM_SWTPM_STATE'] = state
        self.lab.keygen('-q', '--swtpm', '-N', '', '-f', self.lab.path('keys/x'))
        key = read_key(self.lab.path('keys/x'))
        agent = Agent(self.lab, '--swtpm')
        agent.sign_and_check(key)
        for _ in range(3):
            self.reset(state + '/socket.ctrl')
            agent.ssh_keygen_sign(key)  # may fail: it finds the TPM reset
            agent.sign_and_check(key)
        agent.stop()

    def test_what_commands_that_were_not_waited_for_leave_in_the_emulator_is_flushed(self):
        state = self.lab.path('emulator')
        self.lab.env['SSH_TPM_SWTPM_STATE'] = state
        self.lab.keygen('-q', '--swtpm', '-N', '', '-f', self.lab.path('keys/x'))
        key = read_key(self.lab.path('keys/x'))
        agent = Agent(self.lab, '--swtpm')
        emulator, = self.emulators(state)
        for _ in range(4):  # a key stays loaded each time; there is room for three
            os.kill(emulator, signal.SIGSTOP)
            try:
                with agent.connect() as client:
                    self.assertIsNone(client.sign(key.blob, b'data'))
            finally:
                os.kill(emulator, signal.SIGCONT)
            agent.sign_and_check(key)
        agent.stop()  # all that it said is read
        self.assertEqual(agent.log().count('did not answer within 10 s (TPM2_Load)'), 4)

    @staticmethod
    def emulators(state):
        """The ids of the emulators that run in this folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                if read(f'/proc/{pid}/comm') != 'swtpm\n':
                    continue
                links = [os.readlink(f'/proc/{pid}/fd/{name}') for name in os.listdir(f'/proc/{pid}/fd')]
            except OSError:  # it ended meanwhile, or is somebody else's
                continue
            if any(link.startswith(state) for link in links):
                found.append(int(pid))
        return found

    def test_another_tpm_is_not_and_the_error_says_what_to_do(self):
        tpm = Swtpm(self.lab)
        probe = Probe(tpm)
        key = self.lab.make_key('x')
        agent = Agent(self.lab, tcti=probe.tcti)
        agent.sign_and_check(key)
        self.reset(tpm.path + '.ctrl')
        for _ in range(2):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('the TPM was reset and not started')
        agent.process.wait_line('restart the machine')
        self.assertFalse([line for line in probe.lines() if line.startswith('TPM2_Startup')])
        tpm.tool('tpm2_startup', '-c')
        agent.sign_and_check(key)
        agent.stop()
        tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
