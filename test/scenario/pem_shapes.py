#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ssh-keygen and OpenSSL read around and inside a PEM block, ssh-tpm-keygen reads too, as the same key: each shape
of file is given to all of them. Where they differ, the table says why."""

import os
import unittest

from lab import read
from softkey import SoftKey
from stock import WithTpm

PASSPHRASE = 'a passphrase'


def at(where, change):
    """Changes the BEGIN line (0), the END line (-1), the body lines ('body') or all lines ('all')."""
    def changed(text):
        lines = text.splitlines()
        for index, line in enumerate(lines):
            body = 0 < index < len(lines) - 1 and ':' not in line and line
            if where == 'all' or (where == 'body' and body) or where in (index, index - len(lines)):
                lines[index] = change(line)
        return '\n'.join(lines) + '\n'
    return changed


def wide(width):
    """The base64 in lines of this width."""
    def changed(text):
        lines = text.splitlines()
        head = [line for line in lines[:4] if '-' in line or ':' in line or not line]
        body = ''.join(lines[len(head):-1])
        return '\n'.join(head + [body[i:i + width] for i in range(0, len(body), width)] + lines[-1:]) + '\n'
    return changed


def around(before='', after=''):
    return lambda text: before + text + after


def begin_end(start, end):
    """Puts text behind the first BEGIN line and in front of the END line."""
    return lambda text: text.replace('KEY-----\n', 'KEY-----\n' + start, 1).replace('-----END', end + '-----END')


def block(label, body='AAAA'):
    return f'-----BEGIN {label}-----\n{body}\n-----END {label}-----\n'


# PemShapes.setUp makes the blocks that stand for the words in @…@.
SHAPES = {
    'as written': around(),
    'CRLF': lambda text: text.replace('\n', '\r\n'),
    'CR alone': lambda text: text.replace('\n', '\r'),
    'no last line end': lambda text: text.rstrip('\n'),
    'blanks at line ends': at('all', lambda line: line + ' \t'),
    'blank behind BEGIN': at(0, lambda line: line + ' '),
    'blank behind END': at(-1, lambda line: line + ' '),
    'blanks in front of body lines': at('body', lambda line: '  ' + line),
    'blank within body lines': at('body', lambda line: line[:9] + ' ' + line[9:]),
    'vertical tab and form feed': at('body', lambda line: line + '\v\f'),
    'all lines indented': at('all', lambda line: '  ' + line),
    'BEGIN indented': at(0, lambda line: ' ' + line),
    'END indented': at(-1, lambda line: ' ' + line),
    'quoted': at('all', lambda line: '> ' + line),
    'empty line behind BEGIN': begin_end('\n', ''),
    'two empty lines behind BEGIN': begin_end('\n\n', ''),
    'empty line in front of END': begin_end('', '\n'),
    'empty lines everywhere': at('body', lambda line: line + '\n'),
    'one long line': wide(10 ** 6),
    'lines of 76': wide(76),
    'lines of 100': wide(100),
    'lines of 63': wide(63),
    'END behind the body': lambda text: text.replace('\n-----END', '-----END'),
    'text in front': around('a note\n\nkey: value\n'),
    'text behind': around('', 'a note\n'),
    'long line in front': around('x' * 2000 + '\n'),
    'dashes in front': around('-----BEGIN-----\n-----BEGIN a note\n----- BEGIN -----\n'),
    'text in front of BEGIN': around('x '),
    'text behind END': lambda text: text.rstrip('\n') + ' x\n',
    'byte order mark': around('\ufeff'),
    'empty lines around': around('\n\n', '\n\n'),
    'NUL and Ctrl-Z behind': around('', '\0\x1a'),
    'header': begin_end('Note: hello\n\n', ''),
    'public key in front': around('@PUBLIC@'),
    'public key behind': around('', '@PUBLIC@'),
    'certificate in front': around('@CERTIFICATE@'),
    'certificate behind': around('', '@CERTIFICATE@'),
    'EC PARAMETERS in front': around(block('EC PARAMETERS', 'BggqhkjOPQMBBw==')),
    'EC PARAMETERS behind': around('', block('EC PARAMETERS', 'BggqhkjOPQMBBw==')),
    'unknown block in front': around(block('A NOTE')),
    'damaged block behind': around('', block('A NOTE', '!')),
    'same key twice': lambda text: text + text,
    'another key behind': around('', block('PRIVATE KEY')),
    'another key in front': around('@OTHER@'),
    'another key behind, cut': around('', '-----BEGIN PRIVATE KEY-----\n'),
    'six dashes': lambda text: text.replace('-----BEGIN', '------BEGIN', 1),
    'four dashes': at(-1, lambda line: line[:-1]),
    'lower case': lambda text: text.replace('PRIVATE KEY', 'private key'),
    'another END': lambda text: text[:text.rindex('END')] + 'END A NOTE-----\n',
    'no END': lambda text: text[:text.index('-----END')],
    'damaged base64': at(-2, lambda line: line[:3] + '!' + line[4:]),
    'padding missing': lambda text: text.replace('=', ''),
}
# Where we differ from all the others: whether we read it, and why. '*' is every kind that has no row of its own.
TWO = 'readers differ in which of two keys they take'
LAX = 'RFC 7468 section 3 allows it ("lax")'
DIFFERENT = {
    ('same key twice', '*'): (False, TWO), ('another key behind', '*'): (False, TWO),
    ('another key in front', '*'): (False, TWO), ('another key behind, cut', '*'): (False, TWO),
}
DIFFERENT.update({(shape, 'openssh'): (True, LAX) for shape in (
    'CRLF', 'no last line end', 'blanks at line ends', 'blank behind BEGIN', 'blank behind END', 'text in front',
    'long line in front', 'dashes in front', 'byte order mark', 'public key in front', 'certificate in front',
    'EC PARAMETERS in front', 'unknown block in front', 'END behind the body', 'END indented', 'text behind END',
    'empty lines around')})
DIFFERENT.update({(shape, 'tpm'): (True, LAX) for shape in (
    'two empty lines behind BEGIN', 'empty line in front of END', 'empty lines everywhere')})
DIFFERENT.update({('header', kind): (True, 'a header changes nothing there') for kind in ('pkcs8', 'pkcs8-encrypted')})


class PemShapes(WithTpm):
    def setUp(self):
        super().setUp()
        self.lab.env['TPM2OPENSSL_TCTI'], self.lab.env['TSS2_LOG'] = self.tpm.tcti, 'all+none'
        self.files = {}
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.files['openssh'] = read(soft.path)
        plain = soft.copy(self.lab.path('pem'), 'pem')
        self.files['sec1'] = read(plain)
        for kind, words in (('sec1-encrypted', ('ec', '-aes128')), ('pkcs8', ('pkey',)),
                            ('pkcs8-encrypted', ('pkcs8', '-topk8'))):
            out = self.lab.path(kind)
            secret = ('-passout', 'pass:' + PASSPHRASE) if 'encrypted' in kind else ()
            self.lab.run('openssl', *words, '-in', plain, *secret, '-out', out, status=0)
            self.files[kind] = read(out)
        tpm = self.lab.path('tpm.pem')
        self.tpm.openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'group:P-384', '-out', tpm)  # with padding
        self.files['tpm'] = read(tpm)
        self.parent = self.lab.path('parent.pem')
        self.lab.run('openssl', 'ec', '-in', plain, '-pubout', '-out', self.parent, status=0)
        self.blocks = {'@PUBLIC@': read(self.parent)}
        for word, command in (('@CERTIFICATE@', ('req', '-x509', '-new', '-key', plain, '-subj', '/CN=x')),
                              ('@OTHER@', ('genpkey', '-algorithm', 'EC', '-pkeyopt', 'group:P-256'))):
            self.blocks[word] = self.lab.run('openssl', *command, status=0).stdout

    def others(self, kind, path):
        """The public key, in PKCS8, as each of the other readers prints it; nothing of those that refuse it."""
        printed = []
        password = PASSPHRASE if 'encrypted' in kind else ''
        if kind != 'tpm':
            result = self.lab.run('ssh-keygen', '-y', '-P', password, '-f', path)
            if result.returncode == 0:
                printed.append(' '.join(result.stdout.split()[:2]))
        if kind != 'openssh':
            providers = ('-provider', 'tpm2', '-provider', 'default') if kind == 'tpm' else ()
            result = self.lab.run('openssl', 'pkey', *providers, '-in', path, '-passin', 'pass:' + password, '-pubout')
            if result.returncode == 0:
                public = self.lab.write('public.pem', result.stdout)
                printed.append(self.lab.ssh_keygen('-i', '-m', 'PKCS8', '-f', public).strip())
        return printed

    def ours(self, kind, path):
        """The public key as we print it, or nothing and the error."""
        if kind == 'tpm':
            result = self.lab.keygen('-y', '-f', path, status=None)
            return ' '.join(result.stdout.split()[:2]), result
        out = self.lab.path('wrapped')
        for ending in ('.tpm', '.pub'):
            if os.path.exists(out + ending):
                os.unlink(out + ending)
        secret = ('-P', PASSPHRASE) if 'encrypted' in kind else ()
        result = self.lab.keygen('--wrap', path, '--wrap-with', self.parent, '-f', out, '-q', '-N', '', *secret,
                                 status=None)
        return (' '.join(read(out + '.pub').split()[:2]) if result.returncode == 0 else ''), result

    def compare(self, kind):
        unused = {row for row in DIFFERENT if row[1] == kind}
        for shape, change in SHAPES.items():
            with self.subTest(shape=shape, kind=kind):
                text = change(self.files[kind])
                for word, other in self.blocks.items():
                    text = text.replace(word, other)
                path = self.lab.write('in.tpm', text, mode=0o600)
                others = self.others(kind, path)
                ours, result = self.ours(kind, path)
                row = (shape, kind) if (shape, kind) in DIFFERENT else (shape, '*')
                unused.discard(row)
                if row in DIFFERENT:
                    self.assertEqual((bool(ours), bool(others)), (DIFFERENT[row][0], not DIFFERENT[row][0]), row)
                else:
                    self.assertEqual(bool(ours), bool(others), (others, result.stderr))
                if ours and others:
                    self.assertIn(ours, others)
                if not ours:
                    self.assert_error(result, path)
                if row in DIFFERENT and DIFFERENT[row][1] == TWO:
                    self.assert_error(result, 'two private keys in one file')
        self.assertEqual(unused, set())

    def test_keys_in_the_format_of_openssh(self):
        self.compare('openssh')

    def test_keys_in_sec_1(self):
        self.compare('sec1')

    def test_encrypted_keys_in_sec_1(self):
        self.compare('sec1-encrypted')

    def test_keys_in_pkcs_8(self):
        self.compare('pkcs8')

    def test_encrypted_keys_in_pkcs_8(self):
        self.compare('pkcs8-encrypted')

    def test_key_files_of_a_tpm(self):
        self.compare('tpm')

    def test_what_openssl_ecparam_writes_is_read_and_keeps_the_text_around_it(self):
        path = self.lab.path('keys/ecparam.tpm')
        self.tpm.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-out', path)
        before, behind = read(path), 'a note\n' + self.blocks['@CERTIFICATE@']
        self.assertTrue(before.startswith('-----BEGIN EC PARAMETERS-----\n'))
        self.lab.write('keys/ecparam.tpm', before + behind, mode=0o600)
        self.lab.write('keys/ecparam.pub', self.lab.keygen('-y', '-f', path).stdout)
        self.lab.keygen('-c', '-C', 'mine', '-f', path)
        after = read(path)
        parameters = before[:before.index('-----BEGIN TSS2')]
        self.assertTrue(after.startswith(parameters + 'Comment: mine\n-----BEGIN TSS2'))
        self.assertTrue(after.endswith('-----END TSS2 PRIVATE KEY-----\n' + behind))


if __name__ == '__main__':
    unittest.main()
