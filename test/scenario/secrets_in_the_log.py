#!/usr/bin/env python3
"""What the programs and tpm2-tss say has no secret in it, and a crash leaves no core."""

import os
import resource
import signal
import unittest

import memory
from agent import Agent, Askpass
from lab import Scenario, needs_root, read_key, wait_until
from resources import is_sanitized
from softkey import SoftKey
from swtpm import Swtpm

# Runs a program that may leave cores, tells its id, and how it ended.
RUN = ('import os, resource, sys\n'
       'resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)\n'
       'pid = os.fork()\n'
       'if pid == 0:\n'
       '    os.execvp(sys.argv[1], sys.argv[1:])\n'
       'print("runs as", pid, flush=True)\n'
       'status = os.waitpid(pid, 0)[1]\n'
       'print("ended:", os.waitstatus_to_exitcode(status), "core" if os.WCOREDUMP(status) else "no core")\n')


class Logs(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.pin, self.wrong, self.password = (memory.random_pin() for _ in range(3))
        self.log_file = self.lab.path('tss.log')
        self.chatty = {'TSS2_LOG': 'all+trace', 'TSS2_LOGFILE': self.log_file}
        self.said = []

    def keygen(self, *options, **more):
        result = self.lab.keygen(*options, env=self.chatty, **more)
        self.said += [result.stdout, result.stderr]

    def assert_silent(self, *secrets):
        text = '\n'.join(self.said).encode()
        for secret in secrets:
            self.assertEqual(memory.count(text, secret), {})
        self.assertFalse(os.path.exists(self.log_file))

    def test_tpm2_tss_would_write_a_log(self):
        """Unless it is told not to: with these variables, others do."""
        self.lab.run('tpm2_changeauth', '-T', self.tpm.tcti, '-c', 'o', self.pin, env=self.chatty, status=0)
        self.assertGreater(os.path.getsize(self.log_file), 1000)

    def test_the_agent_says_no_secret(self):
        path = self.lab.path('keys/x')
        self.keygen('-q', '-N', self.pin, '-f', path)
        askpass = Askpass(self.lab, self.wrong, self.pin)
        agent = Agent(self.lab, '-d', env={**self.chatty, **askpass.env})
        agent.sign_and_check(read_key(path))
        soft = SoftKey(self.lab, self.lab.path('soft'), 'rsa', 2048)
        agent.ssh_add(soft.path, status=0)
        agent.sign_and_check(soft.key)
        passwords = Askpass(self.lab, self.password, self.password, self.wrong, name='passwords')
        for option in ('-x', '-X'):
            self.lab.run('ssh-add', option, env={**passwords.env, 'SSH_AUTH_SOCK': agent.socket})
        agent.stop()
        self.said.append(agent.log())
        self.assertIn('the TPM refused the PIN', agent.log())
        self.assert_silent(self.pin, self.wrong, self.password,
                           *(number[:24] for number in soft.numbers()))

    def test_keygen_and_add_say_no_secret(self):
        path = self.lab.path('elsewhere')
        self.keygen('-N', self.pin, '-f', path)
        self.keygen('-p', '-P', self.wrong, '-N', self.password, '-f', path, status=None)
        self.keygen('-p', '-P', self.pin, '-N', self.password, '-f', path)
        soft = SoftKey(self.lab, self.lab.path('soft'))
        self.keygen('--import', soft.path, '-N', self.pin, '-f', self.lab.path('imported'))
        agent = Agent(self.lab, '-d', env=self.chatty)
        asked = Askpass(self.lab, self.wrong, self.password)
        added = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', path + '.tpm', status=0,
                             env={**self.chatty, **asked.env, 'SSH_AUTH_SOCK': None,
                                  'SSH_TPM_AUTH_SOCK': agent.socket})
        agent.stop()
        self.said += [agent.log(), added.stdout, added.stderr]
        self.assert_silent(self.pin, self.wrong, self.password, *soft.numbers())

    @memory.wiping_builds  # a sanitizer wants to be loaded before all others
    def test_a_deliberate_leak_is_found(self):
        key = self.lab.make_key('x', pin=self.pin)
        agent = Agent(self.lab, '-d', env={**Askpass(self.lab, self.pin).env, **memory.leaking('log')})
        agent.sign_and_check(key)
        agent.stop()
        self.said.append(agent.log())
        with self.assertRaisesRegex(AssertionError, 'raw'):
            self.assert_silent(self.pin)


@needs_root
class Cores(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.signals = [signal.SIGABRT]
        if not is_sanitized(os.environ['SSH_TPM_BUILD']):  # which have a handler for it
            self.signals.append(signal.SIGSEGV)

    def crash(self, number, ready, *argv, env=None):
        """Ends a program by a signal, with a core allowed once more after it has started; the last words."""
        runner = self.lab.start('/usr/bin/python3', '-c', RUN, *argv, env=env)
        pid = int(runner.wait_line('runs as').split()[-1])
        ready(runner)
        resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        os.kill(pid, number)
        return runner.wait_line('ended:')

    def test_an_ordinary_program_leaves_one(self):
        last = self.crash(signal.SIGABRT, lambda runner: runner.wait_line('ready'), 'sh', '-c',
                          'echo ready; while :; do sleep 1; done')
        if 'no core' in last:
            self.skipTest('this system keeps no cores')

    def check(self, *argv, ready, env=None):
        for number in self.signals:
            with self.subTest(number.name):
                self.assertEqual(self.crash(number, ready, *argv, env=env), f'ended: {-number} no core')
        self.assertEqual([name for name in os.listdir(self.lab.folder) if name.startswith('core')], [])

    def test_the_agent_leaves_none(self):
        self.check(f'{self.lab.bin}/ssh-tpm-agent', '-l', self.lab.path('s'), '--key-dir', self.lab.keys,
                   ready=lambda runner: runner.wait_line('listening on'))

    def asked(self, count):
        """An askpass that lets its user wait, and what waits until it was called."""
        askpass = Askpass(self.lab)
        for number in range(1, count + 1):
            askpass.answer_later(number)
        calls = iter(range(1, count + 1))
        return askpass.env, lambda runner: wait_until(
            lambda number=next(calls): len(askpass.questions()) >= number, 'the question')

    def test_keygen_leaves_none(self):
        env, ready = self.asked(2)
        self.check(f'{self.lab.bin}/ssh-tpm-keygen', '-q', '-f', self.lab.path('keys/x'), env=env, ready=ready)

    def test_add_leaves_none(self):
        key = self.lab.make_key('x', pin='a pin')
        agent = Agent(self.lab, '--no-load')
        env, ready = self.asked(2)
        self.check(f'{self.lab.bin}/ssh-tpm-add', '--pin', key.tpm, ready=ready,
                   env={**env, 'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': agent.socket})


if __name__ == '__main__':
    unittest.main()
