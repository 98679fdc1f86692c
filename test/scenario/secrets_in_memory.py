#!/usr/bin/env python3
"""A PIN is in the agent's memory once while it is cached and not at all afterwards, a key given to it never."""

import os
import signal
import subprocess
import threading
import unittest

import memory
import protocol
from agent import Agent, Askpass
from lab import KINDS, Scenario, needs_root, read_key, wait_until
from softkey import SoftKey
from swtpm import Probe, Swtpm
from terminal import Terminal


@needs_root
class TheScanner(Scenario):
    """A scan that finds nothing says something when it finds what is there."""

    def test_every_spelling_is_found(self):
        pin = memory.random_pin()
        spelled = memory.spellings(pin)
        path = self.lab.write('held', b'\n'.join(spelled.values()))
        holder = self.lab.start('/usr/bin/python3', '-c', 'import mmap, time\n'
                                'held = mmap.mmap(-1, 4096)\n'
                                f'held.write(open({path!r}, "rb", 0).read())\n'
                                'print("holds", flush=True)\n'
                                'time.sleep(600)')
        holder.wait_line('holds')
        found = {spelling for _, spelling in memory.find(holder.pid, pin)}
        self.assertEqual(found, set(spelled))
        self.assertEqual(memory.find(holder.pid, memory.random_pin()), [])

    def test_a_register_is_found(self):
        pin = memory.random_pin()
        holder = self.lab.start('sh', '-c', 'echo runs; exec sleep 600')
        holder.wait_line('runs')
        before = memory.find(holder.pid, pin, thorough=True)
        self.assertEqual(before, [])
        if os.uname().machine != 'x86_64':
            self.skipTest('the register is named for x86-64')
        number = int.from_bytes(pin.encode()[:16], 'little')
        subprocess.run(['gdb', '-nx', '-batch', '-iex', 'set auto-load off', '-p', str(holder.pid), '-ex',
                        f'set var $xmm5.v2_int64 = {{{number & (1 << 64) - 1:#x}, {number >> 64:#x}}}'],
                       check=True, capture_output=True, timeout=120)
        self.assertEqual(memory.find(holder.pid, pin, thorough=True), [('registers', 'a piece of 16')])


class WithAgent(Scenario):
    def setUp(self):
        super().setUp()
        self.tpm = Swtpm(self.lab)
        self.pin = memory.random_pin()

    def start(self, *options, answers=None, name='agent', env=None, **more):
        self.askpass = Askpass(self.lab, *(answers or [self.pin] * 4), name='askpass of ' + name)
        self.agent = Agent(self.lab, *options, env={**self.askpass.env, **(env or {})}, name=name, **more)

    def assert_found(self, expected, secret=None, pid=None, deadline=30):
        """The thread of the TPM lets go of its job just after the client has its answer: that is waited for."""
        pid, secret = pid or self.agent.process.pid, secret or self.pin
        wait_until(lambda: [spelling for _, spelling in memory.find(pid, secret, thorough=True)] == expected,
                   f'{expected} and nothing else in memory', deadline)

    def assert_once(self, secret=None, **more):
        self.assert_found(['raw'], secret, **more)

    def assert_gone(self, secret=None, **more):
        self.assert_found([], secret, **more)


