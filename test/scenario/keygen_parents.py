#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--parent-handle chooses what a key hangs under, and an owner password opens what the owner has locked."""

import os
import unittest

import keyfile
from agent import Agent, Askpass
from hierarchy import LACKS
from lab import read, read_key
from softkey import SoftKey
from stock import Probed
from swtpm import STORAGE_KEY

HANDLES = {'owner': 0x40000001, 'endorsement': 0x4000000b, 'platform': 0x4000000c, 'null': 0x40000007,
           '0x81000055': 0x81000055}
OWN = '0x81000055'
# What tpm2_createprimary makes of storage keys: its default, which is FAPI's and Windows's too, other sizes, curves,
# hashes and ciphers.
STORAGE_KEYS = (('-G', 'rsa2048'), ('-G', 'rsa2048:aes256cfb', '-g', 'sha384'), ('-G', 'ecc256', '-g', 'sha1'),
                ('-G', 'ecc384:aes256cfb', '-g', 'sha384'), ('-G', 'ecc521:aes256cfb', '-g', 'sha512'))
PASSWORD, WRONG, PIN = 'owner password 5', 'wrong password', 'a pin 4321'
VARIABLE = 'SSH_TPM_AGENT_OWNER_PASSWORD'


def named_parent(key):
    """The parent handle in the key file."""
    return int.from_bytes(dict(keyfile.fields(key.tpm))[keyfile.INTEGER], 'big')


