#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-keygen creates keys of the types that --supported lists: the files, their modes and content, what it
refuses, and the dialogue on a terminal, which is that of ssh-keygen, line by line."""

import os
import pwd
import re
import socket
import unittest

import keyfile
import openssh
from agent import Askpass
from lab import AS_NOBODY, KINDS, NO_LEAK_CHECK, NOBODY, contents, mode, needs_root, read, read_key
from stock import Stocked, WithTpm
from swtpm import Probe
from terminal import Terminal, talk

CURVES = {256: 'ecdsa-sha2-nistp256', 384: 'ecdsa-sha2-nistp384', 521: 'ecdsa-sha2-nistp521'}
SIZES = {'ecdsa': (256, 384, 521), 'rsa': (2048, 3072, 4096)}
FILE = 'Enter file in which to save the key ('
FIRST, SECOND = '(empty for no passphrase): ', 'Enter same passphrase again: '
OVERWRITE = 'Overwrite (y/n)? '


def comparable(transcript):
    """A transcript without what differs from key to key: the fingerprint, and the inside of the randomart."""
    transcript = re.sub(r'SHA256:[A-Za-z0-9+/]{43}', 'SHA256:…', transcript)
    return re.sub(r'(?m)^\|.{17}\|$', '|…|', transcript).split('\n')


class Made(Stocked):
    """A key of each kind was made once."""

    @classmethod
    def fill(cls, lab):
        for kind, bits in KINDS:
            lab.make_key(f'{kind}{bits}', kind, bits, comment='two words')

    def made(self, kind, bits):
        return read_key(self.lab.path('keys', f'{kind}{bits}'))

    def test_every_type_and_size_gets_a_private_and_a_public_file(self):
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                key = self.made(kind, bits)
                self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))
                self.assertEqual(key.algorithm, CURVES[bits] if kind == 'ecdsa' else 'ssh-rsa')
                self.assertEqual(key.comment, 'two words')
                line = self.lab.ssh_keygen('-lv', '-f', key.pub)
                self.assertRegex(line, rf'^{bits} SHA256:\S+ two words \({kind.upper()}\)\n')
                self.assertEqual(self.lab.keygen('-lv', '-f', key.tpm).stdout, line)
                self.assertEqual(self.lab.keygen('-y', '-f', key.tpm).stdout, read(key.pub))
                keyfile.read_der(key.tpm)
        self.assertEqual(len(os.listdir(self.lab.keys)), 2 * len(KINDS))

    def test_tpm2_openssl_reads_the_files_and_signs(self):
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                self.tpm.assert_openssl_signs(self.made(kind, bits))

    def test_what_is_listed_as_supported_can_be_made_and_what_is_not_cannot(self):
        result = self.lab.keygen('--supported')
        self.assertEqual(result.stderr, '')
        # Lines such as "ecdsa bit lengths: 256 384 521".
        self.assertRegex(result.stdout, r'\Aecdsa [^:]*:( \d+)+\nrsa [^:]*:( \d+)+\n\Z')
        for line in result.stdout.splitlines():
            kind = line.split()[0]
            listed = set(map(int, line.partition(':')[2].split()))
            self.assertLessEqual({bits for each, bits in KINDS if each == kind}, listed)
            self.assertLessEqual(listed, set(SIZES[kind]))
            for bits in set(SIZES[kind]) - {bits for each, bits in KINDS if each == kind}:
                before = os.listdir(self.lab.keys)
                made = self.lab.keygen('-q', '-t', kind, '-b', str(bits), '-N', '', '-f', self.lab.path('keys/x'),
                                       status=None)
                self.assertEqual(made.returncode == 0, bits in listed, made.stderr)
                if bits not in listed:
                    self.assert_error(made, str(bits), *map(str, listed))
                    self.assertEqual(os.listdir(self.lab.keys), before)
        self.tpm.assert_no_handles()


class KeygenCreates(WithTpm):
    def refuse(self, *options, status, words=(), **more):
        """Demands a refusal that leaves no file behind."""
        result = self.lab.keygen('-f', self.lab.path('keys/no'), '-N', '', *options, status=None, **more)
        self.assert_error(result, *words, status=status)
        self.assertEqual(os.listdir(self.lab.keys), [])
        return result

    def test_an_ecdsa_key_of_256_bits_and_a_comment_that_names_the_user_are_the_usual(self):
        result = self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'))
        self.assertEqual((result.stdout, result.stderr), ('', ''))
        key = read_key(self.lab.path('keys/x'))
        self.assertEqual(key.algorithm, 'ecdsa-sha2-nistp256')
        self.assertEqual(key.comment, f'{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()}')

    def test_the_suffix_of_the_private_file_is_dropped_from_the_path(self):
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x.tpm'))
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['x.pub', 'x.tpm'])

    def test_an_option_of_ssh_keygen_does_what_it_does_there(self):
        path = self.lab.path('keys/x')
        told = self.lab.keygen('-P', '1234', '-E', 'md5', '-f', path).stdout
        self.assertIn(self.lab.ssh_keygen('-l', '-E', 'md5', '-f', path + '.pub').split()[1], told)
        self.assertIn('[MD5]', told)
        self.lab.keygen('-p', '-f', path, '-P', '1234', '-N', '')  # it was the PIN
        self.lab.keygen('-q', '-t', 'ecdsa', '-N', '')
        printed = self.lab.keygen('-y', '-t', 'ecdsa', '-P', '').stdout
        self.assertEqual(printed, read(os.path.join(self.lab.home, '.ssh/id_ecdsa.pub')))

    def test_a_key_without_a_pin_says_so_in_its_file_and_one_with_a_pin_does_not(self):
        for pin, empty in (('', True), ('1234', False)):
            fields = dict(keyfile.fields(self.lab.make_key('pin' + pin, pin=pin).tpm))
            marked = keyfile.EMPTY_AUTH in fields and fields[keyfile.EMPTY_AUTH][-1] != 0
            self.assertEqual(marked, empty)

    def test_a_newline_on_standard_input_takes_the_default_file(self):
        self.lab.keygen('-t', 'rsa', '-N', '', stdin='\n')  # 2048 bits, since no size is named
        folder = os.path.join(self.lab.home, '.ssh')
        self.assertEqual(self.lab.ssh_keygen('-l', '-f', folder + '/id_rsa.pub').split()[0], '2048')
        printed = self.lab.keygen('-y', '-t', 'rsa', '-P', '').stdout
        self.assertEqual(printed, read(folder + '/id_rsa.pub'))
        self.assertEqual(sorted(os.listdir(folder)), ['id_rsa.pub', 'id_rsa.tpm'])
        self.assertEqual(mode(folder), 0o700)

    def test_the_key_signs_in_the_tpm_before_its_file_is_written(self):
        probe = Probe(self.tpm)
        self.lab.make_key('x', env={'SSH_TPM_TCTI': probe.tcti})
        commands = probe.take()
        self.assertIn('TPM2_Create', commands)
        self.assertIn('TPM2_Sign', commands[commands.index('TPM2_Create'):])

    def test_the_umask_has_a_say_in_the_mode_of_the_public_file_alone(self):
        for umask in 0o077, 0o027, 0o022, 0o002, 0o000:
            theirs = self.lab.path(f'soft{umask}')
            self.lab.run('ssh-keygen', '-q', '-t', 'ecdsa', '-N', '', '-f', theirs, status=0, umask=umask)
            key = self.lab.make_key(f'x{umask}', umask=umask)
            self.lab.keygen('-q', '--import', theirs, '-N', '', '-f', key.path + 'i', umask=umask)
            for path in key.path, key.path + 'i':
                with self.subTest(umask=oct(umask), path=path):
                    self.assertEqual((mode(path + '.tpm'), mode(path + '.pub')), (0o600, mode(theirs + '.pub')))

    def files(self):
        """All but those of the TPM and its probe."""
        return [path for path in contents(self.lab.folder) if not re.search(r'/(probe-files/|tpm\.)', path)]

    def test_names_that_no_key_can_have_are_refused_before_a_key_is_made_or_a_pin_asked_for(self):
        self.lab.make_folder('d')
        self.lab.make_folder('e.tpm')
        self.lab.make_folder('f.pub')
        soft = self.lab.path('soft')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', 'secret', '-f', soft)
        probe = Probe(self.tpm)
        before = self.files()
        long = self.lab.path('keys', 'x' * 252)
        for name, status, words in (
                ('d', 2, ('d: is a directory', 'hint: ', 'd/id_ecdsa')), ('d/', 2, ('d/: is a directory',)),
                ('.', 2, ('is a directory',)),
                ('e.tpm', 2, ('is a directory',)), ('e', 1, ('e.tpm: is a directory', 'hint: ')),
                ('f', 1, ('f.pub: is a directory',)), ('', 2, ('names no file',)), ('.tpm', 2, ('names no file',)),
                ('..tpm', 2, ('names no file',)), ('...tpm', 2, ('names no file',)), ('d/.tpm', 2, ('names no file',)),
                (long, 2, (f'this name is too long: {long}.tpm', 'hint: ')), (long + '.tpm', 2, ('too long',)),
                ('y' * 256, 2, ('too long',)), ('d/' * 2100 + 'x', 2, ('too long',)),
                ('no-such-folder/x', 1, ('no-such-folder: No such file',)), ('soft/x', 1, ('soft: Not a directory',))):
            for mode_options in ((), ('--import', soft)):
                with self.subTest(name=name[:30], options=mode_options):
                    result = self.lab.keygen(*mode_options, '-f', name, status=None, env={'SSH_TPM_TCTI': probe.tcti})
                    self.assert_error(result, *words, status=status)
                    self.assertNotIn('passphrase', result.stdout + result.stderr)
                    self.assertEqual(self.files(), before)
        self.assertFalse({'TPM2_Create', 'TPM2_CreatePrimary', 'TPM2_Import'} & set(probe.take()))

    def test_the_longest_names_are_possible(self):
        for size in 240, 251:
            key = self.lab.make_key('x' * size)
            self.lab.keygen('-p', '-N', '1234', '-f', key.tpm)
            self.lab.keygen('-c', '-C', 'new', '-f', key.tpm)
            self.lab.keygen('-q', '-N', '', '-C', 'newer', '-f', key.path, stdin='y\n')
            self.assertEqual(self.lab.keygen('-y', '-f', key.path).stdout, read(key.pub))
            self.assertIn('newer', read(key.pub))
        self.assertEqual(len(os.listdir(self.lab.keys)), 4)

    def test_unknown_types_sizes_and_options_stray_words_and_missing_values_are_usage_errors(self):
        for kind, bits in (('dsa', '256'), ('ed25519', '256'), ('', '256'), ('ecdsa', '255'), ('ecdsa', '0'),
                           ('ecdsa', '-256'), ('ecdsa', '256x'), ('ecdsa', ''), ('ecdsa', '9' * 20),
                           ('ecdsa', '2048'), ('rsa', '1024'), ('rsa', '256')):
            with self.subTest(kind=kind, bits=bits):
                self.refuse('-t', kind, '-b', bits, status=2)
        self.refuse('-t', 'dsa', status=2, words=('dsa', 'ecdsa', 'rsa'))
        for options in (('--no-such-option',), ('-Z',), ('stray',), ('-t',)):
            with self.subTest(options=options):
                self.assertEqual(self.refuse(*options, status=2).stdout, '')

    def test_names_of_types_that_openssh_has_are_those_of_types_and_sizes(self):
        for names, algorithm, bits in (
                (('ecdsa-sha2-nistp256', 'ECDSA'), CURVES[256], 256), (('ecdsa-sha2-nistp384',), CURVES[384], 384),
                (('ecdsa-sha2-nistp521',), CURVES[521], 521),
                (('rsa-sha2-256', 'rsa-sha2-512', 'ssh-rsa', 'RSA'), 'ssh-rsa', 2048)):
            for name in names:
                with self.subTest(name=name):
                    path = self.lab.path('keys', name)
                    self.lab.keygen('-q', '-t', name, '-N', '', '-f', path)
                    self.assertEqual(read_key(path).algorithm, algorithm)
                    self.assertEqual(self.lab.ssh_keygen('-l', '-f', path + '.pub').split()[0], str(bits))
        for options in (('-t', 'ecdsa-sha2-nistp384', '-b', '384'), ('-t', 'rsa-sha2-512', '-b', '2048')):
            self.lab.keygen('-q', *options, '-N', '', '-f', self.lab.path('keys/both'), stdin='y\n')
        self.lab.keygen('-q', '-t', 'rsa-sha2-512', '-N', '')
        self.assertEqual(self.lab.keygen('-y', '-t', 'ssh-rsa').stdout, read(self.lab.home + '/.ssh/id_rsa.pub'))

    def test_types_that_a_tpm_does_not_have_are_refused_with_the_reason(self):
        for kind, word in (('ed25519', 'TPMs make no Ed25519 keys'), ('ssh-ed25519', 'TPMs make no Ed25519 keys'),
                           ('ed25519-sk', 'FIDO'), ('ecdsa-sk', 'FIDO'), ('sk-ssh-ed25519@openssh.com', 'FIDO'),
                           ('dsa', 'DSA'), ('rsa1', 'no such type'), ('ecdsa-sha2-nistp224', 'no such type')):
            with self.subTest(kind=kind):
                self.refuse('-t', kind, status=2, words=(f'-t {kind}: ', word, 'hint: types are ecdsa and rsa'))
        for options in (('-t', 'ecdsa-sha2-nistp384', '-b', '256'), ('-b', '2048', '-t', 'ecdsa-sha2-nistp256')):
            self.refuse(*options, status=2, words=('conflicting options: -t ecdsa-sha2-nistp', 'hint: '))

    def test_an_existing_file_is_refused_without_a_terminal_and_nothing_changes(self):
        self.lab.make_key('x')
        self.lab.write('keys/y.pub', 'the public half of something else\n')
        before = contents(self.lab.keys)
        for name, stdin in (('x', None), ('x', ''), ('y', None)):
            result = self.lab.keygen('-N', '', '-f', self.lab.path('keys', name), stdin=stdin, status=1)
            self.assert_error(result, 'already exists', 'hint: ', '-f')
            self.assertEqual(contents(self.lab.keys), before)

    def test_a_folder_that_does_not_exist_is_an_error(self):
        result = self.lab.keygen('-N', '', '-f', self.lab.path('nowhere/x'), status=None)
        self.assert_error(result, 'nowhere')
        self.assertFalse(os.path.exists(self.lab.path('nowhere')))

    def test_to_list_what_is_supported_the_tpm_is_asked_and_makes_nothing(self):
        probe = Probe(self.tpm)
        self.lab.keygen('--supported', env={'SSH_TPM_TCTI': probe.tcti})
        commands = {line.split()[0] for line in probe.lines()}
        self.assertTrue(commands & {'TPM2_TestParms', 'TPM2_GetCapability'}, commands)
        self.assertFalse(commands & {'TPM2_Create', 'TPM2_CreatePrimary'}, commands)
        result = self.lab.keygen('--supported', status=None, env=self.lab.no_tpm)
        self.assert_error(result, 'hint: ', '--swtpm')
        self.assertEqual(result.stdout, '')

    def test_a_missing_tpm_is_an_error_with_a_hint_at_the_emulator(self):
        self.refuse(env=self.lab.no_tpm, status=1, words=('hint: ', '--swtpm', self.lab.path('no-such-device')))
        if not os.path.exists('/dev/tpmrm0'):  # the default
            self.refuse(env={'SSH_TPM_TCTI': None}, status=1, words=('hint: ', '--swtpm', '/dev/tpmrm0'))

    @needs_root
    def test_a_tpm_out_of_reach_is_an_error_with_a_hint_at_the_group(self):
        device, program = self.lab.write('tpmrm0', '', mode=0o600), self.lab.program_for_others()
        folder = self.lab.make_folder('theirs')
        os.chown(folder, NOBODY, NOBODY)
        result = self.lab.run(f'{program}/ssh-tpm-keygen', '-N', '', '-f', folder + '/x',
                              env={'HOME': folder, 'SSH_TPM_TCTI': f'device:{device}', **NO_LEAK_CHECK},
                              **AS_NOBODY)
        self.assert_error(result, 'hint: ', 'tss', device)
        self.assertNotIn('no such', result.stderr.lower())

    def test_the_library_underneath_does_not_talk(self):
        result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), status=1,
                                 env={'SSH_TPM_TCTI': 'swtpm:path=/nonexistent', 'TSS2_LOG': 'all+debug'})
        for line in result.stderr.splitlines():
            self.assertTrue(re.match(r'ssh-tpm-keygen: |hint: ', line), line)


class PipedInput(WithTpm):
    """Standard input is no terminal: what ssh-keygen reads from it, line by line, is read here too."""

    def setUp(self):
        super().setUp()
        self.program = f'{self.lab.bin}/ssh-tpm-keygen'
        self.theirs = ('ssh-keygen', '-q', '-t', 'ecdsa', '-a', '1')
        os.mkdir(self.lab.home + '/.ssh', 0o700)

    def has_pin(self, path, pin):
        """Whether the key of this program has it."""
        return self.lab.keygen('-p', '-f', path, '-P', pin, '-N', pin, status=None).returncode == 0

    def assert_nothing_written(self, *options, stdin, words=(), **more):
        before = contents(self.lab.home), contents(self.lab.keys)
        result = self.lab.keygen(*options, stdin=stdin, status=1, **more)
        self.assert_error(result, *words)
        self.assertEqual((contents(self.lab.home), contents(self.lab.keys)), before)

    def test_the_first_line_names_the_file_and_the_next_ones_are_the_pin(self):
        for pin in '', 'a pin':
            ours = self.lab.path('keys/ours' + pin)
            self.lab.keygen(stdin=f'{ours}\n{pin}\n{pin}\n')
            self.assertTrue(self.has_pin(ours, pin))
        self.assertFalse(self.has_pin(ours, 'x'))
        theirs = self.lab.path('theirs')
        self.lab.run(*self.theirs, stdin=f'{theirs}\n\n\n', status=0)
        self.lab.ssh_keygen('-y', '-P', '', '-f', theirs)
        for program, path in ((self.theirs, theirs), ((self.program,), self.lab.path('keys/named'))):
            self.lab.run(*program, '-f', path + '2', stdin='secret\nsecret\n', status=0)
        self.lab.ssh_keygen('-y', '-P', 'secret', '-f', theirs + '2')
        self.assertTrue(self.has_pin(self.lab.path('keys/named2'), 'secret'))
        self.assertEqual(os.listdir(self.lab.home + '/.ssh'), [])

    def test_carriage_returns_and_a_missing_newline_at_the_end_do_no_harm(self):
        path = self.lab.path('keys/x')
        self.lab.keygen(stdin=f'{path}\r\na pin\r\na pin')
        self.assertTrue(self.has_pin(path, 'a pin'))

    def test_where_a_pin_is_missing_no_key_is_made(self):
        hint = "hint: -N gives it; -N '' is for a key without a PIN"
        path = self.lab.path('keys/x')
        for stdin in None, '', '\n', f'{path}\n', f'{path}\nonce\n', f'{path}\na\nb\n':
            with self.subTest(stdin=stdin):
                self.assert_nothing_written(stdin=stdin, words=('no passphrase was given', hint))
        self.assert_nothing_written(stdin='x' * 2000 + '\n\n\n', words=('at most 1024 bytes',))
        self.assert_nothing_written(env={'DISPLAY': ':0', 'SSH_ASKPASS': '/bin/false'}, stdin='\n', words=(hint,))

    def test_a_display_has_askpass_ask_for_the_pin_and_the_file_is_still_read(self):
        askpass = Askpass(self.lab, 'a pin', 'a pin')
        path = self.lab.path('keys/x')
        self.lab.keygen(stdin=f'{path}\nno\nno\n', env=askpass.env)
        self.assertEqual(askpass.questions(), [f'Enter passphrase for "{path}.tpm" {FIRST}', SECOND])
        self.assertTrue(self.has_pin(path, 'a pin'))

    def test_on_a_terminal_the_pin_is_typed_there(self):
        ours, theirs = self.lab.path('keys/ours'), self.lab.path('theirs')
        for command, path in ((self.program, ours), (' '.join(self.theirs), theirs)):
            with Terminal(self.lab, 'sh', '-c', f"printf '{path}\\nno\\nno\\n' | {command}") as terminal:
                self.assertFalse(terminal.answer(FIRST, 'typed'))
                self.assertFalse(terminal.answer(SECOND, 'typed'))
                self.assertEqual(terminal.finish(), 0, terminal.transcript)
        self.lab.ssh_keygen('-y', '-P', 'typed', '-f', theirs)
        self.assertTrue(self.has_pin(ours, 'typed'))

    def test_whether_a_file_is_overwritten_is_read_as_ssh_keygen_reads_it(self):
        ours, theirs = self.lab.path('keys/x'), self.lab.path('theirs')
        for program, path, file in (((self.program, '-q'), ours, ours + '.tpm'), (self.theirs, theirs, theirs)):
            self.lab.run(*program, '-N', '', '-f', path, status=0)
            for options, before in ((('-f', path), ''), ((), path + '\n')):
                for answer, changes in (('y\n', True), ('yes', True), ('Y\n', True), ('n\n', False), ('\n', False),
                                        ('no, not y\n', False), ('', False)):
                    with self.subTest(program=program, options=options, answer=answer):
                        old = read(file)
                        result = self.lab.run(*program, '-N', '', *options, stdin=before + answer)
                        self.assertEqual((result.returncode, read(file) != old), (not changes, changes), result.stderr)
                        self.assertIn(f'{file} already exists.\nOverwrite (y/n)? ', result.stdout)

    def test_the_ways_to_take_the_default_file_that_people_know(self):
        default = self.lab.home + '/.ssh/id_ecdsa.tpm'
        old = None
        for stdin, changes in (('\n', True), ('\ny\n', True), (None, False), ('\0' * 9000, False)):
            status = self.lab.keygen('-q', '-N', '', stdin=stdin, status=None).returncode
            self.assertEqual((status, read(default) != old), (not changes, changes), stdin)
            old = read(default)
        for stdin in None, '\0' * 9000:
            os.unlink(default)
            os.unlink(default.replace('.tpm', '.pub'))
            self.lab.keygen('-q', '-N', '', stdin=stdin)

    def test_the_other_modes_read_the_file_and_what_follows_it(self):
        key = self.lab.make_key('x', pin='old')
        self.lab.keygen('-p', stdin=f'{key.path}\nold\nnew\nnew\n')
        self.assertTrue(self.has_pin(key.path, 'new'))
        self.lab.keygen('-c', stdin=f'{key.path}\nanother comment\n')
        self.assert_nothing_written('-c', stdin=key.path, words=('no comment was given', 'hint: -C'))
        self.assert_nothing_written('-p', stdin=key.path + '\nnew\n', words=('no passphrase was given', 'hint: -N'))
        self.assert_nothing_written('-p', stdin=key.path, words=('no passphrase was given', 'hint: -P'))
        for options, printed in ((('-l',), self.lab.ssh_keygen('-l', '-f', key.pub)), (('-q', '-y'), read(key.pub))):
            self.assertEqual(self.lab.keygen(*options, stdin=key.path + '\n').stdout, printed)

    def test_an_import_reads_the_passphrase_whether_to_overwrite_and_the_pin(self):
        theirs = self.lab.path('theirs')
        self.lab.run(*self.theirs, '-m', 'PEM', '-N', 'secret', '-f', theirs, status=0)
        for stdin in 'secret\na pin\na pin\n', 'secret\ny\na pin\na pin\n':
            self.lab.keygen('--import', theirs, stdin=stdin)
            self.assertTrue(self.has_pin(theirs, 'a pin'))
        self.assert_nothing_written('--import', theirs, stdin='secret\n', words=('already exists',))
        self.assert_nothing_written('--import', theirs, stdin='', words=('no passphrase was given', 'hint: -P'))


class KeygenDialogue(WithTpm):
    def talk(self, *options, answers):
        return talk(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', *options, answers=answers)

    def test_the_dialogue_is_the_one_of_ssh_keygen(self):
        ecdsa, asked, named = ('-t', 'ecdsa', '-C', 'c'), ((FILE, None),), ('-f', None)  # None is the file
        mistyped = ((FIRST, 'one two'), (SECOND, 'one'), (FIRST, 'one two'), (SECOND, 'one two'))
        rsa = ('-t', 'rsa', '-b', '2048', '-C', 'a comment')
        for number, (options, answers) in enumerate((
                (ecdsa, (*asked, *mistyped)), (rsa, (*asked, (FIRST, ''), (SECOND, ''))),
                ((*ecdsa, '-N', '', *named), ()), ((*ecdsa, '-N', 'secret', *named), ()))):
            with self.subTest(options=options):
                played = []
                theirs = [(tools.name, (tools.path('ssh-keygen'), '-a', '1')) for tools in openssh.generations()]
                for name, program in (('ours', (f'{self.lab.bin}/ssh-tpm-keygen',)), *theirs):
                    path = os.path.join(self.lab.make_folder(f'{name}{number}'), 'key')
                    status, shown = talk(self.lab, *program, *[path if each is None else each for each in options],
                                         answers=[(prompt, path if text is None else text) for prompt, text in answers])
                    shown = re.sub(r'\(/[^)]*/\.ssh/id_', '(default', shown.replace(path + '.tpm', path))
                    # OpenSSH 9.2 names no file here.
                    shown = shown.replace(f'Enter passphrase {FIRST}', f'Enter passphrase for "{path}" {FIRST}')
                    played.append((status, comparable(shown.replace(path, 'PATH'))))
                self.assertEqual(played, [(0, played[0][1])] * len(played))

    def test_the_whole_dialogue_for_the_default_file(self):
        path = os.path.join(self.lab.home, '.ssh/id_ecdsa')
        status, shown = self.talk('-C', 'me', answers=[(path + '): ', ''), (FIRST, ''), (SECOND, '')])
        self.assertEqual(status, 0, shown)
        line, *art = self.lab.ssh_keygen('-lv', '-f', path + '.pub').split('\n')
        self.assertEqual(shown.split('\n'), [
            'Generating public/private ecdsa key pair.',
            f'{FILE}{path}): ',
            f"Created directory '{os.path.dirname(path)}'.",
            f'Enter passphrase for "{path}.tpm" {FIRST}', SECOND,
            f'Your identification has been saved in {path}.tpm',
            f'Your public key has been saved in {path}.pub',
            'The key fingerprint is:',
            f'{line.split()[1]} me',
            "The key's randomart image is:",
            *art])
        self.assertEqual(mode(os.path.dirname(path)), 0o700)

    def test_passphrases_are_not_shown_and_echo_comes_back(self):
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', '-f', self.lab.path('keys/x')) as terminal:
            self.assertTrue(terminal.echoes())
            self.assertFalse(terminal.answer(FIRST, 'unseen'))
            self.assertFalse(terminal.answer(SECOND, 'unseen'))
            self.assertEqual(terminal.finish(), 0)
            self.assertTrue(terminal.echoes())
            self.assertNotIn('unseen', terminal.transcript)

    def test_only_a_yes_overwrites_and_the_question_is_the_one_of_ssh_keygen(self):
        key, theirs = self.lab.make_key('x'), self.lab.path('theirs')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', theirs)
        _, expected = talk(self.lab, 'ssh-keygen', '-t', 'ecdsa', '-N', '', '-f', theirs, answers=[(OVERWRITE, 'n')])
        before = contents(self.lab.keys)
        for answer in ('n', '', 'no', 'x', '\x04'):  # the last one is the end of file
            with self.subTest(answer=answer):
                status, shown = self.talk('-N', '', '-f', key.path, answers=[(OVERWRITE, answer)])
                self.assertEqual(status, 1)
                if answer == 'n':
                    self.assertEqual(shown.replace(key.tpm, theirs), expected)
                self.assertEqual(contents(self.lab.keys), before)
        for answer in ('y', 'yes', 'Y'):
            status, _ = self.talk('-N', '', '-C', 'new', '-f', key.path, answers=[(OVERWRITE, answer)])
            made = read_key(key.path)
            self.assertEqual((status, made.comment), (0, 'new'))
            self.assertNotEqual(made.blob, key.blob)
            key = made

    def test_a_pin_that_is_too_long_is_refused_and_makes_no_key(self):
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', '-f', self.lab.path('keys/x')) as terminal:
            terminal.answer(FIRST, 'x' * 33)
            if SECOND in terminal.read_until(SECOND, '32 bytes'):  # it may refuse after either of them
                terminal.type('x' * 33 + '\n')
                terminal.read_until('32 bytes')
            self.assertFalse(os.listdir(self.lab.keys))


if __name__ == '__main__':
    unittest.main()
