#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-doctor as root, on a host whose keys are in the TPM, or are on the way there."""

import os
import shutil
import unittest

from findings import read_findings
from lab import contents, needs_root, read
from live_system import PROGRAMS, LiveSystem

KNOWN = '/etc/ssh/ssh_tpm_known_tpms'


@needs_root
class Host(LiveSystem):
    def setUp(self):
        super().setUp()
        self.tools = self.lab.make_folder('tools')
        self.lab.env['PATH'] = f'{self.tools}:{self.lab.env["PATH"]}'
        self.tool('systemctl', 'exit 1')
        self.lab.env['SSH_AUTH_SOCK'] = ''

    def tool(self, name, script):
        self.lab.write(f'tools/{name}', f'#!/bin/sh\n{script}\n', mode=0o755)

    def doctor(self):
        return read_findings(self.run_there(PROGRAMS + '/ssh-tpm', 'doctor', '--json'))['checks']

    def found(self, name, subject=''):
        [check] = [check for check in self.doctor() if (check['check'], check['subject']) == (name, subject)]
        return check


class StorageKey(Host):
    def known(self):
        shutil.copy(self.lab.path('stock' + KNOWN), self.etc + '/ssh')

    def test_a_host_without_the_file_has_nothing_to_compare(self):
        self.assertNotIn(KNOWN, [check['subject'] for check in self.doctor()])

    def test_the_storage_key_is_compared_with_that_of_the_host_keys_and_renewed_by_the_hint(self):
        self.make_keys()
        self.known()
        before = contents(self.etc)
        self.assertIn('its Name is known', self.found('tpm-storage-key', KNOWN)['text'])
        shutil.rmtree(self.lab.path('state'))  # of root, who has used no key of this TPM
        self.tpm.tool('tpm2_clear', '-c', 'p')
        self.assertIn('its Name is not known yet', self.found('tpm-storage-key')['text'])
        found = self.found('tpm-storage-key', KNOWN)
        self.assertEqual(found['status'], 'fail')
        self.assertIn('is not the one that is known', found['text'])
        self.assertIn('use ssh-tpm hostkeys --renew to accept', found['hint'])
        self.assertEqual(contents(self.etc), before)
        self.tpm.assert_no_handles()
        self.hostkeys('--renew', '--yes')
        self.assertIn('its Name is known', self.found('tpm-storage-key', KNOWN)['text'])

    def test_a_file_that_is_malformed(self):
        self.lab.write('root' + KNOWN, 'nonsense\n')
        self.assertIn('mend or delete that line', self.found('tpm-storage-key', KNOWN)['hint'])
        self.assertEqual(read(self.lab.path('root' + KNOWN)), 'nonsense\n')


if __name__ == '__main__':
    unittest.main()
