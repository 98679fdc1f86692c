# SPDX-License-Identifier: MIT
"""Keys that are made once for all tests of a class, of which each test gives its agent those that it wants."""

import os
import shutil

from agent import certify
from lab import read_key
from softkey import SoftKey
from stock import Stocked


made = {}  # for classes that want the same


class KeysOnce(Stocked):
    """`KEYS` are keys of the TPM by their names, each as the options of make_key, and CERTIFIED those that have a
    certificate. `SOFT` are names of ordinary keys, all of them P-256."""

    FOLDERS = ('stock', 'state')
    KEYS = {}
    CERTIFIED = ()
    SOFT = ()

    @classmethod
    def setUpClass(cls):
        wanted = repr((cls.KEYS, cls.CERTIFIED, cls.SOFT))
        if wanted not in made:
            super().setUpClass()
            made[wanted] = cls.stock
        cls.stock = made[wanted]

    @classmethod
    def fill(cls, lab):
        folder = lab.make_folder('stock')
        for name, options in cls.KEYS.items():
            key = lab.make_key(name, folder=folder, **options)
            if name in cls.CERTIFIED:
                certify(lab, key, '-n', 'root')
        for name in cls.SOFT:
            SoftKey(lab, os.path.join(folder, name + '.soft'), comment=name)
        # A TPM that is turned off without this counts it as a wrong try.
        lab.run('tpm2_shutdown', '-c', '-T', lab.env['SSH_TPM_TCTI'], status=0)

    def take(self, name, folder=None):
        """A key, with its certificate, in the folder of the agent or another one."""
        folder = folder or self.lab.keys
        for ending in ('.tpm', '.pub', '-cert.pub'):
            if os.path.exists(source := self.lab.path('stock', name + ending)):
                shutil.copy(source, folder)
        return read_key(os.path.join(folder, name))

    def stocked(self, name):
        """A key that lies where no agent looks."""
        return read_key(self.lab.path('stock', name))

    def soft(self, name):
        """An ordinary key."""
        for ending in ('', '.pub'):
            shutil.copy(self.lab.path('stock', f'{name}.soft{ending}'), self.lab.path(name + ending))
        return SoftKey(self.lab, self.lab.path(name), comment=name)
