#!/usr/bin/env python3
"""ssh-tpm-add gives the agent .tpm files and their certificates, one report for each."""

import os
import shutil
import unittest

from add_recorder import AddScenario, Recorder, SUCCESS
from agent import Agent, Askpass, certify
from lab import read, wait_until
from swtpm import Swtpm


class Recorded(AddScenario):
    """What goes over the wire."""

    def setUp(self):
        super().setUp()
        Swtpm(self.lab)
        self.recorder = Recorder(self.lab)
        self.socket = self.recorder.path

    def test_the_message_is_the_one_of_the_go_program(self):
        key = self.lab.make_key('x', comment='a key')
        added = self.add(key.tpm, status=0)
        self.assertEqual(added.stderr, f'Identity added: {key.tpm} (a key)\n')
        self.assertEqual(added.stdout, '')
        self.assertEqual(self.recorder.added(), [(read(key.tpm), b'', b'')])

    def test_a_certificate_beside_the_key_is_a_second_message(self):
        key = self.lab.make_key('x')
        _, certificate = certify(self.lab, key)
        added = self.add(key.tpm, status=0)
        self.assertEqual(added.stderr.splitlines(),
                         [f'Identity added: {key.tpm} (x)', f'Certificate added: {certificate.pub} (a person)'])
        text = read(key.tpm)
        self.assertEqual(self.recorder.added(), [(text, b'', b''), (text, certificate.blob, b'')])

    def test_keys_alone_and_certificates_alone(self):
        key = self.lab.make_key('x')
        _, certificate = certify(self.lab, key)
        self.assertNotIn('Certificate', self.add('-k', key.tpm, status=0).stderr)
        self.assertNotIn('Identity', self.add('-C', key.tpm, status=0).stderr)
        self.assertEqual([blob for _, blob, _ in self.recorder.added()], [b'', certificate.blob])
        os.unlink(certificate.pub)
        self.assert_refused(self.add('-C', key.tpm), 'no certificate')
        self.assertEqual(len(self.recorder.added()), 2)

    def test_lifetime_and_confirmation_in_the_bytes_and_words_of_ssh_add(self):
        key, soft = self.lab.make_key('x'), self.soft_key('soft')
        for options, constraints in ((('-t', '1h30m'), b'\x01\x00\x00\x15\x18'), (('-c',), b'\x02'),
                                     (('-c', '-t', '60'), b'\x01\x00\x00\x00\x3c\x02'), (('-t', '0'), b'')):
            with self.subTest(options=options):
                ours, theirs = self.add(*options, key.tpm, status=0), self.ssh_add(*options, soft, status=0)
                self.assertEqual(ours.stderr.splitlines()[1:], theirs.stderr.splitlines()[1:])
                self.assertEqual(self.recorder.added()[-1][2], constraints)
                self.assertTrue(self.recorder.requests[-1].endswith(b'soft' + constraints))

    def test_quiet(self):
        key = self.lab.make_key('x')
        certify(self.lab, key)
        self.assertEqual(self.add('-q', '-c', '-t', '60', key.tpm, status=0).stderr, '')
        self.assertEqual(len(self.recorder.added()), 2)

    def test_a_key_without_a_comment_gets_the_name_of_its_file(self):
        key = self.lab.make_key('x', comment='')
        self.assertIn(f'({key.tpm})', self.add(key.tpm, status=0).stderr)
        self.assertIn(key.tpm, self.recorder.added()[0][0])

    def test_a_name_without_its_ending_and_standard_input(self):
        key = self.lab.make_key('x')
        self.assertIn(key.tpm, self.add(key.path, status=0).stderr)
        self.assertIn('(stdin)', self.add('-', stdin=read(key.tpm), status=0).stderr)
        other = self.lab.path('other-name')
        shutil.copy(key.tpm, other)
        self.assertIn(other, self.add(other, status=0).stderr)
        self.assertEqual({text for text, _, _ in self.recorder.added()}, {read(key.tpm)})

    def test_without_a_file_the_default_ones(self):
        folder = os.path.join(self.lab.home, '.ssh')
        nothing = self.add()
        self.assert_refused(nothing, 'id_ecdsa.tpm', 'id_rsa.tpm')
        rsa = self.lab.make_key('id_rsa', 'rsa', 2048, folder=self.lab.make_folder('home', '.ssh'))
        self.assertEqual(self.add(status=0).stderr, f'Identity added: {rsa.tpm} (id_rsa)\n')
        ecdsa = self.lab.make_key('id_ecdsa', folder=folder)
        self.lab.make_key('another', folder=folder)
        self.assertEqual([line.split()[2] for line in self.add(status=0).stderr.splitlines()],
                         [ecdsa.tpm, rsa.tpm])

    def test_an_ordinary_key_is_refused_with_a_hint(self):
        for name, options in (('o', ('-t', 'ecdsa')), ('p', ('-t', 'rsa', '-m', 'PEM')), ('e', ('-t', 'ed25519'))):
            soft = self.soft_key(name, *options)
            self.assert_refused(self.add(soft), soft, 'ssh-add', f'--import {soft}')
        self.assertEqual(self.recorder.requests, [])

    def test_the_file_with_the_ending_goes_before_the_ordinary_key(self):
        soft = self.soft_key('x', '-t', 'ecdsa')
        self.lab.keygen('-q', '--import', soft, '-N', '')
        self.assertIn(f'Identity added: {soft}.tpm', self.add(soft, status=0).stderr)

    def test_files_that_are_no_keys_are_named_and_do_not_stop_the_others(self):
        good, last = self.lab.make_key('good'), self.lab.make_key('last')
        broken = self.lab.write('broken.tpm', read(good.tpm).replace('M', 'N', 3))
        text = self.lab.write('text.tpm', 'hello')
        result = self.add(broken, good.tpm, text, self.lab.path('absent'), good.pub, last.tpm)
        self.assert_refused(result, broken, text, 'absent', good.pub)
        self.assertEqual([line.split()[2] for line in result.stderr.splitlines() if line.startswith('Identity')],
                         [good.tpm, last.tpm])
        self.assertEqual(len(self.recorder.added()), 2)

    def test_a_certificate_that_is_not_this_keys_or_broken_fails_but_not_the_key(self):
        key, other = self.lab.make_key('x'), self.lab.make_key('y')
        _, certificate = certify(self.lab, other)
        shutil.copy(certificate.pub, key.path + '-cert.pub')
        result = self.add(key.tpm)
        self.assert_refused(result, f'Certificate {key.path}-cert.pub does not match private key {key.tpm}')
        self.assertIn('Identity added', result.stderr)
        self.lab.write('keys/x-cert.pub', 'nonsense')
        self.assert_refused(self.add(key.tpm), 'x-cert.pub')
        self.assertEqual([blob for _, blob, _ in self.recorder.added()], [b'', b''])

    def test_an_agent_that_refuses(self):
        key, other = self.lab.make_key('x'), self.lab.make_key('y')
        self.recorder.answer = lambda request: SUCCESS if read(key.tpm).encode() in request else bytes([28])
        result = self.add(other.tpm, key.tpm)
        self.assert_refused(result, f'Could not add identity "{other.tpm}": agent refused operation', 'hint:')
        self.assertIn(f'Identity added: {key.tpm}', result.stderr)

    def test_ssh_agent_takes_none(self):
        key = self.lab.make_key('x')
        self.start_ssh_agent()
        self.assert_refused(self.add(key.tpm), 'refused', 'other than ssh-tpm-agent')
        self.assertEqual(self.ssh_add('-l').returncode, 1)


