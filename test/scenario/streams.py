#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FIFOs, such as a shell's <(command), and standard input are read where a person names them in place of a file."""

import os
import socket
import subprocess
import unittest

from add_recorder import AddScenario
from agent import Agent, certify
from keys_once import KeysOnce
from lab import DEADLINE, contents, read, read_key
from terminal import Terminal

PIN = 'a pin 1234'


class Streams(AddScenario, KeysOnce):
    KEYS = {'x': {}, 'y': {}, 'pin': {'pin': PIN}}

    def shell(self, command, *arguments, status=0, stdin=None, env=None, **more):
        """Runs a line of bash; $1 and so on are the arguments, and keygen and add are the programs."""
        functions = ''.join(f'{name}() {{ "{self.lab.bin}/ssh-tpm-{name}" "$@"; }}; ' for name in ('keygen', 'add'))
        return self.lab.run('bash', '-c', functions + command, 'bash', *arguments, status=status, stdin=stdin,
                            env=self.environment(env), **more)

    def start_agent(self):
        self.agent = Agent(self.lab, '--no-load')
        self.socket = self.agent.socket

    def assert_nothing_written(self, command, *arguments, words=(), status=1, **more):
        before = contents(self.lab.keys), os.listdir(self.lab.folder)
        self.assert_error(self.shell(command, *arguments, status=None, **more), *words, status=status)
        self.assertEqual((contents(self.lab.keys), os.listdir(self.lab.folder)), before)

    def test_fingerprints_and_public_keys(self):
        key = self.take('x')
        line = self.lab.ssh_keygen('-l', '-f', key.pub)
        for path in key.tpm, key.pub:
            for options, expected in (('-l -f', line), ('-y -f', read(key.pub)), ('--print-pubkey', read(key.pub))):
                with self.subTest(path=path, options=options):
                    self.assertEqual(self.shell(f'keygen {options} <(cat "$1")', path).stdout, expected)
                    for name in '-', '/dev/stdin':
                        self.assertEqual(self.shell(f'keygen {options} {name}', stdin=read(path)).stdout, expected)
                        self.assertEqual(self.shell(f'keygen {options} {name} < "$1"', path).stdout, expected)
        self.assert_nothing_written('keygen -l -f -', stdin='no key', words=('(stdin) is not a public key file',))

    def test_a_socket_as_standard_input(self):
        """Node.js gives its child processes one, and /dev/stdin cannot be opened then."""
        key = self.take('x')
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(read(key.tpm).encode())
            ours.shutdown(socket.SHUT_WR)
            printed = subprocess.run([f'{self.lab.bin}/ssh-tpm-keygen', '-y', '-f', '-'], stdin=theirs, check=True,
                                     timeout=DEADLINE, env=self.lab.env, stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(printed, read(key.pub))

    def test_keys_and_certificates_are_added_tested_and_removed(self):
        self.start_agent()
        key, other = self.take('x'), self.take('y')
        certify(self.lab, other)
        certificate = other.path + '-cert.pub'
        added = self.shell('add <(cat "$1") <(cat "$2")', key.tpm, other.tpm).stderr
        self.assertRegex(added, r'\AIdentity added: /dev/fd/\d+ \(x\)\nIdentity added: /dev/fd/\d+ \(y\)\n\Z')
        self.assertEqual(self.agent.listed(), [key.line, other.line])
        self.assertEqual(self.shell('keygen -l -f <(ssh-add -L)', env={'SSH_AUTH_SOCK': self.socket}).stdout,
                         ''.join(self.lab.ssh_keygen('-l', '-f', each.pub) for each in (key, other)))
        for path in key.pub, key.tpm:
            tested = self.shell('add -T <(cat "$1")', path)
            self.assertEqual((tested.stdout, tested.stderr), ('', ''))
        for path, each in ((key.tpm, key), (other.pub, other)):
            removed = self.shell('add -d <(cat "$1")', path).stderr
            self.assertRegex(removed, rf'\AIdentity removed: /dev/fd/\d+ ECDSA \({each.comment}\)\n\Z')
        self.assertEqual(self.agent.listed(), [])
        self.add(other.tpm, status=0)
        self.assertEqual(len(self.agent.listed()), 2)
        self.shell('add -d <(cat "$1")', certificate)
        self.assertEqual(self.agent.listed(), [other.line])

    def test_known_hosts(self):
        self.start_agent()
        key = self.take('x')
        self.lab.write('hosts', f'gate {self.stocked("y").line}\n')
        self.shell('add -h gate -H <(cat "$2") "$1"', key.tpm, self.lab.path('hosts'))
        self.assertEqual(self.agent.listed(), [key.line])

    def test_an_import_needs_a_name_and_no_sibling_is_looked_for(self):
        soft = self.lab.path('soft')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', 'secret', '-C', 'mine', '-f', soft)
        line = read(soft + '.pub')
        self.assert_nothing_written('keygen --import <(cat "$1") -N ""', soft, status=2,
                                    words=('--import /dev/fd/', 'needs -f FILE'))
        for name in '-', '/dev/stdin':
            self.assert_nothing_written(f'keygen --import {name} -N "" < "$1"', soft, status=2, words=(name, '-f FILE'))
        for number, command in enumerate(('--import <(cat "$1")', '--import - < "$1"', '--import /dev/stdin < "$1"')):
            path = self.lab.path(f'keys/k{number}')
            result = self.shell(f'keygen -P secret -N "" -q -f "$2" {command}', soft, path)
            self.assertEqual((result.stderr, read(path + '.pub')), ('', line))
        # The questions go to the terminal.
        with Terminal(self.lab, 'bash', '-c', '"$0" -f "$2" --import <(cat "$1")', f'{self.lab.bin}/ssh-tpm-keygen',
                      soft, self.lab.path('keys/t')) as terminal:
            terminal.answer('Enter passphrase for /dev/fd/', 'secret')
            for _ in range(2):
                terminal.answer('passphrase', '')
                terminal.read_until(': ')
            self.assertEqual(terminal.finish(), 0, terminal.transcript)
        self.assertEqual(read(self.lab.path('keys/t.pub')), line)

    def test_a_key_is_wrapped_for_a_parent(self):
        soft, parent = self.lab.path('soft'), self.lab.path('parent.pem')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-C', 'mine', '-f', soft)
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-a',
                       'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt',
                       '-c', self.lab.path('primary'), '-f', 'pem', '-o', parent)
        path = self.lab.path('keys/w')
        self.shell('keygen -q -N "" -f "$3" --wrap <(cat "$1") --wrap-with <(cat "$2")', soft, parent, path)
        self.shell('keygen -q --import <(cat "$1") -f "$1"', path + '.tpm', stdin='y\n')
        self.assertEqual(read_key(path).line, read(soft + '.pub').strip())
        self.assert_new_agent_signs(read_key(path))

    def test_a_key_is_changed_in_a_file_alone(self):
        key, fifo = self.take('pin'), self.lab.path('fifo')
        os.mkfifo(fifo)  # which nobody writes to
        for command in '-p -P "$2" -N new', '-c -C new':
            for name in '<(cat "$1")', '/dev/stdin':
                self.assert_nothing_written(f'keygen {command} -f {name} < "$1"', key.tpm, PIN,
                                            words=('could not be written back', 'hint: '))
            self.assert_nothing_written(f'keygen {command} -f "$1"', fifo, PIN,
                                        words=(fifo, 'could not be written back'))
        self.assert_nothing_written('keygen -p -P "$2" -N new -f - < "$1"', key.tpm, PIN,
                                    words=('(stdin): the changed key could not be written back', 'hint: '))
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_what_does_not_end_is_given_up_at_the_limit_and_what_does_not_come_at_control_c(self):
        self.start_agent()
        for command in ('keygen -l -f', 'keygen --import', 'add', 'add -T', 'add -d'):
            with self.subTest(command=command):
                more = '-f "$1"' if 'import' in command else ''
                result = self.shell(f'{command} <(yes) {more}', self.lab.path('keys/z'), status=None)
                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stderr, r'/dev/fd/\d+: larger than \d+ bytes')
        os.mkfifo(self.lab.path('fifo'))
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', '-l', '-f', self.lab.path('fifo')) as terminal:
            terminal.interrupt()
            self.assertNotEqual(terminal.finish(), 0)


if __name__ == '__main__':
    unittest.main()
