#!/usr/bin/env python3
"""keygen -A --hierarchy writes the .pub files of keys that agent --hierarchy makes in the TPM."""

import os
import socket
import unittest

from hierarchy import KINDS, HierarchyAgent, HierarchyScenario, base_of, primary_of_tools, without_comment
from lab import contents, mode

WORDS = {'endorsement': 'e', 'owner': 'o', 'platform': 'p', 'null': 'n'}
LASTING = 'endorsement', 'owner', 'platform'


class HierarchyKeys(HierarchyScenario):
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
            self.assert_error(result, '--hierarchy has no effect', 'it goes with -A', status=2)

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


if __name__ == '__main__':
    unittest.main()