class Served(AddScenario):
    """With the real agent."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def start(self, **more):
        agent = Agent(self.lab, '--no-load', **more)
        self.socket = agent.socket
        return agent

    def test_keys_are_listed_and_sign(self):
        agent = self.start()
        for kind, bits in (('ecdsa', 256), ('rsa', 2048)):
            key = self.lab.make_key(kind, kind, bits)
            self.add(key.tpm, status=0)
            self.assertIn(key.line, agent.listed())
            agent.sign_and_check(key)
            self.add('-T', key.pub, status=0)
            self.add('-T', key.tpm, status=0)
        self.assertEqual(self.add('-l', status=0).stdout, self.ssh_add('-l').stdout)

    def test_a_certificate_is_listed_too(self):
        agent = self.start()
        key = self.lab.make_key('x')
        _, certificate = certify(self.lab, key)
        self.add(key.tpm, status=0)
        self.assertEqual([line.split()[1] for line in agent.listed()],
                         [key.line.split()[1], certificate.line.split()[1]])
        self.add('-T', certificate.pub, status=0)

    def blobs(self, agent):
        with agent.connect() as connection:
            return [blob for blob, _ in connection.list()]

    def test_a_certificate_alone_is_listed_alone_and_the_key_is_used_on_its_terms(self):
        askpass = Askpass(self.lab, 'yes', 'yes')
        agent = self.start(env=askpass.env)
        key = self.lab.make_key('x')
        _, certificate = certify(self.lab, key)
        self.add('-C', '-c', key.tpm, status=0)
        self.assertEqual(self.blobs(agent), [certificate.blob])
        for asked, public in enumerate((certificate.pub, key.pub), 1):
            self.add('-T', public, status=0)
            self.assertEqual(len(askpass.questions()), asked)
        self.assert_refused(self.add('-T', key.pub), 'agent refused operation')

    def test_a_certificate_alone_leaves_the_terms_of_the_key(self):
        askpass = Askpass(self.lab)  # says no
        agent = self.start(env=askpass.env)
        key = self.lab.make_key('x')
        _, certificate = certify(self.lab, key)
        self.add('-k', '-c', key.tpm, status=0)
        self.add('-C', key.tpm, status=0)
        self.assertEqual(self.blobs(agent), [key.blob, certificate.blob])
        self.add('-T', certificate.pub, status=0)
        self.assertEqual(askpass.questions(), [])
        self.assert_refused(self.add('-T', key.pub), 'agent refused operation')

    def test_a_lifetime_of_the_key_is_not_taken_off_by_its_certificate(self):
        agent = self.start()
        key = self.lab.make_key('x')
        _, certificate = certify(self.lab, key)
        self.add('-k', '-t', '2', key.tpm, status=0)
        self.add('-C', key.tpm, status=0)
        self.assertEqual(self.blobs(agent), [key.blob, certificate.blob])
        wait_until(lambda: self.blobs(agent) == [certificate.blob], 'the end of the key', 10)

    def test_confirmation_is_asked_for_at_each_use(self):
        askpass = Askpass(self.lab, 'yes')
        self.start(env=askpass.env)
        key = self.lab.make_key('x')
        self.add('-c', key.tpm, status=0)
        self.add('-T', key.pub, status=0)
        self.assert_refused(self.add('-T', key.pub), 'agent refused operation')
        self.assertEqual(len(askpass.questions()), 2)

    def test_a_key_without_a_comment_is_listed_with_its_files_name(self):
        agent = self.start()
        key = self.lab.make_key('x', comment='')
        self.add(key.tpm, status=0)
        self.assertTrue(agent.listed()[0].endswith(' ' + key.tpm))
        agent.sign_and_check(key)


if __name__ == '__main__':
    unittest.main()
