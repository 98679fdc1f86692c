# SPDX-License-Identifier: MIT
"""Our agent as a process, the askpass it asks, and the OpenSSH tools pointed at it."""

import base64
import hashlib
import os
import shutil
import signal
import unittest

import keyfile
from lab import DEADLINE, read, read_key, wait_until
from protocol import Connection, extension, take_string, tpm_add_key

HASHES = {'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512', 'ecdsa-sha2-nistp256': 'sha256',
          'ecdsa-sha2-nistp384': 'sha384', 'ecdsa-sha2-nistp521': 'sha512'}


# With this variable set, the agent of OpenSSH takes the place of ours, to see that what a scenario expects is
# what users know. `ours` marks what only an agent with a TPM can do, or where newer OpenSSH does as ours.
REFERENCE = bool(os.environ.get('SSH_TPM_REFERENCE'))
ours = unittest.skipIf(REFERENCE, 'not for the reference')


def children_of(pid):
    return list(map(int, read(f'/proc/{pid}/task/{pid}/children').split()))


def companion(pid, name):
    """The id of a process that does a part of the agent's work."""
    return next(child for child in children_of(pid) if read(f'/proc/{child}/comm') == f'ssh-tpm-{name}\n')


class Agent:
    """ssh-tpm-agent on a socket of its own; it is ready when the constructor returns."""

    def __init__(self, lab, *options, name='agent', tcti=None, key_dir=None, env=None, program=None, **more):
        self.lab = lab
        self.socket = lab.path(name + '.sock')
        if REFERENCE:
            self.process = lab.start('ssh-agent', '-D', '-a', self.socket, *options, env=env, **more)
            self.process.wait_line('Agent pid')
            return
        choice = ('--tcti', tcti) if tcti else ()
        no_folder = '--no-load' in options or key_dir == ''
        folder = () if no_folder else ('--key-dir', key_dir or lab.keys)
        self.process = lab.start(program or f'{lab.bin}/ssh-tpm-agent', '-l', self.socket, *folder, *choice,
                                 *options, env=env, **more)
        self.process.wait_line(f'listening on {self.socket}')

    def stop(self, how=signal.SIGTERM):
        """Ends the agent and demands that it left cleanly."""
        self.process.popen.send_signal(how)
        status = self.process.wait()
        if status != 0:
            raise AssertionError(f'the agent ended with {status}:\n{self.process.log()}')
        if os.path.lexists(self.socket):
            raise AssertionError('the agent left its socket behind')

    def stopped(self):
        """Nothing happens in it meanwhile."""
        return self.process.stopped()

    def log(self):
        return self.process.log()

    def prompter(self):
        """The id of the process that asks for it."""
        return companion(self.process.pid, 'prompt')

    def children(self):
        """The ids of the programs that ask for it now."""
        return children_of(self.process.pid if REFERENCE else self.prompter())

    def connect(self):
        return Connection(self.socket)

    def signs(self, key):
        with self.connect() as connection:
            return connection.sign(key.blob, b'data') is not None

    def settle(self):
        """Waits until the agent, and the process that asks for it, have handled all that was sent before."""
        with self.connect() as witness:
            witness.request(extension(b'status@ssh-tpm'))
            for _ in range(5):
                witness.list()

    def ssh_add(self, *options, **more):
        return self.lab.run('ssh-add', *options, env={'SSH_AUTH_SOCK': self.socket}, **more)

    def add(self, *options, env=None, **more):
        """Runs ssh-tpm-add."""
        return self.lab.run(f'{self.lab.bin}/ssh-tpm-add', *options, **more,
                            env={'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': self.socket, **(env or {})})

    def listed(self):
        """What `ssh-add -L` prints, line by line."""
        result = self.ssh_add('-L')
        return result.stdout.splitlines() if result.returncode == 0 else []

    def wait_until_listed(self, lines, deadline=DEADLINE):
        """Waits until these lines, in whatever order, are the list."""
        with self.connect() as connection:
            def listed():  # what ssh-add would print, without starting it again and again
                return [f'{take_string(blob)[0].decode()} {base64.b64encode(blob).decode()} {comment}'
                        for blob, comment in connection.list()]
            wait_until(lambda: sorted(listed()) == sorted(lines), f'{lines} in the list', deadline)

    def ssh_keygen_sign(self, key, message='a message', **more):
        """`ssh-keygen -Y sign` with a public key whose private half the agent has: the completed process."""
        # Alone in its folder: with a private key beside it, ssh-keygen would do without the agent.
        public = os.path.join(self.lab.make_folder('public'), hashlib.sha256(key.blob).hexdigest() + '.pub')
        shutil.copyfile(key.pub, public)
        return self.lab.run('ssh-keygen', '-Y', 'sign', '-q', '-f', public, '-n', 'file', stdin=message,
                            env={'SSH_AUTH_SOCK': self.socket}, **more)

    def sign_and_check(self, key, message='a message'):
        """Signs with the agent and has ssh-keygen verify; returns the armoured signature."""
        armour = self.ssh_keygen_sign(key, message, status=0).stdout
        signature = self.lab.write('signature', armour)
        checked = self.lab.run('ssh-keygen', '-Y', 'check-novalidate', '-n', 'file', '-s', signature,
                               stdin=message, status=0)
        if self.lab.fingerprint(key) not in checked.stdout:
            raise AssertionError(f'signed by another key: {checked.stdout}')
        refused = self.lab.run('ssh-keygen', '-Y', 'check-novalidate', '-n', 'file', '-s', signature,
                               stdin=message + '!')
        if refused.returncode == 0:
            raise AssertionError('the signature fits another message too')
        return armour


