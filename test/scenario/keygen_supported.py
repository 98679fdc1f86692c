#!/usr/bin/env python3
"""ssh-tpm-keygen --supported lists what the TPM really makes: no more and no less."""

import unittest

from lab import Scenario
from swtpm import Probe, Swtpm

SIZES = {'ecdsa': (256, 384, 521), 'rsa': (2048, 3072, 4096)}


class KeygenSupported(Scenario):
    def listed(self, **more):
        """Type → sizes, from lines such as "ecdsa bit lengths: 256 384 521"."""
        result = self.lab.keygen('--supported', **more)
        self.assertEqual(result.stderr, '')
        found = {}
        for line in result.stdout.splitlines():
            words, _, sizes = line.partition(':')
            self.assertNotIn(words.split()[0], found)
            found[words.split()[0]] = tuple(map(int, sizes.split()))
        return found

    def test_what_is_listed_can_be_made_and_what_is_not_cannot(self):
        tpm = Swtpm(self.lab)
        listed = self.listed()
        self.assertEqual(list(listed), ['ecdsa', 'rsa'])
        for kind, sizes in SIZES.items():
            self.assertLessEqual(set(listed[kind]), set(sizes))
            for bits in sizes:
                with self.subTest(kind=kind, bits=bits):
                    made = self.lab.keygen('-q', '-t', kind, '-b', str(bits), '-N', '', '-f',
                                           self.lab.path(f'keys/{kind}{bits}'), status=None)
                    self.assertEqual(made.returncode == 0, bits in listed[kind], made.stderr)
        tpm.assert_no_handles()

    def test_the_tpm_is_asked(self):
        probe = Probe(Swtpm(self.lab))
        self.listed(env={'SSH_TPM_TCTI': probe.tcti})
        with open(probe.file, encoding='ascii') as file:
            commands = {line.split()[0] for line in file}
        self.assertTrue(commands & {'TPM2_TestParms', 'TPM2_GetCapability'}, commands)
        self.assertFalse(commands & {'TPM2_Create', 'TPM2_CreatePrimary'}, commands)

    def test_without_a_tpm_it_is_an_error(self):
        result = self.lab.keygen('--supported', status=None, env=self.lab.no_tpm)
        self.assert_error(result, 'hint: ', '--swtpm')
        self.assertEqual(result.stdout, '')


if __name__ == '__main__':
    unittest.main()
