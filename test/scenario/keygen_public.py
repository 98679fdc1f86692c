#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-keygen prints fingerprints, randomart and public keys as ssh-keygen does, byte for byte; -c gives a key
another comment, in its file and in the public file beside it."""

import os
import re
import unittest

import openssh
from agent import Agent, Askpass
from keys_once import KeysOnce
from lab import contents, mode, read, read_key
from softkey import DATA
from terminal import talk

ALL_FORMS = (('-l',), ('-l', '-v'), ('-lv',), ('-l', '-E', 'md5'), ('-lv', '-E', 'md5'), ('-l', '-E', 'sha256'))
FORMS = (('-l',), ('-lv', '-E', 'md5'))
# Public keys and certificates that ssh-keygen made.
PUBLIC = os.path.dirname(DATA)
# What ssh-tpm-keygen prints in place of what ssh-keygen prints, given also its line for the first key.
ON_PURPOSE = {
    'CRLF': lambda shown, line: shown.replace('\n (', ' ('),  # OpenSSH 9.2 shows the carriage return
    # A type of key that this release does not know
    'broken ones': lambda shown, line: shown + '0 SHA256:Em5au2D262AqCpSF2mktRbWqbBxAli4x5IrFn18jLnI x (NEW)\n',
    'CR': lambda shown, line: line,  # here too
    'BOM': lambda shown, line: line + shown,  # ssh-keygen loses the key,
    'BOM and host': lambda shown, line: shown.replace('\ufeff', ''),  # shows the mark,
    'tab inside': lambda shown, line: shown.replace('\t', '?'),
    'escape': lambda shown, line: shown.replace('\\033', '?'),
    'number in front': lambda shown, line: line.replace('com', 'x') + shown,  # and takes this for a key of SSH 1
}
FILE, COMMENT = 'Enter file in which the key is (', 'New comment: '
PIN = 'a pin 1234'


class Public(KeysOnce):
    KEYS = {'ecdsa': {'comment': 'the old one'}, 'rsa': {'kind': 'rsa', 'bits': 2048, 'comment': 'the old one'},
            'pin': {'pin': PIN}, 'x': {'comment': 'old'}, 'y': {}}


class Fingerprints(Public):
    def expect(self, options, path, expected_path):
        ours = self.lab.keygen(*options, '-f', path)
        theirs = self.lab.run('ssh-keygen', *options, '-f', expected_path, status=0)
        self.assertEqual((ours.stdout, ours.stderr), (theirs.stdout, theirs.stderr))

    def test_fingerprints_of_private_and_public_files_are_those_of_ssh_keygen(self):
        for key, forms in ((self.take('ecdsa'), ALL_FORMS), (self.take('rsa'), FORMS)):
            for form in forms:
                with self.subTest(key=key.path, form=form):
                    self.expect(form, key.tpm, key.pub)
                    self.expect(form, key.pub, key.pub)

    def test_a_file_of_other_or_several_keys_is_shown_line_by_line(self):
        names = ('ed25519', 'ecdsa-521', 'rsa-2048', 'ecdsa-384-user-cert', 'rsa-2048-host-cert', 'ed25519-user-cert')
        lines = [read(os.path.join(PUBLIC, name + '.pub')) for name in names]
        without_comment = ' '.join(lines[1].split()[:2]) + '\n'
        lists = {'certificate': lines[-1], 'several': ''.join(lines),
                 'with remarks': '# remark\n\n' + lines[0] + '\n' + lines[1],
                 'no comment': without_comment, 'without its newline': lines[2].rstrip('\n'),
                 'options': 'command="a b",no-pty ' + lines[0], 'hosts': 'one,two ' + lines[1],
                 'blanks': '   ' + lines[0].replace(' ', '\t', 1)}
        for name, text in lists.items():
            path = self.lab.write('list', text)
            for form in (*FORMS, ('-lv',)):
                with self.subTest(name=name, form=form):
                    self.expect(form, path, path)

    def test_lists_are_shown_as_each_release_of_ssh_keygen_shows_them(self):
        """Known_hosts, authorized_keys and others, byte for byte but for the differences in ON_PURPOSE. Keys without a
        comment come first, because OpenSSH 9.2 shows for them what is left of a comment before."""
        one, two, three = (' '.join(read(os.path.join(PUBLIC, name + '.pub')).split()[:2])
                           for name in ('ed25519', 'ecdsa-521', 'rsa-2048'))
        certificate = read(os.path.join(PUBLIC, 'ed25519-user-cert.pub')).strip()
        lists = {
            'hosts': f'host1,host2 {one}\n[h]:2222 {two} words behind\n\th\t{three}\t\n',
            'hashed': f'|1|abc=|def= {one}\n',
            'markers': f'@cert-authority *.ex {one}\nx {two}\n@revoked * {three}\n',
            'options': f'command="a b",pty {one} c1\nfrom="x\\"y z" {two}\nrestrict {three} # remark\n',
            'an open quote': f'command="a {one} x\ny {two}\n',
            'remarks behind': f'{one} # remark\n{two} #\n{three}  two  words \n',
            'blanks': f'{three.replace(" ", chr(9))} \n  \t {one}  c\n{two.replace(" ", "  ")}\tc\n',
            'several words in front': f'{two}\na b {one} x\n',
            'broken ones': f'{one}\nssh-rsa {one.split()[1]} x\n{two[:-9]} x\nssh-new AAAAB3NzaC1uZXc= x\nssh-rsa\n\n',
            'remarks': f'#\n # {two}\n#{two}\n{one} c\n',
            'certificates': f'{certificate}\nh {certificate}\ncert-authority {one} ca\n',
            'a host like a number': f'10.0.0.1 {one}\n',
            'NUL': f'{one} com\0more\n{two} x\n', 'no newline': f'h {one}',
            'long': 'x' * 5000 + f' {one}\n{two} {"y" * 5000}\n',
            'many': f'h {one}\n' * 2000, 'UTF-8': f'h {one} grüße\n',
            'CRLF': f'{one} com\r\nh {two}\r\n', 'CR': f'{one} com\rx\n',
            'BOM': f'\ufeff{one} com\n{two} x\n', 'BOM and host': f'\ufeffh {one}\n',
            'BOM and remark': f'\ufeff# c\n{two} x\n',
            'tab inside': f'{one} a\tb\n', 'escape': f'{one} a\x1bb\n', 'number in front': f'10 {one} x\n{two}\n'}
        for name, text in lists.items():
            path = self.lab.write('list', text)
            ours = self.lab.keygen('-l', '-f', path)
            for tools in openssh.generations():
                with self.subTest(name=name, openssh=tools.name):
                    theirs = self.lab.run(tools.path('ssh-keygen'), '-l', '-f', path, status=0)
                    expected = ON_PURPOSE.get(name, lambda shown, line: shown)(theirs.stdout, self.line_of(one))
                    self.assertEqual((ours.stdout, ours.stderr), (expected, ''))
        for text in f'@cert-authority * {one}\n', 'x\n', f'a b {one}\n':
            path = self.lab.write('list', text)
            self.assert_error(self.lab.keygen('-l', '-f', path, status=None), f'{path} is not a public key file')
            for tools in openssh.generations():
                theirs = self.lab.run(tools.path('ssh-keygen'), '-l', '-f', path, status=255)
                self.assertIn(f'{path} is not a public key file', theirs.stderr)

    def line_of(self, key):
        """What ssh-keygen prints for a key with the comment `com`."""
        return self.lab.ssh_keygen('-l', '-f', self.lab.write('one', key + ' com\n'))

    def test_a_public_key_is_printed_without_the_names_in_front_of_it(self):
        key = self.stocked('x')
        path = self.lab.write('hosts', f'\ufeffh,i {key.line}\nj {" ".join(key.line.split()[:2])}\n')
        self.assertEqual(self.lab.keygen('-y', '-f', path).stdout, f'{key.line}\n{" ".join(key.line.split()[:2])}\n')

    def test_standard_input_is_a_file_named_dash(self):
        key = self.take('rsa')
        for form in FORMS:
            with self.subTest(form=form):
                theirs = self.lab.ssh_keygen(*form, '-f', '-', stdin=read(key.pub))
                for text in (read(key.pub), read(key.tpm)):
                    ours = self.lab.keygen(*form, '-f', '-', stdin=text)
                    self.assertEqual((ours.stdout, ours.stderr), (theirs, ''))
        for command in (('-y', '-f', '-'), ('--print-pubkey', '-')):
            self.assertEqual(self.lab.keygen(*command, stdin=read(key.tpm)).stdout, read(key.pub))
        for command in (('-l', '-f', '-'), ('-y', '-f', '-')):
            for text in ('', 'no key\n', read(key.tpm)[:200]):
                self.assert_error(self.lab.keygen(*command, stdin=text, status=None))

    def test_the_file_is_asked_for_as_ssh_keygen_does(self):
        key = self.take('x')
        for option, expected in (('-l', self.lab.ssh_keygen('-l', '-f', key.pub)), ('-y', read(key.pub))):
            with self.subTest(option=option):
                status, shown = talk(self.lab, f'{self.lab.bin}/ssh-tpm-keygen', option, answers=[(FILE, key.tpm)])
                self.assertEqual(status, 0, shown)
                self.assertTrue(shown.endswith(f'): {key.tpm}\n{expected}'), shown)

    def test_neither_a_tpm_nor_the_public_file_nor_the_suffix_is_needed(self):
        self.tpm.process.end()
        key = self.take('ecdsa')
        self.expect(('-l',), key.path, key.pub)
        text = read(key.pub)
        os.unlink(key.pub)
        for command in (('-y', '-f', key.tpm), ('--print-pubkey', key.tpm), ('-print-pubkey', key.tpm)):
            with self.subTest(command=command):
                self.assertEqual(self.lab.keygen(*command).stdout, text)
        self.assertEqual(self.lab.keygen('-l', '-f', key.tpm).stdout.split()[-1], '(ECDSA)')

    def test_an_unknown_hash_is_a_usage_error(self):
        result = self.lab.keygen('-l', '-E', 'crc32', '-f', self.stocked('x').tpm, status=None)
        self.assert_error(result, 'crc32', status=2)


class Comments(Public):
    def setUp(self):
        super().setUp()
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'

    def change(self, key, comment, **more):
        return self.lab.keygen('-c', '-f', key.tpm, '-C', comment, **more)

    def shown(self, path):
        """The comment that each way of looking at the key file gives."""
        printed = self.lab.keygen('-y', '-f', path).stdout.rstrip('\n').split(' ', 2)
        line = self.lab.keygen('-l', '-f', path).stdout
        return printed[2] if len(printed) > 2 else '', re.fullmatch(r'\d+ \S+ (.*) \(\w+\)\n', line)[1]

    def test_the_comment_changes_in_both_files_and_nothing_else_does(self):
        for key in self.take('ecdsa'), self.take('rsa'):
            result = self.change(key, 'a new one, with ünïcode')
            self.assertEqual(result.stdout, "Old comment: the old one\n"
                             "Comment 'a new one, with ünïcode' applied\n")
            self.assertEqual(self.shown(key.tpm), ('a new one, with ünïcode',) * 2)
            self.assertEqual(read(key.pub), key.line.replace('the old one', 'a new one, with ünïcode') + '\n')
            self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))
            self.assertEqual(self.lab.ssh_keygen('-l', '-f', key.pub), self.lab.keygen('-l', '-f', key.tpm).stdout)
        self.assertEqual(len(os.listdir(self.lab.keys)), 4)
        agent = Agent(self.lab)
        agent.sign_and_check(read_key(key.path))
        self.assertIn(read(key.pub).rstrip('\n'), agent.listed())
        private = read(key.tpm)
        self.lab.keygen('-c', '-f', key.pub, '-C', 'two words')  # of this file alone
        self.assertEqual(read(key.pub), key.line.replace('the old one', 'two words') + '\n')
        self.assertEqual((read(key.tpm), mode(key.pub)), (private, 0o644))

    def test_neither_a_tpm_nor_a_pin_is_needed(self):
        key = self.take('pin')
        self.change(key, 'new', env=self.lab.no_tpm)
        self.assertEqual(self.shown(key.tpm), ('new', 'new'))
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        agent.sign_and_check(read_key(key.path))
        self.assertIn('new', askpass.questions()[0])

    def test_the_same_comment_changes_nothing_and_an_empty_one_removes_it(self):
        key = self.take('x')
        before, times = contents(self.lab.keys), os.stat(key.tpm).st_mtime_ns
        self.assertEqual(self.change(key, 'old').stdout, 'Old comment: old\nNo change to comment\n')
        self.assertEqual((contents(self.lab.keys), os.stat(key.tpm).st_mtime_ns), (before, times))
        self.assertEqual(self.change(key, '').stdout, 'Old comment: old\nComment removed\n')
        self.assertEqual(self.lab.keygen('-y', '-f', key.tpm).stdout.split(), key.line.split()[:2])
        self.assertNotIn('Comment:', read(key.tpm))
        self.assertEqual(read(key.pub).split(), key.line.split()[:2])
        self.assertEqual(self.lab.keygen('-l', '-f', key.tpm).stdout, self.lab.ssh_keygen('-l', '-f', key.pub))

    def test_the_dialogue_is_the_one_of_ssh_keygen(self):
        theirs = self.lab.path('keys/theirs')
        for answers, options in ((((FILE, None), (COMMENT, 'a new one')), ()),
                                 (((COMMENT, 'a new one'),), ('-f', None)),
                                 (((COMMENT, ''),), ('-f', None)),
                                 (((COMMENT, 'the old one'),), ('-f', None)),
                                 ((), ('-f', None, '-C', 'a new one'))):
            with self.subTest(answers=answers, options=options):
                key = self.take('ecdsa')
                played = []
                for program, file in ((self.ours, key.tpm), *((tools.path('ssh-keygen'), theirs)
                                                              for tools in openssh.generations())):
                    for ending in ('', '.pub'):
                        if os.path.exists(theirs + ending):
                            os.unlink(theirs + ending)
                    self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-C', 'the old one', '-f', theirs)
                    status, shown = talk(
                        self.lab, program, '-c', *[file if option is None else option for option in options],
                        answers=[(prompt, file if text is None else text) for prompt, text in answers])
                    shown = re.sub(r'\(/[^)]*/id_[\w.]+\)', '(default)', shown)
                    played.append((status, shown.replace(file, 'FILE')))
                self.assertEqual(played[1:], played[:1] * (len(played) - 1))
                self.assertEqual(*(read(path).split()[2:] for path in (key.pub, theirs + '.pub')))

    def test_a_public_file_of_another_key_or_none_is_no_obstacle_and_left_alone(self):
        other = self.stocked('y').line + '\n'
        for text in (other, 'no key at all\n', None):
            key = self.take('x')
            os.unlink(key.pub)
            if text is not None:
                self.lab.write('keys/x.pub', text)
            self.change(key, 'new')
            self.assertEqual(self.shown(key.tpm), ('new', 'new'))
            if text is not None:
                self.assertEqual(read(key.pub), text)

    def test_a_comment_with_control_characters_is_refused(self):
        key = self.take('x')
        before = contents(self.lab.keys)
        for comment in ('two\nlines', 'a \x1b[31mcolour', b'not utf-8 \xff'.decode(errors='surrogateescape')):
            with self.subTest(comment=comment):
                self.assertNotEqual(self.change(key, comment, status=None).returncode, 0)
                self.assertEqual(contents(self.lab.keys), before)
        self.lab.keygen('-c', '-f', key.tpm, status=1)  # the end of standard input instead of one
        self.assertEqual(contents(self.lab.keys), before)

    def test_a_key_file_of_somebody_else_gets_a_comment_and_its_maker_still_reads_it(self):
        path = self.lab.path('keys/foreign.tpm')
        self.tpm.openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-out', path)
        public = self.tpm.openssl('pkey', '-in', path, '-pubout')
        self.lab.keygen('-c', '-f', path, '-C', 'mine now')
        self.assertEqual(self.shown(path), ('mine now', 'mine now'))
        self.assertEqual(self.tpm.openssl('pkey', '-in', path, '-pubout'), public)

    def test_a_file_with_other_lines_is_refused_byte_for_byte_unchanged(self):
        one, two = (self.stocked(name).line for name in 'xy')
        for text in (f'{one}\n{two}\n', f'# a remark\r\n{one}\r\n', f'restrict {one}\n', f'{one}\n\0', ''):
            with self.subTest(text=text):
                path = self.lab.write('authorized_keys', text)
                before = os.stat(path).st_ino, os.stat(path).st_mtime_ns
                self.assert_error(self.lab.keygen('-c', '-f', path, '-C', 'new', status=None), path, 'hint: ')
                self.assertEqual(read(path, newline=''), text)
                self.assertEqual((os.stat(path).st_ino, os.stat(path).st_mtime_ns), before)
                result = self.lab.keygen('-c', '-f', '-', '-C', 'new', stdin=text, status=None)
                self.assert_error(result)
                self.assertEqual(result.stdout, '')

    def test_a_public_half_with_other_lines_is_left_alone_and_named(self):
        key, other = self.take('x'), self.take('y')
        for text in (f'{key.line}\n{other.line}\n', f'# of mine\n{key.line}\n', f'restrict {key.line}\n'):
            self.lab.write('keys/x.pub', text)
            self.assertIn(key.pub, self.change(key, f'after {len(text)}').stderr)
            self.assertEqual(read(key.pub), text)
            self.assertEqual(self.shown(key.tpm), (f'after {len(text)}',) * 2)

    def test_lines_in_front_of_the_key_stay(self):
        key = self.take('x')
        comment, block = read(key.tpm).split('\n', 1)
        self.lab.write('keys/x.tpm', f'# from the laptop\r\n{comment}\nOwner: me\n{block}', mode=0o600)
        self.change(key, 'new')
        self.lab.keygen('-p', '-f', key.tpm, '-N', PIN)
        self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', '')
        kept = '# from the laptop\r\nOwner: me\nComment: new\n-----BEGIN '
        self.assertEqual(read(key.tpm, newline='')[:len(kept)], kept)
        two = self.lab.write('keys/x.tpm', f'{comment}\nComment: a second one\n{block}', mode=0o600)
        for options in (('-c', '-C', 'new'), ('-p', '-N', PIN)):
            before = read(two)
            self.assert_error(self.lab.keygen(*options, '-f', two, status=None), two)
            self.assertEqual(read(two), before)

    def test_from_standard_input_the_key_goes_to_standard_output(self):
        key = self.take('x')
        before = contents(self.lab.keys)
        result = self.lab.keygen('-c', '-f', '-', '-C', 'new', stdin=read(key.tpm))
        other = self.lab.write('other.tpm', result.stdout, mode=0o600)
        self.assertEqual(self.shown(other), ('new', 'new'))
        result = self.lab.keygen('-c', '-f', '-', '-C', 'new', stdin=read(key.pub))
        self.assertEqual(result.stdout, key.line.replace(' old', ' new') + '\n')
        self.assertEqual(contents(self.lab.keys), before)


if __name__ == '__main__':
    unittest.main()
