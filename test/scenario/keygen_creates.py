#!/usr/bin/env python3
"""ssh-tpm-keygen creates keys of the types that --supported lists: the files, their modes and content, what it
refuses, and the dialogue on a terminal, which is that of ssh-keygen, line by line."""

import os
import pwd
import re
import shutil
import signal
import socket
import unittest

import keyfile
from lab import AS_NOBODY, KINDS, NO_LEAK_CHECK, NOBODY, Scenario, contents, mode, needs_root, read, read_key
from stock import Stocked
from swtpm import Probe, Swtpm
from terminal import Terminal, talk

CURVES = {256: 'ecdsa-sha2-nistp256', 384: 'ecdsa-sha2-nistp384', 521: 'ecdsa-sha2-nistp521'}
SIZES = {'ecdsa': (256, 384, 521), 'rsa': (2048, 3072, 4096)}
PROVIDERS = ('-provider', 'tpm2', '-provider', 'default')
FILE = 'Enter file in which to save the key ('
FIRST, SECOND = 'Enter passphrase (empty for no passphrase): ', 'Enter same passphrase again: '
OVERWRITE = 'Overwrite (y/n)? '


def comparable(transcript):
    """A transcript without what differs from key to key: the fingerprint, and the inside of the randomart."""
    transcript = re.sub(r'SHA256:[A-Za-z0-9+/]{43}', 'SHA256:…', transcript)
    return re.sub(r'(?m)^\|.{17}\|$', '|…|', transcript).split('\n')


class Made(Stocked):
    """A key of each kind was made once."""

    @classmethod
    def fill(cls, lab):
        for kind, bits in KINDS:
            lab.make_key(f'{kind}{bits}', kind, bits, comment='two words')

    def made(self, kind, bits):
        return read_key(self.lab.path('keys', f'{kind}{bits}'))

    def test_every_type_and_size_gets_a_private_and_a_public_file(self):
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                key = self.made(kind, bits)
                self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))
                self.assertEqual(key.algorithm, CURVES[bits] if kind == 'ecdsa' else 'ssh-rsa')
                self.assertEqual(key.comment, 'two words')
                line = self.lab.ssh_keygen('-lv', '-f', key.pub)
                self.assertRegex(line, rf'^{bits} SHA256:\S+ two words \({kind.upper()}\)\n')
                self.assertEqual(self.lab.keygen('-lv', '-f', key.tpm).stdout, line)
                self.assertEqual(self.lab.keygen('-y', '-f', key.tpm).stdout, read(key.pub))
                keyfile.read_der(key.tpm)
        self.assertEqual(len(os.listdir(self.lab.keys)), 2 * len(KINDS))

    def test_tpm2_openssl_reads_the_files_and_signs(self):
        more = {'status': 0, 'env': {'TPM2OPENSSL_TCTI': self.tpm.tcti, 'TSS2_LOG': 'all+none'}}
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                key = self.made(kind, bits)
                found = self.lab.run('openssl', 'pkey', *PROVIDERS, '-in', key.tpm, '-pubout', **more).stdout
                self.assertEqual(found, self.lab.public_pem(key))
                data, signature = self.lab.write('data', 'a message'), self.lab.path('signature')
                self.lab.run('openssl', 'pkeyutl', *PROVIDERS, '-sign', '-inkey', key.tpm, '-rawin', '-digest',
                             'sha256', '-in', data, '-out', signature, **more)
                self.lab.run('openssl', 'dgst', '-sha256', '-verify', self.lab.write('public.pem', found),
                             '-signature', signature, data, **more)

    def test_what_is_listed_as_supported_can_be_made_and_what_is_not_cannot(self):
        result = self.lab.keygen('--supported')
        self.assertEqual(result.stderr, '')
        # Lines such as "ecdsa bit lengths: 256 384 521".
        self.assertRegex(result.stdout, r'\Aecdsa [^:]*:( \d+)+\nrsa [^:]*:( \d+)+\n\Z')
        for line in result.stdout.splitlines():
            kind = line.split()[0]
            listed = set(map(int, line.partition(':')[2].split()))
            self.assertLessEqual({bits for each, bits in KINDS if each == kind}, listed)
            self.assertLessEqual(listed, set(SIZES[kind]))
            for bits in set(SIZES[kind]) - {bits for each, bits in KINDS if each == kind}:
                before = os.listdir(self.lab.keys)
                made = self.lab.keygen('-q', '-t', kind, '-b', str(bits), '-N', '', '-f', self.lab.path('keys/x'),
                                       status=None)
                self.assertEqual(made.returncode == 0, bits in listed, made.stderr)
                if bits not in listed:
                    self.assert_error(made, str(bits), *map(str, listed))
                    self.assertEqual(os.listdir(self.lab.keys), before)
        self.tpm.assert_no_handles()


