#!/usr/bin/env python3
"""ssh-tpm-keygen prints fingerprints, randomart and public keys as ssh-keygen does, byte for byte."""

import unittest

from lab import KINDS, Scenario, read
from swtpm import Swtpm

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
