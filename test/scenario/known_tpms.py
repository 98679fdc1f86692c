#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The TPM's storage key is kept in a file from its first use on, a line for each key of each TPM. Another key in its
place gets no session and no PIN, and nobody is asked for one."""

import os
import re
import shutil
import signal
import stat
import unittest

from agent import Agent, Askpass
from lab import NO_LEAK_CHECK, NOBODY, ROOT, Lab, contents, mode, needs_root, read, read_key, wait_until
from softkey import SoftKey
from stock import Probed
from swtpm import STORAGE_KEY, Swtpm

PIN, OTHER_PIN, OWNER_PASSWORD = '1234 is a PIN', '5678 is another', 'owner password 5'
SESSION, LOAD, PRIMARY = 'TPM2_StartAuthSession', 'TPM2_Load', 'TPM2_CreatePrimary'
SWAPPED = ('TPM2_ReadPublic', PRIMARY)


class KnownTpmsLab(Probed):
    """The probe can swap the storage key of the TPM."""

    @classmethod
    def setUpClass(cls):
        """A public area of the same template, whose private half somebody else has."""
        super().setUpClass()
        lab = Lab()
        try:
            other, path = Swtpm(lab), lab.path('foreign.pub')
            other.tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-g', 'sha256', '-a', STORAGE_KEY,
                       '-c', lab.path('foreign.ctx'))
            other.tool('tpm2_readpublic', '-c', lab.path('foreign.ctx'), '-o', path)
            with open(path, 'rb') as file:
                cls.foreign = file.read()
        finally:
            lab.close()

    def setUp(self):
        super().setUp()
        self.folder = self.lab.path('state', 'ssh-tpm')
        self.file = os.path.join(self.folder, 'known_tpms')

    def known(self):
        """The lines of the file, in their three parts."""
        return [line.split(' ', 2) for line in read(self.file).splitlines()] if os.path.exists(self.file) else []

    def asking(self, *answers, name='agent', **more):
        """An agent and the askpass that answers it so, the PIN unless told otherwise."""
        askpass = Askpass(self.lab, *(answers or [PIN]), name='askpass-' + name)
        return Agent(self.lab, name=name, **{**more, 'env': {**askpass.env, **more.get('env', {})}}), askpass

    def without_override(self, applet):
        """The applet without root's right to read and write what modes and owners forbid."""
        if not ROOT:
            return f'{self.lab.bin}/ssh-tpm-{applet}'
        return self.lab.write(f'{applet}.sh', '#!/bin/sh\nexec setpriv --bounding-set -all --inh-caps -all '
                              f'{self.lab.bin}/ssh-tpm-{applet} "$@"\n', mode=0o755)

    def foreign_area(self):
        return self.lab.write(os.path.join(self.probe.folder, 'foreign.pub'), self.foreign)

    def swapping(self, how='', *more):
        return self.probe.failing(*more, *(f'{name} swap {self.foreign_area()} {how}'.rstrip() for name in SWAPPED))

    def started(self):
        """The commands since the last look, whatever became of them."""
        return self.probe.take(refused=[line for line in self.probe.lines() if not line.endswith(' 0x00000000')])

    def assert_refusal(self, text, line=1):
        self.assertIn('storage key "owner-ecc" is not the known one', text)
        self.assertIn('cleared or replaced, or somebody sits between', text)
        if line:
            self.assertIn(f'delete line {line} of {self.file}', text)

    @staticmethod
    def complaint(agent):
        agent.process.wait_line('hint: if you know why')  # it comes after the reply, and the error before it
        return agent.log()

    def assert_no_session(self):
        names = self.started()
        self.assertNotEqual(names, [])
        self.assertNotIn(SESSION, names)
        self.tpm.assert_no_handles()