class KeygenCreates(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def refuse(self, *options, status, words=()):
        """Demands a refusal that leaves no file behind."""
        result = self.lab.keygen('-f', self.lab.path('keys/no'), '-N', '', *options, status=None)
        self.assert_error(result, *words, status=status)
        self.assertEqual(os.listdir(self.lab.keys), [])
        return result

    def test_the_modes_do_not_depend_on_the_umask(self):
        for umask in (0o000, 0o077):
            key = self.lab.make_key(f'umask{umask}', umask=umask)
            self.assertEqual((mode(key.tpm), mode(key.pub)), (0o600, 0o644))

    def test_an_ecdsa_key_of_256_bits_and_a_comment_that_names_the_user_are_the_usual(self):
        result = self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'))
        self.assertEqual((result.stdout, result.stderr), ('', ''))
        key = read_key(self.lab.path('keys/x'))
        self.assertEqual(key.algorithm, 'ecdsa-sha2-nistp256')
        self.assertEqual(key.comment, f'{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()}')

    def test_options_work_with_two_dashes_and_with_one(self):
        for number, option in enumerate(('--tcti', '-tcti')):
            self.lab.keygen('-q', '-N', '', '-f', self.lab.path(f'keys/{number}'), option, self.tpm.tcti,
                            env={'SSH_TPM_TCTI': 'device:/nonexistent'})

    def test_the_suffix_of_the_private_file_is_dropped_from_the_path(self):
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x.tpm'))
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['x.pub', 'x.tpm'])

    def test_an_option_of_ssh_keygen_does_what_it_does_there(self):
        path = self.lab.path('keys/x')
        told = self.lab.keygen('-P', '1234', '-E', 'md5', '-f', path).stdout
        self.assertIn(self.lab.ssh_keygen('-l', '-E', 'md5', '-f', path + '.pub').split()[1], told)
        self.assertIn('[MD5]', told)
        self.lab.keygen('-p', '-f', path, '-P', '1234', '-N', '')  # it was the PIN
        self.lab.keygen('-q', '-t', 'ecdsa', '-N', '')
        printed = self.lab.keygen('-y', '-t', 'ecdsa', '-P', '').stdout
        self.assertEqual(printed, read(os.path.join(self.lab.home, '.ssh/id_ecdsa.pub')))

    def test_a_key_without_a_pin_says_so_in_its_file_and_one_with_a_pin_does_not(self):
        for pin, empty in (('', True), ('1234', False)):
            fields = dict(keyfile.fields(self.lab.make_key('pin' + pin, pin=pin).tpm))
            marked = keyfile.EMPTY_AUTH in fields and fields[keyfile.EMPTY_AUTH][-1] != 0
            self.assertEqual(marked, empty)

    def test_a_newline_on_standard_input_takes_the_default_file(self):
        self.lab.keygen('-t', 'rsa', '-N', '', stdin='\n')  # 2048 bits, since no size is named
        folder = os.path.join(self.lab.home, '.ssh')
        self.assertEqual(self.lab.ssh_keygen('-l', '-f', folder + '/id_rsa.pub').split()[0], '2048')
        printed = self.lab.keygen('-y', '-t', 'rsa', '-P', '').stdout
        self.assertEqual(printed, read(folder + '/id_rsa.pub'))
        self.assertEqual(sorted(os.listdir(folder)), ['id_rsa.pub', 'id_rsa.tpm'])
        self.assertEqual(mode(folder), 0o700)

    def test_the_key_signs_in_the_tpm_before_its_file_is_written(self):
        probe = Probe(self.tpm)
        self.lab.make_key('x', env={'SSH_TPM_TCTI': probe.tcti})
        commands = probe.take()
        self.assertIn('TPM2_Create', commands)
        self.assertIn('TPM2_Sign', commands[commands.index('TPM2_Create'):])

    def test_unknown_types_and_sizes_are_usage_errors(self):
        for kind, bits in (('dsa', '256'), ('ed25519', '256'), ('', '256'), ('ecdsa', '255'), ('ecdsa', '0'),
                           ('ecdsa', '-256'), ('ecdsa', '256x'), ('ecdsa', ''), ('ecdsa', '9' * 20),
                           ('ecdsa', '2048'), ('rsa', '1024'), ('rsa', '256')):
            with self.subTest(kind=kind, bits=bits):
                self.refuse('-t', kind, '-b', bits, status=2)
        self.refuse('-t', 'dsa', status=2, words=('dsa', 'ecdsa', 'rsa'))

    def test_unknown_options_stray_words_and_missing_values_are_usage_errors(self):
        for options in (('--no-such-option',), ('-Z',), ('stray',), ('-t',)):
            with self.subTest(options=options):
                result = self.lab.keygen(*options, status=2)
                self.assertEqual(result.stdout, '')
                self.assertNotEqual(result.stderr, '')

    def test_an_existing_file_is_refused_without_a_terminal_and_nothing_changes(self):
        self.lab.make_key('x')
        before = contents(self.lab.keys)
        for stdin in (None, '', 'n\n', 'y\n'):
            result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), stdin=stdin, status=1)
            self.assertIn('already exists', result.stdout + result.stderr)
            self.assertEqual(contents(self.lab.keys), before)

    def test_a_lone_public_file_of_that_name_is_not_overwritten_either(self):
        self.lab.write('keys/x.pub', 'the public half of something else\n')
        before = contents(self.lab.keys)
        self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), status=1)
        self.assertEqual(contents(self.lab.keys), before)

    def test_a_folder_that_does_not_exist_is_an_error(self):
        result = self.lab.keygen('-N', '', '-f', self.lab.path('nowhere/x'), status=None)
        self.assert_error(result, 'nowhere')
        self.assertFalse(os.path.exists(self.lab.path('nowhere')))

    def test_to_list_what_is_supported_the_tpm_is_asked_and_makes_nothing(self):
        probe = Probe(self.tpm)
        self.lab.keygen('--supported', env={'SSH_TPM_TCTI': probe.tcti})
        commands = {line.split()[0] for line in probe.lines()}
        self.assertTrue(commands & {'TPM2_TestParms', 'TPM2_GetCapability'}, commands)
        self.assertFalse(commands & {'TPM2_Create', 'TPM2_CreatePrimary'}, commands)
        result = self.lab.keygen('--supported', status=None, env=self.lab.no_tpm)
        self.assert_error(result, 'hint: ', '--swtpm')
        self.assertEqual(result.stdout, '')

    def test_a_missing_tpm_is_an_error_with_a_hint_at_the_emulator(self):
        missing = [self.lab.path('no-such-device')]
        if not os.path.exists('/dev/tpmrm0'):
            missing.append(None)  # the default
        for path in missing:
            with self.subTest(path=path):
                conf = path and f'device:{path}'
                result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), env={'SSH_TPM_TCTI': conf},
                                         status=None)
                self.assert_error(result, 'hint: ', '--swtpm', path or '/dev/tpmrm0')
        self.assertEqual(os.listdir(self.lab.keys), [])

    @needs_root
    def test_a_tpm_out_of_reach_is_an_error_with_a_hint_at_the_group(self):
        device, program = self.lab.write('tpmrm0', '', mode=0o600), self.lab.program_for_others()
        folder = self.lab.make_folder('theirs')
        os.chown(folder, NOBODY, NOBODY)
        result = self.lab.run(f'{program}/ssh-tpm-keygen', '-N', '', '-f', folder + '/x',
                              env={'HOME': folder, 'SSH_TPM_TCTI': f'device:{device}', **NO_LEAK_CHECK},
                              **AS_NOBODY)
        self.assert_error(result, 'hint: ', 'tss', device)
        self.assertNotIn('no such', result.stderr.lower())

    def test_the_library_underneath_does_not_talk(self):
        result = self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), status=1,
                                 env={'SSH_TPM_TCTI': 'swtpm:path=/nonexistent', 'TSS2_LOG': 'all+debug'})
        for line in result.stderr.splitlines():
            self.assertTrue(re.match(r'ssh-tpm-keygen: |hint: ', line), line)

    def test_the_program_works_from_a_link_anywhere(self):
        link = self.lab.path('ssh-tpm-keygen')
        os.symlink(shutil.which('ssh-tpm', path=self.lab.bin), link)
        self.lab.run(link, '-q', '-N', '', '-f', self.lab.path('keys/x'), status=0)
        read_key(self.lab.path('keys/x'))


