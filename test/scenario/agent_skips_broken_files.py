#!/usr/bin/env python3
"""A broken, hostile or unreadable file is reported once and skipped; the keys beside it serve."""

import os
import shutil
import unittest

import keyfile
from agent import Agent
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, Scenario, needs_root, read
from swtpm import Swtpm


class AgentSkipsBrokenFiles(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.good = self.lab.make_key('good')
        self.parts = keyfile.fields(self.good.tpm)
        self.text = read(self.good.tpm)
        self.bad = []

    def add(self, name, content):
        """Puts a bad file among the keys."""
        self.bad.append(self.lab.write(f'keys/{name}.tpm', content, mode=0o600))

    def check(self):
        """Starts the agent: each bad file is named once, the good key is listed alone and signs."""
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [self.good.line])
        for path in self.bad:
            reports = [line for line in agent.process.lines if path in line]
            self.assertEqual(len(reports), 1, f'{path}: {reports}')
        self.assertNotIn(self.good.tpm, agent.log())
        agent.sign_and_check(self.good)
        agent.stop()
        self.tpm.assert_no_handles()
        return agent

    def test_the_parts_put_together_again_are_the_key_that_all_these_tests_spoil(self):
        described = keyfile.with_field(self.parts, keyfile.DESCRIPTION, keyfile.tlv(keyfile.UTF8, b'good'))
        self.lab.write('keys/good.tpm', keyfile.build(described), mode=0o600)
        self.check()

    def test_files_cut_off_at_every_length(self):
        for length in range(len(self.text) - 1):  # without its last newline alone it is whole
            self.add(f'cut{length:04}', self.text[:length])
        self.check()

    def test_keys_cut_off_at_every_length_inside_intact_armour(self):
        der = keyfile.read_der(self.good.tpm)
        for length in range(len(der)):
            self.add(f'cut{length:04}', keyfile.pem(der[:length]))
        self.check()

    def test_every_element_missing_or_doubled(self):
        for index, part in enumerate(self.parts):
            if part[0] not in (keyfile.EMPTY_AUTH, keyfile.DESCRIPTION):  # these two are optional
                self.add(f'without{index}', keyfile.build(self.parts[:index] + self.parts[index + 1:]))
            self.add(f'doubled{index}', keyfile.build(self.parts[:index + 1] + self.parts[index:]))
        self.check()

    def test_files_that_are_no_keys(self):
        self.add('empty', '')
        self.add('zeros', bytes(1000))
        self.add('text', 'Dear diary,\n')
        self.add('random', os.urandom(500))
        self.add('public', read(self.good.pub))
        software = self.lab.path('software')
        for number, form in enumerate(('RFC4716', 'PEM', 'PKCS8')):
            self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-m', form, '-N', '', '-f', f'{software}{number}')
            self.add(f'software{number}', read(f'{software}{number}'))
        self.check()

    def test_trailing_bytes(self):
        der = keyfile.read_der(self.good.tpm)
        self.add('der1', keyfile.pem(der + b'\x00'))
        self.add('der2', keyfile.pem(der + der))
        self.add('inside', keyfile.build(self.parts + [(keyfile.OCTETS, b'more')]))
        self.add('public', keyfile.build(keyfile.with_public(self.parts, lambda public: public + b'\x00')))
        self.add('armour', self.text + 'more\n')
        self.add('twice', self.text + self.text)
        self.check()

    def test_files_beyond_the_ceiling(self):
        self.add('large', self.text + '\n' * 65536)
        self.add('huge', self.text + '#' * (8 << 20))
        self.bad.append(self.lab.path('keys/sparse.tpm'))
        with open(self.bad[-1], 'wb') as file:
            file.truncate(1 << 40)
        self.check()

    def test_what_is_no_file(self):
        os.mkfifo(self.lab.path('keys/fifo.tpm'))
        os.symlink('loop.tpm', self.lab.path('keys/loop.tpm'))
        os.symlink('/dev/zero', self.lab.path('keys/device.tpm'))
        os.symlink('nowhere', self.lab.path('keys/dangling.tpm'))
        os.mkdir(self.lab.path('keys/folder.tpm'))
        names = ('fifo', 'loop', 'device', 'dangling', 'folder')
        self.bad += [self.lab.path(f'keys/{name}.tpm') for name in names]
        self.check()

    def test_a_key_through_a_symlink_is_served(self):
        os.rename(self.good.tpm, self.lab.path('elsewhere'))
        os.symlink(self.lab.path('elsewhere'), self.good.tpm)
        self.check()

    def test_keys_that_cannot_sign_or_cannot_be_known(self):
        def spoil(name, change):
            self.add(name, keyfile.build(keyfile.with_public(self.parts, change)))
        spoil('no-signing', keyfile.without_signing)
        spoil('unknown-curve', keyfile.with_unknown_curve)
        spoil('empty-public', lambda public: b'')
        spoil('unknown-type', lambda public: public[:2] + b'\x00\x08' + public[4:])
        spoil('wrong-length', lambda public: bytes([public[0], public[1] ^ 1]) + public[2:])
        spoil('no-point', lambda public: public[:-1] + bytes([public[-1] ^ 1]))
        self.check()

    def test_other_kinds_of_key_file(self):
        for number in (4, 5):  # importable and sealed, in the draft's numbering of 2.23.133.10.1
            oid = bytes([0x67, 0x81, 0x05, 0x0a, 0x01, number])
            self.add(f'type{number}', keyfile.build([(keyfile.OID, oid)] + self.parts[1:]))
        self.check()

    def test_control_characters_in_the_description(self):
        texts = (b'\x1b[2Jgone', b'a\nb', b'nul\x00', b'\x7f', b'\xff\xfe', b'\xc2\x9b31m')
        for number, text in enumerate(texts):
            described = keyfile.tlv(keyfile.UTF8, text)
            self.add(f'control{number}',
                     keyfile.build(keyfile.with_field(self.parts, keyfile.DESCRIPTION, described)))
        agent = self.check()
        self.assertNotRegex(agent.log(), '[\x00-\x08\x0b-\x1f\x7f-\x9f]')

    def test_control_characters_in_the_name(self):
        os.rename(self.good.tpm, self.good.path + '\x1b[2J\n.tpm')
        self.lab.write('keys/bad\x1b]0;owned\x07.tpm', 'no key')
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 1)
        self.assertNotRegex(agent.log(), '[\x00-\x08\x0b-\x1f\x7f-\x9f]')

    def test_a_broken_certificate_is_reported_and_its_key_is_served(self):
        for content in ('', 'garbage', 'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA x\n',
                        read(self.good.pub)):
            with self.subTest(content=content):
                self.bad = [self.lab.write('keys/good-cert.pub', content)]
                self.check()

    def test_a_key_of_another_tpm_fails_alone(self):
        other = Swtpm(self.lab, name='other')
        foreign = self.lab.make_key('foreign', env={'SSH_TPM_TCTI': other.tcti})
        agent = Agent(self.lab)
        self.assertEqual(len(agent.listed()), 2)
        for _ in range(2):
            self.assertNotEqual(agent.ssh_keygen_sign(foreign).returncode, 0)
            agent.sign_and_check(self.good)
        agent.process.wait_line('another TPM')
        agent.stop()
        self.tpm.assert_no_handles()

    @needs_root  # and yet it is about an agent that is not root, since nothing is unreadable to root
    def test_a_file_that_may_not_be_read(self):
        folder = self.lab.make_folder('theirs')
        good, secret = os.path.join(folder, 'good.tpm'), os.path.join(folder, 'secret.tpm')
        shutil.copy(self.good.tpm, good)
        self.lab.write('theirs/secret.tpm', self.text, mode=0o600)
        for path in (folder, good):
            os.chown(path, NOBODY, NOBODY)
        for path in (self.tpm.path, self.tpm.path + '.ctrl'):
            os.chmod(path, 0o777)
        program, path = self.lab.program_for_others(), os.path.join(folder, 'agent.sock')
        process = self.lab.start(f'{program}/ssh-tpm-agent', '-l', path, '--key-dir', folder,
                                 env={'HOME': folder, 'XDG_STATE_HOME': folder, **NO_LEAK_CHECK}, **AS_NOBODY)
        process.wait_line(f'listening on {path}')
        self.assertEqual(len([line for line in process.lines if secret in line]), 1)
        listed = self.lab.run('ssh-add', '-L', env={'SSH_AUTH_SOCK': path}, status=0).stdout
        self.assertEqual(listed.splitlines(), [self.good.line])


if __name__ == '__main__':
    unittest.main()
