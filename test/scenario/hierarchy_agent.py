#!/usr/bin/env python3
"""agent --hierarchy: its keys come and go as those of a folder do, and what stands in the way is told."""

import os
import signal
import unittest

from agent import Agent, Askpass
from hierarchy import HierarchyAgent, HierarchyScenario, base_of, without_comment
from lab import read, wait_until
from lesser_tpm import LesserTpm
from swtpm import Probe


class HierarchyKeysServed(HierarchyScenario):
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
            agent.wait_until_listed([])
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
        agent.wait_until_listed([])

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
