#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm-add gives the agent .tpm files and their certificates, tries their PINs, and lists, tests, locks and empties
any agent in the words of ssh-add."""

import os
import re
import shutil
import unittest

import keyfile
import openssh
from add_recorder import (EXTENSION, EXTENSION_FAILURE, EXTENSION_RESPONSE, AddScenario, Recorder, SUCCESS,
                          extensions, identities)
from agent import Agent, Askpass, certify
from applet_options import SOURCE
from keys_once import KeysOnce
from lab import read, read_key, wait_until
from protocol import REMOVE_IDENTITY, REQUEST_IDENTITIES, string, take_string, u32
from softkey import SoftKey
from terminal import Terminal

PIN, WRONG = 'a good pin', 'another one'
KEPT, BAD, LOCKOUT, NOT_KEPT, NOT_TRIED = range(5)
TRY_PIN = 'tpm-try-pin@ssh-tpm'
REFUSED = bytes([5])
DATA = os.path.join(SOURCE, 'test', 'data')


def described(key, comment):
    """The key file that is sent: the comment is in the DER, where the Go program reads it."""
    description = keyfile.tlv(keyfile.UTF8, comment.encode())
    return keyfile.build(keyfile.with_field(keyfile.fields(key.tpm), keyfile.DESCRIPTION, description))


class WithKeys(AddScenario, KeysOnce):
    KEYS = {'x': {}, 'y': {}, 'certified': {}, 'bare': {'comment': ''}, 'rsa': {'kind': 'rsa', 'bits': 2048},
            'p384': {'bits': 384}, 'guarded': {'pin': PIN}}
    CERTIFIED = ('certified',)

    def default_keys(self, *names):
        """Keys of these names where the tool looks without being told; copies of others."""
        folder = self.lab.make_folder('home', '.ssh')
        for name, source in names:
            for ending in ('.tpm', '.pub'):
                shutil.copy(self.stocked(source).path + ending, os.path.join(folder, name + ending))
        return [read_key(os.path.join(folder, name)) for name, _ in names]


class Recorded(WithKeys):
    """What goes over the wire."""

    def setUp(self):
        super().setUp()
        self.recorder = Recorder(self.lab)
        self.socket = self.recorder.path

    def test_the_message_is_the_one_of_the_go_program(self):
        key = self.take('x')
        added = self.add(key.tpm, status=0)
        self.assertEqual((added.stdout, added.stderr), ('', f'Identity added: {key.tpm} (x)\n'))
        self.assertEqual(self.recorder.added(), [(described(key, 'x'), b'', b'')])

    def test_the_message_for_a_file_of_the_go_program_is_its_message_wherever_the_file_has_the_comment(self):
        theirs = dict(line.split() for line in read(f'{DATA}/protocol/messages.txt').splitlines())['tpm-add-key']
        vector = f'{DATA}/keyfile/go-ec-p256.tpm'
        ours = self.lab.write('keys/ours.tpm', 'Comment: test@example\n' + keyfile.build(
            [part for part in keyfile.fields(vector) if part[0] != keyfile.DESCRIPTION]))
        for path in (vector, ours):
            self.add('-c', path, status=0)
            self.assertEqual(self.recorder.requests[-1].hex(), theirs)

    def test_a_key_without_comment_is_sent_with_the_name_of_its_file(self):
        key = self.take('bare')
        self.add(key.tpm, status=0)
        self.assertEqual(self.recorder.added(), [(described(key, key.tpm), b'', b'')])

    def test_a_certificate_beside_the_key_is_a_second_message_and_either_can_be_had_alone(self):
        key = self.take('certified')
        certificate = read_key(key.path + '-cert')
        added = self.add(key.tpm, status=0)
        self.assertEqual(added.stderr.splitlines(), [f'Identity added: {key.tpm} (certified)',
                                                     f'Certificate added: {certificate.pub} (a person)'])
        text = described(key, 'certified')
        self.assertEqual(self.recorder.added(), [(text, b'', b''), (text, certificate.blob, b'')])
        self.assertNotIn('Certificate', self.add('-k', key.tpm, status=0).stderr)
        self.assertNotIn('Identity', self.add('-C', key.tpm, status=0).stderr)
        self.assertEqual([blob for _, blob, _ in self.recorder.added()[2:]], [b'', certificate.blob])
        self.assertEqual(self.add('-q', '-c', '-t', '60', key.tpm, status=0).stderr, '')
        self.assertEqual(len(self.recorder.added()), 6)
        os.unlink(certificate.pub)
        self.assert_refused(self.add('-C', key.tpm), 'no certificate')
        self.assertEqual(len(self.recorder.added()), 6)

    def test_an_expired_certificate_is_left_out_as_by_ssh_add_10(self):
        key = self.take('x')
        certificate = certify(self.lab, key, '-n', 'root', '-V', '20200101:20200102')[1]
        words = f'Certificate {certificate.pub} has already expired; ignored'
        self.assertEqual(self.add(key.tpm, status=0).stderr.splitlines(),
                         [words, f'Identity added: {key.tpm} (x)'])
        self.assert_refused(self.add('-C', key.tpm), words)
        self.assertEqual([blob for _, blob, _ in self.recorder.added()], [b''])
        self.assertIn('Certificate added', self.add('-N', key.tpm, status=0).stderr)
        self.assertEqual([blob for _, blob, _ in self.recorder.added()[1:]], [b'', certificate.blob])

    def test_lifetime_and_confirmation_in_the_bytes_and_words_of_ssh_add(self):
        key, soft = self.take('x'), self.soft_key('soft')
        confirm = 'The user must confirm each use of the key'
        for options, constraints, words in (
                (('-t', '1h30m'), b'\x01\x00\x00\x15\x18', ['Lifetime set to 01:30:00']), (('-c',), b'\x02', [confirm]),
                (('-c', '-t', '60'), b'\x01\x00\x00\x00\x3c\x02', ['Lifetime set to 00:01:00', confirm]),
                (('-t', '100h'), b'\x01\x00\x05\x7e\x40', ['Lifetime set to 4d04h00m']),
                (('-t', '20w'), b'\x01\x00\xb8\x92\x00', ['Lifetime set to 20w0d00h']), (('-t', '0'), b'', [])):
            with self.subTest(options=options):
                self.assertEqual(self.add(*options, key.tpm, status=0).stderr.splitlines()[1:], words)
                self.assertEqual(self.recorder.added()[-1][2], constraints)
            for tools in openssh.generations():
                with self.subTest(options=options, openssh=tools.name):
                    theirs = self.lab.run(tools.path('ssh-add'), *options, soft, env={'SSH_AUTH_SOCK': self.socket},
                                          status=0).stderr.splitlines()[1:]
                    # Releases before 10.1 print the number of seconds.
                    seconds = [f'Lifetime set to {int.from_bytes(constraints[1:5], "big")} seconds'] + words[1:]
                    self.assertIn(theirs, (words, seconds))
                    self.assertTrue(self.recorder.requests[-1].endswith(b'soft' + constraints))

    def test_a_name_without_its_ending_and_standard_input(self):
        key = self.take('x')
        self.assertIn(key.tpm, self.add(key.path, status=0).stderr)
        self.assertIn('(stdin)', self.add('-', stdin=read(key.tpm), status=0).stderr)
        other = shutil.copy(key.tpm, self.lab.path('other-name'))
        self.assertIn(other, self.add(other, status=0).stderr)
        self.assertEqual({text for text, _, _ in self.recorder.added()}, {described(key, 'x')})

    def test_without_a_file_the_default_ones(self):
        self.assert_refused(self.add(), 'id_ecdsa.tpm', 'id_rsa.tpm')
        rsa, _ = self.default_keys(('id_rsa', 'rsa'), ('another', 'y'))
        self.assertEqual(self.add(status=0).stderr, f'Identity added: {rsa.tpm} (rsa)\n')
        ecdsa, = self.default_keys(('id_ecdsa', 'x'))
        self.assertEqual([line.split()[2] for line in self.add(status=0).stderr.splitlines()], [ecdsa.tpm, rsa.tpm])

    def test_an_ordinary_key_is_refused_with_a_hint_unless_the_file_with_the_ending_is_beside_it(self):
        rsa = SoftKey.ready_made(self.lab, self.lab.path('rsa'))
        soft = self.soft_key('o', '-t', 'ecdsa')
        for path in (soft, rsa.copy(self.lab.path('p'), 'pem'), self.soft_key('e', '-t', 'ed25519')):
            self.assert_refused(self.add(path), path, 'ssh-add', f'--import {path}')
        self.assert_refused(self.add('-', stdin=read(soft)), '(stdin)', '--import FILE')
        spaced = self.soft_key("a b's", '-t', 'ecdsa')
        told = re.search(r'ssh-tpm-keygen (--import .*) seals it', self.add(spaced).stderr)[1]
        self.lab.run('sh', '-c', f"{self.lab.bin}/ssh-tpm-keygen -q -N '' {told}", status=0)
        self.assertEqual(self.recorder.requests, [])
        self.lab.keygen('-q', '--import', soft, '-N', '')
        self.assertIn(f'Identity added: {soft}.tpm', self.add(soft, status=0).stderr)

    def test_files_that_are_no_keys_are_named_and_do_not_stop_the_others(self):
        good, last = self.take('x'), self.take('y')
        broken = self.lab.write('broken.tpm', read(good.tpm).replace('M', 'N', 3))
        text = self.lab.write('text.tpm', 'hello')
        result = self.add(broken, good.tpm, text, self.lab.path('absent'), good.pub, last.tpm)
        self.assert_refused(result, broken, text, 'absent', good.pub)
        self.assertEqual([line.split()[2] for line in result.stderr.splitlines() if line.startswith('Identity')],
                         [good.tpm, last.tpm])
        self.assertEqual(len(self.recorder.added()), 2)

    def test_a_certificate_that_is_not_this_keys_or_broken_fails_but_not_the_key(self):
        key = self.take('x')
        certificate = shutil.copy(self.lab.path('stock/certified-cert.pub'), key.path + '-cert.pub')
        result = self.add(key.tpm)
        self.assert_refused(result, f'Certificate {certificate} does not match private key {key.tpm}')
        self.assertIn('Identity added', result.stderr)
        self.lab.write('keys/x-cert.pub', 'nonsense')
        self.assert_refused(self.add(key.tpm), 'x-cert.pub')
        self.assertEqual([blob for _, blob, _ in self.recorder.added()], [b'', b''])

    def test_an_agent_that_refuses(self):
        key, other = self.take('x'), self.take('y')
        self.recorder.answer = lambda request: SUCCESS if described(key, 'x').encode() in request else bytes([28])
        result = self.add(other.tpm, key.tpm)
        self.assert_refused(result, f'Could not add identity "{other.tpm}": agent refused operation', 'hint:')
        self.assertIn(f'Identity added: {key.tpm}', result.stderr)
        self.start_ssh_agent()  # which takes none
        self.assert_refused(self.add(key.tpm), 'refused', 'other than ssh-tpm-agent')
        self.assertEqual(self.ssh_add('-l').returncode, 1)


class Served(WithKeys):
    """With the real agent."""

    def start(self, *answers):
        self.askpass = Askpass(self.lab, *answers)
        self.agent = Agent(self.lab, '--no-load', env=self.askpass.env)
        self.socket = self.agent.socket

    def blobs(self):
        with self.agent.connect() as connection:
            return [blob for blob, _ in connection.list()]

    def test_keys_are_listed_and_sign(self):
        self.start()
        for name in ('x', 'p384', 'rsa'):
            key = self.take(name)
            self.add(key.tpm, status=0)
            self.assertIn(key.line, self.agent.listed())
            self.agent.sign_and_check(key)
            self.add('-T', key.pub, status=0)
            self.add('-T', key.tpm, status=0)
        self.assertEqual(self.add('-l', status=0).stdout, self.ssh_add('-l').stdout)
        bare = self.take('bare')
        self.assertIn(f'({bare.tpm})', self.add(bare.tpm, status=0).stderr)
        self.assertTrue(self.agent.listed()[-1].endswith(' ' + bare.tpm))
        self.agent.sign_and_check(bare)
        self.agent.stop()
        self.tpm.assert_no_handles()

    def test_a_certificate_alone_is_listed_alone_and_the_key_is_used_on_its_terms(self):
        self.start('yes', 'yes')
        key = self.take('certified')
        certificate = read_key(key.path + '-cert')
        self.add('-C', '-c', key.tpm, status=0)
        self.assertEqual(self.blobs(), [certificate.blob])
        for asked, public in enumerate((certificate.pub, key.pub), 1):
            self.add('-T', public, status=0)
            self.assertEqual(len(self.askpass.questions()), asked)
        self.assert_refused(self.add('-T', key.pub), 'a person did not allow the use of key')

    def test_a_certificate_alone_leaves_the_terms_of_the_key(self):
        self.start()  # askpass says no
        key = self.take('certified')
        certificate = read_key(key.path + '-cert')
        self.add('-k', '-c', key.tpm, status=0)
        self.add('-C', key.tpm, status=0)
        self.assertEqual(self.blobs(), [key.blob, certificate.blob])
        self.add('-T', certificate.pub, status=0)
        self.assertEqual(self.askpass.questions(), [])
        self.assert_refused(self.add('-T', key.pub), 'a person did not allow the use of key')
        self.add('-k', '-t', '1', key.tpm, status=0)  # nor is a lifetime taken off
        self.add('-C', key.tpm, status=0)
        wait_until(lambda: self.blobs() == [certificate.blob], 'the end of the key')

    # -d

    def test_key_and_certificate_go_whichever_file_is_named(self):
        self.start()
        key, other = self.take('certified'), self.take('x')
        certificate = key.path + '-cert.pub'
        self.add(other.tpm, status=0)
        for name in (key.tpm, key.pub, key.path):
            with self.subTest(name=name):
                self.add(key.tpm, status=0)
                self.assertEqual(len(self.blobs()), 3)
                shown = key.pub if name == key.pub else key.tpm
                self.assertEqual(self.add('-d', name, status=0).stderr.splitlines(),
                                 [f'Identity removed: {shown} ECDSA (certified)',
                                  f'Identity removed: {certificate} ECDSA-CERT (certified)'])
                self.assertEqual(self.blobs(), [other.blob])
        self.add(key.tpm, status=0)
        os.unlink(key.tpm)  # the public file is enough
        self.add('-dq', key.tpm, status=0)
        self.assertEqual(self.blobs(), [other.blob])

    def test_the_default_files_and_those_that_the_agent_does_not_have(self):
        self.start()
        ecdsa, rsa = self.default_keys(('id_ecdsa', 'x'), ('id_rsa', 'rsa'))
        self.add(status=0)
        self.assertEqual(self.agent.listed(), [ecdsa.line, rsa.line])
        self.add('-d', status=0)
        self.assertEqual(self.agent.listed(), [])
        self.add(rsa.tpm, status=0)
        result = self.add('-d', ecdsa.tpm, self.lab.path('absent'), rsa.tpm)
        self.assert_refused(result, f'Could not remove identity "{ecdsa.tpm}": agent refused operation', 'absent')
        self.assertIn(f'Identity removed: {rsa.tpm}', result.stderr)
        self.assertEqual(self.agent.listed(), [])

    def test_public_keys_from_standard_input(self):
        self.start()
        keys = [self.take(name) for name in ('x', 'y', 'rsa')]
        self.add(*(key.tpm for key in keys), status=0)
        text = f'# two of them\n\n{read(keys[0].pub)}nonsense\n  {read(keys[2].pub)}'
        result = self.add('-d', '-', stdin=text, status=0)
        self.assertIn('(stdin):4: invalid key', result.stderr)
        self.assertEqual(self.agent.listed(), [keys[1].line])
        self.assertEqual(self.add('-d', '-', stdin=text).returncode, 1)

    # --pin: the TPM tries it before the key counts as added.

    def add_with(self, *answers, key='guarded'):
        """ssh-tpm-add --pin with what a person answers; the completed process, and the questions."""
        askpass = Askpass(self.lab, *answers, name=f'askpass{len(os.listdir(self.lab.folder))}')
        self.key = self.take(key)
        return self.add('--pin', self.key.tpm, env=askpass.env), askpass.questions()

    def test_a_wrong_pin_is_asked_for_again_and_then_the_agent_never_asks(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '32', '-t', '600', '-l', '600')
        self.start()
        result, questions = self.add_with(WRONG, PIN)
        self.assertEqual((result.returncode, result.stderr), (0, f'Identity added: {self.key.tpm} (guarded)\n'))
        # ksshaskpass (src/prompt.cpp) and others find a stored answer by these words of ssh-add, and ask the person
        # for another one after the second ones.
        self.assertEqual(questions, [f'Enter passphrase for {self.key.tpm}: ',
                                     f'Bad passphrase, try again for {self.key.tpm}: '])
        self.agent.sign_and_check(self.key)  # nobody could be asked
        self.assertEqual(self.tpm.wrong_tries(), 1)
        result, questions = self.add_with(key='x')
        self.assertEqual((result.returncode, questions), (0, []), result.stderr)

    def test_the_last_try_is_announced_and_after_it_nobody_is_asked(self):
        self.start()
        wrong = [WRONG + str(number) for number in range(5)]
        result, questions = self.add_with(*wrong)
        self.assert_refused(result, 'Could not add identity', 'takes no PIN now', 'hint: the TPM is locked')
        self.assertIn('LAST TRY: ', questions[-1])
        self.assertEqual(sum('LAST' in question for question in questions), 1)
        self.assertEqual(self.agent.listed(), [])
        self.assert_refused(self.add_with(PIN)[0], 'takes no PIN now', 'hint: the TPM is locked')
        self.assertEqual(self.agent.listed(), [])

    def test_giving_up_leaves_the_agent_as_it_was(self):
        self.start()
        for answers in ((), ('',), ('x' * 33,), (WRONG,)):
            with self.subTest(answers=answers):
                self.assert_refused(self.add_with(*answers)[0], 'Could not add identity')
                self.assertEqual(self.agent.listed(), [])
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.add(self.key.tpm, status=0)
        self.assert_refused(self.add_with(WRONG)[0], 'no PIN')
        self.assertEqual(self.agent.listed(), [self.key.line])

    def test_an_empty_answer_a_cancelled_question_and_nobody_to_ask_are_three_messages_everywhere(self):
        key = self.key = self.take('guarded')
        nobody = {'SSH_ASKPASS': None, 'SSH_ASKPASS_REQUIRE': None, 'DISPLAY': None, 'WAYLAND_DISPLAY': None}
        for number, (env, stdin, words) in enumerate((
                (Askpass(self.lab, *[''] * 4, name='empty').env, None, 'the answer was empty'),
                (Askpass(self.lab, name='cancel').env, None, 'the question was cancelled'),
                ({'SSH_ASKPASS': '/nonexistent', 'SSH_ASKPASS_REQUIRE': 'force'}, None,
                 'the question could not be asked'),
                (nobody, None, 'nobody could be asked'), (nobody, '\n', 'the answer was empty'))):
            with self.subTest(words, stdin=stdin):
                agent = Agent(self.lab, '--no-load', env=env, name=f'agent{number}')
                self.socket = agent.socket
                result = self.add('--pin', key.tpm, env=env, stdin=stdin)
                self.assert_error(result, f'no PIN was given: {words}\n', tool='ssh-tpm-add')
                result = self.lab.keygen('-p', '-f', key.tpm, '-N', '', env=env, stdin=stdin, status=1)
                self.assert_error(result, f'no passphrase was given: {words}\n')
                result = self.lab.keygen('-o', '-f', self.lab.path('new'), '-N', '', env=env, stdin=stdin, status=1)
                self.assert_error(result, f'no owner password was given: {words}\n')
                if stdin is None:  # the agent reads no standard input
                    self.add(key.tpm, status=0)
                    self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                    self.assertIn('sign: refused: no PIN was given for ', agent.process.wait_line(f': {words}'))
                    self.assertEqual(agent.log().count('refused'), 1, agent.log())
                agent.stop()
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_the_certificate_comes_along_and_the_pin_stays_known(self):
        self.start()
        certify(self.lab, self.stocked('guarded'))
        self.assertIn('Certificate added', self.add_with(PIN)[0].stderr)
        self.assertEqual(len(self.agent.listed()), 2)
        self.agent.sign_and_check(self.key)

    def terminal(self):
        self.start()
        self.key = self.take('guarded')
        return Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-add', '--pin', self.key.path, env=self.environment())

    def test_on_a_terminal_nothing_is_echoed(self):
        with self.terminal() as terminal:
            self.assertFalse(terminal.answer('Enter passphrase for ', WRONG))
            self.assertFalse(terminal.answer('Bad passphrase, try again for ', PIN))
            self.assertEqual(terminal.finish(), 0)
            self.assertIn('Identity added', terminal.transcript)
            for secret in (PIN, WRONG):
                self.assertNotIn(secret, terminal.transcript)
        self.agent.sign_and_check(self.key)

    def test_tries_that_others_spend_while_a_person_types_are_seen_before_the_last_one(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '2', '-t', '600', '-l', '600')
        with self.terminal() as terminal:
            terminal.read_until('Enter passphrase for ')
            self.lab.keygen('-p', '-f', self.key.tpm, '-P', WRONG, '-N', '', status=1)
            terminal.type(WRONG + '\n')
            terminal.answer('LAST TRY: ', PIN)
            self.assertEqual(terminal.finish(), 0, terminal.transcript)
            self.assertNotIn('Bad passphrase', terminal.transcript)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.agent.sign_and_check(self.key)

    def test_ctrl_c_at_the_question_leaves_the_agent_as_it_was(self):
        with self.terminal() as terminal:
            terminal.answer('Enter passphrase for ', WRONG)
            terminal.read_until('try again for ')
            terminal.interrupt()
            self.assertNotEqual(terminal.finish(), 0)
        self.assertEqual(self.agent.listed(), [])


class TriedPins(WithKeys):
    """With agents that say what is hard to bring about."""

    def setUp(self):
        super().setUp()
        self.key = self.take('guarded')
        self.listed, self.known, self.tried = [], [TRY_PIN], []
        self.result = (KEPT, 5, b'')
        self.recorder = Recorder(self.lab, self.serve)
        self.socket = self.recorder.path

    def serve(self, request):
        if request[0] == REQUEST_IDENTITIES:
            return identities(*self.listed)
        if request[0] != EXTENSION:
            return SUCCESS
        name, body = take_string(request[1:])
        if name == b'query':
            return extensions(*self.known) if self.known is not None else REFUSED
        if name.decode() != TRY_PIN:
            return SUCCESS
        blob, body = take_string(body)
        pin, rest = take_string(body)
        self.assertEqual((blob, rest), (self.key.blob, b''))
        if self.result is None:
            return bytes([EXTENSION_FAILURE])
        outcome, left, text = self.result
        if pin:
            self.tried.append(pin.decode())
        elif outcome != LOCKOUT:
            outcome, left = NOT_TRIED, left or 1  # only the tries that are left are asked for
        return bytes([EXTENSION_RESPONSE]) + string(TRY_PIN.encode()) + bytes([outcome]) + u32(left) + string(text)

    def add_pin(self, *answers):
        self.askpass = Askpass(self.lab, *answers)
        return self.add('--pin', self.key.tpm, env=self.askpass.env)

    def removed(self):
        return [request for request in self.recorder.requests if request[0] == REMOVE_IDENTITY]

    def test_three_wrong_pins_are_enough(self):
        self.result = (BAD, 0xFFFFFFFF, b'\x1b[1mno')
        result = self.add_pin(*'12345')
        self.assert_refused(result, 'the PIN is wrong')
        self.assertEqual(self.tried, ['1', '2', '3'])
        self.assertEqual(self.askpass.questions()[2], f'Bad passphrase, try again for {self.key.tpm}: ')
        self.assertEqual(self.removed()[-1], bytes([REMOVE_IDENTITY]) + string(self.key.blob))
        self.assertEqual(len(self.removed()), 4, 'while a person thinks, the key is not there')
        self.assertNotIn('\x1b', result.stderr)

    def test_an_answer_that_was_just_refused_is_not_sent_again(self):
        self.result = (BAD, 7, b'7 left')
        result = self.add_pin(*'1112')
        self.assert_refused(result, 'the PIN is wrong', 'hint: 7 left')
        self.assertEqual(result.stderr.count('the PIN is wrong'), 1)
        self.assertEqual((self.tried, len(self.askpass.questions())), (['1'], 3))

    def test_with_few_tries_left_the_question_tells_them_in_a_second_line(self):
        for left, line in ((4, ''), (3, '\n3 tries left. Enter PIN'), (2, '\n2 tries left. Enter PIN'),
                           (1, '\nLAST TRY: a wrong PIN locks the TPM. Enter PIN')):
            self.result, self.tried = (BAD, left, b''), []
            self.askpass = Askpass(self.lab, *'12', name=f'askpass{left}')
            self.add('--pin', self.key.tpm, env=self.askpass.env)
            self.assertEqual(self.askpass.questions()[1], f'Bad passphrase, try again for {self.key.tpm}{line}: ')

    def test_a_pin_that_is_not_kept_is_said(self):
        self.result = (NOT_KEPT, 5, b'no cache here')
        result = self.add_pin(PIN)
        self.assertEqual(result.returncode, 0)
        self.assertIn('no cache here', result.stderr)
        self.assertIn('Identity added', result.stderr)
        self.assertEqual(len(self.removed()), 1, 'while a person thinks, the key is not there')

    def test_what_ends_the_questions(self):
        """The outcome that the agent tells, the words of the error, how many questions, and the PINs it has seen."""
        for number, (result, words, asked, tried) in enumerate((
                ((NOT_TRIED, 1, b'later'), ('did not try the PIN', 'later'), 3, ['1', '2', '3']),
                ((LOCKOUT, 0, b'in ten minutes'), ('takes no PIN now', 'hint: in ten minutes'), 0, []),
                ((BAD, 0, b''), ('takes no PIN now',), 1, ['1']),  # no try is spent when none is left
                (None, ('agent refused operation',), 0, []))):
            with self.subTest(result=result):
                self.result, self.tried = result, []
                self.recorder.requests.clear()
                self.askpass = Askpass(self.lab, '1', '2', '3', '4', name=f'askpass{number}')
                answer = self.add('--pin', self.key.tpm, env=self.askpass.env)
                self.assert_refused(answer, *words)
                self.assertEqual((len(self.askpass.questions()), self.tried), (asked, tried))
                self.assertNotIn('Wrong', ''.join(self.askpass.questions()))
                if not asked:
                    self.assertEqual(len(self.removed()), 1)

    def test_a_key_that_was_there_is_not_removed(self):
        self.listed = [(self.key.blob, b'')]
        self.result = (BAD, 9, b'')
        self.assert_refused(self.add_pin('1', '2', '3'), 'wrong')
        self.assertEqual(self.removed(), [])

    def test_an_agent_that_tries_no_pins_does_not_see_one(self):
        for self.known in (None, [], ['query']):
            self.assert_refused(self.add_pin(PIN), 'tries no PINs')
            self.assertEqual((self.askpass.questions(), self.recorder.added(), self.tried), ([], [], []))


if __name__ == '__main__':
    unittest.main()
