#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-keygen --import seals keys that were made outside the TPM, and leaves what it read as it was. --wrap seals a
key for the TPM of another machine without having one; no other takes it."""

import os
import pathlib
import re
import shlex
import shutil
import unittest

import keyfile
from agent import Agent, Askpass
from lab import contents, mode, needs_root, read, read_key
from softkey import DATA, SoftKey
from stock import Stocked, WithTpm
from swtpm import STORAGE_KEY, Probe, Swtpm
from terminal import talk

PASSPHRASE, PIN = 'the old passphrase', 'a new pin 77'
FIRST, SECOND = 'passphrase (empty for no passphrase): ', 'Enter same passphrase again: '
SOURCE = pathlib.Path(__file__).resolve().parents[2]
STORAGE = ('-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY)
P384_STORAGE = ('-C', 'o', '-G', 'ecc384:aes256cfb', '-g', 'sha384')
RSA_STORAGE = ('-C', 'o', '-G', 'rsa2048:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY)
# Each type and each container, with and without a passphrase; test/ssh/private_key.cpp has them all.
KEYS = (('ecdsa', 256, 'openssh', ''), ('ecdsa', 384, 'pkcs8', PASSPHRASE), ('ecdsa', 521, 'pem', PASSPHRASE),
        ('rsa', 2048, 'openssh', PASSPHRASE), ('rsa', 3072, 'pkcs8', ''))


class KeygenImport(WithTpm):
    def setUp(self):
        super().setUp()
        self.outside = self.lab.make_folder('outside')

    def soft(self, name='id_ecdsa', kind='ecdsa', bits=256, **more):
        path = os.path.join(self.outside, name)
        return SoftKey(self.lab, path, **more) if kind == 'ecdsa' else SoftKey.ready_made(self.lab, path, kind, bits)

    def load(self, path, *options, status=0, **more):
        return self.lab.keygen('--import', path, *options, status=status, **more)

    def refuse(self, path, *words, options=('-N', ''), **more):
        """Demands a refusal that leaves everything as it was."""
        before = self.tpm.everything_else()
        result = self.load(path, *options, status=None, **more)
        self.assert_error(result, *words)
        self.assertEqual(self.tpm.everything_else(), before)
        return result

    def botan(self):
        """The name of the library's file, as the program has it."""
        with open(f'{self.lab.bin}/ssh-tpm', 'rb') as program:
            return re.search(rb'(libbotan-\d+\.so\.\d+)\0', program.read())[1].decode()

    def maps_botan(self, process):
        return self.botan() in read(f'/proc/{process.pid}/maps')

    def has_no_da(self, key):
        return bool(keyfile.attributes(keyfile.public_area(keyfile.fields(key.tpm))[1]) & keyfile.NO_DA)

    def test_every_type_comes_in_from_every_container_and_signs(self):
        keys = []
        for kind, bits, container, passphrase in KEYS:
            with self.subTest(kind=kind, bits=bits, container=container, passphrase=passphrase):
                name = f'{kind}{bits}{container}{passphrase[:3]}'
                soft = SoftKey.ready_made(self.lab, os.path.join(self.outside, name), kind, bits)
                source = soft.copy(soft.path + '.copy', container, passphrase)
                before = contents(self.outside)
                self.load(source, '-q', '-f', self.lab.path('keys', name), '-N', '',
                          *(('-P', passphrase) if passphrase else ()))
                self.assertEqual(contents(self.outside), before)
                key = read_key(self.lab.path('keys', name))
                self.assertEqual(key.line.split()[:2], read(soft.pub).split()[:2])
                self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))
                self.assertTrue(self.has_no_da(key))
                if container == 'openssh':  # the others have no comment inside
                    self.assertEqual(key.comment, soft.key.comment)
                keys.append(key)
        self.assert_new_agent_signs(*keys)

    def test_the_result_is_named_after_the_file_and_lies_beside_it(self):
        soft = self.soft(comment='two words')
        before = contents(self.outside)
        result = self.load(soft.path, '-N', '')
        after = contents(self.outside)
        self.assertEqual({path for path in after if path not in before}, {soft.path + '.tpm'})
        self.assertEqual({path: after[path] for path in before}, before)
        key = read_key(soft.path)
        said = result.stdout + result.stderr
        self.assertIn(self.lab.fingerprint(key), said)
        self.assertIn('plaintext', said)
        self.assertRegex(said, rf'{soft.path}[\s,.:;]')
        self.assert_new_agent_signs(key, key_dir=self.outside)
        self.lab.keygen('-q', '-c', '-C', 'another', '-f', soft.path)  # of the TPM key, and not of the plaintext
        self.assertIn(' another', read(soft.pub))
        self.lab.keygen('-q', '-c', '-C', 'two words', '-f', soft.path)
        public = read(soft.pub)
        for path in (soft.pub, key.tpm):  # with neither of them beside it
            os.unlink(path)
        result = self.load(soft.path, '-q', '-N', '')
        self.assertEqual(read(soft.pub), public)
        self.assertEqual(result.stdout, '')
        self.assertIn(self.outside, result.stderr)  # quiet or not, it says where the plaintext is

    def test_the_comment_is_the_one_inside_or_beside_or_given(self):
        soft = self.soft(comment='two words')
        for container, beside, options, expected in (
                ('openssh', False, (), 'two words'), ('openssh', True, (), 'two words'),
                ('pem', True, (), 'two words'), ('pkcs8', True, ('-C', 'mine'), 'mine'),
                ('openssh', False, ('-C', 'mine'), 'mine'), ('openssh', False, ('-C', ''), '')):
            with self.subTest(container=container, beside=beside, options=options):
                name = f'{container}.{beside}.{len(options)}.{expected}'
                source = soft.copy(os.path.join(self.outside, name), container)
                if beside:
                    shutil.copyfile(soft.pub, source + '.pub')
                self.load(source, '-q', '-N', '', '-f', self.lab.path('keys', name), *options)
                self.assertEqual(read_key(self.lab.path('keys', name)).comment, expected)

    def test_the_dialogue_asks_for_the_old_passphrase_and_then_for_a_new_one(self):
        soft = self.soft(passphrase=PASSPHRASE)
        status, shown = talk(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', '--import', soft.path, answers=[
            (f'passphrase for {soft.path}: ', 'wrong'), (f'try again for {soft.path}: ', PASSPHRASE),
            (FIRST, PIN), (SECOND, PIN)])
        self.assertEqual(status, 0, shown)
        self.assert_new_agent_signs(read_key(soft.path), answers=[PIN], key_dir=self.outside)

    def test_three_wrong_passphrases_are_the_end(self):
        soft = self.soft(passphrase=PASSPHRASE)
        askpass = Askpass(self.lab, *['wrong'] * 3, PASSPHRASE)
        before = contents(self.outside)
        self.assert_error(self.load(soft.path, '-N', '', env=askpass.env, status=None), 'passphrase')
        self.assertEqual(len(askpass.questions()), 3)
        self.assertEqual(contents(self.outside), before)
        self.refuse(soft.path, 'passphrase', options=('-N', '', '-P', 'wrong'))
        self.assertRegex(self.load(soft.path, '-N', '', status=1).stderr, 'error: .*no passphrase')  # nobody to ask
        self.assertEqual(contents(self.outside), before)

    def test_without_botan_an_encrypted_openssh_key_is_refused_and_the_hint_makes_it_readable(self):
        soft = self.soft(passphrase=PASSPHRASE)
        folder = self.lab.make_folder('libraries')
        library, another = os.path.join(folder, self.botan()), os.environ['SSH_TPM_LEAK']
        hidden = {'LD_LIBRARY_PATH': folder}  # searched first; an empty file there ends the search
        askpass = Askpass(self.lab, PASSPHRASE)
        for number, (found, words) in enumerate((('/dev/null', 'too short'), (another, 'botan_pwdhash'))):
            os.symlink(found, library)
            refusal = self.refuse(soft.path, soft.path, 'Botan', library, words, env={**hidden, **askpass.env})
            self.assertEqual(askpass.questions(), [])  # nobody types a passphrase in vain
            self.load(soft.copy(f'{soft.path}.{number}'), '-q', '-N', '', env=hidden)
            os.unlink(library)
        hint = re.search(rf'hint: .*package with {re.escape(self.botan())}.*: (ssh-keygen .* )KEY$', refusal.stderr,
                         re.MULTILINE)
        self.assertTrue(hint, refusal.stderr)
        os.symlink('/dev/null', library)
        converted = shutil.copy(soft.path, soft.path + '.converted')
        self.lab.run(*shlex.split(hint[1]), converted, '-P', PASSPHRASE, '-N', PASSPHRASE, status=0)
        self.load(converted, '-q', '-N', '', '-P', PASSPHRASE, env=hidden)
        self.load(soft.path, '-q', '-N', '', '-P', PASSPHRASE)
        self.assertEqual(read_key(converted).blob, read_key(soft.path).blob)

    @needs_root
    def test_botan_is_loaded_for_an_encrypted_openssh_key_and_for_nothing_else(self):
        soft = self.soft(passphrase=PASSPHRASE)
        for container, loaded in (('openssh', True), ('pkcs8', False), ('pem', False)):
            with self.subTest(container=container):
                source = soft.copy(os.path.join(self.outside, container), container, PASSPHRASE)
                askpass = Askpass(self.lab, name=container)
                fifo = askpass.answer_later(1)
                process = self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '--import', source, '-N', '', '-f',
                                         self.lab.path('keys', container), env=askpass.env)
                with open(fifo, 'w', encoding='utf-8') as answer:  # opens once it asks
                    self.assertEqual(self.maps_botan(process), loaded)
                    answer.write(PASSPHRASE + '\n')
                self.assertEqual(process.wait(), 0, process.log())
        agent = Agent(self.lab)
        agent.sign_and_check(read_key(self.lab.path('keys/openssh')))
        self.assertFalse(self.maps_botan(agent.process))

    def test_keys_that_no_tpm_holds_and_what_is_no_private_key_are_refused_with_the_reason(self):
        ed25519 = shutil.copy(os.path.join(DATA, 'refused-ed25519.openssh'), self.outside)
        os.chmod(ed25519, 0o600)
        self.refuse(ed25519, ed25519, '25519')
        soft = self.soft()
        text = read(soft.path)
        for name, content in {'text': 'no key\n', 'half': text[:len(text) // 2], 'large': text + ' ' * 70000}.items():
            with self.subTest(name=name):
                path = self.lab.write('outside/' + name, content, mode=0o600)
                self.refuse(path, path)
        self.tpm.assert_no_handles()

    def test_an_existing_result_and_the_public_half_of_another_key_are_kept(self):
        soft, key = self.soft(), self.lab.make_key('taken')
        self.refuse(soft.path, key.path, options=('-N', '', '-f', key.path))
        shutil.copyfile(key.tpm, soft.path + '.tpm')
        self.refuse(soft.path, 'exists')
        os.unlink(soft.path + '.tpm')
        shutil.copyfile(key.pub, soft.pub)
        self.refuse(soft.path, soft.pub)

    def test_no_file_but_the_two_results_appears_even_for_a_moment(self):
        soft = self.soft(passphrase=PASSPHRASE)
        first = self.lab.make_key('first')  # after which the TPM is known
        os.unlink(first.tpm)
        os.unlink(first.pub)
        before = self.tpm.everything_else()
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        process = self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '--import', soft.path, '-N', '', '-f',
                                 self.lab.path('keys/x'), env=askpass.env)
        with open(fifo, 'w', encoding='utf-8') as answer:  # opens once it asks
            self.assertEqual(sorted(os.listdir(self.lab.keys)), [])
            answer.write(PASSPHRASE + '\n')
        self.assertEqual(process.wait(), 0, process.log())
        after = self.tpm.everything_else()
        new = {path for path in after if path not in before and not path.startswith(askpass.folder)}
        self.assertEqual(new, {self.lab.path('keys/x.tpm'), self.lab.path('keys/x.pub')})
        for number in soft.numbers():
            for path in new:
                self.assertNotIn(number, after[path])

    def test_a_pin_is_the_keys_from_then_on_and_nothing_secret_is_on_the_bus(self):
        probe = Probe(self.tpm)
        secrets = [PIN.encode(), PASSPHRASE.encode()]
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            soft = self.soft(kind, kind=kind, bits=bits)
            secrets += soft.numbers()
            source = soft.copy(soft.path + '.encrypted', passphrase=PASSPHRASE)
            self.load(source, '-q', '-N', PIN, '-P', PASSPHRASE, '-f', self.lab.path('keys', kind),
                      env={'SSH_TPM_TCTI': probe.tcti})
            key = read_key(self.lab.path('keys', kind))
            self.assertFalse(self.has_no_da(key))
            askpass = Askpass(self.lab, 'wrong', PIN, name=kind)
            agent = Agent(self.lab, name='agent.' + kind, env=askpass.env, tcti=probe.tcti)
            agent.ssh_keygen_sign(key)  # it asks again at once, unless another wrong PIN would lock the TPM
            agent.sign_and_check(key)
            self.assertEqual(len(askpass.questions()), 2)
            agent.stop()
        self.assertEqual(self.tpm.wrong_tries(), 2)
        traffic = probe.bytes()
        self.assertIn('TPM2_Import', read(probe.file))
        self.assertIn(key.blob[-256:], traffic)
        self.assertGreaterEqual(len(secrets), 6)
        for secret in secrets:
            self.assertGreaterEqual(len(secret), 12)
            self.assertNotIn(secret, traffic)


class KeygenWrap(Stocked):
    """`self.tpm` is the machine that the keys are for. Its storage key and a key to wrap are made once."""

    FOLDERS = ('stock',)

    @classmethod
    def fill(cls, lab):
        SoftKey(lab, os.path.join(lab.make_folder('stock'), 'soft'))
        SoftKey(lab, lab.path('stock/encrypted'), passphrase=PASSPHRASE)
        tcti = ('-T', lab.env['SSH_TPM_TCTI'])
        lab.run('tpm2_createprimary', *STORAGE, '-c', lab.path('ctx'), '-f', 'pem', '-o', lab.path('stock/parent'),
                *tcti, status=0)
        lab.run('tpm2_readpublic', '-c', lab.path('ctx'), '-f', 'tss', '-o', lab.path('stock/parent.tss'), *tcti,
                status=0)

    def setUp(self):
        super().setUp()
        self.out = self.lab.make_folder('out')
        self.soft = SoftKey(self.lab, self.lab.path('stock/soft'))
        # The public area of a primary key, as tpm2-tools write it: SPKI PEM, and TPM2B_PUBLIC.
        self.parent, self.parent_tss = self.lab.path('stock/parent'), self.lab.path('stock/parent.tss')

    def make_parent(self, name, *template):
        path, context = self.lab.path(name), self.lab.path(name + '.ctx')
        self.tpm.craft('tpm2_createprimary', *template, '-c', context)
        self.tpm.craft('tpm2_readpublic', '-c', context, '-f', 'tss', '-o', path)
        return path

    def wrap(self, name='wrapped', *options, soft=None, parent=None, status=0, **more):
        return self.lab.keygen('--wrap', (soft or self.soft).path, '--wrap-with', parent or self.parent, '-f',
                               os.path.join(self.out, name), *(options or ('-N', '')), env=self.lab.no_tpm,
                               status=status, **more)

    def unwrap(self, name, *options, source='wrapped', **more):
        """Imports the wrapped key as NAME."""
        self.lab.keygen('--import', os.path.join(self.out, source + '.tpm'), '-f',
                        self.lab.path('keys', name), *options, **more)
        return read_key(self.lab.path('keys', name))

    def refuse_import(self, *words, source='wrapped', options=(), status=1, **more):
        """Demands that no file appears."""
        before = contents(self.out), contents(self.lab.keys)
        result = self.lab.keygen('--import', f'{self.out}/{source}.tpm', '-f', self.lab.path('keys/no'), *options,
                                 status=None, **more)
        self.assert_error(result, *words, status=status)
        self.assertEqual((contents(self.out), contents(self.lab.keys)), before)
        return result

    def test_a_key_wrapped_without_a_tpm_signs_where_it_belongs(self):
        keys = []
        for kind, bits, parent in (('ecdsa', 256, self.parent), ('ecdsa', 521, self.parent_tss),
                                   ('rsa', 2048, self.parent_tss), ('rsa', 3072, self.parent)):
            with self.subTest(kind=kind, bits=bits, parent=parent):
                name = f'{kind}{bits}'
                soft = SoftKey.ready_made(self.lab, self.lab.path(name), kind, bits)
                before = read(soft.path), read(soft.pub)
                self.wrap(name, soft=soft, parent=parent)
                wrapped = read_key(os.path.join(self.out, name))
                self.assertEqual(read(wrapped.pub), before[1])
                self.assertEqual((mode(wrapped.tpm), mode(wrapped.pub)), (0o600, 0o644))
                self.assertEqual(self.lab.keygen('-y', '-f', wrapped.tpm).stdout, before[1])
                key = self.unwrap(name, source=name)
                self.assertEqual((read(soft.path), read(soft.pub), read(key.pub)), (*before, before[1]))
                keys.append(key)
        self.assert_new_agent_signs(*keys)

    def test_an_rsa_storage_key_is_named_in_the_file_and_takes_the_key(self):
        tss = self.make_parent('rsa', *RSA_STORAGE)
        pem = self.lab.path('rsa.pem')
        self.tpm.craft('tpm2_readpublic', '-c', self.lab.path('rsa.ctx'), '-f', 'pem', '-o', pem)
        keys = []
        for name, parent in (('a', tss), ('b', pem)):
            self.wrap(name, parent=parent)
            keys.append(self.unwrap(name, source=name))
            for path in (f'{self.out}/{name}.tpm', keys[-1].tpm):
                self.assertIn(keyfile.RSA_PARENT, dict(keyfile.fields(path)))
        self.assert_new_agent_signs(*keys)

    def test_the_file_says_that_it_is_importable_and_neither_it_nor_the_bus_has_a_secret(self):
        self.wrap('wrapped', '-N', PIN)
        fields = keyfile.fields(os.path.join(self.out, 'wrapped.tpm'))
        self.assertEqual(fields[0][1].hex(), '6781050a0104')  # 2.23.133.10.1.4, importable
        self.assertIn(keyfile.SECRET, dict(fields))
        der = keyfile.read_der(os.path.join(self.out, 'wrapped.tpm'))
        probe = Probe(self.tpm)
        key = self.unwrap('x', '--tcti', probe.tcti, env=Askpass(self.lab, PIN).env)
        self.assertIn(key.blob[-32:], probe.bytes())
        for secret in (*self.soft.numbers(), PIN.encode()):
            self.assertNotIn(secret, der)
            self.assertNotIn(secret, probe.bytes())
        self.assertEqual(sorted(os.listdir(self.out)), ['wrapped.pub', 'wrapped.tpm'])

    def test_tpm2_import_takes_it_apart_with_the_same_result(self):
        soft = SoftKey.ready_made(self.lab, self.lab.path('rsa'))
        for number, template in enumerate((STORAGE, RSA_STORAGE, P384_STORAGE)):
            with self.subTest(template=template):
                name = f'wrapped{number}'
                self.wrap(name, soft=soft, parent=self.make_parent('parent', *template))
                self.assert_tools_import(name, soft)

    def assert_tools_import(self, name, soft):
        """Under the storage key that make_parent made last."""
        fields = keyfile.fields(os.path.join(self.out, name + '.tpm'))
        octets = [content for tag, content in fields if tag == keyfile.OCTETS]
        ((_, seed),) = keyfile.elements(dict(fields)[keyfile.SECRET])
        files = [self.lab.write(name, content)
                 for name, content in (('k.pub', octets[0]), ('k.dup', octets[1]), ('k.seed', seed))]
        private, context = self.lab.path('k.priv'), self.lab.path('parent.ctx')
        self.tpm.craft('tpm2_import', '-C', context, '-u', files[0], '-i', files[1], '-s', files[2], '-r', private)
        self.tpm.craft('tpm2_load', '-C', context, '-u', files[0], '-r', private, '-c', self.lab.path('k.ctx'))
        data, signature = self.lab.write('data', 'a message'), self.lab.path('signature')
        self.tpm.craft('tpm2_sign', '-c', self.lab.path('k.ctx'), '-g', 'sha256', '-s', 'rsassa', '-f',
                       'plain', '-o', signature, data)
        public = self.lab.write('public.pem', self.lab.public_pem(soft))
        self.lab.run('openssl', 'dgst', '-sha256', '-verify', public, '-signature', signature, data, status=0)

    def test_a_pin_travels_with_the_key_and_a_new_one_takes_its_place(self):
        new = 'a pin from now on'
        for name, pin in (('guarded', PIN), ('open', ''), ('opened', PIN), ('kept', PIN)):
            self.wrap(name, '-N', pin, soft=SoftKey(self.lab, self.lab.path(name)))
        guarded = self.unwrap('x', '-P', PIN, '-N', new, source='guarded')
        self.assertEqual(self.lab.keygen('-p', '-f', guarded.tpm, '-P', PIN, '-N', '', status=None).returncode, 1)
        keys = [guarded, self.unwrap('y', '-N', new, source='open'),
                self.unwrap('z', '-P', PIN, '-N', '', source='opened'),
                self.unwrap('kept', source='kept', env=Askpass(self.lab, PIN, name='once').env)]
        askpass = Askpass(self.lab, new, new, PIN)
        agent = Agent(self.lab, env=askpass.env)
        for key, questions in zip(keys, (1, 2, 2, 3)):
            agent.sign_and_check(key)
            self.assertEqual(len(askpass.questions()), questions)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_wrong_pin_and_a_parent_for_a_key_which_has_one_are_refused(self):
        self.wrap('wrapped', '-N', PIN)
        self.refuse_import('PIN', env=Askpass(self.lab, *['wrong'] * 5).env)
        self.refuse_import('--parent-handle', 'hint: ', options=('--parent-handle', 'owner'), status=2)
        self.tpm.assert_no_handles()

    def test_an_encrypted_key_is_wrapped_and_a_comment_that_no_file_may_have_is_refused_before_all_else(self):
        encrypted = SoftKey(self.lab, self.lab.path('stock/encrypted'), passphrase=PASSPHRASE)
        self.assert_error(self.wrap('other', '-N', '', '-P', 'wrong', soft=encrypted, status=None), 'passphrase')
        self.wrap('wrapped', '-N', PIN, '-P', PASSPHRASE, soft=encrypted)
        self.assertEqual(sorted(os.listdir(self.out)), ['wrapped.pub', 'wrapped.tpm'])
        askpass = Askpass(self.lab, PIN)
        for source in (self.out + '/wrapped.tpm', encrypted.path):
            result = self.lab.keygen('--import', source, '-f', self.lab.path('keys/x'), '-C', 'a\nb', status=None,
                                     env={**self.lab.no_tpm, **askpass.env})
            self.assert_error(result, '-C: ', status=2)
        self.assert_error(self.wrap('other', '-C', 'a\nb', soft=encrypted, status=None), '-C: ', status=2)
        self.assertEqual((askpass.questions(), os.listdir(self.lab.keys)), ([], []))
        self.assertEqual(read(self.unwrap('x', env=askpass.env).pub), read(encrypted.pub))

    def test_another_tpm_says_that_the_key_is_not_for_it(self):
        other = Swtpm(self.lab, 'other')
        self.wrap('wrapped', '-N', PIN)
        result = self.refuse_import('TPM', env={'SSH_TPM_TCTI': other.tcti, **Askpass(self.lab, PIN).env})
        self.assertRegex(result.stderr, r'(?i)another|other machine|not for|different')
        other.assert_no_handles()

    def test_the_command_in_the_hints_makes_the_parent_that_works(self):
        poor = self.make_parent('poor', '-C', 'o', '-G', 'ecc')  # a storage key, but another one
        self.wrap('for-another', parent=poor)
        refusals = [self.wrap(parent=self.lab.write('empty', ''), status=None),
                    self.refuse_import(source='for-another')]
        commands = [re.search(r"hint: .*(tpm2_createprimary .* -o PARENT\.pem)", refusal.stderr)
                    for refusal in refusals]
        self.assertTrue(all(commands), [refusal.stderr for refusal in refusals])
        self.assertEqual(commands[0][1], commands[1][1])
        words = shlex.split(commands[0][1])
        self.tpm.craft(*words)  # in the lab's folder
        self.wrap(parent=self.lab.path('PARENT.pem'))
        self.assert_new_agent_signs(self.unwrap('x'))
        for text in ('docs/key-files.md', 'data/man/ssh-tpm.7'):
            for word in words[:-1]:
                self.assertIn(word, read(SOURCE / text))

    def test_a_wrapped_key_is_no_key_before_it_is_imported(self):
        key = self.lab.make_key('usable')
        self.wrap()
        agent = Agent(self.lab, key_dir=self.out)
        self.assertEqual(agent.listed(), [])
        self.assertIn('wrapped.tpm', agent.log())
        result = self.lab.keygen('--import', key.tpm, '-f', self.lab.path('keys/x'), status=None)
        self.assert_error(result, key.tpm)
        self.assertFalse(os.path.exists(self.lab.path('keys/x.tpm')))

    def test_a_persistent_parent_is_named_in_the_file(self):
        self.tpm.make_persistent()
        parent = self.lab.path('parent')
        self.tpm.craft('tpm2_readpublic', '-c', '0x81000001', '-f', 'tss', '-o', parent)
        self.wrap('wrapped', '-N', '', '--parent-handle', '0x81000001', parent=parent)
        key = self.unwrap('x')
        for path in (self.out + '/wrapped.tpm', key.tpm):
            self.assertIn((keyfile.INTEGER, bytes.fromhex('0081000001')), keyfile.fields(path))
        self.assert_new_agent_signs(key)

    def test_what_is_no_storage_key_is_refused(self):
        signing = self.make_parent('signing', '-C', 'o', '-G', 'ecc256', '-a',
                                   'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign')
        for path in (self.lab.path('absent'), self.lab.keys, self.lab.write('empty', ''), self.soft.path, signing):
            with self.subTest(parent=path):
                self.assert_error(self.wrap(parent=path, status=None), path)
                self.assertEqual(os.listdir(self.out), [])

    def test_the_parent_and_the_output_must_be_named_and_an_output_is_not_overwritten(self):
        for options in (('--wrap', self.soft.path), ('--wrap', self.soft.path, '--wrap-with', self.parent),
                        ('--wrap', self.soft.path, '-f', self.out + '/x'),
                        ('--wrap-with', self.parent, '-f', self.out + '/x')):
            with self.subTest(options=options):
                result = self.lab.keygen(*options, '-N', '', env=self.lab.no_tpm, status=None)
                self.assert_error(result, status=2)
        self.assertEqual(os.listdir(self.out), [])
        self.wrap()
        before = contents(self.out)
        self.assert_error(self.wrap(status=None), 'exists')
        self.assertEqual(contents(self.out), before)


if __name__ == '__main__':
    unittest.main()
