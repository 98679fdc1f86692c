#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ssh-tpm attest sign and seal: what is certified for whom, that nobody but the TPM of the request gets it, and logins
with the certificates."""

import json
import os
import shutil
import signal
import tempfile
import unittest

import sealing
from agent import Agent, Askpass, children_of, companion
from attestation import SoftTpm, Subject
from attesting import Attesting
from hierarchy import read_public
from lab import mode, read, wait_until
from protocol import string
from sshd import USER, Sshd, make_host_key
from terminal import Terminal, status
from verifying import Verifying

FOREVER = '-V', 'always:forever'
PASSPHRASE, EXTENSION = 'of the authority', 'attestation-key@ssh-tpm'
# Runs the real one, notes the folder of the keys, and then waits for somebody to write into `go`.
WAITING = '''#!/bin/sh
for last; do :; done
dirname "$last" >{folder}/seen.part
{real} "$@" || exit
mv {folder}/seen.part {folder}/seen
read line <{folder}/go
'''


def has_memory():
    """Whether /dev/shm is a file system in memory that we may write."""
    return os.access('/dev/shm', os.W_OK) and ' /dev/shm tmpfs ' in read('/proc/mounts')


@unittest.skipUnless(has_memory(), 'no /dev/shm in memory')
class Signing(Verifying):
    """A request of a TPM in software, and an authority whose private folder is in XDG_RUNTIME_DIR."""

    def setUp(self):
        super().setUp()
        self.ca = make_host_key(self.lab, 'ca')
        self.receipts = self.lab.path('receipts')
        self.memory = tempfile.mkdtemp(prefix='st-', dir='/dev/shm')
        self.addCleanup(shutil.rmtree, self.memory, ignore_errors=True)
        self.lab.env['XDG_RUNTIME_DIR'] = self.memory

    def command(self, command, *options, request=None, trust=None):
        """`options` come last: for seal they are the certificates."""
        if command == 'sign' and '-V' not in options:
            options = *FOREVER, *options
        self.text = (request or self.request()).text()
        path = self.lab.write('request.json', self.text)
        trust = ('--ek-roots', self.roots) if trust is None else trust
        return (f'{self.lab.bin}/ssh-tpm', 'attest', command, *trust,
                *((*options, path) if command == 'sign' else (path, *options)))

    def sign(self, *options, request=None, trust=None, ca=None, **more):
        return self.lab.run(*self.command('sign', '-s', ca or self.ca, *options, request=request, trust=trust), **more)

    def seal(self, *options, request=None, trust=None, **more):
        return self.lab.run(*self.command('seal', *options, request=request, trust=trust), **more)

    def opened(self, result, soft=None):
        """The certificates' lines and the receipt, which the TPM of the request gets."""
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(os.listdir(self.memory), [])
        soft = soft or self.tpm
        return sealing.open_sealed(result.stdout.encode(), self.text, soft.ek, soft.ak, soft.ek_key)

    def shown(self, line):
        """What ssh-keygen -L says of a certificate."""
        return self.lab.ssh_keygen('-L', '-f', self.lab.write('shown-cert.pub', line + '\n'))

    def certified(self, *options, **more):
        """The same of the only one that sign makes."""
        line, = self.opened(self.sign(*options, **more))[0]
        return self.shown(line)

    def assert_nothing(self, result, *words, status=1):
        """Nothing is signed, and nothing left."""
        self.assert_error(result, *words, status=status, tool='ssh-tpm.*')
        self.assertEqual((result.stdout, os.listdir(self.memory), os.path.exists(self.receipts)), ('', [], False))

    def field(self, shown, name):
        lines = shown.splitlines()
        at = next(number for number, line in enumerate(lines) if line.strip().startswith(name + ':'))
        first = lines[at].split(':', 1)[1].strip()
        indent = len(lines[at]) - len(lines[at].lstrip())
        rest = []
        for line in lines[at + 1:]:
            if len(line) - len(line.lstrip()) <= indent:
                break
            rest.append(line.strip())
        return ([first] if first else []) + rest


