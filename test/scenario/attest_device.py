#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest request: what a TPM says of its keys, whatever endorsement certificates it has, and what it is not
asked to say."""

import os
import shutil
import unittest

import bus
from agent import Askpass
from attestation import Refused, public_key, verify
from attesting import PENDING, Asked, Attesting
from endorsed import CERTIFICATE_INDEX, P_256, P_384, RSA_2048, Endorsed
from foreign_files import create
from hierarchy import base_of, read_public
from lab import read, read_key
from softkey import SoftKey
from swtpm import STORAGE_KEY, Probe
from terminal import Terminal, talk
from tpm_maker import Authority
from tpm_objects import ECC, EK_TEMPLATES, RSA

PIN, WRONG = 'correct horse 42', 'wrong horse battery'
CHAIN, CHAIN_2 = 0x01c00100, 0x01c00101


class Endorsements(Attesting):
    """Each endorsement key that a certificate leads to, from the request to the installed certificate."""

    def setUp(self):
        super().setUp()
        self.key = self.lab.make_key()

    def use(self, name, keep):
        """Another TPM; the key of the first one is out of its reach, so it gets its own."""
        self.tpm = Endorsed(self.lab, name, keep=keep)
        self.lab.env['SSH_TPM_TCTI'] = self.tpm.tcti
        self.key = self.lab.make_key(name)

    def assert_certified(self, index, ak_kind=ECC):
        asked = self.ask(self.key)
        template = EK_TEMPLATES[index]
        self.assertEqual(asked.ek.replace(unique=template.unique), template)
        self.assertEqual((asked.certificate, asked.ak.kind), (self.tpm.certificate(index), ak_kind))
        said = self.assert_good(asked)
        self.assertEqual([said[name] for name in ('manufacturer', 'model', 'version', 'known')],
                         ['id:00001014', 'swtpm', 'id:20191023', False])
        self.tpm.assert_no_handles()
        self.assert_walk(asked, self.key)

    def test_each_certificate_alone_and_all_of_them(self):
        self.assert_certified(P_384)
        for name, keep, index in (('r', (RSA_2048,), RSA_2048), ('p', (P_256,), P_256),
                                  ('all', (RSA_2048, P_256, P_384), P_384), ('low', (RSA_2048, P_256), P_256)):
            with self.subTest(keep=list(map(hex, keep))):
                self.use(name, keep)
                self.assert_certified(index)

    def test_the_persistent_endorsement_keys_are_not_needed(self):
        self.tpm.forget_eks()
        self.assert_certified(P_384)

    def assert_known(self, index, ak_kind=ECC):
        asked = self.ask(self.key)
        self.assertEqual((asked.certificate, asked.chain, asked.ak.kind), (b'', [], ak_kind))
        template = EK_TEMPLATES[index]
        self.assertEqual(asked.ek.replace(unique=template.unique), template)
        result = self.assert_good(asked, known=True)
        self.assertEqual((result['known'], result['principals'], result['manufacturer']), (True, ['web1'], ''))
        refused = self.attest('verify', '--ek-roots', self.roots, stdin=asked.text, text=False)
        self.assertEqual((refused.returncode, refused.stdout), (1, b''))
        self.assertIn(asked.ek.name().hex(), refused.stderr.decode().replace('\n  ', ''))  # for --ek-known
        with self.assertRaises(Refused):
            verify(asked.text, [])
        self.assert_walk(asked, self.key)

    def test_a_tpm_without_certificates_is_known_by_its_endorsement_key(self):
        self.use('bare', ())
        self.assert_known(P_256)

    def test_without_ecc_all_keys_are_of_rsa(self):
        for name, keep in ('bare', ()), ('shipped', (RSA_2048,)):
            with self.subTest(keep=keep):
                self.tpm = Endorsed(self.lab, name, keep=keep)
                probe = Probe(self.tpm, name + '-probe')
                probe.fail('* no-ecc')
                self.lab.env['SSH_TPM_TCTI'] = probe.tcti
                self.key = self.lab.make_key(name, 'rsa', 2048)
                if keep:
                    self.assert_certified(RSA_2048, RSA)
                else:
                    self.assert_known(RSA_2048, RSA)

    def test_names_are_the_same_after_a_power_cycle_and_after_tpm2_clear(self):
        first = self.ask(self.key)
        self.tpm.reset()
        again = self.ask(self.key)
        self.tpm.kill()
        self.tpm.start()
        third = self.ask(self.key)
        self.tpm.tool('tpm2_clear', '-c', 'p')
        self.assertNotIn('0x81010016', self.tpm.tool('tpm2_getcap', 'handles-persistent'))
        refused = self.attest('request', '-f', self.key.tpm)
        self.assert_error(refused, 'the TPM was cleared', tool='ssh-tpm.*')
        os.unlink(self.lab.path('state/ssh-tpm/known_tpms'))
        self.key = self.lab.make_key('new')
        fourth = self.ask(self.key)
        for asked in again, third, fourth:
            self.assertEqual((asked.ek, asked.ak), (first.ek, first.ak))
            self.assert_good(asked)
        self.assert_walk(fourth, self.key)

    def test_the_answer_to_a_request_from_before_opens_after_a_power_cycle(self):
        asked = self.ask(self.key)
        self.tpm.kill()
        self.tpm.start()
        self.assert_walk(asked, self.key)

    def test_makers_fill_the_index_behind_the_certificate(self):
        plain = self.tpm.certificate(P_384)
        for padding in b'\xff' * 700, bytes(100), b'\x30\x82\x00\x04abcd', os.urandom(50):
            self.tpm.put_certificate(P_384, plain + padding)
            asked = self.ask(self.key)
            self.assertEqual(asked.certificate, plain)
            self.assert_good(asked)
        self.assert_walk(asked, self.key)

    def assert_without(self, index):
        """Its certificate cannot be read, which is told; the others, or none, are used."""
        result = self.attest('request', '-f', self.key.tpm, status=0)
        self.assertRegex(result.stderr, rf'(?m)^ssh-tpm.*: warning: .*0x{index:08x}')
        self.tpm.assert_no_handles()
        return Asked(result.stdout.encode())

    def test_an_index_that_holds_no_certificate(self):
        plain = self.tpm.certificate(P_384)
        # The last is in an envelope of TPMs before 2.0.
        for content in (b'\xff' * 600, bytes(600), os.urandom(8), plain[:-1], b'\x30\x82', b'\x30\x80' + plain[2:],
                        b'\x10\x01\x00' + plain):
            self.tpm.put_certificate(P_384, content)
            asked = self.assert_without(P_384)
            self.assertEqual((asked.certificate, asked.ek.curve), (b'', EK_TEMPLATES[P_256].curve))
            self.assert_good(asked, known=True)
        self.assert_walk(asked, self.key)

    def test_an_index_that_nobody_has_written_or_with_a_password(self):
        for options in (), ('-p', 'a password'):
            self.tpm.tool('tpm2_nvundefine', '-C', 'p', hex(P_384))
            self.tpm.tool('tpm2_nvdefine', '-C', 'p', '-s', '600', '-a', CERTIFICATE_INDEX, *options, hex(P_384))
            self.assert_good(self.assert_without(P_384), known=True)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_the_certificate_of_another_key_serves_where_one_cannot_be_read(self):
        self.use('both', (RSA_2048, P_384))
        self.tpm.put_certificate(P_384, b'\xff' * 600)
        asked = self.assert_without(P_384)
        self.assertEqual(asked.certificate, self.tpm.certificate(RSA_2048))
        self.assert_good(asked)
        self.assert_walk(asked, self.key)

    def test_a_certificate_of_another_key(self):
        """The device's part says what it has; the certificate authority refuses it."""
        other = Endorsed(self.lab, 'other', number=1)
        self.tpm.put_certificate(P_384, other.certificate(P_384))
        asked = self.ask(self.key)
        refused = self.attest('verify', '--ek-roots', self.roots, stdin=asked.text.decode())
        self.assert_error(refused, 'certificate', tool='ssh-tpm.*')