class KnownTpms(KnownTpmsLab):
    def test_the_first_use_writes_one_line_that_only_the_user_may_read(self):
        self.assertFalse(os.path.exists(self.folder))
        key = self.lab.make_key('x', pin=PIN)
        ((parent, name, tcti),) = self.known()
        self.assertEqual((parent, tcti), ('owner-ecc', self.probe.tcti))
        self.assertRegex(name, '^000b[0-9a-f]{64}$')
        self.assertEqual((mode(self.file), mode(self.folder)), (0o600, 0o700))
        before = os.stat(self.file)
        self.asking()[0].sign_and_check(key)
        self.tpm.make_persistent()  # the same key, at its place
        printed = self.tpm.tool('tpm2_readpublic', '-c', '0x81000001')
        self.assertEqual(name, re.search(r'name: (\w+)', printed)[1])
        self.asking(name='second')[0].sign_and_check(key)
        self.lab.make_key('y')
        self.assertEqual(os.stat(self.file), before)

    def test_an_agent_without_a_pin_remembers_too(self):
        self.tpm.make_persistent()
        key = self.lab.make_key('x')
        os.unlink(self.file)
        Agent(self.lab).sign_and_check(key)
        self.assertEqual([line[0] for line in self.known()], ['owner-ecc'])

    def test_a_deleted_line_is_forgotten_at_once_and_the_others_stay(self):
        key = self.lab.make_key('x')
        name = self.known()[0][1]
        comment, stranger = '# of this user', f'owner-ecc {"000b" + "12" * 32} device:/dev/tpmrm9'
        forged = f'owner-ecc {"000b" + "34" * 32} {self.probe.tcti}'
        self.lab.write('state/ssh-tpm/known_tpms', '\n'.join((comment, stranger, '', forged)) + '\n', mode=0o600)
        agent = Agent(self.lab)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assert_refusal(self.complaint(agent), line=4)
        self.lab.write('state/ssh-tpm/known_tpms', '\n'.join((comment, stranger)), mode=0o600)
        agent.sign_and_check(key)
        self.assertEqual(read(self.file).splitlines(), [comment, stranger, f'owner-ecc {name} {self.probe.tcti}'])

    def test_a_damaged_file_is_a_refusal_that_names_the_line(self):
        key = self.lab.make_key('x', pin=PIN)
        good = read(self.file)
        agent, askpass = self.asking()
        self.started()
        for bad, complaint in ((good + 'owner-ecc\n', 'line 2: '), (good + 'x' * 70_000, 'larger than')):
            with self.subTest(complaint):
                self.lab.write('state/ssh-tpm/known_tpms', bad, mode=0o600)
                agent.process.lines.clear()
                self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                agent.process.wait_line('without the file')
                result = self.lab.keygen('-N', PIN, '-f', self.lab.path('keys/y'), status=None)
                self.assert_error(result)
                for text in (result.stderr, agent.log()):
                    for words in (self.file, 'cannot be understood', complaint):
                        self.assertIn(words, text)
                self.assertEqual(read(self.file), bad)
        self.assertEqual(askpass.questions(), [])
        self.assert_no_session()
        self.lab.write('state/ssh-tpm/known_tpms', good, mode=0o600)
        agent.sign_and_check(key)

    def test_a_line_is_added_where_a_link_leads_and_the_mode_stays(self):
        real = self.lab.write('dotfiles', '# of mine\n', mode=0o640)
        os.mkdir(self.folder)
        os.symlink(real, self.file)
        self.lab.make_key('x')
        self.assertEqual(os.readlink(self.file), real)
        self.assertRegex(read(real), '^# of mine\nowner-ecc 000b[0-9a-f]{64} .*\n$')
        self.assertEqual(mode(real), 0o640)
        self.assertEqual(os.listdir(self.folder), ['known_tpms'])

    def test_several_tpms_do_not_disturb_each_other(self):
        second = Swtpm(self.lab, 'second')
        keys = [self.lab.make_key(f'key{number}', env={'SSH_TPM_TCTI': tcti})
                for number, tcti in enumerate((self.probe.tcti, second.tcti))]
        self.assertEqual([line[2] for line in self.known()], [self.probe.tcti, second.tcti])
        self.assertNotEqual(self.known()[0][1], self.known()[1][1])
        for number, tcti in enumerate((self.probe.tcti, second.tcti)):
            Agent(self.lab, name=f'agent{number}', tcti=tcti).sign_and_check(keys[number])
        self.assertEqual(len(self.known()), 2)

    def test_each_parent_has_a_line_and_the_null_hierarchy_none(self):
        context = self.lab.path('other.ctx')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc384:aes128cfb', '-g', 'sha256', '-c', context)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', context, '0x81000055')
        keys = []
        for parent in ('null', 'endorsement', 'platform', '0x81000055', 'owner'):
            self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys', parent), '--parent-handle', parent)
            keys.append(read_key(self.lab.path('keys', parent)))
        labels = ['endorsement-ecc', 'platform-ecc', '0x81000055', 'owner-ecc']
        self.assertEqual([line[0] for line in self.known()], labels)
        agent = Agent(self.lab)
        for key in keys:
            agent.sign_and_check(key)
        self.tpm.craft('tpm2_createprimary', '-C', 'e', '-G', 'ecc384:aes128cfb', '-g', 'sha256', '-c', context)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000055')
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', context, '0x81000055')
        self.assertNotEqual(Agent(self.lab, name='second').ssh_keygen_sign(keys[3]).returncode, 0)
        self.assertEqual([line[0] for line in self.known()], labels)

    def test_a_key_that_merely_lies_at_the_handle_is_not_kept(self):
        self.tpm.make_persistent('-C', 'e', '-G', 'ecc256:aes128cfb')
        key = self.lab.make_key('x', pin=PIN)
        right = self.known()
        for number in range(2):  # the second time, nothing is known beforehand
            agent, _ = self.asking(name=f'agent{number}')
            agent.sign_and_check(key)
            agent.stop()
            self.assertEqual(self.known(), right)
            self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', PIN)
            self.assertEqual(self.known(), right)
            os.unlink(self.file)

    def test_the_emulators_file_goes_with_its_state(self):
        state = self.lab.path('emulated')
        env = {'SSH_TPM_TCTI': None, 'SSH_TPM_AGENT_SWTPM': '1', 'SSH_TPM_SWTPM_STATE': state}
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/x'), env=env)
        ((parent, first, tcti),) = [line.split(' ', 2) for line in read(state + '/known_tpms').splitlines()]
        self.assertEqual((parent, tcti), ('owner-ecc', 'emulator'))
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/y'), env=env)
        os.rename(state, state + '.thrown-away')
        self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/z'), env=env)
        self.assertNotEqual(read(state + '/known_tpms').split(' ')[1], first)
        self.assertEqual(self.known(), [])

    def test_first_uses_at_once_leave_one_line(self):
        self.tpm.make_persistent()
        calls = self.lab.path('calls')
        for number, parents in enumerate((('owner', 'owner'), ('owner', '0x81000001'))):
            with self.subTest(parents=parents):
                shutil.rmtree(self.folder, ignore_errors=True)
                argv = [(f'{self.lab.bin}/ssh-tpm-keygen', '-q', '-N', '', '-f', self.lab.path(f'keys/{number}{turn}'),
                         '--parent-handle', parent) for turn, parent in enumerate(parents)]
                # The first one stops where it has found no file and is about to write one.
                first = self.lab.start('strace', '-D', '-f', '-o', calls, '-e', 'trace=mkdir', '-e',
                                       'inject=mkdir:signal=SIGSTOP:when=1', *argv[0], env=NO_LEAK_CHECK)
                wait_until(lambda: os.path.exists(calls) and 'stopped by SIGSTOP' in read(calls), 'the first to stop')
                self.lab.run(*argv[1], status=0)
                os.kill(first.pid, signal.SIGCONT)
                self.assertEqual(first.wait(), 0, first.log())
                self.assertEqual(sorted(line[0] for line in self.known()),
                                 sorted({{'owner': 'owner-ecc'}.get(parent, parent) for parent in parents}))
                self.assertEqual(os.listdir(self.folder), ['known_tpms'])
                os.unlink(calls)

    def memory(self):
        """What lies in the state folder, and whose it is."""
        return {path: (content, os.lstat(path).st_ino, os.lstat(path).st_uid, os.lstat(path).st_mode)
                for path, content in contents(self.lab.path('state')).items()}

    def test_what_is_no_file_is_named_once_and_the_command_in_the_hint_moves_it_away(self):
        self.lab.make_key('x')
        for number, (path, spoil) in enumerate((
                (self.file, lambda: os.mkdir(self.file)),
                (self.file, lambda: os.mkfifo(self.file)),
                (self.file, lambda: self.lab.write('state/ssh-tpm/known_tpms', '#' * 70_000)),
                (self.file, lambda: os.symlink(self.lab.make_folder('elsewhere'), self.file)),
                (self.file, lambda: os.symlink(self.lab.path('not-mounted'), self.file)),
                (self.file, lambda: os.symlink(self.file, self.file)),
                (self.folder, lambda: os.symlink(self.lab.path('not-mounted'), self.folder)),
                (self.folder, lambda: os.symlink(self.folder, self.folder)))):
            with self.subTest(number=number):
                shutil.rmtree(self.folder)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                spoil()
                make = ('-N', '', '-f', self.lab.path(f'keys/{number}'))
                result = self.lab.keygen(*make, status=None)
                self.assert_error(result, 'the file of the known TPMs cannot be ')
                self.assertEqual(result.stderr.split('hint: ')[0].count(self.file), 1, result.stderr)
                command = re.search('mv .*', result.stderr)[0].split(';')[0]
                self.assertEqual(command, f'mv {path} {path}.old')
                self.lab.run('sh', '-c', command, status=0)
                self.lab.keygen(*make)
                self.assertEqual([line[0] for line in self.known()], ['owner-ecc'])
                self.lab.run('rm', '-r', path + '.old', status=0)

    @needs_root
    def test_one_that_cannot_be_read_is_a_refusal_and_stays(self):
        key = self.lab.make_key('x', pin=PIN)
        good, aside = read(self.file), self.lab.path('state/aside')
        keygen, agents = self.without_override('keygen'), self.without_override('agent')
        self.started()

        def lead_nowhere():
            os.rename(self.folder, aside)
            os.symlink(self.lab.path('not-mounted'), self.folder)

        for number, spoil in enumerate((lambda: os.chmod(self.file, 0), lambda: os.chown(self.file, NOBODY, NOBODY),
                                        lambda: os.chmod(self.folder, 0), lead_nowhere)):
            with self.subTest(number=number):
                shutil.rmtree(self.lab.path('state'))
                self.lab.make_folder('state/ssh-tpm')
                self.lab.write('state/ssh-tpm/known_tpms', good, mode=0o600)
                spoil()
                before = self.memory()
                for options in (('-N', PIN, '-f', self.lab.path('keys/y')), ('-p', '-f', key.tpm, '-P', PIN, '-N', '')):
                    result = self.lab.run(keygen, *options, env=NO_LEAK_CHECK)
                    self.assert_error(result, 'hint: ', 'known TPMs cannot be read', self.file)
                agent, askpass = self.asking(name=f'agent{number}', env=NO_LEAK_CHECK, program=agents)
                self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                agent.process.wait_line('known TPMs cannot be read')
                agent.stop()
                self.assertEqual(askpass.questions(), [])
                self.assertEqual(self.memory(), before)
        self.assert_no_session()
        os.unlink(self.folder)
        os.rename(aside, self.folder)
        self.asking()[0].sign_and_check(key)

    def test_without_a_place_to_keep_it_keys_are_made_and_sign(self):
        # Of files that nobody may write, root may write the most: a folder that is none stands for all.
        self.lab.write('a-file', '')
        for name, env in (('x', {'XDG_STATE_HOME': self.lab.path('a-file')}),
                          ('y', {'XDG_STATE_HOME': '/proc'}),
                          ('z', {'XDG_STATE_HOME': None, 'HOME': '/proc/1/no'})):
            with self.subTest(env=env):
                key = self.lab.make_key(name, pin=PIN, env=env)
                agent, _ = self.asking(name=name, env=env)
                agent.sign_and_check(key)
                self.assertIn('is not remembered', agent.log())
                agent.stop()


