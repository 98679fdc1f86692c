#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""On a TPM without ECC, RSA keys are made and used under the RSA storage key, those of other programs too."""

import os
import re
import unittest

import keyfile
from agent import Agent, Askpass
from lab import read, read_key
from softkey import SoftKey
from stock import Probed
from swtpm import STORAGE_KEY

PIN, PASSWORD = 'a pin 4321', 'owner password 5'
OWNER = {'SSH_TPM_AGENT_OWNER_PASSWORD': PASSWORD}
RSA_STORAGE = ('-C', 'o', '-G', 'rsa2048:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY)


class NoEcc(Probed):
    def setUp(self):
        super().setUp()
        self.probe.fail('* no-ecc')
        self.parent = self.lab.path('parent.ctx')

    def make(self, name='x', *options, status=0, **more):
        result = self.lab.keygen('-q', '-t', 'rsa', '-f', self.lab.path('keys', name), *(options or ('-N', '')),
                                 status=status, **more)
        return result if status != 0 else read_key(self.lab.path('keys', name))

    def known(self):
        return [line.split()[0] for line in read(self.lab.path('state/ssh-tpm/known_tpms')).splitlines()]

    def assert_names_rsa(self, *keys):
        for key in keys:
            self.assertIn(keyfile.RSA_PARENT, dict(keyfile.fields(key.tpm)))

    def make_persistent(self):
        self.tpm.craft('tpm2_createprimary', *RSA_STORAGE, '-c', self.parent)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', self.parent, '0x81000001')

    def test_the_simulation_refuses_what_tpm2_tools_ask_of_it(self):
        for options, status in ((('-G', 'ecc256'), 1), (('-G', 'rsa2048'), 0)):
            result = self.lab.run('tpm2_createprimary', '-C', 'o', *options, '-c', self.parent, '-T', self.probe.tcti)
            self.assertEqual(result.returncode, status, result.stderr)
        said = self.lab.run('tpm2_getcap', 'algorithms', '-T', self.probe.tcti, status=0).stdout
        self.assertIn('rsa:', said)
        self.assertEqual(re.findall(r'(?m)^(?:ecc|ecd\w+)', said), [])
        self.tpm.tool('tpm2_flushcontext', '-t')

    def test_keys_are_made_and_sign_with_and_without_a_pin(self):
        self.assertEqual(re.findall(r'(?m)^\w+', self.lab.keygen('--supported').stdout), ['rsa'])
        keys = [self.make('free'), self.make('guarded', '-N', PIN), self.make('endorsed', '-N', '', '--parent-handle',
                                                                             'endorsement')]
        self.assert_names_rsa(*keys)
        self.assertEqual(self.known(), ['owner-ecc', 'owner-rsa', 'endorsement-ecc', 'endorsement-rsa'])
        self.assert_new_agent_signs(*keys, answers=[PIN])
        self.lab.keygen('-p', '-f', keys[1].tpm, '-P', PIN, '-N', '')
        self.assert_new_agent_signs(keys[1])
        self.assert_names_rsa(keys[1])

    def test_a_key_of_tpm2_openssl_signs(self):
        path = self.lab.path('keys/openssl.tpm')
        self.lab.run('openssl', 'genpkey', '-provider', 'tpm2', '-algorithm', 'RSA', '-out', path, status=0,
                     env={'TPM2OPENSSL_TCTI': self.probe.tcti, 'TSS2_LOG': 'all+none'})
        self.assertNotIn(keyfile.RSA_PARENT, dict(keyfile.fields(path)))  # it does not know the field
        self.lab.write('keys/openssl.pub', self.lab.keygen('-y', '-f', path).stdout)
        self.assert_new_agent_signs(read_key(self.lab.path('keys/openssl')))

    def test_an_ecdsa_key_is_refused_with_the_option_that_works(self):
        for options in ((), ('-t', 'ecdsa', '-b', '384')):
            result = self.lab.keygen(*options, '-N', '', '-f', self.lab.path('keys/x'), status=None)
            self.assert_error(result, 'cannot make ECDSA', 'hint: it has RSA 2048', '-t rsa')
        soft, askpass = SoftKey(self.lab, self.lab.path('soft')), Askpass(self.lab, PIN, PIN)
        result = self.lab.keygen('--import', soft.path, '-f', self.lab.path('keys/x'), status=None, env=askpass.env)
        self.assert_error(result, 'cannot make ECDSA', 'hint: it has RSA 2048')
        self.assertEqual(askpass.questions(), [])
        self.assertEqual(os.listdir(self.lab.keys), [])

    def test_host_keys_leave_ecdsa_out_in_words(self):
        prefix = self.lab.make_folder('prefix')
        result = self.lab.keygen('-A', '-f', prefix)
        self.assertIn('warning: this TPM makes no ECDSA 256 keys', result.stderr)
        self.assertEqual(sorted(os.listdir(prefix + '/etc/ssh')),
                         ['ssh_tpm_host_rsa_key.pub', 'ssh_tpm_host_rsa_key.tpm', 'ssh_tpm_known_tpms'])
        self.assert_new_agent_signs(read_key(prefix + '/etc/ssh/ssh_tpm_host_rsa_key'), key_dir=prefix + '/etc/ssh')

    def test_keys_come_in_and_from_other_machines(self):
        soft = SoftKey.ready_made(self.lab, self.lab.path('rsa'))
        self.lab.keygen('-q', '--import', soft.path, '-N', PIN, '-f', self.lab.path('keys/brought'))
        # The command of the hint, as it says for a TPM without ECC.
        hint = self.lab.keygen('--wrap', soft.path, '--wrap-with', self.lab.write('empty', ''), '-N', '', '-f',
                               self.lab.path('wrapped'), status=None).stderr
        self.assertIn('-G rsa2048:aes128cfb', hint)
        self.tpm.craft('tpm2_createprimary', *RSA_STORAGE, '-c', self.parent, '-f', 'pem', '-o',
                       self.lab.path('parent.pem'))
        self.lab.keygen('--wrap', soft.path, '--wrap-with', self.lab.path('parent.pem'), '-N', PIN, '-f',
                        self.lab.path('wrapped'), env=self.lab.no_tpm)
        self.lab.keygen('--import', self.lab.path('wrapped.tpm'), '-f', self.lab.path('keys/unwrapped'), '-P', PIN)
        keys = [read_key(self.lab.path('keys', name)) for name in ('brought', 'unwrapped')]
        self.assert_names_rsa(*keys)
        for key in keys:
            self.assert_new_agent_signs(key, answers=[PIN])

    def test_a_file_of_tpm2_tools_that_names_the_owner_alone_signs(self):
        self.tpm.craft('tpm2_createprimary', *RSA_STORAGE, '-c', self.parent)
        self.assert_new_agent_signs(self.other_writers_key())

    def other_writers_key(self):
        public, private, path = (self.lab.path(name) for name in ('k.pub', 'k.priv', 'keys/tools.tpm'))
        self.tpm.craft('tpm2_create', '-C', self.parent, '-G', 'rsa2048', '-a',
                       'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign', '-u', public, '-r', private)
        self.tpm.craft('tpm2_encodeobject', '-C', self.parent, '-u', public, '-r', private, '-o', path)
        parts = keyfile.fields(path)  # version 5.4 of the tool writes emptyAuth FALSE
        self.lab.write('keys/tools.tpm', keyfile.build(keyfile.with_field(
            parts, keyfile.EMPTY_AUTH, keyfile.tlv(keyfile.BOOLEAN, b'\xff'))))
        self.assertNotIn(keyfile.RSA_PARENT, dict(keyfile.fields(path)))
        self.lab.write('keys/tools.pub', self.lab.keygen('-y', '-f', path).stdout)
        return read_key(self.lab.path('keys/tools'))

    def test_an_owner_password_goes_through_a_session_of_an_rsa_key(self):
        self.tpm.craft('tpm2_changeauth', '-c', 'o', PASSWORD)
        key = self.make('x', '-N', PIN, env=OWNER)
        self.assert_new_agent_signs(key, answers=[PIN], env=OWNER)
        self.make_persistent_with_password()
        self.assert_new_agent_signs(key, answers=[PIN])
        traffic = self.probe.bytes()
        for secret in (PIN, PASSWORD):
            self.assertNotIn(secret.encode(), traffic)

    def make_persistent_with_password(self):
        self.tpm.craft('tpm2_createprimary', *RSA_STORAGE, '-P', PASSWORD, '-c', self.parent)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-P', PASSWORD, '-c', self.parent, '0x81000001')

    def test_with_a_persistent_storage_key_no_owner_password_is_needed(self):
        self.make_persistent()
        key = self.make('x', '-N', PIN)
        self.tpm.craft('tpm2_changeauth', '-c', 'o', PASSWORD)
        keys = key, self.make('y'), self.other_writers_key()
        self.assert_new_agent_signs(*keys, answers=[PIN])

    def test_a_tpm_that_has_ecc_all_at_once_is_another_one(self):
        self.make('x')
        self.probe.heal()
        result = self.make('y', '-N', PIN, status=1)
        self.assert_error(result, 'known_tpms')
        self.assertNotIn('y.tpm', os.listdir(self.lab.keys))

    def test_the_persistent_storage_key_saves_making_it(self):
        self.make_persistent()
        key = self.make()
        self.probe.take(refused=self.probe.lines())
        agent = Agent(self.lab)
        agent.sign_and_check(key)
        agent.stop()
        asked_for_ecc = 'TPM2_TestParms 0x000001ca'  # TPM_RC_TYPE
        self.assertNotIn('TPM2_CreatePrimary', self.probe.take(refused=(asked_for_ecc,)))


if __name__ == '__main__':
    unittest.main()
