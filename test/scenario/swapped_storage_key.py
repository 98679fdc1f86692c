#!/usr/bin/env python3
"""Another storage key in the place of the known one gets no session and no PIN, and nobody is asked for one."""

import os
import shutil
import stat
import unittest

from agent import Agent, Askpass
from knowing import PIN, SESSION, KnownTpmsLab
from lab import NO_LEAK_CHECK, needs_root, wait_until

OTHER_PIN, OWNER_PASSWORD = '5678 is another', 'owner password 5'
LOAD, PRIMARY = 'TPM2_Load', 'TPM2_CreatePrimary'


class SwappedStorageKey(KnownTpmsLab):
    def check_agent_refuses(self, *how):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab, PIN)
        self.started()
        with self.swapping(*how):
            agent = Agent(self.lab, env=askpass.env)
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            if how:  # ESYS takes no such answer, and knows no handle to flush
                self.tpm.tool('tpm2_flushcontext', '-t')
            self.assert_no_session()
        self.assertEqual(askpass.questions(), [])
        agent.stop()
        return key, agent.log()

    def test_an_agent_neither_asks_for_a_pin_nor_starts_a_session(self):
        key, log = self.check_agent_refuses()
        self.assert_refusal(log)
        Agent(self.lab, name='second', env=Askpass(self.lab, PIN, name='again').env).sign_and_check(key)

    def test_with_the_persistent_storage_key_neither(self):
        self.tpm.make_persistent()
        self.assert_refusal(self.check_agent_refuses()[1])

    def test_a_public_area_under_the_old_name_is_no_way_around_it(self):
        self.check_agent_refuses('stale')

    def test_nor_at_the_place_of_the_persistent_storage_key(self):
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
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)  # it has the true one
        self.started()
        with self.swapping('', 'TPM2_Load answer 0x1df times=1'):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assertEqual([name for name in self.started() if name in (LOAD, PRIMARY, SESSION)], [LOAD, PRIMARY])
        self.assert_refusal(self.complaint(agent))
        self.assertEqual(askpass.questions(), [])
        agent.sign_and_check(key)
        self.assertEqual(len(askpass.questions()), 1)

    def test_a_pin_for_ssh_add_is_not_asked_for_either(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        self.started()
        with self.swapping():
            result = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', key.tpm,
                                  env={'SSH_AUTH_SOCK': agent.socket, **askpass.env})
            self.assertNotEqual(result.returncode, 0)
            self.assert_no_session()
        self.assertEqual(askpass.questions(), [])
        self.assert_refusal(self.complaint(agent))

    def check_keygen_refuses(self, *options):
        for persistent in (False, True):
            with self.subTest(persistent=persistent):
                if persistent and '0x81000001' not in self.tpm.tool('tpm2_getcap', 'handles-persistent'):
                    self.tpm.make_persistent()
                self.started()
                with self.swapping():
                    result = self.lab.keygen(*options, status=None)
                    self.assert_error(result)
                    self.assert_refusal(result.stderr)
                    self.assert_no_session()

    def test_keygen_makes_no_key_under_another_parent(self):
        self.lab.make_key('x')
        self.check_keygen_refuses('-N', PIN, '-f', self.lab.path('keys/y'))
        self.assertEqual(sorted(os.listdir(self.lab.keys)), ['x.pub', 'x.tpm'])
        self.lab.keygen('-N', PIN, '-f', self.lab.path('keys/y'))

    def test_keygen_changes_no_pin_under_another_parent(self):
        key = self.lab.make_key('x', pin=PIN)
        self.check_keygen_refuses('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER_PIN)
        self.lab.keygen('-p', '-f', key.tpm, '-P', PIN, '-N', OTHER_PIN)
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_keygen_imports_no_key_under_another_parent(self):
        self.lab.make_key('x')
        soft = self.lab.path('soft')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', soft)
        self.check_keygen_refuses('--import', soft, '-N', PIN, '-f', self.lab.path('keys/y'))
        self.lab.keygen('--import', soft, '-N', PIN, '-f', self.lab.path('keys/y'))

    def test_a_key_that_was_wrapped_for_the_tpm_is_not_imported_under_another_parent(self):
        self.tpm.make_persistent()
        parent, soft = self.lab.path('parent.pub'), self.lab.path('soft')
        self.tpm.tool('tpm2_readpublic', '-c', '0x81000001', '-o', parent)
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', soft)
        self.lab.keygen('--wrap', soft, '--wrap-with', parent, '-N', PIN, '-f', self.lab.path('wrapped'))
        self.lab.make_key('x')
        importing = ('--import', self.lab.path('wrapped.tpm'), '-P', PIN, '-f', self.lab.path('keys/y'))
        self.check_keygen_refuses(*importing)
        self.lab.keygen(*importing)

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
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
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

    @needs_root
    def test_in_a_folder_that_it_may_not_write_an_agent_signs_and_refuses_all_the_same(self):
        key = self.lab.make_key('x', pin=PIN)
        askpass = Askpass(self.lab, PIN, PIN)
        os.chmod(self.folder, stat.S_IRUSR | stat.S_IXUSR)
        no_override = ('setpriv', '--bounding-set', '-all', '--inh-caps', '-all')
        program = self.lab.write('agent.sh', '#!/bin/sh\nexec ' + ' '.join(no_override) +
                                 f' {self.lab.bin}/ssh-tpm-agent "$@"\n', mode=0o755)
        agent = Agent(self.lab, env={**askpass.env, **NO_LEAK_CHECK}, program=program)
        agent.sign_and_check(key)
        agent.stop()
        self.assertEqual(len(askpass.questions()), 1)
        with self.swapping():
            agent = Agent(self.lab, name='second', env={**askpass.env, **NO_LEAK_CHECK}, program=program)
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        self.assert_refusal(self.complaint(agent))
        self.assertEqual(len(askpass.questions()), 1)

    def test_without_a_place_to_keep_it_the_storage_key_is_known_for_the_run(self):
        key = self.lab.make_key('x', pin=PIN)
        shutil.rmtree(self.folder)
        self.lab.write('state/ssh-tpm', '')  # no folder can be made there
        askpass = Askpass(self.lab, PIN, PIN)
        agent = Agent(self.lab, env=askpass.env)
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