class KeygenDialogue(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'

    def default_file(self, kind='ecdsa'):
        return os.path.join(self.lab.home, '.ssh', 'id_' + kind)

    def talk(self, *argv, answers):
        return talk(self.lab, *argv, answers=answers)

    def compare(self, options, passphrases):
        """Plays the same dialogue with both programs and compares what they show."""
        ours, theirs = self.lab.path('keys/ours'), self.lab.path('keys/theirs')
        status, transcript = self.talk(self.ours, *options, answers=[(FILE, ours), *passphrases])
        expected_status, expected = self.talk('ssh-keygen', '-a', '1', *options, answers=[(FILE, theirs), *passphrases])
        self.assertEqual((status, expected_status), (0, 0), transcript + expected)
        expected = re.sub(r'\(/[^)]*/\.ssh/id_', f'({self.lab.home}/.ssh/id_', expected)
        transcript = transcript.replace(ours + '.tpm', ours).replace(ours, theirs)
        self.assertEqual(comparable(transcript), comparable(expected))

    def test_the_dialogue_with_a_passphrase_mistyped_once_is_the_one_of_ssh_keygen(self):
        self.compare(['-t', 'ecdsa', '-C', 'c'], [(FIRST, 'one two'), (SECOND, 'one'), (FIRST, 'one two'),
                                                  (SECOND, 'one two')])

    def test_the_dialogue_for_an_rsa_key_is_the_one_of_ssh_keygen(self):
        self.compare(['-t', 'rsa', '-b', '2048', '-C', 'a comment'], [(FIRST, ''), (SECOND, '')])

    def test_options_that_answer_a_question_leave_it_out(self):
        for name, options in (('a', ['-N', '']), ('b', ['-N', 'secret'])):
            ours, theirs = self.lab.path('keys', name), self.lab.path('keys', name + '.theirs')
            options = ['-t', 'ecdsa', '-C', 'c', *options]
            status, shown = self.talk(self.ours, *options, '-f', ours, answers=[])
            expected = self.talk('ssh-keygen', '-a', '1', *options, '-f', theirs, answers=[])[1]
            self.assertEqual(status, 0)
            shown = shown.replace(ours + '.tpm', ours).replace(ours, theirs)
            self.assertEqual(comparable(shown), comparable(expected))

    def test_the_whole_dialogue_for_the_default_file(self):
        path = self.default_file()
        answers = [(path + '): ', ''), (FIRST, ''), (SECOND, '')]
        status, shown = self.talk(self.ours, '-C', 'me', answers=answers)
        self.assertEqual(status, 0, shown)
        line, *art = self.lab.ssh_keygen('-lv', '-f', path + '.pub').split('\n')
        self.assertEqual(shown.split('\n'), [
            'Generating public/private ecdsa key pair.',
            f'{FILE}{path}): ',
            f"Created directory '{os.path.dirname(path)}'.",
            FIRST, SECOND,
            f'Your identification has been saved in {path}.tpm',
            f'Your public key has been saved in {path}.pub',
            'The key fingerprint is:',
            f'{line.split()[1]} me',
            "The key's randomart image is:",
            *art])
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)

    def test_passphrases_are_not_shown_and_echo_comes_back(self):
        with Terminal(self.lab, self.ours, '-f', self.lab.path('keys/x')) as terminal:
            self.assertTrue(terminal.echoes())
            self.assertFalse(terminal.answer(FIRST, 'unseen'))
            self.assertFalse(terminal.answer(SECOND, 'unseen'))
            self.assertEqual(terminal.finish(), 0)
            self.assertTrue(terminal.echoes())
            self.assertNotIn('unseen', terminal.transcript)

    def test_no_to_overwriting_leaves_all_unchanged(self):
        key = self.lab.make_key('x')
        before = [read(path) for path in (key.tpm, key.pub)]
        for answer in ('n', '', 'no', 'x'):
            with self.subTest(answer=answer):
                status, shown = self.talk(self.ours, '-N', '', '-f', key.path, answers=[(OVERWRITE, answer)])
                self.assertEqual(status, 1)
                self.assertIn(f'{key.tpm} already exists.\n{OVERWRITE}', shown)
                self.assertEqual([read(path) for path in (key.tpm, key.pub)], before)

    def test_end_of_file_instead_of_a_yes_leaves_all_unchanged(self):
        key = self.lab.make_key('x')
        with Terminal(self.lab, self.ours, '-N', '', '-f', key.path) as terminal:
            terminal.read_until(OVERWRITE)
            terminal.type('\x04')
            self.assertEqual(terminal.finish(), 1)
        self.assertEqual(read_key(key.path), key)

    def test_yes_to_overwriting_makes_a_new_key(self):
        key = self.lab.make_key('x')
        for answer in ('y', 'yes', 'Y'):
            options = ('-N', '', '-C', 'new', '-f', key.path)
            status, _ = self.talk(self.ours, *options, answers=[(OVERWRITE, answer)])
            made = read_key(key.path)
            self.assertEqual((status, made.comment), (0, 'new'))
            self.assertNotEqual(made.blob, key.blob)
            key = made

    def test_the_question_of_ssh_keygen_about_an_existing_file_is_ours(self):
        ours, theirs = self.lab.make_key('x'), self.lab.path('keys/theirs')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', theirs)
        shown = self.talk(self.ours, '-N', '', '-f', ours.path, answers=[(OVERWRITE, 'n')])
        expected = self.talk('ssh-keygen', '-t', 'ecdsa', '-N', '', '-f', theirs, answers=[(OVERWRITE, 'n')])
        self.assertEqual((shown[0], shown[1].replace(ours.tpm, theirs)), expected)

    def test_control_c_at_the_passphrase_brings_echo_back_and_makes_no_key(self):
        for prompts in ((FIRST,), (FIRST, SECOND)):
            with Terminal(self.lab, self.ours, '-f', self.lab.path('keys/x')) as terminal:
                for prompt in prompts[:-1]:
                    terminal.answer(prompt, 'secret')
                terminal.read_until(prompts[-1])
                self.assertFalse(terminal.echoes())
                terminal.interrupt()
                self.assertIn(terminal.finish(), (1, 128 + signal.SIGINT, -signal.SIGINT))
                self.assertTrue(terminal.echoes())
            self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()

    def test_a_pin_that_is_too_long_is_refused_and_makes_no_key(self):
        with Terminal(self.lab, self.ours, '-f', self.lab.path('keys/x')) as terminal:
            terminal.answer(FIRST, 'x' * 33)
            if SECOND in terminal.read_until(SECOND, '32 bytes'):  # it may refuse after either of them
                terminal.type('x' * 33 + '\n')
                terminal.read_until('32 bytes')
            self.assertFalse(os.listdir(self.lab.keys))


if __name__ == '__main__':
    unittest.main()
