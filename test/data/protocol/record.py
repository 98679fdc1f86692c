#!/usr/bin/env python3
"""Makes the files of this folder: what OpenSSH's programs say to an agent. README.md says what they are.

A recorder stands between the programs and a real ssh-agent and writes down each message of the clients. To be run as
root (for sshd) with an empty /run/sshd; everything else is in a temporary folder and goes with it.
usage: record.py [GO-SSH-TPM-ADD]
"""
import base64
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

OUT = pathlib.Path(__file__).resolve().parent
SIGN = 13  # SSH_AGENTC_SIGN_REQUEST
HOSTS = ('a', 'b', 'c', 'cert')
BINDS = 17  # one more than an agent remembers


class Recorder:
    """Passes frames on, and keeps those of the clients, connection by connection."""

    def __init__(self, path, agent):
        self.path, self.agent, self.connections = path, agent, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            self.connections.append([])
            threading.Thread(target=self.serve, args=(client, self.connections[-1]), daemon=True).start()

    def serve(self, client, messages):
        with client, socket.socket(socket.AF_UNIX) as agent:
            agent.connect(self.agent)
            while (message := read_frame(client)) is not None:
                messages.append(message)
                agent.sendall(string(message))
                reply = read_frame(agent)
                if message[5:16] == b'tpm-add-key':
                    reply = b'\6'  # which ssh-agent does not know
                client.sendall(string(reply))

    def take(self):
        """What was said since the last time."""
        taken, self.connections = self.connections, []
        return taken


def read_exactly(connection, size):
    data = b''
    while len(data) < size and (piece := connection.recv(size - len(data))):
        data += piece
    return data if len(data) == size else None


def read_frame(connection):
    header = read_exactly(connection, 4)
    return header and read_exactly(connection, struct.unpack('>I', header)[0])


def string(content):
    return struct.pack('>I', len(content)) + content