@needs_root
@memory.wiping_builds
class Pins(WithAgent):
    def cached(self, *options, **more):
        """A key whose PIN the agent holds; the scan sees it there, so that it can see it go."""
        key = self.lab.make_key('x', pin=self.pin)
        self.start(*options, **more)
        self.agent.sign_and_check(key)
        return key

    def test_while_it_is_cached_it_is_there_once_and_a_signature_is_one_command(self):
        probe = Probe(self.tpm)
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                key = self.lab.make_key(f'{kind}{bits}', kind, bits, pin=self.pin)
                self.start(name=key.comment, tcti=probe.tcti)
                self.agent.ssh_keygen_sign(key, status=0)
                for _ in range(3):
                    probe.take()
                    self.agent.ssh_keygen_sign(key, status=0)
                    self.assertEqual(probe.take(), ['TPM2_Sign'])
                self.assert_once()
                self.agent.stop()

    def test_pins_of_two_keys_are_there_once_each(self):
        other = memory.random_pin()
        keys = [self.lab.make_key('a', pin=self.pin), self.lab.make_key('b', pin=other)]
        self.start(answers=[self.pin, other])
        for key in keys * 3:
            self.agent.sign_and_check(key)
        self.assert_once()
        self.assert_once(other)
        self.agent.ssh_add('-d', keys[0].pub, status=0)
        self.assert_gone()
        self.assert_once(other)

    def test_it_expires(self):
        self.cached('--pin-lifetime', '8')
        self.assertEqual(len(memory.find(self.agent.process.pid, self.pin)), 1)
        wait_until(lambda: not memory.find(self.agent.process.pid, self.pin), 'the end of the PIN')
        self.assert_gone()

    def test_locking_wipes_it(self):
        key = self.cached()
        self.agent.sign_and_check(key)
        self.assert_once()
        password = memory.random_pin()
        asked = Askpass(self.lab, password, password, name='passwords')
        self.lab.run('ssh-add', '-x', env={**asked.env, 'SSH_AUTH_SOCK': self.agent.socket}, status=0)
        self.assert_gone()
        self.assert_gone(password)  # its hash is enough

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

    def test_removing_the_key_wipes_it(self):
        key = self.cached()
        self.assert_once()
        self.agent.ssh_add('-d', key.pub, status=0)
        self.assert_gone()

    def test_removing_all_keys_wipes_it(self):
        self.cached()
        self.assert_once()
        self.agent.ssh_add('-D', status=0)
        self.assert_gone()

    def test_sigusr1_wipes_it(self):
        self.cached()
        self.assert_once()
        os.kill(self.agent.process.pid, signal.SIGUSR1)
        self.agent.process.wait_line('dropping all keys')
        self.agent.listed()  # answered after the signal has had its effect
        self.assert_gone()

    def test_a_wrong_pin_is_wiped(self):
        key = self.lab.make_key('x', pin=self.pin)
        wrong = memory.random_pin()
        self.start(answers=[wrong])
        self.assertNotEqual(self.agent.ssh_keygen_sign(key).returncode, 0)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assert_gone(wrong)

    def test_a_wrong_pin_before_the_right_one_is_wiped(self):
        key = self.lab.make_key('x', pin=self.pin)
        wrong = memory.random_pin()
        self.start(answers=[wrong, self.pin])
        self.agent.sign_and_check(key)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assert_gone(wrong)
        self.assert_once()

    def test_a_cached_pin_that_the_tpm_refuses_is_wiped(self):
        new = memory.random_pin()
        key = self.lab.make_key('x', pin=self.pin)
        self.start(answers=[self.pin, new])
        self.agent.sign_and_check(key)
        self.assert_once()
        self.lab.keygen('-q', '-p', '-P', self.pin, '-N', new, '-f', key.path)
        os.kill(self.agent.process.pid, signal.SIGHUP)
        self.agent.process.wait_line('reading the key folder again')
        self.agent.sign_and_check(read_key(key.path))
        self.assert_gone()
        self.assert_once(new)

    def test_without_a_cache_nothing_stays(self):
        key = self.cached('--no-cache')
        self.assert_gone()
        self.agent.sign_and_check(key)
        self.assertEqual(len(self.askpass.questions()), 2)
        self.assert_gone()

    def test_a_pin_from_ssh_tpm_add_is_there_once_and_goes(self):
        key = self.lab.make_key('x', pin=self.pin, folder=self.lab.make_folder('elsewhere'))
        self.start()
        asked = Askpass(self.lab, self.pin, name='add')
        self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', key.tpm, status=0,
                     env={**asked.env, 'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': self.agent.socket})
        self.assert_once()
        self.agent.sign_and_check(key)
        self.assert_once()
        self.agent.ssh_add('-d', key.pub, status=0)
        self.assert_gone()

    def test_a_wrong_pin_from_ssh_tpm_add_is_wiped(self):
        key = self.lab.make_key('x', pin=self.pin, folder=self.lab.make_folder('elsewhere'))
        self.start()
        wrong = memory.random_pin()
        asked = Askpass(self.lab, wrong, name='add')
        added = self.lab.run(f'{self.lab.bin}/ssh-tpm-add', '--pin', key.tpm,
                             env={**asked.env, 'SSH_AUTH_SOCK': None, 'SSH_TPM_AUTH_SOCK': self.agent.socket})
        self.assertNotEqual(added.returncode, 0)
        self.assertEqual(self.tpm.wrong_tries(), 1)
        self.assert_gone(wrong)

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
                self.agent.sign_and_check(key)
                with self.assertRaises(AssertionError):
                    self.assert_once(deadline=2)
                self.agent.ssh_add('-d', key.pub, status=0)
                with self.assertRaises(AssertionError):
                    self.assert_gone(deadline=2)
                self.assert_found([spelling])


@needs_root
@memory.wiping_builds
class OutsideKeys(WithAgent):
    def test_the_private_numbers_of_a_key_from_ssh_add_are_gone_once_it_is_sealed(self):
        self.start()
        for kind, bits in KINDS:
            with self.subTest(kind=kind, bits=bits):
                soft = SoftKey(self.lab, self.lab.path(f'{kind}{bits}'), kind, bits)
                self.agent.ssh_add(soft.path, status=0)
                self.assertIn(soft.key.line, self.agent.listed())
                for number in soft.numbers():
                    self.assertGreaterEqual(len(number), bits // 16)
                    # Any window of it: an RSA exponent may be cut into pieces, OpenSSL turns numbers round.
                    for begin in range(0, len(number) - 24, 24):
                        piece = number[begin:begin + 24]
                        self.assertEqual(memory.find(self.agent.process.pid, piece), [])
                self.agent.sign_and_check(soft.key)
                for number in soft.numbers():
                    self.assert_gone(number[:24])


if __name__ == '__main__':
    unittest.main()
