#!/usr/bin/env python3
"""ssh-tpm-keygen prints fingerprints, randomart and public keys as ssh-keygen does, byte for byte."""

import unittest

from lab import KINDS, Scenario, read
from swtpm import Swtpm
from terminal import talk

FORMS = (('-l',), ('-l', '-v'), ('-lv',), ('-l', '-E', 'md5'), ('-lv', '-E', 'md5'), ('-l', '-E', 'sha256'))


class Fingerprints(Scenario):
    def expect(self, options, path, expected_path):
        ours = self.lab.keygen(*options, '-f', path)
        theirs = self.lab.run('ssh-keygen', *options, '-f', expected_path, status=0)
        self.assertEqual((ours.stdout, ours.stderr), (theirs.stdout, theirs.stderr))

    def test_fingerprints_of_private_and_public_files_are_those_of_ssh_keygen(self):
        Swtpm(self.lab)
        for kind, bits in KINDS:
            key = self.lab.make_key(f'{kind}{bits}', kind, bits, comment=f'my {kind} key')
            for form in FORMS:
                with self.subTest(kind=kind, bits=bits, form=form):
                    self.expect(form, key.tpm, key.pub)
                    self.expect(form, key.pub, key.pub)

    def test_public_keys_of_other_types_have_fingerprints_too(self):
        path = self.lab.path('keys/software')
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-C', 'soft', '-f', path)
        for form in FORMS:
            self.expect(form, path + '.pub', path + '.pub')

    def test_certificates_are_shown_as_certificates(self):
        Swtpm(self.lab)
        authority = self.lab.path('ca')
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-N', '', '-f', authority)
        keys = [self.lab.make_key('ecdsa', 'ecdsa', 384, comment='two words').path,
                self.lab.make_key('rsa', 'rsa', 2048).path, authority]
        for path in keys:
            self.lab.ssh_keygen('-q', '-s', authority, '-I', 'a person', path + '.pub')
            for form in FORMS:
                with self.subTest(path=path, form=form):
                    self.expect(form, path + '-cert.pub', path + '-cert.pub')

    def test_a_file_of_several_keys_is_shown_line_by_line(self):
        lines = []
        for kind, bits in (('ed25519', 256), ('ecdsa', 521), ('rsa', 2048)):
            path = self.lab.path(kind)
            self.lab.ssh_keygen('-q', '-t', kind, '-b', str(bits), '-N', '', '-C', 'a b', '-f', path)
            lines.append(read(path + '.pub'))
        without_comment = ' '.join(lines[1].split()[:2]) + '\n'
        lists = {'several': ''.join(lines), 'with remarks': '# remark\n\n' + lines[0] + '\n' + lines[1],
                 'no comment': without_comment, 'without its newline': lines[2].rstrip('\n'),
                 'options': 'command="a b",no-pty ' + lines[0], 'hosts': 'one,two ' + lines[1],
                 'blanks': '   ' + lines[0].replace(' ', '\t', 1)}
        for name, text in lists.items():
            path = self.lab.write('list', text)
            for form in (('-l',), ('-lv',)):
                with self.subTest(name=name, form=form):
                    self.expect(form, path, path)

    def test_standard_input_is_a_file_named_dash(self):
        Swtpm(self.lab)
        key = self.lab.make_key('x', 'rsa', 2048, comment='two words')
        for form in FORMS:
            with self.subTest(form=form):
                theirs = self.lab.ssh_keygen(*form, '-f', '-', stdin=read(key.pub))
                for text in (read(key.pub), read(key.tpm)):
                    ours = self.lab.keygen(*form, '-f', '-', stdin=text)
                    self.assertEqual((ours.stdout, ours.stderr), (theirs, ''))
        for command in (('-y', '-f', '-'), ('--print-pubkey', '-')):
            self.assertEqual(self.lab.keygen(*command, stdin=read(key.tpm)).stdout, read(key.pub))
        for command in (('-l', '-f', '-'), ('-y', '-f', '-')):
            for text in ('', 'no key\n', read(key.tpm)[:200]):
                self.assert_error(self.lab.keygen(*command, stdin=text, status=None))

    def test_the_file_is_asked_for_as_ssh_keygen_does(self):
        Swtpm(self.lab)
        key = self.lab.make_key('x', comment='two words')
        question = 'Enter file in which the key is ('
        for option, expected in (('-l', self.lab.ssh_keygen('-l', '-f', key.pub)), ('-y', read(key.pub))):
            with self.subTest(option=option):
                status, shown = talk(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', option,
                                     answers=[(question, key.tpm)])
                self.assertEqual(status, 0, shown)
                self.assertTrue(shown.endswith(f'): {key.tpm}\n{expected}'), shown)

    def test_a_file_without_its_suffix_is_found(self):
        Swtpm(self.lab)
        key = self.lab.make_key('x')
        self.expect(('-l',), key.path, key.pub)

    def test_the_public_key_is_printed_as_its_file_has_it(self):
        tpm = Swtpm(self.lab)
        for kind, bits in KINDS:
            key = self.lab.make_key(f'{kind}{bits}', kind, bits, comment='two words')
            for command in (('-y', '-f', key.tpm), ('--print-pubkey', key.tpm), ('-print-pubkey', key.tpm)):
                with self.subTest(kind=kind, bits=bits, command=command):
                    self.assertEqual(self.lab.keygen(*command).stdout, read(key.pub))
        tpm.assert_no_handles()

    def test_neither_needs_a_tpm(self):
        tpm = Swtpm(self.lab)
        key = self.lab.make_key('x')
        tpm.process.end()
        self.assertEqual(self.lab.keygen('-l', '-f', key.tpm).stdout.split()[3], '(ECDSA)')
        self.assertEqual(self.lab.keygen('-y', '-f', key.tpm).stdout, key.line + '\n')

    def test_the_public_file_is_not_needed_for_the_public_key(self):
        Swtpm(self.lab)
        key = self.lab.make_key('x')
        alone = self.lab.write('alone.tpm', read(key.tpm), mode=0o600)
        self.assertEqual(self.lab.keygen('-y', '-f', alone).stdout, read(key.pub))

    def test_missing_and_broken_files_and_unknown_hashes_are_errors(self):
        broken = self.lab.write('broken.tpm', 'no key')
        for options in (('-l', '-f', self.lab.path('absent')), ('-y', '-f', self.lab.path('absent.tpm')),
                        ('-l', '-f', broken), ('-y', '-f', broken), ('--print-pubkey', broken)):
            with self.subTest(options=options):
                self.assert_error(self.lab.keygen(*options, status=None), options[-1])
        self.assert_error(self.lab.keygen('-l', '-E', 'crc32', '-f', broken, status=None), 'crc32', status=2)


if __name__ == '__main__':
    unittest.main()
