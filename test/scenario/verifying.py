# SPDX-License-Identifier: MIT
"""`ssh-tpm attest verify` over many documents at once."""

import json
import os
import shutil

import tpm_objects
from attestation import SoftTpm, Subject, ssh_line, written
from lab import Scenario
from resources import is_sanitized
from tpm_maker import Authority

SANITIZED = is_sanitized(os.environ['SSH_TPM_BUILD'])
REFUSED = ['file', 'status', 'error']
VERIFIED = [*REFUSED, 'host', 'made', 'fresh', 'ek', 'ak', 'manufacturer', 'model', 'version', 'root', 'known',
            'principals', 'keys']
KEY = ['ssh', 'fingerprint', 'name', 'no_da', 'user_with_auth', 'policy']


class Verifying(Scenario):
    """With a manufacturer, and a TPM and a key of its own, which all its sentences share."""

    @classmethod
    def setUpClass(cls):
        cls.authority, cls.tpm, cls.subject = Authority(), SoftTpm(), Subject()
        cls.certificate = cls.authority.ek_certificate(cls.tpm.ek_key.public_key())

    def setUp(self):
        super().setUp()
        self.roots = self.authority.write_roots(self.lab.path('roots'))

    def request(self, *subjects, tpm=None, **changes):
        """A good request but for what is told."""
        changes = {'certificate': self.certificate, 'chain': self.authority.chain, **changes}
        return (tpm or self.tpm).request(*(subjects or (self.subject,)), **changes)

    def verify(self, *arguments, **options):
        return self.lab.run(f'{self.lab.bin}/ssh-tpm', 'attest', 'verify', *arguments, **options)

    def results(self, documents, *options):
        """What verify says of each of these documents, the values of a dictionary, without the name of its file."""
        folder = self.lab.make_folder('requests')
        names = {}
        for number, (name, text) in enumerate(documents.items()):
            path = os.path.join(folder, f'{number:06}.json')
            with open(path, 'wb') as file:
                file.write(text)
            names[path] = name
        if '--ek-roots' not in options:
            options = '--ek-roots', self.roots, *options
        said = self.verify('--json', *options, folder, deadline=600)
        shutil.rmtree(folder)  # some have thousands
        found = [json.loads(line) for line in said.stdout.splitlines()]
        self.assertEqual([line['file'] for line in found], list(names), said.stderr)
        for line in found:
            self.assertEqual(list(line), REFUSED if line['status'] == 'refused' else VERIFIED)
            self.assertEqual(bool(line['error']), line['status'] == 'refused')
            for key in line.get('keys', []):
                self.assertEqual(list(key), KEY)
        self.assertEqual({line['status'] for line in found} - {'refused', 'verified'}, set())
        self.assertEqual(said.returncode, int(any(line['status'] == 'refused' for line in found)), said.stderr)
        return {names[line.pop('file')]: line for line in found}

    def assert_refused(self, table, *options):
        """`table` has texts of requests, each with the words of the error, a regular expression."""
        results = self.results({name: text for name, (text, _) in table.items()}, *options)
        for name, result in results.items():
            with self.subTest(name):
                self.assertEqual(result['status'], 'refused')
                self.assertRegex(result['error'], '(?i)' + table[name][1])

    def assert_verified(self, documents, *options):
        """@returns the results"""
        results = self.results(documents, *options)
        for name, result in results.items():
            with self.subTest(name):
                self.assertEqual(result['status'], 'verified', result['error'])
        return results

    def verified(self, request, *options):
        """The result of one."""
        return self.assert_verified({'one': request.text()}, *options)['one']

    def known(self, *lines):
        """The option."""
        return '--ek-known', self.lab.write('known', ''.join(line + '\n' for line in lines))


def with_member(request, change):
    """The text of a request after a function has changed its members."""
    members = request.members()
    change(members)
    return written(members)


def key_facts(subject):
    """What a result says of a key, apart from its fingerprint."""
    attributes = subject.public.attributes
    return {'ssh': ssh_line(subject.blob), 'name': subject.public.name().hex(),
            'no_da': attributes & tpm_objects.NO_DA != 0,
            'user_with_auth': attributes & tpm_objects.USER_WITH_AUTH != 0, 'policy': subject.public.policy != b''}
