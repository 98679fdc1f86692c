#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Dictionary-attack protection, told with the TPM's own numbers; the last try is spent on a person's word alone;
and a TPM in lockout goes on signing with the keys that have no PIN. And tpm-try-pin@ssh-tpm: the agent has the TPM try
a PIN, and remembers it for no other key than it was for."""

import os
import unittest

import protocol
from agent import Agent, Askpass, ours
from lab import Scenario, contents, read_key, unwrapped, wait_until
from neighbour import LOCKOUT_COUNTER, MAX_AUTH_FAIL
from protocol import KEPT, NOT_KEPT, SESSION_BIND, extension, lock, read_pin_outcome, try_pin, unlock
from softkey import SoftKey
from swtpm import STORAGE_KEY, Probe, Swtpm
from terminal import Terminal

PIN, WRONG, NEW = 'the right pin 1', 'the wrong pin 2', 'a new pin 3'
OTHER = b'another one'
LAST = 'LAST TRY: another wrong PIN locks the TPM. Try it? (y/N) '
ASK_OLD = 'Enter old passphrase: '
SAVED = 'saved with the new passphrase'


class Lockout(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.ours = f'{self.lab.bin}/ssh-tpm-keygen'
        self.limit(3, 600)
        self.key = self.lab.make_key('x', pin=PIN)

    def limit(self, tries, interval, recovery=600):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', str(tries), '-t', str(interval), '-l', str(recovery))

    def tries_left(self):
        return self.tpm.property(MAX_AUTH_FAIL) - self.tpm.property(LOCKOUT_COUNTER)

    def change(self, old, *, key=None, status=1, **more):
        return self.lab.keygen('-p', '-f', (key or self.key).tpm, '-P', old, '-N', NEW, status=status, **more)

    def spend(self, left):
        """Wrong PINs until that many tries are left; the last one is spent at a terminal."""
        while self.tries_left() > max(left, 1):
            self.change(WRONG)
        if left == 0:
            with self.change_on_terminal(WRONG) as terminal:
                terminal.answer(LAST, 'y')
                self.assertEqual(terminal.finish(), 1)
        self.assertEqual(self.tries_left(), left)

    def change_on_terminal(self, old=None, key=None):
        given = ('-P', old) if old else ()
        return Terminal(self.lab, self.ours, '-p', '-f', (key or self.key).tpm, *given, '-N', NEW)

    def assert_told(self, text, interval, whole):
        self.assertIn(f'the TPM is locked; one try comes back {interval}, all of them within {whole}', text)

    def test_a_wrong_pin_is_told_with_the_tries_that_the_tpm_counts(self):
        self.limit(7, 600)
        for _ in range(4):
            result = self.change(WRONG)
            self.assert_error(result, 'the PIN is wrong; nothing was changed',
                              f'{self.tries_left()} wrong PINs left before the TPM locks')
        self.assertEqual(self.tries_left(), 3)
        self.limit(32, 600)  # what the TPM says now counts
        result = self.change(WRONG)
        self.assertIn(f'{self.tries_left()} wrong PINs left', result.stderr)
        self.assertEqual(self.tries_left(), 27)

    def test_without_a_terminal_the_last_try_is_not_spent(self):
        self.spend(1)
        before = contents(self.lab.keys)
        askpass = Askpass(self.lab, PIN)
        for old, stdin in ((WRONG, None), (PIN, None), (WRONG, 'y\n')):
            result = self.change(old, stdin=stdin)
            self.assert_error(result, 'LAST TRY', 'without a terminal', 'every 10 minutes')
        result = self.lab.keygen('-p', '-f', self.key.tpm, '-N', NEW, status=1, env=askpass.env)
        self.assert_error(result, 'LAST TRY')
        self.assertEqual(askpass.questions(), [])
        self.assertEqual(self.tries_left(), 1)
        self.assertEqual(contents(self.lab.keys), before)
        self.tpm.assert_no_handles()

    def test_at_a_terminal_no_and_silence_spend_nothing(self):
        self.spend(1)
        before = contents(self.lab.keys)
        for answer in ('n', '', 'N', 'maybe', '\x04'):
            for old in (WRONG, None):
                with self.subTest(answer=answer, old=old), self.change_on_terminal(old) as terminal:
                    terminal.read_until(LAST)
                    terminal.type(answer if answer == '\x04' else answer + '\n')
                    self.assertEqual(terminal.finish(), 1)
                    self.assertIn('the last try was not spent', terminal.transcript)
                    self.assertNotIn(ASK_OLD, terminal.transcript)
        self.assertEqual(self.tries_left(), 1)
        self.assertEqual(contents(self.lab.keys), before)

    def test_at_a_terminal_yes_spends_it_and_the_right_pin_works_or_the_tpm_locks_and_says_for_how_long(self):
        self.spend(1)
        with self.change_on_terminal() as terminal:
            self.assertTrue(terminal.answer(LAST, 'y'))
            self.assertFalse(terminal.answer(ASK_OLD, PIN))
            self.assertEqual(terminal.finish(), 0, terminal.transcript)
            self.assertIn(SAVED, terminal.transcript)
            self.assertEqual(terminal.transcript.count('LAST TRY'), 1)
        self.assertEqual(self.tries_left(), 1)
        with self.change_on_terminal() as terminal:
            terminal.answer(LAST, 'yes')
            terminal.answer(ASK_OLD, WRONG)
            self.assertEqual(terminal.finish(), 1)
            self.assertIn('the PIN is wrong; nothing was changed', terminal.transcript)
            told = unwrapped(terminal.transcript)
            self.assert_told(told, 'every 10 minutes', '30 minutes')
            self.assertIn('tpm2_dictionarylockout --clear-lockout ends it at once; LOCKOUT in ssh-tpm(7)', told)
            self.assertEqual(told.count('wrong'), 2, told)  # the question for the last try, and one message
        self.assertEqual(self.tries_left(), 0)

    def test_the_last_try_is_seen_even_when_another_program_makes_it_so_while_a_person_types(self):
        self.spend(2)
        with self.change_on_terminal() as terminal:
            terminal.read_until(ASK_OLD)
            self.change(WRONG)
            terminal.type(WRONG + '\n')
            terminal.answer(LAST, 'n')
            self.assertEqual(terminal.finish(), 1)
        self.assertEqual(self.tries_left(), 1)

    def test_a_wrapped_key_is_tried_under_the_same_rules(self):
        parent = self.lab.path('parent.pem')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-a', STORAGE_KEY,
                       '-c', self.lab.path('parent.ctx'), '-f', 'pem', '-o', parent)
        source, wrapped = self.lab.path('soft'), self.lab.path('wrapped')
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', source)
        self.lab.keygen('--wrap', source, '--wrap-with', parent, '-N', PIN, '-f', wrapped)
        options = ('--import', wrapped + '.tpm', '-f', self.lab.path('keys/imported'))
        result = self.lab.keygen(*options, '-P', WRONG, status=1)
        self.assert_error(result, 'the PIN is wrong; the key was not kept', '2 wrong PINs left')
        self.spend(1)
        self.assert_error(self.lab.keygen(*options, '-P', WRONG, status=1), 'LAST TRY')
        self.assertEqual(self.tries_left(), 1)
        with Terminal(self.lab, self.ours, *options) as terminal:
            terminal.answer(LAST, 'n')
            self.assertEqual(terminal.finish(), 1)
        with Terminal(self.lab, self.ours, *options) as terminal:
            terminal.answer(LAST, 'y')
            terminal.answer('Enter passphrase: ', PIN)
            self.assertEqual(terminal.finish(), 0, terminal.transcript)
        self.spend(0)
        self.assert_told(self.lab.keygen('--import', wrapped + '.tpm', '-f', self.lab.path('keys/more'), '-P',
                                         PIN, status=1).stderr, 'every 10 minutes', '30 minutes')

    def add(self, agent, *answers, stdin=None, env=None):
        askpass = Askpass(self.lab, *answers, name=f'askpass{len(self.lab.processes)}{len(answers)}')
        result = agent.add('--pin', self.key.tpm, stdin=stdin, env=askpass.env if env is None else env)
        return result, askpass.questions()

    def test_add_spends_the_last_try_where_somebody_reads_the_question(self):
        agent = Agent(self.lab, '--no-load')
        self.spend(1)
        result, _ = self.add(agent, stdin=WRONG + '\n', env={})
        self.assertIn('LAST TRY', result.stderr)
        self.assertEqual((result.returncode, self.tries_left()), (1, 1))
        result, questions = self.add(agent, PIN)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(questions[0], f'Enter passphrase for {self.key.tpm}\n'
                                       'LAST TRY: a wrong PIN locks the TPM. Enter PIN: ')
        self.assertEqual(self.tries_left(), 1)
        agent.sign_and_check(self.key)

    def test_in_lockout_keys_without_a_pin_sign_and_guarded_ones_are_refused_unasked_with_the_time(self):
        free = [self.lab.make_key('ecdsa'), self.lab.make_key('rsa', 'rsa', 2048)]
        self.lab.keygen('-A', '-f', self.lab.path('root'))
        host = read_key(self.lab.path('root/etc/ssh/ssh_tpm_host_ecdsa_key'))
        askpass = Askpass(self.lab, PIN)
        self.spend(0)
        probe = Probe(self.tpm)
        hosts = Agent(self.lab, name='hosts', key_dir=self.lab.path('root/etc/ssh'))
        hosts.sign_and_check(host)
        hosts.stop()  # the TPM has slots for one agent
        agent = Agent(self.lab, env=askpass.env)
        for key in free:
            agent.sign_and_check(key)
        self.assertNotEqual(agent.ssh_keygen_sign(self.key).returncode, 0)
        self.assertEqual(askpass.questions(), [])
        agent.process.wait_line('the TPM is locked')
        self.assert_told(agent.log(), 'every 10 minutes', '30 minutes')
        before = contents(self.lab.keys)
        result = self.change(PIN, env={'SSH_TPM_TCTI': probe.tcti})
        self.assertEqual(contents(self.lab.keys), before)
        self.assert_error(result, 'has no lockout password')
        self.assert_told(result.stderr, 'every 10 minutes', '30 minutes')
        self.assertNotIn('TPM2_Sign', probe.take())
        with self.change_on_terminal() as terminal:
            self.assertEqual(terminal.finish(), 1)
            self.assertNotIn(ASK_OLD, terminal.transcript)
        result, questions = self.add(agent, PIN)
        self.assertEqual((result.returncode, questions), (1, []))
        self.assert_told(result.stderr, 'every 10 minutes', '30 minutes')
        agent.stop()
        self.assert_told(self.lab.keygen('-q', '-N', PIN, '-f', self.lab.path('keys/new'), status=1).stderr,
                         'every 10 minutes', '30 minutes')  # a new guarded key cannot be tried
        self.lab.make_key('new')
        self.tpm.assert_no_handles()

    def test_a_parent_that_is_not_exempt_is_told_when_a_key_is_made_and_when_it_is_refused(self):
        handle, context = '0x81000055', self.lab.path('kept.ctx')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-c', context)  # as guides have it, without noDA
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', context, handle)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        warning, keys = f'warning: the parent {handle} is not exempt from lockout', []
        for name, options in (('made', ('-N', '')), ('brought', ('-N', '', '--import', soft.path)),
                              ('guarded', ('-N', PIN))):
            path = self.lab.path('keys', name)
            result = self.lab.keygen('-q', *options, '-f', path, '--parent-handle', handle)
            self.assertEqual(warning in result.stderr, name != 'guarded', result.stderr)
            keys.append(read_key(path))
        self.spend(0)
        refusal = f"the key's parent, {handle}, is not exempt from lockout (noDA): the TPM is locked; one try"
        agent = Agent(self.lab)
        for key in keys[:2]:
            agent.process.lines.clear()
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            agent.process.wait_line(refusal)
            self.assert_told(agent.log(), 'every 10 minutes', '30 minutes')
        agent.stop()
        for options in (('-N', ''), ('-N', '', '--import', soft.path)):
            result = self.lab.keygen('-q', *options, '-f', self.lab.path('keys/y'), '--parent-handle', handle, status=1)
            self.assert_error(result, refusal)
            self.assert_told(result.stderr, 'every 10 minutes', '30 minutes')
        self.tpm.tool('tpm2_dictionarylockout', '--clear-lockout')
        again = Agent(self.lab, name='again')
        for key in keys[:2]:
            again.sign_and_check(key)

    def test_a_lockout_password_and_what_a_wrong_one_costs_are_told(self):
        self.limit(3, 7200, 1000)
        self.tpm.tool('tpm2_changeauth', '-c', 'l', 'secret')
        self.spend(0)
        result = self.change(PIN)
        self.assert_told(result.stderr, 'every 2 hours', '6 hours')
        self.assert_error(result, 'LOCKOUT in ssh-tpm(7)',
                          'lockout password ends it at once: tpm2_dictionarylockout --clear-lockout -p PASSWORD')
        self.assertIn('takes none for 17 minutes', result.stderr)
        self.tpm.tool('tpm2_dictionarylockout', '--clear-lockout', '-p', 'secret')
        self.change(PIN, status=0)

    def test_after_the_interval_it_works_again(self):
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        self.spend(0)
        self.assertNotEqual(agent.ssh_keygen_sign(self.key).returncode, 0)
        self.limit(3, 1)
        wait_until(lambda: self.tries_left() == 3, 'a counter that is back at zero')
        agent.sign_and_check(self.key)
        self.assertEqual(len(askpass.questions()), 1)
        self.change(PIN, status=0)

    def test_a_limit_of_one_announces_the_last_try_unless_the_tpm_counts_nothing(self):
        self.limit(1, 600)
        self.assert_error(self.change(WRONG), 'LAST TRY')
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.limit(1, 0)
        self.assert_error(self.change(WRONG), 'the PIN is wrong', 'does not count wrong PINs')
        self.change(PIN, status=0)

    def test_wrong_pins_of_exempt_keys_are_not_counted_and_may_be_tried_always(self):
        exempt = self.lab.make_key('exempt')
        self.lab.keygen('-p', '-f', exempt.tpm, '-N', PIN)
        for left in (1, 0):
            self.spend(left)
            result = self.change(WRONG, key=exempt)
            self.assert_error(result, 'the PIN is wrong', 'does not count wrong PINs of this key')
            self.assertEqual(self.tries_left(), left)
        probe = Probe(self.tpm)
        self.change(WRONG, key=exempt, env={'SSH_TPM_TCTI': probe.tcti})
        probe.take(refused=('TPM2_Sign 0x000009a2',))  # TPM_RC_BAD_AUTH
        self.change(PIN, key=exempt, status=0)


@ours
class TryPin(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.askpass = Askpass(self.lab)  # which has no answer

    def agent(self, *options, **more):
        return Agent(self.lab, *options, env=self.askpass.env, **more)

    def outcome(self, connection, key, pin):
        return read_pin_outcome(connection.request(try_pin(key.blob, pin)))

    def test_a_key_without_a_pin_takes_any_never_asks_for_one_and_troubles_the_tpm_once(self):
        """The TPM shows that the word of the key's file is true."""
        key, soft, probe = self.lab.make_key('x'), SoftKey(self.lab, self.lab.path('soft')), Probe(self.tpm)
        agent = self.agent(tcti=probe.tcti)
        agent.ssh_add(soft.path, status=0)
        with agent.connect() as connection:
            for chosen in (key, soft.key):
                for pin, signatures in ((OTHER, 1), (b'', 0), (OTHER, 0)):
                    probe.take()
                    self.assertEqual(self.outcome(connection, chosen, pin), KEPT)
                    commands = [name for name in probe.take() if name != 'TPM2_FlushContext']
                    self.assertEqual(commands.count('TPM2_Sign'), signatures)
                    if not signatures:
                        self.assertEqual(commands, [])
                self.assertIsNotNone(connection.sign(chosen.blob, b'data'))
        self.assertEqual(self.askpass.questions(), [])
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_the_right_pin_is_known_from_then_on_until_a_wrong_one_is_given(self):
        key, second = self.lab.make_key('x', pin=PIN), self.lab.make_key('y', pin=PIN)
        agent = self.agent()
        with agent.connect() as connection:
            self.assertEqual(self.outcome(connection, key, PIN.encode()), KEPT)
            self.assertIsNotNone(connection.sign(key.blob, b'data'))
            self.assertEqual(self.askpass.questions(), [])
            self.assertIsNone(connection.sign(second.blob, b'data'))
            self.assertEqual(len(self.askpass.questions()), 1)
            self.assertEqual(self.outcome(connection, key, OTHER), protocol.WRONG)
            told = agent.process.wait_line(f'a wrong PIN for {key.tpm}')
            self.assertIn(f'(pid {os.getpid()})', told)
            self.assertIsNone(connection.sign(key.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), 2)
        self.assertEqual(self.tpm.wrong_tries(), 1)

    def test_without_a_cache_the_right_pin_is_not_kept(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent('--no-cache')
        with agent.connect() as connection:
            self.assertEqual(self.outcome(connection, key, PIN.encode()), NOT_KEPT)
            self.assertIsNone(connection.sign(key.blob, b'data'))
        self.assertEqual(len(self.askpass.questions()), 1)

    def test_it_is_refused_where_others_could_guess(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent()
        stranger = SoftKey(self.lab, self.lab.path('soft'))
        with agent.connect() as owner, agent.connect() as bound:
            self.assertIsNone(self.outcome(owner, stranger.key, PIN.encode()))  # not a key of the agent
            self.assertEqual(bound.request(extension(SESSION_BIND)), b'\x1c')   # from afar, or so it tried
            self.assertIsNone(self.outcome(bound, key, PIN.encode()))
            self.assertEqual(owner.request(lock(b'x')), b'\x06')
            self.assertNotEqual(owner.request(try_pin(key.blob, PIN.encode()))[0], 29)
            self.assertEqual(owner.request(unlock(b'x')), b'\x06')
            self.assertIsNone(owner.sign(key.blob, b'data'))
        self.assertEqual(self.tpm.wrong_tries(), 0)


if __name__ == '__main__':
    unittest.main()