class Sign(Signing):
    def test_a_user_certificate(self):
        shown = self.certified('-n', 'alice,bob')
        self.assertEqual([self.field(shown, name) for name in ('Key ID', 'Serial', 'Valid', 'Principals')],
                         [['"alice,bob"'], ['0'], ['forever'], ['alice', 'bob']])
        self.assertIn('user certificate', shown)
        self.assertIn(self.lab.ssh_keygen('-l', '-f', self.lab.write('key.pub', self.subject.line)).split()[1], shown)
        self.assertEqual(self.field(shown, 'Critical Options'), ['(none)'])
        self.assert_extension(shown)

    def assert_extension(self, shown, soft=None):
        """The Name of the attestation key; as ssh-keygen shows what it does not know: the value in hexadecimal."""
        value = string((soft or self.tpm).ak.name().hex().encode())
        line, = (line for line in self.field(shown, 'Extensions') if EXTENSION in line)
        self.assertIn(value.hex(), line.lower())

    def test_a_host_certificate(self):
        shown = self.certified('-h', '-n', 'web1.example.org')
        self.assertIn('host certificate', shown)
        self.assertEqual(self.field(shown, 'Principals'), ['web1.example.org'])
        self.assert_extension(shown)

    def test_options_are_those_of_ssh_keygen(self):
        shown = self.certified('-n', 'alice', '-I', 'an identity', '-z', '4711', '-V', '20260101:20270202',
                               '-O', 'clear', '-O', 'permit-pty', '-O', 'force-command=/bin/true',
                               '-O', 'source-address=10.0.0.0/8')
        self.assertEqual([self.field(shown, name) for name in ('Key ID', 'Serial', 'Principals')],
                         [['"an identity"'], ['4711'], ['alice']])
        self.assertIn('from 2026-01-01T00:00:00 to 2027-02-02T00:00:00', shown)
        self.assertEqual(self.field(shown, 'Critical Options'),
                         ['force-command /bin/true', 'source-address 10.0.0.0/8'])
        extensions = self.field(shown, 'Extensions')
        self.assertEqual((len(extensions), 'permit-pty' in extensions), (2, True))
        self.assert_extension(shown)

    def test_the_extension_is_not_for_options_to_forge(self):
        for option in (f'extension:{EXTENSION}=000b00', f'critical:{EXTENSION}=000b00'):
            result = self.sign('-n', 'alice', '-O', option)
            self.assert_nothing(result, status=result.returncode)
            self.assertNotEqual(result.returncode, 0)

    def test_several_keys(self):
        subjects = [self.subject, Subject('p384'), Subject('rsa2048')]
        lines, _ = self.opened(self.sign('-n', 'alice', request=self.request(*subjects)))
        for subject, line in zip(subjects, lines, strict=True):
            fingerprint = self.lab.ssh_keygen('-l', '-f', self.lab.write('key.pub', subject.line)).split()[1]
            self.assertIn(fingerprint, self.shown(line))

    def test_for_each_endorsement_key(self):
        for index, kind in (0x01c00002, 0x23), (0x01c00016, 0x23), (0x01c0000a, 1):
            soft = SoftTpm(index, kind)
            request = self.request(tpm=soft, certificate=self.authority.ek_certificate(soft.ek_key.public_key()))
            (line,), _ = self.opened(self.sign('-n', 'alice', request=request), soft)
            self.assert_extension(self.shown(line), soft)

    def test_a_request_from_standard_input(self):
        *command, path = self.command('sign', '-s', self.ca, '-n', 'alice')
        for more in (), ('-',):
            (line,), _ = self.opened(self.lab.run(*command, *more, stdin=read(path)))
            self.assertIn('alice', self.shown(line))

    def test_a_passphrase_is_asked_for_once(self):
        ca = self.lab.path('locked')
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-a', '1', '-N', PASSPHRASE, '-f', ca)
        askpass, wrong = Askpass(self.lab, PASSPHRASE), Askpass(self.lab, 'wrong', name='wrong')
        lines, _ = self.opened(self.sign('-n', 'alice', ca=ca, env=askpass.env, request=self.request(
            self.subject, Subject('p384'))))
        self.assertEqual((len(lines), len(askpass.questions())), (2, 1))
        result = self.sign('-n', 'alice', '--receipts', self.receipts, ca=ca, env=wrong.env)
        self.assert_nothing(result, 'ssh-keygen could not sign')

    def test_a_key_in_an_agent(self):
        agent = self.lab.start('ssh-agent', '-D', '-a', self.lab.path('agent.sock'))
        agent.wait_line('Agent pid')
        env = {'SSH_AUTH_SOCK': self.lab.path('agent.sock')}
        self.lab.run('ssh-add', '-q', self.ca, env=env, status=0)
        public = self.lab.write('only-public', read(self.ca + '.pub'))
        self.assertIn('alice', self.certified('-U', '-n', 'alice', ca=public, env=env))
        self.lab.run('ssh-add', '-q', '-D', env=env, status=0)
        for _ in range(2):
            self.assert_nothing(self.sign('-U', '-n', 'alice', '--receipts', self.receipts, ca=public, env=env),
                                'ssh-keygen could not sign')
            agent.end()

    def test_principals(self):
        """As --ek-known and -n have them; the host of the request is never used."""
        name = self.tpm.ek.name().hex()
        for known, given, expected in (
                ('', None, None), ('', 'web1', ['web1']), ('a', None, ['a']), ('a,b', None, ['a', 'b']),
                ('a,b', 'b', ['b']), ('a,b', 'b,a', ['b', 'a']), ('a,b', 'a,c', None), ('a,b', 'web1', None),
                ('a,b', 'A', None), ('a', 'a*', None), ('a', ' a', None), ('a', 'a,', None), ('a', ',a', None),
                ('a', '', None), ('', '', None), ('', ',', None), ('', 'a,,b', None), ('*', 'a', None),
                ('*', '*', ['*'])):
            with self.subTest(known=known, given=given):
                options = () if given is None else ('-n', given)
                result = self.sign('-h', *options, '--receipts', self.receipts, trust=self.known(f'{name} {known}'))
                if expected is None:
                    self.assert_nothing(result, status=result.returncode)
                    self.assertNotEqual(result.returncode, 0)
                    continue
                (line,), _ = self.opened(result)
                self.assertEqual(self.field(self.shown(line), 'Principals'), expected)
                os.unlink(self.receipts)

    def test_without_principals_the_error_tells_why(self):
        self.assert_nothing(self.sign('-h'), 'principals', 'hint:', 'host name', status=2)
        result = self.sign('-n', 'a,c', trust=self.known(f'{self.tpm.ek.name().hex()} a,b'))
        self.assert_nothing(result, '--ek-known', 'c')

    def test_principals_of_a_key_with_a_certificate_come_from_the_list_too(self):
        name, other = self.tpm.ek.name().hex(), SoftTpm().ek.name().hex()
        trust = '--ek-roots', self.roots, *self.known(f'{other} x', f'{name} a,b')
        self.assertEqual(self.field(self.certified(trust=trust), 'Principals'), ['a', 'b'])
        self.assert_nothing(self.sign('-n', 'c', trust=trust), '--ek-known')
        trust = '--ek-roots', self.roots, *self.known(f'{other} x')
        self.assert_nothing(self.sign(trust=trust), 'principals', status=2)
        self.assertEqual(self.field(self.certified('-n', 'c', trust=trust), 'Principals'), ['c'])

    def test_a_request_that_does_not_hold_is_not_signed(self):
        self.recording()
        liar = self.request(bound={'host': 'web2'})
        for options, request, words in ((('--nonce', 'x'), self.request(), 'nonce'),
                                        (('--max-age', '1h'), self.request(made='2020-01-01T00:00:00Z'), ''),
                                        ((), liar, 'qualifying data'), ((), self.request(key=SoftTpm().ak_key), '')):
            self.assert_nothing(self.sign('-n', 'alice', '--receipts', self.receipts, *options, request=request), words)
        self.assertFalse(os.path.exists(self.lab.path('tools/seen')))

    def test_wrong_usage(self):
        for options in ((), ('-s', self.ca), FOREVER, ('-s', self.ca, *FOREVER, 'x', 'y'), ('-s', self.ca, '-n'),
                        ('-s', self.ca, '--absent')):
            result = self.lab.run(f'{self.lab.bin}/ssh-tpm', 'attest', 'sign', *options)
            self.assert_error(result, status=2, tool='ssh-tpm.*')
        self.assert_nothing(self.sign('-n', 'a', trust=()), '--ek-roots', status=2)

    def test_receipts(self):
        names = f'{self.tpm.ak.name().hex()} {self.tpm.ek.name().hex()}'
        expected = ''
        for options, principals, umask in ((('-n', 'alice,bob'), 'alice,bob', 0),
                                           (('-h', '-n', 'web1'), 'web1', 0o777)):
            _, receipt = self.opened(self.sign('--receipts', self.receipts, *options, umask=umask))
            expected += f'{receipt} {names} {principals}\n'
            self.assertEqual(mode(self.receipts), 0o600)
        self.assertEqual(read(self.receipts), expected)
        result = self.sign('--receipts', self.lab.path('no/folder'), '-n', 'alice')
        self.assert_error(result, 'no/folder', tool='ssh-tpm.*')
        self.assertEqual((result.stdout, os.listdir(self.memory)), ('', []))

    def test_a_file_of_receipts_that_others_may_read(self):
        """Or that is none."""
        others, pipe = self.lab.write('others', '', mode=0o640), self.lab.path('pipe')
        os.mkfifo(pipe)
        for path in others, pipe, self.lab.home, '/dev/full':
            result = self.sign('--receipts', path, '-n', 'alice')
            self.assert_error(result, path, tool='ssh-tpm.*')
            self.assertEqual((result.stdout, os.listdir(self.memory), read(others)), ('', [], ''))

    def recording(self, script=WAITING):
        """A ssh-keygen in front of the real one."""
        folder = self.lab.make_folder('tools')
        os.mkfifo(os.path.join(folder, 'go'))
        self.lab.write('tools/ssh-keygen', script.format(folder=folder, real=shutil.which('ssh-keygen')), mode=0o755)
        self.lab.env['PATH'] = folder + ':' + self.lab.env['PATH']

    def waiting(self, folder=None):
        """The folder in memory, once the certificates are in it."""
        seen = self.lab.path('tools/seen')
        wait_until(lambda: os.path.exists(seen), 'ssh-keygen')
        place = read(seen).strip()
        self.assertEqual(os.path.dirname(place), folder or self.memory)
        self.assertEqual((mode(place), sorted(os.listdir(place))), (0o700, ['0-cert.pub', '0.pub']))
        return place

    def go(self):
        with open(self.lab.path('tools/go'), 'w', encoding='ascii') as file:
            file.write('\n')

    def test_certificates_are_in_memory_alone(self):
        """XDG_RUNTIME_DIR is not, or is not there."""
        self.recording()
        for runtime in self.lab.home, self.lab.path('absent'), 'relative', '', None:
            self.lab.env['XDG_RUNTIME_DIR'] = runtime
            process = self.lab.start(*self.command('sign', '-s', self.ca, '-n', 'alice'))
            place = self.waiting('/dev/shm')
            self.go()
            self.assertEqual((process.wait(), os.path.exists(place)), (0, False))
            self.assertEqual(os.listdir(self.lab.home), [])
            os.unlink(self.lab.path('tools/seen'))

    def test_nothing_is_left_where_ssh_keygen_fails(self):
        for options, env in ((('-V', 'never'), {}), (('-O', 'x'), {}), (('-z', 'x'), {}),
                             ((), {'PATH': self.lab.home})):
            result = self.sign('-n', 'alice', '--receipts', self.receipts, *options, env=env)
            self.assert_nothing(result, 'ssh-keygen')
        self.assert_nothing(self.sign('-n', 'alice', ca=self.lab.path('absent')), 'ssh-keygen')
        for script in ('exit 0', 'for last; do :; done; cp {folder}/other ${{last%.pub}}-cert.pub', 'kill -9 $$'):
            shutil.rmtree(self.lab.path('tools'), ignore_errors=True)
            self.recording('#!/bin/sh\n' + script + '\n')
            stranger = self.lab.write('tools/other.pub', Subject().line + '\n')
            self.lab.run(shutil.which('ssh-keygen'), '-q', '-s', self.ca, '-I', 'x', '-n', 'x', stranger, status=0)
            os.rename(self.lab.path('tools/other-cert.pub'), self.lab.path('tools/other'))
            self.assert_nothing(self.sign('-n', 'alice', '--receipts', self.receipts))

    def test_nothing_is_left_after_a_signal(self):
        self.recording()
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL:
            with self.subTest(signal=number.name):
                process = self.lab.start(*self.command('sign', '-s', self.ca, '-n', 'alice', '--receipts',
                                                       self.receipts))
                place = self.waiting()
                os.unlink(self.lab.path('tools/seen'))
                process.popen.send_signal(number)
                if number == signal.SIGKILL:  # of which ssh-keygen hears nothing
                    wait_until(lambda: not os.path.exists(place), 'the end of the folder')
                    self.go()
                self.assertNotEqual(process.wait(), 0)
                left = os.path.exists(place)
                shutil.rmtree(place, ignore_errors=True)
                self.assertEqual((left, '"box"' in process.log(), os.path.exists(self.receipts)), (False, False, False))

    def test_nothing_is_left_by_a_remover_that_was_killed(self):
        self.recording()
        process = self.lab.start(*self.command('sign', '-s', self.ca, '-n', 'alice'))
        place = self.waiting()
        os.kill(companion(process.popen.pid, 'remover'), signal.SIGKILL)
        self.go()
        self.assertEqual((process.wait(), os.path.exists(place)), (0, False))

    def test_nothing_is_left_after_ctrl_c(self):
        self.recording()
        with Terminal(self.lab, *self.command('sign', '-s', self.ca, '-n', 'alice')) as terminal:
            place = self.waiting()
            terminal.interrupt()
            self.assertNotEqual(terminal.finish(), 0)
            self.assertNotIn('"box"', terminal.transcript)
            self.assertFalse(os.path.exists(place))

    def test_a_passphrase_at_a_terminal_and_ctrl_c_in_place_of_it(self):
        ca = self.lab.path('locked')
        self.lab.ssh_keygen('-q', '-t', 'ed25519', '-a', '1', '-N', PASSPHRASE, '-f', ca)
        command, env = self.command('sign', '-s', ca, '-n', 'alice'), {'SSH_ASKPASS_REQUIRE': 'never'}
        with Terminal(self.lab, *command, env=env) as terminal:
            self.assertFalse(terminal.answer('passphrase', PASSPHRASE))
            self.assertEqual(terminal.finish(), 0, terminal.transcript)
            self.assertIn('"box"', terminal.transcript)
        with Terminal(self.lab, *command, env=env) as terminal:
            terminal.read_until('passphrase')
            keygen, = (child for child in children_of(terminal.popen.pid)
                       if read(f'/proc/{child}/comm') == 'ssh-keygen\n')
            wait_until(lambda: not terminal.echoes() and status(keygen)[0] == 'S', 'a prompt without echo')
            terminal.type('\x03')  # a moment before, ssh-keygen would take no notice
            self.assertNotEqual(terminal.finish(), 0)
            self.assertTrue(terminal.echoes())
            self.assertNotIn('"box"', terminal.transcript)
        self.assertEqual(os.listdir(self.memory), [])

    def test_an_answer_that_nobody_could_read(self):
        result = self.lab.run('sh', '-c', '"$@" >/dev/full', 'sh', *self.command('sign', '-s', self.ca, '-n', 'alice'))
        self.assert_error(result, status=1, tool='ssh-tpm.*')
        self.assertEqual(os.listdir(self.memory), [])


