"""What the scenarios of the known TPMs share: a TPM behind a probe that can swap its storage key."""

import os

from lab import Scenario, read
from swtpm import STORAGE_KEY, Probe, Swtpm

PIN = '1234 is a PIN'
SESSION = 'TPM2_StartAuthSession'
SWAPPED = ('TPM2_ReadPublic', 'TPM2_CreatePrimary')


class KnownTpmsLab(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.probe = Probe(self.tpm)
        self.lab.env['SSH_TPM_TCTI'] = self.probe.tcti
        self.folder = self.lab.path('state', 'ssh-tpm')
        self.file = os.path.join(self.folder, 'known_tpms')

    def known(self):
        """The lines of the file, in their three parts."""
        return [line.split(' ', 2) for line in read(self.file).splitlines()] if os.path.exists(self.file) else []

    def foreign_area(self):
        """The public area of a storage key of the same template, whose private half somebody else has."""
        path = self.lab.path('foreign.pub')
        if not os.path.exists(path):
            other = Swtpm(self.lab, 'other')
            other.tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY,
                       '-c', self.lab.path('foreign.ctx'))
            other.tool('tpm2_readpublic', '-c', self.lab.path('foreign.ctx'), '-o', path)
            other.process.end()
        return path

    def swapping(self, how='', *more):
        return self.probe.failing(*more, *(f'{name} swap {self.foreign_area()} {how}'.rstrip() for name in SWAPPED))

    def started(self):
        """The commands since the last look, whatever became of them."""
        return self.probe.take(refused=[line for line in self.probe.lines() if not line.endswith(' 0x00000000')])

    def assert_refusal(self, text, line=1):
        self.assertIn('storage key "owner-ecc" is not the one that is known', text)
        self.assertIn('cleared or replaced, or somebody sits between', text)
        if line:
            self.assertIn(f'delete line {line} of {self.file}', text)

    @staticmethod
    def complaint(agent):
        agent.process.wait_line('hint: if you know why')  # it comes after the reply, and the error before it
        return agent.log()

    def assert_no_session(self):
        names = self.started()
        self.assertNotEqual(names, [])
        self.assertNotIn(SESSION, names)
        self.tpm.assert_no_handles()
