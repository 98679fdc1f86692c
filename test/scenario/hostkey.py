# SPDX-License-Identifier: MIT
"""Keys of pretended SSH servers, which sign what a server would: openssl makes and uses them."""

import base64
import os
import shutil

import keyfile
from protocol import mpint, string
from softkey import DATA


class HostKey:
    """`blob` is its public half in SSH's form. RSA keys take long to make: there is one of each size."""

    def __init__(self, lab, name='host', kind='ed25519', bits=2048):
        self.lab, self.kind = lab, kind
        self.file = lab.path(name + '.host.pem')
        if kind == 'rsa':
            shutil.copyfile(os.path.join(DATA, f'rsa-{bits}.pkcs8'), self.file)
        else:
            options = ('ed25519',) if kind == 'ed25519' else ('EC', '-pkeyopt', 'ec_paramgen_curve:P-256')
            lab.run('openssl', 'genpkey', '-algorithm', *options, '-out', self.file, status=0)
        os.chmod(self.file, 0o600)
        if kind == 'ed25519':  # which ssh-keygen 9.2 does not read from PKCS#8
            spki = lab.run('openssl', 'pkey', '-in', self.file, '-pubout', '-outform', 'DER', status=0,
                           text=False).stdout
            self.blob = string(b'ssh-ed25519') + string(spki[-32:])
            self.line = 'ssh-ed25519 ' + base64.b64encode(self.blob).decode()
        else:
            self.line = lab.ssh_keygen('-y', '-f', self.file).rstrip('\n')
            self.blob = base64.b64decode(self.line.split()[1])

    def sign(self, data, bits=512):
        """A signature blob over `data`; `bits` is the hash of RSA."""
        source = self.lab.write('to-be-signed', data)
        if self.kind == 'ed25519':
            raw = self._openssl('pkeyutl', '-sign', '-rawin', '-inkey', self.file, '-in', source)
            return string(b'ssh-ed25519') + string(raw)
        digest = f'-sha{bits}' if self.kind == 'rsa' else '-sha256'
        raw = self._openssl('dgst', digest, '-sign', self.file, source)
        if self.kind == 'rsa':
            return string(f'rsa-sha2-{bits}'.encode()) + string(raw)
        ((_, content),) = keyfile.elements(raw)
        numbers = (int.from_bytes(number, 'big') for _, number in keyfile.elements(content))
        return string(b'ecdsa-sha2-nistp256') + string(b''.join(map(mpint, numbers)))

    def _openssl(self, *options):
        return self.lab.run('openssl', *options, status=0, text=False).stdout