class Seal(Signing):
    def by_hand(self, subject=None, *options):
        """A file, by hand."""
        path = self.lab.write('hand.pub', (subject or self.subject).line + ' a comment\n')
        self.lab.ssh_keygen('-q', '-s', self.ca, '-I', 'by hand', '-n', 'x,y', *options, path)
        return self.lab.path('hand-cert.pub')

    def test_certificates_by_hand(self):
        certificate = self.by_hand()
        lines, receipt = self.opened(self.seal('--receipts', self.receipts, certificate))
        self.assertEqual(lines, [' '.join(read(certificate).split()[:2])])
        self.assertEqual(read(self.receipts),
                         f'{receipt} {self.tpm.ak.name().hex()} {self.tpm.ek.name().hex()} x,y\n')
        self.assertEqual(mode(self.receipts), 0o600)

    def test_several_files_and_several_in_one(self):
        subjects = self.subject, Subject('p384')
        paths = []
        for number, subject in enumerate(subjects):
            paths.append(shutil.copy(self.by_hand(subject), self.lab.path(f'{number}-cert.pub')))
        both = self.lab.write('both', '# a comment\n\n' + read(paths[0]) + read(paths[1]))
        expected = [' '.join(read(path).split()[:2]) for path in paths]
        for files in paths, [both]:
            self.assertEqual(self.opened(self.seal(*files, request=self.request(*subjects)))[0], expected)

    def test_what_is_not_sealed(self):
        good = shutil.copy(self.by_hand(), self.lab.path('good'))
        stranger = shutil.copy(self.by_hand(Subject()), self.lab.path('stranger'))
        key = self.lab.write('key.pub', self.subject.line + '\n')
        for files, words in (((stranger,), 'does not have'), ((good, stranger), 'does not have'), ((key,), ''),
                             ((good, key), ''), ((self.lab.write('empty', ''),), 'no certificate'),
                             ((self.lab.write('text', 'text\n'),), 'no certificate'),
                             ((self.lab.path('absent'),), 'absent'), ((self.ca,), '')):
            with self.subTest(files=files):
                self.assert_nothing(self.seal('--receipts', self.receipts, *files), words)
        self.assert_nothing(self.seal(), status=2)
        self.assert_nothing(self.seal(good, request=self.request(bound={'host': 'x'})), 'qualifying data')
        self.assert_nothing(self.seal(good, trust=()), '--ek-roots', status=2)

    def test_the_names_in_a_certificate_cannot_forge_a_line_of_receipts(self):
        path = self.lab.write('hand.pub', self.subject.line + '\n')
        self.lab.ssh_keygen('-q', '-s', self.ca, '-I', 'x', '-n', 'x\n' + '0' * 64 + ' a b,y z', path)
        _, receipt = self.opened(self.seal('--receipts', self.receipts, self.lab.path('hand-cert.pub')))
        line = read(self.receipts)
        self.assertEqual((line.count('\n'), line.split()[:3]),
                         (1, [receipt, self.tpm.ak.name().hex(), self.tpm.ek.name().hex()]))

    def test_principals_that_the_list_does_not_give(self):
        name, certificate = self.tpm.ek.name().hex(), self.by_hand()
        self.assertEqual(len(self.opened(self.seal(certificate, trust=self.known(f'{name} z,y,x')))[0]), 1)
        self.assertEqual(len(self.opened(self.seal(certificate, trust=self.known(name)))[0]), 1)
        self.assert_nothing(self.seal('--receipts', self.receipts, certificate, trust=self.known(f'{name} x,z')),
                            '--ek-known', 'y')


