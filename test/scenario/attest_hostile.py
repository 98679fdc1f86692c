#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest check against hosts that lie, and serve against clients that do."""

import base64
import contextlib
import json
import os
import re
import select
import signal
import socket
import unittest

import tpm_objects as tpm
from attestation import SoftTpm, Subject, b64, negated, written
from attested import ANSWER, Service, SoftHost, TpmHost, User, question, read_question, selection, subsystem
from lab import Scenario, read, wait_until
from sshd import Sshd
from swtpm import Swtpm
from tpm_objects import RSA

OTHER_NONCE = bytes(range(32))


def changed(host, line, change):
    members = host.members(line)
    change(members)
    return written(members)


class Lies(Scenario):
    """All hosts have one sshd; the answer is another one each time."""

    def setUp(self):
        super().setUp()
        self.user, self.host = User(self.lab), SoftHost(Subject(), Subject('p384'))
        self.service = Service(self.lab, self.host.answer)
        self.server = Sshd(self.lab, subsystem(self.lab, self.service.command), authorized=[self.user.key.pub],
                           host_keys=[self.host.write_key(self.lab, 'host')])
        self.user.knows('web1', self.server, self.host.subjects[0].line)

    def says(self, answer, status, words):
        """`answer` makes bytes of the question's line."""
        self.service.answer = answer
        result = self.user.check('--yes')
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertRegex(result.stderr, words)

    def assert_refused(self, table):
        """`table` has changes to a good answer, and a word of the error."""
        for name, (changes, words) in table.items():
            with self.subTest(name):
                self.says(lambda line, changes=changes: self.host.answer(line, **changes), 1, words)
        self.assertEqual(self.user.recorded(), [])
        self.says(self.host.answer, 0, 'accepted before')

    def test_questions_are_fresh(self):
        for _ in range(3):
            self.says(self.host.answer, 0, 'web1')
        nonces = [read_question(line)[0] for line in self.service.questions]
        self.assertEqual(len(set(nonces)), 3)

    def test_evidence_for_another_question_or_by_another_key(self):
        first, other, name = self.host.subjects, SoftTpm(), self.host.tpm.ak.name()
        another = self.host.tpm.ak.replace(attributes=tpm.AK & ~tpm.RESTRICTED)
        self.assert_refused({
            'an old answer': ({'nonce': OTHER_NONCE}, 'qualifying data'),
            'an old statement about the keys': ({'signed_keys': bytes(32)}, 'qualifying data'),
            'an old quote': ({'quote': {'extra': bytes(32)}}, 'qualifying data'),
            'a quote about other keys': ({'about': first[:1]}, 'qualifying data'),
            'a quote about the keys in another order': ({'about': first[::-1]}, 'qualifying data'),
            'signed by another key': ({'key': other.ak_key}, 'signature'),
            'the key of another TPM': ({'ak': other.ak}, 'signature'),
            'signed with SHA-384': ({'hash_alg': tpm.SHA384}, 'signature'),
            'a key that signs anything': ({'ak': another}, 'template'),
            'a key of another hierarchy': ({'quote': {'signer': tpm.qualified_name(
                tpm.u32(0x40000001), name)}}, 'qualifiedSigner'),
            'not of a TPM': ({'quote': {'magic': 0xff544348}}, 'magic|TPM_GENERATED'),
            'a statement about a key in place of a quote': (
                {'quote': {'kind': tpm.CERTIFY, 'attested': None, 'name': name, 'qualified': name}}, 'type'),
            'a quote in place of a statement about a key': (
                {'statement': {'kind': tpm.QUOTE, 'attested': selection('sha256', [0]) + tpm.sized(bytes(32))}},
                'type'),
            'a statement about another key': ({'statement': {'name': name}}, 'Name differs'),
        })

    def test_another_host_key(self):
        host = self.host.subjects[0]
        imported = Subject(key=host.key, attributes=tpm.SUBJECT & ~tpm.FIXED_TPM)
        self.assert_refused({
            'not among the keys': ({'subjects': self.host.subjects[1:]}, 'host key of this connection'),
            'no keys': ({'subjects': []}, '1 to 32'),
            'a key that was imported': ({'subjects': [imported]}, 'fixedTPM'),
        })
        far = SoftHost()
        self.service.answer = far.answer
        self.assertEqual(self.user.check('--yes', '--pcrs', '23').returncode, 1)

    def test_two_checks_at_once_and_a_damaged_record(self):
        checks = [self.lab.start(*self.user.argv('check', '--yes', '--pcrs', pcrs, '-F', self.user.config, 'web1'))
                  for pcrs in ('0', '1', '1')]
        for check in checks:
            self.assertEqual(check.wait(), 0, check.log())
        good = self.user.recorded()
        self.assertEqual(sorted(json.loads(line)['pcrs'] for line in good), ['sha256:0', 'sha256:1'])
        for name, damage in (('cut', good[1][:-9]), ('empty object', '{}'), ('text', 'x'),
                             ('more', good[1].replace('{', '{"more":1,', 1)),
                             ('bank', good[1].replace('sha256', 'sha512')),
                             ('value', good[1].replace('"values":["0', '"values":["g')),
                             ('count', re.sub('"resets":[0-9]+', '"resets":-1', good[1]))):
            with self.subTest(name):
                self.lab.write(self.user.record, f'{good[0]}\n{damage}\n')
                self.says(self.host.answer, 1, 'attested_hosts: line 2: ')
                self.assertEqual(self.user.recorded(), [good[0], damage])

    def test_other_pcrs(self):
        zeros = [bytes(32)] * 12
        self.assert_refused({
            'no PCRs': ({'quoted': selection('sha256', [])}, 'other PCRs'),
            'no bank': ({'quoted': tpm.u32(0), 'values': []}, 'other PCRs'),
            'fewer': ({'quoted': selection('sha256', range(8))}, 'other PCRs'),
            'another bank': ({'quoted': selection('sha384', [*range(10), 11, 12])}, 'other PCRs'),
            'a longer bitmap': ({'quoted': selection('sha256', [*range(10), 11, 12], 4)}, 'other PCRs'),
            'two banks': ({'quoted': tpm.u32(2) + 2 * selection('sha256', [*range(10), 11, 12])[4:]}, 'other PCRs'),
            'a value too many': ({'values': [*zeros, bytes(32)]}, '13 PCRs'),
            'a value too few': ({'values': zeros[1:]}, '11 PCRs'),
            'values of another size': ({'values': [bytes(48)] * 12}, 'another bank'),
            'sizes that add up': ({'values': [bytes(31), bytes(33), *zeros[2:]]}, 'another bank'),
            '25 values': ({'values': [bytes(32)] * 25}, 'more PCRs'),
        })

    def test_another_document(self):
        table = {
            'a value that is another one': (lambda members: members['pcrs'].__setitem__(3, '11' * 32), 'other values'),
            'values in another order': (lambda members: members['pcrs'].reverse(), 'web1'),
            'capital digits': (lambda members: members['pcrs'].__setitem__(3, 'AB' * 32), 'hexadecimal'),
            'a number': (lambda members: members['pcrs'].__setitem__(3, 3), 'hexadecimal'),
            'more': (lambda members: members.update(more=''), 'form that ssh-tpm writes'),
            'no log': (lambda members: members.pop('eventlog'), 'eventlog'),
            'no key': (lambda members: members.pop('ak'), 'ak'),
        }
        self.host.values[3] = b'\x22' * 32
        for name, (change, words) in table.items():
            with self.subTest(name):
                self.says(lambda line, change=change: changed(self.host, line, change), 1, words)
        for name, change in {'cut': lambda text: text[:-2], 'no line end': lambda text: text[:-1],
                             'twice': lambda text: text * 2,
                             'a space': lambda text: text[:-1] + b' \n'}.items():
            with self.subTest(name):
                self.says(lambda line, change=change: change(self.host.answer(line)), 1,
                          'not a JSON object|form that ssh-tpm writes')
        begin = b'{"format":"' + ANSWER.encode()
        for text in (b'', b'\n', b'x', begin, begin[:-1] + b'2","ak":1}', b' ' + self.host.answer(question()),
                     self.host.answer(question()) + bytes(1 << 20)):  # the relay passes no more than an answer on
            with self.subTest(text[:40]):
                self.says(lambda line, text=text: text, 4, 'does not answer checks')
        self.assertEqual(self.user.recorded(), [])

    def test_what_is_no_lie(self):
        """ECDSA has two signatures, and TPMs of RSA exist."""
        def other_signature(members):
            members['quote']['sig'] = b64(negated(base64.b64decode(members['quote']['sig'])))
        self.says(lambda line: changed(self.host, line, other_signature), 0, 'accepted before')
        self.says(self.host.answer, 0, 'an accepted one')
        rsa = SoftHost(*self.host.subjects, soft=SoftTpm(ak_kind=RSA))
        self.service.answer = rsa.answer
        result = self.user.check('--accept', '--yes')
        self.assertEqual(result.returncode, 0, result.stderr)
        for words in 'another TPM', 'nothing but this connection names it', 'Secure Boot':
            self.assertIn(words, result.stderr)

    def test_another_tpm_is_another_boot(self):
        self.says(self.host.answer, 0, 'accepted before')
        other = SoftHost(*self.host.subjects)
        self.says(other.answer, 3, 'another TPM')
        self.host.resets -= 1
        self.says(self.host.answer, 3, 'counts fewer boots')
        self.host.resets += 7
        self.says(self.host.answer, 0, 'an accepted one')
        self.assertEqual(json.loads(self.user.recorded()[0])['resets'], self.host.resets)
        self.service.answer = other.answer
        result = self.user.check('--yes', '--pcrs', '0')
        self.assertEqual(result.returncode, 3, 'other PCRs do not make it a new host')

    def test_an_answer_that_does_not_come(self):
        self.lab.limit('attest_answer', 1, 10)
        self.service.answer = lambda line: wait_until(lambda: False, 'the end of the test')
        result = self.user.check('--yes')
        self.assertEqual(result.returncode, 4, result.stderr)


