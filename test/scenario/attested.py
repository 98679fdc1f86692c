# SPDX-License-Identifier: MIT
"""Hosts that tell which boot they are in, real ones and forged ones, and the user who checks them."""

import base64
import hashlib
import os
import socket
import threading

import tpm_objects as tpm
from agent import Agent
from attestation import SoftTpm, Subject, b64, ssh_line, written
from cryptography.hazmat.primitives import serialization
from hierarchy import KINDS, read_public
from lab import read, wait_until
from protocol import string
from softkey import SoftKey
from sshd import USER, Sshd
from terminal import talk

USUAL = (*range(10), 11, 12)  # the PCRs that are asked for unless --pcrs says otherwise
BANKS = {'sha256': (tpm.SHA256, 32), 'sha384': (tpm.SHA384, 48)}
QUESTION = 'ssh-tpm-attest-1'
ANSWER = 'ssh-tpm-attested-1'
EMPTY = hashlib.sha256(b'').digest()


def sha256(data):
    return hashlib.sha256(data).digest()


def key_data(nonce, blob):
    return sha256(string(b'ssh-tpm attestation check 1') + string(nonce) + string(blob))


def quote_data(nonce, blobs):
    return sha256(string(b'ssh-tpm quote 1') + string(nonce) + string(sha256(b''.join(blobs))))


def read_question(line):
    """The nonce, the bank and the PCRs of a question."""
    word, nonce, pcrs = line.decode().split(' ')
    bank, _, numbers = pcrs.rstrip('\n').partition(':')
    if word != QUESTION or not line.endswith(b'\n'):
        raise AssertionError(f'no question: {line}')
    return base64.b64decode(nonce, validate=True), bank, [int(number) for number in numbers.split(',')]


def question(nonce=bytes(32), pcrs='sha256:0,1,2,3,4,5,6,7,8,9,11,12'):
    return f'{QUESTION} {b64(nonce)} {pcrs}\n'.encode()


def selection(bank, numbers, size=3):
    """TPML_PCR_SELECTION."""
    bitmap = bytearray(size)
    for number in numbers:
        bitmap[number // 8] |= 1 << number % 8
    return tpm.u32(1) + tpm.u16s(BANKS[bank][0]) + bytes([size]) + bytes(bitmap)


def extended(*digests, first=bytes(32), name='sha256'):
    """The value of a PCR after these events."""
    for digest in digests:
        first = hashlib.new(name, first + digest).digest()
    return first


class SoftHost:
    """A host whose TPM is software: it can say anything, and its host key is one of `subjects`."""

    def __init__(self, *subjects, soft=None):
        self.subjects, self.tpm = list(subjects) or [Subject()], soft or SoftTpm()
        self.values, self.log, self.resets = {}, b'', 7

    def value(self, bank, number):
        return self.values.get(number, bytes(BANKS[bank][1]))

    def members(self, line, nonce=None, ak=None, key=None, subjects=None, statement=None, quote=None, quoted=None,
                about=None, values=None, signed_keys=None, hash_alg=tpm.SHA256):
        """A good answer but for what is told: `statement` and `quote` are changes to Attest, `quoted` is the selection
        of the quote, `about` the keys that it is about, `signed_keys` the qualifying data of the keys."""
        asked, bank, numbers = read_question(line)
        nonce, ak, subjects = nonce or asked, ak or self.tpm.ak, self.subjects if subjects is None else subjects
        keys = []
        for subject in subjects:
            data = signed_keys or key_data(nonce, subject.blob)
            info = self.tpm.statement(subject.public, data, ak, **(statement or {}))
            keys.append({'ssh': ssh_line(subject.blob), 'public': b64(subject.public.marshalled()),
                         'certInfo': b64(info), 'sig': b64(self.tpm.sign(info, hash_alg, key))})
        if values is None:
            values = [self.value(bank, number) for number in numbers]
        blobs = [subject.blob for subject in (subjects if about is None else about)]
        attested = (selection(bank, numbers) if quoted is None else quoted) + tpm.sized(sha256(b''.join(values)))
        attest = tpm.Attest(**{'signer': tpm.signer_name(ak), 'extra': quote_data(nonce, blobs), 'name': b'',
                               'qualified': b'', 'kind': tpm.QUOTE, 'clock': (123456, self.resets, 0, 1),
                               'attested': attested, **(quote or {})}).marshalled()
        return {'format': ANSWER, 'ak': {'public': b64(ak.marshalled())},
                'quote': {'attest': b64(attest), 'sig': b64(self.tpm.sign(attest, hash_alg, key))},
                'pcrs': [value.hex() for value in values], 'keys': keys, 'eventlog': b64(self.log)}

    def answer(self, line, **changes):
        return written(self.members(line, **changes))

    def write_key(self, lab, name):
        """The first subject as sshd's host key; its path."""
        key = self.subjects[0].key
        path = lab.write(name, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH,
                                                 serialization.NoEncryption()), mode=0o600)
        lab.write(name + '.pub', ssh_line(self.subjects[0].blob) + '\n')
        return path


