#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An unmodified ssh, and other clients, log in to an unmodified sshd with a key of the TPM."""

import glob
import itertools
import os
import pwd
import shutil
import unittest

from agent import Agent, Askpass, ours
from giving import SshAdd, SshTpmAdd, start_agent
from lab import KINDS, Scenario, slow
from openssh import generations
from sshd import USER, Sshd
from swtpm import Swtpm

DEBIAN_PYTHON = '/usr/bin/python3'  # the one that has Debian's modules
GO_SOURCES = '/usr/share/gocode'  # where Debian keeps Go's libraries
GO = shutil.which('go', path=f'{os.environ["PATH"]}:/usr/local/go/bin:/usr/lib/go/bin') or 'go'
LIBSSH_FILE = next(iter(glob.glob('/usr/lib/*/libssh.so.4')), 'libssh.so.4')

PARAMIKO = '''
import sys
import paramiko

port, user = int(sys.argv[1]), sys.argv[2]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect('127.0.0.1', port, user, allow_agent=True, look_for_keys=False, timeout=30)
_, output, _ = client.exec_command('echo in')
sys.stdout.write(output.read().decode())
client.close()
'''

# The constants are those of libssh/libssh.h 0.10: ssh_options_e, ssh_auth_e and SSH_OK.
LIBSSH = '''
import ctypes
import sys

HOST, PORT_STR, USER, KNOWN_HOSTS, PROCESS_CONFIG = 0, 2, 4, 8, 36
OK, AUTH_SUCCESS = 0, 0

port, user = sys.argv[1:]
ssh = ctypes.CDLL('libssh.so.4')
for name in ('ssh_new', 'ssh_channel_new'):
    getattr(ssh, name).restype = ctypes.c_void_p
ssh.ssh_get_error.restype = ctypes.c_char_p
session = ctypes.c_void_p(ssh.ssh_new())

def must(result, what, good=OK):
    if result != good:
        sys.exit(f'{what}: {result}: {ssh.ssh_get_error(session).decode()}')

must(ssh.ssh_options_set(session, PROCESS_CONFIG, ctypes.byref(ctypes.c_bool(False))), 'config')
for option, value in ((HOST, '127.0.0.1'), (PORT_STR, port), (USER, user), (KNOWN_HOSTS, '/dev/null')):
    must(ssh.ssh_options_set(session, option, ctypes.c_char_p(value.encode())), f'option {option}')
must(ssh.ssh_connect(session), 'connect')
must(ssh.ssh_userauth_agent(session, None), 'userauth_agent', AUTH_SUCCESS)
channel = ctypes.c_void_p(ssh.ssh_channel_new(session))
must(ssh.ssh_channel_open_session(channel), 'channel')
must(ssh.ssh_channel_request_exec(channel, b'echo in'), 'exec')
buffer = ctypes.create_string_buffer(100)
while (size := ssh.ssh_channel_read(channel, buffer, 100, 0)) > 0:
    sys.stdout.write(buffer.raw[:size].decode())
ssh.ssh_disconnect(session)
'''

GO_CLIENT = '''
package main

import (
	"fmt"
	"log"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func main() {
	socket, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		log.Fatal(err)
	}
	client, err := ssh.Dial("tcp", "127.0.0.1:"+os.Args[1], &ssh.ClientConfig{
		User:            os.Args[2],
		Auth:            []ssh.AuthMethod{ssh.PublicKeysCallback(agent.NewClient(socket).Signers)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		log.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	output, err := session.Output("echo in")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(output))
}
'''


