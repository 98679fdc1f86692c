#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PINs and passwords come from a file that its user alone can read, from standard input and from a systemd credential;
a wrong one costs one try, and never the last."""

import os
import re
import shutil
import struct
import unittest

from add_recorder import AddScenario
from agent import Agent, Askpass
from keys_once import KeysOnce
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, contents, needs_root, read, read_key, wait_until
from softkey import SoftKey
from terminal import Terminal

PIN, NEW, WRONG, PASSWORD = 'a good pin', 'a new pin', 'another one', 'owner password 5'
UNREADABLE = 'other users can read it'


def acl(*readers):
    """An access control list with which its owner and these users may read: linux/posix_acl_xattr.h."""
    nobody = 0xFFFFFFFF
    entries = [(1, 4, nobody), *((2, 4, user) for user in readers), (4, 0, nobody), (16, 4, nobody), (32, 0, nobody)]
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


class WithFiles(AddScenario, KeysOnce):
    KEYS = {'x': {'pin': PIN}, 'y': {'pin': PIN}, 'other': {'pin': NEW}, 'plain': {}}

    def file(self, text, name='pin', mode=0o600):
        path = self.lab.write(name, text + '\n', mode=mode)
        os.chmod(path, mode)
        return path

    def start(self, *options, **more):
        self.askpass = Askpass(self.lab)
        self.agent = Agent(self.lab, *options, env={**self.askpass.env, **more.pop('env', {})}, **more)
        self.socket = self.agent.socket

    def assert_pin(self, key, pin):
        """The TPM takes it, and nobody is asked."""
        agent = Agent(self.lab, '--no-load', name=f'agent{len(self.lab.processes)}')
        agent.add('--pin-file', self.file(pin, 'proof'), key.tpm, status=0)
        agent.sign_and_check(key)
        agent.stop()


class Keygen(WithFiles):
    TOOL = 'ssh-tpm-keygen'

    def make(self, *options, name='new', **more):
        path = self.lab.path('keys', name)
        result = self.lab.keygen('-q', '-f', path, *options, **more)
        return read_key(path) if result.returncode == 0 else result

    def test_a_new_key_has_the_pin_of_the_file(self):
        self.assert_pin(self.make('--pin-file', self.file(PIN)), PIN)

    def test_standard_input_gives_the_pin_and_then_the_answers(self):
        key = self.make('--pin-file', '-', stdin=PIN + '\n')
        self.assert_pin(key, PIN)
        again = self.make('--pin-file', '-', stdin=NEW + '\r\ny\n')
        self.assertNotEqual(again.line, key.line)
        self.assert_pin(again, NEW)

    def test_the_output_of_a_command_and_a_fifo_are_files(self):
        path = self.lab.path('keys/new')
        self.lab.run('bash', '-c', f'exec "$0" -q -f "$1" --pin-file <(echo "{PIN}")',
                     f'{self.lab.bin}/ssh-tpm-keygen', path, status=0)
        self.assert_pin(read_key(path), PIN)
        self.lab.run('sh', '-c', f'echo "{NEW}" | "$0" -q -f "$1" --pin-file /dev/stdin',
                     f'{self.lab.bin}/ssh-tpm-keygen', path + '2', status=0)
        self.assert_pin(read_key(path + '2'), NEW)

    def test_the_old_and_the_new_pin_from_files(self):
        key = self.take('x')
        for old, new in ((self.file(PIN, 'old'), self.file(NEW)), ('-', self.file(NEW)), (self.file(PIN, 'old'), '-')):
            with self.subTest(old=old, new=new):
                key = self.take('x')
                self.lab.keygen('-p', '-f', key.tpm, '--old-pin-file', old, '--pin-file', new,
                                stdin=PIN if old == '-' else NEW)
                self.assert_pin(key, NEW)
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assert_error(self.lab.keygen('-p', '-f', key.tpm, '--old-pin-file', self.file(PIN), '-N', '', status=None),
                          'the PIN is wrong')
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_a_private_key_is_imported_and_wrapped_with_files(self):
        passphrase = 'a passphrase that is longer than any PIN can be'
        soft = SoftKey(self.lab, self.lab.path('soft'), passphrase=passphrase)
        given = '--old-pin-file', self.file(passphrase, 'passphrase'), '--pin-file', self.file(PIN)
        self.lab.keygen('-q', '--import', soft.path, *given)
        self.assert_pin(read_key(soft.path), PIN)
        self.tpm.make_persistent()
        parent = self.lab.path('parent.pub')
        self.tpm.tool('tpm2_readpublic', '-c', '0x81000001', '-o', parent)
        self.lab.keygen('-q', '--wrap', soft.path, '--wrap-with', parent, '-f', self.lab.path('wrapped'), *given)
        self.lab.keygen('-q', '--import', self.lab.path('wrapped.tpm'), '-f', self.lab.path('keys/unwrapped'),
                        '--old-pin-file', self.file(PIN), '--pin-file', self.file(NEW, 'new'))
        self.assert_pin(read_key(self.lab.path('keys/unwrapped')), NEW)

    def test_what_is_no_pin_makes_no_key(self):
        before = contents(self.lab.keys)
        for text, words in ((b'', 'first line is empty'), (b'\nx\n', 'first line is empty'), (b'x' * 33, '32 bytes'),
                            (b'a\0b\n', 'NUL'), (PIN.encode('utf-16'), 'NUL')):
            with self.subTest(text=text):
                path = self.lab.write('pin', text, mode=0o600)
                self.assert_error(self.make('--pin-file', path, status=None), path, words)
        self.assert_error(self.make('--pin-file', '-', stdin='', status=None), 'standard input', 'empty')
        self.assert_error(self.make('--pin-file', self.lab.path('absent'), status=None), 'absent', 'No such file')
        self.assert_error(self.make('--pin-file', self.lab.keys, status=None), 'directory')
        self.assertEqual(contents(self.lab.keys), before)

    def test_files_that_others_can_read_are_refused_also_as_standard_input(self):
        before = contents(self.lab.keys)
        for bits in (0o640, 0o604, 0o644):
            path = self.file(PIN, mode=bits)
            self.assert_error(self.make('--pin-file', path, status=None), path, UNREADABLE, 'chmod 600')
            result = self.lab.run('sh', '-c', '"$0" -q -f "$1" --pin-file - <"$2"', f'{self.lab.bin}/ssh-tpm-keygen',
                                  self.lab.path('keys/new'), path)
            self.assert_error(result, 'standard input', UNREADABLE, 'chmod 600 FILE')
        link = self.lab.path('link')
        os.symlink(path, link)
        self.assert_error(self.make('--pin-file', link, status=None), UNREADABLE)
        self.assertEqual(contents(self.lab.keys), before)
        os.chmod(path, 0o600)
        self.make('--pin-file', link)

    def test_the_hint_closes_a_file_that_others_can_read(self):
        path = self.file(PIN, "the pin's file", mode=0o644)
        refused = self.make('--pin-file', path, status=None)
        self.lab.run('sh', '-c', re.search('chmod 600 .*(?=, and)', refused.stderr)[0], status=0)
        self.make('--pin-file', path)

    def test_a_terminal_is_refused_before_anything_is_typed(self):
        for path in ('-', '/dev/tty'):
            with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', '-q', '-f', self.lab.path('keys/new'),
                          '--pin-file', path) as terminal:
                self.assertEqual(terminal.finish(), 1)
                self.assertIn('is a terminal', terminal.transcript)

    def test_the_last_try_is_not_spent_on_a_file(self):
        key = self.take('x')
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        change = '-p', '-f', key.tpm, '-N', NEW, '--old-pin-file', self.file(WRONG)
        self.assert_error(self.lab.keygen(*change, status=None), 'the PIN is wrong')
        self.assert_error(self.lab.keygen(*change, status=None), 'LAST TRY')
        self.assertEqual(self.tpm.wrong_tries(), 1)


class Add(WithFiles):
    def test_the_agent_gets_the_pin_and_asks_nobody(self):
        self.start('--no-load')
        key = self.take('x')
        for options in (('--pin-file', self.file(PIN)), ('--pin', '--pin-file', self.file(PIN))):
            self.assertEqual(self.add(*options, key.tpm, status=0).stderr, f'Identity added: {key.tpm} (x)\n')
            self.agent.sign_and_check(key)
            self.agent.ssh_add('-D', status=0)
        self.add('--pin-file', '-', key.tpm, stdin=PIN + '\n', status=0)
        self.agent.sign_and_check(key)
        self.assertEqual(self.askpass.questions(), [])

    def test_every_key_is_tried_once_with_it_and_none_after_a_wrong_try(self):
        self.start('--no-load')
        x, y, other, plain = (self.take(name) for name in ('x', 'y', 'other', 'plain'))
        self.add('--pin-file', self.file(PIN), x.tpm, y.tpm, plain.tpm, status=0)
        for key in (x, y, plain):
            self.agent.sign_and_check(key)
        self.agent.ssh_add('-D', status=0)
        result = self.add('--pin-file', self.file(PIN), x.tpm, other.tpm, y.tpm, plain.tpm)
        self.assert_refused(result, f'"{other.tpm}": the PIN is wrong', f'"{y.tpm}": the PIN was not tried')
        self.assertEqual(self.agent.listed(), [x.line, plain.line])
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assertEqual(self.askpass.questions(), [])

    def test_the_last_try_is_not_spent(self):
        self.start('--no-load')
        key = self.take('x')
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        self.assert_refused(self.add('--pin-file', self.file(WRONG), key.tpm), 'the PIN is wrong')
        self.assert_refused(self.add('--pin-file', self.file(PIN), key.tpm), 'LAST TRY', '--pin')
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assertEqual(self.agent.listed(), [])

    def test_a_file_that_others_can_read_is_refused_and_nothing_is_added(self):
        self.start('--no-load')
        key = self.take('x')
        self.assert_refused(self.add('--pin-file', self.file(PIN, mode=0o644), key.tpm), UNREADABLE)
        self.assert_refused(self.add('--pin-file', self.lab.path('absent'), key.tpm), 'absent')
        self.assert_refused(self.add('--pin-file', '-', '-', stdin=PIN + '\n' + read(key.tpm)), 'standard input',
                            status=2)
        self.assertEqual(self.agent.listed(), [])


class Owner(WithFiles):
    """A TPM whose owner hierarchy has a password, and no storage key."""

    KEYS = {}

    def setUp(self):
        super().setUp()
        self.tpm.craft('tpm2_changeauth', '-c', 'o', PASSWORD)

    def test_keygen_and_the_agent_in_each_of_its_forms_take_it_from_a_file(self):
        path, key_path = self.file(PASSWORD, 'owner'), self.lab.path('keys/x')
        self.lab.keygen('-q', '-N', '', '-f', key_path, '--owner-password-file', '-', stdin=PASSWORD + '\n')
        key = read_key(key_path)
        self.start('--owner-password-file', path, env={'SSH_TPM_AGENT_OWNER_PASSWORD': WRONG})
        self.agent.sign_and_check(key)
        self.agent.stop()
        program = f'{self.lab.bin}/ssh-tpm-agent'
        options = f'-l "$1" --key-dir "$2" --owner-password-file'
        signs = f'ssh-tpm-add -T "{key.pub}"'
        path_first = {'PATH': f'{self.lab.bin}:{os.environ["PATH"]}', 'SSH_TPM_AUTH_SOCK': None}
        for number, (given, stdin) in enumerate(((f'"{path}"', None), (os.path.basename(path), None),
                                                 ('-', PASSWORD + '\n'), (f'<(echo "{PASSWORD}")', None))):
            with self.subTest(given=given):
                socket = self.lab.path(f'{number}.sock')
                self.lab.run('bash', '-c', f'"$0" {options} {given} {signs}', program, socket, self.lab.keys,
                             stdin=stdin, env=path_first, status=0)
                self.lab.run('bash', '-c', f'eval "$("$0" -s {options} {given})" && {signs} && kill $SSH_AGENT_PID',
                             program, socket, self.lab.keys, stdin=stdin, env=path_first, status=0)
                wait_until(lambda: not os.path.exists(socket), 'the end of the agent')

    def test_a_wrong_one_and_a_file_that_others_can_read(self):
        make = '-q', '-N', '', '-f', self.lab.path('keys/x'), '--owner-password-file'
        self.assert_error(self.lab.keygen(*make, self.file(WRONG), status=None), 'owner password is wrong')
        self.assert_error(self.lab.keygen(*make, self.file(PASSWORD, mode=0o644), status=None), UNREADABLE)
        result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', self.lab.path('s'), '--owner-password-file',
                              self.file(PASSWORD, mode=0o644))
        self.assert_error(result, UNREADABLE, tool='ssh-tpm-agent')
        self.assertEqual(contents(self.lab.keys), {})


@needs_root
class Credentials(WithFiles):
    """As systemd hands them out: of root, and the service's user is in the access control list (its exec-credential.c),
    or owns the file."""

    def credential(self, *readers, owner=0, bits=0o400):
        folder = self.lab.path('credentials')
        shutil.rmtree(folder, ignore_errors=True)
        os.chmod(self.lab.make_folder('credentials'), 0o755)
        path = self.lab.write('credentials/pin', PIN + '\n')
        os.chmod(path, bits)
        if readers:
            try:
                os.setxattr(path, 'system.posix_acl_access', acl(*readers))
            except OSError as error:
                self.skipTest(f'no access control lists here: {error}')
        os.chown(path, owner, 0)
        return {'CREDENTIALS_DIRECTORY': folder}

    def read_as_nobody(self, given):
        """What another user's keygen says; the TPM is not used if the file is refused, and else not to be had."""
        os.chmod(self.lab.folder, 0o755)
        return self.lab.run('sh', '-c', 'exec "$0" keygen -q -f /nonexistent/x '
                                        '--pin-file "$CREDENTIALS_DIRECTORY/pin"',
                            f'{self.lab.program_for_others()}/ssh-tpm',
                            env={**given, 'HOME': '/nonexistent', 'SSH_TPM_TCTI': 'none', **NO_LEAK_CHECK},
                            **AS_NOBODY).stderr

    def test_root_reads_its_own(self):
        self.lab.run('sh', '-c', f'"{self.lab.bin}/ssh-tpm-keygen" -q -f "{self.lab.path("keys/new")}" --pin-file '
                                 '"$CREDENTIALS_DIRECTORY/pin"', env=self.credential(), status=0)
        self.assert_pin(read_key(self.lab.path('keys/new')), PIN)

    def test_a_service_with_a_user_of_its_own_reads_its_own_and_no_other(self):
        for readers, owner in ((NOBODY,), 0), ((), NOBODY):
            said = self.read_as_nobody(self.credential(*readers, owner=owner))
            self.assertNotIn('/pin', said)
            self.assertIn('error', said)  # of the TPM that is not there
        self.assertIn(UNREADABLE, self.read_as_nobody(self.credential(NOBODY, NOBODY - 1)))
        self.assertIn(UNREADABLE, self.read_as_nobody(self.credential(bits=0o444)))
        self.assertIn('belongs to another user', self.read_as_nobody(self.credential(NOBODY, owner=NOBODY - 1)))
        self.assertIn('Permission denied', self.read_as_nobody(self.credential(NOBODY - 1)))


if __name__ == '__main__':
    unittest.main()
