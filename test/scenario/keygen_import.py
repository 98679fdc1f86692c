#!/usr/bin/env python3
"""ssh-tpm-keygen --import seals keys that were made outside the TPM, and leaves what it read as it was."""

import os
import shutil
import unittest

import keyfile
from agent import Agent, Askpass
from lab import KINDS, Scenario, contents, mode, read, read_key
from softkey import CONTAINERS, SoftKey
from swtpm import Probe, Swtpm
from terminal import talk

PASSPHRASE, PIN = 'the old passphrase', 'a new pin 77'
FIRST = 'passphrase (empty for no passphrase): '
SECOND = 'Enter same passphrase again: '


class KeygenImport(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.outside = self.lab.make_folder('outside')

    def soft(self, name='id_ecdsa', **more):
        return SoftKey(self.lab, os.path.join(self.outside, name), **more)

    def load(self, path, *options, status=0, **more):
        return self.lab.keygen('--import', path, *options, status=status, **more)

    def refuse(self, path, *words, options=('-N', ''), status=1, **more):
        """Demands a refusal that leaves everything as it was."""
        before = self.everything()
        result = self.load(path, *options, status=None, **more)
        self.assert_error(result, *words, status=status)
        self.assertEqual(self.everything(), before)

    def everything(self):
        """What lies in the lab, the TPM's own state apart."""
        return {path: content for path, content in contents(self.lab.folder).items()
                if not path.startswith(self.tpm.path)}

    def has_no_da(self, key):
        return bool(keyfile.attributes(keyfile.public_area(keyfile.fields(key.tpm))[1]) & keyfile.NO_DA)

    def test_every_type_comes_in_from_every_container_and_signs(self):
        softs = [self.soft(f'{kind}{bits}', kind=kind, bits=bits, comment='two words')
                 for kind, bits in KINDS]
        for container in CONTAINERS:
            for passphrase in ('', PASSPHRASE):
                folder = self.lab.make_folder(container + passphrase[:3])
                agent_keys = []
                for soft in softs:
                    with self.subTest(key=soft.path, container=container, passphrase=passphrase):
                        source = soft.copy(soft.path + '.copy', container, passphrase)
                        before = contents(self.outside)
                        out = os.path.join(folder, os.path.basename(soft.path))
                        self.load(source, '-q', '-f', out, '-N', '',
                                  *(('-P', passphrase) if passphrase else ()))
                        self.assertEqual(contents(self.outside), before)
                        key = read_key(out)
                        self.assertEqual(key.line.split()[:2], read(soft.pub).split()[:2])
                        self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))
                        self.assertTrue(self.has_no_da(key))
                        if container == 'openssh':  # the others have no comment inside
                            self.assertEqual(key.comment, 'two words')
                        agent_keys.append(key)
                agent = Agent(self.lab, name=os.path.basename(folder), key_dir=folder)
                for key in agent_keys:
                    agent.sign_and_check(key)
                agent.stop()
        self.assertEqual(len(agent_keys), len(KINDS))
        self.tpm.assert_no_handles()

    def test_a_sec1_file_as_openssl_writes_it_with_its_parameters_in_front(self):
        path = os.path.join(self.outside, 'x')
        self.lab.run('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-out', path, status=0)
        self.assertIn('BEGIN EC PARAMETERS', read(path))
        self.load(path, '-N', '', '-f', self.lab.path('keys/x'))
        key = read_key(self.lab.path('keys/x'))
        os.chmod(path, 0o600)
        self.assertEqual(key.line.split()[:2], self.lab.ssh_keygen('-y', '-f', path).split()[:2])
        Agent(self.lab).sign_and_check(key)

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
        Agent(self.lab, key_dir=self.outside).sign_and_check(key)

    def test_without_a_public_file_one_is_written(self):
        soft = self.soft(comment='two words')
        public = read(soft.pub)
        os.unlink(soft.pub)
        self.load(soft.path, '-q', '-N', '')
        self.assertEqual(read(soft.pub), public)

    def test_quiet_still_says_where_the_plaintext_is(self):
        result = self.load(self.soft().path, '-q', '-N', '')
        self.assertEqual(result.stdout, '')
        self.assertIn(self.outside, result.stderr)

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

    def test_a_pin_is_the_keys_from_then_on_and_wrong_ones_are_counted(self):
        for kind, bits in (('ecdsa', 384), ('rsa', 2048)):
            soft = self.soft(kind, kind=kind, bits=bits)
            self.load(soft.path, '-q', '-N', PIN, '-f', self.lab.path('keys', kind))
            key = read_key(self.lab.path('keys', kind))
            self.assertFalse(self.has_no_da(key))
            askpass = Askpass(self.lab, 'wrong', PIN, name=kind)
            agent = Agent(self.lab, name='agent.' + kind, env=askpass.env)
            agent.ssh_keygen_sign(key)
            agent.sign_and_check(key)
        self.assertEqual(self.tpm.wrong_tries(), 2)

    def test_the_dialogue_asks_for_the_old_passphrase_and_then_for_a_new_one(self):
        soft = self.soft(passphrase=PASSPHRASE)
        status, shown = talk(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', '--import', soft.path, answers=[
            (f'passphrase for {soft.path}: ', 'wrong'), (f'try again for {soft.path}: ', PASSPHRASE),
            (FIRST, PIN), (SECOND, PIN)])
        self.assertEqual(status, 0, shown)
        askpass = Askpass(self.lab, PIN)
        Agent(self.lab, key_dir=self.outside, env=askpass.env).sign_and_check(read_key(soft.path))
        self.assertEqual(len(askpass.questions()), 1)

    def test_three_wrong_passphrases_are_the_end(self):
        soft = self.soft(passphrase=PASSPHRASE)
        for container in CONTAINERS:
            source = soft.copy(os.path.join(self.outside, 'encrypted'), container, PASSPHRASE)
            askpass = Askpass(self.lab, *['wrong'] * 3, PASSPHRASE, name='askpass.' + container)
            before = contents(self.outside)
            result = self.load(source, '-N', '', env=askpass.env, status=None)
            self.assert_error(result, 'passphrase')
            self.assertEqual(len(askpass.questions()), 3)
            self.assertEqual(contents(self.outside), before)
            self.refuse(source, 'passphrase', options=('-N', '', '-P', 'wrong'))
            result = self.load(source, '-N', '', status=1)  # and nobody to ask
            self.assertRegex(result.stderr, 'error: .*no passphrase')
            self.assertEqual(contents(self.outside), before)

    def test_keys_that_no_tpm_holds_are_refused_with_the_reason(self):
        for name, options, words in (
                ('ed25519', ('ssh-keygen', '-q', '-t', 'ed25519', '-N', ''), ('25519',)),
                ('dsa', ('ssh-keygen', '-q', '-t', 'dsa', '-N', ''), ('DSA',)),
                ('rsa1024', ('ssh-keygen', '-q', '-t', 'rsa', '-b', '1024', '-N', ''), ('1024',)),
                ('ed25519p', ('openssl', 'genpkey', '-algorithm', 'ed25519'), ('25519',)),
                ('p224', ('openssl', 'ecparam', '-name', 'secp224r1', '-genkey', '-noout'), ()),
                ('k256', ('openssl', 'ecparam', '-name', 'secp256k1', '-genkey', '-noout'), ())):
            with self.subTest(name=name):
                path = os.path.join(self.outside, name)
                self.lab.run(*options, '-out' if options[0] == 'openssl' else '-f', path, status=0)
                self.refuse(path, path, *words)
        self.tpm.assert_no_handles()

    def test_what_is_no_private_key_is_refused(self):
        soft = self.soft()
        text = read(soft.path)
        broken = {'empty': '', 'text': 'no key\n', 'half': text[:len(text) // 2], 'public': read(soft.pub),
                  'damaged': text[:150] + ('A' if text[150] != 'A' else 'B') + text[151:],
                  'large': text + ' ' * 70000}
        for name, content in broken.items():
            with self.subTest(name=name):
                path = self.lab.write('outside/' + name, content, mode=0o600)
                self.refuse(path, path)
        self.refuse(os.path.join(self.outside, 'absent'), 'absent')

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
        before = self.everything()
        askpass = Askpass(self.lab)
        fifo = askpass.answer_later(1)
        process = self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '--import', soft.path, '-N', '', '-f',
                                 self.lab.path('keys/x'), env=askpass.env)
        with open(fifo, 'w', encoding='utf-8') as answer:  # opens once it asks
            self.assertEqual(sorted(os.listdir(self.lab.keys)), [])
            answer.write(PASSPHRASE + '\n')
        self.assertEqual(process.wait(), 0, process.log())
        after = self.everything()
        new = {path for path in after if path not in before and not path.startswith(askpass.folder)}
        self.assertEqual(new, {self.lab.path('keys/x.tpm'), self.lab.path('keys/x.pub')})
        for number in soft.numbers():
            for path in new:
                self.assertNotIn(number, after[path])

    def test_neither_the_key_nor_its_passwords_are_on_the_bus(self):
        probe = Probe(self.tpm)
        secrets = [PIN.encode(), PASSPHRASE.encode()]
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            soft = self.soft(kind, kind=kind, bits=bits)
            secrets += soft.numbers()
            source = soft.copy(soft.path + '.encrypted', passphrase=PASSPHRASE)
            self.load(source, '-q', '-N', PIN, '-P', PASSPHRASE, '-f', self.lab.path('keys', kind),
                      env={'SSH_TPM_TCTI': probe.tcti})
            key = read_key(self.lab.path('keys', kind))
        askpass = Askpass(self.lab, PIN)
        Agent(self.lab, env=askpass.env, tcti=probe.tcti).sign_and_check(key)
        traffic = probe.bytes()
        self.assertIn('TPM2_Import', read(probe.file))
        self.assertIn(key.blob[-256:], traffic)
        self.assertGreaterEqual(len(secrets), 6)
        for secret in secrets:
            self.assertGreaterEqual(len(secret), 12)
            self.assertNotIn(secret, traffic)


if __name__ == '__main__':
    unittest.main()
