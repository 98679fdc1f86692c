# SPDX-License-Identifier: MIT
"""Private sshds on 127.0.0.1 and an ssh client that knows nothing but one agent."""

import os
import pwd
import re
import shlex
import signal
import socket

from agent import Agent
from lab import read, wait_until
from openssh import INSTALLED

QUICK_KEX = 'curve25519-sha256,curve25519-sha256@libssh.org'
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


def sshd_of_version(lab, version, *options):
    """A PATH with a sshd before the installed one: the same, but it says that it is this version of OpenSSH."""
    folder, status = lab.make_folder('tools'), lab.path('tools/status')
    lab.write('tools/sshd', f'''#!/bin/sh
exec 3>&1
{{ {INSTALLED.path('sshd')} {shlex.join(options)} "$@" 2>&1 >&3 3>&-; echo $? >{status}; }} |
    sed 's/sshd version OpenSSH_[0-9.]*/sshd version OpenSSH_{version}/' >&2 3>&-
exit $(cat {status})
''', mode=0o755)
    return {'PATH': folder + ':' + lab.env['PATH']}


class Sshd:
    """An unmodified sshd; `options` are sshd_config lines that come before the lab's own. `tools` has the release of
    sshd and ssh.

    Two of these save most of a login's time: a key exchange without sntrup761, whose keys take 0.1 s, and a home
    whose shell has no rc file to read."""

    def __init__(self, lab, *options, authorized=(), name='sshd', host_keys=None, tools=INSTALLED):
        self.lab, self.tools = lab, tools
        self.port = free_port()
        if os.geteuid() == 0:
            os.makedirs('/run/sshd', mode=0o755, exist_ok=True)  # compiled in: root's sshd wants it
        if host_keys is None:
            host_keys = [make_host_key(lab, 'host_key')]
        keys = lab.write(name + '.authorized', ''.join(map(read, authorized)))
        config = lab.write(name + '.config', '\n'.join([
            *options, *tools.sshd_options(), f'ListenAddress 127.0.0.1:{self.port}',
            *(f'HostKey {key}' for key in host_keys),
            f'AuthorizedKeysFile {keys}', 'PidFile none', 'StrictModes no', 'LogLevel VERBOSE',
            'AuthenticationMethods publickey', 'PermitRootLogin yes', 'PermitUserRC no',
            f'KexAlgorithms {QUICK_KEX}', f'SetEnv HOME={lab.home}',
            f'UsePAM {"yes" if account_is_locked() else "no"}', '']))
        self.process = lab.start(tools.path('sshd'), '-D', '-e', '-f', config)
        self.process.wait_line('Server listening on 127.0.0.1')

    def login(self, agent, *options, command='echo in', env=None, **more):
        """Runs a command through ssh with the keys of `agent`: the completed process."""
        return self.lab.run(
            self.tools.path('ssh'), '-F', 'none', '-p', str(self.port), '-o', f'IdentityAgent={agent.socket}',
            '-o', 'IdentityFile=none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no',
            '-o', 'UserKnownHostsFile=/dev/null', '-o', 'GlobalKnownHostsFile=/dev/null',
            '-o', 'LogLevel=ERROR', '-o', 'ControlPath=none', *options, f'{USER}@127.0.0.1', command,
            env=env, **more)

    def accepted(self, key):
        """Waits for the line of the log that tells of a login with `key`, and returns it."""
        fingerprint = self.lab.fingerprint(key)
        return wait_until(lambda: next((line for line in list(self.process.lines)
                                        if 'Accepted publickey' in line and fingerprint in line), None),
                          f'a login with {fingerprint}')


made = {}  # host keys by name, type and size, for all labs of this process: one of RSA takes its time


def make_host_key(lab, name, kind='ed25519', bits=256):
    """A host key that the file system keeps, made at its first mention; the path."""
    path, pub = lab.path(name), lab.path(name) + '.pub'
    if not os.path.exists(path):
        if (name, kind, bits) not in made:
            lab.ssh_keygen('-q', '-t', kind, '-b', str(bits), '-N', '', '-C', name, '-f', path)
            made[name, kind, bits] = read(path), read(pub)
        else:
            private, public = made[name, kind, bits]
            lab.write(name, private, mode=0o600)
            lab.write(name + '.pub', public)
    return path


class Hosts:
    """Servers with a name and a host key each, and a client that knows them all and forwards its agent.

    `kinds` is the key type of each host that has no ed25519 key; `certified` has the principals of those that show a
    certificate of `authority`, and nobody knows their bare keys."""

    def __init__(self, lab, *names, authorized, kinds=None, certified=None):
        self.lab = lab
        self.known_hosts, self.config = lab.path('known_hosts'), lab.path('ssh_config')
        self.authority = make_host_key(lab, 'host_ca') if certified else None
        known, config = [], []
        if certified:
            known.append('@cert-authority * ' + read(self.authority + '.pub'))
        self.servers = {}
        for name in names:
            key, options = make_host_key(lab, name + '.host_key', *(kinds or {}).get(name, ())), []
            if certified and name in certified:
                lab.ssh_keygen('-q', '-h', '-s', self.authority, '-I', name, '-n', certified[name], key + '.pub')
                options.append(f'HostCertificate {key}-cert.pub')
            else:
                known.append(f'{name} {read(key + ".pub")}')
            server = Sshd(lab, *options, authorized=authorized, name=name, host_keys=[key])
            self.servers[name] = server
            config.append(f'Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n  HostKeyAlias {name}\n')
        lab.write('known_hosts', ''.join(known))
        lab.write('ssh_config', ''.join([*config, f'''Host *
  User {USER}
  ForwardAgent yes
  BatchMode yes
  IdentityFile none
  StrictHostKeyChecking yes
  UserKnownHostsFile {self.known_hosts}
  GlobalKnownHostsFile /dev/null
  UpdateHostKeys no
  ControlPath none
  LogLevel ERROR
''']))

    def argv(self, route, command):
        """ssh to the first host of `route`, on it ssh to the second one, and `command` on the last."""
        for name in reversed(route[1:]):
            command = f'ssh -F {self.config} {name} {shlex.quote(command)}'
        return 'ssh', '-F', self.config, route[0], command

    def login(self, agent, *route, command='echo in', **more):
        """Runs a command on the last host of `route`, with the keys of `agent` at each hop."""
        return self.lab.run(*self.argv(route, command), env={'SSH_AUTH_SOCK': agent.socket}, **more)

    def accepted(self, name, key):
        return self.servers[name].accepted(key)


class Forwarded(Agent):
    """`agent` as the last host of `route` sees it: a login that stays until `end`, and its socket there.

    What runs on the last host is ended first: an inner ssh outlives the connection that started it."""

    def __init__(self, hosts, agent, *route):
        self.lab = hosts.lab
        self.process = self.lab.start(
            *hosts.argv(route, 'echo "process $$ has the agent at $SSH_AUTH_SOCK"; exec sleep 600'),
            env={'SSH_AUTH_SOCK': agent.socket})
        said = self.process.wait_line('has the agent at')
        pid, self.socket = re.fullmatch('process ([0-9]+) has the agent at (.*)', said).groups()
        self._pid = int(pid)

    def end(self):
        if self.process.popen.poll() is None:
            os.kill(self._pid, signal.SIGTERM)
            self.process.end()  # it would wait for the connections to the agent that are still open