@ours
@unittest.skipIf(pwd.getpwuid(os.geteuid()).pw_shell.endswith(('nologin', 'false')), 'this user may not log in')
class Login(Scenario):
    """With OpenSSH's own client."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def assert_login(self, agent, server, key, *options):
        result = server.login(agent, *options)
        self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
        self.assertIn(f'Accepted publickey for {USER}', server.accepted(key))

    def test_of_keys_of_every_type_the_one_that_fits_is_found(self):
        keys = [self.lab.make_key(f'{kind}{bits}', kind, bits) for kind, bits in KINDS[:4]]
        agent = Agent(self.lab)
        for tools, key in itertools.product(generations(), keys):
            with self.subTest(key.comment, openssh=tools.name):
                # One with OpenSSH's own order of key exchanges, where the hash over the session is a longer one.
                kex = () if key is not keys[0] else ('KexAlgorithms +curve25519-sha256',)
                server = Sshd(self.lab, *kex, authorized=[key.pub], name=f'{tools.name}.{key.comment}', tools=tools)
                self.assert_login(agent, server, key)
                server.process.end()
        agent.stop()
        self.tpm.assert_no_handles()

    def test_login_with_a_pin_through_askpass(self):
        key = self.lab.make_key('id', pin='1234')
        askpass = Askpass(self.lab, '1234')
        agent = Agent(self.lab, env=askpass.env)
        server = Sshd(self.lab, authorized=[key.pub])
        for _ in range(2):
            self.assert_login(agent, server, key)
        self.assertEqual(len(askpass.questions()), 1)
        wrong = Agent(self.lab, env=Askpass(self.lab, '4321', name='wrong').env, name='wrong')
        self.assertEqual(server.login(wrong).returncode, 255)


class OtherClients:
    """Each client is what it needs, and a method that takes a server and gives a command line."""

    def plink(self, server, *options, command='echo in'):
        host_key = self.lab.ssh_keygen('-l', '-f', self.lab.path('host_key.pub')).split()[1]
        return ('plink', '-batch', '-ssh', '-agent', '-hostkey', host_key, '-P', str(server.port), *options,
                f'{USER}@127.0.0.1', command)

    def dbclient(self, server, *options, command='echo in'):
        return 'dbclient', '-y', '-y', '-p', str(server.port), *options, f'{USER}@127.0.0.1', command

    def paramiko(self, server):
        return DEBIAN_PYTHON, self.lab.write('client.py', PARAMIKO), str(server.port), USER

    def libssh(self, server):
        return DEBIAN_PYTHON, self.lab.write('client.py', LIBSSH), str(server.port), USER

    def go(self, server):
        source, program = self.lab.write('client.go', GO_CLIENT), self.lab.path('client')
        if not os.path.exists(program):
            # What Go compiles stays in the build folder for the next time: the first one takes minutes.
            cache = os.path.join(os.environ['SSH_TPM_BUILD'], 'test', 'go-cache')
            self.lab.run(GO, 'build', '-o', program, source, status=0, deadline=300,
                         env={'GO111MODULE': 'off', 'GOFLAGS': '', 'GOPATH': GO_SOURCES, 'GOCACHE': cache,
                              'GOTOOLCHAIN': 'local', 'CGO_ENABLED': '0'})
        return program, str(server.port), USER

    CLIENTS = (
        (plink, 'plink'),
        (dbclient, 'dbclient'),
        (paramiko, DEBIAN_PYTHON, '/usr/lib/python3/dist-packages/paramiko'),
        (libssh, DEBIAN_PYTHON, LIBSSH_FILE),
        (go, GO, GO_SOURCES + '/src/golang.org/x/crypto/ssh/agent'),
    )

    def need(self, *paths):
        missing = [path for path in paths if not (os.path.exists(path) or shutil.which(path))]
        if missing:
            self.skipTest(f'not installed: {", ".join(missing)}')

    def run_with_agent(self, *argv):
        return self.lab.run(*argv, env={'SSH_AUTH_SOCK': self.agent.socket})

    def test_others_log_in(self):
        self.agent = start_agent(self.lab)
        keys = [self.make_key(f'{kind}{bits}', kind, bits) for kind, bits in self.kinds]
        server = Sshd(self.lab, authorized=[key.pub for key in keys])
        for client, *needed in self.CLIENTS:
            for key in keys:
                with self.subTest(client.__name__, key=key.comment):
                    self.need(*needed)
                    self.add(self.agent, key, status=0)
                    begun = len(server.process.lines)
                    result = self.run_with_agent(*client(self, server))
                    self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
                    accepted = [line for line in server.process.lines[begun:] if 'Accepted publickey' in line]
                    self.assertEqual([self.lab.fingerprint(key) in line for line in accepted], [True])
                self.agent.ssh_add('-D', status=0)
            with self.subTest(client.__name__, key='none'):  # it was the agent's doing: there is no other way in
                self.need(*needed)
                result = self.run_with_agent(*client(self, server))
                self.assertNotEqual(result.returncode, 0)
                self.assertNotIn('in\n', result.stdout)

    def test_others_forward_the_agent(self):
        self.agent = start_agent(self.lab)
        key = self.make_key('id')
        self.add(self.agent, key, status=0)
        server = Sshd(self.lab, authorized=[key.pub])
        public = self.lab.write('id.pub', key.line)  # with no private key beside it
        sign = f'ssh-add -L; echo hello | ssh-keygen -Y sign -q -f {public} -n file'
        for client, *needed in self.CLIENTS[:2]:
            with self.subTest(client.__name__):
                self.need(*needed)
                result = self.run_with_agent(*client(self, server, '-A', command=sign))
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stdout.splitlines()[:2], [key.line, '-----BEGIN SSH SIGNATURE-----'])


@ours
class OthersWithSshTpmAdd(OtherClients, SshTpmAdd, Scenario):
    kinds = KINDS[0], KINDS[3]


@ours
@slow
class OthersWithEveryTypeOfKey(OtherClients, SshTpmAdd, Scenario):
    kinds = KINDS


@slow
class OthersWithSshAdd(OtherClients, SshAdd, Scenario):
    kinds = KINDS


if __name__ == '__main__':
    unittest.main()
