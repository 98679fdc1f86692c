#!/usr/bin/env python3
"""ssh-tpm-keygen creates keys: the files, their modes and content, and what it refuses."""

import os
import pwd
import re
import shutil
import socket
import unittest

import keyfile
from lab import AS_NOBODY, KINDS, NO_LEAK_CHECK, NOBODY, Scenario, contents, mode, needs_root, read, read_key
from swtpm import Probe, Swtpm

CURVES = {256: 'ecdsa-sha2-nistp256', 384: 'ecdsa-sha2-nistp384', 521: 'ecdsa-sha2-nistp521'}


class KeygenCreates(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def refuse(self, *options, status, words=()):
        """Demands a refusal that leaves no file behind."""
        result = self.lab.keygen('-f', self.lab.path('keys/no'), '-N', '', *options, status=None)
        self.assert_error(result, *words, status=status)
        self.assertEqual(os.listdir(self.lab.keys), [])
        return result

    def test_every_type_and_size_gets_a_private_and_a_public_file(self):
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                key = self.lab.make_key(f'{kind}{bits}', kind, bits, comment='two words')
                self.assertEqual(mode(key.tpm), 0o600)
                self.assertEqual(mode(key.pub), 0o644)
                self.assertEqual(key.algorithm, CURVES[bits] if kind == 'ecdsa' else 'ssh-rsa')
                self.assertEqual(key.comment, 'two words')
                line = self.lab.ssh_keygen('-l', '-f', key.pub)
                self.assertRegex(line, rf'^{bits} SHA256:\S+ two words \({kind.upper()}\)\n$')
                keyfile.read_der(key.tpm)
        self.assertEqual(len(os.listdir(self.lab.keys)), 2 * len(KINDS))
        self.tpm.assert_no_handles()

    def test_the_modes_do_not_depend_on_the_umask(self):
        for umask in (0o000, 0o077):
            key = self.lab.make_key(f'umask{umask}', umask=umask)
            self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))

    def test_ecdsa_256_and_rsa_2048_are_the_sizes_when_none_is_named(self):
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            path = self.lab.path('keys', kind)
            self.lab.keygen('-q', '-t', kind, '-N', '', '-f', path)
            self.assertEqual(self.lab.ssh_keygen('-l', '-f', path + '.pub').split()[0], str(bits))

    def test_ecdsa_is_the_type_when_none_is_named(self):
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'))
        self.assertEqual(read_key(self.lab.path('keys/x')).algorithm, 'ecdsa-sha2-nistp256')

    def test_options_work_with_two_dashes_and_with_one(self):
        for number, option in enumerate(('--tcti', '-tcti')):
            self.lab.keygen('-q', '-N', '', '-f', self.lab.path(f'keys/{number}'), option, self.tpm.tcti,
                            env={'SSH_TPM_TCTI': 'device:/nonexistent'})

    def test_the_comment_is_user_at_host_when_none_is_given(self):
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'))
        user = pwd.getpwuid(os.geteuid()).pw_name
        self.assertEqual(read_key(self.lab.path('keys/x')).comment, f'{user}@{socket.gethostname()}')

    def test_the_suffix_of_the_private_file_is_dropped_from_the_path(self):
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x.tpm'))
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['x.pub', 'x.tpm'])

    def test_an_option_of_ssh_keygen_does_what_it_does_there(self):
        path = self.lab.path('keys/x')
        told = self.lab.keygen('-P', '1234', '-E', 'md5', '-f', path).stdout
        self.assertIn(self.lab.ssh_keygen('-l', '-E', 'md5', '-f', path + '.pub').split()[1], told)
        self.assertIn('[MD5]', told)
        self.lab.keygen('-p', '-f', path, '-P', '1234', '-N', '')  # it was the PIN
        for kind in ('ecdsa', 'rsa'):
            self.lab.keygen('-q', '-t', kind, '-N', '')
            printed = self.lab.keygen('-y', '-t', kind, '-P', '').stdout
            self.assertEqual(printed, read(os.path.join(self.lab.home, f'.ssh/id_{kind}.pub')))

    def test_quiet_says_nothing(self):
        result = self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'))
        self.assertEqual((result.stdout, result.stderr), ('', ''))

    def test_a_key_without_a_pin_says_so_in_its_file_and_one_with_a_pin_does_not(self):
        for pin, empty in (('', True), ('1234', False)):
            fields = dict(keyfile.fields(self.lab.make_key('pin' + pin, pin=pin).tpm))
            marked = keyfile.EMPTY_AUTH in fields and fields[keyfile.EMPTY_AUTH][-1] != 0
            self.assertEqual(marked, empty)

    def test_a_newline_on_standard_input_takes_the_default_file(self):
        self.lab.keygen('-t', 'rsa', '-N', '', stdin='\n')
        folder = os.path.join(self.lab.home, '.ssh')
        self.assertEqual(sorted(os.listdir(folder)), ['id_rsa.pub', 'id_rsa.tpm'])
        self.assertEqual(mode(folder), 0o700)

    def test_the_key_signs_in_the_tpm_before_its_file_is_written(self):
        probe = Probe(self.tpm)
        self.lab.make_key('x', env={'SSH_TPM_TCTI': probe.tcti})
        commands = probe.take()
        self.assertIn('TPM2_Create', commands)
        self.assertIn('TPM2_Sign', commands[commands.index('TPM2_Create'):])

    def test_a_size_that_this_tpm_lacks_is_an_error_that_lists_those_it_has(self):
        options = ('-t', 'rsa', '-b', '4096', '-N', '', '-f', self.lab.path('keys/x'))
        result = self.lab.keygen(*options, status=None)
        if result.returncode == 0:
            self.skipTest('this emulator has RSA 4096')
        self.assert_error(result, '4096', '2048', '3072')
        self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()

    def test_unknown_types_and_sizes_are_usage_errors(self):
        for kind, bits in (('dsa', '256'), ('ed25519', '256'), ('', '256'), ('ecdsa', '255'), ('ecdsa', '0'),
                           ('ecdsa', '-256'), ('ecdsa', '256x'), ('ecdsa', ''), ('ecdsa', '9' * 20),
                           ('ecdsa', '2048'), ('rsa', '1024'), ('rsa', '256')):
            with self.subTest(kind=kind, bits=bits):
                self.refuse('-t', kind, '-b', bits, status=2)

    def test_the_refusal_of_a_type_names_the_types_there_are(self):
        self.refuse('-t', 'dsa', status=2, words=('dsa', 'ecdsa', 'rsa'))

    def test_unknown_options_stray_words_and_missing_values_are_usage_errors(self):
        for options in (('--no-such-option',), ('-Z',), ('stray',), ('-t',)):
            with self.subTest(options=options):
                result = self.lab.keygen(*options, status=2)
                self.assertEqual(result.stdout, '')
                self.assertNotEqual(result.stderr, '')

    def test_an_existing_file_is_refused_without_a_terminal_and_nothing_changes(self):
        self.lab.make_key('x')
        before = contents(self.lab.keys)
        for stdin in (None, '', 'n\n', 'y\n'):
            result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), stdin=stdin, status=1)
            self.assertIn('already exists', result.stdout + result.stderr)
            self.assertEqual(contents(self.lab.keys), before)

    def test_a_lone_public_file_of_that_name_is_not_overwritten_either(self):
        self.lab.write('keys/x.pub', 'the public half of something else\n')
        before = contents(self.lab.keys)
        self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), status=1)
        self.assertEqual(contents(self.lab.keys), before)

    def test_a_folder_that_does_not_exist_is_an_error(self):
        result = self.lab.keygen('-N', '', '-f', self.lab.path('nowhere/x'), status=None)
        self.assert_error(result, 'nowhere')
        self.assertFalse(os.path.exists(self.lab.path('nowhere')))

    def test_a_missing_tpm_is_an_error_with_a_hint_at_the_emulator(self):
        missing = [self.lab.path('no-such-device')]
        if not os.path.exists('/dev/tpmrm0'):
            missing.append(None)  # the default
        for path in missing:
            with self.subTest(path=path):
                conf = path and f'device:{path}'
                result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), env={'SSH_TPM_TCTI': conf},
                                         status=None)
                self.assert_error(result, 'hint: ', '--swtpm', path or '/dev/tpmrm0')
        self.assertEqual(os.listdir(self.lab.keys), [])

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

    def test_the_program_works_from_a_link_anywhere(self):
        link = self.lab.path('ssh-tpm-keygen')
        os.symlink(shutil.which('ssh-tpm', path=self.lab.bin), link)
        self.lab.run(link, '-q', '-N', '', '-f', self.lab.path('keys/x'), status=0)
        read_key(self.lab.path('keys/x'))


if __name__ == '__main__':
    unittest.main()
