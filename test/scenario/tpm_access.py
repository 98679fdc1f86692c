#!/usr/bin/env python3
"""A TPM that is not there, not open to this user, in another program's hands, or another one than before: each
program says which, and what to do."""

import fcntl
import os
import shutil
import termios
import tty
import unittest

from agent import Agent
from lab import AS_NOBODY, NO_LEAK_CHECK, Scenario, contents, needs_root
from swtpm import Swtpm

PIN, NEW = 'the pin 1', 'a pin 2'


class TpmAccess(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.key = self.lab.make_key('x', pin=PIN)

    def assert_told_by_all(self, tcti, *words, program=None, keys=None, status=1, **user):
        """By every mode that needs a TPM, before any file is written."""
        program = program or self.lab.bin
        keys = keys or self.lab.keys
        os.chmod(self.lab.make_folder('out'), 0o777)
        before = contents(keys)
        new = self.lab.path('out/new')
        soft = self.lab.path('out/soft')
        if not os.path.exists(soft):
            self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', soft)
            os.chmod(soft, 0o644)
        for tool, options in (('keygen', ('-q', '-N', '', '-f', new)), ('keygen', ('--supported',)),
                              ('keygen', ('-p', '-P', PIN, '-N', NEW, '-f', os.path.join(keys, 'x.tpm'))),
                              ('keygen', ('--import', soft, '-N', '', '-f', new)),
                              ('keygen', ('-A', '-f', self.lab.path('out'))),
                              ('keygen', ('-A', '--hierarchy', 'owner', '-f', self.lab.path('out'))),
                              ('agent', ('-l', self.lab.path('out/agent.sock'), '--key-dir', keys))):
            with self.subTest(tool=tool, options=options):
                result = self.lab.run(f'{program}/ssh-tpm-{tool}', *options, '--tcti', tcti, **user)
                self.assert_error(result, *words, tool=f'ssh-tpm-{tool}', status=status)
                self.assertIn('\nhint: ', '\n' + result.stderr)
                self.assertEqual(contents(keys), before)
                self.assertFalse(os.path.exists(new + '.tpm') or os.path.exists(self.lab.path('out/agent.sock')))

    def nobodys(self):
        """Programs and keys that another user may use."""
        keys = self.lab.path('others')
        shutil.copytree(self.lab.keys, keys)
        for name in os.listdir(keys):
            os.chown(os.path.join(keys, name), AS_NOBODY['user'], AS_NOBODY['group'])
        os.chown(keys, AS_NOBODY['user'], AS_NOBODY['group'])
        return {'program': self.lab.program_for_others(), 'keys': keys, 'env': NO_LEAK_CHECK, **AS_NOBODY}

    def test_no_device(self):
        path = self.lab.path('tpmrm0')
        self.assert_told_by_all('device:' + path, f'no TPM at {path}', 'firmware settings', '--swtpm')

    def test_a_file_is_no_device_and_nothing_is_written_to_it(self):
        path = self.lab.write('file', 'a text')
        self.assert_told_by_all('device:' + path, f'{path} is no device', '/dev/tpmrm0', status=2)
        with open(path, encoding='ascii') as file:
            self.assertEqual(file.read(), 'a text')

    def test_a_socket_where_nobody_listens(self):
        tcti = f"swtpm:path={self.lab.path('nobody')}"
        self.assert_told_by_all(tcti, f'no TPM answers at "{tcti}"', '--tcti')

    @needs_root
    def test_a_device_of_another_group(self):
        master, slave = os.openpty()
        path = os.ttyname(slave)
        os.chmod(path, 0o600)
        self.assert_told_by_all('device:' + path, f'no permission to use the TPM at {path}', 'usermod -aG tss',
                                **self.nobodys())
        os.close(master)
        os.close(slave)

    @needs_root
    def test_a_device_that_another_program_has_open(self):
        master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.chmod(path, 0o666)
        fcntl.ioctl(slave, termios.TIOCEXCL)  # open(2) says EBUSY from now on, as of /dev/tpm0
        self.assert_told_by_all('device:' + path, f'another program has the TPM at {path} open', '/dev/tpmrm0',
                                'fuser', **self.nobodys())
        os.close(master)
        os.close(slave)

    def test_a_cleared_tpm_is_told_by_keygen_and_agent(self):
        free = self.lab.make_key('free')
        agent = Agent(self.lab)
        agent.sign_and_check(free)
        self.tpm.tool('tpm2_clear')
        self.assertNotEqual(agent.ssh_keygen_sign(free).returncode, 0)
        known = self.lab.path('state', 'ssh-tpm', 'known_tpms')
        agent.process.wait_line(f'delete line 1 of {known}')
        os.unlink(known)  # a person knows that it was cleared
        self.assertNotEqual(agent.ssh_keygen_sign(free).returncode, 0)
        agent.process.wait_line('belongs to another TPM, or the TPM was cleared')
        agent.process.wait_line('make a new key')
        result = self.lab.keygen('-p', '-f', self.key.tpm, '-P', PIN, '-N', NEW, status=1)
        self.assert_error(result, 'belongs to another TPM, or the TPM was cleared', 'make a new key')
        self.assertEqual(self.tpm.wrong_tries(), 0)
        agent.sign_and_check(self.lab.make_key('another'))

    def test_an_owner_password_and_a_disabled_hierarchy_are_told_by_the_agent(self):
        free = self.lab.make_key('free')
        for change, words, hint in ((('tpm2_changeauth', '-c', 'o', 'secret'), 'owner hierarchy has a password', '-o'),
                                    (('tpm2_hierarchycontrol', '-C', 'p', 'shEnable', 'clear'),
                                     'hierarchy of the TPM is disabled', 'firmware settings')):
            with self.subTest(words):
                self.tpm.tool(*change)
                agent = Agent(self.lab, name=change[0])
                self.assertNotEqual(agent.ssh_keygen_sign(free).returncode, 0)
                agent.process.wait_line(words)
                agent.process.wait_line(hint)
                agent.stop()
                result = self.lab.keygen('-p', '-f', self.key.tpm, '-P', PIN, '-N', NEW, status=1)
                self.assert_error(result, words, hint)


if __name__ == '__main__':
    unittest.main()
