#!/usr/bin/env python3
"""keygen -A --hierarchy writes the .pub files of keys that agent --hierarchy makes in the TPM."""

import os
import signal
import socket
import unittest

from agent import Agent, Askpass
from hierarchy import KINDS, HierarchyAgent, base_of, primary_of_tools, read_public, without_comment
from lab import Scenario, contents, mode, read, wait_until
from lesser_tpm import LesserTpm
from swtpm import Probe, Swtpm

WORDS = {'endorsement': 'e', 'owner': 'o', 'platform': 'p', 'null': 'n'}
LASTING = 'endorsement', 'owner', 'platform'


class HierarchyKeys(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)

    def prefix(self, name='prefix'):
        return self.lab.path(name)

    def make(self, hierarchy, *options, name='prefix', status=0, **more):
        return self.lab.keygen('-A', '-f', self.prefix(name), '--hierarchy', hierarchy, *options,
                               status=status, **more)

    def keys(self, name='prefix'):
        return [read_public(self.prefix(name), kind) for kind in KINDS]

    def test_only_public_files_are_written(self):
        self.make('endorsement', umask=0o077)
        self.assertEqual(sorted(os.listdir(os.path.join(self.prefix(), 'etc/ssh'))),
                         ['ssh_tpm_host_ecdsa_key.pub', 'ssh_tpm_host_rsa_key.pub'])
        for key in self.keys():
            self.assertEqual(mode(key.pub), 0o644)
            self.assertEqual(key.comment, 'root@' + socket.gethostname())
        self.assertEqual([self.lab.ssh_keygen('-l', '-f', key.pub).split()[0] for key in self.keys()],
                         ['256', '2048'])
        self.tpm.assert_no_handles()

    def test_they_are_the_keys_that_the_agent_lists_and_that_sign(self):
        for word, letter in WORDS.items():
            with self.subTest(word):
                self.make(word, name=word)
                self.make(letter, name=letter)
                lines = [key.line for key in self.keys(word)]
                self.assertEqual([key.line for key in self.keys(letter)], lines)
                for name in (word, letter):
                    agent = HierarchyAgent(self.lab, name)
                    self.tpm.assert_no_handles()
                    self.assertEqual(without_comment(agent.listed()), without_comment(lines))
                    self.assertEqual([line.split(' ', 2)[2] for line in agent.listed()],
                                     [f'{word} {kind} host key' for kind in KINDS])
                    for key in self.keys(name):
                        agent.sign_and_check(key)
                    agent.stop()
                self.tpm.assert_no_handles()

    def test_they_are_the_keys_that_tpm2_tools_make_from_the_same_template(self):
        for word, letter in WORDS.items():
            self.make(word, name=word)
            for key, kind in zip(self.keys(word), KINDS):
                self.assertIn(primary_of_tools(self.tpm, letter, kind), key.blob)

    def test_all_are_different(self):
        blobs = set()
        for word in WORDS:
            self.make(word, name=word)
            blobs.update(key.blob for key in self.keys(word))
        self.assertEqual(len(blobs), len(WORDS) * len(KINDS))

    def test_twice_gives_the_same_bytes_and_the_second_time_needs_no_tpm(self):
        for word in LASTING:
            self.make(word, name=word)
            before = contents(self.prefix(word))
            result = self.make(word, name=word, env=self.lab.no_tpm)
            self.assertEqual((contents(self.prefix(word)), result.stdout, result.stderr), (before, '', ''))
            self.make(word, name=word + '.again')
            self.assertEqual([key.line for key in self.keys(word + '.again')],
                             [key.line for key in self.keys(word)])

    def test_one_that_is_missing_comes_back(self):
        self.make('owner')
        before = contents(self.prefix())
        for spoil in (os.unlink, lambda path: os.truncate(path, 0)):
            spoil(base_of(self.prefix(), 'rsa') + '.pub')
            self.make('owner')
            self.assertEqual(contents(self.prefix()), before)

    def test_after_a_reset_the_keys_are_the_same_but_for_the_null_hierarchys(self):
        lines = {}
        for word in WORDS:
            self.make(word, name=word)
            lines[word] = without_comment(key.line for key in self.keys(word))
        self.tpm.reset()
        for word in WORDS:
            agent = HierarchyAgent(self.lab, word)
            same = without_comment(agent.listed()) == lines[word]
            self.assertEqual(same, word in LASTING)
            agent.stop()

    def test_null_is_warned_of_and_a_key_of_before_is_not_written_over(self):
        result = self.make('null')
        self.assertRegex(result.stderr, '(?m)^ssh-tpm-keygen: warning: .*every boot')
        before = contents(self.prefix())
        self.make('null')
        self.assertEqual(contents(self.prefix()), before)
        self.tpm.reset()
        result = self.make('null', status=None)
        self.assert_error(result, 'holds another key', 'hint: remove it')
        self.assertEqual(contents(self.prefix()), before)
        agent = HierarchyAgent(self.lab, 'null')
        self.assertRegex(agent.log(), '(?m)^ssh-tpm-agent: warning: .*every boot')
        self.assertNotIn('warning: ', HierarchyAgent(self.lab, 'owner', name='other').log())

    def test_a_null_key_that_a_reset_took_is_refused_and_not_replaced(self):
        self.make('null')
        key = self.keys()[0]
        agent = HierarchyAgent(self.lab, 'null')
        agent.sign_and_check(key)
        self.tpm.reset()
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('its null hierarchy has a new seed')
        agent.process.wait_line('hint: ')
        self.tpm.assert_no_handles()

    def test_a_cleared_owner_hierarchy_is_named_as_the_reason(self):
        self.make('owner')
        agent = HierarchyAgent(self.lab, 'owner')
        self.tpm.tool('tpm2_clear')
        self.assertNotEqual(agent.ssh_keygen_sign(self.keys()[0]).returncode, 0)
        agent.process.wait_line('the TPM makes another key now: its owner hierarchy has a new seed')

    def test_the_endorsement_hierarchys_keys_survive_a_clear(self):
        self.make('endorsement')
        agent = HierarchyAgent(self.lab, 'endorsement')
        for key in self.keys():
            agent.sign_and_check(key)
        self.tpm.tool('tpm2_clear')
        for key in self.keys():
            agent.sign_and_check(key)
        self.make('endorsement', name='after')
        self.assertEqual([key.line for key in self.keys('after')], [key.line for key in self.keys()])

    def test_the_emulator_that_tools_share_serves_them_too(self):
        env = {'SSH_TPM_TCTI': None, 'SSH_TPM_AGENT_SWTPM': '1',
               'SSH_TPM_SWTPM_STATE': self.lab.path('emulator')}
        self.make('owner', env=env)
        agent = HierarchyAgent(self.lab, 'owner', env=env)
        self.assertEqual(without_comment(agent.listed()), without_comment(key.line for key in self.keys()))
        for key in self.keys() * 2:
            agent.sign_and_check(key)

    def test_a_tpm_that_others_wrong_pins_have_locked_still_signs_with_them(self):
        self.make('endorsement')
        guarded = self.lab.make_key('x', pin='1234')
        self.lab.keygen('-p', '-P', 'wrong', '-N', '', '-f', guarded.tpm, status=1)
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '1', '-t', '600', '-l', '600')
        refused = self.lab.keygen('-p', '-P', 'wrong', '-N', '', '-f', guarded.tpm, status=1)
        self.assertIn('the TPM is locked', refused.stderr)
        agent = HierarchyAgent(self.lab, 'endorsement')
        for key in self.keys():
            agent.sign_and_check(key)

    def test_wrong_words_are_errors_that_list_the_right_ones(self):
        for word in ('', 'endorsment', 'Owner', '0x81000001', 'eo'):
            for tool, options in (('ssh-tpm-keygen', ('-A', '-f', self.prefix())), ('ssh-tpm-agent', ())):
                result = self.lab.run(f'{self.lab.bin}/{tool}', *options, '--hierarchy', word)
                self.assert_error(result, *WORDS, status=2, tool=tool)
        self.assertFalse(os.path.exists(self.prefix()))

    def test_it_goes_with_host_keys_alone(self):
        for options in ((), ('-l',), ('-p',)):
            result = self.lab.keygen(*options, '--hierarchy', 'owner', '-f', self.lab.path('x'), status=None)
            self.assert_error(result, '--hierarchy goes with -A', status=2)

    def test_a_host_key_with_a_file_is_kept_and_said_so(self):
        self.lab.keygen('-A', '-f', self.prefix())
        before = contents(self.prefix())
        result = self.make('owner', status=None)
        self.assert_error(result, 'ssh_tpm_host_ecdsa_key.tpm', 'ssh_tpm_host_rsa_key.tpm', 'hint: ')
        self.assertEqual(contents(self.prefix()), before)

    def test_and_so_is_a_hierarchys_key_where_one_with_a_file_is_asked_for(self):
        self.make('owner')
        before = contents(self.prefix())
        result = self.lab.keygen('-A', '-f', self.prefix(), status=None)
        self.assert_error(result, 'ssh_tpm_host_ecdsa_key.pub', 'ssh_tpm_host_rsa_key.pub', 'hint: ')
        self.assertEqual(contents(self.prefix()), before)

    def test_the_owner_password_is_honoured(self):
        self.make('owner')
        lines = [key.line for key in self.keys()]
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'owned')
        probe = Probe(self.tpm)
        refused = self.make('owner', name='none', status=None)
        self.assert_error(refused, 'the owner hierarchy has a password', 'hint: -o')
        wrong = self.make('owner', name='none', env={'SSH_TPM_AGENT_OWNER_PASSWORD': 'other'}, status=None)
        self.assert_error(wrong, 'the owner password is wrong')
        given = {'SSH_TPM_AGENT_OWNER_PASSWORD': 'owned'}
        self.make('owner', '--tcti', probe.tcti, name='variable', env=given)
        asked = Askpass(self.lab, 'owned')
        self.make('owner', '-o', name='asked', env=asked.env)
        for name in ('variable', 'asked'):
            self.assertEqual([key.line for key in self.keys(name)], lines)
        agent = HierarchyAgent(self.lab, 'owner', tcti=probe.tcti, env=given)
        self.assertEqual(without_comment(agent.listed()), without_comment(lines))
        for key in self.keys():
            agent.sign_and_check(key)
        self.tpm.reset()
        for key in self.keys():
            agent.sign_and_check(key)
        self.assertNotIn(b'owned', probe.bytes())
        agent.stop()
        self.tpm.assert_no_handles()

    def assert_agent_fails(self, hierarchy, *words):
        socket_path = self.lab.path('failed.sock')
        result = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-l', socket_path, '--hierarchy', hierarchy)
        self.assert_error(result, *words, tool='ssh-tpm-agent')
        self.assertFalse(os.path.lexists(socket_path))

    def test_a_password_that_cannot_be_given_is_a_clear_error(self):
        self.tpm.tool('tpm2_changeauth', '-c', 'endorsement', 'endorsed')
        words = 'the endorsement hierarchy has a password', 'hint: '
        self.assert_error(self.make('endorsement', status=None), *words)
        self.assert_agent_fails('endorsement', *words)
        self.assertEqual(os.listdir(os.path.join(self.prefix(), 'etc/ssh')), [])
        self.tpm.tool('tpm2_changeauth', '-c', 'owner', 'owned')
        self.assert_agent_fails('owner', 'the owner hierarchy has a password', '-o')
        self.tpm.assert_no_handles()

    def test_a_disabled_hierarchy_is_a_clear_error(self):
        self.tpm.tool('tpm2_hierarchycontrol', '-C', 'p', 'phEnable', 'clear')
        words = 'the platform hierarchy is disabled', 'hint: firmware', 'endorsement or owner'
        self.assert_error(self.make('platform', status=None), *words)
        self.assert_agent_fails('platform', *words)
        self.tpm.assert_no_handles()

    def test_no_slot_is_held_while_idle_and_the_key_comes_back_without_being_made_again(self):
        self.make('endorsement')
        probe = Probe(self.tpm)
        agent = HierarchyAgent(self.lab, 'endorsement', tcti=probe.tcti)
        self.tpm.assert_no_handles()
        self.assertEqual(probe.take().count('TPM2_CreatePrimary'), 2)
        for key in self.keys():
            agent.sign_and_check(key)
        self.assertEqual(probe.take(), ['TPM2_ContextLoad', 'TPM2_Sign'] * 2)
        for key in self.keys():
            agent.sign_and_check(key)
        self.assertEqual(probe.take(), ['TPM2_Sign'] * 2)
        self.assertEqual(len(self.tpm.handles()), 2)
        wait_until(lambda: not self.tpm.handles(), 'the idle agent to give back its slots')
        probe.take()
        agent.listed()
        self.assertEqual(probe.take(), [])
        agent.sign_and_check(self.keys()[1])
        self.assertEqual(probe.take(), ['TPM2_ContextLoad', 'TPM2_Sign'])
        agent.stop()
        self.tpm.assert_no_handles()

    def test_without_a_folder_named_none_is_read(self):
        folder = self.lab.make_folder('home/.ssh')
        key = self.lab.make_key('x', folder=folder)
        agent = HierarchyAgent(self.lab, 'endorsement')
        self.assertEqual(len(agent.listed()), 2)
        agent.stop()
        agent = Agent(self.lab, '--hierarchy', 'endorsement', key_dir=folder)
        self.assertEqual(len(agent.listed()), 3)
        agent.sign_and_check(key)
        agent.stop()

    def test_no_home_is_needed(self):
        env = {name: None for name in ('HOME', 'USER', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME')}
        agent = HierarchyAgent(self.lab, 'endorsement', env=env)
        self.assertEqual(len(agent.listed()), 2)

    def test_what_was_removed_comes_back_with_sighup(self):
        agent = HierarchyAgent(self.lab, 'endorsement')
        both = agent.listed()
        for remove in (lambda: agent.ssh_add('-D', status=0),
                       lambda: agent.process.popen.send_signal(signal.SIGUSR1)):
            remove()
            wait_until(lambda: agent.listed() == [], 'the keys to go')
            agent.process.popen.send_signal(signal.SIGHUP)
            wait_until(lambda: agent.listed() == both, 'the keys to come back')
        agent.process.popen.send_signal(signal.SIGHUP)
        self.make('endorsement')
        agent.sign_and_check(self.keys()[0])
        self.assertEqual(agent.listed(), both)

    def test_the_terms_of_the_folders_keys_are_theirs_too(self):
        self.make('owner')
        asked = Askpass(self.lab, 'yes')
        agent = HierarchyAgent(self.lab, 'owner', '--confirm', env=asked.env)
        agent.ssh_keygen_sign(self.keys()[0], status=0)
        self.assertNotEqual(agent.ssh_keygen_sign(self.keys()[0]).returncode, 0)
        agent.stop()
        agent = HierarchyAgent(self.lab, 'owner', '-t', '1')
        wait_until(lambda: agent.listed() == [], 'the keys to die')

    def test_what_the_tpm_lacks_is_warned_of_and_the_rest_is_served(self):
        for lacked, made in (('rsa', 'ecdsa'), ('ecdsa', 'rsa')):
            less = LesserTpm(self.tpm, lacked)
            result = self.make('endorsement', '--tcti', less.tcti, name=made)
            self.assertIn('warning: this TPM makes no ', result.stderr)
            self.assertTrue(os.path.exists(base_of(self.prefix(made), made) + '.pub'))
            self.assertFalse(os.path.exists(base_of(self.prefix(made), lacked) + '.pub'))
            agent = HierarchyAgent(self.lab, 'endorsement', tcti=less.tcti)
            self.assertEqual(without_comment(agent.listed()),
                             without_comment([read(base_of(self.prefix(made), made) + '.pub')]))
            self.assertIn('warning: this TPM makes no ', agent.log())
            agent.stop()
        none = LesserTpm(self.tpm, 'ecdsa', 'rsa')
        result = self.make('endorsement', '--tcti', none.tcti, name='none', status=None)
        self.assert_error(result, 'neither ECDSA 256 nor RSA 2048')
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
