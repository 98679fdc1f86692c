"""Scenarios with a TPM, and with keys that take long to make: those are made once for all tests of a class."""

import os

from lab import Lab, Scenario, contents
from swtpm import Probe, Swtpm


class WithTpm(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)


class Probed(WithTpm):
    """Whatever runs in the lab talks with the TPM through a probe."""

    def setUp(self):
        super().setUp()
        self.probe = Probe(self.tpm)
        self.lab.env['SSH_TPM_TCTI'] = self.probe.tcti


class Stocked(Scenario):
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

    def setUp(self):
        super().setUp()
        for name, mode, content in self.stock:
            if content is None:
                os.makedirs(self.lab.path(name), exist_ok=True)
                os.chmod(self.lab.path(name), mode & 0o7777)
            else:
                self.lab.write(name, content, mode=mode & 0o7777)
        self.tpm = Swtpm(self.lab)


class HostKeyStock(Stocked):
    """With host keys, in the tree that FOLDERS names first."""

    FOLDERS = ('stock', 'state')

    @classmethod
    def fill(cls, lab):
        lab.keygen('-q', '-A', '-f', lab.path(cls.FOLDERS[0]))
