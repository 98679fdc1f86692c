#!/usr/bin/env python3
"""Keys of tpm2-tools and tpm2-openssl sign, whatever the shape of their files; what cannot is explained."""

import os
import unittest

import keyfile
from agent import Agent, Askpass
from lab import Scenario, contents, read_key
from swtpm import STORAGE_KEY, Probe, Swtpm

PROVIDERS = ('-provider', 'tpm2', '-provider', 'default')
OWN, SIGNING = 'fixedtpm|fixedparent|sensitivedataorigin', 'userwithauth|sign'
PARENTS = {'ecc': 'ecc256:aes128cfb', 'rsa': 'rsa2048:aes128cfb'}
PIN, OTHER = 'a foreign pin', 'a pin of ours'
POLICY_PCR = bytes.fromhex('017f')  # TPM_CC_PolicyPCR


class ForeignFiles(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def primary(self, kind='ecc', hierarchy='o'):
        path = self.lab.path(f'{hierarchy}{kind}.ctx')
        if not os.path.exists(path):
            self.tpm.craft('tpm2_createprimary', '-C', hierarchy, '-G', PARENTS[kind], '-g', 'sha256', '-a',
                           STORAGE_KEY, '-c', path)
        return path

    def create(self, name, *options, parent=None, algorithm='ecc256', attributes=SIGNING, says_pin=False):
        """A key by tpm2_create, put into a file by tpm2_encodeobject, and its public half printed by us."""
        parent, halves = parent or self.primary(), (self.lab.path('half.pub'), self.lab.path('half.priv'))
        for half in halves:
            if os.path.exists(half):
                os.unlink(half)
        self.tpm.craft('tpm2_create', '-C', parent, '-G', algorithm, '-a', f'{OWN}|{attributes}', *options,
                       '-u', halves[0], '-r', halves[1])
        path = self.lab.path('keys', name + '.tpm')
        self.tpm.craft('tpm2_encodeobject', '-C', parent, '-u', halves[0], '-r', halves[1], '-o', path,
                       *(['-p'] if says_pin else []))
        os.chmod(path, 0o600)
        return path

    def with_pub(self, path):
        self.lab.write(path[:-4] + '.pub', self.lab.keygen('-y', '-f', path).stdout)
        return read_key(path[:-4])

    def openssl_key(self, name, *options, algorithm=('EC', 'group:P-256')):
        path = self.lab.path('keys', name + '.tpm')
        self.lab.run('openssl', 'genpkey', *PROVIDERS, '-algorithm', algorithm[0], '-pkeyopt', algorithm[1],
                     *(word for option in options for word in ('-pkeyopt', option)), '-out', path, status=0,
                     env={'TPM2OPENSSL_TCTI': self.tpm.tcti, 'TSS2_LOG': 'all+none'})
        return self.with_pub(path)

    def assert_signs(self, *keys, pin=None, asked=None):
        """Every key signs; askpass, which knows the PIN, is asked `asked` times."""
        answers = [pin] * len(keys) * 2 if pin is not None else []
        name = f'agent{len(self.lab.processes)}'
        askpass = Askpass(self.lab, *answers, name=name + '.askpass')
        agent = Agent(self.lab, name=name, env=askpass.env)
        for key in keys:
            with self.subTest(key=key.path):
                agent.sign_and_check(key)
        if asked is not None:
            self.assertEqual(len(askpass.questions()), asked)
        agent.stop()
        self.tpm.assert_no_handles()

    def mend(self, path, empty_auth=None, **more):
        """Sets fields that the tool could not: emptyAuth and rsaParent."""
        parts = keyfile.fields(path)
        for tag, value in ((keyfile.EMPTY_AUTH, empty_auth), (keyfile.RSA_PARENT, more.get('rsa_parent'))):
            if value is not None:
                word = keyfile.tlv(keyfile.BOOLEAN, b'\xff' if value else b'\0')
                parts = keyfile.with_field(parts, tag, word)
        self.lab.write(path, keyfile.build(parts), mode=0o600)
        return path

    def test_keys_of_tpm2_tools_sign(self):
        shapes = {'plain': ('ecc256',), 'scheme': ('ecc256:ecdsa-sha256',), 'p384': ('ecc384:ecdsa-sha384',),
                  'rsa': ('rsa2048',), 'rsassa': ('rsa2048:rsassa-sha512:null',)}
        keys = [self.with_pub(self.mend(self.create(name, algorithm=shape[0]), empty_auth=True))
                for name, shape in shapes.items()]
        decrypts = self.create('decrypts', algorithm='rsa2048', attributes=SIGNING + '|decrypt')
        keys.append(self.with_pub(self.mend(decrypts, empty_auth=True)))
        self.assert_signs(*keys, asked=0)

    def test_keys_of_tpm2_tools_with_a_pin_sign(self):
        keys = [self.with_pub(self.create('a', '-p', PIN)),
                self.with_pub(self.create('b', '-p', PIN, algorithm='rsa2048'))]
        self.assert_signs(*keys, pin=PIN, asked=2)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_a_key_whose_file_does_not_say_that_it_has_no_pin_signs_with_an_empty_one(self):
        # tpm2_encodeobject 5.4 writes emptyAuth FALSE unless -p is given, and TRUE, as 0x01, when it is.
        key = self.with_pub(self.create('x', attributes=SIGNING + '|noda'))
        self.assertEqual(dict(keyfile.fields(key.tpm))[keyfile.EMPTY_AUTH][-1], 0)
        self.assert_signs(key, pin='')

    def test_a_key_whose_file_says_wrongly_that_it_has_no_pin_asks_for_it_all_the_same(self):
        key = self.with_pub(self.create('x', '-p', PIN, says_pin=True))
        self.assert_signs(key, pin=PIN)

    def test_a_file_that_says_wrongly_that_there_is_no_pin_does_not_cost_the_last_try(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        key = self.with_pub(self.create('x', '-p', PIN, says_pin=True))
        other = self.lab.make_key('other', pin=PIN)
        self.lab.keygen('-p', '-f', other.tpm, '-P', OTHER, '-N', '', status=1)
        askpass = Askpass(self.lab, '', PIN)
        agent = Agent(self.lab, env=askpass.env)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        agent.sign_and_check(key)
        self.assertIn('LAST TRY', askpass.questions()[1])
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 2)

    def test_a_guarded_key_without_a_pin_is_one_command_once_it_has_signed(self):
        key = self.with_pub(self.mend(self.create('x'), empty_auth=True))
        probe = Probe(self.tpm)
        agent = Agent(self.lab, tcti=probe.tcti)
        agent.sign_and_check(key)
        probe.take(refused=('TPM2_Sign 0x00000922',))  # TPM_RC_RETRY: it writes down that guarded keys are in use
        agent.sign_and_check(key)
        self.assertEqual([name for name in probe.take() if name != 'TPM2_FlushContext'], ['TPM2_Sign'])

    def test_keys_under_the_rsa_storage_key_sign(self):
        parent = self.primary('rsa')
        keys = [self.with_pub(self.mend(self.create('x', parent=parent), True, rsa_parent=True)),
                self.with_pub(self.mend(self.create('y', '-p', PIN, parent=parent), rsa_parent=True))]
        self.assert_signs(*keys, pin=PIN, asked=1)

    def test_keys_under_a_persistent_parent_sign(self):
        keys = []
        for kind, handle in (('ecc', '0x81000001'), ('rsa', '0x81000055')):
            self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', self.primary(kind), handle)
            for pin in ('', PIN):
                path = self.create(kind + pin[:1], *(('-p', pin) if pin else ()), parent=handle)
                keys.append(self.with_pub(self.mend(path, empty_auth=not pin)))
                self.assertIn((keyfile.INTEGER, bytes.fromhex('00' + handle[2:])), keyfile.fields(path))
        keys.append(self.openssl_key('o', 'parent:0x81000055', f'user-auth:{PIN}'))
        self.assert_signs(*keys, pin=PIN, asked=3)

    def test_a_parent_that_is_gone_is_named(self):
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', self.primary(), '0x81000055')
        key = self.with_pub(self.mend(self.create('x', parent='0x81000055'), empty_auth=True))
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000055')
        agent = Agent(self.lab)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('81000055')
        self.assert_error(self.lab.keygen('-p', '-f', key.tpm, '-N', PIN, status=None), '81000055')

    def test_keys_of_tpm2_openssl_with_and_without_a_pin_sign(self):
        keys = [self.openssl_key('a'), self.openssl_key('b', f'user-auth:{PIN}'),
                self.openssl_key('c', f'user-auth:{PIN}', algorithm=('RSA', 'bits:2048'))]
        self.assert_signs(*keys, pin=PIN, asked=2)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_the_pin_of_a_foreign_key_changes_and_its_maker_still_reads_the_file(self):
        for key in (self.openssl_key('a', f'user-auth:{PIN}'), self.with_pub(self.create('b', '-p', PIN))):
            before = contents(self.lab.keys)
            self.assert_error(self.lab.keygen('-p', '-f', key.tpm, '-P', OTHER, '-N', PIN, status=None))
            self.assertEqual(contents(self.lab.keys), before)
            self.tpm.tool('tpm2_dictionarylockout', '-c')
            self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
            self.assert_signs(key, pin=OTHER, asked=1)
            data = self.lab.write('data', 'a message')
            self.lab.run('openssl', 'pkeyutl', *PROVIDERS, '-sign', '-inkey', key.tpm, '-passin',
                         'pass:' + OTHER, '-rawin', '-digest', 'sha256', '-in', data, '-out',
                         self.lab.path('signature'), status=0,
                         env={'TPM2OPENSSL_TCTI': self.tpm.tcti, 'TSS2_LOG': 'all+none'})

    def assert_unusable(self, path, *words):
        """The agent serves all but this file, and both programs say why."""
        good = self.lab.make_key('good')
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [good.line])
        line = agent.process.wait_line(os.path.basename(path))
        for word in words:
            self.assertIn(word, line)
        self.assert_error(self.lab.keygen('-p', '-f', path, '-N', PIN, status=None), path, *words)

    def test_a_policy_that_the_file_names_is_named_in_the_error(self):
        policy = self.lab.path('pcr.policy')
        self.tpm.craft('tpm2_createpolicy', '--policy-pcr', '-l', 'sha256:16', '-L', policy)
        path = self.create('locked', '-L', policy, attributes='sign')
        command = keyfile.tlv(keyfile.SEQUENCE,
                              keyfile.tlv(0xa0, keyfile.tlv(keyfile.INTEGER, POLICY_PCR)) +
                              keyfile.tlv(0xa1, keyfile.tlv(keyfile.OCTETS, b'')))
        parts = keyfile.with_field(keyfile.fields(path), keyfile.POLICY,
                                   keyfile.tlv(keyfile.SEQUENCE, command))
        self.lab.write(path, keyfile.build(parts), mode=0o600)
        self.assert_unusable(path, 'policy', 'TPM2_PolicyPCR')

    def test_a_policy_that_the_file_does_not_name_is_an_error_too(self):
        policy = self.lab.path('pcr.policy')
        self.tpm.craft('tpm2_createpolicy', '--policy-pcr', '-l', 'sha256:16', '-L', policy)
        self.assert_unusable(self.create('locked', '-L', policy, attributes='sign'), 'policy')

    def test_a_policy_beside_a_pin_is_no_obstacle(self):
        policy = self.lab.path('pcr.policy')
        self.tpm.craft('tpm2_createpolicy', '--policy-pcr', '-l', 'sha256:16', '-L', policy)
        key = self.with_pub(self.create('either', '-L', policy, '-p', PIN))
        self.assert_signs(key, pin=PIN, asked=1)

    def test_a_key_that_only_decrypts_and_one_of_another_tpm_are_explained(self):
        self.assert_unusable(self.create('decrypts', algorithm='ecc256:ecdh-sha256',
                                         attributes='userwithauth|decrypt'))
        other = Swtpm(self.lab, 'other')
        key = self.lab.make_key('stranger', env={'SSH_TPM_TCTI': other.tcti})
        agent = Agent(self.lab, name='second')
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('another TPM')
        self.assert_error(self.lab.keygen('-p', '-f', key.tpm, '-N', PIN, status=None), 'another TPM')


if __name__ == '__main__':
    unittest.main()
