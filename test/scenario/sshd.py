"""A private sshd on 127.0.0.1 and an ssh client that knows nothing but one agent."""

import os
import pwd
import socket

from lab import read

USER = pwd.getpwuid(os.geteuid()).pw_name


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def account_is_locked():
    """Whether sshd without PAM would call the account locked (a "!" in front of its password hash)."""
    try:
        with open('/etc/shadow', encoding='utf-8') as file:
            return any(line.startswith(USER + ':!') for line in file)
    except PermissionError:
        return False


class Sshd:
    """An unmodified sshd; `options` are sshd_config lines that come before the lab's own."""

    def __init__(self, lab, *options, authorized=(), name='sshd'):
        self.lab = lab
        self.port = free_port()
        if os.geteuid() == 0:
            os.makedirs('/run/sshd', mode=0o755, exist_ok=True)  # compiled in: root's sshd wants it
        host_key = lab.path('host_key')
        if not os.path.exists(host_key):
            lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-f', host_key)
        keys = lab.write(name + '.authorized', ''.join(map(read, authorized)))
        config = lab.write(name + '.config', '\n'.join([
            *options, f'ListenAddress 127.0.0.1:{self.port}', f'HostKey {host_key}',
            f'AuthorizedKeysFile {keys}', 'PidFile none', 'StrictModes no', 'LogLevel VERBOSE',
            'AuthenticationMethods publickey', 'PermitRootLogin yes',
            f'UsePAM {"yes" if account_is_locked() else "no"}', '']))
        self.process = lab.start('/usr/sbin/sshd', '-D', '-e', '-f', config)
        self.process.wait_line('Server listening on 127.0.0.1')

    def login(self, agent, *options, command='echo in', env=None, **more):
        """Runs a command through ssh with the keys of `agent`: the completed process."""
        return self.lab.run(
            'ssh', '-F', 'none', '-p', str(self.port), '-o', f'IdentityAgent={agent.socket}',
            '-o', 'IdentityFile=none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no',
            '-o', 'UserKnownHostsFile=/dev/null', '-o', 'GlobalKnownHostsFile=/dev/null',
            '-o', 'LogLevel=ERROR', '-o', 'ControlPath=none', *options, f'{USER}@127.0.0.1', command,
            env=env, **more)