class Serve(Scenario):
    """The service, which systemd gives its socket."""

    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.lab.keygen('-q', '-A', '-f', self.lab.path('root'))
        self.path = self.lab.path('service.sock')

    def start(self, *options):
        self.service = self.lab.start('systemd-socket-activate', '-l', self.path, '-E', 'SSH_TPM_TEST_LIMITS', '-E',
                                      'PATH', f'{self.lab.bin}/ssh-tpm', 'attest', 'serve', '--tcti', self.tpm.tcti,
                                      '--key-dir', self.lab.path('root/etc/ssh'), *options)
        self.service.wait_line('Listening on')

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        self.addCleanup(client.close)
        return client

    @staticmethod
    def read(client):
        with client.makefile('rb') as stream:
            return stream.read()

    def ask(self, line):
        client = self.connect()
        client.sendall(line)
        return self.read(client)

    def assert_answered(self, text):
        self.assertTrue(text.startswith(b'{"format":"' + ANSWER.encode() + b'",'), text[:99])
        self.assertEqual(len(json.loads(text)['keys']), 2)

    def test_clients_beside_each_other(self):
        self.start()
        slow = [self.connect() for _ in range(20)]
        for client in slow:
            client.sendall(question()[:30])
        clients = [self.connect() for _ in range(4)]
        for client in clients:
            client.sendall(question())
        for client in clients:
            self.assert_answered(self.read(client))
        slow[0].sendall(question()[30:])
        self.assert_answered(self.read(slow[0]))
        self.tpm.assert_no_handles()

    @unittest.skipUnless(os.geteuid() == 0, 'only root can become another user')
    def test_users_take_turns(self):
        folder = self.lab.path('public')
        os.mkdir(folder, 0o755)
        self.path = os.path.join(folder, 'service.sock')
        self.start()
        os.chmod(self.path, 0o666)
        many = [self.connect() for _ in range(100)]  # there is no room for so many
        for client in many:
            with contextlib.suppress(OSError):
                client.sendall(question())
        for _ in range(1000):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.path)
        here = os.getcwd()
        os.chdir(folder)  # another user may not search the folders above
        self.addCleanup(os.chdir, here)
        self.path = 'service.sock'
        os.seteuid(65534)
        self.addCleanup(os.seteuid, 0)
        few = [self.connect() for _ in range(2)]
        os.seteuid(0)
        for client in few:
            client.sendall(question())
        for client in few:
            self.assert_answered(self.read(client))
        waiting = [client for client in many if not select.select([client], [], [], 0)[0]]
        self.assertGreater(len(waiting), 30)
        self.assertLess(len(waiting), 64)

    def test_rubbish_is_not_answered_and_others_are(self):
        self.start()
        good = question()
        for line in (b'\n', b'x\n', bytes(300), good * 2, good[:-1] + b' \n', good.replace(b'sha256', b'sha1'),
                     good.replace(b'-1 ', b'-2 '), good.replace(b',12', b',24'), good.replace(b'0,1,2', b'0-2'),
                     good.replace(b'0,1', b'1,0'), good.replace(b'AA=', b'A='), good.replace(b' sha', b'  sha'),
                     good[:-1] + b'\r\n', good + b'x'):
            with self.subTest(line):
                self.assertEqual(self.ask(line), b'')
        gone = self.connect()
        gone.sendall(good)
        gone.close()
        self.assert_answered(self.ask(good))

    def test_a_client_that_says_nothing_is_sent_away(self):
        self.lab.limit('attest_question', 0.3, 2)
        self.start()
        self.assertEqual(self.read(self.connect()), b'')

    def test_the_tpm_is_known_by_the_file_in_the_environment(self):
        folder = self.lab.path('root/etc/ssh')
        known = self.lab.path('known')
        os.rename(os.path.join(folder, 'ssh_tpm_known_tpms'), known)
        command = (f'{self.lab.bin}/ssh-tpm', 'attest', 'serve', '--tcti', self.tpm.tcti, '--key-dir', folder)
        env = {'SSH_TPM_KNOWN_TPMS': known}
        said = self.lab.run(*command, stdin=question().decode(), env=env, status=0)
        self.assert_answered(said.stdout.encode())
        self.assertNotIn('ssh_tpm_known_tpms', os.listdir(folder))
        self.lab.write('known', read(known).replace(' ', ' 0', 1))
        self.assertEqual(self.lab.run(*command, stdin=question().decode(), env=env).returncode, 1)

    def test_a_signal_leaves_nothing_in_the_tpm(self):
        self.start()
        clients = [self.connect() for _ in range(5)]
        for client in clients:
            client.sendall(question())
        self.assert_answered(self.read(clients[0]))
        self.service.popen.send_signal(signal.SIGTERM)
        self.assertEqual(self.service.wait(), -signal.SIGTERM)
        self.tpm.assert_no_handles()

    def test_it_ends_when_nobody_comes(self):
        if self.lab.limit('attest_idle', 0.5, 300) > 1:
            self.skipTest('it would take five minutes')
        self.start()
        self.assert_answered(self.ask(question()))
        self.assertEqual(self.service.wait(), 0)

    def test_keys_that_prove_nothing_are_left_out(self):
        folder = self.lab.path('root/etc/ssh')
        key = os.path.join(folder, 'ssh_tpm_host_ecdsa_key')
        os.unlink(key + '.tpm')
        os.unlink(key + '.pub')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', self.lab.path('soft'))
        self.lab.keygen('-q', '--import', self.lab.path('soft'), '-N', '', '-f', key)
        said = self.lab.run(f'{self.lab.bin}/ssh-tpm', 'attest', 'serve', '--key-dir', folder,
                            stdin=question().decode(), status=0)
        self.assertEqual([entry['ssh'].split()[0] for entry in json.loads(said.stdout)['keys']], ['ssh-rsa'])


if __name__ == '__main__':
    unittest.main()
