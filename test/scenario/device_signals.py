#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No signal that a process lives through kills its request to the TPM: on a device, where reads are interrupted."""

import ctypes
import os
import signal
import subprocess
import threading
import time
import unittest

from agent import Agent, Askpass
from lab import read, read_key
from protocol import RSA_SHA2_512
from stock import WithTpm
from terminal_tpm import TerminalTpm

SIGNALS = 2000
# Those that a process which neither handles nor ignores them lives through (signal(7)), and those that the agent
# handles. SIGUSR1 is not among them: it makes the agent forget its keys.
HARMLESS = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG, signal.SIGCONT)
HANDLED = (signal.SIGHUP,)
IF_IGNORED = (signal.SIGPIPE, signal.SIGUSR2, signal.SIGALRM)
SIGNATURES, KEYS = 21, 3  # at the least, however slow the machine is
STOP_EVERY = 100  # rounds

libc = ctypes.CDLL(None, use_errno=True)


def mask_of(pid, name):
    """A set of signals from /proc/PID/status: SigCgt, SigIgn, SigBlk."""
    for line in read(f'/proc/{pid}/status').splitlines():
        if line.startswith(name + ':'):
            return int(line.split()[1], 16)
    raise AssertionError(name)


def has(mask, number):
    return bool(mask >> (number - 1) & 1)


class Storm(threading.Thread):
    """Signals to a process and to each of its threads, in turn, until `end` is set or it has gone."""

    def __init__(self, pid, signals):
        super().__init__(daemon=True)
        self.pid, self.signals = pid, signals
        self.sent, self.stops = 0, 0
        self.enough = threading.Event()
        self.end = threading.Event()

    def run(self):
        try:
            while not self.end.is_set():
                for number in self.signals:
                    self.round(number)
        except (ProcessLookupError, FileNotFoundError):
            pass
        self.enough.set()

    def round(self, number):
        os.kill(self.pid, number)
        self.sent += 1
        for thread in map(int, os.listdir(f'/proc/{self.pid}/task')):
            if libc.tgkill(self.pid, thread, number) == 0:
                self.sent += 1
        if self.sent // STOP_EVERY > self.stops:
            self.stops += 1
            os.kill(self.pid, signal.SIGSTOP)
            os.kill(self.pid, signal.SIGCONT)
        if self.sent >= SIGNALS:
            self.enough.set()
        time.sleep(0.0002)  # the process is to work between them

    def finish(self):
        self.end.set()
        self.join()


class DeviceSignals(WithTpm):
    def setUp(self):
        super().setUp()
        self.device = TerminalTpm(self.tpm)
        self.lab.env['SSH_TPM_TCTI'] = self.device.tcti

    def sign_in_a_storm(self, agent, key):
        """Signatures from the first signal to the last."""
        pid = agent.process.pid
        caught, ignored = mask_of(pid, 'SigCgt'), mask_of(pid, 'SigIgn')
        for number in HANDLED:
            self.assertTrue(has(caught, number), 'it would kill it')
        storm = Storm(pid, [*HARMLESS, *HANDLED, *(one for one in IF_IGNORED if has(ignored, one))])
        storm.start()
        count = 0
        try:
            with agent.connect() as connection:
                while count < SIGNATURES or not storm.enough.is_set():
                    data = f'message {count}'.encode()
                    answer = connection.sign(key.blob, data, RSA_SHA2_512 if key.algorithm == 'ssh-rsa' else 0)
                    self.assertIsNotNone(answer, f'signature {count} after {storm.sent} signals')
                    count += 1
        finally:
            storm.finish()
        self.assertGreaterEqual(storm.sent, SIGNALS)
        self.assertIsNone(agent.process.popen.poll())
        print(f'{count} signatures, {storm.sent} signals, {storm.stops} stops')

    def test_thousands_of_signals_while_keys_sign_and_no_signature_fails(self):
        for name, kind, bits, pin in (('ecdsa', 'ecdsa', 256, ''), ('rsa', 'rsa', 2048, ''),
                                      ('guarded', 'ecdsa', 256, '1234')):
            with self.subTest(name):
                key, askpass = self.lab.make_key(name, kind, bits, pin=pin), Askpass(self.lab, pin, name='for ' + name)
                agent = Agent(self.lab, name=name, env=askpass.env)
                agent.sign_and_check(key)
                self.sign_in_a_storm(agent, key)
                agent.sign_and_check(key)
                self.assertEqual(len(askpass.questions()), 1 if pin else 0)
                for word in ('error', 'lost', 'garbled', 'did not answer', 'refused'):
                    self.assertNotIn(word, agent.log())
                agent.stop()
        self.tpm.assert_no_handles()
        self.assertEqual(self.tpm.wrong_tries(), 0)

    def test_thousands_of_signals_while_keygen_makes_keys(self):
        """Its main thread works with the TPM. It handles none: SIGHUP ends it, as it should."""
        sent, made = 0, 0
        while sent < SIGNALS or made < KEYS:
            path = self.lab.path('keys', str(made))
            kind, pin = (('ecdsa', ''), ('ecdsa', '1234'), ('rsa', ''))[made % 3]
            child = subprocess.Popen([f'{self.lab.bin}/ssh-tpm-keygen', '-q', '-t', kind, '-N', pin, '-f', path],
                                     env=self.lab.merged(None), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, start_new_session=True)
            storm = Storm(child.pid, HARMLESS)
            storm.start()
            # Not reaped before the storm has ended: until then the id is its own.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            storm.finish()
            said, _ = child.communicate()
            self.assertEqual((child.returncode, said), (0, b''), f'key {made}')
            read_key(path)
            sent, made = sent + storm.sent, made + 1
        print(f'{made} keys, {sent} signals')
        self.tpm.assert_no_handles()


if __name__ == '__main__':
    unittest.main()
