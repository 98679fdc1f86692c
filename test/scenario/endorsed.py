# SPDX-License-Identifier: MIT
"""swtpm as a manufacturer ships TPMs: with certificates of its endorsement keys, by a CA of this process's own
(swtpm_setup(8), swtpm_localca(8))."""

import atexit
import os
import shutil

from lab import Lab, read
from swtpm import Swtpm

RSA_2048, P_256, P_384 = 0x01c00002, 0x01c0000a, 0x01c00016  # where the certificates lie
CERTIFICATE_INDEX = 'ppwrite|ppread|ownerread|authread|platformcreate|no_da|write_stclear'
MANUFACTURER, MODEL, VERSION = 'id:00001014', 'swtpm', 'id:20191023'  # what swtpm_localca is told of each TPM

factories = []  # one at the most


class Factory:
    """The CA and TPMs that nobody has used yet: tests take copies, since to make one takes a second or two."""

    def __init__(self):
        self.lab, self.made = Lab(), []
        atexit.register(self.lab.close)
        self.ca = self.lab.make_folder('ca')
        self.localca = self.lab.write('localca.conf', ''.join(f'{name} = {self.ca}/{file}\n' for name, file in (
            ('statedir', ''), ('signingkey', 'signkey.pem'), ('issuercert', 'issuercert.pem'),
            ('certserial', 'certserial'))))
        self.options = self.lab.write('localca.options', '--platform-manufacturer Maker\n--platform-version 2.1\n'
                                                         '--platform-model Model\n')
        self.config = self.lab.write('setup.conf', f'create_certs_tool = {shutil.which("swtpm_localca")}\n'
                                                   f'create_certs_tool_config = {self.localca}\n'
                                                   f'create_certs_tool_options = {self.options}\n'
                                                   'active_pcr_banks = sha256\n')
        self.env = {'TMPDIR': self.lab.make_folder('tmp')}

    @classmethod
    def get(cls):
        if not factories:
            factories.append(cls())
        return factories[0]

    def state(self, number):
        """The folder with the state of TPM `number`."""
        while len(self.made) <= number:
            folder = self.lab.make_folder(f'tpm{len(self.made)}')
            self.lab.run('swtpm_setup', '--tpm2', '--tpm-state', 'dir://' + folder, '--config', self.config,
                         '--create-ek-cert', env=self.env, status=0)
            self.made.append(folder)
        return self.made[number]

    def certify(self, lab, x, y, curve):
        """A certificate, in DER, of an EK with these coordinates (hex digits)."""
        folder = lab.make_folder('certified')
        lab.run('swtpm_localca', '--type', 'ek', '--ek', f'x={x},y={y},id={curve}', '--dir', folder, '--tpm2',
                '--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164',
                '--tpm-manufacturer', MANUFACTURER, '--tpm-model', MODEL, '--tpm-version', VERSION,
                '--configfile', self.localca, '--optsfile', self.options, env=self.env, status=0)
        with open(os.path.join(folder, 'ek.cert'), 'rb') as file:
            return file.read()


class Endorsed(Swtpm):
    """`number` tells TPMs apart; `keep` are the certificates that it has. `roots` is a folder for --ek-roots.

    swtpm_setup leaves the EKs at 0x81010001 and 0x81010016."""

    def __init__(self, lab, name='tpm', number=0, keep=(RSA_2048, P_384)):
        self.factory = Factory.get()
        shutil.copytree(self.factory.state(number), lab.make_folder(name + '.state'), dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns('.lock'))
        super().__init__(lab, name)
        self.roots = lab.make_folder('roots')
        for certificate in 'swtpm-localca-rootca-cert.pem', 'issuercert.pem':
            shutil.copy(os.path.join(self.factory.ca, certificate), self.roots)
        for index in {RSA_2048, P_384} - set(keep):
            self.tool('tpm2_nvundefine', '-C', 'p', hex(index))
        if P_256 in keep:
            self.put_certificate(P_256, self._certify_p256())

    def certificate(self, index):
        """The index's bytes."""
        path = self.lab.path('certificate')
        self.tool('tpm2_nvread', '-o', path, hex(index))
        with open(path, 'rb') as file:
            return file.read()

    def put_certificate(self, index, content):
        """In place of what is there, or as a new one."""
        if index in self.certificate_indices():
            self.tool('tpm2_nvundefine', '-C', 'p', hex(index))
        path = self.lab.write('certificate', content)
        self.tool('tpm2_nvdefine', '-C', 'p', '-s', str(len(content)), '-a', CERTIFICATE_INDEX, hex(index))
        self.tool('tpm2_nvwrite', '-C', 'p', '-i', path, hex(index))

    def certificate_indices(self):
        listed = self.tool('tpm2_getcap', 'handles-nv-index').split()
        return [int(word, 16) for word in listed if word.startswith('0x')]

    def forget_eks(self):
        """Evicts the persistent ones, as TPM2_Clear does."""
        for handle in '0x81010001', '0x81010016':
            self.tool('tpm2_evictcontrol', '-C', 'o', '-c', handle)

    def _certify_p256(self):
        public = self.lab.path('ek.pub')
        self.craft('tpm2_createek', '-G', 'ecc256', '-c', self.lab.path('ek.ctx'), '-u', public)
        printed = self.tool_without_tpm('tpm2_print', '-t', 'TPM2B_PUBLIC', public)
        x, y = (line.split()[1] for line in printed.splitlines() if line.split(':')[0] in ('x', 'y'))
        return self.factory.certify(self.lab, x, y, 'secp256r1')

    def tool_without_tpm(self, name, *options):
        return self.lab.run(name, *options, env={'TSS2_LOG': 'all+none'}, status=0).stdout

    def issuer(self):
        """The CA below the root, as PEM."""
        return read(os.path.join(self.factory.ca, 'issuercert.pem'))
