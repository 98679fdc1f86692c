#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 at any call of keygen leaves the old key or the new one, whole, and no handle to later users."""

import collections
import os
import shutil
import unittest

import keyfile
from agent import Agent
from lab import NO_LEAK_CHECK, Scenario, contents, mode, read, read_key
from swtpm import Probe, Swtpm

OLD, NEW = 'the old pin', 'the new pin'
# The calls that others see something of. Of those that wait for the TPM's answers a third is enough: there are three
# for each answer. strace kills on the way into a call, so that its effect is not there yet.
FILES = ('mkdir', 'write', 'pwrite64', 'fchmod', 'fsync', 'renameat', 'renameat2', 'flock', 'ftruncate')
ANSWERS = 'recvfrom'


class Emulated(Swtpm):
    """The emulator that ssh-tpm started, for the eyes of tpm2-tools."""

    def __init__(self, lab, state):
        self.lab, self.path, self.tcti = lab, f'{state}/socket', f'swtpm:path={state}/socket'


class KilledAnywhere(Scenario):
    def setUp(self):
        super().setUp()
        self.state = self.lab.path('emulator')
        self.lab.env.update(SSH_TPM_TCTI='', SSH_TPM_AGENT_SWTPM='1', SSH_TPM_SWTPM_STATE=self.state)
        self.lab.make_key('warm-up', folder=self.lab.make_folder('elsewhere'))

    def traced(self, *options, kill=None, **more):
        """Runs keygen, which is killed at the n-th call of a name if `kill` says so; the calls that it came to."""
        record = self.lab.path('calls')
        rule = ('-e', 'inject={}:signal=SIGKILL:when={}'.format(*kill)) if kill else ()
        result = self.lab.run('strace', '-f', '-qq', '-o', record, '-e', f'trace={",".join((*FILES, ANSWERS))}', *rule,
                              f'{self.lab.bin}/ssh-tpm-keygen', *options, env=NO_LEAK_CHECK, **more)
        self.assertIn(result.returncode, (-9, 0) if kill else (0,), result.stderr)
        calls = [line.split('(')[0].split()[-1] for line in read(record).splitlines() if '(' in line]
        return collections.Counter(calls), result.returncode != 0

    def points(self, *options, **more):
        """Where a run that is not killed can be killed."""
        calls, _ = self.traced(*options, **more)
        self.assertGreater(calls['fsync'], 0)
        return [(name, number) for name in (*FILES, ANSWERS)
                for number in range(1, calls[name] + 1, 3 if name == ANSWERS else 1)]

    def sweep(self, *options):
        """Kills a run at each point; {} in `options` is the number of the run. The last one is not killed."""
        numbered = [[option.format(number) for option in options] for number in range(100)]
        points = self.points(*numbered[-1])
        killed = [self.traced(*argv, kill=point)[1] for argv, point in zip(numbered, points)]
        self.assertGreater(sum(killed), len(points) * 3 // 4)  # how often an answer is waited for varies a little
        return len(points) + 1

    def left_over(self, endings):
        """The files that the killed runs left, apart from temporary ones, which all begin with a dot."""
        names = [name for name in os.listdir(self.lab.keys) if not name.startswith('.')]
        for name in names:
            self.assertTrue(name.endswith(endings), name)
        return names

    def assert_nothing_held(self):
        """A user after the killed ones finds the TPM empty and leaves it so."""
        self.lab.make_key('afterwards', folder=self.lab.path('elsewhere'))
        Emulated(self.lab, self.state).assert_no_handles()

    def test_a_new_key_is_there_whole_or_not_at_all(self):
        runs = self.sweep('-q', '-N', '', '-C', 'number {}', '-f', self.lab.path('keys/{}'))
        names = self.left_over(('.tpm', '.pub'))
        private = {name[:-4] for name in names if name.endswith('.tpm')}
        public = {name[:-4] for name in names if name.endswith('.pub')}
        self.assertLess(public, private)
        self.assertLess(len(private), runs // 2)
        agent = Agent(self.lab)
        with agent.connect() as connection:
            served = dict(connection.list())
            self.assertEqual(len(served), len(private))
            for blob in served:
                self.assertIsNotNone(connection.sign(blob, b'data'))
        for name in public:
            self.assertIn(read_key(self.lab.path('keys', name)).blob, served)
        self.assertNotIn('skipped', agent.log())
        agent.stop()
        self.assert_nothing_held()

    def test_a_changed_pin_is_the_old_one_or_the_new_one(self):
        original = self.lab.make_key('original', pin=OLD, folder=self.lab.path('elsewhere'))
        text = read(original.tpm)
        for number in range(100):
            self.lab.write(f'keys/{number}.tpm', text, mode=0o600)
        runs = self.sweep('-p', '-P', OLD, '-N', NEW, '-f', self.lab.path('keys/{}.tpm'))
        names = self.left_over('.tpm')
        self.assertEqual(len(names), 100)
        changed = [name for name in names if read(self.lab.path('keys', name)) != text]
        self.assertTrue(2 <= len(changed) < runs // 2, changed)
        for name in changed:
            keyfile.fields(self.lab.path('keys', name))
            # Each -p tries the key with a signature before and after.
            self.lab.keygen('-p', '-P', NEW, '-N', OLD, '-f', self.lab.path('keys', name))
        self.lab.keygen('-p', '-P', OLD, '-N', NEW, '-f', original.tpm)
        self.assertEqual(Emulated(self.lab, self.state).wrong_tries(), 0)
        self.assert_nothing_held()

    def test_what_a_killed_run_left_is_no_obstacle_to_the_next(self):
        key = self.lab.make_key('x', pin=OLD)
        before = contents(self.lab.keys)
        for name in ('.x.tpm', '.x.tpm.1', '.x.tpm.abcdef', '.x.tpm.tmp', 'x.tpm~'):
            self.lab.write('keys/' + name, 'half a key')
        agent = Agent(self.lab)
        self.assertEqual(agent.listed(), [key.line])
        self.lab.keygen('-p', '-P', OLD, '-N', '', '-f', key.tpm)
        self.assertNotEqual(read(key.tpm).encode(), before[key.tpm])
        agent.sign_and_check(key)

    def host_keys(self, prefix):
        """The halves of host keys, but for temporary files; the known TPM lies beside them."""
        folder = os.path.join(prefix, 'etc/ssh')
        names = [name for name in os.listdir(folder) if not name.startswith('.')] if os.path.exists(folder) else []
        names = [name for name in names if name != 'ssh_tpm_known_tpms']
        return {os.path.join(folder, name): read(os.path.join(folder, name)) for name in names}

    def check_host_keys(self, prefix, point, files=4, env=None):
        """A run that is killed, and one that completes what it has left."""
        options = ('-q', '-A', '-f', prefix)
        self.assertTrue(self.traced(*options, kill=point, umask=0o077)[1])
        left = self.host_keys(prefix)
        for path in left:
            self.assertIn(path[:-4] + '.tpm', left)
        self.assertNotIn('error', self.lab.keygen(*options, env=env, umask=0o077).stderr)
        after = self.host_keys(prefix)
        self.assertEqual({path: after[path] for path in left}, left)
        self.assertEqual(len(after), files)
        for path in after:
            self.assertEqual(mode(path), 0o600 if path.endswith('.tpm') else 0o644)
            if path.endswith('.tpm'):
                self.assertEqual(self.lab.keygen('-y', '-f', path).stdout, after[path[:-4] + '.pub'])
        for folder in (prefix, prefix + '/etc', prefix + '/etc/ssh'):
            self.assertEqual(mode(folder), 0o755)

    def test_host_keys_are_completed_by_the_next_run(self):
        # RSA keys take long: there is one before, but in the first run, which is killed between its halves.
        first = self.lab.path('first')
        self.check_host_keys(first, ('renameat2', 4))
        with_rsa = self.lab.path('with-rsa')

        def start_from(prefix):
            shutil.copytree(first, prefix)
            for ending in ('.tpm', '.pub'):
                os.unlink(f'{prefix}/etc/ssh/ssh_tpm_host_ecdsa_key{ending}')
            return prefix

        points = self.points('-q', '-A', '-f', start_from(with_rsa), umask=0o077)
        for number, point in enumerate(point for point in points if point[0] not in (ANSWERS, 'flock', 'ftruncate')):
            with self.subTest(point=point):
                self.check_host_keys(start_from(self.lab.path(f'prefix{number}')), point)

    def test_the_folders_of_host_keys_are_completed_by_the_next_run(self):
        probe = Probe(Swtpm(self.lab))
        for call in ('mkdir', 'fchmod'):
            for number in (1, 2, 3):
                with self.subTest(call=call, number=number):
                    probe.fail('TPM2_TestParms answer 0x1c4 after=1')  # it has no RSA keys, which take long
                    self.check_host_keys(self.lab.path(call + str(number)), (call, number), files=2,
                                         env={'SSH_TPM_TCTI': probe.tcti})


if __name__ == '__main__':
    unittest.main()