class Chains(Attesting):
    """Indices from 0x01c00100 on have the certificates of two endorsement keys' issuers."""

    def setUp(self):
        super().setUp()
        self.key = self.lab.make_key()
        self.maker, self.other = Authority('Maker'), Authority('Other')
        self.tpm.put_certificate(P_384, self.maker.ek_certificate(public_key(self.ask(self.key).ek)))
        self.roots = self.lab.make_folder('maker')
        self.lab.write('maker/root.der', self.maker.root.certificate)

    def assert_chain(self, *expected):
        asked = self.ask(self.key)
        self.assertEqual(asked.chain, list(expected))
        return asked

    def good_by_the_roots(self, asked):
        verify(asked.text, [self.maker.root.certificate])
        said = self.attest('verify', '--ek-roots', self.roots, stdin=asked.text.decode())
        self.assertEqual(said.returncode, 0, said.stderr)

    def test_only_the_issuers_of_this_certificate_are_sent(self):
        ours, others = self.maker.intermediate.certificate, self.other.intermediate.certificate
        for content in ours, others + ours, ours + others, ours + ours, ours + b'\xff' * 50, others + ours + bytes(30):
            self.tpm.put_certificate(CHAIN, content)
            self.good_by_the_roots(self.assert_chain(ours))
        self.tpm.put_certificate(CHAIN, others)
        asked = self.assert_chain()
        refused = self.attest('verify', '--ek-roots', self.roots, stdin=asked.text.decode())
        self.assert_error(refused, tool='ssh-tpm.*')

    def test_a_certificate_may_begin_in_one_index_and_end_in_the_next(self):
        ours, others = self.maker.intermediate.certificate, self.other.intermediate.certificate
        for cut in 3, 100, len(others), len(others) + 200:
            both = others + ours
            self.tpm.put_certificate(CHAIN, both[:cut])
            self.tpm.put_certificate(CHAIN_2, both[cut:])
            self.good_by_the_roots(self.assert_chain(ours))

    def test_the_root_may_be_in_the_chain(self):
        self.tpm.put_certificate(CHAIN, self.maker.intermediate.certificate + self.maker.root.certificate)
        asked = self.ask(self.key)
        self.assertEqual(asked.chain[0], self.maker.intermediate.certificate)
        self.good_by_the_roots(asked)

    def test_garbage_in_the_chain_is_left_out(self):
        for content in b'\xff' * 100, b'\x30\x82\x00\x04abcd', os.urandom(100):
            self.tpm.put_certificate(CHAIN, content)
            self.assert_chain()


