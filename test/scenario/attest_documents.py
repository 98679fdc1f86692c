#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest verify: a request is written in one way, and another text is none."""

import json
import unittest

import tpm_objects as tpm
from attestation import SoftTpm, Subject, b64, now, written
from tpm_maker import extension
from verifying import Verifying, with_member

FORM = 'form|JSON|member|string|object|array'
LARGEST = 65536  # bytes of a document, its end included


def swapped(members, first, second):
    """The same members, two of them in the place of each other."""
    order = [{first: second, second: first}.get(name, name) for name in members]
    return {name: members[name] for name in order}


def without(members, name):
    return {other: value for other, value in members.items() if other != name}


class Documents(Verifying):
    def setUp(self):
        super().setUp()
        self.good = self.request(self.subject, Subject())
        self.text = self.good.text()
        self.members = self.good.members()

    def inside(self, path, change):
        """The text with a function applied to the object at `path`."""
        members = self.good.members()
        if not path:
            return written(change(members))
        place = members
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = change(place[path[-1]])
        return written(members)

    def refused(self, texts, words=FORM):
        self.assert_refused({name: (text, words) for name, text in texts.items()})

    def test_a_good_one_is_accepted(self):
        self.verified(self.good)

    def test_members(self):
        """Of each object: none may miss, none may be more, and none in another place."""
        for path in (), ('ek',), ('ak',), ('keys', 1):
            place = self.members
            for step in path:
                place = place[step]
            names = list(place)
            self.refused({
                **{f'no {name} in {path}': self.inside(path, lambda it, name=name: without(it, name))
                   for name in names},
                **{f'{name} as null in {path}': self.inside(path, lambda it, name=name: {**it, name: None})
                   for name in names},
                **{f'{name} as a number in {path}': self.inside(path, lambda it, name=name: {**it, name: 1})
                   for name in names},
                **{f'{name} in a list in {path}': self.inside(path, lambda it, name=name: {**it, name: [it[name]]})
                   for name in names if name != 'keys'},
                **{f'{name} of other case in {path}': self.inside(path, lambda it, name=name: {
                    other.upper() if other == name else other: value for other, value in it.items()})
                   for name in names},
                **{f'{first} and {second} in {path}': self.inside(
                    path, lambda it, first=first, second=second: swapped(it, first, second))
                   for first, second in zip(names, names[1:])},
                f'one more in {path}': self.inside(path, lambda it: {**it, 'more': ''}),
                f'one in front in {path}': self.inside(path, lambda it: {'': '', **it})})

    def test_members_twice(self):
        """A program that takes the first must not see another request than one that takes the last."""
        text = self.text.decode()
        for name in 'format', 'made', 'host', 'nonce', 'ek', 'ak', 'keys':
            member = f'"{name}":{json.dumps(self.members[name], separators=(",", ":"))}'
            self.assertEqual(text.count(member), 1)
            other = {'host': '"host":"evil"', 'keys': '"keys":[]'}.get(name, member)
            self.refused({
                f'{name}, the same': text.replace(member, f'{member},{member}').encode(),
                f'{name}, another first': text.replace(member, f'{other},{member}').encode(),
                f'{name}, another last': text.replace(member, f'{member},{other}').encode(),
                f'{name} at the end': (text[:-2] + ',' + member + '}\n').encode()}, FORM + '|keys')

    def test_white_space(self):
        text = self.text
        self.refused({
            'no line feed': text[:-1], 'two': text + b'\n', 'CRLF': text[:-1] + b'\r\n',
            'a blank at the end': text + b' ', 'a blank before the end': text[:-1] + b' \n', 'in front': b' ' + text,
            'a line in front': b'\n' + text,
            'behind a colon': text.replace(b'"made":', b'"made": ', 1),
            'behind a comma': text.replace(b',"host"', b', "host"', 1),
            'pretty': json.dumps(self.members, indent=2).encode() + b'\n',
            'as usual': json.dumps(self.members).encode() + b'\n'})

    def test_bytes_that_are_no_such_text(self):
        text = self.text
        self.refused({
            'nothing': b'', 'a line feed': b'\n', 'NUL': b'\0', 'NUL at the end': text + b'\0',
            'NUL before the end': text[:-1] + b'\0\n', 'NUL in a string': text.replace(b'web1', b'we\0b', 1),
            'UTF-16': text.decode().encode('utf-16'), 'UTF-16 without a mark': text.decode().encode('utf-16-be'),
            'a byte order mark': b'\xef\xbb\xbf' + text, 'Latin-1': text.replace(b'web1', b'w\xeb1', 1),
            'overlong': text.replace(b'web1', b'\xc1\xb7eb1', 1),
            'a surrogate': text.replace(b'web1', b'\xed\xa0\x80', 1),
            'cut': text[:-20], 'twice': text * 2, 'a list': b'[' + text[:-1] + b']\n', 'null': b'null\n', '{}': b'{}\n',
            'a string': json.dumps(text.decode()).encode() + b'\n', 'deep': b'[' * 30000 + b']' * 30000 + b'\n',
            'deep objects': b'{"a":' * 10000 + b'1' + b'}' * 10000 + b'\n',
            'deep in place of a host': text.replace(b'"web1"', b'[' * 5000 + b']' * 5000, 1),
            'a comment': text.replace(b'{', b'{/* */', 1), 'a comma more': text.replace(b'}\n', b',}\n'),
            'single quotes': text.replace(b'"', b"'"), 'a large number': text.replace(b'"web1"', b'9' * 10000, 1)})

    def test_escapes(self):
        """Each says the same as a shorter text, or what no text may say."""
        self.refused({name: self.text.replace(old, new, 1) for name, old, new in (
            ('a letter', b'web1', b'\\u0077eb1'), ('a name', b'"host"', b'"ho\\u0073t"'),
            ('a slash', b'web1', b'web\\/1'), ('half a surrogate', b'web1', b'\\ud800'),
            ('NUL', b'web1', b'\\u0000'), ('an unknown one', b'web1', b'\\web1'))}, FORM + '|host')

    def test_base64(self):
        """Of the same bytes in another spelling, or of none."""
        for path in ('ek', 'certificate'), ('ek', 'chain', 0), ('ek', 'public'), ('ak', 'public'), ('keys', 0, 'sig'):
            self.refused({f'{name} in {path}': self.inside(path, change) for name, change in (
                ('a line', lambda text: text[:64] + '\n' + text[64:]), ('a blank', lambda text: text + ' '),
                ('a blank in front', lambda text: ' ' + text), ('more padding', lambda text: text + '===='),
                ('a letter more', lambda text: text + 'A'), ('less padding', lambda text: text[:-1]),
                ('a dash', lambda text: '-' + text[1:]), ('a NUL', lambda text: text[:8] + '\0' + text[9:]))},
                FORM + '|base64|certificate|structure|public|sig')
        padded = 0
        for path, text in (('keys', 0, 'sig'), self.good.keys[0]['sig']), (('ak', 'public'), b64(
                self.tpm.ak.marshalled())), (('ek', 'public'), b64(self.tpm.ek.marshalled())):
            if text.endswith('='):
                place = len(text.rstrip('=')) - 1
                alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
                other = alphabet[alphabet.index(text[place]) + 1]
                self.refused({f'bits behind the end of {path}': self.inside(
                    path, lambda it, place=place, other=other: it[:place] + other + it[place + 1:])},
                    FORM + '|base64')
                padded += 1
        self.assertGreater(padded, 0)

    def test_texts(self):
        long_host, long_nonce = 'h' * 255, 'n' * 128
        self.assert_verified({
            'a long host': self.request(host=long_host).text(), 'a long nonce': self.request(nonce=long_nonce).text(),
            'no host': self.request(host='').text(), 'quotes': self.request(host='"\\', nonce='"\\/ ~').text()})
        self.assert_refused({f'host {host!r}': (self.request(host=host).text(), 'host|' + FORM) for host in (
            long_host + 'h', 'ü' * 128, 'a\nb', 'a\x1b[31m', '\x7f', 'a\u202eb', 'a\u0085b', '\0')})
        self.assert_refused({f'nonce {nonce!r}': (self.request(nonce=nonce).text(), 'nonce|' + FORM) for nonce in (
            long_nonce + 'n', 'ü', 'a\nb', '\x7f', '\0')})
        self.assert_refused({f'made {made!r}': (self.request(made=made).text(), 'made') for made in (
            ' ', now()[:-1], now() + 'Z', now().lower(), now().replace('T', ' '), now()[:-1] + '+00:00',
            now()[:-1] + '.0Z', '2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-00-01T00:00:00Z',
            '2026-01-00T00:00:00Z', '2026-01-01T24:00:00Z', '2026-01-01T00:60:00Z', '2026-01-01T00:00:61Z',
            '+026-01-01T00:00:00Z', '2026-1-001T00:00:00Z', '2026-01-01T00:00:-1Z', '20260101T000000Z    ',
            '２０２６-01-01T00:00:00Z')})

    def test_formats(self):
        for name in ('ssh-tpm-attestation-2', 'ssh-tpm-attestation-1 ', 'SSH-TPM-ATTESTATION-1', '',
                     'ssh-tpm-sealed-1'):
            self.refused({name: written({**self.members, 'format': name})}, 'format')

    def test_ssh_lines(self):
        """Type and base64, and that is all."""
        line = self.good.keys[0]['ssh']
        kind, body = line.split()
        self.refused({name: self.inside(('keys', 0), lambda key, text=text: {**key, 'ssh': text}) for name, text in (
            ('a comment', line + ' web1'), ('a blank', line + ' '), ('two blanks', f'{kind}  {body}'),
            ('a tab', f'{kind}\t{body}'), ('options', 'cert-authority ' + line), ('in front', ' ' + line),
            ('a line feed', line + '\n'), ('two lines', f'{line}\n{line}'), ('no type', body),
            ('another type', f'ecdsa-sha2-nistp384 {body}'), ('no key', kind), ('nothing', ''), ('#', '#' + line),
            ('a byte more', f'{kind} {b64(self.subject.blob + bytes(1))}'),
            ('a byte less', f'{kind} {b64(self.subject.blob[:-1])}'),
            ('a compressed point', f'{kind} {b64(self.compressed())}'))}, FORM + '|ssh|key')

    def compressed(self):
        blob = self.subject.blob
        head, point = blob[:-69], blob[-65:]
        return head + tpm.u32(33) + bytes([2 + point[64] % 2]) + point[1:33]

    def test_keys(self):
        subjects = [Subject() for _ in range(33)]
        self.assert_verified({'32': self.request(*subjects[:32]).text()})
        self.refused({'33': self.request(*subjects).text(), 'none': self.inside(('keys',), lambda _: [])}, 'keys')
        self.refused({'an object': self.inside(('keys',), lambda keys: keys[0]), 'a list': self.inside(
            ('keys', 0), list), 'a string': self.inside(('keys', 0), str)}, FORM + '|key')

    def test_sizes(self):
        """64 KiB, the line feed with them."""
        def of_size(filling, host):
            certificate = self.authority.ek_certificate(self.tpm.ek_key.public_key(), serial=7, more=[
                extension('1.3.6.1.4.1.99999.1', bytes(filling))])
            return self.request(certificate=certificate, host='h' * host)
        filling, host = 40000, 100
        while (size := len(of_size(filling, host).text())) != LARGEST:  # a signature's size varies
            missing = LARGEST - size
            filling += missing * 3 // 4 if abs(missing) > 60 else 0
            host = max(1, host + missing) if abs(missing) <= 60 else host
        text = of_size(filling, host)
        while len(text.text()) != LARGEST:
            text = of_size(filling, host)
        self.verified(text)
        text.host += 'h'
        self.assertEqual(len(text.text()), LARGEST + 1)
        self.refused({'one byte more': text.text()}, '64 KiB|large|long')
        self.refused({'much more': b' ' * 10_000_000 + self.text}, '64 KiB|large|long')

    def test_other_requests_are_not_in_the_way(self):
        """What one says of itself does not appear in the others, or in the terminal."""
        evil = with_member(self.good, lambda members: members.update(host='x\x1b[2J\n{"status":"verified"}'))
        results = self.results({'first': self.text, 'evil': evil, 'last': self.text})
        self.assertEqual([result['status'] for result in results.values()], ['verified', 'refused', 'verified'])
        path = self.lab.write('evil.json', evil)
        said = self.verify('--ek-roots', self.roots, path)
        self.assertEqual((said.returncode, said.stdout), (1, ''))
        self.assertNotIn('\x1b', said.stderr)

    def test_a_tpm_of_any_sort(self):
        for index in tpm.EK_TEMPLATES:
            soft = SoftTpm(index)
            self.verified(self.request(tpm=soft, certificate=self.authority.ek_certificate(soft.ek_key.public_key())))


if __name__ == '__main__':
    unittest.main()
