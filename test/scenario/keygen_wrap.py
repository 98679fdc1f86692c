#!/usr/bin/env python3
"""ssh-tpm-keygen --wrap seals a key for the TPM of another machine without having one; no other takes it."""

import os
import pathlib
import re
import shlex
import unittest

import keyfile
from agent import Agent, Askpass
from lab import Scenario, contents, mode, read, read_key
from softkey import SoftKey
from swtpm import STORAGE_KEY, Probe, Swtpm

PIN = 'a pin for the way'
SOURCE = pathlib.Path(__file__).resolve().parents[2]
STORAGE = ('-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY)


class KeygenWrap(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)  # the machine the keys are for
        self.out = self.lab.make_folder('out')

    def parent(self, form='pem', tpm=None, name='parent', template=STORAGE):
        """The public area of a primary key, as tpm2-tools write it: SPKI PEM or TPM2B_PUBLIC."""
        path, context, tpm = self.lab.path(name), self.lab.path(name + '.ctx'), tpm or self.tpm
        if form == 'pem':
            tpm.craft('tpm2_createprimary', *template, '-c', context, '-f', 'pem', '-o', path)
        else:
            tpm.craft('tpm2_createprimary', *template, '-c', context)
            tpm.craft('tpm2_readpublic', '-c', context, '-f', 'tss', '-o', path)
        return path

    def wrap(self, soft, parent, name='wrapped', *options, status=0, **more):
        return self.lab.keygen('--wrap', soft.path, '--wrap-with', parent, '-f', os.path.join(self.out, name),
                               *(options or ('-N', '')), env=self.lab.no_tpm, status=status, **more)

    def unwrap(self, name, *options, source='wrapped', **more):
        """Imports the wrapped key as NAME."""
        self.lab.keygen('--import', os.path.join(self.out, source + '.tpm'), '-f',
                        self.lab.path('keys', name), *options, **more)
        return read_key(self.lab.path('keys', name))

    def test_a_key_wrapped_without_a_tpm_signs_where_it_belongs(self):
        for kind, bits, form in (('ecdsa', 256, 'pem'), ('ecdsa', 521, 'tss'), ('rsa', 2048, 'tss'),
                                 ('rsa', 3072, 'pem')):
            with self.subTest(kind=kind, bits=bits, form=form):
                name = f'{kind}{bits}'
                soft = SoftKey(self.lab, self.lab.path(name), kind, bits, comment='two words')
                before = read(soft.path), read(soft.pub)
                self.wrap(soft, self.parent(form), name)
                wrapped = read_key(os.path.join(self.out, name))
                self.assertEqual(read(wrapped.pub), before[1])
                self.assertEqual((mode(wrapped.tpm), mode(wrapped.pub)), (0o600, 0o644))
                self.assertEqual(self.lab.keygen('-y', '-f', wrapped.tpm).stdout, before[1])
                key = self.unwrap(name, source=name)
                self.assertEqual((read(soft.path), read(soft.pub)), before)
                self.assertEqual(read(key.pub), before[1])
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 4)
        for line in os.listdir(self.lab.keys):
            if line.endswith('.tpm'):
                agent.sign_and_check(read_key(self.lab.path('keys', line[:-4])))
        agent.stop()
        self.tpm.assert_no_handles()

    def test_the_file_says_that_it_is_importable_and_holds_nothing_in_the_clear(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.wrap(soft, self.parent(), 'wrapped', '-N', PIN)
        fields = keyfile.fields(os.path.join(self.out, 'wrapped.tpm'))
        self.assertEqual(fields[0][1].hex(), '6781050a0104')  # 2.23.133.10.1.4, importable
        self.assertIn(keyfile.SECRET, dict(fields))
        der = keyfile.read_der(os.path.join(self.out, 'wrapped.tpm'))
        for secret in (*soft.numbers(), PIN.encode()):
            self.assertNotIn(secret, der)
        self.assertEqual(sorted(os.listdir(self.out)), ['wrapped.pub', 'wrapped.tpm'])

    def test_tpm2_import_takes_it_apart_with_the_same_result(self):
        soft = SoftKey(self.lab, self.lab.path('soft'), 'rsa', 2048)
        self.wrap(soft, self.parent('tss'))
        fields = keyfile.fields(os.path.join(self.out, 'wrapped.tpm'))
        octets = [content for tag, content in fields if tag == keyfile.OCTETS]
        ((_, seed),) = keyfile.elements(dict(fields)[keyfile.SECRET])
        files = [self.lab.write(name, content)
                 for name, content in (('k.pub', octets[0]), ('k.dup', octets[1]), ('k.seed', seed))]
        private, context = self.lab.path('k.priv'), self.lab.path('parent.ctx')
        self.tpm.craft('tpm2_import', '-C', context, '-u', files[0], '-i', files[1], '-s', files[2], '-r',
                       private)
        self.tpm.craft('tpm2_load', '-C', context, '-u', files[0], '-r', private, '-c',
                       self.lab.path('k.ctx'))
        data, signature = self.lab.write('data', 'a message'), self.lab.path('signature')
        self.tpm.craft('tpm2_sign', '-c', self.lab.path('k.ctx'), '-g', 'sha256', '-s', 'rsassa', '-f',
                       'plain', '-o', signature, data)
        public = self.lab.write('public.pem', self.lab.ssh_keygen('-e', '-m', 'PKCS8', '-f', soft.pub))
        self.lab.run('openssl', 'dgst', '-sha256', '-verify', public, '-signature', signature, data, status=0)

    def test_a_pin_travels_with_the_key(self):
        soft = SoftKey(self.lab, self.lab.path('soft'), 'ecdsa', 384)
        self.wrap(soft, self.parent(), 'wrapped', '-N', PIN)
        key = self.unwrap('x', env=Askpass(self.lab, PIN, name='once').env)
        askpass = Askpass(self.lab, PIN)
        Agent(self.lab, env=askpass.env).sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_new_pin_takes_the_place_of_the_one_that_travelled(self):
        new, parent = 'a pin from now on', self.parent()
        soft = [SoftKey(self.lab, self.lab.path(name)) for name in ('guarded', 'open', 'opened')]
        for key, pin in zip(soft, (PIN, '', PIN)):
            self.wrap(key, parent, os.path.basename(key.path), '-N', pin)
        guarded = self.unwrap('x', '-P', PIN, '-N', new, source='guarded')
        self.assertEqual(self.lab.keygen('-p', '-f', guarded.tpm, '-P', PIN, '-N', '', status=None).returncode, 1)
        keys = [guarded, self.unwrap('y', '-N', new, source='open'),
                self.unwrap('z', '-P', PIN, '-N', '', source='opened')]
        askpass = Askpass(self.lab, new, new)
        agent = Agent(self.lab, env=askpass.env)
        for key, questions in zip(keys, (1, 2, 2)):
            agent.sign_and_check(key)
            self.assertEqual(len(askpass.questions()), questions)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_parent_for_a_wrapped_key_which_has_one_is_refused(self):
        self.wrap(SoftKey(self.lab, self.lab.path('soft')), self.parent())
        result = self.lab.keygen('--import', os.path.join(self.out, 'wrapped.tpm'), '-f', self.lab.path('keys/x'),
                                 '--parent-handle', 'owner', status=None)
        self.assert_error(result, '--parent-handle', 'hint: ', status=2)
        self.assertEqual(os.listdir(self.lab.keys), [])

    def test_a_wrong_pin_for_a_wrapped_key_leaves_no_file(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.wrap(soft, self.parent(), 'wrapped', '-N', PIN)
        result = self.lab.keygen('--import', self.out + '/wrapped.tpm', '-f', self.lab.path('keys/x'),
                                 env=Askpass(self.lab, *['wrong'] * 5).env, status=None)
        self.assert_error(result, 'PIN')
        self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()

    def test_a_comment_that_no_file_may_have_is_refused_before_all_else(self):
        soft = SoftKey(self.lab, self.lab.path('soft'), passphrase='old')
        parent = self.parent()
        self.wrap(soft, parent, 'wrapped', '-N', PIN, '-P', 'old')
        askpass = Askpass(self.lab, PIN)
        for source in (self.out + '/wrapped.tpm', soft.path):
            result = self.lab.keygen('--import', source, '-f', self.lab.path('keys/x'), '-C', 'a\nb', status=None,
                                     env={**self.lab.no_tpm, **askpass.env})
            self.assert_error(result, '-C: ', status=2)
        self.assert_error(self.wrap(soft, parent, 'other', '-C', 'a\nb', status=None), '-C: ', status=2)
        self.assertEqual((askpass.questions(), os.listdir(self.lab.keys)), ([], []))

    def test_another_tpm_says_that_the_key_is_not_for_it(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        other = Swtpm(self.lab, 'other')
        for pin in ('', PIN):
            self.wrap(soft, self.parent(), 'wrapped' + pin[:1], '-N', pin)
            before = contents(self.out)
            result = self.lab.keygen('--import', self.out + f'/wrapped{pin[:1]}.tpm', '-f',
                                     self.lab.path('keys/x'), status=None,
                                     env={'SSH_TPM_TCTI': other.tcti, **Askpass(self.lab, PIN).env})
            self.assert_error(result, 'TPM')
            self.assertRegex(result.stderr, r'(?i)another|other machine|not for|different')
            self.assertEqual(os.listdir(self.lab.keys), [])
            self.assertEqual(contents(self.out), before)
        other.assert_no_handles()

    def test_the_command_in_the_hints_makes_the_parent_that_works(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        poor = self.parent(name='poor', template=('-C', 'o', '-G', 'ecc'))  # a storage key, but another one
        self.wrap(soft, poor, 'for-another')
        refusals = [self.wrap(soft, self.lab.write('empty', ''), status=None),
                    self.lab.keygen('--import', self.out + '/for-another.tpm', '-f', self.lab.path('keys/no'),
                                    status=None)]
        commands = [re.search(r"hint: .*(tpm2_createprimary .* -o PARENT\.pem)", refusal.stderr)
                    for refusal in refusals]
        self.assertTrue(all(commands), [refusal.stderr for refusal in refusals])
        self.assertEqual(commands[0][1], commands[1][1])
        words = shlex.split(commands[0][1])
        self.tpm.craft(*words)  # in the lab's folder
        self.wrap(soft, self.lab.path('PARENT.pem'))
        Agent(self.lab).sign_and_check(self.unwrap('x'))
        for text in ('README.md', 'data/man/ssh-tpm.7'):
            for word in words[:-1]:
                self.assertIn(word, read(SOURCE / text))

    def test_a_wrapped_key_is_no_key_before_it_is_imported(self):
        key = self.lab.make_key('usable')
        self.wrap(SoftKey(self.lab, self.lab.path('soft')), self.parent())
        agent = Agent(self.lab, key_dir=self.out)
        self.assertEqual(agent.listed(), [])
        self.assertIn('wrapped.tpm', agent.log())
        result = self.lab.keygen('--import', key.tpm, '-f', self.lab.path('keys/x'), status=None)
        self.assert_error(result, key.tpm)
        self.assertFalse(os.path.exists(self.lab.path('keys/x.tpm')))

    def test_a_persistent_parent_is_named_in_the_file(self):
        self.tpm.make_persistent()
        soft, parent = SoftKey(self.lab, self.lab.path('soft')), self.lab.path('parent')
        self.tpm.craft('tpm2_readpublic', '-c', '0x81000001', '-f', 'tss', '-o', parent)
        self.wrap(soft, parent, 'wrapped', '-N', '', '--parent-handle', '0x81000001')
        key = self.unwrap('x')
        for path in (self.out + '/wrapped.tpm', key.tpm):
            fields = keyfile.fields(path)
            self.assertIn((keyfile.INTEGER, bytes.fromhex('0081000001')), fields)
        Agent(self.lab).sign_and_check(key)

    def test_neither_the_key_nor_its_pin_is_on_the_bus_when_it_arrives(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.wrap(soft, self.parent(), 'wrapped', '-N', PIN)
        probe = Probe(self.tpm)
        key = self.unwrap('x', '--tcti', probe.tcti, env=Askpass(self.lab, PIN).env)
        self.assertIn(key.blob[-32:], probe.bytes())
        for secret in (*soft.numbers(), PIN.encode()):
            self.assertNotIn(secret, probe.bytes())

    def test_what_is_no_storage_key_is_refused(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        good = self.parent('tss')
        with open(good, 'rb') as file:
            area = file.read()
        self.lab.run('openssl', 'ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out',
                     self.lab.path('p384.key'), status=0)
        p384 = self.lab.run('openssl', 'pkey', '-in', self.lab.path('p384.key'), '-pubout', status=0).stdout
        signing = ('-C', 'o', '-G', 'ecc256', '-a',
                   'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign')
        parents = [self.lab.path('absent'), self.lab.keys, self.lab.write('empty', ''), soft.pub, soft.path,
                   self.lab.write('short', area[:-1]), self.lab.write('long', area + b'\0'),
                   self.lab.write('p384', p384), self.parent('tss', name='signing', template=signing)]
        for path in parents:
            with self.subTest(parent=path):
                self.assert_error(self.wrap(soft, path, status=None), path)
                self.assertEqual(os.listdir(self.out), [])

    def test_the_parent_and_the_output_must_be_named_and_an_output_is_not_overwritten(self):
        soft = SoftKey(self.lab, self.lab.path('soft'))
        parent = self.parent()
        for options in (('--wrap', soft.path), ('--wrap', soft.path, '--wrap-with', parent),
                        ('--wrap', soft.path, '-f', self.out + '/x'),
                        ('--wrap-with', parent, '-f', self.out + '/x')):
            with self.subTest(options=options):
                result = self.lab.keygen(*options, '-N', '', env=self.lab.no_tpm, status=None)
                self.assert_error(result, status=2)
        self.assertEqual(os.listdir(self.out), [])
        self.wrap(soft, parent)
        before = contents(self.out)
        self.assert_error(self.wrap(soft, parent, status=None), 'exists')
        self.assertEqual(contents(self.out), before)

    def test_an_encrypted_key_is_wrapped_with_its_passphrase(self):
        soft = SoftKey(self.lab, self.lab.path('soft'), passphrase='old')
        self.wrap(soft, self.parent(), 'wrapped', '-N', '', '-P', 'old')
        result = self.wrap(soft, self.parent(), 'other', '-N', '', '-P', 'wrong', status=None)
        self.assert_error(result, 'passphrase')
        self.assertEqual(sorted(os.listdir(self.out)), ['wrapped.pub', 'wrapped.tpm'])
        self.assertEqual(read(self.unwrap('x').pub), read(soft.pub))


if __name__ == '__main__':
    unittest.main()
