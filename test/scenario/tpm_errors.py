#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whatever is wrong with a TPM, a person reads what happened and what to do about it, and nothing is half done: a TPM
that refuses, is busy, is full, is not there, is not open to this user, or is another one than before."""

import fcntl
import math
import os
import re
import shutil
import termios
import tty
import unittest

from agent import Agent, Askpass
from lab import AS_NOBODY, NO_LEAK_CHECK, NOBODY, contents, needs_root, read, read_key, slow, wait_until
from neighbour import CONTEXT_GAP, Neighbour, Refused
from protocol import SIGN_RESPONSE, frame, sign_request
from stock import WithTpm
from swtpm import STORAGE_KEY, Probe, Swtpm

PIN, NEW = 'the pin 1', 'a pin 2'
BUSY = {'RETRY': 0x922, 'TESTING': 0x90a, 'YIELDED': 0x908}
FULL = {'OBJECT_MEMORY': 0x902, 'SESSION_MEMORY': 0x903, 'CONTEXT_GAP': 0x901, 'NV_RATE': 0x920,
        'NV_UNAVAILABLE': 0x923}
BY_ESYS = 5  # times that ESYS itself sends a command again
OFTEN = 30  # refusals in a row
BUSY_FLUSHES = 'TPM2_FlushContext answer 0x922 times=12'  # as many as ESYS sends for a key and a session
# Response code (TPM 2.0 part 2, 6.6.3; some with the number of a parameter or session), what the error says,
# what its hint says.
ROWS = (
    (0x98e, 'password', 'parent'),  # of a command under the parent: it is the parent's
    (0x921, 'lockout', 'tpm2_dictionarylockout --clear-lockout'),
    (0x1df, 'another TPM', 'make a new key'),
    (0x2a5, 'do not belong together', 'backup'),
    (0x155, 'private half of this key is damaged', 'backup'),
    (0x1da, 'cut short', 'backup'),
    (0x09c, 'damaged', 'backup'),
    (0x2a7, 'no point of its curve', 'backup'),
    (0x152, 'cannot be a parent', '--parent-handle'),
    (0x124, 'not for use with a PIN', 'keygen'),
    (0x12f, 'under a policy only', 'keygen'),
    (0x99d, 'policy', 'keygen'),
    (0x2a6, 'curve', '--supported'),
    (0x2c7, 'no keys of this size', '--supported'),
    (0x2c1, 'no keys of this type', '--supported'),
    (0x2ca, 'no keys of this type', '--supported'),
    (0x2c3, 'hash', '--supported'),
    (0x2d2, 'does not sign in this way', '--supported'),
    (0x2d6, 'AES', 'firmware'),
    (0x2d5, 'size', '--supported'),
    (0x2c4, 'value', '--supported'),
    (0x2c2, 'attributes', 'new one'),
    (0x143, 'lacks a command', 'firmware'),
    (0x120, 'disabled', 'firmware settings'),
    (0x185, 'hierarchy of the TPM is disabled', 'firmware settings'),
    (0x907, 'locality', 'firmware'),
    (0x902, 'no room for another key', '/dev/tpmrm0'),
    (0x906, 'no handle left', 'restart'),
    (0x903, 'no room for another session', '/dev/tpmrm0'),
    (0x905, 'no session handle left', 'tpm2_flushcontext'),
    (0x904, 'no memory', 'try again'),
    (0x901, 'kept a session for too long', 'tpm2_flushcontext'),
    (0x14b, 'full', 'tpm2_evictcontrol'),
    (0x909, 'cancel', 'try again'),
    (0x920, 'rate of writes', 'minute'),
    (0x923, 'cannot write', 'minute'),
    (0x130, 'restarted', 'restart'),
    (0x12d, 'firmware is being updated', 'finish'),
    (0x101, 'failure mode', 'restart'),
    (0x153, 'not tested itself', 'tpm2_selftest'),
    (0x18b, 'no longer in the TPM', 'made anew'),
    (0x910, 'has lost', '/dev/tpmrm0'),
    (0x91a, 'has lost', '/dev/tpmrm0'),
    (0x97f, 'refused', 'report'),  # no code of the specification
    (0x1fe, 'refused', 'report'),
)


class WithProbe(WithTpm):
    def setUp(self):
        super().setUp()
        self.probe = Probe(self.tpm)

    def agent(self, **more):
        agent = Agent(self.lab, tcti=self.probe.tcti, **more)
        self.probe.take()
        return agent

    def keygen(self, *options, **more):
        return self.lab.keygen('-q', *options, '--tcti', self.probe.tcti, **more)


class TpmErrors(WithProbe):
    def setUp(self):
        super().setUp()
        self.tpm.make_persistent()

    def assert_told(self, result, words, hint):
        self.assert_error(result)
        error = re.search(r'(?m)^ssh-tpm-keygen: error: (.*)$', result.stderr)[1]
        self.assertIn(words, error)
        self.assertRegex(re.sub('0x[0-9a-f]+', '', error), '[a-z]{3,} [a-z]{2,}')  # not a number alone
        told = re.search(r'(?m)^hint: (.*)$', result.stderr)
        self.assertIsNotNone(told, result.stderr)
        self.assertIn(hint, told[1])

    def test_every_code_is_told_by_keygen_with_its_remedy_and_leaves_no_file(self):
        for code, words, hint in ROWS:
            with self.subTest(code=hex(code)), self.probe.failing(f'TPM2_Create answer {code:#x}'):
                self.assert_told(self.keygen('-N', '', '-f', self.lab.path('keys/x'), status=None), words, hint)
                self.assertEqual(os.listdir(self.lab.keys), [])
        self.tpm.assert_no_handles()

    def test_every_code_is_told_in_the_log_of_the_agent_and_the_next_signature_succeeds(self):
        key = self.lab.make_key('x')
        agent = self.agent()
        with agent.connect() as client:
            for code, words, hint in ROWS:
                # A wrong PIN of a key without one is no error to explain, and of a lost handle more is known.
                if code in (0x98e, 0x18b):
                    continue
                with self.subTest(code=hex(code)):
                    agent.process.lines.clear()
                    with self.probe.failing(f'TPM2_Sign answer {code:#x}'):
                        self.assertIsNone(client.sign(key.blob, b'data'))
                    agent.process.wait_line('hint: ')  # it comes after the reply, and the error before it
                    log = agent.log()
                    if code == 0x921:  # the TPM itself says how long
                        words, hint = 'the TPM is locked', 'lockout password'
                    self.assertRegex(log, f'error: {key.tpm}: .*{words}')
                    self.assertEqual(log.count(key.tpm), 1)
                    self.assertIn(hint, log)
                    self.assertIsNotNone(client.sign(key.blob, b'data'))
        agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_an_owner_password_and_a_disabled_hierarchy_are_told_by_all_and_a_new_key_is_not_made(self):
        free, guarded = self.lab.make_key('free'), self.lab.make_key('x', pin=PIN)
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        for change, words, hint in ((('tpm2_changeauth', '-c', 'o', 'secret'), 'owner hierarchy has a password', '-o'),
                                    (('tpm2_hierarchycontrol', '-C', 'p', 'shEnable', 'clear'),
                                     'hierarchy of the TPM is disabled', 'firmware settings')):
            with self.subTest(words):
                self.tpm.tool(*change)
                agent = Agent(self.lab, name=change[0])
                self.assertNotEqual(agent.ssh_keygen_sign(free).returncode, 0)
                agent.process.wait_line(words)
                agent.process.wait_line(hint)
                agent.stop()
                for options in (('-p', '-f', guarded.tpm, '-P', PIN, '-N', NEW),
                                ('-N', '', '-f', self.lab.path('keys/y'))):
                    result = self.lab.keygen('-q', *options, status=None)
                    self.assert_told(result, words, hint)
        self.assertIn('tpm2_hierarchycontrol', result.stderr)

    def test_a_parent_with_a_password_of_its_own_is_told_by_keygen_and_the_agent(self):
        under = ('-q', '-N', '', '-f', self.lab.path('keys/x'), '--parent-handle', '0x81000001')
        self.lab.keygen(*under)
        key, parent = read_key(self.lab.path('keys/x')), self.lab.path('parent.ctx')
        self.tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000001')
        self.tpm.craft('tpm2_createprimary', '-C', 'o', '-G', 'ecc256:aes128cfb', '-a', STORAGE_KEY, '-p', 'key', '-c',
                       parent)
        self.tpm.craft('tpm2_evictcontrol', '-C', 'o', '-c', parent, '0x81000001')
        agent = Agent(self.lab)
        self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('parent has a password')
        for path in (key.tpm, key.pub):
            os.unlink(path)
        for pin in ('', PIN):
            self.assert_error(self.lab.keygen(*under, '-N', pin, status=None), 'parent has a password')
        self.tpm.assert_no_handles()

    def test_a_key_of_another_tpm_fails_by_itself_with_one_load(self):
        own, other = self.lab.make_key('own'), Swtpm(self.lab, 'other')
        foreign = self.lab.make_key('foreign', env={'SSH_TPM_TCTI': other.tcti})
        agent = self.agent()
        self.assertNotEqual(agent.ssh_keygen_sign(foreign).returncode, 0)
        names = self.probe.take(refused=('TPM2_Load 0x000001df',))
        self.assertEqual((names.count('TPM2_Load'), names.count('TPM2_Sign')), (1, 0))
        agent.process.wait_line('belongs to another TPM, or the TPM was cleared')
        agent.sign_and_check(own)

    def test_a_failed_tpm_is_reported_once_and_not_asked_again(self):
        key = self.lab.make_key('x')
        agent = self.agent()
        with self.probe.failing('* answer 0x101'):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            self.assertEqual(len(self.probe.lines()), 1)
        agent.process.wait_line('failure mode')
        agent.sign_and_check(key)
        agent.stop()  # all that it said is read
        self.assertEqual(agent.log().count('failure mode'), 1)

    def test_a_lost_key_is_loaded_again_within_the_same_request(self):
        key = self.lab.make_key('x', pin='1234')
        agent = self.agent(env=Askpass(self.lab, '1234').env)
        agent.sign_and_check(key)
        self.probe.take()
        for code in (0x910, 0x918):
            with self.probe.failing(f'TPM2_Sign answer {code:#x} times=1'):
                agent.sign_and_check(key)
            names = self.probe.take(refused=(f'TPM2_Sign 0x{code:08x}',))
            looks = ('TPM2_FlushContext', 'TPM2_ReadPublic', 'TPM2_GetRandom')
            self.assertEqual([name for name in names if name not in looks],
                             ['TPM2_Sign', 'TPM2_Load', 'TPM2_StartAuthSession', 'TPM2_Sign'])


class BusyOrFull(WithProbe):
    def test_a_tpm_that_is_busy_often_in_a_row_still_signs(self):
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(env=Askpass(self.lab, PIN).env)
        agent.sign_and_check(key)
        for name, code in BUSY.items():
            with self.subTest(name), self.probe.failing(f'* answer {code:#x} times={OFTEN}'):
                agent.ssh_keygen_sign(key, status=0)
                self.assertGreater(self.probe.reached()[0], OFTEN)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_every_command_of_keygen_is_tried_again_when_the_tpm_is_busy(self):
        self.tpm.make_persistent()
        key = self.lab.make_key('x', pin=PIN)
        self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', self.lab.path('soft'))
        # Each first command of a kind is refused as often as ESYS sends it again by itself, and more.
        names = ('GetCapability', 'ReadPublic', 'TestParms', 'CreatePrimary', 'StartAuthSession', 'Create', 'Load',
                 'Sign', 'ObjectChangeAuth', 'Import', 'FlushContext')
        for options in (('-N', '', '-f', self.lab.path('keys/a')), ('-N', PIN, '-f', self.lab.path('keys/b')),
                        ('-p', '-P', PIN, '-N', PIN, '-f', key.tpm), ('--supported',),
                        ('-I', self.lab.path('soft'), '-N', PIN, '-f', self.lab.path('keys/c'))):
            with self.subTest(options=options[0]), \
                    self.probe.failing(*[f'TPM2_{name} answer 0x922 times=7' for name in names]):
                self.keygen(*options)
        with self.probe.failing(f'* answer 0x922 times={OFTEN}'):
            self.keygen('-N', PIN, '-f', self.lab.path('keys/d'))
            self.assertGreater(self.probe.reached()[0], OFTEN)
        self.tpm.assert_no_handles()

    def test_a_tpm_that_stays_busy_is_given_up_and_used_again_for_the_next_request(self):
        self.lab.limit('tpm_busy', 1, real=30)
        key = self.lab.make_key('x')
        agent = self.agent()
        agent.sign_and_check(key)
        with self.probe.failing('* answer 0x922'):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
        agent.process.wait_line('the TPM is busy')
        agent.sign_and_check(key)

    def test_the_time_that_a_busy_tpm_takes_to_refuse_counts_as_waiting(self):
        limit = self.lab.limit('tpm_busy', 1, real=30)
        with self.probe.failing('TPM2_Create delay 300', 'TPM2_Create answer 0x922'):
            result = self.keygen('-N', '', '-f', self.lab.path('keys/x'), status=None)
            self.assert_error(result, 'the TPM is busy')
            self.assertLessEqual(self.probe.reached()[1], 1 + math.ceil(limit / 0.3) + BY_ESYS)
        self.tpm.assert_no_handles()

    def test_keygen_that_gives_up_on_a_busy_tpm_still_waits_until_it_flushes(self):
        self.lab.limit('tpm_busy', 1, real=30)
        with self.probe.failing('TPM2_Create answer 0x922', BUSY_FLUSHES):
            self.assert_error(self.keygen('-N', PIN, '-f', self.lab.path('keys/x'), status=None), 'the TPM is busy')
        self.tpm.assert_no_handles()

    def test_so_does_an_agent(self):
        self.lab.limit('tpm_busy', 1, real=30)
        self.lab.limit('tpm_idle', 0.2, real=5)
        self.tpm.make_persistent()  # so that nothing else is flushed
        key = self.lab.make_key('x', pin=PIN)
        agent = self.agent(env=Askpass(self.lab, PIN, PIN).env)
        with self.probe.failing('TPM2_Sign answer 0x922', BUSY_FLUSHES):
            self.assertNotEqual(agent.ssh_keygen_sign(key).returncode, 0)
            wait_until(lambda: self.probe.reached()[1] > BY_ESYS, 'a flush of an idle agent')
        agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_a_full_tpm_is_tried_four_times_and_signs_where_it_has_found_room(self):
        """Else the request fails, and the next one succeeds."""
        key = self.lab.make_key('x')
        agent = self.agent()
        with agent.connect() as client:
            for name, code in FULL.items():
                with self.subTest(name):
                    self.assertIsNotNone(client.sign(key.blob, b'data'))
                    with self.probe.failing(f'TPM2_Sign answer {code:#x}'):
                        self.assertIsNone(client.sign(key.blob, b'data'))
                        self.assertEqual(self.probe.reached(), [4])
                    for signs, loads in ((3, 0), (1, 2)):  # what has been given back is loaded anew
                        with self.probe.failing(f'TPM2_Sign answer {code:#x} times={signs}',
                                                f'TPM2_Load answer {code:#x} times={loads}'):
                            self.assertIsNotNone(client.sign(key.blob, b'data'))
                            self.assertEqual(self.probe.reached(), [signs + 1, 3])
        agent.sign_and_check(key)
        agent.stop()
        self.tpm.assert_no_handles()

    def test_keygen_gives_up_on_a_full_tpm_after_four_tries(self):
        for name, code in FULL.items():
            with self.subTest(name), self.probe.failing(f'TPM2_Create answer {code:#x}'):
                self.assert_error(self.keygen('-N', '', '-f', self.lab.path('keys/x'), status=None))
                self.assertEqual(self.probe.reached(), [4])
        self.tpm.assert_no_handles()

    def test_a_tpm_that_is_full_when_it_is_opened_is_tried_again(self):
        with self.probe.failing('TPM2_ReadPublic answer 0x902 times=3'):
            self.keygen('-N', '', '-f', self.lab.path('keys/x'))
            self.assertGreater(self.probe.reached()[0], 3)
        with self.probe.failing('TPM2_ReadPublic answer 0x902'):
            self.assert_error(self.keygen('-N', '', '-f', self.lab.path('keys/y'), status=None), 'no room')
            self.assertEqual(self.probe.reached(), [4])
        self.tpm.assert_no_handles()


class ContextGap(WithProbe):
    """A TPM numbers saved sessions with 16 bits: when the oldest is that far behind, it answers TPM_RC_CONTEXT_GAP
    until its owner has loaded and saved it again."""

    NUMBERS, BATCH = 65536, 64  # signatures; requests under way

    def setUp(self):
        super().setUp()
        self.tpm.make_persistent()
        self.session = self.lab.path('session.ctx')
        self.plain, self.guarded = self.lab.make_key('plain'), self.lab.make_key('guarded', pin=PIN)
        self.our_agent = self.agent(env=Askpass(self.lab, PIN, PIN).env)
        self.client = self.our_agent.connect()
        self.addCleanup(self.client.socket.close)

    def sign(self, key, count=1):
        """All of them are answered with signatures."""
        for done in range(0, count, self.BATCH):
            now = min(self.BATCH, count - done)
            self.client.send(frame(sign_request(key.blob, b'data')) * now)
            self.assertEqual({self.client.read_frame()[0] for _ in range(now)}, {SIGN_RESPONSE})

    def finish(self):
        for key in (self.plain, self.guarded):
            self.our_agent.sign_and_check(key)
        self.our_agent.stop()
        self.tpm.assert_no_handles()

    def test_a_gap_in_a_signature_is_mended_within_the_request_and_leaves_a_neighbours_session_alone(self):
        self.tpm.tool('tpm2_startauthsession', '-S', self.session, '--hmac-session')
        for key in (self.plain, self.guarded):
            self.probe.fail(f'TPM2_Sign answer {CONTEXT_GAP:#x} after=5 times=1')
            self.sign(key, 10)
            self.assertEqual(self.probe.reached(), [11])
            self.tpm.tool('tpm2_sessionconfig', self.session)  # loads and saves it: it is as good as before
        self.tpm.tool('tpm2_flushcontext', self.session)
        self.finish()

    def assert_only_new_sessions_are_refused(self):
        # A PIN is kept once it has signed: it will be asked for again.
        self.sign(self.plain)
        self.assertIsNone(self.client.sign(self.guarded.blob, b'data'))
        self.our_agent.process.wait_line('another program has kept a session for too long')
        self.sign(self.plain)

    def test_a_gap_stops_new_sessions_alone_and_is_outlived(self):
        with self.probe.failing(f'TPM2_StartAuthSession answer {CONTEXT_GAP:#x}'):
            self.assert_only_new_sessions_are_refused()
        self.finish()

    @slow
    def test_a_real_gap_that_only_the_neighbour_can_mend_does_the_same(self):
        neighbour = Neighbour(self.tpm)
        with neighbour:
            oldest = neighbour.save(neighbour.start_session())
            session = neighbour.start_session()
            neighbour.start_session()  # the last slot is not given away while there is a gap
        saved = 0
        with self.assertRaises(Refused) as refused:
            while True:
                with neighbour:  # swtpm serves one connection at a time: the agent has its turn in between
                    for _ in range(self.NUMBERS // 16):
                        context = neighbour.save(session)
                        saved += 1
                        self.assertEqual(neighbour.load(context), session)
                self.sign(self.plain, self.BATCH)
        self.assertEqual(refused.exception.code, CONTEXT_GAP)
        self.assertGreater(saved, self.NUMBERS - 100)
        self.assert_only_new_sessions_are_refused()
        with neighbour:
            neighbour.flush(neighbour.load(oldest))
            neighbour.sessions.pop(0)
            neighbour.leave()
        self.finish()

    @slow
    def test_65536_signatures_in_a_row_beside_a_held_session(self):
        self.tpm.tool('tpm2_startauthsession', '-S', self.session, '--hmac-session')
        for key, count in ((self.guarded, self.NUMBERS // 64), (self.plain, self.NUMBERS), (self.guarded, 1)):
            self.sign(key, count)
        self.tpm.tool('tpm2_sessionconfig', self.session)
        self.tpm.tool('tpm2_flushcontext', self.session)
        self.finish()


class TpmAccess(WithTpm):
    def setUp(self):
        super().setUp()
        self.key = self.lab.make_key('x', pin=PIN)

    def assert_told_by_all(self, tcti, *words, program=None, keys=None, status=1, **user):
        """By every mode that needs a TPM, before any file is written."""
        keys, out = keys or self.lab.keys, self.lab.make_folder('out')
        os.chmod(out, 0o777)
        before, new, soft, socket = contents(keys), f'{out}/new', f'{out}/soft', f'{out}/agent.sock'
        if not os.path.exists(soft):
            self.lab.ssh_keygen('-q', '-t', 'ecdsa', '-N', '', '-f', soft)
            os.chmod(soft, 0o644)
        for tool, *options in (('keygen', '-q', '-N', '', '-f', new), ('keygen', '--supported'),
                               ('keygen', '-p', '-P', PIN, '-N', NEW, '-f', os.path.join(keys, 'x.tpm')),
                               ('keygen', '--import', soft, '-N', '', '-f', new), ('keygen', '-A', '-f', out),
                               ('keygen', '-A', '--hierarchy', 'owner', '-f', out),
                               ('agent', '-l', socket, '--key-dir', keys)):
            with self.subTest(tool=tool, options=options, tcti=tcti):
                result = self.lab.run(f'{program or self.lab.bin}/ssh-tpm-{tool}', *options, '--tcti', tcti, **user)
                self.assert_error(result, *words, tool=f'ssh-tpm-{tool}', status=status)
                self.assertIn('\nhint: ', '\n' + result.stderr)
                self.assertEqual(contents(keys), before)
                self.assertFalse(os.path.exists(new + '.tpm') or os.path.exists(socket))

    def test_what_is_no_tpm_is_told_as_that_and_nothing_is_written_to_it(self):
        absent, file = self.lab.path('tpmrm0'), self.lab.write('file', 'a text')
        socket = f"swtpm:path={self.lab.path('nobody')}"
        self.assert_told_by_all('device:' + absent, f'no TPM at {absent}', 'firmware settings', '--swtpm')
        self.assert_told_by_all('device:' + file, f'{file} is no device', '/dev/tpmrm0', status=2)
        self.assertEqual(read(file), 'a text')
        self.assert_told_by_all(socket, f'no TPM answers at "{socket}"', '--tcti')

    @needs_root
    def test_a_device_of_another_group_and_one_that_another_program_has_open(self):
        keys = self.lab.path('others')
        shutil.copytree(self.lab.keys, keys)
        for path in (keys, *(os.path.join(keys, name) for name in os.listdir(keys))):
            os.chown(path, NOBODY, NOBODY)
        nobody = {'program': self.lab.program_for_others(), 'keys': keys, 'env': NO_LEAK_CHECK, **AS_NOBODY}
        master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.chown(path, 0, 12345)
        os.chmod(path, 0o660)
        tcti = 'device:' + path
        self.assert_told_by_all(tcti, f'no permission to use the TPM at {path}', 'usermod -aG 12345', **nobody)
        os.chmod(path, 0o666)
        fcntl.ioctl(slave, termios.TIOCEXCL)  # open(2) says EBUSY from now on, as of /dev/tpm0
        self.assert_told_by_all(tcti, f'another program has the TPM at {path} open', '/dev/tpmrm0', 'fuser', **nobody)
        os.close(master)
        os.close(slave)

    def test_a_cleared_tpm_is_told_by_keygen_and_agent(self):
        free = self.lab.make_key('free')
        agent = Agent(self.lab)
        agent.sign_and_check(free)
        self.tpm.tool('tpm2_clear')
        self.assertNotEqual(agent.ssh_keygen_sign(free).returncode, 0)
        known = self.lab.path('state', 'ssh-tpm', 'known_tpms')
        agent.process.wait_line(f'delete line 1 of {known}')
        os.unlink(known)  # a person knows that it was cleared
        self.assertNotEqual(agent.ssh_keygen_sign(free).returncode, 0)
        agent.process.wait_line('belongs to another TPM, or the TPM was cleared')
        agent.process.wait_line('make a new key')
        result = self.lab.keygen('-p', '-f', self.key.tpm, '-P', PIN, '-N', NEW, status=1)
        self.assert_error(result, 'belongs to another TPM, or the TPM was cleared', 'make a new key')
        self.assertEqual(self.tpm.wrong_tries(), 0)
        agent.sign_and_check(self.lab.make_key('another'))


if __name__ == '__main__':
    unittest.main()