class Service:
    """In place of the service: `answer` makes of each question what goes back."""

    def __init__(self, lab, answer):
        self.answer, self.questions, self.path = answer, [], lab.path('attest.sock')
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self._listener.accept()
            with client, client.makefile('rb') as lines:
                line = lines.readline()
                self.questions.append(line)
                try:
                    client.sendall(self.answer(line))
                except BrokenPipeError:
                    pass

    @property
    def command(self):
        return f'attest serve --socket {self.path}'


def subsystem(lab, command):
    return f'Subsystem ssh-tpm-attest {lab.bin}/ssh-tpm {command}'


class TpmHost:
    """An sshd whose host keys are in a TPM, and its service.

    This TPM has no resource manager such as the kernel's: until the agent has flushed its keys, there is no room for
    those of the service, which is tried again then."""

    PATIENT = '''#!/bin/sh
read -r question
until printf '%s\\n' "$question" | "$@" 2>$0.errors; do grep -q 'no room for another key' $0.errors || exit 1; done
'''

    def __init__(self, lab, chip, *options, name='root', authorized=(), serve='', subsystem_line=None, hierarchy=None):
        self.lab, self.tpm = lab, chip
        self.root, self.folder = lab.path(name), lab.path(name, 'etc/ssh')
        chosen = ('--hierarchy', hierarchy) if hierarchy else ()
        wait_until(lambda: self._make_keys(*chosen), 'room in the TPM for host keys')
        self.keys = {kind: read_public(lab.path(name), kind) for kind in KINDS}
        lab.limit('tpm_idle', 0.05, 5)
        self.agent = Agent(lab, '--no-seal', '--no-cache', *chosen, name=name + '-agent', tcti=chip.tcti,
                           key_dir='' if hierarchy else self.folder)
        place = f'--hierarchy {hierarchy}' if hierarchy else f'--key-dir {self.folder}'
        self.command = f'attest serve {place} --tcti {chip.tcti} {serve}'
        patient = lab.write(name + '.patient', self.PATIENT, mode=0o755)
        if subsystem_line is None:
            subsystem_line = f'Subsystem ssh-tpm-attest {patient} {lab.bin}/ssh-tpm {self.command}'
        self.options = f'HostKeyAgent {self.agent.socket}', subsystem_line, *options
        self.start(name, authorized)

    def _make_keys(self, *chosen):
        """Whether there was room, or the agent of another host has its keys in the TPM."""
        said = self.lab.keygen('-q', '-A', '-f', self.root, *chosen, env={'SSH_TPM_TCTI': self.tpm.tcti}, status=None)
        if 'no room for another key' in said.stderr:
            return False
        if said.returncode != 0:
            raise AssertionError(said.stderr)
        return True

    def start(self, name, authorized, *options):
        """Starts sshd; `options` are further lines of its configuration."""
        self.server = Sshd(self.lab, *self.options, *options, authorized=authorized, name=name + '.sshd',
                           host_keys=[key.path for key in self.keys.values()])

    def answer(self, line, *options):
        """What the service says to a question."""
        return self.lab.run(f'{self.lab.bin}/ssh-tpm', *self.command.split(), *options, stdin=line, text=False)


class User:
    """Checks hosts, which are called as in the configuration of this ssh."""

    def __init__(self, lab):
        self.lab, self.key = lab, SoftKey(lab, lab.path('user'))
        self.known_hosts, self.config = lab.path('known_hosts'), lab.path('ssh_config')
        self.record = os.path.join(lab.env['XDG_STATE_HOME'], 'ssh-tpm/attested_hosts')
        self.known, self.hosts = [], []

    def knows(self, name, server, *keys, alias=True, more=''):
        """`keys` are lines without a name in front."""
        called = name if alias else f'[127.0.0.1]:{server.port}'
        self.known += [f'{called} {key}\n' for key in keys]
        alias_line = f'  HostKeyAlias {name}\n' if alias else ''
        self.hosts.append(f'Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n{alias_line}{more}')
        self.write()

    def write(self):
        self.lab.write('known_hosts', ''.join(self.known))
        self.lab.write('ssh_config', ''.join([*self.hosts, f'''Host *
  User {USER}
  BatchMode yes
  IdentityFile {self.key.path}
  IdentityAgent none
  StrictHostKeyChecking yes
  UserKnownHostsFile {self.known_hosts}
  GlobalKnownHostsFile /dev/null
  UpdateHostKeys no
  LogLevel ERROR
''']))

    def argv(self, command, *words):
        """`words` begin with our options, which end before the host and ssh's."""
        return f'{self.lab.bin}/ssh-tpm', 'attest', command, *words

    def check(self, *options, host='web1', **more):
        return self.lab.run(*self.argv('check', *options, '-F', self.config, host), **more)

    def ssh(self, *options, host='web1', command=('echo', 'in'), **more):
        return self.lab.run(*self.argv('ssh', *options, '-F', self.config, host, *command), **more)

    def talk(self, *options, host='web1', answers=(), command='check'):
        return talk(self.lab, *self.argv(command, *options, '-F', self.config, host), answers=answers)

    def recorded(self):
        return read(self.record).splitlines() if os.path.exists(self.record) else []