class SwappedStorageKey(KnownTpmsLab):
    def test_an_agent_neither_asks_for_a_pin_nor_starts_a_session(self):
        """Whether the wrong storage key is newly made, comes under the old name, or is the persistent one."""
        key = self.lab.make_key('x', pin=PIN)
        for name, how in (('made', ''), ('stale', 'stale'), ('persistent', '')):
            with self.subTest(name):
                if name == 'persistent':
                    self.tpm.make_persistent()
                self.started()
                with self.swapping(how):
                    agent, askpass = self.asking(name=name)  # which looks at the persistent storage key at once
                    self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                    if how:  # ESYS takes no such answer, and knows no handle to flush
                        self.tpm.tool('tpm2_flushcontext', '-t')
                    self.assert_no_session()
                self.assertEqual(askpass.questions(), [])
                if how:
                    agent.process.wait_line('error: ')
                    self.assertNotIn('not the known one', agent.log())  # ESYS fails first
                else:
                    self.assert_refusal(self.complaint(agent))
                agent.stop()
        self.asking(name='good')[0].sign_and_check(key)

    def test_an_old_name_at_the_place_of_the_persistent_storage_key_is_no_way_around_it(self):
        self.tpm.make_persistent()
        key = self.lab.make_key('x', pin=PIN)
        foreign = self.foreign_area()
        self.started()
        with self.swapping('stale'):
            self.assert_error(self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER_PIN, status=None))
            self.tpm.tool('tpm2_flushcontext', '-t')
            self.assert_no_session()
        with self.probe.failing(f'TPM2_ReadPublic swap {foreign} stale'):  # the true one can still be made
            self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER_PIN)
        names = self.started()
        self.assertLess(names.index(PRIMARY), names.index(SESSION))

    def test_a_faked_failure_of_the_check_does_not_bring_another_key_in(self):
        self.tpm.make_persistent()
        key = self.lab.make_key('x', pin=PIN)
        agent, askpass = self.asking()  # it has the true one
        self.started()
        with self.swapping('', 'TPM2_Load answer 0x1df times=1'):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assertEqual([name for name in self.started() if name in (LOAD, PRIMARY, SESSION)], [LOAD, PRIMARY])
        self.assert_refusal(self.complaint(agent))
        self.assertEqual(askpass.questions(), [])
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_tpm_that_denies_its_ecc_does_not_bring_an_rsa_key_in(self):
        key = self.lab.make_key('x', 'rsa', 2048, pin=PIN)
        agent, askpass = self.asking()
        self.started()
        with self.probe.failing('* no-ecc'):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assert_no_session()
            self.assert_refusal(self.complaint(agent))
            result = self.lab.keygen('-t', 'rsa', '-N', PIN, '-f', self.lab.path('keys/y'), status=None)
            self.assert_refusal(result.stderr)
            self.assert_no_session()
        self.assertEqual(askpass.questions(), [])
        self.assertEqual([line[0] for line in self.known()], ['owner-ecc'])
        agent.sign_and_check(key)

    def test_a_pin_for_ssh_add_is_not_asked_for_either(self):
        key = self.lab.make_key('x', pin=PIN)
        agent, askpass = self.asking()
        self.started()
        with self.swapping():
            result = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', key.tpm,
                                  env={'SSH_AUTH_SOCK': agent.socket, **askpass.env})
            self.assertNotEqual(result.returncode, 0)
            self.assert_no_session()
        self.assertEqual(askpass.questions(), [])
        self.assert_refusal(self.complaint(agent))

    def test_keygen_makes_changes_and_imports_no_key_under_another_parent(self):
        self.tpm.make_persistent()
        key, new, wrapped = self.lab.make_key('x', pin=PIN), self.lab.path('keys/y'), self.lab.path('wrapped')
        parent, soft = self.lab.path('parent.pub'), SoftKey(self.lab, self.lab.path('soft')).path
        self.tpm.tool('tpm2_readpublic', '-c', '0x81000001', '-o', parent)
        self.lab.keygen('--wrap', soft, '--wrap-with', parent, '-N', PIN, '-f', wrapped)
        rows = (('-N', PIN, '-f', new), ('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER_PIN),
                ('--import', soft, '-N', PIN, '-f', new), ('--import', wrapped + '.tpm', '-P', PIN, '-f', new))
        before = contents(self.lab.keys)
        for persistent in (True, False):
            if not persistent:
                self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
            for options in rows:
                with self.subTest(options=options, persistent=persistent), self.swapping():
                    self.started()
                    result = self.lab.keygen(*options, status=None)
                    self.assert_error(result)
                    self.assert_refusal(result.stderr)
                    self.assert_no_session()
        self.assertEqual(contents(self.lab.keys), before)
        for options in rows:
            self.lab.keygen(*options)
            for path in (new + '.tpm', new + '.pub'):
                if os.path.exists(path):
                    os.unlink(path)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_an_owner_password_is_not_sent_through_a_session_of_another_persistent_key(self):
        self.tpm.make_persistent()
        self.lab.make_key('x')
        self.tpm.craft('tpm2_changeauth', '-c', 'o', OWNER_PASSWORD)
        foreign = self.foreign_area()
        self.started()
        with self.probe.failing(f'TPM2_ReadPublic swap {foreign}'):
            self.lab.keygen('-q', '-N', '', '-f', self.lab.path('keys/y'),
                            env={'SSH_TPM_AGENT_OWNER_PASSWORD': OWNER_PASSWORD})
        names = self.started()
        self.assertLess(names.index(PRIMARY), names.index(SESSION))  # the null hierarchy's key is made for it

    def test_a_cleared_tpm_is_explained_and_deleting_the_line_accepts_it(self):
        key = self.lab.make_key('x', pin=PIN)
        agent, askpass = self.asking()
        self.tpm.tool('tpm2_clear')
        self.started()
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(askpass.questions(), [])
        self.assert_refusal(self.complaint(agent))
        result = self.lab.keygen('-N', PIN, '-f', self.lab.path('keys/y'), status=None)
        self.assert_error(result)
        self.assert_refusal(result.stderr)
        self.assert_no_session()
        old = self.known()
        os.unlink(self.file)  # its only line
        fresh = self.lab.make_key('y', pin=PIN)
        self.assertNotEqual(self.known(), old)
        agent.ssh_add('-D')
        second = Agent(self.lab, name='second', env=askpass.env)
        second.sign_and_check(fresh)

    def test_in_a_folder_that_it_may_not_write_an_agent_signs_and_refuses_all_the_same(self):
        key = self.lab.make_key('x', pin=PIN)
        os.chmod(self.folder, stat.S_IRUSR | stat.S_IXUSR)
        more = {'env': NO_LEAK_CHECK, 'program': self.without_override('agent')}
        agent, askpass = self.asking(**more)
        agent.sign_and_check(key)
        agent.stop()
        self.assertEqual(len(askpass.questions()), 1)
        with self.swapping():
            agent, askpass = self.asking(name='second', **more)
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assert_refusal(self.complaint(agent))
        self.assertEqual(askpass.questions(), [])

    def test_without_a_place_to_keep_it_the_storage_key_is_known_for_the_run(self):
        key = self.lab.make_key('x', pin=PIN)
        shutil.rmtree(self.folder)
        self.lab.write('state/ssh-tpm', '')  # no folder can be made there
        agent, askpass = self.asking(PIN, PIN)
        self.started()
        agent.sign_and_check(key)
        agent.process.wait_line('is not remembered beyond this run')
        wait_until(lambda: self.tpm.handles() == [], 'an idle agent, which keeps the PIN')
        self.started()
        with self.swapping():
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assert_no_session()
        agent.process.wait_line('start this program anew to accept')
        self.assert_refusal(agent.log(), line=None)
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)
        self.assertEqual(self.tpm.wrong_tries(), 0)


if __name__ == '__main__':
    unittest.main()
