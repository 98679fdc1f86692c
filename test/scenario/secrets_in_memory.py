#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A PIN is in the agent's memory once while it is cached and not at all afterwards, a key given to it never. Not even
processes of the same user can look there."""

import os
import re
import signal
import subprocess
import threading
import unittest

import memory
import protocol
from agent import REFERENCE, Agent, Askpass
from lab import AS_NOBODY, KINDS, NO_LEAK_CHECK, NOBODY, Scenario, needs_root, read_key, wait_until
from softkey import SoftKey
from stock import WithTpm
from swtpm import Probe
from terminal import Terminal

ALL_BUT_RSA_3072 = KINDS[:4]  # which takes long to make
READ_MEMORY = ('import os, re, sys\n'
               'pid = sys.argv[1]\n'
               'place = int(re.match("[0-9a-f]+", open(f"/proc/{pid}/maps").read())[0], 16)\n'
               'with open(f"/proc/{pid}/mem", "rb", 0) as memory:\n'
               '    os.pread(memory.fileno(), 16, place)\n')


@needs_root
class TheScanner(Scenario):
    """A scan that finds nothing says something when it finds what is there."""

    def test_every_spelling_is_found(self):
        pin = memory.random_pin()
        spelled = memory.spellings(pin)
        path = self.lab.write('held', b'\n'.join(spelled.values()))
        holder = self.lab.start('/usr/bin/python3', '-c', 'import mmap, time\nheld = mmap.mmap(-1, 4096)\n'
                                f'held.write(open({path!r}, "rb", 0).read())\nprint("holds", flush=True)\n'
                                'time.sleep(600)')
        holder.wait_line('holds')
        found = {spelling for _, spelling in memory.find(holder.pid, pin)}
        self.assertEqual(found, set(spelled))
        self.assertEqual(memory.find(holder.pid, memory.random_pin()), [])

    @memory.wiping_builds  # the memory of a sanitized program is too large to be searched
    @unittest.skipIf(os.uname().machine != 'x86_64', 'the register is named for x86-64')
    def test_a_register_is_found(self):
        pin = memory.random_pin()
        with subprocess.Popen((os.environ['SSH_TPM_MEMORY_SCAN'], 'hold'), stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.DEVNULL) as holder:
            self.addCleanup(holder.kill)
            holder.stdin.write(pin.encode().hex() + '\n')
            holder.stdin.close()
            wait_until(lambda: ('registers', 'a piece of 8') in memory.find(holder.pid, pin, thorough=True),
                       'the register to be found')
            self.assertNotIn('registers', dict(memory.find(holder.pid, memory.random_pin(), thorough=True)))
            holder.kill()


class WithAgent(WithTpm):
    def setUp(self):
        super().setUp()
        self.pin = memory.random_pin()

    def start(self, *options, answers=None, name='agent', env=None, **more):
        self.askpass = Askpass(self.lab, *(answers or [self.pin] * 4), name='askpass of ' + name)
        self.agent = Agent(self.lab, *options, env={**self.askpass.env, **(env or {})}, name=name, **more)

    def assert_found(self, expected, secret=None, pid=None):
        """The thread of the TPM lets go of its job just after the client has its answer: that is waited for, but not as
        long as until an idle agent gives its session back, which would take traces with it."""
        pid, secret = pid or self.agent.process.pid, secret or self.pin
        found = []

        def scan():
            found[:] = memory.find(pid, secret, thorough=True)
            return sorted(spelling for _, spelling in found) == sorted(expected)
        try:
            wait_until(scan, f'{expected} and nothing else in memory', 3)
        except AssertionError as error:
            raise AssertionError(f'{error}: {found}') from None

    def assert_once(self, secret=None, **more):
        self.assert_found(['raw'], secret, **more)

    def assert_gone(self, secret=None, **more):
        self.assert_found([], secret, **more)


@needs_root
@memory.wiping_builds
class Pins(WithAgent):
    def test_while_it_is_cached_it_is_there_once(self):
        for kind, bits in ALL_BUT_RSA_3072:
            with self.subTest(kind=kind, bits=bits):
                key = self.lab.make_key(f'{kind}{bits}', kind, bits, pin=self.pin)
                self.start(name=key.comment)
                for _ in range(2):
                    self.agent.ssh_keygen_sign(key, status=0)
                self.assert_once()
                self.agent.stop()

    def test_pins_of_two_keys_are_there_once_each(self):
        other = memory.random_pin()
        keys = [self.lab.make_key('a', pin=self.pin), self.lab.make_key('b', pin=other)]
        self.start(answers=[self.pin, other])
        for key in keys * 2:
            self.agent.ssh_keygen_sign(key, status=0)
        self.assert_once()
        self.assert_once(other)
        self.agent.ssh_add('-d', keys[0].pub, status=0)
        self.assert_gone()
        self.assert_once(other)

    def test_a_pin_is_gone_when_it_expires_and_at_once_without_a_cache(self):
        key = self.lab.make_key('x', pin=self.pin)
        for options in (('--pin-lifetime', '1'), ('--no-cache',)):
            self.start(*options, name=options[0])
            for times in (1, 2):
                self.agent.ssh_keygen_sign(key, status=0)
                self.assert_gone()
                self.assertEqual(len(self.askpass.questions()), times)  # each signature asked for it anew
            self.agent.stop()

    def test_an_owner_password_of_a_file_is_there_once_also_after_the_fork(self):
        self.tpm.craft('tpm2_changeauth', '-c', 'o', self.pin)
        path = self.lab.write('owner', self.pin + '\nmore\n', mode=0o600)
        options = '-a', self.lab.path('background.sock'), '--owner-password-file'
        self.start('--owner-password-file', path)
        self.assert_once()
        for given in path, '-':
            with self.subTest(given=given):
                printed = self.lab.run(f'{self.lab.bin}/ssh-tpm-agent', '-s', *options, given, stdin=self.pin + '\n',
                                       status=0).stdout
                pid = int(re.search('SSH_AGENT_PID=([0-9]+)', printed)[1])
                self.assert_once(pid=pid)
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: not os.path.exists(options[1]), 'the end of the agent')

    def test_a_pin_of_a_file_is_there_once_after_it_was_given(self):
        key = self.lab.make_key('x', pin=self.pin)
        self.start()
        self.agent.add('--pin-file', self.lab.write('pin', self.pin + '\n', mode=0o600), key.tpm, status=0)
        self.assert_once()
        self.assertEqual(self.askpass.questions(), [])

    def lock(self):
        password = memory.random_pin()
        asked = Askpass(self.lab, *[password] * 3, name='passwords')
        env = {**asked.env, 'SSH_AUTH_SOCK': self.agent.socket}
        self.lab.run('ssh-add', '-x', env=env, status=0)
        self.assert_gone()
        self.assert_gone(password)  # its hash is enough
        self.lab.run('ssh-add', '-X', env=env, status=0)

    def drop_all_by_signal(self):
        os.kill(self.agent.process.pid, signal.SIGUSR1)
        self.agent.process.wait_line('dropping all keys')
        self.agent.listed()  # answered after the signal has had its effect

    def test_locking_removing_and_sigusr1_wipe_it(self):
        key = self.lab.make_key('x', pin=self.pin)
        self.start()
        for number, wipe in enumerate((self.lock, lambda: self.agent.ssh_add('-d', key.pub, status=0),
                                       lambda: self.agent.ssh_add('-D', status=0), self.drop_all_by_signal), 1):
            with self.subTest(number):
                self.agent.ssh_keygen_sign(key, status=0)
                self.assertEqual(len(self.askpass.questions()), number)
                self.assert_once()
                wipe()
                self.assert_gone()
                self.agent.process.lines.clear()
                os.kill(self.agent.process.pid, signal.SIGHUP)
                self.agent.process.wait_line('reading the key folder again')

    def test_it_is_there_once_after_a_signature_and_not_after_locking_while_its_session_lives(self):
        """An agent that is idle for long enough gives the session back: what is in it would be gone then as well."""
        probe, tries, password = Probe(self.tpm), 8, b'a password'
        key, other = self.lab.make_key('x', pin=self.pin), self.lab.make_key('y')

        def scanned(client, locked):
            """How often it is there; nothing if the session was given back, as on a machine that is too slow."""
            self.assertTrue(client.sign(key.blob, b'x'))
            self.assertTrue(client.sign(other.blob, b'x'))  # then the TPM's thread has done with the other one
            probe.take()
            if locked:
                self.assertEqual(client.request(protocol.lock(password))[0], protocol.SUCCESS)
            with self.agent.stopped():
                found = memory.find(self.agent.process.pid, self.pin)
                lives = probe.take() == []
            if locked:
                self.assertEqual(client.request(protocol.unlock(password))[0], protocol.SUCCESS)
            return [len(found)] if lives else None

        for env in ({}, memory.leaking('strip')):
            self.start(answers=[self.pin] * tries, name=f'agent{len(env)}', env=env, tcti=probe.tcti)
            for locked, times in ((False, 1), (True, 0)):
                with self.subTest(env=env, locked=locked), self.agent.connect() as client:
                    self.assertEqual(wait_until(lambda: scanned(client, locked), 'a scan while it lives'), [times])
            self.agent.stop()

    def test_a_wrong_pin_is_wiped_whether_or_not_the_right_one_follows(self):
        self.tpm.tool('tpm2_dictionarylockout', '-s', '-n', '10', '-t', '600', '-l', '600')
        key = self.lab.make_key('x', pin=self.pin)
        wrong = memory.random_pin()
        self.start(answers=[wrong])
        self.assertNotEqual(self.agent.ssh_keygen_sign(key).returncode, 0)
        self.assert_gone(wrong)
        for number, answer in enumerate((wrong, self.pin), len(self.askpass.questions()) + 1):
            self.lab.write(f'askpass of agent/answer.{number}', answer + '\n')
        self.agent.ssh_keygen_sign(key, status=0)
        self.assertEqual(self.tpm.wrong_tries(), 2)
        self.assert_gone(wrong)
        self.assert_once()

    def test_a_cached_pin_that_the_tpm_refuses_is_wiped(self):
        new = memory.random_pin()
        key = self.lab.make_key('x', pin=self.pin)
        self.start(answers=[self.pin, new])
        self.agent.ssh_keygen_sign(key, status=0)
        self.assert_once()
        self.lab.keygen('-q', '-p', '-P', self.pin, '-N', new, '-f', key.path)
        os.kill(self.agent.process.pid, signal.SIGHUP)
        self.agent.process.wait_line('reading the key folder again')
        self.agent.ssh_keygen_sign(read_key(key.path), status=0)
        self.assert_gone()
        self.assert_once(new)

    def test_a_pin_from_ssh_tpm_add_is_there_once_and_goes_and_a_wrong_one_is_wiped(self):
        key, wrong = self.lab.make_key('x', pin=self.pin, folder=self.lab.make_folder('elsewhere')), memory.random_pin()
        self.start()

        def add(pin, status):
            asked = Askpass(self.lab, pin, name='add ' + pin)
            self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', key.tpm, status=status,
                         env={**asked.env, 'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': self.agent.socket})

        add(wrong, 1)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assert_gone(wrong)
        add(self.pin, 0)
        self.assert_once()
        self.agent.ssh_keygen_sign(key, status=0)
        self.assert_once()
        self.agent.ssh_add('-d', key.pub, status=0)
        self.assert_gone()

    def test_pins_typed_on_the_agents_terminal(self):
        key, wrong = self.lab.make_key('x', pin=self.pin), memory.random_pin()
        socket = self.lab.path('on a terminal')
        env = {'SSH_AUTH_SOCK': socket}
        with Terminal(self.lab, f'{self.lab.bin}/ssh-tpm-agent', '-l', socket, '--key-dir', self.lab.keys) as terminal:
            terminal.read_until('listening on')
            pid, signing = terminal.popen.pid, ('-Y', 'sign', '-q', '-f', key.pub, '-n', 'file')
            request = threading.Thread(target=lambda: self.lab.run('ssh-keygen', *signing, stdin='x', env=env))
            request.start()
            for pin in (wrong, self.pin):
                terminal.answer('Enter PIN for key', pin)
            request.join()
            self.assertEqual(self.tpm.wrong_tries(), 1)
            self.assert_gone(wrong, pid=pid)
            self.assert_once(pid=pid)
            self.lab.run('ssh-add', '-D', env=env, status=0)
            self.assert_gone(pid=pid)
            os.kill(pid, signal.SIGTERM)
            terminal.finish()

    def test_a_deliberate_leak_is_found(self):
        for leak, spelling in (('memory', 'raw'), ('hex', 'hex'), ('half', 'a piece of 8')):
            with self.subTest(leak):
                key = self.lab.make_key(leak, pin=self.pin)
                self.start(name='agent ' + leak, env=memory.leaking(leak))
                self.agent.ssh_keygen_sign(key, status=0)
                self.assert_found(['raw', spelling])
                self.agent.ssh_add('-d', key.pub, status=0)
                self.assert_found([spelling])
                self.agent.stop()


@needs_root
@memory.wiping_builds
class OutsideKeys(WithAgent):
    def test_the_private_numbers_of_a_key_from_ssh_add_are_gone_once_it_is_sealed(self):
        self.start()
        for kind, bits in ALL_BUT_RSA_3072:
            with self.subTest(kind=kind, bits=bits):
                soft = SoftKey(self.lab, self.lab.path(f'{kind}{bits}'), kind, bits)
                self.agent.ssh_add(soft.path, status=0)
                self.assertIn(soft.key.line, self.agent.listed())
                pieces = []
                for number in soft.numbers():
                    self.assertGreaterEqual(len(number), bits // 16)
                    # Any window of it: an RSA exponent may be cut into pieces, OpenSSL turns numbers round.
                    pieces += [number[begin:begin + 24] for begin in range(0, len(number) - 24, 24)]
                self.assertEqual(memory.find(self.agent.process.pid, *pieces), [])
                self.agent.ssh_keygen_sign(soft.key, status=0)
                for number in soft.numbers():
                    self.assert_gone(number[:24])


@needs_root
class OtherProcesses(WithTpm):
    """The same is tried on an ordinary process, where it must work: a kernel that allows it to nobody shows
    nothing about the agent."""

    def setUp(self):
        super().setUp()
        self.tpm.open_to_all()
        os.chmod(self.lab.folder, 0o777)
        for folder in (self.lab.home, self.lab.keys):
            os.chown(folder, NOBODY, NOBODY)
        program = f'{self.lab.program_for_others()}/ssh-tpm-agent'
        options = () if REFERENCE else ('--no-load',)
        self.agent = Agent(self.lab, *options, program=program, env=NO_LEAK_CHECK, **AS_NOBODY)
        self.ordinary = self.lab.start('sh', '-c', 'echo runs; exec sleep 600', **AS_NOBODY)
        self.ordinary.wait_line('runs')

    def attach(self, process):
        return self.lab.run('gdb', '-nx', '-batch', '-iex', 'set auto-load off', '-ex', 'info proc', '-p',
                            str(process.pid), **AS_NOBODY)

    def test_gdb_does_not_attach(self):
        allowed = self.attach(self.ordinary)
        if 'Operation not permitted' in allowed.stderr:
            self.skipTest('nobody may trace anybody here')
        self.assertIn(f'process {self.ordinary.pid}', allowed.stdout, allowed.stderr)
        refused = self.attach(self.agent.process)
        self.assertRegex(refused.stdout + refused.stderr, 'Operation not permitted|Permission denied')
        self.assertNotIn(f'process {self.agent.process.pid}\n', refused.stdout)
        self.assertEqual(self.agent.ssh_add('-l', **AS_NOBODY).returncode, 1)  # it lives, undisturbed

    def read_memory(self, process):
        return self.lab.run('/usr/bin/python3', '-c', READ_MEMORY, str(process.pid), **AS_NOBODY)

    def test_the_memory_file_does_not_open(self):
        allowed = self.read_memory(self.ordinary)
        if 'PermissionError' in allowed.stderr:
            self.skipTest('nobody may read memory here')
        self.assertEqual(allowed.returncode, 0, allowed.stderr)
        self.assertIn('PermissionError', self.read_memory(self.agent.process).stderr)

    def test_its_files_in_proc_belong_to_root(self):
        hardened = [self.agent.process.pid] + ([] if REFERENCE else [self.agent.prompter()])
        for name in ('environ', 'mem', 'maps', 'fd', 'syscall'):
            with self.subTest(name):
                self.assertEqual(os.stat(f'/proc/{self.ordinary.pid}/{name}').st_uid, NOBODY)
                for pid in hardened:
                    self.assertEqual(os.stat(f'/proc/{pid}/{name}').st_uid, 0)


if __name__ == '__main__':
    unittest.main()
