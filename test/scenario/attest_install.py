#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest install: one answer is opened, and no other; what goes wrong changes nothing, and the right answer
still opens."""

import base64
import dataclasses
import datetime
import json
import os
import re
import shutil
import unittest

import sealing
import tpm_objects as tpm
from attestation import b64, written
from attesting import Asked, Attesting, ByTools, contents_of
from endorsed import P_256, P_384, RSA_2048, Endorsed
from lab import AS_NOBODY, NOBODY, ROOT, mode, read
from protocol import take_string
from resources import is_sanitized
from sshd import make_host_key

SANITIZED = is_sanitized(os.environ['SSH_TPM_BUILD'])
STRIDE = 7 if SANITIZED else 1  # of the bytes that a TPM looks at
NOT_FOR_THIS_TPM, CHANGED = 'not for this TPM', 'changed after it was sealed'
NOT_OURS = 'this user has not made the request'


def at(days=0):
    """A time for ssh-keygen -V."""
    return (datetime.datetime.now() + datetime.timedelta(days=days)).strftime('%Y%m%d%H%M%S')


def flipped(data, number, bit=None):
    """The bytes with one bit of byte `number` the other way."""
    changed = bytearray(data)
    changed[number] ^= 1 << (number % 8 if bit is None else bit)
    return bytes(changed)


class Asking(Attesting):
    """With a request for a key, and the right answer to it."""

    def setUp(self):
        super().setUp()
        self.key = self.lab.make_key()
        self.asked = self.ask(self.key)
        self.line = self.certificate(self.asked.lines[0])
        self.document, self.receipt = self.answer(self.asked, self.line)

    def members(self, **changes):
        """The right answer with other members; bytes are written in base64."""
        return written({**json.loads(self.document), **{
            name: b64(value) if isinstance(value, bytes) else value for name, value in changes.items()}})

    def member(self, name):
        return base64.b64decode(json.loads(self.document)[name])

    def assert_not(self, document, *words, **more):
        return self.assert_refused(document, *words, key=self.key, **more)

    def assert_still_opens(self):
        self.assertIsNone(self.content(self.key))
        self.assertEqual(self.install(self.document, status=0).stdout, self.receipt + '\n')
        self.assertEqual(self.content(self.key).split()[:2], self.line.split()[:2])
        self.tpm.assert_no_handles()
        self.assertEqual(self.tpm.wrong_tries(), 0)


class Install(Asking):
    def test_the_right_answer_opens_and_opens_again(self):
        for operands in (self.lab.path('answer'),), (), ('-',):
            self.lab.write('answer', self.document)
            result = self.attest('install', '--ca', self.authority + '.pub', *operands, status=0,
                                 stdin=None if operands == (self.lab.path('answer'),) else self.document.decode())
            self.assertEqual(result.stdout, self.receipt + '\n')
            self.assertIn(f'user certificate for web1, valid to forever: saved in {self.key.path}-cert.pub\n',
                          result.stderr)
            self.assertEqual(self.content(self.key), ' '.join(self.line.split()[:2]) + ' id\n')
            self.assertEqual(mode(self.key.path + '-cert.pub'), 0o644)
        self.assertIn('an identity', self.lab.ssh_keygen('-L', '-f', self.key.path + '-cert.pub'))

    def test_an_answer_from_before_a_newer_certificate(self):
        renewed = self.ask(self.key)
        newer = self.certificate(self.asked.lines[0], '-V', f'{at(-1)}:{at(9)}')
        self.install(self.answer(renewed, newer)[0], status=0)
        self.assert_not(self.document, 'valid from', 'hint:')
        self.assertEqual(self.content(self.key).split()[1], newer.split()[1])

    def test_the_receipt_is_the_one_that_the_certificate_authority_kept(self):
        receipts, request = self.lab.path('receipts'), self.lab.write('request.json', self.asked.text)
        certificate = self.lab.write('certificate', self.line + '\n')
        sealed = self.attest('seal', '--ek-roots', self.roots, '--receipts', receipts, request, certificate, status=0)
        result = self.install(sealed.stdout, status=0)
        self.assertEqual(read(receipts), f'{result.stdout.strip()} {self.asked.ak.name().hex()} '
                                         f'{self.asked.ek.name().hex()} web1\n')
        self.assertEqual(mode(receipts), 0o600)

    def test_another_answer_to_the_same_request_has_another_receipt(self):
        other, receipt = self.answer(self.asked, self.line)
        self.assertNotEqual(receipt, self.receipt)
        self.assertEqual(self.install(other, status=0).stdout, receipt + '\n')

    def test_wrong_usage(self):
        path = self.lab.write('answer', self.document)
        for options in (path,), ('--ca', self.authority + '.pub', path, path), ('--ca',), ('--absent', path):
            self.assert_error(self.attest('install', *options), status=2, tool='ssh-tpm.*')
        self.assert_not(self.document, 'absent', authority=self.lab.path('absent'))
        self.assert_error(self.attest('install', '--ca', self.authority, path), tool='ssh-tpm.*')  # the private half
        self.assert_error(self.attest('install', '--ca', self.authority + '.pub', self.lab.path('none')), 'none',
                          tool='ssh-tpm.*')
        self.assert_still_opens()

    def test_no_request_of_ours_or_of_another_user(self):
        for digest in '0' * 64, flipped(bytes.fromhex(self.asked.digest), 5).hex():
            self.assert_not(self.members(request=digest), NOT_OURS, env=self.lab.no_tpm)
        self.assert_not(self.document, NOT_OURS, env={'XDG_STATE_HOME': self.lab.make_folder('other')})
        self.assert_still_opens()

    def test_the_answer_to_another_request_of_ours(self):
        """The box belongs to one."""
        other = self.ask(self.key)
        self.assert_not(self.members(request=other.digest), CHANGED)
        self.assert_still_opens()

    def test_the_oldest_of_many_requests_are_forgotten(self):
        os.utime(self.lab.path('state/ssh-tpm/attestation', self.asked.digest), (0, 0))
        for _ in range(31):
            self.ask(self.key, options=('--nonce', os.urandom(8).hex()))
        self.assertEqual((len(self.pending()), self.asked.digest in self.pending()), (32, True))
        newest = self.ask(self.key)
        self.assertEqual((len(self.pending()), self.asked.digest in self.pending()), (32, False))
        self.assert_not(self.document, NOT_OURS)
        self.assert_walk(newest, self.key)

    def test_an_answer_for_another_tpm(self):
        """With all that this user has but the TPM, and for each endorsement key."""
        for index in P_384, P_256, RSA_2048:
            with self.subTest(index=hex(index)):
                self.tpm, other = (Endorsed(self.lab, f'{name}-{index:x}', number, (index,))
                                   for number, name in enumerate(('ours', 'other')))
                self.lab.env['SSH_TPM_TCTI'] = self.tpm.tcti
                self.key = self.lab.make_key(f'{index:x}')
                self.asked = self.ask(self.key)
                self.line = self.certificate(self.asked.lines[0])
                self.document, self.receipt = self.answer(self.asked, self.line)
                self.assert_not(self.document, NOT_FOR_THIS_TPM, 'hint:', env={'SSH_TPM_TCTI': other.tcti})
                other.assert_no_handles()
                self.assert_still_opens()

    def test_an_answer_for_another_kind_of_endorsement_key(self):
        for index in P_256, RSA_2048:
            other = Endorsed(self.lab, f'other-{index:x}', 1, (index,))
            self.assert_not(self.document, NOT_FOR_THIS_TPM, env={'SSH_TPM_TCTI': other.tcti})
            other.assert_no_handles()
        self.assert_still_opens()

    def test_an_answer_for_another_attestation_key(self):
        """Such as a key outside the TPM, whose statements are lies."""
        other = self.asked.ak.replace(unique=(bytes(31) + b'\1', bytes(32)))
        self.assert_not(sealing.seal(self.asked.text, [self.line], self.asked.ek, other)[0], NOT_FOR_THIS_TPM)
        for about in {'ak_name': other.name()}, {'ek_name': other.name()}, {'request_digest': bytes(32)}, \
                     {'credential': b''}:
            self.assert_not(self.answer(self.asked, self.line, about=about)[0], CHANGED)
        self.assert_still_opens()

    def test_a_key_that_is_another_one_now(self):
        for ending in '.tpm', '.pub':
            os.rename(self.key.path + ending, self.lab.path('old' + ending))
        self.assert_not(self.document, self.key.path)
        self.lab.make_key()
        self.assert_not(self.document, self.key.path, 'another one now', 'hint:')
        for ending in '.tpm', '.pub':
            os.rename(self.lab.path('old' + ending), self.key.path + ending)
        self.assert_still_opens()

    def test_secrets_of_other_sizes(self):
        for size in 1, 16, 31, 33, 48:
            document, _ = self.answer(self.asked, self.line, secret=os.urandom(size))
            self.assert_not(document, '32 bytes')
        self.assert_still_opens()

    def test_no_tpm(self):
        self.assert_not(self.document, 'no-such-device', env=self.lab.no_tpm)
        self.assert_still_opens()


class Changed(Asking):
    """One bit is another one."""

    KEEP = (P_384, RSA_2048)

    def assert_none_opens(self, documents, words, **more):
        """All are refused before anything has changed."""
        before = self.pending()
        for name, document in documents:
            result = self.install(document, **more)
            if result.returncode != 1 or result.stdout or not re.search(words, result.stderr):
                self.fail(f'{name}: {result}')
            self.assertIsNone(self.content(self.key), name)
        self.assertEqual(self.pending(), before)
        self.assert_still_opens()

    def test_bits_of_the_credential(self):
        credential = self.member('credential')
        self.assert_none_opens(((number, self.members(credential=flipped(credential, number)))
                                for number in range(0, len(credential), STRIDE)),
                               f'{NOT_FOR_THIS_TPM}|credential')

    def test_bits_of_the_credential_for_an_rsa_key(self):
        self.tpm.tool('tpm2_nvundefine', '-C', 'p', hex(P_384))
        self.asked = self.ask(self.key)
        self.assertEqual(self.asked.ek.kind, tpm.RSA)
        self.document, self.receipt = self.answer(self.asked, self.line)
        credential = self.member('credential')
        self.assert_none_opens(((number, self.members(credential=flipped(credential, number)))
                                for number in range(0, len(credential), 3 * STRIDE)),
                               f'{NOT_FOR_THIS_TPM}|credential')

    def test_bits_of_the_box(self):
        box = self.member('box')
        self.assert_none_opens(((number, self.members(box=flipped(box, number)))
                                for number in range(0, len(box), STRIDE)), CHANGED)

    def test_another_length_of_credential_and_box(self):
        credential, box = self.member('credential'), self.member('box')
        self.assert_none_opens([(size, self.members(credential=credential[:size]))
                                for size in (0, 4, 8, 9, 50, len(credential) - 1)] +
                               [('more', self.members(credential=credential + b'\0'))], 'credential')
        os.unlink(self.key.path + '-cert.pub')
        self.assert_none_opens([(size, self.members(box=box[:size])) for size in (0, 23, 24, 39, 40, 41, len(box) - 1)]
                               + [('more', self.members(box=box + b'\0'))], f'{CHANGED}|no certificates')

    def test_bits_of_the_document_are_found_without_the_tpm(self):
        """Those of its form and of the digest; and of base64 where it is none then."""
        begin = self.document.index(b'"credential":"') + 14
        beyond = self.document.index(b'","box":"')
        places = [*range(begin), *range(beyond, beyond + 9), len(self.document) - 3, len(self.document) - 2,
                  len(self.document) - 1]
        self.assert_none_opens((((number, bit), flipped(self.document, number, bit)) for number in places[::STRIDE]
                                for bit in range(8)), 'error: .', env=self.lab.no_tpm)

    def test_another_form_is_found_without_the_tpm(self):
        members = json.loads(self.document)
        swapped = dict(reversed(members.items()))
        upper = {**members, 'request': members['request'].upper()}
        others = [self.document[:-1], self.document + b'\n', self.document + b' ', b'', b'{}\n', b'[]\n', b' ' +
                  self.document, json.dumps(members).encode() + b'\n', written(swapped), written(upper),
                  written({**members, 'more': ''}), self.document[:-2] + b',"box":""}\n',
                  written({name: value for name, value in members.items() if name != 'box'}),
                  written({**members, 'format': 'ssh-tpm-sealed-2'}), written({**members, 'box': 1}),
                  self.document.replace(b'"', b'\\u0022', 3), b'\xef\xbb\xbf' + self.document,
                  self.document.replace(b'request', b'r\\u0065quest'), self.asked.text, bytes(262145),
                  written({**members, 'box': b64(bytes(262144))})]
        self.assert_none_opens(enumerate(others), 'error: .', env=self.lab.no_tpm)

    def test_bits_of_a_certificate(self):
        """Anybody can seal what the certificate authority has not signed."""
        kind, blob = self.line.split()[:2]
        blob = base64.b64decode(blob)
        self.assert_none_opens(((number, self.answer(self.asked, f'{kind} {b64(flipped(blob, number))}')[0])
                                for number in range(0, len(blob), 3 * STRIDE)), 'error: .')


class Certificates(Asking):
    def give(self, *lines):
        return self.answer(self.asked, *lines)[0]

    def with_options(self, *options, **more):
        return self.certificate(self.asked.lines[0], *options, **more)

    def test_what_no_certificate_is_of_use(self):
        other = make_host_key(self.lab, 'another_ca')
        stranger = self.lab.make_key('stranger')
        table = {
            'another CA': ([self.with_options(authority=other)], 'certificate authority'),
            'another key': ([self.certificate(stranger.line)], 'not in the request'),
            'another key too': ([self.line, self.certificate(stranger.line)], 'not in the request'),
            'another CA too': ([self.line, self.with_options(authority=other)], 'certificate authority'),
            'expired': ([self.with_options('-V', f'{at(-9)}:{at(-1)}')], 'not now'),
            'not yet valid': ([self.with_options('-V', f'{at(1)}:{at(9)}')], 'not now'),
            'the key alone': ([self.asked.lines[0]], ''),
            'the CA': ([' '.join(read(self.authority + '.pub').split()[:2])], ''),
            'text': (['no certificate, but text'], 'certificate'),
            'bytes of zero': (['\0' * 100], ''),
            'cut off': ([self.line[:-40]], ''),
            'another type in front': (['ssh-rsa-cert-v01@openssh.com ' + self.line.split()[1]], '')}
        for name, (lines, words) in table.items():
            with self.subTest(name):
                self.asked = self.ask(self.key)
                self.assert_not(self.give(*lines), words)
        self.asked = self.ask(self.key)
        self.assert_not(sealing.seal(self.asked.text, [], self.asked.ek, self.asked.ak)[0], 'no certificate')

    def test_a_box_has_lines_of_certificates_alone(self):
        table = {'text': [self.line, 'and some text'], 'text above it': ['some text', self.line],
                 'a comment': ['# a comment', self.line], 'an empty line': ['', self.line],
                 'options': ['command="x" ' + self.line], 'escape sequences': [self.line, '\x1b]0;title\x07'],
                 'a comment behind it': [self.line + ' me'], 'a blank behind it': [self.line + ' '],
                 'a blank in front': [' ' + self.line]}
        for name, lines in table.items():
            with self.subTest(name):
                self.asked = self.ask(self.key)
                self.assert_not(self.give(*lines))

    def test_what_is_said_is_printable(self):
        for lines in ['\x1b[31m red'], [self.with_options(principals='\x1b[31mx', authority=make_host_key(
                self.lab, 'another_ca'))], [self.certificate(self.lab.make_key('stranger').line, '-I', '\x1b[1mx')]:
            self.assertNotIn('\x1b', self.assert_not(self.give(*lines)).stderr)
        self.assertNotIn('\x1b', self.assert_not(b'{"format":"\x1b[31m"}\n').stderr)
        self.assert_still_opens()

    def test_certificate_authorities_of_each_kind(self):
        for kind, bits in ('ecdsa', 256), ('ecdsa', 521), ('rsa', 3072):
            with self.subTest(kind=kind, bits=bits):
                authority = make_host_key(self.lab, f'ca_{kind}_{bits}', kind, bits)
                self.asked = self.ask(self.key)
                document, receipt = self.answer(self.asked, self.with_options(authority=authority))
                self.assert_not(document, 'certificate authority')
                if kind == 'rsa':
                    self.assert_not(self.give(self.with_options('-t', 'ssh-rsa', authority=authority)),
                                    authority=authority)  # SHA-1
                self.assertEqual(self.install(document, authority=authority, status=0).stdout, receipt + '\n')

    def test_an_older_certificate_replaces_a_newer_one_by_force_alone(self):
        newer, older = (self.with_options('-V', f'{at(days)}:{at(9)}') for days in (-1, -3))
        self.install(self.give(newer), status=0)
        for line, options in (older, ()), (self.line, ()):  # that one is valid from the beginning of time
            self.asked = self.ask(self.key)
            self.assert_not(self.give(line), 'valid from', '--force', *options)
        self.install(self.give(newer), status=0)  # the same again
        self.asked = self.ask(self.key)
        self.assert_force_replaces(older)
        self.asked = self.ask(self.key)
        self.install(self.give(newer), status=0)
        self.assertEqual(self.content(self.key).split()[1], newer.split()[1])

    def assert_force_replaces(self, line):
        self.install(self.give(line), '--force', status=0)
        self.assertEqual(self.content(self.key).split()[1], line.split()[1])
        self.assertTrue(os.path.isfile(self.key.path + '-cert.pub'))
        self.assertFalse(os.path.islink(self.key.path + '-cert.pub'))

    def test_force_permits_nothing_else(self):
        other = make_host_key(self.lab, 'another_ca')
        for line, words in ((self.with_options(authority=other), 'certificate authority'),
                            (self.with_options('-V', f'{at(-9)}:{at(-1)}'), 'not now'),
                            (self.with_options('-V', f'{at(1)}:{at(9)}'), 'not now')):
            result = self.install(self.give(line), '--force')
            self.assert_error(result, words, tool='ssh-tpm.*')
            self.assertEqual((result.stdout, self.content(self.key)), ('', None))
        self.assert_still_opens()

    def test_what_lies_there_that_is_no_certificate(self):
        place = self.key.path + '-cert.pub'
        victim = self.lab.write('victim', 'of great value\n')
        elsewhere = self.lab.write('elsewhere-cert.pub', self.with_options('-V', f'{at(-1)}:{at(9)}') + ' there\n')

        def put(make):
            if os.path.lexists(place):
                (shutil.rmtree if os.path.isdir(place) and not os.path.islink(place) else os.unlink)(place)
            make()
            self.asked = self.ask(self.key)
            self.line = self.with_options('-V', f'{at(0)}:{at(9)}')
            return self.give(self.line)

        def text():
            self.lab.write('keys/id-cert.pub', 'no certificate\n')
        for make in (text, lambda: os.symlink(victim, place), lambda: os.symlink('no-such-file', place),
                     lambda: os.mkfifo(place)):
            result = self.install(put(make))
            self.assert_error(result, place, tool='ssh-tpm.*')
            self.assertEqual((result.stdout, self.asked.digest in self.pending()), ('', True))
            self.assert_force_replaces(self.line)
        self.install(put(lambda: os.symlink(elsewhere, place)), status=0)
        self.assertEqual(self.content(self.key).split()[:2], self.line.split()[:2])
        self.assertFalse(os.path.islink(place))
        document = put(lambda: os.mkdir(place))
        for options in (), ('--force',):
            self.assert_error(self.install(document, *options), place, tool='ssh-tpm.*')
        os.rmdir(place)
        self.install(document, status=0)
        self.assertEqual(read(victim), 'of great value\n')
        self.assertIn(' there\n', read(elsewhere))


class Folders(Attesting):
    def test_a_folder_that_is_away_meanwhile_costs_nothing(self):
        """Of two keys, each in a folder of its own."""
        self.lab.make_folder('second')
        keys = [self.lab.make_key('first'), self.lab.make_key('second', folder=self.lab.path('second'))]
        asked = self.ask(*keys)
        lines = [self.certificate(line) for line in asked.lines]
        document, receipt = self.answer(asked, *lines)
        for name in 'keys', 'second':
            os.rename(self.lab.path(name), self.lab.path('away'))
            result = self.install(document)
            self.assert_error(result, self.lab.path(name), tool='ssh-tpm.*')
            self.assertEqual((result.stdout, self.pending()), ('', [asked.digest]))
            os.rename(self.lab.path('away'), self.lab.path(name))
        self.assertEqual(self.install(document, status=0).stdout, receipt + '\n')
        self.assertEqual([self.content(key).split()[1] for key in keys], [line.split()[1] for line in lines])

    def test_a_folder_that_may_not_be_written_costs_nothing(self):
        user = AS_NOBODY if ROOT else {}
        env = {'XDG_STATE_HOME': self.lab.make_folder('theirs', 'state')}
        self.tpm.open_to_all()
        key = self.lab.make_key(folder=self.lab.make_folder('theirs', 'keys'))
        owned = [self.lab.path('theirs'), *(os.path.join(place, name) for place, folders, names in
                                            os.walk(self.lab.path('theirs')) for name in folders + names)]
        for path in owned if ROOT else ():
            os.chown(path, NOBODY, NOBODY)
        program = os.path.join(self.lab.program_for_others(), 'ssh-tpm')

        def run(command, *options, **more):
            return self.lab.run(program, 'attest', command, *options, env=env, **user, **more)
        text = run('request', '-f', key.tpm, status=0).stdout
        asked = Asked(text.encode())
        line = self.certificate(asked.lines[0])
        document, receipt = self.answer(asked, line)
        authority = self.lab.write('ca.pub', read(self.authority + '.pub'))
        path = self.lab.write('answer', document)
        os.chmod(self.lab.path('theirs/keys'), 0o500)
        result = run('install', '--ca', authority, path)
        self.assert_error(result, self.lab.path('theirs/keys'), tool='ssh-tpm.*')
        self.assertEqual((result.stdout, os.listdir(self.lab.path('theirs/state/ssh-tpm/attestation'))),
                         ('', [asked.digest]))
        os.chmod(self.lab.path('theirs/keys'), 0o700)
        self.assertEqual(run('install', '--ca', authority, path, status=0).stdout, receipt + '\n')
        self.assertEqual(self.content(key).split()[1], line.split()[1])


class Tools(ByTools, Asking):
    """Where tpm2-tools have the same formats."""

    KEEP = (P_384, P_256, RSA_2048)

    def keep(self, index):
        """As the only certificate."""
        for other in set(self.KEEP) & set(self.tpm.certificate_indices()) - {index}:
            self.tpm.tool('tpm2_nvundefine', '-C', 'p', hex(other))

    def test_a_file_of_tpm2_makecredential_opens(self):
        for index in P_384, P_256, RSA_2048:
            with self.subTest(index=hex(index)):
                asked = self.ask(self.key)
                self.assertEqual(len(asked.ek.policy), len(tpm.EK_TEMPLATES[index].policy))
                public = self.lab.write('ek.pub', asked.ek.marshalled())
                secret, credential = os.urandom(32), self.lab.path('credential')
                self.lab.run('tpm2_makecredential', '-T', 'none', '-u', public, '-s', self.lab.write('secret', secret),
                             '-n', asked.ak.name().hex(), '-o', credential, status=0, env={'TSS2_LOG': 'all+none'})
                document, receipt = self.answer(asked, secret=secret, credential=contents_of(credential))
                self.assertEqual(self.install(document, status=0).stdout, receipt + '\n')
                if index in self.tpm.certificate_indices():
                    self.tpm.tool('tpm2_nvundefine', '-C', 'p', hex(index))

    def test_tpm2_activatecredential_opens_what_the_program_seals(self):
        context, ak = self.made_ak()
        certificate = self.lab.write('certificate', self.line + '\n')
        for index in P_384, P_256, RSA_2048:
            with self.subTest(index=hex(index)):
                asked = self.ask(self.key)
                ek_context, ek = self.made_ek(index)
                self.assertEqual((asked.ek, asked.ak), (ek, ak))
                document = self.attest('seal', '--ek-roots', self.roots, self.lab.write('request', asked.text),
                                       certificate, status=0, text=False).stdout

                def opener(credential, ek_context=ek_context):
                    return self.activated(ek_context, context, self.lab.write('credential', credential))
                lines, receipt = sealing.open_sealed(document, asked.text, ek, ak, opener)
                self.assertEqual([line.split()[:2] for line in lines], [self.line.split()[:2]])
                self.assertEqual(self.install(document, status=0).stdout, receipt + '\n')
                self.tpm.tool('tpm2_nvundefine', '-C', 'p', hex(index))

    def test_tpm2_tools_read_the_statements(self):
        """And tpm2_verifysignature the signature: tpm2_checkquote 5.8 takes nothing but quotes."""
        key = self.asked.members['keys'][0]
        paths = {name: self.lab.write(name, base64.b64decode(key[name])) for name in ('public', 'certInfo', 'sig')}
        log = {'TSS2_LOG': 'all+none'}
        printed = self.lab.run('tpm2_print', '-t', 'TPMS_ATTEST', paths['certInfo'], env=log).stdout
        statement = tpm.Attest.read(base64.b64decode(key['certInfo']))
        for field in statement.signer, statement.extra:  # tpm2_print 5.4 stops at the Names
            self.assertIn(field.hex(), printed)
        printed = self.lab.run('tpm2_print', '-t', 'TPM2B_PUBLIC', paths['public'], status=0, env=log).stdout
        point = take_string(take_string(take_string(self.key.blob)[1])[1])[0]
        self.assertIn(point[1:33].hex(), printed)
        context = self.made_ak()[0]
        for extra, complaint in (statement.extra, ''), (bytes(32), 'the signature is not valid'):
            message = self.lab.write('statement', dataclasses.replace(statement, extra=extra).marshalled())
            result = self.lab.run('tpm2_verifysignature', '-c', context, '-g', 'sha256', '-m', message,
                                  '-s', paths['sig'], '-T', self.tpm.tcti, env=log)
            self.assertEqual(result.returncode, 1 if complaint else 0, result.stderr)
            self.assertIn(complaint, result.stderr)
            self.tpm.tool('tpm2_flushcontext', '-t')


if __name__ == '__main__':
    unittest.main()
