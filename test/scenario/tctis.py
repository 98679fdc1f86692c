#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent in its sandbox reaches a TPM at a port and one behind tpm2-abrmd, and again after a restart of these.

The other scenarios reach it at a UNIX socket, by a device, and by a library that is named by its path.
"""

import shutil
import socket
import unittest

from agent import Agent
from lab import Scenario, wait_until
from swtpm import Swtpm


class TcpSwtpm(Swtpm):
    """At a TCP port, which stays the same."""

    port = 0

    def _listen(self, path):
        if path != self.path:
            return super()._listen(path)
        listener = socket.create_server(('127.0.0.1', self.port))
        self.port = listener.getsockname()[1]
        return listener

    def restart(self):
        self.kill()
        self.start()


class Abrmd:
    """tpm2-abrmd on a bus of its own."""

    def __init__(self, lab, tpm):
        self.lab, self.tpm = lab, tpm
        lab.env['DBUS_SESSION_BUS_ADDRESS'] = f'unix:path={lab.path("bus")}'
        lab.start('dbus-daemon', '--session', '--nofork', '--print-address',
                  f'--address={lab.env["DBUS_SESSION_BUS_ADDRESS"]}').wait_line('unix:path=')
        self.start()

    def start(self):
        self.process = self.lab.start('tpm2-abrmd', '--session', '--allow-root', '--tcti', self.tpm.tcti)
        wait_until(self.is_on_bus, 'tpm2-abrmd on the bus')

    def is_on_bus(self):
        return self.lab.run('dbus-send', '--print-reply', '--dest=org.freedesktop.DBus', '/',
                            'org.freedesktop.DBus.GetNameOwner', 'string:com.intel.tss2.Tabrmd').returncode == 0

    def restart(self):
        self.process.end()
        self.start()


class Tctis(Scenario):
    def assert_signs(self, tcti, restart):
        """A sandboxed agent, also after a restart of the TPM, or of the program in front of it."""
        self.lab.env['SSH_TPM_TCTI'] = tcti
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        self.assertIn('sandbox: seccomp', self.lab.run('ssh-tpm-doctor', env={'SSH_AUTH_SOCK': agent.socket}).stdout)
        agent.sign_and_check(key)
        restart()
        wait_until(lambda: agent.signs(key), 'a signature')
        agent.stop()

    def test_swtpm_at_a_port(self):
        tpm = TcpSwtpm(self.lab)
        self.assert_signs(f'swtpm:host=127.0.0.1,port={tpm.port}', tpm.restart)

    @unittest.skipUnless(shutil.which('tpm2-abrmd') and shutil.which('dbus-daemon'), 'no tpm2-abrmd')
    def test_tabrmd(self):
        abrmd = Abrmd(self.lab, Swtpm(self.lab))
        self.assert_signs('tabrmd:bus_type=session', abrmd.restart)


if __name__ == '__main__':
    unittest.main()
