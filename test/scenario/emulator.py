#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--swtpm is one lasting emulator that several ssh-tpm processes share and that goes when nobody needs it."""

import contextlib
import fcntl
import functools
import os
import re
import resource
import select
import signal
import subprocess
import threading
import time
import unittest

from agent import Agent
from lab import DEADLINE, Scenario, needs_root, read, read_key, wait_until
from protocol import FAILURE, frame, sign_request

KEYGEN_RUNS, KILLS = 20, 12
PASSWORD = 'owner password 5'


class Emulator(Scenario):
    def setUp(self):
        super().setUp()
        self.state = self.lab.path('emulator')
        self.lab.env['SSH_TPM_SWTPM_STATE'] = self.state

    def emulators(self):
        """The ids of the swtpm processes that have something in the state folder open."""
        return [int(pid) for pid in os.listdir('/proc') if pid.isdigit() and self.is_ours(f'/proc/{pid}')]

    def is_ours(self, process):
        try:
            if read(f'{process}/comm') != 'swtpm\n' or ') Z ' in read(f'{process}/stat'):
                return False
            descriptors = os.listdir(f'{process}/fd')
        except OSError:  # it ended meanwhile, or is somebody else's
            return False
        for name in descriptors:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                if os.readlink(f'{process}/fd/{name}').startswith(self.state):
                    return True
        return False

    @staticmethod
    def parent_of(pid):
        return int(read(f'/proc/{pid}/stat').rpartition(')')[2].split()[1])

    def agent(self, **more):
        return Agent(self.lab, '--swtpm', **more)

    def key(self, name, *options, **more):
        return self.lab.make_key(name, env={'SSH_TPM_AGENT_SWTPM': '1'}, *options, **more)

    def test_nothing_starts_an_emulator_unless_asked(self):
        absent = 'device:/nonexistent'
        for options, env in (((), {'SSH_TPM_TCTI': absent}),
                             (('--tcti', absent), {'SSH_TPM_AGENT_SWTPM': '1'}),
                             ((), {'SSH_TPM_TCTI': absent, 'SSH_TPM_AGENT_SWTPM': ''})):
            self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), *options, env=env, status=1)
        self.lab.keygen('-N', '', '-f', self.lab.path('keys/x'), '--tcti', absent, '--swtpm', status=2)
        self.assertFalse(os.path.exists(self.state))

    def test_the_first_use_starts_it_alone_and_says_once_that_it_protects_nothing(self):
        first = self.lab.keygen('--swtpm', '-N', '', '-f', self.lab.path('keys/x'),
                                env={'SSH_TPM_TCTI': 'device:/none'})
        self.assertIn('emulator', first.stderr.lower())
        self.assertEqual(os.stat(self.state).st_mode & 0o777, 0o700)
        agent = self.agent()
        agent.sign_and_check(read_key(self.lab.path('keys/x')))
        agent.stop()
        (emulator,) = self.emulators()
        for descriptor in (0, 1, 2):  # of whoever started it
            self.assertNotIn('pipe', os.readlink(f'/proc/{emulator}/fd/{descriptor}'))

    def test_the_state_is_where_the_environment_says_however_long_its_name_is(self):
        no_state, long = {'SSH_TPM_SWTPM_STATE': None}, self.lab.path('x' * 150)  # longer than a socket's name may be
        for env, place in (({}, self.state), (no_state, self.lab.path('state/ssh-tpm/swtpm')),
                           ({**no_state, 'XDG_STATE_HOME': None}, self.lab.path('home/.local/state/ssh-tpm/swtpm')),
                           ({'SSH_TPM_SWTPM_STATE': long}, long)):
            with self.subTest(place=place):
                self.assertFalse(os.path.exists(place))
                path = self.lab.path('keys', str(len(place)))
                self.lab.keygen('-q', '--swtpm', '-N', '', '-f', path, env=env)
                self.assertTrue(os.listdir(place))
        place = os.path.join(self.lab.write('file', 'no folder'), 'state')
        self.assert_error(self.lab.keygen('--swtpm', '-N', '', '-f', self.lab.path('keys/y'), status=None,
                                          env={'SSH_TPM_SWTPM_STATE': place}), place)

    def test_a_folder_that_others_may_read_is_refused_with_the_command_that_closes_it(self):
        place = self.lab.path('the state')
        os.mkdir(place)
        os.chmod(place, 0o755)
        make = functools.partial(self.lab.keygen, '-q', '--swtpm', '-N', '', '-f', self.lab.path('keys/x'),
                                 env={'SSH_TPM_SWTPM_STATE': place})
        refused = make(status=1)
        self.lab.run('sh', '-c', re.search('chmod 700 .*(?=, or name)', refused.stderr)[0], status=0)
        make(status=0)

    def kill_emulator(self):
        for pid in self.emulators():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.emulators(), 'the end of the emulator')

    def test_it_does_not_get_the_owner_password(self):
        key, given = self.key('x'), {'SSH_TPM_AGENT_OWNER_PASSWORD': PASSWORD}
        keygen, agent = ([f'{self.lab.bin}/ssh-tpm-{name}', '--swtpm'] for name in ('keygen', 'agent'))
        for words in ([*keygen, '-N', '', '-f', self.lab.path('keys/y')],
                      [*agent, '--key-dir', self.lab.keys, 'ssh-add', '-T', key.pub],
                      [*agent, '--hierarchy', 'owner', 'true']):
            with self.subTest(words=words):
                self.kill_emulator()
                self.lab.run(*words, env=given)  # fails: this emulator has no owner password
                (emulator,) = self.emulators()
                supervisor = [self.parent_of(emulator)] if os.geteuid() == 0 else []  # hidden from others
                for pid in (emulator, *supervisor):
                    self.assertNotIn(PASSWORD, read(f'/proc/{pid}/environ'))

    def test_two_that_start_at_once_do_not_fight(self):
        for turn in range(2):
            self.lab.env['SSH_TPM_SWTPM_STATE'] = self.state = self.lab.path(f'emulator{turn}')
            started = [self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '--swtpm', '-q', '-N', '', '-f',
                                      self.lab.path(f'keys/{turn}-{number}')) for number in range(4)]
            for process in started:
                self.assertEqual(process.wait(), 0, process.log())
            self.assertEqual(len(self.emulators()), 1)
        agent = self.agent()
        for number in range(4):
            agent.sign_and_check(read_key(self.lab.path(f'keys/{turn}-{number}')))

    def test_keygen_and_the_signatures_of_two_agents_all_succeed_side_by_side(self):
        keys = [self.key('a'), self.key('b', 'rsa', 2048), self.key('c', bits=384)]
        agents = [self.agent(name=name) for name in ('one', 'two')]
        signed, refused, stop = [0, 0], [], threading.Event()

        def sign_on(number):
            with agents[number].connect() as connection:
                while not stop.is_set():
                    if connection.sign(keys[(number + signed[number]) % 3].blob, b'data', 2) is None:
                        refused.append(number)
                    signed[number] += 1

        signers = [threading.Thread(target=sign_on, args=(number,)) for number in range(2)]
        for signer in signers:
            signer.start()
        try:
            for number in range(KEYGEN_RUNS):
                self.lab.keygen('--swtpm', '-q', '-N', '', '-f', self.lab.path(f'made{number}'))
        finally:
            stop.set()
            for signer in signers:
                signer.join(60)
        self.assertEqual(refused, [])
        self.assertGreaterEqual(min(signed), KEYGEN_RUNS)
        self.assertEqual(len(self.emulators()), 1)

    def test_a_program_that_is_stopped_in_its_turn_is_named_and_costs_one_wait_for_all(self):
        limit = self.lab.limit('emulator_turn', 2, real=60)
        key = self.key('x')
        agent = self.agent()
        agent.sign_and_check(key)
        with open(self.state + '/turn.lock', 'r+', encoding='ascii') as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            turn.write(str(os.getpid()))
            turn.flush()
            clients = [agent.connect() for _ in range(3)]
            for client in clients:
                client.socket.settimeout(2 * DEADLINE)
                client.send(frame(sign_request(key.blob, b'data')))
            with agent.connect() as other:
                self.assertEqual(len(other.list()), 1)
            select.select([client.socket for client in clients], [], [], 2 * DEADLINE)
            turn.truncate(0)
            fcntl.flock(turn, fcntl.LOCK_UN)  # whoever began to wait now would be served
            for client in clients:
                self.assertEqual(client.read_frame(), bytes([FAILURE]))
                client.socket.close()
        agent.process.wait_line(f'(pid {os.getpid()})')
        agent.process.wait_line(f'has kept the emulator to itself for {limit} s or more')
        agent.process.wait_line(f'fuser -v {self.state}/turn.lock')
        agent.sign_and_check(key)
        agent.stop()

    def wait_for_end(self, emulator):
        ended = os.pidfd_open(emulator)
        ready, _, _ = select.select([ended], [], [], DEADLINE)
        os.close(ended)
        self.assertTrue(ready, 'the emulator did not go')

    def test_it_goes_when_nobody_has_used_it_for_a_while_and_its_keys_sign_again_later(self):
        key = self.key('x')
        agent = self.agent()
        agent.sign_and_check(key)
        agent.stop()
        (emulator,) = self.emulators()
        self.wait_for_end(emulator)
        agent = self.agent()
        agent.sign_and_check(key)
        self.assertEqual(len(self.emulators()), 1)

    def reset_emulator(self):
        self.lab.run('swtpm_ioctl', '-i', '--unix', self.state + '/socket.ctrl', status=0)

    def test_an_agent_survives_the_end_of_the_emulator_and_a_reset(self):
        key = self.key('x')
        agent = self.agent()
        agent.sign_and_check(key)
        for disturb in (self.kill_emulator, self.reset_emulator, self.reset_emulator):
            disturb()
            agent.ssh_keygen_sign(key)  # the request that notices may fail
            agent.sign_and_check(key)
        agent.stop()

    def test_one_that_was_reset_serves_the_next_program_at_once(self):
        self.key('x')
        self.reset_emulator()
        agent = self.agent()
        self.reset_emulator()
        agent.sign_and_check(self.key('y'))
        self.reset_emulator()
        agent.sign_and_check(read_key(self.lab.path('keys/x')))
        agent.stop()

    def test_one_that_is_stopped_is_killed_when_nobody_uses_it_and_the_next_program_works(self):
        self.lab.limit('emulator_linger', 0.2, real=10)
        agent = self.agent()  # uses it until it is stopped
        (stopped,) = self.emulators()
        os.kill(stopped, signal.SIGSTOP)
        agent.stop()
        self.wait_for_end(stopped)
        self.key('x')

    @needs_root  # to see the agent's descriptors
    def test_an_agent_without_a_free_descriptor_leaves_its_socket_in_place(self):
        key = self.key('x')
        agent = self.agent()
        agent.sign_and_check(key)
        before = self.emulators()
        with agent.connect() as client:
            client.list()  # its connection is among the descriptors
            used = set(map(int, os.listdir(f'/proc/{agent.process.pid}/fd')))
            lock = min(set(range(len(used) + 1)) - used)  # the first free one; the socket's is the second
            limits = resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, (lock + 1, limits[1]))
            self.assertIsNone(client.sign(key.blob, b'data'))
            resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, limits)
        agent.process.wait_line("the emulator's socket")
        agent.sign_and_check(key)
        self.assertEqual(self.emulators(), before)
        agent.stop()

    def test_a_keygen_killed_at_any_point_leaves_no_handle_to_later_users(self):
        self.key('warm-up')
        start = time.monotonic()
        measured = self.key('measured')
        span = time.monotonic() - start
        for turn in range(KILLS):
            process = self.lab.start(f'{self.lab.bin}/ssh-tpm-keygen', '--swtpm', '-q', '-N', 'pin', '-f',
                                     self.lab.path(f'killed{turn}'))
            try:
                process.wait(span * turn / KILLS)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.wait()
        key = self.key('after')
        agent = self.agent()
        for _ in range(3):
            agent.sign_and_check(key)
        agent.sign_and_check(measured)

    def test_what_commands_that_were_not_waited_for_leave_is_flushed(self):
        limit = self.lab.limit('tpm_command', 2, real=10)
        key = self.key('x')
        agent = self.agent()
        agent.sign_and_check(key)
        for _ in range(4):  # a key stays loaded each time; there is room for three
            (emulator,) = self.emulators()
            os.kill(emulator, signal.SIGSTOP)
            try:
                with agent.connect() as client:
                    self.assertIsNone(client.sign(key.blob, b'data'))
            finally:
                os.kill(emulator, signal.SIGCONT)
            agent.sign_and_check(key)
        agent.stop()  # all that it said is read
        self.assertEqual(agent.log().count(f'did not answer within {limit} s (TPM2_Load)'), 4)


if __name__ == '__main__':
    unittest.main()