def fields(data, count):
    """The first strings of the data."""
    found = []
    for _ in range(count):
        end = 4 + struct.unpack('>I', data[:4])[0]
        found.append(data[4:end])
        data = data[end:]
    return found


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, **options).stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Lab:
    def __init__(self):
        self.messages, self.processes, self.ports = [], [], {}
        for name, options in {'user': ['ecdsa', '-b', '256'], 'rsa': ['rsa', '-b', '2048'], 'ed25519': ['ed25519'],
                              'ca': ['ed25519'], 'other-ca': ['ed25519'], 'host-a': ['ed25519'],
                              'host-b': ['ecdsa', '-b', '256'], 'host-c': ['rsa', '-b', '2048'],
                              'host-cert': ['ed25519']}.items():
            run('ssh-keygen', '-q', '-N', '', '-C', name, '-f', name, '-t', *options)
        run('ssh-keygen', '-q', '-s', 'ca', '-I', 'user', '-n', 'root', '-V', 'always:forever', 'user.pub')
        run('ssh-keygen', '-q', '-s', 'ca', '-h', '-I', 'host', '-n', 'host-cert,w?ld*', '-V', 'always:forever',
            'host-cert.pub')
        for name in HOSTS:
            self.start_sshd(name)
        known = [f'host-{name} {self.public("host-" + name)}' for name in HOSTS if name != 'cert']
        known.append(f'@cert-authority host-cert {self.public("ca")}')
        pathlib.Path('known_hosts').write_text('\n'.join(known) + '\n')
        self.processes.append(subprocess.Popen(['ssh-agent', '-D', '-a', 'agent'], stdout=subprocess.PIPE))
        self.processes[-1].stdout.readline()
        self.recorder = Recorder('recorder', 'agent')
        os.environ['SSH_AUTH_SOCK'] = os.path.abspath('recorder')

    @staticmethod
    def public(name):
        return ' '.join(pathlib.Path(name + '.pub').read_text().split()[:2])

    def start_sshd(self, name):
        self.ports[name] = free_port()
        config = [f'ListenAddress 127.0.0.1:{self.ports[name]}', f'HostKey {os.path.abspath("host-" + name)}',
                  f'AuthorizedKeysFile {os.path.abspath("user.pub")}', 'PidFile none', 'StrictModes no', 'UsePAM no',
                  'PermitRootLogin yes']
        if name == 'cert':
            config.append(f'HostCertificate {os.path.abspath("host-cert-cert.pub")}')
        pathlib.Path(name + '.config').write_text('\n'.join(config) + '\n')
        server = subprocess.Popen(['/usr/sbin/sshd', '-D', '-e', '-f', os.path.abspath(name + '.config')],
                                  stderr=subprocess.PIPE, text=True)
        self.processes.append(server)
        while 'Server listening' not in server.stderr.readline():
            pass
        threading.Thread(target=server.stderr.read, daemon=True).start()

    def add(self, name, *options, feed=None):
        """One run of ssh-add on one connection."""
        subprocess.run(['ssh-add', '-q', *options], check=feed is None, capture_output=True, input=feed,
                       env={**os.environ, 'SSH_ASKPASS_REQUIRE': 'force', 'SSH_ASKPASS': os.path.abspath('askpass')})
        (messages,) = self.recorder.take()
        self.keep(name, messages)

    def keep(self, name, messages):
        for number, message in enumerate(messages, 1):
            self.messages.append(f'{name}-{number} {message.hex()}' if len(messages) > 1 else f'{name} {message.hex()}')

    def client(self, host):
        return ['ssh', '-F', 'none', '-A', '-p', str(self.ports[host]), *(f'-o{option}' for option in (
            'IdentityFile=none', 'BatchMode=yes', 'LogLevel=ERROR', 'ControlPath=none', f'HostKeyAlias=host-{host}',
            'GlobalKnownHostsFile=/dev/null', f'UserKnownHostsFile={os.path.abspath("known_hosts")}')), 'root@127.0.0.1']

    def login(self, name, *hosts):
        """A login through all hosts, the agent forwarded from each to the next. What is kept are the connections
        that sign, in order: one for each host."""
        command = ['true']
        for host in reversed(hosts):
            command = [*self.client(host), ' '.join(command)]
        run(*command)
        signing = [messages for messages in self.recorder.take() if any(message[0] == SIGN for message in messages)]
        for number, messages in enumerate(signing, 1):
            self.keep(f'{name}-{number}', messages)

    def bind_with_other_key(self):
        """The session of bind-1, signed by another host's key: which no host would do."""
        bind = next(bytes.fromhex(line.split()[1]) for line in self.messages if line.startswith('bind-1 '))
        (_, _, session_id), blob = fields(bind[1:], 3), base64.b64decode(self.public('host-b').split()[1])
        run('ssh-add', '-q', 'host-b', env={**os.environ, 'SSH_AUTH_SOCK': 'agent'})
        with socket.socket(socket.AF_UNIX) as agent:
            agent.connect('agent')
            agent.sendall(string(bytes([SIGN]) + string(blob) + string(session_id) + bytes(4)))
            (signature,) = fields(read_frame(agent)[1:], 1)
        message = bind[:1] + b''.join(map(string, (*fields(bind[1:], 1), blob, session_id, signature))) + b'\1'
        self.messages.append(f'bind-other-key {message.hex()}')

    def record(self, go_tool):
        pathlib.Path('askpass').write_text('#!/bin/sh\necho password\n')
        os.chmod('askpass', 0o700)
        self.add('add-rsa', 'rsa')
        self.add('add-ed25519', 'ed25519')
        self.add('add-lifetime', '-t', '1h', 'rsa')
        self.add('add-lifetime-confirm', '-c', '-t', '90', 'rsa')
        self.add('add-confirm', '-c', 'rsa')
        self.add('add-destinations', '-H', 'known_hosts', '-h', 'host-a', '-h', 'host-a>host-b', '-h',
                 'host-b>alice@host-c', '-h', 'b*b@host-cert', 'rsa')
        self.add('list', '-l')
        self.add('remove', '-d', 'rsa.pub')
        self.add('lock', '-x')
        self.add('unlock', '-X')
        self.add('remove-all', '-D')
        self.add('add-card', '-s', '/usr/lib/none.so', feed=b'')
        self.add('remove-card', '-e', '/usr/lib/none.so', feed=b'')
        self.add('add-certificate', 'user')  # user and user-cert.pub
        self.login('login-direct', 'a')
        self.login('login-certificate', 'cert')
        self.login('login-three', 'a', 'b', 'c')
        for number in range(1, BINDS + 1):
            run(*self.client('a'), 'true')
            self.messages.append(f'bind-{number} {self.recorder.take()[0][0].hex()}')
        self.bind_with_other_key()
        if go_tool:
            run(go_tool, '-c', str(OUT.parent / 'keyfile' / 'go-ec-p256.tpm'),
                env={**os.environ, 'SSH_TPM_AUTH_SOCK': os.environ['SSH_AUTH_SOCK']})
            (messages,) = self.recorder.take()
            self.keep('tpm-add-key', messages)

    def close(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def main():
    go_tool = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lab = Lab()
        try:
            lab.record(go_tool)
        finally:
            lab.close()
        names = ('user', 'user-cert', 'rsa', 'ca', 'other-ca', 'host-a', 'host-b', 'host-c', 'host-cert-cert')
        (OUT / 'keys.txt').write_text(''.join(f'{name} {lab.public(name)}\n' for name in names))
        os.chdir('/')
    (OUT / 'messages.txt').write_text('\n'.join(lab.messages) + '\n')


if __name__ == '__main__':
    main()
