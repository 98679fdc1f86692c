#!/usr/bin/env python3
"""The TPM's storage key is kept in a file from its first use on, a line for each key of each TPM."""

import os
import re
import shutil
import unittest

from agent import Agent, Askpass
from knowing import PIN, KnownTpmsLab
from lab import NO_LEAK_CHECK, NOBODY, contents, mode, needs_root, read, read_key
from swtpm import Swtpm


class KnownTpms(KnownTpmsLab):
    def test_the_first_use_writes_one_line_that_only_the_user_may_read(self):
        self.assertFalse(os.path.exists(self.folder))
        key = self.lab.make_key('x', pin=PIN)
        ((parent, name, tcti),) = self.known()
        self.assertEqual((parent, tcti), ('owner-ecc', self.probe.tcti))
        self.assertRegex(name, '^000b[0-9a-f]{64}$')
        self.assertEqual((mode(self.file), mode(self.folder)), (0o600, 0o700))
        before = os.stat(self.file)
        Agent(self.lab, env=Askpass(self.lab, PIN).env).sign_and_check(key)
        self.tpm.make_persistent()  # the same key, at its place
        Agent(self.lab, name='second', env=Askpass(self.lab, PIN, name='again').env).sign_and_check(key)
        self.lab.make_key('y')
        self.assertEqual(os.stat(self.file), before)

    def test_the_name_is_the_one_that_others_read(self):
        self.tpm.make_persistent()
        self.lab.make_key('x')
        printed = self.tpm.tool('tpm2_readpublic', '-c', '0x81000001')
        self.assertEqual(self.known()[0][1], re.search(r'name: (\w+)', printed)[1])

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
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        self.started()
        for bad, number in ((good + 'owner-ecc\n', 2), (good + good, 2), (good.replace(' 000b', ' 000g'), 1),
                            (good[:20], 1), ('#\n\0', 2), (good + 'x' * 70_000, None)):
            with self.subTest(bad=bad[:200]):
                self.lab.write('state/ssh-tpm/known_tpms', bad, mode=0o600)
                agent.process.lines.clear()
                self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                agent.process.wait_line('without the file')
                result = self.lab.keygen('-N', PIN, '-f', self.lab.path('keys/y'), status=None)
                self.assert_error(result)
                for text in (result.stderr, agent.log()):
                    self.assertIn(self.file, text)
                    self.assertIn('cannot be understood', text)
                    self.assertIn(f'line {number}: ' if number else 'larger than', text)
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
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'rsa2048:aes128cfb', '-g', 'sha256', '-c', context)
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
        self.tpm.craft('tpm2_createprimary', '-C', 'e', '-G', 'rsa2048:aes128cfb', '-g', 'sha256', '-c', context)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000055')
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', context, '0x81000055')
        self.assertNotEqual(Agent(self.lab, name='second').ssh_keygen_sign(keys[3]).returncode, 0)
        self.assertEqual([line[0] for line in self.known()], labels)

    def test_a_key_that_merely_lies_at_the_handle_is_not_kept(self):
        self.tpm.make_persistent('-C', 'e', '-G', 'ecc256:aes128cfb')
        key = self.lab.make_key('x', pin=PIN)
        right = self.known()
        for number in range(2):  # the second time, nothing is known beforehand
            askpass = Askpass(self.lab, PIN, name=f'askpass{number}')
            agent = Agent(self.lab, name=f'agent{number}', env=askpass.env)
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
        parents = ('owner', '0x81000001')
        others = [self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '-q', '-N', '', '-f', self.lab.path(f'keys/k{n}'),
                                 '--parent-handle', parents[n % 2], env={'SSH_TPM_TCTI': self.tpm.tcti})
                  for n in range(6)]
        self.assertEqual([other.wait() for other in others], [0] * 6, [other.log() for other in others])
        self.assertEqual(sorted(line[0] for line in self.known()), sorted(set(parents) - {'owner'} | {'owner-ecc'}))
        self.assertEqual(os.listdir(self.folder), ['known_tpms'])

    def without_override(self, applet):
        """The applet as root without the right to read what its mode, or its owner, forbids."""
        return self.lab.write(f'{applet}.sh', '#!/bin/sh\nexec setpriv --bounding-set -all --inh-caps -all '
                              f'{self.lab.bin}/ssh-tpm-{applet} "$@"\n', mode=0o755)

    def memory(self):
        """What lies in the state folder, and whose it is."""
        return {path: (content, os.lstat(path).st_ino, os.lstat(path).st_uid, os.lstat(path).st_mode)
                for path, content in contents(self.lab.path('state')).items()}

    @needs_root
    def test_one_that_cannot_be_read_is_a_refusal_and_stays(self):
        key = self.lab.make_key('x', pin=PIN)
        good, aside = read(self.file), self.lab.path('state/aside')
        keygen, agents = self.without_override('keygen'), self.without_override('agent')
        self.started()

        def lead_nowhere(path):
            os.rename(path, aside)
            os.symlink(self.lab.path('not-mounted'), path)

        for number, spoil in enumerate((lambda: os.chmod(self.file, 0), lambda: os.chown(self.file, NOBODY, NOBODY),
                                        lambda: os.chmod(self.folder, 0), lambda: lead_nowhere(self.file),
                                        lambda: lead_nowhere(self.folder))):
            with self.subTest(number=number):
                shutil.rmtree(self.lab.path('state'))
                self.lab.make_folder('state/ssh-tpm')
                self.lab.write('state/ssh-tpm/known_tpms', good, mode=0o600)
                spoil()
                before = self.memory()
                for options in (('-N', PIN, '-f', self.lab.path('keys/y')), ('-p', '-f', key.tpm, '-P', PIN, '-N', '')):
                    result = self.lab.run(keygen, *options, env=NO_LEAK_CHECK)
                    self.assert_error(result, 'hint: ', 'known TPMs cannot be read', self.file)
                askpass = Askpass(self.lab, PIN, name=f'askpass{number}')
                agent = Agent(self.lab, name=f'agent{number}', env={**askpass.env, **NO_LEAK_CHECK}, program=agents)
                self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
                agent.process.wait_line('known TPMs cannot be read')
                agent.stop()
                self.assertEqual(askpass.questions(), [])
                self.assertEqual(self.memory(), before)
        self.assert_no_session()
        os.unlink(self.folder)
        os.rename(aside, self.folder)
        Agent(self.lab, env=Askpass(self.lab, PIN).env).sign_and_check(key)

    @needs_root
    def test_without_a_place_to_keep_it_keys_are_made_and_sign(self):
        # Of files that nobody may write, root may write the most: a folder that is none stands for all.
        self.lab.write('a-file', '')
        for name, env in (('x', {'XDG_STATE_HOME': self.lab.path('a-file')}),
                          ('y', {'XDG_STATE_HOME': '/proc'}),
                          ('z', {'XDG_STATE_HOME': None, 'HOME': '/proc/1/no'})):
            with self.subTest(env=env):
                key = self.lab.make_key(name, pin=PIN, env=env)
                askpass = Askpass(self.lab, PIN, name='askpass-' + name)
                agent = Agent(self.lab, name=name, env={**env, **askpass.env})
                agent.sign_and_check(key)
                self.assertIn('is not remembered', agent.log())
                agent.stop()


if __name__ == '__main__':
    unittest.main()
