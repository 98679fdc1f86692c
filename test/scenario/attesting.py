# SPDX-License-Identifier: MIT
"""The walk of `ssh-tpm attest` with a TPM: a request, judged by the program and without it, and answers to it, good
ones and others."""

import base64
import hashlib
import json
import os

import attestation
import sealing
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from endorsed import P_256, P_384, RSA_2048, Endorsed
from lab import Scenario, read
from sshd import make_host_key
from tpm_objects import Public

PENDING = 'state/ssh-tpm/attestation'
AK_LABEL = hashlib.sha256(b'ssh-tpm attestation key 1').digest()
EKS = {RSA_2048: 'rsa', P_256: 'ecc', P_384: 'ecc384'}  # of swtpm, by the index of their certificate


def contents_of(path):
    with open(path, 'rb') as file:
        return file.read()


def as_der(path):
    return x509.load_pem_x509_certificate(contents_of(path)).public_bytes(Encoding.DER)


class Asked:
    """A request: its bytes, and what is in it."""

    def __init__(self, text):
        self.text, self.members = text, json.loads(text)
        self.digest = hashlib.sha256(text).hexdigest()
        self.ek, self.ak = (Public.read(base64.b64decode(self.members[name]['public'])) for name in ('ek', 'ak'))
        self.certificate = base64.b64decode(self.members['ek']['certificate'])
        self.chain = list(map(base64.b64decode, self.members['ek']['chain']))
        self.lines = [key['ssh'] for key in self.members['keys']]
        self.known = f'{self.ek.name().hex()} web1'


class ByTools:
    """The keys of `self.tpm`, made and used by tpm2-tools."""

    def made_ek(self, index):
        """A context of the EK, and its public area."""
        context, public = self.lab.path(f'ek-{index:x}.ctx'), self.lab.path(f'ek-{index:x}.pub')
        if index == P_384:  # tpm2_createek 5.4 knows the low range alone
            self.tpm.tool('tpm2_readpublic', '-c', '0x81010016', '-o', public)
            context = '0x81010016'
        else:
            self.tpm.craft('tpm2_createek', '-G', EKS[index], '-c', context, '-u', public)
        return context, Public.read(contents_of(public))

    def made_ak(self):
        """Our AK, by tpm2-tools."""
        unique, context, public = self.lab.path('unique'), self.lab.path('ak.ctx'), self.lab.path('ak.pub')
        self.lab.write('unique', len(AK_LABEL).to_bytes(2, 'little') + AK_LABEL + bytes(2))  # as the tool wants it
        self.tpm.tool('tpm2_createprimary', '-C', 'e', '-g', 'sha256', '-G', 'ecc256:ecdsa-sha256:null', '-u', unique,
                      '-c', context, '-a', 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda')
        self.tpm.craft('tpm2_readpublic', '-c', context, '-o', public)
        return context, Public.read(contents_of(public))

    def activated(self, ek, ak, credential, log='all+none'):
        session, secret = self.lab.path('session'), self.lab.path('opened')
        if ek.startswith('0x'):
            authorization = ''
        else:
            self.tpm.tool('tpm2_startauthsession', '--policy-session', '-S', session)
            self.tpm.tool('tpm2_policysecret', '-S', session, '-c', 'e')
            authorization = 'session:' + session
        try:
            self.lab.run('tpm2_activatecredential', '-c', ak, '-C', ek, '-i', credential, '-o', secret, '-P',
                         authorization, '-T', self.tpm.tcti, status=0, env={'TSS2_LOG': log or 'all+error'})
            return contents_of(secret)
        finally:
            for _, handle in self.tpm.handles():
                self.tpm.tool('tpm2_flushcontext', handle)


class Attesting(Scenario):
    """With a TPM as its maker ships it, and a certificate authority."""

    KEEP = (P_384,)

    def setUp(self):
        super().setUp()
        self.tpm = Endorsed(self.lab, keep=self.KEEP)
        self.roots = self.tpm.roots
        self.authority = make_host_key(self.lab, 'ca')

    def attest(self, command, *options, **more):
        return self.lab.run(f'{self.lab.bin}/ssh-tpm', 'attest', command, *options, **more)

    def ask(self, *keys, options=(), **more):
        """A request for keys of the lab, which the TPM makes."""
        named = [word for key in keys for word in ('-f', key.tpm)]
        return Asked(self.attest('request', *named, *options, status=0, text=False, **more).stdout)

    def pending(self):
        """The requests that wait for their answer."""
        folder = self.lab.path(PENDING)
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []

    def assert_good(self, asked, *options, known=False, nonce=None):
        """The program's verify takes it, and so does the one in attestation.py; for the same reasons.
        @returns what the program says of it"""
        roots = [as_der(os.path.join(self.roots, name)) for name in os.listdir(self.roots)]
        attestation.verify(asked.text, roots, nonce, [asked.ek.name()] if known else ())
        trusted = (('--ek-known', self.lab.write('known', asked.known + '\n')) if known else
                   ('--ek-roots', self.roots))
        said = self.attest('verify', '--json', *trusted, *(('--nonce', nonce) if nonce else ()), *options,
                           stdin=asked.text, text=False)
        result = json.loads(said.stdout)
        self.assertEqual((said.returncode, result['status']), (0, 'verified'), result)
        self.assertEqual((result['ek'], result['ak'], [key['ssh'] for key in result['keys']]),
                         (asked.ek.name().hex(), asked.ak.name().hex(), asked.lines))
        return result

    def certificate(self, line, *options, authority=None, principals='web1'):
        """A certificate by ssh-keygen for the public key in a line: its type and base64."""
        path = self.lab.write('to-certify.pub', line + '\n')
        self.lab.ssh_keygen('-q', '-s', authority or self.authority, '-I', 'an identity', '-n', principals, *options,
                            path)
        return ' '.join(read(self.lab.path('to-certify-cert.pub')).split()[:2])

    def answer(self, asked, *lines, **changes):
        """A response, sealed without the program, to certificates for all keys unless `lines` are in their place, and
        its receipt. `changes` are for sealing.seal."""
        lines = lines or [self.certificate(line) for line in asked.lines]
        return sealing.seal(asked.text, lines, asked.ek, asked.ak, **changes)

    def install(self, document, *options, authority=None, **more):
        return self.attest('install', '--ca', (authority or self.authority) + '.pub', *options,
                           self.lab.write('response', document), **more)

    def assert_refused(self, document, *words, key=None, status=1, **more):
        """And nothing has changed: the request still waits."""
        before = self.pending(), self.content(key)
        result = self.install(document, **more)
        self.assertEqual(result.stdout, '')
        self.assert_error(result, *words, status=status, tool='ssh-tpm.*')
        self.assertEqual((self.pending(), self.content(key)), before)
        return result

    @staticmethod
    def content(key):
        """Of its certificate's file."""
        path = key and key.path + '-cert.pub'
        return read(path) if path and os.path.exists(path) else None

    def assert_walk(self, asked, *keys):
        """Its answer is opened, and the certificates are where the keys are."""
        lines = [self.certificate(line) for line in asked.lines]
        document, receipt = self.answer(asked, *lines)
        result = self.install(document, status=0)
        self.assertEqual(result.stdout, receipt + '\n')
        for key, line in zip(keys, lines, strict=True):
            self.assertEqual(self.content(key).split()[:2], line.split()[:2])
            self.assertIn(key.path + '-cert.pub', result.stderr)
        self.tpm.assert_no_handles()
