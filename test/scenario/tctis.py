#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The agent in its sandbox reaches a TPM at a port, by a library that is named by its path, and behind tpm2-abrmd,
each also after it was away. The other scenarios reach it at a UNIX socket and by a device."""

import glob
import random
import shutil
import socket
import unittest

from agent import Agent
from lab import Scenario, read, wait_until
from swtpm import Swtpm

SWTPM, TABRMD = ([path for folder in ('/usr/lib*/', '/usr/lib/*/')
                  for path in glob.glob(f'{folder}libtss2-tcti-{name}.so.0')] for name in ('swtpm', 'tabrmd'))


class TcpSwtpm(Swtpm):
    """At two TCP ports in place of the sockets; the TCTI of tpm2-tss expects the second next to the first. The kernel
    gives neither to other programs while the TPM is away: they are outside the range that it chooses from."""

    def __init__(self, lab):
        self.port = next(port for port in random.sample(range(20000, 32000, 2), 100) if self.are_free(port))
        super().__init__(lab)

    @staticmethod
    def are_free(port):
        try:
            for number in port, port + 1:
                socket.create_server(('127.0.0.1', number)).close()
        except OSError:
            return False
        return True

    def _listen(self, path):
        return socket.create_server(('127.0.0.1', self.port if path == self.path else self.port + 1))


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

    def kill(self):
        self.process.end()


class Tctis(Scenario):
    def assert_signs(self, tcti, tpm):
        self.lab.env['SSH_TPM_TCTI'] = tcti
        key = self.lab.make_key('x')
        agent = Agent(self.lab)
        self.assertIn('Seccomp:\t2', read(f'/proc/{agent.process.pid}/status'))
        self.assertEqual(agent.listed(), [key.line])
        agent.sign_and_check(key)
        tpm.kill()
        self.assertFalse(agent.signs(key))
        tpm.start()
        wait_until(lambda: agent.signs(key), 'a signature')
        agent.stop()

    def test_swtpm_at_a_port(self):
        tpm = TcpSwtpm(self.lab)
        self.assert_signs(f'swtpm:host=127.0.0.1,port={tpm.port}', tpm)

    @unittest.skipUnless(SWTPM, 'no libtss2-tcti-swtpm')
    def test_a_library_by_its_path_and_a_host_by_its_name(self):
        tpm = TcpSwtpm(self.lab)
        self.assert_signs(f'{SWTPM[0]}:host=localhost,port={tpm.port}', tpm)

    @unittest.skipUnless(TABRMD and shutil.which('tpm2-abrmd') and shutil.which('dbus-daemon'),
                         'no tpm2-abrmd, its TCTI or dbus-daemon')
    def test_tabrmd(self):
        self.assert_signs('tabrmd:bus_type=session', Abrmd(self.lab, Swtpm(self.lab)))


if __name__ == '__main__':
    unittest.main()