@unittest.skipUnless(has_memory(), 'no /dev/shm in memory')
class Walk(Attesting):
    """With a TPM, an authority whose key is in it too, sshd and ssh."""

    def certify(self, asked, *options, status=0, **more):
        path = self.lab.write('request.json', asked.text)
        return self.attest('sign', '--ek-roots', self.roots, '--receipts', self.lab.path('receipts'), *FOREVER,
                           *options, path, status=status, text=False, **more).stdout

    def test_an_authority_in_our_agent(self):
        for kind, bits in ('ecdsa', 256), ('rsa', 2048):
            authority = self.lab.make_key('authority', kind, bits, folder=self.lab.make_folder(kind))
            agent, key = Agent(self.lab, name=kind + '-agent', key_dir=self.lab.path(kind)), self.lab.make_key(kind)
            document = self.certify(self.ask(key), '-s', authority.pub, '-U', '-n', 'alice',
                                    env={'SSH_AUTH_SOCK': agent.socket})
            self.assertEqual(self.install(document, authority=authority.path, status=0).returncode, 0)
            self.assertIn('alice', self.lab.ssh_keygen('-L', '-f', key.path + '-cert.pub'))
            agent.stop()

    def test_from_the_request_to_logins(self):
        tree = self.lab.make_folder('tree')
        self.lab.keygen('-q', '-A', '-f', tree)
        hosts = [read_public(tree, kind) for kind in ('ecdsa', 'rsa')]
        key = self.lab.make_key()
        for asked, options in ((self.ask(options=('-A',), env={'DESTDIR': tree}), ('-h', '-n', 'web1')),
                               (self.ask(key), ('-n', USER))):
            document = self.certify(asked, '-s', self.authority, *options)
            receipt = self.install(document, status=0).stdout.strip()
            self.assertIn(f'{receipt} {asked.ak.name().hex()} {asked.ek.name().hex()} {options[-1]}\n',
                          read(self.lab.path('receipts')))
        host_agent = Agent(self.lab, name='host', key_dir=os.path.join(tree, 'etc/ssh'))
        user_agent = Agent(self.lab, name='user')
        server = Sshd(self.lab, f'HostKeyAgent {host_agent.socket}', f'TrustedUserCAKeys {self.authority}.pub',
                      *(f'HostCertificate {host.path}-cert.pub' for host in hosts),
                      host_keys=[host.pub for host in hosts])
        known = self.lab.write('known_hosts', '@cert-authority * ' + read(self.authority + '.pub'))
        options = ('-o', 'StrictHostKeyChecking=yes', '-o', 'GlobalKnownHostsFile=/dev/null')
        for known, alias, agent, expected in ((known, 'web1', user_agent, (0, 'in\n')),
                                              (known, 'web2', user_agent, (255, '')),
                                              (self.lab.write('nobody', ''), 'web1', user_agent, (255, '')),
                                              (known, 'web1', host_agent, (255, ''))):
            for host_kind in 'ecdsa-sha2-nistp256-cert-v01@openssh.com', 'rsa-sha2-512-cert-v01@openssh.com':
                with self.subTest(known=known, alias=alias, host_kind=host_kind):
                    result = self.login(server, agent, *options, '-o', f'UserKnownHostsFile={known}', '-o',
                                        f'HostKeyAlias={alias}', '-o', f'HostKeyAlgorithms={host_kind}')
                    self.assertEqual((result.returncode, result.stdout), expected, result.stderr)
        self.assertTrue(any('Accepted publickey' in line and 'CERT' in line for line in server.process.lines))

    def login(self, server, agent, *options):
        return self.lab.run('ssh', '-F', 'none', '-p', str(server.port), '-o', f'IdentityAgent={agent.socket}', '-o',
                            'IdentityFile=none', '-o', 'BatchMode=yes', '-o', 'ControlPath=none', *options,
                            f'{USER}@127.0.0.1', 'echo in')

    def test_verify_json_and_sign_tell_the_same_names(self):
        asked = self.ask(self.lab.make_key())
        path = self.lab.write('request.json', asked.text)
        said = json.loads(self.attest('verify', '--json', '--ek-roots', self.roots, path, status=0).stdout)
        result = self.attest('sign', *FOREVER, '-s', self.authority, '-n', 'a', '--ek-roots', self.roots, path,
                             status=0)
        for name in said['ek'], said['ak']:
            self.assertIn(name, result.stderr)


if __name__ == '__main__':
    unittest.main()