class Keys(Attesting):
    def test_several_keys_under_several_parents(self):
        self.tpm.make_persistent()
        keys = [self.lab.make_key('a'), self.lab.make_key('b', bits=384), self.lab.make_key('c', bits=521),
                self.lab.make_key('d', 'rsa', 2048)]
        for name, parent in ('e', 'endorsement'), ('f', '0x81000001'):
            self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys', name), '--parent-handle', parent)
            keys.append(read_key(self.lab.path('keys', name)))
        asked = self.ask(*keys)
        self.assertEqual(asked.lines, [f'{key.algorithm} {key.line.split()[1]}' for key in keys])
        self.assert_good(asked)
        self.assert_walk(asked, *keys)

    def test_the_default_key_is_the_one_in_the_home_folder(self):
        folder = self.lab.make_folder('home/.ssh')
        key = self.lab.make_key('id_ecdsa', folder=folder)
        asked = self.ask()
        self.assert_good(asked)
        self.assert_walk(asked, key)

    def test_the_name_of_a_key_with_and_without_its_ending(self):
        key = self.lab.make_key()
        for name in key.path, key.tpm, os.path.relpath(key.path, self.lab.folder):
            asked = Asked(self.attest('request', '-f', name, status=0, text=False).stdout)
            self.assert_walk(asked, key)
            os.unlink(key.path + '-cert.pub')

    def test_names_of_files(self):
        for name in ('with blanks', '#number', 'ümlaut', 'dots.a.b', 'blank ', ' blank', '"quoted"', "it's",
                     'back\\slash'):
            with self.subTest(name):
                key = self.lab.make_key(name)
                self.assert_walk(self.ask(key), key)
        key = self.lab.make_key('line\nfeed', comment='')
        result = self.attest('request', '-f', key.tpm)
        self.assert_error(result, 'control characters', status=2, tool='ssh-tpm.*')

    def test_an_output_that_is_full_and_a_state_folder_that_is_none(self):
        key = self.lab.make_key()
        result = self.lab.run('sh', '-c', '"$@" >/dev/full', 'sh', f'{self.lab.bin}/ssh-tpm', 'attest', 'request', '-f',
                              key.tpm)
        self.assert_error(result, tool='ssh-tpm.*')
        shutil.rmtree(self.lab.path(PENDING))
        self.lab.write(PENDING, '')
        result = self.attest('request', '-f', key.tpm)
        self.assert_error(result, PENDING, tool='ssh-tpm.*')
        self.assertEqual(result.stdout, '')

    def test_thirty_two_keys_and_no_more(self):
        keys = [self.lab.make_key(f'k{number}') for number in range(33)]
        asked = self.ask(*keys[:32])
        self.assert_good(asked)
        self.assert_walk(asked, *keys[:32])
        result = self.attest('request', *(word for key in keys for word in ('-f', key.tpm)))
        self.assert_error(result, '32', status=2, tool='ssh-tpm.*')

    def test_host_and_nonce(self):
        key = self.lab.make_key()
        host = self.lab.run('hostname', status=0).stdout.strip()
        self.assertEqual(self.ask(key).members['host'], host)
        for name, nonce in ('wäb1.example.org', ' a "nonce" \\ with </ ~'), ('', 'x' * 128), ('h' * 255, '1'):
            asked = self.ask(key, options=('--host', name, '--nonce', nonce))
            self.assertEqual((asked.members['host'], asked.members['nonce']), (name, nonce))
            self.assertTrue(self.assert_good(asked, nonce=nonce)['fresh'])
        before = self.pending()
        for option, text, status in (('--nonce', 'x' * 129, 2), ('--nonce', 'ä', 2), ('--nonce', 'a\tb', 2),
                                     ('--host', 'h' * 256, None), ('--host', 'a\x1bb', None)):
            with self.subTest(option=option, text=text):
                result = self.attest('request', '-f', key.tpm, option, text)
                self.assert_error(result, status=status or result.returncode, tool='ssh-tpm.*')
                self.assertEqual((result.returncode != 0, result.stdout, self.pending()), (True, '', before))

    def test_what_is_refused(self):
        key = self.lab.make_key()
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.lab.keygen('-q', '--import', soft.path, '-N', '', '-f', self.lab.path('keys/brought'))
        fixed = create(self.tpm, self.storage_key(), '-G', 'ecc256', '-a',
                                     'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|sign')
        by_policy = self.encoded(fixed)
        self.lab.write('keys/pub', key.line + '\n')
        for files, status, words in ((('brought',), 1, 'imported'), ((by_policy,), 1, 'policy'),
                                     (('id', 'id'), 2, 'twice'), (('absent',), 1, 'absent'), (('pub',), 1, 'pub'),
                                     (('id', 'brought'), 1, 'imported')):
            with self.subTest(files=files):
                named = (word for name in files for word in ('-f', self.lab.path('keys', name)))
                result = self.attest('request', *named)
                self.assert_error(result, words, status=status, tool='ssh-tpm.*')
                self.assertEqual((result.stdout, self.pending()), ('', []))
        result = self.attest('request', '-f', '-', stdin=read(key.tpm))
        self.assert_error(result, 'key file', status=2, tool='ssh-tpm.*')
        result = self.attest('request', '-f', key.tpm, env=self.lab.no_tpm)
        self.assert_error(result, 'no-such-device', tool='ssh-tpm.*')
        self.assertEqual((result.stdout, self.pending()), ('', []))
        self.tpm.assert_no_handles()

    def storage_key(self):
        path = self.lab.path('storage.ctx')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a',
                       STORAGE_KEY, '-c', path)
        return path

    def encoded(self, halves):
        """The name of the key file."""
        path = self.lab.path('keys/by-policy.tpm')
        self.tpm.craft('tpm2_encodeobject', '-C', self.storage_key(), '-u', halves[0], '-r', halves[1], '-o', path)
        return os.path.basename(path)

    def test_an_endorsement_hierarchy_with_a_password(self):
        key = self.lab.make_key()
        asked = self.ask(key)
        document, _ = self.answer(asked)
        self.tpm.tool('tpm2_changeauth', '-c', 'e', 'a password')
        result = self.attest('request', '-f', key.tpm)
        self.assert_error(result, 'endorsement', tool='ssh-tpm.*')
        self.assertEqual((result.stdout, self.pending()), ('', [asked.digest]))
        self.assert_refused(document, 'endorsement', key=key)
        self.tpm.assert_no_handles()
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.tpm.tool('tpm2_changeauth', '-c', 'e', '-p', 'a password')
        self.assert_walk(asked, key)

    def test_a_key_of_another_tpm(self):
        other = Endorsed(self.lab, 'other', number=1)
        foreign = self.lab.make_key('foreign', env={'SSH_TPM_TCTI': other.tcti})
        result = self.attest('request', '-f', foreign.tpm)
        self.assert_error(result, foreign.tpm, tool='ssh-tpm.*')
        self.assertEqual((result.stdout, self.pending()), ('', []))