class Askpass:
    """A program that gives its n-th answer to the n-th question, fails without one, and keeps a record."""

    SCRIPT = '''#!/bin/sh
n=1
while ! mkdir "{folder}/call.$n" 2>/dev/null; do n=$((n + 1)); done
env > "{folder}/call.$n/environment"
printf '%s' "$1" > "{folder}/call.$n/argument.part"
mv "{folder}/call.$n/argument.part" "{folder}/call.$n/argument"
[ -e "{folder}/answer.$n" ] || exit 1
exec cat "{folder}/answer.$n"
'''

    def __init__(self, lab, *answers, name='askpass'):
        self.lab = lab
        self.folder = lab.make_folder(name)
        self.program = lab.write(f'{name}/askpass', self.SCRIPT.format(folder=self.folder), mode=0o755)
        for number, answer in enumerate(answers, 1):
            lab.write(f'{name}/answer.{number}', answer + '\n')
        self.env = {'SSH_ASKPASS': self.program, 'SSH_ASKPASS_REQUIRE': 'force'}

    def answer_later(self, number):
        """Makes the n-th call wait for an answer; returns the FIFO to write it to."""
        path = os.path.join(self.folder, f'answer.{number}')
        os.mkfifo(path)
        return path

    def questions(self):
        """The argument of each call so far."""
        calls = len([name for name in os.listdir(self.folder) if name.startswith('call.')])
        questions = []
        for number in range(1, calls + 1):
            path = os.path.join(self.folder, f'call.{number}', 'argument')
            if os.path.exists(path):
                questions.append(read(path))
        return questions

    def environment(self, number):
        lines = read(os.path.join(self.folder, f'call.{number}', 'environment')).splitlines()
        return dict(line.split('=', 1) for line in lines if '=' in line)


def add_request(key, constraints=b'', certificate=b''):
    """The message that asks an agent to add a key of the TPM."""
    return tpm_add_key(read(key.tpm).encode(), certificate, constraints)


def verify(lab, key, algorithm, signature, data):
    """Has openssl check a raw signature."""
    public = lab.write('public.pem', lab.public_pem(key))
    if not algorithm.startswith('rsa'):
        signature = keyfile.ecdsa_der(signature)
    lab.run('openssl', 'dgst', '-' + HASHES[algorithm], '-verify', public, '-signature',
            lab.write('raw', signature), lab.write('data', data), status=0)


def certify(lab, key, *options):
    """A user certificate beside the key; returns the CA's public key file and the certificate as a key."""
    authority = lab.path('ca')
    if not os.path.exists(authority):
        lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-f', authority)
    lab.ssh_keygen('-q', '-s', authority, '-I', 'a person', *options, key.pub)
    return authority + '.pub', read_key(key.path + '-cert')
