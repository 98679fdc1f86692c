# SPDX-License-Identifier: MIT
"""Private keys outside the TPM: every container that OpenSSH and OpenSSL write, and the numbers inside."""

import base64
import os
import re
import shutil

import keyfile
from lab import read_key
from protocol import mpint, string

CONTAINERS = {'openssh': 'RFC4716', 'pem': 'PEM', 'pkcs8': 'PKCS8'}  # the words of ssh-keygen -m
BEGINNINGS = {('openssh', 'ecdsa'): 'OPENSSH PRIVATE KEY', ('openssh', 'rsa'): 'OPENSSH PRIVATE KEY',
              ('pem', 'ecdsa'): 'EC PRIVATE KEY', ('pem', 'rsa'): 'RSA PRIVATE KEY',
              ('pkcs8', 'ecdsa'): 'PRIVATE KEY', ('pkcs8', 'rsa'): 'PRIVATE KEY'}


DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'ssh', 'private')


class SoftKey:
    """A key made by ssh-keygen at `path`, its public half beside it; or what lies there already."""

    def __init__(self, lab, path, kind='ecdsa', bits=256, comment='a soft key', passphrase=''):
        self.lab, self.path, self.pub = lab, path, path + '.pub'
        self.kind, self.passphrase = kind, passphrase
        if not os.path.exists(path):
            lab.ssh_keygen('-q', '-t', kind, '-b', str(bits), '-N', passphrase, '-a', '1', '-C', comment, '-f', path)

    @classmethod
    def ready_made(cls, lab, path, kind='rsa', bits=2048):
        """A copy of one in test/data: an RSA key takes a second to make."""
        for source, target, mode in (('.openssh', path, 0o600), ('.pub', path + '.pub', 0o644)):
            shutil.copyfile(os.path.join(DATA, f'{kind}-{bits}{source}'), target)
            os.chmod(target, mode)
        return cls(lab, path, kind, bits)

    def copy(self, path, container='openssh', passphrase=''):
        """The same key in another file; it has no public half beside it."""
        shutil.copyfile(self.path, path)
        os.chmod(path, 0o600)
        self.lab.ssh_keygen('-q', '-p', '-m', CONTAINERS[container], '-P', self.passphrase, '-N', passphrase,
                            '-a', '1', '-f', path)
        with open(path, encoding='ascii') as file:
            first = file.readline()
        begin = BEGINNINGS[container, self.kind]
        if passphrase and container == 'pkcs8':
            begin = 'ENCRYPTED ' + begin
        if first != f'-----BEGIN {begin}-----\n':
            raise AssertionError(f'{path} is no {container}: {first}')
        return path

    @property
    def key(self):
        """Its public half, as the lab knows keys."""
        return read_key(self.path)

    def agent_fields(self):
        """Its type and numbers as SSH_AGENTC_ADD_IDENTITY carries them (RFC 9987 section 5.2)."""
        name, numbers = self.key.algorithm.encode(), self._parts()
        if self.kind == 'ecdsa':
            public = self.key.blob[len(string(name) + string(name[-8:])):]  # a string already
            return string(name) + string(name[-8:]) + public + mpint(int.from_bytes(numbers[1], 'big'))
        n, e, d, p, q, _, _, coefficient = (int.from_bytes(number, 'big') for number in numbers[1:9])
        return string(name) + b''.join(map(mpint, (n, e, d, coefficient, p, q)))

    def numbers(self):
        """What must stay secret, as bytes: the scalar, or the private exponent and both primes."""
        chosen = self._parts()[1:2] if self.kind == 'ecdsa' else self._parts()[3:6]
        return [part.lstrip(b'\0') for part in chosen]

    def _parts(self):
        """The contents of the private key's sequence: SEC1, or PKCS#1."""
        plain = self.copy(self.path + '.numbers', 'pem')
        with open(plain, encoding='ascii') as file:
            body = re.fullmatch(r'-----BEGIN .*-----\n([^-]*)-----END .*-----\n', file.read())[1]
        os.unlink(plain)
        ((_, content),) = keyfile.elements(base64.b64decode(body))
        return [value for _, value in keyfile.elements(content)]