class Pins(bus.Hidden, Attesting):
    def setUp(self):
        super().setUp()
        self.probe = Probe(self.tpm)
        self.lab.env['SSH_TPM_TCTI'] = self.probe.tcti
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '9', '-t', '600', '-l', '600')
        self.key, self.free = self.lab.make_key('guarded', pin=PIN), self.lab.make_key('free')

    def test_a_pin_from_a_file_from_standard_input_and_from_askpass(self):
        path = self.lab.write('pin', PIN + '\n', mode=0o600)
        self.assert_good(self.ask(self.key, self.free, options=('--pin-file', path)))
        self.assert_good(self.ask(self.free, self.key, options=('--pin-file', '-'), stdin=(PIN + '\n').encode()))
        askpass = Askpass(self.lab, PIN)
        asked = self.ask(self.key, self.free, env=askpass.env)
        self.assert_good(asked)
        question, = askpass.questions()
        self.assertIn(self.key.tpm, question)
        self.assert_walk(asked, self.key, self.free)  # which asks for nothing
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assert_nowhere(PIN.encode())

    def test_a_pin_at_a_terminal(self):
        command = (f'{self.lab.bin}/ssh-tpm', 'attest', 'request', '-f', self.key.tpm)
        with Terminal(self.lab, *command, env={'SSH_ASKPASS_REQUIRE': 'never'}) as terminal:
            self.assertFalse(terminal.answer('guarded', PIN))  # no echo
            self.assertEqual(terminal.finish(), 0, terminal.transcript)
        text = next(line for line in terminal.transcript.splitlines() if line.startswith('{'))
        asked = Asked(text.encode() + b'\n')
        self.assert_good(asked)
        self.assertNotIn(PIN, terminal.transcript)
        self.assertEqual(self.pending(), [asked.digest])

    def test_a_wrong_pin_is_one_try_and_nothing_is_asked(self):
        path = self.lab.write('pin', WRONG + '\n', mode=0o600)
        for number, files in enumerate(((self.key,), (self.free, self.key)), 1):
            named = (word for key in files for word in ('-f', key.tpm))
            result = self.attest('request', *named, '--pin-file', path)
            self.assert_error(result, self.key.tpm, 'PIN is wrong', 'hint:', tool='ssh-tpm.*')
            self.assertEqual((self.tpm.wrong_tries(), result.stdout, self.pending()), (number, '', []))
        status, said = talk(self.lab, f'{self.lab.bin}/ssh-tpm', 'attest', 'request', '-f', self.key.tpm,
                            answers=[('guarded', WRONG)], env={'SSH_ASKPASS_REQUIRE': 'never'})
        self.assertEqual((status, self.tpm.wrong_tries(), self.pending()), (1, 3, []), said)
        self.assertIn('PIN is wrong', said)
        self.tpm.assert_no_handles()
        self.assert_nowhere(WRONG.encode())

    def test_no_pin_is_never_tried(self):
        """Without an answer, with an empty one, and where nobody can be asked, the TPM certifies nothing."""
        silent, empty = Askpass(self.lab, name='silent'), Askpass(self.lab, '', name='empty')
        for env in silent.env, empty.env, {'SSH_ASKPASS_REQUIRE': 'never'}:
            result = self.attest('request', '-f', self.key.tpm, env=env)
            self.assert_error(result, status=result.returncode, tool='ssh-tpm.*')
            self.assertEqual((result.returncode != 0, result.stdout, self.pending()), (True, '', []))
        self.assertEqual([line for line in self.probe.lines() if line.startswith('TPM2_Certify')], [])
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_keys_with_pins_of_their_own(self):
        other = self.lab.make_key('other', pin=WRONG)
        askpass = Askpass(self.lab, PIN, WRONG)
        self.assert_good(self.ask(self.key, self.free, other, env=askpass.env))
        self.assertEqual([name in question for name, question in
                          zip((self.key.tpm, other.tpm), askpass.questions(), strict=True)], [True, True])
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_a_locked_tpm_is_told_of_before_the_pin_is_asked_for(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '1', '-t', '600', '-l', '600')
        path = self.lab.write('pin', WRONG + '\n', mode=0o600)
        self.attest('request', '-f', self.key.tpm, '--pin-file', path)
        askpass = Askpass(self.lab, PIN)
        result = self.attest('request', '-f', self.key.tpm, env=askpass.env)
        self.assert_error(result, 'lock', tool='ssh-tpm.*')
        self.assertEqual(askpass.questions(), [])


