#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""keygen -A --hierarchy writes the .pub files of keys that agent --hierarchy makes in the TPM. They come and go as
those of a folder do, and what stands in the way is told."""

import os
import signal
import socket
import unittest

from agent import Agent, Askpass
from hierarchy import KINDS, LACKS, HierarchyAgent, base_of, primary_of_tools, read_public, without_comment
from lab import contents, mode, read, wait_until
from stock import Stocked
from swtpm import Probe

WORDS = {'endorsement': 'e', 'owner': 'o', 'platform': 'p', 'null': 'n'}
LASTING = 'endorsement', 'owner', 'platform'


class Hierarchies(Stocked):
    """The files of two hierarchies are there to begin with. RSA keys take long, each time that they are made: where one
    kind is as good as two, the TPM is one that has no RSA."""

    FOLDERS = ('endorsement', 'owner')

    @classmethod
    def fill(cls, lab):
        for word in cls.FOLDERS:
            lab.keygen('-A', '-f', lab.path(word), '--hierarchy', word, umask=0o077)

    def setUp(self):
        super().setUp()
        self.probe = Probe(self.tpm)

    def make(self, hierarchy, *options, name='prefix', lacks=None, status=0, **more):
        if lacks:
            options = (*options, '--tcti', self.lacking(lacks))
        return self.lab.keygen('-A', '-f', self.lab.path(name), '--hierarchy', hierarchy, *options, status=status,
                               **more)

    def lacking(self, lacks):
        """The TPM for one program that is started next."""
        self.probe.fail(LACKS[lacks])
        return self.probe.tcti

    def agent(self, hierarchy, *options, **more):
        """One that serves the ECDSA key alone."""
        return HierarchyAgent(self.lab, hierarchy, *options, tcti=self.lacking('rsa'), **more)

    def keys(self, name):
        return [read_public(self.lab.path(name), kind) for kind in KINDS]

    def ecdsa(self, name):
        return read_public(self.lab.path(name), 'ecdsa')


class HierarchyKeys(Hierarchies):
    def test_only_public_files_are_written(self):
        self.assertEqual(sorted(os.listdir(self.lab.path('endorsement/etc/ssh'))),
                         ['ssh_tpm_host_ecdsa_key.pub', 'ssh_tpm_host_rsa_key.pub'])
        for key in self.keys('endorsement'):
            self.assertEqual(mode(key.pub), 0o644)
            self.assertEqual(key.comment, 'root@' + socket.gethostname())
        self.assertEqual([self.lab.ssh_keygen('-l', '-f', key.pub).split()[0] for key in self.keys('endorsement')],
                         ['256', '2048'])
        self.tpm.assert_no_handles()

    def test_they_are_the_keys_that_the_agent_lists_and_that_sign_after_a_reset_too(self):
        for word, letter in WORDS.items():
            self.make(word, name='of-' + word, lacks='rsa')
            self.make(letter, name='of-' + letter, lacks='rsa')
            self.assertEqual(self.ecdsa('of-' + letter).line, self.ecdsa('of-' + word).line)
        self.assertEqual(len({self.ecdsa('of-' + word).blob for word in WORDS}), len(WORDS))
        for is_reset in (False, True):
            for word, letter in WORDS.items():
                with self.subTest(word=word, is_reset=is_reset):
                    key = self.ecdsa('of-' + word)
                    agent = self.agent(letter if is_reset else word)
                    self.tpm.assert_no_handles()
                    (line,) = agent.listed()
                    self.assertEqual(line.split(' ', 2)[2], f'{word} ecdsa host key')
                    same = without_comment([line]) == without_comment([key.line])
                    self.assertEqual(same, word in LASTING or not is_reset)
                    if same:
                        agent.sign_and_check(key)
                    agent.stop()
            self.tpm.assert_no_handles()
            self.tpm.reset()

    def test_they_are_the_keys_that_tpm2_tools_make_from_the_same_template(self):
        for word, letter in WORDS.items():
            self.make(word, name='of-' + word, lacks='rsa')
            self.assertIn(primary_of_tools(self.tpm, letter, 'ecdsa'), self.ecdsa('of-' + word).blob)
        self.assertIn(primary_of_tools(self.tpm, 'e', 'rsa'), self.keys('endorsement')[1].blob)

    def test_the_second_time_needs_no_tpm_and_one_that_is_missing_comes_back(self):
        before = contents(self.lab.path('endorsement'))
        result = self.make('endorsement', name='endorsement', env=self.lab.no_tpm)
        self.assertEqual((contents(self.lab.path('endorsement')), result.stdout, result.stderr), (before, '', ''))
        before = contents(self.lab.path('owner'))
        for kind, spoil in (('rsa', os.unlink), ('ecdsa', lambda path: os.truncate(path, 0))):
            spoil(base_of(self.lab.path('owner'), kind) + '.pub')
            self.make('owner', name='owner')
            self.assertEqual(contents(self.lab.path('owner')), before)

    def test_null_is_warned_of_and_a_key_of_before_is_not_written_over(self):
        prefix = self.lab.path('prefix')
        result = self.make('null', lacks='rsa')
        self.assertRegex(result.stderr, '(?m)^ssh-tpm-keygen: warning: .*every boot')
        before = contents(prefix)
        self.make('null', lacks='rsa')
        self.assertEqual(contents(prefix), before)
        agent = self.agent('null')
        self.assertRegex(agent.log(), '(?m)^ssh-tpm-agent: warning: .*every boot')
        agent.sign_and_check(self.ecdsa('prefix'))
        self.tpm.reset()
        self.assertNotEqual(agent.ssh_keygen_sign(self.ecdsa('prefix')).returncode, 0)
        agent.process.wait_line('its null hierarchy has a new seed')
        agent.process.wait_line('hint: ')
        agent.stop()
        result = self.make('null', lacks='rsa', status=None)
        self.assert_error(result, 'holds another key', 'hint: remove it')
        self.assertEqual(contents(prefix), before)
        self.assertNotIn('every boot', self.agent('owner', name='other').log())
        self.tpm.assert_no_handles()

    def test_a_cleared_owner_hierarchy_is_named_as_the_reason(self):
        agent = self.agent('owner')
        self.tpm.tool('tpm2_clear')
        self.assertNotEqual(agent.ssh_keygen_sign(self.ecdsa('owner')).returncode, 0)
        agent.process.wait_line('the TPM makes another key now: its owner hierarchy has a new seed')
        agent.process.wait_line('hint: for host keys, ssh-tpm hostkeys --renew --hierarchy owner')
        before = contents(self.lab.path('owner'))
        result = self.make('owner', name='owner', lacks='rsa', status=None)  # as at each boot
        self.assert_error(result, 'holds another key', 'hint: remove it')
        self.assertEqual(contents(self.lab.path('owner')), before)

    def test_the_endorsement_hierarchys_keys_survive_a_clear(self):
        agent = HierarchyAgent(self.lab, 'endorsement')
        self.assertEqual(without_comment(agent.listed()), without_comment(key.line for key in self.keys('endorsement')))
        self.assertEqual([line.split(' ', 2)[2] for line in agent.listed()],
                         [f'endorsement {kind} host key' for kind in KINDS])
        for key in self.keys('endorsement'):
            agent.sign_and_check(key)
        self.tpm.tool('tpm2_clear')
        for key in self.keys('endorsement'):
            agent.sign_and_check(key)
        self.make('endorsement', name='after', lacks='rsa')
        self.assertEqual(self.ecdsa('after').line, self.ecdsa('endorsement').line)

    def test_the_emulator_that_tools_share_serves_them_too(self):
        env = {'SSH_TPM_TCTI': None, 'SSH_TPM_AGENT_SWTPM': '1', 'SSH_TPM_SWTPM_STATE': self.lab.path('emulator')}
        self.make('owner', env=env)
        agent = HierarchyAgent(self.lab, 'owner', env=env)
        self.assertEqual(without_comment(agent.listed()), without_comment(key.line for key in self.keys('prefix')))
        for key in self.keys('prefix') * 2:
            agent.sign_and_check(key)

    def test_a_tpm_that_others_wrong_pins_have_locked_still_signs_with_them(self):
        guarded = self.lab.make_key('x', pin='1234')
        self.lab.keygen('-p', '-P', 'wrong', '-N', '', '-f', guarded.tpm, status=1)
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '1', '-t', '600', '-l', '600')
        refused = self.lab.keygen('-p', '-P', 'wrong', '-N', '', '-f', guarded.tpm, status=1)
        self.assertIn('the TPM is locked', refused.stderr)
        self.agent('endorsement').sign_and_check(self.ecdsa('endorsement'))

    def test_wrong_words_are_errors_that_list_the_right_ones(self):
        prefix = self.lab.path('prefix')
        for word in ('', 'endorsment', 'Owner', '0x81000001', 'eo'):
            for tool, options in (('ssh-tpm-keygen', ('-A', '-f', prefix)), ('ssh-tpm-agent', ())):
                result = self.lab.run(f'{self.lab.bin}/{tool}', *options, '--hierarchy', word)
                self.assert_error(result, *WORDS, status=2, tool=tool)
        self.assertFalse(os.path.exists(prefix))

    def test_a_host_key_with_a_file_is_kept_and_said_so_and_the_other_way_round(self):
        before = contents(self.lab.path('owner'))
        result = self.lab.keygen('-A', '-f', self.lab.path('owner'), status=None)
        self.assert_error(result, 'ssh_tpm_host_ecdsa_key.pub', 'ssh_tpm_host_rsa_key.pub', 'hint: ')
        self.assertEqual(contents(self.lab.path('owner')), before)
        self.lab.keygen('-A', '-f', self.lab.path('prefix'))
        before = contents(self.lab.path('prefix'))
        result = self.make('owner', status=None)
        self.assert_error(result, 'ssh_tpm_host_ecdsa_key.tpm', 'ssh_tpm_host_rsa_key.tpm', 'hint: ')
        self.assertEqual(contents(self.lab.path('prefix')), before)


class HierarchyKeysServed(Hierarchies):
    def test_the_owner_password_is_honoured(self):
        key = self.ecdsa('owner')
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'owned')
        refused = self.make('owner', name='none', status=None)
        self.assert_error(refused, 'the owner hierarchy has a password', 'hint: -o')
        wrong = self.make('owner', name='none', env={'SSH_TPM_AGENT_OWNER_PASSWORD': 'other'}, status=None)
        self.assert_error(wrong, 'the owner password is wrong')
        self.make('owner', '-o', name='asked', lacks='rsa', env=Askpass(self.lab, 'owned').env)
        self.assertEqual(self.ecdsa('asked').line, key.line)
        given = {'SSH_TPM_AGENT_OWNER_PASSWORD': 'owned'}
        agent = self.agent('owner', env=given)
        self.assertEqual(without_comment(agent.listed()), without_comment([key.line]))
        agent.sign_and_check(key)
        self.tpm.reset()
        agent.sign_and_check(key)
        self.assertNotIn(b'owned', self.probe.bytes())
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_hierarchy_that_cannot_be_used_is_a_clear_error(self):
        self.tpm.tool('tpm2_changeauth', '-c', 'endorsement', 'endorsed')
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'owned')
        self.tpm.tool('tpm2_hierarchycontrol', '-C', 'p', 'phEnable', 'clear')
        for hierarchy, *words in (('owner', 'the owner hierarchy has a password', '-o asks for it'),
                                  ('endorsement', 'the endorsement hierarchy has a password', 'hint: '),
                                  ('platform', 'the platform hierarchy is disabled', 'hint: firmware',
                                   'endorsement or owner')):
            socket_path = self.lab.path('failed.sock')
            served = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', socket_path, '--hierarchy', hierarchy)
            self.assert_error(served, *words, tool='ssh-tpm-agent')
            self.assertFalse(os.path.lexists(socket_path))
            self.assert_error(self.make(hierarchy, status=None), *words)
        self.assertEqual(os.listdir(self.lab.path('prefix/etc/ssh')), [])
        self.tpm.assert_no_handles()

    def test_no_slot_is_held_while_idle_and_the_key_comes_back_without_being_made_again(self):
        agent = HierarchyAgent(self.lab, 'endorsement', tcti=self.probe.tcti)
        self.tpm.assert_no_handles()
        self.assertEqual(self.probe.take().count('TPM2_CreatePrimary'), 2)
        for key in self.keys('endorsement'):
            agent.sign_and_check(key)
            agent.sign_and_check(key)
        self.assertEqual(self.probe.take(), ['TPM2_ContextLoad', 'TPM2_Sign', 'TPM2_Sign'] * 2)
        wait_until(lambda: not self.tpm.handles(), 'the idle agent to give back its slots')
        self.probe.take()
        agent.listed()
        agent.sign_and_check(key)
        self.assertEqual(self.probe.take(), ['TPM2_ContextLoad', 'TPM2_Sign'])
        agent.stop()
        self.tpm.assert_no_handles()

    def test_without_a_folder_named_none_is_read_and_no_home_is_needed(self):
        folder = self.lab.make_folder('home/.ssh')
        key = self.lab.make_key('x', folder=folder)
        agent = self.agent('endorsement')
        self.assertEqual(len(agent.listed()), 1)
        agent.stop()
        agent = Agent(self.lab, '--hierarchy', 'endorsement', key_dir=folder, tcti=self.lacking('rsa'))
        self.assertEqual(len(agent.listed()), 2)
        agent.sign_and_check(key)
        agent.stop()
        agent = self.agent('endorsement', env=dict.fromkeys(('HOME', 'USER', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME')))
        self.assertEqual(len(agent.listed()), 1)

    def test_what_was_removed_comes_back_with_sighup(self):
        agent = HierarchyAgent(self.lab, 'endorsement')
        both = agent.listed()
        self.assertEqual(len(both), 2)
        for remove in (lambda: agent.ssh_add('-D', status=0), lambda: agent.process.popen.send_signal(signal.SIGUSR1)):
            remove()
            agent.wait_until_listed([])
            agent.process.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: agent.listed() == both, 'the keys to come back')
        agent.process.popen.send_signal(signal.SIGHUP)
        agent.sign_and_check(self.ecdsa('endorsement'))
        self.assertEqual(agent.listed(), both)

    def test_the_terms_of_the_folders_keys_are_theirs_too(self):
        key = self.ecdsa('owner')
        asked = Askpass(self.lab, 'yes')
        agent = self.agent('owner', '--confirm', env=asked.env)
        agent.ssh_keygen_sign(key, status=0)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.stop()
        agent = self.agent('owner', '-t', '1')
        agent.wait_until_listed([])

    def test_what_the_tpm_lacks_is_warned_of_and_the_rest_is_served(self):
        for lacked, made in (('rsa', 'ecdsa'), ('ecdsa', 'rsa')):
            result = self.make('endorsement', name=made, lacks=lacked)
            self.assertIn('warning: this TPM makes no ', result.stderr)
            self.assertEqual(os.listdir(self.lab.path(made, 'etc/ssh')), [f'ssh_tpm_host_{made}_key.pub'])
            agent = HierarchyAgent(self.lab, 'endorsement', tcti=self.lacking(lacked))
            self.assertEqual(without_comment(agent.listed()),
                             without_comment([read(base_of(self.lab.path(made), made) + '.pub')]))
            self.assertIn('warning: this TPM makes no ', agent.log())
            agent.stop()
        result = self.make('endorsement', name='none', lacks='both', status=None)
        self.assert_error(result, 'neither ECDSA 256 nor RSA 2048')
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
