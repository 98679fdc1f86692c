#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the files of this folder: what OpenSSH's programs say to an agent. README.md says what they are.

A recorder stands between the programs and a real ssh-agent and writes down each message of the clients. To be run as
root (for sshd) with an empty /run/sshd; everything else is in a temporary folder and goes with it.
usage: record.py [GO-SSH-TPM-ADD]
"""
import base64
import os
import pathlib
import sys

OUT = pathlib.Path(__file__).resolve().parent
sys.path.append(str(OUT.parents[1] / 'scenario'))
os.environ.setdefault('SSH_TPM_BIN', '')

from lab import Lab, read  # noqa: E402
from protocol import SIGN_REQUEST, Connection, frame, sign_request, string, take_string  # noqa: E402
from softkey import SoftKey  # noqa: E402
from sshd import Hosts  # noqa: E402
from upstream import FakeAgent, SshAgent  # noqa: E402

BINDS = 17  # one more than an agent remembers


class Recording:
    def __init__(self, lab):
        self.lab, self.messages, self.connections = lab, [], []
        self.keys = {name: SoftKey(lab, lab.path(name), *kind, comment=name).pub for name, kind in (
            ('user', ('ecdsa', 256)), ('rsa', ('rsa', 2048)), ('ed25519', ('ed25519',)), ('other-ca', ('ed25519',)))}
        self.hosts = Hosts(lab, 'host-a', 'host-b', 'host-c', 'host-cert', authorized=[self.keys['user']],
                           kinds={'host-b': ('ecdsa', 256), 'host-c': ('rsa', 2048)},
                           certified={'host-cert': 'host-cert,w?ld*'})
        self.keys.update({name: lab.path(f'{name}.host_key.pub') for name in ('host-a', 'host-b', 'host-c')})
        self.keys.update({'ca': self.hosts.authority + '.pub', 'user-cert': lab.path('user-cert.pub'),
                          'host-cert-cert': lab.path('host-cert.host_key-cert.pub')})
        lab.ssh_keygen('-q', '-s', self.hosts.authority, '-I', 'user', '-n', 'root', self.keys['user'])
        self.agent = SshAgent(lab)
        self.recorder = FakeAgent(self, self.behave)
        lab.env.update(SSH_AUTH_SOCK=self.recorder.socket, SSH_ASKPASS_REQUIRE='force',
                       SSH_ASKPASS=lab.write('askpass', '#!/bin/sh\necho password\n', mode=0o700))

    def addCleanup(self, *unused):
        """For FakeAgent, which ends with this process."""

    def behave(self, client):
        """Passes messages on, and keeps those of the clients, connection by connection."""
        messages = []
        self.connections.append(messages)
        with Connection(self.agent.socket) as agent:
            for message in client.requests():
                messages.append(message)
                is_new = message[5:16] == b'tpm-add-key'  # which ssh-agent does not know
                client.send(frame(b'\6' if is_new else agent.request(message)))

    def take(self):
        """What was said since the last time."""
        taken, self.connections = self.connections, []
        return taken

    def add(self, name, *options, status=0, **more):
        """One run of ssh-add on one connection."""
        self.lab.run('ssh-add', '-q', *options, status=status, **more)
        self.keep(name, *self.take())

    def keep(self, name, messages):
        for number, message in enumerate(messages, 1):
            self.messages.append(f'{name}-{number} {message.hex()}' if len(messages) > 1 else f'{name} {message.hex()}')

    def login(self, name, *hosts):
        """A login through all hosts, the agent forwarded from each to the next. What is kept are the connections
        that sign, in order: one for each host."""
        self.hosts.login(self.recorder, *hosts, command='true', status=0)
        signing = [messages for messages in self.take() if any(message[0] == SIGN_REQUEST for message in messages)]
        for number, messages in enumerate(signing, 1):
            self.keep(f'{name}-{number}', messages)

    def bind_with_other_key(self):
        """The session of bind-1, signed by another host's key: which no host would do."""
        bind = next(bytes.fromhex(line.split()[1]) for line in self.messages if line.startswith('bind-1 '))
        name, rest = take_string(bind[1:])
        session_id, _ = take_string(take_string(rest)[1])
        blob = base64.b64decode(read(self.keys['host-b']).split()[1])
        self.agent.ssh_add('-q', self.keys['host-b'].removesuffix('.pub'), status=0)
        with Connection(self.agent.socket) as agent:
            signature, _ = take_string(agent.request(sign_request(blob, session_id))[1:])
        message = bind[:1] + b''.join(map(string, (name, blob, session_id, signature))) + b'\1'
        self.messages.append(f'bind-other-key {message.hex()}')

    def record(self, go_tool):
        rsa = self.lab.path('rsa')
        known = read(self.hosts.known_hosts).replace('@cert-authority *', '@cert-authority host-cert')
        self.add('add-rsa', rsa)
        self.add('add-ed25519', self.lab.path('ed25519'))
        self.add('add-lifetime', '-t', '1h', rsa)
        self.add('add-lifetime-confirm', '-c', '-t', '90', rsa)
        self.add('add-confirm', '-c', rsa)
        self.add('add-destinations', '-H', self.lab.write('known', known), '-h', 'host-a', '-h', 'host-a>host-b', '-h',
                 'host-b>alice@host-c', '-h', 'b*b@host-cert', rsa)
        self.add('list', '-l')
        self.add('remove', '-d', self.keys['rsa'])
        self.add('lock', '-x')
        self.add('unlock', '-X')
        self.add('remove-all', '-D')
        self.add('add-card', '-s', '/usr/lib/none.so', stdin='', status=None)
        self.add('remove-card', '-e', '/usr/lib/none.so', stdin='', status=None)
        self.add('add-certificate', self.lab.path('user'))  # with user-cert.pub
        self.login('login-direct', 'host-a')
        self.login('login-certificate', 'host-cert')
        self.login('login-three', 'host-a', 'host-b', 'host-c')
        for number in range(1, BINDS + 1):
            self.hosts.login(self.recorder, 'host-a', command='true', status=0)
            self.messages.append(f'bind-{number} {self.take()[0][0].hex()}')
        self.bind_with_other_key()
        if go_tool:
            self.lab.run(go_tool, '-c', str(OUT.parent / 'keyfile' / 'go-ec-p256.tpm'), status=0,
                         env={'SSH_TPM_AUTH_SOCK': self.recorder.socket})
            self.keep('tpm-add-key', *self.take())


def main():
    lab = Lab()
    try:
        recording = Recording(lab)
        recording.record(os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None)
        names = ('user', 'user-cert', 'rsa', 'ca', 'other-ca', 'host-a', 'host-b', 'host-c', 'host-cert-cert')
        (OUT / 'keys.txt').write_text(''.join(
            f'{name} {" ".join(read(recording.keys[name]).split()[:2])}\n' for name in names))
        (OUT / 'messages.txt').write_text('\n'.join(recording.messages) + '\n')
    finally:
        lab.close()


if __name__ == '__main__':
    main()