class KeygenParents(Probed):
    def keep(self, *template, auth='', handle=OWN):
        """Keeps a storage key of the owner hierarchy at a persistent handle."""
        context = self.lab.path('kept.ctx')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', *template, *(('-p', auth) if auth else ()), '-c', context)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', context, handle)

    def evict(self, handle=OWN):
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', handle)

    def bring(self, soft, name, *options, **more):
        return self.lab.keygen('-q', '--import', soft.path, '-f', self.lab.path('keys', name), *options, **more)

    def make_under(self, parent, name, *options, status=0, **more):
        result = self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys', name), '--parent-handle', parent,
                                 *options, status=status, **more)
        return result if status != 0 else read_key(self.lab.path('keys', name))

    def test_a_key_under_each_hierarchy_and_under_a_persistent_key_signs(self):
        self.assert_error(self.make_under('0x81000055', 'x', status=None), '81000055')  # nothing is kept there
        other = self.lab.path('other.ctx')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'rsa2048:aes128cfb', '-g', 'sha256', '-c', other)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', other, '0x81000055')
        keys = []
        for word, handle in HANDLES.items():
            for name in dict.fromkeys((word, word[0] if handle < 0x80000000 else word)):
                key = self.make_under(name, name, '-N', PIN if word == 'endorsement' else '')
                self.assertEqual(named_parent(key), handle)
            keys.append(key)
        self.assert_new_agent_signs(*keys, answers=[PIN])
        self.lab.keygen('-p', '-f', keys[1].tpm, '-P', PIN, '-N', '')
        self.assert_new_agent_signs(keys[1])
        self.assertEqual(named_parent(keys[1]), HANDLES['endorsement'])

    def test_a_wrong_word_lists_the_right_ones(self):
        for word in ('', 'ownr', 'Owner', 'lockout', 'l', 'oe', '0x40000001', '0x80000001', '0x81',
                     '0x8100000g', '0x181000001', '0x', '2164260865', '-1', '0x81000001 '):
            with self.subTest(word=word):
                self.assert_error(self.make_under(word, 'x', status=None), 'owner', 'endorsement', 'platform',
                                  'null', '0x81', status=2)
        self.assertEqual(os.listdir(self.lab.keys), [])

    def test_keys_come_in_under_every_kind_of_storage_key(self):
        ecdsa = SoftKey(self.lab, self.lab.path('ecdsa'))
        rsa = SoftKey.ready_made(self.lab, self.lab.path('rsa'))
        for template in STORAGE_KEYS:
            with self.subTest(template=template):
                self.keep(*template)
                self.bring(ecdsa, 'ecdsa', '-N', PIN, '--parent-handle', OWN)
                self.bring(rsa, 'rsa', '-N', '', '--parent-handle', OWN)
                keys = [read_key(self.lab.path('keys', kind)) for kind in ('ecdsa', 'rsa')]
                self.assertEqual({named_parent(key) for key in keys}, {HANDLES[OWN]})
                self.assert_new_agent_signs(*keys, answers=[PIN])
                self.evict()
                for path in (self.lab.path('state/ssh-tpm/known_tpms'), *(key.tpm for key in keys)):
                    os.unlink(path)
                for key in keys:
                    os.unlink(key.pub)
        traffic = self.probe.bytes()
        for secret in (PIN.encode(), *ecdsa.numbers(), *rsa.numbers()):
            self.assertNotIn(secret, traffic)

    def test_an_import_under_another_kind_is_refused_by_name_before_a_pin_is_asked_for(self):
        soft, askpass = SoftKey(self.lab, self.lab.path('soft')), Askpass(self.lab, PIN, PIN)
        self.keep('-G', 'rsa2048:camellia128cfb')
        self.make_under(OWN, 'made')  # keygen makes keys under it
        result = self.bring(soft, 'x', '--parent-handle', OWN, env=askpass.env, status=None)
        self.assert_error(result, 'CAMELLIA of 128 bits', 'hint: ', '--parent-handle owner')
        self.assertEqual(askpass.questions(), [])
        self.assertNotIn('TPM2_Import', [line.split()[0] for line in self.probe.lines()])
        self.bring(soft, 'x', '-N', '', '--parent-handle', 'owner')

    def test_a_password_of_the_usual_storage_key_stops_no_key_of_the_owner(self):
        soft, refusal = SoftKey(self.lab, self.lab.path('soft')), "0x81000001: the key's parent has a password"
        before = self.lab.make_key('before', pin=PIN)
        self.keep('-G', 'ecc256:aes128cfb', '-a', STORAGE_KEY, auth='secret', handle='0x81000001')
        after = self.lab.make_key('after')
        self.bring(soft, 'brought', '-N', PIN)
        self.wrap(self.lab.path('wrap-me'))
        self.lab.keygen('--import', self.lab.path('wrapped.tpm'), '-f', self.lab.path('keys/unwrapped'))
        self.lab.keygen('-p', '-f', before.tpm, '-P', PIN, '-N', '')
        keys = [before, after, *(read_key(self.lab.path('keys', name)) for name in ('brought', 'unwrapped'))]
        self.assertEqual({named_parent(key) for key in keys}, {HANDLES['owner']})
        self.assert_new_agent_signs(*keys, answers=[PIN])
        self.assert_error(self.make_under('0x81000001', 'x', status=None), refusal, 'hint: ')
        # Where a file names it, or the primary key cannot be made, it is needed.
        named = self.lab.write('keys/named.tpm', keyfile.build(
            [(keyfile.INTEGER, bytes.fromhex('0081000001')) if tag == keyfile.INTEGER else (tag, content)
             for tag, content in keyfile.fields(after.tpm)]))
        self.assert_error(self.lab.keygen('-p', '-f', named, '-N', PIN, status=None), refusal)
        self.lock_owner()
        self.assert_error(self.make_under('owner', 'x', status=None), refusal, 'hint: ', '-o')
        self.assert_error(self.lab.keygen('-p', '-f', after.tpm, '-N', PIN, status=None), refusal, 'hint: ', '-o')
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.tpm.assert_no_handles()

    def test_a_password_of_a_parent_that_is_not_exempt_costs_an_agent_one_try(self):
        self.keep('-G', 'ecc256')
        key, other = self.make_under(OWN, 'x'), self.lab.make_key('other')
        self.evict()
        self.keep('-G', 'ecc256', auth='secret')
        agent = Agent(self.lab)
        for _ in range(3):
            agent.process.lines.clear()
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            agent.process.wait_line(f"{OWN}: the key's parent has a password")
        with self.probe.failing('TPM2_Load answer 0x9a'):  # TPM_RC_INSUFFICIENT: the agent opens the TPM again
            self.assertNotEqual(agent.ssh_keygen_sign(other).returncode, 0)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        agent.stop()

    def test_the_last_try_is_not_spent_on_a_parent_that_may_have_a_password(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '1', '-t', '600', '-l', '600')
        self.keep('-G', 'ecc256', auth='secret')
        result = self.make_under(OWN, 'x', status=None)
        self.assert_error(result, f'{OWN}: this parent is not tried now', 'hint: ', 'every 10 minutes')
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.evict()
        self.keep('-G', 'ecc256')
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '32', '-t', '600', '-l', '600')
        key = self.make_under(OWN, 'x')
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '1', '-t', '600', '-l', '600')
        self.assert_new_agent_signs(key)  # the known parent has no password

    def lock_owner(self):
        self.tpm.craft('tpm2_changeauth', '-c', 'o', PASSWORD)

    def test_the_owner_password_is_taken_from_askpass_or_the_environment_and_not_passed_on(self):
        self.lock_owner()
        asked = Askpass(self.lab, PASSWORD)
        self.lab.keygen('-q', '-o', '-N', '', '-f', self.lab.path('keys/asked'), env=asked.env)
        self.assertRegex(asked.questions()[0], r'(?i)owner password')
        self.lab.keygen('-q', '--owner-password', '-N', PIN, '-f', self.lab.path('keys/named'),
                        env={VARIABLE: PASSWORD})
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/unasked'), env={VARIABLE: PASSWORD})
        keys = [read_key(self.lab.path('keys', name)) for name in ('asked', 'named', 'unasked')]
        self.assert_new_agent_signs(*keys, answers=[PIN], env={VARIABLE: PASSWORD})
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/wrong'), env={VARIABLE: WRONG}, status=None)
        asked = Askpass(self.lab, PIN, PIN, name='not for askpass')
        self.lab.keygen('-q', '-f', self.lab.path('keys/x'), env={VARIABLE: PASSWORD, **asked.env})
        self.assertNotIn(PASSWORD, str(asked.environment(1)))
        self.assertIn(keys[0].blob[-32:], self.probe.bytes())
        for secret in (PASSWORD, WRONG):
            self.assertNotIn(secret.encode(), self.probe.bytes())
        self.tpm.assert_no_handles()

    def test_a_wrong_or_missing_owner_password_is_an_error_that_says_so(self):
        self.lock_owner()
        for env in ({}, {VARIABLE: WRONG}, {VARIABLE: ''}):
            with self.subTest(env=env):
                result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), env=env, status=None)
                self.assert_error(result, 'owner', 'password', 'hint: ', '-o')
        asked = Askpass(self.lab)
        self.assert_error(self.lab.keygen('-o', '-N', '', '-f', self.lab.path('keys/x'), env=asked.env, status=None))
        self.assertEqual(len(asked.questions()), 1)
        self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()

    def known_parents(self):
        path = self.lab.path('state/ssh-tpm/known_tpms')
        return [line.split()[0] for line in read(path).splitlines()] if os.path.exists(path) else []

    def assert_new_keys_name(self, handle):
        """In all ways to a new key without -o; those that are the user's sign. Returns one of them."""
        soft, prefix = self.lab.path('soft'), self.lab.make_folder(f'host-{handle:x}')
        if not os.path.exists(soft):
            self.wrap(soft)
        for name, options in (('made', ('-N', PIN)), ('imported', ('--import', soft, '-N', '')),
                              ('unwrapped', ('--import', self.lab.path('wrapped.tpm')))):
            result = self.lab.keygen(*options, '-f', self.lab.path('keys', f'{name}-{handle:x}'))
            self.assertEqual('0x81000001' in result.stderr, handle == 0x81000001, result.stderr)
        with self.probe.failing(LACKS['rsa']):  # RSA keys take long
            self.lab.keygen('-A', '-f', prefix)
        own = [read_key(self.lab.path('keys', f'{name}-{handle:x}')) for name in ('made', 'imported', 'unwrapped')]
        host = read_key(prefix + '/etc/ssh/ssh_tpm_host_ecdsa_key')
        self.assertEqual({named_parent(key) for key in own}, {handle})
        self.assertEqual(named_parent(host), 0x81000001)  # nothing is known in the file beside it
        self.assert_new_agent_signs(*own, answers=[PIN])
        return own[0]

    def wrap(self, soft):
        """A new key outside the TPM, wrapped for what lies at 0x81000001: wrapped.tpm."""
        area = self.lab.path('parent.pub')
        self.tpm.tool('tpm2_readpublic', '-c', '0x81000001', '-o', area)
        SoftKey(self.lab, soft)
        self.lab.keygen('--wrap', soft, '--wrap-with', area, '-N', '', '-f', self.lab.path('wrapped'))

    def test_with_the_persistent_storage_key_no_password_is_needed(self):
        self.tpm.make_persistent()
        self.lock_owner()
        self.assert_new_keys_name(0x81000001)
        self.assertEqual(self.known_parents(), ['0x81000001'])
        self.make_under('owner', 'proof', env={VARIABLE: PASSWORD})
        self.assert_new_keys_name(0x40000001)
        self.tpm.assert_no_handles()

    def test_a_key_under_another_key_of_the_standard_template_names_it(self):
        self.tpm.make_persistent('-C', 'e', '-G', 'ecc256:aes128cfb')
        self.lock_owner()
        lost = self.assert_new_keys_name(0x81000001)
        self.assertEqual(self.known_parents(), ['0x81000001'])
        lasting = self.make_under('owner', 'lasting', env={VARIABLE: PASSWORD})
        self.assertEqual(named_parent(lasting), HANDLES['owner'])
        result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), status=None)
        self.assert_error(result, 'the owner hierarchy has a password', 'hint: ', '-o')  # it is known to be another
        self.assertFalse(os.path.exists(self.lab.path('keys/x.tpm')))
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-P', PASSWORD, '-c', '0x81000001')
        agent = Agent(self.lab, env={VARIABLE: PASSWORD})
        agent.sign_and_check(lasting)
        self.assertNotEqual(agent.ssh_keygen_sign(lost).returncode, 0)
        self.assertIn('the persistent object 0x81000001, is not in this TPM', agent.log())
        self.assert_error(self.lab.keygen('-p', '-f', lost.tpm, '-P', PIN, '-N', '', status=None), '0x81000001')
        agent.stop()
        self.tpm.assert_no_handles()

    def test_what_was_wrapped_for_another_key_at_the_usual_handle_names_that(self):
        self.tpm.make_persistent('-C', 'e', '-G', 'ecc256:aes128cfb')
        self.wrap(self.lab.path('soft'))
        self.lab.keygen('--import', self.lab.path('wrapped.tpm'), '-f', self.lab.path('keys/x'))
        key = read_key(self.lab.path('keys/x'))
        self.assertEqual(named_parent(key), 0x81000001)
        self.assert_new_agent_signs(key)

    def test_a_pin_changes_and_a_key_comes_in_under_the_owner_password(self):
        self.lock_owner()
        self.lab.env[VARIABLE] = PASSWORD
        key = self.lab.make_key('x', pin=PIN)
        self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', '')
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.lab.keygen('--import', soft.path, '-N', '', '-f', self.lab.path('keys/y'))
        self.assert_new_agent_signs(key, read_key(self.lab.path('keys/y')))


if __name__ == '__main__':
    unittest.main()
