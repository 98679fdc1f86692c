#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A TPM that is lost costs the request that it is lost in, and nothing else: it hangs, it dies, it is reset, its reply
is cut, garbled or a lie. The next request is served, no PIN is asked for again, no try is spent, and no wrong signature
leaves the agent. SSH_TPM_TEST_SEED repeats the random moments."""

import collections
import itertools
import os
import random
import signal
import threading
import time
import unittest

from agent import Agent, Askpass
from lab import slow, wait_until
from libcrypto import Verifier
from neighbour import flush_all
from protocol import FAILURE, RSA_SHA2_256, frame, readable, sign_request
from resources import descriptors_at_rest, is_sanitized, rss
from stock import WithTpm
from swtpm import Probe

PIN = 'correct horse 42'
LOST = ('eof', 'eof receive', 'lose')
SHORT = ('cut 0', 'cut 9', 'cut 10', 'cut 40')
LIES = ('lie 4', 'lie -4', 'lie 1', 'lie 100000', 'garbage')
HEADER = ('corrupt 0', 'corrupt 3', 'corrupt 6', 'corrupt 9')  # the tag, the size, both ends of the code
BODY = ('corrupt', 'corrupt 11', 'corrupt 13', 'corrupt 15', 'corrupt -1')
CODES = ('answer 0x100', 'answer 0x101', 'answer 0x97f', 'answer 0xffffffff')
FAULTS = LOST + SHORT + LIES + HEADER + BODY + CODES
FEW = ('lose', 'cut 9', 'lie 4', 'garbage', 'corrupt 6', *BODY, 'answer 0x100')  # one of each kind
GROWTH = 1024  # KiB that memory may differ by
MISSED = 'did not answer within'  # a deadline that the agent has waited for


class TpmLoss(WithTpm):
    def setUp(self):
        super().setUp()
        self.tpm.make_persistent()
        self.probe = Probe(self.tpm)
        self.guarded, self.free = self.lab.make_key('guarded', pin=PIN), self.lab.make_key('free')
        self.rsa = self.lab.make_key('rsa', 'rsa', 2048)
        self.keys = [self.guarded, self.free, self.rsa]
        self.verifiers = {key: Verifier(self.lab, key) for key in self.keys}
        self.askpass = Askpass(self.lab, PIN)
        self.agent = Agent(self.lab, tcti=self.probe.tcti, env=self.askpass.env)
        self.client = self.agent.connect()
        self.addCleanup(self.client.socket.close)
        self.counter = itertools.count()
        for key in self.keys:
            self.assertTrue(self.signs(key))
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def signs(self, key):
        """False for a refusal. A signature must be good."""
        data = b'data %d' % next(self.counter)
        signed = self.client.sign(key.blob, data, RSA_SHA2_256)
        self.assertTrue(signed is None or self.verifiers[key].is_good(signed, data), signed)
        return signed is not None

    def assert_heals(self, key):
        flush_all(self.tpm)  # the emulator has no resource manager that does so
        self.assertTrue(self.signs(key))

    def make_cold(self):
        """The connection is lost; the next request finds nothing loaded, and no session."""
        with self.probe.failing('* lose'):
            self.assertFalse(self.signs(self.free))
        flush_all(self.tpm)

    def assert_nothing_spent(self):
        self.assertEqual(self.tpm.wrong_tries(), 0)
        self.assertEqual(len(self.askpass.questions()), 1)

    def survive(self, key, command, faults=FAULTS):
        """Every fault, once, in this command. What is refused and what is served all the same."""
        refused = []
        for fault in faults:
            with self.subTest(key=key.comment, command=command, fault=fault):
                if command == 'TPM2_Sign':
                    self.signs(key)  # warm
                else:
                    self.make_cold()
                with self.probe.failing(f'{command} {fault} times=1'):
                    if not self.signs(key):
                        refused.append(fault)
                    self.assertGreaterEqual(self.probe.reached()[0], 1)
                self.assert_heals(key)
                self.assert_nothing_spent()
        self.assertNotIn(MISSED, self.agent.log())
        return refused

    def test_signatures(self):
        for key in self.keys:
            refused = self.survive(key, 'TPM2_Sign')
            # Nothing that is no reply of the TPM's is taken for one. Where no session's HMAC shows it, a
            # signature that was garbled is made once more.
            served = [fault for fault in FAULTS if fault not in refused]
            self.assertLessEqual(set(served), set() if key is self.guarded else set(BODY))

    def test_signatures_that_are_wrong_each_time(self):
        for key in (self.free, self.rsa):
            self.signs(key)
            with self.probe.failing('TPM2_Sign corrupt 30'):
                self.assertFalse(self.signs(key))
                self.assertEqual(self.probe.reached(), [2])
            self.agent.process.wait_line('signature is wrong; it is not used')
            self.agent.process.wait_line('hint: ')
            self.assert_heals(key)
            self.agent.process.lines.clear()

    def test_keys_that_are_loaded_and_the_first_look_at_the_tpm(self):
        for command, key in (('TPM2_Load', self.guarded), ('TPM2_Load', self.free), ('TPM2_ReadPublic', self.free)):
            refused = self.survive(key, command, FEW)
            self.assertTrue({'lose', 'cut 9', 'lie 4', 'garbage', 'answer 0x100'} <= set(refused), refused)

    def test_the_start_of_a_session_and_its_proof(self):
        # The reply to the first is under no HMAC; the second shows that its number or its nonce was garbled, before
        # a PIN is used.
        for command, faults in (('TPM2_StartAuthSession', FAULTS), ('TPM2_GetRandom', FEW)):
            self.assertEqual(self.survive(self.guarded, command, faults), list(faults))

    def assert_no_growth(self, agent, cycle, count):
        """After a quarter of them nothing grows any more."""
        for number in range(count):
            if number == count // 4:
                memory, open_files = rss(agent.process.pid), descriptors_at_rest(agent)
            cycle(number)
        self.assertEqual(descriptors_at_rest(agent), open_files)
        grown = rss(agent.process.pid) - memory
        print(f'{count} losses: {grown:+} KiB of {memory}, {open_files} descriptors before and after')
        if not is_sanitized(os.environ['SSH_TPM_BUILD']):
            self.assertLess(grown, GROWTH)

    def lose(self, number):
        key, fault = self.keys[number % len(self.keys)], FAULTS[number % len(FAULTS)]
        with self.probe.failing(f'TPM2_Sign {fault} times=1'):
            if self.signs(key):  # once more, within the request
                self.assertIn(fault, BODY)
                self.assertIsNot(key, self.guarded)
        self.assert_heals(key)

    def test_many_times_without_growth(self, count=50):
        self.assert_no_growth(self.agent, self.lose, count)
        self.assertNotIn(MISSED, self.agent.log())
        self.assert_nothing_spent()
        self.client.socket.close()
        self.agent.stop()

    @slow
    def test_a_thousand_times_without_growth(self):
        self.test_many_times_without_growth(1200)

    def test_an_emulators_socket_that_closes_leaves_nothing(self):
        agent = Agent(self.lab, name='direct', tcti=self.tpm.tcti)

        def restart(_):
            self.tpm.kill()
            self.tpm.start()
            if client.sign(self.free.blob, b'data') is None:
                self.assertIsNotNone(client.sign(self.free.blob, b'data'))
        with agent.connect() as client:
            self.assert_no_growth(agent, restart, 32)
        agent.stop()


class TpmHangs(WithTpm):
    """It costs one deadline: lists go on, who queues behind fails with it, and it is used again at once."""

    def setUp(self):
        super().setUp()
        self.lab.limit('tpm_command', 2, real=10)
        self.probe = Probe(self.tpm)
        self.key = self.lab.make_key('x')

    def agent(self, tcti=None, signed=True):
        agent = Agent(self.lab, tcti=tcti or self.probe.tcti)
        if signed:
            agent.sign_and_check(self.key)
        return agent

    def all_are_refused(self, agent, count):
        """So many clients ask at once for what the TPM does not answer. Whether a list came before a refusal."""
        clients = [agent.connect() for _ in range(count)]
        for client in clients:
            client.send(frame(sign_request(self.key.blob, b'data')))
        with agent.connect() as other:
            self.assertEqual(len(other.list()), 1)
        earlier = not readable(clients, 0)
        for client in clients:
            self.assertEqual(client.read_frame(), bytes([FAILURE]))
            client.socket.close()
        return earlier

    def assert_heals(self, agent, refused, command='TPM2_Sign'):
        """It is used again, and no deadline was missed but that of those who were refused."""
        agent.sign_and_check(self.key)
        self.assertEqual(agent.log().count(MISSED), refused)
        self.assertRegex(agent.log(), MISSED + rf' \d+ s \({command}\)')

    def test_an_emulator_that_is_stopped_costs_one_deadline_for_all_who_wait(self):
        agent, refused = self.agent(tcti=self.tpm.tcti), itertools.count(5, 5)

        def listed_meanwhile():
            with self.tpm.stopped():
                earlier = self.all_are_refused(agent, 5)
            self.assert_heals(agent, next(refused))
            return earlier
        wait_until(listed_meanwhile, 'a list while the TPM hangs')
        agent.stop()

    def test_so_does_a_tcti_that_stays_silent(self):
        for command, signed in (('TPM2_Sign', True), ('TPM2_CreatePrimary', False)):  # there is no persistent one
            with self.subTest(command):
                agent = self.agent(signed=signed)
                with self.probe.failing(f'{command} hang'):
                    self.all_are_refused(agent, 5)
                    self.assertEqual(self.probe.reached(), [1])  # who queued behind did not ask it again
                self.assert_heals(agent, 5, command)
                agent.stop()
                flush_all(self.tpm)

    def test_deadlines_that_are_missed_one_after_the_other_leave_nothing(self):
        agent, before = self.agent(), None
        for number in range(1, 5):
            with self.probe.failing('* hang'):
                self.all_are_refused(agent, 1)
                self.assertEqual(self.probe.reached(), [1])
            flush_all(self.tpm)  # the emulator has no resource manager that does so
            self.assert_heals(agent, number)
            before = before or (rss(agent.process.pid), descriptors_at_rest(agent))  # when all is in place
        self.assertEqual(descriptors_at_rest(agent), before[1])
        if not is_sanitized(os.environ['SSH_TPM_BUILD']):
            self.assertLess(rss(agent.process.pid) - before[0], GROWTH)
        agent.stop()

    def test_keygen_says_that_the_tpm_does_not_answer_and_leaves_no_file(self):
        os.unlink(self.key.tpm)
        os.unlink(self.key.pub)
        for command in ('TPM2_TestParms', 'TPM2_StartAuthSession'):
            with self.subTest(command), self.probe.failing(f'{command} hang'):
                result = self.lab.keygen('-q', '-N', '1234', '-f', self.lab.path('keys/x'), '--tcti',
                                         self.probe.tcti, status=None)
                self.assertEqual(self.probe.reached(), [1])
                self.assert_error(result)
                self.assertRegex(result.stderr, rf'the TPM did not answer within \d+ s \({command}\)')
                self.assertIn('hint: ', result.stderr)
                self.assertEqual(os.listdir(self.lab.keys), [])

    def test_an_agent_ends_without_waiting_for_a_tpm_that_hangs(self):
        agent = self.agent()
        with self.probe.failing('TPM2_Sign hang'), agent.connect() as client:
            client.send(frame(sign_request(self.key.blob, b'data')))
            wait_until(lambda: self.probe.reached() == [1], 'the command that hangs')
            agent.stop(signal.SIGINT)
        self.assertNotIn(MISSED, agent.log())


class Client(threading.Thread):
    """Signs without pause, and counts what comes back."""

    def __init__(self, agent, key, verifier):
        super().__init__(daemon=True)
        self.agent, self.key, self.verifier = agent, key, verifier
        self.counts = collections.Counter()
        self.ending = False
        self.failure = None
        self.watched = False  # the TPM stays from now on
        self.served = False   # since then

    def run(self):
        try:
            with self.agent.connect() as connection:
                number = 0
                while not self.ending:
                    number += 1
                    self.sign(connection, b'%s %d' % (self.key.comment.encode(), number))
        except Exception as error:  # told by the test's own thread
            self.failure = error

    def sign(self, connection, data):
        watched = self.watched
        signed = connection.sign(self.key.blob, data, RSA_SHA2_256)
        if signed is None:
            self.counts['refused after success' if self.served else 'refused'] += 1
        elif not self.verifier.is_good(signed, data):
            self.counts['wrong'] += 1
        else:
            self.counts['good'] += 1
            self.counts['good after success'] += self.served
            self.served = watched


class TpmKilled(WithTpm):
    def test_a_tpm_that_is_killed_under_load_gives_no_wrong_answer(self, deaths=15):
        seed = int(os.environ.get('SSH_TPM_TEST_SEED') or random.randrange(1 << 32))
        print(f'SSH_TPM_TEST_SEED={seed}')
        chance = random.Random(seed)
        self.tpm.make_persistent()
        # A TPM that goes without a shutdown after a guarded key was used counts a try by itself.
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '100000', '-t', '1000', '-l', '1000')
        keys = [self.lab.make_key('free'), self.lab.make_key('other', bits=384), self.lab.make_key('rsa', 'rsa', 2048),
                self.lab.make_key('guarded', pin=PIN)]
        askpass = Askpass(self.lab, PIN)
        agent = Agent(self.lab, env=askpass.env)
        for key in keys:
            agent.sign_and_check(key)
        clients = [Client(agent, key, Verifier(self.lab, key)) for key in keys]
        for client in clients:
            client.start()
        died = 0
        while died < deaths or any(client.counts['good'] <= deaths and not client.failure for client in clients):
            time.sleep(chance.uniform(0, 0.2))  # it dies in the middle of whatever it does then
            self.tpm.kill()
            time.sleep(chance.uniform(0, 0.02))
            self.tpm.start()
            died += 1
        for client in clients:
            client.watched = True
        wait_until(lambda: all(client.counts['good after success'] or client.failure for client in clients),
                   'two signatures for each client')
        for client in clients:
            client.ending = True
        for client in clients:
            client.join(60)
            print(client.key.comment, dict(client.counts))
            self.assertIsNone(client.failure)
            self.assertEqual(client.counts['wrong'], 0)
            self.assertEqual(client.counts['refused after success'], 0)
            self.assertGreater(client.counts['good after success'], 0)
        self.assertGreater(sum(client.counts['refused'] for client in clients), 0)  # it was noticed at all
        self.assertEqual(len(askpass.questions()), 1)
        agent.stop()
        self.tpm.assert_no_handles()

    @slow
    def test_nor_does_one_that_is_killed_a_hundred_times(self):
        self.test_a_tpm_that_is_killed_under_load_gives_no_wrong_answer(100)


class TpmReset(WithTpm):
    def test_a_tpm_that_was_reset_is_not_started_and_the_error_says_what_to_do(self):
        probe, key = Probe(self.tpm), self.lab.make_key('x')
        agent = Agent(self.lab, tcti=probe.tcti)
        agent.sign_and_check(key)
        self.lab.run('swtpm_ioctl', '-i', '--unix', self.tpm.path + '.ctrl', status=0)
        for _ in range(2):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('the TPM was reset and not started')
        agent.process.wait_line('restart the machine')
        self.assertFalse([line for line in probe.lines() if line.startswith('TPM2_Startup')])
        self.tpm.tool('tpm2_startup', '-c')
        agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