class HostKeys(Attesting):
    """In a tree that DESTDIR names."""

    def setUp(self):
        super().setUp()
        self.tree = self.lab.make_folder('tree')
        self.env = {'DESTDIR': self.tree}

    def host_keys(self, *kinds):
        return [read_public(self.tree, kind) for kind in kinds]

    def walk(self, *options, kinds=('ecdsa', 'rsa')):
        asked = self.ask(options=('-A', *options), env=self.env)
        keys = self.host_keys(*kinds)
        self.assertEqual(asked.lines, [f'{key.algorithm} {key.line.split()[1]}' for key in keys])
        self.assert_good(asked)
        user = self.answer(asked)[0]
        for key in keys:
            self.assert_refused(user, 'host key', '-h', key=key)
        lines = [self.certificate(line, '-h') for line in asked.lines]
        document, receipt = self.answer(asked, *lines)
        self.assertEqual(self.install(document, status=0, env=self.env).stdout, receipt + '\n')
        for key, line in zip(keys, lines, strict=True):
            self.assertEqual(self.content(key).split()[:2], line.split()[:2])

    def test_those_of_files(self):
        self.lab.keygen('-q', '-A', '-f', self.tree)
        self.walk()

    def test_those_of_a_hierarchy(self):
        for hierarchy in 'owner', 'endorsement':
            with self.subTest(hierarchy=hierarchy):
                self.lab.run('rm', '-rf', os.path.join(self.tree, 'etc'), status=0)
                self.lab.keygen('-q', '-A', '-f', self.tree, '--hierarchy', hierarchy)
                self.walk('--hierarchy', hierarchy[0])

    def test_a_hierarchy_whose_keys_are_not_those_of_the_files(self):
        """Their certificates would lie beside other keys."""
        self.lab.keygen('-q', '-A', '-f', self.tree, '--hierarchy', 'owner')
        result = self.attest('request', '-A', '--hierarchy', 'endorsement', env=self.env)
        self.assert_error(result, base_of(self.tree, 'ecdsa') + '.pub', tool='ssh-tpm.*')
        self.assertEqual((result.stdout, self.pending()), ('', []))

    def test_one_kind_alone(self):
        self.lab.keygen('-q', '-A', '-f', self.tree)
        for ending in '.tpm', '.pub':
            os.unlink(base_of(self.tree, 'rsa') + ending)
        self.walk(kinds=('ecdsa',))

    def test_none(self):
        result = self.attest('request', '-A', env=self.env)
        self.assert_error(result, 'no host keys', 'hint:', tool='ssh-tpm.*')
        self.assertEqual((result.stdout, self.pending()), ('', []))

    def test_options_that_do_not_go_together(self):
        for options in (('-A', '-f', 'x'), ('--hierarchy', 'o'), ('-A', '--hierarchy', 'x'), ('x',),
                        ('-o', '--owner-password-file', 'x')):
            with self.subTest(options=options):
                self.assert_error(self.attest('request', *options, env=self.env), status=2, tool='ssh-tpm.*')


if __name__ == '__main__':
    unittest.main()
