#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keys of tpm2-tools, tpm2-openssl and tpm2-pytss sign, whatever the shape of their files. What cannot sign is
explained."""

import os
import subprocess
import unittest

import keyfile
from agent import Agent, Askpass, verify
from lab import contents, read_key
from protocol import RSA_SHA2_256, RSA_SHA2_512
from stock import WithTpm
from swtpm import SHA512, STORAGE_KEY, Probe, Swtpm

OWN, SIGNING = 'fixedtpm|fixedparent|sensitivedataorigin', 'userwithauth|sign'
PARENTS = {'ecc': 'ecc256:aes128cfb', 'rsa': 'rsa2048:aes128cfb'}
PIN, OTHER = 'a foreign pin of theirs', 'another pin of ours'

# tpm2-pytss makes a key: arguments TCTI, ecc or rsa, the curve or the bits, the parent, and the PIN, or ''. Or it
# reads one: arguments TCTI, load, the file and the PIN.
PYTSS = '''
import sys
from tpm2_pytss import ESAPI, TPM2_ECC
from tpm2_pytss.tsskey import TSSPrivKey
tcti, what, *words, pin = sys.argv[1:]
with ESAPI(tcti) as tpm:
    if what == 'load':
        with open(words[0], 'rb') as file:
            key = TSSPrivKey.from_pem(file.read())
        tpm.flush_context(key.load(tpm, pin.encode() or None))
    else:
        make, size = ((TSSPrivKey.create_ecc, TPM2_ECC(int(words[0], 0))) if what == 'ecc' else
                      (TSSPrivKey.create_rsa, int(words[0])))
        print(make(tpm, size, parent=int(words[1], 0), password=pin.encode() or None).to_pem().decode(), end='')
'''
PYTHON = '/usr/bin/python3'  # Debian's, which has Debian's modules
HAS_PYTSS = not subprocess.run((PYTHON, '-c', 'import tpm2_pytss'), capture_output=True, check=False).returncode



def create(tpm, parent, *options):
    """A key by tpm2_create: the files of its halves, TPM2B_PUBLIC and TPM2B_PRIVATE."""
    halves = tpm.lab.path('half.pub'), tpm.lab.path('half.priv')
    for half in halves:
        if os.path.exists(half):
            os.unlink(half)
    tpm.craft('tpm2_create', '-C', parent, *options, '-u', halves[0], '-r', halves[1])
    return halves


class ForeignFiles(WithTpm):
    def primary(self, kind='ecc', hierarchy='o'):
        path = self.lab.path(f'{hierarchy}{kind}.ctx')
        if not os.path.exists(path):
            self.tpm.craft('tpm2_createprimary', '-C', hierarchy, '-G', PARENTS[kind], '-g', 'sha256', '-a',
                           STORAGE_KEY, '-c', path)
        return path

    def encode(self, name, halves, *options, parent=None):
        """A file by tpm2_encodeobject."""
        path = self.lab.path('keys', name + '.tpm')
        self.tpm.craft('tpm2_encodeobject', '-C', parent or self.primary(), '-u', halves[0], '-r', halves[1],
                       '-o', path, *options)
        os.chmod(path, 0o600)
        return path

    def create(self, name, *options, parent=None, algorithm='ecc256', attributes=SIGNING, empty_auth=None):
        """A key by tpm2_create in a file by tpm2_encodeobject, with `empty_auth` or the truth in its emptyAuth:
        versions 5.4 and 5.7 of the tool write the opposite of what 5.8 writes."""
        halves = create(self.tpm, parent or self.primary(), '-G', algorithm, '-a', f'{OWN}|{attributes}', *options)
        truth = '-p' not in options
        return self.mend(self.encode(name, halves, parent=parent), truth if empty_auth is None else empty_auth)

    def with_pub(self, path):
        self.lab.write(path[:-4] + '.pub', self.lab.keygen('-y', '-f', path).stdout)
        return read_key(path[:-4])

    def openssl_key(self, name, *options, algorithm=('EC', 'group:P-256')):
        path = self.lab.path('keys', name + '.tpm')
        self.tpm.openssl('genpkey', '-algorithm', algorithm[0], '-pkeyopt', algorithm[1],
                         *(word for option in options for word in ('-pkeyopt', option)), '-out', path)
        return self.with_pub(path)

    def mend(self, path, empty_auth=None, rsa_parent=None):
        """Sets fields that the tool could not: emptyAuth and rsaParent."""
        parts = keyfile.fields(path)
        for tag, value in ((keyfile.EMPTY_AUTH, empty_auth), (keyfile.RSA_PARENT, rsa_parent)):
            if value is not None:
                word = keyfile.tlv(keyfile.BOOLEAN, b'\xff' if value else b'\0')
                parts = keyfile.with_field(parts, tag, word)
        self.lab.write(path, keyfile.build(parts), mode=0o600)
        return path

    def test_keys_of_tpm2_tools_sign(self):
        shapes = 'ecc256', 'ecc256:ecdsa-sha256', 'ecc384:ecdsa-sha384', 'rsa2048:rsassa-sha512:null'
        keys = [self.with_pub(self.create(shape, algorithm=shape)) for shape in shapes]
        decrypts = self.create('decrypts', algorithm='rsa2048', attributes=SIGNING + '|decrypt')
        keys += [self.with_pub(decrypts), self.with_pub(self.create('pin', '-p', PIN)),
                 self.with_pub(self.create('either', '-p', PIN, '-L', self.policy()))]
        self.assert_new_agent_signs(*keys, answers=[PIN] * 2)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_rsa_keys_with_decrypt_sign_by_decryption_whatever_hashes_the_tpm_has(self):
        both, alone = SIGNING + '|decrypt', 'userwithauth|decrypt'
        keys = [self.with_pub(self.create('a', algorithm='rsa2048', attributes=both)),
                self.with_pub(self.create('b', algorithm='rsa2048', attributes=alone)),
                self.with_pub(self.create('c', '-p', PIN, algorithm='rsa2048', attributes=alone)),
                self.openssl_key('d', f'user-auth:{PIN}', algorithm=('RSA', 'bits:2048'))]
        for lacks in ((), (SHA512,)):
            probe = Probe(self.tpm, name=f'probe{len(lacks)}', lacks=lacks)
            askpass = Askpass(self.lab, PIN, PIN, name=f'askpass{len(lacks)}')
            agent = Agent(self.lab, name=f'agent{len(lacks)}', tcti=probe.tcti, env=askpass.env)
            for key in keys:
                with self.subTest(key=key.path, lacks=lacks), agent.connect() as connection:
                    for flag in (RSA_SHA2_256, RSA_SHA2_512):
                        verify(self.lab, key, *connection.sign(key.blob, b'data', flag), b'data')
                    agent.add('-T', key.pub, status=0)
            # TPM_RC_RETRY, at the first use of a guarded key.
            taken = probe.take(refused=('TPM2_RSA_Decrypt 0x00000922',))
            signing = [name for name in taken if name in ('TPM2_Sign', 'TPM2_RSA_Decrypt')]
            self.assertEqual(set(signing), {'TPM2_RSA_Decrypt'})
            agent.stop()
        self.tpm.assert_no_handles()

    def test_an_exempt_key_without_a_pin_signs_unasked_whatever_its_file_says(self):
        halves = create(self.tpm, self.primary(), '-G', 'ecc256', '-a', f'{OWN}|{SIGNING}|noda')
        # tpm2_encodeobject 5.4 and 5.7 write emptyAuth FALSE unless -p is given, and TRUE when it is; 5.8 vice versa.
        paths = self.encode('x', halves), self.encode('y', halves, '-p')
        said = {dict(keyfile.fields(path))[keyfile.EMPTY_AUTH][-1] != 0 for path in paths}
        self.assertEqual(said, {True, False})
        for path in paths:
            self.assert_new_agent_signs(self.with_pub(path))
            os.unlink(path)

    def test_an_empty_answer_for_a_guarded_key_costs_no_try_and_its_file_is_corrected_on_a_word(self):
        free, pin = (self.with_pub(self.create(name, *options, empty_auth=False))
                     for name, options in (('x', ()), ('y', ('-p', PIN))))
        agent = Agent(self.lab, env=Askpass(self.lab, '', '').env)
        for key in (free, pin):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assertIn("keygen -p -P '' -N ''", agent.process.wait_line(
                f'no PIN was given for {key.tpm}: the answer was empty'))
            result = self.lab.keygen('-p', '-f', key.tpm, '-N', '', stdin='\n', status=1)
            self.assertIn(f'ssh-tpm-keygen: error: {key.tpm}: no passphrase was given: the answer was empty\n',
                          result.stderr)
            self.assertIn("-P ''", result.stderr)
        agent.stop()
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.lab.keygen('-p', '-f', free.tpm, '-P', '', '-N', '')
        self.assert_error(self.lab.keygen('-p', '-f', pin.tpm, '-P', '', '-N', '', status=1), 'the PIN is wrong')
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assert_new_agent_signs(free)

    def test_an_exempt_key_with_a_pin_signs_in_lockout_and_its_question_counts_no_tries(self):
        exempt = self.with_pub(self.create('x', '-p', PIN, attributes=SIGNING + '|noda'))
        guarded = self.with_pub(self.create('y', '-p', PIN))
        ours = self.lab.make_key('ours')
        self.lab.keygen('-p', '-f', ours.tpm, '-N', PIN)
        self.lab.keygen('-p', '-f', guarded.tpm, '-P', OTHER, '-N', PIN, status=1)
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '1', '-t', '600', '-l', '600')
        askpass = Askpass(self.lab, OTHER, PIN, PIN, OTHER, PIN)
        agent = Agent(self.lab, env=askpass.env)
        for key in (exempt, ours):
            agent.sign_and_check(key)
        self.assertNotEqual(agent.ssh_keygen_sign(guarded).returncode, 0)
        self.assertIn(guarded.tpm, agent.process.wait_line('the TPM is locked'))
        agent.ssh_add('-D', status=0)
        result = agent.add('--pin', exempt.tpm, env=askpass.env)
        self.assertEqual(result.returncode, 0, result.stderr)
        agent.sign_and_check(exempt)
        result = agent.add('--pin', guarded.tpm, env=askpass.env)
        self.assert_error(result, guarded.tpm, 'the TPM is locked', tool='ssh-tpm-add')
        agent.stop()  # the TPM has slots for one program
        questions = askpass.questions()
        self.assertEqual(len(questions), 5)
        for question, again in zip(questions, (False, True, False, False, True)):
            self.assertNotRegex(question.removeprefix('Bad passphrase, try again'), r'(?i)\btr(y|ies)\b|locks')
            self.assertEqual('wrong' in question or question.startswith('Bad'), again)
        self.assert_error(self.lab.keygen('-p', '-f', exempt.tpm, '-P', OTHER, '-N', OTHER, status=1),
                          f'{exempt.tpm}: the PIN is wrong', 'does not count wrong PINs of this key')
        self.lab.keygen('-p', '-f', exempt.tpm, '-P', PIN, '-N', OTHER)
        self.assert_error(self.lab.keygen('-p', '-f', guarded.tpm, '-P', PIN, '-N', OTHER, status=1),
                          f'{guarded.tpm}: the TPM is locked')

    def test_a_key_whose_file_says_wrongly_that_it_has_no_pin_asks_for_it_all_the_same(self):
        self.assert_new_agent_signs(self.with_pub(self.create('x', '-p', PIN, empty_auth=True)), answers=[PIN])

    def test_a_file_that_says_wrongly_that_there_is_no_pin_does_not_cost_the_last_try(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        key = self.with_pub(self.create('x', '-p', PIN, empty_auth=True))
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

    def test_the_pin_changes_of_a_key_whose_file_says_wrongly_that_it_has_none_and_the_file_is_right_then(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '10', '-t', '600', '-l', '600')
        spent = 0
        for name, attributes, given, cost in (('given', '', ('-P', PIN), 1), ('exempt', '|noda', ('-P', PIN), 0),
                                              ('typed exempt', '|noda', (), 0), ('typed', '', (), 1)):
            spent += cost
            with self.subTest(name):
                path = self.create(name, '-p', PIN, attributes=SIGNING + attributes, empty_auth=True)
                self.lab.keygen('-p', '-f', path, *given, '-N', OTHER, stdin='' if given else PIN + '\n')
                self.assertEqual(self.tpm.wrong_tries(), spent)
                self.assertEqual(dict(keyfile.fields(path))[keyfile.EMPTY_AUTH][-1], 0)
                self.lab.keygen('-p', '-f', path, '-P', OTHER, '-N', PIN)
                os.unlink(path)

    def test_a_pin_change_of_a_key_whose_file_says_wrongly_that_it_has_none_does_not_cost_the_last_try(self):
        path = self.create('x', '-p', PIN, empty_auth=True)
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '4', '-t', '600', '-l', '600')
        self.assert_error(self.lab.keygen('-p', '-f', path, '-P', OTHER, '-N', '', status=1), 'the PIN is wrong')
        self.assertEqual(self.tpm.wrong_tries(), 2)
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '3', '-t', '600', '-l', '600')
        for given in (), ('-P', PIN):
            result = self.lab.keygen('-p', '-f', path, *given, '-N', '', stdin=PIN + '\n', status=1)
            self.assert_error(result, 'LAST TRY')
        self.assertEqual(self.tpm.wrong_tries(), 2)

    def test_a_p_that_a_key_without_a_pin_does_not_need_is_no_obstacle(self):
        path = self.create('x')
        self.lab.keygen('-p', '-f', path, '-P', OTHER, '-N', PIN)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_add_pin_asks_for_the_pin_of_a_key_whose_file_says_wrongly_that_it_has_none(self):
        free, pin, exempt = (self.with_pub(self.create(name, *options, attributes=SIGNING + more, empty_auth=True))
                             for name, options, more in (('x', (), ''), ('y', ('-p', PIN), ''),
                                                         ('z', ('-p', PIN), '|noda')))
        agent = Agent(self.lab, '--no-load')
        for key, answers, cost in (free, (), 0), (pin, (PIN,), 1), (exempt, (PIN,), 1):
            with self.subTest(key=key.path):
                askpass = Askpass(self.lab, *answers, name=os.path.basename(key.path))
                for options in (), ('-t', '1h'):  # the second time the agent has it already
                    result = agent.add('--pin', *options, key.tpm, env=askpass.env)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertEqual(self.tpm.wrong_tries(), cost)
                    agent.sign_and_check(key)
                    askpass = Askpass(self.lab, *answers, name=os.path.basename(key.path) + 'again')
        self.assertEqual(agent.log().count('its file says that it has none, which costs a try'), 1)

    def test_one_wrong_pin_file_is_one_try_whatever_the_files_say(self):
        keys = [self.with_pub(self.create(name, '-p', PIN, empty_auth=name == 'y')) for name in 'xy']
        free = self.with_pub(self.create('z'))
        agent = Agent(self.lab, '--no-load')
        pin_file = self.lab.write('pin', OTHER + '\n', mode=0o600)
        result = agent.add('--pin-file', pin_file, *(key.tpm for key in (*keys, free)))
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        agent.sign_and_check(free)

    def test_a_guarded_key_without_a_pin_is_one_command_once_it_has_signed(self):
        key = self.with_pub(self.create('x'))
        probe = Probe(self.tpm)
        agent = Agent(self.lab, tcti=probe.tcti)
        agent.sign_and_check(key)
        probe.take(refused=('TPM2_Sign 0x00000922',))  # TPM_RC_RETRY: it writes down that guarded keys are in use
        agent.sign_and_check(key)
        self.assertEqual([name for name in probe.take() if name != 'TPM2_FlushContext'], ['TPM2_Sign'])

    def test_keys_under_the_rsa_storage_key_sign(self):
        parent = self.primary('rsa')
        keys = [self.with_pub(self.mend(self.create('x', parent=parent), rsa_parent=True)),
                self.with_pub(self.mend(self.create('y', '-p', PIN, parent=parent), rsa_parent=True))]
        self.assert_new_agent_signs(*keys, answers=[PIN])

    def test_keys_under_a_persistent_parent_sign(self):
        keys = []
        for kind, handle, pin in (('ecc', '0x81000001', ''), ('rsa', '0x81000055', PIN)):
            self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', self.primary(kind), handle)
            path = self.create(kind, *(('-p', pin) if pin else ()), parent=handle)
            keys.append(self.with_pub(path))
            self.assertIn((keyfile.INTEGER, bytes.fromhex('00' + handle[2:])), keyfile.fields(path))
        keys.append(self.openssl_key('o', 'parent:0x81000055', f'user-auth:{PIN}'))
        self.assert_new_agent_signs(*keys, answers=[PIN] * 2)

    def test_keys_of_tpm2_openssl_with_and_without_a_pin_sign(self):
        keys = [self.openssl_key('a'), self.openssl_key('b', f'user-auth:{PIN}', algorithm=('EC', 'group:P-384')),
                self.openssl_key('c', f'user-auth:{PIN}', algorithm=('RSA', 'bits:2048'))]
        for key in keys:
            self.assertEqual(self.lab.public_pem(key),
                             self.tpm.openssl('pkey', '-in', key.tpm, '-passin', 'pass:' + PIN, '-pubout'))
        self.assert_new_agent_signs(*keys, answers=[PIN] * 2)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_the_pin_of_a_foreign_key_changes_and_its_maker_still_reads_the_file(self):
        for key in (self.openssl_key('a', f'user-auth:{PIN}'), self.with_pub(self.create('b', '-p', PIN))):
            before = contents(self.lab.keys)
            self.assert_error(self.lab.keygen('-p', '-f', key.tpm, '-P', OTHER, '-N', PIN, status=None))
            self.assertEqual(contents(self.lab.keys), before)
            self.tpm.tool('tpm2_dictionarylockout', '-c')
            self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
            self.assert_new_agent_signs(key, answers=[OTHER])
            self.tpm.assert_openssl_signs(key, OTHER)

    def test_the_pin_of_an_rsa_key_changes_whatever_hash_its_scheme_has(self):
        for bits in (256, 512):
            key = self.with_pub(self.create(f'x{bits}', '-p', PIN, algorithm=f'rsa2048:rsassa-sha{bits}:null'))
            self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER)
            askpass = Askpass(self.lab, OTHER, name=f'askpass{bits}')
            with Agent(self.lab, name=f'agent{bits}', env=askpass.env).connect() as connection:
                flag = RSA_SHA2_512 if bits == 512 else RSA_SHA2_256
                verify(self.lab, key, *connection.sign(key.blob, b'data', flag), b'data')

    def pytss(self, *words):
        """Runs PYTSS, and flushes the parent that it leaves in the TPM."""
        printed = self.lab.run(PYTHON, '-c', PYTSS, self.tpm.tcti, *words, status=0).stdout
        for _, handle in self.tpm.handles():
            self.tpm.tool('tpm2_flushcontext', handle)
        return printed

    @unittest.skipUnless(HAS_PYTSS, 'no python3-tpm2-pytss')
    def test_keys_of_tpm2_pytss_sign_and_change_their_pin_and_it_still_reads_them(self):
        self.tpm.make_persistent('-C', 'o', '-G', PARENTS['rsa'])
        owner, persistent = '0x40000001', '0x81000001'
        for name, words, pin in (('p256', ('ecc', '0x0003', owner), ''), ('p384', ('ecc', '0x0004', owner), PIN),
                                 ('rsa', ('rsa', '2048', owner), PIN), ('kept', ('ecc', '0x0003', persistent), '')):
            with self.subTest(name):
                path = self.lab.write(f'keys/{name}.tpm', self.pytss(*words, pin), mode=0o600)
                key = self.with_pub(path)
                self.assertEqual(self.lab.keygen('-l', '-f', path).stdout.split()[1], self.lab.fingerprint(key))
                self.assert_new_agent_signs(key, answers=[pin] if pin else [])
                self.lab.keygen('-p', '-f', path, '-P', pin, '-N', OTHER)
                self.assert_new_agent_signs(key, answers=[OTHER])
                self.pytss('load', path, OTHER)
                os.unlink(path)

    def assert_unusable(self, path, *words, name=None):
        """The agent serves all but this file, and both programs say why."""
        agent = Agent(self.lab, name=name or os.path.basename(path))
        self.assertEqual(agent.listed(), [self.good.line])
        line = agent.process.wait_line(os.path.basename(path))
        for word in words:
            self.assertIn(word, line)
        self.assert_error(self.lab.keygen('-p', '-f', path, '-N', PIN, status=None), path, *words)

    def test_a_fixed_hash_is_the_keys_limit_and_told_when_the_key_comes_and_when_it_is_asked_for_another(self):
        key, longer = (self.with_pub(self.create(name, '-p', PIN, algorithm=f'rsa2048:rsassa-{name}:null'))
                       for name in ('sha256', 'sha512'))
        agent = Agent(self.lab, env=Askpass(self.lab, PIN, PIN).env)
        told = agent.process.wait_line(f'{key.tpm}: this key was made for signatures with SHA-256')
        self.assertIn('rsa-sha2-512', told)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)  # it wants rsa-sha2-512, and nobody is asked
        agent.process.wait_line(f'{key.tpm}: this key was made for signatures with SHA-256 only; a signature with '
                                'SHA-512 was asked for')
        agent.process.wait_line('PubkeyAcceptedAlgorithms')
        agent.sign_and_check(longer)
        with agent.connect() as connection:
            self.assertIsNone(connection.sign(longer.blob, b'data', RSA_SHA2_256))
            agent.process.wait_line(f'{longer.tpm}: this key was made for signatures with SHA-512 only')
            self.assertEqual(connection.sign(key.blob, b'data', RSA_SHA2_256)[0], 'rsa-sha2-256')
        agent.stop()  # the TPM has slots for one program
        for each in (key, longer):  # the trial signature has the right hash
            self.lab.keygen('-p', '-f', each.tpm, '-P', PIN, '-N', OTHER)
        agent = Agent(self.lab, '--no-load', name='second')
        for each in (key, longer):
            result = agent.add('--pin', each.tpm, stdin=OTHER + '\n')
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual('rsa-sha2-512, which OpenSSH prefers, fails' in result.stderr, each is key)

    def test_a_reference_to_a_persistent_key_is_explained(self):
        self.good = self.lab.make_key('good')
        halves = create(self.tpm, self.primary(), '-G', 'ecc256', '-a', f'{OWN}|{SIGNING}|noda')
        context, path = self.lab.path('x.ctx'), self.lab.path('keys/x.tpm')
        for handle in ('0x81010002', '0x81000001', '0x81010000'):
            self.tpm.craft('tpm2_load', '-C', self.primary(), '-u', halves[0], '-r', halves[1], '-c', context)
            self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', context, handle)
            self.tpm.openssl('pkey', '-in', 'handle:' + handle, '-out', path)
            os.chmod(path, 0o600)
            self.assert_unusable(path, 'a reference to a key at a persistent handle', name=handle)

    def policy(self):
        """The digest of a policy that demands the value of a PCR."""
        path = self.lab.path('pcr.policy')
        self.tpm.craft('tpm2_createpolicy', '--policy-pcr', '-l', 'sha256:16', '-L', path)
        return path

    def test_what_cannot_sign_is_explained(self):
        self.good = self.lab.make_key('good')
        self.assert_unusable(self.create('locked', '-L', self.policy(), attributes='sign'), 'policy')
        os.unlink(self.lab.path('keys/locked.tpm'))
        self.assert_unusable(self.create('decrypts', algorithm='ecc256:ecdh-sha256',
                                         attributes='userwithauth|decrypt'), 'sign attribute')
        os.unlink(self.lab.path('keys/decrypts.tpm'))
        self.assert_unusable(self.create('rsaes', algorithm='rsa2048:rsaes', attributes='userwithauth|decrypt'),
                             'only decrypts, with the scheme RSAES')
        other = Swtpm(self.lab, 'other')
        key = self.lab.make_key('stranger', env={'SSH_TPM_TCTI': other.tcti})
        agent = Agent(self.lab, name='second')
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('another TPM')
        self.assert_error(self.lab.keygen('-p', '-f', key.tpm, '-N', PIN, status=None), 'another TPM')


if __name__ == '__main__':
    unittest.main()
