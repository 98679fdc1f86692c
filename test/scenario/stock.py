# SPDX-License-Identifier: MIT
"""Scenarios with a TPM, and with keys that take long to make: those are made once for all tests of a class."""

import os

from agent import Agent, Askpass
from lab import Lab, Scenario, contents, read
from swtpm import Probe, Swtpm


class WithTpm(Scenario):
    def setUp(self):
        super().setUp()
        self.restore()
        self.tpm = Swtpm(self.lab)

    def restore(self):
        """What must lie there before the TPM starts."""

    def assert_new_agent_signs(self, *keys, answers=(), **more):
        """A new agent signs with the keys when askpass gives these answers, and asks for each of them once."""
        name = f'agent{len(self.lab.processes)}'
        askpass = Askpass(self.lab, *answers, name=name + '.askpass')
        agent = Agent(self.lab, name=name, **{**more, 'env': {**askpass.env, **more.get('env', {})}})
        for key in keys:
            with self.subTest(key=key.path):
                agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), len(answers))
        agent.stop()
        self.tpm.assert_no_handles()


class Probed(WithTpm):
    """Whatever runs in the lab talks with the TPM through a probe."""

    def setUp(self):
        super().setUp()
        self.probe = Probe(self.tpm)
        self.lab.env['SSH_TPM_TCTI'] = self.probe.tcti


class Stocked(WithTpm):
    """Each test begins with a copy of what `fill` made once, and with the TPM that it belongs to."""

    FOLDERS = ('keys',)  # what is copied, beside the state of the TPM

    @classmethod
    def fill(cls, lab):
        """Makes the keys in `cls.tpm`."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = Lab()
        try:
            cls.tpm = Swtpm(lab)
            cls.fill(lab)
            cls.tpm.process.end()
            cls.stock = [(os.path.relpath(path, lab.folder), os.stat(path).st_mode, content)
                         for name in (*cls.FOLDERS, 'tpm.state')
                         for path, content in {lab.path(name): None, **contents(lab.path(name))}.items()]
        finally:
            lab.close()

    def rename_known_tpm(self, tree):
        """The host keys' TPM has another socket than the one with which the stock was made."""
        known = self.lab.path(tree, 'etc/ssh/ssh_tpm_known_tpms')
        parent, name, _ = read(known).split(' ', 2)
        self.lab.write(known, f'{parent} {name} {self.tpm.tcti}\n')

    def restore(self):
        for name, mode, content in self.stock:
            if content is None:
                os.makedirs(self.lab.path(name), exist_ok=True)
                os.chmod(self.lab.path(name), mode & 0o7777)
            else:
                self.lab.write(name, content, mode=mode & 0o7777)


class HostKeyStock(Stocked):
    """With host keys, in the tree that FOLDERS names first."""

    FOLDERS = ('stock', 'state')

    @classmethod
    def fill(cls, lab):
        lab.keygen('-q', '-A', '-f', lab.path(cls.FOLDERS[0]))

    def setUp(self):
        super().setUp()
        self.rename_known_tpm(self.FOLDERS[0])
