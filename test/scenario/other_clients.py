#!/usr/bin/env python3
"""PuTTY, dropbear, paramiko, libssh and Go's x/crypto log in with keys of this agent."""

import os
import shutil
import unittest

from agent import ours
from giving import SshAdd, SshTpmAdd, start_agent
from lab import Scenario
from sshd import USER, Sshd

KINDS = (('ecdsa', 256), ('ecdsa', 384), ('ecdsa', 521), ('rsa', 2048), ('rsa', 3072))
DEBIAN_PYTHON = '/usr/bin/python3'  # the one that has Debian's modules
GO_SOURCES = '/usr/share/gocode'  # where Debian keeps Go's libraries
GO = shutil.which('go', path=f'{os.environ["PATH"]}:/usr/local/go/bin:/usr/lib/go/bin') or 'go'

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


def needs(*paths):
    missing = [path for path in paths if not (os.path.exists(path) or shutil.which(path))]
    return unittest.skipIf(missing, f'not installed: {", ".join(missing)}')


class OtherClients:
    def setUp(self):
        super().setUp()
        self.agent = start_agent(self.lab)

    def run_with_agent(self, *argv, **more):
        return self.lab.run(*argv, env={'SSH_AUTH_SOCK': self.agent.socket}, **more)

    def assert_logs_in(self, client):
        """`client` takes a server and gives the command line that runs `echo in` there."""
        for key in [self.make_key(f'{kind}{bits}', kind, bits) for kind, bits in KINDS]:
            with self.subTest(key.comment):
                self.add(self.agent, key, status=0)
                server = Sshd(self.lab, authorized=[key.pub], name=key.comment + '.sshd')
                result = self.run_with_agent(*client(server))
                self.assertEqual((result.returncode, result.stdout), (0, 'in\n'), result.stderr)
                server.accepted(key)
                # And it was the agent's doing: without the key there is no way in.
                self.agent.ssh_add('-D', status=0)
                result = self.run_with_agent(*client(server))
                self.assertNotEqual(result.returncode, 0)
                self.assertNotIn('in\n', result.stdout)
                server.process.end()

    def assert_forwards(self, client):
        """`client` takes a server and a command and gives the command line that forwards the agent there."""
        key = self.make_key('id')
        self.add(self.agent, key, status=0)
        server = Sshd(self.lab, authorized=[key.pub])
        result = self.run_with_agent(*client(server, 'ssh-add -L'))
        self.assertEqual((result.returncode, result.stdout), (0, key.line + '\n'), result.stderr)
        public = self.lab.write('id.pub', key.line)  # with no private key beside it
        sign = f'echo hello | ssh-keygen -Y sign -q -f {public} -n file'
        result = self.run_with_agent(*client(server, sign))
        self.assertIn('BEGIN SSH SIGNATURE', result.stdout, result.stderr)

    def plink(self, server, *options, command='echo in'):
        host_key = self.lab.ssh_keygen('-l', '-f', self.lab.path('host_key.pub')).split()[1]
        return ('plink', '-batch', '-ssh', '-agent', '-hostkey', host_key, '-P', str(server.port), *options,
                f'{USER}@127.0.0.1', command)

    def dbclient(self, server, *options, command='echo in'):
        return 'dbclient', '-y', '-y', '-p', str(server.port), *options, f'{USER}@127.0.0.1', command

    @needs('plink')
    def test_putty(self):
        self.assert_logs_in(self.plink)

    @needs('plink')
    def test_putty_forwards_the_agent(self):
        self.assert_forwards(lambda server, command: self.plink(server, '-A', command=command))

    @needs('dbclient')
    def test_dropbear(self):
        self.assert_logs_in(self.dbclient)

    @needs('dbclient')
    def test_dropbear_forwards_the_agent(self):
        self.assert_forwards(lambda server, command: self.dbclient(server, '-A', command=command))

    @needs(DEBIAN_PYTHON, '/usr/lib/python3/dist-packages/paramiko')
    def test_paramiko(self):
        program = self.lab.write('client.py', PARAMIKO)
        self.assert_logs_in(lambda server: (DEBIAN_PYTHON, program, str(server.port), USER))

    @needs(DEBIAN_PYTHON)
    def test_libssh(self):
        program = self.lab.write('client.py', LIBSSH)
        self.assert_logs_in(lambda server: (DEBIAN_PYTHON, program, str(server.port), USER))

    @needs(GO, GO_SOURCES + '/src/golang.org/x/crypto/ssh/agent')
    def test_go(self):
        source, program = self.lab.write('client.go', GO_CLIENT), self.lab.path('client')
        # What Go compiles stays in the build folder for the next time: the first one takes minutes.
        cache = os.path.join(os.environ['SSH_TPM_BUILD'], 'test', 'go-cache')
        self.lab.run(GO, 'build', '-o', program, source, status=0, deadline=300,
                     env={'GO111MODULE': 'off', 'GOFLAGS': '', 'GOPATH': GO_SOURCES, 'GOCACHE': cache,
                          'GOTOOLCHAIN': 'local', 'CGO_ENABLED': '0'})
        self.assert_logs_in(lambda server: (program, str(server.port), USER))


class WithSshAdd(OtherClients, SshAdd, Scenario):
    pass


@ours
class WithSshTpmAdd(OtherClients, SshTpmAdd, Scenario):
    pass


if __name__ == '__main__':
    unittest.main()
