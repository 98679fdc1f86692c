#!/usr/bin/env python3
"""Not even processes of the same user can look into the agent's memory."""

import os
import unittest

from agent import REFERENCE, Agent
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, Scenario, needs_root
from swtpm import Swtpm

READ_MEMORY = ('import os, re, sys\n'
               'pid = sys.argv[1]\n'
               'place = int(re.match("[0-9a-f]+", open(f"/proc/{pid}/maps").read())[0], 16)\n'
               'with open(f"/proc/{pid}/mem", "rb", 0) as memory:\n'
               '    os.pread(memory.fileno(), 16, place)\n')


@needs_root
class Ptrace(Scenario):
    """The same is tried on an ordinary process, where it must work: a kernel that allows it to nobody shows
    nothing about the agent."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.tpm.open_to_all()
        os.chmod(self.lab.folder, 0o777)
        for folder in (self.lab.home, self.lab.keys):
            os.chown(folder, NOBODY, NOBODY)
        program = f'{self.lab.program_for_others()}/ssh-tpm-agent'
        options = () if REFERENCE else ('--no-load',)
        self.agent = Agent(self.lab, *options, program=program, env=NO_LEAK_CHECK, **AS_NOBODY)
        self.ordinary = self.lab.start('sh', '-c', 'echo runs; exec sleep 600', **AS_NOBODY)
        self.ordinary.wait_line('runs')

    def attach(self, process):
        return self.lab.run('gdb', '-nx', '-batch', '-iex', 'set auto-load off', '-ex', 'info proc', '-p',
                            str(process.pid), **AS_NOBODY)

    def test_gdb_does_not_attach(self):
        allowed = self.attach(self.ordinary)
        if 'Operation not permitted' in allowed.stderr:
            self.skipTest('nobody may trace anybody here')
        self.assertIn(f'process {self.ordinary.pid}', allowed.stdout, allowed.stderr)
        refused = self.attach(self.agent.process)
        self.assertRegex(refused.stdout + refused.stderr, 'Operation not permitted|Permission denied')
        self.assertNotIn(f'process {self.agent.process.pid}\n', refused.stdout)
        self.assertEqual(self.agent.ssh_add('-l', **AS_NOBODY).returncode, 1)  # it lives, undisturbed

    def read_memory(self, process):
        return self.lab.run('/usr/bin/python3', '-c', READ_MEMORY, str(process.pid), **AS_NOBODY)

    def test_the_memory_file_does_not_open(self):
        allowed = self.read_memory(self.ordinary)
        if 'PermissionError' in allowed.stderr:
            self.skipTest('nobody may read memory here')
        self.assertEqual(allowed.returncode, 0, allowed.stderr)
        self.assertIn('PermissionError', self.read_memory(self.agent.process).stderr)

    def test_its_files_in_proc_belong_to_root(self):
        for name in ('environ', 'mem', 'maps', 'fd', 'syscall'):
            with self.subTest(name):
                self.assertEqual(os.stat(f'/proc/{self.ordinary.pid}/{name}').st_uid, NOBODY)
                self.assertEqual(os.stat(f'/proc/{self.agent.process.pid}/{name}').st_uid, 0)

    def test_it_leaves_no_core(self):
        with open(f'/proc/{self.agent.process.pid}/limits', encoding='ascii') as file:
            limit, = (line.split() for line in file if line.startswith('Max core file size'))
        self.assertEqual(limit[4], '0')  # the hard limit is kept for the command that an agent may run


if __name__ == '__main__':
    unittest.main()
